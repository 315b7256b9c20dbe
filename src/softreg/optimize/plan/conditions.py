"""Conditions of the rules, and what their plans depend on: functions of the facts and the limits."""

from __future__ import annotations

from softreg.optimize.plan.dual_cost import dual_budgets, needs_diagonal
from softreg.optimize.plan.problem_facts import Facts
from softreg.optimize.problem.limits import LIMITS, Limits
from softreg.optimize.problem.penalty_protocol import Trait
from softreg.optimize.problem.solver_plan import CurvatureModel, Logits, Start


def first_sample(f: Facts, limits: Limits) -> int:
    """Return the rows of the smallest of nested samples."""
    return max(limits.nested_least_rows, limits.nested_rows_per_parameter * f.parameters)


def nested_rows(f: Facts, limits: Limits) -> int:
    """Return the rows from which on Newton's method starts from nested samples."""
    return limits.nested_least_ratio * first_sample(f, limits)


def row_space_pays(f: Facts, limits: Limits) -> bool:
    """Return True if the problem is smaller in the space of its rows, and that space is cheap to compute."""
    few = max(limits.row_space_rows, limits.row_space_rows_per_class * f.q * f.m)
    wide = f.d > limits.row_space_uncorrelated_columns_per_row * f.n
    few_steps = f.uncorrelated and f.n > limits.row_space_uncorrelated_rows and not wide
    return (
        not f.working_set
        and not few_steps
        and (f.n <= min(limits.row_space_most_rows, few) or f.n**2 * f.d <= limits.row_space_multiplications)
        and f.d > limits.row_space_columns_per_row * f.n
        and f.n * f.d <= limits.row_space_numbers
        and (f.is_path or not dual_ascent_pays(f, limits))
    )


def can_use_working_set(f: Facts, limits: Limits) -> bool:
    """Return True if columns are so many that fits on some of them are quicker."""
    few_steps = f.uncorrelated and f.d <= limits.working_set_uncorrelated * f.n
    return not f.working_set and f.d >= limits.working_set_columns and not steps_are_sparse(f) and not few_steps


def steps_are_sparse(f: Facts) -> bool:
    """Return True if compiled steps on all columns of sparse rows choose the weights that may move."""
    single = f.m == 1 and not f.is_path
    return single and f.sparse_models and f.hard_labels and not f.has_offset and Trait.SEPARABLE in f.traits


def has_few_parameters(f: Facts, limits: Limits) -> bool:
    """Return True if an exact Hessian costs less than the iterations that it saves."""
    if f.q > limits.newton_classes:
        return False
    if f.is_path or not (f.column_access and f.strongly_convex):
        return f.parameters <= limits.newton_parameters
    step = f.n * (f.d + 1) ** 2 * f.q * (f.q - 1) / 2 + f.parameters**3 / 3
    return step <= limits.newton_multiplications + limits.newton_pass_ratio * f.stored_numbers * f.q


def newton_pays(f: Facts, limits: Limits) -> bool:
    """Return True if it does, or if rows are so many that the Hessian of a sample is exact enough for all."""
    many_rows = (
        f.q <= limits.newton_classes
        and f.parameters <= limits.newton_sampled_parameters
        and f.n >= limits.newton_rows_per_parameter * f.parameters
    )
    return many_rows or has_few_parameters(f, limits)


def dual_ascent_pays(f: Facts, limits: Limits) -> bool:
    """Return True if dual coordinate ascent is expected to cost less than L-BFGS, and is exact enough."""
    exact_enough = not f.is_path or f.tolerance >= limits.dual_path_tolerance
    return exact_enough and not f.has_offset and dual_budgets(f, limits) is not None


def wide_dual_pays(f: Facts, limits: Limits) -> bool:
    """Return True if classes are many and dual steps of single rows need few sweeps."""
    if f.row_square_mean is None or f.q < limits.wide_classes or f.n * f.q > limits.wide_dual_numbers:
        return False
    least = min(f.strong_convexity)
    return (
        least > 0 and f.tolerance >= limits.wide_tolerance and f.row_square_mean <= limits.wide_curvature * least * f.n
    )


def streaming_pays(f: Facts, limits: Limits) -> bool:
    """Return True if classes are many and dense columns few enough for a common basis."""
    return (
        f.q >= limits.streamed_classes
        and f.d <= limits.cluster_columns
        and f.tolerance >= limits.wide_tolerance
        and f.d**2 <= f.n * f.q
    )


def truncation_pays(f: Facts, limits: Limits) -> bool:
    """Return True if the products of leading pairs of a row and a class cost little beside a pass."""
    return f.q >= limits.truncated_classes and streaming_pays(f, limits)


