"""What a fitted model answers, what it says while it fits, and what it warns of."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from softreg import SoftmaxRegression
from softreg.optimize import Progress


def by_hand(W: list[list[float]], b: list[float], labels: list[str]) -> SoftmaxRegression:
    """A model with these weights (q, d), made by the same road that a file takes."""
    model = SoftmaxRegression().fit(
        np.arange(8.0).reshape(-1, 1), labels * (8 // len(labels)) + labels[: 8 % len(labels)]
    )
    model.coef_, model.intercept_ = np.array(W), np.array(b)
    model.n_features_in_ = model.coef_.shape[1]
    return model


def test_probabilities_worked_by_hand():
    model = by_hand([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]], [0.0, 0.0, np.log(2)], ["ant", "bee", "cat"])
    X = np.array([[0.0, 0.0], [np.log(3), 0.0]])
    np.testing.assert_allclose(model.decision_function(X), [[0, 0, np.log(2)], [np.log(3), 0, np.log(2)]])
    np.testing.assert_allclose(model.predict_proba(X), [[1 / 4, 1 / 4, 2 / 4], [3 / 6, 1 / 6, 2 / 6]])
    np.testing.assert_allclose(model.predict_log_proba(X), np.log([[1 / 4, 1 / 4, 2 / 4], [3 / 6, 1 / 6, 2 / 6]]))
    assert model.predict(X).tolist() == ["cat", "ant"]


def test_two_classes_answer_with_log_odds():
    model = by_hand([[1.0], [3.0]], [0.5, 0.0], ["no", "yes"])
    X = np.array([[2.0], [0.25], [0.0]])
    np.testing.assert_allclose(model.decision_function(X), [3.5, 0.0, -0.5])
    np.testing.assert_allclose(model.predict_proba(X)[:, 1], 1 / (1 + np.exp([-3.5, 0.0, 0.5])))
    assert model.predict(X).tolist() == ["yes", "no", "no"]  # a tie goes to the first class


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_log_probabilities_are_finite_for_extreme_logits(dtype):
    model = by_hand([[1.0], [-1.0], [0.0]], [0.0, 0.0, 0.0], ["ant", "bee", "cat"])
    X = np.array([[1e5], [-1e30], [800.0], [0.0]], dtype=dtype)
    log_P = model.predict_log_proba(X)
    assert np.isfinite(log_P).all()
    np.testing.assert_allclose(log_P[0], [0, -2e5, -1e5])
    np.testing.assert_allclose(log_P[2], [0, -1600, -800])  # exp(-800) is 0 in float64
    np.testing.assert_array_equal(model.predict_proba(X)[0], [1, 0, 0])


def test_the_score_is_the_share_of_rows_that_are_right(problem, model):
    right = model.predict(problem.X) == problem.y
    assert model.score(problem.X, problem.y) == right.mean()
    weight = np.arange(300.0)
    assert model.score(problem.X, problem.y, weight) == pytest.approx(np.average(right, weights=weight))
    Y = 0.6 * np.eye(3)[problem.codes] + 0.4 / 3
    assert model.score(problem.X, Y) == right.mean()
    assert model.score(problem.X, Y, sample_weight=weight) == pytest.approx(np.average(right, weights=weight))


def test_mean_prediction_is_the_rate_of_each_class(problem):
    for settings in ({}, {"penalty": "l1", "strength": 0.01}, {"penalty": None}, {"strength": 10.0}):
        model = SoftmaxRegression(**({"tol": 1e-13} | settings)).fit(problem.X, problem.y)
        rates = np.bincount(problem.codes) / 300
        np.testing.assert_allclose(model.predict_proba(problem.X).mean(axis=0), rates, atol=1e-6, err_msg=str(settings))


def test_loss_is_entropy_less_the_penalty_at_the_optimum(problem):
    model = SoftmaxRegression(0.02, tol=1e-14).fit(problem.X, problem.y)
    P = model.predict_proba(problem.X)
    loss = -np.log(P[np.arange(300), problem.codes]).mean()
    entropy = -(P * np.log(P)).sum(axis=1).mean()
    assert loss == pytest.approx(entropy - 0.02 * (model.coef_**2).sum(), abs=1e-8)


def test_an_overwhelming_penalty_leaves_the_class_rates(problem):
    for settings in ({"strength": 1e9}, {"penalty": "l1", "strength": 10.0}):
        model = SoftmaxRegression(**settings).fit(problem.X, problem.y)
        np.testing.assert_allclose(model.predict_proba(problem.X[:1]), [np.bincount(problem.codes) / 300], atol=1e-6)
    np.testing.assert_array_equal(model.coef_, 0.0)  # l1 makes exact zeros


def test_without_a_bias_the_origin_is_undecided(problem):
    model = SoftmaxRegression(fit_intercept=False).fit(problem.X + 1, problem.y)
    np.testing.assert_array_equal(model.intercept_, 0.0)
    np.testing.assert_allclose(model.predict_proba(np.zeros((1, 4))), 1 / 3)
    free = SoftmaxRegression(fit_intercept=False, tol=1e-14, strength=1e-2).fit(problem.X, problem.y)
    R = free.predict_proba(problem.X) - np.eye(3)[problem.codes]
    np.testing.assert_allclose(R.T @ problem.X / 300, -1e-2 * free.coef_, atol=1e-7)


def test_too_few_steps_are_said_with_the_gap(problem):
    for solver in ("newton", "lbfgs"):
        with pytest.warns(ConvergenceWarning, match=r"stopped at max_iter after \d+ passes.*Raise max_iter") as seen:
            model = SoftmaxRegression(1e-3, max_iter=1, solver=solver).fit(problem.X, problem.y)
        assert seen[0].filename == __file__  # the line that called fit, not one of ours
        assert model.solution_.status.value == "stopped at max_iter"
        best = SoftmaxRegression(1e-3, tol=1e-12).fit(problem.X, problem.y).solution_.value
        assert model.solution_.gap > 1e-6
        if model.solution_.certified:
            assert model.solution_.value - best <= model.solution_.gap * (1 + 1e-9)


def test_no_warning_where_all_is_well(problem):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for settings in ({}, {"solver": "lbfgs"}, {"penalty": "l1"}, {"penalty": None}, {"fit_intercept": False}):
            SoftmaxRegression(**settings).fit(problem.X, problem.y).predict_proba(problem.X)


def test_progress_goes_to_stderr_and_the_answer_nowhere(problem, capsys):
    quiet = SoftmaxRegression().fit(problem.X, problem.y)
    assert capsys.readouterr() == ("", "")
    expected = SoftmaxRegression(verbose=1).fit(problem.X, problem.y)
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.strip().splitlines()
    assert len(lines) == len(expected.solution_.history)
    assert f"objective {expected.solution_.history[-1].value:.8f}" in lines[-1]
    np.testing.assert_array_equal(expected.coef_, quiet.coef_)


@pytest.mark.parametrize("solver", ["newton", "lbfgs"])
def test_a_callable_receives_progress(problem, solver):
    seen: list[Progress] = []
    model = SoftmaxRegression(verbose=seen.append, solver=solver).fit(problem.X, problem.y)
    assert all(isinstance(p, Progress) for p in seen)
    assert tuple(seen) == model.solution_.history
    assert [p.seconds for p in seen] == sorted(p.seconds for p in seen)
    assert seen[-1].value <= seen[0].value


def test_an_interrupt_from_the_callable_ends_the_fit(problem):
    def stop(now: Progress) -> None:
        raise KeyboardInterrupt

    model = SoftmaxRegression(verbose=stop)
    with pytest.raises(KeyboardInterrupt):
        model.fit(problem.X, problem.y)
    assert not hasattr(model, "coef_")
    assert SoftmaxRegression().fit(problem.X, problem.y).solution_.converged  # and nothing is left in a bad state


def test_a_failed_fit_leaves_the_fitted_model_as_it_was(problem, model):
    P = model.predict_proba(problem.X)
    with pytest.raises(ValueError, match="one class"):
        model.fit(problem.X[:, :2], ["ant"] * 300)
    np.testing.assert_array_equal(model.predict_proba(problem.X), P)


def test_parameters_are_stored_as_given():
    given = {"strength": 1, "tol": np.float32(1e-3), "class_weight": {"a": 1}, "verbose": print}
    model = SoftmaxRegression(**given)
    assert all(getattr(model, name) is value for name, value in given.items())
