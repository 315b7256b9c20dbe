"""Fits that are confined to a support: the optimum of an independent solver, conditions by hand, proofs that hold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax

from softreg.optimize import ElasticNet, Solution, elastic_net, minimise
from softreg.optimize.plan import choose, facts_of
from softreg.optimize.problem.relaxed_penalty import relaxed_net
from softreg.rows import as_rows
from softreg.rows.kernels import products as kernels

Array = NDArray[Any]


def confined(X: Array, Y: Array, S: Array, l1: float, l2: float, v: Array | None = None, bias: bool = True) -> float:
    """The least objective over weights on S (d, q): positive and negative parts of the free ones, by L-BFGS-B."""
    (n, d), (q, k) = X.shape, (Y.shape[1], int(S.sum()))
    share = np.full(n, 1 / n) if v is None else v / v.sum()

    def loss(flat: Array) -> tuple[float, Array]:
        up, down, b = flat[:k], flat[k : 2 * k], flat[2 * k :]
        W = np.zeros((d, q))
        W[S] = up - down
        o = X @ W + b
        mass = logsumexp(o, axis=1)
        R = share[:, None] * (np.exp(o - mass[:, None]) - Y)
        G = (X.T @ R + l2 * W)[S]
        F = share @ (mass - (Y * o).sum(axis=1)) + l2 / 2 * (W**2).sum() + l1 * (up + down).sum()
        return float(F), np.r_[G + l1, l1 - G, R.sum(axis=0)]

    bounds = [(0, None)] * (2 * k) + [(None, None) if bias else (0, 0)] * q
    options = {"maxiter": 20_000, "maxfun": 50_000, "ftol": 1e-16, "gtol": 1e-11}
    return float(minimize(loss, np.zeros(2 * k + q), jac=True, bounds=bounds, options=options).fun)


def data(q: int, d: int = 12, n: int = 200) -> tuple[Array, Array, Array]:
    """Features, codes, and a support (d, q) that cuts through the columns."""
    random = np.random.default_rng(q)
    X = random.normal(size=(n, d)) * random.uniform(0.1, 5, d) + random.normal(size=d)
    codes = (X[:, :q] * 1.5 / X[:, :q].std(axis=0) + random.gumbel(size=(n, q))).argmax(axis=1)
    S = random.random((d, q)) < 0.5
    S[0] = True  # softmax does not see what all classes share here, though they are confined elsewhere
    return X, codes, S


def fit(X: Any, y: Array, S: Array, l1: float, l2: float, v: Array | None = None, **more: Any) -> Solution:
    penalty = ElasticNet(np.array([l1]), np.array([l2]), S.T[None].copy())
    rows = as_rows(X, y, None if v is None else v[None])
    return minimise(rows, S.shape[1], penalty, **{"tol": 1e-10, **more})[0]


@pytest.mark.parametrize("q", [2, 4])
@pytest.mark.parametrize(("l1", "l2"), [(0.0, 1e-2), (1e-3, 1e-2), (1e-2, 0.0), (2e-2, 1e-4)])
@pytest.mark.parametrize("kind", ["hard", "soft", "weighted", "sparse", "unbiased"])
def test_the_optimum_on_a_support(q: int, l1: float, l2: float, kind: str) -> None:
    X, codes, S = data(q)
    random = np.random.default_rng(1)
    Y = (
        softmax(random.normal(size=(200, q)), axis=1) * 0.3 + 0.7 * np.eye(q)[codes]
        if kind == "soft"
        else np.eye(q)[codes]
    )
    v = random.uniform(0, 3, 200) if kind == "weighted" else None
    given = sp.csr_array(X) if kind == "sparse" else X
    found = fit(given, Y if kind == "soft" else codes, S, l1, l2, v, fit_intercept=kind != "unbiased")
    assert found.certified
    assert found.gap <= 1e-10
    assert (found.W[~S] == 0).all()
    assert found.value == pytest.approx(confined(X, Y, S, l1, l2, v, kind != "unbiased"), abs=1e-8)


@pytest.mark.parametrize("l1", [0.0, 5e-3])
def test_no_free_weight_is_pulled_and_those_held_may_be(l1: float) -> None:
    X, codes, S = data(3)
    found = fit(X, codes, S, l1, 1e-2)
    R = (softmax(X @ found.W + found.b, axis=1) - np.eye(3)[codes]) / 200
    G = X.T @ R + 1e-2 * found.W
    live = found.W != 0
    np.testing.assert_allclose((G + l1 * np.sign(found.W))[live], 0, atol=1e-5)
    assert (np.abs(G[S & ~live]) <= l1 + 1e-5).all()
    assert np.abs(G[~S]).max() > 0.05  # the data would rather have these
    np.testing.assert_allclose(R.sum(axis=0), 0, atol=1e-9)


def test_everything_free_is_the_elastic_net_and_nothing_free_the_class_rates() -> None:
    X, codes, S = data(3)
    (net,) = minimise(as_rows(X, codes), 3, elastic_net(1e-2, 0.5), tol=1e-11)
    np.testing.assert_allclose(fit(X, codes, np.ones_like(S), 5e-3, 5e-3, tol=1e-11).W, net.W, atol=1e-4)
    (ridge,) = minimise(as_rows(X, codes), 3, elastic_net(1e-2, 0.0), tol=1e-12)
    np.testing.assert_allclose(fit(X, codes, np.ones_like(S), 0.0, 1e-2, tol=1e-12).W, ridge.W, atol=1e-4)
    none = fit(X, codes, np.zeros_like(S), 0.0, 1e-2)
    np.testing.assert_allclose(softmax(none.b), np.bincount(codes) / 200, atol=1e-9)
    assert none.gap <= 1e-10


def test_members_of_a_stack_have_supports_of_their_own() -> None:
    X, codes, S = data(3)
    supports = np.stack([S.T, ~S.T, np.ones_like(S.T)])
    penalty = ElasticNet(np.array([0.0, 1e-2, 1e-3]), np.array([1e-2, 1e-3, 0.0]), supports)
    start = np.ones((3, 12, 3)), np.zeros((3, 3))  # off the support too: what no weight may be is left out
    together = minimise(as_rows(X, codes), 3, penalty, tol=1e-10, start=start)
    for j, found in enumerate(together):
        assert (found.W.T[~supports[j]] == 0).all()
        alone = confined(X, np.eye(3)[codes], supports[j].T, float(penalty.l1[j]), float(penalty.l2[j]))
        assert found.value == pytest.approx(alone, abs=1e-8)


@pytest.mark.parametrize(("l1", "l2"), [(0.0, 1e-2), (1e-2, 0.0), (5e-3, 1e-3)])
def test_a_gap_of_a_fit_that_stopped_early_is_no_lie(l1: float, l2: float) -> None:
    X, codes, S = data(4)
    least = confined(X, np.eye(4)[codes], S, l1, l2)
    for steps in (1, 3, 6):
        found = fit(X, codes, S, l1, l2, max_iter=steps)
        assert 0 <= found.value - least + 1e-9 <= found.gap + 2e-9


@pytest.mark.parametrize("make", [np.asarray, sp.csr_array])
def test_columns_by_the_thousand(make: Any) -> None:
    # more columns than a factor of the curvature is made for, and more than rows
    random = np.random.default_rng(0)
    X = random.normal(size=(60, 5000)) * (random.random((60, 5000)) < 0.1)
    codes = random.integers(0, 3, 60)
    S = np.zeros((5000, 3), dtype=bool)
    S[:40, :2] = True
    found = fit(make(X), codes, S, 0.0, 1e-2)
    assert found.gap <= 1e-10
    assert (found.W[~S] == 0).all()
    assert found.value == pytest.approx(confined(X[:, :40], np.eye(3)[codes], S[:40], 0.0, 1e-2), abs=1e-8)


def test_screening_keeps_to_the_support() -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(400, 300))
    codes = (X[:, :3] * 2 + random.gumbel(size=(400, 3))).argmax(axis=1)
    S = np.zeros((300, 3), dtype=bool)
    S[:40, :2] = True
    found = fit(X, codes, S, 0.01, 0.0, tol=1e-8)
    assert found.gap <= 1e-8
    assert (found.W[~S] == 0).all()
    assert found.value == pytest.approx(confined(X[:, :40], np.eye(3)[codes], S[:40], 0.01, 0.0), abs=1e-8)


def test_sparse_rows_that_would_climb_their_dual() -> None:
    if kernels._module is None:
        pytest.skip("no compiled kernels here")
    random = np.random.default_rng(0)
    X = random.random((500, 1500)) * (random.random((500, 1500)) < 0.01)
    codes = random.integers(0, 3, 500)
    rows = as_rows(sp.csr_array(X), codes)
    S = np.zeros((1500, 3), dtype=bool)
    S[:200, :2] = True
    ridge = elastic_net(1e-3, 0.0)
    for penalty, climbs in ((ridge, True), (replace(ridge, support=S.T[None]), False)):
        assert (choose(facts_of(rows, 3, penalty)).name == "dual-ascent") == climbs
    found = fit(sp.csr_array(X), codes, S, 0.0, 1e-3, tol=1e-6)
    assert (found.W[~S] == 0).all()
    assert found.value == pytest.approx(confined(X[:, :200], np.eye(3)[codes], S[:200], 0.0, 1e-3), abs=1e-6)


def test_the_penalty_by_hand() -> None:
    W = np.array([[[2.0, 0.0], [-1.0, 3.0]]])  # (m, d, q)
    penalty = relaxed_net(2.0, 0.25, 0.5, W)
    assert penalty.l1[0] == 0.25
    assert penalty.l2[0] == 1.5
    assert not penalty.is_smooth
    A = np.array([[[9.0, 1.0], [9.0, 1.0]]])  # of class 0 and column 0: 9; class 1 and column 0 is held
    free = np.array([[[0.0, 0.0], [0.0, 0.0]]])
    by_hand = ((9 - 0.25) ** 2 + (1 - 0.25) ** 2 + (1 - 0.25) ** 2) / 3
    assert penalty.fenchel_gap(A, free)[0] == pytest.approx(by_hand)
    lasso = ElasticNet(np.array([0.5]), np.array([0.0]), penalty.support)
    assert lasso.feasible_share(np.array([[[0.25, 1.0], [9.0, 0.5]]]))[0] == 0.5  # the 9 is that of a weight held at 0
    # all classes are free in column 1 alone, so only there can they give away what they share
    np.testing.assert_array_equal(lasso.common_shift(np.array([[[3.0, 2.0], [0.0, 2.0]]])), [[[0.0, 2.0]]])
