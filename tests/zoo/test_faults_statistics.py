"""Faults found by trying it: statistics of tables, their keys, columns of equal names, and effects."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp

from softreg import SoftmaxRegression, TableClassifier, infer, table_statistics
from softreg.cli.report_inputs.column_importance import _effects
from softreg.tables import TableError, group_codes


def people(n: int = 600, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "sex": np.where(random.random(n) < 0.35, "female", "male"),
            "deck": random.choice(["first", "second", "third"], n, p=[0.25, 0.2, 0.55]),
            "age": random.normal(30, 12, n).round(),
            "child": random.integers(0, 2, n),
            "house": random.integers(0, 60, n),
        }
    )
    o = 2.5 * (frame.sex == "female") + 1.2 * (frame.deck == "first") - 0.02 * frame.age + 0.5 * frame.child - 1.2
    frame["saved"] = np.where(random.random(n) < 1 / (1 + np.exp(-o)), "yes", "no")
    return frame


FORMS = {"pandas": lambda d: d, "polars": pl.from_pandas, "arrow": pa.Table.from_pandas}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("missing", [None, "", "nan"])
def test_fault_a8_a_missing_cluster_of_a_table_is_refused(form: str, missing: Any) -> None:
    frame = people()
    frame["house"] = frame["house"].astype(float) if missing == "nan" else frame["house"].astype(str).astype(object)
    frame.loc[[4, 10], "house"] = np.nan if missing == "nan" else missing
    with pytest.raises(
        TableError, match=r"column of clusters 'house' has no value in 2 rows, row 5 the first"
    ) as found:
        table_statistics(FORMS[form](frame), "saved", clusters="house")
    assert list(found.value.rows) == [4, 10]
    rest = np.setdiff1d(np.arange(600), [4, 10])  # a row that is not used needs none
    whole = people().iloc[rest]
    some = table_statistics(FORMS[form](frame), "saved", clusters="house", rows=rest).inference.coefficients
    same = table_statistics(whole, "saved", clusters="house").inference.coefficients
    assert some.std_error == pytest.approx(same.std_error, rel=1e-6)


@pytest.mark.parametrize("values", [pa.array([0.0, -0.0, 1.0]), pa.array(["a", "a", "b"]), pa.array([1, 1, None])[:2]])
def test_fault_a8_equal_keys_are_one_group(values: pa.Array) -> None:
    found = group_codes(pa.table({"g": values, "y": pa.array(["u"] * len(values))}), "g", "y")
    assert found.tolist() == [0, 0, 1][: len(values)]


@pytest.mark.parametrize("kind", [pa.null(), pa.list_(pa.int64()), pa.month_day_nano_interval()])
def test_fault_a8_columns_that_are_no_keys(kind: pa.DataType) -> None:
    table = pa.table({"g": pa.nulls(3, kind), "y": ["u", "v", "u"]})
    with pytest.raises(TableError, match=r"column of groups 'g' has (no value in 3 rows|the type)"):
        group_codes(table, "g", "y")


def test_fault_a9_columns_are_tested_by_their_place() -> None:
    random = np.random.default_rng(3)
    city = random.choice(["a", "b"], 800, p=[0.6, 0.4])
    noise = random.normal(size=800)
    p = 1 / (1 + np.exp(-2.0 * (city == "b") + 1))
    frame = pd.DataFrame({"city=b": noise, "city": city, "y": np.where(random.random(800) < p, "u", "v")})
    found = table_statistics(frame.assign(city=pd.Categorical(city)), "y")
    assert found.groups == {"city=b": ("'city=b'",), "city": ("city=b",)}
    tests = found.column_tests()
    plain = table_statistics(frame.rename(columns={"city=b": "noise"}), "y").column_tests()
    assert tests["city"].statistic == pytest.approx(plain["city"].statistic, rel=1e-6)
    assert tests["city=b"].statistic == pytest.approx(plain["noise"].statistic, rel=1e-6)
    assert tests["city"].p_value < 1e-3 < 0.05 < tests["city=b"].p_value
    robust = table_statistics(frame, "y", errors="robust").column_tests()
    assert robust["city"].p_value < 1e-3 < 0.05 < robust["city=b"].p_value
    assert found.inference.wald("city=b").p_value < 1e-3 < 0.05 < found.inference.wald("'city=b'").p_value
    assert found.inference.effects().estimate[1] == pytest.approx(
        table_statistics(frame.rename(columns={"city=b": "noise"}), "y").inference.effects().estimate[1]
    )


def test_fault_a9_effects_of_a_report_are_named_by_place() -> None:
    frame = people()
    frame["sex=female"] = np.random.default_rng(1).normal(size=600)
    classifier = TableClassifier("saved", drop=["house"], terms="linear").fit(frame)
    X = classifier.encode(frame)
    shown = [effect.feature for effect in _effects(classifier, X, frame["saved"].to_numpy())]
    assert shown[0] == "sex=female rather than male"
    assert sum(name.startswith("'sex=female' (+") for name in shown) == 1
    assert "child: 1 rather than 0" in shown
    assert "deck=first rather than third" in shown


def by_hand(model: Any, X: np.ndarray, before: dict[int, float], after: dict[int, float]) -> np.ndarray:
    """The mean difference of the probabilities between two settings of some columns."""
    ends = []
    for values in (before, after):
        Z = X.copy()
        for j, value in values.items():
            Z[:, j] = value
        ends.append(model.predict_proba(Z).mean(axis=0))
    return np.asarray(ends[1] - ends[0])


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("q", [2, 4])
@pytest.mark.parametrize("intercept", [True, False])
def test_fault_a16_the_effect_of_a_column_of_zeros_and_ones_is_a_difference(form: Any, q: int, intercept: bool) -> None:
    random = np.random.default_rng(4)
    X = np.column_stack([random.normal(size=500) + 3, random.random(500) < 0.3, random.integers(0, 3, 500)]).astype(
        float
    )
    y = (X @ random.normal(size=(3, q)) / 3 + random.gumbel(size=(500, q))).argmax(axis=1)
    v = random.integers(1, 4, 500).astype(float)
    model = SoftmaxRegression(penalty=None, fit_intercept=intercept).fit(form(X), y, v)
    found = infer(model, form(X), y, v).effects()
    repeated = X[np.repeat(np.arange(500), v.astype(int))]
    assert found.estimate[:, 1] == pytest.approx(by_hand(model, repeated, {1: 0.0}, {1: 1.0}), abs=1e-6)
    assert found.changes == ("per unit", "1 rather than 0", "per unit")
    P = model.predict_proba(repeated)
    for j in (0, 2):
        w = model.coef_[:, j]
        assert found.estimate[:, j] == pytest.approx((P * (w - (P @ w)[:, None])).mean(axis=0), abs=1e-6)


def errors_by_differences(found: Any, model: Any, X: np.ndarray, effect: Any) -> np.ndarray:
    """Standard errors (q,) of an effect of the weights, from its numerical gradient and the covariance of `found`."""
    q, k = model.coef_.shape[0], X.shape[1] + 1
    theta = np.column_stack([model.intercept_, model.coef_])
    theta = theta - theta[0]
    gradient = np.zeros((q, (q - 1) * k))
    for place in range((q - 1) * k):
        ends = []
        for step in (-1e-5, 1e-5):
            moved = theta.copy()
            moved[1:].flat[place] += step
            model.intercept_, model.coef_ = moved[:, 0], moved[:, 1:]
            ends.append(effect(model))
        gradient[:, place] = (ends[1] - ends[0]) / 2e-5
    return np.asarray(np.sqrt(np.einsum("ki,ij,kj->k", gradient, found.covariance, gradient)))


@pytest.mark.parametrize("errors", ["model", "robust"])
def test_fault_a16_errors_of_differences_are_those_of_the_delta_method(errors: str) -> None:
    random = np.random.default_rng(5)
    level = random.integers(0, 3, 700)
    X = np.column_stack([random.normal(size=700), level == 1, level == 2, random.random(700) < 0.4]).astype(float)
    y = (X @ random.normal(size=(4, 3)) + random.gumbel(size=(700, 3))).argmax(axis=1)
    model = SoftmaxRegression(penalty=None, tol=1e-10).fit(X, y)
    found = infer(model, X, y, errors=errors, categories=[[1, 2]])
    effects = found.effects()
    settings = {
        1: ({1: 0.0, 2: 0.0}, {1: 1.0, 2: 0.0}),
        2: ({1: 0.0, 2: 0.0}, {1: 0.0, 2: 1.0}),
        3: ({3: 0.0}, {3: 1.0}),
    }
    for j, (before, after) in settings.items():
        assert effects.estimate[:, j] == pytest.approx(by_hand(model, X, before, after), abs=1e-6)
        copy = SoftmaxRegression(penalty=None, tol=1e-10).fit(X, y)
        by_differences = errors_by_differences(found, copy, X, lambda m, a=before, b=after: by_hand(m, X, a, b))
        assert effects.std_error[:, j] == pytest.approx(by_differences, rel=1e-5)
    assert np.abs(effects.estimate.sum(axis=0)).max() < 1e-12


@pytest.mark.parametrize("categories", [[[0]], [["column 1", "column 3"]]])
def test_fault_a16_columns_that_are_no_category_are_refused(categories: Any) -> None:
    random = np.random.default_rng(5)
    X = np.column_stack([random.normal(size=90), random.integers(0, 2, (90, 3))]).astype(float)
    y = random.integers(0, 2, 90)
    with pytest.raises(ValueError, match=r"the columns of a category hold 1 .* but row"):
        infer(SoftmaxRegression(penalty=None).fit(X, y), X, y, categories=categories)


def test_fault_a16_every_level_may_be_coded() -> None:
    random = np.random.default_rng(6)
    level, z = random.integers(0, 3, 400), random.normal(size=400)
    y = (np.eye(3)[level] @ random.normal(size=(3, 3)) + random.gumbel(size=(400, 3))).argmax(axis=1)
    whole, few = np.column_stack([np.eye(3)[level], z]), np.column_stack([np.eye(3)[level], z])
    base = int(np.bincount(level).argmax())
    few = np.delete(few, base, axis=1)
    for form in (np.asarray, sp.csr_array):
        all_levels = SoftmaxRegression(strength=1e-7, tol=1e-10).fit(form(whole), y)
        full = infer(all_levels, form(whole), y, categories=[[0, 1, 2]]).effects()
        dropped = infer(SoftmaxRegression(penalty=None).fit(few, y), few, y, categories=[[0, 1]]).effects()
        assert np.delete(full.estimate, base, axis=1) == pytest.approx(dropped.estimate, abs=1e-3)
        assert np.delete(full.std_error, base, axis=1) == pytest.approx(dropped.std_error, rel=1e-2)
        assert full.changes[base] == "the reference"
        assert (full.estimate[:, base] == 0).all()


def test_fault_a16_effects_of_two_classes_are_those_of_statsmodels() -> None:
    sm = pytest.importorskip("statsmodels.api", reason="statsmodels is not installed")
    random = np.random.default_rng(6)
    X = np.column_stack([random.normal(size=400), random.random(400) < 0.4, random.random(400) < 0.3]).astype(float)
    y = (X @ random.normal(size=(3, 2)) + random.gumbel(size=(400, 2))).argmax(axis=1)
    theirs = sm.Logit(y, sm.add_constant(X)).fit(method="newton", disp=0, tol=1e-13).get_margeff(dummy=True)
    ours = infer(SoftmaxRegression(penalty=None).fit(X, y), X, y).effects()
    assert ours.estimate[1] == pytest.approx(theirs.margeff, abs=1e-9)
    assert ours.std_error[1] == pytest.approx(theirs.margeff_se, abs=1e-9)


def test_fault_a16_levels_of_a_category_are_compared_with_each_other() -> None:
    frame = people()
    found = table_statistics(frame, "saved", drop=["house"])
    effects, fitted = found.inference.effects(), found.inference.fitted
    names = list(fitted.names)
    assert names == ["sex=female", "deck=first", "deck=second", "age", "child"]
    first, second = names.index("deck=first"), names.index("deck=second")
    before, after = {first: 0.0, second: 0.0}, {first: 1.0, second: 0.0}
    assert effects.estimate[:, first] == pytest.approx(by_hand(fitted.model, fitted.X, before, after), abs=1e-6)
    assert effects.changes == (
        "rather than male", "rather than third", "rather than third", "per unit", "1 rather than 0",
    )  # fmt: skip
    text = str(effects)
    assert "deck=first rather than third" in text
    assert "age, per unit" in text
    assert effects.frame()["change"][0] == "rather than male"
    classifier = TableClassifier("saved", drop=["house"], strength=1e-6).fit(frame)
    table = classifier.infer(frame).effects()
    at = table.columns.index("deck=first")
    assert table.estimate[:, at] == pytest.approx(effects.estimate[:, first], abs=5e-3)
    assert (table.estimate[:, table.columns.index("deck=third")] == 0).all()
    sure = {effect.feature: effect.value for effect in _effects(classifier, classifier.encode(frame), frame["saved"])}
    assert sure["deck=first rather than third"] == pytest.approx(effects.estimate[1, first], abs=5e-3)


def test_fault_a16_missing_cells_of_booleans_and_numbers() -> None:
    frame = people()
    frame["member"] = np.where(np.arange(600) % 11 == 0, None, np.where(frame.age > 30, "yes", "no"))
    frame.loc[::13, "age"] = np.nan
    classifier = TableClassifier("saved", drop=["house"], terms="linear").fit(frame)
    effects, X = classifier.infer(frame).effects(), np.asarray(classifier.encode(frame))
    yes, gap = (effects.columns.index(name) for name in ("member=yes", "member=missing"))
    expected = by_hand(classifier.model_, X, {yes: 0.0, gap: 0.0}, {yes: 1.0, gap: 0.0})
    assert effects.estimate[:, yes] == pytest.approx(expected, abs=1e-6)
    assert effects.changes[yes] == "rather than no"
    assert effects.changes[effects.columns.index("age")] == "per unit"


def test_fault_f11_the_overall_test_is_of_the_kind_of_the_errors() -> None:
    frame = people()
    plain = table_statistics(frame, "saved", drop=["house"]).inference
    robust = table_statistics(frame, "saved", drop=["house"], errors="robust").inference
    clustered = table_statistics(frame, "saved", clusters="house").inference
    assert plain.overall() == plain.likelihood_ratio()
    assert robust.overall() == robust.wald()
    assert robust.wald().df == 5
    w, C = robust.coefficients.estimate[0, 1:], robust.covariance[1:, 1:]
    assert robust.overall().statistic == pytest.approx(w @ np.linalg.solve(C, w), rel=1e-9)
    for found, kind in ((plain, "likelihood ratio"), (robust, "Wald"), (clustered, "Wald")):
        assert f"all columns     {kind}: " in str(found.summary())
        assert found.column_tests()["statistic"] == pytest.approx(found.column_tests(kind)["statistic"])
    model = SoftmaxRegression(penalty=None, class_weight="balanced").fit(plain.fitted.X, frame["saved"])
    weighted = infer(model, plain.fitted.X, frame["saved"])
    assert "all columns     Wald: " in str(weighted.summary())
    assert weighted.column_tests()["statistic"] == pytest.approx(weighted.column_tests("Wald")["statistic"])


def test_fault_f11_too_few_clusters_for_a_test_are_said() -> None:
    frame = people()
    frame["house"] = np.arange(600) % 4
    found = table_statistics(frame, "saved", clusters="house").inference
    assert "no test: 4 clusters are too few to test 5 weights together" in str(found.summary())
    assert np.isfinite(found.wald("age").statistic)
    with pytest.raises(ValueError, match="4 clusters are too few to test 5 weights"):
        found.wald()


def test_fault_f11_firth_has_profile_intervals() -> None:
    frame = people(80)
    found = table_statistics(frame, "saved", drop=["house"], penalty="firth").inference
    assert found.summary().coefficients.lower == pytest.approx(found.profile().lower)
    assert "by the profile likelihood" in str(found.summary())
    assert found.summary("Wald").coefficients.lower == pytest.approx(found.coefficients.lower)
    robust = table_statistics(frame, "saved", drop=["house"], penalty="firth", errors="robust").inference
    assert robust.summary().coefficients.lower == pytest.approx(robust.coefficients.lower)


def test_words_of_a_summary() -> None:
    frame = people()
    binary = str(table_statistics(frame, "saved", drop=["house"]).inference.summary())
    assert binary.startswith("Binary logistic regression on 5 features\n")
    assert "(intercept)" in binary
    assert "pseudo-R²       McFadden" in binary
    assert "model-based: for independent rows whose probabilities have the model's form" in binary
    robust = str(table_statistics(frame, "saved", drop=["house"], errors="robust").inference.summary())
    assert "those of the best-fitting weights; independent rows, large samples" in robust
    several = str(table_statistics(frame.drop(columns="saved"), "deck", drop=["house"]).inference.summary())
    assert several.startswith("Softmax regression of 3 classes on 3 features\n")
