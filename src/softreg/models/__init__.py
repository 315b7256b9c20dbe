"""What a Python user imports: estimators, their statistics and their files."""

from softreg.models.explanation import Explanation, explain
from softreg.models.inference import Inference, infer
from softreg.models.path import Path, PathPoint
from softreg.models.regression import SoftmaxRegression
from softreg.models.resampling import Bootstrap, bootstrap
from softreg.models.selection import SoftmaxRegressionCV
from softreg.models.separated import Separated, separation
from softreg.models.storage import ModelFileError, Stored, read_model, write_model

__all__ = [
    "Bootstrap",
    "Explanation",
    "Inference",
    "ModelFileError",
    "Path",
    "PathPoint",
    "Separated",
    "SoftmaxRegression",
    "SoftmaxRegressionCV",
    "Stored",
    "bootstrap",
    "explain",
    "infer",
    "read_model",
    "separation",
    "write_model",
]
