"""The rules that choose how an objective is minimised: an ordered table, in which the first match decides.

A further method is one `Rule` in `RULES`, at the place in the order where it is to be considered, and one function
that runs it (see `optimize/minimisation.py` and `optimize/stack_path.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from softreg.optimize.plan.conditions import (
    always,
    can_use_working_set,
    class_clusters,
    clusters_pay,
    diagonal_curvature,
    diagonal_pays,
    dual_ascent_pays,
    exact_hessian,
    has_few_parameters,
    logits_for,
    nested_rows,
    newton_pays,
    no_curvature,
    orthant_needs_diagonal,
    products_pay,
    row_space_pays,
    sampled_curvature,
    start_at_class_means,
    start_at_nested_samples,
    start_at_sample,
    start_at_zero,
    start_of_newton,
    streaming_pays,
    truncation_pays,
    weight_models_pay,
    wide_dual_pays,
)
from softreg.optimize.plan.problem_facts import Facts, Stored
from softreg.optimize.problem.limits import LIMITS, Limits
from softreg.optimize.problem.penalty_protocol import Trait
from softreg.optimize.problem.solver_plan import CurvatureModel, Logits, Method, Plan, Start, Transform

FAMILIES = ("auto", "newton", "lbfgs")
"""Values of `solver=` that leave the choice to the rules: among all, or among those of one family."""


@dataclass(frozen=True)
class Requirement:
    """What a method needs of a problem: without it the method is wrong or impossible, not merely slow."""

    text: str
    holds: Callable[[Facts, Limits], bool]


SMOOTH = Requirement("a differentiable penalty without a support", lambda f, _: f.smooth)
KINKED = Requirement("a penalty with an l1 part or a support", lambda f, _: not f.smooth)
SEPARABLE = Requirement("a penalty that is a sum over single weights", lambda f, _: Trait.SEPARABLE in f.traits)
COLUMN_NORMS = Requirement(
    "a penalty on the norms of columns or groups of columns", lambda f, _: Trait.COLUMN_NORMS in f.traits
)
STRONGLY_CONVEX = Requirement("an l2 part for every model", lambda f, _: f.strongly_convex)
SELECTING = Requirement("an l1 part for every model", lambda f, _: Trait.SELECTS_COLUMNS in f.traits)
KEPT_ROWS = Requirement("rows in memory", lambda f, _: f.fits_in_memory)
COLUMNS = Requirement("rows in memory, dense or CSR", lambda f, _: f.column_access)
SINGLE_ROWS = Requirement("CSR rows in memory and compiled kernels", lambda f, _: f.row_access)
DENSE_ROWS = Requirement("dense rows in memory", lambda f, _: f.column_access and f.stored is Stored.DENSE)
HARD_LABELS = Requirement("class labels, not label probabilities", lambda f, _: f.hard_labels)
MORE_COLUMNS = Requirement("no fewer columns than rows", lambda f, _: f.d >= f.n)
NO_START = Requirement("no given start", lambda f, _: not f.started)
NO_OFFSET = Requirement("no offset", lambda f, _: not f.has_offset)
NO_PATH = Requirement("a single fit, not folds along a path", lambda f, _: not f.is_path)
NESTED_ROWS = Requirement("rows for nested samples", lambda f, limits: f.n >= nested_rows(f, limits))


@dataclass(frozen=True)
class Rule:
    """One line of the table.

    Parameters
    ----------
    name : str
        The value of `solver=` that forces the plan.
    family : str
        "newton", "lbfgs", or "" for a transform, which is tried in every family.
    method : Method
    requires : tuple of Requirement
        Required in all cases, also where the plan is forced.
    condition : str
        When the rule matches, as text; `{name:,}` stands for a field of `Limits`.
    applies : callable
        The same as a predicate.
    does : str
        What the plan does, as text.
    curvature, start : callable
        The Hessian that the method works with, and where a fit without given parameters begins.
    transform : Transform
    fallback : callable or None
        Name of the plan that continues where this one ends without a proof.
    """

    name: str
    family: str
    method: Method
    requires: tuple[Requirement, ...]
    condition: str
    applies: Callable[[Facts, Limits], bool]
    does: str
    curvature: Callable[[Facts, Limits], CurvatureModel]
    start: Callable[[Facts, Limits], Start]
    transform: Transform = Transform.NONE
    fallback: Callable[[Facts, Limits], str] | None = None

    def can_solve(self, facts: Facts, limits: Limits) -> bool:
        """Return True if the problem meets all requirements."""
        return all(requirement.holds(facts, limits) for requirement in self.requires)

    def plan(self, facts: Facts, limits: Limits, why: str) -> Plan:
        """Return the plan of this rule for a problem."""
        return Plan(
            name=self.name,
            transform=self.transform,
            logits=Logits.KEPT if self.family == "newton" else logits_for(facts, limits),
            start=Start.GIVEN if facts.started else self.start(facts, limits),
            method=self.method,
            curvature=self.curvature(facts, limits),
            fallback="" if self.fallback is None else self.fallback(facts, limits),
            why=why,
        )


def without_single_rows(f: Facts) -> Facts:
    """Return the facts of a problem on which dual ascent or a method of many classes has been tried: no transform."""
    return replace(f, row_square_mean=None, column_access=False, working_set=True)


def _after_newton(f: Facts, limits: Limits) -> str:
    return "line-search-newton" if f.fits_in_memory else "lbfgs-sampled"


def _after_dual(f: Facts, limits: Limits) -> str:
    return choose(without_single_rows(f), "lbfgs", limits).name


def _after_working_set(f: Facts, limits: Limits) -> str:
    return choose(replace(f, column_access=False), "lbfgs", limits).name


RULES = (
    Rule(
        "row-space", "", Method.NONE, (SMOOTH, STRONGLY_CONVEX, MORE_COLUMNS),
        "n <= {row_space_rows:,} or n <= {row_space_rows_per_class:,} q m, and n <= {row_space_most_rows:,}; or "
        "n^2 d <= {row_space_multiplications:,.0f}; "
        "d > {row_space_columns_per_row} n; n d <= {row_space_numbers:,}; for a fit, dual-ascent does not apply; "
        "of dense columns that are nearly uncorrelated, n <= {row_space_uncorrelated_rows} or "
        "d > {row_space_uncorrelated_columns_per_row} n",
        row_space_pays,
        "QR factorisation of the rows; the problem in n dimensions is planned in turn",
        no_curvature, start_at_zero, Transform.ROW_SPACE,
    ),
    Rule(
        "working-set", "", Method.NONE, (SELECTING, COLUMNS),
        "d >= {working_set_columns:,}; not for a fit with a penalty that is a sum over single weights on CSR rows with "
        "at most a tenth of the numbers stored; of dense columns that are nearly uncorrelated, "
        "d > {working_set_uncorrelated} n",
        can_use_working_set,
        "fits on the columns that may have weights other than 0, checked on all columns; each fit is "
        "planned in turn, and so is the fit on all columns where too many are active",
        no_curvature, start_at_zero, Transform.WORKING_SET, _after_working_set,
    ),
    Rule(
        "nested-newton", "newton", Method.ONE_PASS_NEWTON, (SMOOTH, STRONGLY_CONVEX, NO_PATH, NO_START, NESTED_ROWS),
        "as one-pass-newton; n >= {nested_least_ratio} max({nested_least_rows:,}, {nested_rows_per_parameter} p)",
        newton_pays,
        "Newton's method with value, gradient and Hessian from one pass, started at the optima of nested "
        "samples",
        exact_hessian, start_at_nested_samples, fallback=_after_newton,
    ),
    Rule(
        "one-pass-newton", "newton", Method.ONE_PASS_NEWTON, (SMOOTH, STRONGLY_CONVEX, NO_PATH),
        "q <= {newton_classes:,}; n (d + 1)^2 q (q - 1) / 2 + p^3 / 3 <= {newton_multiplications:,.0f} + "
        "{newton_pass_ratio:g} q stored numbers, or p <= {newton_sampled_parameters:,} and "
        "n >= {newton_rows_per_parameter:,} p; for rows larger than memory or on a device, p <= {newton_parameters:,}",
        newton_pays,
        "Newton's method with value, gradient and Hessian from one pass; where a step fails, "
        "line-search-newton, or lbfgs-sampled for rows larger than memory",
        exact_hessian, start_at_zero, fallback=_after_newton,
    ),
    Rule(
        "line-search-newton", "newton", Method.LINE_SEARCH_NEWTON, (SMOOTH,),
        "as one-pass-newton; on a path or without an l2 part, p <= {newton_parameters:,}",
        has_few_parameters,
        "Newton's method with line searches on kept logits, started at the optimum of a sample where "
        "n > {warm_start_rows:,}",
        exact_hessian, start_of_newton,
    ),
    Rule(
        "wide-dual-ascent", "lbfgs", Method.WIDE_DUAL_ASCENT,
        (SMOOTH, STRONGLY_CONVEX, SINGLE_ROWS, NO_OFFSET, NO_PATH),
        "q >= {wide_classes:,}; mean squared norm of a row <= {wide_curvature:g} n strength; "
        "n q <= {wide_dual_numbers:,}; tolerance >= {wide_tolerance:g}",
        wide_dual_pays,
        "stochastic dual coordinate ascent with dual probabilities of two bytes; the next rule that applies where it "
        "exceeds its budget or cannot prove the gap",
        no_curvature, start_at_zero, fallback=_after_dual,
    ),
    Rule(
        "streamed-newton", "lbfgs", Method.STREAMED_NEWTON,
        (SMOOTH, STRONGLY_CONVEX, DENSE_ROWS, HARD_LABELS, NO_OFFSET, NO_PATH),
        "as streamed-lbfgs; q >= {truncated_classes:,}",
        truncation_pays,
        "Newton's method whose Hessian has the largest probabilities of each row and the others by classes, "
        "solved by conjugate gradients; logits are computed by chunks of classes",
        class_clusters, start_at_class_means, fallback=_after_dual,
    ),
    Rule(
        "streamed-lbfgs", "lbfgs", Method.STREAMED_LBFGS,
        (SMOOTH, STRONGLY_CONVEX, DENSE_ROWS, HARD_LABELS, NO_OFFSET, NO_PATH),
        "q >= {streamed_classes:,}; d <= {cluster_columns:,}; d^2 <= n q; tolerance >= {wide_tolerance:g}",
        streaming_pays,
        "L-BFGS as in lbfgs-clusters, with arrays in the precision of the rows and as few as memory allows; logits are "
        "computed by chunks of classes",
        class_clusters, start_at_class_means, fallback=_after_dual,
    ),
    Rule(
        "truncated-newton", "newton", Method.TRUNCATED_NEWTON, (SMOOTH, STRONGLY_CONVEX, DENSE_ROWS, NO_PATH),
        "q > 2; n <= {truncated_newton_rows} (d + 1); n (d + 1) <= {truncated_newton_numbers:,}; not for "
        "columns that are nearly uncorrelated",
        products_pay,
        "Newton's method by conjugate gradients, with products of the exact Hessian and a copy of the rows in float32",
        exact_hessian, start_at_zero,
    ),
    Rule(
        "lbfgs-clusters", "lbfgs", Method.LBFGS, (SMOOTH,),
        "q > {cluster_classes:,}; d <= {cluster_columns:,}; d^2 <= n q; on a path, dual-ascent does not apply",
        clusters_pay,
        "L-BFGS preconditioned by the within-class scatter and clusters of the classes, started at the "
        "class means",
        class_clusters, start_at_class_means,
    ),
    Rule(
        "dual-ascent", "lbfgs", Method.DUAL_ASCENT, (SMOOTH, STRONGLY_CONVEX, SINGLE_ROWS, NO_OFFSET),
        "{dual_margin} times the expected sweeps cost less than L-BFGS; on a path, held-out losses to "
        "{dual_path_tolerance:g} nats or less exactly",
        dual_ascent_pays,
        "stochastic dual coordinate ascent; the next rule that applies where it exceeds its budget or "
        "cannot prove the gap",
        no_curvature, start_at_zero, fallback=_after_dual,
    ),
    Rule(
        "lbfgs-diagonal", "lbfgs", Method.LBFGS, (SMOOTH,),
        "d > {diagonal_columns:,} or d > max(n, {diagonal_cheap_columns:,}); or dense columns are nearly uncorrelated",
        diagonal_pays,
        "L-BFGS preconditioned by the diagonal of the Hessian, started at the optimum of a sample where "
        "n > {warm_start_rows:,}",
        diagonal_curvature, start_at_sample,
    ),
    Rule(
        "lbfgs-sampled", "lbfgs", Method.LBFGS, (SMOOTH,),
        "no rule before applies",
        always,
        "L-BFGS preconditioned by the Hessian's diagonal blocks on a sample (one a class), with the same start",
        sampled_curvature, start_at_sample,
    ),
    Rule(
        "proximal-newton", "lbfgs", Method.WEIGHT_PROXIMAL_NEWTON, (SELECTING, SEPARABLE, KEPT_ROWS),
        "not for dense columns that are nearly uncorrelated",
        weight_models_pay,
        "proximal Newton on a working set of weights, with its exact Hessian as a matrix or, of many weights, as "
        "products, with the same start",
        exact_hessian, start_at_sample,
    ),
    Rule(
        "orthant-diagonal", "lbfgs", Method.ORTHANT_LBFGS, (KINKED, SEPARABLE),
        "d > {diagonal_columns:,} or d > max(n, {diagonal_cheap_columns:,}); or dense columns are nearly uncorrelated; "
        "or on a working set, q (d + 1)^2 > {working_set_factor_ratio:g} max(stored numbers, "
        "{working_set_least_numbers:,})",
        orthant_needs_diagonal,
        "orthant-wise L-BFGS with the diagonal, with the same start",
        diagonal_curvature, start_at_sample,
    ),
    Rule(
        "orthant-sampled", "lbfgs", Method.ORTHANT_LBFGS, (KINKED, SEPARABLE),
        "no rule before applies",
        always,
        "orthant-wise L-BFGS with blocks of a sample, with the same start",
        sampled_curvature, start_at_sample,
    ),
    Rule(
        "group-proximal", "lbfgs", Method.GROUP_PROXIMAL_NEWTON, (COLUMN_NORMS,),
        "otherwise", always,
        "proximal Newton on a working set of groups of columns, with its exact Hessian as a matrix or, of many "
        "parameters, as products",
        exact_hessian, start_at_sample,
    ),
)  # fmt: skip
"""All rules, in the order in which they are tried."""

SOLVERS = (*FAMILIES, *(rule.name for rule in RULES))
"""Values of `solver=`: the choice by the rules, by those of one family, or one plan by its name."""

LIFTED = 1 << 62
"""In place of the limits on parameters and classes where the caller asks for Newton's method."""


