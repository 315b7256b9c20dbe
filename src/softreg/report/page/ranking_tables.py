"""The tables on ranking and decisions, as texts that the template lays out: areas, thresholds, gains and lift."""

from __future__ import annotations

from collections.abc import Sequence

from softreg.probability import Interval
from softreg.report.evaluation.gains import Gains
from softreg.report.evaluation.number_format import number, percent
from softreg.report.evaluation.roc_curves import Discrimination
from softreg.report.evaluation.threshold_metrics import Threshold
from softreg.report.page.result_tables import Table, name


def areas(found: Sequence[Discrimination], classes: int) -> Table:
    """The areas under the curves of each class with their intervals."""

    def line(one: Discrimination) -> tuple[str, ...]:
        between = [f"{number(area.low)} to {number(area.high)}" for area in (one.auc, one.average_precision)]
        return (
            name(one.name), f"{one.positives:,}", percent(one.prevalence), number(one.auc.value), between[0],
            number(one.average_precision.value), between[1],
        )  # fmt: skip

    head = ("class", "rows", "share of rows", "AUC", "95% interval", "average precision", "95% interval")
    left_out = classes - len(found) if classes > 2 else 0
    note = "" if not left_out else f"{left_out:,} classes are left out: rarer ones, or with fewer than two rows."
    return Table(head, [line(one) for one in found], (False,) + (True,) * 6, note)


def gains(found: Gains) -> Table:
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


def thresholds(found: Sequence[Threshold]) -> Table:
    """Decisions at each threshold; the one that the costs ask for is marked."""
    with_cost = any(one.cost is not None for one in found)
    head = ("threshold", "share flagged", "precision", "recall", "specificity", *(("cost a row",) if with_cost else ()))
    rows = [
        (
            f"{percent(one.threshold, 2 if one.own else 0)}{' (of the costs)' if one.own else ''}",
            percent(one.flagged), percent(one.precision), percent(one.recall), percent(one.specificity),
            *((number(one.cost),) if one.cost is not None else ()),
        )
        for one in found
    ]  # fmt: skip
    return Table(head, rows, (True,) * len(head))


def interval(area: Interval) -> str:
    """A figure with its interval, in words.

    >>> interval(Interval(0.8, 0.75, 0.84))
    '0.800 (95% interval 0.750 to 0.840)'
    """
    return f"{number(area.value)} (95% interval {number(area.low)} to {number(area.high)})"
