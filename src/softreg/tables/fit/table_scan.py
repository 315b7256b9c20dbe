"""One pass over a table that is larger than memory: counts of its labels, and samples of its rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa

from softreg.splits import split_batch
from softreg.tables.columns.row_location import RowLocation, read_location
from softreg.tables.columns.table_errors import TableError, unknown_column_error
from softreg.tables.fit.row_sample import RowSampler
from softreg.tables.fit.row_set import RowMask, RowSet
from softreg.tables.io.open_table import OpenTable
from softreg.tables.row_selection.label_coder import LabelCoder
from softreg.tables.row_selection.label_counts import LabelColumns, LabelCounts, RowLabels, add_counts
from softreg.tables.row_selection.labelled_rows import check_labelled, similar_labels_note, unlabelled_note
from softreg.tables.row_selection.rare_classes import (
    DEFAULT_LABEL_RULES,
    NO_RARE,
    LabelRules,
    RareClasses,
    rare_classes,
)
from softreg.tables.row_selection.weight_column import check_any_weight, weight_column
from softreg.typing import BoolArray, Codes, Float64Array, Int64Array, RowNumbers
from softreg.value_text import unify_spellings

SAMPLE = 100_000
"""Most rows of the sample of training rows (for kinds and the strength), and of that of held-out rows."""

MOST_CLASSES = 100_000
"""Distinct labels at which they are checked before the end of the table, as they may be no classes."""


@dataclass
class TableScan:
    """Result of one pass over `source`, with which the training rows can be read again in batches.

    Rows without a label, of weight 0, or of a rare class that is left out are in no count or sample of training rows.

    Attributes
    ----------
    source : OpenTable
        The table.
    target : str
        Column of labels.
    chosen : callable
        `chosen(first, count)` masks the rows that may be trained on.
    weights : str or None
        Column of weights.
    rows : int
        Rows of the table.
    counts : dict of str to int
        Rows of each label.
    training, tested : int
        Training rows, and rows that are held out.
    left_out : RowSet
        Rows without a label, of weight 0, or of a rare class that is left out.
    unlabelled : int
        Rows without a label.
    sample, numbers : pyarrow.Table, array of int
        Sample of the training rows, with their row numbers.
    held, held_numbers : pyarrow.Table, array of int
        Sample of the held-out rows, with their row numbers.
    """

    source: OpenTable
    target: str
    chosen: RowMask
    drawn: bool = True
    """Whether the rows were drawn, not named."""
    rules: LabelRules = DEFAULT_LABEL_RULES
    categorical: bool = False
    """Whether the labels are known to be classes, however many they are."""
    weights: str | None = None
    rows: int = 0
    training: int = 0
    tested: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    trained: dict[str, int] = field(default_factory=dict)
    """Training rows of each label."""
    first_rows: dict[str, int] = field(default_factory=dict)
    """The first row of each label, which is a training row if rows are drawn."""
    left_out: RowSet = field(default_factory=RowSet)
    unlabelled: int = 0
    any_weight: bool = False
    """Whether some weight is above 0."""
    rare: RareClasses = NO_RARE
    files: list[tuple[int, RowLocation]] = field(default_factory=list)
    sample: pa.Table | None = None
    numbers: RowNumbers = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    held: pa.Table | None = None
    held_numbers: RowNumbers = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    weight: Float64Array | None = None
    """Weight of each row of the table, if weights were given as an array."""

    def mask(self, first: int, count: int) -> BoolArray:
        """Return a mask of the training rows among `count` rows from number `first` on."""
        mask = self.chosen(first, count)
        if self.drawn:
            here = np.array([row for row in self.first_rows.values() if first <= row < first + count], dtype=np.int64)
            mask[here - first] = True
        return mask & ~self.left_out.mask(first, count)

    @property
    def label_columns(self) -> LabelColumns:
        """Where labels and weights are read."""
        return LabelColumns(self.target, self.weights, self.rules.missing)

    def add_counts(self, counts: LabelCounts) -> None:
        """Add the labels of the rows that follow those counted so far; raise `TableError` if they are no classes."""
        add_counts(self.counts, counts.counts)
        for label, row in counts.first_rows.items():
            self.first_rows.setdefault(label, row)
        for numbers in counts.left_out:
            self.left_out.add(numbers)
        self.unlabelled += counts.unlabelled
        self.any_weight |= counts.any_weight
        self.rows += counts.rows
        if len(self.counts) > MOST_CLASSES:
            self.check()

    def take_samples(self, training: RowSampler, test: RowSampler) -> None:
        """Keep the samples of the training rows and of the held-out rows, and the numbers of these rows."""
        self.training, self.tested = training.seen, test.seen
        self.sample, self.numbers = training.sample()
        if self.sample is not None:
            self.sample = self.sample.replace_schema_metadata(self.source.schema.metadata)
        self.held, self.held_numbers = test.sample()

    def merge_booleans(self) -> None:
        """Add up the counts of labels that spell one boolean in several ways, as true and True."""
        same = unify_spellings(list(self.counts))
        if same:
            for counts in (self.counts, self.trained):
                merged: dict[str, int] = {}
                for label, count in counts.items():
                    merged[same[label]] = merged.get(same[label], 0) + count
                counts.clear()
                counts.update(merged)

    @cached_property
    def label_coder(self) -> LabelCoder:
        """Coder of labels among the classes."""
        return LabelCoder(self.target, tuple(sorted(self.counts)), self.rules.missing, self.rare)

    @property
    def classes(self) -> list[str]:
        """Classes of the model, sorted: rare labels may be one class, or none."""
        return self.label_coder.classes

    def labels(self, table: pa.Table | pa.RecordBatch) -> tuple[list[str], Int64Array]:
        """Return the classes and the code (n,) of each row of a batch or sample, -1 for none."""
        return self.label_coder.codes(table)

    @property
    def weight_names(self) -> tuple[str, ...]:
        """Names of the columns of weights: one or none."""
        return () if self.weights is None else (self.weights,)

    def row_weights(
        self, table: pa.Table | pa.RecordBatch, numbers: RowNumbers, positions: Codes | None = None
    ) -> Float64Array | None:
        """Return the weights of rows of a batch or sample, or None if rows have no weights.

        Parameters
        ----------
        table : pyarrow.Table or pyarrow.RecordBatch
            The batch or sample.
        numbers : array of int (k,)
            Numbers of the rows in the whole table.
        positions : array of int (k,), optional
            Their positions in the batch; all of it by default.

        Returns
        -------
        array of float64 (k,) or None
            Weights.
        """
        if self.weights is None:
            return None if self.weight is None else self.weight[numbers]
        whole = pa.Table.from_batches([table]) if isinstance(table, pa.RecordBatch) else table
        weight = weight_column(whole, self.weights, self.target, read_location(table))
        return weight if positions is None else weight[positions]

    @property
    def notes(self) -> list[str]:
        """Sentences on rows and classes that were left out or merged."""
        notes = [self.rare.note, similar_labels_note(sorted(self.counts), self.target)]
        if self.unlabelled:
            notes.insert(0, unlabelled_note(self.unlabelled, self.rows, [], self.target))
        return [note for note in notes if note]

    def apply_label_rules(self) -> None:
        """Keep, merge or leave out rare classes after the last row is counted; raise `TableError` as `check` does."""
        self.merge_booleans()
        if self.weights is not None and self.rows:
            check_any_weight(np.array([float(self.any_weight)]), self.weights)
        self.check()
        self.rare = rare_classes(self.counts, self.target, self.rules) if self.rows else NO_RARE
        if self.rare.how != "drop" or not self.rare.labels:
            return
        rare_rows = np.array(
            [row for label, row in self.first_rows.items() if label in self.rare.labels], dtype=np.int64
        )
        training = sum(int(self.mask(row, 1)[0]) for row in rare_rows.tolist())
        self.training, self.tested = self.training - training, self.tested - (len(rare_rows) - training)
        self.left_out.add(rare_rows)
        for label in self.rare.labels:
            self.trained.pop(label, None)
        self.sample, self.numbers = _without_rows(self.sample, self.numbers, rare_rows)
        self.held, self.held_numbers = _without_rows(self.held, self.held_numbers, rare_rows)

    def batches(self, columns: Sequence[str]) -> Iterator[tuple[pa.RecordBatch, Int64Array]]:
        """Yield the batches of some columns that have training rows, with the positions of these."""
        yield from ((batch, positions) for batch, positions, _ in self.batches_with_offsets(columns))

    def batches_with_offsets(self, columns: Sequence[str]) -> Iterator[tuple[pa.RecordBatch, Int64Array, int]]:
        """Yield the same as `batches`, with the number of the first row of each batch."""
        first = 0
        for batch in self.source.batches(columns):
            positions = np.flatnonzero(self.mask(first, batch.num_rows))
            if len(positions):
                yield batch, positions, first
            first += batch.num_rows

    def describe_row(self, number: int) -> str:
        """Return text with the file of a row and its number there."""
        first, location = next((first, location) for first, location in reversed(self.files) if first <= number)
        return location.row(number - first)

    def describe_sample_row(self, position: int) -> str:
        """Return text with the file of a row of the sample and its number there."""
        return self.describe_row(int(self.numbers[position]))

    def with_file_location(self, error: TableError) -> TableError:
        """Return an error on rows of the sample as an error on rows of the files."""
        message = str(error)
        if error.rows is not None and len(error.rows):
            position = int(np.min(error.rows))
            number = self.describe_sample_row(position)
            sample_row = f"row {position + 1:,}"
            message = (
                message.replace(f"{sample_row} ", f"{number} ")
                if f"{sample_row} " in message
                else f"{message} It is {number}."
            )
        if self.training > len(self.numbers):
            message += (
                f" (The kinds of columns are inferred from a sample of {len(self.numbers):,} of {self.rows:,} rows.)"
            )
        return TableError(message)

    def check(self) -> None:
        """Raise `TableError` for labels that no classifier can be trained on."""
        if self.rows == 0:
            raise TableError("The table has no rows; there is nothing to learn from.")
        for counts in (self.counts, self.trained):
            if counts is self.counts or len(counts) == 1:
                check_labelled(counts, self.rows, self.target, categorical=self.categorical)


def _without_rows(
    table: pa.Table | None, numbers: RowNumbers, excluded: RowNumbers
) -> tuple[pa.Table | None, Int64Array]:
    """Return a sample without the rows of the excluded numbers; None instead of an empty one."""
    keep = ~np.isin(numbers, excluded)
    if table is None or keep.all():
        return table, numbers
    return (table.filter(pa.array(keep)) if keep.any() else None), numbers[keep]


def empty_scan(
    source: OpenTable,
    target: str,
    chosen: RowMask | None,
    *,
    seed: int,
    test_size: float,
    rules: LabelRules,
    weights: str | None,
    categorical: bool,
) -> TableScan:
    """Return the scan of a table of which no row is counted yet, with the parameters of `scan_table`."""
    rules.check()
    if target not in source.names:
        raise unknown_column_error(target, source.names, "target column")
    if weights is not None and weights not in source.names:
        raise unknown_column_error(weights, source.names, "column of weights")

    def share(first: int, count: int) -> BoolArray:
        return split_batch(first, count, test_size, seed)

    return TableScan(source, target, chosen or share, chosen is None, rules, categorical, weights)


def scan_table(
    source: OpenTable,
    target: str,
    chosen: RowMask | None = None,
    *,
    seed: int = 0,
    test_size: float = 0.0,
    rules: LabelRules = DEFAULT_LABEL_RULES,
    weights: str | None = None,
    categorical: bool = False,
) -> TableScan:
    """Read a table once: count its labels, and sample its rows.

    Parameters
    ----------
    source : OpenTable
        The table.
    target : str
        Its column of labels.
    chosen : callable, optional
        `chosen(first, count)` masks the training rows; by default all rows but a share `test_size`, drawn by row number
        and seed, with the first row of each class.
    seed : int
        Seed of the split and the samples.
    test_size : float
        Share of the rows to hold out.
    rules : LabelRules
        What is done with rows without a label and classes of a single row.
    weights : str, optional
        Column of weights.
    categorical : bool
        Whether the labels are known to be classes, however many they are.

    Returns
    -------
    TableScan
        Counts and samples, which do not depend on the batches.

    Raises
    ------
    TableError
        If a label or weight is refused, with row and file, or no classifier can be trained on the labels.
    """
    scan = empty_scan(
        source, target, chosen, seed=seed, test_size=test_size, rules=rules, weights=weights, categorical=categorical
    )
    training_sampler, test_sampler = RowSampler(SAMPLE, seed), RowSampler(SAMPLE, seed)
    for batch in source.batches():
        if batch.num_rows == 0:
            continue
        location = read_location(batch)
        table = pa.Table.from_batches([batch.replace_schema_metadata(None)])
        first = scan.rows
        mask, test_mask = _count_batch(scan, table, location)
        training_sampler.add(table, first, mask)
        test_sampler.add(table, first, test_mask)
    scan.take_samples(training_sampler, test_sampler)
    scan.apply_label_rules()
    return scan


def _count_batch(scan: TableScan, table: pa.Table, location: RowLocation) -> tuple[BoolArray, BoolArray]:
    """Count the labels of a batch; return masks of its training and held-out rows."""
    first = scan.rows
    if not scan.files or location.file != scan.files[-1][1].file:
        scan.files.append((first, location))
    labels, counts = scan.label_columns.read(table, location), LabelCounts()
    counts.add(labels, first)
    scan.add_counts(counts)
    mask = scan.mask(first, table.num_rows)
    add_counts(scan.trained, training_counts(labels, mask))
    return mask, ~mask & (labels.codes >= 0)


def training_counts(labels: RowLabels, mask: BoolArray) -> dict[str, int]:
    """Return the number of rows of each label among the rows of a mask (n,)."""
    counts = np.bincount(labels.codes[mask], minlength=len(labels.values)).tolist()
    return {label: count for label, count in zip(labels.values, counts, strict=True) if count}
