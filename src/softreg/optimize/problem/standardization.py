"""Centred and scaled coordinates, in which the solvers work, and the map back to the stored columns.

With an unpenalised bias the optimum does not depend on the origin of the features, so it is computed for
`z = (x - shift) / scale`, where it is well conditioned, and translated back. The stored numbers are multiplied as they
are: with `U` for the weights of z and `c` for its bias,

    o = x W + b,   W = U / scale,   b = c - shift W,

and sums over the stored numbers become gradients in z by the same rule.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.optimize.cost.meter import current_meter
from softreg.rows import Array, Rows
from softreg.rows.column_statistics import ColumnExtremes, ColumnMoments, Standardised

# Beyond these ratios of mean to spread, products with the stored numbers lose digits that the probabilities need.
FAR_SINGLE, FAR_DOUBLE = 30.0, 1e6
# Beyond these scales, float32 weights of the stored numbers would leave the range of float32.
TINY, HUGE = 1e-12, 1e12
TINY_DOUBLE, HUGE_DOUBLE = 1e-100, 1e100
"""Beyond these scales, sums of products with the stored float64 numbers may overflow or underflow."""
SUSPECT = 0.3
"""A column may have outliers where its extreme lies this share of sqrt(n) standard deviations from its mean; the
extreme of one outlier among n values lies sqrt(n) from it."""
OUTLYING = 100.0
"""Outliers that raise the standard deviation by this factor are left out of it."""
SAMPLE, MOST_SAMPLED = 5000, 5_000_000
"""Rows of the sample in which outliers are identified, and numbers at most: a dense copy of 40 MB."""
FAINTEST = 1e-303
"""Standard deviation below which a column has no weight in float64: its weight would exceed 1.8e308."""
MIN_HALF_RANGE = float(np.finfo(np.float64).tiny * 1e8)
"""Half the range of a column that varies, at least: its inverse is finite."""
MAX_HALF_RANGE = float(np.finfo(np.float64).max / 4)
"""Half the range of a column up to which its values minus its mean do not overflow."""
NEAR_MEDIAN = 1e-3
"""Values within this part of the largest distance from the median are kept when outliers are removed."""
SINGLE_MARGIN = 2.0**24
"""Distance, as a factor, of a scale from the limits of float32 below which digits are lost."""
MAX_EXPONENT = 1000
"""Exponent of a unit, at most."""


@dataclass(frozen=True)
class Coordinates:
    """`z = (x - shift) / scale` for each column; a column that never varies is left out (`constant`).

    `explicit` says that the rows already hand out z, one shifted copy of a block at a time. `unit` is the power of two
    by which the rows have divided each column (None: by 1); shift and scale are those of the user's columns.
    """

    shift: Array
    scale: Array
    constant: Array
    explicit: bool = False
    unit: Array | None = None
    faint: tuple[int, ...] = ()
    """Columns that vary by less than `FAINTEST`; they count as constant."""

    @classmethod
    def identity(cls, d: int) -> Coordinates:
        """Return the coordinates in which the columns are what they are."""
        return cls(np.zeros(d), np.ones(d), np.zeros(d, dtype=bool))

    @property
    def is_ordinary(self) -> bool:
        """Whether squares of the columns neither overflow nor underflow."""
        return bool(self.scale.min(initial=1.0) > TINY and self.scale.max(initial=1.0) < HUGE)

    def to_user(self, theta: Array) -> tuple[Array, Array]:
        """Return weights (m, q, d) and bias (m, q) of the user's columns from parameters (m, q, d + 1) in z."""
        W = theta[..., :-1] / self.scale
        return W, theta[..., -1] - W @ self.shift

    def from_user(self, W: Array, b: Array) -> Array:
        """Return parameters in z from weights and bias of the user's columns: the inverse of `to_user`."""
        return np.concatenate([W * self.scale, (b + W @ self.shift)[..., None]], axis=-1)

    def to_stored(self, theta: Array) -> tuple[Array, Array]:
        """Return weights and bias for the stored numbers that blocks multiply."""
        if self.explicit:
            return theta[..., :-1], theta[..., -1]
        return self.to_user(theta) if self.unit is None else self._of_stored().to_user(theta)

    def _of_stored(self) -> Coordinates:
        """Return the coordinates as functions of the columns that the rows multiply."""
        if self.unit is None:
            return self
        return Coordinates(self.shift / self.unit, self.scale / self.unit, self.constant)

    def gradient(self, G: Array, r: Array) -> Array:
        """Return the derivatives (m, q, d) for the weights of z, from `G = R X` (m, q, d) and `r = sum R` (m, q)."""
        derivative = G
        if not self.explicit:
            stored = self._of_stored()
            derivative = np.multiply(r[..., None], stored.shift, out=np.empty_like(G))  # in the memory order of G
            np.subtract(G, derivative, out=derivative)
            derivative /= stored.scale
        derivative[..., self.constant] = 0.0
        return derivative

    def some(self, columns: Array) -> Coordinates:
        """Return the coordinates of some of the columns."""
        unit = None if self.unit is None else self.unit[columns]
        return Coordinates(self.shift[columns], self.scale[columns], self.constant[columns], self.explicit, unit)

    def for_block(self) -> tuple[Array, Array]:
        """Return the shift and scale that turn the numbers of a block into z."""
        if self.explicit:
            return np.zeros_like(self.shift), np.ones_like(self.scale)
        stored = self._of_stored()
        return stored.shift, stored.scale

    def refuse_faint(self) -> None:
        """Raise `ValueError` where a column varies so little that its weight overflows float64."""
        if self.faint:
            j = self.faint[0]
            raise ValueError(
                f"column {j} varies by less than {FAINTEST:g}, so float64 cannot represent its weight without a "
                f"penalty. Multiply the column by a power of ten, or leave it out."
            )

    def refuse_overflow(self, W: Array, b: Array) -> None:
        """Raise `ValueError` where weights (q, d) or bias (q,) of the user's columns are beyond float64."""
        if np.isfinite(W).all() and np.isfinite(b).all():
            return
        column = int(np.argmin(self.scale))
        raise ValueError(
            f"the weights are beyond float64, because column {column} varies by only {self.scale[column]:.0e}. "
            f"Multiply the column by a power of ten, or leave it out."
        )


