"""The objective of a stack: its gradient, the line kept for the search, the balanced bias and the count of passes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from softreg.optimize import elastic_net, l2
from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.objective.recomputed_logits import RecomputedObjective
from softreg.optimize.problem.standardization import Coordinates, standardise
from softreg.probability import softmax
from softreg.rows import as_rows

Array = NDArray[Any]
N, D, Q = 60, 3, 3


def data(seed: int = 0) -> tuple[Array, Array]:
    random = np.random.default_rng(seed)
    X = random.normal(size=(N, D)) * [1.0, 5.0, 0.2] + [3.0, -1.0, 0.0]
    X[:, 1] *= random.random(N) < 0.6
    return X, random.integers(0, Q, N)


def theta(m: int = 2, seed: int = 1, d: int = D) -> Array:
    return np.random.default_rng(seed).normal(size=(m, Q, d + 1))


def build(
    kind: str = "dense",
    weights: Array | None = None,
    strength: tuple[float, ...] = (0.1, 0.7),
    fit_intercept: bool = True,
    soft: bool = False,
) -> Objective:
    X, y = data()
    home = {"dense": X, "sparse": sp.csr_array(X), "float32": X.astype(np.float32)}[kind]
    labels = np.random.default_rng(3).dirichlet(np.ones(Q), N) if soft else y
    rows, coordinates = standardise(as_rows(home, labels, weights), centred=fit_intercept)
    return Objective(rows, Q, l2(np.array(strength)), coordinates, fit_intercept)


def value_at(objective: Objective, at: Array) -> Array:
    """Loss + l2 part of each model, by a fresh placement."""
    objective.place(at)
    return np.asarray(objective.gradient()[0] + objective.penalty.value(objective.user(at)[0]))


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("fit_intercept", [False, True])
@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_the_gradient_by_finite_differences(kind: str, fit_intercept: bool, weighted: bool, soft: bool) -> None:
    V = np.random.default_rng(2).uniform(0, 2, (2, N)) if weighted else None
    objective = build(kind, V, fit_intercept=fit_intercept, soft=soft)
    at, h = theta(), 1e-6
    if not fit_intercept:
        at[..., -1] = 0
    objective.place(at)
    _, G = objective.gradient()
    G = G + objective.ridge * at
    for place in np.ndindex(Q, D + fit_intercept):
        step = np.zeros_like(at)
        step[(slice(None), *place)] = h
        slope = (value_at(objective, at + step) - value_at(objective, at - step)) / (2 * h)
        np.testing.assert_allclose(G[(slice(None), *place)], slope, rtol=1e-5, atol=1e-8)
    if not fit_intercept:
        np.testing.assert_array_equal(G[..., -1], 0.0)


def test_the_loss_is_that_of_the_users_weights(objective_value: Callable[..., float]) -> None:
    X, y = data()
    V = np.random.default_rng(2).uniform(0, 2, (2, N))
    objective, at = build(weights=V), theta()
    objective.place(at)
    loss, _ = objective.gradient()
    W, b = objective.user(at)
    expected = [objective_value(X, y, W[j].T, b[j], 0.0, v=V[j]) for j in range(2)]
    np.testing.assert_allclose(loss, expected, rtol=1e-12)


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_a_step_along_the_kept_line_is_a_fresh_placement(kind: str) -> None:
    objective, at, way, t = build(kind), theta(), theta(seed=5), np.array([0.3, 1.7])
    objective.place(at)
    first = objective.set_direction(way)
    here = objective.eval_along(t)
    objective.take_step(t)
    moved, G = objective.gradient()
    there = at + t[:, None, None] * way
    objective.place(there)
    fresh, H = objective.gradient()
    np.testing.assert_allclose(here[0], fresh, rtol=1e-12)
    np.testing.assert_allclose(moved, fresh, rtol=1e-12)
    np.testing.assert_allclose(G, H, atol=1e-12)
    np.testing.assert_allclose(here[1], np.einsum("mqd,mqd->m", H, way), rtol=1e-10, atol=1e-12)
    objective.place(at)
    objective.set_direction(way)
    np.testing.assert_allclose(objective.eval_along(np.ones(2)), first, rtol=1e-13)
    h = 1e-4
    bend = (objective.eval_along(t + h)[1] - objective.eval_along(t - h)[1]) / (2 * h)
    np.testing.assert_allclose(here[2], bend, rtol=1e-6)


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("kind", ["dense", "sparse", "float32"])
def test_one_pass_is_logits_then_gradient(kind: str, soft: bool) -> None:
    objective, at = build(kind, np.random.default_rng(2).uniform(0, 2, (2, N)), soft=soft), theta()
    objective.place(at)
    expected, G = objective.gradient()
    found, H = objective.evaluate(at)
    close = {"rtol": 2e-6, "atol": 2e-6} if kind == "float32" else {"rtol": 1e-13, "atol": 1e-13}
    np.testing.assert_allclose(found, expected, **close)
    np.testing.assert_allclose(H, G, **close)
    again, K = objective.gradient()
    np.testing.assert_allclose(again, expected, **close)
    np.testing.assert_allclose(K, G, **close)


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_a_leap_is_taken_or_taken_back(kind: str) -> None:
    objective, at, way, t = build(kind), theta(), theta(seed=5), np.array([0.3, 1.7])
    objective.evaluate(at)
    far, G = objective.try_step(at + way)
    objective.reject()
    line = objective.eval_along(t)
    np.testing.assert_allclose(objective.eval_along(np.ones(2))[0], far, rtol=1e-13)
    np.testing.assert_allclose(objective.eval_along(np.ones(2))[1], np.einsum("mqd,mqd->m", G, way), rtol=1e-11)
    assert objective.half_passes == 4
    objective.evaluate(at)
    objective.set_direction(way)
    np.testing.assert_allclose(line, objective.eval_along(t), rtol=1e-11)
    loss, G = objective.try_step(at + way)
    objective.accept()
    moved, H = objective.gradient()
    np.testing.assert_allclose(moved, loss, rtol=1e-14)
    np.testing.assert_allclose(H, G, atol=1e-14)
    np.testing.assert_allclose(loss, far, rtol=1e-14)


@pytest.mark.parametrize("weighted", [False, True])
def test_balance_makes_the_mean_prediction_the_class_rates(weighted: bool) -> None:
    X, y = data()
    V = np.random.default_rng(2).uniform(0, 2, (2, N)) if weighted else None
    objective, at = build(weights=V), 3 * theta()
    objective.place(at)
    shift, left = objective.balance()
    assert (left < 1e-13).all()
    objective.shift_bias(shift)
    at[..., -1] += shift
    W, b = objective.user(at)
    for j in range(2):
        v = np.ones(N) if V is None else V[j]
        P, rates = softmax(X @ W[j].T + b[j]), np.bincount(y, weights=v, minlength=Q) / v.sum()
        np.testing.assert_allclose(v @ P / v.sum(), rates, atol=1e-13)
    np.testing.assert_allclose(objective.gradient()[1][..., -1], 0.0, atol=1e-13)


def test_without_a_bias_nothing_is_balanced() -> None:
    objective = build(fit_intercept=False)
    objective.place(theta())
    shift, left = objective.balance()
    np.testing.assert_array_equal(shift, 0.0)
    np.testing.assert_array_equal(left, 0.0)


def test_passes_are_counted_and_the_line_search_is_free() -> None:
    objective = build()
    assert objective.passes == 0
    objective.place(theta())
    objective.gradient()
    assert objective.passes == 1
    objective.set_direction(theta(seed=2))
    for t in (0.5, 1.0, 2.0):
        objective.eval_along(np.full(2, t))
    objective.take_step(np.ones(2))
    objective.balance()
    assert objective.half_passes == 3
    objective.gradient()
    assert objective.passes == 2


def test_a_model_that_leaves_takes_its_weights_and_strength_along() -> None:
    V = np.random.default_rng(2).uniform(0, 2, (3, N))
    objective, at = build(weights=V, strength=(0.1, 0.2, 0.3)), theta(3)
    objective.place(at)
    loss, G = objective.gradient()
    objective.drop_members(np.array([True, False, True]))
    assert objective.m == 2
    np.testing.assert_array_equal(objective.members, [0, 2])
    np.testing.assert_array_equal(objective.penalty.l2, [0.1, 0.3])
    fewer, H = objective.gradient()
    np.testing.assert_allclose(fewer, loss[[0, 2]], rtol=1e-14)
    np.testing.assert_allclose(H, G[[0, 2]], atol=1e-15)
    objective.drop_members(np.array([False, True]))
    np.testing.assert_array_equal(objective.members, [2])
    np.testing.assert_allclose(objective.gradient()[0], loss[[2]], rtol=1e-14)


def test_float32_rows_can_be_asked_for_float64_sums() -> None:
    objective, at = build("float32"), theta()
    assert objective.lacks_precision()
    objective.place(at)
    rough, _ = objective.gradient()
    objective.increase_precision()
    assert not objective.lacks_precision()
    objective.place(at)
    fine, _ = objective.gradient()
    assert 0 < np.abs(rough - fine).max() < 1e-5


@pytest.mark.parametrize("kind", ["dense", "sparse", "float32"])
def test_two_objectives_on_the_same_rows_do_not_disturb_each_other(kind: str) -> None:
    one = build(kind)
    other = Objective(one.rows, Q, l2(np.array([1.0, 2.0, 3.0])), one.coordinates)
    alone = build(kind)
    for objective in (one, alone):
        objective.evaluate(theta())
        if objective is one:
            other.evaluate(theta(3, seed=4))
        objective.try_step(theta(seed=2))
        if objective is one:
            other.try_step(theta(3, seed=6))
            other.accept()
            other.drop_members(np.array([True, False, True]))
            other.increase_precision()
        objective.reject()
        objective.take_step(np.array([0.5, 0.25]))
    for a, b in zip(one.gradient(), alone.gradient(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("keeps", [True, False])
def test_logits_that_are_missing_are_computed_again(keeps: bool) -> None:
    X, y = data()
    rows, coordinates = standardise(as_rows(X, y), centred=True)
    objective = (Objective if keeps else RecomputedObjective)(rows, Q, l2(np.array([0.1, 0.7])), coordinates)
    at, way, t = theta(), theta(seed=5), np.array([0.3, 1.7])

    def answers() -> list[Array]:
        confidence = [objective.state.confidence(block).p_label for block in rows.blocks]  # type: ignore[attr-defined]
        return [*objective.gradient(), objective.eval_along(t), *confidence]

    objective.evaluate(at)
    objective.set_direction(way)
    steps: list[Callable[[], object]] = [
        lambda: None,
        lambda: objective.take_step(t),
        lambda: objective.shift_bias(np.arange(2.0 * Q).reshape(2, Q)),
        lambda: (objective.try_step(at + way), objective.reject()),
        lambda: (objective.try_step(at), objective.accept()),
    ]
    for step in steps:
        step()
        expected = answers()
        objective.store.clear()
        for found, before in zip(answers(), expected, strict=True):
            np.testing.assert_allclose(found, before, rtol=1e-10, atol=1e-12)
        objective.store.clear()
    fewer = objective.gradient()[0][1:]
    objective.store.clear()
    objective.drop_members(np.array([False, True]))
    np.testing.assert_allclose(objective.gradient()[0], fewer, rtol=1e-12)


def test_a_higher_precision_needs_no_new_placement() -> None:
    objective, at = build("float32"), theta()
    objective.evaluate(at)
    objective.increase_precision()
    again = objective.gradient()
    objective.place(at)
    for found, expected in zip(again, objective.gradient(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_entropy_of_the_predictions() -> None:
    X, _ = data()
    objective, at = build(), theta()
    objective.place(at)
    W, b = objective.user(at)
    expected = [-(P * np.log(P)).sum(axis=1).mean() for P in (softmax(X @ W[j].T + b[j]) for j in range(2))]
    np.testing.assert_allclose(objective.entropy(np.zeros((2, Q)), np.ones(2)), expected, rtol=1e-12)
    np.testing.assert_array_equal(objective.entropy(np.zeros((2, Q)), np.zeros(2)), 0.0)  # hard labels have none


# --- coordinates --------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6))
def test_coordinates_there_and_back(seed: int) -> None:
    random = np.random.default_rng(seed)
    coordinates = Coordinates(random.normal(size=D), 10.0 ** random.uniform(-3, 3, D), np.zeros(D, dtype=bool))
    at = random.normal(size=(2, Q, D + 1))
    W, b = coordinates.to_user(at)
    np.testing.assert_allclose(coordinates.from_user(W, b), at, rtol=1e-9, atol=1e-9)
    x = random.normal(size=D) * 10
    z = (x - coordinates.shift) / coordinates.scale
    np.testing.assert_allclose(W @ x + b, at[..., :-1] @ z + at[..., -1], rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("home", [np.asarray, np.float32, np.asfortranarray, sp.csr_array])
def test_standardised_columns_have_mean_0_and_variance_1(home: Callable[[Array], Any]) -> None:
    X = np.random.default_rng(0).normal(size=(500, 4)) * [1, 1e3, 1e-3, 1] + [2, -5, 0, 20]
    rows, coordinates = standardise(as_rows(home(X), np.zeros(500, int)), centred=True)
    tight = 1e-4 if home is np.float32 else 1e-11
    np.testing.assert_allclose(coordinates.shift, X.mean(axis=0), rtol=tight, atol=tight * 1e-3)
    np.testing.assert_allclose(coordinates.scale, X.std(axis=0), rtol=tight)
    assert rows.n == 500


def test_without_a_bias_columns_are_only_scaled() -> None:
    X = np.array([[1.0, 3.0, 0.0], [1.0, -4.0, 0.0]])
    _, coordinates = standardise(as_rows(X, np.zeros(2, int)), centred=False)
    np.testing.assert_array_equal(coordinates.shift, 0.0)
    np.testing.assert_allclose(coordinates.scale, [1.0, np.sqrt(12.5), 1.0])
    np.testing.assert_array_equal(coordinates.constant, [False, False, True])


@pytest.mark.parametrize("size", [1e-300, 1e-200, 1e-30, 1e30, 1e200, 1e300])
def test_no_scale_overflows_the_moments(size: float) -> None:
    X = np.array([[1.0], [3.0], [-1.0], [5.0]]) * size
    with np.errstate(over="raise", invalid="raise"):
        _, coordinates = standardise(as_rows(X, np.zeros(4, int)), centred=True)
    if size > 1e-150:
        np.testing.assert_allclose(coordinates.scale, [np.sqrt(5) * size], rtol=1e-12)
        np.testing.assert_allclose(coordinates.shift, [2 * size], rtol=1e-12)
    assert np.isfinite(coordinates.scale).all()


def test_numbers_far_from_zero_are_shifted_before_they_are_multiplied() -> None:
    X = np.random.default_rng(0).normal(size=(100, 2))
    for home, far, explicit in ((np.float32, 0, False), (np.float32, 100, True), (np.float64, 100, False)):
        rows, coordinates = standardise(as_rows((X + far).astype(home), np.zeros(100, int)), centred=True)
        assert coordinates.explicit is explicit
    sparse = sp.csr_array((X + 100).astype(np.float32))
    rows, coordinates = standardise(as_rows(sparse, np.zeros(100, int)), centred=True)
    assert not coordinates.explicit
    assert rows.dtype == np.float64


def test_the_l1_part_is_scaled_with_the_columns() -> None:
    X, y = data()
    rows, coordinates = standardise(as_rows(X, y), centred=True)
    objective = Objective(rows, Q, elastic_net(0.5, 0.4), coordinates)
    np.testing.assert_allclose(objective.l1_scaled[0, 0, :-1], 0.2 / coordinates.scale)
    np.testing.assert_allclose(objective.ridge[0, 0, :-1], 0.3 / coordinates.scale**2)
    assert objective.l1_scaled[0, 0, -1] == objective.ridge[0, 0, -1] == 0.0
