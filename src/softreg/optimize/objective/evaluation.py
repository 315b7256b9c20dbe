"""Loss, gradient and Hessian of a stack of models, all from one reading of the rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.objective.hessian import Columns, assemble, pair_sums
from softreg.optimize.objective.reduction_work import RowSizes, pair_operations, product_operations
from softreg.optimize.objective.stack_state import StackState
from softreg.probability import block_loss as loss
from softreg.rows import Array, BackendArray, Block, Sums


@dataclass(frozen=True)
class Evaluation:
    """Value, gradient and Hessian of the smooth part of the objective.

    Attributes
    ----------
    value : ndarray of shape (m,)
    G : ndarray of shape (m, q, d + 1)
    H : ndarray of shape (m, p, p) or None
        For p = (q - 1) (d + 1) contrasts of the classes.
    """

    value: Array
    G: Array
    H: Array | None


@dataclass(frozen=True, slots=True, eq=False)
class ColumnSums:
    """Loss (m,), gradient (m q, d + 1), and pair sums where `curved`, from the standardised columns of the rows."""

    state: StackState
    columns: Columns
    theta: Array
    curved: bool

    @property
    def half_passes(self) -> int:
        """Cost; the Hessian takes about as long as another product with the rows."""
        return 3 if self.curved else 2

    def work(self, sizes: RowSizes, m: int, q: int) -> tuple[float, float]:
        """Return one reading, and the operations of two products and of the pair sums."""
        return 1.0, 2 * product_operations(sizes, m * q) + self.curved * pair_operations(sizes, m, q)

    def evaluate(self, block: Block) -> Sums:
        """Return the sums of one block."""
        flat, Z = self.theta.reshape(-1, self.theta.shape[2]), self.columns.whole(block)
        V = self.state.weights(block)
        o = (flat @ Z).reshape(*self.theta.shape[:2], -1)
        offset = block.offset
        if offset is not None:
            o += offset
        P, row_loss = loss.losses(o, block.labels)
        value = loss.weigh(row_loss, V)
        pairs = (pair_sums(self.columns, block, P, V),) if self.curved else ()
        return value, loss.residual(P, block.labels, V).reshape(len(flat), -1) @ Z.T, *pairs


@dataclass(frozen=True, slots=True, eq=False)
class RowSums:
    """Loss (m,), residual (m q,), gradient (m q, d) for the stored numbers, and pair sums where `curved`.

    `exact` takes the softmax of float32 logits in float64.
    """

    state: StackState
    columns: Columns
    prepared: BackendArray
    bias: Array
    curved: bool
    exact: bool

    @property
    def half_passes(self) -> int:
        """Cost; the Hessian takes about as long as another product with the rows."""
        return 3 if self.curved else 2

    def work(self, sizes: RowSizes, m: int, q: int) -> tuple[float, float]:
        """Return one reading, and the operations of two products and of the pair sums."""
        return 1.0, 2 * product_operations(sizes, m * q) + self.curved * pair_operations(sizes, m, q)

    def evaluate(self, block: Block) -> Sums:
        """Return the sums of one block."""
        m, q, dtype = self.state.m, self.state.q, block.dtype
        V = self.state.weights(block)
        o = np.empty((m * q, block.stop - block.start), dtype) if self.curved else None
        sums = None if self.exact else block.loss_and_gradient(self.prepared, self.bias.astype(dtype), q, V, o)
        if sums is not None:
            if o is None:
                return sums
            P, _ = loss.probabilities(o.reshape(m, q, -1))
            return *sums, pair_sums(self.columns, block, P, V)
        o = self.state.logits_at(block, self.prepared, self.bias.astype(np.float64 if self.exact else dtype))
        P, row_loss = loss.losses(o, block.labels)
        value = loss.weigh(row_loss, V)
        pairs = (pair_sums(self.columns, block, P, V),) if self.curved else ()
        R = loss.residual(P, block.labels, V).reshape(m * q, -1)
        return value, R.sum(axis=1), block.transposed_times(R.astype(dtype, copy=False)), *pairs


class PassEvaluator:
    """Evaluates an objective from one reading of the rows; the standardized columns of few rows are kept."""

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self.columns = Columns(objective, objective.rows.dtype)
        self.small = self.columns.keeps(objective.rows)
        self._state = objective.state
        """Members and row weights for the reductions; the parameters are arguments of these."""

    def read(self, theta: Array, curved: bool, careful: bool = True) -> Evaluation:
        """Return the smooth part of the objective at `theta`, with its Hessian if `curved`.

        Parameters
        ----------
        theta : ndarray of shape (m, q, d + 1)
        curved : bool
        careful : bool
            Compute the softmax of float32 logits in float64, as the certificate requires. Otherwise the fused
            kernel of the rows may be used.

        Returns
        -------
        Evaluation
        """
        if curved:
            with self.objective.meter.curvature():
                return self._read(theta, curved, careful)
        return self._read(theta, curved, careful)

    def _read(self, theta: Array, curved: bool, careful: bool) -> Evaluation:
        objective, (m, q, k) = self.objective, theta.shape
        if self._state.members is not objective.members:
            self._state = objective.state
        if self.small:
            sums = objective.sum(ColumnSums(self._state, self.columns, theta, curved))
            value, G = sums[0], sums[1].reshape(m, q, k)
        else:
            W, b = objective.coordinates.to_stored(theta)
            prepared = objective.rows.prepare(W.reshape(m * q, -1))
            exact = careful and objective.rows.dtype != np.float64
            sums = objective.sum(RowSums(self._state, self.columns, prepared, b.reshape(-1), curved, exact))
            value, r = sums[0], sums[1].reshape(m, q)
            G = objective.coordinates.gradient(np.ascontiguousarray(sums[2]).reshape(m, q, -1), r)
            G = np.concatenate([G, r[..., None] if objective.fit_intercept else np.zeros((m, q, 1))], axis=2)
        ridge_gradient = objective.ridge * theta
        G /= objective.mass[:, None, None]
        G += ridge_gradient
        value = value / objective.mass + np.einsum("mqk,mqk->m", ridge_gradient, theta) / 2
        return Evaluation(value, G, assemble(objective, sums[-1]) if curved else None)