def standardise(rows: Rows, centred: bool, robust: bool = False) -> tuple[Rows, Coordinates]:
    """Return rows to multiply and their standardised coordinates.

    The rows are the given ones unless products with them would lose digits. Two passes give the extremes and the
    moments relative to them, so that neither huge nor tiny numbers overflow.

    Parameters
    ----------
    rows : Rows
        The rows as stored.
    centred : bool
        Whether to subtract the mean; False for a model without bias, which a shift would change.
    robust : bool
        Whether mean and spread of a column with extreme outliers come from its other values.

    Returns
    -------
    rows : Rows
        The rows to multiply.
    coordinates : Coordinates
        Shift and scale of each column.
    """
    low, high = _extremes(rows)
    half = high / 2 - low / 2
    half = np.where(half > 0, np.maximum(half, MIN_HALF_RANGE), np.maximum(np.abs(high), 1.0))
    middle = high / 2 + low / 2
    if not centred:
        half, middle = np.maximum(half, np.maximum(np.abs(low), np.abs(high))), np.zeros_like(middle)

    with current_meter().passes(rows.stored_bytes, 4.0 * rows.stored, rows.dtype):
        first, second = rows.sum(ColumnMoments(middle, half))
    mean = first / rows.n
    spread = np.sqrt(np.maximum(second / rows.n - (mean**2 if centred else 0.0), 0.0))
    same = (low == high) if centred else (low == 0) & (high == 0)
    faint = ~same & (spread * half < FAINTEST)
    constant = same | faint
    scale = np.where(constant, 1.0, spread * half)
    mean = np.where(half > MAX_HALF_RANGE, 0.0, mean)  # else x - shift might overflow
    shift = np.where(constant, low, middle + mean * half) if centred else np.zeros(rows.d)
    if robust:
        far = np.maximum(high / 2 - shift / 2, shift / 2 - low / 2) * 2 > SUSPECT * np.sqrt(rows.n) * scale
        shift, scale = _without_outliers(rows, np.flatnonzero(far & ~constant), shift, scale, centred)
    coordinates = Coordinates(shift, scale, constant, faint=tuple(faint.nonzero()[0].tolist()))
    return _explicit_where_needed(rows, coordinates)


