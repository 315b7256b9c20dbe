"""One model on its way up the dual: its start, its sweeps over the rows, and the momentum that weak penalties need.

A sweep shrinks the gap by a factor that depends on the mean curvature `c = ||x||^2 / (N strength)` of a row's step: at
c = 5 by a half, at c = 500 hardly at all, because the rows then undo each other's steps. So where c is large, the
objective is made easier by a pull towards an anchor Z,

    F(W) + kappa / 2 ||W - Z||^2,

with kappa such that c becomes `EASY`. Its dual has the same steps, with strength + kappa in place of the strength.
Every other sweep the anchor moves on to `W + beta (W - W_before)`, as far as Nesterov's momentum allows for a strong
convexity of `strength / (strength + kappa)`: the sweeps then grow with the root of c. The gap of F itself is

    F(W) - D(alpha) = (1/N) sum_i v_i KL(alpha_i || softmax(o_i)) + kappa^2 / (2 strength) ||W - Z||^2.

Shalev-Shwartz and Zhang (2014), Accelerated proximal stochastic dual coordinate ascent; Lin, Mairal and Harchaoui
(2015), A universal catalyst for first-order optimization; O'Donoghue and Candes (2015), Adaptive restart for
accelerated gradient schemes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.optimize.dual.acceleration import BufferPool, Momentum, inner, runs
from softreg.optimize.objective.cached import Objective
from softreg.optimize.objective.stack_state import StackState
from softreg.probability import blocks as loss
from softreg.rows import Array, BackendArray, Block, Dual, Rows
from softreg.rows.reductions import HasNoWeights

REACH = 0.05
"""Square of the constant column, as a share of the rows' mean ||x||^2: long ones slow the rows, short ones the bias."""
LITTLE, EVERY = 0.3, 4
"""Rows whose part of the gap is below this share of the mean are visited in every fourth sweep only."""
EASY = 14.0
"""Mean curvature of a row's step above which momentum helps, and with it."""
ROUND = 2
"""Sweeps between two moves of the anchor."""
SOME = 500
"""So many rows tell how far to go towards the start."""


@dataclass
class DualIterate:
    """One model on its way; `counted` are the rows that have a weight."""

    weights: Array | None
    mass: float
    counted: Array
    dual: Dual
    momentum: Momentum | None
    random: np.random.Generator
    room: BufferPool
    gaps: list[float]
    """The estimate after each sweep."""
    visits: int = 0

    @property
    def bias(self) -> Array:
        """The bias (q,)."""
        return np.asarray(self.dual.bias + self.dual.reach * self.dual.pull, dtype=np.float64)

    def sweep(self, rows: Rows) -> float:
        """A step for each row that has something left to gain, and for some that have little; returns the gap."""
        dual, at, done = self.dual, self.counted, len(self.gaps)
        moved = self.momentum is not None and done > 0 and done % ROUND == 0
        if self.momentum is not None and moved:
            self.momentum.take_step(dual.W)
        if done > 1:
            part = self._parts()
            at = at[(part >= LITTLE * part.mean()) | (at % EVERY == done % EVERY)]
        self.visits += len(at)
        rows.dual_steps(self.random.permutation(at), dual)
        dual.bias[:] += dual.reach * dual.pull
        far = 0.0
        if self.momentum is not None:
            if not moved:  # just after a move, it is about what it was before
                self.momentum.look(dual.W)
            far = self.momentum.gap
        self.gaps.append(float(self._parts().sum(dtype=np.float64)) / self.mass + far)
        return self.gaps[-1]

    def _parts(self) -> Array:
        """What each counted row has of the gap, times the mass."""
        part = self.dual.divergence[self.counted]
        return part if self.weights is None else part * self.weights[self.counted]


