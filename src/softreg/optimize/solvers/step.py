"""One step of all models of a stack along a direction: the full step first, since it is nearly always taken."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from softreg.optimize.objective.cached import Objective
from softreg.optimize.problem.penalty_protocol import Trait
from softreg.optimize.solvers.lbfgs import dot
from softreg.optimize.solvers.line_search import FLAT, FLAT_ENOUGH, enough, search
from softreg.rows import Array


@dataclass
class Line:
    """The objective along the direction D (m, q, d + 1) from theta, with value and slope (m,) at 0.

    `nonsmooth_slope` (m,) is the slope of the penalty without its quadratic part at 0, `longest` the longest step, and
    `settle` requires the tighter curvature condition: without a penalty, steps must settle for separation to show.
    """

    objective: Objective
    theta: Array
    D: Array
    start: Array
    slope: Array
    nonsmooth_slope: Array
    longest: float
    settle: bool
    tried: tuple[Array, Array, Array] = field(init=False)
    """The last leap: step lengths (m,), mean loss (m,) and its gradient there."""

    def __post_init__(self) -> None:
        ridge = self.objective.ridge[:, None, :]
        self.cross, self.square = dot(ridge * self.theta, self.D), dot(ridge * self.D, self.D)
        penalty, self.scale = self.objective.penalty, self.objective.parameter_scale
        self.linear = Trait.SEPARABLE in penalty.traits  # no weight changes its sign before step 1
        if self.linear:
            self.cross += self.nonsmooth_slope
        else:
            self.nonsmooth = penalty.nonsmooth_value(self.theta, self.scale)
        # each pass rounds the logits anew; a convex function whose slope has faded has gained, whatever its value says
        self.noise = self.objective.digits * np.maximum(1e-3, np.abs(self.start))
        # where the gain is lost among rounding errors, the slope is too: then nothing tells how far to go
        self.limit = np.where(-self.slope < self.noise, min(2.0, self.longest), self.longest)

    def try_step(self, t: Array) -> Array:
        """Value, slope and curvature (3, m) at steps t by a whole pass, which brings the gradient as well."""
        loss, G = self.objective.try_step(self.theta + t[:, None, None] * self.D)
        self.tried = (t, loss, G)
        change, kink_slope = self._nonsmooth_at(t)
        rise = dot(G, self.D) + self.cross + t * self.square + kink_slope
        value = loss + t * self.cross + t**2 * self.square / 2 + change
        return np.stack([value, rise, (rise - self.slope) / t])

    def eval_along(self, t: Array) -> Array:
        """The same from the kept logits, with the penalty in closed form: no pass."""
        cross, square = self.cross, self.square
        change, kink_slope = self._nonsmooth_at(t)
        quadratic = [t * cross + t**2 * square / 2 + change, cross + t * square + kink_slope, square]
        return np.asarray(self.objective.eval_along(t) + np.stack(quadratic))

    def _nonsmooth_at(self, t: Array) -> tuple[Array | float, Array | float]:
        """Return change and slope (m,) at steps t of what of the penalty is neither quadratic nor linear along D."""
        if self.linear:
            return 0.0, 0.0
        penalty, U = self.objective.penalty, self.theta + t[:, None, None] * self.D
        slope = dot(penalty.directional_gradient(U, self.D, self.scale), self.D)
        return penalty.nonsmooth_value(U, self.scale) - self.nonsmooth, slope

    def advance(self) -> tuple[Array, Array, Array]:
        """Step lengths (m,), 0 where none was found, and mean loss and its gradient there; the objective follows.

        Where the full step will not do, its logits have told the direction's, and all other lengths are free.
        """
        objective, flat = self.objective, FLAT if self.settle else FLAT_ENOUGH
        terms = (self.start, self.slope, self.noise, self.limit)
        one = np.ones(objective.m)
        first = self.try_step(one)
        if enough(one, first[0], first[1], *terms, flat).all():
            objective.accept()
            return self.tried
        if not objective.keeps_logits:  # a leap costs no more than anything else, and brings the gradient
            t = search(lambda t: first if (t == 1).all() else self.try_step(t), *terms, flat)
            if t.any():
                if (t != self.tried[0]).any():
                    self.try_step(t)
                objective.accept()
            return t, self.tried[1], self.tried[2]
        objective.reject()
        t = search(self.eval_along, *terms)
        if not t.any():
            return t, self.tried[1], self.tried[2]
        objective.take_step(t)
        return (t, *objective.gradient())
