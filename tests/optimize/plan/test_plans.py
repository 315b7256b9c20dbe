"""Every plan on every problem that it can solve reaches the same optimum; the others are refused with a reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from softreg.optimize import minimise
from softreg.optimize.plan import RULES
from softreg.optimize.problem.group_penalty import group_penalty
from softreg.optimize.problem.penalty_table import elastic_net
from softreg.rows import as_rows
from softreg.rows.kernels import products as kernels
from softreg.typing import Array

from ..group_reference import least_objective

SMOOTH = {"one-pass-newton", "line-search-newton", "lbfgs-clusters", "lbfgs-diagonal", "lbfgs-sampled"}
PRODUCTS = {"truncated-newton"}
STREAMED = {"streamed-lbfgs", "streamed-newton"}
DUAL = {"dual-ascent", "wide-dual-ascent"}
ROUNDED = {"streamed-lbfgs": 1e-6, "streamed-newton": 1e-6, "wide-dual-ascent": 1e-6}
"""Tolerances of methods with sums in float32 or rounded dual probabilities."""
KINKED = {"working-set", "proximal-newton", "orthant-diagonal", "orthant-sampled"}
GROUP = {"working-set", "group-proximal"}
PLANS = [rule.name for rule in RULES]


@dataclass(frozen=True)
class Case:
    """A problem: its shape, how its rows are stored, its penalty, and the plans that can solve it."""

    plans: set[str]
    n: int = 200
    d: int = 5
    q: int = 3
    store: Callable[[Array], Any] = np.asarray
    l1: float = 0.0
    group: float = 0.0
    l2: float = 1e-2
    soft: bool = False
    weighted: bool = False
    fit_intercept: bool = True


CASES = {
    "dense": Case(SMOOTH | PRODUCTS | STREAMED),
    "sparse": Case(SMOOTH | DUAL, d=30, store=sp.csr_array),
    "wide": Case(SMOOTH | PRODUCTS | STREAMED | {"row-space"}, n=40, d=70),
    "wide sparse": Case(SMOOTH | DUAL | {"row-space"}, n=40, d=70, store=sp.csr_array),
    "tall": Case(SMOOTH | PRODUCTS | STREAMED | {"nested-newton"}, n=10_000, d=3),
    "many classes": Case(SMOOTH | PRODUCTS | STREAMED, n=600, d=4, q=35),
    "two classes": Case(SMOOTH | PRODUCTS | STREAMED, q=2),
    "float32": Case(SMOOTH | PRODUCTS | STREAMED, store=np.float32),
    "weights": Case(SMOOTH | PRODUCTS | STREAMED, weighted=True),
    "soft labels": Case(SMOOTH | PRODUCTS, soft=True),
    "no intercept": Case(SMOOTH | PRODUCTS | STREAMED, fit_intercept=False),
    "no penalty": Case(SMOOTH - {"one-pass-newton"}, l2=0.0),
    "l1": Case(KINKED, d=20, l1=0.02, l2=0.0),
    "l1, sparse": Case(KINKED, d=20, l1=0.02, l2=0.0, store=sp.csr_array),
    "elastic net": Case(KINKED, d=20, l1=0.01),
    "group": Case(GROUP, d=20, group=0.03, l2=0.0),
    "group, sparse": Case(GROUP, d=20, group=0.03, store=sp.csr_array),
    "elastic net, float32": Case(KINKED, d=20, l1=0.01, store=np.float32),
}


@cache
def data(name: str) -> tuple[Array, Array, Array | None]:
    """Return features, labels and row weights of a case."""
    case, random = CASES[name], np.random.default_rng(5)
    X = random.normal(size=(case.n, case.d))
    if case.store is sp.csr_array:
        X *= random.random(X.shape) < 0.3
    logits = X @ random.normal(size=(case.d, case.q)) + random.gumbel(size=(case.n, case.q))
    y = logits.argmax(axis=1)
    y[: case.q] = np.arange(case.q)
    labels = 0.8 * np.eye(case.q)[y] + 0.2 / case.q if case.soft else y
    return X.astype(np.float32).astype(float), labels, random.uniform(0.5, 2, case.n) if case.weighted else None


@pytest.fixture(scope="module")
def optimum(exact: Callable[..., Any], lasso: Callable[..., float]) -> Callable[[str], float]:
    """Return the least value of a case, computed from the formulas by SciPy and NumPy."""

    @cache
    def solve(name: str) -> float:
        case, (X, labels, weights) = CASES[name], data(name)
        if case.group > 0:
            return least_objective(X, np.eye(case.q)[labels], case.group, case.l2)
        if case.l1 > 0:
            return lasso(X, labels, case.q, case.l1, case.l2)
        return float(exact(X, labels, case.q, case.l2, weights, case.fit_intercept)[2])

    return solve


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("plan", PLANS)
def test_every_plan_on_every_problem(plan: str, name: str, optimum: Callable[[str], float]) -> None:
    case, (X, labels, weights) = CASES[name], data(name)
    rows = as_rows(case.store(X), labels, None if weights is None else weights[None])
    strength, make = case.l1 + case.group + case.l2, group_penalty if case.group else elastic_net
    penalty = make(strength, (case.l1 + case.group) / strength if strength else 0.0)
    solves = plan in case.plans
    if plan in DUAL and not kernels.kernels_in_use().compiled:
        solves = False
    if not solves:
        with pytest.raises(ValueError, match=f"solver='{plan}' cannot minimise .* it needs .* These can:"):
            minimise(rows, case.q, penalty, solver=plan, fit_intercept=case.fit_intercept)
        return
    tol = ROUNDED.get(plan, 1e-7)
    (fit,) = minimise(rows, case.q, penalty, solver=plan, fit_intercept=case.fit_intercept, tol=tol)
    assert fit.plan is not None
    assert fit.plan.name == plan
    assert fit.converged
    assert fit.gap <= tol
    assert fit.value == pytest.approx(optimum(name), abs=2 * tol if case.store is not np.float32 else 1e-6 + tol)


def test_the_error_names_the_families_that_can() -> None:
    rows, penalty = as_rows(np.eye(4), np.array([0, 1, 0, 1])), elastic_net(0.1, 1.0)
    with pytest.raises(ValueError, match=r"it needs a differentiable penalty .* These can: auto, lbfgs, working-set, "):
        minimise(rows, 2, penalty, solver="newton")
