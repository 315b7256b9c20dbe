"""Wald's test that columns matter for no class, with whatever standard errors were chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from softreg.models.inference.estimates import ChiSquared
from softreg.models.likelihood.likelihood import solve


def wald_test(found: Any, columns: Sequence[int]) -> ChiSquared:
    """`w^T Cov(w)^-1 w` for the weights w of these columns of an `Inference`, places from 0, in all classes.

    Returns
    -------
    ChiSquared
        `w^T Cov(w)^-1 w` for the weights w of these columns of an `Inference`, places from 0, in all classes.

    Raises
    ------
    ValueError
        If the covariance is singular: of clusters, it has a rank below their number.
    """
    chosen = np.array(columns) + 1 - found._from
    other = found if found.reference is not None else found.relative_to(found.fitted.labels[0])
    w, k = other.coefficients.estimate, len(found.columns)
    tested = (np.arange(len(w))[:, None] * k + chosen).ravel()
    clusters = found.fitted.clusters
    if found.errors == "clustered" and len(np.unique(clusters)) <= len(tested):
        raise ValueError(
            f"{len(np.unique(clusters))} clusters are too few to test {len(tested)} weights together: the covariance "
            "is singular. Test fewer columns."
        )
    try:
        statistic = float(w.ravel()[tested] @ solve(other.covariance[np.ix_(tested, tested)], w.ravel()[tested]))
    except np.linalg.LinAlgError:
        raise ValueError("the covariance of these weights is singular; there are too few rows or clusters.") from None
    return ChiSquared("Wald", statistic, len(tested))
