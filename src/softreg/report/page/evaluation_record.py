"""The record of an evaluation that a model file keeps, from an audit."""

from __future__ import annotations

import math
import os
import time

import numpy as np
from numpy.typing import ArrayLike

from softreg.models import StoredEvaluation
from softreg.models.serialization.stored_evaluation import DATE_FORMAT, ClassReliability, ReliabilityBin
from softreg.probability import Interval, cross_entropy, proportion_interval
from softreg.probability.intervals import design_effect
from softreg.report.evaluation.audit_result import Audit
from softreg.report.evaluation.reliability import Reliability
from softreg.report.page.calibration_assessment import calibration_error
from softreg.typing import Float64Array
from softreg.version import __version__


def evaluation_record(
    audit: Audit,
    *,
    training_rows: int,
    training_weights: ArrayLike | None = None,
    held_out: int | None = None,
    method: str = "",
    data: str = "",
    seed: int = 0,
) -> StoredEvaluation:
    """Return the record of an evaluation on held-out rows, which `TableClassifier.keep_evaluation` stores.

    Parameters
    ----------
    audit : Audit
        Evaluation on rows that the model was not fitted to.
    training_rows : int
        Number of training rows.
    training_weights : array_like of shape (q,), optional
        Number or total weight of the training rows of each class.
    held_out : int, optional
        Number of held-out rows, where only a sample of them was evaluated.
    method : str
        How the rows were held out, such as "a random sample, stratified by class".
    data : str
        Name of the data.
    seed : int
        Seed of the split.

    Returns
    -------
    StoredEvaluation
        The record, with the version of softreg and the date, which the environment variable SOURCE_DATE_EPOCH sets.

    Raises
    ------
    ValueError
        If the weights are not one number of at least 0 for each class.

    Examples
    --------
    >>> from softreg.report import audit
    >>> result = audit([[0.75, 0.25], [0.5, 0.5], [0.25, 0.75]], [0, 1, 1], ["ham", "spam"])
    >>> record = evaluation_record(result, training_rows=40, training_weights=[20, 20])
    >>> record.training_frequencies, round(record.baseline_log_loss, 4)
    ((0.5, 0.5), 0.6931)
    """
    shares = None if training_weights is None else _shares(training_weights, len(audit.classes))
    rates = np.array([one.rate for one in audit.per_class])
    baseline = None if shares is None else float(cross_entropy(rates, shares))
    calibration = audit.calibration
    error = calibration_error(calibration, len(audit.classes))
    defined = all(math.isfinite(end) for end in (error.value, error.low, error.high))
    return StoredEvaluation(
        rows=audit.rows,
        held_out=audit.rows if held_out is None else held_out,
        training_rows=training_rows,
        method=method,
        classes=audit.classes,
        frequencies=tuple(rates.tolist()),
        training_frequencies=None if shares is None else tuple(shares.tolist()),
        log_loss=calibration.log_loss,
        log_loss_error=log_loss_error(audit),
        accuracy=calibration.accuracy,
        brier=_at_least_zero(calibration.brier),
        baseline_log_loss=baseline if baseline is None or math.isfinite(baseline) else None,
        calibration_error=error if defined else None,
        reliability=tuple(_class_reliability(curve) for curve in calibration.curves),
        groups=calibration.groups,
        weighted=audit.weights is not None,
        data=data,
        seed=seed,
        version=__version__,
        date=current_date(),
    )


def log_loss_error(audit: Audit) -> float | None:
    """Return the standard error of the log loss; None where it is not defined.

    It is the standard deviation of the surprisals over the root of the number of rows; with groups of dependent rows or
    weights, the variance is multiplied by the design effect.

    Parameters
    ----------
    audit : Audit
        The evaluation.

    Returns
    -------
    float or None
        Standard error in nats.

    Examples
    --------
    >>> from softreg.report import audit
    >>> round(log_loss_error(audit([[0.75, 0.25], [0.5, 0.5], [0.25, 0.75]], [0, 1, 1], ["ham", "spam"])), 4)
    0.1352
    """
    values, groups = audit.surprisal, audit.groups
    w = np.ones(len(values)) if audit.weights is None else audit.weights
    counted = w > 0  # rows of the weight 0 are left out
    values, w, groups = values[counted], w[counted] / w[counted].mean(), None if groups is None else groups[counted]
    n = len(values)
    effect, freedom = design_effect(values, groups, None if audit.weights is None else w)
    if n < 2 or freedom < 1 or not np.isfinite(values).all():
        return None
    rest = values - float(w @ values) / n
    return float(np.sqrt(effect * (w @ rest**2) / (n - 1) / n))


def current_date() -> str:
    """Return the date and time in UTC; the environment variable SOURCE_DATE_EPOCH sets them."""
    now = time.gmtime(float(os.environ.get("SOURCE_DATE_EPOCH", time.time())))
    return time.strftime(DATE_FORMAT, now)


def _shares(weights: ArrayLike, classes: int) -> Float64Array:
    """Return the shares (q,) of non-negative weights."""
    w = np.asarray(weights, dtype=np.float64)
    if w.shape != (classes,) or not np.isfinite(w).all() or (w < 0).any() or not w.sum() > 0:
        raise ValueError(f"training_weights must be a number of at least 0 for each of {classes} classes; seen: {w}.")
    return np.asarray(w / w.sum())


def _at_least_zero(score: Interval) -> Interval:
    return Interval(score.value, max(score.low, 0.0), score.high)


def _class_reliability(curve: Reliability) -> ClassReliability:
    """Return the bins of a curve that contain rows, with intervals of the observed frequencies."""
    bins = []
    for k in np.flatnonzero(curve.filled).tolist():
        rows, observed = int(curve.count[k]), float(curve.observed[k])
        interval = proportion_interval(round(observed * rows), rows)
        bins.append(
            ReliabilityBin(
                lower=float(curve.edges[k]),
                upper=float(curve.edges[k + 1]),
                rows=rows,
                predicted=float(curve.predicted[k]),
                observed=interval.value,
                low=interval.low,
                high=interval.high,
                band_low=float(curve.low[k]),
                band_high=float(curve.high[k]),
            )
        )
    return ClassReliability(curve.name, tuple(bins))
