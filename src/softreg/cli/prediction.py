"""`softreg predict`: class probabilities and the most likely label for each row of a table."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import click

from softreg.cli.boundary import Complaint
from softreg.cli.console import check_writable, refuse_inputs, say
from softreg.models.storage import Stored, read_model
from softreg.tables.errors import TableWarning
from softreg.tables.predicting import TablePredictor, usable, wanted_columns
from softreg.tables.read_options import ReadOptions
from softreg.tables.reader import OpenTable, open_table
from softreg.tables.unseen import UnseenLevels
from softreg.tables.where import numbers_of
from softreg.tables.writer import prediction_sink, writing_predictions

OUTPUT_ENDINGS = (".csv", ".tsv", ".parquet", ".pq", ".parq", ".arrow", ".feather")
MOST_LISTED = 10
PART = 1 << 20


class _Stdout(io.RawIOBase):
    """Stdout as click writes to it, at once and in large parts, so that a full disk is told here."""

    def __init__(self) -> None:
        self.held = bytearray()

    def writable(self) -> bool:
        """Yes."""
        return True

    def write(self, data: Any) -> int:
        """Take some bytes."""
        self.held += bytes(data)
        if len(self.held) > PART:
            self.send()
        return len(data)

    def send(self) -> None:
        """Write what is held."""
        held, self.held = bytes(self.held), bytearray()
        if held:
            click.echo(held, nl=False)


def predict_table(model_path: Path, data: Path, output: Path | None, *, reading: ReadOptions) -> None:
    """Predict every row of `data`, batch by batch; to `output`, or as CSV to stdout."""
    check_writable(output, OUTPUT_ENDINGS, "--output")
    skip = reading.bad_rows == "skip"
    classes, left_out, predicted = _predictor(model_path, skip)
    table = open_table(data, options=reading)
    for note in table.notes:
        say(f"Note: {note}")
    refuse_inputs(output, "--output", [model_path, *table.paths])
    rows = 0
    sink: AbstractContextManager[Callable[..., None]]
    stdout = _Stdout()
    if output is None:
        sink = prediction_sink(stdout, classes, rows=skip)
    else:
        sink = writing_predictions(output, classes, rows=skip)
    with sink as write:
        for P, numbers in predicted(table):
            rows += len(P)
            write(P, numbers)
    stdout.send()
    if rows == 0 and not left_out and not table.skipped:
        raise Complaint(f"{str(data)!r} has columns but no rows; there is nothing to predict.")
    if output is not None:
        say(f"{rows:,} predictions: {output}")
    tell_skipped(table.skipped, left_out, files=len(table.readers))


def _predictor(path: Path, skip: bool) -> tuple[Any, list[int], Callable[[OpenTable], Iterator[Any]]]:
    """The classes, the rows that will be left out, and what gives the probabilities and row numbers of each batch."""
    left_out: list[int] = []
    stored = _stored(path)
    light = None
    if stored is not None and stored.kind == "table":
        with suppress(KeyError, TypeError, ValueError, AttributeError, IndexError):  # `load_model` tells what is wrong
            light = TablePredictor.from_state(stored.arrays, stored.metadata)
    if light is not None:

        def table_model(table: OpenTable) -> Iterator[Any]:
            for message in light.schema.match(table.names):
                warnings.warn(message, TableWarning, stacklevel=2)
            batches = table.batches(wanted_columns(light.schema, table))
            unseen = UnseenLevels()
            for batch in usable(light.encoder, batches, left_out if skip else None):
                yield light.probabilities(batch, unseen), numbers_of(batch)
            for message in unseen.messages():
                warnings.warn(message, TableWarning, stacklevel=2)

        return light.classes, left_out, table_model
    from softreg.cli.loading import load_model

    model = load_model(path)

    def regression(table: OpenTable) -> Iterator[Any]:
        for batch in table.batches():
            import pyarrow as pa

            yield model.probabilities(pa.Table.from_batches([batch])), numbers_of(batch)

    return model.classes, left_out, regression


def _stored(path: Path) -> Stored | None:
    """What the model file holds; None where the path is no file, of which `load_model` tells."""
    return read_model(path) if path.is_file() else None


def tell_skipped(skipped: list[tuple[str, int, str]], left_out: list[int], files: int = 1) -> None:
    """Say on stderr which rows were left out, and why; `files` is the number of files that were read."""
    if skipped:
        some = "; ".join(
            f"row {row:,}{f' of {file!r}' if files > 1 else ''} ({text[:60]!r})"
            for file, row, text in skipped[:MOST_LISTED]
        )
        more = f"; and {len(skipped) - MOST_LISTED:,} more" if len(skipped) > MOST_LISTED else ""
        say(f"{len(skipped):,} rows could not be read and were left out: {some}{more}")
    if left_out:
        some = ", ".join(f"{row:,}" for row in left_out[:MOST_LISTED])
        more = f" and {len(left_out) - MOST_LISTED:,} more" if len(left_out) > MOST_LISTED else ""
        say(f"{len(left_out):,} rows hold a value that is not of its column's kind and were left out: {some}{more}")
