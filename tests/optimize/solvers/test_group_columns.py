"""Groups of columns of the group penalty: operations by brute force, optima of an independent solver, certificates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import softmax

from softreg.optimize import ColumnGroups, Solution, make_penalty, minimise
from softreg.optimize.problem.group_penalty import GroupPenalty, group_penalty
from softreg.optimize.stack_path import StackPath
from softreg.rows import as_rows
from softreg.typing import Float64Array, IntArray

from ..group_reference import least_objective

TOL = 1e-10
CODES = np.array([0, 1, 1, 2, 0, 2, 2, 3])
"""Groups of 2, 2, 3 and 1 columns, which are not neighbours."""
SOLVER = "softreg.optimize.solvers.group_proximal.MOST_PARAMETERS"


def problem(n: int = 150, q: int = 3, seed: int = 0, codes: IntArray = CODES) -> tuple[Float64Array, Float64Array]:
    """Return columns of unequal scale, of which every second group has weights, and labels as indicators."""
    random, d = np.random.default_rng(seed), len(codes)
    X = random.normal(size=(n, d)) * random.uniform(0.3, 3, d) + random.normal(size=d)
    W = np.where((codes % 2 == 0)[:, None], random.normal(size=(d, q)), 0.0) / X.std(axis=0)[:, None]
    y = (X @ W + random.gumbel(size=(n, q))).argmax(axis=1)
    return X, np.eye(q)[y]


def fit(
    X: Any, Y: Float64Array, strength: float, v: Float64Array | None = None, codes: IntArray = CODES, **options: Any
) -> Solution:
    """Return the certified fit at this strength."""
    rows = as_rows(X, Y.argmax(axis=1), None if v is None else v[None])
    penalty = make_penalty("group", strength, 1.0, ColumnGroups.of(codes))
    (solution,) = minimise(rows, Y.shape[1], penalty, **{"tol": TOL, **options})
    return solution


numbers = st.floats(-5, 5).map(lambda x: round(x, 3))


@settings(deadline=None, max_examples=60)
@given(st.lists(numbers, min_size=6, max_size=6), st.sampled_from([0.1, 1.0, 4.0]), st.sampled_from([0.0, 0.5]))
def test_the_prox_is_the_argmin_where_scales_differ(u: list[float], strength: float, ridge: float) -> None:
    penalty = GroupPenalty(np.array([strength]), np.array([ridge]), ColumnGroups.of(np.array([0, 0, 1])))
    U, step, scale = np.array(u).reshape(1, 2, 3), 0.7, np.array([0.3, 2.0, 1.5])

    def cost(V: Float64Array) -> float:
        return float(((V - U) ** 2).sum() / (2 * step) + penalty.value(V / scale)[0])

    best = penalty.prox(U, step, scale)
    random = np.random.default_rng(0)
    others = [0 * U, U, best / 2, *(best + 1e-3 * random.normal(size=(20, *U.shape)))]
    assert all(cost(best) <= cost(V) + 1e-12 for V in others)
    alone = GroupPenalty(np.array([strength]), np.array([ridge]))
    np.testing.assert_allclose(best[..., 2], alone.prox(U, step, scale)[..., 2], rtol=1e-9, atol=1e-12)


@settings(deadline=None, max_examples=60)
@given(st.lists(numbers, min_size=6, max_size=6), st.lists(numbers, min_size=6, max_size=6))
def test_the_fenchel_gap_is_the_sum_of_its_parts(a: list[float], w: list[float]) -> None:
    groups = ColumnGroups.of(np.array([0, 1, 0]))
    penalty = GroupPenalty(np.array([0.5, 4.0]), np.array([1.5, 0.0]), groups)
    A, W = (np.stack([np.array(x).reshape(2, 3)] * 2) for x in (a, w))
    gap = penalty.fenchel_gap(A, W)
    assert (gap >= 0).all()
    np.testing.assert_allclose(gap, penalty.value(W) + penalty.conjugate(-A) + (A * W).sum(axis=(1, 2)), atol=1e-9)
    share = penalty.feasible_share(A)
    assert np.isfinite(penalty.conjugate(share[:, None, None] * A * (1 - 1e-12))).all()


def test_the_conjugate_is_the_supremum() -> None:
    penalty = GroupPenalty(np.array([0.5]), np.array([0.8]), ColumnGroups.of(np.array([0, 0])))
    A = np.array([[[1.0, 0.1], [-2.0, 0.3]]])
    flat = minimize(lambda w: penalty.value(w.reshape(A.shape))[0] - A.ravel() @ w, np.ones(4), method="Nelder-Mead",
                    options={"xatol": 1e-10, "fatol": 1e-13, "maxiter": 10_000}).fun  # fmt: skip
    assert penalty.conjugate(A)[0] == pytest.approx(-flat, abs=1e-8)


def test_operations_by_hand() -> None:
    penalty = GroupPenalty(np.array([2.0]), np.array([0.0]), ColumnGroups.of(np.array([0, 1, 0])))
    W = np.array([[[3.0, 0.0, 0.0], [0.0, 0.0, 4.0]]])
    assert penalty.value(W)[0] == 2 * np.sqrt(2 * 2) * 5
    np.testing.assert_allclose(penalty.column_dual_norm(W), [[2.5, 0.0, 2.5]])
    assert penalty.dual_norm(W)[0] == 2.5
    assert penalty.feasible_share(W)[0] == pytest.approx(0.8)
    scale = np.array([1.0, 1.0, 2.0, np.inf])
    U, D = np.zeros((1, 2, 4)), np.zeros((1, 2, 4))
    U[0, 0, 0], U[0, 1, 2], D[0, 0, 1], D[0, 0, 3], D[0, 0, 0] = 3.0, 8.0, 7.0, 5.0, 1.0
    assert penalty.nonsmooth_value(U, scale)[0] == pytest.approx(20.0)
    h = 1e-6
    slope = float((penalty.directional_gradient(U, D, scale) * D).sum())
    change = penalty.nonsmooth_value(U + h * D, scale)[0] - penalty.nonsmooth_value(U, scale)[0]
    assert slope == pytest.approx(change / h, rel=1e-5)
    some = penalty.keep_columns(np.array([1, 2]))
    assert some.value(W[..., 1:])[0] == pytest.approx(2 * np.sqrt(2 * 2) * 4)  # the size of the whole group
    assert ColumnGroups.of(np.array([3, 1, 2])) is None


@pytest.mark.parametrize("products", [False, True])
@pytest.mark.parametrize("strength", [0.1, 0.02, 0.002])
@pytest.mark.parametrize("kind", ["dense", "sparse", "weighted", "no bias", "two classes", "five classes", "float32"])
def test_optima_of_an_independent_solver(
    kind: str, strength: float, products: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if products:
        monkeypatch.setattr(SOLVER, 0)
    X, Y = problem(q={"two classes": 2, "five classes": 5}.get(kind, 3))
    v = np.random.default_rng(1).uniform(0.1, 3, len(X)) if kind == "weighted" else None
    X = X.astype(np.float32).astype(float) if kind == "float32" else X
    given_X = sp.csr_array(X) if kind == "sparse" else X.astype(np.float32) if kind == "float32" else X
    solution = fit(given_X, Y, strength, v, fit_intercept=kind != "no bias")
    best = least_objective(X, Y, strength, v=v, bias=kind != "no bias", groups=CODES)
    assert solution.converged
    assert solution.gap <= TOL
    assert solution.value - best == pytest.approx(0, abs=1e-8)
    live = (solution.W != 0).any(axis=1)
    assert all(len(set(live[g == CODES])) == 1 for g in range(4))


def test_a_gap_is_a_bound_at_every_iteration() -> None:
    X, Y = problem()
    best = least_objective(X, Y, 0.01, groups=CODES)
    for iterations in (1, 2, 3, 4):
        solution = fit(X, Y, 0.01, max_iter=iterations)
        assert solution.value - best <= solution.gap + 1e-10


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.sampled_from([2, 3, 5]), st.sampled_from([0.3, 0.1, 0.02]), st.booleans())
def test_the_conditions_of_an_optimum_hold(seed: int, q: int, share: float, bias: bool) -> None:
    random = np.random.default_rng(seed)
    codes = random.integers(0, 5, 9)
    X, Y = problem(80, q, seed, codes)
    assume(Y.any(axis=0).all())
    size = np.bincount(codes)[codes]
    p = Y.mean(axis=0) if bias else np.full(q, 1 / q)
    A0 = X.T @ (p - Y) / len(X)
    strength = share * float(np.sqrt((np.bincount(codes, (A0**2).sum(axis=1))[codes]) / (q * size)).max())
    solution = fit(X, Y, strength, codes=codes, tol=1e-12, fit_intercept=bias)
    A = X.T @ (softmax(X @ solution.W + solution.b, axis=1) - Y) / len(X)
    for g in np.unique(codes):
        W, G, radius = solution.W[codes == g], A[codes == g], strength * np.sqrt(q * (codes == g).sum())
        if np.linalg.norm(W) > 1e-6:
            np.testing.assert_allclose(G, -radius * W / np.linalg.norm(W), atol=1e-4 * radius)
        else:  # of a weight this small, a gap of 1e-12 leaves the gradient open by 1e-3 or so
            assert np.linalg.norm(G) <= radius * (1 + (1e-2 if W.any() else 1e-6))


def test_groups_of_one_column_are_the_columns() -> None:
    X, Y = problem()
    rows = as_rows(X, Y.argmax(axis=1))
    fits = [minimise(rows, 3, make_penalty("group", 0.02, 1.0, groups), tol=TOL)[0]
            for groups in (None, ColumnGroups.of(np.array([5, 1, 2, 0, 4, 3, 6, 7])))]  # fmt: skip
    np.testing.assert_array_equal(fits[0].W, fits[1].W)
    # the same groups, computed as groups
    pair = np.append(np.arange(8), 7)
    wide = np.column_stack([X, np.zeros(len(X))])
    groups = ColumnGroups.of(pair)
    assert groups is not None
    object.__setattr__(groups, "size", np.ones(9))
    (grouped,) = minimise(as_rows(wide, Y.argmax(axis=1)), 3, make_penalty("group", 0.02, 1.0, groups), tol=TOL)
    np.testing.assert_allclose(grouped.W[:8], fits[0].W, atol=1e-5)


def test_an_l2_part() -> None:
    X, Y = problem()
    penalty = group_penalty(0.02, 0.75, ColumnGroups.of(CODES))
    (solution,) = minimise(as_rows(X, Y.argmax(axis=1)), 3, penalty, tol=TOL)
    assert solution.gap <= TOL
    assert solution.value == pytest.approx(least_objective(X, Y, 0.015, 0.005, groups=CODES), abs=1e-8)


def test_working_sets_take_whole_groups_and_a_stack_of_strengths() -> None:
    codes = np.arange(400) // 4
    X, Y = problem(200, 3, 0, codes)
    penalty = make_penalty("group", np.array([0.05, 0.02]), 1.0, ColumnGroups.of(codes))
    stack = minimise(as_rows(X, Y.argmax(axis=1)), 3, penalty, tol=TOL)
    for strength, solution in zip((0.05, 0.02), stack, strict=True):
        assert solution.plan is not None
        assert solution.plan.name == "working-set"
        assert solution.gap <= TOL
        assert solution.value == pytest.approx(least_objective(X, Y, strength, groups=codes), abs=1e-8)
        live = (solution.W != 0).any(axis=1).reshape(-1, 4)
        assert 0 < live.all(axis=1).sum() < 100
        assert (live.all(axis=1) == live.any(axis=1)).all()


def test_a_path_of_folds() -> None:
    X, Y = problem()
    fold = np.arange(len(X)) % 3
    weights = np.stack([(fold != k).astype(float) for k in range(3)])
    path = StackPath(as_rows(X, Y.argmax(axis=1), weights), 3, fold[None], np.ones(len(X)))
    start = None
    for strength in (0.1, 0.03, 0.01):
        found = path.fit(make_penalty("group", np.full(3, strength), 1.0, ColumnGroups.of(CODES)), start, tolerance=0.0)
        start = found.W, found.b
        for k in range(3):
            kept = fold != k
            best = least_objective(X[kept], Y[kept], strength, groups=CODES)
            assert found.value[k] == pytest.approx(best, abs=1e-8)


def test_a_constant_column_and_a_large_group() -> None:
    X, Y = problem(300, 3, 1, np.arange(8) // 4)
    X[:, 2] = 7.0
    wide = np.column_stack([X, np.random.default_rng(0).normal(size=(300, 300))])
    codes = np.append(np.arange(8) // 4, np.full(300, 2))  # a group of more columns than have eigenvectors
    solution = fit(wide, Y, 0.01, codes=codes, tol=1e-7)
    assert solution.gap <= 1e-7
    assert (solution.W[2] == 0).all()
    live = (solution.W != 0).any(axis=1)
    assert live[[0, 1, 3]].all()
    assert len(set(live[8:])) == 1
