"""Models with curves and interactions as a service."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from softreg import TableClassifier, explain
from softreg.models.serialization.model_file import read_model
from softreg.serve.served_models.cell_encoder import CellEncoder
from softreg.serve.served_models.contributions import reference_row
from softreg.tables import Terms
from softreg.tables.fit.predictor import TablePredictor

from .small_models import mixed_table

PAIRS = ["age:in come", 'age:job "x"', 'zip:job "x"', "member:age", "loan:member"]


def term_model(labels: tuple[str, ...]) -> tuple[TableClassifier, pa.Table]:
    """A model with curves and interactions of every pair of kinds."""
    table = mixed_table(400).select(["age", "in come", 'job "x"', "zip", "member", "loan", "buys"])
    draw = np.random.default_rng(3)
    age = np.nan_to_num((table["age"].to_numpy() - 45) / 12)
    wage = np.log(table["in come"].to_numpy()) - 8
    job, area = (np.array(table[name].to_pylist(), dtype=object) for name in ('job "x"', "zip"))
    member = np.array([value is True for value in table["member"].to_pylist()])
    loan = np.array(table["loan"].to_pylist()) == "yes"
    signal = age * wage + (job == "cook") * (age - 2 * (area == "10115")) + member * (age - 2 * loan)
    order = np.argsort(np.argsort(3 * signal + draw.logistic(size=400)))
    buys = [labels[k] for k in order * len(labels) // 400]
    table = table.set_column(6, "buys", pa.array(buys))
    wanted = Terms("linear", smooth=["age", "in come"], interactions=[tuple(pair.split(":")) for pair in PAIRS])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return TableClassifier("buys", terms=wanted, category="zip").fit(table), table


@pytest.fixture(scope="module", params=[("no", "yes"), ("a", "b", "c")], ids=["two", "three"])
def served(request: Any) -> tuple[TableClassifier, pa.Table]:
    return term_model(request.param)


HOSTILE = {
    "age": [None, 1e300, -1e300, 45, 45.5, True, 0, None],
    "in come": [None, 0, 1e9, -5.0, 3000.0, 1.0, 5e-324, 12],
    'job "x"': ["cook", None, "baker", "", "x=y", "Cook", 'a "b"', None],
    "zip": ["10115", "5", None, 20095, 80331.0, "10115", "", "20095"],
    "member": [None, True, False, "true", "FALSE", None, True, False],
    "loan": ["yes", "no", None, "YES", "no", True, "no", "yes"],
}


def test_cells_are_encoded_as_in_a_table(served: Any) -> None:
    model, table = served
    cells = CellEncoder(model.encoder_)
    for rows in (table.slice(0, 1), table.slice(0, 200)):
        columns = {name: rows[name].to_pylist() for name in cells.columns}
        found = cells.encode(columns, rows.num_rows)
        assert found.shape[1] == model.encoder_.width
        assert (found == model.encoder_.encode(rows)).all()


@pytest.mark.parametrize("rows", [1, 250])
def test_probabilities_are_those_of_the_model_to_the_last_bit(served: Any, open_client: Any, rows: int) -> None:
    model, table = served
    some = table.slice(3, rows).drop_columns(["buys"])
    answer = open_client(m=model).rows(some.to_pylist()).json()["predictions"]
    assert [list(p["probabilities"].values()) for p in answer] == model.predict_proba(some).tolist()


def test_hostile_rows(served: Any, open_client: Any) -> None:
    model, _ = served
    rows = [dict(zip(HOSTILE, cells, strict=True)) for cells in zip(*HOSTILE.values(), strict=True)]
    rows = [{**row, "age": 1.0 if row["age"] is True else row["age"]} for row in rows]
    answer = open_client(m=model).rows(rows).json()["predictions"]
    for row, found in zip(rows, answer, strict=True):
        cells = {name: None if value is None else str(value) for name, value in row.items()}
        cells |= {name: None if row[name] is None else float(row[name]) for name in ("age", "in come")}
        cells["zip"] = None if cells["zip"] is None else cells["zip"].removesuffix(".0")
        table = pa.table({name: pa.array([cells[name]]) for name in model.encoder_.feature_places() if name in cells})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = model.predict_proba(table)[0]
        np.testing.assert_allclose(list(found["probabilities"].values()), expected, rtol=1e-13)


def test_contributions_sum_to_the_log_odds(served: Any, open_client: Any) -> None:
    model, table = served
    some = table.slice(0, 60).drop_columns(["buys"])
    answer = open_client(m=model).rows(some.to_pylist(), contributions=True).json()["predictions"]
    X = model.encode(some)
    explained = explain(model.model_, X, baseline=reference_row(model.encoder_))
    for prediction in answer:
        found, p = prediction["contributions"], prediction["probabilities"]
        assert set(found["columns"]) == {*some.column_names, *PAIRS}
        assert found["reference"] + sum(found["columns"].values()) == pytest.approx(found["log_odds"], abs=1e-12)
        assert found["log_odds"] == pytest.approx(math.log(p[found["predicted"]] / p[found["against"]]), abs=1e-9)
    for pair in ("age:in come", "loan:member", "age"):
        place = model.encoder_.feature_places()[pair]
        own = explained.log_odds[:, place].sum(axis=1)
        assert [p["contributions"]["columns"][pair] for p in answer] == pytest.approx(own.tolist(), abs=1e-12)


def test_intervals_are_served(open_client: Any) -> None:
    table = mixed_table(300).select(["age", "loan", "buys"])
    terms = Terms("linear", smooth=["age"], interactions=["age:loan"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = TableClassifier("buys", terms=terms, keep_posterior=True).fit(table).keep_intervals(table)
    rows = table.slice(0, 9).drop_columns(["buys"])
    answer = open_client(m=model).rows(rows.to_pylist(), level=0.9).json()["predictions"]
    low, high = model.predict_intervals(rows, 0.9)
    found = [[list(limits) for limits in one["interval"].values()] for one in answer]
    np.testing.assert_allclose(found, np.stack([low, high], axis=2), rtol=1e-12)


def test_the_file_predicts_without_the_classifier(served: Any, tmp_path: Path) -> None:
    model, table = served
    model.save(tmp_path / "m.softreg")
    stored = read_model(tmp_path / "m.softreg")
    predictor = TablePredictor.from_state(stored.arrays, stored.metadata)
    assert (predictor.probabilities(table) == model.predict_proba(table)).all()


def test_the_page_of_a_served_model_has_its_interactions(served: Any, open_client: Any) -> None:
    model, _ = served
    page = open_client(m=model)("GET", "/")
    assert page.status_code == 200
    assert "age:in come" in page.text


def test_curves_that_are_chosen_by_default_are_served(open_client: Any) -> None:
    draw = np.random.default_rng(0)
    x, z = draw.uniform(-3, 3, 200), draw.normal(size=200)
    y = np.where(draw.random(200) < 1 / (1 + np.exp(3 - x**2)), "yes", "no")
    table = pa.table({"x": x, "z": z, "y": y})
    model = TableClassifier("y").fit(table)
    assert model.terms_ is not None
    assert model.terms_.chosen == "curves"
    answer = open_client(m=model).rows(table.drop_columns(["y"]).to_pylist()).json()["predictions"]
    assert [list(p["probabilities"].values()) for p in answer] == model.predict_proba(table).tolist()
