"""Proximal Newton steps with the exact Hessian, and their certificate, for fits with an l1 part.

Each step minimises the quadratic model of the loss plus the penalty, exactly, by an active set of weights and their
signs. These steps are for fits that stall: without a bias, on columns of very different scale, or with an l1 part so
small that duality cannot certify the gap.

The proof: let e be the gradient of the smooth part plus the nearest subgradient of the l1 part. For any v

    F(theta + v) >= F(theta) + <e, v> + loss terms of at least psi(||v||_H),

so the Newton decrement of the part of e in the range of the Hessian gives the bound of
`certificate/self_concordance.py`. The part in its null space (a shift common to all classes, a combination of columns)
is a rounding error; the size of the optimum bounds it, because the l1 part at the optimum is at most F(theta).

References
----------
Lee, Battle, Raina and Ng (2007), Efficient sparse coding algorithms.
"""

from __future__ import annotations

import numpy as np

from softreg.linalg import TINY, solve_factored
from softreg.optimize.certificate.self_concordance import self_concordant_gap
from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.objective.column_reductions import ColumnCrossProducts, MemberLossGradient
from softreg.optimize.objective.hessian import contrasts
from softreg.optimize.problem.limits import LIMITS, Limits
from softreg.optimize.problem.penalty_protocol import Penalty, Trait
from softreg.optimize.problem.result import Status
from softreg.optimize.problem.standardization import Coordinates
from softreg.optimize.solvers.final_newton import DECREASE, FinalNewton, Point, Proof, affordable
from softreg.optimize.solvers.newton import factor_hessian
from softreg.optimize.solvers.stack_members import StackResult
from softreg.rows import Array, Rows

ADDED_DIAGONAL = 1e-12
"""Part of the diagonal that is added to a Hessian for a step: it is singular in its null space."""
MAX_HESSIANS = 60
"""Largest number of Hessians."""
ROUNDING = 1e-13
"""Relative difference of two values up to which they count as equal."""
MAX_EQUAL_STEPS = 5
"""Largest number of steps that are accepted although the value does not decrease."""
LARGEST_KINK = 1e200
"""Largest coefficient of |u| in the solver's coordinates, so that tiny columns do not overflow."""
MAX_STEP_LENGTHS = 30
"""Largest number of step lengths that are tried."""
MIN_VALUE_SCALE = 1e-3
"""Objective in nats below which rounding errors are relative to this value."""
ROUNDS_PER_VARIABLE, ROUNDS = 6, 20
"""Largest number of rounds of the active-set method: for each variable, and in addition."""
CHANGE_TOLERANCE, ZERO_TOLERANCE, GRADIENT_TOLERANCE = 1e-13, 1e-15, 1e-12
"""Relative tolerances of that method: of a change, of a value that has crossed 0, and of a gradient at 0."""


