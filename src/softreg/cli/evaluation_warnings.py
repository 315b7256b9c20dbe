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

MOST_ROWS = 20_000
"""Training rows that the information of single columns is estimated from."""


def warn_of_calibration(found: Audit) -> None:
    """Say where the probabilities are off by more than a little."""
    if verdict(found).good is False:
        warn(trusted(found)[0])


def warn_of_leakage(
    classifier: TableClassifier, table: pa.Table, rows: NDArray[np.int64], labels: NDArray[np.str_]
) -> None:
    """Say which columns almost determine the label, by their information in training rows (k,) with labels (k,)."""
    step = -(-len(rows) // MOST_ROWS)
    codes = Classes(labels[::step]).encode(labels[::step])
    counts = np.bincount(codes)
    alone = information(table, rows[::step], codes, classifier.schema_.describe())
    said = leakage(alone, float(entropy(counts / counts.sum())))
    if said:
        warn(said)
