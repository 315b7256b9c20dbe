"""Every reduction on every backend gives what its formula gives in NumPy, also after a trip through pickle.

Rows have no offset of the logits, or one, which the logits of points have and those of directions do not.
"""

from __future__ import annotations

import importlib
import pickle
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray

import softreg.models
import softreg.optimize
import softreg.rows.gpu.device_rows as device_rows
from softreg.models.inference import marginal_effects
from softreg.models.likelihood import likelihood
from softreg.models.selection import strength_grid
from softreg.models.selection.folds_on_workers import fold_rows
from softreg.optimize import firth_scoring as firth
from softreg.optimize import heldout_stopping, l2
from softreg.optimize.certificate import self_concordance, separation_during_fit
from softreg.optimize.curvature import class_clusters, hessian_products, importance_sampled, subsampled
from softreg.optimize.dual import dual_reductions
from softreg.optimize.objective import (
    bias_newton,
    class_moments,
    column_reductions,
    evaluation,
    hessian,
)
from softreg.optimize.objective import loss_reductions as reductions
from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.objective.hessian import Columns, contrasts
from softreg.optimize.objective.stack_state import StackState
from softreg.optimize.problem.standardization import Coordinates
from softreg.optimize.problem_reduction import row_space
from softreg.optimize.problem_reduction import working_sets as screening
from softreg.optimize.solvers import small_start
from softreg.rows import DenseRows, OnDevice, Rows, RowWriter, SparseRows, as_rows
from softreg.rows import column_statistics as of_rows
from softreg.rows.memory import csr, dense
from softreg.rows.ondisk import disk_rows

Array = NDArray[Any]
N, D, Q, M = 600, 4, 3, 2
STEP, SHARE = np.array([0.3, 1.7]), np.array([0.4, 1.0])
SHIFT = np.arange(M * Q).reshape(M, Q) / 8
EPS = 2.0**-52


def softmax(o: Array) -> Array:
    e = np.exp(o - o.max(axis=-2, keepdims=True))
    return e / e.sum(axis=-2, keepdims=True)


class Problem:
    """Rows whose numbers are exact in float32, parameters of two models, and what the formulas are made of."""

    def __init__(self, with_offset: bool) -> None:
        random = np.random.default_rng(0)
        self.X = random.integers(-16, 17, size=(N, D)) / 8
        self.X[random.random((N, D)) < 0.4] = 0.0
        self.y = random.integers(0, Q, N)
        self.V = random.integers(0, 4, size=(M, N)).astype(float)
        self.theta, self.way = random.integers(-8, 9, size=(2, M, Q, D + 1)) / 8
        self.coordinates = Coordinates(
            np.array([0.5, 0.0, -0.25, 1.0]), np.array([1.0, 2.0, 0.5, 4.0]), np.zeros(D, bool)
        )
        self.Z = np.column_stack([(self.X - self.coordinates.shift) / self.coordinates.scale, np.ones(N)])
        self.Y = np.eye(Q)[self.y].T  # (q, n)
        self.linear, self.s = (np.einsum("mqd,nd->mqn", theta, self.Z) for theta in (self.theta, self.way))
        offset = np.random.default_rng(3).integers(-16, 17, size=(N, Q)) / 8
        self.offset = offset if with_offset else None
        self.o = self.linear + offset.T if with_offset else self.linear
        self.P = softmax(self.o)
        self.R = self.V[:, None] * (self.P - self.Y)
        self.T = np.linalg.qr(random.normal(size=(D + 1, 3)))[0].T
        self.H = self.T.T @ self.T + np.eye(D + 1)
        self.judge = random.integers(-1, M, size=(2, N))
        self.log_alpha = np.log(random.dirichlet(np.ones(Q), N)).astype(np.float32)
        self.clusters = random.integers(0, 7, N)

    @cached_property
    def S(self) -> Array:
        half = np.random.default_rng(1).normal(size=(2 * (D + 1), 2 * (D + 1)))
        return np.asarray((half @ half.T).reshape(Q - 1, D + 1, Q - 1, D + 1))

    def loss(self, o: Array) -> Array:
        """Cross-entropy of each row (m, n)."""
        return np.asarray(np.log(np.exp(o).sum(axis=1)) - (o * self.Y).sum(axis=1))

    def sums(self, o: Array) -> tuple[Array, Array, Array]:
        """Loss, residual, and residual times rows."""
        R = self.V[:, None] * (softmax(o) - self.Y)
        return (self.V * self.loss(o)).sum(axis=1), R.sum(axis=2).ravel(), R.reshape(M * Q, N) @ self.X

    def along(self) -> tuple[Array, Array, Array]:
        o = self.o + STEP[:, None, None] * self.s
        P = softmax(o)
        mean = (P * self.s).sum(axis=1)
        variance = (P * (self.s - mean[:, None]) ** 2).sum(axis=1)
        slope = mean - (self.Y * self.s).sum(axis=1)
        return tuple((self.V * a).sum(axis=1) for a in (self.loss(o), slope, variance))  # type: ignore[return-value]

    def pairs(self) -> Array:
        k, l = np.triu_indices(Q, 1)
        return np.einsum("mn,men,ni,nj->meij", self.V, self.P[:, k] * self.P[:, l], self.Z, self.Z)

    def bend(self, P: Array) -> Array:
        """`sum V (diag(p) - p p^T)`, (m, q, q)."""
        inner = np.einsum("mn,mqn,mrn->mqr", self.V, P, P)
        return np.asarray((self.V[:, None] * P).sum(axis=2)[:, :, None] * np.eye(Q) - inner)

    def full_hessian(self) -> list[Array]:
        bend = np.einsum("mkn,kl->mkln", self.P, np.eye(Q)) - self.P[:, :, None] * self.P[:, None]
        H = np.einsum("mn,mkln,ni,nj->mkilj", self.V, bend, self.Z, self.Z)
        return [h.reshape(Q * (D + 1), -1) for h in H]

    def leverage(self, j: int, T: Array, H: Array) -> Array:
        """The rounding of the residual of each row, weighted."""
        Y = self.Z @ T.T
        rest = 1 - self.P[j].max(axis=0)
        size = np.sqrt(2 * np.einsum("nr,rs,ns->n", Y, H, Y))
        return np.asarray(self.V[j] @ (np.minimum(EPS, rest) * size))

    def scores(self, mean: Array) -> Array:
        G = np.einsum("qa,qn->an", contrasts(Q), self.P[0] - self.Y)
        S = np.einsum("an,nk->nak", G, self.Z).reshape(N, -1)
        return np.asarray(self.V[0][:, None] * (S - mean))


