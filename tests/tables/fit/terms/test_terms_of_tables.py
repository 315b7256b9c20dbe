"""Terms of tables: rows with weights, constraints, missing values, odd columns, few rows; in memory and in batches."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score

import softreg
from softreg import TableClassifier
from softreg.splits import Split
from softreg.tables import Terms
from softreg.tables.columns.table_errors import TableError
from softreg.tables.encode.encoder import Encoder
from softreg.tables.encode.terms.curve_encoder import CurveEncoder
from softreg.tables.fit.terms import choose_terms, fit_terms
from softreg.tables.fit.terms.candidate_terms import with_curves
from softreg.tables.fit.terms.choose_terms import compare_models
from softreg.tables.fit.terms.term_problem import ABSENT_PRECISION
from softreg.tables.fit.terms.term_record import TermRecord
from softreg.tables.fit.terms.term_search import Deadline, TermRows
from softreg.tables.schema.schema import infer_schema

BY_HAND = Terms("linear", smooth="age", interactions=["age:job"], pool="job", monotone={"income": "+"})


def people(n: int = 400, q: int = 2, seed: int = 0) -> pd.DataFrame:
    """A wave in age, whose height depends on the job, and a weak effect of the income."""
    rng = np.random.default_rng(seed)
    age, income, job = rng.uniform(18, 80, n), rng.lognormal(1, 1, n), rng.choice(list("abcd"), n)
    height = 2 * np.sin(age / 8) + np.where(job == "a", 1.5, -0.5) * (age - 50) / 20 + np.log(income) / 3
    frame = pd.DataFrame({"age": age, "income": income, "job": job, "member": rng.random(n) < 0.4})
    logits = np.outer(height, np.arange(q)) / (q - 1) + rng.gumbel(size=(n, q))
    frame["buys"] = np.array(["no", "yes", "maybe", "later"])[logits.argmax(axis=1)]
    return frame


def fitted(data: Any, terms: Any = "auto", **options: Any) -> TableClassifier:
    of_fit = {name: options.pop(name) for name in ("sample_weight", "rows", "memory") if name in options}
    return TableClassifier("buys", terms=terms, **options).fit(data, **of_fit)


def log_loss(model: TableClassifier, frame: pd.DataFrame) -> float:
    places = {label: k for k, label in enumerate(model.classes_.tolist())}
    P = model.predict_proba(frame)
    assert_allclose(P.sum(axis=1), 1)
    return float(-np.log(P[np.arange(len(frame)), [places[label] for label in frame["buys"]]]).mean())


def curves_of(model: TableClassifier) -> set[str]:
    return {code.name for code in model.encoder_.column_encoders if isinstance(code, CurveEncoder)}


# --- rows -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"form": "parquet"},
        {"sample_weight": "weight"},
        {"offset": {"yes": "score"}},
        {"class_weight": "balanced"},
        {"unpenalised": "age"},
        {"bounds": {"income": "+"}},
        {"rows": np.arange(250)},
        {"terms": BY_HAND},
    ],
    ids=lambda options: next(iter(options), "plain"),
)
def test_batches_give_the_model_of_the_table_in_memory(tmp_path: Path, options: dict[str, Any]) -> None:
    frame, rng = people(300), np.random.default_rng(1)
    frame["weight"], frame["score"] = rng.uniform(0.5, 2, len(frame)), rng.normal(size=len(frame))
    if "sample_weight" not in options:
        frame = frame.drop(columns="weight")
    options = dict(options)
    form = options.pop("form", "csv")
    path = tmp_path / f"people.{form}"
    frame.to_csv(path, index=False) if form == "csv" else frame.to_parquet(path)
    whole, batches = fitted(path, memory="high", **options), fitted(path, memory="low", **options)
    assert whole.terms_ == batches.terms_
    assert curves_of(batches)
    assert_allclose(whole.predict_proba(frame), batches.predict_proba(frame), atol=1e-10)


def test_the_scale_of_weights_does_not_matter() -> None:
    frame = people()
    weight = np.random.default_rng(2).uniform(0.5, 3, len(frame))
    first, *others = (fitted(frame, BY_HAND, sample_weight=weight * scale) for scale in (1.0, 1e6, 1e-6))
    assert curves_of(first)
    for other in others:
        assert_allclose(first.predict_proba(frame), other.predict_proba(frame), atol=1e-4)


def test_held_out_losses_are_weighted() -> None:
    """Rows of a wave beside five times as many rows of noise: weights decide which of them choose the model."""
    frame = pd.concat([people(300).assign(part=0.0), people(1500, seed=1).assign(part=1.0)], ignore_index=True)
    noise = frame["part"] == 1
    frame.loc[noise, "buys"] = np.random.default_rng(3).choice(["no", "yes"], int(noise.sum()))
    frame = frame.drop(columns="part")
    heavy = fitted(frame, sample_weight=np.where(noise, 1e-6, 1.0))
    light = fitted(frame, sample_weight=np.where(noise, 1.0, 1e-6))
    gains = [model.terms_.stages[0].excess for model in (heavy, light)]
    assert heavy.terms_.chosen != "linear"
    assert gains[0] > 0.05 > abs(gains[1])


def test_monotone_curves_follow_the_order_of_numeric_classes() -> None:
    """The classes 9 and 10 are sorted as numbers, while their text is sorted the other way round."""
    frame = people(600)
    frame["buys"] = np.where(frame["buys"] == "yes", 10, 9)
    model = fitted(frame, Terms("linear", monotone={"income": "+"}))
    grid = pd.concat([frame.iloc[[3]]] * 100, ignore_index=True)
    grid["income"] = np.linspace(0, 20, 100)
    change = np.diff(model.predict_proba(grid)[:, 1])
    assert model.classes_.tolist() == [9, 10]
    assert change.min() >= -1e-15  # rounding of the softmax
    assert change.max() > 0


@pytest.mark.parametrize("mode", ["auto", "linear"])
def test_monotone_curves_are_monotone(mode: str) -> None:
    frame = people(600)
    model = fitted(frame, Terms(mode, smooth="age", monotone={"income": "+"}))
    for row in range(5):
        grid = pd.concat([frame.iloc[[row]]] * 200, ignore_index=True)
        grid["income"] = np.linspace(frame["income"].min() - 1, frame["income"].max() + 1, 200)
        change = np.diff(model.predict_proba(grid)[:, 1])
        assert change.min() >= -1e-12 < 1e-3 < change.max()


def test_groups_times_and_offsets() -> None:
    frame, rng = people(400), np.random.default_rng(4)
    frame["shop"], frame["day"], frame["score"] = rng.integers(0, 40, 400), rng.permutation(400), rng.normal(size=400)
    for option, column in (
        ({"groups": "shop"}, "shop"),
        ({"time": "day"}, "day"),
        ({"offset": {"yes": "score"}}, "score"),
    ):
        model = fitted(frame, **option)
        assert column not in model.feature_names_out_
        assert "age" in curves_of(model)
        assert log_loss(model, frame) < 0.65


# --- constraints ----------------------------------------------------------------------------------------------------


def test_columns_with_bounds_and_with_a_requested_form_stay_as_they_are() -> None:
    frame = people(600)
    model = fitted(frame, bounds={"income": "-"}, numeric_form={"age": "scores"})
    assert not curves_of(model)
    model = fitted(frame, bounds={"income": "-"})
    place = model.feature_names_out_.index("income")
    assert curves_of(model) == {"age"}
    assert model.model_.coef_[1, place] <= 0
    assert not [pair for pair in model.encoder_.pairs if "income" in (pair.left.column, pair.right.column)]


def test_forms_of_columns_without_a_curve_stay() -> None:
    model = fitted(people(), Terms("linear", smooth="age"), numeric_form={"income": "both"})
    assert {"income", "income=score"} <= set(model.feature_names_out_)


def test_a_column_without_penalty_has_a_penalised_curve() -> None:
    frame = people(600)
    model = fitted(frame, Terms("linear", smooth=["age", "income"]), unpenalised=["income", "job"])
    factors = model.model_.penalty_factors
    free = {name for name, factor in factors.items() if factor == 0}
    assert free == {"income", *(name for name in model.feature_names_out_ if name.startswith("job="))}
    assert all(factors[name] > 0 for name in model.feature_names_out_ if "=curve" in name)


@pytest.mark.parametrize(
    ("terms", "options", "message"),
    [
        (Terms("linear", smooth="income"), {"bounds": {"income": "+"}}, "has a bound"),
        (Terms("linear", monotone={"income": "+"}), {"bounds": {"income": "-"}}, "has a bound"),
        (Terms("linear", interactions=["income:job"]), {"bounds": {"income": "+"}}, "has a bound"),
        (Terms("linear", smooth="age"), {"numeric_form": {"age": "scores"}}, "has a requested form"),
        (Terms("linear", monotone={"age": "+"}), {"keep_posterior": True}, "monotone curve have bounds"),
        (Terms("auto", smooth=["age"]), {"penalty": "l1"}, "the penalty is 'l1'"),
        (Terms("auto", smooth=["age"]), {"penalty": None}, "the penalty is None"),
        (Terms("auto", smooth=["age"]), {"strength": 0.1}, "leave strength at 'auto'"),
        (Terms("linear", smooth="job"), {}, "taken for a category"),
        (Terms("linear", smooth="jobs"), {}, "Did you mean 'job'"),
        (Terms("linear", interactions=["age:buys"]), {}, "is no feature"),
        ({"smooth": "age"}, {}, r"expected 'linear', 'auto' or softreg.tables.Terms"),
        (["auto"], {}, r"expected 'linear', 'auto' or softreg.tables.Terms"),
        (None, {}, r"expected 'linear', 'auto' or softreg.tables.Terms"),
        ("Auto", {}, "expected one of 'auto', 'linear'"),
    ],
)
def test_what_contradicts_is_refused(terms: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(TableError, match=message):
        fitted(people(60), terms, **options)


@pytest.mark.parametrize(
    ("request_of", "message"),
    [
        ({"interactions": 5}, "expected a list of pairs"),
        ({"interactions": {"age": "job"}}, "expected a list of pairs"),
        ({"interactions": ["age"]}, "does not name two columns"),
        ({"interactions": ["age:age"]}, "does not name two columns"),
        ({"interactions": [(0, "0")]}, "does not name two columns"),
        ({"monotone": {"age": []}}, r"is \[\]; expected '\+' or '-'"),
        ({"monotone": {"age": 1}}, r"is 1; expected '\+' or '-'"),
        ({"seconds": True}, "is True; expected a number of seconds"),
        ({"seconds": float("nan")}, "is nan; expected a number of seconds"),
        ({"mode": None}, "terms is None"),
        ({"smooth": "age", "linear": "age"}, "drop one"),
        ({"interactions": ["age:job"], "monotone": {"age": "+"}}, "drop one of them"),
    ],
)
def test_invalid_terms(request_of: dict[str, Any], message: str) -> None:
    with pytest.raises(TableError, match=message):
        Terms(**request_of)


def test_an_interaction_is_requested_once() -> None:
    assert Terms(interactions=["age:job", ("job", "age"), "a:b"]).interactions == (("age", "job"), ("a", "b"))
    assert Terms(interactions=None).interactions == ()


def test_a_prior_and_terms() -> None:
    frame = people()
    prior = fitted(frame, Terms("linear", smooth="age", interactions=["income:job"]), keep_posterior=True)
    later = TableClassifier("buys", prior=prior).fit(people(seed=5))
    assert later.feature_names_out_ == prior.feature_names_out_
    with pytest.raises(TableError, match=r"terms .* and a prior exclude each other"):
        TableClassifier("buys", prior=prior, terms=Terms("auto", smooth="age")).fit(frame)
    for name, what in (("age", "a curve"), ("income", "an interaction")):
        with pytest.raises(TableError, match=f"the prior has {what} of it"):
            TableClassifier("buys", prior=prior, bounds={name: "+"}).fit(frame)


# --- columns --------------------------------------------------------------------------------------------------------


def test_missing_values_everywhere() -> None:
    frame, rng = people(600), np.random.default_rng(6)
    for name in ("age", "income", "job"):
        frame[name] = frame[name].where(rng.random(len(frame)) < 0.7)
    member = np.where(rng.random(len(frame)) < 0.7, frame["member"], None)
    model = fitted(frame.assign(member=pd.array(member, dtype="boolean")))
    assert log_loss(model, frame) < 0.65
    empty = frame.assign(age=np.nan, income=np.nan, job=None)
    assert np.isfinite(model.predict_proba(empty)).all()


@pytest.mark.parametrize("unit", [1e300, 1e150, 1e-150, 1e-300, 1e-320])
def test_numbers_of_any_size_have_the_curve_of_their_unit(unit: float) -> None:
    frame = people()
    scaled = frame.assign(age=frame["age"] / 100 * unit)
    terms = Terms("linear", smooth="age", interactions=["age:job"])
    expected = fitted(frame, terms).predict_proba(frame)
    # numbers of 1e-320 have four digits, so that knots move
    assert_allclose(fitted(scaled, terms).predict_proba(scaled), expected, atol=0.02)


def test_a_column_that_is_constant_in_a_fold() -> None:
    frame = people(300).assign(few=0.0, rare=False)
    frame.loc[:3, "few"], frame.loc[:1, "rare"] = [1.0, 2.0, 3.0, 1.0], True
    model = fitted(frame, Terms(interactions=["few:age", "rare:job"]))
    assert log_loss(model, frame) < 0.7


def intervals(n: int, seed: int) -> pd.DataFrame:
    """Four classes that intervals of x determine nearly."""
    rng = np.random.default_rng(seed)
    x, classes = rng.uniform(0, 8, n), np.array(["a", "c", "b", "d", "a", "b", "d", "c"])
    place = np.clip(x + 0.05 * rng.normal(size=n), 0, 7.9).astype(int)
    return pd.DataFrame({"x": x, "z": rng.normal(size=n), "buys": classes[place]})


def test_held_out_rows_choose_a_multiple_of_the_strengths(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    frame, new = intervals(300, 0), intervals(2_000, 1)
    model = fitted(frame, random_state=0)
    record = model.terms_
    assert record.multiple * record.curve_multiple < 1
    assert record.chosen == "curves"
    monkeypatch.setattr(choose_terms, "LARGEST_MULTIPLE", 1.0)
    other = fitted(frame, random_state=0)
    assert (other.terms_.multiple, other.terms_.curve_multiple, other.terms_.interaction_multiple) == (1, 1, 1)
    pairs = zip(record.strengths, other.terms_.strengths, strict=True)
    for one, before in pairs:
        if before.precision < ABSENT_PRECISION:
            multiple = record.multiple * (record.curve_multiple if one.part in ("curve", "detail") else 1)
            assert one.precision / before.precision == pytest.approx(multiple)
    assert sum(one.degrees for one in record.strengths) > sum(one.degrees for one in other.terms_.strengths)
    assert record.stages[1].log_loss < other.terms_.stages[1].log_loss
    assert log_loss(model, new) < log_loss(other, new)
    model.save(tmp_path / "m.softreg")
    assert softreg.load(tmp_path / "m.softreg").terms_ == record
    state = json.loads(json.dumps(record.to_state()))
    for name in ("multiple", "curve_multiple", "interaction_multiple"):  # files of earlier versions
        del state[name]
    assert TermRecord.from_state(state).curve_multiple == TermRecord.from_state(state).multiple == 1


def test_weak_interactions_have_larger_strengths_by_held_out_rows() -> None:
    """With many weak candidates the evidence keeps some that are chance; a multiple above 1 shrinks them."""
    rng = np.random.default_rng(8)
    X = rng.normal(size=(1_500, 8))
    logits = X[:, :4].sum(axis=1) + 0.35 * X[:, 0] * X[:, 1] + 0.25 * X[:, 2] * X[:, 3]
    frame = pd.DataFrame(X, columns=[f"x{k}" for k in range(8)])
    frame["y"] = np.where(rng.random(1_500) < 1 / (1 + np.exp(-logits)), "yes", "no")
    model = TableClassifier("y", random_state=0).fit(frame)
    record = model.terms_
    assert record.chosen == "interactions"
    assert record.interaction_multiple > 1
    assert record.multiple == 1
    state = json.loads(json.dumps(record.to_state()))
    assert TermRecord.from_state(state) == record


def test_a_fold_does_not_depend_on_the_folds_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Strengths of other folds know the labels of the rows that this one holds out."""
    rng = np.random.default_rng(3)
    frame = pd.DataFrame(rng.normal(size=(150, 8)), columns=[f"x{j}" for j in range(8)])
    frame["buys"] = np.where(frame["x0"] + rng.normal(size=150) > 0, "yes", "no")
    told: list[list[float]] = []

    def both(problem: Any, folds: Any, *args: Any, **options: Any) -> Any:
        for order in (folds[::-1], folds):
            heard: list[Any] = []
            found = choose_terms.compare_models(problem, order, *args, **{**options, "on_progress": heard.append})
            told.append([one.log_loss for one in heard if one.model == "curves"])
        return found

    monkeypatch.setattr(fit_terms, "compare_models", both)
    fitted(frame, random_state=0)
    assert len(told[0]) == 5
    assert told[0] == told[1][::-1]


