"""Faults of files: rows A18 and E1 of the list, JSON lines."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from softreg.tables import open_table, read_table

from .helpers import open_refused

BROKEN = {
    '{"a":-0}{"a":NaN}': "more than one object, character 9",
    '{"a":1},{"a":2}': "more than one object",
    '{"a":1,"a":2}': "the key 'a' occurs twice",
    '{"a":1,"b":{"c":1,"c":2}}': "the key 'c' occurs twice",
    '{"a":NaN}': "NaN is not a JSON number",
    '{"a":-Infinity}': "-Infinity is not a JSON number",
    '{"a":1e999}': "beyond 1.8e308",
    '{"b":"\x01"}': "invalid control character",
    '{"b":"\\u0000"}': "U+0000",
    '{"b":"\\ud800"}': "U+D800",
    '{"\\udc00":1}': "U+DC00",
    "[" * 100_000: "more than 32 deep",
    '{"a":' * 5_000 + "1" + "}" * 5_000: "more than 32 deep",
    '{"a":' + "9" * 5_000 + "}": "thousands of digits",
    '{"a":' + "9" * 39 + "}": "more than 38 digits",
    '{"a":[1]}': "column 'a' holds lists beside whole numbers",
    '{"a":true}': "column 'a' holds booleans beside whole numbers",
    '{"b":["x",1]}': "column 'b' holds lists beside text",
    "[1]": "it is not an object",
    "null": "it is not an object",
    '{"a":1': "line 2",
    '{"a":01}': "line 2",
    "}{": "line 2",
}


@pytest.mark.parametrize("line", BROKEN, ids=[line[:20] for line in BROKEN])
def test_fault_e1_a_broken_json_line_is_refused_or_left_out(tmp_path: Path, line: str) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"a":3,"b":"k"}\n' + line + '\n{"a":7,"b":"l"}\n', "utf-8")
    told = open_refused(path)
    assert told.startswith("Line 2 of")
    assert BROKEN[line].casefold() in told.casefold()
    for skipping in (open_table(path, bad_rows="skip"), open_table(path, bad_rows="skip")):
        assert skipping.read().to_pydict() == {"a": [3, 7], "b": ["k", "l"]}
        assert [number for _, number, _ in skipping.skipped] == [2]


def test_fault_f13_text_beside_numbers_is_text(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"a":3,"b":[1]}\n{"a":"x","b":["y",2.5]}\n{"a":true}\n{"a":null}\n', "utf-8")
    table = open_table(path)
    assert table.read().to_pydict() == {"a": ["3", "x", "true", None], "b": [["1"], ["y", "2.5"], None, None]}
    assert ["'a'" in note or "'b'" in note for note in table.notes] == [True, True]
    skipping = open_table(path, bad_rows="skip")
    assert skipping.read().to_pydict() == {"a": [3, None], "b": [[1], None]}


def test_fault_e1_rows_left_out_of_many_and_large_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [json.dumps({"a": i, "b": "x"}) for i in range(200)]
    lines[50], lines[120] = '{"a": "word"}', '{"a": 1}{'
    path = tmp_path / "t.jsonl"
    path.write_text("\n".join(lines), "utf-8")
    for block, held in ((1 << 22, 1 << 26), (100, 1 << 26), (100, 0)):
        monkeypatch.setattr("softreg.tables.json_files.json_lines_reader.BLOCK_BYTES", block)
        monkeypatch.setattr("softreg.tables.json_files.json_lines_reader.MAX_CACHED_BYTES", held)
        table = open_table(path, bad_rows="skip")
        for _ in range(2):
            assert table.read()["a"].to_pylist() == [i for i in range(200) if i not in (50, 120)]
            assert [number for _, number, _ in table.skipped] == [51, 121]


def test_fault_e1_the_values_are_those_of_python(tmp_path: Path) -> None:
    rows = [
        {"n": 1, "t": 'é 😀 \\ " \n', "w": ["a", None], "v": [1, 2.5], "o": {"k": 1}, "b": True, "x": None},
        {"n": -2.5, "w": [], "o": {"l": "m"}, "b": None},
        {"n": None, "t": "", "v": None, "b": False},
    ]
    path = tmp_path / "t.jsonl"
    for ascii_only in (True, False):
        path.write_text("\n\n".join(json.dumps(row, ensure_ascii=ascii_only) for row in rows), "utf-8")
        table = read_table(path)
        assert table.schema == pa.schema({
            "n": pa.float64(), "t": pa.string(), "w": pa.list_(pa.string()), "v": pa.list_(pa.float64()),
            "o": pa.struct({"k": pa.int64(), "l": pa.string()}), "b": pa.bool_(), "x": pa.null(),
        })  # fmt: skip
        table.validate(full=True)
        assert table.to_pylist() == [
            rows[0] | {"o": {"k": 1, "l": None}},
            {"n": -2.5, "t": None, "w": [], "v": None, "o": {"k": None, "l": "m"}, "b": None, "x": None},
            {"n": None, "t": "", "w": None, "v": None, "o": None, "b": False, "x": None},
        ]


@pytest.mark.parametrize(
    ("ids", "kind"),
    [
        ([2**53, 2**53 + 1, 2**63 - 1], pa.int64()),
        ([2**63, 2**63 + 1, 2**64 - 1], pa.uint64()),
        ([2**64, 2**64 + 1, -(2**63) - 1], pa.decimal128(38, 0)),
        ([10**37, 10**37 + 1, 10**38 - 1], pa.decimal128(38, 0)),
    ],
)
def test_fault_a18_whole_numbers_of_any_size_are_exact(tmp_path: Path, ids: list[int], kind: pa.DataType) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text("".join(f'{{"id":{i}}}\n' for i in ids), "utf-8")
    column = read_table(path)["id"]
    assert column.type == kind
    assert [int(value) for value in column.to_pylist()] == ids


def test_fault_a18_whole_numbers_that_float64_would_merge_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"id":9007199254740993}\n{"id":9007199254740992}\n{"id":0.5}\n', "utf-8")
    assert "Line 3" in (told := open_refused(path))
    assert "9007199254740993, which float64 rounds" in told
    assert read_table(path, bad_rows="skip")["id"].to_pylist() == [2**53 + 1, 2**53]
    path.write_text('{"id":0.5}\n{"id":9007199254740993}\n', "utf-8")
    assert "Line 2" in open_refused(path)
    path.write_text('{"x":0.5}\n{"x":123456789012345680000}\n{"x":-1}\n', "utf-8")  # as JavaScript writes its numbers
    assert read_table(path)["x"].to_pylist() == [0.5, 1.2345678901234568e20, -1]


def test_fault_a18_large_ids_beside_rows_that_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "softreg.tables.json_files.json_lines_reader.MAX_CACHED_BYTES", 0
    )  # as with a large file, which is parsed twice
    ids = [2**60 + 1, 2**53 + 1, 7, 2**61 + 3]
    path = tmp_path / "t.jsonl"
    path.write_text("".join(f'{{"id":{i}}}\n' for i in ids) + '{"id":"word"}\n{"id":9007199254740995}\n', "utf-8")
    table = open_table(path, bad_rows="skip")
    assert table.read()["id"].to_pylist() == [*ids, 2**53 + 3]
    assert [number for _, number, _ in table.skipped] == [5]


@pytest.mark.parametrize("piece", ['\\"', '"', "\\", '"\\', '["', "[", '{"a":', ",", "\\u", '"a":'])
def test_fault_e1_a_long_line_of_one_piece_is_refused_at_once(tmp_path: Path, piece: str) -> None:
    path = tmp_path / "t.jsonl"
    for start in ("", '{"a":"', '{"a":[[[[', "[" * 20 + "{" * 20 + '"'):
        path.write_text('{"a":1}\n' + start + piece * 300_000 + "\n", "utf-8")
        assert "Line 2" in open_refused(path)


def test_fault_e1_an_empty_object_beside_others(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"o":{"a":"x"}}\n{"o":{}}\n{"o":null}\n', "utf-8")
    assert read_table(path)["o"].to_pylist() == [{"a": "x"}, {"a": None}, None]
