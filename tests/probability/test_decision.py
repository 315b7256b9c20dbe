"""Decisions: the most likely class, thresholds, costs, and no decision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softreg.probability import (
    above_threshold,
    expected_cost,
    least_expected_cost,
    most_likely,
    reject,
    softmax,
)


@st.composite
def logits(draw: Any) -> np.ndarray:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return rng.normal(size=(draw(st.integers(1, 5)), draw(st.integers(1, 5)))) * draw(st.floats(0.1, 20))


@given(logits())
def test_the_most_likely_class_is_the_same_before_and_after_softmax(o: np.ndarray) -> None:
    np.testing.assert_array_equal(most_likely(o), most_likely(softmax(o)))
    np.testing.assert_array_equal(most_likely(o.T, axis=0), most_likely(o))


@given(logits())
def test_cost_one_for_every_mistake_decides_for_the_most_likely(o: np.ndarray) -> None:
    q = o.shape[1]
    P = softmax(o)
    cost = 1 - np.eye(q)
    top_two = np.sort(P, axis=1)[:, -2:]
    clear = (q == 1) | (top_two[:, -1] - top_two[:, 0] > 1e-12)
    np.testing.assert_array_equal(least_expected_cost(P, cost)[clear], most_likely(P)[clear])
    np.testing.assert_allclose(expected_cost(P, cost).min(axis=1), 1 - P.max(axis=1), atol=1e-12)


@given(logits(), st.floats(0, 1))
def test_what_is_not_rejected_is_the_most_likely_class(o: np.ndarray, t: float) -> None:
    P = softmax(o)
    decided = reject(P, t)
    sure = P.max(axis=1) >= t
    np.testing.assert_array_equal(decided[sure], most_likely(P)[sure])
    assert (decided[~sure] == -1).all()


@given(st.floats(0, 1), st.floats(0.01, 100), st.floats(0.01, 100))
def test_the_threshold_of_two_costs(p: float, false_alarm: float, miss: float) -> None:
    threshold = false_alarm / (false_alarm + miss)
    if abs(p - threshold) > 1e-9:
        P = [1 - p, p]
        cost = [[0, false_alarm], [miss, 0]]
        assert bool(above_threshold(P, threshold)) == bool(least_expected_cost(P, cost))


def test_of_equals_the_first_is_taken() -> None:
    assert most_likely([[0.4, 0.4, 0.2], [0.2, 0.4, 0.4], [1 / 3] * 3]).tolist() == [0, 1, 0]
    assert reject([[0.5, 0.5]], 0.5).tolist() == [0]
    assert least_expected_cost([[0.5, 0.5]], [[0, 1, 0.5], [1, 0, 0.5]]).tolist() == [0]
    # at the threshold is not above it, so that 0.5 decides as argmax does
    assert above_threshold([[0.5, 0.5]], 0.5).tolist() == [False]


def test_logits_tell_apart_what_probabilities_cannot() -> None:
    o = np.array([0.0, 1e-17])
    assert softmax(o).tolist() == [0.5, 0.5]
    assert most_likely(o) == 1


def test_costs_by_hand() -> None:
    # healthy or ill; decisions: send home, treat, examine. cost[true, decided]
    cost = [[0, 30, 5], [100, 10, 15]]
    P = [[0.99, 0.01], [0.9, 0.1], [0.2, 0.8]]
    np.testing.assert_allclose(expected_cost(P, cost), [[1, 29.8, 5.1], [10, 28, 6], [80, 14, 13]], rtol=1e-14)
    assert least_expected_cost(P, cost).tolist() == [0, 2, 2]
    assert least_expected_cost([0.05, 0.95], cost) == 1
    assert least_expected_cost([0.5, 0.5], [[-1], [-2]]) == 0  # gains, and only one decision


def test_thresholds_by_hand() -> None:
    P = [[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]]
    assert above_threshold(P, 0.25).tolist() == [False, True]
    assert above_threshold(P, 0.25, positive=0).tolist() == [True, False]
    assert above_threshold(P, 0.0, positive=2).tolist() == [True, True]
    assert above_threshold([[0.0, 1.0]], 1.0).tolist() == [False]
    assert reject(P, 0.65).tolist() == [0, -1]
    assert reject(P, 0.0).tolist() == [0, 2]
    assert reject([[0.0, 1.0]], 1.0).tolist() == [1]


def test_shapes_one_row_and_none() -> None:
    P = np.full((2, 4, 3), 1 / 3)
    assert most_likely(P).shape == reject(P, 0.5).shape == above_threshold(P, 0.5).shape == (2, 4)
    assert expected_cost(P, np.ones((3, 2))).shape == (2, 4, 2)
    assert least_expected_cost(P, np.ones((3, 2))).shape == (2, 4)
    none = np.zeros((0, 3))
    assert most_likely(none).shape == reject(none, 0.5).shape == least_expected_cost(none, np.eye(3)).shape == (0,)
    assert above_threshold(none, 0.5).shape == (0,)
    assert most_likely([0.1, 0.9]) == 1
    assert reject([0.4, 0.6], 0.9) == -1
    assert most_likely([[-np.inf, -5.0]]).tolist() == [1]


def test_float32_costs_are_summed_in_float64() -> None:
    P = softmax(np.float32([[0.1, 0.2]]))
    assert expected_cost(P, [[0, 1], [1, 0]]).dtype == np.float32
    # the two decisions differ by less than float32 resolves at this size
    assert least_expected_cost(np.float32([[0.5, 0.5]]), [[1e9, 1e9], [1e9, 1e9 - 1]]).tolist() == [1]


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: most_likely([[0.0, 1.0], [np.nan, 0.0]]), "row 1 of scores holds nan"),
        (lambda: most_likely([[0.0, np.inf]]), "row 0 of scores holds inf"),
        (lambda: most_likely([[-np.inf, -np.inf]]), "row 0 of scores: no class"),
        (lambda: most_likely(np.zeros((2, 0))), "there is no class"),
        (lambda: above_threshold([[0.5, 0.6]], 0.5), r"row 0 of P sums to 1\.1"),
        (lambda: above_threshold([[0.5, 0.5]], 50), "threshold is 50, but .* between 0 and 1"),
        (lambda: above_threshold([[0.5, 0.5]], float("nan")), "threshold is nan"),
        (
            lambda: above_threshold([[0.5, 0.5]], 0.5, positive=2),
            "positive holds the code 2, but with 2 classes",
        ),
        (lambda: above_threshold([[0.5, 0.5]], 0.5, positive=-1), "positive holds the code -1"),
        (lambda: reject([[0.5, 0.5]], -0.1), r"threshold is -0\.1"),
        (lambda: reject([[2.0, -1.0]], 0.5), "row 0 of P holds -1 "),
        (lambda: least_expected_cost([[0.5, 0.6]], np.eye(2)), r"row 0 of P sums to 1\.1"),
        (
            lambda: least_expected_cost([[0.5, 0.5]], np.eye(3)),
            r"cost has shape \(3, 3\).* each of the 2 classes",
        ),
        (lambda: expected_cost([[0.5, 0.5]], [1, 2]), r"cost has shape \(2,\)"),
        (lambda: expected_cost([[0.5, 0.5]], np.zeros((2, 0))), r"cost has shape \(2, 0\)"),
        (
            lambda: expected_cost([[0.5, 0.5]], [[0, 1], [np.inf, 0]]),
            r"cost\[1, 0\] is inf.*far above the others",
        ),
        (lambda: expected_cost([[0.5, 0.5]], [[0, np.nan], [1, 0]]), r"cost\[0, 1\] is nan"),
    ],
)
def test_what_cannot_be_decided_is_refused(call: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        call()
