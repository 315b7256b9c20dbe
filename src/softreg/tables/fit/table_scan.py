"""One reading of a table that memory does not hold: its labels, and samples of its rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa

from softreg.spelling import TextIndex, text_array, unify_spellings
from softreg.tables.columns.errors import TableError, unknown_column_error
from softreg.tables.columns.row_location import RowLocation, read_location
from softreg.tables.fit.row_sample import RowSampler, uniform
from softreg.tables.fit.row_set import RowMask, RowSet
from softreg.tables.io.open_table import OpenTable
from softreg.tables.row_selection.labelled_rows import check_labelled, similar_labels_note, unlabelled_note
from softreg.tables.row_selection.rare_classes import (
    DEFAULT_LABEL_RULES,
    NO_RARE,
    LabelRules,
    RareClasses,
    rare_classes,
)
from softreg.tables.row_selection.weight_column import check_any_weight, weight_column
from softreg.tables.schema.target_labels import coded_labels
from softreg.typing import BoolArray, Codes, Float64Array, Int64Array, RowNumbers

SAMPLE = 100_000
"""Rows that are kept to judge columns and strengths by, and as many of those held out, at most."""

MOST_CLASSES = 100_000
"""Labels from which on they are looked at before the end of the table: they may be no classes."""


@dataclass
class TableScan:
    """What one reading of `source` found: rows, labels, samples; the rows to train on can be read again by it.

    `rows` of the table; `counts` of each label, among all rows; `training` rows and the `sample` of them, with its
    `numbers`; a sample `held` of the rows that are held out, of which there are `tested`, with `held_numbers`. Rows
    without a label, of the weight 0, or of a rare class that is left out are in none of these; their numbers are
    `left_out`, and of the first kind there are `unlabelled`. `weights` is the name of a column of weights.
    """

    source: OpenTable
    target: str
    chosen: RowMask
    drawn: bool = True
    """Whether the rows were drawn, not named."""
    rules: LabelRules = DEFAULT_LABEL_RULES
    sure: bool = False
    """Whether the labels are known to be classes, however many they are."""
    weights: str | None = None
    rows: int = 0
    training: int = 0
    tested: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    trained: dict[str, int] = field(default_factory=dict)
    """Rows of each label to train on."""
    firsts: dict[str, int] = field(default_factory=dict)
    """The first row of each label, which is not held out where rows are drawn."""
    left_out: RowSet = field(default_factory=RowSet)
    unlabelled: int = 0
    weighed: bool = False
    """Whether some weight is above 0."""
    rare: RareClasses = NO_RARE
    files: list[tuple[int, RowLocation]] = field(default_factory=list)
    sample: pa.Table | None = None
    numbers: RowNumbers = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    held: pa.Table | None = None
    held_numbers: RowNumbers = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    weight: Float64Array | None = None
    """How often each row of the table counts, where rows have weights."""

    def mask(self, first: int, count: int) -> BoolArray:
        """Which rows of a run are trained on."""
        mask = self.chosen(first, count)
        if self.drawn:
            here = np.array([row for row in self.firsts.values() if first <= row < first + count], dtype=np.int64)
            mask[here - first] = True
        return mask & ~self.left_out.mask(first, count)

    def merge_booleans(self) -> None:
        """Give booleans one spelling where several writers wrote them, as true and True."""
        same = unify_spellings(list(self.counts))
        if same:
            for counts in (self.counts, self.trained):
                merged: dict[str, int] = {}
                for label, count in counts.items():
                    merged[same[label]] = merged.get(same[label], 0) + count
                counts.clear()
                counts.update(merged)

    @cached_property
    def _known(self) -> TextIndex:
        return TextIndex(sorted(self.counts))

    @cached_property
    def classes(self) -> list[str]:
        """The classes to learn, sorted: rare labels may be of one class, or of none."""
        return sorted(set(self.rare.merged(sorted(self.counts)).values()))

    def labels(self, table: pa.Table | pa.RecordBatch) -> tuple[list[str], Int64Array]:
        """All classes, and the place among them of each row (n,) of a batch or sample of the table; -1 for none."""
        values, codes = coded_labels(table, self.target, read_location(table), missing=self.rules.missing)
        labels = list(self._known.known)
        merged = self.rare.merged(labels)
        place = {name: k for k, name in enumerate(self.classes)}
        own = np.array([*(place[merged[label]] if label in merged else -1 for label in labels), -1], dtype=np.int64)
        found = np.append(own[self._known.find(text_array(values))], -1)
        return self.classes, found[codes]

    @property
    def weight_names(self) -> tuple[str, ...]:
        """The column of weights, if there is one."""
        return () if self.weights is None else (self.weights,)

    def row_weights(
        self, table: pa.Table | pa.RecordBatch, numbers: RowNumbers, places: Codes | None = None
    ) -> Float64Array | None:
        """The weights of some rows of a batch or sample of the table; None where rows have no weights.

        `numbers` are those of these rows in the whole table, and `places` those in the batch, all of it where None.
        """
        if self.weights is None:
            return None if self.weight is None else self.weight[numbers]
        whole = pa.Table.from_batches([table]) if isinstance(table, pa.RecordBatch) else table
        found = weight_column(whole, self.weights, self.target, read_location(table))
        return found if places is None else found[places]

    @property
    def notes(self) -> list[str]:
        """What was left out or merged, in sentences."""
        notes = [self.rare.note, similar_labels_note(sorted(self.counts), self.target)]
        if self.unlabelled:
            notes.insert(0, unlabelled_note(self.unlabelled, self.rows, [], self.target))
        return [note for note in notes if note]

    def settle(self) -> None:
        """Decide on rare classes, once all rows are counted; raises `TableError` as `check` does."""
        self.merge_booleans()
        self.check()
        if self.weights is not None and self.rows:
            check_any_weight(np.array([float(self.weighed)]), self.weights)
        self.rare = rare_classes(self.counts, self.target, self.rules) if self.rows else NO_RARE
        if self.rare.how != "drop" or not self.rare.labels:
            return
        gone = np.array([row for label, row in self.firsts.items() if label in self.rare.labels], dtype=np.int64)
        training = sum(int(self.mask(row, 1)[0]) for row in gone.tolist())
        self.training, self.tested = self.training - training, self.tested - (len(gone) - training)
        self.left_out.add(gone)
        for label in self.rare.labels:
            self.trained.pop(label, None)
        self.sample, self.numbers = _without(self.sample, self.numbers, gone)
        self.held, self.held_numbers = _without(self.held, self.held_numbers, gone)

    def batches(self, columns: Sequence[str]) -> Iterator[tuple[pa.RecordBatch, Int64Array]]:
        """The batches of some columns, and the places in each of the rows to train on; empty ones are left out."""
        yield from ((batch, places) for batch, places, _ in self.numbered(columns))

    def numbered(self, columns: Sequence[str]) -> Iterator[tuple[pa.RecordBatch, Int64Array, int]]:
        """The same with the number of the first row of each batch."""
        first = 0
        for batch in self.source.batches(columns):
            places = np.flatnonzero(self.mask(first, batch.num_rows))
            if len(places):
                yield batch, places, first
            first += batch.num_rows

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
                check_labelled(counts, self.rows, self.target, sure=self.sure)


def _without(table: pa.Table | None, numbers: RowNumbers, gone: RowNumbers) -> tuple[pa.Table | None, Int64Array]:
    """A sample of rows without those of some numbers; None where no row is left."""
    keep = ~np.isin(numbers, gone)
    if table is None or keep.all():
        return table, numbers
    return (table.filter(pa.array(keep)) if keep.any() else None), numbers[keep]


def scan_table(
    source: OpenTable,
    target: str,
    chosen: RowMask | None = None,
    *,
    seed: int = 0,
    test_size: float = 0.0,
    rules: LabelRules = DEFAULT_LABEL_RULES,
    weights: str | None = None,
    sure: bool = False,
) -> TableScan:
    """Read a table once: count its labels, and keep rows of it to judge by.

    `chosen` rows are trained on; where None, all but a share `test_size`, drawn for each row by its number and seed,
    without the first row of each class.
    The samples are spread evenly, whatever the batches. `rules` say what is done with rows without a label and rare
    classes, `weights` names a column of weights, and `sure` says that the labels are classes, however many they are.
    Raises `TableError`, with row and file, for a label or weight that is refused, and for labels that no classifier can
    learn from.
    """
    rules.check()

    if target not in source.names:
        raise unknown_column_error(target, source.names, "target column")

    def share(first: int, count: int) -> BoolArray:
        return uniform(np.arange(first, first + count), seed, 1) >= test_size

    if weights is not None and weights not in source.names:
        raise unknown_column_error(weights, source.names, "column of weights")
    found = TableScan(source, target, chosen or share, chosen is None, rules, sure, weights)
    kept, held = RowSampler(SAMPLE, seed), RowSampler(SAMPLE, seed)
    for batch in source.batches():
        if batch.num_rows == 0:
            continue
        told = read_location(batch)
        table = pa.Table.from_batches([batch.replace_schema_metadata(None)])
        mask, rest = _count_batch(found, table, told)
        kept.add(table, found.rows, mask)
        held.add(table, found.rows, rest)
        found.rows += batch.num_rows
    found.training, found.tested = kept.seen, held.seen
    found.sample, found.numbers = kept.kept()
    if found.sample is not None:
        found.sample = found.sample.replace_schema_metadata(source.schema.metadata)
    found.held, found.held_numbers = held.kept()
    found.settle()
    return found


def _count_batch(found: TableScan, table: pa.Table, told: RowLocation) -> tuple[BoolArray, BoolArray]:
    """Count the labels of a batch; gives the masks of the rows to train on, and of those held out."""
    first = found.rows
    if not found.files or told.file != found.files[-1][1].file:
        found.files.append((first, told))
    values, codes = coded_labels(table, found.target, told, missing=found.rules.missing)
    found.unlabelled += int((codes < 0).sum())
    if found.weights is not None:
        weight = weight_column(table, found.weights, found.target, told)
        found.weighed |= bool(weight.any())
        codes = np.where(weight > 0, codes, -1)
    if (codes < 0).any():
        found.left_out.add(np.flatnonzero(codes < 0) + first)
    used, places, counts = np.unique(codes, return_index=True, return_counts=True)
    for code, place, count in zip(used.tolist(), places.tolist(), counts.tolist(), strict=True):
        if code < 0:
            continue
        found.firsts.setdefault(values[code], first + place)
        found.counts[values[code]] = found.counts.get(values[code], 0) + count
    if len(found.counts) > MOST_CLASSES:
        found.rows += table.num_rows
        found.check()
    mask = found.mask(first, table.num_rows)
    for code, count in enumerate(np.bincount(codes[mask], minlength=len(values)).tolist()):
        if count:
            found.trained[values[code]] = found.trained.get(values[code], 0) + count
    return mask, ~mask & (codes >= 0)
