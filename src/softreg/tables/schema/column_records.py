"""What is said of a column of each kind: the column record with its reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from softreg.tables.columns.column_values import Levels, Lists, count_levels, take_rows
from softreg.tables.columns.dates import (
    day_first,
    has_day_month_dates,
    invalid_date_tolerance,
    mixed_zones_message,
    parse_dates,
    utc_offsets,
)
from softreg.tables.columns.errors import TableError, pluralize, quote, quote_list
from softreg.tables.schema.column_hints import ID_NAME, like_subjects
from softreg.tables.schema.kinds import MAX_LEVELS, MONTH_FIRST, SMALL, Column, Kind

Rows = NDArray[np.int64] | None


def constant(name: str, value: str | None) -> Column:
    """A column of one value, or of none."""
    return Column(name, Kind.CONSTANT, "no value in any row" if value is None else f"{quote(value)} in every row")


def category(name: str, names: tuple[str, ...], missing: int, how: str, hint: str = "") -> Column:
    """A category with these levels."""
    reason = f"{how}{pluralize(len(names), 'level')}: {quote_list(names, 4)}{without(missing, ';')}"
    return Column(name, Kind.CATEGORY, reason, names if len(names) <= MAX_LEVELS else (), missing, hint)


def numbers(name: str, every: NDArray[np.float64], rows: NDArray[np.int64] | None, *, sure: bool = False) -> Column:
    """Rules for a column whose values are numbers; nan is missing. `sure` means that it is no identifier."""
    values = take_rows(every, rows)
    bad = np.flatnonzero(np.isinf(every))  # of the rows held out as well: better told now than after the fit
    if bad.size:
        error = infinite(name, int(bad[0]) + 1, every[bad[0]])
        error.rows = bad
        raise error
    known = values[~np.isnan(values)]
    missing = len(values) - len(known)
    if known.size == 0:
        return constant(name, None)
    low, high = float(known.min()), float(known.max())
    if low == high and not missing:
        return constant(name, f"{low:.6g}")
    whole = bool((known == np.floor(known)).all())
    different = np.unique(known).size if whole else 0  # shares count the rows that have a value
    if sure:
        return Column(name, Kind.NUMBER, f"as asked; {low:.6g} to {high:.6g}{without(missing, ',')}", (), missing)
    if ID_NAME.search(name) and 2 * different > known.size:
        how = f"every row{' with a value' if missing else ''} has another whole number"
        how = how if different == known.size else f"{known.size:,} rows have {different:,} different numbers"
        return Column(name, Kind.IDENTIFIER, f"its name says so, and {how}", (), missing)
    if different == known.size and len(every) > SMALL and _counts_rows(every):
        return Column(name, Kind.IDENTIFIER, f"it counts the rows, from {np.nanmin(every):.0f} on")
    hint = like_subjects(name, known, different, use="number") if whole else ""
    return Column(name, Kind.NUMBER, f"{low:.6g} to {high:.6g}{without(missing, ',')}", (), missing, hint)


def dates(name: str, seconds: NDArray[np.float64], reason: str, levels: tuple[str, ...] = ()) -> Column:
    """Dates, unless there is one or none."""
    known = seconds[~np.isnan(seconds)]
    missing = len(seconds) - len(known)
    if len(known) == 0 or (known.min() == known.max() and not missing):
        return constant(name, reason if len(known) else None)
    return Column(name, Kind.DATE, reason + without(missing, ","), levels, missing)


def no_dates(name: str, cells: Levels, *, strict: bool = False) -> tuple[str, NDArray[np.bool_]]:
    """The first row and value of a column that looks like dates and holds none; "" where it holds dates.

    Beside it, which levels are no dates, where these are so few that they are slips rather than another kind of value.
    Raises `TableError` for slips where the rules are `strict`.
    """
    seconds = parse_dates(cells.levels, day_first(cells.levels) is not False)
    bad = np.isnan(seconds)
    counts = count_levels(cells.codes, len(seconds))
    none = np.zeros(len(bad), dtype=bool)
    if not counts[bad].any():
        return "", none
    share = counts[bad].sum() / counts.sum()
    if (share <= invalid_date_tolerance(cells.levels.filter(pa.array(bad & (counts > 0))))).all():
        if strict:
            raise no_such_day(name, cells, bad)
        return "", bad
    first = int(np.argmax(np.append(bad, False)[cells.codes]))
    return f"row {first + 1:,} has {quote(cells.levels[int(cells.codes[first])])}", none


def slipped_dates(name: str, cells: Levels, bad: Any, place: Callable[[int], str]) -> str:
    """The note that some levels (`bad`) of a column of dates are read as missing; `place` names a row, from 0."""
    rows = np.flatnonzero(np.append(bad, False)[cells.codes])
    value = cells.levels[int(cells.codes[rows[0]])]
    form = "month/day" if day_first(cells.levels) is False else "day/month"
    more = f", and {pluralize(len(rows) - 1, 'other row')} such a value" if len(rows) > 1 else ""
    return (
        f"column {quote(name)} holds dates, but {place(int(rows[0]))} has {quote(value)}{more}, which the calendar "
        f"does not have (with slashes, dates are read as {form}/year) and which is read as missing; correct it, or "
        f"take the column for words: --category {quote(name)} (category=[{quote(name)}] in Python)"
    )


def no_such_day(name: str, cells: Levels, bad: NDArray[np.bool_]) -> TableError:
    """The error for a column of dates of which some levels (`bad`) are no dates."""
    rows = np.flatnonzero(np.append(bad, False)[cells.codes])
    value = cells.levels[int(cells.codes[rows[0]])]
    form = "month/day" if day_first(cells.levels) is False else "day/month"
    return TableError(
        f"Column {quote(name)} holds dates, but row {rows[0] + 1:,} has {quote(value)}, which the calendar does not "
        f"have (with slashes, dates are read as {form}/year). Correct it, leave the field empty if the date is not "
        f"known, take the column for words: --category {quote(name)}, or leave it out: --drop {quote(name)} "
        f"(drop=[{quote(name)}] in Python).",
        rows,
    )


def text_dates(name: str, cells: Levels, rows: NDArray[np.int64] | None, how: str = "") -> Column:
    """Dates written as text; where the order of day and month cannot be seen, the day is taken to be first."""
    first = day_first(cells.levels)
    seconds = parse_dates(cells.levels, first is not False)
    codes = take_rows(cells.codes, rows)
    every = np.append(seconds, np.nan)[codes]
    shown_first = cells.levels[int(codes[np.argmax(codes >= 0)])].as_py() if (codes >= 0).any() else ""
    found = dates(name, every, f"{how}{quote(shown_first)} and others", MONTH_FIRST if first is False else ())
    if found.kind is not Kind.DATE:
        return found
    hints = []
    if first is None and has_day_month_dates(cells.levels):
        hints.append(
            f"column {quote(name)} has dates such as {quote(shown_first)}, in which the first number may be day or "
            "month; it is read as the day. Write dates like 2020-01-31 to be sure"
        )
    zones = utc_offsets(cells.levels)
    if len(zones) > 1:
        hints.append(mixed_zones_message(name, zones))
    return replace(found, hint="; ".join(hints)) if hints else found


def like_dates(column: Column, seen: str) -> Column:
    """A column that only looks like dates, with the words that say so; `seen` is the row of a value that is none."""
    left_out = column.kind is Kind.IDENTIFIER
    taken = "left out as an identifier" if left_out else f"taken for a {column.kind.value}"
    hint = (
        f"column {quote(column.name)} looks like dates or times, but {seen}, which is none, so it is {taken}. "
        f"Where that is wrong, say what it is: --category, --text or --date {quote(column.name)}"
    )
    return replace(column, hint=hint)


def lists(name: str, column: pa.ChunkedArray, cells: Lists, rows: NDArray[np.int64] | None) -> Column:
    """Tags or a vector."""
    column = column if rows is None else column.take(pa.array(rows))
    sizes = pc.list_value_length(column).drop_null()
    missing = len(column) - len(sizes)
    if len(sizes) == 0 or not pc.any(pc.greater(sizes, 0)).as_py():
        return constant(name, None)
    low, high = (int(end.as_py()) for end in pc.min_max(sizes).values())
    if not cells.vectors:
        return Column(name, Kind.TAGS, f"lists of {low:,} to {high:,} words{without(missing, ',')}", (), missing)
    if low != high:
        bad = int(pc.index(pc.not_equal(sizes, high), True).as_py()) + 1
        raise TableError(
            f"Column {quote(name)} holds lists of numbers of different lengths, {low:,} to {high:,} (row {bad:,} is "
            "not the longest). A vector must have the same length in every row, or be missing; for labels that a row "
            "has any number of, write words."
        )
    return Column(name, Kind.VECTOR, f"vectors of {high:,} numbers{without(missing, ',')}", (), missing)


def _counts_rows(values: NDArray[np.float64]) -> bool:
    """Whether the values of the whole column are 0..n-1 or 1..n, in any order."""
    start = values.min()
    return bool(start in (0.0, 1.0) and np.array_equal(np.sort(values), start + np.arange(len(values))))


def infinite(name: str, row: int, value: float) -> TableError:
    """The error for a number that is not finite.

    Example:
        >>> print(infinite("age", 3, float("inf")))  # doctest: +ELLIPSIS
        Column 'age' has inf in row 3; expected a finite number. Correct it, or leave the field empty ...
    """
    return TableError(
        f"Column {quote(name)} has {value} in row {row:,}; expected a finite number. Correct it, or leave "
        "the field empty if the value is not known, or treat it as a missing value: --na inf (na=['inf'] in Python)."
    )


def without(missing: int, mark: str) -> str:
    """How many rows have no value, behind a comma or semicolon; nothing where every row has one."""
    rows = "row" if missing == 1 else "rows"
    return f"{mark} {missing:,} {rows} without a value" if missing else ""
