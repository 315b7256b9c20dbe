"""Isotonic recalibration: a nondecreasing step function of each class, joined by straight lines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.typing import Array, BoolArray, Float64Array, IntArray

MOST_KEPT, KEPT_ROWS = 0.05, 10
"""Share of the original probability mixed into isotonic regression: at most the first, and as much as so many rows of
each class have."""
LEAST_KNOT = 1e-290
"""Probabilities below it count as 0 in the fit, as the slope between two of them would overflow."""


@dataclass(frozen=True, eq=False)
class Steps:
    """The map of one class by linear interpolation through (knots, values), constant beyond the first and the last.

    Attributes
    ----------
    knots, values : ndarray of shape (k,)
        Increasing probabilities, and nondecreasing recalibrated ones.
    """

    knots: Float64Array
    values: Float64Array


@dataclass(frozen=True, eq=False)
class Isotonic:
    """Isotonic regression of each class against the others; rows are then divided by their sum.

    The step functions can be 0 or 1, so the share `kept` of the original probability is mixed in.

    Attributes
    ----------
    steps : tuple of Steps
        Map of each class.
    kept : float
        Share of the original probability.

    References
    ----------
    Meyer and Woodroofe (2000), On the degrees of freedom in shape-restricted regression.
    """

    steps: tuple[Steps, ...]
    kept: float

    @property
    def parameters(self) -> float:
        """Return the degrees of freedom of the fit: its levels, less those that the sums of the rows determine."""
        q = len(self.steps)
        return sum(len(np.unique(step.values)) for step in self.steps) * (q - 1) / q

    def apply(self, P: Float64Array) -> Float64Array:
        """Map the probability of each class by its step function."""
        mapped = np.empty(P.shape[::-1])
        for k, step in enumerate(self.steps):
            order = np.argsort(P[:, k])  # of sorted values, each is found at once
            mapped[k, order] = np.interp(P[order, k], step.knots, step.values)
        mass = mapped.sum(axis=0)
        if (mass > 0).all():
            mapped /= mass
        else:
            mapped = np.divide(mapped, mass, out=P.T.copy(), where=mass > 0)
        shared = np.multiply(mapped.T, 1 - self.kept, order="C")
        shared += self.kept * P
        return shared


def fit_isotonic(P: Float64Array, y: IntArray, weights: Float64Array | None = None) -> Isotonic:
    """Fit isotonic regression for each class against the others.

    Parameters
    ----------
    P : ndarray of shape (n, q)
        Probabilities.
    y : ndarray of shape (n,)
        Class codes.
    weights : ndarray of shape (n,), optional
        Weights of the rows, above 0.

    Returns
    -------
    Isotonic
        The map.

    Examples
    --------
    >>> P = np.array([[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.1, 0.9]])
    >>> fit_isotonic(P, np.array([0, 1, 0, 1])).steps[1].values.tolist()
    [0.0, 0.5, 0.5, 1.0]
    """
    return IsotonicRows.of(P, y, weights).fit()


@dataclass(frozen=True, eq=False)
class SortedClass:
    """The rows in the order of the probabilities of a class.

    Attributes
    ----------
    order : ndarray of shape (n,)
        Row numbers in the order of the probabilities.
    distinct : ndarray of shape (u,)
        Distinct probabilities, increasing.
    place : ndarray of shape (n,)
        Place of the probability of each row of `order` among the distinct ones.
    mass, occurred : ndarray of shape (n,)
        Weight of each row of `order`, and the weight where its label is the class and 0 elsewhere.
    """

    order: IntArray
    distinct: Float64Array
    place: IntArray
    mass: Float64Array
    occurred: Float64Array


@dataclass(frozen=True, eq=False)
class IsotonicRows:
    """Rows for isotonic regression, sorted once for the fit of all rows and those without a fold.

    Of two classes, the rows are sorted by the probability of the second, whose map gives that of the first.

    Attributes
    ----------
    P : ndarray of shape (n, q)
        Probabilities.
    y : ndarray of shape (n,)
        Class codes.
    classes : tuple of SortedClass
        Each class; the second of two.
    """

    P: Float64Array
    y: IntArray
    classes: tuple[SortedClass, ...]

    @classmethod
    def of(cls, P: Float64Array, y: IntArray, weights: Float64Array | None = None) -> IsotonicRows:
        """Return the rows of probabilities (n, q), codes (n,) and weights (n,)."""
        mass = np.ones(len(y)) if weights is None else weights
        names = (1,) if P.shape[1] == 2 else range(P.shape[1])
        return cls(P, y, tuple(_sorted_class(P[:, k], mass, y == k) for k in names))

    def fit(self) -> Isotonic:
        """Return the map of all rows."""
        q = self.P.shape[1]
        steps = tuple(
            _steps(one.distinct, np.bincount(one.place, one.occurred), np.bincount(one.place, one.mass))
            for one in self.classes
        )
        return Isotonic((_complement(steps[0]), *steps) if q == 2 else steps, _kept(q, len(self.y)))

    def losses(self, fitted: Isotonic) -> Float64Array:
        """Return the log loss (n,) of each row by a map of all rows."""
        order = self.classes[0].order  # sorted values are found sooner
        columns = zip(self.P[order].T, fitted.steps, strict=True)
        mapped = np.stack([np.interp(p, step.knots, step.values) for p, step in columns])
        return self._losses(order, mapped, fitted.kept)

    def fold_losses(self, fold: IntArray) -> Float64Array:
        """Return the log loss (n,) of each row by the map of the rows of other folds, which are numbered from 0."""
        n, q = self.P.shape
        first = self.classes[0].order
        rows = first[np.argsort(fold[first], kind="stable")]  # by folds, and by probabilities in each
        sizes = np.bincount(fold)
        ends = np.cumsum(sizes)
        parts = [slice(end - size, end) for size, end in zip(sizes.tolist(), ends.tolist(), strict=True)]
        maps = [_maps_without_folds(one, fold, len(sizes)) for one in self.classes]
        if q == 2:
            maps.insert(0, [_complement(steps) for steps in maps[0]])
        columns, mapped = np.ascontiguousarray(self.P[rows].T), np.empty((q, n))
        for k, every in enumerate(maps):
            for steps, part in zip(every, parts, strict=True):
                mapped[k, part] = np.interp(columns[k, part], steps.knots, steps.values)
        return self._losses(rows, mapped, np.repeat([_kept(q, n - size) for size in sizes.tolist()], sizes))

    def _losses(self, rows: IntArray, mapped: Float64Array, kept: Float64Array | float) -> Float64Array:
        """Return the log losses (n,) from the step functions (q, n) of rows in another order, and the shares kept."""
        y = self.y[rows]
        own, mass = self.P[rows, y], mapped.sum(axis=0)
        shared = np.divide(mapped[y, np.arange(len(y))], mass, out=own.copy(), where=mass > 0)
        losses = np.empty(len(y))
        with np.errstate(divide="ignore"):
            losses[rows] = 0.0 - np.log(np.minimum((1 - kept) * shared + kept * own, 1.0))
        return losses


def _kept(q: int, n: int) -> float:
    """Return the share of the original probability that the map of n rows keeps."""
    return min(MOST_KEPT, KEPT_ROWS * q / n)


def _sorted_class(p: Float64Array, mass: Float64Array, own: BoolArray) -> SortedClass:
    """Return the sorted form of the probabilities (n,) of a class, with the masses (n,) and the rows of the class."""
    order = np.argsort(p, kind="stable")
    ranked, mass = p[order], mass[order]
    if ranked[0] < LEAST_KNOT:
        ranked[ranked < LEAST_KNOT] = 0.0
    new = np.empty(len(p), dtype=bool)
    new[0] = True
    np.greater(ranked[1:], ranked[:-1], out=new[1:])
    return SortedClass(order, ranked[new], np.cumsum(new) - 1, mass, mass * own[order])


def _maps_without_folds(one: SortedClass, fold: IntArray, folds: int) -> list[Steps]:
    """Return the map of the rows outside of each fold."""
    u, others = len(one.distinct), 1.0 - np.eye(folds)
    place = fold[one.order] * u + one.place
    sums = (np.bincount(place, values, folds * u).reshape(folds, u) for values in (one.occurred, one.mass))
    occurred, mass = (others @ each for each in sums)
    there = [np.flatnonzero(row) for row in mass]
    return [_steps(one.distinct[at], occurred[k, at], mass[k, at]) for k, at in enumerate(there)]


def _steps(distinct: Float64Array, occurred: Array, mass: Array) -> Steps:
    """Return the isotonic regression of the means at distinct probabilities, with knots at the ends of its levels."""
    from scipy.optimize import isotonic_regression  # imported here: it is slow to import

    values = isotonic_regression(occurred / mass, weights=mass).x
    inner = np.empty(len(values) + 1, dtype=bool)
    inner[0] = inner[-1] = True
    np.not_equal(values[1:], values[:-1], out=inner[1:-1])
    ends = np.flatnonzero(inner[:-1] | inner[1:])
    return Steps(distinct[ends], values[ends])


def _complement(steps: Steps) -> Steps:
    """Return the map of the first of two classes from that of the second."""
    # where several p have the same 1 - p, the map has a step at it: the first value just below, and the last value
    knots, values = 1 - steps.knots[::-1], 1 - steps.values[::-1]
    rises = knots[1:] > knots[:-1]
    if rises.all():
        return Steps(knots, values)
    first, last = np.append(True, rises), np.append(rises, True)
    knots = np.where(first & ~last, np.nextafter(knots, -1.0), knots)[first | last]
    new = np.append(True, knots[1:] > knots[:-1])
    return Steps(knots[new], values[first | last][new])
