"""Rows on worker processes: the sums of one process, the same bits for any number of workers and after any loss."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from softreg.optimize import l2, make_penalty, minimise
from softreg.rows import Block, as_rows
from softreg.rows.cluster.cluster_rows import ClusterRows
from softreg.rows.cluster.fragments import FragmentError, NpyFragment
from softreg.rows.cluster.local_processes import LocalProcesses
from softreg.rows.column_statistics import ColumnExtremes, ColumnMoments, Labels, Standardised

N, D, Q = 6_000, 6, 3


def data() -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    X = random.normal(size=(N, D)) * [1, 10, 0.1, 1, 1, 1] + [0, 0, 0, 1e3, 0, 0]
    scores = X[:, [0, 4, 5]] + random.gumbel(size=(N, Q))
    return X, scores.argmax(axis=1)


@pytest.fixture
def fragments(tmp_path: Path) -> list[NpyFragment]:
    X, y = data()
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", y)
    return NpyFragment.of(str(tmp_path / "X.npy"), str(tmp_path / "y.npy"), rows=170)  # 36: two levels of additions


@pytest.fixture(scope="module")
def engine() -> Iterator[LocalProcesses]:
    with LocalProcesses(2) as engine:
        yield engine


def fit(rows: Any, **more: Any) -> Any:
    (solution,) = minimise(rows, Q, l2(1e-3), tol=1e-8, **more)
    return solution


def bits(solution: Any) -> bytes:
    return solution.W.tobytes() + solution.b.tobytes()  # type: ignore[no-any-return]


def test_sums_and_maps_are_those_of_one_process(fragments: list[NpyFragment], engine: LocalProcesses) -> None:
    X, y = data()
    rows, one = ClusterRows(fragments, engine), as_rows(X, y)
    assert (rows.n, rows.d, rows.stored) == (N, D, N * D)
    np.testing.assert_array_equal(rows.map(Labels()), y)
    moments = ColumnMoments(X[0], np.ones(D))
    for here, there in zip(rows.sum(moments), one.sum(moments), strict=True):
        np.testing.assert_allclose(here, there, rtol=1e-12)
    extremes = rows.map(ColumnExtremes())
    np.testing.assert_array_equal(extremes[:, 0].min(axis=0), X.min(axis=0))
    shifted = rows.precise(X[0], np.full(D, 2.0), np.float32)
    np.testing.assert_array_equal(
        shifted.map(Standardised(np.zeros(D), np.ones(D))), ((X - X[0]) / 2).astype(np.float32)
    )


def test_a_sample_has_each_class_in_proportion_and_unbiased_weights(
    fragments: list[NpyFragment], engine: LocalProcesses
) -> None:
    X, y = data()
    sample = ClusterRows(fragments, engine).sample(600, seed=3)
    assert 600 <= sample.n <= 603
    mass = np.bincount(sample.labels, sample.weights[0])
    np.testing.assert_allclose(mass, np.bincount(y))
    index = np.array([np.flatnonzero((row == X).all(axis=1))[0] for row in sample.X])
    assert (np.diff(index) > 0).all()  # no row twice, in the order of the rows
    np.testing.assert_array_equal(sample.labels, y[index])


@pytest.mark.parametrize("solver", ["auto", "lbfgs"])
def test_the_optimum_is_that_of_one_process(fragments: list[NpyFragment], engine: LocalProcesses, solver: str) -> None:
    X, y = data()
    solution, one = fit(ClusterRows(fragments, engine), solver=solver), fit(as_rows(X, y), solver=solver)
    assert solution.status.value == "converged"
    assert solution.gap <= 1e-8
    np.testing.assert_allclose(solution.value, one.value, atol=2e-8)


@pytest.mark.parametrize(("penalty", "strength"), [("l1", 1e-2), ("elasticnet", 1e-2), ("group", 1e-2), (None, 0.0)])
def test_logits_that_no_worker_has_kept_are_computed_again(
    fragments: list[NpyFragment], engine: LocalProcesses, penalty: str | None, strength: float
) -> None:
    l1_ratio = {"l1": 1.0, "elasticnet": 0.5}.get(penalty or "", 0.0)
    found = [
        minimise(rows, Q, make_penalty(penalty, strength, l1_ratio, None), tol=1e-8)[0]
        for rows in (ClusterRows(fragments[:12], engine), as_rows(*(part[: 12 * 170] for part in data())))
    ]
    assert [solution.status.value for solution in found] == ["converged"] * 2
    np.testing.assert_allclose(found[0].value, found[1].value, atol=2e-8)


def test_the_bits_do_not_depend_on_the_number_of_workers(fragments: list[NpyFragment], engine: LocalProcesses) -> None:
    of_two = bits(fit(ClusterRows(fragments, engine), solver="lbfgs"))
    for workers in (1, 3):
        with LocalProcesses(workers) as other:
            assert bits(fit(ClusterRows(fragments, other), solver="lbfgs")) == of_two


class KillsWorkers:
    """An engine whose worker processes are killed (SIGKILL) before passes drawn at random."""

    def __init__(self, engine: LocalProcesses, share: float) -> None:
        self.engine, self.share, self.killed = engine, share, 0
        self.random = np.random.default_rng(5)

    def map(self, fragments: Any, task: Any) -> list[Any]:
        return self.engine.map(fragments, task)

    def map_reduce(self, fragments: Any, task: Any) -> Any:
        if self.random.random() < self.share:
            processes = list((self.engine._pools[self.killed % 2]._processes or {}).values())
            for process in processes:
                assert process.pid is not None
                os.kill(process.pid, signal.SIGKILL)
                self.killed += 1
        return self.engine.map_reduce(fragments, task)


def test_the_bits_are_the_same_after_workers_were_killed(fragments: list[NpyFragment], engine: LocalProcesses) -> None:
    undisturbed = bits(fit(ClusterRows(fragments, engine), solver="lbfgs"))
    with LocalProcesses(2) as mortal:
        killer = KillsWorkers(mortal, share=0.4)
        while killer.killed < 20:
            assert bits(fit(ClusterRows(fragments, killer), solver="lbfgs")) == undisturbed


@dataclass(frozen=True)
class EndsItsProcess:
    def evaluate(self, block: Block) -> Any:
        os._exit(1)


def test_a_fragment_that_ends_each_worker_is_one_error_and_the_engine_goes_on(fragments: list[NpyFragment]) -> None:
    with LocalProcesses(1) as engine:
        rows = ClusterRows(fragments[:1], engine)
        with pytest.raises(FragmentError, match=r"ended 5 times while it evaluated rows 0 to 169 of .*X\.npy"):
            rows.map(EndsItsProcess())
        assert len(rows.map(Labels())) == 170


def test_a_changed_or_missing_file_is_an_error_that_names_the_fragment(
    fragments: list[NpyFragment], engine: LocalProcesses
) -> None:
    np.save(fragments[0].labels, np.zeros(N + 1, int))
    with pytest.raises(FragmentError, match=r"rows 0 to 169 of .*X\.npy' have changed"):
        ClusterRows(fragments, engine)
    os.remove(fragments[0].features)
    with pytest.raises(FragmentError, match=r"rows 0 to 169 of .*X\.npy' cannot be read: No such file"):
        ClusterRows(fragments, engine)


def test_fragments_with_other_columns_are_one_error(
    fragments: list[NpyFragment], engine: LocalProcesses, tmp_path: Path
) -> None:
    np.save(tmp_path / "wide.npy", np.zeros((10, D + 1)))
    np.save(tmp_path / "wide_y.npy", np.zeros(10, int))
    wide = NpyFragment.of(str(tmp_path / "wide.npy"), str(tmp_path / "wide_y.npy"), rows=10)
    with pytest.raises(ValueError, match=r"wide\.npy' have 7 dense columns of float64, and rows 0 to 169"):
        ClusterRows([*fragments, *wide], engine)
    with pytest.raises(ValueError, match="no fragments"):
        ClusterRows([], engine)
    with pytest.raises(ValueError, match="each row needs a label"):
        NpyFragment.of(fragments[0].features, str(tmp_path / "wide_y.npy"), rows=10)


def test_a_script_without_a_main_guard_is_one_error(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("from softreg.rows.cluster.local_processes import LocalProcesses\nLocalProcesses(1)\n")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=60)
    assert 'put its calls under if __name__ == "__main__":' in done.stderr.splitlines()[-1]
