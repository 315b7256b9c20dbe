"""The program of a fitted model: of a table or of arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from numpy.typing import ArrayLike

from softreg.export.build.calibrator_steps import calibrator_steps
from softreg.export.build.program_parts import array_program, table_program
from softreg.export.export_errors import ExportError
from softreg.export.probability_maps import Step
from softreg.export.program import Program
from softreg.models import Calibrator, SoftmaxRegression, SoftmaxRegressionCV
from softreg.tables import TableClassifier


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
        Class rates of the new rows, for `Calibrator.predict_proba(P, class_rates=...)`; a mapping names each class.

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
        steps = calibrator_steps(calibrator, class_rates, model.classes_.tolist())
        names = getattr(model, "feature_names_in_", None)
        return array_program(
            model.coef_,
            model.intercept_,
            model.classes_.tolist(),
            names=None if names is None else names.tolist(),
            with_offset=model.has_offset_,
            steps=steps,
        )
    raise ExportError(
        f"{type(model).__name__} cannot be exported; expected a fitted SoftmaxRegression, SoftmaxRegressionCV or "
        "TableClassifier."
    )


def _table_program(model: TableClassifier, steps: tuple[Step, ...]) -> Program:
    """Return the program of a model of a table."""
    regression = model.model_
    program = table_program(
        model.encoder_,
        regression.coef_,
        regression.intercept_,
        classes=regression.classes_.tolist(),
        labels=model.classes_.tolist(),
        target=model.schema_.target,
        offset=model.offset_,
        intervals=model.intervals_,
        evaluation=model.evaluation_,
        steps=steps,
    )
    has_terms = bool(program.grids) or any(read.smooth for read in program.inputs)
    if not has_terms or model.term_shares_ is None:
        return program
    return replace(program, functions=model.term_functions())
