"""The model of a card: a table model or a regression, with one interface for the sections."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sklearn.utils.validation import check_is_fitted

from softreg.models import Path, SoftmaxRegression, SoftmaxRegressionCV, StoredEvaluation
from softreg.optimize import Solution
from softreg.tables import TableClassifier
from softreg.value_text import value_text


@dataclass(frozen=True)
class CardSubject:
    """A fitted model.

    Attributes
    ----------
    regression : SoftmaxRegression
        The fitted regression.
    table_model : TableClassifier or None
        The model of a table; None for a regression on an array or a frame of numbers.
    path : Path or None
        Search for the strength; None where the strength was given.
    rule : str
        Rule of the search.
    file : str
        Name of the model file.
    version : str
        Version of softreg that wrote the file; empty where it is not known.
    """

    regression: SoftmaxRegression
    table_model: TableClassifier | None
    path: Path | None
    rule: str
    file: str
    version: str

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """Classes as text."""
        return tuple(value_text(label) for label in self.regression.classes_)

    @property
    def target(self) -> str | None:
        """Column of labels; None where it has no name."""
        return None if self.table_model is None else self.table_model.schema_.target

    @property
    def evaluation(self) -> StoredEvaluation | None:
        """Evaluation on held-out rows, where the model keeps one."""
        return None if self.table_model is None else self.table_model.evaluation_

    @property
    def solution(self) -> Solution | None:
        """Solution of the fit; None for a model that was trained on mini-batches."""
        return getattr(self.regression, "solution_", None)

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        """Names of the d features; None for an array without names."""
        if self.table_model is not None:
            return self.table_model.feature_names_out_
        names = getattr(self.regression, "feature_names_in_", None)
        return None if names is None else tuple(str(name) for name in names)


def card_subject(model: Any, file: str, version: str) -> CardSubject:
    """Return the subject of a card.

    Parameters
    ----------
    model : TableClassifier, SoftmaxRegression or SoftmaxRegressionCV
        A fitted model.
    file, version : str
        Name of its file, and the version of softreg that wrote it.

    Returns
    -------
    CardSubject
        The subject.

    Raises
    ------
    TypeError
        If the model is another object.
    """
    if not isinstance(model, TableClassifier | SoftmaxRegression | SoftmaxRegressionCV):
        raise TypeError(
            f"a model card is made of a TableClassifier, a SoftmaxRegression or a SoftmaxRegressionCV, and not of "
            f"{type(model).__name__}"
        )
    check_is_fitted(model)
    if isinstance(model, TableClassifier):
        return CardSubject(model.model_, model, model.path_, model.rule, file, version)
    if isinstance(model, SoftmaxRegressionCV):
        return CardSubject(model.best_estimator_, None, model.path_, model.rule, file, version)
    return CardSubject(model, None, None, "min", file, version)
