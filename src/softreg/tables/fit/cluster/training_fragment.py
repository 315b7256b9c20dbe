"""Fragments of a table with the mask of their training rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from softreg.tables.fit.row_set import RowMask
from softreg.tables.io.parquet_fragments import ParquetFragment, UnloadedRows
from softreg.typing import BoolArray, Int64Array


@dataclass(frozen=True)
class TrainingFragment:
    """A fragment of a table and its training rows.

    Attributes
    ----------
    rows : ParquetFragment
        The rows.
    bits : bytes
        Mask of the training rows, one bit a row.
    before : int
        Number of training rows of the fragments before.
    training : int
        Number of training rows.
    """

    rows: ParquetFragment
    bits: bytes
    before: int
    training: int

    @property
    def name(self) -> str:
        """Text that names the fragment in messages."""
        return self.rows.name

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return self.rows.n_rows

    def load(self) -> Any:
        """Return a placeholder: the rows are read in each pass."""
        return UnloadedRows()

    def mask(self, first: int, count: int) -> BoolArray:
        """Return the mask of the training rows among `count` rows from row `first` of the fragment on."""
        bits = np.unpackbits(np.frombuffer(self.bits, dtype=np.uint8), count=self.rows.n_rows)
        return bits[first : first + count].astype(bool)

    def batches(
        self, schema: pa.Schema, columns: Sequence[str] | None = None
    ) -> Iterator[tuple[pa.RecordBatch, Int64Array]]:
        """Yield the batches that have training rows, with the positions of these."""
        first = 0
        for batch in self.rows.batches(schema, columns):
            positions = np.flatnonzero(self.mask(first, batch.num_rows))
            if len(positions):
                yield batch, positions
            first += batch.num_rows


def training_fragments(fragments: Iterable[ParquetFragment], mask: RowMask) -> list[TrainingFragment]:
    """Return fragments with their training rows; `mask(first, count)` masks rows of the table."""
    chosen: list[TrainingFragment] = []
    before = 0
    for fragment in fragments:
        rows = mask(fragment.first, fragment.n_rows)
        count = int(rows.sum())
        chosen.append(TrainingFragment(fragment, np.packbits(rows).tobytes(), before, count))
        before += count
    return chosen
