"""Every form, packing and layout of files gives the same table; what is broken is said with its place."""

from __future__ import annotations

import bz2
import gzip
import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from softreg.files.prefetch import prefetch
from softreg.tables import Encoder, TableError, TableNote, infer_schema, open_table, read_table
from softreg.tables.delimited import csv_reader
from softreg.tables.json_files import json_lines_reader as json_lines

TABLE = pa.table(
    {
        "code": ["007", "NA", "", "é 😀, x"] * 30,
        "n": [1.5, None, -2.0, 1e300] * 30,
        "k": list(range(120)),
        "on": [True, None, False, True] * 30,
    }
)


def as_csv(delimiter: str = ",") -> bytes:
    sink = pa.BufferOutputStream()
    pa_csv.write_csv(TABLE, sink, pa_csv.WriteOptions(delimiter=delimiter))
    return sink.getvalue().to_pybytes()


def as_json() -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in TABLE.to_pylist()).encode()


def zstd(raw: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(raw)
    return sink.getvalue().to_pybytes()


def refusal(source: Any, **options: Any) -> str:
    with pytest.raises(TableError) as caught:
        for _ in open_table(source, **options).batches():
            pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


def same(found: pa.Table, typed: bool) -> None:
    if typed:
        assert found.to_pydict() == TABLE.to_pydict()
        return
    assert found["code"].to_pylist() == TABLE["code"].to_pylist()
    assert pc.cast(found["k"], pa.int64()).to_pylist() == TABLE["k"].to_pylist()
    assert found["n"].to_pylist()[:3] == ["1.5", "", "-2"]


@pytest.mark.parametrize(
    ("name", "pack"),
    [("", lambda b: b), (".gz", gzip.compress), (".zst", zstd), (".bz2", bz2.compress)],
    ids=["plain", "gzip", "zstd", "bz2"],
)
@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "parquet", "arrow", "arrows"])
def test_every_form_and_packing_gives_the_same_table(
    tmp_path: Path, form: str, name: str, pack: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / f"t.{form}"
    if form == "parquet":
        pq.write_table(TABLE, path, row_group_size=50)
    elif form == "arrow":
        feather.write_feather(TABLE, str(path), compression="lz4", chunksize=50)
    elif form == "arrows":
        with pa.ipc.new_stream(str(path), TABLE.schema) as writer:
            writer.write_table(TABLE, 50)
    else:
        path.write_bytes({"csv": as_csv(), "tsv": as_csv("\t"), "jsonl": as_json()}[form])
    if form == "arrow" and name:
        return  # a packed Arrow file has no random access; streams are packed
    packed = tmp_path / f"t.{form}{name}"
    packed.write_bytes(pack(path.read_bytes()))
    table = open_table(packed)
    typed = form not in ("csv", "tsv")
    for _ in range(2):  # it can be read as often as one likes
        same(pa.Table.from_batches([b.replace_schema_metadata(None) for b in table.batches()], table.schema), typed)
    same(read_table(packed), typed)
    some = next(table.batches(["k", "code"]))
    assert some.schema.names == ["k", "code"]


def test_a_pattern_a_list_and_a_folder_of_partitions(tmp_path: Path) -> None:
    for year, month, values in (("2019", "1", [1, 2]), ("2019", "2", [3]), ("2020", "a%2Fb", [4, 5])):
        folder = tmp_path / f"year={year}" / f"month={month}"
        folder.mkdir(parents=True)
        pq.write_table(pa.table({"x": values}), folder / "part-0.parquet")
        (folder / "_SUCCESS").touch()
        (folder / ".part-0.crc").touch()
    table = read_table(tmp_path)
    assert table.to_pydict() == {
        "x": [1, 2, 3, 4, 5],
        "year": ["2019"] * 3 + ["2020"] * 2,
        "month": ["1", "1", "2", "a/b", "a/b"],
    }
    assert read_table(str(tmp_path / "year=2019" / "*" / "*.parquet"))["x"].to_pylist() == [1, 2, 3]
    assert read_table(str(tmp_path / "**" / "*.parquet")).num_rows == 5
    files = sorted(tmp_path.rglob("*.parquet"))
    assert open_table([files[2], files[0]]).read()["x"].to_pylist() == [4, 5, 1, 2]
    assert "No file matches" in refusal(tmp_path / "*.csv")
    assert "is empty" in refusal([])


def test_files_that_do_not_belong_together(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    (tmp_path / "b.csv").write_text("y,x\n3,4\n")
    assert read_table(tmp_path).to_pydict() == {"x": ["1", "4"], "y": ["2", "3"]}
    (tmp_path / "c.csv").write_text("y,z\n3,4\n")
    assert "other columns than" in (told := refusal(tmp_path))
    assert "has 'z'; lacks 'x'" in told
    (tmp_path / "c.csv").unlink()
    pq.write_table(pa.table({"x": [1], "y": [2]}), tmp_path / "d.parquet")
    assert "have several formats (csv, parquet)" in refusal(tmp_path)
    pq.write_table(pa.table({"x": ["a"], "y": [2]}), tmp_path / "e.parquet")
    assert "Column 'x' has the type int64" in refusal(str(tmp_path / "*.parquet"))


def test_whole_and_decimal_numbers_of_several_files_are_decimal(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": pa.array([1, 2], pa.int32())}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"x": [0.5]}), tmp_path / "b.parquet")
    assert read_table(tmp_path)["x"].to_pylist() == [1.0, 2.0, 0.5]


# Encodings


@pytest.mark.parametrize("encoding", ["latin-1", "windows-1252", "utf-16", "utf-16-le", "utf-8", "UTF-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_encodings(tmp_path: Path, encoding: str, end: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(end.join(["né,b", '"ü, ß",1', "x,2", ""]).encode(encoding))
    assert read_table(path, encoding=encoding).to_pydict() == {"né": ["ü, ß", "x"], "b": ["1", "2"]}


def test_utf_16_is_known_by_its_mark(tmp_path: Path) -> None:
    for encoding in ("utf-16", "utf-16-be"):
        mark = b"" if encoding == "utf-16" else b"\xfe\xff"
        (tmp_path / "t.csv").write_bytes(mark + "a,b\r\né,2\r\n".encode(encoding))
        assert read_table(tmp_path / "t.csv").to_pydict() == {"a": ["é"], "b": ["2"]}


def test_wrong_encodings_are_told(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,b\n" + b"x,1\n" * 3_000_000 + "é,2\n".encode("latin-1"))
    with pytest.warns(TableNote, match="decoded as windows-1252"):
        assert read_table(path)["a"].to_pylist()[-2:] == ["x", "é"]
    told = refusal(path, encoding="utf-8")
    assert "line 3,000,002 holds the byte 0xe9. Specify its encoding, usually --encoding windows-1252" in told
    path.write_bytes(b"a,b\n\xff\xff,1\n")
    assert "is not text in ascii" in refusal(path, encoding="ascii")
    assert "There is no encoding 'klingon'" in refusal(path, encoding="klingon")


# Rows that cannot be read


def test_bad_rows_are_left_out_and_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a,b\n1,2\n3\n4,5\n6,7,8\n9,10\n")
    assert "Row 2 of" in refusal(path)
    monkeypatch.setattr(csv_reader, "BLOCK_BYTES", 16)
    table = open_table(path, bad_rows="skip")
    assert table.read().to_pydict() == {"a": ["1", "4", "9"], "b": ["2", "5", "10"]}
    assert [text for _, _, text in table.skipped] == ["3", "6,7,8"]
    assert [number for _, number, _ in table.skipped] == [2, 4]
    assert table.read().num_rows == 3
    assert len(table.skipped) == 2
    with pytest.raises(TableError, match="expected 'error' or 'skip'"):
        open_table(path, bad_rows="drop")


def test_a_broken_quote_in_the_middle_of_a_large_file(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    rows = [f"{i},word\n" for i in range(600_000)]
    rows[300_000] = '300000,"word\n'
    path.write_text("a,b\n" + "".join(rows))
    message = refusal(path)
    assert "line 300,002" in message
    assert "quote" in message


def test_rows_larger_than_blocks_come_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_reader, "BLOCK_BYTES", 64)
    long = "word\n" * 1000
    path = tmp_path / "t.csv"
    path.write_text("a,b\n" + "1,x\n" * 50 + f'2,"{long}"\n' + "3,y\n" * 50)
    found = read_table(path)
    assert found["a"].to_pylist() == ["1"] * 50 + ["2"] + ["3"] * 50
    assert found["b"][50].as_py() == long


def test_json_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"a": 1, "d": "2020-01-01", "t": ["x"]}\n\n{"a": 2.5, "e": "07"}\n{"d": null}\n')
    for block in (1 << 24, 16):
        monkeypatch.setattr(json_lines, "BLOCK_BYTES", block)
        assert read_table(path).to_pydict() == {
            "a": [1.0, 2.5, None], "d": ["2020-01-01", None, None], "t": [["x"], None, None], "e": [None, "07", None],
        }  # fmt: skip


@pytest.mark.parametrize("block", [1 << 24, 24])
def test_bad_json_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(json_lines, "BLOCK_BYTES", block)
    path = tmp_path / "t.jsonl"
    path.write_text('{"a": 1}\n{"a": 2}\n{"a": 3\n{"a": 4}\n[5]\n')
    assert "Line 3 of" in refusal(path)
    table = open_table(path, bad_rows="skip")
    assert table.read()["a"].to_pylist() == [1, 2, 4]
    assert [number for _, number, _ in table.skipped] == [3, 5]
    path.write_text('{"a": 1}\n{"a": 2}\n{"a": [1]}\n')
    message = refusal(path)
    assert "a" in message
    assert "type" in message or "Line 3" in message


# Damage


@pytest.mark.parametrize("form", ["parquet", "arrow", "csv.gz", "csv.zst"])
def test_a_truncated_file_is_told(tmp_path: Path, form: str) -> None:
    path = tmp_path / f"t.{form}"
    table = pa.table({"a": np.random.default_rng(0).normal(size=20_000)})
    if form == "parquet":
        pq.write_table(table, path)
    elif form == "arrow":
        feather.write_feather(table, str(path), compression="uncompressed")
    else:
        sink = pa.BufferOutputStream()
        pa_csv.write_csv(table, sink)
        raw = sink.getvalue().to_pybytes()
        path.write_bytes(gzip.compress(raw) if form == "csv.gz" else zstd(raw))
    raw = path.read_bytes()
    for cut in (len(raw) // 3, len(raw) - 5):
        path.write_bytes(raw[:cut])
        assert "damaged or truncated" in refusal(path)


def test_a_parquet_file_damaged_in_the_middle_is_told(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"a": np.arange(200_000)}), path, row_group_size=20_000, write_page_checksum=True)
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2 : len(raw) // 2 + 2000] = bytes(2000)
    path.write_bytes(raw)
    assert "damaged or truncated" in refusal(path)
    with pytest.raises(TableError, match="damaged or truncated"):
        read_table(path)


def test_five_thousand_columns(tmp_path: Path) -> None:
    names = [f"c{i}" for i in range(5000)]
    X = np.random.default_rng(0).normal(size=(30, 5000)).round(3)
    path = tmp_path / "t.csv"
    path.write_text(
        ",".join([*names, "y"]) + "\n" + "".join(",".join(map(str, r)) + f",{i % 2}\n" for i, r in enumerate(X))
    )
    table = read_table(path)
    encoder = Encoder.fit(infer_schema(table, "y"), table)
    np.testing.assert_allclose(encoder.encode(table), (X - X.mean(axis=0)) / X.std(axis=0), atol=1e-9)


# Memory and threads


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    most = {}
    for n in (300_000, 1_500_000):
        path = tmp_path / f"{n}.parquet"
        pq.write_table(pa.table({f"x{i}": np.random.default_rng(i).normal(size=n) for i in range(6)}), path)
        before, most[n], rows = pa.total_allocated_bytes(), 0, 0
        for batch in open_table(path).batches():
            rows += batch.num_rows
            most[n] = max(most[n], pa.total_allocated_bytes() - before)
        assert rows == n
    assert most[1_500_000] < 1.5 * most[300_000]


def test_reading_ahead_ends_with_the_reader() -> None:
    made = []

    def endless() -> Any:
        i = 0
        while True:
            made.append(i)
            yield i
            i += 1

    items = prefetch(endless)
    assert [next(items) for _ in range(5)] == [0, 1, 2, 3, 4]
    items.close()
    for thread in threading.enumerate():
        if thread.name == "softreg-reader":
            thread.join(2)
            assert not thread.is_alive()
    assert len(made) <= 10


def test_an_error_while_reading_ahead_reaches_the_reader() -> None:
    def broken() -> Any:
        yield 1
        raise OSError("gone")

    items = prefetch(broken)
    assert next(items) == 1
    with pytest.raises(OSError, match="gone"):
        next(items)
