"""The iterate of dual coordinate ascent for one model: its start, its sweeps over the rows, and its acceleration.

A sweep shrinks the gap by a factor that depends on the mean curvature `c = ||x||^2 / (N strength)` of a row's step: at
c = 5 by a half, at c = 500 hardly at all, because the steps of the rows then undo each other. Where c is large, a
proximal term with an anchor Z is added to the objective,

    F(W) + kappa / 2 ||W - Z||^2,

with kappa such that c becomes `MAX_PLAIN_CURVATURE`. Its dual has the same steps, with strength + kappa in place of the
strength. Every other sweep the anchor moves to `W + beta (W - W_before)`, with Nesterov's beta for a strong convexity
of `strength / (strength + kappa)`: the number of sweeps then grows with the root of c. The gap of F itself is

    F(W) - D(alpha) = (1/N) sum_i v_i KL(alpha_i || softmax(o_i)) + kappa^2 / (2 strength) ||W - Z||^2.

References
----------
Shalev-Shwartz and Zhang (2014), Accelerated proximal stochastic dual coordinate ascent.
Lin, Mairal and Harchaoui (2015), A universal catalyst for first-order optimization.
O'Donoghue and Candes (2015), Adaptive restart for accelerated gradient schemes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from softreg.linalg import TINY
from softreg.optimize.dual.acceleration import Momentum, inner_product, row_runs
from softreg.optimize.dual.buffer_pool import BufferPool
from softreg.optimize.dual.dual_reductions import LogProbabilities, WeightsOfModel
from softreg.optimize.objective.cached_logits import Objective
from softreg.probability import block_loss as loss
from softreg.rows import Dual, Rows
from softreg.rows.column_statistics import HasNoWeights
from softreg.typing import Array, Float64Array, FloatArray, IntArray

BIAS_COLUMN_SHARE = 0.05
"""Square of the constant column for the bias, as a share of the rows' mean ||x||^2: a large one slows the rows, a small
one the bias."""
SMALL_SHARE, SMALL_SHARE_PERIOD = 0.3, 4
"""Rows whose part of the gap is below this share of the mean are visited once in so many sweeps."""
MAX_PLAIN_CURVATURE = 14.0
"""Mean curvature of a row's step above which acceleration is used, and its value with it."""
SWEEPS_PER_MOVE = 2
"""Sweeps between two moves of the anchor."""
START_ROWS = 500
"""Rows from which the best share of a start is computed."""
MIN_RATE = 1e-6
"""Probability spread over all classes in a start: a class may have no weight."""
LOG10_SHARES_OF_RATES = np.linspace(-8, 0, 161)
"""Logarithms of the shares that are compared for a start from class rates."""
LOG10_SHARES_OF_PREDICTION = np.linspace(-3, 0, 31)
"""Logarithms of the shares that are compared for a start from weights."""
MIN_LOG_ALPHA = -100.0
"""Log-probability below which a term of the entropy is 0 in float64."""


@dataclass
class DualIterate:
    """The dual variables of one model and the estimated gaps of its sweeps."""

    weights: Float64Array | None
    """Row weights (n,), or None for ones."""
    mass: float
    """Sum of the row weights."""
    counted: IntArray
    """Rows with a weight other than 0."""
    dual: Dual
    momentum: Momentum | None
    random: np.random.Generator
    buffers: BufferPool
    gaps: list[float]
    """Estimated gap in nats after each sweep."""
    visits: int = 0
    """Steps of single rows so far."""

    @property
    def bias(self) -> Float64Array:
        """The bias (q,)."""
        return np.asarray(self.dual.bias + self.dual.bias_scale * self.dual.bias_weights, dtype=np.float64)

    def sweep(self, rows: Rows) -> float:
        """Take a step for each row with a large part of the gap and for some of the others; return the gap."""
        dual, visited, sweeps = self.dual, self.counted, len(self.gaps)
        moves = self.momentum is not None and sweeps > 0 and sweeps % SWEEPS_PER_MOVE == 0
        if self.momentum is not None and moves:
            self.momentum.move_anchor(dual.W)
        if sweeps > 1:
            parts = self._gap_parts()
            due = visited % SMALL_SHARE_PERIOD == sweeps % SMALL_SHARE_PERIOD
            visited = visited[(parts >= SMALL_SHARE * parts.mean()) | due]
        self.visits += len(visited)
        rows.dual_steps(self.random.permutation(visited), dual)
        dual.bias[:] += dual.bias_scale * dual.bias_weights
        anchor_gap = 0.0
        if self.momentum is not None:
            if not moves:  # just after a move, it is about what it was before
                self.momentum.measure(dual.W)
            anchor_gap = self.momentum.gap
        self.gaps.append(float(self._gap_parts().sum(dtype=np.float64)) / self.mass + anchor_gap)
        return self.gaps[-1]

    def _gap_parts(self) -> FloatArray:
        """Return each counted row's part of the gap, times the mass."""
        parts: FloatArray = self.dual.divergence[self.counted]
        return parts if self.weights is None else parts * self.weights[self.counted]


