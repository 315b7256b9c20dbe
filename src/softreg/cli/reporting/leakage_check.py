"""What single columns tell of the label, where the model explains so much that one of them may determine it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from softreg.cli.reporting.build_report import column_informations
from softreg.probability import Classes
from softreg.report import Audit

if TYPE_CHECKING:
    import pyarrow as pa

    from softreg.tables import TableClassifier

MAX_CELLS, MIN_ROWS = 300_000, 300
"""Cells of the training rows that the information of single columns is estimated from, at most, and rows at least."""
MIN_SKILL = 0.7
"""Share of the entropy that the model has to explain: with less, no column that it uses almost determines the label."""


def leakage_information(
    found: Audit,
    classifier: TableClassifier,
    table: pa.Table,
    rows: NDArray[np.int64],
    labels: NDArray[np.str_],
) -> list[tuple[str, float]]:
    """What each column tells of the label alone, in nats, from training rows (k,) with labels (k,).

    Nothing where the model explains less than `MIN_SKILL` of the entropy.
    """
    if not found.skill >= MIN_SKILL:
        return []
    columns = classifier.schema_.describe()
    step = max(1, min(len(rows) * len(columns) // MAX_CELLS, len(rows) // MIN_ROWS))
    codes = Classes(labels[::step]).encode(labels[::step])
    return column_informations(table, rows[::step], codes, columns)
