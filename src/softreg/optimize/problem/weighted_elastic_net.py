"""The elastic net with a factor and a center for each weight, and with bounds on the weights.

For weight w_jk of column j and class k, with factors s_jk of the l1 and t_jk of the l2 part and centers c_jk,

    penalty(W) = sum_jk l1 s_jk |w_jk| + l2 t_jk / 2 (w_jk - c_jk)^2   if lower_jk <= w_jk <= upper_jk for all j, k,

and infinity otherwise. With l1 = 0 it is, up to a constant, the negative logarithm of a Gaussian prior with mean c_jk
and precision l2 t_jk. It is a sum over single weights, and so are its conjugate and the gap of the certificate: with
`phi(w) = a w + l1 s |w| + l2 t / 2 (w - c)^2` and its minimiser w* within the bounds, weight w contributes

    phi(w) - phi(w*) = (w - w*) (a + l2 t ((w + w*) / 2 - c)) + l1 s (|w| - |w*|)

to `penalty(W) + conjugate(-A) + <A, W>`. A weight without penalty and bound contributes 0 where a = 0 and infinity
elsewhere.

References
----------
Friedman, Hastie and Tibshirani (2010), Regularization paths for generalized linear models via coordinate descent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.optimize.problem.elastic_net import LARGEST_CURVATURE
from softreg.optimize.problem.penalty_protocol import Trait
from softreg.typing import Array, BoolArray, Float64Array, IntArray

FEASIBILITY = 1e-12
"""Excess of a gradient over the l1 strength, relative to it, that counts as rounding in a conjugate."""


@dataclass(frozen=True)
class WeightTerms:
    """Factors and bounds of single weights, the same for all models of a stack.

    Parameters
    ----------
    l1_factor, l2_factor : array of shape (1, d) or (q, d)
        Factors of the l1 and of the l2 part, >= 0; one row if all classes have the same.
    lower, upper : array of shape (q, d)
        Least and largest value of each weight, `lower <= upper`; infinite without a bound.
    center : array of shape (q, d), optional
        Weights at which the l2 part is 0; by default 0.
    """

    l1_factor: Float64Array
    l2_factor: Float64Array
    lower: Float64Array
    upper: Float64Array
    center: Float64Array | None = None

    def keep_columns(self, columns: IntArray) -> WeightTerms:
        """Return the terms of some columns."""
        l1, l2, lower, upper = (part[:, columns] for part in (self.l1_factor, self.l2_factor, self.lower, self.upper))
        return WeightTerms(l1, l2, lower, upper, None if self.center is None else self.center[:, columns])

    def unbounded(self) -> WeightTerms:
        """Return the factors without the bounds."""
        free = np.full(self.lower.shape, np.inf)
        return WeightTerms(self.l1_factor, self.l2_factor, -free, free)

    def keep_classes(self, classes: IntArray) -> WeightTerms:
        """Return the terms of some classes."""
        l1, l2 = (part if len(part) == 1 else part[classes] for part in (self.l1_factor, self.l2_factor))
        center = None if self.center is None else self.center[classes]
        return WeightTerms(l1, l2, self.lower[classes], self.upper[classes], center)


@dataclass(frozen=True)
class WeightedElasticNet:
    """The elastic net of each model of a stack with factors and bounds of single weights.

    Parameters
    ----------
    l1, l2 : array of shape (m,)
        Strengths of the two parts, >= 0.
    terms : WeightTerms
        Factors and bounds.

    Examples
    --------
    >>> free = np.full((2, 2), np.inf)
    >>> terms = WeightTerms(np.ones((1, 2)), np.array([[1.0, 0.0]]), -free, free)
    >>> WeightedElasticNet(np.zeros(1), np.ones(1), terms).value(np.array([[[2.0, 9.0], [-2.0, 9.0]]]))
    array([4.])
    """

    l1: Float64Array
    l2: Float64Array
    terms: WeightTerms

    def __len__(self) -> int:
        return len(self.l2)

    @property
    def traits(self) -> frozenset[Trait]:
        """Separable; strongly convex if each free weight has an l2 part, selects columns if each has an l1 part."""
        terms, traits = self.terms, {Trait.SEPARABLE}
        free = terms.lower < terms.upper
        if (self.l2 > 0).all() and (np.broadcast_to(terms.l2_factor, free.shape) > 0)[free].all():
            traits.add(Trait.STRONGLY_CONVEX)
        zero_allowed = self.center is None and ((terms.lower <= 0) & (terms.upper >= 0)).all()
        if zero_allowed and (self.l1 > 0).all() and (terms.l1_factor > 0).all():
            traits.add(Trait.SELECTS_COLUMNS)
        return frozenset(traits)

    @property
    def support(self) -> BoolArray | None:
        """None: a weight that is excluded is bounded by 0 on both sides."""
        return None

    @property
    def bounds(self) -> tuple[Float64Array, Float64Array] | None:
        """Least and largest value (q, d) of each weight; None without bounds."""
        lower, upper = self.terms.lower, self.terms.upper
        return (lower, upper) if np.isfinite(lower).any() or np.isfinite(upper).any() else None

    @property
    def center(self) -> Float64Array | None:
        """Weights (q, d) at which the l2 part is 0; None for weights of 0."""
        return self.terms.center

    @property
    def strong_convexity(self) -> Float64Array:
        """Smallest curvature of a weight that may vary, (m,)."""
        free = self.terms.lower < self.terms.upper
        return np.asarray(self.l2 * np.broadcast_to(self.terms.l2_factor, free.shape).min(initial=np.inf, where=free))

    @property
    def quadratic_strength(self) -> Float64Array:
        """Strength of the l2 part, (m,)."""
        return self.l2

    @property
    def threshold(self) -> Float64Array:
        """Strength of the l1 part, (m,)."""
        return self.l1

    @property
    def is_smooth(self) -> bool:
        """False: descent is orthant-wise, with the bounds as further ends of an orthant."""
        return False

    @property
    def has_kink(self) -> bool:
        """True if any model has an l1 part, or if there are bounds, where the penalty jumps to infinity."""
        return bool(self.l1.any() and self.terms.l1_factor.any()) or self.bounds is not None

    @property
    def is_zero(self) -> BoolArray:
        """Models (m,) without any penalty, if there are no bounds."""
        l1, l2 = self._strengths()
        return np.asarray(((l1 == 0) & (l2 == 0)).all(axis=(1, 2)) & (self.bounds is None))

    @property
    def may_diverge(self) -> BoolArray:
        """Models (m,) with a weight that has neither a penalty nor two bounds."""
        unbounded = np.isinf(self.terms.lower) | np.isinf(self.terms.upper)
        return np.asarray((self._unpenalised() & unbounded).any(axis=(1, 2)))

    @property
    def free_columns(self) -> BoolArray | None:
        """Columns (d,) whose factors are 0 and whose weights have no bounds; None if there is none."""
        terms = self.terms
        bounded = (np.isfinite(terms.lower) | np.isfinite(terms.upper)).any(axis=0)
        free = ~bounded & (terms.l1_factor == 0).all(axis=0) & (terms.l2_factor == 0).all(axis=0)
        return free if free.any() else None

    def recession_part(self, D: Array) -> Array:
        """Return D (m, q, d) for weights without a penalty, where no bound ends the move."""
        ends = np.where(D < 0, np.isfinite(self.terms.lower), np.isfinite(self.terms.upper))
        return np.where(self._unpenalised() & ~ends, D, 0.0)

    def _unpenalised(self) -> BoolArray:
        """Return the weights (m, 1 or q, d) without a penalty."""
        l1, l2 = self._strengths()
        return np.asarray((l1 == 0) & (l2 == 0))

    def value(self, W: Array) -> Float64Array:
        """Return the penalty of each model at weights within the bounds, (m,)."""
        return np.asarray(self.smooth_value(W) + self.nonsmooth_value(W, np.ones(W.shape[2])))

    def smooth_value(self, W: Array) -> Float64Array:
        """Return the quadratic part, (m,)."""
        with np.errstate(over="ignore"):
            V = self._from_center(W)
            square = np.where(self.terms.l2_factor > 0, self.terms.l2_factor * V * V, 0.0).sum(axis=(1, 2))
        return np.asarray(0.5 * np.where(self.l2 > 0, self.l2 * square, 0.0))

    def smooth_gradient(self, W: Array) -> Float64Array:
        """Return the gradient (m, q, d) of the quadratic part."""
        return np.asarray(self.l2[:, None, None] * self.terms.l2_factor * self._from_center(W))

    def quadratic_diagonal(self, scale: Float64Array) -> Float64Array:
        """Return `l2 t / scale**2`, (m, 1 or q, d), at most `LARGEST_CURVATURE`."""
        with np.errstate(over="ignore"):
            curvature = self.l2[:, None, None] * self.terms.l2_factor / scale / scale
        return np.minimum(curvature, LARGEST_CURVATURE)

    def kink(self, scale: Float64Array) -> Float64Array:
        """Return `l1 s / scale`, (m, 1 or q, d)."""
        with np.errstate(over="ignore"):
            return np.asarray(self.l1[:, None, None] * self._factor(self.terms.l1_factor, scale) / scale)

    def nonsmooth_value(self, U: Array, scale: Float64Array) -> Float64Array:
        """Return the l1 part at scaled weights, (m,); the bounds are those of the caller."""
        return np.asarray((self.kink(scale) * np.abs(U)).sum(axis=(1, 2)))

    def directional_gradient(self, U: Array, D: Array, scale: Float64Array) -> Float64Array:
        """Return `l1 s / scale * sign(u)`, with the sign of D where u is 0."""
        return np.asarray(self.kink(scale) * np.where(U != 0, np.sign(U), np.sign(D)))

    def prox(self, U: Array, step: Array | float, scale: Float64Array) -> Float64Array:
        """Return the elastic net's prox with these factors, moved to the nearest bound.

        Returns
        -------
        array of shape (m, q, d)
            The minimiser of `||U - V||^2 / 2 + step * penalty` over V.

        Examples
        --------
        >>> one, free = np.ones((1, 2)), np.full((1, 2), np.inf)
        >>> terms = WeightTerms(np.array([[0.0, 1.0]]), one, -free, np.array([[1.0, np.inf]]))
        >>> WeightedElasticNet(np.ones(1), np.ones(1), terms).prox(np.array([[[4.0, 4.0]]]), 1.0, np.ones(2)).tolist()
        [[[1.0, 1.5]]]
        """
        curvature = step * self.quadratic_diagonal(scale)
        pulled = U if self.center is None else U + curvature * self.center * scale
        shrunk = np.maximum(np.abs(pulled) - step * self.kink(scale), 0.0)
        moved = np.copysign(shrunk / (1 + curvature), pulled)
        return np.asarray(np.clip(moved, self.terms.lower * scale, self.terms.upper * scale))

    def conjugate(self, A: Array) -> Float64Array:
        """Return `sup a w - phi(w)` within the bounds, summed over the weights, (m,).

        Returns
        -------
        array of shape (m,)
            Conjugate of the penalty of each model; inf where a weight without bound has no maximum.

        Examples
        --------
        >>> one = np.ones((1, 1))
        >>> bounded = WeightTerms(one, one, -2 * one, 2 * one)
        >>> WeightedElasticNet(np.zeros(1), np.zeros(1), bounded).conjugate(np.array([[[3.0]]]))
        array([6.])
        """
        best = self._minimiser(-A)
        with np.errstate(invalid="ignore", over="ignore"):
            l1, l2 = self._strengths()
            terms = A * best - l1 * np.abs(best) - l2 / 2 * self._from_center(best) ** 2
        return np.asarray(np.where(np.isinf(best), np.inf, terms).sum(axis=(1, 2)))

    def fenchel_gap(self, A: Array, W: Array) -> Float64Array:
        """Return `penalty(W) + conjugate(-A) + <A, W>`, (m,); inf where the conjugate is infinite."""
        l1, l2 = self._strengths()
        best = self._minimiser(A)
        with np.errstate(all="ignore"):  # an overflow gives inf, which is a valid bound
            slope = A + l2 * self._from_center((W + best) / 2)
            terms = (W - best) * slope + l1 * (np.abs(W) - np.abs(best))
            gap = np.where(np.isinf(best), np.inf, np.maximum(terms, 0.0)).sum(axis=(1, 2))
        return np.where(np.isnan(gap), np.inf, gap)

    def feasible_share(self, A: Array) -> Float64Array:
        """Return the largest t in [0, 1] for which `conjugate(-t A)` is finite, (m,)."""
        l1, l2 = self._strengths()
        terms = self.terms
        grows = np.where(A > 0, np.isinf(terms.lower), np.isinf(terms.upper)) & (A != 0) & (l2 == 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(grows & (np.abs(A) > l1), l1 / np.abs(A), 1.0)
        return np.asarray(share.min(axis=(1, 2), initial=1.0))

    def column_dual_norm(self, A: Array) -> Float64Array:
        """Return the largest `|a| / s` of each column over the classes, (m, d)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            scaled = np.where(A != 0, np.abs(A) / self._factor(self.terms.l1_factor, A[0]), 0.0)
        # a gradient that pushes a weight at 0 against its bound does not move it
        terms = self.terms
        blocked = ((A > 0) & (terms.lower >= 0)) | ((A < 0) & (terms.upper <= 0))
        return np.asarray(np.where(blocked, 0.0, scaled).max(axis=1))

    def dual_norm(self, A: Array) -> Float64Array:
        """Return the smallest l1 at which all weights are 0, (m,), if A is the loss gradient at W = 0."""
        return np.asarray(self.column_dual_norm(A).max(axis=1, initial=0.0))

    def common_shift(self, W: Array) -> Float64Array:
        """Return the c (m, 1, d) that minimises `penalty(W - c)`, as far as the bounds allow.

        The slope of the penalty in c is piecewise linear and increasing, with jumps where c passes a weight. The
        minimiser is the weight at which the slope changes its sign, or its zero between two weights. In a column
        without penalty and bounds it is the mean.

        Returns
        -------
        array of shape (m, 1, d)
            The shift c.

        Examples
        --------
        >>> free = np.full((3, 1), np.inf)
        >>> terms = WeightTerms(np.ones((1, 1)), np.ones((1, 1)), np.array([[0.5], [-np.inf], [-np.inf]]), free)
        >>> penalty = WeightedElasticNet(np.array([1.0]), np.array([0.0]), terms)
        >>> penalty.common_shift(np.array([[[1.0], [5.0], [2.0]]])).ravel()
        array([0.5])
        """
        l1, l2 = (np.broadcast_to(strength, W.shape) for strength in self._strengths())
        order = np.argsort(W, axis=1, kind="stable")
        centered = np.broadcast_to(self._from_center(W), W.shape)
        w, v, jump, curvature = (np.take_along_axis(a, order, axis=1) for a in (W, centered, l1, l2))
        total, whole = curvature.sum(axis=1, keepdims=True), jump.sum(axis=1, keepdims=True)
        moment = (curvature * v).sum(axis=1, keepdims=True)
        passed = np.cumsum(jump, axis=1)
        right_slope = 2 * passed - whole + total * w - moment
        rises = right_slope >= 0
        first = np.argmax(rises, axis=1)[:, None, :]
        knot, before = (np.take_along_axis(a, first, axis=1) for a in (w, passed - jump))
        beyond = ~rises.any(axis=1, keepdims=True)  # the minimiser exceeds all weights, because of the center
        before = np.where(beyond, whole, before)
        left_slope = 2 * before - whole + total * knot - moment
        between = np.divide(moment - (2 * before - whole), total, out=np.zeros_like(knot), where=total > 0)
        shift = np.where(((left_slope > 0) | beyond) & (total > 0), between, knot)
        shift = np.where((total == 0) & (whole == 0), W.mean(axis=1, keepdims=True), shift)
        low = (W - self.terms.upper).max(axis=1, keepdims=True)
        high = (W - self.terms.lower).min(axis=1, keepdims=True)
        return np.clip(shift, np.minimum(low, 0.0), np.maximum(high, 0.0))

    def keep(self, members: IntArray | BoolArray) -> WeightedElasticNet:
        """Return the penalty of some models of the stack."""
        return WeightedElasticNet(self.l1[members], self.l2[members], self.terms)

    def keep_columns(self, columns: IntArray) -> WeightedElasticNet:
        """Return the penalty on some columns of the weights."""
        return WeightedElasticNet(self.l1, self.l2, self.terms.keep_columns(columns))

    def _strengths(self) -> tuple[Float64Array, Float64Array]:
        """Return the strengths of the l1 and of the l2 part of each weight, (m, 1 or q, d)."""
        return self.l1[:, None, None] * self.terms.l1_factor, self.l2[:, None, None] * self.terms.l2_factor

    def _from_center(self, W: Array) -> Array:
        """Return weights (m, q, d) relative to the center."""
        return W if self.center is None else W - self.center

    @staticmethod
    def _factor(factor: Float64Array, like: Array) -> Float64Array:
        """Return factors (1 or q, d), with a column of zeros for a bias where `like` (..., d + 1) has one."""
        missing = like.shape[-1] - factor.shape[1]
        return np.pad(factor, ((0, 0), (0, missing))) if missing else factor

    def _minimiser(self, A: Array) -> Float64Array:
        """Return the minimiser (m, q, d) of `a w + phi(w)` within the bounds; infinite where there is none."""
        l1, l2 = self._strengths()
        terms = self.terms
        A = A if self.center is None else A - l2 * self.center
        excess = np.abs(A) - l1
        excess = np.where(excess > FEASIBILITY * np.abs(A) * (l1 > 0), excess, 0.0)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            size = np.where(excess > 0, excess / l2, 0.0)
        minimiser: Float64Array = np.clip(-np.copysign(size, A), terms.lower, terms.upper)
        return minimiser
