"""Training on data that arrive in pieces: mini-batch steps behind `SoftmaxRegression.partial_fit`."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np

from softreg.models.inputs.features import copy_feature_attributes, validate_features
from softreg.models.inputs.labels import (
    check_lengths,
    classes_and_labels,
    encode_known_labels,
    label_values,
)
from softreg.models.inputs.sample_and_class_weights import row_weights
from softreg.models.parameters.parameter_checks import check_parameters
from softreg.optimize import PENALTIES
from softreg.optimize.sgd import running_moments, train
from softreg.probability import Classes
from softreg.probability.label_arrays import label_array
from softreg.typing import Array


def partial_fit(model: Any, X: Any, y: Any, classes: Any, sample_weight: Any) -> None:
    """Run one pass of mini-batch steps over these rows from the model's weights, and set the fitted attributes.

    Parameters
    ----------
    model : SoftmaxRegression
        The estimator. It changes only if the pass succeeds; `solution_` is deleted, since it certifies other weights.
    X, y, classes, sample_weight
        Arguments of `SoftmaxRegression.partial_fit`.

    Raises
    ------
    ValueError
        If parameters need all rows at once, or rows, labels or weights cannot be used.
    """
    l1_share = check_parameters(model)
    if isinstance(model.class_weight, str):
        raise ValueError("class_weight='balanced' needs all rows at once; give partial_fit a dict of class weights.")
    if model.penalty is not None and not (model.penalty in PENALTIES and PENALTIES[model.penalty].separable):
        raise ValueError(
            f"penalty={model.penalty!r} needs all rows at once; partial_fit takes 'l2', 'l1', 'elasticnet' or None."
        )
    if not (model.penalty_factors is None and model.bounds is None and model.prior is None):
        raise ValueError("penalty_factors, bounds and prior need all rows at once; use fit.")
    if getattr(model, "has_offset_", False):
        raise ValueError("partial_fit takes no offset, and this model was fitted with one; use fit with all rows.")
    first = not hasattr(model, "coef_")
    validator = copy.copy(model)  # receives the attributes of the features, so that an error leaves the model as it is
    X = validate_features(validator, X, reset=first)
    known, labels = _classes_and_labels(model, y, classes, first)
    check_lengths(X, labels)
    weight = row_weights(sample_weight, X.shape[0], known, labels, model.class_weight)
    if weight is not None and not np.isfinite(weight.sum()):
        raise ValueError("the sample weights are so large that their sum overflows; divide them all by one number.")
    state = getattr(model, "_mini_batch_state", None)
    if state is None:
        state = running_moments.begin(X.shape[1], len(known))
        if not first:  # the model was fitted or loaded: continue from its weights
            state = replace(state, W=model.coef_.T.copy(), b=model.intercept_.copy())
    strength = 0.0 if model.penalty is None else model.strength
    state, _ = train.epoch(
        state, X, labels, weight, strength=strength, l1_ratio=l1_share, fit_intercept=model.fit_intercept
    )
    copy_feature_attributes(model, validator)
    model.classes_, model._mini_batch_state, model.has_offset_ = known, state, False
    model.coef_, model.intercept_ = np.ascontiguousarray(state.W.T), state.b
    model.n_iter_ = 1 if first else model.n_iter_ + 1
    if hasattr(model, "solution_"):
        del model.solution_


def _classes_and_labels(model: Any, y: Any, classes: Any, first: bool) -> tuple[Array, Array]:
    """Return the model's classes (q,), and the labels as codes (n,) or label probabilities (n, q)."""
    # Columns of a matrix of label probabilities are `classes` in the order given, by default the model's classes.
    if first and classes is None:
        known_labels, labels = classes_and_labels(y)
        if len(known_labels) < 2:
            raise ValueError(
                f"the first call to partial_fit saw only the class {Classes.of(known_labels).listing()}: name all "
                "classes that will come with classes=[...]."
            )
        return known_labels, labels
    column_classes = None
    if classes is not None:
        ordered = label_array(label_values(classes), "classes")
        given = Classes(ordered)
        column_classes = Classes.of(ordered).labels if np.ndim(y) == 2 and np.shape(y)[1] == len(given) else None
    if first:
        known = given if column_classes is None else Classes.of(column_classes)
        if len(known) < 2:
            raise ValueError(f"classes names only one class, {known.listing()}; a classifier needs two classes.")
    else:
        known = Classes.of(model.classes_)
        if classes is not None and set(given.labels.tolist()) != set(known.labels.tolist()):
            raise ValueError(
                f"classes={given.listing()} is not the same as on the last call to partial_fit, was: {known.listing()}."
            )
    return known.labels, encode_known_labels(y, known, column_classes)
