"""Splits of cross-validation: the training rows and the test rows of each fold."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from softreg.models.inputs.row_keys import RowKeys, read_row_keys
from softreg.probability.label_arrays import spell
from softreg.splits import DEFAULT_FOLDS, stratified_folds
from softreg.typing import Array, BoolArray, Float64Array, IntArray


@dataclass(frozen=True)
class Folds:
    """K folds of n rows.

    Parameters
    ----------
    train : ndarray of shape (K, n)
        How often each row counts in the training of each fold.
    test : tuple of K ndarrays of int
        Test rows of each fold.
    """

    train: Float64Array
    test: tuple[IntArray, ...]

    def __len__(self) -> int:
        return len(self.test)

    def layers(self) -> tuple[IntArray, IntArray]:
        """Return the folds that test each row, in layers that have at most one fold for each row.

        One layer suffices unless a row is tested twice; repeated cross-validation needs one for each repetition.

        Returns
        -------
        fold_of_row : ndarray of int, shape (L, n)
            Fold that tests each row in each layer; -1 for none.
        layer_of_fold : ndarray of int, shape (K,)
            Layer of each fold.
        """
        n = self.train.shape[1]
        fold_of_row, layer_of_fold = np.full((0, n), -1), np.zeros(len(self), dtype=np.intp)
        for k, rows in enumerate(self.test):
            free = [layer for layer, folds in enumerate(fold_of_row) if (folds[rows] < 0).all()]
            if not free:
                fold_of_row = np.concatenate([fold_of_row, np.full((1, n), -1)])
                free = [len(fold_of_row) - 1]
            layer_of_fold[k] = free[0]
            fold_of_row[free[0], rows] = k
        return fold_of_row, layer_of_fold


def make_folds(cv: Any, X: Any, y: Array, groups: Any, kept: BoolArray) -> Folds | None:
    """Return the folds of cross-validation among the rows with a positive weight.

    Parameters
    ----------
    cv : int, splitter, iterable or "loo"
        As in scikit-learn: a number of stratified folds, a splitter, or an iterable of (train, test) row numbers or
        masks. A number of folds splits the rows that are kept; others have row numbers of their own and split all rows.
    X : array of shape (n, d)
        Features, for splitters.
    y : ndarray of shape (n,)
        Hard labels to stratify by.
    groups : array of shape (n,) or None
        Rows of equal values stay together in a number of folds; a splitter receives them.
    kept : ndarray of bool, shape (n,)
        Rows with a positive weight.

    Returns
    -------
    Folds or None
        Folds of the kept rows; None for "loo".

    Raises
    ------
    ValueError
        If a split cannot be used; the message names the fold.

    Warns
    -----
    UserWarning
        If a fold is tested on rows that it is trained on.
    """
    if isinstance(cv, str):
        if groups is not None:
            raise ValueError(
                "cv='loo' leaves out single rows, so groups would not stay together; leave out group after group by "
                "cv=LeaveOneGroupOut(), or use a number of folds, which keep groups together."
            )
        return None
    kept_rows, is_count = np.flatnonzero(kept), np.isscalar(cv) or cv is None
    keys = None if groups is None else _group_keys(groups, kept if is_count else np.ones(len(y), dtype=bool))
    if is_count:
        splits = _splits_of_count(cv, y[kept_rows], None if keys is None else keys.codes[kept_rows])
        position = np.arange(len(kept_rows))
    else:
        group_values = None if keys is None else keys.values if keys.sortable else keys.codes
        splits = _splits_of_splitter(cv, X, y, group_values)
        position = np.where(kept, np.cumsum(kept) - 1, -1)
    train, test = [], []
    for k, pair in enumerate(splits):
        train_rows, test_rows = (position[rows] for rows in _train_and_test(pair, len(position), k))
        train_rows, test_rows = train_rows[train_rows >= 0], np.unique(test_rows[test_rows >= 0])
        if len(train_rows) == 0:
            raise ValueError(
                f"fold {k} of cv has no training rows{_weight_condition(kept)}; give it some, or leave it out."
            )
        train.append(np.bincount(train_rows, minlength=len(kept_rows)).astype(np.float64))
        test.append(test_rows)
    if not test:
        raise ValueError("cv gives no folds; an iterator gives its folds once only, so pass a list of them.")
    if not sum(len(rows) for rows in test):
        raise ValueError(f"no fold of cv has test rows{_weight_condition(kept)}, so no strength can be scored.")
    _warn_if_tested_on_training_rows(train, test)
    return Folds(np.stack(train), tuple(test))


def check_fold_classes(mass: Float64Array, classes: Array) -> None:
    """Raise `ValueError` for a fold whose training rows, with class masses (K, q), have fewer than two classes."""
    n_classes = (mass > 0).sum(axis=1)
    if (n_classes < 2).any():
        k = int((n_classes < 2).argmax())
        only = classes[int(mass[k].argmax())]
        raise ValueError(
            f"fold {k} of cv trains on rows of one class only, {spell(only)}, and a classifier needs two; use folds "
            "that mix the classes (shuffled or stratified), or fewer of them."
        )


def _group_keys(groups: Any, needed: BoolArray) -> RowKeys:
    """Return the group of each row; raise `ValueError` for a needed row without one."""
    advice = "Rows of one group stay together in a fold: give this row a group of its own, or leave it out."
    return read_row_keys(groups, len(needed), "groups", advice, needed)


def _splits_of_count(count: Any, y: Array, groups: IntArray | None) -> Iterable[Any]:
    """Return the splits of a number of stratified folds, which keep groups together."""
    if isinstance(count, (bool, np.bool_)):
        raise ValueError(f"cv={count}: it is a number of folds of at least 2, a splitter, an iterable of splits.")
    if groups is None:
        return stratified_folds(y, count)
    n_folds, n_groups = DEFAULT_FOLDS if count is None else count, len(np.unique(groups))
    if n_groups < n_folds:
        raise ValueError(
            f"cv={n_folds} folds need as many groups at least, but groups has {n_groups}: rows of a group stay "
            "together. Use fewer folds."
        )
    return stratified_folds(y, n_folds, groups=groups)


def _splits_of_splitter(cv: Any, X: Any, y: Array, groups: Array | None) -> Iterable[Any]:
    """Return the splits of a splitter or an iterable."""
    if isinstance(cv, type):
        raise ValueError(f"cv is the class {cv.__name__}; pass an instance of it: {cv.__name__}().")
    if hasattr(cv, "split"):
        test_fold = getattr(cv, "test_fold", None)  # PredefinedSplit does not compare its rows with X
        if isinstance(test_fold, np.ndarray) and len(test_fold) != len(y):
            raise ValueError(f"cv gives the folds of {len(test_fold)} rows, but X has {len(y)}.")
        return cv.split(X, y, groups)  # type: ignore[no-any-return]
    if isinstance(cv, Iterable) and not isinstance(cv, Mapping):
        return cv
    raise ValueError(f"cv={cv!r} is neither a number of folds, a splitter, an iterable of (train, test), nor 'loo'.")


def _train_and_test(pair: Any, n: int, fold: int) -> tuple[IntArray, IntArray]:
    """Return the row numbers of the training rows and the test rows of a fold."""
    try:
        train, test = pair
    except (TypeError, ValueError):
        raise ValueError(
            f"fold {fold} of cv is not a pair but {pair!r:.60}; expected (train, test), two lists of row numbers or "
            "masks."
        ) from None
    return _row_numbers(train, n, fold, "train"), _row_numbers(test, n, fold, "test")


def _warn_if_tested_on_training_rows(train: list[Float64Array], test: list[IntArray]) -> None:
    """Warn of the first fold that is tested on rows that it is trained on."""
    for k, (count, rows) in enumerate(zip(train, test, strict=True)):
        shared = int((count[rows] > 0).sum())
        if shared:
            warnings.warn(
                f"fold {k} of cv trains on {shared} of its {len(rows)} test rows: its score is too optimistic, most of "
                "all for weak penalties. Leave the test rows out of the training rows.",
                UserWarning,
                stacklevel=4,
            )
            return


def _weight_condition(kept: BoolArray) -> str:
    """Return the condition on rows in messages, if some rows have the weight zero."""
    return "" if kept.all() else " with a weight above zero"


def _row_numbers(rows: Any, n: int, fold: int, what: str) -> IntArray:
    """Return row numbers from numbers or a mask; raise `ValueError` for numbers outside the n rows."""
    values = np.asarray(rows)
    if values.dtype == bool and values.shape == (n,):
        return np.flatnonzero(values)
    if values.size == 0:
        return np.zeros(0, dtype=np.intp)
    if values.ndim != 1 or values.dtype.kind not in "iu":
        raise ValueError(
            f"the {what} rows of fold {fold} of cv are {values.dtype} of shape {values.shape}; expected row numbers "
            f"or a mask of the {n} rows."
        )
    if values.min() < -n or values.max() >= n:
        raise ValueError(
            f"the {what} rows of fold {fold} of cv range from {values.min()} to {values.max()}, but X has {n} rows, "
            f"0 to {n - 1}."
        )
    return np.asarray(np.where(values < 0, values + n, values), dtype=np.intp)
