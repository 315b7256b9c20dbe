"""The tables on calibration, gains, information and costs, as texts that the template lays out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from softreg.probability import Interval, OperatingPoint
from softreg.report.acting import Gains
from softreg.report.audit import Audit
from softreg.report.data import ReportData
from softreg.report.verdict import Limits, verdict
from softreg.report.views import Table, name
from softreg.report.words import gain, number, p_value, percent, points, points_between

MOST_TELLING = 30
"""Columns whose information is drawn."""
MOST_EFFECTS = 16
"""Effects in their table."""


def trust(audit: Audit) -> Table:
    """The figures with their intervals."""
    t = audit.trust

    def line(what: str, figure: Interval, shown: Callable[[float], str], why: str) -> tuple[str, str, str, str]:
        return (what, shown(figure.value), f"{shown(figure.low)} to {shown(figure.high)}", why)

    def gained(what: str, figure: Interval, why: str) -> tuple[str, str, str, str]:
        shown = gain(figure.value) if figure.value > 0 else "none"
        return (what, shown, f"{gain(figure.low)} to {gain(figure.high)}", why)

    return Table(
        ("figure", "value", "95% interval", "meaning"),
        [
            line("log loss", t.log_loss, number, "nats a row"),
            gained("calibration gap", t.gap, f"of it, what {t.recalibration} scaling gains (an estimate)"),
            ("refinement", number(t.refinement), "", "log loss after this recalibration"),
            line("Brier score", t.brier, number, "mean squared error, summed over the classes"),
            gained("of it, calibration", t.brier_gap, "by the same recalibration"),
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
        ("all together", p_value(c.p_value, c.draws), f"{c.draws:,} draws", "", ""),
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
        return f"{p} by an exact test; no error after the correction for chance"
    return f"{p} by an exact test; off by {points(found.size.value)} (95% interval {between})"


def acting(found: Gains) -> Table:
    """Gains and lift of the rows most likely to be of the class."""
    rows = [
        (
            percent(a.share, 0), f"{a.rows:,}", percent(a.threshold), percent(a.precision),
            percent(a.found), f"{a.lift:.1f}×",
        )
        for a in found.steps
    ]  # fmt: skip
    head = ("of the rows", "rows", "probability from", "precision", "recall", "lift")
    return Table(head, rows, (True,) * 6)


@dataclass(frozen=True)
class Told:
    """Information of one column: bits alone, and bits added to the others with their error, as texts and widths."""

    column: str
    alone: str
    width: str
    added: str
    added_width: str


def information(data: ReportData) -> list[Told]:
    """Information of each column alone and what it adds to the others, in bits, the largest first."""
    adds = {one.name: one for one in data.added}
    told = sorted(data.information, key=lambda one: -one[1])[:MOST_TELLING]
    largest = max([nats for _, nats in told] + [one.nats for one in data.added], default=0.0) or 1.0

    def width(nats: float) -> str:
        return f"{100 * max(nats, 0.0) / largest:.1f}"

    lines = []
    for column, nats in told:
        more = adds.get(column)
        error = "" if more is None or bits_to(more.error) == "0" else f" ± {bits_to(more.error)}"
        added = "" if more is None else bits_to(more.nats) + error
        lines.append(Told(name(column), bits_to(nats), width(nats), added, width(0.0 if more is None else more.nats)))
    return lines


def bits_to(nats: float) -> str:
    """Nats as bits, to four decimal places.

    >>> bits_to(0.1), bits_to(-1e-6)
    ('0.1443', '0')
    """
    text = f"{nats / np.log(2):.4f}".replace("-", "−")
    return text if text.strip("−0.") else "0"


def code_length(data: ReportData) -> str:
    """The code length of the training labels, in a sentence; empty where it was not measured."""
    code = data.code
    if code is None:
        return ""
    return (
        f"Code length of the {code.rows:,} training labels, each predicted by those before: {code.label_bits:,.0f} "
        f"bits by class rates alone, {code.bits:,.0f} bits by the columns as well ({code.compression:.2f} times fewer, "
        f"the cost of learning included). With shuffled columns, which carry no information: {code.control_bits:,.0f}."
    )


def effects(data: ReportData) -> Table:
    """By how many percentage points a class's mean probability changes with a feature."""

    def point(value: float) -> str:
        return f"{100 * value:+.1f}".replace("-", "−")

    two = len(data.audit.classes) == 2
    rows = [
        (name(e.feature), *(() if two else (name(e.label),)), point(e.value), f"{point(e.low)} to {point(e.high)}")
        for e in data.effects[:MOST_EFFECTS]
    ]
    head = ("change", *(() if two else ("class",)), "percentage points", "95% interval")
    return Table(head, rows, (False, *(() if two else (False,)), True, True))


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
