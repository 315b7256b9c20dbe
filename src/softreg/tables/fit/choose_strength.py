"""Fit the regression of a table at a given strength, or at the one that cross-validation chooses."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import scipy.sparse as sp

from softreg.models import Path, PathPoint, SoftmaxRegression, SoftmaxRegressionCV
from softreg.models.class_blocks.row_scores import label_log_losses
from softreg.models.estimators.streamed_predictions import logit_blocks
from softreg.models.selection.regularization_path import make_path
from softreg.optimize.cost.meter import metered
from softreg.tables.columns.table_errors import emit_warnings
from softreg.tables.encode.encoder import Encoder
from softreg.tables.fit.cross_validation import DEFAULT_CROSS_VALIDATION, CrossValidation
from softreg.tables.fit.weight_terms.column_constraints import bounds_of_classes
from softreg.tables.row_selection.offset_columns import Offsets
from softreg.typing import Array, Float64Array, IntArray, TextArray

Folder = str | os.PathLike[str] | None

WIDE_COLUMNS = 10_000
"""Columns of a sparse X (such as one of texts) above which one fold is held out: each fit is expensive there."""
FIRST_STRENGTH = 1e-4
"""Strength at which the search on one fold starts."""
MAX_STRENGTH = 1.0
"""Strongest penalty of this search."""
MIN_STRENGTH = 1e-9
"""Weakest penalty of this search."""
MIN_GAIN_RATIO = 1 / 3
"""Least ratio of two successive decreases of the loss at which a weaker penalty is tried.

