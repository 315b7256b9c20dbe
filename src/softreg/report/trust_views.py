"""The tables on trust, on acting and on information, as texts that the template lays out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from softreg.probability import Interval, OperatingPoint
from softreg.report.acting import Gains
from softreg.report.audit import Audit
from softreg.report.data import ReportData
from softreg.report.views import Table, name
from softreg.report.words import number, p_value, percent, points

MOST_TELLING = 30
"""Columns whose information is drawn."""
MOST_EFFECTS = 16
"""Effects in their table."""


def trust(audit: Audit) -> Table:
    """The figures with their intervals."""
    t = audit.trust

    def line(what: str, figure: Interval, shown: Callable[[float], str], why: str) -> tuple[str, str, str, str]:
        return (what, shown(figure.value), f"{shown(figure.low)} to {shown(figure.high)}", why)

    def short(value: float) -> str:
        return number(value, 2)

    return Table(
        ("figure", "value", "95% interval", "meaning"),
        [
            line("log loss", t.log_loss, number, "nats a row"),
            line("calibration gap", t.gap, short, f"of it, what {t.repair} scaling would gain on new rows"),
            ("refinement", number(t.refinement), "", "what the probabilities leave open even so"),
            line("Brier score", t.brier, number, "mean squared error over all classes"),
            line("of it, calibration", t.brier_gap, short, "by the same repair"),
            line("entropy explained", t.skill, percent, "1 − log loss / label entropy"),
            line("accuracy", t.accuracy, percent, ""),
        ],
        (False, True, True, False),
        stacked=True,
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
    return Table(("what is tested", "p-value", "seen"), rows, (False, True, False), stacked=True)


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


@dataclass(frozen=True)
class Told:
    """What one column tells: bits alone, and bits added to the others with their error, as texts and widths."""

    column: str
    alone: str
    width: str
    added: str
    added_width: str


def information(data: ReportData) -> list[Told]:
    """What each column tells alone and what it adds, in bits, the most telling first."""
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
    """Nats as bits, to four places: what is smaller is of no account.

    >>> bits_to(0.1), bits_to(-1e-6)
    ('0.1443', '0')
    """
    text = f"{nats / np.log(2):.4f}".replace("-", "−")
    return text if text.strip("−0.") else "0"


def code_length(data: ReportData) -> str:
    """What the training labels take, in a sentence; empty where it was not measured."""
    code = data.code
    if code is None:
        return ""
    return (
        f"Sent one after the other, the {code.rows:,} labels of training take {code.label_bits:,.0f} bits for one who "
        f"learns the class rates as they come, and {code.bits:,.0f} bits for one who learns from the columns as well: "
        f"{code.compression:.2f} times fewer, learning paid for. With the columns shuffled, so that they tell nothing, "
        f"they take {code.control_bits:,.0f}."
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
        ("what the probabilities promised for it", number(point.expected), ""),
        (f"deciding “{name(classes[point.constant])}” for all", number(point.constant_cost), "best single decision"),
    ]  # fmt: skip
    if point.most_likely_cost is not None:
        rows.append(("deciding for the most likely class", number(point.most_likely_cost), ""))
    return Table(("way to decide", "cost a row", "95% interval"), rows, (False, True, False))
