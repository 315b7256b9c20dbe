"""Rows F5, F6 and F15: the form of heavy-tailed columns, numbers beyond the training range, and many levels."""

from __future__ import annotations

import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import softreg
from softreg import TableClassifier
from softreg.tables import TableError, TableWarning
from softreg.tables.encode.number_encoder import Form, NumberEncoder

N = 3000


def heavy(form: str, seed: int = 0, n: int = N) -> pa.Table:
    """A lognormal column `x` that the labels depend on linearly, by its logarithm, or by both."""
    draw = np.random.default_rng(seed)
    u = draw.normal(size=n)
    x = np.exp(1.1 * u)
    standardised = (x - x.mean()) / x.std()
    o = {"linear": 2 * standardised, "scores": 1.5 * u, "both": 3 * u - 3 * standardised}[form]
    y = np.where(draw.random(n) < 1 / (1 + np.exp(-o)), "yes", "no")
    return pa.table({"x": x, "z": draw.normal(size=n), "y": y})


def code_of(model: TableClassifier, name: str = "x") -> NumberEncoder:
    (code,) = (code for code in model.encoder_.column_encoders if code.name == name)
    assert isinstance(code, NumberEncoder)
    return code


def log_loss(model: TableClassifier, table: pa.Table) -> float:
    P = model.predict_proba(table)
    place = [model.classes_.tolist().index(label) for label in table["y"].to_pylist()]
    return float(-np.log(P[np.arange(len(P)), place]).mean())


@pytest.mark.parametrize("strength", [1e-4, "auto"])
@pytest.mark.parametrize("form", ["linear", "scores", "both"])
def test_fault_f5_cross_validation_chooses_the_form(form: str, strength: Any) -> None:
    table, new = heavy(form), heavy(form, seed=1)
    model = TableClassifier("y", strength=strength).fit(table)
    assert code_of(model).form == form
    assert code_of(model, "z").form is Form.LINEAR
    assert not code_of(model, "z").evidence
    losses = [log_loss(TableClassifier("y", strength=strength, numeric_form={"x": f}).fit(table), new) for f in Form]
    assert log_loss(model, new) <= min(losses) + 1e-3


def test_fault_f5_one_outlier_does_not_decide() -> None:
    table = heavy("both")
    x = table["x"].to_numpy().copy()
    x[[7, 8]] = 40 * x.max()
    model = TableClassifier("y", strength=1e-6).fit(table.set_column(0, "x", [x]))
    losses = {one.form: one.log_loss for one in code_of(model).evidence}
    assert max(losses.values()) < 0.75
    assert losses[Form.LINEAR] - losses[Form.BOTH] > 0.02


def test_fault_f5_the_evidence_is_described_and_kept(tmp_path: Path) -> None:
    table = heavy("linear")
    model = TableClassifier("y", terms="linear").fit(table)
    best, *others = code_of(model).evidence
    assert best.form is Form.LINEAR
    assert best.excess == best.error == 0
    assert {one.form for one in others} == {Form.SCORES, Form.BOTH}
    assert max(one.excess / one.error for one in others if one.form is Form.SCORES) > 2
    said = {name: reason for name, _, reason in model.describe()}["x"]
    assert "heavy tail, as it is: held-out log loss" in said
    assert "scores +" in said
    model.save(tmp_path / "m.softreg")
    again = softreg.load(tmp_path / "m.softreg")
    assert again.encoder_ == model.encoder_
    assert again.describe() == model.describe()
    np.testing.assert_array_equal(again.predict_proba(table), model.predict_proba(table))
    assert TableClassifier("y", terms="linear").fit(table).encoder_ == model.encoder_  # the same again


