"""Programs in JavaScript, run by Node."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from softreg.export import Program
from softreg.export.javascript.module import javascript_module
from softreg.export.program import InputKind

from .runner import array_columns, seconds

NODE = shutil.which("node")
SCRIPT = """
import { readFileSync } from "node:fs";
import * as module from "./model.mjs";
const rows = JSON.parse(readFileSync("rows.json", "utf8"));
const out = rows.map((row) => {
  try { return module[process.argv[2]](row, ...process.argv.slice(3).map(Number)); }
  catch (error) { return { name: error.name, input: error.input ?? null, error: error.message }; }
});
console.log(JSON.stringify(out));
"""


def javascript_rows(program: Program, rows: pa.Table) -> list[dict[str, Any]]:
    """Rows as strict JSON."""
    dates = [read.name for read in program.inputs if read.kind is InputKind.DATE]
    columns = {name: column.to_pylist() for name, column in zip(rows.column_names, rows.columns, strict=True)}
    columns |= {name: seconds(rows[name]) for name in dates}
    for read in program.inputs:
        if read.kind is InputKind.CATEGORY:  # large integers are passed as text
            columns[read.name] = [None if v is None else str(v) for v in columns[read.name]]
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def call(program: Program, rows: list[Any], folder: Path, function: str = "predict", *numbers: float) -> list[Any]:
    """What a function of the module returns for each row; a dict with the message of an error."""
    (folder / "model.mjs").write_text(javascript_module(program), encoding="ascii")
    (folder / "rows.json").write_text(json.dumps(rows, allow_nan=False), encoding="utf-8")
    (folder / "run.mjs").write_text(SCRIPT, encoding="ascii")
    assert NODE is not None
    command = [NODE, "run.mjs", function, *map(repr, numbers)]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    found: list[Any] = json.loads(result.stdout)
    return found


class JavaScriptRunner:
    """JavaScript in Node."""

    name = "js"
    refused: frozenset[InputKind] = frozenset()

    def missing_engine(self) -> str | None:
        """Return why Node cannot run."""
        return None if NODE else "there is no Node (nodejs) here"

    def probabilities(self, program: Program, rows: pa.Table, folder: Path) -> np.ndarray:
        """Return the probabilities that Node computes."""
        whole = array_columns(program, rows) if program.inputs[0].name != "X" else rows
        predictions = call(program, javascript_rows(program, whole), folder)
        return np.array([prediction["probabilities"] for prediction in predictions])
