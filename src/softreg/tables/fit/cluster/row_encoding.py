"""Encoded training rows of a fragment, which worker processes read for the fit."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import scipy.sparse as sp

from softreg.models.inputs.batches import EncodedLabels
from softreg.tables.columns.row_location import read_location
from softreg.tables.encode.encoder import Encoder
from softreg.tables.fit.cluster.training_fragment import TrainingFragment
from softreg.tables.fit.table_scan import TableScan
from softreg.tables.row_selection.label_coder import LabelCoder
from softreg.tables.row_selection.offset_columns import read_offsets
from softreg.tables.row_selection.rare_classes import RareClasses
from softreg.tables.row_selection.weight_column import weight_column

ENCODINGS_IN_USE = 4
"""Encodings of which a process keeps one object each."""


@dataclass(frozen=True)
class RowEncoding:
    """How rows of a table become batches of a fit; equal encodings of a process are one object.

    Attributes
    ----------
    encoder_state : bytes
        State of the encoder as compressed JSON.
    schema_bytes : bytes
        Schema of the table, serialized.
    target, known, missing, rare
        As of `LabelCoder`.
    weights : str or None
        Column of weights.
    offsets : tuple of (str, str)
        Class and column of the offsets.
    """

    encoder_state: bytes
    schema_bytes: bytes
    target: str
    known: tuple[str, ...]
    missing: str
    rare: RareClasses
    weights: str | None
    offsets: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, scan: TableScan, encoder: Encoder, offsets: Mapping[str, str]) -> RowEncoding:
        """Return the encoding of the training rows of a scanned table."""
        coder = scan.label_coder
        return cls(
            zlib.compress(json.dumps(encoder.to_state()).encode()),
            scan.source.schema.serialize().to_pybytes(),
            coder.target,
            coder.known,
            coder.missing,
            coder.rare,
            scan.weights,
            tuple(offsets.items()),
        )

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return _one_encoding, tuple(getattr(self, entry.name) for entry in fields(self))

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder."""
        return Encoder.from_state(json.loads(zlib.decompress(self.encoder_state)))

    @cached_property
    def schema(self) -> pa.Schema:
        """Schema of the table."""
        return pa.ipc.read_schema(pa.py_buffer(self.schema_bytes))

    @cached_property
    def coder(self) -> LabelCoder:
        """The coder of labels."""
        return LabelCoder(self.target, self.known, self.missing, self.rare)

    @property
    def columns(self) -> list[str]:
        """Columns that are read."""
        weights = [] if self.weights is None else [self.weights]
        encoded = [column.name for column in self.encoder.column_encoders]
        return list(dict.fromkeys([*encoded, self.target, *weights, *(name for _, name in self.offsets)]))


@lru_cache(ENCODINGS_IN_USE)
def _one_encoding(*arguments: Any) -> RowEncoding:
    """Return the encoding of these arguments, the same object for equal ones."""
    return RowEncoding(*arguments)


@dataclass(frozen=True)
class EncodedFragment:
    """The encoded training rows of a fragment: a batch of `FragmentedBatches`.

    Attributes
    ----------
    fragment : TrainingFragment
        Fragment with at least one training row.
    encoding : RowEncoding
        How its rows are encoded.
    """

    fragment: TrainingFragment
    encoding: RowEncoding

    @property
    def name(self) -> str:
        """Text that names the fragment in messages."""
        return self.fragment.name

    def read(self) -> tuple[Any, EncodedLabels, Any, pa.Table | None]:
        """Return features, labels, weights and offsets of the training rows; None for rows without.

        Returns
        -------
        X : ndarray or scipy.sparse.csr_array
            Features (n, d).
        labels : EncodedLabels
            Labels (n,).
        weight : array of float64 (n,) or None
            Weights.
        offsets : pyarrow.Table or None
            Offsets, one column a class.
        """
        encoding, classes = self.encoding, self.encoding.coder.classes
        parts: list[Any] = []
        for batch, positions in self.fragment.batches(encoding.schema, encoding.columns):
            table = pa.Table.from_batches([batch])
            X, codes = encoding.encoder.encode(batch, positions), encoding.coder.codes(batch)[1][positions]
            weight = offset = None
            if encoding.weights is not None:
                weight = weight_column(table, encoding.weights, encoding.target, read_location(batch))[positions]
            if encoding.offsets:
                offset = read_offsets(batch, dict(encoding.offsets), classes)[positions]
            parts.append((X, codes, weight, offset))
        X, codes, weight, offset = (_joined([part[k] for part in parts]) for k in range(len(parts[0])))
        named = None if offset is None else pa.table({name: offset[:, k] for k, name in enumerate(classes)})
        return X, EncodedLabels(classes, codes), weight, named


def _joined(parts: list[Any]) -> Any:
    """Return arrays or sparse matrices one below the other; None for parts that are None."""
    if parts[0] is None:
        return None
    if sp.issparse(parts[0]):
        return parts[0] if len(parts) == 1 else sp.csr_array(sp.vstack(parts, format="csr"))
    return np.concatenate(parts)
