"""Reliability curves: predicted probability against observed frequency, with the band of right probabilities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Reliability:
    """Predicted probability against observed frequency, bin by bin, with its band if the probabilities are right.

    `edges` is (bins + 1,); `count`, `predicted`, `observed`, `low`, `high` and `p_value` are (bins,). In a bin without
    rows the last five are nan. If the probabilities are right and the rows independent, `[low, high]` contains the
    observed frequency of a bin in at least 95% of samples; `p_value` is the two-sided p-value of that frequency.

    >>> curve = reliability_curve([0.25, 0.75, 0.75], [1, 1, 1], bins=2)
    >>> curve.filled.tolist(), curve.outside.tolist()
    ([True, True], [False, False])
    """

    name: str
    edges: Floats
    count: NDArray[np.int64]
    predicted: Floats
    observed: Floats
    low: Floats
    high: Floats
    p_value: Floats

    @property
    def filled(self) -> NDArray[np.bool_]:
        """Which bins hold rows, shape (bins,)."""
        return self.count > 0

    @property
    def outside(self) -> NDArray[np.bool_]:
        """Which bins lie outside their band, shape (bins,); a bin without rows never does."""
        return self.filled & ((self.observed < self.low) | (self.observed > self.high))


def reliability_curve(p: ArrayLike, happened: ArrayLike, *, name: str = "", bins: int = 10) -> Reliability:
    """Compare probabilities with observed frequencies in bins of equal width, with the exact band of each bin.

    For the rows i of a bin: predicted = mean p_i, observed = mean happened_i, and the band is the central 95%
    interval of sum_i Bernoulli(p_i) / count, whose distribution (Poisson-binomial) is computed exactly,
    without simulation.

    `p` (n,) holds probabilities in [0, 1]; `happened` (n,) holds 0 and 1 or booleans. A bin takes its lower
    edge; p = 1 belongs to the last bin. Raises `ValueError` where the shapes differ or a probability lies
    outside [0, 1].

    >>> curve = reliability_curve([0.75, 0.75, 0.75, 0.75], [1, 1, 1, 0], bins=2)
    >>> print(curve.count, curve.predicted[1], curve.observed[1], curve.low[1], curve.high[1])
    [0 4] 0.75 0.75 0.25 1.0

    Source: Broecker and Smith, "Increasing the reliability of reliability diagrams" (2007), for the band.
    """
    p, happened = np.asarray(p, dtype=np.float64), np.asarray(happened, dtype=np.float64)
    if p.ndim != 1 or p.shape != happened.shape:
        raise ValueError(
            f"p and happened must be vectors of one length, an entry a row; seen: {p.shape}, {happened.shape}"
        )
    if not ((p >= 0) & (p <= 1)).all():
        row = int(np.argmin((p >= 0) & (p <= 1)))
        raise ValueError(f"p must hold probabilities between 0 and 1, but row {row} holds {p[row]}")
    edges = np.arange(bins + 1) / bins  # linspace would make 0.6 an edge of 0.6000000000000001
    # Compared with the edges themselves: p * bins would put 0.3 into the bin below 0.3.
    place = np.minimum(np.searchsorted(edges, p, side="right") - 1, bins - 1)
    count = np.bincount(place, minlength=bins)
    predicted, observed, low, high, p_value = np.full((5, bins), np.nan)
    for k in np.flatnonzero(count):
        inside = place == k
        predicted[k], observed[k] = p[inside].mean(), happened[inside].mean()
        chance = poisson_binomial(p[inside])
        low[k], high[k] = np.array(central_interval(chance)) / count[k]
        p_value[k] = two_sided_p_value(chance, int(happened[inside].sum()))
    return Reliability(name, edges, count, predicted, observed, low, high, p_value)


def central_interval(distribution: Floats, mass: float = 0.95) -> tuple[int, int]:
    """Give the central interval of a count k whose `distribution` is P(0), P(1), ...

    The ends are the smallest k with P(count <= k) >= (1 - mass) / 2 and >= 1 - (1 - mass) / 2, so that at least
    `mass` lies within, both ends included.

    >>> central_interval(poisson_binomial([0.5] * 100))
    (40, 60)
    """
    cumulative = np.cumsum(distribution)
    tail = (1.0 - mass) / 2
    # A sure event (p = 1) may sum to 1 - 1e-16 only: no tail is measured closer than rounding.
    low, high = np.searchsorted(cumulative, [tail, min(1.0 - tail, cumulative[-1])])
    return int(low), int(high)


def two_sided_p_value(distribution: Floats, seen: int) -> float:
    """Two-sided p-value of the count `seen`: twice the probability of the smaller tail, `seen` included, at most 1.

    >>> two_sided_p_value(poisson_binomial([0.5] * 6), 0)
    0.03125
    """
    return float(min(1.0, 2 * min(distribution[: seen + 1].sum(), distribution[seen:].sum())))


def poisson_binomial(p: ArrayLike) -> Floats:
    """Give P(k successes), k = 0..n, for independent trials whose probabilities p (n,) may all differ.

    The distribution is the product of the polynomials (1 - p_i) + p_i z, multiplied in pairs, pairs of pairs
    and so on by Fourier transforms: O(n log^2 n), exact to about 1e-15 in each entry.

    >>> poisson_binomial([0.5, 0.5]).round(3).tolist()
    [0.25, 0.5, 0.25]

    Source: Hong, "On computing the distribution function for the Poisson binomial distribution" (2013).
    """
    p = np.asarray(p, dtype=np.float64)
    factors = np.stack([1.0 - p, p], axis=1)
    while len(factors) > 1:
        if len(factors) % 2:
            one = np.zeros((1, factors.shape[1]))
            one[0, 0] = 1.0
            factors = np.concatenate([factors, one])  # the polynomial 1: an even number of factors, the same product
        degree = 2 * (factors.shape[1] - 1)
        size = scipy.fft.next_fast_len(degree + 1, real=True)
        transformed = scipy.fft.rfft(factors, size, axis=1)
        product = scipy.fft.irfft(transformed[0::2] * transformed[1::2], size, axis=1)
        factors = np.maximum(product[:, : degree + 1], 0.0)  # rounding may leave -1e-17 where the truth is 0
    return factors[0, : len(p) + 1] if len(p) else np.ones(1)
