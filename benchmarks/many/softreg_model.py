"""softreg: `SoftmaxRegression(strength, tol=...).fit(X, y)`."""

from __future__ import annotations

from typing import Any

import numpy as np

from many.contestant_protocol import Contestant, Fitted, Setting, Trial, grid_trials
from many.scoring import log_softmax
from many.task import Problem, Task, task

TUNING_TOLERANCE = 1e-3


def contestants() -> list[Contestant]:
    """softreg at the strength of the problem, and at the strength that the validation rows choose."""
    return [
        Contestant("softreg", "softreg", "softreg", given_strength, fit),
        Contestant("softreg, strength chosen", "softreg", "softreg", strength_trials, fit),
    ]


def given_strength(problem: Problem) -> list[Trial]:
    return [Trial({"strength": problem.strength, "tol": problem.tol}, None)]


def strength_trials(problem: Problem) -> list[Trial]:
    settings = [{"strength": strength, "tol": TUNING_TOLERANCE} for strength in problem.strengths]
    found = grid_trials(fit, settings, task(problem.part, problem.validation))
    return [Trial({**trial.setting, "tol": problem.tol}, trial.log_loss) for trial in found]


def fit(task: Task, setting: Setting) -> Fitted:
    from softreg import SoftmaxRegression

    model = SoftmaxRegression(setting["strength"], tol=setting["tol"]).fit(task.X, task.y)
    solution = model.solution_
    return Fitted(
        probabilities_of(model),
        model.coef_.nbytes + model.intercept_.nbytes,
        {"passes": solution.passes, "gap": solution.gap, "bound": str(solution.bound), "status": solution.status.value},
    )


def probabilities_of(model: Any) -> Any:
    """Return the function of log probabilities, from the weights: the benchmark computes all contestants' alike."""
    W = np.ascontiguousarray(model.coef_.T)
    return lambda X: log_softmax(X @ W + model.intercept_)
