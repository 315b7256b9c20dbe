"""Observed rates of a class beside the model's mean probability, by the values of one column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from softreg.probability import wilson_interval
from softreg.probability.intervals import design_effect
from softreg.report.evaluation.audit import Audit
from softreg.report.evaluation.number_format import short

Floats = NDArray[np.float64]
MOST_BINS = 8
"""Bins of a column of numbers."""
LEAST_BINS = 4
"""Bins of a column of more values, at least."""
ROWS_A_BIN = 20
"""Rows of a bin, about, at least."""
MOST_LEVELS = 12
"""Levels of a category, the most frequent ones; others are taken together."""
OTHERS, MISSING = "other levels", "missing"


@dataclass(frozen=True, eq=False)
class ColumnCurve:
    """Observed rate of the class `label` in each bin of a column, and the mean probability of the same rows.

    `bins` are the names of the bins in order, those of other levels and of missing values last; `count`, `observed`,
    `low`, `high` and `predicted` are (bins,). `[low, high]` is Wilson's 95% interval for the rate of the class among
    new rows of the bin. `ordered` says how many of the bins, the first ones, are ranges of numbers.
    """

    column: str
    label: str
    bins: tuple[str, ...]
    ordered: int
    count: NDArray[np.int64]
    observed: Floats
    low: Floats
    high: Floats
    predicted: Floats


def number_curve(column: str, values: Floats, audit: Audit) -> ColumnCurve | None:
    """The curve of a column of numbers (n,), nan where missing, in bins of about equal numbers of rows.

    None where fewer than two different values occur.

    >>> from softreg.report.evaluation.audit import audit
    >>> found = audit(np.full((80, 2), 0.5), np.repeat([0, 1], 40), ["no", "yes"])
    >>> curve = number_curve("age", np.arange(80.0), found)
    >>> curve.bins, curve.observed.tolist()
    (('0 to 19', '20 to 39', '40 to 59', '60 to 79'), [0.0, 0.0, 1.0, 1.0])
    """
    known = ~np.isnan(values)
    distinct = np.unique(values[known])
    if len(distinct) < 2:
        return None
    edges = _edges(np.sort(values[known]), distinct)
    place = np.where(known, np.searchsorted(edges, values, side="right"), len(edges) + 1)
    names = []
    for k in range(len(edges) + 1):
        of = values[place == k]
        names.append(short(of.min()) if of.min() == of.max() else f"{short(of.min())} to {short(of.max())}")
    return _curve(column, place, [*names, MISSING], len(names), audit)


def _edges(ordered: Floats, distinct: Floats) -> Floats:
    """Lower ends of the bins but the first: quantiles; a value that holds several of them has a bin of its own."""
    bins = int(np.clip(len(ordered) // ROWS_A_BIN, LEAST_BINS, MOST_BINS))
    if len(distinct) <= bins:
        return distinct[1:]
    edges, times = np.unique(ordered[(np.arange(bins) * len(ordered)) // bins], return_counts=True)
    after = np.searchsorted(distinct, edges[times > 1], side="right")
    edges = np.unique(np.append(edges, distinct[after[after < len(distinct)]]))
    return np.asarray(edges[edges > distinct[0]])


def level_curve(column: str, levels: NDArray[np.str_], audit: Audit) -> ColumnCurve | None:
    """The curve of a column of words (n,), "" where missing, by its most frequent levels; None for a single one.

    >>> from softreg.report.evaluation.audit import audit
    >>> found = audit(np.full((4, 2), 0.5), [0, 1, 1, 1], ["no", "yes"])
    >>> level_curve("sex", np.array(["m", "f", "f", ""]), found).bins
    ('f', 'm', 'missing')
    """
    names, place = np.unique(levels, return_inverse=True)
    return coded_curve(column, [str(one) for one in names], place, audit)


def coded_curve(column: str, names: Sequence[str], place: NDArray[np.int64], audit: Audit) -> ColumnCurve | None:
    """The same for words that are given as places (n,) in `names`; "" stands for a missing value."""
    count = np.bincount(place, minlength=len(names))
    if (count > 0).sum() < 2:
        return None
    order = [k for k in np.argsort(-count, kind="stable").tolist() if names[k] and count[k]]
    shown = order if len(order) <= MOST_LEVELS else order[: MOST_LEVELS - 1]
    others, missing = len(shown), len(shown) + 1
    moved = np.array([shown.index(k) if k in shown else others if names[k] else missing for k in range(len(names))])
    return _curve(column, moved[place], [*(names[k] for k in shown), OTHERS, MISSING], 0, audit)


def _curve(column: str, place: NDArray[np.int64], names: Sequence[str], ordered: int, audit: Audit) -> ColumnCurve:
    """The curve of the second of two classes, or of the class whose observed rate differs most between the bins."""
    q = len(audit.classes)
    count = np.bincount(place, minlength=len(names))
    of_class = np.zeros((len(names), q))
    np.add.at(of_class, (place, audit.codes), 1)
    rates = of_class / np.maximum(count, 1)[:, None]
    spread = (count[:, None] * (rates - np.bincount(audit.codes, minlength=q) / audit.rows) ** 2).sum(axis=0)
    k = 1 if q == 2 else int(np.argmax(spread))
    predicted = np.bincount(place, weights=audit.P[:, k], minlength=len(names)) / np.maximum(count, 1)
    filled = np.flatnonzero(count)
    ends = []
    for b in filled:
        inside = place == b
        happened = (audit.codes[inside] == k).astype(np.float64)
        effect = 1.0 if audit.groups is None else design_effect(happened, audit.groups[inside])[0]
        found = wilson_interval(float(happened.mean()) * len(happened) / effect, len(happened) / effect)
        ends.append((found.low, found.high))
    low, high = np.array(ends).T
    return ColumnCurve(
        column,
        audit.classes[k],
        tuple(names[int(b)] for b in filled),
        int((filled < ordered).sum()),
        count[filled],
        rates[filled, k],
        low,
        high,
        predicted[filled],
    )
