"""Compiled steps before the method of a plan, for few numbers and for sparse rows with an l1 part."""

from __future__ import annotations

from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.plan.rules import FAMILIES
from softreg.optimize.problem.options import FitOptions
from softreg.optimize.problem.solver_plan import Logits, Method, Plan, Start
from softreg.optimize.solvers.one_pass_newton import target_gap
from softreg.optimize.solvers.proximal_newton import TARGET_GAP
from softreg.optimize.solvers.small_start import SmallStart, small_start
from softreg.optimize.sparse_start import sparse_start
from softreg.rows import Array

GOAL_SHARE = 0.01
"""Share of the gap at which the method of the plan ends, to which compiled steps approach the minimum at most."""


def compiled_start(objective: Objective, theta: Array, plan: Plan, options: FitOptions) -> SmallStart | None:
    """Return a start from compiled steps for few numbers, or for sparse rows with an l1 part.

    Parameters
    ----------
    objective : Objective
    theta : ndarray of shape (m, q, d + 1)
        The start.
    plan : Plan
        The plan, whose method goes on where the gap is not proved.
    options : FitOptions

    Returns
    -------
    SmallStart or None
        None where the steps are not expected to save time; for few numbers also where the plan is forced or has a
        start of its own.
    """
    small = None
    if plan.method is Method.WEIGHT_PROXIMAL_NEWTON:
        with objective.meter.passes():
            small = sparse_start(objective, theta, options.tol, options.max_iter)
    if small is None:
        small = _of_few_numbers(objective, theta, plan, options)
    if small is not None:
        objective.half_passes += small.half_passes
        read, rows = small.half_passes / 2, objective.rows
        objective.meter.count(read * rows.stored_bytes, 4.0 * read * rows.stored * objective.q)
        if options.on_progress is not None:
            list(map(options.on_progress, small.history))
    return small


def _of_few_numbers(objective: Objective, theta: Array, plan: Plan, options: FitOptions) -> SmallStart | None:
    """Return a start for few numbers, unless the plan is forced or has a start of its own."""
    kinked = plan.method in (Method.WEIGHT_PROXIMAL_NEWTON, Method.ORTHANT_LBFGS)
    starts = (Start.ZERO, Start.CLASS_MEANS, Start.NESTED_SAMPLES, Start.SAMPLE, *[Start.GIVEN] * kinked)
    smooth = plan.method in (Method.ONE_PASS_NEWTON, Method.TRUNCATED_NEWTON, Method.LBFGS, Method.DUAL_ASCENT)
    forced = options.solver not in FAMILIES
    if forced or plan.start not in starts or not (kinked or smooth) or plan.logits is Logits.RECOMPUTED:
        return None
    near = min(options.tol, TARGET_GAP) if kinked else options.tol
    goal = GOAL_SHARE * (target_gap(options.tol) if plan.method is Method.ONE_PASS_NEWTON else near)
    many_steps = plan.method in (Method.LBFGS, Method.TRUNCATED_NEWTON)
    return small_start(objective, theta, options.tol, goal, options.max_iter, many_steps=many_steps)
