"""The relaxed elastic net: folds and final model as by hand, where it helps, how it is kept and what it refuses."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax
from sklearn.base import clone
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold
from sklearn.utils import check_random_state
from sklearn.utils.estimator_checks import parametrize_with_checks

import softreg
from softreg import SoftmaxRegression, SoftmaxRegressionCV, bootstrap
from softreg.models.selection import relaxed_fits as relaxed_module
from softreg.models.selection.regularization_path import PathPoint
from softreg.models.selection.search_state import path_from_json, path_to_json
from softreg.models.selection.selection_rule import choose_point

STRENGTHS = [5e-2, 2e-2, 5e-3]


@parametrize_with_checks(
    [SoftmaxRegressionCV([1e-2], penalty="elasticnet", l1_ratio=0.5, relaxed=[1.0, 0.0], cv=3, tol=1e-14)]
)
def test_scikit_learn_s_own_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def few_true() -> SimpleNamespace:
    """Three classes that four columns of 120 tell apart; 150 rows to learn from and many to judge by."""
    random = np.random.default_rng(4)
    W = np.zeros((120, 3))
    W[:4] = random.normal(size=(4, 3)) * 2.5
    X = random.normal(size=(5150, 120))
    y = (X @ W + random.gumbel(size=(5150, 3))).argmax(axis=1)
    return SimpleNamespace(X=X[:150], y=y[:150], X_new=X[150:], y_new=y[150:])


def refitted(X, Y, W, place, v=None):
    """Weights and bias of the smooth parts of an objective with a share of l1, on the support of W (d, q)."""
    strength, ratio, share = place
    l1, l2, S = strength * ratio * share, strength * (1 - ratio), W != 0
    q, k = Y.shape[1], int(S.sum())
    v = np.full(len(X), 1 / len(X)) if v is None else v / v.sum()

    def parts(flat):
        out = np.zeros(S.shape)
        out[S] = flat[:k] - flat[k : 2 * k]
        return out, flat[2 * k :]

    def loss(flat):
        W, b = parts(flat)
        o = X @ W + b
        mass = logsumexp(o, axis=1)
        R = v[:, None] * (np.exp(o - mass[:, None]) - Y)
        G = (X.T @ R + l2 * W)[S]
        F = v @ (mass - (Y * o).sum(axis=1)) + l2 / 2 * (W**2).sum() + l1 * flat[: 2 * k].sum()
        return F, np.r_[G + l1, l1 - G, R.sum(axis=0)]

    bounds = [(0, None)] * (2 * k) + [(None, None)] * q
    options = {"maxiter": 20_000, "maxfun": 50_000, "ftol": 1e-16, "gtol": 1e-10}
    return parts(minimize(loss, np.zeros(2 * k + q), jac=True, bounds=bounds, options=options).x)


def by_hand(X, Y, place, v=None):
    """The elastic net by `SoftmaxRegression`, then the weights that it has chosen by another solver."""
    strength, ratio, _ = place
    labels = Y.argmax(axis=1) if (Y.max(axis=1) == 1).all() else Y
    net = SoftmaxRegression(strength, penalty="elasticnet", l1_ratio=ratio, tol=1e-10).fit(X, labels, v)
    return refitted(X, Y, net.coef_.T, place, v)


# --- what is fitted -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["hard", "soft", "weighted", "two", "sparse"])
def test_folds_score_like_each_fold_by_hand(few_true, kind):
    X, y = few_true.X[:, :30], few_true.y
    y = np.minimum(y, 1) if kind == "two" else y
    Y = np.eye(y.max() + 1)[y]
    Y = 0.9 * Y + 0.1 / Y.shape[1] if kind == "soft" else Y
    v = np.random.default_rng(0).uniform(0.2, 2, 150) if kind == "weighted" else None
    splits = list(StratifiedKFold(3).split(X, y))
    model = SoftmaxRegressionCV(STRENGTHS, penalty="elasticnet", l1_ratio=0.7, relaxed=[0.6, 0.0], cv=splits)
    model.fit(sp.csr_array(X) if kind == "sparse" else X, Y if kind == "soft" else y, v)
    result = model.path_
    assert result.relaxed.tolist() == [0.6, 0.0] * 3
    assert result.strength.tolist() == np.repeat(STRENGTHS, 2).tolist()
    for j, place in enumerate(zip(result.strength, result.l1_ratio, result.relaxed, strict=True)):
        for k, (train, test) in enumerate(splits):
            W, b = by_hand(X[train], Y[train], place, None if v is None else v[train])
            o = X[test] @ W + b
            lost = logsumexp(o, axis=1) - (Y[test] * o).sum(axis=1)
            expected = np.average(lost, weights=None if v is None else v[test])
            assert model.scores_[j, k] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("penalty", "ratio", "share"), [("elasticnet", 0.6, 0.0), ("elasticnet", 0.9, 0.5), ("l1", 1, 0.1)]
)
def test_the_final_model_is_the_fit_on_its_support(few_true, penalty, ratio, share):
    X, y = few_true.X, few_true.y
    model = SoftmaxRegressionCV([2e-2], penalty=penalty, l1_ratio=ratio, relaxed=share, cv=3, tol=1e-9).fit(X, y)
    net = SoftmaxRegression(2e-2, penalty=penalty, l1_ratio=ratio, tol=1e-9).fit(X, y)
    assert (model.relaxed_, model.strength_, model.l1_ratio_) == (share, 2e-2, ratio)
    live, allowed = model.coef_ != 0, net.coef_ != 0
    assert live.any()
    assert not (live & ~allowed).any()
    assert (live == allowed).all() or share > 0  # what is left of l1 may hold a few of them as well
    W, b = refitted(X, np.eye(3)[y], net.coef_.T, (2e-2, ratio, share))
    np.testing.assert_allclose(model.predict_proba(X), softmax(X @ W + b, axis=1), atol=1e-4)
    assert model.solution_.gap <= 1e-9
    assert model.solution_.certified
    assert np.abs(model.coef_).sum() > np.abs(net.coef_).sum()  # less is pulled
    np.testing.assert_array_equal(model.best_estimator_.predict_proba(X), model.predict_proba(X))


def test_a_share_of_1_is_the_elastic_net_to_the_bit(few_true):
    X, y = few_true.X, few_true.y
    settings = {"penalty": "elasticnet", "l1_ratio": 0.8, "cv": 3}
    plain = SoftmaxRegressionCV(STRENGTHS, **settings).fit(X, y)
    one = SoftmaxRegressionCV(STRENGTHS, relaxed=[1], **settings).fit(X, y)
    both = SoftmaxRegressionCV(STRENGTHS, relaxed=[0.0, 1.0], **settings).fit(X, y)
    for name in ("coef_", "intercept_", "scores_", "oof_proba_"):
        np.testing.assert_array_equal(getattr(one, name), getattr(plain, name))
    np.testing.assert_array_equal(both.scores_[both.path_.relaxed == 1], plain.scores_)
    np.testing.assert_array_equal(both.path_.nonzero[both.path_.relaxed == 1], plain.path_.nonzero)
    assert plain.relaxed_ == 1.0
    assert (plain.path_.relaxed == 1).all()


def test_without_a_weight_at_0_no_l1_part_is_the_l2_penalty(problem):
    # l1 so weak that it chooses all weights: then relaxed=0 leaves the l2 part alone, in folds and in leave-one-out
    for cv in (3, "loo"):
        relaxed = SoftmaxRegressionCV([1e-2], penalty="elasticnet", l1_ratio=1e-3, relaxed=0.0, cv=cv)
        relaxed.fit(problem.X, problem.y)
        ridge = SoftmaxRegressionCV([1e-2 * (1 - 1e-3)], cv=cv).fit(problem.X, problem.y)
        assert (relaxed.coef_ != 0).all()
        np.testing.assert_allclose(relaxed.scores_, ridge.scores_, atol=1e-5)


def test_leave_one_out_knows_the_support(few_true):
    X, y = few_true.X[:100, :12], few_true.y[:100]
    model = SoftmaxRegressionCV([5e-2], penalty="elasticnet", l1_ratio=0.9, relaxed=0.0, cv="loo").fit(X, y)
    W = model.coef_.T
    lost = []
    for i in range(100):
        rest = np.arange(100) != i
        V, b = refitted(X[rest], np.eye(3)[y[rest]], W, (5e-2, 0.9, 0.0))
        o = X[i] @ V + b
        lost.append(logsumexp(o) - o[y[i]])
    assert model.path_.mean[0] == pytest.approx(np.mean(lost), rel=0.01)
    assert (W == 0).any()


def test_a_class_that_a_fold_never_saw(problem):
    y = problem.y.astype(object)
    y[7] = "yak"
    splits = [(np.setdiff1d(np.arange(300), t), t) for t in np.array_split(np.arange(300), 3)]
    settings = {"penalty": "elasticnet", "l1_ratio": 0.5, "relaxed": 0.0, "cv": splits}
    with pytest.warns(UserWarning, match="all rows of a class"):
        model = SoftmaxRegressionCV([3e-2], **settings).fit(problem.X, y)
    assert (model.oof_proba_[:100, 3] == 0).all()
    train, test = splits[0]
    W, b = by_hand(problem.X[train], np.eye(3)[problem.codes[train]], (3e-2, 0.5, 0.0))
    fair = test[test != 7]
    expected = log_loss(problem.codes[fair], softmax(problem.X[fair] @ W + b, axis=1))
    assert model.scores_[0, 0] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("make", [np.asarray, sp.csr_array])
def test_few_columns_are_fitted_alone_and_all_say_the_same(few_true, monkeypatch, make):
    X, y = make(few_true.X), few_true.y
    model = SoftmaxRegressionCV(STRENGTHS[:2], penalty="elasticnet", l1_ratio=0.9, relaxed=[0.5, 0.0], cv=3)
    narrow = clone(model).fit(X, y)
    assert 4 * (narrow.coef_ != 0).any(axis=0).sum() <= 120
    monkeypatch.setattr(relaxed_module, "COPY_FACTOR", 1000)
    whole = clone(model).fit(X, y)
    np.testing.assert_allclose(narrow.scores_, whole.scores_, atol=1e-5)
    np.testing.assert_allclose(narrow.coef_, whole.coef_, atol=1e-3)
    assert narrow.path_.nonzero.tolist() == whole.path_.nonzero.tolist()


def test_where_nothing_is_chosen_nothing_is_relaxed(few_true):
    model = SoftmaxRegressionCV([10.0, 1.0], penalty="l1", l1_ratio=1, relaxed=[1.0, 0.1], cv=3)
    model.fit(few_true.X, few_true.y)
    assert model.path_.nonzero.tolist() == [0] * 4
    assert np.ptp(model.path_.mean) < 1e-6
    assert (model.strength_, model.relaxed_) == (10.0, 1.0)  # of equals, the plain and strong one


# --- what it is good for, and which is chosen -----------------------------------------------------------------------


def test_few_true_columns_among_many_are_found_and_fitted_better(few_true):
    X, y = few_true.X, few_true.y
    net = SoftmaxRegressionCV(penalty="l1", l1_ratio=1).fit(X, y)
    relaxed = SoftmaxRegressionCV(penalty="l1", l1_ratio=1, relaxed=[1.0, 0.3, 0.1]).fit(X, y)
    used = [(m.coef_ != 0).any(axis=0) for m in (net, relaxed)]
    lost = [log_loss(few_true.y_new, m.predict_proba(few_true.X_new)) for m in (net, relaxed)]
    assert relaxed.relaxed_ < 1
    assert relaxed.strength_ > net.strength_
    assert used[1].sum() < used[0].sum() / 2
    assert used[1][:4].all()
    assert lost[1] < lost[0] - 0.05
    assert relaxed.path_.mean.min() < net.path_.mean.min() - 0.05


def test_the_path_ends_where_the_largest_share_turns(few_true):
    net = SoftmaxRegressionCV(penalty="l1", l1_ratio=1, cv=3).fit(few_true.X, few_true.y)
    relaxed = SoftmaxRegressionCV(penalty="l1", l1_ratio=1, relaxed=[0.2, 1.0], cv=3).fit(few_true.X, few_true.y)
    tens = [{s for s in m.path_.strength if np.log10(s) % 1 == 0} for m in (net, relaxed)]
    assert tens[0] == tens[1]
    near = np.unique(relaxed.path_.strength)[::-1]
    at = int(np.flatnonzero(near == relaxed.strength_)[0])
    beside = near[max(0, at - 1) : at + 2]
    assert (beside[:-1] / beside[1:] < 1.8).all()  # narrowed around the chosen one, whichever share it has
    assert (np.bincount(np.searchsorted(near[::-1], relaxed.path_.strength)) == 2).all()


def point(strength, relaxed, mean, error=0.1):
    fields = dict.fromkeys(("scores", "fold_losses"), np.zeros(2))
    numbers = dict.fromkeys(("gap", "objective", "penalty", "log_loss"), 0.0)
    own = {"strength": strength, "l1_ratio": 0.5, "relaxed": relaxed, "mean": mean, "error": error}
    return PathPoint(**own, **fields, **numbers, nonzero=1, passes=1, settled=True)


def test_one_standard_error_takes_the_strongest_penalty_of_any_share():
    points = [
        point(1.0, 1.0, 0.9), point(1.0, 0.5, 0.8), point(0.1, 1.0, 0.55), point(0.1, 0.5, 0.52), point(0.1, 0.0, 0.7),
        point(0.01, 1.0, 0.5), point(0.01, 0.5, 0.6),
    ]  # fmt: skip
    assert choose_point(points, "min", False) is points[5]
    assert choose_point(points, "1se", False) is points[3]
    assert choose_point([*points, point(1.0, 0.0, 0.58)], "1se", False).strength == 1.0


# --- how it is kept, told and refused -------------------------------------------------------------------------------


def test_saving_keeps_the_shares(few_true, tmp_path):
    model = SoftmaxRegressionCV([2e-2, 5e-3], penalty="elasticnet", l1_ratio=[0.0, 0.9], relaxed=(0.5, 0), cv=3)
    model.fit(few_true.X, few_true.y)
    assert model.path_.relaxed.tolist() == [0.5, 0.0, 1.0] * 2  # without an l1 part there is nothing to relax
    model.save(tmp_path / "m.softreg")
    back = softreg.load(tmp_path / "m.softreg")
    assert (back.relaxed_, back.relaxed) == (model.relaxed_, [0.5, 0.0])
    np.testing.assert_array_equal(back.path_.relaxed, model.path_.relaxed)
    np.testing.assert_array_equal(back.coef_, model.coef_)
    np.testing.assert_array_equal(back.path_.as_dict()["relaxed"], model.path_.relaxed)


def test_files_of_before_are_read(problem):
    model = SoftmaxRegressionCV([1e-2, 1e-3]).fit(problem.X, problem.y)
    arrays, metadata = model.to_state()
    old = json.loads(json.dumps(metadata))
    del old["path"]["relaxed"], old["parameters"]["relaxed"]
    back = SoftmaxRegressionCV.from_state(arrays, old)
    assert back.relaxed_ == 1.0
    assert back.relaxed == 1.0
    np.testing.assert_array_equal(back.path_.relaxed, [1.0, 1.0])
    expected = path_to_json(model.path_)
    del expected["relaxed"]
    assert len(path_from_json(expected)) == 2


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"relaxed": 0.5, "penalty": "l2", "l1_ratio": 0.0}, "relaxed=0.5 has no effect without an l1 part"),
        ({"relaxed": [1, 0.5], "l1_ratio": 0.0}, "has no effect without an l1 part"),
        ({"relaxed": 1.5}, "relaxed holds 1.5; it is the share"),
        ({"relaxed": [-0.1, 1]}, "relaxed holds -0.1"),
        ({"relaxed": [True]}, "relaxed holds True"),
        ({"relaxed": "all"}, "relaxed='all' must be a number or a list"),
        ({"relaxed": []}, "relaxed="),
        ({"relaxed": [1, 0], "penalty": "l1", "l1_ratio": 1}, "Keep a small share: relaxed=0.01"),
        ({"relaxed": 0, "l1_ratio": [0.5, 1.0]}, "whose l2 part remains"),
    ],
)
def test_shares_that_cannot_be(problem, parameters, message):
    settings = {"penalty": "elasticnet", "l1_ratio": 0.5, **parameters}
    with pytest.raises(ValueError, match=message.replace("[", r"\[")):
        SoftmaxRegressionCV([1e-2], **settings).fit(problem.X, problem.y)


def test_separated_classes_keep_a_finite_optimum():
    X = np.concatenate([np.linspace(-2, -1, 30), np.linspace(1, 2, 30)])[:, None]
    y = np.repeat([0, 1], 30)
    for ratio, share in ((1.0, 0.01), (0.9, 0.0)):
        model = SoftmaxRegressionCV([1e-1, 1e-2], penalty="elasticnet", l1_ratio=ratio, relaxed=share, cv=3).fit(X, y)
        assert model.solution_.converged
        assert model.solution_.gap <= 1e-6
        assert model.path_.mean.min() < 0.05


def test_each_point_is_told(few_true, capsys):
    seen = []
    settings = {"penalty": "elasticnet", "l1_ratio": 0.9, "relaxed": [1.0, 0.2], "cv": 3}
    model = SoftmaxRegressionCV([2e-2], verbose=seen.append, **settings).fit(few_true.X, few_true.y)
    assert [p.relaxed for p in seen] == [1.0, 0.2]
    assert [p.mean for p in seen] == model.path_.mean.tolist()
    SoftmaxRegressionCV([2e-2], verbose=1, **settings).fit(few_true.X, few_true.y)
    lines = capsys.readouterr().err.splitlines()
    assert [line.endswith("relaxed 0.2") for line in lines] == [False, True]


def test_the_picture_has_a_curve_for_each_share(few_true):
    from matplotlib.figure import Figure

    settings = {"penalty": "elasticnet", "l1_ratio": 0.9, "relaxed": [1.0, 0.2], "cv": 3}
    model = SoftmaxRegressionCV([2e-2, 1e-2], **settings).fit(few_true.X, few_true.y)
    labels = [t.get_text() for t in model.plot_path(Figure().subplots()).get_legend().get_texts()]
    assert {"relaxed 1", "relaxed 0.2"} <= set(labels)


def test_resamples_choose_and_fit_again(few_true):
    X, y = few_true.X[:, :20], few_true.y
    model = SoftmaxRegressionCV([3e-2], penalty="elasticnet", l1_ratio=0.8, relaxed=0.2, cv=3).fit(X, y)
    result = bootstrap(model, X, y, 3, random_state=0)
    counts = check_random_state(0).multinomial(150, np.full(150, 1 / 150), size=3)
    for coef, bias, v in zip(result.coef, result.intercept, counts, strict=True):
        W, b = by_hand(X, np.eye(3)[y], (3e-2, 0.8, 0.2), v.astype(float))
        np.testing.assert_allclose(softmax(X @ coef.T + bias, axis=1), softmax(X @ W + b, axis=1), atol=5e-3)
