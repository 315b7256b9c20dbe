"""Which rows of a table statistics can use: complete cases, and how many rows lack a value, by column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from softreg.models.keys import is_missing
from softreg.spelling import coded
from softreg.tables.arrays import integers
from softreg.tables.errors import TableError, no_such_column, plural, shown

MISSING = ("drop", "impute", "error")
"""What may be done with rows that have a missing value."""
NAMED = 8
"""Columns that are named in a message, at most."""


@dataclass(frozen=True)
class LeftOut:
    """Rows that are not used: how many lack a value in some column, by column, and how many have a weight of zero."""

    rows: int
    by_column: Mapping[str, int]
    weightless: int = 0

    @property
    def counts(self) -> str:
        """The columns and how many rows lack a value there, most of them first."""
        order = sorted(self.by_column.items(), key=lambda pair: -pair[1])
        named = ", ".join(f"{shown(name)} in {count:,}" for name, count in order[:NAMED])
        return named + (f" and {len(order) - NAMED:,} more columns" if len(order) > NAMED else "")

    def notes(self, total: int, missing: str) -> tuple[str, ...]:
        """What was left out of `total` rows, in sentences."""
        said = []
        if self.rows:
            way = "; leaving out such a column (--drop) or --missing impute keeps more rows"
            way = way if missing == "drop" else ""
            said.append(f"{self.rows:,} of {plural(total, 'row')} left out, for they lack a value: {self.counts}{way}")
        if self.weightless:
            said.append(f"{plural(self.weightless, 'row')} left out, for the weight is 0")
        return tuple(said)


def without_target(table: Any, target: str, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of these rows have no label: null, nan, or text that is empty or blank.

    Raises `TableError` where there is no such column. A type that has no text is left to `labels`, which refuses it.
    """
    if target not in table.column_names:
        raise no_such_column(target, table.column_names, "target column")
    try:
        encoded = coded(table.column(target))
    except TypeError:
        return np.zeros(len(rows), dtype=bool)
    absent = [is_missing(value) or not value.strip("\0 ").strip() for value in encoded.dictionary.to_pylist()]
    return np.array([*absent, True])[integers(encoded.indices)][rows]


def refuse_missing(left: LeftOut, total: int) -> None:
    """Raise `TableError` where missing="error" meets rows that lack a value."""
    if left.rows:
        raise TableError(
            f"{left.rows:,} of {plural(total, 'row')} lack a value: {left.counts}. Leave them out with --missing drop, "
            "or impute features with --missing impute (missing in Python)."
        )


def refuse_nothing_left(left: LeftOut, total: int) -> TableError:
    """The error where no row is complete."""
    return TableError(
        f"None of the {plural(total, 'row')} has a value in each column; rows without one: {left.counts}. Leave out "
        "the columns that have few values (--drop), or impute them (--missing impute)."
    )
