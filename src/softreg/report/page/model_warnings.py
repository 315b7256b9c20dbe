"""Warnings before a model is used, for the page and the console: leakage, perfect accuracy, miscalibration."""

from __future__ import annotations

from collections.abc import Sequence

from softreg.report.evaluation.audit_result import Audit
from softreg.report.evaluation.number_format import format_points, format_points_range, format_rows
from softreg.report.page.calibration_assessment import INFINITE, UNEVEN, AssessmentLimits, assess_calibration
from softreg.report.page.importance_text import leakage_warnings

LIMITS = AssessmentLimits()


def model_warnings(
    audit: Audit, information: Sequence[tuple[str, float]] = (), limits: AssessmentLimits = LIMITS
) -> tuple[str, ...]:
    """Return warnings of possible leakage, of an accuracy of 100%, and of miscalibrated probabilities.

    Parameters
    ----------
    audit : Audit
        Evaluation of the probabilities.
    information : sequence of (str, float)
        Mutual information of each column and the label, in nats, where it is known.
    limits : AssessmentLimits
        Thresholds of the warnings.

    Returns
    -------
    tuple of str
        The warnings.

    Examples
    --------
    >>> from softreg.report import audit
    >>> evaluation = audit([[0.99, 0.01], [0.01, 0.99]] * 40, [0, 1] * 40, ["dead", "alive"])
    >>> model_warnings(evaluation)[0][:40]
    'All 80 rows are predicted correctly: che'
    """
    warnings = leakage_warnings(information, audit.label_entropy, limits.leakage)
    several = sum(one.rows > 0 for one in audit.per_class) > 1
    if not warnings and audit.accuracy == 1 and audit.rows >= limits.perfect_rows and several:
        warnings.append(
            f"All {format_rows(audit.rows)} are predicted correctly: check that no column is derived from the label or "
            "recorded after it, and that no row is also among the training rows."
        )
    assessment = assess_calibration(audit, limits)
    if assessment.conclusion == INFINITE:
        impossible = format_rows(int((audit.probability == 0).sum()))
        warnings.append(f"The log loss is infinite: the observed label of {impossible} has probability 0.")
    elif assessment.acceptable is False:
        direction = "off in both directions" if assessment.conclusion == UNEVEN else assessment.conclusion
        error = assessment.error
        size = format_points(error.value) if error.value > 0 else f"up to {format_points(error.high)}"
        interval = f"95% interval {format_points_range(error.low, error.high)}"
        warnings.append(
            f"The probabilities are {direction}: off by {size} (root mean square; {interval}). Recalibrate them on "
            "rows that the model was not fitted to (softreg.Calibrator) before they are used as probabilities."
        )
    return tuple(warnings)
