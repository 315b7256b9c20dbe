"""The bug zoo, rows 18 to 20, 23 to 25, 27 and 28: weights, warm starts, threads, separation."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from softreg import SoftmaxRegression


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_zoo_18_negative_weights_are_an_error(problem, method):
    weight = np.ones(600)
    weight[33] = -0.5
    with pytest.raises(ValueError, match=r"sample weight of row 33 is -0\.5"):
        getattr(SoftmaxRegression(), method)(problem.X, problem.y, sample_weight=weight)
    with pytest.raises(ValueError, match=r"class_weight of 'bee' is -1"):
        getattr(SoftmaxRegression(class_weight={"bee": -1}), method)(problem.X, problem.y)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_zoo_18_weights_that_are_no_numbers_are_an_error(problem, bad):
    weight = np.ones(600)
    weight[599] = bad
    with pytest.raises(ValueError, match="sample weight of row 599"):
        SoftmaxRegression().fit(problem.X, problem.y, weight)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_zoo_19_all_weights_zero_is_an_error(problem, method):
    with pytest.raises(ValueError, match="all sample weights are zero"):
        getattr(SoftmaxRegression(), method)(problem.X, problem.y, sample_weight=np.zeros(600))


def test_zoo_19_class_weights_that_leave_nothing_are_an_error(problem):
    none = dict.fromkeys(("ant", "bee", "cat"), 0)
    with pytest.raises(ValueError, match="zero"):
        SoftmaxRegression(class_weight=none).fit(problem.X, problem.y)
    with pytest.raises(ValueError, match="'cat' has no row with a weight above zero"):
        SoftmaxRegression().fit(problem.X, problem.y, (problem.y != "cat").astype(float))


WAYS = {
    "newton": {},
    "balanced": {"class_weight": "balanced"},
    "class weights": {"class_weight": {"ant": 2.5, "cat": 0.5}},
    "no penalty": {"penalty": None},
    "no bias": {"fit_intercept": False},
    "lbfgs": {"solver": "lbfgs", "tol": 1e-15},
    "elastic net": {"penalty": "elasticnet", "l1_ratio": 0.5, "strength": 1e-3, "tol": 1e-15},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("sparse", [False, True])
def test_zoo_20_weights_are_repeated_rows(problem, way, sparse):
    counts = np.random.default_rng(1).integers(0, 4, 600)
    near = 1e-9 if "tol" not in WAYS[way] else 1e-7  # a tolerance of 1e-15 in the objective is 1e-8 in its argument
    X = sp.csr_array(problem.X) if sparse else problem.X
    index = np.repeat(np.arange(600), counts)
    weighted = SoftmaxRegression(**WAYS[way]).fit(X, problem.y, counts)
    repeated = SoftmaxRegression(**WAYS[way]).fit(X[index], problem.y[index])
    assert weighted.solution_.converged
    assert repeated.solution_.converged
    np.testing.assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), atol=near, rtol=0)
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, atol=10 * near, rtol=0)


def test_zoo_20_weights_are_repeated_rows_of_label_probabilities(problem):
    Y = 0.7 * np.eye(3)[problem.codes] + 0.1
    counts = np.random.default_rng(1).integers(0, 4, 600)
    index = np.repeat(np.arange(600), counts)
    weighted = SoftmaxRegression().fit(problem.X, Y, counts)
    repeated = SoftmaxRegression().fit(problem.X[index], Y[index])
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, atol=1e-9)


def test_zoo_20_class_weights_are_sample_weights(problem):
    given = {"ant": 2.5, "bee": 1.0, "cat": 0.5}
    by_row = np.array([given[label] for label in problem.y])
    by_class = SoftmaxRegression(class_weight=given).fit(problem.X, problem.y)
    np.testing.assert_allclose(by_class.coef_, SoftmaxRegression().fit(problem.X, problem.y, by_row).coef_, atol=1e-12)
    share = 600 / (3 * np.bincount(problem.codes))[problem.codes]
    balanced = SoftmaxRegression(class_weight="balanced").fit(problem.X, problem.y)
    np.testing.assert_allclose(balanced.coef_, SoftmaxRegression().fit(problem.X, problem.y, share).coef_, atol=1e-12)
    np.testing.assert_allclose(np.average(balanced.predict_proba(problem.X), axis=0, weights=share), 1 / 3, atol=1e-6)


def test_zoo_23_the_denominator_of_a_weighted_mean_is_the_sum_of_the_weights():
    # by hand: one constant feature, so each row is predicted as the weighted mean label, (1 * 0.9 + 3 * 0.2) / 4
    Y, v = np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([1.0, 3.0])
    s = SoftmaxRegression().fit(np.zeros((2, 1)), Y, v).solution_
    p = 0.375
    assert s.value == pytest.approx(-(p * np.log(p) + (1 - p) * np.log(1 - p)), abs=1e-12)


def test_zoo_23_the_objective_is_the_weighted_mean_and_the_penalty(problem):
    Y, v = 0.7 * np.eye(3)[problem.codes] + 0.1, np.random.default_rng(0).uniform(0.1, 5, 600)
    model = SoftmaxRegression(1e-2).fit(problem.X, Y, v)
    loss = -(Y * model.predict_log_proba(problem.X)).sum(axis=1)
    assert model.solution_.value == pytest.approx((v @ loss) / v.sum() + 1e-2 / 2 * (model.coef_**2).sum(), abs=1e-12)
    scaled = SoftmaxRegression(1e-2).fit(problem.X, Y, 1000 * v)
    np.testing.assert_allclose(scaled.coef_, model.coef_, atol=1e-12)


@pytest.mark.parametrize(
    "way", [{}, {"solver": "lbfgs"}, {"penalty": "l1", "strength": 1e-2}, {"fit_intercept": False}]
)
def test_zoo_24_a_warm_start_equals_the_cold_fit(problem, way):
    settings = {"strength": 1e-3} | way | {"tol": 1e-14}
    cold = SoftmaxRegression(**settings).fit(problem.X, problem.y)
    before = {
        "the same": lambda m: m.fit(problem.X, problem.y),
        "another strength": lambda m: m.set_params(strength=1e-5).fit(problem.X, problem.y),
        "other rows": lambda m: m.fit(problem.X[:99] * 3 + 50, problem.y[:99]),
        "other columns": lambda m: m.fit(problem.X[:, :2], problem.y),
        "other classes": lambda m: m.fit(problem.X, np.array(["x", "y", "z"])[problem.codes]),
        "fewer classes": lambda m: m.fit(problem.X, problem.y == "ant"),
        "a stream": lambda m: m.partial_fit(problem.X, problem.y),
    }
    for name, prepare in before.items():
        model = prepare(SoftmaxRegression(warm_start=True, **settings))
        kept = model.coef_, model.coef_.copy()
        model.set_params(strength=settings["strength"]).fit(problem.X, problem.y)
        np.testing.assert_allclose(
            model.predict_proba(problem.X), cold.predict_proba(problem.X), atol=1e-6, err_msg=name
        )
        np.testing.assert_array_equal(kept[0], kept[1], err_msg=f"{name}: the arrays handed out before were changed")


def test_zoo_24_a_warm_start_saves_steps(problem):
    model = SoftmaxRegression(warm_start=True, solver="lbfgs").fit(problem.X, problem.y)
    cold = model.n_iter_
    assert model.fit(problem.X, problem.y).n_iter_ < cold


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize("frame", [np.asarray, pd.DataFrame])
def test_zoo_25_label_probabilities_are_never_renormalised(problem, method, frame):
    Y = np.eye(3)[problem.codes]
    for place, value, said in ((4, 0.9, r"row 4 of y sums to 0\.9"), (5, np.nan, "row 5"), (6, -1.0, "row 6")):
        bad = Y.copy()
        bad[place, problem.codes[place]] = value
        with pytest.raises(ValueError, match=said):
            getattr(SoftmaxRegression(), method)(problem.X, frame(bad))


def fit_with(threads: int, monkeypatch: pytest.MonkeyPatch, X: object, y: np.ndarray, **settings: object) -> tuple:
    monkeypatch.setenv("SOFTREG_NUM_THREADS", str(threads))
    with threadpool_limits(threads):
        model = SoftmaxRegression(**settings).fit(X, y)
        return model.coef_, model.intercept_, model.predict_proba(X), model.solution_.gap


@pytest.mark.parametrize("solver", ["newton", "lbfgs"])
@pytest.mark.parametrize("home", ["float64", "float32", "far float32", "fortran", "sparse"])
def test_zoo_27_any_number_of_threads_gives_the_same_bits(monkeypatch, solver, home):
    random = np.random.default_rng(5)
    X = random.normal(size=(40_000, 12))
    y = (X[:, :3] + random.gumbel(size=(40_000, 3))).argmax(axis=1)
    X = {
        "float64": lambda: X,
        "float32": lambda: X.astype(np.float32),
        "far float32": lambda: (X + 1000).astype(np.float32),
        "fortran": lambda: np.asfortranarray(X),
        "sparse": lambda: sp.csr_array(np.where(X > 0.5, X, 0)),
    }[home]()
    one = fit_with(1, monkeypatch, X, y, solver=solver)
    for threads in (2, 3, 8):
        for single, many in zip(one, fit_with(threads, monkeypatch, X, y, solver=solver), strict=True):
            np.testing.assert_array_equal(single, many)


def separated(X: np.ndarray, y: np.ndarray, **settings: object) -> str:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        model = SoftmaxRegression(penalty=None, **settings).fit(X, y)
    assert not model.solution_.converged
    assert [w.category for w in seen] == [ConvergenceWarning]
    assert np.isfinite(model.predict_log_proba(X)).all()
    return str(seen[0].message)


@pytest.mark.parametrize("solver", ["newton", "lbfgs"])
def test_zoo_28_separated_classes_are_named_with_the_feature(problem, solver):
    X = pd.DataFrame(problem.X, columns=["age", "size", "tail", "ears", "teeth"])
    X["tail"] = np.where(problem.codes == 2, 1.0, -1.0) + 0.1 * X["tail"].clip(-2, 2)
    message = separated(X, problem.y, solver=solver)
    assert "no finite optimum" in message
    assert "'cat'" in message
    assert "'tail'" in message
    assert "np.str_" not in message


@pytest.mark.parametrize("solver", ["newton", "lbfgs"])
@pytest.mark.parametrize("shift", [0.0, 1e4])
def test_zoo_28_complete_separation_of_two_classes(solver, shift):
    x = np.linspace(-1, 1, 60)
    X = np.c_[np.random.default_rng(0).normal(size=60), x + 0.3 * np.sign(x)] + shift
    message = separated(X, x > 0, solver=solver)
    assert "False and True" in message
    assert "column 1" in message


@pytest.mark.parametrize("solver", ["newton", "lbfgs"])
def test_zoo_28_one_row_decided_for_certain_is_separation_in_part(two, solver):
    X = np.c_[two.X, np.zeros(600)]
    X[np.flatnonzero(two.codes)[:3], 5] = 1.0  # a level that occurs with one class only
    message = separated(X, two.y, solver=solver)
    assert "in part" in message
    assert "column 5" in message


@pytest.mark.parametrize("solver", ["newton", "lbfgs"])
def test_zoo_28_sparse_and_float32_rows_are_told_as_well(two, solver):
    X = np.c_[two.X, np.zeros(600)]
    X[np.flatnonzero(two.codes)[:3], 5] = 1.0
    assert "column 5" in separated(sp.csr_array(X), two.y, solver=solver)
    assert "column 5" in separated(X.astype(np.float32), two.y, solver=solver)


@pytest.mark.parametrize("solver", ["newton", "lbfgs"])
def test_zoo_28_overlapping_classes_and_penalised_fits_are_not_called_separated(two, problem, solver):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert SoftmaxRegression(penalty=None, solver=solver).fit(problem.X, problem.y).solution_.converged
        x = np.linspace(-1, 1, 60)[:, None]
        assert SoftmaxRegression(1e-4, solver=solver).fit(x, x[:, 0] > 0).solution_.converged
        soft = np.c_[np.where(x > 0, 0.95, 0.05), np.where(x > 0, 0.05, 0.95)]  # doubt keeps the optimum finite
        assert SoftmaxRegression(penalty=None, solver=solver).fit(x, soft).solution_.converged


def test_zoo_28_strength_zero_is_no_penalty(two):
    X = np.c_[two.X, two.codes]
    with pytest.warns(ConvergenceWarning, match="no finite optimum"):
        SoftmaxRegression(0.0).fit(X, two.y)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_weights_that_vanish_beside_the_largest_are_zero(problem, method):
    few = np.where(np.arange(600) < 200, 1e200, 1e-300)
    zero = np.where(few < 1, 0.0, 1.0)
    fits = [getattr(SoftmaxRegression(), method)(problem.X, problem.y, sample_weight=w) for w in (few, zero)]
    np.testing.assert_allclose(fits[0].coef_, fits[1].coef_, rtol=1e-12)
