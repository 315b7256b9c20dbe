"""Quadratic models of the loss in single weights, for coordinate descent and Newton steps with an l1 part.

The Hessian is exact: a matrix for few weights, or products with a copy of the columns for many
(`rows.kernels.coordinate_sweeps` has the sweeps of both). `minimise_model` alternates sweeps, which find the weights
that are not 0 and their signs, with Newton steps in those weights, which end at 0 where a weight would change its sign.
With a matrix the Newton system is solved by a Cholesky factor; with products by conjugate gradients, which the
Hessian's diagonal block of each class preconditions.

References
----------
Friedman, Hastie and Tibshirani (2010), Regularization paths for generalized linear models via coordinate descent.
Yuan, Ho and Lin (2012), An improved GLMNET for l1-regularized logistic regression.
Lee, Sun and Saunders (2014), Proximal Newton-type methods for minimizing composite functions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, ClassVar, Protocol

import numpy as np

from softreg.linalg import TINY, Cholesky, cholesky
from softreg.optimize.curvature.subsampled import INEXPENSIVE_PRODUCTS, ROWS_PER_COLUMN, draw_rows
from softreg.rows.kernels.coordinate_sweeps import RowHessian, Weights, sweep_matrix, sweep_rows
from softreg.typing import BoolArray, Float64Array, FloatArray, IntArray

JITTER = (0.0, 1e-13, 1e-11, 1e-9, 1e-6, 1e-3, np.inf)
"""Parts of the unit diagonal that are added to a matrix, in turn, until it has a Cholesky factor."""
ADDED_DIAGONAL = 1e-10
"""Part of the diagonal that is added to a matrix for a Newton step: a shift common to all classes has no curvature."""
DAMPING = 1e-5
"""The same for products, in float32: along a combination of columns without curvature the penalty has a slope, and the
step would not end."""
SINGLE_DIAGONAL = 1e-6
"""Part of the diagonal that is added to a Hessian from products in float32, whose rounding may make it indefinite."""
MOST_FACTORED = 1024
"""Weights of a class up to which the preconditioner has a factor of its block; of more, the diagonal."""
MATRIX_ROUNDS, MATRIX_TOLERANCE = 20, 0.05
"""Rounds of a sweep and a Newton step for a minimum of the matrix model, at most, and the relative move at the end. At
1e-3 56 fits to correlated columns took 1.15 times as long (geometric mean; 0.91 to 2.1 times)."""
PRODUCT_ROUNDS, PRODUCT_TOLERANCE = 6, 0.05
"""The same with products, where an exact minimum costs more than a further step."""
SWEEPS = 2
"""Sweeps before each Newton step."""
CG_TOLERANCE, MOST_CG_STEPS = 0.1, 50
"""Residual at which conjugate gradients stop, in the norm of the preconditioner and relative to the right-hand side,
and their most steps."""
LINE_SEARCH_STEPS = 10
"""Halvings of a step that does not lower the model."""
RUN_ROWS = 2048
"""Rows at a time for a Hessian as a matrix."""
SQUARED_COLUMNS = 64
"""Columns that are squared at a time for the diagonal of the Hessian."""
MIN_SHARE = 0.6
"""Share of the columns from which on products use all of them instead of a copy of those with weights."""


class WeightModel(Protocol):
    """A quadratic model of loss and l2 part in f weights."""

    most_rounds: ClassVar[int]
    """Rounds for one minimum, at most."""
    tolerance: ClassVar[float]
    """Largest move of a sweep, relative to the largest one, at which the model counts as minimised."""

    def sweep(self, weights: Weights) -> float:
        """Move each weight to its minimum; return the largest move squared times curvature."""
        ...

    def newton(self, weights: Weights) -> None:
        """Move the weights by a Newton step in those that are free to move, if that lowers model and penalty."""
        ...


def minimise_model(model: WeightModel, weights: Weights, whole: IntArray | None = None) -> None:
    """Move the weights to the minimum of model and penalty.

    Parameters
    ----------
    model : WeightModel
        The quadratic part.
    weights : Weights
        The weights at its start, which are changed.
    whole : array of int of shape (c, q), optional
        The weights of the columns that have those of all classes, if a shift common to the classes has no curvature.
        Without it the Newton system of such a column has no solution while none of its weights is 0.

    Examples
    --------
    >>> free = np.full(2, np.inf)
    >>> weights = Weights(np.zeros(2), np.ones(2), -free, free)
    >>> minimise_model(MatrixModel(np.array([[2.0, 1.0], [1.0, 2.0]]), np.array([-5.0, -4.0])), weights)
    >>> weights.x.round(6).tolist()
    [1.666667, 0.666667]
    """
    first = 0.0
    for _ in range(model.most_rounds):
        for _ in range(SWEEPS):
            most = model.sweep(weights)
            first = max(first, most)
            if most <= model.tolerance**2 * first:
                return
        if whole is not None:
            median = np.sort(weights.x[whole], axis=1)[:, (whole.shape[1] - 1) // 2]
            weights.x[whole] -= median[:, None]
        model.newton(weights)


def free_weights(weights: Weights) -> BoolArray:
    """Return the weights (f,) that a Newton step moves: not at a bound, and not 0 or without a kink."""
    inside = (weights.x > weights.low) & (weights.x < weights.high)
    return np.asarray(inside & ((weights.x != 0) | (weights.kink == 0)))


def orthant(weights: Weights) -> tuple[Float64Array, Float64Array]:
    """Return the ends (f,) of the interval in which each weight keeps its sign and its bounds."""
    kinked = weights.kink > 0
    low = np.where(kinked & (weights.x > 0), np.maximum(weights.low, 0.0), weights.low)
    high = np.where(kinked & (weights.x < 0), np.minimum(weights.high, 0.0), weights.high)
    return low, high


def accepted_step(weights: Weights, move: Float64Array, slope: float, curvature: float) -> float:
    """Return the first of the steps 1, 1/2, 1/4, ... along a move that lowers model and penalty; 0 for none."""
    t = 1.0
    for _ in range(LINE_SEARCH_STEPS):
        change = float(weights.kink @ (np.abs(weights.x + t * move) - np.abs(weights.x)))
        if t * slope + t * t * curvature / 2 + change < 0:
            return t
        t /= 2
    return 0.0


@dataclass(frozen=True)
class MatrixModel:
    """A Hessian H (f, f) with its l2 part, and the gradient (f,) at the present weights, which is changed."""

    H: Float64Array
    gradient: Float64Array
    most_rounds: ClassVar[int] = MATRIX_ROUNDS
    tolerance: ClassVar[float] = MATRIX_TOLERANCE

    def sweep(self, weights: Weights) -> float:
        """Move each weight to its minimum; return the largest move squared times curvature."""
        return sweep_matrix(self.H, self.gradient, weights)

    def newton(self, weights: Weights) -> None:
        """Move to the minimum among the free weights in their orthant; one that reaches its end stays there."""
        low, high = orthant(weights)
        x, move, free = weights.x, np.zeros_like(weights.x), free_weights(weights)
        slope = self.gradient + weights.kink * np.sign(x)
        while free.any():
            F = np.flatnonzero(free)
            G = slope[F] + self.H[F] @ np.where(free, 0.0, move)
            H = self.H[np.ix_(F, F)]
            H.flat[:: len(F) + 1] *= 1 + ADDED_DIAGONAL
            move[F] = -cholesky(H, jitter=JITTER, unit_where_zero=True).solve(G)
            leaves = free & ((x + move <= low) | (x + move >= high))
            if not leaves.any():
                break
            move[leaves] = np.where(x + move <= low, low - x, high - x)[leaves]
            free &= ~leaves
        change = self.H @ move
        t = accepted_step(weights, move, float(self.gradient @ move), float(change @ move))
        x += t * move
        np.add(self.gradient, t * change, out=self.gradient)


def hessian_matrix(rows: RowHessian, dtype: type[np.floating[Any]]) -> Float64Array:
    """Return the Hessian (f, f) with its l2 part, from products in this precision.

    The blocks of two classes are those of one product of the columns times the probabilities with itself. The blocks of
    single classes are computed without the difference of p and p^2, which cancels where p is near 1.

    Returns
    -------
    array of shape (f, f)
    """
    f, n = len(rows.group), rows.Z.shape[1]
    order = np.argsort(rows.group, kind="stable")
    group, column = rows.group[order], rows.column[order]
    ends = np.searchsorted(group, np.arange(len(rows.C) + 1))
    classes = [slice(a, b) for a, b in pairwise(ends.tolist())]
    H = np.zeros((f, f))
    for a in range(0, n, RUN_ROWS):
        run = slice(a, min(a + RUN_ROWS, n))
        Z, C = rows.Z[:, run][column].astype(dtype, copy=False), rows.C[:, run].astype(dtype, copy=False)
        if rows.P is not None:
            P = rows.P[:, run].astype(dtype, copy=False)
            half = Z * np.sqrt(C * P)[group]
            product = half @ half.T
            for own in classes:
                product[own, own] = 0.0
            H -= product
            C = C * (P.sum(axis=0) - P)  # not 1 - P: a shift common to all classes has no curvature
        for own, root in zip(classes, np.sqrt(np.maximum(C, 0.0)), strict=True):
            half = Z[own] * root
            H[own, own] += half @ half.T
    place = np.empty_like(order)
    place[order] = np.arange(f)
    H = H[np.ix_(place, place)]
    H.flat[:: f + 1] *= 1 + SINGLE_DIAGONAL * (dtype == np.float32)
    H.flat[:: f + 1] += rows.ridge
    return H


def add_diagonal(rows: RowHessian) -> None:
    """Add the diagonal of the loss's Hessian to the curvature of the weights, which has the l2 part alone."""
    bends = rows.C if rows.P is None else rows.C * (1 - rows.P)
    for a in range(0, len(rows.Z), SQUARED_COLUMNS):
        squares = (bends @ (rows.Z[a : a + SQUARED_COLUMNS] ** 2).T).astype(np.float64)
        here = (rows.column >= a) & (rows.column < a + SQUARED_COLUMNS)
        rows.curvature[here] += squares[rows.group[here], rows.column[here] - a]


