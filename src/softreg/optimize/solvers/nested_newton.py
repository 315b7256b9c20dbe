"""Newton's method started from the optima of nested samples of the rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from softreg.optimize.curvature.subsampled import SubsampledCurvature
from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.objective.recomputed_logits import RecomputedObjective
from softreg.optimize.problem.result import Progress
from softreg.optimize.solvers.descent_loop import Descent
from softreg.optimize.solvers.lbfgs import LBFGS
from softreg.optimize.solvers.newton import Newton
from softreg.optimize.solvers.one_pass_newton import OnePassNewton
from softreg.optimize.solvers.stack_members import StackResult
from softreg.typing import FloatArray

ProgressListener = Callable[[Progress], object] | None

MAX_HESSIAN_ERROR = 0.04
"""A sample's Hessian is used for all rows where the square of its expected relative error is below this."""
SQUARED_ERROR = 4.0
"""That square is `4 p / n` for p parameters and n rows in the sample."""
GROWTH = 16
"""Each further sample has at most so many times the rows of the one within."""
LBFGS_ROWS = 100_000
"""Rows of the sample that preconditions L-BFGS where Newton's method does not converge."""
PSEUDO_COUNT = 10.0
"""Extra ridge `PSEUDO_COUNT / n` on the weights, so that near-constant columns do not diverge in a sample."""
SAMPLE_GAP_SHARE = 4
"""A sample is solved to its expected statistical gap divided by this."""
MAX_SAMPLE_ITERATIONS = 40
"""Newton steps on one sample."""


@dataclass(frozen=True)
class SampledStart:
    """Parameters from samples of the rows, and Cholesky factors of their Hessian where these serve for all rows."""

    theta: FloatArray
    factors: Sequence[FloatArray] | None = None


def nested_newton(
    objective: Objective,
    theta: FloatArray,
    *,
    tol: float,
    max_iter: int,
    seed: int,
    first_sample: int | None,
    on_progress: ProgressListener,
) -> StackResult:
    """Minimize by Newton's method with one pass per step, or by `Descent` where that does not converge.

    Parameters
    ----------
    objective
        A strictly convex objective of few parameters.
    theta
        Start (m, q, d + 1) in the solver's coordinates.
    tol
        Gap in nats to be certified.
    max_iter
        Iterations, both methods together.
    seed
        Seed of the samples.
    first_sample
        Rows of the smallest of nested samples, whose optima give the start; None to start at `theta`.
    on_progress
        Called after each step.

    Returns
    -------
    StackResult
        Results of all models.
    """
    start = SampledStart(theta)
    if first_sample is not None:
        start = _start_from_samples(objective, theta, first_sample, seed)
    first = OnePassNewton(
        objective, start.theta, tol=tol, max_iter=max_iter, factors=start.factors, on_progress=on_progress
    )
    result = first.run()
    if result is not None:
        return result
    steps = first.members.results.n_iter
    remaining = max_iter - int(steps.max())
    continue_fit = _with_line_search if objective.rows.fits_in_memory else _without_logits
    rest = continue_fit(objective, first, tol=tol, max_iter=remaining, seed=seed, on_progress=on_progress)
    rest.n_iter = rest.n_iter + steps
    rest.history[:0] = first.members.results.history
    return rest


def _with_line_search(
    objective: Objective,
    first: OnePassNewton,
    *,
    tol: float,
    max_iter: int,
    seed: int,
    on_progress: ProgressListener,
) -> StackResult:
    """Continue by Newton's method with a line search along kept logits."""
    again = Objective(objective.rows, objective.q, first.penalty, objective.coordinates, objective.fit_intercept)
    again.half_passes = objective.half_passes
    theta = first.current_theta()
    rest = Descent(again, Newton(), theta, tol=tol, max_iter=max_iter, on_progress=on_progress).run()
    objective.half_passes = again.half_passes
    return rest


def _without_logits(
    objective: Objective,
    first: OnePassNewton,
    *,
    tol: float,
    max_iter: int,
    seed: int,
    on_progress: ProgressListener,
) -> StackResult:
    """Continue where rows do not fit in memory: by the same method with products in float64, then by L-BFGS."""
    rows, theta = objective.rows.precise(dtype=np.float64), first.current_theta()
    problem = (objective.q, first.penalty, objective.coordinates, objective.fit_intercept)
    again = Objective(rows, *problem)
    again.half_passes = objective.half_passes
    history: list[Progress] = []
    rest: StackResult | None = None
    if objective.lacks_precision():
        second = OnePassNewton(again, theta, tol=tol, max_iter=max_iter, on_progress=on_progress)
        rest, theta, history = second.run(), second.current_theta(), second.members.results.history
    if rest is None:
        lean = RecomputedObjective(rows, *problem)
        lean.half_passes = again.half_passes
        method = LBFGS(SubsampledCurvature(rows.sample(LBFGS_ROWS, seed)))
        rest = Descent(lean, method, theta, tol=tol, max_iter=max_iter, on_progress=on_progress).run()
        rest.history[:0] = history
        again.half_passes = lean.half_passes
    objective.half_passes = again.half_passes
    return rest


def _start_from_samples(objective: Objective, theta: FloatArray, smallest: int, seed: int) -> SampledStart:
    """Return the optimum of nested samples of the rows.

    Each sample has several times the rows of the one within: the smallest takes the steps far from the optimum, and
    each of the others needs one or two.

    Returns
    -------
    SampledStart
        Parameters, and factors of the Hessian where the largest sample's is used for all rows.
    """
    n_parameters = (objective.q - 1) * (objective.rows.d + 1)
    levels = int(np.ceil(np.log(objective.rows.n / smallest) / np.log(GROWTH)))
    samples, ratio = [objective.rows], (objective.rows.n / smallest) ** (1 / levels)
    for level in range(1, levels + 1):
        samples.append(samples[-1].sample(int(objective.rows.n / ratio**level), seed))
    factors: Sequence[FloatArray] | None = None
    error = np.inf
    for rows in samples[:0:-1]:
        sampled = Objective(rows, objective.q, objective.penalty, objective.coordinates, objective.fit_intercept)
        sampled.ridge[..., :-1] += PSEUDO_COUNT / rows.n
        statistical_gap = n_parameters / (2 * rows.n)  # expected excess of a sample's optimum on all rows
        error = SQUARED_ERROR * n_parameters / rows.n
        newton = OnePassNewton(sampled, theta, tol=1.0, max_iter=MAX_SAMPLE_ITERATIONS)
        state = newton.approach(statistical_gap / SAMPLE_GAP_SHARE)
        if state is None:
            return SampledStart(theta)
        theta, factors = state.theta, state.factors
    return SampledStart(theta, factors if error < MAX_HESSIAN_ERROR else None)
