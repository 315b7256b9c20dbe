"""The evaluation of a model of many classes from blocks: that of its probabilities, in bounded memory."""

from __future__ import annotations

import tracemalloc
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from softreg import SoftmaxRegression
from softreg.models.class_blocks import logit_blocks as blocks_of_logits
from softreg.models.estimators.streamed_predictions import logit_blocks
from softreg.probability import Interval
from softreg.report import Audit, ReportData, audit, audit_model, evaluation_record, render_report, show_rows
from softreg.report.evaluation import model_audit
from softreg.report.evaluation.column_rates import level_rates
from softreg.report.evaluation.model_audit import audit_blocks
from softreg.report.page.calibration_assessment import assess_calibration
from softreg.report.page.summary_text import answers


def problem(n: int = 2000, q: int = 150, factor: float = 1.0) -> tuple[SoftmaxRegression, Any, np.ndarray]:
    """Return a model, rows and labels whose logits are those of the model times a factor."""
    random, model = np.random.default_rng(0), SoftmaxRegression()
    model.coef_, model.intercept_ = random.normal(size=(q, 6)), random.normal(size=q)
    model.classes_, model.n_features_in_ = np.array([f"c{k:03d}" for k in range(q)]), 6
    X = random.normal(size=(n, 6))
    edges = np.cumsum(model.predict_proba(factor * X), axis=1)
    return model, X, np.minimum((random.random((n, 1)) > edges).sum(axis=1), q - 1)


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stream small problems, in several blocks of classes."""
    monkeypatch.setattr(model_audit, "is_streamed", lambda n, q: True)
    monkeypatch.setattr(blocks_of_logits, "BLOCK_CLASSES", 64)
    monkeypatch.setattr(blocks_of_logits, "BLOCK_NUMBERS", 64 * 300)


@pytest.mark.usefixtures("streams")
@pytest.mark.parametrize("kind", ["plain", "groups", "weights", "rates"])
def test_it_is_the_audit_of_the_probabilities(kind: str) -> None:
    model, X, y = problem()
    random = np.random.default_rng(1)
    options: dict[str, Any] = {
        "plain": {},
        "groups": {"groups": np.arange(len(y)) // 3},
        "weights": {"sample_weight": random.integers(0, 4, len(y)).astype(float)},
        "rates": {"class_rates": random.dirichlet(np.ones(150))},
    }[kind]
    whole = audit(model.predict_proba(X), y, model.classes_.tolist(), **options)
    parts = audit_model(model, X, model.classes_[y], **options)
    assert parts.P is None
    for name in ("rows", "classes", "majority"):
        assert getattr(parts, name) == getattr(whole, name)
    for name in ("log_loss", "log_loss_bits", "label_entropy", "skill", "accuracy", "majority_accuracy", "brier"):
        assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-10, err_msg=name)
    for name in ("codes", "predicted", "most_surprising", "least_surprising"):
        assert_array_equal(getattr(parts, name), getattr(whole, name))
    assert_allclose(parts.surprisal, whole.surprisal, rtol=1e-10)
    assert_allclose(parts.top_k[:5], whole.top_k, rtol=1e-12)
    assert len(parts.top_k) == 10
    assert (np.diff(parts.top_k) >= 0).all()
    assert_array_equal(parts.confusion.toarray(), whole.confusion)
    assert parts.confused_pairs() == whole.confused_pairs()
    for mine, other in zip(parts.per_class, whole.per_class, strict=True):
        assert (mine.label, mine.rows, mine.predicted) == (other.label, other.rows, other.predicted)
        assert_allclose(mine.mean_probability, other.mean_probability, rtol=1e-10)
    _same_calibration(parts, whole)
    assert np.isnan(parts.auc.value)
    assert np.isnan(parts.ranking.mean_auc)


def _same_calibration(parts: Audit, whole: Audit) -> None:
    """Compare all but the exact test, whose outcomes are ranks."""
    found, expected = parts.calibration, whole.calibration
    for field in fields(expected):
        a, b = getattr(found, field.name), getattr(expected, field.name)
        if isinstance(b, Interval):  # a step of Newton's method in place of five: to second order
            tolerance = 1e-5 if field.name in ("gap", "brier_gap") else 1e-9
            if field.name == "brier_gap":  # the mistakes that were not observed are left out
                tolerance = 1e-4
            assert_allclose([a.value, a.low, a.high], [b.value, b.low, b.high], atol=tolerance, err_msg=field.name)
    assert_allclose(found.refinement, expected.refinement, atol=1e-6)
    assert found.tested == expected.tested
    assert found.fitted == expected.fitted
    assert_allclose(found.mean_top, expected.mean_top)
    assert_allclose(found.bias[found.bias != 0], expected.bias[found.bias != 0], rtol=1e-9)
    assert len(found.curves) == len(expected.curves) == 12
    for mine, other in zip(found.curves, expected.curves, strict=True):
        assert mine.name == other.name
        assert_allclose(mine.observed, other.observed)
    assert_allclose(found.check.top_error, expected.check.top_error, rtol=1e-9)
    assert_allclose(found.check.confidence, expected.check.confidence, rtol=1e-9)


@pytest.mark.usefixtures("streams")
def test_right_probabilities_are_not_rejected_and_wrong_ones_are() -> None:
    model, X, y = problem()
    right = audit_model(model, X, model.classes_[y])
    assert right.calibration.check.p_value > 0.05
    assert right.calibration.ranks == 10
    model, X, y = problem(factor=0.7)
    wrong = audit_model(model, X, model.classes_[y])
    assert wrong.calibration.check.p_value < 0.01
    assert assess_calibration(wrong).conclusion == "overconfident"
    assert wrong.calibration.gap.low > 0


@pytest.mark.usefixtures("streams")
def test_the_test_keeps_its_level() -> None:
    """Of 60 samples with right probabilities, about 3 are rejected at 5%; 9 have a probability of 0.003."""
    rejected = 0
    model, X, _ = problem(n=300, q=120)
    edges = np.cumsum(model.predict_proba(X), axis=1)
    for seed in range(60):
        y = np.minimum((np.random.default_rng(seed).random((300, 1)) > edges).sum(axis=1), 119)
        blocks = logit_blocks(model, X)
        rejected += audit_blocks(blocks, y, model.classes_.tolist()).calibration.check.p_value <= 0.05
    assert rejected <= 8


@pytest.mark.usefixtures("streams")
def test_a_report_of_streamed_rows() -> None:
    model, X, y = problem(q=400)
    found = audit_model(model, X, model.classes_[y])
    page = render_report(ReportData("Many", found, coef=model.coef_, most_surprising=show_rows(found, [3, 4])))
    assert "top-10 accuracy" in page
    assert "The classes with the most rows are listed. 200 more classes are left out." in page
    assert "each rank" in page
    assert "The 60 most frequent of 400 classes are shown." in page
    assert len(page) < 2_000_000
    assert "Are the probabilities calibrated?" in [question for question, _ in answers(ReportData("Many", found))]
    record = evaluation_record(found, training_rows=10, training_weights=np.ones(400))
    assert record.log_loss.value == pytest.approx(found.log_loss)
    rates = level_rates("side", np.where(X[:, 0] > 0, "left", "right"), found)
    assert rates is not None
    kept = {found.classes[k] for k in found.streamed.columns}  # type: ignore[union-attr]
    assert rates.label in kept
    k = found.classes.index(rates.label)
    p = model.predict_proba(X)[:, k]
    assert_allclose(
        rates.predicted, [p[X[:, 0] > 0].mean() if name == "left" else p[X[:, 0] <= 0].mean() for name in rates.bins]
    )
    assert_allclose(found.class_probability(k), p)


def test_few_classes_have_the_audit_of_probabilities() -> None:
    X, y = np.arange(8.0)[:, None], np.array(["a", "b"] * 4)
    model = SoftmaxRegression(0.1).fit(X, y)
    found = audit_model(model, X, y)
    assert found.P is not None
    with pytest.raises(ValueError, match="not among the known classes"):
        audit_model(model, X, np.repeat("c", 8))


@pytest.mark.parametrize("sparse", [False, True])
def test_memory_is_that_of_blocks(sparse: bool) -> None:
    """3,000 rows of 5,000 classes: the probabilities alone would take 120 MB, and an audit of them a gigabyte."""
    model, X, _ = problem(n=3000, q=5000)
    y = np.random.default_rng(0).integers(0, 5000, 3000)
    tracemalloc.start()
    found = audit_model(model, sp.csr_array(X) if sparse else X, model.classes_[y])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.P is None
    assert peak < 100e6
