"""Gains and lift of a two-class model: precision and recall among the rows of largest probability."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from softreg.report.evaluation.audit import Audit

SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
"""Shares of the rows, from the largest probability down."""
LEAST_ROWS = 5
"""Rows of the class, at least, for which gains are computed."""


@dataclass(frozen=True)
class GainStep:
    """The `share` of rows of largest probability, all at or above `threshold`.

    `hits` of its `rows` are of the class (precision = hits / rows), the share `found` of the class (recall); `lift` is
    precision divided by the class rate. Where only some rows of one probability belong to the share, `hits` is the mean
    over all orders of these rows, and may be a fraction.
    """

    share: float
    rows: int
    threshold: float
    hits: float
    found: float
    lift: float

    @property
    def precision(self) -> float:
        """The share of these rows that are of the class."""
        return self.hits / self.rows


@dataclass(frozen=True, eq=False)
class Gains:
    """Gains at some shares of the rows (`steps`), and the whole curve: recall `found` (n + 1,) after 0 .. n rows."""

    wanted: str
    total: int
    found: NDArray[np.float64]
    steps: tuple[GainStep, ...]


def gains(audit: Audit) -> Gains | None:
    """The gains of a two-class audit for its rarer class; None for more classes and where too few rows are so.

    Rows of equal probability share the mean over their orders, so that the order of the rows has no influence.

    >>> from softreg.report.evaluation.audit import audit
    >>> P = np.column_stack([1 - np.arange(100) / 100, np.arange(100) / 100])
    >>> found = gains(audit(P, (np.arange(100) >= 90).astype(int), ["no", "yes"]))
    >>> found.wanted, [(step.rows, step.hits, step.found) for step in found.steps[3:5]]
    ('yes', [(10, 10.0, 1.0), (20, 10.0, 1.0)])
    """
    count = np.bincount(audit.codes, minlength=len(audit.classes))
    if len(count) != 2 or count.min() < LEAST_ROWS:
        return None
    wanted = int(np.argmin(count[::-1]) == 0)  # of two equal ones, the second
    p, n, total = audit.P[:, wanted], audit.rows, int(count[wanted])
    values, place = np.unique(-p, return_inverse=True)  # the largest probability first
    rows = np.cumsum(np.bincount(place, minlength=len(values)))
    of_class = np.cumsum(np.bincount(place, weights=audit.codes == wanted, minlength=len(values)))
    hits = np.interp(np.arange(n + 1), np.append(0, rows), np.append(0.0, of_class))
    steps = []
    for share in SHARES:
        taken = round(share * n)
        if taken < 1:
            continue
        found = float(hits[taken])
        threshold = float(-values[np.searchsorted(rows, taken)])
        steps.append(GainStep(share, taken, threshold, found, found / total, (found / taken) / (total / n)))
    return Gains(audit.classes[wanted], total, hits / total, tuple(steps))
