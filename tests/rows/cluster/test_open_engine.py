"""Engines from text: local processes, the address of a Dask scheduler, and one clear error for anything else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from softreg.rows.cluster import open_engine as module
from softreg.rows.cluster.dask_engine import DaskEngine
from softreg.rows.cluster.local_processes import LocalProcesses
from softreg.rows.cluster.open_engine import EngineError, open_engine


class Held:
    """What a worker holds for a number."""

    stored, dtype = 1, np.dtype(np.float64)


@dataclass(frozen=True)
class Number:
    """A fragment that is a number."""

    value: int

    @property
    def name(self) -> str:
        return str(self.value)

    def load(self) -> Any:
        return Held()


@dataclass(frozen=True)
class Square:
    """The square of a number."""

    def __call__(self, fragment: Number) -> int:
        return fragment.value**2


@pytest.mark.parametrize("text", ["local:2", " local:2 ", "local"])
def test_local_processes_are_closed_at_the_end(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "thread_count", lambda: 2)
    with open_engine(text) as engine:
        assert isinstance(engine, LocalProcesses)
        assert len(engine._pools) == 2
        assert engine.map([Number(k) for k in range(4)], Square()) == [0, 1, 4, 9]
    with pytest.raises(RuntimeError, match="shutdown"):
        engine.map([Number(1)], Square())


@pytest.mark.parametrize("text", ["", "local:0", "local:-1", "local:two", "Local", "host:8786", "tcp://"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(EngineError, match=r"expected local, local:4 .* tcp://host:8786"), open_engine(text):
        pass


def test_an_address_is_that_of_a_dask_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed", reason="Dask's distributed is not installed")
    options = {"dashboard_address": None, "scheduler_port": 0, "silence_logs": 50}
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=True, **options) as cluster:
        with open_engine(cluster.scheduler_address) as engine:
            assert isinstance(engine, DaskEngine)
            assert engine.map([Number(k) for k in range(4)], Square()) == [0, 1, 4, 9]
        assert engine.client.status == "closed"
    monkeypatch.setattr(module, "CONNECT_SECONDS", 1)
    for address in (cluster.scheduler_address, "nothing://host:1", "tls://127.0.0.1:1", "tcp://127.0.0.1"):
        with pytest.raises(EngineError, match=rf"no Dask scheduler answers at '{address}' \("), open_engine(address):
            pass


def test_dask_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(EngineError, match=r"pip install 'softreg\[dask\]'"), open_engine("tcp://127.0.0.1:1"):
        pass


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_processes_end_with_their_parent(sent: signal.Signals, tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import os, time\n"
        "from softreg.rows.cluster.local_processes import LocalProcesses\n"
        "if __name__ == '__main__':\n"
        "    with LocalProcesses(2) as engine:\n"
        "        print(*(pool.submit(os.getpid).result() for pool in engine._pools), flush=True)\n"
        "        time.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as parent:
        assert parent.stdout is not None
        workers = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(workers) == 2
        if sent == signal.SIGINT:  # Ctrl-C reaches the whole group
            os.killpg(parent.pid, sent)
        else:
            parent.send_signal(sent)
        _, errors = parent.communicate(timeout=60)
    assert errors.count("Traceback") == (sent == signal.SIGINT)  # that of the parent alone
    give_up = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in workers):
        assert time.monotonic() < give_up
        time.sleep(0.05)
