"""NumPy arrays and lists of text as Arrow arrays, from their bytes alone.

`pyarrow.array` does the same, and imports pandas, where that is installed, to ask whether the values are of its types:
that takes longer than a prediction of a small file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

_TYPES = {"float64": pa.float64(), "int64": pa.int64(), "uint64": pa.uint64()}


def numbers(values: NDArray[Any]) -> pa.Array:
    """An array of float64, int64 or uint64; the bytes are shared where they lie in order.

    Example:
        >>> numbers(np.array([1.5, 2.0])).to_pylist()
        [1.5, 2.0]
    """
    values = np.ascontiguousarray(values)
    return pa.Array.from_buffers(_TYPES[values.dtype.name], len(values), [None, pa.py_buffer(values)])


def words(values: Sequence[str]) -> pa.Array:
    """An array of text.

    Example:
        >>> words(["no", "", "é"]).to_pylist()
        ['no', '', 'é']
    """
    raw = [value.encode() for value in values]
    ends = np.zeros(len(raw) + 1, np.int64)
    np.cumsum([len(one) for one in raw], out=ends[1:])
    return pa.Array.from_buffers(pa.large_string(), len(raw), [None, pa.py_buffer(ends), pa.py_buffer(b"".join(raw))])
