"""The function `minimise`, which minimises an objective by the plan that the rules choose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from softreg.optimize.certified_newton.proximal_steps import certify
from softreg.optimize.cost.meter import metered
from softreg.optimize.dual.acceleration import inner_product
from softreg.optimize.dual.coordinate_ascent import MAX_START_PENALTY, DualResult, run_sdca
from softreg.optimize.many_classes.streamed_fit import fit_streamed
from softreg.optimize.many_classes.wide_dual_ascent import fit_dual
from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.objective.recomputed_logits import RecomputedObjective
from softreg.optimize.plan.compiled_start import compiled_start
from softreg.optimize.plan.conditions import first_sample
from softreg.optimize.plan.dual_cost import dual_budgets
from softreg.optimize.plan.problem_facts import Facts, facts_of
from softreg.optimize.plan.rules import FAMILIES, SOLVERS, choose, without_single_rows
from softreg.optimize.plan.strategies import sampled, strategy_for, warm_start
from softreg.optimize.problem.limits import LIMITS, Limits
from softreg.optimize.problem.options import FitOptions
from softreg.optimize.problem.penalty_table import Penalty
from softreg.optimize.problem.result import Progress, Solution, Status
from softreg.optimize.problem.solver_plan import CurvatureModel, Logits, Method, Plan, Start, Transform
from softreg.optimize.problem.standardization import Coordinates, standardise
from softreg.optimize.problem_reduction.row_space import reduce
from softreg.optimize.problem_reduction.working_set_rounds import Rounds, Verdict
from softreg.optimize.problem_reduction.working_sets import Screening, Weights, WorkingSetSearch
from softreg.optimize.solvers.class_mean_start import from_class_means
from softreg.optimize.solvers.descent_loop import FINE, Descent
from softreg.optimize.solvers.nested_newton import nested_newton
from softreg.optimize.solvers.small_start import MAX_KINKED_NUMBERS
from softreg.optimize.solvers.stack_members import StackResult
from softreg.rows import Array, DenseRows, Rows, SparseRows, one_blas_thread

WIDE_SWEEPS = 120.0
"""Sweeps of dual coordinate ascent for many classes after which the next rule goes on."""
CLASS_MEAN_ROWS = 5000
"""Rows (at least five of each class) on which the length of the class-mean start is chosen."""


def minimise(
    rows: Rows,
    n_classes: int,
    penalty: Penalty,
    *,
    fit_intercept: bool = True,
    solver: str = "auto",
    tol: float = 1e-6,
    max_iter: int = 1000,
    start: Weights | None = None,
    seed: int = 0,
    on_progress: Callable[[Progress], Any] | None = None,
    limits: Limits = LIMITS,
) -> tuple[Solution, ...]:
    """Minimise mean cross-entropy + penalty for each model of a stack, with a certificate.

    Model j minimises `(1 / N_j) sum_i V_ij CE(Y_i, softmax(x_i W_j + b_j)) + penalty_j(W_j)` over W_j (d, q) and b_j
    (q,), where `N_j = sum_i V_ij`.

    Parameters
    ----------
    rows : Rows
        Features (n, d) with their labels and row weights V (m, n).
    n_classes : int
        The number of classes q.
    penalty : Penalty
        One strength for each of the m models.
    fit_intercept : bool
        Whether there is a bias; it is not penalised.
    solver : str
        One of `SOLVERS`: "auto", "newton" or "lbfgs" choose by the rules of `optimize.plan`, the name of a rule forces
        its plan.
    tol : float
        Nats. A fit has converged when its value is proved to be within `tol` of the minimum.
    max_iter : int
        Iterations at most.
    start : tuple of ndarray, optional
        Weights (m, d, q) and bias (m, q) to begin with. Without an intercept the bias is taken to be 0.
    seed : int
        Seed of row samples; the minimum does not depend on it.
    on_progress : callable, optional
        Receives a `Progress` record after each iteration.
    limits : Limits
        Thresholds of the rules and of the exact Hessians.

    Returns
    -------
    tuple of Solution
        One for each model, in the user's columns.

    Raises
    ------
    ValueError
        If there are no rows, `solver` is unknown or cannot minimise this objective, or the weights overflow.

    Examples
    --------
    >>> import numpy as np
    >>> from softreg.rows import as_rows
    >>> from softreg.optimize import l2
    >>> rows = as_rows(np.array([[0.0], [1.0], [2.0], [3.0]]), np.array([0, 1, 0, 1]))
    >>> fit, = minimise(rows, 2, l2(0.1))
    >>> fit.status.value, fit.gap <= 1e-6, fit.plan.name
    ('converged', True, 'one-pass-newton')
    """
    if solver not in SOLVERS:
        raise ValueError(f"solver={solver!r} is not one of {', '.join(SOLVERS)}")
    if rows.n == 0:
        raise ValueError("there are no rows to fit to; at least one row is needed")
    if start is not None and not fit_intercept:
        start = (start[0], np.zeros_like(start[1]))
    options = FitOptions(n_classes, penalty, fit_intercept, solver, tol, max_iter, seed, on_progress, limits)
    with one_blas_thread(), metered() as meter:
        solutions = _minimise_rows(rows, options, start)
        cost = meter.finish(rows, len(penalty))
    return tuple(replace(solution, cost=cost) for solution in solutions)


def _minimise_rows(rows: Rows, options: FitOptions, start: Weights | None) -> tuple[Solution, ...]:
    """Standardise the rows and minimise."""
    unpenalised = bool(options.penalty.may_diverge.any())
    rows, coordinates = standardise(rows, centred=options.fit_intercept, robust=unpenalised)
    if unpenalised:
        coordinates.refuse_faint()
    facts = facts_of(rows, options.n_classes, options.penalty, started=start is not None, tolerance=options.tol)
    plan = choose(facts, options.solver, options.limits)
    if plan.method.many_classes:
        if start is not None and not _start_pays(options.penalty.strong_convexity.tolist(), start[0]):
            start, facts = None, replace(facts, started=False)
        solutions = _with_many_classes(rows, coordinates, plan, options, start)
        if solutions is not None and all(np.isfinite(solution.value) for solution in solutions):
            if all(solution.status is not Status.STALLED for solution in solutions):
                return solutions
            start = np.stack([solution.W for solution in solutions]), np.stack([solution.b for solution in solutions])
        facts = without_single_rows(facts)
        plan = choose(facts, options.solver if options.solver in FAMILIES else "auto", options.limits)
    if plan.transform is Transform.ROW_SPACE:
        return _in_row_space(rows, coordinates, plan, options, start)
    if plan.transform is Transform.WORKING_SET:
        return _on_working_sets(rows, coordinates, facts, plan, options, start)
    return _by_plan(rows, coordinates, facts, plan, options, start)


def _in_row_space(
    rows: Rows, coordinates: Coordinates, plan: Plan, options: FitOptions, start: Weights | None
) -> tuple[Solution, ...]:
    """Minimise in as many dimensions as there are rows."""
    reduction = reduce(rows, coordinates)
    if start is None and coordinates.is_ordinary:
        some = Coordinates.identity(reduction.rows.d)
        if (few := _of_few_numbers(reduction.rows, some, plan, _of_transformed(options))) is not None:
            return (reduction.back(few),)
    reduced_start = None if start is None else reduction.start(*start)
    solutions = _minimise_rows(reduction.rows, _of_transformed(options), reduced_start)
    return tuple(_with_transform(plan, reduction.back(solution)) for solution in solutions)


def _with_many_classes(
    rows: Rows, coordinates: Coordinates, plan: Plan, options: FitOptions, start: Weights | None
) -> tuple[Solution, ...] | None:
    """Minimise by a method for many classes; None where it cannot, or costs too much."""
    if coordinates.unit is not None or coordinates.explicit:
        return None
    strengths = options.penalty.strong_convexity.tolist()
    common: dict[str, Any] = {
        "fit_intercept": options.fit_intercept,
        "tol": options.tol,
        "max_iter": options.max_iter,
        "start": start,
        "on_progress": options.on_progress,
    }
    if isinstance(rows, SparseRows):
        budget = WIDE_SWEEPS if options.solver in FAMILIES else np.inf
        budgets = [budget] * len(strengths)
        return fit_dual(rows, options.n_classes, strengths, plan, seed=options.seed, budgets=budgets, **common)
    if isinstance(rows, DenseRows) and rows.labels.ndim == 1:
        return fit_streamed(rows, options.n_classes, strengths, coordinates.shift, plan, **common)
    return None


def _start_pays(strengths: list[float], W: Array) -> bool:
    """Return False where the penalty of given weights exceeds what that of an optimum can be, `log q`, by far."""
    most = MAX_START_PENALTY * np.log(W.shape[2])
    return all(strength / 2 * inner_product(one, one) < most for strength, one in zip(strengths, W, strict=True))


def _on_working_sets(
    rows: Rows, coordinates: Coordinates, facts: Facts, plan: Plan, options: FitOptions, start: Weights | None
) -> tuple[Solution, ...]:
    """Minimise on working sets of the columns; with all columns where too many are active, or few numbers."""
    forced = options.solver not in FAMILIES
    options = _of_transformed(options)
    if not forced and start is None and (solution := _of_few_numbers(rows, coordinates, plan, options)) is not None:
        return (solution,)
    exact = rows if options.tol >= FINE or rows.dtype == np.float64 else rows.with_higher_precision()
    screening = Screening(rows, coordinates, options.n_classes, options.fit_intercept)
    search, rounds = WorkingSetSearch(screening, exact, options.penalty, start), Rounds(options)
    while search.is_small:
        some = search.rows
        round_options = rounds.next_options(search.columns)
        fit = rounds.add(_optimum(some, search.coordinates, round_options, search.start, parent=facts))
        check = search.check(fit)
        verdict = rounds.check_fit(fit, check)
        if verdict is Verdict.CONVERGED:
            solutions = rounds.finished(search.finish(fit, check))
            return tuple(_with_transform(plan, solution) for solution in solutions)
        if verdict is Verdict.ALL_COLUMNS:
            break
        search.grow(check)
    solutions = _optimum(rows, coordinates, options, search.start_for_all)
    return tuple(_with_transform(plan, solution) for solution in solutions)


def _of_few_numbers(rows: Rows, coordinates: Coordinates, plan: Plan, options: FitOptions) -> Solution | None:
    """Return the minimum of a transformed problem by compiled steps; None where there are more numbers."""
    if len(options.penalty) > 1 or rows.n * rows.d > MAX_KINKED_NUMBERS:
        return None
    facts = facts_of(rows, options.n_classes, options.penalty, tolerance=options.tol)
    inner = choose(replace(facts, column_access=False), options.solver, options.limits)
    objective = Objective(rows, options.n_classes, options.penalty, coordinates, options.fit_intercept)
    small = compiled_start(objective, _start(objective, coordinates, None), inner, options)
    if small is None or small.gap > options.tol:
        return None
    return _with_transform(plan, _solution(objective, coordinates, small.result(), inner, 0))


def _optimum(
    rows: Rows, coordinates: Coordinates, options: FitOptions, start: Weights | None, parent: Facts | None = None
) -> tuple[Solution, ...]:
    """Minimise with an l1 part on all columns of the rows, which may be a working set of those of a parent."""
    facts = facts_of(
        rows,
        options.n_classes,
        options.penalty,
        started=start is not None,
        working_set=parent is not None,
        tolerance=options.tol,
        uncorrelated=True if parent is not None and parent.uncorrelated else None,
    )
    facts = replace(facts, column_access=False)
    return _by_plan(rows, coordinates, facts, choose(facts, options.solver, options.limits), options, start)


def _of_transformed(options: FitOptions) -> FitOptions:
    """Return the options of the transformed problem: a plan that was forced is the transform's."""
    return options if options.solver in FAMILIES else replace(options, solver="auto")


