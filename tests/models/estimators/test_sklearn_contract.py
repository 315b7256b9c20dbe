"""The contract of scikit-learn's estimators, and its tools around ours."""

from __future__ import annotations

import pickle
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.ensemble import VotingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from softreg import SoftmaxRegression

CONFIGURED = [
    SoftmaxRegression(),
    SoftmaxRegression(solver="lbfgs", tol=1e-18),
    SoftmaxRegression(penalty="elasticnet", l1_ratio=0.5),
    SoftmaxRegression(fit_intercept=False),
]


def known_exceptions(estimator: SoftmaxRegression) -> dict[str, str]:
    """Checks that a configured estimator cannot pass, and why; the default passes all."""
    if not estimator.fit_intercept:
        return {"check_class_weight_classifiers": "needs a bias; LogisticRegression(fit_intercept=False) fails it too"}
    if estimator.penalty == "elasticnet":
        reason = "compares to nine digits the answers of a solver that is asked for a tolerance"
        return {
            "check_sample_weight_equivalence_on_dense_data": reason,
            "check_sample_weight_equivalence_on_sparse_data": reason,
        }
    return {}


@parametrize_with_checks(CONFIGURED, expected_failed_checks=known_exceptions)
def test_scikit_learn_s_own_checks(estimator, check):
    check(estimator)


def test_the_default_has_no_exceptions_and_the_checks_are_many():
    assert known_exceptions(SoftmaxRegression()) == {}
    assert is_classifier(SoftmaxRegression())


def test_a_pipeline_is_the_same_as_its_steps(problem):
    pipe = make_pipeline(StandardScaler(), SoftmaxRegression(1e-3)).fit(problem.X, problem.y)
    Z = StandardScaler().fit_transform(problem.X)
    alone = SoftmaxRegression(1e-3).fit(Z, problem.y)
    np.testing.assert_array_equal(pipe.predict_proba(problem.X), alone.predict_proba(Z))
    assert pipe.classes_.tolist() == ["ant", "bee", "cat"]


def test_a_pipeline_hands_frames_through_by_name(problem):
    frame = pd.DataFrame(problem.X, columns=list("abcd"))
    pipe = make_pipeline(StandardScaler().set_output(transform="pandas"), SoftmaxRegression()).fit(frame, problem.y)
    assert pipe[-1].feature_names_in_.tolist() == list("abcd")
    assert pipe.set_output(transform="polars").predict(frame).shape == (300,)


def test_text_through_a_vectorizer():
    texts = ["win cash now", "cash prize win", "see you at noon", "noon lunch at home"] * 5
    pipe = make_pipeline(TfidfVectorizer(), SoftmaxRegression()).fit(texts, ["spam", "spam", "ham", "ham"] * 5)
    assert pipe.predict(["a prize", "lunch"]).tolist() == ["spam", "ham"]


def test_grid_search_finds_the_better_strength(problem):
    grid = {"strength": [1e-3, 10.0], "class_weight": [None, "balanced"]}
    search = GridSearchCV(SoftmaxRegression(), grid, scoring="neg_log_loss", cv=3, error_score="raise")
    search.fit(problem.X, problem.y)
    assert search.best_params_ == {"strength": 1e-3, "class_weight": None}
    assert search.score(problem.X, problem.y) == pytest.approx(
        -log_loss(problem.y, SoftmaxRegression(1e-3).fit(problem.X, problem.y).predict_proba(problem.X))
    )


@pytest.mark.parametrize("scoring", ["roc_auc_ovr", "neg_brier_score", "balanced_accuracy"])
def test_scorers_of_scikit_learn(problem, scoring):
    values = cross_val_score(
        SoftmaxRegression(), problem.X, problem.y, scoring=scoring, cv=3, error_score="raise", params=None
    )
    assert np.isfinite(values).all()
    two = cross_val_score(SoftmaxRegression(), problem.X, problem.y == "ant", scoring="roc_auc", cv=3)
    assert two.mean() > 0.6


def test_cross_val_predict_gives_probabilities_and_logits(problem):
    P = cross_val_predict(SoftmaxRegression(), problem.X, problem.y, method="predict_proba", cv=3)
    assert P.shape == (300, 3)
    np.testing.assert_allclose(P.sum(axis=1), 1)
    assert log_loss(problem.y, P) < np.log(3)
    o = cross_val_predict(SoftmaxRegression(), problem.X, problem.y, method="decision_function", cv=3)
    np.testing.assert_array_equal(o.argmax(1), P.argmax(1))


@pytest.mark.parametrize("method", ["sigmoid", "isotonic", "temperature"])
def test_calibrated_classifier(problem, method):
    calibrated = CalibratedClassifierCV(SoftmaxRegression(), method=method, cv=3).fit(problem.X, problem.y)
    P = calibrated.predict_proba(problem.X)
    assert P.shape == (300, 3)
    assert log_loss(problem.y, P) < 1.0


