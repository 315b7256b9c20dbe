"""Columns without penalty, bounds and priors of table classifiers."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

import softreg
from softreg import SoftmaxRegression, TableClassifier
from softreg.tables.columns.table_errors import TableError, TableWarning
from softreg.tables.fit import choose_strength
from softreg.tables.fit.weight_terms.column_constraints import bounds_of_classes
from softreg.typing import Array

MEAN_SHIFT = 0.02
"""Largest difference of probabilities between three fits with priors and one of all rows, which is of third order."""


def customers(n: int = 500, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": random.normal(45, 12, n).round(1).clip(10, 90),
            "income": np.exp(random.normal(8, 1, n)).round().clip(200, 30_000),
            "city": random.choice(["Kiel", "Ulm", "Bonn"], n),
            "member": random.choice(["no", "yes"], n),
        }
    )
    o = (45 - frame.age) / 12 + 0.5 * np.log(frame.income / 3000) + (frame.city == "Ulm") + (frame.member == "yes")
    frame["buys"] = np.where(random.random(n) < 1 / (1 + np.exp(-o)), "yes", "no")
    return frame


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return customers()


def rising(model: Any, frame: pd.DataFrame, column: str, values: Any, label: int = 1) -> Array:
    """Changes of the probability of a class along a grid of a column, from the first row."""
    grid = pd.concat([frame.iloc[[0]]] * len(values), ignore_index=True)
    grid[column] = values
    return np.diff(model.predict_proba(grid)[:, label])


# --- columns without penalty ----------------------------------------------------------------------------------------


def test_all_features_of_a_column_have_no_penalty(frame: pd.DataFrame) -> None:
    with_missing = frame.assign(age=frame.age.where(frame.index % 9 > 0))
    model = TableClassifier("buys", unpenalised=["age", "city"], strength=1.0).fit(with_missing)
    free = [name for name in model.feature_names_out_ if name.split("=")[0] in ("age", "city")]
    assert model.model_.penalty_factors == dict.fromkeys(free, 0.0)
    assert free == ["age", "age=missing", "city=Bonn", "city=Kiel", "city=Ulm"]
    plain = TableClassifier("buys", strength=1.0).fit(with_missing)
    assert abs(model.model_.coef_[1, 0]) > 3 * abs(plain.model_.coef_[1, 0])
    X, names = model.encode(with_missing), np.array(model.feature_names_out_)
    same = SoftmaxRegression(1.0, penalty_factors=np.where(np.isin(names, free), 0.0, 1.0)).fit(X, frame.buys)
    assert_allclose(model.model_.coef_, same.coef_, atol=1e-6)
    assert ("city", "category", "3 levels: 'Bonn', 'Kiel', 'Ulm'; no penalty") in model.describe()


def test_a_level_that_separates_is_named(frame: pd.DataFrame, tmp_path: Path) -> None:
    rare = frame.copy()
    rare.loc[:9, ["city", "buys"]] = ["Rom", "yes"]
    path = tmp_path / "rare.csv"
    rare.to_csv(path, index=False)
    message = r"without penalty, the weights of city=Rom \(no row of 'no'\) have no finite optimum"
    for data, memory in ((rare, "auto"), (path, "low")):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            TableClassifier("buys", unpenalised="city", strength=0.1).fit(data, memory=memory)
        assert any(re.search(message, str(warning.message)) for warning in caught)
    with warnings.catch_warnings():
        warnings.simplefilter("error", TableWarning)
        TableClassifier("buys", unpenalised="city", strength=0.1).fit(frame)


# --- bounds ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strength", [1e-3, "auto"])
def test_the_probability_of_two_classes_is_monotone(frame: pd.DataFrame, strength: Any) -> None:
    free = TableClassifier("buys", strength=1e-3).fit(frame)
    ages, incomes = np.linspace(0, 100, 30), np.geomspace(1, 1e6, 30)
    assert (rising(free, frame, "age", ages) <= 0).all()
    model = TableClassifier("buys", bounds={"age": "+", "income": "-", "member": "+"}, strength=strength, folds=None)
    model.fit(frame)
    assert model.model_.solution_.certified
    assert (rising(model, frame, "age", ages) >= 0).all()
    assert (rising(model, frame, "income", incomes) <= 0).all()
    assert rising(model, frame, "member", ["no", "yes"])[0] > 0
    assert model.encoder_.column_encoders[1].form == "linear"
    assert free.encoder_.column_encoders[1].knots
    assert model.path_ is None if strength != "auto" else len(model.path_) > 1


def test_a_bound_is_per_unit_of_the_column(frame: pd.DataFrame) -> None:
    model = TableClassifier("buys", bounds={"age": (-0.01, 0.5), "member": (None, 0.1)}, strength=1e-4).fit(frame)
    scale = model.encoder_.column_encoders[0].scale
    assert model.model_.coef_[1, 0] / scale == pytest.approx(-0.01)
    assert model.model_.coef_[1, -1] == pytest.approx(0.1)
    against = TableClassifier("buys", bounds={"age": (-0.01, None)}, bounds_reference="no", strength=1e-4).fit(frame)
    log_odds = against.decision_function(pd.concat([frame.iloc[[0]].assign(age=a) for a in (30, 40)]))
    assert log_odds[1] - log_odds[0] == pytest.approx(-0.1)
    weights = np.where(frame.age > 45, 3.0, 1.0)
    weighted = TableClassifier("buys", bounds={"age": (-0.01, None)}, strength=1e-4)
    weighted.fit(frame, sample_weight=weights)
    scale = weighted.encoder_.column_encoders[0].scale
    assert weighted.model_.coef_[1, 0] / scale == pytest.approx(-0.01)


def test_the_second_class_is_that_of_the_classifier(frame: pd.DataFrame) -> None:
    numbered = frame.assign(buys=np.where(frame.buys == "yes", 10, 9))
    model = TableClassifier("buys", bounds={"age": "+"}, strength=1e-3).fit(numbered)
    assert model.classes_.tolist() == [9, 10]
    assert (rising(model, numbered, "age", np.linspace(10, 90, 9)) >= 0).all()
    by_class = TableClassifier("buys", bounds={"age": {10: "+"}}, strength=1e-3).fit(numbered)
    assert_allclose(by_class.model_.coef_, model.model_.coef_)


def test_three_classes_need_a_class_or_a_reference(frame: pd.DataFrame) -> None:
    with pytest.raises(TableError, match=r"The bound of column 'age' needs a class, as there are 3.*--bound age:Ulm="):
        TableClassifier("city", bounds={"age": "+"}, strength=0.1).fit(frame)
    model = TableClassifier("city", bounds={"age": (0.02, None)}, bounds_reference="Kiel", strength=1e-3).fit(frame)
    o = model.decision_function(pd.concat([frame.iloc[[0]].assign(age=a) for a in (40, 50)]))
    slope = (o[1] - o[0]) / 10
    assert (slope[[0, 2]] - slope[1] >= 0.02 - 1e-9).all()
    one = TableClassifier("city", bounds={"age": {"Ulm": (0.02, None)}}, strength=1e-3).fit(frame)
    assert one.model_.coef_[2, 0] >= 0.02 * one.encoder_.column_encoders[0].scale - 1e-9


def test_indicators_of_missing_values_have_no_bound(frame: pd.DataFrame) -> None:
    gaps = frame.assign(age=frame.age.where((frame.buys == "yes") | (frame.index % 3 > 0)))
    model = TableClassifier("buys", bounds={"age": "+"}, strength=1e-3).fit(gaps)
    assert model.model_.bounds == {"age": {"yes": (0.0, np.inf)}}
    assert model.model_.coef_[1, list(model.feature_names_out_).index("age=missing")] < 0


def test_a_table_in_batches_and_a_file_have_the_same_model(frame: pd.DataFrame, tmp_path: Path) -> None:
    path, stored = tmp_path / "rows.csv", tmp_path / "m.softreg"
    frame.to_csv(path, index=False)
    options = {"unpenalised": ("city",), "bounds": {"age": "+", "income": {"no": (None, 0.5)}}, "strength": 1e-3}
    whole = TableClassifier("buys", **options).fit(path)
    parts = TableClassifier("buys", **options).fit(path, memory="low")
    assert_allclose(parts.predict_proba(path), whole.predict_proba(path), atol=1e-5)
    whole.save(stored)
    again = softreg.load(stored)
    assert (again.unpenalised, again.bounds, again.bounds_reference) == (("city",), options["bounds"], None)
    assert again.describe() == whole.describe()
    assert_allclose(again.predict_proba(frame), whole.predict_proba(frame))
    assert_allclose(clone(again).fit(path).model_.coef_, whole.model_.coef_, atol=1e-6)
    assert "constraints" not in TableClassifier("buys", strength=0.1).fit(frame).to_state()[1]


def test_the_search_on_one_fold_has_the_constraints(frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choose_strength, "WIDE_COLUMNS", 2)
    words = np.random.default_rng(0).choice(["red", "green", "blue", "white", "black"], (len(frame), 3))
    wide = frame.assign(note=[" ".join(row) + f" {i}" for i, row in enumerate(words)])
    model = TableClassifier("buys", text="note", bounds={"age": "+"}, unpenalised="member", terms="linear").fit(wide)
    assert (rising(model, wide, "age", np.linspace(10, 90, 9)) >= 0).all()
    settings = {"bounds": {"age": {"yes": (0, 1), "no": (0, 1)}}, "bounds_reference": "maybe"}
    found = bounds_of_classes(settings, np.array(["no", "maybe"]))
    assert found == {"bounds": {"age": {"no": (0, 1)}}, "bounds_reference": "maybe"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"bounds": {"city": "+"}},
            "'city' has a bound, and was taken for a category: only columns of numbers and bool",
        ),
        ({"bounds": {"agee": "+"}}, "There is no column with a bound 'agee'. Did you mean 'age'"),
        (
            {"bounds": {"age": {"maybe": "+"}}},
            "the bound of column 'age' names the class 'maybe'; the classes are 'no'",
        ),
        ({"bounds": {"age": "up"}}, "bounds has 'up' for 'age'"),
        ({"bounds": {"age": (2, 1)}}, r"bounds has \(2, 1\) for 'age'"),
        ({"bounds": "age"}, "bounds is 'age'; expected the bounds by column"),
        ({"bounds": {"age": "+"}, "numeric_form": {"age": "scores"}}, "'age' has a bound.* in the form 'scores'"),
        ({"bounds": {"age": "+"}, "penalty": "group"}, "bounds need the penalty l2, l1, elasticnet or none, not group"),
        ({"bounds": {"age": "+"}, "drop": "age"}, "'age' is named as a column with a bound, and is no feature"),
        ({"bounds": {"age": "+"}, "keep_posterior": True}, "keep_posterior=True needs penalty='l2' or None, without"),
        ({"bounds_reference": "no"}, "bounds_reference has no effect without bounds"),
        ({"unpenalised": "town"}, "There is no column without penalty 'town'"),
        ({"unpenalised": "buys"}, "'buys' is named as a column without penalty, and is no feature"),
        ({"prior": 3}, "prior is a int; expected a fitted TableClassifier"),
        ({"prior": TableClassifier("buys")}, r"The prior is not fitted.*FrozenEstimator"),
    ],
)
def test_what_cannot_be_is_named(frame: pd.DataFrame, options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TableClassifier("buys", **{"strength": 0.1} | options if "prior" not in options else options).fit(frame)


# --- priors ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def first(frame: pd.DataFrame) -> TableClassifier:
    return TableClassifier("buys", strength=1e-3, keep_posterior=True).fit(frame)


def test_three_days_with_priors_are_near_all_rows_at_once(first: Any, frame: pd.DataFrame, tmp_path: Path) -> None:
    days, model = [frame, customers(seed=1), customers(seed=2)], first
    for day in days[1:]:
        model.save(tmp_path / "yesterday.softreg")
        yesterday = softreg.load(tmp_path / "yesterday.softreg")
        model = TableClassifier("buys", prior=yesterday, keep_posterior=True).fit(day)
    every = pd.concat(days)
    X, new = model.encode(every), customers(seed=3)
    at_once = SoftmaxRegression(1e-3 * len(frame) / len(every)).fit(X, every.buys)
    P = at_once.predict_proba(model.encode(new))
    assert np.abs(model.predict_proba(new) - P).max() < MEAN_SHIFT
    assert np.abs(first.predict_proba(new) - P).max() > 3 * MEAN_SHIFT
    information = SoftmaxRegression(1e-3 * len(frame) / len(every), keep_posterior=True).fit(X, every.buys).posterior()
    assert_allclose(np.diag(model.model_.posterior().precision), np.diag(information.precision), rtol=0.15)


def test_the_prior_decides_on_columns_classes_and_levels(first: Any, frame: pd.DataFrame) -> None:
    day = customers(300, seed=4).assign(extra=1.5)
    day.loc[:6, "city"] = "Rom"
    with pytest.warns(TableWarning) as caught:
        model = TableClassifier(prior=first).fit(day[list(reversed(day.columns))], target="buys")
    messages = " ".join(str(w.message) for w in caught)
    assert "'Rom'" in messages
    assert "7 of 300 rows" in messages
    assert "extra" in messages
    assert model.feature_names_out_ == first.feature_names_out_
    assert model.classes_.tolist() == ["no", "yes"]
    assert model.path_ is None
    only_yes = TableClassifier(prior=first).fit(customers(300, seed=5).query("buys == 'yes'"))
    assert only_yes.classes_.tolist() == ["no", "yes"]
    assert (only_yes.predict_proba(frame)[:, 1] > first.predict_proba(frame)[:, 1]).mean() > 0.9


def test_labels_beside_the_features_and_weights(first: Any) -> None:
    day = customers(300, seed=6)
    whole = TableClassifier(prior=first).fit(day)
    beside = TableClassifier(prior=first).fit(day.drop(columns="buys"), day.buys)
    assert_allclose(beside.model_.coef_, whole.model_.coef_)
    twice = TableClassifier(prior=first).fit(pd.concat([day, day[:100]]))
    weighted = TableClassifier(prior=first).fit(day, sample_weight=np.where(np.arange(300) < 100, 2.0, 1.0))
    assert_allclose(weighted.model_.coef_, twice.model_.coef_, atol=1e-3)
    some = TableClassifier(prior=first).fit(day, rows=np.arange(100))
    assert_allclose(some.model_.coef_, TableClassifier(prior=first).fit(day[:100]).model_.coef_, atol=1e-6)
    assert TableClassifier(prior=FrozenEstimator(first)).fit(day).prior.estimator is first


def test_a_prior_in_batches_and_with_bounds(first: Any, tmp_path: Path) -> None:
    day = customers(300, seed=7)
    day.to_csv(tmp_path / "day.csv", index=False)
    whole = TableClassifier(prior=first, keep_posterior=True).fit(day)
    parts = TableClassifier(prior=first, keep_posterior=True).fit(tmp_path / "day.csv", memory="low")
    assert_allclose(parts.model_.coef_, whole.model_.coef_, atol=1e-8)
    assert_allclose(parts.model_.posterior().precision, whole.model_.posterior().precision, rtol=1e-8)
    bounded = TableClassifier(prior=first, bounds={"age": "+"}).fit(day)
    assert (rising(bounded, day, "age", np.linspace(10, 90, 9)) >= 0).all()


def test_numbers_as_classes_keep_their_order_in_the_posterior(frame: pd.DataFrame, tmp_path: Path) -> None:
    numbered = frame.assign(buys=np.where(frame.buys == "yes", 10, 9))
    first = TableClassifier("buys", strength=1e-3, keep_posterior=True).fit(numbered)
    assert first.model_.posterior().classes.tolist() == ["9", "10"]
    assert_allclose(first.model_.posterior().mean[:, :-1], first.model_.coef_)
    first.save(tmp_path / "m.softreg")
    again = softreg.load(tmp_path / "m.softreg")
    day = numbered[:200]
    models = [TableClassifier(prior=prior).fit(day) for prior in (first, again)]
    assert models[0].classes_.tolist() == [9, 10]
    assert_allclose(models[0].predict_proba(frame), models[1].predict_proba(frame), atol=1e-10)
    assert models[0].predict_proba(frame)[:, 1] @ (frame.buys == "yes") > 0.6 * (frame.buys == "yes").sum()


def test_a_prior_with_an_offset_reads_its_columns() -> None:
    days = [customers(400, seed).assign(score=np.random.default_rng(seed).normal(size=400)) for seed in (8, 9)]
    first = TableClassifier("buys", offset={"yes": "score"}, strength=1e-3, keep_posterior=True).fit(days[0])
    second = TableClassifier(prior=first).fit(days[1])
    assert second.offset_ == {"yes": "score"}
    moved = days[1].assign(score=days[1].score + 1)
    difference = second.decision_function(moved) - second.decision_function(days[1])
    assert_allclose(difference, 1.0)
    with pytest.raises(TableError, match="no column of offsets 'score'"):
        TableClassifier(prior=first).fit(days[1].drop(columns="score"))


@pytest.mark.parametrize(
    ("options", "change", "message"),
    [
        ({"penalty": "l1"}, {}, "penalty='l1' .* and a prior exclude each other"),
        ({"strength": 0.1}, {}, r"strength \(--strength\) and a prior exclude each other"),
        ({"folds": 3}, {}, r"folds \(--folds\) and a prior exclude"),
        ({"scoring": "brier"}, {}, "scoring .* with a prior there is none to choose"),
        ({"category": "city"}, {}, r"category \(--category\) and a prior exclude"),
        ({"unpenalised": "age"}, {}, r"unpenalised \(--unpenalised\) and a prior exclude"),
        ({"target": "city"}, {}, "The target is 'city', and that of the prior 'buys'"),
        (
            {"bounds": {"income": "+"}},
            {},
            "the prior has normal scores of it. Train the prior with --as 'income=linear'",
        ),
        ({}, {"buys": "maybe"}, "'buys' has the class 'maybe', which the prior does not know"),
        ({}, {"age": None}, "lacks the column 'age'"),
    ],
)
def test_what_contradicts_a_prior_is_named(
    first: Any, frame: pd.DataFrame, options: Any, change: Any, message: str
) -> None:
    day = frame.drop(columns="age") if "age" in change else frame.assign(**change)
    with pytest.raises(ValueError, match=message):
        TableClassifier(prior=first, **options).fit(day)


def test_a_prior_needs_a_posterior_and_no_checkpoint(frame: pd.DataFrame, first: Any, tmp_path: Path) -> None:
    plain = TableClassifier("buys", strength=0.1).fit(frame)
    with pytest.raises(TableError, match=r"kept no posterior of its weights; train it with --keep-posterior"):
        TableClassifier(prior=plain).fit(frame)
    with pytest.raises(TableError, match="has no checkpoint"):
        TableClassifier(prior=first).fit(frame, checkpoint=tmp_path / "c")
    second = TableClassifier(prior=first).fit(frame)
    second.save(tmp_path / "m.softreg")
    with pytest.raises(ValueError, match=r"prior was posterior of 2 classes.*when this model was saved"):
        softreg.load(tmp_path / "m.softreg").fit(frame)


def test_a_chosen_strength_keeps_its_posterior(frame: pd.DataFrame) -> None:
    model = TableClassifier("buys", folds=3, keep_posterior=True, unpenalised="age").fit(frame)
    assert model.path_ is not None
    posterior = model.model_.posterior()
    assert_allclose(posterior.mean[:, :-1], model.model_.coef_)
    assert posterior.is_full


def test_intervals_come_from_the_posterior(first: Any, frame: pd.DataFrame) -> None:
    exact = softreg.TableClassifier("buys", strength=1e-3, keep_posterior=True).fit(frame).keep_intervals(frame)
    low, high = exact.predict_intervals(frame)
    own = exact._posterior_intervals(None).limits(exact.encode(frame), 0.95)
    assert_allclose(own[0], low, atol=1e-3)
    assert_allclose(own[1], high, atol=1e-3)
    second = TableClassifier(prior=first, keep_posterior=True).fit(customers(seed=1)).keep_intervals(frame)
    low2, high2 = second.predict_intervals(frame)
    assert np.median((high2 - low2) / (high - low)) == pytest.approx(0.5**0.5, abs=0.1)
    forgetful = TableClassifier(prior=first).fit(customers(seed=1))
    with pytest.raises(ValueError, match="has the intervals of its posterior alone"):
        forgetful.keep_intervals(frame)


def test_intervals_of_columns_without_penalty_come_from_the_rows(frame: pd.DataFrame) -> None:
    settings = {"unpenalised": "age", "strength": 0.1}
    model = TableClassifier("buys", **settings).fit(frame).keep_intervals(frame)
    kept = TableClassifier("buys", **settings, keep_posterior=True).fit(frame)
    own = kept._posterior_intervals(None).limits(kept.encode(frame), 0.95)
    for found, expected in zip(model.predict_intervals(frame), own, strict=True):
        assert_allclose(found, expected, atol=1e-4)