def _with_transform(plan: Plan, solution: Solution) -> Solution:
    """Return the solution with the plan of the transform, which is solved by the plan that the solution has."""
    inner = solution.plan
    assert inner is not None
    why = f"{plan.why} The transformed problem by {inner.name}: {inner.why}"
    return replace(solution, plan=replace(inner, name=plan.name, transform=plan.transform, why=why))


def _by_plan(
    rows: Rows, coordinates: Coordinates, facts: Facts, plan: Plan, options: FitOptions, start: Weights | None
) -> tuple[Solution, ...]:
    """Minimise on these rows by a plan without a transform."""
    exact = plan.curvature is CurvatureModel.EXACT
    if facts.uncorrelated:
        passes = options.limits.orthant_hessian_passes_uncorrelated
        options = replace(options, limits=replace(options.limits, orthant_hessian_passes=passes))
    if exact and rows.reduced_precision:  # few iterations, each of which adds many digits
        rows = rows.with_higher_precision()
    kind = RecomputedObjective if plan.logits is Logits.RECOMPUTED else Objective
    objective = kind(rows, options.n_classes, options.penalty, coordinates, options.fit_intercept)
    theta = _start(objective, coordinates, start)
    small = compiled_start(objective, theta, plan, options)
    if small is None:
        outcome = _by_method(objective, theta, facts, plan, options)
    elif small.gap <= options.tol:
        outcome = small.result()
    else:
        rest = replace(without_single_rows(facts), started=True)
        then = choose(rest, "lbfgs", options.limits) if plan.method is Method.DUAL_ASCENT else plan
        then = replace(then, start=Start.GIVEN)
        left = replace(options, max_iter=options.max_iter - small.steps, on_progress=small.later(options.on_progress))
        outcome = _by_method(objective, small.theta, facts, then, left, small.proof_first)
        outcome.n_iter = outcome.n_iter + small.steps
        outcome.history[:] = [*small.history, *map(small.moved, outcome.history)]
    with objective.meter.certificate():
        certify(objective, options.penalty, outcome, options.tol, options.limits)
    return tuple(_solution(objective, coordinates, outcome, plan, j) for j in range(len(theta)))


