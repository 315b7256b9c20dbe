"""Isotonic recalibration: a nondecreasing step function of each class, joined by straight lines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.typing import BoolArray, Float64Array, IntArray

MOST_KEPT, KEPT_ROWS = 0.05, 10
"""Share of the original probability mixed into isotonic regression: at most the first, and as much as so many rows of
each class have."""


@dataclass(frozen=True, eq=False)
class Steps:
    """The map of one class by linear interpolation through (knots, values), constant beyond the first and the last.

    Attributes
    ----------
    knots, values : ndarray of shape (k,)
        Increasing probabilities, and nondecreasing recalibrated ones.
    """

    knots: Float64Array
    values: Float64Array


@dataclass(frozen=True, eq=False)
class Isotonic:
    """Isotonic regression of each class against the others; rows are then divided by their sum.

    The step functions can be 0 or 1, so the share `kept` of the original probability is mixed in.

    Attributes
    ----------
    steps : tuple of Steps
        Map of each class.
    kept : float
        Share of the original probability.

    References
    ----------
    Meyer and Woodroofe (2000), On the degrees of freedom in shape-restricted regression.
    """

    steps: tuple[Steps, ...]
    kept: float

    @property
    def parameters(self) -> float:
        """Return the degrees of freedom of the fit: its levels, less those that the sums of the rows determine."""
        q = len(self.steps)
        return sum(len(np.unique(step.values)) for step in self.steps) * (q - 1) / q

    def apply(self, P: Float64Array) -> Float64Array:
        """Map the probability of each class by its step function."""
        mapped = np.column_stack([np.interp(P[:, k], step.knots, step.values) for k, step in enumerate(self.steps)])
        mass = mapped.sum(axis=1, keepdims=True)
        shared = np.divide(mapped, mass, out=P.copy(), where=mass > 0)
        return np.asarray((1 - self.kept) * shared + self.kept * P)


def fit_isotonic(P: Float64Array, y: IntArray, weights: Float64Array | None = None) -> Isotonic:
    """Fit isotonic regression for each class against the others.

    Parameters
    ----------
    P : ndarray of shape (n, q)
        Probabilities.
    y : ndarray of shape (n,)
        Class codes.
    weights : ndarray of shape (n,), optional
        Weights of the rows, above 0.

    Returns
    -------
    Isotonic
        The map.

    Examples
    --------
    >>> P = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.1, 0.9]])
    >>> fit_isotonic(P, np.array([0, 1, 0, 1])).steps[1].values.tolist()
    [0.0, 0.5, 0.5, 1.0]
    """
    q = P.shape[1]
    mass = np.ones(len(y)) if weights is None else weights
    kept = min(MOST_KEPT, KEPT_ROWS * q / len(y))
    if q == 2:
        second = _steps(P[:, 1], y == 1, mass)
        return Isotonic((Steps(1 - second.knots[::-1], 1 - second.values[::-1]), second), kept)
    return Isotonic(tuple(_steps(P[:, k], y == k, mass) for k in range(q)), kept)


def _steps(p: Float64Array, occurred: BoolArray, mass: Float64Array) -> Steps:
    """Return the weighted isotonic regression of 0 and 1 on probabilities (n,)."""
    from scipy.optimize import isotonic_regression  # imported here: it is slow to import

    order = np.argsort(p, kind="stable")
    p, mass = p[order], mass[order]
    first = np.flatnonzero(np.append(True, p[1:] > p[:-1]))
    total = np.add.reduceat(mass, first)
    means = np.add.reduceat(mass * occurred[order], first) / total
    values = isotonic_regression(means, weights=total).x
    inner = np.append(np.append(True, values[1:] != values[:-1]), True)
    ends = inner[:-1] | inner[1:]
    return Steps(p[first][ends], values[ends])