@dataclass(frozen=True)
class ClassBlocks:
    """The preconditioner: a factor of the Hessian's diagonal block of each class, or its diagonal."""

    parts: tuple[tuple[IntArray, Cholesky | Float64Array], ...]
    """The weights of each class, with the factor of their block or its diagonal."""

    def times(self, r: Float64Array) -> Float64Array:
        """Return the inverse times r (f,)."""
        out = np.empty_like(r)
        for own, block in self.parts:
            out[own] = block.solve(r[own]) if isinstance(block, Cholesky) else r[own] / block
        return out


@dataclass
class ProductModel:
    """The Hessian as a sum over the rows of a copy of the columns."""

    rows: RowHessian
    products: float = 0.0
    """Passes over all the columns that products and sweeps have cost so far."""
    grams: dict[int, tuple[IntArray, Float64Array]] = field(default_factory=dict)
    """Columns of the block of each class, and the block without its l2 part."""
    most_rounds: ClassVar[int] = PRODUCT_ROUNDS
    tolerance: ClassVar[float] = PRODUCT_TOLERANCE

    def sweep(self, weights: Weights) -> float:
        """Move each weight to its minimum; return the largest move squared times curvature."""
        self.products += len(weights.x) / (len(self.rows.O) * len(self.rows.Z))
        return sweep_rows(self.rows, weights)

    def newton(self, weights: Weights) -> None:
        """Move by an approximate Newton step in the free weights, which ends at 0 where a weight changes its sign."""
        rows, free = self.rows, np.flatnonzero(free_weights(weights))
        own = FreeProducts.of(rows, free)
        x = weights.x[free]
        gradient = own.gradient(rows.O, rows.s) + rows.gradient[free] + rows.ridge[free] * (x - rows.start[free])
        inverse = self._blocks(free)
        step, steps = conjugate_gradients(own, inverse, -(gradient + weights.kink[free] * np.sign(x)))
        low, high = orthant(weights)
        end = np.clip(x + step, low[free], high[free])
        change, O = own.times(end - x)
        self.products += (steps + 2) * len(own.Z) / len(rows.Z)
        move = np.zeros_like(weights.x)
        move[free] = end - x
        t = accepted_step(weights, move, float(gradient @ move[free]), float(change @ move[free]))
        if t:
            weights.x[free] = end if t == 1.0 else x + t * (end - x)
            rows.O[...] += np.float32(t) * O
            if rows.s is not None and rows.P is not None:
                np.einsum("qn,qn->n", rows.P, rows.O, out=rows.s)

    def _blocks(self, free: IntArray) -> ClassBlocks:
        """Return the preconditioner of the free weights."""
        rows = self.rows
        parts: list[tuple[IntArray, Cholesky | Float64Array]] = []
        for k in np.unique(rows.group[free]):
            own = np.flatnonzero(rows.group[free] == k)
            columns, ridge = rows.column[free[own]], rows.ridge[free[own]]
            if len(own) > MOST_FACTORED:
                parts.append((own, rows.curvature[free[own]] + TINY))
                continue
            gram = self._gram(int(k), columns)
            gram.flat[:: len(own) + 1] += ridge + DAMPING * gram.diagonal()
            parts.append((own, cholesky(gram, jitter=JITTER, unit_where_zero=True)))
        return ClassBlocks(tuple(parts))

    def _gram(self, k: int, columns: IntArray) -> Float64Array:
        """Return a copy of the block of class k in these columns, from all rows or from those of most curvature."""
        rows, (known, gram) = self.rows, self.grams.get(k, (np.zeros(0, dtype=np.intp), np.zeros((0, 0))))
        if not np.isin(columns, known).all():
            known = np.union1d(known, columns)
            share = np.asarray(rows.C[k] if rows.P is None else rows.C[k] * (1 - rows.P[k]), dtype=np.float64)
            size = max(ROWS_PER_COLUMN * len(known), int(INEXPENSIVE_PRODUCTS / len(known) ** 2))
            draw = draw_rows(np.maximum(share, 0.0), size, np.random.default_rng(0).random(len(share)))
            some = rows.Z[known] if len(draw.rows) == rows.Z.shape[1] else rows.Z[np.ix_(known, draw.rows)]
            half = some * np.sqrt(draw.weight).astype(np.float32)
            known, gram = self.grams[k] = known, (half @ half.T).astype(np.float64)
        where = np.searchsorted(known, columns)
        return np.array(gram[np.ix_(where, where)])


