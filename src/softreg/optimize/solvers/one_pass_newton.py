"""Newton's method with one pass over the rows per step, for few parameters and a strictly convex penalty.

A pass gives the mean loss, its gradient and, where it is wanted, the Hessian. Full steps are tried as they are; a
shorter one takes a further pass, which never happens near the optimum. Where the gap is small, a Hessian is used for
several steps: each then costs a gradient alone and still shrinks the gap by a large factor. The same is true of the
Hessian of a large sample, so tall data need no Hessian of all rows.

What the method cannot solve (rounding errors, diverging weights, a Hessian that is not definite) is left to `Descent`,
which starts from the parameters reached.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from time import perf_counter

import numpy as np

from softreg.linalg import TINY, solve_factored
from softreg.optimize.certificate import duality as certificate
from softreg.optimize.certificate.self_concordance import decrement_gaps
from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.objective.evaluation import PassEvaluator
from softreg.optimize.objective.hessian import contrasts
from softreg.optimize.objective.reduction_work import cholesky_operations
from softreg.optimize.problem.result import Progress, Status
from softreg.optimize.solvers.lbfgs_memory import PairMemory, dot, two_loop_recursion
from softreg.optimize.solvers.newton import factor_hessian
from softreg.optimize.solvers.stack_members import Members, StackResult, largest, smallest
from softreg.typing import BoolArray, Float64Array, FloatArray

TARGET_GAP, TARGET_SHARE = 1e-13, 1e-7
"""Gap in nats, and the same as a share of the tolerance, down to which steps are taken even where the tolerance is
wider, because it costs a step or two."""
REUSE_GAP, REUSE_GAP_FEW_ROWS = 1e-4, 1e-7
"""Gaps in nats below which a Hessian is used for the next steps, too; the second if rows are so few that a Hessian
costs little."""
QUADRATIC_RATE = 16
"""After a step with a new Hessian, a small gap g is about `4 g^2`; this is four times that, to be safe."""
FLOAT64_SOFTMAX_GAP = 1e-9
"""Gap in nats from which the softmax of float32 rows is computed in float64: the next pass may be the last."""
SHRINK = 1 / 8
"""A reused Hessian is computed again when a step does not shrink the gap to this part."""
DECREASE = 1e-4
"""Sufficient-decrease constant of the Armijo condition."""
BALANCED = 1e-10
"""Largest difference between mean prediction and class rate at which float64 rows are certified."""
MAX_STEPS = 40
"""Steps after which the problem is left to `Descent`."""
MAX_HALVINGS = 6
"""Step lengths that are tried in one step."""
SHORTEST_CUT, LONGEST_CUT = 0.1, 0.5
"""A step that does not decrease the objective enough is cut to a part between these."""
MIN_COSINE = 1e-10
"""Cosine between a step and the change of the gradient below which the pair is rounding, not curvature."""
NOISE_FLOAT32, NOISE_FLOAT64 = 1e-7, 1e-14
"""Relative rounding error of the objective for rows in either precision."""
MIN_VALUE_SCALE = 1e-3
"""Objective in nats below which rounding errors are taken relative to this value."""
STALL_RATIO = 4
"""The estimate has stalled when a step does not shrink it by this factor, and its gap may be proved at once."""
NO_PROGRESS = 0.9
"""Rounding errors decide where a step does not shrink an estimate within the tolerance to this part."""


def target_gap(tol: float) -> float:
    """Return the gap in nats down to which Newton steps are taken for a tolerance."""
    return min(tol, max(TARGET_GAP, TARGET_SHARE * tol))


@dataclass
class NewtonMembers(Members):
    """The unfinished members at their current iterates, with the next direction."""

    value: Float64Array
    """Objective (m,)."""
    hessian: Float64Array | None
    """Hessians (m, p, p) at `theta`; None where the pass gave none."""
    factors: list[FloatArray]
    """Cholesky factor (p, p) of a Hessian of each member, at `theta` or before."""
    D: FloatArray
    """Newton's direction (m, q, d + 1)."""
    slope: Float64Array
    """Derivative (m,) of the objective along D."""
    estimate: Float64Array
    """Half the squared Newton decrement (m,), an estimate of the gap."""
    last_estimate: Float64Array
    """The same before the last step; inf at the start."""


@dataclass(frozen=True)
class ApproximateOptimum:
    """Parameters near the optimum without a proof, and factors of the Hessians near there."""

    theta: FloatArray
    factors: list[FloatArray]


