"""Predictions of a table model in batches, without scikit-learn or solvers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from softreg.models.class_blocks.logit_blocks import LogitBlocks
from softreg.models.serialization import fields
from softreg.probability import softmax
from softreg.rows import scores
from softreg.tables.columns.row_location import filter_rows, input_row_numbers, read_location
from softreg.tables.columns.table_errors import TableError
from softreg.tables.columns.unseen_values import UnseenValues
from softreg.tables.encode.encoder import Encoder
from softreg.tables.io.open_table import OpenTable
from softreg.tables.row_selection.offset_columns import read_offsets
from softreg.tables.schema.schema import Schema
from softreg.typing import Array, Float64Array

if TYPE_CHECKING:
    from softreg.tables.fit.stored_intervals import StoredIntervals

MODEL_PREFIX = "model."
"""Prefix of the names of the regression's arrays in a table model."""
MIN_COMPILED_SIZE = 1 << 16
"""Entries of X at which compiled kernels and threads are faster, as in `SoftmaxRegression.predict_proba`."""


@dataclass(frozen=True)
class TablePredictor:
    """What prediction needs: schema, encoder, weights (q, d), bias (q,) and classes (q,).

    It returns the probabilities of the `TableClassifier` whose file it was read from and loads faster, as it imports
    neither scikit-learn nor a solver.
    """

    schema: Schema
    encoder: Encoder
    coef: Float64Array
    intercept: Float64Array
    classes: tuple[str, ...]
    offset: Mapping[str, str]
    """Column of offsets by class."""
    intervals: StoredIntervals | None = None

    @classmethod
    def from_state(cls, arrays: Mapping[str, Array], metadata: Mapping[str, Any]) -> TablePredictor:
        """Return the predictor of the state of a table model; raise `ValueError` for any other state."""
        try:
            coef, intercept = arrays[f"{MODEL_PREFIX}coef"], arrays[f"{MODEL_PREFIX}intercept"]
            labels = fields.mapping(fields.mapping(metadata, "model"), "classes")["values"]
            schema, encoder = schema_and_encoder(metadata)
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"this is not the state of a table model: {error!r} is missing or of another form"
            ) from error
        if not isinstance(labels, list) or not all(isinstance(label, (str, int, float)) for label in labels):
            raise ValueError("the classes are not a list of labels")
        classes = tuple(str(label) for label in labels)
        fields.distinct(classes, "class")
        if coef.shape != (len(classes), encoder.width) or intercept.shape != (len(classes),) or len(classes) < 2:
            raise ValueError(f"weights {coef.shape} and bias {intercept.shape} do not fit {len(classes)} classes")
        if not all(a.dtype.kind == "f" and np.isfinite(a).all() for a in (coef, intercept)):
            raise ValueError("the weights are not finite numbers")
        intervals = None
        if metadata.get("intervals") is not None:
            from softreg.tables.fit.stored_intervals import intervals_from_state  # imports SciPy's special functions

            intervals = intervals_from_state(arrays, metadata, coef, intercept)
        return cls(schema, encoder, coef, intercept, classes, offset_state(metadata), intervals)

    def probabilities(self, batch: pa.Table | pa.RecordBatch, unseen: UnseenValues | None = None) -> Float64Array:
        """Return the probabilities of the rows of a table or batch, whose columns are matched by name.

        Parameters
        ----------
        batch : pyarrow.Table or pyarrow.RecordBatch
            Rows.
        unseen : UnseenValues, optional
            Receives the rows with levels that training did not have.

        Returns
        -------
        array of float64 (n, q)
            Probabilities.

        Raises
        ------
        TableError
            If a logit overflows, a cell is not of its column's kind, or a column of offsets is missing.
        """
        X = self.encoder.encode(batch, unseen=unseen)
        return self.probabilities_of_encoded(batch, X, slice(0, X.shape[0]))

    def probabilities_of_encoded(self, batch: pa.Table | pa.RecordBatch, X: Any, rows: slice) -> Float64Array:
        """Return the probabilities of some rows of an encoded batch.

        Parameters
        ----------
        batch : pyarrow.Table or pyarrow.RecordBatch
            The batch.
        X : array or csr_array (n, d)
            Its features.
        rows : slice
            The rows, with a start and a stop.

        Returns
        -------
        array of float64 (b, q)
            Probabilities.

        Raises
        ------
        TableError
            If a logit overflows, or a column of offsets is missing.
        """
        X = X[rows]
        if isinstance(X, np.ndarray) and X.size >= MIN_COMPILED_SIZE and not self.offset:
            probabilities = scores(self.coef, self.intercept, X, probabilities=True)
            if probabilities is not None:
                return probabilities
        o = np.asarray(X @ self.coef.T + self.intercept, dtype=np.float64)
        if not np.isfinite(o).all():
            error = _overflow_error(batch, rows.start + int(np.argmin(np.isfinite(o).all(axis=1))))
            raise error
        return np.asarray(softmax(o + self._offsets(batch, rows) if self.offset else o))

    def limits_of_encoded(
        self, batch: pa.Table | pa.RecordBatch, X: Any, rows: slice, level: float
    ) -> tuple[Float64Array, Float64Array]:
        """Return the limits of the intervals of the probabilities of some rows of an encoded batch.

        Parameters
        ----------
        batch : pyarrow.Table or pyarrow.RecordBatch
            The batch.
        X : array or csr_array (n, d)
            Its features.
        rows : slice
            The rows, with a start and a stop.
        level : float
            Confidence level.

        Returns
        -------
        tuple of array (b, q)
            Lower and upper limits.

        Raises
        ------
        TableError
            If the model file keeps no covariance, or a column of offsets is missing.
        """
        if self.intervals is None:
            raise TableError("The model keeps no covariance of its weights, which intervals need.")
        return self.intervals.limits(X[rows], level, self._offsets(batch, rows) if self.offset else None)

    def logit_blocks(self, batch: pa.Table | pa.RecordBatch, X: Any) -> LogitBlocks:
        """Return the logits of an encoded batch as blocks, without an array (n, q).

        Parameters
        ----------
        batch : pyarrow.Table or pyarrow.RecordBatch
            The batch.
        X : array or csr_array (n, d)
            Its features.

        Returns
        -------
        LogitBlocks
            The logits.

        Raises
        ------
        TableError
            If a feature is so large that logits overflow, or a column of offsets is missing.
        """
        offset = self._offsets(batch, slice(0, X.shape[0])) if self.offset else None
        return LogitBlocks(self.coef, self.intercept, X, offset, lambda row: _overflow_error(batch, row))

    def _offsets(self, batch: pa.Table | pa.RecordBatch, rows: slice) -> Float64Array:
        """Return the offsets (b, q) of some rows of a batch."""
        return read_offsets(batch, self.offset, self.classes)[rows]


