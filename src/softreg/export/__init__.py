"""Fitted models as programs for other systems: ONNX, SQL, JavaScript, C and a page.

`program` holds the records of a program, `build` makes one from a fitted model, and each other package prints programs
for one target. A new kind of column is a record in `program`, a function in `build`, and one in each printer; a new
target is a package with a printer, listed in `targets`. It may import `models` and `tables`.
"""

from __future__ import annotations

from softreg.lazy import lazy_names

_DEFINED_IN = {
    "ExportError": "export_errors",
    "export_model": "write_program",
    "Program": "program",
    "build_program": "build.model_program",
}

__all__ = sorted(_DEFINED_IN)

__getattr__, __dir__ = lazy_names(__name__, _DEFINED_IN)
