"""Predictions of a table model batch by batch, without what only a fit needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from softreg.models.serialization import fields
from softreg.probability import softmax
from softreg.rows import scores
from softreg.tables.columns.errors import TableError
from softreg.tables.columns.row_location import filter_rows, input_row_numbers, read_location
from softreg.tables.columns.unseen_values import UnseenValues
from softreg.tables.encode.encoder import Encoder
from softreg.tables.io.open_table import OpenTable
from softreg.tables.schema.schema import Schema
from softreg.typing import Array, Float64Array

MODEL_PREFIX = "model."
"""Before the names of the arrays of the regression within a table model."""
MIN_COMPILED_SIZE = 1 << 16
"""Numbers of X from which on compiled kernels and threads are worth it, as in `SoftmaxRegression.predict_proba`."""


@dataclass(frozen=True)
class TablePredictor:
    """What it takes to predict: schema, encoder, weights (q, d), bias (q,) and classes (q,).

    It gives the probabilities of the `TableClassifier` whose file it was read from, and is there sooner: neither
    scikit-learn nor a solver is imported.
    """

    schema: Schema
    encoder: Encoder
    coef: Float64Array
    intercept: Float64Array
    classes: tuple[str, ...]

    @classmethod
    def from_state(cls, arrays: Mapping[str, Array], metadata: Mapping[str, Any]) -> TablePredictor:
        """The predictor of the table model that `to_state` described; raises `ValueError` for another state."""
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
        return cls(schema, encoder, coef, intercept, classes)

    def probabilities(self, batch: pa.Table | pa.RecordBatch, unseen: UnseenValues | None = None) -> Float64Array:
        """Probabilities (n, q) of the rows of a table or batch, its columns matched by name.

        Rows with levels that training did not have are counted in `unseen`.
        """
        X = self.encoder.encode(batch, unseen=unseen)
        if isinstance(X, np.ndarray) and X.size >= MIN_COMPILED_SIZE:
            found = scores(self.coef, self.intercept, X, probabilities=True)
            if found is not None:
                return found
        o = np.asarray(X @ self.coef.T + self.intercept)
        if not np.isfinite(o).all():
            row = read_location(batch).row(int(np.argmin(np.isfinite(o).all(axis=1))))
            raise TableError(
                f"In {row} stand numbers so large that their logits overflow. Look for a damaged value there."
            )
        return np.asarray(softmax(o))


def schema_and_encoder(metadata: Mapping[str, Any]) -> tuple[Schema, Encoder]:
    """Both parts of the state of a table model; raises `ValueError` where they are not of the same columns."""
    schema = Schema.from_state(fields.mapping(metadata, "schema"))
    encoder = Encoder.from_state(fields.mapping(metadata, "encoder"))
    features, coded = [column.name for column in schema.features], [code.name for code in encoder.column_encoders]
    if features != coded:
        raise ValueError(f"the features of the schema are {features[:5]}, but the encoder has {coded[:5]}")
    return schema, encoder


def drop_invalid_rows(
    encoder: Encoder, batches: Iterator[pa.RecordBatch], left_out: list[int] | None
) -> Iterator[pa.Table | pa.RecordBatch]:
    """The batches without rows that hold a cell which is not of its column's kind; numbers of these go to `left_out`.

    With `left_out` None the batches are given as they are, and `Encoder.encode` refuses the first such cell.
    """
    for batch in batches:
        if left_out is None:
            yield batch
            continue
        bad = encoder.invalid_rows(batch)
        left_out += input_row_numbers(batch)[bad].tolist()
        yield filter_rows(batch, ~bad) if bad.any() else batch


def wanted_columns(schema: Schema, table: OpenTable) -> list[str]:
    """The columns of the files that a model reads, in their order."""
    features = {column.name for column in schema.features}
    return [name for name in table.names if name in features]
