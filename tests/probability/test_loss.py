"""The loss on logits, its gradient and curvature against finite differences, and the likelihood behind it."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softreg.probability import (
    cross_entropy,
    cross_entropy_with_logits,
    curvature,
    entropy,
    likelihood,
    log_softmax,
    negative_log_likelihood,
    one_hot,
    residual,
    softmax,
    surprisal,
)


@pytest.fixture(autouse=True)
def _no_warnings() -> Any:
    with warnings.catch_warnings(), np.errstate(all="warn", under="ignore"):
        warnings.simplefilter("error")
        yield


@st.composite
def problems(draw: Any) -> tuple[np.ndarray, np.ndarray]:
    """Logits (n, q) and label probabilities of the same shape."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, q = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    return rng.normal(size=(n, q)) * draw(st.floats(0.1, 5)), rng.dirichlet(np.ones(q), size=n)


# Identities


@given(problems())
def test_the_loss_is_the_cross_entropy_of_softmax(problem: tuple[np.ndarray, np.ndarray]) -> None:
    o, Y = problem
    loss = cross_entropy_with_logits(o, Y)
    np.testing.assert_allclose(loss, cross_entropy(Y, softmax(o)), rtol=1e-10)
    assert (loss >= entropy(Y) - 1e-12).all()  # reached where softmax(o) = Y
    np.testing.assert_allclose(cross_entropy_with_logits(np.log(Y), Y), entropy(Y), rtol=1e-10, atol=1e-12)


@given(problems())
def test_codes_are_one_hot_rows(problem: tuple[np.ndarray, np.ndarray]) -> None:
    o, Y = problem
    y = Y.argmax(axis=1)
    hard = one_hot(y, n_classes=o.shape[1])
    np.testing.assert_array_equal(cross_entropy_with_logits(o, y), cross_entropy_with_logits(o, hard))
    np.testing.assert_array_equal(residual(o, y), residual(o, hard))
    np.testing.assert_allclose(likelihood(softmax(o), y), likelihood(softmax(o), hard), rtol=1e-12)
    assert negative_log_likelihood(softmax(o), y) == pytest.approx(negative_log_likelihood(softmax(o), hard))


@given(problems())
def test_likelihood_and_summed_loss_are_one(problem: tuple[np.ndarray, np.ndarray]) -> None:
    o, Y = problem
    P = softmax(o)
    for labels in (Y, Y.argmax(axis=1)):
        nll = negative_log_likelihood(P, labels)
        assert nll == pytest.approx(cross_entropy_with_logits(o, labels).sum(), rel=1e-10)
        assert likelihood(P, labels) == pytest.approx(np.exp(-nll), rel=1e-9)


@given(problems())
def test_residual_rows_sum_to_zero(problem: tuple[np.ndarray, np.ndarray]) -> None:
    R = residual(*problem)
    np.testing.assert_allclose(R.sum(axis=1), 0, atol=1e-14)
    assert (abs(R) <= 1).all()


@given(problems())
def test_curvature_is_the_covariance_of_a_one_hot_draw(problem: tuple[np.ndarray, np.ndarray]) -> None:
    P = softmax(problem[0])
    C = curvature(P)
    for p, c in zip(P, C, strict=True):
        np.testing.assert_allclose(c, np.diag(p) - np.outer(p, p), atol=1e-15)
        assert np.linalg.eigvalsh(c).min() >= -1e-15
    np.testing.assert_array_equal(C, np.swapaxes(C, -1, -2))
    np.testing.assert_allclose(C.sum(axis=-1), 0, atol=1e-16)


# Against finite differences


@given(problems())
def test_the_residual_is_the_gradient(problem: tuple[np.ndarray, np.ndarray]) -> None:
    o, Y = problem
    step = 1e-6
    for k in range(o.shape[1]):
        e = step * np.eye(o.shape[1])[k]
        slope = (cross_entropy_with_logits(o + e, Y) - cross_entropy_with_logits(o - e, Y)) / (2 * step)
        np.testing.assert_allclose(residual(o, Y)[:, k], slope, atol=1e-8)


