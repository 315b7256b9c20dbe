"""The elastic net with factors, centers and bounds against its definition, weight by weight."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from softreg.optimize.problem.penalty_protocol import Trait
from softreg.optimize.problem.weighted_elastic_net import WeightedElasticNet, WeightTerms
from softreg.typing import Array

STRENGTHS = st.sampled_from([0.0, 0.3, 1.0])


@st.composite
def penalties(draw: Any, classes: int = 3, columns: int = 2) -> WeightedElasticNet:
    """A penalty of one model; each weight has an l2 part or two bounds, so that conjugates are finite."""
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    shape = classes, columns
    l1, l2 = draw(STRENGTHS), draw(STRENGTHS)
    l2_factor = rng.choice([0.5, 2.0], shape)
    lower = np.where(rng.random(shape) < (0.4 if l2 else 1.0), rng.uniform(-1, 0.2, shape), -np.inf)
    upper = np.where(rng.random(shape) < (0.4 if l2 else 1.0), rng.uniform(0.3, 1, shape), np.inf)
    center = rng.normal(size=shape) if draw(st.booleans()) and l1 == 0 else None
    terms = WeightTerms(rng.uniform(0.2, 2, shape), l2_factor, lower, upper, center)
    return WeightedElasticNet(np.array([l1]), np.array([l2]), terms)


def phi(penalty: WeightedElasticNet, w: Any, k: int, j: int) -> Any:
    """Return the penalty of one weight by its formula."""
    terms = penalty.terms
    center = 0.0 if terms.center is None else terms.center[k, j]
    return (
        penalty.l1[0] * terms.l1_factor[k, j] * np.abs(w)
        + penalty.l2[0] * terms.l2_factor[k, j] / 2 * (w - center) ** 2
    )


def best(penalty: WeightedElasticNet, a: float, k: int, j: int) -> float:
    """Return the smallest value of `a w + phi(w)` within the bounds, by search."""
    low, high = max(penalty.terms.lower[k, j], -60.0), min(penalty.terms.upper[k, j], 60.0)
    if low == high:
        return float(a * low + phi(penalty, low, k, j))
    ends = [low, high, min(max(0.0, low), high)]
    found = minimize_scalar(
        lambda w: a * w + phi(penalty, w, k, j), bounds=(low, high), method="bounded", options={"xatol": 1e-10}
    )
    return float(min(found.fun, *(a * w + phi(penalty, w, k, j) for w in ends)))


@settings(max_examples=60, deadline=None)
@given(penalties(), st.integers(0, 1000))
def test_conjugate_and_gap_are_those_of_the_definition(penalty: WeightedElasticNet, seed: int) -> None:
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(1, 3, 2))
    W = np.clip(rng.normal(size=A.shape), penalty.terms.lower, penalty.terms.upper)
    by_hand = -sum(best(penalty, A[0, k, j], k, j) for k in range(3) for j in range(2))
    assert penalty.conjugate(-A)[0] == pytest.approx(by_hand, abs=1e-7)
    value = sum(phi(penalty, W[0, k, j], k, j) for k in range(3) for j in range(2))
    assert penalty.value(W)[0] == pytest.approx(value, abs=1e-12)
    gap = penalty.fenchel_gap(A, W)[0]
    assert gap >= 0
    assert gap == pytest.approx(value + by_hand + (A * W).sum(), abs=1e-7)


@settings(max_examples=40, deadline=None)
@given(penalties(), st.integers(0, 1000))
def test_prox_minimises_its_objective(penalty: WeightedElasticNet, seed: int) -> None:
    rng = np.random.default_rng(seed)
    U, scale, step = rng.normal(size=(1, 3, 2)) * 2, np.array([0.5, 2.0]), 0.7

    def objective(V: Array) -> float:
        return float(((V - U) ** 2).sum() / (2 * step) + penalty.value(V / scale)[0])

    V = penalty.prox(U, step, scale)
    low, high = penalty.terms.lower * scale, penalty.terms.upper * scale
    assert (low <= V).all()
    assert (high >= V).all()
    for _ in range(20):
        other = np.clip(V + rng.normal(size=V.shape) * rng.choice([1e-3, 1e-1, 1]), low, high)
        assert objective(V) <= objective(other) + 1e-12


@settings(max_examples=60, deadline=None)
@given(penalties(), st.integers(0, 1000))
def test_the_common_shift_minimises_the_penalty_within_the_bounds(penalty: WeightedElasticNet, seed: int) -> None:
    rng = np.random.default_rng(seed)
    terms = penalty.terms
    W = np.clip(rng.normal(size=(1, 3, 2)), terms.lower, terms.upper)
    c = penalty.common_shift(W)
    assert (terms.lower - 1e-12 <= W - c).all()
    assert (terms.upper + 1e-12 >= W - c).all()
    for other in np.linspace(-3, 3, 121):
        shifted = W - other
        for j in range(2):
            inside = (shifted[0, :, j] >= terms.lower[:, j]).all() and (shifted[0, :, j] <= terms.upper[:, j]).all()
            if inside:
                of = [sum(phi(penalty, V[0, k, j], k, j) for k in range(3)) for V in (W - c, shifted)]
                assert of[0] <= of[1] + 1e-12


def test_a_weight_without_penalty_has_an_infinite_conjugate_and_diverges() -> None:
    free = np.full((2, 2), np.inf)
    factors = np.array([[0.0, 1.0]])
    penalty = WeightedElasticNet(np.zeros(1), np.ones(1), WeightTerms(factors, factors, -free, free))
    A = np.array([[[0.0, 1.0], [0.0, -1.0]]])
    assert penalty.conjugate(A)[0] == pytest.approx(1.0)
    assert np.isinf(penalty.conjugate(A + np.array([[[1e-3, 0.0], [-1e-3, 0.0]]]))[0])
    assert penalty.may_diverge.all()
    assert not penalty.is_zero.any()
    assert penalty.recession_part(np.ones((1, 2, 2))).tolist() == [[[1.0, 0.0], [1.0, 0.0]]]
    assert Trait.STRONGLY_CONVEX not in penalty.traits


def test_an_infeasible_gradient_is_scaled_into_the_domain_of_the_conjugate() -> None:
    free, one = np.full((2, 1), np.inf), np.ones((1, 1))
    half = WeightTerms(one, one, np.array([[0.0], [-np.inf]]), free)
    penalty = WeightedElasticNet(np.array([0.5]), np.zeros(1), half)
    A = np.array([[[2.0], [-2.0]]])  # the first weight is 0 or more, and its gradient holds it there
    assert penalty.feasible_share(A)[0] == pytest.approx(0.25)
    assert np.isfinite(penalty.conjugate(-0.25 * A)).all()
    assert penalty.column_dual_norm(A).tolist() == [[2.0]]


def test_kept_members_columns_and_classes() -> None:
    rng = np.random.default_rng(0)
    shape = 3, 4
    terms = WeightTerms(rng.random(shape), rng.random(shape), -rng.random(shape), rng.random(shape), rng.random(shape))
    penalty = WeightedElasticNet(np.array([0.0, 1.0]), np.array([1.0, 2.0]), terms)
    W = rng.uniform(-0.1, 0.1, (2, 3, 4))
    assert penalty.keep(np.array([1])).value(W[1:])[0] == pytest.approx(penalty.value(W)[1])
    columns = np.array([2, 0])
    rest = np.array([1, 3])
    split = penalty.keep_columns(columns).value(W[..., columns]) + penalty.keep_columns(rest).value(W[..., rest])
    np.testing.assert_allclose(split, penalty.value(W))
    few = terms.keep_classes(np.array([2]))
    assert few.lower.shape == (1, 4)
    assert few.center is not None
    assert few.center.tolist() == [terms.center[2].tolist()]
