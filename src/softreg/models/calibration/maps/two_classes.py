"""Structured scaling of two classes: the fits of all methods and strengths in one stack.

With log-probabilities l_0, l_1 of a row, all maps of `structured.py` have log-odds of the second class

    t (l_1 - l_0) + d (l_1 + l_0) + e + c (curve(l_1) - curve(l_0)).

The penalty is the least one of all W and b with these log-odds, with strengths `1 / (1 + 1 / (8 f))` of (t - 1)^2,
`4 f` of d^2, `2 f` of e^2, and that of the curve; so the minima are those of the general problem. Temperature scaling
is the member with t alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from softreg.models.calibration.maps.map_designs import curve
from softreg.models.calibration.maps.odds_stack import fit_odds_stack
from softreg.models.calibration.maps.structured_map import (
    CURVE_STRENGTH,
    TEMPERATURE_STRENGTH,
    HeldOutFit,
    StructuredMap,
    bounded_logs,
)
from softreg.typing import Float64Array, IntArray

OFF_DIAGONAL, SKEW, BIAS = 8.0, 4.0, 2.0
"""Strengths of the difference between t and the mean scale, of d and of e, for the factor 1."""
FREE = {
    "temperature": (True, False, False, False),
    "structured": (True, True, True, False),
    "curved": (True, True, True, True),
}
"""Parameters (t, d, e, c) of each method."""


def fit_two_classes(
    P: Float64Array,
    y: IntArray,
    methods: Sequence[str],
    factors: Sequence[float],
    weights: Float64Array | None = None,
) -> dict[str, HeldOutFit]:
    """Fit methods of two classes, each with the factor of the smallest leave-one-out loss.

    Parameters
    ----------
    P : ndarray of shape (n, 2)
        Positive probabilities.
    y : ndarray of shape (n,)
        Class codes.
    methods : sequence of str
        Keys of `FREE`.
    factors : sequence of float
        Factors of the strengths.
    weights : ndarray of shape (n,), optional
        Weights of the rows, of mean 1.

    Returns
    -------
    dict of str to HeldOutFit
        The fit of each method.

    Examples
    --------
    >>> P = np.array([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.1, 0.9]] * 50)
    >>> fits = fit_two_classes(P, np.array([0, 0, 1, 1] * 50), ["temperature"], [1.0])
    >>> fits["temperature"].fitted.W.round(2)
    array([0.5, 0.5])
    """
    members = [(name, f) for name in methods for f in (factors if name != "temperature" else factors[:1])]
    L = bounded_logs(P)
    first, second = L[:, 0], L[:, 1]
    F = np.stack([second - first, second + first, np.ones(len(L)), np.subtract(*curve(L).T[::-1])], axis=1)
    strengths = np.array([_strengths(name, f) for name, f in members]).T
    free = np.array([FREE[name] for name, _ in members]).T
    fits = fit_odds_stack(F, y, np.array([1.0, 0.0, 0.0, 0.0]), strengths, free=free, weights=weights)
    found: dict[str, HeldOutFit] = {}
    least: dict[str, float] = {}
    for (name, f), fit in zip(members, fits, strict=True):
        loss = float(fit.losses.mean() if weights is None else fit.losses @ weights / len(y))
        if loss < least.get(name, np.inf):
            least[name] = loss
            found[name] = HeldOutFit(_map(name, f, fit.theta, fit.gap), fit.losses)
    return found


def _strengths(name: str, factor: float) -> tuple[float, float, float, float]:
    """Return the strengths of the four parameters."""
    scale = TEMPERATURE_STRENGTH / (1 + TEMPERATURE_STRENGTH / (OFF_DIAGONAL * factor))
    return (
        TEMPERATURE_STRENGTH if name == "temperature" else scale,
        SKEW * factor,
        BIAS * factor,
        CURVE_STRENGTH * factor,
    )


def _map(name: str, factor: float, theta: Float64Array, gap: float) -> StructuredMap:
    """Return the map with the log-odds of parameters (t, d, e, c) and the least penalty."""
    t, d, e, c = (float(value) for value in theta)
    if name == "temperature":
        return StructuredMap(np.full(2, t), np.zeros(2), 0.0, gap)
    mixed = (1 - t) / (1 + OFF_DIAGONAL * factor / TEMPERATURE_STRENGTH)
    scale = t + mixed
    W = np.array([[scale - d / 2, mixed - d / 2], [mixed + d / 2, scale + d / 2]])
    return StructuredMap(W, np.array([-e / 2, e / 2]), c, gap, factor)
