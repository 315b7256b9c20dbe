"""The duality gap: an upper bound of the distance to the minimum from the maximum-entropy dual problem.

With p = softmax(o), A = (1/N) sum_i V_i x_i (p_i - Y_i)^T and a bias at which sum_i V_i (p_i - Y_i) = 0, every value

    D = (1/N) sum_i V_i H(p_i) - conjugate(-A)

is a lower bound of the minimum: p is a feasible point of the dual problem if its class means of the features equal
those of Y. F - D is then `penalty(W) + conjugate(-A) + <A, W>`, which is evaluated in this form, without subtracting
two numbers that are almost equal.

Columns whose weights have neither a penalty nor bounds are treated as the bias is: a dual point is feasible if their
part of A is zero. Newton steps in these weights and the bias make it zero to rounding before a gap is computed.

Logits with an offset, o_i = W x_i + b + offset_i, have the same gap. The log of the sum of exponentials is the maximum
of `<p, o> + H(p)` over distributions p, so at any parameters and for any p_i

    CE_i >= H(p_i) + <p_i - Y_i, o_i>,   with equality at p_i = softmax(o_i),

and the part of `<p_i - Y_i, o_i>` in the fixed offset belongs to the dual objective:

    D = (1/N) sum_i V_i (H(p_i) + <p_i - Y_i, offset_i>) - conjugate(-A).

The mean of `<p_i - Y_i, W x_i>` is `<A, W>` as before. Where a bound uses other distributions than softmax(o_i), the
difference of the offset term is added there.

References
----------
Berger, Della Pietra and Della Pietra (1996), A maximum entropy approach to natural language processing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from softreg.linalg import TINY, cholesky
from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.objective.hessian import Columns, free_hessians
from softreg.optimize.objective.recomputed_logits import RecomputedObjective
from softreg.optimize.problem.penalty_protocol import Penalty
from softreg.rows import Array
from softreg.typing import BoolArray

BALANCED = 1e-9
"""Largest difference of mean prediction and class rates at which the bias counts as balanced."""
ROUNDING = 4.0
"""Rounding error of a gap that is a difference of two mean losses, in units of `eps * max(1, objective)` with the
precision of the rows: logits are rounded, however small the loss is. The largest error in random problems
(`benchmarks/certificates.py`) is 2."""
MAX_COLUMN_STEPS, MAX_COLUMNS = 5, 8192
"""Largest number of Newton steps in the weights of columns without a penalty, and of columns of the rows: 2,048 rows
are standardised at a time."""
ADDED_DIAGONAL = 1e-9
"""Part of the diagonal that is added to the Hessian of such a step."""
MAX_SHIFT = 0.1
"""Largest change of a logit at which the quadratic bound is valid."""


def loss_gradient(objective: Objective, theta: Array, G: Array) -> tuple[Array, Array]:
    """Return the gradient A of the loss in the user's coordinates and the weights W there, (m, q, d) each."""
    W, _ = objective.user(theta)
    return G[..., :-1] * objective.coordinates.scale - objective.penalty.smooth_gradient(W), W


def dual_estimate(objective: Objective, theta: Array, G: Array) -> Array:
    """Return an estimate (m,) of the certified gap after balancing the bias, without a pass over the rows."""
    return objective.penalty.fenchel_gap(*loss_gradient(objective, theta, G))


@dataclass(frozen=True)
class BalancedPoint:
    """Parameters of a stack after the bias is balanced."""

    theta: Array
    """Parameters (m, q, d + 1)."""
    loss: Array
    """Mean loss (m,)."""
    gradient: Array
    """Gradient (m, q, d + 1) of loss and l2 part."""
    imbalance: Array
    """Largest difference (m,) of mean prediction and class rates."""


def balance(objective: Objective, theta: Array) -> BalancedPoint:
    """Return the point at which the bias is balanced and the weights are those of `theta` (m, q, d + 1)."""
    if not objective.logits_are_exact:
        objective.place(theta)  # many small float32 steps accumulate rounding errors
    point = _balanced_bias(objective, theta)
    free = objective.penalty.free_columns
    if free is None or not objective.keeps_logits or objective.rows.d > MAX_COLUMNS:
        return point
    moves = np.zeros(theta.shape[1:], dtype=bool)
    moves[:, :-1], moves[:, -1] = free & ~objective.coordinates.constant, objective.fit_intercept
    for _ in range(MAX_COLUMN_STEPS):
        left = np.abs(point.gradient[:, :, :-1][..., free]).max(axis=(1, 2), initial=0.0)
        point = replace(point, imbalance=np.maximum(point.imbalance, left))
        if (left <= BALANCED).all():
            break
        objective.place(point.theta + _newton_step(objective, point.gradient, moves))
        point = _balanced_bias(objective, objective.here.theta)
    return point


