"""Groups of rows that belong together, such as those of one person, and splits that keep them together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from softreg.models.inputs.row_keys import is_missing
from softreg.tables.columns.errors import TableError, pluralize, quote, unknown_column_error
from softreg.typing import Codes, Float64Array, RowNumbers
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


def split_groups(
    codes: NDArray[np.integer[Any]], groups: Codes, test_size: float = 0.2, seed: int = 0
) -> tuple[RowNumbers, RowNumbers]:
    """Split rows into training and test rows by whole groups, with nearly the same share of each class.

    Groups are considered in an order drawn by `seed`; a group is held out if it brings the test rows of each class
    nearer to their share (in squares over the number of its rows) and leaves every class training rows.

    Parameters
    ----------
    codes : array of int (n,)
        Class of each row.
    groups : array of int (n,)
        Group of each row.
    test_size : float
        Share of the rows to hold out.
    seed : int
        Seed of the order.

    Returns
    -------
    train, test : array of int
        Row numbers from 0, sorted.

    Raises
    ------
    TableError
        If no group can be held out.

    Examples
    --------
    >>> train, test = split_groups(np.tile([0, 1], 50), np.arange(100) // 10, 0.2)
    >>> len(test), sorted(set((test // 10).tolist()) & set((train // 10).tolist()))
    (20, [])
    """
    _, code = np.unique(codes, return_inverse=True)
    _, group = np.unique(groups, return_inverse=True)
    counts = np.zeros((int(group.max()) + 1, int(code.max()) + 1))
    np.add.at(counts, (group, code), 1)
    total = counts.sum(axis=0)
    wanted_rows, held = test_size * total, np.zeros(len(total))

    def far(rows: Float64Array) -> Float64Array:
        return np.asarray(((rows - wanted_rows) ** 2 / total).sum(axis=-1))

    order = np.random.default_rng(seed).permutation(len(counts))
    chosen = []
    for g in order:
        if far(held + counts[g]) < far(held) and (held + counts[g] < total).all():
            held += counts[g]
            chosen.append(g)
    if not chosen:  # all are large: the one that is nearest
        free = [g for g in order if (counts[g] < total).all()]
        if not free:
            raise TableError(
                f"The rows are in {pluralize(len(counts), 'group')}, each of which has all rows of some class, so none "
                "can be held out as a whole. Group by another column, or leave the groups out."
            )
        chosen = [min(free, key=lambda g: float(far(counts[g])))]
    test = np.isin(group, chosen)
    return np.flatnonzero(~test), np.flatnonzero(test)
