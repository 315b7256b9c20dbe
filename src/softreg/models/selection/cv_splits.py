"""Folds of cross-validation: who trains on which rows, who is judged on which."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from softreg.models.inputs.row_keys import RowKeys, read_row_keys
from softreg.probability.label_arrays import spell
from softreg.rows import Array


@dataclass(frozen=True)
class Folds:
    """K folds of n rows: how often each row counts in the training of each (K, n), and the rows that judge each."""

    train: Array
    test: tuple[NDArray[np.intp], ...]

    def __len__(self) -> int:
        return len(self.test)

    def layers(self) -> tuple[Array, Array]:
        """Which fold judges each row, (L, n), -1 for none, and the layer of each fold (K,).

        One layer is enough where no row is tested twice; repeated cross-validation needs one a repetition.
        """
        n = self.train.shape[1]
        judge, layer = np.full((0, n), -1), np.zeros(len(self), dtype=np.intp)
        for k, rows in enumerate(self.test):
            free = [at for at, taken in enumerate(judge) if (taken[rows] < 0).all()]
            if not free:
                judge = np.concatenate([judge, np.full((1, n), -1)])
                free = [len(judge) - 1]
            layer[k] = free[0]
            judge[free[0], rows] = k
        return judge, layer


def make_folds(cv: Any, X: Any, y: NDArray[Any], groups: Any, kept: NDArray[np.bool_]) -> Folds | None:
    """The folds of `cv` among the rows that are kept: those of weight 0 count nowhere.

    `cv` is what scikit-learn takes: a number of (stratified) folds, a splitter, or an iterable of (train, test) row
    numbers or masks; with `groups` (n,), a number of folds keeps the rows of a group together. `y` (n,) are hard labels
    to stratify by. A number of folds splits the rows that are kept; what knows row numbers of its own splits all.
    None for "loo", which has none. Raises `ValueError` for a split that cannot be used, naming it; warns of rows that
    judge a fold trained on them.
    """
    if isinstance(cv, str):
        if groups is not None:
            raise ValueError(
                "cv='loo' leaves out single rows, so groups would not stay together; leave out group after group by "
                "cv=LeaveOneGroupOut(), or use a number of folds, which keep groups together."
            )
        return None
    places, counted = np.flatnonzero(kept), np.isscalar(cv) or cv is None
    given = None if groups is None else _groups(groups, kept if counted else np.ones(len(y), dtype=bool))
    if counted:
        splits = _count(cv, y[places], None if given is None else given.codes[places])
        position = np.arange(len(places))
    else:
        together = None if given is None else given.values if given.sortable else given.codes
        splits = _splits(cv, X, y, together)
        position = np.where(kept, np.cumsum(kept) - 1, -1)
    train, test = [], []
    for k, pair in enumerate(splits):
        learn, judge = (position[rows] for rows in _pair(pair, len(position), k))
        learn, judge = learn[learn >= 0], np.unique(judge[judge >= 0])
        if len(learn) == 0:
            raise ValueError(f"fold {k} of cv has no training rows{_that_count(kept)}; give it some, or leave it out.")
        train.append(np.bincount(learn, minlength=len(places)).astype(np.float64))
        test.append(judge)
    if not test:
        raise ValueError("cv gives no folds; an iterator gives its folds once only, so hand in a list of them.")
    if not sum(len(rows) for rows in test):
        raise ValueError(f"no fold of cv has test rows{_that_count(kept)}, so no strength could be judged.")
    _warn_of_seen(train, test)
    return Folds(np.stack(train), tuple(test))


def _groups(groups: Any, needed: NDArray[np.bool_]) -> RowKeys:
    """The group of each row; raises `ValueError` for a row that is needed and has none."""
    advice = "Rows of one group stay together in a fold: give this row a group of its own, or leave it out."
    return read_row_keys(groups, len(needed), "groups", advice, needed)


def _count(count: Any, y: NDArray[Any], groups: NDArray[Any] | None) -> Iterable[Any]:
    """The splits of a number of folds, stratified; with groups, those of a group in one fold."""
    from sklearn.model_selection import StratifiedGroupKFold, check_cv  # not at the top: most who fit never split

    if isinstance(count, (bool, np.bool_)):
        raise ValueError(f"cv={count}: it is a number of folds of at least 2, a splitter, an iterable of splits.")
    if groups is None:
        return check_cv(count, y, classifier=True).split(np.zeros((len(y), 1)), y)  # type: ignore[no-any-return]
    folds, found = 5 if count is None else count, len(np.unique(groups))
    if found < folds:
        raise ValueError(
            f"cv={folds} folds need as many groups at least, but groups has {found}: rows of a group stay together. "
            "Use fewer folds."
        )
    return StratifiedGroupKFold(folds).split(np.zeros((len(y), 1)), y, groups)  # type: ignore[no-any-return]


def _splits(cv: Any, X: Any, y: NDArray[Any], groups: NDArray[Any] | None) -> Iterable[Any]:
    """The splits of a splitter, or those of an iterable."""
    if isinstance(cv, type):
        raise ValueError(f"cv is the class {cv.__name__}; hand in one of it: {cv.__name__}().")
    if hasattr(cv, "split"):
        covered = getattr(cv, "test_fold", None)  # of PredefinedSplit, which never looks at the rows
        if isinstance(covered, np.ndarray) and len(covered) != len(y):
            raise ValueError(f"cv tells the folds of {len(covered)} rows, but X has {len(y)}.")
        return cv.split(X, y, groups)  # type: ignore[no-any-return]
    if isinstance(cv, Iterable) and not isinstance(cv, Mapping):
        return cv
    raise ValueError(f"cv={cv!r} is neither a number of folds, a splitter, an iterable of (train, test), nor 'loo'.")


def _pair(pair: Any, n: int, fold: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The row numbers of training and test rows of a fold."""
    try:
        learn, judge = pair
    except (TypeError, ValueError):
        raise ValueError(
            f"fold {fold} of cv is no pair but {pair!r:.60}; expected (train, test), two lists of row numbers or masks."
        ) from None
    return _numbers(learn, n, fold, "train"), _numbers(judge, n, fold, "test")


