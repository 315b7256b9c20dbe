"""Whether the columns of dense rows are nearly uncorrelated, from a few rows."""

from __future__ import annotations

import numpy as np

from softreg.rows import DenseRows
from softreg.typing import Array

ROWS = 64
"""Rows that are looked at, evenly spaced."""
LEAST_RANK_SHARE = 0.5
"""Effective rank of the correlations, as a share of the columns, from which columns count as nearly uncorrelated. Drawn
numbers of the sweep: 0.83 to 1.4 without correlations, 0.003 to 0.25 with them."""


def effective_rank_share(X: Array) -> float:
    """Return the effective rank of the correlations of columns, as a share of their number.

    For the matrix C of correlations of d columns it is `trace(C)^2 / (d trace(C^2))`: 1 for uncorrelated columns and
    1 / d for multiples of one column. The products `K = Z Z^T` of r standardised rows estimate it: their diagonal has
    mean `trace(C)`, the others have mean square `trace(C^2)`.

    Parameters
    ----------
    X : ndarray of shape (r, d)
        A sample of the rows.

    Returns
    -------
    float
        The estimate; 0 where there are fewer than three rows or all columns are constant.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(64, 500))
    >>> bool(effective_rank_share(X) > 0.8), bool(effective_rank_share(X + 2 * X[:, :1]) < 0.1)
    (True, True)
    """
    Z = X.astype(np.float32)
    Z -= Z.mean(axis=0)
    scale = np.sqrt(np.einsum("ij,ij->j", Z, Z) / len(Z))
    Z /= np.where(scale > 0, scale, 1.0)
    K = (Z @ Z.T).astype(np.float64)
    diagonal, r = np.diag(K), len(K)
    total = K.sum() - diagonal.sum()
    squares = np.einsum("ij,ij->", K, K) - diagonal @ diagonal
    pairs = r * (r - 1)
    if r < 3 or not squares > 0:
        return 0.0
    # the means of the sample were subtracted, which makes the mean of a pair -trace(C) / (r - 1)
    return float(diagonal.mean() ** 2 / (squares / pairs - (total / pairs) ** 2) / X.shape[1])


def are_nearly_uncorrelated(rows: DenseRows) -> bool:
    """Return True if a few of the rows show no large correlations.

    Parameters
    ----------
    rows : DenseRows
        The rows.

    Returns
    -------
    bool
    """
    index = np.unique(np.linspace(0, rows.n - 1, ROWS).astype(np.int64))
    with np.errstate(over="ignore", invalid="ignore"):
        return effective_rank_share(rows.ready(rows.X[index])) >= LEAST_RANK_SHARE
