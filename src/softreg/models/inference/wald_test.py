"""Wald's test of the hypothesis that columns have no effect on any class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from softreg.models.inference.estimates import ChiSquared
from softreg.models.inference.fitted_inference import FittedInference
from softreg.models.likelihood.likelihood import solve


def wald_test(inference: FittedInference, columns: Sequence[int]) -> ChiSquared:
    """Return Wald's test of the weights w of some columns in all classes, `w^T Cov(w)^-1 w`.

    Parameters
    ----------
    inference : Inference
        Statistics of the fit, whose standard errors the test uses.
    columns : sequence of int
        Indices of the columns, from 0.

    Returns
    -------
    ChiSquared
        The test.

    Raises
    ------
    ValueError
        If the covariance is singular: with clusters, its rank is below their number.
    """
    positions = np.array(columns) + 1 - inference._from
    relative = inference if inference.reference is not None else inference.relative_to(inference.fitted.labels[0])
    w, k = relative.coefficients.estimate, len(inference.columns)
    tested = (np.arange(len(w))[:, None] * k + positions).ravel()
    clusters = inference.fitted.clusters
    if inference.errors == "clustered" and clusters is not None and len(np.unique(clusters)) <= len(tested):
        raise ValueError(
            f"{len(np.unique(clusters))} clusters are too few to test {len(tested)} weights together: the covariance "
            "is singular. Test fewer columns."
        )
    try:
        statistic = float(w.ravel()[tested] @ solve(relative.covariance[np.ix_(tested, tested)], w.ravel()[tested]))
    except np.linalg.LinAlgError:
        raise ValueError("the covariance of these weights is singular; there are too few rows or clusters.") from None
    return ChiSquared("Wald", statistic, len(tested))