On a parabola, a ratio of 1/3 places the minimum at the last point; fits with weaker penalties take longer.
"""
SE_TOLERANCE = 0.03
"""Excess held-out loss, in standard errors, up to which a stronger penalty is preferred: weaker ones need more passes.
"""
MIN_GAIN_SE = 0.1
"""Least decrease of the loss by the last half power of ten, in standard errors, at which a weaker penalty is tried."""
SEARCH_TOL = 1e-4
"""Tolerance of the fits of this search, in nats; the standard error of the held-out loss is a few thousandths."""
DEFAULT_STRENGTH = 1e-4
"""Strength for tables that are too small to hold rows out."""


def fit_model(
    settings: Mapping[str, Any],
    X: Any,
    y: TextArray,
    names: Array,
    checkpoint: Folder = None,
    choice: CrossValidation = DEFAULT_CROSS_VALIDATION,
    *,
    weight: Float64Array | None = None,
    offsets: Offsets | None = None,
) -> tuple[SoftmaxRegression, Path | None]:
    """Fit the regression, at the strength that cross-validation chooses if `settings["strength"]` is "auto".

    Parameters
    ----------
    settings : mapping
        Parameters of the regression.
    X : array or sparse matrix (n, d)
        Encoded rows.
    y : array of str (n,)
        Labels.
    names : array of str (d,)
        Names of the columns of X.
    checkpoint : path, optional
        Folder from which an interrupted fit at the chosen strength is resumed; the choice is made again.
    choice : CrossValidation
        Folds, rule and score of the choice.
    weight : array of float64 (n,), optional
        Weights of the rows in the objective and in the held-out loss.
    offsets : Offsets, optional
        Fixed part of the logits of the rows.

    Returns
    -------
    model : SoftmaxRegression
        The fitted model.
    path : Path or None
        Strengths that were tried; None if the strength was given or could not be chosen.
    """
    if settings["strength"] != "auto":
        return fit_at_strength(settings, X, y, names, checkpoint, weight=weight, offsets=offsets), None
    fitted = checkpoint is None and not settings.get("keep_posterior")
    best, path = _best_strength(settings, X, y, names, choice, fitted=fitted, weight=weight, offsets=offsets)
    if isinstance(best, SoftmaxRegression):
        return best, path
    settings = {**settings, "strength": best, "verbose": 0}
    return fit_at_strength(settings, X, y, names, checkpoint, weight=weight, offsets=offsets), path


def with_column_groups(settings: Mapping[str, Any], encoder: Encoder) -> dict[str, Any]:
    """Return the settings; for the group penalty, the features that encode one column of the table are a group."""
    return (
        {**settings, "column_groups": list(encoder.column_names)} if settings["penalty"] == "group" else dict(settings)
    )


def choose_strength(
    settings: Mapping[str, Any],
    X: Any,
    y: TextArray,
    names: Array,
    choice: CrossValidation,
    weight: Float64Array | None = None,
    offsets: Offsets | None = None,
) -> tuple[float, Path | None]:
    """Return the best strength by cross-validation, and the path of strengths; None if there are too few rows."""
    best, path = _best_strength(settings, X, y, names, choice, fitted=False, weight=weight, offsets=offsets)
    return float(best.strength if isinstance(best, SoftmaxRegression) else best), path


def _best_strength(
    settings: Mapping[str, Any],
    X: Any,
    y: TextArray,
    names: Array,
    choice: CrossValidation,
    *,
    fitted: bool,
    weight: Float64Array | None = None,
    offsets: Offsets | None = None,
) -> tuple[SoftmaxRegression | float, Path | None]:
    """Return the best strength, or the model refitted at it if `fitted` and available, and the path of strengths."""
    # Folds are shuffled, because files are often sorted; for wide sparse rows, one fold is held out.
    counts = np.sort(np.unique(y, return_counts=True)[1])
    if len(counts) < 2 or counts[-2] < 2:
        emit_warnings(
            [
                f"of the {len(y):,} rows to train on, fewer than two classes have two rows: too few to choose a "
                f"strength by holding rows out, so it is {DEFAULT_STRENGTH:g}"
            ]
        )
        return DEFAULT_STRENGTH, None
    splits = choice.splits(y, settings["random_state"])
    wide = sp.issparse(X) and X.shape[1] > WIDE_COLUMNS and choice.folds is None
    if wide and choice.times is not None:
        splits = splits[-1:]  # the last one trains on most of the rows
    elif wide:
        splits = splits[:1]
    if wide and choice.scoring == "log_loss":
        return _search_on_one_fold(settings, X, y, names, splits[0], choice.rule, weight=weight, offsets=offsets)
    others = {name: value for name, value in settings.items() if name not in ("strength", "keep_posterior")}
    search = SoftmaxRegressionCV(cv=splits, rule=choice.rule, scoring=choice.scoring, **others)  # type: ignore[arg-type]
    search._column_names = names
    search.fit(X, y, weight, offset=None if offsets is None else offsets.of(slice(None), np.unique(y)))
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
    *,
    weight: Float64Array | None = None,
    offsets: Offsets | None = None,
) -> tuple[float, Path]:
    """Return the strength with the least loss on one held-out fold, among half powers of ten."""
    train, test = split
    share = 1.0 if rule == "1se" else SE_TOLERANCE
    points = list[PathPoint]()
    callback = settings["verbose"] if callable(settings["verbose"]) else None
    shared = {**bounds_of_classes(settings, np.unique(y[train])), "keep_posterior": False}
    X_train, X_test = X[train], X[test]
    train_weight, test_weight = (None if weight is None else weight[rows] for rows in (train, test))
    of_train, of_test = (
        None if offsets is None else Offsets(offsets.values[rows], offsets.classes) for rows in (train, test)
    )
    with metered() as meter:
        while (strength := _next_strength(points, share)) is not None:
            tried = {**shared, "strength": strength, "tol": max(SEARCH_TOL, settings["tol"]), "verbose": 0}
            model = fit_at_strength(tried, X_train, y[train], names, weight=train_weight, offsets=of_train)
            points.append(_held_out_point(model, X_test, y[test], test_weight, of_test))
            if callback is not None:
                callback(points[-1])
    least = min(points, key=lambda point: point.log_loss)
    near = [point for point in points if point.log_loss <= least.log_loss + share * least.error]
    best = max(near, key=lambda point: point.strength)
    passes = sum(point.passes for point in points)
    return float(best.strength), make_path(points, best, "log_loss", False, passes=passes, cost=meter.finish())


def _next_strength(points: Sequence[PathPoint], share: float = SE_TOLERANCE) -> float | None:
    """Return the strength to try next, or None at the end of the search."""
    # Down by half powers of ten until the loss stops decreasing; then up while the strongest penalty is the best, or
    # (one-standard-error rule) within one standard error of the best.
    if not points:
        return FIRST_STRENGTH
    order = sorted(points, key=lambda point: -point.strength)
    loss = [point.log_loss for point in order]
    gains = [a - b for a, b in pairwise(loss)]
    turned = bool(gains) and (
        gains[-1] <= 0
        or gains[-1] < MIN_GAIN_SE * order[-1].error
        or (len(gains) > 1 and gains[-1] < MIN_GAIN_RATIO * gains[-2])
    )
    if not turned and order[-1].strength > MIN_STRENGTH:
        return _round_to_half_decade(order[-1].strength / 10**0.5)
    best = int(np.argmin(loss))
    if (best == 0 or (share == 1 and loss[0] <= loss[best] + order[best].error)) and order[0].strength < MAX_STRENGTH:
        return _round_to_half_decade(order[0].strength * 10**0.5)
    return None


def _round_to_half_decade(strength: float) -> float:
    """Return the nearest half power of ten, rounded to three significant digits."""
    return float(f"{10 ** (round(2 * np.log10(strength)) / 2):.3g}")


def _held_out_point(
    model: SoftmaxRegression,
    X: Any,
    y: TextArray,
    weight: Float64Array | None = None,
    offsets: Offsets | None = None,
) -> PathPoint:
    """Return the path point of a model by its weighted log loss on held-out rows."""
    class_index = np.searchsorted(model.classes_, y)
    known = np.isin(y, model.classes_)
    offset = None if offsets is None else offsets.of(known, model.classes_)
    loss = label_log_losses(logit_blocks(model, X[known], offset), class_index[known])
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
    *,
    weight: Float64Array | None = None,
    offsets: Offsets | None = None,
) -> SoftmaxRegression:
    """Fit the regression at the strength of the settings; X may be batches `(X, labels)`, with y None."""
    model = SoftmaxRegression(**settings)
    model._column_names = names
    offset = None if offsets is None or y is None else offsets.of(slice(None), np.unique(y))
    return model.fit(X, y, weight, offset=offset, checkpoint=checkpoint)
