"""Logits of rows with the covariance that the estimated parameters give them.

The parameters are asymptotically normal, and the logits of a row are linear in them, so the q - 1 differences of a
row's logits are normal as well. Their covariance comes from one product of the rows with a triangular factor of the
covariance of the parameters: a variance is a sum of squares and never negative. Blocks of rows are sized for the
processor's second-level cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import scipy.sparse as sp

from softreg.linalg import cholesky
from softreg.rows import Array
from softreg.rows.parallel import in_order
from softreg.typing import Matrix

if TYPE_CHECKING:  # scikit-learn, which prediction from a model file does not need
    from softreg.models.inference.fitted_inference import FittedInference
    from softreg.models.likelihood.posterior import Posterior

Result = TypeVar("Result")

BLOCK_NUMBERS = 1 << 18
"""Numbers of a block's intermediate arrays, 2 MB: 1.3 million rows a second with d = 20, q = 3 and two threads, 1.0
with a quarter of it, as threads wait for the interpreter between short operations."""
MIN_BLOCK = 32
"""Smallest number of rows of a block; with fewer, calls cost more than the arithmetic."""


@dataclass(frozen=True, eq=False)
class Scenario:
    """Rows in which some columns take the same value in every row.

    Attributes
    ----------
    X : array or sparse matrix of shape (n, d)
        The rows.
    values : mapping of int to float
        Value of columns, by position, instead of those of X.
    offset : ndarray of shape (n, q), optional
        Fixed part of the logits of the rows.
    """

    X: Matrix
    values: Mapping[int, float] = field(default_factory=dict)
    offset: Array | None = None

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.X.shape[0])

    def offset_block(self, rows: slice) -> Array | None:
        """Return the offset (q, b) of some rows, or None."""
        return None if self.offset is None else self.offset[rows].T

    def block(self, rows: slice) -> Array:
        """Return a copy of some rows (b, d) as float64."""
        part = self.X[rows]
        block = np.array(part.toarray() if sp.issparse(part) else part, dtype=np.float64)
        for j, value in self.values.items():
            block[:, j] = value
        return block


@dataclass(frozen=True, eq=False)
class ParameterDistribution:
    """Estimated parameters (q, d + 1) in the solver's coordinates, and their covariance.

    Attributes
    ----------
    theta : ndarray of shape (q, d + 1)
        Parameters, the intercept last.
    shift, scale : ndarray of shape (d,)
        The solver's coordinates are `z = (x - shift) / scale`.
    L : ndarray of shape (a k, a k)
        Lower triangular factor of the covariance of the parameters of the classes 1 to q - 1 minus those of class 0,
        class by class; a = q - 1, k = d + 1.
    """

    theta: Array
    shift: Array
    scale: Array
    L: Array

    @classmethod
    def of_posterior(cls, posterior: Posterior) -> ParameterDistribution:
        """Return the Gaussian distribution of the parameters that a fit kept."""
        q, k = posterior.mean.shape
        C = posterior.covariance().reshape(q, k, q, k)
        difference = C[1:, :, 1:] - C[:1, :, 1:] - C[1:, :, :1] + C[:1, :, :1]
        factor = triangular_factor(difference.reshape((q - 1) * k, (q - 1) * k))
        theta = posterior.mean - posterior.mean.mean(axis=0)
        return cls(theta, np.zeros(k - 1), np.ones(k - 1), factor)

    @classmethod
    def of(cls, inference: FittedInference) -> ParameterDistribution:
        """Return the distribution of the parameters of an `Inference`."""
        C, coordinates = inference._C, inference.likelihood.coordinates
        q, k = C.shape[:2]
        difference = C[1:, :, 1:] - C[:1, :, 1:] - C[1:, :, :1] + C[:1, :, :1]
        covariance = difference.reshape((q - 1) * k, (q - 1) * k)
        return cls(inference._theta, coordinates.shift, coordinates.scale, triangular_factor(covariance))

    def at(self, coef: Array, intercept: Array) -> ParameterDistribution:
        """Return the distribution with the same covariance around the user's weights (q, d) and intercepts (q,)."""
        theta = np.column_stack([coef * self.scale, intercept + coef @ self.shift])
        return ParameterDistribution(theta - theta.mean(axis=0), self.shift, self.scale, self.L)

    @property
    def q(self) -> int:
        """Number of classes."""
        return len(self.theta)

    @cached_property
    def _stacked(self) -> tuple[Array, list[slice]]:
        """Return `[theta; F_1; ..; F_a]`, whose product with z gives logits and factors, and where each F_c is."""
        a, k = self.q - 1, self.theta.shape[1]
        parts = [self.theta, *(self.L[c * k : (c + 1) * k, : (c + 1) * k].T for c in range(a))]
        ends = np.cumsum([len(part) for part in parts]).tolist()
        return np.concatenate(parts), [slice(start, stop) for start, stop in pairwise(ends)]

    @property
    def block_rows(self) -> int:
        """Number of rows that are processed together."""
        numbers = len(self._stacked[0]) + self.theta.shape[1] + self.q**2 + (self.q - 1) ** 2
        return max(MIN_BLOCK, int(BLOCK_NUMBERS // numbers))

    def coordinates(self, X: Array) -> Array:
        """Return rows X (b, d) in the solver's coordinates with a one for the intercept, (d + 1, b)."""
        Z = np.empty((len(self.shift) + 1, len(X)))
        np.subtract(X.T, self.shift[:, None], out=Z[:-1])
        Z[:-1] /= self.scale[:, None]
        Z[-1] = 1.0
        return Z

    def logits_and_factors(self, X: Array, offset: Array | None = None) -> tuple[Array, list[Array]]:
        """Return the logits (q, b) of rows X (b, d) with an offset (q, b), and factors of their differences to class 0.

        The factors U_c are those of the differences of the logits of the classes c to class 0.

        The covariance of the differences c and e (from 1) is `(U_c[:m] * U_e[:m]).sum(axis=0)`, where m is the smaller
        of their lengths c k and e k.

        Returns
        -------
        logits : ndarray of shape (q, b)
            Logits.
        factors : list of ndarray of shape (c k, b)
            Factors for c = 1 to q - 1.
        """
        weights, where = self._stacked
        product = weights @ self.coordinates(X)
        o = product[: self.q]
        return o if offset is None else o + offset, [product[at] for at in where]

    def std_error(self, J: Array) -> Array:
        """Return standard errors (...) of functions with derivatives J (..., q, d + 1) that sum to 0 over classes."""
        gradient = J[..., 1:, :].reshape(*J.shape[:-2], -1)
        return np.asarray(np.sqrt(((gradient @ self.L) ** 2).sum(axis=-1)))


def triangular_factor(covariance: Array) -> Array:
    """Return a lower triangular L with `L L^T = covariance`, also where it is singular.

    Returns
    -------
    ndarray
        The factor, of the shape of the covariance.

    Examples
    --------
    >>> triangular_factor(np.array([[4.0, 2.0], [2.0, 1.0]])).round(6) + 0.0
    array([[2., 0.],
           [1., 0.]])
    """
    try:
        return cholesky(covariance).merged().L
    except np.linalg.LinAlgError:  # fewer clusters than parameters, a constant column
        values, vectors = np.linalg.eigh(covariance)
        half = vectors * np.sqrt(np.maximum(values, 0.0))  # covariance = half half^T, half^T = Q R, so L = R^T
        R: Array = np.linalg.qr(half.T, mode="r")  # type: ignore[assignment]
        signs = np.where(np.diag(R) < 0, -1.0, 1.0)
        return np.ascontiguousarray((R * signs[:, None]).T)


def covariances(factors: list[Array]) -> Array:
    """Return the covariances (a, a, b) of the differences of logits from their factors."""
    a, b = len(factors), factors[0].shape[1]
    V = np.empty((a, a, b))
    for c, U in enumerate(factors):
        for e in range(c + 1):
            np.einsum("rb,rb->b", U[: len(factors[e])], factors[e], out=V[c, e])
            V[e, c] = V[c, e]
    return V


def log_odds(o: Array) -> tuple[Array, Array]:
    """Return the log-odds `log(p_k / (1 - p_k))` (q, b) of logits o (q, b), and their derivatives by the logits.

    The log-odds of class k are `o_k - logsumexp_(l != k) o_l`, whose derivative by o_k is 1 and by o_l is
    `-p_l / (1 - p_k)`. Neither overflows nor cancels where a probability is near 0 or 1.

    Returns
    -------
    log_odds : ndarray of shape (q, b)
        Log-odds.
    G : ndarray of shape (q, q, b)
        `G[l, k]` is the derivative of the log-odds of class k by the logit of class l.

    Examples
    --------
    >>> log_odds(np.array([[0.0], [1000.0]]))[0].ravel()
    array([-1000.,  1000.])
    """
    q, b = o.shape
    out, G = np.empty((q, b)), np.empty((q, q, b))
    for k in range(q):
        others = np.arange(q) != k
        largest = o[others].max(axis=0)
        share = np.exp(o[others] - largest)
        total = share.sum(axis=0)
        out[k] = o[k] - largest - np.log(total)
        G[others, k] = share / -total
        G[k, k] = 1.0
    return out, G


def log_odds_and_errors(
    distribution: ParameterDistribution, X: Array, offset: Array | None = None
) -> tuple[Array, Array]:
    """Return the log-odds (q, b) of rows X (b, d) with an offset (q, b), and their standard errors (q, b)."""
    o, factors = distribution.logits_and_factors(X, offset)
    eta, G = log_odds(o)
    variance = np.einsum("ckb,ceb,ekb->kb", G[1:], covariances(factors), G[1:])
    return eta, np.sqrt(np.maximum(variance, 0.0))


def each_block(distribution: ParameterDistribution, n: int, work: Callable[[slice], Result]) -> Iterator[Result]:
    """Return `work(rows)` for each block of n rows, in order, computed by several threads."""
    step = distribution.block_rows
    return in_order(work, [slice(i, min(i + step, n)) for i in range(0, n, step)])
