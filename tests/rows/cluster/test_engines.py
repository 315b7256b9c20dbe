"""One test body for every engine: processes of this machine, Dask and Spark give the bits of one another."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from tests.models.selection.test_folds_on_workers import NpyBatch, batches

from softreg import SoftmaxRegression, SoftmaxRegressionCV
from softreg.models.inputs.cluster.fragmented_batches import FragmentedBatches
from softreg.rows.cluster.cluster_rows import ClusterRows
from softreg.rows.cluster.engine import add_nodes, sum_tree
from softreg.rows.cluster.fragments import FragmentError, NpyFragment
from softreg.rows.cluster.local_processes import LocalProcesses
from softreg.rows.column_statistics import ColumnExtremes, ColumnMoments, Labels

N, D = 2_000, 4

ENGINES = ["local", "dask", pytest.param("spark", marks=pytest.mark.slow)]


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Two workers, as each engine has them."""
    if request.param == "local":
        with LocalProcesses(2) as engine:
            yield engine
    elif request.param == "dask":
        distributed = pytest.importorskip("distributed", reason="Dask's distributed is not installed")
        from softreg.rows.cluster.dask_engine import DaskEngine

        options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "silence_logs": 50}
        with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster) as client:
            yield DaskEngine(client)
    else:
        from softreg.rows.cluster.spark_engine import SparkEngine

        with SparkEngine(request.getfixturevalue("spark")) as engine:
            yield engine


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("rows")
    random = np.random.default_rng(1)
    X = random.normal(size=(N, D)) * (random.random((N, D)) < 0.6)
    code = (X[:, :3] + random.gumbel(size=(N, 3))).argmax(axis=1)
    arrays = {"X": X, "y": np.array(["no", "maybe", "yes"])[code], "code": code}
    arrays |= {"w": random.integers(1, 3, N), "o": random.normal(size=(N, 3))}
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return str(folder)


@pytest.fixture(scope="module")
def alone() -> Iterator[LocalProcesses]:
    with LocalProcesses(1) as engine:
        yield engine


def of_files(folder: str) -> list[NpyFragment]:
    return NpyFragment.of(f"{folder}/X.npy", f"{folder}/code.npy", rows=60)  # 34 fragments: two levels of additions


@pytest.mark.parametrize("count", [1, 2, 16, 17, 255, 256, 257, 1000])
def test_parts_of_the_tree_have_the_bits_of_the_whole(count: int) -> None:
    random = np.random.default_rng(count)
    parts = [(random.normal(size=3) * 10.0 ** random.integers(-8, 8),) for _ in range(count)]
    owner = random.integers(0, 5, count)
    nodes = {}
    for one in range(5):
        nodes.update(add_nodes({(0, k): parts[k] for k in np.flatnonzero(owner == one).tolist()}, count))
    (total,) = add_nodes(nodes, count).values()
    np.testing.assert_array_equal(total[0], sum_tree(parts)[0])


def test_large_sums_of_many_threads_are_added_by_tasks(
    monkeypatch: pytest.MonkeyPatch, alone: LocalProcesses, folder: str
) -> None:
    distributed = pytest.importorskip("distributed", reason="Dask's distributed is not installed")
    from softreg.rows.cluster import dask_engine

    monkeypatch.setattr(dask_engine, "LARGE_BYTES", -1)
    moments = ColumnMoments(np.zeros(D), np.ones(D))
    with distributed.Client(n_workers=1, threads_per_worker=20, processes=False, dashboard_address=None) as client:
        (one, _), (other, _) = (
            ClusterRows(of_files(folder), workers).sum(moments) for workers in (dask_engine.DaskEngine(client), alone)
        )
    np.testing.assert_array_equal(one, other)


def test_sums_maps_and_samples(engine: Any, alone: LocalProcesses, folder: str) -> None:
    X, code = np.load(f"{folder}/X.npy"), np.load(f"{folder}/code.npy")
    rows, one = (ClusterRows(of_files(folder), workers) for workers in (engine, alone))
    np.testing.assert_array_equal(rows.map(Labels()), code)
    np.testing.assert_array_equal(rows.map(ColumnExtremes())[:, 1].max(axis=0), X.max(axis=0))
    for moved in (False, True):
        views = [part.precise(X[0], np.full(D, 2.0), np.float32) if moved else part for part in (rows, one)]
        found = [view.sum(ColumnMoments(np.zeros(D), np.ones(D))) for view in views]
        for here, there in zip(*found, strict=True):
            np.testing.assert_array_equal(here, there)
        samples = [view.sample(300, seed=3) for view in views]
        np.testing.assert_array_equal(samples[0].X, samples[1].X)
        np.testing.assert_array_equal(samples[0].labels, samples[1].labels)


CASES: list[tuple[dict[str, Any], dict[str, bool]]] = [
    ({}, {}),
    ({"solver": "lbfgs", "class_weight": "balanced"}, {"weighted": True, "shifted": True}),
    ({"penalty": "l1", "strength": 1e-2}, {"sparse": True}),
    ({"penalty": "group", "strength": 1e-2}, {}),
]


@pytest.mark.parametrize(("parameters", "form"), CASES, ids=str)
def test_fits_have_the_bits_of_one_process(
    engine: Any, alone: LocalProcesses, folder: str, parameters: dict[str, Any], form: dict[str, bool]
) -> None:
    fits = [
        SoftmaxRegression(**parameters).fit(FragmentedBatches(batches(folder, **form), workers), None)
        for workers in (engine, alone)
    ]
    assert [fit.solution_.status.value for fit in fits] == ["converged"] * 2
    assert fits[0].coef_.tobytes() == fits[1].coef_.tobytes()
    X, y, w, o = (np.load(f"{folder}/{name}.npy") for name in "Xywo")
    named = {"sample_weight": w, "offset": o} if "weighted" in form else {}
    one = SoftmaxRegression(**parameters).fit(sp.csr_array(X) if "sparse" in form else X, y, **named)
    assert abs(fits[0].solution_.value - one.solution_.value) < 2e-6


def test_a_search_has_the_bits_of_one_process(engine: Any, alone: LocalProcesses, folder: str) -> None:
    fits = [
        SoftmaxRegressionCV([0.1, 0.01], cv=3).fit(FragmentedBatches(batches(folder), workers), None)
        for workers in (engine, alone)
    ]
    assert fits[0].coef_.tobytes() == fits[1].coef_.tobytes()
    assert fits[0].path_.scores.tobytes() == fits[1].path_.scores.tobytes()


class Refused(NpyBatch):
    """A batch with a label that is missing."""

    def read(self) -> tuple[Any, ...]:
        X, y, *rest = super().read()
        return X, np.where(np.arange(len(y)) == 7, None, y.astype(object)), *rest


def test_errors_in_the_data_name_the_first_batch(engine: Any, folder: str) -> None:
    bad = [NpyBatch(folder, 0), Refused(folder, 300), Refused(folder, 600)]
    with pytest.raises(ValueError, match="in rows from 300: y has no label in row 7"):
        SoftmaxRegression().fit(FragmentedBatches(bad, engine), None)


def test_a_file_that_has_changed_is_named(engine: Any, folder: str, tmp_path: Path) -> None:
    for name in ("X", "code"):
        np.save(tmp_path / f"{name}.npy", np.load(f"{folder}/{name}.npy"))
    fragments = of_files(str(tmp_path))
    os.utime(tmp_path / "X.npy", ns=(1, 1))
    with pytest.raises(FragmentError, match=r"X\.npy' have changed since the fit began"):
        ClusterRows(fragments, engine)
