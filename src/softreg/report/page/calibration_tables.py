"""The tables on calibration and costs, as texts that the template lays out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from softreg.probability import Interval, OperatingPoint
from softreg.report.evaluation.audit import Audit
from softreg.report.evaluation.number_format import gain, number, p_value, percent, points, points_between
from softreg.report.page.calibration_assessment import Limits, verdict
from softreg.report.page.result_tables import Table, name


def trust(audit: Audit) -> Table:
    """The figures with their intervals."""
    t = audit.trust

    def line(what: str, figure: Interval, shown: Callable[[float], str], why: str) -> tuple[str, str, str, str]:
        return (what, shown(figure.value), f"{shown(figure.low)} to {shown(figure.high)}", why)

    def gained(what: str, figure: Interval, why: str) -> tuple[str, str, str, str]:
        if figure.value <= 0:
            why = f"{why}; negative: it makes these rows worse"
        return (what, gain(figure.value), f"{gain(figure.low)} to {gain(figure.high)}", why)

    return Table(
        ("figure", "value", "95% interval", "meaning"),
        [
            line("log loss", t.log_loss, number, "nats a row"),
            gained("calibration gap", t.gap, f"what {t.recalibration} scaling lowers the log loss by (an estimate)"),
            ("refinement", number(t.refinement), "", "log loss after this recalibration"),
            line("Brier score", t.brier, number, "mean squared error, summed over the classes"),
            gained("its calibration gap", t.brier_gap, "what the same recalibration lowers the Brier score by"),
            line("entropy explained", t.skill, percent, "1 − log loss / label entropy"),
            line("accuracy", t.accuracy, percent, "Wilson’s interval"),
        ],
        (False, True, True, False),
        stacked=True,
    )


def calibration_test(audit: Audit) -> Table:
    """The exact test and its three parts, and the debiased errors."""
    t, c, q = audit.trust, audit.trust.check, len(audit.classes)
    lean = f" ({'over' if c.confidence > 0 else 'under'}confident)" if c.p_confidence <= Limits().level else ""

    def error(p: float, square: float, limit: float, detectable: float, count: int) -> tuple[str, str, str]:
        none = "not shown by bins" if p <= Limits().level else "none after correction for chance"
        seen = f"off by {_root(square / count)}" if square > 0 else none
        return seen, _root(limit / count), _root(detectable**2)

    rows = [
        ("all together", p_value(c.p_value, c.draws), "", "", ""),
        ("confidence", p_value(c.p_confidence, c.draws), f"z = {number(c.confidence, 2)}{lean}", "", ""),
        ("each class", p_value(c.p_classes, c.draws), *error(c.p_classes, c.error, c.error_by_chance, c.detectable, q)),
        (
            "most likely class", p_value(c.p_top, c.draws),
            *error(c.p_top, c.top_error, c.top_error_by_chance, c.top_detectable, 1),
        ),
    ]  # fmt: skip
    note = f"The test takes one row of each of {t.groups:,} groups." if t.groups is not None else ""
    head = ("what is tested", "p-value", "observed", "95% limit if right", "found in 80% of samples")
    return Table(head, rows, (False, True, False, True, True), note)


def _root(square: float) -> str:
    """The root of a squared error in percentage points, in short."""
    return points(np.sqrt(max(square, 0.0))).replace("percentage ", "")


def calibration_card(audit: Audit) -> str:
    """The line below the verdict on the card at the top of the page."""
    found, check = verdict(audit), audit.trust.check
    p = f"p {p_value(check.p_value, check.draws, '= ')}"
    between = points_between(found.size.low, found.size.high)
    if found.size.value <= 0:
        if check.p_value <= Limits().level:
            return f"{p} by an exact test; size not shown by bins (95% interval {between} percentage points)"
        return f"{p} by an exact test; no error found after the correction for chance"
    return f"{p} by an exact test; off by {points(found.size.value)} (95% interval {between})"


def costs(point: OperatingPoint, classes: tuple[str, ...]) -> Table:
    """What decisions of least expected cost lead to, beside deciding without probabilities."""
    rows = [
        ("deciding each row at its least expected cost", number(point.paid.value),
         f"{number(point.paid.low)} to {number(point.paid.high)}"),
        ("its expected cost by the probabilities", number(point.expected), ""),
        (f"deciding “{name(classes[point.constant])}” for all", number(point.constant_cost), "the best constant"),
    ]  # fmt: skip
    if point.most_likely_cost is not None:
        rows.append(("deciding for the most likely class", number(point.most_likely_cost), ""))
    return Table(("way to decide", "cost a row", "95% interval"), rows, (False, True, False))
