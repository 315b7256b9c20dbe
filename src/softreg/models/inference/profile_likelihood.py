"""Intervals by the likelihood itself: what is less likely than the best by no more than chance explains.

The profile of a parameter is the largest log-likelihood with that parameter held; the interval ends where twice its
fall reaches the quantile of chi-squared. Unlike Wald's it need not be symmetric, it does not depend on how the
parameter is written, and it holds where the likelihood is no parabola: in small samples and near separation. Venzon and
Moolgavkar (1988), A method for computing profile-likelihood-based confidence intervals; Heinze and Schemper (2002).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtri

from softreg.models.inference.estimates import Estimates
from softreg.models.likelihood.likelihood import Likelihood, solve
from softreg.optimize.firth import Firth
from softreg.optimize.objective.hessian import contrasts
from softreg.rows import Array, one_blas_thread

STEPS = 60
"""Newton steps for one value that is held; three are usual."""
SETTLED = 1e-10
"""Nats, summed over the rows: what a step may still promise where the steps end."""
TURNS = 40
"""Values held on the way to one end of an interval; four are usual."""
EXACT = 1e-7
"""Standard errors by which an end may miss."""
FAR = 1e4
"""Standard errors beyond which an end is called infinite."""


@dataclass(frozen=True)
class Point:
    """Parameters (q, d + 1), minus the log-likelihood, its gradient (p,) and information (p, p), summed over rows."""

    theta: Array
    value: float
    g: Array
    information: Array


Surface = Callable[[Array], Point]


def surface(likelihood: Likelihood, *, firth: bool) -> Surface:
    """Return what is to be profiled: the likelihood, or Firth's penalised one."""
    mass = likelihood.mass
    if firth:
        penalised = Firth(likelihood.objective)

        def at_penalised(theta: Array) -> Point:
            found = penalised.at(theta)
            return Point(theta, -found.log_likelihood, found.g, found.information)

        return at_penalised

    def at(theta: Array) -> Point:
        reading = likelihood.evaluate(theta)
        assert reading.H is not None
        g = (contrasts(likelihood.q).T @ reading.G[0])[:, likelihood.identified].ravel()
        return Point(theta, float(reading.value[0]) * mass, g * mass, likelihood.reduced(reading.H) * mass)

    return at


class Profile:
    """The profile of one linear function of the parameters, `sum(direction * theta)`, around its best value."""

    def __init__(self, likelihood: Likelihood, at: Surface, best: Point, direction: Array) -> None:
        self._at, self._best = at, best
        self._T, self._places = contrasts(likelihood.q), likelihood.identified
        self._direction = direction
        self._c = (self._T.T @ direction)[:, self._places].ravel()
        self.estimate = float((direction * best.theta).sum())
        self.error = float(np.sqrt(self._c @ solve(best.information, self._c)))
        self._last = best

    def root(self, value: float) -> float:
        """Return the signed root of twice the fall of the log-likelihood where the function is held at `value`."""
        point = self._held(value)
        self._last = point
        return float(np.sign(value - self.estimate) * np.sqrt(max(2 * (point.value - self._best.value), 0.0)))

    def end(self, z: float) -> float:
        """Return the value whose signed root is z; infinite where the likelihood never falls so far."""
        self._last, (before, fell), value = self._best, (self.estimate, 0.0), self.estimate + z * self.error
        for _ in range(TURNS):
            if abs(value - self.estimate) > FAR * self.error:
                break
            try:
                root = self.root(value)
            except np.linalg.LinAlgError:  # so far out that the rows carry no information
                break
            if abs(root - z) <= EXACT or value == before:
                return value
            slope = (root - fell) / (value - before)
            step = (z - root) / slope if slope > 0 else np.inf
            most = 2 * abs(value - self.estimate)  # a flat stretch must not send it away
            before, fell, value = value, root, value + float(np.clip(step, -most / 4, most))
        return float(np.sign(z) * np.inf)

    def zero(self) -> float:
        """Return the signed root for zero, of the sign of the estimate: what a Wald test calls z."""
        self._last = self._best
        try:
            return -self.root(0.0)
        except np.linalg.LinAlgError:
            return float(np.sign(self.estimate) * np.inf)

    def _held(self, value: float) -> Point:
        """Return the largest likelihood with the function held, by Newton's steps from the last one found."""
        point = self._last
        for turn in range(STEPS):
            missing = value - float((self._direction * point.theta).sum())
            x, y = solve(point.information, np.column_stack([point.g, self._c])).T
            multiplier = -(missing + self._c @ x) / (self._c @ y)
            step = -x - multiplier * y
            if turn > 0 and -(point.g @ step) <= SETTLED:
                return point
            point = self._moved(point, step, free=turn == 0)
        return point

    def _moved(self, point: Point, step: Array, *, free: bool) -> Point:
        """Return the point after a step, halved where the likelihood falls by it; the first goes where it must."""
        whole = np.zeros((self._T.shape[1], point.theta.shape[1]))
        whole[:, self._places] = step.reshape(len(whole), -1)
        move = self._T @ whole
        for halving in range(20):
            tried = self._at(point.theta + move * 0.5**halving)
            if free or tried.value <= point.value + 1e-12 * abs(point.value):
                return tried
        return point


def profiled(found: Any, lines: Sequence[int]) -> Estimates:
    """Return the coefficients of an `Inference` in these lines of its columns, with profile intervals and tests."""
    likelihood, wald = found.likelihood, found.coefficients
    at = surface(likelihood, firth=found.fitted.firth)
    best, z = at(found._theta), float(ndtri(0.5 + found.level / 2))
    shape = (len(wald.classes), len(lines))
    low, high, roots = np.empty(shape), np.empty(shape), np.empty(shape)
    with one_blas_thread():
        for e, contrast in enumerate(found._contrast):
            for place, line in enumerate(lines):
                profile = Profile(likelihood, at, best, np.outer(contrast, found._A[line + found._from]))
                low[e, place], high[e, place] = profile.end(-z), profile.end(z)
                roots[e, place] = profile.zero()
    columns = tuple(wald.columns[line] for line in lines)
    estimate, error = wald.estimate[:, lines], wald.std_error[:, lines]
    return Estimates(wald.what, wald.classes, columns, estimate, error, low, high, found.level, roots)
