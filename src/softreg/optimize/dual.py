"""The dual problem, climbed one row at a time: where rows are sparse and few of them share a column, the quickest way.

Maximum-entropy duality: the minimum of mean cross-entropy + strength / 2 ||W||^2 is the maximum of

    D(alpha) = (1/N) sum_i v_i H(alpha_i) - strength / 2 ||W(alpha)||^2,
    W(alpha) = sum_i v_i (Y_i - alpha_i) x_i^T / (N strength),

over probabilities alpha_i of each row with `sum_i v_i (Y_i - alpha_i) = 0` for the unpenalised bias. A step makes one
row's alpha_i the best while the others stay, and W follows at once: a sweep over the rows costs as much as a pass and
gains more than one, because each row already knows what those before it have learned. At any time

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

from softreg.optimize.objective import Objective
from softreg.optimize.solution import Progress
from softreg.probability import blocks as loss
from softreg.rows import Array, Block, Dual, Sums, in_order

REACH = 0.05
"""Square of the constant column, as a share of the rows' mean ||x||^2: long ones slow the rows, short ones the bias."""
LITTLE, EVERY = 0.2, 3
"""Rows whose part of the gap is below this share of the mean are visited in every third sweep only."""
PATIENCE = 6
"""After so many sweeps their pace is asked for."""
SINGLE = 1e-7
"""Float32 steps come no nearer than about this, in nats."""
ROUNDS = 3
"""Proofs tried before the climb is left to others."""


@dataclass
class Climb:
    """One model on its way."""

    weights: Array | None
    mass: float
    dual: Dual
    random: np.random.Generator
    gaps: list[float]
    """The estimate after each sweep."""
    visits: int = 0


@dataclass(frozen=True)
class Summit:
    """How far a stack of models has come: parameters (m, q, d + 1), values, proved gaps and sweeps (m,) of each."""

    theta: Array
    value: Array
    gap: Array
    sweeps: Array
    history: tuple[Progress, ...]


def climb(
    objective: Objective, tol: float, seed: int = 0, on_progress: Callable[[Progress], Any] | None = None
) -> Summit | None:
    """Parameters near the optimum with certified gaps, or None where this is not the way.

    It is not where a penalty has no l2 or an l1 part, where single rows are not at hand or their steps are not
    compiled, and where sweeps would cost more than L-BFGS.
    """
    penalty, began = objective.penalty, perf_counter()
    squares = objective.rows.row_squares()
    if squares is None or penalty.l1.any() or not (penalty.l2 > 0).all():
        return None
    budgets = [_budget(objective, j, squares) for j in range(objective.m)]
    if min(budgets) <= 0:
        return None
    labels = objective.rows.map(lambda block: block.labels)
    climbs = [_start(objective, j, labels, squares, seed) for j in range(objective.m)]
    history: list[Progress] = []
    for target in max(tol / 2, SINGLE) / 4.0 ** np.arange(ROUNDS):
        work = list(zip(climbs, budgets, strict=True))
        going = list(in_order(partial(_sweeps, objective, target), work))
        if not all(going):
            objective.half_passes += round(2 * max(one.visits for one in climbs) / objective.rows.n)
            return None
        W, b = np.stack([one.dual.W.T for one in climbs]).astype(np.float64), np.stack([_bias(one) for one in climbs])
        value, gap = _prove(objective, W, b, climbs)
        passes = objective.passes + round(max(one.visits for one in climbs) / objective.rows.n)
        history.append(Progress(passes, float(value.max()), float(gap.max()), perf_counter() - began))
        if on_progress is not None:
            on_progress(history[-1])
        if (gap <= tol).all() or target < SINGLE:
            break
    objective.half_passes += round(2 * max(one.visits for one in climbs) / objective.rows.n)
    sweeps = np.array([len(one.gaps) for one in climbs])
    return Summit(objective.coordinates.from_user(W, b), value, gap, sweeps, tuple(history))


