"""Columns of extreme scale, and single outliers: right optima, and no certificate or status that is not so."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.sparse as sp

from softreg import SoftmaxRegression, separation

BEST = 0.5487220049690251
"""The minimum for columns of scale 1."""
BEST_WITH_OUTLIER = 0.5476968157553402
"""The minimum where the first row is far out and rightly classified."""


@pytest.fixture(scope="module")
def data():
    r = np.random.default_rng(6)
    X = r.normal(size=(200, 3))
    return X, (X[:, 0] + r.logistic(size=200) > 0).astype(int)


def fitted(X, y, **settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return SoftmaxRegression(**{"penalty": None, **settings}).fit(X, y)


@pytest.mark.parametrize("far", [1e3, 1e5, 1e6, 1e7, 1e8, 1e9, 1e12])
def test_an_outlier_does_not_separate_classes(data, far):
    X, y = data[0].copy(), data[1]
    X[0, 0] = far
    assert separation(X, y) is None
    found = fitted(X, y).solution_
    assert found.status.value == "converged"
    assert found.value == pytest.approx(BEST_WITH_OUTLIER, abs=1e-9)


@pytest.mark.parametrize("far", [1e6, 1e9, 1e15, 1e18, 1e20, 1e30, 1e100, 1e155, 1e300])
@pytest.mark.parametrize("solver", ["auto", "lbfgs"])
def test_an_outlier_of_any_size_gives_no_wrong_status(data, far, solver):
    X, y = data[0].copy(), data[1]
    X[0, 0] = far
    found = fitted(X, y, solver=solver).solution_
    assert found.status.value != "no finite optimum"
    assert not found.converged or found.value == pytest.approx(BEST_WITH_OUTLIER, abs=2e-6)


@pytest.mark.parametrize("far", [1e6, 1e9, 1e12])
def test_an_outlier_of_the_other_class_takes_its_row_and_column_out(data, far):
    X, y = data[0].copy(), data[1]
    X[0, 0] = -far
    found = fitted(X, y).solution_
    assert found.converged
    others = fitted(X[1:, 1:], y[1:]).solution_.value  # a weight of 50 / far fits row 0 and changes no other logit
    assert found.value == pytest.approx(199 / 200 * others, abs=1e-4)
    assert separation(X, y) is None


@pytest.mark.parametrize("far", [1e6, 1e9, 1e12])
def test_separation_is_found_beside_an_outlier(data, far):
    X, y = data[0].copy(), data[1]
    X[0, 0] = far
    X = np.c_[X, (np.arange(200) < 20) & (y == 1)]  # quasi-complete: the last column occurs with class 1 alone
    found = separation(X, y)
    assert found is not None
    assert (found.columns[0], found.complete) == ("column 3", False)
    assert fitted(X, y).solution_.status.value == "no finite optimum"


@pytest.mark.parametrize("scale", [1e-300, 1e-291, 1e-200, 1e-110, 1e110, 1e200, 1e300, 1e307, 5e307])
@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("solver", ["auto", "lbfgs"])
def test_the_scale_of_a_column_changes_no_optimum(data, scale, form, solver):
    X, y = data
    X = X * [scale, 1, 1]
    model = fitted(form(X), y, solver=solver)
    assert model.solution_.converged
    assert model.solution_.value == pytest.approx(BEST, abs=1e-6)
    p = model.predict_proba(form(X))[np.arange(200), y]
    assert -np.log(p).mean() == pytest.approx(BEST, abs=1e-6)


@pytest.mark.parametrize("scale", [1e-40, 1e-38, 1e-30, 1e30, 1e37, 1e38])
@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
def test_the_scale_of_a_float32_column_changes_no_optimum(data, scale, form):
    X, y = data[0].astype(np.float32), data[1]
    X[:, 0] = X[:, 0].astype(np.float64) * scale
    model = fitted(form(X), y)
    assert model.solution_.converged
    assert model.solution_.value == pytest.approx(BEST, abs=1e-5)


@pytest.mark.parametrize("scale", [1e-323, 1e-310, 1e-305])
def test_a_column_whose_weight_float64_cannot_hold_is_refused(data, scale):
    X, y = data
    with pytest.raises(ValueError, match="column 0 varies by less than"):
        fitted(X * [scale, 1, 1], y)


@pytest.mark.parametrize("scale", [1e-305, 1e-300, 1e-40, 1e40, 1e300, 1e307])
@pytest.mark.parametrize("penalty", ["l2", "l1"])
def test_a_penalty_on_columns_of_extreme_scale_gives_no_wrong_certificate(data, scale, penalty):
    X, y = data
    found = fitted(X * [scale, 1, 1], y, penalty=penalty, strength=1e-6).solution_
    # a tiny column is penalised out of the model, a huge one is hardly penalised
    known = fitted(X * [1e-9 if scale < 1 else 1e9, 1, 1], y, penalty=penalty, strength=1e-6).solution_
    assert not found.converged or found.value == pytest.approx(known.value, abs=3e-6)
