"""The scan of a table whose labels are counted, and whose rows are sampled, by worker processes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from softreg.optimize import Progress
from softreg.rows.cluster.engine import Engine
from softreg.tables.columns.row_location import RowLocation, read_location
from softreg.tables.fit import row_sample, table_scan
from softreg.tables.fit.cluster.fragment_tasks import run_on_fragments
from softreg.tables.fit.cluster.training_fragment import TrainingFragment, training_fragments
from softreg.tables.fit.row_sample import RowSampler
from softreg.tables.fit.row_set import RowMask
from softreg.tables.fit.table_scan import TableScan, empty_scan, training_counts
from softreg.tables.io.open_table import OpenTable
from softreg.tables.io.parquet_fragments import ParquetFragment, parquet_fragments
from softreg.tables.row_selection.label_counts import LabelColumns, LabelCounts, add_counts
from softreg.tables.row_selection.rare_classes import DEFAULT_LABEL_RULES, LabelRules

MARGIN_DEVIATIONS = 10
"""Standard deviations by which the expected number of candidates for a sample exceeds its size."""
MIN_CANDIDATE_BYTES = 1 << 20
"""Bytes of candidates for a sample that any fragment may return."""


@dataclass(frozen=True, eq=False)
class CountLabels:
    """The counts of the labels of a fragment.

    Attributes
    ----------
    schema : pa.Schema
        Schema of the table.
    columns : LabelColumns
        Where labels and weights are read.
    """

    schema: pa.Schema
    columns: LabelColumns

    def __call__(self, fragment: ParquetFragment) -> LabelCounts:
        """Return the counts of one fragment, with the numbers of rows in the table."""
        counts, first = LabelCounts(), fragment.first
        for batch in fragment.batches(self.schema, self.columns.names):
            counts.add(self.columns.read(pa.Table.from_batches([batch]), read_location(batch)), first)
            first += batch.num_rows
        return counts


@dataclass(frozen=True, eq=False)
class FragmentSamples:
    """Candidates for the samples of training and held-out rows, and the training rows of each label."""

    training: RowSampler
    test: RowSampler
    trained: dict[str, int]


@dataclass(frozen=True, eq=False)
class SampleRows:
    """The samples of a fragment.

    Attributes
    ----------
    schema : pa.Schema
        Schema of the table.
    columns : LabelColumns
        Where labels and weights are read.
    size : int
        Most rows of a sample.
    seed : int
        Seed of the samples.
    training_below, test_below : float
        Hashed row numbers from which on rows cannot be in the sample of all fragments.
    bytes_per_row : float
        Most bytes of candidates for each row of the fragment, see `MIN_CANDIDATE_BYTES`.
    """

    schema: pa.Schema
    columns: LabelColumns
    size: int
    seed: int
    training_below: float
    test_below: float
    bytes_per_row: float

    def __call__(self, fragment: TrainingFragment) -> FragmentSamples:
        """Return the samples of one fragment."""
        most = max(MIN_CANDIDATE_BYTES, math.ceil(self.bytes_per_row * fragment.rows.n_rows))
        samples = FragmentSamples(
            RowSampler(self.size, self.seed, below=self.training_below, max_bytes=most),
            RowSampler(self.size, self.seed, below=self.test_below, max_bytes=most),
            {},
        )
        position = 0
        for batch in fragment.rows.batches(self.schema):
            table, location = pa.Table.from_batches([batch.replace_schema_metadata(None)]), read_location(batch)
            labels, mask = self.columns.read(table, location), fragment.mask(position, batch.num_rows)
            add_counts(samples.trained, training_counts(labels, mask))
            samples.training.add(table, fragment.rows.first + position, mask)
            samples.test.add(table, fragment.rows.first + position, ~mask & (labels.codes >= 0))
            position += batch.num_rows
        samples.training.trim()
        samples.test.trim()
        return samples


def scan_fragments(
    source: OpenTable,
    target: str,
    engine: Engine,
    chosen: RowMask | None = None,
    *,
    seed: int = 0,
    test_size: float = 0.0,
    rules: LabelRules = DEFAULT_LABEL_RULES,
    weights: str | None = None,
    categorical: bool = False,
    on_progress: Callable[[Progress], Any] | None = None,
) -> tuple[TableScan, list[ParquetFragment]]:
    """Scan a table with two passes of the workers: one over its labels, and one that samples its rows.

    Parameters
    ----------
    source : OpenTable
        Table in Parquet files.
    target : str
        Its column of labels.
    engine : Engine
        The workers.
    chosen, seed, test_size, rules, weights, categorical
        As in `scan_table`.
    on_progress : callable, optional
        Called with the number of rows that were read, as `Progress`.

    Returns
    -------
    scan : TableScan
        The result of `scan_table`.
    fragments : list of ParquetFragment
        Fragments of the table.

    Raises
    ------
    TableError
        As `scan_table`, and if the table is not in Parquet files.
    """
    scan = empty_scan(
        source, target, chosen, seed=seed, test_size=test_size, rules=rules, weights=weights, categorical=categorical
    )
    fragments = parquet_fragments(source)
    scan.files = [
        (fragment.first, RowLocation(file=fragment.file)) for fragment in fragments if fragment.first_in_file == 0
    ]
    task = CountLabels(source.schema, scan.label_columns)
    for counts in run_on_fragments(engine, fragments, task, on_progress):
        scan.add_counts(counts)
    _take_samples(scan, training_fragments(fragments, scan.mask), engine, seed, on_progress)
    scan.apply_label_rules()
    return scan, fragments


def _take_samples(
    scan: TableScan,
    fragments: Sequence[TrainingFragment],
    engine: Engine,
    seed: int,
    on_progress: Callable[[Progress], Any] | None,
) -> None:
    """Sample the training rows and the held-out rows, and count the training rows of each label."""
    size, training = table_scan.SAMPLE, sum(fragment.training for fragment in fragments)
    tested = scan.rows - len(scan.left_out) - training
    task = SampleRows(
        scan.source.schema,
        scan.label_columns,
        size,
        seed,
        training_below=_candidate_share(size, training),
        test_below=_candidate_share(size, tested),
        bytes_per_row=2 * row_sample.MAX_BYTES / max(1, scan.rows),
    )
    training_sampler, test_sampler = RowSampler(size, seed), RowSampler(size, seed)
    for samples in run_on_fragments(engine, fragments, task, on_progress):
        training_sampler.merge(samples.training)
        test_sampler.merge(samples.test)
        add_counts(scan.trained, samples.trained)
    scan.take_samples(training_sampler, test_sampler)


def _candidate_share(size: int, rows: int) -> float:
    """Return the share of rows with the least hashed numbers that holds those of a sample; infinity for all rows."""
    candidates = size + MARGIN_DEVIATIONS * math.sqrt(size) + MARGIN_DEVIATIONS
    return candidates / rows if rows > candidates else np.inf
