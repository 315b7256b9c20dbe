"""Newton's method with the exact Hessian, and the certificate of its decrement, for fits that duality cannot certify.

Without a penalty the dual bound is infinite, and with a tiny one it is loose. Here the Newton decrement and the
self-concordance of the loss (`certificate/self_concordance.py`) bound the gap instead. Sums are in float64 for every
storage of the rows. Without a penalty, the Hessian is computed in an orthonormal basis of the columns
(`certificate/column_basis.py`), so that almost dependent columns do not make it ill-conditioned.

One Hessian is used for several steps. For a step that changes the logits of no row by a range of more than s,

    H(theta + step) >= exp(-s) H(theta),

so decrement and leverage at the new point are at most exp(s / 2) times those that the old Hessian gives. For the same
reason, a Hessian summed over some of the rows bounds that of all from below: where a sum over all rows costs too much
(`Limits.certify_multiplications`), the bound uses some of the rows, and is looser by their share.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from softreg.linalg import TINY, inverse_factored, solve_factored
from softreg.optimize.certificate.column_basis import orthonormal
from softreg.optimize.certificate.self_concordance import (
    EPS,
    ROUNDING_MATTERS,
    MemberRounding,
    self_concordant_gap,
)
from softreg.optimize.cost.meter import Part, current_meter
from softreg.optimize.objective.column_reductions import (
    MAX_PAIRWISE_CLASSES,
    ColumnProducts,
    LargestLeverage,
    LogitRange,
    MemberHessian,
    MemberLossGradient,
    MemberMass,
)
from softreg.optimize.objective.hessian import Columns, contrasts, pairs
from softreg.optimize.objective.reduction_work import (
    RowSizes,
    cholesky_operations,
    gram_operations,
    product_operations,
)
from softreg.optimize.problem.limits import LIMITS, Limits
from softreg.optimize.problem.standardization import Coordinates
from softreg.optimize.solvers.newton import factor_hessian
from softreg.rows import Array, Rows
from softreg.typing import Float64Array

MIN_ROWS_PER_PARAMETER = 5
"""Smallest number of rows per parameter for a Hessian of some of the rows; with fewer, no gap is certified."""
MAX_HESSIANS = 30
"""Largest number of Hessians. From the end of L-BFGS, one is nearly always enough; for separated classes, none is."""
STEPS_PER_HESSIAN = 4
"""Largest number of steps with one Hessian."""
MAX_DECREMENT_RATIO = 0.1
"""Ratio of the squared decrements at two successive Hessians above which Newton's method does not converge
quadratically: the weights diverge, as for separated classes."""
DECREASE = 1e-4
"""Smallest decrease of the objective by a step, relative to the decrease that the slope predicts."""
NOISE, MIN_VALUE_SCALE = 1e-15, 1e-3
"""Rounding error of the objective, relative to the objective or to this value in nats."""
MAX_STEP_LENGTHS, MIN_SHRINK, MAX_SHRINK = 30, 0.1, 0.5
"""Largest number of step lengths that are tried, and the range of the factor from one to the next."""


@dataclass(frozen=True)
class Proof:
    """The gap of one model at given parameters."""

    theta: Array
    """Parameters (q, d + 1)."""
    value: float
    """Objective in nats."""
    gap: float
    """Gap in nats."""
    certified: bool
    """True if the gap is an upper bound, False if it is half the squared Newton decrement, an estimate."""
    steps: int
    """Steps taken."""


@dataclass(frozen=True)
class Point:
    """The objective of one model at given parameters."""

    theta: Array
    """Parameters (q, d + 1)."""
    value: float
    """Objective in nats."""
    G: Array
    """Gradient (q, r) in the basis."""
    logit_range: float
    """Largest range of a row's change of logits since the previous point."""


