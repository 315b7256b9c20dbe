"""Chooses how an objective is minimised: facts about the problem, an ordered table of rules, and its printed form.

It may import all packages of `optimize` that hold methods, and none of those that run them (`minimisation`,
`stack_path`).
A further method becomes a `Rule` in `rules`, a threshold a field of `problem.limits.Limits`.
"""

from softreg.optimize.plan.problem_facts import Facts, Purpose, facts_of
from softreg.optimize.plan.rules import FAMILIES, RULES, SOLVERS, Requirement, Rule, choose
from softreg.optimize.problem.limits import LIMITS, Limits
from softreg.optimize.problem.solver_plan import Plan

__all__ = [
    "FAMILIES",
    "LIMITS",
    "RULES",
    "SOLVERS",
    "Facts",
    "Limits",
    "Plan",
    "Purpose",
    "Requirement",
    "Rule",
    "choose",
    "facts_of",
]
