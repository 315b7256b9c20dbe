"""The bug zoo, rows 1 to 10 and 29: numbers that shift, scale, overflow or never vary."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.sparse as sp

from softreg import SoftmaxRegression
from softreg.optimize import Status


def on_simplex(P: np.ndarray) -> bool:
    return bool(np.isfinite(P).all() and (P >= 0).all() and (P <= 1).all() and np.abs(P.sum(axis=1) - 1).max() < 1e-12)


def reference(X: np.ndarray, y: np.ndarray, strength: float = 1e-4) -> np.ndarray:
    """The float64 optimum of the numbers as stored, found in coordinates without shift."""
    Z = X.astype(np.float64)
    Z = Z - Z.mean(axis=0)
    return SoftmaxRegression(strength, tol=1e-13).fit(Z, y).predict_proba(Z)


@pytest.mark.parametrize("solver", ["newton", "lbfgs"])
@pytest.mark.parametrize(("dtype", "near"), [(np.float64, 1e-6), (np.float32, 1e-4)])
@pytest.mark.parametrize("shift", [-100.0, 1e4, 1e5])
def test_zoo_01_a_shift_of_the_features_changes_no_probability(problem, solver, dtype, near, shift):
    X = (problem.X + shift).astype(dtype)
    model = SoftmaxRegression(solver=solver, tol=1e-11).fit(X, problem.y)
    assert model.solution_.converged
    assert np.abs(model.predict_proba(X) - reference(X, problem.y)).max() < near


@pytest.mark.parametrize("solver", ["newton", "lbfgs"])
def test_zoo_01_the_scale_of_each_column_changes_no_probability_without_a_penalty(problem, solver):
    scale = np.array([1e-9, 1e-3, 1.0, 1e5, 1e9])
    plain = SoftmaxRegression(penalty=None, solver=solver, tol=1e-12).fit(problem.X, problem.y)
    model = SoftmaxRegression(penalty=None, solver=solver, tol=1e-12).fit(problem.X * scale + 3 * scale, problem.y)
    P = model.predict_proba(problem.X * scale + 3 * scale)
    np.testing.assert_allclose(P, plain.predict_proba(problem.X), atol=1e-6)
    np.testing.assert_allclose(model.coef_ * scale, plain.coef_, rtol=1e-4)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_zoo_01_sparse_rows_with_a_far_mean_are_as_right_as_dense_ones(problem, dtype):
    X = (problem.X + 1000).astype(dtype)
    sparse = SoftmaxRegression(tol=1e-11).fit(sp.csr_array(X), problem.y)
    near = 1e-6 if dtype is np.float64 else 1e-4
    assert np.abs(sparse.predict_proba(sp.csr_array(X)) - reference(X, problem.y)).max() < near
    assert np.abs(sparse.predict_proba(X) - reference(X, problem.y)).max() < near


AWKWARD = {
    "huge": lambda X: X * 1e150,
    "tiny": lambda X: X * 1e-150,
    "squares underflow": lambda X: X * 1e-160,
    "squares overflow": lambda X: X * 1e200,
    "near the largest float32": lambda X: (X * 1e37).astype(np.float32),
    "near the smallest float32": lambda X: (X * 1e-37).astype(np.float32),
    "the same column twice": lambda X: np.c_[X, X],
    "all constant": lambda X: np.full_like(X, 3.3),
    "one outlier": lambda X: np.vstack([np.full((1, X.shape[1]), 1e12), X[1:]]),
    "more columns than rows": lambda X: np.random.default_rng(0).normal(size=(len(X), len(X) + 20)),
    "one value a column": lambda X: np.eye(len(X))[:, :50],
}


@pytest.mark.parametrize("case", AWKWARD)
@pytest.mark.parametrize("penalty", ["l2", "l1", None])
def test_zoo_02_probabilities_are_always_on_the_simplex(problem, case, penalty):
    X, y = AWKWARD[case](problem.X)[:120], problem.y[:120]
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        warnings.simplefilter("ignore", UserWarning)  # not converged, or no finite optimum: said, and that is right
        model = SoftmaxRegression(1e-3, penalty=penalty, max_iter=60).fit(X, y)
        assert on_simplex(model.predict_proba(X))
        assert np.isfinite(model.predict_log_proba(X)).all()


def test_zoo_03_softmax_of_logits_near_the_end_of_the_numbers_does_not_overflow(problem):
    model = SoftmaxRegression().fit(problem.X, problem.y)
    model.coef_, model.intercept_ = np.array([[1.0, 0, 0, 0, 0], [0, 0, 0, 0, 0], [-1.0, 0, 0, 0, 0]]), np.zeros(3)
    X = np.zeros((3, 5))
    X[:, 0] = 1e308, -1e308, 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(model.predict_proba(X), [[1, 0, 0], [0, 0, 1], [1 / 3, 1 / 3, 1 / 3]])
        assert model.predict(X).tolist()[:2] == ["ant", "cat"]
        log_P = model.predict_log_proba(X[:2] / 4)
    np.testing.assert_allclose(log_P[0], [0, -2.5e307, -5e307])


def test_zoo_03_float32_rows_overflow_no_sooner_than_float64_rows(problem):
    model = SoftmaxRegression().fit(problem.X, problem.y)
    X = np.array([[3e38, -3e38, 0, 0, 3e38], [-3e38, 3e38, 3e38, 1, 0]], dtype=np.float32)
    expected = model.predict_proba(X.astype(np.float64))
    np.testing.assert_array_equal(model.predict_proba(X), expected)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["coef_", "intercept_"])
def test_zoo_04_a_model_that_is_not_finite_is_not_stored(problem, tmp_path, bad, name):
    model = SoftmaxRegression().fit(problem.X, problem.y)
    model.save(tmp_path / "m.softreg")
    before = (tmp_path / "m.softreg").read_bytes()
    getattr(model, name).flat[1] = bad
    with pytest.raises(ValueError, match="not finite"):
        model.save(tmp_path / "m.softreg")
    assert [p.name for p in tmp_path.iterdir()] == ["m.softreg"]
    assert (tmp_path / "m.softreg").read_bytes() == before


@pytest.mark.parametrize("scale", [1e-200, 1e-100, 1e-30, 1e30, 1e100, 1e200])
def test_zoo_05_features_of_any_size_are_scaled_inside(two, scale):
    X = two.X / np.abs(two.X).max() * 5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain = SoftmaxRegression(penalty=None, tol=1e-12).fit(X, two.y)
        model = SoftmaxRegression(penalty=None, tol=1e-12).fit(X * scale, two.y)
        P = model.predict_proba(X * scale)
    np.testing.assert_allclose(P, plain.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_zoo_06_no_probability_passes_one(dtype):
    random = np.random.default_rng(0)
    X, y = random.normal(size=(2000, 8)).astype(dtype), random.integers(0, 200, 2000)
    model = SoftmaxRegression(1e-2).fit(X, y)
    assert on_simplex(model.predict_proba(X * dtype(30)))


@pytest.mark.parametrize("bad", [np.nan, -np.inf])
@pytest.mark.parametrize("sparse", [False, True])
def test_zoo_06_a_number_that_is_none_is_refused_by_row_and_column(problem, bad, sparse):
    X = problem.X.copy()
    model = SoftmaxRegression().fit(X, problem.y)
    X[41, 3] = bad
    X = sp.csr_array(X) if sparse else X
    for call in (lambda: SoftmaxRegression().fit(X, problem.y), lambda: model.predict_proba(X)):
        with pytest.raises(ValueError, match=r"(NaN|nan|inf)") as error:
            call()
        assert "41" in str(error.value), f"the row is not named: {str(error.value)[:200]}"
        assert "3" in str(error.value).replace("41", ""), "the column is not named"


@pytest.mark.parametrize("shift", [0.0, 1e6, -1e8])
def test_zoo_07_partial_fit_is_stable_for_features_far_from_zero(problem, shift):
    X = problem.X + shift
    model = SoftmaxRegression()
    for _ in range(10):
        model.partial_fit(X, problem.y)
    plain = SoftmaxRegression()
    for _ in range(10):
        plain.partial_fit(problem.X, problem.y)
    np.testing.assert_allclose(model.predict_proba(X), plain.predict_proba(problem.X), atol=1e-4)


@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_zoo_07_partial_fit_statistics_do_not_overflow(problem, scale):
    model = SoftmaxRegression(penalty=None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for start in range(0, 600, 100):
            model.partial_fit(problem.X[start : start + 100] * scale, problem.y[start : start + 100])
    assert on_simplex(model.predict_proba(problem.X * scale))
    assert model.score(problem.X * scale, problem.y) > 0.6


@pytest.mark.parametrize("solver", ["newton", "lbfgs"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("constant", [0.0, 0.1, -7.0, 1e8])
def test_zoo_08_a_constant_feature_has_coefficient_zero(problem, solver, dtype, constant):
    X = np.insert(problem.X, 2, constant, axis=1).astype(dtype)
    model = SoftmaxRegression(solver=solver).fit(X, problem.y)
    assert model.solution_.converged
    np.testing.assert_array_equal(model.coef_[:, 2], 0.0)
    assert np.isfinite(model.coef_).all()


@pytest.mark.parametrize("penalty", ["l1", "elasticnet", None])
def test_zoo_08_a_constant_feature_has_coefficient_zero_whatever_the_penalty(problem, penalty):
    X = sp.csr_array(np.insert(problem.X, 2, 0.0, axis=1))
    ratio = 0.5 if penalty == "elasticnet" else 0.0
    model = SoftmaxRegression(1e-3, penalty=penalty, l1_ratio=ratio).fit(X, problem.y)
    np.testing.assert_array_equal(model.coef_[:, 2], 0.0)


def test_zoo_08_only_rows_that_count_decide_whether_a_feature_is_constant(problem):
    X, weight = np.insert(problem.X, 0, 4.0, axis=1), np.ones(600)
    X[:10, 0], weight[:10] = 99.0, 0.0
    np.testing.assert_array_equal(SoftmaxRegression().fit(X, problem.y, weight).coef_[:, 0], 0.0)


@pytest.mark.parametrize("solver", ["newton", "lbfgs"])
def test_zoo_09_zero_variance_in_one_column_leaves_the_others_alone(problem, solver):
    plain = SoftmaxRegression(solver=solver, tol=1e-12).fit(problem.X, problem.y)
    X = np.insert(problem.X, 2, 5.0, axis=1)
    model = SoftmaxRegression(solver=solver, tol=1e-12).fit(X, problem.y)
    np.testing.assert_allclose(np.delete(model.coef_, 2, axis=1), plain.coef_, atol=1e-6)
    assert np.abs(plain.coef_).min() > 1e-3
    nearly = X.copy()
    nearly[0, 2] += 1e-7  # a spread of rounding size is a spread
    model = SoftmaxRegression(tol=1e-12).fit(nearly, problem.y)
    np.testing.assert_allclose(np.delete(model.coef_, 2, axis=1), plain.coef_, atol=1e-4)


def test_zoo_10_rows_times_columns_may_pass_two_to_the_31st():
    random = np.random.default_rng(3)
    n, d, stored = 60_000, 50_000, 240_000  # n * d = 3e9, of which few are stored
    column = random.integers(0, 40, stored) * 1250 + 7
    y = random.integers(0, 2, n)
    row = random.integers(0, n, stored)
    value = random.normal(size=stored) + 0.7 * y[row] * (column > 25_000)
    X = sp.coo_array((value, (row, column)), shape=(n, d)).tocsr()
    X.indices, X.indptr = X.indices.astype(np.int32), X.indptr.astype(np.int32)
    few = SoftmaxRegression(1e-3, tol=1e-9).fit(X[:, np.unique(column)], y)
    wide = SoftmaxRegression(1e-3, tol=1e-9).fit(X, y)
    np.testing.assert_allclose(wide.coef_[:, np.unique(column)], few.coef_, atol=1e-4)
    assert np.count_nonzero(np.delete(wide.coef_, np.unique(column), axis=1)) == 0
    np.testing.assert_allclose(wide.predict_proba(X), few.predict_proba(X[:, np.unique(column)]), atol=1e-4)


@pytest.mark.parametrize("kind", [sp.csr_array, sp.csr_matrix, sp.csc_array, sp.coo_array])
def test_zoo_10_indices_of_64_bits_give_the_same_model(problem, kind):
    X = kind(np.where(np.abs(problem.X) > 0.5, problem.X, 0.0))
    wide = X.copy()
    if X.format == "coo":
        wide = type(X)((X.data, tuple(c.astype(np.int64) for c in X.coords)), shape=X.shape)
    else:
        wide.indices, wide.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    narrow, model = SoftmaxRegression().fit(X, problem.y), SoftmaxRegression().fit(wide, problem.y)
    np.testing.assert_array_equal(model.coef_, narrow.coef_)
    np.testing.assert_array_equal(model.predict_proba(wide), narrow.predict_proba(X))


def test_zoo_10_indices_out_of_order_or_twice_mean_what_they_mean_to_scipy(problem):
    X = sp.csr_array(np.array([[1.0, 2.0, 3.0]]))
    doubled = sp.csr_array((np.array([3.0, 0.5, 0.5, 2.0]), np.array([2, 0, 0, 1]), np.array([0, 4])), shape=(1, 3))
    assert (doubled.toarray() == X.toarray()).all()
    assert not doubled.has_canonical_format
    rest = sp.csr_array(problem.X[:, :3])
    plain = SoftmaxRegression().fit(sp.vstack([X, rest], format="csr"), ["ant", *problem.y])
    model = SoftmaxRegression().fit(sp.vstack([doubled, rest], format="csr"), ["ant", *problem.y])
    np.testing.assert_allclose(model.coef_, plain.coef_, rtol=1e-9)
    np.testing.assert_allclose(model.predict_proba(doubled), plain.predict_proba(X), rtol=1e-9)


@pytest.mark.parametrize("case", AWKWARD)
@pytest.mark.parametrize(("solver", "penalty"), [("newton", "l2"), ("lbfgs", "l2"), ("newton", None), ("lbfgs", None)])
def test_zoo_29_converged_is_never_said_of_nan(problem, case, solver, penalty):
    X, y = AWKWARD[case](problem.X)[:120], problem.y[:120]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        s = SoftmaxRegression(penalty=penalty, solver=solver, max_iter=40).fit(X, y).solution_
    assert np.isfinite(s.W).all()
    assert np.isfinite(s.b).all()
    assert np.isfinite(s.value)
    assert s.gap >= 0
    if s.status is Status.CONVERGED:
        assert s.gap <= 1e-6


@pytest.mark.parametrize("weight", [1e-300, 1e-12, 1e12, 1e300, 5e307])
def test_zoo_29_weights_of_any_size_give_the_same_model(problem, weight):
    v = np.random.default_rng(0).uniform(0.5, 2, 600)  # at 5e307 each is a number, and their sum is not
    plain = SoftmaxRegression().fit(problem.X, problem.y, v)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = SoftmaxRegression().fit(problem.X, problem.y, v * weight)
    assert model.solution_.converged
    np.testing.assert_allclose(model.coef_, plain.coef_, atol=1e-6)
