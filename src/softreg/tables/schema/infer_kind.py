"""What one column is taken for, and why: the rules, learned on the training rows."""

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
from softreg.tables.columns.dates import are_dates, day_first, parse_dates
from softreg.tables.columns.errors import TableError, pluralize, quote, quote_list
from softreg.tables.columns.missing_values import MISSING_SPELLINGS, is_missing_spelling
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
"""Rows from which on a level of many repeats: it has a feature of its own (`learning.RARE`)."""
MIN_REPEATED_SHARE = 0.1
"""Share of the rows with a level that repeats from which on a column of words with many levels is a category. Directors
of films, of whom 417 differ in 609 rows and 28% of the rows repeat thrice: where they tell of the class, the held-out
log loss is lower by 0.020 nats with them; where they do not, it is higher by 0.001."""
DEFAULT_TEXT_OPTIONS = TextOptions()
"""Text is judged by what it shows alone."""


def infer_column(
    name: str,
    column: pa.ChunkedArray,
    rows: RowNumbers | None = None,
    asked: Kind | None = None,
    rules: TextOptions = DEFAULT_TEXT_OPTIONS,
) -> Column:
    """What a column is taken for, judged by the training rows `rows` (all where None); `asked` overrules rules 2 to 6.

    `rules.typed` says that text has the type text because whoever made the table gave it, as in a data frame; that of a
    CSV file has no type. Typed text that reads like numbers is not a number by rule 3: it is judged by rule 5.

    The rules, in this order:

    1. one value in every row, or none at all: constant;
    2. Arrow types of dates and times of day, or text that is a date or a time in every row: date; text that only
       looks like dates ("45:30", "12-34-5678") is judged by the rules below, and a hint says so;
    3. an Arrow number type or durations, or text that is a number in every row, in one format (`infer_numbers`):
       number; but whole numbers that are all different are an identifier if they count the rows from 0 or 1, and so are
       those of a column named like one ("id", "customer_id", "rowId") where more than half are different; and digits of
       one length with leading zeros ("007") are codes, a category. Rare values that are no numbers are read as missing
       (`text_number_column`);
    4. exactly the two words true and false, yes and no, t and f, or y and n, in any case: boolean;
    5. other text, and any dictionary type: a category, where the levels are at most 20, or at most half of the rows,
       or, if they are more than 1,000, at most a fifth of them, counting the rows that have a value; otherwise free
       text (three words or more a value on average); otherwise a category, where the levels are at most 1,000 and a
       tenth of the rows have a level of three rows or more; otherwise an identifier;
    6. lists of words are tags, lists of numbers a vector.

    Missing is an empty or blank field or a null; among numbers and dates also the spellings of
    `softreg.tables.columns.missing_values`, such as NA, ? and #DIV/0!. In a category these are levels like any
    other word.

    Raises `TableError` for an infinite number, for a column that cannot be what was asked for and, where the `rules`
    are strict, for a column of many numbers in which a few values are none.

    Example:
        >>> infer_column("age", pa.chunked_array([["31", "NA", "58"]])).kind.value
        'number'
        >>> infer_column("code", pa.chunked_array([["007", "112", "007"]])).kind.value
        'category'
        >>> infer_column("floor", pa.chunked_array([["1", "2", "1"]]), rules=TextOptions(typed=True)).kind.value
        'category'
        >>> infer_column("year", pa.chunked_array([[2019, 2020]]), asked=Kind.CATEGORY).levels
        ('2019', '2020')
    """
    column = plain_column(column, name)
    if asked is not None:
        return column_of_kind(asked, name, column, rows, rules)
    cells = read_column(column, name)
    if isinstance(cells, Lists):
        return list_column(name, column, cells, rows)
    if isinstance(cells, Dates):
        return date_column(name, take_rows(cells.values, rows), f"{quote(cells.first)}, of type {column.type}")
    if isinstance(cells, Numbers):
        found = _with_plain_format(numeric_column(name, cells.values, rows))
        duration = pa.types.is_duration(column.type) and found.kind is Kind.NUMBER
        return replace(found, reason=f"durations in seconds, {found.reason}") if duration else found
    return _infer_text_column(name, cells, rows, rules)


def _with_plain_format(column: Column) -> Column:
    """A column of a type of numbers: at prediction, text is read as plain numbers."""
    return replace(column, format=ColumnFormat(NumberFormat())) if column.kind is Kind.NUMBER else column


