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

from softreg import SoftmaxRegression, SoftmaxRegressionCV, infer

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
    return sm.MNLogit(y, sm.add_constant(X)).fit(
        method="newton", disp=0, maxiter=50, tol=1e-13, warn_convergence=False, **settings
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


def test_all_that_statsmodels_says_of_the_whole(case):
    theirs, ours = peer(case.X, case.y), case.found
    assert ours.log_likelihood == pytest.approx(theirs.llf, abs=1e-8)
    assert ours.null_log_likelihood == pytest.approx(theirs.llnull, abs=1e-6)  # theirs is found by iterations
    assert ours.mcfadden == pytest.approx(theirs.prsquared, abs=1e-8)
    assert ours.aic == pytest.approx(theirs.aic, abs=1e-8)
    assert ours.bic == pytest.approx(theirs.bic, abs=1e-8)
    test = ours.likelihood_ratio()
    assert (test.statistic, test.df) == (pytest.approx(theirs.llr, abs=1e-6), theirs.df_model)
    assert test.p_value == pytest.approx(theirs.llr_pvalue, rel=1e-6)


def test_average_marginal_effects_are_those_of_statsmodels(case):
    theirs, ours = peer(case.X, case.y).get_margeff(), case.found.effects()  # of column 2 they take the derivative
    assert ours.changes == ("per unit", "per unit", "1 rather than 0")
    assert_allclose(ours.estimate[:, :2], theirs.margeff.T[:, :2], atol=1e-9)
    assert_allclose(ours.std_error[:, :2], theirs.margeff_se.T[:, :2], atol=1e-8)
    assert_allclose(ours.p_value[:, :2], theirs.pvalues.T[:, :2], atol=1e-6)
    assert_allclose(ours.estimate.sum(axis=0), 0, atol=1e-14)


def test_dropping_columns_is_the_ratio_of_two_fits(case):
    full, few = peer(case.X, case.y), peer(case.X[:, [1]], case.y)
    test = case.found.likelihood_ratio([0, 2])
    assert test.statistic == pytest.approx(2 * (full.llf - few.llf), abs=1e-7)
    assert test.df == 2 * (len(case.model.classes_) - 1)
    nested = infer(SoftmaxRegression(penalty=None).fit(case.X[:, [1]], case.y), case.X[:, [1]], case.y)
    assert case.found.likelihood_ratio(nested=nested).statistic == pytest.approx(test.statistic, abs=1e-8)
    with pytest.raises(ValueError, match="same rows and fewer parameters"):
        nested.likelihood_ratio(nested=case.found)


def test_wald_s_test_of_columns_by_hand(case):
    theirs, q = peer(case.X, case.y), len(case.model.classes_)
    w, C = theirs.params.T[:, 2], np.asarray(theirs.cov_params()).reshape(q - 1, 4, q - 1, 4)[:, 2, :, 2]
    test = case.found.wald([1])
    assert (test.statistic, test.df) == (pytest.approx(w @ np.linalg.solve(C, w), abs=1e-6), q - 1)
    assert case.found.relative_to(q - 1).wald("column 1").statistic == pytest.approx(test.statistic)
    assert case.found.relative_to_mean().wald([1]).statistic == pytest.approx(test.statistic)


def by_hand(X: np.ndarray, y: np.ndarray, theta: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Hessian of the summed loss and the scores (n, p) for the parameters of the classes 1 .. q - 1, bias first."""
    Z, q = np.column_stack([np.ones(len(X)), X]), theta.shape[0] + 1
    o = np.column_stack([np.zeros(len(X)), Z @ theta.T])
    P = np.exp(o) / np.exp(o).sum(axis=1, keepdims=True)
    H = sum(
        v[i] * np.kron(np.diag(P[i, 1:]) - np.outer(P[i, 1:], P[i, 1:]), np.outer(Z[i], Z[i])) for i in range(len(X))
    )
    S = ((P - np.eye(q)[y])[:, 1:, None] * Z[:, None, :]).reshape(len(X), -1)
    return H, S


@pytest.mark.parametrize("weighted", [False, True])
def test_robust_errors_are_the_sandwich(case, weighted):
    random = np.random.default_rng(0)
    v = random.integers(1, 4, len(case.y)).astype(float) if weighted else np.ones(len(case.y))
    model = SoftmaxRegression(penalty=None).fit(case.X, case.y, v)
    found = infer(model, case.X, case.y, v, errors="robust")
    H, S = by_hand(case.X, case.y, found.coefficients.estimate, v)
    A = np.linalg.inv(H)
    assert_allclose(found.covariance, A @ (S.T * v) @ S @ A, rtol=1e-8, atol=1e-12)
    clusters = random.integers(0, 40, len(case.y))
    sums = np.stack([(v[clusters == g, None] * S[clusters == g]).sum(axis=0) for g in range(40)])
    names = np.array([f"group {g}" for g in range(40)])[clusters]
    found = infer(model, case.X, case.y, v, clusters=names)
    assert found.errors == "clustered"
    assert_allclose(found.covariance, A @ sums.T @ sums @ A * 40 / 39, rtol=1e-8, atol=1e-12)


def test_robust_errors_are_those_of_statsmodels(case):
    theirs = peer(case.X, case.y, cov_type="HC0")
    assert_allclose(infer(case.model, case.X, case.y, errors="robust").covariance, theirs.cov_params(), atol=1e-8)


def test_weights_count_rows():
    X, y = sample(3, n=150)
    v = np.arange(150) % 3
    again = np.repeat(np.arange(150), v)
    twice = infer(SoftmaxRegression(penalty=None).fit(X[again], y[again]), X[again], y[again])
    for errors in ("model", "robust"):
        once = infer(SoftmaxRegression(penalty=None).fit(X, y, v), X, y, v, errors=errors)
        plain = infer(twice.fitted.model, X[again], y[again], errors=errors)
        assert_allclose(once.covariance, plain.covariance, rtol=1e-8, atol=1e-12)
        assert (once.n, once.aic) == (plain.n, pytest.approx(plain.aic))
    assert_allclose(once.effects().std_error, plain.effects().std_error, rtol=1e-7)
    double = infer(SoftmaxRegression(penalty=None).fit(X, y, 2.0), X, y, 2.0)
    assert double.n == 300


def test_the_reference_is_a_matter_of_words(case):
    q = len(case.model.classes_)
    W = np.column_stack([case.model.intercept_, case.model.coef_])
    for k in range(q):
        told = infer(case.model, case.X, case.y, reference=k)
        assert told.classes == tuple(c for c in range(q) if c != k)
        assert_allclose(told.coefficients.estimate, np.delete(W - W[k], k, axis=0), atol=1e-5)
        assert_allclose(told.coefficients.std_error, case.found.relative_to(k).coefficients.std_error, rtol=1e-9)
    mean = case.found.relative_to_mean()
    assert_allclose(mean.coefficients.estimate, W - W.mean(axis=0), atol=1e-5)
    assert_allclose(mean.coefficients.estimate.sum(axis=0), 0, atol=1e-12)
    C = mean.covariance.reshape(q, 4, q, 4)
    assert_allclose(C.sum(axis=0), 0, atol=1e-10)
    back = np.eye(q)[1:] - np.eye(q)[0]
    first = np.einsum("ak,kisj,bs->aibj", back, C, back).reshape(case.found.covariance.shape)
    assert_allclose(first, case.found.covariance, atol=1e-10)


def test_origin_unit_and_home_of_the_columns_change_nothing():
    X, y = sample(3)
    found = infer(SoftmaxRegression(penalty=None).fit(X, y), X, y)
    far = X * [1e-3, 1.0, 1e5] + [0.0, 1e6, 1e9]
    moved = infer(SoftmaxRegression(penalty=None).fit(far, y), far, y)
    assert_allclose(moved.coefficients.z[:, 1:], found.coefficients.z[:, 1:], rtol=1e-6)
    assert_allclose(moved.effects().z[:, :2], found.effects().z[:, :2], rtol=1e-6)  # column 2 is 0 or 1 in one alone
    sparse = sp.csr_array(X)
    assert_allclose(
        infer(SoftmaxRegression(penalty=None).fit(sparse, y), sparse, y).covariance, found.covariance, rtol=1e-8
    )
    single = X.astype(np.float32)
    assert_allclose(
        infer(SoftmaxRegression(penalty=None).fit(single, y), single, y).coefficients.z, found.coefficients.z, rtol=1e-4
    )


def test_without_a_bias(case):
    model = SoftmaxRegression(penalty=None, fit_intercept=False).fit(case.X, case.y)
    found, theirs = infer(model, case.X, case.y), sm.MNLogit(case.y, case.X).fit(disp=0, tol=1e-13)
    assert found.columns == ("column 0", "column 1", "column 2")
    assert_allclose(found.coefficients.std_error, theirs.bse.T, rtol=1e-6)
    assert_allclose(found.effects().std_error[:, :2], theirs.get_margeff().margeff_se.T[:, :2], rtol=1e-6)
    assert found.null_log_likelihood == pytest.approx(-400 * np.log(len(model.classes_)))


def test_effects_and_odds_by_finite_differences():
    X, y = sample(3)
    model = SoftmaxRegression(penalty=None, tol=1e-12).fit(X, y)
    found, step = infer(model, X, y), np.array([0.0, 1e-5, 0.0])
    slope = (model.predict_proba(X + step) - model.predict_proba(X - step)).mean(axis=0) / 2e-5
    assert_allclose(found.effects().estimate[:, 1], slope, atol=1e-7)
    odds = found.odds_ratios
    assert odds.columns == ("column 0", "column 1", "column 2")
    assert_allclose(odds.estimate, np.exp(found.coefficients.estimate[:, 1:]))
    assert_allclose(odds.lower, np.exp(found.coefficients.lower[:, 1:]))
    assert_allclose(odds.p_value, found.coefficients.p_value[:, 1:])


def test_an_l2_penalty_says_what_its_errors_mean():
    X, y = sample(3, n=120)
    model = SoftmaxRegression(0.05).fit(X, y)
    found = infer(model, X, y)
    assert found.coefficients.z is None
    assert "not around the true ones" in str(found.summary())
    assert "z" not in found.summary().frame()
    assert found.df < 8
    for ask in (lambda: found.wald([0]), lambda: found.likelihood_ratio()):
        with pytest.raises(ValueError, match="shrinks the weights"):
            ask()
    posterior, robust = infer(model, X, y, errors="posterior"), infer(model, X, y, errors="robust")
    assert (posterior.coefficients.std_error[:, 1:] > found.coefficients.std_error[:, 1:]).all()
    assert not np.allclose(robust.covariance, found.covariance, rtol=1e-3)
    # the spread of the pulled weights, seen: refit to labels drawn from the model
    random, P, seen = np.random.default_rng(3), model.predict_proba(X), []
    for _ in range(200):
        drawn = (P.cumsum(axis=1) > random.random((len(X), 1))).argmax(axis=1)
        W = SoftmaxRegression(0.05).fit(X, drawn).coef_
        seen.append((W[1:] - W[0]).ravel())
    told = found.coefficients.std_error[:, 1:].ravel()
    assert_allclose(np.std(seen, axis=0), told, rtol=0.25)


def test_a_search_is_its_chosen_model():
    X, y = sample(3, n=120)
    search = SoftmaxRegressionCV(strengths=[1e-3, 1e-1], cv=3).fit(X, y)
    plain = infer(SoftmaxRegression(search.strength_).fit(X, y), X, y)
    assert_allclose(infer(search, X, y).covariance, plain.covariance, rtol=1e-6)
    with pytest.raises(ValueError, match="penalty='firth' has no strength to choose"):
        SoftmaxRegressionCV(penalty="firth").fit(X, y)


@pytest.mark.parametrize("label", ["soft", "hard"])
def test_soft_labels_are_rows_in_part(label):
    X, y = sample(3, n=100)
    Y = 0.8 * np.eye(3)[y] + 0.2 / 3 if label == "soft" else np.eye(3)[y]
    found = infer(SoftmaxRegression(penalty=None).fit(X, Y), X, Y)
    rows, codes = np.repeat(X, 3, axis=0), np.tile(np.arange(3), 100)
    split = infer(SoftmaxRegression(penalty=None).fit(rows, codes, Y.ravel()), rows, codes, Y.ravel())
    assert_allclose(found.covariance, split.covariance, rtol=1e-7, atol=1e-10)
    assert found.log_likelihood == pytest.approx(split.log_likelihood)
    assert found.null_log_likelihood == pytest.approx(split.null_log_likelihood)


def test_frames_of_every_kind():
    X, y = sample(3, n=120)
    words = np.array(["ant", "bee", "<b>"])[y]
    frame = pd.DataFrame(X, columns=["age", "pay & tips", "member"])
    found = infer(SoftmaxRegression(penalty=None).fit(frame, words), frame, words, reference="bee")
    told = found.summary().frame()
    assert list(told) == ["class", "column", "estimate", "std_error", "z", "p_value", "lower", "upper"]
    assert told["class"] == ["<b>"] * 4 + ["ant"] * 4
    assert told["column"][:2] == ["(intercept)", "age"]
    for made in (pd.DataFrame(told), pl.DataFrame(told), pa.table(told)):
        assert made.shape == (8, 8)
    assert pd.DataFrame(found.column_tests("Wald")).shape == (3, 4)
    assert_allclose(found.column_tests()["statistic"][0], found.likelihood_ratio("age").statistic)
    page, text = found.summary().html(), str(found.summary())
    assert "&lt;b&gt;" in page
    assert "<b>'" not in page
    assert "pay &amp; tips" in page
    assert "'ant' against 'bee'" in text
    assert found.summary()._repr_html_() == page
    assert "95% from" in text
    assert "class ant" in str(found.effects())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda X, y, m: infer(m, X + np.arange(3)[y][:, None], y), "from the optimum of these rows"),
        (lambda X, y, m: infer(m, X[:50], y[:50]), "from the optimum"),
        (lambda X, y, m: infer(m, X, y, reference="zebra"), "'zebra' is not a class"),
        (lambda X, y, m: infer(m, X, y, errors="hopeful"), "'hopeful' is not one of model, robust, posterior"),
        (lambda X, y, m: infer(m, X, y, errors="posterior"), "this model has none"),
        (lambda X, y, m: infer(m, X, y, errors="model", clusters=y), "clusters need errors='robust'"),
        (lambda X, y, m: infer(m, X, y, clusters=np.zeros(len(y))), "only one cluster"),
        (lambda X, y, m: infer(m, X, y, clusters=y[:5]), "clusters has the shape .5,.; expected one value for each"),
        (lambda X, y, m: infer(m, X, y, level=95), "between 0 and 1"),
        (lambda X, y, m: infer(m, X, y).wald(["price"]), "'price' is not a column"),
        (lambda X, y, m: infer(m, X, y).wald([1, 1]), "each only once"),
        (lambda X, y, m: infer(m, X, y).column_tests("score"), "neither"),
        (lambda X, y, m: infer(SoftmaxRegression(penalty="l1").fit(X, y), X, y), "an l1 penalty selects columns"),
    ],
)
def test_misuse_is_named(change, told):
    X, y = sample(3, n=200)
    model = SoftmaxRegression(penalty=None).fit(X, y)
    with pytest.raises(ValueError, match=told):
        change(X, y, model)


def test_columns_that_say_nothing_of_their_own_are_named():
    X, y = sample(3)
    frame = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "same": 2 - X[:, 0] - 3 * X[:, 1], "still": 1.0})
    model = SoftmaxRegression(penalty=None).fit(frame, y)
    with pytest.raises(ValueError, match="'same', 'still': constant, or a linear combination"):
        infer(model, frame, y)
    penalised = infer(SoftmaxRegression(1e-2).fit(frame, y), frame, y)
    assert np.isfinite(penalised.coefficients.std_error).all()


def test_class_weights_have_robust_errors_and_no_likelihood():
    X, y = sample(3)
    found = infer(SoftmaxRegression(penalty=None, class_weight="balanced").fit(X, y), X, y)
    w = (len(y) / 3 / np.bincount(y))[y]
    H, S = by_hand(X, y, found.coefficients.estimate, w)
    A = np.linalg.inv(H)
    assert found.errors == "robust"
    assert_allclose(found.covariance, A @ (S.T * w**2) @ S @ A, rtol=1e-8, atol=1e-12)
    with pytest.raises(ValueError, match="no AIC"):
        _ = found.aic
    with pytest.raises(ValueError, match="use errors='robust'"):
        infer(found.fitted.model, X, y, errors="model")
    assert "Class weights change" in str(found.summary())


def test_a_loose_fit_is_polished_and_threads_do_not_matter():
    X, y = sample(4, n=3000)
    tight = infer(SoftmaxRegression(penalty=None, tol=1e-12).fit(X, y), X, y)
    loose = infer(SoftmaxRegression(penalty=None, tol=1e-5, solver="lbfgs").fit(X, y), X, y)
    assert_allclose(loose.coefficients.estimate, tight.coefficients.estimate, rtol=1e-8)
    assert_allclose(loose.covariance, tight.covariance, rtol=1e-8)


def test_the_cases_of_a_textbook_table():
    """A 2 x 2 table: the log odds ratio and its error, sqrt(1/a + 1/b + 1/c + 1/d) (Woolf 1955)."""
    X = np.repeat([[0.0], [0.0], [1.0], [1.0]], [20, 10, 5, 15], axis=0)
    y = np.repeat([0, 1, 0, 1], [20, 10, 5, 15])
    found = infer(SoftmaxRegression(penalty=None).fit(X, y), X, y)
    assert_allclose(found.coefficients.estimate, [[np.log(10 / 20), np.log(6)]], atol=1e-12)
    assert_allclose(found.coefficients.std_error[0, 1], np.sqrt(1 / 20 + 1 / 10 + 1 / 5 + 1 / 15), rtol=1e-12)
    assert_allclose(found.odds_ratios.estimate, [[6.0]])
    assert_allclose(found.effects().estimate.sum(), 0, atol=1e-15)
