"""What one column alone tells of the label: mutual information, without the part that chance adds."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from softreg.probability.information import Unit, in_unit
from softreg.probability.labels import check_codes
from softreg.probability.simplex import as_float

BINS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
"""Numbers of quantile bins among which a column of numbers chooses."""


def mutual_information(joint: ArrayLike, *, unit: Unit = "nat") -> float:
    """How much knowing one of two variables lowers the entropy of the other.

    `I(a; b) = sum_ab p_ab log(p_ab / (p_a p_b)) = H(a) + H(b) - H(a, b)`

    joint: (a, b), a distribution or counts, not negative, not all 0. Returns 0 (independent) to min(H(a), H(b)). From
    counts it is the plug-in value, which chance makes too large, by (a - 1)(b - 1) / (2 n) nats for independent ones.
    Raises `ValueError` for negative or infinite entries, for nothing but zeros and for another unit.

    >>> mutual_information([[0.5, 0.0], [0.0, 0.5]], unit="bit"), mutual_information([[1, 1], [1, 1]])
    (1.0, 0.0)

    Source: Shannon (1948); Cover and Thomas (2006), section 2.3.
    """
    counts = np.asarray(as_float(joint, "joint"), dtype=np.float64)
    if counts.ndim != 2 or not np.isfinite(counts).all() or (counts < 0).any() or not counts.any():
        raise ValueError(
            f"joint must be a matrix of counts or probabilities, finite, not negative and not all 0; seen: shape "
            f"{counts.shape}, from {counts.min(initial=np.inf):g} to {counts.max(initial=-np.inf):g}."
        )
    p = counts / counts.sum()
    apart = p.sum(axis=1, keepdims=True) * p.sum(axis=0, keepdims=True)
    held = p > 0
    return in_unit(max(float((p[held] * np.log(p[held] / apart[held])).sum()), 0.0), unit)


def column_information(x: ArrayLike, codes: ArrayLike, *, unit: Unit = "nat") -> float:
    """Mutual information of one column with the label, estimated from rows; about 0 for a column that tells nothing.

    The rows are put into groups (the values of a column of few values, else bins of about equal size, as many as
    shorten the description of the labels most), and

        `I = H(y) - H(y | group) - (g - 1)(q - 1) / (2 n)`,

    the last term being what chance adds on average (Miller and Madow). x: (n,), numbers or text; missing (nan, None)
    is a group of its own. codes: (n,) in 0..q-1. Returns information a row, slightly negative for a useless column.
    What bends (both ends against the middle) is counted in full, unlike by a linear model. Raises `ValueError` for no
    rows and codes that do not fit.

    >>> x = np.linspace(-1, 1, 1000)
    >>> round(column_information(x, (np.abs(x) > 0.5).astype(int), unit="bit"), 2)
    1.0

    Source: Miller, "Note on the bias of information estimates" (1955).
    """
    values = np.asarray(x)
    y = np.asarray(codes)
    if values.ndim != 1 or len(values) == 0 or y.shape != values.shape:
        raise ValueError(f"x and codes must be vectors of one length, at least 1; seen: {values.shape}, {y.shape}.")
    q = int(y.max()) + 1
    y = np.asarray(check_codes(y, q, "codes"))
    best = max((_described(table) for table in _tables(values, y, q)), key=lambda found: found[0])
    return in_unit(best[1], unit)


def _tables(values: NDArray[np.generic], y: NDArray[np.int64], q: int) -> list[NDArray[np.int64]]:
    """Counts (groups, q) of each way to group the rows."""
    if values.dtype.kind in "OUSbT":
        group = np.unique(np.array([str(v) for v in values]), return_inverse=True)[1]
        return [_count(group, y, q)]
    numbers = values.astype(np.float64)
    missing = np.isnan(numbers)
    seen, place = np.unique(numbers[~missing], return_inverse=True)
    last = len(seen)
    if last <= BINS[-1]:
        group = np.full(len(y), last)
        group[~missing] = place
        return [_count(group, y, q)]
    ordered = np.sort(numbers[~missing])
    tables = []
    for bins in BINS:
        edges = np.unique(ordered[(np.arange(1, bins) * len(ordered)) // bins])
        group = np.where(missing, len(edges) + 1, np.searchsorted(edges, numbers, side="right"))
        tables.append(_count(group, y, q))
    return tables


def _count(group: NDArray[np.int64], y: NDArray[np.int64], q: int) -> NDArray[np.int64]:
    table = np.bincount(group * q + y, minlength=(int(group.max()) + 1) * q).reshape(-1, q)
    return np.asarray(table[table.any(axis=1)])


def _described(table: NDArray[np.int64]) -> tuple[float, float]:
    """Minus the nats that describe the labels given the groups (rates unknown, Jeffreys' prior), and I."""
    from scipy.special import gammaln  # here, so that `from softreg import softmax` stays light

    n, q = int(table.sum()), table.shape[1]
    rows = table.sum(axis=1)
    code = (gammaln(table + 0.5) - gammaln(0.5)).sum() - (gammaln(rows + q / 2) - gammaln(q / 2)).sum()
    used = int((table.sum(axis=0) > 0).sum())
    return float(code), mutual_information(table) - (len(table) - 1) * (used - 1) / (2 * n)
