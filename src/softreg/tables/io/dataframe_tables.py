"""Data frames of pandas, polars and other libraries as Arrow tables, column by column."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np
import pyarrow as pa

from softreg.tables.columns.arrow_types import plain_table
from softreg.tables.columns.column_names import check_names
from softreg.tables.columns.date_parsing import mixed_zones_message
from softreg.tables.columns.table_errors import TableError, emit_warnings, quote

_MAX_TYPES_NAMED = 4
"""Types of values that a message lists."""


def frame_to_arrow(data: Any, unused: frozenset[str] = frozenset()) -> pa.Table:
    """Convert a data frame to an Arrow table of plain types, without the pandas index.

    Parameters
    ----------
    data : data frame
        Any frame that narwhals supports.
    unused : frozenset of str, default=frozenset()
        Columns that are not used; those that cannot be converted become null.

    Returns
    -------
    pa.Table

    Raises
    ------
    TableError
        If a column cannot be converted, two columns have one name, or `data` is not a frame.
    narwhals.exceptions.DuplicateError
        If narwhals finds duplicates that are not names of columns.

    Examples
    --------
    >>> import pandas as pd
    >>> frame_to_arrow(pd.DataFrame({"size": pd.cut([1.0, 9.0], [0, 5, 10])})).to_pydict()
    {'size': ['(0, 5]', '(5, 10]']}
    """
    import narwhals as nw

    if type(data).__module__.split(".")[0] in ("dask", "pyspark"):
        raise TableError(
            f"a frame of {type(data).__module__.split('.')[0]} is not collected into memory here. Write it as Parquet "
            "files and fit their folder on worker processes, fit('folder', cluster='local:4' or an address), or "
            "collect it first."
        )
    try:
        frame = nw.from_native(data)
    except nw.exceptions.DuplicateError:
        check_names([str(name) for name in data.columns], "the frame")
        raise
    except TypeError:
        raise TableError(
            "Expected the path of a file (CSV, Parquet, Excel and others), a pyarrow table, a data frame (pandas, "
            f"polars) or a two-dimensional array, but got {type(data).__name__}."
        ) from None
    eager = frame.collect() if isinstance(frame, nw.LazyFrame) else frame
    names = [str(name) for name in eager.columns]
    check_names(names, "the frame")
    columns = {}
    for name, column_key in zip(names, eager.columns, strict=True):
        try:
            columns[name] = _plain(_arrow_column(eager, column_key, name, used=name not in unused), name)
        except TableError:
            if name not in unused:
                raise
            columns[name] = pa.chunked_array([pa.nulls(len(eager))])
    return pa.table(columns)


def series_to_arrow(series: Any) -> tuple[pa.ChunkedArray, np.dtype[Any] | None]:
    """Convert a series of pandas, polars or Arrow (or a pandas index or categorical) to an Arrow column.

    Parameters
    ----------
    series : series
        Values.

    Returns
    -------
    column : pa.ChunkedArray (n,)
        Values.
    dtype : np.dtype or None
        NumPy dtype of the values in pandas: of the categories of a categorical, or of the numbers or booleans of a
        nullable type; else None.

    Examples
    --------
    >>> import pandas as pd
    >>> column, dtype = series_to_arrow(pd.Series([2, 1], index=[7, 8], dtype="int8"))
    >>> column.to_pylist(), dtype
    ([2, 1], dtype('int8'))
    """
    import narwhals as nw

    dtype = None
    if type(series).__module__.split(".")[0] == "pandas":
        import pandas as pd

        values = pd.Series(series).reset_index(drop=True)
        kind = values.dtype.categories.dtype if isinstance(values.dtype, pd.CategoricalDtype) else values.dtype
        kind = getattr(kind, "numpy_dtype", kind)
        dtype = kind if isinstance(kind, np.dtype) else np.dtype(object) if pd.api.types.is_string_dtype(kind) else None
        return frame_to_arrow(values.to_frame("y")).column(0), dtype
    if isinstance(series, pa.ChunkedArray):
        return _plain(series, "y"), None
    return frame_to_arrow(nw.from_native(series, series_only=True).alias("y").to_frame().to_native()).column(0), None


def _plain(column: Any, name: str) -> pa.ChunkedArray:
    """Return the column in its plain type."""
    return plain_table(pa.table({name: column})).column(0)


def _arrow_column(frame: Any, column_key: Any, name: str, *, used: bool) -> Any:
    """Return a column of a narwhals frame in Arrow, by its name there; `used` is False if its values are ignored."""
    import narwhals as nw

    series = frame[column_key] if isinstance(column_key, str) else frame.get_column(column_key)
    try:
        if frame.implementation.is_pandas():
            return _pandas_column(series.to_native(), name, used=used)
        wide = str(series.dtype) in ("Int128", "UInt128")  # Arrow has no such type; text is exact
        return (series.cast(nw.String) if wide else series).to_arrow()
    except TableError:
        raise
    except Exception as error:  # libraries of data frames raise various errors
        raise _conversion_error(name, str(series.dtype), " ".join(str(error).split())) from error


def _pandas_column(series: Any, name: str, *, used: bool) -> Any:
    """Return a pandas series in Arrow: sparse as dense, categories with their names, objects by their values."""
    import pandas as pd

    if isinstance(series.dtype, pd.SparseDtype):
        series = series.sparse.to_dense()
    if isinstance(series.dtype, pd.CategoricalDtype):
        known = _pandas_column(pd.Series(series.cat.categories), name, used=used)
        known = known.combine_chunks() if isinstance(known, pa.ChunkedArray) else known
        codes = np.asarray(series.cat.codes, dtype=np.int64)
        return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), known)
    if series.dtype == np.longdouble and series.dtype != np.float64:
        series = series.astype(np.float64)
    try:
        array = pa.Array.from_pandas(series)
        times = series.dtype == object and pa.types.is_timestamp(array.type)
        return _local_datetimes(series, array, name, used=used) if times else array
    except (pa.ArrowException, OverflowError, TypeError, ValueError) as error:
        if series.dtype != object:
            raise
        return _objects_of_one_type(series, name, error)


def _local_datetimes(series: Any, array: pa.Array, name: str, *, used: bool) -> pa.Array:
    """Return Python datetimes in local time if their time zones differ; Arrow would use the zone of the first.

    If the column is `used`, a warning is issued.

    Returns
    -------
    pa.Array (n,)
    """
    present = [value for value in series[series.notna()] if hasattr(value, "tzinfo")]
    zones = dict.fromkeys("" if value.tzinfo is None else str(value.tzinfo) for value in present)
    if len(zones) < 2:
        return array
    if used:
        emit_warnings([mixed_zones_message(name, list(zones))])
    naive = [value.replace(tzinfo=None) if getattr(value, "tzinfo", None) is not None else value for value in series]
    return pa.Array.from_pandas(type(series)(naive, dtype=object))


def _objects_of_one_type(series: Any, name: str, error: Exception) -> Any:
    """Return objects of one type without an Arrow type as text or unsigned integers; raise `TableError` for others."""
    import pandas as pd

    present = series.notna()
    types = {type(value) for value in series[present]}
    whole = all(issubclass(kind, int) and kind is not bool for kind in types)
    if not whole and (len(types) != 1 or not issubclass(next(iter(types)), pd.Interval | pd.Period)):
        kinds = sorted(kind.__name__ for kind in types)
        more = f" and {len(kinds) - _MAX_TYPES_NAMED} more" if len(kinds) > _MAX_TYPES_NAMED else ""
        reason = " ".join(str(error).split())
        raise _conversion_error(name, f"object ({', '.join(kinds[:_MAX_TYPES_NAMED])}{more})", reason)
    values = [value if known else None for value, known in zip(series, present, strict=True)]
    if whole:
        with suppress(OverflowError):  # below 0 or of more than 64 bits, beside one that no int64 holds
            return pa.array(values, pa.uint64())
    return pa.array([None if value is None else str(value) for value in values])


def _conversion_error(name: str, kind: str, reason: str) -> TableError:
    return TableError(
        f"Column {quote(name)} of the frame has the type {kind} and cannot be read: {reason}. A column holds either "
        "numbers, or booleans, or text, or dates, or lists of words or numbers; convert it (for instance with "
        f"astype(str)), or leave it out: drop=[{quote(name)}]."
    )