@dataclass
class Case:
    """How a reduction is made from the objective, which result it gives, and the formula."""

    make: Callable[[Problem, Objective], Any]
    expected: Callable[[Problem], Any]
    kind: str = "sum"
    after: Callable[[Any], Any] = lambda result: result


def block_size(block: Any) -> tuple[int]:
    return (block.stop - block.start,)


def columns(objective: Objective) -> Columns:
    return Columns(objective)


def direction(objective: Objective) -> Any:
    assert objective.direction is not None
    return objective.direction


def ahead(objective: Objective, p: Problem) -> Any:
    objective.try_step(p.theta + p.way)
    return objective.ahead


def keep_columns(p: Problem, o: Objective) -> Any:
    if type(o.rows) not in (DenseRows, SparseRows) or not o.rows.fits_in_memory:
        pytest.skip("columns are left out of rows in memory only")
    few = screening.take_columns(o.rows, np.arange(D))
    W, b = o.coordinates.to_stored(p.theta)
    bias = b.reshape(-1, 1).astype(few.dtype)
    return screening.KeepLogitsOfColumns(o.state_at(o.point(p.theta)), few, few.prepare(W.reshape(b.size, -1)), bias)


def held_out(p: Problem, o: Objective) -> Any:
    losses, logits = np.zeros((2, N), np.float32), np.full((2, N, Q), np.nan, o.rows.dtype)
    return heldout_stopping.HeldOutLoss(o.state, np.array([0, 1, -1]), p.judge, np.ones(N), losses, logits)


def lost_by_judge(p: Problem) -> tuple[Array, Array]:
    loss = p.loss(p.o)
    total = np.array([sum(loss[j][judge == j].sum() for judge in p.judge) for j in range(M)])
    return total, total


def moments(p: Problem) -> Array:
    P, V, Z = p.P[0], p.V[0], p.Z
    one = np.einsum("n,kn,nd->kd", V, P, Z)
    two = np.einsum("n,kn,cn,nd->kcd", V, P, P, Z).reshape(-1, D + 1)
    return np.concatenate([one, two, np.einsum("n,kn,cn,ln,nd->kcld", V, P, P, P, Z).reshape(-1, D + 1)])


