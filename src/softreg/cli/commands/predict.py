"""`softreg predict`: class probabilities and the most likely label of each row of a table."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import pyarrow as pa

from softreg.cli.console.command_errors import CommandError
from softreg.cli.console.messages import print_message, print_note
from softreg.cli.console.output_files import check_writable, refuse_inputs
from softreg.cli.console.skipped_rows import print_skipped_rows
from softreg.cli.options.column_arguments import select_columns
from softreg.cli.options.decision_threshold import ThresholdRule
from softreg.models.serialization.model_file import StoredModel, read_model
from softreg.tables.columns.row_location import input_row_numbers
from softreg.tables.columns.table_errors import TableWarning
from softreg.tables.columns.unseen_values import UnseenValues
from softreg.tables.fit.predictor import TablePredictor, drop_invalid_rows, wanted_columns
from softreg.tables.images.image_form import ImageForm, has_images, is_path_field, with_form
from softreg.tables.io.open_table import OpenTable, open_table
from softreg.tables.io.prediction_writer import prediction_sink, writing_predictions
from softreg.tables.read_options import ReadOptions
from softreg.tables.schema.input_kind import check_input_kind
from softreg.tables.schema.kinds import Column
from softreg.typing import FloatArray

Limits = tuple[FloatArray, FloatArray]
"""Lower and upper limits (n, q) of the intervals of probabilities."""
Predicted = tuple[pa.RecordBatch, FloatArray, Limits | None]
"""A batch, its probabilities, and their intervals if requested."""
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


def predict_table(model_path: Path, data: Sequence[Path], options: PredictOptions, *, reading: ReadOptions) -> None:
    """Predict all rows of `data` in batches, and write the predictions to a file, or as CSV to stdout."""
    output = None if options.output == STANDARD_OUTPUT else options.output
    check_writable(output, OUTPUT_ENDINGS, "--output")
    skip = reading.bad_rows == "skip"
    predictor = _predictor(model_path, skip, options.interval)
    rule = None if options.threshold is None else ThresholdRule.parse(options.threshold, predictor.classes)
    table = open_table(data[0] if len(data) == 1 else list(data), options=with_form(reading, predictor.image_form))
    if predictor.features is not None:
        check_input_kind(
            predictor.features, table.schema, source=repr(str(data[0])), training=f"{model_path.name} was trained on"
        )
    for note in table.notes:
        print_note(note)
    refuse_inputs(output, "--output", [model_path, *table.paths])
    kept = _kept_columns(options, table, predictor.target)
    rows = 0
    sink: AbstractContextManager[Callable[..., None]]
    stdout = _BufferedStdout()
    with_limits = options.interval is not None
    columns = pa.schema([table.schema.field(name) for name in kept]) if kept else None
    if output is None:
        sink = prediction_sink(stdout, predictor.classes, rows=skip, kept=columns, intervals=with_limits)
    else:
        sink = writing_predictions(output, predictor.classes, rows=skip, kept=columns, intervals=with_limits)
    with sink as write:
        for batch, P, limits in predictor.predictions(table, kept):
            rows += len(P)
            predicted = None if rule is None else rule.codes(P)
            columns_kept = batch.select(kept) if kept else None
            write(P, input_row_numbers(batch), kept=columns_kept, predicted=predicted, limits=limits)
    stdout.write_buffer()
    if rows == 0 and not predictor.left_out and not table.skipped:
        raise CommandError(f"{str(data[0])!r} has columns but no rows; there is nothing to predict.")
    if output is not None:
        print_message(f"{rows:,} predictions: {output}")
    print_skipped_rows(table.skipped, predictor.left_out, files=len(table.readers), reasons=has_images(table.schema))


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


@dataclass
class _Predictor:
    """The prediction of batches by a model.

    Attributes
    ----------
    classes : sequence
        Classes of the model.
    target : str or None
        Column of labels; None where it is not known.
    predict : callable
        Function from a table and the columns to keep to batches with their probabilities.
    left_out : list of int
        Numbers of rows with a value that is not of the kind of its column, filled during the prediction.
    image_form : ImageForm or None
        Size and colour of the images that the model reads.
    features : sequence of Column or None
        Columns that the model reads; None for a model of arrays.
    """

    classes: Sequence[str]
    target: str | None
    predict: Callable[[OpenTable, list[str]], Iterator[Predicted]]
    left_out: list[int] = field(default_factory=list)
    image_form: ImageForm | None = None
    features: Sequence[Column] | None = None

    def predictions(self, table: OpenTable, kept: list[str]) -> Iterator[Predicted]:
        """Yield the batches of a table, with the columns `kept`, and their probabilities."""
        yield from self.predict(table, kept)


def _predictor(path: Path, skip: bool, level: float | None = None) -> _Predictor:
    """Return the predictor of a model file, without loading scikit-learn where the model is that of a table."""
    stored = _stored(path)
    predictor = None
    if stored is not None and stored.kind == "table":
        with suppress(KeyError, TypeError, ValueError, AttributeError, IndexError):  # `load_model` raises the error
            predictor = TablePredictor.from_state(stored.arrays, stored.metadata)
    if predictor is not None:
        if level is not None and predictor.intervals is None:
            raise _no_intervals_error(path)
        left_out: list[int] = []

        def table_model(table: OpenTable, kept: list[str]) -> Iterator[Predicted]:
            for message in predictor.schema.match(table.schema):
                warnings.warn(message, TableWarning, stacklevel=2)
            columns = list(dict.fromkeys([*wanted_columns(predictor.schema, table, predictor.offset), *kept]))
            unseen = UnseenValues()
            for batch in drop_invalid_rows(predictor.encoder, table.batches(columns), left_out if skip else None):
                if level is None:
                    yield batch, predictor.probabilities(batch, unseen), None
                else:
                    P, low, high = predictor.probabilities_and_limits(batch, level, unseen)
                    yield batch, P, (low, high)
            for message in unseen.messages():
                warnings.warn(message, TableWarning, stacklevel=2)

        schema = predictor.schema
        return _Predictor(
            predictor.classes, schema.target, table_model, left_out, schema.image_form, features=schema.features
        )
    from softreg.cli.data.load_model import load_model

    model = load_model(path)
    if level is not None:
        raise _no_intervals_error(path)

    def regression(table: OpenTable, kept: list[str]) -> Iterator[Predicted]:
        for batch in table.batches():
            yield batch, model.probabilities(pa.Table.from_batches([batch])), None

    return _Predictor(model.classes, model.schema.target if model.schema else None, regression)


def _no_intervals_error(path: Path) -> CommandError:
    return CommandError(
        f"--interval requires a model that keeps the covariance of its weights, and {str(path)!r} keeps none: train it "
        "with --intervals, or call keep_intervals(data) of a TableClassifier in Python before it is saved."
    )


def _stored(path: Path) -> StoredModel | None:
    """Return the content of a model file; None if the path is not a file, for which `load_model` raises the error."""
    return read_model(path) if path.is_file() else None
