"""What a report says of columns, as texts that the template lays out: importance, curves, effects, odds, missing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from softreg.models import Added, LinearityTest
from softreg.report.evaluation.column_rates import ColumnCurve
from softreg.report.evaluation.number_format import number, p_value_of, percent
from softreg.report.figures.column_plots import column_plot
from softreg.report.page.report_data import OddsRatio, ReportData
from softreg.report.page.result_tables import Table, name

MOST_COLUMNS = 30
"""Columns whose importance is drawn."""
MOST_EFFECTS = 16
"""Effects in their table."""
MOST_CURVES = 12
"""Columns whose curves are drawn."""
MOST_ODDS = 60
"""Changes in the table of odds ratios."""
MOST_CONTRASTS = 6
"""Classes against the reference class in the table of odds ratios."""
MOST_MISSING = 100
"""Columns in the table of missing values."""
LEVEL = 0.05
"""Corrected p-value from which on a straight line is not rejected."""
Z = 1.959964
"""Quantile of the normal distribution for 95% intervals."""


@dataclass(frozen=True)
class Importance:
    """Importance of one column, as texts and widths: what its removal costs, and its information alone, in nats."""

    column: str
    removal: str
    removal_width: str
    alone: str
    alone_width: str


def importance(data: ReportData) -> list[Importance]:
    """What removing each column costs and what it tells alone, in nats, the largest first."""
    costs, alone = {one.name: one for one in data.added}, dict(data.information)
    names = list(dict.fromkeys([*alone, *costs]))

    def size(column: str) -> float:
        return costs[column].nats if column in costs else -np.inf if costs else alone[column]

    names.sort(key=lambda column: -size(column))
    largest = max([*alone.values(), *(one.nats for one in data.added)], default=0.0) or 1.0

    def width(nats: float | None) -> str:
        return f"{100 * min(max(nats or 0.0, 0.0) / largest, 1.0):.1f}"

    lines = []
    for column in names[:MOST_COLUMNS]:
        cost, own = costs.get(column), alone.get(column)
        lines.append(
            Importance(
                name(column),
                "–" if cost is None else removal(cost),
                width(None if cost is None else cost.nats),
                "–" if own is None else nats_to(own),
                width(own),
            )
        )
    return lines


def removal(cost: Added) -> str:
    """What removing a column costs, with its interval.

    >>> removal(Added("age", 0.1, 0.01))
    '0.1000 (0.0804 to 0.1196)'
    """
    low, high = ends(cost)
    return f"{nats_to(cost.nats)} ({nats_to(low)} to {nats_to(high)})"


def ends(cost: Added) -> tuple[float, float]:
    """The 95% interval of what removing a column costs: the mean of paired differences, with its normal quantiles."""
    return cost.nats - Z * cost.error, cost.nats + Z * cost.error


def nats_to(value: float) -> str:
    """Nats to four decimal places.

    >>> nats_to(0.1), nats_to(-1e-6), nats_to(np.inf)
    ('0.1000', '0', '∞')
    """
    if not np.isfinite(value):
        return number(value)
    text = f"{value:.4f}".replace("-", "−")
    return text if text.strip("−0.") else "0"


def code_length(data: ReportData) -> str:
    """The code length of the training labels, in a sentence; empty where it was not measured."""
    code = data.code
    if code is None:
        return ""
    by_rates, by_columns, shuffled = (bits * np.log(2) for bits in (code.label_bits, code.bits, code.control_bits))
    return (
        f"Code length of the {code.rows:,} training labels, each predicted from those before it (prequential): "
        f"{by_rates:,.0f} nats by class rates alone, {by_columns:,.0f} nats with the columns ({code.compression:.2f} "
        f"times shorter). With the columns shuffled, so that they carry no information: {shuffled:,.0f} nats."
    )


@dataclass(frozen=True)
class DrawnCurve:
    """One column: its figure, its numbers, and what the test of a straight line says."""

    column: str
    figure: Markup
    numbers: Table
    test: str
    bent: bool


def curves(data: ReportData) -> list[DrawnCurve]:
    """The columns that cost most to remove, or tell most alone, first; those with a bend before them."""
    tests = {one.name: one for one in data.linearity}
    importance = {one.name: one.nats for one in data.added} or dict(data.information)

    def order(curve: ColumnCurve) -> tuple[bool, float]:
        test = tests.get(curve.column)
        return test is None or test.corrected > LEVEL, -importance.get(curve.column, 0.0)

    shown = sorted(data.curves, key=order)[:MOST_CURVES]
    return [
        DrawnCurve(
            name(curve.column),
            column_plot(curve, f"column{i}"),
            _bins(curve),
            _tested(tests.get(curve.column), len(tests)),
            is_bent(tests.get(curve.column)),
        )
        for i, curve in enumerate(shown)
    ]


def is_bent(test: LinearityTest | None) -> bool:
    """Whether the test rejects a straight line at 5%, corrected for the number of columns."""
    return test is not None and test.corrected <= LEVEL


def _tested(test: LinearityTest | None, tests: int) -> str:
    if test is None:
        return ""
    p = f"p {p_value_of(test.p_value)}"
    if tests > 1:
        p += f"; corrected for {tests} columns, p {p_value_of(test.corrected)}"
    return f"{'Not a straight line' if is_bent(test) else 'A straight line is not rejected'} ({p})."


def _bins(curve: ColumnCurve) -> Table:
    rows = [
        (
            name(curve.bins[b]), f"{curve.count[b]:,}", percent(curve.observed[b]),
            f"{percent(curve.low[b])} to {percent(curve.high[b])}", percent(curve.predicted[b]),
        )
        for b in range(len(curve.bins))
    ]  # fmt: skip
    return Table(("value", "rows", "observed", "95% interval", "mean probability"), rows, (False,) + (True,) * 4)


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


def odds(data: ReportData) -> Table:
    """Odds ratios of each class against the first, by column and change."""
    classes = [name(label) for label in data.audit.classes[1 : MOST_CONTRASTS + 1]]
    two = len(data.audit.classes) == 2
    head = ("column", "change", *(("odds ratio", "per standard deviation") if two else classes))

    def line(one: OddsRatio) -> tuple[str, ...]:
        texts = [number(ratio) for ratio in one.ratios[: len(classes)]]
        if one.is_reference:
            texts = ["1 (reference)"] * len(classes)
        per = [number(one.per_deviation[0]) if one.per_deviation else ""] if two else []
        return (name(one.column), name(one.change), *texts, *per)

    notes = []
    if len(data.odds) > MOST_ODDS:
        notes.append(f"{len(data.odds) - MOST_ODDS:,} more changes are left out.")
    if len(data.audit.classes) - 1 > MOST_CONTRASTS:
        notes.append(f"{len(data.audit.classes) - 1 - MOST_CONTRASTS:,} more classes are left out.")
    rows = [line(one) for one in data.odds[:MOST_ODDS]]
    return Table(head, rows, (False, False) + (True,) * (len(head) - 2), " ".join(notes))


def missing(data: ReportData) -> Table | None:
    """Columns with missing values, the most first; None where none has any."""
    some = sorted((one for one in data.missing if one.missing), key=lambda one: -one.missing)
    if not some:
        return None
    rows = [(name(one.name), f"{one.missing:,}", percent(one.share)) for one in some[:MOST_MISSING]]
    note = f"{len(some) - MOST_MISSING:,} more columns are left out." if len(some) > MOST_MISSING else ""
    return Table(("column", "rows without a value", "share"), rows, (False, True, True), note)


@dataclass(frozen=True)
class ClassShare:
    """One class: its rows here and in training, as texts, and the width of its bar in per cent."""

    label: str
    rows: str
    share: str
    width: str
    training: str


def class_balance(data: ReportData) -> list[ClassShare]:
    """Rows of each class, here and in training; the most frequent ones where there are many."""
    per_class = sorted(enumerate(data.audit.per_class), key=lambda one: -one[1].rows)[:MOST_COLUMNS]
    total, largest = sum(data.training_rows), max((one.rate for _, one in per_class), default=1.0) or 1.0

    def training(k: int) -> str:
        return f"{data.training_rows[k]:,} ({percent(data.training_rows[k] / total)})" if total else ""

    return [
        ClassShare(name(one.label), f"{one.rows:,}", percent(one.rate), f"{100 * one.rate / largest:.1f}",
                   training(k))
        for k, one in per_class
    ]  # fmt: skip
