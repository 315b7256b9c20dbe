"""What a Python user imports: estimators, their statistics and their files."""

from softreg.models.explanation import Explanation, explain
from softreg.models.inference import Inference, infer
from softreg.models.regression import SoftmaxRegression
from softreg.models.separated import Separated, separation
from softreg.models.storage import ModelFileError, Stored, read_model, write_model

__all__ = [
    "Explanation",
    "Inference",
    "ModelFileError",
    "Separated",
    "SoftmaxRegression",
    "Stored",
    "explain",
    "infer",
    "read_model",
    "separation",
    "write_model",
]
