"""Precision, recall, specificity and cost of decisions by a threshold on the probability of the second class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.report.evaluation.audit_result import Audit
from softreg.typing import BoolArray, Float64Array

THRESHOLDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
"""Thresholds of the table; those that decide alike for all rows are left out."""


@dataclass(frozen=True)
class ThresholdMetrics:
    """Figures of deciding for the second class where its probability is at least `threshold`.

    Attributes
    ----------
    threshold : float
        The threshold.
    flagged : float
        Share of rows decided for the second class.
    precision : float
        Share of the flagged rows that are of the class; nan without flagged rows.
    recall : float
        Share of the class that is flagged; nan where no row is of the class.
    specificity : float
        Share of the other class that is not flagged; nan where no row is of the other class.
    cost : float or None
        Mean cost per row, where costs are given.
    is_optimal : bool
        Whether it is the threshold of least expected cost.

    Examples
    --------
    >>> ThresholdMetrics(0.5, 0.2, 0.9, 0.6, 0.95).cost is None
    True
    """

    threshold: float
    flagged: float
    precision: float
    recall: float
    specificity: float
    cost: float | None = None
    is_optimal: bool = False


def threshold_metrics(
    audit: Audit, costs: Float64Array | None = None, optimal: float | None = None
) -> tuple[ThresholdMetrics, ...]:
    """Compute the metrics at common thresholds, and at the threshold of least expected cost.

    Parameters
    ----------
    audit : Audit
        Evaluation of the rows.
    costs : array of shape (2, 2), optional
        Cost of each decision (second axis) by observed class.
    optimal : float, optional
        Threshold of least expected cost.

    Returns
    -------
    tuple of ThresholdMetrics
        One for each threshold, in increasing order; empty for more than two classes.

    Examples
    --------
    >>> from softreg.report import audit
    >>> P = np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8]])
    >>> metrics = threshold_metrics(audit(P, [0, 0, 1, 1], ["ham", "spam"]))
    >>> [(one.threshold, one.recall) for one in metrics if one.threshold in (0.2, 0.5)]
    [(0.2, 1.0), (0.5, 0.5)]
    """
    if len(audit.classes) != 2:
        return ()
    p, is_class = audit.P[:, 1], audit.codes == 1
    metrics = []
    for threshold in sorted({*THRESHOLDS, *([] if optimal is None else [optimal])}):
        flagged = p >= threshold
        if threshold != optimal and (flagged.all() or not flagged.any()):
            continue
        metrics.append(
            ThresholdMetrics(
                threshold=threshold,
                flagged=float(flagged.mean()),
                precision=_share(is_class[flagged]),
                recall=_share(flagged[is_class]),
                specificity=_share(~flagged[~is_class]),
                cost=None if costs is None else float(costs[audit.codes, flagged.astype(np.int64)].mean()),
                is_optimal=threshold == optimal,
            )
        )
    return tuple(metrics)


def _share(values: BoolArray) -> float:
    """Return the share of True values; nan for none."""
    return float(values.mean()) if len(values) else float("nan")
