"""What decisions cost: the decision of least expected cost for each row, judged on rows whose labels are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from softreg.deprecated import accept_deprecated_arguments
from softreg.probability.bootstrap_intervals import Interval
from softreg.probability.check_distributions import check_probabilities
from softreg.probability.decision import expected_cost as costs_of_decisions
from softreg.probability.decision import least_expected_cost, most_likely
from softreg.probability.intervals import score_interval
from softreg.probability.labels import check_codes
from softreg.probability.scores import unit_weights


@dataclass(frozen=True, eq=False)
class OperatingPoint:
    """What deciding by probabilities and a matrix of costs leads to, made by `operating_point`.

    `decided` (k,) counts the rows of each decision and `table` (q, k) those of each label and decision. Costs are means
    a row: `expected` is that by the probabilities, `paid` that by the labels, with its interval; `constant` is
    the best single decision for all rows and `constant_cost` what it costs; `most_likely_cost` is that of deciding for
    the most likely class, None where decisions are not the classes. `threshold` is the probability of the second class
    above which the second decision is taken, for two classes and two decisions, else None.

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
    """The matrix of costs (q, k) that the decisions are by."""

    @property
    def saved(self) -> float:
        """How much a row costs less than by the best single decision; below 0, the probabilities mislead."""
        return self.constant_cost - self.paid.value


@accept_deprecated_arguments("operating_point()")
def operating_point(
    P: ArrayLike, codes: ArrayLike, cost: ArrayLike, *, sample_weight: ArrayLike | None = None
) -> OperatingPoint:
    """Decide each row at its least expected cost and say what that costs, beside deciding without probabilities.

    `decision_i = argmin_j sum_k P_ik cost_kj`, `paid = (1/n) sum_i cost[y_i, decision_i]`

    For two classes and decisions the rule is a threshold on the second class, `t = (c01 - c00) / (c01 - c00 + c10 -
    c11)`.

    Parameters
    ----------
    P : array_like
        (n, q).
    codes : array_like
        (n,) in 0..q-1.
    cost : array_like
        (q, k), `cost[true, decided]`, finite, in any unit. The interval of `paid` is that of `score_interval`.
        `sample_weight` (n,) makes costs weighted means; rows are counted once. Where `paid` lies far above `expected`,
        the probabilities are not calibrated.

    Returns
    -------
    OperatingPoint
        Decide each row at its least expected cost and say what that costs, beside deciding without probabilities.

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
    decided, promised = np.asarray(least_expected_cost(P, cost)), costs_of_decisions(P, cost)
    costs = np.asarray(cost, dtype=np.float64)
    q, k = costs.shape
    w = np.ones(len(y)) if sample_weight is None else unit_weights(sample_weight, y.shape)
    constant = np.bincount(y, w, minlength=q) @ costs / w.sum()
    return OperatingPoint(
        decided=np.bincount(decided, minlength=k),
        table=np.bincount(y * k + decided, minlength=q * k).reshape(q, k),
        expected=float(w @ np.take_along_axis(promised, decided[:, None], axis=1)[:, 0] / w.sum()),
        paid=score_interval(costs[:, decided].T, P, y, sample_weight=None if sample_weight is None else w),
        constant=int(np.argmin(constant)),
        constant_cost=float(constant.min()),
        most_likely_cost=float(w @ costs[y, np.asarray(most_likely(P))] / w.sum()) if k == q else None,
        threshold=_threshold(costs),
        cost=costs,
    )


def _threshold(costs: NDArray[np.float64]) -> float | None:
    """Return where two decisions about two classes cost the same; None where one of them is never worse."""
    if costs.shape != (2, 2):
        return None
    alarm, miss = costs[0, 1] - costs[0, 0], costs[1, 0] - costs[1, 1]
    return float(alarm / (alarm + miss)) if alarm > 0 and miss > 0 else None
