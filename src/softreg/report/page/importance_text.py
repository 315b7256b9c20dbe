"""Sentences on the importance of columns: the cost of removing one, nonlinear relations, leakage."""

from __future__ import annotations

from collections.abc import Sequence

from softreg.models import Added
from softreg.report.evaluation.number_format import (
    MAX_NAME_LENGTH,
    format_gain,
    format_number,
    format_percent,
    shorten_middle,
)
from softreg.report.page.column_tables import format_nats, rejects_linearity, removal_interval
from softreg.report.page.report_data import ReportData

LARGE_SHARE = 0.3
"""Share of the explained entropy from which the cost of removing a column, or its information, is called large."""
MIN_EXPLAINED = 0.02
"""Share of the label entropy that must be explained for importance to be discussed."""
MAX_NAMED = 3
"""Columns that are named in one sentence."""
CHECK_AVAILABILITY = (
    "Check that {} is known when predictions are made: a column that is recorded afterwards makes all figures here "
    "better than those of new rows."
)


def importance_text(data: ReportData) -> str:
    """Describe the columns of largest cost of removal, or of largest information, and nonlinear relations.

    Parameters
    ----------
    data : ReportData
        Content of the report.

    Returns
    -------
    str
        Sentences; empty where there is nothing to report.

    Examples
    --------
    >>> from softreg.report import audit
    >>> evaluation = audit([[0.9, 0.1], [0.2, 0.8]], [0, 1], ["ham", "spam"])
    >>> importance_text(ReportData("Mail", evaluation, information=[("words", 0.4)]))[:60]
    '“words” alone has 0.400 nats of information (the model expla'
    """
    explained = data.audit.label_entropy - data.audit.log_loss
    sentences = []
    if explained > MIN_EXPLAINED * data.audit.label_entropy:
        sentences = _removal_sentences(data, explained) if data.added else _information_sentences(data, explained)
    return " ".join([*sentences, *_nonlinearity_sentences(data, explained)])


def _quoted(columns: Sequence[str], most: int = MAX_NAMED) -> str:
    """Return the names of columns in quotes, `most` at most."""
    quoted = [f"“{shorten_middle(column, MAX_NAME_LENGTH)}”" for column in columns[:most]]
    if len(columns) > most:
        quoted.append(f"{len(columns) - most} more")
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"


def _removal_sentences(data: ReportData, explained: float) -> list[str]:
    """Return sentences on the cost of removing columns, compared with the explained entropy."""
    costs = sorted(data.added, key=lambda one: -one.nats)
    costly = [one for one in costs if removal_interval(one)[0] > 0]
    total = f"the model explains {format_number(explained)} nats"
    if not costly:
        return [
            "No single column, as far as these rows show: each 95% interval of the cost of removing a column contains "
            f"0 or lies below it ({total}). Columns can carry the same information."
        ]
    first, rest = costly[0], [one for one in costly[1:MAX_NAMED] if format_nats(one.nats) != "0"]
    low, high = removal_interval(first)
    loss = data.audit.log_loss
    rise = f"from {format_number(loss)} to {format_number(loss + first.nats)}"
    sentences = [
        f"Removing {_quoted([first.name])} costs most: the log loss increases by {format_number(first.nats)} nats per "
        f"row (95% interval {format_gain(low)} to {format_gain(high)}), {rise}; {total}."
    ]
    if rest:
        others = " and ".join(f"{_quoted([one.name])} ({format_nats(one.nats)} nats)" for one in rest)
        sentences.append(f"Next {'is' if len(rest) == 1 else 'are'} {others}.")
    if first.nats > data.audit.label_entropy - loss:
        same = "the same strength of the penalty" if data.terms is None else "the same strengths of the other terms"
        sentences.append(f"Without it, at {same}, the model is worse than class rates alone.")
    if first.nats >= LARGE_SHARE * explained:
        sentences.append(CHECK_AVAILABILITY.format(_quoted([first.name])))
    return sentences + _redundancy_sentences(data, costs, explained)


def _redundancy_sentences(data: ReportData, costs: Sequence[Added], explained: float) -> list[str]:
    """Return a sentence on the column of most information, where other columns can replace it."""
    if not data.information:
        return []
    column, alone = max(data.information, key=lambda one: one[1])
    cost = next((one.nats for one in costs if one.name == column), None)
    if cost is None or cost >= LARGE_SHARE * explained or not LARGE_SHARE * explained <= alone <= explained:
        return []
    return [
        f"{_quoted([column])} has most information alone ({format_number(alone)} nats), but its removal costs only "
        f"{format_nats(cost)} nats: other columns can carry part of the same information."
    ]


def _information_sentences(data: ReportData, explained: float) -> list[str]:
    """Return sentences on the columns of most information, where costs of removal are unknown."""
    informative = sorted((one for one in data.information if one[1] > 0), key=lambda one: -one[1])
    if not informative:
        return []
    first, nats = informative[0]
    if nats / explained < LARGE_SHARE:
        return [f"Most informative, each alone, are {_quoted([column for column, _ in informative[:MAX_NAMED]])}."]
    return [
        f"{_quoted([first])} alone has {format_number(nats)} nats of information (the model explains "
        f"{format_number(explained)}); the cost of its removal is not known here.",
        CHECK_AVAILABILITY.format(_quoted([first])),
    ]


def _nonlinearity_sentences(data: ReportData, explained: float) -> list[str]:
    """Return sentences on columns with more information than the model explains, or with rejected linearity."""
    sentences = []
    entropy, least_loss = data.audit.label_entropy, data.audit.calibration.log_loss.low
    bound = max(entropy - least_loss, explained + MIN_EXPLAINED * entropy, 0.0)
    more = [(column, nats) for column, nats in data.information if min(nats, entropy) > bound]
    if more:
        column, nats = max(more, key=lambda one: one[1])
        relation = "is not linear on the logit scale, as the model assumes" if data.terms is None else "no term has"
        sentences.append(
            f"{_quoted([column])} alone has {format_number(nats)} nats of information, more than the "
            f"{format_number(explained)} nats that the whole model explains: this can be a sign of a relation that "
            f"{relation}."
        )
    nonlinear = [one for one in data.linearity if rejects_linearity(one)]
    if nonlinear:
        names = _quoted([one.name for one in sorted(nonlinear, key=lambda one: one.p_value)], MAX_NAMED)
        sentences.append(f"Linearity is rejected for {names} (corrected p-values of at most 0.05): see Curves.")
    return sentences


def leakage_warnings(information: Sequence[tuple[str, float]], entropy: float, share: float) -> list[str]:
    """Return warnings of columns that alone explain at least `share` of the label entropy.

    Parameters
    ----------
    information : sequence of (str, float)
        Mutual information of each column and the label, in nats.
    entropy : float
        Label entropy in nats.
    share : float
        Share of the entropy from which there is a warning.

    Returns
    -------
    list of str
        A warning for each such column.

    Examples
    --------
    >>> leakage_warnings([("alive", 0.66), ("age", 0.1)], 0.664, 0.9)[0][:52]
    '“alive” alone explains 99.4% of the label entropy: a'
    """
    return [
        f"{_quoted([column])} alone explains {format_percent(min(nats / entropy, 1.0))} of the label entropy: a column "
        "that is recorded after the outcome, or derived from it, leaks the label. Check that it is known when "
        "predictions are made, or leave it out (--drop)."
        for column, nats in information
        if entropy > 0 and nats >= share * entropy
    ]
