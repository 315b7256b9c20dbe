"""Encoder of a category as one feature for each level (one-hot), and its fitter."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from softreg.tables.columns.arrow_numpy import number_array, to_float64
from softreg.tables.columns.column_values import Levels, decode_dictionary
from softreg.tables.columns.row_location import RowLocation
from softreg.tables.columns.table_errors import TableError, quote, quote_list
from softreg.tables.columns.unseen_values import MAX_EXAMPLES, UnseenValues
from softreg.tables.encode.column_encoder import Entry
from softreg.tables.encode.rare_levels import LevelCounter
from softreg.tables.schema.label_types import TEXT, label_type
from softreg.tables.schema.typed_values import read_levels
from softreg.typing import BoolArray, Codes
from softreg.value_text import TextIndex, unify_spellings

_EXACT = {"halffloat": 2.0**11, "float": 2.0**24, "double": 2.0**53}
"""Integers below these are exact in Arrow's types of floats."""


@dataclass(frozen=True)
class CategoryEncoder:
    """One-hot encoder of a category: one feature for each frequent level of training.

    Levels that are too rare share one feature, which unseen levels have as well; without pooled levels, an unseen level
    has no feature. A missing value is a level of its own where training had missing values, otherwise an unseen level.

    Attributes
    ----------
    name : str
        Column.
    levels : tuple of str
        Levels with a feature of their own, sorted.
    missing : bool
        Whether training had missing values.
    pooled : int
        Number of rare levels that share a feature.
    """

    name: str
    levels: tuple[str, ...]
    missing: bool
    pooled: int = 0
    rare: tuple[str, ...] = ()
    """The pooled levels, where they are at most `level_counts.MAX_FEATURES`."""
    numbers: bool = False
    """Whether training had a numeric type, so that any text of an equal number is the level."""

    @property
    def features(self) -> tuple[str, ...]:
        """`name=level` for each level; those of rare and missing values come last."""
        named = tuple(f"{self.name}={level}" for level in self.levels)
        if self.pooled:
            named += (f"{self.name}={self._unused_name('rare')}",)
        return (*named, f"{self.name}={self._unused_name('missing')}") if self.missing else named

    @property
    def width(self) -> int:
        """The number of levels, plus one each for rare and for missing values."""
        return len(self.levels) + (self.pooled > 0) + self.missing

    @property
    def remark(self) -> str:
        """The number of pooled levels in words; empty where there are none."""
        return f"{self.pooled:,} rare levels share a feature" if self.pooled else ""

    def _unused_name(self, word: str) -> str:
        return f"({word})" if word in self.levels else word

    @cached_property
    def _known(self) -> TextIndex:
        return TextIndex(self.levels)

    def entries(self, column: pa.ChunkedArray, where: RowLocation, unseen: UnseenValues | None = None) -> list[Entry]:
        """Return one entry a row; rows of levels that training did not have are counted in `unseen`.

        Parameters
        ----------
        column : pyarrow.ChunkedArray
            Cells (n,).
        where : RowLocation
            Location of the rows, for messages.
        unseen : UnseenValues, optional
            Receives the rows of unseen levels.

        Returns
        -------
        list of Entry
            A single entry, whose value is 1.

        Raises
        ------
        TableError
            If a column of another type has none of the levels, or a float may be a rounded integer of training.
        """
        rounded = self.invalid_cells(column)
        if rounded.any():
            bad = int(np.argmax(rounded))
            cell = decode_dictionary(column)[bad]
            raise TableError(
                f"Column {quote(self.name)} held integers in training that the type {cell.type} rounds, and "
                f"{where.row(bad)} has {cell.as_py():.17g}, of which the last digits may be lost. Write the column as "
                "integers or as text, as in training."
            )
        rare_feature = len(self.levels) if self.pooled else -1
        missing_feature = len(self.levels) + (self.pooled > 0) if self.missing else rare_feature
        cells = read_levels(self.name, column)
        level_index = self._known.find(cells.levels, typed=self.numbers or label_type(column.type) != TEXT)
        codes = cells.codes
        other_type = cells.storage == "boolean" or (cells.storage == "number" and not self._known.numeric)
        other_type = other_type and bool(self.levels)
        if other_type and (codes >= 0).any() and (level_index[codes[codes >= 0]] < 0).all():
            raise TableError(
                f"Column {quote(self.name)} has the type {column.type} here, and none of its values "
                f"({quote_list(cells.levels[:3].to_pylist())}) was seen in training, where it held words such as "
                f"{quote_list(self.levels[:3])}. Write it as it was in training."
            )
        if unseen is not None:
            self._count_unseen(cells, level_index, unseen)
        return [
            (
                np.append(np.where(level_index < 0, rare_feature, level_index), missing_feature)[codes],
                np.ones(len(codes)),
            )
        ]

    def invalid_cells(self, column: pa.ChunkedArray) -> BoolArray:
        """Return a mask (n,) of floats so large that an integer level of training rounds to them."""
        column = decode_dictionary(column)
        exact = _EXACT.get(str(column.type))
        if exact is None or not any(_is_rounded(level, column.type) for level in (*self.levels, *self.rare)):
            return np.zeros(len(column), dtype=bool)
        return np.abs(to_float64(pc.cast(column, pa.float64()))) >= exact

    def _count_unseen(self, cells: Levels, level_index: Codes, unseen: UnseenValues) -> None:
        """Count the rows of levels that training did not have."""
        unknown = np.flatnonzero(level_index < 0)
        if unknown.size and self.rare:
            unknown = unknown[
                self._rare.find(cells.levels.take(number_array(unknown)), typed=self.numbers or cells.storage != "text")
                < 0
            ]
        counts = np.bincount(cells.codes + 1, minlength=len(level_index) + 1)
        missing = 0 if self.missing else int(counts[0])
        unknown = unknown[counts[1:][unknown] > 0]
        if unknown.size or missing:
            gets = "the feature of rare levels" if self.pooled else "no feature of this column"
            unseen.add(
                self.name,
                int(counts[1:][unknown].sum()),
                (cells.levels[int(at)].as_py() for at in unknown[:MAX_EXAMPLES]),
                missing=missing,
                feature=f"such rows get {gets}",
                certain=not self.pooled or bool(self.rare),
            )

    @cached_property
    def _rare(self) -> TextIndex:
        return TextIndex(self.rare)

    def to_state(self) -> dict[str, Any]:
        """Return the encoder as a JSON-serializable dict; `from_state` reads it."""
        return {
            "code": "category", "name": self.name, "levels": list(self.levels), "missing": self.missing,
            "pooled": self.pooled, "rare": list(self.rare), "numbers": self.numbers,
        }  # fmt: skip


