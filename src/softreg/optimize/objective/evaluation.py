"""Loss, gradient and Hessian of a stack of models, all from one reading of the rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from softreg.optimize.objective.cached import Objective
from softreg.optimize.objective.hessian import Columns, assemble, pair_sums
from softreg.probability import blocks as loss
from softreg.rows import Array, Block, Sums


@dataclass(frozen=True)
class Evaluation:
    """The objective's value (m,) and gradient (m, q, d + 1), both without an l1 part, and Hessians (m, p, p) or None;
    p = (q - 1) (d + 1), for contrasts of the classes."""

    value: Array
    G: Array
    H: Array | None


class PassEvaluator:
    """Reads the rows of an objective; so few rows that their standardised columns can be kept are read from those."""

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self.columns = Columns(objective, objective.rows.dtype)
        self.small = self.columns.keeps(objective.rows)

    def read(self, theta: Array, curved: bool, careful: bool = True) -> Evaluation:
        """The objective at `theta` (m, q, d + 1), with its Hessian where `curved`.

        `careful` takes the softmax of float32 logits in float64, as the certificate asks; otherwise the fused kernel
        of the rows may serve.
        """
        objective, (m, q, k) = self.objective, theta.shape
        objective.half_passes += 3 if curved else 2
        if self.small:
            sums = objective.rows.sum(self._from_columns(theta, curved))
            value, G = sums[0], sums[1].reshape(m, q, k)
        else:
            sums = objective.rows.sum(self._from_rows(theta, curved, careful))
            value, r = sums[0], sums[1].reshape(m, q)
            G = objective.coordinates.gradient(np.ascontiguousarray(sums[2]).reshape(m, q, -1), r)
            G = np.concatenate([G, r[..., None] if objective.fit_intercept else np.zeros((m, q, 1))], axis=2)
        pull = objective.ridge[:, None, :] * theta
        G /= objective.mass[:, None, None]
        G += pull
        value = value / objective.mass + np.einsum("mqk,mqk->m", pull, theta) / 2
        return Evaluation(value, G, assemble(objective, sums[-1]) if curved else None)

    def _from_columns(self, theta: Array, curved: bool) -> Any:
        """Loss (m,), gradient (m q, d + 1) and pair sums of a block from its standardised columns."""
        objective, flat = self.objective, theta.reshape(-1, theta.shape[2])

        def part(block: Block) -> Sums:
            ((_, Z),) = self.columns.runs(block)
            V = objective.weights(block)
            o = (flat @ Z).reshape(*theta.shape[:2], -1)
            P, lost = loss.losses(o, block.labels)
            value = loss.weigh(lost, V)
            bends = (pair_sums(self.columns, block, P, V),) if curved else ()
            return value, loss.residual(P, block.labels, V).reshape(len(flat), -1) @ Z.T, *bends

        return part

    def _from_rows(self, theta: Array, curved: bool, careful: bool) -> Any:
        """Loss (m,), residual (m q,), gradient (m q, d) for the stored numbers, and pair sums of a block."""
        objective, (m, q, _) = self.objective, theta.shape
        W, b = objective.coordinates.to_stored(theta)
        prepared, bias = objective.rows.prepare(W.reshape(m * q, -1)), b.reshape(-1)
        dtype = objective.rows.dtype
        exact = careful and dtype != np.float64

        def part(block: Block) -> Sums:
            V = objective.weights(block)
            o = np.empty((m * q, block.stop - block.start), dtype) if curved else None
            sums = None if exact else block.loss_and_gradient(prepared, bias.astype(dtype), q, V, o)
            if sums is not None:
                if o is None:
                    return sums
                P, _ = loss.probabilities(o.reshape(m, q, -1))
                return *sums, pair_sums(self.columns, block, P, V)
            o = (block.times(prepared) + bias[:, None].astype(np.float64 if exact else dtype)).reshape(m, q, -1)
            P, lost = loss.losses(o, block.labels)
            value = loss.weigh(lost, V)
            bends = (pair_sums(self.columns, block, P, V),) if curved else ()
            R = loss.residual(P, block.labels, V).reshape(m * q, -1)
            return value, R.sum(axis=1), block.transposed_times(R.astype(dtype, copy=False)), *bends

        return part
