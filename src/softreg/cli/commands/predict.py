"""`softreg predict`: class probabilities and the most likely label for each row of a table."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import pyarrow as pa

from softreg.cli.console.command_errors import CommandError
from softreg.cli.console.messages import print_message
from softreg.cli.console.output_files import check_writable, refuse_inputs
from softreg.cli.console.skipped_rows import print_skipped_rows
from softreg.cli.options.column_arguments import select_columns
from softreg.cli.options.decision_threshold import Threshold
from softreg.models.serialization.model_file import Stored, read_model
from softreg.tables.columns.errors import TableWarning
from softreg.tables.columns.row_location import input_row_numbers
from softreg.tables.columns.unseen_values import UnseenValues
from softreg.tables.fit.predictor import TablePredictor, drop_invalid_rows, wanted_columns
from softreg.tables.io.open_table import OpenTable, open_table
from softreg.tables.io.prediction_writer import prediction_sink, writing_predictions
from softreg.tables.read_options import ReadOptions

OUTPUT_ENDINGS = (".csv", ".tsv", ".parquet", ".pq", ".parq", ".arrow", ".feather")
STANDARD_OUTPUT = Path("-")
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


@dataclass(frozen=True)
class Output:
    """What `softreg predict` writes; its fields are named as the options are."""

    output: Path | None
    """None for CSV on stdout."""
    keep: tuple[str, ...] = ()
    keep_target: bool = False
    threshold: str | None = None


def predict_table(model_path: Path, data: Path, wanted: Output, *, reading: ReadOptions) -> None:
    """Predict every row of `data`, batch by batch; to a file, or as CSV to stdout."""
    output = None if wanted.output == STANDARD_OUTPUT else wanted.output
    check_writable(output, OUTPUT_ENDINGS, "--output")
    skip = reading.bad_rows == "skip"
    predictor = _predictor(model_path, skip)
    rule = None if wanted.threshold is None else Threshold.parsed(wanted.threshold, predictor.classes)
    table = open_table(data, options=reading)
    for note in table.notes:
        print_message(f"Note: {note}")
    refuse_inputs(output, "--output", [model_path, *table.paths])
    kept = _kept_columns(wanted, table, predictor.target)
    rows = 0
    sink: AbstractContextManager[Callable[..., None]]
    stdout = _Stdout()
    columns = pa.schema([table.schema.field(name) for name in kept]) if kept else None
    if output is None:
        sink = prediction_sink(stdout, predictor.classes, rows=skip, kept=columns)
    else:
        sink = writing_predictions(output, predictor.classes, rows=skip, kept=columns)
    with sink as write:
        for batch, P in predictor.predictions(table, kept):
            rows += len(P)
            predicted = None if rule is None else rule.codes(P)
            write(P, input_row_numbers(batch), kept=batch.select(kept) if kept else None, predicted=predicted)
    stdout.send()
    if rows == 0 and not predictor.left_out and not table.skipped:
        raise CommandError(f"{str(data)!r} has columns but no rows; there is nothing to predict.")
    if output is not None:
        print_message(f"{rows:,} predictions: {output}")
    print_skipped_rows(table.skipped, predictor.left_out, files=len(table.readers))


def _kept_columns(wanted: Output, table: OpenTable, target: str | None) -> list[str]:
    """The columns of the input that are written beside the predictions."""
    kept = select_columns(wanted.keep, table.names, "--keep")
    if wanted.keep_target:
        if target is None:
            raise CommandError(
                "--keep-target: a model saved from Python does not know the name of the column of labels; name it: "
                "--keep COLUMN."
            )
        kept += select_columns((target,), table.names, "--keep-target")
    return list(dict.fromkeys(kept))


@dataclass
class _Predictor:
    """The classes, the column of labels (None where it is not known), and what gives the probabilities of a table."""

    classes: Any
    target: str | None
    predict: Callable[[OpenTable, list[str]], Iterator[tuple[Any, Any]]]
    """From a table and the columns to be kept, batches with their probabilities."""
    left_out: list[int] = field(default_factory=list)
    """The numbers of rows that hold a value which is not of its column's kind."""

    def predictions(self, table: OpenTable, kept: list[str]) -> Iterator[tuple[Any, Any]]:
        """The batches of a table, with the columns `kept`, and their probabilities."""
        return self.predict(table, kept)


def _predictor(path: Path, skip: bool) -> _Predictor:
    """What predicts, from a model file."""
    stored = _stored(path)
    light = None
    if stored is not None and stored.kind == "table":
        with suppress(KeyError, TypeError, ValueError, AttributeError, IndexError):  # `load_model` tells what is wrong
            light = TablePredictor.from_state(stored.arrays, stored.metadata)
    if light is not None:
        left_out: list[int] = []

        def table_model(table: OpenTable, kept: list[str]) -> Iterator[tuple[Any, Any]]:
            for message in light.schema.match(table.names):
                warnings.warn(message, TableWarning, stacklevel=2)
            columns = list(dict.fromkeys([*wanted_columns(light.schema, table), *kept]))
            unseen = UnseenValues()
            for batch in drop_invalid_rows(light.encoder, table.batches(columns), left_out if skip else None):
                yield batch, light.probabilities(batch, unseen)
            for message in unseen.messages():
                warnings.warn(message, TableWarning, stacklevel=2)

        return _Predictor(light.classes, light.schema.target, table_model, left_out)
    from softreg.cli.data.load_model import load_model

    model = load_model(path)

    def regression(table: OpenTable, kept: list[str]) -> Iterator[tuple[Any, Any]]:
        for batch in table.batches():
            yield batch, model.probabilities(pa.Table.from_batches([batch]))

    return _Predictor(model.classes, model.schema.target if model.schema else None, regression)


def _stored(path: Path) -> Stored | None:
    """What the model file holds; None where the path is no file, of which `load_model` tells."""
    return read_model(path) if path.is_file() else None
