"""Proximal Newton directions for penalties with an l1 part on single weights.

Each direction leads to the minimum of a quadratic model of loss and l2 part plus the penalty, on a working set of
weights: those that are not 0, and those whose gradient exceeds the l1 strength most. The model has the exact Hessian
(`curvature.weight_models`), as a matrix for few weights and as products for many.

Two classes have one weight a column, the difference u of theirs: the penalty that a common shift of both leaves is
`l1 |u| + l2 u^2 / 4`.

References
----------
Lee, Sun and Saunders (2014), Proximal Newton-type methods for minimizing composite functions.
Hsieh, Sustik, Dhillon and Ravikumar (2014), QUIC: quadratic approximation for sparse inverse covariance estimation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.optimize.curvature.hessian_products import MOST_NUMBERS, MOST_READ_ROWS, Probabilities, StandardisedColumns
from softreg.optimize.curvature.sparse_models import exact_curvature, sparse_columns
from softreg.optimize.curvature.subsampled import KeptProbabilities, MemberWeights
from softreg.optimize.curvature.weight_models import (
    MatrixModel,
    ProductModel,
    WeightModel,
    add_diagonal,
    hessian_matrix,
    minimise_model,
)
from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.problem.limits import LIMITS, Limits
from softreg.optimize.solvers.direction import StatelessDirections
from softreg.rows import DenseRows, Rows, SparseRows
from softreg.rows.kernels.coordinate_sweeps import RowHessian, Weights
from softreg.rows.kernels.sparse_model import Effort, SparseColumns, SparseModel, minimise_sparse
from softreg.typing import Array, Float64Array, FloatArray, IntArray

TARGET_GAP = 1e-9
"""Estimated gap at which a certificate is tried without an l2 part: that gap is linear in the errors of the gradient,
the estimate quadratic, and another step costs less than a certificate that fails."""
EFFORT = Effort()
"""How closely the models on sparse columns are minimised."""
FIRST_WEIGHTS = 100
"""Weights that may enter the empty working set at once; otherwise at most as many enter as it has."""
COPIED_AT_ONCE = 1 << 23
"""Numbers of the rows up to which all columns are copied at once (32 MB); of more, those of the working set."""


@dataclass(frozen=True)
class WorkingSet:
    """The weights of one model that may move."""

    group: IntArray
    """Class (f,) of each."""
    column: IntArray
    """Column (f,) of each; d for the bias."""
    weights: Weights
    gradient: Float64Array
    """Gradient (f,) of loss and l2 part."""
    ridge: Float64Array
    """Curvature (f,) of the l2 part."""

    def whole(self, q: int) -> IntArray:
        """Return the weights (c, q) of the columns without an l2 part in which all q classes may move."""
        first = np.flatnonzero(np.append(True, np.diff(self.column) > 0))
        first = first[np.diff(np.append(first, len(self.column))) == q]
        first = first[(self.ridge[first] == 0) & (self.weights.kink[first] > 0)]
        return np.asarray(first[:, None] + np.arange(q))


class ProximalNewton(StatelessDirections):
    """Directions (m, q, d + 1) to the minimum of a quadratic model plus the penalty, on a working set of weights."""

    keeps_signs = False
    target_gap = TARGET_GAP

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.limits, self.columns = limits, CopiedColumns()
        self.sparse: SparseColumns | None = None
        """Columns of sparse rows, which are not copied as dense ones; None where the columns are copied."""
        self.seen = False
        """Whether the storage of the rows has been looked at."""

    def direction(self, objective: Objective, theta: FloatArray, G: FloatArray) -> FloatArray:
        """Return the direction at parameters `theta` with gradient `G` of loss and l2 part."""
        single = has_one_weight(objective)
        terms = PenaltyTerms.of(objective, single)
        x = theta[:, 1:] - theta[:, :1] if single else theta
        g = (G[:, 1:] - G[:, :1]) / 2 if single else G
        sets = [terms.working_set(objective, x[j], g[j], j) for j in range(objective.m)]
        starts = [own.weights.x.copy() for own in sets]
        if not self.seen:
            self.sparse, self.seen = sparse_columns(objective), True
        if self.sparse is not None:
            self._minimise_sparse(objective, self.sparse, sets, single)
        else:
            self._minimise_dense(objective, theta, sets, single)
        D = np.zeros(x.shape)
        for j, (own, start) in enumerate(zip(sets, starts, strict=True)):
            D[j][own.group, own.column] = own.weights.x - start
        return in_both_classes(objective, theta, x, D) if single else D

    def _minimise_sparse(
        self, objective: Objective, columns: SparseColumns, sets: list[WorkingSet], single: bool
    ) -> None:
        """Move the weights of each model to the minimum of its quadratic model on sparse columns."""
        objective.half_passes += 1
        P, V = exact_curvature(objective)
        read, groups = 0.0, 1 if single else objective.q
        for own, p, v in zip(sets, P, V, strict=True):
            C = p[1:] * p[:1] * v if single else p * v
            model = SparseModel(
                columns, None if single else p, C, own.group, own.column, own.gradient, np.ascontiguousarray(own.ridge)
            )
            shifts = objective.q > 2 and objective.penalty.bounds is None
            read += minimise_sparse(model, own.weights, EFFORT, own.whole(objective.q) if shifts else None)
        objective.half_passes += round(2 * read / max(1, groups * len(columns.data)))

    def _minimise_dense(self, objective: Objective, theta: FloatArray, sets: list[WorkingSet], single: bool) -> None:
        """Move the weights of each model to the minimum of its quadratic model on copied columns."""
        for model, own in zip(self.columns.models(objective, theta, sets, single), sets, strict=True):
            shifts = objective.q > 2 and objective.penalty.bounds is None
            minimise_model(self._with_matrix(model), own.weights, own.whole(objective.q) if shifts else None)
            if isinstance(model, ProductModel):
                objective.half_passes += round(2 * model.products)

    def _with_matrix(self, model: ProductModel) -> WeightModel:
        """Return the model with its Hessian as a matrix if it has few weights."""
        limits, f, n = self.limits, len(model.rows.group), model.rows.Z.shape[1]
        if f > limits.proximal_matrix_weights or n * f**2 > limits.proximal_matrix_multiplications:
            add_diagonal(model.rows)
            return model
        precise = n * f**2 <= limits.proximal_precise_multiplications
        return MatrixModel(
            hessian_matrix(model.rows, np.float64 if precise else np.float32), model.rows.gradient.copy()
        )


def has_one_weight(objective: Objective) -> bool:
    """Return whether the penalty of two classes is a function of the difference of their weights."""
    penalty = objective.penalty
    free = penalty.bounds is None and penalty.support is None and penalty.center is None
    return objective.q == 2 and free and objective.l1_scaled.shape[1] == 1 and objective.ridge.shape[1] == 1


def in_both_classes(objective: Objective, theta: FloatArray, x: FloatArray, D: FloatArray) -> FloatArray:
    """Return the move (m, 2, d + 1) of both classes for a move D (m, 1, d + 1) of their difference x."""
    end = x + D
    with_ridge = objective.ridge > 0
    both = np.concatenate(
        [np.where(with_ridge, -end / 2, np.maximum(-end, 0.0)), np.where(with_ridge, end / 2, np.maximum(end, 0.0))],
        axis=1,
    )
    out = both - theta
    out[..., -1:] = np.concatenate([-D[..., -1:], D[..., -1:]], axis=1) / 2
    return np.asarray(out)


@dataclass(frozen=True)
class PenaltyTerms:
    """Coefficients (m, q or 1, d + 1) of the penalty in the solver's coordinates, and bounds (q, d + 1)."""

    kink: Float64Array
    ridge: Float64Array
    bounds: tuple[Array, Array] | None

    @classmethod
    def of(cls, objective: Objective, single: bool) -> PenaltyTerms:
        """Return the terms of all weights, or of the differences of two classes."""
        return cls(objective.l1_scaled, objective.ridge / 2 if single else objective.ridge, objective.bounds_scaled)

    def working_set(self, objective: Objective, x: FloatArray, G: FloatArray, j: int) -> WorkingSet:
        """Return the working set of model j at parameters x (q or 1, d + 1) with gradient G."""
        kink, ridge = np.broadcast_to(self.kink[j], x.shape), np.broadcast_to(self.ridge[j], x.shape)
        low, high = self.bounds or (np.full(x.shape, -np.inf), np.full(x.shape, np.inf))
        allowed = low < high
        if objective.penalty.support is not None:
            allowed[:, :-1] &= objective.penalty.support[j]
        allowed[:, :-1][:, objective.coordinates.constant] = False
        allowed[:, -1] = objective.fit_intercept
        if len(x) > 1:  # a shift common to the biases of all classes changes nothing
            allowed[0, -1] = False
        live = allowed & ((x != 0) | (kink == 0))
        ratio = np.abs(G) / np.where(kink > 0, kink, np.inf)
        most = max(FIRST_WEIGHTS, int(live.sum()))
        entering = np.flatnonzero(allowed & ~live & (ratio > 1))
        if len(entering) > most:
            entering = entering[np.argpartition(-ratio.ravel()[entering], most)[:most]]
        live.ravel()[entering] = True
        # the classes of a column in turn: it stays in the cache
        column, group = map(np.ascontiguousarray, np.nonzero(live.T))
        at = group, column
        weights = Weights(np.asarray(x[at], dtype=np.float64), kink[at], low[at], high[at])
        return WorkingSet(group, column, weights, np.asarray(G[at], dtype=np.float64), ridge[at])