def initial_iterate(
    objective: Objective,
    j: int,
    labels: Array,
    squares: FloatArray,
    seed: int,
    start: tuple[FloatArray, FloatArray] | None = None,
    *,
    buffers: BufferPool | None = None,
    W: NDArray[np.float32] | None = None,
) -> DualIterate:
    """Return the start of one model of a stack.

    Parameters
    ----------
    objective
        The objective of the stack.
    j
        Index of the model.
    labels
        Codes (n,) or label probabilities (n, q) of all rows.
    squares
        `||x||^2` (n,) of each row.
    seed
        Seed of the order of the rows.
    start
        Weights (d, q) and bias (q,) of the user's columns; None starts from probabilities near the class rates.
    buffers
        Arrays that the iterate uses; None allocates them.
    W
        Array (d, q) to which the weights are written; None allocates it.

    Returns
    -------
    DualIterate
        The iterate before its first sweep.
    """
    weights = row_weights(objective, j)
    counted = np.arange(len(labels)) if weights is None else np.flatnonzero(weights)
    mass, strength = float(objective.mass[j]), float(objective.penalty.strong_convexity[j])
    mean_square = float(squares.mean() if weights is None else squares @ weights / mass)
    mean_weight = mass / max(1, len(counted))
    kappa = max(0.0, mean_weight * mean_square / (mass * MAX_PLAIN_CURVATURE) - strength)
    rate = 1 / (mass * (strength + kappa))
    bias_column = float(np.sqrt(BIAS_COLUMN_SHARE * mean_square)) if objective.fit_intercept else 0.0
    buffers = BufferPool(objective.rows.d, objective.q) if buffers is None else buffers
    W = np.empty(buffers.shape, np.float32) if W is None else W
    if start is None:
        first, anchor = _start_from_rates(objective, j, labels, weights, W), W
        bias_weights = bias_column * rate * first.mismatch
        bias = first.bias
    else:
        first, anchor = _start_from_weights(objective, j, labels, weights, kappa, start, W), start[0]
        bias_weights = bias_column * rate * first.mismatch
        bias = first.bias - bias_column * bias_weights
    dual = Dual(
        W=W,
        bias=bias.astype(np.float32),
        bias_weights=bias_weights.astype(np.float32),
        log_alpha=np.ascontiguousarray(first.log_alpha),
        curvature=(rate * (squares + bias_column**2)).astype(np.float32),
        weights=None if weights is None else weights.astype(np.float32),
        divergence=np.zeros(len(labels), np.float32),
        bias_scale=bias_column,
        rate=rate,
    )
    momentum = None
    if kappa > 0:
        np.copyto(buffers.anchor, anchor, casting="same_kind")
        momentum = Momentum(strength, kappa, W, buffers.anchor, buffers.previous)
    return DualIterate(weights, mass, counted, dual, momentum, np.random.default_rng(seed), buffers, [])


@dataclass(frozen=True)
class DualStart:
    """A start; its weights are written to an array of the caller."""

    bias: Float64Array
    """Bias (q,)."""
    mismatch: Float64Array
    """`sum_i v_i (Y_i - alpha_i)` (q,)."""
    log_alpha: FloatArray
    """Logarithms (n, q) of the dual probabilities."""


def _start_from_rates(
    objective: Objective, j: int, labels: Array, weights: Float64Array | None, W: NDArray[np.float32]
) -> DualStart:
    """Return probabilities on the segment from the labels to the class rates, at the largest dual objective.

    As all rows move together, the weights, which are written to W, grow in proportion to the share.

    Returns
    -------
    DualStart
        Bias, mismatch and dual probabilities.
    """
    mass, strength, q = float(objective.mass[j]), float(objective.penalty.strong_convexity[j]), objective.q
    rates = _class_rates(labels, weights, q)
    prior = (1 - MIN_RATE) * rates + MIN_RATE / q
    alpha = np.repeat(prior.astype(np.float32)[:, None], len(labels), axis=1)
    _write_residual_sums(objective, labels, weights, alpha, W)
    share = _best_share_of_rates(rates, prior, inner_product(W, W) / (mass * mass * strength))
    if labels.ndim == 1:
        log_alpha = np.log(share * prior + (1 - share) * np.eye(q)).astype(np.float32)[labels]
    else:
        log_alpha = np.log(share * prior + (1 - share) * labels).astype(np.float32)
    W *= np.float32(share / (mass * strength))
    bias = np.log(prior) if objective.fit_intercept else np.zeros(q)
    return DualStart(bias, mass * share * (rates - prior), log_alpha)