def test_the_smooth_part_and_the_detail_of_a_curve_have_a_strength_each_with_three_classes() -> None:
    kinds = {}
    for q in (2, 3):
        model = fitted(people(800, q), Terms("linear", smooth="age"))
        kinds[q] = {one.part for one in model.terms_.strengths if one.column == "age"}
        size = next(size for size in model.terms_.sizes() if size.column == "age")
        assert size.part == "curve"
        of_age = [one.degrees for one in model.terms_.strengths if one.column == "age"]
        assert_allclose(size.degrees, sum(of_age))
        factors = [v for name, v in model.model_.penalty_factors.items() if name.startswith("age=curve")]
        assert len(set(factors)) == q - 1
    assert kinds == {2: {"main", "curve"}, 3: {"main", "curve", "detail"}}


def test_columns_that_cannot_have_the_requested_interaction() -> None:
    rng = np.random.default_rng(7)
    frame = people(3000).assign(zip=[f"z{k}" for k in rng.integers(0, 800, 3000)])
    with pytest.raises(TableError, match=r"'zip' cannot have an interaction: it has .* features"):
        fitted(frame, Terms("linear", interactions=["zip:age"]), category="zip")
    frame = people(60).assign(day=pd.date_range("2026-01-01", periods=60))
    with pytest.raises(TableError, match="was taken for a date"):
        fitted(frame, Terms("linear", interactions=["day:age"]))


