"""On which columns a model depends, in sentences: what removing a column costs, and signs of a bend."""

from __future__ import annotations

from collections.abc import Sequence

from softreg.models import Added
from softreg.report.evaluation.number_format import LONGEST_NAME, gain, number, percent, shortened
from softreg.report.page.column_tables import ends, is_bent, nats_to
from softreg.report.page.report_data import ReportData

LEADS = 0.3
"""Share of what all columns explain from which a single column is named as one on which much depends."""
LEAST_EXPLAINED = 0.02
"""Share of the label entropy that must be explained for the columns to be worth a sentence."""
MOST_NAMED = 3
"""Columns that are named in one sentence."""
KNOWN = (
    "Check that {} is known when predictions are made: a column that is recorded afterwards makes all figures here "
    "better than those of new rows."
)


def depends_on(data: ReportData) -> str:
    """The columns whose removal costs most; where that is not known, those of most information; then signs of a bend.

    >>> from softreg.report.evaluation.audit import audit
    >>> found = audit([[0.9, 0.1], [0.2, 0.8]], [0, 1], ["ham", "spam"])
    >>> depends_on(ReportData("Mail", found, information=[("words", 0.4)]))[:60]
    '“words” alone has 0.400 nats of information (the model expla'
    """
    explained = data.audit.label_entropy - data.audit.log_loss
    said = []
    if explained > LEAST_EXPLAINED * data.audit.label_entropy:
        said = [*(_removals(data, explained) if data.added else _alone(data, explained))]
    return " ".join([*said, *_bends(data, explained)])


def _named(columns: Sequence[str], most: int = MOST_NAMED) -> str:
    quoted = [f"“{shortened(column, LONGEST_NAME)}”" for column in columns[:most]]
    if len(columns) > most:
        quoted.append(f"{len(columns) - most} more")
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"


def _removals(data: ReportData, explained: float) -> list[str]:
    """What removing the columns costs, beside what the model explains."""
    costs = sorted(data.added, key=lambda one: -one.nats)
    costly = [one for one in costs if ends(one)[0] > 0]
    all_of_it = f"the model explains {number(explained)} nats"
    if not costly:
        return [
            "On no single column, as far as these rows show: each 95% interval of the cost of removing a column "
            f"contains 0 or lies below it ({all_of_it}). Columns can carry the same information."
        ]
    first, rest = costly[0], [one for one in costly[1:MOST_NAMED] if nats_to(one.nats) != "0"]
    low, high = ends(first)
    loss = data.audit.log_loss
    said = [
        f"Removing {_named([first.name])} costs most: the log loss rises by {number(first.nats)} nats a row (95% "
        f"interval {gain(low)} to {gain(high)}), from {number(loss)} to {number(loss + first.nats)}; {all_of_it}."
    ]
    if rest:
        said.append(f"Next {'is' if len(rest) == 1 else 'are'} {_listed(rest)}.")
    if first.nats > data.audit.label_entropy - loss:
        said.append("Without it, at the same strength of the penalty, the model is worse than class rates alone.")
    if first.nats >= LEADS * explained:
        said.append(KNOWN.format(_named([first.name])))
    return said + _shared(data, costs, explained)


def _listed(costs: Sequence[Added]) -> str:
    return " and ".join(f"{_named([one.name])} ({nats_to(one.nats)} nats)" for one in costs)


def _shared(data: ReportData, costs: Sequence[Added], explained: float) -> list[str]:
    """The column of most information, where others carry the same."""
    if not data.information:
        return []
    column, alone = max(data.information, key=lambda one: one[1])
    cost = next((one.nats for one in costs if one.name == column), None)
    if cost is None or cost >= LEADS * explained or not LEADS * explained <= alone <= explained:
        return []
    return [
        f"{_named([column])} has most information alone ({number(alone)} nats), but its removal costs only "
        f"{nats_to(cost)} nats: other columns can carry part of the same information."
    ]


def _alone(data: ReportData, explained: float) -> list[str]:
    """The columns of most information, where what their removal costs is not known."""
    told = sorted((one for one in data.information if one[1] > 0), key=lambda one: -one[1])
    if not told:
        return []
    (first, nats), share = told[0], told[0][1] / explained
    if share < LEADS:
        return [f"Of most information, each alone, are {_named([column for column, _ in told[:MOST_NAMED]])}."]
    return [
        f"{_named([first])} alone has {number(nats)} nats of information (the model explains {number(explained)}); "
        "what its removal would cost is not known here.",
        KNOWN.format(_named([first])),
    ]


def _bends(data: ReportData, explained: float) -> list[str]:
    """Columns that tell more alone than the model explains, and those for which a straight line is rejected."""
    said = []
    entropy, least = data.audit.label_entropy, data.audit.trust.log_loss.low
    bound = max(entropy - least, explained + LEAST_EXPLAINED * entropy, 0.0)
    more = [(column, nats) for column, nats in data.information if min(nats, entropy) > bound]
    if more:
        column, nats = max(more, key=lambda one: one[1])
        said.append(
            f"{_named([column])} alone has {number(nats)} nats of information, more than the {number(explained)} nats "
            "that the whole model explains: this can be a sign that its relation to the label is not a straight line "
            "on the logit scale, as the model assumes."
        )
    bent = [one for one in data.linearity if is_bent(one)]
    if bent:
        names = _named([one.name for one in sorted(bent, key=lambda one: one.p_value)], MOST_NAMED)
        said.append(f"A straight line is rejected for {names} (corrected p-values of at most 0.05): see Curves.")
    return said


def leaking(information: Sequence[tuple[str, float]], entropy: float, share: float) -> list[str]:
    """Warnings of columns that alone explain so large a share of the label entropy.

    >>> leaking([("alive", 0.66), ("age", 0.1)], 0.664, 0.9)[0][:52]
    '“alive” alone explains 99.4% of the label entropy: a'
    """
    return [
        f"{_named([column])} alone explains {percent(min(nats / entropy, 1.0))} of the label entropy: a column that is "
        "recorded after the outcome, or made from it, leaks the label. Check that it is known when predictions are "
        "made, or leave it out (--drop)."
        for column, nats in information
        if entropy > 0 and nats >= share * entropy
    ]
