"""Stochastic dual coordinate ascent: the fastest method where rows are sparse and few of them share a column.

By maximum-entropy duality the minimum of mean cross-entropy + strength / 2 ||W||^2 is the maximum of

    D(alpha) = (1/N) sum_i v_i H(alpha_i) - strength / 2 ||W(alpha)||^2,
    W(alpha) = sum_i v_i (Y_i - alpha_i) x_i^T / (N strength),

over probabilities alpha_i of each row with `sum_i v_i (Y_i - alpha_i) = 0` for the unpenalized bias. A step maximizes
over one row's alpha_i while the others stay, and W follows at once: a sweep over the rows costs as much as a pass and
gains more, because each row uses the weights that the rows before it have changed (`state` says more). At any time

    F(W(alpha)) - D(alpha) = (1/N) sum_i v_i KL(alpha_i || softmax(o_i)),

whose terms each visit computes for its row; rows with small terms are skipped in most sweeps. The constraint is kept by
the method of multipliers: the bias is the weight of a small constant column, relative to its value at the last sweep.

The certificate is the same sum in the precision of the rows, plus the effect of rounding errors between W and W(alpha),
at dual probabilities shifted until the constraint holds. Where it exceeds the tolerance, `Descent` continues from here.

References
----------
Shalev-Shwartz and Zhang (2013), Stochastic dual coordinate ascent methods for regularized loss minimization.
Yu, Huang and Lin (2011), Dual coordinate descent methods for logistic regression and maximum entropy models.
Hestenes (1969), Multiplier and gradient methods.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Protocol

import numpy as np

from softreg.linalg import TINY
from softreg.optimize.dual.acceleration import Momentum, inner_product
from softreg.optimize.dual.buffer_pool import BufferPool
from softreg.optimize.dual.dual_iterate import DualIterate, initial_iterate
from softreg.optimize.dual.dual_reductions import DualBias, DualGap, HeldOutRows
from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.objective.reduction_work import RowSizes, product_operations
from softreg.optimize.problem.result import Progress
from softreg.rows import in_order
from softreg.rows.column_statistics import Labels
from softreg.typing import Array, Float64Array, FloatArray, IntArray

PATIENCE, ACCELERATED_PATIENCE = 6, 24
"""Sweeps after which the rate of convergence is compared with the budget."""
FLOAT32_GAP = 1e-7
"""Approximate smallest gap in nats of float32 steps."""
STALL_GAP, STALL_RATIO = 10 * FLOAT32_GAP, 0.9
"""A run has stalled if its smallest gap is below the first value and the last sweeps have not shrunk it by the
second."""
MAX_CERTIFICATES = 3
"""Largest number of certificates before L-BFGS continues; each target is a quarter of the previous one."""
TARGET_SHRINK = 4.0
"""Factor between the targets."""
MAX_START_PENALTY = 4.0
"""Penalty of a start, in units of `log q`, above which weights of 0 are the better start."""

# The shift of the logarithms of the dual probabilities.
MAX_SHIFT_STEPS = 20
"""Newton steps."""
BALANCED = 1e-13
"""Largest difference between mean dual probability and class rate that remains."""
SHIFT_SHRINK = 10
"""The curvature is computed again when a step does not shrink the difference by this factor."""
RANK_TOLERANCE = 1e-10
"""Relative singular value of the curvature below which a direction is ignored (the common shift of all classes)."""


@dataclass(frozen=True)
class DualResult:
    """Parameters of a stack of models near the optimum, with certified gaps."""

    theta: FloatArray
    """Parameters (m, q, d + 1) in the solver's coordinates."""
    value: Float64Array
    """Objective (m,) in nats."""
    gap: Float64Array
    """Certified gap (m,) in nats."""
    sweeps: IntArray
    """Sweeps (m,) over the rows."""
    history: tuple[Progress, ...]


@dataclass(frozen=True)
class Certificate:
    """The objective and the certified gap of one model, in nats."""

    value: float
    gap: float


