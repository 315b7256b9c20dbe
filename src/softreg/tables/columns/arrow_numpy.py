"""Conversion between NumPy and Arrow arrays through their buffers.

`pyarrow.array` imports pandas where it is installed, to test the type of the values; that takes longer than the
prediction of a small file.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from softreg.typing import Array
from softreg.value_text import text_array

_TYPES = {"float64": pa.float64(), "int64": pa.int64(), "uint64": pa.uint64()}


def number_array(values: Array) -> pa.Array:
    """Return a float64, int64 or uint64 array as an Arrow array; contiguous memory is shared, not copied.

    Returns
    -------
    pa.Array (n,)

    Examples
    --------
    >>> number_array(np.array([1.5, 2.0])).to_pylist()
    [1.5, 2.0]
    """
    values = np.ascontiguousarray(values)
    return pa.Array.from_buffers(_TYPES[values.dtype.name], len(values), [None, pa.py_buffer(values)])


def string_array(values: Sequence[str]) -> pa.Array:
    """Return text as an Arrow string array.

    Returns
    -------
    pa.Array (n,)

    Examples
    --------
    >>> string_array(["no", "", "é"]).to_pylist()
    ['no', '', 'é']
    """
    return text_array(values)


def boolean_array(values: NDArray[np.bool_]) -> pa.Array:
    """Return a boolean array as an Arrow array.

    Returns
    -------
    pa.Array (n,)

    Examples
    --------
    >>> boolean_array(np.array([True, False])).to_pylist()
    [True, False]
    """
    bits = np.packbits(values, bitorder="little")
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, pa.py_buffer(bits)])


def to_float64(column: pa.Array | pa.ChunkedArray) -> NDArray[np.float64]:
    """Return a float64 column as a NumPy array.

    Returns
    -------
    float64 array (n,)
        NaN where the column is null.

    Examples
    --------
    >>> to_float64(pa.chunked_array([[1.5, None], [2.0]]))
    array([1.5, nan, 2. ])
    """
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    arrays = [np.zeros(0)]
    for chunk in chunks:
        if len(chunk):
            data = chunk.buffers()[1]
            values = np.frombuffer(data, np.float64, len(chunk), chunk.offset * 8)
            arrays.append(np.where(to_bool(chunk.is_valid()), values, np.nan) if chunk.null_count else values)
    return np.concatenate(arrays)


def to_bool(column: pa.Array | pa.ChunkedArray) -> NDArray[np.bool_]:
    """Return a boolean column without nulls as a NumPy array.

    Returns
    -------
    bool array (n,)

    Examples
    --------
    >>> to_bool(pa.chunked_array([[True, False], [True]]).slice(1))
    array([False,  True])
    """
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    arrays = [np.zeros(0, np.bool_)]
    for chunk in chunks:
        if len(chunk):
            bits = np.frombuffer(chunk.buffers()[1], np.uint8)
            flags = np.unpackbits(bits, count=chunk.offset + len(chunk), bitorder="little")
            arrays.append(flags[chunk.offset :].astype(np.bool_))
    return np.concatenate(arrays)


def to_int64(column: pa.Array, missing: int = -1) -> NDArray[np.int64]:
    """Return an integer array of at most 64 bits as a NumPy array.

    Parameters
    ----------
    column : pa.Array
        Integers, signed or unsigned.
    missing : int, default=-1
        Value of nulls.

    Returns
    -------
    int64 array (n,)

    Examples
    --------
    >>> to_int64(pa.array([3, None], pa.int32()))
    array([ 3, -1])
    """
    if not len(column):
        return np.zeros(0, np.int64)
    dtype = np.dtype(f"{'u' if str(column.type).startswith('u') else ''}int{column.type.bit_width}")
    values = np.frombuffer(column.buffers()[1], dtype, len(column), column.offset * dtype.itemsize).astype(np.int64)
    return np.where(to_bool(column.is_valid()), values, missing) if column.null_count else values
