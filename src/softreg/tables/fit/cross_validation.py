"""Settings of the cross-validation that chooses the strength and the numeric forms, and its folds."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from softreg.models.selection.scorers import find_scorer
from softreg.tables.columns.errors import TableError, pluralize
from softreg.tables.row_selection.time_splits import time_folds
from softreg.typing import Codes, IntArray, RowNumbers, TextArray

NumericForm = Mapping[Any, str] | None
"""The form of columns of numbers that is asked for, "linear", "scores" or "both", by name of the column."""

FOLDS = 5


@dataclass(frozen=True)
class CrossValidation:
    """How strength and forms of columns are chosen: `folds`, `rule`, "min" or "1se", `scoring`, forms that are given.


    `groups` and `moments` are the group and the time of each row (n,).

    Without a number of folds there are five, fewer where classes or groups are few, and a single fold held out for wide
    sparse rows. Rows of a group stay together. Where the times of the rows are known, `moments`, folds train on the
    past and are judged on what follows.
    """

    folds: int | None = None
    rule: str = "min"
    numeric_form: NumericForm = None
    groups: Codes | None = None
    scoring: Any = "log_loss"
    moments: Codes | None = None

    def check(self) -> None:
        """Raise `TableError` for a rule or a number of folds that cannot be, `ValueError` for an unknown score."""
        find_scorer(self.scoring)
        if self.rule not in ("min", "1se"):
            raise TableError(f"rule is {self.rule!r}; expected 'min', the least loss, or '1se', within its error.")
        folds = self.folds
        if folds is not None and (isinstance(folds, bool) or not isinstance(folds, Integral) or folds < 2):
            raise TableError(f"folds is {folds!r}; expected a whole number of at least 2, such as 5.")

    def splits(self, y: TextArray, seed: int | None) -> list[tuple[IntArray, IntArray]]:
        """The (train, test) rows of each fold, shuffled and stratified, at least two.

        Raises `TableError` where there are too few rows or groups for the number that was asked for.
        """
        from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

        if self.moments is not None:
            return _folds_with_two_classes(time_folds(self.moments, self.folds), y)
        counts = np.sort(np.unique(y, return_counts=True)[1])
        groups = len(y) if self.groups is None else len(np.unique(self.groups))
        folds = min(FOLDS, int(counts[-2]), groups) if self.folds is None else self.folds
        if folds > counts[-1]:
            raise TableError(
                f"{folds:,} folds are too many: no class has more than {pluralize(int(counts[-1]), 'row')} to train on."
            )
        if folds > groups or groups < 2:
            raise TableError(
                f"{max(folds, 2):,} folds need as many groups at least, and the rows to train on are in "
                f"{pluralize(groups, 'group')}. Use fewer folds, a finer column of groups, or give the strength."
            )
        kind = StratifiedKFold if self.groups is None else StratifiedGroupKFold
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that a class has fewer rows than there are folds
            splitter = kind(folds, shuffle=True, random_state=0 if seed is None else seed)
            found = list(splitter.split(np.zeros((len(y), 1)), y, self.groups))
        return _without_single_row_classes(found, y, apart=self.groups is not None)


DEFAULT_CROSS_VALIDATION = CrossValidation()
"""Folds, rule and scoring where the caller gives none."""


def _without_single_row_classes(
    folds: list[tuple[IntArray, IntArray]], y: TextArray, *, apart: bool
) -> list[tuple[IntArray, IntArray]]:
    """The folds with test rows, where a class of a single row is judged in none of them.

    It is trained on in all of them, unless rows of its group have to stay `apart` from those that train.
    """
    _, place, counts = np.unique(y, return_inverse=True, return_counts=True)
    single = np.flatnonzero(counts[place] == 1)
    if len(single):
        more = single[:0] if apart else single
        folds = [(np.union1d(train, more), np.setdiff1d(test, single)) for train, test in folds]
    return [(train, test) for train, test in folds if len(test)]


def _folds_with_two_classes(
    folds: list[tuple[RowNumbers, RowNumbers]], y: TextArray
) -> list[tuple[RowNumbers, RowNumbers]]:
    """The folds whose training rows hold two classes, and whose test rows hold one of these."""
    found = [
        (train, test)
        for train, test in folds
        if len(np.unique(y[train])) > 1 and np.isin(y[test], np.unique(y[train])).any()
    ]
    if not found:
        raise TableError(
            "No fold by time has rows of two classes to train on and rows of them that follow: the classes stand one "
            "after the other in time. Give the strength, or leave the column of times out."
        )
    return found
