"""Fragments of Parquet tables: all rows once, in order, with their numbers; changed files and other formats refused."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from softreg.rows.cluster.fragments import FragmentError
from softreg.tables import TableError, open_table
from softreg.tables.columns.row_location import input_row_numbers, read_location
from softreg.tables.io import parquet_fragments as module
from softreg.tables.io.parquet_fragments import parquet_fragments


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(module, "MIN_FRAGMENT_ROWS", 50)
    for part, size in (("a", 130), ("b", 0), ("c", 70)):
        rows = pa.table({"x": np.arange(size, dtype=float), "note": ["NA"] * size})
        (tmp_path / f"part={part}").mkdir()
        pq.write_table(rows, tmp_path / f"part={part}" / "rows.parquet", row_group_size=30)
    return tmp_path


def test_fragments_hold_all_rows_in_order(folder: Path) -> None:
    table = open_table(folder, na=["NA"])
    fragments = parquet_fragments(table)
    assert [(part.first, part.n_rows, part.row_groups) for part in fragments] == [
        (0, 60, (0, 1)),
        (60, 60, (2, 3)),
        (120, 10, (4,)),
        (130, 60, (0, 1)),
        (190, 10, (2,)),
    ]
    copies = pickle.loads(pickle.dumps(fragments))
    assert copies == fragments
    assert set(copies) == set(fragments)
    read = [batch for part in copies for batch in part.batches(table.schema)]
    assert pa.Table.from_batches(read).to_pydict() == pa.Table.from_batches(table.batches()).to_pydict()
    numbers = np.concatenate([input_row_numbers(batch) for batch in read])
    np.testing.assert_array_equal(numbers, np.arange(1, 201))
    assert read_location(read[-1]).row(9).startswith("row 70 of ")
    (narrow,) = copies[-1].batches(table.schema, ["part"])
    assert narrow.to_pydict() == {"part": ["c"] * 10}


def test_changed_and_missing_files_are_named(folder: Path) -> None:
    table = open_table(folder)
    fragments = parquet_fragments(table)
    path = folder / "part=c" / "rows.parquet"
    os.utime(path, ns=(1, 1))
    list(fragments[0].batches(table.schema))
    with pytest.raises(FragmentError, match=r"rows 1 to 60 of '.*part=c/rows.parquet' have changed"):
        list(fragments[3].batches(table.schema))
    path.unlink()
    with pytest.raises(FragmentError, match=r"cannot be read: No such file .*Every worker needs"):
        list(fragments[3].batches(table.schema))


def test_other_formats_and_types_are_refused(tmp_path: Path) -> None:
    rows = pa.table({"x": [1.0, 2.0], "y": ["a", "b"]})
    pa_csv.write_csv(rows, tmp_path / "rows.csv")
    with pytest.raises(TableError, match=r"rows.csv' is not a Parquet file.*leave --cluster out"):
        parquet_fragments(open_table(tmp_path / "rows.csv"))
    pq.write_table(rows, tmp_path / "a.parquet")
    pq.write_table(rows.set_column(0, "x", pa.array(["u", "v"])), tmp_path / "b.parquet")
    with pytest.raises(TableError, match=r"Column 'x' has the type double in .*a.parquet' and string in .*b.parquet'"):
        parquet_fragments(open_table(tmp_path / "*.parquet"))
