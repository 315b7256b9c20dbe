"""Finds the optimum of a stack of models, with proof; knows neither files nor estimators."""

from softreg.optimize.penalties import ElasticNet, Penalty, elastic_net, l2
from softreg.optimize.solution import Progress, Solution, Status
from softreg.optimize.solve import SOLVERS, minimise

__all__ = [
    "SOLVERS",
    "ElasticNet",
    "Penalty",
    "Progress",
    "Solution",
    "Status",
    "elastic_net",
    "l2",
    "minimise",
]
