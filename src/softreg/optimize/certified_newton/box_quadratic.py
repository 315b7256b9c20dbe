"""Minimisation of a convex quadratic plus `kink |x|` within bounds, by an active set of variables and their signs.

A variable is held where it is 0 and has a kink, or where it is at a bound. Newton steps in the other variables end
where one of them reaches 0 or a bound, and it is held from then on. At their minimum the variable whose slope violates
the optimality conditions most is released. The value decreases in each round, so no active set occurs twice.

References
----------
Lee, Battle, Raina and Ng (2007), Efficient sparse coding algorithms.
Nocedal and Wright (2006), Numerical optimization, section 16.5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.linalg import TINY
from softreg.optimize.solvers.newton import factor_hessian
from softreg.rows import Array

ROUNDS_PER_VARIABLE, ROUNDS = 6, 20
"""Largest number of rounds of the active-set method: for each variable, and in addition."""
CHANGE_TOLERANCE, ZERO_TOLERANCE, GRADIENT_TOLERANCE = 1e-13, 1e-15, 1e-12
"""Relative tolerances: of a change, of a value that has crossed 0, and of the slope of a variable that is held."""


@dataclass(frozen=True)
class Box:
    """Coefficients of |x| and bounds of k variables.

    Parameters
    ----------
    kink : array of shape (k,)
        Coefficients of |x|, >= 0.
    low, high : array of shape (k,)
        Bounds, `low <= high`; infinite without a bound.
    """

    kink: Array
    low: Array
    high: Array

    def release_slope(self, x: Array, g: Array) -> tuple[Array, Array]:
        """Return size (k,) and sign (k,) of the slope along which a variable may decrease the value; 0 for none."""
        margin = self.kink * GRADIENT_TOLERANCE
        up = -(g + self.kink * np.where(x < 0, -1.0, 1.0)) - margin
        down = g + self.kink * np.where(x > 0, 1.0, -1.0) - margin
        up, down = np.where(x < self.high, up, 0.0), np.where(x > self.low, down, 0.0)
        return np.maximum(0.0, np.maximum(up, down)), np.where(up > down, 1.0, -1.0)


def minimise_box_quadratic(Q: Array, c: Array, box: Box, x: Array) -> Array:
    """Return the minimiser of `c x + x Q x / 2 + kink |x|` within bounds for a positive definite Q.

    Parameters
    ----------
    Q : array of shape (k, k)
        Positive definite matrix.
    c : array of shape (k,)
        Linear term.
    box : Box
        Coefficients of |x|, and bounds.
    x : array of shape (k,)
        Start; moved to the nearest bound where it is outside.

    Returns
    -------
    array of shape (k,)
        The minimiser.

    Examples
    --------
    >>> box = Box(np.ones(3), np.full(3, -np.inf), np.array([np.inf, np.inf, 1.5]))
    >>> minimise_box_quadratic(np.eye(3), np.array([-3.0, 0.5, -3.0]), box, np.zeros(3))
    array([2. , 0. , 1.5])
    """
    x, size = np.clip(x, box.low, box.high), np.sqrt(np.maximum(np.diag(Q), TINY))
    held = (x <= box.low) | (x >= box.high) | ((x == 0) & (box.kink > 0))
    sign = np.sign(x)
    for _ in range(ROUNDS_PER_VARIABLE * len(x) + ROUNDS):
        g = Q @ x + c
        F = np.flatnonzero(~held)
        if len(F):
            change = factor_hessian(Q[np.ix_(F, F)]).solve(-(g[F] + box.kink[F] * sign[F]))
            if (np.abs(change) * size[F]).max() > CHANGE_TOLERANCE * (1 + (np.abs(x[F]) * size[F]).max()):
                t = _best_step(Q, g, box, x, F, change)
                held[F] = _move(x, F, t * change, sign[F], box)
                sign = np.where(held & (x == 0), 0.0, np.where(x != 0, np.sign(x), sign))
                if t < 1.0 or held[F].any():
                    continue
                g = Q @ x + c
        decrease, direction = box.release_slope(x, g)
        decrease = np.where(held, decrease / size, 0.0)
        j = int(decrease.argmax())
        if not decrease[j] > 0:
            break
        held[j] = False
        sign[j] = direction[j] if x[j] == 0 else np.sign(x[j])
    return x


def _move(x: Array, F: Array, step: Array, sign: Array, box: Box) -> Array:
    """Move the variables F of x by a step, and return which of them have reached 0 or a bound."""
    moved, slack = x[F] + step, ZERO_TOLERANCE * np.abs(step)
    crossed = (box.kink[F] > 0) & (moved * sign <= slack)
    below, above = moved <= box.low[F] + slack, moved >= box.high[F] - slack
    x[F] = np.where(crossed, 0.0, moved)
    x[F] = np.where(below, box.low[F], np.where(above, box.high[F], x[F]))
    return np.asarray(crossed | below | above)


def _best_step(Q: Array, g: Array, box: Box, x: Array, F: Array, change: Array) -> float:
    """Return the best step length among those at which a variable crosses 0, and the longest one within the bounds."""
    with np.errstate(all="ignore"):
        crossing = -x[F] / change
        to_bound = np.where(change > 0, (box.high[F] - x[F]) / change, (box.low[F] - x[F]) / change)
    longest = float(np.min(to_bound, initial=1.0, where=change != 0))
    kink = box.kink[F]
    t = np.append(crossing[(crossing > 0) & (crossing < longest) & (kink > 0)], longest)
    bend, slope = float(change @ Q[np.ix_(F, F)] @ change), float(g[F] @ change)
    kinks = np.abs(x[F] + t[:, None] * change) @ kink
    return float(t[(slope * t + bend * t**2 / 2 + kinks).argmin()])
