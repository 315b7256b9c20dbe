"""The sequential test of one stream: the same however rows are divided, alarms, verdicts."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from softreg.monitor import Advice, CalibrationTest
from softreg.monitor.calibration_test import MAX_POINTS
from softreg.monitor.verdict import advise, format_e, make_verdict

from .streams import stream


def test_rows_give_the_same_however_they_are_divided() -> None:
    P, codes = stream(0, 501, "one class")
    whole, parts = CalibrationTest(3), CalibrationTest(3)
    whole.update(P, codes)
    for cut in np.split(np.arange(501), [1, 2, 15, 16, 17, 17, 100, 333, 500]):
        parts.update(P[cut], codes[cut])
        parts = CalibrationTest.from_state(json.loads(json.dumps(parts.to_state())), 3, 0.05)
    assert parts.to_state() == whole.to_state()
    assert whole.rows == 501


@pytest.mark.parametrize("change", ["temperature", "class rates", "one class"])
def test_a_change_is_found_after_it_starts(change: str) -> None:
    right, wrong = stream(2, 1000), stream(3, 2000, change)
    test = CalibrationTest(3)
    test.update(*right)
    assert test.alarm_row is None
    test.update(*wrong)
    assert test.alarm_row is not None
    assert 1000 < test.alarm_row < 2000
    assert test.change_row is not None
    assert abs(test.change_row - 1000) < 200
    expected = Advice.SHIFT if change == "class rates" else Advice.REFIT
    assert advise(test) is expected


def test_the_class_that_changed_is_named() -> None:
    P, codes = stream(4, 4000, "one class", classes=4)
    test = CalibrationTest(4)
    test.update(P, codes)
    assert test.class_alarm_rows[0] is not None
    assert test.class_highest.argmax() == 0
    verdict = make_verdict(test, ["a", "b", "c", "d"], [("age", "May")])
    assert "a" in verdict.classes
    assert str(verdict) == "refit; a column has changed: age"
    assert verdict.is_alarm


def test_a_named_class_implies_an_overall_alarm() -> None:
    for seed in range(20):
        test = CalibrationTest(3, alpha=0.2)
        test.update(*stream(seed, 400, "one class"))
        named = [row for row in test.class_alarm_rows if row is not None]
        if named:
            assert test.alarm_row is not None
            assert test.alarm_row <= min(named)


def test_an_alarm_stays() -> None:
    test = CalibrationTest(3)
    test.update(*stream(3, 500, "temperature"))
    row, highest = test.alarm_row, test.highest
    test.update(*stream(5, 3000))
    assert test.alarm_row == row
    assert test.log_e < highest
    assert test.highest >= highest


def test_a_label_with_the_probability_zero_is_an_alarm_at_once() -> None:
    test = CalibrationTest(2)
    test.update(np.tile([1.0, 0.0], (5, 1)), np.array([0, 0, 1, 0, 0]))
    assert test.alarm_row == 3


def test_before_any_label_nothing_is_said() -> None:
    test = CalibrationTest(2)
    assert advise(test) is Advice.UNTESTED
    assert test.change_row is None
    test.update(np.zeros((0, 2)), np.zeros(0, dtype=np.int64))
    assert test.rows == 0


def test_the_curve_stays_short_and_ends_near_the_last_row() -> None:
    P, codes = stream(6, 16 * (MAX_POINTS + 50))
    test = CalibrationTest(3)
    test.update(P, codes)
    rows = [row for row, _ in test.curve]
    assert len(rows) <= MAX_POINTS
    assert rows == sorted(set(rows))
    assert test.rows - rows[-1] <= 32


@pytest.mark.parametrize(
    ("log_e", "text"), [(0.0, "1.0"), (-2.0, "0.14"), (math.log(1.5e6), "1e+6"), (900.0, "7e+390")]
)
def test_large_e_values_are_powers_of_ten(log_e: float, text: str) -> None:
    assert format_e(log_e) == text
