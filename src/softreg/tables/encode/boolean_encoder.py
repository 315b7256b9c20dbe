"""A boolean column as 0 and 1; columns of 0 and 1 that hold booleans at prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from softreg.tables.columns.arrow_types import is_text
from softreg.tables.columns.column_values import decode_dictionary
from softreg.tables.columns.missing_values import is_missing_spelling
from softreg.tables.columns.row_location import RowLocation
from softreg.tables.columns.unseen_values import UnseenValues
from softreg.tables.encode.column_encoder import Entry, entries_with_missing
from softreg.tables.encode.number_encoder import NumberEncoder
from softreg.tables.schema.kinds import BOOLEAN_WORDS
from softreg.tables.schema.typed_values import read_booleans, require_booleans
from softreg.typing import BoolArray

FALSE, TRUE = BOOLEAN_WORDS[0]


@dataclass(frozen=True)
class BooleanEncoder:
    """False is 0, true 1; missing is the share of true in training and, if training saw it, an indicator."""

    name: str
    words: tuple[str, str]
    mean: float
    missing: bool
    remark: str = ""

    @property
    def features(self) -> tuple[str, ...]:
        """`name=yes`, by the word for true, and the indicator's name."""
        first = f"{self.name}={self.words[1]}"
        return (first, f"{self.name}=missing") if self.missing else (first,)

    @property
    def width(self) -> int:
        """One, or two with the indicator."""
        return 1 + self.missing

    def entries(self, column: pa.ChunkedArray, where: RowLocation) -> list[Entry]:
        """Zeros and ones; `TableError` for a word that is neither the one for false nor the one for true."""
        return entries_with_missing(require_booleans(self.name, self.words, column, where), self.mean, self.missing)

    def invalid_cells(self, column: pa.ChunkedArray) -> BoolArray:
        """Which cells are neither."""
        return read_booleans(self.name, self.words, column)[0] < 0

    def to_state(self) -> dict[str, Any]:
        """The code as strict JSON."""
        words = list(self.words)
        return {"code": "boolean", "name": self.name, "words": words, "mean": self.mean, "missing": self.missing}


def booleans_as_numbers(code: object, column: pa.ChunkedArray, unseen: UnseenValues | None = None) -> pa.ChunkedArray:
    """The column with 0 and 1 in place of false and true, where its numbers were from 0 to 1 in training.

    Other columns, and text in which anything else than true, false and missing values occurs, stay as they are. Rows
    that are read so are counted in `unseen`.

    Example:
        >>> code = NumberEncoder("member", 0.5, 0.5, False, span=(0.0, 1.0))
        >>> booleans_as_numbers(code, pa.chunked_array([["True", "false", ""]])).to_pylist()
        [1.0, 0.0, None]
    """
    if not isinstance(code, NumberEncoder) or code.span != (0.0, 1.0):
        return column
    if pa.types.is_dictionary(column.type):
        column = decode_dictionary(column)
    if pa.types.is_boolean(column.type):
        found = pc.cast(column, pa.float64())
    elif is_text(column.type):
        levels = pc.drop_null(pc.unique(column))
        words = pc.utf8_lower(pc.utf8_trim_whitespace(levels))
        known = is_missing_spelling(levels)
        true, false = (np.array([word == one for word in words.to_pylist()], dtype=bool) for one in (TRUE, FALSE))
        if not (known | true | false).all() or not (true | false).any():
            return column
        values = pa.array(np.where(true, 1.0, 0.0), mask=known & ~true & ~false)
        places = pc.index_in(column, value_set=levels)
        found = pc.take(values, places)
    else:
        return column
    rows = len(found) - found.null_count
    if unseen is not None and rows:
        feature = "true is read as 1, false as 0"
        unseen.add(code.name, rows, [FALSE, TRUE], feature=feature, what="boolean")
    return found


class BooleanFitter:
    """The share of true ones in a column of booleans."""

    def __init__(self, name: str, words: tuple[str, str]) -> None:
        self.name, self.words = name, words
        self.true = self.known = self.missing = 0

    def partial_fit(self, column: pa.ChunkedArray, where: RowLocation) -> None:
        """Take one batch."""
        values = require_booleans(self.name, self.words, column, where)
        unknown = int(np.isnan(values).sum())
        self.true += int(np.nansum(values))
        self.known += len(values) - unknown
        self.missing += unknown

    def encoder(self) -> BooleanEncoder:
        """The words and the share."""
        return BooleanEncoder(self.name, self.words, self.true / max(1, self.known), self.missing > 0)
