"""Why a row was predicted as it was, in a few words for the report."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from softreg.models import explain
from softreg.tables import TableClassifier

if TYPE_CHECKING:
    import pyarrow as pa

MOST = 5_000
"""Rows whose mean is what a row is compared with."""
MAX_CONTRIBUTIONS = 2
"""Columns that are named."""
RowExplainer = Callable[[NDArray[np.int64]], list[str]]


def row_explainer(classifier: TableClassifier, table: pa.Table, rows: NDArray[np.int64]) -> RowExplainer:
    """A function from row numbers to the columns that add most to the log-odds of the predicted class over the next.

    What a column adds is counted from the mean of `rows` (some of them, where they are many); its features go together.
    """
    encoder, model = classifier.encoder_, classifier.model_
    some = rows[np.linspace(0, len(rows) - 1, min(MOST, len(rows))).astype(np.int64)]
    baseline = np.asarray(encoder.encode(table, some).mean(axis=0), dtype=np.float64).ravel()
    starts = np.cumsum([0, *(len(code.features) for code in encoder.column_encoders)]).tolist()

    def told(chosen: NDArray[np.int64]) -> list[str]:
        if len(chosen) == 0:
            return []
        odds = explain(model, encoder.encode(table, chosen), baseline=baseline).log_odds
        added = np.column_stack([odds[:, a:b].sum(axis=1) for a, b in pairwise(starts)])  # (n, columns)
        order = np.argsort(-np.abs(added), axis=1, kind="stable")[:, :MAX_CONTRIBUTIONS]
        return [
            ", ".join(f"{encoder.column_encoders[j].name} {line[j]:+.1f}".replace("-", "−") for j in first if line[j])
            for line, first in zip(added, order, strict=True)
        ]

    return told
