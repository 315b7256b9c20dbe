"""The dual problem, climbed one row at a time: where rows are sparse and few of them share a column, the quickest way.

Maximum-entropy duality: the minimum of mean cross-entropy + strength / 2 ||W||^2 is the maximum of

    D(alpha) = (1/N) sum_i v_i H(alpha_i) - strength / 2 ||W(alpha)||^2,
    W(alpha) = sum_i v_i (Y_i - alpha_i) x_i^T / (N strength),

over probabilities alpha_i of each row with `sum_i v_i (Y_i - alpha_i) = 0` for the unpenalised bias. A step makes one
row's alpha_i the best while the others stay, and W follows at once: a sweep over the rows costs as much as a pass and
gains more than one, because each row already knows what those before it have learned (`ascent.py`). At any time

    F(W(alpha)) - D(alpha) = (1/N) sum_i v_i KL(alpha_i || softmax(o_i)),

which every visit tells for its row; rows that have little left are skipped most of the time. The constraint is kept by
the method of multipliers: the bias is the weight of a short constant column, counted from its last value at each sweep.

The proof is the same sum in the precision of the rows, plus what rounding has put between W and W(alpha), at dual
probabilities tilted until the constraint holds. Where it falls short of the tolerance, `Descent` goes on from here.

Shalev-Shwartz and Zhang (2013), Stochastic dual coordinate ascent; Yu, Huang and Lin (2011), Dual coordinate descent
methods for logistic regression and maximum entropy models; Hestenes (1969), Multiplier and gradient methods.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np

from softreg.optimize.curvature.subsampled import needs_diagonal, sketch_time
from softreg.optimize.dual.acceleration import BufferPool, inner
from softreg.optimize.dual.state import EASY, DualIterate, begin, of_one
from softreg.optimize.objective.cached import Objective
from softreg.optimize.objective.stack_state import StackState
from softreg.optimize.problem.result import Progress
from softreg.probability import blocks as loss
from softreg.rows import Array, BackendArray, Block, Sums, in_order
from softreg.rows.reductions import Labels

STEEP = 100 * EASY
"""Mean curvature of a row's step beyond which L-BFGS takes few iterations, where it has a factor of the curvature."""
PATIENCE, PATIENCE_WITH_MOMENTUM = 6, 24
"""After so many sweeps their pace is asked for."""
SINGLE = 1e-7
"""Float32 steps come no nearer than about this, in nats."""
ROUNDS = 3
"""Proofs tried before the climb is left to others."""


@dataclass(frozen=True)
class DualResult:
    """How far a stack of models has come: parameters (m, q, d + 1), values, proved gaps and sweeps (m,) of each."""

    theta: Array
    value: Array
    gap: Array
    sweeps: Array
    history: tuple[Progress, ...]


def run_sdca(
    objective: Objective,
    tol: float,
    seed: int = 0,
    on_progress: Callable[[Progress], Any] | None = None,
    start: tuple[Array, Array] | None = None,
) -> DualResult | None:
    """Parameters near the optimum with certified gaps, or None where this is not the way.

    It is not where `budgets` says so, and where sweeps turn out to cost more than L-BFGS. `start` is weights
    W (m, d, q) and bias (m, q) to begin with.
    """
    began, squares = perf_counter(), objective.rows.row_squares()
    most = budgets(objective, squares)
    if squares is None or most is None:
        return None
    labels, n = objective.rows.map(Labels()), objective.rows.n
    climbs = [begin(objective, j, labels, squares, seed, s) for j, s in enumerate(starts(objective, start))]
    history: list[Progress] = []
    value, gap = np.full((2, objective.m), np.inf)
    for target in max(tol / 2, SINGLE) / 4.0 ** np.arange(ROUNDS):
        todo = np.flatnonzero(gap > tol)
        if not all(list(in_order(partial(_sweeps, objective, target), [(climbs[j], most[j]) for j in todo]))):
            objective.half_passes += round(2 * max(one.visits for one in climbs) / n)
            return None
        for j in todo:
            value[j], gap[j] = prove(objective, int(j), climbs[j])
        objective.half_passes += 2
        passes = objective.passes + round(max(one.visits for one in climbs) / n)
        history.append(Progress(passes, float(value.max()), float(gap.max()), perf_counter() - began))
        if on_progress is not None:
            on_progress(history[-1])
        if (gap <= tol).all() or target < SINGLE:
            break
    objective.half_passes += round(2 * max(one.visits for one in climbs) / n)
    W = np.stack([one.dual.W.T for one in climbs]).astype(np.float64)
    theta = objective.coordinates.from_user(W, np.stack([one.bias for one in climbs]))
    return DualResult(theta, value, gap, np.array([len(one.gaps) for one in climbs]), tuple(history))


