"""The Spark engine on Python workers of this machine."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from softreg.optimize import l2, minimise
from softreg.rows import Block
from softreg.rows.cluster.cluster_rows import ClusterRows
from softreg.rows.cluster.fragments import FragmentError, NpyFragment
from softreg.rows.cluster.local_processes import LocalProcesses
from softreg.rows.cluster.spark_engine import SparkEngine
from softreg.rows.cluster.versions import ClusterError
from softreg.rows.column_statistics import ColumnMoments, Labels

pytestmark = pytest.mark.slow  # Spark takes some ten seconds to start
N, D, Q = 6_000, 5, 3


@pytest.fixture
def paths(tmp_path: Path) -> tuple[str, str]:
    random = np.random.default_rng(0)
    X = random.normal(size=(N, D))
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", (X[:, :Q] + random.gumbel(size=(N, Q))).argmax(axis=1))
    return str(tmp_path / "X.npy"), str(tmp_path / "y.npy")


@pytest.fixture
def engine(spark: Any) -> Iterator[SparkEngine]:
    with SparkEngine(spark) as engine:
        yield engine


@pytest.fixture(scope="module")
def processes() -> Iterator[LocalProcesses]:
    with LocalProcesses(1) as processes:
        yield processes


def fit(rows: Any) -> bytes:
    (solution,) = minimise(rows, Q, l2(1e-3), solver="lbfgs")
    assert solution.status.value == "converged"
    return solution.W.tobytes() + solution.b.tobytes()  # type: ignore[no-any-return]


class KillsWorkers(SparkEngine):
    """Kills (SIGKILL) a Python worker before the passes 2 and 7."""

    passes = killed = 0

    def map_reduce(self, fragments: Any, task: Any) -> Any:
        self.passes += 1
        if self.passes in (2, 7):
            os.kill(self.map(fragments, ProcessId())[0], signal.SIGKILL)
            self.killed += 1
        return super().map_reduce(fragments, task)


@dataclass(frozen=True)
class ProcessId:
    def __call__(self, fragment: Any) -> int:
        return os.getpid()


def test_a_fit_has_the_bits_of_other_workers_after_workers_were_killed(
    spark: Any, processes: LocalProcesses, paths: tuple[str, str]
) -> None:
    fragments = NpyFragment.of(*paths, rows=300)  # 20: the client adds two levels
    with KillsWorkers(spark) as killer:
        rows = ClusterRows(fragments, killer)
        np.testing.assert_array_equal(rows.map(Labels()), np.load(paths[1]))
        assert fit(rows) == fit(ClusterRows(fragments, processes))
    assert killer.killed == 2


@pytest.mark.parametrize(
    ("slots", "rows", "whole_groups"),
    [(1, 80, True), (2, 300, False), (2, 20, True), (8, 20, False)],
    ids=["groups in one partition", "the client adds", "groups in two partitions", "a second stage adds"],
)
def test_sums_have_the_same_bits_wherever_they_are_added(
    spark: Any, processes: LocalProcesses, paths: tuple[str, str], slots: int, rows: int, whole_groups: bool
) -> None:
    fragments, moments = NpyFragment.of(*paths, rows=rows), ColumnMoments(np.zeros(D), np.ones(D))
    with SparkEngine(spark, slots=slots) as engine:
        assert engine._has_whole_groups(len(fragments)) == whole_groups
        here = ClusterRows(fragments, engine).sum(moments)
    there = ClusterRows(fragments, processes).sum(moments)
    assert [piece.tobytes() for piece in here] == [piece.tobytes() for piece in there]


@dataclass(frozen=True)
class EndsItsProcess:
    def evaluate(self, block: Block) -> Any:
        os._exit(1)


@dataclass(frozen=True)
class Fails:
    error: Exception

    def evaluate(self, block: Block) -> Any:
        raise self.error


def test_errors_reach_the_client_as_they_are(engine: SparkEngine, paths: tuple[str, str]) -> None:
    rows = ClusterRows(NpyFragment.of(*paths, rows=3_000), engine)
    with pytest.raises(ValueError, match=r"^column 3 is odd$"):
        rows.map(Fails(ValueError("column 3 is odd")))
    with pytest.raises(ValueError, match=r"^column 3 is odd$"):
        rows.sum(Fails(ValueError("column 3 is odd")))
    with pytest.raises(FragmentError, match=r"^a worker of Spark failed: MemoryError: X is too large$"):
        rows.map(Fails(MemoryError("X is too large")))
    with pytest.raises(
        ClusterError, match=r"No module named 'softreg'; install softreg [\d.]+ in the Python of all work"
    ):
        rows.map(Fails(MemoryError("No module named 'softreg'")))
    assert len(rows.map(Labels())) == N


def test_a_task_that_ends_each_worker_is_one_error_and_the_engine_goes_on(
    engine: SparkEngine, paths: tuple[str, str]
) -> None:
    rows = ClusterRows(NpyFragment.of(*paths, rows=3_000), engine)
    with pytest.raises(FragmentError, match=r"gave a pass over 2 fragments up 3 times.*Python worker exited"):
        rows.map(EndsItsProcess())
    assert len(rows.map(Labels())) == N


def test_a_missing_file_is_an_error_that_names_the_fragment(engine: SparkEngine, paths: tuple[str, str]) -> None:
    fragments = NpyFragment.of(*paths, rows=3_000)
    os.remove(paths[0])
    with pytest.raises(FragmentError, match=r"^rows 0 to 2,999 of .*X\.npy' cannot be read: No such file"):
        ClusterRows(fragments, engine)