def products_pay(f: Facts, limits: Limits) -> bool:
    """Return True if Newton's method by conjugate gradients is expected to cost less than L-BFGS."""
    few_rows = f.n <= limits.truncated_newton_rows * (f.d + 1) and f.n * (f.d + 1) <= limits.truncated_newton_numbers
    return f.q > 2 and few_rows and not f.uncorrelated


def clusters_pay(f: Facts, limits: Limits) -> bool:
    """Return True if classes are too many for a factor each, and columns few enough for a common basis."""
    many = f.q > limits.cluster_classes and f.d <= limits.cluster_columns and f.d**2 <= f.n * f.q
    return many and not (f.is_path and dual_ascent_pays(f, limits))


def weight_models_pay(f: Facts, limits: Limits) -> bool:
    """Return True if exact models in single weights save more iterations than they cost."""
    return not f.uncorrelated


def diagonal_pays(f: Facts, limits: Limits) -> bool:
    """Return True if columns are too many for factors of the curvature, or factors save few iterations."""
    return f.uncorrelated or needs_diagonal(f, limits)


def diagonal_suffices(f: Facts, limits: Limits) -> bool:
    """Return True if factors of the curvature cost more than they save: of all columns, or of a working set."""
    numbers = max(f.stored_numbers, limits.working_set_least_numbers)
    factors = f.q * (f.d + 1) ** 2
    return factors > limits.working_set_factor_ratio * numbers if f.working_set else needs_diagonal(f, limits)


def orthant_needs_diagonal(f: Facts, limits: Limits) -> bool:
    """Return True if a diagonal suffices on the working set, or has to do for all columns."""
    return f.uncorrelated or diagonal_suffices(f, limits) or needs_diagonal(f, limits)


def always(f: Facts, limits: Limits) -> bool:
    """Return True."""
    return True


def exact_hessian(f: Facts, limits: Limits) -> CurvatureModel:
    """Return the exact Hessian."""
    return CurvatureModel.EXACT


def no_curvature(f: Facts, limits: Limits) -> CurvatureModel:
    """Return that the method uses no model of the curvature."""
    return CurvatureModel.NONE


def diagonal_curvature(f: Facts, limits: Limits) -> CurvatureModel:
    """Return the diagonal."""
    return CurvatureModel.DIAGONAL


def class_clusters(f: Facts, limits: Limits) -> CurvatureModel:
    """Return the scatter with clusters of classes."""
    return CurvatureModel.CLASS_CLUSTERS


def sampled_curvature(f: Facts, limits: Limits) -> CurvatureModel:
    """Return the blocks of a sample; in a path from rows drawn by their uncertainty, since logits are kept there."""
    drawn = f.is_path and f.n > sample_size(f.n, limits) and f.q <= limits.cluster_classes
    return CurvatureModel.IMPORTANCE_SAMPLED if drawn else CurvatureModel.SAMPLED


def start_at_zero(f: Facts, limits: Limits) -> Start:
    """Return zero."""
    return Start.ZERO


def start_at_nested_samples(f: Facts, limits: Limits) -> Start:
    """Return the optima of nested samples."""
    return Start.NESTED_SAMPLES


def start_at_class_means(f: Facts, limits: Limits) -> Start:
    """Return the class means for a fit; a path starts at zero and goes on from one strength to the next."""
    return Start.ZERO if f.is_path else Start.CLASS_MEANS


def start_at_sample(f: Facts, limits: Limits) -> Start:
    """Return the optimum of a sample where rows are many, otherwise zero."""
    return Start.SAMPLE if f.n > limits.warm_start_rows else Start.ZERO


def start_of_newton(f: Facts, limits: Limits) -> Start:
    """Return the same for a fit, zero for a path."""
    return Start.ZERO if f.is_path else start_at_sample(f, limits)


def logits_for(f: Facts, limits: Limits = LIMITS) -> Logits:
    """Return whether the logits of all rows are kept between passes."""
    # Two copies that are larger than the rows cost more than they save; an l1 part, the search for separated classes
    # and held-out losses read kept logits often.
    numbers = 2 * f.m * f.q
    larger = numbers > f.stored_numbers / max(1, f.n) and numbers * f.n * f.itemsize > limits.kept_logits_bytes
    recomputed = (larger or not f.fits_in_memory) and f.smooth and f.strongly_convex and not f.is_path
    return Logits.RECOMPUTED if recomputed else Logits.KEPT


def sample_size(n: int, limits: Limits = LIMITS) -> int:
    """Return the rows of a sample for a warm start or a curvature."""
    return max(limits.sample_rows, n // limits.sample_share)
