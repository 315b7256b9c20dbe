"""The loop of the smooth solvers: direction, free line search, step, certificate; for a whole stack of models.

A model whose gap is proved to be below the tolerance leaves the stack. The loop holds everything that Newton's method
and L-BFGS share; they differ in their directions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np

from softreg.optimize.certificate import duality as certificate
from softreg.optimize.certificate.separation import find
from softreg.optimize.objective.cached import Objective
from softreg.optimize.problem.result import Progress, Separation, Status
from softreg.optimize.solvers.direction import Strategy
from softreg.optimize.solvers.lbfgs import dot
from softreg.optimize.solvers.step import Line
from softreg.rows import Array

FINE = 1e-7
"""Below this tolerance an objective without kept logits is proved in float64; with them, it always is."""
PATIENCE = 15
"""Iterations without progress of the estimated gap after which rounding errors are taken to be the cause."""
LITTLE_PATIENCE = 4
"""The same for coarse products, of which that is to be expected."""
COARSE = 1e-2
"""Coarse products serve until the estimated gap is below this: their noise adds about a hundredth of it for a million
rows and a thousand classes at a strength of 1e-6. No gap is ever proved with them."""


@dataclass
class Outcome:
    """What became of each model of the stack, by its place in the full stack."""

    theta: Array
    value: Array
    gap: Array
    bound: list[str]
    status: list[Status]
    n_iter: Array
    separation: list[Separation | None]
    history: list[Progress] = field(default_factory=list)


class Descent:
    """One run of a smooth solver over a stack."""

    def __init__(
        self,
        objective: Objective,
        strategy: Strategy,
        theta: Array,
        *,
        tol: float,
        max_iter: int,
        certify: bool = True,
        on_progress: Callable[[Progress], Any] | None = None,
    ) -> None:
        self.objective, self.strategy = objective, strategy
        self.tol, self.max_iter, self.certify = tol, max_iter, certify
        self.target_gap = min(tol, strategy.target_gap)
        self.on_progress, self.began = on_progress, perf_counter()
        self.smooth = objective.penalty.is_smooth
        theta = self._admissible(theta)
        loss, G = objective.evaluate(theta)
        # in the memory order of the sums over the rows, whichever that is: mixed orders make all that follows slow
        self.theta = np.positive(theta, out=np.empty_like(G))
        m = len(theta)
        self.out = Outcome(
            theta=self.theta.copy(order="K"),
            value=np.full(m, np.inf),
            gap=np.full(m, np.inf),
            bound=["estimate"] * m,
            status=[Status.STOPPED] * m,
            n_iter=np.zeros(m, dtype=np.int64),
            separation=[None] * m,
        )
        self.tried, self.best, self.since = np.full(m, np.inf), np.inf, 0
        self._arrive(loss, G)

    def _admissible(self, theta: Array) -> Array:
        """The start without what no optimum has."""
        theta = theta.copy(order="K")
        if self.smooth:
            theta -= theta.mean(axis=1, keepdims=True)  # softmax ignores what all classes share
        if self.objective.penalty.support is not None:
            theta[..., :-1] *= self.objective.penalty.support
        theta[..., :-1][..., self.objective.coordinates.constant] = 0.0  # the bias holds what a constant would add
        if not self.objective.fit_intercept:
            theta[..., -1] = 0.0
        return theta

    def run(self) -> Outcome:
        """On to the optimum of each model."""
        for iteration in range(0 if self.certify and self._there() else self.max_iter + 1):
            if not self._iterate(iteration):
                break
        return self.out

    def _there(self) -> bool:
        """Whether the start answers all models; asked before the curvature is, which costs more."""
        estimate = certificate.dual_estimate(self.objective, self.theta, self.G)
        if (estimate <= 4 * self.target_gap).any():  # a balanced bias may make up for that
            self._report(estimate)
            self._check(estimate, estimate)
        return self.objective.m == 0

    def _arrive(self, loss: Array, G: Array) -> None:
        """Mean loss and its gradient at the parameters of now."""
        self.loss, self.G = loss, G + self.objective.ridge[:, None, :] * self.theta

    def _value(self) -> Array:
        return self.loss + self.objective.penalty.value(self.objective.user(self.theta)[0])

    def _iterate(self, iteration: int) -> bool:
        """One step of all models in the stack; False when none is left to improve."""
        objective = self.objective
        if (
            objective.rows.reduced_precision
            and (certificate.dual_estimate(objective, self.theta, self.G) <= COARSE).any()
        ):
            self._go_precise()
        D = self.strategy.direction(objective, self.theta, self.G)
        slope = dot(self.G, D) + self._nonsmooth_slope(D)
        by_decrement = self.strategy.has_certificate | (objective.penalty.strong_convexity == 0)
        estimate = np.where(by_decrement, -slope / 2, np.inf)
        estimate = np.minimum(estimate, certificate.dual_estimate(objective, self.theta, self.G))
        self._report(estimate)
        if self._separated(iteration, D, estimate) and objective.m == 0:
            return False
        if len(D) != objective.m:
            return True
        if (estimate <= np.minimum(self.target_gap, self.tried / 4)).any():
            moved = self._check(estimate, -slope / 2)
            if objective.m == 0:
                return False
            if moved:
                return True  # the models that stay have a new gradient: take a new direction
        if iteration >= self.max_iter:
            return self._finish(Status.STOPPED, -slope / 2)
        before = self.G
        t = self._advance(D, slope)
        if self._stuck(t, estimate):
            if objective.lacks_precision():
                self._go_precise()
                return True
            return self._finish(Status.STALLED, -slope / 2)
        self.strategy.update(t[:, None, None] * D, self.G - before)
        if not self.smooth:
            self.remove_common_shift()
        self.out.n_iter[objective.members] += 1
        return True

    def remove_common_shift(self) -> None:
        """Take from the weights of all classes what softmax does not see and the penalty is better without.

        Along this direction the loss is flat, so no curvature would ever lead there.
        """
        W, _ = self.objective.user(self.theta)
        shift = self.objective.penalty.common_shift(W) * self.objective.coordinates.scale
        self.theta[..., :-1] -= shift
        self.G[..., :-1] -= self.objective.ridge[:, None, :-1] * shift

    def _separated(self, iteration: int, D: Array, estimate: Array) -> bool:
        """Let models without a finite optimum leave; looked for when they seem to have converged, or take long."""
        free = self._unpenalised()
        due = (estimate <= self.target_gap) | (iteration % 10 == 9)
        if not self.certify or iteration == 0 or not (free & due).any():
            return False
        telling = self.strategy.recession_direction(self.objective, self.theta, self.G, D)
        self.objective.set_direction(telling)
        found = find(self.objective, self.theta, telling)
        gone = np.array([f is not None for f in found])
        for j in np.flatnonzero(gone):
            self.out.separation[self.objective.members[j]] = found[j]
        complete = np.array([f is not None and f.complete for f in found])  # the infimum is then 0, otherwise unknown
        bound = ["separation" if c else "estimate" for c in complete]
        self._record(gone, np.where(complete, self.loss, estimate), bound, Status.SEPARATED)
        return self._keep(~gone)

    def _unpenalised(self) -> Array:
        """Which models (m,) have no penalty at all."""
        return self.objective.penalty.is_zero

    def _nonsmooth_slope(self, D: Array) -> Array:
        """Return the slope (m,) of the penalty without its quadratic part along D."""
        if self.smooth:
            return np.zeros(self.objective.m)
        objective = self.objective
        return dot(objective.penalty.directional_gradient(self.theta, D, objective.parameter_scale), D)

    def _advance(self, D: Array, slope: Array) -> Array:
        """Go along D and return the step lengths (m,), 0 where none was found."""
        longest = 1.0 if self.objective.penalty.has_kink else np.inf
        settle = bool(self._unpenalised().any())
        line = Line(self.objective, self.theta, D, self.loss, slope, self._nonsmooth_slope(D), longest, settle)
        t, loss, G = line.advance()
        if t.any():
            self.theta = self.theta + t[:, None, None] * D
            self._arrive(loss, G)
        return t

    def _stuck(self, t: Array, estimate: Array) -> bool:
        now = float(np.max(np.where(np.isfinite(estimate), estimate, self._value())))
        if now < 0.7 * self.best:
            self.best, self.since = now, 0
        else:
            self.since += 1
        patience = LITTLE_PATIENCE if self.objective.rows.reduced_precision else PATIENCE
        return (
            bool((t == 0).all()) or (self.since >= patience and self.objective.lacks_precision()) or self.since >= 200
        )

    def _go_precise(self) -> None:
        if not self.objective.rows.reduced_precision:  # what was learned in TF32 still serves in float32
            self.strategy.reset()
        self.objective.increase_precision()
        self.best, self.since = np.inf, 0
        self._arrive(*self.objective.evaluate(self.theta))

    def _check(self, estimate: Array, decrement: Array) -> bool:
        """Prove the gaps; models below the tolerance leave. True where parameters have moved for those that stay."""
        objective = self.objective
        if not self.certify:
            self._record(estimate <= self.target_gap, estimate, ["estimate"] * objective.m, Status.CONVERGED)
            return self._keep(estimate > self.target_gap)
        if self.target_gap < FINE and objective.lacks_precision() and not objective.keeps_logits:
            self._go_precise()
            return True
        gap, bound = self._prove(decrement)
        done = gap <= self.tol
        self.tried = np.where(estimate <= self.target_gap, estimate, self.tried)
        self._end(done, gap, bound)
        self._keep(~done)
        return True

    def _end(self, which: Array, gap: Array, bound: list[str]) -> None:
        """Record models whose gap is below the tolerance: by a proof, or by an estimate alone."""
        guess = np.array([self.certify and name == "estimate" for name in bound])
        self._record(which & ~guess, gap, bound, Status.CONVERGED)
        self._record(which & guess, gap, bound, Status.UNCERTIFIED)

    def _prove(self, decrement: Array, last: bool = False) -> tuple[Array, list[str]]:
        """Certified gaps (m,) at parameters whose bias is balanced, and the name of each proof."""
        objective = self.objective
        if objective.rows.reduced_precision:
            self._go_precise()
        self.theta, self.loss, self.G, left = certificate.balance(objective, self.theta)
        gap = certificate.dual_gap(objective, self.theta, self.loss, self.G)
        gap = np.where(left <= certificate.BALANCED, gap, np.inf)
        bound = ["duality" if np.isfinite(g) else "estimate" for g in gap]
        if self.strategy.has_certificate and (gap > self.tol).any():
            self.strategy.direction(objective, self.theta, self.G)
            other = self.strategy.decrement_bound(objective, self.G)
            bound = ["self-concordance" if o < g else b for o, g, b in zip(other, gap, bound, strict=True)]
            gap = np.minimum(gap, other)
        # without a penalty and without a Newton bound there is no proof: the preconditioned gradient norm decides
        guess = np.isinf(gap) & self._unpenalised()
        guess &= last or not self.strategy.has_certificate  # Newton's proof comes a step or two later
        return np.where(guess, decrement, gap), bound

    def _record(self, which: Array, gap: Array, bound: list[str], status: Status) -> None:
        value = self._value()
        for j in np.flatnonzero(which):
            place = self.objective.members[j]
            self.out.theta[place], self.out.status[place] = self.theta[j], status
            self.out.value[place], self.out.gap[place], self.out.bound[place] = value[j], gap[j], bound[j]

    def _keep(self, keep: Array) -> bool:
        if keep.all():
            return False
        self.objective.drop_members(keep)
        self.strategy.drop_members(keep)
        self.theta, self.G, self.loss = self.theta[keep], self.G[keep], self.loss[keep]
        self.tried = self.tried[keep]
        return True

    def _finish(self, status: Status, decrement: Array) -> bool:
        """The iterations are used up, or rounding stops all progress: say how good each model is."""
        gap, bound = self._prove(decrement, last=True) if self.certify else (decrement, ["estimate"] * self.objective.m)
        done = gap <= self.tol
        self._end(done, gap, bound)
        self._record(~done, gap, bound, status)
        self._report(gap)
        return False

    def _report(self, gap: Array) -> None:
        finite = gap[np.isfinite(gap)]
        progress = Progress(
            self.objective.passes,
            float(self._value().max()),
            float(finite.max()) if len(finite) else float("inf"),
            perf_counter() - self.began,
            self.objective.rows_read,
        )
        self.out.history.append(progress)
        if self.on_progress is not None:
            self.on_progress(progress)
