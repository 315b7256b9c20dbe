"""Numbers to features: mean and deviation of a stream, a sample of its rows, and a map that tames heavy tails."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from softreg.splitmix import hashed
from softreg.typing import BoolArray, Float64Array

HEAVY = 6.0
"""Kurtosis from which a tail is heavy: that of the Laplace distribution. A normal one has 3."""
LEAST = 50
"""Rows from which on a tail is judged."""
KNOTS = 201
SAMPLE = 50_000
"""Rows of which the numbers are kept while learning, at most."""
SAMPLED_CELLS = 20_000_000


@dataclass
class NumericSample:
    """Rows of a stream, drawn by their numbers alone: the numbers of each column in the same rows.

    Of n rows about n / 2^k are kept, with the least k that makes them at most `size`.
    """

    size: int = SAMPLE
    rows: int = 0
    level: int = 0
    keys: list[NDArray[np.uint64]] = field(default_factory=list)
    cells: dict[str, list[Float64Array]] = field(default_factory=dict)

    def add(self, columns: dict[str, Float64Array], n: int) -> None:
        """Take what is drawn from the next n rows."""
        if not columns:
            return
        key = hashed(np.arange(self.rows, self.rows + n))
        self.rows += n
        chosen = np.flatnonzero(self._kept(key))
        self.keys.append(key[chosen])
        for name, values in columns.items():
            self.cells.setdefault(name, []).append(values[chosen])
        while sum(map(len, self.keys)) > self.size:
            self.level += 1
            kept = [self._kept(key) for key in self.keys]
            self.keys = [key[keep] for key, keep in zip(self.keys, kept, strict=True)]
            for name, parts in self.cells.items():
                self.cells[name] = [part[keep] for part, keep in zip(parts, kept, strict=True)]

    def column(self, name: str) -> Float64Array:
        """The sampled numbers of a column."""
        return np.concatenate(self.cells.get(name, [np.zeros(0)]))

    def _kept(self, key: NDArray[np.uint64]) -> BoolArray:
        return (key >> np.uint64(64 - self.level)) == 0 if self.level else np.ones(len(key), bool)


def normal_scores(values: Float64Array, asked: bool = False) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Knots (x, z) of the increasing, piecewise linear map that makes these numbers nearly normal; () if none is due.

    It is due where it is asked for, or the kurtosis is above 6, of at least 50 numbers with more than five different
    values; of fewer than two different values there is none. z is the
    normal quantile of the mid-rank of x, then standardised; beyond its first and last knot the map is constant.

    Example:
        >>> x, z = normal_scores(np.exp(np.linspace(-3, 3, 999) ** 3 / 4))
        >>> len(x) <= KNOTS, bool(np.all(np.diff(z) > 0)), normal_scores(np.linspace(0, 1, 999))
        (True, True, ((), ()))
    """
    from scipy.special import ndtr, ndtri

    values = values[np.isfinite(values)]
    if not asked and (len(values) < LEAST or kurtosis(values) <= HEAVY):
        return (), ()
    x, count = np.unique(values, return_counts=True)
    if len(x) < 2 or (not asked and len(x) <= 5):
        return (), ()
    rank = (np.cumsum(count) - count / 2) / len(values)
    if len(x) > KNOTS:
        low, high = ndtri(rank[0]), ndtri(rank[-1])
        grid = ndtr(np.linspace(low, high, KNOTS))
        place = np.unique(np.append(np.searchsorted(rank, grid[:-1]), len(x) - 1))
        x, rank = x[place], rank[place]
    z = ndtri(rank)
    scored = np.interp(values, x, z)
    z = (z - scored.mean()) / (scored.std() or 1.0)
    return tuple(x.tolist()), tuple(z.tolist())


def kurtosis(values: Float64Array) -> float:
    """The fourth standardised moment, 3 for a normal distribution and 0 for a constant.

    Example:
        >>> kurtosis(np.array([-1.0, 1.0, -1.0, 1.0]))
        1.0
    """
    centred = values - values.mean()
    size = np.abs(centred).max() if len(values) else 0.0
    if not size or not np.isfinite(size):
        return 0.0
    squares = (centred / size) ** 2
    return float((squares**2).mean() / squares.mean() ** 2)


@cache
def sample_size(columns: int) -> int:
    """How many rows to sample of so many columns."""
    return max(1000, min(SAMPLE, SAMPLED_CELLS // max(1, columns)))
