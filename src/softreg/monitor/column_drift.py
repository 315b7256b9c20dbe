"""Drift of columns: a batch of rows against reference rows, with a correction for columns and looks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.special import chdtrc, stdtrit

from softreg.monitor.class_rates import LEVEL
from softreg.typing import Array, Float64Array

BINS = 10
"""Bins of a column of numbers: deciles of the reference rows."""
MAX_LEVELS = 50
"""Levels of a category that are counted apart; the others together."""
MIN_EXPECTED = 5.0
"""Least expected number of rows of a bin; bins below are merged."""
OTHER, MISSING = "(other)", "(missing)"
"""Names of the bins of further levels and of missing values."""


@dataclass(frozen=True)
class ColumnReference:
    """Reference rows of one column.

    Attributes
    ----------
    name : str
        The column.
    is_number : bool
        Whether it is compared as a number, otherwise as levels.
    edges : tuple of float
        Inner edges of the bins of numbers.
    levels : tuple of str
        Levels that are counted apart.
    counts : tuple of int
        Number of reference rows in each bin: those of numbers or levels, other levels, missing values.
    mean, deviation : float or None
        Mean and standard deviation of the numbers.
    """

    name: str
    is_number: bool
    edges: tuple[float, ...]
    levels: tuple[str, ...]
    counts: tuple[int, ...]
    mean: float | None
    deviation: float | None

    @classmethod
    def of(cls, name: str, values: Array) -> ColumnReference:
        """Return the record of reference values (n,): numbers with nan, or levels with None, where missing."""
        if np.issubdtype(values.dtype, np.number):
            present = values[np.isfinite(values)]
            inner = np.arange(1, BINS) / BINS
            edges = np.unique(np.quantile(present, inner, method="inverted_cdf")) if len(present) else np.zeros(0)
            mean, deviation = _finite_moments(present)
            empty = cls(name, True, tuple(edges.tolist()), (), (), mean, deviation)
        else:
            known = [value for value in values.tolist() if value is not None]
            levels, counts = np.unique(np.asarray(known, dtype=str), return_counts=True)
            kept = levels[np.argsort(-counts, kind="stable")[:MAX_LEVELS]]
            empty = cls(name, False, (), tuple(kept.tolist()), (), None, None)
        return cls(**{**asdict(empty), "counts": tuple(empty.count(values).tolist())})

    @property
    def bins(self) -> list[str]:
        """Names of the bins."""
        if not self.is_number:
            return [*self.levels, OTHER, MISSING]
        ends = [f"{edge:.4g}" for edge in self.edges]
        inner = [f"{low} to {high}" for low, high in pairwise(ends)]
        numbers = [f"up to {ends[0]}", *inner, f"above {ends[-1]}"] if ends else ["any number"]
        return [*numbers, OTHER, MISSING]

    def count(self, values: Array) -> Array:
        """Return the number of values in each bin."""
        if self.is_number:
            finite = np.isfinite(values)
            bins = np.searchsorted(np.asarray(self.edges), values[finite], side="left")
            numbers = np.bincount(bins, minlength=len(self.edges) + 1)
            return np.concatenate([numbers, [int(np.isinf(values).sum()), int(np.isnan(values).sum())]])
        codes = {level: code for code, level in enumerate(self.levels)}
        other, missing = len(self.levels), len(self.levels) + 1
        found = [missing if v is None else codes.get(str(v), other) for v in values.tolist()]
        return np.bincount(np.asarray(found, dtype=np.int64), minlength=len(self.levels) + 2)


def _finite_moments(values: Float64Array) -> tuple[float | None, float | None]:
    """Return mean and standard deviation, None where they are not defined or overflow."""
    if len(values) < 2:
        return (float(values[0]) if len(values) else None), None
    with np.errstate(over="ignore", invalid="ignore"):
        mean, deviation = float(values.mean()), float(values.std(ddof=1))
    return (mean, deviation) if np.isfinite([mean, deviation]).all() else (None, None)


@dataclass(frozen=True)
class ColumnChange:
    """A column of a batch against the reference rows.

    Attributes
    ----------
    name : str
        The column.
    p_value : float
        Of the chi-squared test that both have the same distribution over the bins.
    limit : float
        The p-value at or below which the column has changed, by the correction for columns and looks.
    distance : float
        Total variation distance of the distributions over the bins; positive by chance in small batches.
    largest : str
        Bin whose share changed most.
    share_before, share_now : float
        Share of its rows in the reference rows and in the batch.
    low, high : float
        95% interval of the difference of the shares, not corrected.
    mean_before, mean_now, mean_low, mean_high : float or None
        Means of a column of numbers, and the 95% interval of their difference (Welch), not corrected.
    """

    name: str
    p_value: float
    limit: float
    distance: float
    largest: str
    share_before: float
    share_now: float
    low: float
    high: float
    mean_before: float | None = None
    mean_now: float | None = None
    mean_low: float | None = None
    mean_high: float | None = None

    @property
    def changed(self) -> bool:
        """Whether the test rejects that the column is unchanged."""
        return self.p_value <= self.limit


def reference_columns(values: Mapping[str, Array]) -> list[ColumnReference]:
    """Return the records of reference rows, from the values (n,) of each column."""
    return [ColumnReference.of(name, column) for name, column in values.items()]


def compare_column(reference: ColumnReference, values: Array, limit: float) -> ColumnChange:
    """Compare the values (n,) of a batch with the reference rows of a column.

    Parameters
    ----------
    reference : ColumnReference
        Reference rows.
    values : array (n,)
        Numbers with nan, or levels with None, where missing.
    limit : float
        Corrected level of the test.

    Returns
    -------
    ColumnChange
        Test and intervals.
    """
    before, now = np.asarray(reference.counts, dtype=np.float64), reference.count(values).astype(np.float64)
    share_before, share_now = before / before.sum(), now / now.sum()
    difference = share_now - share_before
    k = int(np.argmax(np.abs(difference)))
    half = _half_width(share_before[k], before.sum(), share_now[k], now.sum())
    return ColumnChange(
        reference.name,
        _homogeneity(before, now),
        limit,
        float(0.5 * np.abs(difference).sum()),
        reference.bins[k],
        float(share_before[k]),
        float(share_now[k]),
        max(-1.0, float(difference[k] - half)),
        min(1.0, float(difference[k] + half)),
        **_mean_change(reference, values),
    )


def _half_width(p: float, n: float, r: float, m: float) -> float:
    """Return half the width of the interval of a difference of shares, with half a row of continuity each."""
    z = float(-stdtrit(np.inf, 0.5 - LEVEL / 2))
    return z * float(np.sqrt(p * (1 - p) / n + r * (1 - r) / m)) + 0.5 / n + 0.5 / m


def _homogeneity(before: Float64Array, now: Float64Array) -> float:
    """Return the p-value of the chi-squared test of homogeneity, with rare bins merged."""
    n, m = before.sum(), now.sum()
    expected = (before + now) * min(n, m) / (n + m)
    rare = expected < MIN_EXPECTED
    if rare.sum() > 1:
        before = np.append(before[~rare], before[rare].sum())
        now = np.append(now[~rare], now[rare].sum())
    total = before + now
    used = total > 0
    before, now, total = before[used], now[used], total[used]
    if len(total) < 2:
        return 1.0
    statistic = ((now * np.sqrt(n / m) - before * np.sqrt(m / n)) ** 2 / total).sum()
    return float(chdtrc(len(total) - 1, statistic))


def _mean_change(reference: ColumnReference, values: Array) -> dict[str, float]:
    """Return means and the interval of their difference; empty where they are not defined."""
    if reference.mean is None or reference.deviation is None:
        return {}
    now = values[np.isfinite(values)]
    n, m = sum(reference.counts[:-2]), len(now)
    mean, deviation = _finite_moments(now)
    if mean is None or deviation is None:
        return {}
    a, b = reference.deviation**2 / n, deviation**2 / m
    if a + b == 0:
        return {"mean_before": reference.mean, "mean_now": mean}
    freedom = (a + b) ** 2 / (a * a / (n - 1) + b * b / (m - 1))
    half = float(stdtrit(freedom, 0.5 + LEVEL / 2) * np.sqrt(a + b))
    gap = mean - reference.mean
    return {"mean_before": reference.mean, "mean_now": mean, "mean_low": gap - half, "mean_high": gap + half}


def corrected_level(alpha: float, columns: int, look: int) -> float:
    """Return the level of one test: `alpha / (columns look (look + 1))`, whose sum over columns and looks is alpha.

    Parameters
    ----------
    alpha : float
        Probability of any false alarm, ever.
    columns : int
        Number of columns.
    look : int
        Number of the batch, from 1.

    Returns
    -------
    float
        The level.

    Examples
    --------
    >>> corrected_level(0.05, 5, 1)
    0.005
    """
    return alpha / (max(columns, 1) * look * (look + 1))


def references_to_state(references: list[ColumnReference]) -> list[dict[str, Any]]:
    """Return the records as dicts for JSON."""
    return [asdict(reference) for reference in references]


def references_from_state(state: Any) -> list[ColumnReference]:
    """Return the records that `references_to_state` wrote; raise an error for any other state."""
    records = []
    for entry in state:
        fields = {**entry, **{name: tuple(entry[name]) for name in ("edges", "levels", "counts")}}
        record = ColumnReference(**fields)
        if len(record.counts) != len(record.bins) or min(record.counts) < 0:
            raise ValueError(f"the counts of column {record.name!r} do not fit its bins")
        records.append(record)
    return records
