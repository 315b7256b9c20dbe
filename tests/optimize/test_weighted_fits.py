"""Fits with factors, centers and bounds of single weights, against SciPy and the optimality conditions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import Bounds, minimize
from scipy.special import softmax

from softreg.optimize import Solution, Status, elastic_net, minimise
from softreg.optimize.problem.weighted_elastic_net import WeightedElasticNet, WeightTerms
from softreg.rows import as_rows
from softreg.typing import Array


@dataclass
class Problem:
    """Rows, labels, strengths and terms of one fit."""

    X: Array
    y: Array
    q: int
    l1: float
    l2: float
    terms: WeightTerms

    @property
    def penalty(self) -> WeightedElasticNet:
        return WeightedElasticNet(np.array([self.l1]), np.array([self.l2]), self.terms)

    def fit(self, tol: float = 1e-9) -> Solution:
        (solution,) = minimise(as_rows(self.X, self.y), self.q, self.penalty, tol=tol)
        return solution


def drawn(seed: int, *, unpenalised: bool = False, centered: bool = False) -> Problem:
    """Draw a small problem with bounds on some weights."""
    rng = np.random.default_rng(seed)
    n, d, q = rng.integers(30, 150), rng.integers(1, 5), rng.integers(2, 5)
    X = rng.normal(size=(n, d)) * rng.uniform(0.2, 3, d) + rng.normal(size=d)
    y = np.where(rng.random(n) < 0.7, (X @ rng.normal(size=(d, q))).argmax(axis=1), rng.integers(0, q, n))
    y[:q] = np.arange(q)
    shape = q, d
    factors = rng.uniform(0.2, 3, shape if seed % 2 else (1, d))
    if unpenalised:
        factors = np.where(rng.random((1, d)) < 0.5, 0.0, factors)
    lower = np.where(rng.random(shape) < 0.4, rng.uniform(-0.5, 0.2, shape), -np.inf)
    upper = np.where(rng.random(shape) < 0.4, rng.uniform(0.25, 0.6, shape), np.inf)
    center = rng.normal(size=shape) if centered else None
    l1 = 0.0 if centered else float(rng.choice([0.0, 0.02]))
    return Problem(
        X, y, int(q), l1, float(rng.choice([0.01, 0.1])), WeightTerms(factors, factors, lower, upper, center)
    )


def minimum(problem: Problem) -> float:
    """Return the minimum by L-BFGS-B on positive and negative parts of the weights."""
    X, q, terms = problem.X, problem.q, problem.terms
    n, d = X.shape
    Y = np.eye(q)[problem.y]
    l1 = problem.l1 * np.broadcast_to(terms.l1_factor, (q, d))
    l2 = problem.l2 * np.broadcast_to(terms.l2_factor, (q, d))
    center = np.zeros((q, d)) if terms.center is None else terms.center

    def value(z: Array) -> tuple[float, Array]:
        P, N, b = z[: q * d].reshape(q, d), z[q * d : 2 * q * d].reshape(q, d), z[2 * q * d :]
        W = P - N
        o = X @ W.T + b
        top = o.max(axis=1, keepdims=True)
        total = top[:, 0] + np.log(np.exp(o - top).sum(axis=1))
        R = (np.exp(o - total[:, None]) - Y) / n
        G = R.T @ X + l2 * (W - center)
        loss = (total - (o * Y).sum(axis=1)).mean() + (l2 * (W - center) ** 2).sum() / 2 + (l1 * (P + N)).sum()
        return loss, np.concatenate([(G + l1).ravel(), (l1 - G).ravel(), R.sum(axis=0)])

    free = np.full(q, np.inf)
    low = np.concatenate([np.maximum(terms.lower, 0).ravel(), np.maximum(-terms.upper, 0).ravel(), -free])
    high = np.concatenate([np.maximum(terms.upper, 0).ravel(), np.maximum(-terms.lower, 0).ravel(), free])
    options = {"maxiter": 20_000, "maxfun": 100_000, "ftol": 1e-15, "gtol": 1e-11, "maxcor": 30}
    start = np.clip(np.zeros(len(low)), low, high)
    return float(minimize(value, start, jac=True, bounds=Bounds(low, high), method="L-BFGS-B", options=options).fun)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("kind", ["penalised", "unpenalised", "centered"])
def test_the_optimum_is_certified_and_that_of_scipy(seed: int, kind: str) -> None:
    problem = drawn(seed, unpenalised=kind == "unpenalised", centered=kind == "centered")
    solution = problem.fit()
    reference = minimum(problem)
    assert solution.status is Status.CONVERGED
    assert solution.value - reference < 1e-8
    assert solution.value - solution.gap <= reference + 1e-12
    W = solution.W.T
    assert (problem.terms.lower - 1e-12 <= W).all()
    assert (problem.terms.upper + 1e-12 >= W).all()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_storage_and_precision_do_not_change_the_optimum(seed: int) -> None:
    problem = drawn(seed)
    exact = problem.fit(1e-8)
    for X, tolerance in ((sp.csr_array(problem.X), 1e-6), (problem.X.astype(np.float32), 2e-3)):
        (other,) = minimise(as_rows(X, problem.y), problem.q, problem.penalty, tol=1e-8)
        assert other.value == pytest.approx(exact.value, abs=1e-6)
        np.testing.assert_allclose(other.W, exact.W, atol=max(tolerance, 1e-3))


def test_members_of_a_stack_are_those_fitted_alone() -> None:
    problem = drawn(3)
    rng = np.random.default_rng(0)
    V = rng.integers(0, 3, (2, len(problem.y))).astype(float)
    strengths = np.array([0.02, 0.3])
    both = WeightedElasticNet(np.zeros(2), strengths, problem.terms)
    stack = minimise(as_rows(problem.X, problem.y, V), problem.q, both, tol=1e-9)
    for j, fit in enumerate(stack):
        (alone,) = minimise(as_rows(problem.X, problem.y, V[j : j + 1]), problem.q, both.keep(np.array([j])), tol=1e-9)
        assert fit.gap <= 1e-9
        np.testing.assert_allclose(fit.W, alone.W, atol=1e-3)
        assert fit.value == pytest.approx(alone.value, abs=2e-9)


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
def test_rescaling_a_column_and_its_factor_gives_the_same_model(l1_ratio: float) -> None:
    problem = drawn(4)
    X, d, scale = problem.X, problem.X.shape[1], 7.0
    free = np.full((problem.q, d), np.inf)
    l1_factor, l2_factor = np.ones((1, d)), np.ones((1, d))
    plain = elastic_net(0.05, l1_ratio)
    (before,) = minimise(as_rows(X, problem.y), problem.q, plain, tol=1e-10)
    rescaled = X.copy()
    rescaled[:, 0] *= scale  # the weight is divided by `scale`
    l1_factor[0, 0], l2_factor[0, 0] = scale, scale**2
    penalty = WeightedElasticNet(plain.l1, plain.l2, WeightTerms(l1_factor, l2_factor, -free, free))
    (after,) = minimise(as_rows(rescaled, problem.y), problem.q, penalty, tol=1e-10)
    assert after.value == pytest.approx(before.value, abs=1e-9)
    W = after.W.copy()
    W[0] *= scale
    np.testing.assert_allclose(W, before.W, atol=1e-4)


def test_factors_of_one_without_bounds_are_the_elastic_net() -> None:
    problem = drawn(5)
    free, ones = np.full((problem.q, problem.X.shape[1]), np.inf), np.ones((1, problem.X.shape[1]))
    plain = elastic_net(0.05, 0.3)
    (a,) = minimise(as_rows(problem.X, problem.y), problem.q, plain, tol=1e-10)
    penalty = WeightedElasticNet(plain.l1, plain.l2, WeightTerms(ones, ones, -free, free))
    (b,) = minimise(as_rows(problem.X, problem.y), problem.q, penalty, tol=1e-10)
    np.testing.assert_allclose(a.W, b.W, atol=1e-5)
    assert a.value == pytest.approx(b.value, abs=2e-10)


def test_an_unpenalised_column_that_separates_the_classes_has_no_finite_optimum() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2))
    y = (X[:, 0] > 0).astype(int)
    free, factors = np.full((2, 2), np.inf), np.array([[0.0, 1.0]])
    (open_,) = minimise(
        as_rows(X, y), 2, WeightedElasticNet(np.zeros(1), np.array([0.1]), WeightTerms(factors, factors, -free, free))
    )
    assert open_.status is Status.SEPARATED
    closed = WeightTerms(factors, factors, np.full((2, 2), -3.0), np.full((2, 2), 3.0))
    (bounded,) = minimise(as_rows(X, y), 2, WeightedElasticNet(np.zeros(1), np.array([0.1]), closed))
    assert bounded.status is Status.CONVERGED
    np.testing.assert_allclose(np.abs(bounded.W[0]), 3.0)


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_unpenalised_columns_beside_many_others_are_certified_by_duality(l1_ratio: float, dtype: type) -> None:
    rng = np.random.default_rng(0)
    n, d, q = 150, 400, 3  # more weights than the exact Newton steps take
    X = rng.normal(size=(n, d)).astype(dtype)
    y = (X[:, :3] @ rng.normal(size=(3, q)) + rng.gumbel(size=(n, q))).argmax(axis=1)
    free, factors = np.full((q, d), np.inf), np.ones((1, d))
    factors[0, :2] = 0.0
    plain = elastic_net(0.02, l1_ratio)
    penalty = WeightedElasticNet(plain.l1, plain.l2, WeightTerms(factors, factors, -free, free))
    (fit,) = minimise(as_rows(X, y), q, penalty, tol=1e-7)
    assert fit.status is Status.CONVERGED
    assert fit.bound == "duality"
    P = softmax(X.astype(float) @ fit.W + fit.b, axis=1)
    gradient = X.astype(float).T @ (P - np.eye(q)[y]) / n
    np.testing.assert_allclose(gradient[:2], 0.0, atol=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_a_gap_bounds_the_distance_after_any_number_of_iterations(seed: int) -> None:
    problem = drawn(seed)
    problem.l1, problem.l2 = 0.03, 0.0 if seed % 2 else 0.05
    box = np.full(problem.terms.lower.shape, 0.3)
    problem.terms = WeightTerms(problem.terms.l1_factor, problem.terms.l2_factor, -box, box)
    best = minimum(problem)
    for iterations in (1, 2, 4, 8):
        (early,) = minimise(as_rows(problem.X, problem.y), problem.q, problem.penalty, max_iter=iterations, tol=1e-12)
        assert early.value - early.gap <= best + 1e-9


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**6), st.booleans(), st.booleans())
def test_the_conditions_of_an_optimum_hold(seed: int, unpenalised: bool, centered: bool) -> None:
    problem = drawn(seed, unpenalised=unpenalised, centered=centered)
    fit = problem.fit(1e-11)
    if fit.status is Status.SEPARATED:
        return
    terms, W = problem.terms, fit.W.T
    P = softmax(problem.X @ fit.W + fit.b, axis=1)
    R = (P - np.eye(problem.q)[problem.y]) / len(problem.y)
    np.testing.assert_allclose(R.sum(axis=0), 0.0, atol=1e-8)
    center = 0.0 if terms.center is None else terms.center
    scale = problem.X.std(axis=0) + 1e-3
    G = (R.T @ problem.X + problem.l2 * terms.l2_factor * (W - center)) / scale
    kink = problem.l1 * terms.l1_factor / scale
    near = 1e-6 + 1e-4 * np.abs(W)  # a gap of 1e-11 leaves a weight and its gradient open by about its root
    up, down = G + np.where(near > -W, kink, -kink), G - np.where(near > W, kink, -kink)
    assert ((up >= -2e-4) | (terms.upper - near <= W)).all()
    assert ((down <= 2e-4) | (terms.lower + near >= W)).all()
