"""softreg: softmax regression, exact and certified.

The names below are imported when they are first used, so that `import softreg` stays light.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

from softreg.version import __version__

_HOME = {
    "softmax": "probability",
    "log_softmax": "probability",
    "logsumexp": "probability",
    "one_hot": "probability",
    "surprisal": "probability",
    "entropy": "probability",
    "cross_entropy": "probability",
    "kl_divergence": "probability",
    "perplexity": "probability",
    "Bootstrap": "models",
    "Calibrator": "models",
    "Explanation": "models",
    "Inference": "models",
    "LabelAudit": "models",
    "PredictionSets": "models",
    "added_information": "models",
    "bootstrap": "models",
    "coverage": "models",
    "explain": "models",
    "infer": "models",
    "label_audit": "models",
    "prequential_codelength": "models",
    "separation": "models",
    "SoftmaxRegression": "models",
    "SoftmaxRegressionCV": "models",
    "TableClassifier": "tables",
    "TableError": "tables",
    "TableNote": "tables",
    "TableStatistics": "tables",
    "TableWarning": "tables",
    "open_table": "tables",
    "read_table": "tables",
    "split_rows": "tables",
    "table_statistics": "tables",
    "Audit": "report",
    "audit": "report",
    "open_rows": "models.inputs.file_batches",
    "load": "persistence",
}

__all__ = [*sorted(_HOME), "__version__"]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"softreg.{_HOME[name]}"), name)
    raise AttributeError(f"module 'softreg' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
