"""The encoder of a table: its columns to the matrix X, fitted to the training rows in one pass."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import scipy.sparse as sp

from softreg.deprecated import DeprecatedAttributes, replacement_name
from softreg.models.serialization import fields
from softreg.tables.columns.arrow_numpy import boolean_array
from softreg.tables.columns.column_names import unique_feature_names
from softreg.tables.columns.missing_values import replace_missing
from softreg.tables.columns.row_location import RowLocation, read_location
from softreg.tables.columns.unseen_values import UnseenValues
from softreg.tables.encode.boolean_encoder import BooleanEncoder, booleans_as_numbers
from softreg.tables.encode.category_encoder import CategoryEncoder
from softreg.tables.encode.column_encoder import ColumnEncoder, Entry, csr_from_entries
from softreg.tables.encode.date_encoder import DateEncoder
from softreg.tables.encode.encoder_fitter import EncoderFitter, require_column
from softreg.tables.encode.list_column_encoders import TagsEncoder, VectorEncoder
from softreg.tables.encode.number_encoder import Form, NumberEncoder
from softreg.tables.encode.terms.curve_encoder import CurveEncoder
from softreg.tables.encode.terms.pair_encoder import PairEncoder, check_sides, pair_blocks
from softreg.tables.encode.text.text_encoder import TextEncoder
from softreg.tables.formats.column_formats import ColumnFormat, formats_from_state
from softreg.tables.io.text_metadata import TextMetadata
from softreg.tables.schema.schema import Schema
from softreg.typing import BoolArray, Float64Array, RowNumbers

WIDE = 200
"""Columns of X above which it may be sparse."""
SPARSE = 0.2
"""Density of X below which it is sparse."""


@dataclass(frozen=True)
class Encoder(DeprecatedAttributes):
    """Encoder of a table's feature columns as a matrix X; immutable, and exact through JSON.

    A number is standardized, (x - mean) / standard deviation of the training rows, or, where its tail is heavy,
    replaced by its normal score, unless a numeric form is given; numbers beyond the range of training are limited to it
    (see `NumberEncoder`). A boolean is 0 or 1. A category has one feature a level of training (one-hot); rare levels
    share one. A date has a trend and cycles (year, month, week, day). A text has the TF-IDF of its terms, a list of
    words one feature a tag, a vector its standardized numbers. A missing number or boolean has the training mean and,
    where training had missing values in that column, an indicator feature `name=missing`. An unseen level of a category
    has the feature of the rare levels, if there is one; a missing value is a level of its own where training had
    missing values.

    Attributes
    ----------
    column_encoders : tuple of ColumnEncoder
        Encoder of each feature column, in the order of X.
    sparse : bool
        Whether X is CSR: it has more than 200 columns, and less than a fifth of its entries are not zero, or it has
        text.
    formats : mapping of str to ColumnFormat
        How text is read in columns of numbers and dates, by column.
    na : tuple of str
        Spellings of a missing value in every column.
    pairs : tuple of PairEncoder
        Interactions of two columns, whose features are the last ones of X.

    References
    ----------
    Hastie, Tibshirani and Friedman (2009), The Elements of Statistical Learning, 2.2 and 9.6.

    Examples
    --------
    >>> from softreg.tables.schema.schema import infer_schema
    >>> table = pa.table({"age": [20, 40, 30], "job": ["cook", "smith", "cook"], "buys": ["y", "n", "y"]})
    >>> encoder = Encoder.fit(infer_schema(table, "buys"), table)
    >>> encoder.feature_names_out
    ('age', 'job=cook', 'job=smith')
    >>> encoder.encode(pa.table({"job": ["tailor"], "age": [30]})).tolist()
    [[0.0, 0.0, 0.0]]
    """

    column_encoders: tuple[ColumnEncoder, ...]
    sparse: bool
    formats: Mapping[str, ColumnFormat] = field(default_factory=dict)
    """How text is read in columns of numbers and dates, by name."""
    na: tuple[str, ...] = ()
    """Spellings of a missing value in every column."""
    pairs: tuple[PairEncoder, ...] = ()
    """Interactions of two columns."""

    @classmethod
    def fit(
        cls,
        schema: Schema,
        batches: pa.Table | Iterable[pa.Table | pa.RecordBatch],
        rows: RowNumbers | Callable[[int, int], BoolArray] | None = None,
        forms: Mapping[str, Form] | None = None,
    ) -> Encoder:
        """Return the encoder fitted to a table or, in one pass, to its batches.

        The same rows give the same encoder, however they are cut into batches.

        Parameters
        ----------
        schema : Schema
            Kinds of the columns.
        batches : pyarrow.Table or iterable of pyarrow.Table or pyarrow.RecordBatch
            The rows.
        rows : array of int (k,) or callable, optional
            Numbers of the training rows from 0; or `rows(first, count)`, a mask of the `count` rows from number `first`
            on. All rows by default.
        forms : mapping of str to Form, optional
            Form of columns of numbers. By default, heavy tails have normal scores, and other numbers are linear.

        Returns
        -------
        Encoder
            The fitted encoder.

        Raises
        ------
        TableError
            If a cell is not of the kind that the schema has; its row and value are in the message.

        Examples
        --------
        >>> from softreg.tables.schema.schema import infer_schema
        >>> table = pa.table({"age": [20.0, 40.0], "buys": ["y", "n"]})
        >>> Encoder.fit(infer_schema(table, "buys"), table).encode(table).tolist()
        [[-1.0], [1.0]]
        """
        fitter = EncoderFitter(schema, forms or {})
        fitter.partial_fit(batches, rows)
        return cls.from_fitter(fitter)

    @classmethod
    def from_fitter(cls, fitter: EncoderFitter) -> Encoder:
        """Return the encoder of fitted columns; warn of values that are treated as missing."""
        column_encoders = fitter.column_encoders()
        return cls(column_encoders, _is_sparse(column_encoders), fitter.formats(), fitter.na)

    @classmethod
    def learn(cls, *args: Any, **kwargs: Any) -> Encoder:
        """Return `Encoder.fit(...)`, with a `DeprecationWarning`."""
        encoder: Encoder = getattr(cls, replacement_name("Encoder", "learn"))(*args, **kwargs)
        return encoder

    @property
    def parts(self) -> tuple[ColumnEncoder | PairEncoder, ...]:
        """The encoders of the columns and of the interactions, in the order of X."""
        return (*self.column_encoders, *self.pairs)

    @property
    def width(self) -> int:
        """The number of columns of X."""
        return sum(code.width for code in self.parts)

    @property
    def column_names(self) -> tuple[str, ...]:
        """The column of the table, or the interaction of two, from which each column of X comes, (d,)."""
        return tuple(name for name, code in zip(self.part_names, self.parts, strict=True) for _ in range(code.width))

    @cached_property
    def part_names(self) -> tuple[str, ...]:
        """The names of the columns and interactions, in the order of X; all are distinct."""
        return tuple(code.name for code in self.parts)

    @property
    def feature_names_out(self) -> tuple[str, ...]:
        """The names of the columns of X, such as `age`, `job=cook` and `age=missing`; all are distinct.

        Returns
        -------
        tuple of str
            Names (d,). Parts that contain such a sign themselves are quoted: `a='b=c'` is the level `b=c` of the column
            `a`, and `'a=b'=c` the level `c` of the column `a=b`.
        """
        return unique_feature_names([(code.name, feature) for code in self.parts for feature in code.features])

    @property
    def remarks(self) -> dict[str, str]:
        """What was fitted beyond the schema, in a few words, by column."""
        return {column.name: column.remark for column in self.column_encoders if column.remark}

    def encode(
        self,
        table: pa.Table | pa.RecordBatch,
        rows: RowNumbers | None = None,
        *,
        unseen: UnseenValues | None = None,
    ) -> Any:
        """Return X for rows of a table or batch, whose columns are matched by name.

        Parameters
        ----------
        table : pyarrow.Table or pyarrow.RecordBatch
            Rows; columns without a feature are ignored.
        rows : array of int (n,), optional
            Numbers of the rows to encode; all by default.
        unseen : UnseenValues, optional
            Receives the rows with levels, tags, dates and numbers that training did not have.

        Returns
        -------
        ndarray or scipy.sparse.csr_array
            X (n, d) of float64, of the same form as in training; the features of a row do not depend on other rows.

        Raises
        ------
        TableError
            If a column is missing, or a cell is not of its column's kind; its row and value are in the message.
        """
        where = read_location(table)
        if isinstance(table, pa.RecordBatch):
            table = pa.Table.from_batches([table])
        table = self._replace_missing(table)
        if rows is not None:
            own = [table.schema.get_field_index(column.name) for column in self.column_encoders]
            table = table.select([j for j in own if j >= 0]).take(pa.array(rows))
            where = RowLocation(np.asarray(rows), where.first, where.file)
        if unseen is not None:
            unseen.rows += table.num_rows
        X = self._sparse(table, where, unseen) if self.sparse else self._dense(table, where, unseen)
        return self.with_pairs(X) if self.pairs else X

    def with_pairs(self, X: Any) -> Any:
        """Return X (n, d) with the features of the interactions, from the features of the columns."""
        blocks = pair_blocks(self.pairs, X, self._places)
        if sp.issparse(X):
            return sp.csr_array(sp.hstack([X, *map(sp.csr_array, blocks)], format="csr"))
        return np.hstack([X, *blocks])

    def feature_places(self) -> dict[str, slice]:
        """Return the places in X of the features of each column and interaction, by `part_names`."""
        return dict(self._places)

    @cached_property
    def _places(self) -> dict[str, slice]:
        found, first = {}, 0
        for name, code in zip(self.part_names, self.parts, strict=True):
            found[name] = slice(first, first + code.width)
            first += code.width
        return found

    def with_standardized_numbers(self) -> Encoder:
        """Return the encoder with every number standardized, so that x is `mean + scale * z` without limits."""
        columns = [
            NumberEncoder(column.name, column.mean, column.scale, column.missing)
            if isinstance(column, NumberEncoder)
            else column
            for column in self.column_encoders
        ]
        return replace(self, column_encoders=tuple(columns), pairs=())

    def rows_outside_range(self, table: pa.Table | pa.RecordBatch) -> BoolArray:
        """Return a mask (n,) of rows with a number more than a standard deviation outside the range of training."""
        if isinstance(table, pa.RecordBatch):
            table = pa.Table.from_batches([table])
        outside = np.zeros(table.num_rows, dtype=bool)
        for column in self.column_encoders:
            if isinstance(column, NumberEncoder) and column.span:
                outside |= column.outside_range(require_column(table, column.name))
        return outside

    def transform(self, table: pa.Table, rows: RowNumbers | None = None) -> Any:
        """Return `encode(table, rows)`, under the name that scikit-learn has for it."""
        return self.encode(table, rows)

    def invalid_rows(self, table: pa.Table | pa.RecordBatch) -> BoolArray:
        """Return a mask (n,) of rows with a cell that is not of its column's kind; `encode` raises for the first."""
        if isinstance(table, pa.RecordBatch):
            table = pa.Table.from_batches([table])
        invalid, table = np.zeros(table.num_rows, dtype=bool), self._replace_missing(table)
        for column_encoder in self.column_encoders:
            column, check = (
                booleans_as_numbers(column_encoder, require_column(table, column_encoder.name)),
                getattr(column_encoder, "invalid_cells", None),
            )
            column_format = self._column_format(column_encoder.name, table)
            if column_format is not None:
                invalid |= (wrong := column_format.invalid_cells(column))
                column = column_format.read(column_encoder.name, column.filter(boolean_array(~wrong)), RowLocation())
            if check is not None and column_format is not None:
                invalid[~wrong] |= check(column)
            elif check is not None:
                invalid |= check(column)
        return invalid

    def columns(self, table: pa.Table) -> Iterator[tuple[ColumnEncoder, pa.ChunkedArray]]:
        """Yield each feature column (n,) with its encoder: text as it is read by its format, null where missing."""
        where, table = read_location(table), self._replace_missing(table)
        for column_encoder in self.column_encoders:
            form = self._column_format(column_encoder.name, table)
            yield column_encoder, _read_column(table, column_encoder, form, where)

    def _replace_missing(self, table: pa.Table) -> pa.Table:
        """Return the feature columns, with null for the spellings of a missing value."""
        if not self.na:
            return table
        features = {column.name for column in self.column_encoders}
        indices = [index for index, name in enumerate(table.column_names) if name in features]
        return replace_missing(table.select(indices), self.na)

    def _column_format(self, name: str, table: pa.Table) -> ColumnFormat | None:
        """Return how the text of a column is read, with the decimal mark of this table."""
        form = self.formats.get(name)
        return None if form is None else form.with_decimal(TextMetadata.from_schema(table.schema).decimal)

    def _dense(self, table: pa.Table, where: RowLocation, unseen: UnseenValues | None) -> Float64Array:
        if len(self.column_encoders) == 1 and isinstance(vector := self.column_encoders[0], VectorEncoder):
            return vector.block(_read_column(table, vector, None, where), where)  # as wide as X: no copy
        X = np.zeros((table.num_rows, sum(code.width for code in self.column_encoders)))
        row, first = np.arange(table.num_rows), 0
        for column_encoder in self.column_encoders:
            column = _read_column(table, column_encoder, self._column_format(column_encoder.name, table), where, unseen)
            encoded = _encode_column(column_encoder, column, where, unseen)
            if not isinstance(encoded, list):
                X[:, first : first + column_encoder.width] = encoded.toarray() if sp.issparse(encoded) else encoded
            else:
                for feature, value in encoded:
                    if isinstance(feature, int):
                        X[:, first + feature] = value
                    else:
                        has = feature >= 0
                        X[row[has], feature[has] + first] = value[has]
            first += column_encoder.width
        return X

    def _sparse(self, table: pa.Table, where: RowLocation, unseen: UnseenValues | None) -> sp.csr_array:
        """Return CSR without stored zeros; entries of neighbouring columns are gathered, texts and lists are blocks."""
        blocks: list[Any] = []
        entries: list[Entry] = []
        pending = 0
        for column_encoder in self.column_encoders:
            column = _read_column(table, column_encoder, self._column_format(column_encoder.name, table), where, unseen)
            encoded = _encode_column(column_encoder, column, where, unseen)
            if isinstance(encoded, list):
                entries += [
                    (np.where(np.asarray(feature) < 0, -1, np.asarray(feature) + pending), value)
                    for feature, value in encoded
                ]
                pending += column_encoder.width
                continue
            if pending:
                blocks.append(csr_from_entries(entries, table.num_rows, pending))
            entries, pending = [], 0
            blocks.append(encoded if sp.issparse(encoded) else sp.csr_array(encoded))
        if pending or not blocks:
            blocks.append(csr_from_entries(entries, table.num_rows, pending))
        return blocks[0] if len(blocks) == 1 else sp.csr_array(sp.hstack(blocks, format="csr"))

    def to_state(self) -> dict[str, Any]:
        """Return the encoder as a JSON-serializable dict; floats are exact."""
        formats = {name: form.to_state() for name, form in self.formats.items()}
        columns = [column.to_state() for column in self.column_encoders]
        pairs = {"pairs": [pair.to_state() for pair in self.pairs]} if self.pairs else {}
        return {"sparse": self.sparse, "codes": columns, "formats": formats, "na": list(self.na), **pairs}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Encoder:
        """Return the encoder that `to_state` wrote.

        Parameters
        ----------
        state : mapping
            Part of a model file.

        Returns
        -------
        Encoder
            The same encoder.

        Raises
        ------
        ValueError
            If the state is not that of an encoder, or was written by a newer version.
        """
        columns = tuple(column_encoder_from_state(column) for column in fields.mappings(state, "codes"))
        pairs = tuple(map(PairEncoder.from_state, fields.mappings(state, "pairs"))) if "pairs" in state else ()
        fields.distinct([*(column.name for column in columns), *(pair.name for pair in pairs)], "coded column")
        check_sides(pairs, columns)
        formats, na = formats_from_state(state, "formats"), fields.texts(state, "na", ())
        return cls(columns, fields.flag(state, "sparse"), formats, na, pairs)


