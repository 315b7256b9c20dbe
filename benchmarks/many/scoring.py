"""Held-out scores of log probabilities, in blocks of rows: no array has as many numbers as rows times classes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from many.task import UNKNOWN, LogProbabilities, Task
from softreg.probability import bootstrap_means, interval

TOP = 10
BLOCK_NUMBERS = 8_000_000
"""Numbers of a block of log probabilities, 64 MB in float64."""
NORMALISED = 1e-3
"""By how much the sum of the probabilities of a row may differ from 1: rounding of float32."""


@dataclass(frozen=True)
class Scores:
    """Scores of held-out rows, each with the bounds of its bootstrap interval.

    Attributes
    ----------
    known : float
        Share of the rows whose label occurs in the fit. The log losses are those of these rows.
    log_loss : tuple of float
        Mean of -log of the probability of the label in nats, its lower and its upper bound.
    log_loss_allowed : tuple of float or None
        The same for the probabilities given that none of the excluded labels comes next.
    top : tuple of float
        Share of all rows whose label is among the `TOP` most probable ones that are not excluded.
    """

    known: float
    log_loss: tuple[float, float, float]
    log_loss_allowed: tuple[float, float, float] | None
    top: tuple[float, float, float]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def row_blocks(n: int, q: int) -> Iterator[slice]:
    """Yield runs of rows with at most `BLOCK_NUMBERS` numbers."""
    size = max(1, BLOCK_NUMBERS // q)
    yield from (slice(a, min(a + size, n)) for a in range(0, n, size))


def score(log_probabilities: LogProbabilities, task: Task) -> Scores:
    """Return the scores of a model on the rows that judge."""
    n = len(task.y_new)
    surprisal, allowed, hit = np.full(n, np.nan), np.full(n, np.nan), np.zeros(n)
    for rows in row_blocks(n, task.q):
        o = np.asarray(log_probabilities(task.X_new[rows]), dtype=np.float64)
        y = task.y_new[rows]
        known = np.flatnonzero(y != UNKNOWN)
        label = y[known]
        top = o.max(axis=1)
        total = top + np.log(np.exp(o - top[:, None]).sum(axis=1))
        if not np.abs(total).max() <= NORMALISED:
            raise ArithmeticError(f"the probabilities of a row have the sum exp({total[np.abs(total).argmax()]:.3g})")
        surprisal[rows][known] = -o[known, label]
        if task.excluded_new is not None:
            o[task.excluded_new[rows].nonzero()] = -np.inf
            top = o.max(axis=1)
            total = top + np.log(np.exp(o - top[:, None]).sum(axis=1))
            allowed[rows][known] = total[known] - o[known, label]
        best = np.argpartition(-o, min(TOP, task.q - 1), axis=1)[:, :TOP]
        hit[rows] = (best == y[:, None]).any(axis=1)
    known = task.y_new != UNKNOWN
    group = task.group_new
    return Scores(
        known=float(known.mean()),
        log_loss=group_mean(surprisal[known], group[known]),
        log_loss_allowed=None if task.excluded_new is None else group_mean(allowed[known], group[known]),
        top=group_mean(hit, group),
    )


def group_mean(values: np.ndarray, group: np.ndarray) -> tuple[float, float, float]:
    """Return the mean over rows with the bounds of its bootstrap interval, for which groups of rows are drawn."""
    code, rows = np.unique(group, return_inverse=True, return_counts=True)[1:]
    means = bootstrap_means(np.column_stack([np.bincount(code, values), rows]))
    found = interval(float(values.mean()), means[:, 0] / means[:, 1])
    return found.value, found.low, found.high


def log_softmax(o: np.ndarray) -> np.ndarray:
    """Return o - log(sum(exp(o))) of each row."""
    top = o.max(axis=1, keepdims=True)
    return o - (top + np.log(np.exp(o - top).sum(axis=1, keepdims=True, dtype=np.float64)).astype(o.dtype))
