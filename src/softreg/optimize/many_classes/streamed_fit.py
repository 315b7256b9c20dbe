"""Fits of many classes on dense rows: the start, the descent, and the certificate.

The gap is that of `certificate/duality.py` for predictions p_i whose mean is not quite the class rates. With r for the
mean of p - y, g for the gradient of the objective with respect to the weights of centred columns, the least s with
`rates >= (1 - s) mean p`, and e = (rates - (1 - s) mean p) / s,

    gap <= (||g|| + s ||E||)^2 / (2 strength) + s (loss - H(e) + mean of <W y, x>) + (1 - s) <r, b>,

where E is the mean of x p^T. The bias is shifted until s is small.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from softreg.linalg import TINY
from softreg.optimize.cost.meter import current_meter
from softreg.optimize.many_classes.balancing import AndersonSteps, newton_step
from softreg.optimize.many_classes.shared_curvature import ClassSums, WithinScatter
from softreg.optimize.many_classes.streamed_descent import StreamedDescent
from softreg.optimize.many_classes.streamed_lbfgs import StreamedLBFGS
from softreg.optimize.many_classes.streamed_loss import Evaluation, StreamedLoss
from softreg.optimize.many_classes.streamed_newton import StreamedNewton
from softreg.optimize.problem.result import Progress, Solution, Status
from softreg.optimize.problem.solver_plan import Method, Plan
from softreg.rows import DenseRows
from softreg.typing import Float64Array, FloatArray

GRADIENT_SHARE = 0.5
"""Part of the tolerance that the gradient may take before the bias is balanced."""
NEAR, PROGRESS = 4.0, 0.25
"""The bias is balanced once the gap is within this factor of the tolerance, or a step leaves more than this part of it:
until then a step balances the bias as well."""
IMBALANCE_SHARE = 0.1
"""Part of the tolerance that the imbalance may take."""
PATIENCE = 4
"""Shifts without progress after which rounding errors are taken to be all that is left."""
SINGLE_TOLERANCE = 5e-6
"""Nats: below it, float32 rows are multiplied in float64 and the weights are float64."""
MAX_BALANCE_STEPS = 40
"""Shifts of the bias in one certificate."""
SHRINKAGE = 0.1
"""Part of the mean variance that is added to the scatter of the discriminant analysis of the start."""
START_LENGTHS = 0.5 ** np.arange(-1, 8)
"""Lengths of the start that are tried, in units of that of the discriminant analysis."""


@dataclass(frozen=True)
class Bound:
    """The certified gap in nats, with its two parts."""

    gradient: float
    imbalance: float

    @property
    def gap(self) -> float:
        """The sum."""
        return self.gradient + self.imbalance


def fit_streamed(
    rows: DenseRows,
    n_classes: int,
    strengths: Sequence[float],
    shift: Float64Array,
    plan: Plan,
    *,
    fit_intercept: bool,
    tol: float,
    max_iter: int,
    start: tuple[FloatArray, FloatArray] | None = None,
    on_progress: Callable[[Progress], object] | None = None,
) -> tuple[Solution, ...] | None:
    """Fit each model of a stack, one after another.

    Parameters
    ----------
    rows : DenseRows
        Rows in the user's columns, with labels as codes.
    n_classes : int
    strengths : sequence of float
        The l2 strength of each model.
    shift : ndarray of shape (d,)
        Means of the columns; zeros without a bias.
    plan : Plan
    fit_intercept : bool
    tol : float
        Gap in nats to be certified.
    max_iter : int
    start : tuple of ndarray, optional
        Weights (m, d, q) and bias (m, q) of the user's columns.
    on_progress : callable, optional

    Returns
    -------
    tuple of Solution, or None
        None where a class has no row.
    """
    descent_of = StreamedNewton if plan.method is Method.STREAMED_NEWTON else StreamedLBFGS
    solutions = []
    for j, strength in enumerate(strengths):
        V = None if rows.weights is None else np.asarray(rows.weights[j % len(rows.weights)], dtype=np.float64)
        center = shift if V is None or not fit_intercept else np.asarray(V @ rows.X / V.sum(), dtype=np.float64)
        dtype = np.dtype(np.float64) if tol < SINGLE_TOLERANCE else rows.dtype
        loss = StreamedLoss(rows, n_classes, strength, V, center, dtype)
        if not (loss.rates > 0).all():
            return None
        sums = ClassSums(loss)
        scatter = WithinScatter.of(loss, sums)
        given = None if start is None else _given(loss, start[0][j], start[1][j])
        begin = _start(loss, sums, scatter, fit_intercept) if given is None else given
        begin[0][:] -= begin[0].mean(axis=0, dtype=np.float64).astype(loss.dtype)  # softmax ignores a common shift
        descent = descent_of(loss, sums, scatter, *begin, fit_intercept, on_progress)
        solutions.append(_descend(descent, plan, tol, max_iter))
    return tuple(solutions)


def _given(loss: StreamedLoss, W: FloatArray, bias: FloatArray) -> tuple[FloatArray, Float64Array]:
    """Return weights (q, d) and bias (q,) of centred columns from those of the user's, (d, q) and (q,)."""
    return np.array(W.T, dtype=loss.dtype, order="C"), np.asarray(bias + loss.shift @ W, dtype=np.float64)


