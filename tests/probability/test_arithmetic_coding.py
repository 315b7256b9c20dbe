"""The arithmetic coder: what comes out is what went in, and its size is the summed surprisal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softreg.probability import decode_labels, encode_labels, softmax


def bits_of(P: np.ndarray, y: np.ndarray) -> float:
    return float(-np.log2(P[np.arange(len(y)), y]).sum())


@pytest.mark.parametrize(("q", "scale"), [(2, 0.5), (2, 4.0), (10, 2.0), (200, 3.0)])
def test_the_size_is_the_cross_entropy(q: int, scale: float) -> None:
    random = np.random.default_rng(q)
    P = softmax(scale * random.normal(size=(5000, q)))
    y = np.minimum((P.cumsum(axis=1) < random.random((5000, 1))).sum(axis=1), q - 1)
    packed = encode_labels(y, P)
    assert np.array_equal(decode_labels(packed, P), y)
    assert bits_of(P, y) - 8 <= 8 * len(packed) <= 1.001 * bits_of(P, y) + 64


@given(st.integers(0, 2**32 - 1), st.integers(0, 80), st.integers(1, 6), st.sampled_from([0.01, 0.1, 1.0, 10.0]))
def test_any_labels_come_back(seed: int, n: int, q: int, spread: float) -> None:
    random = np.random.default_rng(seed)
    P, y = random.dirichlet(np.full(q, spread), size=n), random.integers(q, size=n)
    packed = encode_labels(y, P)
    assert np.array_equal(decode_labels(packed, P), y)
    cost = -np.log2(np.maximum(P[np.arange(n), y], 2.0**-32)).sum()
    assert 8 * len(packed) <= 1.001 * cost + 64


def test_sure_labels_take_no_room() -> None:
    P = np.tile([1.0, 0.0], (1000, 1))
    assert encode_labels([0] * 1000, P) == b""
    assert decode_labels(b"", P).tolist() == [0] * 1000
    assert encode_labels([], np.zeros((0, 2))) == b""


def test_what_was_impossible_costs_32_bits() -> None:
    P = np.tile([1.0, 0.0], (100, 1))
    y = np.arange(100) % 10 == 0
    packed = encode_labels(y.astype(int), P)
    assert decode_labels(packed, P).tolist() == y.astype(int).tolist()
    assert 8 * len(packed) <= 10 * 32 + 64


def test_a_long_row_of_carries() -> None:
    P = np.tile([1 - 2.0**-20, 2.0**-20], (2000, 1))
    for y in (np.ones(2000, dtype=int), np.r_[np.ones(1999, dtype=int), 0], np.arange(2000) % 2):
        assert np.array_equal(decode_labels(encode_labels(y, P), P), y)


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(ValueError, match="one code for each of 2 rows"):
        encode_labels([0], [[0.5, 0.5]] * 2)
    with pytest.raises(ValueError, match="2"):
        encode_labels([2], [[0.5, 0.5]])
    with pytest.raises(ValueError, match=r"P must be a matrix"):
        decode_labels(b"", [0.5, 0.5])
