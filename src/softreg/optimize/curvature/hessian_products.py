"""Products with the exact Hessian of the loss in the weights of some columns, and its approximation by one product.

With `J_i = diag(p_i) - p_i p_i^T` the Hessian is `sum_i v_i J_i (x) z_i z_i^T`. A product with a matrix of weights D
(q, k) is two matrix products and no sum over pairs of columns:

    o = D Z,   r_i = v_i J_i o_i,   H D = r Z^T.

If the class covariances J_i were independent of the columns, the Hessian would be a Kronecker product.
`KroneckerHessian` is the one with the mean of the J_i and the second moments of the columns, weighted by the traces of
the J_i. In the eigenbasis of the class factor it is one k x k matrix for each class. It serves block coordinate
descent, and as a preconditioner.

References
----------
Krishnapuram, Carin, Figueiredo and Hartemink (2005), Sparse multinomial logistic regression: fast algorithms and
generalization bounds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.linalg import TINY
from softreg.optimize.curvature.subsampled import INEXPENSIVE_PRODUCTS, ROWS_PER_COLUMN, MemberWeights, draw_rows
from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.objective.hessian import RUN_ROWS
from softreg.optimize.objective.stack_state import StackState
from softreg.probability import block_loss as loss
from softreg.rows import BackendArray, Block, DenseRows, Rows, SparseRows
from softreg.typing import Array, Float64Array, FloatArray, IntArray

MOST_NUMBERS = 1 << 25
"""Numbers of the copied columns, at most (128 MB); of more, a sample of the rows is copied."""
MOST_READ_ROWS = 1 << 16
"""Rows that are copied from a disk or a device, at most."""
MIN_EIGENVALUE = 1e-3
"""Smallest eigenvalue of the class factor as a part of their mean: a common shift of all classes has no curvature."""


@dataclass(frozen=True)
class KroneckerHessian:
    """The matrix `(basis diag(values) basis^T) (x) gram`."""

    basis: Float64Array
    """Orthonormal eigenvectors of the class factor (q, q), in columns."""
    values: Float64Array
    """Its eigenvalues (q,), in positive."""
    gram: Float64Array
    """Second moments of the columns (k, k)."""


@dataclass(frozen=True)
class HessianProducts:
    """The Hessian of loss and l2 part of one model in the weights of k columns, as products."""

    Z: FloatArray
    """The columns (k, s) in the solver's coordinates, in float32; a bias is a column of ones."""
    P: FloatArray
    """Probabilities (q, s)."""
    v: FloatArray
    """Weights (s,) of the rows, with sum 1."""
    ridge: Float64Array
    """Curvature (k,) of the l2 part."""

    def times(self, D: Float64Array) -> Float64Array:
        """Return the Hessian times D, (q, k)."""
        R = self.P * (D.astype(self.Z.dtype) @ self.Z)
        R -= self.P * R.sum(axis=0)
        R *= self.v
        return np.asarray((R @ self.Z.T).astype(np.float64) + self.ridge * D)

    def kronecker(self) -> KroneckerHessian:
        """Return the Kronecker product that approximates the Hessian without its l2 part."""
        weighted = self.P * self.v
        covariance = (np.diag(weighted.sum(axis=1)) - weighted @ self.P.T).astype(np.float64)
        values, basis = np.linalg.eigh(covariance)
        values = np.maximum(values, MIN_EIGENVALUE * values.mean() + TINY)
        share = (self.v * np.maximum(1 - (self.P**2).sum(axis=0), 0.0)).astype(np.float64)
        size = max(ROWS_PER_COLUMN * len(self.Z), int(INEXPENSIVE_PRODUCTS / len(self.Z) ** 2))
        draw = draw_rows(share / max(float(share.sum()), TINY), size, np.random.default_rng(0).random(len(share)))
        half = self.Z[:, draw.rows] * np.sqrt(draw.weight).astype(self.Z.dtype)
        return KroneckerHessian(basis, values, (half @ half.T).astype(np.float64))


class HessianRows:
    """The rows from which products are computed: all of them, or a sample of those that are too many to copy."""

    def __init__(self) -> None:
        self.rows: Rows | None = None
        self.columns: IntArray = np.zeros(0, dtype=np.intp)
        self.Z: FloatArray = np.zeros((0, 0), dtype=np.float32)

    def products(self, objective: Objective, theta: FloatArray, columns: list[IntArray]) -> list[HessianProducts]:
        """Return the Hessian of each model in some of the columns, the bias among them as column d.

        Returns
        -------
        list of HessianProducts
            One for each model.
        """
        self._copy(objective, np.unique(np.concatenate(columns)))
        assert self.rows is not None
        W, b = objective.coordinates.to_stored(theta)
        prepared = self.rows.prepare(W.reshape(b.size, -1))
        P = self.rows.map(Probabilities(objective.state, prepared, b))
        V = np.asarray(self.rows.map(MemberWeights(objective.state)))
        V = (V / V.sum(axis=0)).astype(np.float32)
        models = []
        for j, own in enumerate(columns):
            whole = len(own) == len(self.columns)
            Z = self.Z if whole else self.Z[np.searchsorted(self.columns, own)]
            P_of = np.ascontiguousarray(P[:, j].T)
            models.append(HessianProducts(Z, P_of, np.ascontiguousarray(V[:, j]), objective.ridge[j, 0, own]))
        return models

    def _copy(self, objective: Objective, columns: IntArray) -> None:
        """Copy these columns of the rows, unless they have been copied already."""
        if self.rows is not None and np.isin(columns, self.columns).all():
            return
        rows = objective.rows
        in_memory = isinstance(rows, DenseRows | SparseRows) and rows.fits_in_memory
        size = min(rows.n if in_memory else MOST_READ_ROWS, max(1, MOST_NUMBERS // len(columns)))
        self.rows = rows if rows.n <= size else rows.sample(size, 0)
        shift, scale = objective.coordinates.for_block()
        taken = StandardisedColumns(shift, scale, columns, float(objective.fit_intercept))
        self.Z, self.columns = np.ascontiguousarray(self.rows.map(taken).T), columns


@dataclass(frozen=True, slots=True, eq=False)
class StandardisedColumns:
    """Some columns of the rows in the solver's coordinates, (n, k) in float32; column d is that of the bias."""

    shift: Array
    scale: Array
    columns: IntArray
    bias_column: float

    def evaluate(self, block: Block) -> Array:
        """Return the columns of one block."""
        n, own = block.stop - block.start, self.columns < len(self.shift)
        out = np.full((n, len(own)), self.bias_column, dtype=np.float32)
        for a in range(0, n, RUN_ROWS):
            b = min(a + RUN_ROWS, n)
            Z = block.piece(a, b).standardised(self.shift, self.scale)
            out[a:b, own] = Z[:, self.columns[own]]
        return out


@dataclass(frozen=True, slots=True, eq=False)
class Probabilities:
    """The probabilities (n, m, q) in float32, from prepared weights and bias (m, q)."""

    state: StackState
    prepared: BackendArray
    bias: Array

    def evaluate(self, block: Block) -> Array:
        """Return the probabilities of one block."""
        P, _ = loss.probabilities(self.state.logits_at(block, self.prepared, self.bias))
        return np.moveaxis(P, 2, 0).astype(np.float32)