def begin(
    objective: Objective,
    j: int,
    labels: Array,
    squares: Array,
    seed: int,
    start: tuple[Array, Array] | None = None,
    room: BufferPool | None = None,
    W: Array | None = None,
) -> DualIterate:
    """Model j of a stack at its start: weights W (d, q) and bias b (q,), or probabilities near the class rates.

    The climb uses `room`, and its weights are written to `W` (d, q), in float32; without them it takes memory anew.
    """
    weights = row_weights(objective, j)
    counted = np.arange(len(labels)) if weights is None else np.flatnonzero(weights)
    mass, strength = float(objective.mass[j]), float(objective.penalty.strong_convexity[j])
    mean = float(squares.mean() if weights is None else squares @ weights / mass)
    kappa = max(0.0, mean / (mass * EASY) - strength)
    rate = 1 / (mass * (strength + kappa))
    reach = float(np.sqrt(REACH * mean)) if objective.fit_intercept else 0.0
    room = BufferPool(objective.rows.d, objective.q) if room is None else room
    W = np.empty(room.shape, np.float32) if W is None else W
    if start is None:
        bias, mismatch, log_alpha = _from_rates(objective, j, labels, weights, W)
        anchor = W
    else:
        bias, mismatch, log_alpha = _from_weights(objective, j, labels, weights, kappa, start, W)
        anchor = start[0]
    pull = reach * rate * mismatch
    dual = Dual(
        W=W,
        bias=(bias if start is None else bias - reach * pull).astype(np.float32),
        pull=pull.astype(np.float32),
        log_alpha=np.ascontiguousarray(log_alpha),
        curvature=(rate * (squares + reach**2)).astype(np.float32),
        weights=None if weights is None else weights.astype(np.float32),
        divergence=np.zeros(len(labels), np.float32),
        reach=reach,
        rate=rate,
    )
    momentum = None
    if kappa > 0:
        np.copyto(room("anchor"), anchor, casting="same_kind")
        momentum = Momentum(strength, kappa, W, room("anchor"), room("last"))
    return DualIterate(weights, mass, counted, dual, momentum, np.random.default_rng(seed), room, [])


Start = tuple[Array, Array, Array]
"""Bias (q,), `sum_i v_i (Y_i - alpha_i)` (q,) and log alpha (n, q)."""


def _from_rates(objective: Objective, j: int, labels: Array, weights: Array | None, W: Array) -> Start:
    """Probabilities on the straight way from the labels to the class rates, as far along as is best; W becomes theirs.

    All rows going this way together, the weights grow in proportion.
    """
    mass, strength, q = float(objective.mass[j]), float(objective.penalty.strong_convexity[j]), objective.q
    rates = _rates(labels, weights, q)
    prior = (1 - 1e-6) * rates + 1e-6 / q  # a class may have no weight at all
    _say(objective, labels, weights, np.repeat(prior.astype(np.float32)[:, None], len(labels), axis=1), W)
    share = _how_far(rates, prior, inner(W, W) / (mass * mass * strength))
    if labels.ndim == 1:
        log_alpha = np.log(share * prior + (1 - share) * np.eye(q)).astype(np.float32)[labels]
    else:
        log_alpha = np.log(share * prior + (1 - share) * labels).astype(np.float32)
    W *= np.float32(share / (mass * strength))
    return np.log(prior) if objective.fit_intercept else np.zeros(q), mass * share * (rates - prior), log_alpha


def _from_weights(
    objective: Objective,
    j: int,
    labels: Array,
    weights: Array | None,
    kappa: float,
    start: tuple[Array, Array],
    W: Array,
) -> Start:
    """The probabilities that weights V and bias b predict, moved towards the labels as far as is best; W becomes
    theirs."""
    V, b = start[0], np.asarray(start[1], dtype=np.float64)
    mass, total = float(objective.mass[j]), float(objective.penalty.strong_convexity[j]) + kappa
    prepared = objective.rows.prepare(V.T)

    log_p = objective.rows.map(LogProbabilities(prepared, b))
    P = np.exp(log_p.T, order="C")
    mean = P.mean(axis=1, dtype=np.float64) if weights is None else P @ weights / weights.sum()
    _say(objective, labels, weights, P, W)
    linear = kappa / (total * mass) * inner(W, V) if kappa > 0 else 0.0
    share = _how_far_on(log_p, labels, weights, linear, inner(W, W) / (mass * mass * total))
    W *= np.float32(share / (mass * total))
    for at in runs(W) if kappa > 0 else ():
        W[at] += np.float32(kappa / total) * V[at]
    return b, share * mass * (_rates(labels, weights, objective.q) - mean), _mixed(log_p, labels, share)