def test_names_that_look_like_terms(tmp_path: Path) -> None:
    frame = people().rename(columns={"age": "a=curve", "income": "a", "job": "a:b"})
    rng = np.random.default_rng(8)
    frame["b"], frame["a=missing"] = rng.normal(size=len(frame)), rng.normal(size=len(frame))
    frame.loc[:30, "a"] = np.nan
    terms = Terms("linear", smooth=["a", "a=curve"], interactions=[("a", "b"), ("a:b", "a=curve")])
    model = fitted(frame, terms)
    names = model.feature_names_out_
    assert len(set(names)) == len(names) == len(model.model_.penalty_factors)
    keys = [(one.column, one.part) for one in model.terms_.strengths]
    assert {("a", "curve"), ("a=curve", "main"), ("a", "missing"), ("a=missing", "main"), ("a:b", "main")} <= set(keys)
    plain = people().assign(b=frame["b"], other=frame["a=missing"])
    plain.loc[:30, "income"] = np.nan
    expected = fitted(plain, Terms("linear", smooth=["income", "age"], interactions=["income:b", "job:age"]))
    assert_allclose(model.predict_proba(frame), expected.predict_proba(plain), atol=1e-3)
    model.save(tmp_path / "m.softreg")
    assert_array_equal(softreg.load(tmp_path / "m.softreg").predict_proba(frame), model.predict_proba(frame))


