"""Evaluate predicted probabilities on rows with known labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from softreg.models.calibration.calibrator import classes_of_columns
from softreg.models.calibration.group_columns import group_columns
from softreg.probability import (
    accuracy,
    brier,
    check_probabilities,
    cross_entropy,
    log_loss,
    most_likely,
    surprisal,
)
from softreg.probability.labels import codes_among
from softreg.probability.scores import unit_weights, weighted_mean
from softreg.report.evaluation.audit_result import Audit, ClassAudit
from softreg.report.evaluation.reliability import MOST_LIKELY, Reliability, reliability_curve
from softreg.typing import Array, Codes, Float64Array, FloatArray

BINS = 10
"""Bins of reliability curves."""
SHOWN_ROWS = 8
"""Least and most surprising rows that an audit lists."""
MAX_TOP_K = 5
"""Largest k of the top-k accuracies."""


def audit(
    P: ArrayLike,
    codes: ArrayLike,
    classes: Sequence[object] | Array | None = None,
    *,
    class_rates: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    by: Any = None,
    shown: int = SHOWN_ROWS,
    bins: int = BINS,
) -> Audit:
    """Evaluate predicted probabilities on rows with known labels.

    With class rates r, `log_loss = mean_i -log P[i, codes_i]`, `label_entropy = mean_i -log r[codes_i]` and
    `skill = 1 - log_loss / label_entropy`. Intervals and the test of calibration assume rows that the model was not
    fitted to.

    Parameters
    ----------
    P : array_like of shape (n, q)
        Predicted probabilities; each row sums to 1.
    codes : array_like of shape (n,)
        Position of the observed label in `classes`, or the labels themselves. Integers that could be either, and would
        mean different classes, are refused.
    classes : sequence of shape (q,), optional
        Labels of the columns of `P`. Without them, they are the labels that occur, in sorted order, and each must
        occur.
    class_rates : array_like of shape (q,), optional
        Class rates r of the baseline, such as those of the training rows; those of the given rows without them.
    groups : array_like of shape (n,), optional
        Equal values mark rows that depend on each other. Intervals are then those of independent groups, and the test
        of calibration uses one row of each; without groups, rows are taken as independent.
    sample_weight : array_like of shape (n,), optional
        Weights of the rows: losses, accuracy, areas and rates are weighted means, with intervals for the effective
        sample size. The test of calibration, the confusion matrix and the reliability curves count each row once.
    by : mapping of str to array_like, data frame, series, or array_like of shape (n,) or (n, c), optional
        Columns whose values divide the rows into groups, which `Audit.group_audit` evaluates: log loss and calibration
        gap of each group, and the significantly miscalibrated groups. Unlike `groups`, they are no statement on the
        dependence of rows.
    shown : int
        Number of least and most surprising rows to list.
    bins : int
        Bins of the reliability curves.

    Returns
    -------
    Audit
        The evaluation. A probability of 0 for an observed label makes `log_loss` inf and `skill` -inf. Where only one
        class occurs, `skill` is 0 for a log loss of 0 and -inf otherwise.

    Raises
    ------
    ValueError
        If there are no rows, a code is outside 0..q-1, the number of classes is not q, or a row of `P` is not a
        distribution.

    References
    ----------
    Good, "Rational decisions" (1952), for the log loss; Cover and Thomas, "Elements of Information Theory", for the
    share of entropy explained.

    Examples
    --------
    >>> result = audit([[0.75, 0.25], [0.5, 0.5], [0.25, 0.75]], [0, 1, 1], ["ham", "spam"])
    >>> result.accuracy == 2 / 3, round(result.log_loss_bits, 3), result.confusion.tolist()
    (True, 0.61, [[1, 0], [1, 1]])
    """
    P = check_probabilities(P)
    codes, names = _labelled(P, codes, classes)
    n, q = P.shape
    w = None if sample_weight is None else unit_weights(sample_weight, (n,))
    observed_rates = np.bincount(codes, minlength=q) / n if w is None else np.bincount(codes, w, q) / w.sum()
    rates = observed_rates if class_rates is None else checked_rates(class_rates, q)
    predicted, majority = np.asarray(most_likely(P), dtype=np.int64), int(np.argmax(rates))
    confusion = np.bincount(codes * q + predicted, minlength=q * q).reshape(q, q)
    mean = np.average(P.astype(np.float64, copy=False), axis=0, weights=w)
    observed = np.minimum(P[np.arange(n), codes].astype(np.float64), 1.0)  # float32 rows may round to 1.0000001
    surprise = surprisal(observed).astype(np.float64)
    return Audit(
        rows=n,
        classes=names,
        **_scores(P, codes, w, observed_rates=observed_rates, baseline_rates=rates),  # type: ignore[arg-type]
        majority=names[majority],
        majority_accuracy=float(observed_rates[majority]),
        confusion=confusion,
        per_class=classes_audit(names, confusion, mean, observed_rates),
        reliability=_reliability(P, codes, predicted, names, bins),
        codes=codes,
        predicted=predicted,
        probability=observed,
        surprisal=surprise,
        least_surprising=np.argsort(surprise, kind="stable")[:shown],
        most_surprising=np.argsort(-surprise, kind="stable")[:shown],
        top_k=_top_k(P, codes, w),
        P=P,
        rates=rates,
        groups=None if groups is None else checked_groups(groups, n),
        weights=w,
        by=None if by is None else group_columns(by, n),
    )


def _labelled(
    P: FloatArray, codes: ArrayLike, classes: Sequence[object] | Array | None
) -> tuple[Codes, tuple[str, ...]]:
    """Return codes (n,) and names (q,) of the labels and classes of probabilities."""
    if classes is None:
        classes = classes_of_columns(codes, None, P.shape[-1]).labels
    assert classes is not None
    names = tuple(str(label) for label in classes)
    return checked_codes(P.shape, codes_among(codes, classes), names), names


def _scores(
    P: FloatArray, codes: Codes, w: Float64Array | None, *, observed_rates: Float64Array, baseline_rates: FloatArray
) -> dict[str, float]:
    """Return losses, skill, accuracy and Brier score by the names of the fields of `Audit`."""
    loss, entropy = float(log_loss(P, codes, w)), float(cross_entropy(observed_rates, baseline_rates))
    return {
        "log_loss": loss,
        "log_loss_bits": float(log_loss(P, codes, w, unit="bit")),
        "label_entropy": entropy,
        "label_entropy_bits": float(cross_entropy(observed_rates, baseline_rates, unit="bit")),
        "skill": skill_of(loss, entropy),
        "accuracy": float(accuracy(P, codes, w)),
        "brier": float(brier(P, codes, w)),
    }


def _top_k(P: FloatArray, codes: Codes, w: Float64Array | None) -> tuple[float, ...]:
    """Return the shares of rows whose label is among the first k; of equal probabilities the first column counts."""
    observed = P[np.arange(len(P)), codes][:, None]
    before = np.arange(P.shape[1]) < codes[:, None]
    rank = ((observed < P) | ((observed == P) & before)).sum(axis=1)
    return tuple(weighted_mean(rank < k, w) for k in range(1, min(MAX_TOP_K, P.shape[1]) + 1))


def checked_codes(shape: tuple[int, ...], codes: Array, names: tuple[str, ...]) -> Codes:
    """Return codes (n,) as int64; raise `ValueError` if they do not fit probabilities of a shape, or their classes."""
    if len(shape) != 2 or shape[0] == 0:
        raise ValueError(f"P must have shape (n, q) with at least one row; seen: {shape}")
    n, q = shape
    if len(names) != q:
        raise ValueError(f"P has {q} columns, one for each class, but {len(names)} classes are given")
    if codes.shape != (n,) or codes.dtype.kind not in "iu":
        raise ValueError(
            f"codes must be {n} integers, one for each row of P; seen: {codes.dtype} of shape {codes.shape}. "
            "softreg.probability.Classes(labels).encode(labels) computes them from labels"
        )
    outside = (codes < 0) | (codes >= q)
    if outside.any():
        row = int(np.argmax(outside))
        raise ValueError(
            f"codes must lie between 0 and {q - 1}, the last of {q} classes, but row {row} has {codes[row]}"
        )
    return codes.astype(np.int64)


def checked_rates(class_rates: ArrayLike, q: int) -> FloatArray:
    """Return class rates (q,); raise `ValueError` if they are no distribution."""
    rates = check_probabilities(class_rates, name="class_rates")
    if rates.shape != (q,):
        raise ValueError(f"class_rates must hold one rate for each of {q} classes; seen: shape {rates.shape}")
    return rates


def checked_groups(groups: ArrayLike, n: int) -> Array:
    """Return groups (n,); raise `ValueError` for another shape."""
    array = np.asarray(groups)
    if array.shape != (n,):
        raise ValueError(f"groups must hold one value for each of {n} rows; seen: shape {array.shape}")
    return array


def skill_of(loss: float, entropy: float) -> float:
    """Return the share of the label entropy that is explained, `1 - loss / entropy`, with its limits at 0 and inf."""
    if entropy == 0.0:  # a single class has no entropy to explain
        return 0.0 if loss == 0.0 else -np.inf
    if np.isinf(entropy):  # the baseline has rate 0 for an observed class; inf / inf is undefined
        return 1.0 if np.isfinite(loss) else -np.inf
    return 1.0 - loss / entropy


def classes_audit(
    names: tuple[str, ...], confusion: Any, mean: Float64Array, rates: Float64Array
) -> tuple[ClassAudit, ...]:
    """Return counts and rates of each class from a confusion matrix, dense or sparse, and mean probabilities (q,)."""
    observed, predicted, right = confusion.sum(axis=1), confusion.sum(axis=0), confusion.diagonal()
    return tuple(
        ClassAudit(
            label=name,
            rows=int(observed[k]),
            predicted=int(predicted[k]),
            rate=float(rates[k]),
            mean_probability=float(mean[k]),
            precision=float(right[k] / predicted[k]) if predicted[k] else None,
            recall=float(right[k] / observed[k]) if observed[k] else None,
        )
        for k, name in enumerate(names)
    )


def _reliability(
    P: FloatArray, codes: Codes, predicted: Codes, names: tuple[str, ...], bins: int
) -> tuple[Reliability, ...]:
    P = np.minimum(P, 1.0)
    top = reliability_curve(P.max(axis=1), predicted == codes, name=MOST_LIKELY, bins=bins)
    if P.shape[1] != 2:
        return (top,)
    return top, reliability_curve(P[:, 1], codes == 1, name=names[1], bins=bins)
