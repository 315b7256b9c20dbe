"""Training on a table that memory does not hold: kinds and strength by a sample, the rest by all rows."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from softreg.models import Path, SoftmaxRegression
from softreg.models.inputs.batches import EncodedLabels
from softreg.models.inputs.sample_weights import sample_weights
from softreg.tables.columns.errors import TableError, emit_notes, emit_warnings
from softreg.tables.encode.encoder import Encoder
from softreg.tables.encode.weighted_encoder import WeightedBatch, with_weighted_moments
from softreg.tables.fit.choose_numeric_form import fit_encoder
from softreg.tables.fit.choose_strength import choose_strength, fit_at_strength
from softreg.tables.fit.cross_validation import CrossValidation
from softreg.tables.fit.memory_mode import Memory, is_large
from softreg.tables.fit.row_set import RowMask, row_mask
from softreg.tables.fit.table_scan import TableScan, scan_table
from softreg.tables.io.open_table import OpenTable, emit_table_notes, open_table
from softreg.tables.io.sources import is_source
from softreg.tables.row_selection.rare_classes import DEFAULT_LABEL_RULES, LabelRules
from softreg.tables.schema.kinds import Kind
from softreg.tables.schema.schema import Schema, infer_schema
from softreg.typing import Array, BoolArray, Float64Array

CELLS = 1 << 24
"""Numbers of X that the rows may have which choose the strength: 128 MB; sparse rows count what is not zero."""
LEAST = 1000
"""Rows that choose the strength at least, however wide."""


@dataclass(frozen=True)
class EncodedBatches:
    """Batches (X, labels) or (X, labels, weights) of the training rows, encoded as read; each `iter` begins anew."""

    found: TableScan
    encoder: Encoder

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return self.found.training

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        target = self.found.target
        columns = [*(code.name for code in self.encoder.column_encoders), target, *self.found.weight_names]
        for batch, places, first in self.found.numbered(list(dict.fromkeys(columns))):
            X = self.encoder.encode(batch, places)
            values, codes = self.found.labels(batch)
            y, weight = EncodedLabels(values, codes[places]), self.found.row_weights(batch, first + places, places)
            yield (X, y) if weight is None else (X, y, weight)


def weighted_batches(found: TableScan, encoder: Encoder) -> Iterator[WeightedBatch]:
    """Batches of a table, the numbers of their training rows, and the weights of these."""
    columns = [*(code.name for code in encoder.column_encoders), found.target, *found.weight_names]
    for batch, places, first in found.numbered(list(dict.fromkeys(columns))):
        weight = found.row_weights(batch, first + places, places)
        if weight is not None:
            yield batch, places, weight


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
    sure: bool = False,
) -> TableScan | None:
    """The survey of a table that is to be trained on in batches; None for one that memory is to hold.

    `sample_weight` (n,) is one number for each row, or the name of a column; rows of the weight 0 are left out. `rules`
    say what is done with rows without a label and rare classes; `sure`, that the labels are classes. Raises
    `TableError` for labels `y` beside such a table, whose labels are a column of it.
    """
    if isinstance(data, TableScan):
        return data
    opened_here = is_source(data)
    if opened_here:
        data = open_table(data)
    if not isinstance(data, OpenTable):
        if memory == "low":
            raise TableError("memory='low' is for files, which are read in batches; this table is in memory already.")
        return None
    if not is_large(data, memory):
        return None
    if y is not None or target is None:
        raise TableError(
            "This table is read in batches, where the labels are a column of it: give its name, target='column', in "
            "place of y, or read the table as a whole: memory='high'."
        )
    if opened_here:
        emit_table_notes(data)
    chosen, weight = None if rows is None else row_mask(rows), None
    weights = sample_weight if isinstance(sample_weight, str) else None
    if sample_weight is not None and weights is None:
        weight = sample_weights(sample_weight, len(np.atleast_1d(sample_weight)))
        chosen = _with_positive_weight(chosen, weight)
    found = scan_table(data.ignoring(unused), target, chosen, seed=seed or 0, rules=rules, weights=weights, sure=sure)
    if weight is not None and len(weight) != found.rows:
        raise ValueError(
            f"sample_weight.shape == {weight.shape}, expected {(found.rows,)}: one weight for each of the "
            f"{found.rows:,} rows."
        )
    found.weight = weight
    emit_notes(found.notes)
    return found


def _with_positive_weight(chosen: RowMask | None, weight: Float64Array) -> RowMask:
    """The chosen rows whose weight is above zero."""

    def asked(first: int, count: int) -> BoolArray:
        mask = np.ones(count, dtype=bool) if chosen is None else chosen(first, count)
        own = weight[first : first + count] > 0
        mask[: len(own)] &= own
        return mask

    return asked


def fit_in_batches(
    found: TableScan,
    settings: Mapping[str, Any],
    drop: Sequence[str],
    asked: Mapping[str, Kind],
    checkpoint: str | os.PathLike[str] | None,
    choice: CrossValidation,
) -> tuple[Schema, Encoder, SoftmaxRegression, Path | None]:
    """Schema, encoder, model and the strengths tried, with the memory of a few batches and the sample.

    The sample judges what columns are and chooses their forms, and the strength if `settings["strength"]` is "auto";
    the encoder and the model are those of all rows to train on. Raises `TableError` for a later value that is not what
    its column was taken for, with file and row.
    """
    found.check()
    if found.sample is None:
        raise TableError("None of the rows is to be trained on.")
    try:
        schema = infer_schema(found.sample, found.target, drop=drop, kinds=asked, place=found.place)
    except TableError as error:
        raise found.located(error) from None
    values, codes = found.labels(found.sample)
    batches = found.source.batches([column.name for column in schema.features])
    y = np.array(values)[codes]
    weight = found.row_weights(found.sample, found.numbers)
    encoder = fit_encoder(schema, batches, found.mask, y, settings, choice, sample=found.sample, weight=weight)
    if weight is not None:
        encoder = with_weighted_moments(encoder, weighted_batches(found, encoder))
    names = np.array(encoder.feature_names_out, dtype=object)
    path = None
    if settings["strength"] == "auto":
        strength, path = _choose_strength_on_sample(found, encoder, settings, names, choice)
        settings = {**settings, "strength": strength}
    model = fit_at_strength(settings, EncodedBatches(found, encoder), None, names, checkpoint)
    return schema, encoder, model, path


def _choose_strength_on_sample(
    found: TableScan, encoder: Encoder, settings: Mapping[str, Any], names: Array, choice: CrossValidation
) -> tuple[float, Path | None]:
    """The strength that is best on the sample."""
    assert found.sample is not None
    n = len(found.numbers)
    wide = encoder.width
    if encoder.sparse:
        wide = max(1, encoder.encode(found.sample.slice(0, LEAST)).nnz // min(n, LEAST))
    count = min(n, max(LEAST, CELLS // max(1, wide)))
    rows = np.sort(np.random.default_rng(0).permutation(n)[:count]) if count < n else None
    values, codes = found.labels(found.sample)
    X, y = encoder.encode(found.sample, rows), np.array(values)[codes]
    y = y if rows is None else y[rows]
    weight = found.row_weights(found.sample, found.numbers if rows is None else found.numbers[rows], rows)
    if count < found.training:
        emit_warnings(
            [
                f"the strength is chosen on a sample of {count:,} of the {found.training:,} rows to train on, and used "
                "for all of them"
            ]
        )
    return choose_strength(settings, X, y, names, choice, weight)
