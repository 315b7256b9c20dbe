"""A preconditioner for many classes: two clusters of rows for each class, and one within-class scatter for all.

A class's block of the Hessian is the mean of `p (1 - p) [z; 1] [z; 1]^T`. The rows with a large class variance
`p (1 - p)` are of two kinds: those of the class itself, and those of others to which the model gives some probability
of the class. With means `c_1` and `c_2` and summed variances `u_1` and `u_2` of the two kinds, and the scatter S within
classes,

    block = (u_1 + u_2) S + u_1 [c_1; 1] [c_1; 1]^T + u_2 [c_2; 1] [c_2; 1]^T + ridge.

In the coordinates in which S and the ridge are diagonal, its inverse is a division and a correction of rank two. No
factor per class is kept, and all sums are by-products of a pass.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import scipy.linalg as sl

from softreg.linalg import TINY
from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.objective.stack_state import StackState
from softreg.rows import Block, Sums
from softreg.typing import BoolArray, Float64Array, FloatArray

MIN_CURVATURE = 1e-3
"""Curvature of a class, at least, as a part of the average."""
SCATTER_RIDGE = 1e-5
"""Added to the ridge, divided by the number of classes, so that no direction has no curvature."""
MAX_RIDGE = 1e200
"""Ridge of a column in tiny units, at most."""
MIN_CLUSTER_MASS = 1e-12
"""Share of the rows below which a cluster has no centre."""


@dataclass(frozen=True)
class ClusterPreconditioner:
    """The inverse of one block per class, as a diagonal with a correction of rank two."""

    basis: FloatArray
    """Basis (d, d) in which scatter and ridge are diagonal."""
    inverse_diagonal: FloatArray
    """One over that diagonal, (m, q, d)."""
    centres: FloatArray
    """Centres (2, m, q, d + 1) of the clusters in that basis, times the root of their variance."""
    core: Float64Array
    """Inverse (m, q, 2, 2) of the matrix of the correction."""
    inverse_bias: FloatArray
    """One over the small curvature (m, q) of the bias without clusters."""

    def solve(self, G: FloatArray) -> FloatArray:
        """Return the inverse of each class's block times its gradient (m, q, d + 1)."""
        out = np.empty_like(G)
        for j in range(len(G)):
            g = np.empty(G.shape[1:], dtype=self.basis.dtype)
            g[:, :-1] = self.inverse_diagonal[j] * (G[j, :, :-1].astype(self.basis.dtype) @ self.basis)
            g[:, -1] = self.inverse_bias[j] * G[j, :, -1]
            weight = np.stack([np.einsum("qd,qd->q", centre, g) for centre in self.centres[:, j]], axis=-1)
            weight = np.einsum("qab,qb->qa", self.core[j], weight).astype(g.dtype)
            for centre, share in zip(self.centres[:, j], weight.T, strict=True):
                g[:, :-1] -= self.inverse_diagonal[j] * centre[:, :-1] * share[:, None]
                g[:, -1] -= self.inverse_bias[j] * centre[:, -1] * share
            out[j, :, :-1] = g[:, :-1] @ self.basis.T
            out[j, :, -1] = g[:, -1]
        return out

    def keep(self, members: BoolArray) -> ClusterPreconditioner:
        """Return the preconditioner of some models of the stack."""
        return replace(
            self,
            inverse_diagonal=self.inverse_diagonal[members],
            centres=self.centres[:, members],
            core=self.core[members],
            inverse_bias=self.inverse_bias[members],
        )


@dataclass(frozen=True)
class ScatterBasis:
    """The within-class scatter relative to the ridge, diagonalized."""

    eigenvalues: Float64Array
    """Eigenvalues (d,)."""
    vectors: Float64Array
    """Basis (d, d) in which scatter and ridge are diagonal."""


