"""The proof that an answer is near the optimum: maximum-entropy duality.

With p = softmax(o), A = (1/N) sum_i V_i x_i (p_i - Y_i)^T and a bias at which sum_i V_i (p_i - Y_i) = 0, every value

    D = (1/N) sum_i V_i H(p_i) - conjugate(-A)

is a lower bound of the minimum, because any p of which the features cannot see the difference to Y is a feasible point
of the dual problem (Berger, Della Pietra and Della Pietra 1996). F - D is then `penalty(W) + conjugate(-A) + <A, W>`,
which is computed as it stands, without subtracting two numbers that are almost equal.
"""

from __future__ import annotations

import numpy as np

from softreg.optimize.objective import Objective
from softreg.rows import Array

BALANCED = 1e-9
"""Mean prediction and class rates may differ by this much and still count as equal."""


def loss_gradient(objective: Objective, theta: Array, G: Array) -> tuple[Array, Array]:
    """The gradient A of the loss alone with respect to the user's weights, and those weights W, (m, q, d) each.

    G is the gradient of loss and l2 part with respect to the scaled parameters.
    """
    W, _ = objective.user(theta)
    return G[..., :-1] * objective.coordinates.scale - objective.penalty.l2[:, None, None] * W, W


def dual_estimate(objective: Objective, theta: Array, G: Array) -> Array:
    """What the certified gap (m,) will be once the bias is balanced: no pass, and close near the optimum."""
    return objective.penalty.fenchel_gap(*loss_gradient(objective, theta, G))


def balance(objective: Objective, theta: Array) -> tuple[Array, Array, Array, Array]:
    """Parameters with balanced bias, mean loss and gradient of loss + l2 part there, and what is left unbalanced."""
    if not objective.fresh:
        objective.place(theta)  # what many small float32 steps have rounded away is computed afresh
    shift, left = objective.balance()
    theta = theta.copy()
    theta[..., -1] += shift
    loss, G = objective.gradient(shift)  # in float64: the kept float32 logits could not hold the shift exactly
    objective.tilt(shift)
    return theta, loss, G + objective.ridge[:, None, :] * theta, left


def dual_gap(objective: Objective, theta: Array, loss: Array, G: Array) -> Array:
    """The certified gap (m,) at a balanced bias; where the dual point is not feasible, it is shrunk until it is.

    Shrinking: `Y + share (p - Y)` is a distribution for every share in [0, 1], and its A is `share A`.
    """
    A, W = loss_gradient(objective, theta, G)
    penalty = objective.penalty
    gap = penalty.fenchel_gap(A, W)
    share = penalty.feasible_share(A)
    known = np.isfinite(gap) | (share == 0) | (penalty.l2 > 0)  # with an l2 part, inf is an overflow, not a proof
    if known.all():
        return gap
    entropy = objective.entropy(np.zeros(theta.shape[:2]), share)
    shrunk = loss + penalty.value(W) - entropy  # the conjugate is 0 at a feasible point of a pure l1 penalty
    return np.where(known, gap, shrunk)