def log_det_gradient(p: Problem) -> Array:
    T, P, V, Z = contrasts(Q), p.P[0], p.V[0], p.Z
    h = np.einsum("nj,ajck,nk->nac", Z, p.S, Z)
    of_classes = np.einsum("qa,nac,rc->nqr", T, h, T)
    u = np.einsum("nqq->qn", of_classes) - 2 * np.einsum("nqr,rn->qn", of_classes, P)
    return np.asarray((V * P * (u - (P * u).sum(axis=0)) / 2) @ Z)


def differences(p: Problem) -> tuple[Array, Array]:
    """Change one column from 0 to 1 by definition; the derivative by the formula of each end."""
    total, J = np.zeros((1, Q)), np.zeros((1, Q, Q, D + 1))
    for value, sign in ((1.0, 1), (0.0, -1)):
        Z = p.Z.copy()
        Z[:, 2] = value
        P = softmax(p.theta[0] @ Z.T + (0 if p.offset is None else p.offset.T))
        bend = np.einsum("kn,kc->kcn", P, np.eye(Q)) - P[:, None] * P[None]
        total[0] += sign * P @ p.V[0]
        J[0] += sign * np.einsum("n,kcn,nd->kcd", p.V[0], bend, Z)
    return total, J


def tilted(p: Problem) -> Array:
    return np.exp(p.log_alpha.T.astype(float)) * np.exp(SHIFT[0])[:, None]


def dual_gap(p: Problem) -> tuple[Array, Array]:
    A = tilted(p)
    A /= A.sum(axis=0)
    apart = (A * (np.log(A) - np.log(p.P[1]))).sum(axis=0)
    return p.V[1:] @ p.loss(p.o)[1], p.V[1:] @ apart


def dual_bias(p: Problem) -> tuple[Array, Array]:
    A = tilted(p)
    A /= A.sum(axis=0)
    bend = np.diag(A @ p.V[1]) - (A * p.V[1]) @ A.T
    return (A - p.Y) @ p.V[1], bend


def margins(p: Problem) -> Array:
    out = []
    for o in (p.linear, p.s):
        own = (o * p.Y).sum(axis=1)
        margin = own - np.where(p.Y.astype(bool), -np.inf, o).max(axis=1)
        out += [np.where(p.V > 0, margin, np.inf).min(axis=1), np.where(p.V > 0, margin, -np.inf).max(axis=1)]
    return np.stack([out[0], out[2], out[3]])


def cluster_sums(p: Problem) -> tuple[Array, ...]:
    own = (p.P * p.Y).sum(axis=1)
    w = np.concatenate([p.V * own * (1 - own), p.V * own])
    mass = w @ p.Y.T
    variance = (p.V[:, None] * p.P * (1 - p.P)).sum(axis=2)
    return variance, (p.V[:, None] * p.P).sum(axis=2), mass, np.einsum("kn,qn,nd->kqd", w, p.Y, p.X)


def variance(p: Problem) -> Array:
    return np.asarray(p.V[:, None] * p.P * (1 - p.P))


def mean_variance(p: Problem) -> Array:
    mass = np.maximum(p.V.sum(axis=0), 1e-30)
    return np.asarray((0.75 * variance(p).sum(axis=0) / mass).T[:, None])


def entropy(p: Problem) -> tuple[Array]:
    mixed = p.Y + SHARE[:, None, None] * (softmax(p.o + SHIFT[:, :, None]) - p.Y)
    terms = np.where(mixed > 0, mixed * np.log(np.where(mixed > 0, mixed, 1.0)), 0.0)
    gained = 0.0 if p.offset is None else ((mixed - p.Y) * p.offset.T).sum(axis=1)
    return ((p.V * (gained - terms.sum(axis=1))).sum(axis=1),)


def offset_sums(p: Problem) -> tuple[Array, Array]:
    offset = np.zeros((N, Q)) if p.offset is None else p.offset
    return p.V @ offset, p.V @ (p.Y.T * offset).sum(axis=1)


def member_gradient(p: Problem) -> tuple[Array, Array]:
    return (p.V * p.loss(p.o)).sum(axis=1)[1], p.R[1] @ p.Z @ p.T.T


def kept_gradient(p: Problem) -> tuple[Array, ...]:
    value, r, G = p.sums(p.o + SHIFT[:, :, None])
    return value, G, r, r.reshape(M, Q)


def spread(result: Any) -> Any:
    """The largest of all blocks."""
    return np.asarray(result).max(axis=0)


def of_margins(result: Array) -> Array:
    return np.stack([result[:, 0].min(0), result[:, 1].min(0), result[:, 2].max(0)])


