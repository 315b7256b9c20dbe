"""The sequential test of calibration of one stream of labelled rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from softreg.monitor.betting import BLOCK, FAMILIES
from softreg.monitor.e_process import BlockValues, EProcess
from softreg.typing import Codes, Float64Array

MAX_POINTS = 400
"""Points of the recorded curve; when there are more, every second one is removed."""


class CalibrationTest:
    """Anytime-valid test that labels follow the predicted probabilities, overall and for each class.

    The null hypothesis is that `P(y_t = k | past) = p_t[k]` for each row t in the given order, where the past has all
    earlier rows with their labels and the features of row t. Under it, the e-process is a nonnegative supermartingale
    that starts at 1. By Ville's inequality, the probability that it ever reaches `1 / alpha` is at most alpha, however
    often it is looked at. The overall e-process is the mean of that of all classes together and the mean of those of
    each class against the rest. A class is named where its own e-process reaches `2 K / alpha`, which implies an
    overall value of at least `1 / alpha`: the probability of any false alarm, overall or of a class, is at most alpha.

    Parameters
    ----------
    classes : int
        Number of classes K.
    alpha : float
        Probability of a false alarm, ever.

    Attributes
    ----------
    rows : int
        Number of rows so far.
    log_e : float
        Logarithm of the overall e-process after the last row.
    highest : float
        Its largest value.
    alarm_row : int or None
        Number of the row, from 1, after which it first reached the threshold.
    class_log_e, class_highest : array (K,)
        The same of each class.
    class_alarm_rows : list of int or None
        The same of each class.
    families : array (4,)
        Logarithms of the e-processes of the families of recalibrations after the last row.
    curve : list of (int, float)
        Rows and logarithms of the overall e-process.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> test = CalibrationTest(2)
    >>> test.update(np.full((1000, 2), 0.5), (rng.random(1000) < 0.7).astype(int))
    >>> test.alarm_row
    62
    """

    def __init__(self, classes: int, alpha: float = 0.05) -> None:
        self.classes, self.alpha, self.rows = classes, alpha, 0
        self.log_e = self.highest = 0.0
        self.class_log_e, self.class_highest = np.zeros(classes), np.zeros(classes)
        self.alarm_row: int | None = None
        self.class_alarm_rows: list[int | None] = [None] * classes
        self.families = np.zeros(len(FAMILIES))
        self.curve: list[tuple[int, float]] = [(0, 0.0)]
        self._stride = 1
        self._process = EProcess.start(1, classes)
        self._P: Float64Array = np.zeros((0, classes))
        self._codes: Codes = np.zeros(0, dtype=np.int64)

    @property
    def threshold(self) -> float:
        """Logarithm of the value of the overall e-process at which it raises an alarm."""
        return -math.log(self.alpha)

    @property
    def class_threshold(self) -> float:
        """Logarithm of the value of the e-process of a class at which the class is named."""
        return math.log(2 * self.classes / self.alpha)

    @property
    def change_row(self) -> int | None:
        """Row, from 1, at which the bets of largest wealth started; None before the first complete block."""
        wealth = self._process.wealth
        if self._process.block == 0:
            return None
        logs = np.concatenate([wealth.joint_best.ravel(), wealth.class_best.ravel()])
        starts = np.concatenate([wealth.joint_start.ravel(), wealth.class_start.ravel()])
        return int(starts[np.argmax(logs)]) * BLOCK + 1

    def update(self, P: Float64Array, codes: Codes) -> None:
        """Test further rows; the result does not depend on how rows are divided into calls.

        Parameters
        ----------
        P : array (n, K)
            Probabilities; each row sums to 1.
        codes : array (n,)
            Labels in 0 to K - 1.
        """
        P = np.concatenate([self._P, P])
        codes = np.concatenate([self._codes, np.asarray(codes, dtype=np.int64)])
        seen = len(self._codes)
        for start in range(0, len(codes), BLOCK):
            rows = slice(start, start + BLOCK)
            values = self._process.advance(P[None, rows], codes[None, rows])
            self._record(values, seen)
            seen = 0
            if len(codes) - start < BLOCK:
                self._P, self._codes = P[rows], codes[rows]
                return
        self._P, self._codes = P[:0], codes[:0]

    def _record(self, values: BlockValues, seen: int) -> None:
        """Record the values of a block, of which the first rows were seen before."""
        overall, by_class = values.overall[0], values.by_class[0]
        if len(overall) == seen:
            return
        first = self.rows - seen + 1  # number of the first row of the block
        self.rows = self.rows - seen + len(overall)
        self.highest = max(self.highest, float(overall.max()))
        self.class_highest = np.maximum(self.class_highest, by_class.max(axis=0))
        self.alarm_row = self.alarm_row or _first_row(overall >= self.threshold, first)
        for k in np.flatnonzero((by_class >= self.class_threshold).any(axis=0)):
            self.class_alarm_rows[k] = self.class_alarm_rows[k] or _first_row(
                by_class[:, k] >= self.class_threshold, first
            )
        self.log_e, self.class_log_e, self.families = float(overall[-1]), by_class[-1], values.families[0, -1]
        if len(overall) == BLOCK and self._process.block % self._stride == 0:
            self.curve.append((self.rows, self.log_e))
            if len(self.curve) > MAX_POINTS:
                self._stride *= 2
                self.curve = self.curve[::2]

    def to_state(self) -> dict[str, Any]:
        """Return a dict for JSON, from which `from_state` continues exactly."""
        return {
            "rows": self.rows,
            "log_e": self.log_e,
            "highest": self.highest,
            "alarm_row": self.alarm_row,
            "class_log_e": self.class_log_e.tolist(),
            "class_highest": self.class_highest.tolist(),
            "class_alarm_rows": self.class_alarm_rows,
            "families": self.families.tolist(),
            "curve": [list(point) for point in self.curve],
            "stride": self._stride,
            "pending": {"P": self._P.tolist(), "codes": self._codes.tolist()},
            "process": self._process.to_state(),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any], classes: int, alpha: float) -> CalibrationTest:
        """Return the test that `to_state` wrote; raise `ValueError`, `KeyError` or `TypeError` for another state."""
        self = cls(classes, alpha)
        self.rows, self.log_e, self.highest = int(state["rows"]), float(state["log_e"]), float(state["highest"])
        self.alarm_row, self._stride = _row_or_none(state["alarm_row"]), int(state["stride"])
        self.class_log_e = _vector(state["class_log_e"], classes)
        self.class_highest = _vector(state["class_highest"], classes)
        self.families = _vector(state["families"], len(FAMILIES))
        self.class_alarm_rows = [_row_or_none(row) for row in state["class_alarm_rows"]]
        self.curve = [(int(row), float(value)) for row, value in state["curve"]]
        self._codes = np.asarray(state["pending"]["codes"], dtype=np.int64)
        self._P = np.asarray(state["pending"]["P"], dtype=np.float64).reshape(len(self._codes), classes)
        self._process = EProcess.from_state(state["process"], classes)
        if len(self.class_alarm_rows) != classes or self.rows != self._process.block * BLOCK + len(self._codes):
            raise ValueError("the number of rows does not fit the blocks")
        return self


def _first_row(reached: Sequence[bool] | Any, first: int) -> int | None:
    """Return the number of the first row that reached a threshold."""
    return first + int(np.argmax(reached)) if np.any(reached) else None


def _row_or_none(value: Any) -> int | None:
    """Return the number of a row."""
    return None if value is None else int(value)


def _vector(values: Any, size: int) -> Float64Array:
    """Return numbers (size,); raise `ValueError` for any other shape."""
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (size,):
        raise ValueError(f"expected {size} numbers, seen the shape {array.shape}")
    return array
