"""Columns of text as columns of numbers: format, spellings of missing values, and rare values that are no numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from softreg.tables.columns.column_values import Levels, count_levels
from softreg.tables.columns.table_errors import TableError, pluralize, quote, quote_list
from softreg.tables.formats.column_formats import ColumnFormat, count_spellings
from softreg.tables.formats.infer_number_format import InferredNumbers, infer_numbers
from softreg.tables.formats.invalid_numbers import MAX_INVALID_SHARE
from softreg.tables.schema.column_records import numeric_column
from softreg.tables.schema.kinds import FEW_LEVELS, MAX_LEVELS, MIN_ROWS_PER_LEVEL, Column, Kind
from softreg.typing import BoolArray, Int64Array, RowNumbers

MAX_INVALID_VALUES = 3
"""Distinct values that are no numbers up to which they are spellings of a missing value, in up to half of the rows."""
MIN_DISTINCT_NUMBERS = 5
"""Distinct numbers that a column of text has at least for the hint that it is almost numeric."""


def row_name(row: int) -> str:
    """Return a row, counted from 0, in words."""
    return f"row {row + 1:,}"


@dataclass(frozen=True)
class TextOptions:
    """Options for the inference from text.

    Attributes
    ----------
    decimal : str or None
        Decimal mark, if it is known.
    why : str
        Why it is, for notes.
    strict : bool
        Whether rare values that are no numbers or dates are errors, so that their rows can be left out.
    typed : bool
        Whether the author of the table chose the type text, so that no number is read from it.
    describe_row : callable
        Names a row, from 0, in messages.
    """

    decimal: str | None = None
    why: str = ""
    strict: bool = False
    typed: bool = False
    describe_row: Callable[[int], str] = row_name


@dataclass(frozen=True)
class _LevelCounts:
    """Rows (k,) of each level among the training rows and in the whole table."""

    training: Int64Array
    every: RowNumbers


def text_number_column(
    name: str, cells: Levels, rows: RowNumbers | None, training: Int64Array, options: TextOptions
) -> tuple[Column | None, str]:
    """Return a column of text as one of numbers, or None and a hint where it only looks like numbers.

    Values that are no numbers are missing if they are at most 1% of the rows with a value, or at most three distinct
    ones. Where numbers are repeated codes of one length, as 12345 beside 12345-6789, all values are levels.

    Parameters
    ----------
    name : str
        Column.
    cells : Levels
        Its levels and codes (n,) of the whole table.
    rows : array of int or None
        Training rows; all where None.
    training : array of int (k,)
        Training rows of each level.
    rules : TextOptions
        Options.

    Returns
    -------
    column : Column or None
        The column.
    hint : str
        Why it is no column of numbers; empty where it does not look like one.

    Raises
    ------
    TableError
        If there are such values and the options are strict.
    """  # noqa: DOC501
    size = len(cells.levels)
    counts = _LevelCounts(training, training if rows is None else count_levels(cells.codes, size))
    text = infer_numbers(cells.levels, options.decimal)
    bad, known, seen = ~text.ok, text.known, counts.training > 0
    if not (known & seen).any():
        return None, _several_formats_hint(name, text, counts)
    non_numbers = bad & seen
    if not non_numbers.any():
        if text.format.plain and zero_padded(cells.levels.filter(pa.array(seen))):
            return None, ""
        invalid = bad if _are_invalid_entries(bad, known, counts.every) else np.zeros(size, dtype=bool)
        return _as_numbers(name, cells, rows, text, invalid, counts, options), ""
    if not _are_invalid_entries(non_numbers, known, counts.training):
        return None, _several_formats_hint(name, text, counts) or _almost_numeric_hint(
            name, cells, non_numbers, known, counts, options
        )
    if _are_codes(cells.levels, non_numbers, known & seen) and _have_repeats(counts.training[seen]):
        if zero_padded(cells.levels.filter(pa.array(known & seen))):
            return None, ""
        return None, _codes_hint(name, cells, non_numbers, counts, options)
    if options.strict:
        raise _not_a_number_error(name, cells, bad, counts)
    invalid = bad if _are_invalid_entries(bad, known, counts.every) else non_numbers
    return _as_numbers(name, cells, rows, text, invalid, counts, options), ""


def _are_invalid_entries(is_invalid: BoolArray, is_number: BoolArray, counts: Int64Array) -> bool:
    """Return True if values that are no numbers are rare, or missing values, among many different numbers."""
    n_invalid, n_numbers = int(counts[is_invalid].sum()), int(counts[is_number].sum())
    if (is_number & (counts > 0)).sum() <= FEW_LEVELS or n_numbers < n_invalid:
        return False
    return bool(
        n_invalid <= MAX_INVALID_SHARE * (n_invalid + n_numbers)
        or (is_invalid & (counts > 0)).sum() <= MAX_INVALID_VALUES
    )


def reads_like_numbers(text: InferredNumbers, counts: Int64Array) -> bool:
    """Return True if levels with these counts of rows are numbers, but for a few."""
    if text.ok.all():
        return bool(text.known.any())
    return _are_invalid_entries(~text.ok, text.known, counts)


def _are_codes(levels: pa.Array, words: BoolArray, known: BoolArray) -> bool:
    """Return whether numbers are digits of one length of three or more, and the other values hold digits as well."""
    digits = levels.filter(pa.array(known))
    lengths = pc.unique(pc.utf8_length(pc.utf8_trim_whitespace(digits))).to_pylist()
    plain = bool(pc.all(pc.match_substring_regex(digits, r"^\s*[0-9]+\s*$")).as_py())
    others = pc.match_substring_regex(levels.filter(pa.array(words)), "[0-9].*[0-9]")
    return plain and len(lengths) == 1 and lengths[0] >= 3 and bool(pc.any(others).as_py())


def _have_repeats(counts: Int64Array) -> bool:
    """Return whether the levels of a column repeat often enough for a category."""
    return bool(len(counts) <= counts.sum() / (2 if len(counts) <= MAX_LEVELS else MIN_ROWS_PER_LEVEL))


def _as_numbers(
    name: str,
    cells: Levels,
    rows: RowNumbers | None,
    text: InferredNumbers,
    invalid: BoolArray,
    counts: _LevelCounts,
    options: TextOptions,
) -> Column:
    """Return the column of numbers, with its format and notes."""
    record = numeric_column(name, np.append(text.values, np.nan)[cells.codes], rows)
    return (
        with_number_format(record, cells, text, invalid, counts.every, options)
        if record.kind is Kind.NUMBER
        else record
    )


def with_number_format(
    column: Column, cells: Levels, text: InferredNumbers, invalid: BoolArray, counts: Int64Array, options: TextOptions
) -> Column:
    """Return a column of numbers with the format of its text and notes on it; `counts` are rows of levels."""
    missing = count_spellings(cells.levels, counts, text.ok & np.isnan(text.values))
    spelled = tuple(count_spellings(cells.levels, counts, invalid))
    notes = list(column.notes)
    if text.marks and text.example is not None:
        notes.append(_format_note(column.name, text, options))
    if invalid.any():
        notes.append(_invalid_note(column.name, cells, invalid, counts, options))
    return replace(column, format=ColumnFormat(text.format, missing, spelled), notes=tuple(notes))


def _format_note(name: str, text: InferredNumbers, options: TextOptions) -> str:
    """Return how the numbers of a column are written, by an example, and the option that changes it."""
    assert text.example is not None
    number_format = text.format
    value = f"{text.example[1]:.15g}{' (percent, not a share)' if number_format.percent else ''}"
    note = f"column {quote(name)} is read as numbers with {text.marks}: {quote(text.example[0])} is {value}"
    if options.why:
        note += f", because {options.why}"
    if text.ambiguous or options.why:
        mark, other = ("comma", ",") if number_format.decimal == "." else ("point", ".")
        note += f"; where the {mark} is the decimal mark, say --decimal {other} (decimal={other!r} in Python)"
    return f"{note}; where the values are words, --category {quote(name)}"


def _invalid_note(name: str, cells: Levels, invalid: BoolArray, counts: Int64Array, options: TextOptions) -> str:
    """Return which values of a column of numbers are read as missing, and the options that change it."""
    rows, _ = _rows_have(cells, invalid, counts, options)
    return (
        f"column {quote(name)} holds numbers, but {rows}, which is read as missing; correct it, or take the column for "
        f"words: --category {quote(name)} (category=[{quote(name)}] in Python)"
    )


def _codes_hint(name: str, cells: Levels, non_numbers: BoolArray, counts: _LevelCounts, options: TextOptions) -> str:
    """Return the hint of a column of codes of which some are no numbers."""
    rows, first = _rows_have(cells, non_numbers, counts.training, options)
    return (
        f"column {quote(name)} holds numbers of one length, but {rows}, so its values are taken for words; where they "
        f"are numbers, say --number {quote(name)} --na {quote(first)}, and --category {quote(name)} where they are "
        "levels"
    )


def _almost_numeric_hint(
    name: str, cells: Levels, non_numbers: BoolArray, known: BoolArray, counts: _LevelCounts, options: TextOptions
) -> str:
    """Return the hint of a column of few numbers in which a rare value is none; empty for others."""
    rare = counts.training[non_numbers].sum() <= MAX_INVALID_SHARE * counts.training[non_numbers | known].sum()
    if (
        not rare
        or (known & (counts.training > 0)).sum() < MIN_DISTINCT_NUMBERS
        or _are_codes(cells.levels, non_numbers, known)
    ):
        return ""
    rows, first = _rows_have(cells, non_numbers, counts.training, options)
    return (
        f"column {quote(name)} holds numbers, but {rows}, so its values are taken for words; where they are numbers, "
        f"say --number {quote(name)} --na {quote(first)}"
    )


def _several_formats_hint(name: str, text: InferredNumbers, counts: _LevelCounts) -> str:
    """Return the hint of a column of numbers in several formats."""
    if not text.conflict:
        return ""
    return (
        f"column {quote(name)} looks like numbers, but {text.conflict}, so its values are taken for words; where they "
        f"are numbers of one unit, say --number {quote(name)}"
    )


def _places(cells: Levels, which: BoolArray, counts: Int64Array) -> tuple[Int64Array, list[str]]:
    """Return the rows, from 0, that hold some levels, and these levels by their first rows."""
    at = np.append(which & (counts > 0), False)
    rows = np.flatnonzero(at[cells.codes])
    values = dict.fromkeys(str(cells.levels[int(code)]) for code in cells.codes[rows[:1000]])
    return rows, list(values)


def _rows_have(cells: Levels, which: BoolArray, counts: Int64Array, options: TextOptions) -> tuple[str, str]:
    """Return which rows have which of some levels, in words, and the first of these levels."""
    rows, values = _places(cells, which, counts)
    first_rows = ", ".join(options.describe_row(row) for row in rows[:3].tolist())
    others = f" and {len(rows) - 3:,} more" if len(rows) > 3 else ""
    return f"{first_rows}{others} {'has' if len(rows) == 1 else 'have'} {quote_list(values, 3)}", values[0]


def _not_a_number_error(name: str, cells: Levels, invalid: BoolArray, counts: _LevelCounts) -> TableError:
    """Return the error for rows whose value is no number among numbers."""
    rows, values = _places(cells, invalid, counts.every)
    return TableError(
        f"Column {quote(name)} holds numbers, but row {rows[0] + 1:,} has {quote(values[0])} "
        f"({pluralize(len(rows), 'row')} are no numbers). Correct the value, or treat it as a missing value: "
        f"--na {quote(values[0])}.",
        rows,
    )


def zero_padded(levels: pa.Array) -> bool:
    """Return True if values are digits of one length, some with a leading zero: codes like 007.

    Returns
    -------
    bool
        Whether they are zero-padded.

    Examples
    --------
    >>> zero_padded(pa.array(["007", "112"])), zero_padded(pa.array(["7", "112"]))
    (True, False)
    """
    digits = levels.filter(pc.match_substring_regex(levels, r"^\d+$"))
    lengths = pc.unique(pc.utf8_length(digits)).to_pylist()
    return len(lengths) == 1 and lengths[0] > 1 and bool(pc.any(pc.starts_with(digits, "0")).as_py())
