"""Tail probabilities of weighted sums of independent chi-squared variables with one degree of freedom."""

from __future__ import annotations

import numpy as np
from scipy.special import chdtrc, ndtr

from softreg.typing import Float64Array

EQUAL = 1e-9
"""Relative difference below which weights count as equal."""
NEGLIGIBLE = 1e-12
"""Weights below this share of the largest one are left out."""
NEAR_MEAN = 1e-4
"""Distance of a value from the mean, in standard deviations, below which the limit of the formula is used."""
BISECTIONS = 200
"""Most halvings of the interval of the saddlepoint."""


def mixture_tail(statistic: float, weights: Float64Array) -> float:
    """Return the probability that `sum_i w_i X_i`, X_i chi-squared with one degree of freedom, exceeds a value.

    Equal weights have the exact probability. Otherwise it is the saddlepoint approximation of Barndorff-Nielsen: with
    the cumulant function `k(t) = -sum_i log(1 - 2 t w_i) / 2`, the root t of `k'(t) = statistic`,
    `r = sign(t) sqrt(2 (t statistic - k(t)))` and `u = t sqrt(k''(t))`, it is `1 - Phi(r + log(u / r) / r)`. Its
    relative error is a few percent, also far in the tail.

    Parameters
    ----------
    statistic : float
        The value.
    weights : array of float64 (m,)
        Weights, >= 0.

    Returns
    -------
    float
        The probability; 1 for values of at most 0, 0 for positive ones without a positive weight.

    References
    ----------
    Kuonen (1999), Saddlepoint approximations for distributions of quadratic forms in normal variables.

    Examples
    --------
    >>> round(mixture_tail(3.841, np.array([1.0])), 4), round(mixture_tail(6.0, np.array([1.0, 0.5])), 3)
    (0.05, 0.023)
    """
    if not statistic > 0:
        return 1.0
    w = weights[weights > NEGLIGIBLE * weights.max(initial=0.0)]
    if not len(w):
        return 0.0
    scale = float(w.max())
    if w.min() >= scale * (1 - EQUAL):
        return float(chdtrc(len(w), statistic / scale))
    return _saddlepoint(statistic / scale, w / scale)


def _saddlepoint(x: float, w: Float64Array) -> float:
    """Return the probability of more than x for weights w of which the largest is 1."""
    mean, deviation = float(w.sum()), float(np.sqrt(2 * (w**2).sum()))
    if abs(x - mean) < NEAR_MEAN * deviation:  # the limit of the formula at the mean
        skewness = 8 * float((w**3).sum()) / deviation**3
        return float(ndtr(-skewness / 6))
    # k' increases from 0 at -inf to inf at 1/2
    low, high = -len(w) / (2 * x) - 1.0, 0.5
    for _ in range(BISECTIONS):
        t = (low + high) / 2
        low, high = (t, high) if (w / (1 - 2 * t * w)).sum() < x else (low, t)
        if high - low <= np.finfo(np.float64).eps * max(abs(low), np.finfo(np.float64).tiny):
            break
    t = low
    share = 1 - 2 * t * w
    cumulant, curvature = -np.log(share).sum() / 2, 2 * ((w / share) ** 2).sum()
    r = np.sign(t) * np.sqrt(max(2 * (t * x - cumulant), 0.0))
    u = t * np.sqrt(curvature)
    return float(np.clip(ndtr(-(r + np.log(u / r) / r)), 0.0, 1.0))
