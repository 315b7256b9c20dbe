"""Cumulative gains and lift of a two-class model: precision and recall among the rows of largest probability."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.report.evaluation.audit_result import Audit
from softreg.typing import Float64Array

SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
"""Shares of the rows, ordered by decreasing probability, for which gains are tabulated."""
MIN_ROWS = 5
"""Rows of the class, at least, for which gains are computed."""


@dataclass(frozen=True)
class GainStep:
    """Gain and lift of the rows of largest probability.

    Attributes
    ----------
    share : float
        Share of all rows that are selected.
    rows : int
        Number of selected rows.
    threshold : float
        Smallest probability among them.
    hits : float
        Selected rows that are of the class. Where only some rows of equal probability are selected, it is the mean over
        all orders of these rows, and can be a fraction.
    recall : float
        Share of the class that is selected.
    lift : float
        Precision divided by the class rate.
    """

    share: float
    rows: int
    threshold: float
    hits: float
    recall: float
    lift: float

    @property
    def precision(self) -> float:
        """Share of the selected rows that are of the class."""
        return self.hits / self.rows


@dataclass(frozen=True, eq=False)
class Gains:
    """Cumulative gains of one class.

    Attributes
    ----------
    label : str
        Name of the class.
    total : int
        Rows of the class.
    recall : array of shape (n + 1,)
        Recall after selecting 0 .. n rows.
    steps : tuple of GainStep
        Gains and lift at some shares of the rows.
    """

    label: str
    total: int
    recall: Float64Array
    steps: tuple[GainStep, ...]


def gains(audit: Audit) -> Gains | None:
    """Compute cumulative gains and lift of the rarer of two classes.

    Rows of equal probability have the mean gain over all their orders, so that the order of the rows has no influence.

    Parameters
    ----------
    audit : Audit
        Evaluation of the rows.

    Returns
    -------
    Gains or None
        The gains; None for more than two classes, and where a class has fewer than `MIN_ROWS` rows.

    Examples
    --------
    >>> from softreg.report import audit
    >>> P = np.column_stack([1 - np.arange(100) / 100, np.arange(100) / 100])
    >>> result = gains(audit(P, (np.arange(100) >= 90).astype(int), ["no", "yes"]))
    >>> result.label, [(step.rows, step.hits, step.recall) for step in result.steps[3:5]]
    ('yes', [(10, 10.0, 1.0), (20, 10.0, 1.0)])
    """
    count = np.bincount(audit.codes, minlength=len(audit.classes))
    if len(count) != 2 or count.min() < MIN_ROWS:
        return None
    rarer = int(np.argmin(count[::-1]) == 0)  # of two equally frequent classes, the second
    p, n, total = audit.P[:, rarer], audit.rows, int(count[rarer])
    values, rank = np.unique(-p, return_inverse=True)  # the largest probability first
    rows = np.cumsum(np.bincount(rank, minlength=len(values)))
    of_class = np.cumsum(np.bincount(rank, weights=audit.codes == rarer, minlength=len(values)))
    hits = np.interp(np.arange(n + 1), np.append(0, rows), np.append(0.0, of_class))
    steps = []
    for share in SHARES:
        selected = round(share * n)
        if selected < 1:
            continue
        hit = float(hits[selected])
        threshold = float(-values[np.searchsorted(rows, selected)])
        steps.append(
            GainStep(
                share=share,
                rows=selected,
                threshold=threshold,
                hits=hit,
                recall=hit / total,
                lift=(hit / selected) / (total / n),
            )
        )
    return Gains(audit.classes[rarer], total, hits / total, tuple(steps))
