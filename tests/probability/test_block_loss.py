"""The loss of a stack on a block of rows: the same mathematics as `loss.py`, class-major."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from softreg.probability import block_loss, cross_entropy_with_logits, curvature, entropy, residual, softmax

Array = NDArray[Any]
M, Q, B = 2, 3, 7
LABELS = ("hard", "soft")
WEIGHTS = ("none", "ones", "some")


def stack(seed: int = 0, scale: float = 2.0) -> Array:
    return np.random.default_rng(seed).normal(size=(M, Q, B)) * scale


def labels(kind: str) -> Array:
    random = np.random.default_rng(1)
    return random.integers(0, Q, B) if kind == "hard" else random.dirichlet(np.ones(Q), B)


def weights(kind: str) -> Array | None:
    if kind == "none":
        return None
    return np.ones((M, B)) if kind == "ones" else np.random.default_rng(2).uniform(0, 3, (M, B)) * [0, 1, 1, 1, 1, 1, 2]


def summed(o: Array, Y: Array, V: Array | None) -> Array:
    """Weighted loss of each model (m,), by the textbook's function on (b, q) logits."""
    rows = np.stack([cross_entropy_with_logits(each.T, Y) for each in o])
    return (rows * (1 if V is None else V)).sum(axis=1)


@pytest.mark.parametrize("weighted", WEIGHTS)
@pytest.mark.parametrize("kind", LABELS)
def test_loss_and_residual_are_those_of_the_textbook(kind: str, weighted: str) -> None:
    o, Y, V = stack(), labels(kind), weights(weighted)
    before = o.copy()
    value, R = block_loss.loss_and_residual(o, Y, V)
    np.testing.assert_allclose(value, summed(o, Y, V), rtol=1e-13)
    expected = np.stack([residual(each.T, Y).T for each in o]) * (1 if V is None else V[:, None])
    np.testing.assert_allclose(R, expected, atol=1e-15)
    np.testing.assert_array_equal(o, before)  # logits are kept between sums


@pytest.mark.parametrize("weighted", WEIGHTS)
@pytest.mark.parametrize("kind", LABELS)
def test_the_residual_is_the_derivative_of_the_loss(kind: str, weighted: str) -> None:
    o, Y, V, h = stack(), labels(kind), weights(weighted), 1e-6
    _, R = block_loss.loss_and_residual(o, Y, V)
    for place in np.ndindex(Q, B):
        step = np.zeros((M, Q, B))
        step[(slice(None), *place)] = h
        slope = (summed(o + step, Y, V) - summed(o - step, Y, V)) / (2 * h)
        np.testing.assert_allclose(R[(slice(None), *place)], slope, atol=1e-8)


