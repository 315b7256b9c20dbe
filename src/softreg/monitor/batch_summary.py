"""Figures of one batch of rows: expected and observed scores, class rates, and drift of columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.special import stdtrit, xlogy

from softreg.monitor.class_rates import LEVEL, class_rates
from softreg.monitor.column_drift import ColumnChange
from softreg.probability import Interval, score_interval, wilson_interval
from softreg.typing import Codes, Float64Array

MIN_PROBABILITY = 1e-300
"""Probabilities are at least this in the log loss."""


@dataclass(frozen=True)
class BatchSummary:
    """Figures of a batch.

    Attributes
    ----------
    name : str
        Name of the batch.
    rows, labelled : int
        Number of rows, and of those with a label.
    expected_log_loss, expected_accuracy : Interval
        Mean entropy and mean largest probability: log loss and accuracy if the probabilities are right. The 95%
        intervals are those of new rows of the same kind.
    log_loss, accuracy : Interval or None
        Observed on the labelled rows, with 95% intervals; None without labels.
    mean_probabilities : tuple of float
        Mean probability of each class.
    class_rates : tuple of Interval
        Class rates by EM.
    label_shares : tuple of float or None
        Share of each class among the labels.
    columns : tuple of ColumnChange
        Columns against the reference rows; empty where there are none.
    """

    name: str
    rows: int
    labelled: int
    expected_log_loss: Interval
    expected_accuracy: Interval
    log_loss: Interval | None
    accuracy: Interval | None
    mean_probabilities: tuple[float, ...]
    class_rates: tuple[Interval, ...]
    label_shares: tuple[float, ...] | None
    columns: tuple[ColumnChange, ...] = ()

    def to_state(self) -> dict[str, Any]:
        """Return a dict for JSON."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> BatchSummary:
        """Return the summary that `to_state` wrote; raise an error for any other state."""
        shares = state["label_shares"]
        read: dict[str, Any] = {
            **state,
            **{name: _interval(state[name]) for name in ("expected_log_loss", "expected_accuracy")},
            **{name: None if state[name] is None else _interval(state[name]) for name in ("log_loss", "accuracy")},
            "mean_probabilities": tuple(float(p) for p in state["mean_probabilities"]),
            "class_rates": tuple(_interval(rate) for rate in state["class_rates"]),
            "label_shares": None if shares is None else tuple(float(share) for share in shares),
            "columns": tuple(ColumnChange(**change) for change in state["columns"]),
        }
        return cls(**read)


def summarize_batch(
    name: str, P: Float64Array, codes: Codes | None, before: Float64Array, columns: tuple[ColumnChange, ...]
) -> BatchSummary:
    """Return the figures of a batch.

    Parameters
    ----------
    name : str
        Name of the batch.
    P : array (n, K)
        Probabilities.
    codes : array (n,), optional
        Labels; negative where there is none.
    before : array (K,)
        Class rates under which the probabilities are right.
    columns : tuple of ColumnChange
        Columns against the reference rows.

    Returns
    -------
    BatchSummary
        The figures.
    """
    entropy, top = -xlogy(P, P).sum(axis=1), P.max(axis=1)
    labelled = np.zeros(len(P), dtype=bool) if codes is None else codes >= 0
    count = int(labelled.sum())
    log_loss = accuracy = shares = None
    if codes is not None and count:
        Q, y = P[labelled], codes[labelled]
        log_loss = score_interval(-np.log(np.maximum(Q, MIN_PROBABILITY)), Q, y, bounds=(0.0, np.inf))
        accuracy = wilson_interval(int((Q.argmax(axis=1) == y).sum()), count)
        shares = tuple((np.bincount(y, minlength=P.shape[1]) / count).tolist())
    rates = class_rates(P, before)
    return BatchSummary(
        name,
        len(P),
        count,
        _mean_interval(entropy, 0.0, float(np.log(P.shape[1]))),
        _mean_interval(top, 1 / P.shape[1], 1.0),
        log_loss,
        accuracy,
        tuple(P.mean(axis=0).tolist()),
        tuple(rates),
        shares,
        columns,
    )


def _mean_interval(values: Float64Array, least: float, largest: float) -> Interval:
    """Return a mean with its t interval, within bounds; of one row the bounds themselves."""
    mean = float(values.mean())
    if len(values) < 2:
        return Interval(mean, least, largest)
    half = float(stdtrit(len(values) - 1, 0.5 + LEVEL / 2) * values.std(ddof=1) / np.sqrt(len(values)))
    return Interval(mean, max(least, mean - half), min(largest, mean + half))


def _interval(state: Mapping[str, Any]) -> Interval:
    """Return an interval; null is nan."""
    values = [float("nan") if state[name] is None else float(state[name]) for name in ("value", "low", "high")]
    return Interval(*values)
