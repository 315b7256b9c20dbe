"""What a Python user imports: estimators and their files."""

from softreg.models.calibration import Calibrator, Trial
from softreg.models.codelength import Added, CodeLength, added_information, prequential_codelength
from softreg.models.conformal import PredictionSets, coverage
from softreg.models.labels import LabelAudit, label_audit
from softreg.models.regression import SoftmaxRegression
from softreg.models.storage import ModelFileError, Stored, read_model, write_model

__all__ = [
    "Added",
    "Calibrator",
    "CodeLength",
    "LabelAudit",
    "ModelFileError",
    "PredictionSets",
    "SoftmaxRegression",
    "Stored",
    "Trial",
    "added_information",
    "coverage",
    "label_audit",
    "prequential_codelength",
    "read_model",
    "write_model",
]