@pytest.mark.parametrize("weighted", WEIGHTS)
@pytest.mark.parametrize("kind", LABELS)
def test_value_slope_and_curvature_along_a_step(kind: str, weighted: str) -> None:
    o, step, Y, V, h = stack(), stack(3, 1.0), labels(kind), weights(weighted), 1e-4
    value, slope, bend = block_loss.along(o, step, Y, V)
    ahead, back = summed(o + h * step, Y, V), summed(o - h * step, Y, V)
    np.testing.assert_allclose(value, summed(o, Y, V), rtol=1e-13)
    np.testing.assert_allclose(slope, (ahead - back) / (2 * h), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(bend, (ahead - 2 * value + back) / h**2, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("weighted", WEIGHTS)
@pytest.mark.parametrize("kind", LABELS)
def test_bias_sums_are_residual_and_curvature_summed_over_rows(kind: str, weighted: str) -> None:
    o, Y, V = stack(), labels(kind), weights(weighted)
    r, K = block_loss.bias_sums(o, Y, V)
    weight = np.ones((M, B)) if V is None else V
    for j in range(M):
        np.testing.assert_allclose(r[j], weight[j] @ residual(o[j].T, Y), atol=1e-14)
        np.testing.assert_allclose(K[j], np.einsum("b,bkl->kl", weight[j], curvature(softmax(o[j].T))), atol=1e-14)


@pytest.mark.parametrize("weighted", WEIGHTS)
@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_entropy_between_labels_and_predictions(kind: str, weighted: str, share: float) -> None:
    o, Y, V = stack(), labels(kind), weights(weighted)
    given_ = np.eye(Q)[Y] if kind == "hard" else Y
    mixed = [(1 - share) * given_ + share * softmax(each.T) for each in o]
    expected = (np.stack([entropy(p) for p in mixed]) * (1 if V is None else V)).sum(axis=1)
    np.testing.assert_allclose(block_loss.mixed_entropy(o, Y, V, np.full(M, share)), expected, rtol=1e-12, atol=1e-14)


def test_codes_are_gathered_and_label_probabilities_averaged() -> None:
    values = np.arange(12.0).reshape(2, 3, 2)
    np.testing.assert_array_equal(block_loss.given(values, np.array([2, 0])), [[4, 1], [10, 7]])
    np.testing.assert_array_equal(block_loss.given(values, np.array([[0.5, 0.5, 0], [0, 0, 1.0]])), [[1, 5], [7, 11]])


def test_huge_logits_stay_finite_and_right() -> None:
    o = np.array([[[1e4, -1e300], [0.0, 1e300]]])
    value, R = block_loss.loss_and_residual(o, np.array([1, 1]), None)
    np.testing.assert_array_equal(value, [1e4])
    np.testing.assert_array_equal(R[0], [[1, 0], [-1, 0]])
    P, log_mass = block_loss.probabilities(np.full((1, 2, 1), 1e308))
    np.testing.assert_array_equal(P[0], [[0.5], [0.5]])
    np.testing.assert_allclose(log_mass, [[1e308]])


def test_float32_stays_float32_but_is_summed_in_float64() -> None:
    o = np.zeros((1, 2, 3), dtype=np.float32)
    value, R = block_loss.loss_and_residual(o, np.array([0, 1, 1]), np.ones((1, 3)))
    assert R.dtype == np.float32
    assert value.dtype == np.float64
    many = np.full((1, 3_000_000), 0.1, dtype=np.float32)
    exact = 3_000_000 * float(np.float32(0.1))
    assert block_loss.weigh(many, None)[0] == pytest.approx(exact, rel=1e-12)
    assert block_loss.weigh(many, np.ones((1, 3_000_000)))[0] == pytest.approx(exact, rel=1e-12)


def test_one_set_of_weights_serves_a_whole_stack() -> None:
    o, Y, V = stack(), labels("hard"), np.arange(float(B))[None]
    alone = [block_loss.loss_and_residual(each[None], Y, V) for each in o]
    value, R = block_loss.loss_and_residual(o, Y, V)
    np.testing.assert_allclose(value, [v[0] for v, _ in alone], rtol=1e-14)
    np.testing.assert_allclose(R, np.concatenate([r for _, r in alone]), atol=1e-15)
    along = block_loss.along(o, o, Y, V)
    assert [a.shape for a in along] == [(M,)] * 3
    assert block_loss.mixed_entropy(o, Y, V, np.ones(M)).shape == (M,)
    np.testing.assert_array_equal(block_loss.bias_sums(o, Y, V)[0].shape, (M, Q))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.floats(-1e3, 1e3), st.sampled_from(LABELS))
def test_shifting_all_logits_of_a_row_changes_nothing(seed: int, shift: float, kind: str) -> None:
    o, Y = stack(seed), labels(kind)
    one, other = block_loss.loss_and_residual(o, Y, None), block_loss.loss_and_residual(o + shift, Y, None)
    np.testing.assert_allclose(one[0], other[0], atol=1e-9)
    np.testing.assert_allclose(one[1], other[1], atol=1e-11)
    np.testing.assert_allclose(one[1].sum(axis=1), 0.0, atol=1e-14)
    assert (block_loss.along(o, stack(seed + 1), Y, None)[2] >= 0).all()


@pytest.mark.parametrize("weighted", WEIGHTS)
@pytest.mark.parametrize("kind", LABELS)
def test_what_is_written_over_the_logits(kind: str, weighted: str) -> None:
    o, Y, V = stack(), labels(kind), weights(weighted)
    P, v = softmax(o, axis=1), np.ones((M, B)) if V is None else V
    expected, R = block_loss.loss_and_residual(o.copy(), Y, V)
    value, r, found, confidence = block_loss.consume(o, Y, V)
    assert found is o
    np.testing.assert_allclose(found, P, rtol=1e-13)
    np.testing.assert_allclose(value, expected, rtol=1e-13)
    np.testing.assert_allclose(r, R.sum(axis=2), atol=1e-13)
    codes = Y if kind == "hard" else Y.argmax(axis=1)
    np.testing.assert_allclose(confidence.p_label, P[:, codes, np.arange(B)], rtol=1e-13)
    np.testing.assert_allclose(confidence.class_mass, (P * v[:, None]).sum(axis=2), rtol=1e-13)
    np.testing.assert_allclose(
        confidence.class_variance, (P * (1 - P) * v[:, None]).sum(axis=2), rtol=1e-12, atol=1e-15
    )
