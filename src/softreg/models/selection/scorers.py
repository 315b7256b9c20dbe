"""Scores of held-out rows: those computed from logits, and scorers of scikit-learn."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from softreg.probability import mean_auc
from softreg.typing import Array, Float64Array

OWN_SCORES = ("log_loss", "brier", "accuracy", "neg_log_loss")
"""Scores computed from the logits of the stack; less is better for the first two. scikit-learn's own "neg_log_loss"
fails if a class does not occur among the held-out rows. "roc_auc" is also computed here, from the model of a fold."""


def find_scorer(scoring: Any) -> Callable[..., float] | str:
    """Return the scorer for the parameter `scoring`.

    Parameters
    ----------
    scoring : str or callable
        Name of a score, or a scorer `(estimator, X, y) -> float`, for which more is better.

    Returns
    -------
    str or callable
        A name of `OWN_SCORES`, or a scorer.

    Raises
    ------
    ValueError
        If the name is unknown or the value is not callable.

    Examples
    --------
    >>> find_scorer("brier")
    'brier'
    """
    if isinstance(scoring, str):
        if scoring in OWN_SCORES:
            return scoring
        if scoring == "roc_auc":
            return mean_auc_score
        from sklearn.metrics import get_scorer, get_scorer_names  # not at the top: few fits need a scorer

        if scoring in get_scorer_names():
            return get_scorer(scoring)  # type: ignore[no-any-return]
        raise ValueError(
            f"scoring={scoring!r} is not one of {', '.join(OWN_SCORES)}, nor a name of a scorer of scikit-learn "
            "(sklearn.metrics.get_scorer_names())."
        )
    if not callable(scoring):
        raise ValueError(f"scoring={scoring!r} is neither a name nor a callable scorer(estimator, X, y).")
    return scoring  # type: ignore[no-any-return]


def mean_auc_score(estimator: Any, X: Any, y: Array, sample_weight: Array | None = None) -> float:
    """Return the area under the ROC curve; for several classes the mean of each class against the rest.

    Parameters
    ----------
    estimator : SoftmaxRegression
        Model of a fold.
    X : array of shape (n, d)
        Features of the held-out rows.
    y : ndarray of shape (n,)
        Hard labels.
    sample_weight : ndarray of shape (n,), optional
        Sample weights.

    Returns
    -------
    float
        The mean over the classes that some but not all rows have; nan if there is none.
    """
    P, known = estimator.predict_proba(X), estimator.classes_
    return mean_auc(P, np.searchsorted(known, y), sample_weight)


def more_is_better(scorer: Callable[..., float] | str) -> bool:
    """Return True if a larger score is better."""
    return scorer not in ("log_loss", "brier")


def row_scores(name: str, o: Array, labels: Array) -> Float64Array:
    """Return the score of each row.

    Parameters
    ----------
    name : str
        One of `OWN_SCORES`.
    o : ndarray of shape (b, q)
        Logits; -inf for classes without training rows, whose log loss is inf.
    labels : ndarray of shape (b,) or (b, q)
        Codes of the classes or label probabilities.

    Returns
    -------
    ndarray of shape (b,)
        The scores; log loss in nats.

    Examples
    --------
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


def call_scorer(scorer: Callable[..., float], model: Any, X: Any, y: Array, weight: Array | None) -> float:
    """Return the value of a scorer, with sample weights if it accepts them.

    Parameters
    ----------
    scorer : callable
        `scorer(estimator, X, y)`.
    model : SoftmaxRegression
        Model of a fold.
    X : array of shape (n, d)
        Features of the held-out rows.
    y : ndarray of shape (n,)
        Hard labels.
    weight : ndarray of shape (n,) or None
        Sample weights.

    Returns
    -------
    float
        The score.

    Raises
    ------
    ValueError
        If the scorer raises `TypeError` or `ValueError`, or its value is not a number.
    """
    keywords = {} if weight is None or not _takes_weights(scorer) else {"sample_weight": weight}
    try:
        value = scorer(model, X, y, **keywords)
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
    """Return the name of a scorer: the name itself, or that of its metric or function.

    Parameters
    ----------
    scoring : str or callable
        A name or a scorer.

    Returns
    -------
    str
        The name.

    Examples
    --------
    >>> from sklearn.metrics import get_scorer
    >>> scorer_name("brier"), scorer_name(get_scorer("accuracy"))
    ('brier', 'accuracy_score')
    """
    if isinstance(scoring, str):
        return scoring
    metric = getattr(scoring, "_score_func", scoring)
    return str(getattr(metric, "__name__", type(metric).__name__))


def _takes_weights(scorer: Callable[..., float]) -> bool:
    """Return True if the scorer or its metric has a parameter `sample_weight`."""
    metric = getattr(scorer, "_score_func", scorer)
    try:
        return "sample_weight" in inspect.signature(metric).parameters
    except (TypeError, ValueError):
        return False
