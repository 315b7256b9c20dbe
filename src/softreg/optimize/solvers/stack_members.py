"""Bookkeeping of a stack of models: the members that are not finished, and the results of all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any, Protocol

import numpy as np

from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.problem.result import Progress, Separation, Status
from softreg.typing import BoolArray, Float64Array, FloatArray, IntArray


class DropsMembers(Protocol):
    """An object that keeps something for each unfinished member of a stack."""

    def drop_members(self, keep: BoolArray) -> None:
        """Keep only the members marked in `keep` (m,)."""
        ...


@dataclass
class StackResult:
    """Per-model results, indexed by original position."""

    theta: FloatArray
    """Parameters (m, q, d + 1) in the solver's coordinates."""
    value: Float64Array
    """Objective (m,) in nats; inf until it is recorded."""
    gap: Float64Array
    """Upper bound or estimate (m,) of the distance to the minimum in nats."""
    bound: list[str]
    """Name of the proof of each gap, "estimate" without one."""
    status: list[Status]
    n_iter: IntArray
    """Iterations (m,)."""
    separation: list[Separation | None]
    history: list[Progress] = field(default_factory=list)

    @classmethod
    def unfinished(cls, theta: FloatArray) -> StackResult:
        """Return the results before the first iteration, at these parameters (copied)."""
        m = len(theta)
        return cls(
            theta=theta.copy(order="K"),
            value=np.full(m, np.inf),
            gap=np.full(m, np.inf),
            bound=["estimate"] * m,
            status=[Status.STOPPED] * m,
            n_iter=np.zeros(m, dtype=np.int64),
            separation=[None] * m,
        )


COMMON_FIELDS = {"objective", "followers", "results"}
"""Fields of `Members` that do not have one entry for each member."""


@dataclass
class Members:
    """The unfinished members of a stack at their current iterates.

    A solver adds what it keeps for each member as fields of a subclass: arrays with the members on the first axis,
    lists with one element for each, or None. `drop` shrinks all of them, the objective and the followers at once.
    """

    objective: Objective
    followers: Sequence[DropsMembers]
    """Other objects that keep something for each member: the direction method, say."""
    results: StackResult
    theta: FloatArray
    """Parameters (m, q, d + 1) in the solver's coordinates."""
    gradient: FloatArray
    """Gradient (m, q, d + 1) of the smooth part of the objective."""

    def __len__(self) -> int:
        """Return the number of unfinished members."""
        return self.objective.m

    @property
    def positions(self) -> IntArray:
        """The original position (m,) of each unfinished member."""
        return self.objective.members

    @property
    def n_iter(self) -> IntArray:
        """Iterations (m,) of the unfinished members."""
        return self.results.n_iter[self.positions]

    def count_iteration(self) -> None:
        """Add one iteration to the unfinished members."""
        self.results.n_iter[self.positions] += 1

    def current_theta(self) -> FloatArray:
        """Return the parameters (m, q, d + 1) of all models, finished ones among them."""
        theta = self.results.theta.copy()
        theta[self.positions] = self.theta
        return theta

    def record(
        self, which: BoolArray, status: Status, *, value: Float64Array, gap: Float64Array, bound: Sequence[str]
    ) -> None:
        """Write the results of the members marked in `which` (m,), at their current parameters."""
        for j in np.flatnonzero(which).tolist():
            position, results = self.positions[j], self.results
            results.theta[position], results.status[position] = self.theta[j], status
            results.value[position], results.gap[position] = value[j], gap[j]
            results.bound[position] = bound[j]

    def drop(self, keep: BoolArray) -> bool:
        """Drop the members not marked in `keep` (m,); return whether there were any."""
        if keep.all():
            return False
        self.objective.drop_members(keep)
        for follower in self.followers:
            follower.drop_members(keep)
        keep_entries(self, keep)
        return True


def keep_entries(record: Any, keep: BoolArray) -> None:
    """Keep the entries of the members marked in `keep` (m,) in all fields of a dataclass but `COMMON_FIELDS`."""
    for name in _member_fields(type(record)):  # type: ignore[arg-type]  # classes are hashable
        setattr(record, name, _kept(getattr(record, name), keep))


def largest(values: FloatArray | IntArray) -> float:
    """Return the largest of the numbers (m,) of the members; for the usual single one without a reduction of NumPy."""
    return float(values[0] if len(values) == 1 else values.max())


def smallest(values: FloatArray | IntArray) -> float:
    """Return the smallest of the numbers (m,) of the members, in the same way."""
    return float(values[0] if len(values) == 1 else values.min())


@cache
def _member_fields(members: type[Any]) -> tuple[str, ...]:
    """Return the fields that hold something for each member."""
    return tuple(item.name for item in fields(members) if item.name not in COMMON_FIELDS)


def _kept(entries: Any, keep: BoolArray) -> Any:
    """Return the entries of the members marked in `keep`."""
    if entries is None:
        return None
    if isinstance(entries, np.ndarray):
        return entries[keep]
    return [entry for entry, stays in zip(entries, keep, strict=True) if stays]
