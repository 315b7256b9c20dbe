"""The limits of a machine: measured once, kept in a file, and measured again where the file is of no use."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from softreg.optimize import MachineLimits, machine_limits
from softreg.optimize.cost import machine_limits as module
from softreg.rows import thread_count

THREADS = 2
LIMITS = MachineLimits(module.processor_name(), THREADS, ((1 << 20, 4e10), (1 << 28, 1e10)), 1e11, 5e10, 1e-6)


@pytest.fixture(autouse=True)
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[MachineLimits]:
    """A cache folder of the test's own, and measurements that take no time; the list holds those made.

    The number of threads is set, because a test that started a Dask cluster leaves `OMP_NUM_THREADS` behind.
    """
    made: list[MachineLimits] = []

    def measure() -> MachineLimits:
        made.append(LIMITS)
        return LIMITS

    monkeypatch.setattr(module, "measure", measure)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("SOFTREG_NUM_THREADS", str(THREADS))
    return made


def test_a_machine_is_measured_once(measured: list[MachineLimits], tmp_path: Path) -> None:
    assert machine_limits() == machine_limits() == LIMITS
    assert len(measured) == 1
    assert [path.name for path in (tmp_path / "cache" / "softreg").iterdir()] == ["machine-limits.json"]
    machine_limits(measure_again=True)
    assert len(measured) == 2


def test_another_number_of_threads_is_measured_and_both_are_kept(
    measured: list[MachineLimits], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine_limits()
    monkeypatch.setenv("SOFTREG_NUM_THREADS", str(THREADS + 1))
    monkeypatch.setattr(module, "measure", lambda: MachineLimits("x", thread_count(), ((1, 1.0),), 1.0, 1.0, 1.0))
    assert machine_limits().threads == THREADS + 1
    monkeypatch.setenv("SOFTREG_NUM_THREADS", str(THREADS))
    assert machine_limits() == LIMITS
    assert len(measured) == 1


KEY = "read_rates"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"{",
        b"[" * 100_000,
        b"[1, 2]",
        b"null",
        "entry: text",
        {},
        {**asdict(LIMITS), KEY: []},
        {**asdict(LIMITS), KEY: [[1 << 20, 1e10], [1 << 20, 1e10]]},
        {**asdict(LIMITS), KEY: [[1 << 20, -1.0]]},
        {**asdict(LIMITS), KEY: 3},
        {**asdict(LIMITS), "single_rate": float("nan")},
        {**asdict(LIMITS), "double_rate": float("inf")},
        {**asdict(LIMITS), "small_operation": 0},
        {**asdict(LIMITS), "threads": 1e999},
        {**asdict(LIMITS), "threads": "two"},
    ],
    ids=str,
)
def test_a_damaged_file_is_written_anew(content: Any, measured: list[MachineLimits]) -> None:
    path = module.cache_file()
    assert path is not None
    path.parent.mkdir(parents=True)
    raw = content if isinstance(content, bytes) else json.dumps({module._key(thread_count()): content}).encode()
    path.write_bytes(raw)
    assert machine_limits() == LIMITS
    assert len(measured) == 1
    assert machine_limits() == LIMITS
    assert len(measured) == 1


def test_a_folder_that_cannot_be_written_means_that_it_is_measured_again(
    measured: list[MachineLimits], tmp_path: Path
) -> None:
    (tmp_path / "cache").write_text("a file where the folder would be")
    assert machine_limits() == machine_limits() == LIMITS
    assert len(measured) == 2


def test_without_a_home_nothing_is_written(measured: list[MachineLimits], monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> Path:
        raise RuntimeError("no home")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    monkeypatch.setattr(Path, "home", none)
    assert module.cache_file() is None
    assert machine_limits() == LIMITS


@pytest.mark.skipif(sys.platform == "win32", reason="the folder is another one on Windows")
def test_the_file_is_in_the_cache_folder_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    for relative in ("", "cache"):  # not absolute, which the specification says to ignore
        monkeypatch.setenv("XDG_CACHE_HOME", relative)
        path = module.cache_file()
        assert path is not None
        assert path.is_relative_to(tmp_path)
        assert os.fspath(path).endswith("softreg/machine-limits.json")


def test_measured_limits_are_those_of_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(module, "SIZES", (1 << 18, 1 << 20))
    limits = module.measure()
    assert limits.threads == thread_count()
    assert all(1e8 < rate < 1e13 for _, rate in limits.read_rates)
    assert 1e8 < limits.double_rate < 1.5 * limits.single_rate < 1e14
    assert 1e-9 < limits.small_operation < 1e-3
    assert limits.read_rate(1) == pytest.approx(limits.read_rates[0][1], rel=1e-6)