def run_sdca(
    objective: Objective,
    tol: float,
    seed: int = 0,
    on_progress: Callable[[Progress], object] | None = None,
    start: tuple[FloatArray, FloatArray] | None = None,
    budgets: Sequence[float] | None = None,
) -> DualResult | None:
    """Run dual coordinate ascent for all models of a stack.

    Parameters
    ----------
    objective
        The objective; its penalty must be smooth and strictly convex, its rows accessible one by one.
    tol
        Gap in nats to be certified.
    seed
        Seed of the order of the rows.
    on_progress
        Called after each certificate.
    start
        Weights (m, d, q) and bias (m, q) of the user's columns.
    budgets
        Sweeps that each model may take; any number if None.

    Returns
    -------
    DualResult or None
        Parameters near the optimum, whose gaps may exceed `tol`; None where the sweeps would exceed the budgets.
    """
    start_time, squares = perf_counter(), objective.rows.row_squares()
    assert squares is not None
    max_sweeps = [np.inf] * objective.m if budgets is None else list(budgets)
    labels, n = objective.rows.map(Labels()), objective.rows.n
    iterates = [
        initial_iterate(objective, j, labels, squares, seed, s) for j, s in enumerate(usable_starts(objective, start))
    ]
    history: list[Progress] = []
    value, gap = np.full((2, objective.m), np.inf)
    for target in max(tol / 2, FLOAT32_GAP) / TARGET_SHRINK ** np.arange(MAX_CERTIFICATES):
        unfinished = np.flatnonzero(gap > tol)
        work = [(iterates[j], max_sweeps[j]) for j in unfinished]
        if not _sweep(objective, target, work):
            objective.half_passes += round(2 * max(iterate.visits for iterate in iterates) / n)
            return None
        for j in unfinished:
            count_visits(objective, objective.rows.n)
            with objective.meter.certificate():
                certificate = certify_iterate(objective, int(j), iterates[j])
            value[j], gap[j] = certificate.value, certificate.gap
        objective.half_passes += 2
        passes = objective.passes + round(max(iterate.visits for iterate in iterates) / n)
        history.append(Progress(passes, float(value.max()), float(gap.max()), perf_counter() - start_time))
        if on_progress is not None:
            on_progress(history[-1])
        if (gap <= tol).all() or target < FLOAT32_GAP:
            break
    objective.half_passes += round(2 * max(iterate.visits for iterate in iterates) / n)
    W = np.stack([iterate.dual.W.T for iterate in iterates]).astype(np.float64)
    theta = objective.coordinates.from_user(W, np.stack([iterate.bias for iterate in iterates]))
    return DualResult(theta, value, gap, np.array([len(iterate.gaps) for iterate in iterates]), tuple(history))


def _sweep(objective: Objective, target: float, work: Sequence[tuple[DualIterate, float]]) -> bool:
    """Sweep until each estimated gap is below the target; return False if one exceeds its budget."""
    before = sum(iterate.visits for iterate, _ in work)
    with objective.meter.passes():
        done = all(list(in_order(partial(_sweep_to_gap, objective, target), work)))
    count_visits(objective, sum(iterate.visits for iterate, _ in work) - before)
    return done


def count_visits(objective: Objective, visits: float) -> None:
    """Count so many rows, each read once and multiplied twice, as in a sweep and in a certificate."""
    sizes = RowSizes.of(objective.rows)
    passes = visits / max(1, sizes.n)
    operations = 2 * product_operations(sizes, objective.q)
    objective.meter.count(passes * sizes.stored_bytes, passes * operations, sizes.dtype)


def usable_starts(
    objective: Objective, start: tuple[FloatArray, FloatArray] | None
) -> list[tuple[FloatArray, FloatArray] | None]:
    """Return the start of each model, None for those that are worse than weights of 0.

    The penalty at an optimum is at most the loss at weights of 0, which is at most `log q`.

    Returns
    -------
    list
        Weights (d, q) and bias (q,) of each model, or None.
    """
    if start is None:
        return [None] * objective.m
    penalty = objective.penalty.value(np.moveaxis(start[0], 1, 2))
    usable = penalty < MAX_START_PENALTY * np.log(objective.q)
    return [(start[0][j], start[1][j]) if usable[j] else None for j in range(objective.m)]


def _sweep_to_gap(objective: Objective, target: float, work: tuple[DualIterate, float]) -> bool:
    """Sweep until the estimated gap is below the target or has stalled; return False beyond the budget."""
    iterate, budget = work
    while not iterate.gaps or (iterate.gaps[-1] > target and not has_stalled(iterate.gaps)):
        iterate.sweep(objective.rows)
        if exceeds_budget(iterate, budget * objective.rows.n, target):
            return False
    return True


