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

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

import numpy as np

from softreg.optimize.dual.acceleration import BufferPool, inner
from softreg.optimize.dual.state import DualIterate, begin, of_one
from softreg.optimize.objective.cached import Objective
from softreg.optimize.problem.result import Progress
from softreg.probability import blocks as loss
from softreg.rows import Array, Block, Sums, in_order

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
    budgets: Sequence[float] | None = None,
) -> DualResult | None:
    """Parameters near the optimum with certified gaps, or None where sweeps turn out to cost more than L-BFGS.

    `start` is weights W (m, d, q) and bias (m, q) to begin with, `budgets` the visits of all rows that each model may
    take (None: any number). Rows must have `row_squares`, the penalty an l2 part and no other.
    """
    began, squares = perf_counter(), objective.rows.row_squares()
    assert squares is not None
    most = [np.inf] * objective.m if budgets is None else list(budgets)
    labels, n = objective.rows.map(lambda block: block.labels), objective.rows.n
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


def prove(
    objective: Objective,
    j: int,
    one: DualIterate,
    look: Callable[[Block, Array], Any] | None = None,
    room: BufferPool | None = None,
) -> tuple[float, float]:
    """Value and certified gap of one model where its climb is, from one pass over the rows.

    `look` is shown each block with its log-probabilities (q, b).
    """
    rows, b, strength = objective.rows, one.bias, float(objective.penalty.strong_convexity[j])
    prepared, tilt = rows.prepare(one.dual.W.T), _tilt(objective, j, one)
    R = np.empty((objective.q, rows.n), rows.dtype)

    def part(block: Block) -> Sums:
        o = (block.times(prepared) + b[:, None])[None]
        log_p = o - loss.probabilities(o)[1][:, None]
        if look is not None:
            look(block, log_p[0])
        log_a = _log_alpha(one, block, tilt)[None]
        A, V = np.exp(log_a), of_one(objective.weights(block), j)
        apart = loss.weigh(np.einsum("mqb,mqb->mb", A, log_a - log_p), V)
        lost = loss.weigh(-loss.given(log_p, block.labels), V)
        R[:, block.start : block.stop] = loss.residual(A, block.labels, V)[0]
        return lost, apart

    (lost,), (apart,) = rows.sum(part)
    slack = (room or one.room)("slack", rows.dtype)  # N strength (W - W(alpha)): 0, but for rounding and momentum
    np.multiply(one.dual.W, rows.dtype.type(one.mass * strength), out=slack)
    rows.add_transposed(R, slack)
    value = lost / one.mass + strength / 2 * inner(one.dual.W, one.dual.W)
    gap = (apart + inner(slack, slack) / (2 * strength * one.mass)) / one.mass
    return float(value), float(gap) if np.isfinite(gap) else np.inf


def _log_alpha(one: DualIterate, block: Block, tilt: Array) -> Array:
    """Logarithms (q, b) of a block's dual probabilities in float64, tilted by (q,) and summing to 1."""
    log_a = one.dual.log_alpha[block.start : block.stop].T.astype(np.float64, order="C")
    log_a += tilt[:, None]
    return np.asarray(log_a - loss.probabilities(log_a[None])[1])


def _tilt(objective: Objective, j: int, one: DualIterate) -> Array:
    """The tilt (q,) of the dual probabilities at which their mean is that of the labels, by Newton's method.

    It is small, so one curvature serves until a step no longer shrinks what is left tenfold.
    """
    tilt, least = np.zeros(objective.q), np.inf
    K: Any = None
    if not objective.fit_intercept:
        return tilt

    def part(block: Block, bend: bool) -> Sums:
        V, o = of_one(objective.weights(block), j), _log_alpha(one, block, tilt)[None]
        if bend:
            r, K = loss.bias_sums(o, block.labels, V)
            return r[0], K[0]
        return (loss.residual(np.exp(o), block.labels, V)[0].sum(axis=1),)

    for _ in range(20):
        r, *bent = objective.rows.sum(partial(part, bend=K is None))
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
