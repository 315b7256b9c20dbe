"""Dual coordinate steps on CSR rows, compiled, and the same in NumPy.

With alpha_i for the dual probabilities of row i, the weights W are the sum of `v_i (Y_i - alpha_i) x_i^T`, divided by
`N strength`. A step sets the probabilities of one row to the maximum of the dual objective with all others fixed, and
updates W:

    a = argmax  H(a) + <a, o> - c/2 ||a - alpha_i||^2,   c = v_i ||x_i||^2 / (N strength),   o = x_i W + b.

The bias belongs to a further column of the constant `bias_scale`, whose weights are `bias_weights`:
`b = bias + bias_scale * bias_weights`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from softreg.rows.dual_variables import Dual
from softreg.rows.kernels import products as kernels
from softreg.typing import Array

MAX_NEWTON_STEPS, MIN_CHANGE = 40, 1e-4
"""Largest number of Newton steps for a row, and the change of its probabilities at which they end: the next change is
about its square."""
MAX_LOG_STEP = 3.0
"""Largest Newton step in `log a`: the first may be far too long."""


def dual_steps(X: Any, order: Array, dual: Dual) -> None:
    """Take a dual coordinate step for each of the rows `order` in turn.

    A row of weight 0 changes nothing but its divergence.

    Parameters
    ----------
    X : csr_array of shape (n, d)
    order : ndarray of int
        Row numbers; a row may occur more than once.
    dual : Dual
        Updated in place.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> one = lambda *shape: np.ones(shape, np.float32)
    >>> dual = Dual(0 * one(1, 2), 0 * one(2), 0 * one(2), np.log(one(1, 2) / 2), one(1), None, one(1), 0.0, 1.0)
    >>> dual_steps(sp.csr_array([[1.0]]), np.array([0]), dual)
    >>> dual.divergence.round(6), dual.W.round(6)  # softmax(0) is alpha already
    (array([0.], dtype=float32), array([[0., 0.]], dtype=float32))
    """
    order = np.ascontiguousarray(order, dtype=np.int64)
    if kernels.supports_csr(X):
        state = (dual.W, dual.bias, dual.bias_weights, dual.log_alpha, dual.curvature, dual.weights, dual.divergence)
        kernels._module.csr_dual_steps(X.data, X.indices, X.indptr, order, *state, dual.bias_scale, dual.rate)
        return
    for i in order:
        _step(X, int(i), dual)


def _step(X: Any, i: int, dual: Dual) -> None:
    span = slice(X.indptr[i], X.indptr[i + 1])
    x, columns = X.data[span].astype(np.float32), X.indices[span]
    o = x @ dual.W[columns] + dual.bias + dual.bias_scale * dual.bias_weights
    top = o.max()
    o = o - (np.log(np.exp(o - top).sum()) + top)
    before, v = np.exp(dual.log_alpha[i]), 1.0 if dual.weights is None else dual.weights[i]
    dual.divergence[i] = before @ (dual.log_alpha[i] - o)
    if v == 0:
        return
    dual.log_alpha[i] = best_row(dual.log_alpha[i], o, v * dual.curvature[i])
    change = (before - np.exp(dual.log_alpha[i])) * v * dual.rate
    np.add.at(dual.W, columns, x[:, None] * change)
    dual.bias_weights[:] += dual.bias_scale * change


def best_row(log_alpha: Array, o: Array, c: float) -> Array:
    """Return the logarithm of `argmax H(a) + <a, o> - c/2 ||a - alpha||^2` on the simplex.

    At the maximum, `log a + c a + mu = o + c alpha` with the mu at which a sums to 1: Newton's method in (log a, mu).

    Parameters
    ----------
    log_alpha, o : ndarray of shape (q,)
    c : float

    Returns
    -------
    ndarray of shape (q,)

    Examples
    --------
    >>> best_row(np.log([0.5, 0.5]), np.log([0.8, 0.2]), 0.0).round(4)  # without the proximal term
    array([-0.2231, -1.6094])
    """
    a, log_a, mu = np.exp(log_alpha), log_alpha, 0.0
    target = o + c * a
    for _ in range(MAX_NEWTON_STEPS):
        w = a / (1 + c * a)
        mu += (a.sum() - 1 - w @ (log_a + c * a + mu - target)) / w.sum()
        log_a = np.minimum(log_a + np.minimum((target - mu - log_a - c * a) / (1 + c * a), MAX_LOG_STEP), 0.0)
        last, a = a, np.exp(log_a)
        if np.abs(a - last).max() < MIN_CHANGE:
            break
    return np.asarray(log_a - np.log(a.sum()))


def row_squares(X: Any) -> Array:
    """Return `||x||^2` of each row.

    Parameters
    ----------
    X : csr_array of shape (n, d)

    Returns
    -------
    ndarray of float32 of shape (n,)

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> row_squares(sp.csr_array([[3.0, 4.0], [0.0, 0.0]]))
    array([25.,  0.], dtype=float32)
    """
    if not kernels.supports_csr(X):
        return np.asarray(X.power(2).sum(axis=1), dtype=np.float32).ravel()
    out = np.empty(X.shape[0], np.float32)
    kernels._module.csr_row_squares(X.data, X.indptr, out)
    return out