ENDS = ((np.array([2]), np.array([0.0]), np.array([1.0])),)
MEAN = np.arange(2.0 * (D + 1)) / 50
PLACES = np.arange(D + 1)
DIRECTION_VERSION = -5  # no parameters have negative versions

FOLDS = fold_rows.RowFolds(3, seed=0)
FOLD = FOLDS.of(0, N)
FOLD_W = np.random.default_rng(8).normal(size=(3, Q, D))


def fold_losses(p: Problem) -> Any:
    """The log loss of each row by the member that holds its fold out."""
    o = np.einsum("nqd,nd->nq", FOLD_W[FOLD], p.X) + (0 if p.offset is None else np.asarray(p.offset).reshape(N, Q))
    o -= o.max(axis=1, keepdims=True)
    return (p.Y.T * (np.log(np.exp(o).sum(axis=1, keepdims=True)) - o)).sum(axis=1)


CASES: dict[type, Case] = {
    of_rows.Labels: Case(lambda p, o: of_rows.Labels(), lambda p: p.y, "map"),
    of_rows.RowWeights: Case(lambda p, o: of_rows.RowWeights(), lambda p: p.V.T, "map"),
    of_rows.Offsets: Case(lambda p, o: of_rows.Offsets(), lambda p: p.offset, "map"),
    of_rows.HasNoWeights: Case(lambda p, o: of_rows.HasNoWeights(), lambda p: False, "map", np.any),
    of_rows.Standardised: Case(
        lambda p, o: of_rows.Standardised(*p.coordinates.for_block()), lambda p: p.Z[:, :-1], "map"
    ),
    of_rows.ColumnExtremes: Case(
        lambda p, o: of_rows.ColumnExtremes(),
        lambda p: np.stack([p.X.min(axis=0), p.X.max(axis=0)]),
        "map",
        lambda r: np.stack([r[:, 0].min(axis=0), r[:, 1].max(axis=0)]),
    ),
    of_rows.ColumnMoments: Case(
        lambda p, o: of_rows.ColumnMoments(*p.coordinates.for_block()),
        lambda p: (p.Z[:, :-1].sum(axis=0), (p.Z[:, :-1] ** 2).sum(axis=0)),
    ),
    of_rows.BlockFunction: Case(lambda p, o: of_rows.BlockFunction(block_size), lambda p: (N,)),
    reductions.Mass: Case(lambda p, o: reductions.Mass(M), lambda p: (p.V.sum(axis=1),)),
    reductions.LargestWeight: Case(
        lambda p, o: reductions.LargestWeight(o.state), lambda p: p.V.max(axis=1), "map", spread
    ),
    reductions.KeepLogits: Case(
        lambda p, o: reductions.KeepLogits(o.state_at(o.direction_point(p.way)), *o._prepared(p.way), ()),
        lambda p: p.s,
        "logits",
    ),
    reductions.LogitDifference: Case(
        lambda p, o: reductions.LogitDifference(o.state, ahead(o, p), DIRECTION_VERSION, ()), lambda p: p.s, "logits"
    ),
    reductions.TakeStep: Case(
        lambda p, o: reductions.TakeStep(o.state, direction(o), STEP, DIRECTION_VERSION),
        lambda p: p.o + STEP[:, None, None] * p.s,
        "logits",
    ),
    reductions.ShiftBias: Case(
        lambda p, o: reductions.ShiftBias(o.state, SHIFT, DIRECTION_VERSION),
        lambda p: p.o + SHIFT[:, :, None],
        "logits here",
    ),
    reductions.DropMembers: Case(
        lambda p, o: reductions.DropMembers(
            StackState(1, Q, np.array([1]), o.point(p.theta[1:]), o.store, True),
            np.array([False, True]),
            ((o.here.version, DIRECTION_VERSION),),
        ),
        lambda p: p.o[1:],
        "logits here",
    ),
    reductions.LossGradient: Case(
        lambda p, o: reductions.LossGradient(o.state, *o._prepared(p.theta), ()), lambda p: p.sums(p.o)
    ),
    reductions.LossAlong: Case(lambda p, o: reductions.LossAlong(o.state, direction(o), STEP), Problem.along),
    reductions.KeptGradient: Case(lambda p, o: reductions.KeptGradient(o.state, SHIFT), kept_gradient),
    reductions.BiasNewton: Case(
        lambda p, o: reductions.BiasNewton(o.state, SHIFT),
        lambda p: (kept_gradient(p)[3], p.bend(softmax(p.o + SHIFT[:, :, None]))),
    ),
    reductions.MixedEntropy: Case(lambda p, o: reductions.MixedEntropy(o.state, SHIFT, SHARE), entropy),
    reductions.RecomputedLossGradient: Case(
        lambda p, o: reductions.RecomputedLossGradient(o.state, *o._prepared(p.theta)), lambda p: p.sums(p.o)
    ),
    reductions.RecomputedLossAlong: Case(
        lambda p, o: reductions.RecomputedLossAlong(
            o.state, o._prepared(p.theta + STEP[:, None, None] * p.way), o._prepared(p.way)
        ),
        Problem.along,
    ),
    reductions.RecomputedBiasNewton: Case(
        lambda p, o: reductions.RecomputedBiasNewton(o.state, *o._prepared(p.theta), True),
        lambda p: (p.R.sum(axis=2), np.tril(np.einsum("mn,mqn,mrn->mqr", p.V, p.P, p.P))),
        after=lambda r: (r[0], np.tril(r[1])),
    ),
    bias_newton.BiasDiagonal: Case(
        lambda p, o: bias_newton.BiasDiagonal(o.state, 0 * SHIFT, DIRECTION_VERSION),
        lambda p: (p.R.sum(axis=2), (p.V[:, None] * p.P).sum(axis=2), variance(p).sum(axis=2)),
    ),
    bias_newton.BiasProduct: Case(
        lambda p, o: bias_newton.BiasProduct(o.state, 0 * SHIFT, DIRECTION_VERSION, SHIFT),
        lambda p: (np.einsum("mn,mqn,mrn,mr->mq", p.V, p.P, p.P, SHIFT),),
    ),
    bias_newton.Discard: Case(lambda p, o: bias_newton.Discard(o.state, o.here.version), lambda p: (0.0,)),
    class_moments.ClassSums: Case(
        lambda p, o: class_moments.ClassSums(o.state),
        lambda p: (p.V @ p.Y.T, np.einsum("mn,qn,nd->mqd", p.V, p.Y, p.X)),
    ),
    class_moments.OffsetSums: Case(lambda p, o: class_moments.OffsetSums(o.state), offset_sums),
    class_moments.ScatterSums: Case(
        lambda p, o: class_moments.ScatterSums(*p.coordinates.for_block(), Q),
        lambda p: (p.Z[:, :-1].T @ p.Z[:, :-1], p.Y.sum(axis=1), p.Y @ p.X),
    ),
    evaluation.ColumnSums: Case(
        lambda p, o: evaluation.ColumnSums(o.state, columns(o), p.theta, True),
        lambda p: (p.sums(p.o)[0], p.R.reshape(M * Q, N) @ p.Z, p.pairs()),
    ),
    evaluation.RowSums: Case(
        lambda p, o: evaluation.RowSums(
            o.state, columns(o), o._prepared(p.theta)[0], o.coordinates.to_stored(p.theta)[1].ravel(), True, True
        ),
        lambda p: (*p.sums(p.o), p.pairs()),
    ),
    hessian.HessianSums: Case(lambda p, o: hessian.HessianSums(o.state, columns(o)), lambda p: (p.pairs(),)),
    hessian.FreeHessianSums: Case(
        lambda p, o: hessian.FreeHessianSums(
            o.state, columns(o), tuple([PLACES] * Q for _ in range(M)), (np.arange(Q + 1) * (D + 1),) * M
        ),
        lambda p: [np.triu(h) for h in p.full_hessian()],
        after=lambda r: [np.triu(h) for h in r],
    ),
    column_reductions.MemberMass: Case(lambda p, o: column_reductions.MemberMass(1), lambda p: (p.V[1].sum(),)),
    column_reductions.ColumnProducts: Case(
        lambda p, o: column_reductions.ColumnProducts(columns(o), 1, p.T),
        lambda p: (p.T @ (p.Z.T * p.V[1]) @ p.Z @ p.T.T,),
    ),
    column_reductions.ColumnCrossProducts: Case(
        lambda p, o: column_reductions.ColumnCrossProducts(columns(o), 1, p.T),
        lambda p: ((p.Z.T * p.V[1]) @ p.Z @ p.T.T,),
    ),
    column_reductions.MemberLossGradient: Case(
        lambda p, o: column_reductions.MemberLossGradient(columns(o), 1, p.theta[1], p.T), member_gradient
    ),
    column_reductions.MemberHessian: Case(
        lambda p, o: column_reductions.MemberHessian(columns(o), 1, p.theta[1], p.T, 1.0),
        lambda p: (p.T @ p.pairs()[1] @ p.T.T,),
    ),
    column_reductions.LogitRange: Case(
        lambda p, o: column_reductions.LogitRange(columns(o), p.theta[1]),
        lambda p: (p.linear[1].max(axis=0) - p.linear[1].min(axis=0)).max(),
        "map",
        spread,
    ),
    column_reductions.LargestLeverage: Case(
        lambda p, o: column_reductions.LargestLeverage(columns(o), p.H),
        lambda p: np.einsum("ni,ij,nj->n", p.Z, p.H, p.Z).max(),
        "map",
        spread,
    ),
    self_concordance.KeptRounding: Case(
        lambda p, o: self_concordance.KeptRounding(o.state, columns(o), p.H, 1),
        lambda p: (p.leverage(1, np.eye(D + 1), p.H),),
    ),
    self_concordance.MemberRounding: Case(
        lambda p, o: self_concordance.MemberRounding(columns(o), 1, p.theta[1], p.T, np.eye(3)),
        lambda p: (p.leverage(1, p.T, np.eye(3)),),
    ),
    separation_during_fit.Margins: Case(
        lambda p, o: separation_during_fit.Margins(o.state, o.state_at(direction(o))), margins, "map", of_margins
    ),
    subsampled.KeptProbabilities: Case(
        lambda p, o: subsampled.KeptProbabilities(o.state), lambda p: np.moveaxis(softmax(p.o), 2, 0), "map"
    ),
    small_start.LabelledColumns: Case(
        lambda p, o: small_start.LabelledColumns(o.state, columns(o)),
        lambda p: np.column_stack([p.Z, p.y, p.V[0]]),
        "map",
    ),
    class_clusters.LabelClusterSums: Case(lambda p, o: class_clusters.LabelClusterSums(o.state), cluster_sums),
    importance_sampled.RowVariance: Case(
        lambda p, o: importance_sampled.RowVariance(o.state, np.zeros(M, int), 1, 0.75), mean_variance, "map"
    ),
    importance_sampled.MeanRowWeights: Case(
        lambda p, o: importance_sampled.MeanRowWeights(o.state), lambda p: p.V.mean(axis=0), "map"
    ),
    subsampled.DiagonalSums: Case(
        lambda p, o: subsampled.DiagonalSums(o.state, *p.coordinates.for_block()),
        lambda p: (variance(p) @ p.Z[:, :-1] ** 2, variance(p).sum(axis=2)),
    ),
    subsampled.SampledVariance: Case(
        lambda p, o: subsampled.SampledVariance(o.state, o._prepared(p.theta)[0], o.coordinates.to_stored(p.theta)[1]),
        lambda p: np.moveaxis(variance(p), 2, 0),
        "map",
    ),
    subsampled.MemberWeights: Case(lambda p, o: subsampled.MemberWeights(o.state), lambda p: p.V.T, "map"),
    subsampled.RowsWithBias: Case(
        lambda p, o: subsampled.RowsWithBias(*p.coordinates.for_block(), True, o.rows.dtype), lambda p: p.Z, "map"
    ),
    hessian_products.Probabilities: Case(
        lambda p, o: hessian_products.Probabilities(
            o.state, o._prepared(p.theta)[0], o.coordinates.to_stored(p.theta)[1]
        ),
        lambda p: np.moveaxis(p.P, 2, 0),
        "map",
    ),
    hessian_products.StandardisedColumns: Case(
        lambda p, o: hessian_products.StandardisedColumns(*p.coordinates.for_block(), np.array([0, 2, D]), 1.0),
        lambda p: p.Z[:, [0, 2, D]],
        "map",
    ),
    firth.LogDetGradient: Case(
        lambda p, o: firth.LogDetGradient(columns(o), p.theta[0], p.S, contrasts(Q), PLACES),
        lambda p: (log_det_gradient(p),),
    ),
    row_space.CentredRows: Case(
        lambda p, o: row_space.CentredRows(p.coordinates), lambda p: p.X - p.coordinates.shift, "map"
    ),
    screening.KeepLogitsOfColumns: Case(keep_columns, lambda p: p.o, "logits"),
    dual_reductions.LogProbabilities: Case(
        lambda p, o: dual_reductions.LogProbabilities(*o._prepared(p.theta[1:])),
        lambda p: np.log(p.P[1]).T,
        "map",
    ),
    dual_reductions.WeightsOfModel: Case(
        lambda p, o: dual_reductions.WeightsOfModel(o.state, 1), lambda p: p.V[1], "map"
    ),
    dual_reductions.DualGap: Case(
        lambda p, o: dual_reductions.DualGap(
            o.state, 1, *o._prepared(p.theta[1:]), p.log_alpha, SHIFT[0], np.empty((Q, N)), None
        ),
        dual_gap,
    ),
    dual_reductions.DualBias: Case(
        lambda p, o: dual_reductions.DualBias(o.state, 1, p.log_alpha, SHIFT[0], True), dual_bias
    ),
    heldout_stopping.HeldOutLoss: Case(held_out, lost_by_judge),
    likelihood.ScoreProducts: Case(
        lambda p, o: likelihood.ScoreProducts(
            likelihood.RowsAt(columns(o), p.theta[0]), contrasts(Q), PLACES, MEAN, None
        ),
        lambda p: (p.scores(MEAN).T @ p.scores(MEAN),),
    ),
    likelihood.ClusterScores: Case(
        lambda p, o: likelihood.ClusterScores(
            likelihood.RowsAt(columns(o), p.theta[0]), contrasts(Q), PLACES, MEAN, p.clusters, np.zeros((7, len(MEAN)))
        ),
        lambda p: np.eye(7)[p.clusters].T @ p.scores(MEAN),
        "clusters",
    ),
    marginal_effects.DifferenceSums: Case(
        lambda p, o: marginal_effects.DifferenceSums(likelihood.RowsAt(columns(o), p.theta[0]), ENDS), differences
    ),
    marginal_effects.ProbabilityMoments: Case(
        lambda p, o: marginal_effects.ProbabilityMoments(likelihood.RowsAt(columns(o), p.theta[0])),
        lambda p: (moments(p),),
    ),
    marginal_effects.ProbabilityProducts: Case(
        lambda p, o: marginal_effects.ProbabilityProducts(likelihood.RowsAt(columns(o), p.theta[0])),
        lambda p: (p.P[0] @ p.V[0], (p.P[0] * p.V[0]) @ p.P[0].T),
    ),
    fold_rows.FoldClassMass: Case(
        lambda p, o: fold_rows.FoldClassMass(FOLDS, Q),
        lambda p: (np.stack([p.Y[:, k == FOLD] @ p.V[0, k == FOLD] for k in range(3)]),),
    ),
    fold_rows.FoldScores: Case(
        lambda p, o: fold_rows.FoldScores(FOLDS, FOLD_W, np.zeros((3, Q)), "log_loss"),
        lambda p: (np.bincount(FOLD, p.V[0] * fold_losses(p), 3),),
    ),
    strength_grid.ClassMass: Case(lambda p, o: strength_grid.ClassMass(Q), lambda p: (p.Y @ p.V[0],)),
    strength_grid.NullGradient: Case(
        lambda p, o: strength_grid.NullGradient(np.array([0.5, 0.25, 0.25])),
        lambda p: (((np.array([0.5, 0.25, 0.25])[:, None] - p.Y) * p.V[0]) @ p.X,),
    ),
}
WITHOUT_OFFSET = (dual_reductions.LogProbabilities, dual_reductions.DualGap)
"""Reductions of dual coordinate ascent, which takes no offset."""
PROBLEMS = {"": Problem(with_offset=False), ", offset": Problem(with_offset=True)}


