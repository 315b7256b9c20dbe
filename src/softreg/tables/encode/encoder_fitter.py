"""The fitters of all columns of a table, which are fed batches and merged over runs of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa

from softreg.tables.columns.table_errors import TableError, quote
from softreg.tables.encode.column_encoder import ColumnEncoder
from softreg.tables.encode.column_fitters import make_fitter, row_chunks
from softreg.tables.encode.normal_scores import NumericSample, sample_size
from softreg.tables.encode.number_encoder import Form, NumberFitter
from softreg.tables.formats.column_formats import ColumnFormat
from softreg.tables.formats.invalid_numbers import FormatReader
from softreg.tables.schema.kinds import Kind
from softreg.tables.schema.schema import Schema
from softreg.typing import BoolArray, RowNumbers


class EncoderFitter:
    """Fitters of the feature columns of a table.

    Parameters
    ----------
    schema : Schema
        Kinds of the columns.
    forms : mapping of str to Form
        Requested forms of columns of numbers.
    before : int
        Number of training rows before those that are fitted here.
    level : int
        Level at which the sample for normal scores begins, see `NumericSample`; the sample of all rows has at least
        this level.

    Examples
    --------
    >>> from softreg.tables.schema.schema import infer_schema
    >>> table = pa.table({"age": [20.0, 40.0, 90.0], "buys": ["y", "n", "y"]})
    >>> schema = infer_schema(table, "buys")
    >>> fitter, later = EncoderFitter(schema, {}), EncoderFitter(schema, {}, before=2)
    >>> fitter.partial_fit(table.slice(0, 2), None), later.partial_fit(table.slice(2), None)
    (None, None)
    >>> fitter.merge(later)
    >>> fitter.column_encoders()[0].mean
    50.0
    """

    def __init__(self, schema: Schema, forms: Mapping[str, Form], *, before: int = 0, level: int = 0) -> None:
        n_numbers = sum(column.kind is Kind.NUMBER for column in schema.features)
        self.na = schema.na
        self.sample = NumericSample(sample_size(n_numbers), rows=before, level=level)
        self.fitters = [make_fitter(column, self.sample, forms.get(column.name)) for column in schema.features]
        self.readers = [FormatReader(column.name, column.format) for column in schema.features]

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return [reader.name for reader in self.readers]

    def partial_fit(
        self,
        batches: pa.Table | Iterable[pa.Table | pa.RecordBatch],
        rows: RowNumbers | Callable[[int, int], BoolArray] | None,
    ) -> None:
        """Fit all columns to rows of a table or of batches, see `Encoder.fit`."""
        numbers = [fitter for fitter in self.fitters if isinstance(fitter, NumberFitter)]
        for table, where in row_chunks(_select_columns(batches, self.names), rows):
            for reader, fitter in zip(self.readers, self.fitters, strict=True):
                fitter.partial_fit(reader.read(require_column(table, reader.name), where), where)
            self.sample.add({fitter.name: fitter.latest for fitter in numbers}, table.num_rows)
            for fitter in numbers:
                fitter.latest = np.zeros(0)

    def merge(self, later: EncoderFitter) -> None:
        """Add the fits of the rows that follow."""
        for reader, other in zip(self.readers, later.readers, strict=True):
            reader.merge(other)
        for fitter, fitted in zip(self.fitters, later.fitters, strict=True):
            fitter.merge(fitted)
        self.sample.merge(later.sample)

    def column_encoders(self) -> tuple[ColumnEncoder, ...]:
        """Return the encoder of each column."""
        return tuple(fitter.encoder() for fitter in self.fitters)

    def formats(self) -> dict[str, ColumnFormat]:
        """Return how text is read in columns of numbers and dates, by column; warn of invalid values."""
        return {reader.name: form for reader in self.readers if (form := reader.fitted_format()) is not None}


def _select_columns(
    batches: pa.Table | Iterable[pa.Table | pa.RecordBatch], names: Sequence[str]
) -> Iterator[pa.Table | pa.RecordBatch]:
    """Yield the batches with the feature columns alone, as others may be unreadable."""
    for batch in [batches] if isinstance(batches, pa.Table | pa.RecordBatch) else batches:
        known = set(batch.schema.names)
        yield batch.select([name for name in names if name in known])


def require_column(table: pa.Table, name: str) -> pa.ChunkedArray:
    """Return a column; raise `TableError` if the table lacks it."""
    index = table.schema.get_field_index(name)
    if index < 0:
        raise TableError(f"The table lacks the column {quote(name)}, which the model was trained with.")
    return table.column(index)
