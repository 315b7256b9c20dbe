"""Reading tables for a command, without the rows that cannot be used where `--bad-rows skip` asks for that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from softreg.cli.console.command_errors import CommandError
from softreg.cli.console.progress_bars import print_message
from softreg.cli.console.skipped_rows import MAX_LISTED, print_skipped_rows
from softreg.tables import OpenTable, ReadOptions, TableError, open_table, without_bad_rows
from softreg.tables.columns.errors import plural
from softreg.tables.encode.encoder import Encoder
from softreg.tables.row_selection.labelled_rows import unlabelled_note
from softreg.tables.schema.kinds import asked_kinds
from softreg.tables.schema.target_labels import coded_labels


def open_source(data: Path, options: ReadOptions) -> OpenTable:
    """The table of a command, open; each choice that was made in reading it is said on stderr."""
    source = open_table(data, options=options)
    for note in source.notes:
        print_message(f"Note: {note}")
    return source


def read_training_table(
    source: OpenTable,
    target: str,
    drop: Sequence[str],
    asked: Mapping[str, Sequence[str]],
    options: ReadOptions,
    missing: str | None = None,
) -> tuple[pa.Table, NDArray[np.int64]]:
    """The table to fit a model to, and the number (n,) of each row in the input, from 1.

    Where bad rows are to be skipped, rows that cannot be used are left out, and named; so are rows without a label,
    unless `missing` is "error" (None where the command has no such option), which refuses them.

    `asked` has the names of the columns to be taken for a kind, by the kind.
    """
    table = source.read()
    everything = np.arange(table.num_rows)
    if options.bad_rows != "skip":
        return table, everything + 1
    try:
        lost = coded_labels(table, target, missing="drop")[1] < 0
    except TableError as error:
        if error.rows is None:
            raise
        lost = np.zeros(table.num_rows, dtype=bool)  # these rows are found among those that cannot be used
    numbers = source.input_rows(everything)
    if lost.any() and not lost.all():
        _print_unlabelled(numbers, lost, target, missing)
        table, numbers = table.filter(pa.array(~lost)), numbers[~lost]
    table, left_out = without_bad_rows(table, target, drop=drop, asked=asked_kinds(asked))
    gone = np.array(left_out, np.int64) - 1
    print_skipped_rows(source.skipped, numbers[gone].tolist(), files=len(source.readers))
    return table, np.delete(numbers, gone)


def _print_unlabelled(numbers: NDArray[np.int64], lost: NDArray[np.bool_], target: str, missing: str | None) -> None:
    """Say which rows have no label, by their numbers in the input; raises `CommandError` where `missing` is "error"."""
    found = numbers[lost].tolist()
    if missing == "error":
        some = ", ".join(f"{number:,}" for number in found[:MAX_LISTED])
        more = f" and {len(found) - MAX_LISTED:,} more" if len(found) > MAX_LISTED else ""
        raise CommandError(
            f"The target {target!r} has no label in {plural(len(found), 'row')}: {some}{more} (counted from 1, without "
            "the header). Give each row its label, or leave such rows out: --missing-target drop."
        )
    print_message(f"Note: {unlabelled_note(len(found), len(lost), found, target, option=missing is not None)}")


def read_evaluation_table(
    source: OpenTable, target: str, encoder: Encoder | None, options: ReadOptions, missing: str | None = None
) -> tuple[pa.Table, NDArray[np.int64]]:
    """The table to compare predictions with labels on, and the number (n,) of each row in the input, from 1.

    Rows without a label are left out, counted and said, unless `missing` is "error", and the caller refuses them; it is
    None where the command has no such option. Where bad rows are to be skipped,
    they are, too, and so are rows with a cell that `encoder` cannot encode. Raises `CommandError` where no row remains.
    """
    table = source.read()
    numbers = source.input_rows(np.arange(table.num_rows))
    skip = options.bad_rows == "skip"
    if missing == "error" and not skip:
        return table, numbers
    lost = coded_labels(table, target, missing="drop")[1] < 0
    bad = encoder.bad(table) if encoder is not None and skip else np.zeros(table.num_rows, dtype=bool)
    gone = lost | bad
    if gone.all():
        other = ", or holds a value that is not of its column's kind" if skip else ""
        raise CommandError(
            f"None of the {len(gone):,} rows can be used: each lacks a label in {target!r}{other}. Is it the right "
            "column?"
        )
    if lost.any():
        _print_unlabelled(numbers, lost, target, missing)
    if skip:
        print_skipped_rows(source.skipped, numbers[bad & ~lost].tolist(), files=len(source.readers))
    return (table, numbers) if not gone.any() else (table.filter(pa.array(~gone)), numbers[~gone])
