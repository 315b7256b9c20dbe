"""Adjusted p-values of many tests that control the false discovery rate."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def false_discovery_rates(p_values: ArrayLike, *, dependent: bool = False) -> Floats:
    """Return p-values adjusted so that those of at most a have a false discovery rate of at most a.

    With the m p-values in ascending order, the adjusted p-value of the i-th is `min_{j >= i} c m p_(j) / j`, at most 1.

    - Benjamini and Hochberg: c = 1, for independent tests (and for some kinds of positive dependence).
    - Benjamini and Yekutieli: `c = sum_{i=1..m} 1 / i`, for tests with any dependence.

    Parameters
    ----------
    p_values : array_like of shape (m,)
        p-values from 0 to 1; nan stands for a test that was not made, and does not count.
    dependent : bool, default False
        Whether the tests may depend on each other.

    Returns
    -------
    ndarray of shape (m,)
        Adjusted p-values, nan where a test was not made.

    Raises
    ------
    ValueError
        If there is a number below 0 or above 1.

    References
    ----------
    Benjamini and Hochberg, "Controlling the false discovery rate" (1995).
    Benjamini and Yekutieli, "The control of the false discovery rate in multiple testing under dependency" (2001).

    Examples
    --------
    >>> false_discovery_rates([0.01, 0.04, 0.03, 0.5]).round(3)
    array([0.04 , 0.053, 0.053, 0.5  ])
    >>> false_discovery_rates([0.01, 0.04, 0.03, 0.5], dependent=True).round(3)
    array([0.083, 0.111, 0.111, 1.   ])
    """
    p = np.asarray(p_values, dtype=np.float64).ravel()
    made = np.flatnonzero(~np.isnan(p))
    if ((p[made] < 0) | (p[made] > 1)).any():
        raise ValueError("p_values must lie between 0 and 1.")
    adjusted, m = np.full(len(p), np.nan), len(made)
    if m == 0:
        return adjusted
    order = made[np.argsort(p[made], kind="stable")]
    rank = np.arange(1, m + 1)
    factor = float((1 / rank).sum()) if dependent else 1.0
    steps = factor * m * p[order] / rank
    adjusted[order] = np.minimum(np.minimum.accumulate(steps[::-1])[::-1], 1.0)
    return adjusted
