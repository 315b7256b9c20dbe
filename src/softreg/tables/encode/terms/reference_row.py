"""The encoded row that contributions of a model file are relative to: what the encoders know of training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from softreg.tables.encode.boolean_encoder import BooleanEncoder
from softreg.tables.encode.category_encoder import CategoryEncoder
from softreg.tables.encode.column_encoder import ColumnEncoder
from softreg.tables.encode.terms.pair_encoder import PairEncoder, PairSide
from softreg.typing import Float64Array


def reference_features(columns: Sequence[ColumnEncoder], pairs: Sequence[PairEncoder]) -> Float64Array:
    """Return the encoded row (d,) that contributions are relative to.

    A number has its training mean, or the normal score 0; a curve its mean over the training rows, which is 0; a
    boolean the share of true; a category the mean over its features, each counted once. An interaction has the products
    of these values.

    Parameters
    ----------
    columns : sequence of ColumnEncoder
        Encoders of the columns.
    pairs : sequence of PairEncoder
        Interactions.

    Returns
    -------
    array of float64 (d,)
        Encoded reference row.

    Examples
    --------
    >>> reference_features([BooleanEncoder("member", ("no", "yes"), 0.25, True)], []).tolist()
    [0.25, 0.0]
    """
    sides = side_references(columns, pairs)
    parts = [_column_reference(column) for column in columns]
    parts += [pair.block(sides[pair.left][None], sides[pair.right][None])[0] for pair in pairs]
    return np.concatenate(parts) if parts else np.zeros(0)


def side_references(columns: Sequence[ColumnEncoder], pairs: Sequence[PairEncoder]) -> dict[PairSide, Float64Array]:
    """Return the reference of the basis functions of each side of interactions: 0 for numbers.

    Parameters
    ----------
    columns : sequence of ColumnEncoder
        Encoders of the columns.
    pairs : sequence of PairEncoder
        Interactions.

    Returns
    -------
    dict of PairSide to array of float64 (r,)
        References.

    Examples
    --------
    >>> side_references([], [])
    {}
    """
    named = {column.name: column for column in columns}
    return {
        side: np.zeros(side.size) if side.knots else _column_reference(named[side.column])
        for pair in pairs
        for side in (pair.left, pair.right)
    }


def _column_reference(column: ColumnEncoder) -> Float64Array:
    """Return the features of a column in the reference row."""
    part = np.zeros(column.width)
    if isinstance(column, CategoryEncoder):
        part[:] = 1 / max(1, column.width)
    elif isinstance(column, BooleanEncoder):
        part[0] = column.mean
    return part