@given(problems())
def test_the_curvature_is_the_derivative_of_the_residual(problem: tuple[np.ndarray, np.ndarray]) -> None:
    o, Y = problem
    step = 1e-6
    for k in range(o.shape[1]):
        e = step * np.eye(o.shape[1])[k]
        slope = (residual(o + e, Y) - residual(o - e, Y)) / (2 * step)
        np.testing.assert_allclose(curvature(softmax(o))[:, :, k], slope, atol=1e-8)


# Values worked by hand


def test_the_loss_by_hand() -> None:
    # logits log 1, log 2, log 5: probabilities 1/8, 2/8, 5/8
    o = np.log([[1.0, 2.0, 5.0]])
    assert cross_entropy_with_logits(o, [1])[0] == pytest.approx(np.log(4), rel=1e-14)
    soft = cross_entropy_with_logits(o, [[0.5, 0.5, 0]])[0]
    assert soft == pytest.approx(0.5 * np.log(8) + 0.5 * np.log(4), rel=1e-14)
    np.testing.assert_allclose(residual(o, [1]), [[1 / 8, -6 / 8, 5 / 8]], rtol=1e-14)
    np.testing.assert_allclose(residual(o, [[0.5, 0.5, 0]]), [[-3 / 8, -2 / 8, 5 / 8]], rtol=1e-14)
    np.testing.assert_allclose(64 * curvature(softmax(o))[0], [[7, -2, -5], [-2, 12, -10], [-5, -10, 15]], rtol=1e-14)


def test_the_likelihood_by_hand() -> None:
    P = [[0.5, 0.5], [0.25, 0.75], [1, 0]]
    assert likelihood(P, [0, 1, 0]) == 0.375
    assert negative_log_likelihood(P, [0, 1, 0]) == pytest.approx(-np.log(0.375))
    assert likelihood(P, [0, 1, 1]) == 0
    assert negative_log_likelihood(P, [0, 1, 1]) == np.inf
    # a soft label is a row of each class, with that share as its exponent: sqrt(1/4 * 3/4)
    assert likelihood([[0.25, 0.75]], [[0.5, 0.5]]) == pytest.approx(np.sqrt(3) / 4)
    assert likelihood([[1.0, 0.0]], [[1.0, 0.0]]) == 1  # 0^0 is 1, as 0 log 0 is 0


def test_the_likelihood_of_many_rows_underflows_and_its_logarithm_does_not() -> None:
    P, y = np.tile([0.4, 0.6], (1000, 1)), np.zeros(1000, int)
    assert likelihood(P, y) == 0
    assert negative_log_likelihood(P, y) == pytest.approx(1000 * np.log(2.5))


# Edges


def test_a_wrong_row_costs_its_distance_however_far() -> None:
    assert cross_entropy_with_logits([[0.0, 1e5], [0.0, 1e300]], [0, 0]).tolist() == [1e5, 1e300]
    assert cross_entropy_with_logits([[1e308, -1e308]], [0]).tolist() == [0]
    assert cross_entropy_with_logits([[1e308, -1e308]], [1]).tolist() == [np.inf]  # 2e308 is no float


def test_a_sure_row_keeps_its_small_loss() -> None:
    assert cross_entropy_with_logits([50.0, 0.0], 0) == pytest.approx(np.exp(-50), rel=1e-12, abs=0)
    # p (1 - p) with p = 1 - 1e-20 is 1e-20, where 1 - p would be 0
    np.testing.assert_allclose(curvature([1.0, 1e-20]), [[1e-20, -1e-20], [-1e-20, 1e-20]], rtol=1e-12)


def test_minus_infinity_costs_only_where_the_label_has_mass() -> None:
    o = [[-np.inf, 0.0, 0.0]]
    assert cross_entropy_with_logits(o, [[0, 0.5, 0.5]]).tolist() == pytest.approx([np.log(2)])
    assert cross_entropy_with_logits(o, [0]).tolist() == [np.inf]
    assert cross_entropy_with_logits(o, [[0.1, 0.9, 0]]).tolist() == [np.inf]
    np.testing.assert_array_equal(residual(o, [0]), [[-1, 0.5, 0.5]])


