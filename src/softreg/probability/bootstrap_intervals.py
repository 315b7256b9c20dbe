"""Resampling: the bootstrap of means over rows, and labels drawn from predicted probabilities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from softreg.typing import FloatArray

MOST_NUMBERS = 50_000_000
"""Rows times draws: beyond it fewer draws are made, never less than LEAST_DRAWS."""
LEAST_DRAWS = 199
MANY_CLASSES = 32
"""Above this many classes a draw looks its class up; below, it is compared with each."""


@dataclass(frozen=True)
class Interval:
    """A figure with its confidence interval.

    >>> print(Interval(0.25, 0.2, 0.3))
    0.25 (0.2 to 0.3)
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.4g} ({self.low:.4g} to {self.high:.4g})"


def draws_for(n: int, draws: int) -> int:
    """Return number of draws of n rows where `draws` are asked for; fewer where n is large.

    Returns
    -------
    int
        Number of draws of n rows where `draws` are asked for; fewer where n is large.

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
    values : array_like
        (n,) or (n, s), one or several numbers a row; inf is allowed.
    draws : int, default 999
        Made as asked up to 50 million drawn rows in all, then fewer, at least 199.

    Returns
    -------
    ndarray of float64
        (draws,) or (draws, s). The same seed gives the same draws.

    Raises
    ------
    ValueError
        For no rows.

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
    plain = v if finite.all() else np.where(finite, v, 0.0)
    endless = None if finite.all() else np.where(finite, 0.0, v)
    means = np.empty((draws_for(n, draws), *v.shape[1:]))
    for b in range(len(means)):
        count = np.bincount(random.integers(n, size=n, dtype=np.int32 if n < 2**31 else np.int64), minlength=n)
        means[b] = count @ plain / n
        if endless is not None:  # 0 * inf is no number: infinite rows count only where they were drawn
            means[b] += endless[count > 0].sum(axis=0)
    return means


def interval(value: float, draws: ArrayLike, level: float = 0.95) -> Interval:
    """Return the percentile interval: the central part of the draws, by order statistics.

    For the mean of a score of which large values are rare, its coverage is far below `level`; see `score_interval`.

    Parameters
    ----------
    value : float
        The figure itself.
    draws : array_like
        (b,), at least one.
    level : float, default 0.95
        Between 0 and 1.

    Returns
    -------
    Interval
        An `Interval`.

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


def label_drawer(P: FloatArray) -> Callable[[np.random.Generator], NDArray[np.int64]]:
    """Return a function that draws a label for each row from its own probabilities.

    Parameters
    ----------
    P : ndarray
        (n, q), checked distributions.

    Returns
    -------
    Callable[[np.random.Generator], ndarray of int64]
        Draw(random) -> codes (n,).

    Examples
    --------
    >>> draw = label_drawer(np.array([[1.0, 0.0], [0.0, 1.0]]))
    >>> draw(np.random.default_rng(0))
    array([0, 1])
    """
    n, q = P.shape
    below = np.cumsum(P, axis=1, dtype=np.float64)[:, :-1]
    if q <= MANY_CLASSES:
        edges = np.ascontiguousarray(below.T)

        def compare(random: np.random.Generator) -> NDArray[np.int64]:
            u, codes = random.random(n), np.zeros(n, dtype=np.uint8)
            for edge in edges:
                codes += edge <= u
            return codes.astype(np.int64)

        return compare
    # All rows on one line, row i in [i, i + 1): one search finds every class at once.
    line = (np.minimum(below, 1.0) + np.arange(n)[:, None]).ravel()
    start = np.arange(n) * (q - 1)

    def search(random: np.random.Generator) -> NDArray[np.int64]:
        found = np.searchsorted(line, random.random(n) + np.arange(n), side="right") - start
        return np.asarray(np.clip(found, 0, q - 1), dtype=np.int64)

    return search
