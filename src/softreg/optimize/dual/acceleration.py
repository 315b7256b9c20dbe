"""Accelerated proximal dual coordinate ascent: the anchor of the proximal term and its momentum.

`state` gives the formulas and references.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from softreg.typing import FloatArray

CACHED_NUMBERS = 32_768
"""Numbers of an array (d, q) that stay in the cache while several operations are applied to them."""


def row_runs(W: FloatArray) -> Iterator[slice]:
    """Yield runs of rows of W (d, q) that stay in the cache while several operations are applied to them."""
    size = max(1, CACHED_NUMBERS // W.shape[1])
    return (slice(first, first + size) for first in range(0, len(W), size))


def inner_product(V: FloatArray, W: FloatArray) -> float:
    """Return `<V, W>` of arrays (d, q), in float64.

    Returns
    -------
    float
        The sum of the products.

    Examples
    --------
    >>> inner_product(np.ones((3, 2)), np.full((3, 2), 0.5))
    3.0
    """
    return sum(float(np.vdot(V[run].astype(np.float64), W[run].astype(np.float64))) for run in row_runs(W))


class Momentum:
    """The proximal term `kappa / 2 ||W - anchor||^2` and the extrapolation of its anchor.

    The arrays `anchor` and `previous` (d, q) that are handed over are written to.
    """

    def __init__(
        self, strength: float, kappa: float, W: FloatArray, anchor: NDArray[np.float32], previous: NDArray[np.float32]
    ) -> None:
        self.strength, self.kappa, self.anchor, self.previous = strength, kappa, anchor, previous
        np.copyto(previous, W)
        self.gap = 0.0
        """What the distance of the weights from the anchor adds to the duality gap, in nats."""
        self.restarts = False
        """Whether the extrapolation would lead back, so that the momentum starts again."""
        share = np.sqrt(strength / (strength + kappa))
        self.extrapolation = np.float32((1 - share) / (1 + share))
        self.weight_shift = np.float32(kappa / (strength + kappa))

    def measure(self, W: FloatArray) -> None:
        """Compute `gap` and `restarts` for weights W (d, q)."""
        distance, progress = 0.0, 0.0
        for run in row_runs(W):
            from_anchor = W[run] - self.anchor[run]
            distance += float(np.vdot(from_anchor, from_anchor))
            progress += float(np.vdot(from_anchor, W[run] - self.previous[run]))
        self.gap, self.restarts = self.kappa**2 / (2 * self.strength) * distance, progress < 0

    def move_anchor(self, W: FloatArray) -> None:
        """Extrapolate the anchor after `measure`, and shift W (d, q) so that the dual probabilities stay the same."""
        extrapolation = np.float32(0) if self.restarts else self.extrapolation
        for run in row_runs(W):
            anchor = W[run] - self.previous[run]
            self.previous[run] = W[run]
            anchor *= extrapolation
            anchor += W[run]
            shift = anchor - self.anchor[run]
            shift *= self.weight_shift
            W[run] += shift
            self.anchor[run] = anchor