def column_encoder_from_state(state: Mapping[str, Any]) -> ColumnEncoder:
    """Return the column encoder that `to_state` wrote; raise `ValueError` for any other state.

    Returns
    -------
    ColumnEncoder
        The same encoder.

    Raises
    ------
    ValueError
        If the state is not that of a column encoder, or was written by a newer version.

    Examples
    --------
    >>> column_encoder_from_state(NumberEncoder("age", 0.1, 2.0, False).to_state()).scale
    2.0
    """
    name, missing = fields.text(state, "name"), fields.flag(state, "missing")
    match fields.text(state, "code"):
        case "number":
            return NumberEncoder.from_state(state)
        case "curve":
            return CurveEncoder.from_state(state)
        case "boolean":
            words, mean = fields.texts(state, "words"), fields.number(state, "mean")
            if len(words) != 2 or not 0 <= mean <= 1:
                raise ValueError(f"the column {name!r} has the words {words} and the mean {mean:g}, and is no boolean")
            return BooleanEncoder(name, (words[0], words[1]), mean, missing)
        case "category":
            levels, rare = fields.texts(state, "levels"), fields.texts(state, "rare", ())
            pooled, numeric = fields.count(state, "pooled", 0), fields.flag(state, "numbers", False)
            return CategoryEncoder(name, levels, missing, pooled, rare, numeric)
        case "date":
            return DateEncoder.from_state(state)
        case "text":
            return TextEncoder.from_state(state)
        case "tags":
            return TagsEncoder(name, fields.texts(state, "levels"), fields.count(state, "pooled"))
        case "vector":
            scale = fields.number(state, "scale", positive=True)
            return VectorEncoder(name, fields.numbers(state, "means"), scale, missing)
        case other:
            raise ValueError(f"the model has a column coded as {other!r}; a newer version of softreg wrote it")


