"""Tests and intervals of the terms of a table model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.special import softmax

import softreg
from softreg import TableClassifier
from softreg.tables import TableError, Terms

TERMS = Terms("linear", smooth=["wave", "line", "none"], pool=["group"], interactions=["wave:group"])


def drawn(n: int, q: int = 2, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """A table with a curve, a line, a column and a category without effect, and its probabilities (n, q)."""
    random = np.random.default_rng(seed)
    wave, line, none = random.uniform(-2, 2, n), random.normal(size=n), random.normal(size=n)
    none[::11] = np.nan
    logits = np.zeros((n, q))
    logits[:, 1] = 1.5 * np.sin(2 * wave) + 0.8 * line
    if q > 2:
        logits[:, 2] = wave**2 / 2 - 0.5 * line
    codes = (logits + random.gumbel(size=(n, q))).argmax(axis=1)
    group, label = np.array(["r", "s", "t"])[random.integers(0, 3, n)], np.array(["no", "so", "yes"])[codes]
    frame = pd.DataFrame({"wave": wave, "line": line, "none": none, "group": group, "label": label})
    return frame, softmax(logits, axis=1)


@pytest.fixture(scope="module", params=[2, 3])
def fitted(request: Any) -> tuple[TableClassifier, pd.DataFrame, np.ndarray]:
    """A model with curves, a pooled category and an interaction, for two and for three classes."""
    frame, P = drawn(900, request.param)
    return TableClassifier("label", terms=TERMS).fit(frame), frame, P


def test_effects_are_found_and_others_are_not(fitted: Any) -> None:
    model, frame, _ = fitted
    tests = model.term_tests(frame)
    for term in ("wave", "wave=curve", "line"):
        assert tests[term].p_value < 1e-6
    for term in ("line=curve", "none", "none=curve", "group", "wave:group"):
        if term in tests.frame()["term"]:
            assert tests[term].p_value > 0.001
    assert not any(tests.frame()["searched"])
    with pytest.raises(KeyError, match="'x' is not among the tests: wave, wave=curve"):
        tests["x"]


def test_degrees_are_those_of_the_evidence_and_of_the_inference(fitted: Any) -> None:
    model, frame, _ = fitted
    tests, q = model.term_tests(frame), len(model.classes_)
    of_evidence = {strength.name: strength.degrees for strength in model.terms_.strengths}
    for test in tests.tests:
        if test.kind == "curvature":
            continue
        parts = [d for name, d in of_evidence.items() if name == test.term or name.startswith(f"{test.term}=")]
        assert test.degrees == pytest.approx(sum(parts), rel=0.03, abs=0.05)
    whole = sum(test.degrees for test in tests.tests if test.kind != "curvature")
    assert model.infer(frame, errors="posterior").df == pytest.approx(whole + q - 1, abs=1e-3)


def test_the_text_names_null_hypotheses_and_assumptions(fitted: Any) -> None:
    model, frame, _ = fitted
    text = str(model.term_tests(frame))
    assert "wave   " in text
    assert "a line" in text
    assert "The same rows chose terms and strengths; the tests use strengths that do not depend on the labels." in text
    assert "search" not in text


def test_other_rows_test_with_a_refit(fitted: Any) -> None:
    model, frame, _ = fitted
    other, _ = drawn(900, len(model.classes_), seed=5)
    with pytest.raises(ValueError, match="from the optimum of these rows"):
        model.term_tests(other)
    tests = model.term_tests(other, refit=True)
    assert tests["wave=curve"].p_value < 1e-4
    assert tests.notes[0].startswith("Terms and strengths were chosen on other rows")
    again = model.term_tests(frame, refit=True)
    own = model.term_tests(frame)
    assert_allclose(again.frame()["degrees"], own.frame()["degrees"], rtol=1e-4, atol=1e-5)
    assert_allclose(again.frame()["null_mean"], again.frame()["degrees"])  # the strengths of the model are given
    for one in own.tests:  # parts of m weights a contrast have sqrt(m) degrees of freedom, and at most as many together
        assert one.null_mean <= one.parameters + 1e-6
    curve = own["wave=curve"]
    contrasts = len(model.classes_) - 1
    assert curve.null_mean == pytest.approx(contrasts * np.sqrt(curve.parameters / contrasts), rel=1e-3)
    one_class = other[other.label == "no"]
    with pytest.raises(TableError, match=r"The rows have no label .*, which is a class of the model"):
        model.term_tests(one_class, refit=True)


def test_a_searched_interaction_is_marked() -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(900, 3))
    label = np.where(random.random(900) < 1 / (1 + np.exp(-2 * X[:, 0] * X[:, 1])), "yes", "no")
    frame = pd.DataFrame(X, columns=list("abc")).assign(label=label)
    model = TableClassifier("label", terms="auto").fit(frame)
    tests = model.term_tests(frame)
    assert tests["a:b"].searched
    assert tests["a:b"].p_value < 1e-6
    assert "the p-values do not account for the search and are too small" in str(tests)
    fresh = model.term_tests(frame, refit=True)
    assert not fresh["a:b"].searched
    asked = TableClassifier("label", terms=Terms("auto", interactions=["b:a"])).fit(frame).term_tests(frame)
    assert not next(test for test in asked.tests if test.kind == "interaction").searched


def test_frequency_weights_count_rows() -> None:
    frame, _ = drawn(300)
    copies = np.random.default_rng(1).integers(1, 4, len(frame))
    repeated = frame.loc[np.repeat(frame.index, copies)].reset_index(drop=True)
    model = TableClassifier("label", terms=TERMS).fit(frame, sample_weight=copies)
    weighted = model.term_tests(frame, sample_weight=copies)
    same = model.term_tests(repeated)
    assert_allclose(weighted.frame()["p_value"], same.frame()["p_value"], rtol=1e-3)
    low, high = model.keep_intervals(frame, sample_weight=copies).predict_intervals(frame)
    assert (low < model.predict_proba(frame)).all()
    assert (high > model.predict_proba(frame)).all()


def test_models_without_terms_and_without_a_penalty_have_tests() -> None:
    frame, _ = drawn(500)
    linear = TableClassifier("label", strength=0.01).fit(frame).term_tests(frame)
    assert [test.kind for test in linear.tests] == ["column"] * 4
    assert linear["line"].p_value < 1e-4
    frame = frame[["wave", "line", "label"]]
    plain = TableClassifier("label", penalty=None).fit(frame)
    tests, wald = plain.term_tests(frame), plain.infer(frame).wald
    assert tests["line"].p_value == pytest.approx(wald([plain.feature_names_out_.index("line")]).p_value, rel=1e-4)
    assert tests.notes == ("Wald's tests: the model has no penalty.",)


def test_class_weights_and_other_penalties_are_refused() -> None:
    frame, _ = drawn(200)
    weighted = TableClassifier("label", strength=0.01, class_weight="balanced").fit(frame)
    with pytest.raises(TableError, match="class weights, whose objective is no likelihood"):
        weighted.term_tests(frame)
    lasso = TableClassifier("label", penalty="l1", strength=0.01).fit(frame)
    with pytest.raises(ValueError, match="an l1 penalty selects columns"):
        lasso.term_tests(frame)


# --- intervals ------------------------------------------------------------------------------------------------------


def test_intervals_of_curves_cover_and_are_stored(fitted: Any, tmp_path: Path) -> None:
    model, frame, P = fitted
    model.keep_intervals(frame)
    low, high = model.predict_intervals(frame)
    assert ((low <= P) & (high >= P)).mean() > 0.85
    assert (high - low).mean() < 0.35
    model.save(tmp_path / "m.softreg")
    again = softreg.load(tmp_path / "m.softreg").predict_intervals(frame)
    assert_allclose(again, (low, high), atol=1e-12)
    narrow = model.predict_intervals(frame, level=0.5)
    assert (narrow[0] >= low).all()
    assert (narrow[1] <= high).all()
    assert model.intervals_.errors == "posterior"


def test_intervals_are_those_of_draws_from_the_posterior(fitted: Any) -> None:
    model, frame, _ = fitted
    some = frame.iloc[:40]
    model.keep_intervals(frame)
    low, high = model.predict_intervals(some, level=0.9)
    inference, q = model.infer(frame, errors="posterior"), len(model.classes_)
    random = np.random.default_rng(0)
    C = inference.covariance
    w = inference.coefficients.estimate
    draws = random.multivariate_normal(w.ravel(), C, 4_000, method="cholesky" if q == 2 else "svd")
    Z = np.column_stack([np.ones(len(some)), np.asarray(model.encode(some))])
    logits = np.zeros((len(draws), len(some), q))
    logits[..., 1:] = np.einsum("scj,nj->snc", draws.reshape(-1, *w.shape), Z)
    found = np.quantile(softmax(logits, axis=2), [0.05, 0.95], axis=0)
    assert_allclose(found[0], low, atol=0.03)
    assert_allclose(found[1], high, atol=0.03)
