"""Format of a text column that holds numbers or dates, and its spellings of missing values; stored in the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from softreg.models.serialization import fields
from softreg.tables.columns.arrow_numpy import boolean_array, number_array, string_array, to_int64
from softreg.tables.columns.arrow_types import is_text
from softreg.tables.columns.column_values import decode_dictionary, parse_numbers
from softreg.tables.columns.missing_values import MISSING_SPELLINGS, is_listed_spelling, is_missing_spelling
from softreg.tables.columns.row_location import RowLocation
from softreg.tables.columns.table_errors import TableError, quote
from softreg.tables.columns.unseen_values import MAX_EXAMPLES, UnseenValues
from softreg.tables.formats.number_formats import NumberFormat, NumberParts, ambiguous_pattern
from softreg.typing import BoolArray
from softreg.value_text import encode_as_text


@dataclass(frozen=True)
class ColumnFormat:
    """Format of a text column that was inferred to hold numbers (`number`) or dates (`number` is None).

    Attributes
    ----------
    number : NumberFormat or None
        Format of the numbers.
    missing : mapping of str to int
        Spellings of a missing value in the training data, with their number of rows.
    invalid : tuple of str
        Training values that are not numbers and were treated as missing.
    requested : bool
        True if the user declared the column numeric, so that every value must be a number.

    Examples
    --------
    >>> form = ColumnFormat(NumberFormat(",", grouped=True))
    >>> form.read("price", pa.chunked_array([["1.234,5", "?"]]), RowLocation()).to_pylist()
    [1234.5, nan]
    """

    number: NumberFormat | None = None
    missing: Mapping[str, int] = field(default_factory=dict)
    invalid: tuple[str, ...] = ()
    requested: bool = False

    def read(
        self, name: str, column: pa.ChunkedArray, location: RowLocation, unseen: UnseenValues | None = None
    ) -> pa.ChunkedArray:
        """Return the column with numbers in place of text, or with nulls in place of spellings of a missing value.

        Parameters
        ----------
        name : str
            Name of the column, for errors.
        column : pa.ChunkedArray (n,)
            Values; other types than text are returned unchanged.
        location : RowLocation
            Location of the rows, for errors.
        unseen : UnseenValues, optional
            Counter of spellings and formats that the training data did not have.

        Returns
        -------
        pa.ChunkedArray (n,)
            Float64, NaN where missing; or text for a column of dates.

        Raises
        ------
        TableError
            If a text is not a number, or may be one of two numbers.
        """
        column = decode_dictionary(column) if pa.types.is_dictionary(column.type) else column
        if not is_text(column.type):
            return column
        if self.number is None:
            return self._without_spellings(name, column, unseen)
        parsed = self.numbers(column)
        if not parsed.ok.all():
            raise self.not_a_number_error(name, column, int(np.argmin(parsed.ok)), location)
        if unseen is not None:
            self._count(name, column, parsed, unseen)
        return pa.chunked_array([number_array(parsed.values)])

    def invalid_cells(self, column: pa.ChunkedArray) -> BoolArray:
        """Return a mask (n,) of the cells whose text is not a number of this format."""
        if self.number is None or not is_text(decode_dictionary(column).type):
            return np.zeros(len(column), dtype=bool)
        return ~self.numbers(decode_dictionary(column)).ok

    def with_decimal(self, decimal: str | None) -> ColumnFormat:
        """Return the format with the decimal mark that the user gives; the same format if None."""
        if decimal is None or self.number is None:
            return self
        return replace(self, number=replace(self.number, decimal=decimal, grouped=True))

    def numbers(self, column: pa.ChunkedArray) -> ParsedNumbers:
        """Parse a column of text (n,) as numbers."""
        assert self.number is not None
        if self.number.plain:
            filled = pc.fill_null(column, "") if column.null_count else column
            values, ok = parse_numbers(filled, MISSING_SPELLINGS)
            if ok.all():
                return ParsedNumbers(values, ok, np.zeros(len(ok), dtype=bool))
            unparsed = np.flatnonzero(~ok)
            reparsed = self._parsed(column.take(number_array(unparsed)))
            if reparsed.unfamiliar.any():
                return self._parsed(column)
            values[unparsed], ok[unparsed] = reparsed.values, reparsed.ok
            return ParsedNumbers(values, ok, np.zeros(len(ok), dtype=bool))
        return self._parsed(column)

    def _parsed(self, column: pa.ChunkedArray) -> ParsedNumbers:
        """Parse the distinct values of a column and expand them to the rows."""
        assert self.number is not None
        encoded = encode_as_text(column)
        levels, codes = encoded.dictionary, to_int64(encoded.indices)
        if not len(levels):
            return ParsedNumbers(np.full(len(codes), np.nan), codes < 0, np.zeros(len(codes), dtype=bool))
        missing = is_missing_spelling(levels)
        if self.invalid:
            missing |= is_listed_spelling(levels, self.invalid)
        parts = NumberParts.from_text(levels)
        values, ok = self.number.parse_parts(parts)
        other = NumberFormat(self.number.other, percent=self.number.percent, currency=self.number.currency)
        other_values, unfamiliar = other.parse_parts(parts)
        unfamiliar &= ~ok & ~parts.body_matches(ambiguous_pattern(",")) & ~parts.body_matches(ambiguous_pattern("."))
        values = np.where(unfamiliar, other_values, values)
        if unfamiliar.any():  # mixed notations: ambiguous marks are no longer accepted
            ok &= ~parts.body_matches(ambiguous_pattern(self.number.decimal))
        ok |= unfamiliar | missing
        unfamiliar |= ok & ~missing & self._differs(parts)
        values[missing] = np.nan
        return ParsedNumbers(
            np.append(values, np.nan)[codes], np.append(ok, True)[codes], np.append(unfamiliar, False)[codes]
        )

    def _differs(self, parts: NumberParts) -> BoolArray:
        """Return a mask of numbers that lack the percent sign of the training data or have a new currency."""
        assert self.number is not None
        if self.number.percent:
            return ~parts.percent & (parts.body_matches("[1-9]"))
        return parts.any_currency if not self.number.currency else np.zeros(len(parts.ok), dtype=bool)

    def _without_spellings(self, name: str, column: pa.ChunkedArray, unseen: UnseenValues | None) -> pa.ChunkedArray:
        """Return text with null in place of spellings of a missing value."""
        missing = is_missing_spelling(column)
        if self.invalid:
            missing |= is_listed_spelling(column, self.invalid)
        if not missing.any():
            return column
        if unseen is not None:
            self._count_missing(name, column.filter(boolean_array(missing)), unseen)
        return pc.if_else(boolean_array(missing), pa.scalar(None, column.type), column)

    def _count(self, name: str, column: pa.ChunkedArray, parsed: ParsedNumbers, unseen: UnseenValues) -> None:
        """Count spellings and formats that the training data did not have."""
        missing = np.isnan(parsed.values)
        if missing.any():
            self._count_missing(name, column.filter(boolean_array(missing)), unseen)
        rows = np.flatnonzero(parsed.unfamiliar)
        if rows.size:
            unseen.add(
                name,
                int(rows.size),
                (column[int(row)].as_py() for row in rows[:MAX_EXAMPLES]),
                feature=f"the first of them is read as {parsed.values[rows[0]]:.15g}",
                what="number in a format",
            )

    def _count_missing(self, name: str, texts: pa.ChunkedArray, unseen: UnseenValues) -> None:
        """Count the rows with spellings of a missing value that the training data did not have."""
        known_spellings = string_array(["", *self.missing, *self.invalid]).cast(texts.type)
        trimmed = pc.utf8_trim_whitespace(texts.drop_null())
        new_texts = trimmed.filter(pc.invert(pc.is_in(trimmed, value_set=known_spellings)))
        if len(new_texts):
            unseen.add(
                name,
                len(new_texts),
                (text.as_py() for text in pc.unique(new_texts)[:MAX_EXAMPLES]),
                feature="such rows are read as missing",
                what="spelling of a missing value",
            )

    def not_a_number_error(self, name: str, column: pa.ChunkedArray, row: int, location: RowLocation) -> TableError:
        """Return the error for the first cell that is not a number."""
        assert self.number is not None
        text = str(column[row])
        start = f"Column {quote(name)} held numbers in training, but {location.row(row)} has {quote(text)}"
        missing = f"treat it as a missing value: --na {quote(text)} (na=[{quote(text)}] in Python)"
        parts = NumberParts.from_text(string_array([text]))
        parsed = [NumberFormat(decimal, grouped=True, percent=True).parse_parts(parts) for decimal in ".,"]
        candidates = [f"{values[0]:.15g}" for values, ok in parsed if ok[0]]
        if len(candidates) == 2 and candidates[0] != candidates[1]:
            return TableError(
                f"{start}, which may be {candidates[0]} or {candidates[1]}. Choose with --decimal . or --decimal , "
                f"(decimal=',' in Python), write it as 1234.5, or {missing}."
            )
        if candidates and parts.percent[0]:
            return TableError(
                f"{start}, with a percent sign that training did not have. Write it as the values of training, or "
                f"{missing}."
            )
        return TableError(f"{start}. Correct it, or leave the field empty if the number is not known, or {missing}.")

    def to_state(self) -> dict[str, Any]:
        """Return the format as strict JSON, for `from_state`."""
        number = None if self.number is None else self.number.to_state()
        missing, invalid = dict(self.missing), list(self.invalid)
        return {"number": number, "missing": missing, "invalid": invalid, "asked": self.requested}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> ColumnFormat:
        """Return the format that `to_state` wrote."""
        number = None if state.get("number") is None else NumberFormat.from_state(fields.mapping(state, "number"))
        spellings = fields.mapping(state, "missing")
        missing = {text: fields.count(spellings, text) for text in spellings}
        return cls(number, missing, fields.texts(state, "invalid", ()), fields.flag(state, "asked", False))


@dataclass(frozen=True)
class ParsedNumbers:
    """Numbers of a column: `values` (n,) float64, NaN where missing; masks `ok` and `unfamiliar` (n,).

    `ok` is True for numbers and missing values, `unfamiliar` for numbers in a format that the training data did not
    have.
    """

    values: NDArray[np.float64]
    ok: BoolArray
    unfamiliar: BoolArray


def formats_from_state(state: Mapping[str, Any], key: str) -> dict[str, ColumnFormat]:
    """Return the formats of columns by name from their states; empty for models of earlier versions."""
    states = fields.mapping(state, key) if state.get(key) is not None else {}
    return {name: ColumnFormat.from_state(fields.mapping(states, name)) for name in states}


def count_spellings(levels: pa.Array, counts: NDArray[np.int64], which: BoolArray) -> dict[str, int]:
    """Count the rows of each distinct text among some levels, without surrounding blanks and without the empty text.

    Parameters
    ----------
    levels : pa.Array (k,)
        Distinct texts.
    counts : int64 array (k,)
        Number of rows of each.
    which : bool array (k,)
        Levels to count.

    Returns
    -------
    dict of str to int

    Examples
    --------
    >>> levels, counts = pa.array(["NA", " NA", "1", ""]), np.array([2, 1, 5, 3])
    >>> count_spellings(levels, counts, np.array([True, True, False, True]))
    {'NA': 3}
    """
    spelling_counts: dict[str, int] = {}
    for index in np.flatnonzero(which & (counts > 0)).tolist():
        text = str(levels[index]).strip()
        if text:
            spelling_counts[text] = spelling_counts.get(text, 0) + int(counts[index])
    return spelling_counts
