"""The figures of a report: predicted probabilities evaluated on rows with known labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from softreg.models.calibration.calibrator import classes_of_columns
from softreg.probability import (
    Interval,
    accuracy,
    brier,
    check_probabilities,
    cross_entropy,
    log_loss,
    mean_auc_interval,
    most_likely,
    surprisal,
)
from softreg.probability.labels import codes_among
from softreg.probability.scores import unit_weights, weighted_mean
from softreg.report.evaluation.calibration_audit import MOST_RANKED, Ranking, Trust, ranking, trust
from softreg.report.evaluation.reliability import Reliability, reliability_curve

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class ClassAudit:
    """One class: how often it was observed, how often predicted, and how often correctly.

    `rate` is its share of the rows and `mean_probability` its mean predicted probability: a model with an intercept
    has both equal on its training rows. `precision` is None where the class was never predicted and
    `recall` None where no row has it.

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
class Audit:
    """Evaluation of n rows of probabilities over q classes with known labels; made by `audit`.

    Losses are in nats unless the name says bits. `label_entropy` is the loss of predicting the class rates
    for every row, and `skill` = 1 - log_loss / label_entropy is the share of it that the probabilities explain: 1
    is perfect, 0 no help, below 0 harmful, -inf where a true label had probability 0. `confusion` (q, q)
    counts observed x predicted labels. `surprisal` (n,) is -log of the probability of the observed label;
    `least_surprising` and `most_surprising` are row indices, the extreme one first. `reliability` has the
    curve of the top label, and for two classes that of the second class too. `top_k` are the shares of rows whose
    label is among the 1, 2, 3, 4, 5 most likely classes. `P` (n, q) are the probabilities themselves and `rates` (q,)
    those of the baseline; `weights` (n,) those of the rows, None where each counts once. `trust` (intervals,
    calibration gap, exact test) and `ranking` (areas under curves) are
    computed when they are first asked for.

    >>> found = audit([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], [0, 1, 1], ["ham", "spam"])
    >>> found.confusion.tolist(), int(found.most_surprising[0])
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
    confusion: Codes
    per_class: tuple[ClassAudit, ...]
    reliability: tuple[Reliability, ...]
    codes: Codes
    predicted: Codes
    probability: Floats
    surprisal: Floats
    least_surprising: Codes
    most_surprising: Codes
    top_k: tuple[float, ...]
    P: NDArray[np.floating]
    rates: NDArray[np.floating]
    groups: NDArray[np.generic] | None = None
    weights: Floats | None = None

    def __repr__(self) -> str:
        """The numbers of rows and classes, and the main figures."""
        figures = f"log_loss={self.log_loss:.4g}, accuracy={self.accuracy:.4g}, brier={self.brier:.4g}"
        return f"Audit(rows={self.rows}, classes={len(self.classes)}, {figures}, skill={self.skill:.4g})"

    @property
    def effective_rows(self) -> float:
        """Kish's effective number of rows, `(sum w)^2 / sum w^2`: all rows, where they have no weights."""
        w = self.weights
        return float(self.rows) if w is None else float(w.sum() ** 2 / (w @ w))

    @cached_property
    def auc(self) -> Interval:
        """Area under the ROC curve, of several classes the mean of each against the rest; nan above 100 classes."""
        if len(self.classes) > MOST_RANKED:
            return Interval(math.nan, math.nan, math.nan)
        return mean_auc_interval(self.P, self.codes, self.weights, groups=self.groups)

    @cached_property
    def trust(self) -> Trust:
        """Figures with intervals, the calibration gap, and the exact test."""
        rates, sampling = np.asarray(self.rates, np.float64), {"groups": self.groups, "weights": self.weights}
        return trust(self.P, self.codes, rates, self.classes, **sampling)  # type: ignore[arg-type]

    @cached_property
    def ranking(self) -> Ranking:
        """Areas under the ROC and precision-recall curves of each class against the rest."""
        return ranking(self.P, self.codes, self.weights)

    def confused_pairs(self) -> list[tuple[int, int, int]]:
        """Give (given class, predicted class, rows) of every mistake that was made, the most frequent first.

        >>> audit([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]], [0, 1, 1], ["ham", "spam"]).confused_pairs()
        [(1, 0, 1)]
        """
        wrong = self.confusion - np.diag(np.diag(self.confusion))
        pairs = [(int(i), int(j), int(wrong[i, j])) for i, j in np.argwhere(wrong > 0)]
        return sorted(pairs, key=lambda pair: (-pair[2], pair[0], pair[1]))