def starts(objective: Objective, given: tuple[Array, Array] | None) -> list[tuple[Array, Array] | None]:
    """The weights that each model begins with, None for those that are farther off than weights of 0.

    The penalty at an optimum is at most the loss at weights of 0, which is at most `log q`.
    """
    if given is None:
        return [None] * objective.m
    costs = objective.penalty.value(np.moveaxis(given[0], 1, 2))
    far = ~(costs < 4 * np.log(objective.q))
    return [None if far[j] else (given[0][j], given[1][j]) for j in range(objective.m)]


def budgets(objective: Objective, squares: Array | None) -> list[float] | None:
    """Passes that L-BFGS would take for each model, in visits of all rows; None where the climb is not the way.

    It is not where a penalty has no l2 or an l1 part, where single rows are not at hand or their steps are not
    compiled, and where sweeps would cost more than L-BFGS.
    """
    penalty = objective.penalty
    if squares is None or not penalty.is_smooth or not (penalty.strong_convexity > 0).all():
        return None
    found = [_budget(objective, j, squares) for j in range(objective.m)]
    return found if min(found) > 0 else None


def _budget(objective: Objective, j: int, squares: Array) -> float:
    """Passes that L-BFGS would take, in visits of all rows; 0 where the climb is expected to take more.

    Both counts were measured on text, one-hot columns and pixels at strengths from 1e-2 to 1e-7: about `5 + 15 sqrt(c)`
    and `6 + 1.2 c` for the mean curvature c of a row's step, where momentum has it grow like the root of c beyond
    `EASY`. So were the nanoseconds: a visit costs some for each stored number and class and some for itself; an
    iteration of L-BFGS sweeps seventy times over as many numbers as there are parameters, and shares its passes among
    threads. L-BFGS also needs a sketch of the curvature, which all models of one strength share. A factor of it
    replaces most iterations where c is above `STEEP`: only the time of the sketch is counted there.
    """
    rows, q = objective.rows, objective.q
    c = float(squares.mean() / (objective.penalty.strong_convexity[j] * rows.n))
    visits = 0.25 * rows.stored * q + rows.n * (150.0 + 8 * q)
    iteration = 0.3 * rows.stored * q + 2.5 * rows.n * q + 70.0 * rows.d * q
    n_iter = 0.0 if c > STEEP and not needs_diagonal(rows) else 5 + 15 * np.sqrt(c)
    alike = np.count_nonzero(objective.penalty.strong_convexity == objective.penalty.strong_convexity[j])
    budget = (n_iter * iteration + sketch_time(rows, q) / alike) / visits
    sweeps = 6 + 1.2 * min(c, EASY) + 1.2 * np.sqrt(max(c - EASY, 0.0))
    return float(budget) if 1.5 * sweeps < budget else 0.0


def _sweeps(objective: Objective, target: float, work: tuple[DualIterate, float]) -> bool:
    """Sweep until the estimated gap is below the target, or float32 steps come no further; False where that would take
    too long, or overflows."""
    one, budget = work
    while not one.gaps or (one.gaps[-1] > target and not _at_rest(one)):
        one.sweep(objective.rows)
        if lost(one, budget * objective.rows.n, target):
            return False
    return True


def _at_rest(one: DualIterate) -> bool:
    """Whether the last sweeps have gained nothing, near the end of what float32 steps can do."""
    few = PATIENCE_WITH_MOMENTUM
    return len(one.gaps) > few and min(one.gaps) < 10 * SINGLE and min(one.gaps[-few:]) > 0.9 * min(one.gaps[:-few])


def lost(one: DualIterate, most: float, target: float) -> bool:
    """Whether steps have overflowed, or at today's pace there would be more visits than `most`."""
    if not np.isfinite(one.gaps[-1]):
        return True
    if len(one.gaps) < (PATIENCE if one.momentum is None else PATIENCE_WITH_MOMENTUM):
        return False
    half = len(one.gaps) // 2
    pace = np.log(max(one.gaps[half - 1], 1e-300) / max(one.gaps[-1], 1e-300)) / (len(one.gaps) - half)
    todo = np.log(max(one.gaps[-1], target) / target) / max(pace, 1e-300)
    return bool(one.visits * (1 + todo / len(one.gaps)) > most)


@dataclass(frozen=True, slots=True, eq=False)
class HeldOutRows:
    """Log-probabilities of the rows held out from model j (`judge` (L, n) = j), written to `out` (L, n, q)."""

    judge: Array
    j: int
    out: Array

    def write(self, block: Block, log_p: Array) -> None:
        """Write the log-probabilities (q, b) of the rows of a block that are held out."""
        chosen = self.judge[:, block.start : block.stop] == self.j
        for layer in np.flatnonzero(chosen.any(axis=1)):
            at = np.flatnonzero(chosen[layer])
            self.out[layer, block.start + at] = log_p[:, at].T


