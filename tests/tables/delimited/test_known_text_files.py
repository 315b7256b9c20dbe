"""Text files of which other readers are known to make a wrong table, or none, from public reports of faults."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

from softreg.tables import TableError, TableNote, read_table

# ruff: noqa: E501
READ: dict[str, tuple[str, dict[str, Any], dict[str, list[str]]]] = {
    "a quote within a field": ('id,name\n1,The "Old" Inn\n2,6" pipe\n', {}, {"id": ["1", "2"], "name": ['The "Old" Inn', '6" pipe']}),
    "trailing delimiters": ("A,B\n1,4,\n2,5,\n3,6,\n", {}, {"A": ["1", "2", "3"], "B": ["4", "5", "6"]}),
    "trailing delimiters, no header": (
        "1,   0.6,0x4a,\n  1,   0.7,0x4b,\n", {"header": False},
        {"column_1": ["1", "  1"], "column_2": ["   0.6", "   0.7"], "column_3": ["0x4a", "0x4b"]},
    ),
    "an empty last column": ("a,b,c\n1,2,\n3,4,\n", {}, {"a": ["1", "3"], "b": ["2", "4"], "c": ["", ""]}),
    "long texts": ("a,b\n" + "x " * 900 + "," + "y " * 900 + "\n", {}, {"a": ["x " * 900], "b": ["y " * 900]}),
    "a value like a comment": ("x,y\nA2,1\n#A3,2\nA4,#3\n", {}, {"x": ["A2", "#A3", "A4"], "y": ["1", "2", "#3"]}),
    "many comments": ("# line, of text\n" * 15 + "a;b\n1;2\n", {}, {"a": ["1"], "b": ["2"]}),
    "a report with padded lines": (
        'Report_B,3/13/2015,,\nID,Race,Detail,Language\n65,Other,x,English\n45,White,y,Arabic\n"Grand Total: 6,634",,,\nPage 1 of 1,,,\n',
        {}, {"ID": ["65", "45"], "Race": ["Other", "White"], "Detail": ["x", "y"], "Language": ["English", "Arabic"]},
    ),
    "tabs beside texts": ('a\tb c d\n1\t"x y z"\n2\tu v w\n', {}, {"a": ["1", "2"], "b c d": ["x y z", "u v w"]}),
    "breaks in cells and other ends of lines": ('a;b\r\n1;"x\ny, z"\r\n2;w\r\n', {}, {"a": ["1", "2"], "b": ["x\ny, z", "w"]}),
    "words only": ("sample,nc,file\nA-1,False,a.gz\nA-2,False,b.gz\n", {}, {"sample": ["A-1", "A-2"], "nc": ["False"] * 2, "file": ["a.gz", "b.gz"]}),
    "a time column": ("time;T\n04.05.2021 09:00;9.8\n05.05.2021 09:00;7.5\n", {}, {"time": ["04.05.2021 09:00", "05.05.2021 09:00"], "T": ["9.8", "7.5"]}),
    "a delimiter in the preamble": ("Estrazione del 2025-01-06\nid;name\n1;a|b\n2;c, d\n", {}, {"id": ["1", "2"], "name": ["a|b", "c, d"]}),
    "texts in the first column, the last row missing": (
        "review,stars,y\na good thing,1,n\nnot so good,2,m\na third one,,\n", {},
        {"review": ["a good thing", "not so good", "a third one"], "stars": ["1", "2", ""], "y": ["n", "m", ""]},
    ),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::softreg.tables.TableNote")
@pytest.mark.parametrize("name", READ)
def test_a_file_that_other_readers_read_wrong(tmp_path: Path, name: str) -> None:
    text, options, columns = READ[name]
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode())
    assert read_table(path, **options).to_pydict() == columns


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("\none,two,three\n1,2,3,4\n1,2,3\n\n1,2,3\n", "Row 1 of .* has too many fields"),
        ("one,two,three\n1,2,3,4\n1,2,3\n\n1,2,3,4,5\n1,2,3,4,5\n", "Row 1 of .* has too many fields"),
        ("a,b,c\n0,5,9, \n0,6,21,33\n0,7,35,65\n", "reads like data|too many fields"),
    ],
)
def test_rows_of_several_lengths_are_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(TableError, match=told):
        read_table(path)


def test_a_header_that_is_declared_a_row_is_said(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("id|name|date\n1|Action|2006-02-15\n2|Drama|2006-02-15\n", "utf-8")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert read_table(path, header=False).num_rows == 3
    assert any("reads like names ('id', 'name', 'date')" in str(one.message) for one in caught)
    assert all(one.category is TableNote for one in caught)
