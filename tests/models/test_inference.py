"""Statistics of fitted models: against statsmodels, and against sums written out by hand."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose

from softreg import SoftmaxRegression, infer

sm = pytest.importorskip("statsmodels.api", reason="statsmodels is not installed")


class Sample(NamedTuple):
    """Rows, codes, a fitted model and its statistics."""

    X: np.ndarray
    y: np.ndarray
    model: SoftmaxRegression
    found: Any


def sample(q: int, n: int = 400, d: int = 3, seed: int = 5) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, d))
    X[:, -1] = random.random(n) < 0.4
    return X, (X @ random.normal(size=(d, q)) + random.gumbel(size=(n, q))).argmax(axis=1)


@pytest.fixture(scope="module", params=[2, 3, 5])
def case(request: pytest.FixtureRequest) -> Sample:
    X, y = sample(request.param)
    model = SoftmaxRegression(penalty=None).fit(X, y)
    return Sample(X, y, model, infer(model, X, y))


def peer(X: np.ndarray, y: np.ndarray, **settings: Any) -> Any:
    start = np.zeros((X.shape[1] + 1, len(np.unique(y)) - 1))
    return sm.MNLogit(y, sm.add_constant(X)).fit(
        method="newton", disp=0, maxiter=50, tol=1e-13, start_params=start, warn_convergence=False, **settings
    )


def test_all_that_statsmodels_says_of_the_coefficients(case):
    theirs, ours = peer(case.X, case.y), case.found.coefficients
    for mine, other in [
        (ours.estimate, theirs.params.T),
        (ours.std_error, theirs.bse.T),
        (ours.z, theirs.tvalues.T),
        (ours.p_value, theirs.pvalues.T),
        (ours.lower, theirs.conf_int()[..., 0]),
        (ours.upper, theirs.conf_int()[..., 1]),
    ]:
        assert_allclose(mine, other, rtol=1e-7, atol=1e-7)
    assert_allclose(case.found.covariance, theirs.cov_params(), rtol=1e-7, atol=1e-9)
