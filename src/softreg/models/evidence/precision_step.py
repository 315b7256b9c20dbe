"""The step of the iteration that chooses the precisions of terms.

The maximum of the evidence satisfies `s_j ||W_j||^2 = e_j`. Two priors of the precisions s_j change the step:

- the density `(1 + t)^-PRIOR_RATE` of the standard deviation t = 1 / sqrt(s_j) of each term, with which a term without
  evidence disappears;
- for terms that share a prior, the density `exp(a / 2 (log s_j - s_j / s))` of log s_j, with a = `SHARED_DEGREES` and
  the common precision `s = sum_j e_j / sum_j ||W_j||^2` of these terms.

The step is then

    s_j <- (e_j + PRIOR_RATE t / (1 + t) + a) / (||W_j||^2 + a / s),

with a = 0 for the other terms. A term with few effective degrees of freedom has about the common precision, one with
many its own.

References
----------
MacKay (1992), Bayesian interpolation. Gelman (2006), Prior distributions for variance parameters in hierarchical
models.
"""

from __future__ import annotations

import numpy as np

from softreg.typing import BoolArray, Float64Array

PRIOR_RATE = 1.0
"""Exponent of the prior density of the standard deviation of a term."""
SHARED_DEGREES = 1.0
"""Degrees of freedom that the common precision of terms with a shared prior counts for."""
MAX_PRECISION = 1e8
"""Precision at which a term counts as absent."""
MIN_PRECISION = 1e-4
"""Least precision of a term."""
LARGEST_CHANGE = 3.0
"""Largest change of the logarithm of a precision in one step."""


def next_precisions(
    precision: Float64Array, degrees: Float64Array, squares: Float64Array, shared: BoolArray
) -> Float64Array:
    """Return the next precisions, at most `exp(LARGEST_CHANGE)` times larger or smaller.

    Parameters
    ----------
    precision : array of float64 (m,)
        Precisions; infinite ones stay.
    degrees : array of float64 (m,)
        Effective degrees of freedom of the terms at these precisions.
    squares : array of float64 (m,)
        Sums of squares of their weights.
    shared : array of bool (m,)
        Terms that share a prior.

    Returns
    -------
    array of float64 (m,)
        Precisions.

    Examples
    --------
    >>> at, squares = np.full(2, 5.0), np.array([0.1, 1.0])
    >>> next_precisions(at, np.array([1.0, 1.0]), squares, np.zeros(2, dtype=bool)).round(1).tolist()
    [13.1, 1.3]
    >>> next_precisions(at, np.array([1.0, 1.0]), squares, np.ones(2, dtype=bool)).round(1).tolist()
    [3.6, 1.5]
    """
    alive = precision < MAX_PRECISION
    finite, together = np.where(alive, precision, 1.0), shared & alive
    numerator = degrees + PRIOR_RATE / (1 + np.sqrt(finite))
    denominator = squares.copy()
    if together.any() and degrees[together].sum() > 0:
        numerator[together] += SHARED_DEGREES
        denominator[together] += SHARED_DEGREES * squares[together].sum() / degrees[together].sum()
    target = numerator / np.maximum(denominator, 1 / MAX_PRECISION**2)
    change = np.clip(np.log(np.maximum(target, MIN_PRECISION) / finite), -LARGEST_CHANGE, LARGEST_CHANGE)
    return np.where(alive, np.maximum(finite * np.exp(change), MIN_PRECISION), np.inf)