@lru_cache(maxsize=256)
def choose(facts: Facts, solver: str = "auto", limits: Limits = LIMITS) -> Plan:
    """Return the plan of the first rule that matches.

    Parameters
    ----------
    facts : Facts
        The problem.
    solver : str
        "auto" tries all rules; "newton" and "lbfgs" those of their family (for "newton" with any number of parameters
        and classes); the name of a rule forces its plan.
    limits : Limits
        The thresholds.

    Returns
    -------
    Plan

    Raises
    ------
    ValueError
        If `solver` is unknown, or cannot minimise this objective.

    Examples
    --------
    >>> import numpy as np
    >>> from softreg.optimize import l2
    >>> from softreg.optimize.plan.problem_facts import facts_of
    >>> from softreg.rows import as_rows
    >>> facts = facts_of(as_rows(np.zeros((9, 3)), np.zeros(9, int)), 2, l2(1.0))
    >>> choose(facts).name, choose(facts, "lbfgs").name
    ('one-pass-newton', 'lbfgs-sampled')
    """
    if solver not in SOLVERS:
        raise ValueError(f"solver={solver!r} is not one of {', '.join(SOLVERS)}")
    if solver not in FAMILIES:
        rule = next(rule for rule in RULES if rule.name == solver)
        if not rule.can_solve(facts, limits):
            raise ValueError(_refusal(solver, (rule,), facts, limits))
        return rule.plan(facts, limits, f"solver={solver!r} was given.")
    family = [rule for rule in RULES if solver in ("auto", rule.family)]
    if solver != "auto" and not any(rule.can_solve(facts, limits) for rule in family):
        raise ValueError(_refusal(solver, family, facts, limits))
    lifted = limits
    if solver == "newton":
        lifted = replace(
            limits,
            newton_parameters=LIFTED,
            newton_multiplications=LIFTED,
            newton_classes=LIFTED,
            dual_margin=float(LIFTED),
        )
    for rule in RULES:
        wanted = solver == "auto" or rule.family in ("", solver)
        if wanted and rule.applies(facts, lifted) and rule.can_solve(facts, limits):
            return rule.plan(facts, limits, _why(rule, solver, facts, limits))
    raise ValueError(_refusal(solver, family, facts, limits))


