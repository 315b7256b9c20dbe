"""Scores of held-out rows, by name or by a scorer of scikit-learn."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from softreg.rows import Array

OWN = ("log_loss", "brier", "accuracy")
"""Scores computed from the logits that the stack has anyway: less is better for the first two."""


def find_scorer(scoring: Any) -> Callable[..., float] | str:
    """One of our names, or a scorer `(estimator, X, y) -> float`, more being better.

    Raises `ValueError` for an unknown name.

    Example:
        >>> find_scorer("brier")
        'brier'
    """
    if isinstance(scoring, str):
        if scoring in OWN:
            return scoring
        from sklearn.metrics import get_scorer, get_scorer_names  # not at the top: most who fit need none

        if scoring in get_scorer_names():
            return get_scorer(scoring)  # type: ignore[no-any-return]
        raise ValueError(
            f"scoring={scoring!r} is not one of {', '.join(OWN)}, nor a name of a scorer of scikit-learn "
            "(sklearn.metrics.get_scorer_names())."
        )
    if not callable(scoring):
        raise ValueError(f"scoring={scoring!r} is neither a name nor a callable scorer(estimator, X, y).")
    return scoring  # type: ignore[no-any-return]


def more_is_better(scorer: Callable[..., float] | str) -> bool:
    """Whether a larger score is a better one."""
    return scorer not in ("log_loss", "brier")


def row_scores(name: str, o: Array, labels: Array) -> Array:
    """The score (b,) of each row from its logits o (b, q) and its label, a code or label probabilities.

    Logits of -inf are classes that the model does not know; the log loss of such a label is inf.

    Example:
        >>> row_scores("log_loss", np.array([[0.0, 0.0, -np.inf]]), np.array([1])).round(4)
        array([0.6931])
    """
    hard = labels.ndim == 1
    if name == "accuracy":
        best = o.argmax(axis=1)
        return np.asarray(best == labels, dtype=np.float64) if hard else labels[np.arange(len(best)), best]
    z = o.astype(np.float64) - o.max(axis=1, keepdims=True)
    P = np.exp(z)
    mass = P.sum(axis=1, keepdims=True)
    if name == "log_loss":
        surprisal = np.log(mass) - z
        if hard:
            return np.asarray(surprisal[np.arange(len(z)), labels])
        return np.asarray(np.multiply(labels, surprisal, where=labels > 0, out=np.zeros_like(z)).sum(axis=1))
    P /= mass
    if hard:
        P[np.arange(len(P)), labels] -= 1
    else:
        P -= labels
    return np.asarray(np.square(P).sum(axis=1))


def call(scorer: Callable[..., float], model: Any, X: Any, y: NDArray[Any], weight: Array | None) -> float:
    """The value of a scorer, with sample weights where there are any and it takes them."""
    if weight is None or not _takes_weights(scorer):
        return float(scorer(model, X, y))
    return float(scorer(model, X, y, sample_weight=weight))


def _takes_weights(scorer: Callable[..., float]) -> bool:
    """Whether the scorer, or the metric behind it, has a parameter for sample weights."""
    metric = getattr(scorer, "_score_func", scorer)
    try:
        return "sample_weight" in inspect.signature(metric).parameters
    except (TypeError, ValueError):
        return False
