"""Learning from data that come in pieces: mini-batch steps behind `SoftmaxRegression.partial_fit`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from softreg.models import inputs, state
from softreg.optimize import running, stochastic
from softreg.probability import Classes
from softreg.rows import Array


def partial_fit(model: Any, X: Any, y: Any, classes: Any, sample_weight: Any) -> None:
    """One pass of mini-batch steps over these rows, from where the model stands; sets what `fit` sets but the proof."""
    l1_share = state.check_parameters(model)
    first = not hasattr(model, "coef_")
    X = inputs.features(model, X, reset=first)
    known, labels = _labels(model, y, classes, first)
    state.check_lengths(X, labels)
    if isinstance(model.class_weight, str):
        raise ValueError("class_weight='balanced' needs all rows at once; give partial_fit a dict of class weights.")
    weight = inputs.row_weights(sample_weight, X.shape[0], known, labels, model.class_weight)
    now = getattr(model, "_mini_batch_state", None)
    if now is None:
        now = running.begin(X.shape[1], len(known))
        if not first:  # fitted or loaded before: go on from its weights
            now = replace(now, W=model.coef_.T.copy(), b=model.intercept_.copy())
    strength = 0.0 if model.penalty is None else model.strength
    now, _ = stochastic.epoch(
        now, X, labels, weight, strength=strength, l1_ratio=l1_share, fit_intercept=model.fit_intercept
    )
    model.classes_, model._mini_batch_state = known, now
    model.coef_, model.intercept_ = np.ascontiguousarray(now.W.T), now.b
    model.n_iter_ = 1 if first else model.n_iter_ + 1
    if hasattr(model, "solution_"):
        del model.solution_  # its certificate is about other weights


def _labels(model: Any, y: Any, classes: Any, first: bool) -> tuple[NDArray[Any], Array]:
    """The model's classes and the labels of these rows as codes, or as the label probabilities that they are."""
    given = None if classes is None else Classes(inputs.label_values(classes))
    if not first:
        known = Classes.of(model.classes_)
        if given is not None and set(given.labels.tolist()) != set(known.labels.tolist()):
            raise ValueError(
                f"classes={given.listing()} is not the same as on the last call to partial_fit, was: {known.listing()}."
            )
    elif given is not None:
        known = given
    else:
        found, labels = inputs.known_labels(y)
        known = Classes.of(found)
        if len(known) < 2:
            raise ValueError(
                f"the first call to partial_fit saw only the class {known.listing()}: name all classes that will come "
                "with classes=[...]."
            )
        return known.labels, labels
    values = inputs.label_values(y)
    if values.ndim == 2 and values.shape[1] > 1:
        _, labels = inputs.known_labels(y)
        if labels.shape[1] != len(known):
            raise ValueError(f"y has {labels.shape[1]} columns of label probabilities; there are {len(known)} classes.")
        return known.labels, labels
    return known.labels, known.encode(inputs.one_column(values))
