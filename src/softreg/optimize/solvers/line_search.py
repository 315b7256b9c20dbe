"""Line search for a stack of models along one direction: strong Wolfe conditions, safe against rounding.

Logits are affine in the step, so step lengths other than 1 cost no pass over the rows where logits are kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.problem.penalty_protocol import Trait
from softreg.optimize.solvers.lbfgs_memory import dot
from softreg.typing import BoolArray, Float64Array, FloatArray

CURVATURE, FULL_STEP_CURVATURE = 0.3, 0.7
"""Curvature constant c2 of the strong Wolfe conditions. The full step, which is evaluated by a pass over the rows, is
accepted at the second value, since a better length would cost half a pass (measured: 0.7 takes as many iterations)."""
DECREASE = 1e-4
"""Sufficient-decrease constant c1 of the Wolfe conditions."""
MAX_EVALUATIONS = 40
"""Step lengths that are tried."""
MIN_STEP = 1e-12
"""The search ends below this step length."""
MARGIN = 0.05
"""Part of the bracket at each end in which Newton's step is not accepted."""
EXPANSION, MAX_EXPANSION = 4.0, 10.0
"""Largest growth of the step while the bracket has no upper end: without and with Newton's step."""
MIN_VALUE_SCALE = 1e-3
"""Objective in nats below which rounding errors are taken relative to this value."""
UNRESOLVED_STEP = 2.0
"""Longest step where the expected gain is below the rounding error of the objective."""

PointOnLine = Float64Array
"""Value, slope and curvature (3, m) of the objective at step lengths (m,)."""


def satisfies_wolfe(
    t: Float64Array,
    value: Float64Array,
    slope: Float64Array,
    value0: Float64Array,
    slope0: Float64Array,
    noise: Float64Array,
    max_step: Float64Array | float = np.inf,
    curvature: float = CURVATURE,
) -> BoolArray:
    """Return whether steps t (m,) with these values and slopes satisfy the strong Wolfe conditions.

    Parameters
    ----------
    t
        Step lengths (m,).
    value, slope
        Objective and its derivative (m,) at t.
    value0, slope0
        The same at 0.
    noise
        Rounding error (m,) of a value.
    max_step
        Longest step allowed; at this step, a negative slope of any size is accepted.
    curvature
        Curvature constant c2.

    Returns
    -------
    BoolArray
        Mask (m,).

    Examples
    --------
    >>> one = np.ones(1)
    >>> satisfies_wolfe(one, value=0 * one, slope=0 * one, value0=one, slope0=-2 * one, noise=0 * one)
    array([ True])
    """
    finite = np.isfinite(value) & np.isfinite(slope)
    decreases = value <= value0 + DECREASE * t * slope0 + noise
    is_flat = (np.abs(slope) <= curvature * np.abs(slope0)) | ((t >= max_step) & (slope <= 0))
    return np.asarray(finite & decreases & is_flat)


def wolfe_search(
    evaluate: Callable[[Float64Array], PointOnLine],
    value0: Float64Array,
    slope0: Float64Array,
    noise: Float64Array,
    max_step: Float64Array | float = np.inf,
    curvature: float = CURVATURE,
) -> Float64Array:
    """Return step lengths (m,) that satisfy the strong Wolfe conditions, 0 where none was found.

    Parameters
    ----------
    evaluate
        Value, slope and curvature (3, m) at step lengths (m,).
    value0, slope0
        Value and slope (m,) at 0; the slope is negative.
    noise
        Rounding error (m,) of a value.
    max_step
        Longest step allowed, 1 or more.
    curvature
        Curvature constant c2.

    Returns
    -------
    Float64Array
        Step lengths (m,).
    """
    t = np.ones(len(slope0))
    low, high = np.zeros_like(t), np.full_like(t, np.inf)
    point = evaluate(t)
    for _ in range(MAX_EVALUATIONS):
        value, slope, second = point
        done = satisfies_wolfe(t, value, slope, value0, slope0, noise, max_step, curvature)
        if done.all():
            return t
        too_far = ~done & ~(np.isfinite(value) & np.isfinite(slope) & (slope <= 0))
        high = np.where(too_far, np.minimum(high, t), high)
        low = np.where(~done & ~too_far, t, low)
        t = np.where(done, t, np.minimum(max_step, _next_step(t, low, high, slope, second)))
        if (t < MIN_STEP).any():
            break
        point = evaluate(t)
    acceptable = np.isfinite(point[0]) & (point[0] <= value0 + noise)
    return np.where(acceptable, t, 0.0)


def _next_step(
    t: Float64Array, low: Float64Array, high: Float64Array, slope: Float64Array, second: Float64Array
) -> Float64Array:
    """Return Newton's step for a zero of the slope where it lies well inside the bracket, else a bisection."""
    with np.errstate(all="ignore"):
        newton = t - slope / second
    ceiling = np.where(np.isinf(high), MAX_EXPANSION * t, high)
    width = ceiling - low
    inside = (newton > low + MARGIN * width) & (newton < ceiling - MARGIN * width)
    return np.asarray(
        np.where(np.isfinite(newton) & inside, newton, np.where(np.isinf(high), EXPANSION * t, low + 0.5 * width))
    )


