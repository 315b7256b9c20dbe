"""Certificates by exact Newton steps for fits that the descent loop leaves without one."""

from __future__ import annotations

import numpy as np

from softreg.optimize.objective.cached import Objective
from softreg.optimize.problem.penalty_protocol import Penalty, Trait
from softreg.optimize.problem.result import Status
from softreg.optimize.solvers.final_newton import FinalNewton, affordable
from softreg.optimize.solvers.final_proximal_newton import MOST_WEIGHTS, FinalProximal
from softreg.optimize.solvers.members import StackResult

SLOW = 300
"""Iterations after which a fit with an l1 part that has reached `max_iter` is continued by proximal Newton steps:
descent converges slowly for columns of very different scale without a bias."""


def certify(objective: Objective, penalty: Penalty, outcome: StackResult, tol: float) -> None:
    """Certify the gaps of models that ended without a proof by exact Newton steps, and update `outcome`.

    Skipped are models with separated classes, models that have reached `max_iter` (see `SLOW` for the exception), and
    models with too many parameters for an exact Hessian.

    Parameters
    ----------
    objective : Objective
        Rows and coordinates.
    penalty : Penalty
        The penalty of the whole stack.
    outcome : StackResult
        The results to update.
    tol : float
        Nats.
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
    """Return the Newton method for this model; None if it has too many parameters or no method fits its penalty."""
    d, q = objective.rows.d, objective.q
    terms = (objective.rows, objective.coordinates, q, member)
    if penalty.is_smooth:
        quadratic = penalty.quadratic_diagonal(objective.coordinates.scale)[0]
        return FinalNewton(*terms, quadratic, objective.fit_intercept) if affordable(objective.rows, q) else None
    small = Trait.SEPARABLE in penalty.traits and penalty.support is None and q * (d + 1) <= MOST_WEIGHTS
    return FinalProximal(*terms, penalty, objective.fit_intercept) if small else None
