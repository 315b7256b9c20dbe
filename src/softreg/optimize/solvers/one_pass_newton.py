"""Newton's method with one reading of the rows a step: for few parameters and a strictly convex penalty.

A reading gives the mean loss, its gradient and, where it is wanted, the Hessian at once. Full steps are tried as they
are; a shorter one is read afresh, which near the optimum never happens. A Hessian serves for several steps where the
gap is small already: each such step costs a gradient alone and still shrinks the gap by a large factor. The same holds
for the Hessian of a large sample, so tall data need no Hessian of their own.

Whatever does not go smoothly (rounding, weights that run away, a Hessian that is not definite) is left to `Descent`,
which starts from where this came to.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

from softreg.linalg import solve_factored
from softreg.optimize.certificate import duality as certificate
from softreg.optimize.certificate.self_concordance import decrement_gaps
from softreg.optimize.objective.cached import Objective
from softreg.optimize.objective.evaluation import Evaluation, PassEvaluator
from softreg.optimize.objective.hessian import contrasts
from softreg.optimize.problem.result import Progress, Status
from softreg.optimize.solvers.lbfgs import MEMORY, dot, recursion
from softreg.optimize.solvers.loop import Outcome
from softreg.optimize.solvers.newton import factor_hessian
from softreg.rows import Array

GOAL = 1e-13
"""A gap worth reaching even where the tolerance is wider, because it costs a step or two."""
NEAR, NEARER = 1e-4, 1e-7
"""Below this gap a Hessian serves for the next steps as well; the second is for so few rows that theirs cost little."""
SQUARED = 16
"""After a step with a Hessian of its own a small gap g is about `4 g^2`; not to hope for too much, four times that."""
CAREFUL = 1e-9
"""From this gap on the softmax of float32 rows is taken in float64: the next reading may be the last."""
SHRINK = 1 / 8
"""An old Hessian is given up when a step does not shrink the gap to this part."""
DECREASE = 1e-4
"""A step must gain at least this share of what the slope promises."""
EVEN = 1e-10
"""Mean prediction and class rates differ by no more at the end, so that predictions are that exact as well."""
STEPS = 40
"""After so many steps something is wrong with the problem, and `Descent` looks into it."""


class OnePassNewton:
    """One run over a stack: `run` gives what became of it, or None where `theta` is as far as this method goes."""

    def __init__(
        self,
        objective: Objective,
        theta: Array,
        *,
        tol: float,
        max_iter: int,
        factors: list[Array] | None = None,
        on_progress: Callable[[Progress], Any] | None = None,
    ) -> None:
        self.objective, self.theta = objective, theta - theta.mean(axis=1, keepdims=True)
        self.theta[..., :-1][..., objective.coordinates.constant] = 0.0
        if not objective.fit_intercept:
            self.theta[..., -1] = 0.0
        self.tol, self.target_gap, self.max_iter = tol, min(tol, GOAL), max_iter
        self.on_progress, self.began = on_progress, perf_counter()
        self.penalty = objective.penalty
        self.factors, self.fresh = factors or [], False
        self.pairs: list[tuple[Array, Array, Array]] = []
        m = objective.m
        self.before = np.full(m, np.inf)
        self.out = Outcome(
            theta=self.theta.copy(),
            value=np.full(m, np.inf),
            gap=np.full(m, np.inf),
            bound=["estimate"] * m,
            status=[Status.STOPPED] * m,
            n_iter=np.zeros(m, dtype=np.int64),
            separation=[None] * m,
        )
        self.single = objective.rows.dtype != np.float64
        self.reader = PassEvaluator(objective)
        self.now = self.reader.read(self.theta, factors is None, careful=False)

    # --- the loop -----------------------------------------------------------------------------------------------

    def run(self) -> Outcome | None:
        """On to the proved optimum of each model; None where this method comes to its end before."""
        for _ in range(min(STEPS, self.max_iter) + 1):
            if not self._aim() or not self._settle():
                return None
            if self.objective.m == 0:
                return self.out
            if self.out.n_iter[self.objective.members].max() >= self.max_iter or not self._step():
                return None
        return None

    def approach(self, gap: float) -> tuple[Array, list[Array]] | None:
        """Parameters about `gap` or less above the minimum, with factors of the Hessian near there; no proof."""
        for _ in range(STEPS):
            if not self._aim():
                return None
            if (np.minimum(self.estimate, SQUARED * self.estimate**2) <= gap).all():
                return self.theta + self.D, self.factors
            if not self._step():
                return None
        return None

    def reached(self) -> Array:
        """The parameters (m, q, d + 1) of all models, those that left the stack among them."""
        theta = self.out.theta.copy()
        theta[self.objective.members] = self.theta
        return theta

    def _aim(self) -> bool:
        """Newton's direction for each model, and half the squared decrement, an estimate of the gap; False where the
        Hessian has no factor or the numbers are not finite."""
        if self.now.H is not None:
            factors = [factor_hessian(H) for H in self.now.H]
            if not all(factor.exact for factor in factors):
                return False
            self.factors, self.fresh = [factor.L for factor in factors], True
            self.pairs = []
        self.D = -(recursion(self.now.G, self.pairs, self._inverse) if self.pairs else self._inverse(self.now.G))
        self.slope = dot(self.now.G, self.D)
        self.estimate = -self.slope / 2
        if self.single and (self.estimate <= self.target_gap).all():
            self._aim_at_balance()
        self._report()
        return bool(np.isfinite(self.estimate).all())

    def _inverse(self, G: Array) -> Array:
        """The inverse Hessians times G, in the space of contrasts."""
        T = contrasts(self.objective.q)
        g = T.T @ G
        d = np.stack([solve_factored(L, of_model.ravel()) for L, of_model in zip(self.factors, g, strict=True)])
        return np.asarray(T @ d.reshape(g.shape))

    def _aim_at_balance(self) -> None:
        """A step of the bias alone: float32 weights cannot follow finer steps, and the bias is added in float64."""
        T, self.D = contrasts(self.objective.q), np.zeros_like(self.D)
        for j, L in enumerate(self.factors):
            bias = L[self.theta.shape[2] - 1 :: self.theta.shape[2]]
            self.D[j, :, -1] = -T @ np.linalg.solve(bias @ bias.T, T.T @ self.now.G[j, :, -1])

    def _step(self) -> bool:
        """A step of each model, as long as it gains; False where none does."""
        estimate = self.estimate
        if not self.fresh and (estimate > np.maximum(SHRINK * self.before, self.target_gap)).any():
            self.now, self.before = self.reader.read(self.theta, True), np.full_like(self.before, np.inf)
            return True
        self.before = estimate
        curved = self.fresh and bool((estimate > (NEARER if self.reader.small else NEAR)).any())
        digits = 1e-7 if self.single else 1e-14
        noise = digits * np.maximum(1e-3, np.abs(self.now.value))
        careful, t = bool((estimate <= CAREFUL).any()), np.ones(len(estimate))
        for _ in range(6):
            theta = self.theta + t[:, None, None] * self.D
            there = self.reader.read(theta, curved, careful)
            change = there.value - self.now.value
            short = ~(change <= DECREASE * t * self.slope + noise)
            if not short.any():
                if not curved:
                    self._learn(theta - self.theta, there.G - self.now.G)
                self.theta, self.now, self.fresh = theta, there, curved
                self.out.n_iter[self.objective.members] += 1
                return True
            least = -self.slope * t * t / (2 * np.maximum(change - t * self.slope, 1e-300))  # of the parabola
            t = np.where(short, np.clip(np.nan_to_num(least), 0.1 * t, 0.5 * t), t)
        return False

    def _learn(self, step: Array, change: Array) -> None:
        """Remember a step and the change of the gradient along it: they mend an old Hessian, as in L-BFGS."""
        sy = dot(step, change)
        size = np.sqrt(dot(step, step) * dot(change, change))
        self.pairs.append((step, change, np.where(sy > 1e-10 * size, sy, 0.0)))
        del self.pairs[:-MEMORY]

    def _report(self) -> None:
        progress = Progress(
            self.objective.passes,
            float(self.now.value.max()),
            float(self.estimate.max()),
            perf_counter() - self.began,
            self.objective.rows_read,
        )
        self.out.history.append(progress)
        if self.on_progress is not None:
            self.on_progress(progress)

    # --- the certificate ----------------------------------------------------------------------------------------

    def _settle(self) -> bool:
        """Let models leave whose gap is proved; False where a proof is due and this method has none."""
        estimate = self.estimate
        stalled = (estimate <= self.tol) & (estimate > self.before / 4) & (estimate > self.target_gap)
        due = (estimate <= self.target_gap) | stalled
        if not due.any():
            return True
        gap = certificate.dual_estimate(self.objective, self.theta, self.now.G)
        left = np.abs(self.now.G[..., -1]).max(axis=1)
        balanced = left <= (certificate.BALANCED if self.single else EVEN)
        gap, bound = np.where(balanced, gap, np.inf), np.full(len(gap), "duality", dtype=object)
        if (due & balanced & ~(gap <= self.tol)).any():
            other = self._by_decrement()
            bound[other < gap] = "self-concordance"
            gap = np.minimum(gap, other)
        proved = due & (gap <= self.tol)
        if (stalled & ~proved).any():
            return False
        if proved.any():
            self._leave(proved, gap, bound)
        return True

    def _by_decrement(self) -> Array:
        """Gaps proved by the Newton decrement, from the exact Hessian here."""
        if self.single:
            return np.full(self.objective.m, np.inf)
        if not self.fresh:
            self.now = self.reader.read(self.theta, True)
            if not self._aim():
                return np.full(self.objective.m, np.inf)
        return decrement_gaps(self.objective, self.factors, -self.slope)

    def _leave(self, which: Array, gap: Array, bound: Array) -> None:
        out, keep = self.out, ~which
        for j in np.flatnonzero(which):
            place = self.objective.members[j]
            out.theta[place], out.status[place] = self.theta[j], Status.CONVERGED
            out.value[place], out.gap[place], out.bound[place] = self.now.value[j], gap[j], str(bound[j])
        self.objective.drop_members(keep)
        now = self.now
        self.now = Evaluation(now.value[keep], now.G[keep], None if now.H is None else now.H[keep])
        self.theta, self.D, self.slope, self.estimate, self.before = (
            a[keep] for a in (self.theta, self.D, self.slope, self.estimate, self.before)
        )
        self.pairs = [(s[keep], y[keep], sy[keep]) for s, y, sy in self.pairs]
        self.factors = [L for L, stays in zip(self.factors, keep, strict=True) if stays]
