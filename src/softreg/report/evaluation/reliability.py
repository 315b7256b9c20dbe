"""Reliability curves: observed frequency against predicted probability, with the band of correct probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

from softreg.deprecated import accept_deprecated_arguments
from softreg.typing import BoolArray, Float64Array

MOST_LIKELY = "the predicted label"
"""Name of the reliability curve of the most likely class."""
LEVEL = 0.95
"""Level of the band of a bin."""


@dataclass(frozen=True, eq=False)
class Reliability:
    """Predicted probability and observed frequency of each bin, with its band if the probabilities are correct.

    In a bin without rows, `predicted`, `observed`, `low`, `high` and `p_value` are nan.

    Attributes
    ----------
    name : str
        What the probabilities are of.
    edges : array of shape (bins + 1,)
        Edges of the bins.
    count : array of shape (bins,)
        Rows of each bin.
    predicted, observed : array of shape (bins,)
        Mean predicted probability and observed frequency.
    low, high : array of shape (bins,)
        Band of the observed frequency: if the probabilities are correct and the rows independent, it contains the
        frequency in at least 95% of samples.
    p_value : array of shape (bins,)
        Two-sided p-value of the observed frequency.

    Examples
    --------
    >>> curve = reliability_curve([0.25, 0.75, 0.75], [1, 1, 1], bins=2)
    >>> curve.filled.tolist(), curve.outside.tolist()
    ([True, True], [False, False])
    """

    name: str
    edges: Float64Array
    count: NDArray[np.int64]
    predicted: Float64Array
    observed: Float64Array
    low: Float64Array
    high: Float64Array
    p_value: Float64Array

    @property
    def filled(self) -> BoolArray:
        """Bins with rows, as a mask (bins,)."""
        return self.count > 0

    @property
    def outside(self) -> BoolArray:
        """Bins whose observed frequency is outside the band, as a mask (bins,)."""
        return self.filled & ((self.observed < self.low) | (self.observed > self.high))


@accept_deprecated_arguments("reliability_curve()")
def reliability_curve(p: ArrayLike, outcome: ArrayLike, *, name: str = "", bins: int = 10) -> Reliability:
    """Compare probabilities with observed frequencies in bins of equal width, with the exact band of each bin.

    For the rows i of a bin, `predicted = mean p_i` and `observed = mean outcome_i`. The band is the central 95%
    interval of `sum_i Bernoulli(p_i) / count`; its Poisson-binomial distribution is computed without simulation.

    Parameters
    ----------
    p : array_like of shape (n,)
        Predicted probabilities of an event.
    outcome : array_like of shape (n,)
        Whether the event occurred, as 0 and 1 or booleans.
    name : str
        Name of the event.
    bins : int
        Number of bins. A bin contains its lower edge; p = 1 belongs to the last bin.

    Returns
    -------
    Reliability
        The curve with its band.

    Raises
    ------
    ValueError
        If the shapes differ or a probability is outside [0, 1].

    References
    ----------
    Broecker and Smith, "Increasing the reliability of reliability diagrams" (2007), for the band.

    Examples
    --------
    >>> curve = reliability_curve([0.75, 0.75, 0.75, 0.75], [1, 1, 1, 0], bins=2)
    >>> print(curve.count, curve.predicted[1], curve.observed[1], curve.low[1], curve.high[1])
    [0 4] 0.75 0.75 0.25 1.0
    """
    p, outcome = np.asarray(p, dtype=np.float64), np.asarray(outcome, dtype=np.float64)
    if p.ndim != 1 or p.shape != outcome.shape:
        raise ValueError(f"p and outcome must be vectors of equal length; seen: {p.shape}, {outcome.shape}")
    if not ((p >= 0) & (p <= 1)).all():
        row = int(np.argmin((p >= 0) & (p <= 1)))
        raise ValueError(f"p must contain probabilities from 0 to 1, but row {row} has {p[row]}")
    edges = np.arange(bins + 1) / bins  # linspace would make 0.6 an edge of 0.6000000000000001
    # Compare with the edges: p * bins would put 0.3 into the bin below 0.3.
    bin_of_row = np.minimum(np.searchsorted(edges, p, side="right") - 1, bins - 1)
    count = np.bincount(bin_of_row, minlength=bins)
    predicted, observed, low, high, p_value = np.full((5, bins), np.nan)
    for k in np.flatnonzero(count):
        inside = bin_of_row == k
        predicted[k], observed[k] = p[inside].mean(), outcome[inside].mean()
        distribution = poisson_binomial(p[inside])
        low[k], high[k] = np.array(central_interval(distribution)) / count[k]
        p_value[k] = two_sided_p_value(distribution, int(outcome[inside].sum()))
    return Reliability(name, edges, count, predicted, observed, low, high, p_value)


def central_interval(distribution: Float64Array, mass: float = LEVEL) -> tuple[int, int]:
    """Return the central interval of a count with the distribution P(0), P(1), ...

    Parameters
    ----------
    distribution : array of shape (n + 1,)
        Probabilities of the counts 0 .. n.
    mass : float
        Probability that the interval has at least, both ends included.

    Returns
    -------
    low, high : int
        Smallest k with P(count <= k) >= (1 - mass) / 2, and with P(count <= k) >= 1 - (1 - mass) / 2.

    Examples
    --------
    >>> central_interval(poisson_binomial([0.5] * 100))
    (40, 60)
    """
    cumulative = np.cumsum(distribution)
    tail = (1.0 - mass) / 2
    # The probabilities may sum to 1 - 1e-16.
    low, high = np.searchsorted(cumulative, [tail, min(1.0 - tail, cumulative[-1])])
    return int(low), int(high)


def two_sided_p_value(distribution: Float64Array, count: int) -> float:
    """Return the two-sided p-value of an observed count: twice the probability of the smaller tail, at most 1.

    Parameters
    ----------
    distribution : array of shape (n + 1,)
        Probabilities of the counts 0 .. n.
    count : int
        The observed count; both tails include it.

    Returns
    -------
    float
        The p-value.

    Examples
    --------
    >>> two_sided_p_value(poisson_binomial([0.5] * 6), 0)
    0.03125
    """
    return float(min(1.0, 2 * min(distribution[: count + 1].sum(), distribution[count:].sum())))


def poisson_binomial(p: ArrayLike) -> Float64Array:
    """Compute the distribution of the number of successes of independent trials with unequal probabilities.

    Parameters
    ----------
    p : array_like of shape (n,)
        Success probabilities.

    Returns
    -------
    array of shape (n + 1,)
        Probabilities of 0 .. n successes, each accurate to about 1e-15.

    Notes
    -----
    The distribution is the product of the polynomials `(1 - p_i) + p_i z`, multiplied in pairs, pairs of pairs and so
    on by fast Fourier transforms, in O(n log^2 n).

    References
    ----------
    Hong, "On computing the distribution function for the Poisson binomial distribution" (2013).

    Examples
    --------
    >>> poisson_binomial([0.5, 0.5]).round(3).tolist()
    [0.25, 0.5, 0.25]
    """
    p = np.asarray(p, dtype=np.float64)
    factors = np.stack([1.0 - p, p], axis=1)
    while len(factors) > 1:
        if len(factors) % 2:
            unit = np.zeros((1, factors.shape[1]))  # the polynomial 1, for an even number of factors
            unit[0, 0] = 1.0
            factors = np.concatenate([factors, unit])
        degree = 2 * (factors.shape[1] - 1)
        size = scipy.fft.next_fast_len(degree + 1, real=True)
        transformed = scipy.fft.rfft(factors, size, axis=1)
        product = scipy.fft.irfft(transformed[0::2] * transformed[1::2], size, axis=1)
        factors = np.maximum(product[:, : degree + 1], 0.0)  # rounding can leave -1e-17 in place of 0
    return factors[0, : len(p) + 1] if len(p) else np.ones(1)
