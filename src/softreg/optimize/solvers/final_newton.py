"""Newton's method with the exact Hessian, and the certificate of its decrement, for fits that duality cannot certify.

Without a penalty the dual bound is infinite, and with a tiny one it is loose. Here the Newton decrement and the
self-concordance of the loss (`newton.py`) bound the gap instead. Sums are in float64, whatever the rows are stored in,
and without a penalty in an orthonormal basis of the columns (`basis.py`), so that columns which almost depend on each
other cost no digits.

One Hessian serves for several steps. For a step that changes the logits of no row by a range of more than s,

    H(theta + step) >= exp(-s) H(theta),

so decrement and leverage at the new point are at most exp(s / 2) times those that the old Hessian gives. For the same
reason, a Hessian summed over some of the rows bounds that of all from below: where a sum over all rows costs too much,
the proof rests on as many as are affordable, and is looser by the share that they are.
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
from softreg.optimize.problem.standardization import Coordinates
from softreg.optimize.solvers.newton import factor_hessian
from softreg.rows import Array, Rows
from softreg.typing import Float64Array

MOST_PARAMETERS = 4000
"""Up to so many parameters, (q - 1) x (d + 1), a Hessian is taken: it and its inverse hold 128 MB each then, and a
factorisation takes about a second."""
MOST_WORK = 2e11
"""Multiplications for one Hessian, `rows x (d + 1)^2 x q (q - 1) / 2`: about ten seconds on one core. Beyond, it is
summed over as many rows as this allows."""
LEAST_ROWS = 5
"""A Hessian of some of the rows needs so many rows a parameter; with fewer nothing is proved."""
STEPS = 30
"""Hessians at most; from where L-BFGS ends one is nearly always enough, and where classes are separated none is."""
REUSED = 4
"""Steps with one Hessian at most."""
SLOW = 0.1
"""Share of the squared decrement left by a further Hessian above which Newton's method diverges, as for separated
classes."""
DECREASE = 1e-4
"""A step must gain at least this share of what the slope promises."""
NOISE, MIN_VALUE_SCALE = 1e-15, 1e-3
"""Rounding error of the objective, relative to it or to this value in nats."""
MAX_STEP_LENGTHS, SHORTEST_CUT, LONGEST_CUT = 30, 0.1, 0.5
"""Step lengths that are tried, and the parts to which a step is cut."""


@dataclass(frozen=True)
class Proof:
    """Parameters theta (q, d + 1) of one model, objective and gap there, and the steps taken; `certified` says whether
    the gap is a bound, or half the squared Newton decrement, which is an estimate."""

    theta: Array
    value: float
    gap: float
    certified: bool
    steps: int


@dataclass(frozen=True)
class Point:
    """The objective at theta (q, d + 1), its gradient (q, r) in the basis, and the largest range of a row's change of
    logits since the last point."""

    theta: Array
    value: float
    G: Array
    moved: float


class FinalNewton:
    """One model of a stack, by its place `member` among the row weights; `quadratic` (d,) is the curvature of its
    penalty in the solver's coordinates."""

    def __init__(
        self, rows: Rows, coordinates: Coordinates, q: int, member: int, quadratic: Float64Array, fit_intercept: bool
    ) -> None:
        self.rows = rows if rows.dtype == np.float64 and not rows.reduced_precision else rows.precise(dtype=np.float64)
        self.coordinates, self.q, self.member, self.fit_intercept = coordinates, q, member, fit_intercept
        self.ridge = np.append(quadratic, 0.0)
        self.columns = Columns(self)
        self.mass = float(self.rows.sum(MemberMass(member))[0])
        free = np.append(~coordinates.constant, fit_intercept)
        plain = np.eye(len(free))[free]
        self.T = plain if quadratic.any() else self._basis(plain)
        self.in_basis = self.ridge @ (self.T**2).T if quadratic.any() else np.zeros(len(self.T))
        work = self.rows.n * len(self.T) ** 2 * q * (q - 1) / 2
        self.share = min(1.0, MOST_WORK / max(1.0, work))
        self.hessians = 0

    def _basis(self, plain: Array) -> Array:
        """Return an orthonormal basis of the columns, empty if their squares overflow."""
        with np.errstate(all="ignore"):
            finite = np.isfinite(self._products(plain)).all()
        return orthonormal(self._products, plain) if finite else plain[:0]

    def _products(self, T: Array) -> Array:
        return np.asarray(self.rows.sum(ColumnProducts(self.columns, self.member, T))[0] / self.mass)

    # --- the objective ------------------------------------------------------------------------------------------

    def at(self, theta: Array, before: Array | None = None) -> Point:
        """Value and gradient at `theta`, and how far the logits are from those of `before`: one pass."""
        change = None if before is None else theta - before
        value, G = self.rows.sum(MemberLossGradient(self.columns, self.member, theta, self.T))
        pull = self.ridge * theta
        moved = 0.0 if change is None else self._range(change)
        total = float(value) / self.mass + float((pull * theta).sum()) / 2
        return Point(theta, total, G / self.mass + pull @ self.T.T, moved)

    def _range(self, change: Array) -> float:
        """Return the largest range of the logits of a row for these parameters."""
        return float(self.rows.map(LogitRange(self.columns, change)).max())

    def hessian(self, theta: Array) -> Array:
        """Return the Hessian (p, p) in the basis for contrasts of the classes, or a lower bound of it."""
        q, r = self.q, len(self.T)
        self.hessians += 1
        sums = self.rows.sum(MemberHessian(self.columns, self.member, theta, self.T, self.share))[0]
        H = _of_contrasts(sums / self.mass, q)
        np.einsum("aiai->ai", H)[...] += self.in_basis
        return H.reshape((q - 1) * r, -1)

    # --- the steps ----------------------------------------------------------------------------------------------

    def run(self, theta: Array, tol: float) -> Proof:
        """Newton steps from `theta` until the gap is proved to be `tol` or less, or as long as they gain."""
        theta = theta - theta.mean(axis=0)
        theta[:, :-1][:, self.coordinates.constant] = 0.0
        here, steps = self.at(theta), 0
        best, last = Proof(theta, here.value, np.inf, False, 0), np.inf
        if not len(self.T) or self.rows.n * self.share < LEAST_ROWS * (self.q - 1) * len(self.T) * (self.share < 1):
            return best
        while self.hessians < STEPS:
            factor = factor_hessian(self.hessian(here.theta))
            L, exact = factor.L, factor.exact
            R, drift = (self._leverage(L) if exact else np.inf), 0.0
            square = self._direction(L, here.G)[1]
            if square > SLOW * last and square / 2 <= tol:
                return replace(best, gap=square / 2)
            last = square
            for _ in range(REUSED):
                D, square = self._direction(L, here.G)
                if R * R * EPS > ROUNDING_MATTERS and np.isfinite(R):
                    square = (np.sqrt(square) + self._rounding(L, here.theta)) ** 2
                gap = self_concordant_gap(np.sqrt(square) * np.exp(drift / 2), R * np.exp(drift / 2))
                certified = bool(np.isfinite(gap))
                best = Proof(here.theta, here.value, gap if certified else square / 2, certified, steps)
                if gap <= tol:
                    return best
                there = self._step(here, D, square)
                if there is None:
                    return best
                here, drift, steps = there, drift + there.moved, steps + 1
                if not drift < 1:
                    break
        return best

    def _leverage(self, L: Array) -> float:
        """R with `range of a row's change of logits <= R ||v||_H`."""
        trace = self._trace(L)
        return float(np.sqrt(2 * max(0.0, self.rows.map(LargestLeverage(self.columns, trace, self.T)).max())))

    def _trace(self, L: Array) -> Array:
        """Return the sum (r, r) of the diagonal blocks of the inverse Hessian."""
        a, r = self.q - 1, len(self.T)
        return np.asarray(inverse_factored(L).reshape(a, r, a, r).trace(axis1=0, axis2=2))

    def _rounding(self, L: Array, theta: Array) -> float:
        """Return a bound of the rounding error of the gradient in the norm of the inverse Hessian."""
        trace = self._trace(L)
        return float(self.rows.sum(MemberRounding(self.columns, self.member, theta, self.T, trace))[0] / self.mass)

    def _direction(self, L: Array, G: Array) -> tuple[Array, float]:
        """Newton's step (q, d + 1), and the squared decrement."""
        C = contrasts(self.q)
        g = (C.T @ G).ravel()
        d = solve_factored(L, g)
        step = -self.share * (C @ d.reshape(self.q - 1, -1)) @ self.T
        return step, max(0.0, float(g @ d))

    def _step(self, here: Point, D: Array, square: float) -> Point | None:
        """Return the next point; None if the objective does not decrease, by rounding or a recession direction."""
        t, slope = 1.0, self.share * square
        noise = NOISE * max(MIN_VALUE_SCALE, abs(here.value))
        for _ in range(MAX_STEP_LENGTHS):
            there = self.at(here.theta + t * D, here.theta)
            change = there.value - here.value
            if np.isfinite(change) and change <= -DECREASE * t * slope + noise:
                return there if change < 0 or float((there.G**2).sum()) < float((here.G**2).sum()) else None
            least = slope * t * t / (2 * max(change + t * slope, TINY)) if np.isfinite(change) else 0.0
            t = min(max(least, SHORTEST_CUT * t), LONGEST_CUT * t)
        return None


