"""Weights of two classes in both packages: one vector of the log-odds, or a vector for each class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from softreg.typing import Array


@dataclass(frozen=True)
class LinearWeights:
    """Weights and intercepts of linear logits.

    Parameters
    ----------
    coef : ndarray of shape (rows, d)
        Weights.
    intercept : ndarray of shape (rows,)
        Intercepts.
    """

    coef: Array
    intercept: Array


def fitted_weights(model: Any) -> LinearWeights:
    """Return the weights of a fitted classifier of scikit-learn, dense and in float64."""
    coef = model.coef_.toarray() if sp.issparse(model.coef_) else model.coef_
    return LinearWeights(np.array(coef, dtype=np.float64), np.array(model.intercept_, dtype=np.float64))


def softmax_weights(weights: LinearWeights) -> LinearWeights:
    """Return weights with a row for each class; those of two classes are `w / 2 - w` and `w / 2`, exactly w apart."""
    if len(weights.coef) > 1:
        return weights
    coef, intercept = (_halves(part) for part in (weights.coef, weights.intercept))
    return LinearWeights(coef, intercept)


def log_odds_weights(weights: LinearWeights) -> LinearWeights:
    """Return weights with one row for two classes, the log-odds of the second; those of more classes as they are."""
    if len(weights.coef) > 2:
        return weights
    return LinearWeights(weights.coef[1:] - weights.coef[:1], weights.intercept[1:] - weights.intercept[:1])


def _halves(part: Array) -> Array:
    """Return the parts (2, ...) of an array (1, ...)."""
    half = part / 2  # rounded where a number is subnormal; the other part then makes up for it
    return np.concatenate([half - part, half])
