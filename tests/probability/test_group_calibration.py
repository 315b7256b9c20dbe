"""The gain by class offsets against a general optimiser, and the test of a group of rows."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from softreg.probability import log_softmax, softmax
from softreg.probability.bootstrap_intervals import label_drawer
from softreg.probability.class_offsets import ClassCounts, offset_gains, offset_gap
from softreg.probability.group_calibration import check_group


def draws_of(P: np.ndarray, random: np.random.Generator, count: int = 199) -> np.ndarray:
    labels = label_drawer(P)(random, count)
    return np.stack([(labels == k).sum(axis=1) for k in range(P.shape[1])], axis=1)


@pytest.mark.parametrize(("n", "q", "scale"), [(40, 2, 1.0), (200, 4, 2.0), (100, 3, 5.0)])
def test_the_gain_is_the_largest_decrease_of_the_log_loss(n: int, q: int, scale: float) -> None:
    random = np.random.default_rng(n)
    P = softmax(scale * random.normal(size=(n, q)))
    y = random.integers(q, size=n)
    at = np.arange(n)

    def loss(b: np.ndarray) -> float:
        return float(-log_softmax(np.log(P) + b)[at, y].sum())

    best = minimize(loss, np.zeros(q), method="BFGS", options={"gtol": 1e-8})
    gain, offsets = offset_gains(P, np.bincount(y, minlength=q)[None])
    assert gain[0] == pytest.approx(loss(np.zeros(q)) - best.fun, rel=1e-4)
    assert loss(offsets[0]) == pytest.approx(best.fun, rel=1e-4)


def test_the_gain_of_a_class_that_never_occurs_is_finite() -> None:
    P = np.tile([0.5, 0.3, 0.2], (50, 1))
    gain, offsets = offset_gains(P, np.array([[25, 25, 0]]))
    assert np.isfinite(offsets).all()
    assert gain[0] == pytest.approx(25 * np.log(0.5 / 0.5) + 25 * np.log(0.5 / 0.3), rel=1e-2)


def test_half_the_chi_square_is_nearly_the_gain_of_many_rows() -> None:
    random = np.random.default_rng(1)
    P = softmax(random.normal(size=(5000, 3)))
    counts = draws_of(P, random, 50)
    gain = offset_gains(P, counts)[0]
    assert ClassCounts(P).chi_squares(counts) / 2 == pytest.approx(gain, rel=0.1, abs=0.02)


def test_the_interval_of_the_gap_covers_and_its_limit_has_its_level() -> None:
    random, covered, above, samples = np.random.default_rng(2), 0, 0, 300
    offset = np.array([0.0, 0.5])
    many = softmax(1.5 * random.normal(size=(100_000, 2)))
    true = softmax(np.log(many) + offset)
    gap = float((true * (np.log(true) - np.log(many))).sum(axis=1).mean())
    for _ in range(samples):
        P = softmax(1.5 * random.normal(size=(150, 2)))
        y = (random.random(150) < softmax(np.log(P) + offset)[:, 1]).astype(int)
        found = offset_gap(P, np.bincount(y, minlength=2), draws_of(P, random))
        covered += found.gap.low <= gap <= found.gap.high
        right = draws_of(P, random, 1)[0]
        at_chance = offset_gap(P, right, draws_of(P, random))
        above += at_chance.gap.value > at_chance.by_chance
    assert 0.91 < covered / samples < 0.985
    assert above / samples < 0.085


def test_the_test_keeps_its_level_and_finds_a_shifted_group() -> None:
    random, right, off = np.random.default_rng(3), [], []
    for _ in range(200):
        P = softmax(1.5 * random.normal(size=(60, 3)))
        y = np.minimum((P.cumsum(axis=1) < random.random((60, 1))).sum(axis=1), 2)
        right.append(check_group(P, y, draws=199).p_value)
        shifted = softmax(np.log(P) + np.array([0.0, 0.0, 1.5]))
        z = np.minimum((shifted.cumsum(axis=1) < random.random((60, 1))).sum(axis=1), 2)
        off.append(check_group(P, z, draws=199).p_value)
    assert np.mean(np.array(right) <= 0.05) < 0.1
    assert np.mean(np.array(right) <= 0.5) < 0.6
    assert np.mean(np.array(off) <= 0.05) > 0.9


def test_a_label_of_probability_0_has_the_least_p_value_and_an_infinite_gap() -> None:
    P = np.array([[1.0, 0.0]] * 20 + [[0.5, 0.5]] * 20)
    check = check_group(P, [1] + [0] * 29 + [1] * 10, draws=199)
    assert check.p_value == 1 / 200
    certain = check_group(np.tile([1.0, 0.0], (40, 1)), [1] + [0] * 39, draws=199)
    assert certain.p_value == 1 / 200
    assert check_group(np.tile([1.0, 0.0], (40, 1)), [0] * 40, draws=199).p_value == 1


def test_the_smallest_groups_and_many_classes() -> None:
    assert check_group([[0.5, 0.5]], [0], draws=199).p_value == 1
    random = np.random.default_rng(4)
    P = softmax(random.normal(size=(300, 60)))
    y = np.minimum((P.cumsum(axis=1) < random.random((300, 1))).sum(axis=1), 59)
    check = check_group(P, y, draws=199)
    assert check.p_value > 0.01
    assert check.gap.low <= check.gap.value <= check.gap.high
    assert check_group(P, np.zeros(300, dtype=int), draws=199).p_value == 1 / 200


@pytest.mark.parametrize(
    ("P", "codes", "message"),
    [
        (np.zeros((0, 2)), [], "at least one row"),
        ([[0.5, 0.5]] * 2, [0], "one code for each of 2 rows"),
        ([[0.5, 0.6]], [0], "sum"),
    ],
)
def test_bad_input_is_an_error(P: object, codes: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_group(P, codes)  # type: ignore[arg-type]
