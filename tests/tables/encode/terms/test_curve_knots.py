"""Knots of curves, and the shares of the rows at them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from softreg.tables.encode.terms.curve_basis import KNOTS, curve_knots


@pytest.mark.parametrize("unit", [1e6, 0.1, 1 / 3, -1.0, -1e-9])
@pytest.mark.parametrize("shift", [0.0, 3.0])
def test_shares_have_no_unit_and_no_direction(unit: float, shift: float) -> None:
    x = np.random.default_rng(0).uniform(-3, 3, 400).round(2)  # many numbers are in the middle between two knots
    knots, share = curve_knots(x)
    other_knots, other_share = curve_knots(unit * x + shift)
    order = np.argsort(unit * knots + shift)
    np.testing.assert_array_equal(other_knots, (unit * knots + shift)[order])
    np.testing.assert_allclose(other_share, share[order], atol=1e-12)


def test_a_number_in_the_middle_counts_half_for_each_knot() -> None:
    x = np.arange(2 * KNOTS + 1.0)
    knots, share = curve_knots(x)
    assert len(knots) == KNOTS
    assert share.sum() == pytest.approx(1)
    nearest = np.abs(x[:, None] - knots)
    ties = nearest == nearest.min(axis=1, keepdims=True)
    np.testing.assert_allclose(share, (ties / ties.sum(axis=1, keepdims=True)).mean(axis=0))
    assert (ties.sum(axis=1) == 2).any()


@pytest.mark.parametrize("x", [[], [np.nan, np.inf], [2.0, 2.0, np.nan]])
def test_none_or_one_number(x: list[float]) -> None:
    knots, share = curve_knots(np.array(x))
    assert knots.tolist() == [2.0] * (len(x) == 3)
    assert share.tolist() == [1.0] * len(knots)


@pytest.mark.parametrize("zeros", [0.5, 0.9, 0.99])
def test_a_spike_takes_one_knot(zeros: float) -> None:
    random = np.random.default_rng(0)
    n = 20_000
    x = np.where(random.random(n) < zeros, 0.0, random.lognormal(size=n))
    knots, share = curve_knots(x)
    assert knots[0] == 0
    assert knots[-1] == x.max()
    assert KNOTS - 2 <= len(knots) <= KNOTS
    assert share[0] == pytest.approx(zeros, abs=0.02)
    positive = np.sort(x[x > 0])
    ranks = np.searchsorted(positive, knots[1:-1]) / len(positive)  # the other rows are divided evenly
    assert np.diff(ranks).max() < 2 / KNOTS


def test_several_spikes_each_have_a_knot() -> None:
    random = np.random.default_rng(1)
    x = np.concatenate([random.normal(size=1_000), np.repeat([0.5, 7.0, -3.0], 5_000)])
    knots, share = curve_knots(x)
    assert {0.5, 7.0, -3.0} <= set(knots.tolist())
    assert len(knots) >= KNOTS - 4
    assert share.sum() == pytest.approx(1)


def test_numbers_without_spikes_have_their_quantiles() -> None:
    x = np.random.default_rng(2).normal(size=5_000)
    knots, _ = curve_knots(x)
    probabilities = (np.arange(KNOTS - 2) + 0.5) / (KNOTS - 2)
    assert_array_equal(knots[1:-1], np.quantile(x, probabilities, method="nearest"))


def test_few_distinct_numbers_are_all_knots_and_few_knots_hold_few_numbers() -> None:
    x = np.array([1.0, 1.0, 2.0, np.nan, np.inf, 9.0])
    assert curve_knots(x)[0].tolist() == [1.0, 2.0, 9.0]
    x = np.repeat(np.arange(10.0), [50, 40, 30, 1, 1, 1, 1, 1, 1, 1])
    for most in (2, 3, 4, 5):
        knots, share = curve_knots(x, most)
        assert 2 <= len(knots) <= most + 1
        assert_allclose(share.sum(), 1)
        assert knots[0] == 0
        assert knots[-1] == 9
