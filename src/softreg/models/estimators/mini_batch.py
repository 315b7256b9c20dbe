"""Learning from data that come in pieces: mini-batch steps behind `SoftmaxRegression.partial_fit`."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from softreg.models.inputs import labels as targets
from softreg.models.inputs import parameters as checks
from softreg.models.inputs.features import features
from softreg.models.inputs.sample_weights import row_weights
from softreg.optimize import PENALTIES
from softreg.optimize.sgd import running_moments as running
from softreg.optimize.sgd import train as stochastic
from softreg.probability import Classes
from softreg.probability.label_arrays import label_array
from softreg.rows import Array


def partial_fit(model: Any, X: Any, y: Any, classes: Any, sample_weight: Any) -> None:
    """One pass of mini-batch steps over these rows, from where the model stands; sets what `fit` sets but the proof."""
    l1_share = checks.check_parameters(model)
    if isinstance(model.class_weight, str):
        raise ValueError("class_weight='balanced' needs all rows at once; give partial_fit a dict of class weights.")
    if model.penalty is not None and not (model.penalty in PENALTIES and PENALTIES[model.penalty].separable):
        raise ValueError(
            f"penalty={model.penalty!r} needs all rows at once; partial_fit takes 'l2', 'l1', 'elasticnet' or None."
        )
    first = not hasattr(model, "coef_")
    seen = copy.copy(model)  # takes note of the columns; the model itself changes only when all has gone well
    X = features(seen, X, reset=first)
    known, labels = _labels(model, y, classes, first)
    checks.check_lengths(X, labels)
    weight = row_weights(sample_weight, X.shape[0], known, labels, model.class_weight)
    if weight is not None and not np.isfinite(weight.sum()):
        raise ValueError("the sample weights are so large that their sum overflows; divide them all by one number.")
    now = getattr(model, "_mini_batch_state", None)
    if now is None:
        now = running.begin(X.shape[1], len(known))
        if not first:  # fitted or loaded before: go on from its weights
            now = replace(now, W=model.coef_.T.copy(), b=model.intercept_.copy())
    strength = 0.0 if model.penalty is None else model.strength
    now, _ = stochastic.epoch(
        now, X, labels, weight, strength=strength, l1_ratio=l1_share, fit_intercept=model.fit_intercept
    )
    checks.take_columns(model, seen)
    model.classes_, model._mini_batch_state = known, now
    model.coef_, model.intercept_ = np.ascontiguousarray(now.W.T), now.b
    model.n_iter_ = 1 if first else model.n_iter_ + 1
    if hasattr(model, "solution_"):
        del model.solution_  # its certificate is about other weights


def _labels(model: Any, y: Any, classes: Any, first: bool) -> tuple[NDArray[Any], Array]:
    """The model's classes and the labels of these rows as codes, or as the label probabilities that they are.

    Columns of a matrix of label probabilities are `classes` in the order given; without, the model's classes.
    """
    if first and classes is None:
        found, labels = targets.known_labels(y)
        if len(found) < 2:
            raise ValueError(
                f"the first call to partial_fit saw only the class {Classes.of(found).listing()}: name all classes "
                "that will come with classes=[...]."
            )
        return found, labels
    names = None
    if classes is not None:
        in_turn = label_array(targets.label_values(classes), "classes")
        given = Classes(in_turn)
        names = Classes.of(in_turn).labels if np.ndim(y) == 2 and np.shape(y)[1] == len(given) else None
    if first:
        known = given if names is None else Classes.of(names)
        if len(known) < 2:
            raise ValueError(f"classes names only one class, {known.listing()}; there is nothing to tell apart.")
    else:
        known = Classes.of(model.classes_)
        if classes is not None and set(given.labels.tolist()) != set(known.labels.tolist()):
            raise ValueError(
                f"classes={given.listing()} is not the same as on the last call to partial_fit, was: {known.listing()}."
            )
    return known.labels, targets.labels_among(y, known, names)
