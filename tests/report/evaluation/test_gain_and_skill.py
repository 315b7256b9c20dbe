"""Intervals of small and skewed samples: the gain by recalibration, the explained entropy, costs, calibration error."""

from __future__ import annotations

import numpy as np
import pytest

from softreg.probability import Interval, check_calibration, softmax
from softreg.probability.intervals import mean_interval
from softreg.report import audit
from softreg.report.evaluation.gain_and_skill import RecalibrationGain
from softreg.report.page.column_tables import few_events_sentence


def events(random: np.random.Generator, n: int, rate: float = -3.6) -> tuple[np.ndarray, np.ndarray]:
    P = softmax(np.column_stack([np.zeros(n), rate + 1.2 * random.normal(size=n)]))
    return P, (random.random(n) < P[:, 1]).astype(int)


def test_skill_of_few_events_keeps_its_level() -> None:
    """5% events in 50 rows: the linearized ratio alone contained the truth in 84% of samples."""
    random = np.random.default_rng(0)
    P, y = events(random, 200_000)
    truth = audit(P, y, range(2)).skill
    held = 0
    for _ in range(120):
        found = audit(*events(random, 50), range(2)).calibration.skill
        held += found.low <= truth <= found.high
    assert held >= 109


def test_rows_of_one_class_do_not_tell_the_skill() -> None:
    found = audit([[0.9, 0.1]] * 40, [0] * 40, ["a", "b"]).calibration.skill
    assert (found.low, found.high) == (-np.inf, 1.0)
    known = audit([[0.9, 0.1]] * 40, [0] * 40, ["a", "b"], class_rates=[0.5, 0.5]).calibration.skill
    assert known.low > 0.5


def test_a_needless_recalibration_leaves_the_gap_an_interval() -> None:
    """Its first-order interval has no width where the recalibration happens to be the identity."""
    none = RecalibrationGain(np.zeros(1000), np.zeros(1000), parameters=3, mistakes=200)
    loss = Interval(0.5, 0.4, 0.6)
    for found in (none.log_loss_interval(Interval(0, 0, 0), loss), none.brier_interval(Interval(0, 0, 0), loss)):
        assert found.high == -found.low == pytest.approx(1.06 * np.sqrt(3) / 1000)
    few = RecalibrationGain(np.zeros(1000), np.zeros(1000), parameters=1, mistakes=10)
    assert few.log_loss_interval(Interval(0, 0, 0), loss) == Interval(0, -np.inf, 0.6)
    groups = np.arange(1000) // 10
    grouped = RecalibrationGain(np.zeros(1000), np.zeros(1000), parameters=1, mistakes=200, groups=groups)
    assert grouped.log_loss_interval(Interval(0, 0, 0), loss).high == pytest.approx(1.06 / 100)


def test_interval_of_a_skewed_mean() -> None:
    random = np.random.default_rng(1)
    held = np.zeros(2)
    for _ in range(400):
        v = random.lognormal(0, 1.2, size=40)
        found, half = mean_interval(v), 2.0227 * v.std(ddof=1) / np.sqrt(40)
        assert found.high - v.mean() >= half - 1e-4
        held += [found.low <= np.exp(0.72) <= found.high, abs(v.mean() - np.exp(0.72)) <= half]
    assert held[0] / 400 > 0.9 > held[1] / 400
    v = np.array([1.0, 2.0, 9.0, 4.0])
    twice = mean_interval(np.repeat(v, 2), groups=np.repeat(np.arange(4), 2))
    assert (twice.low, twice.high) == pytest.approx((mean_interval(v).low, mean_interval(v).high))
    extra = mean_interval([*v, np.inf], sample_weight=[2, 2, 2, 2, 0])
    assert (extra.low, extra.high) == pytest.approx((mean_interval(v).low, mean_interval(v).high))
    assert mean_interval([1.0]) == Interval(1.0, -np.inf, np.inf)
    assert mean_interval([1.0, np.inf]).value == np.inf
    with pytest.raises(ValueError, match="0 values"):
        mean_interval([])


@pytest.mark.parametrize("n", [50, 200])
def test_calibration_error_of_wrong_probabilities_is_in_its_interval(n: int) -> None:
    """Doubled logits: the estimate plus and minus 1.96 standard errors contained the truth in 85 to 89% of samples."""
    random, found = np.random.default_rng(n), []
    for _ in range(150):
        o = 1.3 * random.normal(size=(n, 2))
        y = (random.random(n) < softmax(o)[:, 1]).astype(int)
        found.append(check_calibration(softmax(2 * o), y, draws=199).error_interval)
    truth = np.mean([one.value for one in found])
    assert np.mean([one.low <= truth <= one.high for one in found]) >= 0.91
    assert np.mean([one.low <= 0 for one in found]) < 1


def test_errors_that_right_probabilities_often_have_are_not_above_zero() -> None:
    random, above = np.random.default_rng(3), 0
    for _ in range(60):
        P = softmax(40 * random.normal(size=(50, 2)))
        y = (random.random(50) < P[:, 1]).astype(int)
        above += check_calibration(P, y, draws=199).error_interval.low > 0
    assert above <= 5


def test_few_events_are_said_beside_the_costs_of_removal() -> None:
    P = np.tile([[0.9, 0.1]], (60, 1))
    assert "too short" in few_events_sentence(audit(P, [0] * 50 + [1] * 10, ["a", "b"]))
    assert few_events_sentence(audit(P, [0] * 49 + [1] * 11, ["a", "b"])) == ""


def test_rows_of_one_group_have_a_gap_of_at_most_the_loss() -> None:
    found = audit([[0.7, 0.3]] * 40, [0, 1] * 20, "ab", groups=[1] * 40).calibration
    assert found.gap.low == -np.inf
    assert found.gap.high <= max(found.log_loss.high, found.gap.value)
