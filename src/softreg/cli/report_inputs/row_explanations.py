"""Largest contributions of columns to the predictions of rows, for the report."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from softreg.models import explain
from softreg.tables import TableClassifier
from softreg.typing import Codes

if TYPE_CHECKING:
    import pyarrow as pa

MAX_BASELINE_ROWS = 5_000
"""Rows whose mean is the baseline."""
MAX_CONTRIBUTIONS = 2
"""Columns that are listed for a row."""
RowExplainer = Callable[[Codes], list[str]]
"""Function from indices of rows to their contributions as text."""


def row_explainer(classifier: TableClassifier, table: pa.Table, rows: Codes) -> RowExplainer:
    """Return a function that lists the columns with the largest contributions to the predictions of rows.

    Parameters
    ----------
    classifier : TableClassifier
        The model.
    table : pyarrow.Table
        The table.
    rows : array of shape (n,)
        Indices of rows whose mean is the baseline; of many, a sample is used.

    Returns
    -------
    callable
        Function from indices of rows to texts. A contribution is to the log-odds of the predicted class against the
        second most likely one; features of a column are summed.
    """
    encoder, model = classifier.encoder_, classifier.model_
    sample = rows[np.linspace(0, len(rows) - 1, min(MAX_BASELINE_ROWS, len(rows))).astype(np.int64)]
    baseline = np.asarray(encoder.encode(table, sample).mean(axis=0), dtype=np.float64).ravel()
    starts = np.cumsum([0, *(len(code.features) for code in encoder.column_encoders)]).tolist()

    def explain_rows(chosen: Codes) -> list[str]:
        if len(chosen) == 0:
            return []
        odds = explain(model, encoder.encode(table, chosen), baseline=baseline).log_odds
        contributions = np.column_stack([odds[:, a:b].sum(axis=1) for a, b in pairwise(starts)])  # (n, columns)
        order = np.argsort(-np.abs(contributions), axis=1, kind="stable")[:, :MAX_CONTRIBUTIONS]
        return [
            ", ".join(f"{encoder.column_encoders[j].name} {line[j]:+.1f}".replace("-", "−") for j in first if line[j])
            for line, first in zip(contributions, order, strict=True)
        ]

    return explain_rows
