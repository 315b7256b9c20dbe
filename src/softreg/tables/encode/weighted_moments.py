"""Encoders whose means and standard deviations are weighted by sample weights."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
"""A batch, the numbers of its training rows (None for all), and the weight of each of these."""


def with_weighted_moments(encoder: Encoder, batches: Iterable[WeightedBatch]) -> Encoder:
    """Return the encoder with weighted means and standard deviations of the numbers and booleans that it standardizes.

    A row of weight 2 counts as the row given twice. Levels, terms and normal scores do not change.

    Parameters
    ----------
    encoder : Encoder
        Fitted encoder.
    batches : iterable of (batch, rows, weight)
        Batches of a table, the numbers of their training rows (None for all) and the weight of each of these rows.

    Returns
    -------
    Encoder
        Encoder of the same features.

    Examples
    --------
    >>> from softreg.tables import infer_schema
    >>> table = pa.table({"age": [20.0, 40.0, 30.5], "buys": ["y", "n", "y"]})
    >>> encoder = Encoder.fit(infer_schema(table, "buys"), table)
    >>> batches = [(table, None, np.array([1.0, 1.0, 0.0]))]
    >>> with_weighted_moments(encoder, batches).column_encoders[0].mean
    30.0
    """
    return replace_moments(encoder, column_moments(encoder, batches))


def column_moments(encoder: Encoder, batches: Iterable[WeightedBatch]) -> dict[str, WeightedMoments]:
    """Return the weighted moments of the columns that an encoder standardizes, by name; see `with_weighted_moments`."""
    weighted_columns = [column for column in encoder.column_encoders if _is_weighted(column)]
    moments = {column.name: WeightedMoments(_scale_unit(column)) for column in weighted_columns}
    for table, rows, weight in batches if weighted_columns else ():
        for column in weighted_columns:
            moments[column.name].add(_read_values(encoder, column, table, rows), weight)
    return moments


def replace_moments(encoder: Encoder, moments: Mapping[str, WeightedMoments]) -> Encoder:
    """Return the encoder with the means and standard deviations of these moments."""

    def weighted(column: ColumnEncoder) -> ColumnEncoder:
        moment = moments.get(column.name)
        if isinstance(column, NumberEncoder) and moment is not None:
            return replace(column, mean=moment.mean, scale=moment.deviation)
        return (
            replace(column, mean=moment.mean) if isinstance(column, BooleanEncoder) and moment is not None else column
        )

    return replace(encoder, column_encoders=tuple(weighted(column) for column in encoder.column_encoders))


def _is_weighted(column: ColumnEncoder) -> bool:
    """Return True if a column encoder has a mean of the training rows."""
    return isinstance(column, BooleanEncoder) or (isinstance(column, NumberEncoder) and column.form is not Form.SCORES)


def _scale_unit(column_encoder: ColumnEncoder) -> float:
    """Return the power of two in which no square of the training rows overflows."""
    span = column_encoder.span if isinstance(column_encoder, NumberEncoder) else ()
    return power_above(max(map(abs, span), default=0.0)) or 1.0


def _read_values(
    encoder: Encoder, column_encoder: ColumnEncoder, table: pa.Table | pa.RecordBatch, rows: RowNumbers | None
) -> Float64Array:
    """Return the numbers of a column as the encoder reads them, nan where missing; 0 and 1 of booleans."""
    where = read_location(table)
    whole = pa.Table.from_batches([table]) if isinstance(table, pa.RecordBatch) else table
    cells = whole.select([whole.schema.get_field_index(column_encoder.name)])
    if rows is not None:
        cells, where = cells.take(pa.array(rows)), RowLocation(np.asarray(rows), where.first, where.file)
    column, form = replace_missing(cells, encoder.na).column(0), encoder.formats.get(column_encoder.name)
    if form is not None:
        column = form.with_decimal(TextMetadata.from_schema(table.schema).decimal).read(
            column_encoder.name, column, where
        )
    if isinstance(column_encoder, BooleanEncoder):
        return require_booleans(column_encoder.name, column_encoder.words, column, where)
    return require_numbers(column_encoder.name, column, where)
