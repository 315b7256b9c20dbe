"""Several penalised logistic regressions of the same rows at once, by Newton's method, with certified gaps.

Member k of a stack minimises, over its free parameters,

    (1 / n) sum_i w_i log(1 + exp(-s_i f_i' theta_k)) + sum_j a_jk (theta_jk - c_j)^2 / (2 n),   s_i = 1 or -1,

for few features f_i (r,), strengths a_k (r,) and a center c, at which parameters that are not free stay. The members
share the passes over the rows: their Hessians are one product of matrices (m, n) and (n, r r). Certificates
and leave-one-out losses are those of `newton_fit.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.models.calibration.maps.newton_fit import ARMIJO, SHORTEST, STEPS, TOLERANCE, NewtonFit
from softreg.optimize.certificate.self_concordance import self_concordant_gap
from softreg.typing import BoolArray, Float64Array, IntArray

LEAST_MARGIN = -700.0
"""Least margin of a leave-one-out loss; `exp(-margin)` would overflow below it."""
SAMPLE, LEAST_SHARE = 250, 4
"""Rows of a regular sample whose minimum is the start of the steps on all rows, and how many times as many there must
be."""
SAMPLE_TOLERANCE = 1e-4
"""Nats. Tolerance of the fit of the sample."""


def fit_odds_stack(
    F: Float64Array,
    y: IntArray,
    center: Float64Array,
    strengths: Float64Array,
    *,
    free: BoolArray,
    weights: Float64Array | None = None,
) -> list[NewtonFit]:
    """Fit the members of a stack.

    Parameters
    ----------
    F : ndarray of shape (n, r)
        Features of the log-odds of the second class.
    y : ndarray of shape (n,)
        Class codes, 0 or 1.
    center : ndarray of shape (r,)
        Parameters at which the penalties are 0.
    strengths : ndarray of shape (r, m)
        Strengths of the penalties of each member, above 0.
    free : ndarray of bool of shape (r, m)
        Parameters that a member has; the others stay at the center.
    weights : ndarray of shape (n,), optional
        Weights of the rows, of mean 1.

    Returns
    -------
    list of NewtonFit
        The minimisers.

    Examples
    --------
    >>> F, y = np.log([[9.0], [9.0], [9.0], [1 / 9]]), np.array([1, 1, 0, 0])
    >>> fits = fit_odds_stack(F, y, np.ones(1), np.array([[1e-9, 1e9]]), free=np.ones((1, 2), dtype=bool))
    >>> [float(fit.theta[0].round(3)) for fit in fits], fits[0].gap < 1e-9
    ([0.5, 1.0], True)
    """
    sign = np.where(y == 1, 1.0, -1.0)
    members = _Members(center, strengths, free)
    theta = np.repeat(center[None, :], strengths.shape[1], axis=0)
    every = len(y) // SAMPLE
    if every >= LEAST_SHARE:
        few = None if weights is None else weights[::every]
        sample = _rows_of(F[::every].T, sign[::every], few)
        found = _minimum(sample, _Members(center, strengths / every, free), theta, SAMPLE_TOLERANCE)
        theta = found.theta
    rows = _rows_of(F.T, sign, weights)
    return _fits(rows, members, _minimum(rows, members, theta, TOLERANCE))


@dataclass(frozen=True, eq=False)
class _Rows:
    """Signed features (r, n) and the products of their pairs (r r, n), both also weighted."""

    signed: Float64Array
    products: Float64Array
    weighted: tuple[Float64Array, Float64Array]
    weights: Float64Array | None


@dataclass(frozen=True, eq=False)
class _Minimum:
    """Parameters (m, r) at the end of the steps, objectives (m,) times n, decrements (m,), Hessians and odds (m, n)."""

    theta: Float64Array
    values: Float64Array
    decrement: Float64Array
    hessians: Float64Array
    odds: Float64Array


class _Members:
    """The center (r,), strengths (m, r), free parameters (m, r), and the parts of Hessians (m, r, r) that they give."""

    def __init__(self, center: Float64Array, strengths: Float64Array, free: BoolArray) -> None:
        self.center, self.strengths, self.free = center, strengths.T, free.T
        self.both = self.free[:, :, None] & self.free[:, None, :]
        self.diagonal = np.eye(len(center)) * np.where(self.free, self.strengths, 1.0)[:, None, :]


def _rows_of(F: Float64Array, sign: Float64Array, weights: Float64Array | None) -> _Rows:
    """Return the rows of features (r, n) and signs (n,)."""
    signed, products = F * sign, (F[:, None, :] * F).reshape(-1, F.shape[1])
    weighted = (signed, products) if weights is None else (signed * weights, products * weights)
    return _Rows(signed, products, weighted, weights)


def _value(rows: _Rows, members: _Members, theta: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Return n times the objectives (m,), infinite where odds overflow, and the odds (m, n) of the other class."""
    odds = np.exp(-(theta @ rows.signed))
    losses, change = np.log1p(odds), theta - members.center
    sums = losses.sum(axis=1) if rows.weights is None else losses @ rows.weights
    return sums + (members.strengths * change * change).sum(axis=1) / 2, odds