def column_of_kind(
    asked: Kind, name: str, column: pa.ChunkedArray, rows: RowNumbers | None, rules: TextOptions = DEFAULT_TEXT_OPTIONS
) -> Column:
    """The column as the kind that the user asked for; `TableError` where it cannot be that."""
    cells = read_column(column, name)
    if isinstance(cells, Lists) or (isinstance(cells, Dates) and asked is not Kind.DATE):
        raise _wrong_kind_error(name, asked, f"it has the type {column.type}")
    if isinstance(cells, Numbers):
        if asked is Kind.NUMBER:
            return _with_plain_format(numeric_column(name, cells.values, rows, sure=True))
        cells = read_levels(name, column)
    if isinstance(cells, Dates):
        return date_column(name, take_rows(cells.values, rows), f"{quote(cells.first)}, of type {column.type}")
    codes = take_rows(cells.codes, rows)
    counts = count_levels(codes, len(cells.levels))
    seen = np.flatnonzero(counts)
    missing = int(len(codes) - counts.sum())
    if len(seen) == 0 or (len(seen) == 1 and not missing):
        return constant_column(name, cells.levels[int(seen[0])].as_py() if len(seen) else None)
    if asked is Kind.TEXT:
        words = np.mean(np.asarray(pc.count_substring_regex(cells.levels, r"\S+"), dtype=np.float64))
        return Column(name, Kind.TEXT, f"as asked; {words:.0f} words each on average", (), missing)
    if asked is Kind.CATEGORY:
        return category_column(
            name, tuple(sorted(cells.levels.take(pa.array(seen)).to_pylist())), missing, "as asked; "
        )
    if asked is Kind.NUMBER:
        text = infer_numbers(cells.levels, rules.decimal, requested=True)
        _require_all(name, asked, cells, text.ok)
        found = numeric_column(name, np.append(text.values, np.nan)[cells.codes], rows, sure=True)
        every = count_levels(cells.codes, len(cells.levels))
        found = with_number_format(found, cells, text, np.zeros(len(every), dtype=bool), every, rules)
        return replace(found, format=replace(found.format or ColumnFormat(), requested=True))
    dated = drop_missing_spellings(cells, MISSING_SPELLINGS)
    _require_all(name, asked, dated, ~np.isnan(parse_dates(dated.levels, day_first(dated.levels) is not False)))
    return _date_column_of_text(name, cells, rows, "as asked; ")


def _date_column_of_text(
    name: str,
    cells: Levels,
    rows: RowNumbers | None,
    how: str = "",
    slips: BoolArray | None = None,
    rules: TextOptions = DEFAULT_TEXT_OPTIONS,
) -> Column:
    """A column of text as dates, with the spellings of a missing value among them; `slips` are levels that are none."""
    dated = drop_missing_spellings(cells, MISSING_SPELLINGS)
    counts = count_levels(cells.codes, len(cells.levels))
    invalid: list[str] = [] if slips is None else dated.levels.filter(pa.array(slips)).to_pylist()
    usable = dated
    if slips is not None and invalid:
        places = np.append(np.where(slips, -1, np.arange(len(dated.levels))), -1)
        usable = Levels(dated.levels, places[dated.codes], dated.storage)
    found = text_date_column(name, usable, rows, how)
    missing = count_spellings(cells.levels, counts, is_missing_spelling(cells.levels))
    if found.kind is not Kind.DATE:
        return found
    notes = [*found.notes, *([invalid_dates_note(name, dated, slips, rules.place)] if invalid else [])]
    return replace(found, format=ColumnFormat(None, missing, tuple(invalid)), notes=tuple(notes))


