"""Row weights from a column of a table: counts of identical rows, or inverse sampling probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from softreg.models.inference.fitted_rows import WEIGHTS
from softreg.tables.columns.errors import TableError, quote, unknown_column_error
from softreg.tables.schema.typed_values import read_numbers

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RowWeights:
    """The weights of the rows of a table.

    `values` (n,) are as they stand in the column, nan where missing. `kind`: "frequency" or "sampling". `asked`:
    whether the kind was asked for.
    """

    name: str
    values: Floats
    kind: str
    asked: bool

    def of(self, rows: NDArray[np.int64]) -> Floats:
        """The weights of some rows, (len(rows),); sampling weights are scaled to a mean of 1, which changes no estimate
        and no robust error, and makes the penalty of Firth weigh as it does without weights."""
        chosen = self.values[rows]
        return chosen if self.kind == "frequency" else chosen / chosen.mean()

    def note(self, rows: NDArray[np.int64]) -> str:
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


def row_weights_of(table: Any, name: str, target: str, rows: NDArray[np.int64], kind: str | None) -> RowWeights:
    """The weights in a column of numbers; of the rows that are not among `rows`, nothing is checked.

    `kind`: "frequency" or "sampling"; None takes weights that are whole numbers for frequencies, and others for
    sampling weights. Raises `TableError` for a column that is not there, for the target, and for a weight that is no
    number, negative or infinite, with its row.

    Example:
        >>> import pyarrow as pa
        >>> table = pa.table({"count": [3, 1, 2], "y": ["a", "b", "a"]})
        >>> row_weights_of(table, "count", "y", np.arange(3), None).kind
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
