"""The fit with Firth's penalty of `SoftmaxRegression(penalty="firth")`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from softreg.models.inputs.training_rows import InMemoryRows
from softreg.models.likelihood.likelihood import Likelihood
from softreg.optimize import Solution
from softreg.optimize.cost.meter import metered
from softreg.optimize.firth_scoring import minimise_firth
from softreg.rows import Array, one_blas_thread


def fit(
    model: Any,
    rows: InMemoryRows,
    q: int,
    names: Array | None,
    start: tuple[Array, Array] | None,
) -> Solution:
    """Fit with Firth's penalty.

    Returns
    -------
    Solution
        The minimiser of the penalised objective.

    Raises
    ------
    ValueError
        Naming collinear columns, for which the penalty is infinite.
    """
    with one_blas_thread(), metered() as meter:
        bias = bool(model.fit_intercept)
        likelihood = Likelihood(rows.X, rows.labels, rows.counts, q, fit_intercept=bias, offset=rows.offset)
        columns = [f"column {j}" for j in range(rows.X.shape[1])] if names is None else names.tolist()
        likelihood.refuse_dependent(columns)
        theta = None if start is None else likelihood.from_user(np.ascontiguousarray(start[0][0].T), start[1][0])
        solution = minimise_firth(likelihood.objective, tol=float(model.tol), max_iter=int(model.max_iter), start=theta)
        return replace(solution, cost=meter.finish(likelihood.objective.rows))
