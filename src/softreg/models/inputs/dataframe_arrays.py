"""Data frames of pandas, polars and pyarrow as arrays of numbers."""

from __future__ import annotations

from typing import Any, NoReturn

import narwhals as nw
import numpy as np

from softreg.models.inputs.array_values import USE_TABLE, is_number_text, objects_to_floats, raise_beyond_float64
from softreg.models.inputs.finite_values import check_finite
from softreg.probability.label_arrays import spell
from softreg.typing import Array


def frame_to_array(frame: nw.DataFrame[Any], what: str = "X") -> Array:
    """Return the columns of a frame as an array.

    Parameters
    ----------
    frame : narwhals.DataFrame
        Frame of n rows and d columns.
    what : str
        Name of the argument, for messages.

    Returns
    -------
    ndarray of shape (n, d)
        float32 if all columns are float32, float64 otherwise.

    Raises
    ------
    ValueError
        If a column holds anything but finite numbers; the message names the column.
    """
    single = all(kind == nw.Float32 for kind in frame.schema.values())
    out = np.empty((len(frame), len(frame.columns)), dtype=np.float32 if single else np.float64)
    for j, name in enumerate(frame.columns):
        out[:, j] = _column_to_array(frame.get_column(name), f"column {name!r}", what)
    check_finite(out, frame.columns, what)
    return out


def _column_to_array(column: nw.Series[Any], name: str, what: str) -> Array:
    """Return the numbers (n,) of a column, nan where a value is missing; raise `ValueError` for other values."""
    if column.dtype in (nw.Int128, nw.UInt128):  # NumPy has no such dtypes
        column = column.cast(nw.Float64)
    kind = column.dtype
    if kind.is_numeric() or kind in (nw.Boolean, nw.Object, nw.Unknown):
        values: Array = np.asarray(column.to_numpy())
        if values.dtype.kind in "biuf" and values.ndim == 1:
            return values
        if values.dtype.kind == "O":
            missing = np.asarray(column.is_null().to_numpy(), dtype=bool)
            values = values.copy()
            values[missing] = None
            numbers, invalid = objects_to_floats(values)
            if not len(invalid):
                return numbers
            raise_beyond_float64(values[invalid[0]], f"{name} of {what}, row {invalid[0]}")
            _raise_not_numeric(values, int(invalid[0]), kind, name, what)
    values = np.array(column.to_list(), dtype=object) if len(column) else np.empty(0, dtype=object)
    is_text = [isinstance(v, str) and not is_number_text(v) for v in values]
    _raise_not_numeric(values, is_text.index(True) if any(is_text) else 0, kind, name, what)


def _raise_not_numeric(values: Array, row: int, kind: Any, name: str, what: str) -> NoReturn:
    """Raise `ValueError` for a column that holds no numbers, with the value in this row and advice for its type."""
    example = f" (row {row}: {spell(values[row])})" if len(values) else ""
    if kind in (nw.Date, nw.Datetime, nw.Duration, nw.Time):
        advice = "Convert it to a number first, for example of days since a date that you choose"
    elif kind == nw.String and len(values) and all(v is None or is_number_text(v) for v in values):
        advice = "Its numbers are written as text: convert the column to numbers"
    else:
        advice = "Encode it as numbers first"
    raise ValueError(
        f"{name} of {what} holds {str(kind).split('(')[0]}, not numbers{example}. {advice}"
        f"{', ' + USE_TABLE if what == 'X' else ''}."
    )
