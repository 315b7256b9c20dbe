"""What a Python user imports: estimators, their statistics and their files."""

from softreg.models.calibration import Calibrator, Trial
from softreg.models.codelength import Added, CodeLength, added_information, added_on_rows, prequential_codelength
from softreg.models.conformal import PredictionSets, coverage
from softreg.models.explanation import Explanation, explain
from softreg.models.inference import Inference, infer
from softreg.models.labels import LabelAudit, label_audit
from softreg.models.path import Path, PathPoint
from softreg.models.regression import SoftmaxRegression
from softreg.models.resampling import Bootstrap, bootstrap
from softreg.models.selection import SoftmaxRegressionCV
from softreg.models.separated import Separated, separation
from softreg.models.storage import ModelFileError, Stored, read_model, write_model

__all__ = [
    "Added",
    "Bootstrap",
    "Calibrator",
    "CodeLength",
    "Explanation",
    "Inference",
    "LabelAudit",
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
    "prequential_codelength",
    "read_model",
    "separation",
    "write_model",
]