def test_texts_alone_and_texts_beside_curves() -> None:
    frame, rng = people(300), np.random.default_rng(9)
    frame["said"] = [f"{' '.join(rng.choice(['good', 'poor', 'solid', 'thing'], 5))} number {i}" for i in range(300)]
    assert fitted(frame[["said", "buys"]], text="said").terms_.chosen == "linear"
    model = fitted(frame, text="said")
    assert "age" in curves_of(model)
    assert log_loss(model, frame) < 0.65


def test_inputs_of_all_kinds_give_the_same_model() -> None:
    frame = people()
    table = pa.Table.from_pandas(frame, preserve_index=False)
    expected = fitted(frame, BY_HAND).predict_proba(frame)
    assert_array_equal(fitted(table, BY_HAND).predict_proba(table), expected)
    X, y = frame[["age", "income"]].to_numpy(), frame["buys"].to_numpy()
    by_number = TableClassifier(terms=Terms("linear", smooth=[0], interactions=[(0, 1)])).fit(X, y)
    by_text = TableClassifier(terms=Terms("linear", smooth="0", interactions="0:1")).fit(X, y)
    assert_array_equal(by_number.predict_proba(X), by_text.predict_proba(X))
    assert np.abs(by_number.predict_proba(X) - by_number.predict_proba(X.astype(np.float32))).max() < 1e-4


