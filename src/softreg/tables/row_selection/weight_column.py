"""Sample weights that a column of a table holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from softreg.tables.columns.errors import TableError, quote, unknown_column_error
from softreg.tables.columns.row_location import WHOLE_TABLE, RowLocation
from softreg.tables.schema.typed_values import read_numbers

Weights = NDArray[np.float64]


def weight_column(table: pa.Table, name: str, target: str, where: RowLocation = WHOLE_TABLE) -> Weights:
    """The weight of each row (n,), from the column `name`: how often the row counts.

    Raises `TableError` where there is no such column, where it is the target, and for a row whose weight is missing, no
    number, negative or infinite.

    Example:
        >>> weight_column(pa.table({"w": ["2", "0.5"], "y": ["a", "b"]}), "w", "y").tolist()
        [2.0, 0.5]
    """
    if name not in table.column_names:
        raise unknown_column_error(name, table.column_names, "column of weights")
    if name == target:
        raise TableError(f"{quote(name)} is the target; the weights of the rows are in another column.")
    weights, read = read_numbers(name, table.column(name))
    bad = ~read | ~np.isfinite(weights) | (weights < 0)
    if bad.any():
        row = int(bad.argmax())
        value: Any = table.column(name)[row].as_py()
        seen = "no value" if value is None or not str(value).strip() else quote(value)
        raise TableError(
            f"The column of weights {quote(name)} has {seen} in {where.row(row)}; a weight says how often a row "
            "counts, so it is a finite number of at least 0. Correct it; the weight 0 leaves a row out.",
            np.flatnonzero(bad),
        )
    return np.asarray(weights, dtype=np.float64)


def check_some(weights: Weights, name: str) -> None:
    """Raise `TableError` where no row has a weight above 0."""
    if len(weights) and not weights.any():
        raise TableError(f"All weights in {quote(name)} are 0, so that no row counts; is it the right column?")


def effective_rows(weights: Weights) -> float:
    """Kish's effective number of rows, `(sum w)^2 / sum w^2`: rows of equal weight that give as precise a mean.

    Example:
        >>> effective_rows(np.array([1.0, 1.0, 0.0])), effective_rows(np.array([2.0, 1.0]))
        (2.0, 1.8)
    """
    scaled = weights / weights.max()
    return float(scaled.sum() ** 2 / (scaled**2).sum())
