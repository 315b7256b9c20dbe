"""Tables on columns: importance, curves, marginal effects, odds ratios, missing values, class balance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from softreg.models import Added, LinearityTest
from softreg.report.evaluation.audit_result import Audit
from softreg.report.evaluation.column_rates import ColumnRates
from softreg.report.evaluation.gain_and_skill import FEW_MISTAKES
from softreg.report.evaluation.number_format import format_number, format_percent, format_test_p_value
from softreg.report.figures.column_plots import column_plot
from softreg.report.page.report_data import OddsRatio, ReportData
from softreg.report.page.table import Table, display_name, left_out_note

MAX_COLUMNS = 30
"""Columns whose importance is drawn, and classes whose balance is."""
MAX_EFFECTS = 16
"""Marginal effects in their table."""
MAX_CURVES = 12
"""Columns whose curves are drawn."""
MAX_ODDS_RATIOS = 60
"""Changes in the table of odds ratios."""
MAX_CONTRASTS = 6
"""Classes against the reference class in the table of odds ratios."""
MAX_MISSING = 100
"""Columns in the table of missing values."""
SIGNIFICANCE = 0.05
"""Corrected p-value at or below which linearity is rejected."""
Z = 1.959964
"""Standard normal quantile of 95% intervals."""


@dataclass(frozen=True)
class Importance:
    """Importance of one column, in nats: cost of removal and information alone, with widths of bars in per cent."""

    column: str
    removal: str
    removal_width: str
    alone: str
    alone_width: str


def importance(data: ReportData) -> list[Importance]:
    """Return the importance of the columns, the most important first."""
    costs, alone = {one.name: one for one in data.added}, dict(data.information)
    names = list(dict.fromkeys([*alone, *costs]))

    def size(column: str) -> float:
        return costs[column].nats if column in costs else -np.inf if costs else alone[column]

    names.sort(key=lambda column: -size(column))
    largest = max([*alone.values(), *(one.nats for one in data.added)], default=0.0) or 1.0

    def width(nats: float | None) -> str:
        return f"{100 * min(max(nats or 0.0, 0.0) / largest, 1.0):.1f}"

    lines = []
    for column in names[:MAX_COLUMNS]:
        cost, information = costs.get(column), alone.get(column)
        lines.append(
            Importance(
                column=display_name(column),
                removal="–" if cost is None else format_removal_cost(cost),
                removal_width=width(None if cost is None else cost.nats),
                alone="–" if information is None else format_nats(information),
                alone_width=width(information),
            )
        )
    return lines


def format_removal_cost(cost: Added) -> str:
    """Write the cost of removing a column, with its interval.

    Parameters
    ----------
    cost : Added
        The cost and its standard error.

    Returns
    -------
    str
        Nats with four decimals.

    Examples
    --------
    >>> format_removal_cost(Added("age", 0.1, 0.01))
    '0.1000 (0.0804 to 0.1196)'
    """
    low, high = removal_interval(cost)
    return f"{format_nats(cost.nats)} ({format_nats(low)} to {format_nats(high)})"


def removal_interval(cost: Added) -> tuple[float, float]:
    """Return the 95% interval of the cost of removing a column; by the normal approximation where it has none."""
    if cost.interval is not None:
        return cost.interval.low, cost.interval.high
    return cost.nats - Z * cost.error, cost.nats + Z * cost.error


def few_events_sentence(audit: Audit) -> str:
    """Return a sentence on the intervals of costs where few rows are outside the most frequent class; else nothing.

    Parameters
    ----------
    audit : Audit
        Evaluation of the rows.

    Returns
    -------
    str
        A sentence, or an empty text.

    Examples
    --------
    >>> from softreg.report import audit
    >>> few_events_sentence(audit([[0.5, 0.5]] * 40, [0, 1] * 20))
    ''
    """
    others = sum(one.rows for one in audit.per_class) - max(one.rows for one in audit.per_class)
    if others > FEW_MISTAKES:
        return ""
    return (
        "At most ten of these rows are outside the most frequent class: they decide the costs of removal, whose "
        "intervals are too short."
    )


def format_nats(value: float) -> str:
    """Write nats with four decimals.

    Parameters
    ----------
    value : float
        A number of nats.

    Returns
    -------
    str
        The number; 0 without sign and decimals where all of them are 0.

    Examples
    --------
    >>> format_nats(0.1), format_nats(-1e-6), format_nats(np.inf)
    ('0.1000', '0', '∞')
    """
    if not np.isfinite(value):
        return format_number(value)
    text = f"{value:.4f}".replace("-", "−")
    return text if text.strip("−0.") else "0"


def code_length(data: ReportData) -> str:
    """Return a sentence on the code length of the training labels; empty where it was not computed."""
    code = data.code
    if code is None:
        return ""
    by_rates, by_columns, shuffled = (bits * np.log(2) for bits in (code.label_bits, code.bits, code.control_bits))
    return (
        f"Prequential code length of the {code.rows:,} training labels, each predicted from those before it: "
        f"{by_rates:,.0f} nats by class rates alone, {by_columns:,.0f} nats with the columns ({code.compression:.2f} "
        f"times shorter). With the columns shuffled, so that they carry no information: {shuffled:,.0f} nats."
    )


@dataclass(frozen=True)
class DrawnCurve:
    """Curve of one column: its figure, its numbers, and the result of the test of linearity."""

    column: str
    figure: Markup
    numbers: Table
    test: str
    nonlinear: bool


def curves(data: ReportData) -> list[DrawnCurve]:
    """Return the curves of the columns: those with rejected linearity first, then by importance."""
    tests = {one.name: one for one in data.linearity}
    importance = {one.name: one.nats for one in data.added} or dict(data.information)

    def order(curve: ColumnRates) -> tuple[bool, float]:
        return not rejects_linearity(tests.get(curve.column)), -importance.get(curve.column, 0.0)

    shown = sorted(data.curves, key=order)[:MAX_CURVES]
    return [
        DrawnCurve(
            column=display_name(curve.column),
            figure=column_plot(curve, f"column{i}"),
            numbers=_rates_table(curve),
            test=_linearity_text(tests.get(curve.column), len(tests)),
            nonlinear=rejects_linearity(tests.get(curve.column)),
        )
        for i, curve in enumerate(shown)
    ]


def rejects_linearity(test: LinearityTest | None) -> bool:
    """Return whether the test rejects linearity at the 5% level, corrected for the number of columns."""
    return test is not None and test.corrected <= SIGNIFICANCE


def _linearity_text(test: LinearityTest | None, tests: int) -> str:
    """Return the result of the test of linearity; empty without a test."""
    if test is None:
        return ""
    p = f"p {format_test_p_value(test.p_value)}"
    if tests > 1:
        p += f"; corrected for {tests} columns, p {format_test_p_value(test.corrected)}"
    return f"{'Linearity is rejected' if rejects_linearity(test) else 'Linearity is not rejected'} ({p})."


def _rates_table(rates: ColumnRates) -> Table:
    """Return the numbers of a curve."""
    rows = [
        (
            display_name(rates.bins[b]),
            f"{rates.count[b]:,}",
            format_percent(rates.observed[b]),
            f"{format_percent(rates.low[b])} to {format_percent(rates.high[b])}",
            format_percent(rates.predicted[b]),
        )
        for b in range(len(rates.bins))
    ]
    return Table(("value", "rows", "observed", "95% interval", "mean probability"), rows, (False,) + (True,) * 4)


def marginal_effects(data: ReportData) -> Table:
    """Return the average marginal effects in percentage points."""

    def points(value: float) -> str:
        return f"{100 * value:+.1f}".replace("-", "−")

    binary = len(data.audit.classes) == 2
    rows = [
        (
            display_name(e.feature),
            *(() if binary else (display_name(e.label),)),
            points(e.value),
            f"{points(e.low)} to {points(e.high)}",
        )
        for e in data.effects[:MAX_EFFECTS]
    ]
    head = ("change", *(() if binary else ("class",)), "percentage points", "95% interval")
    return Table(head, rows, (False, *(() if binary else (False,)), True, True))


def odds_ratios(data: ReportData) -> Table:
    """Return the odds ratios of each class against the first, by column and change."""
    classes = [display_name(label) for label in data.audit.classes[1 : MAX_CONTRASTS + 1]]
    binary = len(data.audit.classes) == 2
    head = ("column", "change", *(("odds ratio", "per standard deviation") if binary else classes))

    def line(one: OddsRatio) -> tuple[str, ...]:
        ratios = [format_number(ratio) for ratio in one.ratios[: len(classes)]]
        if one.is_reference:
            ratios = ["1 (reference)"] * len(classes)
        per = [format_number(one.per_deviation[0]) if one.per_deviation else ""] if binary else []
        return (display_name(one.column), display_name(one.change), *ratios, *per)

    notes = (
        left_out_note(len(data.odds), MAX_ODDS_RATIOS, "changes"),
        left_out_note(len(data.audit.classes) - 1, MAX_CONTRASTS, "classes"),
    )
    rows = [line(one) for one in data.odds[:MAX_ODDS_RATIOS]]
    note = " ".join(note for note in notes if note)
    return Table(head, rows, (False, False) + (True,) * (len(head) - 2), note)


def missing_values(data: ReportData) -> Table | None:
    """Return the columns with missing values, the most first; None where there are none."""
    some = sorted((one for one in data.missing if one.missing), key=lambda one: -one.missing)
    if not some:
        return None
    rows = [(display_name(one.name), f"{one.missing:,}", format_percent(one.share)) for one in some[:MAX_MISSING]]
    note = left_out_note(len(some), MAX_MISSING, "columns")
    return Table(("column", "missing values", "share of rows"), rows, (False, True, True), note)


@dataclass(frozen=True)
class ClassShare:
    """Rows of one class here and in training, with the width of its bar in per cent."""

    label: str
    rows: str
    share: str
    width: str
    training: str


def class_balance(data: ReportData) -> list[ClassShare]:
    """Return the rows of the most frequent classes, here and in training."""
    per_class = sorted(enumerate(data.audit.per_class), key=lambda one: -one[1].rows)[:MAX_COLUMNS]
    total, largest = sum(data.training_rows), max((one.rate for _, one in per_class), default=1.0) or 1.0

    def training(k: int) -> str:
        return f"{data.training_rows[k]:,} ({format_percent(data.training_rows[k] / total)})" if total else ""

    return [
        ClassShare(
            label=display_name(one.label),
            rows=f"{one.rows:,}",
            share=format_percent(one.rate),
            width=f"{100 * one.rate / largest:.1f}",
            training=training(k),
        )
        for k, one in per_class
    ]
