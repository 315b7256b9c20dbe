"""Terms are chosen by default, and the model is linear where the strength, the penalty or a prior leaves no choice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

import softreg
from softreg import TableClassifier
from softreg.tables import Terms
from softreg.tables.columns.table_errors import TableError
from softreg.tables.encode.terms.curve_encoder import CurveEncoder


def curved(n: int = 300, seed: int = 0) -> pd.DataFrame:
    """A label that is a wave of x, and a column of noise."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-3, 3, n)
    label = np.where(np.cos(2 * x) + 0.3 * rng.logistic(size=n) > 0, "yes", "no")
    return pd.DataFrame({"x": x, "z": rng.normal(size=n), "y": label})


def plain(n: int = 300, seed: int = 0) -> pd.DataFrame:
    """A label whose log-odds are linear in two columns."""
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, n))
    return pd.DataFrame({"a": a, "b": b, "y": np.where(a - b + rng.logistic(size=n) > 0, "yes", "no")})


def has_curves(model: TableClassifier) -> bool:
    return any(isinstance(code, CurveEncoder) for code in model.encoder_.column_encoders)


@pytest.fixture(scope="module")
def model() -> TableClassifier:
    return TableClassifier("y", random_state=0).fit(curved())


def test_a_curved_table_has_curves(model: TableClassifier) -> None:
    frame, new = curved(), curved(1_000, seed=1)
    assert TableClassifier().terms == "auto"
    assert has_curves(model)
    assert model.terms_.chosen != "linear"
    auto = TableClassifier("y", terms="auto", random_state=0).fit(frame)
    linear = TableClassifier("y", terms="linear", random_state=0).fit(frame)
    assert linear.terms_ is None
    assert model.terms_ == auto.terms_
    assert_array_equal(model.predict_proba(new), auto.predict_proba(new))
    assert model.score(new) > 0.85 > 0.7 > linear.score(new)


def test_a_table_without_curvature_has_the_linear_model_to_the_last_digit() -> None:
    frame = plain()
    found = TableClassifier("y", random_state=0).fit(frame)
    linear = TableClassifier("y", terms="linear", random_state=0).fit(frame)
    assert found.terms_.chosen == "linear"
    assert [stage.name for stage in found.terms_.stages] == ["linear", "curves", "interactions"]
    assert found.encoder_ == linear.encoder_
    assert found.model_.strength == linear.model_.strength
    assert_array_equal(found.model_.coef_, linear.model_.coef_)
    assert_array_equal(found.model_.intercept_, linear.model_.intercept_)


FIXED: dict[str, dict[str, Any]] = {
    "strength": {"strength": 0.1},
    "l1": {"penalty": "l1"},
    "l1 and strength": {"penalty": "l1", "strength": 0.01},
    "elastic net": {"penalty": "elasticnet", "l1_ratio": 0.5, "strength": 0.01},
    "group": {"penalty": "group", "strength": 0.01},
    "none": {"penalty": None},
}


@pytest.mark.parametrize("memory", ["high", "low"])
@pytest.mark.parametrize("options", FIXED.values(), ids=FIXED)
def test_a_strength_and_other_penalties_are_of_the_linear_model(
    options: dict[str, Any], memory: Any, tmp_path: Path
) -> None:
    curved().to_csv(tmp_path / "rows.csv", index=False)
    found, linear = (
        TableClassifier("y", **options, **terms).fit(tmp_path / "rows.csv", memory=memory)
        for terms in ({}, {"terms": "linear"})
    )
    assert found.terms_ is None
    assert found.encoder_ == linear.encoder_
    assert_array_equal(found.model_.coef_, linear.model_.coef_)


def test_a_prior_has_the_terms() -> None:
    frame = curved()
    for terms, curves in (("linear", False), (Terms("linear", smooth="x"), True)):
        prior = TableClassifier("y", terms=terms, keep_posterior=True).fit(frame)
        later = TableClassifier("y", prior=prior).fit(curved(seed=1))
        assert later.terms_ is None
        assert later.encoder_ == prior.encoder_
        assert has_curves(later) == curves


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"penalty": "l1"}, "the penalty is 'l1'"),
        ({"penalty": None}, "the penalty is None"),
        ({"strength": 0.1}, "leave strength at 'auto'"),
    ],
)
def test_requested_terms_are_not_passed_over(options: dict[str, Any], message: str) -> None:
    with pytest.raises(TableError, match=message):
        TableClassifier("y", terms=Terms("auto", smooth=["x"]), **options).fit(curved(60))


TERMS: list[Any] = ["auto", "linear", Terms("auto", linear=["z"], seconds=60)]


@pytest.mark.parametrize("terms", TERMS, ids=["auto", "linear", "without curves of z"])
def test_files_keep_the_parameter_of_a_model_without_a_choice(terms: Any, tmp_path: Path) -> None:
    frame = curved(100)
    prior = TableClassifier("y", strength=0.1, keep_posterior=True, terms=terms).fit(frame)
    assert ("unused_terms" in prior.to_state()[1]) == (terms != "linear")
    for fitted in (prior, TableClassifier("y", prior=prior, terms=terms).fit(frame)):
        fitted.save(tmp_path / "m.softreg")
        loaded = softreg.load(tmp_path / "m.softreg")
        assert loaded.terms == terms
        assert loaded.terms_ is None
        assert_array_equal(loaded.predict_proba(frame), fitted.predict_proba(frame))


def test_files_keep_the_parameter_of_a_choice_and_those_of_earlier_versions_are_linear(
    model: TableClassifier, tmp_path: Path
) -> None:
    model.save(tmp_path / "m.softreg")
    loaded = softreg.load(tmp_path / "m.softreg")
    assert loaded.terms == "auto"
    assert loaded.terms_ == model.terms_
    arrays, metadata = TableClassifier("y", terms="linear").fit(plain(100)).to_state()
    assert not {"terms", "unused_terms"} & set(metadata)
    earlier = TableClassifier.from_state(arrays, metadata)
    assert (earlier.terms, earlier.terms_, earlier.strength) == ("linear", None, "auto")


def test_a_search_over_penalty_and_strength() -> None:
    frame = curved()
    X, y = frame[["x", "z"]], frame["y"]
    grid = {"strength": [0.1, "auto"], "penalty": ["l2", "l1", None]}
    search = GridSearchCV(TableClassifier(), grid, cv=2, scoring="neg_log_loss").fit(X, y)
    assert search.best_params_ == {"penalty": "l2", "strength": "auto"}
    assert has_curves(search.best_estimator_)
    assert clone(search.best_estimator_).get_params() == search.best_estimator_.get_params()


def test_what_a_linear_model_offers(model: TableClassifier, tmp_path: Path) -> None:
    """Intervals, statistics, margins, the bootstrap and a checkpoint are there for the chosen model as well."""
    frame = curved()
    again = TableClassifier("y", random_state=0).fit(frame, checkpoint=tmp_path / "checkpoint")
    assert_allclose(again.predict_proba(frame), model.predict_proba(frame), atol=1e-5)
    low, high = again.keep_intervals(frame).predict_intervals(frame)
    P = again.predict_proba(frame)
    assert ((low < P) & (high > P)).all()
    assert again.term_tests(frame)["x"].p_value < 1e-6
    assert again.infer(frame, errors="posterior").columns[1:] == again.feature_names_out_
    low, high = softreg.bootstrap(again, frame, n_resamples=3, random_state=0).proba_interval(frame)
    assert (high - low).max() > 0.01
