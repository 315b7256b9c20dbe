"""AUC and average precision of each class against the rest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from softreg.typing import Codes, Float64Array, FloatArray

MAX_RANKED_CLASSES = 100
"""Number of classes above which no ranking scores are computed: each takes a sort of all rows."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """AUC and average precision of each class against the rest.

    Attributes
    ----------
    auc : array of shape (q,)
        Probability that a random row of the class has a larger probability than a random other row; nan for a class
        that has all rows or none.
    average_precision : array of shape (q,)
        Mean precision over the rows of the class, each at its own probability as the threshold.

    Examples
    --------
    >>> from softreg.report import audit
    >>> audit([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8]], [0, 0, 1, 1], ["ham", "spam"]).ranking.mean_auc
    0.75
    """

    auc: Float64Array
    average_precision: Float64Array

    @property
    def mean_auc(self) -> float:
        """Mean of `auc` over the classes that have one; of two classes, that of the second."""
        return _mean(self.auc)

    @property
    def mean_average_precision(self) -> float:
        """Mean of `average_precision` over the classes that have one; of two classes, that of the second."""
        return _mean(self.average_precision)


def ranking_scores(P: FloatArray, codes: Codes, weights: Float64Array | None = None) -> Ranking:
    """Compute scikit-learn's AUC and average precision of each class against the rest.

    Parameters
    ----------
    P : array of shape (n, q)
        Probabilities.
    codes : array of shape (n,)
        Observed classes.
    weights : array of shape (n,), optional
        Weights of the rows.

    Returns
    -------
    Ranking
        The scores; all nan with more than `MAX_RANKED_CLASSES` classes.
    """
    q = P.shape[1]
    scores = np.full((2, q), np.nan)
    if q <= MAX_RANKED_CLASSES:
        for k in range(q):
            is_class = codes == k
            if is_class.any() and not is_class.all():
                metrics = (roc_auc_score, average_precision_score)
                scores[:, k] = [metric(is_class, P[:, k], sample_weight=weights) for metric in metrics]
    return Ranking(scores[0], scores[1])


def _mean(scores: Float64Array) -> float:
    """Return the mean of the finite scores; of two classes, the score of the second."""
    if len(scores) == 2:
        return float(scores[1])
    return float(np.nanmean(scores)) if np.isfinite(scores).any() else float("nan")