def test_many_columns_have_small_curves_or_none() -> None:
    rng = np.random.default_rng(11)
    linear = replace(Terms(), smooth="v0")
    for columns, mode, expected in ((10, "auto", 10), (150, "auto", 150), (501, "auto", 1), (501, "linear", 1)):
        table = pa.table({f"v{k}": rng.normal(size=60) for k in range(columns)} | {"y": ["a", "b"] * 30})
        encoder = Encoder.fit(infer_schema(table, "y"), table)
        curved = with_curves(encoder, table, None, replace(linear, mode=mode), 2)
        sizes = [code.n_curves for code in curved.column_encoders if isinstance(code, CurveEncoder)]
        assert len(sizes) == expected
        assert sum(sizes) <= 1_500


@pytest.mark.parametrize(("effects", "is_shared"), [(30, True), (2, False)])
def test_held_out_rows_choose_shared_or_separate_strengths(effects: int, is_shared: bool) -> None:
    """Among 30 columns, all or two of which have an effect beside one curve."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(600, 31))
    logits = 1.5 * np.cos(2 * X[:, 30]) + X[:, :effects] @ rng.choice([-1.0, 1.0], effects) * (2 / np.sqrt(effects))
    frame = pd.DataFrame(X, columns=[f"x{k}" for k in range(31)])
    frame["y"] = np.where(rng.random(600) < 1 / (1 + np.exp(-logits)), "yes", "no")
    model = TableClassifier("y", terms="auto", random_state=0).fit(frame)
    absent = sum(one.precision > 1e6 for one in model.terms_.strengths if one.part == "main")
    assert model.terms_.chosen == "curves"
    assert (absent == 0) if is_shared else (absent > 10)


# --- few rows and classes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [2, 4, 10, 30])
def test_few_rows(n: int) -> None:
    frame = people(n).assign(buys=["no", "yes"] * (n // 2))
    for terms in ("auto", Terms("linear", smooth="age", interactions=["age:income"])):
        assert np.isfinite(fitted(frame, terms).predict_proba(frame)).all()


def test_classes_of_one_row_and_of_very_different_size() -> None:
    frame = people(400)
    frame.loc[0, "buys"], frame.loc[1, "buys"] = "once", "alone"
    assert set(fitted(frame).classes_) == {"no", "yes", "once", "alone"}
    frame = people(1000, q=3).assign(buys=np.where(np.arange(1000) < 3, "a", np.where(np.arange(1000) < 20, "b", "c")))
    model = fitted(frame)
    assert_allclose(model.predict_proba(frame).mean(axis=0), [0.003, 0.017, 0.98], atol=2e-3)


def test_three_classes() -> None:
    frame = people(900, q=3)
    model, linear = fitted(frame), fitted(frame, "linear")
    assert "age" in curves_of(model)
    test = people(2000, q=3, seed=10)
    assert log_loss(model, test) < log_loss(linear, test) - 0.05


def test_the_time_is_over_at_once() -> None:
    model = fitted(people(), Terms(seconds=1e-9))
    assert [stage.name for stage in model.terms_.stages] == ["linear", "curves"]


# --- scikit-learn and files -----------------------------------------------------------------------------------------


def test_scikit_learn_tools() -> None:
    frame = people(300)
    X, y = frame.drop(columns="buys"), frame["buys"]
    assert clone(TableClassifier("buys", terms=BY_HAND)).get_params()["terms"] == BY_HAND
    search = GridSearchCV(TableClassifier(), {"terms": ["linear", "auto"]}, cv=3, scoring="neg_log_loss").fit(X, y)
    linear, auto = search.cv_results_["mean_test_score"]
    assert search.best_params_ == {"terms": "auto"}
    assert auto > linear + 0.05
    scores = cross_val_score(TableClassifier(terms="auto"), X, y, cv=3, scoring="neg_log_loss")
    assert_allclose(scores.mean(), auto)


@pytest.mark.parametrize("terms", ["auto", BY_HAND], ids=["auto", "by hand"])
def test_copies_and_files(tmp_path: Path, terms: Any) -> None:
    frame = people()
    model, again = fitted(frame, terms, random_state=3), fitted(frame, terms, random_state=3)
    P = model.predict_proba(frame)
    assert_array_equal(again.predict_proba(frame), P)
    path = tmp_path / "m.softreg"
    model.save(path)
    loaded = softreg.load(path)
    for other in (loaded, pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert_array_equal(other.predict_proba(frame), P)
        assert other.terms_ == model.terms_
        assert other.get_params()["terms"] == terms
    assert path.stat().st_size < 300_000


def test_progress_has_a_record_for_each_model_of_each_part() -> None:
    records: list[Any] = []
    fitted(people(), verbose=records.append)
    told = [record for record in records if type(record).__name__ == "TermProgress"]
    assert [record.part for record in told] == sorted(3 * [1, 2, 3, 4, 5])
    assert [record.model for record in told[:3]] == ["linear", "curves", "interactions"]
    assert str(told[0]).startswith("terms: linear, held-out part 1 of 5, log loss 0.")


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("rows", [100, 600])
def test_held_out_rows_whose_weights_vanish_take_no_part(rows: int) -> None:
    frame = people(720, seed=1).assign(day=pd.date_range("2020-01-01", periods=720))
    early = np.arange(720) < rows
    records = [
        fitted(frame, sample_weight=np.where(early, large, small), time="day").terms_
        for large, small in ((1e200, 1e-300), (1.0, 0.0))
    ]
    assert records[0] == records[1]
    assert records[0].rows == rows


@pytest.mark.parametrize("codes", [np.arange(300) % 2, np.arange(300) // 200])
def test_folds_without_rows_to_compare_models_on_leave_the_linear_one(codes: Any) -> None:
    weight = np.where(np.arange(300) < 200, 1.0, 1.0 if codes[1] == 0 else 0.0)
    problem: Any = SimpleNamespace(rows=TermRows(np.zeros((300, 1)), codes, 2, weight, None))
    folds: Any = [Split(np.arange(200), np.arange(200, 300))]
    never: Any = None
    record = compare_models(problem, folds, never, Deadline(None))
    assert record == TermRecord("linear", (), (), 300)
