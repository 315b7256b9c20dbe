"""Columns whose values divide rows into groups, as Arrow columns by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import narwhals as nw
import numpy as np

from softreg.models.inputs.row_keys import is_missing
from softreg.value_text import text_array, value_text

if TYPE_CHECKING:
    import pyarrow as pa

DEFAULT_NAME = "group"
"""Name of a column that has none."""


def group_columns(by: Any, n: int, argument: str = "by") -> dict[str, pa.ChunkedArray]:
    """Return the columns that divide n rows into groups.

    Parameters
    ----------
    by : mapping of str to array_like, data frame, Arrow table, series, or array_like of shape (n,) or (n, c)
        One or several columns of values of any type. A series keeps its name; other columns without a name are called
        "group", or "group 1", "group 2" and so on.
    n : int
        Number of rows.
    argument : str
        Name of the argument, for messages.

    Returns
    -------
    dict of str to pyarrow.ChunkedArray
        The columns, of n values each.

    Raises
    ------
    ValueError
        If there is no column, or one has another number of values.

    Examples
    --------
    >>> columns = group_columns({"sex": ["f", "m", None]}, 3)
    >>> columns["sex"].to_pylist()
    ['f', 'm', None]
    """
    given = _by_name(by, argument)
    for name, values in given.items():
        if isinstance(values, str | bytes) or not hasattr(values, "__iter__"):
            raise ValueError(
                f"column {str(name)!r} of {argument} is {values!r}: give one value for each of {n:,} rows."
            )
    named = {str(name): arrow_column(values) for name, values in given.items()}
    if not named:
        raise ValueError(f"{argument} has no column: give at least one, such as {argument}={{'region': regions}}.")
    for name, column in named.items():
        if len(column) != n:
            raise ValueError(
                f"column {name!r} of {argument} has {len(column):,} values, but there are {n:,} rows: give one value "
                "for each row, None where it is missing."
            )
    return named


def _by_name(by: Any, argument: str) -> dict[Any, Any]:
    """Return columns by their names."""
    if isinstance(by, Mapping):
        return dict(by)
    if nw.dependencies.is_into_dataframe(by):
        frame = nw.from_native(by, eager_only=True)
        return {name: frame.get_column(name).to_native() for name in frame.columns}
    if nw.dependencies.is_into_series(by):
        return {nw.from_native(by, series_only=True).name or DEFAULT_NAME: by}
    if by is None or isinstance(by, str | bytes):
        raise ValueError(
            f"{argument} is {by!r}: give the values of the rows, as {argument}={{'region': regions}}, not the name of "
            "a column."
        )
    array = by if isinstance(by, np.ndarray) else None
    if array is None and hasattr(by, "__len__") and len(by) and isinstance(by[0], list | tuple | np.ndarray):
        array = np.array([list(row) for row in by], dtype=object)
    if array is not None and array.ndim == 2:
        return {f"{DEFAULT_NAME} {j + 1}": array[:, j] for j in range(array.shape[1])}
    if array is not None and array.ndim != 1:
        raise ValueError(f"{argument}.shape == {array.shape}: expected (n,) values, or (n, c) for c columns.")
    return {DEFAULT_NAME: by}


def arrow_column(values: Any) -> pa.ChunkedArray:
    """Return values of any type as an Arrow column, null where one is missing; values of mixed types become text.

    Parameters
    ----------
    values : array_like of shape (n,)
        The values.

    Returns
    -------
    pyarrow.ChunkedArray of length n

    Examples
    --------
    >>> arrow_column([1.5, None, float("nan")]).to_pylist(), arrow_column(["a", 1]).to_pylist()
    ([1.5, None, None], ['a', '1'])
    """
    import pyarrow as pa

    if isinstance(values, pa.ChunkedArray):
        return values
    if isinstance(values, pa.Array):
        return pa.chunked_array([values])
    if nw.dependencies.is_into_series(values):
        series = nw.from_native(values, series_only=True)
        try:
            return pa.chunked_array(series.to_arrow())
        except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError):
            values = series.to_list()
    if isinstance(values, np.ma.MaskedArray):
        mask, values = np.ma.getmaskarray(values), values.data.astype(object)
        values[mask] = None
    try:
        return pa.chunked_array([pa.array(values, from_pandas=True)])
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        texts = [None if is_missing(value) else value_text(value) for value in values]
        return pa.chunked_array([text_array(texts)])
