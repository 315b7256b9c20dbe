"""Predictions by blocks of classes: those of the array (n, q), in bounded memory."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from softreg import SoftmaxRegression
from softreg.models.class_blocks import logit_blocks as blocks_of_logits
from softreg.models.class_blocks.logit_blocks import LogitBlocks, class_spans
from softreg.models.class_blocks.normalizer import LogNormalizer
from softreg.models.class_blocks.top_classes import LargestLogits, most_likely_codes
from softreg.probability import log_softmax


def fitted(q: int, d: int, seed: int = 0, dtype: Any = np.float64) -> SoftmaxRegression:
    """Return a model with random weights, as a fit of many classes leaves it."""
    random, model = np.random.default_rng(seed), SoftmaxRegression()
    model.coef_, model.intercept_ = random.normal(size=(q, d)).astype(dtype), random.normal(size=q)
    model.classes_, model.n_features_in_ = np.array([f"c{k:06d}" for k in range(q)]), d
    return model


def rows(kind: str, n: int, d: int) -> Any:
    X = np.random.default_rng(1).normal(size=(n, d))
    X[np.abs(X) < 0.5] = 0
    return {
        "float64": X,
        "float32": X.astype(np.float32),
        "csr": sp.csr_array(X),
        "csr32": sp.csr_matrix(X.astype(np.float32)),
        "csc": sp.csc_array(X),
        "frame": pd.DataFrame(X, columns=[f"x{j}" for j in range(d)]),
    }[kind]


@pytest.mark.parametrize("kind", ["float64", "float32", "csr", "csr32", "csc", "frame"])
def test_streamed_predictions_are_those_of_all_probabilities(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, X, n = fitted(2500, 9), rows(kind, 300, 9), 300
    if kind == "frame":
        model.feature_names_in_ = np.array(X.columns, dtype=object)
    L = np.asarray(model.predict_log_proba(X))
    tolerance = 1e-5 if "32" in kind else 1e-12
    top, order = model.top_k(X, 7), np.argsort(-L, axis=1, kind="stable")[:, :7]
    assert_array_equal(top.codes, order)
    assert_array_equal(top.labels, model.classes_[order])
    assert_allclose(np.log(top.probabilities), np.take_along_axis(L, order, axis=1), atol=tolerance)
    chosen = [2499, 0, 1024, 2499, 1023]  # out of order, repeated, at the edges of blocks
    log_p = model.predict_log_proba(X, classes=model.classes_[chosen])
    assert_allclose(log_p, L[:, chosen], atol=tolerance)
    assert_allclose(model.predict_proba(X, classes=list(model.classes_[chosen])), np.exp(L[:, chosen]), rtol=1e-4)
    monkeypatch.setattr(blocks_of_logits, "STREAMED_NUMBERS", 1)
    monkeypatch.setattr(SoftmaxRegression, "_scores", None)  # an array (n, q) would be an error
    assert_array_equal(model.predict(X), model.classes_[order[:, 0]])
    assert model.score(X, model.classes_[order[:, 0]]) == 1
    assert model.score(X, np.repeat("unknown", n)) == 0


def test_offsets_are_added_block_by_block() -> None:
    model, X = fitted(1500, 4), rows("float64", 50, 4)
    model.has_offset_ = True
    offset = 5 * np.random.default_rng(2).normal(size=(50, 1500))
    L = model.predict_log_proba(X, offset)
    top = model.top_k(X, 3, offset)
    assert_array_equal(top.codes, np.argsort(-L, axis=1, kind="stable")[:, :3])
    assert_allclose(model.predict_log_proba(X, offset, classes=["c001400"]), L[:, [1400]], atol=1e-12)
    with pytest.raises(ValueError, match="offset"):
        model.top_k(X, 3)


def test_equal_probabilities_list_the_first_classes_in_their_order() -> None:
    model = fitted(3000, 2)
    model.coef_[:] = 0
    model.intercept_[:] = np.repeat([0.0, 1.0, 0.0], 1000)  # 1000 equal classes over the edge of two blocks
    top = model.top_k(np.zeros((2, 2)), 1005)
    assert_array_equal(top.codes, np.tile([*range(1000, 2000), *range(5)], (2, 1)))
    assert_array_equal(model.top_k(np.zeros((1, 2)), 1).codes, [[1000]])
    assert most_likely_codes(LogitBlocks(model.coef_, model.intercept_, np.zeros((1, 2)))).tolist() == [1000]


@given(st.lists(st.integers(-2, 2), min_size=3, max_size=40), st.integers(1, 12), st.integers(1, 7))
def test_the_merged_order_is_the_stable_one(values: list[int], k: int, size: int) -> None:
    """Whatever the ties and wherever the edges of blocks are."""
    o, k = np.array(values, dtype=float), min(k, len(values))
    largest = LargestLogits(1, k)
    for first in range(0, len(o), size):
        block = blocks_of_logits.LogitBlock(slice(0, 1), first, o[None, first : first + size])
        largest.add(block)
    assert largest.codes[0].tolist() == np.argsort(-o, kind="stable")[:k].tolist()
    assert largest.logits[0].tolist() == sorted(values, reverse=True)[:k]


def test_more_classes_than_the_model_has_and_invalid_numbers() -> None:
    model = SoftmaxRegression(0.1).fit([[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"])
    top = model.top_k([[3.0]], k=10)
    assert top.labels.tolist() == [["b", "a"]]
    assert_allclose(top.probabilities.sum(), 1)
    for k in (0, -1, 2.5, True, "3", None):
        with pytest.raises(ValueError, match="number of most likely classes"):
            model.top_k([[3.0]], k)
    with pytest.raises(ValueError, match="0 sample"):
        model.top_k(np.zeros((0, 1)))
    with pytest.raises(ValueError, match="NaN"):
        model.top_k([[np.nan]])


def test_classes_that_the_model_lacks_are_named() -> None:
    model = SoftmaxRegression(0.1).fit([[0.0], [1.0], [2.0], [3.0]], [10, 10, 20, 20])
    assert model.predict_proba([[1.5]], classes=[20, 10, 20]).round(6).tolist() == [[0.5, 0.5, 0.5]]
    with pytest.raises(ValueError, match=r"classes names 30, which is not a class of the model \(2 of 3 are not\)"):
        model.predict_proba([[1.5]], classes=[10, 30, 40])
    with pytest.raises(ValueError, match="which is not a class of the model; its classes are 10, 20"):
        model.predict_log_proba([[1.5]], classes=["10"])  # text is no number
    with pytest.raises(ValueError, match="must be a list of classes"):
        model.predict_proba([[1.5]], classes="10")
    with pytest.raises(ValueError, match="names no class"):
        model.predict_proba([[1.5]], classes=[])


def test_batches_are_predicted_one_by_one() -> None:
    model, X = fitted(1200, 3), rows("float64", 40, 3)
    whole, parts = model.top_k(X, 4), model.top_k(iter([(X[:15],), (X[15:],)]), 4)
    assert_array_equal(parts.codes, whole.codes)
    assert_array_equal(parts.labels, whole.labels)
    found = model.predict_proba(iter([(X[:15],), (X[15:],)]), classes=["c000001"])
    assert_allclose(found, model.predict_proba(X, classes=["c000001"]), rtol=1e-12)


def test_a_row_whose_logits_overflow_is_named() -> None:
    model, X = fitted(1500, 2), np.zeros((30, 2))
    X[17] = 1e308
    with pytest.raises(ValueError, match="row 17 of X holds numbers so large"):
        model.top_k(1.79 * X, 2)
    model, X = fitted(1500, 2, dtype=np.float32), np.zeros((30, 2), dtype=np.float32)
    X[17] = 3e38  # beyond float32 after the product, not beyond float64
    assert np.isfinite(model.top_k(X, 2).probabilities).all()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_weights_of_float32_are_used_as_they_are(dtype: Any) -> None:
    model = fitted(2000, 6, dtype=np.float32)
    X = rows("float64", 100, 6).astype(dtype)
    exact = log_softmax(X.astype(np.float64) @ model.coef_.T.astype(np.float64) + model.intercept_)
    top = model.top_k(X, 3)
    assert top.probabilities.dtype == np.float64
    found = np.log(top.probabilities)
    assert_allclose(found, np.take_along_axis(exact, top.codes, axis=1), atol=1e-5 if dtype is np.float32 else 1e-12)
    P = model.predict_proba(X)
    assert P.dtype == np.float64
    assert_allclose(P.sum(axis=1), 1, rtol=1e-12)


def test_moments_of_the_logits() -> None:
    model, X = fitted(2100, 5), rows("float64", 60, 5)
    o, t = model.decision_function(X), np.linspace(0.3, 2, 60)
    P = np.exp(log_softmax(t[:, None] * o))
    normalizer = LogNormalizer(60, moments=True, scale=t)
    LogitBlocks(model.coef_, model.intercept_, X).reduce(normalizer)
    mean = (P * t[:, None] * o).sum(axis=1)
    assert_allclose(normalizer.log_sum(), np.log(np.exp(t[:, None] * o).sum(axis=1)))
    assert_allclose(normalizer.mean(), mean)
    assert_allclose(normalizer.sum_of_squares(), (P**2).sum(axis=1))
    assert_allclose(normalizer.variance(), (P * (t[:, None] * o - mean[:, None]) ** 2).sum(axis=1))
    assert_allclose(normalizer.entropy(), -(P * np.log(P)).sum(axis=1), rtol=1e-10)


@pytest.mark.parametrize("size", [6_000, pytest.param(20_000, marks=pytest.mark.slow)])
def test_memory_is_that_of_blocks(size: int) -> None:
    """So many rows and classes: an array (n, q) would take 288 MB or 3.2 GB."""
    model = fitted(size, 8)
    dense = rows("float32", size, 8)
    tracemalloc.start()
    for X in (dense, sp.csr_array(dense)):
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        top = model.top_k(X, 10)
        model.predict(X)
        model.predict_log_proba(X, classes=model.classes_[:3])
        assert tracemalloc.get_traced_memory()[1] - before < 80e6
        del top
    tracemalloc.stop()


def test_blocks_of_classes_cover_them_all() -> None:
    for q, d in [(1, 1), (1024, 3), (1025, 3), (9742, 9742), (64, 10**8)]:
        spans = class_spans(q, d)
        assert [first for first, _ in spans] == [0, *(last for _, last in spans[:-1])]
        assert spans[-1][1] == q
        assert max(last - first for first, last in spans) <= 1024
