"""The Hessian of softmax regression with a precision for each column, and its traces over the terms.

In q - 1 orthonormal contrasts of the classes, the information of the rows is

    H = sum_i v_i (T^T (diag(p_i) - p_i p_i^T) T) (x) (x_i x_i^T),

and the penalty adds the precision of each column to its diagonal. Above a number of parameters, the blocks between
contrasts are left out: then the matrix of class k is `q / (q - 1) sum_i v_i p_ik (1 - p_ik) x_i x_i^T`, which is exact
for two classes, and for any number of classes at equal probabilities.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.linalg import cholesky
from softreg.optimize.objective.hessian import contrasts
from softreg.typing import Array, Float64Array, IntArray

MAX_FULL_PARAMETERS = 1_500
"""Most parameters of the whole Hessian: with more, blocks between contrasts cost more than they change."""
INTERCEPT_PRECISION = 1e-6
"""Precision of an intercept, which keeps the matrix of a class without rows definite."""
JITTER = (0.0, 1e-7, 1e-5, 1e-3)
"""Numbers added to the unit diagonal until the matrix, whose products may be in float32, has a factor."""
LEAST_WEIGHT = 1e-10
"""Least curvature of a row."""


@dataclass(frozen=True, eq=False)
class TermTraces:
    """Traces of the posterior covariance of the weights, and the logarithm of the determinant of its inverse.

    Attributes
    ----------
    trace : array of float64 (m,)
        Trace of the covariance over the weights of each term, all q - 1 contrasts.
    log_determinant : float
        Logarithm of the determinant of information plus precision, intercepts included.
    """

    trace: Float64Array
    log_determinant: float


def term_traces(
    X: Array, P: Float64Array, weight: Float64Array | None, precision: Float64Array, terms: IntArray, n_terms: int
) -> TermTraces:
    """Return the traces of the covariance `(H + diag(precision))^-1` over the columns of each term.

    Parameters
    ----------
    X : array (n, d)
        Features; products are computed in its precision.
    P : array of float64 (n, q)
        Probabilities of the rows.
    weight : array of float64 (n,), optional
        Weights of the rows.
    precision : array of float64 (d,)
        Precision of the weights of each column.
    terms : array of int (d,)
        Term of each column, 0 .. m - 1.
    n_terms : int
        Number of terms m.

    Returns
    -------
    TermTraces
        Traces (m,) and the logarithm of the determinant.

    Examples
    --------
    >>> X, P = np.array([[-1.0], [1.0]]), np.full((2, 2), 0.5)
    >>> traces = term_traces(X, P, None, np.ones(1), np.zeros(1, dtype=np.int64), 1)
    >>> traces.trace.round(3).tolist()
    [0.5]
    """
    q, d = P.shape[1], X.shape[1]
    full = (q - 1) * (d + 1) <= MAX_FULL_PARAMETERS
    Z = np.column_stack([X, np.ones(len(X), X.dtype)])
    diagonal = np.append(precision, INTERCEPT_PRECISION)
    blocks = [_whole(Z, P, weight)] if full else [_of_class(Z, P, weight, k) for k in range(q)]
    share = 1.0 if full else (q - 1) / q
    variance, log_determinant = np.zeros(d), 0.0
    for H in blocks:
        repeats = len(H) // (d + 1)
        H[np.diag_indices_from(H)] += np.tile(diagonal, repeats)
        factor = cholesky(H, jitter=JITTER, unit_where_zero=True)
        variance += share * factor.inverse_diagonal().reshape(repeats, d + 1)[:, :d].sum(axis=0)
        log_determinant += share * factor.log_det()
    return TermTraces(np.bincount(terms, variance, minlength=n_terms).astype(np.float64), log_determinant)


def _whole(Z: Array, P: Float64Array, weight: Float64Array | None) -> Float64Array:
    """Return the information ((q - 1) (d + 1), same) in contrasts of the classes."""
    q, width = P.shape[1], Z.shape[1]
    T = contrasts(q)
    mean = P @ T
    H = np.empty((q - 1, width, q - 1, width))
    for a in range(q - 1):
        for b in range(a + 1):
            v = P @ (T[:, a] * T[:, b]) - mean[:, a] * mean[:, b]
            v = v if weight is None else v * weight
            product = _symmetric(Z, v) if a == b else ((Z * v.astype(Z.dtype)[:, None]).T @ Z).astype(np.float64)
            H[a, :, b], H[b, :, a] = product, product.T
    return H.reshape((q - 1) * width, -1)


def _of_class(Z: Array, P: Float64Array, weight: Float64Array | None, k: int) -> Float64Array:
    """Return the approximate information (d + 1, d + 1) of one class."""
    q = P.shape[1]
    v = P[:, k] * (1 - P[:, k]) * (q / (q - 1))
    return _symmetric(Z, v if weight is None else v * weight)


def _symmetric(Z: Array, v: Float64Array) -> Float64Array:
    """Return `Z^T diag(v) Z` for v >= 0."""
    half = Z * np.sqrt(np.maximum(v, LEAST_WEIGHT)).astype(Z.dtype)[:, None]
    return np.asarray(half.T @ half, dtype=np.float64)
