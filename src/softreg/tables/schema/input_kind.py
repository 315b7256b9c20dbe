"""Check that new rows are of the kind that a model was trained on: a table, or images."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from softreg.tables.columns.table_errors import TableError, quote_list
from softreg.tables.images.image_form import has_images, is_path_field
from softreg.tables.schema.kinds import Column

MAX_NAMED = 8
"""Columns that the error names."""


def check_input_kind(
    features: Sequence[Column],
    schema: pa.Schema,
    *,
    source: str = "The input",
    training: str = "the model was trained on",
) -> None:
    """Raise an error for images given to a model of a table, and for a table given to a model of images.

    A table that has all features of the model is never refused.

    Parameters
    ----------
    features : sequence of Column
        Features of the model.
    schema : pyarrow.Schema
        Columns of the new rows.
    source : str
        Name of the new rows in the error.
    training : str
        Words of the error before the kind of the training rows.

    Raises
    ------
    TableError
        If a feature is missing, and only one of both, the model and the new rows, has images.

    Examples
    --------
    >>> from softreg.tables.schema.kinds import Kind
    >>> from softreg.tables.images.image_form import ImageForm, image_field
    >>> images = pa.schema([image_field(ImageForm(8, 8, colour=False), pa.uint8())])
    >>> check_input_kind([Column("age", Kind.NUMBER, "")], images, source="'pictures'")
    Traceback (most recent call last):
    softreg.tables.columns.table_errors.TableError: 'pictures' holds images, and the model was trained on a table \
(columns 'age'); give a table with these columns.
    """
    form = next((column.image for column in features if column.image is not None), None)
    names = [column.name for column in features]
    if (form is not None) == has_images(schema) or set(names) <= set(schema.names):
        return
    if form is None:
        raise TableError(
            f"{source} holds images, and {training} a table (columns {quote_list(names, MAX_NAMED)}); give "
            "a table with these columns."
        )
    given = [field.name for field in schema if not is_path_field(field)]
    raise TableError(
        f"{source} is a table (columns {quote_list(given, MAX_NAMED)}), and {training} {form}; give "
        "pictures, a folder of pictures, or a file of arrays of images."
    )
