"""What a fitted table classifier does with new rows, under the protocol of scikit-learn."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from softreg.models import Inference, Path, SoftmaxRegression, infer
from softreg.tables import label_types
from softreg.tables.changes import encoded_changes
from softreg.tables.encoder import Encoder
from softreg.tables.errors import TableError, TableWarning
from softreg.tables.reader import as_table
from softreg.tables.rows import row_numbers
from softreg.tables.schema import Schema
from softreg.tables.target import known_labels, labels
from softreg.tables.unseen import UnseenLevels


class TableEstimator(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """The part of `TableClassifier` that needs only what was fitted: predictions, explanations and statistics.

    Example:
        >>> from softreg import TableClassifier
        >>> issubclass(TableClassifier, TableEstimator)
        True
    """

    target: str | int
    schema_: Schema
    encoder_: Encoder
    model_: SoftmaxRegression
    classes_: NDArray[Any]
    label_type_: str = label_types.TEXT
    feature_names_out_: tuple[str, ...]
    path_: Path | None = None

    def predict_proba(self, data: Any) -> NDArray[np.float64]:
        """Probabilities (n, q), a column a class as in `classes_`; the table's columns are matched by name.

        Columns unknown to the model are named in a `TableWarning` and not used; the target may be there. A
        `TableWarning` for each category counts the rows whose level training did not have.

        Raises `TableError` for a column that is missing or holds what it did not hold in training.
        """
        X = self.encode(data)
        if X.shape[0] == 0:
            return np.zeros((0, len(self.classes_)))
        return np.asarray(self.model_.predict_proba(X))

    def predict(self, data: Any) -> NDArray[Any]:
        """The most likely label of each row (n,), in the type of `classes_`."""
        most_likely = self.predict_proba(data).argmax(axis=1)
        return np.asarray(self.classes_[most_likely])

    def encode(self, data: Any) -> Any:
        """The matrix X (n, d) that the model sees: an ndarray, or CSR where the encoder is sparse."""
        self._check_fitted()
        used = {column.name for column in self.schema_.features}
        table = as_table(data, unused=[column.name for column in self.schema_.columns if column.name not in used])
        warn(self.schema_.match(table))
        unseen = UnseenLevels()
        X = self.encoder_.encode(table, unseen=unseen)
        warn(unseen.messages())
        return X

    def describe(self) -> list[tuple[str, str, str]]:
        """Name, kind and reason of each column, and what was learned of it, in the order of the table."""
        self._check_fitted()
        remarks = self.encoder_.remarks
        return [
            (name, kind, f"{reason}; {remarks[name]}" if name in remarks else reason)
            for name, kind, reason in self.schema_.describe()
        ]

    def infer(
        self, data: Any, rows: ArrayLike | None = None, *, reference: Any = None, errors: str | None = None
    ) -> Inference:
        """Errors and intervals of the model's own weights, from the table and rows that it was fitted to.

        Features are those of `feature_names_out_`: numbers in standard deviations, a category's levels one by one. The
        levels of a category are told apart by the penalty alone, so what to look at are `effects()`; for tests of
        columns in their own units there is `table_statistics`. `reference`, `errors` as in `softreg.infer`. Raises
        `ValueError` for other rows, and for a model without a penalty, whose levels the rows do not determine.
        """
        self._check_fitted()
        table = as_table(data)
        chosen = row_numbers(rows, table.num_rows)
        classes = self.model_.classes_.tolist()
        codes = known_labels(table, self.schema_.target, classes)
        y = labels(table, self.schema_.target) if (codes < 0).any() else self.model_.classes_[codes]
        X = self.encoder_.transform(table, chosen)
        against = None if reference is None else label_types.class_name(reference, classes)
        found = infer(self.model_, X, y if chosen is None else y[chosen], reference=against, errors=errors)
        return replace(found, changes={**found.changes, **encoded_changes(self.encoder_, X)})

    def _check_fitted(self) -> None:
        if not hasattr(self, "schema_"):
            raise TableError("This TableClassifier is not fitted yet; call fit with a table first.")

    def _take_model(self, model: SoftmaxRegression, kind: str) -> None:
        self.classes_ = label_types.typed_labels(model.classes_, kind)
        self.model_, self.label_type_ = model, kind
        self.feature_names_out_ = self.encoder_.feature_names_out

    def __repr__(self) -> str:
        return f"TableClassifier(target={self.target!r}, strength={self.strength!r}, penalty={self.penalty!r})"


def warn(messages: Sequence[str]) -> None:
    """Give each message as a `TableWarning`."""
    for message in messages:
        warnings.warn(message, TableWarning, stacklevel=4)
