"""Many classes: an objective without kept logits, clusters as curvature, class means as a start, their certificates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from softreg.optimize import l2, minimise
from softreg.optimize.certificate import duality as certificate
from softreg.optimize.curvature.class_clusters import SCATTER_RIDGE, ClassClusterCurvature
from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.objective.recomputed_logits import RecomputedObjective
from softreg.optimize.plan.strategies import objective_for
from softreg.optimize.problem.limits import LIMITS, Limits
from softreg.optimize.problem.standardization import standardise
from softreg.optimize.solvers.class_mean_start import from_class_means
from softreg.rows import as_rows
from softreg.rows.memory import host_logits as host

Array = NDArray[Any]
Exact = Callable[..., tuple[Array, Array, float]]
Value = Callable[..., float]
N, D, Q = 240, 4, 5


def rows_and_labels(seed: int = 0, soft: bool = False) -> tuple[Array, Array]:
    """Clouds about a centre for each class that overlap, in columns of different size and origin."""
    random = np.random.default_rng(seed)
    y = np.concatenate([np.arange(Q), random.choice(Q, N - Q, p=[0.4, 0.3, 0.1, 0.1, 0.1])])
    X = (random.normal(size=(Q, D))[y] + random.normal(size=(N, D))) * [1.0, 3.0, 0.2, 1.0] + [0.0, 4.0, 0.1, 0.0]
    X[:, 3] *= random.random(N) < 0.7
    return X, 0.8 * np.eye(Q)[y] + 0.2 * random.dirichlet(np.ones(Q), N) if soft else y


def pair(
    kind: str = "dense", soft: bool = False, weighted: bool = False, fit_intercept: bool = True
) -> tuple[Objective, RecomputedObjective]:
    """The same objective, of a stack of two models, with kept logits and without."""
    X, labels = rows_and_labels(soft=soft)
    V = np.random.default_rng(1).uniform(0, 2, (2, N)) if weighted else None
    home = {"dense": X, "sparse": sp.csr_array(X)}[kind]
    rows, coordinates = standardise(as_rows(home, labels, V), centred=fit_intercept)
    arguments = (Q, l2(np.array([0.1, 0.01])), coordinates, fit_intercept)
    return Objective(rows, *arguments), RecomputedObjective(rows.labelled(rows.labels, rows.weights), *arguments)  # type: ignore[attr-defined]


def somewhere(seed: int = 3) -> Array:
    return np.random.default_rng(seed).normal(size=(2, Q, D + 1))


CLUSTERS = replace(LIMITS, cluster_classes=2)
"""Limits with which a few classes are fitted as many are."""
RECOMPUTED = replace(CLUSTERS, kept_logits_bytes=-1)
"""The same, without kept logits."""


@pytest.fixture
def short_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of some rows."""
    monkeypatch.setattr(host, "RUN_BYTES", 1)


@pytest.fixture(params=[RECOMPUTED, CLUSTERS], ids=["recomputed", "kept"])
def limits(request: pytest.FixtureRequest, short_runs: None) -> Limits:
    found: Limits = request.param
    return found


# --- the objective ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("soft", [True, False])
@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_without_kept_logits_all_is_the_same(
    kind: str, soft: bool, weighted: bool, fit_intercept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "RUN_BYTES", 1)  # runs of 64 rows: 240 are no multiple
    kept, without = pair(kind, soft, weighted, fit_intercept)
    start, there, t = somewhere(), somewhere(4), np.array([0.3, 1.7])

    def same(one: Any, other: Any) -> None:
        for a, b in zip(one, other, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)

    same(kept.evaluate(start), without.evaluate(start))
    same(kept.try_step(there), without.try_step(there))
    for objective in (kept, without):
        objective.reject()
    same(kept.eval_along(t), without.eval_along(t))
    for objective in (kept, without):
        objective.take_step(t)
    same(kept.gradient(), without.gradient())
    for block, other in zip(kept.rows.blocks, without.rows.blocks, strict=True):  # type: ignore[attr-defined]
        np.testing.assert_allclose(kept.state.logits(block), without.state.logits(other), rtol=1e-10)
        for name in ("p_label", "class_mass", "class_variance"):
            np.testing.assert_allclose(
                getattr(kept.state.confidence(block), name), getattr(without.state.confidence(other), name), rtol=1e-9
            )
    same(kept.try_step(there), without.try_step(there))
    for objective in (kept, without):
        objective.accept()
        objective.shift_bias(np.ones((2, Q)) * np.arange(Q))
    same(kept.gradient(), without.gradient())
    for objective in (kept, without):
        objective.drop_members(np.array([False, True]))
    same(kept.gradient(), without.gradient())