def test_voting_with_weights(problem):
    pair = [("weak", SoftmaxRegression(1.0)), ("strong", SoftmaxRegression(1e-5))]
    vote = VotingClassifier(pair, voting="soft", weights=[1, 3]).fit(problem.X, problem.y, sample_weight=np.ones(300))
    by_hand = [e.fit(problem.X, problem.y).predict_proba(problem.X) for _, e in pair]
    np.testing.assert_allclose(vote.predict_proba(problem.X), (by_hand[0] + 3 * by_hand[1]) / 4)


def test_clone_keeps_parameters_and_nothing_else(problem):
    fitted = SoftmaxRegression(0.1, penalty="l1", verbose=0, class_weight={"ant": 2}).fit(problem.X, problem.y)
    twin = clone(fitted)
    assert twin.get_params() == fitted.get_params()
    assert not hasattr(twin, "coef_")
    with pytest.raises(ValueError, match="Invalid parameter 'C'"):
        SoftmaxRegression().set_params(C=1)


@pytest.mark.parametrize("begun", ["fit", "partial_fit"])
def test_pickling_keeps_everything(problem, begun):
    model = getattr(SoftmaxRegression(1e-2), begun)(pd.DataFrame(problem.X, columns=list("abcd")), problem.y)
    back = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(back.coef_, model.coef_)
    assert back.feature_names_in_.tolist() == list("abcd")
    assert hasattr(back, "solution_") == (begun == "fit")
    frame = pl.DataFrame(problem.X, schema=list("abcd"))
    np.testing.assert_array_equal(back.partial_fit(frame, problem.y).coef_, model.partial_fit(frame, problem.y).coef_)


class Tags(HTMLParser):
    """Counts opening and closing tags."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in {"input", "br", "img", "link", "meta", "path", "circle", "line", "rect"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            self.open.remove(tag)


def test_the_html_picture_of_a_model(model):
    page = model._repr_html_()
    assert "SoftmaxRegression" in page
    assert "strength" in page
    tags = Tags()
    tags.feed(page)
    assert not tags.open


def test_the_text_picture_names_what_was_changed():
    assert repr(SoftmaxRegression(0.5, penalty=None)) == "SoftmaxRegression(penalty=None, strength=0.5)"


def test_a_fit_does_not_change_what_it_was_given(problem):
    X, y, v = problem.X.copy(), problem.y.copy(), np.ones(300)
    given = {"ant": 2.0}
    for array in (X, y, v):
        array.flags.writeable = False
    model = SoftmaxRegression(class_weight=given).fit(X, y, v).partial_fit(X, y, sample_weight=v)
    model.predict_proba(X)
    assert (X == problem.X).all()
    assert given == {"ant": 2.0}


def test_the_same_fit_twice_gives_the_same_bits(problem):
    for settings in ({}, {"solver": "lbfgs"}, {"penalty": "l1"}, {"solver": "lbfgs", "random_state": 3}):
        one, two = (SoftmaxRegression(**settings).fit(problem.X, problem.y) for _ in range(2))
        np.testing.assert_array_equal(one.coef_, two.coef_)


def test_fitted_attributes(problem):
    X, y = load_iris(return_X_y=True)
    model = SoftmaxRegression(1e-3).fit(X, y)
    s = model.solution_
    assert (model.coef_.shape, model.intercept_.shape, model.n_features_in_) == ((3, 4), (3,), 4)
    assert model.n_iter_ == s.n_iter >= 1
    assert s.passes >= s.n_iter
    assert s.status.value == "converged"
    assert s.certified
    assert 0 <= s.gap <= 1e-6
    assert s.bound in {"duality", "self-concordance"}
    np.testing.assert_array_equal(s.W.T, model.coef_)
    np.testing.assert_array_equal(s.b, model.intercept_)
    by_hand = log_loss(y, model.predict_proba(X)) + 1e-3 / 2 * (model.coef_**2).sum()
    assert s.value == pytest.approx(by_hand, abs=1e-12)
    assert [h.passes for h in s.history] == sorted(h.passes for h in s.history)
    assert s.history[0].value > s.history[-1].value
    assert not hasattr(model, "feature_names_in_")


def test_the_gauge_of_the_bias_is_fixed(problem):
    # softmax ignores a constant added to every logit, so which one is reported is ours to fix: the logits sum to 0
    for settings in ({}, {"solver": "lbfgs"}, {"penalty": None}, {"fit_intercept": False}):
        model = SoftmaxRegression(**settings).fit(problem.X + 50, problem.y)
        np.testing.assert_allclose(model.coef_.sum(axis=0), 0, atol=1e-9, err_msg=str(settings))
        np.testing.assert_allclose(model.intercept_.sum(), 0, atol=1e-7, err_msg=str(settings))


def test_refitting_forgets_the_names_of_an_earlier_frame(problem):
    model = SoftmaxRegression().fit(pd.DataFrame(problem.X, columns=list("abcd")), problem.y)
    model.fit(problem.X[:, :3], problem.y)
    assert not hasattr(model, "feature_names_in_")
    assert model.n_features_in_ == 3
