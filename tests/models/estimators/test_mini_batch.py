"""partial_fit: rows that come in pieces."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.metrics import log_loss

import softreg
from softreg import SoftmaxRegression

CLASSES = ["ant", "bee", "cat"]


def stream(model: SoftmaxRegression, X: object, y: np.ndarray, size: int = 50, passes: int = 1, **more: object):
    """Hand the rows over in pieces."""
    for _ in range(passes):
        for start in range(0, len(y), size):
            piece = slice(start, start + size)
            model.partial_fit(X[piece], y[piece], **more)
    return model


@pytest.mark.parametrize("size", [1, 7, 50, 300])
def test_a_stream_comes_near_the_optimum(problem, size):
    best = log_loss(problem.y, SoftmaxRegression().fit(problem.X, problem.y).predict_proba(problem.X))
    model = stream(SoftmaxRegression(), problem.X, problem.y, size=size, passes=20, classes=CLASSES)
    assert log_loss(problem.y, model.predict_proba(problem.X)) < best + 0.03
    assert model.n_iter_ == 20 * -(-300 // size)
    assert not hasattr(model, "solution_")


@pytest.mark.parametrize(("shift", "scale"), [(0, 1e-3), (1e3, 1.0), (-50, 1e4)])
def test_shift_and_scale_of_the_features_do_not_matter(problem, shift, scale):
    plain = stream(SoftmaxRegression(penalty=None), problem.X, problem.y, classes=CLASSES, passes=3)
    X = problem.X * scale + shift
    moved = stream(SoftmaxRegression(penalty=None), X, problem.y, classes=CLASSES, passes=3)
    np.testing.assert_allclose(moved.predict_proba(X), plain.predict_proba(problem.X), atol=1e-6)


def test_sparse_rows_learn_what_dense_rows_learn(problem):
    X = np.where(problem.X > 0.3, problem.X, 0.0)
    dense = stream(SoftmaxRegression(), X, problem.y, classes=CLASSES)
    for form in (sp.csr_array, sp.csr_matrix, lambda X: sp.csc_array(X).tocsr()):
        sparse = stream(SoftmaxRegression(), form(X), problem.y, classes=CLASSES)
        np.testing.assert_allclose(sparse.coef_, dense.coef_, atol=1e-10)


def test_classes_are_named_once_and_in_any_order(problem):
    model = SoftmaxRegression().partial_fit(problem.X[:3], problem.y[:3], classes=["cat", "ant", "bee"])
    assert model.classes_.tolist() == CLASSES
    model.partial_fit(problem.X, problem.y)
    model.partial_fit(problem.X, problem.y, classes=["bee", "ant", "cat"])
    with pytest.raises(ValueError, match="not the same as on the last call"):
        model.partial_fit(problem.X, problem.y, classes=["ant", "bee"])
    with pytest.raises(ValueError, match=r"saw only the class 'ant'.*classes=\["):
        SoftmaxRegression().partial_fit(problem.X[:2], ["ant", "ant"])
    with pytest.raises(ValueError, match="class"):
        SoftmaxRegression().partial_fit(problem.X[:2], ["ant", "ant"], classes=["ant"])


def test_a_class_given_twice_is_one_class(problem):
    model = SoftmaxRegression().partial_fit(problem.X, problem.y, classes=["ant", "bee", "cat", "cat"])
    assert model.classes_.tolist() == CLASSES


def test_a_class_that_has_not_come_yet_has_little_probability(problem):
    known = problem.y != "cat"
    model = stream(SoftmaxRegression(), problem.X[known], problem.y[known], classes=CLASSES, passes=10)
    assert model.predict_proba(problem.X).shape == (300, 3)
    assert model.predict_proba(problem.X[known])[:, 2].mean() < 0.1
    stream(model, problem.X, problem.y, passes=20)
    assert log_loss(problem.y, model.predict_proba(problem.X)) < 1.0


def test_other_columns_are_an_error(problem):
    model = SoftmaxRegression().partial_fit(problem.X, problem.y)
    with pytest.raises(ValueError, match="3 features"):
        model.partial_fit(problem.X[:, :3], problem.y)


def test_after_fit_it_goes_on_from_the_optimum_and_stays_near_it(problem):
    model = SoftmaxRegression(1e-3).fit(problem.X, problem.y)
    best = log_loss(problem.y, model.predict_proba(problem.X))
    stream(model, problem.X, problem.y, passes=1)
    assert not hasattr(model, "solution_")
    assert log_loss(problem.y, model.predict_proba(problem.X)) < best + 0.02


def test_after_partial_fit_a_fit_is_the_cold_fit(problem):
    model = SoftmaxRegression().partial_fit(problem.X, problem.y).fit(problem.X, problem.y)
    np.testing.assert_array_equal(model.coef_, SoftmaxRegression().fit(problem.X, problem.y).coef_)
    assert model.solution_.converged
    fewer = model.fit(problem.X[:, :2], problem.codes).partial_fit(problem.X[:, :2], problem.codes)
    assert fewer.coef_.shape == (3, 2)


def test_after_loading_it_goes_on_from_the_stored_weights(problem, tmp_path):
    for begun in ("fit", "partial_fit"):
        model = getattr(SoftmaxRegression(), begun)(problem.X, problem.y)
        model.save(tmp_path / "m")
        back = softreg.load(tmp_path / "m")
        np.testing.assert_array_equal(back.predict_proba(problem.X), model.predict_proba(problem.X))
        before = log_loss(problem.y, back.predict_proba(problem.X))
        stream(back, problem.X, problem.y, passes=2)
        assert log_loss(problem.y, back.predict_proba(problem.X)) < before + 0.02
        with pytest.raises(ValueError, match=r"'dog' \(row 0\)"):
            back.partial_fit(problem.X[:1], ["dog"])


def test_weights_count_and_rows_of_weight_zero_do_not(problem):
    X, y = np.vstack([problem.X, np.full((5, 4), 1e6)]), [*problem.y, *["ant"] * 5]
    weight = np.r_[np.ones(300), np.zeros(5)]
    with_dead = SoftmaxRegression().partial_fit(X, y, classes=CLASSES, sample_weight=weight)
    assert log_loss(problem.y, with_dead.predict_proba(problem.X)) < 1.0
    skewed = stream(SoftmaxRegression(), problem.X, problem.y, classes=CLASSES, passes=5)
    toward = SoftmaxRegression(class_weight={"ant": 20.0})
    stream(toward, problem.X, problem.y, classes=CLASSES, passes=5)
    assert toward.predict_proba(problem.X)[:, 0].mean() > skewed.predict_proba(problem.X)[:, 0].mean() + 0.2
    with pytest.raises(ValueError, match="needs all rows at once"):
        SoftmaxRegression(class_weight="balanced").partial_fit(problem.X, problem.y)


def test_label_probabilities_in_pieces(problem):
    Y = 0.8 * np.eye(3)[problem.codes] + 0.2 / 3
    model = stream(SoftmaxRegression(), problem.X, Y, passes=10)
    best = SoftmaxRegression().fit(problem.X, Y)
    assert np.abs(model.predict_proba(problem.X) - best.predict_proba(problem.X)).mean() < 0.05
    framed = SoftmaxRegression().partial_fit(problem.X, pd.DataFrame(Y, columns=["z", "m", "a"]))
    assert framed.classes_.tolist() == ["z", "m", "a"]
    framed.partial_fit(problem.X, ["z", "m", "a"] * 100)
    with pytest.raises(ValueError, match="4 columns of label probabilities; there are 3 classes"):
        framed.partial_fit(problem.X, np.full((300, 4), 0.25))


def test_a_constant_column_learns_nothing(problem):
    X = np.insert(problem.X, 1, 9.0, axis=1)
    model = stream(SoftmaxRegression(), X, problem.y, classes=CLASSES, passes=3)
    np.testing.assert_array_equal(model.coef_[:, 1], 0.0)
    plain = stream(SoftmaxRegression(), problem.X, problem.y, classes=CLASSES, passes=3)
    np.testing.assert_allclose(np.delete(model.coef_, 1, axis=1), plain.coef_, atol=1e-3)


def test_without_a_bias_there_is_none(problem):
    model = stream(SoftmaxRegression(fit_intercept=False), problem.X, problem.y, classes=CLASSES, passes=3)
    np.testing.assert_array_equal(model.intercept_, 0.0)


def test_arrays_handed_out_are_not_changed_later(problem):
    model = SoftmaxRegression().partial_fit(problem.X, problem.y)
    W, b = model.coef_, model.intercept_
    before = W.copy(), b.copy()
    model.partial_fit(problem.X, problem.y)
    np.testing.assert_array_equal(W, before[0])
    np.testing.assert_array_equal(b, before[1])
    assert not np.array_equal(model.coef_, W)


def test_a_refused_piece_changes_nothing(problem):
    model = SoftmaxRegression().partial_fit(problem.X, problem.y)
    W, n = model.coef_.copy(), model.n_iter_
    for X, y in ((problem.X, ["dog"] * 300), (problem.X * np.nan, problem.y), (problem.X, problem.y[:5])):
        with pytest.raises(ValueError, match=r"dog|NaN|nan|number"):
            model.partial_fit(X, y)
    np.testing.assert_array_equal(model.coef_, W)
    assert model.n_iter_ == n
    again = SoftmaxRegression().partial_fit(problem.X, problem.y).partial_fit(problem.X, problem.y)
    np.testing.assert_array_equal(model.partial_fit(problem.X, problem.y).coef_, again.coef_)
