"""Audit of the groups of named columns: scores, calibration gap and exact test of each, at a false discovery rate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from softreg.models.calibration.group_columns import group_columns
from softreg.models.calibration.group_rules import GroupRule, fit_group_rule
from softreg.probability import Interval, score_interval, wilson_interval
from softreg.probability.group_calibration import check_group
from softreg.probability.multiple_testing import false_discovery_rates
from softreg.probability.scores import weighted_mean
from softreg.report.groups.held_out_repair import GroupRepair, repair_held_out
from softreg.splits import one_of_each
from softreg.typing import Array, BoolArray, Codes, Float64Array

FALSE_DISCOVERY_RATE = 0.05
"""Expected share of groups with right probabilities among those called significant."""
MIN_ROWS = 30
"""Rows of a group below which it is not tested, and rare values are pooled."""
MAX_LEVELS = 100
"""Levels of a column that are groups; the less frequent ones are pooled."""


@dataclass(frozen=True)
class GroupScore:
    """Evaluation of one group of rows.

    Attributes
    ----------
    column, name : str
        Column and value, interval or "(missing)".
    rows : int
        Rows of the group.
    log_loss : Interval
        Log loss in nats, with its 95% interval.
    gap : Interval
        Calibration gap in nats: estimated decrease of the log loss of new rows by one offset of each class, with its
        95% interval. The mean under right probabilities is subtracted, so that it may be negative.
    gap_by_chance : float
        Upper 95% limit of the gap if the probabilities are right, from labels drawn from them.
    p_value : float
        p-value of the exact test (`check_group`); nan where the group is not tested.
    adjusted : float
        p-value adjusted for the number of groups; nan where the group is not tested.
    draws : int
        Draws of labels of the test.
    confidence : float
        z-score of the mean surprisal: above 0 the probabilities are overconfident, below 0 underconfident.
    confidence_alone : bool
        Whether, of the parts of the test, the confidence has the smallest p-value.
    label : str
        The class whose number of rows is farthest from its summed probability, in standard deviations.
    predicted : float
        Mean probability of this class.
    observed : Interval
        Share of the rows of the group that are of this class, with Wilson's interval.
    found : bool
        Whether the miscalibration is significant at a false discovery rate of 5%.
    repaired_log_loss, repaired_gap : float
        Log loss and gap after the held-out recalibration; nan without one.

    Examples
    --------
    >>> from softreg.report import audit
    >>> P, sex = np.tile([0.7, 0.3], (200, 1)), np.repeat(["f", "m"], 100)
    >>> worst = audit(P, np.repeat([1, 0], [60, 140]), ["no", "yes"], by={"sex": sex}).group_audit.scores[0]
    >>> worst.name, worst.label, worst.predicted, worst.observed.value
    ('m', 'yes', 0.3, 0.0)
    """

    column: str
    name: str
    rows: int
    log_loss: Interval
    gap: Interval
    gap_by_chance: float
    p_value: float
    adjusted: float
    draws: int
    confidence: float
    confidence_alone: bool
    label: str
    predicted: float
    observed: Interval
    found: bool
    repaired_log_loss: float = np.nan
    repaired_gap: float = np.nan

    @property
    def tested(self) -> bool:
        """Whether the group has enough rows for the test."""
        return not np.isnan(self.p_value)

    @property
    def excess(self) -> float:
        """Mean probability of the class `label` minus its share: above 0 where the probability is too high."""
        return self.predicted - self.observed.value


@dataclass(frozen=True, eq=False)
class GroupAudit:
    """Evaluation of the groups of named columns, made by `audit(..., by=...)`.

    Attributes
    ----------
    scores : tuple of GroupScore
        The groups: significantly miscalibrated ones first, of largest gap first, then the others likewise, and groups
        that are not tested last.
    columns : tuple of str
        The columns.
    overlapping : bool
        Whether groups of several columns share rows, or rows depend on each other. The p-values then depend on each
        other and are adjusted by Benjamini and Yekutieli, otherwise by Benjamini and Hochberg.
    repair : GroupRepair or None
        Held-out recalibration by offsets of the groups; None for too few rows.

    Examples
    --------
    >>> from softreg.report import audit
    >>> P, sex = np.tile([0.7, 0.3], (200, 1)), np.repeat(["f", "m"], 100)
    >>> groups = audit(P, np.repeat([1, 0], [60, 140]), ["no", "yes"], by={"sex": sex}).group_audit
    >>> [(score.name, score.found) for score in groups.scores], groups.overlapping
    ([('m', True), ('f', True)], False)
    """

    scores: tuple[GroupScore, ...]
    columns: tuple[str, ...]
    overlapping: bool
    repair: GroupRepair | None

    @property
    def tested(self) -> int:
        """Number of groups that are tested."""
        return sum(score.tested for score in self.scores)

    @property
    def found(self) -> tuple[GroupScore, ...]:
        """The significantly miscalibrated groups, worst first."""
        return tuple(score for score in self.scores if score.found)


@dataclass(frozen=True, eq=False)
class _Rows:
    """Probabilities (n, q), labels (n,), classes, weights (n,), and groups (n,) of rows that depend on each other."""

    P: Float64Array
    codes: Codes
    classes: tuple[str, ...]
    weights: Float64Array | None
    dependent: Array | None


def audit_groups(
    P: Float64Array,
    codes: Codes,
    classes: tuple[str, ...],
    by: Any,
    *,
    weights: Float64Array | None = None,
    groups: Array | None = None,
) -> GroupAudit:
    """Evaluate the groups of rows that columns define.

    Parameters
    ----------
    P : array of shape (n, q)
        Probabilities.
    codes : array of shape (n,)
        Observed classes.
    classes : tuple of str
        Names of the q classes.
    by : mapping of str to array_like, data frame, series, or array_like of shape (n,) or (n, c)
        Columns that define groups.
    weights : array of shape (n,), optional
        Weights of the rows in the log loss; the test and the gap count each row once.
    groups : array of shape (n,), optional
        Equal values mark rows that depend on each other; test and gap use one row of each of them in a group.

    Returns
    -------
    GroupAudit
        The evaluation.

    Examples
    --------
    >>> P, sex = np.tile([0.7, 0.3], (200, 1)), np.repeat(["f", "m"], 100)
    >>> audit_groups(P, np.repeat([1, 0], [60, 140]), ("no", "yes"), {"sex": sex}).tested
    2
    """
    P = np.minimum(np.asarray(P, dtype=np.float64), 1.0)
    columns = group_columns(by, len(P))
    rules = [
        fit_group_rule(column, name, least_rows=MIN_ROWS, most_levels=MAX_LEVELS) for name, column in columns.items()
    ]
    group_of = [rule.codes(column) for rule, column in zip(rules, columns.values(), strict=True)]
    rows = _Rows(P, codes, classes, weights, groups)
    repair = repair_held_out(P, codes, columns)
    places = [(rule, code, g) for rule, code in zip(rules, group_of, strict=True) for g in range(len(rule.names))]
    scores = [  # a seed for each group, so that the draws of one group are independent of those of the others
        _score(rows, rule, g, code == g, repair=repair, seed=seed)
        for seed, (rule, code, g) in enumerate(places)
        if (code == g).any()
    ]
    overlapping = len(rules) > 1 or groups is not None
    adjusted = false_discovery_rates([score.p_value for score in scores], dependent=overlapping)
    scores = [
        replace(score, adjusted=float(p), found=bool(p <= FALSE_DISCOVERY_RATE))
        for score, p in zip(scores, adjusted, strict=True)
    ]
    scores.sort(key=lambda score: (not score.tested, not score.found, -score.gap.value))
    return GroupAudit(tuple(scores), tuple(columns), overlapping, repair)


def _score(
    rows: _Rows, rule: GroupRule, g: int, inside: BoolArray, *, repair: GroupRepair | None, seed: int
) -> GroupScore:
    """Evaluate one group, without the adjustment of its p-value."""
    P, y = rows.P[inside], rows.codes[inside]
    w = None if rows.weights is None else rows.weights[inside]
    if w is not None and not (w > 0).any():
        w = None
    dependent = None if rows.dependent is None else rows.dependent[inside]
    first = np.arange(len(y)) if dependent is None else one_of_each(dependent)
    check = check_group(P[first], y[first], seed=seed)
    with np.errstate(divide="ignore"):
        surprisal = 0.0 - np.log(P)
    loss = score_interval(surprisal, P, y, groups=dependent, sample_weight=w)
    k, at = _farthest_class(P, y), np.arange(len(y))
    after, gap_after = np.nan, np.nan
    if repair is not None:
        after = weighted_mean(-np.log(repair.P[inside][at, y]), w)
        gap_after = check_group(repair.P[inside][first], y[first], draws=REPAIR_DRAWS).gap.value
    enough = len(first) >= MIN_ROWS
    return GroupScore(
        column=rule.column,
        name=rule.names[g],
        rows=len(y),
        log_loss=Interval(loss.value, max(loss.low, 0.0), loss.high),
        gap=check.gap,
        gap_by_chance=check.gap_by_chance,
        p_value=check.p_value if enough else np.nan,
        adjusted=np.nan,
        draws=check.draws,
        confidence=check.confidence,
        confidence_alone=check.p_confidence < min(check.p_rates, check.p_classes, check.p_top),
        label=rows.classes[k],
        predicted=float(P[:, k].mean()),
        observed=wilson_interval(float((y == k).sum()), len(y)),
        found=False,
        repaired_log_loss=float(after),
        repaired_gap=gap_after,
    )


REPAIR_DRAWS = 199
"""Draws of labels for the mean of the gap after the recalibration under right probabilities."""


def _farthest_class(P: Float64Array, y: Codes) -> int:
    """Return the class whose count has the largest absolute z-score; of two classes the second."""
    q = P.shape[1]
    if q == 2:
        return 1
    variance = (P * (1 - P)).sum(axis=0)
    excess = np.abs(np.bincount(y, minlength=q) - P.sum(axis=0))
    return int(np.argmax(excess / np.sqrt(np.maximum(variance, 1 / len(y)))))
