"""Traces of the covariance of the weights over the terms, at given probabilities and precisions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.models.evidence.term_curvature import INTERCEPT_PRECISION, CurvatureFactor, TermCurvature
from softreg.typing import Array, Float64Array, IntArray


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

    @classmethod
    def of(cls, factor: CurvatureFactor, terms: IntArray, n_terms: int) -> TermTraces:
        """Return the traces over the terms (d,) of the columns from a factor of the information."""
        trace = np.bincount(terms, factor.variances()[:-1], minlength=n_terms)
        return cls(trace.astype(np.float64), factor.log_det())


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
    Z = np.column_stack([X, np.ones(len(X), X.dtype)])
    curvature = TermCurvature(Z, np.ascontiguousarray(P.T), weight)
    return TermTraces.of(curvature.factor(np.append(precision, INTERCEPT_PRECISION)), terms, n_terms)
