"""`softreg.load`: the class that reads each kind of model file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from softreg.models.serialization.model_file import ModelFileError, read_model

__all__ = ["load"]

MAX_CHARACTERS = 250
"""Length of a message about the contents of a file, which may hold any text."""


def load(path: str | os.PathLike[str]) -> Any:
    """Load a model file.

    The file holds numbers and JSON only; loading runs no code from it.

    Parameters
    ----------
    path : path
        File that the method `save` of a model wrote.

    Returns
    -------
    SoftmaxRegression, SoftmaxRegressionCV, TableClassifier, Calibrator, GroupCalibrator or PredictionSets
        The fitted model, calibrator or prediction sets.

    Raises
    ------
    FileNotFoundError
        If there is no file.
    ModelFileError
        If the file is truncated, altered or not a model. It is a `ValueError`.

    Examples
    --------
    >>> import numpy as np, softreg
    >>> model = softreg.SoftmaxRegression().fit(np.array([[0.0], [1.0], [2.0]]), ["a", "b", "b"])
    >>> model.save("three.softreg")
    >>> softreg.load("three.softreg").classes_.tolist()
    ['a', 'b']
    """
    stored = read_model(path)
    try:
        if stored.kind == "regression":
            from softreg.models.estimators.regression import SoftmaxRegression

            return SoftmaxRegression.from_state(stored.arrays, stored.metadata)
        if stored.kind == "selection":
            from softreg.models.selection.cv_estimator import SoftmaxRegressionCV

            return SoftmaxRegressionCV.from_state(stored.arrays, stored.metadata)
        if stored.kind == "prediction_sets":
            from softreg.models.conformal.prediction_sets import PredictionSets

            return PredictionSets.from_state(stored.arrays, stored.metadata)
        if stored.kind == "table":
            from softreg.tables import TableClassifier

            return TableClassifier.from_state(stored.arrays, stored.metadata)
        if stored.kind == "calibrator":
            from softreg.models.calibration.calibrator import Calibrator

            return Calibrator.from_state(stored.arrays, stored.metadata)
        if stored.kind == "group calibrator":
            from softreg.models.calibration.group_calibrator import GroupCalibrator

            return GroupCalibrator.from_state(stored.arrays, stored.metadata)
    except KeyError as error:
        raise ModelFileError(f"{Path(path).name!r} lacks {error}, which a model needs") from error
    except (TypeError, ValueError, AttributeError, IndexError, ArithmeticError) as error:
        raise ModelFileError(f"{Path(path).name!r} holds an invalid model: {_one_line(error)}") from error
    raise ModelFileError(
        f"{Path(path).name!r} holds a model of the unknown kind {stored.kind!r:.100}; a newer softreg may read it"
    )


def _one_line(error: BaseException) -> str:
    """Return the message of an error in one line of limited length."""
    text = " ".join(str(error).split())
    return text if len(text) <= MAX_CHARACTERS else text[: MAX_CHARACTERS - 1] + "…"
