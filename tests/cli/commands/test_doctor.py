"""`softreg doctor` tells what this process runs on, and why kernels are missing where they are."""

from __future__ import annotations

import json
import platform
from typing import Any

import numpy as np
import pytest

import softreg
from softreg.rows.kernels import products as kernels


def test_the_object_tells_the_truth(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOFTREG_NUM_THREADS", "7")
    told = json.loads(run("doctor", "--json").stdout)
    assert told["softreg"] == softreg.__version__
    assert told["python"] == platform.python_version()
    assert told["numpy"] == np.__version__
    assert told["threads"] == 7
    assert all(one["threads"] >= 1 for one in told["blas"])
    used = kernels.kernels_in_use()
    assert told["kernels"] == ("compiled" if used.compiled else "numpy")
    assert told["instruction_set"] == used.level
    assert (told["reason"] is None) == used.compiled


def test_a_person_reads_the_same(run: Any) -> None:
    done = run("doctor")
    assert done.exit_code == 0
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert softreg.__version__ in lines["softreg"]
    assert f"numpy {np.__version__}" in lines["libraries"]
    used = kernels.kernels_in_use()
    assert (f"compiled, for {used.level}" if used.compiled else f"NumPy: {used.reason}") in lines["kernels"]


def test_why_there_are_none_and_what_to_do(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "_module", None)
    monkeypatch.setattr(kernels, "_reason", "none were compiled when softreg was installed")
    shown = run("doctor").stdout
    assert "NumPy: none were compiled when softreg was installed" in shown
    assert "compiled during installation if a C++ compiler is available" in shown
    told = json.loads(run("doctor", "--json").stdout)
    assert (told["kernels"], told["instruction_set"]) == ("numpy", None)
    assert told["reason"] == "none were compiled when softreg was installed"


def test_switched_off_in_the_environment(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOFTREG_KERNELS", "0")
    done = shell("doctor", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["reason"] == "SOFTREG_KERNELS turns the compiled ones off"
