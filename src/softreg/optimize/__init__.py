"""Minimises the objectives of a stack of models, with a certificate.

It imports `rows` and `probability`. `plan` chooses the method, `minimisation` and `stack_path` run it.
"""

from softreg.optimize.cost.fit_cost import FitCost
from softreg.optimize.cost.machine_limits import MachineLimits, machine_limits
from softreg.optimize.cost.machine_use import Bottleneck, MachineUse
from softreg.optimize.minimisation import minimise
from softreg.optimize.plan.rules import SOLVERS
from softreg.optimize.problem.column_groups import ColumnGroups
from softreg.optimize.problem.penalty_table import PENALTIES, ElasticNet, Penalty, elastic_net, l2, make_penalty
from softreg.optimize.problem.result import Progress, Solution, Status
from softreg.optimize.problem.weighted_elastic_net import WeightTerms

__all__ = [
    "PENALTIES",
    "SOLVERS",
    "Bottleneck",
    "ColumnGroups",
    "ElasticNet",
    "FitCost",
    "MachineLimits",
    "MachineUse",
    "Penalty",
    "Progress",
    "Solution",
    "Status",
    "WeightTerms",
    "elastic_net",
    "l2",
    "machine_limits",
    "make_penalty",
    "minimise",
]
