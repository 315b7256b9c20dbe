"""Formulas: what they may hold, and the same numbers as statsmodels for interactions, splines and transformations."""

from __future__ import annotations

import builtins
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from softreg import table_statistics
from softreg.tables import TableError
from softreg.tables.statistics.formula import parse_formula

formulaic = pytest.importorskip("formulaic", reason="formulaic is not installed")
COLUMNS = ["age", "sex", "income", "home.dest", "my column", "y"]


def people(n: int = 400, seed: int = 1, q: int = 2) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": random.integers(18, 80, n).astype(float),
            "sex": np.where(random.random(n) < 0.6, "male", "female"),
            "income": random.lognormal(3, 0.5, n).round(2),
            "member": random.choice(["yes", "no"], n),
            "year": random.choice([2019, 2020, 2021], n, p=[0.2, 0.5, 0.3]),
            "child": random.integers(0, 2, n),
        }
    )
    slope = 0.04 * np.where(frame.sex == "male", 1, -1) * (frame.age - 50) + 0.8 * np.log(frame.income) - 2
    o = np.column_stack([k * slope for k in range(q)])
    frame["y"] = np.array(list("abcdef"))[(o + random.gumbel(size=(n, q))).argmax(axis=1)]
    return frame


@pytest.mark.parametrize(
    ("text", "variables", "computed", "categories"),
    [
        ("y ~ age * sex + bs(income, df=5)", ("age", "sex", "income"), {"income"}, set()),
        ("y ~ .", ("age", "sex", "income", "home.dest", "my column"), set(), set()),
        ("~ age", ("age",), set(), set()),
        ("age + sex", ("age", "sex"), set(), set()),
        ("y ~ `my column` + log(`my column`)", ("my column",), {"my column"}, set()),
        ("y ~ log(`home.dest`) + home.dest", ("home.dest",), {"home.dest"}, set()),
        ("y ~ I(age ** 2) + {age / income}", ("age", "income"), {"age", "income"}, set()),
        ("y ~ C(age):sex", ("age", "sex"), set(), {"age"}),
        ("y ~ np.log1p(age) + poly(income, 2) - 1", ("age", "income"), {"age", "income"}, set()),
        ("y ~ (age + sex) ** 2", ("age", "sex"), set(), set()),
        ("y ~ bs(age, knots=[30, 40], degree=2)", ("age",), {"age"}, set()),
        ("y ~ I(-age)", ("age",), {"age"}, set()),
    ],
)
def test_formulas_that_are_taken(text: str, variables: Any, computed: Any, categories: Any) -> None:
    result = parse_formula(text, COLUMNS)
    assert (result.variables, result.in_expressions, result.categories) == (variables, computed, categories)
    assert result.target == ("y" if text.startswith("y ~") else None)


@pytest.mark.parametrize(
    "text",
    [
        "y ~ __import__('os').system('touch broken')",
        "y ~ I(__import__('os').system('touch broken'))",
        "y ~ I(open('broken', 'w'))",
        "y ~ {(lambda: open('broken', 'w'))()}",
        "y ~ {[open('broken', 'w') for _ in '1']}",
        "y ~ I(age.__class__)",
        "y ~ age.__class__.__mro__",
        "y ~ I(np.save('broken', age))",
        "y ~ np.load('broken')",
        "y ~ bs(age, df=open('broken', 'w'))",
        "y ~ bs(age, **{'df': 4})",
        "y ~ bs(*age)",
        "y ~ log(age, out=income)",
        "y ~ I(age if age else 1)",
        "y ~ I(age := 3)",
        "y ~ I(f'{age}')",
        "y ~ I(9 ** 9 ** 9 ** 9)",
        "y ~ I(age ** 99999)",
        "y ~ I(age ** -99999)",
        "y ~ I(age and income)",
        "y ~ I(age @ income)",
        "y ~ I(age[0])",
        "y ~ hashed(sex)",
        "y ~ lag(age)",
        "y ~ C(sex, contr.sum)",
        "y ~ C(open('broken', 'w'))",
        "y ~ eval(age)",
        "y ~ exec(age)",
        "y ~ np(age)",
        "y ~ I(" + "-" * 3000 + "age)",
        "y ~ " + "+".join(["age"] * 6000),
        "log(y) ~ age",
        "y + sex ~ age",
        "1 ~ age",
        "y ~ age | sex",
        "y ~ [age ~ sex]",
        "y ~ age ~ sex",
        "y ~ 'age'",
        "y ~ 3 * age",
        "y ~ age +",
        "y ~ nope",
        "y ~ y + age",
        "y ~ 1",
        "",
    ],
)
def test_other_code_and_nonsense_are_refused_and_nothing_runs(text: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TableError):
        parse_formula(text, COLUMNS)
    with pytest.raises(TableError):
        table_statistics(people(), formula=text)
    assert list(tmp_path.iterdir()) == []