def _balanced_bias(objective: Objective, theta: Array) -> BalancedPoint:
    """Return the point at which the bias is balanced, from the kept logits of `theta`."""
    shift, imbalance = objective.balance()
    theta = theta.copy(order="K")
    theta[..., -1] += shift
    loss, G = objective.gradient(shift)  # in float64: kept float32 logits would round the shift
    objective.shift_bias(shift)
    return BalancedPoint(theta, loss, G + objective.ridge_gradient(theta), imbalance)


def _newton_step(objective: Objective, G: Array, moves: BoolArray) -> Array:
    """Return a Newton step (m, q, d + 1) in the parameters marked in `moves` (q, d + 1), 0 in the others."""
    objective.half_passes += 1
    step = np.zeros_like(G)
    for j, H in enumerate(free_hessians(objective, Columns(objective), np.broadcast_to(moves, G.shape))):
        H[np.diag_indices_from(H)] *= 1 + ADDED_DIAGONAL  # a shift common to all classes has no curvature
        factor = cholesky(H, jitter=(0.0, ADDED_DIAGONAL), unit_where_zero=True).merged()
        step[j][moves] = -factor.solve(G[j][moves])
    return step


def dual_gap(objective: Objective, theta: Array, loss: Array, G: Array) -> Array:
    """Return the certified gap (m,) at a balanced bias."""
    A, W = loss_gradient(objective, theta, G)
    if objective.penalty.free_columns is not None:
        A = np.where(objective.penalty.free_columns, 0.0, A)  # to rounding, where `balance` has succeeded
    if isinstance(objective, RecomputedObjective):
        return np.minimum(_by_shifting(objective, G, A, W), _by_mixing(objective, theta, loss, G, A, W))
    return gap_of(objective, objective.penalty, np.zeros(theta.shape[:2]), loss, A, W)


class HasEntropy(Protocol):
    """Kept logits, of which a certificate asks the entropy; an `Objective`, for instance."""

    @property
    def rows(self) -> Any:
        """The rows, of which the certificate reads the precision."""
        ...

    def entropy(self, shift: Array, share: Array) -> Array:
        """Return the mean (m,) of the entropy of `Q = Y + share * (P - Y)` at the kept logits plus `shift`."""
        ...


def gap_of(objective: HasEntropy, penalty: Penalty, shift: Array, loss: Array, A: Array, W: Array) -> Array:
    """Return the certified gap (m,) at the kept logits plus `shift`.

    An infeasible dual point is scaled: `Y + share (p - Y)` is a distribution for every share in [0, 1], and its
    gradient is `share A`; an offset adds `share <p - Y, offset>` to its entropy. Columns with zero weights and a dual
    norm within the threshold may be left out.

    Parameters
    ----------
    objective : HasEntropy
        Keeps the logits.
    penalty : Penalty
        The penalty on the columns of A and W.
    shift : array of shape (m, q)
        Change of the bias that balances it.
    loss : array of shape (m,)
        Mean loss.
    A, W : array of shape (m, q, d)
        Gradient of the loss, and weights, in the user's coordinates.

    Returns
    -------
    array of shape (m,)
        Upper bounds in nats.
    """
    gap = penalty.fenchel_gap(A, W)
    share = penalty.feasible_share(A)
    known = np.isfinite(gap) | (share == 0) | (penalty.strong_convexity > 0)  # otherwise inf is an overflow
    if known.all():
        return gap
    entropy = objective.entropy(shift, share)
    value = loss + penalty.value(W)
    shrunk = value - entropy
    if penalty.bounds is not None:  # otherwise the conjugate is 0 at a feasible point, as there is no l2 part
        shrunk += penalty.conjugate(-share[:, None, None] * A)
    noise = ROUNDING * np.finfo(objective.rows.dtype).eps * np.maximum(1.0, np.abs(value))
    return np.where(known, gap, np.maximum(shrunk, 0.0) + noise)


