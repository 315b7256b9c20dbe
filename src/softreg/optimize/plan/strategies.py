"""What a plan names, as objects: the objective, the descent directions, the sample of rows and the warm start."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import replace

from softreg.optimize.curvature.class_clusters import ClassClusterCurvature
from softreg.optimize.curvature.subsampled import DiagonalCurvature, SubsampledCurvature
from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.objective.recomputed_logits import RecomputedObjective
from softreg.optimize.plan.conditions import diagonal_pays, logits_for, sample_size
from softreg.optimize.plan.problem_facts import facts_of
from softreg.optimize.problem.limits import LIMITS, Limits
from softreg.optimize.problem.penalty_table import Penalty
from softreg.optimize.problem.solver_plan import CurvatureModel, Logits, Method, Plan
from softreg.optimize.problem.standardization import Coordinates
from softreg.optimize.solvers.descent_loop import Descent
from softreg.optimize.solvers.direction import DirectionMethod
from softreg.optimize.solvers.group_proximal import GroupProximalNewton
from softreg.optimize.solvers.lbfgs import LBFGS, REVIEWS
from softreg.optimize.solvers.newton import Newton, TruncatedNewton
from softreg.optimize.solvers.orthant_lbfgs import OrthantLBFGS
from softreg.optimize.solvers.proximal_newton import ProximalNewton
from softreg.rows import Array, Rows

DIRECTIONS: dict[Method, Callable[[SubsampledCurvature, Container[int], Limits], DirectionMethod]] = {
    Method.LBFGS: lambda curvature, reviews, limits: LBFGS(curvature, reviews),
    Method.ORTHANT_LBFGS: OrthantLBFGS,
    Method.WEIGHT_PROXIMAL_NEWTON: lambda curvature, reviews, limits: ProximalNewton(limits),
    Method.GROUP_PROXIMAL_NEWTON: lambda curvature, reviews, limits: GroupProximalNewton(),
}
"""Methods that work with a sampled or diagonal curvature."""

WARM_ITERATIONS = 12
"""Most iterations on the sample: its optimum differs from that of all rows (8 to 20 make no difference on MNIST)."""
WARM_TOLERANCE = 1e-3
"""Nats: a closer optimum of the sample is no better start."""
CLUSTER_REVIEWS = (1, 2, 4, 7, 12, 20, 40)
"""Iterations at which the clusters of classes are computed again; the pass has all that they need."""


def objective_for(
    rows: Rows,
    n_classes: int,
    penalty: Penalty,
    coordinates: Coordinates,
    fit_intercept: bool = True,
    limits: Limits = LIMITS,
) -> Objective:
    """Return the objective that keeps its logits, or the one that recomputes them, as the limits say."""
    logits = logits_for(facts_of(rows, n_classes, penalty, uncorrelated=False), limits)
    kind = RecomputedObjective if logits is Logits.RECOMPUTED else Objective
    return kind(rows, n_classes, penalty, coordinates, fit_intercept)


def strategy_for(
    plan: Plan, sample: Rows, reviews: Container[int] = REVIEWS, limits: Limits = LIMITS
) -> DirectionMethod:
    """Return the descent directions of a plan.

    Parameters
    ----------
    plan : Plan
        Its method and curvature decide.
    sample : Rows
        The rows from which a sampled curvature is computed.
    reviews : container of int
        Iterations at which the curvature is computed again where it has changed.
    limits : Limits
        Thresholds of the exact Hessian and of the factors of the classes.

    Returns
    -------
    DirectionMethod
    """
    if plan.method is Method.LINE_SEARCH_NEWTON:
        return Newton()
    if plan.method is Method.TRUNCATED_NEWTON:
        return TruncatedNewton()
    if plan.curvature is CurvatureModel.CLASS_CLUSTERS:
        return LBFGS(ClassClusterCurvature(), CLUSTER_REVIEWS)
    kind = DiagonalCurvature if plan.curvature is CurvatureModel.DIAGONAL else SubsampledCurvature
    return DIRECTIONS[plan.method](kind(sample, limits), reviews, limits)


def sampled(rows: Rows, seed: int, limits: Limits = LIMITS) -> Rows:
    """Return a sample for a warm start or a curvature; few rows in memory are returned as they are."""
    if rows.n <= limits.sample_rows and rows.fits_in_memory:
        return rows
    return rows.sample(sample_size(rows.n, limits), seed)


def warm_start(
    objective: Objective, plan: Plan, sample: Rows, theta: Array, tol: float = 0.0, limits: Limits = LIMITS
) -> Array:
    """Return parameters near the optimum of a sample, which cost a tenth of a pass an iteration.

    Parameters
    ----------
    objective : Objective
        The objective of all rows.
    plan : Plan
        Its plan.
    sample : Rows
        Some of its rows.
    theta : ndarray of shape (m, q, d + 1)
        Where the descent on the sample starts.
    tol : float
        Nats: the tolerance of the fit.
    limits : Limits

    Returns
    -------
    ndarray of shape (m, q, d + 1)
    """
    q, penalty = objective.q, objective.penalty
    smaller = objective_for(sample, q, penalty, objective.coordinates, objective.fit_intercept, limits)
    smaller.members = objective.members.copy()
    if plan.method is not Method.LINE_SEARCH_NEWTON:
        diagonal = diagonal_pays(facts_of(sample, q, penalty), limits)
        plan = replace(plan, curvature=CurvatureModel.DIAGONAL if diagonal else CurvatureModel.SAMPLED)
    strategy = strategy_for(plan, sample, (), limits)  # computing the curvature again costs more than it saves here
    descent = Descent(smaller, strategy, theta, tol=max(tol, WARM_TOLERANCE), max_iter=WARM_ITERATIONS, certify=False)
    return descent.run().theta
