"""The parts of a fitted table model, and the training rows on which its terms are chosen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from softreg.models import Path, SoftmaxRegression
from softreg.tables.encode.encoder import Encoder
from softreg.tables.fit.terms.term_record import TermRecord
from softreg.tables.row_selection.offset_columns import Offsets
from softreg.tables.schema.schema import Schema
from softreg.typing import Float64Array, IntArray, RowNumbers, TextArray


@dataclass(frozen=True)
class FittedParts:
    """The parts of a fitted classifier; `path` has the strengths that were tried, None where it was given.

    `terms` is what the choice of curves and interactions found, None without it; `shares` are those of the training
    rows at the nodes of the terms, see `NodeShares.to_flat`.
    """

    schema: Schema
    encoder: Encoder
    model: SoftmaxRegression
    path: Path | None
    terms: TermRecord | None = None
    shares: Float64Array | None = None


@dataclass(frozen=True, eq=False)
class TermSample:
    """Training rows on which terms are chosen: all of a table in memory, or a sample of a larger one.

    Attributes
    ----------
    table : pyarrow.Table
        The table.
    rows : array of int (n,) or None
        Its training rows; None for all.
    y : array of str (n,)
        Their labels.
    training : int
        Number of all training rows.
    weight : array of float64 (n,) or None
        Weights of the rows.
    offsets : Offsets or None
        Fixed part of their logits.
    """

    table: pa.Table
    rows: RowNumbers | None
    y: TextArray
    training: int
    weight: Float64Array | None = None
    offsets: Offsets | None = None

    def take(self, rows: IntArray) -> TermSample:
        """Return some of the rows, by their places (k,) among them."""
        numbers = rows if self.rows is None else self.rows[rows]
        offsets = None if self.offsets is None else Offsets(self.offsets.values[rows], self.offsets.classes)
        weight = None if self.weight is None else self.weight[rows]
        return TermSample(self.table, np.asarray(numbers), self.y[rows], self.training, weight, offsets)
