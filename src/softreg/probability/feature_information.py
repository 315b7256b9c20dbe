"""Mutual information, and the information of one column about the label, estimated by leave-one-out code length."""

from __future__ import annotations

from math import log

import numpy as np
from numpy.typing import ArrayLike, NDArray

from softreg.probability.check_distributions import as_float
from softreg.probability.information import Unit, in_unit
from softreg.probability.labels import check_codes

BINS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
"""Candidate numbers of quantile bins of a numeric column; the one of largest evidence is used."""
WEIGHTS = tuple(4.0**k for k in range(-2, 8))
"""Candidate weights of the Dirichlet prior of a group, in rows, from 1/16 to 16,384."""


def mutual_information(joint: ArrayLike, *, unit: Unit = "nat") -> float:
    """Return the mutual information of two discrete variables from their joint distribution or counts.

    `I(a; b) = sum_ab p_ab log(p_ab / (p_a p_b)) = H(a) + H(b) - H(a, b)`

    Parameters
    ----------
    joint : array_like of shape (a, b)
        Joint distribution or counts, not negative and not all 0.
    unit : {"nat", "bit"}, default "nat"
        Unit of the result.

    Returns
    -------
    float
        From 0 (independent) to min(H(a), H(b)). From counts it is the plug-in estimate, whose bias is about
        (a - 1)(b - 1) / (2 n) nats for independent variables.

    Raises
    ------
    ValueError
        For negative or infinite entries, for zeros only, and for another unit.

    References
    ----------
    Shannon (1948).
    Cover and Thomas (2006), section 2.3.

    Examples
    --------
    >>> mutual_information([[0.5, 0.0], [0.0, 0.5]], unit="bit"), mutual_information([[1, 1], [1, 1]])
    (1.0, 0.0)
    """
    counts = np.asarray(as_float(joint, "joint"), dtype=np.float64)
    if counts.ndim != 2 or not np.isfinite(counts).all() or (counts < 0).any() or not counts.any():
        raise ValueError(
            f"joint must be a matrix of counts or probabilities, finite, not negative and not all 0; seen: shape "
            f"{counts.shape}, from {counts.min(initial=np.inf):g} to {counts.max(initial=-np.inf):g}."
        )
    p = counts / counts.sum()
    independent = p.sum(axis=1, keepdims=True) * p.sum(axis=0, keepdims=True)
    positive = p > 0
    return in_unit(max(float((p[positive] * np.log(p[positive] / independent[positive])).sum()), 0.0), unit)


def column_information(x: ArrayLike, codes: ArrayLike, *, unit: Unit = "nat") -> float:
    """Estimate the information of one column about the label, as leave-one-out code length.

    The rows are put into groups (the values of a text column, quantile bins of a numeric column, or its values where it
    has at most 64), and each label is predicted from the other rows of its group, shrunk towards the class rates r with
    the weight a, in rows:

    `I = (1 / n) sum_i log(P_i / r_i)`, `P_i = (c_i - 1 + a r_i) / (n_i - 1 + a)`,

    where n_i counts the rows of the group of row i, c_i those of them with the label of row i, and r_i is the rate of
    that label among the other rows. I is the reduction of the leave-one-out code length of a label by the column: close
    to the mutual information where groups have many rows, below it where they have few. The number of bins and a
    maximise the evidence (the Dirichlet-multinomial likelihood of the labels). I is 0 if no choice has more evidence
    than the class rates alone, by more nats than the code length of the choice. Non-monotonic dependence counts in
    full.

    Parameters
    ----------
    x : array_like of shape (n,)
        Numbers or text; missing values (nan, None) form a group.
    codes : array_like of shape (n,)
        Labels in 0..q-1.
    unit : {"nat", "bit"}, default "nat"
        Unit of the result.

    Returns
    -------
    float
        Information per row, at least 0.

    Raises
    ------
    ValueError
        If there are no rows, or the codes are not valid.

    References
    ----------
    Rissanen, "Stochastic complexity and modeling" (1986), for code lengths.
    Minka, "Estimating a Dirichlet distribution" (2000), for the evidence and the leave-one-out likelihood.

    Examples
    --------
    >>> x = np.linspace(-1, 1, 1000)
    >>> round(column_information(x, (np.abs(x) > 0.5).astype(int), unit="bit"), 2)
    1.0
    >>> noise = np.random.default_rng(0).integers(300, size=1000).astype(str)  # words of 300 kinds
    >>> column_information(noise, (np.abs(x) > 0.5).astype(int))
    0.0
    """
    values = np.asarray(x)
    y = np.asarray(codes)
    if values.ndim != 1 or len(values) == 0 or y.shape != values.shape:
        raise ValueError(f"x and codes must be vectors of one length, at least 1; seen: {values.shape}, {y.shape}.")
    q = int(y.max()) + 1
    y = np.asarray(check_codes(y, q, "codes"))
    rates = np.bincount(y, minlength=q) / len(y)
    tables = _tables(values, y, q)
    best, information = 0.0, 0.0
    for index, table in enumerate(tables):
        # Code length of the choice: the first grouping has prior 1/2, as the values of a column often are its groups.
        cost = log(len(WEIGHTS)) + log(1 if len(tables) == 1 else 2 if index == 0 else 2 * (len(tables) - 1))
        for weight in WEIGHTS:
            gain = _evidence(table, rates, weight) - cost
            if gain > best:
                best, information = gain, _held_out(table, weight)
    return in_unit(information, unit)


