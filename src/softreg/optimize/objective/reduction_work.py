"""Bytes and operations of one reduction over the rows, from the sizes of the arrays.

A reduction with `half_passes` products of the rows reads them once and takes 2 operations (a multiplication and an
addition) for each stored number, class, model and product. One that does other work says so in a method

    work(sizes, m, q) -> (readings of the rows, operations)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from softreg.rows import Rows


@dataclass(frozen=True, slots=True)
class RowSizes:
    """The sizes of some rows."""

    n: int
    d: int
    stored: int
    """Stored numbers."""
    stored_bytes: int
    """Bytes of one reading."""
    dtype: np.dtype[Any]
    """Precision of the products."""

    @classmethod
    def of(cls, rows: Rows) -> RowSizes:
        """Return the sizes of these rows."""
        return cls(rows.n, rows.d, rows.stored, rows.stored_bytes, rows.dtype)


class HasHalfPasses(Protocol):
    """A reduction that declares its products with the rows."""

    @property
    def half_passes(self) -> int:
        """Products with the rows, or with their transpose."""
        ...


def work_of(reduction: HasHalfPasses, sizes: RowSizes, m: int, q: int) -> tuple[float, float]:
    """Return the bytes of the rows that a reduction reads, and its operations.

    Parameters
    ----------
    reduction : reduction
        What is summed.
    sizes : RowSizes
        The rows.
    m, q : int
        Models of the stack, and classes.

    Returns
    -------
    bytes_read, operations : float

    Examples
    --------
    >>> from softreg.optimize.objective.loss_reductions import LossGradient, Mass
    >>> sizes = RowSizes(100, 5, 500, 4000, np.dtype(np.float64))
    >>> work_of(Mass(1), sizes, 1, 3)
    (0.0, 0.0)
    >>> work_of(LossGradient(None, None, None, ()), sizes, 2, 3)
    (4000.0, 12000.0)
    """
    own = getattr(reduction, "work", None)
    if own is None:
        products = reduction.half_passes
        return float(sizes.stored_bytes if products else 0), products * product_operations(sizes, m * q)
    readings, operations = own(sizes, m, q)
    return readings * sizes.stored_bytes, operations


def product_operations(sizes: RowSizes, columns: int) -> float:
    """Return the operations of a product of the rows with so many columns."""
    return 2.0 * sizes.stored * columns


def gram_operations(rows: float, columns: float) -> float:
    """Return the operations of a symmetric product `Z^T Z`, of which one half is computed."""
    return rows * columns**2


def pair_operations(sizes: RowSizes, m: int, q: int) -> float:
    """Return the operations of the sums of `p_k p_l z z^T`, (d + 1, d + 1) for each pair of classes."""
    return m * q * (q - 1) / 2 * gram_operations(sizes.n, sizes.d + 1.0)


def cholesky_operations(size: int) -> float:
    """Return the operations of the Cholesky factorization of a matrix with so many columns."""
    return size**3 / 3
