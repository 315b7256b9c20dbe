"""What a fitted table classifier does with new rows, under the protocol of scikit-learn."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import NotFittedError

from softreg.models import Inference, Path, SoftmaxRegression, infer
from softreg.models.inputs.sample_weights import rescale_extreme_weights, sample_weights
from softreg.tables.columns.errors import TableError, emit_warnings, quote_list
from softreg.tables.columns.unseen_values import UnseenValues
from softreg.tables.encode.discrete_changes import discrete_changes
from softreg.tables.encode.encoder import Encoder
from softreg.tables.fit.training_table import label_codes, with_labels
from softreg.tables.io.numpy_arrays import is_matrix
from softreg.tables.io.open_table import as_table
from softreg.tables.row_selection.labelled_rows import UNLABELLED, class_codes_with_rare
from softreg.tables.row_selection.rare_classes import NO_RARE, RareClasses
from softreg.tables.row_selection.row_numbers import row_numbers
from softreg.tables.schema import label_types
from softreg.tables.schema.schema import Schema
from softreg.tables.schema.target_labels import labels
from softreg.typing import Array, Float64Array, TextArray


class NotFittedTable(TableError, NotFittedError):  # type: ignore[misc]
    """A `TableClassifier` was used before `fit`.

    Example:
        >>> issubclass(NotFittedTable, ValueError)
        True
    """


class BaseTableClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """The part of `TableClassifier` that needs only what was fitted: predictions, explanations and statistics.

    Example:
        >>> from softreg import TableClassifier
        >>> issubclass(TableClassifier, BaseTableClassifier)
        True
    """

    target: str | int | None
    missing_target: str
    schema_: Schema
    encoder_: Encoder
    model_: SoftmaxRegression
    classes_: Array
    label_type_: str = label_types.TEXT
    feature_names_out_: tuple[str, ...]
    path_: Path | None = None
    rare_: RareClasses = NO_RARE
    n_features_in_: int
    n_iter_: int

    def predict_proba(self, data: Any) -> Float64Array:
        """Probabilities (n, q), a column a class as in `classes_`; the table's columns are matched by name.

        Columns unknown to the model are named in a `TableWarning` and not used; the target may be there. A
        `TableWarning` for each category counts the rows whose level training did not have.

        Raises `TableError` for a column that is missing or holds what it did not hold in training.
        """
        X = self.encode(data)
        if X.shape[0] == 0:
            return np.zeros((0, len(self.classes_)))
        return np.asarray(self.model_.predict_proba(X))

    def predict(self, data: Any) -> Array:
        """The most likely label of each row (n,), in the type of `classes_`."""
        most_likely = self.predict_proba(data).argmax(axis=1)
        return np.asarray(self.classes_[most_likely])

    def predict_log_proba(self, data: Any) -> Float64Array:
        """Logarithms of the probabilities (n, q) in nats; finite where a probability itself would round to 0."""
        X = self.encode(data)
        if X.shape[0] == 0:
            return np.zeros((0, len(self.classes_)))
        return np.asarray(self.model_.predict_log_proba(X))

    def decision_function(self, data: Any) -> Float64Array:
        """Logits (n, q) in the order of `classes_`; for two classes the log-odds (n,) of the second."""
        X = self.encode(data)
        if X.shape[0] == 0:
            return np.zeros((0, len(self.classes_)) if len(self.classes_) > 2 else 0)
        return np.asarray(self.model_.decision_function(X))

    def score(self, data: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Accuracy: the share of rows whose label is the most probable one, weighted by `sample_weight` (n,).

        The labels are y (n,), or the column of the target in `data` where y is None. A label that is no class of the
        model counts as wrong, and rows without a label are left out. Raises `TableError` where there are no labels.
        """
        table = self._table(data)
        classes, target = self.model_.classes_.tolist(), self.schema_.target
        if y is None and target not in table.column_names:
            raise TableError(
                f"There is nothing to compare with: pass the labels, score(X, y), or a table with {target!r}."
            )
        codes = (
            class_codes_with_rare(table, target, classes, self.rare_, self.missing_target)
            if y is None
            else label_codes(table.num_rows, y, target, classes)
        )
        weight = np.ones(len(codes)) if sample_weight is None else sample_weights(sample_weight, len(codes))
        labelled = codes != UNLABELLED
        if not labelled.any():
            raise TableError(f"No row has a label in {target!r}, so that there is nothing to compare with.")
        hit = self.predict_proba(table).argmax(axis=1) == codes
        return float(np.average(hit[labelled], weights=rescale_extreme_weights(weight[labelled])))

    def encode(self, data: Any) -> Any:
        """The matrix X (n, d) that the model sees: an ndarray, or CSR where the encoder is sparse."""
        table = self._table(data)
        emit_warnings(self.schema_.match(table))
        unseen = UnseenValues()
        X = self.encoder_.encode(table, unseen=unseen)
        emit_warnings(unseen.messages())
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
        self,
        data: Any,
        rows: ArrayLike | None = None,
        *,
        y: Any = None,
        sample_weight: Any = None,
        reference: Any = None,
        errors: str | None = None,
        clusters: Any = None,
        level: float = 0.95,
    ) -> Inference:
        """Errors and intervals of the model's own weights, from the table and rows that it was fitted to.

        Features are those of `feature_names_out_`: numbers in standard deviations, a category's levels one by one. The
        levels of a category are told apart by the penalty alone, so what to look at are `effects()`; for tests of
        columns in their own units there is `table_statistics`. The labels are y (n,), or the column of the target where
        y is None. `sample_weight` and `clusters` (n,), one for each row of the table, `reference`, `errors` and `level`
        as in `softreg.infer`. Raises `ValueError` for other rows, and for a model without a penalty, whose levels the
        rows do not determine.
        """
        table = self._table(data)
        chosen = row_numbers(rows, table.num_rows)
        texts = self.label_texts(table, y)
        used = texts != ""
        if not used.all():  # rows that the fit left out
            chosen = np.flatnonzero(used) if chosen is None else chosen[used[chosen]]
        places: Any = slice(None) if chosen is None else chosen
        y = texts[places]
        weight = None if sample_weight is None else sample_weights(sample_weight, table.num_rows)[places]
        cluster = None if clusters is None else np.asarray(clusters)[places]
        X = self.encoder_.encode(table, chosen)
        against = None if reference is None else label_types.class_name(reference, self.model_.classes_.tolist())
        asked: dict[str, Any] = {"reference": against, "errors": errors, "clusters": cluster, "level": level}
        found = infer(self.model_, X, y, weight, **asked)
        return replace(found, changes={**found.changes, **discrete_changes(self.encoder_, X)})

    def label_texts(self, data: Any, y: Any = None) -> TextArray:
        """The labels (n,) as the text that they have in `model_.classes_`: those of y, or of the target in the table.

        A label that is no class keeps its own text; "" stands for a row that the fit left out, as it has no label or
        that of a rare class. Raises `TableError` where there are no labels.
        """
        table, target = self._table(data), self.schema_.target
        if y is not None:
            table = with_labels(table, y, target)[0]
        elif target not in table.column_names:
            raise TableError(f"There are no labels: pass y, or a table with the column {target!r}.")
        missing = "error" if y is not None else self.missing_target
        codes = class_codes_with_rare(table, target, self.model_.classes_.tolist(), self.rare_, missing)
        texts = np.append(self.model_.classes_, "")[np.where(codes < 0, len(self.model_.classes_), codes)]
        strange = codes == -1
        if strange.any():
            texts = texts.astype(object)
            texts[strange] = labels(table.filter(pa.array(strange)), target)
        return np.asarray(texts, dtype=np.str_)

    def _check_fitted(self) -> None:
        if not self.__sklearn_is_fitted__():
            raise NotFittedTable("This TableClassifier is not fitted yet; call fit with a table first.")

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "schema_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = tags.input_tags.string = tags.input_tags.categorical = True
        return tags

    def _columns_in(self) -> list[str]:
        """The columns of training without the target, those that are no features among them."""
        return [column.name for column in self.schema_.columns if column.name != self.schema_.target]

    def _table(self, data: Any) -> pa.Table:
        """New rows as a table; the columns of an array, which have no names, are those of training in their order."""
        self._check_fitted()
        used = {column.name for column in self.schema_.features}
        table = as_table(data, unused=[column.name for column in self.schema_.columns if column.name not in used])
        if not is_matrix(data):
            return table
        names = self._columns_in()
        if table.num_columns != len(names):
            raise TableError(
                f"X has {table.num_columns} features, but {type(self).__name__} is expecting {len(names)} features as "
                "input: the columns of an array are matched by their place."
            )
        if names != table.column_names:
            said = "X does not have valid feature names, but the model was fitted with names; columns are taken in the"
            emit_warnings([f"{said} order of training: {quote_list(names)}"])
        return table.rename_columns(names)

    def _take_model(self, model: SoftmaxRegression, kind: str, dtype: np.dtype[Any] | None = None) -> None:
        self.classes_ = label_types.cast_labels(label_types.typed_labels(model.classes_, kind), dtype)
        self.model_, self.label_type_, self.n_iter_ = model, kind, int(model.n_iter_)
        names = self._columns_in()
        self.n_features_in_ = len(names)
        if names != [str(place) for place in range(len(names))]:
            self.feature_names_in_ = np.array(names, dtype=object)
        else:  # columns with numbers have no names for scikit-learn; a fit before may have left some
            self.__dict__.pop("feature_names_in_", None)
        self.feature_names_out_ = self.encoder_.feature_names_out
        model._column_names = np.array(self.feature_names_out_, dtype=object)
