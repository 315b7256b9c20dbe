"""Quadratic models of the loss in the weights of groups of columns, for block coordinate descent and Newton steps.

In scaled coordinates `u_j = scale_j w_j` the penalty of a group is `R_g ||U_g / scale_g||`. With the least scale s of
the group, `stretch_j = scale_j / s` and `radius = R_g / s` it is `radius ||Y||` for `Y = U_g / stretch`, and 1 is the
stretch of a group of one column. A block step minimises model and penalty over one group exactly, or over an upper
bound of the model's curvature. In Y the model's Hessian is `stretch H_gg stretch`, and `column_groups.block_minimum`
finds the minimum in its eigenbasis. So each step lowers model plus penalty, unless the group is at its minimum already:
for an exact step because model plus penalty has one minimiser over the group; for a bound L of the curvature because
the majoriser touches the model at the present point and lies above it elsewhere.

Sweeps stop at the minimum of the model. A point that no block step lowers is a minimum, since the nonsmooth part is a
sum over the blocks.

References
----------
Tseng (2001), Convergence of a block coordinate descent method for nondifferentiable minimization.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Protocol

import numpy as np

from softreg.linalg import TINY, cholesky
from softreg.optimize.curvature.hessian_products import HessianProducts, KroneckerHessian
from softreg.optimize.curvature.kronecker_inverse import KroneckerInverse, conjugate_gradients
from softreg.optimize.problem.column_groups import block_minimum
from softreg.typing import Array, BoolArray, Float64Array, IntArray

EXACT_SWEEPS, EXACT_TOLERANCE = 30, 1e-3
"""Sweeps for a minimum of the exact model, at most, and the relative move at which they end."""
PRODUCT_SWEEPS, PRODUCT_TOLERANCE = 4, 0.1
"""The same with products, where an exact minimum costs more than a further step (measured: 2,000 x 200 with ten classes
and 170 active columns takes as long with 0.3, 2,000 x 1,000 with 614 a fifth longer)."""
MAJORISATION = 1 + 1e-9
"""Factor above the largest eigenvalue of a column's block, so that rounding does not make a block step too long."""
RIDGE = 1e-10
"""Part of the diagonal that is added to a Newton system: a shift common to all classes has no curvature."""
JITTER = (0.0, 1e-13, 1e-11, 1e-9, 1e-6, 1e-3, np.inf)
"""Parts of the unit diagonal that are added to a matrix, in turn, until it has a Cholesky factor."""
MIN_PIVOT = 1e-7
"""Diagonal element of the scaled factor below which rounding errors decide."""
WIDEST_GROUP = 256
"""Columns of a group up to which the eigenvectors of its block are computed; of more, a bound of the eigenvalues."""
LINE_SEARCH_STEPS = 10
"""Halvings of a step that does not lower the model."""


@dataclass(frozen=True)
class WorkingGroups:
    """The groups of a working set of k columns."""

    codes: IntArray
    """Group (k,) of each column, from 0."""
    radius: Float64Array
    """Coefficient (k,) of the norm of the group of each column; 0 for the bias."""
    stretch: Float64Array
    """Scale (k,) of each column, relative to the least of its group."""

    @classmethod
    def single(cls, radius: Float64Array) -> WorkingGroups:
        """Return groups of one column each, with these radii (k,)."""
        return cls(np.arange(len(radius)), radius, np.ones(len(radius)))

    @cached_property
    def columns(self) -> tuple[IntArray, ...]:
        """The columns of each group."""
        order = np.argsort(self.codes, kind="stable")
        return tuple(np.split(order, np.flatnonzero(np.diff(self.codes[order])) + 1)) if len(order) else ()

    @cached_property
    def selections(self) -> tuple[IntArray | slice, ...]:
        """The same as slices where the columns are neighbours, which select without a copy."""
        spans = [slice(int(c[0]), int(c[-1]) + 1) for c in self.columns]
        return tuple(s if s.stop - s.start == len(c) else c for s, c in zip(spans, self.columns, strict=True))

    @cached_property
    def are_single(self) -> bool:
        """Whether each group has one column."""
        return len(self.columns) == len(self.codes)

    @cached_property
    def first(self) -> IntArray:
        """The first column of each group."""
        return np.array([group[0] for group in self.columns], dtype=np.intp)

    def norm(self, V: Float64Array) -> Float64Array:
        """Return the norm of the group of each column of weights (q, k), (k,)."""
        if self.are_single:
            return np.asarray(np.sqrt((V**2).sum(axis=0)))
        squares = ((V / self.stretch) ** 2).sum(axis=0)
        return np.asarray(np.sqrt(np.bincount(self.codes, weights=squares)[self.codes]))

    def change(self, V: Float64Array, move: Float64Array) -> float:
        """Return the change of the penalty from V to V + move, as exact as the move, however small that is."""
        Y, step = V / self.stretch, move / self.stretch
        products = ((2 * Y + step) * step).sum(axis=0)  # the difference of squares
        if not self.are_single:
            products = np.bincount(self.codes, weights=products)[self.codes]
        norms = self.norm(V) + self.norm(V + move)
        terms = self.radius * np.divide(products, norms, out=np.zeros_like(norms), where=norms > 0)
        return float(terms[self.first].sum())


