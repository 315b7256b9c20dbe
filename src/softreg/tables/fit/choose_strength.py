"""The model behind a table: fitted at the strength given, or at the one that cross-validation chooses."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from numbers import Integral
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from softreg.models import Path, PathPoint, SoftmaxRegression, SoftmaxRegressionCV
from softreg.models.selection.regularization_path import make_path
from softreg.models.selection.scorers import find_scorer
from softreg.tables.columns.errors import TableError, emit_warnings, pluralize
from softreg.tables.row_selection.time_splits import time_folds

Folder = str | os.PathLike[str] | None
NumericForm = Mapping[Any, str] | None
"""The form of columns of numbers that is asked for, "linear", "scores" or "both", by name of the column."""

FOLDS = 5
WIDE = 10_000
"""Sparse rows of more columns than this, as texts have, are judged by one fold held out: a fit is dear there, and rows
are many."""
FIRST, STRONGEST, WEAKEST = 1e-4, 1.0, 1e-9
"""The strength that is tried first then, and the bounds."""
TURNING = 1 / 3
"""Half a power of ten is not tried if the one before gained less than this share of what the one before that did: on a
parabola, half of it means the vertex, and weak penalties are the dear ones."""
NEAR = 0.03
"""Standard errors of the held-out loss by which a stronger penalty may be worse: weaker ones cost many passes."""
SLIGHT = 0.1
"""Standard errors that the last half power of ten must have gained to be followed by another."""
ROUGH = 1e-4
"""Tolerance of these fits, in nats: the held-out loss is known to a few thousandths."""
STRENGTH = 1e-4
"""What a table gets that is too small for folds."""


@dataclass(frozen=True)
class Choice:
    """How strength and forms of columns are chosen: `folds`, `rule`, "min" or "1se", `scoring`, forms that are given.


    `groups` and `moments` are the group and the time of each row (n,).

    Without a number of folds there are five, fewer where classes or groups are few, and a single fold held out for wide
    sparse rows. Rows of a group stay together. Where the times of the rows are known, `moments`, folds train on the
    past and are judged on what follows.
    """

    folds: int | None = None
    rule: str = "min"
    numeric_form: NumericForm = None
    groups: NDArray[np.int64] | None = None
    scoring: Any = "log_loss"
    moments: NDArray[np.int64] | None = None

    def check(self) -> None:
        """Raise `TableError` for a rule or a number of folds that cannot be, `ValueError` for an unknown score."""
        find_scorer(self.scoring)
        if self.rule not in ("min", "1se"):
            raise TableError(f"rule is {self.rule!r}; expected 'min', the least loss, or '1se', within its error.")
        folds = self.folds
        if folds is not None and (isinstance(folds, bool) or not isinstance(folds, Integral) or folds < 2):
            raise TableError(f"folds is {folds!r}; expected a whole number of at least 2, such as 5.")

    def splits(self, y: NDArray[np.str_], seed: int | None) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
        """The (train, test) rows of each fold, shuffled and stratified, at least two.

        Raises `TableError` where there are too few rows or groups for the number that was asked for.
        """
        from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

        if self.moments is not None:
            return _usable(time_folds(self.moments, self.folds), y)
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
        return _without_single(found, y, apart=self.groups is not None)


def _without_single(
    folds: list[tuple[NDArray[np.intp], NDArray[np.intp]]], y: NDArray[np.str_], *, apart: bool
) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """The folds with test rows, where a class of a single row is judged in none of them.

    It is trained on in all of them, unless rows of its group have to stay `apart` from those that train.
    """
    _, place, counts = np.unique(y, return_inverse=True, return_counts=True)
    single = np.flatnonzero(counts[place] == 1)
    if len(single):
        more = single[:0] if apart else single
        folds = [(np.union1d(train, more), np.setdiff1d(test, single)) for train, test in folds]
    return [(train, test) for train, test in folds if len(test)]


def _usable(
    folds: list[tuple[NDArray[np.int64], NDArray[np.int64]]], y: NDArray[np.str_]
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
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


def fit_model(
    settings: Mapping[str, Any],
    X: Any,
    y: NDArray[np.str_],
    names: NDArray[Any],
    checkpoint: Folder = None,
    choice: Choice = Choice(),  # it is frozen
    *,
    weight: NDArray[np.float64] | None = None,
) -> tuple[SoftmaxRegression, Path | None]:
    """The fitted model, and the path that its strength was chosen from, if `settings["strength"]` is "auto".

    `weight` (n,) is how often each row counts, in the objective and in the held-out loss.

    With a `checkpoint`, the fit at that strength can be interrupted and resumed; the choice starts again.
    """
    if settings["strength"] != "auto":
        return fit_at(settings, X, y, names, checkpoint, weight), None
    found, path = _best(settings, X, y, names, choice, fitted=checkpoint is None, weight=weight)
    if isinstance(found, SoftmaxRegression):
        return found, path
    return fit_at({**settings, "strength": found, "verbose": 0}, X, y, names, checkpoint, weight), path


def choose_strength(
    settings: Mapping[str, Any],
    X: Any,
    y: NDArray[np.str_],
    names: NDArray[Any],
    choice: Choice,
    weight: NDArray[np.float64] | None = None,
) -> tuple[float, Path | None]:
    """The strength that these rows choose, and the path that it was chosen from; None where they are too few."""
    found, path = _best(settings, X, y, names, choice, fitted=False, weight=weight)
    return float(found.strength if isinstance(found, SoftmaxRegression) else found), path


def _best(
    settings: Mapping[str, Any],
    X: Any,
    y: NDArray[np.str_],
    names: NDArray[Any],
    choice: Choice,
    *,
    fitted: bool,
    weight: NDArray[np.float64] | None = None,
) -> tuple[SoftmaxRegression | float, Path | None]:
    """The strength, or the model with it where that is at hand and wanted.

    Folds are shuffled, because rows of a file often stand in some order; wide sparse rows have one fold held out. Where
    fewer than two classes have two rows, nothing can be held out: the strength is then 1e-4, with a `TableWarning`.
    """
    counts = np.sort(np.unique(y, return_counts=True)[1])
    if len(counts) < 2 or counts[-2] < 2:
        emit_warnings(
            [
                f"of the {len(y):,} rows to train on, fewer than two classes have two rows: too few to choose a "
                f"strength by holding rows out, so it is {STRENGTH:g}"
            ]
        )
        return STRENGTH, None
    splits = choice.splits(y, settings["random_state"])
    wide = sp.issparse(X) and X.shape[1] > WIDE and choice.folds is None
    if wide and choice.moments is not None:
        splits = splits[-1:]  # the last one trains on most of the rows
    elif wide:
        splits = splits[:1]
    if wide and choice.scoring == "log_loss":
        return _held_out(settings, X, y, names, splits[0], choice.rule, weight)
    others = {name: value for name, value in settings.items() if name != "strength"}
    search = SoftmaxRegressionCV(cv=splits, rule=choice.rule, scoring=choice.scoring, **others)  # type: ignore[arg-type]
    search._column_names = names
    search.fit(X, y, weight)
    model = search.best_estimator_
    model._column_names = names
    return model if fitted else float(model.strength), search.path_


def _held_out(
    settings: Mapping[str, Any],
    X: Any,
    y: NDArray[np.str_],
    names: NDArray[Any],
    split: tuple[NDArray[np.intp], NDArray[np.intp]],
    rule: str,
    weight: NDArray[np.float64] | None = None,
) -> tuple[float, Path]:
    """The strength that is best on one fold held out, among half powers of ten."""
    train, test = split
    share = 1.0 if rule == "1se" else NEAR
    begun, points = time.perf_counter(), list[PathPoint]()
    told = settings["verbose"] if callable(settings["verbose"]) else None
    X_train, X_test = X[train], X[test]
    while True:
        strength = _next(points, share)
        if strength is None:
            break
        tried = {**settings, "strength": strength, "tol": max(ROUGH, settings["tol"]), "verbose": 0}
        model = fit_at(tried, X_train, y[train], names, weight=None if weight is None else weight[train])
        points.append(_point(model, X_test, y[test], None if weight is None else weight[test]))
        if told is not None:
            told(points[-1])
    least = min(points, key=lambda point: point.log_loss)
    near = [point for point in points if point.log_loss <= least.log_loss + share * least.error]
    best = max(near, key=lambda point: point.strength)
    passes, seconds = sum(point.passes for point in points), time.perf_counter() - begun
    return float(best.strength), make_path(points, best, "log_loss", False, passes=passes, seconds=seconds)


def _next(points: Sequence[PathPoint], share: float = NEAR) -> float | None:
    """The strength to try next: down by half powers of ten until the loss turns, and up while the strongest may do.

    It may where it is the best, or, by the rule of one standard error, within that `share` of the error of the best.
    """
    if not points:
        return FIRST
    order = sorted(points, key=lambda point: -point.strength)
    loss = [point.log_loss for point in order]
    gains = [a - b for a, b in pairwise(loss)]
    turned = bool(gains) and (
        gains[-1] <= 0 or gains[-1] < SLIGHT * order[-1].error or (len(gains) > 1 and gains[-1] < TURNING * gains[-2])
    )
    if not turned and order[-1].strength > WEAKEST:
        return _rounded(order[-1].strength / 10**0.5)
    best = int(np.argmin(loss))
    if (best == 0 or (share == 1 and loss[0] <= loss[best] + order[best].error)) and order[0].strength < STRONGEST:
        return _rounded(order[0].strength * 10**0.5)
    return None


def _rounded(strength: float) -> float:
    """The nearest half power of ten, in three digits."""
    return float(f"{10 ** (round(2 * np.log10(strength)) / 2):.3g}")


def _point(
    model: SoftmaxRegression, X: Any, y: NDArray[np.str_], weight: NDArray[np.float64] | None = None
) -> PathPoint:
    """What a fit without these rows is worth on them, where each counts `weight` times."""
    place = np.searchsorted(model.classes_, y)
    known = np.isin(y, model.classes_)
    P = model.predict_proba(X[known])
    loss = -np.log(np.maximum(P[np.arange(len(P)), place[known]], np.finfo(float).tiny))
    solution = model.solution_
    share = np.full(len(loss), 1 / len(loss)) if weight is None else weight[known] / weight[known].sum()
    mean = float(share @ loss)
    spread = float(np.sqrt((share**2) @ (loss - mean) ** 2))  # the standard error of a weighted mean
    error = spread * float(np.sqrt(len(loss) / max(1, len(loss) - 1)))
    return PathPoint(
        strength=float(model.strength),
        l1_ratio=float(model.l1_ratio),
        scores=np.array([mean]),
        mean=mean,
        error=error,
        log_loss=mean,
        fold_losses=np.array([mean]),
        gap=float(solution.gap),
        nonzero=int(np.count_nonzero(model.coef_)),
        objective=float(solution.value),
        penalty=0.0,
        passes=int(solution.passes),
        settled=True,
    )


def fit_at(
    settings: Mapping[str, Any],
    X: Any,
    y: NDArray[np.str_] | None,
    names: NDArray[Any],
    checkpoint: Folder = None,
    weight: NDArray[np.float64] | None = None,
) -> SoftmaxRegression:
    """The model at the strength of the settings; X may be batches `(X, labels)`, then without y."""
    model = SoftmaxRegression(**settings)
    model._column_names = names
    return model.fit(X, y, weight, checkpoint=checkpoint)