class CopiedColumns:
    """Columns of the rows in float32: all rows, or a sample of those that are too many to copy."""

    def __init__(self) -> None:
        self.rows: Rows | None = None
        self.whole = False
        """Whether all rows are copied."""
        self.columns: IntArray = np.zeros(0, dtype=np.intp)
        self.Z: FloatArray = np.zeros((0, 0), dtype=np.float32)

    def models(
        self, objective: Objective, theta: FloatArray, sets: list[WorkingSet], single: bool
    ) -> list[ProductModel]:
        """Return the models with their Hessian as products."""
        objective.half_passes += 1
        self._copy(objective, np.unique(np.concatenate([own.column for own in sets])))
        assert self.rows is not None
        if self.whole:
            P = objective.map(KeptProbabilities(objective.state))
        else:
            W, b = objective.coordinates.to_stored(theta)
            P = self.rows.map(Probabilities(objective.state, self.rows.prepare(W.reshape(b.size, -1)), b))
        V = np.asarray(self.rows.map(MemberWeights(objective.state)))
        V = (V / V.sum(axis=0)).astype(np.float32)
        return [self._model(own, P[:, j].T, V[:, j], single) for j, own in enumerate(sets)]

    def _model(self, own: WorkingSet, P: FloatArray, v: FloatArray, single: bool) -> ProductModel:
        """Return the model of one member from its probabilities (q, n) and row weights (n,)."""
        P = np.ascontiguousarray(P)
        C = P[1:] * P[:1] * v if single else P * v
        column = np.searchsorted(self.columns, own.column)
        s = None if single else np.zeros(P.shape[1], dtype=np.float32)
        rows = RowHessian(
            Z=self.Z,
            P=None if single else P,
            C=np.ascontiguousarray(C),
            O=np.zeros_like(C),
            s=s,
            group=own.group,
            column=column,
            gradient=own.gradient,
            start=own.weights.x.copy(),
            ridge=own.ridge,
            curvature=own.ridge.copy(),
        )
        return ProductModel(rows)

    def _copy(self, objective: Objective, columns: IntArray) -> None:
        """Copy these columns of the rows, unless they have been copied already."""
        rows, d = objective.rows, objective.rows.d
        if self.rows is not None and np.isin(columns, self.columns).all():
            return
        if rows.n * (d + 1) <= COPIED_AT_ONCE:
            columns = np.arange(d + 1)
        columns = np.union1d(columns, self.columns)
        in_memory = isinstance(rows, DenseRows | SparseRows) and rows.fits_in_memory
        size = min(rows.n if in_memory else MOST_READ_ROWS, max(1, MOST_NUMBERS // len(columns)))
        self.whole = rows.n <= size
        self.rows = rows if self.whole else rows.sample(size, 0)
        shift, scale = objective.coordinates.for_block()
        own = columns[columns < d]
        source = self.rows
        if isinstance(source, DenseRows | SparseRows) and len(own) < d:
            source, shift, scale = source.take(own), shift[own], scale[own]
            columns, kept = np.append(np.arange(len(own)), [len(own)] * int(columns[-1] == d)), columns
        else:
            kept = columns
        taken = StandardisedColumns(shift, scale, columns, float(objective.fit_intercept))
        self.Z, self.columns = np.ascontiguousarray(source.map(taken).T), kept
