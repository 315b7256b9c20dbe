"""The Dask engine on worker processes of this machine."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from softreg.optimize import l2, minimise
from softreg.rows.cluster.cluster_rows import ClusterRows
from softreg.rows.cluster.dask_engine import DaskEngine
from softreg.rows.cluster.fragments import FragmentError, NpyFragment
from softreg.rows.cluster.local_processes import LocalProcesses
from softreg.rows.cluster.versions import ClusterError, Versions
from softreg.rows.column_statistics import Labels

distributed = pytest.importorskip("distributed", reason="Dask's distributed is not installed")


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    options = {"dashboard_address": None, "scheduler_port": 0, "silence_logs": 50}
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, **options) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def fit(rows: Any) -> bytes:
    (solution,) = minimise(rows, 3, l2(1e-3), tol=1e-8, solver="lbfgs")
    assert solution.status.value == "converged"
    return solution.W.tobytes() + solution.b.tobytes()


class KillsWorkers(DaskEngine):
    """Kills (SIGKILL) a worker process before the passes 3, 13, 23, ..."""

    passes = killed = 0

    def map_reduce(self, fragments: Any, task: Any) -> Any:
        self.passes += 1
        if self.passes % 10 == 3:
            pid = next(iter(self.client.run(os.getpid).values()))
            os.kill(pid, signal.SIGKILL)
            self.killed += 1
        return super().map_reduce(fragments, task)


def test_dask_workers_give_the_bits_of_other_workers_before_and_after_losses(client: Any, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(5_000, 5))
    y = (X[:, :3] + random.gumbel(size=(5_000, 3))).argmax(axis=1)
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", y)
    fragments = NpyFragment.of(str(tmp_path / "X.npy"), str(tmp_path / "y.npy"), rows=250)  # 20: two levels
    rows = ClusterRows(fragments, DaskEngine(client))
    np.testing.assert_array_equal(rows.map(Labels()), y)
    of_dask = fit(rows)
    with LocalProcesses(1) as processes:
        assert fit(ClusterRows(fragments, processes)) == of_dask
    killer = KillsWorkers(client)
    assert fit(ClusterRows(fragments, killer)) == of_dask
    assert killer.killed >= 1
    others = NpyFragment.of(str(tmp_path / "X.npy"), str(tmp_path / "y.npy"), rows=2_000)
    os.remove(tmp_path / "X.npy")
    with pytest.raises(FragmentError, match=r"rows \d.* of .*X\.npy' cannot be read"):
        ClusterRows(others, DaskEngine(client))


def test_workers_of_another_version_are_named_at_the_start(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Versions.here()

    def here(cls: type[Versions]) -> Versions:
        return cls("0.0.1", "3.9", worker.kernels)

    monkeypatch.setattr(Versions, "here", classmethod(here))
    with pytest.raises(ClusterError, match=rf"softreg {worker.softreg} on Python {worker.python}, and the client"):
        DaskEngine(client)


def test_workers_with_other_kernels_are_a_warning(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    here = Versions.here()
    found = {"tcp://a": here, "tcp://b": Versions(here.softreg, here.python, "another")}
    monkeypatch.setattr(client, "run", lambda function: found)
    with pytest.warns(UserWarning, match="compute with different instructions"):
        DaskEngine(client)
