"""Solving with a Cholesky factor for a few right-hand sides: compiled where that is possible, SciPy otherwise.

The compiled way keeps half of the square, in the order in which it is read, reads it once each way for as many
right-hand sides as processors have room for, and leaves the interpreter to other threads meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg as sl

from softreg.rows.kernels import products as kernels
from softreg.typing import Array


@dataclass(frozen=True)
class Triangle:
    """A lower triangle L (k, k), float32 or float64, kept for `L L^T x = b`."""

    kept: Array
    """L itself, in Fortran order, or its panels of columns as one row of numbers."""

    @classmethod
    def of(cls, L: Array) -> Triangle:
        """The triangle of L (k, k) in Fortran order; what lies above its diagonal is not read.

        Example:
            >>> Triangle.of(np.asfortranarray(2 * np.eye(3))).dtype
            dtype('float64')
        """
        if kernels._module is None or not kernels._fit(L.T):
            return cls(L)
        panels = np.empty(kernels._module.packed_triangle(len(L)), L.dtype)
        kernels._module.pack_triangle(L.T, panels)
        return cls(panels)

    @property
    def compiled(self) -> bool:
        """Whether threads can solve side by side: SciPy holds the interpreter, so they would but wait for one another.

        What a right-hand side becomes does not depend then on which others are solved for with it, if there are any.
        """
        return self.kept.ndim == 1

    @property
    def dtype(self) -> np.dtype[np.floating]:
        """The precision of L."""
        return self.kept.dtype

    def solve(self, B: Array) -> None:
        """Each row b of B (r, k), in C order and the precision of L, becomes `L^-T (L^-1 b)`, in place.

        Example:
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
