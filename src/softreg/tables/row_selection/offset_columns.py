"""Columns of a table that are offsets: numbers that a model adds to the logits of a class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from softreg.tables.columns.row_location import read_location
from softreg.tables.columns.table_errors import TableError, column_name, quote, quote_list, unknown_column_error
from softreg.tables.schema import label_types
from softreg.tables.schema.typed_values import read_numbers
from softreg.typing import Float64Array, TextArray


@dataclass(frozen=True)
class Offsets:
    """Offsets of some rows.

    Attributes
    ----------
    values : array of float64 (n, q)
        Offset of each row and class.
    classes : tuple of str (q,)
        The classes.
    """

    values: Float64Array
    classes: tuple[str, ...]

    def of(self, rows: Any, classes: TextArray) -> Float64Array:
        """Return the offsets of some rows (a mask, numbers or a slice), for some of the classes."""
        columns = [self.classes.index(label) for label in classes.tolist()]
        return np.asarray(self.values[rows][:, columns])


def offset_columns(given: Mapping[Any, str | int] | None) -> tuple[str, ...]:
    """Return the columns of offsets, each once.

    Parameters
    ----------
    given : mapping of label to column, or None
        The columns by class.

    Returns
    -------
    tuple of str
        Names.

    Raises
    ------
    TableError
        If the value is no mapping.

    Examples
    --------
    >>> offset_columns({"yes": "score", "no": "other"})
    ('score', 'other')
    """
    if given is None:
        return ()
    if not isinstance(given, Mapping):
        raise TableError(f"offset is {given!r:.80}; expected the columns by class, as {{'yes': 'score'}}.")
    return tuple(dict.fromkeys(column_name(name, "offset") for name in given.values()))


def columns_by_class(given: Mapping[Any, str | int] | None, classes: Sequence[str]) -> dict[str, str]:
    """Return the column of each class that has one, by the text of the class.

    Parameters
    ----------
    given : mapping of label to column, or None
        The columns by label, in any type.
    classes : sequence of str
        Classes.

    Returns
    -------
    dict of str to str
        The columns.

    Raises
    ------
    TableError
        If a label is no class.

    Examples
    --------
    >>> columns_by_class({True: "score"}, ["False", "True"])
    {'True': 'score'}
    """
    named = {label_types.class_name(label, classes): column_name(c, "offset") for label, c in (given or {}).items()}
    unknown = [label for label in named if label not in classes]
    if unknown:
        raise TableError(f"offset names the class {quote(unknown[0])}; the classes are {quote_list(list(classes))}.")
    return named


def offset_remarks(columns: Mapping[str, str]) -> dict[str, str]:
    """Return, for each column of offsets, the classes to whose logits it is added, as text."""
    classes: dict[str, list[str]] = {}
    for label, name in columns.items():
        classes.setdefault(name, []).append(label)
    return {name: f"added to the logit of {quote_list(labels)}" for name, labels in classes.items()}


def read_offsets(table: pa.Table | pa.RecordBatch, columns: Mapping[str, str], classes: Sequence[str]) -> Float64Array:
    """Return the offsets of the rows of a table; 0 for a class without a column.

    Parameters
    ----------
    table : pyarrow.Table or pyarrow.RecordBatch
        Rows.
    columns : mapping of str to str
        Column of offsets by class.
    classes : sequence of str (q,)
        Classes in the order of the result.

    Returns
    -------
    array of float64 (n, q)
        Offsets.

    Raises
    ------
    TableError
        If the table has no such column, or a value is missing, infinite or no number.

    Examples
    --------
    >>> read_offsets(pa.table({"score": ["1.5", "-2"]}), {"yes": "score"}, ["no", "yes"])
    array([[ 0. ,  1.5],
           [ 0. , -2. ]])
    """  # noqa: DOC501
    whole = pa.Table.from_batches([table]) if isinstance(table, pa.RecordBatch) else table
    out = np.zeros((whole.num_rows, len(classes)))  # booleans count as 0 and 1
    for label, name in columns.items():
        if name not in whole.column_names:
            raise unknown_column_error(name, whole.column_names, "column of offsets")
        column = whole.column(name)
        if pa.types.is_boolean(column.type):
            column = column.cast(pa.int8())
        values, numeric = read_numbers(name, column)
        invalid = ~numeric | ~np.isfinite(values)
        if invalid.any():
            row = int(invalid.argmax())
            value: Any = whole.column(name)[row].as_py()
            content = "no value" if value is None or not str(value).strip() else quote(value)
            raise TableError(
                f"The column of offsets {quote(name)} has {content} in {read_location(table).row(row)}; an offset is "
                f"added to the logit of the class {quote(label)}, so it is a finite number. Correct it, or leave the "
                "row out."
            )
        out[:, list(classes).index(label)] = values
    return out