def _overflow_error(batch: pa.Table | pa.RecordBatch, row: int) -> TableError:
    """Return the error for a row of a batch whose logits overflow."""
    where = read_location(batch).row(row)
    return TableError(f"In {where} stand numbers so large that their logits overflow. Look for a damaged value there.")


def offset_state(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Return the column of offsets by class of the state of a table model; empty for a file without."""
    stored = fields.mapping(metadata, "offset") if "offset" in metadata else {}
    return {str(label): str(column) for label, column in stored.items()}


def schema_and_encoder(metadata: Mapping[str, Any]) -> tuple[Schema, Encoder]:
    """Return both parts of the state of a table model; raise `ValueError` if their columns differ."""
    schema = Schema.from_state(fields.mapping(metadata, "schema"))
    encoder = Encoder.from_state(fields.mapping(metadata, "encoder"))
    features, encoded = [column.name for column in schema.features], [code.name for code in encoder.column_encoders]
    if features != encoded:
        raise ValueError(f"the features of the schema are {features[:5]}, but the encoder has {encoded[:5]}")
    return schema, encoder


def drop_invalid_rows(
    encoder: Encoder, batches: Iterator[pa.RecordBatch], left_out: list[int] | None
) -> Iterator[pa.Table | pa.RecordBatch]:
    """Yield the batches without rows that hold a cell which is not of its column's kind.

    Parameters
    ----------
    encoder : Encoder
        Fitted encoder.
    batches : iterator of pyarrow.RecordBatch
        Rows.
    left_out : list of int or None
        Receives the numbers of these rows; with None the batches are yielded unchanged, and `Encoder.encode` raises for
        such a cell.

    Yields
    ------
    pyarrow.Table or pyarrow.RecordBatch
        The other rows.
    """
    for batch in batches:
        if left_out is None:
            yield batch
            continue
        invalid = encoder.invalid_rows(batch)
        left_out += input_row_numbers(batch)[invalid].tolist()
        yield filter_rows(batch, ~invalid) if invalid.any() else batch


def wanted_columns(schema: Schema, table: OpenTable, offset: Mapping[str, str]) -> list[str]:
    """Return the columns of the files that a model reads, in their order; `offset` has columns of offsets by class."""
    features = {column.name for column in schema.features} | set(offset.values())
    return [name for name in table.names if name in features]
