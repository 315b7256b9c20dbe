"""Newton's method from the answers for nested samples of the rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from softreg.optimize.curvature.subsampled import Sketch
from softreg.optimize.objective.cached import Objective
from softreg.optimize.objective.recomputed import LeanObjective
from softreg.optimize.problem.result import Progress
from softreg.optimize.solvers.lbfgs import LBFGS
from softreg.optimize.solvers.loop import Descent, Outcome
from softreg.optimize.solvers.newton import Newton
from softreg.optimize.solvers.one_pass_newton import OnePassNewton
from softreg.rows import Array

Listener = Callable[[Progress], Any] | None

SURE = 0.04
"""A sample's Hessian serves for all rows where the square of its likely error, `4 p / n` for p parameters, is below."""
GROWTH = 16
"""Each nested sample is at most so many times as large as the one within."""
LBFGS_ROWS = 100_000
"""A sketch for L-BFGS where Newton's method does not get there: rows of its sample."""
CALM = 10.0
"""Rows that speak for weights of zero in each sample of Newton's method."""


def newton(
    objective: Objective,
    theta: Array,
    tol: float,
    max_iter: int,
    seed: int,
    first_sample: int | None,
    on_progress: Listener,
) -> Outcome:
    """Newton's method with a reading a step, from the answer for a sample; `Descent` where that does not get there.

    `first_sample` is the size of the smallest of nested samples, None where the method begins at `theta`.
    """
    factors = None
    if first_sample is not None:
        theta, factors = _sampled(objective, theta, first_sample, seed)
    strides = OnePassNewton(objective, theta, tol=tol, max_iter=max_iter, factors=factors, on_progress=on_progress)
    found = strides.run()
    if found is not None:
        return found
    taken = strides.out.n_iter
    left = max_iter - int(taken.max())
    goes_on = _by_line_search if objective.rows.fits_in_memory else _without_logits
    rest = goes_on(objective, strides, tol, left, seed, on_progress)
    rest.n_iter = rest.n_iter + taken
    rest.history[:0] = strides.out.history
    return rest


def _by_line_search(
    objective: Objective, strides: OnePassNewton, tol: float, max_iter: int, seed: int, on_progress: Listener
) -> Outcome:
    """Newton's method with steps of the right length, along logits that are kept."""
    again = Objective(objective.rows, objective.q, strides.penalty, objective.coordinates, objective.fit_intercept)
    again.half_passes = objective.half_passes
    rest = Descent(again, Newton(), strides.reached(), tol=tol, max_iter=max_iter, on_progress=on_progress).run()
    objective.half_passes = again.half_passes
    return rest


def _without_logits(
    objective: Objective, strides: OnePassNewton, tol: float, max_iter: int, seed: int, on_progress: Listener
) -> Outcome:
    """For rows that are more than memory holds: once more with products in float64, then L-BFGS."""
    rows, theta = objective.rows.precise(dtype=np.float64), strides.reached()
    terms = (objective.q, strides.penalty, objective.coordinates, objective.fit_intercept)
    again = Objective(rows, *terms)
    again.half_passes = objective.half_passes
    history: list[Progress] = []
    rest: Outcome | None = None
    if objective.lacks_precision():
        fine = OnePassNewton(again, theta, tol=tol, max_iter=max_iter, on_progress=on_progress)
        rest, theta, history = fine.run(), fine.reached(), fine.out.history
    if rest is None:
        lean = LeanObjective(rows, *terms)
        lean.half_passes = again.half_passes
        strategy = LBFGS(Sketch(rows.sample(LBFGS_ROWS, seed)))
        rest = Descent(lean, strategy, theta, tol=tol, max_iter=max_iter, on_progress=on_progress).run()
        rest.history[:0] = history
        again.half_passes = lean.half_passes
    objective.half_passes = again.half_passes
    return rest


def _sampled(objective: Objective, theta: Array, least: int, seed: int) -> tuple[Array, list[Array] | None]:
    """The answer for a sample of the rows, and factors of its Hessian where they are good enough for all rows.

    Samples are nested, each several times as large as the one within: the first, small one bears the steps from afar,
    and each of the others needs one or two.
    """
    parameters = (objective.q - 1) * (objective.rows.d + 1)
    levels = int(np.ceil(np.log(objective.rows.n / least) / np.log(GROWTH)))
    homes, ratio = [objective.rows], (objective.rows.n / least) ** (1 / levels)
    for level in range(1, levels + 1):
        homes.append(homes[-1].sample(int(objective.rows.n / ratio**level), seed))
    factors: list[Array] | None = None
    for rows in homes[:0:-1]:
        few = Objective(rows, objective.q, objective.penalty, objective.coordinates, objective.fit_intercept)
        few.ridge[:, :-1] += CALM / rows.n  # columns that hardly vary in the sample must not run away
        chance = parameters / (2 * rows.n)  # what a sample's optimum is above that of all rows, about
        found = OnePassNewton(few, theta, tol=1.0, max_iter=40).approach(chance / 4)
        if found is None:
            return theta, None
        theta, factors = found
    return theta, factors if factors is not None and 8 * chance < SURE else None
