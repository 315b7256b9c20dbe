"""Fits of tables by worker processes: the bits of any number of workers and engines, the model of memory='low'."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from softreg import TableClassifier
from softreg.rows.cluster.fragments import FragmentError
from softreg.rows.cluster.local_processes import LocalProcesses
from softreg.tables import TableError, TableWarning
from softreg.tables.fit.cluster import fragment_tasks
from softreg.tables.io import parquet_fragments

from .cluster_tables import FRAGMENT_ROWS, all_kinds, write_parts

pytestmark = pytest.mark.filterwarnings("ignore::softreg.tables.TableWarning")

FITS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "sparse": ({"strength": 1e-2}, {}),
    "dense, best strength": ({"drop": ("said", "mass", "score")}, {}),
    "weights and offsets": (
        {"strength": 1e-2, "drop": "said", "class_weight": "balanced", "offset": {"NA": "score"}},
        {"sample_weight": "mass"},
    ),
    "l1": ({"strength": 1e-2, "penalty": "l1", "drop": "said", "unpenalised": ("job", "x")}, {"sample_weight": "mass"}),
    "group": ({"strength": 1e-2, "penalty": "group", "drop": ("said", "day")}, {"rows": np.arange(0, 1500, 2)}),
    "bounds": ({"strength": 1e-2, "drop": "said", "bounds": {"x": {"007": "+"}}, "rare": "pool"}, {}),
}  # fmt: skip


@pytest.fixture(autouse=True)
def small_fragments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_fragments, "MIN_FRAGMENT_ROWS", FRAGMENT_ROWS)
    monkeypatch.setattr(fragment_tasks, "FRAGMENTS_AT_A_TIME", 4)


@pytest.fixture(scope="module")
def one() -> Iterator[LocalProcesses]:
    with LocalProcesses(1) as processes:
        yield processes


@pytest.fixture(scope="module")
def two() -> Iterator[LocalProcesses]:
    with LocalProcesses(2) as processes:
        yield processes


def bits(model: TableClassifier) -> bytes:
    parts = (model.model_.coef_, model.model_.intercept_)
    return b"".join(part.tobytes() for part in parts) + repr(model.encoder_.to_state()).encode()


def fit(files: Any, parameters: dict[str, Any], arguments: dict[str, Any], **more: Any) -> TableClassifier:
    return TableClassifier("label", tol=1e-12, **parameters).fit(files, **arguments, **more)


@pytest.mark.parametrize(("parameters", "arguments"), FITS.values(), ids=FITS)
def test_the_model_is_that_of_batches_for_any_number_of_workers(
    tmp_path: Path, one: Any, two: Any, parameters: dict[str, Any], arguments: dict[str, Any]
) -> None:
    table = all_kinds()
    files = write_parts(table, tmp_path)
    first, second = (fit(files, parameters, arguments, cluster=workers) for workers in (one, two))
    assert bits(first) == bits(second)
    low = fit(files, parameters, arguments, memory="low")
    assert first.describe() == low.describe()
    assert first.feature_names_out_ == low.feature_names_out_
    assert first.model_.strength == low.model_.strength
    assert first.classes_.tolist() == low.classes_.tolist()
    np.testing.assert_allclose(first.predict_proba(table), low.predict_proba(table), atol=2e-6)


class KillsOnce:
    """A task that kills its process at a fragment until a file exists."""

    def __init__(self, task: Any, fragment: str, marker: Path) -> None:
        self.task, self.fragment, self.marker = task, fragment, marker

    def __call__(self, fragment: Any) -> Any:
        if fragment.name == self.fragment and not self.marker.exists():
            self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.task(fragment)


class LosesWorkers:
    """An engine that loses a process (SIGKILL) in each of its first passes over the rows of files."""

    def __init__(self, engine: Any, folder: Path) -> None:
        self.engine, self.folder, self.passes = engine, folder, 0

    def map(self, fragments: Any, task: Any) -> Any:
        self.passes += 1
        if self.passes % 3 != 1:
            return self.engine.map(fragments, task)
        marker = self.folder / f"killed-{self.passes}"
        return self.engine.map(fragments, KillsOnce(task, fragments[len(fragments) // 2].name, marker))

    def map_reduce(self, fragments: Any, task: Any) -> Any:
        return self.engine.map_reduce(fragments, task)

    def release(self, fragments: Any) -> None:
        self.engine.release(fragments)


def test_lost_workers_change_nothing(tmp_path: Path, one: LocalProcesses) -> None:
    files = write_parts(all_kinds(), tmp_path)
    parameters, arguments = FITS["weights and offsets"]
    with LocalProcesses(2) as processes:
        engine = LosesWorkers(processes, tmp_path)
        lossy = fit(files, parameters, arguments, cluster=engine)
    assert engine.passes > 8
    assert len(list(tmp_path.glob("killed-*"))) == (engine.passes + 2) // 3
    assert bits(lossy) == bits(fit(files, parameters, arguments, cluster=one))


def test_dask_workers_give_the_same_bits(tmp_path: Path, one: LocalProcesses) -> None:
    distributed = pytest.importorskip("distributed", reason="Dask's distributed is not installed")
    files = write_parts(all_kinds(), tmp_path)
    parameters, arguments = FITS["weights and offsets"]
    options = {"dashboard_address": None, "scheduler_port": 0, "silence_logs": 50}
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, **options) as cluster:
        of_dask = fit(files, parameters, arguments, cluster=cluster.scheduler_address)
        assert bits(of_dask) == bits(fit(files, parameters, arguments, cluster=one))
        table = pq.read_table(tmp_path / "part-2.parquet")
        column = pa.array([None] * table.num_rows, pa.string())
        spoiled = table.set_column(table.schema.get_field_index("label"), "label", column)
        pq.write_table(spoiled, tmp_path / "part-2.parquet")
        with pytest.raises(TableError, match=r"'label' has no label in row 1"):
            TableClassifier("label", missing_target="error").fit(
                tmp_path / "part-2.parquet", cluster=cluster.scheduler_address
            )


class Changes(LosesWorkers):
    """An engine before one of whose passes a file is changed or removed."""

    def __init__(self, engine: Any, folder: Path, at: int, change: Any) -> None:
        super().__init__(engine, folder)
        self.at, self.change = at, change

    def map(self, fragments: Any, task: Any) -> Any:
        self.passes += 1
        if self.passes == self.at:
            self.change(self.folder / "part-1.parquet")
        return self.engine.map(fragments, task)


@pytest.mark.parametrize("at", [2, 4, 7, 10])
@pytest.mark.parametrize("change", [os.utime, os.remove])
def test_files_that_change_during_the_fit_are_named(tmp_path: Path, one: LocalProcesses, at: int, change: Any) -> None:
    files = write_parts(all_kinds().select(["x", "label"]), tmp_path)
    told = "have changed since" if change is os.utime else "cannot be read: No such file"
    with pytest.raises(FragmentError, match=rf"rows \d.* of '.*part-1.parquet' {told}"):
        fit(files, {"strength": 0.1}, {}, cluster=Changes(one, tmp_path, at, change))


def test_cells_that_break_the_schema_are_named_with_file_and_row(
    tmp_path: Path, two: LocalProcesses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("softreg.tables.fit.table_scan.SAMPLE", 100)
    table, rows = all_kinds().select(["x", "score", "label"]), np.append(np.arange(1_300), 1_400)
    days = [f"2024-01-{k % 28 + 1:02d}" for k in range(1_400)] + ["no date"] * 100
    files = write_parts(table.append_column("day", pa.array(days)), tmp_path)
    with pytest.raises(TableError, match=r"'day' held dates .* row 201 of '.*part-2.parquet' has 'no date'"):
        fit(files, {"date": "day", "strength": 0.1}, {"rows": rows}, cluster=two)
    scores = pa.array([0.5] * 1_400 + [float("inf")] * 100)
    write_parts(table.set_column(1, "score", scores), tmp_path)
    with pytest.raises(TableError, match=r"'score' has 'inf' in row 201 of '.*part-2.parquet'"):
        fit(files, {"offset": {"NA": "score"}, "strength": 0.1}, {"rows": rows}, cluster=two)


def test_what_a_cluster_cannot_read_is_refused(tmp_path: Path, one: LocalProcesses) -> None:
    table = all_kinds().select(["x", "member", "mass", "label"])
    files = write_parts(table, tmp_path)
    pa_csv.write_csv(table, tmp_path / "rows.csv")
    model = TableClassifier("label", strength=0.1)
    refused: list[tuple[Any, dict[str, Any], str]] = [
        (tmp_path / "rows.csv", {}, r"rows.csv' is not a Parquet file.*leave --cluster out"),
        (table, {}, "a table in memory .* cannot be used"),
        (files, {"memory": "high"}, "memory='high' cannot be used"),
        (files, {"sample_weight": np.ones(1500)}, "weights as an array .*sample_weight='column'"),
        (files, {"y": ["a"] * 1500}, "labels y beside the table"),
        (files, {"cluster": 3}, "cluster is a int; expected 'local'"),
        (files, {"cluster": "local:0"}, "expected local, local:4"),
        (files, {"cluster": "somewhere"}, "expected local, local:4"),
    ]
    for data, arguments, told in refused:
        with pytest.raises(ValueError, match=told):
            model.fit(data, **{"cluster": one, **arguments})
    with pytest.raises(TableError, match="target y is None"):
        TableClassifier().fit(files, cluster=one)
    for parameter in ({"groups": "x"}, {"time": "x"}):
        with pytest.raises(TableError, match="all rows in memory"):
            TableClassifier("label", **parameter).fit(files, cluster=one)
    prior = TableClassifier("label", strength=0.1, keep_posterior=True).fit(table.slice(0, 300))
    with pytest.raises(TableError, match="a prior cannot be used"):
        TableClassifier("label", prior=prior).fit(files, cluster=one)
    pq.write_table(table.slice(0, 9).drop_columns(["x"]), tmp_path / "part-9.parquet")
    with pytest.raises(TableError, match=r"part-9.parquet' has other columns than '.*part-0.parquet': it lacks 'x'"):
        model.fit(files, cluster=one)


def test_notes_of_the_scan_are_issued(tmp_path: Path) -> None:
    files = write_parts(all_kinds().select(["x", "label"]), tmp_path)
    with pytest.warns(TableWarning, match="15 .*rows .*label"):
        model = TableClassifier("label", strength=0.1).fit(files, cluster="local:1")
    assert model.classes_.tolist() == ["007", "NA", "None"]