def test_large_logits_are_not_kept() -> None:
    X, y = rows_and_labels()
    rows, coordinates = standardise(as_rows(X, y), centred=True)

    def kind(strength: float, q: int = Q) -> type:
        return type(objective_for(rows, q, l2(strength), coordinates, limits=limits))

    limits = LIMITS
    assert kind(1.0) is Objective  # in a corner of the memory
    limits = replace(LIMITS, kept_logits_bytes=0)
    assert kind(1.0) is RecomputedObjective
    assert kind(0.0) is Objective  # separation is looked for in kept logits
    assert kind(1.0, 2) is Objective  # two copies of two logits are no more than four columns


# --- the optimum --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("soft", [True, False])
@pytest.mark.parametrize("home", [np.asarray, sp.csr_array])
def test_the_same_optimum(
    home: Any, soft: bool, fit_intercept: bool, limits: Limits, exact: Exact, objective_value: Value
) -> None:
    X, labels = rows_and_labels(soft=soft)
    options: dict[str, Any] = {"solver": "lbfgs", "tol": 1e-10, "limits": limits}
    (fit,) = minimise(as_rows(home(X), labels), Q, l2(1e-3), fit_intercept=fit_intercept, **options)
    W, _, least = exact(X, labels, Q, 1e-3, fit_intercept=fit_intercept)
    assert fit.converged
    assert fit.bound == "duality"
    assert objective_value(X, labels, fit.W, fit.b, 1e-3) == pytest.approx(least, abs=1e-9)
    assert fit.value == pytest.approx(least, abs=1e-9)
    np.testing.assert_allclose(fit.W, W - W.mean(axis=1, keepdims=True), atol=2e-3)


def test_a_stack_with_weights(limits: Limits, exact: Exact) -> None:
    X, y = rows_and_labels()
    V = np.random.default_rng(0).uniform(0, 2, (2, N))
    strengths = np.array([1e-2, 1e-4])
    fits = minimise(as_rows(X, y, V), Q, l2(strengths), solver="lbfgs", tol=1e-9, limits=limits)
    for fit, v, strength in zip(fits, V, strengths, strict=True):
        assert fit.converged
        assert fit.value == pytest.approx(exact(X, y, Q, strength, v)[2], abs=1e-8)


def test_single_precision_and_a_class_without_rows(limits: Limits, exact: Exact, objective_value: Value) -> None:
    X, y = rows_and_labels()
    options: dict[str, Any] = {"solver": "lbfgs", "limits": limits}
    (fit,) = minimise(as_rows(X.astype(np.float32), y), Q, l2(1e-3), tol=1e-6, **options)
    assert fit.converged
    least = exact(X.astype(np.float32), y, Q, 1e-3)[2]
    assert 0 <= fit.value - least + 1e-7 <= 1.2e-6
    (fit,) = minimise(as_rows(X.astype(np.float32), y), Q, l2(1e-3), tol=1e-10, **options)
    assert fit.converged
    assert objective_value(X.astype(np.float32), y, fit.W, fit.b, 1e-3) <= least + 1e-10
    (fit,) = minimise(as_rows(X, y), Q + 1, l2(1e-3), tol=1e-6, max_iter=60, **options)
    assert fit.value == pytest.approx(exact(X, y, Q, 1e-3)[2], abs=1e-4)


@pytest.mark.usefixtures("short_runs")
def test_no_number_of_threads_changes_a_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(3000, 16)).astype(np.float32)
    y = (X[:, :8] + random.gumbel(size=(3000, 8))).argmax(axis=1)
    found = []
    for threads in ("1", "3"):
        monkeypatch.setenv("SOFTREG_NUM_THREADS", threads)
        found.append(minimise(as_rows(X, y), 8, l2(1e-3), solver="lbfgs", tol=1e-7, limits=RECOMPUTED)[0])
    assert np.array_equal(found[0].W, found[1].W)
    assert found[0].gap == found[1].gap


