"""Proximal Newton steps with the exact Hessian, and their certificate, for fits with an l1 part.

Each step minimises the quadratic model of the loss plus the penalty, exactly, by an active set of weights and their
signs (Lee, Battle, Raina and Ng 2007, Efficient sparse coding algorithms). It is for fits that stall: without a bias,
on columns of very different scale, or with an l1 part so small that duality cannot prove them.

The proof: let e be the gradient of the smooth part plus the nearest subgradient of the l1 part. For any v

    F(theta + v) >= F(theta) + <e, v> + loss terms of at least psi(||v||_H),

so the part of e that the rows see is bounded by its Newton decrement as in `newton.py`. What they do not see (a shift
that is common to all classes, a combination of columns) is rounding, and bounded by the size of the optimum: there
`hold |w|` is no more than F(theta) in all.
"""

from __future__ import annotations

import numpy as np

from softreg.linalg import TINY, solve_factored
from softreg.optimize.certificate.self_concordance import self_concordant_gap
from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.objective.column_reductions import ColumnCrossProducts, MemberLossGradient
from softreg.optimize.objective.hessian import contrasts
from softreg.optimize.problem.penalty_protocol import Penalty, Trait
from softreg.optimize.problem.result import Status
from softreg.optimize.problem.standardization import Coordinates
from softreg.optimize.solvers.final_newton import DECREASE, FinalNewton, Point, Proof, affordable
from softreg.optimize.solvers.newton import factor_hessian
from softreg.optimize.solvers.stack_members import StackResult
from softreg.rows import Array, Rows

MOST_WEIGHTS = 1000
"""Up to so many parameters, q x (d + 1), these steps are taken: a step factors matrices of that size many times."""
FLAT = 1e-12
"""The part of the diagonal that is added to a Hessian for a step: directions that the rows do not see bend nothing."""
SLOW_ITERATIONS = 300
"""Iterations after which a fit with an l1 part that has reached `max_iter` is continued by proximal Newton steps:
descent converges slowly for columns of very different scale without a bias."""
STEPS = 60
ROUNDING, LEVEL = 1e-13, 5
"""Two values closer than this part of them cannot be told apart; so many steps that promise less are taken unseen."""
LARGEST_KINK = 1e200
"""Coefficients of |u| in the solver's coordinates are no larger, so that tiny columns do not overflow."""
MAX_STEP_LENGTHS = 30
"""Step lengths that are tried."""
MIN_VALUE_SCALE = 1e-3
"""Objective in nats below which rounding errors are taken relative to this value."""
ROUNDS_PER_VARIABLE, ROUNDS = 6, 20
"""Rounds of the active-set method, for each variable and in addition."""
SETTLED, CROSSED, OPTIMAL = 1e-13, 1e-15, 1e-12
"""Relative tolerances of that method: of a change, of a value that has crossed 0, and of a gradient at 0."""


