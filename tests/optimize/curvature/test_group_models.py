"""Quadratic models of groups of columns: products, block steps and Newton steps against dense algebra."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softreg.optimize.curvature.group_models import ExactModel, GroupModel, ProductModel, WorkingGroups
from softreg.optimize.curvature.hessian_products import HessianProducts
from softreg.optimize.problem.column_groups import ColumnGroups, block_minimum
from softreg.optimize.solvers.group_proximal import minimise_model
from softreg.typing import Float64Array

GROUPS = WorkingGroups(np.array([0, 1, 1, 2]), np.array([0.02, 0.03, 0.03, 0.0]), np.array([1.0, 1.0, 2.5, 1.0]))


def products(seed: int = 0) -> tuple[HessianProducts, Float64Array]:
    """Return products of random rows, and the same Hessian (q, k, q, k)."""
    random = np.random.default_rng(seed)
    Z, P = random.normal(size=(4, 60)).astype(np.float32), random.dirichlet(np.ones(3), 60).T.astype(np.float32)
    v = random.uniform(0.5, 1, 60)
    v, ridge = (v / v.sum()).astype(np.float32), np.array([0.1, 0.2, 0.3, 0.0])
    J = P.T[:, :, None] * np.eye(3) - P.T[:, :, None] * P.T[:, None]
    H = np.einsum("i,iab,ki,li->akbl", v, J, Z, Z).astype(float)
    return HessianProducts(Z, P, v, ridge), H + np.einsum("ab,kl->akbl", np.eye(3), np.diag(ridge))


def value(H: Float64Array, G: Float64Array, move: Float64Array, U: Float64Array) -> float:
    """Return model plus penalty after a move."""
    W = (U + move) / GROUPS.stretch
    norms = [np.linalg.norm(W[:, c]) * GROUPS.radius[c[0]] for c in GROUPS.columns]
    return float((G * move).sum() + np.einsum("ak,akbl,bl", move, H, move) / 2 + sum(norms))


def test_products_are_those_of_the_matrix() -> None:
    model, H = products()
    D = np.random.default_rng(1).normal(size=(3, 4))
    np.testing.assert_allclose(model.times(D), np.einsum("akbl,bl->ak", H, D), atol=1e-6)
    kronecker = model.kronecker()
    whole = np.einsum("ac,c,bc,kl->akbl", kronecker.basis, kronecker.values, kronecker.basis, kronecker.gram)
    ridge = np.einsum("ab,kl->akbl", np.eye(3), np.diag(model.ridge))
    assert np.abs(whole + ridge - H).max() < 0.3 * np.abs(H).max()


@settings(deadline=None, max_examples=100)
@given(st.lists(st.floats(-4, 4), min_size=4, max_size=4), st.sampled_from([0.1, 1.0, 3.0]), st.floats(0, 100))
def test_a_block_minimum_is_the_least_value(c: list[float], radius: float, guess: float) -> None:
    a, h = np.round(np.array(c), 3), np.array([0.5, 1.0, 2.0, 1e-3])
    best = block_minimum(a, h, radius, guess)

    def cost(y: Float64Array) -> float:
        return float(0.5 * h @ y**2 - a @ y + radius * np.sqrt(y @ y))

    random = np.random.default_rng(0)
    others = [0 * best, a, *(best + 1e-2 * random.normal(size=(30, 4)))]
    assert all(cost(best) <= cost(y) + 1e-9 * (1 + abs(cost(best))) for y in others)


@pytest.mark.parametrize("kind", ["matrix", "products"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_each_sweep_and_the_whole_lower_the_model(kind: str, seed: int) -> None:
    random = np.random.default_rng(seed)
    times, H = products(seed)
    model: GroupModel = ExactModel.of(H.reshape(12, 12), 3, GROUPS)
    if kind == "products":
        model = ProductModel.of(times, GROUPS)
    G, U = random.normal(size=(3, 4)) / 10, random.normal(size=(3, 4)) / 10
    G, U = G - G.mean(axis=0), U - U.mean(axis=0)
    V, gradient, before = U.copy(), G.copy(), value(H, G, 0 * U, U)
    for _ in range(5):
        model.sweep(V, gradient)
        after = value(H, G, V - U, U)
        assert after <= before + 1e-9
        before = after
        np.testing.assert_allclose(gradient, G + np.einsum("akbl,bl->ak", H, V - U), atol=1e-5)
    exact = minimise_model(ExactModel.of(H.reshape(12, 12), 3, GROUPS), U, G)
    assert value(H, G, minimise_model(model, U, G), U) <= value(H, G, exact, U) + 1e-4


def test_groups_of_columns() -> None:
    groups = ColumnGroups.of(np.array([7, 3, 7]))
    assert groups is not None
    assert groups.whole(np.array([[True, False, False]])).tolist() == [[True, False, True]]
    assert groups.keep_columns(np.array([2])).size.tolist() == [2.0]
    assert GROUPS.columns[1].tolist() == [1, 2]
    V, move = np.ones((3, 4)), np.full((3, 4), 1e-12)
    assert GROUPS.change(V, move) == pytest.approx(1e-12 * np.sqrt(3) * (0.02 + 0.03 * np.sqrt(1 + 0.16)), rel=1e-6)
