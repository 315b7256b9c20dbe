"""A line search that costs no pass over the rows: logits are affine in the step."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from softreg.rows import Array

FLAT, FLAT_ENOUGH = 0.3, 0.7
"""A step is right when the slope has fallen to this share of the slope at 0; a full step, tried with a whole pass, may
keep more of it, since a better length would cost half a pass again (measured: 0.7 takes as many iterations as 0.3)."""
DECREASE = 1e-4
"""A step must gain at least this share of what the slope at 0 promises."""


def enough(
    t: Array,
    value: Array,
    rise: Array,
    start: Array,
    slope: Array,
    noise: Array,
    longest: Array | float = np.inf,
    flat: float = FLAT,
) -> Array:
    """Whether steps t (m,) with these values and slopes will do (strong Wolfe conditions, safe against rounding).

    Example:
        >>> one = np.ones(1)
        >>> enough(one, value=0 * one, rise=0 * one, start=one, slope=-2 * one, noise=0 * one)
        array([ True])
    """
    finite = np.isfinite(value) & np.isfinite(rise)
    gained = value <= start + DECREASE * t * slope + noise
    level = (np.abs(rise) <= flat * np.abs(slope)) | ((t >= longest) & (rise <= 0))
    return np.asarray(finite & gained & level)


def search(
    at: Callable[[Array], Array],
    start: Array,
    slope: Array,
    noise: Array,
    longest: Array | float = np.inf,
    flat: float = FLAT,
) -> Array:
    """Step lengths (m,) along descent directions of m convex functions, each by safeguarded Newton steps from 1 on.

    `at(t)` gives value, slope and curvature (3, m) at steps t. `start` and `slope` (< 0) are value and slope at 0.
    `noise` is the size of rounding errors in a value, `longest` the longest step allowed (1 or more), `flat` how much
    of the slope may be left. A step of 0 means that none was found.
    """
    t = np.ones(len(slope))
    low, high = np.zeros_like(t), np.full_like(t, np.inf)
    now = at(t)
    for _ in range(40):
        value, rise, bend = now
        done = enough(t, value, rise, start, slope, noise, longest, flat)
        if done.all():
            return t
        too_far = ~done & ~(np.isfinite(value) & np.isfinite(rise) & (rise <= 0))
        high = np.where(too_far, np.minimum(high, t), high)
        low = np.where(~done & ~too_far, t, low)
        t = np.where(done, t, np.minimum(longest, _next(t, low, high, rise, bend)))
        if (t < 1e-12).any():
            break
        now = at(t)
    best = np.isfinite(now[0]) & (now[0] <= start + noise)
    return np.where(best, t, 0.0)


def _next(t: Array, low: Array, high: Array, rise: Array, bend: Array) -> Array:
    """Newton's step for the slope, kept well inside the bracket (or at most ten times as far while there is none)."""
    with np.errstate(all="ignore"):
        newton = t - rise / bend
    ceiling = np.where(np.isinf(high), 10 * t, high)
    width = ceiling - low
    inside = (newton > low + 0.05 * width) & (newton < ceiling - 0.05 * width)
    return np.asarray(
        np.where(np.isfinite(newton) & inside, newton, np.where(np.isinf(high), 4 * t, low + 0.5 * width))
    )