def filled(text: str, limits: Limits) -> str:
    """Return a text of a rule with the limits filled in."""
    return text.format_map(vars(limits))


def _why(rule: Rule, solver: str, f: Facts, limits: Limits) -> str:
    """Return the sentence that says why a rule was chosen."""
    if solver == "newton" and rule.family:
        return "solver='newton' was given."
    shape = f"n = {f.n:,} rows, d = {f.d:,} columns, q = {f.q:,} classes, p = {f.parameters:,} parameters"
    return f"{shape}: {filled(rule.condition, limits)}."


def _penalty(facts: Facts) -> str:
    """Return the class of the penalty with its traits."""
    return f"{facts.penalty} ({', '.join(sorted(facts.traits)) or 'no traits'})"


def _refusal(solver: str, rules: Sequence[Rule], facts: Facts, limits: Limits) -> str:
    """Return the message for a problem that none of these rules can solve."""
    able = [rule for rule in RULES if rule.can_solve(facts, limits)]
    families = [family for family in FAMILIES if family == "auto" or any(rule.family == family for rule in able)]
    missing = [r.text for r in rules[-1].requires if not r.holds(facts, limits)]
    return (
        f"solver={solver!r} cannot minimise this objective with the penalty {_penalty(facts)}: it needs "
        f"{', and '.join(missing)}. "
        f"These can: {', '.join([*families, *(rule.name for rule in able)])}."
    )
