"""Evidence for terms that a model does not have yet, from the residuals of its fit.

For features Z (n, r) of a new term with weights N(0, t) a class contrast, a quadratic approximation of the likelihood
at the fit, where the term is 0, gives the logarithm of the ratio of the evidence with and without the term,

    sum_c sum_i (t u_ci^2 / (1 + t s_ci) - log(1 + t s_ci)) / 2,

with eigenvalues s_c and the gradient u_c in the eigenvectors of the information of class contrast c. Blocks between
contrasts are left out. The variance t that maximises it is found on a grid.

References
----------
Kass and Raftery (1995), Bayes factors. Lou, Caruana, Gehrke and Hooker (2013), Accurate intelligible models with
pairwise interactions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.optimize.objective.hessian import contrasts
from softreg.typing import Array, Float64Array, IntArray

VARIANCES = 10.0 ** np.arange(-4.0, 1.5, 0.5)
"""Variances of a new term that are tried."""


@dataclass(frozen=True)
class NewTerm:
    """The evidence for a new term.

    Attributes
    ----------
    log_ratio : float
        Logarithm of the ratio of the evidence with and without the term, in nats, at the best variance.
    precision : float
        Precision of its weights there.
    """

    log_ratio: float
    precision: float


class ResidualScreen:
    """The residuals and curvatures of a fit, in which new terms are looked at one by one.

    Parameters
    ----------
    P : array of float64 (n, q)
        Probabilities of the fit.
    codes : array of int (n,)
        Codes of the labels.
    weight : array of float64 (n,), optional
        Weights of the rows.

    Examples
    --------
    >>> codes, Z = np.array([0, 1, 0, 1] * 50), np.array([[-1.0], [1.0], [-1.0], [1.0]] * 50)
    >>> ResidualScreen(np.full((200, 2), 0.5), codes).evidence(Z).log_ratio > 50
    True
    """

    def __init__(self, P: Float64Array, codes: IntArray, weight: Float64Array | None = None) -> None:
        q = P.shape[1]
        T = contrasts(q)
        residual = -P.copy()
        residual[np.arange(len(codes)), codes] += 1
        mean = P @ T
        curvature = np.maximum(P @ (T**2) - mean**2, 0.0)
        v = 1.0 if weight is None else weight[:, None]
        self.gradient = (residual @ T * v).astype(np.float32)
        self.curvature = (curvature * v).astype(np.float32)

    def evidence(self, Z: Array) -> NewTerm:
        """Return the evidence for a term with features Z.

        Parameters
        ----------
        Z : array (n, r)
            Features.

        Returns
        -------
        NewTerm
            Evidence, and the precision at which it is largest.
        """
        Z = np.asarray(Z, dtype=np.float32)
        gradient = (Z.T @ self.gradient).astype(np.float64)
        ratios = np.zeros(len(VARIANCES))
        for c in range(self.gradient.shape[1]):
            v = self.curvature[:, c]
            mean = (v @ Z) / max(float(v.sum()), 1e-30)  # the intercept is fitted along
            centred = Z - mean
            half = centred * np.sqrt(v)[:, None]
            s, U = np.linalg.eigh((half.T @ half).astype(np.float64))
            s = np.maximum(s, 0.0)
            u = (U.T @ (gradient[:, c] - mean * float(self.gradient[:, c].sum()))) ** 2
            t = VARIANCES[:, None]
            ratios += (t * u / (1 + t * s) - np.log1p(t * s)).sum(axis=1) / 2
        best = int(np.argmax(ratios))
        return NewTerm(float(ratios[best]), float(1 / VARIANCES[best]))
