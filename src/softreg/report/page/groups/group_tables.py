"""Tables of the groups of an audit and of the groups that a search found."""

from __future__ import annotations

from softreg.probability import Interval
from softreg.report.evaluation.number_format import format_number, format_p_value, format_points
from softreg.report.groups.group_audit import GroupAudit, GroupScore
from softreg.report.groups.group_search import FoundGroup, GroupSearch
from softreg.report.page.groups.group_text import direction, format_gap, format_nats, group_name, search_direction
from softreg.report.page.table import Table, display_name


def group_table(audit: GroupAudit) -> Table:
    """Return the scores of the groups, worst first.

    Parameters
    ----------
    audit : GroupAudit
        The groups.

    Returns
    -------
    Table
        The table; with a column for the gap after the held-out recalibration, where it is used.
    """
    repaired = audit.repair is not None and audit.repair.calibrator.method_ != "none"
    head = ["group", "rows", "log loss (95% interval)", "gap (95% interval)", "limit if right"]
    head += ["gap after"] if repaired else []
    rows = []
    for score in audit.scores:
        cells = [
            display_name(group_name(score)),
            f"{score.rows:,}",
            _with_interval(score.log_loss),
            format_gap(score),
            format_nats(score.gap_by_chance),
            *([format_nats(score.repaired_gap)] if repaired else []),
            _p_value(score),
            "yes" if score.found else "no" if score.tested else "–",
            direction(score),
        ]
        rows.append(cells)
    head += ["p-value", "significant", "probabilities"]
    return Table(head, rows, (False, *[True] * (len(head) - 3), False, False))


def _with_interval(score: Interval) -> str:
    """Return a log loss with its interval."""
    return f"{format_nats(score.value)} ({format_nats(score.low)} to {format_nats(score.high)})"


def _p_value(score: GroupScore) -> str:
    """Return the p-value of a group; a dash where it is not tested."""
    return format_p_value(score.p_value, score.draws) if score.tested else "–"


def search_table(search: GroupSearch) -> Table:
    """Return the groups that a search found, farthest from their expectation first.

    Parameters
    ----------
    search : GroupSearch
        The search.

    Returns
    -------
    Table
        The table.
    """
    head = ("group", "rows", "probabilities", "difference for all candidates (95%)", "z", "p-value")
    rows = [
        (
            display_name(group.name),
            f"{group.rows:,}",
            search_direction(group),
            _difference(group),
            format_number(group.z, 2),
            format_p_value(group.p_value, search.draws),
        )
        for group in search.found
    ]
    return Table(head, rows, (False, True, False, True, True, True))


def _difference(group: FoundGroup) -> str:
    """Return the ends of the simultaneous interval of the size of the difference."""
    ends = sorted((abs(group.excess.low), abs(group.excess.high)))
    if group.excess.low <= 0 <= group.excess.high:
        ends = [0.0, ends[1]]
    return f"{_points(ends[0])} to {format_points(ends[1])}"


def _points(size: float) -> str:
    """Return a difference of probabilities in percentage points, without the unit."""
    return format_points(size).removesuffix(" percentage points")
