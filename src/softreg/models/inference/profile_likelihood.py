"""Profile-likelihood intervals and signed roots of likelihood ratios.

The profile of a parameter is the largest log-likelihood with that parameter fixed. The interval ends where twice the
decrease of the profile equals the quantile of chi-squared. Unlike Wald's interval it may be asymmetric, it is invariant
under transformations of the parameter, and it remains accurate in small samples and near separation. Venzon and
Moolgavkar (1988), A method for computing profile-likelihood-based confidence intervals; Heinze and Schemper (2002).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from softreg.models.inference.estimates import Estimates
from softreg.models.inference.fitted_inference import FittedInference
from softreg.models.likelihood.likelihood import Likelihood, solve
from softreg.optimize.firth_scoring import Firth
from softreg.optimize.objective.hessian import contrasts
from softreg.rows import Array, one_blas_thread

NEWTON_STEPS = 60
"""Largest number of Newton steps for one fixed value; three are usual."""
NEWTON_TOLERANCE = 1e-10
"""Predicted decrease in nats, summed over the rows, at which the Newton steps end."""
SECANT_STEPS = 40
"""Largest number of secant steps to one end of an interval; four are usual."""
ROOT_TOLERANCE = 1e-7
"""Tolerance of the signed root at an end, in standard errors."""
MAX_DISTANCE = 1e4
"""Distance from the estimate, in standard errors, beyond which an end is infinite."""


@dataclass(frozen=True)
class Point:
    """Parameters (q, d + 1), minus the log-likelihood, its gradient (p,) and information (p, p), summed over rows."""

    theta: Array
    value: float
    g: Array
    information: Array


Surface = Callable[[Array], Point]


def surface(likelihood: Likelihood, *, firth: bool) -> Surface:
    """Return the function to profile: the likelihood, or Firth's penalised likelihood."""
    mass = likelihood.mass
    if firth:
        penalised = Firth(likelihood.objective)

        def at_penalised(theta: Array) -> Point:
            fit = penalised.at(theta)
            return Point(theta, -fit.log_likelihood, fit.g, fit.information)

        return at_penalised

    def at(theta: Array) -> Point:
        evaluation = likelihood.evaluate(theta)
        assert evaluation.H is not None
        g = (contrasts(likelihood.q).T @ evaluation.G[0])[:, likelihood.identified].ravel()
        return Point(theta, float(evaluation.value[0]) * mass, g * mass, likelihood.reduced(evaluation.H) * mass)

    return at


class Profile:
    """Profile likelihood of a linear function of the parameters, `sum(direction * theta)`, around its estimate."""

    def __init__(self, likelihood: Likelihood, at: Surface, best: Point, direction: Array) -> None:
        self._at, self._best = at, best
        self._T, self._identified = contrasts(likelihood.q), likelihood.identified
        self._direction = direction
        self._c = (self._T.T @ direction)[:, self._identified].ravel()
        self.estimate = float((direction * best.theta).sum())
        self.error = float(np.sqrt(self._c @ solve(best.information, self._c)))
        self._last = best

    def root(self, value: float) -> float:
        """Return the signed root of twice the decrease of the log-likelihood with the function fixed at `value`."""
        point = self._constrained_maximum(value)
        self._last = point
        return float(np.sign(value - self.estimate) * np.sqrt(max(2 * (point.value - self._best.value), 0.0)))

    def end(self, z: float) -> float:
        """Return the value whose signed root is z, by secant steps; infinite if the likelihood decreases too little."""
        self._last, (before, before_root), value = self._best, (self.estimate, 0.0), self.estimate + z * self.error
        for _ in range(SECANT_STEPS):
            if abs(value - self.estimate) > MAX_DISTANCE * self.error:
                break
            try:
                root = self.root(value)
            except np.linalg.LinAlgError:  # the information is singular far from the estimate
                break
            if abs(root - z) <= ROOT_TOLERANCE or value == before:
                return value
            slope = (root - before_root) / (value - before)
            step = (z - root) / slope if slope > 0 else np.inf
            most = 2 * abs(value - self.estimate)  # limits the step where the profile is flat
            before, before_root, value = value, root, value + float(np.clip(step, -most / 4, most))
        return float(np.sign(z) * np.inf)

    def zero(self) -> float:
        """Return the signed root for the value zero, with the sign of the estimate, in place of Wald's z."""
        self._last = self._best
        try:
            return -self.root(0.0)
        except np.linalg.LinAlgError:
            return float(np.sign(self.estimate) * np.inf)

    def _constrained_maximum(self, value: float) -> Point:
        """Return the constrained maximum of the likelihood, by Newton steps from the last one."""
        point = self._last
        for iteration in range(NEWTON_STEPS):
            residual = value - float((self._direction * point.theta).sum())
            x, y = solve(point.information, np.column_stack([point.g, self._c])).T
            multiplier = -(residual + self._c @ x) / (self._c @ y)
            step = -x - multiplier * y
            if iteration > 0 and -(point.g @ step) <= NEWTON_TOLERANCE:
                return point
            point = self._after_step(point, step, accept_any=iteration == 0)
        return point

    def _after_step(self, point: Point, step: Array, *, accept_any: bool) -> Point:
        """Return the point after a step, halved while the likelihood decreases unless `accept_any`."""
        contrast_step = np.zeros((self._T.shape[1], point.theta.shape[1]))
        contrast_step[:, self._identified] = step.reshape(len(contrast_step), -1)
        full_step = self._T @ contrast_step
        for halving in range(20):
            trial = self._at(point.theta + full_step * 0.5**halving)
            if accept_any or trial.value <= point.value + 1e-12 * abs(point.value):
                return trial
        return point


def profiled(inference: FittedInference, lines: Sequence[int]) -> Estimates:
    """Return the coefficients of the columns with indices `lines`, with profile intervals and tests."""
    likelihood, wald = inference.likelihood, inference.coefficients
    at = surface(likelihood, firth=inference.fitted.firth)
    best, z = at(inference._theta), float(ndtri(0.5 + inference.level / 2))
    shape = (len(wald.classes), len(lines))
    low, high, roots = np.empty(shape), np.empty(shape), np.empty(shape)
    with one_blas_thread():
        for e, contrast in enumerate(inference._contrast):
            for j, line in enumerate(lines):
                profile = Profile(likelihood, at, best, np.outer(contrast, inference._A[line + inference._from]))
                low[e, j], high[e, j] = profile.end(-z), profile.end(z)
                roots[e, j] = profile.zero()
    columns = tuple(wald.columns[line] for line in lines)
    estimate, error = wald.estimate[:, lines], wald.std_error[:, lines]
    return Estimates(wald.what, wald.classes, columns, estimate, error, low, high, inference.level, roots)
