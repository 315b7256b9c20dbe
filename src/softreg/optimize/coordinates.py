"""Centred and scaled coordinates: the solver works in them, the user never sees them.

With an unpenalised bias the optimum does not depend on the origin of the features, so it is computed for
`z = (x - shift) / scale`, where it is well conditioned, and translated back. The stored numbers are multiplied as they
are: with `U` for the weights of z and `c` for its bias,

    o = x W + b,   W = U / scale,   b = c - shift W,

and sums over the stored numbers become gradients in z by the same rule.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.rows import Array, Block, Rows, Sums

# Beyond these ratios of mean to spread, products with the stored numbers lose digits that the probabilities need.
FAR_SINGLE, FAR_DOUBLE = 30.0, 1e6
# Beyond these scales, float32 weights of the stored numbers would leave the range of float32.
TINY, HUGE = 1e-12, 1e12
FAINTEST = 1e-290
"""Columns that vary less than this count as constant: one over their scale would overflow."""


@dataclass(frozen=True)
class Coordinates:
    """`z = (x - shift) / scale` for each column; a column that never varies is left out (`constant`).

    `explicit` says that the rows already hand out z, one shifted copy of a block at a time.
    """

    shift: Array
    scale: Array
    constant: Array
    explicit: bool = False

    def to_user(self, theta: Array) -> tuple[Array, Array]:
        """Weights (m, q, d) and bias (m, q) of the user's columns from parameters (m, q, d + 1) in z."""
        W = theta[..., :-1] / self.scale
        return W, theta[..., -1] - W @ self.shift

    def from_user(self, W: Array, b: Array) -> Array:
        """The inverse of `to_user`."""
        return np.concatenate([W * self.scale, (b + W @ self.shift)[..., None]], axis=-1)

    def to_stored(self, theta: Array) -> tuple[Array, Array]:
        """Weights and bias for the numbers that blocks multiply."""
        return (theta[..., :-1], theta[..., -1]) if self.explicit else self.to_user(theta)

    def gradient(self, G: Array, r: Array) -> Array:
        """Derivatives (m, q, d) with respect to the weights of z, from `G = R X` (m, q, d) and `r = sum R` (m, q)."""
        derivative = G
        if not self.explicit:
            derivative = np.multiply(r[..., None], self.shift, out=np.empty_like(G))  # in the memory order of G
            np.subtract(G, derivative, out=derivative)
            derivative /= self.scale
        derivative[..., self.constant] = 0.0
        return derivative

    def some(self, columns: Array) -> Coordinates:
        """The coordinates of some of the columns."""
        return Coordinates(self.shift[columns], self.scale[columns], self.constant[columns], self.explicit)

    def for_block(self) -> tuple[Array, Array]:
        """The shift and scale that turn a block's numbers into z."""
        if self.explicit:
            return np.zeros_like(self.shift), np.ones_like(self.scale)
        return self.shift, self.scale


def standardise(rows: Rows, centred: bool) -> tuple[Rows, Coordinates]:
    """The coordinates of these rows, and the rows to multiply: the stored ones unless those would lose digits.

    Two sums over the data: the extremes, then the moments relative to them, so that neither huge nor tiny numbers
    overflow. Where `centred` is False (a model without bias) only the scale is used: a shift would change the model.
    """
    low, high = _extremes(rows)
    half = high / 2 - low / 2
    half = np.where(half > 0, np.maximum(half, np.finfo(np.float64).tiny * 1e8), np.maximum(np.abs(high), 1.0))
    middle = high / 2 + low / 2
    if not centred:
        half, middle = np.maximum(half, np.maximum(np.abs(low), np.abs(high))), np.zeros_like(middle)

    def part(block: Block) -> Sums:
        return block.moments(middle, half)

    first, second = rows.sum(part)
    mean = first / rows.n
    spread = np.sqrt(np.maximum(second / rows.n - (mean**2 if centred else 0.0), 0.0))
    constant = ((low == high) if centred else (low == 0) & (high == 0)) | (spread * half < FAINTEST)
    scale = np.where(constant, 1.0, spread * half)
    shift = np.where(constant, low, middle + mean * half) if centred else np.zeros(rows.d)
    return _explicit_where_needed(rows, Coordinates(shift, scale, constant))


def _explicit_where_needed(rows: Rows, coordinates: Coordinates) -> tuple[Rows, Coordinates]:
    moving = ~coordinates.constant
    if not moving.any():
        return rows, coordinates
    shift, scale = coordinates.shift[moving], coordinates.scale[moving]
    single = rows.dtype == np.float32
    far = float((np.abs(shift) / scale).max()) > (FAR_SINGLE if single else FAR_DOUBLE)
    wild = single and bool(scale.min() < TINY or scale.max() > HUGE)
    if not (far or wild):
        return rows, coordinates
    # the blocks subtract the shift in the precision of the numbers, so that is the shift to translate back
    exact = [a.astype(rows.dtype).astype(np.float64) for a in (coordinates.shift, coordinates.scale)]
    if not rows.can_shift:  # a sparse home multiplies in float64 instead
        return rows.precise(dtype=np.float64), coordinates
    return rows.precise(*exact), Coordinates(exact[0], exact[1], coordinates.constant, explicit=True)


def _extremes(rows: Rows) -> tuple[Array, Array]:
    lows_and_highs = rows.map(lambda block: np.stack([np.stack(block.extremes())]))
    return lows_and_highs[:, 0].min(axis=0).astype(np.float64), lows_and_highs[:, 1].max(axis=0).astype(np.float64)
