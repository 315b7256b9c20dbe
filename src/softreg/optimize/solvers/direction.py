"""The protocol of the methods that give search directions to the descent loop."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from softreg.optimize.objective.cached_logits import Objective
from softreg.typing import BoolArray, Float64Array, FloatArray


class DirectionMethod(Protocol):
    """A method that computes search directions for a stack of m models with q classes and d columns."""

    has_certificate: bool
    """Whether `decrement_bound` can prove a gap."""
    keeps_signs: bool
    """Whether no weight with an l1 part changes its sign before the end of a direction."""
    searches_closely: bool
    """Whether a step length at which the slope is small pays even where the full step would do."""
    target_gap: float
    """Gap in nats down to which the loop goes on even where the tolerance is wider, because it takes a step or two."""

    def direction(self, objective: Objective, theta: FloatArray, G: FloatArray) -> FloatArray:
        """Return a descent direction.

        Parameters
        ----------
        objective
            The objective, whose logits are those of `theta`.
        theta
            Parameters (m, q, d + 1) in the solver's coordinates; the bias is the last column.
        G
            Gradient (m, q, d + 1) of the smooth part of the objective.

        Returns
        -------
        FloatArray
            Direction (m, q, d + 1), the full step at length 1.
        """
        ...

    def recession_direction(self, objective: Objective, theta: FloatArray, G: FloatArray, D: FloatArray) -> FloatArray:
        """Return a candidate recession direction (m, q, d + 1), used to test for separation.

        Parameters
        ----------
        objective, theta, G
            As for `direction`.
        D
            The direction that `direction` returned at the same parameters.

        Returns
        -------
        FloatArray
            Direction (m, q, d + 1), D or one that follows the curvature alone.
        """
        ...

    def decrement_bound(self, objective: Objective, G: FloatArray) -> Float64Array:
        """Return a certified gap (m,) from the Newton decrement at the parameters of the last `direction`.

        Parameters
        ----------
        objective
            The objective.
        G
            Gradient (m, q, d + 1).

        Returns
        -------
        Float64Array
            Upper bounds (m,) in nats; inf where nothing is proved.
        """
        ...

    def update(self, step: FloatArray, change: FloatArray) -> None:
        """Learn from a step (m, q, d + 1) and the change of the gradient along it."""
        ...

    def drop_members(self, keep: BoolArray) -> None:
        """Keep only the members marked in `keep` (m,)."""
        ...

    def reset(self) -> None:
        """Discard what was learned from steps, after the precision of the sums has changed."""
        ...


class StatelessDirections:
    """What the methods share whose direction depends on nothing but the current point, and which prove no gap."""

    has_certificate = False
    searches_closely = False
    target_gap = np.inf

    def recession_direction(self, objective: Objective, theta: FloatArray, G: FloatArray, D: FloatArray) -> FloatArray:
        """Return D itself."""
        return D

    def decrement_bound(self, objective: Objective, G: FloatArray) -> Float64Array:
        """Return inf (m,): nothing is proved."""
        return np.full(objective.m, np.inf)

    def update(self, step: FloatArray, change: FloatArray) -> None:
        """Learn nothing from steps."""

    def drop_members(self, keep: BoolArray) -> None:
        """Keep everything: it serves all models."""

    def reset(self) -> None:
        """Discard nothing: no step was learned from."""
