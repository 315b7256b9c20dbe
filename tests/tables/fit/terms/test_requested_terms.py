"""Requested terms stay in the model without evidence for them, and names with colons do not collide."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import softreg
from softreg import TableClassifier
from softreg.tables import Terms
from softreg.tables.encode.terms.curve_encoder import CurveEncoder
from softreg.tables.fit.terms.term_problem import ABSENT_PRECISION


def noise(n: int = 200) -> pd.DataFrame:
    """Columns without any effect on the label."""
    rng = np.random.default_rng(5)
    frame = pd.DataFrame({"a": rng.normal(size=n), "b": rng.normal(size=n), "c": rng.choice(list("uvw"), n)})
    return frame.assign(d=rng.random(n) < 0.5, y=rng.choice(["no", "yes"], n))


def test_a_requested_term_without_evidence_is_in_the_model_and_in_the_record() -> None:
    frame = noise()
    terms = Terms("linear", smooth=["a", "b"], interactions=["b:c", "a:b", "a:d", "c:d"])
    model = TableClassifier("y", terms=terms).fit(frame)
    assert [pair.name for pair in model.encoder_.pairs] == ["b:c", "a:b", "a:d", "c:d"]
    curves = [code.name for code in model.encoder_.column_encoders if isinstance(code, CurveEncoder)]
    assert curves == ["a", "b"]
    absent = {one.name for one in model.terms_.strengths if one.precision == ABSENT_PRECISION}
    assert absent >= {"a=curve", "b=curve", "a:b", "c:d"}
    listed = {one.column: one.degrees for one in model.terms_.sizes()}
    assert max(listed["a:b"], listed["c:d"]) < 0.02
    assert np.abs(model.model_.coef_[:, model.encoder_.feature_places()["a:b"]]).max() < 1e-4


@pytest.mark.parametrize("terms", ["auto", "requested"])
def test_names_with_colons_are_kept_apart(tmp_path: Path, terms: str) -> None:
    """The column `a:b` beside the interaction of a and b, and two interactions that would both be `a:b:c`."""
    rng, n = np.random.default_rng(0), 300
    frame = pd.DataFrame({name: rng.normal(size=n) for name in ("a", "b", "a:b", "a=curve", "a:b=1")})
    frame["c"], frame["b:c"] = rng.choice(list("uvw"), n), rng.choice(list("xyz"), n)
    score = np.sin(2 * frame["a"]) + frame["a:b"] + frame["a"] * frame["b"]
    frame["y"] = np.where(score + rng.logistic(size=n) > 0, "p", "q")
    pairs = [("a", "b"), ("a", "b:c"), ("a:b", "c")]
    model = TableClassifier("y", terms="auto" if terms == "auto" else Terms("linear", interactions=pairs)).fit(frame)
    size = {one.column: one.degrees for one in model.terms_.sizes() if one.part == "interaction"}
    main = {one.column: one.degrees for one in model.terms_.sizes() if one.part != "interaction"}
    assert size["a:b_2"] > 2
    assert 0.5 < main["a:b"] < 2
    if terms == "requested":
        assert {"a:b:c", "a:b:c_2"} < set(size)
    names = model.encoder_.feature_names_out
    assert len(set(names)) == len(names) == model.model_.coef_.shape[1]
    model.save(tmp_path / "m.softreg")
    assert_array_equal(softreg.load(tmp_path / "m.softreg").predict_proba(frame), model.predict_proba(frame))


def test_a_requested_curve_of_two_values_is_a_line() -> None:
    frame = noise().assign(a=np.tile([0.0, 1.0], 100))
    model = TableClassifier("y", terms=Terms("linear", smooth="a"), number=["a"]).fit(frame)
    assert not any(isinstance(code, CurveEncoder) for code in model.encoder_.column_encoders)
    assert_allclose(model.predict_proba(frame).sum(axis=1), 1)


@pytest.mark.parametrize("scale", [1e-310, 1e-5, 5e307])
def test_numbers_of_any_size_have_functions(scale: float) -> None:
    """Differences of numbers near the least and the largest float64 underflow and overflow."""
    frame = noise(120)
    frame = frame.assign(y=np.where(frame["a"] + (frame["c"] == "u") > 0, "yes", "no"), a=frame["a"] * scale)
    model = TableClassifier("y", terms=Terms("linear", smooth="a", interactions="a:c")).fit(frame)
    functions = model.term_functions()
    logits = np.log(model.predict_proba(frame))
    parts = functions.contributions(frame).sum(axis=1) + functions.bias
    assert_allclose(parts[:, 0], logits[:, 1] - logits[:, 0], atol=1e-6)
