"""Exact fits of recalibration maps by Newton's method, with certified gaps and leave-one-out losses.

For a design with logits `o_i(theta) = J_i theta`, a center c and a positive semidefinite matrix `Lambda`, a fit
minimises

    (1 / n) sum_i w_i CE(y_i, softmax(o_i(theta))) + (theta - c)' Lambda (theta - c) / (2 n).

The certificate is the Newton decrement with the self-concordance of the loss, whose constant is the largest leverage of
a difference of two logits. The leave-one-out loss of row i takes one Newton step from the minimiser without row i:
with `A_i = w_i J_i H^-1 J_i'`, probabilities p_i, `V_i = diag(p_i) - p_i p_i'` and residual `r_i = p_i - y_i`, the
logits become `o_i + A_i (I - V_i A_i)^-1 r_i`.

References
----------
Rahnama Rad and Maleki (2020), A scalable estimate of the out-of-sample prediction error via approximate leave-one-out
cross-validation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from softreg.linalg import Cholesky, cholesky
from softreg.models.calibration.maps.map_designs import Design
from softreg.optimize.certificate.self_concordance import self_concordant_gap
from softreg.typing import Float64Array, IntArray

STEPS = 60
"""Largest number of Newton steps; five are usual."""
TOLERANCE = 1e-8
"""Nats. The steps end when half the squared Newton decrement is below it."""
ARMIJO = 1e-4
"""Sufficient decrease of the line search, as a share of the decrease that the slope predicts."""
SHORTEST = 1e-9
"""Step length below which differences of the objective are rounding errors."""
JITTER = (0.0, 1e-12, 1e-8)
"""Numbers added to the diagonal of the scaled Hessian, in turn; no gap is certified with one above 0."""
NUMBERS_OF_A_BLOCK = 1 << 21
"""Largest number of values of the leverages of a block of rows."""


@dataclass(frozen=True, eq=False)
class NewtonFit:
    """A minimiser with its certificate.

    Attributes
    ----------
    theta : ndarray of shape (p,)
        Parameters.
    value : float
        Objective in nats.
    gap : float
        Certified upper bound of the difference between `value` and the minimum, in nats.
    losses : ndarray of shape (n,)
        Leave-one-out log loss of each row in nats.
    """

    theta: Float64Array
    value: float
    gap: float
    losses: Float64Array


def fit_map(
    design: Design,
    y: IntArray,
    center: Float64Array,
    penalty: Float64Array,
    start: Float64Array | None = None,
    weights: Float64Array | None = None,
) -> NewtonFit:
    """Minimise the penalised loss of a recalibration map.

    Parameters
    ----------
    design : Design
        Logits of the rows as a function of the parameters.
    y : ndarray of shape (n,)
        Class codes.
    center : ndarray of shape (p,)
        Parameters at which the penalty is 0.
    penalty : ndarray of shape (p, p)
        Matrix of the penalty; the Hessian must be positive definite with it.
    start : ndarray of shape (p,), optional
        Parameters to begin with; the center by default.
    weights : ndarray of shape (n,), optional
        Weights of the rows, of mean 1.

    Returns
    -------
    NewtonFit
        The minimiser.

    Examples
    --------
    >>> from softreg.models.calibration.maps.map_designs import OddsDesign
    >>> odds = OddsDesign(np.log([[9.0], [9.0], [9.0], [1 / 9]]))
    >>> fit = fit_map(odds, np.array([1, 1, 0, 0]), np.ones(1), np.array([[1e-9]]))
    >>> fit.theta.round(3), fit.gap < 1e-9
    (array([0.5]), True)
    """
    n = len(y)
    theta = center if start is None else start

    def evaluate(theta: Float64Array) -> tuple[float, Float64Array]:
        o, change = _log_shares(design.logits(theta)), theta - center
        own = o[np.arange(n), y]
        return float(change @ penalty @ change) / 2 - float(own.sum() if weights is None else own @ weights), o

    value, o = evaluate(theta)
    for _ in range(STEPS):
        g, factor = _derivatives(design, y, o, weights, penalty=penalty, pull=penalty @ (theta - center))
        step = -factor.solve(g)
        decrement = max(0.0, float(-g @ step))
        if decrement <= 2 * TOLERANCE * n:
            break
        shorter = backtrack(evaluate, theta, step, value, decrement)
        if shorter is None:
            break
        theta, value, o = shorter
    losses, spread = _leave_one_out(design, y, o, factor, weights)
    gap = self_concordant_gap(float(np.sqrt(decrement / n)), float(np.sqrt(n * spread)))
    return NewtonFit(theta, value / n, gap if factor.exact else float("inf"), losses)


def backtrack(
    evaluate: Callable[[Float64Array], tuple[float, Float64Array]],
    theta: Float64Array,
    step: Float64Array,
    value: float,
    decrement: float,
) -> tuple[Float64Array, float, Float64Array] | None:
    """Halve a Newton step until the objective decreases enough.

    Parameters
    ----------
    evaluate : callable
        Returns the objective at parameters, and the logarithms (n, q) of the probabilities.
    theta, step : ndarray
        Parameters and the Newton step from them.
    value : float
        Objective at `theta`.
    decrement : float
        Squared Newton decrement.

    Returns
    -------
    tuple of (ndarray, float, ndarray) or None
        Parameters, objective and logarithms at the end of the step; None where only rounding errors are left.

    Examples
    --------
    >>> def square(x):
    ...     return float(x @ x), x
    >>> backtrack(square, np.array([1.0]), np.array([-1.0]), 1.0, 2.0)[1]
    0.0
    """
    length = 1.0
    while True:
        after, logits = evaluate(theta + length * step)
        if after <= value - ARMIJO * length * decrement or length < SHORTEST:
            break
        length /= 2
    return None if length < SHORTEST else (theta + length * step, after, logits)


def _derivatives(
    design: Design,
    y: IntArray,
    o: Float64Array,
    weights: Float64Array | None,
    *,
    penalty: Float64Array,
    pull: Float64Array,
) -> tuple[Float64Array, Cholesky]:
    """Return the gradient (p,) of n times the objective and the factor of its Hessian."""
    P = np.exp(o)
    factor = cholesky(design.hessian(P, weights) + penalty, jitter=JITTER).merged()
    P[np.arange(len(y)), y] -= 1
    return design.gradient(P if weights is None else P * weights[:, None]) + pull, factor


def _leave_one_out(
    design: Design, y: IntArray, o: Float64Array, factor: Cholesky, weights: Float64Array | None
) -> tuple[Float64Array, float]:
    """Return the leave-one-out losses (n,), and the largest leverage of a difference of two logits of a row."""
    n, q = o.shape
    inverse = factor.inverse()
    losses, spread, rows = np.empty(n), 0.0, max(1, NUMBERS_OF_A_BLOCK // (q * q * (q + 1)))
    for first in range(0, n, rows):
        part = slice(first, min(n, first + rows))
        a, p = design.leverage(inverse, part), np.exp(o[part])
        at = np.arange(len(p)), y[part]
        own = np.einsum("nkk->nk", a)
        spread = max(spread, float((own[:, :, None] + own[:, None, :] - 2 * a).max()))
        a = a if weights is None else a * weights[part, None, None]
        pa = p[:, :, None] * a
        residual = p.copy()
        residual[at] -= 1
        system = np.eye(q) - pa + p[:, :, None] * pa.sum(axis=1)[:, None, :]
        change = np.einsum("nkl,nl->nk", a, np.linalg.solve(system, residual[:, :, None])[:, :, 0])
        losses[part] = -_log_shares(o[part] + change)[at]
    return losses, spread


def _log_shares(o: Float64Array) -> Float64Array:
    """Return the logarithms of the softmax of finite logits (n, q), without the checks of `log_softmax`."""
    o = o - o.max(axis=1, keepdims=True)
    o -= np.log(np.exp(o).sum(axis=1, keepdims=True))
    return o
