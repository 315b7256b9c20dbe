"""Several penalised logistic regressions of the same rows at once, by Newton's method, with certified gaps.

Member k of a stack minimises, over its free parameters,

    (1 / n) sum_i w_i log(1 + exp(-s_i f_i' theta_k)) + sum_j a_jk (theta_jk - c_j)^2 / (2 n),   s_i = 1 or -1,

for few features f_i (r,), strengths a_k (r,) and a center c, at which parameters that are not free stay. The members
share the passes over the rows: their Hessians are one product of matrices (m, n) and (n, r (r + 1) / 2), with the
products of all pairs of features. Certificates and leave-one-out losses are those of `newton_fit.py`. The steps end
where half the squared Newton decrement is below a tolerance; the step of that decrement is taken, too, where the gap is
certified. It needs no pass over the rows, and with u = R * decrement at most 0.9 it does not increase the objective, as
`exp(u) - u - 1 <= u^2`. So parameters differ from those of the minimum by rounding and about the square of the
decrement, and do not depend on the start.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from softreg.models.calibration.maps.newton_fit import ARMIJO, SHORTEST, STEPS, TOLERANCE, NewtonFit
from softreg.optimize.certificate.self_concordance import self_concordant_gap
from softreg.typing import BoolArray, Float64Array, Int64Array, IntArray

LEAST_MARGIN = -700.0
"""Least margin of a leave-one-out loss; `exp(-margin)` would overflow below it."""


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
    rows = _rows_of(F.T, sign, weights)
    return _fits(rows, members, _minimum(rows, members))


@dataclass(frozen=True, eq=False)
class _Rows:
    """Features (r, n) times -1 for the second class, and the products of their pairs (k, n), both also weighted."""

    signed: Float64Array
    products: Float64Array
    weighted: tuple[Float64Array, Float64Array]
    weights: Float64Array | None


@dataclass(frozen=True, eq=False)
class _Pairs:
    """The k pairs (i, j) of r features with i <= j, the pair (r, r) of each entry of a matrix, and 2 where i < j."""

    first: Int64Array
    second: Int64Array
    entries: Int64Array
    twice: Float64Array


@cache
def _pairs(r: int) -> _Pairs:
    """Return the pairs of r features."""
    first, second = np.triu_indices(r)
    entries = np.zeros((r, r), dtype=np.int64)
    entries[first, second] = entries[second, first] = np.arange(len(first))
    return _Pairs(first, second, entries, np.where(first == second, 1.0, 2.0))


@dataclass(frozen=True, eq=False)
class _Minimum:
    """Parameters (m, r) at the end of the steps, with n times the objectives (m,), Hessians and odds (m, n).

    `step` (m, r) is the next Newton step, and `decrement` (m,) its squared decrement.
    """

    theta: Float64Array
    step: Float64Array
    values: Float64Array
    decrement: Float64Array
    hessians: Float64Array
    odds: Float64Array


class _Members:
    """The center (r,), strengths (m, r), free parameters (m, r), and the parts of Hessians (m, r, r) that they give."""

    def __init__(self, center: Float64Array, strengths: Float64Array, free: BoolArray) -> None:
        self.center, self.strengths, self.free = center, strengths.T, free.T
        self.half = self.strengths / 2
        self.both = self.free[:, :, None] & self.free[:, None, :]
        self.diagonal = np.eye(len(center)) * np.where(self.free, self.strengths, 1.0)[:, None, :]


def _rows_of(F: Float64Array, sign: Float64Array, weights: Float64Array | None) -> _Rows:
    """Return the rows of features (r, n) and signs (n,)."""
    r, n = F.shape
    signed, products, end = np.multiply(F, -sign, order="C"), np.empty((r * (r + 1) // 2, n)), 0
    for i in range(r):
        start, end = end, end + r - i
        np.multiply(F[i:], F[i], out=products[start:end])
    weighted = (signed, products) if weights is None else (signed * weights, products * weights)
    return _Rows(signed, products, weighted, weights)


def _value(rows: _Rows, members: _Members, theta: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Return n times the objectives (m,), infinite where odds overflow, and the odds (m, n) of the other class."""
    odds = theta @ rows.signed
    np.exp(odds, out=odds)
    losses, change = np.log1p(odds), theta - members.center
    sums = np.add.reduce(losses, axis=1) if rows.weights is None else losses @ rows.weights
    return sums + np.add.reduce(members.half * change * change, axis=1), odds


def _derivatives(
    rows: _Rows, members: _Members, theta: Float64Array, odds: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """Return gradients (m, r) and Hessians (m, r, r): 0 and the identity for parameters that are not free."""
    features, products = rows.weighted
    right = 1 / (1 + odds)
    wrong = odds * right
    gradient = members.strengths * (theta - members.center) + wrong @ features.T
    right *= wrong
    hessians = (right @ products.T)[:, _pairs(theta.shape[1]).entries]
    return gradient * members.free, hessians * members.both + members.diagonal


@np.errstate(over="ignore")
def _minimum(rows: _Rows, members: _Members) -> _Minimum:
    """Return the end of Newton steps from the center."""
    enough = 2 * TOLERANCE * rows.signed.shape[1]
    theta = np.repeat(members.center[None, :], len(members.free), axis=0)
    values, odds = _value(rows, members, theta)
    able = [True] * len(theta)  # lists, as operations on arrays of few members take longer
    for _ in range(STEPS):
        gradient, hessians = _derivatives(rows, members, theta, odds)
        step = np.asarray(np.linalg.solve(hessians, -gradient[:, :, None])[:, :, 0], dtype=np.float64)
        decrement = np.maximum(np.add.reduce(gradient * -step, axis=1), 0.0)
        decrements, before = decrement.tolist(), values.tolist()
        length = [float(can and squared > enough) for can, squared in zip(able, decrements, strict=True)]
        while any(length):
            moved = theta + np.array(length)[:, None] * step
            after = _value(rows, members, moved)
            expected = [v - ARMIJO * t * d for v, t, d in zip(before, length, decrements, strict=True)]
            high = [k for k, v in enumerate(after[0].tolist()) if length[k] and v > expected[k]]
            if not high:
                theta, (values, odds) = moved, after
                break
            for k in high:  # only rounding errors are left where a step is too short
                able[k] = length[k] > SHORTEST
                length[k] = length[k] / 2 if able[k] else 0.0
        else:
            break
    return _Minimum(theta, step, values, decrement, hessians, odds)


def _fits(rows: _Rows, members: _Members, found: _Minimum) -> list[NewtonFit]:
    """Return the fits of the members, with certificates and leave-one-out losses."""
    r, n = rows.signed.shape
    pairs = _pairs(r)
    inverse = np.linalg.inv(found.hessians) * members.both
    leverage = (inverse[:, pairs.first, pairs.second] * pairs.twice) @ rows.products
    radius = np.sqrt(n * leverage.max(axis=1))
    deltas = np.sqrt(found.decrement / n)
    gaps = [self_concordant_gap(float(delta), float(R)) for delta, R in zip(deltas, radius, strict=True)]
    theta = found.theta + np.isfinite(gaps)[:, None] * found.step
    leverage = leverage if rows.weights is None else leverage * rows.weights
    right = 1 / (1 + found.odds)
    leverage *= found.odds * right
    right *= leverage
    change = leverage / np.subtract(1, right, out=right)
    change += theta @ rows.signed
    np.minimum(change, -LEAST_MARGIN, out=change)
    losses = np.log1p(np.exp(change, out=change), out=change)
    return [NewtonFit(theta[k], float(found.values[k]) / n, gap, losses[k]) for k, gap in enumerate(gaps)]
