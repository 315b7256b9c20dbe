"""Decisions by a threshold on the probability of the second of two classes: precision, recall, specificity, cost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from softreg.report.evaluation.audit import Audit

THRESHOLDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
"""Thresholds of the table; those that decide for all rows or for none are left out."""


@dataclass(frozen=True)
class Threshold:
    """Deciding for the second class where its probability is at least `threshold`.

    `flagged` is the share of rows so decided, `precision` the share of these that are of the class, `recall` the share
    of the class that is among them, `specificity` the share of the other class that is not, and `cost` the mean cost a
    row by a matrix of costs; nan where it is a share of no rows. `own` marks the threshold that the costs ask for.

    >>> Threshold(0.5, 0.2, 0.9, 0.6, 0.95).cost is None
    True
    """

    threshold: float
    flagged: float
    precision: float
    recall: float
    specificity: float
    cost: float | None = None
    own: bool = False


def thresholds(
    audit: Audit, costs: NDArray[np.float64] | None = None, own: float | None = None
) -> tuple[Threshold, ...]:
    """Evaluate decisions at the usual thresholds, and at the threshold `own`; nothing for more than two classes.

    >>> from softreg.report.evaluation.audit import audit
    >>> P = np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8]])
    >>> found = thresholds(audit(P, [0, 0, 1, 1], ["ham", "spam"]))
    >>> [(one.threshold, one.recall) for one in found if one.threshold in (0.2, 0.5)]
    [(0.2, 1.0), (0.5, 0.5)]
    """
    if len(audit.classes) != 2:
        return ()
    p, is_class = audit.P[:, 1], audit.codes == 1
    found = []
    for at in sorted({*THRESHOLDS, *([] if own is None else [own])}):
        flagged = p >= at
        if at != own and (flagged.all() or not flagged.any()):
            continue
        cost = None if costs is None else float(costs[audit.codes, flagged.astype(np.int64)].mean())
        found.append(
            Threshold(
                at,
                float(flagged.mean()),
                _share(is_class[flagged]),
                _share(flagged[is_class]),
                _share(~flagged[~is_class]),
                cost,
                at == own,
            )
        )
    return tuple(found)


def _share(values: NDArray[np.bool_]) -> float:
    return float(values.mean()) if len(values) else float("nan")
