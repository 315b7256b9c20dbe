"""The schema of a table: its words, its state, and what it finds missing or new at prediction."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from softreg.tables import Kind, Schema, TableError, infer_schema

N = 40
TRAIN = np.arange(N)


@pytest.fixture(scope="module")
def table() -> pa.Table:
    """Forty rows to learn from and one more, in which two columns hold another value."""
    return pa.table(
        {
            "id": list(range(100, 101 + N)),
            "age": [20 + i % 7 for i in range(N + 1)],
            "job": ["cook", "smith"] * (N // 2) + ["cook"],
            "same": ["x"] * N + ["y"],
            "also": [1] * N + [2],
            "note": [f"words of row {i}" for i in range(N + 1)],
            "buys": ["yes", "no", "no", "yes"] * (N // 4) + ["no"],
        }
    )


def test_describe_lists_every_column_in_order(table: pa.Table) -> None:
    rows = infer_schema(table, "buys", drop=["age"], rows=TRAIN).describe()
    assert [row[:2] for row in rows] == [
        ("id", "identifier"),
        ("age", "dropped"),
        ("job", "category"),
        ("same", "constant"),
        ("also", "constant"),
        ("note", "text"),
        ("buys", "target"),
    ]


def test_columns_left_out_are_named_with_the_reason(table: pa.Table) -> None:
    schema = infer_schema(table, "buys", rows=TRAIN)
    many, identifier = schema.warnings
    assert many == (
        "2 columns hold one value each in every training row and are left out: "
        "'same' ('x' in every row); 'also' ('1' in every row)"
    )
    assert identifier == (
        "column 'id' looks like an identifier and is left out: its name says so, and every row has another whole number"
    )
    assert [column.name for column in schema.features] == ["age", "job", "note"]


def test_columns_of_one_value_in_the_whole_table_are_left_out(table: pa.Table) -> None:
    whole = table.slice(0, N).append_column("void", pa.nulls(N, pa.string()))
    schema = infer_schema(whole, "buys")
    assert schema.warnings[0] == (
        "3 columns hold one value each in every training row and are left out: "
        "'same' ('x' in every row); 'also' ('1' in every row); 'void' (no value in any row)"
    )
    assert [column.name for column in schema.features] == ["age", "job", "note"]


def test_the_schema_survives_json(table: pa.Table) -> None:
    schema = infer_schema(table, "buys", rows=TRAIN)
    assert Schema.from_state(json.loads(json.dumps(schema.to_state(), allow_nan=False))) == schema


def test_no_column_left(table: pa.Table) -> None:
    with pytest.raises(TableError) as caught:
        infer_schema(table.select(["id", "same", "buys"]), "buys", rows=TRAIN)
    assert "No column is left to learn 'buys' from, since the others were taken for: 'id': identifier" in str(
        caught.value
    )
    with pytest.raises(TableError, match="the table has no other column"):
        infer_schema(table.select(["buys"]), "buys")


def test_a_column_to_drop_must_be_there(table: pa.Table) -> None:
    with pytest.raises(TableError, match=r"no column to drop 'Job'\. Did you mean 'job'"):
        infer_schema(table, "buys", drop=["Job"])
    with pytest.raises(TableError, match="is the target"):
        infer_schema(table, "buys", drop=["buys"])


def test_match_names_what_is_missing_and_what_is_new(table: pa.Table) -> None:
    schema = infer_schema(table, "buys", drop=["job", "note"], rows=TRAIN)
    assert schema.match(table) == ()
    assert schema.match(table.select(["age"])) == ()
    assert schema.match(pa.table({"age": [1], "new": [2], "b": [3]})) == (
        "2 columns that the model was not trained with, not used: 'new', 'b'",
    )
    with pytest.raises(TableError) as caught:
        schema.match(table.rename_columns({"age": "Age"}))
    assert "lacks the column 'age'" in str(caught.value)
    assert "columns that the model does not know: 'Age'; renamed?" in str(caught.value)


def test_no_column_left_says_what_the_others_were_taken_for() -> None:
    table = pa.table({"key": [f"k{i}" for i in range(50)], "id": list(range(50)), "t": ["u", "v"] * 25})
    with pytest.raises(TableError) as caught:
        infer_schema(table, "t")
    message = str(caught.value)
    assert "since the others were taken for: 'key': identifier (50 different values" in message
    assert "; 'id': identifier (its name says so" in message
    assert message.endswith("--text, --category, --number or --date and its name.")


def test_columns_are_what_was_asked_for() -> None:
    table = pa.table({"zip": [10, 20, 10], "note": ["x", "y", "x"], "id": ["5", "6", "9"],
                      "when": ["1/2/20"] * 2 + ["3/2/20"], "t": ["u", "v", "u"]})  # fmt: skip
    kinds = {"zip": Kind.CATEGORY, "note": Kind.TEXT, "id": Kind.NUMBER, "when": Kind.DATE}
    schema = infer_schema(table, "t", kinds=kinds)
    assert [column.kind for column in schema.features] == list(kinds.values())
    assert schema.features[0].levels == ("10", "20")
    with pytest.raises(TableError, match="'note' cannot be used as a number, as asked: row 1 has 'x'"):
        infer_schema(table, "t", kinds={"note": Kind.NUMBER})
    with pytest.raises(TableError, match="'note' cannot be used as a date, as asked: row 1 has 'x'"):
        infer_schema(table, "t", kinds={"note": Kind.DATE})
    with pytest.raises(TableError, match="no column to use as a text 'nota'"):
        infer_schema(table, "t", kinds={"nota": Kind.TEXT})
    with pytest.raises(TableError, match="'t' is the target"):
        infer_schema(table, "t", kinds={"t": Kind.TEXT})


@pytest.mark.parametrize(("first", "doubted"), [("12.5", True), ("x" * 61, True), ("age", False), ("2nd", False)])
def test_a_file_without_a_header_is_suspected(first: str, doubted: bool) -> None:
    with pytest.raises(TableError) as caught:
        infer_schema(pa.table({first: [1, 2], "b": [3, 4]}), "b", drop=["zebra"])
    assert ("must name the columns" in str(caught.value)) is doubted
