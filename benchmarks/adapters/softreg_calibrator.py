"""softreg's calibrator for harnesses that take calibrators of probmetrics, such as that of CalArena.

    from softreg_calibrator import SoftregCalibrator  # with this folder on the path

    SoftregCalibrator().fit(P, y).predict_proba(P_new)

P are probabilities (n, q) in NumPy, y class codes. `fit_torch` and `predict_proba_torch`, which take distributions of
probmetrics (logits among them), come from its base class. Classes that do not occur in y are allowed.
"""

from __future__ import annotations

import numpy as np
from probmetrics.calibrators import Calibrator as ProbmetricsCalibrator

from softreg import Calibrator


class SoftregCalibrator(ProbmetricsCalibrator):  # type: ignore[misc]
    """A calibrator of probmetrics that is `softreg.Calibrator(method, caution=caution)`."""

    def __init__(self, method: str = "auto", caution: float = 1.5) -> None:
        super().__init__()
        self.method = method
        self.caution = caution

    def _fit_impl(self, X: np.ndarray, y: np.ndarray) -> None:
        P = two_columns(X)
        self.cal_ = Calibrator(self.method, caution=self.caution).fit(P, y, classes=range(P.shape[1]))

    def _predict_proba_impl(self, X: np.ndarray) -> np.ndarray:
        return self.cal_.predict_proba(two_columns(X))


def two_columns(X: np.ndarray) -> np.ndarray:
    """Probabilities (n, q) whose rows sum to 1 in float64; a vector holds those of the second of two classes."""
    P = np.asarray(X, dtype=np.float64)
    P = np.column_stack([1 - P, P]) if P.ndim == 1 else P
    return P / P.sum(axis=1, keepdims=True)
