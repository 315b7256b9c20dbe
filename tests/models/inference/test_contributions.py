"""Explanations: contributions add up to what the model says."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose

from softreg import SoftmaxRegression, explain


def test_contributions_add_up_to_the_logits(problem, model):
    why = explain(model, problem.X)
    assert why.contributions.shape == (300, 3, 4)
    assert_allclose(why.baseline, problem.X.mean(axis=0))
    assert_allclose(why.baseline_logits + why.contributions.sum(axis=2), model.decision_function(problem.X))
    # on average over the rows of the baseline a column adds nothing
    assert_allclose(why.contributions.mean(axis=0), 0, atol=1e-12)


def test_log_odds_are_those_of_the_two_most_probable_classes(problem, model):
    why, log_p = explain(model, problem.X[:20], baseline=problem.X), model.predict_log_proba(problem.X[:20])
    best = np.sort(log_p, axis=1)
    assert_allclose(why.baseline_log_odds + why.log_odds.sum(axis=1), best[:, -1] - best[:, -2])
    assert (np.array(why.classes)[why.predicted] == model.predict(problem.X[:20])).all()


def test_a_value_worked_by_hand():
    model = SoftmaxRegression(0.1).fit([[0.0, 1.0], [1.0, 0.0], [2.0, 1.0]], ["a", "b", "b"])
    model.coef_, model.intercept_ = np.array([[1.0, -2.0], [0.5, 3.0]]), np.array([0.25, 0.0])
    why = explain(model, [[3.0, 1.0]], baseline=np.array([1.0, 2.0]))
    assert_allclose(why.contributions, [[[2.0, 2.0], [1.0, -3.0]]])
    assert_allclose(why.baseline_logits, [-2.75, 6.5])
    assert why.classes[why.predicted[0]] == "b"
    assert_allclose(why.log_odds, [[-1.0, -5.0]])
    assert why.frame(0)["column"] == ["column 1", "column 0"]
    assert_allclose(why.frame(0)["log_odds"], [-5.0, -1.0])


def test_frames_sparse_rows_and_text(problem):
    frame = pd.DataFrame(problem.X, columns=["age", "<i>", "pay", "tips"])
    model = SoftmaxRegression(1e-3).fit(frame, problem.y)
    why = explain(model, frame[["pay", "age", "<i>", "tips"]].head(3), baseline=frame)
    assert_allclose(why.values, problem.X[:3])
    told = why.frame(1)
    assert list(told)[:4] == ["column", "value", "baseline", "log_odds"]
    assert list(told)[4:] == ["logit ant", "logit bee", "logit cat"]
    assert pd.DataFrame(told).shape == pl.DataFrame(told).shape == (4, 7)
    assert "row 1: " in why.text(1)
    assert "2 more columns" in why.text(1, top=2)
    assert "&lt;i&gt;" in why.html(1)
    assert "<i>" not in why.html(1)
    assert str(why) == why.text(0)
    bare = SoftmaxRegression(1e-3).fit(problem.X, problem.y)
    assert_allclose(explain(bare, sp.csr_array(problem.X)).log_odds, explain(bare, problem.X).log_odds)


def test_one_row_needs_a_baseline(problem, model):
    with pytest.raises(ValueError, match="baseline=X_train"):
        explain(model, problem.X[:1])
    with pytest.raises(ValueError, match="features"):
        explain(model, problem.X[:1], baseline=np.zeros(3))
