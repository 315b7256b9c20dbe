"""The record of a model's dual variables, which the kernels of dual coordinate ascent change in place."""

from __future__ import annotations

from dataclasses import dataclass

from softreg.typing import Array


@dataclass(frozen=True)
class Dual:
    """The state of one model, in float32, changed in place by `dual_steps`."""

    W: Array
    """Weights (d, q)."""
    bias: Array
    """What of the bias (q,) is fixed for now."""
    pull: Array
    """Weights (q,) of the constant column."""
    log_alpha: Array
    """Logarithms of the dual probabilities, (n, q)."""
    curvature: Array
    """`rate * (||x||^2 + reach^2)` of each row, (n,)."""
    weights: Array | None
    """Row weights (n,), or None for ones."""
    divergence: Array
    """`KL(alpha || softmax(o))` of each row when it was last visited, (n,): its part of the duality gap."""
    reach: float
    rate: float
    """`1 / (N strength)`."""
