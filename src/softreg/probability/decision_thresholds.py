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
from softreg.probability.intervals import score_interval
from softreg.probability.labels import check_codes
from softreg.probability.scores import unit_weights


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
        Counts and costs of the decisions. `paid` has the interval of `score_interval`; an interval that excludes
        `expected` indicates probabilities that are not calibrated.

    Raises
    ------
    ValueError
        For rows that are no distributions, codes or costs that do not fit, and no rows.

    References
    ----------
    Elkan, "The foundations of cost-sensitive learning" (2001).

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
        paid=score_interval(
            costs[:, decided].T,
            P,
            y,
            groups=groups,
            sample_weight=None if sample_weight is None else w,
            bounds=(float(costs.min()), float(costs.max())),
        ),
        constant=int(np.argmin(constant)),
        constant_cost=float(constant.min()),
        most_likely_cost=float(w @ costs[y, np.asarray(most_likely(P))] / w.sum()) if k == q else None,
        threshold=_threshold(costs),
        cost=costs,
    )


def _threshold(costs: NDArray[np.float64]) -> float | None:
    """Return the probability at which two decisions cost the same; None where one of them is never worse."""
    if costs.shape != (2, 2):
        return None
    alarm, miss = costs[0, 1] - costs[0, 0], costs[1, 0] - costs[1, 1]
    return float(alarm / (alarm + miss)) if alarm > 0 and miss > 0 else None
