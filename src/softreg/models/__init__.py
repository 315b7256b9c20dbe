"""Estimators, their statistics, what follows a fit, and the model file: what a Python user imports.

It may import `optimize`, `rows` and `probability`. Its packages, in the order in which they import each other, are
`inputs`, `parameters`, `serialization`, `likelihood`, `class_blocks`, `estimators`, `selection`, `calibration` and
`inference`; a new public name is also added to `_DEFINED_IN` here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from softreg.lazy import lazy_names

if TYPE_CHECKING:
    from softreg.models.calibration.calibrator import Calibrator, Trial
    from softreg.models.calibration.code_length import (
        Added,
        CodeLength,
        added_information,
        added_on_rows,
        prequential_codelength,
    )
    from softreg.models.calibration.group_calibrator import GroupCalibrator
    from softreg.models.calibration.group_offsets import GroupOffsets
    from softreg.models.calibration.group_rules import GroupRule
    from softreg.models.calibration.label_audit import LabelAudit, label_audit
    from softreg.models.class_blocks.top_classes import TopClasses
    from softreg.models.conformal.prediction_sets import CoverageInterval, PredictionSets, class_coverage, coverage
    from softreg.models.estimators.regression import SoftmaxRegression
    from softreg.models.inference.bootstrap import Bootstrap, bootstrap
    from softreg.models.inference.contributions import Explanation, explain
    from softreg.models.inference.inference import Inference, infer
    from softreg.models.inference.linearity_tests import LinearityTest, linearity_tests
    from softreg.models.inference.margins.predictions import posterior_predictions
    from softreg.models.likelihood.separation_lp import Separated, separation
    from softreg.models.selection.cv_estimator import SoftmaxRegressionCV
    from softreg.models.selection.regularization_path import Path, PathPoint
    from softreg.models.serialization.model_file import ModelFileError, StoredModel, read_model, write_model
    from softreg.models.serialization.stored_evaluation import StoredEvaluation

_DEFINED_IN = {
    "Added": "calibration.code_length",
    "Bootstrap": "inference.bootstrap",
    "Calibrator": "calibration.calibrator",
    "CodeLength": "calibration.code_length",
    "CoverageInterval": "conformal.prediction_sets",
    "Explanation": "inference.contributions",
    "GroupCalibrator": "calibration.group_calibrator",
    "GroupOffsets": "calibration.group_offsets",
    "GroupRule": "calibration.group_rules",
    "Inference": "inference.inference",
    "LabelAudit": "calibration.label_audit",
    "LinearityTest": "inference.linearity_tests",
    "ModelFileError": "serialization.model_file",
    "Path": "selection.regularization_path",
    "PathPoint": "selection.regularization_path",
    "PredictionSets": "conformal.prediction_sets",
    "Separated": "likelihood.separation_lp",
    "SoftmaxRegression": "estimators.regression",
    "SoftmaxRegressionCV": "selection.cv_estimator",
    "StoredEvaluation": "serialization.stored_evaluation",
    "StoredModel": "serialization.model_file",
    "TopClasses": "class_blocks.top_classes",
    "Trial": "calibration.calibrator",
    "added_information": "calibration.code_length",
    "added_on_rows": "calibration.code_length",
    "bootstrap": "inference.bootstrap",
    "class_coverage": "conformal.prediction_sets",
    "coverage": "conformal.prediction_sets",
    "explain": "inference.contributions",
    "infer": "inference.inference",
    "label_audit": "calibration.label_audit",
    "linearity_tests": "inference.linearity_tests",
    "posterior_predictions": "inference.margins.predictions",
    "prequential_codelength": "calibration.code_length",
    "read_model": "serialization.model_file",
    "separation": "likelihood.separation_lp",
    "write_model": "serialization.model_file",
}

__all__ = [
    "Added",
    "Bootstrap",
    "Calibrator",
    "CodeLength",
    "CoverageInterval",
    "Explanation",
    "GroupCalibrator",
    "GroupOffsets",
    "GroupRule",
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
    "StoredEvaluation",
    "StoredModel",
    "TopClasses",
    "Trial",
    "added_information",
    "added_on_rows",
    "bootstrap",
    "class_coverage",
    "coverage",
    "explain",
    "infer",
    "label_audit",
    "linearity_tests",
    "posterior_predictions",
    "prequential_codelength",
    "read_model",
    "separation",
    "write_model",
]

__getattr__, __dir__ = lazy_names(__name__, _DEFINED_IN)