@pytest.mark.parametrize("form", list(Form))
def test_fault_f5_a_form_that_is_asked_for(form: Form, tmp_path: Path) -> None:
    table = heavy("scores")
    model = TableClassifier("y", numeric_form={"x": form.value, "z": form.value}, terms="linear").fit(table)
    assert [code_of(model, name).form for name in "xz"] == [form, form]
    names = [name for name in model.feature_names_out_ if name.startswith("x")]
    assert names == (["x", "x=score"] if form is Form.BOTH else ["x"])
    model.save(tmp_path / "m.softreg")
    assert softreg.load(tmp_path / "m.softreg").numeric_form == {"x": form.value, "z": form.value}


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"x": "log"}, "form of column 'x' is 'log'; expected one of 'linear', 'scores', 'both'"),
        ({"w": "both"}, "'w'"),
        ({"c": "both"}, "Column 'c' is asked for in the form 'both', which is for numbers, and was taken for a"),
    ],
)  # fmt: skip
def test_fault_f5_forms_that_cannot_be(asked: dict[str, str], told: str) -> None:
    table = heavy("scores").append_column("c", [["a", "b", "c"] * (N // 3)])
    with pytest.raises(TableError, match=told):
        TableClassifier("y", numeric_form=asked).fit(table)


def test_fault_f5_in_batches_the_sample_chooses(tmp_path: Path) -> None:
    pq.write_table(heavy("linear"), tmp_path / "t.parquet")
    held = TableClassifier("y", terms="linear").fit(tmp_path / "t.parquet", memory="high")
    read = TableClassifier("y", terms="linear").fit(tmp_path / "t.parquet", memory="low")
    assert code_of(read) == code_of(held)
    assert code_of(read).form is Form.LINEAR
    read = TableClassifier("y", numeric_form={"x": "both"}, terms="linear").fit(tmp_path / "t.parquet", memory="low")
    assert code_of(read).form is Form.BOTH


# F6: numbers beyond the range of training


@pytest.mark.parametrize("form", list(Form))
@pytest.mark.parametrize("value", [5.0, 1e6, 1e300, -1e308])
def test_fault_f6_a_number_far_outside(form: Form, value: float) -> None:
    table = heavy("linear")
    model = TableClassifier("y", numeric_form={"x": form.value}, terms="linear").fit(table)
    least, most = code_of(model).span
    new = pa.table({"x": [value * most if value == 5 else value, most], "z": [0.0, 0.0]})
    with pytest.warns(TableWarning, match="column 'x': 1 of 2 rows .50%. holds a number far outside those of training"):
        P = model.predict_proba(new)
    assert P.min() > 0
    assert np.isfinite(P).all()
    assert model.encoder_.rows_outside_range(new).tolist() == [True, False]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same = model.predict_proba(pa.table({"x": [most if value > 0 else least], "z": [0.0]}))
    np.testing.assert_allclose(P[0], same[0], rtol=1e-12)


def test_fault_f6_a_number_a_little_outside_is_no_news() -> None:
    model = TableClassifier("y", terms="linear").fit(heavy("linear"))
    most, step = code_of(model).span[1], code_of(model).scale
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        P = model.predict_proba(pa.table({"x": [most, most + 0.9 * step], "z": [0.0, 0.0]}))
    np.testing.assert_allclose(P[0], P[1], rtol=1e-12)


# What other libraries met with such columns


@pytest.mark.parametrize(
    "x",
    [
        pytest.param(lambda draw: np.where(draw.random(N) < 0.998, 0.0, draw.lognormal(size=N)), id="almost constant"),
        pytest.param(lambda draw: np.where(draw.random(N) < 0.9, 0.0, draw.lognormal(size=N)), id="zero inflated"),
        pytest.param(lambda draw: np.round(draw.lognormal(0, 1.5, N)), id="ties"),
        pytest.param(lambda draw: draw.lognormal(0, 2, N) * 1e300, id="near overflow"),
        pytest.param(lambda draw: draw.lognormal(0, 2, N) * 1e-300, id="tiny"),
        pytest.param(lambda draw: draw.standard_cauchy(N), id="cauchy"),
        pytest.param(lambda draw: draw.standard_cauchy(N) + 1e12, id="far from zero"),
        pytest.param(lambda draw: np.where(draw.random(N) < 0.3, np.nan, draw.lognormal(0, 2, N)), id="missing"),
        pytest.param(lambda draw: draw.lognormal(0, 2, N).astype(np.float32), id="float32"),
        pytest.param(lambda draw: (draw.lognormal(0, 2, N) * 1000).astype(np.int64), id="integers"),
    ],
)
def test_columns_that_transformers_stumble_over(x: Any, recwarn: pytest.WarningsRecorder) -> None:
    draw = np.random.default_rng(0)
    values = x(draw)
    known = np.nan_to_num(values, nan=np.median(values[~np.isnan(values)]))
    rank = known.argsort().argsort() / N
    table = pa.table({"x": values, "z": draw.normal(size=N), "y": np.where(draw.random(N) < rank, "yes", "no")})
    for asked in (None, *Form):
        form = None if asked is None else {"x": asked.value}
        model = TableClassifier("y", numeric_form=form, terms="linear").fit(table)
        P = model.predict_proba(table)
        assert np.isfinite(P).all()
        assert log_loss(model, table) < 0.7
    assert not [one for one in recwarn if issubclass(one.category, RuntimeWarning)]


def test_a_column_of_ten_years_by_normal_scores() -> None:
    years = [2003.0, 1950.0, 1997.0, 2000.0, 2009.0, 2009.0, 1980.0, 1999.0, 2007.0, 1991.0]
    table = pa.table({"year": years, "y": ["a", "b"] * 5})
    model = TableClassifier("y", numeric_form={"year": "scores"}, number="year", terms="linear").fit(table)
    assert np.abs(model.encode(table)).max() < 3


def test_float32_and_float64_choose_alike() -> None:
    table = heavy("linear")
    single = table.set_column(0, "x", table["x"].cast(pa.float32()))
    double = single.set_column(0, "x", single["x"].cast(pa.float64()))
    encoders = [TableClassifier("y", terms="linear").fit(one).encoder_ for one in (single, double)]
    assert encoders[0] == encoders[1]


def test_groups_stay_together_while_forms_are_chosen() -> None:
    table = heavy("linear").append_column("who", [np.arange(N) // 100])
    assert code_of(TableClassifier("y", groups="who", terms="linear").fit(table)).form is Form.LINEAR


def test_too_few_rows_to_hold_out_keep_normal_scores() -> None:
    x = np.exp(np.linspace(-3, 3, 60) ** 3 / 4)
    table = pa.table({"x": x, "y": ["a"] * 58 + ["b", "b"]})
    model = TableClassifier("y", terms="linear").fit(table, rows=np.arange(59))
    assert code_of(model).form is Form.SCORES
    assert not code_of(model).evidence


# F15: many levels


@pytest.mark.timing
@pytest.mark.parametrize("classes", [2, 9])
def test_fault_f15_thousands_of_levels_take_seconds(classes: int) -> None:
    draw, n, many = np.random.default_rng(0), 32_735, 3_399
    share = 1 / np.arange(1, many + 1) ** 0.9
    level = np.concatenate([np.arange(many), draw.choice(many, n - many, p=share / share.sum())])
    x = draw.normal(size=(n, 3))
    o = draw.normal(size=(many, classes))[level] + x @ draw.normal(size=(3, classes))
    y = (o + draw.gumbel(size=o.shape)).argmax(axis=1)
    columns = {f"x{j}": x[:, j] for j in range(3)}
    table = pa.table({"place": [f"L{k:04d}" for k in level], **columns, "y": [f"k{k}" for k in y]})
    begun = time.process_time()
    model = TableClassifier("y", strength=1e-4).fit(table)
    assert model.encoder_.sparse
    assert model.model_.solution_.gap <= 1e-6
    assert time.process_time() - begun < 8  # 32 s before, of which 30 for curvatures of 2,600 columns
