"""Mutual information of single columns and the label, for the report and for warnings of leakage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from softreg.probability import Classes, column_information
from softreg.report import Audit
from softreg.tables.columns.column_values import as_text
from softreg.tables.schema.typed_values import read_inferred_numbers
from softreg.typing import Codes, TextArray

if TYPE_CHECKING:
    import pyarrow as pa

    from softreg.tables import TableClassifier

MAX_CELLS = 300_000
"""Cells of training rows, at most, from which leakage is detected."""
MIN_ROWS = 300
"""Rows, at least, from which leakage is detected."""
MIN_SKILL = 0.7
"""Share of the entropy that the model explains from which a column may almost determine the label."""


def column_informations(
    table: pa.Table, places: Codes, codes: Codes, columns: Sequence[tuple[str, str, str]]
) -> list[tuple[str, float]]:
    """Estimate the mutual information of each column and the label.

    Parameters
    ----------
    table : pyarrow.Table
        The table.
    places : array of shape (n,)
        Indices of the rows to use.
    codes : array of shape (n,)
        Classes of these rows.
    columns : sequence of (str, str, str)
        Name, kind and reason of the kind of each column; others than numbers, booleans and categories are left out.

    Returns
    -------
    list of (str, float)
        Name of each column, and its information in nats.
    """
    import pyarrow.compute as pc

    informations = []
    for name, kind, _ in columns:
        if kind not in ("number", "boolean", "category") or name not in table.column_names:
            continue
        column = table.column(name).take(places)
        if kind == "number":
            informations.append((name, column_information(read_inferred_numbers(name, column), codes)))
        else:
            levels = pc.fill_null(as_text(column, name), "")
            informations.append((name, column_information(np.asarray(levels.to_pylist(), dtype=str), codes)))
    return informations


def leakage_information(
    audit: Audit, classifier: TableClassifier, table: pa.Table, rows: Codes, labels: TextArray
) -> list[tuple[str, float]]:
    """Estimate the information of columns if the model explains so much that one of them may leak the label.

    Parameters
    ----------
    audit : Audit
        Evaluation of the model.
    classifier : TableClassifier
        The model.
    table : pyarrow.Table
        Table with the training rows.
    rows : array of shape (k,)
        Indices of the training rows.
    labels : array of str of shape (k,)
        Their labels.

    Returns
    -------
    list of (str, float)
        Name of each column, and its information in nats; empty if the model explains less than `MIN_SKILL`.
    """
    if not audit.skill >= MIN_SKILL:
        return []
    columns = classifier.schema_.describe()
    step = max(1, min(len(rows) * len(columns) // MAX_CELLS, len(rows) // MIN_ROWS))
    codes = Classes(labels[::step]).encode(labels[::step])
    return column_informations(table, rows[::step], codes, columns)
