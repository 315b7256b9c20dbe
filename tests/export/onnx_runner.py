"""ONNX models of programs in ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from softreg.export import Program
from softreg.export.onnx.graph import onnx_model
from softreg.export.onnx.tensor_inputs import tensor_names
from softreg.export.program import Input, InputKind

from .runner import seconds


class OnnxRunner:
    """ONNX Runtime on the CPU."""

    name = "onnx"
    refused = frozenset({InputKind.TEXT})

    def missing_engine(self) -> str | None:
        try:
            import onnxruntime  # noqa: F401
        except ImportError:
            return "onnxruntime is not installed"
        return None

    def probabilities(self, program: Program, rows: pa.Table, folder: Path) -> np.ndarray:
        path = folder / "model.onnx"
        path.write_bytes(onnx_model(program))
        return session(path.read_bytes()).run(["probabilities"], feeds(program, rows))[0]


def session(model: bytes) -> Any:
    """The session of a model, which passes the checker."""
    import onnx
    import onnxruntime

    onnx.checker.check_model(onnx.load_from_string(model), full_check=True)
    return onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])


def feeds(program: Program, rows: pa.Table) -> dict[str, np.ndarray]:
    """The tensor of each input."""
    return {
        name: tensor(read, rows[read.name]) for read, name in zip(program.inputs, tensor_names(program), strict=True)
    }


def tensor(read: Input, column: pa.ChunkedArray) -> np.ndarray:
    """A column as the tensor of an input."""
    match read.kind:
        case InputKind.VECTOR:
            missing = [np.nan] * read.length
            return np.array([missing if v is None else v for v in column.to_pylist()], dtype=float).reshape(
                -1, read.length
            )
        case InputKind.TAGS:
            lists = [[tag for tag in row or () if tag is not None] for row in column.to_pylist()]
            width = max(map(len, lists), default=0)
            padded = [[*row, *[""] * (width - len(row))] for row in lists]
            return np.array(padded, dtype=object).reshape(len(lists), width)
        case InputKind.DATE:
            values = seconds(column)
        case InputKind.BOOLEAN | InputKind.CATEGORY:
            texts = pc.fill_null(pc.cast(column, pa.string()), "").to_pylist()
            return np.array(texts, dtype=object).reshape(-1, 1)
        case _:
            values = column.cast(pa.float64(), safe=False).to_pylist()
    return np.array([np.nan if value is None else value for value in values], dtype=float).reshape(-1, 1)
