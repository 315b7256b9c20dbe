"""Whether dual coordinate ascent is expected to cost less than L-BFGS, from counts and times that were measured."""

from __future__ import annotations

import math

from softreg.optimize.curvature.subsampled import INEXPENSIVE_PRODUCTS, ROWS_PER_COLUMN
from softreg.optimize.dual.dual_iterate import MAX_PLAIN_CURVATURE
from softreg.optimize.plan.problem_facts import Facts
from softreg.optimize.problem.limits import Limits

PRODUCTS_PER_NANOSECOND = 12.0
"""Multiplications of a curvature block and its factor in a nanosecond, one thread, float64 (measured at order 2,575:
13)."""
VISIT_PER_NUMBER, VISIT, VISIT_PER_CLASS = 0.25, 150.0, 8.0
"""Nanoseconds of a dual step: for each stored number and class, for itself, and for each class."""
ITERATION_PER_NUMBER, ITERATION_PER_LOGIT, ITERATION_PER_WEIGHT = 0.3, 2.5, 70.0
"""Nanoseconds of an L-BFGS iteration: for each stored number and class, each logit, and each weight, which the two-loop
recursion reads some seventy times. Its passes are shared among threads."""
ITERATIONS, ITERATIONS_PER_ROOT = 5.0, 15.0
"""Iterations of L-BFGS for a mean curvature c of a row's dual step are about `5 + 15 sqrt(c)`: measured on text,
one-hot columns and pixels at strengths from 1e-2 to 1e-7."""
SWEEPS, SWEEPS_PER_CURVATURE = 6.0, 1.2
"""Sweeps of dual ascent are about `6 + 1.2 c` for the same c; with momentum, the part of c above
`MAX_PLAIN_CURVATURE` counts by its square root."""


def needs_diagonal(facts: Facts, limits: Limits) -> bool:
    """Return True if columns are so many that the curvature is a diagonal."""
    return facts.d > min(limits.diagonal_columns, max(facts.n, limits.diagonal_cheap_columns))


def factor_time(facts: Facts, limits: Limits) -> float:
    """Return the nanoseconds of one sampled curvature, the blocks of all classes multiplied and factored."""
    # Sparse columns do not make it cheaper: 2,575 take 2.7 s a class, a pass over 30,000 one-hot rows 0.01 s.
    if needs_diagonal(facts, limits):
        return 0.0
    order = facts.d + 1.0
    size = min(float(facts.n), max(ROWS_PER_COLUMN * order, INEXPENSIVE_PRODUCTS / order**2))
    blocks = 1 if facts.q == 2 or facts.q > limits.cluster_classes else facts.q
    return blocks * (size * order**2 + order**3 / 3) / PRODUCTS_PER_NANOSECOND


def dual_budgets(facts: Facts, limits: Limits) -> tuple[float, ...] | None:
    """Return, for each model, what L-BFGS is expected to cost in sweeps; None where sweeps are not expected to pay."""
    if facts.row_square_mean is None or not (facts.smooth and facts.strongly_convex):
        return None
    visits = VISIT_PER_NUMBER * facts.stored_numbers * facts.q + facts.n * (VISIT + VISIT_PER_CLASS * facts.q)
    iteration = (
        ITERATION_PER_NUMBER * facts.stored_numbers * facts.q
        + ITERATION_PER_LOGIT * facts.n * facts.q
        + ITERATION_PER_WEIGHT * facts.d * facts.q
    )
    budgets = []
    for strength in facts.strong_convexity:
        c = facts.row_square_mean / (strength * facts.n)
        replaced = c > limits.dual_mean_curvature and not needs_diagonal(facts, limits)
        iterations = 0.0 if replaced else ITERATIONS + ITERATIONS_PER_ROOT * math.sqrt(c)
        alike = facts.strong_convexity.count(strength)  # models of one strength share the factor
        shared = factor_time(facts, limits) / alike
        budget = (iterations * iteration + shared) / visits
        accelerated = math.sqrt(max(c - MAX_PLAIN_CURVATURE, 0.0))
        sweeps = SWEEPS + SWEEPS_PER_CURVATURE * (min(c, MAX_PLAIN_CURVATURE) + accelerated)
        if not limits.dual_margin * sweeps < budget:
            return None
        budgets.append(budget)
    return tuple(budgets)