@dataclass(frozen=True, slots=True, eq=False)
class DualGap:
    """Loss and divergence `KL(alpha || softmax(o))` of model j, summed; for rows in memory only.

    `log_alpha` (n, q) are the logarithms of the dual probabilities, tilted by `tilt` (q,). Their residuals are written
    to `residuals` (q, n).
    """

    state: StackState
    j: int
    prepared: BackendArray
    bias: Array
    log_alpha: Array
    tilt: Array
    residuals: Array
    held_out: HeldOutRows | None

    def evaluate(self, block: Block) -> Sums:
        """Return the sums of one block."""
        o = (block.times(self.prepared) + self.bias[:, None])[None]
        log_p = o - loss.probabilities(o)[1][:, None]
        if self.held_out is not None:
            self.held_out.write(block, log_p[0])
        log_a = tilted_log_alpha(self.log_alpha, block, self.tilt)[None]
        A, V = np.exp(log_a), of_one(self.state.weights(block), self.j)
        apart = loss.weigh(np.einsum("mqb,mqb->mb", A, log_a - log_p), V)
        lost = loss.weigh(-loss.given(log_p, block.labels), V)
        self.residuals[:, block.start : block.stop] = loss.residual(A, block.labels, V)[0]
        return lost, apart


@dataclass(frozen=True, slots=True, eq=False)
class DualBias:
    """The residual (q,) of model j at tilted dual probabilities, and with `curvature` that in the bias (q, q)."""

    state: StackState
    j: int
    log_alpha: Array
    tilt: Array
    curvature: bool

    def evaluate(self, block: Block) -> Sums:
        """Return the sums of one block."""
        V = of_one(self.state.weights(block), self.j)
        o = tilted_log_alpha(self.log_alpha, block, self.tilt)[None]
        if self.curvature:
            r, K = loss.bias_sums(o, block.labels, V)
            return r[0], K[0]
        return (loss.residual(np.exp(o), block.labels, V)[0].sum(axis=1),)


def tilted_log_alpha(log_alpha: Array, block: Block, tilt: Array) -> Array:
    """Return logarithms (q, b) of a block's dual probabilities in float64, tilted by (q,) and summing to 1."""
    log_a = log_alpha[block.start : block.stop].T.astype(np.float64, order="C")
    log_a += tilt[:, None]
    return np.asarray(log_a - loss.probabilities(log_a[None])[1])


def prove(
    objective: Objective,
    j: int,
    one: DualIterate,
    held_out: HeldOutRows | None = None,
    room: BufferPool | None = None,
) -> tuple[float, float]:
    """Value and certified gap of one model where its climb is, from one pass over the rows.

    The log-probabilities of the rows held out are written to `held_out`.
    """
    rows, b, strength = objective.rows, one.bias, float(objective.penalty.strong_convexity[j])
    prepared, tilt = rows.prepare(one.dual.W.T), _tilt(objective, j, one)
    R = np.empty((objective.q, rows.n), rows.dtype)

    reduction = DualGap(objective.state, j, prepared, b, one.dual.log_alpha, tilt, R, held_out)
    (lost,), (apart,) = rows.sum(reduction)
    slack = (room or one.room)("slack", rows.dtype)  # N strength (W - W(alpha)): 0, but for rounding and momentum
    np.multiply(one.dual.W, rows.dtype.type(one.mass * strength), out=slack)
    rows.add_transposed(R, slack)
    value = lost / one.mass + strength / 2 * inner(one.dual.W, one.dual.W)
    gap = (apart + inner(slack, slack) / (2 * strength * one.mass)) / one.mass
    return float(value), float(gap) if np.isfinite(gap) else np.inf


def _tilt(objective: Objective, j: int, one: DualIterate) -> Array:
    """The tilt (q,) of the dual probabilities at which their mean is that of the labels, by Newton's method.

    It is small, so one curvature serves until a step no longer shrinks what is left tenfold.
    """
    tilt, least = np.zeros(objective.q), np.inf
    K: Any = None
    if not objective.fit_intercept:
        return tilt

    for _ in range(20):
        r, *bent = objective.rows.sum(DualBias(objective.state, j, one.dual.log_alpha, tilt, K is None))
        K = bent[0] if bent else K
        left = float(np.abs(r).max())
        if left <= 1e-13 * one.mass:
            return tilt
        if left > least / 10:
            K, least = None, np.inf
            continue
        least = left
        tilt = tilt - np.linalg.lstsq(K, r, rcond=1e-10)[0]
    return np.full(objective.q, np.nan)  # proves nothing
