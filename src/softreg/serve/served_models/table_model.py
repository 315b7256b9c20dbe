"""A model of a table as a service: the probabilities of `TableClassifier.predict_proba` to the last bit."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import numpy as np

from softreg.export.build.program_parts import table_program
from softreg.export.program import Program
from softreg.models.serialization.model_file import StoredModel
from softreg.models.serialization.stored_evaluation import evaluation_from_state
from softreg.probability import softmax
from softreg.rows import scores
from softreg.serve.requests.request_errors import InvalidContent, RequestError, shown
from softreg.serve.served_models.cell_encoder import CellEncoder
from softreg.serve.served_models.contributions import Contributions
from softreg.serve.served_models.json_columns import JsonColumn
from softreg.serve.served_models.served_model import Answer, Columns, Labels
from softreg.tables.columns.table_errors import quote
from softreg.tables.encode.boolean_encoder import BooleanEncoder
from softreg.tables.encode.column_encoder import ColumnEncoder
from softreg.tables.encode.date_encoder import DateEncoder
from softreg.tables.encode.list_column_encoders import TagsEncoder, VectorEncoder
from softreg.tables.encode.number_encoder import NumberEncoder
from softreg.tables.fit.predictor import MIN_COMPILED_SIZE, TablePredictor
from softreg.tables.schema import label_types
from softreg.typing import Float64Array

NUMBER = frozenset({int, float})


class ServedTable:
    """A table model that answers requests.

    Parameters
    ----------
    stored : StoredModel
        Content of the model file.

    Attributes
    ----------
    predictor : TablePredictor
        Encoder and weights.
    """

    kind = "table"
    named = True
    has_contributions = True

    def __init__(self, stored: StoredModel) -> None:
        self.predictor = predictor = TablePredictor.from_state(stored.arrays, stored.metadata)
        schema = predictor.schema
        texts = predictor.classes
        typed = label_types.typed_labels(texts, str(stored.metadata.get("labels", label_types.TEXT)))
        dtype = label_types.dtype_from_name(stored.metadata.get("label_dtype"))
        self.labels = Labels.of(label_types.cast_labels(typed, dtype))
        self.version, self.target = stored.checksum[:VERSION_DIGITS], schema.target
        reasons = {column.name: f"{column.kind.value}: {column.reason}" for column in schema.features}
        self.cells = CellEncoder(predictor.encoder, reasons)
        self.columns = dict(self.cells.columns)
        for name in dict.fromkeys(predictor.offset.values()):
            label = next(label for label, column in predictor.offset.items() if column == name)
            text = {"type": "number", "description": f"offset, added to the logit of {label!r}"}
            self.columns[name] = JsonColumn(name, NUMBER, "a number", text)
        self.ignored = frozenset(column.name for column in schema.columns) - set(self.columns)
        self.contributions = Contributions(predictor.encoder, predictor.coef, predictor.intercept)
        self.evaluation = evaluation_from_state(stored.metadata, texts)
        self._answer_once()

    def program(self) -> Program:
        """Return the model as a program, for its page."""
        parts = self.predictor
        return table_program(
            parts.encoder,
            parts.coef,
            parts.intercept,
            classes=parts.classes,
            labels=self.labels.values,
            target=self.target,
            offset=parts.offset,
            intervals=parts.intervals,
            evaluation=self.evaluation,
        )

    def _answer_once(self) -> None:
        """Answer two rows when the model is loaded, of missing values and of others, since it imports modules."""
        offsets = {name: [0.0, 0.0] for name in self.predictor.offset.values()}
        cells = {column.name: [None, _any_value(column)] for column in self.predictor.encoder.column_encoders}
        with suppress(RequestError):
            self.answer({**cells, **offsets}, 2, level=0.5)

    @property
    def has_intervals(self) -> bool:
        """Whether the file keeps the covariance of the weights."""
        return self.predictor.intervals is not None

    def answer(self, columns: Columns, n: int, *, level: float | None = None, contributions: bool = False) -> Answer:
        """Return the probabilities of n rows, with intervals and contributions where asked for.

        Parameters
        ----------
        columns : mapping of str to sequence
            Cells of each column of `self.columns`.
        n : int
            Number of rows.
        level : float, optional
            Level of intervals.
        contributions : bool
            Whether contributions are computed.

        Returns
        -------
        Answer
            The results.
        """
        X = self.cells.encode(columns, n)
        parts = self._offsets(columns, n)
        offset = sum(parts.values(), np.zeros((n, len(self.labels.texts)))) if parts else None
        P = self._probabilities(X, offset)
        low = high = None
        if level is not None and self.predictor.intervals is not None:
            low, high = self.predictor.intervals.limits(X, level, offset)
        found = None
        if contributions:
            logits = np.asarray(X @ self.predictor.coef.T + self.predictor.intercept)
            logits = logits if offset is None else logits + offset
            found = self.contributions.of_rows(X, logits, {name: list(part) for name, part in parts.items()})
        return Answer(P, low, high, found, self.cells.warnings(columns, n))

    def _probabilities(self, X: Any, offset: Float64Array | None) -> Float64Array:
        """Return the probabilities of encoded rows, by the operations of `TablePredictor`."""
        coef, intercept = self.predictor.coef, self.predictor.intercept
        if isinstance(X, np.ndarray) and X.size >= MIN_COMPILED_SIZE and offset is None:
            probabilities = scores(coef, intercept, X, probabilities=True)
            if probabilities is not None:
                return probabilities
        o = np.asarray(X @ coef.T + intercept)
        finite = np.isfinite(o).all(axis=1)
        if not finite.all():
            row = int(np.argmin(finite)) + 1
            raise InvalidContent(
                f"Row {row:,} has numbers so large that its logits overflow; look for a damaged value there."
            )
        return np.asarray(softmax(o if offset is None else o + offset))

    def _offsets(self, columns: Columns, n: int) -> dict[str, Float64Array]:
        """Return what each column of offsets adds to the logits (n, q)."""
        parts: dict[str, Float64Array] = {}
        for label, name in self.predictor.offset.items():
            values = columns[name]
            for row, value in enumerate(values):
                if type(value) not in NUMBER or not math.isfinite(value):
                    raise InvalidContent(
                        f"Column {quote(name)} has {shown(value)} in row {row + 1:,}; it is an offset, added to the "
                        f"logit of the class {quote(label)}, so that a number is needed."
                    )
            part = parts.setdefault(name, np.zeros((n, len(self.labels.texts))))
            part[:, self.predictor.classes.index(label)] += np.array(values, dtype=np.float64)
        return parts


def _any_value(column: ColumnEncoder) -> Any:
    """Return a value that a column accepts; None for lists."""
    if isinstance(column, NumberEncoder):
        return column.mean
    if isinstance(column, BooleanEncoder):
        return column.words[1]
    if isinstance(column, TagsEncoder | VectorEncoder):
        return None
    return "2020-01-31" if isinstance(column, DateEncoder) else "a b"


VERSION_DIGITS = 12
"""Digits of the checksum that name the version of a model."""
