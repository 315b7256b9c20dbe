"""What a Python user imports: estimators, their statistics and their files."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from softreg.models.calibration import Calibrator, Trial
    from softreg.models.codelength import Added, CodeLength, added_information, added_on_rows, prequential_codelength
    from softreg.models.conformal import PredictionSets, coverage
    from softreg.models.explanation import Explanation, explain
    from softreg.models.inference import Inference, infer
    from softreg.models.labels import LabelAudit, label_audit
    from softreg.models.linearity import LinearityTest, linearity_tests
    from softreg.models.path import Path, PathPoint
    from softreg.models.regression import SoftmaxRegression
    from softreg.models.resampling import Bootstrap, bootstrap
    from softreg.models.selection import SoftmaxRegressionCV
    from softreg.models.separated import Separated, separation
    from softreg.models.storage import ModelFileError, Stored, read_model, write_model

_HOME = {
    "Added": "codelength",
    "Bootstrap": "resampling",
    "Calibrator": "calibration",
    "CodeLength": "codelength",
    "Explanation": "explanation",
    "Inference": "inference",
    "LabelAudit": "labels",
    "LinearityTest": "linearity",
    "ModelFileError": "storage",
    "Path": "path",
    "PathPoint": "path",
    "PredictionSets": "conformal",
    "Separated": "separated",
    "SoftmaxRegression": "regression",
    "SoftmaxRegressionCV": "selection",
    "Stored": "storage",
    "Trial": "calibration",
    "added_information": "codelength",
    "added_on_rows": "codelength",
    "bootstrap": "resampling",
    "coverage": "conformal",
    "explain": "explanation",
    "infer": "inference",
    "label_audit": "labels",
    "linearity_tests": "linearity",
    "prequential_codelength": "codelength",
    "read_model": "storage",
    "separation": "separated",
    "write_model": "storage",
}

__all__ = [
    "Added",
    "Bootstrap",
    "Calibrator",
    "CodeLength",
    "Explanation",
    "Inference",
    "LabelAudit",
    "LinearityTest",
    "ModelFileError",
    "Path",
    "PathPoint",
    "PredictionSets",
    "Separated",
    "SoftmaxRegression",
    "SoftmaxRegressionCV",
    "Stored",
    "Trial",
    "added_information",
    "added_on_rows",
    "bootstrap",
    "coverage",
    "explain",
    "infer",
    "label_audit",
    "linearity_tests",
    "prequential_codelength",
    "read_model",
    "separation",
    "write_model",
]


def __getattr__(name: str) -> Any:
    """The public name, imported when it is first used: a model file is read without scikit-learn."""
    if name in _HOME:
        return getattr(import_module(f"softreg.models.{_HOME[name]}"), name)
    raise AttributeError(f"module 'softreg.models' has no attribute {name!r}")
