"""Products with the exact Hessian are those of the matrix, and each preconditioner solves systems in few products."""

from __future__ import annotations

import numpy as np
import pytest

from softreg.optimize import l2, minimise
from softreg.optimize.curvature.class_hessian import ClassHessian, ClassPreconditioner, Kind
from softreg.optimize.solvers.newton import conjugate_gradients
from softreg.rows import as_rows
from softreg.typing import Array

RIDGE = 1e-2


def problem(n: int = 150, k: int = 6, q: int = 4, scale: float = 1.0) -> tuple[ClassHessian, Array]:
    """Return the Hessian of a model as products, and as a matrix (q k, q k) in float64."""
    random = np.random.default_rng(0)
    Z = random.normal(size=(n, k)).astype(np.float32)
    Z[:, -1] = 1.0
    o = scale * random.normal(size=(q, n))
    P = np.exp(o - o.max(axis=0))
    P /= P.sum(axis=0)
    v = random.uniform(0.5, 2.0, n)
    v /= v.sum()
    ridge = np.append(np.full(k - 1, RIDGE), 0.0)
    bend = np.einsum("an,ab->nab", P, np.eye(q)) - np.einsum("an,bn->nab", P, P)
    H = np.einsum("n,nab,ni,nj->aibj", v, bend, Z.astype(float), Z.astype(float)).reshape(q * k, -1)
    H += np.diag(np.tile(ridge, q))
    return ClassHessian.of(Z, P.astype(np.float32), v.astype(np.float32), ridge[None]), H


@pytest.mark.parametrize("q", [2, 4])
def test_products_are_those_of_the_matrix(q: int) -> None:
    hessian, H = problem(q=q)
    D = np.random.default_rng(1).normal(size=(q, 6))
    assert np.allclose(hessian.times(D).ravel(), H @ D.ravel(), rtol=1e-5, atol=1e-6)


def test_products_keep_their_digits_where_probabilities_are_near_one() -> None:
    """Without the shift of the logits, rounding in float32 would be as large as these products are."""
    hessian, _ = problem(scale=1.0)
    P = np.full_like(hessian.P, 1e-7)
    P[1] = 1.0
    near = ClassHessian.of(hessian.Z, P, hessian.v, np.zeros((1, 6)))
    D = np.random.default_rng(1).normal(size=(4, 6))
    U = D.astype(np.float32).astype(float) @ hessian.Z.T
    R = 1e-7 * (U - U[1])
    R[1] = -R[[0, 2, 3]].sum(axis=0)
    expected = (R * hessian.v) @ hessian.Z
    assert np.allclose(near.times(D), expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("kind", list(Kind))
def test_systems_are_solved_with_every_preconditioner(kind: Kind) -> None:
    hessian, H = problem()
    right = np.random.default_rng(2).normal(size=(4, 6))
    right -= right.mean(axis=0)
    D, products = conjugate_gradients(hessian, hessian.preconditioner(kind), right, 1e-5, 0.0)
    assert 0 < products < 40
    assert np.allclose(H @ D.ravel(), right.ravel(), atol=1e-3)


def test_zero_needs_no_product() -> None:
    hessian, _ = problem()
    D, products = conjugate_gradients(hessian, hessian.preconditioner(Kind.DIAGONAL), np.zeros((4, 6)), 0.1, 0.25)
    assert products == 0
    assert not D.any()


def test_dearer_preconditioners_wait_until_products_have_cost_as_much() -> None:
    hessian, _ = problem(n=300, k=200, q=3)
    assert hessian.cost(Kind.DIAGONAL) < hessian.cost(Kind.COMMON) < hessian.cost(Kind.CLASSES)
    chosen = ClassPreconditioner()
    chosen.at(hessian)
    first = chosen.kind
    chosen.count(10 * int(hessian.cost(Kind.CLASSES) + 1))
    chosen.at(hessian)
    assert first < chosen.kind is Kind.CLASSES


def test_columns_in_units_of_their_own_with_few_rows_take_few_steps() -> None:
    """Nearly as many columns as rows: L-BFGS takes hundreds of iterations."""
    random = np.random.default_rng(3)
    n, d, q = 200, 180, 8
    common = random.normal(size=(n, 5)) @ random.normal(size=(5, d))
    X = (common + 0.4 * random.normal(size=(n, d))) * 10 ** random.uniform(-1.5, 1.5, d)
    y = random.integers(0, q, n)
    y[:q] = np.arange(q)
    penalty = l2(1e-4)
    (fit,) = minimise(as_rows(X, y), q, penalty, tol=1e-7)
    (other,) = minimise(as_rows(X, y), q, penalty, tol=1e-7, solver="lbfgs-sampled", max_iter=5000)
    assert fit.plan is not None
    assert fit.plan.name == "truncated-newton"
    assert fit.converged
    assert fit.n_iter <= 40
    assert fit.value == pytest.approx(other.value, abs=2e-7)


def test_several_strengths_at_once_and_offsets() -> None:
    random = np.random.default_rng(4)
    X, y = random.normal(size=(120, 90)), random.integers(0, 5, 120)
    rows = as_rows(X, y, offset=random.normal(size=(120, 5)))
    strengths = [1e-1, 1e-2, 1e-4]
    fits = minimise(rows, 5, l2(strengths), tol=1e-8, solver="truncated-newton")
    for strength, fit in zip(strengths, fits, strict=True):
        (alone,) = minimise(rows, 5, l2(strength), tol=1e-8, solver="lbfgs-sampled", max_iter=5000)
        assert fit.gap <= 1e-8
        assert fit.value == pytest.approx(alone.value, abs=2e-8)