def _of_contrasts(sums: Array, q: int) -> Array:
    """Return the Hessian (q - 1, r, q - 1, r) for contrasts of the classes from the sums (e, r, r) of all pairs."""
    r = sums.shape[1]
    if q <= MAX_PAIRWISE_CLASSES:  # all that is added is positive: nothing cancels
        _, _, edges = pairs(q)
        H = (edges @ sums.reshape(len(sums), -1)).reshape(q - 1, q - 1, r, r)
        return np.ascontiguousarray(H.transpose(0, 2, 1, 3))
    k, l = np.triu_indices(q, 1)
    full, own = np.zeros((q, r, q, r)), np.arange(q)
    full[k, :, l, :] = full[l, :, k, :] = -sums
    full[own, :, own, :] = -full.sum(axis=2)
    half = np.tensordot(contrasts(q), full, (0, 0))
    return np.ascontiguousarray(np.tensordot(half, contrasts(q), (2, 0)).transpose(0, 1, 3, 2))


def affordable(rows: Rows, q: int) -> bool:
    """Whether a model of these rows has so few parameters that its exact Hessian is taken.

    Example:
        >>> from softreg.rows import as_rows
        >>> affordable(as_rows(np.zeros((9, 40)), np.zeros(9, int)), 5)
        True
    """
    return (q - 1) * (rows.d + 1) <= MOST_PARAMETERS
