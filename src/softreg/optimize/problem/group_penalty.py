"""The group penalty: all weights of a group of columns are zero, or none need be.

For groups g of columns, with q classes and weights W_g (q, |g|),

    penalty(W) = sum_g R_g ||W_g||_F + l2 / 2 ||W||^2,   R_g = strength * sqrt(q |g|).

Without groups each column is one. The root of the number of weights makes groups of different size comparable: the
gradient of pure noise has about that norm.

The groups are disjoint, so everything is a sum over them.

- Conjugate: `sup_W <A_g, W_g> - R_g ||W_g|| - l2 / 2 ||W_g||^2` is reached along A_g. With `w = ||W_g||` it is
  `sup_w (||A_g|| - R_g) w - l2 / 2 w^2 = max(||A_g|| - R_g, 0)^2 / (2 l2)`; for l2 = 0 the indicator of
  `||A_g|| <= R_g`.
- Dual norm: all weights are zero at `strength >= max_g ||A_g|| / sqrt(q |g|)` for the gradient A of the loss at zero.
- Optimum without an l2 part: `||A_g|| <= R_g`, with equality and `A_g = -R_g W_g / ||W_g||` where W_g is not 0.
- Dual point: the conjugate of a positive multiple of the gradient is finite if the multiple is at most
  `min_g R_g / ||A_g||` (`feasible_share`); the certificate scales the gradient by it.
- Common shift: `||W_g - 1 c^T||_F^2` is a sum over the columns of g, whose least value is at the mean over the classes.

A solver works with `u_j = scale_j w_j`. A group of one column has the penalty `R / scale ||u||`, but that of several
columns, `R_g ||U_g / scale_g||`, is no multiple of `||U_g||`. Its proximal operator in u is in w the minimum of
`sum_j scale_j^2 / (2 step) ||w_j - u_j / scale_j||^2 + R_g ||W_g||`, which `column_groups.block_minimum` finds.

References
----------
Yuan and Lin (2006), Model selection and estimation in regression with grouped variables.
Vincent and Hansen (2014), Sparse group lasso and high dimensional multinomial classification.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from softreg.optimize.problem.column_groups import ColumnGroups, block_minimum
from softreg.optimize.problem.elastic_net import ElasticNet, l2
from softreg.optimize.problem.penalty_protocol import Trait
from softreg.typing import Array, BoolArray, Float64Array, IntArray


@dataclass(frozen=True)
class GroupPenalty:
    """The penalty `strength * sum_g sqrt(q |g|) ||W_g||_F + l2 / 2 * ||W||^2` of each model of a stack.

    Parameters
    ----------
    strength : array of shape (m,)
        Strength of the group part, > 0.
    l2 : array of shape (m,)
        Strength of the l2 part, >= 0.
    groups : ColumnGroups, optional
        Groups of columns; None if each column is one.

    Examples
    --------
    >>> penalty = GroupPenalty(np.array([1.0]), np.array([0.0]))
    >>> penalty.value(np.array([[[3.0], [4.0], [0.0], [0.0]]]))
    array([10.])
    >>> whole = GroupPenalty(np.array([1.0]), np.array([0.0]), ColumnGroups.of(np.array([0, 0])))
    >>> whole.value(np.array([[[3.0, 0.0], [0.0, 4.0]]]))
    array([10.])
    """

    strength: Float64Array
    l2: Float64Array
    groups: ColumnGroups | None = None

    def __len__(self) -> int:
        return len(self.strength)

    @property
    def traits(self) -> frozenset[Trait]:
        """Norms of groups of columns, which it selects; strongly convex if each model has an l2 part."""
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
        """False: a group of zeros is a kink."""
        return False

    @property
    def has_kink(self) -> bool:
        """True: a group of zeros is a kink."""
        return True

    @property
    def is_zero(self) -> BoolArray:
        """False for all models: each has a group part."""
        return np.zeros(len(self), dtype=bool)

    @property
    def may_diverge(self) -> BoolArray:
        """False for all models."""
        return self.is_zero

    @property
    def free_columns(self) -> None:
        """None: all columns have the same penalty."""
        return None

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
        """Return `sum_g R_g ||U_g / scale_g||`, (m,)."""
        if self.groups is None:
            return np.asarray((self._radius(U, scale) * self._norm(U)).sum(axis=1))
        d = len(self.groups.codes)
        terms = self._once_a_group(self._bound(U.shape[1]) * self._norm(U[..., :d] / scale[:d]))
        return np.asarray(terms.sum(axis=1))

    def directional_gradient(self, U: Array, D: Array, scale: Float64Array) -> Float64Array:
        """Return `R_g / scale_j * w_j / ||W_g||` for `W = U / scale`, with D in place of U where U_g = 0."""
        if self.groups is None:
            norm = self._norm(U)[:, None]
            unit = np.where(norm > 0, U, D)
            norm = np.where(norm > 0, norm, self._norm(D)[:, None])
            share = np.divide(unit, norm, out=np.zeros_like(D), where=norm > 0)
            return np.asarray(self._radius(U, scale)[:, None] * share)
        d = len(self.groups.codes)
        W, E = U[..., :d] / scale[:d], D[..., :d] / scale[:d]
        norm = self._norm(W)[:, None]
        unit = np.where(norm > 0, W, E)
        norm = np.where(norm > 0, norm, self._norm(E)[:, None])
        share = np.divide(unit, norm, out=np.zeros_like(E), where=norm > 0)
        gradient = np.zeros_like(D)
        gradient[..., :d] = self._bound(U.shape[1])[:, None] * share / scale[:d]
        return gradient

    def prox(self, U: Array, step: Array | float, scale: Float64Array) -> Float64Array:
        """Return the minimiser of `||V - U||^2 / (2 step) + penalty(V / scale)` over V.

        For a group of one column it is `max(1 - step * R / ||u_j||_2, 0) * u_j / (1 + step * l2 / scale_j**2)` with
        `R = strength * sqrt(q) / scale_j`.

        Returns
        -------
        array of shape (m, q, d)
            The minimiser.

        Examples
        --------
        >>> penalty = group_penalty(1.0)
        >>> penalty.prox(np.array([[[3.0, 0.6], [4.0, 0.8]]]), 1.0, np.ones(2)).round(3).tolist()
        [[[2.151, 0.0], [2.869, 0.0]]]
        """
        if self.groups is not None:
            return self._prox_of_groups(U, np.broadcast_to(step, (len(U), 1, U.shape[2])), scale)
        norm, radius = self._norm(U)[:, None], step * self._radius(U, scale)[:, None]
        share = np.where(norm > radius, 1 - radius / np.where(norm > 0, norm, 1.0), 0.0)
        return np.asarray(share * U / (1 + step * self.quadratic_diagonal(scale)))

    def _prox_of_groups(self, U: Array, step: Array, scale: Float64Array) -> Float64Array:
        """Return the same group by group, in the weights `V / scale`."""
        assert self.groups is not None
        V, bound = np.array(U, dtype=np.float64), self._bound(U.shape[1])
        for j, first in np.ndindex(len(U), len(self.groups.first)):
            at = self.groups.first[first]
            g = np.flatnonzero(self.groups.codes == self.groups.codes[at])
            curvature = np.broadcast_to(scale[g] ** 2 / step[j, 0, g], (U.shape[1], len(g)))
            c = curvature * U[j][:, g] / scale[g]
            guess = float(np.linalg.norm(U[j][:, g] / scale[g]))
            V[j][:, g] = block_minimum(c, curvature + self.l2[j], float(bound[j, at]), guess) * scale[g]
        return V

    def conjugate(self, A: Array) -> Float64Array:
        """Return `sum_g max(||A_g|| - R_g, 0)^2 / (2 l2)`; for l2 = 0 the indicator of `||A_g|| <= R_g`.

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
        return np.asarray(self._once_a_group(self._group_conjugate(A)).sum(axis=1))

    def fenchel_gap(self, A: Array, W: Array) -> Float64Array:
        """Return `penalty(W) + conjugate(-A) + <A, W>`, (m,); inf where the conjugate is infinite."""
        with np.errstate(all="ignore"):  # an overflow gives inf, which is a valid bound
            terms = self._bound(W.shape[1]) * self._norm(W) + 0.5 * self.l2[:, None] * self._total(W, W)
            terms += self._group_conjugate(A) + self._total(A, W)
            gap = np.maximum(self._once_a_group(terms), 0.0).sum(axis=1)
        return np.where(np.isnan(gap), np.inf, gap)

    def feasible_share(self, A: Array) -> Float64Array:
        """Return 1 where l2 > 0 and `min(1, min_g R_g / ||A_g||)` elsewhere, (m,)."""
        largest = self.dual_norm(A)
        share = np.where(largest > self.strength, self.strength / np.where(largest > 0, largest, 1.0), 1.0)
        return np.where(self.l2 > 0, 1.0, share)

    def column_dual_norm(self, A: Array) -> Float64Array:
        """Return `||A_g|| / sqrt(q |g|)` for the group of each column, (m, d)."""
        if self.groups is None:
            return np.asarray(self._norm(A) / np.sqrt(A.shape[1]))
        return np.asarray(self._norm(A) / np.sqrt(A.shape[1] * self.groups.size))

    def dual_norm(self, A: Array) -> Float64Array:
        """Return `max_g ||A_g|| / sqrt(q |g|)`, (m,): the smallest strength at which all weights are 0."""
        return np.asarray(self.column_dual_norm(A).max(axis=1, initial=0.0))

    def common_shift(self, W: Array) -> Float64Array:
        """Return the mean over the classes, (m, 1, d), which minimises `||W_g - c_g||`."""
        return np.asarray(W.mean(axis=1, keepdims=True))

    def keep(self, members: IntArray | BoolArray) -> GroupPenalty:
        """Return the penalty of some models of the stack."""
        return GroupPenalty(self.strength[members], self.l2[members], self.groups)

    def keep_columns(self, columns: IntArray) -> GroupPenalty:
        """Return the penalty on some columns: R_g remains that of the whole group."""
        return self if self.groups is None else replace(self, groups=self.groups.keep_columns(columns))

    def whole_groups(self, marked: BoolArray) -> BoolArray:
        """Return a mask (m, d) of the columns of all groups of which a column is marked."""
        return marked if self.groups is None else self.groups.whole(marked)

    def _bound(self, q: int) -> Float64Array:
        """Return R_g for the group of each column, (m, d) or (m, 1)."""
        size = np.ones(1) if self.groups is None else self.groups.size
        return np.asarray(self.strength[:, None] * np.sqrt(q * size))

    def _radius(self, U: Array, scale: Float64Array) -> Float64Array:
        """Return `R / scale`, (m, d): the radius of the subdifferential at a group of one column of zeros."""
        return np.asarray(self.strength[:, None] * np.sqrt(U.shape[1]) / scale)

    def _total(self, A: Array, B: Array) -> Float64Array:
        """Return `<A_g, B_g>` for the group of each column, (m, d)."""
        products = np.einsum("mqd,mqd->md", A, B)
        return np.asarray(products if self.groups is None else self.groups.total(products))

    def _norm(self, U: Array) -> Float64Array:
        """Return `||U_g||` for the group of each column, (m, d)."""
        return np.asarray(np.sqrt(self._total(U, U)))

    def _once_a_group(self, values: Float64Array) -> Float64Array:
        """Return values (m, d), equal within a group, once for each group."""
        return values if self.groups is None else values[:, self.groups.first]

    def _group_conjugate(self, A: Array) -> Float64Array:
        """Return the conjugate for the group of each column, (m, d)."""
        excess = np.maximum(self._norm(A) - self._bound(A.shape[1]), 0.0)
        with np.errstate(all="ignore"):
            return np.where(excess > 0, excess**2 / (2 * self.l2[:, None]), 0.0)


def group_penalty(
    strength: Array | float, share: Array | float = 1.0, groups: ColumnGroups | None = None
) -> GroupPenalty | ElasticNet:
    """Return `strength * (share * sum_g sqrt(q |g|) ||W_g||_F + (1 - share) / 2 * ||W||^2)`.

    Parameters
    ----------
    strength : float or array of shape (m,)
        Strength of each model, >= 0.
    share : float or array of shape (m,)
        Share of the group part, > 0; the remainder is the l2 part.
    groups : ColumnGroups, optional
        Groups of columns; None if each column is one.

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
    return GroupPenalty(size * part, size * (1 - part), groups) if size.any() else l2(size)
