"""The kind of a column, inferred by rules from its values in the training rows, or requested by the user."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from softreg.tables.columns.arrow_types import plain_column
from softreg.tables.columns.column_values import (
    Dates,
    Levels,
    Lists,
    Numbers,
    count_levels,
    drop_missing_spellings,
    read_column,
    take_rows,
)
from softreg.tables.columns.date_parsing import are_dates, day_first, parse_dates
from softreg.tables.columns.missing_values import MISSING_SPELLINGS, is_missing_spelling
from softreg.tables.columns.table_errors import TableError, pluralize, quote, quote_list
from softreg.tables.formats.column_formats import ColumnFormat, count_spellings
from softreg.tables.formats.infer_number_format import infer_numbers
from softreg.tables.formats.number_formats import NumberFormat
from softreg.tables.schema.column_hints import ID_NAME, similar_levels_note, subject_hint
from softreg.tables.schema.column_records import (
    category_column,
    constant_column,
    list_column,
    missing_phrase,
    numeric_column,
)
from softreg.tables.schema.date_columns import (
    date_column,
    find_non_dates,
    invalid_dates_note,
    text_date_column,
    with_date_hint,
)
from softreg.tables.schema.kinds import BOOLEAN_WORDS, FEW_LEVELS, MAX_LEVELS, MIN_ROWS_PER_LEVEL, Column, Kind
from softreg.tables.schema.number_columns import (
    TextOptions,
    reads_like_numbers,
    text_number_column,
    with_number_format,
    zero_padded,
)
from softreg.tables.schema.typed_values import read_levels
from softreg.typing import BoolArray, Int64Array, RowNumbers

MIN_REPEATS = 3
"""Rows of a level that repeats: it has a feature of its own (`encode.rare_levels.MIN_ROWS`)."""
MIN_REPEATED_SHARE = 0.1
"""Share of rows with a repeated level at which a column of words with many levels is a category.

