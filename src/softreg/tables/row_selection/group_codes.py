"""Groups of rows that belong together, such as those of one person, as codes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from softreg.models.inputs.row_keys import is_missing
from softreg.tables.columns.table_errors import TableError, pluralize, quote, unknown_column_error
from softreg.typing import Codes, RowNumbers
from softreg.value_text import encode_as_text


def group_codes(
    table: pa.Table,
    name: str,
    target: str,
    rows: RowNumbers | None = None,
    *,
    what: str = "column of groups",
    advice: str = "Say what these rows belong to, or remove them.",
) -> Codes:
    """Return the group of each row as an integer: rows of equal values in a column are one group.

    Values are equal if their text is, as `softreg.value_text` spells it.

    Parameters
    ----------
    table : pyarrow.Table
        The table.
    name : str
        Column of groups.
    target : str
        Column of labels, for messages.
    rows : array of int (n,), optional
        Numbers of the rows that need a group; all by default.
    what, advice : str
        Words of the message.

    Returns
    -------
    array of int64 (n,)
        Codes from 0.

    Raises
    ------
    TableError
        If there is no such column, it is the target, or a row has no value (null, nan, or empty or blank text).

    Examples
    --------
    >>> group_codes(pa.table({"owner": ["ann", "bob", "ann"], "buys": ["no", "yes", "no"]}), "owner", "buys")
    array([0, 1, 0])
    """  # noqa: DOC501
    if name not in table.column_names:
        raise unknown_column_error(name, table.column_names, what)
    if name == target:
        raise TableError(f"{quote(name)} is the target; rows are grouped by another column, as that of a person.")
    column = table.column(name) if rows is None else table.column(name).take(pa.array(rows))
    try:
        encoded = encode_as_text(column)
    except TypeError:
        raise TableError(
            f"The {what} {quote(name)} has the type {column.type}; it must hold text, numbers or dates."
        ) from None
    absent = np.array([*(is_missing(value) for value in encoded.dictionary.to_pylist()), True])
    codes = np.asarray(pc.fill_null(encoded.indices, len(absent) - 1).to_numpy(), dtype=np.int64)
    blank = np.flatnonzero(absent[codes])
    if len(blank):
        numbers = blank if rows is None else rows[blank]
        raise TableError(
            f"The {what} {quote(name)} has no value in {pluralize(len(blank), 'row')}, row {numbers[0] + 1:,} the "
            f"first (counted from 1, without the header). {advice}",
            numbers,
        )
    return codes