def _start_from_weights(
    objective: Objective,
    j: int,
    labels: Array,
    weights: Float64Array | None,
    kappa: float,
    start: tuple[FloatArray, FloatArray],
    W: NDArray[np.float32],
) -> DualStart:
    """Return the probabilities predicted by weights V and bias b, mixed with the labels at the largest dual objective.

    The weights of these dual probabilities are written to W.

    Returns
    -------
    DualStart
        Bias, mismatch and dual probabilities.
    """
    V, b = start[0], np.asarray(start[1], dtype=np.float64)
    mass, total = float(objective.mass[j]), float(objective.penalty.strong_convexity[j]) + kappa
    prepared = objective.rows.prepare(V.T)

    log_p = objective.rows.map(LogProbabilities(prepared, b))
    P = np.exp(log_p.T, order="C")
    mean = P.mean(axis=1, dtype=np.float64) if weights is None else P @ weights / weights.sum()
    _write_residual_sums(objective, labels, weights, P, W)
    linear = kappa / (total * mass) * inner_product(W, V) if kappa > 0 else 0.0
    share = best_share_of_prediction(log_p, labels, weights, linear, inner_product(W, W) / (mass * mass * total))
    W *= np.float32(share / (mass * total))
    for run in row_runs(W) if kappa > 0 else ():
        W[run] += np.float32(kappa / total) * V[run]
    mismatch = share * mass * (_class_rates(labels, weights, objective.q) - mean)
    return DualStart(b, mismatch, mixed_log_alpha(log_p, labels, share))


def row_weights(objective: Objective, j: int) -> Float64Array | None:
    """Return the row weights (n,) of one model, None where all are 1."""
    if objective.rows.map(HasNoWeights()).all():
        return None
    return objective.rows.map(WeightsOfModel(objective.state, j))


def _class_rates(labels: Array, weights: Float64Array | None, q: int) -> Float64Array:
    """Return the weighted share of each class, (q,)."""
    if labels.ndim == 1:
        sums: Float64Array = np.bincount(labels, weights=weights, minlength=q).astype(np.float64)
    else:
        sums = labels.sum(axis=0) if weights is None else weights @ labels
    return np.asarray(sums / sums.sum())


def _write_residual_sums(
    objective: Objective,
    labels: Array,
    weights: Float64Array | None,
    alpha: NDArray[np.float32],
    W: NDArray[np.float32],
) -> None:
    """Write `sum_i v_i (Y_i - alpha_i) x_i^T` to W (d, q), for alpha (q, n), which is overwritten."""
    R = loss.residual(alpha[None], labels, None if weights is None else weights[None])[0]
    np.negative(R, out=R)
    W.fill(0)
    objective.rows.add_transposed(R, W)


def _best_share_of_rates(rates: Float64Array, prior: Float64Array, square: float) -> float:
    """Return the share s that maximizes `H((1 - s) Y + s prior) - s^2 square / 2`, for class labels of these rates."""
    share = 10.0 ** LOG10_SHARES_OF_RATES[:, None, None]
    alpha = share * prior + (1 - share) * np.eye(len(prior))
    entropy = -np.einsum("k,skc,skc->s", rates, alpha, np.log(alpha))
    return float(share.ravel()[np.argmax(entropy - share.ravel() ** 2 * square / 2)])


def best_share_of_prediction(
    log_p: FloatArray, labels: Array, weights: Float64Array | None, linear: float, square: float
) -> float:
    """Return the share s that maximizes the mean of `H((1 - s) Y + s p)`, less `s linear + s^2 square / 2`.

    The mean is over about `START_ROWS` rows.

    Returns
    -------
    float
        The share, above 0 and at most 1.
    """
    rows = np.arange(0, len(log_p), max(1, len(log_p) // START_ROWS))
    v = np.ones(len(rows)) if weights is None else weights[rows]
    shares = 10.0**LOG10_SHARES_OF_PREDICTION
    values = []
    for s in shares:
        log_a = mixed_log_alpha(log_p[rows], labels[rows], s)
        entropy = -np.einsum("iq,iq->i", np.exp(log_a), np.maximum(log_a, MIN_LOG_ALPHA))
        values.append(float(v @ entropy) / max(float(v.sum()), TINY) - s * linear - s * s * square / 2)
    return float(shares[int(np.argmax(values))])


def mixed_log_alpha(log_p: FloatArray, labels: Array, share: float) -> FloatArray:
    """Return `log((1 - share) Y + share p)`, (n, q), from log p."""
    with np.errstate(divide="ignore"):
        log_a, rest = log_p + np.float32(np.log(share)), np.float32(np.log1p(-share))
        if labels.ndim == 2:
            return np.asarray(np.logaddexp(log_a, rest + np.log(labels)), dtype=np.float32)
        index = np.arange(len(labels))
        log_a[index, labels] = np.logaddexp(log_a[index, labels], rest)
        return log_a
