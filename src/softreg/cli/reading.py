"""Reading tables for a command, without the rows that cannot be used where `--bad-rows skip` asks for that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from softreg.cli.boundary import Complaint
from softreg.cli.console import say
from softreg.cli.prediction import tell_skipped
from softreg.tables import OpenTable, ReadOptions, TableError, labels, open_table, without_bad_rows
from softreg.tables.encoder import Encoder
from softreg.tables.kinds import asked_kinds


def opened(data: Path, options: ReadOptions) -> OpenTable:
    """The table of a command, open; each choice that was made in reading it is said on stderr."""
    source = open_table(data, options=options)
    for note in source.notes:
        say(f"Note: {note}")
    return source


def read_to_fit(
    source: OpenTable, target: str, drop: Sequence[str], asked: Mapping[str, Sequence[str]], options: ReadOptions
) -> tuple[pa.Table, NDArray[np.int64]]:
    """The table to fit a model to, and the number (n,) of each row in the input, from 1.

    Where bad rows are to be skipped, rows that cannot be used are left out, and named.

    `asked` has the names of the columns to be taken for a kind, by the kind.
    """
    table = source.read()
    everything = np.arange(table.num_rows)
    if options.bad_rows != "skip":
        return table, everything + 1
    table, left_out = without_bad_rows(table, target, drop=drop, asked=asked_kinds(asked))
    gone = np.array(left_out, np.int64) - 1
    tell_skipped(source.skipped, source.input_rows(gone).tolist(), files=len(source.readers))
    return table, source.input_rows(np.delete(everything, gone))


def read_to_evaluate(
    source: OpenTable, target: str, encoder: Encoder | None, options: ReadOptions
) -> tuple[pa.Table, NDArray[np.int64]]:
    """The table to compare predictions with labels on, and the number (n,) of each row in the input, from 1.

    Where bad rows are to be skipped, rows without a label and rows with a cell that `encoder` cannot encode are left
    out, and named. Raises `Complaint` where no row remains.
    """
    table = source.read()
    everything = np.arange(table.num_rows)
    if options.bad_rows != "skip":
        return table, everything + 1
    bad = np.zeros(table.num_rows, dtype=bool) if encoder is None else encoder.bad(table)
    try:
        labels(table, target)
    except TableError as error:
        if error.rows is None:
            raise
        bad[error.rows] = True
    tell_skipped(source.skipped, source.input_rows(everything[bad]).tolist(), files=len(source.readers))
    if bad.all():
        raise Complaint(
            f"None of the {len(bad):,} rows can be used: each lacks a label in {target!r}, or holds a value that is "
            "not of its column's kind. Without --bad-rows skip, the first of them is named."
        )
    return table.filter(pa.array(~bad)), source.input_rows(everything[~bad])