@dataclass(frozen=True)
class FreeProducts:
    """Products with the Hessian in some of the weights."""

    rows: RowHessian
    Z: FloatArray
    """The columns (c, n) of these weights."""
    group: IntArray
    column: IntArray
    ridge: Float64Array
    curvature: Float64Array
    """Diagonal (f,) of the Hessian."""

    @classmethod
    def of(cls, rows: RowHessian, free: IntArray) -> FreeProducts:
        """Return the products in the weights `free`, with a copy of their columns where these are few."""
        columns, where = np.unique(rows.column[free], return_inverse=True)
        if len(columns) > MIN_SHARE * len(rows.Z):
            return cls(rows, rows.Z, rows.group[free], rows.column[free], rows.ridge[free], rows.curvature[free])
        return cls(rows, rows.Z[columns], rows.group[free], where, rows.ridge[free], rows.curvature[free])

    def gradient(self, O: FloatArray, s: FloatArray | None) -> Float64Array:
        """Return the change (f,) of the gradient for a change O (q, n) of the logits with the mean s (n,)."""
        residual = self.rows.C * (O if s is None else O - s)
        return np.asarray((residual @ self.Z.T)[self.group, self.column], dtype=np.float64)

    def times(self, v: Float64Array) -> tuple[Float64Array, FloatArray]:
        """Return the Hessian times v (f,), and the change (q, n) of the logits."""
        D = np.zeros((len(self.rows.C), len(self.Z)), dtype=np.float32)
        D[self.group, self.column] = v
        O = D @ self.Z
        s = None if self.rows.P is None else np.einsum("qn,qn->n", self.rows.P, O)
        return self.gradient(O, s) + self.ridge * v, O


def conjugate_gradients(products: FreeProducts, inverse: ClassBlocks, b: Float64Array) -> tuple[Float64Array, int]:
    """Return an approximate solution x (f,) of `H x = b`, and the number of products."""
    x, r, damping = np.zeros_like(b), b.copy(), DAMPING * products.curvature
    p = z = inverse.times(r)
    square = float(r @ z)
    least = CG_TOLERANCE**2 * square
    for step in range(MOST_CG_STEPS):
        if square <= least or square <= TINY:
            return x, step
        Hp = products.times(p)[0] + damping * p
        curvature = float(p @ Hp)
        if curvature <= 0:
            return x, step
        x += (square / curvature) * p
        r -= (square / curvature) * Hp
        z = inverse.times(r)
        before, square = square, float(r @ z)
        p = z + (square / before) * p
    return x, MOST_CG_STEPS
