"""The anchor that draws a climb, and its momentum (`ascent.py` says why); arrays (d, q) that are used again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from softreg.rows import Array

RUN = 32_768
"""Numbers of an array (d, q) that are taken at once."""


class BufferPool:
    """Arrays (d, q) by name, for one climb after another: fresh memory costs more than what is written to it."""

    def __init__(self, d: int, q: int) -> None:
        self.shape, self.arrays = (d, q), {}  # type: tuple[int, int], dict[tuple[str, Any], Array]

    def __call__(self, name: str, dtype: Any = np.float32) -> Array:
        """The array of this name, with whatever it holds."""
        key = name, np.dtype(dtype)
        if key not in self.arrays:
            self.arrays[key] = np.empty(self.shape, dtype)
        return self.arrays[key]


def runs(W: Array) -> Iterator[slice]:
    """Rows of W (d, q) that stay in the cache while several things are done with them, run by run."""
    size = max(1, RUN // W.shape[1])
    return (slice(at, at + size) for at in range(0, len(W), size))


def inner(V: Array, W: Array) -> float:
    """`<V, W>` of arrays (d, q), in float64.

    Example:
        >>> inner(np.ones((3, 2)), np.full((3, 2), 0.5))
        3.0
    """
    return sum(float(np.vdot(V[at].astype(np.float64), W[at].astype(np.float64))) for at in runs(W))


class Momentum:
    """The pull towards an anchor, and how far the anchor moves on; it writes over the arrays (d, q) that it is given.

    The weights begin at W, and `last` keeps those of the last move.
    """

    def __init__(self, strength: float, kappa: float, W: Array, anchor: Array, last: Array) -> None:
        self.strength, self.kappa, self.anchor, self.last = strength, kappa, anchor, last
        np.copyto(last, W)
        self.gap, self.back = 0.0, False
        share = np.sqrt(strength / (strength + kappa))
        self.on, self.follow = np.float32((1 - share) / (1 + share)), np.float32(kappa / (strength + kappa))

    def look(self, W: Array) -> None:
        """See what the distance from the anchor adds to the gap, in nats, and whether the way on leads back."""
        far, on = 0.0, 0.0
        for at in runs(W):
            away = W[at] - self.anchor[at]
            far += float(np.vdot(away, away))
            on += float(np.vdot(away, W[at] - self.last[at]))
        self.gap, self.back = self.kappa**2 / (2 * self.strength) * far, on < 0

    def take_step(self, W: Array) -> None:
        """After `look`: move the anchor on, and the weights with it, as the same dual probabilities then say."""
        on = np.float32(0) if self.back else self.on  # begin anew from here
        for at in runs(W):
            step = W[at] - self.last[at]
            self.last[at] = W[at]
            step *= on
            step += W[at]
            away = step - self.anchor[at]
            away *= self.follow
            W[at] += away
            self.anchor[at] = step
