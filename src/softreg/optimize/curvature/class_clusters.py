"""The curvature for many classes: two clusters of rows for each class, and one scatter about them that all share.

A class's block of the Hessian is the mean of `p (1 - p) [z; 1] [z; 1]^T`. The rows in doubt are of two kinds, those of
the class itself and those of others that the model takes for it. With mean `c_1` and `c_2` and summed doubt `u_1` and
`u_2` of the two kinds, and the scatter S within classes,

    block = (u_1 + u_2) S + u_1 [c_1; 1] [c_1; 1]^T + u_2 [c_2; 1] [c_2; 1]^T + ridge.

In the coordinates in which S and the ridge are diagonal, its inverse is a division and a correction of rank two. No
factor a class is kept, and all it takes is what a pass has told anyway.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg as sl

from softreg.optimize.objective.cached import Objective
from softreg.rows import Array, Block, Sums

LEAST = 1e-3
"""No class's curvature is taken to be less than this part of the average."""
FLOOR = 1e-5
"""Of the scatter, so much over the number of classes is added to the ridge, so that none of it is taken to be flat."""


@dataclass(frozen=True)
class Clusters:
    """Blocks (m, q) of the curvature: `basis` (d, d) makes scatter and ridge diagonal, and `flat` (m, q, d) is one over
    them. `far` (2, m, q, d + 1) are the clusters' vectors in that basis, `core` (m, q, 2, 2) is the inverse of the
    correction, `bias` (m, q) one over the small curvature that the bias has without clusters."""

    basis: Array
    flat: Array
    far: Array
    core: Array
    bias: Array

    def solve(self, G: Array) -> Array:
        """The inverse of each class's block times its gradient (m, q, d + 1)."""
        out = np.empty_like(G)
        for j in range(len(G)):
            g = np.empty(G.shape[1:], dtype=self.basis.dtype)
            g[:, :-1] = self.flat[j] * (G[j, :, :-1].astype(self.basis.dtype) @ self.basis)
            g[:, -1] = self.bias[j] * G[j, :, -1]
            weight = np.stack([np.einsum("qd,qd->q", far, g) for far in self.far[:, j]], axis=-1)
            weight = np.einsum("qab,qb->qa", self.core[j], weight).astype(g.dtype)
            for far, share in zip(self.far[:, j], weight.T, strict=True):
                g[:, :-1] -= self.flat[j] * far[:, :-1] * share[:, None]
                g[:, -1] -= self.bias[j] * far[:, -1] * share
            out[j, :, :-1] = g[:, :-1] @ self.basis.T
            out[j, :, -1] = g[:, -1]
        return out

    def keep(self, members: Array) -> Clusters:
        """The curvature of some models of the stack."""
        return replace(
            self, flat=self.flat[members], far=self.far[:, members], core=self.core[members], bias=self.bias[members]
        )


class ClusterSketch:
    """How to make the curvature of what the last pass has told."""

    def __init__(self) -> None:
        self.basis: tuple[Array, Array] | None = None

    def change(self, objective: Objective, theta: Array) -> float:
        """inf: clusters are so cheap that they are taken anew whenever it may be time."""
        return np.inf

    def drop_members(self, keep: Array) -> None:
        """Only the models marked in `keep` stay: nothing is kept of them here."""

    def curvature(self, objective: Objective, theta: Array, G: Array) -> Clusters:
        """The curvature at `theta`, where the last pass was and where the gradient is G (m, q, d + 1)."""
        if self.basis is None:
            self.basis = self._basis(objective)
        spread, T = self.basis
        u, doubt, centres = self._doubts(objective, theta, G)
        least = LEAST * u.mean(axis=1, keepdims=True) + 1e-300
        u = np.maximum(u, least)
        ridge = objective.penalty.strong_convexity
        share = ridge / ridge.min() if ridge.min() > 0 else np.ones_like(ridge)
        flat = 1 / (u[..., None] * spread + share[:, None, None])
        bias = 1 / (LEAST * u)
        far = np.concatenate([centres @ T, np.full((*centres.shape[:-1], 1), objective.fit_intercept)], axis=-1)
        far *= np.sqrt(doubt)[..., None]
        inner = np.einsum("amqd,mqd,bmqd->mqab", far[..., :-1], flat, far[..., :-1], optimize=True)
        inner += np.einsum("amq,mq,bmq->mqab", far[..., -1], bias, far[..., -1])
        core = np.linalg.inv(inner + np.eye(2))
        dtype = objective.rows.dtype
        return Clusters(T.astype(dtype), flat.astype(dtype), far.astype(dtype), core, bias.astype(dtype))

    def _basis(self, objective: Objective) -> tuple[Array, Array]:
        """Eigenvalues (d,) of the scatter relative to the ridge, and the basis (d, d) in which both are diagonal."""
        with np.errstate(over="ignore"):
            ridge = objective.penalty.strong_convexity.min() / objective.coordinates.scale**2
        root = 1 / np.sqrt(np.minimum(ridge, 1e200) + FLOOR / objective.q)
        S = objective.scatter.within * root * root[:, None]
        spread, vectors = sl.eigh(S, driver="evd", overwrite_a=True)
        return np.maximum(spread, 0.0), root[:, None] * vectors

    def _doubts(self, objective: Objective, theta: Array, G: Array) -> tuple[Array, Array, Array]:
        """Mean doubt of each class (m, q), its two parts (2, m, q), and the centres of both clusters (2, m, q, d).

        Rows of other classes count with p in place of p (1 - p): their sum is then the gradient's, with no product.
        """
        m, q = objective.m, objective.q

        def part(block: Block) -> Sums:
            sure = objective.surety(block)
            own = sure.own
            V, labels = objective.weights(block), block.labels
            weighted = own if V is None else own * V
            w = np.concatenate([weighted * (1 - own), weighted])
            codes = labels if labels.ndim == 1 else labels.argmax(axis=1)
            mass = np.stack([np.bincount(codes, weights=one, minlength=q) for one in w])
            return sure.doubt, sure.predicted, mass, block.class_sums(w, q)

        doubt, predicted, mass, sums = objective.rows.sum(part)
        per = objective.mass[:, None]
        near, mine = mass.reshape(2, m, q) / per
        near_sum, mine_sum = (
            objective.coordinates.gradient(s / per[..., None], r)
            for s, r in zip(sums.reshape(2, m, q, -1), (near, mine), strict=True)
        )
        u = np.maximum(doubt / per, 0.0)
        near = np.minimum(near, u)
        all_sum = G[..., :-1] - objective.ridge[:, None, :-1] * theta[..., :-1] + objective.moments.sums
        centres = np.stack([_ratio(near_sum, near), _ratio(all_sum - mine_sum, predicted / per - mine)])
        return u, np.stack([near, u - near]), centres


def _ratio(sums: Array, mass: Array) -> Array:
    safe = np.maximum(mass, 0.0)[..., None]
    return np.divide(sums, safe, out=np.zeros_like(sums), where=safe > 1e-12)
