"""One reading of a table that memory does not hold: its labels, and samples of its rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike, NDArray

from softreg.spelling import Known, one_spelling, text_array
from softreg.tables.errors import TableError, no_such_column
from softreg.tables.reader import OpenTable
from softreg.tables.target import check_counts, coded_labels
from softreg.tables.where import Where, where_of

LARGE = 512 << 20
"""Bytes of files from which on a table is not read into memory as a whole; compressed files count four times."""
PACKED = 4
SAMPLE = 100_000
"""Rows that are kept to judge columns and strengths by, and as many of those held out, at most."""
ROOM = 128 << 20
"""Bytes that either sample takes, at most: wide rows give fewer of them."""

MOST_CLASSES = 100_000
"""Labels from which on they are looked at before the end of the table: they may be no classes."""

Memory = Literal["auto", "low", "high"]
Rows = Callable[[int, int], NDArray[np.bool_]]
"""Which of `count` rows from row number `first` on are meant."""


def is_large(table: OpenTable, memory: Memory = "auto") -> bool:
    """Whether a table is to be trained on in batches: `memory` says so, or leaves it to the size of the files.

    Raises `TableError` for another word.
    """
    if memory not in ("auto", "low", "high"):
        raise TableError(f"memory is {memory!r}; expected 'auto', 'low' or 'high'.")
    if memory != "auto":
        return memory == "low"
    sizes = (one.part.path.stat().st_size * (PACKED if one.part.packed else 1) for one in table.readers)
    return sum(sizes) > LARGE


def uniform(numbers: NDArray[np.int64], seed: int, stream: int) -> NDArray[np.float64]:
    """A number in [0, 1) for each row number, which depends on nothing but that number, the seed and the stream.

    Example:
        >>> whole = uniform(np.arange(1000), seed=0, stream=1)
        >>> bool((whole[600:] == uniform(np.arange(600, 1000), 0, 1)).all()), bool(abs(whole.mean() - 0.5) < 0.05)
        (True, True)

    Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014), the mixing of SplitMix64.
    """
    start = np.random.SeedSequence([seed, stream]).generate_state(1, np.uint64)
    z = start + (numbers.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)  # modulo 2**64
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return np.asarray((z >> np.uint64(11)) * 2.0**-53)


def chosen_rows(rows: ArrayLike) -> Rows:
    """Row numbers or a mask of all rows, as a question about any run of them."""
    given = np.asarray(rows)
    if given.ndim != 1 or given.size == 0 or given.dtype.kind not in "biu":
        raise ValueError(f"rows must be row numbers or a mask, but is {given.dtype} of shape {given.shape}")
    numbers = np.flatnonzero(given) if given.dtype == bool else np.unique(given)
    if numbers.size and numbers[0] < 0:
        raise ValueError(f"rows must be row numbers from 0, but reach from {numbers[0]}")

    def asked(first: int, count: int) -> NDArray[np.bool_]:
        mask = np.zeros(count, dtype=bool)
        low, high = np.searchsorted(numbers, [first, first + count])
        mask[numbers[low:high] - first] = True
        return mask

    return asked


class RowKeeper:
    """Rows spread over the whole table, as many as there is room for, in its order: those of least random numbers."""

    def __init__(self, rows: int, seed: int) -> None:
        self.rows, self.seed = rows, seed
        self.seen, self.below = 0, np.inf
        self.parts: list[pa.Table] = []
        self.numbers: list[NDArray[np.int64]] = []

    def add(self, table: pa.Table, first: int, mask: NDArray[np.bool_]) -> None:
        """Take the rows of a batch in the mask; its first row has the number `first`."""
        self.seen += int(mask.sum())
        places = np.flatnonzero(mask)
        places = places[uniform(places + first, self.seed, 2) < self.below]
        if len(places) == 0:
            return
        self.parts.append(table.take(pa.array(places)))
        self.numbers.append(places + first)
        if sum(map(len, self.numbers)) > 2 * self.rows or sum(part.nbytes for part in self.parts) > 2 * ROOM:
            self._trim()

    def _trim(self) -> None:
        if not self.parts:
            return
        table, numbers = pa.concat_tables(self.parts), np.concatenate(self.numbers)
        self.rows = max(1, min(self.rows, int(ROOM * len(numbers) / max(1, table.nbytes))))
        if len(numbers) > self.rows:
            drawn = uniform(numbers, self.seed, 2)
            self.below = float(np.partition(drawn, self.rows)[self.rows])
            kept = np.flatnonzero(drawn < self.below)
            table, numbers = table.take(pa.array(kept)), numbers[kept]
        self.parts, self.numbers = [table.combine_chunks()], [numbers]

    def kept(self) -> tuple[pa.Table | None, NDArray[np.int64]]:
        """The rows and their numbers; None where there was no row."""
        self._trim()
        return (self.parts[0], self.numbers[0]) if self.parts else (None, np.zeros(0, dtype=np.int64))


@dataclass
class Survey:
    """What one reading of `source` found: rows, labels, samples; the rows to train on can be read again by it.

    `rows` of the table; `counts` of each label, among all rows; `training` rows and the `sample` of them, with its
    `numbers`; a sample `held` of the rows that are held out, of which there are `tested`, with `held_numbers`.
    """

    source: OpenTable
    target: str
    chosen: Rows
    drawn: bool = True
    """Whether the rows were drawn, not named."""
    rows: int = 0
    training: int = 0
    tested: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    trained: dict[str, int] = field(default_factory=dict)
    """Rows of each label to train on."""
    firsts: list[int] = field(default_factory=list)
    """The first row of each label, which is not held out."""
    files: list[tuple[int, Where]] = field(default_factory=list)
    sample: pa.Table | None = None
    numbers: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    held: pa.Table | None = None
    held_numbers: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def mask(self, first: int, count: int) -> NDArray[np.bool_]:
        """Which rows of a run are trained on."""
        mask = self.chosen(first, count)
        here = np.array([row for row in self.firsts if first <= row < first + count], dtype=np.int64)
        mask[here - first] = True
        return mask

    def merge_booleans(self) -> None:
        """Give booleans one spelling where several writers wrote them, as true and True."""
        same = one_spelling(list(self.counts))
        if same:
            for counts in (self.counts, self.trained):
                merged: dict[str, int] = {}
                for label, count in counts.items():
                    merged[same[label]] = merged.get(same[label], 0) + count
                counts.clear()
                counts.update(merged)

    @cached_property
    def _known(self) -> Known:
        return Known(sorted(self.counts))

    def labels(self, table: pa.Table | pa.RecordBatch) -> tuple[list[str], NDArray[np.int64]]:
        """All labels, each once as text, and which of them each row (n,) of a batch or sample of the table has."""
        values, codes = coded_labels(table, self.target, where_of(table))
        places = self._known.find(text_array(values))
        return list(self._known.known), places[codes]

    def batches(self, columns: Sequence[str]) -> Iterator[tuple[pa.RecordBatch, NDArray[np.int64]]]:
        """The batches of some columns, and the places in each of the rows to train on; empty ones are left out."""
        first = 0
        for batch in self.source.batches(columns):
            places = np.flatnonzero(self.mask(first, batch.num_rows))
            first += batch.num_rows
            if len(places):
                yield batch, places

    def where(self, number: int) -> str:
        """The row of a number, in words: its file and its number there."""
        first, where = next((first, where) for first, where in reversed(self.files) if first <= number)
        return where.row(number - first)

    def place(self, row: int) -> str:
        """A row of the sample, from 0, in words: its file and its number there."""
        return self.where(int(self.numbers[row]))

    def located(self, error: TableError) -> TableError:
        """The error about rows of the sample as one about rows of the files."""
        words = str(error)
        if error.rows is not None and len(error.rows):
            place = int(np.min(error.rows))
            number = self.where(int(self.numbers[place]))
            seen = f"row {place + 1:,}"
            words = words.replace(f"{seen} ", f"{number} ") if f"{seen} " in words else f"{words} It is {number}."
        if self.training > len(self.numbers):
            words += f" (Columns are judged by a sample of {len(self.numbers):,} of {self.rows:,} rows.)"
        return TableError(words)

    def check(self) -> None:
        """Refuse a table without rows, and labels that no classifier can learn from."""
        if self.rows == 0:
            raise TableError("The table has no rows; there is nothing to learn from.")
        for counts in (self.counts, self.trained):
            if counts is self.counts or len(counts) == 1:
                known = sorted(counts)
                check_counts(np.array(known), np.array([counts[k] for k in known]), self.rows, self.target)


def survey(
    source: OpenTable, target: str, chosen: Rows | None = None, *, seed: int = 0, test_size: float = 0.0
) -> Survey:
    """Read a table once: count its labels, and keep rows of it to judge by.

    `chosen` rows are trained on; where None, all but a share `test_size`, drawn for each row by its number and seed,
    without the first row of each class.
    The samples are spread evenly, whatever the batches. Raises `TableError` for a row without a label, with its file.
    """

    if target not in source.names:
        raise no_such_column(target, source.names, "target column")

    def share(first: int, count: int) -> NDArray[np.bool_]:
        return uniform(np.arange(first, first + count), seed, 1) >= test_size

    found = Survey(source, target, chosen or share, chosen is None)
    kept, held = RowKeeper(SAMPLE, seed), RowKeeper(SAMPLE, seed)
    for batch in source.batches():
        if batch.num_rows == 0:
            continue
        told = where_of(batch)
        table = pa.Table.from_batches([batch.replace_schema_metadata(None)])
        mask = _count(found, table, told)
        kept.add(table, found.rows, mask)
        held.add(table, found.rows, ~mask)
        found.rows += batch.num_rows
    found.training, found.tested = kept.seen, held.seen
    found.sample, found.numbers = kept.kept()
    if found.sample is not None:
        found.sample = found.sample.replace_schema_metadata(source.schema.metadata)
    found.held, found.held_numbers = held.kept()
    found.merge_booleans()
    return found


def _count(found: Survey, table: pa.Table, told: Where) -> NDArray[np.bool_]:
    """Count the labels of a batch; gives the mask of the rows to train on."""
    first = found.rows
    if not found.files or told.file != found.files[-1][1].file:
        found.files.append((first, told))
    values, codes = coded_labels(table, found.target, told)
    used, places, counts = np.unique(codes, return_index=True, return_counts=True)
    for code, place, count in zip(used.tolist(), places.tolist(), counts.tolist(), strict=True):
        if found.drawn and values[code] not in found.counts:
            found.firsts.append(first + place)
        found.counts[values[code]] = found.counts.get(values[code], 0) + count
    if len(found.counts) > MOST_CLASSES:
        found.rows += table.num_rows
        found.check()
    mask = found.mask(first, table.num_rows)
    for code, count in enumerate(np.bincount(codes[mask], minlength=len(values)).tolist()):
        if count:
            found.trained[values[code]] = found.trained.get(values[code], 0) + count
    return mask
