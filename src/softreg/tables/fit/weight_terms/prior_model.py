"""Fits of a table with the posterior of another table model as prior: its schema, its encoder and its classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from softreg.tables.columns.table_errors import TableError, emit_warnings, quote, quote_list
from softreg.tables.columns.unseen_values import UnseenValues
from softreg.tables.fit.base_classifier import BaseTableClassifier
from softreg.tables.fit.choose_strength import fit_at_strength
from softreg.tables.fit.out_of_core import EncodedBatches
from softreg.tables.fit.table_scan import TableScan
from softreg.tables.fit.terms.fitted_parts import FittedParts
from softreg.tables.fit.terms.term_options import requested_terms
from softreg.tables.fit.training_table import TrainingTable
from softreg.tables.row_selection.offset_columns import Offsets, read_offsets
from softreg.typing import IntArray, TextArray

DETERMINED = {
    "unpenalised": "--unpenalised", "features": "--features", "drop": "--drop", "text": "--text",
    "category": "--category", "number": "--number", "date": "--date", "numeric_form": "--as", "offset": "--offset",
    "folds": "--folds", "class_weight": "--class-weight",
}  # fmt: skip
"""Parameters that a prior determines or excludes, with their options on the command line."""


@dataclass(frozen=True)
class PriorModel:
    """A fitted table classifier whose posterior is the prior of another fit.

    Attributes
    ----------
    classifier : BaseTableClassifier
        The classifier.
    """

    classifier: BaseTableClassifier

    @classmethod
    def of(cls, prior: Any, target: str | None, parameters: Mapping[str, Any]) -> PriorModel:
        """Return the prior of a fit, after checking it.

        Parameters
        ----------
        prior : TableClassifier
            The parameter `prior`; a `FrozenEstimator` of scikit-learn around it is accepted.
        target : str or None
            Column of labels of the new fit; None for that of the prior.
        parameters : mapping
            Parameters of the new classifier.

        Returns
        -------
        PriorModel
            The prior.

        Raises
        ------
        TableError
            If the prior is no fitted table classifier with a posterior, its target is another, or a parameter
            contradicts it.
        """
        model = prior if isinstance(prior, BaseTableClassifier) else getattr(prior, "estimator", prior)
        if not isinstance(model, BaseTableClassifier):
            raise TableError(f"prior is a {type(prior).__name__}; expected a fitted TableClassifier.")
        if not model.__sklearn_is_fitted__():
            raise TableError(
                "The prior is not fitted. scikit-learn's clone() copies models without their fit; give it "
                "sklearn.frozen.FrozenEstimator(model) there."
            )
        if getattr(model.model_, "_posterior", None) is None:
            raise TableError(
                "The prior kept no posterior of its weights; train it with --keep-posterior (keep_posterior=True in "
                "Python)."
            )
        if target is not None and target != model.schema_.target:
            raise TableError(
                f"The target is {quote(target)}, and that of the prior {quote(model.schema_.target)}; a prior is for "
                "the same target."
            )
        _check_parameters(parameters)
        return cls(model)

    @property
    def target(self) -> str:
        """Column of labels."""
        return self.classifier.schema_.target

    @property
    def classes(self) -> list[str]:
        """Classes as text, in the order of `classes_`."""
        return list(self.classifier.model_.classes_.tolist())

    def order(self, classes: TextArray) -> IntArray:
        """Return the permutation that puts classes in the order of the prior."""
        positions = {label: k for k, label in enumerate(classes.tolist())}
        return np.array([positions[label] for label in self.classes])

    def settings(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters of a regression with this prior, which has no strength."""
        return {**settings, "strength": 0.0, "prior": self.classifier.model_.posterior()}

    def fit(self, given: TrainingTable, settings: Mapping[str, Any]) -> FittedParts:
        """Fit a regression to a table in memory.

        Parameters
        ----------
        given : TrainingTable
            Table, training rows and their weights.
        settings : mapping
            Parameters of the regression.

        Returns
        -------
        FittedParts
            Schema and encoder of the prior, and the new regression.

        Raises
        ------
        TableError
            If the table lacks a column, or has a class that the prior does not know.
        """
        emit_warnings(self.classifier.schema_.match(given.table))
        rows, y = self._labelled_rows(given)
        unseen, encoder = UnseenValues(), self.classifier.encoder_
        X = encoder.encode(given.table, rows, unseen=unseen)
        emit_warnings(unseen.messages())
        offsets = self._offsets(given.table, rows)
        weight = None if given.weight is None else given.weight[rows]
        names = np.array(encoder.feature_names_out, dtype=object)
        model = fit_at_strength(self.settings(settings), X, y, names, weight=weight, offsets=offsets)
        return FittedParts(self.classifier.schema_, encoder, model, None)

    def fit_in_batches(self, scan: TableScan, settings: Mapping[str, Any]) -> FittedParts:
        """Fit a regression to a table that is read in batches; raise `TableError` as `fit` does."""
        self._refuse_unknown(scan.classes)
        emit_warnings(self.classifier.schema_.match(scan.source.names))
        unseen, encoder = UnseenValues(), self.classifier.encoder_
        batches = EncodedBatches(scan, encoder, self.classifier.offset_, unseen)
        names = np.array(encoder.feature_names_out, dtype=object)
        model = fit_at_strength(self.settings(settings), batches, None, names)
        emit_warnings(unseen.messages())
        return FittedParts(self.classifier.schema_, encoder, model, None)

    def _labelled_rows(self, given: TrainingTable) -> tuple[Any, Any]:
        """Return the numbers of the training rows with a label, and their labels."""
        texts = self.classifier.label_texts(given.table)
        rows = np.flatnonzero(texts != "")
        if given.rows is not None:
            rows = given.rows[texts[given.rows] != ""]
        if len(rows) == 0:
            raise TableError(f"None of the rows to train on has a label in {quote(self.target)}.")
        self._refuse_unknown(np.unique(texts[rows]).tolist())
        return rows, texts[rows]

    def _refuse_unknown(self, labels: list[str]) -> None:
        """Raise `TableError` for a label that is no class of the prior."""
        unknown = [label for label in labels if label not in self.classes]
        if unknown:
            raise TableError(
                f"{quote(self.target)} has the class {quote(unknown[0])}, which the prior does not know: its classes "
                f"are {quote_list(self.classes)}. Leave these rows out, or train on all rows without a prior."
            )

    def _offsets(self, table: pa.Table, rows: Any) -> Offsets | None:
        """Return the offsets of the training rows, from the columns of the prior; None without offsets."""
        if not self.classifier.offset_:
            return None
        values = read_offsets(table.take(pa.array(rows)), self.classifier.offset_, self.classes)
        return Offsets(values, tuple(self.classes))


def _check_parameters(parameters: Mapping[str, Any]) -> None:
    """Raise `TableError` for a parameter that the prior determines, or that contradicts it."""
    if requested_terms(parameters.get("terms")).required:
        raise TableError(
            "terms (--terms and its like) and a prior exclude each other: the model has the terms of the prior. Leave "
            "one of them out."
        )
    for name, option in DETERMINED.items():
        value = parameters.get(name)
        if value is not None and value != () and value != []:
            raise TableError(
                f"{name} ({option}) and a prior exclude each other: columns, their encoding and the precision of the "
                "weights are those of the prior. Leave one of them out."
            )
    if parameters.get("penalty") != "l2":
        raise TableError(
            f"penalty={parameters.get('penalty')!r} (--penalty) and a prior exclude each other: the prior takes the "
            "place of the penalty."
        )
    if parameters.get("strength") != "auto":
        raise TableError(
            "strength (--strength) and a prior exclude each other: the prior takes the place of the penalty, and there "
            "is no strength. Leave it out."
        )
    for name, default in (("rule", "min"), ("scoring", "log_loss")):
        if parameters.get(name) != default:
            raise TableError(f"{name} (--{name}) chooses a strength, and with a prior there is none to choose.")
