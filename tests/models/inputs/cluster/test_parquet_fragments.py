"""Row groups of Parquet files as batches: their columns, how they are divided, and one error for each fault."""

from __future__ import annotations

import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.sparse as sp

from softreg.models.inputs.cluster import parquet_fragments as module
from softreg.models.inputs.cluster.parquet_fragments import BatchColumns, parquet_fragments
from softreg.models.inputs.cluster.vector_columns import vectors_to_matrix
from softreg.rows.cluster.fragments import FragmentError

SPARK_VECTOR = pa.struct(
    [("type", pa.int8()), ("size", pa.int32()), ("indices", pa.list_(pa.int32())), ("values", pa.list_(pa.float64()))]
)


def table(n: int = 10) -> pa.Table:
    return pa.table({"x": np.arange(n, dtype=float), "k": np.arange(n) % 3, "y": ["no", "yes"] * (n // 2)})


def test_row_groups_are_joined_up_to_a_number_of_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for k in range(2):
        pq.write_table(table(), tmp_path / f"part-{k}.parquet", row_group_size=2)
    (tmp_path / "_temporary").mkdir()
    pq.write_table(table(), tmp_path / "_temporary" / "part-3.parquet")
    monkeypatch.setattr(module, "FRAGMENT_VALUES", 8)  # two columns of four rows
    monkeypatch.chdir(tmp_path.parent)
    fragments = parquet_fragments(tmp_path.name, label="y")  # workers may have another working directory
    assert [(fragment.first, fragment.stop) for fragment in fragments] == [(0, 2), (2, 4), (4, 5)] * 2
    read = [fragment.read() for fragment in fragments]
    assert np.concatenate([X.column("x").to_numpy() for X, _ in read]).tolist() == [*range(10)] * 2
    assert np.concatenate([y for _, y in read]).tolist() == ["no", "yes"] * 10
    assert fragments[0].name == f"row groups 0 to 1 of '{tmp_path}/part-0.parquet'"
    assert len({*fragments}) == 6


@pytest.mark.parametrize(
    ("columns", "fault"),
    [
        ({"label": "z"}, "no column 'z'; the columns are 'x', 'k', 'y'"),
        ({"label": "y", "weight": "x", "features": ["x"]}, "'x' is used twice"),
        ({"label": "y", "features": []}, "no column left as a feature"),
        ({"label": "x"}, r"do not hold numbers: 'y' \(string\)\. Encode them as numbers, or name"),
        ({"label": "x", "features": "k", "weight": "y"}, "weights 'y' holds string, not numbers"),
    ],
)
def test_columns_that_cannot_be_used(columns: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        BatchColumns.choose(table().schema, **columns)


def test_other_columns_are_listed_with_the_way_out() -> None:
    schema = pa.schema([("v", pa.list_(pa.float32())), ("d", pa.date32()), ("y", pa.decimal128(5, 2))])
    with pytest.raises(
        ValueError, match=r"'v' \(list<.*>\), 'd' \(date32.*features=\[...\], or features='v' for vectors"
    ):
        BatchColumns.choose(schema, "y")
    with pytest.raises(ValueError, match="labels 'y' holds decimal"):
        BatchColumns.choose(schema, "y", "v")
    with pytest.raises(ValueError, match="there are two columns 'a'"):
        BatchColumns.choose(pa.schema([("a", pa.int8()), ("a", pa.int8()), ("y", pa.int8())]), "y")


def test_decimals_and_weights_are_numbers(tmp_path: Path) -> None:
    weights = pa.array([Decimal("0.5"), Decimal("2.0")], pa.decimal128(5, 1))
    pq.write_table(pa.table({"x": weights, "t": [True, False], "y": [1, 0], "w": weights}), tmp_path / "d.parquet")
    (fragment,) = parquet_fragments(tmp_path / "d.parquet", label="y", weight="w")
    X, y, weight = fragment.read()
    assert X.column("x").to_pylist() == weight.tolist() == [0.5, 2.0]
    assert (X.column_names, y.tolist()) == (["x", "t"], [1, 0])


def test_faults_of_files(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    with pytest.raises(FileNotFoundError, match="there is no file or folder"):
        parquet_fragments(path, label="y")
    with pytest.raises(FileNotFoundError, match=r"no file that ends in \.parquet"):
        parquet_fragments(tmp_path, label="y")
    pq.write_table(table().slice(0, 0), path)
    with pytest.raises(ValueError, match="there are no rows in"):
        parquet_fragments(path, label="y")
    pq.write_table(table(), path)
    (fragment,) = parquet_fragments(path, label="y")
    pq.write_table(table().slice(1), path)
    with pytest.raises(FragmentError, match=r"row group 0 of '.*rows\.parquet' changed since the fit began"):
        fragment.read()
    os.remove(path)
    with pytest.raises(FragmentError, match="cannot be read"):
        fragment.read()
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(ValueError, match=r"rows\.parquet' is not a complete Parquet file"):
        parquet_fragments(path, label="y")
    pq.write_table(table(), path)
    pq.write_table(table().rename_columns(["x", "j", "y"]), tmp_path / "other.parquet")
    with pytest.raises(ValueError, match=r"the columns of '.*rows\.parquet' are not those of '.*other\.parquet'"):
        parquet_fragments(tmp_path, label="y")
    (tmp_path / "_delta_log").mkdir()
    with pytest.raises(ValueError, match="is a Delta table"):
        parquet_fragments(tmp_path, label="y")


def test_missing_values_name_the_column(tmp_path: Path) -> None:
    pq.write_table(pa.table({"x": [1.0, None, None], "y": [0, 1, None]}), tmp_path / "gaps.parquet")
    (fragment,) = parquet_fragments(tmp_path / "gaps.parquet", label="y")
    with pytest.raises(ValueError, match=r"column 'x' has 2 missing values in row group 0 of .*subset=\['x'\]"):
        fragment.read()


def spark_vectors(rows: list[Any]) -> pa.ChunkedArray:
    """Vectors of Spark ML: lists for dense ones, (size, {index: value}) for sparse ones."""
    cells = [
        {"type": 1, "size": None, "indices": None, "values": row}
        if isinstance(row, list)
        else {"type": 0, "size": row[0], "indices": list(row[1]), "values": list(row[1].values())}
        for row in rows
    ]
    return pa.chunked_array([pa.array(cells[:1], SPARK_VECTOR), pa.array(cells[1:], SPARK_VECTOR)])


@pytest.mark.parametrize("sparse", [False, True])
def test_vectors_become_a_matrix(sparse: bool) -> None:
    expected = [[1.0, 0.0, 2.0], [0.0, 5.0, 0.0], [0.0, 0.0, 0.0]]
    mixed = spark_vectors([[1.0, 0.0, 2.0], (3, {1: 5.0}), (3, {})])
    for column in (mixed, spark_vectors(expected), pa.chunked_array([expected])):
        X = vectors_to_matrix(column, "v", sparse=sparse)
        assert sp.issparse(X) == sparse
        assert (X.toarray() if sparse else X).tolist() == expected
        assert not sparse or X.nnz == 3
    single = vectors_to_matrix(pa.chunked_array([pa.array([[1, 2]], pa.list_(pa.float32(), 2))]), "v", sparse=False)
    assert single.dtype == np.float32


@pytest.mark.parametrize(
    ("column", "fault"),
    [
        (pa.chunked_array([[[1.0, 2.0], [1.0]]]), "a vector of 1 elements in row 1, and others of 2"),
        (pa.chunked_array([[[1.0, None], [1.0, float("nan")]]]), "2 elements that are null, nan or infinite"),
        (spark_vectors([(2, {2: 1.0})]), "an index beyond its 2 elements"),
        (spark_vectors([[1.0, 2.0], (3, {})]), "a vector of 3 elements in row 1"),
    ],
)
def test_faults_of_vectors_name_the_column(column: Any, fault: str) -> None:
    with pytest.raises(ValueError, match=f"the column 'v' has .*{fault}"):
        vectors_to_matrix(column, "v", sparse=False)


def test_vectors_with_few_stored_values_are_sparse(tmp_path: Path) -> None:
    for values, sparse in (({0: 1.0}, True), (dict.fromkeys(range(15), 1.0), False)):
        vectors = pa.concat_arrays(spark_vectors([(50, values)] * 20).chunks)
        pq.write_table(pa.table({"v": vectors, "y": [0, 1] * 10}), tmp_path / "v.parquet", row_group_size=10)
        (fragment,) = parquet_fragments(tmp_path / "v.parquet", label="y", features="v")
        assert fragment.columns.sparse == sparse
        assert fragment.read()[0].shape == (20, 50)
