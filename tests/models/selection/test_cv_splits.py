"""Folds of every kind against models fitted fold by fold by hand, and folds and scorers that cannot be used."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.metrics import accuracy_score, make_scorer, roc_auc_score
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    GroupShuffleSplit,
    KFold,
    LeaveOneGroupOut,
    LeavePGroupsOut,
    PredefinedSplit,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    StratifiedGroupKFold,
    StratifiedShuffleSplit,
    TimeSeriesSplit,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import softreg
from softreg import SoftmaxRegression, SoftmaxRegressionCV
from softreg.models.serialization.not_stored import NotStored

ROWS = np.arange(300)
GROUPS, third = ROWS % 7, ROWS % 3
STRENGTHS = [1e-1, 1e-2]
KINDS = [
    (KFold(3, shuffle=True, random_state=4), None),
    (GroupKFold(3), GROUPS),
    (StratifiedGroupKFold(3), GROUPS),
    (LeaveOneGroupOut(), GROUPS),
    (LeavePGroupsOut(2), ROWS % 4),
    (GroupShuffleSplit(3, random_state=0), GROUPS),
    (TimeSeriesSplit(3, gap=5), None),
    (RepeatedStratifiedKFold(n_splits=3, n_repeats=2, random_state=0), None),
    (ShuffleSplit(3, random_state=0), None),
    (StratifiedShuffleSplit(3, random_state=0), None),
    (PredefinedSplit(ROWS % 4 - 1), None),
]
ids = [type(cv).__name__ for cv, _ in KINDS]


def groups_for(cv):
    return GROUPS if "Group" in repr(cv) else None


def by_hand(X, Y, splits, strength, v):
    """Each fold fitted alone: its log loss, and the mean of the probabilities that each row was given."""
    total, count, losses = np.zeros(Y.shape), np.zeros(len(Y)), []
    for train, test in splits:
        P = SoftmaxRegression(strength, tol=1e-9).fit(X[train], Y[train], v[train]).predict_proba(X[test])
        losses.append(np.average(-(Y[test] * np.log(P)).sum(axis=1), weights=v[test]))
        total[test] += P
        count[test] += 1
    with np.errstate(invalid="ignore"):
        return np.array(losses), total / count[:, None]


@pytest.mark.parametrize("soft", [False, True], ids=["hard", "soft"])
@pytest.mark.parametrize(("cv", "groups"), KINDS, ids=ids)
def test_every_fold_is_the_one_fitted_by_hand(problem, cv, groups, soft):
    v = np.random.default_rng(1).uniform(0.5, 2, 300)
    Y = np.eye(3)[problem.codes]
    Y = 0.9 * Y + 0.1 / 3 if soft else Y
    model = SoftmaxRegressionCV([1e-2], cv=cv).fit(problem.X, Y if soft else problem.y, sample_weight=v, groups=groups)
    splits = list(cv.split(problem.X, problem.codes, groups))
    losses, P = by_hand(problem.X, Y, splits, 1e-2, v)
    np.testing.assert_allclose(model.scores_[0], losses, atol=2e-5)
    np.testing.assert_allclose(model.oof_proba_, P, atol=2e-4)
    share = [v[test].sum() for _, test in splits]
    assert model.path_.mean[0] == pytest.approx(np.average(losses, weights=share), abs=2e-5)


def test_a_number_of_folds_keeps_groups_together(problem):
    groups = np.array([f"hand {k}" for k in ROWS % 20])
    model = SoftmaxRegressionCV(STRENGTHS, cv=4).fit(problem.X, problem.y, groups=pd.Series(groups, index=ROWS + 5))
    splits = list(StratifiedGroupKFold(4).split(problem.X, problem.y, groups))
    same = SoftmaxRegressionCV(STRENGTHS, cv=splits).fit(problem.X, problem.y)
    np.testing.assert_array_equal(model.oof_proba_, same.oof_proba_)
    v = (ROWS >= 40).astype(float)  # groups are those of the rows that count
    some = SoftmaxRegressionCV(STRENGTHS, cv=4).fit(problem.X, problem.y, sample_weight=v, groups=groups)
    less = SoftmaxRegressionCV(STRENGTHS, cv=4).fit(problem.X[40:], problem.y[40:], groups=groups[40:])
    np.testing.assert_array_equal(some.oof_proba_[40:], less.oof_proba_)
    assert np.isnan(some.oof_proba_[:40]).all()


@pytest.mark.parametrize(
    ("cv", "groups", "message"),
    [
        (5, ROWS % 3, "cv=5 folds need as many groups at least, but groups has 3"),
        (None, ROWS % 3, "cv=5 folds need as many groups"),
        (3, ROWS[1:], "groups has the shape \\(299,\\); expected one value for each of the 300 rows"),
        ("loo", GROUPS, "cv='loo' leaves out single rows"),
        (GroupKFold(9), GROUPS, "number of groups: 7"),
        (GroupKFold(3), None, "groups"),
        (PredefinedSplit(np.arange(100) % 3), None, "cv gives the folds of 100 rows, but X has 300"),
        (PredefinedSplit(np.full(300, -1)), None, "cv gives no folds"),
        ([], None, "cv gives no folds; an iterator gives its folds once only"),
        ([1, 2], None, "fold 0 of cv is not a pair but 1"),
        ([(ROWS, ROWS, ROWS)], None, "fold 0 of cv is not a pair"),
        ([(ROWS[:50] > 3, ROWS < 3)], None, "train rows of fold 0 of cv are bool of shape"),
        ({"train": ROWS}, None, "cv={'train'"),
        (KFold, None, "cv is the class KFold; pass an instance of it"),
        (True, None, "cv=True"),
        (0, None, "n_splits=0"),
        (2.5, None, "2.5"),
        (object(), None, "neither a number of folds"),
    ],
)
def test_folds_that_cannot_be_are_refused(problem, cv, groups, message):
    with pytest.raises(ValueError, match=message):
        SoftmaxRegressionCV(STRENGTHS, cv=cv).fit(problem.X, problem.y, groups=groups)


def test_a_generator_gives_its_folds_once(problem):
    model = SoftmaxRegressionCV(STRENGTHS, cv=((third != k, third == k) for k in range(3)))
    same = SoftmaxRegressionCV(STRENGTHS, cv=PredefinedSplit(ROWS % 3)).fit(problem.X, problem.y)
    np.testing.assert_array_equal(model.fit(problem.X, problem.y).scores_, same.scores_)
    with pytest.raises(ValueError, match="pass a list"):
        model.fit(problem.X, problem.y)


def test_tests_that_overlap_are_averaged_and_a_fold_without_a_test_scores_nan(problem):
    splits = [(ROWS[60:], ROWS[:60]), (ROWS[90:], ROWS[30:90]), (ROWS[:100], [])]
    model = SoftmaxRegressionCV(STRENGTHS, cv=splits).fit(problem.X, problem.y)
    losses, P = by_hand(problem.X, np.eye(3)[problem.codes], splits[:2], 1e-1, np.ones(300))
    np.testing.assert_allclose(model.scores_[0], [*losses, np.nan], atol=2e-5)
    assert model.path_.mean[0] == pytest.approx(losses.mean(), abs=2e-5)
    strong = SoftmaxRegressionCV([1e-1], cv=splits).fit(problem.X, problem.y).oof_proba_
    np.testing.assert_allclose(strong, P, atol=2e-4)


def test_rows_that_a_fold_was_trained_on_are_told(problem):
    with pytest.warns(UserWarning, match="fold 1 of cv trains on 10 of its 20 test rows"):
        SoftmaxRegressionCV(STRENGTHS, cv=[(ROWS[20:], ROWS[:20]), (ROWS[10:], ROWS[:20])]).fit(problem.X, problem.y)


def test_a_fold_without_weight(problem):
    v = (ROWS >= 100).astype(float)
    model = SoftmaxRegressionCV(STRENGTHS, cv=PredefinedSplit(ROWS // 100)).fit(problem.X, problem.y, sample_weight=v)
    assert np.isnan(model.scores_[:, 0]).all()
    assert np.isfinite(model.scores_[:, 1:]).all()
    assert np.isfinite(model.path_.mean).all()
    with pytest.raises(ValueError, match="fold 1 of cv has no training rows with a weight above zero"):
        SoftmaxRegressionCV(STRENGTHS, cv=[(ROWS[100:], ROWS[:100]), (ROWS[:100], ROWS[100:])]).fit(
            problem.X, problem.y, sample_weight=v
        )


def test_a_class_of_fewer_rows_than_folds(problem):
    y = problem.y.astype(object)
    y[[3, 170]] = "yak"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # scikit-learn's, of a class with fewer rows than folds
        model = SoftmaxRegressionCV(STRENGTHS, cv=5).fit(problem.X, y)
    assert model.oof_proba_.shape == (300, 4)
    np.testing.assert_allclose(model.oof_proba_.sum(axis=1), 1)
    assert np.isfinite(model.scores_).all()
    assert (model.oof_proba_[:, 3] > 0).all()  # each of both is judged by a model that has seen the other


# --- scorers --------------------------------------------------------------------------------------------------------


def fails(error):
    def scorer(estimator, X, y):
        raise error

    return scorer


@pytest.mark.parametrize(
    ("scoring", "message"),
    [
        (accuracy_score, "the scorer accuracy_score failed .*make_scorer"),
        (fails(ValueError("too odd")), "the scorer scorer failed on 100 held-out rows: too odd"),
        (lambda e, X, y: "good", "gave 'good', a str; expected one number"),
        (lambda e, X, y: None, "gave None"),
        (lambda e, X, y: np.ones(2), "gave array"),
        (lambda e, X, y: {"a": 1}, "gave {'a': 1}"),
        (lambda e, X, y: np.nan, "no strength has a finite mean score"),
        (None, "scoring=None"),
        (["accuracy", "brier"], "scoring=\\['accuracy'"),
    ],
)
def test_scorers_that_give_no_number(problem, scoring, message):
    with pytest.raises(ValueError, match=message):
        SoftmaxRegressionCV(STRENGTHS, cv=3, scoring=scoring).fit(problem.X, problem.y)


def test_what_a_scorer_raises_goes_on(problem):
    with pytest.raises(KeyError, match="lost"):
        SoftmaxRegressionCV(STRENGTHS, cv=3, scoring=fails(KeyError("lost"))).fit(problem.X, problem.y)


def test_a_strength_without_a_score_in_some_fold_is_not_compared(problem):
    def strict(estimator, X, y):  # of the weak penalty's third fold, nothing is known; its other scores are better
        weak = np.abs(estimator.coef_).max() > limit
        return (np.nan if weak and y[0] == first else 1.0) if weak else 0.5

    splits = [(third != k, third == k) for k in range(3)]
    first = problem.y[2]
    assert problem.y[0] != first or problem.y[1] != first
    strong, weak = (SoftmaxRegression(s).fit(problem.X, problem.y) for s in STRENGTHS)
    limit = (np.abs(strong.coef_).max() + np.abs(weak.coef_).max()) / 2
    model = SoftmaxRegressionCV(STRENGTHS, cv=splits, scoring=strict).fit(problem.X, problem.y)
    assert np.isnan(model.scores_[1]).any()
    assert model.strength_ == STRENGTHS[0]


def test_scorers_are_asked_with_the_model_of_the_fold_and_weights_if_they_take_them(problem):
    v, seen = np.random.default_rng(2).uniform(0.5, 2, 300), []

    def scorer(estimator, X, y, sample_weight=None):
        seen.append((estimator.coef_, len(X), sample_weight))
        return estimator.score(X, y, sample_weight)

    cv = PredefinedSplit(ROWS % 3)
    model = SoftmaxRegressionCV([1e-2], cv=cv, scoring=scorer).fit(problem.X, problem.y, sample_weight=v)
    for k, (coef, size, weight) in enumerate(seen):
        train, test = third != k, third == k
        alone = SoftmaxRegression(1e-2, tol=1e-9).fit(problem.X[train], problem.y[train], v[train])
        np.testing.assert_allclose(coef, alone.coef_, atol=5e-3)
        np.testing.assert_array_equal(weight, v[test])
        assert size == 100
        assert model.scores_[0, k] == pytest.approx(alone.score(problem.X[test], problem.y[test], v[test]))
    assert model.path_.scoring == "scorer"


# --- scikit-learn's habits ------------------------------------------------------------------------------------------


def test_groups_are_routed_through_pipelines_and_searches(problem):
    plain = SoftmaxRegressionCV(STRENGTHS, cv=GroupKFold(3))
    scaled = StandardScaler().fit_transform(problem.X)
    alone = plain.fit(scaled, problem.y, groups=GROUPS).scores_
    pipe = make_pipeline(StandardScaler(), clone(plain))
    pipe.fit(problem.X, problem.y, softmaxregressioncv__groups=GROUPS)
    np.testing.assert_array_equal(pipe[-1].scores_, alone)
    with sklearn.config_context(enable_metadata_routing=True):
        asking = clone(plain).set_fit_request(groups=True, sample_weight=True).set_score_request(sample_weight=True)
        routed = make_pipeline(StandardScaler(), asking).fit(problem.X, problem.y, groups=GROUPS)
        np.testing.assert_array_equal(routed[-1].scores_, alone)
        search = GridSearchCV(asking, {"rule": ["min", "1se"]}, cv=GroupKFold(2)).fit(
            problem.X, problem.y, groups=GROUPS, sample_weight=np.ones(300)
        )
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()
        fit_parameters = {"groups": GROUPS, "sample_weight": np.ones(300)}
        result = cross_validate(asking, problem.X, problem.y, params=fit_parameters, cv=GroupKFold(2))
        assert np.isfinite(result["test_score"]).all()


def test_fitting_again_gives_the_same_bits_where_the_folds_are_the_same(problem):
    for cv in (KFold(3, shuffle=True, random_state=3), 4, GroupKFold(3)):
        model, groups = SoftmaxRegressionCV(STRENGTHS, cv=cv, random_state=1), groups_for(cv)
        one = model.fit(problem.X, problem.y, groups=groups).oof_proba_, model.coef_
        two = clone(model).fit(problem.X, problem.y, groups=groups)
        np.testing.assert_array_equal(two.oof_proba_, one[0])
        np.testing.assert_array_equal(two.coef_, one[1])


def test_parameters_are_handed_on_as_they_are():
    cv, scorer = KFold(3), make_scorer(roc_auc_score)
    model = SoftmaxRegressionCV([0.1], cv=cv, scoring=scorer)
    assert model.get_params()["cv"] is cv
    assert model.get_params()["scoring"] is scorer
    assert model.set_params(rule="1se", cv=4).get_params()["cv"] == 4


# --- what a file keeps ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cv", [3, None, *(cv for cv, _ in KINDS if not isinstance(cv, PredefinedSplit))], ids=repr)
def test_a_file_keeps_numbers_and_splitters(problem, tmp_path, cv):
    groups = groups_for(cv)
    model = SoftmaxRegressionCV(STRENGTHS, cv=cv, scoring="brier").fit(problem.X, problem.y, groups=groups)
    model.save(tmp_path / "m.softreg")
    back = softreg.load(tmp_path / "m.softreg")
    assert repr(back.cv) == repr(cv)
    assert back.scoring == "brier"
    assert back.path_.passes == model.path_.passes > 0
    assert back.path_.seconds == model.path_.seconds > 0
    np.testing.assert_array_equal(back.fit(problem.X, problem.y, groups=groups).scores_, model.scores_)


@pytest.mark.parametrize(
    ("cv", "message"),
    [
        ([(ROWS[100:], ROWS[:100])] * 2, "cv was a list of 2 when"),
        (PredefinedSplit(ROWS % 3), "cv was PredefinedSplit"),
        (KFold(3, shuffle=True, random_state=np.random.RandomState(0)), "cv was KFold.n_splits=3"),
    ],
)
def test_a_file_tells_what_it_could_not_keep(problem, tmp_path, cv, message):
    def odd(estimator, X, y):
        return -float(np.abs(estimator.coef_).sum())

    model = SoftmaxRegressionCV(STRENGTHS, cv=cv, scoring=odd).fit(problem.X, problem.y)
    model.save(tmp_path / "m.softreg")
    softreg.load(tmp_path / "m.softreg").save(tmp_path / "again.softreg")
    back = softreg.load(tmp_path / "again.softreg")
    np.testing.assert_array_equal(back.predict_proba(problem.X), model.predict_proba(problem.X))
    assert isinstance(clone(back).cv, NotStored)
    with pytest.raises(ValueError, match=message):
        back.fit(problem.X, problem.y)
    with pytest.raises(ValueError, match=r"scoring was <function .*odd> when .*set_params\(scoring="):
        back.set_params(cv=cv).fit(problem.X, problem.y)
    np.testing.assert_array_equal(
        back.set_params(cv=3, scoring="log_loss").fit(problem.X, problem.y).classes_, model.classes_
    )


@pytest.mark.parametrize(
    "cv",
    [
        {"splitter": "HalvingGridSearchCV", "parameters": {}},
        {"splitter": "KFold", "parameters": {"folds": 3}},
        {"splitter": ["KFold"], "parameters": {}},
        {"splitter": "KFold"},
        [1, 2],
    ],
)
def test_a_file_makes_no_other_splitter(problem, cv):
    arrays, metadata = SoftmaxRegressionCV(STRENGTHS).fit(problem.X, problem.y).to_state()
    with pytest.raises(ValueError, match="splitter"):
        SoftmaxRegressionCV.from_state(arrays, {**metadata, "parameters": {**metadata["parameters"], "cv": cv}})


def test_passes_are_those_of_the_whole_search(problem):
    seen = []
    model = SoftmaxRegressionCV(STRENGTHS, cv=3, verbose=seen.append).fit(problem.X, problem.y)
    assert model.path_.passes == sum(point.passes for point in seen)  # one strength at a time
    both = SoftmaxRegressionCV(STRENGTHS, cv=3, penalty="elasticnet", l1_ratio=[0.1, 0.5], verbose=seen.append)
    del seen[:]
    both.fit(problem.X, problem.y)
    assert both.path_.passes == sum(point.passes for point in seen) / 2  # both ratios share their passes
    assert both.path_.seconds > 0
