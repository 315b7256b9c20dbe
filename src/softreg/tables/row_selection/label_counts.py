"""Counts of the labels of consecutive rows, which are merged over the batches or fragments of a table."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from softreg.tables.columns.row_location import RowLocation
from softreg.tables.row_selection.weight_column import weight_column
from softreg.tables.schema.target_labels import coded_labels
from softreg.typing import Int64Array, RowNumbers


@dataclass(frozen=True)
class LabelColumns:
    """Where labels and weights are read.

    Attributes
    ----------
    target : str
        Column of labels.
    weights : str or None
        Column of weights; rows of weight 0 have no label.
    missing : {"drop", "error"}
        Whether rows without a label have none, or are an error.
    """

    target: str
    weights: str | None = None
    missing: str = "drop"

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return [self.target] if self.weights in (None, self.target) else [self.target, str(self.weights)]

    def read(self, table: pa.Table, location: RowLocation) -> RowLabels:
        """Return the labels of some rows.

        Parameters
        ----------
        table : pyarrow.Table
            The rows.
        location : RowLocation
            Their location, for messages.

        Returns
        -------
        RowLabels
            Labels.

        Raises
        ------
        TableError
            If a label or weight is refused.
        """
        values, codes = coded_labels(table, self.target, location, missing=self.missing)
        unlabelled = int((codes < 0).sum())
        if self.weights is None:
            return RowLabels(values, codes, unlabelled, False)
        weight = weight_column(table, self.weights, self.target, location)
        return RowLabels(values, np.where(weight > 0, codes, -1), unlabelled, bool(weight.any()))


@dataclass(frozen=True, eq=False)
class RowLabels:
    """Labels of some rows.

    Attributes
    ----------
    values : list of str
        Distinct labels.
    codes : array of int (n,)
        Position of the label of each row in `values`; -1 for a row without a label or of weight 0.
    unlabelled : int
        Rows without a label.
    any_weight : bool
        Whether some weight is above 0.
    """

    values: list[str]
    codes: Int64Array
    unlabelled: int
    any_weight: bool


@dataclass
class LabelCounts:
    """Counts of the labels of consecutive rows.

    Attributes
    ----------
    rows : int
        Number of rows.
    counts, first_rows : dict of str to int
        Rows of each label, and the number of its first row.
    left_out : list of array of int
        Numbers of the rows without a label or of weight 0.
    unlabelled : int
        Rows without a label.
    any_weight : bool
        Whether some weight is above 0.
    """

    rows: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    first_rows: dict[str, int] = field(default_factory=dict)
    left_out: list[RowNumbers] = field(default_factory=list)
    unlabelled: int = 0
    any_weight: bool = False

    def add(self, labels: RowLabels, first: int) -> None:
        """Count the labels of some rows, the first of which has the number `first`."""
        self.rows += len(labels.codes)
        self.unlabelled += labels.unlabelled
        self.any_weight |= labels.any_weight
        if (labels.codes < 0).any():
            self.left_out.append(np.flatnonzero(labels.codes < 0) + first)
        found, positions, counts = np.unique(labels.codes, return_index=True, return_counts=True)
        for code, position, count in zip(found.tolist(), positions.tolist(), counts.tolist(), strict=True):
            if code >= 0:
                label = labels.values[code]
                self.first_rows.setdefault(label, first + position)
                self.counts[label] = self.counts.get(label, 0) + count


def add_counts(totals: dict[str, int], counts: dict[str, int]) -> None:
    """Add the counts of labels to totals."""
    for label, count in counts.items():
        totals[label] = totals.get(label, 0) + count
