"""Fits on worker processes against a fit in memory: seconds, overhead and bytes of a pass.

    python benchmarks/cluster.py --rows 10000000 --columns 50 --workers 1 2

Each fit is that of `SoftmaxRegression(strength=1e-4)`: one objective, one tolerance. The fit in memory runs two
threads; each worker is a process with one thread. Rows are generated once into `.npy` files, and read before the clock
starts.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from softreg.optimize import l2, minimise
from softreg.optimize.objective.evaluation import RowSums
from softreg.optimize.objective.loss_reductions import Mass
from softreg.optimize.objective.stack_state import StackState
from softreg.rows import DenseRows, LogitStore
from softreg.rows.cluster.cluster_rows import ClusterRows
from softreg.rows.cluster.dask_engine import DaskEngine
from softreg.rows.cluster.fragments import NpyFragment
from softreg.rows.cluster.local_processes import LocalProcesses

CHUNK = 1 << 18


def write_rows(folder: Path, n: int, d: int, q: int, dtype: str) -> tuple[str, str]:
    """Write features and labels of a softmax model to two files, and return their paths."""
    random = np.random.default_rng(0)
    W = random.normal(size=(d, q)) / np.sqrt(d)
    X = np.lib.format.open_memmap(folder / "X.npy", "w+", dtype, (n, d))
    y = np.lib.format.open_memmap(folder / "y.npy", "w+", np.int32, (n,))
    for a in range(0, n, CHUNK):
        size = min(CHUNK, n - a)
        X[a : a + size] = random.standard_normal((size, d), np.float32)
        y[a : a + size] = (X[a : a + size] @ W + random.gumbel(size=(size, q))).argmax(axis=1)
    X.flush(), y.flush()
    return str(folder / "X.npy"), str(folder / "y.npy")


@contextmanager
def open_engine(kind: str, workers: int) -> Iterator[Any]:
    """Start workers of one thread each."""
    if kind == "local":
        with LocalProcesses(workers) as engine:
            yield engine
        return
    import distributed

    options = {"n_workers": workers, "threads_per_worker": 1, "dashboard_address": None, "memory_limit": 0}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
        yield DaskEngine(client)


class Counted:
    """An engine that counts the sums and their seconds."""

    def __init__(self, engine: Any) -> None:
        self.engine, self.passes, self.names = engine, 0, []

    def map(self, fragments: Any, task: Any) -> list[Any]:
        return self.engine.map(fragments, task)

    def release(self, fragments: Any) -> None:
        self.engine.release(fragments)

    def map_reduce(self, fragments: Any, task: Any) -> Any:
        began = perf_counter()
        sums = self.engine.map_reduce(fragments, task)
        self.names.append((task.name, perf_counter() - began))
        self.passes += 1
        return sums


def fit(rows: Any, q: int) -> tuple[Any, float]:
    """Return the solution and the seconds of its fit."""
    began = perf_counter()
    (solution,) = minimise(rows, q, l2(1e-4))
    return solution, perf_counter() - began


def main() -> None:
    """Run the fits and print a table."""
    parse = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parse.add_argument("--rows", type=int, default=1_000_000)
    parse.add_argument("--columns", type=int, default=50)
    parse.add_argument("--classes", type=int, default=3)
    parse.add_argument("--dtype", default="float64")
    parse.add_argument("--fragment", type=int, default=0, help="rows of a fragment; a 32nd of all by default")
    parse.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parse.add_argument("--engine", nargs="+", choices=["local", "dask"], default=["local"])
    parse.add_argument("--repeat", type=int, default=2)
    parse.add_argument(
        "--tasks", action="store_true", help="seconds and bytes of a Dask pass by its tasks, in place of fits"
    )
    parse.add_argument("--steps", action="store_true", help="print the seconds of each reduction")
    given = parse.parse_args()
    if given.tasks:
        print_tasks()
        return
    with tempfile.TemporaryDirectory() as name:
        X, y = write_rows(Path(name), given.rows, given.columns, given.classes, given.dtype)
        rows = given.fragment or -(-given.rows // 32)
        one = DenseRows(np.load(X), np.load(y))
        best = min(fit(one, given.classes)[1] for _ in range(given.repeat))
        solution, _ = fit(one, given.classes)
        threads = os.environ.get("SOFTREG_NUM_THREADS", os.cpu_count())
        print(
            f"memory, {threads} threads: {best:.2f} s, {solution.passes:g} passes, value {solution.value:.9f}",
            flush=True,
        )
        del one
        for kind in given.engine:
            for workers in given.workers:
                with open_engine(kind, workers) as engine:
                    counted = Counted(engine)
                    began = perf_counter()
                    cluster = ClusterRows(NpyFragment.of(X, y, rows), counted)
                    loading = perf_counter() - began
                    times = []
                    for _ in range(given.repeat):
                        counted.passes = 0
                        counted.names.clear()
                        solution, seconds = fit(cluster, given.classes)
                        times.append(seconds)
                    overhead = min(_overhead(cluster) for _ in range(5))
                print(
                    f"{kind}, {workers} workers: {min(times):.2f} s ({min(times) / best:.2f} of memory), loaded in "
                    f"{loading:.1f} s; {solution.passes:g} passes in {counted.passes} sums of "
                    f"{len(cluster.fragments)} fragments, an empty sum {1000 * overhead:.1f} ms; "
                    f"value {solution.value:.9f}",
                    flush=True,
                )
                if given.steps:
                    for step, seconds in counted.names:
                        print(f"    {step:28s} {seconds:8.3f} s")


def _received_bytes() -> int:
    """Return the bytes that the loopback interface has received (Linux)."""
    line = next(line for line in Path("/proc/net/dev").read_text().splitlines() if "lo:" in line)
    return int(line.split()[1])


def print_tasks() -> None:
    """Print the seconds of a Dask sum that computes nothing and the bytes of a pass, for 2, 16 and 100 tasks."""
    import distributed

    state = StackState(1, 3, np.zeros(1, int), None, LogitStore(), False)  # type: ignore[arg-type]
    a_pass = RowSums(state, None, np.zeros((3, 50)), np.zeros(3), False, False)  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as name:
        X, y = write_rows(Path(name), 400_000, 50, 3, "float64")
        for threads, count in ((1, 16), (8, 64), (50, 200)):
            options = {"n_workers": 2, "threads_per_worker": threads, "dashboard_address": None, "memory_limit": 0}
            with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
                rows = ClusterRows(NpyFragment.of(X, y, 400_000 // count), DaskEngine(client))
                seconds = np.median([_overhead(rows) for _ in range(8)])
                before = _received_bytes()
                for _ in range(20):
                    rows.sum(a_pass)
                moved = (_received_bytes() - before) / 20
            print(f"{2 * threads} tasks, {count} fragments: {1000 * seconds:.0f} ms, {moved:,.0f} bytes")


def _overhead(rows: ClusterRows) -> float:
    """Return the seconds of a sum that costs nothing."""
    began = perf_counter()
    rows.sum(Mass(1))
    return perf_counter() - began


if __name__ == "__main__":
    main()
