"""Separated classes: without a penalty the likelihood increases along some direction and has no maximum.

Complete separation: the current logits classify each training row correctly with a positive margin, so any multiple
t > 1 of them has a larger likelihood. Where rows have an offset, these are the logits without it. Quasi-complete
separation: the last step decreases no margin of a training row and increases some; steps converge to such a direction
while the other parameters converge.

References
----------
Albert and Anderson (1984), On the existence of maximum likelihood estimates in logistic regression models.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.objective.stack_state import StackState
from softreg.optimize.problem.result import Separation
from softreg.rows import Array, Block

SLACK = 1e-2
"""Largest decrease of a margin, relative to the length of the step, at which the step counts as a direction of
separation. The length is the largest change of a logit, or of a standardised weight if an outlier has a much larger
change of its logit."""
OUTLIER = 100.0
"""Ratio of the two above which a row counts as an outlier."""
MOST_FEATURES = 3
"""Features that a separation names at most."""
MIN_MARGIN = 1e-9
"""Smallest margin of the logits that counts as positive."""
MIN_STEP = 0.1
"""Largest change of a margin below which a step is no direction of separation."""


def find(objective: Objective, theta: Array, D: Array) -> list[Separation | None]:
    """Return, for each model of the stack, the separation that its kept logits or last step prove, or None."""
    assert objective.direction is not None, "set_direction comes first"
    margins = objective.map(Margins(objective.state, objective.state_at(objective.direction)))  # (blocks, 3, m)
    least, least_step, most_step = margins[:, 0].min(0), margins[:, 1].min(0), margins[:, 2].max(0)
    weight = np.abs(D[..., :-1]).max(axis=(1, 2), initial=0.0)
    length = np.where(most_step > OUTLIER * weight, weight, most_step)
    penalised, partly = ~objective.penalty.may_diverge, ~objective.penalty.is_zero
    out: list[Separation | None] = []
    for j in range(objective.m):
        if penalised[j]:
            out.append(None)
        elif least[j] > MIN_MARGIN and not partly[j]:
            out.append(_describe(theta[j], complete=True))
        elif most_step[j] > MIN_STEP and least_step[j] >= -SLACK * length[j]:
            out.append(_describe(D[j], complete=False))
        else:
            out.append(None)
    return out


@dataclass(frozen=True, slots=True, eq=False)
class Margins:
    """Smallest margin of the logits, smallest and largest margin of the step, (1, 3, m), over rows that count."""

    state: StackState
    step: StackState
    half_passes: ClassVar[int] = 0

    def evaluate(self, block: Block) -> Array:
        """Return the margins of one block."""
        V, labels = self.state.weights(block), block.labels
        if labels.ndim == 2:  # a row with label probabilities below 1 is not separable
            certain, codes = labels.max(axis=1) == 1.0, labels.argmax(axis=1)
        else:
            certain, codes = np.ones(len(labels), dtype=bool), labels
        o, offset = self.state.logits(block), block.offset
        margin = np.where(certain, _margin(o if offset is None else o - offset, codes), -np.inf)
        o = self.step.logits(block)
        step = np.where(certain, _margin(o, codes), 0.0)
        if labels.ndim == 2:
            step = np.where(certain, step, -(o.max(axis=1) - o.min(axis=1)))
        if V is None:
            return np.stack([margin.min(axis=1), step.min(axis=1), step.max(axis=1)])[None]
        least = (np.where(V > 0, values, np.inf).min(axis=1) for values in (margin, step))
        return np.stack([*least, np.where(V > 0, step, -np.inf).max(axis=1)])[None]


def _margin(o: Array, codes: Array) -> Array:
    """Return the logit of the given class minus the largest of the others, (m, b), for logits o (m, q, b)."""
    index = np.arange(len(codes))
    others = o.copy()
    others[:, codes, index] = -np.inf
    return np.asarray(o[:, codes, index] - others.max(axis=1))


def _describe(direction: Array, complete: bool) -> Separation:
    W = direction[:, :-1]
    distance = np.abs(W[:, None] - W[None]).sum(axis=2)
    a, b = sorted(int(k) for k in np.unravel_index(distance.argmax(), distance.shape))
    weight = np.abs(W[a] - W[b])
    heaviest = [k for k in np.argsort(-weight, kind="stable")[:MOST_FEATURES] if weight[k] > 0]
    return Separation((a, b), tuple(int(k) for k in heaviest), complete)
