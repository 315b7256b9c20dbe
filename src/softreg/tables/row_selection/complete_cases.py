"""Rows that statistics can use: complete cases, and the number of rows without a value, by column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from softreg.models.inputs.row_keys import is_missing
from softreg.tables.columns.arrow_numpy import to_int64
from softreg.tables.columns.table_errors import TableError, pluralize, quote, quote_list, unknown_column_error
from softreg.tables.row_selection.weight_column import WeightColumn
from softreg.typing import BoolArray, Int64Array, RowNumbers
from softreg.value_text import encode_as_text

MISSING = ("drop", "impute", "error")
"""What may be done with rows that have a missing value."""
MAX_NAMED = 8
"""Most columns that a message names."""


@dataclass(frozen=True)
class ExcludedRows:
    """Rows that are not used.

    Attributes
    ----------
    rows : int
        Rows without a value in some column.
    by_column : mapping of str to int
        Rows without a value, by column.
    weightless : int
        Rows of weight zero.
    """

    rows: int
    by_column: Mapping[str, int]
    weightless: int = 0

    @property
    def counts(self) -> str:
        """The columns with missing values and their numbers of rows, most of them first."""
        order = sorted(self.by_column.items(), key=lambda pair: -pair[1])
        named = ", ".join(f"{quote(name)} in {count:,}" for name, count in order[:MAX_NAMED])
        return named + (f" and {len(order) - MAX_NAMED:,} more columns" if len(order) > MAX_NAMED else "")

    def notes(self, total: int, missing: str) -> tuple[str, ...]:
        """Return which of `total` rows are not used, in sentences."""
        notes = []
        if self.rows:
            advice = "; leaving out such a column (--drop) or --missing impute keeps more rows"
            advice = advice if missing == "drop" else ""
            notes.append(
                f"{self.rows:,} of {pluralize(total, 'row')} left out, for they lack a value: {self.counts}{advice}"
            )
        if self.weightless:
            notes.append(f"{pluralize(self.weightless, 'row')} left out, for the weight is 0")
        return tuple(notes)


def rows_without_label(table: Any, target: str, rows: RowNumbers) -> BoolArray:
    """Return a mask of the rows without a label (null, nan or blank); raise `TableError` if there is no such column."""
    if target not in table.column_names:
        raise unknown_column_error(target, table.column_names, "target column")
    try:
        encoded = encode_as_text(table.column(target))
    except TypeError:
        return np.zeros(len(rows), dtype=bool)
    absent = [is_missing(value) or not value.strip("\0 ").strip() for value in encoded.dictionary.to_pylist()]
    return np.array([*absent, True])[to_int64(encoded.indices)][rows]


def rows_with_label_and_weight(
    table: Any, target: str, every: RowNumbers, weighing: WeightColumn | None, missing: str
) -> tuple[Int64Array, ExcludedRows]:
    """Return the rows with a label and a weight above 0, and the others; raise `TableError` if none is left."""
    excluded_mask = rows_without_label(table, target, every)
    by_column = {target: int(excluded_mask.sum())} if excluded_mask.any() else {}
    weightless = np.zeros(len(every), dtype=bool)
    if weighing is not None:
        v = weighing.values[every]
        if np.isnan(v).any():
            by_column[weighing.name] = int(np.isnan(v).sum())
        excluded_mask, weightless = excluded_mask | np.isnan(v), v == 0
    excluded = ExcludedRows(int(excluded_mask.sum()), by_column, int((weightless & ~excluded_mask).sum()))
    if missing == "error":
        refuse_missing(excluded, len(every))
    used = every[~excluded_mask & ~weightless]
    if not len(used):
        raise no_complete_row_error(excluded, len(every))
    return used, excluded


def lost_classes_notes(table: Any, target: str, given: RowNumbers, used: RowNumbers) -> list[str]:
    """Return a note on classes that only rows with a missing value have; empty without any."""
    if len(given) == len(used):
        return []
    codes = to_int64(encode_as_text(table.column(target)).indices)
    lost = np.setdiff1d(codes[given], codes[used])
    names = encode_as_text(table.column(target)).dictionary
    which = quote_list(names[int(code)].as_py() for code in lost)
    return [f"no row that has all values has the label {which}: the model lacks it"] if len(lost) else []


def refuse_missing(left: ExcludedRows, total: int) -> None:
    """Raise `TableError` if there are rows without a value."""
    if left.rows:
        raise TableError(
            f"{left.rows:,} of {pluralize(total, 'row')} lack a value: {left.counts}. Leave them out with --missing "
            "drop, or impute features with --missing impute (missing in Python)."
        )


def no_complete_row_error(left: ExcludedRows, total: int) -> TableError:
    """Return the error for a table without a complete row."""
    return TableError(
        f"None of the {pluralize(total, 'row')} has a value in each column; rows without one: {left.counts}. Leave out "
        "the columns that have few values (--drop), or impute them (--missing impute)."
    )
