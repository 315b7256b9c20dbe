"""The groups of an audit, their recalibration and the search for groups, as lines and as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from softreg.cli.console.aligned_text import align_columns, escape_controls
from softreg.cli.console.evaluation_result import interval_fields
from softreg.report import GroupAudit, GroupSearch
from softreg.report.page.groups.group_tables import group_table, search_table
from softreg.report.page.groups.group_text import groups_sentence, repair_sentence, search_sentence
from softreg.report.page.table import Table

WIDTH = 110
"""Characters of a line of a sentence."""
MAX_LINES = 30
"""Groups that are printed; the report and --json have all."""


def format_groups(audit: GroupAudit, rows: int) -> str:
    """Return the groups of named columns and their recalibration as lines.

    Parameters
    ----------
    audit : GroupAudit
        The groups.
    rows : int
        Number of rows.

    Returns
    -------
    str
        Lines.
    """
    parts = ["", _wrapped(groups_sentence(audit)), _aligned(group_table(audit))]
    if audit.repair is not None:
        parts.append(_wrapped(repair_sentence(audit.repair, rows)))
    return "\n".join(parts)


def format_search(search: GroupSearch) -> str:
    """Return the groups that a search found as lines.

    Parameters
    ----------
    search : GroupSearch
        The search.

    Returns
    -------
    str
        Lines.
    """
    lines = ["", _wrapped(search_sentence(search))]
    return "\n".join([*lines, _aligned(search_table(search))] if search.found else lines)


def groups_record(audit: GroupAudit) -> dict[str, Any]:
    """Return the groups of named columns and their recalibration as plain values.

    Parameters
    ----------
    audit : GroupAudit
        The groups.

    Returns
    -------
    dict
        Fields of the JSON object.
    """
    groups = [
        {
            "column": score.column,
            "group": score.name,
            "rows": score.rows,
            **interval_fields("log_loss", score.log_loss),
            **interval_fields("gap", score.gap),
            "gap_limit_if_right": score.gap_by_chance,
            "p": score.p_value,
            "p_adjusted": score.adjusted,
            "draws": score.draws,
            "found": score.found,
            "class": score.label,
            "mean_probability": score.predicted,
            **interval_fields("rate", score.observed),
            "confidence_z": score.confidence,
            "log_loss_after": score.repaired_log_loss,
            "gap_after": score.repaired_gap,
        }
        for score in audit.scores
    ]
    repair = audit.repair
    recalibration = None
    if repair is not None:
        recalibration = {
            "method": repair.calibrator.method_,
            "deviation": repair.calibrator.deviation_,
            "log_loss_before": repair.before,
            "log_loss_after": repair.after,
            **interval_fields("gain", repair.gain),
        }
    procedure = "benjamini-yekutieli" if audit.overlapping else "benjamini-hochberg"
    return {"groups": groups, "groups_procedure": procedure, "groups_recalibration": recalibration}


def search_record(search: GroupSearch) -> dict[str, Any]:
    """Return the groups that a search found as plain values.

    Parameters
    ----------
    search : GroupSearch
        The search.

    Returns
    -------
    dict
        Fields of the JSON object.
    """
    found = [
        {
            "conditions": [{"column": column, "group": value} for column, value in group.conditions],
            "rows": group.rows,
            "class": group.label,
            "mean_probability": group.predicted,
            **interval_fields("rate", group.observed),
            **interval_fields("excess", group.excess),
            "z": group.z,
            "p_adjusted": group.p_value,
        }
        for group in search.found
    ]
    counts = {"candidates": search.candidates, "draws": search.draws, "overlapping": search.overlapping}
    return {"search": {"columns": list(search.columns), **counts, "found": found}}


def _wrapped(text: str) -> str:
    """Return a sentence in lines of limited length."""
    return "\n".join(textwrap.wrap(escape_controls(text), WIDTH, break_long_words=False, break_on_hyphens=False))


def _aligned(table: Table) -> str:
    """Return a table as aligned lines, the first ones of many."""
    rows: Sequence[Sequence[str]] = table.rows[:MAX_LINES]
    more = len(table.rows) - len(rows)
    lines = align_columns([tuple(table.head), *(tuple(row) for row in rows)])
    return lines + (f"\n  {more:,} more groups: --json or --report FILE lists them" if more else "")
