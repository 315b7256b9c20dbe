"""Cholesky factors of symmetric positive definite matrices: scaling, jitter, solving, inverse, log-determinant.

A leaf on NumPy and SciPy. A matrix H is scaled to a unit diagonal before it is factored, so that a column in large
units or with a large ridge does not decide the rounding errors of the others. Where rounding has made the scaled matrix
indefinite, the first jitter on its diagonal with which it has a factor is used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg as sl

from softreg.typing import Array, Float64Array

TINY = 1e-300
"""Keeps a division by zero or a logarithm of zero finite."""


@dataclass(frozen=True)
class Cholesky:
    """The factor of `H + jitter * diag(scale**2) = S L L^T S` with `S = diag(scale)`."""

    L: Array
    """Lower triangle (k, k) in Fortran order, with zeros above the diagonal."""
    scale: Array | None
    """Scale (k,) of each row and column; None where L is the factor in the units of H."""
    jitter: float
    """What was added to the unit diagonal; inf where L is the diagonal of H alone."""
    exact: bool
    """Whether no jitter was needed and all scales are finite."""

    def merged(self) -> Cholesky:
        """Return the factor in the units of H; L is overwritten."""
        if self.scale is None:
            return self
        L = self.L
        L *= self.scale[:, None]
        return Cholesky(L, None, self.jitter, self.exact)

    def solve(self, b: Array) -> Array:
        """Return `H^-1 b` for b (k,) or (k, r).

        Returns
        -------
        Array
            Array of the shape of b.

        Examples
        --------
        >>> cholesky(np.array([[4.0, 2.0], [2.0, 2.0]])).solve(np.array([2.0, 2.0])).round(12)
        array([0., 1.])
        """
        if self.scale is None:
            return solve_factored(self.L, b)
        scale = self.scale if b.ndim == 1 else self.scale[:, None]
        return np.asarray(solve_factored(self.L, b / scale) / scale)

    def half_solve(self, b: Array) -> Array:
        """Return `L^-1 S^-1 b` for b (k, r), whose columns have the squared lengths `b^T H^-1 b`.

        Returns
        -------
        Array
            Array of the shape of b.

        Examples
        --------
        >>> cholesky(np.array([[4.0, 2.0], [2.0, 2.0]])).half_solve(np.array([[2.0], [2.0]])).ravel().round(12)
        array([1., 1.])
        """
        scaled = b if self.scale is None else b / self.scale[:, None]
        return np.asarray(sl.blas.dtrsm(1.0, self.L, scaled, lower=1))

    def inverse(self) -> Array:
        """Return `H^-1` (k, k)."""
        unit = solve_factored(self.L, np.eye(len(self.L)))
        return unit if self.scale is None else np.asarray(unit / np.multiply.outer(self.scale, self.scale))

    def inverse_diagonal(self) -> Array:
        """Return the diagonal (k,) of `H^-1`, a third of the work of the inverse.

        Returns
        -------
        Array
            The diagonal.

        Examples
        --------
        >>> cholesky(np.array([[2.0, 1.0], [1.0, 1.0]])).inverse_diagonal().round(12)
        array([1., 2.])
        """
        half = invert_lower(self.L)
        diagonal = np.einsum("ij,ij->j", half, half)
        return np.asarray(diagonal if self.scale is None else diagonal / self.scale**2)

    def diagonal(self) -> Array:
        """Return the diagonal (k,) of H, jitter included.

        Returns
        -------
        Array
            The diagonal.

        Examples
        --------
        >>> cholesky(np.array([[2.0, 1.0], [1.0, 1.0]])).diagonal().round(12)
        array([2., 1.])
        """
        squares = np.einsum("ij,ij->i", self.L, self.L)
        return np.asarray(squares if self.scale is None else squares * self.scale**2)

    def log_det(self) -> float:
        """Return `log det H`.

        Returns
        -------
        float
            The log-determinant.

        Examples
        --------
        >>> round(float(cholesky(np.diag([2.0, 8.0])).log_det() / np.log(2)), 12)
        4.0
        """
        half = np.log(np.diag(self.L)).sum()
        return float(2 * (half if self.scale is None else half + np.log(self.scale).sum()))


def cholesky(
    H: Array,
    *,
    jitter: Sequence[float] = (0.0,),
    min_pivot: float = 0.0,
    scaled: bool = True,
    unit_where_zero: bool = False,
) -> Cholesky:
    """Return the Cholesky factor of a symmetric positive definite matrix.

    Parameters
    ----------
    H
        Matrix (k, k); only its values are read.
    jitter
        Numbers added to the unit diagonal, tried in turn until the matrix has a factor. `inf` stands for the diagonal
        of H alone, which always has one.
    min_pivot
        Smallest diagonal element of L at which a factor without jitter is accepted.
    scaled
        Scale to a unit diagonal first. Without it the jitter is added to the diagonal of H.
    unit_where_zero
        Take 1 as the scale and the diagonal of columns whose diagonal element is not positive (a constant column
        without a penalty) instead of raising.

    Returns
    -------
    Cholesky
        The factor with its scales and the jitter used.

    Raises
    ------
    numpy.linalg.LinAlgError
        If H has no factor with any jitter.

    Examples
    --------
    >>> cholesky(np.array([[1.0, 1.0], [1.0, 1.0]]), jitter=(0.0, 1e-6)).jitter
    1e-06
    """
    if not scaled:
        return _first_factor(lambda: np.array(H, order="F"), None, jitter, min_pivot)
    diagonal = H.diagonal()
    if not unit_where_zero and not (diagonal > 0).all():
        raise np.linalg.LinAlgError("the matrix is not positive definite: its diagonal is not positive")
    scale = np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    return _first_factor(
        lambda: np.divide(H, np.multiply.outer(scale, scale), order="F"), scale, jitter, min_pivot, unit=True
    )


def cholesky_with_diagonal(H: Array, diagonal: Float64Array, jitter: Sequence[float]) -> Cholesky:
    """Return the factor of `H + diag(diagonal)` in the precision of H.

    Parameters
    ----------
    H
        Matrix (k, k), float32 or float64, in C order.
    diagonal
        What is added to the diagonal (k,), in float64.
    jitter
        As in `cholesky`.

    Returns
    -------
    Cholesky
        The factor in the precision of H, scales in float64.
    """
    scale = np.sqrt(np.diag(H).astype(np.float64) + diagonal)
    shrink = (1 / scale).astype(H.dtype)

    def unit() -> Array:
        # reciprocals, in place: for the large matrices of a preconditioner half the time of a quotient
        scaled = H * shrink
        scaled *= shrink[:, None]
        return np.asarray(scaled.T)

    return _first_factor(unit, scale, jitter, 0.0, unit=True)


def _first_factor(
    matrix: Callable[[], Array],
    scale: Array | None,
    jitter: Sequence[float],
    min_pivot: float,
    unit: bool = False,
) -> Cholesky:
    """Return the factor with the first jitter that gives one; `matrix()` is overwritten, and formed again if needed.

    The diagonal becomes `1 + jitter` where `unit` is true, otherwise the jitter is added to it.

    Returns
    -------
    Cholesky
        The factor.

    Raises
    ------
    numpy.linalg.LinAlgError
        If no jitter gives a factor.
    """
    for added in jitter:
        A = matrix()
        if added == np.inf:
            diagonal = np.ones(len(A)) if unit else A.diagonal()
            return Cholesky(np.asfortranarray(np.diag(diagonal).astype(A.dtype)), scale, added, False)
        A.flat[:: len(A) + 1] = 1.0 + added if unit else A.diagonal() + added
        factorize = sl.lapack.spotrf if A.dtype == np.float32 else sl.lapack.dpotrf
        L, failed = factorize(A, lower=1, clean=1, overwrite_a=1)
        if not failed and (added or not min_pivot or L.diagonal().min() > min_pivot):
            exact = added == 0.0 and (scale is None or bool(np.isfinite(scale).all()))
            return Cholesky(L, scale, added, exact)
    raise np.linalg.LinAlgError("the matrix is not positive definite")


def solve_factored(L: Array, b: Array) -> Array:
    """Return `(L L^T)^-1 b` for a lower triangle L (k, k) and b (k,) or (k, r).

    Returns
    -------
    Array
        Array of the shape of b.

    Examples
    --------
    >>> solve_factored(np.array([[2.0, 0.0], [1.0, 1.0]], order="F"), np.ones(2))
    array([0. , 0.5])
    """
    x, _ = sl.lapack.dpotrs(L, b, lower=1)
    return np.asarray(x)


def inverse_factored(L: Array) -> Array:
    """Return `(L L^T)^-1` (k, k) for a lower triangle L.

    Returns
    -------
    Array
        The symmetric inverse.

    Examples
    --------
    >>> inverse_factored(np.asfortranarray(2 * np.eye(2)))
    array([[0.25, 0.  ],
           [0.  , 0.25]])
    """
    inverse, _ = sl.lapack.dpotri(L, lower=1)
    return np.asarray(np.tril(inverse) + np.tril(inverse, -1).T)


def invert_lower(L: Array) -> Array:
    """Return `L^-1` (k, k) for a lower triangle L, float32 or float64.

    Parameters
    ----------
    L
        The triangle, with zeros above the diagonal.

    Returns
    -------
    Array
        A lower triangle.

    Examples
    --------
    >>> invert_lower(np.array([[2.0, 0.0], [1.0, 1.0]], order="F"))
    array([[ 0.5,  0. ],
           [-0.5,  1. ]])
    """
    (invert,) = sl.get_lapack_funcs(("trtri",), (L,))
    return np.asarray(invert(L, lower=True)[0])
