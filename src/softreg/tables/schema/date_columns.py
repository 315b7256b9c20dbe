"""Columns of dates: their records, the text that is no date, and notes on both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from softreg.tables.columns.column_values import Levels, count_levels, take_rows
from softreg.tables.columns.date_parsing import (
    day_first,
    has_day_month_dates,
    invalid_date_tolerance,
    mixed_zones_message,
    parse_dates,
    utc_offsets,
)
from softreg.tables.columns.table_errors import TableError, pluralize, quote
from softreg.tables.schema.column_records import (
    constant_column,
    missing_phrase,
)
from softreg.tables.schema.kinds import MONTH_FIRST, Column, Kind
from softreg.typing import BoolArray, Float64Array, RowNumbers


def date_column(name: str, seconds: Float64Array, reason: str, levels: tuple[str, ...] = ()) -> Column:
    """Return the record of a column of dates; constant where there is one date or none."""
    known = seconds[~np.isnan(seconds)]
    missing = len(seconds) - len(known)
    if len(known) == 0 or (known.min() == known.max() and not missing):
        return constant_column(name, reason if len(known) else None)
    return Column(name, Kind.DATE, reason + missing_phrase(missing, ","), levels, missing)


def find_non_dates(name: str, cells: Levels, *, strict: bool = False) -> tuple[str, BoolArray]:
    """Find the levels of a column that looks like dates and are none.

    Returns
    -------
    example : str
        Row and value of the first such cell, where the column holds another kind of value; empty where it holds dates.
    invalid : array of bool (k,)
        Levels that are no dates, where they are so few that they are errors of single rows.

    Raises
    ------
    TableError
        For such errors, if `strict`.
    """  # noqa: DOC501
    seconds = parse_dates(cells.levels, day_first(cells.levels) is not False)
    invalid = np.isnan(seconds)
    counts = count_levels(cells.codes, len(seconds))
    no_level = np.zeros(len(invalid), dtype=bool)
    if not counts[invalid].any():
        return "", no_level
    share = counts[invalid].sum() / counts.sum()
    if (share <= invalid_date_tolerance(cells.levels.filter(pa.array(invalid & (counts > 0))))).all():
        if strict:
            raise invalid_date_error(name, cells, invalid)
        return "", invalid
    first = int(np.argmax(np.append(invalid, False)[cells.codes]))
    return f"row {first + 1:,} has {quote(cells.levels[int(cells.codes[first])])}", no_level


def invalid_dates_note(name: str, cells: Levels, invalid: Any, describe_row: Callable[[int], str]) -> str:
    """Return the note that some levels of a column of dates are read as missing; `describe_row` names a row, from 0."""
    rows = np.flatnonzero(np.append(invalid, False)[cells.codes])
    value = cells.levels[int(cells.codes[rows[0]])]
    order = "month/day" if day_first(cells.levels) is False else "day/month"
    others = f", and {pluralize(len(rows) - 1, 'other row')} such a value" if len(rows) > 1 else ""
    return (
        f"column {quote(name)} holds dates, but {describe_row(int(rows[0]))} has {quote(value)}{others}, which the "
        f"calendar does not have (with slashes, dates are read as {order}/year) and which is read as missing; correct "
        f"it, or take the column for words: --category {quote(name)} (category=[{quote(name)}] in Python)"
    )


def invalid_date_error(name: str, cells: Levels, invalid: BoolArray) -> TableError:
    """Return the error for a column of dates of which some levels are no dates."""
    rows = np.flatnonzero(np.append(invalid, False)[cells.codes])
    value = cells.levels[int(cells.codes[rows[0]])]
    order = "month/day" if day_first(cells.levels) is False else "day/month"
    return TableError(
        f"Column {quote(name)} holds dates, but row {rows[0] + 1:,} has {quote(value)}, which the calendar does not "
        f"have (with slashes, dates are read as {order}/year). Correct it, leave the field empty if the date is not "
        f"known, take the column for words: --category {quote(name)}, or leave it out: --drop {quote(name)} "
        f"(drop=[{quote(name)}] in Python).",
        rows,
    )


def text_date_column(name: str, cells: Levels, rows: RowNumbers | None, how: str = "") -> Column:
    """Return the record of dates written as text; the day is first where the order cannot be inferred."""
    is_day_first = day_first(cells.levels)
    seconds = parse_dates(cells.levels, is_day_first is not False)
    codes = take_rows(cells.codes, rows)
    all_values = np.append(seconds, np.nan)[codes]
    example = cells.levels[int(codes[np.argmax(codes >= 0)])].as_py() if (codes >= 0).any() else ""
    column = date_column(
        name, all_values, f"{how}{quote(example)} and others", MONTH_FIRST if is_day_first is False else ()
    )
    if column.kind is not Kind.DATE:
        return column
    hints = []
    if is_day_first is None and has_day_month_dates(cells.levels):
        hints.append(
            f"column {quote(name)} has dates such as {quote(example)}, in which the first number may be day or "
            "month; it is read as the day. Write dates like 2020-01-31 to be sure"
        )
    zones = utc_offsets(cells.levels)
    if len(zones) > 1:
        hints.append(mixed_zones_message(name, zones))
    return replace(column, hint="; ".join(hints)) if hints else column


def with_date_hint(column: Column, seen: str) -> Column:
    """Return a column that only looks like dates, with the hint that says so; `seen` names a value that is none."""
    left_out = column.kind is Kind.IDENTIFIER
    used_as = "left out as an identifier" if left_out else f"taken for a {column.kind.value}"
    hint = (
        f"column {quote(column.name)} looks like dates or times, but {seen}, which is none, so it is {used_as}. "
        f"Where that is wrong, say what it is: --category, --text or --date {quote(column.name)}"
    )
    return replace(column, hint=hint)