def _derivatives(
    rows: _Rows, members: _Members, theta: Float64Array, odds: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """Return gradients (m, r) and Hessians (m, r, r): 0 and the identity for parameters that are not free."""
    m, r = theta.shape
    features, products = rows.weighted
    wrong = odds / (1 + odds)
    gradient = members.strengths * (theta - members.center) - wrong @ features.T
    hessians = ((wrong * (1 - wrong)) @ products.T).reshape(m, r, r)
    return gradient * members.free, hessians * members.both + members.diagonal


@np.errstate(over="ignore")
def _minimum(rows: _Rows, members: _Members, theta: Float64Array, tolerance: float) -> _Minimum:
    """Return the end of Newton steps from parameters (m, r), or from the center where an objective is not finite."""
    enough = 2 * tolerance * rows.signed.shape[1]
    values, odds = _value(rows, members, theta)
    if not np.isfinite(values).all():
        theta = np.repeat(members.center[None, :], len(theta), axis=0)
        values, odds = _value(rows, members, theta)
    able = np.ones(len(theta), dtype=bool)
    for _ in range(STEPS):
        gradient, hessians = _derivatives(rows, members, theta, odds)
        step = -np.linalg.solve(hessians, gradient[:, :, None])[:, :, 0]
        decrement = np.maximum(-(gradient * step).sum(axis=1), 0.0)
        moving = able & (decrement > enough)
        if not moving.any():
            break
        length = moving.astype(np.float64)
        while True:
            after = _value(rows, members, theta + length[:, None] * step)
            high = moving & (after[0] > values - ARMIJO * length * decrement)
            if not high.any():
                break
            length[high] = np.where(length[high] > SHORTEST, length[high] / 2, 0.0)
            able &= (length > 0) | ~moving  # only rounding errors are left where a step is too short
            moving &= able
        theta, (values, odds) = theta + length[:, None] * step, after
    return _Minimum(theta, values, decrement, hessians, odds)


def _fits(rows: _Rows, members: _Members, found: _Minimum) -> list[NewtonFit]:
    """Return the fits of the members, with certificates and leave-one-out losses."""
    (m, r), n = found.theta.shape, rows.signed.shape[1]
    leverage = (np.linalg.inv(found.hessians) * members.both).reshape(m, r * r) @ rows.products
    radius = np.sqrt(n * leverage.max(axis=1))
    leverage = leverage if rows.weights is None else leverage * rows.weights
    wrong = found.odds / (1 + found.odds)
    change = leverage * wrong / (1 - wrong * (1 - wrong) * leverage)
    margins = np.maximum(found.theta @ rows.signed - change, LEAST_MARGIN)
    losses = np.log1p(np.exp(-margins))
    decrement = np.sqrt(found.decrement / n)
    return [
        NewtonFit(found.theta[k], float(found.values[k]) / n, self_concordant_gap(float(delta), float(R)), losses[k])
        for k, (delta, R) in enumerate(zip(decrement, radius, strict=True))
    ]
