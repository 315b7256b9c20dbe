"""How one column becomes features: its cells on one side, entries (feature, value) on the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from softreg.tables.cells import Dates, Levels, Numbers, parse_numbers, pick, read_column
from softreg.tables.errors import TableError, listed, shown
from softreg.tables.kinds import BOOLEAN_WORDS, infinite

# Features of each row and their values, both of shape (n,); -1 is "no feature".
Entry = tuple[NDArray[np.int64], NDArray[np.float64]]
Rows = NDArray[np.int64] | None


class Code(Protocol):
    """How one column becomes features."""

    @property
    def name(self) -> str:
        """The name of the column."""

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features, in order."""

    def entries(self, column: pa.ChunkedArray, rows: Rows) -> list[Entry]:
        """Features and values of each row."""

    def to_state(self) -> dict[str, Any]:
        """The code as strict JSON."""


@dataclass(frozen=True)
class NumberCode:
    """A number x becomes z = (x - mean) / scale; missing is z = 0 and, if training saw it, an indicator."""

    name: str
    mean: float
    scale: float
    missing: bool

    @property
    def features(self) -> tuple[str, ...]:
        """The column's name, and the indicator's."""
        return (self.name, f"{self.name}=missing") if self.missing else (self.name,)

    def entries(self, column: pa.ChunkedArray, rows: Rows) -> list[Entry]:
        """Standardised numbers; `TableError` where a cell is no finite number."""
        x = numbers_of(self.name, column, rows)
        with np.errstate(over="ignore"):
            z = (x - self.mean) / self.scale
        far = np.flatnonzero(np.isinf(z))
        if far.size:
            raise TableError(
                f"Column {shown(self.name)} has {x[far[0]]:.6g} in row {_row(far[0], rows):,}, too far from "
                f"the training rows (mean {self.mean:.6g}, standard deviation {self.scale:.6g}) to be "
                "computed with; correct it."
            )
        return _filled(z, 0.0, self.missing)

    def to_state(self) -> dict[str, Any]:
        """The code as strict JSON; floats are exact."""
        return {
            "code": "number",
            "name": self.name,
            "mean": self.mean,
            "scale": self.scale,
            "missing": self.missing,
        }


@dataclass(frozen=True)
class BooleanCode:
    """False is 0, true 1; missing is the share of true in training and, if training saw it, an indicator."""

    name: str
    words: tuple[str, str]
    mean: float
    missing: bool

    @property
    def features(self) -> tuple[str, ...]:
        """`name=yes`, by the word for true, and the indicator's name."""
        first = f"{self.name}={self.words[1]}"
        return (first, f"{self.name}=missing") if self.missing else (first,)

    def entries(self, column: pa.ChunkedArray, rows: Rows) -> list[Entry]:
        """Zeros and ones; `TableError` for a word that is neither the one for false nor the one for true."""
        return _filled(booleans_of(self.name, self.words, column, rows), self.mean, self.missing)

    def to_state(self) -> dict[str, Any]:
        """The code as strict JSON."""
        words = list(self.words)
        return {
            "code": "boolean",
            "name": self.name,
            "words": words,
            "mean": self.mean,
            "missing": self.missing,
        }


@dataclass(frozen=True)
class CategoryCode:
    """One feature a level seen in training, 1 where the row has it; an unseen level has none of them.

    Missing is a level of its own if training saw it, otherwise an unseen one. All levels are kept, as the
    penalty, not the encoding, decides between equivalent weights.
    """

    name: str
    levels: tuple[str, ...]
    missing: bool

    @property
    def features(self) -> tuple[str, ...]:
        """`name=level` for each level; the level of missing values comes last."""
        named = tuple(f"{self.name}={level}" for level in self.levels)
        if not self.missing:
            return named
        return (*named, f"{self.name}={'(missing)' if 'missing' in self.levels else 'missing'}")

    def entries(self, column: pa.ChunkedArray, rows: Rows) -> list[Entry]:
        """One entry a row; `TableError` where a column of another type has none of the levels."""
        none = len(self.levels) if self.missing else -1
        cells = self._levels(column)
        known = pa.array(self.levels, pa.large_string())
        place = np.asarray(pc.fill_null(pc.index_in(cells.levels, value_set=known), -1), dtype=np.int64)
        codes = pick(cells.codes, rows)
        if cells.storage in ("number", "boolean") and (codes >= 0).any() and (place[codes[codes >= 0]] < 0).all():
            raise TableError(
                f"Column {shown(self.name)} has the type {column.type} here, and none of its values "
                f"({listed(cells.levels[:3].to_pylist())}) was seen in training, where it held words such as "
                f"{listed(self.levels[:3])}. Write it as it was in training."
            )
        return [(np.append(place, none)[codes], np.ones(len(codes)))]

    def _levels(self, column: pa.ChunkedArray) -> Levels:
        cells = read_column(column, self.name)
        if isinstance(cells, Numbers):  # a whole number counts as its digits, as it would in a CSV file
            return Levels(*_distinct(pc.cast(column, pa.large_string())), "number")
        if isinstance(cells, Dates):
            raise retyped(self.name, "words", f"dates ({cells.first})")
        return cells

    def to_state(self) -> dict[str, Any]:
        """The code as strict JSON."""
        return {"code": "category", "name": self.name, "levels": list(self.levels), "missing": self.missing}


