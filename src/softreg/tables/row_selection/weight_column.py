"""Sample weights that a column of a table holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from softreg.models.inference.fitted_rows import WEIGHTS
from softreg.tables.columns.errors import TableError, quote, unknown_column_error
from softreg.tables.columns.row_location import WHOLE_TABLE, RowLocation
from softreg.tables.schema.typed_values import read_numbers
from softreg.typing import Float64Array, RowNumbers


def weight_column(table: pa.Table, name: str, target: str, where: RowLocation = WHOLE_TABLE) -> Float64Array:
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


def check_any_weight(weights: Float64Array, name: str) -> None:
    """Raise `TableError` where no row has a weight above 0."""
    if len(weights) and not weights.any():
        raise TableError(f"All weights in {quote(name)} are 0, so that no row counts; is it the right column?")


def effective_rows(weights: Float64Array) -> float:
    """Kish's effective number of rows, `(sum w)^2 / sum w^2`: rows of equal weight that give as precise a mean.

    Example:
        >>> effective_rows(np.array([1.0, 1.0, 0.0])), effective_rows(np.array([2.0, 1.0]))
        (2.0, 1.8)
    """
    scaled = weights / weights.max()
    return float(scaled.sum() ** 2 / (scaled**2).sum())


@dataclass(frozen=True, eq=False)
class RowWeights:
    """The weights of the rows of a table.

    `values` (n,) are as they stand in the column, nan where missing. `kind`: "frequency" or "sampling". `asked`:
    whether the kind was asked for.
    """

    name: str
    values: Float64Array
    kind: str
    asked: bool

    def of(self, rows: RowNumbers) -> Float64Array:
        """The weights of some rows, (len(rows),); sampling weights are scaled to a mean of 1, which changes no estimate
        and no robust error, and makes the penalty of Firth weigh as it does without weights."""
        chosen = self.values[rows]
        return chosen if self.kind == "frequency" else chosen / chosen.mean()

    def note(self, rows: RowNumbers) -> str:
        """What the weights were taken for, and the option that changes it."""
        chosen = self.values[rows]
        if self.kind == "frequency":
            said = (
                f"weights of column {quote(self.name)} are frequency weights: a row of weight w stands for w identical "
                f"rows, {chosen.sum():,.12g} in all"
            )
            way = "if they are sampling weights (inverse probabilities), use --weight-kind sampling"
        else:
            said = (
                f"weights of column {quote(self.name)} are sampling weights (from {chosen.min():.6g} to "
                f"{chosen.max():.6g}): robust standard errors, and no likelihood"
            )
            way = "if a weight w stands for w identical rows, use --weight-kind frequency"
        return said + ("" if self.asked else f"; {way} (weight_kind in Python)")


def read_row_weights(table: Any, name: str, target: str, rows: RowNumbers, kind: str | None) -> RowWeights:
    """The weights in a column of numbers; of the rows that are not among `rows`, nothing is checked.

    `kind`: "frequency" or "sampling"; None takes weights that are whole numbers for frequencies, and others for
    sampling weights. Raises `TableError` for a column that is not there, for the target, and for a weight that is no
    number, negative or infinite, with its row.

    Example:
        >>> import pyarrow as pa
        >>> table = pa.table({"count": [3, 1, 2], "y": ["a", "b", "a"]})
        >>> read_row_weights(table, "count", "y", np.arange(3), None).kind
        'frequency'
    """
    if name not in table.column_names:
        raise unknown_column_error(name, table.column_names, "column of weights")
    if name == target:
        raise TableError(f"{quote(name)} is the target; weights are in another column.")
    if kind is not None and kind not in WEIGHTS:
        raise TableError(f"The kind of weights is {kind!r}; expected 'frequency' or 'sampling'.")
    try:
        values, numeric = read_numbers(name, table.column(name))
    except TableError:
        kind_here = table.column(name).type
        raise TableError(
            f"The column of weights {quote(name)} has the type {kind_here}; weights are numbers."
        ) from None
    values = np.array(values, dtype=np.float64)
    bad = np.zeros(len(values), dtype=bool)
    bad[rows] = (~numeric | np.isinf(values) | (values < 0))[rows]
    if bad.any():
        row = int(bad.argmax())
        raise TableError(
            f"The column of weights {quote(name)} has {quote(table.column(name)[row].as_py())} in row {row + 1:,}; "
            "weights are finite numbers of at least 0. Correct it, or leave the field empty to leave the row out."
        )
    known = values[rows][~np.isnan(values[rows])]
    if not (known > 0).any():
        raise TableError(f"The column of weights {quote(name)} has no weight above 0, so no row counts.")
    found = kind or ("frequency" if (known == np.round(known)).all() else "sampling")
    return RowWeights(name, values, found, kind is not None)