class GroupModel(Protocol):
    """A quadratic model of loss and l2 part in the weights (q, k) of a working set, whose groups have a penalty."""

    most_sweeps: ClassVar[int]
    """Sweeps for one minimum, at most."""
    tolerance: ClassVar[float]
    """Largest move of a sweep, relative to the first one, at which the model counts as minimised."""

    @property
    def groups(self) -> WorkingGroups:
        """The groups of the columns."""
        ...

    def sweep(self, V: Float64Array, gradient: Float64Array) -> float:
        """Move weights V (q, k) and the gradient (q, k) there by block steps; return the square of the largest move."""
        ...

    def image(self, step: Float64Array) -> Float64Array:
        """Return the change (q, k) of the gradient after a move (q, k) of all columns."""
        ...

    def newton(self, V: Float64Array, gradient: Float64Array) -> Float64Array:
        """Return a Newton step (q, k) on the groups with weights."""
        ...


@dataclass(frozen=True)
class Bend:
    """Gradient and Hessian of the norms at the groups with weights: `bend (I / stretch^2 - unit unit^T)` for each."""

    active: BoolArray
    """Columns (k,) of groups with weights, and those without a penalty."""
    unit: Float64Array
    """`Y / (stretch ||Y||)`, (q, k), 0 for groups without weights."""
    bend: Float64Array
    """`radius / ||Y||`, (k,)."""

    @classmethod
    def at(cls, groups: WorkingGroups, V: Float64Array) -> Bend:
        """Return it at weights V (q, k)."""
        norm = groups.norm(V)
        above = np.where(norm > 0, norm, 1.0)
        unit = V / groups.stretch / above / groups.stretch
        return cls((norm > 0) | (groups.radius == 0), unit, np.where(norm > 0, groups.radius / above, 0.0))


@dataclass(frozen=True)
class BlockBasis:
    """The eigenbasis of the block of a group, for one class or all of them."""

    vectors: Float64Array | None
    """Eigenvectors in columns; None for the identity."""
    values: Float64Array
    """Eigenvalues, in the shape of the coefficients."""


