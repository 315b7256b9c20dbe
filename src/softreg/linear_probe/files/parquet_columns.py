"""Embeddings and labels in Parquet files: a column of lists of numbers, columns of numbers, a column of labels."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from softreg.linear_probe.files.named_arrays import NamedArray
from softreg.typing import Array

NARROW = (np.float16, np.float32)
"""Types of columns that are read as float32."""


def parquet_arrays(path: Path) -> list[NamedArray]:
    """Return the columns of a Parquet file: lists of numbers have two axes, others one.

    Parameters
    ----------
    path : Path

    Returns
    -------
    list of NamedArray

    Raises
    ------
    ValueError
        If the file is damaged.
    """
    try:
        file = pq.ParquetFile(path)
        schema, rows = file.schema_arrow, int(file.metadata.num_rows)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path.name!r} is not a complete Parquet file: {str(error).splitlines()[0]}") from None
    arrays = []
    for field in schema:
        if is_list(field.type):
            width = field.type.list_size if pa.types.is_fixed_size_list(field.type) else 0
            arrays.append(NamedArray(field.name, (rows, width), partial(_load_lists, path, field.name)))
        else:
            arrays.append(NamedArray(field.name, (rows,), partial(_load_values, path, field.name)))
    return arrays


def number_matrix(path: Path, but: str | None) -> NamedArray:
    """Return all columns of numbers of a Parquet file, but for one that holds the labels, as one array.

    Parameters
    ----------
    path : Path
    but : str or None

    Returns
    -------
    NamedArray

    Raises
    ------
    ValueError
        If there is no such column.
    """
    schema = pq.ParquetFile(path).schema_arrow
    names = [field.name for field in schema if _is_number(field.type) and field.name != but]
    if not names:
        raise ValueError(f"{path.name!r} has neither a column of lists of numbers nor columns of numbers.")

    def load() -> Array:
        table = _read(path, names)
        narrow = all(field.type.to_pandas_dtype() in NARROW for field in table.schema)
        X = np.empty((table.num_rows, len(names)), np.float32 if narrow else np.float64)
        for k, name in enumerate(names):
            X[:, k] = table.column(name).to_numpy()  # a missing number is nan
        return X

    return NamedArray("", (int(pq.ParquetFile(path).metadata.num_rows), len(names)), load)


def is_list(kind: pa.DataType) -> bool:
    """Return True if an Arrow type is that of lists of numbers."""
    types = pa.types
    lists = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return bool(lists and _is_number(kind.value_type))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def _read(path: Path, names: list[str]) -> pa.Table:
    try:
        return pq.read_table(path, columns=names)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path.name!r} cannot be read to its end: {str(error).splitlines()[0]}") from None


def _load_lists(path: Path, name: str) -> Array:
    """Return a column of lists of equal lengths as an array (n, d) in the type of its numbers."""
    column = _read(path, [name]).column(name)
    first, parts, width = 0, [], None
    for chunk in column.chunks:
        if chunk.null_count:
            row = first + int(np.argmax(chunk.is_null().to_numpy(zero_copy_only=False)))
            raise ValueError(f"row {row} of the column {name!r} of {path.name!r} has no list; leave such rows out.")
        lengths = _lengths(chunk)
        width = int(lengths[0]) if width is None and len(lengths) else width
        if (lengths != width).any():
            row = int(np.argmax(lengths != width))
            raise ValueError(
                f"the lists of the column {name!r} of {path.name!r} have different lengths: {width} in row 0 and "
                f"{lengths[row]} in row {first + row}. Embeddings have as many numbers in every row."
            )
        values = chunk.flatten().to_numpy(zero_copy_only=False)
        parts.append(values.reshape(len(chunk), -1 if width is None else width))
        first += len(chunk)
    return parts[0] if len(parts) == 1 else np.concatenate(parts) if parts else np.zeros((0, 0), np.float32)


def _lengths(chunk: Any) -> Array:
    """Return the length of each list."""
    if pa.types.is_fixed_size_list(chunk.type):
        return np.full(len(chunk), chunk.type.list_size)
    return np.diff(chunk.offsets.to_numpy())


def _load_values(path: Path, name: str) -> Array:
    """Return a column of labels."""
    column = _read(path, [name]).column(name).combine_chunks()
    if column.null_count:
        row = int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))
        raise ValueError(f"row {row} of the column {name!r} of {path.name!r} has no value; leave such rows out.")
    if not pa.types.is_dictionary(column.type):
        if _is_number(column.type) or pa.types.is_boolean(column.type):
            return np.asarray(column.to_numpy(zero_copy_only=False))
        column = column.dictionary_encode()
    return np.asarray(np.array(column.dictionary.to_pylist())[column.indices.to_numpy(zero_copy_only=False)])
