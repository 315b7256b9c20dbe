"""Training on a table that is larger than memory: kinds and strength from a sample, everything else from all rows."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from softreg.models import Path
from softreg.models.inputs.batches import EncodedLabels
from softreg.models.inputs.sample_and_class_weights import sample_weights
from softreg.splits import sample_rows
from softreg.tables.columns.table_errors import TableError, emit_notes, emit_warnings
from softreg.tables.columns.unseen_values import UnseenValues
from softreg.tables.encode.encoder import Encoder
from softreg.tables.encode.weighted_moments import WeightedBatch, with_weighted_moments
from softreg.tables.fit.choose_strength import choose_strength, fit_at_strength, with_column_groups
from softreg.tables.fit.cross_validation import CrossValidation
from softreg.tables.fit.memory_mode import Memory, is_large
from softreg.tables.fit.numeric_forms.choose_numeric_form import fit_encoder
from softreg.tables.fit.numeric_forms.numeric_form_cv import NumericForms
from softreg.tables.fit.row_set import RowMask, row_mask
from softreg.tables.fit.table_scan import TableScan, scan_table
from softreg.tables.fit.terms.fit_terms import checked_terms, with_terms
from softreg.tables.fit.terms.fitted_parts import FittedParts, TermSample
from softreg.tables.fit.terms.term_options import LINEAR_TERMS
from softreg.tables.fit.weight_terms.column_constraints import NO_CONSTRAINTS, ColumnConstraints
from softreg.tables.fit.weight_terms.indicator_counts import IndicatorCounts
from softreg.tables.io.open_table import OpenTable, emit_table_notes, open_table
from softreg.tables.io.sources import is_source
from softreg.tables.row_selection.offset_columns import Offsets, read_offsets
from softreg.tables.row_selection.rare_classes import DEFAULT_LABEL_RULES, LabelRules
from softreg.tables.row_selection.row_numbers import row_numbers
from softreg.tables.schema import label_types
from softreg.tables.schema.kinds import Kind
from softreg.tables.schema.schema import Schema, infer_schema
from softreg.typing import Array, BoolArray, Codes, Float64Array

MAX_CELLS = 1 << 24
"""Most entries of X of the rows that choose the strength (128 MB); of sparse rows, entries that are not zero."""
MIN_ROWS = 1000
"""Rows that choose the strength in any case, however wide they are."""


@dataclass(frozen=True)
class EncodedBatches:
    """Batches (X, labels, weights, offsets) of the training rows, encoded as they are read at each iteration.

    Weights and offsets are None for rows without. `offsets` has the column of offsets of each class that has one.
    """

    scan: TableScan
    encoder: Encoder
    offsets: Mapping[str, str]
    unseen: UnseenValues | None = None
    """Receives the rows with values that the encoder was not fitted to."""

    @property
    def n_rows(self) -> int:
        """Number of training rows."""
        return self.scan.training

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        target = self.scan.target
        encoded = [code.name for code in self.encoder.column_encoders]
        columns = [*encoded, target, *self.scan.weight_names, *self.offsets.values()]
        for batch, positions, first in self.scan.batches_with_offsets(list(dict.fromkeys(columns))):
            X = self.encoder.encode(batch, positions, unseen=self.unseen)
            values, codes = self.scan.labels(batch)
            y, weight = (
                EncodedLabels(values, codes[positions]),
                self.scan.row_weights(batch, first + positions, positions),
            )
            yield X, y, weight, self._offset(batch, positions, values)

    def _offset(self, batch: pa.RecordBatch, positions: Codes, classes: Sequence[str]) -> pa.Table | None:
        """Return the offsets of rows of a batch, one column a class, or None without offsets."""
        if not self.offsets:
            return None
        values = read_offsets(batch, self.offsets, classes)[positions]
        return pa.table({name: values[:, k] for k, name in enumerate(classes)})


class TrainingPasses(Protocol):
    """Passes over the training rows of a table that is larger than memory, after its scan.

    Attributes
    ----------
    scan : TableScan
        Scan of the table.
    """

    @property
    def scan(self) -> TableScan:
        """Scan of the table."""
        ...

    def fit_encoder(self, schema: Schema, forms: NumericForms) -> Encoder:
        """Return the encoder fitted to the training rows; `forms` are the requested numeric forms."""
        ...

    def with_weighted_moments(self, encoder: Encoder) -> Encoder:
        """Return the encoder with weighted moments, if the rows have weights."""
        ...

    def count_indicators(self, counts: IndicatorCounts, encoder: Encoder, columns: tuple[str, ...]) -> None:
        """Count the rows of each class in which indicators are set."""
        ...

    def encoded(self, encoder: Encoder, offsets: Mapping[str, str]) -> Any:
        """Return the encoded rows as a source for `SoftmaxRegression.fit`."""
        ...


@dataclass(frozen=True)
class BatchPasses:
    """Passes over the batches of a table in this process."""

    scan: TableScan

    def fit_encoder(self, schema: Schema, forms: NumericForms) -> Encoder:
        """Return the encoder fitted to the training rows; `forms` are the requested numeric forms."""
        batches = self.scan.source.batches([column.name for column in schema.features])
        return Encoder.fit(schema, batches, self.scan.mask, forms)

    def with_weighted_moments(self, encoder: Encoder) -> Encoder:
        """Return the encoder with weighted moments, if the rows have weights."""
        if self.scan.weights is None and self.scan.weight is None:
            return encoder
        return with_weighted_moments(encoder, self._weighted_batches(encoder))

    def count_indicators(self, counts: IndicatorCounts, encoder: Encoder, columns: tuple[str, ...]) -> None:
        """Count the rows of each class in which indicators are set."""
        for X, y, *_ in self.encoded(encoder, {}):
            counts.add(X, np.array(y.values)[y.codes])

    def encoded(self, encoder: Encoder, offsets: Mapping[str, str]) -> EncodedBatches:
        """Return the encoded rows as a source for `SoftmaxRegression.fit`."""
        return EncodedBatches(self.scan, encoder, offsets)

    def _weighted_batches(self, encoder: Encoder) -> Iterator[WeightedBatch]:
        """Yield the batches of a table, the positions of their training rows, and the weights of these."""
        scan = self.scan
        columns = [*(column.name for column in encoder.column_encoders), scan.target, *scan.weight_names]
        for batch, positions, first in scan.batches_with_offsets(list(dict.fromkeys(columns))):
            weight = scan.row_weights(batch, first + positions, positions)
            if weight is not None:
                yield batch, positions, weight


def scan_if_large(
    data: Any,
    rows: Any,
    target: str | None,
    memory: Memory,
    seed: int | None,
    unused: Iterable[str] = (),
    *,
    y: Any = None,
    sample_weight: Any = None,
    rules: LabelRules = DEFAULT_LABEL_RULES,
    categorical: bool = False,
) -> TableScan | None:
    """Return the scan of a table that is trained on in batches, or None for one that is read into memory.

    Parameters
    ----------
    data : path, OpenTable, TableScan or table in memory
        The table.
    rows : array-like or None
        Training rows, as numbers from 0 or a mask.
    target : str or None
        Column of labels.
    memory : {"auto", "low", "high"}
        Whether large files are read in batches.
    seed : int or None
        Seed of the samples.
    unused : iterable of str
        Columns whose values are not read.
    y : array-like or None
        Labels, which such a table cannot have beside it.
    sample_weight : array-like (n,) or str, optional
        Weights, or a column of weights; rows of weight 0 are left out.
    rules : LabelRules
        What is done with rows without a label and classes of a single row.
    categorical : bool
        Whether the labels are known to be classes.

    Returns
    -------
    TableScan or None
        The scan.

    Raises
    ------
    TableError
        If labels are given beside such a table.
    ValueError
        If the number of weights is not that of the rows.
    """
    if isinstance(data, TableScan):
        return data
    opened_here = is_source(data)
    table = open_table(data) if opened_here else data
    if not _reads_in_batches(table, memory):
        return None
    if y is not None or target is None:
        raise TableError(
            "This table is read in batches, where the labels are a column of it: give its name, target='column', in "
            "place of y, or read the table as a whole: memory='high'."
        )
    if opened_here:
        emit_table_notes(table)
    chosen, weight = None if rows is None else row_mask(rows), None
    weights = sample_weight if isinstance(sample_weight, str) else None
    if sample_weight is not None and weights is None:
        weight = sample_weights(sample_weight, len(np.atleast_1d(sample_weight)))
        chosen = _with_positive_weight(chosen, weight)
    scan = scan_table(
        table.ignoring(unused), target, chosen, seed=seed or 0, rules=rules, weights=weights, categorical=categorical
    )
    if weight is not None and len(weight) != scan.rows:
        raise ValueError(
            f"sample_weight.shape == {weight.shape}, expected {(scan.rows,)}: one weight for each of the "
            f"{scan.rows:,} rows."
        )
    row_numbers(rows, scan.rows)  # refuses those that the table does not have
    scan.weight = weight
    emit_notes(scan.notes)
    return scan


def _reads_in_batches(table: Any, memory: Memory) -> bool:
    """Return True if a table is read in batches; raise `TableError` for memory='low' and a table in memory."""
    if isinstance(table, OpenTable):
        return is_large(table, memory)
    if memory == "low":
        raise TableError("memory='low' is for files, which are read in batches; this table is in memory already.")
    return False


def _with_positive_weight(chosen: RowMask | None, weight: Float64Array) -> RowMask:
    """Return a mask function of the chosen rows whose weight is above zero."""

    def mask_function(first: int, count: int) -> BoolArray:
        mask = np.ones(count, dtype=bool) if chosen is None else chosen(first, count)
        weighted = weight[first : first + count] > 0
        mask[: len(weighted)] &= weighted
        return mask

    return mask_function


def fit_in_batches(
    passes: TrainingPasses,
    settings: Mapping[str, Any],
    drop: Sequence[str],
    kinds: Mapping[str, Kind],
    checkpoint: str | os.PathLike[str] | None,
    choice: CrossValidation,
    *,
    offsets: Mapping[str, str],
    constraints: ColumnConstraints = NO_CONSTRAINTS,
    terms: Any = LINEAR_TERMS,
) -> FittedParts:
    """Fit schema, encoder and model with the memory of a few batches and the sample.

    The sample infers kinds and chooses the numeric forms, and the strength if `settings["strength"]` is "auto"; encoder
    and model are fitted to all training rows.

    Parameters
    ----------
    passes : TrainingPasses
        Scan of the table, and passes over its training rows.
    settings : mapping
        Parameters of the regression.
    drop : sequence of str
        Columns to leave out.
    kinds : mapping of str to Kind
        Requested kinds by column.
    checkpoint : path or None
        Folder from which the same call resumes an interrupted fit.
    choice : CrossValidation
        How the strength and numeric forms are chosen.
    offsets : mapping of str to str
        Column of offsets by class.
    constraints : ColumnConstraints
        Columns without penalty, and bounds.
    terms : {"linear", "auto"} or Terms
        Curves and interactions, which are chosen on the sample.

    Returns
    -------
    FittedParts
        Schema, encoder, model and the path of strengths.

    Raises
    ------
    TableError
        If a later value is not of its column's kind, with file and row.
    """
    scan = passes.scan
    scan.check()
    if scan.sample is None:
        raise TableError("None of the rows is to be trained on.")
    try:
        schema = infer_schema(scan.sample, scan.target, drop=drop, kinds=kinds, describe_row=scan.describe_sample_row)
    except TableError as error:
        raise scan.with_file_location(error) from None
    constraints.check(schema, settings["penalty"])
    wanted = checked_terms(terms, schema, settings, constraints=constraints, forms=choice.numeric_form)
    choice = replace(choice, numeric_form=constraints.linear_forms(choice.numeric_form, schema))
    sample = _term_sample(scan, offsets)
    rows: dict[str, Any] = {"weight": sample.weight, "offsets": sample.offsets}
    encoder = fit_encoder(schema, scan.sample, None, sample.y, settings, choice, fit=passes.fit_encoder, **rows)
    encoder = passes.with_weighted_moments(encoder)
    names = np.array(encoder.feature_names_out, dtype=object)
    classes = label_types.ordered_classes(scan.source.schema.field(scan.target), scan.classes, scan.rare.pool)
    requested, path = settings, None
    settings = {**with_column_groups(settings, encoder), **constraints.parameters(encoder, classes)}
    _warn_of_separating_indicators(passes, encoder, constraints)
    if settings["strength"] == "auto":
        settings["strength"], path = _choose_strength_on_sample(scan, encoder, settings, names, choice, sample.offsets)
    model = fit_at_strength(settings, passes.encoded(encoder, offsets), None, names, checkpoint)
    return with_terms(
        FittedParts(schema, encoder, model, path),
        sample,
        wanted,
        encode=lambda found: (passes.encoded(found, offsets), None),
        settings={**settings, **requested}, choice=choice, constraints=constraints, classes=classes,
    )  # fmt: skip


def _term_sample(scan: TableScan, offsets: Mapping[str, str]) -> TermSample:
    """Return the sample of the training rows, with their labels, weights and offsets."""
    assert scan.sample is not None
    values, codes = scan.labels(scan.sample)
    weight, fixed = scan.row_weights(scan.sample, scan.numbers), _sample_offsets(scan, offsets)
    return TermSample(scan.sample, None, np.array(values)[codes], scan.training, weight, fixed)


def _warn_of_separating_indicators(passes: TrainingPasses, encoder: Encoder, constraints: ColumnConstraints) -> None:
    """Warn of levels without penalty whose weights have no finite optimum, with a pass over the rows."""
    counts = IndicatorCounts.of(encoder, constraints.unpenalised)
    if constraints.unpenalised and len(counts.features):
        passes.count_indicators(counts, encoder, constraints.unpenalised)
    emit_warnings(counts.messages())


def _sample_offsets(scan: TableScan, columns: Mapping[str, str]) -> Offsets | None:
    """Return the offsets of the sample of training rows, or None without offsets."""
    if not columns:
        return None
    assert scan.sample is not None
    return Offsets(read_offsets(scan.sample, columns, scan.classes), tuple(scan.classes))


def _choose_strength_on_sample(
    scan: TableScan,
    encoder: Encoder,
    settings: Mapping[str, Any],
    names: Array,
    choice: CrossValidation,
    offsets: Offsets | None,
) -> tuple[float, Path | None]:
    """Return the strength that is best on the sample, and the path of strengths."""
    assert scan.sample is not None
    n = len(scan.numbers)
    width = encoder.width
    if encoder.sparse:
        width = max(1, encoder.encode(scan.sample.slice(0, MIN_ROWS)).nnz // min(n, MIN_ROWS))
    n_rows = min(n, max(MIN_ROWS, MAX_CELLS // max(1, width)))
    rows = sample_rows(n, n_rows, seed=0) if n_rows < n else None
    values, codes = scan.labels(scan.sample)
    X, y = encoder.encode(scan.sample, rows), np.array(values)[codes]
    y = y if rows is None else y[rows]
    weight = scan.row_weights(scan.sample, scan.numbers if rows is None else scan.numbers[rows], rows)
    if n_rows < scan.training:
        emit_warnings(
            [
                f"the strength is chosen on a sample of {n_rows:,} of the {scan.training:,} rows to train on, and used "
                "for all of them"
            ]
        )
    if offsets is not None and rows is not None:
        offsets = Offsets(offsets.values[rows], offsets.classes)
    return choose_strength(settings, X, y, names, choice, weight, offsets)
