"""The record of a model's dual variables, which the kernels of dual coordinate ascent change in place."""

from __future__ import annotations

from dataclasses import dataclass

from softreg.typing import Array


@dataclass(frozen=True)
class Dual:
    """Dual variables and weights of one model, in float32, which `dual_steps` changes in place."""

    W: Array
    """Weights (d, q)."""
    bias: Array
    """Fixed part (q,) of the bias; the whole is `bias + bias_scale * bias_weights`."""
    bias_weights: Array
    """Weights (q,) of the constant column."""
    log_alpha: Array
    """Logarithms of the dual probabilities, (n, q)."""
    curvature: Array
    """`rate * (||x||^2 + bias_scale^2)` of each row, (n,)."""
    weights: Array | None
    """Row weights (n,), or None for ones."""
    divergence: Array
    """`KL(alpha || softmax(o))` of each row when it was last visited, (n,): its part of the duality gap."""
    bias_scale: float
    """Constant value of the column that carries the bias."""
    rate: float
    """`1 / (N strength)`."""
