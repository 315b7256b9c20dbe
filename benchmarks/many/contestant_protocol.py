"""What a contestant is: how it chooses its setting, and how it fits."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from many.scoring import score
from many.task import LogProbabilities, Problem, Task

JUDGES = 4_000
"""Rows that judge a setting, drawn from those of the validation."""

Setting = dict[str, Any]


@dataclass(frozen=True)
class Fitted:
    """A fitted model.

    Attributes
    ----------
    log_probabilities : callable
        From rows (m, d) to log probabilities of the classes (m, q).
    weights_bytes : int
        Bytes of its weights.
    figures : dict
        What it says of the fit: passes, gap.
    """

    log_probabilities: LogProbabilities
    weights_bytes: int
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Trial:
    """A setting and its mean log loss on rows that judge it; None for the only one."""

    setting: Setting
    log_loss: float | None


@dataclass(frozen=True)
class Contestant:
    """A way to estimate the probabilities of the classes.

    Attributes
    ----------
    name : str
    package, module : str
        As pip and Python call what it needs.
    trials : callable
        From a problem to the settings that were tried on its validation rows.
    fit : callable
        From a task and a setting to the fitted model; it is on the clock.
    sparse_only : bool
        Whether its rows are lists of things, not numbers.
    """

    name: str
    package: str
    module: str
    trials: Callable[[Problem], list[Trial]]
    fit: Callable[[Task, Setting], Fitted]
    sparse_only: bool = False

    def missing(self) -> bool:
        """Return whether its package is not installed."""
        return importlib.util.find_spec(self.module) is None

    def version(self) -> str:
        return f"{self.package} {importlib.metadata.version(self.package)}"


def judge(log_probabilities: LogProbabilities, task: Task) -> float:
    """Return the mean log loss among the labels that are not excluded, on some of the rows that judge."""
    found = score(log_probabilities, task.sample_new(JUDGES))
    return (found.log_loss_allowed or found.log_loss)[0]


def grid_trials(fit: Callable[[Task, Setting], Fitted], settings: Iterable[Setting], task: Task) -> list[Trial]:
    """Return a trial for each setting."""
    return [Trial(setting, judge(fit(task, setting).log_probabilities, task)) for setting in settings]


def best(trials: list[Trial]) -> Setting:
    """Return the setting of least log loss."""
    return min(trials, key=lambda trial: 0.0 if trial.log_loss is None else trial.log_loss).setting