def on_disk(p: Problem, X: Any, folder: Path) -> Rows:
    writer = RowWriter(folder)
    for a, b in ((0, 100), (100, N)):
        writer.append(X[a:b], p.y[a:b], None, None if p.offset is None else p.offset[a:b])
    return writer.finish().labelled(p.y, p.V)  # type: ignore[no-any-return]


def on_device(p: Problem, X: Array, folder: Path) -> Rows:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    return as_rows(OnDevice(torch.from_numpy(X), torch.device("cpu")), p.y, p.V, p.offset)


def in_memory(p: Problem, X: Any, folder: Path) -> Rows:
    return as_rows(X, p.y, p.V, p.offset)


BACKENDS: dict[str, Callable[[Problem, Path], Rows]] = {
    "dense float64": lambda p, folder: in_memory(p, p.X, folder),
    "dense float32": lambda p, folder: in_memory(p, p.X.astype(np.float32), folder),
    "CSR float64": lambda p, folder: in_memory(p, sp.csr_array(p.X), folder),
    "CSR float32": lambda p, folder: in_memory(p, sp.csr_array(p.X.astype(np.float32)), folder),
    "on disk": lambda p, folder: on_disk(p, p.X, folder),
    "on disk, CSR": lambda p, folder: on_disk(p, sp.csr_array(p.X), folder),
    "device float64": lambda p, folder: on_device(p, p.X, folder),
    "device float32": lambda p, folder: on_device(p, p.X.astype(np.float32), folder),
}


