"""Which fits end with exact Newton steps: those that the loop of descent leaves without a proof."""

from __future__ import annotations

import numpy as np

from softreg.optimize.objective.cached import Objective
from softreg.optimize.problem.penalty_protocol import Penalty, Trait
from softreg.optimize.problem.result import Status
from softreg.optimize.solvers.final_newton import FinalNewton, affordable
from softreg.optimize.solvers.final_proximal_newton import MOST_WEIGHTS, FinalProximal
from softreg.optimize.solvers.members import StackResult

SLOW = 300
"""A fit with an l1 part that has used up so many iterations, or more, takes its last steps all the same: near the end
the descent crawls where columns of very different scale have no bias beside them."""


def certify(objective: Objective, penalty: Penalty, outcome: StackResult, tol: float) -> None:
    """Prove the gaps of models that ended without a proof, by exact Newton steps; `outcome` is brought up to date.

    `penalty` is that of the whole stack. Models that separate classes are left as they are, those that have used up
    their iterations (but for an l1 part, see `SLOW`), and those with more parameters than a Hessian is taken for.
    """
    for j, status in enumerate(outcome.status):
        slow = status is Status.STOPPED and outcome.n_iter[j] >= SLOW and penalty.keep(np.array([j])).has_kink
        if status not in (Status.UNCERTIFIED, Status.STALLED) and not slow:
            continue
        last = _last(objective, penalty.keep(np.array([j])), j)
        if last is None:
            continue
        found = last.run(outcome.theta[j], tol)
        objective.half_passes += 2 * last.hessians + found.steps
        proved = found.certified and found.gap <= tol
        if not proved and not found.value <= outcome.value[j]:
            continue
        outcome.theta[j], outcome.value[j] = found.theta, found.value
        outcome.n_iter[j] += found.steps
        guess = outcome.bound[j] == "estimate"
        if found.certified and (proved or guess or found.gap < outcome.gap[j]):
            outcome.gap[j], outcome.bound[j] = found.gap, "self-concordance"
        elif guess and np.isfinite(found.gap):
            outcome.gap[j] = found.gap
        if proved:
            outcome.status[j] = Status.CONVERGED
        elif slow:
            outcome.status[j] = Status.STALLED


def _last(objective: Objective, penalty: Penalty, member: int) -> FinalNewton | None:
    """What takes the last steps of this model; None where it is too large, or confined to some of its weights."""
    d, q = objective.rows.d, objective.q
    terms = (objective.rows, objective.coordinates, q, member)
    if penalty.is_smooth:
        quadratic = penalty.quadratic_diagonal(objective.coordinates.scale)[0]
        return FinalNewton(*terms, quadratic, objective.fit_intercept) if affordable(objective.rows, q) else None
    small = Trait.SEPARABLE in penalty.traits and penalty.support is None and q * (d + 1) <= MOST_WEIGHTS
    return FinalProximal(*terms, penalty, objective.fit_intercept) if small else None
