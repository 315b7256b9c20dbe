"""A single fit with an l1 part, made on the columns that matter in rounds that come nearer and nearer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from softreg.optimize.problem.penalties import Penalty
from softreg.optimize.problem.result import Progress, Solution, StackFit, Status
from softreg.optimize.problem.standardization import Coordinates
from softreg.optimize.reduction.screening import Columns, Screening, Weights
from softreg.optimize.solvers.loop import FINE
from softreg.rows import Array, Rows

LOOSE, CLOSER = 1e-2, 1e-2
"""A round on some of the columns comes as near as this, in nats, or as this part of the last gap with all columns."""


@dataclass(frozen=True)
class Order:
    """What a fit is asked for; see `minimise`."""

    n_classes: int
    penalty: Penalty
    fit_intercept: bool
    solver: str
    tol: float
    max_iter: int
    seed: int
    on_progress: Callable[[Progress], Any] | None


Optimum = Callable[[Rows, Coordinates, Order, Weights, bool], tuple[Solution, ...]]
"""What minimises on rows in these coordinates from these weights on; True says that they are some of the columns."""


def on_few_columns(
    rows: Rows, coordinates: Coordinates, order: Order, start: Weights | None, optimum: Optimum
) -> tuple[tuple[Solution, ...] | None, Weights | None]:
    """The minimum, or None where the columns that matter are too many, and where a fit with all may begin."""
    rounds = Rounds(order, optimum)
    screening = Screening(rows, coordinates, order.n_classes, order.fit_intercept)
    exact = rows if order.tol >= FINE or rows.dtype == np.float64 else rows.with_higher_precision()
    found, start = screening.fit(exact, order.penalty, start, rounds.fit, rounds.enough)
    return (None if found is None else rounds.solutions(found)), start


class Rounds:
    """The rounds of a screened fit: each comes so near the minimum as is worth it, in `max_iter` steps at most, and the
    last one to `tol`."""

    def __init__(self, order: Order, optimum: Optimum) -> None:
        self.order, self.optimum, self.goal = order, optimum, LOOSE
        self.rounds: list[tuple[Solution, ...]] = []

    def fit(self, rows: Rows, coordinates: Coordinates, columns: Columns, start: Weights) -> StackFit:
        """A round on some of the columns."""
        done = sum(round[0].passes for round in self.rounds)

        def tell(progress: Progress) -> None:
            if self.order.on_progress is not None:
                self.order.on_progress(replace(progress, passes=done + progress.passes))

        tol = max(self.goal, self.order.tol / 2)
        order = replace(self.order, penalty=self.order.penalty.keep_columns(columns), tol=tol, on_progress=tell)
        found = self.optimum(rows, coordinates, order, start, True)
        self.rounds.append(found)
        W, b, value, gap = (np.stack([getattr(s, name) for s in found]) for name in ("W", "b", "value", "gap"))
        return StackFit(W, b, value, gap, np.zeros(0), found[0].passes, all(s.converged for s in found))

    def enough(self, found: StackFit, gap: Array, pulled: bool) -> bool | None:
        """Whether all is proved; None where these columns are all that matter, and their fit came to no proof."""
        tight = self.goal <= self.order.tol / 2
        self.goal = min(self.goal, CLOSER * float(gap.max()))
        if (gap <= self.order.tol).all():
            return True
        return None if not pulled and (tight or not found.settled) else False

    def solutions(self, found: StackFit) -> tuple[Solution, ...]:
        """What all columns say of the last round."""
        return tuple(self._solution(found, j) for j in range(len(found.gap)))

    def _solution(self, found: StackFit, j: int) -> Solution:
        mine, gap = [round[j] for round in self.rounds], float(found.gap[j])
        return replace(
            mine[-1],
            W=found.W[j],
            b=found.b[j],
            value=float(found.value[j]),
            gap=gap,
            bound="duality",
            status=Status.CONVERGED,
            passes=found.passes,
            n_iter=sum(s.n_iter for s in mine),
            history=tuple(progress for s in mine for progress in s.history),
        )
