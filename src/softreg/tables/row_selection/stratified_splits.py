"""Stratified split: training and test rows with nearly the same share of each class."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from softreg.tables.columns.errors import pluralize
from softreg.typing import Codes, Int64Array, RowNumbers


def split_rows(
    codes: NDArray[np.integer[Any]], test_size: float | int = 0.2, seed: int = 0
) -> tuple[RowNumbers, RowNumbers]:
    """Split rows into training and test rows with nearly the same share of each class.

    Of a class with n_c of n rows, n_c T / n rows go to the T test rows, rounded by largest remainders so that the sum
    is T; at least one row of each class stays for training. The same arguments give the same split.

    Parameters
    ----------
    codes : array of int (n,)
        Class of each row.
    test_size : float or int
        Fraction of the rows in (0, 1), or a number of rows, 0 for no test rows.
    seed : int
        Seed of the permutation of the rows.

    Returns
    -------
    train, test : array of int
        Row numbers from 0, sorted.

    Raises
    ------
    ValueError
        If the size is impossible.

    Examples
    --------
    >>> codes = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    >>> train, test = split_rows(codes, 0.25)
    >>> len(train), codes[test].tolist()
    (6, [0, 1])
    """
    _, inverse, counts = np.unique(codes, return_inverse=True, return_counts=True)
    n = int(counts.sum())
    whole = isinstance(test_size, int | np.integer) and not isinstance(test_size, bool)
    if not (whole and test_size >= 0) and not 0 < test_size < 1:
        raise ValueError(
            f"test_size is {test_size!r}; expected a fraction between 0 and 1, or a whole number of rows, "
            "such as 0.2 or 500"
        )
    size = int(test_size) if whole else max(1, round(float(test_size) * n))
    if size > (counts - 1).sum():
        raise ValueError(
            f"test_size={test_size!r} asks for {pluralize(size, 'test row')} of {n:,}, but one row of each "
            f"class ({len(counts):,} in all) must stay for training; choose a smaller test part"
        )
    share = _test_counts(counts, size)
    order = np.random.default_rng(seed).permutation(n)
    order = order[np.argsort(inverse[order], kind="stable")]  # shuffled within classes, class after class
    rank = np.arange(n) - np.repeat(np.cumsum(counts) - counts, counts)
    chosen = rank < np.repeat(share, counts)
    return np.sort(order[~chosen]), np.sort(order[chosen])


def _test_counts(counts: Int64Array, size: int) -> Codes:
    """Return the number of test rows of each class: largest remainders, and never the last row of a class."""
    exact = counts * (size / counts.sum())
    share: Int64Array = np.floor(exact).astype(np.int64)  # below counts, as size is below n
    while (left := size - int(share.sum())) > 0:
        eligible = np.flatnonzero(share < counts - 1)
        first = eligible[np.argsort(share[eligible] - exact[eligible], kind="stable")][:left]
        share[first] += 1
    return share
