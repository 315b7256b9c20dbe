"""Which rows of a table statistics can use: complete cases, and how many rows lack a value, by column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from softreg.models.inputs.row_keys import is_missing
from softreg.spelling import encode_as_text
from softreg.tables.columns.arrow_numpy import to_int64
from softreg.tables.columns.errors import TableError, pluralize, quote, quote_list, unknown_column_error
from softreg.tables.row_selection.weight_column import RowWeights
from softreg.typing import BoolArray, Int64Array, RowNumbers

MISSING = ("drop", "impute", "error")
"""What may be done with rows that have a missing value."""
MAX_NAMED = 8
"""Columns that are named in a message, at most."""


@dataclass(frozen=True)
class ExcludedRows:
    """Rows that are not used: how many lack a value in some column, by column, and how many have a weight of zero."""

    rows: int
    by_column: Mapping[str, int]
    weightless: int = 0

    @property
    def counts(self) -> str:
        """The columns and how many rows lack a value there, most of them first."""
        order = sorted(self.by_column.items(), key=lambda pair: -pair[1])
        named = ", ".join(f"{quote(name)} in {count:,}" for name, count in order[:MAX_NAMED])
        return named + (f" and {len(order) - MAX_NAMED:,} more columns" if len(order) > MAX_NAMED else "")

    def notes(self, total: int, missing: str) -> tuple[str, ...]:
        """What was left out of `total` rows, in sentences."""
        said = []
        if self.rows:
            way = "; leaving out such a column (--drop) or --missing impute keeps more rows"
            way = way if missing == "drop" else ""
            said.append(
                f"{self.rows:,} of {pluralize(total, 'row')} left out, for they lack a value: {self.counts}{way}"
            )
        if self.weightless:
            said.append(f"{pluralize(self.weightless, 'row')} left out, for the weight is 0")
        return tuple(said)


def rows_without_label(table: Any, target: str, rows: RowNumbers) -> BoolArray:
    """Which of these rows have no label: null, nan, or text that is empty or blank.

    Raises `TableError` where there is no such column. A type that has no text is left to `labels`, which refuses it.
    """
    if target not in table.column_names:
        raise unknown_column_error(target, table.column_names, "target column")
    try:
        encoded = encode_as_text(table.column(target))
    except TypeError:
        return np.zeros(len(rows), dtype=bool)
    absent = [is_missing(value) or not value.strip("\0 ").strip() for value in encoded.dictionary.to_pylist()]
    return np.array([*absent, True])[to_int64(encoded.indices)][rows]


def rows_with_label_and_weight(
    table: Any, target: str, every: RowNumbers, weighing: RowWeights | None, missing: str
) -> tuple[Int64Array, ExcludedRows]:
    """The rows among `every` that have a label and a weight above 0, and how many have not.

    Raises `TableError` where no row is left, and, with missing="error", for a row without a label or a weight.
    """
    gone = rows_without_label(table, target, every)
    gaps = {target: int(gone.sum())} if gone.any() else {}
    weightless = np.zeros(len(every), dtype=bool)
    if weighing is not None:
        v = weighing.values[every]
        if np.isnan(v).any():
            gaps[weighing.name] = int(np.isnan(v).sum())
        gone, weightless = gone | np.isnan(v), v == 0
    left = ExcludedRows(int(gone.sum()), gaps, int((weightless & ~gone).sum()))
    if missing == "error":
        refuse_missing(left, len(every))
    used = every[~gone & ~weightless]
    if not len(used):
        raise no_complete_row_error(left, len(every))
    return used, left


def lost_classes_notes(table: Any, target: str, given: RowNumbers, used: RowNumbers) -> list[str]:
    """A sentence on the classes that only rows with a missing value have; none where there is no such class."""
    if len(given) == len(used):
        return []
    codes = to_int64(encode_as_text(table.column(target)).indices)
    lost = np.setdiff1d(codes[given], codes[used])
    names = encode_as_text(table.column(target)).dictionary
    which = quote_list(names[int(code)].as_py() for code in lost)
    return [f"no row that has all values has the label {which}: the model lacks it"] if len(lost) else []


def refuse_missing(left: ExcludedRows, total: int) -> None:
    """Raise `TableError` where missing="error" meets rows that lack a value."""
    if left.rows:
        raise TableError(
            f"{left.rows:,} of {pluralize(total, 'row')} lack a value: {left.counts}. Leave them out with --missing "
            "drop, or impute features with --missing impute (missing in Python)."
        )


def no_complete_row_error(left: ExcludedRows, total: int) -> TableError:
    """The error where no row is complete."""
    return TableError(
        f"None of the {pluralize(total, 'row')} has a value in each column; rows without one: {left.counts}. Leave out "
        "the columns that have few values (--drop), or impute them (--missing impute)."
    )
