"""Tables trained on in batches: the model of the table in memory, bounded memory, errors that say where."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from softreg import TableClassifier
from softreg.splitmix import keyed_uniform
from softreg.tables import TableError, TableWarning, open_table
from softreg.tables.fit import memory_mode, table_scan
from softreg.tables.fit.row_sample import RowSampler
from softreg.tables.fit.table_scan import scan_table
from softreg.tables.io import file_readers


def mixed(n: int = 1200, seed: int = 0) -> pa.Table:
    """Numbers with holes and a heavy tail, a category with rare levels, a boolean, dates and free text."""
    draw = np.random.default_rng(seed)
    x, job = draw.normal(size=n), draw.integers(0, 30, n)
    words = np.array(["good", "fine", "bad", "poor", "thing", "shop"])
    y = np.argmax(np.stack([x, (job % 3) - 1.0, np.zeros(n)], 1) + draw.gumbel(size=(n, 3)), 1)
    return pa.table(
        {
            "x": [None if i % 17 == 0 else float(v) for i, v in enumerate(x)],
            "price": np.exp(2 * draw.normal(size=n)),
            "job": [f"job {j * j // 40}" for j in job],
            "member": draw.random(n) < 0.4,
            "day": np.datetime64("2024-01-01") + draw.integers(0, 600, n).astype("timedelta64[D]"),
            "said": [" ".join(words[draw.integers(0, 6, 4)]) + f" {i}" for i in range(n)],
            "label": [["007", "NA", "None"][k] for k in y],
        }
    )


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_readers, "MAX_BATCH_ROWS", 250)


@pytest.fixture
def files(tmp_path: Path, small_batches: None) -> Path:
    """The table in two files of a folder."""
    table, folder = mixed(), tmp_path / "parts"
    folder.mkdir()
    pq.write_table(table.slice(0, 700), folder / "a.parquet")
    pq.write_table(table.slice(700), folder / "b.parquet")
    return folder


@pytest.mark.parametrize("strength", [1e-3, "auto"])
@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_the_model_is_that_of_the_table_in_memory(
    tmp_path: Path, small_batches: None, strength: Any, ending: str
) -> None:
    table = mixed()
    path = tmp_path / f"t.{ending}"
    (pq.write_table if ending == "parquet" else pa_csv.write_csv)(table, path)
    held = TableClassifier("label", strength=strength, terms="linear", tol=1e-13).fit(path, memory="high")
    read = TableClassifier("label", strength=strength, terms="linear", tol=1e-13).fit(path, memory="low")
    assert read.describe() == held.describe()
    assert read.encoder_ == held.encoder_
    assert read.model_.strength == held.model_.strength
    assert read.classes_.tolist() == ["007", "NA", "None"]
    np.testing.assert_allclose(read.predict_proba(table), held.predict_proba(table), atol=1e-6)


@pytest.mark.parametrize("rows", [np.arange(0, 1200, 2), np.arange(1200) % 3 > 0])
def test_rows_that_are_asked_for(files: Path, rows: Any) -> None:
    held = TableClassifier("label", drop="said", terms="linear").fit(files, rows, memory="high")
    read = TableClassifier("label", drop="said", terms="linear").fit(files, rows, memory="low")
    assert read.encoder_ == held.encoder_
    np.testing.assert_allclose(read.predict_proba(mixed()), held.predict_proba(mixed()), atol=1e-6)


def test_a_sample_judges_and_all_rows_teach(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_scan, "SAMPLE", 300)
    same: dict[str, Any] = {"drop": "said", "numeric_form": {"price": "scores"}}  # the sample would choose it
    with pytest.warns(TableWarning, match="sample of 300 of the 1,200 rows"):
        model = TableClassifier("label", terms="linear", **same).fit(files, memory="low")
    whole = TableClassifier("label", strength=model.model_.strength, **same).fit(files, memory="high")
    assert model.encoder_ == whole.encoder_  # means, levels and normal scores are those of all rows
    np.testing.assert_allclose(model.predict_proba(mixed()), whole.predict_proba(mixed()), atol=1e-5)


@pytest.mark.parametrize("size", [37, 250, 5000])
def test_rows_held_out_do_not_depend_on_the_batches(files: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_readers, "MAX_BATCH_ROWS", size)
    monkeypatch.setattr(table_scan, "SAMPLE", 100)
    scan = scan_table(open_table(files), "label", seed=3, test_size=0.25)
    test = keyed_uniform(np.arange(1200), 3, 1) < 0.25
    assert (scan.rows, scan.tested) == (1200, test.sum())
    assert 200 < scan.tested < 400
    assert len(scan.held_numbers) == len(scan.numbers) == 100
    assert test[scan.held_numbers].all()
    assert not test[scan.numbers].any()
    expected = np.flatnonzero(test)
    best = np.sort(expected[np.argsort(keyed_uniform(expected, 3, 2))[:100]])
    np.testing.assert_array_equal(scan.held_numbers, best)
    assert scan.held is not None
    assert scan.held.column("said").to_pylist() == mixed().column("said").take(pa.array(best)).to_pylist()
    assert scan.counts == {one["values"]: one["counts"] for one in pc.value_counts(mixed()["label"]).to_pylist()}


def test_a_class_is_trained_on_however_rare(tmp_path: Path) -> None:
    table = pa.table({"x": np.arange(50.0) % 7, "y": ["a"] * 24 + ["b"] * 24 + ["rare"] * 2})
    pq.write_table(table, tmp_path / "t.parquet")
    scan = scan_table(open_table(tmp_path / "t.parquet"), "y", test_size=0.999)
    assert scan.trained == {"a": 1, "b": 1, "rare": 1}


def test_the_room_of_a_sample_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("softreg.tables.fit.row_sample.MAX_BYTES", 10_000)
    keeper = RowSampler(1000, 0)
    for first in range(0, 20_000, 500):
        keeper.add(pa.table({"x": np.arange(500.0)}), first, np.ones(500, dtype=bool))
        assert sum(part.nbytes for part in keeper.parts) <= 20_000
    table, numbers = keeper.sample()
    assert table is not None
    assert keeper.seen == 20_000
    assert 500 < table.num_rows <= 1000
    assert numbers.mean() == pytest.approx(10_000, abs=1500)  # spread over all of them


def spoiled(files: Path, column: str, row: int, value: Any) -> None:
    path = files / "b.parquet"
    table = pq.read_table(path)
    cells = [value if i == row else str(v) for i, v in enumerate(table[column].to_pylist())]
    place = table.schema.get_field_index(column)
    pq.write_table(table.set_column(place, column, pa.array(cells)), path)
    table = pq.read_table(files / "a.parquet")
    pq.write_table(table.set_column(place, column, pc.cast(table[column], pa.string())), files / "a.parquet")


@pytest.mark.parametrize("sample", [100_000, 200])
def test_a_value_that_breaks_the_schema_is_named_with_file_and_row(
    files: Path, sample: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_scan, "SAMPLE", sample)
    spoiled(files, "price", 321, "cheap")
    with pytest.raises(TableError, match="cheap") as caught:
        TableClassifier("label", drop=["said", "x"], number="price").fit(files, memory="low")
    assert "row 322" in str(caught.value)
    assert "b.parquet" in str(caught.value)


def test_a_row_without_a_label_is_named_with_file_and_row(files: Path) -> None:
    spoiled(files, "label", 41, None)
    with pytest.raises(TableError, match=r"no label in row 42 of '.*b\.parquet'"):
        TableClassifier("label", missing_target="error").fit(files, memory="low")


def test_labels_that_are_no_classes(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"x": np.arange(100.0) % 7, "one": ["a"] * 100, "many": np.arange(100) / 7}), path)
    for target, words in (("one", "one class only"), ("many", "100 different values"), ("none", "no target column")):
        with pytest.raises(TableError, match=words):
            TableClassifier(target).fit(path, memory="low")
    with pytest.raises(TableError, match="expected 'auto', 'low' or 'high'"):
        TableClassifier("one").fit(path, memory="some")  # type: ignore[arg-type]
    with pytest.raises(TableError, match="in memory already"):
        TableClassifier("one").fit(pq.read_table(path), memory="low")


@pytest.mark.parametrize("last", [3.0, 2.5])
def test_float_labels_are_written_alike_in_every_batch(tmp_path: Path, small_batches: None, last: float) -> None:
    draw = np.random.default_rng(0)
    y = np.where(np.arange(600) < 500, draw.integers(1, 3, 600), last)
    pq.write_table(pa.table({"x": draw.normal(size=600), "y": y}), tmp_path / "t.parquet")
    held, read = (TableClassifier("y").fit(tmp_path / "t.parquet", memory=how) for how in ("high", "low"))  # type: ignore[arg-type]
    assert read.classes_.tolist() == held.classes_.tolist()


def test_the_size_of_the_files_decides(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not memory_mode.is_large(open_table(files))
    size = sum(path.stat().st_size for path in files.iterdir())
    monkeypatch.setattr(memory_mode, "LARGE", size - 1)
    assert memory_mode.is_large(open_table(files))
    assert not memory_mode.is_large(open_table(files), "high")
    monkeypatch.setattr(memory_mode, "LARGE", size)
    assert not memory_mode.is_large(open_table(files))


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells its memory there")
def test_memory_holds_few_of_the_rows(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    schema = pa.schema([(f"x{j}", pa.float32()) for j in range(20)] + [("y", pa.string())])
    with pq.ParquetWriter(path, schema) as writer:
        for seed in range(15):
            draw = np.random.default_rng(seed)
            X = draw.standard_normal((100_000, 20), dtype=np.float32)
            y = np.array(["a", "b", "c"])[(X[:, :3] + draw.gumbel(size=(100_000, 3))).argmax(1)]
            writer.write_table(pa.table([*X.T, y], schema=schema))
    code = """
        import sys
        from softreg import TableClassifier
        from softreg.tables.fit import table_scan

        table_scan.SAMPLE = 10_000

        def resident(name):
            return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name)) / 1024

        before = resident("VmRSS")
        model = TableClassifier("y", strength=1e-3).fit(sys.argv[1], memory="low")
        print(model.model_.solution_.gap, resident("VmHWM") - before)
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    gap, extra = map(float, done.stdout.split())
    assert gap <= 1e-6
    assert extra < 240  # MB; X of all rows is 240, in memory with the table 480


def test_a_constant_column_of_the_sample_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table_scan, "SAMPLE", 50)
    x = np.arange(2000.0) % 7
    same = np.zeros(2000)
    pq.write_table(pa.table({"x": x, "same": same, "y": np.arange(2000) % 2}), tmp_path / "t.parquet")
    with pytest.warns(TableWarning, match="column 'same' holds one value in every training row and is left out"):
        TableClassifier("y").fit(tmp_path / "t.parquet", memory="low")


def test_no_warning_where_the_sample_is_all_rows(files: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        TableClassifier("label", strength="auto", drop="said").fit(files, memory="low")


def test_a_table_without_rows(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": pa.array([], pa.float64()), "y": pa.array([], pa.float64())}), tmp_path / "t.parquet")
    with pytest.raises(TableError, match="no rows"):
        TableClassifier("y").fit(tmp_path / "t.parquet", memory="low")
