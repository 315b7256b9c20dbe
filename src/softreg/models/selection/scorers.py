"""Scores of held-out rows, by name or by a scorer of scikit-learn."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from softreg.probability import mean_auc
from softreg.rows import Array

OWN_SCORES = ("log_loss", "brier", "accuracy", "neg_log_loss")
"""Scores computed from the logits that the stack has anyway: less is better for the first two. The last is that of
scikit-learn, which fails for held-out rows among which some class does not occur. "roc_auc" is ours, too."""


def find_scorer(scoring: Any) -> Callable[..., float] | str:
    """One of our names, or a scorer `(estimator, X, y) -> float`, more being better.

    Raises `ValueError` for an unknown name.

    Example:
        >>> find_scorer("brier")
        'brier'
    """
    if isinstance(scoring, str):
        if scoring in OWN_SCORES:
            return scoring
        if scoring == "roc_auc":
            return mean_auc_score
        from sklearn.metrics import get_scorer, get_scorer_names  # not at the top: most who fit need none

        if scoring in get_scorer_names():
            return get_scorer(scoring)  # type: ignore[no-any-return]
        raise ValueError(
            f"scoring={scoring!r} is not one of {', '.join(OWN_SCORES)}, nor a name of a scorer of scikit-learn "
            "(sklearn.metrics.get_scorer_names())."
        )
    if not callable(scoring):
        raise ValueError(f"scoring={scoring!r} is neither a name nor a callable scorer(estimator, X, y).")
    return scoring  # type: ignore[no-any-return]


def mean_auc_score(estimator: Any, X: Any, y: NDArray[Any], sample_weight: Array | None = None) -> float:
    """Area under the ROC curve of held-out rows, of several classes the mean of each against the rest.

    Classes that no held-out row has, or all have, are left out of the mean; nan where none is left.
    """
    P, known = estimator.predict_proba(X), estimator.classes_
    return mean_auc(P, np.searchsorted(known, y), sample_weight)


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
    if name == "neg_log_loss":
        return -row_scores("log_loss", o, labels)
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


def call_scorer(scorer: Callable[..., float], model: Any, X: Any, y: NDArray[Any], weight: Array | None) -> float:
    """The value of a scorer, with sample weights where there are any and it takes them.

    Raises `ValueError` where the scorer cannot be called, or its value is no number. What else it raises goes on.
    """
    more = {} if weight is None or not _takes_weights(scorer) else {"sample_weight": weight}
    try:
        value = scorer(model, X, y, **more)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"the scorer {scorer_name(scorer)} failed on {len(y)} held-out rows: {error}. It is called as "
            "scorer(estimator, X, y); of a metric of labels or probabilities, sklearn.metrics.make_scorer makes one."
        ) from error
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError(
            f"the scorer {scorer_name(scorer)} gave {value!r:.80}, a {type(value).__name__}; expected one number, more "
            "being better."
        ) from None


def scorer_name(scoring: Any) -> str:
    """How a scorer is called: its name, that of its function, or that of its metric.

    Example:
        >>> from sklearn.metrics import get_scorer
        >>> scorer_name("brier"), scorer_name(get_scorer("accuracy"))
        ('brier', 'accuracy_score')
    """
    if isinstance(scoring, str):
        return scoring
    metric = getattr(scoring, "_score_func", scoring)
    return str(getattr(metric, "__name__", type(metric).__name__))


def _takes_weights(scorer: Callable[..., float]) -> bool:
    """Whether the scorer, or the metric behind it, has a parameter for sample weights."""
    metric = getattr(scorer, "_score_func", scorer)
    try:
        return "sample_weight" in inspect.signature(metric).parameters
    except (TypeError, ValueError):
        return False