class FinalProximal(FinalNewton):
    """Proximal Newton steps for one model of a stack with an l1 part; `penalty` is the penalty of this model alone."""

    def __init__(
        self,
        rows: Rows,
        coordinates: Coordinates,
        q: int,
        member: int,
        penalty: Penalty,
        fit_intercept: bool,
        limits: Limits = LIMITS,
    ) -> None:
        super().__init__(rows, coordinates, q, member, np.zeros(rows.d), fit_intercept, limits)
        self.ridge = np.append(penalty.quadratic_diagonal(coordinates.scale)[0], 0.0)
        self.kink = np.append(np.minimum(penalty.kink(coordinates.scale)[0], LARGEST_KINK), 0.0)
        self.S = self._expansion()
        self.A = np.kron(contrasts(q).T, self.S.T)
        """Map of parameters (q (d + 1),) to parameters of the basis."""

    def _expansion(self) -> Array:
        """Return S (d + 1, r) with `z = S y` for all rows."""
        return np.asarray(self.rows.sum(ColumnCrossProducts(self.columns, self.member, self.T))[0] / self.mass)

    def at(self, theta: Array, previous: Array | None = None) -> Point:
        """Return the objective and the gradient (q, d + 1) of loss and l2 part by one pass."""
        value, G = self.rows.sum(MemberLossGradient(self.columns, self.member, theta))
        ridge_gradient = self.ridge * theta
        penalty = float((ridge_gradient * theta).sum()) / 2 + float((self.kink * np.abs(theta)).sum())
        return Point(theta, float(value) / self.mass + penalty, G / self.mass + ridge_gradient, 0.0)

    def run(self, theta: Array, tol: float) -> Proof:
        """Take steps from `theta` until the gap is certified to be at most `tol` or the objective stops decreasing."""
        theta = theta.copy()
        theta[:, :-1][:, self.coordinates.constant] = 0.0
        current, steps, equal_steps = self.at(theta), 0, 0
        proof = Proof(theta, current.value, np.inf, False, 0)
        while self.hessians < MAX_HESSIANS and self.share == 1.0 and len(self.T):
            H = self.hessian(current.theta)
            factor = factor_hessian(H)
            gap = self._gap(current, factor.L) if factor.exact else np.inf
            proof = Proof(current.theta, current.value, gap, bool(np.isfinite(gap)), steps)
            if gap <= tol:
                return proof
            following = self._proximal_step(current, H)
            equal_steps += following is not None and following.value >= current.value
            if following is None or equal_steps > MAX_EQUAL_STEPS:
                return proof
            current, steps = following, steps + 1
        return proof

    def _gap(self, current: Point, L: Array) -> float:
        """Return the certified gap from a factor of the Hessian in the basis."""
        theta, C = current.theta, contrasts(self.q)
        subgradient = np.where(theta != 0, np.sign(theta) * self.kink, np.clip(-current.G, -self.kink, self.kink))
        e = current.G + subgradient
        e[:, -1] -= e[:, -1].mean()  # softmax is invariant to a common shift of the bias
        E = C.T @ e @ self.T.T
        null_part = (e - C @ E @ self.S.T)[:, :-1]
        square = float(E.ravel() @ solve_factored(L, E.ravel()))
        proved = self_concordant_gap(np.sqrt(max(0.0, square)), self._leverage(L))
        with np.errstate(all="ignore"):
            ratio = np.where(null_part != 0, np.abs(null_part) / self.kink[:-1], 0.0).max(initial=0.0)
        return proved + float((np.abs(null_part) * np.abs(theta[:, :-1])).sum()) + current.value * float(ratio)

    def _proximal_step(self, current: Point, H: Array) -> Point | None:
        """Return the next point; None if the objective does not decrease."""
        shape, kink = current.theta.shape, np.tile(self.kink, self.q)
        full = self.A.T @ H @ self.A
        index = np.arange(len(full))
        full[index, index] = (full[index, index] + np.tile(self.ridge, self.q)) * (1 + ADDED_DIAGONAL)
        free = np.tile(np.append(~self.coordinates.constant, self.fit_intercept), self.q)
        start, linear = current.theta.ravel()[free], current.G.ravel()[free]
        Q = full[np.ix_(free, free)]
        end = np.zeros(len(free))
        end[free] = minimise_l1_quadratic(Q, linear - Q @ start, kink[free], start)
        D = end.reshape(shape) - current.theta
        fall = float((current.G * D).sum() + (self.kink * (np.abs(current.theta + D) - np.abs(current.theta))).sum())
        if not fall < 0:
            return None
        t, noise = 1.0, ROUNDING * max(MIN_VALUE_SCALE, abs(current.value))
        for _ in range(MAX_STEP_LENGTHS):
            following = self.at(end.reshape(shape) if t == 1.0 else current.theta + t * D)
            small = -fall < noise and t == 1.0 and following.value <= current.value + noise
            if small or (following.value <= current.value + DECREASE * t * fall and following.value < current.value):
                return following
            t /= 2
        return None