def _infer_text_column(name: str, cells: Levels, rows: RowNumbers | None, rules: TextOptions) -> Column:
    """Rules for text, dictionary types and booleans."""
    codes = take_rows(cells.codes, rows)
    counts = count_levels(codes, len(cells.levels))
    seen = np.flatnonzero(counts)
    levels = cells.levels.take(pa.array(seen))
    missing = int(len(codes) - counts.sum())
    if len(seen) == 0 or (len(seen) == 1 and not missing):
        return constant_column(name, levels[0].as_py() if len(seen) else None)
    like = hint = ""
    if cells.storage == "text":
        if are_dates(levels.filter(pa.array(~is_missing_spelling(levels)))):
            like, slips = find_non_dates(name, drop_missing_spellings(cells, MISSING_SPELLINGS), strict=rules.strict)
            if not like:
                return _date_column_of_text(name, cells, rows, slips=slips, rules=rules)
        if rules.typed:
            text = infer_numbers(levels, rules.decimal)
            if reads_like_numbers(text, counts[seen]) and not zero_padded(levels):
                found = _infer_category(name, levels, counts[seen], missing, "")
                return _with_number_hint(found, levels[int(np.argmax(text.known))])
        else:
            column, hint = text_number_column(name, cells, rows, counts, rules)
            if column is not None:
                return column
    words = tuple(sorted({str(level).strip().casefold() for level in levels.to_pylist()})) if len(seen) <= 8 else ()
    if words in BOOLEAN_WORDS or (cells.storage == "boolean"):
        words = words if words in BOOLEAN_WORDS else BOOLEAN_WORDS[0]
        return Column(name, Kind.BOOLEAN, " or ".join(reversed(words)) + missing_phrase(missing, ","), words, missing)
    found = _infer_category(name, levels, counts[seen], missing, hint)
    if found.kind is Kind.CATEGORY and not hint:
        subjects = subject_hint(name, codes[codes >= 0], len(seen), examples=levels[:20].to_pylist(), use="category")
        notes = [note for note in (similar_levels_note(name, levels, counts[seen]), subjects) if note]
        found = replace(found, notes=(*found.notes, *notes))
    return with_date_hint(found, like) if like else found


def _with_number_hint(found: Column, value: pa.Scalar) -> Column:
    """A column of the type text whose values read like numbers: words, with a hint at `number`."""
    left = found.kind is Kind.IDENTIFIER
    does = "looks like an identifier and is left out" if left else f"is used as a {found.kind.value}, as its type says"
    said = (
        f"column {quote(found.name)} holds text that reads like numbers ({quote(value)}) and {does}; to use it as "
        f"numbers: --number {quote(found.name)} (number=[{quote(found.name)}] in Python)"
    )
    return replace(found, hint=said)


def _infer_category(name: str, levels: pa.Array, counts: Int64Array, missing: int, hint: str) -> Column:
    """A category where the levels are few or most rows have one that repeats; otherwise free text or an identifier.

    Shares are those of the `counts` of rows that have a value: spellings of a missing one, such as NA, are levels, but
    the rows that have them say nothing about how often values repeat.
    """
    valued = ~is_missing_spelling(levels)
    count, n = int(valued.sum()), int(counts[valued].sum())
    named = bool(ID_NAME.search(name)) and count == n and count > 1
    few = count <= FEW_LEVELS or count <= n / (2 if count <= MAX_LEVELS else MIN_ROWS_PER_LEVEL)
    if not named and few:
        return category_column(name, tuple(sorted(levels.to_pylist())), missing, "", hint)
    words = np.mean(np.asarray(pc.count_substring_regex(levels, r"\S+"), dtype=np.float64))
    often = int(counts[valued & (counts >= MIN_REPEATS)].sum())
    if not named and words < 3 and count <= MAX_LEVELS and often >= n * MIN_REPEATED_SHARE:
        return category_column(name, tuple(sorted(levels.to_pylist())), missing, "", hint)
    different = (
        f"{count:,} different values in {pluralize(n, 'row')}{missing_phrase(missing + int(counts.sum()) - n, ',')}"
    )
    if words >= 3:
        return Column(name, Kind.TEXT, f"{different}, {words:.0f} words each on average", (), missing, hint)
    hint = f"{hint}; as an identifier ({different}) it is left out" if hint else ""
    return Column(
        name, Kind.IDENTIFIER, f"{different}, such as {quote_list(levels[:2].to_pylist())}", (), missing, hint
    )


def _require_all(name: str, asked: Kind, cells: Levels, ok: BoolArray) -> None:
    """Raise `TableError` for the first level that is not what was asked for."""
    bad_rows = np.append(~ok, False)[cells.codes]
    if bad_rows.any():
        bad = int(cells.codes[np.argmax(bad_rows)])
        value = quote(cells.levels[bad])
        advice = f"Correct the value, treat it as a missing value (--na {value})" if asked is Kind.NUMBER else ""
        error = _wrong_kind_error(name, asked, f"row {cells.first_row(bad):,} has {quote(cells.levels[bad])}", advice)
        error.rows = np.flatnonzero(bad_rows)
        raise error


def _wrong_kind_error(name: str, asked: Kind, seen: str, advice: str = "") -> TableError:
    advice = advice or "Leave it to softreg to judge the column, correct the value"
    return TableError(
        f"Column {quote(name)} cannot be used as a {asked.value}, as asked: {seen}. {advice}, or leave the column out: "
        f"--drop {quote(name)} (drop=[{quote(name)}] in Python)."
    )