@dataclass(frozen=True)
class ExactModel:
    """The exact Hessian H (q, k, q, k).

    A group of one column takes a step for the largest eigenvalue of its block; a larger group is minimised exactly.
    """

    H: Float64Array
    steps: Float64Array
    """The inverse (k,) of an upper bound of the curvature of each column's block."""
    groups: WorkingGroups
    most_sweeps: ClassVar[int] = EXACT_SWEEPS
    tolerance: ClassVar[float] = EXACT_TOLERANCE

    @classmethod
    def of(cls, H: Float64Array, q: int, groups: WorkingGroups) -> ExactModel:
        """Return the model of a Hessian (q k, q k), class by class."""
        k = len(H) // q
        H = H.reshape(q, k, q, k)
        largest = np.linalg.eigvalsh(np.einsum("akbk->kab", H))[:, -1]
        return cls(H, 1 / (MAJORISATION * np.maximum(largest, TINY)), groups)

    @cached_property
    def bases(self) -> dict[int, BlockBasis]:
        """The eigenbasis of each group of several columns, by its first column."""
        bases = {}
        for c in self.groups.columns:
            if len(c) > 1:
                stretch = np.tile(self.groups.stretch[c], len(self.H))
                block = self.H[:, c][:, :, :, c].reshape(len(stretch), -1) * np.multiply.outer(stretch, stretch)
                values, vectors = np.linalg.eigh(block)
                bases[int(c[0])] = BlockBasis(vectors, np.maximum(values, 0.0))
        return bases

    def sweep(self, V: Float64Array, gradient: Float64Array) -> float:
        """Move V and the gradient by a step of each group; return the square of the largest move."""
        largest, radius = 0.0, self.groups.radius
        for columns in self.groups.columns:
            c = int(columns[0])
            if len(columns) > 1:
                largest = max(largest, self._minimise_group(columns, V, gradient))
                continue
            move = _shrunk(V[:, c] - self.steps[c] * gradient[:, c], self.steps[c] * radius[c]) - V[:, c]
            size = float(move @ move) / self.steps[c]
            if size > 0:
                V[:, c] += move
                gradient += np.tensordot(move, self.H[:, c], (0, 0))
                largest = max(largest, size)
        return largest

    def _minimise_group(self, c: IntArray, V: Float64Array, gradient: Float64Array) -> float:
        """Move V and the gradient to the minimum over the group of columns c; return the square of the move."""
        basis, stretch = self.bases[int(c[0])], self.groups.stretch[c]
        assert basis.vectors is not None
        y = basis.vectors.T @ (V[:, c] / stretch).ravel()
        g = basis.vectors.T @ (gradient[:, c] * stretch).ravel()
        found = block_minimum(
            basis.values * y - g, basis.values, float(self.groups.radius[c[0]]), float(np.sqrt(y @ y))
        )
        change = found - y
        size = float(basis.values @ change**2)
        if change.any():
            move = -V[:, c]  # exactly, without the rounding errors of the basis
            if found.any():
                move = (basis.vectors @ change).reshape(len(V), -1) * stretch
            V[:, c] += move
            gradient += np.tensordot(move, self.H[:, c], ((0, 1), (0, 1)))
        return size

    def image(self, step: Float64Array) -> Float64Array:
        """Return the change (q, k) of the gradient after a move (q, k) of all columns."""
        return np.asarray((self.H.reshape(step.size, -1) @ step.ravel()).reshape(step.shape))

    def newton(self, V: Float64Array, gradient: Float64Array) -> Float64Array:
        """Return the Newton step (q, k) of model and penalty on the groups with weights, 0 elsewhere."""
        at = Bend.at(self.groups, V)
        active = np.flatnonzero(at.active)
        q, k, unit, bend = len(V), len(active), at.unit[:, active], at.bend[active]
        H = self.H[:, active][:, :, :, active].copy()
        diagonal_blocks = np.einsum("akbk->abk", H)
        square = self.groups.stretch[active] ** 2
        diagonal_blocks += bend * (np.eye(q)[:, :, None] / square - unit[:, None] * unit[None])
        if not self.groups.are_single:
            same = np.equal.outer(self.groups.codes[active], self.groups.codes[active])
            same[np.diag_indices(k)] = False
            for i, j in np.argwhere(same):
                H[:, i, :, j] -= bend[i] * np.multiply.outer(unit[:, i], unit[:, j])
        H = H.reshape(q * k, q * k)
        H[np.diag_indices_from(H)] *= 1 + RIDGE
        step = np.zeros_like(V)
        slope = gradient[:, active] + self.groups.radius[active] * unit
        factor = cholesky(H, jitter=JITTER, min_pivot=MIN_PIVOT, unit_where_zero=True).merged()
        step[:, active] = -factor.solve(slope.ravel()).reshape(q, k)
        return step


