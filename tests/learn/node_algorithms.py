"""The algorithms of the learning page, run by Node without a page."""

from __future__ import annotations

import json
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

NODE = shutil.which("node")


def source(name: str) -> str:
    """Return a script of `softreg/learn`, or of the tests."""
    own = Path(__file__).parent / name
    return (own if own.is_file() else files("softreg.learn") / name).read_text(encoding="ascii")


def run_node(folder: Path, scripts: tuple[str, ...], expression: str, given: Any = None) -> Any:
    """Return the value of a JavaScript expression of `given`, after the given files of `softreg/learn`."""
    if NODE is None:
        pytest.skip("there is no Node (nodejs) here")
    sources = [source(name) for name in scripts]
    (folder / "given.json").write_text(json.dumps(given, allow_nan=False), encoding="ascii")
    last = f"""
    const {{ readFileSync }} = await import("node:fs");
    const given = JSON.parse(readFileSync("given.json", "utf8"));
    console.log(JSON.stringify({expression}));
    """
    (folder / "run.mjs").write_text("\n".join([*sources, last]), encoding="ascii")
    result = subprocess.run([NODE, "run.mjs"], cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)
