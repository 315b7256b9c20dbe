"""How the programs of a target are run in its real engine."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa

from softreg.export import Program
from softreg.export.program import InputKind


class Runner(Protocol):
    """A target and its engine.

    `refused` are the kinds of inputs that the target refuses, with `ExportError`.
    """

    name: str
    refused: frozenset[InputKind]

    def missing_engine(self) -> str | None:
        """Return why the engine cannot run here; None where it can."""

    def probabilities(self, program: Program, rows: pa.Table, folder: Path) -> np.ndarray:
        """Print the program, and return the probabilities (n, q) that the engine computes for the rows."""


def array_columns(program: Program, rows: pa.Table) -> pa.Table:
    """Rows of a model of arrays with a column for each element, as `Input.elements` names them."""
    for read in program.inputs:
        if read.elements:
            X = np.array(rows[read.name].to_pylist(), dtype=float)
            rows = rows.drop_columns([read.name])
            for j, name in enumerate(read.elements):
                rows = rows.append_column(name, pa.array(X[:, j]))
    return rows


def seconds(column: pa.ChunkedArray) -> list[float | None]:
    """Dates and times as seconds since 1970, None where missing."""
    values = column.cast(pa.timestamp("ms")).cast(pa.int64()).to_pylist()
    return [None if value is None else value / 1000 for value in values]
