"""Quadratic models of the loss in single weights of sparse columns, which are not copied as dense ones."""

from __future__ import annotations

import numpy as np

from softreg.optimize.curvature.subsampled import KeptProbabilities, MemberWeights
from softreg.optimize.objective.cached_logits import Objective
from softreg.rows import Rows, SparseRows
from softreg.rows.kernels.sparse_model import SparseColumns, can_minimise_sparse
from softreg.typing import Float64Array

MOST_ROWS = np.iinfo(np.int32).max
"""Rows whose numbers are of 32 bits."""
MAX_DENSITY = 0.1
"""Share of stored numbers up to which sparse columns cost less than dense ones, whose sweeps use vectors."""


def is_sparse(rows: Rows) -> bool:
    """Return True if models of sparse columns are compiled, and cost less than those of dense ones for these rows."""
    if not isinstance(rows, SparseRows) or not can_minimise_sparse() or rows.X.data.dtype.kind != "f":
        return False
    return rows.fits_in_memory and rows.n <= MOST_ROWS and rows.stored <= MAX_DENSITY * rows.n * rows.d


def sparse_columns(objective: Objective) -> SparseColumns | None:
    """Return the standardised columns and a last one for the bias, or None where dense ones cost less."""
    rows = objective.rows
    if not is_sparse(rows) or objective.coordinates.explicit:
        return None
    assert isinstance(rows, SparseRows)
    X = rows.X.tocsc()
    shift, scale = objective.coordinates.for_block()
    moves = ~objective.coordinates.constant
    indptr = np.append(X.indptr, X.indptr[-1]).astype(np.int64)
    inverse = np.append(np.where(moves, 1 / scale, 0.0), 1.0)
    zero = np.append(np.where(moves, -shift / scale, 0.0), float(objective.fit_intercept))
    return SparseColumns(np.ascontiguousarray(X.data), X.indices.astype(np.int32, copy=False), indptr, inverse, zero)


def exact_curvature(objective: Objective) -> tuple[Float64Array, Float64Array]:
    """Return the probabilities (m, q, n) at the kept logits, of sum 1, and the row weights (m, n), of sum 1."""
    P = np.ascontiguousarray(np.moveaxis(objective.map(KeptProbabilities(objective.state, np.float64)), 0, 2))
    P /= P.sum(axis=1, keepdims=True)
    V = np.asarray(objective.rows.map(MemberWeights(objective.state)), dtype=np.float64).T
    return P, np.ascontiguousarray(V / V.sum(axis=1, keepdims=True))
