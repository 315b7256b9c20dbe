"""Solving with a Cholesky factor for a few right-hand sides: compiled if possible, otherwise by SciPy.

The compiled code stores half of the square in the order in which it is read. It reads the factor once in each direction
for as many right-hand sides as the registers hold, and releases the interpreter lock.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg as sl

from softreg.rows.kernels import products as kernels
from softreg.typing import Array


@dataclass(frozen=True)
class Triangle:
    """A lower triangle L (k, k), float32 or float64, prepared for solving `L L^T x = b`.

    Attributes
    ----------
    kept : ndarray
        L in Fortran order, or its panels of columns as one array (p,).

    Examples
    --------
    >>> B = np.ones((1, 2))
    >>> Triangle.of(np.array([[2.0, 0.0], [1.0, 1.0]], order="F")).solve(B)
    >>> B.tolist()
    [[0.0, 0.5]]
    """

    kept: Array

    @classmethod
    def of(cls, L: Array) -> Triangle:
        """Return the triangle of L; entries above its diagonal are not read.

        Parameters
        ----------
        L : ndarray of shape (k, k)
            In Fortran order.

        Returns
        -------
        Triangle

        Examples
        --------
        >>> Triangle.of(np.asfortranarray(2 * np.eye(3))).dtype
        dtype('float64')
        """
        if kernels._module is None or not kernels._supported(L.T):
            return cls(L)
        panels = np.empty(kernels._module.packed_triangle(len(L)), L.dtype)
        kernels._module.pack_triangle(L.T, panels)
        return cls(panels)

    @property
    def compiled(self) -> bool:
        """Whether threads can solve in parallel; SciPy holds the interpreter lock.

        The compiled solution of a right-hand side does not depend on the other right-hand sides.
        """
        return self.kept.ndim == 1

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """Dtype of L."""
        return self.kept.dtype

    def solve(self, B: Array) -> None:
        """Replace each row b of B by `L^-T (L^-1 b)`, in place.

        Parameters
        ----------
        B : ndarray of shape (r, k)
            In C order, of the dtype of L.

        Examples
        --------
        >>> B = np.ones((1, 2))
        >>> Triangle.of(np.array([[2.0, 0.0], [1.0, 1.0]], order="F")).solve(B)
        >>> B.tolist()
        [[0.0, 0.5]]
        """
        if self.compiled:
            kernels._module.solve_triangle(self.kept, B)
        elif len(B) == 1:
            (solve,) = sl.get_blas_funcs(("trsv",), (self.kept,))
            B[0] = solve(self.kept, solve(self.kept, B[0], lower=1), lower=1, trans=1)
        else:
            (solve,) = sl.get_blas_funcs(("trsm",), (self.kept,))
            B[...] = solve(1.0, self.kept, solve(1.0, self.kept, B.T, lower=1), lower=1, trans_a=1).T
