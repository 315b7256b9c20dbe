"""Folds of sparse rows, which climb the dual: the scores of each fold alone, and those of dense rows."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold

from softreg import SoftmaxRegression, SoftmaxRegressionCV
from softreg.optimize import stack_path as optimize_path
from softreg.rows.kernels import products as kernels

pytestmark = pytest.mark.skipif(not kernels.kernels_in_use().compiled, reason="no compiled kernels here")

STRENGTHS = [1e-2, 1e-3, 1e-4, 1e-5]


@pytest.fixture(scope="module")
def texts():
    """Rows of unit length with a few positive numbers, and labels that they say something about."""
    random, n, d, q = np.random.default_rng(0), 500, 400, 4
    columns = np.sort(random.integers(0, d, size=(n, 20)) ** 2 // d)
    X = sp.csr_array((np.ones(n * 20), (np.repeat(np.arange(n), 20), columns.ravel())), shape=(n, d))
    X.sum_duplicates()
    X = sp.csr_array(sp.diags_array(1 / np.sqrt(X.power(2).sum(axis=1))) @ X)
    o = X @ random.normal(scale=6.0, size=(d, q)) + np.arange(q) / 2
    return X, (o + random.gumbel(size=o.shape)).argmax(axis=1)


@pytest.fixture
def sdca_runs(monkeypatch):
    """Whether each stack was fitted by dual coordinate ascent, in order."""
    count = []

    def counted(*args, **kwargs):
        result = run(*args, **kwargs)
        count.append(result is not None)
        return result

    run = optimize_path.run_sdca_on_folds
    monkeypatch.setattr(optimize_path, "run_sdca_on_folds", counted)
    return count


def test_each_fold_scores_like_the_same_fold_alone(texts, sdca_runs):
    X, y = texts
    model = SoftmaxRegressionCV(STRENGTHS, cv=3).fit(X, y)
    assert sdca_runs == [True] * 4
    for j, strength in enumerate(STRENGTHS):
        near = 1e-4 if strength > 1e-5 else 3e-4  # where 333 rows are far from enough: standard errors are 0.1
        for k, (train, test) in enumerate(StratifiedKFold(3).split(np.zeros((500, 1)), y)):
            alone = SoftmaxRegression(strength, tol=1e-9).fit(X[train], y[train])
            assert model.scores_[j, k] == pytest.approx(log_loss(y[test], alone.predict_proba(X[test])), abs=near)
    assert (model.path_.gap < 3e-5).all()
    assert model.solution_.gap <= 1e-6


@pytest.mark.filterwarnings("ignore:fold 0 of cv trains on")
@pytest.mark.parametrize("soft", [False, True])
def test_weights_repeated_folds_and_soft_labels(texts, sdca_runs, soft):
    X, y = texts
    random = np.random.default_rng(1)
    Y = 0.9 * np.eye(4)[y] + 0.1 * random.dirichlet(np.ones(4), 500) if soft else y
    v = random.integers(0, 3, 500)
    parts = [p for seed in (0, 1) for p in np.array_split(np.random.default_rng(seed).permutation(500), 3)]
    splits = [(np.setdiff1d(np.arange(500), t), t) for t in parts]
    splits[0] = (np.arange(500), splits[0][1])  # a fold that is judged on rows that it has seen
    result = SoftmaxRegressionCV([1e-3, 1e-4], cv=splits).fit(X, Y, sample_weight=v)
    dense = SoftmaxRegressionCV([1e-3, 1e-4], cv=splits).fit(X.toarray(), Y, sample_weight=v)
    assert sdca_runs == [True, True]  # none for the dense rows
    np.testing.assert_allclose(result.scores_, dense.scores_, atol=1e-4)
    np.testing.assert_allclose(result.oof_proba_, dense.oof_proba_, atol=5e-3)
    assert result.strength_ == dense.strength_


def test_a_class_that_a_fold_never_sees(texts, sdca_runs):
    X, y = texts
    y = np.where(np.arange(500) == 7, 4, y)
    splits = [(np.setdiff1d(np.arange(500), t), t) for t in np.array_split(np.arange(500), 3)]
    with pytest.warns(UserWarning, match="all rows of a class"):
        model = SoftmaxRegressionCV([1e-3], cv=splits).fit(X, y)
    assert sdca_runs == [True, True]  # two cohorts
    assert (model.oof_proba_[: len(splits[0][1]), 4] == 0).all()
    np.testing.assert_allclose(model.oof_proba_.sum(axis=1), 1, rtol=1e-5)
    fair = splits[0][1][splits[0][1] != 7]
    alone = SoftmaxRegression(1e-3).fit(X[splits[0][0]], y[splits[0][0]])
    assert model.scores_[0, 0] == pytest.approx(log_loss(y[fair], alone.predict_proba(X[fair])), abs=1e-4)


def test_a_fold_of_one_row(texts, sdca_runs):
    X, y = texts
    splits = [(np.arange(1, 500), [0]), (np.arange(300), np.arange(300, 500))]
    model = SoftmaxRegressionCV([1e-3], cv=splits).fit(X, y)
    alone = SoftmaxRegression(1e-3, tol=1e-9).fit(X[1:], y[1:])
    assert sdca_runs == [True]
    assert model.scores_[0, 0] == pytest.approx(-alone.predict_log_proba(X[:1])[0, y[0]], abs=1e-3)


def test_the_answer_does_not_know_how_many_threads_there_are(texts, monkeypatch):
    result = []
    for threads in ("1", "2", "3"):
        monkeypatch.setenv("SOFTREG_NUM_THREADS", threads)
        result.append(SoftmaxRegressionCV(cv=3).fit(*texts))
    for other in result[1:]:
        np.testing.assert_array_equal(other.scores_, result[0].scores_)
        np.testing.assert_array_equal(other.coef_, result[0].coef_)


def test_leave_one_out_asks_for_more_than_float32_steps_can_give(texts, sdca_runs):
    X, y = texts
    SoftmaxRegressionCV([1e-3], cv="loo").fit(X, y)
    assert not any(sdca_runs)
