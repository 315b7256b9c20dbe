"""Recalibration by offsets of groups, evaluated on rows that it was not fitted to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from softreg.models.calibration.group_calibrator import GroupCalibrator
from softreg.probability import Interval, score_interval
from softreg.splits import stratified_fold_numbers
from softreg.typing import Codes, Float64Array

if TYPE_CHECKING:
    import pyarrow as pa

FOLDS, FEW_FOLDS = 5, 2
"""Folds of the rows, each of which is recalibrated by offsets that are fitted to the others; fewer of many rows."""
MANY_ROWS = 20_000
"""Rows from which there are `FEW_FOLDS`."""
MIN_ROWS = 50
"""Rows below which there is no recalibration."""
SMALLEST = 1e-300
"""Least recalibrated probability, so that its logarithm is finite."""


@dataclass(frozen=True, eq=False)
class GroupRepair:
    """Recalibration by offsets of groups (`GroupCalibrator`), on rows that it was not fitted to.

    Attributes
    ----------
    calibrator : GroupCalibrator
        The calibrator that is fitted to all rows, for new rows.
    before, after : float
        Log loss in nats of the probabilities as they are, and after recalibration on held-out rows.
    gain : Interval
        Decrease of the log loss, with its 95% interval.
    P : array of shape (n, q)
        Recalibrated probabilities of the held-out rows.

    Examples
    --------
    >>> from softreg.report import audit
    >>> P, sex = np.tile([0.7, 0.3], (200, 1)), np.repeat(["f", "m"], 100)
    >>> repair = audit(P, np.repeat([1, 0], [60, 140]), ["no", "yes"], by={"sex": sex}).group_audit.repair
    >>> repair.calibrator.method_, repair.after < repair.before
    ('groups', True)
    """

    calibrator: GroupCalibrator
    before: float
    after: float
    gain: Interval
    P: Float64Array


def repair_held_out(P: Float64Array, codes: Codes, columns: Mapping[str, pa.ChunkedArray]) -> GroupRepair | None:
    """Recalibrate each fold of the rows by offsets of groups that are fitted to the other folds.

    Parameters
    ----------
    P : array of shape (n, q)
        Probabilities.
    codes : array of shape (n,)
        Observed classes.
    columns : mapping of str to pyarrow.ChunkedArray
        Columns that define the groups.

    Returns
    -------
    GroupRepair or None
        The recalibration; None for fewer than 50 rows, and for labels of probability 0.
    """
    n, q = P.shape
    if n < MIN_ROWS or (P[np.arange(n), codes] <= 0).any():
        return None
    fold = stratified_fold_numbers(codes, FOLDS if n <= MANY_ROWS else FEW_FOLDS, seed=1)
    classes, after = np.arange(q), np.empty_like(P)
    for k in np.unique(fold):
        rest, inside = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        part = {name: column.take(rest) for name, column in columns.items()}
        calibrator = GroupCalibrator().fit(P[rest], codes[rest], part, classes)
        after[inside] = calibrator.predict_proba(P[inside], {name: c.take(inside) for name, c in columns.items()})
    after = np.maximum(after, SMALLEST)
    at = np.arange(n)
    with np.errstate(divide="ignore"):
        gains = np.log(after) - np.log(np.maximum(P, SMALLEST))
    return GroupRepair(
        calibrator=GroupCalibrator().fit(P, codes, dict(columns), classes),
        before=float(-np.log(P[at, codes]).mean()),
        after=float(-np.log(after[at, codes]).mean()),
        gain=score_interval(gains, P, codes),
        P=after,
    )