def code_from_state(state: dict[str, Any]) -> Code:
    """The code that `to_state` wrote.

    Example:
        >>> code_from_state(NumberCode("age", 0.1, 2.0, False).to_state())
        NumberCode(name='age', mean=0.1, scale=2.0, missing=False)
    """
    name, missing = str(state["name"]), bool(state["missing"])
    match state["code"]:
        case "number":
            return NumberCode(name, float(state["mean"]), float(state["scale"]), missing)
        case "boolean":
            false, true = state["words"]
            return BooleanCode(name, (str(false), str(true)), float(state["mean"]), missing)
        case "category":
            return CategoryCode(name, tuple(str(level) for level in state["levels"]), missing)
        case other:
            raise ValueError(f"the model has a column coded as {other!r}; a newer version of softreg wrote it")


def numbers_of(name: str, column: pa.ChunkedArray, rows: Rows) -> NDArray[np.float64]:
    """The numbers of some rows, nan where missing; `TableError` with row and value where a cell is none.

    Example:
        >>> numbers_of("age", pa.chunked_array([["31", "?"]]), None)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        softreg.tables.errors.TableError: Column 'age' held numbers in training, but row 2 has '?'. ...
    """
    cells = read_column(column, name)
    if isinstance(cells, Dates):
        raise retyped(name, "numbers", f"dates ({cells.first})")
    if isinstance(cells, Numbers):
        values = pick(cells.values, rows)
    else:
        if cells.storage == "boolean" and len(cells.levels):
            raise retyped(name, "numbers", "booleans")
        parsed, ok = parse_numbers(cells.levels)
        codes = pick(cells.codes, rows)
        bad = np.flatnonzero(np.append(~ok, False)[codes])
        if bad.size:
            raise TableError(
                f"Column {shown(name)} held numbers in training, but row {_row(bad[0], rows):,} has "
                f"{shown(cells.levels[int(codes[bad[0]])])}. Correct it, or leave the field empty if the "
                "number is not known."
            )
        values = np.append(parsed, np.nan)[codes]
    bad = np.flatnonzero(np.isinf(values))
    if bad.size:
        raise infinite(name, _row(bad[0], rows), float(values[bad[0]]))
    return values


def booleans_of(name: str, words: tuple[str, str], column: pa.ChunkedArray, rows: Rows) -> NDArray[np.float64]:
    """0.0 for false, 1.0 for true, nan for missing; `TableError` with row and value for anything else.

    The words of training count, in any case, and so do true and false.

    Example:
        >>> booleans_of("loan", ("no", "yes"), pa.chunked_array([["yes", "No", ""]]), None)
        array([ 1.,  0., nan])
    """
    cells = read_column(column, name)
    expected = f"{words[1]} or {words[0]}"
    if isinstance(cells, Numbers):
        raise retyped(name, expected, f"numbers (type {column.type})")
    if isinstance(cells, Dates):
        raise retyped(name, expected, f"dates ({cells.first})")
    false, true = {words[0], BOOLEAN_WORDS[0][0]}, {words[1], BOOLEAN_WORDS[0][1]}
    folded = [str(level).strip().casefold() for level in cells.levels.to_pylist()]
    values = np.array([1.0 if w in true else 0.0 if w in false else -1.0 for w in folded] + [np.nan])
    codes = pick(cells.codes, rows)
    bad = np.flatnonzero(values[codes] < 0)
    if bad.size:
        raise TableError(
            f"Column {shown(name)} held {expected} in training, but row {_row(bad[0], rows):,} has "
            f"{shown(cells.levels[int(codes[bad[0]])])}. Correct it, or leave the field empty if it is not "
            "known."
        )
    found: NDArray[np.float64] = values[codes]
    return found


def retyped(name: str, trained: str, here: str) -> TableError:
    """The error for a column whose type is another than in training.

    Example:
        >>> print(retyped("age", "numbers", "dates (2020-01-31)"))  # doctest: +ELLIPSIS
        Column 'age' held numbers in training, but holds dates (2020-01-31) here. ...
    """
    return TableError(
        f"Column {shown(name)} held {trained} in training, but holds {here} here. Write it as it was in training."
    )


def _filled(values: NDArray[np.float64], fill: float, indicator: bool) -> list[Entry]:
    """Entries of a column of values; missing ones are filled in and, where asked, marked."""
    missing = np.isnan(values)
    first = np.zeros(len(values), dtype=np.int64)
    entries = [(first, np.where(missing, fill, values))]
    if indicator:
        entries.append((np.where(missing, 1, -1), np.ones(len(values))))
    return entries


def _distinct(column: pa.ChunkedArray) -> tuple[pa.Array, NDArray[np.int64]]:
    cells = read_column(column, "")
    assert isinstance(cells, Levels)
    return cells.levels, cells.codes


def _row(position: np.int64, rows: Rows) -> int:
    """The row of the table, counted from 1, of a position among `rows`."""
    return int(position if rows is None else rows[position]) + 1
