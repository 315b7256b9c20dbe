"""Bootstrap means, percentile intervals, and labels drawn from predicted probabilities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from softreg.typing import FloatArray

MOST_NUMBERS = 50_000_000
"""Largest product of rows and draws; larger tables of rows get fewer draws, but at least `LEAST_DRAWS`."""
LEAST_DRAWS = 199
"""Least number of draws."""
MANY_CLASSES = 32
"""Number of classes above which drawing a label uses binary search instead of a comparison with every class."""


@dataclass(frozen=True)
class Interval:
    """An estimate with its confidence interval.

    Attributes
    ----------
    value : float
        The estimate.
    low, high : float
        Ends of the interval.

    Examples
    --------
    >>> print(Interval(0.25, 0.2, 0.3))
    0.25 (0.2 to 0.3)
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4g} ({self.low:.4g} to {self.high:.4g})"


def draws_for(n: int, draws: int) -> int:
    """Return the number of draws of n rows: `draws`, or fewer where n is large.

    Parameters
    ----------
    n : int
        Number of rows.
    draws : int
        Requested number of draws.

    Returns
    -------
    int
        `draws`, reduced so that `n * draws` is at most `MOST_NUMBERS`, but at least `LEAST_DRAWS`.

    Examples
    --------
    >>> draws_for(1000, 999), draws_for(10**6, 999)
    (999, 199)
    """
    return min(draws, max(LEAST_DRAWS, MOST_NUMBERS // max(n, 1)))


def bootstrap_means(values: ArrayLike, *, draws: int = 999, seed: int = 0) -> NDArray[np.float64]:
    """Return bootstrap means: means of n rows drawn with replacement from n rows.

    `m_b = (1/n) sum_i c_bi v_i`, c_b multinomial counts of n draws from n rows

    Parameters
    ----------
    values : array_like of shape (n,) or (n, s)
        One or several numbers for each row; inf is allowed.
    draws : int, default 999
        Number of draws; fewer (at least 199) if more than 50 million rows would be drawn in total.
    seed : int, default 0
        Seed of the draws.

    Returns
    -------
    ndarray of float64 of shape (draws,) or (draws, s)
        The means. The same seed gives the same draws.

    Raises
    ------
    ValueError
        If there are no rows.

    References
    ----------
    Efron, "Bootstrap methods: another look at the jackknife" (1979).

    Examples
    --------
    >>> means = bootstrap_means([0.0, 1.0] * 50, draws=500)
    >>> means.shape, bool(abs(means.std() - 0.05) < 0.01)
    ((500,), True)
    """
    v = np.asarray(values, dtype=np.float64)
    n = len(v)
    if n == 0:
        raise ValueError("there are no rows to draw from; at least one is needed.")
    random = np.random.default_rng(seed)
    finite = np.isfinite(v)
    finite_values = v if finite.all() else np.where(finite, v, 0.0)
    infinite_values = None if finite.all() else np.where(finite, 0.0, v)
    means = np.empty((draws_for(n, draws), *v.shape[1:]))
    for b in range(len(means)):
        count = np.bincount(random.integers(n, size=n, dtype=np.int32 if n < 2**31 else np.int64), minlength=n)
        means[b] = count @ finite_values / n
        if infinite_values is not None:  # 0 * inf is no number: infinite rows count only where they were drawn
            means[b] += infinite_values[count > 0].sum(axis=0)
    return means


def interval(value: float, draws: ArrayLike, level: float = 0.95) -> Interval:
    """Return the percentile interval: the central part of the draws, by order statistics.

    For the mean of a score with rare large values, the coverage is far below `level`; see `score_interval`.

    Parameters
    ----------
    value : float
        The estimate.
    draws : array_like of shape (b,)
        Bootstrap draws of the estimate, at least one.
    level : float, default 0.95
        Confidence level, between 0 and 1.

    Returns
    -------
    Interval
        The estimate with its interval.

    Raises
    ------
    ValueError
        If `level` is not between 0 and 1, or there are no draws.

    References
    ----------
    Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13.

    Examples
    --------
    >>> interval(0.5, np.arange(1, 100) / 100, 0.9)
    Interval(value=0.5, low=0.05, high=0.95)
    """
    ordered = np.sort(np.asarray(draws, dtype=np.float64))
    if not 0 < level < 1 or ordered.size == 0:
        raise ValueError(
            f"level is {level} and there are {ordered.size} draws: level lies between 0 and 1, one is least."
        )
    cut = round((1 - level) / 2 * (len(ordered) + 1))
    at = min(max(cut - 1, 0), (len(ordered) - 1) // 2)
    return Interval(float(value), float(ordered[at]), float(ordered[-1 - at]))


def label_drawer(P: FloatArray) -> Callable[[np.random.Generator, int], NDArray[np.int64]]:
    """Return a function that draws labels for each row from its probabilities.

    Parameters
    ----------
    P : ndarray of shape (n, q)
        Checked distributions.

    Returns
    -------
    callable
        Function that takes a `numpy.random.Generator` and a number of draws, and returns codes (draws, n) as int64.

    Examples
    --------
    >>> draw = label_drawer(np.array([[1.0, 0.0], [0.0, 1.0]]))
    >>> draw(np.random.default_rng(0), 2)
    array([[0, 1],
           [0, 1]])
    """
    n, q = P.shape
    below = np.cumsum(P, axis=1, dtype=np.float64)[:, :-1]
    if q <= MANY_CLASSES:
        edges = np.ascontiguousarray(below.T)

        def compare(random: np.random.Generator, draws: int) -> NDArray[np.int64]:
            u, codes = random.random((draws, n)), np.zeros((draws, n), dtype=np.uint8)
            for edge in edges:
                codes += edge <= u
            return codes.astype(np.int64)

        return compare
    # The edges of row i lie in [i, i + 1), so that one search returns the classes of all rows. The draws of a row are
    # searched one after another, while its edges are in the cache.
    line = (np.minimum(below, 1.0) + np.arange(n)[:, None]).ravel()
    start = np.arange(n)[:, None] * (q - 1)

    def search(random: np.random.Generator, draws: int) -> NDArray[np.int64]:
        u = np.ascontiguousarray(random.random((draws, n)).T) + np.arange(n)[:, None]
        codes = np.searchsorted(line, u, side="right") - start
        return np.ascontiguousarray(np.clip(codes, 0, q - 1).T, dtype=np.int64)

    return search
