"""A model of arrays as a service: a `SoftmaxRegression` or the best one of a `SoftmaxRegressionCV`."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from softreg.export.build.program_parts import array_program
from softreg.export.program import Program
from softreg.serve.requests.request_errors import InvalidContent, shown
from softreg.serve.served_models.json_columns import BOUNDED_NUMBER, LARGEST_NUMBER, JsonColumn, is_too_large
from softreg.serve.served_models.served_model import Answer, Columns, Labels
from softreg.tables.columns.table_errors import quote

NUMBER = frozenset({int, float})


class ServedArray:
    """A model of arrays that answers requests.

    Parameters
    ----------
    model : SoftmaxRegression or SoftmaxRegressionCV
        Fitted model.
    version : str
        Version of the file.

    Raises
    ------
    ValueError
        If the model was fitted with an offset of the logits, which no column of a request holds.
    """

    kind = "array"
    ignored: frozenset[str] = frozenset()
    target = ""
    has_intervals = False
    has_contributions = False

    def __init__(self, model: Any, version: str) -> None:
        model = getattr(model, "best_estimator_", model)
        if model.has_offset_:
            raise ValueError("the model was fitted with an offset of the logits, which a request cannot hold")
        names = getattr(model, "feature_names_in_", None)
        self.named = names is not None
        shown_names = [str(place) for place in range(model.n_features_in_)] if names is None else names.tolist()
        self.columns = {name: JsonColumn(name, NUMBER, "a number", BOUNDED_NUMBER) for name in shown_names}
        self.labels, self.version = Labels.of(model.classes_), version
        self.model = copy.copy(model)  # without names: arrays in the order of training
        self.model.__dict__.pop("feature_names_in_", None)

    def program(self) -> Program:
        """Return the model as a program, for its page."""
        model, names = self.model, list(self.columns) if self.named else None
        return array_program(model.coef_, model.intercept_, self.labels.values, names=names)

    def answer(self, columns: Columns, n: int, *, level: float | None = None, contributions: bool = False) -> Answer:
        """Return the probabilities of n rows.

        Parameters
        ----------
        columns : mapping of str to sequence
            Numbers of each column.
        n : int
            Number of rows.
        level, contributions
            Not used: the file keeps neither a covariance nor a mean.

        Returns
        -------
        Answer
            Probabilities.

        Raises
        ------
        InvalidContent
            For a cell that is no number.
        """
        for place, name in enumerate(self.columns, 1):
            what = f"Column {quote(name)}" if self.named else f"Number {place:,} of the list"
            kinds = set(map(type, columns[name]))
            if not kinds <= NUMBER:
                row = next(i for i, value in enumerate(columns[name]) if type(value) not in NUMBER)
                raise InvalidContent(
                    f"{what} has {shown(columns[name][row])} in row {row + 1:,}; expected a number: a "
                    "model of arrays has no missing values."
                )
            large = next((row for row, value in enumerate(columns[name]) if is_too_large(value)), None)
            if large is not None:
                raise InvalidContent(
                    f"{what} has {shown(columns[name][large])} in row {large + 1:,}; expected a number "
                    f"of at most {LARGEST_NUMBER:g} in absolute value."
                )
        if not n:
            return Answer(np.zeros((0, len(self.labels.texts))))
        try:
            X = np.array([columns[name] for name in self.columns], dtype=np.float64).T
            return Answer(np.asarray(self.model.predict_proba(np.ascontiguousarray(X))))
        except (OverflowError, ValueError) as error:
            raise InvalidContent(f"The rows cannot be predicted: {' '.join(str(error).split())}") from None
