"""Faults of a Dask cluster, with real processes: the bits of the model do not change, or there is one error."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from softreg import SoftmaxRegression
from softreg.rows.cluster.fragments import FragmentError
from softreg.rows.cluster.versions import ClusterError

distributed = pytest.importorskip("distributed", reason="Dask's distributed is not installed")
da = pytest.importorskip("dask.array")

N, D = 6_000, 5
QUIET: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def data() -> tuple[Any, Any]:
    random = np.random.default_rng(1)
    X = random.normal(size=(N, D))
    return X, (X[:, :3] + random.gumbel(size=(N, 3))).argmax(axis=1)


def collections() -> tuple[Any, Any]:
    X, y = data()
    return da.from_array(X, chunks=(300, D)), da.from_array(y, chunks=300)


def bits(model: SoftmaxRegression) -> bytes:
    return model.coef_.tobytes() + model.intercept_.tobytes()


def fit(listen: Any = False, **more: Any) -> SoftmaxRegression:
    model = SoftmaxRegression(1e-3, solver="lbfgs", tol=1e-10, verbose=listen)
    return model.fit(*collections(), **more)


@dataclass
class Cluster:
    """A scheduler and workers without nannies, each a process of its own."""

    file: Path
    scheduler: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def add_worker(self) -> None:
        command = [
            sys.executable,
            "-m",
            "distributed.cli.dask_worker",
            "--scheduler-file",
            str(self.file),
            "--no-nanny",
        ]
        more = ["--nthreads", "1", "--no-dashboard", "--death-timeout", "20"]
        self.workers.append(subprocess.Popen([*command, *more], **QUIET))


@contextmanager
def running_cluster(folder: Path, workers: int) -> Iterator[Cluster]:
    file = folder / f"scheduler-{time.monotonic_ns()}.json"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", "0", "--host", "127.0.0.1"]
    scheduler = subprocess.Popen([*command, "--scheduler-file", str(file), "--no-dashboard"], **QUIET)
    cluster = Cluster(file, scheduler)
    try:
        for _ in range(workers):
            cluster.add_worker()
        yield cluster
    finally:
        for process in (*cluster.workers, scheduler):
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    with (
        running_cluster(tmp_path_factory.mktemp("undisturbed"), 1) as cluster,
        distributed.Client(scheduler_file=str(cluster.file), timeout=30),
    ):
        return bits(fit())


def after_passes(passes: int, act: Callable[[], None]) -> Any:
    """Return a listener that acts once, after this many passes."""
    done: list[int] = []

    def listen(now: Any) -> None:
        if now.passes >= passes and not done:
            done.append(1)
            act()

    return listen


def test_all_workers_but_one_are_killed(tmp_path: Path, undisturbed: bytes) -> None:
    with (
        running_cluster(tmp_path, 3) as cluster,
        distributed.Client(scheduler_file=str(cluster.file), timeout=30) as client,
    ):
        client.wait_for_workers(3, timeout=60)

        def kill_two() -> None:
            for worker in cluster.workers[:2]:
                worker.send_signal(signal.SIGKILL)

        assert bits(fit(after_passes(5, kill_two))) == undisturbed
        assert len(client.scheduler_info()["workers"]) == 1


def test_the_only_worker_is_killed_and_another_one_joins(tmp_path: Path, undisturbed: bytes) -> None:
    with (
        running_cluster(tmp_path, 1) as cluster,
        distributed.Client(scheduler_file=str(cluster.file), timeout=30) as client,
    ):
        client.wait_for_workers(1, timeout=60)

        def replace() -> None:
            cluster.workers[0].send_signal(signal.SIGKILL)
            cluster.add_worker()

        assert bits(fit(after_passes(5, replace))) == undisturbed


def test_a_worker_that_stands_still_for_a_while(tmp_path: Path, undisturbed: bytes) -> None:
    with (
        running_cluster(tmp_path, 2) as cluster,
        distributed.Client(scheduler_file=str(cluster.file), timeout=30) as client,
    ):
        client.wait_for_workers(2, timeout=60)
        waker = subprocess.Popen(["sleep", "0"])

        def stop() -> None:
            nonlocal waker
            pid = cluster.workers[0].pid
            os.kill(pid, signal.SIGSTOP)
            waker = subprocess.Popen(["sh", "-c", f"sleep 3; kill -CONT {pid}"])

        assert bits(fit(after_passes(5, stop))) == undisturbed
        waker.wait()


def test_the_scheduler_is_killed_and_the_checkpoint_resumes(tmp_path: Path, undisturbed: bytes) -> None:
    journal, passes = tmp_path / "journal", []
    with (
        running_cluster(tmp_path, 2) as cluster,
        distributed.Client(scheduler_file=str(cluster.file), timeout=5) as client,
    ):
        client.wait_for_workers(2, timeout=60)
        kill = after_passes(6, lambda: cluster.scheduler.send_signal(signal.SIGKILL))
        with pytest.raises(
            ClusterError, match="connection to the scheduler of the cluster was lost, or its tasks were cancelled"
        ):
            fit(kill, checkpoint=journal)
    with (
        running_cluster(tmp_path, 1) as cluster,
        distributed.Client(scheduler_file=str(cluster.file), timeout=30),
    ):
        assert bits(fit(lambda now: passes.append(now.passes), checkpoint=journal)) == undisturbed


@pytest.mark.filterwarnings("ignore")
def test_workers_without_enough_memory_are_one_error() -> None:
    options = {"threads_per_worker": 1, "dashboard_address": None, "silence_logs": 50, "memory_limit": "500 MB"}
    X = da.random.default_rng(0).normal(size=(2_000_000, 100), chunks=(2_000_000, 100))  # 1.6 GB in one partition
    y = (X[:, 0] > 0).astype(int)
    with (
        distributed.LocalCluster(n_workers=1, **options) as cluster,
        distributed.Client(cluster),
        pytest.raises(FragmentError, match=r"may need more memory than they have\. Use smaller fragments"),
    ):
        SoftmaxRegression().fit(X, y)
