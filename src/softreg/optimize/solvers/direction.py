"""What the loop of descent asks of a solver: where to go, and what it has learned on the way."""

from __future__ import annotations

from typing import Protocol

from softreg.optimize.objective.cached import Objective
from softreg.rows import Array


class Strategy(Protocol):
    """Where to go from here."""

    has_certificate: bool
    """Whether `decrement_bound` can prove a gap."""
    target_gap: float
    """A gap worth reaching even where the tolerance is wider, because it costs a step or two."""

    def direction(self, objective: Objective, theta: Array, G: Array) -> Array:
        """A descent direction (m, q, d + 1) at parameters `theta` with gradient `G`."""
        ...

    def recession_direction(self, objective: Objective, theta: Array, G: Array, D: Array) -> Array:
        """The direction, `D` or a better one, in which a model without a finite optimum would run away."""
        ...

    def decrement_bound(self, objective: Objective, G: Array) -> Array:
        """A certified gap (m,) from the curvature; inf where there is none."""
        ...

    def update(self, step: Array, change: Array) -> None:
        """Take note of a step and the change of the gradient along it."""
        ...

    def drop_members(self, keep: Array) -> None:
        """Only the models marked in `keep` stay."""
        ...

    def reset(self) -> None:
        """What was learned no longer holds."""
        ...
