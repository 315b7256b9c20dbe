"""Faults of files: rows C2, C4, C7, E2 and E3 of the list, each with the right behaviour."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

import softreg
from softreg.tables import TableClassifier, TableError, TableNote, open_table, read_table, table_statistics

from .helpers import open_refused, run


def cut(text: str, encoding: str) -> bytes:
    return text.encode(encoding)[:-1]


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "csv.gz"])
@pytest.mark.parametrize(
    ("raw", "encoding", "told"),
    [
        (cut("1,x\n2,é", "utf-8"), None, "line 3 holds the byte 0xc3"),
        ("1,x\n2,é\n3,y".encode("latin-1"), "utf-8", "line 3 holds the byte 0xe9"),
        (cut("1,x\n2,y", "utf-16"), None, "line 3 holds the byte 0x79"),
        (cut("1,x\n2,y", "utf-16-le"), "utf-16-le", "line 3 holds the byte 0x79"),
        ("1,x\n2,é".encode(), "ascii", "line 3 holds the byte 0xc3"),
        (b"1,x\n2,+2AA-", "utf-7", "line 3 holds the lone surrogate U+D800"),
        ("1,x\n2,あ".encode("shift_jis")[:-1], "shift_jis", "line 3 holds the byte 0x82"),
    ],
)  # fmt: skip
def test_fault_e2_undecodable_bytes_are_named_or_the_row_is_left_out(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], form: str, raw: bytes, encoding: str | None, told: str
) -> None:
    head, mark = "a,b\n", b""
    if raw[:2] == b"\xff\xfe":
        mark, raw = raw[:2], raw[2:]
    wide = "utf-16-le" if mark or encoding == "utf-16-le" else "latin-1"

    def put(text: str) -> bytes:
        return text.encode(wide)

    if form.startswith("jsonl"):
        head = '{"a":"0","b":"w"}\n'
        lines = raw.split(put("\n"))
        raw = put("\n").join(put('{"a":"') + line.replace(put(","), put('","b":"')) + put('"}') for line in lines[:1])
        raw += put("\n") + lines[1].replace(put("2,"), put('{"a":"2","b":"')) + (put("\n" + "{}") if lines[2:] else b"")
    if form == "tsv":
        head, raw = head.replace(",", "\t"), raw.replace(put(","), put("\t"))
    whole = mark + put(head) + raw
    path = tmp_path / f"t.{form}"
    path.write_bytes(gzip.compress(whole) if form.endswith("gz") else whole)
    assert told in open_refused(path, encoding=encoding)
    table = read_table(path, encoding=encoding, bad_rows="skip")
    assert "1" in table["a"].to_pylist()
    assert "2" not in table["a"].to_pylist()
    assert "Exception ignored" not in capfd.readouterr().err


@pytest.mark.parametrize(
    "encoding", ["hex", "rot13", "idna", "undefined", "zlib", "unicode_escape", "no-such", "", "a\0b"]
)
def test_fault_e2_what_is_no_encoding_of_files_is_refused(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n", "utf-8")
    assert "There is no encoding" in open_refused(path, encoding=encoding)
    done = run("train", path, "--target", "b", "--encoding", encoding)
    assert done.exit_code == 2
    assert "There is no encoding" in done.stderr


def test_fault_e2_utf_16_without_its_mark(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("a,b\n1,é\n".encode("utf-16-be"))
    with pytest.warns(TableNote, match="decoded as utf-16-be; --encoding"):
        assert read_table(path).to_pydict() == {"a": ["1"], "b": ["é"]}
    assert "does not begin with the byte-order mark of utf-16" in open_refused(path, encoding="utf-16")
    assert read_table(path, encoding="utf-16-be").to_pydict() == {"a": ["1"], "b": ["é"]}


def test_fault_e2_undecodable_bytes_in_the_header_and_in_rows_of_the_wrong_length(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("a,é\n1,2\n".encode("latin-1"))
    for bad_rows in ("error", "skip"):
        assert "line 1 holds the byte 0xe9" in open_refused(path, bad_rows=bad_rows, encoding="utf-8")
    path.write_bytes(b"a,b\n1,x\n2\xe9\n3,\xff,\xff\n4,\xfe\n5,y\n")
    table = open_table(path, bad_rows="skip", encoding="utf-8")
    assert table.read().to_pydict() == {"a": ["1", "5"], "b": ["x", "y"]}
    assert [number for _, number, _ in table.skipped] == [2, 3, 4]


def damaged_files(folder: Path) -> list[Path]:
    """One table in each form, with some bytes of each turned over or cut off."""
    rng = np.random.default_rng(0)
    table = pa.table({"x": rng.normal(size=60), "w": ["red", "blue", "é"] * 20, "y": ["n", "y"] * 30})
    table = table.append_column("d", table["w"].combine_chunks().dictionary_encode())
    paths = []
    for form in ("parquet", "arrow", "arrows"):
        whole = folder / f"whole.{form}"
        if form == "parquet":
            pq.write_table(table, whole)
        elif form == "arrow":
            feather.write_feather(table, str(whole), compression="uncompressed")
        else:
            with pa.ipc.new_stream(str(whole), table.schema) as writer:
                writer.write_table(table)
        raw = whole.read_bytes()
        for i, place in enumerate(rng.integers(0, len(raw), 60)):
            bad = bytearray(raw)
            bad[place : place + 8] = b"\xff" * 8 if i % 2 else bytes([raw[place] ^ 64])
            paths.append(folder / f"{i}.{form}")
            paths[-1].write_bytes(bad if i % 5 else raw[:place])
    return paths


def test_fault_e3_a_damaged_file_is_read_or_refused_in_one_sentence(tmp_path: Path) -> None:
    refused = 0
    for path in damaged_files(tmp_path):
        for read in (read_table, lambda path: [batch.to_pydict() for batch in open_table(path).batches()]):
            told = ""
            try:
                read(path)
            except TableError as error:
                told = str(error)
            refused += bool(told)
            assert not told or (repr(str(path)) in told and "\n" not in told)
    assert refused > 100


def test_fault_e3_offsets_and_indices_out_of_range_never_reach_a_kernel(tmp_path: Path) -> None:
    latin = pa.array([b"\xe9", b"x"]).view(pa.string())
    codes = pa.array([0, 1, 7], pa.int8())
    coded = pa.DictionaryArray.from_arrays(codes, pa.array(["a", "b"]), safe=False)
    for column in (coded, latin, pa.array(["offsets", "of text"])):
        path = tmp_path / "t.arrow"
        with pa.ipc.new_file(str(path), pa.schema({"a": column.type})) as writer:
            writer.write_batch(pa.RecordBatch.from_arrays([column], ["a"]))
        raw = path.read_bytes()  # the last of the three has its offsets 0, 7, 14 made 0, 99, 14
        path.write_bytes(
            raw.replace(np.array([0, 7, 14], np.int32).tobytes(), np.array([0, 99, 14], np.int32).tobytes())
        )
        assert "is a damaged or truncated Arrow file" in open_refused(path)
    pq.write_table(pa.table({"a": latin}), tmp_path / "t.parquet")
    assert "is a damaged or truncated Parquet file" in open_refused(tmp_path / "t.parquet")


def test_fault_e3_a_damaged_name_of_a_column(tmp_path: Path) -> None:
    path = tmp_path / "t.arrows"
    with pa.ipc.new_stream(str(path), pa.schema({"namename": pa.int64()})) as writer:
        writer.write_table(pa.table({"namename": [1]}))
    path.write_bytes(path.read_bytes().replace(b"namename", b"name\xffame"))
    assert "is a damaged or truncated Arrow file" in open_refused(path)


def test_fault_e3_damaged_buffers_of_a_table_in_memory_are_refused() -> None:
    coded = pa.DictionaryArray.from_arrays(pa.array([0, 1, 7] * 20, pa.int8()), pa.array(["a", "b"]), safe=False)
    latin = pa.array([b"\xe9", b"x", b"y"] * 20).view(pa.string())
    for column in (coded, latin):
        table = pa.table({"x": range(60), "y": ["n", "y"] * 30, "damaged": column})
        with pytest.raises(TableError, match="Column 'damaged' is not a valid Arrow array"):
            TableClassifier("y").fit(table)
        with pytest.raises(TableError, match="Column 'damaged' is not a valid Arrow array"):
            TableClassifier("damaged").fit(table)


def test_fault_c2_a_quoted_line_break_in_the_header(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('"Umsatz\n(in €)";"b;c"\r\n1;2\r\n3;4\r\n', "utf-8")
    assert read_table(path).to_pydict() == {"Umsatz\n(in €)": ["1", "3"], "b;c": ["2", "4"]}


def test_fault_c2_tabs_in_a_csv(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("Age, years\tb\n1,5\t2\n3\t4\n", "utf-8")
    assert read_table(path).to_pydict() == {"Age, years": ["1,5", "3"], "b": ["2", "4"]}
    path.write_text("a, b;c;d\n1,5;2;3\n1,6;4;5\n", "utf-8")
    assert read_table(path).to_pydict() == {"a, b": ["1,5", "1,6"], "c": ["2", "4"], "d": ["3", "5"]}


@pytest.mark.parametrize("first", ["sep=;\r\n", '"sep=;"\n', "\ufeffsep=;\n", "SEP=;\n"])
def test_fault_c2_the_sep_line_of_a_spreadsheet(tmp_path: Path, first: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"{first}a;b,c\n1;2\n\n3\n4;5\n", "utf-8")
    assert "Row 2 of" in (told := open_refused(path))
    assert "(line 5)" in told
    table = open_table(path, bad_rows="skip")
    assert table.read().to_pydict() == {"a": ["1", "4"], "b,c": ["2", "5"]}
    assert [number for _, number, _ in table.skipped] == [2]


def test_fault_c4_a_list_of_files_trains_and_predicts(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=90), "y": rng.choice(["a", "b"], 90)})
    paths: list[Any] = [tmp_path / "1.csv", str(tmp_path / "2.csv"), tmp_path / "3.csv"]
    for i, path in enumerate(paths):
        frame[30 * i : 30 * i + 30].to_csv(path, index=False)
    frame.to_csv(tmp_path / "all.csv", index=False)
    whole = TableClassifier("y", strength=0.1).fit(tmp_path / "all.csv")
    for source, memory in ((paths, "auto"), (tuple(paths), "high"), (paths, "low")):
        model = TableClassifier("y", strength=0.1, tol=1e-10).fit(source, memory=memory)
        np.testing.assert_allclose(model.predict_proba(source), whole.predict_proba(frame), atol=1e-4)
        assert model.predict(source).tolist() == whole.predict(tmp_path / "all.csv").tolist()
    assert str(table_statistics(paths, "y")) == str(table_statistics(tmp_path / "all.csv", "y"))
    with pytest.raises(TableError, match="list of files is empty"):
        TableClassifier("y").fit([])
    with pytest.raises(TableError, match="There is no file"):
        TableClassifier("y").fit([*paths, tmp_path / "none.csv"])


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model of a number and a category."""
    path = tmp_path / "good.csv"
    rows = "".join(f"{i % 7},{'rgb'[i % 3]},{'ny'[i % 2]}\n" for i in range(60))
    path.write_text("a,b,y\n" + rows, "utf-8")
    done = run("train", path, "--target", "y", "--strength", "0.1", "--model", tmp_path / "m.softreg", "--quiet")
    assert done.exit_code == 0, done.output
    return tmp_path / "m.softreg"


