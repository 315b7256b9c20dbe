"""What a Python user imports: estimators and their files."""

from softreg.models.path import Path, PathPoint
from softreg.models.regression import SoftmaxRegression
from softreg.models.resampling import Bootstrap, bootstrap
from softreg.models.selection import SoftmaxRegressionCV
from softreg.models.storage import ModelFileError, Stored, read_model, write_model

__all__ = [
    "Bootstrap",
    "ModelFileError",
    "Path",
    "PathPoint",
    "SoftmaxRegression",
    "SoftmaxRegressionCV",
    "Stored",
    "bootstrap",
    "read_model",
    "write_model",
]
