"""Largest contributions of columns to the predictions of rows, for the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa

from softreg.cli.report_inputs.term_pictures import has_terms
from softreg.models import explain
from softreg.tables import TableClassifier
from softreg.typing import Codes, Float64Array

MAX_BASELINE_ROWS = 5_000
"""Rows whose mean is the baseline."""
MAX_CONTRIBUTIONS = 2
"""Columns that are listed for a row."""
RowExplainer = Callable[[Codes], list[str]]
"""Function from indices of rows to their contributions as text."""


@dataclass(frozen=True)
class _Contributions:
    """Names of columns and interactions (t,), and a function from rows (n,) to their contributions (n, t)."""

    names: list[str]
    of_rows: Callable[[Codes], Float64Array]


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
        second most likely one; features of a column or interaction are summed.
    """
    sample = rows[np.linspace(0, len(rows) - 1, min(MAX_BASELINE_ROWS, len(rows))).astype(np.int64)]
    contributions = (_of_terms if has_terms(classifier) else _of_features)(classifier, table, sample)

    def explain_rows(chosen: Codes) -> list[str]:
        if len(chosen) == 0:
            return []
        parts = contributions.of_rows(chosen)  # (n, columns)
        order = np.argsort(-np.abs(parts), axis=1, kind="stable")[:, :MAX_CONTRIBUTIONS]
        return [
            ", ".join(f"{contributions.names[j]} {line[j]:+.1f}".replace("-", "−") for j in first if line[j])
            for line, first in zip(parts, order, strict=True)
        ]

    return explain_rows


def _of_features(classifier: TableClassifier, table: pa.Table, sample: Codes) -> _Contributions:
    """Return the columns, and their contributions relative to the mean of the sample."""
    encoder, model = classifier.encoder_, classifier.model_
    baseline = np.asarray(encoder.encode(table, sample).mean(axis=0), dtype=np.float64).ravel()
    starts = np.cumsum([0, *(code.width for code in encoder.parts)]).tolist()

    def of_rows(chosen: Codes) -> Float64Array:
        odds = explain(model, encoder.encode(table, chosen), baseline=baseline).log_odds
        return np.column_stack([odds[:, a:b].sum(axis=1) for a, b in pairwise(starts)])

    return _Contributions([code.name for code in encoder.parts], of_rows)


def _of_terms(classifier: TableClassifier, table: pa.Table, sample: Codes) -> _Contributions:
    """Return columns and interactions, and their contributions as purified functions centred over the sample."""
    functions = classifier.term_functions(table.take(pa.array(sample)))

    def of_rows(chosen: Codes) -> Float64Array:
        values = functions.contributions(table.take(pa.array(chosen)))  # (n, terms, k)
        logits = functions.bias + values.sum(axis=1)
        at = np.arange(len(chosen))
        if logits.shape[1] == 1:
            return values[:, :, 0] * np.where(logits >= 0, 1.0, -1.0)
        order = np.argsort(-logits, axis=1, kind="stable")
        return values[at, :, order[:, 0]] - values[at, :, order[:, 1]]

    return _Contributions(list(functions.names), of_rows)
