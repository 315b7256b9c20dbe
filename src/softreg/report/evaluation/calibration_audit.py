"""Calibration of the probabilities of an audit: scores with intervals, calibration gap, exact test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from softreg.deprecated import DeprecatedAttributes
from softreg.models.calibration.temperature import fit_scaling, log_probabilities
from softreg.probability import proportion_interval, score_interval
from softreg.probability.bootstrap_intervals import Interval
from softreg.probability.calibration import CalibrationCheck, check_calibration
from softreg.probability.intervals import design_effect
from softreg.probability.scores import weighted_mean
from softreg.report.evaluation.gain_and_skill import FOLDS, RecalibrationGain, SkillOfRows, undefined_skill
from softreg.report.evaluation.reliability import Reliability, reliability_curve
from softreg.splits import one_of_each, stratified_fold_numbers
from softreg.typing import Array, Codes, Float64Array, FloatArray

MAX_CURVES = 12
"""Classes whose reliability curve is computed: the most frequent ones."""
MAX_VECTOR_SCALED_CLASSES = 100
"""Number of classes above which the calibration gap is that of temperature scaling alone."""
SIGNIFICANCE_LEVEL = 0.05
"""Level at which `CalibrationAudit.calibrated` reads the exact test."""
FITTED_Z = 3e-3
"""Largest absolute z-score of a class count that rows of a fit have. New rows with correct probabilities have z-scores
as small in all classes in 0.24% of samples for two classes, and more rarely for more."""
MIN_EXPECTED_ERRORS = 1.0
"""Total variance of the class counts, in rows, from which rows of a fit can be recognised."""
MIN_ROWS_TO_DETECT_FIT = 20
"""Rows, and distinct rows of probabilities, from which rows of a fit can be recognised."""
SMALLEST_PROBABILITY = 5e-324
"""Recalibrated probabilities are at least this (the smallest double), so that their logarithm is finite."""


@dataclass(frozen=True, eq=False)
class CalibrationAudit(DeprecatedAttributes):
    """Scores with 95% intervals, the calibration gap and the exact test of calibration.

    It is computed by `audit_calibration` and is the attribute `calibration` of an `Audit`.

    Attributes
    ----------
    log_loss : Interval
        As in `Audit`, with an interval of `score_interval` for its expectation on new rows; so are `brier` and `skill`.
    brier : Interval
        Brier score.
    accuracy : Interval
        Accuracy, with `proportion_interval`.
    skill : Interval
        Share of the entropy of the class rates that the probabilities explain.
    gap : Interval
        Calibration gap in nats: the decrease of the log loss by the better of two simple recalibrations, on rows that
        the recalibration was not fitted to. It is an estimate; other recalibrations may gain more. It can be slightly
        negative where recalibration does not help.
    refinement : float
        `log_loss - gap`.
    brier_gap : Interval
        Decrease of the Brier score by the same recalibration.
    recalibration : str
        Name of that recalibration: "temperature" or "vector" scaling.
    check : CalibrationCheck
        The exact test, on `tested` rows.
    bias : array of shape (q,)
        z-score of each class: (rows of the class - sum of its probabilities) / standard deviation of that sum. It is
        negative where the probabilities of the class are too high on average.
    mean_top : float
        Mean probability of the most likely class: the expected accuracy if the probabilities are correct.
    curves : tuple of Reliability
        Reliability curves of the most frequent classes.
    tested : int
        Rows that the exact test uses.
    groups : int or None
        Number of groups of dependent rows, where they are known: intervals are then those of independent groups, and
        the test uses one row of each.
    fitted : bool
        Whether the mean probability of every class equals its share of the rows, as on the rows of a fit.
    ranks : int
        Number k of most likely classes of each row that the exact test tells apart: its outcomes are these and all
        others together. 0 where they are the classes. With k above 0, the confidence part is the z-test of the mean
        surprisal over all classes, the p-value is twice the smaller of the two, and `bias` is 0 for classes of a
        variance below 5.

    Examples
    --------
    >>> from softreg.report import audit
    >>> calibration = audit([[0.9, 0.1], [0.2, 0.8]] * 40, [0, 1] * 40).calibration
    >>> calibration.accuracy.value, calibration.recalibration
    (1.0, 'temperature')
    """

    log_loss: Interval
    brier: Interval
    accuracy: Interval
    skill: Interval
    gap: Interval
    refinement: float
    brier_gap: Interval
    recalibration: str
    check: CalibrationCheck
    bias: Float64Array
    mean_top: float
    curves: tuple[Reliability, ...]
    tested: int
    groups: int | None
    fitted: bool
    ranks: int = 0

    @property
    def calibrated(self) -> bool:
        """Whether the exact test does not reject at the 5% level."""
        return self.check.p_value > SIGNIFICANCE_LEVEL


def audit_calibration(
    probabilities: FloatArray,
    codes: Codes,
    rates: Float64Array,
    names: tuple[str, ...],
    *,
    groups: Array | None = None,
    weights: Float64Array | None = None,
    bins: int = 10,
) -> CalibrationAudit:
    """Compute scores with intervals, the calibration gap and the exact test.

    Parameters
    ----------
    probabilities : array of shape (n, q)
        Predicted probabilities. Sums of rows are checked in their precision; scores are computed in float64.
    codes : array of shape (n,)
        Observed class of each row.
    rates : array of shape (q,)
        Class rates of the baseline of the skill.
    names : tuple of str
        Names of the q classes.
    groups : array of shape (n,), optional
        Equal values mark rows that depend on each other.
    weights : array of shape (n,), optional
        Weights of the rows: scores are then weighted means. The exact test, the calibration errors and the curves
        count each row once.
    bins : int
        Bins of the reliability curves.

    Returns
    -------
    CalibrationAudit
        The scores, the gap and the test.
    """
    P: Float64Array = np.minimum(np.asarray(probabilities, dtype=np.float64), 1.0)
    n, q = P.shape
    losses, squares = _surprisals(P), _squares(P)
    recalibrated, name = _recalibrated(P, codes, weights)
    change, square_change = losses - _surprisals(recalibrated), squares - _squares(recalibrated)
    w = np.ones(n) if weights is None else weights / weights.mean()

    def interval(scores: Float64Array) -> Interval:
        return score_interval(scores, probabilities, codes, groups=groups, sample_weight=weights)

    log_loss, brier = _at_least(interval(losses), 0.0), _at_least(interval(squares), 0.0)
    hit = P.argmax(axis=1) == codes
    at = np.arange(n), codes
    parameters, unit_weights = 1 if name == "temperature" else 2 * q - 1, None if weights is None else w
    gain = RecalibrationGain(change[at], square_change[at], parameters, int((~hit).sum()), groups, unit_weights)
    rows = n / design_effect(hit.astype(np.float64), groups, unit_weights)[0]
    first = np.arange(n) if groups is None else one_of_each(groups)
    frequent = np.sort(np.argsort(-np.bincount(codes, minlength=q), kind="stable")[:MAX_CURVES])
    return CalibrationAudit(
        log_loss=log_loss,
        brier=brier,
        accuracy=proportion_interval(float((w * hit).mean()) * rows, rows),
        skill=_skill_interval(losses, codes, rates, interval, groups=groups, weights=weights),
        gap=gain.log_loss_interval(interval(change), log_loss),
        refinement=weighted_mean(-np.log(recalibrated[at]), weights),
        brier_gap=gain.brier_interval(interval(square_change), brier),
        recalibration=name,
        check=check_calibration(probabilities[first], codes[first]),
        bias=_bias(P, codes, w),
        mean_top=float((w * P.max(axis=1)).mean()),
        curves=tuple(reliability_curve(P[:, k], codes == k, name=names[k], bins=bins) for k in frequent),
        tested=len(first),
        groups=None if groups is None else len(first),
        fitted=has_fitted_rates(P, codes, w),
    )


def has_fitted_rates(P: Float64Array, codes: Codes, w: Float64Array | None = None) -> bool:
    """Return whether every class's mean probability equals its share of the rows, as a fit with an intercept makes it.

    Parameters
    ----------
    P : array of shape (n, q)
        Probabilities.
    codes : array of shape (n,)
        Observed classes.
    w : array of shape (n,), optional
        Weights of the rows.

    Returns
    -------
    bool
        False also where the rows are too few, or the probabilities too near 0 and 1, to decide.

    Examples
    --------
    >>> P = np.column_stack([1 - (p := np.linspace(0.1, 0.9, 100)), p])
    >>> has_fitted_rates(P, np.repeat([0, 1], 50)), has_fitted_rates(P, np.repeat([0, 1], [40, 60]))
    (True, False)
    """
    if len(P) < MIN_ROWS_TO_DETECT_FIT or len(np.unique(P[:, 0])) < MIN_ROWS_TO_DETECT_FIT:
        return False
    if (P * (1 - P)).sum() < MIN_EXPECTED_ERRORS:  # class counts hardly vary, on new rows too
        return False
    return bool((np.abs(_bias(P, codes, np.ones(len(P)) if w is None else w)) < FITTED_Z).all())


def _bias(P: Float64Array, codes: Codes, w: Float64Array) -> Float64Array:
    """Return z-scores (q,) of the weight of each class; 0 where its probabilities are all 0 or 1."""
    variance = w**2 @ (P * (1 - P))
    excess = np.bincount(codes, weights=w, minlength=P.shape[1]) - w @ P
    return np.asarray(np.divide(excess, np.sqrt(variance), out=np.zeros_like(excess), where=variance > 0))


def _surprisals(P: Float64Array) -> Float64Array:
    """Return the surprisal (n, q) of each class, in nats."""
    with np.errstate(divide="ignore"):
        return np.asarray(0.0 - np.log(P))


def _squares(P: Float64Array) -> Float64Array:
    """Return the Brier score (n, q) of each row for each possible label."""
    return np.asarray(np.einsum("nq,nq->n", P, P)[:, None] + 1 - 2 * P)


def _at_least(figure: Interval, least: float) -> Interval:
    return Interval(figure.value, max(figure.low, least), figure.high)


def _skill_interval(
    losses: Float64Array,
    codes: Codes,
    rates: Float64Array,
    interval: Callable[[Float64Array], Interval],
    *,
    groups: Array | None,
    weights: Float64Array | None,
) -> Interval:
    """Return the skill with its interval, from surprisals (n, q) and a function for the interval of scores (n, q)."""
    with np.errstate(divide="ignore"):
        baseline = 0.0 - np.log(np.asarray(rates, dtype=np.float64))
    rows = SkillOfRows(losses[np.arange(len(codes)), codes], baseline[codes], codes, rates, groups, weights)
    if not rows.is_defined:
        return undefined_skill(rows.loss, rows.entropy)
    baseline = np.where(np.isfinite(baseline), baseline, baseline[np.isfinite(baseline)].max())
    return rows.interval(interval(losses - rows.loss / rows.entropy * baseline))


def _recalibrated(P: Float64Array, codes: Codes, weights: Float64Array | None) -> tuple[Float64Array, str]:
    """Return probabilities (n, q) after the better of two cross-fitted recalibrations, and its name."""
    n, q = P.shape
    at, fold = np.arange(n), stratified_fold_numbers(codes, FOLDS, seed=0)
    L, _ = log_probabilities(P)
    candidates = []
    for name, shared in (("temperature", True), ("vector", False)):
        if not shared and q > MAX_VECTOR_SCALED_CLASSES:
            continue
        after = np.empty_like(P)
        for k in range(FOLDS):
            if (fold == k).any():
                training = fold != k
                fitted = fit_scaling(L[training], codes[training], shared=shared) if training.any() else None
                after[fold == k] = fitted.apply(L[fold == k]) if fitted else P[fold == k]
        after = np.maximum(after, SMALLEST_PROBABILITY)
        candidates.append((weighted_mean(_surprisals(after)[at, codes], weights), after, name))
    _, after, name = min(candidates, key=lambda candidate: candidate[0])
    return after, name
