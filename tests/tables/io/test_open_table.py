"""Reading files and frames: values stay as written, and what cannot be read is named."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softreg.tables import TableError, TableNote, as_table, read_table
from softreg.tables.delimited import csv_reader
from softreg.tables.delimited.csv_reader import parse_delimited


def written(folder: Path, text: str | bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def refusal(path: Any) -> str:
    with pytest.raises(TableError) as caught:
        read_table(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_every_value_stays_as_written(tmp_path: Path) -> None:
    text = "code,label,n,flag,empty,blank\n007,NA,1.50,TRUE,, x \n1e3,None,0x1,,nan,\n"
    assert read_table(written(tmp_path, text)).to_pylist() == [
        {"code": "007", "label": "NA", "n": "1.50", "flag": "TRUE", "empty": "", "blank": " x "},
        {"code": "1e3", "label": "None", "n": "0x1", "flag": "", "empty": "nan", "blank": ""},
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_byte_order_mark_blank_lines_and_quotes(tmp_path: Path, end: str, mark: bytes) -> None:
    lines = ['"a, b",😀 é,c', "", '"1,5","he said ""no""",x', "2,,y"]
    path = written(tmp_path, mark + end.join(lines).encode())
    assert read_table(path).to_pydict() == {
        "a, b": ["1,5", "2"],
        "😀 é": ['he said "no"', ""],
        "c": ["x", "y"],
    }


def test_line_breaks_inside_quotes_belong_to_the_value(tmp_path: Path) -> None:
    path = written(tmp_path, 'a,b\n"one\ntwo",1\n"three\r\nfour",2\n')
    assert read_table(path).to_pydict() == {"a": ["one\ntwo", "three\r\nfour"], "b": ["1", "2"]}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.csv", "a,b\n1,2\n"),
        ("t.CSV", "a;b\n1;2\n"),
        ("t.csv", "a\tb\n1\t2\n"),
        ("t.tsv", "a\tb\n1\t2\n"),
        ("t.txt", "a\tb\n1\t2\n"),
        ("t.txt", "a,b\n1,2\n"),
        ("t", "a,b\n1,2\n"),
    ],
)
def test_the_delimiter_is_found(tmp_path: Path, name: str, text: str) -> None:
    assert read_table(written(tmp_path, text, name)).to_pydict() == {"a": ["1"], "b": ["2"]}


def test_a_delimiter_in_a_quoted_name_separates_nothing(tmp_path: Path) -> None:
    assert read_table(written(tmp_path, '"a,x";b\n1,5;2\n')).to_pydict() == {"a,x": ["1,5"], "b": ["2"]}


def test_a_comma_in_the_header_wins(tmp_path: Path) -> None:
    path = written(tmp_path, "a;x,b\ty\n1;2,3\n")
    assert read_table(path).to_pydict() == {"a;x": ["1;2"], "b\ty": ["3"]}


def test_commas_in_a_tsv_are_text(tmp_path: Path) -> None:
    assert read_table(written(tmp_path, "a,b\n1,2\n", "t.tsv")).to_pydict() == {"a,b": ["1,2"]}


def test_a_tsv_with_quotes_that_do_not_pair_up_is_read_plainly(tmp_path: Path) -> None:
    text = 'label\ttext\nham\t"Oh, he said\nspam\t5" and 6" pipes\nham\tbye"\n'
    assert read_table(written(tmp_path, text, "t.tsv"))["text"].to_pylist() == [
        '"Oh, he said',
        '5" and 6" pipes',
        'bye"',
    ]


def test_a_row_larger_than_a_block_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_reader, "BLOCK_BYTES", 64)
    long = "word\n" * 100
    path = written(tmp_path, f'a,b\n1,"{long}"\n2,short\n')
    assert read_table(path).to_pydict() == {"a": ["1", "2"], "b": [long, "short"]}


def test_values_do_not_depend_on_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_reader, "BLOCK_BYTES", 100)
    rows = [f"{i:03d}" for i in range(500)]
    table = read_table(written(tmp_path, "a,b\n" + "".join(f"{r},x\n" for r in rows)))
    assert table["a"].to_pylist() == rows


cells = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r", exclude_categories=("Cs",)), max_size=6)


@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=8))
def test_what_the_csv_module_writes_is_read_back(rows: list[tuple[str, str]]) -> None:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([("a", "b"), *rows])
    table = parse_delimited(text.getvalue().encode(), "t.csv", header=True)
    assert list(zip(table["a"].to_pylist(), table["b"].to_pylist(), strict=True)) == rows


# What is refused


def test_a_row_with_too_many_fields_is_named(tmp_path: Path) -> None:
    message = refusal(written(tmp_path, 'a,b\n"x\ny",1\n\n1,2\n1,2,3\n4,5\n'))
    assert message.startswith("Row 3 of ")
    assert "(line 6) has too many fields: 3 fields where the header has 2. The row reads '1,2,3'" in message
    assert "double quotes" in message


def test_a_row_with_too_few_fields_is_named(tmp_path: Path) -> None:
    message = refusal(written(tmp_path, "a,b,c\n1,2,3\n1,2\n"))
    assert "Row 2 of " in message
    assert "(line 3) has too few fields: 2 fields where the header has 3" in message
    assert "keep its delimiter" in message


@pytest.mark.parametrize(
    "text", ['a,b\n1,"x\n2,y\n3,z\n', 'a,b\n1,x\n2,"y\n', 'a,b\n1,"x\n2,"y"\n', 'a,b\n"1,x\n2,y\n']
)
def test_a_quote_that_is_never_closed_swallows_no_row(tmp_path: Path, text: str) -> None:
    message = refusal(written(tmp_path, text))
    assert "quote" in message
    assert "closed" in message
    assert "line 2" in message or "line 3" in message


