"""Running mean and standard deviation of a column, with and without weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.typing import Float64Array


class Moments:
    """Mean and standard deviation of what was added, in units of a power of two so that no square overflows.

    Example:
        >>> moments = Moments()
        >>> moments.add(np.array([1e300, np.nan])), moments.add(np.array([5e300]))
        (None, None)
        >>> moments.mean, moments.deviation
        (3e+300, 2e+300)
    """

    def __init__(self) -> None:
        self.count, self.missing, self.unit = 0, 0, 0.0
        self._mean = self._squares = 0.0

    def add(self, values: Float64Array) -> None:
        """Add numbers; nan is missing."""
        known = values[~np.isnan(values)]
        self.missing += len(values) - len(known)
        if not len(known):
            return
        unit = power_above(float(np.abs(known).max()))
        if unit > self.unit:
            shrink = self.unit / unit
            self._mean, self._squares, self.unit = self._mean * shrink, self._squares * shrink**2, unit
        known = known / self.unit if self.unit else known
        origin = float(known[0])  # differences from it keep their digits where all values are large and near together
        centred = known - origin
        shift = float(centred.mean())
        mean = origin + shift
        squares = float(((centred - shift) ** 2).sum())
        total = self.count + len(known)
        step = mean - self._mean
        self._squares += squares + step**2 * self.count * len(known) / total
        self._mean += step * len(known) / total
        self.count = total

    @property
    def mean(self) -> float:
        """The mean, 0 of nothing."""
        return self._mean * self.unit if self.unit else self._mean

    @property
    def deviation(self) -> float:
        """The standard deviation, or 1 where it is 0."""
        if not self.count:
            return 1.0
        return float(np.sqrt(self._squares / self.count) * self.unit) or 1.0


def power_above(size: float) -> float:
    """The least power of two that is not below `size`; 0 for 0.

    Example:
        >>> power_above(3.0)
        4.0
    """
    return float(2.0 ** min(1023, np.ceil(np.log2(size)))) if size > 0 else 0.0


@dataclass
class WeightedMoments:
    """The weighted mean and standard deviation of values that are added in parts; a deviation of 0 is 1.

    `unit` is a power of two that the values are divided by, so that no square overflows.

    Example:
        >>> found = WeightedMoments()
        >>> found.add(np.array([1.0, np.nan]), np.array([2.0, 5.0]))
        >>> found.add(np.array([4.0]), np.array([1.0]))
        >>> found.mean, round(found.deviation, 6)
        (2.0, 1.414214)

    Source: Chan, Golub and LeVeque, "Algorithms for computing the sample variance" (1983), of two parts.
    """

    unit: float = 1.0
    centre: float = 0.0
    variance: float = 0.0
    mass: float = 0.0
    """The sum of the weights, in units of the largest of them."""
    largest: float = 0.0

    def add(self, values: Float64Array, weight: Float64Array) -> None:
        """Take values (n,), of which nan is missing and not counted, and their weights (n,)."""
        known = ~np.isnan(values) & (weight > 0)
        if not known.any():
            return
        largest = max(self.largest, float(weight[known].max()))
        x, w = values[known] / self.unit, weight[known] / largest
        origin = float(x[0])
        centre = origin + float(np.average(x - origin, weights=w))
        variance = float(np.average((x - centre) ** 2, weights=w))
        before, here = self.mass * (self.largest / largest), float(w.sum())
        share, apart = here / (before + here), centre - self.centre
        self.centre = centre if before == 0 else self.centre + apart * share
        self.variance = self.variance * (1 - share) + variance * share + apart**2 * share * (1 - share)
        self.mass, self.largest = before + here, largest

    @property
    def mean(self) -> float:
        """The weighted mean, 0 without values."""
        return self.centre * self.unit

    @property
    def deviation(self) -> float:
        """The weighted standard deviation, 1 where all values are equal."""
        return float(np.sqrt(self.variance)) * self.unit or 1.0