def _by_method(
    objective: Objective, theta: Array, facts: Facts, plan: Plan, options: FitOptions, proof_first: bool = False
) -> StackResult:
    """Minimise from these parameters by the method of the plan."""
    if plan.method is Method.ONE_PASS_NEWTON:
        first = first_sample(facts, options.limits) if plan.start is Start.NESTED_SAMPLES else None
        return nested_newton(
            objective,
            theta,
            tol=options.tol,
            max_iter=options.max_iter,
            seed=options.seed,
            first_sample=first,
            on_progress=options.on_progress,
        )
    if plan.method is Method.DUAL_ASCENT:
        return _dual_ascent(objective, theta, facts, options)
    return _descend(objective, theta, plan, options, proof_first)


def _start(objective: Objective, coordinates: Coordinates, start: Weights | None) -> Array:
    """Return the given parameters in the solver's coordinates, or zeros."""
    if start is None:
        return np.zeros((objective.m, objective.q, objective.rows.d + 1))
    W, b = start
    return coordinates.from_user(np.moveaxis(np.asarray(W, dtype=np.float64), 1, 2), np.asarray(b, dtype=np.float64))


def _dual_ascent(objective: Objective, theta: Array, facts: Facts, options: FitOptions) -> StackResult:
    """Minimise by dual coordinate ascent; where that costs too much or proves too little, go on by the next rule."""
    forced = options.solver not in FAMILIES
    budgets = None if forced else dual_budgets(facts, options.limits)
    begin = _weights(objective, theta) if facts.started else None
    result = run_sdca(objective, options.tol, options.seed, options.on_progress, begin, budgets)
    if result is not None and (result.gap <= options.tol).all():
        return _certified(result)
    theta = theta if result is None else result.theta
    rest = replace(without_single_rows(facts), started=facts.started or result is not None)
    return _descend(objective, theta, choose(rest, "lbfgs", options.limits), options)