class OnePassNewton:
    """One run of Newton's method over a stack.

    `run` returns the results, or None where the method ends before the optimum; `current_theta` then says how far it
    came.
    """

    def __init__(
        self,
        objective: Objective,
        theta: FloatArray,
        *,
        tol: float,
        max_iter: int,
        factors: Sequence[FloatArray] | None = None,
        on_progress: Callable[[Progress], object] | None = None,
    ) -> None:
        self.objective = objective
        theta = theta - theta.mean(axis=1, keepdims=True)
        theta[..., :-1][..., objective.coordinates.constant] = 0.0
        if not objective.fit_intercept:
            theta[..., -1] = 0.0
        self.tol, self.target_gap, self.max_iter = tol, target_gap(tol), max_iter
        self.on_progress, self.start_time = on_progress, perf_counter()
        self.penalty = objective.penalty
        self.single = objective.rows.dtype != np.float64
        self.evaluator = PassEvaluator(objective)
        self.memory = PairMemory()
        """Correction pairs since the Hessian in use was computed."""
        self.fresh = False
        """Whether the factors are those of the Hessian at the current parameters."""
        now = self.evaluator.read(theta, factors is None, careful=False)
        unknown = np.full(objective.m, np.inf)
        self.members = NewtonMembers(
            objective,
            (self.memory,),
            StackResult.unfinished(theta),
            theta=theta,
            gradient=now.G,
            value=now.value,
            hessian=now.H,
            factors=list(factors or []),
            D=np.zeros_like(theta),
            slope=-unknown,
            estimate=unknown,
            last_estimate=unknown,
        )

    # --- the loop -----------------------------------------------------------------------------------------------

    def run(self) -> StackResult | None:
        """Return the results with proved gaps, or None where the method ends before."""
        members = self.members
        for _ in range(min(MAX_STEPS, self.max_iter) + 1):
            if not self._compute_direction() or not self._drop_certified():
                return None
            if not len(members):
                return members.results
            if largest(members.n_iter) >= self.max_iter or not self._step():
                return None
        return None

    def approach(self, gap: float) -> ApproximateOptimum | None:
        """Return parameters about `gap` nats or less above the minimum, without a proof; None where it fails."""
        members = self.members
        for _ in range(MAX_STEPS):
            if not self._compute_direction():
                return None
            if (np.minimum(members.estimate, QUADRATIC_RATE * members.estimate**2) <= gap).all():
                return ApproximateOptimum(members.theta + members.D, members.factors)
            if not self._step():
                return None
        return None

    def current_theta(self) -> FloatArray:
        """Return the parameters (m, q, d + 1) of all models, finished ones among them."""
        return self.members.current_theta()

    def _compute_direction(self) -> bool:
        """Compute Newton's direction of each member and the estimated gap; return whether that succeeded."""
        with self.objective.meter.curvature():
            if not self._set_direction():
                return False
        self._report()
        return all(map(isfinite, self.members.estimate.tolist()))

    def _set_direction(self) -> bool:
        """Set direction, slope and estimate of the members; return False where a Hessian is not definite."""
        members = self.members
        if members.hessian is not None:
            factors = [factor_hessian(H) for H in members.hessian]
            self.objective.meter.count(0.0, len(factors) * cholesky_operations(members.hessian.shape[1]))
            if not all(factor.exact for factor in factors):
                return False
            members.factors, self.fresh = [factor.L for factor in factors], True
            self.memory.clear()
        pairs, G = self.memory.pairs, members.gradient
        members.D = -(two_loop_recursion(G, pairs, self._inverse) if pairs else self._inverse(G))
        members.slope = dot(G, members.D)
        members.estimate = -members.slope / 2
        if self.single and (members.estimate <= self.target_gap).all():
            self._restrict_to_bias()
        return True

    def _inverse(self, G: FloatArray) -> FloatArray:
        """Return the inverse Hessians times G, in the space of contrasts."""
        T = contrasts(self.objective.q)
        reduced = T.T @ G
        for L, g in zip(self.members.factors, reduced, strict=True):
            g[:] = solve_factored(L, g.ravel()).reshape(g.shape)
        return np.asarray(T @ reduced)

    def _restrict_to_bias(self) -> None:
        """Replace the direction by that of the bias alone.

        float32 weights cannot follow steps that are finer, and the bias is added in float64.
        """
        members, T = self.members, contrasts(self.objective.q)
        members.D = np.zeros_like(members.D)
        size = members.theta.shape[2]
        for j, L in enumerate(members.factors):
            bias = L[size - 1 :: size]
            members.D[j, :, -1] = -T @ np.linalg.solve(bias @ bias.T, T.T @ members.gradient[j, :, -1])

    def _evaluate(self, with_hessian: bool) -> None:
        """Evaluate the objective at the current parameters by a pass, with the softmax in float64."""
        members = self.members
        now = self.evaluator.read(members.theta, with_hessian)
        members.value, members.gradient, members.hessian = now.value, now.G, now.H

    def _step(self) -> bool:
        """Take a step that decreases the objective of each member; return False where there is none."""
        members = self.members
        estimate = members.estimate
        if not self.fresh and (estimate > np.maximum(SHRINK * members.last_estimate, self.target_gap)).any():
            self._evaluate(with_hessian=True)
            members.last_estimate = np.full_like(estimate, np.inf)
            return True
        members.last_estimate = estimate
        reuse_gap = REUSE_GAP_FEW_ROWS if self.evaluator.small else REUSE_GAP
        with_hessian = self.fresh and largest(estimate) > reuse_gap
        noise = (NOISE_FLOAT32 if self.single else NOISE_FLOAT64) * np.maximum(MIN_VALUE_SCALE, np.abs(members.value))
        careful, t = smallest(estimate) <= FLOAT64_SOFTMAX_GAP, np.ones(len(estimate))
        for _ in range(MAX_HALVINGS):
            theta = members.theta + t[:, None, None] * members.D
            following = self.evaluator.read(theta, with_hessian, careful)
            change = following.value - members.value
            too_long = ~(change <= DECREASE * t * members.slope + noise)
            if not too_long.any():
                if not with_hessian:  # correction pairs improve a reused Hessian, as in L-BFGS
                    self.memory.add(theta - members.theta, following.G - members.gradient, MIN_COSINE)
                members.theta, self.fresh = theta, with_hessian
                members.value, members.gradient, members.hessian = following.value, following.G, following.H
                members.count_iteration()
                return True
            parabola = -members.slope * t * t / (2 * np.maximum(change - t * members.slope, TINY))  # its minimum
            cut = np.clip(np.nan_to_num(parabola), SHORTEST_CUT * t, LONGEST_CUT * t)
            t = np.where(too_long, cut, t)
        return False

    def _report(self) -> None:
        """Add an entry to the history and call `on_progress`."""
        progress = Progress(
            self.objective.passes,
            largest(self.members.value),
            largest(self.members.estimate),
            perf_counter() - self.start_time,
            self.objective.rows_read,
        )
        self.members.results.history.append(progress)
        if self.on_progress is not None:
            self.on_progress(progress)

    # --- the certificate ----------------------------------------------------------------------------------------

    def _drop_certified(self) -> bool:
        """Drop members whose gap is proved; return False where a proof is due and this method has none."""
        members = self.members
        estimate = members.estimate
        if smallest(estimate) > self.tol:
            return True
        stalled = (estimate <= self.tol) & (estimate > members.last_estimate / STALL_RATIO)
        stalled &= estimate > self.target_gap
        due = (estimate <= self.target_gap) | stalled
        if not due.any():
            return True
        with self.objective.meter.certificate():
            return self._drop_proved(due, stalled)

    def _drop_proved(self, due: BoolArray, stalled: BoolArray) -> bool:
        """Drop those of the members that are due whose gap is proved; return False where one stalled without."""
        members = self.members
        gap = certificate.dual_estimate(self.objective, members.theta, members.gradient)
        imbalance = np.abs(members.gradient[..., -1]).max(axis=1)
        balanced = imbalance <= (certificate.BALANCED if self.single else BALANCED)
        gap, bound = np.where(balanced, gap, np.inf), ["duality"] * len(gap)
        if (due & balanced & ~(gap <= self.tol)).any():
            by_decrement = self._decrement_gaps()
            bound = ["self-concordance" if o < g else "duality" for o, g in zip(by_decrement, gap, strict=True)]
            gap = np.minimum(gap, by_decrement)
        proved = due & (gap <= self.tol)
        if (stalled & ~proved & (members.estimate > NO_PROGRESS * members.last_estimate)).any():
            return False
        members.record(proved, Status.CONVERGED, value=members.value, gap=gap, bound=bound)
        members.drop(~proved)
        return True

    def _decrement_gaps(self) -> Float64Array:
        """Return gaps (m,) proved by the Newton decrement, from the exact Hessian at the current parameters."""
        unproved = np.full(len(self.members), np.inf)
        if self.single:
            return unproved
        if not self.fresh:
            self._evaluate(with_hessian=True)
            if not self._compute_direction():
                return unproved
        return decrement_gaps(self.objective, self.members.factors, -self.members.slope)
