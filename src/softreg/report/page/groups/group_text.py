"""Sentences on the groups of an audit, on their recalibration and on the search, for the page and the command line."""

from __future__ import annotations

from collections.abc import Sequence

from softreg.report.evaluation.number_format import (
    format_number,
    format_p_value,
    format_percent,
    format_rows,
)
from softreg.report.evaluation.reliability_text import quote_name
from softreg.report.groups.group_audit import FALSE_DISCOVERY_RATE, MIN_ROWS, GroupAudit, GroupScore
from softreg.report.groups.group_search import LEVEL, FoundGroup, GroupSearch
from softreg.report.groups.held_out_repair import FEW_FOLDS, FOLDS, MANY_ROWS, GroupRepair
from softreg.report.page.table import display_name

MAX_NAMES = 6
"""Columns that a sentence names."""
GAIN_DECIMALS = 4
"""Decimals of nats."""


def group_name(score: GroupScore) -> str:
    """Return column and value of a group."""
    return f"{score.column}: {score.name}"


def format_nats(value: float) -> str:
    """Return nats with four decimals; 0 has no sign.

    Returns
    -------
    str
        The number.

    Examples
    --------
    >>> format_nats(-0.00001), format_nats(0.01234), format_nats(float("inf"))
    ('0.0000', '0.0123', '∞')
    """
    if not abs(value) < float("inf"):
        return format_number(value)
    return f"{round(value, GAIN_DECIMALS) + 0.0:.{GAIN_DECIMALS}f}".replace("-", "−")


def format_gap(score: GroupScore) -> str:
    """Return the gap of a group with its interval."""
    return f"{format_nats(score.gap.value)} ({format_nats(score.gap.low)} to {format_nats(score.gap.high)})"


def groups_sentence(audit: GroupAudit) -> str:
    """State how many groups are significantly miscalibrated, and by which procedure.

    Parameters
    ----------
    audit : GroupAudit
        The groups.

    Returns
    -------
    str
        Sentences.
    """
    columns = _listed(audit.columns)
    found, tested = len(audit.found), audit.tested
    if not tested:
        return f"Groups by {columns}: none has {MIN_ROWS} rows, so that no group is tested."
    rate = f"{FALSE_DISCOVERY_RATE:.0%}"
    if audit.overlapping:
        why = "each row is in a group of each column" if len(audit.columns) > 1 else "rows depend on each other"
        procedure = f"Benjamini and Yekutieli, since {why} and the tests depend on each other"
    else:
        procedure = "Benjamini and Hochberg, since groups of one column share no rows and their tests are independent"
    if tested == 1:
        count = f"miscalibration is {'' if found else 'not '}significant in the one group tested"
    else:
        count = f"miscalibration is significant in {f'{found:,}' if found else 'none'} of the {tested:,} groups tested"
    return f"Groups by {columns}: {count} (false discovery rate {rate}; {procedure})."


def direction(score: GroupScore) -> str:
    """Compare the probability of a class with its share in a group, or state that the group is overconfident.

    Parameters
    ----------
    score : GroupScore
        The group.

    Returns
    -------
    str
        A phrase.
    """
    if not score.tested:
        return f"fewer than {MIN_ROWS} independent rows: not tested"
    if score.confidence_alone and score.found:
        word = "overconfident" if score.confidence > 0 else "underconfident"
        return f"{word} (z = {format_number(score.confidence, 2)})"
    return _rates(score.label, score.predicted, score.observed.value, significant=score.found)


def _rates(label: str, predicted: float, observed: float, *, significant: bool = True) -> str:
    """Return a comparison of the mean probability and the share of a class."""
    word = "" if not significant or predicted == observed else " too high" if predicted > observed else " too low"
    return f"{quote_name(label)}{word}: {format_percent(predicted)} predicted, {format_percent(observed)} observed"


def repair_sentence(repair: GroupRepair, rows: int) -> str:
    """State what recalibration by offsets of the groups gains on held-out rows.

    Parameters
    ----------
    repair : GroupRepair
        The recalibration.
    rows : int
        Number of rows.

    Returns
    -------
    str
        Sentences.
    """
    folds = FOLDS if rows <= MANY_ROWS else FEW_FOLDS
    what = "Recalibration by offsets of the groups with partial pooling (softreg.GroupCalibrator)"
    change = (
        f"log loss {format_nats(repair.before)} before and {format_nats(repair.after)} after, on rows held out in "
        f"{folds} folds; gain {format_nats(repair.gain.value)} nats, 95% interval {format_nats(repair.gain.low)} to "
        f"{format_nats(repair.gain.high)}"
    )
    method = repair.calibrator.method_
    if method == "none":
        return f"{what} leaves the probabilities as they are: it gains less than three standard errors ({change})."
    if method == "pooled":
        return f"{what} uses one offset of each class for all rows, and none of the groups: {change}."
    s = format_number(repair.calibrator.deviation_, 2)
    chosen = f"The offsets of the groups have a prior standard deviation of {s}, which cross-validation chose."
    return f"{what}: {change}. {chosen}"


def search_sentence(search: GroupSearch) -> str:
    """State how many groups the search found, and what its guarantee is.

    Parameters
    ----------
    search : GroupSearch
        The search.

    Returns
    -------
    str
        Sentences.
    """
    if not search.candidates:
        return "Search for groups: no column has two values or intervals of at least 50 rows."
    where = f"{search.candidates:,} candidate groups by values of {_listed(search.columns)}" + (
        " and of pairs of these columns" if len(search.columns) > 1 else ""
    )
    if not search.found:
        best = search.best
        assert best is not None
        return (
            f"Search among {where}: miscalibration is significant in none. The farthest from its expectation is "
            f"{best.name} ({format_rows(best.rows)}, p {format_p_value(best.p_value, search.draws, '= ')} for all "
            "candidates together)."
        )
    more = f" {search.overlapping:,} more that share rows with these are left out." if search.overlapping else ""
    many = "1 group" if len(search.found) == 1 else f"{len(search.found):,} groups"
    return (
        f"Search among {where}: miscalibration is significant in {many}.{more} The probability that any group is "
        f"reported whose probabilities are right for all of its rows is at most {LEVEL:.0%}, for all candidates "
        f"together ({search.draws:,} draws of labels)."
    )


def search_direction(group: FoundGroup) -> str:
    """State which probability is too high or too low in a found group."""
    return _rates(group.label, group.predicted, group.observed.value)


def _listed(names: Sequence[str]) -> str:
    """Return names in one phrase, the first of many."""
    shown = [display_name(name) for name in names[:MAX_NAMES]]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more:,} more columns" if more else "")
