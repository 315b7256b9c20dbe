"""Penalties on the weights of a stack of models, as the operations that solvers and certificates use.

`Penalty` is the protocol. Each penalty is a class with these methods in a file of its own, registered in `penalties`.
The bias is never penalised.

A solver works with scaled weights `U = W * scale` (see `standardization`); the penalty is a function of the weights W
of the stored columns. Methods that a solver calls in its own coordinates therefore take `scale`, (d,), or (d + 1,) with
an infinite scale for the bias, which is then not penalised.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from softreg.typing import Array, BoolArray, Float64Array, IntArray


class Trait(StrEnum):
    """A property of a penalty that a solver may need; see `softreg.optimize.problem.requirements`."""

    SMOOTH = "differentiable"
    """`mu / 2 * ||W||^2` with mu >= 0, all weights free."""
    STRONGLY_CONVEX = "strongly convex"
    """`penalty - mu / 2 * ||W||^2` is convex for some mu > 0, for each model: the conjugate is finite everywhere."""
    SEPARABLE = "a sum over single weights"
    """A quadratic part plus `kink * |w|` for single weights, within the support."""
    COLUMN_NORMS = "a sum over the norms of columns"
    """A quadratic part plus multiples of the Euclidean norms of the weights of columns, or of groups of columns."""
    SELECTS_COLUMNS = "able to set whole columns to zero"
    """For each model, all weights of a column are 0 where `column_dual_norm` is below `threshold`, which is > 0."""


class Penalty(Protocol):
    """Operations on the weights W (m, q, d) of m models."""

    def __len__(self) -> int:
        """Return the number of models m."""
        ...

    @property
    def traits(self) -> frozenset[Trait]:
        """Properties that all models of the stack have."""
        ...

    @property
    def support(self) -> BoolArray | None:
        """Weights (m, q, d) that may differ from 0; None if all may."""
        ...

    @property
    def strong_convexity(self) -> Float64Array:
        """Largest mu (m,) at which `penalty(W) - mu / 2 * ||W||^2` is convex."""
        ...

    @property
    def quadratic_strength(self) -> Float64Array:
        """Strength (m,) of the quadratic part; models of equal strength have the same quadratic part."""
        ...

    @property
    def threshold(self) -> Float64Array:
        """Bound (m,) on `column_dual_norm` at which the weights of a column are 0."""
        ...

    @property
    def is_smooth(self) -> bool:
        """True if the penalty is differentiable and all weights are free."""
        ...

    @property
    def has_kink(self) -> bool:
        """True if the penalty of any model is not differentiable at 0."""
        ...

    @property
    def is_zero(self) -> BoolArray:
        """Models (m,) without any penalty and without bounds."""
        ...

    @property
    def may_diverge(self) -> BoolArray:
        """Models (m,) with a weight that has neither a penalty nor two bounds: there may be no finite optimum."""
        ...

    @property
    def free_columns(self) -> BoolArray | None:
        """Columns (d,) whose weights have neither a penalty nor bounds, in any class of any model; None for no such."""
        ...

    def recession_part(self, D: Array) -> Array:
        """Return the part (m, q, d) of a direction along which the penalty stays 0 at any distance."""
        ...

    def value(self, W: Array) -> Float64Array:
        """Return the penalty of each model, (m,), in nats."""
        ...

    def smooth_value(self, W: Array) -> Float64Array:
        """Return the quadratic part of each model, (m,), in nats."""
        ...

    def smooth_gradient(self, W: Array) -> Float64Array:
        """Return the gradient (m, q, d) of the quadratic part."""
        ...

    @property
    def center(self) -> Float64Array | None:
        """Weights (q, d) at which the quadratic part is 0, the same for all models; None for weights of 0."""
        ...

    @property
    def bounds(self) -> tuple[Float64Array, Float64Array] | None:
        """Least and largest value (q, d) of each weight, the same for all models; None without bounds."""
        ...

    def quadratic_diagonal(self, scale: Float64Array) -> Float64Array:
        """Return the curvature of the quadratic part with respect to scaled weights `W * scale`.

        Returns
        -------
        array of shape (m, 1, d) or (m, q, d)
            The axis of the classes has length 1 where all classes have the same curvature.
        """
        ...

    def kink(self, scale: Float64Array) -> Float64Array:
        """Return the coefficients (m, 1 or q, d) of `|u|` for scaled weights, of a `Trait.SEPARABLE` penalty."""
        ...

    def nonsmooth_value(self, U: Array, scale: Float64Array) -> Float64Array:
        """Return the penalty without its quadratic part at scaled weights U, (m,)."""
        ...

    def directional_gradient(self, U: Array, D: Array, scale: Float64Array) -> Float64Array:
        """Return the subgradient E (m, q, d) of the nonsmooth part at U for which `<E, D>` is its slope along D."""
        ...

    def prox(self, U: Array, step: Array | float, scale: Float64Array) -> Float64Array:
        """Return the argmin over V (m, q, d) of `||V - U||^2 / (2 step) + penalty(V / scale)`.

        `step` broadcasts to (m, 1, d): one step length for each model, or for each column of each model.
        """
        ...

    def conjugate(self, A: Array) -> Float64Array:
        """Return the convex conjugate `sup_W <A, W> - penalty(W)` of each model, (m,)."""
        ...

    def fenchel_gap(self, A: Array, W: Array) -> Float64Array:
        """Return `penalty(W) + conjugate(-A) + <A, W>` of each model, (m,), never negative; A is the loss gradient."""
        ...

    def feasible_share(self, A: Array) -> Float64Array:
        """Return the largest t in [0, 1] for which `conjugate(-t * A)` is finite, (m,)."""
        ...

    def column_dual_norm(self, A: Array) -> Float64Array:
        """Return the dual norm (m, d) of each column of A (m, q, d), or of its group, in units of `threshold`."""
        ...

    def dual_norm(self, A: Array) -> Float64Array:
        """Return the smallest threshold (m,) at which all weights are 0, if A is the loss gradient at W = 0."""
        ...

    def common_shift(self, W: Array) -> Float64Array:
        """Return the c (m, 1, d) that minimises `penalty(W - c)`; softmax is invariant to such a shift."""
        ...

    def keep(self, members: IntArray | BoolArray) -> Penalty:
        """Return the penalty of some models of the stack."""
        ...

    def keep_columns(self, columns: IntArray) -> Penalty:
        """Return the penalty on some columns of the weights."""
        ...
