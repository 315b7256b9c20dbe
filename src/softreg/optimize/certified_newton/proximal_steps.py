"""Proximal Newton steps with the exact Hessian, and their certificate, for fits with an l1 part or bounds.

Each step minimises the quadratic model of the loss plus the penalty, exactly, by an active set of weights and their
signs (`box_quadratic.py`). These steps are for fits that stall or that duality cannot certify: without a bias, on
columns of very different scale, with an l1 part that is small, or with weights that have no penalty.

The proof: let e be the gradient of the smooth part plus the nearest subgradient of the l1 part and of the bounds (at a
bound, the part of the gradient that pushes against it). For any v that stays within the bounds

    F(theta + v) >= F(theta) + <e, v> + loss terms of at least psi(||v||_H),

so the Newton decrement of the part of e in the range of the Hessian gives the bound of
`certificate/self_concordance.py`. The part in its null space (a shift common to all classes, a combination of columns)
is a rounding error; the size of the optimum bounds it: the penalty there is at most F(theta), and weights are within
their bounds. In a column without penalty a common shift of the classes changes nothing as long as no bound stops it;
then its weights count as unbounded, and the shift is left out.

References
----------
Lee, Battle, Raina and Ng (2007), Efficient sparse coding algorithms.
"""

from __future__ import annotations

import numpy as np

from softreg.linalg import solve_factored
from softreg.optimize.certificate.self_concordance import self_concordant_gap
from softreg.optimize.certified_newton.box_quadratic import Box, minimise_box_quadratic
from softreg.optimize.certified_newton.newton_steps import DECREASE, FinalNewton, Point, Proof, affordable
from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.objective.column_reductions import ColumnCrossProducts, MemberLossGradient
from softreg.optimize.objective.hessian import contrasts
from softreg.optimize.objective.reduction_work import product_operations
from softreg.optimize.problem.limits import LIMITS, Limits
from softreg.optimize.problem.penalty_protocol import Penalty, Trait
from softreg.optimize.problem.quadratic_form import QuadraticForm
from softreg.optimize.problem.result import Status
from softreg.optimize.problem.standardization import Coordinates
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