def test_columns_without_a_name_or_of_one_name(tmp_path: Path) -> None:
    with pytest.warns(TableNote, match="named by position: 'column_2'"):
        assert read_table(written(tmp_path, "a,,b\n0,1,2\n")).column_names == ["a", "column_2", "b"]
    assert read_table(written(tmp_path, ",a\n0,1\n")).column_names == ["Unnamed: 0", "a"]  # as pandas reads it
    with pytest.warns(TableNote, match="'a' in column 3 is called 'a_2'"):
        assert read_table(written(tmp_path, "a,b,a\n1,2,3\n")).column_names == ["a", "b", "a_2"]


@pytest.mark.parametrize("text", [b"", b"\n\n", b"\xef\xbb\xbf", b"  \r\n"])
@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_an_empty_file(tmp_path: Path, text: bytes, name: str) -> None:
    assert "is empty" in refusal(written(tmp_path, text, name))


def test_a_header_without_rows(tmp_path: Path) -> None:
    assert "has columns ('a', 'b') but no rows" in refusal(written(tmp_path, "a,b\n"))


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"PK\x03\x04\x00\x00", "damaged or truncated zip archive"),
        (b"\x89PNG\r\n\x1a\n\x00", "a PNG picture"),
        (b"\x1f\x8b\x08\x00", "damaged or truncated"),
        (b"a,b\n1,\x00\n", "byte 7 is zero"),
        (b"PAR1....", "damaged or truncated Parquet file"),
    ],
)
def test_what_is_not_csv(tmp_path: Path, raw: bytes, told: str) -> None:
    assert told in refusal(written(tmp_path, raw))


def test_text_that_is_not_utf8(tmp_path: Path) -> None:
    path = written(tmp_path, "a,b\n1,x\n2,café\n".encode("latin-1"))
    with pytest.warns(TableNote, match="decoded as windows-1252 .it holds 'café'.; --encoding"):
        assert read_table(path).to_pydict() == {"a": ["1", "2"], "b": ["x", "café"]}
    message = refusal(written(tmp_path, b"a,b\n1,x\n2,\xff\xfe\x00\n"[:-2] + "\né,ü\n".encode()))
    assert "line 3 holds the byte 0xff" in message
    assert "iconv" in message


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    written(tmp_path, "a\n1\n", "bank.csv")
    assert "Nearest by name: 'bank.csv'" in refusal(tmp_path / "bnak.csv")
    (tmp_path / "pics").mkdir()
    (tmp_path / "other").mkdir()
    held = f"its folder holds {len([p for p in tmp_path.iterdir() if p.is_file()])} file"
    assert f"There is no file or folder {str(tmp_path / 'nopics')!r}; {held}" in refusal(tmp_path / "nopics")
    assert refusal(tmp_path / "nopics").endswith("and 2 folders. Nearest by name: 'pics'.")
    assert "the folder" in refusal(tmp_path / "no" / "bank.csv")
    (tmp_path / "empty").mkdir()
    assert "is a folder without data files" in refusal(tmp_path / "empty")


# Parquet and frames


def test_parquet_keeps_its_types_and_has_no_columns_from_its_folder(tmp_path: Path) -> None:
    table = pa.table({"a": [1, None], "b": ["007", "NA"], "c": [True, False]})
    (tmp_path / "year=2020").mkdir()
    path = tmp_path / "year=2020" / "t.parquet"
    pq.write_table(table, path)
    assert read_table(path).equals(table)


def test_damaged_parquet(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": list(range(1000))}), path)
    raw = path.read_bytes()
    for cut in (4, 12, len(raw) // 2, len(raw) - 1):
        assert "damaged or truncated" in refusal(written(tmp_path, raw[:cut], "cut.parquet"))
    assert "is it CSV?" in refusal(written(tmp_path, "a,b\n1,2\n", "csv.parquet"))


def test_frames_of_every_kind_become_the_same_table() -> None:
    data = {"n": [1.5, 2.0], "s": ["007", "b"], "t": [True, False]}
    frames = [
        pa.table(data),
        pd.DataFrame(data, index=[7, 9]),
        pd.DataFrame(data).set_index(pd.Index([1, 2], name="n2")),
        pl.DataFrame(data),
        pl.LazyFrame(data),
    ]
    assert [as_table(frame).to_pydict() for frame in frames] == [data] * 5


def test_column_names_that_are_numbers_become_text() -> None:
    assert as_table(pd.DataFrame(np.eye(2))).column_names == ["0", "1"]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "'a' (columns 1 and 2)"),
        (pa.table([[1], [2]], names=["a", "a"]), "'a' (columns 1 and 2)"),
        (pd.DataFrame({"a": ["x", 1]}), "Column 'a' of the frame has the type object (int, str)"),
        (np.ones(2), "Expected 2D array, got 1D array instead"),
        (None, "got NoneType"),
    ],
)
def test_what_is_no_table(data: Any, told: str) -> None:
    with pytest.raises(TableError) as caught:
        as_table(data)
    assert told in str(caught.value)


def test_an_open_quote_is_asked_for_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('a,t\n1,x\n"2,y\n3,z\n', "utf-8")
    with pytest.raises(TableError) as caught:
        read_table(path)
    assert str(caught.value).endswith("is a quote opened there and never closed?")
