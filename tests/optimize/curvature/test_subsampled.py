"""Preconditioners change the number of iterations, never the optimum; their blocks are blocks of the Hessian."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray

from softreg.optimize import elastic_net, l2, minimise
from softreg.optimize.curvature import importance_sampled as importance
from softreg.optimize.curvature import subsampled
from softreg.optimize.curvature.importance_sampled import ImportanceSampledCurvature
from softreg.optimize.curvature.preconditioners import BlockPreconditioner, DiagonalPreconditioner
from softreg.optimize.curvature.subsampled import DiagonalCurvature, SubsampledCurvature
from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.problem.limits import LIMITS
from softreg.optimize.problem.standardization import standardise
from softreg.optimize.solvers.newton import Newton
from softreg.probability import softmax
from softreg.rows import as_rows

Array = NDArray[Any]
Problem = Callable[..., tuple[Array, Array]]


@pytest.mark.parametrize("home", [np.asarray, np.float32, sp.csr_array])
@pytest.mark.parametrize(("features", "classes"), [(3, 32), (4096, 2), (4096, 32)])
@pytest.mark.parametrize("ratio", [0.0, 0.5])
def test_every_preconditioner_leads_to_the_same_optimum(
    home: Any, features: int, classes: int, ratio: float, problem: Problem
) -> None:
    X, y = problem(n=400, d=6, q=4)
    penalty = elastic_net(np.array([1e-2, 1e-3]), ratio)
    plain = minimise(as_rows(X, y), 4, penalty, solver="newton" if ratio == 0 else "lbfgs", tol=1e-9)
    limits = replace(LIMITS, diagonal_columns=features, cluster_classes=classes, cluster_columns=0)
    found = minimise(as_rows(home(X), y), 4, penalty, solver="lbfgs", tol=1e-8, limits=limits)
    for one, other in zip(plain, found, strict=True):
        assert other.converged
        assert other.value == pytest.approx(one.value, abs=1e-7)
        assert other.passes < 120


@pytest.mark.parametrize("home", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_first_direction_is_newtons_for_two_classes(home: Any, weighted: bool, problem: Problem) -> None:
    """With all rows in the sample, the blocks are exact for two classes."""
    X, y = problem(q=2)
    V = np.random.default_rng(0).uniform(0, 2, (1, len(y))) if weighted else None
    rows, coordinates = standardise(as_rows(home(X), y, V), centred=True)
    objective = Objective(rows, 2, l2(0.01), coordinates)
    at = np.random.default_rng(1).normal(size=(1, 2, 5))
    at -= at.mean(axis=1, keepdims=True)
    objective.place(at)
    G = objective.gradient()[1] + objective.ridge * at
    exact = Newton().direction(objective, at, G)
    step = -SubsampledCurvature(rows).preconditioner(objective, at).solve(G)
    np.testing.assert_allclose(step - step.mean(axis=1, keepdims=True), exact, rtol=2e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("curvature", "kind"), [(SubsampledCurvature, BlockPreconditioner), (DiagonalCurvature, DiagonalPreconditioner)]
)
def test_a_preconditioner_is_positive_definite(
    curvature: type[SubsampledCurvature], kind: type, problem: Problem
) -> None:
    X, y = problem(n=50, d=8)
    X[:, 3] = X[:, 2]
    X[:, 4] = 1.0
    rows, coordinates = standardise(as_rows(X, y), centred=True)
    objective = Objective(rows, 3, l2(np.array([0.0, 1.0])), coordinates)
    at = np.random.default_rng(1).normal(size=(2, 3, 9)) * 10
    objective.place(at)
    preconditioner = curvature(rows).preconditioner(objective, at)
    assert isinstance(preconditioner, kind)
    for seed in range(5):
        G = np.random.default_rng(seed).normal(size=(2, 3, 9))
        G[..., 4] = 0.0
        assert (np.einsum("mqd,mqd->m", G, preconditioner.solve(G)) > 0).all()
    few = preconditioner.keep(np.array([False, True]))
    np.testing.assert_allclose(few.solve(G[1:]), preconditioner.solve(G)[1:], rtol=1e-6)


@pytest.mark.parametrize("home", [np.asarray, np.float32, sp.csr_array])
def test_the_diagonal_is_that_of_the_hessian_but_for_the_even_part(
    home: Any, problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subsampled, "EVEN_SHARE", 0.0)
    X, y = problem(n=70, d=4, q=2)
    X[X < 0.3] = 0.0
    V = np.random.default_rng(0).uniform(0, 2, (1, len(y)))
    rows, coordinates = standardise(as_rows(home(X), y, V), centred=True)
    objective = Objective(rows, 2, l2(0.01), coordinates)
    at = np.random.default_rng(1).normal(size=(1, 2, 5))
    at -= at.mean(axis=1, keepdims=True)
    objective.place(at)
    found = DiagonalCurvature(rows).preconditioner(objective, at)
    assert isinstance(found, DiagonalPreconditioner)
    # for two classes the contrast's Hessian is 2 p (1 - p) z z^T, which is what a class's block is scaled to
    Z = np.concatenate([(X - coordinates.shift) / coordinates.scale, np.ones((70, 1))], axis=1)
    p = softmax(Z @ at[0].T)[:, 0]
    by_hand = 2 * (V[0] * p * (1 - p)) @ Z**2 / V.sum() + objective.ridge[0, 0]
    np.testing.assert_allclose(found.diagonal[0], [by_hand, by_hand], rtol=1e-4)


def kept_objective(home: Any, X: Array, y: Array, penalty: Any, V: Array | None = None) -> tuple[Objective, Array]:
    """A stack at random parameters, whose logits are kept."""
    rows, coordinates = standardise(as_rows(home(X), y, V), centred=True)
    q = int(y.max()) + 1
    objective = Objective(rows, q, penalty, coordinates)
    at = np.random.default_rng(1).normal(size=(objective.m, q, X.shape[1] + 1))
    objective.place(at - at.mean(axis=1, keepdims=True))
    return objective, at


@pytest.mark.parametrize("home", [np.asarray, np.float32, sp.csr_array])
def test_drawn_blocks_of_all_rows_are_those_of_the_hessian(home: Any, problem: Problem) -> None:
    """Where all rows are cheap, none is drawn by lot: a block is the mean of p (1 - p) z z^T q / (q - 1)."""
    X, y = problem(n=90, d=4, q=3)
    V = np.random.default_rng(0).uniform(0, 2, (1, 90))
    objective, at = kept_objective(home, X, y, l2(0.01), V)
    groups = ImportanceSampledCurvature()._block_groups(objective, at)
    (blocks,), group = groups.grams, groups.group
    assert group.tolist() == [0]
    coordinates = objective.coordinates
    Z = np.concatenate([(X - coordinates.shift) / coordinates.scale, np.ones((90, 1))], axis=1)
    p = softmax(Z @ (at[0] - at[0].mean(axis=0)).T)
    for k, block in enumerate(blocks):
        by_hand = 1.5 * Z.T @ ((V[0] * p[:, k] * (1 - p[:, k]))[:, None] * Z) / V.sum() + np.diag(objective.ridge[0, 0])
        np.testing.assert_allclose(block().as_float64(), by_hand, rtol=2e-4, atol=2e-6)


def test_drawn_blocks_are_right_in_the_mean(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few rows drawn, those in doubt first, sum to about what all rows do; members of one strength share a block."""
    monkeypatch.setattr(importance, "MAX_INEXPENSIVE_ROWS", 0)
    monkeypatch.setattr(importance, "DRAWN_PER_COLUMN_IF_SLOW", 400)
    X, y = problem(n=12_000, d=4, q=3)
    objective, at = kept_objective(np.asarray, X, y, l2(np.array([0.1, 0.1, 0.01])))
    curvature = ImportanceSampledCurvature()
    curvature.use_more_rows(True)
    groups = curvature._block_groups(objective, at)
    few, group = groups.grams, groups.group
    assert group.tolist() == [1, 1, 0]
    few = [[one() for one in some] for some in few]
    monkeypatch.setattr(importance, "DRAWN_PER_COLUMN_IF_SLOW", 10**6)
    for some, every in zip(few, curvature._block_groups(objective, at).grams, strict=True):
        for one, whole in zip(some, every, strict=True):
            drawn, exact = one.as_float64(), whole().as_float64()
            assert 0 < np.abs(drawn - exact).max() < 0.1 * exact.diagonal().max()


