"""Linear probes: softmax regression on embeddings of another model, with the strength chosen on held-out rows.

`files` reads arrays and labels from NumPy, PyTorch, Parquet and text files, `embedding_arrays` and `label_values` check
them, `strength_path` fits strengths one after another, and `probe` is the public function. May import `report` and all
packages below it. A further file format is a reader in `files` and a line in `files/array_files.py`.
"""

from softreg.lazy import lazy_names
from softreg.linear_probe.probe_function import probe
from softreg.linear_probe.probe_result import Probe, StrengthScores

__all__ = ["Probe", "StrengthScores", "probe"]

__getattr__, __dir__ = lazy_names(__name__, {})
