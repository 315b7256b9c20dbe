"""The exact test of calibration and the debiased error: by hand, against brute force, and over many draws."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softreg.probability import brier, calibration_error, check_calibration, softmax


def draws(seed: int, n: int = 1000, q: int = 10, scale: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn from their softmax."""
    random = np.random.default_rng(seed)
    o = random.normal(scale=scale, size=(n, q))
    codes = (softmax(o).cumsum(axis=1) < random.random((n, 1))).sum(axis=1)
    return o, np.minimum(codes, q - 1)


def test_calibrated_probabilities_are_rejected_as_often_as_promised_and_their_error_averages_nothing() -> None:
    rejected, errors, tops = 0, [], []
    for seed in range(200):
        o, y = draws(seed)
        check = check_calibration(softmax(o), y, draws=199)
        rejected += check.p_value <= 0.05
        errors.append(check.error)
        tops.append(check.top_error)
    assert 0.03 <= rejected / 200 <= 0.08
    for error in (errors, tops):
        assert abs(np.mean(error)) < 2.5 * np.std(error) / np.sqrt(200)


def test_doubled_logits_are_always_rejected_and_their_error_is_seen() -> None:
    for seed in range(40):
        o, y = draws(seed)
        check = check_calibration(softmax(2 * o), y, draws=99)
        assert check.p_value == 0.01
        assert check.confidence > 5
        assert check.error > 5 * check.error_by_chance
    o, y = draws(0)
    assert check_calibration(softmax(0.5 * o), y, draws=99).confidence < -5


def test_what_a_temperature_does_not_explain_is_found_class_by_class() -> None:
    found = 0
    for seed in range(20):
        o, y = draws(seed, n=2000, q=4)
        wrong = softmax(o + np.array([0.4, -0.4, 0.0, 0.0]))  # two classes are given too much and too little
        found += check_calibration(wrong, y, draws=199).p_classes <= 0.05
    assert found >= 18


@pytest.mark.parametrize("q", [2, 3, 40])
def test_rare_classes_do_not_spoil_the_level(q: int) -> None:
    rejected = 0
    for seed in range(100):
        o, y = draws(seed, n=150, q=q, scale=4.0)  # most probabilities near 0: no bin is near normal
        rejected += check_calibration(softmax(o), y, draws=199).p_value <= 0.05
    assert rejected <= 12


def test_error_is_the_pairwise_sum_of_its_definition() -> None:
    o, y = draws(3, n=30, q=2)
    P = softmax(o)
    r, by_hand = P - np.eye(2)[y], 0.0
    for k, upper in itertools.product(range(2), (False, True)):  # a bin of each half
        rows = np.flatnonzero((P[:, k] >= 0.5) == upper)
        pairs = [(i, j) for i, j in itertools.product(rows, repeat=2) if i != j]
        by_hand += sum(r[i, k] * r[j, k] for i, j in pairs) / (30 * (len(rows) - 1))
    assert calibration_error(P, y, bins=1) == pytest.approx(by_hand, abs=1e-14)


def test_error_by_hand() -> None:
    # r is 0.4 on average: 50 residuals of 0.9 and 50 of -0.1, in both classes
    pairs = (40**2 - 50 * 0.81 - 50 * 0.01) / (100 * 99)
    assert calibration_error([[0.9, 0.1]] * 100, [0] * 50 + [1] * 50) == pytest.approx(2 * pairs)


def test_with_constant_probabilities_the_error_is_what_the_rates_would_gain() -> None:
    y = np.repeat([0, 1], [3000, 7000])
    P, rates = np.tile([0.5, 0.5], (10_000, 1)), np.tile([0.3, 0.7], (10_000, 1))
    assert calibration_error(P, y) == pytest.approx(brier(P, y) - brier(rates, y), abs=1e-4)


def test_an_impossible_label_is_a_proof() -> None:
    check = check_calibration([[1.0, 0.0], [0.5, 0.5]] * 20, [1, 0] * 20, draws=99)
    assert check.p_value == 0.01
    assert check.confidence == np.inf


def test_sure_and_right_is_no_complaint() -> None:
    check = check_calibration(np.eye(3)[[0, 1, 2, 0]], [0, 1, 2, 0], draws=99)
    assert (check.p_value, check.confidence, check.error) == (1.0, 0.0, 0.0)


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(2, 5))
def test_the_order_of_rows_and_classes_does_not_matter_to_the_error(seed: int, n: int, q: int) -> None:
    random = np.random.default_rng(seed)
    P, y = softmax(random.normal(size=(n, q)).round(int(seed % 3))), random.integers(q, size=n)
    rows, classes = random.permutation(n), random.permutation(q)
    place = np.argsort(classes)
    assert calibration_error(P[rows], y[rows]) == pytest.approx(calibration_error(P, y), abs=1e-12)
    assert calibration_error(P[:, classes], place[y]) == pytest.approx(calibration_error(P, y), abs=1e-12)


def test_the_same_seed_gives_the_same_answer() -> None:
    o, y = draws(1, n=200)
    assert check_calibration(softmax(o), y, draws=99) == check_calibration(softmax(o), y, draws=99)


@pytest.mark.parametrize(
    ("P", "codes", "message"),
    [([[0.5, 0.6]], [0], "sum"), ([[0.5, 0.5]], [2], "2"), ([[0.5, 0.5]], [0, 1], "one code for each of 1 rows"),
     (np.zeros((0, 2)), [], "at least one row")],
)  # fmt: skip
def test_bad_input_is_named(P: list, codes: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_calibration(P, codes)