def audit(
    P: ArrayLike,
    codes: ArrayLike,
    classes: Sequence[object] | NDArray[np.generic] | None = None,
    *,
    class_rates: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    shown: int = 8,
    bins: int = 10,
) -> Audit:
    """Evaluate probabilities on rows with known labels.

    Intervals and the test of calibration assume rows that the model was not fitted to.

    With r the class rates: log_loss = mean_i -log P[i, codes_i], label_entropy = mean_i -log r[codes_i], and
    skill = 1 - log_loss / label_entropy. Without `class_rates`, r are the rates among the given rows
    themselves, and the baseline is their entropy; with it (the training rows' rates, say), it is what knowing
    these alone would have cost. `groups` (n,) marks rows that depend on each other by equal values: intervals are then
    those of independent groups, and the test of calibration takes one row of each; otherwise rows are taken as
    independent. `sample_weight` (n,) makes losses, accuracy, areas and rates weighted means, with intervals for as many
    rows as the weights are worth; the test of calibration, confusion and reliability count each row once.

    `P` (n, q) holds distributions; `codes` (n,) holds the place of the given label in `classes` (q,), or the labels
    themselves; integers that could be either and would mean different classes are refused. Without `classes`, the
    columns of `P` are the labels that occur, in sorted order, and each must occur. `shown` is how many
    least and most surprising rows are named and `bins` how many intervals of probability the reliability curves
    have. A probability of 0 for a given label makes log_loss inf and skill -inf. Where only one class occurs there
    is nothing to explain, and skill is 0 for a model that is sure of it, -inf otherwise. Raises `ValueError` for no
    rows, for codes outside 0..q-1, for a wrong number of classes and for rows of `P` that are no distribution.

    >>> found = audit([[0.75, 0.25], [0.5, 0.5], [0.25, 0.75]], [0, 1, 1], ["ham", "spam"])
    >>> found.accuracy == 2 / 3, round(found.log_loss_bits, 3), found.confusion.tolist()
    (True, 0.61, [[1, 0], [1, 1]])

    Source: Good, "Rational decisions" (1952), for the log loss; Cover and Thomas, "Elements of Information
    Theory", for the share of entropy explained.
    """
    P = check_probabilities(P)
    if classes is None:
        classes = classes_of_columns(codes, None, P.shape[-1]).labels
    codes, names = codes_among(codes, classes), tuple(str(label) for label in classes)
    codes, (n, q) = _checked_codes(P, codes, names), P.shape
    w = None if sample_weight is None else unit_weights(sample_weight, (n,))
    held_out_rates = np.bincount(codes, minlength=q) / n if w is None else np.bincount(codes, w, q) / w.sum()
    rates = held_out_rates if class_rates is None else _checked_rates(class_rates, q)
    predicted, majority = np.asarray(most_likely(P), dtype=np.int64), int(np.argmax(rates))
    confusion = np.bincount(codes * q + predicted, minlength=q * q).reshape(q, q)
    given = np.minimum(P[np.arange(n), codes].astype(np.float64), 1.0)  # float32 rows may round to 1.0000001
    surprise = surprisal(given).astype(np.float64)
    return Audit(
        rows=n,
        classes=names,
        **_scores(P, codes, w, (held_out_rates, rates)),
        majority=names[majority],
        majority_accuracy=float(held_out_rates[majority]),
        confusion=confusion,
        per_class=_per_class(names, confusion, P, held_out_rates, w),
        reliability=_reliability(P, codes, predicted, names, bins),
        codes=codes,
        predicted=predicted,
        probability=given,
        surprisal=surprise,
        least_surprising=np.argsort(surprise, kind="stable")[:shown],
        most_surprising=np.argsort(-surprise, kind="stable")[:shown],
        top_k=_top_k(P, codes, w),
        P=P,
        rates=rates,
        groups=None if groups is None else _checked_groups(groups, n),
        weights=w,
    )


