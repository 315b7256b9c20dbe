"""Structured scaling of two classes: the fits of all methods and strengths in one stack.

With log-probabilities l_0, l_1 of a row, all maps of `structured.py` have log-odds of the second class

    t (l_1 - l_0) + d (l_1 + l_0) + e + c (curve(l_1) - curve(l_0)).

The penalty is the least one of all W and b with these log-odds, with strengths `1 / (1 + 1 / (8 f))` of (t - 1)^2,
`4 f` of d^2, `2 f` of e^2, and that of the curve; so the minima are those of the general problem. Temperature scaling
is the member with t alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

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
from softreg.typing import BoolArray, Float64Array, IntArray

OFF_DIAGONAL, SKEW, BIAS = 8.0, 4.0, 2.0
"""Strengths of the difference between t and the mean scale, of d and of e, for the factor 1."""
CENTER = np.array([1.0, 0.0, 0.0, 0.0])
"""Parameters (t, d, e, c) of the identity."""
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
    members, strengths, free = _members(tuple(methods), tuple(factors))
    fits = fit_odds_stack(_features(P), y, CENTER, strengths, free=free, weights=weights)
    least: dict[str, tuple[float, int]] = {}
    for k, ((name, _), fit) in enumerate(zip(members, fits, strict=True)):
        loss = float(fit.losses.sum() if weights is None else fit.losses @ weights)
        if name not in least or loss < least[name][0]:
            least[name] = loss, k
    return {
        name: HeldOutFit(_map(name, members[k][1], fits[k].theta, fits[k].gap), fits[k].losses)
        for name, (_, k) in least.items()
    }


def _features(P: Float64Array) -> Float64Array:
    """Return the features (n, 4) of the parameters t, d, e and c."""
    L = bounded_logs(P)
    first, second = L.T
    F = np.empty((4, len(L)))
    np.subtract(second, first, out=F[0])
    np.add(second, first, out=F[1])
    F[2] = 1.0
    bends = curve(L).T
    np.subtract(bends[1], bends[0], out=F[3])
    return F.T


@cache
def _members(
    methods: tuple[str, ...], factors: tuple[float, ...]
) -> tuple[list[tuple[str, float]], Float64Array, BoolArray]:
    """Return method and factor of each member of the stack, the strengths (4, m) and the free parameters (4, m)."""
    members = [(name, f) for name in methods for f in (factors if name != "temperature" else factors[:1])]
    strengths = np.array([_strengths(name, f) for name, f in members]).T
    return members, strengths, np.array([FREE[name] for name, _ in members]).T


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
