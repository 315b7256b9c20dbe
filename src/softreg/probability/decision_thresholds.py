"""Operating point of a classifier: decisions of least expected cost, and their cost on labelled rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from softreg.deprecated import accept_deprecated_arguments
from softreg.probability.bootstrap_intervals import Interval
from softreg.probability.check_distributions import check_probabilities
from softreg.probability.expected_cost import expected_cost as costs_of_decisions
from softreg.probability.expected_cost import least_expected_cost, most_likely
from softreg.probability.intervals import design_effect, score_interval, wilson_interval
from softreg.probability.labels import check_codes
from softreg.probability.scores import unit_weights
from softreg.typing import FloatArray

MOST_COSTS = 10
"""Distinct costs up to which the interval of the mean cost is made of those of their rates."""


@dataclass(frozen=True, eq=False)
class OperatingPoint:
    """Decisions of least expected cost and their costs, made by `operating_point`.

    Costs are means over the rows.

    Attributes
    ----------
    decided : ndarray of int of shape (k,)
        Number of rows of each decision.
    table : ndarray of int of shape (q, k)
        Number of rows of each label and decision.
    expected : float
        Cost expected from the probabilities.
    paid : Interval
        Cost by the labels, with its interval.
    constant : int
        Best constant decision for all rows.
    constant_cost : float
        Cost of the best constant decision.
    most_likely_cost : float or None
        Cost of deciding for the most likely class; None where decisions are not the classes.
    threshold : float or None
        For two classes and two decisions, the probability of the second class above which the second decision is taken.

    Examples
    --------
    >>> operating_point([[0.9, 0.1], [0.5, 0.5]], [0, 1], [[0, 1], [4, 0]]).saved
    0.5
    """

    decided: NDArray[np.int64]
    table: NDArray[np.int64]
    expected: float
    paid: Interval
    constant: int
    constant_cost: float
    most_likely_cost: float | None
    threshold: float | None
    cost: NDArray[np.float64] | None = None
    """Cost matrix (q, k) of the decisions."""

    @property
    def saved(self) -> float:
        """Mean saving per row against the best constant decision; negative if the decisions cost more."""
        return self.constant_cost - self.paid.value


@accept_deprecated_arguments("operating_point()")
def operating_point(
    P: ArrayLike,
    codes: ArrayLike,
    cost: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    groups: ArrayLike | None = None,
) -> OperatingPoint:
    """Decide each row at its least expected cost and return the resulting costs, with those of constant decisions.

    `decision_i = argmin_j sum_k P_ik cost_kj`, `paid = (1/n) sum_i cost[y_i, decision_i]`

    For two classes and decisions the rule is a threshold on the second class, `t = (c01 - c00) / (c01 - c00 + c10 -
    c11)`.

    Parameters
    ----------
    P : array_like of shape (n, q)
        Probabilities.
    codes : array_like of shape (n,)
        Labels in 0..q-1.
    cost : array_like of shape (q, k)
        `cost[true, decided]`, finite, in any unit.
    sample_weight : array_like of shape (n,), optional
        Weights of the mean costs. Row counts ignore them.
    groups : array_like of shape (n,), optional
        Equal values mark rows that depend on each other; the interval of `paid` is then that of independent groups.

    Returns
    -------
    OperatingPoint
        Counts and costs of the decisions. `paid` is the sum of the distinct costs times their rates, and its interval
        combines Wilson's intervals of these rates (that of `score_interval` with more than 10 distinct costs); an
        interval that excludes `expected` indicates probabilities that are not calibrated.

    Raises
    ------
    ValueError
        For rows that are no distributions, codes or costs that do not fit, and no rows.

    References
    ----------
    Elkan, "The foundations of cost-sensitive learning" (2001).
    Zou and Donner, "Construction of confidence limits about effect measures" (2008), for the interval.

    Examples
    --------
    >>> point = operating_point([[0.9, 0.1], [0.5, 0.5]], [0, 1], [[0, 1], [4, 0]])
    >>> point.threshold, point.decided.tolist(), point.expected, point.paid.value, point.constant_cost
    (0.2, [1, 1], 0.45, 0.0, 0.5)
    """
    P = check_probabilities(P)
    if P.ndim != 2 or len(P) == 0:
        raise ValueError(f"P must be a matrix (n, q) of at least one row; seen: shape {P.shape}.")
    y = np.asarray(check_codes(codes, P.shape[1], "codes"))
    if y.shape != (len(P),):
        raise ValueError(f"codes must hold one code for each of {len(P)} rows; seen: shape {y.shape}.")
    decided, expected = np.asarray(least_expected_cost(P, cost)), costs_of_decisions(P, cost)
    costs = np.asarray(cost, dtype=np.float64)
    q, k = costs.shape
    w = np.ones(len(y)) if sample_weight is None else unit_weights(sample_weight, y.shape)
    constant = np.bincount(y, w, minlength=q) @ costs / w.sum()
    return OperatingPoint(
        decided=np.bincount(decided, minlength=k),
        table=np.bincount(y * k + decided, minlength=q * k).reshape(q, k),
        expected=float(w @ np.take_along_axis(expected, decided[:, None], axis=1)[:, 0] / w.sum()),
        paid=_mean_cost_interval(costs, decided, P, y, w=None if sample_weight is None else w, groups=groups),
        constant=int(np.argmin(constant)),
        constant_cost=float(constant.min()),
        most_likely_cost=float(w @ costs[y, np.asarray(most_likely(P))] / w.sum()) if k == q else None,
        threshold=_threshold(costs),
        cost=costs,
    )


def _mean_cost_interval(
    costs: NDArray[np.float64],
    decided: NDArray[np.int64],
    P: FloatArray,
    y: NDArray[np.int64],
    *,
    w: NDArray[np.float64] | None,
    groups: ArrayLike | None,
) -> Interval:
    """Return the mean cost with its interval: `sum_j c_j p_j` over the distinct costs, from the intervals of the p_j.

    Costs are differences to the most frequent one, so the ends are `mean -+ sqrt(sum_j (c_j d_j)^2)` with the distances
    d_j of the ends of the rates, those of the other side for negative c_j.

    Returns
    -------
    Interval
        The mean cost, between the least and the largest cost.
    """
    bounds = float(costs.min()), float(costs.max())
    values = np.unique(costs)
    if len(values) > MOST_COSTS:
        return score_interval(costs[:, decided].T, P, y, groups=groups, sample_weight=w, bounds=bounds)
    paid = costs[y, decided]
    weight = np.ones(len(y)) if w is None else w / w.mean()
    kept = weight > 0
    paid, weight = paid[kept], weight[kept]
    group = None if groups is None else np.asarray(groups)[kept]
    mean = float(weight @ paid / weight.sum())
    rows = len(paid) / design_effect(paid, group, None if w is None else weight)[0]
    shares = np.array([float(weight @ (paid == value)) for value in values]) / weight.sum()
    below = above = 0.0
    for value, share in zip(values - values[shares.argmax()], shares, strict=True):
        rate = wilson_interval(min(share, 1.0) * rows, rows)
        ends = rate.value - rate.low, rate.high - rate.value
        down, up = ends if value >= 0 else ends[::-1]
        below, above = below + (value * down) ** 2, above + (value * up) ** 2
    return Interval(mean, max(mean - float(np.sqrt(below)), bounds[0]), min(mean + float(np.sqrt(above)), bounds[1]))


def _threshold(costs: NDArray[np.float64]) -> float | None:
    """Return the probability at which two decisions cost the same; None where one of them is never worse."""
    if costs.shape != (2, 2):
        return None
    alarm, miss = costs[0, 1] - costs[0, 0], costs[1, 0] - costs[1, 1]
    return float(alarm / (alarm + miss)) if alarm > 0 and miss > 0 else None