def _start(
    loss: StreamedLoss, sums: ClassSums, scatter: WithinScatter, fit_intercept: bool
) -> tuple[FloatArray, Float64Array]:
    """Return a linear discriminant, at the length with the least objective on a sample, or zeros.

    Returns
    -------
    W : ndarray of shape (q, d)
    bias : ndarray of shape (q,)
    """
    W = np.zeros((loss.q, loss.d), loss.dtype)
    if not fit_intercept:
        return W, np.zeros(loss.q)
    values = scatter.values + SHRINKAGE * (float(scatter.values.mean()) or 1.0)  # 0 for one row a class
    inverse = (scatter.vectors / values) @ scatter.vectors.T
    half, v = np.empty(loss.q), loss.row_weights

    def of_chunk(_: int, chunk: slice) -> None:
        (of_class,) = sums.of(chunk, v)
        means = of_class / (loss.rates[chunk, None] * loss.mass)
        directions = means @ inverse
        W[chunk], half[chunk] = directions, np.einsum("kd,kd->k", directions, means) / 2

    loss.by_chunks(of_chunk)
    rates = np.log(loss.rates)
    small = loss.on_sample()
    best = (small.evaluate(np.zeros_like(W), rates, None).value, 0.0)
    unit = 1 / np.sqrt(max(2 * float(loss.rates @ half), 1.0))
    scaled = W.copy()
    for t in START_LENGTHS * unit:
        np.multiply(W, W.dtype.type(t), out=scaled)
        value = small.evaluate(scaled, rates - t * half, None).value
        if value > best[0]:
            if best[1] > 0:
                break
            continue
        best = (value, float(t))
    W *= W.dtype.type(best[1])
    return W, rates - best[1] * half


def _descend(descent: StreamedDescent, plan: Plan, tol: float, max_iter: int) -> Solution:
    """Minimise from the start of the descent and return the solution with its certified gap."""
    loss, fit_intercept = descent.loss, descent.fit_intercept
    share, moves = GRADIENT_SHARE, True
    bound, before = _bound(descent, loss, fit_intercept), np.inf
    while True:
        descent.report(bound.gap)
        if bound.gap <= tol:
            break
        near = bound.gap <= NEAR * tol or bound.gap > PROGRESS * before
        if bound.gradient <= share * tol and near:
            bound = _balance(descent, loss, tol)
            descent.report(bound.gap)
            share *= GRADIENT_SHARE
            if bound.gap <= tol:
                break
        if descent.iterations >= max_iter or not moves:
            break
        before = bound.gap
        moves = descent.iterate()
        bound = _bound(descent, loss, fit_intercept)
    status = Status.CONVERGED if bound.gap <= tol else Status.STALLED if not moves else Status.STOPPED
    b = descent.bias - np.concatenate(loss.by_chunks(lambda _, chunk: descent.W[chunk].astype(np.float64) @ loss.shift))
    return Solution(
        W=descent.W.T,
        b=b - (b.mean() if fit_intercept else 0.0),
        value=descent.at.value,
        gap=bound.gap,
        bound="duality",
        status=status,
        passes=round(loss.passes),
        n_iter=descent.iterations,
        history=tuple(descent.history),
        plan=plan,
    )


def _bound(descent: StreamedDescent, loss: StreamedLoss, fit_intercept: bool) -> Bound:
    """Return the certified gap at the current point."""
    with current_meter().certificate():
        return _bound_at(descent, loss, fit_intercept)


def _bound_at(descent: StreamedDescent, loss: StreamedLoss, fit_intercept: bool) -> Bound:
    at, square = descent.at, descent.squared_gradient()
    if not fit_intercept:
        return Bound(square / (2 * loss.strength), 0.0)
    mean, s = at.predicted_rates, _imbalance(at, loss)
    e = np.maximum(loss.rates - (1 - s) * mean, 0.0)
    e /= max(float(e.sum()), TINY)
    entropy = -float(e @ np.log(np.where(e > 0, e, 1.0)))
    difference = float((mean - loss.rates) @ descent.bias)
    # ||E|| <= ||A|| + ||mean x y^T||, and the mean over rows of a norm bounds the norm of the mean
    A = np.sqrt(square) + loss.strength * np.sqrt(2 * max(at.value - at.loss, 0.0) / loss.strength)
    norm = np.sqrt(square) + s * (A + descent.label_norm)
    imbalance = s * (at.loss - entropy + at.label_logit) + (1 - s) * difference
    whole = norm**2 / (2 * loss.strength)
    gradient = square / (2 * loss.strength)
    return Bound(gradient, float(whole - gradient + max(imbalance, 0.0)))


def _balance(descent: StreamedDescent, loss: StreamedLoss, tol: float) -> Bound:
    """Shift the bias until mean predictions are nearly the class rates; return the gap there."""
    at, anderson = descent.at, AndersonSteps()
    best, failures = (np.inf, descent.bias), 0
    for _ in range(MAX_BALANCE_STEPS):
        share = _imbalance(at, loss)
        if share < best[0]:
            best, failures = (share, descent.bias), 0
        else:
            failures += 1
        if share * max(at.loss, 1.0) <= IMBALANCE_SHARE * tol or failures >= PATIENCE:
            break
        step = newton_step(loss.rates, at.predicted_rates, at.variance)
        descent.bias = descent.bias + anderson.next(step, descent.bias)
        at = loss.evaluate(descent.W, descent.bias, None)
    descent.bias = best[1]
    descent.at = loss.evaluate(descent.W, descent.bias, descent.G)
    return _bound(descent, loss, True)


def _imbalance(at: Evaluation, loss: StreamedLoss) -> float:
    """Return the largest relative excess of a mean prediction over the rate of its class."""
    return float(np.max(1 - loss.rates / np.maximum(at.predicted_rates, TINY), initial=0.0))
