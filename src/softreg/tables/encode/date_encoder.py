"""Encoder of dates and times as a trend and sine and cosine of cycles (year, month, week, day), and its fitter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from softreg.models.serialization import fields
from softreg.tables.columns.column_values import (
    Dates,
    Levels,
    Lists,
    Numbers,
    as_text,
    drop_missing_spellings,
    read_column,
)
from softreg.tables.columns.date_parsing import DAY, day_month_ambiguous, has_day_month_dates, parse_dates
from softreg.tables.columns.row_location import RowLocation
from softreg.tables.columns.table_errors import TableError, quote
from softreg.tables.columns.unseen_values import MAX_EXAMPLES, UnseenValues
from softreg.tables.encode.column_encoder import Entry
from softreg.tables.encode.moments import Moments
from softreg.tables.schema.typed_values import type_changed_error
from softreg.typing import BoolArray, Float64Array

TREND = "since"
MAX_SECONDS = 2.0**63
"""Largest distance from 1970 in seconds: the range of 64-bit timestamps."""
CYCLES = ("year", "month", "week", "day")


@dataclass(frozen=True)
class DateEncoder:
    """Encoder of a date or time t: (t - mean) / scale, and sine and cosine of its phase in each cycle.

    The cycles are the year, month, week and day. A missing value is 0 in all features and, where training had missing
    values, sets an indicator. Times are wall-clock times as written.

    Attributes
    ----------
    name : str
        Column.
    parts : tuple of str
        The trend and the cycles that varied in training.
    mean, scale : float
        Mean and standard deviation of t in training, in seconds.
    missing : bool
        Whether training had missing values.
    day_first : bool
        Whether 3/4/2020 is the third of April.
    """

    name: str
    parts: tuple[str, ...]
    mean: float
    scale: float
    missing: bool
    day_first: bool
    year_last: bool | None = None
    """Whether training had dates such as 3/4/2020; None in models of earlier versions."""

    @property
    def features(self) -> tuple[str, ...]:
        """`when: since`, `when: sin of year`, `when: cos of year`, ... and `when=missing`."""
        named: list[str] = []
        for part in self.parts:
            cyclic = [f"{self.name}: sin of {part}", f"{self.name}: cos of {part}"]
            named += [f"{self.name}: since"] if part == TREND else cyclic
        return (*named, f"{self.name}=missing") if self.missing else tuple(named)

    @property
    def width(self) -> int:
        """One for the trend, two for each cycle, and one for missing values."""
        return sum(1 if part == TREND else 2 for part in self.parts) + self.missing

    @property
    def remark(self) -> str:
        """The parts in words."""
        return "as " + ", ".join("trend" if part == TREND else f"{part} cycle" for part in self.parts)

    def entries(self, column: pa.ChunkedArray, where: RowLocation, unseen: UnseenValues | None = None) -> list[Entry]:
        """Return the entries of trend and cycles.

        Parameters
        ----------
        column : pyarrow.ChunkedArray
            Cells (n,).
        where : RowLocation
            Location of the rows, for messages.
        unseen : UnseenValues, optional
            Receives the rows of dates in which day and month may be exchanged, where training had none of that form.

        Returns
        -------
        list of Entry
            One entry a feature.

        Raises
        ------
        TableError
            If a cell is not a date; its row and value are in the message.
        """
        seconds, cells = require_dates(self.name, column, where, self.day_first)
        if unseen is not None and cells is not None and self.year_last is False:
            self._count_ambiguous(cells, unseen)
        missing = np.isnan(seconds)
        known = np.where(missing, self.mean, seconds)
        values: list[Float64Array] = []
        for part in self.parts:
            if part == TREND:
                values.append((known - self.mean) / self.scale)
            else:
                angle = 2 * np.pi * cycle_phase(part, known)
                values += [np.sin(angle), np.cos(angle)]
        entries: list[Entry] = [(i, np.where(missing, 0.0, value)) for i, value in enumerate(values)]
        if self.missing:
            entries.append((np.where(missing, len(values), -1), np.ones(len(seconds))))
        return entries

    def _count_ambiguous(self, cells: Levels, unseen: UnseenValues) -> None:
        """Count the rows whose day and month may be exchanged."""
        is_ambiguous = day_month_ambiguous(cells.levels)
        if is_ambiguous.any():
            order = "day" if self.day_first else "month"
            unseen.add(
                self.name,
                int(np.append(is_ambiguous, False)[cells.codes].sum()),
                (cells.levels[int(at)].as_py() for at in np.flatnonzero(is_ambiguous)[:MAX_EXAMPLES]),
                feature=f"its first number may be day or month and is read as the {order}. Write it like 2020-01-31",
                what="date in a form",
            )

    def invalid_cells(self, column: pa.ChunkedArray) -> BoolArray:
        """Return a mask (n,) of the cells that are neither dates nor missing."""
        _, ok, _ = read_dates(self.name, column, self.day_first)
        return ~ok

    def to_state(self) -> dict[str, Any]:
        """Return the encoder as a JSON-serializable dict; `from_state` reads it."""
        return {
            "code": "date", "name": self.name, "parts": list(self.parts), "mean": self.mean, "scale": self.scale,
            "missing": self.missing, "day_first": self.day_first,
            "year_last": self.year_last,
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> DateEncoder:
        """Return the encoder that `to_state` wrote; raise `ValueError` for any other state."""
        parts = fields.texts(state, "parts")
        if not set(parts) <= {TREND, *CYCLES}:
            raise ValueError(f"a column of dates has the parts {parts}; a newer version of softreg wrote it")
        name = fields.text(state, "name")
        mean, scale = fields.number(state, "mean"), fields.number(state, "scale", positive=True)
        if abs(mean) > MAX_SECONDS:
            raise ValueError(f"the mean of the dates of {name!r} is {mean:g} seconds, and no date")
        last = None if state.get("year_last") is None else fields.flag(state, "year_last")  # absent in earlier files
        return cls(name, parts, mean, scale, fields.flag(state, "missing"), fields.flag(state, "day_first"), last)


class DateFitter:
    """Fitter of a `DateEncoder`: moments of the times and the range of each phase."""

    def __init__(self, name: str, day_first: bool) -> None:
        self.name, self.day_first = name, day_first
        self.moments = Moments()
        self.year_last = False
        self.spread = {cycle: [2.0, -1.0] for cycle in CYCLES}

    def partial_fit(self, column: pa.ChunkedArray, where: RowLocation) -> None:
        """Update moments and ranges with one batch."""
        seconds, cells = require_dates(self.name, column, where, self.day_first)
        self.year_last = self.year_last or (cells is not None and has_day_month_dates(cells.levels))
        self.moments.add(seconds)
        known = seconds[~np.isnan(seconds)]
        if len(known):
            for cycle, spread in self.spread.items():
                phase = cycle_phase(cycle, known)
                spread[:] = min(spread[0], float(phase.min())), max(spread[1], float(phase.max()))

    def merge(self, later: DateFitter) -> None:
        """Add the moments and the ranges of the rows that follow."""
        self.moments.merge(later.moments)
        self.year_last = self.year_last or later.year_last
        for cycle, spread in self.spread.items():
            spread[:] = min(spread[0], later.spread[cycle][0]), max(spread[1], later.spread[cycle][1])

    def encoder(self) -> DateEncoder:
        """Return the encoder; cycles that did not vary are left out."""
        varied = [cycle for cycle in CYCLES if self.spread[cycle][1] > self.spread[cycle][0]]
        moments, order = self.moments, (self.day_first, self.year_last)
        parts = (TREND, *varied)
        return DateEncoder(self.name, parts, moments.mean, moments.deviation, moments.missing > 0, *order)


def cycle_phase(cycle: str, seconds: Float64Array) -> Float64Array:
    """Return the phase of each time within a cycle, in [0, 1).

    Parameters
    ----------
    cycle : {"year", "month", "week", "day"}
        The week begins on Monday; phases of year, month and week change at midnight.
    seconds : array of float64 (n,)
        Seconds since 1970.

    Returns
    -------
    array of float64 (n,)
        Share of the cycle that has passed.

    Examples
    --------
    >>> cycle_phase("day", np.array([6 * 3600.0])), cycle_phase("year", np.array([0.0]))
    (array([0.25]), array([0.]))
    """
    if cycle == "day":
        return np.asarray(np.mod(seconds, DAY) / DAY)
    if cycle == "week":  # whole days from Monday on
        return np.asarray(np.mod(np.floor(seconds / DAY) + 3, 7) / 7)
    unit = {"year": "datetime64[Y]", "month": "datetime64[M]"}[cycle]
    days = np.floor(seconds / DAY).astype(np.int64).astype("datetime64[D]")
    first = days.astype(unit)
    begin = first.astype("datetime64[D]")
    length = ((first + 1).astype("datetime64[D]") - begin).astype(np.int64)
    phase: Float64Array = (days - begin).astype(np.int64) / length
    return phase


def read_dates(name: str, column: pa.ChunkedArray, day_first: bool) -> tuple[Float64Array, BoolArray, Levels | None]:
    """Seconds since 1970, nan where missing; which cells are dates or missing at all; the texts, if they are such."""
    cells = read_column(column, name)
    if isinstance(cells, Dates) or pa.types.is_duration(column.type):  # earlier models read durations as dates
        assert not isinstance(cells, Levels | Lists)
        return cells.values, np.ones(len(cells.values), dtype=bool), None
    if isinstance(cells, Numbers):  # 20230721, if it was to be read as dates in training
        again = read_column(as_text(column, name), name)
        if isinstance(again, Levels) and not np.isnan(parse_dates(again.levels, day_first)).all():
            cells = again
    if not isinstance(cells, Levels) or (cells.storage == "boolean" and len(cells.levels)):
        raise type_changed_error(name, "dates", f"values of the type {column.type}")
    cells = drop_missing_spellings(cells)
    seconds = parse_dates(cells.levels, day_first)
    return np.append(seconds, np.nan)[cells.codes], np.append(~np.isnan(seconds), True)[cells.codes], cells


def require_dates(
    name: str, column: pa.ChunkedArray, where: RowLocation, day_first: bool
) -> tuple[Float64Array, Levels | None]:
    """Return seconds since 1970, nan where missing, and text levels; raise `TableError` for a cell that is no date."""
    seconds, ok, cells = read_dates(name, column, day_first)
    if not ok.all():
        bad = int(np.argmin(ok))
        form = "day/month/year" if day_first else "month/day/year"
        raise TableError(
            f"Column {quote(name)} held dates in training, but {where.row(bad)} has {quote(column[bad].as_py())}, "
            f"which is none (with slashes, dates are read as {form}). Write it like 2020-01-31 or 2020-01-31 18:30, "
            "or leave the field empty if it is not known."
        )
    return seconds, cells
