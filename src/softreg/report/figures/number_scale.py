"""The axis of the numbers of a curve: without long tails, or by ranks where most rows are close together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import MaxNLocator

from softreg.typing import Float64Array

TAIL = 0.005
"""Share of the training rows beyond each end of a curve that is cut."""
LONG_TAIL = 2.0
"""How many times the range without the tails the whole range has to be for a curve to be cut."""
CROWDED = 0.06
"""Share of the axis within which the middle half of the rows has to lie for numbers to be spaced by their ranks."""
LONGEST_PLAIN = 1e6
"""Numbers from here on are written with an exponent where their digits are rounded."""
MOST_SPAN = 1e300
"""Half a range of numbers from which they are spaced by their ranks, as differences of larger ones overflow."""
TICKS = 5
"""Numbers that are written beside the axis, at most."""


@dataclass(frozen=True, eq=False)
class NumberScale:
    """Places of numbers on an axis.

    Attributes
    ----------
    places : array of float64 (k,)
        Place of each number.
    low, high : float
        Range of places that is drawn.
    ticks : tuple of float
        Places of the numbers that are written beside the axis.
    labels : tuple of str
        These numbers.
    remark : str
        How the axis differs from that of all numbers; "" where it does not.
    """

    places: Float64Array
    low: float
    high: float
    ticks: tuple[float, ...]
    labels: tuple[str, ...]
    remark: str


def number_scale(x: Float64Array, share: Float64Array) -> NumberScale:
    """Return the axis of numbers.

    Parameters
    ----------
    x, share : array of float64 (k,)
        Numbers, ascending, and the share of the rows at each.

    Returns
    -------
    NumberScale
        Places.

    Examples
    --------
    >>> number_scale(np.array([0.0, 5.0, 10.0]), np.array([0.3, 0.4, 0.3])).labels
    ('0', '2', '4', '6', '8', '10')
    """
    low, high = central_range(x, share)
    below = np.cumsum(share) - share / 2
    if high / 2 - low / 2 > MOST_SPAN:
        return _by_ranks(x, below)
    quarter, middle = np.interp([0.25, 0.75], below / max(float(share.sum()), np.finfo(float).tiny), x)
    if middle - quarter < CROWDED * (high - low) and len(x) > TICKS:
        return _by_ranks(x, below)
    ticks = [float(t) for t in MaxNLocator(TICKS).tick_values(low, high) if low <= t <= high]
    cut = len(x) > 1 and (low, high) != (float(x[0]), float(x[-1]))
    remark = f"drawn from {axis_number(low, 4)} to {axis_number(high, 4)}, without {TAIL:.1%} of the rows at each end"
    return NumberScale(x, low, high, tuple(ticks), tuple(axis_number(t) for t in ticks), remark if cut else "")


def _by_ranks(x: Float64Array, below: Float64Array) -> NumberScale:
    """Return places between 0 and 1, the mean of the share of the rows below a number and of its place among them."""
    ranks = (below - below[0]) / max(float(below[-1] - below[0]), np.finfo(float).tiny)
    places = (ranks + np.linspace(0, 1, len(x))) / 2
    chosen = np.unique([int(np.abs(places - at).argmin()) for at in np.linspace(0, 1, TICKS)])
    labels = tuple(axis_number(x[i], 3) for i in chosen)
    ticks = tuple(float(places[i]) for i in chosen)
    return NumberScale(places, 0.0, 1.0, ticks, labels, "numbers are spaced by their ranks")


def central_range(x: Float64Array, share: Float64Array) -> tuple[float, float]:
    """Return the range of the numbers that is drawn: without the tails, if these take most of the room.

    Parameters
    ----------
    x, share : array of float64 (k,)
        Numbers, ascending, and the share of the rows at each.

    Returns
    -------
    tuple of float
        Least and greatest number.

    Examples
    --------
    >>> central_range(np.array([0.0, 1.0, 2.0, 100.0]), np.array([0.3, 0.4, 0.299, 0.001]))
    (0.0, 2.0)
    """
    low, high = float(x[0]), float(x[-1])
    below = np.cumsum(share) / max(float(share.sum()), np.finfo(float).tiny)
    first = float(x[min(int(np.searchsorted(below, TAIL)), len(x) - 1)])
    last = float(x[min(int(np.searchsorted(below, 1 - TAIL)), len(x) - 1)])
    if last > first and high - low > LONG_TAIL * (last - first):
        low, high = first, last
    if not high > low:  # a constant
        low, high = low - 1, high + 1
    return low, high


def axis_number(x: float, digits: int = 6) -> str:
    """Return a number beside an axis: without an exponent up to a million.

    Returns
    -------
    str
        The number.

    Examples
    --------
    >>> axis_number(-2.50), axis_number(4918.0, 3), axis_number(2.5e7)
    ('−2.5', '4920', '2.5e+07')
    """
    text = f"{x:.{digits}g}"
    if "e+" in text and abs(x) < LONGEST_PLAIN:
        text = f"{float(text):.0f}"
    return text.replace("-", "−")
