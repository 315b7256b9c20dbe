"""Faults of the same kinds as those of the list: files that differ, names, dates, pipes, zeros, and old names."""

from __future__ import annotations

import json
import os
import re
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

import softreg
from softreg import SoftmaxRegression, TableClassifier, open_rows
from softreg.cli import main
from softreg.tables import TableError, read_table
from softreg.tables.columns.column_names import check_names
from softreg.tables.columns.dates import are_dates, parse_dates


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(one) for one in arguments])


def lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


# --- files that differ ---


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_a_key_that_no_line_of_a_json_file_has_is_missing(tmp_path, order):
    lines(tmp_path / "a.jsonl", [{"x": i, "y": "uv"[i % 2], "z": [0.5, 1.0]} for i in range(10)])
    lines(tmp_path / "b.jsonl", [{"x": i, "y": "uv"[i % 2], "w": "word"} for i in range(10)])
    files = [tmp_path / f"{name}.jsonl" for name in order]
    table = read_table(files)
    assert set(table.column_names) == {"x", "y", "z", "w"}
    assert table.column("z").null_count == table.column("w").null_count == 10
    for memory in ("auto", "low"):
        kinds = {name: kind for name, kind, _ in TableClassifier("y", drop=["w"]).fit(files, memory=memory).describe()}
        assert kinds["z"] == "vector"


def test_a_json_file_without_the_target_is_named(tmp_path):
    lines(tmp_path / "a.jsonl", [{"x": i, "y": "uv"[i % 2]} for i in range(10)])
    other = lines(tmp_path / "b.jsonl", [{"x": i} for i in range(3)])
    files = [tmp_path / "a.jsonl", other]
    with pytest.raises(TableError, match=r"no label in 3 rows, and no line of '.*b\.jsonl' has one: 11, 12, 13"):
        TableClassifier("y", missing_target="error").fit(files)
    with pytest.raises(TableError, match=r"no label in row 1 of '.*b\.jsonl'"):
        TableClassifier("y", missing_target="error").fit(files, memory="low")


def test_files_of_csv_must_still_have_the_same_columns(tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,a\n")
    (tmp_path / "b.csv").write_text("x\n1\n")
    with pytest.raises(TableError, match="other columns than"):
        read_table(str(tmp_path / "*.csv"))


TEXTS = {
    "string": pa.string(),
    "large": pa.large_string(),
    "view": pa.string_view(),
    "dictionary": pa.dictionary(pa.int32(), pa.string()),
    "narrow dictionary": pa.dictionary(pa.int8(), pa.large_string()),
}


@pytest.mark.parametrize("first", TEXTS)
@pytest.mark.parametrize("second", TEXTS)
def test_text_of_any_type_in_two_files_is_one_table(tmp_path, first, second):
    for name, kind in (("0", first), ("1", second)):
        columns = {"x": pa.array(["a", "b"] * 5, TEXTS[kind]), "y": pa.array(["u", "v"] * 5, TEXTS[kind])}
        pq.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    for memory in ("auto", "low"):
        model = TableClassifier("y", category=["x"]).fit(str(tmp_path / "*.parquet"), memory=memory)
        assert model.predict(tmp_path / "1.parquet").tolist() == ["u", "v"] * 5


# --- dates and names ---


def test_zone_offsets_with_seconds_are_dates():
    texts = pa.array(
        ["1905-01-01 00:09:21+00:09:21", "1905-01-01T00:09:22+000921", "1905-01-01 00:09:23.5-00:09:21.25"]
    )
    assert are_dates(texts)
    assert np.diff(parse_dates(texts, True)).tolist() == [1.0, 1.5]


@pytest.mark.parametrize("name", ["\ud800", "a\udfff", "\udcff b"])
def test_a_name_that_is_no_text_is_one_sentence(tmp_path, name):
    with pytest.raises(TableError, match=r"Column 2 of small has a name that is no text: .* U\+D"):
        check_names(["x", name], "small")
    frame = pd.DataFrame(np.eye(4), columns=pd.Index(["x", name, "v", "w"], dtype=object)).assign(y=list("abab"))
    with pytest.raises(TableError, match="no text"):
        TableClassifier("y").fit(frame)
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps({"x": 1, name: 2}) + "\n")
    told = run("train", path, "--target", "x")
    assert told.exit_code == 2
    assert "half of a pair" in told.output


# --- pipes ---


@pytest.fixture
def fitted(tmp_path: Path) -> tuple[Path, Path]:
    """A table and a model of it."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=80)
    table = pd.DataFrame({"x": x, "y": np.where(x + draw.normal(size=80) > 0, "yes", "no")})
    table.to_csv(tmp_path / "t.csv", index=False)
    TableClassifier("y", strength=0.01).fit(tmp_path / "t.csv").save(tmp_path / "m.softreg")
    return tmp_path / "t.csv", tmp_path / "m.softreg"


def piped(pipe: Path, content: bytes) -> threading.Thread:
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(content,), daemon=True)
    writer.start()
    return writer


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes")
@pytest.mark.parametrize("name", ["pipe", "pipe.csv"])
def test_a_pipe_is_read_as_the_file_is(tmp_path, fitted, name, monkeypatch):
    table, model = fitted
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    wanted = run("predict", model, table)
    writer = piped(tmp_path / name, table.read_bytes())
    found = run("predict", model, tmp_path / name)
    writer.join()
    assert found.exit_code == wanted.exit_code == 0
    assert found.stdout == wanted.stdout
    assert not [
        one for one in (tmp_path / "temporary").iterdir() if "softreg-" in one.name and "kernels" not in one.name
    ]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes")
def test_parquet_comes_through_a_pipe_and_messages_name_the_pipe(tmp_path, fitted):
    table, model = fitted
    pq.write_table(pa.Table.from_pandas(pd.read_csv(table)), tmp_path / "t.parquet")
    piped(tmp_path / "pipe", (tmp_path / "t.parquet").read_bytes())
    assert run("predict", model, tmp_path / "pipe").stdout == run("predict", model, table).stdout
    piped(tmp_path / "other", b"x,y\n1,2,3\n")
    told = run("predict", model, tmp_path / "other")
    assert told.exit_code == 2
    assert f"Row 1 of '{tmp_path / 'other'}'" in told.output


# --- the command line ---


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
    model = TableClassifier("y").fit(table)
    said = r"column 't': 1 of 3 rows \(33.3%\) holds a tag not seen in training, such as 'q', 'z'; these tags get no"
    with pytest.warns(softreg.tables.columns.errors.TableWarning, match=said):
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
    assert "w=w1\0" in TableClassifier("y").fit(path).feature_names_out_
    path.write_text("\n".join(["x,w,y", *rows, "1,w1,a\0"]) + "\n")
    told = run("train", path, "--target", "y")
    assert told.exit_code == 2
    assert "in 1 row: 20,001" in told.output
    assert run("train", path, "--target", "y", "--bad-rows", "skip").exit_code == 0
