"""Faults of several files as one table: keys, types, column names, UTC offsets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from softreg import TableClassifier
from softreg.tables import TableError, read_table
from softreg.tables.columns.column_names import check_names
from softreg.tables.columns.date_parsing import are_dates, parse_dates

from .helpers import run


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
        kinds = {
            name: kind
            for name, kind, _ in TableClassifier("y", drop=["w"], terms="linear").fit(files, memory=memory).describe()
        }
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
        model = TableClassifier("y", category=["x"], terms="linear").fit(str(tmp_path / "*.parquet"), memory=memory)
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
    with pytest.raises(TableError, match=r"Column 2 of small has a name that is not valid text: .* U\+D"):
        check_names(["x", name], "small")
    frame = pd.DataFrame(np.eye(4), columns=pd.Index(["x", name, "v", "w"], dtype=object)).assign(y=list("abab"))
    with pytest.raises(TableError, match="not valid text"):
        TableClassifier("y").fit(frame)
    path = tmp_path / "t.jsonl"
    path.write_text(json.dumps({"x": 1, name: 2}) + "\n")
    told = run("train", path, "--target", "x")
    assert told.exit_code == 2
    assert "the lone surrogate" in told.output


# --- pipes ---
