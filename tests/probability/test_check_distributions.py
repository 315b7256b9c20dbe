"""`check_probabilities`: what passes, what is refused, and how far rounding may move a sum."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softreg.probability import check_probabilities, softmax


@pytest.fixture(autouse=True)
def _no_warnings() -> Any:
    with warnings.catch_warnings(), np.errstate(all="warn", under="ignore"):
        warnings.simplefilter("error")
        yield


def test_a_distribution_comes_back_as_it_is() -> None:
    P = np.array([[0.1, 0.2, 0.7], [0, 0, 1]])
    assert check_probabilities(P) is P
    assert check_probabilities([[0, 1], [1, 0]]).dtype == np.float64
    assert check_probabilities([[0.25, 1.0], [0.75, 0.0]], axis=0).tolist() == [[0.25, 1.0], [0.75, 0.0]]


@pytest.mark.parametrize(
    ("P", "told"),
    [
        (
            [[0.5, 0.5], [0.5, 0.6]],
            r"row 1 of P sums to 1\.1, not to 1 .*divide each row by its sum.*softmax",
        ),
        (
            [[0.5, 0.5], [0.5, 0.500002]],
            r"row 1 of P sums to 1\.000002, not to 1 \(allowed difference: 1e-06",
        ),
        ([[0.5, 0.5], [0.0, 0.0]], "row 1 of P sums to 0, not to 1"),
        ([[1.5, -0.5]], r"row 0 of P holds -0\.5 \(and sums to 1\).*never negative.*softmax"),
        ([[1.0, 0.0], [np.nan, 1.0]], r"row 1 of P holds nan \(a missing value\)"),
        ([[1.0, 0.0], [np.inf, 0.0]], "row 1 of P holds an infinite value"),
        ([[1.0, -np.inf]], "row 0 of P holds an infinite value"),
        ([0.5, 0.4], r"^P sums to 0\.9, not to 1"),
        ([[[0.5, 0.5], [0.5, 0.4]]], r"row \(0, 1\) of P sums to 0\.9"),
        (np.zeros((2, 0)), "there is no class on axis -1"),
        (1.0, "single number 1.0"),
    ],
)
def test_what_is_no_distribution_is_refused(P: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        check_probabilities(P)


def test_the_name_and_the_allowance_are_the_callers() -> None:
    with pytest.raises(ValueError, match=r"row 0 of forecast sums to 1\.01"):
        check_probabilities([[0.5, 0.51]], name="forecast")
    assert check_probabilities([[0.5, 0.51]], atol=0.02).shape == (1, 2)


@given(st.integers(1, 2000), st.floats(0.1, 10), st.integers(0, 2**32 - 1))
def test_a_careless_float32_softmax_passes(q: int, scale: float, seed: int) -> None:
    o = (np.random.default_rng(seed).normal(size=(3, q)) * scale).astype(np.float32)
    e = np.exp(o - o.max(axis=1, keepdims=True))
    running_sum = np.cumsum(e, axis=1, dtype=np.float32)[:, -1:]  # no pairwise summation
    check_probabilities(e / running_sum)
    check_probabilities(softmax(o).astype(np.float16))


def test_float32_is_held_to_1e_6_for_a_few_classes() -> None:
    with pytest.raises(ValueError, match="row 0 of P sums to"):
        check_probabilities(np.float32([[0.5, 0.3, 0.200002]]))
