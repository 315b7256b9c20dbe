"""`softreg predict`: class probabilities and the most likely label of each row of a table."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pyarrow as pa

from softreg.cli.console.command_errors import CommandError
from softreg.cli.console.messages import print_message, print_note
from softreg.cli.console.output_files import check_writable, refuse_inputs
from softreg.cli.console.skipped_rows import print_skipped_rows
from softreg.cli.data.predicting_models import PredictingModel, predicting_model, row_spans
from softreg.cli.options.column_arguments import select_columns
from softreg.cli.options.decision_threshold import ThresholdRule
from softreg.cli.options.predicted_classes import ChosenOption, TopOption, predicted_classes
from softreg.tables.columns.row_location import input_row_numbers
from softreg.tables.images.image_form import has_images, is_path_field, with_form
from softreg.tables.io.open_table import OpenTable, open_table
from softreg.tables.io.prediction_writer import prediction_sink, writing_predictions, writing_tables
from softreg.tables.read_options import ReadOptions
from softreg.tables.schema.input_kind import check_input_kind

OUTPUT_ENDINGS = (".csv", ".tsv", ".parquet", ".pq", ".parq", ".arrow", ".feather")
STANDARD_OUTPUT = Path("-")
WRITE_SIZE = 1 << 20
"""Bytes of the buffer of stdout."""


class _BufferedStdout(io.RawIOBase):
    """Binary stdout, written by click in large parts, so that errors of a full disk are raised here."""

    def __init__(self) -> None:
        self.buffer = bytearray()

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: Any) -> int:
        """Append bytes to the buffer, and write it when it is full."""
        self.buffer += bytes(data)
        if len(self.buffer) > WRITE_SIZE:
            self.write_buffer()
        return len(data)

    def write_buffer(self) -> None:
        """Write the buffer to stdout."""
        data, self.buffer = bytes(self.buffer), bytearray()
        if data:
            click.echo(data, nl=False)


@dataclass(frozen=True)
class PredictOptions:
    """Options of the output; the fields have the names of the options."""

    output: Path | None
    """None for CSV on stdout."""
    keep: tuple[str, ...] = ()
    keep_target: bool = False
    threshold: str | None = None
    interval: float | None = None
    top: int | None = None
    long: bool = False
    classes: tuple[str, ...] = ()


def predict_table(model_path: Path, data: Sequence[Path], options: PredictOptions, *, reading: ReadOptions) -> None:
    """Predict all rows of `data` in batches, and write the predictions to a file, or as CSV to stdout."""
    output = None if options.output == STANDARD_OUTPUT else options.output
    check_writable(output, OUTPUT_ENDINGS, "--output")
    skip = reading.bad_rows == "skip"
    predictor = predicting_model(model_path, skip, options.interval)
    given = {"--threshold": options.threshold, "--interval": options.interval}
    others = [name for name, value in given.items() if value is not None]
    some = predicted_classes(options.top, options.long, options.classes, predictor.classes, others=others)
    if options.threshold is not None:
        ThresholdRule.parse(options.threshold, predictor.classes)  # raises errors before the data are read
    table = open_table(data[0] if len(data) == 1 else list(data), options=with_form(reading, predictor.image_form))
    if predictor.features is not None:
        check_input_kind(
            predictor.features, table.schema, source=repr(str(data[0])), training=f"{model_path.name} was trained on"
        )
    for note in table.notes:
        print_note(note)
    refuse_inputs(output, "--output", [model_path, *table.paths])
    kept = _kept_columns(options, table, predictor.target)
    stdout = _BufferedStdout()
    columns = pa.schema([table.schema.field(name) for name in kept]) if kept else None
    destination = stdout if output is None else output
    if some is None:
        rows = _write_all_classes(predictor, table, kept, columns, destination, options, skip=skip)
    else:
        rows = _write_some_classes(some, predictor, table, kept, columns, destination, skip=skip)
    stdout.write_buffer()
    if rows == 0 and not predictor.left_out and not table.skipped:
        raise CommandError(f"{str(data[0])!r} has columns but no rows; there is nothing to predict.")
    if output is not None:
        print_message(f"{rows:,} predictions: {output}")
    print_skipped_rows(table.skipped, predictor.left_out, files=len(table.readers), reasons=has_images(table.schema))


def _write_all_classes(
    predictor: PredictingModel,
    table: OpenTable,
    kept: Sequence[str],
    columns: pa.Schema | None,
    destination: Path | _BufferedStdout,
    options: PredictOptions,
    *,
    skip: bool,
) -> int:
    """Write the prediction and the probability of each class, and return the number of rows."""
    rows, level, classes = 0, options.interval, predictor.classes
    rule = None if options.threshold is None else ThresholdRule.parse(options.threshold, classes)
    sink: AbstractContextManager[Callable[..., None]]
    if isinstance(destination, Path):
        sink = writing_predictions(destination, classes, rows=skip, kept=columns, intervals=level is not None)
    else:
        sink = prediction_sink(destination, classes, rows=skip, kept=columns, intervals=level is not None)
    with sink as write:
        for batch, X in predictor.encoded(table, kept):
            numbers, beside = input_row_numbers(batch), batch.select(kept) if kept else None
            for span in row_spans(batch.num_rows, len(classes)):
                P = predictor.probabilities(batch, X, span)
                limits = None if level is None else predictor.limits(batch, X, span, level)
                predicted = None if rule is None else rule.codes(P)
                columns_kept = None if beside is None else beside.slice(span.start, len(P))
                write(P, numbers[span], kept=columns_kept, predicted=predicted, limits=limits)
                rows += len(P)
    return rows


def _write_some_classes(
    some: TopOption | ChosenOption,
    predictor: PredictingModel,
    table: OpenTable,
    kept: Sequence[str],
    columns: pa.Schema | None,
    destination: Path | _BufferedStdout,
    *,
    skip: bool,
) -> int:
    """Write the most likely or the chosen classes, and return the number of rows."""
    rows, schema = 0, some.schema(columns, rows=skip)
    with writing_tables(destination, schema) as write:
        for batch, X in predictor.encoded(table, kept):
            if batch.num_rows == 0:
                continue
            beside = pa.Table.from_batches([batch]).select(list(kept)) if kept else None
            write(some.table(predictor.logits(batch, X), schema, input_row_numbers(batch), beside))
            rows += batch.num_rows
    return rows


def _kept_columns(options: PredictOptions, table: OpenTable, target: str | None) -> list[str]:
    """Return the columns of the input that are written beside the predictions."""
    paths = [field.name for field in table.schema if is_path_field(field)]
    kept = [*paths, *select_columns(options.keep, table.names, "--keep")]
    if options.keep_target:
        if target is None:
            raise CommandError(
                "--keep-target: a model saved from Python has no name of the column of labels; name it: --keep COLUMN."
            )
        kept += select_columns((target,), table.names, "--keep-target")
    return list(dict.fromkeys(kept))
