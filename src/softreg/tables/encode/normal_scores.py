"""Normal scores of heavy-tailed numbers, and the sample of rows that they are estimated from."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from softreg.splitmix import hashed
from softreg.typing import BoolArray, Float64Array

HEAVY_KURTOSIS = 6.0
"""Kurtosis above which a tail is heavy: that of the Laplace distribution; a normal distribution has 3."""
MIN_ROWS = 50
"""Rows that an estimate of the kurtosis needs."""
MAX_DISCRETE = 5
"""Distinct values up to which a column is discrete and keeps its numbers."""
KNOTS = 201
"""Most knots of a map."""
SAMPLE = 50_000
"""Most rows of a sample."""
SAMPLED_CELLS = 20_000_000
"""Most cells of a sample, over all columns (160 MB)."""
FEWEST_SAMPLED = 1000
"""Rows of a sample in any case, however many columns there are."""


@dataclass
class NumericSample:
    """Sample of the numeric columns of a stream: the same rows of every column, chosen by a hash of their number.

    Of n rows about n / 2^level are kept, with the least level that gives at most `size` rows.

    Attributes
    ----------
    size : int
        Most rows of the sample.
    rows : int
        Rows of the stream so far.
    level : int
        Number of leading bits of a row's hash that must be zero.
    keys : list of array of uint64
        Hashes of the sampled rows.
    cells : dict of str to list of array of float64
        Sampled values by column.

    Examples
    --------
    >>> whole, first, second = NumericSample(4), NumericSample(4), NumericSample(4, rows=60)
    >>> whole.add({"x": np.arange(100.0)}, 100)
    >>> first.add({"x": np.arange(60.0)}, 60)
    >>> second.add({"x": np.arange(60.0, 100.0)}, 40)
    >>> first.merge(second)
    >>> first.column("x").tolist() == whole.column("x").tolist()
    True
    """

    size: int = SAMPLE
    rows: int = 0
    level: int = 0
    keys: list[NDArray[np.uint64]] = field(default_factory=list)
    cells: dict[str, list[Float64Array]] = field(default_factory=dict)

    def add(self, columns: dict[str, Float64Array], n: int) -> None:
        """Add the next n rows, given as values (n,) by column."""
        if not columns:
            return
        key = hashed(np.arange(self.rows, self.rows + n))
        self.rows += n
        chosen = np.flatnonzero(self._kept(key))
        self.keys.append(key[chosen])
        for name, values in columns.items():
            self.cells.setdefault(name, []).append(values[chosen])
        self._limit()

    def merge(self, later: NumericSample) -> None:
        """Add the sample of the rows that follow, whose numbers begin with `rows`."""
        self.rows = later.rows
        self.keys += later.keys
        for name, parts in later.cells.items():
            self.cells.setdefault(name, []).extend(parts)
        if self.level != later.level:
            self.level = max(self.level, later.level)
            self._drop()
        self._limit()

    def _limit(self) -> None:
        """Raise the level until the sample has at most `size` rows."""
        while sum(map(len, self.keys)) > self.size:
            self.level += 1
            self._drop()

    def _drop(self) -> None:
        """Drop the rows that are not in the sample of this level."""
        kept = [self._kept(key) for key in self.keys]
        self.keys = [key[keep] for key, keep in zip(self.keys, kept, strict=True)]
        for name, parts in self.cells.items():
            self.cells[name] = [part[keep] for part, keep in zip(parts, kept, strict=True)]

    def column(self, name: str) -> Float64Array:
        """Return the sampled values of a column."""
        return np.concatenate(self.cells.get(name, [np.zeros(0)]))

    def _kept(self, key: NDArray[np.uint64]) -> BoolArray:
        return (key >> np.uint64(64 - self.level)) == 0 if self.level else np.ones(len(key), bool)


def normal_scores(values: Float64Array, requested: bool = False) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the knots of an increasing, piecewise linear map that makes these numbers nearly normal.

    The score z of x is the normal quantile of its mid-rank, standardized; beyond the first and last knot the map is
    constant.

    Parameters
    ----------
    values : array of float64 (n,)
        Numbers; nan and infinite ones are ignored.
    requested : bool
        Whether the scores were requested. Otherwise only numbers with a kurtosis above 6, with at least 50 rows and
        more than five distinct values, have scores.

    Returns
    -------
    x, z : tuple of float
        Knots and scores, at most `KNOTS`; empty where there is no map.

    Examples
    --------
    >>> x, z = normal_scores(np.exp(np.linspace(-3, 3, 999) ** 3 / 4))
    >>> len(x) <= KNOTS, bool(np.all(np.diff(z) > 0)), normal_scores(np.linspace(0, 1, 999))
    (True, True, ((), ()))
    """
    from scipy.special import ndtr, ndtri

    values = values[np.isfinite(values)]
    if not requested and (len(values) < MIN_ROWS or kurtosis(values) <= HEAVY_KURTOSIS):
        return (), ()
    x, count = np.unique(values, return_counts=True)
    if len(x) < 2 or (not requested and len(x) <= MAX_DISCRETE):
        return (), ()
    rank = (np.cumsum(count) - count / 2) / len(values)
    if len(x) > KNOTS:
        low, high = ndtri(rank[0]), ndtri(rank[-1])
        grid = ndtr(np.linspace(low, high, KNOTS))
        chosen = np.unique(np.append(np.searchsorted(rank, grid[:-1]), len(x) - 1))
        x, rank = x[chosen], rank[chosen]
    z = ndtri(rank)
    scored = np.interp(values, x, z)
    z = (z - scored.mean()) / (scored.std() or 1.0)
    return tuple(x.tolist()), tuple(z.tolist())


def kurtosis(values: Float64Array) -> float:
    """Return the fourth standardized moment: 3 for a normal distribution, 0 for a constant; numbers may be of any size.

    Returns
    -------
    float
        Kurtosis, without the subtraction of 3.

    Examples
    --------
    >>> kurtosis(np.array([-1.0, 1.0, -1.0, 1.0])), kurtosis(np.array([-1.7e308, 1.7e308]))
    (1.0, 1.0)
    """
    size = np.abs(values).max() if len(values) else 0.0
    if not size:
        return 0.0
    scaled = values / size  # the sum of the largest numbers overflows
    centred = scaled - scaled.mean()
    spread = np.abs(centred).max()
    if not spread:
        return 0.0
    squares = (centred / spread) ** 2
    return float((squares**2).mean() / squares.mean() ** 2)


@cache
def sample_size(columns: int) -> int:
    """Return the number of rows to sample of this many columns."""
    return max(FEWEST_SAMPLED, min(SAMPLE, SAMPLED_CELLS // max(1, columns)))
