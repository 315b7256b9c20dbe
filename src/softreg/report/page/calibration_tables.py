"""Tables on calibration and on the costs of decisions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from softreg.probability import Interval, OperatingPoint
from softreg.report.evaluation.audit_result import Audit
from softreg.report.evaluation.number_format import (
    format_gain,
    format_number,
    format_p_value,
    format_percent,
    format_points,
    format_points_range,
)
from softreg.report.page.calibration_assessment import AssessmentLimits, assess_calibration
from softreg.report.page.table import Table, display_name


def calibration_scores(audit: Audit) -> Table:
    """Return the scores with their intervals."""
    c = audit.calibration

    def line(what: str, score: Interval, write: Callable[[float], str], meaning: str) -> tuple[str, str, str, str]:
        return (what, write(score.value), f"{write(score.low)} to {write(score.high)}", meaning)

    def gain_line(what: str, gain: Interval, meaning: str) -> tuple[str, str, str, str]:
        if gain.value <= 0:
            meaning = f"{meaning}; negative: recalibration is worse on these rows"
        return line(what, gain, format_gain, meaning)

    return Table(
        ("score", "value", "95% interval", "meaning"),
        [
            line("log loss", c.log_loss, format_number, "nats per row"),
            gain_line("calibration gap", c.gap, f"decrease of the log loss by {c.recalibration} scaling (an estimate)"),
            ("refinement", format_number(c.refinement), "", "log loss after this recalibration"),
            line("Brier score", c.brier, format_number, "mean squared error, summed over the classes"),
            gain_line("Brier calibration gap", c.brier_gap, "decrease of the Brier score by the same recalibration"),
            line("entropy explained", c.skill, format_percent, "1 − log loss / label entropy"),
            line("accuracy", c.accuracy, format_percent, "Wilson’s interval, with few mistakes Clopper and Pearson’s"),
        ],
        (False, True, True, False),
        stacked=True,
    )


def calibration_test(audit: Audit) -> Table:
    """Return the exact test with its three parts, and the debiased errors."""
    c, ranks, level = audit.calibration.check, audit.calibration.ranks, AssessmentLimits().significance
    q = ranks + 1 if ranks else len(audit.classes)
    direction = f" ({'over' if c.confidence > 0 else 'under'}confident)" if c.p_confidence <= level else ""

    def errors(p: float, square: float, limit: float, detectable: float, *, count: int) -> tuple[str, str, str]:
        zero = "not shown by bins" if p <= level else "none after correction for chance"
        observed = f"off by {_root(square / count)}" if square > 0 else zero
        return observed, _root(limit / count), _root(detectable**2)

    rows = [
        ("overall", format_p_value(c.p_value, c.draws), "", "", ""),
        (
            "confidence",
            format_p_value(c.p_confidence, c.draws),
            f"z = {format_number(c.confidence, 2)}{direction}",
            "",
            "",
        ),
        (
            "each rank" if ranks else "each class",
            format_p_value(c.p_classes, c.draws),
            *errors(c.p_classes, c.error, c.error_by_chance, c.detectable, count=q),
        ),
        (
            "most likely class",
            format_p_value(c.p_top, c.draws),
            *errors(c.p_top, c.top_error, c.top_error_by_chance, c.top_detectable, count=1),
        ),
    ]
    groups = audit.calibration.groups
    note = f"The test uses one row of each of {groups:,} groups. " if groups is not None else ""
    if ranks:
        note += (
            f"The outcomes of the test are the {ranks} most likely classes of each row by rank, and all others "
            "together; the part on confidence is a z-test of the mean surprisal over all classes."
        )
    note = note.strip()
    head = ("part of the test", "p-value", "observed", "95% limit if right", "found in 80% of samples")
    return Table(head, rows, (False, True, False, True, True), note)


def _root(square: float) -> str:
    """Return the root of a squared error in points."""
    return format_points(np.sqrt(max(square, 0.0))).replace("percentage ", "")


def calibration_card(audit: Audit) -> str:
    """Return the text below the conclusion at the top of the page."""
    assessment, check = assess_calibration(audit), audit.calibration.check
    p = f"p {format_p_value(check.p_value, check.draws, '= ')}"
    between = format_points_range(assessment.error.low, assessment.error.high)
    if assessment.error.value <= 0:
        if check.p_value <= AssessmentLimits().significance:
            return f"{p} by an exact test; size not shown by bins (95% interval {between} percentage points)"
        return f"{p} by an exact test; no error found after the correction for chance"
    return f"{p} by an exact test; off by {format_points(assessment.error.value)} (95% interval {between})"


def decision_costs(point: OperatingPoint, classes: tuple[str, ...]) -> Table:
    """Return the costs of the decisions of least expected cost, beside those of simpler rules."""
    rows = [
        (
            "decide each row at its least expected cost",
            format_number(point.paid.value),
            f"{format_number(point.paid.low)} to {format_number(point.paid.high)}",
        ),
        ("its expected cost by the probabilities", format_number(point.expected), ""),
        (
            f"decide “{display_name(classes[point.constant])}” for all rows",
            format_number(point.constant_cost),
            "the best constant decision",
        ),
    ]
    if point.most_likely_cost is not None:
        rows.append(("decide for the most likely class", format_number(point.most_likely_cost), ""))
    return Table(("decision rule", "cost per row", "95% interval"), rows, (False, True, False))
