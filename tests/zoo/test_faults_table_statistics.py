"""Statistics of tables as an analyst meets them: missing rows, aliased columns, separation, reference levels, text."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from softreg import SoftmaxRegression, infer, table_statistics
from softreg.models.inference.estimates import as_text
from softreg.tables import TableError, TableWarning

from ..people import people, with_gaps

FORMS = {"pandas": lambda d: d, "polars": pl.from_pandas, "arrow": pa.Table.from_pandas}


@pytest.mark.parametrize("form", FORMS)
def test_rows_with_missing_values_are_left_out_and_counted(form: str) -> None:
    found = table_statistics(FORMS[form](with_gaps(note=True)), "buys", drop=["note"])
    rest = with_gaps().dropna()
    same = table_statistics(rest, "buys")
    assert found.inference.coefficients.estimate == pytest.approx(same.inference.coefficients.estimate, abs=1e-8)
    assert found.inference.columns == same.inference.columns
    assert found.inference.n == len(rest) == 470
    assert found.left_out.rows == 30
    assert dict(found.left_out.by_column) == {"buys": 3, "age": 20, "town": 10, "member": 2}
    note = "30 of 500 rows left out, for they lack a value: 'age' in 20, 'town' in 10, 'buys' in 3, 'member' in 2"
    assert any(note in one for one in found.notes)
    assert "left out        30 of 500 rows; see the notes" in found.text()


def test_missing_values_are_imputed_or_refused_on_request() -> None:
    frame = with_gaps()
    imputed = table_statistics(frame, "buys", missing="impute", penalty="firth")
    assert imputed.inference.n == 497
    assert {"age=missing", "town=missing", "member=missing"} <= set(imputed.inference.columns)
    assert imputed.reference_levels == {"town": "Bonn"}
    with pytest.raises(TableError, match=r"3 of 500 rows lack a value: 'buys' in 3"):
        table_statistics(frame, "buys", missing="error")
    with pytest.raises(TableError, match=r"27 of 497 rows lack a value: 'age' in 20, .* --missing drop"):
        table_statistics(frame.dropna(subset="buys"), "buys", missing="error")
    with pytest.raises(TableError, match="missing is 'mean'"):
        table_statistics(frame, "buys", missing="mean")  # type: ignore[arg-type]
    none = frame.assign(age=np.where(np.arange(500) % 2, frame.age, np.nan))
    none.loc[::2, "child"] = 1
    none["child"] = np.where(np.arange(500) % 2, np.nan, np.arange(500) % 4)
    with pytest.raises(TableError, match=r"None of the 500 rows has a value in each column.*'child' in 249.*--drop"):
        table_statistics(none, "buys")


def test_levels_and_columns_that_only_incomplete_rows_have() -> None:
    frame = people()
    frame.loc[frame.town == "Ulm", "age"] = np.nan
    found = table_statistics(frame, "buys")
    assert found.inference.columns == ("(intercept)", "age", "town=Kiel", "member=yes", "child")
    assert found.aliased == {}
    frame["town"] = np.where(frame.age.isna(), "Ulm", "Bonn")
    one = table_statistics(frame, "buys")
    assert "column 'town' holds one level in the rows used, and has no coefficient" in one.notes
    assert "town    no test: it has no coefficient" in one.text()
    frame["late"] = np.where(frame.age.isna(), 1.0, 0.0)
    constant = table_statistics(frame, "buys")
    assert dict(constant.aliased) == {"late": ()}
    assert any("'late' has no coefficient (NA): it is constant in the rows used" in note for note in constant.notes)


@pytest.mark.parametrize("errors", ["model", "robust"])
def test_aliased_columns_are_na_as_in_r(errors: str) -> None:
    frame = people()
    frame.insert(2, "months", 12 * frame.age + 5)
    frame["adult"] = 1.0 * frame.child + (frame.town == "Kiel")
    found = table_statistics(frame, "buys", errors=errors)
    same = table_statistics(people(), "buys", errors=errors)
    assert {k: set(v) for k, v in found.aliased.items()} == {"months": {"age"}, "adult": {"town=Kiel", "child"}}
    every = found.coefficients()
    assert every.columns == ("(intercept)", "age", "town=Kiel", "town=Ulm", "months", "member=yes", "child", "adult")
    lost = np.isin(every.columns, ["months", "adult"])
    assert np.isnan(every.estimate[0, lost]).all()
    assert every.estimate[0, ~lost] == pytest.approx(same.inference.coefficients.estimate[0], abs=1e-6)
    assert every.std_error[0, ~lost] == pytest.approx(same.inference.coefficients.std_error[0], abs=1e-6)
    assert np.isnan(found.effects().estimate[:, found.effects().columns.index("months")]).all()
    tests, expected = found.column_tests(), same.column_tests()
    assert list(tests) == ["age", "town", "member", "child"]
    for name in tests:
        assert tests[name].statistic == pytest.approx(expected[name].statistic, rel=1e-5)
    assert "'months' has no coefficient (NA): it is a linear combination of 'age'" in found.notes
    line = next(line for line in found.text().splitlines() if line.startswith("  months"))
    assert line.split() == ["months", *["NA"] * 6]


def test_an_aliased_level_leaves_the_effects_of_the_others() -> None:
    frame = people()
    frame.insert(0, "kiel", (frame.town == "Kiel") * 1.0)
    found = table_statistics(frame, "buys")
    assert dict(found.aliased) == {"town=Kiel": ("kiel",)}
    effects = found.effects()
    assert effects.changes is not None
    assert effects.changes[effects.columns.index("town=Kiel")] == "aliased"
    assert np.isfinite(effects.estimate[:, effects.columns.index("town=Ulm")]).all()


def separated() -> pd.DataFrame:
    frame = people(200)
    frame["staff"] = np.where((frame.buys == "yes") & (np.arange(200) % 4 == 0), "yes", "no")
    return frame


@pytest.mark.parametrize("settings", [{}, {"errors": "robust"}, {"clusters": "house"}])
def test_separation_goes_on_with_firth_and_says_so(settings: dict[str, Any]) -> None:
    frame = separated().assign(house=np.arange(200) % 50)
    drop = [] if "clusters" in settings else ["house"]
    with pytest.warns(TableWarning, match=r"classes are separated \('no' and 'yes' quasi-completely, by 'staff=yes'\)"):
        found = table_statistics(frame, "buys", drop=drop, **settings)
    by_hand = table_statistics(frame, "buys", drop=drop, penalty="firth", **settings)
    assert found.inference.fitted.firth
    assert found.coefficients().lower == pytest.approx(by_hand.coefficients().lower, abs=1e-5)
    kind = "Wald" if settings else "penalised likelihood ratio"
    assert {test.kind for test in found.column_tests().values()} == {kind}
    assert found.interval_kind == ("Wald" if settings else "profile")
    assert any("Firth's bias-reduced" in note and "--penalty none" in note for note in found.notes)
    with pytest.raises(TableError, match="separated mainly by 'staff=yes'"):
        table_statistics(frame, "buys", drop=drop, penalty=None, **settings)


def test_no_warning_without_separation() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not table_statistics(people(), "buys").inference.fitted.firth


def test_separation_that_the_fit_misses_goes_on_as_well() -> None:
    """Few rows that are decided for certain, with large logits: found where the Newton steps do not settle."""
    random = np.random.default_rng(5)
    x = random.normal(size=60)
    frame = pd.DataFrame({"x": x, "z": (x > 1.6) * 1.0, "y": np.where(x + random.normal(size=60) > 0, "b", "a")})
    frame.loc[frame.z == 1, "y"] = "b"
    with pytest.warns(TableWarning, match="separated"):
        found = table_statistics(frame, "y")
    assert np.isfinite(found.coefficients().estimate).all()


def test_odds_ratios_have_the_profile_interval_of_firth() -> None:
    found = table_statistics(people(60), "buys", penalty="firth")
    profile = found.coefficients()
    assert found.ratios().lower == pytest.approx(np.exp(profile.lower[:, 1:]))
    assert profile.lower == pytest.approx(found.inference.profile().lower)
    assert found.ratios("Wald").lower == pytest.approx(found.inference.odds_ratios.lower)


def test_reference_levels_of_categories_and_booleans() -> None:
    frame = people()
    found = table_statistics(frame, "buys", reference_levels={"town": "Ulm", "member": "yes"})
    plain = table_statistics(frame, "buys")
    assert found.inference.columns == ("(intercept)", "age", "town=Bonn", "town=Kiel", "member=no", "child")
    assert found.reference_levels == {"town": "Ulm", "member": "yes"}
    w, v = plain.inference.coefficients.estimate[0], found.inference.coefficients.estimate[0]
    assert v[[2, 3, 4]] == pytest.approx([-w[3], w[2] - w[3], -w[4]], abs=1e-7)
    assert found.effects().changes[1:4] == ("rather than Ulm", "rather than Ulm", "rather than yes")
    assert found.effects().estimate[:, 3] == pytest.approx(-plain.effects().estimate[:, 3], abs=1e-7)
    assert found.inference.log_likelihood == pytest.approx(plain.inference.log_likelihood)


@pytest.mark.parametrize(
    ("levels", "told"),
    [
        ({"town": "Rome"}, r"no level 'Rome' to be the reference; its levels are 'Bonn', 'Kiel', 'Ulm'"),
        ({"age": "45"}, r"'age' is no category.*--category age"),
        ({"street": "a"}, r"'street' is no feature of the model"),
        ({"member": "perhaps"}, r"no level 'perhaps' .* 'no', 'yes'"),
    ],
)
def test_reference_levels_that_are_none(levels: dict[str, str], told: str) -> None:
    with pytest.raises(TableError, match=told):
        table_statistics(people(), "buys", reference_levels=levels)


def test_few_clusters_are_warned_of_and_counts_are_printed() -> None:
    frame = people().assign(house=np.arange(500) % 12)
    text = table_statistics(frame, "buys", clusters="house").text()
    assert "clusters        12, of 41 to 42 rows" in text
    assert "Only 12 clusters: with fewer than about 40" in text
    many = table_statistics(people().assign(house=np.arange(500) % 100), "buys", clusters="house").text()
    assert "clusters        100, of 5 rows" in many
    assert "Only" not in many


@pytest.mark.parametrize("q", [2, 4])
def test_nothing_is_cut_at_80_columns(q: int) -> None:
    frame = people(q=q).rename(columns={"town": "the town where the household lives in the year of the survey"})
    text = table_statistics(frame, "buys").text()
    for name in ("Kiel", "Ulm"):
        assert f"the town where the household lives in the year of the survey={name}" in text
    numbers = [line for line in text.splitlines() if line.count("  ") > 4 and "." in line and ":" not in line]
    assert max(map(len, numbers)) <= 80
    lines = as_text(["", "a"], [[["x" * 100, "1.0"], ["y", "22.0"]]], ["title"])
    assert lines[2].splitlines() == ["  " + "x" * 100, lines[2].splitlines()[1]]
    assert len(lines[2].splitlines()[1]) == len(lines[3])


def test_words_of_the_statistics() -> None:
    text = table_statistics(people(), "buys").text()
    assert text.startswith("Binary logistic regression on 5 features\n")
    for words in (
        "(intercept)",
        "pseudo-R²",
        "model-based",
        "Reference levels:",
        "Odds ratios",
        "Average marginal effects",
    ):
        assert words in text
    assert "probability of 'yes'" in text
    assert "probability of 'no'" not in text  # the same but for the sign
    robust = table_statistics(people(), "buys", errors="robust").text()
    assert "robust (sandwich)" in robust
    assert "all columns     Wald:" in robust


def test_infer_names_the_kinds_of_weights() -> None:
    X, y = np.arange(20.0)[:, None], np.arange(20) % 3 > 0
    model = SoftmaxRegression(penalty=None).fit(X, y, np.ones(20))
    with pytest.raises(ValueError, match="neither 'frequency' nor 'sampling'"):
        infer(model, X, y, np.ones(20), weights="analytic")
    with pytest.raises(ValueError, match="sampling weights are no counts"):
        infer(model, X, y, np.ones(20), weights="sampling", errors="model")
    plain = infer(model, X, y, errors="robust").coefficients.std_error
    assert infer(model, X, y, np.ones(20), weights="sampling").coefficients.std_error == pytest.approx(plain)


def test_many_aliased_columns_are_counted() -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(20, 40)), columns=[f"c{j}" for j in range(40)]).assign(y=list("ab") * 10)
    found = table_statistics(frame, "y", penalty="firth")
    assert len(found.aliased) == 21
    assert "13 more columns have no coefficient (NA), for the rows do not determine it" in found.notes
    assert len(found.notes) == 9


def test_too_few_complete_rows_name_the_columns_that_lack_values() -> None:
    frame = people()
    frame["seldom"] = np.where(np.arange(500) < 3, np.arange(500), np.nan)
    with pytest.raises(TableError, match=r"Of the 3 rows that have all values \(missing: 'seldom' in 497\): .*--drop"):
        table_statistics(frame, "buys")


def test_a_class_that_only_incomplete_rows_have_is_named() -> None:
    frame = people()
    frame.loc[:7, "buys"] = "rarely"
    frame.loc[:7, "age"] = np.nan
    found = table_statistics(frame, "buys")
    assert "no row that has all values has the label 'rarely': the model lacks it" in found.notes
    assert found.inference.fitted.labels == ["no", "yes"]
    assert not any("lacks it" in note for note in table_statistics(with_gaps(note=True), "buys", drop=["note"]).notes)