@dataclass(frozen=True)
class ClassClusters:
    """The two clusters of each class."""

    variance: Float64Array
    """Mean class variance (m, q)."""
    parts: Float64Array
    """Its parts (2, m, q) from rows of the class and of others."""
    centres: Float64Array
    """Centres (2, m, q, d) of both clusters."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelClusterSums:
    """Sums for the clusters of each class: variance and mass (m, q), and those of the rows with its label.

    The latter are the sums of the weights `V p (1 - p)` and `V p` of the label, (2 m, q), and of weight times row,
    (2 m, q, d).
    """

    state: StackState
    half_passes: ClassVar[int] = 0

    def evaluate(self, block: Block) -> Sums:
        """Return the sums of one block."""
        confidence, q = self.state.confidence(block), self.state.q
        p = confidence.p_label
        V, labels = self.state.weights(block), block.labels
        weighted = p if V is None else p * V
        w = np.concatenate([weighted * (1 - p), weighted])
        codes = labels if labels.ndim == 1 else labels.argmax(axis=1)
        mass = np.stack([np.bincount(codes, weights=of_model, minlength=q) for of_model in w])
        return confidence.class_variance, confidence.class_mass, mass, block.class_sums(w, q)


class ClassClusterCurvature:
    """Computes preconditioners from sums over the last pass."""

    def __init__(self) -> None:
        self.basis: ScatterBasis | None = None

    def relative_change(self, objective: Objective, theta: FloatArray) -> float:
        """Return inf: the clusters cost so little that they are computed at each review."""
        return np.inf

    def drop_members(self, keep: BoolArray) -> None:
        """Do nothing: nothing is kept for single members."""

    def preconditioner(self, objective: Objective, theta: FloatArray, G: FloatArray) -> ClusterPreconditioner:
        """Return the preconditioner at `theta`, where the last pass was and where the gradient is G (m, q, d + 1)."""
        if self.basis is None:
            self.basis = self._scatter_basis(objective)
        T = self.basis.vectors
        clusters = self._clusters(objective, theta, G)
        u = clusters.variance
        u = np.maximum(u, MIN_CURVATURE * u.mean(axis=1, keepdims=True) + TINY)
        ridge = objective.penalty.strong_convexity
        relative_ridge = ridge / ridge.min() if ridge.min() > 0 else np.ones_like(ridge)
        inverse_diagonal = 1 / (u[..., None] * self.basis.eigenvalues + relative_ridge[:, None, None])
        inverse_bias = 1 / (MIN_CURVATURE * u)
        ones = np.full((*clusters.centres.shape[:-1], 1), objective.fit_intercept)
        centres = np.concatenate([clusters.centres @ T, ones], axis=-1)
        centres *= np.sqrt(clusters.parts)[..., None]
        weights = centres[..., :-1]
        inner = np.einsum("amqd,mqd,bmqd->mqab", weights, inverse_diagonal, weights, optimize=True)
        inner += np.einsum("amq,mq,bmq->mqab", centres[..., -1], inverse_bias, centres[..., -1])
        core = np.linalg.inv(inner + np.eye(2))
        dtype = objective.rows.dtype
        return ClusterPreconditioner(
            T.astype(dtype), inverse_diagonal.astype(dtype), centres.astype(dtype), core, inverse_bias.astype(dtype)
        )

    def _scatter_basis(self, objective: Objective) -> ScatterBasis:
        with np.errstate(over="ignore"):
            ridge = objective.penalty.strong_convexity.min() / objective.coordinates.scale**2
        root = 1 / np.sqrt(np.minimum(ridge, MAX_RIDGE) + SCATTER_RIDGE / objective.q)
        S = objective.scatter.within * root * root[:, None]
        eigenvalues, vectors = sl.eigh(S, driver="evd", overwrite_a=True)
        return ScatterBasis(np.maximum(eigenvalues, 0.0), root[:, None] * vectors)

    def _clusters(self, objective: Objective, theta: FloatArray, G: FloatArray) -> ClassClusters:
        """Return the clusters of each class.

        Rows of other classes count with p in place of p (1 - p): their sum is then the gradient's, without a product.

        Returns
        -------
        ClassClusters
            Variances and centres.
        """
        m, q = objective.m, objective.q
        variance, class_mass, mass, sums = objective.sum(LabelClusterSums(objective.state))
        per_row = objective.mass[:, None]
        predicted_within, labelled = mass.reshape(2, m, q) / per_row
        predicted_within_sum, labelled_sum = (
            objective.coordinates.gradient(s / per_row[..., None], r)
            for s, r in zip(sums.reshape(2, m, q, -1), (predicted_within, labelled), strict=True)
        )
        u = np.maximum(variance / per_row, 0.0)
        predicted_within = np.minimum(predicted_within, u)
        predicted_sum = G[..., :-1] - objective.ridge[..., :-1] * theta[..., :-1] + objective.moments.sums
        others = _ratio(predicted_sum - labelled_sum, class_mass / per_row - labelled)
        return ClassClusters(
            u,
            np.stack([predicted_within, u - predicted_within]),
            np.stack([_ratio(predicted_within_sum, predicted_within), others]),
        )


def _ratio(sums: Float64Array, mass: Float64Array) -> Float64Array:
    """Return `sums / mass` (m, q, d), 0 where the mass is."""
    safe = np.maximum(mass, 0.0)[..., None]
    return np.divide(sums, safe, out=np.zeros_like(sums), where=safe > MIN_CLUSTER_MASS)
