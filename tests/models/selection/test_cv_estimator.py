"""The strength by cross-validation: scores of references, every kind of fold, weights, rules and contracts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import get_scorer, log_loss, make_scorer, roc_auc_score
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    PredefinedSplit,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    StratifiedKFold,
    TimeSeriesSplit,
    cross_val_predict,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import softreg
from softreg import SoftmaxRegression, SoftmaxRegressionCV
from softreg.models.selection import strength_search
from softreg.models.selection.fold_stack import StackSolution

STRENGTHS = [1e-1, 1e-2, 1e-3]


@parametrize_with_checks([SoftmaxRegressionCV(), SoftmaxRegressionCV([1e-2, 1e-3], cv=3, rule="1se")])
def test_scikit_learn_s_own_checks(estimator, check):
    check(estimator)


def test_scores_are_those_of_logistic_regression_cv():
    X, y = load_iris(return_X_y=True)
    model = SoftmaxRegressionCV(STRENGTHS).fit(X, y)
    C = [1 / (120 * s) for s in STRENGTHS]  # each fold trains on 120 of the 150 rows
    peer = LogisticRegressionCV(
        Cs=C, cv=5, scoring="neg_log_loss", tol=1e-10, max_iter=10_000, l1_ratios=(0.0,), use_legacy_attributes=False
    ).fit(X, y)
    np.testing.assert_allclose(model.scores_, -peer.scores_[:, 0, :].T, atol=1e-5)  # the peer's own tolerance
    np.testing.assert_allclose(peer.C_, 1 / (120 * model.strength_))


def test_each_fold_scores_like_the_same_fold_alone():
    X, y = load_digits(return_X_y=True)
    X, y = (X[:600] / 16).astype(np.float32), y[:600]
    model = SoftmaxRegressionCV([1e-1, 1e-3, 1e-4], cv=3).fit(X, y)
    for j, strength in enumerate(model.path_.strength):
        for k, (train, test) in enumerate(StratifiedKFold(3).split(X, y)):
            alone = SoftmaxRegression(strength, tol=1e-10).fit(X[train], y[train])
            assert model.scores_[j, k] == pytest.approx(log_loss(y[test], alone.predict_proba(X[test])), abs=1e-4)


def test_the_final_model_is_the_fit_of_all_rows(problem):
    model = SoftmaxRegressionCV(STRENGTHS).fit(problem.X, problem.y)
    alone = SoftmaxRegression(model.strength_).fit(problem.X, problem.y)
    np.testing.assert_allclose(model.predict_proba(problem.X), alone.predict_proba(problem.X), atol=1e-6)
    assert model.solution_.gap <= 1e-6
    assert model.solution_.certified
    best = model.best_estimator_
    assert best.get_params()["strength"] == model.strength_
    np.testing.assert_array_equal(best.predict_proba(problem.X), model.predict_proba(problem.X))


def test_out_of_fold_probabilities_are_those_of_cross_val_predict(problem):
    model = SoftmaxRegressionCV(STRENGTHS, cv=4).fit(problem.X, problem.y)
    alone = SoftmaxRegression(model.strength_, tol=1e-9)
    P = cross_val_predict(alone, problem.X, problem.y, cv=StratifiedKFold(4), method="predict_proba")
    np.testing.assert_allclose(model.oof_proba_, P, atol=1e-5)
    assert model.path_.mean[model.path_.chosen] == pytest.approx(log_loss(problem.y, model.oof_proba_), abs=1e-6)


def test_an_automatic_path_begins_with_nothing_and_ends_after_the_turn(problem):
    model = SoftmaxRegressionCV().fit(problem.X, problem.y)
    path = model.path_
    assert (np.diff(path.strength) < 0).all()
    entropy = log_loss(problem.y, np.tile(np.bincount(problem.codes) / 300, (300, 1)))
    assert path.mean[0] == pytest.approx(entropy, rel=0.02)
    assert path.mean[-1] > path.mean[path.chosen] == path.mean.min()
    near = path.strength[max(0, path.chosen - 1) : path.chosen + 2]
    assert (near[:-1] / near[1:] < 1.8).all()
    assert (path.gap <= 1e-5).all()
    finer = SoftmaxRegressionCV(model.strength_ * np.array([1.3, 1, 1 / 1.3])).fit(problem.X, problem.y)
    assert finer.path_.mean.min() > path.mean.min() - 1e-3


def test_the_path_does_not_depend_on_the_unit_of_all_columns(problem):
    # weights shrink by the unit, so strengths grow by its square: the path begins elsewhere and chooses the same model
    one = SoftmaxRegressionCV().fit(problem.X, problem.y)
    other = SoftmaxRegressionCV().fit(problem.X * 100 + 7, problem.y)
    assert other.strength_ == pytest.approx(one.strength_ * 1e4)
    np.testing.assert_allclose(other.oof_proba_, one.oof_proba_, atol=1e-6)


def test_columns_in_far_apart_units_are_all_reached(problem):
    # one column in huge units enters first; on the plateau after it the path must not stop
    X = problem.X * np.array([1e5, 1.0, 1.0, 1.0])
    model = SoftmaxRegressionCV().fit(X, problem.y)
    best = SoftmaxRegressionCV().fit(problem.X, problem.y)
    assert model.path_.mean.min() == pytest.approx(best.path_.mean.min(), abs=0.01)


def test_noise_chooses_the_class_rates():
    random = np.random.default_rng(0)
    X, y = random.normal(size=(200, 20)), random.integers(0, 2, 200)
    model = SoftmaxRegressionCV().fit(X, y)
    assert model.path_.mean.min() == pytest.approx(np.log(2), abs=0.01)
    assert np.abs(model.oof_proba_ - 0.5).max() < 0.1


def test_separable_classes_end_the_path():
    X = np.concatenate([np.linspace(-2, -1, 30), np.linspace(1, 2, 30)])[:, None]
    model = SoftmaxRegressionCV().fit(X, np.repeat([0, 1], 30))
    assert len(model.path_) < 20
    assert model.path_.mean.min() < 0.01


def test_constant_features_end_the_path_at_once():
    model = SoftmaxRegressionCV().fit(np.ones((40, 2)), np.tile([0, 1], 20))
    assert len(model.path_) == 1
    np.testing.assert_allclose(model.oof_proba_, 0.5)


def test_one_standard_error_chooses_a_stronger_penalty(problem):
    least = SoftmaxRegressionCV(rule="min").fit(problem.X, problem.y)
    simple = SoftmaxRegressionCV(rule="1se").fit(problem.X, problem.y)
    path = simple.path_
    bound = path.mean.min() + path.error[path.mean.argmin()]
    assert simple.strength_ > least.strength_
    assert path.mean[path.chosen] <= bound
    assert (path.mean[: path.chosen] > bound).all()


def test_mean_and_error_by_hand(problem):
    model = SoftmaxRegressionCV([1e-2], cv=PredefinedSplit(np.repeat([0, 1, 2], [50, 100, 150]))).fit(
        problem.X, problem.y
    )
    scores, share = model.scores_[0], np.array([50, 100, 150]) / 300
    mean = share @ scores
    assert model.path_.mean[0] == pytest.approx(mean)
    assert model.path_.error[0] == pytest.approx(np.sqrt(share @ (scores - mean) ** 2 / 2))


# --- folds ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cv", "tested"),
    [
        (KFold(3, shuffle=True, random_state=0), 300),
        (RepeatedStratifiedKFold(n_splits=3, n_repeats=2, random_state=0), 300),
        (ShuffleSplit(4, test_size=0.2, random_state=0), None),
        (TimeSeriesSplit(4), 240),
        (PredefinedSplit(np.repeat([-1, 0, 1], 100)), 200),
        ([(np.arange(100), np.arange(100, 150)), (np.arange(300) >= 150, np.arange(300) < 20)], 70),
        (None, 300),
    ],
)
def test_every_kind_of_fold(problem, cv, tested):
    model = SoftmaxRegressionCV([1e-2, 1e-3], cv=cv).fit(problem.X, problem.y)
    splits = list((StratifiedKFold(5) if cv is None else cv).split(problem.X, problem.codes)) if not isinstance(
        cv, list
    ) else cv  # fmt: skip
    known = ~np.isnan(model.oof_proba_).any(axis=1)
    assert known.sum() == (tested or len(np.unique(np.concatenate([t for _, t in splits]))))
    np.testing.assert_allclose(model.oof_proba_[known].sum(axis=1), 1)
    assert model.scores_.shape == (2, len(splits))
    for k, (train, test) in enumerate(splits):
        alone = SoftmaxRegression(1e-3).fit(problem.X[train], problem.y[train])
        assert model.scores_[1, k] == pytest.approx(
            log_loss(problem.y[test], alone.predict_proba(problem.X[test])), abs=1e-5
        )


def test_repeated_folds_average_their_probabilities(problem):
    splits = [s for seed in (0, 1) for s in KFold(3, shuffle=True, random_state=seed).split(problem.X)]
    both = SoftmaxRegressionCV([1e-2], cv=splits).fit(problem.X, problem.y)
    each = [SoftmaxRegressionCV([1e-2], cv=half).fit(problem.X, problem.y) for half in (splits[:3], splits[3:])]
    np.testing.assert_allclose(both.oof_proba_, (each[0].oof_proba_ + each[1].oof_proba_) / 2, atol=1e-6)


def test_groups_stay_together(problem):
    groups = np.arange(300) % 6
    model = SoftmaxRegressionCV([1e-2], cv=GroupKFold(3)).fit(problem.X, problem.y, groups=groups)
    splits = list(GroupKFold(3).split(problem.X, problem.y, groups))
    same = SoftmaxRegressionCV([1e-2], cv=splits).fit(problem.X, problem.y)
    np.testing.assert_array_equal(model.oof_proba_, same.oof_proba_)
    with pytest.raises(ValueError, match="groups"):
        SoftmaxRegressionCV([1e-2], cv=LeaveOneGroupOut()).fit(problem.X, problem.y)


def test_a_class_that_a_fold_never_sees_gets_probability_0(problem):
    y = problem.y.astype(object)
    y[7] = "yak"  # one row: whichever fold tests it has never seen it
    splits = [(np.setdiff1d(np.arange(300), t), t) for t in np.array_split(np.arange(300), 3)]
    with pytest.warns(UserWarning, match="all rows of a class .*'yak'.*probability 0"):
        model = SoftmaxRegressionCV([1e-2, 1e-3], cv=splits).fit(problem.X, y)
    assert model.oof_proba_.shape == (300, 4)
    np.testing.assert_allclose(model.oof_proba_.sum(axis=1), 1)
    assert (model.oof_proba_[:100, 3] == 0).all()
    assert (model.oof_proba_[100:, 3] > 0).all()
    train, test = splits[0]
    alone = SoftmaxRegression(1e-3).fit(problem.X[train], problem.y[train])  # never saw the yak either
    fair = test[test != 7]
    expected = log_loss(problem.y[fair], alone.predict_proba(problem.X[fair]))
    assert model.scores_[1, 0] == pytest.approx(expected, abs=1e-5)


def test_soft_labels_of_a_class_that_a_fold_never_sees(problem):
    Y = np.eye(4)[problem.codes]
    Y[7] = [0.5, 0, 0, 0.5]
    splits = [(np.setdiff1d(np.arange(300), t), t) for t in np.array_split(np.arange(300), 3)]
    with pytest.warns(UserWarning, match="all rows of a class"):
        model = SoftmaxRegressionCV([1e-2], cv=splits).fit(problem.X, Y)
    assert (model.oof_proba_[:100, 3] == 0).all()
    np.testing.assert_allclose(model.oof_proba_.sum(axis=1), 1)
    assert np.isfinite(model.scores_).all()


def test_a_fold_of_one_row(problem):
    splits = [(np.arange(1, 300), [0]), (np.arange(200), np.arange(200, 300))]
    model = SoftmaxRegressionCV([1e-2], cv=splits).fit(problem.X, problem.y)
    alone = SoftmaxRegression(1e-2).fit(problem.X[1:], problem.y[1:])
    expected = -alone.predict_log_proba(problem.X[:1])[0, problem.codes[0]]
    assert model.scores_[0, 0] == pytest.approx(expected, abs=1e-6)
    assert model.path_.mean[0] == pytest.approx((expected + 100 * model.scores_[0, 1]) / 101, abs=1e-6)


@pytest.mark.parametrize(
    ("cv", "message"),
    [
        ([(np.arange(0), np.arange(9))], "fold 0 of cv has no training rows"),
        ([(np.arange(9), [])], "no fold of cv has test rows"),
        ([(np.arange(9), [300])], "test rows of fold 0 of cv range from 300 to 300"),
        ([(np.arange(9) / 2, [3])], "train rows of fold 0 of cv are float64"),
        ("kfold", "cv='kfold'"),
        (1, "k-fold"),
    ],
)
def test_folds_that_cannot_be_used(problem, cv, message):
    with pytest.raises(ValueError, match=message):
        SoftmaxRegressionCV([1e-2], cv=cv).fit(problem.X, problem.y)


def test_a_fold_that_sees_one_class_only(problem):
    order = np.argsort(problem.codes)
    with pytest.raises(ValueError, match="fold 0 of cv trains on rows of one class only, 'ant'"):
        SoftmaxRegressionCV([1e-2], cv=TimeSeriesSplit(20)).fit(problem.X[order], problem.y[order])


# --- scoring --------------------------------------------------------------------------------------------------------


def test_brier_and_accuracy(problem):
    P = SoftmaxRegressionCV([1e-2]).fit(problem.X, problem.y).oof_proba_
    brier = SoftmaxRegressionCV([1e-2], scoring="brier").fit(problem.X, problem.y)
    assert brier.path_.mean[0] == pytest.approx(((P - np.eye(3)[problem.codes]) ** 2).sum(axis=1).mean())
    right = SoftmaxRegressionCV([1e-2], scoring="accuracy").fit(problem.X, problem.y)
    assert right.path_.mean[0] == pytest.approx((P.argmax(1) == problem.codes).mean())
    assert right.path_.more_is_better
    assert not brier.path_.more_is_better
    assert right.path_.log_loss[0] == pytest.approx(log_loss(problem.y, P), abs=1e-9)


def test_scorers_of_scikit_learn_and_callables(problem):
    own = SoftmaxRegressionCV(STRENGTHS).fit(problem.X, problem.y)
    theirs = SoftmaxRegressionCV(STRENGTHS, scoring=get_scorer("neg_log_loss")).fit(problem.X, problem.y)
    np.testing.assert_allclose(theirs.scores_, -own.scores_, atol=1e-7)
    assert theirs.strength_ == own.strength_
    two = problem.y == "ant"
    scorer = make_scorer(roc_auc_score, response_method="predict_proba")
    named = SoftmaxRegressionCV(STRENGTHS, scoring="roc_auc").fit(problem.X, two)
    made = SoftmaxRegressionCV(STRENGTHS, scoring=scorer).fit(problem.X, two)
    np.testing.assert_allclose(named.scores_, made.scores_, rtol=1e-12)

    def odd(estimator, X, y):
        return -float(estimator.coef_[0, 0] ** 2)

    assert SoftmaxRegressionCV(STRENGTHS, scoring=odd).fit(problem.X, problem.y).strength_ == 0.1


def test_sample_weights_count_in_fits_and_scores(problem):
    random = np.random.default_rng(3)
    v = random.integers(0, 4, 300)
    fold = np.arange(300) % 3
    weighted = SoftmaxRegressionCV(STRENGTHS, cv=PredefinedSplit(fold)).fit(problem.X, problem.y, sample_weight=v)
    again = np.repeat(np.arange(300), v)
    repeated = SoftmaxRegressionCV(STRENGTHS, cv=PredefinedSplit(fold[again])).fit(problem.X[again], problem.y[again])
    np.testing.assert_allclose(weighted.scores_, repeated.scores_, atol=1e-7)
    np.testing.assert_allclose(weighted.path_.mean, repeated.path_.mean, atol=1e-7)
    np.testing.assert_allclose(weighted.oof_proba_[again], repeated.oof_proba_, atol=1e-6)
    assert np.isnan(weighted.oof_proba_[v == 0]).all()


def test_a_scorer_sees_the_sample_weights(problem):
    v = np.random.default_rng(3).uniform(0.1, 3, 300)
    own = SoftmaxRegressionCV(STRENGTHS).fit(problem.X, problem.y, sample_weight=v)
    theirs = SoftmaxRegressionCV(STRENGTHS, scoring=get_scorer("neg_log_loss")).fit(
        problem.X, problem.y, sample_weight=v
    )
    np.testing.assert_allclose(theirs.scores_, -own.scores_, atol=1e-7)


def test_class_weights_count_in_the_fits_alone(problem):
    model = SoftmaxRegressionCV([1e-2], class_weight={"ant": 5.0}).fit(problem.X, problem.y)
    assert model.path_.mean[0] == pytest.approx(log_loss(problem.y, model.oof_proba_), abs=1e-9)
    plain = SoftmaxRegressionCV([1e-2]).fit(problem.X, problem.y)
    assert model.oof_proba_[:, 0].mean() > plain.oof_proba_[:, 0].mean() + 0.1


def test_soft_labels_count_in_the_scores(problem):
    Y = np.eye(3)[problem.codes]
    hard = SoftmaxRegressionCV(STRENGTHS).fit(problem.X, problem.codes)
    soft = SoftmaxRegressionCV(STRENGTHS).fit(problem.X, Y)
    np.testing.assert_allclose(soft.scores_, hard.scores_, atol=1e-9)
    smooth = 0.8 * Y + 0.2 / 3
    model = SoftmaxRegressionCV([1e-2]).fit(problem.X, smooth)
    by_hand = -(smooth * np.log(model.oof_proba_)).sum(axis=1).mean()
    assert model.path_.mean[0] == pytest.approx(by_hand)


# --- inputs and penalties -------------------------------------------------------------------------------------------


def test_sparse_and_frames_and_shifted_floats(problem):
    dense = SoftmaxRegressionCV(STRENGTHS).fit(problem.X, problem.y)
    sparse = SoftmaxRegressionCV(STRENGTHS).fit(sp.csr_array(problem.X), problem.y)
    np.testing.assert_allclose(sparse.scores_, dense.scores_, atol=1e-7)
    frame = pd.DataFrame(problem.X, columns=list("abcd"))
    named = SoftmaxRegressionCV(STRENGTHS).fit(frame, problem.y)
    assert named.feature_names_in_.tolist() == list("abcd")
    assert named.best_estimator_.feature_names_in_.tolist() == list("abcd")
    np.testing.assert_array_equal(named.predict(frame[list("dcba")]), dense.predict(problem.X))
    single = problem.X.astype(np.float32)
    near = SoftmaxRegressionCV(STRENGTHS).fit(single, problem.y)
    far = SoftmaxRegressionCV(STRENGTHS).fit(single + np.float32(1000), problem.y)
    np.testing.assert_allclose(far.scores_, near.scores_, atol=1e-3)  # what the rounding of x + 1000 leaves


def test_elastic_net_paths_share_the_stack(problem):
    X = np.concatenate([problem.X, np.random.default_rng(5).normal(size=(300, 20))], axis=1)
    model = SoftmaxRegressionCV(STRENGTHS, penalty="elasticnet", l1_ratio=[0.2, 0.9], cv=3).fit(X, problem.y)
    assert model.path_.l1_ratio.tolist() == [0.9, 0.2] * 3
    assert model.scores_.shape == (6, 3)
    for j, (strength, ratio) in enumerate(zip(model.path_.strength, model.path_.l1_ratio, strict=True)):
        alone = SoftmaxRegression(strength, penalty="elasticnet", l1_ratio=ratio, tol=1e-8)
        for k, (train, test) in enumerate(StratifiedKFold(3).split(X, problem.y)):
            P = alone.fit(X[train], problem.y[train]).predict_proba(X[test])
            assert model.scores_[j, k] == pytest.approx(log_loss(problem.y[test], P), abs=1e-4)
    assert model.l1_ratio_ in (0.2, 0.9)
    assert model.best_estimator_.l1_ratio == model.l1_ratio_


def test_an_automatic_l1_path_begins_with_no_weights(problem):
    X = np.concatenate([problem.X, np.random.default_rng(5).normal(size=(300, 10))], axis=1)
    model = SoftmaxRegressionCV(penalty="l1", l1_ratio=1.0, cv=3).fit(X, problem.y)
    assert model.path_.nonzero[0] <= 3
    assert model.path_.nonzero[-1] > model.path_.nonzero[0]
    assert 0 < model.path_.chosen < len(model.path_)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"strengths": "best"}, "strengths='best'"),
        ({"strengths": []}, "strengths"),
        ({"strengths": [1e-3, -1]}, "strengths holds -1"),
        ({"strengths": [0.0]}, "strengths holds 0.0"),
        ({"strengths": ["a"]}, "strengths holds 'a'"),
        ({"rule": "max"}, "rule='max'"),
        ({"scoring": "logloss"}, "scoring='logloss'"),
        ({"scoring": 3}, "scoring=3"),
        ({"penalty": None}, "penalty=None"),
        ({"l1_ratio": 0.5}, "l1_ratio=0.5 has no effect"),
        ({"penalty": "elasticnet", "l1_ratio": [0.5, 2]}, "l1_ratio=2"),
        ({"tol": 0}, "tol=0"),
        ({"cv": "loo", "scoring": "roc_auc"}, "cv='loo'"),
    ],
)
def test_parameters_out_of_range(problem, parameters, message):
    with pytest.raises(ValueError, match=message.replace("(", "\\(")):
        SoftmaxRegressionCV(**parameters).fit(problem.X, problem.y)


def test_one_fold_has_no_standard_error(problem):
    split = [(np.arange(200), np.arange(200, 300))]
    model = SoftmaxRegressionCV(cv=split).fit(problem.X, problem.y)
    assert np.isnan(model.path_.error).all()
    with pytest.raises(ValueError, match="at least two folds"):
        SoftmaxRegressionCV(cv=split, rule="1se").fit(problem.X, problem.y)


def test_folds_that_did_not_converge_are_told(problem):
    with (
        pytest.warns(ConvergenceWarning, match="too few for some folds"),
        pytest.warns(ConvergenceWarning, match="stopped at max_iter"),  # so did the final model
    ):
        SoftmaxRegressionCV([1e-3], max_iter=1, solver="lbfgs").fit(problem.X, problem.y)


# --- the estimator --------------------------------------------------------------------------------------------------


def test_saving_keeps_the_model_and_its_path(problem, tmp_path):
    frame = pd.DataFrame(problem.X, columns=list("abcd"))
    model = SoftmaxRegressionCV(STRENGTHS, cv=KFold(3), rule="1se").fit(frame, problem.y)
    model.save(tmp_path / "m.softreg")
    back = softreg.load(tmp_path / "m.softreg")
    assert isinstance(back, SoftmaxRegressionCV)
    np.testing.assert_array_equal(back.predict_proba(frame), model.predict_proba(frame))
    assert (back.strength_, back.l1_ratio_, back.rule) == (model.strength_, 0.0, "1se")
    assert back.strengths == STRENGTHS
    assert back.solution_.gap == model.solution_.gap
    for name in ("strength", "scores", "mean", "error", "gap", "nonzero"):
        np.testing.assert_array_equal(getattr(back.path_, name), getattr(model.path_, name))
    assert not hasattr(back, "oof_proba_")
    back.save(tmp_path / "again.softreg")
    np.testing.assert_array_equal(back.fit(frame, problem.y).scores_, model.scores_)  # of the same three folds


def test_a_damaged_path_is_refused(problem, tmp_path):
    model = SoftmaxRegressionCV(STRENGTHS).fit(problem.X, problem.y)
    arrays, metadata = model.to_state()
    for change in ({"chosen": 9}, {"mean": [1.0]}, {"mean": ["a", "b", "c"]}):
        with pytest.raises(ValueError, match=r"path|chosen"):
            SoftmaxRegressionCV.from_state(arrays, {**metadata, "path": {**metadata["path"], **change}})


def test_clone_and_pipeline(problem):
    model = SoftmaxRegressionCV(STRENGTHS, cv=3, scoring="brier")
    assert clone(model).get_params() == model.get_params()
    pipe = make_pipeline(StandardScaler(), model).fit(problem.X, problem.y)
    assert pipe[-1].strength_ in STRENGTHS
    assert repr(SoftmaxRegressionCV(cv=3)) == "SoftmaxRegressionCV(cv=3)"


def test_progress_is_told(problem, capsys):
    seen = []
    model = SoftmaxRegressionCV(STRENGTHS, verbose=seen.append).fit(problem.X, problem.y)
    assert [p.strength for p in seen] == STRENGTHS
    assert [p.mean for p in seen] == model.path_.mean.tolist()
    SoftmaxRegressionCV(STRENGTHS, verbose=1).fit(problem.X, problem.y)
    assert capsys.readouterr().err.count("strength") == 3


def test_the_picture_of_a_path(problem):
    from matplotlib.figure import Figure

    model = SoftmaxRegressionCV(STRENGTHS).fit(problem.X, problem.y)
    path, axes = model.path_, model.plot_path(Figure().subplots())
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "linear")  # the losses are near each other
    assert axes.get_ylabel() == "held-out log loss (nats)"
    words = [text.get_text() for text in axes.get_legend().get_texts()]
    assert f"chosen: {model.strength_:g}" in words
    assert words.count("each fold") == 1
    (diamond,) = [line for line in axes.lines if line.get_marker() == "D"]
    assert (diamond.get_xdata()[0], diamond.get_ydata()[0]) == (model.strength_, path.mean[path.chosen])
    (band,) = axes.patches
    best = path.mean.argmin()
    assert band.get_y() == pytest.approx(path.mean[best])
    assert band.get_height() == pytest.approx(path.error[best])
    assert pd.DataFrame(path.as_dict()).shape == (3, 8)


def test_the_picture_of_other_paths(problem):
    from matplotlib.figure import Figure

    def picture(**settings):
        return SoftmaxRegressionCV(**settings).fit(problem.X, problem.y).plot_path(Figure().subplots())

    lasso = picture(strengths=[0.3, 0.03, 0.003], penalty="l1", cv=3)
    (top,) = lasso.child_axes
    assert top.get_xlabel() == "weights that are not 0"
    assert len(top.get_xticks()) == 3
    right = picture(strengths=STRENGTHS, scoring="accuracy", cv=3)
    assert right.get_ylabel() == "held-out accuracy"
    (band,) = right.patches
    (diamond,) = [line for line in right.lines if line.get_marker() == "D"]
    assert band.get_y() + band.get_height() == pytest.approx(diamond.get_ydata()[0])  # it reaches down from the best
    both = picture(strengths=STRENGTHS, penalty="elasticnet", l1_ratio=[0.1, 0.9], scoring="neg_brier_score", cv=3)
    assert both.get_ylabel() == "held-out neg brier score"
    assert {"l1_ratio 0.1", "l1_ratio 0.9"} <= {text.get_text() for text in both.get_legend().get_texts()}
    single = picture(strengths=STRENGTHS, cv=[(np.arange(200), np.arange(200, 300))])  # no error, no band
    assert not single.patches
    easy = np.concatenate([np.linspace(-2, -1, 30), np.linspace(1, 2, 30)])[:, None]
    steep = SoftmaxRegressionCV([1.0, 1e-2, 1e-4]).fit(easy, np.repeat([0, 1], 30)).plot_path(Figure().subplots())
    assert steep.get_yscale() == "log"


def test_the_same_fit_twice_gives_the_same_bits(problem):
    one, two = (SoftmaxRegressionCV(cv=3).fit(problem.X, problem.y) for _ in range(2))
    np.testing.assert_array_equal(one.scores_, two.scores_)
    np.testing.assert_array_equal(one.coef_, two.coef_)


def test_a_start_continues_the_parabola_through_short_steps_only():
    def visited(strength, value):
        weights = (np.full((1, 1, 2), value), np.full((1, 2), -value))
        return strength_search.VisitedPoint(strength, StackSolution((weights,), np.zeros(0), 0.0, 0.0, 0, True))

    square = [visited(s, np.log(s) ** 2) for s in (1.0, 0.5, 0.25)]
    ((W, b),) = strength_search._extrapolate(0.125, square).weights
    np.testing.assert_allclose(W, np.log(0.125) ** 2)
    np.testing.assert_allclose(b, -W[0])
    far = [visited(1.0, 1.0), visited(0.1, 2.0)]
    assert strength_search._extrapolate(0.01, far).weights[0][0][0, 0, 0] == pytest.approx(
        2 + strength_search.EXTRAPOLATION
    )
    assert strength_search._extrapolate(0.01, far[:1]) is far[0].solution
    again = [visited(1.0, 1.0), visited(0.5, 2.0), visited(0.5, 3.0)]
    assert np.isfinite(strength_search._extrapolate(0.25, again).weights[0][0]).all()