def test_draws_at_nearly_the_same_weights_add_up(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    """A curvature is the mean of its own rows and those before, as far as the same rows are in doubt."""
    monkeypatch.setattr(importance, "MAX_INEXPENSIVE_ROWS", 0)
    monkeypatch.setattr(importance, "DRAWN_PER_COLUMN", 40)
    X, y = problem(n=12_000, d=4, q=3)
    objective, at = kept_objective(np.asarray, X, y, l2(0.1))
    exact = _whole_blocks(objective, at, monkeypatch)
    curvature, errors = ImportanceSampledCurvature(), []
    for _ in range(30):
        (blocks,) = curvature._block_groups(objective, at).grams
        errors.append(max(np.abs(one().as_float64() - e).max() for one, e in zip(blocks, exact, strict=True)))
    assert errors[-1] < 0.4 * errors[0]
    other = -3 * at
    objective.evaluate(other)
    moved = _whole_blocks(objective, other, monkeypatch)
    (blocks,) = curvature._block_groups(objective, other).grams
    (fresh,) = ImportanceSampledCurvature()._block_groups(objective, other).grams
    far = [max(np.abs(one().as_float64() - e).max() for one, e in zip(b, moved, strict=True)) for b in (blocks, fresh)]
    assert far[0] < 2 * far[1]


def _whole_blocks(objective: Objective, at: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    with monkeypatch.context() as all_rows:
        all_rows.setattr(importance, "DRAWN_PER_COLUMN", 10**6)
        (blocks,) = ImportanceSampledCurvature()._block_groups(objective, at).grams
        return [block().as_float64() for block in blocks]


def test_a_column_that_no_drawn_row_shows_is_filled_in(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importance, "MAX_INEXPENSIVE_ROWS", 0)
    monkeypatch.setattr(importance, "DRAWN_PER_COLUMN", 10)
    X, y = problem(n=5_000, d=3, q=3)
    X[:, 2] = 0.0
    X[7, 2] = 1.0
    objective, at = kept_objective(np.asarray, X, y, l2(1e-9))
    (blocks,) = ImportanceSampledCurvature()._block_groups(objective, at).grams
    H = blocks[0]().as_float64()
    assert H[2, 2] > 0.3 * H[0, 0]


def test_a_drawn_sketch_tells_change_and_keeps_it_by_strength(problem: Problem) -> None:
    X, y = problem(n=300, d=4, q=3)
    objective, at = kept_objective(np.asarray, X, y, l2(np.array([0.1, 0.01])))
    curvature = ImportanceSampledCurvature()
    curvature.preconditioner(objective, at)
    assert curvature.relative_change(objective, at) == 0.0
    objective.drop_members(np.array([False, True]))
    curvature.drop_members(np.array([False, True]))
    assert curvature.relative_change(objective, at[1:]) == 0.0
    objective.place(3 * at[1:])
    assert curvature.relative_change(objective, 3 * at[1:]) > 0.1
