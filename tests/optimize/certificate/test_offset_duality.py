"""The duality gap of rows with an offset: an upper bound of the distance to the minimum, at any parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax

from softreg.optimize import make_penalty, minimise
from softreg.optimize.certificate import duality
from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.objective.recomputed_logits import RecomputedObjective
from softreg.optimize.problem.penalty_protocol import Penalty
from softreg.optimize.problem.standardization import standardise
from softreg.rows import Rows, as_rows

Array = NDArray[Any]
EXACT = 1e-12
ROUNDED = 1e-9


class Problem:
    """Random rows with an offset, hard or soft labels, and perhaps row weights."""

    def __init__(self, seed: int, dtype: type = np.float64) -> None:
        self.random = random = np.random.default_rng(seed)
        self.n, self.d, self.q = int(random.integers(8, 40)), int(random.integers(1, 6)), (2, 3, 5)[seed % 3]
        self.X = (random.normal(size=(self.n, self.d)) + random.normal(size=self.d)).astype(dtype)
        self.offset = random.normal(size=(self.n, self.q)) * (1, 3)[seed % 2]
        codes = random.integers(0, self.q, self.n)
        codes[: self.q] = np.arange(self.q)
        soft = random.dirichlet(np.ones(self.q), self.n)
        self.labels = soft if seed % 5 == 0 else codes
        self.V = random.random((1, self.n)) + 0.1 if seed % 2 else None
        self.fit_intercept = seed % 4 != 3
        self.strength = 10.0 ** random.integers(-3, 0)

    @property
    def rows(self) -> Rows:
        return as_rows(self.X, self.labels, self.V, self.offset)

    def penalty(self, name: str) -> Penalty:
        return make_penalty(name, np.array([self.strength]), np.array([{"l1": 1.0, "l2": 0.0}.get(name, 0.5)]))

    def value(self, W: Array, b: Array, penalty: Penalty) -> float:
        """The objective by its definition."""
        o = self.X.astype(float) @ W + b + self.offset
        Y = self.labels if self.labels.ndim == 2 else np.eye(self.q)[self.labels]
        loss = logsumexp(o, axis=1) - (o * Y).sum(axis=1)
        weight = np.ones(self.n) if self.V is None else self.V[0]
        return float(np.average(loss, weights=weight) + penalty.value(W.T[None])[0])

    def optimum(self, penalty: Penalty) -> tuple[Array, Array, float]:
        (best,) = minimise(self.rows, self.q, penalty, tol=EXACT, fit_intercept=self.fit_intercept)
        return best.W, best.b, self.value(best.W, best.b, penalty)


@pytest.mark.parametrize("kind", [Objective, RecomputedObjective])
@pytest.mark.parametrize("name", ["l2", "l1", "elasticnet"])
@pytest.mark.parametrize("seed", range(20))
def test_the_gap_is_at_least_the_distance_to_the_minimum(kind: type[Objective], name: str, seed: int) -> None:
    if kind is RecomputedObjective and name != "l2":
        pytest.skip("recomputed logits are for l2 penalties")
    p = Problem(seed)
    penalty = p.penalty(name)
    W, b, least = p.optimum(penalty)
    rows, coordinates = standardise(p.rows, centred=p.fit_intercept)
    for size in (0.03, 0.3, 1.0):
        theta = coordinates.from_user(W.T[None], b[None])
        theta = theta + size * p.random.normal(size=theta.shape)
        if not p.fit_intercept:
            theta[..., -1] = 0.0
        objective = kind(rows, p.q, penalty, coordinates, p.fit_intercept)
        objective.evaluate(theta)
        at = duality.balance(objective, theta)
        gap = duality.dual_gap(objective, at.theta, at.loss, at.gradient)[0]
        W_at, b_at = (a[0] for a in coordinates.to_user(at.theta))
        assert gap >= p.value(W_at.T, b_at, penalty) - least - ROUNDED
        if size == 0.03 and name == "l2":
            assert gap < np.inf


@pytest.mark.parametrize("seed", [0, 1, 2, 4, 5, 6])
def test_the_gap_of_a_scaled_dual_point_is_that_of_the_definition(seed: int) -> None:
    p = Problem(seed)
    penalty = p.penalty("l1")
    rows, coordinates = standardise(p.rows, centred=True)
    objective = Objective(rows, p.q, penalty, coordinates)
    theta = p.random.normal(size=(1, p.q, p.d + 1))
    objective.evaluate(theta)
    at = duality.balance(objective, theta)
    gap = duality.dual_gap(objective, at.theta, at.loss, at.gradient)[0]
    W, b = (a[0] for a in coordinates.to_user(at.theta))
    Y = p.labels if p.labels.ndim == 2 else np.eye(p.q)[p.labels]
    v = (np.ones(p.n) if p.V is None else p.V[0])[:, None]
    P = softmax(p.X @ W.T + b + p.offset, axis=1)
    A = p.X.T @ (v * (P - Y)) / v.sum()
    share = min(1.0, p.strength / np.abs(A).max())
    Q = Y + share * (P - Y)
    terms = -np.where(Q > 0, Q * np.log(np.where(Q > 0, Q, 1.0)), 0.0) + (Q - Y) * p.offset
    dual = float((v * terms).sum() / v.sum())
    assert gap <= p.value(W.T, b, penalty) - dual + 1e-8
    assert gap >= 0


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("name", ["l2", "l1"])
def test_a_fit_of_float32_rows_is_certified(name: str, seed: int) -> None:
    p = Problem(seed, np.float32)
    penalty = p.penalty(name)
    _, _, least = p.optimum(penalty)
    for solver in ("auto", "lbfgs"):
        (fit,) = minimise(p.rows, p.q, penalty, fit_intercept=p.fit_intercept, solver=solver)
        assert fit.converged
        assert fit.gap >= p.value(fit.W, fit.b, penalty) - least - 1e-7
        assert abs(fit.value - p.value(fit.W, fit.b, penalty)) < 1e-6


@pytest.mark.parametrize("seed", range(8))
def test_a_fit_without_a_penalty_is_certified(seed: int) -> None:
    random = np.random.default_rng(seed)
    X, offset = random.normal(size=(300, 3)), random.normal(size=(300, 3))
    y = (random.gumbel(size=(300, 3)) + offset / 2).argmax(axis=1)
    none = make_penalty("l2", np.zeros(1), np.zeros(1))
    (fit,) = minimise(as_rows(X, y, None, offset), 3, none, solver=("auto", "lbfgs")[seed % 2])
    assert (fit.converged, fit.gap <= 1e-6) == (True, True)
    R = softmax(X @ fit.W + fit.b + offset, axis=1) - np.eye(3)[y]
    assert np.abs(np.column_stack([X, np.ones(300)]).T @ R / 300).max() < 1e-3
