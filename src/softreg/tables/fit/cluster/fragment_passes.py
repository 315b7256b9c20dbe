"""Passes over the training rows of a table on worker processes: encoder, weighted moments, indicators, and the fit."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from softreg.models.inputs.cluster.fragmented_batches import FragmentedBatches
from softreg.optimize import Progress
from softreg.rows.cluster.engine import Engine
from softreg.tables.columns.row_location import read_location
from softreg.tables.encode.encoder import Encoder
from softreg.tables.encode.encoder_fitter import EncoderFitter
from softreg.tables.encode.moments import WeightedMoments
from softreg.tables.encode.weighted_moments import column_moments, replace_moments
from softreg.tables.fit.cluster.fragment_scan import MARGIN_DEVIATIONS
from softreg.tables.fit.cluster.fragment_tasks import run_on_fragments
from softreg.tables.fit.cluster.row_encoding import EncodedFragment, RowEncoding
from softreg.tables.fit.cluster.training_fragment import TrainingFragment, training_fragments
from softreg.tables.fit.numeric_forms.numeric_form_cv import NumericForms
from softreg.tables.fit.table_scan import TableScan
from softreg.tables.fit.weight_terms.indicator_counts import IndicatorCounts
from softreg.tables.io.parquet_fragments import ParquetFragment
from softreg.tables.row_selection.weight_column import weight_column
from softreg.tables.schema.schema import Schema


@dataclass(frozen=True, eq=False)
class FitColumns:
    """The fitters of the columns of a fragment.

    Attributes
    ----------
    table_schema : pa.Schema
        Columns and types of the table.
    schema : Schema
        Kinds of the columns.
    forms : dict of str to Form
        Requested forms of columns of numbers.
    level : int
        Level of the sample for normal scores, which that of all rows has at least.
    """

    table_schema: pa.Schema
    schema: Schema
    forms: NumericForms
    level: int

    def __call__(self, fragment: TrainingFragment) -> EncoderFitter:
        """Return the fitters of one fragment."""
        fitter = EncoderFitter(self.schema, self.forms, before=fragment.before, level=self.level)
        fitter.partial_fit(fragment.rows.batches(self.table_schema, fitter.names), fragment.mask)
        return fitter


@dataclass(frozen=True, eq=False)
class ColumnMoments:
    """The weighted moments of the columns of a fragment."""

    encoding: RowEncoding
    weights: str

    def __call__(self, fragment: TrainingFragment) -> dict[str, WeightedMoments]:
        """Return the moments of one fragment by column."""
        encoding = self.encoding
        return column_moments(
            encoding.encoder,
            (
                (batch, positions, self._weights(batch)[positions])
                for batch, positions in fragment.batches(encoding.schema, encoding.columns)
            ),
        )

    def _weights(self, batch: pa.RecordBatch) -> Any:
        table = pa.Table.from_batches([batch])
        return weight_column(table, self.weights, self.encoding.target, read_location(batch))


@dataclass(frozen=True, eq=False)
class CountIndicators:
    """The rows of each class of a fragment in which indicators of some columns are set."""

    encoding: RowEncoding
    columns: tuple[str, ...]

    def __call__(self, fragment: TrainingFragment) -> IndicatorCounts:
        """Return the counts of one fragment."""
        counts = IndicatorCounts.of(self.encoding.encoder, self.columns)
        X, y, *_ = EncodedFragment(fragment, self.encoding).read()
        counts.add(X, np.array(y.values)[y.codes])
        return counts


@dataclass(frozen=True)
class FragmentPasses:
    """Passes over the training rows of a scanned table by the workers of an engine.

    Attributes
    ----------
    scan : TableScan
        Scan of the table.
    fragments : list of ParquetFragment
        Fragments of the table.
    engine : Engine
        The workers.
    on_progress : callable or None
        Called with the number of rows that were read in a pass, as `Progress`.
    """

    scan: TableScan
    fragments: list[ParquetFragment]
    engine: Engine
    on_progress: Callable[[Progress], Any] | None = None

    @cached_property
    def training(self) -> list[TrainingFragment]:
        """Fragments that have training rows."""
        return [fragment for fragment in training_fragments(self.fragments, self.scan.mask) if fragment.training]

    def fit_encoder(self, schema: Schema, forms: NumericForms) -> Encoder:
        """Return the encoder fitted to the training rows; `forms` are the requested numeric forms."""
        total = EncoderFitter(schema, forms)
        level = _least_level(sum(fragment.training for fragment in self.training), total.sample.size)
        task = FitColumns(self.scan.source.schema, schema, forms, level)
        for fitter in run_on_fragments(self.engine, self.training, task, self.on_progress):
            total.merge(fitter)
        return Encoder.from_fitter(total)

    def with_weighted_moments(self, encoder: Encoder) -> Encoder:
        """Return the encoder with weighted moments, if the rows have weights."""
        if self.scan.weights is None:
            return encoder
        task = ColumnMoments(RowEncoding.of(self.scan, encoder, {}), self.scan.weights)
        total = column_moments(encoder, ())
        for moments in run_on_fragments(self.engine, self.training, task, self.on_progress):
            for name, moment in total.items():
                moment.merge(moments[name])
        return replace_moments(encoder, total)

    def count_indicators(self, counts: IndicatorCounts, encoder: Encoder, columns: tuple[str, ...]) -> None:
        """Count the rows of each class in which indicators of some columns are set."""
        task = CountIndicators(RowEncoding.of(self.scan, encoder, {}), columns)
        for later in run_on_fragments(self.engine, self.training, task, self.on_progress):
            counts.merge(later)

    def encoded(self, encoder: Encoder, offsets: Mapping[str, str]) -> FragmentedBatches:
        """Return the encoded rows as a source for `SoftmaxRegression.fit`."""
        encoding = RowEncoding.of(self.scan, encoder, offsets)
        return FragmentedBatches([EncodedFragment(fragment, encoding) for fragment in self.training], self.engine)


def _least_level(rows: int, size: int) -> int:
    """Return a level that the sample of so many rows has at least, see `NumericSample`."""
    candidates = size + MARGIN_DEVIATIONS * math.sqrt(size) + MARGIN_DEVIATIONS
    return max(0, math.floor(math.log2(rows / candidates)) + 1) if rows > candidates else 0
