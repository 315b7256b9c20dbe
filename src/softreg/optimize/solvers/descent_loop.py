"""The descent loop of the smooth solvers for a stack of models: direction, line search, step, certificate.

A model whose gap is proved to be below the tolerance leaves the stack. The loop contains everything that
Newton's method and L-BFGS share; they differ in their directions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from softreg.linalg import TINY
from softreg.optimize.certificate import duality as certificate
from softreg.optimize.certificate.separation_during_fit import find
from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.problem.penalty_protocol import Trait
from softreg.optimize.problem.result import Progress, Status
from softreg.optimize.solvers.direction import DirectionMethod
from softreg.optimize.solvers.lbfgs_memory import dot
from softreg.optimize.solvers.line_search import ObjectiveAlongDirection
from softreg.optimize.solvers.stack_members import Members, StackResult
from softreg.typing import BoolArray, Float64Array, FloatArray

FINE = 1e-7
"""Tolerance in nats below which an objective without kept logits, or with a group penalty, is certified in float64: the
gap of a point that is scaled into the dual feasible set is a difference of losses, rounded to the precision of rows."""
PATIENCE, MAX_PATIENCE = 15, 200
"""Iterations without progress of the estimated gap after which the precision is raised, and after which the loop ends:
rounding errors are the cause."""
REDUCED_PATIENCE = 4
"""The same as the first for products in reduced precision."""
PROGRESS = 0.7
"""Ratio of the estimated gap to its best value so far below which an iteration counts as progress."""
REDUCED_PRECISION_GAP = 1e-2
"""Estimated gap in nats at which reduced precision ends: its noise is about a hundredth of it for a million rows and a
thousand classes at a strength of 1e-6. No gap is certified in reduced precision."""
START_RATIO = 4
"""Estimated gap of a start, in units of the target, up to which a certificate is tried at once: balancing the bias may
close the rest."""
RETRY_RATIO = 4
"""A certificate is tried again when the estimated gap has fallen by this factor."""
ROUNDED_RATIO = 1e-3
"""Estimated gap after a proximal Newton step, in units of the tolerance, at which a certificate fails because of
rounding: the gap is linear in the errors of the gradient, the estimate quadratic."""
SEPARATION_PERIOD = 10
"""Iterations between two tests for separation of models that have not converged."""


@dataclass
class DescentMembers(Members):
    """The unfinished members of a descent."""

    loss: Float64Array
    """Mean loss (m,) at `theta`."""
    certified_at: Float64Array
    """Estimated gap (m,) at which a certificate was last tried; inf before."""


class Descent:
    """One run of a smooth solver over a stack."""

    def __init__(
        self,
        objective: Objective,
        method: DirectionMethod,
        theta: FloatArray,
        *,
        tol: float,
        max_iter: int,
        certify: bool = True,
        on_progress: Callable[[Progress], object] | None = None,
        proof_first: bool = False,
    ) -> None:
        self.objective, self.method = objective, method
        self.tol, self.max_iter, self.certify, self.proof_first = tol, max_iter, certify, proof_first
        by_decrement = method.has_certificate or not objective.penalty.strong_convexity.any()
        self.target_gap = min(tol, method.target_gap) if by_decrement else tol
        self.on_progress, self.start_time = on_progress, perf_counter()
        self.smooth = objective.penalty.is_smooth
        theta = self._admissible_start(theta)
        loss, G = objective.evaluate(theta)
        # in the memory order of the sums over the rows, whichever that is: mixed orders make all that follows slow
        theta = np.positive(theta, out=np.empty_like(G))
        results = StackResult.unfinished(theta)
        self.members = DescentMembers(objective, (method,), results, theta, G, loss, np.full(len(theta), np.inf))
        self.best_gap, self.iterations_without_progress, self.retried_after = np.inf, 0, 0
        self.last_estimate = np.full(len(theta), np.inf)
        self._set_loss(loss, G)

    def _admissible_start(self, theta: FloatArray) -> FloatArray:
        """Return the start without the components that are zero at every optimum."""
        theta = theta.copy(order="K")
        if self.smooth:
            theta -= theta.mean(axis=1, keepdims=True)  # softmax ignores a common shift of all classes
        if self.objective.penalty.support is not None:
            theta[..., :-1] *= self.objective.penalty.support
        constant = self.objective.coordinates.constant  # the bias takes the place of a constant column
        center = self.objective.center
        theta[..., :-1][..., constant] = 0.0 if center is None else center[:, :-1][:, constant]
        if not self.objective.fit_intercept:
            theta[..., -1] = 0.0
        return self.objective.within_bounds(theta)

    def run(self) -> StackResult:
        """Run until all models are finished, and return their results."""
        for iteration in range(0 if self.certify and self._start_is_optimal() else self.max_iter + 1):
            if not self._iterate(iteration):
                break
        else:
            if len(self.members):  # the last iteration has moved the parameters for a certificate
                self._stop(Status.STOPPED, np.full(len(self.members), np.inf))
        return self.members.results

    def _start_is_optimal(self) -> bool:
        """Return True if every model already meets the gap tolerance (checked before building the preconditioner)."""
        estimate = certificate.dual_estimate(self.objective, self.members.theta, self.members.gradient)
        if self.proof_first or (estimate <= START_RATIO * self.target_gap).any():
            self._report(estimate)
            with self.objective.meter.certificate():
                self._certify(estimate, estimate)
        return len(self.members) == 0

    def _set_loss(self, loss: Float64Array, loss_gradient: FloatArray) -> None:
        """Set mean loss and gradient at the current parameters."""
        members = self.members
        members.loss, members.gradient = loss, loss_gradient + self.objective.ridge_gradient(members.theta)

    def _value(self) -> Float64Array:
        """Return the objective (m,)."""
        return self.members.loss + self.objective.penalty.value(self.objective.user(self.members.theta)[0])

    def _iterate(self, iteration: int) -> bool:
        """Take one step of all members; return False when none is left to improve."""
        objective, members = self.objective, self.members
        if objective.rows.reduced_precision:
            estimate = certificate.dual_estimate(objective, members.theta, members.gradient)
            if (estimate <= REDUCED_PRECISION_GAP).any():
                self._increase_precision()
        with objective.meter.curvature():
            D = self.method.direction(objective, members.theta, members.gradient)
        slope = dot(members.gradient, D) + self._nonsmooth_slope(D)
        by_decrement = self.method.has_certificate | (objective.penalty.strong_convexity == 0)
        estimate = np.where(by_decrement, -slope / 2, np.inf)
        estimate = np.minimum(estimate, certificate.dual_estimate(objective, members.theta, members.gradient))
        self._report(estimate)
        if self._drop_separated(iteration, D, estimate) and not len(members):
            return False
        if len(D) != len(members):
            return True
        if self._proof_is_due(estimate):
            with objective.meter.certificate():
                moved = self._certify(estimate, -slope / 2)
            if not len(members):
                return False
            if moved:
                return True  # the members that stay have a new gradient: compute a new direction
        if iteration >= self.max_iter:
            return self._stop(Status.STOPPED, -slope / 2)
        gradient = members.gradient
        t = self._take_step(D, slope)
        if self._has_stalled(t, estimate):
            if objective.lacks_precision():
                self._increase_precision()
                return True
            return self._stop(Status.STALLED, -slope / 2)
        self.method.update(t[:, None, None] * D, members.gradient - gradient)
        if not self.smooth:
            self.remove_common_shift()
        members.count_iteration()
        return True

    def _proof_is_due(self, estimate: Float64Array) -> bool:
        """Return True if a model is near enough to the minimum for a proof, or rounding keeps it from being nearer."""
        members = self.members
        near = np.full(len(members), self.target_gap)
        if len(self.last_estimate) == len(members):
            near[estimate > self.last_estimate / RETRY_RATIO] = self.tol
        self.last_estimate = estimate
        fallen = np.minimum(near, members.certified_at / RETRY_RATIO)
        due = np.maximum(estimate, TINY) <= fallen  # rounding may make an estimate negative
        waited = self.iterations_without_progress
        if waited > self.retried_after and waited & (waited - 1) == 0:  # a step may help where the estimate is rounding
            self.retried_after = waited
            due |= estimate <= ROUNDED_RATIO * self.tol
        return bool(due.any())

    def remove_common_shift(self) -> None:
        """Subtract the common shift c minimizing penalty(W - c), to which softmax is invariant.

        The loss is flat along this direction, so its curvature does not indicate it.
        """
        members = self.members
        W, _ = self.objective.user(members.theta)
        shift = self.objective.penalty.common_shift(W) * self.objective.coordinates.scale
        members.theta[..., :-1] -= shift
        members.theta = self.objective.within_bounds(members.theta)
        members.gradient[..., :-1] -= self.objective.ridge[..., :-1] * shift

    def _drop_separated(self, iteration: int, D: FloatArray, estimate: Float64Array) -> bool:
        """Drop models without a finite optimum; tested when they seem to have converged, or every ten iterations."""
        members = self.members
        due = (estimate <= self.target_gap) | (iteration % SEPARATION_PERIOD == SEPARATION_PERIOD - 1)
        if not self.certify or iteration == 0 or not (self._unpenalised() & due).any():
            return False
        with self.objective.meter.certificate():
            direction = self.method.recession_direction(self.objective, members.theta, members.gradient, D)
            part = self.objective.penalty.recession_part(direction[..., :-1])
            direction = np.concatenate([part, direction[..., -1:]], axis=2)
            self.objective.set_direction(direction)
            separations = find(self.objective, members.theta, direction)
        separated = np.array([s is not None for s in separations])
        for j in np.flatnonzero(separated):
            members.results.separation[members.positions[j]] = separations[j]
        complete = np.array(
            [s is not None and s.complete for s in separations]
        )  # the infimum is then 0, otherwise unknown
        bound = ["separation" if c else "estimate" for c in complete]
        gap = np.where(complete, members.loss, estimate)
        members.record(separated, Status.SEPARATED, value=self._value(), gap=gap, bound=bound)
        return self._keep_members(~separated)

    def _unpenalised(self) -> BoolArray:
        """Return the models (m,) with a weight without a penalty."""
        return self.objective.penalty.may_diverge

    def _nonsmooth_slope(self, D: FloatArray) -> Float64Array:
        """Return the derivative (m,) of the penalty without its quadratic part along D."""
        if self.smooth:
            return np.zeros(len(self.members))
        penalty, scale = self.objective.penalty, self.objective.parameter_scale
        return dot(penalty.directional_gradient(self.members.theta, D, scale), D)

    def _take_step(self, D: FloatArray, slope: Float64Array) -> Float64Array:
        """Take a step along D, and return its lengths (m,), 0 where none was found."""
        members = self.members
        line = ObjectiveAlongDirection(
            self.objective,
            members.theta,
            D,
            value0=members.loss,
            slope0=slope,
            nonsmooth_slope=self._nonsmooth_slope(D),
            max_step=1.0 if self.objective.penalty.has_kink else np.inf,
            always_search=self.method.searches_closely or bool(self._unpenalised().any()),
            keeps_signs=self.method.keeps_signs,
        )
        step = line.advance()
        if step.length.any():
            members.theta = self.objective.within_bounds(members.theta + step.length[:, None, None] * D)
            self._set_loss(step.loss, step.loss_gradient)
        return step.length

    def _has_stalled(self, t: Float64Array, estimate: Float64Array) -> bool:
        """Return whether rounding errors prevent further progress."""
        gap = float(np.max(np.where(np.isfinite(estimate), estimate, self._value())))
        if gap < PROGRESS * self.best_gap:
            self.best_gap, self.iterations_without_progress, self.retried_after = gap, 0, 0
        else:
            self.iterations_without_progress += 1
        waited = self.iterations_without_progress
        patience = REDUCED_PATIENCE if self.objective.rows.reduced_precision else PATIENCE
        may_gain = waited >= patience and self.objective.lacks_precision()
        return bool((t == 0).all()) or may_gain or waited >= MAX_PATIENCE

    def _increase_precision(self) -> None:
        """Continue with products in higher precision."""
        if not self.objective.rows.reduced_precision:  # pairs learned in TF32 still serve in float32
            self.method.reset()
        self.objective.increase_precision()
        self.best_gap, self.iterations_without_progress, self.retried_after = np.inf, 0, 0
        self._set_loss(*self.objective.evaluate(self.members.theta))

    def _certify(self, estimate: Float64Array, decrement: Float64Array) -> bool:
        """Certify the gaps and drop members below the tolerance; return whether the parameters of others have moved."""
        objective, members = self.objective, self.members
        if not self.certify:
            bound = ["estimate"] * len(members)
            done = estimate <= self.target_gap
            members.record(done, Status.CONVERGED, value=self._value(), gap=estimate, bound=bound)
            return self._keep_members(~done)
        rounded = not objective.keeps_logits or Trait.COLUMN_NORMS in objective.penalty.traits
        if self.target_gap < FINE and objective.lacks_precision() and rounded:
            self._increase_precision()
            return True
        gap, bound = self._certified_gaps(decrement)
        done = gap <= self.tol
        members.certified_at = np.where(estimate <= self.tol, np.maximum(estimate, TINY), members.certified_at)
        rounded = not self.method.keeps_signs and bool((estimate <= ROUNDED_RATIO * self.tol)[~done].any())
        self._record_converged(done, gap, bound)
        self._keep_members(~done)
        if rounded and objective.lacks_precision() and len(members):
            self._increase_precision()
        return True

    def _record_converged(self, which: BoolArray, gap: Float64Array, bound: list[str]) -> None:
        """Record members whose gap is below the tolerance, by a proof or by an estimate alone."""
        value = self._value()
        estimated = np.array([self.certify and name == "estimate" for name in bound])
        self.members.record(which & ~estimated, Status.CONVERGED, value=value, gap=gap, bound=bound)
        self.members.record(which & estimated, Status.UNCERTIFIED, value=value, gap=gap, bound=bound)

    def _certified_gaps(self, decrement: Float64Array, last: bool = False) -> tuple[Float64Array, list[str]]:
        """Return certified gaps (m,) at parameters whose bias is balanced, and the name of each proof.

        Without a penalty and without Newton's bound there is no proof, and the gap is half the squared decrement (m,).

        Returns
        -------
        gap : Float64Array
            Gaps (m,) in nats.
        bound : list of str
            Name of each proof, "estimate" without one.
        """
        objective, members, method = self.objective, self.members, self.method
        if objective.rows.reduced_precision:
            self._increase_precision()
        balanced = certificate.balance(objective, members.theta)
        members.theta, members.loss, members.gradient = balanced.theta, balanced.loss, balanced.gradient
        gap = certificate.dual_gap(objective, members.theta, members.loss, members.gradient)
        gap = np.where(balanced.imbalance <= certificate.BALANCED, gap, np.inf)
        bound = ["duality" if np.isfinite(g) else "estimate" for g in gap]
        if method.has_certificate and (gap > self.tol).any():
            method.direction(objective, members.theta, members.gradient)
            by_decrement = method.decrement_bound(objective, members.gradient)
            bound = ["self-concordance" if o < g else b for o, g, b in zip(by_decrement, gap, bound, strict=True)]
            gap = np.minimum(gap, by_decrement)
        unproved = np.isinf(gap) & self._unpenalised()
        unproved &= last or not method.has_certificate  # Newton's proof comes a step or two later
        return np.where(unproved, decrement, gap), bound

    def _keep_members(self, keep: BoolArray) -> bool:
        """Drop the members not marked in `keep` (m,); return whether there were any."""
        return self.members.drop(keep)

    def _stop(self, status: Status, decrement: Float64Array) -> bool:
        """Record all members with this status where their gap is above the tolerance; return False."""
        if self.certify:
            with self.objective.meter.certificate():
                gap, bound = self._certified_gaps(decrement, last=True)
        else:
            gap, bound = decrement, ["estimate"] * len(self.members)
        done = gap <= self.tol
        self._record_converged(done, gap, bound)
        self.members.record(~done, status, value=self._value(), gap=gap, bound=bound)
        self._report(gap)
        return False

    def _report(self, gap: Float64Array) -> None:
        """Add an entry to the history and call `on_progress`."""
        finite = gap[np.isfinite(gap)]
        progress = Progress(
            self.objective.passes,
            float(self._value().max()),
            float(finite.max()) if len(finite) else float("inf"),
            perf_counter() - self.start_time,
            self.objective.rows_read,
        )
        self.members.results.history.append(progress)
        if self.on_progress is not None:
            self.on_progress(progress)
