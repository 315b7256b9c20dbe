"""The dual climb: its steps are the best ones, its end is the optimum, and it knows where it is not the way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax, xlogy

from softreg.optimize import Penalty, Solution, elastic_net, l2, minimisation, minimise
from softreg.optimize.dual import acceleration as momentum
from softreg.optimize.dual import coordinate_ascent as dual
from softreg.optimize.dual import dual_iterate
from softreg.optimize.dual.buffer_pool import BufferPool
from softreg.optimize.dual.cv_folds import run_sdca_on_folds
from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.plan import choose, facts_of
from softreg.optimize.problem.standardization import standardise
from softreg.rows import as_rows
from softreg.rows.kernels import products as kernels
from softreg.rows.kernels.dual_step import Dual, best_row, dual_steps, row_squares

Array = NDArray[Any]
needs_kernels = pytest.mark.skipif(not kernels.kernels_in_use().compiled, reason="no compiled kernels here")


def documents(n: int = 400, d: int = 300, q: int = 4, seed: int = 0, words: int = 20) -> tuple[Any, Array]:
    """Rows of unit length with a few positive numbers, and labels that they say something about."""
    random = np.random.default_rng(seed)
    columns = np.sort(random.integers(0, d, size=(n, words)) ** 2 // d)
    X = sp.csr_array((np.ones(n * words), (np.repeat(np.arange(n), words), columns.ravel())), shape=(n, d))
    X.sum_duplicates()
    X = sp.csr_array(sp.diags_array(1 / np.sqrt(X.power(2).sum(axis=1))) @ X)
    o = X @ random.normal(scale=6.0, size=(d, q)) + np.arange(q) / 2
    return X, (o + random.gumbel(size=o.shape)).argmax(axis=1)


def state(X: Any, q: int, strength: float, seed: int = 1, weights: Array | None = None) -> Dual:
    """Some dual probabilities and the weights that belong to them."""
    random, n = np.random.default_rng(seed), X.shape[0]
    v = np.ones(n) if weights is None else weights
    alpha, Y, scale = random.dirichlet(np.ones(q), n), np.eye(q)[random.integers(0, q, n)], 0.3
    rate, R = 1 / (v.sum() * strength), v[:, None] * (Y - alpha)
    return Dual(
        W=np.ascontiguousarray(rate * (X.T @ R), dtype=np.float32),
        bias=random.normal(size=q).astype(np.float32),
        bias_weights=(rate * scale * R.sum(axis=0)).astype(np.float32),
        log_alpha=np.log(alpha).astype(np.float32),
        curvature=(rate * (row_squares(X) + scale**2)).astype(np.float32),
        weights=None if weights is None else weights.astype(np.float32),
        divergence=np.zeros(n, np.float32),
        bias_scale=scale,
        rate=rate,
    )


def logits(X: Any, now: Dual) -> Array:
    return np.asarray(X @ now.W.astype(float) + now.bias + now.bias_scale * now.bias_weights)


def dual_value(now: Dual, strength: float, v: Array) -> float:
    """The dual objective with the constant column, for a bias that is fixed: its part is linear in alpha."""
    alpha = np.exp(now.log_alpha.astype(float))
    entropy = -xlogy(alpha, alpha).sum(axis=1)
    norm = (now.W.astype(float) ** 2).sum() + (now.bias_weights.astype(float) ** 2).sum()
    slack = now.bias_weights.astype(float) * strength / now.bias_scale  # the mean of v (Y - alpha)
    return float(v @ entropy / v.sum() - strength / 2 * norm - slack @ now.bias)


@settings(deadline=None, max_examples=50)
@given(st.integers(2, 30), st.floats(0, 1e4), st.integers(0, 10**6))
def test_a_row_goes_where_its_part_is_best(q: int, c: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    alpha, o = random.dirichlet(np.ones(q)), random.normal(scale=3.0, size=q)
    a = np.exp(best_row(np.log(alpha), o, c))
    assert a.sum() == pytest.approx(1)
    slope = -np.log(a) - 1 + o - c * (a - alpha)  # equal for all classes at the best point of the simplex
    np.testing.assert_allclose(slope, slope.mean(), atol=1e-4 * (1 + c))


@pytest.mark.parametrize("weighted", [False, True])
def test_steps_climb_and_weights_follow(weighted: bool) -> None:
    (X, _), strength = documents(60, 40, 3), 0.01
    v = np.random.default_rng(5).integers(0, 4, 60).astype(float) if weighted else np.ones(60)
    now = state(X, 3, strength, weights=v if weighted else None)
    values = [dual_value(now, strength, v)]
    R = now.W.astype(float)
    for i in np.random.default_rng(2).integers(0, 60, 40):
        before = np.exp(now.log_alpha[i].astype(float))
        o = logits(X[[i]], now)[0]
        dual_steps(X, np.array([i]), now)
        told = before @ (np.log(before) - log_softmax(o))
        assert now.divergence[i] == pytest.approx(told, rel=1e-3, abs=1e-5)
        change = v[i] * now.rate * (before - np.exp(now.log_alpha[i].astype(float)))
        R += X[[i]].T @ change[None]
        values.append(dual_value(now, strength, v))
    np.testing.assert_allclose(now.W, R, atol=1e-4)
    assert (np.diff(values) > -1e-5).all()
    assert values[-1] > values[0] + 0.01


@needs_kernels
@pytest.mark.parametrize("level", kernels._module.levels() if kernels._module else [])
@pytest.mark.parametrize("q", [2, 3, 8, 13, 20, 33])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_compiled_steps_are_those_of_numpy(level: str, q: int, dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    X = documents(60, 40, q)[0].astype(dtype)
    weights = np.random.default_rng(3).random(60)
    weights[::7] = 0  # rows that are only looked at
    order = np.random.default_rng(4).integers(0, 60, 150)
    best, found = kernels._module.level(), []
    for module in (kernels._module, None):
        with monkeypatch.context() as change:
            kernels._module.choose(level)
            change.setattr(kernels, "_module", module)
            found.append(state(X, q, 0.01, weights=weights))
            dual_steps(X, order, found[-1])
    kernels._module.choose(best)
    for name in ("W", "bias_weights", "log_alpha", "divergence"):
        compiled, numpy = (getattr(one, name) for one in found)
        np.testing.assert_allclose(compiled, numpy, rtol=1e-3, atol=2e-4, err_msg=name)


def test_a_row_without_weight_is_only_looked_at() -> None:
    X, _ = documents(60, 40, 3)
    now = state(X, 3, 0.01, weights=np.where(np.arange(60) < 30, 0.0, 1.0))
    before = {name: getattr(now, name).copy() for name in ("W", "bias_weights", "log_alpha")}
    dual_steps(X, np.arange(30), now)
    for name, was in before.items():
        np.testing.assert_array_equal(getattr(now, name), was)
    apart = softmax(logits(X, now), axis=1)[:30]
    alpha = np.exp(now.log_alpha[:30])
    np.testing.assert_allclose(now.divergence[:30], (alpha * np.log(alpha / apart)).sum(axis=1), rtol=1e-3, atol=1e-5)


@needs_kernels
def test_compiled_steps_refuse_rows_that_are_not_there() -> None:
    X, _ = documents(60, 40, 3)
    for wrong in (-1, 60):
        with pytest.raises(ValueError, match="do not fit one another"):
            dual_steps(X, np.array([0, wrong]), state(X, 3, 0.01))


def objective_of(X: Any, Y: Array, V: Array | None, penalty: Any, intercept: bool = True) -> Objective:
    rows, coordinates = standardise(as_rows(X, Y, V), centred=intercept)
    q = int(Y.max()) + 1 if Y.ndim == 1 else Y.shape[1]
    return Objective(rows, q, penalty, coordinates, intercept)


def true_gap(X: Any, Y: Array, v: Array | None, strength: float, fit: Solution, W: Array, b: Array) -> float:
    """How far the objective at (W, b) is above that of a converged fit."""

    def value(W: Array, b: Array) -> float:
        o = np.asarray(X @ W + b)
        P = np.eye(o.shape[1])[Y] if Y.ndim == 1 else Y
        lost = -(P * log_softmax(o, axis=1)).sum(axis=1)
        return float(np.average(lost, weights=v) + strength / 2 * (W**2).sum())

    return value(W, b) - value(fit.W, fit.b)


@needs_kernels
@pytest.mark.parametrize("labels", ["hard", "soft"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("intercept", [False, True])
def test_the_climb_ends_near_the_optimum(labels: str, weighted: bool, intercept: bool) -> None:
    X, y = documents()
    Y = y if labels == "hard" else np.random.default_rng(0).dirichlet(np.ones(4) / 3, 400)
    V = np.random.default_rng(1).integers(0, 3, (1, 400)).astype(float) if weighted else None
    objective = objective_of(X, Y, V, l2(1e-3), intercept)
    found = dual.run_sdca(objective, 1e-5)
    assert found is not None
    assert found.gap[0] <= 1e-5
    assert 1 < objective.passes < 30
    (fit,) = minimise(as_rows(X, Y, V), 4, l2(1e-3), fit_intercept=intercept, tol=1e-10)
    W, b = objective.user(found.theta)
    assert -1e-9 < true_gap(X, Y, None if V is None else V[0], 1e-3, fit, W[0].T, b[0]) <= found.gap[0]
    assert found.value[0] == pytest.approx(fit.value, abs=1e-5)
    assert intercept or not b.any()


@needs_kernels
def test_each_model_of_a_stack_climbs_for_itself() -> None:
    X, y = documents()
    V = np.random.default_rng(1).integers(0, 2, (2, 400)).astype(float)
    strengths = np.array([1e-3, 1e-2])
    found = dual.run_sdca(objective_of(X, y, V, l2(strengths)), 1e-4)
    assert found is not None
    for j in range(2):
        single = dual.run_sdca(objective_of(X, y, V[[j]], l2(strengths[j])), 1e-4)
        assert single is not None
        np.testing.assert_array_equal(found.theta[j], single.theta[0])
        np.testing.assert_allclose(found.gap[j], single.gap[0], rtol=1e-6)


@needs_kernels
def test_fits_begin_with_the_climb_and_are_certified() -> None:
    X, y = documents()
    (fit,) = minimise(as_rows(X, y), 4, l2(1e-3), tol=1e-6)
    assert fit.certified
    assert fit.gap <= 1e-6
    assert fit.bound == "duality"
    assert 3 < fit.n_iter < 40  # sweeps
    assert fit.history[-1].gap == fit.gap
    (exact,) = minimise(as_rows(X, y), 4, l2(1e-3), tol=1e-11)
    assert exact.gap <= 1e-11
    np.testing.assert_allclose(softmax(X @ fit.W + fit.b, axis=1), softmax(X @ exact.W + exact.b, axis=1), atol=1e-2)


def test_problems_that_the_rules_leave_to_other_methods() -> None:
    X, y = documents()

    def name(X: Any, penalty: Penalty) -> str:
        return choose(facts_of(as_rows(X, y), 4, penalty)).name

    for penalty in (elastic_net(1e-3, 0.5), l2(0.0)):
        assert name(X, penalty) != "dual-dual_iterate"
    assert name(X.toarray(), l2(1e-3)) != "dual-dual_iterate"
    same = sp.csr_array(np.outer(np.where(y > 1, 1.0, -1.0), np.ones(300)))  # all rows share all columns
    assert name(same, l2(1e-6)) != "dual-dual_iterate"


@needs_kernels
def test_a_climb_that_would_take_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = documents()
    objective = objective_of(X, y, None, l2(1e-3))
    assert dual.run_sdca(objective, 1e-7, budgets=[7.0]) is None
    assert 4 < objective.passes < 9
    monkeypatch.setattr(minimisation, "dual_budgets", lambda *_: [7.0])
    (fit,) = minimise(as_rows(X, y), 4, l2(1e-3), tol=1e-7)
    assert fit.certified


@needs_kernels
def test_a_class_without_weight_keeps_no_weight() -> None:
    X, y = documents()
    V = np.where(y == 2, 0.0, 1.0)[None]
    (fit,) = minimise(as_rows(X, y, V), 4, l2(1e-2), tol=1e-8)
    P = softmax(X @ fit.W + fit.b, axis=1)
    assert P[V[0] > 0, 2].max() < 1e-6
    assert fit.gap <= 1e-8


@needs_kernels
@pytest.mark.parametrize("weighted", [False, True])
def test_momentum_helps_weak_penalties(weighted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = documents(1000, 60, words=10)
    V = np.random.default_rng(1).integers(0, 3, (1, 1000)).astype(float) if weighted else None
    visits = []
    for easy in (1e9, dual_iterate.MAX_PLAIN_CURVATURE):
        monkeypatch.setattr(dual_iterate, "MAX_PLAIN_CURVATURE", easy)
        objective = objective_of(X, y, V, l2(1e-5))
        squares = objective.rows.row_squares()
        assert squares is not None
        one = dual_iterate.initial_iterate(objective, 0, y, squares, seed=0)
        assert (one.momentum is None) == (easy == 1e9)
        while not one.gaps or one.gaps[-1] > 1e-5:
            one.sweep(objective.rows)
        certificate = dual.certify_iterate(objective, 0, one)
        (fit,) = minimise(as_rows(X, y, V), 4, l2(1e-5), tol=1e-9)
        assert -1e-9 < certificate.value - fit.value <= certificate.gap < 1e-4
        visits.append(one.visits)
    assert visits[1] < visits[0] / 2


@needs_kernels
@pytest.mark.parametrize("strength", [1e-3, 1e-5])  # without momentum, and with it
@pytest.mark.parametrize("labels", ["hard", "soft"])
def test_a_climb_may_begin_from_weights(strength: float, labels: str) -> None:
    X, y = documents()
    Y = y if labels == "hard" else np.random.default_rng(0).dirichlet(np.ones(4) / 3, 400)
    (near,) = minimise(as_rows(X, Y), 4, l2(strength * 1.1), tol=1e-8)
    found = []
    for start in (None, (near.W[None], near.b[None])):
        objective = objective_of(X, Y, None, l2(strength))
        found.append(dual.run_sdca(objective, 1e-5, start=start))
        assert found[-1] is not None
        assert found[-1].gap[0] <= 1e-5
    assert found[1].sweeps[0] < found[0].sweeps[0]  # type: ignore[union-attr]
    (fit,) = minimise(as_rows(X, Y), 4, l2(strength), start=(near.W[None], near.b[None]))
    assert fit.gap <= 1e-6


@needs_kernels
def test_a_start_far_off_does_no_harm() -> None:
    X, y = documents()
    W, b = np.random.default_rng(2).normal(scale=50.0, size=(1, 300, 4)), np.array([[5.0, -5.0, 0.0, 0.0]])
    for strength in (1e-2, 1e-5):
        found = dual.run_sdca(objective_of(X, y, None, l2(strength)), 1e-5, start=(W, b))
        assert found is not None
        assert found.gap[0] <= 1e-5


@pytest.mark.parametrize("back", [False, True])
def test_momentum_in_runs_is_that_of_whole_arrays(back: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(momentum, "CACHED_NUMBERS", 7)
    anchor, first = np.random.default_rng(0).normal(size=(2, 11, 3)).astype(np.float32)
    one = momentum.Momentum(0.1, 0.9, first, anchor.copy(), np.empty_like(first))
    W = anchor + np.float32(0.5 if back else 2.0) * (first - anchor)  # towards the anchor, or away from it
    one.measure(W)
    away = W - anchor
    assert one.gap == pytest.approx(0.9**2 / 0.2 * (away**2).sum(), rel=1e-5)
    assert one.restarts == back
    share = np.sqrt(0.1)
    to = W + (0 if one.restarts else (1 - share) / (1 + share)) * (W - first)
    expected = W + 0.9 * (to - anchor)
    one.move_anchor(W)
    np.testing.assert_allclose(W, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(one.anchor, to, rtol=1e-5, atol=1e-6)


@needs_kernels
@pytest.mark.parametrize("strength", [1e-3, 1e-5])  # without momentum, and with it
def test_the_content_of_a_buffer_pool_does_not_matter(strength: float) -> None:
    X, y = documents()
    V = np.where(np.arange(400) % 5 == np.array([[0], [1]]), 0.0, 1.0)
    judge = np.where(np.arange(400) % 5 < 2, np.arange(400) % 5, -1)[None]
    used = BufferPool(300, 4)
    for array in (used.anchor, used.previous, used.slack(np.float32)):
        array.fill(np.nan)
    start = np.random.default_rng(0).normal(scale=0.1, size=(2, 300, 4)), np.zeros((2, 4))
    fits = []
    for pools in ([], [used]):
        objective = objective_of(X, y, V, l2(np.full(2, strength)))
        fits.append(run_sdca_on_folds(objective, judge, np.ones(400), start, 1e-5, 0, pools=pools))
    fresh, again = fits
    assert fresh is not None
    assert again is not None
    for name in ("W", "b", "value", "gap", "held_out_logits"):
        np.testing.assert_array_equal(getattr(fresh, name), getattr(again, name), err_msg=name)
    assert (fresh.gap < 1e-4).all()


def test_blocks_of_sparse_rows_share_their_numbers() -> None:
    X, y = documents()
    X.sort_indices()  # a home without kernels sorts a copy otherwise
    for rows in (as_rows(X, y), as_rows(X, y).precise(dtype=np.float32)):
        for block in rows.blocks:  # type: ignore[attr-defined]
            assert np.shares_memory(block.X.data, X.data)
            assert np.shares_memory(block.X.indices, X.indices)
