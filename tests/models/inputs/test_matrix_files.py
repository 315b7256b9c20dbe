"""open_rows: numbers straight from files, and what is said of files that are not as they should be."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq
import pytest

from softreg import SoftmaxRegression, open_rows
from softreg.models.inputs import matrix_files

N = 5000
RANDOM = np.random.default_rng(3)
FRAME = pd.DataFrame(RANDOM.normal(size=(N, 4)), columns=["a", "b, c", "🐝", "d"])
FRAME["y"] = np.where(FRAME["a"] + RANDOM.logistic(size=N) > 0, "007", "NA")
PLAIN = SoftmaxRegression(1e-3).fit(FRAME.drop(columns="y"), FRAME["y"])


def write(frame: pd.DataFrame, path: Path) -> Path:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    if path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=1700, write_page_checksum=True)
    elif path.suffix in (".arrow", ".feather"):
        pyarrow.feather.write_feather(table, path, compression="lz4", chunksize=1700)
    else:
        frame.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    return path


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".tsv", ".arrow", ".feather"])
def test_a_file_is_its_rows(ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix_files, "CSV_BLOCK", 50_000)
    monkeypatch.setattr(matrix_files, "BATCH_ROWS", 700)
    rows = open_rows(write(FRAME, tmp_path / f"train{ending}"), target="y")
    model = SoftmaxRegression(1e-3).fit(rows)
    np.testing.assert_array_equal(model.coef_, PLAIN.coef_)
    assert model.classes_.tolist() == ["007", "NA"]
    assert list(model.feature_names_in_) == list(FRAME.columns[:4])
    features = FRAME.drop(columns="y")
    np.testing.assert_array_equal(model.predict_proba(rows), model.predict_proba(features))
    alone = open_rows(write(features, tmp_path / f"test{ending}"))
    np.testing.assert_array_equal(model.predict(alone), model.predict(features))
    assert rows.n_rows == (N if ending == ".parquet" else None)


def test_several_files_are_one(tmp_path: Path) -> None:
    parts = [write(FRAME[a:b], tmp_path / f"{a}.parquet") for a, b in ((0, 2000), (2000, N))]
    np.testing.assert_array_equal(SoftmaxRegression(1e-3).fit(open_rows(parts, "y")).coef_, PLAIN.coef_)
    other = write(FRAME[["a", "y"]], tmp_path / "other.parquet")
    with pytest.raises(ValueError, match=r"'other.parquet' are not those of '0.parquet'"):
        open_rows([parts[0], other], "y")
    with pytest.raises(ValueError, match="no file to open"):
        open_rows([])


@pytest.mark.parametrize("name", ["train.csv.gz", "train.tsv.zst", "train.parquet.bz2", "train.arrow.gz"])
def test_a_compressed_file_is_its_rows(name: str, tmp_path: Path) -> None:
    plain = write(FRAME, tmp_path / name.rpartition(".")[0])
    codec = {"gz": "gzip", "zst": "zstd", "bz2": "bz2"}[name.rpartition(".")[2]]
    with pa.CompressedOutputStream(str(tmp_path / name), codec) as packed:
        packed.write(plain.read_bytes())
    np.testing.assert_array_equal(fit(tmp_path / name).coef_, PLAIN.coef_)
    (tmp_path / f"cut.{name}").write_bytes((tmp_path / name).read_bytes()[:-2000])
    with pytest.raises(ValueError, match=r"is not a complete|cannot be read to its end"):
        fit(tmp_path / f"cut.{name}")


def test_a_quote_left_open_in_a_compressed_file_is_named(tmp_path: Path) -> None:
    lines = ["x,y", *[f"{i % 7},{'ab'[i % 2]}" for i in range(100)]]
    lines[50] = '1,"a'
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress("\n".join(lines).encode()))
    with pytest.raises(ValueError, match=r"line 51 of 't.csv.gz' opens a quote that is not closed"):
        fit(tmp_path / "t.csv.gz")


def test_the_first_bytes_decide_before_the_ending(tmp_path: Path) -> None:
    for written, name in (("a.parquet", "a.numbers"), ("b.arrow", "b.csv"), ("c.csv", "c.txt")):
        write(FRAME, tmp_path / written).rename(tmp_path / name)
        np.testing.assert_array_equal(fit(tmp_path / name).coef_, PLAIN.coef_)
    table = pa.Table.from_pandas(FRAME, preserve_index=False)
    with pa.ipc.new_stream(tmp_path / "stream.arrows", table.schema) as stream:
        stream.write_table(table)
    np.testing.assert_array_equal(fit(tmp_path / "stream.arrows").coef_, PLAIN.coef_)


def test_formats_that_are_not_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "lines.jsonl").write_text('{"x": 1, "y": "a"}\n')
    with ZipFile(tmp_path / "packed.zip", "w") as archive:
        archive.writestr("a.csv", "x,y\n1,a\n")
    for name, kind in (("lines.jsonl", "a JSON file"), ("packed.zip", "a zip archive")):
        with pytest.raises(ValueError, match=f"'{name}' is {kind}, which open_rows does not read"):
            open_rows(tmp_path / name)


def test_weights_columns_left_out_and_float32(tmp_path: Path) -> None:
    frame = FRAME.assign(w=RANDOM.integers(0, 3, N).astype(float), id=np.arange(N))
    frame = frame.astype(dict.fromkeys(FRAME.columns[:4], np.float32))
    rows = open_rows(write(frame, tmp_path / "t.parquet"), "y", weight="w", drop=["id"])
    plain = SoftmaxRegression(1e-3).fit(frame[FRAME.columns[:4]], frame["y"], sample_weight=frame["w"])
    np.testing.assert_array_equal(SoftmaxRegression(1e-3).fit(rows).coef_, plain.coef_)


def test_integer_labels_stay_numbers_in_parquet(tmp_path: Path) -> None:
    frame = FRAME.assign(y=(FRAME["y"] == "NA") * 3)
    assert SoftmaxRegression(1e-3).fit(open_rows(write(frame, tmp_path / "t.parquet"), "y")).classes_.tolist() == [0, 3]


def fit(path: Path, target: str = "y", **more: Any) -> SoftmaxRegression:
    return SoftmaxRegression(1e-3).fit(open_rows(path, target, **more))


def test_files_that_are_not_as_they_should_be(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no file"):
        fit(tmp_path / "missing.parquet")
    (tmp_path / "train.numbers").write_text("x,y\n1,a\n")
    with pytest.raises(ValueError, match="ends in none of"):
        fit(tmp_path / "train.numbers")
    good = write(FRAME, tmp_path / "train.parquet")
    with pytest.raises(ValueError, match="no column 'label'; there are 'a', 'b, c'"):
        fit(good, "label")
    with pytest.raises(ValueError, match="no column left"):
        fit(good, drop=["a", "b, c", "🐝", "d"])
    (tmp_path / "cut.parquet").write_bytes(good.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"'cut\.parquet' is not a complete PARQUET file"):
        fit(tmp_path / "cut.parquet")
    text = write(FRAME.assign(d="much"), tmp_path / "text.parquet")
    with pytest.raises(ValueError, match=r"column 'd' of 'text.parquet' holds (large_)?string, not numbers.*drop="):
        fit(text)


def test_a_file_that_ends_or_turns_bad_in_the_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrix_files, "CSV_BLOCK", 50_000)
    good = write(FRAME, tmp_path / "train.parquet")
    middle = bytearray(good.read_bytes())
    middle[len(middle) // 2 : len(middle) // 2 + 4000] = bytes(4000)
    (tmp_path / "bad.parquet").write_bytes(middle)
    with pytest.raises((ValueError, OSError), match=r"'bad.parquet' cannot be read to its end"):
        fit(tmp_path / "bad.parquet")
    lines = write(FRAME, tmp_path / "train.csv").read_text().split("\n")
    for name, line, expected in (("word", "1.5,two,3,4,NA", "two"), ("short", "1.5,2", "columns")):
        path = tmp_path / f"{name}.csv"
        path.write_text("\n".join([*lines[:4000], line, *lines[4000:]]))
        with pytest.raises(ValueError, match=f"'{name}.csv' cannot be read to its end.*{expected}"):
            fit(path)
    (tmp_path / "gap.csv").write_text("\n".join([*lines[:4000], ",2,3,4,NA", *lines[4000:]]))
    with pytest.raises(ValueError, match=r"'a' has a missing value|cannot be read to its end"):
        fit(tmp_path / "gap.csv")


def test_two_columns_of_one_name(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array([1.0, 2.0])] * 2 + [pa.array([0, 1])], names=["x", "x", "y"])
    pq.write_table(table, tmp_path / "twice.parquet")
    with pytest.raises(ValueError, match="two columns 'x'"):
        fit(tmp_path / "twice.parquet")
