"""The bug zoo, rows 11 to 17, 21, 22, 26 and 31: classes, their columns and their names."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_predict

import softreg
from softreg import SoftmaxRegression, SoftmaxRegressionCV


def test_zoo_11_it_is_softmax_and_not_one_against_the_rest(problem):
    X, codes, y = problem
    model = SoftmaxRegression(1e-2, tol=1e-13).fit(X, y)
    R = model.predict_proba(X) - np.eye(3)[codes]
    # the conditions of the softmax optimum, which one model a class against the rest does not meet
    np.testing.assert_allclose(R.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(R.T @ X / len(X), -1e-2 * model.coef_, atol=1e-8)
    np.testing.assert_allclose(model.coef_.sum(axis=0), 0, atol=1e-12)


def test_zoo_11_a_class_between_two_others_is_predicted():
    x = np.r_[np.linspace(0, 1, 50), np.linspace(1.2, 2.2, 50), np.linspace(2.4, 3.4, 50)]
    y = np.repeat(["low", "middle", "high"], 50)
    model = SoftmaxRegression(1e-5).fit(x[:, None], y)
    assert model.score(x[:, None], y) == 1.0  # one against the rest cannot single out the middle of a line


def test_zoo_12_two_classes_are_softmax_as_well(two):
    X, codes, y = two
    model = SoftmaxRegression(1e-3, tol=1e-14).fit(X, y)
    assert model.coef_.shape == (2, 5)
    assert model.intercept_.shape == (2,)
    np.testing.assert_allclose(model.coef_[0], -model.coef_[1], atol=1e-12)
    peer = LogisticRegression(C=2 / (600 * 1e-3), tol=1e-10, solver="newton-cholesky").fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X), peer.predict_proba(X), atol=1e-6)
    np.testing.assert_allclose(model.coef_[1] - model.coef_[0], peer.coef_[0], atol=1e-5)
    assert model.decision_function(X).shape == (600,)
    np.testing.assert_allclose(model.decision_function(X), peer.decision_function(X), atol=1e-5)
    swapped = SoftmaxRegression(1e-3, tol=1e-14).fit(X, 1 - codes)
    np.testing.assert_allclose(swapped.coef_[::-1], model.coef_, atol=1e-9)


def test_zoo_12_two_classes_as_label_probabilities_are_the_same_model(two):
    hard = SoftmaxRegression().fit(two.X, two.codes)
    soft = SoftmaxRegression().fit(two.X, np.eye(2)[two.codes])
    np.testing.assert_allclose(soft.coef_, hard.coef_, atol=1e-12)


def test_zoo_13_cross_validation_scores_the_model_that_was_fitted(problem):
    X, _, y = problem
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    strengths = [1e-1, 1e-3]
    search = GridSearchCV(SoftmaxRegression(), {"strength": strengths}, scoring="neg_log_loss", cv=folds).fit(X, y)
    held_out = {s: np.empty((600, 3)) for s in strengths}
    scores = {s: [] for s in strengths}
    for train, test in folds.split(X, y):
        for s in strengths:
            W, b = (lambda m: (m.coef_, m.intercept_))(SoftmaxRegression(s).fit(X[train], y[train]))
            e = np.exp(X[test] @ W.T + b)
            held_out[s][test] = e / e.sum(axis=1, keepdims=True)
            scores[s].append(-log_loss(y[test], held_out[s][test]))
    np.testing.assert_allclose(
        search.cv_results_["mean_test_score"], [np.mean(scores[s]) for s in strengths], rtol=1e-9
    )
    P = cross_val_predict(SoftmaxRegression(1e-3), X, y, cv=folds, method="predict_proba")
    np.testing.assert_allclose(P, held_out[1e-3], rtol=1e-9)
    whole = SoftmaxRegression(search.best_params_["strength"]).fit(X, y)
    np.testing.assert_array_equal(search.best_estimator_.coef_, whole.coef_)


def test_zoo_13_the_path_scores_the_models_that_were_fitted(problem):
    X, _, y = problem
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    model = SoftmaxRegressionCV([1e-1, 1e-3], cv=folds).fit(X, y)
    for s, found in zip([1e-1, 1e-3], model.scores_, strict=True):
        for score, (train, test) in zip(found, folds.split(X, y), strict=True):
            alone = SoftmaxRegression(s, tol=1e-9).fit(X[train], y[train])
            assert score == pytest.approx(log_loss(y[test], alone.predict_proba(X[test])), abs=2e-5)


@pytest.mark.parametrize("scoring", ["log_loss", "brier", "accuracy", "neg_log_loss"])
def test_zoo_31_a_fold_without_some_class_has_the_right_shape_and_mass(problem, scoring):
    X, _, y = problem
    y = y.astype(object)
    y[5] = "zebra"  # the only one: the fold that tests it has not seen it
    folds = [(np.arange(600) % 3 != k, np.arange(600) % 3 == k) for k in range(3)]
    with pytest.warns(UserWarning, match="all rows of a class .'zebra'"):
        model = SoftmaxRegressionCV([1e-1, 1e-3], cv=folds, scoring=scoring).fit(X, y)
    P = model.oof_proba_
    assert P.shape == (600, 4) == model.predict_proba(X).shape
    np.testing.assert_allclose(P.sum(axis=1), 1)
    assert (P[2::3, 3] == 0).all()
    assert (np.delete(P[:, 3], np.s_[2::3]) > 0).all()
    assert np.isfinite(model.scores_).all()


@pytest.mark.parametrize("solver", ["newton", "lbfgs"])
def test_zoo_14_no_class_is_lost_however_rare(solver):
    random = np.random.default_rng(0)
    X = random.normal(size=(25_000, 3))
    y = np.where(X[:, 0] > 0, "often", "also often")
    y[17] = "once"
    y[:2000:2] = "often"  # overlap
    model = SoftmaxRegression(solver=solver).fit(X, y)
    assert model.classes_.tolist() == sorted({"often", "also often", "once"})
    P = model.predict_proba(X[:7])
    assert P.shape == (7, 3)
    mean = dict(zip(model.classes_.tolist(), model.predict_proba(X).mean(axis=0), strict=True))
    assert mean["once"] == pytest.approx(1 / 25_000, rel=0.2)
    assert model.predict_proba(X[:1]).shape == (1, 3)


@pytest.mark.parametrize("n_classes", [2, 3, 40])
def test_zoo_14_columns_are_the_classes_in_their_order(n_classes):
    codes = np.arange(400) % n_classes
    X = np.eye(n_classes)[codes]
    labels = np.array([f"k{(7 * k) % n_classes:02d}" for k in range(n_classes)])
    model = SoftmaxRegression(1e-3).fit(X, labels[codes])
    P = model.predict_proba(np.eye(n_classes))
    assert P.shape == (n_classes, n_classes)
    assert model.classes_.tolist() == sorted(labels.tolist())
    assert model.classes_[P.argmax(axis=1)].tolist() == labels.tolist()
    assert model.predict(np.eye(n_classes)).tolist() == labels.tolist()


def test_zoo_15_an_unseen_class_is_named(problem):
    model = SoftmaxRegression().partial_fit(problem.X, problem.y)
    with pytest.raises(ValueError, match=r"'dog' \(row 1\) is not among the known classes: 'ant', 'bee', 'cat'"):
        model.partial_fit(problem.X[:2], ["ant", "dog"])
    assert model.score(problem.X[:2], ["dog", "dog"]) == 0.0  # to score a label that was never seen is no error


@pytest.mark.parametrize("n_classes", [2, 3])
def test_zoo_16_partial_fit_may_be_called_again(problem, n_classes):
    rows = problem.codes < n_classes
    X, y = problem.X[rows], problem.y[rows]
    model = SoftmaxRegression()
    losses = []
    for _ in range(6):
        model.partial_fit(X, y, classes=np.unique(y))
        losses.append(log_loss(y, model.predict_proba(X)))
    assert losses[-1] < losses[0]
    best = log_loss(y, SoftmaxRegression().fit(X, y).predict_proba(X))
    assert losses[-1] < best + 0.01
    model.partial_fit(X[y == "ant"][:3], ["ant"] * 3)  # a batch of one class
    assert model.predict_proba(X).shape == (len(X), n_classes)


NAN = float("nan")
MISSING = {
    "None in a list": lambda y: [None, *y[1:]],
    "nan in a list of text": lambda y: [NAN, *y[1:]],
    "nan later in a list of text": lambda y: [*y[:-1], NAN],
    "None in an object array": lambda y: np.array([None, *y[1:]], dtype=object),
    "nan in an object array": lambda y: np.array([NAN, *y[1:]], dtype=object),
    "nan in floats": lambda y: np.array([NAN, *(len(v + w) % 2 for v, w in zip(y[1:], y, strict=False))]),
    "pandas text": lambda y: pd.Series([None, *y[1:]]),
    "pandas string": lambda y: pd.Series([None, *y[1:]], dtype="string"),
    "pandas categorical": lambda y: pd.Series([None, *y[1:]], dtype="category"),
    "pandas Int64": lambda y: pd.Series([None, *(int(v == "ant") for v in y[1:])], dtype="Int64"),
    "pandas boolean": lambda y: pd.Series([None, *(v == "ant" for v in y[1:])], dtype="boolean"),
    "pandas NA in a list": lambda y: [pd.NA, *y[1:]],
    "polars text": lambda y: pl.Series([None, *y[1:]]),
    "polars integers": lambda y: pl.Series([None, *(int(v == "ant") for v in y[1:])]),
    "polars categorical": lambda y: pl.Series([None, *y[1:]], dtype=pl.Categorical),
    "pyarrow": lambda y: pa.array([None, *y[1:]]),
    "pyarrow integers": lambda y: pa.array([None, *(int(v == "ant") for v in y[1:])]),
    "pyarrow chunks": lambda y: pa.chunked_array([[None], list(y[1:])], type=pa.string()),
    "masked": lambda y: np.ma.masked_array((y == "ant").astype(int), mask=np.arange(len(y)) == 0),
    "dates": lambda y: np.where(np.arange(len(y)) == 0, np.datetime64("NaT"), np.datetime64("2020-01-01")),
}


@pytest.mark.parametrize("kind", MISSING)
def test_zoo_17_a_missing_label_is_no_class(problem, kind):
    y = MISSING[kind](problem.y)
    with pytest.raises(ValueError, match=r"no label in row (0|599)\b"):
        SoftmaxRegression().fit(problem.X, y)
    model = SoftmaxRegression()
    with pytest.raises(ValueError, match=r"no label in row (0|599)\b"):
        model.partial_fit(problem.X, y, classes=["ant", "bee", "cat"])


@pytest.mark.parametrize("container", [list, np.array, pd.Series, pl.Series, pa.array])
def test_zoo_17_a_quantity_is_no_label(two, container):
    y = two.codes.astype(float)
    y[5] = 1.7
    with pytest.raises(ValueError, match=r"1\.7 in row 5"):
        SoftmaxRegression().fit(two.X, container(y.tolist()))
    model = SoftmaxRegression().partial_fit(two.X, two.codes)
    with pytest.raises(ValueError, match=r"1\.7"):
        model.partial_fit(two.X, container(y.tolist()))


@pytest.mark.parametrize("first", [1, 1.0, True])
def test_zoo_17_labels_of_mixed_kinds_are_not_made_text(problem, first):
    for y in ([first, *problem.y[1:]], np.array([first, *problem.y[1:]], dtype=object)):
        with pytest.raises(ValueError, match=r"mixes kinds of labels: row 0 .* row 1"):
            SoftmaxRegression().fit(problem.X, y)


def test_zoo_17_true_among_integers_is_not_made_one(two):
    with pytest.raises(ValueError, match="mixes kinds of labels"):
        SoftmaxRegression().fit(two.X, [True, *two.codes.tolist()[1:]])


@pytest.mark.parametrize(
    "labels",
    [
        np.array([255, 0, 200], dtype=np.uint8),
        np.array([-128, 127, 0], dtype=np.int8),
        np.array([2**64 - 1, 0, 2**63], dtype=np.uint64),
        np.array([-(2**63), 2**63 - 1, 0]),
        np.array([2**53, 2**53 + 1, 2**53 + 2]),
    ],
    ids=["uint8", "int8", "uint64", "int64", "beyond float64"],
)
def test_zoo_21_integer_labels_of_any_width_are_safe(problem, labels):
    for y in (labels[problem.codes], labels[problem.codes].tolist(), pl.Series(labels[problem.codes])):
        model = SoftmaxRegression().fit(problem.X, y)
        assert model.classes_.tolist() == sorted(labels.tolist())
        assert set(model.predict(problem.X).tolist()) == set(labels.tolist())
        assert model.score(problem.X, y) > 0.5
        assert np.abs(model.predict_proba(problem.X).mean(axis=0).sum() - 1) < 1e-9


def test_zoo_21_integers_of_a_list_stay_exact_where_no_common_width_holds_them(two):
    low, high = -1, 2**63
    model = SoftmaxRegression().fit(two.X, [high if c else low for c in two.codes])
    assert model.classes_.tolist() == [low, high]
    assert all(isinstance(label, int) for label in model.classes_.tolist())


@pytest.mark.parametrize(
    "names", [["no", "maybe", "yes"], ["007", "7", "07"], ["NA", "None", ""], ["ä", "🙂", " a "], [False, True]]
)
def test_zoo_22_names_of_labels_are_kept(problem, tmp_path, names):
    codes = problem.codes % len(names)
    y = np.array(names, dtype=object)[codes]
    model = SoftmaxRegression().fit(problem.X, y)
    model.save(tmp_path / "m.softreg")
    for kept in (model, softreg.load(tmp_path / "m.softreg")):
        assert kept.classes_.tolist() == sorted(names)
        assert set(kept.predict(problem.X).tolist()) <= set(names)
        assert kept.score(problem.X, y) > 0.5


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame, pa.table])
def test_zoo_22_a_frame_of_label_probabilities_names_the_classes(problem, frame):
    Y = 0.8 * np.eye(3)[problem.codes] + 0.2 / 3
    y = frame({"yes": Y[:, 0], "no": Y[:, 1], "007": Y[:, 2]})
    model = SoftmaxRegression().fit(problem.X, y)
    assert model.classes_.tolist() == ["yes", "no", "007"]
    np.testing.assert_array_equal(model.coef_, SoftmaxRegression().fit(problem.X, Y).coef_)


FRAMES = {"pandas": lambda d: pd.DataFrame(d), "polars": pl.DataFrame, "pyarrow": pa.table}


@pytest.mark.parametrize("fitted", FRAMES)
@pytest.mark.parametrize("asked", FRAMES)
def test_zoo_26_columns_are_matched_by_name(problem, fitted, asked):
    columns = {f"c{k}": problem.X[:, k] for k in range(5)}
    model = SoftmaxRegression().fit(FRAMES[fitted](columns), problem.y)
    P = model.predict_proba(FRAMES[asked](columns))
    turned = dict(reversed(columns.items()))
    np.testing.assert_array_equal(model.predict_proba(FRAMES[asked](turned)), P)
    np.testing.assert_array_equal(model.decision_function(FRAMES[asked](turned)).argmax(1), P.argmax(1))
    for call in (model.predict, model.predict_proba, lambda d: model.partial_fit(d, problem.y)):
        with pytest.raises(ValueError, match="c2"):
            call(FRAMES[asked]({k: v for k, v in columns.items() if k != "c2"}))
        with pytest.raises(ValueError, match="other"):
            call(FRAMES[asked](columns | {"other": problem.X[:, 0]}))
        with pytest.raises(ValueError, match="C0"):
            call(FRAMES[asked]({"C0" if k == "c0" else k: v for k, v in columns.items()}))
    other = SoftmaxRegression().fit(FRAMES[fitted](columns), problem.y).partial_fit(FRAMES[asked](turned), problem.y)
    same = SoftmaxRegression().fit(FRAMES[fitted](columns), problem.y).partial_fit(FRAMES[asked](columns), problem.y)
    np.testing.assert_array_equal(other.coef_, same.coef_)


@pytest.mark.parametrize("frame", FRAMES)
def test_zoo_26_columns_of_label_probabilities_are_matched_by_name(problem, frame):
    Y = 0.8 * np.eye(3)[problem.codes] + 0.2 / 3
    columns = {"z": Y[:, 0], "m": Y[:, 1], "a": Y[:, 2]}
    straight, turned = FRAMES[frame](columns), FRAMES[frame](dict(reversed(columns.items())))
    model = SoftmaxRegression().fit(problem.X, straight)
    assert model.score(problem.X, turned) == model.score(problem.X, straight) > 0.5
    first = SoftmaxRegression().partial_fit(problem.X, straight)
    second = SoftmaxRegression().partial_fit(problem.X, straight)
    np.testing.assert_array_equal(
        first.partial_fit(problem.X, turned).coef_, second.partial_fit(problem.X, straight).coef_
    )
    sorted_ones = SoftmaxRegression().partial_fit(problem.X, straight, classes=["a", "m", "z"])
    order = [sorted_ones.classes_.tolist().index(name) for name in ("z", "m", "a")]
    in_turn = SoftmaxRegression().partial_fit(problem.X, straight)  # sums over classes in another order: last digits
    np.testing.assert_allclose(sorted_ones.coef_[order], in_turn.coef_, rtol=1e-12, atol=1e-14)
    wrong = FRAMES[frame]({"z": Y[:, 0], "m": Y[:, 1], "other": Y[:, 2]})
    for call in (model.score, model.partial_fit):
        with pytest.raises(ValueError, match="other"):
            call(problem.X, wrong)
