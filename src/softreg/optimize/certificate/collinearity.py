"""Linearly dependent columns: without a penalty, the data do not determine their weights."""

from __future__ import annotations

import numpy as np
import scipy.linalg as sl

from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.objective.column_reductions import ColumnProducts
from softreg.optimize.objective.hessian import Columns
from softreg.rows import Array

DEPENDENT_SHARE = 1e-11
"""Share of its squared norm that the columns before it leave unexplained, up to which a column counts as dependent."""


def dependent(objective: Objective) -> tuple[int, ...]:
    """Return the columns that are linear combinations of the bias and the columns before them.

    Of columns that depend on each other, the last are returned. The method is Gram-Schmidt on the products of the
    columns, scaled to a unit diagonal: a Cholesky factorisation that leaves out dependent columns.

    Parameters
    ----------
    objective : Objective
        The rows, their weights and the coordinates.

    Returns
    -------
    tuple of int
        Indices of the dependent columns, in increasing order.

    Examples
    --------
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
    order = [d, *range(d)] if objective.fit_intercept else list(range(d))  # the bias comes first
    size = np.sqrt(np.diag(gram))
    norm = np.where(size > 0, size, 1.0)
    gram = gram / np.multiply.outer(norm, norm)
    independent: list[int] = []
    dependent_columns: list[int] = []
    L = np.zeros((len(order), len(order)))
    for j in order:
        r = len(independent)
        row = sl.solve_triangular(L[:r, :r], gram[independent, j], lower=True) if r else np.zeros(0)
        residual = gram[j, j] - row @ row
        if size[j] > 0 and residual > DEPENDENT_SHARE:
            L[r, :r], L[r, r] = row, np.sqrt(residual)
            independent.append(j)
        else:
            dependent_columns.append(j)
    return tuple(dependent_columns)


def _gram(objective: Objective) -> Array:
    """`sum_i V_i z_i z_i^T` with a one for the bias, (d + 1, d + 1), of the first model's weights."""
    gram: Array = objective.sum(ColumnProducts(Columns(objective), int(objective.members[0])))[0]
    gram[:-1, :-1][objective.coordinates.constant] = 0.0
    gram[:-1, :-1][:, objective.coordinates.constant] = 0.0
    return gram
