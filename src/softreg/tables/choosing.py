"""The model behind a table: fitted at the strength given, or at the one that cross-validation chooses."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from softreg.models import Path, PathPoint, SoftmaxRegression, SoftmaxRegressionCV
from softreg.models.path import make_path
from softreg.tables.errors import TableWarning

Folder = str | os.PathLike[str] | None
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


def fit_model(
    settings: Mapping[str, Any], X: Any, y: NDArray[np.str_], names: NDArray[Any], checkpoint: Folder = None
) -> tuple[SoftmaxRegression, Path | None]:
    """The fitted model, and the path that its strength was chosen from, if `settings["strength"]` is "auto".

    With a `checkpoint`, the fit at that strength can be killed and taken up again; the choice begins anew.
    """
    if settings["strength"] != "auto":
        return fit_at(settings, X, y, names, checkpoint), None
    found, path = _best(settings, X, y, names, fitted=checkpoint is None)
    if isinstance(found, SoftmaxRegression):
        return found, path
    return fit_at({**settings, "strength": found, "verbose": 0}, X, y, names, checkpoint), path


def choose_strength(
    settings: Mapping[str, Any], X: Any, y: NDArray[np.str_], names: NDArray[Any]
) -> tuple[float, Path | None]:
    """The strength that these rows choose, and the path that it was chosen from; None where they are too few."""
    found, path = _best(settings, X, y, names, fitted=False)
    return float(found.strength if isinstance(found, SoftmaxRegression) else found), path


def _best(
    settings: Mapping[str, Any], X: Any, y: NDArray[np.str_], names: NDArray[Any], *, fitted: bool
) -> tuple[SoftmaxRegression | float, Path | None]:
    """The strength, or the model with it where that is at hand and wanted.

    Folds are shuffled, because rows of a file often stand in some order; wide sparse rows have one fold held out. Where
    fewer than two classes have two rows, nothing can be held out: the strength is then 1e-4, with a `TableWarning`.
    """
    counts = np.sort(np.unique(y, return_counts=True)[1])
    if len(counts) < 2 or counts[-2] < 2:
        warnings.warn(
            f"of the {len(y):,} rows to train on, fewer than two classes have two rows: too few to choose a strength "
            f"by holding rows out, so it is {STRENGTH:g}",
            TableWarning,
            stacklevel=5,
        )
        return STRENGTH, None
    if sp.issparse(X) and X.shape[1] > WIDE:
        return _held_out(settings, X, y, names)
    others = {name: value for name, value in settings.items() if name != "strength"}
    splits = _splits(y, min(FOLDS, int(counts[-2])), settings["random_state"])
    choice = SoftmaxRegressionCV(cv=splits, **others)
    choice._column_names = names
    choice.fit(X, y)
    model = choice.best_estimator_
    model._column_names = names
    return model if fitted else float(model.strength), choice.path_


def _held_out(settings: Mapping[str, Any], X: Any, y: NDArray[np.str_], names: NDArray[Any]) -> tuple[float, Path]:
    """The strength that is best on one fold held out, among half powers of ten."""
    counts = np.unique(y, return_counts=True)[1]
    train, test = _splits(y, min(FOLDS, int(np.sort(counts)[-2])), settings["random_state"])[0]
    begun, points = time.perf_counter(), list[PathPoint]()
    told = settings["verbose"] if callable(settings["verbose"]) else None
    X_train, X_test = X[train], X[test]
    while True:
        strength = _next(points)
        if strength is None:
            break
        tried = {**settings, "strength": strength, "tol": max(ROUGH, settings["tol"]), "verbose": 0}
        model = fit_at(tried, X_train, y[train], names)
        points.append(_point(model, X_test, y[test]))
        if told is not None:
            told(points[-1])
    least = min(points, key=lambda point: point.log_loss)
    near = [point for point in points if point.log_loss <= least.log_loss + NEAR * least.error]
    best = max(near, key=lambda point: point.strength)
    passes, seconds = sum(point.passes for point in points), time.perf_counter() - begun
    return float(best.strength), make_path(points, best, "log_loss", False, passes=passes, seconds=seconds)


def _next(points: Sequence[PathPoint]) -> float | None:
    """The strength to try next: down by half powers of ten until the loss turns, and up if it was best at the first."""
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
    if min(loss) == loss[0] and order[0].strength < STRONGEST:
        return _rounded(order[0].strength * 10**0.5)
    return None


def _rounded(strength: float) -> float:
    """The nearest half power of ten, in three digits."""
    return float(f"{10 ** (round(2 * np.log10(strength)) / 2):.3g}")


def _point(model: SoftmaxRegression, X: Any, y: NDArray[np.str_]) -> PathPoint:
    """What a fit without these rows is worth on them."""
    place = np.searchsorted(model.classes_, y)
    known = np.isin(y, model.classes_)
    P = model.predict_proba(X[known])
    loss = -np.log(np.maximum(P[np.arange(len(P)), place[known]], np.finfo(float).tiny))
    mean, solution = float(loss.mean()), model.solution_
    error = float(loss.std() / np.sqrt(max(1, len(loss) - 1)))
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
    settings: Mapping[str, Any], X: Any, y: NDArray[np.str_] | None, names: NDArray[Any], checkpoint: Folder = None
) -> SoftmaxRegression:
    """The model at the strength of the settings; X may be batches `(X, labels)`, then without y."""
    model = SoftmaxRegression(**settings)
    model._column_names = names
    return model.fit(X, y, checkpoint=checkpoint)


def _splits(y: NDArray[np.str_], folds: int, seed: int | None) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    from sklearn.model_selection import StratifiedKFold

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that a class has fewer rows than there are folds
        splitter = StratifiedKFold(folds, shuffle=True, random_state=0 if seed is None else seed)
        return list(splitter.split(np.zeros((len(y), 1)), y))
