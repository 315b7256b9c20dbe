"""The model behind a table: fitted at the strength given, or at the one that cross-validation chooses."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse as sp

from softreg.models import Path, PathPoint, SoftmaxRegression, SoftmaxRegressionCV
from softreg.models.selection.regularization_path import make_path
from softreg.tables.columns.errors import emit_warnings
from softreg.tables.fit.cross_validation import DEFAULT_CROSS_VALIDATION, CrossValidation
from softreg.typing import Array, Float64Array, IntArray, TextArray

Folder = str | os.PathLike[str] | None

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
    settings: Mapping[str, Any],
    X: Any,
    y: TextArray,
    names: Array,
    checkpoint: Folder = None,
    choice: CrossValidation = DEFAULT_CROSS_VALIDATION,
    *,
    weight: Float64Array | None = None,
) -> tuple[SoftmaxRegression, Path | None]:
    """The fitted model, and the path that its strength was chosen from, if `settings["strength"]` is "auto".

    `weight` (n,) is how often each row counts, in the objective and in the held-out loss.

    With a `checkpoint`, the fit at that strength can be interrupted and resumed; the choice starts again.
    """
    if settings["strength"] != "auto":
        return fit_at_strength(settings, X, y, names, checkpoint, weight), None
    found, path = _best_strength(settings, X, y, names, choice, fitted=checkpoint is None, weight=weight)
    if isinstance(found, SoftmaxRegression):
        return found, path
    return fit_at_strength({**settings, "strength": found, "verbose": 0}, X, y, names, checkpoint, weight), path


def choose_strength(
    settings: Mapping[str, Any],
    X: Any,
    y: TextArray,
    names: Array,
    choice: CrossValidation,
    weight: Float64Array | None = None,
) -> tuple[float, Path | None]:
    """The strength that these rows choose, and the path that it was chosen from; None where they are too few."""
    found, path = _best_strength(settings, X, y, names, choice, fitted=False, weight=weight)
    return float(found.strength if isinstance(found, SoftmaxRegression) else found), path


def _best_strength(
    settings: Mapping[str, Any],
    X: Any,
    y: TextArray,
    names: Array,
    choice: CrossValidation,
    *,
    fitted: bool,
    weight: Float64Array | None = None,
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
        return _search_on_one_fold(settings, X, y, names, splits[0], choice.rule, weight)
    others = {name: value for name, value in settings.items() if name != "strength"}
    search = SoftmaxRegressionCV(cv=splits, rule=choice.rule, scoring=choice.scoring, **others)  # type: ignore[arg-type]
    search._column_names = names
    search.fit(X, y, weight)
    model = search.best_estimator_
    model._column_names = names
    return model if fitted else float(model.strength), search.path_


def _search_on_one_fold(
    settings: Mapping[str, Any],
    X: Any,
    y: TextArray,
    names: Array,
    split: tuple[IntArray, IntArray],
    rule: str,
    weight: Float64Array | None = None,
) -> tuple[float, Path]:
    """The strength that is best on one fold held out, among half powers of ten."""
    train, test = split
    share = 1.0 if rule == "1se" else NEAR
    begun, points = time.perf_counter(), list[PathPoint]()
    told = settings["verbose"] if callable(settings["verbose"]) else None
    X_train, X_test = X[train], X[test]
    while True:
        strength = _next_strength(points, share)
        if strength is None:
            break
        tried = {**settings, "strength": strength, "tol": max(ROUGH, settings["tol"]), "verbose": 0}
        model = fit_at_strength(tried, X_train, y[train], names, weight=None if weight is None else weight[train])
        points.append(_held_out_point(model, X_test, y[test], None if weight is None else weight[test]))
        if told is not None:
            told(points[-1])
    least = min(points, key=lambda point: point.log_loss)
    near = [point for point in points if point.log_loss <= least.log_loss + share * least.error]
    best = max(near, key=lambda point: point.strength)
    passes, seconds = sum(point.passes for point in points), time.perf_counter() - begun
    return float(best.strength), make_path(points, best, "log_loss", False, passes=passes, seconds=seconds)


def _next_strength(points: Sequence[PathPoint], share: float = NEAR) -> float | None:
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
        return _round_to_half_decade(order[-1].strength / 10**0.5)
    best = int(np.argmin(loss))
    if (best == 0 or (share == 1 and loss[0] <= loss[best] + order[best].error)) and order[0].strength < STRONGEST:
        return _round_to_half_decade(order[0].strength * 10**0.5)
    return None


def _round_to_half_decade(strength: float) -> float:
    """The nearest half power of ten, in three digits."""
    return float(f"{10 ** (round(2 * np.log10(strength)) / 2):.3g}")


def _held_out_point(model: SoftmaxRegression, X: Any, y: TextArray, weight: Float64Array | None = None) -> PathPoint:
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


def fit_at_strength(
    settings: Mapping[str, Any],
    X: Any,
    y: TextArray | None,
    names: Array,
    checkpoint: Folder = None,
    weight: Float64Array | None = None,
) -> SoftmaxRegression:
    """The model at the strength of the settings; X may be batches `(X, labels)`, then without y."""
    model = SoftmaxRegression(**settings)
    model._column_names = names
    return model.fit(X, y, weight, checkpoint=checkpoint)
