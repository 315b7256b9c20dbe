"""What an encoder learns of each column, batch after batch, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from softreg.spelling import unify_spellings
from softreg.tables.columns.row_location import EVERYWHERE, Where, where_of
from softreg.tables.columns.values import as_text
from softreg.tables.encode.date_encoder import DateLearner
from softreg.tables.encode.list_encoders import TagsCode, VectorLearner, tags_of
from softreg.tables.encode.normal_scores import Moments, RowSample, normal_scores
from softreg.tables.encode.number_encoder import Form
from softreg.tables.encode.scalar_encoders import BooleanCode, CategoryCode, Code, NumberCode
from softreg.tables.encode.text.text_encoder import TextCode
from softreg.tables.encode.text.vocabulary import TermCounter
from softreg.tables.schema.kinds import SMALL, Column, Kind
from softreg.tables.schema.label_types import TEXT, label_type
from softreg.tables.schema.typed_values import booleans_of, levels_of, numbers_of

CHUNK = 16_384
"""Rows that are learned from at a time, however they are cut into batches: so the answer does not know the batches."""
RARE = 3
"""Of a column of many levels, a level with fewer rows than this has no feature of its own."""
MOST = 100_000
"""Levels of a column that have features of their own, at most: the most frequent ones."""
ROOM = 2_000_000
"""Different levels of a column that are counted at a time; beyond, those seen least are forgotten."""


class Learner(Protocol):
    """Learns the code of one column."""

    def add(self, column: pa.ChunkedArray, where: Where) -> None:
        """Take one batch of the column."""

    def code(self) -> Code:
        """The code of what was seen."""


class NumberLearner:
    """Mean, deviation and, of a sample of the rows, the shape of a column of numbers."""

    def __init__(self, name: str, sample: RowSample, form: Form | None = None) -> None:
        self.name, self.sample, self.form = name, sample, form
        self.moments = Moments()
        self.least, self.greatest = np.inf, -np.inf
        self.latest = np.zeros(0)

    def add(self, column: pa.ChunkedArray, where: Where) -> None:
        """Take one batch."""
        self.latest = numbers_of(self.name, column, where)
        self.moments.add(self.latest)
        if len(self.latest):
            self.least = float(np.fmin(self.least, np.fmin.reduce(self.latest)))
            self.greatest = float(np.fmax(self.greatest, np.fmax.reduce(self.latest)))

    def code(self) -> NumberCode:
        """In the form that was asked for, or else by normal scores where the tail is heavy, and standardised."""
        asked = self.form in (Form.SCORES, Form.BOTH)
        knots, scores = ((), ()) if self.form is Form.LINEAR else normal_scores(self.sample.column(self.name), asked)
        moments, both = self.moments, self.form is Form.BOTH and bool(knots)
        span = (self.least, self.greatest) if self.least <= self.greatest else ()
        return NumberCode(self.name, moments.mean, moments.deviation, moments.missing > 0, knots, scores, both, span)


class BooleanLearner:
    """The share of true ones in a column of booleans."""

    def __init__(self, name: str, words: tuple[str, str]) -> None:
        self.name, self.words = name, words
        self.true = self.known = self.missing = 0

    def add(self, column: pa.ChunkedArray, where: Where) -> None:
        """Take one batch."""
        values = booleans_of(self.name, self.words, column, where)
        unknown = int(np.isnan(values).sum())
        self.true += int(np.nansum(values))
        self.known += len(values) - unknown
        self.missing += unknown

    def code(self) -> BooleanCode:
        """The words and the share."""
        return BooleanCode(self.name, self.words, self.true / max(1, self.known), self.missing > 0)


class LevelCounter:
    """How often each level is seen; where there are too many, the rarest are forgotten, and that is counted."""

    def __init__(self, room: int = ROOM) -> None:
        self.room = room
        self.counts: dict[str, int] = {}
        self.forgotten = 0

    def add(self, levels: list[str], counts: NDArray[np.int64]) -> None:
        """Take the levels of one batch and their rows."""
        known = self.counts
        for level, count in zip(levels, counts.tolist(), strict=True):
            if count:
                known[level] = known.get(level, 0) + count
        least = 1
        while len(self.counts) > self.room:
            kept = {level: count for level, count in self.counts.items() if count > least}
            self.forgotten += len(self.counts) - len(kept)
            self.counts, least = kept, least + 1

    def best(self) -> tuple[tuple[str, ...], int]:
        """The levels that have features of their own, sorted, and how many are pooled."""
        counts = self.counts
        if len(counts) + self.forgotten <= SMALL:
            return tuple(sorted(counts)), 0
        kept = [level for level, count in counts.items() if count >= RARE]
        if len(kept) > MOST:
            kept = sorted(kept, key=lambda level: (-counts[level], level))[:MOST]
        pooled = len(counts) - len(kept) + self.forgotten
        if pooled == 1 and not self.forgotten:
            return tuple(sorted(counts)), 0
        return tuple(sorted(kept)), pooled

    def rare(self, levels: tuple[str, ...]) -> tuple[str, ...]:
        """The levels that were seen and are not among these, sorted; none where some were forgotten, or are many."""
        if self.forgotten or len(self.counts) - len(levels) > MOST:
            return ()
        return tuple(sorted(self.counts.keys() - set(levels)))

    def merge(self, same: Mapping[str, str]) -> None:
        """Count levels as one that have the same text in `same`, which names all levels, or none."""
        if same:
            counts, self.counts = self.counts, {}
            for level, count in counts.items():
                self.counts[same[level]] = self.counts.get(same[level], 0) + count


class CategoryLearner:
    """The levels of a category."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.levels = LevelCounter()
        self.missing = 0
        self.numbers = False

    def add(self, column: pa.ChunkedArray, where: Where) -> None:
        """Take one batch."""
        cells = levels_of(self.name, column)
        self.numbers = label_type(column.type) != TEXT
        counts = np.bincount(cells.codes + 1, minlength=len(cells.levels) + 1)
        self.missing += int(counts[0])
        self.levels.add(cells.levels.to_pylist(), counts[1:])

    def code(self) -> CategoryCode:
        """One feature a level that is frequent enough; 1 and 1.0, or true and True, of several writers are one."""
        seen = list(self.levels.counts)
        self.levels.merge(unify_spellings(seen, numbers=True))
        levels, pooled = self.levels.best()
        rare = self.levels.rare(levels) if pooled else ()
        return CategoryCode(self.name, levels, self.missing > 0, pooled, rare, self.numbers)


