"""Folds that are fitted one after the other: the choice of the stack of folds, in the memory of a few models."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose
from sklearn.model_selection import GroupKFold

from softreg import SoftmaxRegressionCV
from softreg.models.selection.folds_in_sequence import sequential_folds


def problem(n: int, q: int, d: int = 4, seed: int = 0) -> tuple[Any, Any]:
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, d))
    o = X @ (1.5 * random.normal(size=(d, q))) + random.gumbel(size=(n, q))
    return X, np.array([f"c{k:03d}" for k in range(q)])[o.argmax(axis=1)]


@pytest.fixture
def in_sequence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequential_folds, "MANY_CLASSES", 2)
    monkeypatch.setattr(sequential_folds, "is_streamed", lambda n, q: True)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("scoring", ["log_loss", "brier", "accuracy", "neg_log_loss"])
@pytest.mark.parametrize("kind", ["dense", "sparse", "weights", "groups", "l1", "offset"])
def test_the_scores_are_those_of_the_stack(kind: str, scoring: str, request: pytest.FixtureRequest) -> None:
    X, y = problem(300, 5)
    fit: dict[str, Any] = {}
    options: dict[str, Any] = {"cv": 3, "scoring": scoring, "tol": 1e-7}
    if kind == "sparse":
        X = sp.csr_array(np.where(np.abs(X) < 0.7, 0, X))
    elif kind == "weights":
        fit["sample_weight"] = np.random.default_rng(1).integers(0, 3, len(y))
        options["class_weight"] = "balanced"
    elif kind == "groups":  # the rows of one class are one group, which a fold holds out
        fit["groups"] = np.where(y == "c004", 0, 1 + np.arange(len(y)) % 7)
        options["cv"] = GroupKFold(3)
    elif kind == "l1":
        options |= {"penalty": "elasticnet", "l1_ratio": 0.5}
    elif kind == "offset":
        fit["offset"] = np.random.default_rng(2).normal(size=(len(y), 5))
    strengths = [0.1, 0.01, 0.001]
    whole = SoftmaxRegressionCV(strengths, **options).fit(X, y, **fit)
    request.getfixturevalue("in_sequence")
    parts = SoftmaxRegressionCV(strengths, **options).fit(X, y, **fit)
    assert parts.oof_proba_ is None
    assert parts.strength_ == whole.strength_
    assert_allclose(parts.path_.mean, whole.path_.mean, atol=2e-3)
    assert_allclose(parts.coef_, whole.coef_, atol=1e-2)
    assert parts.solution_.gap <= 1e-7


@pytest.mark.usefixtures("in_sequence")
def test_a_path_that_the_data_determine() -> None:
    X, y = problem(400, 6)
    parts = SoftmaxRegressionCV(cv=3).fit(X, y)
    assert len(parts.path_) >= 4
    chosen = parts.path_.chosen
    assert parts.path_.mean[chosen] == parts.path_.mean.min()
    assert 0 < chosen < len(parts.path_) or parts.strength_ != max(parts.path_.strength)


def test_memory_is_that_of_a_few_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stack holds the logits of all rows and classes for each fold and point, 35 MB each."""
    X, y = np.random.default_rng(0).normal(size=(4000, 3)), np.arange(4000) % 1100

    def peak() -> float:
        tracemalloc.start()
        SoftmaxRegressionCV([10.0, 1.0], cv=2).fit(X, y)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    in_sequence = peak()
    monkeypatch.setattr(sequential_folds, "MANY_CLASSES", 10_000)
    assert in_sequence < 0.7 * peak()
