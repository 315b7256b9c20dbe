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

The answer is where `Descent` begins: the certificate is its business, and so is what float32 steps leave undone.

Shalev-Shwartz and Zhang (2013), Stochastic dual coordinate ascent; Yu, Huang and Lin (2011), Dual coordinate descent
methods for logistic regression and maximum entropy models; Hestenes (1969), Multiplier and gradient methods.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.optimize.objective import Objective
from softreg.probability import blocks as loss
from softreg.rows import Array, Block, Dual, Sums, in_order

MOST_SHARED = 2000.0
"""Above this the rows pull at the same columns, and what one row learns spoils what others have (see `_start`)."""
REACH = 0.05
"""Square of the constant column, as a share of the rows' mean ||x||^2: long ones slow the rows, short ones the bias."""
LITTLE, EVERY = 0.2, 3
"""Rows whose part of the gap is below this share of the mean are visited in every third sweep only."""
PATIENCE, MOST_SWEEPS = 4, 60
"""The climb is given up where, after this many sweeps, it would take more than so many in all."""
SINGLE = 2e-7
"""Float32 steps come no nearer than this, in nats."""


@dataclass(frozen=True)
class Start:
    """What all sweeps of one model share."""

    weights: Array | None
    mass: float
    strength: float
    dual: Dual


def climb(objective: Objective, tol: float, seed: int = 0) -> tuple[Array, Array] | None:
    """Parameters (m, q, d + 1) near the optimum and estimated gaps (m,), or None where this is not the way.

    It is not where a penalty has no l2 or an l1 part, where single rows are not at hand or their steps are not
    compiled, and where the rows share too much.
    """
    penalty = objective.penalty
    squares = objective.rows.row_squares()
    if squares is None or penalty.l1.any() or not (penalty.l2 > 0).all():
        return None
    labels = objective.rows.map(lambda block: block.labels)
    starts = [_start(objective, j, labels, squares) for j in range(objective.m)]
    if any(start is None for start in starts):
        return None
    found = list(in_order(lambda start: _sweeps(objective, start, tol, seed), [s for s in starts if s is not None]))
    objective.half_passes += round(2 * max(passes for _, _, _, passes in found))
    if not all(np.isfinite(gap) for _, _, gap, _ in found):
        return None
    theta = [objective.coordinates.from_user(W.T[None], b[None])[0] for W, b, _, _ in found]
    return np.stack(theta), np.array([gap for _, _, gap, _ in found])


def _start(objective: Objective, j: int, labels: Array, squares: Array) -> Start | None:
    """Probabilities on the straight way from the labels to the class rates, as far along as is best; their weights.

    All rows going this way together, the weights grow in proportion, and the gap at the end is `strength / 2 ||W||^2`:
    how large that is says how much the rows share.
    """
    weights = _weights(objective, j)
    mass, strength, q = float(objective.mass[j]), float(objective.penalty.l2[j]), objective.q
    rates = _rates(labels, weights, q)
    prior = (1 - 1e-6) * rates + 1e-6 / q  # a class may have no weight at all
    rate = 1 / (mass * strength)
    W = _all_the_way(objective, j, prior) * rate
    whole = strength * float(np.vdot(W, W))
    if not whole <= MOST_SHARED:
        return None
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
    return Start(weights, mass, strength, dual)


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


def _sweeps(objective: Objective, start: Start, tol: float, seed: int) -> tuple[Array, Array, float, float]:
    """Weights (d, q), bias (q,), estimated gap (nan: given up) and passes after as many sweeps as it takes."""
    dual, n = start.dual, objective.rows.n
    random, target = np.random.default_rng(seed), max(tol / 5, SINGLE)
    gaps: list[float] = []
    visits = 0
    for sweep in range(MOST_SWEEPS):
        part = dual.divergence if start.weights is None else dual.divergence * start.weights
        due = (
            (part >= LITTLE * part.mean()) | (np.arange(n) % EVERY == sweep % EVERY) if sweep > 1 else np.ones(n, bool)
        )
        order = random.permutation(np.flatnonzero(due))
        visits += len(order)
        objective.rows.dual_steps(order, dual)
        dual.bias[:] += dual.reach * dual.pull
        part = dual.divergence if start.weights is None else dual.divergence * start.weights
        gaps.append(float(part.sum(dtype=np.float64)) / start.mass)
        if gaps[-1] <= target or not np.isfinite(gaps[-1]):
            break
        if sweep >= PATIENCE and _hopeless(gaps, target):
            gaps[-1] = np.nan
            break
    return dual.W, dual.bias + dual.reach * dual.pull, gaps[-1], visits / n


def _hopeless(gaps: list[float], target: float) -> bool:
    """Whether at today's pace the sweeps would be too many."""
    pace = np.log(gaps[-4] / gaps[-1]) / 3
    return bool(pace <= 0 or len(gaps) + np.log(gaps[-1] / target) / pace > MOST_SWEEPS)
