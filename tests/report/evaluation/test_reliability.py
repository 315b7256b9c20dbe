"""The null band: exact, and what it says of calibrated and overconfident models."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from softreg.probability import softmax
from softreg.report import audit, reliability_curve
from softreg.report.evaluation.reliability import central_interval, poisson_binomial
from softreg.report.evaluation.reliability_text import reliability_sentence


@pytest.mark.parametrize("n", [1, 2, 3, 7, 64, 1001])
def test_equal_trials_are_binomial(n: int) -> None:
    exact = scipy.stats.binom.pmf(np.arange(n + 1), n, 0.3)
    assert np.abs(poisson_binomial(np.full(n, 0.3)) - exact).max() < 1e-14


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_unequal_trials_against_all_outcomes(p: list[float]) -> None:
    expected = np.zeros(len(p) + 1)
    for outcome in itertools.product([0, 1], repeat=len(p)):
        expected[sum(outcome)] += np.prod([q if hit else 1 - q for q, hit in zip(p, outcome, strict=True)])
    assert poisson_binomial(p) == pytest.approx(expected, abs=1e-14)


def test_no_trials_never_succeed() -> None:
    assert poisson_binomial([]).tolist() == [1.0]


def test_interval_by_hand() -> None:
    # 5 fair coins: P(0) = 1/32 = 0.031 > 0.025, so nothing can be cut off
    assert central_interval(poisson_binomial([0.5] * 5)) == (0, 5)
    # 6 fair coins: P(0) = 1/64 = 0.016 < 0.025 falls outside
    assert central_interval(poisson_binomial([0.5] * 6)) == (1, 5)
    assert central_interval(poisson_binomial([1.0] * 50)) == (50, 50)
    assert central_interval(poisson_binomial([0.0] * 50)) == (0, 0)


def test_rare_events_are_not_normal() -> None:
    # a million trials of 1e-6 are Poisson(1): P(X <= 3) = 0.981
    assert central_interval(poisson_binomial(np.full(2**18, 2.0**-18))) == (0, 3)


def test_bins_by_hand() -> None:
    curve = reliability_curve([0.0, 0.3, 0.35, 0.9, 1.0], [0, 1, 0, 1, 1])
    assert curve.count.tolist() == [1, 0, 0, 2, 0, 0, 0, 0, 0, 2]  # an edge belongs to the bin above it
    assert curve.predicted[3] == pytest.approx(0.325)
    assert curve.observed[[0, 3, 9]].tolist() == [0.0, 0.5, 1.0]
    assert np.isnan(curve.predicted[1])
    assert np.isnan(curve.low[1])
    assert not curve.outside.any()


def test_certain_and_wrong_lies_outside() -> None:
    assert reliability_curve([1.0], [0]).outside.tolist() == [False] * 9 + [True]


def test_bad_probabilities_are_named() -> None:
    with pytest.raises(ValueError, match=r"row 1 has 1\.5"):
        reliability_curve([0.5, 1.5], [0, 1])
    with pytest.raises(ValueError, match="row 0 has nan"):
        reliability_curve([np.nan], [0])
    with pytest.raises(ValueError, match=r"equal length.*\(2,\), \(1,\)"):
        reliability_curve([0.5, 0.5], [1])


def draws(seed: int, n: int = 1500, q: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn from their softmax."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(scale=1.5, size=(n, q))
    codes = (softmax(logits).cumsum(axis=1) < generator.random((n, 1))).sum(axis=1)
    return logits, np.minimum(codes, q - 1)


def test_calibrated_bins_lie_within_their_band_about_95_times_in_100() -> None:
    outside = filled = 0
    for seed in range(120):
        logits, codes = draws(seed)
        curve = audit(softmax(logits), codes, "wxyz").reliability[0]
        outside, filled = outside + int(curve.outside.sum()), filled + int(curve.filled.sum())
    assert filled > 800
    assert 0.025 < outside / filled < 0.055  # counts are whole numbers, so the band holds a little more than 95%


def test_bins_of_overconfident_models_lie_outside_below() -> None:
    for seed in range(60):
        logits, codes = draws(seed)
        over = audit(softmax(2 * logits), codes, "wxyz").reliability[0]
        assert over.outside.sum() >= 4
        assert (over.observed < over.predicted)[over.outside].all()


def test_one_great_departure_is_enough() -> None:
    curve = reliability_curve([0.85] * 100 + [0.15] * 10, [1] * 50 + [0] * 50 + [0] * 10)
    assert curve.outside.sum() == 1
    assert curve.p_value[8] < 1e-10


def test_p_value_by_hand() -> None:
    # 0 of 6 fair coins: 2 / 64; 3 of 6 lies in the middle
    assert reliability_curve([0.5] * 6, [0] * 6).p_value[5] == pytest.approx(2 / 64)
    assert reliability_curve([0.5] * 6, [0, 1] * 3).p_value[5] == 1.0


def test_the_words_of_a_curve_name_the_bin_of_most_weight() -> None:
    curve = reliability_curve([0.85] * 100 + [0.15] * 10, [1] * 50 + [0] * 50 + [0] * 10)
    said = reliability_sentence(curve)
    assert said.startswith(
        "1 of 2 bins lie within their bands. If the probabilities are right, on average at most 1 bin in 20"
    )
    assert "between 80% and 90%: the mean probability is 85.0%, the observed frequency 50.0%" in said
