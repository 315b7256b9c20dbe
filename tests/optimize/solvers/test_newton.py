"""The exact Hessian, and the proof that the Newton decrement gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from softreg.optimize import l2
from softreg.optimize.certificate.self_concordance import self_concordant_gap
from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.objective.hessian import contrasts
from softreg.optimize.problem.standardization import standardise
from softreg.optimize.solvers.newton import Newton
from softreg.rows import as_rows
from softreg.rows.memory import dense

Array = NDArray[Any]
Problem = Callable[..., tuple[Array, Array]]
Exact = Callable[..., tuple[Array, Array, float]]


def build(X: Any, y: Array, q: int, strength: Any, V: Array | None = None, fit_intercept: bool = True) -> Objective:
    rows, coordinates = standardise(as_rows(X, y, V), centred=fit_intercept)
    return Objective(rows, q, l2(strength), coordinates, fit_intercept)


def gradient(objective: Objective, at: Array) -> Array:
    objective.place(at)
    return np.asarray(objective.gradient()[1] + objective.ridge * at)


@pytest.mark.parametrize("q", [2, 3, 5, 10])
def test_contrasts_are_orthonormal_and_sum_to_zero(q: int) -> None:
    T = contrasts(q)
    assert T.shape == (q, q - 1)
    np.testing.assert_allclose(T.T @ T, np.eye(q - 1), atol=1e-15)
    np.testing.assert_allclose(T.sum(axis=0), 0.0, atol=1e-15)


@pytest.mark.parametrize("home", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_the_hessian_by_finite_differences_of_the_gradient(
    home: Callable[[Array], Any],
    fit_intercept: bool,
    weighted: bool,
    problem: Problem,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dense, "BLOCK_BYTES", 1)
    X, y = problem(n=300)
    V = np.random.default_rng(2).uniform(0, 2, (2, 300)) if weighted else None
    objective = build(home(X + np.array([5, 0, 0, 0])), y, 3, np.array([0.1, 0.5]), V, fit_intercept)
    at, T, h = np.random.default_rng(1).normal(size=(2, 3, 5)), contrasts(3), 1e-5
    at[..., -1] *= fit_intercept
    objective.place(at)
    H = Newton()._hessian(objective)
    assert H.shape == (2, 10, 10)
    for r, i in np.ndindex(2, 4 + fit_intercept):
        step = np.zeros_like(at)
        step[:, :, i] = T[:, r] * h
        change = (gradient(objective, at + step) - gradient(objective, at - step)) / (2 * h)
        column = np.einsum("qa,mqd->mad", T, change).reshape(2, 10)
        np.testing.assert_allclose(H[:, :, r * 5 + i], column, rtol=1e-6, atol=1e-8)


def test_the_direction_solves_newtons_equation(problem: Problem) -> None:
    X, y = problem()
    objective, T = build(X, y, 3, 0.1), contrasts(3)
    at = np.random.default_rng(1).normal(size=(1, 3, 5))
    G = gradient(objective, at)
    newton = Newton()
    D = newton.direction(objective, at, G)
    H = newton._hessian(objective)[0]
    np.testing.assert_allclose(D.sum(axis=1), 0.0, atol=1e-13)
    np.testing.assert_allclose(H @ (T.T @ D[0]).ravel(), -(T.T @ G[0]).ravel(), atol=1e-12)


def test_the_closed_form_of_the_bound() -> None:
    # u = 1/2, R = 1: 1/2 + 1/2 log(1/2)
    assert self_concordant_gap(0.5, 1.0) == pytest.approx(0.5 - 0.5 * np.log(2), rel=1e-14)
    assert self_concordant_gap(0.25, 2.0) == pytest.approx((0.5 - 0.5 * np.log(2)) / 4, rel=1e-14)
    assert self_concordant_gap(1.0, 1.0) == np.inf
    assert self_concordant_gap(np.nan, 1.0) == np.inf
    assert self_concordant_gap(0.0, 3.0) == 0.0
    assert self_concordant_gap(0.2, 0.0) == pytest.approx(0.02)  # a quadratic


@given(st.floats(1e-9, 1e3), st.floats(1e-6, 1e-3))
def test_series_and_closed_form_of_the_bound_meet(R: float, u: float) -> None:
    gap = self_concordant_gap(u / R, R)
    assert gap >= (u / R) ** 2 / 2
    assert gap <= (u / R) ** 2 / 2 / (1 - u)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.sampled_from([1e-6, 1e-3, 0.1, 10.0]), st.floats(1e-4, 1.0), st.integers(2, 4))
def test_the_bound_really_bounds(
    exact: Exact,
    problem: Problem,
    objective_value: Callable[..., float],
    seed: int,
    strength: float,
    off: float,
    q: int,
) -> None:
    X, y = problem(n=60, d=2, q=q, seed=seed, size=0.5)
    W, b, least = exact(X, y, q, strength)
    random = np.random.default_rng(seed)
    W = W + off * random.normal(size=W.shape)
    b = b + off * random.normal(size=b.shape)
    objective = build(X, y, q, strength)
    at = objective.coordinates.from_user(W.T[None], b[None])
    at -= at.mean(axis=1, keepdims=True)
    G = gradient(objective, at)
    newton = Newton()
    newton.direction(objective, at, G)
    found = newton.decrement_bound(objective, G)
    W, b = (a[0].T for a in objective.user(at))
    above = objective_value(X, y, W, b, strength) - least
    assert above <= found[0] * (1 + 1e-9) + 1e-13


def test_the_bound_is_tight_near_the_optimum(
    exact: Exact, problem: Problem, objective_value: Callable[..., float]
) -> None:
    X, y = problem(n=2000)
    W, b, least = exact(X, y, 3, 1e-3)
    W = W + 1e-3
    W[0, 0] += 1e-2
    objective = build(X, y, 3, 1e-3)
    at = objective.coordinates.from_user(W.T[None], b[None])
    at -= at.mean(axis=1, keepdims=True)
    G = gradient(objective, at)
    newton = Newton()
    newton.direction(objective, at, G)
    found = newton.decrement_bound(objective, G)
    W, b = (a[0].T for a in objective.user(at))
    above = objective_value(X, y, W, b, 1e-3) - least
    assert above < found[0] < 1.5 * above
