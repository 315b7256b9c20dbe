"""Warnings about an evaluation, on stderr, in the sentences of the report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from softreg.cli.console import warn
from softreg.cli.pages import information
from softreg.probability import Classes, entropy
from softreg.report import Audit
from softreg.report.answers import trusted
from softreg.report.leakage import leakage
from softreg.report.verdict import verdict

if TYPE_CHECKING:
    import pyarrow as pa

    from softreg.tables import TableClassifier

MOST_CELLS, FEWEST_ROWS = 300_000, 300
"""Cells of the training rows that the information of single columns is estimated from, at most, and rows at least."""
SINGLE = ("number", "boolean", "category")
"""Kinds of columns whose information is estimated."""
LEAST_SKILL = 0.7
"""Share of the entropy that the model has to explain: with less, no column that it uses almost determines the label."""


def warn_of_calibration(found: Audit) -> None:
    """Say where the probabilities are off by more than a little."""
    if verdict(found).good is False:
        warn(trusted(found)[0])


def warn_of_leakage(
    found: Audit,
    classifier: TableClassifier,
    table: pa.Table,
    rows: NDArray[np.int64],
    labels: NDArray[np.str_],
) -> None:
    """Say which columns almost determine the label, by their information in training rows (k,) with labels (k,)."""
    if found.skill < LEAST_SKILL:
        return
    columns = [column for column in classifier.schema_.describe() if column[1] in SINGLE]
    step = max(1, min(len(rows) * len(columns) // MOST_CELLS, len(rows) // FEWEST_ROWS))
    codes = Classes(labels[::step]).encode(labels[::step])
    counts = np.bincount(codes)
    said = leakage(information(table, rows[::step], codes, columns), float(entropy(counts / counts.sum())))
    if said:
        warn(said)
