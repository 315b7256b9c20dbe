"""Columns of weights: sample weights of a fit, and frequency or sampling weights of statistics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from softreg.models.inference.fitted_rows import WEIGHTS
from softreg.tables.columns.row_location import WHOLE_TABLE, RowLocation
from softreg.tables.columns.table_errors import TableError, quote, unknown_column_error
from softreg.tables.schema.typed_values import read_numbers
from softreg.typing import Float64Array, RowNumbers


def weight_column(table: pa.Table, name: str, target: str, where: RowLocation = WHOLE_TABLE) -> Float64Array:
    """Return the sample weight (n,) of each row from a column.

    Parameters
    ----------
    table : pyarrow.Table
        The table.
    name : str
        Column of weights.
    target : str
        Column of labels, for messages.
    where : RowLocation
        Location of the rows, for messages.

    Returns
    -------
    array of float64 (n,)
        Weights of at least 0.

    Raises
    ------
    TableError
        If there is no such column, it is the target, or a weight is missing, no number, negative or infinite.

    Examples
    --------
    >>> weight_column(pa.table({"w": ["2", "0.5"], "y": ["a", "b"]}), "w", "y").tolist()
    [2.0, 0.5]
    """  # noqa: DOC501
    if name not in table.column_names:
        raise unknown_column_error(name, table.column_names, "column of weights")
    if name == target:
        raise TableError(f"{quote(name)} is the target; the weights of the rows are in another column.")
    weights, numeric = read_numbers(name, table.column(name))
    invalid = ~numeric | ~np.isfinite(weights) | (weights < 0)
    if invalid.any():
        row = int(invalid.argmax())
        value: Any = table.column(name)[row].as_py()
        content = "no value" if value is None or not str(value).strip() else quote(value)
        raise TableError(
            f"The column of weights {quote(name)} has {content} in {where.row(row)}; a weight says how often a row "
            "counts, so it is a finite number of at least 0. Correct it; the weight 0 leaves a row out.",
            np.flatnonzero(invalid),
        )
    return np.asarray(weights, dtype=np.float64)


def check_any_weight(weights: Float64Array, name: str) -> None:
    """Raise `TableError` where no row has a weight above 0."""
    if len(weights) and not weights.any():
        raise TableError(f"All weights in {quote(name)} are 0, so that no row counts; is it the right column?")


def effective_rows(weights: Float64Array) -> float:
    """Return Kish's effective sample size, `(sum w)^2 / sum w^2`.

    A mean of this many rows of equal weight is as precise as the weighted mean.

    Parameters
    ----------
    weights : array of float64 (n,)
        Weights.

    Returns
    -------
    float
        Effective number of rows.

    Examples
    --------
    >>> effective_rows(np.array([1.0, 1.0, 0.0])), effective_rows(np.array([2.0, 1.0]))
    (2.0, 1.8)
    """
    scaled = weights / weights.max()
    return float(scaled.sum() ** 2 / (scaled**2).sum())


@dataclass(frozen=True, eq=False)
class WeightColumn:
    """Weights of the rows of a table for statistics.

    Attributes
    ----------
    name : str
        Column of weights.
    values : array of float64 (n,)
        Weights as in the column, nan where missing.
    kind : {"frequency", "sampling"}
        A frequency weight w stands for w identical rows; a sampling weight is an inverse sampling probability.
    kind_given : bool
        Whether the user gave the kind.
    """

    name: str
    values: Float64Array
    kind: str
    kind_given: bool

    def of(self, rows: RowNumbers) -> Float64Array:
        """Return the weights of some rows; sampling weights are scaled to a mean of 1."""
        chosen = self.values[rows]
        return chosen if self.kind == "frequency" else chosen / chosen.mean()

    def note(self, rows: RowNumbers) -> str:
        """Return what kind the weights have, and the option that changes it."""
        chosen = self.values[rows]
        if self.kind == "frequency":
            note = (
                f"weights of column {quote(self.name)} are frequency weights: a row of weight w stands for w identical "
                f"rows, {chosen.sum():,.12g} in all"
            )
            advice = "if they are sampling weights (inverse probabilities), use --weight-kind sampling"
        else:
            note = (
                f"weights of column {quote(self.name)} are sampling weights (from {chosen.min():.6g} to "
                f"{chosen.max():.6g}): robust standard errors, and no likelihood"
            )
            advice = "if a weight w stands for w identical rows, use --weight-kind frequency"
        return note + ("" if self.kind_given else f"; {advice} (weight_kind in Python)")


def read_row_weights(table: Any, name: str, target: str, rows: RowNumbers, kind: str | None) -> WeightColumn:
    """Read the weights in a column of numbers; only those of `rows` are checked.

    Parameters
    ----------
    table : pyarrow.Table
        The table.
    name : str
        Column of weights.
    target : str
        Column of labels, for messages.
    rows : array of int
        Numbers of the rows that are used.
    kind : {"frequency", "sampling"} or None
        Kind of the weights; None takes whole numbers for frequency weights, and others for sampling weights.

    Returns
    -------
    WeightColumn
        Weights of all rows.

    Raises
    ------
    TableError
        If there is no such column, it is the target, or a weight is no number, negative or infinite.

    Examples
    --------
    >>> import pyarrow as pa
    >>> table = pa.table({"count": [3, 1, 2], "y": ["a", "b", "a"]})
    >>> read_row_weights(table, "count", "y", np.arange(3), None).kind
    'frequency'
    """  # noqa: DOC501
    if name not in table.column_names:
        raise unknown_column_error(name, table.column_names, "column of weights")
    if name == target:
        raise TableError(f"{quote(name)} is the target; weights are in another column.")
    if kind is not None and kind not in WEIGHTS:
        raise TableError(f"The kind of weights is {kind!r}; expected 'frequency' or 'sampling'.")
    try:
        values, numeric = read_numbers(name, table.column(name))
    except TableError:
        column_type = table.column(name).type
        raise TableError(
            f"The column of weights {quote(name)} has the type {column_type}; weights are numbers."
        ) from None
    values = np.array(values, dtype=np.float64)
    invalid = np.zeros(len(values), dtype=bool)
    invalid[rows] = (~numeric | np.isinf(values) | (values < 0))[rows]
    if invalid.any():
        row = int(invalid.argmax())
        raise TableError(
            f"The column of weights {quote(name)} has {quote(table.column(name)[row].as_py())} in row {row + 1:,}; "
            "weights are finite numbers of at least 0. Correct it, or leave the field empty to leave the row out."
        )
    known = values[rows][~np.isnan(values[rows])]
    if not (known > 0).any():
        raise TableError(f"The column of weights {quote(name)} has no weight above 0, so no row counts.")
    weight_kind = kind or ("frequency" if (known == np.round(known)).all() else "sampling")
    return WeightColumn(name, values, weight_kind, kind is not None)