def _scores(
    P: NDArray[np.floating], codes: Codes, w: Floats | None, rates: tuple[Floats, NDArray[np.floating]]
) -> dict[str, float]:
    """Losses, skill, accuracy and Brier score by their names; `rates` (q,) of the rows and of the baseline."""
    loss, entropy = float(log_loss(P, codes, w)), float(cross_entropy(*rates))
    return {
        "log_loss": loss,
        "log_loss_bits": float(log_loss(P, codes, w, unit="bit")),
        "label_entropy": entropy,
        "label_entropy_bits": float(cross_entropy(*rates, unit="bit")),
        "skill": _skill(loss, entropy),
        "accuracy": float(accuracy(P, codes, w)),
        "brier": float(brier(P, codes, w)),
    }


def _top_k(P: NDArray[np.floating], codes: Codes, w: Floats | None) -> tuple[float, ...]:
    """Shares of rows whose label is among the first k, ties not in one's favour, as by `top_k_accuracy`."""
    given = P[np.arange(len(P)), codes][:, None]
    before = np.arange(P.shape[1]) < codes[:, None]
    place = ((given < P) | ((given == P) & before)).sum(axis=1)
    return tuple(weighted_mean(place < k, w) for k in range(1, min(5, P.shape[1]) + 1))


def _checked_codes(P: NDArray[np.floating], codes: NDArray[np.generic], names: tuple[str, ...]) -> Codes:
    if P.ndim != 2 or P.shape[0] == 0:
        raise ValueError(f"P must be a matrix with a row for each row of the table, at least one; seen: {P.shape}")
    n, q = P.shape
    if len(names) != q:
        raise ValueError(f"P has {q} columns, one a class, but {len(names)} classes are named: give one name a column")
    if codes.shape != (n,) or codes.dtype.kind not in "iu":
        raise ValueError(
            f"codes must be {n} integers, one for each row of P; seen: {codes.dtype} of shape {codes.shape}. "
            "Classes(labels).encode(labels) makes codes of labels"
        )
    outside = (codes < 0) | (codes >= q)  # type: ignore[operator]
    if outside.any():
        row = int(np.argmax(outside))
        raise ValueError(
            f"codes must lie between 0 and {q - 1}, the last of {q} classes, but row {row} has {codes[row]}"
        )
    return codes.astype(np.int64)


def _checked_rates(class_rates: ArrayLike, q: int) -> NDArray[np.floating]:
    rates = check_probabilities(class_rates, name="class_rates")
    if rates.shape != (q,):
        raise ValueError(f"class_rates must hold one rate for each of {q} classes; seen: shape {rates.shape}")
    return rates


def _checked_groups(groups: ArrayLike, n: int) -> NDArray[np.generic]:
    found = np.asarray(groups)
    if found.shape != (n,):
        raise ValueError(f"groups must hold one value for each of {n} rows; seen: shape {found.shape}")
    return found


def _skill(loss: float, entropy: float) -> float:
    if entropy == 0.0:  # one class only: nothing to explain, so there is no share of it
        return 0.0 if loss == 0.0 else -np.inf
    if np.isinf(entropy):  # the baseline held a class impossible that occurred; inf / inf has no answer
        return 1.0 if np.isfinite(loss) else -np.inf
    return 1.0 - loss / entropy


def _per_class(
    names: tuple[str, ...], confusion: Codes, P: NDArray[np.floating], rates: Floats, w: Floats | None
) -> tuple[ClassAudit, ...]:
    given, predicted, right = confusion.sum(axis=1), confusion.sum(axis=0), np.diag(confusion)
    mean = np.average(P.astype(np.float64, copy=False), axis=0, weights=w)
    return tuple(
        ClassAudit(
            label=name,
            rows=int(given[k]),
            predicted=int(predicted[k]),
            rate=float(rates[k]),
            mean_probability=float(mean[k]),
            precision=float(right[k] / predicted[k]) if predicted[k] else None,
            recall=float(right[k] / given[k]) if given[k] else None,
        )
        for k, name in enumerate(names)
    )


def _reliability(
    P: NDArray[np.floating], codes: Codes, predicted: Codes, names: tuple[str, ...], bins: int
) -> tuple[Reliability, ...]:
    P = np.minimum(P, 1.0)
    top = reliability_curve(P.max(axis=1), predicted == codes, name="the predicted label", bins=bins)
    if P.shape[1] != 2:
        return (top,)
    return top, reliability_curve(P[:, 1], codes == 1, name=names[1], bins=bins)
