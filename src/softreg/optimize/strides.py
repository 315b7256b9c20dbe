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
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from softreg.optimize import certificate
from softreg.optimize.descent import Outcome
from softreg.optimize.hessian import Columns, assemble, contrasts, pair_sums
from softreg.optimize.newton import factorised, proved_by_decrement, solved
from softreg.optimize.objective import Objective
from softreg.optimize.solution import Progress, Status
from softreg.probability import blocks as loss
from softreg.rows import Array, Block, Sums

GOAL = 1e-13
"""A gap worth reaching even where the tolerance is wider, because it costs a step or two."""
NEAR = 1e-5
"""Below this gap a Hessian serves for the next steps as well: it then changes by less than a hundredth a step."""
SHRINK = 1 / 30
"""An old Hessian is given up when a step does not shrink the gap to this part."""
DECREASE = 1e-4
"""A step must gain at least this share of what the slope promises."""
EVEN = 1e-10
"""Mean prediction and class rates differ by no more at the end, so that predictions are that exact as well."""
STEPS = 40
"""After so many steps something is wrong with the problem, and `Descent` looks into it."""


@dataclass(frozen=True)
class Reading:
    """Mean loss (m,), gradient of loss and l2 part (m, q, d + 1), Hessians (m, p, p) or None."""

    loss: Array
    G: Array
    H: Array | None