class FinalProximal(FinalNewton):
    """Proximal Newton steps for one model of a stack with an l1 part, bounds or a quadratic form of all parameters.

    `penalty` is the penalty of this model alone; `form`, in the solver's coordinates, is added to the sum of the losses
    of the rows, as the negative logarithm of a prior is.
    """

    def __init__(
        self,
        rows: Rows,
        coordinates: Coordinates,
        q: int,
        member: int,
        penalty: Penalty,
        fit_intercept: bool,
        limits: Limits = LIMITS,
        form: QuadraticForm | None = None,
    ) -> None:
        super().__init__(rows, coordinates, q, member, np.zeros(rows.d), fit_intercept, limits)
        scale = coordinates.scale
        self.ridge = self._with_bias(penalty.quadratic_diagonal(scale)[0], 0.0)
        self.kink = self._with_bias(np.minimum(penalty.kink(scale)[0], LARGEST_KINK), 0.0)
        lower, upper = (-np.inf, np.inf) if penalty.bounds is None else (bound * scale for bound in penalty.bounds)
        self.low, self.high = self._with_bias(lower, -np.inf), self._with_bias(upper, np.inf)
        self.center = self._with_bias(0.0 if penalty.center is None else penalty.center * scale, 0.0)
        self.form = None if form is None else form.divided(self.mass)
        """Form that is added to the mean loss, or None."""
        self.unpenalised = ((self.ridge == 0) & (self.kink == 0)).all(axis=0)
        """Columns (d + 1,) without a penalty."""
        if self.form is not None:
            self.unpenalised &= self.form.is_invariant()
        self.S = self._expansion()
        self.A = np.kron(contrasts(q).T, self.S.T)
        """Map of parameters (q (d + 1),) to parameters of the basis."""

    def _expansion(self) -> Array:
        """Return S (d + 1, r) with `z = S y` for all rows."""
        with self._reading(2.0 * self.rows.n * len(self.T) * (self.rows.d + 1)):
            return np.asarray(self.rows.sum(ColumnCrossProducts(self.columns, self.member, self.T))[0] / self.mass)

    def _with_bias(self, values: Array | float, bias: float) -> Array:
        """Return values for each weight, (q, d), with those of a bias, (q, d + 1)."""
        of_weights = np.broadcast_to(values, (self.q, self.rows.d))
        return np.concatenate([of_weights, np.full((self.q, 1), bias)], axis=1)

    def at(self, theta: Array, previous: Array | None = None) -> Point:
        """Return the objective and the gradient (q, d + 1) of loss and l2 part by one pass."""
        with self._reading(2 * product_operations(self.sizes, self.q)):
            value, G = self.rows.sum(MemberLossGradient(self.columns, self.member, theta))
        from_center = theta - self.center
        ridge_gradient = self.ridge * from_center
        penalty = float((ridge_gradient * from_center).sum()) / 2 + float((self.kink * np.abs(theta)).sum())
        if self.form is not None:
            penalty, ridge_gradient = penalty + self.form.value(theta), ridge_gradient + self.form.gradient(theta)
        return Point(theta, float(value) / self.mass + penalty, G / self.mass + ridge_gradient, 0.0)

    def run(self, theta: Array, tol: float) -> Proof:
        """Take steps from `theta` until the gap is certified to be at most `tol` or the objective stops decreasing."""
        theta = theta.copy()
        constant = self.coordinates.constant  # the bias takes their place: the penalty alone determines their weights
        theta[:, :-1][:, constant] = np.where(self.ridge > 0, self.center, 0.0)[:, :-1][:, constant]
        theta = np.clip(theta, self.low, self.high)
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
        at_low, at_high = theta <= self.low, theta >= self.high
        invariant = self.unpenalised & ~(at_low.any(axis=0) & at_high.any(axis=0))
        e[((at_low & (e > 0)) | (at_high & (e < 0))) & ~invariant] = 0.0
        e[:, invariant] -= e[:, invariant].mean(axis=0)
        E = C.T @ e @ self.T.T
        square = float(E.ravel() @ solve_factored(L, E.ravel()))
        proved = self_concordant_gap(np.sqrt(max(0.0, square)), self._leverage(L))
        null_part = self._null_part(e, C @ E @ self.S.T) * ~invariant[:-1]
        return proved + self._null_bound(current, null_part)

    def _null_part(self, e: Array, in_range: Array) -> Array:
        """Return the part (q, d) of e in the null space of the Hessian."""
        if len(self.T) == np.count_nonzero(np.append(~self.coordinates.constant, self.fit_intercept)):
            return np.broadcast_to(e.mean(axis=0), e.shape)[:, :-1]  # independent columns: a shift of all classes
        return np.asarray((e - in_range)[:, :-1])

    def _null_bound(self, current: Point, null_part: Array) -> float:
        """Return a bound of `|<null_part, v>|` for the step v from a point to an optimum."""
        kink, size = self.kink[:, :-1], np.abs(null_part)
        with np.errstate(all="ignore"):
            largest = np.maximum(np.abs(self.low), np.abs(self.high))[:, :-1]
            from_center = np.sqrt(2 * current.value / self.ridge[:, :-1])
            by_ridge = np.abs(self.center[:, :-1]) + from_center
            radius = np.minimum(np.minimum(largest, by_ridge), current.value / kink).min(axis=0)
            if self.form is not None:
                from_prior = np.sqrt(2 * current.value / self.form.least_curvature())
                radius = np.minimum(radius, np.abs(self.form.center).max() + from_prior)
            by_radius = np.where((size > 0) & (kink == 0), size * radius, 0.0).sum()
            ratio = np.where((size > 0) & (kink > 0), size / kink, 0.0).max(initial=0.0)
        bound = by_radius + current.value * ratio + (size * np.abs(current.theta[:, :-1])).sum()
        return float(bound)

    def _proximal_step(self, current: Point, H: Array) -> Point | None:
        """Return the next point; None if the objective does not decrease."""
        shape = current.theta.shape
        full: Array = self.A.T @ H @ self.A
        if self.form is not None:
            full = full + self.form.matrix
        full[np.diag_indices_from(full)] += self.ridge.ravel()
        full[np.diag_indices_from(full)] *= 1 + ADDED_DIAGONAL
        free = np.tile(np.append(~self.coordinates.constant, self.fit_intercept), self.q)
        start, linear = current.theta.ravel()[free], current.G.ravel()[free]
        Q = full[np.ix_(free, free)]
        end = current.theta.ravel().copy()
        box = Box(*(part.ravel()[free] for part in (self.kink, self.low, self.high)))
        end[free] = minimise_box_quadratic(Q, linear - Q @ start, box, start)
        D = end.reshape(shape) - current.theta
        fall = float((current.G * D).sum() + (self.kink * (np.abs(current.theta + D) - np.abs(current.theta))).sum())
        if not fall < 0:
            return None
        t, noise = 1.0, ROUNDING * max(MIN_VALUE_SCALE, abs(current.value))
        for _ in range(MAX_STEP_LENGTHS):
            following = self.at(end.reshape(shape) if t == 1.0 else np.clip(current.theta + t * D, self.low, self.high))
            small = -fall < noise and t == 1.0 and following.value <= current.value + noise
            if small or (following.value <= current.value + DECREASE * t * fall and following.value < current.value):
                return following
            t /= 2
        return None


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
        quadratic = penalty.quadratic_diagonal(objective.coordinates.scale)[0, 0]
        few = affordable(objective.rows, q, limits)
        return FinalNewton(*terms, quadratic, objective.fit_intercept, limits) if few else None
    small = Trait.SEPARABLE in penalty.traits and penalty.support is None and q * (d + 1) <= limits.certify_l1_weights
    return FinalProximal(*terms, penalty, objective.fit_intercept, limits) if small else None
