"""Columns that are nearly uncorrelated are found, and get methods with a diagonal curvature."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from softreg.optimize import elastic_net, l2, minimise
from softreg.optimize.plan import LIMITS, choose, facts_of, strategies
from softreg.optimize.plan.column_correlation import are_nearly_uncorrelated, effective_rank_share
from softreg.optimize.problem.penalty_protocol import Penalty
from softreg.optimize.problem.solver_plan import CurvatureModel, Plan
from softreg.rows import DenseRows, as_rows


def drawn(n: int, d: int, common: float = 0.0, seed: int = 0, q: int = 3) -> tuple[Any, Any]:
    """Return rows whose columns share a factor of this size, and labels."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, d)) + common * random.normal(size=(n, 1))
    o = X @ random.normal(size=(d, q)) / np.sqrt(d)
    return X, (2 * o / o.std() + random.gumbel(size=(n, q))).argmax(axis=1)


@pytest.mark.parametrize("d", [64, 500, 5000])
def test_the_effective_rank_is_that_of_the_correlations(d: int) -> None:
    random = np.random.default_rng(d)
    correlation = 0.6 ** np.abs(np.subtract.outer(np.arange(d), np.arange(d))) if d <= 500 else np.eye(d)
    X = random.normal(size=(64, d)) @ np.linalg.cholesky(correlation).T
    expected = d / (correlation**2).sum()
    shares = [effective_rank_share(3 + 10 * X), effective_rank_share(X.astype(np.float32)), effective_rank_share(X)]
    np.testing.assert_allclose(shares, expected, rtol=0.25)


def test_extreme_columns_are_no_error() -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(64, 100))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert effective_rank_share(np.ones((64, 100))) == 0
        assert effective_rank_share(X[:2]) == 0
        assert effective_rank_share(X[:1]) == 0
        assert not are_nearly_uncorrelated(DenseRows(1e300 * X, np.zeros(64, dtype=int)))
        assert not are_nearly_uncorrelated(DenseRows(X[:, :1] * np.ones(100), np.zeros(64, dtype=int)))
        half = np.where(np.arange(100) < 50, X, 7.0)
        assert effective_rank_share(half) == pytest.approx(effective_rank_share(X[:, :50]) / 2, rel=1e-3)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(
    ("penalty", "with_diagonal", "without"),
    [(l2(1e-3), "lbfgs-diagonal", "truncated-newton"), (elastic_net(1e-3, 0.5), "orthant-diagonal", "proximal-newton")],
)
def test_the_plan_has_a_diagonal(penalty: Penalty, with_diagonal: str, without: str, dtype: Any, order: Any) -> None:
    for common, name in ((0.0, with_diagonal), (2.0, without)):
        X, y = drawn(900, 200, common)
        rows = as_rows(np.asarray(X, dtype=dtype, order=order), y)
        facts = facts_of(rows, 3, penalty)
        assert facts.uncorrelated == (common == 0)
        assert choose(facts).name == name


def test_few_numbers_and_stacks_are_not_looked_at() -> None:
    X, y = drawn(900, 200)
    assert not facts_of(as_rows(X[:200], y[:200]), 3, l2(1e-3)).uncorrelated
    assert not facts_of(as_rows(X, y), 3, l2([1e-3, 1e-2])).uncorrelated
    assert not facts_of(as_rows(X[:, :40].repeat(4, axis=0), y.repeat(4)), 3, l2(1e-3)).uncorrelated


@pytest.mark.parametrize("q", [2, 5])
@pytest.mark.parametrize("shape", [(900, 100), (400, 500), (150, 1000)])
@pytest.mark.parametrize("ratio", [0.0, 0.5, 1.0])
def test_the_minimum_is_that_of_other_plans(shape: tuple[int, int], q: int, ratio: float) -> None:
    X, y = drawn(*shape, q=q)
    penalty = elastic_net(3e-3, ratio)
    (found,) = minimise(as_rows(X, y), q, penalty, tol=1e-7)
    other = "lbfgs-sampled" if ratio == 0 else "proximal-newton"
    (expected,) = minimise(as_rows(X, y), q, penalty, tol=1e-7, solver=other)
    assert found.converged
    assert expected.converged
    assert found.value == pytest.approx(expected.value, abs=2e-7)


@pytest.mark.parametrize("ratio", [0.0, 0.5])
def test_the_fit_of_a_sample_has_a_diagonal_as_well(ratio: float, monkeypatch: pytest.MonkeyPatch) -> None:
    curvatures = []
    made = strategies.strategy_for

    def strategy_for(plan: Plan, *rest: Any) -> Any:
        curvatures.append(plan.curvature)
        return made(plan, *rest)

    monkeypatch.setattr(strategies, "strategy_for", strategy_for)
    X, y = drawn(4000, 200)
    limits = replace(LIMITS, warm_start_rows=1000, sample_rows=1000)
    (found,) = minimise(as_rows(X, y), 3, elastic_net(1e-3, ratio), limits=limits)
    assert found.converged
    assert curvatures
    assert set(curvatures) == {CurvatureModel.DIAGONAL}


def test_what_is_known_of_the_columns_is_not_looked_at() -> None:
    rows = as_rows(*drawn(900, 200, 2.0))
    assert not facts_of(rows, 3, l2(1e-3)).uncorrelated
    assert facts_of(rows, 3, l2(1e-3), uncorrelated=True).uncorrelated