def has_stalled(gaps: Sequence[float]) -> bool:
    """Return whether the last sweeps have gained nothing, near the smallest gap of float32 steps."""
    recent = ACCELERATED_PATIENCE
    return len(gaps) > recent and min(gaps) < STALL_GAP and min(gaps[-recent:]) > STALL_RATIO * min(gaps[:-recent])


class Sweeps(Protocol):
    """The sweeps of one model so far."""

    @property
    def gaps(self) -> list[float]:
        """Estimated gap in nats after each sweep."""
        ...

    @property
    def momentum(self) -> Momentum | None:
        """The acceleration, if there is one."""
        ...

    @property
    def visits(self) -> int:
        """Steps of single rows so far."""
        ...


def exceeds_budget(iterate: Sweeps, max_visits: float, target: float) -> bool:
    """Return whether steps have overflowed, or the rate so far means more visits to the target than `max_visits`."""
    gaps = iterate.gaps
    if not np.isfinite(gaps[-1]):
        return True
    if len(gaps) < (PATIENCE if iterate.momentum is None else ACCELERATED_PATIENCE):
        return False
    half = len(gaps) // 2
    rate = np.log(max(gaps[half - 1], TINY) / max(gaps[-1], TINY)) / (len(gaps) - half)
    remaining = np.log(max(gaps[-1], target) / target) / max(rate, TINY)
    return bool(iterate.visits * (1 + remaining / len(gaps)) > max_visits)


def certify_iterate(
    objective: Objective,
    j: int,
    iterate: DualIterate,
    *,
    held_out: HeldOutRows | None = None,
    buffers: BufferPool | None = None,
) -> Certificate:
    """Certify the gap of one model at its dual variables, by one pass over the rows.

    Parameters
    ----------
    objective
        The objective of the stack.
    j
        Index of the model.
    iterate
        Its dual variables.
    held_out
        Rows whose log-probabilities are written; None for none.
    buffers
        Arrays to use; None uses those of the iterate.

    Returns
    -------
    Certificate
        Objective and gap.
    """
    rows, b = objective.rows, iterate.bias
    strength = float(objective.penalty.strong_convexity[j])
    prepared, shift = rows.prepare(iterate.dual.W.T), _balancing_shift(objective, j, iterate)
    R = np.empty((objective.q, rows.n), rows.dtype)

    sums = DualGap(objective.state, j, prepared, b, iterate.dual.log_alpha, shift, R, held_out)
    (cross_entropy,), (divergence,) = rows.sum(sums)
    slack = (buffers or iterate.buffers).slack(rows.dtype)  # N strength (W - W(alpha)): rounding and momentum
    np.multiply(iterate.dual.W, rows.dtype.type(iterate.mass * strength), out=slack)
    rows.add_transposed(R, slack)
    value = cross_entropy / iterate.mass + strength / 2 * inner_product(iterate.dual.W, iterate.dual.W)
    gap = (divergence + inner_product(slack, slack) / (2 * strength * iterate.mass)) / iterate.mass
    return Certificate(float(value), float(gap) if np.isfinite(gap) else np.inf)


def _balancing_shift(objective: Objective, j: int, iterate: DualIterate) -> Float64Array:
    """Return the shift (q,) at which the mean of the dual probabilities is that of the labels, by Newton's method.

    It is nan where the method does not converge, which proves nothing.

    Returns
    -------
    Float64Array
        The shift (q,).
    """
    shift, smallest = np.zeros(objective.q), np.inf
    K: Array | None = None
    if not objective.fit_intercept:
        return shift

    for _ in range(MAX_SHIFT_STEPS):
        sums = DualBias(objective.state, j, iterate.dual.log_alpha, shift, K is None)
        r, *curvature = objective.rows.sum(sums)
        K = curvature[0] if curvature else K
        imbalance = float(np.abs(r).max())
        if imbalance <= BALANCED * iterate.mass:
            return shift
        if imbalance > smallest / SHIFT_SHRINK:
            K, smallest = None, np.inf
            continue
        smallest = imbalance
        assert K is not None
        shift = shift - np.linalg.lstsq(K, r, rcond=RANK_TOLERANCE)[0]
    return np.full(objective.q, np.nan)
