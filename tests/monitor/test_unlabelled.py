"""Class rates by EM with intervals, drift of columns, and figures of a batch."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq

from softreg.monitor.batch_summary import BatchSummary, summarize_batch
from softreg.monitor.class_rates import class_rates
from softreg.monitor.column_drift import ColumnReference, compare_column, corrected_level
from softreg.probability import softmax


def shifted(seed: int, n: int, rates: list[float]) -> np.ndarray:
    """Probabilities under equal rates of rows with other rates."""
    random, K = np.random.default_rng(seed), len(rates)
    y = random.choice(K, n, p=rates)
    return softmax(1.5 * (random.normal(size=(n, K)) + 1.5 * np.eye(K)[y]))


def test_intervals_are_near_those_of_the_profile_likelihood() -> None:
    P = shifted(0, 2000, [0.7, 0.3])
    interval = class_rates(P, np.array([0.5, 0.5]))[0]

    def fall(rate: float) -> float:
        def log_likelihood(r: float) -> float:
            return float(np.log(P @ np.array([r, 1 - r])).sum())

        return log_likelihood(interval.value) - log_likelihood(rate) - 3.841458820694124 / 2

    assert interval.low == pytest.approx(brentq(fall, 0.01, interval.value), abs=2e-3)
    assert interval.high == pytest.approx(brentq(fall, interval.value, 0.99), abs=2e-3)


def test_intervals_cover_the_rates() -> None:
    rates = [0.6, 0.3, 0.1]
    covered = np.array(
        [
            [
                i.low <= r <= i.high
                for i, r in zip(class_rates(shifted(s, 300, rates), np.full(3, 1 / 3)), rates, strict=True)
            ]
            for s in range(200)
        ]
    )
    assert (covered.mean(axis=0) > 0.95 - 3 * np.sqrt(0.05 * 0.95 / 200)).all()
    assert covered.mean() < 0.995


def test_an_absent_class_has_an_interval_from_zero() -> None:
    P = shifted(1, 400, [1.0, 0.0])
    present, absent = class_rates(P, np.array([0.5, 0.5]))
    assert absent.low == 0
    assert 0 < absent.high < 0.1
    assert present.high == 1
    assert present.low == pytest.approx(1 - absent.high, abs=1e-6)


def test_many_classes_have_no_intervals() -> None:
    rates = class_rates(np.full((3, 300), 1 / 300), np.full(300, 1 / 300))
    assert len(rates) == 300
    assert np.isnan(rates[0].low)


def number(seed: int, n: int, mean: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, 1.0, n)


def levels(*counts: int) -> np.ndarray:
    values = [[name] * count for name, count in zip(["a", "b", None, "new"], counts, strict=False)]
    return np.array([value for group in values for value in group], dtype=object)


@pytest.mark.parametrize(
    ("before", "now", "bin_"),
    [
        (number(0, 800), number(1, 400, 0.6), ""),
        (number(0, 800), np.where(np.arange(400) < 100, np.nan, number(1, 400)), "(missing)"),
        (levels(300, 300), levels(100, 250), "a"),
        (levels(300, 300), levels(100, 100, 0, 60), "(other)"),
        (levels(300, 300), levels(100, 100, 60), "(missing)"),
        (np.full(300, 7.0), np.full(300, 9.0), ""),
    ],
)
def test_changes_are_found(before: np.ndarray, now: np.ndarray, bin_: str) -> None:
    change = compare_column(ColumnReference.of("x", before), now, 1e-4)
    assert change.changed
    assert change.largest == bin_ or not bin_
    assert change.low <= change.share_now - change.share_before <= change.high
    assert change.distance > 0.05


def test_unchanged_columns_reject_at_the_level() -> None:
    random, found = np.random.default_rng(0), 0
    for _ in range(400):
        before = ColumnReference.of("x", random.standard_cauchy(300))
        found += compare_column(before, random.standard_cauchy(150), 0.05).changed
    assert 0.02 < found / 400 < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)


def test_the_interval_of_the_mean_is_welchs() -> None:
    from scipy.stats import ttest_ind

    before, now = number(0, 200), number(1, 90, 0.5)
    change = compare_column(ColumnReference.of("x", before), now, 0.05)
    expected = ttest_ind(now, before, equal_var=False).confidence_interval(0.95)
    assert (change.mean_low, change.mean_high) == pytest.approx((expected.low, expected.high))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "values",
    [np.full(5, np.nan), np.array([1e308, -1e308, 9e307]), np.array([np.inf, 1.0]), np.full(4, None, dtype=object)],
)
def test_columns_without_values_can_be_compared(values: np.ndarray) -> None:
    change = compare_column(ColumnReference.of("x", values), values, 0.05)
    assert change.p_value == 1
    assert not change.changed


def test_the_levels_of_all_columns_and_looks_sum_to_alpha() -> None:
    total = sum(7 * corrected_level(0.05, 7, look) for look in range(1, 100_000))
    assert total == pytest.approx(0.05, rel=1e-4)
    assert total < 0.05


def test_expected_scores_are_those_of_right_probabilities() -> None:
    random = np.random.default_rng(0)
    P = softmax(2 * random.normal(size=(4000, 3)))
    codes = np.minimum((P.cumsum(axis=1) < random.random((4000, 1))).sum(axis=1), 2)
    codes[:100] = -1
    summary = summarize_batch("May", P, codes, P.mean(axis=0), ())
    assert summary.labelled == 3900
    assert summary.log_loss is not None
    assert summary.accuracy is not None
    assert summary.log_loss.low < summary.expected_log_loss.value < summary.log_loss.high
    assert summary.accuracy.low < summary.expected_accuracy.value < summary.accuracy.high
    assert BatchSummary.from_state(summary.to_state()) == summary


def test_one_row_and_one_class_have_wide_intervals() -> None:
    summary = summarize_batch("one", np.array([[0.25, 0.75]]), np.array([1]), np.array([0.5, 0.5]), ())
    assert summary.expected_log_loss.low == 0
    assert summary.expected_accuracy.high == 1
    certain = summarize_batch("sure", np.tile([1.0, 0.0], (3, 1)), np.array([1, 0, 0]), np.array([0.5, 0.5]), ())
    assert certain.log_loss is not None
    assert np.isfinite(certain.log_loss.value)
