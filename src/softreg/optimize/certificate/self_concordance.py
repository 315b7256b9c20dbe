"""Certified gaps from the Newton decrement, by self-concordance.

For any direction v, the loss h(t) = F(theta + t v) has |h'''| <= s h'' with s the largest range, over the rows, of the
change of their logits (the third cumulant of a variable of range s is at most s times its variance). With the Newton
decrement delta and R such that s <= R ||v||_H this integrates to

    F - F* <= (u + (1 - u) log(1 - u)) / R^2   with u = R delta < 1,

which is delta^2 / 2 for small u.

References
----------
Bach (2010), Self-concordant analysis for logistic regression.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from softreg.linalg import solve_factored
from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.objective.column_reductions import LargestLeverage, column_logits, member_row_weights
from softreg.optimize.objective.hessian import Columns
from softreg.optimize.objective.stack_state import StackState
from softreg.probability import block_loss as loss
from softreg.rows import Array, Block, Sums

EPS = 2.0**-52
"""Machine epsilon of float64."""
ROUNDING_MATTERS = 1e-3
"""R^2 eps above which the bound includes rounding errors of the gradient."""
MAX_U = 0.9
"""The bound is valid for u < 1 in exact arithmetic. An extreme outlier has u = 1 up to rounding as long as its loss
decreases exponentially along the direction of its row, at any distance from the optimum."""
SERIES_BELOW = 1e-4
"""Below this u, three terms of the series are used: the closed form would cancel."""
SERIES_DIVISORS = 6, 12
"""Divisors of the second and third term of the series; the first term is 1/2."""
SERIES_MARGIN = 1.001
"""Factor of the last term that covers the terms left out."""


def self_concordant_gap(decrement: float, R: float) -> float:
    """Return `(u + (1 - u) log(1 - u)) / R^2` with `u = R * decrement`; inf for u >= `MAX_U`.

    Parameters
    ----------
    decrement : float
        Newton decrement.
    R : float
        Bound of the range of a row's change of logits, relative to the norm of the step in the Hessian.

    Returns
    -------
    float
        Upper bound of the gap.

    Examples
    --------
    >>> round(self_concordant_gap(1e-3, 1.0) / 5e-7, 3)
    1.0
    """
    u = R * decrement
    if u >= MAX_U or not np.isfinite(u):
        return float("inf")
    if u < SERIES_BELOW:
        return decrement**2 * (0.5 + u / SERIES_DIVISORS[0] + u * u / SERIES_DIVISORS[1] * SERIES_MARGIN)
    return float((u + (1 - u) * np.log1p(-u)) / R**2)


def decrement_gaps(objective: Objective, factors: list[Array], squares: Array, with_rounding: bool = False) -> Array:
    """Return certified gaps from the exact Hessians and the Newton decrements at the same parameters.

    Parameters
    ----------
    objective : Objective
        The stack of m models.
    factors : list of array
        Cholesky factors of the exact Hessians.
    squares : array of shape (m,)
        Squared Newton decrements.
    with_rounding : bool
        Add the rounding error of the gradient at the kept logits, which dominates if rows have a large leverage.

    Returns
    -------
    array of shape (m,)
        Upper bounds of the gaps.
    """
    gaps = []
    for j, (factor, square) in enumerate(zip(factors, squares, strict=True)):
        trace = _trace(objective, factor)
        decrement, R = np.sqrt(max(0.0, square)), _range_bound(objective, trace)
        if with_rounding and R * R * EPS > ROUNDING_MATTERS:
            decrement += _rounding(objective, trace, j)
        gaps.append(self_concordant_gap(float(decrement), R))
    return np.array(gaps)


def _trace(objective: Objective, factor: Array) -> Array:
    """Return the sum (d + 1, d + 1) of the diagonal blocks of the inverse Hessian."""
    a, k = objective.q - 1, objective.rows.d + 1
    return np.asarray(solve_factored(factor, np.eye(len(factor))).reshape(a, k, a, k).trace(axis1=0, axis2=2))


def _range_bound(objective: Objective, trace: Array) -> float:
    """Return R with `range of a row's change of logits <= R ||v||_H`, from the leverage of the rows."""
    return float(np.sqrt(2 * max(0.0, objective.map(LargestLeverage(Columns(objective), trace)).max())))


def _rounding(objective: Objective, trace: Array, j: int) -> float:
    """Return a bound of the rounding error of model j's gradient, in the norm of the inverse Hessian."""
    return float(objective.sum(KeptRounding(objective.state, Columns(objective), trace, j))[0] / objective.mass[j])


@dataclass(frozen=True, slots=True, eq=False)
class KeptRounding:
    """The sum of `residual_rounding` of one model j at the point of the state; `trace` gives the leverage of a row."""

    state: StackState
    columns: Columns
    trace: Array
    j: int
    half_passes: ClassVar[int] = 0

    def evaluate(self, block: Block) -> Sums:
        """Return the sum of one block."""
        P, _ = loss.probabilities(self.state.logits(block).astype(np.float64))
        V, total, j = self.state.weights(block), 0.0, self.j
        for run, Z in self.columns.runs(block):
            leverage = np.einsum("ji,ji->i", self.trace @ Z, Z)
            total += residual_rounding(P[j][:, run], leverage, None if V is None else V[j % len(V), run])
        return (total,)


@dataclass(frozen=True, slots=True, eq=False)
class MemberRounding:
    """The sum of `residual_rounding` of one model at parameters theta (q, d + 1), in the basis y = T z."""

    columns: Columns
    member: int
    theta: Array
    T: Array
    trace: Array

    def evaluate(self, block: Block) -> Sums:
        """Return the sum of one block."""
        V, total, offset = member_row_weights(block, self.member), 0.0, block.offset
        for run, Z in self.columns.runs(block):
            Y, P = self.T @ Z, loss.probabilities(column_logits(self.theta, Z, offset, run)[None])[0][0]
            leverage = np.einsum("ji,ji->i", self.trace @ Y, Y)
            total += residual_rounding(P, leverage, None if V is None else V[run])
        return (total,)


def residual_rounding(P: Array, leverage: Array, v: Array | None) -> float:
    """Return `sum_i v_i e_i sqrt(2 leverage_i)` with e_i the rounding error of a residual.

    The error e_i is eps, or the probability of all classes except the most probable one if that is less.

    Parameters
    ----------
    P : array of shape (q, b)
        Probabilities.
    leverage : array of shape (b,)
        Leverage of each row.
    v : array of shape (b,) or None
        Row weights; 1 if None.

    Returns
    -------
    float
        The sum over the rows.

    Examples
    --------
    >>> residual_rounding(np.array([[1.0, 0.5], [0.0, 0.5]]), np.array([1e30, 0.5]), None) == 2.0**-52
    True
    """
    remainder = P.sum(axis=0, where=np.arange(len(P))[:, None] != P.argmax(axis=0))
    error = np.minimum(EPS, remainder) * np.sqrt(2 * np.maximum(leverage, 0.0))
    return float((error if v is None else v * error).sum())
