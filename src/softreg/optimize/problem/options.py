"""What a caller of `minimise` asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from softreg.optimize.problem.limits import LIMITS, Limits
from softreg.optimize.problem.penalty_table import Penalty
from softreg.optimize.problem.result import Progress


@dataclass(frozen=True)
class FitOptions:
    """The arguments of `minimise` other than the rows and the start.

    Parameters
    ----------
    n_classes : int
    penalty : Penalty
        One strength for each model of the stack.
    fit_intercept : bool
    solver : str
        "auto", a family of methods, or the name of a plan.
    tol : float
        Nats: the certified gap at which a fit has converged.
    max_iter : int
    seed : int
        Seed of row samples and of the order of dual steps.
    on_progress : callable or None
        Receives a `Progress` record after each iteration.
    limits : Limits
        Thresholds of the choice of a method.
    """

    n_classes: int
    penalty: Penalty
    fit_intercept: bool = True
    solver: str = "auto"
    tol: float = 1e-6
    max_iter: int = 1000
    seed: int = 0
    on_progress: Callable[[Progress], Any] | None = None
    limits: Limits = LIMITS
