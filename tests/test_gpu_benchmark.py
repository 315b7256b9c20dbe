"""The benchmark for a GPU runs from start to end, on a tiny problem and a CPU; nothing is learned from its figures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu.py"), "--out", str(folder / "gpu.md"), *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_it_fills_its_table(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="PyTorch is not installed")
    done = run(tmp_path, "--small", "--device", "cpu", "--limit", "0.3", "--only", "mnist")
    assert done.returncode == 0, done.stdout + done.stderr
    page, found = (tmp_path / "gpu.md").read_text("utf-8"), json.loads((tmp_path / "gpu.json").read_text("utf-8"))
    assert {line["who"] for line in found["fits"]} == {"softreg", "torch L-BFGS", "torch Adam", "gradient steps"}
    ours = found["fits"][0]
    assert ours["reached"]
    assert ours["gap"] <= 1e-6
    assert all(line["gap"] >= -1e-7 for line in found["fits"])  # nobody is below the proved minimum
    assert f"| mnist | softreg | {ours['seconds']:.2f} |" in page
    assert len(found["passes"]) >= 4
    assert found["stack"]["strengths"] > 3


def test_it_names_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "threadpoolctl.py").write_text("raise ImportError", "utf-8")
    script = ROOT / "benchmarks" / "gpu.py"
    code = (
        f"import sys, runpy; sys.path.insert(0, {str(tmp_path)!r}); sys.argv = ['gpu.py']; "
        f"runpy.run_path({str(script)!r}, run_name='__main__')"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "Missing in" in done.stderr
    assert "threadpoolctl" in done.stderr
