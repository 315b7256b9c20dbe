"""Columns of vectors in Arrow tables, such as those of Spark ML: as a dense or a sparse matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from softreg.typing import Array, IntArray

SPARK_VECTOR = ("type", "size", "indices", "values")
"""Fields of a vector of Spark ML: type 0 has the values at `indices` of `size` elements, type 1 has all values."""


def is_vector(kind: pa.DataType) -> bool:
    """Return True for a list of numbers, or a vector of Spark ML.

    Parameters
    ----------
    kind : pyarrow.DataType
        Type of a column.

    Returns
    -------
    bool
        True for vectors.

    Examples
    --------
    >>> is_vector(pa.list_(pa.float64())), is_vector(pa.float64())
    (True, False)
    """
    if pa.types.is_struct(kind):
        return tuple(field.name for field in kind) == SPARK_VECTOR
    types = pa.types
    is_list = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return bool(is_list and (types.is_floating(kind.value_type) or types.is_integer(kind.value_type)))


def vectors_to_matrix(column: pa.ChunkedArray, name: str, *, sparse: bool) -> Any:
    """Return a column of vectors, without null, as a matrix.

    Parameters
    ----------
    column : pyarrow.ChunkedArray of n vectors
        Lists of numbers, or vectors of Spark ML.
    name : str
        Name of the column, for messages.
    sparse : bool
        Whether the matrix is sparse.

    Returns
    -------
    ndarray or csr_array of shape (n, d)
        The matrix.

    Raises
    ------
    ValueError
        If vectors have different lengths, or an element is null, nan or infinite.

    Examples
    --------
    >>> vectors_to_matrix(pa.chunked_array([[[1.0, 2.0], [3.0, 4.0]]]), "x", sparse=False).tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    """
    vectors = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    is_spark = pa.types.is_struct(vectors.type)
    lists = vectors.field("values") if is_spark else vectors
    lengths = sizes = _lengths(lists)
    values, elements = _numbers(lists, name), _places(sizes)
    full = vectors.field("type").to_numpy() == 1 if is_spark else np.ones(len(vectors), bool)
    if not full.all():
        indices = vectors.field("indices").filter(pa.array(~full))
        elements[np.repeat(~full, sizes)] = pc.list_flatten(indices).to_numpy()
        lengths = np.where(full, sizes, vectors.field("size").fill_null(0).to_numpy())
    d = int(lengths[0]) if len(lengths) else 0
    if (lengths != d).any():
        row = int((lengths != d).argmax())
        raise ValueError(
            f"the column {name!r} has a vector of {lengths[row]:,} elements in row {row}, and others of {d:,}."
        )
    if full.all() and not sparse:
        return values.reshape(-1, d)
    if (elements < 0).any() or (elements >= d).any():
        raise ValueError(f"the column {name!r} has a vector with an index beyond its {d:,} elements.")
    stops = np.concatenate([[0], np.cumsum(sizes)])
    X = sp.csr_array((values.copy(), elements, stops), shape=(len(lengths), d))  # Arrow's memory is read-only
    if not sparse:
        return X.toarray()
    X.eliminate_zeros()
    return X


def _numbers(lists: pa.Array, name: str) -> Array:
    """Return the elements of all lists, float32 if they are; raise `ValueError` unless they are finite."""
    flat = pc.list_flatten(lists)
    missing = flat.null_count
    values: Array = flat.drop_null().to_numpy() if missing else flat.to_numpy()
    values = values if values.dtype in (np.float32, np.float64) else values.astype(np.float64)
    missing += int((~np.isfinite(values)).sum())
    if missing:
        raise ValueError(
            f"the column {name!r} has vectors with {missing:,} elements that are null, nan or infinite; fill them, or "
            "leave the rows out."
        )
    return values


def _lengths(lists: pa.Array) -> IntArray:
    """Return the number of elements of each list."""
    return np.asarray(pc.list_value_length(lists).to_numpy(), dtype=np.intp)


def _places(sizes: IntArray) -> IntArray:
    """Return the place in its list of each element of lists of these sizes."""
    starts = np.cumsum(sizes) - sizes
    return np.arange(sizes.sum()) - np.repeat(starts, sizes)
