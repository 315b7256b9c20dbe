"""Products of a batch in standardized coordinates, by blocks of columns of bounded size."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import scipy.sparse as sp

from softreg.optimize.sgd.running_moments import RunningCoordinates, standardized
from softreg.typing import Float64Array, Matrix

BLOCK_WEIGHTS = 1 << 20
"""Weights (columns times classes) of a block of columns: 8 MB, of which a step holds about six arrays."""


class StandardizedBatch:
    """A batch `z = (x - centre) / scale` of rows, and its products with weights and residuals.

    Parameters
    ----------
    X : ndarray or csr_array of shape (n, d)
        Rows.
    coordinates : RunningCoordinates
        The coordinates.
    classes : int
        Number of classes.

    Attributes
    ----------
    centre, scale : ndarray of shape (d,)
        The coordinates.
    varies : ndarray of bool of shape (d,)
        Columns that are not constant.

    Examples
    --------
    >>> one = RunningCoordinates(np.array([1.0]), np.array([2.0]), np.array([True]))
    >>> StandardizedBatch(np.array([[3.0]]), one, 2).products(np.array([[1.0, -1.0]]))
    array([[ 2., -2.]])
    """

    def __init__(self, X: Matrix, coordinates: RunningCoordinates, classes: int) -> None:
        self.centre, self.scale, self.varies = coordinates.centre, coordinates.scale, coordinates.varies
        self._Z, self._offset = standardized(X, self.centre, self.scale)
        self._size = max(1, BLOCK_WEIGHTS // classes)
        self._gradient: list[tuple[Float64Array, Float64Array]] = []
        """Residuals and the gradient, where it is a single block."""
        if sp.issparse(self._Z) and self._Z.shape[1] > self._size:
            self._Z = self._Z.tocsc()  # its columns are sliced

    def products(self, W: Float64Array) -> Float64Array:
        """Return `(X - centre) W` (n, q) for weights (d, q) of the user's columns."""
        o = np.zeros((self._Z.shape[0], W.shape[1]))
        for columns, Z, offset in self._blocks():
            U = W[columns] * self.scale[columns, None]
            o += Z @ U
            o -= offset @ U
        return o

    def gradient(self, R: Float64Array) -> Iterator[tuple[slice, Float64Array]]:
        """Yield blocks of columns and their rows of the gradient `Z^T R` (d, q) for residuals R (n, q)."""
        r = R.sum(axis=0)
        for columns, Z, offset in self._blocks():
            if self._gradient and self._gradient[0][0] is R:
                yield columns, self._gradient[0][1]
                continue
            G = np.where(self.varies[columns, None], Z.T @ R - np.outer(offset, r), 0.0)
            if self._Z.shape[1] <= self._size:
                self._gradient = [(R, G)]
            yield columns, G

    def gradient_products(self, R: Float64Array) -> tuple[Float64Array, float]:
        """Return the products of the batch with its gradient `Z Z^T R` (n, q), and the squared norm of the gradient."""
        change, square = np.zeros_like(R), 0.0
        blocks = zip(self._blocks(), self.gradient(R), strict=True)
        for (_, Z, offset), (_, G) in blocks:
            change += Z @ G
            change -= offset @ G
            square += float(np.vdot(G, G))
        return change, square

    def _blocks(self) -> Iterator[tuple[slice, Matrix, Float64Array]]:
        """Yield blocks of columns, the standardized batch in them, and what is subtracted from each row."""
        d = self._Z.shape[1]
        for first in range(0, d, self._size):
            columns = slice(first, min(first + self._size, d))
            Z = self._Z if d <= self._size else self._Z[:, columns]
            yield columns, Z, self._offset[columns]
