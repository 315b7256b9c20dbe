"""How one column of booleans or words becomes features: its cells on one side, features on the other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from softreg.spelling import TextIndex, unify_spellings
from softreg.tables.columns.arrow_numpy import number_array as integer_array
from softreg.tables.columns.arrow_numpy import to_float64
from softreg.tables.columns.column_values import Levels, decode_dictionary
from softreg.tables.columns.errors import TableError, quote, quote_list
from softreg.tables.columns.row_location import RowLocation
from softreg.tables.columns.unseen_values import MAX_EXAMPLES, UnseenValues
from softreg.tables.encode.column_encoder import Entry
from softreg.tables.encode.level_counts import LevelCounter
from softreg.tables.schema.label_types import TEXT, label_type
from softreg.tables.schema.typed_values import read_levels
from softreg.typing import BoolArray, Codes

_EXACT = {"halffloat": 2.0**11, "float": 2.0**24, "double": 2.0**53}
"""Up to which whole numbers Arrow's types of floats hold each of them."""


@dataclass(frozen=True)
class CategoryEncoder:
    """One feature a level seen in training, 1 where the row has it.

    `pooled` levels that are too rare for a feature of their own share one, which stands for levels never seen as well;
    without any, an unseen level has no feature. Missing is a level of its own if training saw it, otherwise an unseen
    one.
    """

    name: str
    levels: tuple[str, ...]
    missing: bool
    pooled: int = 0
    rare: tuple[str, ...] = ()
    """The levels that are pooled, where they are at most `learning.MOST`; known, but without a feature of their own."""
    numbers: bool = False
    """Whether the column had a type of numbers in training: then any text of the same number is the level."""

    @property
    def features(self) -> tuple[str, ...]:
        """`name=level` for each level; the levels of rare and of missing values come last."""
        named = tuple(f"{self.name}={level}" for level in self.levels)
        if self.pooled:
            named += (f"{self.name}={self._free('rare')}",)
        return (*named, f"{self.name}={self._free('missing')}") if self.missing else named

    @property
    def width(self) -> int:
        """The number of levels, and one more each for rare and for missing ones."""
        return len(self.levels) + (self.pooled > 0) + self.missing

    @property
    def remark(self) -> str:
        """How many levels were pooled."""
        return f"{self.pooled:,} rare levels share a feature" if self.pooled else ""

    def _free(self, word: str) -> str:
        return f"({word})" if word in self.levels else word

    @cached_property
    def _known(self) -> TextIndex:
        return TextIndex(self.levels)

    def entries(self, column: pa.ChunkedArray, where: RowLocation, unseen: UnseenValues | None = None) -> list[Entry]:
        """One entry a row; rows of levels that training did not have are counted in `unseen`.

        Raises `TableError` where a column of another type has none of the levels, and for a float that may be rounded.
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
        rare = len(self.levels) if self.pooled else -1
        none = len(self.levels) + (self.pooled > 0) if self.missing else rare
        cells = read_levels(self.name, column)
        place = self._known.find(cells.levels, typed=self.numbers or label_type(column.type) != TEXT)
        codes = cells.codes
        strange = cells.storage == "boolean" or (cells.storage == "number" and not self._known.numeric)
        strange = strange and bool(self.levels)
        if strange and (codes >= 0).any() and (place[codes[codes >= 0]] < 0).all():
            raise TableError(
                f"Column {quote(self.name)} has the type {column.type} here, and none of its values "
                f"({quote_list(cells.levels[:3].to_pylist())}) was seen in training, where it held words such as "
                f"{quote_list(self.levels[:3])}. Write it as it was in training."
            )
        if unseen is not None:
            self._count(cells, place, unseen)
        return [(np.append(np.where(place < 0, rare, place), none)[codes], np.ones(len(codes)))]

    def invalid_cells(self, column: pa.ChunkedArray) -> BoolArray:
        """Which cells are floats so large that integers are rounded to them, where training had such integers."""
        column = decode_dictionary(column)
        exact = _EXACT.get(str(column.type))
        if exact is None or not any(_is_rounded(level, column.type) for level in (*self.levels, *self.rare)):
            return np.zeros(len(column), dtype=bool)
        return np.abs(to_float64(pc.cast(column, pa.float64()))) >= exact

    def _count(self, cells: Levels, place: Codes, unseen: UnseenValues) -> None:
        """Count the rows whose level is none of training."""
        lost = np.flatnonzero(place < 0)
        if lost.size and self.rare:
            lost = lost[
                self._rare.find(cells.levels.take(integer_array(lost)), typed=self.numbers or cells.storage != "text")
                < 0
            ]
        counts = np.bincount(cells.codes + 1, minlength=len(place) + 1)
        missing = 0 if self.missing else int(counts[0])
        lost = lost[counts[1:][lost] > 0]
        if lost.size or missing:
            gets = "the feature of rare levels" if self.pooled else "no feature of this column"
            unseen.add(
                self.name,
                int(counts[1:][lost].sum()),
                (cells.levels[int(at)].as_py() for at in lost[:MAX_EXAMPLES]),
                missing=missing,
                feature=f"such rows get {gets}",
                certain=not self.pooled or bool(self.rare),
            )

    @cached_property
    def _rare(self) -> TextIndex:
        return TextIndex(self.rare)

    def to_state(self) -> dict[str, Any]:
        """The code as strict JSON."""
        return {
            "code": "category", "name": self.name, "levels": list(self.levels), "missing": self.missing,
            "pooled": self.pooled, "rare": list(self.rare), "numbers": self.numbers,
        }  # fmt: skip


def _is_rounded(level: str, kind: pa.DataType) -> bool:
    """Whether a level is a whole number that a type of floats does not hold.

    Example:
        >>> _is_rounded("9007199254740993", pa.float64()), _is_rounded("9007199254740992", pa.float64())
        (True, False)
    """
    if not (len(level) > 3 and level.removeprefix("-").isdecimal() and level.isascii()):
        return False
    if len(level) > len(str(2**63)):
        return False
    with np.errstate(over="ignore"):
        near = float(kind.to_pandas_dtype()(int(level)))
    return not math.isfinite(near) or int(near) != int(level)


class CategoryFitter:
    """The levels of a category."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.levels = LevelCounter()
        self.missing = 0
        self.numbers = False

    def partial_fit(self, column: pa.ChunkedArray, where: RowLocation) -> None:
        """Take one batch."""
        cells = read_levels(self.name, column)
        self.numbers = label_type(column.type) != TEXT
        counts = np.bincount(cells.codes + 1, minlength=len(cells.levels) + 1)
        self.missing += int(counts[0])
        self.levels.add(cells.levels.to_pylist(), counts[1:])

    def encoder(self) -> CategoryEncoder:
        """One feature a level that is frequent enough; 1 and 1.0, or true and True, of several writers are one."""
        seen = list(self.levels.counts)
        self.levels.merge(unify_spellings(seen, numbers=True))
        levels, pooled = self.levels.best()
        rare = self.levels.rare(levels) if pooled else ()
        return CategoryEncoder(self.name, levels, self.missing > 0, pooled, rare, self.numbers)
