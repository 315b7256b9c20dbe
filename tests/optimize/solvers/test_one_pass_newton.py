"""Newton's method with one reading of the rows a step: its sums, its samples, and its way out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from softreg.linalg import Cholesky
from softreg.optimize import Progress, Status, l2, minimise
from softreg.optimize.objective import hessian
from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.objective.evaluation import PassEvaluator
from softreg.optimize.objective.hessian import contrasts, pairs
from softreg.optimize.problem.standardization import standardise
from softreg.optimize.solvers import one_pass_newton as one_pass
from softreg.optimize.solvers.descent_loop import Descent
from softreg.optimize.solvers.newton import Newton
from softreg.optimize.solvers.one_pass_newton import OnePassNewton
from softreg.rows import as_rows

Array = NDArray[Any]
Problem = Callable[..., tuple[Array, Array]]


def build(X: Any, y: Array, q: int, strength: Any, V: Array | None = None, fit_intercept: bool = True) -> Objective:
    rows, coordinates = standardise(as_rows(X, y, V), centred=fit_intercept)
    return Objective(rows, q, l2(strength), coordinates, fit_intercept)


@given(st.integers(2, 7).flatmap(lambda q: arrays(np.float64, q, elements=st.floats(1e-6, 1))))
def test_the_curvature_of_softmax_is_a_sum_over_pairs(p: Array) -> None:
    p = p / p.sum()
    k, l, share = pairs(len(p))
    T = contrasts(len(p))
    left = (share @ (p[k] * p[l])).reshape(len(p) - 1, -1)
    np.testing.assert_allclose(left, T.T @ (np.diag(p) - np.outer(p, p)) @ T, atol=1e-15)


@pytest.mark.parametrize("home", [np.asarray, sp.csr_array, lambda X: X.astype(np.float32)])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("soft", [True, False])
@pytest.mark.parametrize("kept", [True, False])
def test_a_reading_is_loss_gradient_and_hessian(
    home: Callable[[Array], Any],
    fit_intercept: bool,
    soft: bool,
    kept: bool,
    problem: Problem,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not kept:
        monkeypatch.setattr(hessian, "MAX_KEPT_NUMBERS", 0)
        monkeypatch.setattr(hessian, "RUN_ROWS", 64)
    X, y = problem(n=300)
    random = np.random.default_rng(1)
    labels = random.dirichlet(np.ones(3), size=300) if soft else y
    V = random.uniform(0, 2, (2, 300))
    objective = build(home(X + 3), labels, 3, np.array([0.1, 0.5]), V, fit_intercept)
    theta = random.normal(size=(2, 3, 5))
    theta[..., -1] *= fit_intercept
    careful, quick = (PassEvaluator(objective).read(theta, True, careful=c) for c in (True, False))
    value, G = objective.evaluate(theta)
    G = G + objective.ridge * theta
    value = value + objective.penalty.value(objective.user(theta)[0])
    H = Newton()._hessian(objective)
    close = {"rtol": 1e-5, "atol": 1e-6} if objective.rows.dtype == np.float32 else {"rtol": 1e-10, "atol": 1e-12}
    for found in (careful, quick):
        assert found.H is not None
        np.testing.assert_allclose(found.value, value, **close)
        np.testing.assert_allclose(found.G, G, **close)
        np.testing.assert_allclose(found.H, H, **close)


@pytest.mark.parametrize("strength", [1e-9, 1e-4, 1.0])
def test_the_optimum_is_that_of_the_loop_with_a_line_search(strength: float, problem: Problem) -> None:
    X, y = problem(n=400, d=3, q=4)
    strengths = np.array([strength, 3 * strength])
    V = np.random.default_rng(0).integers(0, 3, (2, 400)).astype(float)
    found = OnePassNewton(build(X, y, 4, strengths, V), np.zeros((2, 4, 4)), tol=1e-6, max_iter=100).run()
    other = Descent(build(X, y, 4, strengths, V), Newton(), np.zeros((2, 4, 4)), tol=1e-14, max_iter=100).run()
    assert found is not None
    assert found.status == [Status.CONVERGED] * 2
    np.testing.assert_allclose(found.theta, other.theta, atol=1e-6)
    np.testing.assert_allclose(found.value, other.value, atol=1e-13)
    assert (found.gap <= 1e-6).all()


def test_what_the_model_predicts_on_average_are_the_class_rates(problem: Problem) -> None:
    X, y = problem(n=500)
    for dtype, exact in ((np.float64, 1e-9), (np.float32, 1e-7)):
        (fit,) = minimise(as_rows(X.astype(dtype), y), 3, l2(1e-3))
        o = X.astype(dtype).astype(np.float64) @ fit.W + fit.b
        P = np.exp(o - o.max(axis=1, keepdims=True))
        P /= P.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(P.mean(axis=0), np.bincount(y) / len(y), atol=exact)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_samples_change_the_way_and_not_the_answer(dtype: Any, problem: Problem) -> None:
    X, y = problem(n=30_000, d=5)
    rows = as_rows(X.astype(dtype), y)
    (quick,) = minimise(rows, 3, l2(1e-4))
    (plain,) = minimise(as_rows(X.astype(dtype), y), 3, l2(1e-4), solver="one-pass-newton")
    assert quick.certified
    assert plain.certified
    assert quick.passes < plain.passes
    np.testing.assert_allclose(quick.W, plain.W, atol=1e-6 if dtype == np.float64 else 1e-5)
    assert quick.value == pytest.approx(plain.value, abs=1e-12 if dtype == np.float64 else 1e-8)


def test_a_hessian_without_a_factor_is_left_to_the_other_loop(
    problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = problem()
    (expected,) = minimise(as_rows(X, y), 3, l2(1e-3))
    calls = []

    def refuse(H: Array) -> Cholesky:
        calls.append(1)
        return Cholesky(np.eye(len(H)), None, np.inf, exact=False)

    monkeypatch.setattr(one_pass, "factor_hessian", refuse)
    (found,) = minimise(as_rows(X, y), 3, l2(1e-3), solver="one-pass-newton")
    assert calls
    assert found.converged
    np.testing.assert_allclose(found.W, expected.W, atol=1e-6)


def test_a_model_of_a_stack_that_is_done_keeps_its_answer_when_the_others_are_handed_on(
    problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, y = problem()
    strengths = np.array([10.0, 1e-7])
    expected = minimise(as_rows(X, y), 3, l2(strengths))
    monkeypatch.setattr(one_pass, "MAX_STEPS", 4)  # enough for the first
    found = minimise(as_rows(X, y), 3, l2(strengths))
    for a, b in zip(found, expected, strict=True):
        assert a.converged
        np.testing.assert_allclose(a.W, b.W, atol=1e-6)


def test_few_iterations_are_respected_and_progress_is_told(problem: Problem) -> None:
    X, y = problem()
    told: list[Progress] = []
    (fit,) = minimise(as_rows(X, y), 3, l2(1e-6), max_iter=2, on_progress=told.append)
    assert fit.status is Status.STOPPED
    assert fit.n_iter == 2
    assert fit.gap > 1e-6
    (fit,) = minimise(as_rows(X, y), 3, l2(1e-6), on_progress=told.append)
    assert fit.history[-1].value == pytest.approx(fit.value, abs=1e-9)
    assert [p.value for p in fit.history] == sorted((p.value for p in fit.history), reverse=True)
