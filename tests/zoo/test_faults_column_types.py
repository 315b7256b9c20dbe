"""Faults found by trying it: types of columns, in files and frames, that Arrow or pandas has."""

from __future__ import annotations

import warnings
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from softreg import TableClassifier, load
from softreg.tables import TableError, as_table, labels, open_table, read_table, table_statistics
from softreg.tables.columns.arrow_types import common_arrow_type, plain_array
from softreg.tables.columns.row_location import RowLocation
from softreg.tables.schema.typed_values import require_numbers

from .helpers import run

N = 60
LABELS = ["no", "yes"] * (N // 2)
X = (np.arange(N) * 7 % 13).astype(float)


# B1: columns of several files


OTHERS = {
    "float64": pa.array(X * 1.5),
    "decimal": pa.array([Decimal(int(v)) for v in X], pa.decimal128(20, 0)),
    "uint64": pa.array(np.arange(N, dtype=np.uint64) + np.uint64(2**63)),
    "string": pa.array([f"k{i}" for i in range(N)]),
    "struct": pa.array([{"a": 1}] * N),
    "timestamp": pa.array(range(N), pa.timestamp("s")),
}


def two_files(folder: Path, other: pa.Array, first: pa.Array | None = None, name: str = "code") -> Path:
    folder = folder / "data"
    folder.mkdir(exist_ok=True)
    first = pa.array(np.arange(N) + 2**53 + 1) if first is None else first
    for i, column in enumerate((first, other)):
        pq.write_table(pa.table({name: column, "x": X + i, "y": LABELS}), folder / f"{i}.parquet")
    return folder


@pytest.mark.parametrize("memory", ["high", "low"])
@pytest.mark.parametrize("other", OTHERS)
def test_fault_b1_columns_that_are_not_used_are_not_cast(tmp_path: Path, other: str, memory: str) -> None:
    data = two_files(tmp_path, OTHERS[other])
    model = tmp_path / "m.softreg"
    shared = ("--target", "y", "--drop", "code")
    done = run("train", data, *shared, "--strength", "1", "--model", model, "--memory", memory)
    assert done.exit_code == 0, done.stderr
    assert run("predict", model, data, "-o", tmp_path / "out.csv").exit_code == 0
    assert run("evaluate", model, data).exit_code == 0
    assert run("statistics", data, *shared).exit_code == 0
    fitted = TableClassifier("y", drop="code", strength=1.0).fit(data)
    assert fitted.predict_proba(data).shape == (2 * N, 2)
    np.testing.assert_allclose(load(model).predict_proba(data), fitted.predict_proba(data), atol=0.2)


@pytest.mark.parametrize("other", ["float64", "string", "struct", "timestamp"])
def test_fault_b1_a_column_in_use_that_has_no_type_is_one_sentence(tmp_path: Path, other: str) -> None:
    done = run("train", two_files(tmp_path, OTHERS[other]), "--target", "y", "--strength", "1")
    assert done.exit_code == 2
    said = done.stderr.strip().splitlines()[-1]
    assert said.startswith("softreg: Column 'code' has the type int64 in ")
    assert "0.parquet" in said
    assert "--drop 'code'" in said
    with pytest.raises(TableError, match=r"Column 'code' has the type int64 in .*0\.parquet"):
        read_table(tmp_path / "data")
    assert open_table(tmp_path / "data").ignoring(["code"]).read().num_rows == 2 * N


def test_fault_b1_whole_numbers_with_and_without_a_sign_and_decimals_stay_exact(tmp_path: Path) -> None:
    for kind in ("decimal", "uint64"):
        table = read_table(two_files(tmp_path, OTHERS[kind]))
        assert table["code"].to_pylist()[0] == 2**53 + 1
        assert table["code"].to_pylist()[N:] == [int(v) for v in OTHERS[kind].to_pylist()]
    assert common_arrow_type([pa.date32(), pa.timestamp("us")]) == pa.timestamp("us")
    assert common_arrow_type([pa.string(), pa.dictionary(pa.int8(), pa.large_string())]) == pa.large_string()
    assert common_arrow_type([pa.bool_(), pa.int64()]) is None


# B2: intervals and periods


@pytest.mark.parametrize("source", ["cut", "qcut", "interval", "parquet"])
def test_fault_b2_intervals_are_a_category_with_their_names(tmp_path: Path, source: str) -> None:
    cut = pd.qcut(X, 3) if source == "qcut" else pd.cut(X, [-1, 4, 8, 20])
    column = cut if source in ("cut", "qcut") else pd.array(cut.astype(object), dtype="interval[int64, right]")
    frame = pd.DataFrame({"size": column, "x": X, "y": LABELS})
    data: Any = frame
    if source == "parquet":
        data = tmp_path / "t.parquet"
        frame.to_parquet(data)
    model = TableClassifier("y", strength=1.0).fit(data)
    assert model.schema_.columns[0].levels == tuple(sorted(str(one) for one in cut.categories))
    assert set(TableClassifier("size", strength=1.0).fit(data).classes_) == {str(one) for one in cut.categories}


@pytest.mark.parametrize("how", ["left", "right", "both", "neither"])
def test_fault_b2_an_interval_says_which_ends_are_closed(how: Any) -> None:
    intervals = pd.arrays.IntervalArray.from_breaks([0.5, 1.25, 2.0], closed=how)
    read = as_table(pd.DataFrame({"size": intervals}))["size"].to_pylist()
    assert read == [str(one) for one in intervals]


@pytest.mark.parametrize("frequency", ["M", "D", "Y", "Q", "W"])
def test_fault_b2_periods_are_their_names(tmp_path: Path, frequency: str) -> None:
    periods = pd.period_range("2020-01", periods=6, freq=frequency).repeat(10)
    for column in (periods, pd.Categorical(periods), pd.Series(list(periods), dtype=object)):
        frame = pd.DataFrame({"when": column, "x": X, "y": LABELS})
        assert labels(as_table(frame), "when").tolist() == [str(one) for one in periods]
        assert len(TableClassifier("when", strength=1.0).fit(frame).classes_) == 6
        assert "when" in {column.name for column in TableClassifier("y", strength=1.0).fit(frame).schema_.features}
    frame = pd.DataFrame({"when": periods, "x": X, "y": LABELS})
    frame.to_parquet(tmp_path / "t.parquet")
    assert labels(read_table(tmp_path / "t.parquet"), "when").tolist() == [str(one) for one in periods]


# B3: every type of Arrow


def test_fault_b3_a_type_that_is_not_understood_is_named_and_can_be_left_out(tmp_path: Path) -> None:
    odd = {
        "span": pa.array([pa.MonthDayNano([1, 2, 3])] * N),
        "pair": pa.array([{"a": 1}] * N),
        "view": pa.StructArray.from_arrays([pa.array(["a"] * N, pa.string_view())], ["text"]),
        "map": pa.array([[("a", 1)]] * N, pa.map_(pa.string(), pa.int64())),
        "raw": pa.array([b"a"] * N, pa.binary_view()),
        "mars": pa.array([1] * N, pa.timestamp("s", "Mars/Phobos")),
    }
    for name, column in odd.items():
        table = pa.table({name: column, "x": X, "y": LABELS})
        with pa.ipc.new_file(tmp_path / "t.arrow", table.schema) as file:
            file.write_table(table)
        done = run("train", tmp_path / "t.arrow", "--target", "y", "--strength", "1")
        assert done.exit_code == 2
        assert f"Column '{name}' has the type " in done.stderr
        assert f"--drop '{name}'" in done.stderr
        for memory in ("high", "low"):
            shared = ("--target", "y", "--strength", "1", "--drop", name, "--memory", memory)
            assert run("train", tmp_path / "t.arrow", *shared).exit_code == 0
        assert "the type struct<text: string_view>;" in done.stderr or name != "view"


def same(name: str, column: Any) -> tuple[pa.Array, pa.Array]:
    """A column in an unusual type, and the same values in a usual one."""
    text = pa.array(["u", "v", None, "w"] * (N // 4))
    whole, letters = pa.array(X.astype(np.int16)), pa.array(list("abcdefghijklm"))
    return {
        "string view": (text.cast(pa.string_view()), text),
        "runs": (pa.RunEndEncodedArray.from_arrays(pa.array([20, 40, N]), pa.array([1.5, None, 2.5])),
                 pa.array([1.5] * 20 + [None] * 20 + [2.5] * 20)),
        "half": (pa.array(X.astype(np.float16)), pa.array(X)),
        "decimal32": (whole.cast(pa.decimal128(9, 2)).cast(pa.decimal32(9, 2)), whole),
        "decimal256": (whole.cast(pa.decimal256(70, 2)), whole),
        "dictionary of dates": (whole.cast(pa.int32()).cast(pa.date32()).dictionary_encode(),
                                whole.cast(pa.int32()).cast(pa.date32())),
        "dictionary of text views": (pa.DictionaryArray.from_arrays(whole, letters.cast(pa.string_view())),
                                     letters.take(whole).dictionary_encode()),
        "time32": (whole.cast(pa.int32()).cast(pa.time32("s")), pa.array(X.astype(np.int64) * 10**6, pa.time64("us"))),
        "bool8": (pa.ExtensionArray.from_storage(pa.bool8(), pa.array([0, 1, 1] * (N // 3), pa.int8())),
                  pa.array([False, True, True] * (N // 3))),
        "list view": (pa.array([["a", "b"], [], None] * (N // 3), pa.list_view(pa.string_view())),
                      pa.array([["a", "b"], [], None] * (N // 3))),
        "vector": (pa.array([[1, 2], None, [3, 5]] * (N // 3), pa.list_(pa.float16(), 2)),
                   pa.array([[1.0, 2], None, [3, 5]] * (N // 3))),
        "nanoseconds": (pa.array(np.arange(N) * 10**12, pa.timestamp("ns")),
                        pa.array(np.arange(N) * 1000, pa.timestamp("s"))),
    }[name]  # fmt: skip


NAMES = (
    "string view", "runs", "half", "decimal32", "decimal256", "dictionary of dates", "dictionary of text views",
    "time32", "bool8", "list view", "vector", "nanoseconds",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_fault_e3_a_type_gives_the_model_that_the_same_values_give(tmp_path: Path, name: str) -> None:
    odd, usual = same(name, X)
    first, second = (pa.table({"c": column, "x": X, "y": LABELS}) for column in (odd, usual))
    with pa.ipc.new_file(tmp_path / "t.arrow", first.schema) as file:
        file.write_table(first, max_chunksize=17)
    rows = np.arange(0, N - 3)
    models = [TableClassifier("y", strength=0.1).fit(data, rows) for data in (tmp_path / "t.arrow", first, second)]
    models.append(TableClassifier("y", strength=0.1).fit(tmp_path / "t.arrow", rows, memory="low"))
    assert models[0].schema_.features[0].kind == models[2].schema_.features[0].kind
    for model in models:
        for table in (first, second):
            np.testing.assert_allclose(model.predict_proba(table), models[2].predict_proba(second), atol=1e-6)


def test_fault_e3_times_beyond_the_calendar_are_numbers_of_seconds(tmp_path: Path) -> None:
    far = pa.array([2**62, -(2**62), 0] * (N // 3), pa.timestamp("s", "Europe/Berlin"))
    day = pa.array([2**31 - 1, -(2**31), 7] * (N // 3), pa.date32())
    table = pa.table({"far": far, "day": day, "x": X, "y": LABELS})
    with pa.ipc.new_file(tmp_path / "t.arrow", table.schema) as file:
        file.write_table(table)
    report = tmp_path / "r.html"
    done = run("train", tmp_path / "t.arrow", "--target", "y", "--strength", "1", "--report", report)
    assert done.exit_code == 0, done.stderr
    assert "far" in report.read_text()


def test_plain_arrays_of_slices_are_those_of_the_slice() -> None:
    runs = pa.RunEndEncodedArray.from_arrays(
        pa.array([2, 3, 6], pa.int32()), pa.array(["a", "b", None], pa.string_view())
    )
    assert plain_array(runs.slice(1, 4)).to_pylist() == ["a", "b", None, None]
    lists = pa.array([["a"], None, ["b", None], []], pa.large_list_view(pa.string_view()))
    assert plain_array(lists.slice(1)).to_pylist() == [None, ["b", None], []]


# C6: frames


def test_fault_c6_sparse_columns_of_pandas_are_read() -> None:
    frame = pd.DataFrame(
        {"a": pd.arrays.SparseArray(X), "b": pd.arrays.SparseArray(["u", "v"] * (N // 2)), "y": LABELS}
    )
    frame["c"] = pd.arrays.SparseArray((X > 5).astype(int), fill_value=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dense = pd.DataFrame({name: np.asarray(frame[name]) for name in frame})
    P = TableClassifier("y", strength=0.1).fit(frame).predict_proba(dense)
    np.testing.assert_array_equal(TableClassifier("y", strength=0.1).fit(dense).predict_proba(frame), P)


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_fault_e3_a_column_of_a_frame_that_cannot_be_read_is_named(library: str) -> None:
    mixed = [1, "a", 2.5] * (N // 3)
    frame: Any = pd.DataFrame({"mixed": mixed, "x": X, "y": LABELS})
    if library == "polars":
        frame = pl.DataFrame({"mixed": pl.Series([object()] * N, dtype=pl.Object), "x": X, "y": LABELS})
    with pytest.raises(TableError, match=r"Column 'mixed' .*drop=\['mixed'\]"):
        TableClassifier("y", strength=1.0).fit(frame)
    model = TableClassifier("y", strength=1.0, drop="mixed").fit(frame)
    assert model.predict_proba(frame).shape == (N, 2)
    assert table_statistics(frame, "y", drop=["mixed"]).inference.n == N


def test_fault_c6_whole_numbers_beyond_64_bits_are_kept() -> None:
    frame = pd.DataFrame({"big": [2**70, 2**70 + 1] * (N // 2), "x": X})
    assert labels(as_table(frame), "big").tolist()[:2] == [str(2**70), str(2**70 + 1)]
    assert require_numbers("big", as_table(frame)["big"], RowLocation())[0] == 2.0**70