class FinalProximal(FinalNewton):
    """One model of a stack with an l1 part; `penalty` is that of this model alone."""

    def __init__(
        self, rows: Rows, coordinates: Coordinates, q: int, member: int, penalty: Penalty, fit_intercept: bool
    ) -> None:
        super().__init__(rows, coordinates, q, member, np.zeros(rows.d), fit_intercept)
        self.ridge = np.append(penalty.quadratic_diagonal(coordinates.scale)[0], 0.0)
        self.hold = np.append(np.minimum(penalty.kink(coordinates.scale)[0], LARGEST_KINK), 0.0)
        self.S = self._seen()
        self.A = np.kron(contrasts(q).T, self.S.T)
        """From parameters (q (d + 1),) to those of the basis."""

    def _seen(self) -> Array:
        """S (d + 1, r) with `z = S y` for all rows."""
        return np.asarray(self.rows.sum(ColumnCrossProducts(self.columns, self.member, self.T))[0] / self.mass)

    def at(self, theta: Array, before: Array | None = None) -> Point:
        """Return the objective and the gradient (q, d + 1) of loss and l2 part by one pass."""
        value, G = self.rows.sum(MemberLossGradient(self.columns, self.member, theta))
        pull = self.ridge * theta
        penalty = float((pull * theta).sum()) / 2 + float((self.hold * np.abs(theta)).sum())
        return Point(theta, float(value) / self.mass + penalty, G / self.mass + pull, 0.0)

    def run(self, theta: Array, tol: float) -> Proof:
        """Take steps from `theta` until the gap is certified to be at most `tol` or the objective stops decreasing."""
        theta = theta.copy()
        theta[:, :-1][:, self.coordinates.constant] = 0.0
        here, steps, level = self.at(theta), 0, 0
        best = Proof(theta, here.value, np.inf, False, 0)
        while self.hessians < STEPS and self.share == 1.0 and len(self.T):
            H = self.hessian(here.theta)
            factor = factor_hessian(H)
            gap = self._gap(here, factor.L) if factor.exact else np.inf
            best = Proof(here.theta, here.value, gap, bool(np.isfinite(gap)), steps)
            if gap <= tol:
                return best
            there = self._proximal(here, H)
            level += there is not None and there.value >= here.value
            if there is None or level > LEVEL:
                return best
            here, steps = there, steps + 1
        return best

    def _gap(self, here: Point, L: Array) -> float:
        """Return the certified gap from a factor of the Hessian in the basis."""
        theta, C = here.theta, contrasts(self.q)
        side = np.where(theta != 0, np.sign(theta) * self.hold, np.clip(-here.G, -self.hold, self.hold))
        e = here.G + side
        e[:, -1] -= e[:, -1].mean()  # a common shift of the bias changes nothing
        E = C.T @ e @ self.T.T
        unseen = (e - C @ E @ self.S.T)[:, :-1]
        square = float(E.ravel() @ solve_factored(L, E.ravel()))
        proved = self_concordant_gap(np.sqrt(max(0.0, square)), self._leverage(L))
        with np.errstate(all="ignore"):
            far = np.where(unseen != 0, np.abs(unseen) / self.hold[:-1], 0.0).max(initial=0.0)
        return proved + float((np.abs(unseen) * np.abs(theta[:, :-1])).sum()) + here.value * float(far)

    def _proximal(self, here: Point, H: Array) -> Point | None:
        """Return the next point; None if none is lower."""
        shape, hold = here.theta.shape, np.tile(self.hold, self.q)
        full = self.A.T @ H @ self.A
        index = np.arange(len(full))
        full[index, index] = (full[index, index] + np.tile(self.ridge, self.q)) * (1 + FLAT)
        free = np.tile(np.append(~self.coordinates.constant, self.fit_intercept), self.q)
        start, linear = here.theta.ravel()[free], here.G.ravel()[free]
        Q = full[np.ix_(free, free)]
        end = np.zeros(len(free))
        end[free] = least(Q, linear - Q @ start, hold[free], start)
        D = end.reshape(shape) - here.theta
        fall = float((here.G * D).sum() + (self.hold * (np.abs(here.theta + D) - np.abs(here.theta))).sum())
        if not fall < 0:
            return None
        t, noise = 1.0, ROUNDING * max(MIN_VALUE_SCALE, abs(here.value))
        for _ in range(MAX_STEP_LENGTHS):
            there = self.at(end.reshape(shape) if t == 1.0 else here.theta + t * D)
            small = -fall < noise and t == 1.0 and there.value <= here.value + noise
            if small or (there.value <= here.value + DECREASE * t * fall and there.value < here.value):
                return there
            t /= 2
        return None


