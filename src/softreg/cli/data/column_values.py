"""Values of the columns that a model reads, for a comparison of batches."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from softreg.cli.data.load_model import LoadedModel
from softreg.tables.columns.column_values import as_text
from softreg.tables.encode.boolean_encoder import BooleanEncoder
from softreg.tables.encode.category_encoder import CategoryEncoder
from softreg.tables.encode.column_encoder import ColumnEncoder
from softreg.tables.encode.date_encoder import DateEncoder, read_dates
from softreg.tables.encode.list_column_encoders import TagsEncoder
from softreg.tables.encode.number_encoder import NumberEncoder
from softreg.tables.encode.text.text_encoder import TextEncoder
from softreg.tables.schema.typed_values import read_booleans, read_levels, read_numbers
from softreg.typing import Array, Float64Array


def column_values(model: LoadedModel, table: pa.Table) -> dict[str, Array] | None:
    """Return the columns of a table that a model reads, as numbers or levels.

    Numbers and dates (seconds since 1970) are numbers, categories and booleans levels; a text is its number of
    characters, and a list its number of entries. Vectors and images are left out.

    Parameters
    ----------
    model : LoadedModel
        The model.
    table : pyarrow.Table
        Rows.

    Returns
    -------
    dict of str to array, or None
        Values (n,) by column; None where there are none.
    """
    if model.table_model is None:
        names = model.features or ()
        return {name: _as_numbers(table.column(name)) for name in names} or None
    read = (_values(encoder, column) for encoder, column in model.table_model.encoder_.columns(table))
    return {name: values for name, values in read if values is not None} or None


def _values(encoder: ColumnEncoder, column: pa.ChunkedArray) -> tuple[str, Array | None]:
    """Return the name and the values of a column."""
    name = encoder.name
    if isinstance(encoder, NumberEncoder):
        return name, read_numbers(name, column)[0]
    if isinstance(encoder, DateEncoder):
        return name, read_dates(name, column, encoder.day_first)[0]
    if isinstance(encoder, BooleanEncoder):
        truth = read_booleans(name, encoder.words, column)[0]
        words = np.array([*encoder.words, None], dtype=object)
        return name, words[np.where(np.isnan(truth), -1, truth).astype(np.int64)]
    if isinstance(encoder, CategoryEncoder):
        cells = read_levels(name, column)
        levels = [None if one is None else str(one) for one in cells.levels.to_pylist()]
        return name, np.array([*levels, None], dtype=object)[cells.codes]
    if isinstance(encoder, TextEncoder):
        return f"{name} (characters)", _as_numbers(pc.utf8_length(as_text(column, name)))
    if isinstance(encoder, TagsEncoder) and pa.types.is_list(column.type):
        return f"{name} (entries)", _as_numbers(pc.list_value_length(column))
    return name, None


def _as_numbers(column: pa.ChunkedArray) -> Float64Array:
    """Return numbers (n,), nan where missing."""
    return np.asarray(pc.cast(column, pa.float64()).to_numpy(), dtype=np.float64)