def _is_rounded(level: str, kind: pa.DataType) -> bool:
    """Return True if a level is a whole number that this float type cannot represent."""
    if not (len(level) > 3 and level.removeprefix("-").isdecimal() and level.isascii()):
        return False
    if len(level) > len(str(2**63)):
        return False
    with np.errstate(over="ignore"):
        near = float(kind.to_pandas_dtype()(int(level)))
    return not math.isfinite(near) or int(near) != int(level)


class CategoryFitter:
    """Fitter of a `CategoryEncoder`: counts levels in bounded memory."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.levels = LevelCounter()
        self.missing = 0
        self.numbers = False

    def partial_fit(self, column: pa.ChunkedArray, where: RowLocation) -> None:
        """Count the levels of one batch."""
        cells = read_levels(self.name, column)
        self.numbers = label_type(column.type) != TEXT
        counts = np.bincount(cells.codes + 1, minlength=len(cells.levels) + 1)
        self.missing += int(counts[0])
        self.levels.add(cells.levels.to_pylist(), counts[1:])

    def merge(self, later: CategoryFitter) -> None:
        """Add the counts of the rows that follow."""
        self.levels.update(later.levels)
        self.missing += later.missing
        self.numbers |= later.numbers

    def encoder(self) -> CategoryEncoder:
        """Return the encoder; different spellings of equal numbers or booleans (1 and 1.0) are one level."""
        seen = list(self.levels.counts)
        self.levels.merge(unify_spellings(seen, numbers=True))
        levels, pooled = self.levels.frequent_levels()
        rare = self.levels.rare_levels(levels) if pooled else ()
        return CategoryEncoder(self.name, levels, self.missing > 0, pooled, rare, self.numbers)