def _by_shifting(objective: RecomputedObjective, G: Array, A: Array, W: Array) -> Array:
    """Return the certified gap (m,) for an l2 penalty at a bias with a tiny mean residual."""
    # Let r be the mean residual, J_i = diag(p_i) - p_i p_i^T and K its mean. The predictions `q_i = p_i + J_i t` with
    # `K t = -r` are balanced, and probabilities as long as no entry of t is large. Their entropy is
    # `H(p_i) - <log p_i, J_i t> - KL(q_i, p_i)`, and that divergence at most `t J_i t`; so the gap is at most
    #
    #     ||A + B + l2 W||^2 / (2 l2) + c,   c = r K^-1 r,   B = mean of x_i (J_i t)^T,
    #
    # and `||B||^2 <= spread c / 2` because J_i is at most 1/2, where `spread` is the largest variance of the features.
    # An offset changes nothing: D has the term `<q_i - y_i, offset_i>`, and `<log p_i, J_i t>` is `<o_i, J_i t>`.
    curvature = objective.penalty.strong_convexity
    cost, shift = objective.imbalance_cost(_normalised(objective, G))
    slack = A + objective.penalty.smooth_gradient(W)
    norm = np.sqrt(np.einsum("mqd,mqd->m", slack, slack)) + np.sqrt(objective.variance_bound * cost / 2)
    return np.where(shift < MAX_SHIFT, norm**2 / (2 * curvature) + cost, np.inf)


def _normalised(objective: RecomputedObjective, G: Array) -> Array:
    """Return the mean residual (m, q) without the common rounding error of the float32 probabilities of a row."""
    rates = objective.moments.rates
    predicted = rates + G[..., -1] if objective.fit_intercept else rates
    return np.asarray(predicted / predicted.sum(axis=1, keepdims=True) - rates)


def _by_mixing(objective: RecomputedObjective, theta: Array, loss: Array, G: Array, A: Array, W: Array) -> Array:
    """Return the certified gap (m,) for an l2 penalty at a bias with any mean residual."""
    # Let r be the mean residual, `pbar` the mean prediction, `ybar` the class rates, `s` the least number with
    # `ybar >= (1 - s) pbar`, and `e = (ybar - (1 - s) pbar) / s`. The predictions `q_i = (1 - s) p_i + s e` are
    # balanced. Entropy is concave, so `H(q_i) >= (1 - s) H(p_i) + s H(e)`, and the gradient is `A - s T` with
    # T = A + the mean of x y^T. As the mean of `CE(y_i, p_i) - H(p_i)` is `<A, W> + <r, b>`,
    #
    #     F - D <= ||A - s T + l2 W||^2 / (2 l2) + s <T, W> + <r, b> + s (mean H(p_i) - H(e)).
    #
    # With an offset f_i, `loss - <A, W> - <r, b>` is the mean of `H(p_i) + <p_i - y_i, f_i>`, and D has the mean of
    # `<q_i - y_i, f_i> = <p_i - y_i, f_i> - s <p_i - e, f_i>`: the last term becomes
    # `s (mean (H(p_i) + <p_i - y_i, f_i>) - H(e) - <e, mean f_i> + mean <y_i, f_i>)`.
    b, r, rates = theta[..., -1], _normalised(objective, G), objective.moments.rates
    predicted = rates + r
    s = np.max(1 - np.divide(rates, predicted, out=np.ones_like(rates), where=predicted > 0), axis=1, initial=0.0)
    e = np.maximum(rates - (1 - s)[:, None] * predicted, 0.0)
    e /= np.maximum(e.sum(axis=1, keepdims=True), TINY)
    entropy = -(e * np.log(np.where(e > 0, e, 1.0))).sum(axis=1)
    T = A + objective.moments.sums * objective.coordinates.scale
    difference = np.einsum("mq,mq->m", r, b)
    entropies = loss - np.einsum("mqd,mqd->m", A, W) - difference
    if objective.rows.has_offset:
        moments = objective.offset_moments
        entropies += moments.of_label - np.einsum("mq,mq->m", e, moments.of_class)
    quadratic = objective.penalty.fenchel_gap(A - s[:, None, None] * T, W) + s * np.einsum("mqd,mqd->m", T, W)
    return np.asarray(np.maximum(quadratic + difference + s * (entropies - entropy), 0.0))
