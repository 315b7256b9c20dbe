"""Reductions of stochastic dual coordinate ascent: probabilities of a start, and the certificate of one model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.optimize.objective.stack_state import StackState
from softreg.probability import block_loss as loss
from softreg.rows import BackendArray, Block, Sums
from softreg.typing import Array, Float64Array, FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class LogProbabilities:
    """Logarithms (n, q) of the probabilities of one model, in float32, from prepared weights and bias (q,)."""

    prepared: BackendArray
    bias: Float64Array

    def evaluate(self, block: Block) -> FloatArray:
        """Return the logarithms for one block."""
        o = block.times(self.prepared)
        o += self.bias[:, None]
        return np.ascontiguousarray((o - loss.probabilities(o[None])[1]).T, dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class WeightsOfModel:
    """Row weights (n,) of model j of a stack, in float64."""

    state: StackState
    j: int

    def evaluate(self, block: Block) -> Float64Array:
        """Return the weights of one block."""
        V = self.state.weights(block)
        return np.ones(block.stop - block.start) if V is None else np.asarray(V[self.j % len(V)], dtype=np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class HeldOutRows:
    """The rows held out from model j, those with `held_out_by` (L, n) = j; their logits go to `logits` (L, n, q)."""

    held_out_by: IntArray
    j: int
    logits: FloatArray

    def write(self, block: Block, log_p: Float64Array) -> None:
        """Write the log-probabilities (q, b) of the held-out rows of a block."""
        held_out = self.held_out_by[:, block.start : block.stop] == self.j
        for layer in np.flatnonzero(held_out.any(axis=1)):
            index = np.flatnonzero(held_out[layer])
            self.logits[layer, block.start + index] = log_p[:, index].T


@dataclass(frozen=True, slots=True, eq=False)
class DualGap:
    """Summed cross-entropy (1,) and divergence `KL(alpha || softmax(o))` (1,) of model j; for rows in this process.

    `log_alpha` (n, q) are the logarithms of the dual probabilities, which are shifted by `shift` (q,). Their residuals
    are written to `residuals` (q, n), and the log-probabilities of held-out rows to `held_out`.
    """

    state: StackState
    j: int
    prepared: BackendArray
    bias: Float64Array
    log_alpha: FloatArray
    shift: Float64Array
    residuals: FloatArray
    held_out: HeldOutRows | None

    def evaluate(self, block: Block) -> Sums:
        """Return the sums of one block."""
        o = (block.times(self.prepared) + self.bias[:, None])[None]
        log_p = o - loss.probabilities(o)[1][:, None]
        if self.held_out is not None:
            self.held_out.write(block, log_p[0])
        log_a = shifted_log_alpha(self.log_alpha, block, self.shift)[None]
        A, V = np.exp(log_a), weights_of_model(self.state.weights(block), self.j)
        divergence = loss.weigh(np.einsum("mqb,mqb->mb", A, log_a - log_p), V)
        cross_entropy = loss.weigh(-loss.given(log_p, block.labels), V)
        self.residuals[:, block.start : block.stop] = loss.residual(A, block.labels, V)[0]
        return cross_entropy, divergence


@dataclass(frozen=True, slots=True, eq=False)
class DualBias:
    """Residual (q,) of model j at shifted dual probabilities, and with `with_curvature` the curvature (q, q)."""

    state: StackState
    j: int
    log_alpha: FloatArray
    shift: Float64Array
    with_curvature: bool

    def evaluate(self, block: Block) -> Sums:
        """Return the sums of one block."""
        V = weights_of_model(self.state.weights(block), self.j)
        o = shifted_log_alpha(self.log_alpha, block, self.shift)[None]
        if self.with_curvature:
            r, K = loss.bias_sums(o, block.labels, V)
            return r[0], K[0]
        return (loss.residual(np.exp(o), block.labels, V)[0].sum(axis=1),)


def shifted_log_alpha(log_alpha: FloatArray, block: Block, shift: Float64Array) -> Float64Array:
    """Return the logarithms (q, b) of a block's dual probabilities in float64, shifted by (q,) and normalized."""
    log_a = log_alpha[block.start : block.stop].T.astype(np.float64, order="C")
    log_a += shift[:, None]
    return np.asarray(log_a - loss.probabilities(log_a[None])[1])


def weights_of_model(V: Array | None, j: int) -> Array | None:
    """Return the weights (1, b) of model j among those of a stack."""
    return None if V is None else V[[j % len(V)]]
