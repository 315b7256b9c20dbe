"""Columns of a table that divide its rows into groups: numbers, dates and text, as the text of the file says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from softreg.cli.console.command_errors import CommandError
from softreg.cli.data.class_probabilities import PREDICT_COLUMNS
from softreg.cli.options.column_arguments import select_columns
from softreg.tables.columns.column_values import Dates, Levels, Lists, Numbers, parse_numbers, read_column
from softreg.tables.columns.date_parsing import are_dates, day_first, parse_dates
from softreg.tables.schema.number_columns import zero_padded
from softreg.typing import Float64Array


def named_group_columns(
    table: pa.Table, given: Sequence[str], target: str, classes: Sequence[str]
) -> dict[str, pa.ChunkedArray]:
    """Return the columns that `--by` names.

    Parameters
    ----------
    table : pyarrow.Table
        The table.
    given : sequence of str
        Values of the option.
    target : str
        Column of labels.
    classes : sequence of str
        Columns of probabilities.

    Returns
    -------
    dict of str to pyarrow.ChunkedArray
        The columns as numbers, timestamps or text.

    Raises
    ------
    CommandError
        If there is no such column, it is the target, or it holds lists.
    """
    names = select_columns(given, table.column_names, "--by")
    columns = {}
    for name in names:
        if name == target:
            raise CommandError(
                f"--by {name}: this is the column of labels. Groups by it cannot be compared with the probabilities; "
                "the report has the rates of each class."
            )
        if name in classes:
            raise CommandError(
                f"--by {name}: this is a column of probabilities. The reliability diagram of the report compares "
                "probabilities with frequencies; name a column that describes the rows."
            )
        column = group_column(table, name)
        if column is None:
            raise CommandError(f"--by {name}: the column holds lists; groups need text, numbers, booleans or dates.")
        columns[name] = column
    return columns


def other_columns(table: pa.Table, target: str, classes: Sequence[str]) -> dict[str, pa.ChunkedArray]:
    """Return the columns of a table that describe its rows: neither labels nor probabilities or predictions.

    Parameters
    ----------
    table : pyarrow.Table
        The table.
    target : str
        Column of labels.
    classes : sequence of str
        Columns of probabilities.

    Returns
    -------
    dict of str to pyarrow.ChunkedArray
        The columns as numbers, timestamps or text; columns of lists are left out.

    Raises
    ------
    CommandError
        If there is no such column.
    """
    left_out = {target, *classes, *PREDICT_COLUMNS}
    columns = {name: group_column(table, name) for name in table.column_names if name not in left_out}
    usable = {name: column for name, column in columns.items() if column is not None}
    if not usable:
        raise CommandError(
            "--search: the file has no columns beside labels and probabilities. Join the columns that describe the "
            "rows, such as the inputs of the model."
        )
    return usable


def group_column(table: pa.Table, name: str) -> pa.ChunkedArray | None:
    """Return a column as numbers, timestamps or text; None for lists.

    Text is read as numbers or dates if every value is one or missing; digits of one length with leading zeros are
    codes and stay text.

    Parameters
    ----------
    table : pyarrow.Table
        The table.
    name : str
        Name of the column.

    Returns
    -------
    pyarrow.ChunkedArray or None

    Examples
    --------
    >>> group_column(pa.table({"age": ["31", "", "40"]}), "age").to_pylist()
    [31.0, None, 40.0]
    >>> group_column(pa.table({"post": ["01067", "10115"]}), "post").to_pylist()
    ['01067', '10115']
    """
    column = table.column(name)
    cells = read_column(column, name)
    if isinstance(cells, Lists):
        return None
    if isinstance(cells, Numbers):
        return _numbers(cells.values)
    if isinstance(cells, Dates):
        return _timestamps(cells.values)
    return _text(cells)


def _text(cells: Levels) -> pa.ChunkedArray:
    """Return levels as numbers or timestamps where all of them are, otherwise as text."""
    if cells.storage == "text" and len(cells.levels):
        values, valid = parse_numbers(cells.levels)
        if valid.all() and not np.isnan(values).all() and not zero_padded(cells.levels):
            return _numbers(np.append(values, np.nan)[cells.codes])
        if are_dates(cells.levels):
            seconds = parse_dates(cells.levels, bool(day_first(cells.levels)))
            if np.isfinite(seconds).all():
                return _timestamps(np.append(seconds, np.nan)[cells.codes])
    texts = pa.concat_arrays([cells.levels.cast(pa.large_string()), pa.nulls(1, pa.large_string())])
    places = np.where(cells.codes < 0, len(cells.levels), cells.codes)
    return pa.chunked_array([texts.take(pa.array(places))])


def _numbers(values: Float64Array) -> pa.ChunkedArray:
    """Return numbers, null for nan."""
    return pa.chunked_array([pa.array(values, mask=np.isnan(values))])


def _timestamps(seconds: Float64Array) -> pa.ChunkedArray:
    """Return seconds since 1970 as timestamps, null for nan."""
    missing = np.isnan(seconds)
    whole = np.where(missing, 0.0, seconds).round().astype(np.int64)
    return pa.chunked_array([pa.array(whole, mask=missing).cast(pa.timestamp("s"))])


def renamed_class_columns(before: pa.Table, after: pa.Table) -> list[str]:
    """Return the columns of a table that are not in the table whose columns of probabilities were renamed.

    Parameters
    ----------
    before, after : pyarrow.Table
        The table as it was read, and with a column for each class.

    Returns
    -------
    list of str
        Names of columns of probabilities in the file.

    Examples
    --------
    >>> renamed_class_columns(pa.table({"prob_a": [0.1], "x": [1]}), pa.table({"a": [0.1], "x": [1]}))
    ['prob_a']
    """
    return [name for name in before.column_names if name not in after.column_names]
