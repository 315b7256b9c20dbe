"""The elastic net and its special cases: ridge (l2), lasso (l1) and no penalty."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.optimize.problem.penalty_protocol import Trait
from softreg.typing import Array, BoolArray, Float64Array, IntArray

LARGEST_CURVATURE = 1e200
"""Largest curvature of the quadratic part in scaled coordinates: the weight of a column whose scale is tiny is 0, and
products with its curvature do not overflow."""


@dataclass(frozen=True)
class ElasticNet:
    """The elastic net `l1 * ||W||_1 + l2 / 2 * ||W||^2` of each model of a stack.

    Parameters
    ----------
    l1 : array of shape (m,)
        Strength of the l1 part, >= 0.
    l2 : array of shape (m,)
        Strength of the l2 part, >= 0.
    support : array of bool of shape (m, q, d), optional
        Weights that may differ from 0; all if None.

    Examples
    --------
    >>> penalty = ElasticNet(np.array([1.0]), np.array([2.0]))
    >>> penalty.value(np.array([[[3.0, -4.0]]]))
    array([32.])
    """

    l1: Float64Array
    l2: Float64Array
    support: BoolArray | None = None

    def __len__(self) -> int:
        return len(self.l2)

    @property
    def traits(self) -> frozenset[Trait]:
        """Separable; smooth without l1 part and support; selects columns if each model has an l1 part."""
        l1, l2 = self.l1.tolist(), self.l2.tolist()
        traits = {Trait.SEPARABLE}
        if self.support is None and not any(l1):
            traits.add(Trait.SMOOTH)
        if all(strength > 0 for strength in l2):
            traits.add(Trait.STRONGLY_CONVEX)
        if all(strength > 0 for strength in l1):
            traits.add(Trait.SELECTS_COLUMNS)
        return frozenset(traits)

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
        """Strength of the l1 part, (m,)."""
        return self.l1

    @property
    def is_smooth(self) -> bool:
        """True if there is neither an l1 part nor a support."""
        return self.support is None and not self.has_kink

    @property
    def has_kink(self) -> bool:
        """True if any model has an l1 part."""
        return bool(self.l1.any())

    @property
    def is_zero(self) -> BoolArray:
        """Models (m,) with l1 = l2 = 0."""
        return np.asarray((self.l2 == 0) & (self.l1 == 0))

    @property
    def may_diverge(self) -> BoolArray:
        """Models (m,) with l1 = l2 = 0."""
        return self.is_zero

    @property
    def free_columns(self) -> None:
        """None: all columns have the same penalty."""
        return None

    def recession_part(self, D: Array) -> Array:
        """Return D (m, q, d) where there is no penalty, 0 elsewhere."""
        return np.where(self.is_zero[:, None, None], D, 0.0)

    def value(self, W: Array) -> Float64Array:
        """Return the penalty of each model, (m,)."""
        smooth = self.smooth_value(W)
        return np.asarray(smooth + self.l1 * np.abs(W).sum(axis=(1, 2)) if self.has_kink else smooth)

    def smooth_value(self, W: Array) -> Float64Array:
        """Return `l2 / 2 * ||W||^2` of each model, (m,)."""
        with np.errstate(over="ignore"):
            square = np.where(self.l2 > 0, np.einsum("mqd,mqd->m", W, W), 0.0)  # 0 * inf is no penalty
        return np.asarray(0.5 * self.l2 * square)

    def smooth_gradient(self, W: Array) -> Float64Array:
        """Return `l2 * W`."""
        return np.asarray(self.l2[:, None, None] * W)

    def quadratic_diagonal(self, scale: Float64Array) -> Float64Array:
        """Return `l2 / scale**2`, (m, 1, d), at most `LARGEST_CURVATURE`."""
        with np.errstate(over="ignore"):
            curvature = self.l2[:, None, None] / scale / scale
        return np.minimum(curvature, LARGEST_CURVATURE)

    def kink(self, scale: Float64Array) -> Float64Array:
        """Return `l1 / scale`, (m, 1, d)."""
        with np.errstate(over="ignore"):
            return np.asarray(self.l1[:, None, None] / scale)

    def nonsmooth_value(self, U: Array, scale: Float64Array) -> Float64Array:
        """Return `l1 * ||U / scale||_1`, (m,)."""
        return np.asarray((self.kink(scale) * np.abs(U)).sum(axis=(1, 2)))

    def directional_gradient(self, U: Array, D: Array, scale: Float64Array) -> Float64Array:
        """Return `l1 / scale * sign(u)`, with the sign of D where u is 0."""
        return np.asarray(self.kink(scale) * np.where(U != 0, np.sign(U), np.sign(D)))

    def prox(self, U: Array, step: Array | float, scale: Float64Array) -> Float64Array:
        """Return `sign(U) * max(|U| - step * l1 / scale, 0) / (1 + step * l2 / scale**2)` on the support.

        Returns
        -------
        array of shape (m, q, d)
            The minimiser of `||U - V||^2 / 2 + step * penalty` over V.

        Examples
        --------
        >>> elastic_net(1.0, 0.5).prox(np.array([[[3.0, -0.2]]]), 1.0, np.ones(2)).round(2).tolist()
        [[[1.67, -0.0]]]
        """
        shrunk = np.maximum(np.abs(U) - step * self.kink(scale), 0.0)
        out = np.copysign(shrunk / (1 + step * self.quadratic_diagonal(scale)), U)
        return np.asarray(out if self.support is None else np.where(self.support, out, 0.0))

    def conjugate(self, A: Array) -> Float64Array:
        """Return `sum max(|a| - l1, 0)^2 / (2 l2)`, (m,); for l2 = 0, the indicator of `|a| <= l1`.

        A weight outside the support contributes 0.

        Returns
        -------
        array of shape (m,)
            Conjugate of the penalty of each model.

        Examples
        --------
        >>> elastic_net(np.ones(2), np.array([0.5, 1.0])).conjugate(np.array([[[1.5]], [[1.5]]]))
        array([ 1., inf])
        """
        excess = np.maximum(np.abs(self._on_support(A)) - self.l1[:, None, None], 0.0)
        with np.errstate(all="ignore"):
            terms = np.where(excess > 0, excess**2 / (2 * self.l2[:, None, None]), 0.0)
        return np.asarray(terms.sum(axis=(1, 2)))

    def fenchel_gap(self, A: Array, W: Array) -> Float64Array:
        """Return `penalty(W) + conjugate(-A) + <A, W>`, (m,); inf where the conjugate is infinite."""
        A = self._on_support(A)
        l1, l2 = self.l1[:, None, None], self.l2[:, None, None]
        with np.errstate(all="ignore"):  # an overflow gives inf, which is a valid bound
            if not self.has_kink:  # a perfect square: no cancellation
                slack = A + l2 * W
                square = np.einsum("mqd,mqd->m", slack, slack) / (2 * self.l2)
                return np.where(self.l2 > 0, square, np.where(slack.any(axis=(1, 2)), np.inf, 0.0))
            excess = np.maximum(np.abs(A) - l1, 0.0)
            conjugate = np.where(excess > 0, excess**2 / (2 * l2), 0.0)
            terms = l1 * np.abs(W) + 0.5 * l2 * W**2 + conjugate + A * W
            gap = np.maximum(terms, 0.0).sum(axis=(1, 2))
            return np.where(np.isnan(gap), np.inf, gap)

    def feasible_share(self, A: Array) -> Float64Array:
        """Return 1 where l2 > 0 and `min(1, l1 / max |A|)` elsewhere, (m,)."""
        largest = self.dual_norm(A)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(largest > self.l1, self.l1 / largest, 1.0)
        return np.where(self.l2 > 0, 1.0, share)

    def column_dual_norm(self, A: Array) -> Float64Array:
        """Return the largest `|a|` of each column over the classes, (m, d)."""
        return np.asarray(np.abs(self._on_support(A)).max(axis=1))

    def dual_norm(self, A: Array) -> Float64Array:
        """Return the largest `|a|` of each model, (m,): the smallest l1 at which all weights are 0."""
        return np.asarray(np.abs(self._on_support(A)).max(axis=(1, 2), initial=0.0))

    def common_shift(self, W: Array) -> Float64Array:
        """Return the c (m, 1, d) that minimises `sum_k l1 |w_k - c| + l2/2 (w_k - c)^2`.

        The minimiser lies between the median (l2 = 0) and the mean (l1 = 0) of the classes. It is 0 in columns where
        the support excludes a class.

        Returns
        -------
        array of shape (m, 1, d)
            The shift c.

        Examples
        --------
        >>> ElasticNet(np.array([1.0]), np.array([0.0])).common_shift(np.array([[[1.0], [5.0], [2.0]]])).ravel()
        array([2.])
        """
        q = W.shape[1]
        l1, l2 = self.l1[:, None, None], self.l2[:, None, None]
        w = np.sort(W, axis=1)
        rank = np.arange(q)[None, :, None]
        ridge_slope = l2 * (q * w - w.sum(axis=1, keepdims=True))
        right_slope = l1 * (2 * (rank + 1) - q) + ridge_slope  # the slope just above each w_(i)
        first = np.argmax(right_slope >= 0, axis=1)[:, None, :]
        knot = np.take_along_axis(w, first, axis=1)
        left_slope = np.take_along_axis(l1 * (2 * rank - q) + ridge_slope, first, axis=1)
        between_knots = w.mean(axis=1, keepdims=True) - np.divide(
            l1 * (2 * first - q), q * l2, out=np.zeros_like(knot), where=l2 > 0
        )
        shift = np.where(left_slope > 0, between_knots, knot)
        return shift if self.support is None else shift * self.support.all(axis=1, keepdims=True)

    def keep(self, members: IntArray | BoolArray) -> ElasticNet:
        """Return the penalty of some models of the stack."""
        support = None if self.support is None else self.support[members]
        return ElasticNet(self.l1[members], self.l2[members], support)

    def keep_columns(self, columns: IntArray) -> ElasticNet:
        """Return the penalty on some columns of the weights."""
        return self if self.support is None else ElasticNet(self.l1, self.l2, self.support[..., columns])

    def _on_support(self, A: Array) -> Array:
        """Return A (m, q, d) with zeros outside the support."""
        return A if self.support is None else np.where(self.support, A, 0.0)


def l2(strength: Array | float) -> ElasticNet:
    """Return the ridge penalty `strength / 2 * ||W||^2`; strength 0 is no penalty.

    Parameters
    ----------
    strength : float or array of shape (m,)
        Strength of each model, >= 0.

    Returns
    -------
    ElasticNet
        The penalty of m models.

    Examples
    --------
    >>> l2(0.5).value(np.array([[[2.0]]]))
    array([1.])
    """
    ridge = np.atleast_1d(np.asarray(strength, dtype=np.float64))
    return ElasticNet(np.zeros_like(ridge), ridge)


def elastic_net(strength: Array | float, l1_ratio: Array | float) -> ElasticNet:
    """Return the elastic net `strength * (l1_ratio * ||W||_1 + (1 - l1_ratio) / 2 * ||W||^2)`.

    Parameters
    ----------
    strength : float or array of shape (m,)
        Strength of each model, >= 0.
    l1_ratio : float or array of shape (m,)
        Share of the l1 part, between 0 and 1.

    Returns
    -------
    ElasticNet
        The penalty of m models.

    Examples
    --------
    >>> elastic_net(1.0, 0.25).value(np.array([[[2.0]]]))
    array([2.])
    """
    size, ratio = np.atleast_1d(np.asarray(strength, dtype=np.float64)), np.asarray(l1_ratio, dtype=np.float64)
    return ElasticNet(size * ratio, size * (1 - ratio))