@dataclass(frozen=True)
class Step:
    """A step along the direction, with what a pass over the rows gives at its end."""

    length: Float64Array
    """Step lengths (m,); 0 where none was found."""
    loss: Float64Array
    """Mean loss (m,)."""
    loss_gradient: FloatArray
    """Gradient (m, q, d + 1) of the mean loss."""


@dataclass
class ObjectiveAlongDirection:
    """The objective of each model along the direction D from theta."""

    objective: Objective
    theta: FloatArray
    """Parameters (m, q, d + 1)."""
    D: FloatArray
    """Direction (m, q, d + 1)."""
    value0: Float64Array
    """Mean loss (m,) at theta."""
    slope0: Float64Array
    """Derivative (m,) of the objective along D at theta."""
    nonsmooth_slope: Float64Array
    """Derivative (m,) of the penalty without its quadratic part along D at theta."""
    max_step: float
    """Longest step allowed."""
    always_search: bool
    """Search for a step within `CURVATURE` also where the full step would do: without a penalty the last step must
    settle to a direction of separation."""
    keeps_signs: bool = True
    """Whether no weight changes its sign before step 1, so that a penalty of single weights is linear along D."""
    tried: Step = field(init=False)
    """The last step that was evaluated by a pass over the rows."""

    def __post_init__(self) -> None:
        ridge = self.objective.ridge
        self.cross = dot(self.objective.ridge_gradient(self.theta), self.D)
        self.square = dot(ridge * self.D, self.D)
        penalty, self.scale = self.objective.penalty, self.objective.parameter_scale
        self.is_linear = Trait.SEPARABLE in penalty.traits and self.keeps_signs
        if self.is_linear:
            self.cross = self.cross + self.nonsmooth_slope
        else:
            self.nonsmooth0 = penalty.nonsmooth_value(self.theta, self.scale)
        # each pass rounds the logits anew; a convex function whose slope has faded has gained, whatever its value is
        self.noise = self.objective.digits * np.maximum(MIN_VALUE_SCALE, np.abs(self.value0))
        # where the gain is below the rounding error, so is the slope, and it does not determine the step length
        unresolved = -self.slope0 < self.noise
        self.step_limit = np.where(unresolved, min(UNRESOLVED_STEP, self.max_step), self.max_step)

    def try_step(self, t: Float64Array) -> PointOnLine:
        """Return value, slope and curvature (3, m) at steps t by a pass, which gives the gradient as well."""
        loss, G = self.objective.try_step(self.theta + t[:, None, None] * self.D)
        self.tried = Step(t, loss, G)
        change, nonsmooth_slope = self._nonsmooth_at(t)
        slope = dot(G, self.D) + self.cross + t * self.square + nonsmooth_slope
        value = loss + t * self.cross + t**2 * self.square / 2 + change
        return np.stack([value, slope, (slope - self.slope0) / t])

    def eval_along(self, t: Float64Array) -> PointOnLine:
        """Return the same from the kept logits, with the penalty in closed form, without a pass."""
        cross, square = self.cross, self.square
        change, nonsmooth_slope = self._nonsmooth_at(t)
        quadratic = np.stack([t * cross + t**2 * square / 2 + change, cross + t * square + nonsmooth_slope, square])
        return np.asarray(self.objective.eval_along(t) + quadratic)

    def _nonsmooth_at(self, t: Float64Array) -> tuple[Float64Array | float, Float64Array | float]:
        """Return change and slope (m,) at steps t of the penalty that is neither quadratic nor linear along D.

        Where a weight is 0 there, the slope is that on the way to it.

        Returns
        -------
        tuple of Float64Array or float
            Change and slope.
        """
        if self.is_linear:
            return 0.0, 0.0
        penalty, U = self.objective.penalty, self.theta + t[:, None, None] * self.D
        slope = dot(penalty.directional_gradient(U, -self.D, self.scale), self.D)
        return penalty.nonsmooth_value(U, self.scale) - self.nonsmooth0, slope

    def advance(self) -> Step:
        """Return the step taken, after which the objective is at its end.

        The full step is tried first. Where it does not satisfy the conditions, its logits give those of the direction,
        and all other lengths cost nothing.

        Returns
        -------
        Step
            The step, of length 0 for models for which none was found.
        """
        objective, curvature = self.objective, CURVATURE if self.always_search else FULL_STEP_CURVATURE
        conditions = (self.value0, self.slope0, self.noise, self.step_limit)
        one = np.ones(objective.m)
        first = self.try_step(one)
        if satisfies_wolfe(one, first[0], first[1], *conditions, curvature).all():
            objective.accept()
            return self.tried
        if not objective.keeps_logits:  # a pass costs no more than anything else, and gives the gradient
            t = wolfe_search(lambda t: first if (t == 1).all() else self.try_step(t), *conditions, curvature)
            if t.any():
                if (t != self.tried.length).any():
                    self.try_step(t)
                objective.accept()
            return Step(t, self.tried.loss, self.tried.loss_gradient)
        objective.reject()
        t = wolfe_search(self.eval_along, *conditions)
        if not t.any():
            return Step(t, self.tried.loss, self.tried.loss_gradient)
        objective.take_step(t)
        return Step(t, *objective.gradient())
