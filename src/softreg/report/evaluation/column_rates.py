"""Observed rates of a class and mean predicted probabilities by the values of one column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from softreg.probability import proportion_interval
from softreg.probability.intervals import design_effect
from softreg.report.evaluation.audit_result import Audit
from softreg.report.evaluation.number_format import format_value
from softreg.typing import Codes, Float64Array, TextArray

MAX_BINS = 8
"""Bins of a column of numbers, at most."""
MIN_BINS = 4
"""Bins of a column of numbers with more distinct values, at least."""
ROWS_PER_BIN = 20
"""Rows of a bin, about, at least."""
MAX_LEVELS = 12
"""Levels of a category: the most frequent ones; the others form one bin."""
OTHERS, MISSING = "other levels", "missing"
"""Names of the bins of rarer levels and of missing values."""


@dataclass(frozen=True, eq=False)
class ColumnRates:
    """Observed rate of one class in each bin of a column, and the mean probability of the same rows.

    Attributes
    ----------
    column, label : str
        Names of the column and of the class.
    bins : tuple of str
        Names of the bins; those of other levels and of missing values come last.
    ordered : int
        Number of bins, the first ones, that are ranges of numbers.
    count : array of shape (bins,)
        Rows of each bin.
    observed, low, high : array of shape (bins,)
        Observed rate of the class, and its 95% interval (`proportion_interval`) for its rate among new rows of the bin.
    predicted : array of shape (bins,)
        Mean predicted probability of the class.
    """

    column: str
    label: str
    bins: tuple[str, ...]
    ordered: int
    count: NDArray[np.int64]
    observed: Float64Array
    low: Float64Array
    high: Float64Array
    predicted: Float64Array


def number_rates(column: str, values: Float64Array, audit: Audit) -> ColumnRates | None:
    """Compute the rates of a column of numbers, in bins of about equal numbers of rows.

    Parameters
    ----------
    column : str
        Name of the column.
    values : array of shape (n,)
        Its values; nan where missing.
    audit : Audit
        Evaluation of the same rows.

    Returns
    -------
    ColumnRates or None
        The rates; None where fewer than two distinct values occur.

    Examples
    --------
    >>> from softreg.report import audit
    >>> evaluation = audit(np.full((80, 2), 0.5), np.repeat([0, 1], 40), ["no", "yes"])
    >>> rates = number_rates("age", np.arange(80.0), evaluation)
    >>> rates.bins, rates.observed.tolist()
    (('0 to 19', '20 to 39', '40 to 59', '60 to 79'), [0.0, 0.0, 1.0, 1.0])
    """
    known = ~np.isnan(values)
    distinct = np.unique(values[known])
    if len(distinct) < 2:
        return None
    edges = _edges(np.sort(values[known]), distinct)
    bin_of_row = np.where(known, np.searchsorted(edges, values, side="right"), len(edges) + 1)
    names = []
    for k in range(len(edges) + 1):
        inside = values[bin_of_row == k]
        low, high = inside.min(), inside.max()
        names.append(format_value(low) if low == high else f"{format_value(low)} to {format_value(high)}")
    return _rates(column, bin_of_row, [*names, MISSING], len(names), audit)


def _edges(ordered: Float64Array, distinct: Float64Array) -> Float64Array:
    """Return lower ends of the bins but the first: quantiles; a value at several quantiles has its own bin."""
    bins = int(np.clip(len(ordered) // ROWS_PER_BIN, MIN_BINS, MAX_BINS))
    if len(distinct) <= bins:
        return distinct[1:]
    edges, times = np.unique(ordered[(np.arange(bins) * len(ordered)) // bins], return_counts=True)
    after = np.searchsorted(distinct, edges[times > 1], side="right")
    edges = np.unique(np.append(edges, distinct[after[after < len(distinct)]]))
    return np.asarray(edges[edges > distinct[0]])


def level_rates(column: str, levels: TextArray, audit: Audit) -> ColumnRates | None:
    """Compute the rates of a category by its most frequent levels.

    Parameters
    ----------
    column : str
        Name of the column.
    levels : array of str of shape (n,)
        Level of each row; "" where missing.
    audit : Audit
        Evaluation of the same rows.

    Returns
    -------
    ColumnRates or None
        The rates; None for a single level.

    Examples
    --------
    >>> from softreg.report import audit
    >>> evaluation = audit(np.full((4, 2), 0.5), [0, 1, 1, 1], ["no", "yes"])
    >>> level_rates("sex", np.array(["m", "f", "f", ""]), evaluation).bins
    ('f', 'm', 'missing')
    """
    names, codes = np.unique(levels, return_inverse=True)
    return coded_rates(column, [str(name) for name in names], codes, audit)


def coded_rates(column: str, names: Sequence[str], codes: Codes, audit: Audit) -> ColumnRates | None:
    """Compute the rates of a category whose levels are `names[codes]`.

    Parameters
    ----------
    column : str
        Name of the column.
    names : sequence of str
        Names of the levels; "" stands for a missing value.
    codes : array of shape (n,)
        Index in `names` of the level of each row.
    audit : Audit
        Evaluation of the same rows.

    Returns
    -------
    ColumnRates or None
        The rates; None for a single level.
    """
    count = np.bincount(codes, minlength=len(names))
    if (count > 0).sum() < 2:
        return None
    order = [k for k in np.argsort(-count, kind="stable").tolist() if names[k] and count[k]]
    shown = order if len(order) <= MAX_LEVELS else order[: MAX_LEVELS - 1]
    others, missing = len(shown), len(shown) + 1
    bin_of_level = np.array(
        [shown.index(k) if k in shown else others if names[k] else missing for k in range(len(names))]
    )
    return _rates(column, bin_of_level[codes], [*(names[k] for k in shown), OTHERS, MISSING], 0, audit)


def _rates(column: str, bin_of_row: Codes, names: Sequence[str], ordered: int, audit: Audit) -> ColumnRates:
    """Return the rates of the second of two classes, or of the class whose rate differs most between the bins."""
    q = len(audit.classes)
    count = np.bincount(bin_of_row, minlength=len(names))
    of_class = np.zeros((len(names), q))
    np.add.at(of_class, (bin_of_row, audit.codes), 1)
    rates = of_class / np.maximum(count, 1)[:, None]
    spread = (count[:, None] * (rates - np.bincount(audit.codes, minlength=q) / audit.rows) ** 2).sum(axis=0)
    if audit.streamed is not None:  # the classes whose probabilities were kept
        kept = list(audit.streamed.columns)
        k = kept[int(np.argmax(spread[kept]))]
    else:
        k = 1 if q == 2 else int(np.argmax(spread))
    probability = audit.class_probability(k)
    predicted = np.bincount(bin_of_row, weights=probability, minlength=len(names)) / np.maximum(count, 1)
    filled = np.flatnonzero(count)
    ends = []
    for b in filled:
        inside = bin_of_row == b
        is_class = (audit.codes[inside] == k).astype(np.float64)
        effect = 1.0 if audit.groups is None else design_effect(is_class, audit.groups[inside])[0]
        interval = proportion_interval(float(is_class.mean()) * len(is_class) / effect, len(is_class) / effect)
        ends.append((interval.low, interval.high))
    low, high = np.array(ends).T
    return ColumnRates(
        column=column,
        label=audit.classes[k],
        bins=tuple(names[int(b)] for b in filled),
        ordered=int((filled < ordered).sum()),
        count=count[filled],
        observed=rates[filled, k],
        low=low,
        high=high,
        predicted=predicted[filled],
    )
