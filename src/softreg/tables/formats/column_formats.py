"""How the text of one column of numbers or dates is read: format and spellings of missing values, kept in the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from softreg.models.serialization import fields
from softreg.spelling import coded
from softreg.tables.columns.arrow_numpy import boolean_array, string_array, to_int64
from softreg.tables.columns.arrow_numpy import number_array as number_array
from softreg.tables.columns.arrow_types import is_text
from softreg.tables.columns.column_values import decode_dictionary, parse_numbers
from softreg.tables.columns.errors import TableError, quote
from softreg.tables.columns.missing_values import MISSING_SPELLINGS, is_listed_spelling, is_missing_spelling
from softreg.tables.columns.row_location import RowLocation
from softreg.tables.columns.unseen_values import MAX_EXAMPLES, UnseenValues
from softreg.tables.formats.number_formats import NumberFormat, NumberParts, ambiguous_pattern

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class ColumnFormat:
    """How text in a column is read that was taken for numbers (`number` is their format) or dates (None).

    `missing` are the spellings of a missing value that training had, with their rows, and `invalid` the values that are
    no numbers and were read as missing. `asked` says that the user asked for numbers, and has each value be one.

    Example:
        >>> form = ColumnFormat(NumberFormat(",", grouped=True))
        >>> form.read("price", pa.chunked_array([["1.234,5", "?"]]), RowLocation()).to_pylist()
        [1234.5, nan]
    """

    number: NumberFormat | None = None
    missing: Mapping[str, int] = field(default_factory=dict)
    invalid: tuple[str, ...] = ()
    asked: bool = False

    def read(
        self, name: str, column: pa.ChunkedArray, where: RowLocation, unseen: UnseenValues | None = None
    ) -> pa.ChunkedArray:
        """The column with numbers in place of text, or with nulls in place of spellings of a missing value.

        Spellings and formats that training did not have are counted in `unseen`. Raises `TableError` for text that is
        no number, or may be one of two numbers, with row and value.
        """
        column = decode_dictionary(column) if pa.types.is_dictionary(column.type) else column
        if not is_text(column.type):
            return column
        if self.number is None:
            return self._without_spellings(name, column, unseen)
        found = self.numbers(column)
        if not found.ok.all():
            raise self.no_number(name, column, int(np.argmin(found.ok)), where)
        if unseen is not None:
            self._count(name, column, found, unseen)
        return pa.chunked_array([number_array(found.values)])

    def bad(self, column: pa.ChunkedArray) -> Flags:
        """Which cells are text that is no number of this format."""
        if self.number is None or not is_text(decode_dictionary(column).type):
            return np.zeros(len(column), dtype=bool)
        return ~self.numbers(decode_dictionary(column)).ok

    def with_decimal(self, decimal: str | None) -> ColumnFormat:
        """The format with another decimal mark, which the user names; the same where None."""
        if decimal is None or self.number is None:
            return self
        return replace(self, number=replace(self.number, decimal=decimal, grouped=True))

    def numbers(self, column: pa.ChunkedArray) -> ParsedNumbers:
        """The numbers of a column of text."""
        assert self.number is not None
        if self.number.plain:
            filled = pc.fill_null(column, "") if column.null_count else column
            values, ok = parse_numbers(filled, MISSING_SPELLINGS)
            if ok.all():
                return ParsedNumbers(values, ok, np.zeros(len(ok), dtype=bool))
            lost = np.flatnonzero(~ok)
            rest = self._parsed(column.take(number_array(lost)))
            if rest.foreign.any():
                return self._parsed(column)
            values[lost], ok[lost] = rest.values, rest.ok
            return ParsedNumbers(values, ok, np.zeros(len(ok), dtype=bool))
        return self._parsed(column)

    def _parsed(self, column: pa.ChunkedArray) -> ParsedNumbers:
        """The numbers of a column, by its distinct values."""
        assert self.number is not None
        encoded = coded(column)
        levels, codes = encoded.dictionary, to_int64(encoded.indices)
        if not len(levels):
            return ParsedNumbers(np.full(len(codes), np.nan), codes < 0, np.zeros(len(codes), dtype=bool))
        missing = is_missing_spelling(levels)
        if self.invalid:
            missing |= is_listed_spelling(levels, self.invalid)
        parts = NumberParts.of(levels)
        values, ok = self.number.parse_parts(parts)
        other = NumberFormat(self.number.other, percent=self.number.percent, currency=self.number.currency)
        elsewhere, foreign = other.parse_parts(parts)
        foreign &= ~ok & ~parts.body_matches(ambiguous_pattern(",")) & ~parts.body_matches(ambiguous_pattern("."))
        values = np.where(foreign, elsewhere, values)
        if foreign.any():  # values of another writer: a mark that may be either is no longer certain
            ok &= ~parts.body_matches(ambiguous_pattern(self.number.decimal))
        ok |= foreign | missing
        foreign |= ok & ~missing & self._differs(parts)
        values[missing] = np.nan
        return ParsedNumbers(
            np.append(values, np.nan)[codes], np.append(ok, True)[codes], np.append(foreign, False)[codes]
        )

    def _differs(self, parts: NumberParts) -> Flags:
        """Which numbers lack the percent sign of training, or have a sign of a currency that training had not."""
        assert self.number is not None
        if self.number.percent:
            return ~parts.percent & (parts.body_matches("[1-9]"))
        return parts.any_currency if not self.number.currency else np.zeros(len(parts.ok), dtype=bool)

    def _without_spellings(self, name: str, column: pa.ChunkedArray, unseen: UnseenValues | None) -> pa.ChunkedArray:
        """Text without spellings of a missing value."""
        gone = is_missing_spelling(column)
        if self.invalid:
            gone |= is_listed_spelling(column, self.invalid)
        if not gone.any():
            return column
        if unseen is not None:
            self._count_missing(name, column.filter(boolean_array(gone)), unseen)
        return pc.if_else(boolean_array(gone), pa.scalar(None, column.type), column)

    def _count(self, name: str, column: pa.ChunkedArray, found: ParsedNumbers, unseen: UnseenValues) -> None:
        """Count spellings and formats that training did not have."""
        gone = np.isnan(found.values)
        if gone.any():
            self._count_missing(name, column.filter(boolean_array(gone)), unseen)
        rows = np.flatnonzero(found.foreign)
        if rows.size:
            unseen.add(
                name,
                int(rows.size),
                (column[int(row)].as_py() for row in rows[:MAX_EXAMPLES]),
                feature=f"the first of them is read as {found.values[rows[0]]:.15g}",
                what="number in a format",
            )

    def _count_missing(self, name: str, texts: pa.ChunkedArray, unseen: UnseenValues) -> None:
        """Count the rows of spellings of a missing value that training did not have."""
        known = string_array(["", *self.missing, *self.invalid]).cast(texts.type)
        trimmed = pc.utf8_trim_whitespace(texts.drop_null())
        fresh = trimmed.filter(pc.invert(pc.is_in(trimmed, value_set=known)))
        if len(fresh):
            unseen.add(
                name,
                len(fresh),
                (text.as_py() for text in pc.unique(fresh)[:MAX_EXAMPLES]),
                feature="such rows are read as missing",
                what="spelling of a missing value",
            )

    def no_number(self, name: str, column: pa.ChunkedArray, row: int, where: RowLocation) -> TableError:
        """The error for the first cell that is no number."""
        assert self.number is not None
        text = str(column[row])
        start = f"Column {quote(name)} held numbers in training, but {where.row(row)} has {quote(text)}"
        missing = f"treat it as a missing value: --na {quote(text)} (na=[{quote(text)}] in Python)"
        parts = NumberParts.of(string_array([text]))
        readings = [NumberFormat(decimal, grouped=True, percent=True).parse_parts(parts) for decimal in ".,"]
        both = [f"{values[0]:.15g}" for values, ok in readings if ok[0]]
        if len(both) == 2 and both[0] != both[1]:
            return TableError(
                f"{start}, which may be {both[0]} or {both[1]}. Say which with --decimal . or --decimal , "
                f"(decimal=',' in Python), write it as 1234.5, or {missing}."
            )
        if both and parts.percent[0]:
            return TableError(
                f"{start}, with a percent sign that training did not have. Write it as the values of training, or "
                f"{missing}."
            )
        return TableError(f"{start}. Correct it, or leave the field empty if the number is not known, or {missing}.")

    def to_state(self) -> dict[str, Any]:
        """The format as strict JSON; `from_state` gives it back."""
        number = None if self.number is None else self.number.to_state()
        missing, invalid = dict(self.missing), list(self.invalid)
        return {"number": number, "missing": missing, "invalid": invalid, "asked": self.asked}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> ColumnFormat:
        """The format that `to_state` wrote."""
        number = None if state.get("number") is None else NumberFormat.from_state(fields.mapping(state, "number"))
        spelled = fields.mapping(state, "missing")
        missing = {text: fields.count(spelled, text) for text in spelled}
        return cls(number, missing, fields.texts(state, "invalid", ()), fields.flag(state, "asked", False))


@dataclass(frozen=True)
class ParsedNumbers:
    """Numbers (n,) of a column, nan where missing; which cells are numbers or missing; which have another format."""

    values: NDArray[np.float64]
    ok: Flags
    foreign: Flags


def formats_from_state(state: Mapping[str, Any], key: str) -> dict[str, ColumnFormat]:
    """The formats of columns by name, from their states; none in models of earlier versions."""
    found = fields.mapping(state, key) if state.get(key) is not None else {}
    return {name: ColumnFormat.from_state(fields.mapping(found, name)) for name in found}


def count_spellings(levels: pa.Array, counts: NDArray[np.int64], which: Flags) -> dict[str, int]:
    """The rows of each distinct text among some levels, without outer blanks and without the empty text.

    Example:
        >>> levels, counts = pa.array(["NA", " NA", "1", ""]), np.array([2, 1, 5, 3])
        >>> count_spellings(levels, counts, np.array([True, True, False, True]))
        {'NA': 3}
    """
    found: dict[str, int] = {}
    for place in np.flatnonzero(which & (counts > 0)).tolist():
        text = str(levels[place]).strip()
        if text:
            found[text] = found.get(text, 0) + int(counts[place])
    return found