@dataclass
class OnBackend:
    """A problem and its rows on a backend."""

    problem: Problem
    rows: Rows


@pytest.fixture(params=[(backend, offset) for offset in PROBLEMS for backend in BACKENDS], ids="".join)
def on_backend(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OnBackend:
    """The rows of a problem, in several blocks."""
    monkeypatch.setattr(dense, "BLOCK_BYTES", 1)
    monkeypatch.setattr(csr, "BLOCK_NONZEROS", 1)
    monkeypatch.setattr(csr, "BLOCK_NONZEROS_PER_COLUMN", 1)
    monkeypatch.setattr(device_rows, "BLOCK_BYTES", 1)
    monkeypatch.setattr(disk_rows, "MAX_IN_MEMORY_BYTES", 0)
    backend, offset = request.param
    made = BACKENDS[backend](PROBLEMS[offset], tmp_path)
    assert len(made.blocks) > 1  # type: ignore[attr-defined]
    assert made.has_offset == bool(offset)
    return OnBackend(PROBLEMS[offset], made)


def result(reduction: Any, case: Case, rows: Any, here: int) -> Any:
    """The result of a reduction in the form that its formula gives."""
    if case.kind == "clusters":
        for block in rows.blocks:
            reduction.evaluate(block)
        return reduction.sums
    if case.kind == "map":
        return case.after(rows.map(reduction))
    found = rows.sum(reduction)
    if case.kind == "sum":
        return case.after(found)
    kept = [reduction.state.store.entry(block.place).arrays for block in rows.blocks]
    version = DIRECTION_VERSION if any(DIRECTION_VERSION in arrays for arrays in kept) else here
    parts = [np.asarray(arrays[version]) for arrays in kept]
    device = "torch" in type(kept[0][version]).__module__
    return np.concatenate([np.moveaxis(part, 0, 2) if device else part for part in parts], axis=2)


@pytest.mark.parametrize("reduction", CASES, ids=lambda reduction: reduction.__name__)
def test_a_reduction_gives_its_formula_on_each_backend(reduction: type, on_backend: OnBackend) -> None:
    case, problem, rows = CASES[reduction], on_backend.problem, on_backend.rows
    if (reduction in WITHOUT_OFFSET and rows.has_offset) or (reduction is of_rows.Offsets and not rows.has_offset):
        pytest.skip("the reduction is for the other rows")
    close = {"rtol": 2e-4, "atol": 2e-4} if rows.dtype == np.float32 else {"rtol": 1e-6, "atol": 1e-9}
    expected = case.expected(problem)
    expected = expected if isinstance(expected, tuple | list) else (expected,)
    for travels in (False, True):
        objective = Objective(rows, Q, l2(np.array([0.1, 0.7])), problem.coordinates)
        objective.evaluate(problem.theta)
        objective.set_direction(problem.way)
        made = case.make(problem, objective)
        assert type(made) is reduction
        with pytest.raises((AttributeError, TypeError)):
            made.something_else = 1  # frozen, with slots
        if travels and case.kind == "logits here":
            continue  # changes what is kept where it is; nothing to see in another process
        made = pickle.loads(pickle.dumps(made)) if travels else made
        if travels and case.kind == "logits":
            rows.sum(made)  # logits are not kept in another process, where they would depend on the updates
            assert not any(made.state.store.entry(block.place).arrays for block in rows.blocks)
            continue
        version = getattr(getattr(made, "state", None), "point", objective.here).version
        found = result(made, case, rows, version)
        found = found if isinstance(found, tuple | list) else (found,)
        for one, other in zip(found, expected, strict=True):
            other = np.asarray(other)
            np.testing.assert_allclose(np.asarray(one).reshape(other.shape), other, **close)


def test_no_reduction_is_left_out() -> None:
    found = set()
    for package in (softreg.rows, softreg.optimize, softreg.models):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if "triton" in module.name:
                continue
            for name, member in vars(importlib.import_module(module.name)).items():
                own = isinstance(member, type) and member.__module__ == module.name
                if own and is_dataclass(member) and hasattr(member, "evaluate") and not name.startswith("_"):
                    found.add(member)
    assert {f"{one.__module__}.{one.__name__}" for one in found ^ set(CASES)} == set()
