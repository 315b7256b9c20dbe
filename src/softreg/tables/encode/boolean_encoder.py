"""Encoder of a boolean column as 0 and 1, its fitter, and booleans in columns that held 0 and 1 in training."""

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
    """Encoder of a boolean: false is 0 and true is 1.

    A missing value is the share of true values in training and, where training had missing values, sets an indicator.

    Attributes
    ----------
    name : str
        Column.
    words : tuple of str
        The words for false and true, in lower case.
    mean : float
        Share of true values among the training rows with a value.
    missing : bool
        Whether training had missing values.
    """

    name: str
    words: tuple[str, str]
    mean: float
    missing: bool
    remark: str = ""

    @property
    def features(self) -> tuple[str, ...]:
        """`name=yes`, with the word for true, and `name=missing`."""
        first = f"{self.name}={self.words[1]}"
        return (first, f"{self.name}=missing") if self.missing else (first,)

    @property
    def width(self) -> int:
        """1, or 2 with the indicator."""
        return 1 + self.missing

    def entries(self, column: pa.ChunkedArray, where: RowLocation) -> list[Entry]:
        """Return the entries of a batch; raise `TableError` for any other word."""
        return entries_with_missing(require_booleans(self.name, self.words, column, where), self.mean, self.missing)

    def invalid_cells(self, column: pa.ChunkedArray) -> BoolArray:
        """Return a mask (n,) of the cells that are neither word nor missing."""
        return read_booleans(self.name, self.words, column)[0] < 0

    def to_state(self) -> dict[str, Any]:
        """Return the encoder as a JSON-serializable dict; `from_state` reads it."""
        words = list(self.words)
        return {"code": "boolean", "name": self.name, "words": words, "mean": self.mean, "missing": self.missing}


def booleans_as_numbers(
    column_encoder: object, column: pa.ChunkedArray, unseen: UnseenValues | None = None
) -> pa.ChunkedArray:
    """Return the column with 1 and 0 for true and false, where training had a column of numbers from 0 to 1.

    The same booleans are 0 and 1 in SQLite and words in a CSV file. Other columns, and text with any other value, are
    returned as they are.

    Parameters
    ----------
    column_encoder : object
        Encoder of the column; only a `NumberEncoder` with the span (0, 1) converts booleans.
    column : pyarrow.ChunkedArray
        Cells (n,).
    unseen : UnseenValues, optional
        Receives the number of converted rows.

    Returns
    -------
    pyarrow.ChunkedArray
        Column (n,).

    Examples
    --------
    >>> number = NumberEncoder("member", 0.5, 0.5, False, span=(0.0, 1.0))
    >>> booleans_as_numbers(number, pa.chunked_array([["True", "false", ""]])).to_pylist()
    [1.0, 0.0, None]
    """
    if not isinstance(column_encoder, NumberEncoder) or column_encoder.span != (0.0, 1.0):
        return column
    if pa.types.is_dictionary(column.type):
        column = decode_dictionary(column)
    if pa.types.is_boolean(column.type):
        numbers = pc.cast(column, pa.float64())
    elif is_text(column.type):
        levels = pc.drop_null(pc.unique(column))
        words = pc.utf8_lower(pc.utf8_trim_whitespace(levels))
        known = is_missing_spelling(levels)
        true, false = (np.array([word == one for word in words.to_pylist()], dtype=bool) for one in (TRUE, FALSE))
        if not (known | true | false).all() or not (true | false).any():
            return column
        values = pa.array(np.where(true, 1.0, 0.0), mask=known & ~true & ~false)
        indices = pc.index_in(column, value_set=levels)
        numbers = pc.take(values, indices)
    else:
        return column
    rows = len(numbers) - numbers.null_count
    if unseen is not None and rows:
        feature = "true is read as 1, false as 0"
        unseen.add(column_encoder.name, rows, [FALSE, TRUE], feature=feature, what="boolean")
    return numbers


class BooleanFitter:
    """Fitter of a `BooleanEncoder`: counts true, known and missing cells."""

    def __init__(self, name: str, words: tuple[str, str]) -> None:
        self.name, self.words = name, words
        self.true = self.known = self.missing = 0

    def partial_fit(self, column: pa.ChunkedArray, where: RowLocation) -> None:
        """Count the cells of one batch."""
        values = require_booleans(self.name, self.words, column, where)
        unknown = int(np.isnan(values).sum())
        self.true += int(np.nansum(values))
        self.known += len(values) - unknown
        self.missing += unknown

    def merge(self, later: BooleanFitter) -> None:
        """Add the counts of the rows that follow."""
        self.true += later.true
        self.known += later.known
        self.missing += later.missing

    def encoder(self) -> BooleanEncoder:
        """Return the encoder with the share of true values."""
        return BooleanEncoder(self.name, self.words, self.true / max(1, self.known), self.missing > 0)
