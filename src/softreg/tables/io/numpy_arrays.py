"""Two-dimensional arrays as Arrow tables, and label arrays as Arrow columns."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pyarrow as pa

from softreg.tables.columns.table_errors import TableError, quote
from softreg.tables.columns.untyped_text import mark_untyped
from softreg.typing import Array

_MAX_TYPES_NAMED = 4
"""Types of values that a message lists."""


def is_matrix(data: Any) -> bool:
    """Return True if data are a NumPy array, an object that NumPy converts, or a list of rows.

    Returns
    -------
    bool

    Examples
    --------
    >>> is_matrix(np.zeros((2, 2))), is_matrix([[1, "a"], [2, "b"]]), is_matrix(["a.csv", "b.csv"])
    (True, True, False)
    """
    if isinstance(data, (list, tuple)):
        return bool(data) and isinstance(data[0], (list, tuple, np.ndarray, int, float))
    if isinstance(data, (pa.Table, pa.RecordBatch)) or hasattr(data, "__dataframe__") or hasattr(type(data), "columns"):
        return False
    return _is_sparse(data) or hasattr(data, "__array__")


def array_table(X: Any) -> pa.Table:
    """Return the Arrow table of a matrix, whose columns are named "0", "1", ...

    A column of an object array has the type that holds its values. A text array may have been made by NumPy from
    values of several types, so its columns are interpreted as those of a CSV file. The columns of a structured array
    have the names of its fields.

    Parameters
    ----------
    X : array-like (n, d)
        Rows.

    Returns
    -------
    pa.Table

    Raises
    ------
    TableError
        If X has no rows or columns, is sparse or complex, or has another number of dimensions, or if a column
        contains objects of several types.

    Examples
    --------
    >>> array_table(np.array([[1, "a"], [2, "b"]], dtype=object)).to_pydict()
    {'0': [1, 2], '1': ['a', 'b']}
    """
    if _is_sparse(X):
        raise TableError(
            "X is a sparse matrix; TableClassifier takes tables and dense arrays. For a sparse matrix use "
            "softreg.SoftmaxRegression, or convert it with X.toarray()."
        )
    X = np.asarray(X, dtype=object) if _is_mixed(X) else np.ma.asanyarray(X) if np.ma.isMA(X) else np.asarray(X)
    if X.dtype.names:
        return pa.table({name: array_column(X[name], name) for name in X.dtype.names})
    if X.dtype.kind == "c":
        raise TableError("Complex data not supported: a column holds numbers, booleans, text or dates.")
    if X.ndim != 2:
        way = "Reshape your data with X.reshape(-1, 1) for one column, or X.reshape(1, -1) for one row."
        if X.ndim > 2:
            way = "An image is a row of pixels: X.reshape(len(X), -1), or the name of a .npz file of images and labels."
        raise TableError(f"Expected 2D array, got {X.ndim}D array instead (shape {X.shape}). {way}")
    if X.shape[1] == 0:
        raise TableError(f"Found array with 0 feature(s) (shape={X.shape}) while a minimum of 1 is required.")
    arrays = [array_column(X[:, j], str(j)) for j in range(X.shape[1])]
    fields = [pa.field(str(j), array.type) for j, array in enumerate(arrays)]
    if X.dtype.kind == "U":
        fields = [mark_untyped(field) for field in fields]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def array_column(values: Array, name: str) -> pa.Array:
    """Convert an array to Arrow; masked values, None, NaN and NA are missing.

    Parameters
    ----------
    values : array (n,)
        Values of one type.
    name : str
        Name of the column, for errors.

    Returns
    -------
    pa.Array (n,)

    Raises
    ------
    TableError
        If values have several types, or a type that no column has.

    Examples
    --------
    >>> array_column(np.array([True, None], dtype=object), "x").to_pylist()
    [True, None]
    """
    mask = np.ma.getmaskarray(values) if np.ma.isMA(values) else None
    plain = np.asarray(values)
    plain = plain.astype(object) if plain.dtype.kind == "T" else plain  # variable-length strings of NumPy
    try:
        if plain.dtype.kind == "U":
            return pa.array(plain.tolist(), pa.string(), mask=mask)
        plain = _supported_values(plain)
        return pa.array(np.ascontiguousarray(plain), mask=mask, from_pandas=plain.dtype.kind == "O")
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        kinds = sorted({type(value).__name__ for value in plain.tolist()})
        more = f" and {len(kinds) - _MAX_TYPES_NAMED} more" if len(kinds) > _MAX_TYPES_NAMED else ""
        raise TableError(
            f"Column {quote(name)} holds values of the type {', '.join(kinds[:_MAX_TYPES_NAMED])}{more} and cannot be "
            f"read: {' '.join(str(error).split())}. A column holds either numbers, or booleans, or text, or dates."
        ) from error


def _supported_values(values: Array) -> Array:
    """Return values in native byte order and a dtype that Arrow reads; raise `TypeError` if there is none."""
    kind = values.dtype.kind
    if kind in "Mm":
        unit = np.datetime_data(values.dtype)[0]
        known = unit in ("s", "ms", "us", "ns") or (unit == "D" and kind == "M")
        days = kind == "M" and unit in ("Y", "M", "W")
        values = values if known else values.astype(f"{kind}8[{'D' if days else 's'}]")
    elif kind == "f" and values.dtype.itemsize not in (4, 8):
        values = values.astype(np.float32 if values.dtype.itemsize < 4 else np.float64)
    elif kind not in "biufO":
        raise TypeError(f"{values.dtype} is not supported")
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def label_column(y: Any) -> tuple[pa.ChunkedArray, np.dtype[Any] | None]:
    """Return labels as an Arrow column, and their NumPy dtype.

    Labels are taken by position: the index of a pandas series is ignored.

    Parameters
    ----------
    y : array-like (n,)
        Array, list, series of pandas or polars, Arrow array, or frame of one column, of text, integers, booleans,
        dates, categories or numbers.

    Returns
    -------
    column : pa.ChunkedArray (n,)
        Labels.
    dtype : np.dtype or None
        NumPy dtype of the labels; None if they have none.

    Raises
    ------
    TableError
        If y has several columns or dimensions, or an unsupported type.

    Examples
    --------
    >>> label_column([3, 1])
    (<pyarrow.lib.ChunkedArray object at ...>
    [
      [
        3,
        1
      ]
    ], dtype('int64'))
    """
    import narwhals as nw

    from softreg.tables.io.dataframe_tables import series_to_arrow

    if nw.dependencies.is_into_dataframe(y):
        frame = nw.from_native(y, eager_only=True)
        if len(frame.columns) != 1:
            raise TableError(f"y has {len(frame.columns)} columns; expected one label for each row.")
        y = frame.get_column(frame.columns[0]).to_native()
    if isinstance(y, pa.Array):
        y = pa.chunked_array([y])
    if nw.dependencies.is_into_series(y) or hasattr(y, "categories") or type(y).__name__.endswith("Index"):
        return series_to_arrow(y)
    values = np.asarray(y, dtype=object) if _is_mixed(y) else np.ma.asanyarray(y) if np.ma.isMA(y) else np.asarray(y)
    if values.ndim == 2 and values.shape[1] == 1:
        from sklearn.exceptions import DataConversionWarning

        message = "A column-vector y was passed when a 1d array was expected; its single column is used."
        warnings.warn(message, DataConversionWarning, stacklevel=4)
        values = values.ravel()
    if values.ndim != 1:
        raise TableError(f"y should be a 1d array of labels, got an array of shape {values.shape} instead.")
    return pa.chunked_array([array_column(values, "y")]), values.dtype


def _is_sparse(data: Any) -> bool:
    import scipy.sparse as sp

    return bool(sp.issparse(data))


def _is_mixed(values: Any) -> bool:
    """Return True if values are a list of text and other values, all of which NumPy would convert to text."""
    if not isinstance(values, (list, tuple)):
        return False
    items = np.asarray(values, dtype=object)
    is_text = [isinstance(value, str) for value in items.ravel().tolist()]
    return any(is_text) and not all(is_text)
