"""Values of columns that users hand in, as numbers or levels."""

from __future__ import annotations

from typing import Any

import numpy as np

from softreg.typing import Array


def column_inputs(columns: Any, rows: int) -> dict[str, Array]:
    """Return the columns of a mapping or a data frame as numbers with nan, or levels with None, where missing.

    Parameters
    ----------
    columns : mapping of str to array_like, or data frame
        Values (n,) of each column.
    rows : int
        Number of rows n.

    Returns
    -------
    dict of str to array
        The values by column.

    Raises
    ------
    TypeError
        If `columns` is neither a mapping nor a data frame.
    ValueError
        If a column has another number of rows.

    Examples
    --------
    >>> column_inputs({"age": [31, None], "town": ["Bonn", None]}, 2)
    {'age': array([31., nan]), 'town': array(['Bonn', None], dtype=object)}
    """
    if hasattr(columns, "column_names"):  # a table of Arrow
        items = [(name, columns.column(name).to_pylist()) for name in columns.column_names]
    elif hasattr(columns, "get_columns"):  # a frame of polars
        items = [(column.name, column.to_list()) for column in columns.get_columns()]
    elif hasattr(columns, "items"):
        items = list(columns.items())
    else:
        raise TypeError(
            f"columns is a {type(columns).__name__}; expected a mapping from names to values, such as "
            "{'age': [31, 58]}, or a data frame."
        )
    values = {str(name): _values(column) for name, column in items}
    for name, array in values.items():
        if array.shape != (rows,):
            raise ValueError(f"column {name!r} has the shape {array.shape}, but P has {rows:,} rows.")
    return values


def _values(column: Any) -> Array:
    """Return numbers or levels (n,)."""
    array = np.asarray(column)
    if array.dtype.kind in "iuf":
        return np.asarray(array, dtype=np.float64)
    if array.dtype.kind in "mM":
        seconds = array.astype("datetime64[us]" if array.dtype.kind == "M" else "timedelta64[us]")
        return np.where(np.isnat(seconds), np.nan, seconds.astype(np.int64) / 1e6)
    listed = array.tolist() if array.dtype == object else [str(value) for value in array.tolist()]
    present = [value for value in listed if not _is_missing(value)]
    if present and all(isinstance(value, int | float) and not isinstance(value, bool) for value in present):
        return np.array([np.nan if _is_missing(value) else float(value) for value in listed])
    levels = np.empty(len(listed), dtype=object)
    levels[:] = [None if _is_missing(value) else str(value) for value in listed]
    return levels


def _is_missing(value: Any) -> bool:
    """Return whether a cell is None, nan, NaT or NA."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float) and np.isnan(value)
