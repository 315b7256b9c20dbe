"""Settings of the cross-validation that chooses the strength and the numeric forms, and its folds."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from softreg.models.selection.scorers import find_scorer
from softreg.splits import DEFAULT_FOLDS, Split, stratified_folds
from softreg.tables.columns.table_errors import TableError, pluralize
from softreg.tables.row_selection.table_splits import time_folds
from softreg.typing import Codes, TextArray

NumericForm = Mapping[Any, str] | None
"""Requested form of columns of numbers by column name: "linear", "scores" or "both"."""


@dataclass(frozen=True)
class CrossValidation:
    """Settings of the cross-validation that chooses the strength and the forms of columns of numbers.

    Attributes
    ----------
    folds : int or None
        Number of folds; None for five, fewer with few rows of a class or few groups, and one held-out fold for wide
        sparse rows.
    rule : {"min", "1se"}
        Best score, or the strongest penalty within one standard error of it.
    numeric_form : mapping of str to str, or None
        Requested forms of columns.
    groups : array of int (n,) or None
        Group of each row; no fold separates rows of a group.
    scoring : str or callable
        Score of held-out rows.
    times : array of int (n,) or None
        Time of each row; folds are then trained on the past and tested on the rows that follow.
    """

    folds: int | None = None
    rule: str = "min"
    numeric_form: NumericForm = None
    groups: Codes | None = None
    scoring: Any = "log_loss"
    times: Codes | None = None

    def check(self) -> None:
        """Raise `TableError` for an invalid rule or number of folds, and `ValueError` for an unknown score."""
        find_scorer(self.scoring)
        if self.rule not in ("min", "1se"):
            raise TableError(f"rule is {self.rule!r}; expected 'min', the least loss, or '1se', within its error.")
        folds = self.folds
        if folds is not None and (isinstance(folds, bool) or not isinstance(folds, Integral) or folds < 2):
            raise TableError(f"folds is {folds!r}; expected a whole number of at least 2, such as 5.")

    def splits(self, y: TextArray, seed: int | None) -> list[Split]:
        """Return the training and test rows of each fold, shuffled and stratified, or in the order of time.

        Parameters
        ----------
        y : array of str (n,)
            Labels.
        seed : int or None
            Seed of the shuffle; 0 for None.

        Returns
        -------
        list of Split
            Training and test rows of each fold.

        Raises
        ------
        TableError
            If there are too few rows, groups or times for the number of folds.
        """
        if self.times is not None:
            return _folds_with_two_classes(time_folds(self.times, self.folds), y)
        counts = np.sort(np.unique(y, return_counts=True)[1])
        groups = len(y) if self.groups is None else len(np.unique(self.groups))
        folds = min(DEFAULT_FOLDS, int(counts[-2]), groups) if self.folds is None else self.folds
        if folds > counts[-1]:
            raise TableError(
                f"{folds:,} folds are too many: no class has more than {pluralize(int(counts[-1]), 'row')} to train on."
            )
        if folds > groups or groups < 2:
            raise TableError(
                f"{max(folds, 2):,} folds need as many groups at least, and the rows to train on are in "
                f"{pluralize(groups, 'group')}. Use fewer folds, a finer column of groups, or give the strength."
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that a class has fewer rows than there are folds
            folds_of_rows = stratified_folds(y, folds, groups=self.groups, seed=0 if seed is None else seed)
        return _without_single_row_classes(folds_of_rows, y, apart=self.groups is not None)


DEFAULT_CROSS_VALIDATION = CrossValidation()
"""Folds, rule and scoring where the caller gives none."""


def _without_single_row_classes(folds: list[Split], y: TextArray, *, apart: bool) -> list[Split]:
    """Return the folds without test rows of single-row classes, and without folds whose test part is then empty."""
    # The row of such a class is a training row of every fold, unless groups have to stay `apart`.
    _, codes, counts = np.unique(y, return_inverse=True, return_counts=True)
    single = np.flatnonzero(counts[codes] == 1)
    if len(single):
        more = single[:0] if apart else single
        folds = [Split(np.union1d(train, more), np.setdiff1d(test, single)) for train, test in folds]
    return [fold for fold in folds if len(fold.test)]


def _folds_with_two_classes(folds: list[Split], y: TextArray) -> list[Split]:
    """Return the folds whose training rows have at least two classes, and whose test rows have one of these."""
    usable = [
        fold
        for fold in folds
        if len(np.unique(y[fold.train])) > 1 and np.isin(y[fold.test], np.unique(y[fold.train])).any()
    ]
    if not usable:
        raise TableError(
            "No fold by time has rows of two classes to train on and rows of them that follow: the classes stand one "
            "after the other in time. Give the strength, or leave the column of times out."
        )
    return usable
