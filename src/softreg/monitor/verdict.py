"""What to do with a model, in words, from the test of calibration and the tests of columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from softreg.monitor.betting import FAMILIES
from softreg.monitor.calibration_test import CalibrationTest


class Advice(StrEnum):
    """What the test of calibration says.

    Examples
    --------
    >>> str(Advice.REFIT)
    'refit'
    """

    UNTESTED = "no label yet"
    RIGHT = "still right"
    SHIFT = "shift the class rates"
    REFIT = "refit"


@dataclass(frozen=True)
class Verdict:
    """What to do with a model.

    Attributes
    ----------
    advice : Advice
        Result of the test of calibration: `no label yet`, `still right`, `shift the class rates` or `refit`.
    changed_columns : tuple of str
        Columns that have changed, in the order in which they were found.
    classes : tuple of str
        Classes whose own probabilities are wrong, by their own tests.
    sentences : tuple of str
        Reasons, one sentence each.

    Examples
    --------
    >>> print(Verdict(Advice.RIGHT, ("age",), (), ()))
    still right; a column has changed: age
    """

    advice: Advice
    changed_columns: tuple[str, ...]
    classes: tuple[str, ...]
    sentences: tuple[str, ...]

    @property
    def is_alarm(self) -> bool:
        """Whether the probabilities are wrong or a column has changed."""
        return self.advice in (Advice.SHIFT, Advice.REFIT) or bool(self.changed_columns)

    def __str__(self) -> str:
        if not self.changed_columns:
            return str(self.advice)
        several = "columns have" if len(self.changed_columns) > 1 else "a column has"
        return f"{self.advice}; {several} changed: {', '.join(self.changed_columns)}"


def advise(test: CalibrationTest) -> Advice:
    """Return the result of the test of calibration.

    After an alarm, it is `shift the class rates` where the bets on other class rates alone reach the threshold, and no
    other family of recalibrations has `1 / alpha` times their wealth; otherwise `refit`.

    Parameters
    ----------
    test : CalibrationTest
        The test.

    Returns
    -------
    Advice
        The result.
    """
    if test.rows == 0:
        return Advice.UNTESTED
    if test.alarm_row is None:
        return Advice.RIGHT
    rates, *others = (float(value) for value in test.families)
    explains = rates >= test.threshold and max(others) - rates < test.threshold
    return Advice.SHIFT if explains else Advice.REFIT


def make_verdict(test: CalibrationTest, labels: Sequence[str], changed: Sequence[tuple[str, str]]) -> Verdict:
    """Return the verdict with its reasons.

    Parameters
    ----------
    test : CalibrationTest
        The test of calibration.
    labels : sequence of str
        Classes as text.
    changed : sequence of (str, str)
        Columns that have changed, and the batch in which each was found.

    Returns
    -------
    Verdict
        The verdict.
    """
    advice = advise(test)
    named = tuple(labels[k] for k, row in enumerate(test.class_alarm_rows) if row is not None)
    sentences = [_calibration_sentence(test, advice)]
    if named:
        noun = "class" if len(named) == 1 else "classes"
        sentences.append(f"The probabilities of the {noun} {', '.join(named)} are wrong by their own tests.")
    sentences += [f"Column {name} has changed against the reference rows, first in {batch}." for name, batch in changed]
    return Verdict(advice, tuple(name for name, _ in changed), named, tuple(sentences))


def format_e(log_e: float) -> str:
    """Write an e-value from its logarithm.

    Parameters
    ----------
    log_e : float
        Natural logarithm of the e-value.

    Returns
    -------
    str
        The e-value with two significant digits, as a power of ten from a million on.

    Examples
    --------
    >>> format_e(0.0), format_e(3.0), format_e(230.0)
    ('1.0', '20', '7e+99')
    """
    tens = log_e / math.log(10)
    if tens >= 6:
        whole = math.floor(tens)
        return f"{math.floor(10 ** (tens - whole))}e+{whole}"
    value = math.exp(log_e)
    return f"{value:.2g}" if value >= 10 or value < 1 else f"{value:.1f}"


def _calibration_sentence(test: CalibrationTest, advice: Advice) -> str:
    """Return the reason of the advice."""
    limit, highest = f"{1 / test.alpha:.4g}", format_e(test.highest)
    if advice is Advice.UNTESTED:
        return "No row has a label, so whether the probabilities are right is not tested."
    if advice is Advice.RIGHT:
        return (
            f"The evidence against the probabilities is at most {highest} after {test.rows:,} labelled rows, below the "
            f"threshold of {limit}: no sign that they are wrong."
        )
    reached = (
        f"The evidence against the probabilities reached the threshold of {limit} in row {test.alarm_row:,} of "
        f"{test.rows:,} labelled rows (largest value {highest}); the change started about row {test.change_row:,}."
    )
    if advice is Advice.SHIFT:
        return (
            f"{reached} Other class rates alone explain it: correct the probabilities with "
            "softreg.probability.shift_rates."
        )
    best = FAMILIES[max(range(len(FAMILIES)), key=lambda family: test.families[family])]
    if best == "temperature":
        return f"{reached} A temperature on the log-probabilities explains most of it: refit or calibrate the model."
    if best == "label noise":
        return (
            f"{reached} Labels that the model holds improbable are more frequent than it says: check the labels, or "
            "refit the model."
        )
    return f"{reached} Other class rates alone do not explain it: refit the model."
