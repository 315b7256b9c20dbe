"""`softreg.load`: give back what was saved, whatever kind of model it is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from softreg.models.serialization.model_file import ModelFileError, read_model

__all__ = ["load"]

LONGEST = 250
"""Characters of a message about the parts of a file, which the file can fill with any text."""


def load(path: str | os.PathLike[str]) -> Any:
    """The model that was saved at `path`: a `SoftmaxRegression`, `SoftmaxRegressionCV` or
    `TableClassifier`.

    The file holds numbers and JSON only; loading runs no code from it. Raises `FileNotFoundError` where there is no
    file and `ModelFileError` (a `ValueError`) where it is truncated, altered or not a model.

    Example:
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
            from softreg.models.selection.estimator import SoftmaxRegressionCV

            return SoftmaxRegressionCV.from_state(stored.arrays, stored.metadata)
        if stored.kind == "table":
            from softreg.tables import TableClassifier

            return TableClassifier.from_state(stored.arrays, stored.metadata)
    except KeyError as error:
        raise ModelFileError(f"{Path(path).name!r} lacks {error}, a part that a model needs") from error
    except (TypeError, ValueError, AttributeError, IndexError, ArithmeticError) as error:
        raise ModelFileError(f"{Path(path).name!r} holds parts that make no model: {_short(error)}") from error
    raise ModelFileError(
        f"{Path(path).name!r} holds a model of the unknown kind {stored.kind!r:.100}; a newer softreg may read it"
    )


def _short(error: BaseException) -> str:
    """What an error says, in one line that is not longer than a sentence."""
    words = " ".join(str(error).split())
    return words if len(words) <= LONGEST else words[: LONGEST - 1] + "…"
