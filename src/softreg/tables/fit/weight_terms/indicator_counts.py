"""Levels and missing values without penalty whose weights have no finite optimum, as they separate classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from softreg.tables.columns.table_errors import quote
from softreg.tables.encode.boolean_encoder import BooleanEncoder
from softreg.tables.encode.category_encoder import CategoryEncoder
from softreg.tables.encode.encoder import Encoder
from softreg.tables.encode.list_column_encoders import TagsEncoder
from softreg.tables.encode.number_encoder import NumberEncoder
from softreg.tables.fit.weight_terms.column_constraints import first_features
from softreg.typing import Array, Float64Array

MAX_NAMED = 6
"""Indicators that a warning names."""


@dataclass
class IndicatorCounts:
    """Rows of each class in which indicators (levels, missing values) without penalty are set.

    A weight without penalty has no finite optimum if its indicator is set in no row of a class, or in all rows of a
    class and not in all rows: the probability of this class then tends to 0 on one side.

    Attributes
    ----------
    features : array of int (k,)
        Positions of the indicators among the columns of X.
    names : tuple of str (k,)
        Their names.
    """

    features: Array
    names: tuple[str, ...]
    counts: dict[str, Float64Array] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, encoder: Encoder, columns: Sequence[str]) -> IndicatorCounts:
        """Return the counts of no rows, for the indicators of some columns."""
        names, positions = encoder.feature_names_out, list[int]()
        for code, first in first_features(encoder):
            if code.name not in columns:
                continue
            skipped = code.width - code.missing if isinstance(code, NumberEncoder) else 0
            if isinstance(code, NumberEncoder | BooleanEncoder | CategoryEncoder | TagsEncoder):
                positions += range(first + skipped, first + code.width)
        return cls(np.array(positions, dtype=np.int64), tuple(names[j] for j in positions))

    def add(self, X: Any, y: Array) -> None:
        """Count the rows of a matrix X (n, d) with the labels y (n,)."""
        if len(self.features) == 0:
            return
        part = X[:, self.features]
        for label in np.unique(y).tolist():
            rows_of_class = part[np.flatnonzero(y == label)]
            count = np.stack(
                [np.asarray(is_set.sum(axis=0)).ravel() for is_set in (rows_of_class != 0, rows_of_class == 1)]
            )
            self.counts[label] = self.counts.get(label, 0.0) + count
            self.rows[label] = self.rows.get(label, 0) + rows_of_class.shape[0]

    def merge(self, later: IndicatorCounts) -> None:
        """Add the counts of the rows that follow."""
        for label, count in later.counts.items():
            self.counts[label] = self.counts.get(label, 0.0) + count
            self.rows[label] = self.rows.get(label, 0) + later.rows[label]

    def messages(self) -> list[str]:
        """Return a warning that names the indicators whose weights have no finite optimum; empty without any."""
        if not self.counts:
            return []
        rows = np.array(list(self.rows.values()))[:, None]
        set_rows, full_rows = np.stack(list(self.counts.values()), axis=1)  # (q, k) each
        some, every = set_rows.sum(axis=0) > 0, full_rows.sum(axis=0) == rows.sum()
        absent, always = (set_rows == 0) & some, (full_rows == rows) & ~every
        at = np.flatnonzero((absent | always).any(axis=0))
        if len(at) == 0:
            return []
        labels, named = list(self.counts), []
        for j in at[:MAX_NAMED].tolist():
            how, of_class = ("no", absent) if absent[:, j].any() else ("every", always)
            named.append(f"{self.names[j]} ({how} row of {quote(labels[int(of_class[:, j].argmax())])})")
        more = f" and {len(at) - MAX_NAMED:,} more" if len(at) > MAX_NAMED else ""
        return [
            f"without penalty, the weights of {', '.join(named)}{more} have no finite optimum, as they separate "
            "classes; they are only as large as the tolerance asks for. Penalise the column, or merge its levels"
        ]