# --- the certificate ----------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), far=st.floats(-8, 0), unbalanced=st.floats(-12, 0), soft=st.booleans())
def test_certified_gaps_are_true(seed: int, far: float, unbalanced: float, soft: bool) -> None:
    """Near and far from the optimum, with a bias more or less out of balance."""
    X, labels = rows_and_labels(seed % 7, soft)
    rows, coordinates = standardise(as_rows(X, labels), centred=True)
    objective = RecomputedObjective(rows, Q, l2(1e-2), coordinates)
    (best,) = minimise(as_rows(X, labels), Q, l2(1e-2), solver="newton", tol=1e-13)
    random = np.random.default_rng(seed)
    theta = coordinates.from_user(best.W.T[None], best.b[None])
    theta = theta + 10**far * random.normal(size=theta.shape)
    objective.evaluate(theta)
    balanced = certificate.balance(objective, theta)
    assert balanced.imbalance == 0
    theta = balanced.theta
    theta[..., -1] += 10**unbalanced * random.normal(size=Q)
    K, moved = objective.balanced_curvature or (np.zeros(0), np.zeros(0))
    objective.balanced_curvature = (K, moved + 10**unbalanced * 10)
    loss, G = objective.evaluate(theta)
    G = G + objective.ridge * theta
    A, W = certificate.loss_gradient(objective, theta, G)
    above = loss[0] + objective.penalty.value(W)[0] - best.value
    mixed = certificate._by_mixing(objective, theta, loss, G, A, W)[0]
    shifted = certificate._by_shifting(objective, G, A, W)[0]
    assert mixed >= above - 1e-13
    assert shifted >= above - 1e-13
    assert certificate.dual_gap(objective, theta, loss, G)[0] == min(mixed, shifted)
    if unbalanced < -9:  # little is added to what a balanced bias would prove
        pure = objective.penalty.fenchel_gap(A, W)[0]
        assert shifted <= 1.2 * pure + 1e-9


def test_a_bias_far_from_balance_is_brought_home() -> None:
    _, objective = pair(weighted=True)
    theta = somewhere()
    objective.evaluate(theta)
    assert np.abs(objective.evaluate(theta)[1][..., -1]).max() > 0.05
    gradient = certificate.balance(objective, theta).gradient
    assert np.abs(gradient[..., -1]).max() < 1e-4  # the last step was below 0.01, and most of it was right


def test_the_diagonal_balances_where_classes_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("softreg.optimize.objective.recomputed_logits.MAX_FULL_CLASSES", 2)
    _, objective = pair()
    objective.evaluate(somewhere())
    balanced = certificate.balance(objective, somewhere())
    assert objective.balanced_curvature is None
    assert np.abs(balanced.gradient[..., -1]).max() < 0.01
    gap = certificate.dual_gap(objective, balanced.theta, balanced.loss, balanced.gradient)
    assert np.isfinite(gap).all()


# --- curvature and start ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lean_one", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_clusters_invert_what_they_say(lean_one: bool, weighted: bool, fit_intercept: bool) -> None:
    """The inverse of `u S + sum of u_c [c; 1] [c; 1]^T + ridge`, written out class by class."""
    objective = pair(weighted=weighted, fit_intercept=fit_intercept)[lean_one]
    theta = somewhere()
    _, G = objective.evaluate(theta)
    G = G + objective.ridge * theta
    curvature = ClassClusterCurvature()
    preconditioner = curvature.preconditioner(objective, theta, G)
    clusters = curvature._clusters(objective, theta, G)
    u, parts, centres = clusters.variance, clusters.parts, clusters.centres
    Z = np.concatenate([block.standardised(*objective.coordinates.for_block()) for block in objective.rows.blocks])  # type: ignore[attr-defined]
    y = np.asarray(rows_and_labels()[1])
    V = np.ones((2, N)) if not weighted else np.random.default_rng(1).uniform(0, 2, (2, N))
    P = np.exp(np.einsum("mqd,nd->mnq", theta, np.hstack([Z, np.ones((N, 1))]) * np.r_[np.ones(D), 1.0]))
    P /= P.sum(axis=2, keepdims=True)
    w = V[:, :, None] * P * (1 - P) / V.sum(axis=1)[:, None, None]
    np.testing.assert_allclose(u, w.sum(axis=1), rtol=1e-9)
    own = np.eye(Q)[y]
    np.testing.assert_allclose(parts[0], (w * own).sum(axis=1), rtol=1e-9)
    near = np.einsum("mnq,nd->mqd", w * own, Z) / parts[0][..., None]
    np.testing.assert_allclose(centres[0], near, rtol=1e-7, atol=1e-9)
    others = V[:, :, None] * P * (1 - own)
    far = np.einsum("mnq,nd->mqd", others, Z) / others.sum(axis=1)[..., None]
    np.testing.assert_allclose(centres[1], far, rtol=1e-7, atol=1e-9)
    means = np.stack([Z[y == k].mean(axis=0) for k in range(Q)])
    S = (Z - means[y]).T @ (Z - means[y]) / N
    solved = preconditioner.solve(G)
    for j in range(2):
        for k in range(Q):
            H = np.zeros((D + 1, D + 1))
            H[:D, :D] = u[j, k] * S + np.diag(objective.ridge[j, 0, :D] + [1, 0.1][j] * 10 * SCATTER_RIDGE / Q)
            H[D, D] = 1e-3 * u[j, k]
            for mass, centre in zip(parts[:, j, k], centres[:, j, k], strict=True):
                c = np.r_[centre, float(fit_intercept)]
                H += mass * np.outer(c, c)
            np.testing.assert_allclose(H @ solved[j, k], G[j, k], rtol=1e-7, atol=1e-9)
    kept = preconditioner.keep(np.array([False, True])).solve(G[1:])
    np.testing.assert_array_equal(kept, solved[1:])


