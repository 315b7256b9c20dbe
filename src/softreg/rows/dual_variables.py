"""The record of a model's dual variables, which the kernels of dual coordinate ascent change in place."""

from __future__ import annotations

from dataclasses import dataclass

from softreg.typing import Array


@dataclass(frozen=True)
class Dual:
    """Dual variables and weights of one model, in float32, which `dual_steps` changes in place.

    Attributes
    ----------
    W : ndarray of shape (d, q)
        Weights.
    bias : ndarray of shape (q,)
        Fixed part of the bias; the whole is ``bias + bias_scale * bias_weights``.
    bias_weights : ndarray of shape (q,)
        Weights of the constant column.
    log_alpha : ndarray of shape (n, q)
        Logarithms of the dual probabilities.
    curvature : ndarray of shape (n,)
        ``rate * (||x||^2 + bias_scale^2)`` of each row.
    weights : ndarray of shape (n,) or None
        Row weights; None for ones.
    divergence : ndarray of shape (n,)
        ``KL(alpha || softmax(o))`` of each row at its last update, its part of the duality gap.
    bias_scale : float
        Constant value of the column that carries the bias.
    rate : float
        ``1 / (N strength)``.
    """

    W: Array
    bias: Array
    bias_weights: Array
    log_alpha: Array
    curvature: Array
    weights: Array | None
    divergence: Array
    bias_scale: float
    rate: float