def _without_outliers(rows: Rows, suspects: Array, shift: Array, scale: Array, centred: bool) -> tuple[Array, Array]:
    """Return shift and scale with the moments of suspected columns computed without their extreme outliers."""
    # One value of 1e9 among values near 1 determines mean and standard deviation; the other rows then have almost the
    # same standardised value, which is indistinguishable from the bias. The moments come from a sample of the rows.
    if not len(suspects) or min(rows.n, SAMPLE) * rows.d > MOST_SAMPLED:
        return shift, scale
    sample = rows if rows.n <= SAMPLE else rows.sample(SAMPLE, 0)
    X = sample.map(Standardised(np.zeros(rows.d), np.ones(rows.d))).astype(np.float64)
    shift, scale = shift.copy(), scale.copy()
    for j in suspects:
        bulk = _bulk(X[:, j])
        size = float(np.abs(bulk).max()) or 1.0
        width = float((bulk / size).std() if centred else np.sqrt(np.mean((bulk / size) ** 2))) * size
        if width > 0 and scale[j] / OUTLYING > width >= FAINTEST:
            scale[j] = width
            shift[j] = float((bulk / size).mean()) * size if centred else 0.0
    return shift, scale


def _bulk(x: Array) -> Array:
    """Return at least half of the values x (n,), without those 1,000 times as far from the median as the rest."""
    middle, least = float(np.median(x)), len(x) / 2
    while True:
        distance = np.abs(x / 2 - middle / 2)
        rest = x[distance <= NEAR_MEDIAN * distance.max()]
        if len(rest) == len(x) or len(rest) < least or rest.min() == rest.max():
            return x
        x = rest


def _explicit_where_needed(rows: Rows, coordinates: Coordinates) -> tuple[Rows, Coordinates]:
    moving = ~coordinates.constant
    if not moving.any():
        return rows, coordinates
    shift, scale = coordinates.shift[moving], coordinates.scale[moving]
    single = rows.dtype == np.float32
    if scale.min() < TINY_DOUBLE or scale.max() > HUGE_DOUBLE or (single and _beyond_single(scale)):
        return _rescaled(rows, coordinates)
    far = float((np.abs(shift) / scale).max()) > (FAR_SINGLE if single else FAR_DOUBLE)
    wild = single and bool(scale.min() < TINY or scale.max() > HUGE)
    if not (far or wild):
        return rows, coordinates
    # the blocks subtract the shift in the precision of the numbers, so that is the shift to translate back
    exact = [a.astype(rows.dtype).astype(np.float64) for a in (coordinates.shift, coordinates.scale)]
    if not rows.can_shift:  # sparse rows are multiplied in float64 instead
        return rows.precise(dtype=np.float64), coordinates
    return rows.precise(*exact), Coordinates(exact[0], exact[1], coordinates.constant, explicit=True)


def _beyond_single(scale: Array) -> bool:
    """Return True if float32 represents these scales with fewer digits than usual, or not at all."""
    limits = np.finfo(np.float32)
    return bool(scale.min() < limits.tiny * SINGLE_MARGIN or scale.max() > limits.max / SINGLE_MARGIN)


def _rescaled(rows: Rows, coordinates: Coordinates) -> tuple[Rows, Coordinates]:
    """Return rows whose products neither overflow nor underflow: standardised, or divided by powers of two."""
    shift, scale, constant, faint = coordinates.shift, coordinates.scale, coordinates.constant, coordinates.faint
    if rows.can_shift:
        return rows.precise(shift, scale, np.float64), Coordinates(shift, scale, constant, True, faint=faint)
    unit = np.ldexp(1.0, np.clip(np.frexp(scale)[1], -MAX_EXPONENT, MAX_EXPONENT))
    return rows.precise(scale=unit), Coordinates(shift, scale, constant, unit=unit, faint=faint)


def _extremes(rows: Rows) -> tuple[Array, Array]:
    with current_meter().passes(rows.stored_bytes, 2.0 * rows.stored, rows.dtype):
        lows_and_highs = rows.map(ColumnExtremes())
    return lows_and_highs[:, 0].min(axis=0).astype(np.float64), lows_and_highs[:, 1].max(axis=0).astype(np.float64)
