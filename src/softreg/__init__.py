"""softreg: softmax regression with certified optima.

Public names are imported when they are first used, so that `import softreg` imports no other package. A new public name
is one line of `_DEFINED_IN`, with the module that defines it.
"""

from __future__ import annotations

from softreg.lazy import lazy_names
from softreg.version import __version__

_DEFINED_IN = {
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
    "GroupCalibrator": "models",
    "Inference": "models",
    "LabelAudit": "models",
    "PredictionSets": "models",
    "added_information": "models",
    "bootstrap": "models",
    "coverage": "models",
    "explain": "models",
    "infer": "models",
    "label_audit": "models",
    "posterior_predictions": "models",
    "prequential_codelength": "models",
    "separation": "models",
    "SoftmaxRegression": "models",
    "SoftmaxRegressionCV": "models",
    "TableClassifier": "tables",
    "TableError": "tables",
    "TableNote": "tables",
    "TableStatistics": "tables",
    "TableWarning": "tables",
    "WordExplanation": "tables",
    "explain_words": "tables",
    "open_table": "tables",
    "read_table": "tables",
    "split_rows": "splits",
    "table_statistics": "tables",
    "Audit": "report",
    "GroupAudit": "report",
    "GroupSearch": "report",
    "audit": "report",
    "search_groups": "report",
    "model_card": "cards",
    "Monitor": "monitor",
    "open_rows": "models.inputs.matrix_files",
    "ExportError": "export",
    "export_model": "export",
    "Probe": "linear_probe",
    "probe": "linear_probe",
    "load": "persistence",
}

__all__ = [*sorted(_DEFINED_IN), "__version__"]

__getattr__, __dir__ = lazy_names(__name__, _DEFINED_IN)
