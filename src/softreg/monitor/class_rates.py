"""Class rates of unlabelled rows by EM, with intervals."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit, ndtri

from softreg.probability import Interval, estimate_rates
from softreg.typing import Float64Array

LEVEL = 0.95
"""Level of the intervals."""
MAX_CLASSES = 200
"""Number of classes up to which intervals are computed; their information matrix has K^2 numbers."""
AT_BOUND = 1e-6
"""Estimated rate up to which a class counts as absent, and has the interval of a likelihood ratio."""
BISECTIONS = 60
"""Steps of the search for the end of such an interval."""
CHI2_ONE_SIDED = 2.705543454095404
"""0.9 quantile of the chi-squared distribution with one degree of freedom: 95% at the boundary of a parameter."""


def class_rates(P: Float64Array, before: Float64Array) -> list[Interval]:
    """Estimate the class rates of unlabelled rows by maximum likelihood, with 95% intervals.

    The rates are those of `softreg.probability.estimate_rates`. Their intervals are Wald's on the logit scale, from the
    observed information; that of a class whose estimate is 0 starts there, and ends where the log-likelihood has
    decreased by 1.35. They account for the sampling of the rows alone: the probabilities count as right under the rates
    `before`, with the same distribution of the features within each class.

    Parameters
    ----------
    P : array (n, K)
        Probabilities.
    before : array (K,)
        Class rates under which they are right.

    Returns
    -------
    list of Interval
        Rate of each class; the ends are nan for more than 200 classes.

    Examples
    --------
    >>> P = np.array([[0.9, 0.1]] * 80 + [[0.1, 0.9]] * 20)
    >>> print(class_rates(P, np.array([0.5, 0.5]))[0])
    0.875 (0.7408 to 0.9449)
    """
    rates = estimate_rates(P, before)
    if len(rates) > MAX_CLASSES:
        return [Interval(float(r), float("nan"), float("nan")) for r in rates]
    if len(rates) == 1:
        return [Interval(1.0, 1.0, 1.0)]
    density = np.divide(P, before, out=np.zeros_like(P), where=before > 0)
    mixture = density @ rates
    errors = _standard_errors(density / mixture[:, None], rates)
    z = float(ndtri(0.5 + LEVEL / 2))
    intervals = []
    for k, (rate, error) in enumerate(zip(rates, errors, strict=True)):
        if rate < AT_BOUND:
            intervals.append(Interval(float(rate), 0.0, _upper_end(density[:, k] / mixture)))
        elif rate > 1 - AT_BOUND:
            others = (mixture - rate * density[:, k]) / max(1 - rate, np.finfo(float).tiny)
            other = others if (others > 0).any() else density.sum(axis=1) - density[:, k]
            intervals.append(Interval(float(rate), 1 - _upper_end(other / mixture), 1.0))
        else:
            half = z * error / (rate * (1 - rate))
            low, high = expit(logit(rate) - half), expit(logit(rate) + half)
            intervals.append(Interval(float(rate), float(low), float(high)))
    return intervals


def _standard_errors(scores: Float64Array, rates: Float64Array) -> Float64Array:
    """Return the standard errors of the rates, whose sum is 1; classes at the bound 0 are left out."""
    free = np.flatnonzero(rates >= AT_BOUND)
    errors = np.zeros(len(rates))
    if len(free) < 2:
        return errors
    information = scores[:, free].T @ scores[:, free]
    contrasts = np.linalg.qr(np.column_stack([np.ones(len(free)), np.eye(len(free))[:, 1:]]))[0][:, 1:]
    covariance = contrasts @ np.linalg.pinv(contrasts.T @ information @ contrasts) @ contrasts.T
    errors[free] = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    return errors


def _upper_end(ratio: Float64Array) -> float:
    """Return the largest rate e at which `sum log(1 - e + e ratio)` is within the limit of its value at 0."""
    low, high = 0.0, 1.0
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        with np.errstate(divide="ignore"):
            fall = -float(np.log(np.maximum(1 - middle + middle * ratio, 0.0)).sum())
        low, high = (middle, high) if fall < CHI2_ONE_SIDED / 2 else (low, middle)
    return high
