"""The rounds of a single fit on working sets of columns, each nearer to the minimum than the one before."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum

import numpy as np

from softreg.optimize.problem.options import FitOptions
from softreg.optimize.problem.result import Progress, Solution, StackFit, Status
from softreg.optimize.problem_reduction.working_sets import ColumnCheck, Columns

FIRST_GAP, GAP_SHARE = 1e-2, 1e-2
"""A round comes within this of the minimum, in nats, or within this share of the last gap on all columns."""


class Verdict(Enum):
    """What follows from a round."""

    CONVERGED = "the gap on all columns is proved"
    GROW = "more columns, or a closer fit, are needed"
    ALL_COLUMNS = "the columns are complete, and their fit is not proved: the fit goes on with all columns"


class Rounds:
    """The rounds of a fit: each as close as is useful, in `max_iter` iterations at most, the last one to `tol`."""

    def __init__(self, options: FitOptions) -> None:
        self.options, self.target_gap = options, FIRST_GAP
        self.solutions: list[tuple[Solution, ...]] = []
        """The solutions of the rounds so far."""

    def next_options(self, columns: Columns) -> FitOptions:
        """Return the options of the next round, on these columns."""
        passes = sum(solutions[0].passes for solutions in self.solutions)
        listener = self.options.on_progress

        def report(progress: Progress) -> None:
            if listener is not None:
                listener(replace(progress, passes=passes + progress.passes))

        tol = max(self.target_gap, self.options.tol / 2)
        penalty = self.options.penalty.keep_columns(columns)
        return replace(self.options, penalty=penalty, tol=tol, on_progress=report)

    def add(self, solutions: tuple[Solution, ...]) -> StackFit:
        """Add the solutions of a round, and return them as a stack."""
        self.solutions.append(solutions)
        W, b = np.stack([s.W for s in solutions]), np.stack([s.b for s in solutions])
        value, gap = np.array([s.value for s in solutions]), np.array([s.gap for s in solutions])
        converged = all(s.converged for s in solutions)
        return StackFit(W, b, value, gap, np.zeros(0), solutions[0].passes, converged)

    def check_fit(self, fit: StackFit, check: ColumnCheck) -> Verdict:
        """Return what follows from a round and its check, and set the target of the next one."""
        last = self.target_gap <= self.options.tol / 2
        self.target_gap = min(self.target_gap, GAP_SHARE * float(check.gap.max()))
        if (check.gap <= self.options.tol).all():
            return Verdict.CONVERGED
        stuck = not check.violated and (last or not fit.converged)
        return Verdict.ALL_COLUMNS if stuck else Verdict.GROW

    def finished(self, fit: StackFit) -> tuple[Solution, ...]:
        """Return the solutions of the last round with the weights, objective and gap of all columns."""
        return tuple(self._finished(fit, j) for j in range(len(fit.gap)))

    def _finished(self, fit: StackFit, j: int) -> Solution:
        of_member = [solutions[j] for solutions in self.solutions]
        return replace(
            of_member[-1],
            W=fit.W[j],
            b=fit.b[j],
            value=float(fit.value[j]),
            gap=float(fit.gap[j]),
            bound="duality",
            status=Status.CONVERGED,
            passes=fit.passes,
            n_iter=sum(s.n_iter for s in of_member),
            history=tuple(progress for s in of_member for progress in s.history),
        )
