"""Which columns say nothing of their own: without a penalty their weights are not determined by the data."""

from __future__ import annotations

import numpy as np
import scipy.linalg as sl

from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.objective.column_reductions import ColumnProducts
from softreg.optimize.objective.hessian import Columns
from softreg.rows import Array

SAME = 1e-11
"""A column of which those before it explain all but this share counts as a combination of them."""


def dependent(objective: Objective) -> tuple[int, ...]:
    """Columns that are constant beside a bias or linear combinations of those before them; () where there are none.

    Gram-Schmidt on the products of the columns (a Cholesky factorisation that leaves out what has nothing new), scaled
    to a unit diagonal. Of columns that depend on each other the last are named.

    Example:
        >>> from softreg.optimize import l2
        >>> from softreg.optimize.problem.standardization import standardise
        >>> from softreg.rows import as_rows
        >>> x = np.array([1.0, 2.0, 4.0, 3.0])
        >>> rows, coordinates = standardise(as_rows(np.c_[x, 5 - x, x**2], np.array([0, 1, 0, 1])), centred=True)
        >>> dependent(Objective(rows, 2, l2(np.zeros(1)), coordinates))
        (1,)
    """
    gram = _gram(objective)
    d = len(gram) - 1
    order = [d, *range(d)] if objective.fit_intercept else list(range(d))  # the bias is there first
    size = np.sqrt(np.diag(gram))
    there = np.where(size > 0, size, 1.0)
    gram = gram / np.multiply.outer(there, there)
    kept: list[int] = []
    lost: list[int] = []
    L = np.zeros((len(order), len(order)))
    for j in order:
        r = len(kept)
        row = sl.solve_triangular(L[:r, :r], gram[kept, j], lower=True) if r else np.zeros(0)
        rest = gram[j, j] - row @ row
        if size[j] > 0 and rest > SAME:
            L[r, :r], L[r, r] = row, np.sqrt(rest)
            kept.append(j)
        else:
            lost.append(j)
    return tuple(lost)


def _gram(objective: Objective) -> Array:
    """`sum_i V_i z_i z_i^T` with a one for the bias, (d + 1, d + 1), of the first model's weights."""
    gram: Array = objective.sum(ColumnProducts(Columns(objective), int(objective.members[0])))[0]
    gram[:-1, :-1][objective.coordinates.constant] = 0.0
    gram[:-1, :-1][:, objective.coordinates.constant] = 0.0
    return gram
