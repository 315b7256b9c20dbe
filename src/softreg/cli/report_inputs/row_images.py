"""The images of audited rows, which a report draws for a few of them, and the title of a report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from softreg.tables import Schema
from softreg.tables.images.array_files import WHITE
from softreg.tables.images.image_form import LABEL
from softreg.typing import Array, Codes


@dataclass(frozen=True)
class RowImages:
    """Images of n rows.

    Attributes
    ----------
    shape : tuple of int
        Shape of an image: (height, width), or (height, width, 3) in colour.
    take : callable
        Function from indices (k,) among the rows to their images (k, *shape): bytes of pictures, or numbers, which are
        drawn in the colours of the page.
    """

    shape: tuple[int, ...]
    take: Callable[[Codes], Array]


def row_images(schema: Schema, table: pa.Table, places: Codes) -> RowImages | None:
    """Return the images of some rows of a table; None for a model that has other features than one column of images.

    Parameters
    ----------
    schema : Schema
        Columns of the model.
    table : pyarrow.Table
        The table.
    places : array of shape (n,)
        Indices of the rows.

    Returns
    -------
    RowImages or None
        Images of the n rows.
    """
    column = schema.image
    if column is None or column.image is None:
        return None
    name, shape = column.name, column.image.shape

    def take(rows: Codes) -> Array:
        pixels = pc.list_flatten(table.column(name).take(pa.array(places[rows]))).to_numpy()
        shown: Array = np.clip(np.round(pixels), 0, WHITE).astype(np.uint8)
        return shown.reshape(len(rows), *shape)

    return RowImages(shape, take)


def without_images(schema: Schema, table: pa.Table) -> pa.Table:
    """Return a table without the column of images that the model reads, whose pixels a report does not write."""
    column = schema.image
    return table if column is None or column.name not in table.column_names else table.drop_columns([column.name])


def report_title(schema: Schema | None, target: str, data: str) -> str:
    """Return the title of a report: the target and the name of the data.

    Parameters
    ----------
    schema : Schema or None
        Columns of the model; None for a model of arrays.
    target : str
        Column of labels.
    data : str
        Name of the file or folder.

    Returns
    -------
    str
        "Class of the images in NAME" for images with their own labels, else "TARGET from NAME".
    """
    is_image_class = schema is not None and schema.image is not None and target == LABEL
    return f"Class of the images in {data}" if is_image_class else f"{target} from {data}"
