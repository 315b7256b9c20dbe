"""Penalties: value, proximal step against brute force, and the conjugate behind the certificate."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from softreg.optimize import ElasticNet, elastic_net, l2

Array = NDArray[Any]
numbers = st.floats(-5, 5).map(lambda x: round(x, 3))
strengths = st.sampled_from([0.0, 1e-3, 0.3, 1.0, 20.0])


def one(x: float) -> Array:
    return np.full((1, 1, 1), x)


def test_values_by_hand() -> None:
    W = np.array([[[3.0, -4.0]], [[1.0, 0.0]]])
    np.testing.assert_allclose(l2(np.array([2.0, 0.0])).value(W), [25.0, 0.0])
    # 2 * (0.25 * 7 + 0.75 / 2 * 25) and 0.5 * (1 * 1 + 0)
    np.testing.assert_allclose(elastic_net(np.array([2.0, 0.5]), np.array([0.25, 1.0])).value(W), [22.25, 0.5])


@settings(deadline=None, max_examples=80)
@given(numbers, numbers, strengths, strengths)
def test_the_fenchel_gap_is_never_negative(a: float, w: float, l1: float, ridge: float) -> None:
    penalty = ElasticNet(np.array([l1]), np.array([ridge]))
    assert penalty.fenchel_gap(one(a), one(w))[0] >= 0


@settings(deadline=None, max_examples=80)
@given(numbers, numbers, strengths.filter(bool), strengths)
def test_the_conjugate_is_the_supremum(a: float, w: float, ridge: float, l1: float) -> None:
    penalty = ElasticNet(np.array([l1]), np.array([ridge]))
    grid = np.linspace(-6000, 6000, 2_000_01)
    conjugate = (-a * grid - l1 * np.abs(grid) - ridge / 2 * grid**2).max()
    expected = l1 * abs(w) + ridge / 2 * w**2 + conjugate + a * w
    assert penalty.fenchel_gap(one(a), one(w))[0] == pytest.approx(expected, abs=max(1e-9, ridge * 0.06**2))


@settings(deadline=None, max_examples=60)
@given(numbers, strengths, strengths)
def test_the_fenchel_gap_is_zero_where_the_gradient_fits(w: float, l1: float, ridge: float) -> None:
    """At an optimum, minus the gradient of the loss is a subgradient of the penalty."""
    penalty = ElasticNet(np.array([l1]), np.array([ridge]))
    for sign in (np.sign(w),) if w else (-1.0, -0.3, 0.0, 1.0):
        assert penalty.fenchel_gap(one(-(l1 * sign + ridge * w)), one(w))[0] <= 1e-12


def test_without_a_penalty_only_a_zero_gradient_is_feasible() -> None:
    assert l2(0.0).fenchel_gap(one(1e-9), one(1.0))[0] == np.inf
    assert l2(0.0).feasible_share(one(1e-9))[0] == 0.0
    assert elastic_net(1.0, 1.0).fenchel_gap(one(1.5), one(0.0))[0] == np.inf
    assert elastic_net(1.0, 1.0).feasible_share(one(1.5))[0] == pytest.approx(2 / 3)
    assert elastic_net(1.0, 1.0).feasible_share(one(0.5))[0] == 1.0
    assert elastic_net(1.0, 0.5).feasible_share(one(9.0))[0] == 1.0


def test_a_stack_may_mix_penalties() -> None:
    mixed = ElasticNet(np.array([0.0, 0.0, 1.0, 0.5]), np.array([2.0, 0.0, 0.0, 2.0]))
    A, W = np.full((4, 1, 1), -0.8), np.array([0.5, 0.5, 0.0, 0.15])[:, None, None]
    alone = [ElasticNet(mixed.l1[[j]], mixed.l2[[j]]).fenchel_gap(A[[j]], W[[j]])[0] for j in range(4)]
    np.testing.assert_allclose(mixed.fenchel_gap(A, W), alone, atol=1e-15)
    np.testing.assert_allclose(alone, [0.01, np.inf, 0.0, 0.0], atol=1e-15)
    few = mixed.keep(np.array([False, False, True, True]))
    np.testing.assert_array_equal([few.l1, few.l2], [[1.0, 0.5], [0.0, 2.0]])


@settings(deadline=None, max_examples=60)
@given(numbers, strengths, strengths, st.sampled_from([0.1, 1.0, 7.0]), st.sampled_from([0.5, 1.0, 3.0]))
def test_the_prox_is_the_argmin(u: float, l1: float, ridge: float, step: float, scale: float) -> None:
    penalty = ElasticNet(np.array([l1]), np.array([ridge]))

    def cost(v: float) -> float:
        return (v - u) ** 2 / (2 * step) + float(penalty.value(one(v / scale))[0])

    found = float(penalty.prox(one(u), step, np.array([scale])).item())
    assert all(cost(found) <= cost(v) + 1e-12 for v in (0.0, u, u / 2, found + 1e-4, found - 1e-4))


def test_the_conjugate_is_part_of_the_fenchel_gap() -> None:
    penalty = ElasticNet(np.array([0.0, 0.0, 1.0, 0.5]), np.array([2.0, 0.0, 0.0, 2.0]))
    A, W = np.array([-0.8, 0.0, 0.7, 3.0])[:, None, None], np.array([0.5, 0.5, 0.0, 0.15])[:, None, None]
    by_parts = penalty.value(W) + penalty.conjugate(-A) + (A * W).sum(axis=(1, 2))
    np.testing.assert_allclose(penalty.fenchel_gap(A, W), by_parts, atol=1e-15)


def test_strengths_and_ratios_broadcast() -> None:
    net = elastic_net(np.array([1.0, 2.0]), 0.25)
    np.testing.assert_array_equal([net.l1, net.l2], [[0.25, 0.5], [0.75, 1.5]])


@settings(deadline=None, max_examples=80)
@given(st.lists(numbers, min_size=1, max_size=6), strengths, strengths)
def test_what_classes_can_give_away_is_the_argmin(row: list[float], l1: float, ridge: float) -> None:
    penalty = ElasticNet(np.array([l1]), np.array([ridge]))
    W = np.array(row)[None, :, None]
    shift = penalty.common_shift(W)
    best = min(penalty.value(W - c)[0] for c in [*np.linspace(-7, 7, 1401), *row, np.mean(row)])
    assert shift.shape == (1, 1, 1)
    assert penalty.value(W - shift)[0] <= best + 1e-12
