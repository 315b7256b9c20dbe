"""Tables on ranking and decisions: areas under curves, thresholds, gains and lift."""

from __future__ import annotations

from collections.abc import Sequence

from softreg.report.evaluation.gains import Gains
from softreg.report.evaluation.number_format import format_number, format_percent
from softreg.report.evaluation.roc_and_precision_recall import Discrimination
from softreg.report.evaluation.threshold_metrics import ThresholdMetrics
from softreg.report.page.table import Table, display_name


def areas(curves: Sequence[Discrimination], classes: int) -> Table:
    """Return AUC and average precision of each class with their intervals."""

    def line(curve: Discrimination) -> tuple[str, ...]:
        cells = []
        for area in (curve.auc, curve.average_precision):
            cells += [format_number(area.value), f"{format_number(area.low)} to {format_number(area.high)}"]
        return (display_name(curve.name), f"{curve.positives:,}", format_percent(curve.prevalence), *cells)

    head = ("class", "rows", "share of rows", "AUC", "95% interval", "average precision", "95% interval")
    left_out = classes - len(curves) if classes > 2 else 0
    note = "" if not left_out else f"{left_out:,} classes are left out: rarer ones, or with fewer than two rows."
    return Table(head, [line(curve) for curve in curves], (False,) + (True,) * 6, note)


def gains_and_lift(gains: Gains) -> Table:
    """Return gains and lift of the rows of largest probability."""
    rows = [
        (
            format_percent(step.share, 0),
            f"{step.rows:,}",
            format_percent(step.threshold),
            format_percent(step.precision),
            format_percent(step.recall),
            f"{step.lift:.1f}×",
        )
        for step in gains.steps
    ]
    head = ("share of rows", "rows", "smallest probability", "precision", "recall", "lift")
    return Table(head, rows, (True,) * 6)


def thresholds(metrics: Sequence[ThresholdMetrics]) -> Table:
    """Return the metrics of each threshold; the one of least expected cost is marked."""
    with_cost = any(one.cost is not None for one in metrics)
    cost = ("cost per row",) if with_cost else ()
    head = ("threshold", "share flagged", "precision", "recall", "specificity", *cost)
    rows = [
        (
            f"{format_percent(one.threshold, 2)} (least expected cost)"
            if one.is_optimal
            else format_percent(one.threshold, 0),
            *(format_percent(share) for share in (one.flagged, one.precision, one.recall, one.specificity)),
            *((format_number(one.cost),) if one.cost is not None else ()),
        )
        for one in metrics
    ]
    return Table(head, rows, (True,) * len(head))
