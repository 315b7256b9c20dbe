"""Running mean and standard deviation of a column, with and without weights."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from softreg.typing import Float64Array


class Moments:
    """Running mean and standard deviation, in units of a power of two so that no square overflows.

    References
    ----------
    Chan, Golub and LeVeque (1983), Algorithms for computing the sample variance.

    Examples
    --------
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
        """Add values (n,); nan counts as missing."""
        known = values[~np.isnan(values)]
        self.missing += len(values) - len(known)
        if not len(known):
            return
        self._raise_unit(power_above(float(np.abs(known).max())))
        known = known / self.unit if self.unit else known
        origin = float(known[0])  # differences from it keep their digits where all values are large and near together
        centred = known - origin
        shift = float(centred.mean())
        mean = origin + shift
        self._combine(mean, float(((centred - shift) ** 2).sum()), len(known))

    def merge(self, later: Moments) -> None:
        """Add the values of other moments."""
        self.missing += later.missing
        if later.count:
            self._raise_unit(later.unit)
            shrink = later.unit / self.unit if self.unit else 1.0
            self._combine(later._mean * shrink, later._squares * shrink**2, later.count)

    def _raise_unit(self, unit: float) -> None:
        """Use a unit if it is larger."""
        if unit > self.unit:
            shrink = self.unit / unit
            self._mean, self._squares, self.unit = self._mean * shrink, self._squares * shrink**2, unit

    def _combine(self, mean: float, squares: float, count: int) -> None:
        """Add the mean, the sum of squared deviations and the number of some values, in the unit."""
        total = self.count + count
        step = mean - self._mean
        self._squares += squares + step**2 * self.count * count / total
        self._mean += step * count / total
        self.count = total

    @property
    def mean(self) -> float:
        """The mean; 0 without values."""
        return self._mean * self.unit if self.unit else self._mean

    @property
    def deviation(self) -> float:
        """The standard deviation, or 1 where it is 0."""
        if not self.count:
            return 1.0
        return float(np.sqrt(self._squares / self.count) * self.unit) or 1.0


def power_above(size: float) -> float:
    """Return the least power of two that is not below `size`; 0 for 0.

    Returns
    -------
    float
        A power of two up to 2**1023, or 0.

    Examples
    --------
    >>> power_above(3.0)
    4.0
    """
    return float(2.0 ** min(1023, np.ceil(np.log2(size)))) if size > 0 else 0.0


@dataclass
class WeightedMoments:
    """Running weighted mean and standard deviation; a deviation of 0 is reported as 1.

    Attributes
    ----------
    unit : float
        Power of two that values are divided by, so that no square overflows.
    centre, variance : float
        Weighted mean and variance of the scaled values.
    mass : float
        Sum of the weights, in units of the largest of them.
    largest : float
        Largest weight.

    References
    ----------
    Chan, Golub and LeVeque (1983), Algorithms for computing the sample variance.

    Examples
    --------
    >>> moments = WeightedMoments()
    >>> moments.add(np.array([1.0, np.nan]), np.array([2.0, 5.0]))
    >>> moments.add(np.array([4.0]), np.array([1.0]))
    >>> moments.mean, round(moments.deviation, 6)
    (2.0, 1.414214)
    """

    unit: float = 1.0
    centre: float = 0.0
    variance: float = 0.0
    mass: float = 0.0
    """The sum of the weights, in units of the largest of them."""
    largest: float = 0.0

    def add(self, values: Float64Array, weight: Float64Array) -> None:
        """Add values (n,), of which nan is missing, with their weights (n,)."""
        known = ~np.isnan(values) & (weight > 0)
        if not known.any():
            return
        largest = max(self.largest, float(weight[known].max()))
        x, w = values[known] / self.unit, weight[known] / largest
        origin = float(x[0])
        centre = origin + float(np.average(x - origin, weights=w))
        variance = float(np.average((x - centre) ** 2, weights=w))
        self._combine(centre, variance, float(w.sum()), largest)

    def merge(self, later: WeightedMoments) -> None:
        """Add the values of other moments of the same unit."""
        if later.mass:
            largest = max(self.largest, later.largest)
            self._combine(later.centre, later.variance, later.mass * (later.largest / largest), largest)

    def _combine(self, centre: float, variance: float, added_mass: float, largest: float) -> None:
        """Add the mean, variance and mass of some values; masses are in units of the weight `largest`."""
        previous_mass = self.mass * (self.largest / largest)
        share, difference = added_mass / (previous_mass + added_mass), centre - self.centre
        self.centre = centre if previous_mass == 0 else self.centre + difference * share
        self.variance = self.variance * (1 - share) + variance * share + difference**2 * share * (1 - share)
        self.mass, self.largest = previous_mass + added_mass, largest

    @property
    def mean(self) -> float:
        """The weighted mean; 0 without values."""
        return self.centre * self.unit

    @property
    def deviation(self) -> float:
        """The weighted standard deviation; 1 where all values are equal."""
        return float(np.sqrt(self.variance)) * self.unit or 1.0
