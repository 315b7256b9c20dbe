"""The group penalty: operations by hand and by brute force, optima of an independent solver, selection of columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import softmax

from softreg.optimize import Solution, make_penalty, minimise
from softreg.optimize.problem.elastic_net import ElasticNet
from softreg.optimize.problem.group_penalty import GroupPenalty, group_penalty
from softreg.optimize.problem.penalty_protocol import Trait
from softreg.optimize.stack_path import StackPath
from softreg.rows import as_rows
from softreg.typing import Float64Array

from ..group_reference import least_objective

TOL = 1e-9

numbers = st.floats(-5, 5).map(lambda x: round(x, 3))
strengths = st.sampled_from([0.1, 1.0, 4.0])


def problem(n: int = 150, d: int = 8, q: int = 3, seed: int = 0) -> tuple[Float64Array, Float64Array]:
    """Return columns of different scale, of which half have weights, and labels as indicators."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, d)) * random.uniform(0.3, 3, d) + random.normal(size=d)
    W = np.zeros((d, q))
    W[: d // 2] = random.normal(size=(d // 2, q)) / X[:, : d // 2].std(axis=0)[:, None]
    codes = (X @ W + random.gumbel(size=(n, q))).argmax(axis=1)
    return X, np.eye(q)[codes]


def fit(X: Any, Y: Float64Array, strength: float, v: Float64Array | None = None, **options: Any) -> Solution:
    """Return the certified fit at this strength."""
    hard = bool((Y.max(axis=1) == 1).all())
    rows = as_rows(X, Y.argmax(axis=1) if hard else Y, None if v is None else v[None])
    (solution,) = minimise(rows, Y.shape[1], make_penalty("group", strength, 1.0), **{"tol": TOL, **options})
    return solution


def check_optimality(X: Float64Array, Y: Float64Array, solution: Solution, strength: float) -> None:
    """Check the conditions of an optimum by hand: gradients of the loss against the subdifferential of the penalty."""
    q = Y.shape[1]
    A = X.T @ (softmax(X @ solution.W + solution.b, axis=1) - Y) / len(X)
    radius = strength * np.sqrt(q)
    norm = np.sqrt((solution.W**2).sum(axis=1))
    for j in range(X.shape[1]):
        if norm[j] > 0:
            np.testing.assert_allclose(A[j], -radius * solution.W[j] / norm[j], atol=2e-4 * radius)
        else:
            assert np.sqrt(A[j] @ A[j]) <= radius * (1 + 1e-6)
            assert (solution.W[j] == 0).all()


@settings(deadline=None, max_examples=60)
@given(st.lists(numbers, min_size=2, max_size=4), strengths, st.sampled_from([0.0, 0.5]), st.sampled_from([0.3, 2.0]))
def test_the_prox_is_the_argmin(u: list[float], strength: float, ridge: float, scale: float) -> None:
    penalty = GroupPenalty(np.array([strength]), np.array([ridge]))
    U, step, s = np.array(u)[None, :, None], 0.7, np.array([scale])

    def cost(V: Float64Array) -> float:
        return float(((V - U) ** 2).sum() / (2 * step) + penalty.value(V / scale)[0])

    best = penalty.prox(U, step, s)
    random = np.random.default_rng(0)
    others = [0 * U, U, best / 2, *(best + 1e-3 * random.normal(size=(20, *U.shape)))]
    assert all(cost(best) <= cost(V) + 1e-12 for V in others)


@settings(deadline=None, max_examples=60)
@given(st.lists(numbers, min_size=3, max_size=3), st.lists(numbers, min_size=3, max_size=3), strengths)
def test_the_fenchel_gap_is_never_negative(a: list[float], w: list[float], strength: float) -> None:
    penalty = GroupPenalty(np.array([strength, strength]), np.array([0.0, 1.5]))
    A, W = (np.stack([x, x])[:, :, None] for x in (np.array(a), np.array(w)))
    gap = penalty.fenchel_gap(A, W)
    assert (gap >= 0).all()
    by_parts = penalty.value(W) + penalty.conjugate(-A) + (A * W).sum(axis=(1, 2))
    np.testing.assert_allclose(gap, by_parts, rtol=1e-9, atol=1e-9)


def test_the_conjugate_is_the_supremum() -> None:
    penalty = GroupPenalty(np.array([0.5]), np.array([0.8]))
    A = np.array([[[1.0, 0.1], [-2.0, 0.3]]])
    flat = minimize(lambda w: penalty.value(w.reshape(A.shape))[0] - A.ravel() @ w, np.ones(4), method="Nelder-Mead",
                    options={"xatol": 1e-10, "fatol": 1e-13, "maxiter": 10_000}).fun  # fmt: skip
    assert penalty.conjugate(A)[0] == pytest.approx(-flat, abs=1e-8)


def test_operations_by_hand() -> None:
    penalty = GroupPenalty(np.array([2.0]), np.array([0.0]))
    W = np.array([[[3.0, 0.0], [4.0, 0.0], [0.0, 0.0], [0.0, 0.0]]])
    assert penalty.value(W)[0] == 2 * 2 * 5
    np.testing.assert_array_equal(penalty.column_dual_norm(W), [[2.5, 0.0]])
    assert penalty.dual_norm(W)[0] == 2.5
    assert penalty.feasible_share(W)[0] == 0.8
    np.testing.assert_allclose(penalty.common_shift(W), [[[1.75, 0.0]]])
    D = np.zeros_like(W)
    D[0, 0, 1] = 7.0
    slope = (penalty.directional_gradient(W, D, np.array([1.0, 2.0])) * D).sum()
    assert slope == pytest.approx(2 * 2 / 2 * 7)  # out of a column of zeros
    assert penalty.traits == {Trait.SELECTS_COLUMNS, Trait.COLUMN_NORMS}
    assert isinstance(group_penalty(0.0), ElasticNet)
    with pytest.raises(TypeError, match="single weights"):
        penalty.kink(np.ones(2))


def test_at_the_largest_strength_all_weights_are_zero() -> None:
    X, Y = problem()
    A = X.T @ (Y.mean(axis=0) - Y) / len(X)
    largest = float(group_penalty(1.0).dual_norm(A.T[None])[0])
    for strength in (largest * (1 + 1e-9), 10 * largest):
        solution = fit(X, Y, strength)
        assert (solution.W == 0).all()
        np.testing.assert_allclose(softmax(solution.b), Y.mean(axis=0), atol=1e-9)
    assert (fit(X, Y, 0.99 * largest).W != 0).any(axis=1).sum() >= 1


@pytest.mark.parametrize("strength", [0.1, 0.02, 0.002])
@pytest.mark.parametrize("kind", ["dense", "sparse", "weighted", "soft", "no bias", "standardised", "two classes"])
def test_optima_of_an_independent_solver(kind: str, strength: float) -> None:
    X, Y = problem(q=2 if kind == "two classes" else 3)
    v, options = None, {}
    if kind == "weighted":
        v = np.random.default_rng(1).uniform(0.1, 3, len(X))
    if kind == "soft":
        Y = 0.8 * Y + 0.2 / Y.shape[1]
    if kind == "no bias":
        options = {"fit_intercept": False}
    if kind == "standardised":
        X = (X - X.mean(axis=0)) / X.std(axis=0)
    given_X = sp.csr_array(X) if kind == "sparse" else X
    solution = fit(given_X, Y, strength, v, **options)
    best = least_objective(X, Y, strength, v=v, bias=kind != "no bias")
    assert solution.converged
    assert solution.gap <= TOL
    assert solution.value - best == pytest.approx(0, abs=2e-8)
    if kind in ("dense", "sparse", "soft", "standardised", "two classes"):
        check_optimality(X, Y, solution, strength)


def test_a_gap_is_a_bound_at_every_iteration() -> None:
    X, Y = problem()
    best = least_objective(X, Y, 0.01)
    for iterations in (1, 2, 3):
        solution = fit(X, Y, 0.01, max_iter=iterations)
        assert solution.value - best <= solution.gap + 1e-9


def test_an_l2_part() -> None:
    X, Y = problem()
    rows = as_rows(X, Y.argmax(axis=1))
    (solution,) = minimise(rows, 3, group_penalty(0.02, 0.75), tol=TOL)
    assert solution.gap <= TOL
    assert solution.value == pytest.approx(least_objective(X, Y, 0.015, 0.005), abs=2e-8)


def test_the_sampled_curvature_leads_to_the_same_optimum(monkeypatch: pytest.MonkeyPatch) -> None:
    X, Y = problem(n=300, d=20)
    exact = fit(X, Y, 0.01)
    monkeypatch.setattr("softreg.optimize.solvers.group_proximal.MOST_PARAMETERS", 0)
    sampled = fit(X, Y, 0.01)
    assert sampled.gap <= TOL
    np.testing.assert_array_equal(sampled.W != 0, exact.W != 0)
    np.testing.assert_allclose(sampled.W, exact.W, atol=1e-3)


def test_working_sets_of_many_columns_and_a_stack_of_strengths() -> None:
    X, Y = problem(n=200, d=400)
    stack = minimise(as_rows(X, Y.argmax(axis=1)), 3, make_penalty("group", np.array([0.05, 0.02]), 1.0), tol=TOL)
    for strength, solution in zip((0.05, 0.02), stack, strict=True):
        assert solution.gap <= TOL
        assert solution.value == pytest.approx(least_objective(X, Y, strength), abs=2e-8)
        live = (solution.W != 0).any(axis=1)
        assert 0 < live.sum() < 200
        assert (solution.W[live] != 0).all()  # all classes of a column, or none


def test_a_path_of_folds() -> None:
    X, Y = problem()
    fold = np.arange(len(X)) % 3
    weights = np.stack([(fold != k).astype(float) for k in range(3)])
    path = StackPath(as_rows(X, Y.argmax(axis=1), weights), 3, fold[None], np.ones(len(X)))
    start = None
    for strength in (0.1, 0.03, 0.01):
        found = path.fit(make_penalty("group", np.full(3, strength), 1.0), start, tolerance=0.0)
        start = found.W, found.b
        for k in range(3):
            kept = fold != k
            assert found.value[k] == pytest.approx(least_objective(X[kept], Y[kept], strength), abs=1e-7)


def test_solvers_that_cannot_are_one_error() -> None:
    X, Y = problem()
    with pytest.raises(ValueError, match=r"solver='newton'.*GroupPenalty.*differentiable.*group-proximal"):
        fit(X, Y, 0.1, solver="newton")
    with pytest.raises(ValueError, match=r"solver='orthant-sampled'.*GroupPenalty.*sum over single weights"):
        fit(X, Y, 0.1, solver="orthant-sampled")
    with pytest.raises(ValueError, match=r"solver='group-proximal'.*ElasticNet.*norms of columns"):
        minimise(as_rows(X, Y.argmax(axis=1)), 3, make_penalty("l1", 0.1, 1.0), solver="group-proximal")