def test_fault_c7_predictions_carry_the_numbers_of_their_rows(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("softreg.tables.delimited.csv_reader.BLOCK_BYTES", 64)
    rows = [f"{i % 7},{'rgb'[i % 3]}" for i in range(300)]
    for i in (3, 100, 101, 250):
        rows[i] = "1"
    for i in (0, 99, 102, 299):
        rows[i] = "word,r"
    lines = [row.encode() for row in rows]
    lines[150] = b"1,\xe9\xc3\xa9"
    path = tmp_path / "in.csv"
    path.write_bytes(b"a,b\n\n" + b"\n".join(lines))
    good = [i for i in range(300) if i not in (0, 3, 99, 100, 101, 102, 150, 250, 299)]
    expected = run("predict", model, path, "--bad-rows", "skip")
    assert expected.exit_code == 0, expected.output
    assert "left out: 1, 100, 103, 300" in expected.stderr
    for name in ("o.csv", "o.tsv", "o.parquet", "o.arrow"):
        done = run("predict", model, path, "-o", tmp_path / name, "--bad-rows", "skip")
        assert done.exit_code == 0, done.output
        found = read_table(tmp_path / name)
        assert found.column_names == ["row", "prediction", "n", "y"]
        assert [int(row) for row in found["row"].to_pylist()] == [i + 1 for i in good]
        clean = tmp_path / "clean.csv"
        clean.write_text("a,b\n" + "\n".join(rows[i] for i in good), "utf-8")
        alone = read_table(clean)
        assert alone.num_rows == found.num_rows
        P = softreg.load(model).predict_proba(alone)
        np.testing.assert_allclose([float(p) for p in found["n"].to_pylist()], P[:, 0], atol=1e-6)
    assert "row" not in run("predict", model, clean).stdout.splitlines()[0]


def test_fault_c7_several_files_are_counted_through(model: Path, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.csv").write_text("a,b\n1,r\n2\n3,g\n", "utf-8")
    (tmp_path / "in" / "2.csv").write_text("a,b\nword,r\n5,g\n6,g,h\n", "utf-8")
    done = run("predict", model, tmp_path / "in", "--bad-rows", "skip")
    assert [line.split(",")[0] for line in done.stdout.splitlines()] == ['"row"', "1", "3", "5"]
    assert "row 2 of" in done.stderr
    assert "left out: 4" in done.stderr
    path = tmp_path / "t.jsonl"
    path.write_text('{"a":1,"b":"r"}\n\n{"a":1\n{"a":3,"b":"g"}\n', "utf-8")
    done = run("predict", model, path, "--bad-rows", "skip")
    assert [line.split(",")[0] for line in done.stdout.splitlines()] == ['"row"', "1", "3"]


def test_fault_c7_a_row_that_is_refused_is_named_by_its_number_in_the_file(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text("a,b,y\n1\n" + "2,r,n\n3,g,n\n4,r,y\n5,g,y\n" * 5 + "word,r,n\n", "utf-8")
    done = run("train", path, "--target", "y", "--bad-rows", "skip", "--strength", "0.1", "--number", "a")
    assert "row 1 ('1')" in done.stderr
    assert "left out: 22" in done.stderr


def test_fault_e3_open_rows_refuses_damaged_files_too(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    table = pa.table({"x": rng.normal(size=60), "y": ["n", "y"] * 30})
    table = table.set_column(1, "y", table["y"].combine_chunks().dictionary_encode())
    for form in ("parquet", "arrow"):
        path = tmp_path / f"t.{form}"
        if form == "parquet":
            pq.write_table(table, path)
        else:
            feather.write_feather(table, str(path), compression="uncompressed")
        raw = path.read_bytes()
        refused = 0
        for place in rng.integers(0, len(raw), 60):
            path.write_bytes(raw[:place] + rng.bytes(8) + raw[place + 8 :])
            try:
                for _ in softreg.open_rows(path, "y"):
                    pass
            except ValueError:
                refused += 1
        assert refused > 5
