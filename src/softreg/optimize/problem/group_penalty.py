"""The group penalty: all class weights of a column are zero, or none is.

The dual norm of a column is the Euclidean norm of its gradient over the classes. At an optimum without an l2 part

    ||a_j||_2 <= strength * sqrt(q),   with equality and a_j = -strength * sqrt(q) * w_j / ||w_j||_2 where w_j != 0,

for the gradient a_j of the loss with respect to the class weights w_j of column j. A gradient that violates the bound
is scaled into the feasible set, which gives the dual point of the certificate.

References
----------
Yuan and Lin (2006), Model selection and estimation in regression with grouped variables.
Vincent and Hansen (2014), Sparse group lasso and high dimensional multinomial classification.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.optimize.problem.elastic_net import ElasticNet, l2
from softreg.optimize.problem.penalty_protocol import Trait
from softreg.typing import Array, BoolArray, Float64Array, IntArray


@dataclass(frozen=True)
class GroupPenalty:
    """The penalty `strength * sqrt(q) * sum_j ||w_j||_2 + l2 / 2 * ||W||^2` of each model of a stack.

    Parameters
    ----------
    strength : array of shape (m,)
        Strength of the group part, > 0.
    l2 : array of shape (m,)
        Strength of the l2 part, >= 0.

    Examples
    --------
    >>> penalty = GroupPenalty(np.array([1.0]), np.array([0.0]))
    >>> penalty.value(np.array([[[3.0], [4.0], [0.0], [0.0]]]))
    array([10.])
    """

    strength: Float64Array
    l2: Float64Array

    def __len__(self) -> int:
        return len(self.strength)

    @property
    def traits(self) -> frozenset[Trait]:
        """Norms of columns, which it selects; strongly convex if each model has an l2 part."""
        traits = {Trait.COLUMN_NORMS, Trait.SELECTS_COLUMNS}
        if (self.l2 > 0).all():
            traits.add(Trait.STRONGLY_CONVEX)
        return frozenset(traits)

    @property
    def support(self) -> BoolArray | None:
        """All weights may differ from 0."""
        return None

    @property
    def strong_convexity(self) -> Float64Array:
        """Strength of the l2 part, (m,)."""
        return self.l2

    @property
    def quadratic_strength(self) -> Float64Array:
        """Strength of the l2 part, (m,)."""
        return self.l2

    @property
    def center(self) -> None:
        """None: the quadratic part is 0 at weights of 0."""
        return None

    @property
    def bounds(self) -> None:
        """None: no weight is bounded."""
        return None

    @property
    def threshold(self) -> Float64Array:
        """Strength of the group part, (m,)."""
        return self.strength

    @property
    def is_smooth(self) -> bool:
        """False: a column of zeros is a kink."""
        return False

    @property
    def has_kink(self) -> bool:
        """True: a column of zeros is a kink."""
        return True

    @property
    def is_zero(self) -> BoolArray:
        """False for all models: each has a group part."""
        return np.zeros(len(self), dtype=bool)

    @property
    def may_diverge(self) -> BoolArray:
        """False for all models."""
        return self.is_zero

    def recession_part(self, D: Array) -> Array:
        """Return zeros: the penalty grows along any direction."""
        return np.zeros_like(D)

    @property
    def _ridge(self) -> ElasticNet:
        """The l2 part."""
        return l2(self.l2)

    def value(self, W: Array) -> Float64Array:
        """Return the penalty of each model, (m,)."""
        return np.asarray(self.smooth_value(W) + self.nonsmooth_value(W, np.ones(W.shape[2])))

    def smooth_value(self, W: Array) -> Float64Array:
        """Return `l2 / 2 * ||W||^2` of each model, (m,)."""
        return self._ridge.smooth_value(W)

    def smooth_gradient(self, W: Array) -> Float64Array:
        """Return `l2 * W`."""
        return self._ridge.smooth_gradient(W)

    def quadratic_diagonal(self, scale: Float64Array) -> Float64Array:
        """Return `l2 / scale**2`, (m, 1, d)."""
        return self._ridge.quadratic_diagonal(scale)

    def kink(self, scale: Float64Array) -> Float64Array:
        """Raise, since the penalty is not a sum over single weights.

        Raises
        ------
        TypeError
            Always.
        """
        raise TypeError("the group penalty has no coefficients of single weights")

    def nonsmooth_value(self, U: Array, scale: Float64Array) -> Float64Array:
        """Return `strength * sqrt(q) * sum_j ||u_j||_2 / scale_j`, (m,)."""
        return np.asarray((self._radius(U, scale) * _norm(U)).sum(axis=1))

    def directional_gradient(self, U: Array, D: Array, scale: Float64Array) -> Float64Array:
        """Return `strength * sqrt(q) / scale_j * u_j / ||u_j||_2`, with d_j in place of u_j where u_j = 0."""
        norm = _norm(U)[:, None]
        unit = np.where(norm > 0, U, D)
        norm = np.where(norm > 0, norm, _norm(D)[:, None])
        return np.asarray(self._radius(U, scale)[:, None] * np.divide(unit, norm, out=np.zeros_like(D), where=norm > 0))

    def prox(self, U: Array, step: Array | float, scale: Float64Array) -> Float64Array:
        """Return `max(1 - step * radius_j / ||u_j||_2, 0) * u_j / (1 + step * l2 / scale_j**2)`.

        `radius_j` is `strength * sqrt(q) / scale_j`.

        Returns
        -------
        array of shape (m, q, d)
            The minimiser of `||U - V||^2 / 2 + step * penalty` over V.

        Examples
        --------
        >>> penalty = group_penalty(1.0)
        >>> penalty.prox(np.array([[[3.0, 0.6], [4.0, 0.8]]]), 1.0, np.ones(2)).round(3).tolist()
        [[[2.151, 0.0], [2.869, 0.0]]]
        """
        norm, radius = _norm(U)[:, None], step * self._radius(U, scale)[:, None]
        share = np.where(norm > radius, 1 - radius / np.where(norm > 0, norm, 1.0), 0.0)
        return np.asarray(share * U / (1 + step * self.quadratic_diagonal(scale)))

    def conjugate(self, A: Array) -> Float64Array:
        """Return `sum_j max(||a_j||_2 - strength * sqrt(q), 0)^2 / (2 l2)`; for l2 = 0 the indicator of the bound.

        Returns
        -------
        array of shape (m,)
            Conjugate of the penalty of each model.

        Examples
        --------
        >>> penalty = GroupPenalty(np.ones(2), np.array([1.0, 0.0]))
        >>> penalty.conjugate(np.full((2, 4, 1), 1.5))
        array([0.5, inf])
        """
        return np.asarray(self._column_conjugate(A).sum(axis=1))

    def fenchel_gap(self, A: Array, W: Array) -> Float64Array:
        """Return `penalty(W) + conjugate(-A) + <A, W>`, (m,); inf where the conjugate is infinite."""
        with np.errstate(all="ignore"):  # an overflow gives inf, which is a valid bound
            ones = np.ones(W.shape[2])
            terms = self._radius(W, ones) * _norm(W) + 0.5 * self.l2[:, None] * np.einsum("mqd,mqd->md", W, W)
            terms += self._column_conjugate(A) + np.einsum("mqd,mqd->md", A, W)
            gap = np.maximum(terms, 0.0).sum(axis=1)
        return np.where(np.isnan(gap), np.inf, gap)

    def feasible_share(self, A: Array) -> Float64Array:
        """Return 1 where l2 > 0 and `min(1, strength * sqrt(q) / max_j ||a_j||_2)` elsewhere, (m,)."""
        largest = self.dual_norm(A)
        share = np.where(largest > self.strength, self.strength / np.where(largest > 0, largest, 1.0), 1.0)
        return np.where(self.l2 > 0, 1.0, share)

    def column_dual_norm(self, A: Array) -> Float64Array:
        """Return `||a_j||_2 / sqrt(q)`, (m, d)."""
        return np.asarray(_norm(A) / np.sqrt(A.shape[1]))

    def dual_norm(self, A: Array) -> Float64Array:
        """Return `max_j ||a_j||_2 / sqrt(q)`, (m,): the smallest strength at which all weights are 0."""
        return np.asarray(self.column_dual_norm(A).max(axis=1, initial=0.0))

    def common_shift(self, W: Array) -> Float64Array:
        """Return the mean over the classes, (m, 1, d), which minimises `||w_j - c||_2`."""
        return np.asarray(W.mean(axis=1, keepdims=True))

    def keep(self, members: IntArray | BoolArray) -> GroupPenalty:
        """Return the penalty of some models of the stack."""
        return GroupPenalty(self.strength[members], self.l2[members])

    def keep_columns(self, columns: IntArray) -> GroupPenalty:
        """Return the penalty itself: all columns have the same strength."""
        return self

    def _radius(self, U: Array, scale: Float64Array) -> Float64Array:
        """Return `strength * sqrt(q) / scale`, (m, d): the radius of the subdifferential at a column of zeros."""
        return np.asarray(self.strength[:, None] * np.sqrt(U.shape[1]) / scale)

    def _column_conjugate(self, A: Array) -> Float64Array:
        """Return the conjugate of each column, (m, d)."""
        excess = np.maximum(_norm(A) - self.strength[:, None] * np.sqrt(A.shape[1]), 0.0)
        with np.errstate(all="ignore"):
            return np.where(excess > 0, excess**2 / (2 * self.l2[:, None]), 0.0)


def group_penalty(strength: Array | float, share: Array | float = 1.0) -> GroupPenalty | ElasticNet:
    """Return `strength * (share * sqrt(q) * sum_j ||w_j||_2 + (1 - share) / 2 * ||W||^2)`.

    Parameters
    ----------
    strength : float or array of shape (m,)
        Strength of each model, >= 0.
    share : float or array of shape (m,)
        Share of the group part, > 0; the remainder is the l2 part.

    Returns
    -------
    GroupPenalty or ElasticNet
        The penalty of m models; no penalty at all if all strengths are 0.

    Examples
    --------
    >>> group_penalty(0.5).value(np.array([[[3.0], [4.0], [0.0], [0.0]]]))
    array([5.])
    """
    size, part = np.broadcast_arrays(np.atleast_1d(strength).astype(float), np.atleast_1d(share).astype(float))
    return GroupPenalty(size * part, size * (1 - part)) if size.any() else l2(size)


def _norm(U: Array) -> Float64Array:
    """Return the Euclidean norm (m, d) over the classes."""
    return np.asarray(np.sqrt(np.einsum("mqd,mqd->md", U, U)))
