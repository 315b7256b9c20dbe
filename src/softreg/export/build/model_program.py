"""The program of a fitted model: of a table or of arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from softreg.export.build.calibrator_steps import calibrator_steps
from softreg.export.build.column_terms import offset_columns, table_columns
from softreg.export.export_errors import ExportError
from softreg.export.program import (
    Covariance,
    Input,
    InputKind,
    Label,
    OffsetTerm,
    Program,
    Reliability,
    Term,
    VectorTerm,
)
from softreg.models import Calibrator, SoftmaxRegression, SoftmaxRegressionCV
from softreg.tables import TableClassifier
from softreg.value_text import value_text
from softreg.version import __version__

ARRAY_INPUT = "X"
"""Name of the input of a model of arrays."""


def build_program(
    model: Any,
    *,
    calibrator: Calibrator | None = None,
    class_rates: ArrayLike | Mapping[Any, float] | None = None,
) -> Program:
    """Return a fitted model as a program, which printers translate to other languages.

    Parameters
    ----------
    model : SoftmaxRegression, SoftmaxRegressionCV or TableClassifier
        A fitted model.
    calibrator : Calibrator, optional
        A fitted calibrator of the model's classes, which is applied to its probabilities.
    class_rates : array_like (q,) or mapping of label to float, optional
        Class rates of the new rows, as in `Calibrator.predict_proba`.

    Returns
    -------
    Program
        The program.

    Raises
    ------
    ExportError
        If the model is of another class or not fitted, or calibrator and class rates do not fit.

    Examples
    --------
    >>> model = SoftmaxRegression(0.1).fit([[0.0], [1.0], [2.0]], ["a", "b", "b"])
    >>> build_program(model).classes
    ('a', 'b')
    """
    if isinstance(model, TableClassifier):
        if not hasattr(model, "schema_"):
            raise ExportError("This TableClassifier is not fitted yet; call fit with a table first.")
        return _table_program(model, calibrator_steps(calibrator, class_rates, model.classes_.tolist()))
    if isinstance(model, SoftmaxRegression | SoftmaxRegressionCV):
        if not hasattr(model, "coef_"):
            raise ExportError(f"This {type(model).__name__} is not fitted yet; call fit first.")
        return _array_program(model, calibrator_steps(calibrator, class_rates, model.classes_.tolist()))
    raise ExportError(
        f"{type(model).__name__} cannot be exported; expected a fitted SoftmaxRegression, SoftmaxRegressionCV or "
        "TableClassifier."
    )


def _table_program(model: TableClassifier, steps: tuple[Any, ...]) -> Program:
    """Return the program of a model of a table."""
    columns = table_columns(model.encoder_)
    inputs = [column.input for column in columns]
    terms: list[Term] = [term for column in columns for term in column.terms]
    for read, labels in offset_columns(model.offset_, model.model_.classes_.tolist(), len(inputs)):
        terms += [OffsetTerm(len(inputs), label) for label in labels]
        inputs.append(read)
    covariance = None
    if model.intervals_ is not None and not steps:
        kept = model.intervals_.distribution
        covariance = Covariance(kept.shift, kept.scale, kept.L)
    regression = model.model_
    return Program(
        tuple(inputs),
        tuple(terms),
        np.ascontiguousarray(regression.coef_.T, dtype=np.float64),
        np.asarray(regression.intercept_, dtype=np.float64),
        _labels(model.classes_.tolist()),
        steps,
        model.schema_.target,
        tuple(model.feature_names_out_),
        covariance,
        __version__,
        None if steps else _reliability(model),
    )


def _reliability(model: TableClassifier) -> Reliability | None:
    """Return the reliability of each class that the model file keeps; None for a model without an evaluation."""
    if model.evaluation_ is None:
        return None
    by_label = {one.label: one.bins for one in model.evaluation_.reliability}
    labels = [str(label) for label in model.model_.classes_]
    return Reliability(model.evaluation_.rows, tuple(by_label.get(label, ()) for label in labels))


def _array_program(model: SoftmaxRegression | SoftmaxRegressionCV, steps: tuple[Any, ...]) -> Program:
    """Return the program of a model of arrays: one required vector, whose elements are columns of their own."""
    weights = np.ascontiguousarray(model.coef_.T, dtype=np.float64)
    d = len(weights)
    known = getattr(model, "feature_names_in_", None)
    names = tuple(f"x{j}" for j in range(d)) if known is None else tuple(str(name) for name in known)
    inputs = [Input(ARRAY_INPUT, InputKind.VECTOR, required=True, length=d, elements=names)]
    labels = _labels(model.classes_.tolist())
    terms: list[Term] = [VectorTerm(0, 0, (0.0,) * d, 1.0)]
    if model.has_offset_:
        for k, label in enumerate(labels):
            inputs.append(Input(f"offset {label}", InputKind.NUMBER, required=True))
            terms.append(OffsetTerm(k + 1, k))
    bias = np.asarray(model.intercept_, dtype=np.float64)
    return Program(tuple(inputs), tuple(terms), weights, bias, labels, steps, "", names, None, __version__)


def _labels(labels: Sequence[Any]) -> tuple[Label, ...]:
    """Return class labels as values that every target can write; others, such as dates, as text."""
    return tuple(label if isinstance(label, str | int | float | bool) else value_text(label) for label in labels)
