"""Means and deviations of an encoder where rows have weights."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pyarrow as pa

from softreg.tables.columns.missing_values import replace_missing
from softreg.tables.columns.row_location import RowLocation, read_location
from softreg.tables.encode.boolean_encoder import BooleanEncoder
from softreg.tables.encode.column_encoder import ColumnEncoder
from softreg.tables.encode.encoder import Encoder
from softreg.tables.encode.moments import WeightedMoments, power_above
from softreg.tables.encode.number_encoder import Form, NumberEncoder
from softreg.tables.io.text_metadata import TextMetadata
from softreg.tables.schema.typed_values import require_booleans, require_numbers
from softreg.typing import Float64Array, Int64Array, RowNumbers

WeightedBatch = tuple[pa.Table | pa.RecordBatch, Int64Array | None, Float64Array]
"""A batch, the numbers of its training rows (all where None), and how often each of these counts."""


def weighted_encoder(
    encoder: Encoder, table: pa.Table, rows: RowNumbers | None, weight: Float64Array | None
) -> Encoder:
    """The encoder whose standardised numbers and booleans have the weighted mean and standard deviation of the rows.

    `rows` are the numbers of the training rows, all where None, and `weight` (n,) says how often each of them counts: a
    row of the weight 2 is the row given twice. Levels, terms and normal scores stay as they are, and so does everything
    where `weight` is None.

    Example:
        >>> from softreg.tables import infer_schema
        >>> table = pa.table({"age": [20.0, 40.0, 30.5], "buys": ["y", "n", "y"]})
        >>> encoder = Encoder.fit(infer_schema(table, "buys"), table)
        >>> weighted_encoder(encoder, table, None, np.array([1.0, 1.0, 0.0])).column_encoders[0].mean
        30.0
    """
    return encoder if weight is None else with_weighted_moments(encoder, [(table, rows, weight)])


def with_weighted_moments(encoder: Encoder, batches: Iterable[WeightedBatch]) -> Encoder:
    """The same, from the batches of a table.

    Example:
        >>> from softreg.tables import infer_schema
        >>> table = pa.table({"pay": [1000.0, 3000.5] * 9, "buys": ["y", "n"] * 9})
        >>> encoder = Encoder.fit(infer_schema(table, "buys"), table)
        >>> halves = [(table.slice(0, 9), None, np.ones(9)), (table.slice(9), None, np.ones(9))]
        >>> with_weighted_moments(encoder, halves).column_encoders[0].mean
        2000.25
    """
    codes = [code for code in encoder.column_encoders if _is_weighted(code)]
    moments = {code.name: WeightedMoments(_scale_unit(code)) for code in codes}
    for table, rows, weight in batches if codes else ():
        for code in codes:
            moments[code.name].add(_read_values(encoder, code, table, rows), weight)

    def weighted(code: ColumnEncoder) -> ColumnEncoder:
        found = moments.get(code.name)
        if isinstance(code, NumberEncoder) and found is not None:
            return replace(code, mean=found.mean, scale=found.deviation)
        return replace(code, mean=found.mean) if isinstance(code, BooleanEncoder) and found is not None else code

    return replace(encoder, column_encoders=tuple(weighted(code) for code in encoder.column_encoders))


def _is_weighted(code: ColumnEncoder) -> bool:
    """Whether a code has a mean of the rows."""
    return isinstance(code, BooleanEncoder) or (isinstance(code, NumberEncoder) and code.form is not Form.SCORES)


def _scale_unit(code: ColumnEncoder) -> float:
    """The power of two in which no square of the training rows overflows."""
    span = code.span if isinstance(code, NumberEncoder) else ()
    return power_above(max(map(abs, span), default=0.0)) or 1.0


def _read_values(
    encoder: Encoder, code: ColumnEncoder, table: pa.Table | pa.RecordBatch, rows: RowNumbers | None
) -> Float64Array:
    """The numbers of a column as the encoder reads them, nan where missing; 0 and 1 of booleans."""
    where = read_location(table)
    whole = pa.Table.from_batches([table]) if isinstance(table, pa.RecordBatch) else table
    own = whole.select([whole.schema.get_field_index(code.name)])
    if rows is not None:
        own, where = own.take(pa.array(rows)), RowLocation(np.asarray(rows), where.first, where.file)
    column, form = replace_missing(own, encoder.na).column(0), encoder.formats.get(code.name)
    if form is not None:
        column = form.with_decimal(TextMetadata.from_schema(table.schema).decimal).read(code.name, column, where)
    if isinstance(code, BooleanEncoder):
        return require_booleans(code.name, code.words, column, where)
    return require_numbers(code.name, column, where)
