"""Base class of `TableClassifier`: predictions, explanations and statistics of a fitted model."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import NotFittedError

from softreg.exportable import Exportable
from softreg.models import Inference, Path, SoftmaxRegression, StoredEvaluation, infer
from softreg.models.class_blocks.top_classes import TopClasses, checked_count
from softreg.models.estimators.streamed_predictions import codes_of_classes
from softreg.models.inputs.sample_and_class_weights import rescale_extreme_weights, sample_weights
from softreg.models.serialization.stored_evaluation import check_classes
from softreg.tables.columns.table_errors import TableError, emit_warnings, quote_list
from softreg.tables.columns.unseen_values import UnseenValues
from softreg.tables.encode.discrete_changes import discrete_changes, feature_setting
from softreg.tables.encode.encoder import Encoder
from softreg.tables.fit.stored_intervals import StoredIntervals
from softreg.tables.fit.terms.term_record import TermRecord
from softreg.tables.fit.training_table import label_codes, with_labels
from softreg.tables.fit.weight_terms.column_constraints import NO_CONSTRAINTS, ColumnConstraints
from softreg.tables.images.image_form import with_form
from softreg.tables.io.numpy_arrays import is_matrix
from softreg.tables.io.open_table import as_table
from softreg.tables.io.sources import is_source
from softreg.tables.read_options import ReadOptions
from softreg.tables.row_selection.labelled_rows import UNLABELLED, class_codes_with_rare
from softreg.tables.row_selection.offset_columns import offset_remarks, read_offsets
from softreg.tables.row_selection.rare_classes import NO_RARE, RareClasses
from softreg.tables.row_selection.row_numbers import row_numbers
from softreg.tables.schema import label_types
from softreg.tables.schema.input_kind import check_input_kind
from softreg.tables.schema.schema import Schema
from softreg.tables.schema.target_labels import labels
from softreg.typing import Array, Float64Array, TextArray


class NotFittedTable(TableError, NotFittedError):  # type: ignore[misc]
    """Error of a `TableClassifier` that is used before `fit`.

    Examples
    --------
    >>> issubclass(NotFittedTable, ValueError)
    True
    """


class BaseTableClassifier(Exportable, ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """The part of `TableClassifier` that uses only what was fitted: predictions, explanations and statistics.

    Examples
    --------
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
    terms_: TermRecord | None = None
    intervals_: StoredIntervals | None = None
    """Covariance for intervals of probabilities, where `keep_intervals` was called after the fit."""
    evaluation_: StoredEvaluation | None = None
    """Evaluation on held-out rows, where `keep_evaluation` was called after the fit, as `softreg train` does."""
    rare_: RareClasses = NO_RARE
    offset_: Mapping[str, str] = MappingProxyType({})
    constraints_: ColumnConstraints = NO_CONSTRAINTS
    n_features_in_: int
    n_iter_: int

    def predict_proba(self, data: Any, *, classes: Any = None) -> Float64Array:
        """Return the probabilities of the classes.

        A `TableWarning` names columns that training did not have, which are ignored, and counts the rows of unseen
        levels. The target may be among the columns.

        Parameters
        ----------
        data : path, pyarrow.Table, data frame or array
            Rows; columns are matched by name, those of an array by position.
        classes : array-like of shape (c,), optional
            Classes whose probabilities are returned, in this order; all by default. They are probabilities among all
            classes, computed in blocks without an array (n, q).

        Returns
        -------
        array of float64 (n, q) or (n, c)
            Probabilities, one column a class as in `classes_`, or as in `classes`.

        Raises
        ------
        TableError
            If a column is missing, or holds another kind of value than in training.
        ValueError
            If `classes` names one that is not of the model.
        """
        X, offset, chosen = *self._encoded_with_offset(data), self._chosen(classes)
        if X.shape[0] == 0:
            return np.zeros((0, len(self.classes_ if chosen is None else chosen)))
        return np.asarray(self.model_.predict_proba(X, offset, classes=chosen))

    def predict(self, data: Any) -> Array:
        """Return the most probable label of each row (n,), in the type of `classes_`."""
        most_likely = self._most_likely(data)
        return np.asarray(self.classes_[most_likely])

    def _most_likely(self, data: Any) -> Array:
        """Return the code (n,) of the most likely class of each row."""
        X, offset = self._encoded_with_offset(data)
        if X.shape[0] == 0:
            return np.zeros(0, dtype=np.int64)
        return np.asarray(self.model_._most_likely(X, offset))

    def predict_log_proba(self, data: Any, *, classes: Any = None) -> Float64Array:
        """Return the logarithms of the probabilities (n, q) in nats, finite where a probability would round to 0.

        Parameters
        ----------
        data : path, pyarrow.Table, data frame or array
            Rows.
        classes : array-like of shape (c,), optional
            Classes that are returned, as in `predict_proba`.

        Returns
        -------
        array of float64 (n, q) or (n, c)
            Log-probabilities.
        """
        X, offset, chosen = *self._encoded_with_offset(data), self._chosen(classes)
        if X.shape[0] == 0:
            return np.zeros((0, len(self.classes_ if chosen is None else chosen)))
        return np.asarray(self.model_.predict_log_proba(X, offset, classes=chosen))

    def top_k(self, data: Any, k: int = 10) -> TopClasses:
        """Return the k most likely classes of each row and their probabilities.

        Logits are computed in blocks of rows and classes, so that memory does not grow with n q.

        Parameters
        ----------
        data : path, pyarrow.Table, data frame or array
            Rows.
        k : int
            Number of classes; all q of a model that has fewer.

        Returns
        -------
        TopClasses
            Arrays (n, k) of labels and probabilities, the most likely class first; of equal probabilities the class
            that comes first in `classes_`.

        Raises
        ------
        ValueError
            If k is not an integer of at least 1, or as `predict_proba`.
        """
        self._check_fitted()
        columns = min(checked_count(k), len(self.classes_))
        X, offset = self._encoded_with_offset(data)
        if X.shape[0] == 0:
            none = np.zeros((0, columns))
            return TopClasses(self.classes_[none.astype(np.intp)], none, none.astype(np.int64))
        top = self.model_.top_k(X, columns, offset)
        return replace(top, labels=self.classes_[top.codes])

    def _chosen(self, classes: Any) -> Array | None:
        """Return chosen classes as the model has them, or None for all; raise `ValueError` for one that it lacks."""
        return None if classes is None else self.model_.classes_[codes_of_classes(classes, self.classes_)]

    def decision_function(self, data: Any) -> Float64Array:
        """Return the logits (n, q) in the order of `classes_`; for two classes the log-odds (n,) of the second."""
        X, offset = self._encoded_with_offset(data)
        if X.shape[0] == 0:
            return np.zeros((0, len(self.classes_)) if len(self.classes_) > 2 else 0)
        return np.asarray(self.model_.decision_function(X, offset))

    def score(self, data: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return the accuracy: the weighted share of rows whose label is the most probable one.

        A label that is no class of the model counts as wrong; rows without a label are left out.

        Parameters
        ----------
        data : path, pyarrow.Table, data frame or array
            Rows.
        y : array-like (n,), optional
            Labels; by default the target column of `data`.
        sample_weight : array-like (n,), optional
            Weights.

        Returns
        -------
        float
            Accuracy in [0, 1].

        Raises
        ------
        TableError
            If there are no labels.
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
        is_correct = self._most_likely(table) == codes
        return float(np.average(is_correct[labelled], weights=rescale_extreme_weights(weight[labelled])))

    def encode(self, data: Any) -> Any:
        """Return the matrix X (n, d) of the model: an array, or CSR where the encoder is sparse."""
        table = self._table(data)
        emit_warnings(self.schema_.match(table))
        unseen = UnseenValues()
        X = self.encoder_.encode(table, unseen=unseen)
        emit_warnings(unseen.messages())
        return X

    def offsets(self, data: Any) -> Float64Array | None:
        """Return the offsets (n, q) that the model adds to the logits of the rows, or None without offsets.

        Parameters
        ----------
        data : path, pyarrow.Table, data frame or array
            Rows, with the columns that the parameter `offset` names.

        Returns
        -------
        array of float64 (n, q) or None
            Offsets in the order of `classes_`; 0 for a class without a column.

        Raises
        ------
        TableError
            If a column is missing, or a value is no finite number.
        """
        self._check_fitted()
        if not self.offset_:
            return None
        return read_offsets(self._table(data), self.offset_, self.model_.classes_.tolist())

    def _encoded_with_offset(self, data: Any) -> tuple[Any, Float64Array | None]:
        """Return the matrix X (n, d) of the model, and the offsets (n, q) of the rows or None."""
        table = self._table(data)
        return self.encode(table), self.offsets(table)

    def describe(self) -> list[tuple[str, str, str]]:
        """Return name, kind and reason of each column, with what was fitted, in the order of the table."""
        self._check_fitted()
        offsets = offset_remarks(self.offset_)
        remarks = (self.encoder_.remarks, self.constraints_.remarks())
        return [
            (name, kind, offsets.get(name, "; ".join([reason, *(found[name] for found in remarks if name in found)])))
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
        """Return standard errors and intervals of the model's weights, from the rows that it was fitted to.

        Features are those of `feature_names_out_`: numbers in standard deviations, and the levels of a category one by
        one. Only the penalty determines the weights of single levels, so that the useful statistics are `effects()`;
        for tests of columns in their own units use `table_statistics`.

        Parameters
        ----------
        data : path, pyarrow.Table, data frame or array
            Table of the fit.
        rows : array-like, optional
            Training rows, as numbers from 0 or a mask; all by default.
        y : array-like (n,), optional
            Labels; by default the target column of `data`.
        sample_weight, clusters : array-like (n,), optional
            Weight and cluster of each row of the table.
        reference, errors, level
            As in `softreg.infer`.

        Returns
        -------
        Inference
            Statistics of the weights.

        Raises
        ------
        ValueError
            If the rows are not those of the fit, or the model has no penalty.
        """
        table = self._table(data)
        chosen = row_numbers(rows, table.num_rows)
        texts = self.label_texts(table, y)
        labelled = texts != ""
        if not labelled.all():  # rows that the fit left out
            chosen = np.flatnonzero(labelled) if chosen is None else chosen[labelled[chosen]]
        selected: Any = slice(None) if chosen is None else chosen
        y = texts[selected]
        weight = None if sample_weight is None else sample_weights(sample_weight, table.num_rows)[selected]
        cluster = None if clusters is None else np.asarray(clusters)[selected]
        X = self.encoder_.encode(table, chosen)
        reference_class = (
            None if reference is None else label_types.class_name(reference, self.model_.classes_.tolist())
        )
        offsets = self.offsets(table)
        options: dict[str, Any] = {
            "reference": reference_class,
            "errors": errors,
            "clusters": cluster,
            "level": level,
            "offset": None if offsets is None else offsets[selected],
        }
        inference = infer(self.model_, X, y, weight, **options)
        changes = {**inference.changes, **discrete_changes(self.encoder_, X)}
        return replace(
            inference,
            changes=changes,
            read_rows=lambda new: self.encoder_.encode(self._table(new)),
            read_value=lambda j, value: feature_setting(self.encoder_, j, value),
            read_offset=self.offsets,
        )

    def keep_intervals(
        self, data: Any, rows: ArrayLike | None = None, *, y: Any = None, errors: str | None = None
    ) -> Any:
        """Keep the covariance of the weights, so that `predict_intervals` and model files have intervals.

        A file grows by `4 p (p + 1)` bytes for p = (q - 1) (d + 1) parameters: 16 kB for q = 3 and 30 features, 8 MB
        for 1,400 parameters.

        Parameters
        ----------
        data : path, pyarrow.Table, data frame or array
            Table of the fit.
        rows : array-like, optional
            Training rows, as numbers from 0 or a mask; all by default.
        y : array-like (n,), optional
            Labels; by default the target column of `data`.
        errors : {"posterior", "model", "robust"}, optional
            Kind of standard errors. By default "posterior" with an L2 penalty, which is interpreted as a Gaussian
            prior, and "model" without.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the rows are not those of the fit, the model has an L1 part or bounds, or it has a prior or columns
            without penalty and did not keep its posterior.
        """
        from softreg.models.inference.margins.row_logits import ParameterDistribution

        if self.model_.prior is not None or self.model_.penalty_factors is not None:
            self.intervals_ = self._posterior_intervals(errors)
            return self
        penalised = self.model_.penalty == "l2" and self.model_.strength > 0
        inference = self.infer(data, rows, y=y, errors=errors or ("posterior" if penalised else "model"))
        distribution = ParameterDistribution.of(inference).at(self.model_.coef_, self.model_.intercept_)
        self.intervals_ = StoredIntervals(distribution, inference.errors)
        return self

    def _posterior_intervals(self, errors: str | None) -> StoredIntervals:
        """Return the intervals of the posterior that the fit kept; raise `ValueError` without one."""
        from softreg.models.inference.margins.row_logits import ParameterDistribution

        if errors not in (None, "posterior") or self.model_._posterior is None:
            raise ValueError(
                "a model with a prior, with columns without penalty or with terms has the intervals of its posterior "
                "alone; train it with --keep-posterior (keep_posterior=True in Python)."
            )
        return StoredIntervals(ParameterDistribution.of_posterior(self.model_.posterior()), "posterior")

    def predict_intervals(self, data: Any, level: float = 0.95) -> tuple[Float64Array, Float64Array]:
        """Return the limits of intervals of the probabilities of `predict_proba`.

        Parameters
        ----------
        data : path, pyarrow.Table, data frame or array
            Rows.
        level : float, default 0.95
            Confidence level, or posterior probability with `errors="posterior"`.

        Returns
        -------
        low, high : array of float64 (n, q)
            Limits, by the delta method on the log-odds, between 0 and 1.

        Raises
        ------
        ValueError
            If the level is not between 0 and 1, or `keep_intervals` was not called before.
        """
        if not 0 < level < 1:
            raise ValueError(f"level={level!r} must be between 0 and 1, such as 0.95.")
        if self.intervals_ is None:
            raise ValueError(
                "the model keeps no covariance; call keep_intervals(data) with the table of the fit first."
            )
        X, offset = self._encoded_with_offset(data)
        return self.intervals_.limits(X, level, offset)

    def keep_evaluation(self, evaluation: StoredEvaluation) -> Any:
        """Keep the evaluation of the fitted model on held-out rows, so that model files have it.

        Parameters
        ----------
        evaluation : StoredEvaluation
            The evaluation, as from `softreg.report.evaluation_record`. A fit removes it.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If it is of other classes.
        """
        self._check_fitted()
        check_classes(evaluation, self.model_.classes_.tolist())
        self.evaluation_ = evaluation
        return self

    def label_texts(self, data: Any, y: Any = None) -> TextArray:
        """Return the labels as the text that they have in `model_.classes_`.

        Parameters
        ----------
        data : path, pyarrow.Table, data frame or array
            Rows.
        y : array-like (n,), optional
            Labels; by default the target column of `data`.

        Returns
        -------
        array of str (n,)
            A label that is no class keeps its own text; "" stands for a row that the fit left out because it has no
            label or that of a rare class.

        Raises
        ------
        TableError
            If there are no labels.
        """
        table, target = self._table(data), self.schema_.target
        if y is not None:
            table = with_labels(table, y, target)[0]
        elif target not in table.column_names:
            raise TableError(f"There are no labels: pass y, or a table with the column {target!r}.")
        missing = "error" if y is not None else self.missing_target
        codes = class_codes_with_rare(table, target, self.model_.classes_.tolist(), self.rare_, missing)
        texts = np.append(self.model_.classes_, "")[np.where(codes < 0, len(self.model_.classes_), codes)]
        unknown = codes == -1
        if unknown.any():
            texts = texts.astype(object)
            texts[unknown] = labels(table.filter(pa.array(unknown)), target)
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
        """Return the columns of training without the target, including those that are no features."""
        return [column.name for column in self.schema_.columns if column.name != self.schema_.target]

    def _table(self, data: Any) -> pa.Table:
        """Return new rows as a table; raise `TableError` for another number of columns of an array, or another kind."""
        self._check_fitted()
        features = {column.name for column in self.schema_.features} | set(self.offset_.values())
        unused = [column.name for column in self.schema_.columns if column.name not in features]
        options = with_form(ReadOptions(), self.schema_.image_form) if is_source(data) else None
        table = as_table(data, unused=unused, options=options)
        if not is_matrix(data):
            source = repr(os.fspath(data)) if isinstance(data, (str, os.PathLike)) else "The input"
            check_input_kind(self.schema_.features, table.schema, source=source)
            return table
        names = self._columns_in()
        if table.num_columns != len(names):
            raise TableError(
                f"X has {table.num_columns} features, but {type(self).__name__} is expecting {len(names)} features as "
                "input: the columns of an array are matched by their place."
            )
        if names != table.column_names:
            message = (
                "X does not have valid feature names, but the model was fitted with names; columns are taken in the"
            )
            emit_warnings([f"{message} order of training: {quote_list(names)}"])
        return table.rename_columns(names)

    def _take_model(self, model: SoftmaxRegression, kind: str, dtype: np.dtype[Any] | None = None) -> None:
        self.classes_ = label_types.cast_labels(label_types.typed_labels(model.classes_, kind), dtype)
        self.model_, self.label_type_, self.n_iter_ = model, kind, int(model.n_iter_)
        self.intervals_ = self.evaluation_ = None
        names = self._columns_in()
        self.n_features_in_ = len(names)
        if names != [str(place) for place in range(len(names))]:
            self.feature_names_in_ = np.array(names, dtype=object)
        else:  # columns with numbers have no names for scikit-learn; a fit before may have left some
            self.__dict__.pop("feature_names_in_", None)
        self.feature_names_out_ = self.encoder_.feature_names_out
        model._column_names = np.array(self.feature_names_out_, dtype=object)
