"""Read the table of a command, without unusable rows under `--bad-rows skip`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from softreg.cli.console.command_errors import CommandError
from softreg.cli.console.messages import print_note
from softreg.cli.console.skipped_rows import MAX_LISTED, print_skipped_rows
from softreg.tables import OpenTable, ReadOptions, TableError, open_table, without_bad_rows
from softreg.tables.columns.table_errors import pluralize
from softreg.tables.encode.encoder import Encoder
from softreg.tables.images.image_form import has_images
from softreg.tables.row_selection.labelled_rows import unlabelled_note
from softreg.tables.schema.kinds import requested_kinds
from softreg.tables.schema.target_labels import coded_labels
from softreg.typing import BoolArray, Codes


def open_source(data: Path, options: ReadOptions) -> OpenTable:
    """Open the table of a command, and print notes on how it is read."""
    source = open_table(data, options=options)
    for note in source.notes:
        print_note(note)
    return source


def read_training_table(
    source: OpenTable,
    target: str,
    drop: Sequence[str],
    asked: Mapping[str, Sequence[str]],
    options: ReadOptions,
    missing: str | None = None,
) -> tuple[pa.Table, Codes]:
    """Read the table to fit a model to.

    With `options.bad_rows` "skip", rows that cannot be used and rows without a label are left out, with a message.

    Parameters
    ----------
    source : OpenTable
        The open table.
    target : str
        Column of labels.
    drop : sequence of str
        Columns to leave out.
    asked : mapping of str to sequence of str
        Columns of a given kind, by the kind.
    options : ReadOptions
        Options of reading.
    missing : {"error", "drop"} or None
        Whether rows without a label are an error; None where the command has no such option.

    Returns
    -------
    table : pyarrow.Table
        The rows.
    numbers : array of shape (n,)
        Number of each row in the input, from 1.

    Raises
    ------
    CommandError
        If `missing` is "error" and a label is missing.
    TableError
        If the labels cannot be read.
    """
    table = source.read()
    all_rows = np.arange(table.num_rows)
    if options.bad_rows != "skip":
        return table, all_rows + 1
    try:
        unlabelled = coded_labels(table, target, missing="drop")[1] < 0
    except TableError as error:
        if error.rows is None:
            raise
        unlabelled = np.zeros(table.num_rows, dtype=bool)  # they are among the rows that cannot be used
    numbers = source.input_rows(all_rows)
    if unlabelled.any() and not unlabelled.all():
        _print_unlabelled(numbers, unlabelled, target, missing)
        table, numbers = table.filter(pa.array(~unlabelled)), numbers[~unlabelled]
    table, left_out = without_bad_rows(table, target, drop=drop, kinds=requested_kinds(asked))
    removed = np.array(left_out, np.int64) - 1
    print_skipped_rows(
        source.skipped, numbers[removed].tolist(), files=len(source.readers), reasons=has_images(source.schema)
    )
    return table, np.delete(numbers, removed)


def _print_skipped(source: OpenTable, left_out: Codes) -> None:
    """Print which rows could not be read, or hold invalid values, by their numbers in the input."""
    reasons = has_images(source.schema)
    print_skipped_rows(source.skipped, left_out.tolist(), files=len(source.readers), reasons=reasons)


def _print_unlabelled(numbers: Codes, unlabelled: BoolArray, target: str, missing: str | None) -> None:
    """Print which rows have no label, by their numbers in the input; with `missing` "error", raise `CommandError`."""
    rows = numbers[unlabelled].tolist()
    if missing == "error":
        some = ", ".join(f"{number:,}" for number in rows[:MAX_LISTED])
        more = f" and {len(rows) - MAX_LISTED:,} more" if len(rows) > MAX_LISTED else ""
        raise CommandError(
            f"The target {target!r} has no label in {pluralize(len(rows), 'row')}: {some}{more} (counted from "
            f"1, without "
            "the header). Give each row its label, or leave such rows out: --missing-target drop."
        )
    print_note(unlabelled_note(len(rows), len(unlabelled), rows, target, option=missing is not None))


def read_evaluation_table(
    source: OpenTable, target: str, encoder: Encoder | None, options: ReadOptions, missing: str | None = None
) -> tuple[pa.Table, Codes]:
    """Read the table to evaluate predictions on.

    Rows without a label are left out, with a message, unless `missing` is "error". With `options.bad_rows` "skip", rows
    with a cell that `encoder` cannot encode are left out too.

    Parameters
    ----------
    source : OpenTable
        The open table.
    target : str
        Column of labels.
    encoder : Encoder or None
        Encoder of the model.
    options : ReadOptions
        Options of reading.
    missing : {"error", "drop"} or None
        Whether rows without a label are an error, which the caller raises; None where the command has no such option.

    Returns
    -------
    table : pyarrow.Table
        The rows.
    numbers : array of shape (n,)
        Number of each row in the input, from 1.

    Raises
    ------
    CommandError
        If no row remains.
    """
    table = source.read()
    numbers = source.input_rows(np.arange(table.num_rows))
    skip = options.bad_rows == "skip"
    if missing == "error" and not skip:
        return table, numbers
    unlabelled = coded_labels(table, target, missing="drop")[1] < 0
    bad = encoder.invalid_rows(table) if encoder is not None and skip else np.zeros(table.num_rows, dtype=bool)
    removed = unlabelled | bad
    if removed.all():
        other = ", or holds a value that is not of its column's kind" if skip else ""
        raise CommandError(
            f"None of the {len(removed):,} rows can be used: each lacks a label in {target!r}{other}. Is it the right "
            "column?"
        )
    if unlabelled.any():
        _print_unlabelled(numbers, unlabelled, target, missing)
    if skip:
        print_skipped_rows(
            source.skipped,
            numbers[bad & ~unlabelled].tolist(),
            files=len(source.readers),
            reasons=has_images(source.schema),
        )
    return (table, numbers) if not removed.any() else (table.filter(pa.array(~removed)), numbers[~removed])
