"""A row with typical values of each column that a table model needs, from what the model stores."""

from __future__ import annotations

from typing import Any

import numpy as np

from softreg.tables import TableClassifier
from softreg.tables.encode.boolean_encoder import FALSE, TRUE, BooleanEncoder
from softreg.tables.encode.category_encoder import CategoryEncoder
from softreg.tables.encode.column_encoder import ColumnEncoder
from softreg.tables.encode.date_encoder import DateEncoder
from softreg.tables.encode.list_column_encoders import TagsEncoder, VectorEncoder
from softreg.tables.encode.number_encoder import NumberEncoder

MAX_WORDS = 3
"""Words of an example of text."""


def example_row(model: TableClassifier) -> dict[str, Any]:
    """Return a value for each column that a fitted table model needs, made from the model: it is no training row.

    Parameters
    ----------
    model : TableClassifier
        A fitted classifier.

    Returns
    -------
    dict of str to object
        The mean of numbers, of dates (as text) and of vectors, the first level of categories, the word for true of
        booleans, and 0 for offsets.

    Examples
    --------
    >>> import pyarrow as pa
    >>> table = pa.table({"age": [20, 60, 25, 55], "job": ["cook", "smith"] * 2, "buys": ["no", "yes"] * 2})
    >>> from softreg import TableClassifier
    >>> example_row(TableClassifier("buys", strength=0.1).fit(table))
    {'age': 40.0, 'job': 'cook'}
    """
    row = {encoder.name: example_value(encoder) for encoder in model.encoder_.column_encoders}
    return row | dict.fromkeys(model.offset_.values(), 0.0)


def example_value(encoder: ColumnEncoder) -> Any:
    """Return a value that a column encoder accepts."""
    if isinstance(encoder, NumberEncoder):
        rounded = float(f"{encoder.mean:.4g}")
        return min(max(rounded, encoder.span[0]), encoder.span[1]) if encoder.span else rounded
    if isinstance(encoder, BooleanEncoder):
        return True if encoder.words == (FALSE, TRUE) else encoder.words[1]
    if isinstance(encoder, CategoryEncoder):
        return next(iter((*encoder.levels, *encoder.rare)), "")
    if isinstance(encoder, DateEncoder):
        return str(np.datetime64(round(encoder.mean), "s").astype("datetime64[D]"))
    if isinstance(encoder, TagsEncoder):
        return list(encoder.levels[:1])
    if isinstance(encoder, VectorEncoder):
        return [float(f"{mean:.4g}") for mean in encoder.means]
    words = getattr(encoder, "terms", {}).get("word", ())
    return " ".join(words[:MAX_WORDS]) or "text"