def _tables(values: NDArray[np.generic], y: NDArray[np.int64], q: int) -> list[NDArray[np.int64]]:
    """Return label counts (groups, q) of each candidate grouping of the rows."""
    if values.dtype.kind in "OUSbT":
        group = np.unique(np.array([str(v) for v in values]), return_inverse=True)[1]
        return [_count(group, y, q)]
    numbers = values.astype(np.float64)
    missing = np.isnan(numbers)
    distinct, position = np.unique(numbers[~missing], return_inverse=True)
    last = len(distinct)
    group = np.full(len(y), last)
    group[~missing] = position
    tables = [_count(group, y, q)] if last <= BINS[-1] else []
    ordered = np.sort(numbers[~missing])
    for bins in (bins for bins in BINS if bins < last):  # with few rows, all values may differ
        edges = np.unique(ordered[(np.arange(1, bins) * len(ordered)) // bins])
        group = np.where(missing, len(edges) + 1, np.searchsorted(edges, numbers, side="right"))
        tables.append(_count(group, y, q))
    return tables


def _count(group: NDArray[np.int64], y: NDArray[np.int64], q: int) -> NDArray[np.int64]:
    """Return label counts (groups, q) without empty groups."""
    table = np.bincount(group * q + y, minlength=(int(group.max()) + 1) * q).reshape(-1, q)
    return np.asarray(table[table.any(axis=1)])


def _evidence(table: NDArray[np.int64], rates: NDArray[np.float64], weight: float) -> float:
    """Return the log-evidence of separate rates for each group, relative to the rates of all rows, in nats.

    The rates of a group have a Dirichlet prior with mean `rates` and the weight of `weight` rows.

    Parameters
    ----------
    table : ndarray of shape (groups, q)
        Label counts.
    rates : ndarray of shape (q,)
        Class rates of all rows.
    weight : float
        Weight of the prior, in rows.

    Returns
    -------
    float
        Logarithm of the Bayes factor.
    """
    from scipy.special import gammaln  # here, so that `from softreg import softmax` stays light

    group, label = np.nonzero(table)
    count, rate, rows = table[group, label], rates[label], table.sum(axis=1)
    positive = (gammaln(count + weight * rate) - gammaln(weight * rate)).sum()
    return float(positive - (gammaln(rows + weight) - gammaln(weight)).sum() - (count * np.log(rate)).sum())


def _held_out(table: NDArray[np.int64], weight: float) -> float:
    """Return the mean log-ratio of leave-one-out probabilities of the labels, by group against all rows, in nats."""
    n, total = int(table.sum()), table.sum(axis=0)
    rates = np.maximum(total - 1, 0) / max(n - 1, 1)  # of each class among the other rows
    usable = (table > 0) & (rates > 0)  # a class of one row has no other row
    rows = np.broadcast_to(table.sum(axis=1, keepdims=True), table.shape)[usable]
    count, rate = table[usable], np.broadcast_to(rates, table.shape)[usable]
    return float((count * np.log((count - 1 + weight * rate) / ((rows - 1 + weight) * rate))).sum() / n)
