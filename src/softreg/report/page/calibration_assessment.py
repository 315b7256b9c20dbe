"""Assessment of calibration: one conclusion for the summary of the page, its details and the command line."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from softreg.probability import Interval
from softreg.report.evaluation.audit_result import Audit
from softreg.report.evaluation.calibration_audit import CalibrationAudit
from softreg.report.evaluation.number_format import MAX_NAME_LENGTH, shorten_middle
from softreg.report.evaluation.reliability import Reliability

INFINITE = "infinite log loss"
TOO_FEW = "too few rows to tell"
NONE_FOUND = "no miscalibration found"
SMALL = "slightly off"
OVERCONFIDENT = "overconfident"
UNDERCONFIDENT = "underconfident"
UNEVEN = "uneven"


@dataclass(frozen=True)
class AssessmentLimits:
    """Thresholds of the conclusions on calibration and of the warnings; tests pass others."""

    significance: float = 0.05
    """p-value at or below which the exact test rejects."""
    detectable_error: float = 0.1
    """Root-mean-square error of a probability (10 percentage points) that must be detectable in the sample; where only
    larger errors are, the rows are too few to tell."""
    open_gap: float = 0.25
    """Share of the log loss that recalibration may gain, by the upper end of its interval, for the rows to suffice."""
    open_nats: float = 0.01
    """Gain, in nats, that is always small enough for that."""
    small_error: float = 0.05
    """Upper end of the interval of the error up to which a detected miscalibration is called slight."""
    small_gap: float = 0.02
    """Share of the log loss that recalibration gains up to which a miscalibration is called slight."""
    leakage: float = 0.9
    """Share of the label entropy that a single column explains from which it is reported as possible leakage."""
    perfect_rows: int = 50
    """Rows, at least, of an accuracy of 100% that is reported as suspicious."""
    bias: float = 3.0
    """Absolute z-score of a class count from which probabilities of the class are called too high or too low."""


@dataclass(frozen=True)
class CalibrationAssessment:
    """Conclusion on the calibration of the probabilities.

    Attributes
    ----------
    conclusion : str
        "no miscalibration found", "too few rows to tell", "slightly off", "overconfident", "underconfident", "too high
        for NAME", "too low for NAME", "uneven" or "infinite log loss".
    acceptable : bool or None
        True where nothing was found in enough rows, False where the error is more than slight, None in between.
    error : Interval
        Root-mean-square error of a probability: of either class, where there are two, otherwise of the most likely
        class.
    detectable_error : float
        Error of that kind that would be found in about 80% of samples of as many rows, if it has one sign or changes
        slowly with the probability.

    Examples
    --------
    >>> from softreg.report import audit
    >>> assess_calibration(audit([[0.5, 0.5]] * 40, [0, 1] * 20, ["ham", "spam"])).conclusion
    'too few rows to tell'
    """

    conclusion: str
    acceptable: bool | None
    error: Interval
    detectable_error: float


def assess_calibration(audit: Audit, limits: AssessmentLimits = AssessmentLimits()) -> CalibrationAssessment:
    """Assess the calibration by the size of the error, its interval, the exact test and its power.

    Parameters
    ----------
    audit : Audit
        Evaluation of the probabilities.
    limits : AssessmentLimits
        Thresholds of the conclusions.

    Returns
    -------
    CalibrationAssessment
        The conclusion, and the error with its interval.

    Examples
    --------
    >>> from softreg.report import audit
    >>> assess_calibration(audit([[0.9, 0.1]] * 400, [0] * 200 + [1] * 200, ["ham", "spam"])).conclusion
    'too low for “spam”'
    """
    gap, check = audit.calibration.gap, audit.calibration.check
    error = calibration_error(audit.calibration, len(audit.classes))
    detectable = check.detectable if len(audit.classes) == 2 else check.top_detectable
    if math.isinf(audit.log_loss):
        return CalibrationAssessment(INFINITE, False, error, detectable)
    if check.p_value > limits.significance:
        largest_gap = max(limits.open_gap * audit.log_loss, limits.open_nats)
        enough = detectable <= limits.detectable_error and gap.high <= largest_gap
        conclusion, acceptable = (NONE_FOUND, True) if enough else (TOO_FEW, None)
        return CalibrationAssessment(conclusion, acceptable, error, detectable)
    if error.high <= limits.small_error and gap.value <= limits.small_gap * audit.log_loss:
        return CalibrationAssessment(SMALL, None, error, detectable)
    return CalibrationAssessment(error_direction(audit, limits), False, error, detectable)


def calibration_error(calibration: CalibrationAudit, classes: int) -> Interval:
    """Return the root-mean-square error of a probability with its 95% interval, from the debiased squared error.

    Parameters
    ----------
    calibration : CalibrationAudit
        The exact test and its errors.
    classes : int
        Number of classes.

    Returns
    -------
    Interval
        `sqrt(error / 2)` for two classes, which have the same errors; `sqrt(top_error)`, of the most likely class, for
        more. The upper end is at least the difference of the mean probability of the most likely class and the lower
        end of the accuracy, which matters where errors are too rare to occur in the sample.
    """
    check = calibration.check
    square, share = (check.error_interval, 0.5) if classes == 2 else (check.top_error_interval, 1.0)
    value, low, high = (math.sqrt(max(share * end, 0.0)) for end in (square.value, square.low, square.high))
    return Interval(value, low, max(high, calibration.mean_top - calibration.accuracy.low))


def error_direction(audit: Audit, limits: AssessmentLimits = AssessmentLimits()) -> str:
    """Return the direction of a miscalibration as a conclusion.

    Parameters
    ----------
    audit : Audit
        Evaluation of the probabilities.
    limits : AssessmentLimits
        Thresholds of the conclusions.

    Returns
    -------
    str
        "too high for NAME" or "too low for NAME" if the mean probability of a class is off, and either its deviation is
        larger, in standard deviations, than that of the mean surprisal or, of two classes, no bin deviates in the other
        direction. Otherwise "overconfident" or "underconfident" if the test rejects the mean surprisal, or "uneven".
    """
    calibration = audit.calibration
    check, worst = calibration.check, int(np.argmax(np.abs(calibration.bias)))
    z = float(calibration.bias[worst])
    if len(calibration.bias) == 2:  # both classes have the same error with opposite signs: name the second
        worst, z = 1, float(calibration.bias[1])
    confidence = abs(check.confidence) if check.p_confidence <= limits.significance else 0.0
    one_sided = len(calibration.bias) == 2 and _one_sided(audit.reliability[-1])
    if abs(z) >= _least_bias(calibration, limits) and (abs(z) >= confidence or one_sided):
        name = shorten_middle(audit.classes[worst], MAX_NAME_LENGTH)
        return f"too {'high' if z < 0 else 'low'} for “{name}”"
    if confidence:
        return OVERCONFIDENT if check.confidence > 0 else UNDERCONFIDENT
    return UNEVEN


def _least_bias(calibration: CalibrationAudit, limits: AssessmentLimits) -> float:
    """Return the z-score of a class count from which a class is named; of many classes, one that none has by chance."""
    if not calibration.ranks:
        return limits.bias
    classes = max(int(np.count_nonzero(calibration.bias)), 1)
    return max(limits.bias, float(-ndtri(ndtr(-limits.bias) / classes)))


def _one_sided(curve: Reliability) -> bool:
    """Return whether bins lie outside their bands in one direction only."""
    above = (curve.outside & (np.nan_to_num(curve.observed) > np.nan_to_num(curve.predicted))).any()
    below = (curve.outside & (np.nan_to_num(curve.observed) < np.nan_to_num(curve.predicted))).any()
    return bool(above != below)
