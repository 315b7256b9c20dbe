"""Encoding of rows of Python values, cell by cell, with the results of `Encoder.encode` to the last bit.

The features of a cell depend on no other cell. A number is encoded by the arithmetic of its `NumberEncoder`; any other
cell by the encoder itself, on a table of one column, and the result is kept for the next cell of the same value. So a
row of known levels needs no table of Arrow, which takes milliseconds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import scipy.sparse as sp

from softreg.serve.requests.request_errors import InvalidContent, RequestError, shown
from softreg.serve.served_models.json_columns import JsonColumn, json_column
from softreg.tables.columns.arrow_numpy import boolean_array, number_array
from softreg.tables.columns.row_location import ROW
from softreg.tables.columns.table_errors import TableError, quote
from softreg.tables.encode.category_encoder import CategoryEncoder
from softreg.tables.encode.column_encoder import ColumnEncoder
from softreg.tables.encode.encoder import Encoder
from softreg.tables.encode.list_column_encoders import TagsEncoder, VectorEncoder
from softreg.tables.encode.number_encoder import FAR_DEVIATIONS, NumberEncoder
from softreg.tables.encode.terms.curve_encoder import CurveEncoder
from softreg.tables.encode.text.text_encoder import TextEncoder
from softreg.tables.formats.column_formats import ColumnFormat
from softreg.value_text import text_array, value_text

Features = tuple[tuple[int, float], ...]
"""The features of a cell that are not 0, and their values."""
MAX_KEPT = 4096
"""Encoded values that are kept of a column."""
MAX_KEPT_LENGTH = 200
"""Characters of the longest text that is kept."""
EXACT_INTEGER = 2**53
"""Integers up to this one are exact as floats."""
INT64 = (-(2**63), 2**63 - 1)
_ADVICE = re.compile(r"leave the field empty")

UNSEEN_LEVEL = "a level that training did not have"


class CellReader(Protocol):
    """Reader of the cells of one column."""

    def features(self, values: Sequence[Any]) -> list[Features]:
        """Return the features of the cells of checked types; raise `RequestError` for an invalid one."""

    def warnings(self, values: Sequence[Any]) -> dict[int, str]:
        """Return what is said of cells, by their row, that are unlike those of training."""


class KeptCells:
    """Cells that are encoded by the encoder of their column once for each distinct value.

    Parameters
    ----------
    encoder : Encoder
        The encoder of this column alone.
    first : int
        Number of the first feature of the column.
    keep : bool
        Whether the features of values are kept.
    """

    def __init__(self, encoder: Encoder, first: int, keep: bool) -> None:
        self.encoder, self.first, self.keep = encoder, first, keep
        self.name = encoder.column_encoders[0].name
        self.kept: dict[Any, Features] = {}
        column = encoder.column_encoders[0]
        kinds = {TagsEncoder: pa.list_(pa.string()), VectorEncoder: pa.list_(pa.float64())}
        self.list_type = kinds.get(type(column))
        self.category = column if isinstance(column, CategoryEncoder) else None

    def features(self, values: Sequence[Any]) -> list[Features]:
        """Return the features of each cell."""
        if not self.keep:
            return self._encoded(values, range(len(values)))
        kept, new = self.kept, {}
        keys = [value if type(value) is str else (type(value), value) for value in values]
        for row, key in enumerate(keys):
            if key not in kept and key not in new:
                new[key] = row
        if not new:
            return [kept[key] for key in keys]
        rows = list(new.values())
        fresh = dict(zip(new, self._encoded([values[row] for row in rows], rows), strict=True))
        out = [kept[key] if key in kept else fresh[key] for key in keys]
        if len(kept) + len(fresh) > MAX_KEPT:
            self.kept = kept = {}  # not cleared: another thread may be reading it
        short = (item for item in fresh.items() if not isinstance(item[0], str) or len(item[0]) <= MAX_KEPT_LENGTH)
        kept.update(item for item, _ in zip(short, range(MAX_KEPT), strict=False))
        return out

    def warnings(self, values: Sequence[Any]) -> dict[int, str]:
        """Return the rows of levels of a category that training did not have."""
        if self.category is None:
            return {}
        return {row: UNSEEN_LEVEL for row, value in enumerate(values) if value is not None and self._is_unseen(value)}

    def _is_unseen(self, value: Any) -> bool:
        """Return True if a cell of a category certainly is no level of training; blank text is a missing value."""
        assert self.category is not None
        if type(value) is str and not value.strip():
            return False
        found = self.kept.get(value if type(value) is str else (type(value), value))
        found = self.features([value])[0] if found is None else found
        if not found:
            return True
        is_rare = bool(self.category.pooled) and found[0][0] == self.first + len(self.category.levels)
        return is_rare and bool(self.category.rare) and value_text(value) not in self.category.rare

    def _encoded(self, values: Sequence[Any], rows: Sequence[int]) -> list[Features]:
        """Return the features of cells, each type by itself; `rows` are their rows in the request, for messages."""
        kinds: dict[type, list[int]] = {}
        for place, value in enumerate(values):
            kinds.setdefault(type(value), []).append(place)
        out: list[Features] = [()] * len(values)
        for places in kinds.values():
            X = self._matrix([values[place] for place in places], [rows[place] for place in places])
            ends, index, data = X.indptr.tolist(), (X.indices + self.first).tolist(), X.data.tolist()
            for at, place in enumerate(places):
                part = slice(ends[at], ends[at + 1])
                out[place] = tuple(zip(index[part], data[part], strict=True))
        return out

    def _matrix(self, values: list[Any], rows: list[int]) -> Any:
        """Return the matrix of cells of one type; for an invalid cell, search the first one by halving."""
        try:
            return self.encoder.encode(self._table(values))
        except TableError as error:
            if len(values) > 1:
                middle = len(values) // 2
                self._matrix(values[:middle], rows[:middle])
                self._matrix(values[middle:], rows[middle:])
                raise _request_error(error) from None  # each half is valid: the encoder refuses them together
            raise self._one_error(values[0], rows[0], error) from None

    def _one_error(self, value: Any, row: int, error: TableError) -> RequestError:
        """Return the error of one cell, with its row in the request."""
        try:
            table = self._table([value])
            self.encoder.encode(table.replace_schema_metadata({ROW: str(row).encode()}))
        except TableError as located:
            return _request_error(located)
        return _request_error(error)

    def _table(self, values: list[Any]) -> pa.Table:
        """Return the cells as a table of one column; raise `TableError` for a number that is too large."""
        if self.list_type is not None:
            return pa.table({self.name: pa.array(self._lists(values), self.list_type)})
        if type(values[0]) is int and not all(INT64[0] <= value <= INT64[1] for value in values):
            values = [str(value) for value in values]
        return pa.table({self.name: _arrow(values)})

    def _lists(self, values: list[Any]) -> list[Any]:
        """Return lists with floats in place of integers, which Arrow does not round."""
        try:
            return [
                [float(item) if type(item) is int else item for item in value] if type(value) is list else value
                for value in values
            ]
        except OverflowError:
            raise TableError(f"Column {quote(self.name)} has a number that is too large for a float.") from None


def _arrow(values: list[Any]) -> pa.Array:
    """Return cells of one type as Arrow, without `pyarrow.array`, which imports pandas where it is installed."""
    kind = type(values[0])
    if kind is str:
        return text_array(values)
    if kind is bool:
        return boolean_array(np.array(values))
    return pa.nulls(len(values)) if values[0] is None else number_array(np.array(values))


class NumberCells:
    """Numbers by the arithmetic of their encoder.

    Parameters
    ----------
    encoder : NumberEncoder
        Fitted encoder.
    first : int
        Number of the first feature of the column.
    texts : KeptCells or None
        Reader of numbers in text, where training had such.
    na : frozenset of float
        Numbers that stand for a missing value.
    """

    def __init__(
        self, encoder: NumberEncoder, first: int, texts: KeptCells | None, na: frozenset[float] = frozenset()
    ) -> None:
        self.encoder, self.first, self.texts, self.na = encoder, first, texts, na
        self.knots, self.scores = np.array(encoder.knots), np.array(encoder.scores)
        self.curves = encoder.curves if isinstance(encoder, CurveEncoder) else None
        self.missing: Features = ((first + encoder.width - 1, 1.0),) if encoder.missing else ()

    def features(self, values: Sequence[Any]) -> list[Features]:
        """Return the features of each cell."""
        return [self._of(value, row) for row, value in enumerate(values)]

    def warnings(self, values: Sequence[Any]) -> dict[int, str]:
        """Return the rows of numbers more than a standard deviation outside the range of training."""
        if not self.encoder.span:
            return {}
        (low, high), far = self.encoder.span, FAR_DEVIATIONS * self.encoder.scale
        out = {}
        for row, value in enumerate(values):
            if type(value) in (int, float) and not low - far <= value <= high + far and value not in self.na:
                end = low if value < low else high
                out[row] = f"outside the range of training, {low:.6g} to {high:.6g}; computed with {end:.6g}"
        return out

    def _of(self, value: Any, row: int) -> Features:
        if value is None:
            return self.missing
        if type(value) is str:
            return self._text(value, row)
        try:
            x = float(value)
        except OverflowError:
            raise self._error(value, row) from None
        encoder = self.encoder
        if x in self.na:
            return self.missing
        if encoder.span:
            low, high = encoder.span
            x = low if x < low else high if x > high else x
        first, knots = self.first, encoder.knots
        out: Features = ()
        if not knots or encoder.both:
            z = (x - encoder.mean) / encoder.scale
            if z - z != 0:  # infinite
                raise self._error(value, row)
            out, first = ((first, z),), first + 1
        if self.curves is not None:
            values = self.curves(np.array([x]))
            return (*out, *((first + j, float(value[0])) for j, value in enumerate(values)))
        return (*out, (first, float(np.interp(x, self.knots, self.scores)))) if knots else out

    def _text(self, value: str, row: int) -> Features:
        assert self.texts is not None
        try:
            return self.texts.features([value])[0]
        except RequestError:
            raise self.texts._one_error(value, row, TableError("")) from None

    def _error(self, value: float, row: int) -> RequestError:
        return InvalidContent(
            f"Column {quote(self.encoder.name)} has {shown(value)} in row {row + 1:,}, too far from the training rows "
            "to be computed with; correct it, or write null if it is not known."
        )


class CellEncoder:
    """Encoder of columns of Python values.

    Parameters
    ----------
    encoder : Encoder
        Encoder of the model.
    descriptions : mapping of str to str
        What each column was in training, for schemas.

    Examples
    --------
    >>> from softreg.tables.schema.schema import infer_schema
    >>> table = pa.table({"age": [20.0, 40.0], "job": ["cook", "maid"], "buys": ["y", "n"]})
    >>> encoder = Encoder.fit(infer_schema(table, "buys"), table)
    >>> CellEncoder(encoder).encode({"age": [40, None], "job": ["maid", "cook"]}, 2).tolist()
    [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """

    def __init__(self, encoder: Encoder, descriptions: Mapping[str, str] | None = None) -> None:
        self.encoder = encoder
        self.columns: dict[str, JsonColumn] = {}
        self.readers: dict[str, CellReader] = {}
        self.starts: list[int] = []
        first = 0
        for column in encoder.column_encoders:
            form = encoder.formats.get(column.name)
            has_format = form is not None and _has_marks(form)
            description = (descriptions or {}).get(column.name, "")
            self.columns[column.name] = json_column(column, has_format, description)
            self.readers[column.name] = _reader(encoder, column, first, has_format)
            self.starts.append(first)
            first += column.width
        self.width = first

    def encode(self, columns: Mapping[str, Sequence[Any]], n: int) -> Any:
        """Return X (n, d) of n rows, as `Encoder.encode` does.

        Parameters
        ----------
        columns : mapping of str to sequence
            The n cells of each column: None, booleans, numbers, text or lists, as JSON is parsed.
        n : int
            Number of rows.

        Returns
        -------
        ndarray or scipy.sparse.csr_array
            X of float64.

        Raises
        ------
        RequestError
            For a cell of another type than its column accepts, or one that cannot be encoded.
        """
        cells = []
        for name, reader in self.readers.items():
            values = columns[name]
            self.columns[name].check(values)
            cells.append(reader.features(values))
        X = self._sparse(cells, n) if self.encoder.sparse else self._dense(cells, n)
        return self.encoder.with_pairs(X) if self.encoder.pairs else X

    def warnings(self, columns: Mapping[str, Sequence[Any]], n: int) -> list[dict[str, str]]:
        """Return, for each of n encoded rows, what is said of its cells that are unlike those of training, by column.

        Parameters
        ----------
        columns : mapping of str to sequence
            Cells, as in `encode`.
        n : int
            Number of rows.

        Returns
        -------
        list of dict of str to str
            A sentence by column; mostly empty.
        """
        out: list[dict[str, str]] = [{} for _ in range(n)]
        for name, reader in self.readers.items():
            for row, text in reader.warnings(columns[name]).items():
                out[row][name] = text
        return out

    def _dense(self, cells: list[list[Features]], n: int) -> Any:
        X = np.zeros((n, self.width))
        for column in cells:
            for row, features in enumerate(column):
                for feature, value in features:
                    X[row, feature] = value
        return X

    def _sparse(self, cells: list[list[Features]], n: int) -> Any:
        """Return CSR without stored zeros, with indices in order."""
        data: list[float] = []
        index: list[int] = []
        ends = [0]
        for row in range(n):
            for column in cells:
                for feature, value in column[row]:
                    if value != 0:
                        index.append(feature)
                        data.append(value)
            ends.append(len(data))
        arrays = (np.array(data), np.array(index, dtype=np.int32), np.array(ends, dtype=np.int32))
        return sp.csr_array(arrays, shape=(n, self.width))


def _reader(encoder: Encoder, column: ColumnEncoder, first: int, has_format: bool) -> CellReader:
    """Return the reader of a column."""
    formats = {column.name: encoder.formats[column.name]} if column.name in encoder.formats else {}
    alone = replace(encoder, column_encoders=(column,), sparse=True, formats=formats, pairs=())
    kept = KeptCells(alone, first, not isinstance(column, TextEncoder | TagsEncoder | VectorEncoder))
    if isinstance(column, NumberEncoder):
        return NumberCells(column, first, kept if has_format else None, missing_numbers(encoder.na))
    return kept


def _has_marks(form: ColumnFormat) -> bool:
    """Return True if training had numbers with other marks than a point, such as "$1,200" or "12%"."""
    number = form.number
    return number is not None and bool(number.percent or number.currency or number.grouped or number.decimal != ".")


def missing_numbers(na: Sequence[str]) -> frozenset[float]:
    """Return the numbers among the spellings of a missing value, such as -999.

    Parameters
    ----------
    na : sequence of str
        Spellings.

    Returns
    -------
    frozenset of float
        Numbers.

    Examples
    --------
    >>> missing_numbers(["NA", "-999"])
    frozenset({-999.0})
    """
    numbers = set()
    for text in na:
        with suppress(ValueError):
            numbers.add(float(text))
    return frozenset(number for number in numbers if math.isfinite(number))


def _request_error(error: TableError) -> RequestError:
    """Return the error of a table as one of a request, where a missing value is null."""
    return InvalidContent(_ADVICE.sub("write null", str(error)))
