"""Row F13 of the list of faults: tables in archives, workbooks, databases, JSON documents and standard input."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import sqlite3
import sys
import zipfile
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from softreg import TableClassifier
from softreg.tables import OpenTable, TableError, TableNote, open_table, read_table

CSV = "code,colour\n007,red\n1.5,\n"
ROWS = {"code": ["007", "1.5"], "colour": ["red", ""]}


def archive(path: Path, **members: str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in members.items():
            file.writestr(name.replace("__", "."), text)
    return path


def refusal(source: Any) -> str:
    with pytest.raises(TableError) as caught:
        read_table(source)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("ending", [".csv.xz", ".csv.bz2", ".csv.gz", ".csv"])
@pytest.mark.parametrize("compress", [lzma.compress, bz2.compress, gzip.compress], ids=["xz", "bz2", "gzip"])
def test_fault_f13_compressed_whatever_the_ending(tmp_path: Path, ending: str, compress: Any) -> None:
    path = tmp_path / f"t{ending}"
    path.write_bytes(compress(CSV.encode()))
    named = {".xz": lzma.compress, ".bz2": bz2.compress, ".gz": gzip.compress}.get(path.suffix)
    if named is compress or path.suffix in (".csv", ".xz"):
        assert read_table(path).to_pydict() == ROWS
    cut = tmp_path / f"cut{ending}"
    cut.write_bytes(compress(CSV.encode() * 1000)[:-20])
    assert "damaged or truncated" in refusal(cut)


def test_fault_f13_zip(tmp_path: Path) -> None:
    one = archive(tmp_path / "one.zip", t__csv=CSV, readme__md="# about")
    assert read_table(one).to_pydict() == ROWS
    assert open_table(one).notes == []
    assert open_table(one).paths == [one]
    two = archive(tmp_path / "two.zip", a__csv=CSV, b__csv="x\n1\n")
    assert "two.zip::a.csv" in refusal(two)
    assert read_table(f"{two}::b.csv").to_pydict() == {"x": ["1"]}
    assert "has no member 'c.csv'; it has 'a.csv', 'b.csv'" in refusal(f"{two}::c.csv")
    noted = archive(tmp_path / "noted.zip", a__csv=CSV, b__txt="notes on the table")
    with pytest.warns(TableNote, match=r"noted\.zip::b\.txt"):
        assert read_table(noted).to_pydict() == ROWS
    assert "without a file" in refusal(archive(tmp_path / "none.zip"))
    broken = tmp_path / "broken.zip"
    broken.write_bytes(one.read_bytes()[:60])
    assert "damaged or truncated zip archive" in refusal(broken)


def test_a_member_that_is_compressed_or_of_another_form(tmp_path: Path) -> None:
    path = tmp_path / "t.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("inner.csv.gz", gzip.compress(CSV.encode()))
    assert read_table(path).to_pydict() == ROWS
    frame = tmp_path / "t.parquet"
    pd.DataFrame({"a": [1, 2]}).to_parquet(frame)
    with zipfile.ZipFile(path, "w") as file:
        file.write(frame, "t.parquet")
    assert read_table(path).to_pydict() == {"a": [1, 2]}
    wrong = frame.rename(tmp_path / "wrong.csv")
    assert read_table(wrong).to_pydict() == {"a": [1, 2]}
    feather = tmp_path / "t.feather"
    pd.DataFrame({"a": [1, 2]}).to_feather(feather)
    with zipfile.ZipFile(path, "w") as file:
        file.write(feather, "t.feather")
    assert read_table(path).to_pydict() == {"a": [1, 2]}


def test_an_archive_with_a_password(tmp_path: Path) -> None:
    path = archive(tmp_path / "t.zip", t__csv=CSV)
    raw = bytearray(path.read_bytes())
    raw[6] |= 1  # the flag of the local header, and that of the directory
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(bytes(raw))
    assert "protected by a password" in refusal(path)


def test_fault_f13_excel(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    pytest.importorskip("python_calamine")
    book = openpyxl.Workbook()
    sheet = book.active
    for row in (
        ["Customers of 2020"],
        [],
        ["id", "amount", "when", "at", "ok", "code"],
        [1, 2.5, date(2020, 1, 2), datetime(2020, 1, 2, 3, 4, 5), True, "007"],
        [2, 1e300, None, None, False, None],
        ["Source: the shop"],
    ):
        sheet.append(row)
    other = book.create_sheet("Other")
    other.append(["a"])
    other.append([12345678901])
    book.save(tmp_path / "t.xlsx")
    table = open_table(tmp_path / "t.xlsx")
    assert table.read().to_pydict() == {
        "id": ["1", "2"],
        "amount": ["2.5", "1e+300"],
        "when": ["2020-01-02", ""],
        "at": ["2020-01-02 03:04:05", ""],
        "ok": ["True", "False"],
        "code": ["007", ""],
    }
    said = " ".join(table.notes)
    assert "sheet 'Sheet'" in said
    assert "t.xlsx::Other" in said
    assert "Customers of 2020" in said
    assert "Source: the shop" in said
    assert read_table(f"{tmp_path / 't.xlsx'}::Other").to_pydict() == {"a": ["12345678901"]}
    assert "has no sheet 'Nope'" in refusal(f"{tmp_path / 't.xlsx'}::Nope")
    (tmp_path / "cut.xlsx").write_bytes((tmp_path / "t.xlsx").read_bytes()[:500])
    assert "damaged or truncated" in refusal(tmp_path / "cut.xlsx")


def test_a_workbook_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    archive(tmp_path / "t.xlsx", **{"[Content_Types]__xml": "<Types/>", "xl/workbook__xml": "<workbook/>"})
    assert "pip install 'softreg[excel]'" in refusal(tmp_path / "t.xlsx")


def database(path: Path, *statements: str) -> Path:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
    return path


def test_fault_f13_sqlite(tmp_path: Path) -> None:
    make = 'CREATE TABLE "od""d" (id INTEGER, "x,y" REAL, word TEXT, raw BLOB)'
    one = """INSERT INTO "od""d" VALUES (1, 0.1, 'two' || char(10) || 'lines', x'00ff')"""
    two = """INSERT INTO "od""d" VALUES (1152921504606846977, 2.0, NULL, NULL)"""
    path = database(tmp_path / "d.db", make, one, two)
    table = open_table(path)
    assert table.read().to_pydict() == {
        "id": ["1", "1152921504606846977"],
        "x,y": ["0.1", "2"],
        "word": ["two\nlines", ""],
        "raw": ["", ""],
    }
    assert any("'raw'" in note and "bytes" in note for note in table.notes)
    database(path, 'CREATE VIEW v AS SELECT id FROM "od""d" WHERE id = 1')
    assert "several tables" in refusal(path)
    assert read_table(f"{path}::v").to_pydict() == {"id": ["1"]}
    assert "has no table 'w'" in refusal(f"{path}::w")
    assert "without a table" in refusal(database(tmp_path / "none.db", "CREATE TABLE t (a)", "DROP TABLE t"))
    (tmp_path / "cut.db").write_bytes(path.read_bytes()[:5000])
    assert "damaged or truncated SQLite database" in refusal(f"{tmp_path / 'cut.db'}::v")


RECORDS = [{"a": i, "b": f"x\n{i} é"} for i in range(3)]
FRAME = pd.DataFrame([{"a": i, "b": f"x\n{i} é"} for i in range(3)])
DOCUMENTS = {
    "array": json.dumps(RECORDS),
    "indented": json.dumps(RECORDS, indent=2, ensure_ascii=False),
    "lines": "\n".join(map(json.dumps, RECORDS)),
    "under a key": json.dumps({"count": 3, "data": RECORDS}),
    "columns": FRAME.to_json(),
    "records": FRAME.to_json(orient="records"),
    "index": FRAME.to_json(orient="index"),
    "split": FRAME.to_json(orient="split"),
    "by name": json.dumps({f"row {i}": row for i, row in enumerate(RECORDS)}, indent=1),
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("form", DOCUMENTS)
def test_fault_f13_json_documents(tmp_path: Path, form: str, encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.json"
    path.write_bytes(DOCUMENTS[form].encode(encoding))
    table = open_table(path)
    assert table.read().to_pylist() == RECORDS
    assert bool(table.notes) == (form not in ("array", "indented", "lines", "records"))
    monkeypatch.setattr("softreg.tables.json_files.json_documents.CHUNK", 7)  # values go over the ends of what is read
    if form in ("array", "indented"):
        assert read_table(path).to_pylist() == RECORDS


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[{"a": 1}, {"a": }]', "Row 2 of"),
        ('[{"a": 1}, {"a": 2}', "the file ends"),
        ('[{"a": 1},]', "Row 2 of"),
        ('[{"a": 1} {"a": 2}]', "Row 2 of"),
        ('[{"a": 1}] x', "continues after the end"),
        ('[{"a": 1}, 5]', "Row 2 of"),
        ('[{"a": 1}, {"a": [1]}]', "Row 2 of"),
        ("[1, 2]", "it is not an object"),
        ("[]", "holds no object"),
        ('{"a": [{"x": 1}], "b": [{"x": 2}]}', "several tables: 'a', 'b'"),
        ("[" * 100_000, "JSON"),
        ('{"a": ' * 100_000, "cannot be read"),
    ],
)
def test_documents_that_are_no_table(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "t.json"
    path.write_text(text, encoding="utf-8")
    assert told in refusal(path)


def test_bad_rows_of_an_array_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text('[{"a": 1}, 5, {"a": 2}]', encoding="utf-8")
    table: OpenTable = open_table(path, bad_rows="skip")
    assert table.read().to_pydict() == {"a": [1, 2]}
    assert [number for _, number, _ in table.skipped] == [2]


@pytest.mark.parametrize(
    "raw",
    [CSV.encode(), gzip.compress(CSV.encode(), mtime=0), json.dumps([{"code": "007", "colour": "red"}]).encode()],
    ids=["csv", "gzip", "json"],
)
def test_fault_f13_standard_input(raw: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(raw)))
    table = open_table("-")
    assert table.read()["code"].to_pylist()[0] == "007"
    assert table.readers[0].source.display_name == "standard input"


def test_a_model_from_a_sheet_predicts_rows_of_a_database(tmp_path: Path) -> None:
    pytest.importorskip("openpyxl")
    pytest.importorskip("python_calamine")
    frame = pd.DataFrame({"x": [1.5, 2.5, 3.5, 4.5] * 5, "word": ["a", "b", "a", "c"] * 5, "y": [0, 1, 0, 1] * 5})
    frame.to_excel(tmp_path / "t.xlsx", index=False)
    connection = sqlite3.connect(tmp_path / "t.db")
    frame.to_sql("t", connection, index=False)
    connection.close()
    frame.to_csv(tmp_path / "t.csv", index=False)
    model = TableClassifier("y", strength=0.1).fit(tmp_path / "t.xlsx")
    expected = model.predict_proba(tmp_path / "t.csv")
    assert (model.predict_proba(f"{tmp_path / 't.db'}::t") == expected).all()
    assert (model.predict_proba(frame) == expected).all()


def test_fault_f13_lines_that_are_not_utf8_are_decoded_on_their_own(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    rows = [b"Caf\xc3\xa9,1", *[b"x,%d" % i for i in range(40)], b"Ca\x96on,2", b"y,3"]
    path.write_bytes(b"town,n\n" + b"\n".join(rows) + b"\n")
    with pytest.warns(TableNote, match="1 line of the text are not UTF-8"):
        towns = read_table(path)["town"].to_pylist()
    assert (towns[0], towns[41], towns[42]) == ("Café", "Cañon", "y")
    path.write_bytes(b"town,n\n" + b"Ca\x96on,2\n" * 30)
    assert "is not text in UTF-8" in refusal(path)


def test_fault_f13_row_names_of_some_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    path.write_text('"day"\t"kind"\n"1"\t"2014"\t"a b"\n"2"\t"2015"\t"c"\n"6"\t"2016"\t"d"\n', encoding="utf-8")
    assert read_table(path)["kind"].to_pylist() == ["a b", "c", "d"]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_fault_f13_rows_that_were_quoted_as_a_whole(tmp_path: Path, end: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(end.join(["a;b;c", '"1;""x"";""p;q"""', '"2;""y"";""r"""', ""]).encode())
    table = open_table(path)
    assert table.read().to_pydict() == {"a": ["1", "2"], "b": ["x", "y"], "c": ["p;q", "r"]}
    assert any("quoted as a whole" in note for note in table.notes)
    path.write_bytes(end.join(["text", '"say ""a"""', '"say ""b"""', ""]).encode())
    assert read_table(path).to_pydict() == {"text": ['say "a"', 'say "b"']}


def test_fault_f13_fields_separated_by_two_colons(tmp_path: Path) -> None:
    path = tmp_path / "users.dat"
    path.write_text("1::F::1::10::48067\n2::M::56::16::70072\n3::M::25::15::55117\n", encoding="utf-8")
    table = open_table(path, header=False)
    assert table.read()["column_5"].to_pylist() == ["48067", "70072", "55117"]
    assert any("'::'" in note for note in table.notes)
    path.write_text("name,n\nstd::a,1\nstd::b,2\n", encoding="utf-8")
    assert read_table(path)["name"].to_pylist() == ["std::a", "std::b"]
    path.write_text("a::b,n::m\nstd::a,x::1\nstd::b,y::2\n", encoding="utf-8")
    assert read_table(path).column_names == ["a::b", "n::m"]
