"""Steps of the bias, or of dual probabilities, towards mean predictions that are the class rates."""

from __future__ import annotations

import numpy as np

from softreg.typing import Float64Array

MEMORY, DAMPING, RANK = 8, 0.7, 1e-10
"""Steps that are combined for the next shift, the part of it that is taken, and the relative singular value below which
a combination is ignored."""
MIN_VARIANCE, MAX_SHIFT = 1e-3, 1.0
"""Least variance of a class as a part of its rate, and largest change of a bias in one step."""


def newton_step(rates: Float64Array, mean: Float64Array, variance: Float64Array) -> Float64Array:
    """Return the change (q,) of the bias by a Newton step with the diagonal of the curvature.

    Parameters
    ----------
    rates, mean : ndarray of shape (q,)
        Class rates and mean predictions.
    variance : ndarray of shape (q,)
        Mean of p (1 - p) of each class.

    Returns
    -------
    ndarray of shape (q,)

    Examples
    --------
    >>> newton_step(np.array([0.5, 0.5]), np.array([0.4, 0.6]), np.array([0.2, 0.2])).round(6).tolist()
    [0.5, -0.5]
    """
    step = (rates - mean) / np.maximum(variance, MIN_VARIANCE * rates)
    return np.asarray(np.clip(step, -MAX_SHIFT, MAX_SHIFT))


class AndersonSteps:
    """Anderson's acceleration of the steps of a diagonal Newton method.

    References
    ----------
    Walker and Ni (2011), Anderson acceleration for fixed-point iterations.
    """

    def __init__(self) -> None:
        self.steps, self.points = list[Float64Array](), list[Float64Array]()

    def next(self, step: Float64Array, point: Float64Array) -> Float64Array:
        """Return the accelerated step for a step of the method at a point."""
        self.steps, self.points = [*self.steps[-MEMORY:], step], [*self.points[-MEMORY:], point]
        if len(self.steps) == 1:
            return DAMPING * step
        F = np.diff(np.stack(self.steps), axis=0).T
        P = np.diff(np.stack(self.points), axis=0).T
        share = np.linalg.lstsq(F, step, rcond=RANK)[0]
        return np.asarray(DAMPING * (step - F @ share) - P @ share)
