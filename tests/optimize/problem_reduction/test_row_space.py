"""Fewer rows than columns: the problem in the space of the rows is the same problem."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray

from softreg.optimize import Penalty, elastic_net, l2, minimise
from softreg.optimize.plan import LIMITS, choose, facts_of
from softreg.optimize.problem.standardization import standardise
from softreg.optimize.problem_reduction.row_space import reduce
from softreg.rows import as_rows

Array = NDArray[Any]


def wide(n: int = 30, d: int = 90, q: int = 3, seed: int = 0) -> tuple[Array, Array]:
    random = np.random.default_rng(seed)
    return random.normal(size=(n, d)), random.integers(q, size=n)


def far(X: Array) -> Array:
    """Columns far from zero, in units of their own: the rows subtract the shift themselves."""
    return ((X + 100) * np.linspace(0.5, 2, X.shape[1])).astype(np.float32)


HOMES: list[Callable[[Array], Any]] = [
    np.asarray,
    np.asfortranarray,
    lambda X: X.astype(np.float32),
    far,
    lambda X: X + 300,
    lambda X: sp.csr_array(np.where(X > 0.5, X, 0.0)),
    lambda X: np.where(np.arange(X.shape[1]) % 5 == 0, 7.0, X),  # columns that never vary
    lambda X: np.vstack([X[:10]] * 3),  # rows that occur several times
]


@pytest.mark.parametrize("home", HOMES)
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("kind", ["plain", "weighted", "soft", "stack"])
def test_the_answer_is_that_of_all_columns(home: Callable[[Array], Any], fit_intercept: bool, kind: str) -> None:
    X, y = wide()
    random = np.random.default_rng(1)
    labels: Array = random.dirichlet(np.ones(3), size=30) if kind == "soft" else y
    V = random.uniform(0.1, 2, (1 if kind == "weighted" else 2, 30)) if kind in ("weighted", "stack") else None
    strengths = np.array([0.3, 0.02]) if kind == "stack" else np.array([0.05])
    rows = as_rows(home(X), labels, V)
    small = minimise(rows, 3, l2(strengths), fit_intercept=fit_intercept, tol=1e-12, solver="row-space")
    assert small[0].plan is not None
    assert small[0].plan.name == "row-space"
    columns = replace(LIMITS, row_space_most_rows=0, row_space_multiplications=0.0)
    rows = as_rows(home(X), labels, V)
    whole = minimise(rows, 3, l2(strengths), fit_intercept=fit_intercept, tol=1e-12, limits=columns)
    dense = home(X).toarray() if sp.issparse(home(X)) else np.asarray(home(X), dtype=np.float64)
    for a, b in zip(small, whole, strict=True):
        assert a.status == b.status == "converged"
        assert a.W.shape == b.W.shape
        rounding = 2.0**-24 * b.value  # of float32, to which the rows in n dimensions are rounded
        assert a.value == pytest.approx(b.value, abs=rounding if rows.dtype == np.float32 else 1e-11)
        assert a.gap <= 1e-12
        np.testing.assert_allclose(
            dense @ a.W + a.b - (dense @ a.W + a.b).mean(axis=1, keepdims=True),
            dense @ b.W + b.b - (dense @ b.W + b.b).mean(axis=1, keepdims=True),
            atol=2e-5,
        )


def test_value_and_certificate_hold_for_all_columns(objective_value: Callable[..., float]) -> None:
    X, y = wide(n=40, d=200)
    strength = 1e-3
    (fit,) = minimise(as_rows(X, y), 3, l2(strength), tol=1e-10)
    assert fit.value == pytest.approx(objective_value(X, y, fit.W, fit.b, strength), abs=1e-13)
    o = X @ fit.W + fit.b
    P = np.exp(o - o.max(axis=1, keepdims=True))
    P /= P.sum(axis=1, keepdims=True)
    R = (P - np.eye(3)[y]) / len(X)
    gradient = X.T @ R + strength * fit.W
    assert np.abs(R.sum(axis=0)).max() < 1e-9
    assert (gradient**2).sum() / (2 * strength) <= max(2 * fit.gap, 1e-20)  # strong convexity, by hand


def test_the_rows_of_the_reduced_problem_have_the_same_products() -> None:
    X, y = wide(n=12, d=50)
    rows, coordinates = standardise(as_rows(X, y), centred=True)
    small = reduce(rows, coordinates)
    C = X - X.mean(axis=0)
    np.testing.assert_allclose(small.rows.X @ small.rows.X.T, C @ C.T, atol=1e-12)  # type: ignore[attr-defined]
    W, b = np.random.default_rng(3).normal(size=(1, 50, 3)), np.ones((1, 3))
    U, c = small.start(W, b)
    np.testing.assert_allclose(small.rows.X @ U[0] + c[0], X @ W[0] + b[0], atol=1e-12)  # type: ignore[attr-defined]


def test_a_start_is_taken_over() -> None:
    X, y = wide()
    (cold,) = minimise(as_rows(X, y), 3, l2(0.01), tol=1e-9)
    (warm,) = minimise(as_rows(X, y), 3, l2(0.01), tol=1e-9, start=(cold.W[None], cold.b[None]))
    assert warm.n_iter <= 1
    np.testing.assert_allclose(warm.W, cold.W, atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "penalty"),
    [
        ((30, 90), elastic_net(0.1, 0.5)),
        ((30, 90), l2(0.0)),
        ((30, 90), l2(np.array([0.1, 0.0]))),
        ((90, 30), l2(0.1)),
        ((80, 90), l2(0.1)),
        ((3000, 6000), l2(0.1)),
    ],
)
def test_where_it_does_not_pay_or_does_not_hold(shape: tuple[int, int], penalty: Penalty) -> None:
    X = sp.csr_array(shape) if shape[0] > 1000 else np.zeros(shape)
    facts = facts_of(as_rows(X, np.zeros(shape[0], dtype=int)), 3, penalty)
    assert choose(facts).name != "row-space"
