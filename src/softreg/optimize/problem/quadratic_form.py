"""A quadratic form on all parameters of a model: the negative logarithm of a Gaussian prior."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.optimize.problem.standardization import Coordinates
from softreg.typing import BoolArray, Float64Array

ZERO_CURVATURE = 1e-12
"""Curvature along a direction, relative to the largest, that counts as zero."""


@dataclass(frozen=True)
class QuadraticForm:
    """The form `(theta - center)' matrix (theta - center) / 2` of parameters theta (q, d + 1), bias last.

    Parameters
    ----------
    center : array of shape (q, d + 1)
        Parameters at which it is 0.
    matrix : array of shape (p, p)
        Positive semidefinite matrix, p = q (d + 1), class by class.

    Examples
    --------
    >>> form = QuadraticForm(np.array([[1.0, 0.0]]), np.diag([2.0, 1.0]))
    >>> form.value(np.array([[3.0, 1.0]])), form.gradient(np.array([[3.0, 1.0]])).tolist()
    (4.5, [[4.0, 1.0]])
    """

    center: Float64Array
    matrix: Float64Array

    def value(self, theta: Float64Array) -> float:
        """Return the form at parameters (q, d + 1)."""
        return float((self.gradient(theta) * (theta - self.center)).sum()) / 2

    def gradient(self, theta: Float64Array) -> Float64Array:
        """Return its gradient (q, d + 1)."""
        return np.asarray(self.matrix @ (theta - self.center).ravel()).reshape(theta.shape)

    def divided(self, divisor: float) -> QuadraticForm:
        """Return the form divided by a number."""
        return QuadraticForm(self.center, self.matrix / divisor)

    def in_coordinates(self, coordinates: Coordinates) -> QuadraticForm:
        """Return the form of the user's parameters as a function of those of the solver.

        Parameters
        ----------
        coordinates : Coordinates
            The solver's coordinates.

        Returns
        -------
        QuadraticForm
            The same form, of parameters in these coordinates.
        """
        d, q = len(coordinates.scale), len(self.center)
        to_user = np.zeros((d + 1, d + 1))
        to_user[:d, :d] = np.diag(1 / coordinates.scale)
        to_user[d, :d], to_user[d, d] = -coordinates.shift / coordinates.scale, 1.0
        blocks = self.matrix.reshape(q, d + 1, q, d + 1)
        matrix = np.einsum("ij,aibk,kl->ajbl", to_user, blocks, to_user, optimize=True).reshape(self.matrix.shape)
        center = coordinates.from_user(self.center[None, :, :d], self.center[None, :, d])[0]
        return QuadraticForm(center, (matrix + matrix.T) / 2)

    def is_invariant(self) -> BoolArray:
        """Return the columns (d + 1,) in which the same shift of all classes changes nothing, as booleans."""
        q, k = self.center.shape
        shift_curvature = np.einsum("ajbj->j", self.matrix.reshape(q, k, q, k))
        largest = np.einsum("ajaj->j", self.matrix.reshape(q, k, q, k)).max(initial=0.0)
        return np.asarray(shift_curvature <= ZERO_CURVATURE * largest)

    def least_curvature(self) -> float:
        """Return the smallest curvature along any direction in which it is not zero; 0 for a form of zero."""
        eigenvalues = np.linalg.eigvalsh(self.matrix)
        positive = eigenvalues[eigenvalues > ZERO_CURVATURE * max(eigenvalues[-1], 0.0)]
        return float(positive[0]) if len(positive) else 0.0