@dataclass(frozen=True)
class ProductModel:
    """The exact Hessian as products, with sweeps over a Kronecker product and Newton steps by conjugate gradients.

    A sweep of the Kronecker model from the present gradient gives a direction, which is shortened until the exact model
    and the penalty fall.
    """

    products: HessianProducts
    groups: WorkingGroups
    kronecker: KroneckerHessian
    bases: tuple[BlockBasis, ...]
    """The eigenbasis of each group, whose eigenvalues (q, |g|) hold all classes."""
    most_sweeps: ClassVar[int] = PRODUCT_SWEEPS
    tolerance: ClassVar[float] = PRODUCT_TOLERANCE

    @classmethod
    def of(cls, products: HessianProducts, groups: WorkingGroups) -> ProductModel:
        """Return the model of these products."""
        kronecker, bases = products.kronecker(), []
        for c in groups.columns:
            stretch = groups.stretch[c]
            gram = kronecker.gram[np.ix_(c, c)] * np.multiply.outer(stretch, stretch)
            vectors: Float64Array | None = None
            values = gram[0] if len(c) == 1 else np.full(len(c), np.abs(gram).sum(axis=1).max())
            if 1 < len(c) <= WIDEST_GROUP:
                values, vectors = np.linalg.eigh(gram)
            ridge = products.ridge[c[0]] * stretch[0] ** 2  # in Y the l2 part has the same curvature for all columns
            h = np.multiply.outer(kronecker.values, np.maximum(values, 0.0)) + ridge
            bases.append(BlockBasis(vectors, np.maximum(h, TINY)))
        return cls(products, groups, kronecker, tuple(bases))

    def sweep(self, V: Float64Array, gradient: Float64Array) -> float:
        """Move V and the gradient along the direction of a sweep; return the square of its length."""
        basis = self.kronecker.basis
        A, size = basis.T @ V, 0.0
        B, g = A.copy(), basis.T @ gradient
        gram, values, ridge = self.kronecker.gram, self.kronecker.values[:, None], self.products.ridge
        radii, stretches = self.groups.radius[self.groups.first].tolist(), self.groups.stretch
        for c, block, radius in zip(self.groups.selections, self.bases, radii, strict=True):
            stretch, own = stretches[c], B[:, c]
            y, slope, h = own / stretch, g[:, c] * stretch, block.values
            if block.vectors is not None:
                y, slope = y @ block.vectors, slope @ block.vectors
            found = block_minimum(h * y - slope, h, radius, float(np.sqrt((y * y).sum())))
            change = found - y
            length = float((h * change * change).sum())
            if length > 0:
                move = -own  # exactly, without the rounding errors of the basis
                if found.any():
                    move = (change if block.vectors is None else change @ block.vectors.T) * stretch
                B[:, c] = own + move
                g += values * (move @ gram[c])
                g[:, c] += ridge[c] * move
                size += length
        move = basis @ (B - A)
        move[:, (B == 0).all(axis=0)] = -V[:, (B == 0).all(axis=0)]  # exactly zero after a full step
        return size if descend(self, V, gradient, move) else 0.0

    def image(self, step: Float64Array) -> Float64Array:
        """Return the change (q, k) of the gradient after a move (q, k) of all columns."""
        return self.products.times(step)

    def newton(self, V: Float64Array, gradient: Float64Array) -> Float64Array:
        """Return an approximate Newton step (q, k) of model and penalty on the groups with weights, 0 elsewhere."""
        at = Bend.at(self.groups, V)
        active = np.flatnonzero(at.active)
        whole = len(active) == V.shape[1]
        ridge, Z = self.products.ridge[active], self.products.Z if whole else self.products.Z[active]
        products = HessianProducts(Z, self.products.P, self.products.v, ridge)
        unit, bend, codes = at.unit[:, active], at.bend[active], self.groups.codes[active]
        diagonal = bend / self.groups.stretch[active] ** 2

        def times(D: Float64Array) -> Float64Array:
            along = np.bincount(codes, weights=(unit * D).sum(axis=0))[codes]
            return np.asarray(products.times(D) + diagonal * D - bend * along * unit)

        slope = gradient[:, active] + self.groups.radius[active] * unit
        step = np.zeros_like(V)
        inverse = KroneckerInverse.of(self.kronecker, active, ridge + diagonal)
        step[:, active] = conjugate_gradients(times, inverse, -slope)
        return step


def descend(model: GroupModel, V: Float64Array, gradient: Float64Array, move: Float64Array) -> bool:
    """Move V and the gradient there along a direction, shortened until model and penalty fall; return whether they do.

    Parameters
    ----------
    model : GroupModel
        Model and penalty.
    V, gradient : array of shape (q, k)
        Weights, and the gradient of the model there; both are changed.
    move : array of shape (q, k)
        The direction.

    Returns
    -------
    bool
        Whether there was a step.

    Examples
    --------
    >>> model = ExactModel.of(np.eye(1), 1, WorkingGroups.single(np.array([0.0])))
    >>> V, gradient = np.zeros((1, 1)), np.array([[-1.0]])
    >>> descend(model, V, gradient, np.array([[3.0]])), V.tolist(), gradient.tolist()
    (True, [[1.5]], [[0.5]])
    """
    change = model.image(move)
    slope, curvature = float((gradient * move).sum()), float((change * move).sum())
    t = 1.0
    for _ in range(LINE_SEARCH_STEPS):
        if t * slope + t * t * curvature / 2 + model.groups.change(V, t * move) < 0:
            V += t * move
            gradient += t * change
            return True
        t /= 2
    return False


def _shrunk(v: Array, radius: float) -> Array:
    """Return v (q,) with its norm reduced by `radius`, at least to 0."""
    norm = float(np.sqrt(v @ v))
    return v * (1 - radius / norm) if norm > radius else np.zeros_like(v)
