"""What a Python user imports: estimators and their files."""

from softreg.models.regression import SoftmaxRegression
from softreg.models.storage import ModelFileError, Stored, read_model, write_model

__all__ = ["ModelFileError", "SoftmaxRegression", "Stored", "read_model", "write_model"]
