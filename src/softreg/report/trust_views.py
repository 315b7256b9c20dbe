"""The tables on trust, on acting and on information, as texts that the template lays out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from softreg.probability import Interval, OperatingPoint
from softreg.report.acting import Gains
from softreg.report.audit import Audit
from softreg.report.data import ReportData
from softreg.report.views import Bar, Table, name
from softreg.report.words import number, p_value, percent, points

MOST_TELLING = 30
"""Columns whose information is drawn."""


def trust(audit: Audit) -> Table:
    """The figures with their intervals."""
    t = audit.trust

    def line(what: str, figure: Interval, shown: Callable[[float], str], why: str) -> tuple[str, str, str, str]:
        return (what, shown(figure.value), f"{shown(figure.low)} to {shown(figure.high)}", why)

    return Table(
        ("figure", "value", "95% interval", "meaning"),
        [
            line("log loss", t.log_loss, number, "nats a row"),
            line("calibration gap", t.gap, number, f"of it, what {t.repair} scaling would gain on new rows"),
            ("refinement", number(t.refinement), "", "what the probabilities leave open even so"),
            line("Brier score", t.brier, number, "mean squared error over all classes"),
            line("of it, calibration", t.brier_gap, number, "by the same repair"),
            line("entropy explained", t.skill, percent, "1 − log loss / label entropy"),
            line("accuracy", t.accuracy, percent, ""),
        ],
        (False, True, True, False),
    )


def calibration_test(audit: Audit) -> Table:
    """The exact test and its three parts, and the debiased errors."""
    c = audit.trust.check
    lean = "too sure" if c.confidence > 0 else "too cautious"
    z = f"z = {number(c.confidence, 2)} ({lean}, if anything)"

    def error(value: float, chance: float) -> str:
        seen = f"off by {points(value)}" if value > 0 else "no error that can be seen"
        return f"{seen}; chance alone gives up to {points(chance)}"

    rows = [
        ("all in all", p_value(c.p_value, c.draws), f"{c.draws:,} draws of labels from the probabilities themselves"),
        ("sureness", p_value(c.p_confidence, c.draws), z),
        ("each class", p_value(c.p_classes, c.draws), error(c.error, c.error_by_chance)),
        ("the most likely class", p_value(c.p_top, c.draws), error(c.top_error, c.top_error_by_chance)),
    ]
    return Table(("what is tested", "p-value", "seen"), rows, (False, True, False))


def acting(found: Gains) -> Table:
    """What acting on the most likely rows brings."""
    rows = [
        (
            percent(a.share, 0), f"{a.rows:,}", percent(a.threshold), percent(a.precision),
            percent(a.found), f"{a.lift:.1f}×",
        )
        for a in found.steps
    ]  # fmt: skip
    head = ("of the rows", "rows", "probability from", "share that are so", "of all there are", "lift")
    return Table(head, rows, (True,) * 6)


def information(data: ReportData) -> list[Bar]:
    """What each column tells alone, in bits, the most telling first."""
    told = sorted(data.information, key=lambda one: -one[1])[:MOST_TELLING]
    largest = max((nats for _, nats in told), default=0.0) or 1.0
    bits = [(column, nats / np.log(2), 100 * max(nats, 0.0) / largest) for column, nats in told]
    return [Bar(name(column), number(value), f"{width:.1f}", True) for column, value, width in bits]


def costs(point: OperatingPoint, classes: tuple[str, ...]) -> Table:
    """What decisions of least expected cost lead to, beside deciding without probabilities."""
    rows = [
        ("deciding each row at its least expected cost", number(point.paid.value),
         f"{number(point.paid.low)} to {number(point.paid.high)}"),
        ("what the probabilities promised for it", number(point.expected), ""),
        (f"deciding “{name(classes[point.constant])}” for all", number(point.constant_cost), "best single decision"),
    ]  # fmt: skip
    if point.most_likely_cost is not None:
        rows.append(("deciding for the most likely class", number(point.most_likely_cost), ""))
    return Table(("way to decide", "cost a row", "95% interval"), rows, (False, True, False))