def test_one_row_one_class_and_no_rows() -> None:
    assert cross_entropy_with_logits([0.0, 0.0], 1) == pytest.approx(np.log(2))
    assert residual([0.0, 0.0], 1).tolist() == [0.5, -0.5]
    assert cross_entropy_with_logits([[3.0]], [0]).tolist() == [0]
    assert residual([[3.0]], [0]).tolist() == [[0]]
    assert curvature([[1.0]]).tolist() == [[[0]]]
    empty = np.zeros((0, 3))
    assert cross_entropy_with_logits(empty, np.zeros(0, int)).shape == (0,)
    assert residual(empty, empty).shape == (0, 3)
    assert curvature(empty).shape == (0, 3, 3)
    assert likelihood(empty, np.zeros(0, int)) == 1
    assert negative_log_likelihood(empty, empty) == 0


def test_any_leading_axes() -> None:
    rng = np.random.default_rng(0)
    o, y = rng.normal(size=(2, 5, 3)), rng.integers(3, size=(2, 5))
    flat = cross_entropy_with_logits(o.reshape(10, 3), y.ravel())
    np.testing.assert_array_equal(cross_entropy_with_logits(o, y).ravel(), flat)
    np.testing.assert_array_equal(residual(o, y).reshape(10, 3), residual(o.reshape(10, 3), y.ravel()))
    assert curvature(softmax(o)).shape == (2, 5, 3, 3)
    assert negative_log_likelihood(softmax(o), y) == pytest.approx(flat.sum())


def test_float32_stays_float32_whatever_the_labels_are() -> None:
    o = np.float32([[0, 1, 2]])
    for Y in ([1], np.uint8([1]), [[0.0, 1.0, 0.0]], np.float32([[0, 1, 0]])):
        assert cross_entropy_with_logits(o, Y).dtype == np.float32
        assert residual(o, Y).dtype == np.float32
    assert curvature(softmax(o)).dtype == np.float32


def test_sums_over_float32_rows_are_taken_in_float64() -> None:
    P = np.full((300_000, 2), 0.5, np.float32)
    P[0] = [1e-30, 1]
    y = np.zeros(len(P), int)
    expected = surprisal(np.float64(P[0, 0])) + (len(P) - 1) * float(np.float32(np.log(2)))
    assert negative_log_likelihood(P, y) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("f", [cross_entropy_with_logits, residual])
@pytest.mark.parametrize(
    ("o", "Y", "told"),
    [
        ([[0.0, np.nan]], [0], "row 0 of o holds nan"),
        ([[0.0, np.inf]], [0], "row 0 of o holds inf"),
        ([[0.0, 0.0]], [2], r"y holds the code 2 \(row 0\)"),
        ([[0.0, 0.0]], [-1], r"y holds the code -1 \(row 0\)"),
        ([[0.0, 0.0]], [0.0], "integer codes from 0 to 1, but its dtype is float64"),
        ([[0.0, 0.0]], ["a"], "dtype is <U1"),
        ([[0.0, 0.0]], [[0.5, 0.6]], r"row 0 of y sums to 1\.1"),
        ([[0.0, 0.0]], [[-0.5, 1.5]], r"row 0 of y holds -0\.5"),
        ([[0.0, 0.0]], [0, 1], r"y has shape \(2,\), which does not fit \(1, 2\)"),
        ([[0.0, 0.0]], [[0.5, 0.25, 0.25]], r"y has shape \(1, 3\), which does not fit \(1, 2\)"),
        (np.zeros((3, 0)), [0, 0, 0], "there is no class"),
    ],
)
def test_what_does_not_fit_is_refused(f: Any, o: Any, Y: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        f(o, Y)


@pytest.mark.parametrize("f", [likelihood, negative_log_likelihood])
def test_the_likelihood_refuses_what_is_no_distribution(f: Any) -> None:
    with pytest.raises(ValueError, match=r"row 1 of P sums to 0\.9"):
        f([[0.5, 0.5], [0.5, 0.4]], [0, 0])
    with pytest.raises(ValueError, match="the code 5"):
        f([[0.5, 0.5]], [5])
    with pytest.raises(ValueError, match="does not fit"):
        f([[0.5, 0.5]], [0, 1])


def test_the_curvature_refuses_logits() -> None:
    with pytest.raises(ValueError, match=r"row 0 of P holds -1 .*use softmax"):
        curvature([[2.0, -1.0]])


def test_the_loss_has_one_meaning_by_two_roads() -> None:
    o = np.array([[0.3, -2.0, 1.0]])
    np.testing.assert_allclose(cross_entropy_with_logits(o, np.array([2])), -log_softmax(o)[:, 2])