def _descend(
    objective: Objective, theta: Array, plan: Plan, options: FitOptions, proof_first: bool = False
) -> StackResult:
    """Minimise by line searches along the directions of the plan."""
    sample, limits = objective.rows, options.limits
    if plan.start is Start.SAMPLE or plan.curvature is CurvatureModel.SAMPLED:
        sample = sampled(objective.rows, options.seed, limits)
    if plan.start is Start.SAMPLE:
        theta = warm_start(objective, plan, sample, theta, options.tol, limits)
    elif plan.start is Start.CLASS_MEANS:
        theta = from_class_means(objective, objective.rows.sample(CLASS_MEAN_ROWS, options.seed))
    strategy = strategy_for(plan, sample, limits=limits)
    return Descent(
        objective,
        strategy,
        theta,
        tol=options.tol,
        max_iter=options.max_iter,
        on_progress=options.on_progress,
        proof_first=proof_first,
    ).run()


def _weights(objective: Objective, theta: Array) -> Weights:
    """Return weights (m, d, q) and bias (m, q) of the user's columns."""
    W, b = objective.user(theta)
    return np.moveaxis(W, 1, 2), b


def _certified(result: DualResult) -> StackResult:
    """Return a result of dual ascent whose gaps are proved."""
    m = len(result.gap)
    return StackResult(
        theta=result.theta,
        value=result.value,
        gap=result.gap,
        bound=["duality"] * m,
        status=[Status.CONVERGED] * m,
        n_iter=result.sweeps,
        separation=[None] * m,
        history=list(result.history),
    )


def _solution(objective: Objective, coordinates: Coordinates, outcome: StackResult, plan: Plan, j: int) -> Solution:
    """Return the solution of model j in the user's columns."""
    with np.errstate(over="ignore", invalid="ignore"):
        W, b = coordinates.to_user(outcome.theta[j : j + 1])
    coordinates.refuse_overflow(W[0], b[0])
    return Solution(
        W=np.ascontiguousarray(W[0].T),
        b=b[0],
        value=float(outcome.value[j]),
        gap=float(outcome.gap[j]),
        bound=outcome.bound[j],
        status=outcome.status[j],
        passes=objective.passes,
        n_iter=int(outcome.n_iter[j]),
        history=tuple(outcome.history),
        separation=outcome.separation[j],
        plan=plan,
    )
