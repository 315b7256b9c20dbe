"""The result of an audit: scores, confusion matrix, reliability and calibration of predicted probabilities."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from softreg.deprecated import DeprecatedAttributes
from softreg.probability import Interval, mean_auc_interval
from softreg.report.evaluation.calibration_audit import CalibrationAudit, audit_calibration
from softreg.report.evaluation.ranking_scores import MAX_RANKED_CLASSES, Ranking, ranking_scores
from softreg.report.evaluation.reliability import Reliability
from softreg.report.groups.group_audit import GroupAudit, audit_groups
from softreg.typing import Array, Codes, Float64Array, FloatArray

if TYPE_CHECKING:
    from softreg.report.evaluation.streamed_calibration import StreamedRows


@dataclass(frozen=True)
class ClassAudit:
    """Counts and rates of one class.

    Attributes
    ----------
    label : str
        Name of the class.
    rows : int
        Rows of the class.
    predicted : int
        Rows whose most likely class it is.
    rate : float
        Share of the rows that are of the class.
    mean_probability : float
        Mean predicted probability of the class. On the training rows of a model with an intercept it equals `rate`.
    precision : float or None
        Share of the predicted rows that are of the class; None where there are none.
    recall : float or None
        Share of the rows of the class that are predicted as it; None where there are none.

    Examples
    --------
    >>> from softreg.report import audit
    >>> spam = audit([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], [0, 1, 1], ["ham", "spam"]).per_class[1]
    >>> spam.label, spam.rows, spam.predicted, spam.precision, spam.recall
    ('spam', 2, 1, 1.0, 0.5)
    """

    label: str
    rows: int
    predicted: int
    rate: float
    mean_probability: float
    precision: float | None
    recall: float | None


@dataclass(frozen=True, eq=False)
class Audit(DeprecatedAttributes):
    """Evaluation of predicted probabilities on n rows of q classes; computed by `audit`.

    `calibration` and `ranking` are computed at their first use.

    Attributes
    ----------
    rows : int
        Number of rows, n.
    classes : tuple of str
        Names of the q classes.
    log_loss, log_loss_bits : float
        Mean of `-log` of the probability of the observed label, in nats and in bits.
    label_entropy, label_entropy_bits : float
        Log loss of predicting the class rates for every row, in nats and in bits.
    skill : float
        `1 - log_loss / label_entropy`, the share of the entropy that the probabilities explain: 1 is perfect, 0 no
        better than class rates, negative worse, and -inf where an observed label had probability 0.
    accuracy : float
        Share of rows whose most likely class is the observed one.
    majority, majority_accuracy : str, float
        The most frequent class by `rates`, and the accuracy of always predicting it.
    brier : float
        Mean squared error of the probabilities, summed over classes: 0 to 2.
    confusion : array of shape (q, q)
        Counts of rows by observed (first axis) and predicted label; a sparse matrix where logits were streamed.
    per_class : tuple of ClassAudit
        Counts and rates of each class.
    reliability : tuple of Reliability
        Reliability of the most likely class and, of two classes, of the second.
    codes, predicted : array of shape (n,)
        Observed and most likely class of each row.
    probability, surprisal : array of shape (n,)
        Probability of the observed label, and its negative natural logarithm.
    least_surprising, most_surprising : array
        Indices of rows, the extreme one first.
    top_k : tuple of float
        Shares of rows whose label is among the 1, 2, ... 5 most likely classes; 10 where logits were streamed.
    P : array of shape (n, q) or None
        The probabilities; None where logits were streamed (`audit_model`).
    rates : array of shape (q,)
        Class rates of the baseline.
    groups : array of shape (n,) or None
        Groups of dependent rows.
    weights : array of shape (n,) or None
        Weights of the rows; None where each counts once.
    streamed : StreamedRows or None
        What was kept of streamed logits.
    by : mapping of str to column, or None
        Columns whose groups are evaluated in `group_audit`.

    Examples
    --------
    >>> from softreg.report import audit
    >>> result = audit([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], [0, 1, 1], ["ham", "spam"])
    >>> result.confusion.tolist(), int(result.most_surprising[0])
    ([[1, 0], [1, 1]], 2)
    """

    rows: int
    classes: tuple[str, ...]
    log_loss: float
    log_loss_bits: float
    label_entropy: float
    label_entropy_bits: float
    skill: float
    accuracy: float
    majority: str
    majority_accuracy: float
    brier: float
    confusion: Any
    per_class: tuple[ClassAudit, ...]
    reliability: tuple[Reliability, ...]
    codes: Codes
    predicted: Codes
    probability: Float64Array
    surprisal: Float64Array
    least_surprising: Codes
    most_surprising: Codes
    top_k: tuple[float, ...]
    P: Any
    rates: FloatArray
    groups: Array | None = None
    weights: Float64Array | None = None
    streamed: StreamedRows | None = None
    by: Any = None

    def __repr__(self) -> str:
        """Return the numbers of rows and classes, and the main scores."""
        scores = f"log_loss={self.log_loss:.4g}, accuracy={self.accuracy:.4g}, brier={self.brier:.4g}"
        return f"Audit(rows={self.rows}, classes={len(self.classes)}, {scores}, skill={self.skill:.4g})"

    @property
    def effective_rows(self) -> float:
        """Kish's effective sample size, `(sum w)^2 / sum w^2`; the number of rows without weights."""
        w = self.weights
        return float(self.rows) if w is None else float(w.sum() ** 2 / (w @ w))

    @cached_property
    def auc(self) -> Interval:
        """Area under the ROC curve with its interval: one-vs-rest mean of several classes; nan above 100 classes."""
        if len(self.classes) > MAX_RANKED_CLASSES or self.P is None:
            return Interval(math.nan, math.nan, math.nan)
        return mean_auc_interval(self.P, self.codes, self.weights, groups=self.groups)

    @cached_property
    def calibration(self) -> CalibrationAudit:
        """Scores with intervals, the calibration gap, and the exact test of calibration."""
        if self.streamed is not None:
            return self.streamed.calibration
        rates = np.asarray(self.rates, np.float64)
        assert self.P is not None
        return audit_calibration(self.P, self.codes, rates, self.classes, groups=self.groups, weights=self.weights)

    @cached_property
    def group_audit(self) -> GroupAudit | None:
        """Evaluation of the groups of rows by the columns `by`; None without them."""
        if self.by is None or self.P is None:
            return None
        P = np.asarray(self.P, dtype=np.float64)
        return audit_groups(P, self.codes, self.classes, self.by, weights=self.weights, groups=self.groups)

    @cached_property
    def ranking(self) -> Ranking:
        """AUC and average precision of each class against the rest."""
        if self.P is None:
            none = np.full(len(self.classes), np.nan)
            return Ranking(none, none)
        return ranking_scores(self.P, self.codes, self.weights)

    def class_probability(self, k: int) -> Float64Array | None:
        """Return the probability (n,) of a class in each row; None where it was not kept.

        Parameters
        ----------
        k : int
            Code of the class.

        Returns
        -------
        ndarray or None
            Of streamed logits, the probabilities of the 12 most frequent classes were kept.

        Examples
        --------
        >>> from softreg.report import audit
        >>> audit([[0.9, 0.1], [0.8, 0.2]], [0, 1], ["ham", "spam"]).class_probability(1)
        array([0.1, 0.2])
        """
        if self.P is not None:
            return np.asarray(self.P[:, k], dtype=np.float64)
        return None if self.streamed is None else self.streamed.columns.get(k)

    def confused_pairs(self) -> list[tuple[int, int, int]]:
        """Return (observed class, predicted class, rows) of every kind of misclassification, the most frequent first.

        Returns
        -------
        list of tuple of int
            Codes of the two classes, and the number of rows.

        Examples
        --------
        >>> from softreg.report import audit
        >>> audit([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]], [0, 1, 1], ["ham", "spam"]).confused_pairs()
        [(1, 0, 1)]
        """
        counts = sp.coo_array(self.confusion)
        entries = zip(*(part.tolist() for part in (*counts.coords, counts.data)), strict=True)
        pairs = [(i, j, n) for i, j, n in entries if i != j and n > 0]
        return sorted(pairs, key=lambda pair: (-pair[2], pair[0], pair[1]))
