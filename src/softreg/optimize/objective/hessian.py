"""The exact Hessian of mean cross-entropy, as a sum over the pairs of classes.

The curvature of cross-entropy in the logits is a Laplacian whose edges are the pairs of classes,

    diag(p) - p p^T = sum over k < l of p_k p_l (e_k - e_l) (e_k - e_l)^T,

so the Hessian consists of one matrix per pair, `sum_i V_i p_ik p_il z_i z_i^T`. All of these terms are positive, so
none cancel, even at probabilities near 0 and 1. Softmax is invariant to a common shift of the classes, so the matrices
are combined for q - 1 orthonormal contrasts of the classes, for which the Hessian is definite.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Protocol

import numpy as np

from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.objective.reduction_work import RowSizes, pair_operations
from softreg.optimize.objective.stack_state import StackState
from softreg.optimize.problem.standardization import Coordinates
from softreg.probability import block_loss as loss
from softreg.rows import Array, Block, Rows, Sums

RUN_ROWS = 2048
"""Rows at a time whose weighted copies fit in the cache (measured: half the time of whole blocks)."""
MAX_PAIR_PRODUCT = 65_536
"""Largest count of numbers in a product for several pairs at once; larger products gain nothing."""
MIN_SYMMETRIC_COLUMNS = 40
"""From this many columns on, the symmetric product saves more than the square roots cost (measured: 43 yes, 21 no)."""
MAX_KEPT_NUMBERS = 65_536
"""Blocks of a single run and at most this many numbers keep their standardized copy between passes."""


@cache
def contrasts(q: int) -> Array:
    """Return orthonormal columns (q, q - 1), each of sum zero (Helmert contrasts).

    Returns
    -------
    ndarray of shape (q, q - 1)

    Examples
    --------
    >>> contrasts(2).round(4).T
    array([[ 0.7071, -0.7071]])
    """
    T = np.zeros((q, q - 1))
    for k in range(1, q):
        T[:k, k - 1] = 1.0
        T[k, k - 1] = -k
    T /= np.linalg.norm(T, axis=0)
    T.flags.writeable = False
    return T


@cache
def pairs(q: int) -> tuple[Array, Array, Array]:
    """Return the pairs of classes k < l, (e,) each, and the weight of each in the (q - 1)^2 blocks of the Hessian."""
    k, l = np.triu_indices(q, 1)
    T = contrasts(q)
    edge = T[k] - T[l]
    return k, l, np.ascontiguousarray(np.einsum("ea,ec->ace", edge, edge).reshape(-1, len(k)))


class HasCoordinates(Protocol):
    """The attributes of an objective that `Columns` reads."""

    coordinates: Coordinates
    fit_intercept: bool


class Columns:
    """Standardized columns of the rows and a column of ones for the bias, a run of rows at a time."""

    def __init__(self, objective: HasCoordinates, dtype: Any = np.float64) -> None:
        self.shift, self.scale = objective.coordinates.for_block()
        self.bias_column, self.dtype = float(objective.fit_intercept), dtype
        self.kept: dict[int, Array] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "kept": {}}  # columns are not pickled; they are computed again

    def keeps(self, rows: Rows) -> bool:
        """Return True if these rows are so few that their columns are kept."""
        return rows.n <= RUN_ROWS and rows.n * (rows.d + 1) <= MAX_KEPT_NUMBERS and self.dtype == np.float64

    def runs(self, block: Block) -> Iterator[tuple[slice, Array]]:
        """Yield the runs of rows of the block with their columns (d + 1, b)."""
        n = block.stop - block.start
        for a in range(0, n, RUN_ROWS):
            run = slice(a, min(a + RUN_ROWS, n))
            yield run, self._of(block, run)

    def whole(self, block: Block) -> Array:
        """Return the columns (d + 1, b) of all rows of the block as one run."""
        return self._of(block, slice(0, block.stop - block.start))

    def _of(self, block: Block, run: slice) -> Array:
        kept = self.kept.get(block.place + run.start)
        if kept is not None:
            return kept
        Z = block.piece(run.start, run.stop).standardised(self.shift, self.scale)
        out = np.empty((Z.shape[1] + 1, len(Z)), self.dtype)
        out[:-1], out[-1] = Z.T, self.bias_column
        if run.start == 0 and run.stop == block.stop - block.start and out.size <= MAX_KEPT_NUMBERS:
            self.kept[block.place] = out
        return out


def pair_sums(columns: Columns, block: Block, P: Array, V: Array | None) -> Array:
    """Return `sum_i V_i p_ik p_il z_i z_i^T` for each model and pair, (m, e, d + 1, d + 1)."""
    k, l, _ = pairs(P.shape[1])
    size = len(columns.shift) + 1
    out = np.zeros((len(P) * len(k), size, size))
    for run, Z in columns.runs(block):
        of_run = P[:, :, run]
        S = of_run.take(k, axis=1) * of_run.take(l, axis=1)
        if V is not None:
            S *= V[:, None, run]
        S = S.reshape(len(out), -1).astype(Z.dtype, copy=False)
        if size >= MIN_SYMMETRIC_COLUMNS:
            np.sqrt(S, out=S)
        step = max(1, MAX_PAIR_PRODUCT // Z.size)
        for a in range(0, len(out), step):
            half = S[a : a + step, None] * Z
            out[a : a + step] += half @ (half.transpose(0, 2, 1) if size >= MIN_SYMMETRIC_COLUMNS else Z.T)
    return out.reshape(len(P), len(k), size, size)


def assemble(objective: Objective, sums: Array) -> Array:
    """Return the Hessians (m, p, p) of loss and l2 part from the `pair_sums` of all rows, p = (q - 1) (d + 1)."""
    m, e, size, _ = sums.shape
    _, _, share = pairs(objective.q)
    a = objective.q - 1
    H = (share @ sums.reshape(m, e, -1)).reshape(m, a, a, size, size).transpose(0, 1, 3, 2, 4)
    H = H / objective.mass[:, None, None, None, None]
    ridge = np.einsum("maiai->mai", H)  # a view of the diagonal
    ridge += objective.ridge
    return np.asarray(H.reshape(m, a * size, a * size))


@dataclass(frozen=True, slots=True, eq=False)
class HessianSums:
    """The pair sums (m, e, d + 1, d + 1) at the point of the state, with the softmax in float64."""

    state: StackState
    columns: Columns
    half_passes: ClassVar[int] = 1

    def work(self, sizes: RowSizes, m: int, q: int) -> tuple[float, float]:
        """Return one reading, and the operations of the pair sums."""
        return 1.0, pair_operations(sizes, m, q)

    def evaluate(self, block: Block) -> Sums:
        """Return the sums of one block."""
        P, _ = loss.probabilities(self.state.logits(block).astype(np.float64))
        return (pair_sums(self.columns, block, P, self.state.weights(block)),)


@dataclass(frozen=True, slots=True, eq=False)
class FreeHessianSums:
    """The upper triangle (f, f) of the loss's Hessian in the free parameters of each model.

    `where` holds the free columns of each model and class, `ends` (q + 1,) of each model their offsets.
    """

    state: StackState
    columns: Columns
    where: tuple[list[Array], ...]
    ends: tuple[Array, ...]
    half_passes: ClassVar[int] = 0

    def work(self, sizes: RowSizes, m: int, q: int) -> tuple[float, float]:
        """Return one reading, and the operations of the products of the free columns."""
        return 1.0, float(sum(sizes.n * float(end[-1]) ** 2 for end in self.ends))

    def evaluate(self, block: Block) -> Sums:
        """Return the sums of one block."""
        P, _ = loss.probabilities(self.state.logits(block).astype(np.float64))
        V, sums = self.state.weights(block), [np.zeros((end[-1], end[-1])) for end in self.ends]
        for run, Z in self.columns.runs(block):
            for j, H in enumerate(sums):
                v = None if V is None else V[j % len(V), run]
                _add_classes(H, Z, P[j][:, run], v, self.where[j], self.ends[j])
        return tuple(sums)


def free_hessians(objective: Objective, columns: Columns, free: Array) -> list[Array]:
    """Return the Hessians of loss and l2 part in the free parameters of each model, at the kept logits.

    Parameters
    ----------
    objective : Objective
    columns : Columns
    free : ndarray of bool of shape (m, q, d + 1)

    Returns
    -------
    list of ndarray of shape (f, f)
        One matrix per model, class by class in the order of `np.nonzero(free[j])`.
    """
    where = tuple([np.flatnonzero(of_class) for of_class in of_model] for of_model in free)
    ends = tuple(np.cumsum([0, *(len(w) for w in of_model)]) for of_model in where)
    hessians = []
    for j, H in enumerate(objective.sum(FreeHessianSums(objective.state, columns, where, ends))):
        H = (np.triu(H) + np.triu(H, 1).T) / objective.mass[j]
        H[np.diag_indices_from(H)] += np.broadcast_to(objective.ridge[j], free[j].shape)[free[j]]
        hessians.append(H)
    return hessians


def _add_classes(H: Array, Z: Array, P: Array, v: Array | None, where: list[Array], ends: Array) -> None:
    """Add the Hessian terms of rows Z (d + 1, b) with probabilities P (q, b) for each pair of classes k <= l."""
    for k, free in enumerate(where):
        weighted = Z[free] * (P[k] if v is None else v * P[k])
        for l, other in enumerate(where[k:], k):
            if len(free) and len(other):
                curvature = weighted * ((k == l) - P[l])
                H[ends[k] : ends[k + 1], ends[l] : ends[l + 1]] += curvature @ Z[other].T
