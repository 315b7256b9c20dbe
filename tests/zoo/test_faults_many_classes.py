"""Defects of other libraries with many classes, none of which softreg has; each test names the report."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from softreg import SoftmaxRegression
from softreg.probability import top_k_accuracy
from softreg.report import audit_model
from softreg.report.evaluation import model_audit


def fitted(q: int, d: int = 3, dtype: Any = np.float64) -> SoftmaxRegression:
    random, model = np.random.default_rng(0), SoftmaxRegression()
    model.coef_, model.intercept_ = random.normal(size=(q, d)).astype(dtype), np.zeros(q)
    model.classes_, model.n_features_in_ = np.arange(q), d
    return model


def test_more_classes_are_asked_for_than_there_are() -> None:
    """scikit-learn #16625: the top-5 accuracy of a binary problem is 1 and misleads; a list of classes just ends."""
    model = fitted(3)
    assert model.top_k(np.zeros((2, 3)), k=10).labels.shape == (2, 3)
    with pytest.raises(ValueError, match="k is 5"):
        top_k_accuracy(np.full((2, 3), 1 / 3), [0, 1], k=5)


def test_equal_probabilities_are_no_hit_for_all() -> None:
    """TensorFlow #10767: in_top_k counts all ties, so a network of equal outputs is right in 100% of the rows."""
    model = fitted(200)
    model.coef_[:] = 0
    y = np.arange(200)
    found = audit_model(model, np.zeros((200, 3)), y)
    assert_allclose(found.top_k[0], 1 / 200)
    assert_allclose(found.top_k[4], 5 / 200)


def test_the_audit_of_streamed_ties_agrees(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same, from blocks of classes."""
    monkeypatch.setattr(model_audit, "is_streamed_audit", lambda n, q: True)
    test_equal_probabilities_are_no_hit_for_all()


def test_predict_needs_no_probabilities_of_all_rows() -> None:
    """Keras #5081 and #8387: predicting classes first holds the probabilities of all rows, 34 GB in one report."""
    model, X = fitted(3000), np.zeros((3000, 3))
    tracemalloc.start()
    model.predict(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30e6 < 3000 * 3000 * 8


def test_large_logits_do_not_overflow() -> None:
    """scikit-lego #506: exp of scores in the thousands gives inf / inf, nan."""
    model = fitted(2000)
    top = model.top_k(1e5 * np.ones((1, 3)), 3)
    assert np.isfinite(top.probabilities).all()
    assert_allclose(top.probabilities[0, 0], 1)
    log_p = model.predict_log_proba(1e5 * np.ones((1, 3)), classes=[0, 1])
    assert np.isfinite(log_p).all()
    assert (log_p < -1000).any()


def test_all_classes_in_order_are_the_probabilities() -> None:
    """fastText #945 and #897: predict(k=all) in place of predict_proba; do the probabilities sum to 1?"""
    model, X = fitted(1500), np.random.default_rng(1).normal(size=(4, 3))
    top, P = model.top_k(X, k=1500), model.predict_proba(X)
    assert_allclose(top.probabilities.sum(axis=1), 1)
    assert_allclose(np.take_along_axis(P, top.codes, axis=1), top.probabilities, rtol=1e-12)
    assert (model.top_k(X, k=5).probabilities.sum(axis=1) < 1).all()


def test_labels_of_few_classes_among_many() -> None:
    """scikit-learn #4033: log_loss fails where not every class is among the labels of the rows."""
    model, X = fitted(150), np.random.default_rng(2).normal(size=(40, 3))
    y = np.repeat([3, 149], 20)
    found = audit_model(model, X, y)
    assert_allclose(found.log_loss, -model.predict_log_proba(X)[np.arange(40), y].mean())


def test_log_losses_below_the_smallest_float_are_not_clipped() -> None:
    """scikit-learn #24315 and #17399: log_loss of float32 is nan, and that of a probability of 0 is clipped."""
    model = fitted(150, dtype=np.float32)
    X = 400 * np.ones((2, 3), dtype=np.float32)
    worst = int(model.decision_function(X)[0].argmin())
    found = model.predict_log_proba(X, classes=[worst])
    assert found[0, 0] < -750  # exp of it is 0
    assert np.isfinite(found).all()


def test_probabilities_of_float32_weights_sum_to_one() -> None:
    """scikit-learn-intelex #3401: rows of probabilities miss a sum of 1 by more than scores of scikit-learn accept."""
    model, X = fitted(5000, dtype=np.float32), np.ones((3, 3), dtype=np.float32)
    assert_allclose(model.predict_proba(X).sum(axis=1), 1, atol=1e-12)


def test_columns_are_asked_for_by_class() -> None:
    """LightGBM #1931 and #1248, XGBoost #18: which column of the probabilities is which class?"""
    model = fitted(1200)
    assert_array_equal(model.predict_proba(np.zeros((1, 3)), classes=[7.0, 7]).shape, (1, 2))
    with pytest.raises(ValueError, match="not a class of the model"):
        model.predict_proba(np.zeros((1, 3)), classes=["7"])
    with pytest.raises(ValueError, match="not a class of the model"):
        model.predict_proba(np.zeros((1, 3)), classes=[1200])