def _read_column(
    table: pa.Table,
    column_encoder: ColumnEncoder,
    form: ColumnFormat | None,
    where: RowLocation,
    unseen: UnseenValues | None = None,
) -> pa.ChunkedArray:
    """Return a column whose text is read by its format."""
    column = booleans_as_numbers(column_encoder, require_column(table, column_encoder.name), unseen)
    return column if form is None else form.read(column_encoder.name, column, where, unseen)


def _encode_column(encoder: Any, column: pa.ChunkedArray, where: RowLocation, unseen: UnseenValues | None) -> Any:
    """Return entries where an encoder has a few of them a row, else a block of X."""
    if isinstance(encoder, CategoryEncoder | DateEncoder | NumberEncoder):
        return encoder.entries(column, where, unseen)
    if isinstance(encoder, TagsEncoder):
        return encoder.block(column, where, unseen)
    return encoder.entries(column, where) if hasattr(encoder, "entries") else encoder.block(column, where)


def _is_sparse(columns: tuple[ColumnEncoder, ...]) -> bool:
    """Return True if X is wide and most of it is zero."""
    width = sum(column.width for column in columns)
    if any(isinstance(column, TextEncoder) for column in columns):
        return width > WIDE
    filled = sum(column.width if isinstance(column, VectorEncoder | DateEncoder) else 1 for column in columns)
    return width > WIDE and filled < SPARSE * width