def test_columns_named_like_functions_stay_columns() -> None:
    frame = people().rename(columns={"age": "log", "income": "np", "sex": "Intercept"})
    result = table_statistics(frame, formula="y ~ log + np + Intercept").inference
    same = table_statistics(people(), formula="y ~ age + income + sex").inference
    assert result.coefficients.estimate == pytest.approx(same.coefficients.estimate)
    result = table_statistics(frame, formula="y ~ log(np)").inference
    same = table_statistics(people(), formula="y ~ log(income)").inference
    assert result.coefficients.estimate == pytest.approx(same.coefficients.estimate)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "formulaic", raising=False)
    real = builtins.__import__

    def absent(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "formulaic":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(TableError, match=r"pip install 'softreg\[formula\]'"):
        parse_formula("y ~ age", COLUMNS)


@pytest.mark.parametrize("form", [lambda d: d, pl.from_pandas, pa.Table.from_pandas])
def test_interactions_are_those_of_statsmodels_in_each_form(form: Any) -> None:
    smf = pytest.importorskip("statsmodels.formula.api", reason="statsmodels is not installed")
    frame = people()
    other = smf.logit("e ~ age * C(sex, Treatment('male')) + np.log(income)", frame.assign(e=(frame.y == "b") * 1.0))
    other = other.fit(disp=0, method="newton", tol=1e-13)
    result = table_statistics(form(frame), formula="y ~ age * sex + log(income)")
    names = {"(intercept)": "Intercept", "age": "age", "log(income)": "np.log(income)"}
    names |= {"sex[T.female]": "C(sex, Treatment('male'))[T.female]"}
    names |= {"age:sex[T.female]": "age:C(sex, Treatment('male'))[T.female]"}
    order = [names[name] for name in result.inference.columns]
    assert result.inference.coefficients.estimate[0] == pytest.approx(other.params[order].to_numpy(), abs=1e-6)
    assert result.inference.coefficients.std_error[0] == pytest.approx(other.bse[order].to_numpy(), abs=1e-6)
    assert result.reference_levels == {"sex": "male"}
    without = smf.logit("e ~ np.log(income)", frame.assign(e=(frame.y == "b") * 1.0)).fit(disp=0)
    assert result.column_tests()["age"].df == 2
    alone = table_statistics(form(frame), formula="y ~ sex + log(income)").inference
    lost = 2 * (result.inference.log_likelihood - alone.log_likelihood)
    assert result.column_tests()["age"].statistic == pytest.approx(lost, rel=1e-5)
    assert list(result.column_tests()) == ["age", "sex", "income", "age:sex"]
    everything = result.inference.likelihood_ratio([0, 1, 3])
    assert everything.statistic == pytest.approx(2 * (other.llf - without.llf), rel=1e-3)


@pytest.mark.parametrize("q", [2, 3])
def test_effects_of_variables_in_several_terms_by_differences(q: int) -> None:
    frame = people(q=q)
    formula = "y ~ age * sex + I(age ** 2) + bs(income, df=4) + child:age + C(year)"
    result = table_statistics(frame, formula=formula)
    effects = result.effects()
    named = dict(zip(effects.columns, effects.estimate.T, strict=True))
    spec = formulaic.Formula(formula.split("~")[1]).get_model_matrix(
        frame.assign(
            sex=pd.Categorical(frame.sex, ["male", "female"]), year=pd.Categorical(frame.year, [2020, 2019, 2021])
        ),
        context={},
    )
    model = result.inference.fitted.model

    def mean(**values: Any) -> np.ndarray:
        changed = spec.model_spec.get_model_matrix(
            frame.assign(
                sex=pd.Categorical(frame.sex, ["male", "female"]), year=pd.Categorical(frame.year, [2020, 2019, 2021])
            ).assign(**values),
            context={},
        )
        return np.asarray(model.predict_proba(np.asarray(changed)[:, 1:]).mean(axis=0))

    h = 1e-5
    slope = (mean(age=frame.age + h) - mean(age=frame.age - h)) / (2 * h)
    assert named["age"] == pytest.approx(slope, abs=1e-6)
    levels = ["male", "female"]
    ends = [mean(sex=pd.Categorical([level] * len(frame), levels)) for level in levels]
    assert named["sex=female"] == pytest.approx(ends[1] - ends[0], abs=1e-6)
    assert named["child"] == pytest.approx(mean(child=1) - mean(child=0), abs=1e-6)
    years = [mean(year=pd.Categorical([year] * len(frame), [2020, 2019, 2021])) for year in (2020, 2021)]
    assert named["year=2021"] == pytest.approx(years[1] - years[0], abs=1e-6)
    inside = frame.income.clip(frame.income.min() + h, frame.income.max() - h)
    slope = (mean(income=inside + h) - mean(income=inside - h)) / (2 * h)
    assert named["income"] == pytest.approx(slope, abs=1e-5)
    assert np.abs(effects.estimate.sum(axis=0)).max() < 1e-9
    assert (effects.std_error > 0).all()


def test_a_formula_of_plain_columns_has_the_effects_of_the_closed_form() -> None:
    frame = people(q=3)
    plain = table_statistics(frame, "y", drop=["year"]).effects()
    formula = table_statistics(frame, formula="y ~ age + sex + income + member + child").effects()
    assert formula.columns == plain.columns
    assert formula.changes == plain.changes
    assert formula.estimate == pytest.approx(plain.estimate, abs=1e-7)
    assert formula.std_error == pytest.approx(plain.std_error, abs=1e-7)


def test_reference_levels_of_a_formula() -> None:
    frame = people()
    result = table_statistics(
        frame, formula="y ~ sex + member + C(year)", reference_levels={"sex": "female", "year": 2021}
    )
    assert result.reference_levels == {"sex": "female", "member": "no", "year": "2021"}
    assert result.inference.columns == (
        "(intercept)",
        "sex[T.male]",
        "member[T.yes]",
        "C(year)[T.2019]",
        "C(year)[T.2020]",
    )
    with pytest.raises(TableError, match=r"'sex' has no level 'men' .* its levels are 'female', 'male'"):
        table_statistics(frame, formula="y ~ sex", reference_levels={"sex": "men"})
    with pytest.raises(TableError, match=r"no category of the formula.*C\(age\)"):
        table_statistics(frame, formula="y ~ age", reference_levels={"age": "20"})


def test_missing_values_and_values_without_a_logarithm() -> None:
    frame = people()
    frame.loc[:9, "income"] = np.nan
    frame.loc[8:11, "sex"] = None
    frame.loc[12, "y"] = None
    frame["empty"] = np.nan
    result = table_statistics(frame, formula="y ~ log(income) + sex")
    same = table_statistics(frame[13:], formula="y ~ log(income) + sex")
    assert result.inference.coefficients.estimate == pytest.approx(same.inference.coefficients.estimate, abs=1e-8)
    assert result.left_out.rows == 13
    assert dict(result.left_out.by_column) == {"y": 1, "income": 10, "sex": 4}
    frame.loc[20, "income"] = 0.0
    with pytest.raises(TableError, match=r"'log\(income\)' of the formula is -inf in row 21"):
        table_statistics(frame, formula="y ~ log(income)")
    with pytest.raises(TableError, match="cannot be imputed"):
        table_statistics(frame, formula="y ~ income", missing="impute")


def test_columns_of_another_kind_are_refused_with_the_way_out() -> None:
    frame = people()
    frame["when"] = pd.date_range("2020-01-01", periods=len(frame))
    with pytest.raises(TableError, match="'when' of the formula was taken for a date"):
        table_statistics(frame, formula="y ~ when")
    with pytest.raises(TableError, match=r"computes with 'sex', which is a (category|boolean)"):
        table_statistics(frame, formula="y ~ log(sex)")
    with pytest.raises(TableError, match="left side is 'y', but the target is 'sex'"):
        table_statistics(frame, "sex", formula="y ~ age")
    with pytest.raises(TableError, match="There is no target"):
        table_statistics(frame, formula="~ age")


def test_no_intercept_and_aliased_terms() -> None:
    frame = people()
    result = table_statistics(frame, formula="y ~ age + sex - 1")
    assert result.inference.columns == ("age", "sex[male]", "sex[female]")
    assert result.reference_levels == {}
    assert result.ratios().columns == result.inference.columns
    with_intercept = table_statistics(frame, formula="y ~ age + sex").inference
    assert result.inference.log_likelihood == pytest.approx(with_intercept.log_likelihood, rel=1e-8)
    twice = table_statistics(frame, formula="y ~ age + I(2 * age) + sex")
    assert dict(twice.aliased) == {"I(2 * age)": ("age",)}
    assert np.isnan(twice.coefficients().estimate[0, 2])
    plain = table_statistics(frame, formula="y ~ age + sex").effects()
    assert twice.effects().columns == plain.columns
    assert twice.effects().estimate[:, 1:] == pytest.approx(plain.estimate[:, 1:], abs=1e-7)
    assert "'I(2 * age)' has no coefficient (NA): it is a linear combination of 'age'" in "\n".join(twice.notes)