class FinalNewton:
    """Newton's method with the exact Hessian for one model of a stack.

    Parameters
    ----------
    rows : Rows
        The rows of the stack.
    coordinates : Coordinates
        The solver's coordinates.
    q : int
        Number of classes.
    member : int
        Index of the model among the row weights.
    quadratic : array of shape (d,)
        Curvature of its penalty in the solver's coordinates.
    fit_intercept : bool
        Whether there is a bias.
    limits : Limits
        Thresholds of the exact Hessian.
    """

    def __init__(
        self,
        rows: Rows,
        coordinates: Coordinates,
        q: int,
        member: int,
        quadratic: Float64Array,
        fit_intercept: bool,
        limits: Limits = LIMITS,
    ) -> None:
        self.rows = rows if rows.dtype == np.float64 and not rows.reduced_precision else rows.precise(dtype=np.float64)
        self.coordinates, self.q, self.member, self.fit_intercept = coordinates, q, member, fit_intercept
        self.ridge = np.append(quadratic, 0.0)
        self.columns = Columns(self)
        self.meter, self.sizes = current_meter(), RowSizes.of(self.rows)
        self.mass = float(self.rows.sum(MemberMass(member))[0])
        free = np.append(~coordinates.constant, fit_intercept)
        plain = np.eye(len(free))[free]
        self.T = plain if quadratic.any() else self._basis(plain)
        self.in_basis = self.ridge @ (self.T**2).T if quadratic.any() else np.zeros(len(self.T))
        work = self.rows.n * len(self.T) ** 2 * q * (q - 1) / 2
        self.share = min(1.0, limits.certify_multiplications / max(1.0, work))
        self.hessians = 0

    def _basis(self, plain: Array) -> Array:
        """Return an orthonormal basis of the columns, empty if their squares overflow."""
        with np.errstate(all="ignore"):
            finite = np.isfinite(self._products(plain)).all()
        return orthonormal(self._products, plain) if finite else plain[:0]

    def _products(self, T: Array) -> Array:
        with self._reading(2.0 * self.rows.n * len(T) ** 2):
            return np.asarray(self.rows.sum(ColumnProducts(self.columns, self.member, T))[0] / self.mass)

    def _reading(self, operations: float) -> Part:
        """Count a reading of the rows with so many operations, and return the context in which it happens."""
        return self.meter.passes(self.sizes.stored_bytes, operations)

    # --- the objective ------------------------------------------------------------------------------------------

    def at(self, theta: Array, previous: Array | None = None) -> Point:
        """Return the point `theta`, with its range of logits relative to `previous`, by one pass."""
        change = None if previous is None else theta - previous
        with self._reading(2 * product_operations(self.sizes, self.q)):
            value, G = self.rows.sum(MemberLossGradient(self.columns, self.member, theta, self.T))
        ridge_gradient = self.ridge * theta
        logit_range = 0.0 if change is None else self._range(change)
        total = float(value) / self.mass + float((ridge_gradient * theta).sum()) / 2
        return Point(theta, total, G / self.mass + ridge_gradient @ self.T.T, logit_range)

    def _range(self, change: Array) -> float:
        """Return the largest range of the logits of a row for these parameters."""
        with self._reading(product_operations(self.sizes, self.q)):
            return float(self.rows.map(LogitRange(self.columns, change)).max())

    def hessian(self, theta: Array) -> Array:
        """Return the Hessian (p, p) in the basis for contrasts of the classes, or a lower bound of it."""
        q, r = self.q, len(self.T)
        self.hessians += 1
        pair_sums = self.share * q * (q - 1) / 2 * gram_operations(self.rows.n, r)
        operations = pair_sums + cholesky_operations((q - 1) * r)
        with self.meter.curvature(), self._reading(operations):
            sums = self.rows.sum(MemberHessian(self.columns, self.member, theta, self.T, self.share))[0]
        H = _of_contrasts(sums / self.mass, q)
        np.einsum("aiai->ai", H)[...] += self.in_basis
        return H.reshape((q - 1) * r, -1)

    # --- the steps ----------------------------------------------------------------------------------------------

    def run(self, theta: Array, tol: float) -> Proof:
        """Take Newton steps from `theta` until the gap is certified to be at most `tol` or no step decreases it."""
        theta = theta - theta.mean(axis=0)
        theta[:, :-1][:, self.coordinates.constant] = 0.0
        current, steps = self.at(theta), 0
        proof, last_square = Proof(theta, current.value, np.inf, False, 0), np.inf
        least_rows = MIN_ROWS_PER_PARAMETER * (self.q - 1) * len(self.T) * (self.share < 1)
        if not len(self.T) or self.rows.n * self.share < least_rows:
            return proof
        while self.hessians < MAX_HESSIANS:
            factor = factor_hessian(self.hessian(current.theta))
            L, exact = factor.L, factor.exact
            R, drift = (self._leverage(L) if exact else np.inf), 0.0
            square = self._direction(L, current.G)[1]
            if square > MAX_DECREMENT_RATIO * last_square and square / 2 <= tol:  # the weights diverge
                return replace(proof, gap=square / 2)
            last_square = square
            for _ in range(STEPS_PER_HESSIAN):
                D, square = self._direction(L, current.G)
                if R * R * EPS > ROUNDING_MATTERS and np.isfinite(R):
                    square = (np.sqrt(square) + self._rounding(L, current.theta)) ** 2
                gap = self_concordant_gap(np.sqrt(square) * np.exp(drift / 2), R * np.exp(drift / 2))
                certified = bool(np.isfinite(gap))
                proof = Proof(current.theta, current.value, gap if certified else square / 2, certified, steps)
                if gap <= tol:
                    return proof
                following = self._step(current, D, square)
                if following is None:
                    return proof
                current, drift, steps = following, drift + following.logit_range, steps + 1
                if not drift < 1:
                    break
        return proof

    def _leverage(self, L: Array) -> float:
        """Return R with `range of a row's change of logits <= R ||v||_H`."""
        trace = self._trace(L)
        with self._reading(2.0 * self.rows.n * len(self.T) ** 2):
            return float(np.sqrt(2 * max(0.0, self.rows.map(LargestLeverage(self.columns, trace, self.T)).max())))

    def _trace(self, L: Array) -> Array:
        """Return the sum (r, r) of the diagonal blocks of the inverse Hessian."""
        a, r = self.q - 1, len(self.T)
        return np.asarray(inverse_factored(L).reshape(a, r, a, r).trace(axis1=0, axis2=2))

    def _rounding(self, L: Array, theta: Array) -> float:
        """Return a bound of the rounding error of the gradient in the norm of the inverse Hessian."""
        trace = self._trace(L)
        with self._reading(2.0 * self.rows.n * len(self.T) ** 2):
            return float(self.rows.sum(MemberRounding(self.columns, self.member, theta, self.T, trace))[0] / self.mass)

    def _direction(self, L: Array, G: Array) -> tuple[Array, float]:
        """Return Newton's step (q, d + 1), and the squared decrement."""
        C = contrasts(self.q)
        g = (C.T @ G).ravel()
        d = solve_factored(L, g)
        step = -self.share * (C @ d.reshape(self.q - 1, -1)) @ self.T
        return step, max(0.0, float(g @ d))

    def _step(self, current: Point, D: Array, square: float) -> Point | None:
        """Return the next point; None if rounding or diverging weights prevent a decrease."""
        t, slope = 1.0, self.share * square
        noise = NOISE * max(MIN_VALUE_SCALE, abs(current.value))
        for _ in range(MAX_STEP_LENGTHS):
            following = self.at(current.theta + t * D, current.theta)
            change = following.value - current.value
            if np.isfinite(change) and change <= -DECREASE * t * slope + noise:
                smaller = float((following.G**2).sum()) < float((current.G**2).sum())
                return following if change < 0 or smaller else None
            minimiser = slope * t * t / (2 * max(change + t * slope, TINY)) if np.isfinite(change) else 0.0
            t = min(max(minimiser, MIN_SHRINK * t), MAX_SHRINK * t)
        return None


def _of_contrasts(sums: Array, q: int) -> Array:
    """Return the Hessian (q - 1, r, q - 1, r) for contrasts of the classes from the sums (e, r, r) of all pairs."""
    r = sums.shape[1]
    if q <= MAX_PAIRWISE_CLASSES:  # all terms are positive: no cancellation
        _, _, edges = pairs(q)
        H = (edges @ sums.reshape(len(sums), -1)).reshape(q - 1, q - 1, r, r)
        return np.ascontiguousarray(H.transpose(0, 2, 1, 3))
    k, l = np.triu_indices(q, 1)
    full, diagonal = np.zeros((q, r, q, r)), np.arange(q)
    full[k, :, l, :] = full[l, :, k, :] = -sums
    full[diagonal, :, diagonal, :] = -full.sum(axis=2)
    half = np.tensordot(contrasts(q), full, (0, 0))
    return np.ascontiguousarray(np.tensordot(half, contrasts(q), (2, 0)).transpose(0, 1, 3, 2))


def affordable(rows: Rows, q: int, limits: Limits = LIMITS) -> bool:
    """Return True if a model of these rows has so few parameters that its exact Hessian is computed."""
    return (q - 1) * (rows.d + 1) <= limits.certify_parameters