def _warn_of_seen(train: list[Array], test: list[NDArray[np.intp]]) -> None:
    """Say which fold is judged by rows that it was trained on."""
    for k, (count, rows) in enumerate(zip(train, test, strict=True)):
        seen = int((count[rows] > 0).sum())
        if seen:
            warnings.warn(
                f"fold {k} of cv trains on {seen} of its {len(rows)} test rows: what it has seen flatters its score, "
                "and weak penalties most. Leave the test rows out of the training rows.",
                UserWarning,
                stacklevel=4,
            )
            return


def _that_count(kept: NDArray[np.bool_]) -> str:
    return "" if kept.all() else " with a weight above zero"


def _numbers(rows: Any, n: int, fold: int, what: str) -> NDArray[np.intp]:
    """Row numbers from numbers or a mask."""
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
            f"the {what} rows of fold {fold} of cv reach from {values.min()} to {values.max()}, but X has {n} rows, "
            f"0 to {n - 1}."
        )
    return np.asarray(np.where(values < 0, values + n, values), dtype=np.intp)


def check_fold_classes(mass: Array, classes: NDArray[Any]) -> None:
    """Raise `ValueError` for a fold (K, q) whose training rows show fewer than two classes."""
    shown = (mass > 0).sum(axis=1)
    if (shown < 2).any():
        k = int((shown < 2).argmax())
        only = classes[int(mass[k].argmax())]
        raise ValueError(
            f"fold {k} of cv trains on rows of one class only, {spell(only)}, so it has nothing to tell apart; use "
            "folds that mix the classes (shuffled or stratified), or fewer of them."
        )