def _budget(objective: Objective, j: int, squares: Array) -> float:
    """Passes that L-BFGS would take, in visits of all rows; 0 where the climb is expected to take more.

    Both counts were measured on text, one-hot columns and pixels at strengths from 1e-2 to 1e-7: about `5 + 15 sqrt(c)`
    and `6 + 1.2 c` for the mean curvature c of a row's step. So were the nanoseconds: a visit costs some for each
    stored number and class and some for itself; an iteration of L-BFGS sweeps seventy times over as many numbers as
    there are parameters, and shares its passes among threads.
    """
    rows, q = objective.rows, objective.q
    c = float(squares.mean() / (objective.penalty.l2[j] * rows.n))
    visits = 0.25 * rows.stored * q + rows.n * (150.0 + 8 * q)
    iteration = 0.3 * rows.stored * q + 2.5 * rows.n * q + 70.0 * rows.d * q
    budget = (5 + 15 * np.sqrt(c)) * iteration / visits
    return float(budget) if 1.5 * (6 + 1.2 * c) < budget else 0.0


def _start(objective: Objective, j: int, labels: Array, squares: Array, seed: int) -> Climb:
    """Probabilities on the straight way from the labels to the class rates, as far along as is best; their weights.

    All rows going this way together, the weights grow in proportion.
    """
    weights = _weights(objective, j)
    mass, strength, q = float(objective.mass[j]), float(objective.penalty.l2[j]), objective.q
    rates = _rates(labels, weights, q)
    prior = (1 - 1e-6) * rates + 1e-6 / q  # a class may have no weight at all
    rate = 1 / (mass * strength)
    W = _all_the_way(objective, j, prior) * rate
    whole = strength * float(np.vdot(W, W))
    share = _how_far(rates, prior, whole)
    log_alpha = np.log(share * prior + (1 - share) * np.eye(q)).astype(np.float32)[labels] if labels.ndim == 1 else None
    if log_alpha is None:
        log_alpha = np.log(share * prior + (1 - share) * labels).astype(np.float32)
    mean = float(squares.mean() if weights is None else squares @ weights / mass)
    reach = float(np.sqrt(REACH * mean)) if objective.fit_intercept else 0.0
    dual = Dual(
        W=np.multiply(W, share, dtype=np.float32, casting="same_kind"),
        bias=(np.log(prior) if objective.fit_intercept else np.zeros(q)).astype(np.float32),
        pull=(share * reach / strength * (rates - prior)).astype(np.float32),
        log_alpha=log_alpha,
        curvature=(rate * (squares + reach**2)).astype(np.float32),
        weights=None if weights is None else weights.astype(np.float32),
        divergence=np.zeros(len(labels), np.float32),
        reach=reach,
        rate=rate,
    )
    return Climb(weights, mass, dual, np.random.default_rng(seed), [])


def _weights(objective: Objective, j: int) -> Array | None:
    """The row weights (n,) of one model."""

    def part(block: Block) -> Array:
        V = objective.weights(block)
        return np.ones(block.stop - block.start) if V is None else np.asarray(V[j % len(V)], dtype=np.float64)

    unweighted = objective.rows.map(lambda block: np.array([block.weights is None]))
    return None if unweighted.all() else objective.rows.map(part)


def _rates(labels: Array, weights: Array | None, q: int) -> Array:
    """The weighted share of each class, (q,)."""
    if labels.ndim == 1:
        sums = np.bincount(labels, weights=weights, minlength=q)
    else:
        sums = labels.sum(axis=0) if weights is None else weights @ labels
    return np.asarray(sums / sums.sum())


def _all_the_way(objective: Objective, j: int, prior: Array) -> Array:
    """`sum_i v_i (Y_i - prior) x_i^T`, (d, q)."""

    def part(block: Block) -> Sums:
        V = objective.weights(block)
        P = np.repeat(prior.astype(np.float32)[None, :, None], block.stop - block.start, axis=2)
        return (block.transposed_times(loss.residual(P, block.labels, None if V is None else V[[j % len(V)]])[0]),)

    return np.asarray(-objective.rows.sum(part)[0].T)


def _how_far(rates: Array, prior: Array, whole: float) -> float:
    """The share s at which `H((1 - s) Y + s prior) - s^2 whole / 2` is largest, for hard labels of these rates."""
    share = 10.0 ** np.linspace(-8, 0, 161)[:, None, None]
    alpha = share * prior + (1 - share) * np.eye(len(prior))
    entropy = -np.einsum("k,skc,skc->s", rates, alpha, np.log(alpha))
    return float(share.ravel()[np.argmax(entropy - share.ravel() ** 2 * whole / 2)])