def minimise_l1_quadratic(Q: Array, c: Array, kink: Array, x: Array) -> Array:
    """Return the minimiser of `c x + x Q x / 2 + kink |x|` for a positive definite Q, starting at x.

    Parameters
    ----------
    Q : array of shape (k, k)
        Positive definite matrix.
    c, kink : array of shape (k,)
        Linear term, and coefficients of |x|.
    x : array of shape (k,)
        Start.

    Returns
    -------
    array of shape (k,)
        The minimiser.

    Examples
    --------
    >>> minimise_l1_quadratic(np.eye(2), np.array([-3.0, 0.5]), np.ones(2), np.zeros(2))
    array([2., 0.])
    """
    x, size = x.copy(), np.sqrt(np.maximum(np.diag(Q), TINY))
    sign = np.sign(x)
    for _ in range(ROUNDS_PER_VARIABLE * len(x) + ROUNDS):
        g = Q @ x + c
        active = (sign != 0) | (kink == 0)
        if active.any():
            F = np.flatnonzero(active)
            change = factor_hessian(Q[np.ix_(F, F)]).solve(-(g[F] + kink[F] * sign[F]))
            if (np.abs(change) * size[F]).max() > CHANGE_TOLERANCE * (1 + (np.abs(x[F]) * size[F]).max()):
                t = _best_step(Q, g, kink, x, F, change)
                moved = x[F] + t * change
                crossed = (kink[F] > 0) & (moved * sign[F] <= ZERO_TOLERANCE * np.abs(t * change))
                x[F] = np.where(crossed, 0.0, moved)
                sign = np.where(kink > 0, np.sign(x), 0.0)
                if t < 1.0 or crossed.any():
                    continue
                g = Q @ x + c
        over = np.where((x == 0) & (kink > 0), (np.abs(g) - kink * (1 + GRADIENT_TOLERANCE)) / size, 0.0)
        j = int(over.argmax())
        if not over[j] > 0:
            break
        sign = np.where(kink > 0, np.sign(x), 0.0)
        sign[j] = -np.sign(g[j])
    return x


def _best_step(Q: Array, g: Array, kink: Array, x: Array, F: Array, change: Array) -> float:
    """Return the best step length among those at which a weight crosses 0 and the full step."""
    with np.errstate(all="ignore"):
        t = -x[F] / change
    t = np.append(t[(t > 0) & (t < 1) & (kink[F] > 0)], 1.0)
    bend, slope = float(change @ Q[np.ix_(F, F)] @ change), float(g[F] @ change)
    kinks = np.abs(x[F] + t[:, None] * change) @ kink[F]
    return float(t[(slope * t + bend * t**2 / 2 + kinks).argmin()])


def certify(objective: Objective, penalty: Penalty, outcome: StackResult, tol: float, limits: Limits = LIMITS) -> None:
    """Certify the gaps of models that ended without a proof by exact Newton steps, and update `outcome`.

    Models with separated classes or too many parameters for an exact Hessian are skipped, and models that have reached
    `max_iter` (see `Limits.certify_l1_iterations` for the exception).

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
    limits : Limits
        Thresholds of the exact Hessian.
    """
    for j, status in enumerate(outcome.status):
        if status not in (Status.UNCERTIFIED, Status.STALLED, Status.STOPPED):
            continue
        of_member = penalty.keep(np.array([j]))
        slow = status is Status.STOPPED and outcome.n_iter[j] >= limits.certify_l1_iterations and of_member.has_kink
        if status is Status.STOPPED and not slow:
            continue
        newton = _newton_method(objective, of_member, j, limits)
        if newton is None:
            continue
        proof = newton.run(outcome.theta[j], tol)
        objective.half_passes += 2 * newton.hessians + proof.steps
        proved = proof.certified and proof.gap <= tol
        if not proved and not proof.value <= outcome.value[j]:
            continue
        outcome.theta[j], outcome.value[j] = proof.theta, proof.value
        outcome.n_iter[j] += proof.steps
        estimated = outcome.bound[j] == "estimate"
        if proof.certified and (proved or estimated or proof.gap < outcome.gap[j]):
            outcome.gap[j], outcome.bound[j] = proof.gap, "self-concordance"
        elif estimated and np.isfinite(proof.gap):
            outcome.gap[j] = proof.gap
        if proved:
            outcome.status[j] = Status.CONVERGED
        elif slow:
            outcome.status[j] = Status.STALLED


def _newton_method(objective: Objective, penalty: Penalty, member: int, limits: Limits) -> FinalNewton | None:
    """Return the Newton method for this model; None if it has too many parameters or no method fits its penalty."""
    d, q = objective.rows.d, objective.q
    terms = (objective.rows, objective.coordinates, q, member)
    if penalty.is_smooth:
        quadratic = penalty.quadratic_diagonal(objective.coordinates.scale)[0]
        few = affordable(objective.rows, q, limits)
        return FinalNewton(*terms, quadratic, objective.fit_intercept, limits) if few else None
    small = Trait.SEPARABLE in penalty.traits and penalty.support is None and q * (d + 1) <= limits.certify_l1_weights
    return FinalProximal(*terms, penalty, objective.fit_intercept, limits) if small else None