@pytest.mark.parametrize("soft", [True, False])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_the_start_is_better_than_none(soft: bool, fit_intercept: bool) -> None:
    objective, _ = pair(soft=soft, weighted=True, fit_intercept=fit_intercept)
    start = from_class_means(objective, objective.rows.sample(N, 0))
    zero = np.zeros_like(start)
    if fit_intercept:
        zero[..., -1] = np.log(objective.moments.rates)
    values = [objective.evaluate(at)[0] + objective.penalty.value(objective.user(at)[0]) for at in (start, zero)]
    assert (values[0] < 0.9 * values[1]).all()


def test_class_moments_are_means() -> None:
    X, Y = rows_and_labels(soft=True)
    objective, _ = pair(soft=True, weighted=True)
    V = np.random.default_rng(1).uniform(0, 2, (2, N))
    V /= V.sum(axis=1, keepdims=True)
    Z = (X - objective.coordinates.shift) / objective.coordinates.scale
    np.testing.assert_allclose(objective.moments.rates, V @ Y, rtol=1e-12)
    np.testing.assert_allclose(objective.moments.sums, np.einsum("mn,nq,nd->mqd", V, Y, Z), atol=1e-12)
    np.testing.assert_allclose(objective.scatter.total, Z.T @ Z / N, atol=1e-10)


def test_few_passes_for_clouds_about_many_centres() -> None:
    """What this way is for: 40 classes in 30 columns, where one common factor took three times as many passes."""
    random = np.random.default_rng(0)
    y = np.concatenate([np.arange(40), random.integers(40, size=1960)])
    X = 0.5 * random.normal(size=(40, 30))[y] + random.normal(size=(2000, 30))
    (fit,) = minimise(as_rows(X.astype(np.float32), y), 40, l2(1e-3))
    assert fit.converged
    assert fit.passes <= 14


def test_a_sample_serves_for_the_scatter_of_few_classes_in_many_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    y = random.integers(2, size=4000)
    X = random.normal(size=(2, 12))[y] + random.normal(size=(4000, 12)) @ random.normal(size=(12, 12))
    rows, coordinates = standardise(as_rows(X, y), centred=True)
    objective, other = (RecomputedObjective(rows, 2, l2(0.1), coordinates) for _ in range(2))
    assert not objective.scatter.whole
    monkeypatch.setattr("softreg.optimize.objective.class_moments.SCATTER_PASSES", 1e9)
    assert other.scatter.whole
    np.testing.assert_allclose(objective.scatter.within, other.scatter.within, atol=0.3)
    assert objective.variance_bound[0] >= other.variance_bound[0] >= np.linalg.eigvalsh(np.cov(X.T))[-1] * 0.99


@pytest.mark.parametrize("strength", [0.0, 1e-3])
def test_fit_without_a_penalty_or_with_more_columns_than_pay(strength: float, exact: Exact) -> None:
    """Neither lean nor clusters, or clusters without a ridge: the same optimum."""
    random = np.random.default_rng(0)
    y = np.tile(np.arange(33), 30)
    X = random.normal(size=(33, 3))[y] + 2 * random.normal(size=(990, 3))
    (fit,) = minimise(as_rows(X, y), 33, l2(strength), tol=1e-7, solver="lbfgs")
    assert fit.value == pytest.approx(exact(X, y, 33, max(strength, 1e-12))[2], abs=1e-6)