def _bias(one: Climb) -> Array:
    return np.asarray(one.dual.bias + one.dual.reach * one.dual.pull, dtype=np.float64)


def _sweeps(objective: Objective, target: float, work: tuple[Climb, float]) -> bool:
    """Sweep until the estimated gap is below the target; False where that would take too long, or overflows."""
    (one, budget), n = work, objective.rows.n
    dual = one.dual
    while not one.gaps or one.gaps[-1] > target:
        part = dual.divergence if one.weights is None else dual.divergence * one.weights
        some = (part >= LITTLE * part.mean()) | (np.arange(n) % EVERY == len(one.gaps) % EVERY)
        order = one.random.permutation(np.flatnonzero(some) if len(one.gaps) > 1 else n)
        one.visits += len(order)
        objective.rows.dual_steps(order, dual)
        dual.bias[:] += dual.reach * dual.pull
        part = dual.divergence if one.weights is None else dual.divergence * one.weights
        one.gaps.append(float(part.sum(dtype=np.float64)) / one.mass)
        if not np.isfinite(one.gaps[-1]) or (len(one.gaps) >= PATIENCE and _hopeless(one, budget * n, target)):
            return False
    return True


def _hopeless(one: Climb, most: float, target: float) -> bool:
    """Whether at today's pace there would be more visits than `most`."""
    half = len(one.gaps) // 2
    pace = np.log(max(one.gaps[half - 1], 1e-300) / max(one.gaps[-1], 1e-300)) / (len(one.gaps) - half)
    todo = np.log(max(one.gaps[-1], target) / target) / max(pace, 1e-300)
    return bool(one.visits * (1 + todo / len(one.gaps)) > most)


def _prove(objective: Objective, W: Array, b: Array, climbs: list[Climb]) -> tuple[Array, Array]:
    """Values and certified gaps (m,) at weights W (m, q, d) and bias b (m, q), from one pass over the rows."""
    rows, (m, q, d) = objective.rows, W.shape
    prepared = rows.prepare(W.reshape(m * q, d))
    tilts = [_tilt(objective, j, one) for j, one in enumerate(climbs)]
    objective.half_passes += 2

    def part(block: Block) -> Sums:
        o = block.times(prepared).reshape(m, q, -1) + b[:, :, None]
        log_p = o - loss.probabilities(o)[1][:, None]
        log_a = np.stack([_log_alpha(one, block, tilt) for one, tilt in zip(climbs, tilts, strict=True)])
        A, V = np.exp(log_a), objective.weights(block)
        apart = loss.weigh(np.einsum("mqb,mqb->mb", A, log_a - log_p), V)
        lost = loss.weigh(-loss.given(log_p, block.labels), V)
        R = loss.residual(A, block.labels, V).reshape(m * q, -1).astype(rows.dtype, copy=False)
        return lost, apart, block.transposed_times(R)

    lost, apart, G = rows.sum(part)
    G = G.reshape(m, q, d) / objective.mass[:, None, None]
    value = lost / objective.mass + objective.penalty.value(W)
    gap = apart / objective.mass + objective.penalty.fenchel_gap(G, W)
    return value, np.where(np.isfinite(gap), gap, np.inf)


def _log_alpha(one: Climb, block: Block, tilt: Array) -> Array:
    """Logarithms (q, b) of a block's dual probabilities in float64, tilted by (q,) and summing to 1."""
    log_a = one.dual.log_alpha[block.start : block.stop].T.astype(np.float64) + tilt[:, None]
    return np.asarray(log_a - loss.probabilities(log_a[None])[1])


def _tilt(objective: Objective, j: int, one: Climb) -> Array:
    """The tilt (q,) of the dual probabilities at which their mean is that of the labels, by Newton's method."""
    tilt = np.zeros(objective.q)
    if not objective.fit_intercept:
        return tilt

    def part(block: Block) -> Sums:
        V = objective.weights(block)
        sums = loss.bias_sums(_log_alpha(one, block, tilt)[None], block.labels, None if V is None else V[[j % len(V)]])
        return sums[0][0], sums[1][0]

    for _ in range(10):
        r, K = objective.rows.sum(part)
        if np.abs(r).max() <= 1e-13 * one.mass:
            return tilt
        tilt = tilt - np.linalg.lstsq(K, r, rcond=1e-10)[0]
    return np.full(objective.q, np.nan)  # proves nothing
