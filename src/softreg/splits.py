"""Splits of rows: hold-outs and folds that are stratified, keep groups together or follow time, and samples of rows.

Each function receives codes of classes, groups or times and returns row numbers. The same arguments give the same rows;
models, calibration, tables and commands draw all their splits here.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from softreg.splitmix import keyed_uniform
from softreg.typing import Array, BoolArray, Codes, Float64Array, Int64Array, RowNumbers

DEFAULT_FOLDS = 5
"""Number of folds if none is given, as in scikit-learn."""
SPLIT_STREAM = 1
"""Stream of the hashed row numbers that decide on the test rows of a table that is read in batches."""


class Split(NamedTuple):
    """Training rows and test rows.

    Attributes
    ----------
    train, test : array of int
        Row numbers from 0, sorted.
    """

    train: RowNumbers
    test: RowNumbers


def split_rows(codes: NDArray[np.integer[Any]], test_size: float | int = 0.2, seed: int = 0) -> Split:
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
            f"test_size={test_size!r} asks for {_counted(size, 'test row')} of {n:,}, but one row of each "
            f"class ({len(counts):,} in all) must stay for training; choose a smaller test part"
        )
    order = _shuffled_by_class(inverse, seed)
    rank = np.arange(n) - np.repeat(np.cumsum(counts) - counts, counts)
    chosen = rank < np.repeat(_test_counts(counts, size), counts)
    return Split(np.sort(order[~chosen]), np.sort(order[chosen]))


def _shuffled_by_class(codes: NDArray[np.integer[Any]], seed: int) -> RowNumbers:
    """Return the rows class after class, shuffled within each."""
    order = np.random.default_rng(seed).permutation(len(codes))
    return np.asarray(order[np.argsort(codes[order], kind="stable")])


def _test_counts(counts: Int64Array, size: int) -> Codes:
    """Return the number of test rows of each class: largest remainders, and never the last row of a class."""
    exact = counts * (size / counts.sum())
    share: Int64Array = np.floor(exact).astype(np.int64)  # below counts, as size is below n
    while (left := size - int(share.sum())) > 0:
        eligible = np.flatnonzero(share < counts - 1)
        first = eligible[np.argsort(share[eligible] - exact[eligible], kind="stable")][:left]
        share[first] += 1
    return share


def split_groups(codes: NDArray[np.integer[Any]], groups: Codes, test_size: float = 0.2, seed: int = 0) -> Split:
    """Split rows into training and test rows by whole groups, with nearly the same share of each class.

    Groups are considered in an order drawn by `seed`; a group is held out if it brings the test rows nearer to
    the wanted shares of the classes and leaves every class training rows. The distance is (test rows - wanted rows)² /
    rows of a class, summed over the classes.

    Parameters
    ----------
    codes : array of int (n,)
        Class of each row.
    groups : array of int (n,)
        Group of each row.
    test_size : float
        Share of the rows to hold out.
    seed : int
        Seed of the order.

    Returns
    -------
    train, test : array of int
        Row numbers from 0, sorted.

    Raises
    ------
    ValueError
        If no group can be held out.

    Examples
    --------
    >>> train, test = split_groups(np.tile([0, 1], 50), np.arange(100) // 10, 0.2)
    >>> len(test), sorted(set((test // 10).tolist()) & set((train // 10).tolist()))
    (20, [])
    """
    _, code = np.unique(codes, return_inverse=True)
    _, group = np.unique(groups, return_inverse=True)
    counts = np.zeros((int(group.max()) + 1, int(code.max()) + 1))
    np.add.at(counts, (group, code), 1)
    total = counts.sum(axis=0)
    wanted_rows, held = test_size * total, np.zeros(len(total))

    def far(rows: Float64Array) -> Float64Array:
        return np.asarray(((rows - wanted_rows) ** 2 / total).sum(axis=-1))

    order = np.random.default_rng(seed).permutation(len(counts))
    chosen = []
    for g in order:
        if far(held + counts[g]) < far(held) and (held + counts[g] < total).all():
            held += counts[g]
            chosen.append(g)
    if not chosen:  # all are large: the one that is nearest
        free = [g for g in order if (counts[g] < total).all()]
        if not free:
            raise ValueError(
                f"The rows are in {_counted(len(counts), 'group')}, each of which has all rows of some class, so none "
                "can be held out as a whole. Group by another column, or leave the groups out."
            )
        chosen = [min(free, key=lambda g: float(far(counts[g])))]
    test = np.isin(group, chosen)
    return Split(np.flatnonzero(~test), np.flatnonzero(test))


def split_by_time(times: Codes, test_size: float = 0.2) -> Split:
    """Split rows into training and test rows: the latest rows, nearly a share of `test_size`, are test rows.

    Parameters
    ----------
    times : array of int (n,)
        Times; rows of equal times stay together.
    test_size : float
        Share of the rows to hold out.

    Returns
    -------
    train, test : array of int
        Row numbers from 0, sorted.

    Raises
    ------
    ValueError
        If all rows have one time.

    Examples
    --------
    >>> train, test = split_by_time(np.array([3, 1, 2, 3, 0]), 0.2)
    >>> train.tolist(), test.tolist()
    ([1, 2, 4], [0, 3])
    """
    counts = np.unique(times, return_counts=True)[1]
    if len(counts) < 2:
        raise ValueError("All rows have the same time, so that none is later than others; use another column.")
    after = len(times) - np.cumsum(counts)[:-1]  # rows later than each time but the last
    cut = int(np.abs(after - test_size * len(times)).argmin())
    held = times > np.unique(times)[cut]
    return Split(np.flatnonzero(~held), np.flatnonzero(held))


def split_batch(first: int, count: int, test_size: float, seed: int) -> BoolArray:
    """Return the mask of the training rows of one batch of a table whose rows are not known together.

    Each row is a test row with probability `test_size`, decided by its number in the table and the seed alone, so the
    split does not depend on the batches.

    Parameters
    ----------
    first, count : int
        Number of the first row of the batch, and number of its rows.
    test_size : float
        Share of the rows to hold out.
    seed : int
        Seed of the split.

    Returns
    -------
    array of bool (count,)
        True for training rows.

    Examples
    --------
    >>> whole = split_batch(0, 1000, 0.2, seed=0)
    >>> bool((whole[600:] == split_batch(600, 400, 0.2, seed=0)).all()), bool(abs(whole.mean() - 0.8) < 0.05)
    (True, True)
    """
    return np.asarray(keyed_uniform(np.arange(first, first + count), seed, SPLIT_STREAM) >= test_size)


def stratified_folds(
    y: Array, n_folds: int | None = None, *, groups: Codes | None = None, seed: int | None = None
) -> list[Split]:
    """Return stratified folds, which keep groups together if these are given, as scikit-learn draws them.

    Parameters
    ----------
    y : array (n,)
        Class of each row. Without seed and groups, values that are not classes (fractions) give contiguous folds.
    n_folds : int, optional
        Number of folds; five by default.
    groups : array of int (n,), optional
        Group of each row.
    seed : int, optional
        Seed of the shuffle of the rows of each class, or of the groups; without it, rows are taken in their order.

    Returns
    -------
    list of Split
        Training and test rows of each fold.

    Raises
    ------
    ValueError
        If every class has fewer rows than there are folds, or `n_folds` is not a number of at least 2.

    Warns
    -----
    UserWarning
        If some class has fewer rows than there are folds.

    Examples
    --------
    >>> [fold.test.tolist() for fold in stratified_folds(np.array([0, 0, 0, 0, 1, 1]), 2)]
    [[0, 1, 4], [2, 3, 5]]
    """
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, check_cv  # a single fit does not split

    shuffle: dict[str, Any] = {} if seed is None else {"shuffle": True, "random_state": seed}
    folds = DEFAULT_FOLDS if n_folds is None else n_folds
    if groups is not None:
        splitter = StratifiedGroupKFold(folds, **shuffle)
    else:
        splitter = StratifiedKFold(folds, **shuffle) if shuffle else check_cv(folds, y, classifier=True)
    return [Split(train, test) for train, test in splitter.split(np.zeros((len(y), 1)), y, groups)]


def stratified_fold_numbers(y: NDArray[np.integer[Any]], n_folds: int, seed: int) -> Codes:
    """Return the fold of each row, stratified by class and shuffled, for any number of rows of a class.

    The folds differ in size by one row at most, in all rows and in those of each class. `stratified_folds` refuses more
    folds than the largest class has rows, and draws other rows for the same seed: strengths that cross-validation has
    chosen depend on its draw, and recalibrations on this one.

    Parameters
    ----------
    y : array of int (n,)
        Class of each row.
    n_folds : int
        Number of folds.
    seed : int
        Seed of the permutation of the rows.

    Returns
    -------
    array of int64 (n,)
        Integers from 0 to ``n_folds - 1``.

    Examples
    --------
    >>> np.bincount(stratified_fold_numbers(np.array([0] * 10 + [1] * 5), 5, seed=0)).tolist()
    [3, 3, 3, 3, 3]
    """
    order = _shuffled_by_class(y, seed)
    fold = np.empty(len(y), dtype=np.int64)
    fold[order] = np.arange(len(y)) % n_folds
    return fold


def time_folds(times: Codes, n_folds: int | None = None) -> list[Split]:
    """Return the folds of an expanding window: each is tested on the rows that follow its training rows.

    The rows are cut in time into one part more than there are folds, of about equal size; fold k is trained on the
    first k parts and tested on the next one.

    Parameters
    ----------
    times : array of int (n,)
        Times; rows of equal times are in the same part.
    n_folds : int, optional
        Number of folds; by default five, or fewer where there are few times.

    Returns
    -------
    list of Split
        Training and test rows of each fold.

    Raises
    ------
    ValueError
        If there are too few different times.

    Examples
    --------
    >>> [(train.tolist(), test.tolist()) for train, test in time_folds(np.array([0, 1, 1, 2]), 2)]
    [([0], [1, 2]), ([0, 1, 2], [3])]
    """
    distinct, time_index, counts = np.unique(times, return_inverse=True, return_counts=True)
    folds = min(DEFAULT_FOLDS, len(distinct) - 1) if n_folds is None else n_folds
    if folds < 1 or folds > len(distinct) - 1:
        raise ValueError(
            f"{_counted(max(folds, 1), 'fold')} by time must have at least {max(folds, 1) + 1:,} different times, and "
            f"the rows to train on have {len(distinct):,}. Use fewer folds, a finer column of times, or give the "
            "strength."
        )
    middle = (np.cumsum(counts) - counts / 2) / len(times)  # of the rows of each time, in the order of time
    part = np.minimum((middle * (folds + 1)).astype(np.int64), folds)
    used, part = np.unique(part, return_inverse=True)
    if len(used) <= folds and n_folds is not None:
        # Some times have very many rows: the requested number of parts, by distinct times.
        part = np.arange(len(distinct)) * (folds + 1) // len(distinct)
    of_row = part[time_index]
    return [Split(np.flatnonzero(of_row < k), np.flatnonzero(of_row == k)) for k in range(1, int(part.max()) + 1)]


def sample_rows(n: int, size: int, seed: int) -> RowNumbers:
    """Return a uniform sample of at most `size` of n rows, without replacement.

    Parameters
    ----------
    n, size : int
        Number of rows, and largest number of rows of the sample.
    seed : int
        Seed of the permutation of the rows.

    Returns
    -------
    array of int
        Row numbers from 0, sorted; all rows if there are no more than `size`.

    Examples
    --------
    >>> sample_rows(3, 5, seed=0).tolist(), len(sample_rows(100, 5, seed=0))
    ([0, 1, 2], 5)
    """
    if n <= size:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).permutation(n)[:size])


def one_of_each(groups: NDArray[Any]) -> Codes:
    """Return the index of one random row of each group, the same for the same groups.

    Parameters
    ----------
    groups : array of shape (n,)
        Equal values mark rows of one group.

    Returns
    -------
    array of int
        Indices in ascending order.

    Examples
    --------
    >>> len(one_of_each(np.array(["a", "b", "a"])))
    2
    """
    order = np.random.default_rng(0).permutation(len(groups))
    return np.sort(order[np.unique(groups[order], return_index=True)[1]])


def _counted(count: int, noun: str) -> str:
    """Return a count with its noun in singular or plural."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