class TagsLearner:
    """The tags of a column of lists of words."""

    def __init__(self, name: str) -> None:
        self.name, self.levels = name, LevelCounter()

    def add(self, column: pa.ChunkedArray, where: Where) -> None:
        """Take one batch."""
        counted = tags_of(self.name, column)[1].value_counts()
        self.levels.add(counted.field("values").to_pylist(), np.asarray(counted.field("counts")))

    def code(self) -> TagsCode:
        """One feature a tag that is frequent enough."""
        return TagsCode(self.name, *self.levels.best())


class TextLearner:
    """The terms of a column of texts."""

    def __init__(self, name: str) -> None:
        self.name, self.counter = name, TermCounter()

    def add(self, column: pa.ChunkedArray, where: Where) -> None:
        """Take one batch."""
        self.counter.add(as_text(column, self.name))

    def code(self) -> TextCode:
        """The terms that are frequent enough."""
        return TextCode.learned(self.name, self.counter)


def learner_of(column: Column, sample: RowSample, form: Form | None = None) -> Learner:
    """The learner for what a column was taken for; a column of numbers may be asked for in a `form`."""
    name = column.name
    if column.kind is Kind.NUMBER:
        return NumberLearner(name, sample, form)
    if column.kind is Kind.BOOLEAN:
        return BooleanLearner(name, (column.levels[0], column.levels[1]))
    if column.kind is Kind.DATE:
        return DateLearner(name, day_first=column.levels != ("month first",))
    others: dict[Kind, Callable[[str], Learner]] = {
        Kind.CATEGORY: CategoryLearner,
        Kind.TEXT: TextLearner,
        Kind.TAGS: TagsLearner,
        Kind.VECTOR: VectorLearner,
    }
    return others[column.kind](name)


def chunks(
    batches: pa.Table | pa.RecordBatch | Iterable[pa.Table | pa.RecordBatch],
    rows: NDArray[np.int64] | Callable[[int, int], NDArray[np.bool_]] | None,
) -> Iterator[tuple[pa.Table, Where]]:
    """The chosen rows (all where None) in tables of `CHUNK` rows, and where they stand; the last one is shorter.

    Row numbers count through all batches, from 0, and are taken in rising order; or `rows(first, count)` is a mask of
    the rows from number `first` on.
    """
    if isinstance(batches, pa.Table | pa.RecordBatch):
        batches = [batches]
    asked = rows if callable(rows) else None
    chosen = None if rows is None or callable(rows) else np.sort(rows)
    waiting: list[tuple[pa.Table, NDArray[np.int64], Where]] = []
    size = first = 0
    for batch in batches:
        told = where_of(batch)
        table = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
        table = table.replace_schema_metadata(None)
        number = np.arange(table.num_rows)
        if asked is not None:
            number = np.flatnonzero(asked(first, table.num_rows))
        elif chosen is not None:
            low, high = np.searchsorted(chosen, [first, first + table.num_rows])
            number = chosen[low:high] - first
        if rows is not None:
            table = table.take(pa.array(number)) if len(number) else table.slice(0, 0)
        offset = told.first if told is not EVERYWHERE else first
        first += batch.num_rows
        begin = 0
        while begin < table.num_rows:
            part = table.slice(begin, CHUNK - size)
            here = number[begin : begin + part.num_rows] + offset
            waiting.append((part, here, told))
            begin, size = begin + part.num_rows, size + part.num_rows
            if size == CHUNK:
                yield _joined(waiting)
                waiting, size = [], 0
    if waiting:
        yield _joined(waiting)


def _joined(waiting: list[tuple[pa.Table, NDArray[np.int64], Where]]) -> tuple[pa.Table, Where]:
    begins = np.cumsum([0, *(len(numbers) for _, numbers, _ in waiting)]).tolist()
    files = tuple((first, told.file) for first, (_, _, told) in zip(begins, waiting, strict=False))
    numbers = np.concatenate([numbers for _, numbers, _ in waiting])
    where = Where(numbers, 0, files=files)
    tables = [table for table, _, _ in waiting]
    return (tables[0] if len(tables) == 1 else pa.concat_tables(tables)), where