class Strides:
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
        self.tol, self.goal, self.max_iter = tol, min(tol, GOAL), max_iter
        self.on_progress, self.began = on_progress, perf_counter()
        self.penalty = objective.penalty
        self.columns = Columns(objective, objective.rows.dtype)
        self.factors, self.fresh = factors, False
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
        self.now = self.read(self.theta, factors is None)

    # --- reading the rows ---------------------------------------------------------------------------------------

    def read(self, theta: Array, curved: bool) -> Reading:
        """Loss, gradient and, where `curved`, the Hessian at `theta` from one reading of the rows."""
        objective, small = self.objective, self.columns.keeps(self.objective.rows)
        objective.half_passes += 3 if curved else 2
        W, b = objective.coordinates.to_stored(theta)
        flat = theta.reshape(-1, theta.shape[2]) if small else objective.rows.prepare(W.reshape(b.size, -1))

        def part(block: Block) -> Sums:
            V = objective.weights(block)
            ((_, Z),) = self.columns.runs(block) if small else ((None, None),)
            o = flat @ Z if small else block.times(flat) + b.reshape(-1, 1)  # the bias in float64, for the certificate
            o = o.reshape(*b.shape, -1)
            P, log_mass = loss.probabilities(o)
            value = loss.weigh(log_mass - loss.given(o, block.labels), V)
            bends = (pair_sums(self.columns, block, P, V),) if curved else ()
            R = loss.residual(P, block.labels, V)
            rows = R.reshape(b.size, -1)
            G = rows @ Z.T if small else block.transposed_times(rows.astype(objective.rows.dtype, copy=False))
            return value, G, R.sum(axis=2), *bends

        value, G, r, *bends = objective.rows.sum(part)
        if small:
            G = G.reshape(theta.shape)
        else:
            G = objective.coordinates.gradient(np.ascontiguousarray(G).reshape(W.shape), r)
            G = np.concatenate([G, r[..., None] if objective.fit_intercept else np.zeros((*r.shape, 1))], axis=2)
        G /= objective.mass[:, None, None]
        G += objective.ridge[:, None, :] * theta
        return Reading(value / objective.mass, G, assemble(objective, bends[0]) if curved else None)

    # --- the loop -----------------------------------------------------------------------------------------------

    def run(self) -> Outcome | None:
        """On to the proved optimum of each model; None where this method comes to its end before."""
        for _ in range(min(STEPS, self.max_iter) + 1):
            estimate = self._aim()
            if estimate is None or self._settle(estimate) is None:
                return None
            if self.objective.m == 0:
                return self.out
            keep = np.isin(self.aimed, self.objective.members)
            if self.out.n_iter[self.objective.members].max() >= self.max_iter or not self._step(estimate[keep]):
                return None
        return None

    def approach(self, gap: float) -> tuple[Array, list[Array]] | None:
        """Parameters about `gap` or less above the minimum, with factors of the Hessian near there; no proof."""
        for _ in range(STEPS):
            estimate = self._aim()
            if estimate is None:
                return None
            if (estimate <= gap).all():
                return self.theta + self.D, self.factors or []  # the step at hand squares the gap
            if not self._step(estimate):
                return None
        return None

    def reached(self) -> Array:
        """The parameters (m, q, d + 1) of all models, those that left the stack among them."""
        theta = self.out.theta.copy()
        theta[self.objective.members] = self.theta
        return theta

    def _aim(self) -> Array | None:
        """Newton's direction for each model, and half the squared decrement: an estimate of the gap (m,)."""
        if self.now.H is not None:
            found = [factorised(H) for H in self.now.H]
            if not all(exact for _, exact in found):
                return None
            self.factors, self.fresh = [L for L, _ in found], True
        assert self.factors is not None
        T = contrasts(self.objective.q)
        g = np.matmul(T.T, self.now.G)
        d = np.stack([solved(L, gradient.ravel()) for L, gradient in zip(self.factors, g, strict=True)])
        self.slope = -np.einsum("ma,ma->m", g.reshape(d.shape), d)
        self.D = -np.matmul(T, d.reshape(g.shape))
        self.aimed = self.objective.members
        estimate = -self.slope / 2
        self._report(estimate)
        return estimate if np.isfinite(estimate).all() else None

    def _step(self, estimate: Array) -> bool:
        """A step of each model, as long as it gains; False where none does."""
        if not self.fresh and (estimate > np.maximum(SHRINK * self.before, self.goal)).any():
            self.now, self.before = self.read(self.theta, True), np.full_like(self.before, np.inf)
            return True
        self.before = estimate
        curved = self.fresh and bool((estimate > NEAR).any())
        digits = 1e-7 if self.objective.rows.dtype == np.float32 else 1e-14
        noise = digits * np.maximum(1e-3, np.abs(self.now.loss))
        here, t = self._value(self.theta, self.now), np.ones(len(estimate))
        for _ in range(6):
            theta = self.theta + t[:, None, None] * self.D
            there = self.read(theta, curved)
            change = self._value(theta, there) - here
            short = ~(change <= DECREASE * t * self.slope + noise)
            if not short.any():
                self.theta, self.now, self.fresh = theta, there, curved
                self.out.n_iter[self.objective.members] += 1
                return True
            least = -self.slope * t * t / (2 * np.maximum(change - t * self.slope, 1e-300))  # of the parabola
            t = np.where(short, np.clip(np.nan_to_num(least), 0.1 * t, 0.5 * t), t)
        return False

    def _value(self, theta: Array, reading: Reading) -> Array:
        ridge = self.objective.ridge[:, None, :]
        return np.asarray(reading.loss + 0.5 * (ridge * theta * theta).sum(axis=(1, 2)))

    def _report(self, gap: Array) -> None:
        value = float(self._value(self.theta, self.now).max())
        progress = Progress(self.objective.passes, value, float(gap.max()), perf_counter() - self.began)
        self.out.history.append(progress)
        if self.on_progress is not None:
            self.on_progress(progress)

    # --- the certificate ----------------------------------------------------------------------------------------

    def _settle(self, estimate: Array) -> bool | None:
        """Let models leave whose gap is proved; None where a proof is due and this method has none."""
        stalled = (estimate <= self.tol) & (estimate > self.before / 4)
        due = (estimate <= self.goal) | stalled
        if not due.any():
            return False
        gap = certificate.dual_estimate(self.objective, self.theta, self.now.G)
        left = np.abs(self.now.G[..., -1]).max(axis=1)
        single = self.objective.rows.dtype == np.float32
        balanced = left <= (certificate.BALANCED if single else EVEN)
        gap, bound = np.where(balanced, gap, np.inf), np.full(len(gap), "duality", dtype=object)
        if (due & balanced & ~(gap <= self.tol)).any():
            other = self._by_decrement()
            bound[other < gap] = "self-concordance"
            gap = np.minimum(gap, other)
        proved = due & (gap <= self.tol)
        if (stalled & ~proved).any():
            return None
        if proved.any():
            self._leave(proved, gap, bound)
        return True

    def _by_decrement(self) -> Array:
        """Gaps proved by the Newton decrement, from the exact Hessian here."""
        if self.objective.rows.dtype != np.float64:
            return np.full(self.objective.m, np.inf)
        if not self.fresh:
            self.now = self.read(self.theta, True)
            if self._aim() is None:
                return np.full(self.objective.m, np.inf)
        return proved_by_decrement(self.objective, self.factors, -self.slope)

    def _leave(self, which: Array, gap: Array, bound: Array) -> None:
        value, out, keep = self._value(self.theta, self.now), self.out, ~which
        for j in np.flatnonzero(which):
            place = self.objective.members[j]
            out.theta[place], out.status[place] = self.theta[j], Status.CONVERGED
            out.value[place], out.gap[place], out.bound[place] = value[j], gap[j], str(bound[j])
        self.objective.leave(keep)
        now = self.now
        self.now = Reading(now.loss[keep], now.G[keep], None if now.H is None else now.H[keep])
        self.theta, self.D, self.slope, self.before = (
            a[keep] for a in (self.theta, self.D, self.slope, self.before)
        )
        self.factors = [L for L, stays in zip(self.factors or [], keep, strict=True) if stays]
