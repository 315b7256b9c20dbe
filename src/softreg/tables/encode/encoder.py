"""From a table to the matrix X: learned on the training rows in one pass, applied identically everywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import scipy.sparse as sp

from softreg.deprecated import DeprecatedAttributes, replacement_name
from softreg.models.serialization import fields
from softreg.tables.columns.arrow_numpy import boolean_array
from softreg.tables.columns.column_names import unique_feature_names
from softreg.tables.columns.errors import TableError, quote
from softreg.tables.columns.missing_values import replace_missing
from softreg.tables.columns.row_location import RowLocation, read_location
from softreg.tables.columns.unseen_values import UnseenValues
from softreg.tables.encode.boolean_encoder import BooleanEncoder, booleans_as_numbers
from softreg.tables.encode.category_encoder import CategoryEncoder
from softreg.tables.encode.column_encoder import ColumnEncoder, Entry, csr_from_entries
from softreg.tables.encode.column_fitters import make_fitter, row_chunks
from softreg.tables.encode.date_encoder import DateEncoder
from softreg.tables.encode.list_encoders import TagsEncoder, VectorEncoder
from softreg.tables.encode.normal_scores import NumericSample, sample_size
from softreg.tables.encode.number_encoder import Form, NumberEncoder, NumberFitter
from softreg.tables.encode.text.text_encoder import TextEncoder
from softreg.tables.formats.column_formats import ColumnFormat, formats_from_state
from softreg.tables.formats.invalid_numbers import FormatReader
from softreg.tables.io.text_metadata import TextMetadata
from softreg.tables.schema.kinds import Kind
from softreg.tables.schema.schema import Schema
from softreg.typing import BoolArray, Float64Array, RowNumbers

WIDE = 200  # a matrix of more columns than this is sparse where its density is below SPARSE
SPARSE = 0.2


@dataclass(frozen=True)
class Encoder(DeprecatedAttributes):
    """The code of each feature column and the layout of X; frozen, and exact through JSON.

    A number becomes (x - mean) / standard deviation of the training rows, or, where its tail is heavy, its normal
    score, unless `forms` asks for "linear", "scores" or "both", two features; beyond the range of training it is
    limited (see `NumberEncoder`). A boolean becomes 0 or 1; a category one feature a level of training (one-hot), rare
    levels sharing one; a date a trend and its place in the year, month, week and day; a text TF-IDF of its terms; a
    list of words one feature a tag; a vector its standardised numbers. A missing number or boolean becomes the training
    mean and, where training saw missing values in that column, an indicator feature `name=missing`. An unseen level of
    a category has the feature of the rare ones, if there is one; missing is a level of its own if training saw it.

    X is float64: dense in C order, or CSR where it has more than 200 columns and less than a fifth of its
    entries are not zero (`sparse`), as with any text.

    Example:
        >>> table = pa.table({"age": [20, 40, 30], "job": ["cook", "smith", "cook"], "buys": ["y", "n", "y"]})
        >>> from softreg.tables.schema.schema import infer_schema
        >>> encoder = Encoder.fit(infer_schema(table, "buys"), table)
        >>> encoder.feature_names_out
        ('age', 'job=cook', 'job=smith')
        >>> encoder.encode(pa.table({"job": ["tailor"], "age": [30]})).tolist()
        [[0.0, 0.0, 0.0]]

    Source: Hastie, Tibshirani and Friedman, "The Elements of Statistical Learning" (2009), 2.2 and 9.6.
    """

    column_encoders: tuple[ColumnEncoder, ...]
    sparse: bool
    formats: Mapping[str, ColumnFormat] = field(default_factory=dict)
    """How text is read in columns of numbers and dates, by name."""
    na: tuple[str, ...] = ()
    """Spellings of a missing value in every column."""

    @classmethod
    def fit(
        cls,
        schema: Schema,
        batches: pa.Table | Iterable[pa.Table | pa.RecordBatch],
        rows: RowNumbers | Callable[[int, int], BoolArray] | None = None,
        forms: Mapping[str, Form] | None = None,
    ) -> Encoder:
        """Learn from a table or, in one pass, from its batches; `rows` are the numbers of the training rows.

        Or `rows(first, count)` is a mask of those among `count` rows from number `first` on. `forms` of columns of
        numbers, by name; where none is given, a heavy tail has normal scores and other numbers are linear.

        The same rows give the same encoder, however they are cut into batches. Raises `TableError` for a cell that is
        not what the schema says, with row and value.
        """
        numbers = sum(column.kind is Kind.NUMBER for column in schema.features)
        sample = NumericSample(sample_size(numbers))
        fitters = [make_fitter(column, sample, (forms or {}).get(column.name)) for column in schema.features]
        names = [column.name for column in schema.features]
        readers = [FormatReader(column.name, column.format) for column in schema.features]
        for table, where in row_chunks(_select_columns(batches, names), rows):
            for reader, fitter in zip(readers, fitters, strict=True):
                fitter.partial_fit(reader.read(_require_column(table, reader.name), where), where)
            known = {one.name: one.latest for one in fitters if isinstance(one, NumberFitter)}
            sample.add(known, table.num_rows)
        codes = tuple(fitter.encoder() for fitter in fitters)
        formats = {reader.name: form for reader in readers if (form := reader.fitted_format()) is not None}
        return cls(codes, _is_sparse(codes), formats, schema.na)

    @classmethod
    def learn(cls, *args: Any, **kwargs: Any) -> Encoder:
        """Return `Encoder.fit(...)`, with a `DeprecationWarning`."""
        encoder: Encoder = getattr(cls, replacement_name("Encoder", "learn"))(*args, **kwargs)
        return encoder

    @property
    def width(self) -> int:
        """How many columns X has."""
        return sum(code.width for code in self.column_encoders)

    @property
    def feature_names_out(self) -> tuple[str, ...]:
        """Names of the columns of X: `age`, `job=cook`, `age=missing`; no two are the same.

        Where columns or levels have such a sign in their own names, that part is quoted: `a='b=c'` is the level `b=c`
        of the column `a`, and `'a=b'=c` the level `c` of the column `a=b`.
        """
        return unique_feature_names(
            [(code.name, feature) for code in self.column_encoders for feature in code.features]
        )

    @property
    def remarks(self) -> dict[str, str]:
        """What was learned of the columns that are more than their schema says, by name."""
        return {code.name: code.remark for code in self.column_encoders if code.remark}

    def encode(
        self,
        table: pa.Table | pa.RecordBatch,
        rows: RowNumbers | None = None,
        *,
        unseen: UnseenValues | None = None,
    ) -> Any:
        """X for some rows of a table or batch (all where `rows` is None), its columns found by name.

        Rows with a level of a category, or a tag, that training did not have are counted in `unseen`.

        Returns (n, d) float64, an ndarray or a `scipy.sparse.csr_array`, in the same form as in training; a row's
        features do not depend on its neighbours. Raises `TableError`: a column missing, or a cell that is not of the
        column's kind, with row and value.
        """
        where = read_location(table)
        if isinstance(table, pa.RecordBatch):
            table = pa.Table.from_batches([table])
        table = self._with_missing(table)
        if rows is not None:
            own = [table.schema.get_field_index(code.name) for code in self.column_encoders]
            table = table.select([place for place in own if place >= 0]).take(pa.array(rows))
            where = RowLocation(np.asarray(rows), where.first, where.file)
        if unseen is not None:
            unseen.rows += table.num_rows
        return self._sparse(table, where, unseen) if self.sparse else self._dense(table, where, unseen)

    def with_standardized_numbers(self) -> Encoder:
        """The same encoder with every number standardised, however heavy its tail: x is then `mean + scale * z`."""
        plain = [
            replace(code, knots=(), scores=(), both=False, span=(), evidence=())
            if isinstance(code, NumberEncoder)
            else code
            for code in self.column_encoders
        ]
        return replace(self, column_encoders=tuple(plain))

    def rows_outside_range(self, table: pa.Table | pa.RecordBatch) -> BoolArray:
        """Which rows (n,) hold a number more than a standard deviation outside the range of training."""
        if isinstance(table, pa.RecordBatch):
            table = pa.Table.from_batches([table])
        found = np.zeros(table.num_rows, dtype=bool)
        for code in self.column_encoders:
            if isinstance(code, NumberEncoder) and code.span:
                found |= code.outside_range(_require_column(table, code.name))
        return found

    def transform(self, table: pa.Table, rows: RowNumbers | None = None) -> Any:
        """The same as `encode`."""
        return self.encode(table, rows)

    def invalid_rows(self, table: pa.Table | pa.RecordBatch) -> BoolArray:
        """Which rows hold a cell that is not of its column's kind; `encode` would refuse the first of them."""
        if isinstance(table, pa.RecordBatch):
            table = pa.Table.from_batches([table])
        found, table = np.zeros(table.num_rows, dtype=bool), self._with_missing(table)
        for code in self.column_encoders:
            column, check = (
                booleans_as_numbers(code, _require_column(table, code.name)),
                getattr(code, "invalid_cells", None),
            )
            form = self._format(code.name, table)
            if form is not None:
                found |= (wrong := form.invalid_cells(column))
                column = form.read(code.name, column.filter(boolean_array(~wrong)), RowLocation())
            if check is not None and form is not None:
                found[~wrong] |= check(column)
            elif check is not None:
                found |= check(column)
        return found

    def _with_missing(self, table: pa.Table) -> pa.Table:
        """The columns that the model uses, with null in place of the spellings of a missing value."""
        if not self.na:
            return table
        own = {code.name for code in self.column_encoders}
        places = [place for place, name in enumerate(table.column_names) if name in own]
        return replace_missing(table.select(places), self.na)

    def _format(self, name: str, table: pa.Table) -> ColumnFormat | None:
        """How the text of a column is read, with the decimal mark that was named for this table."""
        form = self.formats.get(name)
        return None if form is None else form.with_decimal(TextMetadata.from_schema(table.schema).decimal)

    def _dense(self, table: pa.Table, where: RowLocation, unseen: UnseenValues | None) -> Float64Array:
        X = np.zeros((table.num_rows, self.width))
        row, first = np.arange(table.num_rows), 0
        for code in self.column_encoders:
            column = _read_column(table, code, self._format(code.name, table), where, unseen)
            part = _encode_column(code, column, where, unseen)
            if not isinstance(part, list):
                X[:, first : first + code.width] = part.toarray() if sp.issparse(part) else part
            else:
                for feature, value in part:
                    if isinstance(feature, int):
                        X[:, first + feature] = value
                    else:
                        has = feature >= 0
                        X[row[has], feature[has] + first] = value[has]
            first += code.width
        return X

    def _sparse(self, table: pa.Table, where: RowLocation, unseen: UnseenValues | None) -> sp.csr_array:
        """CSR without stored zeros; entries of neighbouring columns are gathered, texts and lists are blocks."""
        blocks: list[Any] = []
        entries: list[Entry] = []
        pending = 0
        for code in self.column_encoders:
            column = _read_column(table, code, self._format(code.name, table), where, unseen)
            part = _encode_column(code, column, where, unseen)
            if isinstance(part, list):
                entries += [(np.where(np.asarray(f) < 0, -1, np.asarray(f) + pending), value) for f, value in part]
                pending += code.width
                continue
            if pending:
                blocks.append(csr_from_entries(entries, table.num_rows, pending))
            entries, pending = [], 0
            blocks.append(part if sp.issparse(part) else sp.csr_array(part))
        if pending or not blocks:
            blocks.append(csr_from_entries(entries, table.num_rows, pending))
        return blocks[0] if len(blocks) == 1 else sp.csr_array(sp.hstack(blocks, format="csr"))

    def to_state(self) -> dict[str, Any]:
        """The encoder as strict JSON; Python writes floats so that they are read back exactly."""
        formats = {name: form.to_state() for name, form in self.formats.items()}
        codes = [code.to_state() for code in self.column_encoders]
        return {"sparse": self.sparse, "codes": codes, "formats": formats, "na": list(self.na)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Encoder:
        """The encoder that `to_state` wrote; raises `ValueError` for another state, or one of a newer version."""
        codes = tuple(column_encoder_from_state(code) for code in fields.mappings(state, "codes"))
        fields.distinct([code.name for code in codes], "coded column")
        return cls(
            codes, fields.flag(state, "sparse"), formats_from_state(state, "formats"), fields.texts(state, "na", ())
        )


def column_encoder_from_state(state: Mapping[str, Any]) -> ColumnEncoder:
    """The code that `to_state` wrote.

    Example:
        >>> column_encoder_from_state(NumberEncoder("age", 0.1, 2.0, False).to_state())  # doctest: +ELLIPSIS
        NumberEncoder(name='age', mean=0.1, scale=2.0, missing=False, knots=(), scores=(), both=False, span=(), evi...
    """
    name, missing = fields.text(state, "name"), fields.flag(state, "missing")
    match fields.text(state, "code"):
        case "number":
            return NumberEncoder.from_state(state)
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


def _select_columns(
    batches: pa.Table | Iterable[pa.Table | pa.RecordBatch], names: Sequence[str]
) -> Iterator[pa.Table | pa.RecordBatch]:
    """The batches with the columns that are learned from, which others need not be readable for."""
    for batch in [batches] if isinstance(batches, pa.Table | pa.RecordBatch) else batches:
        known = set(batch.schema.names)
        yield batch.select([name for name in names if name in known])


def _require_column(table: pa.Table, name: str) -> pa.ChunkedArray:
    place = table.schema.get_field_index(name)
    if place < 0:
        raise TableError(f"The table lacks the column {quote(name)}, which the model was trained with.")
    return table.column(place)


def _read_column(
    table: pa.Table,
    code: ColumnEncoder,
    form: ColumnFormat | None,
    where: RowLocation,
    unseen: UnseenValues | None = None,
) -> pa.ChunkedArray:
    """A column, whose text is read by its format."""
    column = booleans_as_numbers(code, _require_column(table, code.name), unseen)
    return column if form is None else form.read(code.name, column, where, unseen)


def _encode_column(code: Any, column: pa.ChunkedArray, where: RowLocation, unseen: UnseenValues | None) -> Any:
    """Entries where the code has a few of them a row, else a block of X."""
    if isinstance(code, CategoryEncoder | DateEncoder | NumberEncoder):
        return code.entries(column, where, unseen)
    if isinstance(code, TagsEncoder):
        return code.block(column, where, unseen)
    return code.entries(column, where) if hasattr(code, "entries") else code.block(column, where)


def _is_sparse(codes: tuple[ColumnEncoder, ...]) -> bool:
    """Whether most of X is zero and it is wide."""
    width = sum(code.width for code in codes)
    if any(isinstance(code, TextEncoder) for code in codes):
        return width > WIDE
    filled = sum(code.width if isinstance(code, VectorEncoder | DateEncoder) else 1 for code in codes)
    return width > WIDE and filled < SPARSE * width