@dataclass(frozen=True, slots=True, eq=False)
class LogProbabilities:
    """The logarithms (n, q) of the probabilities of one model, in float32, from prepared weights and bias (q,)."""

    prepared: BackendArray
    bias: Array

    def evaluate(self, block: Block) -> Array:
        """Return the logarithms for one block."""
        o = block.times(self.prepared)
        o += self.bias[:, None]
        return np.ascontiguousarray((o - loss.probabilities(o[None])[1]).T, dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class WeightsOfMember:
    """The row weights (n,) of model j of a stack, in float64."""

    state: StackState
    j: int

    def evaluate(self, block: Block) -> Array:
        """Return the weights of one block."""
        V = self.state.weights(block)
        return np.ones(block.stop - block.start) if V is None else np.asarray(V[self.j % len(V)], dtype=np.float64)


def row_weights(objective: Objective, j: int) -> Array | None:
    """The row weights (n,) of one model."""

    if objective.rows.map(HasNoWeights()).all():
        return None
    return objective.rows.map(WeightsOfMember(objective.state, j))


def of_one(V: Array | None, j: int) -> Array | None:
    """The weights (1, b) of model j among those of a stack."""
    return None if V is None else V[[j % len(V)]]


def _rates(labels: Array, weights: Array | None, q: int) -> Array:
    """The weighted share of each class, (q,)."""
    if labels.ndim == 1:
        sums = np.bincount(labels, weights=weights, minlength=q)
    else:
        sums = labels.sum(axis=0) if weights is None else weights @ labels
    return np.asarray(sums / sums.sum())


def _say(objective: Objective, labels: Array, weights: Array | None, alpha: Array, W: Array) -> None:
    """`sum_i v_i (Y_i - alpha_i) x_i^T` to W (d, q), for alpha (q, n) in float32, which is written over."""
    R = loss.residual(alpha[None], labels, None if weights is None else weights[None])[0]
    np.negative(R, out=R)
    W.fill(0)
    objective.rows.add_transposed(R, W)


def _how_far(rates: Array, prior: Array, whole: float) -> float:
    """The share s at which `H((1 - s) Y + s prior) - s^2 whole / 2` is largest, for hard labels of these rates."""
    share = 10.0 ** np.linspace(-8, 0, 161)[:, None, None]
    alpha = share * prior + (1 - share) * np.eye(len(prior))
    entropy = -np.einsum("k,skc,skc->s", rates, alpha, np.log(alpha))
    return float(share.ravel()[np.argmax(entropy - share.ravel() ** 2 * whole / 2)])


def _how_far_on(log_p: Array, labels: Array, weights: Array | None, linear: float, square: float) -> float:
    """The share s at which the mean of `H((1 - s) Y + s p)`, less `s linear + s^2 square / 2`, is largest.

    Asked of some five hundred rows.
    """
    some = np.arange(0, len(log_p), max(1, len(log_p) // SOME))
    v = np.ones(len(some)) if weights is None else weights[some]
    shares = 10.0 ** np.linspace(-3, 0, 31)
    values = []
    for s in shares:
        log_a = _mixed(log_p[some], labels[some], s)
        entropy = -np.einsum("iq,iq->i", np.exp(log_a), np.maximum(log_a, -100.0))
        values.append(float(v @ entropy) / max(float(v.sum()), 1e-300) - s * linear - s * s * square / 2)
    return float(shares[int(np.argmax(values))])


def _mixed(log_p: Array, labels: Array, share: float) -> Array:
    """`log((1 - share) Y + share p)`, (n, q), from log p."""
    with np.errstate(divide="ignore"):
        log_a, rest = log_p + np.float32(np.log(share)), np.float32(np.log1p(-share))
        if labels.ndim == 2:
            return np.asarray(np.logaddexp(log_a, rest + np.log(labels)), dtype=np.float32)
        at = np.arange(len(labels))
        log_a[at, labels] = np.logaddexp(log_a[at, labels], rest)
        return log_a
