"""Gains and lift of a two-class model: precision and recall among the rows of largest probability."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from softreg.report.audit import Audit

SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
"""Shares of the rows, from the largest probability down."""
LEAST_ROWS = 5
"""Rows of the class, at least, for which gains are computed."""


@dataclass(frozen=True)
class Acting:
    """The `share` of rows of largest probability, all at or above `threshold`.

    `hits` of its `rows` are of the class (precision = hits / rows), the share `found` of the class (recall); `lift` is
    precision divided by the class rate.
    """

    share: float
    rows: int
    threshold: float
    hits: int
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
    steps: tuple[Acting, ...]


def gains(audit: Audit) -> Gains | None:
    """The gains of a two-class audit for its rarer class; None for more classes and where too few rows are so.

    Rows of equal probability keep the order of the rows.

    >>> from softreg.report.audit import audit
    >>> P = np.column_stack([1 - np.arange(100) / 100, np.arange(100) / 100])
    >>> found = gains(audit(P, (np.arange(100) >= 90).astype(int), ["no", "yes"]))
    >>> found.wanted, [(step.rows, step.hits, step.found) for step in found.steps[3:5]]
    ('yes', [(10, 10, 1.0), (20, 10, 1.0)])
    """
    count = np.bincount(audit.codes, minlength=len(audit.classes))
    if len(count) != 2 or count.min() < LEAST_ROWS:
        return None
    wanted = int(np.argmin(count[::-1]) == 0)  # of two equal ones, the second
    p = audit.P[:, wanted]
    order = np.argsort(-p, kind="stable")
    hits = np.concatenate([[0], np.cumsum(audit.codes[order] == wanted)])
    n, total = audit.rows, int(count[wanted])
    steps = []
    for share in SHARES:
        rows = round(share * n)
        if rows < 1:
            continue
        found = int(hits[rows])
        steps.append(Acting(share, rows, float(p[order[rows - 1]]), found, found / total, (found / rows) / (total / n)))
    return Gains(audit.classes[wanted], total, hits / total, tuple(steps))
