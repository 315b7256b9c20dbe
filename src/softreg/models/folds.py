"""Folds of cross-validation: who trains on which rows, who is judged on which."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

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


def make_folds(cv: Any, X: Any, y: NDArray[Any], groups: Any, kept: NDArray[np.bool_]) -> Folds:
    """The folds of `cv` among the rows that are kept: those of weight 0 count nowhere.

    `cv` is what scikit-learn takes: a number of (stratified) folds, a splitter, or an iterable of (train, test) row
    numbers or masks. `y` (n,) are hard labels to stratify by. A number of folds splits the rows that are kept; what
    knows row numbers of its own splits all. Raises `ValueError` for a split that cannot be used, naming it.
    """
    from sklearn.model_selection import check_cv  # not at the top: most who fit never split

    places = np.flatnonzero(kept)
    whole = np.isscalar(cv) or cv is None
    splitter = check_cv(cv, y[places] if whole else y, classifier=True)
    if whole:
        given: Iterable[Any] = splitter.split(np.zeros((len(places), 1)), y[places], groups)
        position = np.arange(len(places))
    else:
        given = splitter.split(X, y, groups)
        position = np.where(kept, np.cumsum(kept) - 1, -1)
    train, test = [], []
    for k, (learn, judge) in enumerate(given):
        learn, judge = (_numbers(rows, len(position), k, what) for rows, what in ((learn, "train"), (judge, "test")))
        learn, judge = position[learn], position[judge]
        learn, judge = learn[learn >= 0], judge[judge >= 0]
        if len(learn) == 0:
            raise ValueError(f"fold {k} of cv has no training rows{_that_count(kept)}; give it some, or leave it out.")
        train.append(np.bincount(learn, minlength=len(places)).astype(np.float64))
        test.append(np.unique(judge))
    if not sum(len(rows) for rows in test):
        raise ValueError(f"no fold of cv has test rows{_that_count(kept)}, so no strength could be judged.")
    return Folds(np.stack(train), tuple(test))


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


def class_mass(V: Array, labels: Array, q: int) -> Array:
    """How much weight each class (q) has among the rows of each model (m), (m, q)."""
    if labels.ndim == 2:
        return np.asarray(V @ labels)
    return np.stack([np.bincount(labels, weights=row, minlength=q) for row in V])


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


def unseen_classes(mass: Array, tested: Array, classes: NDArray[Any]) -> list[Any]:
    """The classes that some fold is judged on (K, q) but never saw in training (K, q)."""
    lost = ((mass == 0) & (tested > 0)).any(axis=0)
    return [classes[k] for k in np.flatnonzero(lost)]
