"""Recalibration of two classes by increasing maps of the log-odds: beta calibration and a quadratic polynomial.

With probabilities (1 - p, p) and log-odds z = log p - log(1 - p), the recalibrated log-odds of the second class are

    beta:       a log p - b log(1 - p) + c,   a >= 0, b >= 0
    quadratic:  a z + b z^2 + c,              increasing between the least and the largest z of the fit

Both are logistic regressions with a weak ridge around the identity. Where a constraint is violated, the fit is repeated
with that constraint as an equation; the feasible fit of the smallest objective is taken.

References
----------
Kull, Silva Filho and Flach (2017), Beta calibration: a well-founded and easily implemented improvement on logistic
calibration for binary classifiers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg as sl

from softreg.models.calibration.maps.newton_fit import NewtonFit
from softreg.models.calibration.maps.odds_stack import fit_odds_stack
from softreg.models.calibration.maps.structured_map import StructuredMap, bounded_logs
from softreg.probability import softmax
from softreg.typing import Float64Array, IntArray

STRENGTH = 0.4
"""Strength of the ridge around the identity, in rows."""
UNIT = 10.0
"""Log-odds whose square over UNIT is the quadratic feature, so that its weight is of the size of the others."""
SLACK = 1e-9
"""Violation of a constraint that counts as rounding."""


@dataclass(frozen=True, eq=False)
class QuadraticOdds:
    """The map of log-odds z, limited to low and high, to `a z + b z^2 + c`.

    Attributes
    ----------
    a, b, c : float
        Coefficients.
    low, high : float
        Least and largest log-odds of the fit, between which the map increases.
    gap : float
        Certified upper bound, in nats, of the difference between the objective of the fit and its minimum.

    Examples
    --------
    >>> QuadraticOdds(2.0, 0.0, 0.0, -5.0, 5.0).apply(np.array([[0.2, 0.8]])).round(3)
    array([[0.059, 0.941]])
    """

    a: float
    b: float
    c: float
    low: float
    high: float
    gap: float = 0.0

    def apply(self, P: Float64Array) -> Float64Array:
        """Return recalibrated probabilities (n, 2) of probabilities (n, 2)."""
        L = bounded_logs(P)
        z = np.clip(L[:, 1] - L[:, 0], self.low, self.high)
        odds = self.a * z + self.b * z * z + self.c
        return np.asarray(softmax(np.column_stack([np.zeros(len(odds)), odds])), dtype=np.float64)


def fit_beta(P: Float64Array, y: IntArray, weights: Float64Array | None = None) -> StructuredMap:
    """Fit beta calibration.

    Parameters
    ----------
    P : ndarray of shape (n, 2)
        Positive probabilities.
    y : ndarray of shape (n,)
        Class codes.
    weights : ndarray of shape (n,), optional
        Weights of the rows, of mean 1.

    Returns
    -------
    StructuredMap
        The map: scale b of the first class, scale a and bias c of the second.

    Raises
    ------
    ValueError
        If there are not two classes.

    Examples
    --------
    >>> P = np.array([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.1, 0.9]] * 50)
    >>> fit_beta(P, np.array([0, 0, 1, 1] * 50)).apply(P[[0, 3]]).round(2).tolist()
    [[0.67, 0.33], [0.0, 1.0]]
    """
    _check_two(P, "beta")
    L = bounded_logs(P)
    F = np.stack([L[:, 1], -L[:, 0], np.ones(len(L))]).T
    fit = _constrained(F, y, weights, center=np.array([1.0, 1.0, 0.0]), least_zero=np.eye(2, 3))
    a, b, c = fit.theta
    return StructuredMap(np.array([b, a]), np.array([0.0, c]), 0.0, fit.gap)


def fit_quadratic(P: Float64Array, y: IntArray, weights: Float64Array | None = None) -> QuadraticOdds:
    """Fit a quadratic polynomial of the log-odds.

    Parameters
    ----------
    P : ndarray of shape (n, 2)
        Positive probabilities.
    y : ndarray of shape (n,)
        Class codes.
    weights : ndarray of shape (n,), optional
        Weights of the rows, of mean 1.

    Returns
    -------
    QuadraticOdds
        The map.

    Raises
    ------
    ValueError
        If there are not two classes.

    Examples
    --------
    >>> z = np.repeat([-2.0, 0.0, 2.0], 100)
    >>> P = softmax(np.column_stack([0 * z, z]))
    >>> y = np.concatenate([np.arange(100) < 10, np.arange(100) < 30, np.arange(100) < 90]).astype(int)
    >>> fit_quadratic(P, y).apply(P[[0, 100, 200]])[:, 1].round(2)
    array([0.09, 0.32, 0.89])
    """
    _check_two(P, "quadratic")
    L = bounded_logs(P)
    z = L[:, 1] - L[:, 0]
    low, high = float(z.min()), float(z.max())
    slopes = np.array([[1.0, 2 * low / UNIT, 0.0], [1.0, 2 * high / UNIT, 0.0]])
    F = np.stack([z, z * z / UNIT, np.ones(len(z))]).T
    fit = _constrained(F, y, weights, center=np.array([1.0, 0.0, 0.0]), least_zero=slopes)
    a, b, c = fit.theta
    return QuadraticOdds(float(a), float(b / UNIT), float(c), low, high, fit.gap)


def _constrained(
    F: Float64Array, y: IntArray, weights: Float64Array | None, *, center: Float64Array, least_zero: Float64Array
) -> NewtonFit:
    """Return the fit with `least_zero @ theta >= 0`, two constraints."""
    found = []
    for active in ([], [0], [1], [0, 1]):
        basis = sl.null_space(least_zero[active]) if active else np.eye(len(center))
        one = np.ones((basis.shape[1], 1))
        (fit,) = fit_odds_stack(F @ basis, y, basis.T @ center, STRENGTH * one, free=one > 0, weights=weights)
        theta = basis @ fit.theta
        if (least_zero @ theta >= -SLACK).all():
            distance = center - basis @ (basis.T @ center)
            value = fit.value + STRENGTH / 2 * float(distance @ distance) / len(y)
            found.append(NewtonFit(theta, value, fit.gap, fit.losses))
        if found and not active:
            break
    return min(found, key=lambda one: one.value)


def _check_two(P: Float64Array, method: str) -> None:
    if P.shape[1] != 2:
        raise ValueError(
            f"method={method!r} maps the log-odds of two classes, and P has {P.shape[1]} columns; "
            "use method='structured' or 'auto'."
        )
