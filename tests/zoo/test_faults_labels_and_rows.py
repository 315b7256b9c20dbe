"""Faults of labels matched by value, unseen tags, row numbers in the report, and the character zero."""

from __future__ import annotations

import json
import re
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import softreg
from softreg import SoftmaxRegression, TableClassifier, open_rows
from softreg.tables import TableError

from .helpers import run


@pytest.mark.parametrize(
    ("given", "columns"),
    [(("True", "False"), ("true", "false")), (("1.0", "2.0"), ("1", "2")), ((1.0, 2.0), ("1.0", "2.0")),
     ((True, False), ("True", "False")), (("yes", "no"), ("yes", "no"))],
)  # fmt: skip
@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_the_audit_matches_labels_by_value(tmp_path, given, columns, form):
    draw = np.random.default_rng(0)
    P = draw.dirichlet([1, 1], 60)
    codes = (draw.random(60) > P[:, 0]).astype(int)
    table = pa.table({"y": [given[code] for code in codes], columns[0]: P[:, 0], columns[1]: P[:, 1], "score": codes})
    path = tmp_path / f"p.{form}"
    (pq.write_table(table, path) if form == "parquet" else table.to_pandas().to_csv(path, index=False))
    told = run("audit", path, "--target", "y", "--json")
    assert told.exit_code == 0, told.output
    expected = -np.log(P[np.arange(60), codes]).mean()
    assert json.loads(told.stdout)["log_loss"] == pytest.approx(expected)


def test_unseen_tags_are_counted():
    table = pa.table({"t": [["a", "b"], ["b"], ["c"], []] * 10, "y": ["u", "v", "v", "u"] * 10})
    model = TableClassifier("y", terms="linear").fit(table)
    said = r"column 't': 1 of 3 rows \(33.3%\) holds a tag not seen in training, such as 'q', 'z'; these tags get no"
    with pytest.warns(softreg.tables.columns.table_errors.TableWarning, match=said):
        model.predict(pa.table({"t": [["q", "z", "q"], ["a"], None]}))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(table)


@pytest.mark.parametrize("command", ["train", "evaluate", "audit"])
def test_the_report_numbers_rows_of_the_input_where_bad_rows_were_left_out(tmp_path, command):
    draw = np.random.default_rng(0)
    x = draw.normal(size=200)
    p = 1 / (1 + np.exp(-x))
    y = np.where(draw.random(200) < p, "b", "a")
    rows = [f"r{i + 1},{x[i]:.4f},{1 - p[i]:.12f},{p[i]:.12f},{y[i]}" for i in range(200)]
    rows[2], rows[9], rows[59] = "r3,1,2,3,4,5,6", "r10,0.5,0.5,0.5,", "r60"
    path, page = tmp_path / "t.csv", tmp_path / "r.html"
    path.write_text("\n".join(["id,x,a,b,y", *rows]) + "\n")
    options = ["--bad-rows", "skip", "--report", page]
    fit = [
        "train",
        path,
        "--target",
        "y",
        "--drop",
        "id",
        "--drop",
        "a",
        "--drop",
        "b",
        "--model",
        tmp_path / "m.softreg",
        "--terms=linear",
    ]
    told = run(*fit, *options)
    if command == "evaluate":
        told = run("evaluate", tmp_path / "m.softreg", path, *options)
    if command == "audit":
        told = run("audit", path, "--target", "y", *options)
    assert told.exit_code == 0, told.output
    shown = re.findall(r'<tr><th scope="row" class=n>(\d+)</th>(?:(?!</tr>).)*?<td>r(\d+)</td>', page.read_text())
    assert len(shown) > 5
    assert all(number == name for number, name in shown)


# --- the character zero ---


@pytest.mark.parametrize("last", ["a\0", "a\0\0"])
def test_labels_that_end_in_the_character_zero_are_exact_or_refused(tmp_path, last):
    words, X = ["a", last] * 10, np.array([0.0, 1.0] * 10)[:, None]
    forms = (words, np.array(words, object), pd.Series(words), pl.Series(words), pa.array(words))
    for form in forms:
        assert SoftmaxRegression(0.1).fit(X, form).predict(X[:2]).tolist() == ["a", last]
    table = pa.table({"x": X[:, 0], "y": words})
    with pytest.raises(TableError, match=r"which ends in the character zero \(U\+0000\), in 10 rows: 2, 4"):
        TableClassifier("y").fit(table)
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(TableError, match=r"character zero .* in row 2 "):
        TableClassifier("y").fit(tmp_path / "t.parquet", memory="low")
    model = SoftmaxRegression(0.1).fit(open_rows(tmp_path / "t.parquet", target="y"))
    assert model.classes_.tolist() == ["a", last]


def test_a_zero_beyond_the_beginning_of_a_csv_file_is_exact_or_refused(tmp_path):
    rows = [f"{i % 7},w{i % 3},{'ab'[i % 2]}" for i in range(20_000)]
    path = tmp_path / "t.csv"
    path.write_text("\n".join(["x,w,y", *rows, "1,w1\0,a", "1,w1\0,b"]) + "\n")
    assert "w=w1\0" in TableClassifier("y", terms="linear").fit(path).feature_names_out_
    path.write_text("\n".join(["x,w,y", *rows, "1,w1,a\0"]) + "\n")
    told = run("train", path, "--target", "y")
    assert told.exit_code == 2
    assert "in 1 row: 20,001" in told.output
    assert run("train", path, "--target", "y", "--bad-rows", "skip", "--terms=linear").exit_code == 0