Measured on directors of films, 417 levels in 609 rows of which 28% have a level of three rows: the held-out log loss is
0.020 nats lower with the column where it is related to the class, and 0.001 higher where it is not.
"""
DEFAULT_TEXT_OPTIONS = TextOptions()
"""Options of text whose decimal mark is inferred from the column alone."""


def infer_column(
    name: str,
    column: pa.ChunkedArray,
    rows: RowNumbers | None = None,
    requested: Kind | None = None,
    options: TextOptions = DEFAULT_TEXT_OPTIONS,
) -> Column:
    """Infer the kind of a column from its training rows.

    Parameters
    ----------
    name : str
        Column.
    column : pyarrow.ChunkedArray
        Its cells in the whole table.
    rows : array of int, optional
        Numbers of the training rows; all by default.
    requested : Kind, optional
        Requested kind, in place of rules 2 to 6.
    options : TextOptions
        How text is read. With `typed`, text has the type text because the author of the table gave it, as in a data
        frame, and text that reads like numbers is a category by rule 5; text of a CSV file has no type.

    Returns
    -------
    Column
        The column with its kind and the reason.

    Raises
    ------
    TableError
        If a number is infinite, if the column cannot be of the requested kind, or, with strict options, if a few values
        among many numbers are none.

    Notes
    -----
    The first rule that applies decides:

    1. One value in every row, or none at all: constant. 2. Arrow types of dates and times of day, or text that is a
    date or a time in every row: date. Text that only looks like dates
       ("45:30", "12-34-5678") is left to the rules below, with a hint.
    3. A numeric Arrow type or durations, or text that is a number in every row, in one format: number. Whole numbers
    that are all
       different are an identifier if they count the rows from 0 or 1, and so are those of a column named like one
       ("id", "customer_id", "rowId") where more than half are different. Digits of one length with leading zeros
       ("007") are a category. Rare values that are no numbers are missing (`text_number_column`).
    4. Exactly the two words true and false, yes and no, t and f, or y and n, in any case: boolean. 5. Other text, and
    any dictionary type: a category if there are at most 20 levels, or at most half as many as rows with a value (a
       fifth if they are more than 1,000); otherwise free text (three words or more a value on average); otherwise a
       category if there are at most 1,000 levels and a tenth of the rows have a level of three rows or more; otherwise
       an identifier.
    6. Lists of words are tags, lists of numbers a vector.

    A null and an empty or blank field are missing; among numbers and dates also spellings such as NA, ? and #DIV/0!,
    which are levels of a category.

    Examples
    --------
    >>> infer_column("age", pa.chunked_array([["31", "NA", "58"]])).kind.value
    'number'
    >>> infer_column("code", pa.chunked_array([["007", "112", "007"]])).kind.value
    'category'
    >>> infer_column("floor", pa.chunked_array([["1", "2", "1"]]), options=TextOptions(typed=True)).kind.value
    'category'
    >>> infer_column("year", pa.chunked_array([[2019, 2020]]), requested=Kind.CATEGORY).levels
    ('2019', '2020')
    """
    column = plain_column(column, name)
    if requested is not None:
        return column_of_kind(requested, name, column, rows, options)
    cells = read_column(column, name)
    if isinstance(cells, Lists):
        return list_column(name, column, cells, rows)
    if isinstance(cells, Dates):
        return date_column(name, take_rows(cells.values, rows), f"{quote(cells.first)}, of type {column.type}")
    if isinstance(cells, Numbers):
        number = _with_plain_format(numeric_column(name, cells.values, rows))
        duration = pa.types.is_duration(column.type) and number.kind is Kind.NUMBER
        return replace(number, reason=f"durations in seconds, {number.reason}") if duration else number
    return _infer_text_column(name, cells, rows, options)


def _with_plain_format(column: Column) -> Column:
    """Return a numeric column whose text at prediction is read as plain numbers."""
    return replace(column, format=ColumnFormat(NumberFormat())) if column.kind is Kind.NUMBER else column


def column_of_kind(
    requested: Kind,
    name: str,
    column: pa.ChunkedArray,
    rows: RowNumbers | None,
    options: TextOptions = DEFAULT_TEXT_OPTIONS,
) -> Column:
    """Return the column as the kind that the user requested; raise `TableError` where it cannot be."""
    cells = read_column(column, name)
    if isinstance(cells, Lists) or (isinstance(cells, Dates) and requested is not Kind.DATE):
        raise _wrong_kind_error(name, requested, f"it has the type {column.type}")
    if isinstance(cells, Numbers):
        if requested is Kind.NUMBER:
            return _with_plain_format(numeric_column(name, cells.values, rows, is_number=True))
        cells = read_levels(name, column)
    if isinstance(cells, Dates):
        return date_column(name, take_rows(cells.values, rows), f"{quote(cells.first)}, of type {column.type}")
    codes = take_rows(cells.codes, rows)
    counts = count_levels(codes, len(cells.levels))
    seen = np.flatnonzero(counts)
    missing = int(len(codes) - counts.sum())
    if len(seen) == 0 or (len(seen) == 1 and not missing):
        return constant_column(name, cells.levels[int(seen[0])].as_py() if len(seen) else None)
    if requested is Kind.TEXT:
        words = np.mean(np.asarray(pc.count_substring_regex(cells.levels, r"\S+"), dtype=np.float64))
        return Column(name, Kind.TEXT, f"as asked; {words:.0f} words each on average", (), missing)
    if requested is Kind.CATEGORY:
        return category_column(
            name, tuple(sorted(cells.levels.take(pa.array(seen)).to_pylist())), missing, "as asked; "
        )
    if requested is Kind.NUMBER:
        numbers = infer_numbers(cells.levels, options.decimal, requested=True)
        _require_all(name, requested, cells, numbers.ok)
        number = numeric_column(name, np.append(numbers.values, np.nan)[cells.codes], rows, is_number=True)
        all_counts = count_levels(cells.codes, len(cells.levels))
        number = with_number_format(number, cells, numbers, np.zeros(len(all_counts), dtype=bool), all_counts, options)
        return replace(number, format=replace(number.format or ColumnFormat(), requested=True))
    dates = drop_missing_spellings(cells, MISSING_SPELLINGS)
    _require_all(name, requested, dates, ~np.isnan(parse_dates(dates.levels, day_first(dates.levels) is not False)))
    return _date_column_of_text(name, cells, rows, "as asked; ")


def _date_column_of_text(
    name: str,
    cells: Levels,
    rows: RowNumbers | None,
    prefix: str = "",
    invalid_levels: BoolArray | None = None,
    options: TextOptions = DEFAULT_TEXT_OPTIONS,
) -> Column:
    """Return a column of text as dates; `slips` are levels that are no dates, which are missing."""
    dates = drop_missing_spellings(cells, MISSING_SPELLINGS)
    counts = count_levels(cells.codes, len(cells.levels))
    invalid: list[str] = [] if invalid_levels is None else dates.levels.filter(pa.array(invalid_levels)).to_pylist()
    usable = dates
    if invalid_levels is not None and invalid:
        level_codes = np.append(np.where(invalid_levels, -1, np.arange(len(dates.levels))), -1)
        usable = Levels(dates.levels, level_codes[dates.codes], dates.storage)
    column = text_date_column(name, usable, rows, prefix)
    missing = count_spellings(cells.levels, counts, is_missing_spelling(cells.levels))
    if column.kind is not Kind.DATE:
        return column
    notes = [
        *column.notes,
        *([invalid_dates_note(name, dates, invalid_levels, options.describe_row)] if invalid else []),
    ]
    return replace(column, format=ColumnFormat(None, missing, tuple(invalid)), notes=tuple(notes))


def _infer_text_column(name: str, cells: Levels, rows: RowNumbers | None, options: TextOptions) -> Column:
    """Infer the kind of a column of text, of a dictionary type, or of booleans."""
    codes = take_rows(cells.codes, rows)
    counts = count_levels(codes, len(cells.levels))
    seen = np.flatnonzero(counts)
    levels = cells.levels.take(pa.array(seen))
    missing = int(len(codes) - counts.sum())
    if len(seen) == 0 or (len(seen) == 1 and not missing):
        return constant_column(name, levels[0].as_py() if len(seen) else None)
    not_a_date = hint = ""
    if cells.storage == "text":
        if are_dates(levels.filter(pa.array(~is_missing_spelling(levels)))):
            dated = drop_missing_spellings(cells, MISSING_SPELLINGS)
            not_a_date, invalid_dates = find_non_dates(name, dated, strict=options.strict)
            if not not_a_date:
                return _date_column_of_text(name, cells, rows, invalid_levels=invalid_dates, options=options)
        if options.typed:
            text = infer_numbers(levels, options.decimal)
            if reads_like_numbers(text, counts[seen]) and not zero_padded(levels):
                inferred = _infer_category(name, levels, counts[seen], missing, "")
                return _with_number_hint(inferred, levels[int(np.argmax(text.known))])
        else:
            column, hint = text_number_column(name, cells, rows, counts, options)
            if column is not None:
                return column
    words = tuple(sorted({str(level).strip().casefold() for level in levels.to_pylist()})) if len(seen) <= 8 else ()
    if words in BOOLEAN_WORDS or (cells.storage == "boolean"):
        words = words if words in BOOLEAN_WORDS else BOOLEAN_WORDS[0]
        return Column(name, Kind.BOOLEAN, " or ".join(reversed(words)) + missing_phrase(missing, ","), words, missing)
    inferred = _infer_category(name, levels, counts[seen], missing, hint)
    if inferred.kind is Kind.CATEGORY and not hint:
        subjects = subject_hint(name, codes[codes >= 0], len(seen), examples=levels[:20].to_pylist(), use="category")
        notes = [note for note in (similar_levels_note(name, levels, counts[seen]), subjects) if note]
        inferred = replace(inferred, notes=(*inferred.notes, *notes))
    return with_date_hint(inferred, not_a_date) if not_a_date else inferred


def _with_number_hint(column: Column, value: pa.Scalar) -> Column:
    """Return a column of typed text that reads like numbers, with a hint at `number`."""
    is_left_out = column.kind is Kind.IDENTIFIER
    use = (
        "looks like an identifier and is left out"
        if is_left_out
        else f"is used as a {column.kind.value}, as its type says"
    )
    hint = (
        f"column {quote(column.name)} holds text that reads like numbers ({quote(value)}) and {use}; to use it as "
        f"numbers: --number {quote(column.name)} (number=[{quote(column.name)}] in Python)"
    )
    return replace(column, hint=hint)


def _infer_category(name: str, levels: pa.Array, counts: Int64Array, missing: int, hint: str) -> Column:
    """Return a category if levels are few or repeat among the rows with a value; otherwise text or an identifier."""
    has_value = ~is_missing_spelling(levels)
    count, n = int(has_value.sum()), int(counts[has_value].sum())
    is_named_id = bool(ID_NAME.search(name)) and count == n and count > 1
    has_few_levels = count <= FEW_LEVELS or count <= n / (2 if count <= MAX_LEVELS else MIN_ROWS_PER_LEVEL)
    if not is_named_id and has_few_levels:
        return category_column(name, tuple(sorted(levels.to_pylist())), missing, "", hint)
    words = np.mean(np.asarray(pc.count_substring_regex(levels, r"\S+"), dtype=np.float64))
    repeated_rows = int(counts[has_value & (counts >= MIN_REPEATS)].sum())
    if not is_named_id and words < 3 and count <= MAX_LEVELS and repeated_rows >= n * MIN_REPEATED_SHARE:
        return category_column(name, tuple(sorted(levels.to_pylist())), missing, "", hint)
    description = (
        f"{count:,} different values in {pluralize(n, 'row')}{missing_phrase(missing + int(counts.sum()) - n, ',')}"
    )
    if words >= 3:
        return Column(name, Kind.TEXT, f"{description}, {words:.0f} words each on average", (), missing, hint)
    hint = f"{hint}; as an identifier ({description}) it is left out" if hint else ""
    return Column(
        name, Kind.IDENTIFIER, f"{description}, such as {quote_list(levels[:2].to_pylist())}", (), missing, hint
    )


def _require_all(name: str, requested: Kind, cells: Levels, ok: BoolArray) -> None:
    """Raise `TableError` for the first level that is not of the requested kind."""
    invalid_rows = np.append(~ok, False)[cells.codes]
    if invalid_rows.any():
        level = int(cells.codes[np.argmax(invalid_rows)])
        value = quote(cells.levels[level])
        advice = f"Correct the value, treat it as a missing value (--na {value})" if requested is Kind.NUMBER else ""
        error = _wrong_kind_error(
            name, requested, f"row {cells.first_row(level):,} has {quote(cells.levels[level])}", advice
        )
        error.rows = np.flatnonzero(invalid_rows)
        raise error


def _wrong_kind_error(name: str, requested: Kind, seen: str, advice: str = "") -> TableError:
    advice = advice or "Let softreg infer the kind of the column, correct the value"
    return TableError(
        f"Column {quote(name)} cannot be used as a {requested.value}, as asked: {seen}. {advice}, or leave the column "
        f"out: --drop {quote(name)} (drop=[{quote(name)}] in Python)."
    )
