"""The map of structured scaling: weights, biases and a curve of bounded log-probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.models.calibration.maps.map_designs import curve
from softreg.probability import softmax
from softreg.typing import Float64Array

LEAST_LOG = -30.0
"""Log-probabilities below this are raised to it: weights of numbers such as -700 would depend on few rows."""
MOST_ODDS = 700.0
"""Largest log-odds of two classes in absolute value, so that their exponentials are finite."""
TEMPERATURE_STRENGTH = 1.0
"""Strength of the penalty of (t - 1)^2: one row's worth, so that t is finite where all rows are right."""
CURVE_STRENGTH = 4.0
"""Strength of the penalty of c^2, times the factor."""


@dataclass(frozen=True, eq=False)
class StructuredMap:
    """The map `softmax(W l + b + c curve(l))` of log-probabilities l.

    Attributes
    ----------
    W : ndarray of shape (q, q) or (q,)
        Weights: row k has those of the logit of class k; or a scale for each class.
    b : ndarray of shape (q,)
        Bias of each class.
    c : float
        Weight of the curve.
    gap : float
        Certified upper bound, in nats, of the difference between the objective of the fit and its minimum.
    factor : float
        Factor of the strengths.

    Examples
    --------
    >>> StructuredMap(np.array([2.0, 2.0]), np.zeros(2)).apply(np.array([[0.8, 0.2]])).round(3)
    array([[0.941, 0.059]])
    """

    W: Float64Array
    b: Float64Array
    c: float = 0.0
    gap: float = 0.0
    factor: float = 1.0

    def apply(self, P: Float64Array) -> Float64Array:
        """Return recalibrated probabilities (n, q) of probabilities (n, q)."""
        L = bounded_logs(P)
        o = L * self.W if self.W.ndim == 1 else L @ self.W.T
        o += self.b
        if self.c:
            o += self.c * curve(L)
        if o.shape[1] == 2:
            odds = np.exp(np.clip(o[:, 1] - o[:, 0], -MOST_ODDS, MOST_ODDS))
            return np.stack([1 / (1 + odds), odds / (1 + odds)], axis=1)
        return np.asarray(softmax(o), dtype=np.float64)

    def shrunk(self, kept: float) -> StructuredMap:
        """Return the map between the identity (kept = 0) and this one (kept = 1)."""
        q = len(self.b)
        identity = np.ones(q) if self.W.ndim == 1 else np.eye(q)
        W = identity + kept * (self.W - identity)
        return StructuredMap(W, kept * self.b, kept * self.c, self.gap, self.factor)


@dataclass(frozen=True, eq=False)
class HeldOutFit:
    """A fitted map with the losses (n,) of its rows in nats, each without the row itself."""

    fitted: StructuredMap
    losses: Float64Array


def bounded_logs(P: Float64Array) -> Float64Array:
    """Return log-probabilities of at least `LEAST_LOG`.

    Parameters
    ----------
    P : ndarray of shape (n, q)
        Probabilities.

    Returns
    -------
    ndarray of shape (n, q)
        Log-probabilities.

    Examples
    --------
    >>> bounded_logs(np.array([[1.0, 0.0]])).tolist()
    [[0.0, -30.0]]
    """
    with np.errstate(divide="ignore"):
        return np.asarray(np.maximum(np.log(P), LEAST_LOG))
