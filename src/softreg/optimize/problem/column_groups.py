"""Groups of columns, and the minimum of a quadratic plus the norm of one group.

The quadratic of a group is given in the eigenbasis of its Hessian, where the minimum is a number to find. With
eigenvalues h >= 0, `c = h y0 - gradient(y0)` and radius r > 0, the minimiser y over all vectors of

    1/2 sum_i h_i y_i^2 - <c, y> + r ||y||_2

is 0 if `||c||_2 <= r`. Otherwise `(h_i + r / nu) y_i = c_i` with `nu = ||y||_2 > 0`, that is, nu is the root of

    sum_i c_i^2 / (h_i nu + r)^2 = 1.

The reciprocal of the root of the left-hand side is a power mean of exponent -2 of affine functions of nu, so it is
increasing and concave: Newton's method for its value 1 ascends monotonically from any point below the root, and a point
above it leads below in one step.

References
----------
Qin, Scheinberg and Goldfarb (2013), Efficient block-coordinate descent algorithms for the group lasso.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from softreg.typing import Array, BoolArray, Float64Array, IntArray

ROOT_TOLERANCE = 1e-12
"""Relative distance of the left-hand side from 1 at which the norm of a group is found."""
MOST_ROOT_STEPS = 60
"""Newton steps for the norm of a group, at most; a handful is usual."""


@dataclass(frozen=True, eq=False)
class ColumnGroups:
    """A partition of the columns.

    Parameters
    ----------
    codes : array of int of shape (d,)
        Group of each column, from 0.
    size : array of shape (d,)
        Number of columns of the group of each column, those outside a selection of columns included.

    Examples
    --------
    >>> groups = ColumnGroups.of(np.array([0, 1, 0]))
    >>> groups.total(np.array([[1.0, 2.0, 4.0]])).tolist(), groups.size.tolist()
    ([[5.0, 2.0, 5.0]], [2.0, 1.0, 2.0])
    """

    codes: IntArray
    size: Float64Array

    @classmethod
    def of(cls, codes: Array) -> ColumnGroups | None:
        """Return the groups of columns with equal codes; None if each column is a group of its own."""
        _, codes, count = np.unique(codes, return_inverse=True, return_counts=True)
        if (count == 1).all():
            return None
        return cls(codes.astype(np.intp), count[codes].astype(np.float64))

    @cached_property
    def first(self) -> IntArray:
        """The first column of each group that has a column here."""
        return np.unique(self.codes, return_index=True)[1]

    def total(self, values: Array) -> Float64Array:
        """Return the sum of values (m, d) over the group of each column, (m, d)."""
        count = int(self.codes.max(initial=0)) + 1
        sums = [np.bincount(self.codes, weights=row, minlength=count)[self.codes] for row in values]
        return np.stack(sums) if sums else np.zeros(values.shape)

    def keep_columns(self, columns: IntArray) -> ColumnGroups:
        """Return the groups of some columns, with the sizes of the whole groups."""
        return ColumnGroups(self.codes[columns], self.size[columns])

    def whole(self, marked: BoolArray) -> BoolArray:
        """Return a mask (m, d) of the columns of all groups of which a column is marked."""
        return self.total(marked.astype(np.float64)) > 0


def block_minimum(c: Float64Array, h: Float64Array, radius: float, norm: float) -> Float64Array:
    """Return the minimiser of `1/2 sum h y^2 - <c, y> + radius ||y||_2`, an array of the shape of c.

    Parameters
    ----------
    c, h : array
        Linear coefficients and curvatures >= 0; c is 0 where h and the radius are.
    radius : float
        Coefficient of the norm, >= 0.
    norm : float
        A guess of the norm of the minimiser.

    Returns
    -------
    array
        The minimiser.

    Examples
    --------
    >>> block_minimum(np.array([3.0, 4.0]), np.array([1.0, 1.0]), 2.5, 0.0)
    array([1.5, 2. ])
    """
    if radius == 0:
        return np.divide(c, h, out=np.zeros_like(c), where=h > 0)
    square = c * c
    if square.sum() <= radius * radius:
        return np.zeros_like(c)
    nu = norm
    for _ in range(MOST_ROOT_STEPS):
        t = h * nu + radius
        terms = square / (t * t)
        n = float(np.sqrt(terms.sum()))
        if abs(n - 1) <= ROOT_TOLERANCE:
            break
        slope = float((terms * h / t).sum())
        if slope <= 0:
            break
        following = max(nu + (n - 1) * n * n / slope, 0.0)
        if following == nu:
            break
        nu = following
    return nu * c / (h * nu + radius)
