"""TableClassifier: softmax regression from a file or a frame with columns of mixed kinds."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from softreg.models import Inference, Path, SoftmaxRegression, infer
from softreg.models.selection_state import path_from_state, path_state
from softreg.models.storage import write_model
from softreg.tables import label_types
from softreg.tables.changes import encoded_changes
from softreg.tables.choose_forms import choice_state, learn_encoder
from softreg.tables.choosing import Choice, NumericForm, fit_model
from softreg.tables.encoder import Encoder
from softreg.tables.errors import Names, TableError, TableWarning, column_name, column_names
from softreg.tables.grouping import group_codes
from softreg.tables.kinds import ASKED, Kind, asked_kinds
from softreg.tables.predicting import schema_and_encoder
from softreg.tables.reader import as_table
from softreg.tables.rows import row_numbers
from softreg.tables.schema import Schema, learn_schema
from softreg.tables.streaming import fit_in_batches, surveyed
from softreg.tables.survey import Memory, Survey
from softreg.tables.target import check_labels, known_labels, labels
from softreg.tables.unseen import UnseenLevels

_PREFIX = "model."
_PARAMETERS = (
    "strength",
    "penalty",
    "l1_ratio",
    "class_weight",
    "tol",
    "max_iter",
    "random_state",
    "verbose",
)
_CHOICE = {"groups": None, "folds": None, "rule": "min", "numeric_form": None}


class TableClassifier:
    """Softmax regression on a table: learns what each column is, encodes it, fits, predicts by column name.

    Parameters: `target`, the name of the column of labels; `drop`, columns to leave out; `text`, `category`, `number`
    and `date`, columns that are to be taken for that, whatever they look like; the others are those
    of `softreg.SoftmaxRegression` and mean the same. `strength="auto"` lets cross-validation choose it, as
    `softreg.SoftmaxRegressionCV` does, with shuffled, stratified `folds` of the training rows (at most five where None)
    and its `rule`, "min" or "1se"; a callable `verbose` then receives a `PathPoint` for each strength, and
    `softreg.optimize.Progress` records of a fit in batches. `groups` names a column whose equal values are rows that
    belong together, as those of one person: no fold tears them apart, and the column is no feature.
    Heavy-tailed numbers are used as they are, by normal scores or in both forms, as cross-validation chooses or as
    `numeric_form` says, a mapping of names of columns to "linear", "scores" or "both".

    Columns are named by text; of a frame whose columns are numbered, numbers are names as well.

    After `fit`: `schema_` (what each column was taken for, and why), `encoder_`, `model_` (the fitted
    `SoftmaxRegression`, whose classes are text), `classes_` (q,) the labels, sorted, in the type that they have in the
    table (integers, booleans, floats, decimals, and dates and timestamps as datetime64; anything else is text),
    `feature_names_out_` (d,) names of the columns of X, `path_` the strengths tried (None where it was given).

    Example:
        >>> import pyarrow as pa
        >>> table = pa.table({"age": [20, 60, 25, 55], "buys": ["no", "yes", "no", "yes"]})
        >>> TableClassifier("buys").fit(table).predict(pa.table({"age": [58, 19]})).tolist()
        ['yes', 'no']
    """

    schema_: Schema
    encoder_: Encoder
    model_: SoftmaxRegression
    classes_: NDArray[Any]
    label_type_: str = label_types.TEXT
    feature_names_out_: tuple[str, ...]
    path_: Path | None = None

    def __init__(
        self,
        target: str | int,
        *,
        drop: Names = (),
        text: Names = (),
        category: Names = (),
        number: Names = (),
        date: Names = (),
        numeric_form: NumericForm = None,
        groups: str | int | None = None,
        strength: float | str = 1e-4,
        folds: int | None = None,
        rule: str = "min",
        penalty: str | None = "l2",
        l1_ratio: float = 0.0,
        class_weight: Mapping[Any, float] | str | None = None,
        tol: float = 1e-6,
        max_iter: int = 1000,
        random_state: int | None = None,
        verbose: int | Callable[[Any], None] = 0,
    ) -> None:
        self.target = target
        self.drop = drop
        self.text = text
        self.category = category
        self.number = number
        self.date = date
        self.numeric_form = numeric_form
        self.groups = groups
        self.folds = folds
        self.rule = rule
        self.strength = strength
        self.penalty = penalty
        self.l1_ratio = l1_ratio
        self.class_weight = class_weight
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state
        self.verbose = verbose

    def fit(
        self,
        data: Any,
        rows: ArrayLike | None = None,
        *,
        checkpoint: str | os.PathLike[str] | None = None,
        memory: Memory = "auto",
    ) -> TableClassifier:
        """Learn schema, encoding and model from a path, a pyarrow table or a data frame; returns `self`.

        `rows` (row numbers from 0, or a mask) are the training rows, as from `split_rows`; all where None.
        Row numbers in messages are those of the whole table. Columns left out are warned of (`TableWarning`).

        Files of more than 512 MB (compressed ones count four times; `memory="low"`: all files) are read in batches and
        never held: columns are judged and the strength is chosen by a sample of up to 100,000 rows, means, levels,
        terms and weights are those of all rows. With `memory="high"` every table is read as a whole. `checkpoint` names
        a folder from which the same call resumes an interrupted fit.

        Raises `TableError` for a table that cannot be learned from, naming column, row and value.
        """
        choice, target = Choice(self.folds, self.rule, self.numeric_form), column_name(self.target, "target")
        choice.check()
        found = surveyed(data, rows, target, memory, self.random_state, self._unused())
        if found is not None:
            return self._fit_in_batches(found, checkpoint, choice)
        table = as_table(data, unused=self._unused())
        chosen = row_numbers(rows, table.num_rows)
        y = labels(table, target)
        if table.num_rows == 0:
            raise TableError("The table has no rows; there is nothing to learn from.")
        check_labels(y, target)
        y = y if chosen is None else y[chosen]
        if (y == y[0]).all():  # of several classes, the training rows hold one
            check_labels(y, target)
        groups = self._groups()
        if groups is not None:
            choice = replace(choice, groups=group_codes(table, groups, target, chosen))
        schema = learn_schema(table, target, drop=self._dropped(), rows=chosen, asked=self._asked())
        settings = self._settings(np.unique(y).tolist())
        encoder = learn_encoder(schema, table, chosen, y, settings, choice)
        X = encoder.encode(table, chosen)
        names = np.array(encoder.feature_names_out, dtype=object)
        model, path = fit_model(settings, X, y, names, checkpoint, choice)
        return self._finish(schema, encoder, model, path, table.schema)

    def _fit_in_batches(
        self, found: Survey, checkpoint: str | os.PathLike[str] | None, choice: Choice
    ) -> TableClassifier:
        if self.groups is not None:
            raise TableError("groups need all rows in memory, and this table is read in batches; use memory='high'.")
        schema, encoder, model, path = fit_in_batches(
            found, self._settings(sorted(found.counts)), self._dropped(), self._asked(), checkpoint, choice
        )
        return self._finish(schema, encoder, model, path, found.source.schema)

    def _settings(self, classes: list[str]) -> dict[str, Any]:
        """The parameters of the regression, with class weights by the text of the labels."""
        settings = {name: getattr(self, name) for name in _PARAMETERS}
        return {**settings, "class_weight": label_types.weights_by_name(self.class_weight, classes)}

    def _finish(
        self, schema: Schema, encoder: Encoder, model: SoftmaxRegression, path: Path | None, types: Any
    ) -> TableClassifier:
        _warn(schema.warnings)  # where warnings are errors, nothing is set
        kind = label_types.label_type(types.field(schema.target).type)
        label_types.reorder_classes(model, label_types.class_order(model.classes_, kind))
        self.schema_, self.encoder_, self.path_ = schema, encoder, path
        self._take_model(model, kind)
        return self

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
        _warn(self.schema_.match(table))
        unseen = UnseenLevels()
        X = self.encoder_.encode(table, unseen=unseen)
        _warn(unseen.messages())
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

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted classifier to one file, whole or not at all; `softreg.load` gives it back."""
        arrays, metadata = self.to_state()
        write_model(path, "table", arrays, metadata)

    def to_state(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Arrays and strict JSON that hold the fitted classifier; `from_state` gives it back."""
        self._check_fitted()
        arrays, model = self.model_.to_state()
        state = {
            "schema": self.schema_.to_state(),
            "encoder": self.encoder_.to_state(),
            "drop": list(column_names(self.drop)),
            "asked": {name: kind.value for name, kind in self._asked().items()},
            "model": model,
            "labels": self.label_type_,
            "choice": choice_state(self.folds, self.rule, self._groups(), self.numeric_form),
            "path": None if self.path_ is None else path_state(self.path_),
        }
        return {_PREFIX + name: array for name, array in arrays.items()}, state

    @classmethod
    def from_state(cls, arrays: Mapping[str, NDArray[Any]], metadata: Mapping[str, Any]) -> TableClassifier:
        """The classifier that `to_state` described; raises `ValueError` for the state of anything else."""
        try:
            schema, encoder = schema_and_encoder(metadata)
            own = {name.removeprefix(_PREFIX): array for name, array in arrays.items() if name.startswith(_PREFIX)}
            model = SoftmaxRegression.from_state(own, metadata["model"])
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"this is not the state of a table model: {error}") from error
        if model.n_features_in_ != encoder.width:
            raise ValueError(f"weights of {model.n_features_in_} features do not fit {encoder.width} of the encoder")
        path = path_from_state(metadata["path"]) if metadata.get("path") else None
        kept = {name: getattr(model, name) for name in _PARAMETERS}
        kept["strength"] = "auto" if path is not None else model.strength
        asked = dict(metadata.get("asked", {}))
        kinds: dict[str, Any] = {
            kind.value: tuple(name for name in asked if asked[name] == kind.value) for kind in ASKED
        }
        choice = metadata.get("choice", {})  # files of before have none
        kept |= {name: choice.get(name, default) for name, default in _CHOICE.items()}
        self = cls(schema.target, drop=tuple(metadata.get("drop", ())), **kinds, **kept)
        self.schema_, self.encoder_, self.path_ = schema, encoder, path
        self._take_model(model, str(metadata.get("labels", label_types.TEXT)))  # labels were text in earlier versions
        return self

    def _asked(self) -> dict[str, Kind]:
        """The kinds that were asked for, by name of the column."""
        return asked_kinds({kind.value: getattr(self, kind.value) for kind in ASKED})

    def _dropped(self) -> tuple[str, ...]:
        """Columns that are no features because they were named."""
        groups = self._groups()
        return column_names(self.drop) if groups is None else (*column_names(self.drop), groups)

    def _groups(self) -> str | None:
        return None if self.groups is None else column_name(self.groups, "groups")

    def _unused(self) -> set[str]:
        """Columns of which no value is looked at."""
        return set(column_names(self.drop)) - {self._groups(), self.target}

    def _check_fitted(self) -> None:
        if not hasattr(self, "schema_"):
            raise TableError("This TableClassifier is not fitted yet; call fit with a table first.")

    def _take_model(self, model: SoftmaxRegression, kind: str) -> None:
        self.classes_ = label_types.typed_labels(model.classes_, kind)
        self.model_, self.label_type_ = model, kind
        self.feature_names_out_ = self.encoder_.feature_names_out

    def __repr__(self) -> str:
        return f"TableClassifier(target={self.target!r}, strength={self.strength!r}, penalty={self.penalty!r})"


def _warn(messages: Sequence[str]) -> None:
    for message in messages:
        warnings.warn(message, TableWarning, stacklevel=3)