def least(Q: Array, c: Array, hold: Array, x: Array) -> Array:
    """Return the minimiser of `c x + x Q x / 2 + hold |x|` for a positive definite Q, starting at x.

    Parameters
    ----------
    Q : array of shape (k, k)
        Positive definite matrix.
    c, hold : array of shape (k,)
        Linear term, and coefficients of |x|.
    x : array of shape (k,)
        Start.

    Returns
    -------
    array of shape (k,)
        The minimiser.

    Examples
    --------
    >>> least(np.eye(2), np.array([-3.0, 0.5]), np.ones(2), np.zeros(2))
    array([2., 0.])
    """
    x, size = x.copy(), np.sqrt(np.maximum(np.diag(Q), TINY))
    side = np.sign(x)
    for _ in range(ROUNDS_PER_VARIABLE * len(x) + ROUNDS):
        g = Q @ x + c
        active = (side != 0) | (hold == 0)
        if active.any():
            F = np.flatnonzero(active)
            change = factor_hessian(Q[np.ix_(F, F)]).solve(-(g[F] + hold[F] * side[F]))
            if (np.abs(change) * size[F]).max() > SETTLED * (1 + (np.abs(x[F]) * size[F]).max()):
                t = _lowest(Q, g, hold, x, F, change)
                moved = x[F] + t * change
                crossed = (hold[F] > 0) & (moved * side[F] <= CROSSED * np.abs(t * change))
                x[F] = np.where(crossed, 0.0, moved)
                side = np.where(hold > 0, np.sign(x), 0.0)
                if t < 1.0 or crossed.any():
                    continue
                g = Q @ x + c
        over = np.where((x == 0) & (hold > 0), (np.abs(g) - hold * (1 + OPTIMAL)) / size, 0.0)
        j = int(over.argmax())
        if not over[j] > 0:
            break
        side = np.where(hold > 0, np.sign(x), 0.0)
        side[j] = -np.sign(g[j])
    return x


def _lowest(Q: Array, g: Array, hold: Array, x: Array, F: Array, change: Array) -> float:
    """Return the best step length among those at which a weight crosses 0 and the full step."""
    with np.errstate(all="ignore"):
        t = -x[F] / change
    t = np.append(t[(t > 0) & (t < 1) & (hold[F] > 0)], 1.0)
    bend, slope = float(change @ Q[np.ix_(F, F)] @ change), float(g[F] @ change)
    kinks = np.abs(x[F] + t[:, None] * change) @ hold[F]
    return float(t[(slope * t + bend * t**2 / 2 + kinks).argmin()])


def certify(objective: Objective, penalty: Penalty, outcome: StackResult, tol: float) -> None:
    """Certify the gaps of models that ended without a proof by exact Newton steps, and update `outcome`.

    Models with separated classes or too many parameters for an exact Hessian are skipped, and models that have reached
    `max_iter` (see `SLOW_ITERATIONS` for the exception).

    Parameters
    ----------
    objective : Objective
        Rows and coordinates.
    penalty : Penalty
        The penalty of the whole stack.
    outcome : StackResult
        The results to update.
    tol : float
        Nats.
    """
    for j, status in enumerate(outcome.status):
        slow = (
            status is Status.STOPPED and outcome.n_iter[j] >= SLOW_ITERATIONS and penalty.keep(np.array([j])).has_kink
        )
        if status not in (Status.UNCERTIFIED, Status.STALLED) and not slow:
            continue
        last = _last(objective, penalty.keep(np.array([j])), j)
        if last is None:
            continue
        found = last.run(outcome.theta[j], tol)
        objective.half_passes += 2 * last.hessians + found.steps
        proved = found.certified and found.gap <= tol
        if not proved and not found.value <= outcome.value[j]:
            continue
        outcome.theta[j], outcome.value[j] = found.theta, found.value
        outcome.n_iter[j] += found.steps
        guess = outcome.bound[j] == "estimate"
        if found.certified and (proved or guess or found.gap < outcome.gap[j]):
            outcome.gap[j], outcome.bound[j] = found.gap, "self-concordance"
        elif guess and np.isfinite(found.gap):
            outcome.gap[j] = found.gap
        if proved:
            outcome.status[j] = Status.CONVERGED
        elif slow:
            outcome.status[j] = Status.STALLED


def _last(objective: Objective, penalty: Penalty, member: int) -> FinalNewton | None:
    """Return the Newton method for this model; None if it has too many parameters or no method fits its penalty."""
    d, q = objective.rows.d, objective.q
    terms = (objective.rows, objective.coordinates, q, member)
    if penalty.is_smooth:
        quadratic = penalty.quadratic_diagonal(objective.coordinates.scale)[0]
        return FinalNewton(*terms, quadratic, objective.fit_intercept) if affordable(objective.rows, q) else None
    small = Trait.SEPARABLE in penalty.traits and penalty.support is None and q * (d + 1) <= MOST_WEIGHTS
    return FinalProximal(*terms, penalty, objective.fit_intercept) if small else None
