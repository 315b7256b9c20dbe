"""Model files for `softreg predict`: rows of a table as features, and their probabilities or logits in blocks."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from softreg.cli.console.command_errors import CommandError
from softreg.models.class_blocks.logit_blocks import STREAMED_NUMBERS, LogitBlocks
from softreg.models.serialization.model_file import StoredModel, read_model
from softreg.tables.columns.table_errors import TableWarning
from softreg.tables.columns.unseen_values import UnseenValues
from softreg.tables.fit.predictor import TablePredictor, drop_invalid_rows, wanted_columns
from softreg.tables.images.image_form import ImageForm
from softreg.tables.io.open_table import OpenTable
from softreg.tables.schema.kinds import Column
from softreg.typing import FloatArray

Limits = tuple[FloatArray, FloatArray]
"""Lower and upper limits (n, q) of the intervals of probabilities."""


class PredictingModel(Protocol):
    """A model that predicts batches of a table."""

    @property
    def classes(self) -> Sequence[str]:
        """Classes of the model as text."""
        ...

    @property
    def target(self) -> str | None:
        """Column of labels; None where it is not known."""
        ...

    @property
    def image_form(self) -> ImageForm | None:
        """Size and colour of the images that the model reads."""
        ...

    @property
    def features(self) -> Sequence[Column] | None:
        """Columns that the model reads; None for a model of arrays."""
        ...

    @property
    def left_out(self) -> list[int]:
        """Numbers of rows with a value that is not of the kind of its column, filled during the prediction."""
        ...

    def encoded(self, table: OpenTable, kept: Sequence[str]) -> Iterator[tuple[pa.RecordBatch, Any]]:
        """Yield the batches of a table, with the columns `kept`, and their features (n, d)."""
        ...

    def probabilities(self, batch: pa.RecordBatch, X: Any, rows: slice) -> FloatArray:
        """Return the probabilities of some rows of a batch."""
        ...

    def logits(self, batch: pa.RecordBatch, X: Any) -> LogitBlocks:
        """Return the logits of a batch as blocks."""
        ...

    def limits(self, batch: pa.RecordBatch, X: Any, rows: slice, level: float) -> Limits:
        """Return the limits of the intervals of the probabilities of some rows."""
        ...


def row_spans(rows: int, classes: int) -> Iterator[slice]:
    """Yield consecutive rows whose probabilities of all classes fit in a bounded part of memory.

    Parameters
    ----------
    rows, classes : int
        Numbers of rows and classes.

    Yields
    ------
    slice
        The rows.

    Examples
    --------
    >>> [(span.start, span.stop) for span in row_spans(1000, 10_000)]
    [(0, 419), (419, 838), (838, 1000)]
    """
    size = max(1, STREAMED_NUMBERS // classes)
    for start in range(0, rows, size):
        yield slice(start, min(start + size, rows))


@dataclass
class TableModel:
    """The model of a table, read without scikit-learn.

    Attributes
    ----------
    predictor : TablePredictor
        The model.
    skip : bool
        Whether rows with a value that is not of the kind of its column are left out.
    left_out : list of int
        Numbers of these rows.
    """

    predictor: TablePredictor
    skip: bool
    left_out: list[int] = field(default_factory=list)

    @property
    def classes(self) -> Sequence[str]:
        """Classes of the model."""
        return self.predictor.classes

    @property
    def target(self) -> str | None:
        """Column of labels."""
        return self.predictor.schema.target

    @property
    def image_form(self) -> ImageForm | None:
        """Size and colour of the images that the model reads."""
        return self.predictor.schema.image_form

    @property
    def features(self) -> Sequence[Column] | None:
        """Columns that the model reads."""
        return self.predictor.schema.features

    def encoded(self, table: OpenTable, kept: Sequence[str]) -> Iterator[tuple[pa.RecordBatch, Any]]:
        """Yield batches and their features; warn of other columns and of unseen values."""
        predictor = self.predictor
        for message in predictor.schema.match(table.schema):
            warnings.warn(message, TableWarning, stacklevel=2)
        columns = list(dict.fromkeys([*wanted_columns(predictor.schema, table, predictor.offset), *kept]))
        unseen = UnseenValues()
        for batch in drop_invalid_rows(predictor.encoder, table.batches(columns), self.left_out if self.skip else None):
            yield batch, predictor.encoder.encode(batch, unseen=unseen)
        for message in unseen.messages():
            warnings.warn(message, TableWarning, stacklevel=2)

    def probabilities(self, batch: pa.RecordBatch, X: Any, rows: slice) -> FloatArray:
        """Return the probabilities of some rows of a batch."""
        return self.predictor.probabilities_of_encoded(batch, X, rows)

    def logits(self, batch: pa.RecordBatch, X: Any) -> LogitBlocks:
        """Return the logits of a batch as blocks."""
        return self.predictor.logit_blocks(batch, X)

    def limits(self, batch: pa.RecordBatch, X: Any, rows: slice, level: float) -> Limits:
        """Return the limits of the intervals of the probabilities of some rows."""
        return self.predictor.limits_of_encoded(batch, X, rows, level)


@dataclass
class ArrayModel:
    """A regression that was saved from Python, whose columns are numbers matched by name.

    Attributes
    ----------
    model : LoadedModel
        The model.
    left_out : list of int
        Empty.
    """

    model: Any
    left_out: list[int] = field(default_factory=list)
    image_form: ImageForm | None = None
    features: Sequence[Column] | None = None

    @property
    def classes(self) -> Sequence[str]:
        """Classes of the model as text."""
        return tuple(self.model.classes)

    @property
    def target(self) -> str | None:
        """Column of labels, where the file names it."""
        return self.model.schema.target if self.model.schema else None

    def encoded(self, table: OpenTable, kept: Sequence[str]) -> Iterator[tuple[pa.RecordBatch, Any]]:
        """Yield batches and tables of their columns."""
        for batch in table.batches():
            yield batch, pa.Table.from_batches([batch])

    def probabilities(self, batch: pa.RecordBatch, X: Any, rows: slice) -> FloatArray:
        """Return the probabilities of some rows of a batch."""
        return np.asarray(self.model.probabilities(X.slice(rows.start, rows.stop - rows.start)), dtype=np.float64)

    def logits(self, batch: pa.RecordBatch, X: Any) -> LogitBlocks:
        """Return the logits of a batch as blocks."""
        blocks: LogitBlocks = self.model.logit_blocks(X)
        return blocks

    def limits(self, batch: pa.RecordBatch, X: Any, rows: slice, level: float) -> Limits:
        """Raise `CommandError`: such a file keeps no covariance."""
        raise no_intervals_error(self.model.path)


def predicting_model(path: Path, skip: bool, level: float | None = None) -> PredictingModel:
    """Return the model of a file, without loading scikit-learn where it is that of a table.

    Parameters
    ----------
    path : Path
        The model file.
    skip : bool
        Whether rows that do not fit the columns are left out.
    level : float, optional
        Level of intervals, where they are asked for.

    Returns
    -------
    PredictingModel

    Raises
    ------
    CommandError
        If the file is no model, or keeps no covariance for intervals.
    """  # noqa: DOC501
    stored = _stored(path)
    predictor = None
    if stored is not None and stored.kind == "table":
        with suppress(KeyError, TypeError, ValueError, AttributeError, IndexError):  # `load_model` raises the error
            predictor = TablePredictor.from_state(stored.arrays, stored.metadata)
    if predictor is not None:
        if level is not None and predictor.intervals is None:
            raise no_intervals_error(path)
        return TableModel(predictor, skip)
    from softreg.cli.data.load_model import load_model

    model = load_model(path)
    if level is not None:
        raise no_intervals_error(path)
    return ArrayModel(model)


def no_intervals_error(path: Path) -> CommandError:
    """Return the error for a model without a covariance.

    Parameters
    ----------
    path : Path
        The model file.

    Returns
    -------
    CommandError
    """
    return CommandError(
        f"--interval requires a model that keeps the covariance of its weights, and {str(path)!r} keeps none: train it "
        "with --intervals, or call keep_intervals(data) of a TableClassifier in Python before it is saved."
    )


def _stored(path: Path) -> StoredModel | None:
    """Return the content of a model file; None if the path is not a file, for which `load_model` raises the error."""
    return read_model(path) if path.is_file() else None
