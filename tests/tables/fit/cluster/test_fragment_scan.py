"""The scan by worker processes is that of one process: counts, samples, split, first rows of classes, errors."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from softreg.rows.cluster.local_processes import LocalProcesses
from softreg.tables import TableError, open_table
from softreg.tables.fit import row_sample, table_scan
from softreg.tables.fit.cluster import fragment_tasks
from softreg.tables.fit.cluster.fragment_scan import scan_fragments
from softreg.tables.fit.row_set import row_mask
from softreg.tables.fit.table_scan import TableScan, scan_table
from softreg.tables.io import parquet_fragments
from softreg.tables.row_selection.rare_classes import LabelRules

from .cluster_tables import FRAGMENT_ROWS, all_kinds, write_parts


class ThisProcess:
    """Evaluates tasks in this process, so that constants can be patched."""

    def map(self, fragments: Any, task: Any) -> list[Any]:
        return [task(fragment) for fragment in fragments]

    def map_reduce(self, fragments: Any, task: Any) -> Any:
        raise NotImplementedError

    def release(self, fragments: Any) -> None:
        """Hold nothing."""


@pytest.fixture(autouse=True)
def small_fragments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_fragments, "MIN_FRAGMENT_ROWS", FRAGMENT_ROWS)
    monkeypatch.setattr(fragment_tasks, "FRAGMENTS_AT_A_TIME", 3)


@pytest.fixture(scope="module")
def workers() -> Iterator[LocalProcesses]:
    with LocalProcesses(2) as processes:
        yield processes


def facts(scan: TableScan) -> dict[str, Any]:
    """All results of a scan."""
    names = ("rows", "training", "tested", "counts", "trained", "first_rows", "unlabelled", "any_weight", "rare")
    return {
        **{name: getattr(scan, name) for name in names},
        "left_out": np.flatnonzero(scan.left_out.mask(0, scan.rows)).tolist(),
        "mask": np.flatnonzero(scan.mask(0, scan.rows)).tolist(),
        "samples": (scan.numbers.tolist(), scan.held_numbers.tolist()),
        "tables": [None if table is None else table.to_pydict() for table in (scan.sample, scan.held)],
        "schema": None if scan.sample is None else scan.sample.schema.metadata,
        "classes": scan.classes,
        "labels": None if scan.sample is None else scan.labels(scan.sample)[1].tolist(),
        "places": [scan.describe_row(row) for row in range(0, scan.rows, 37)],
        "notes": scan.notes,
    }


OPTIONS: list[dict[str, Any]] = [
    {"seed": 3, "test_size": 0.25},
    {"seed": 1, "test_size": 0.97, "weights": "mass"},
    {"rules": LabelRules(rare="drop"), "test_size": 0.5},
    {"rules": LabelRules(rare="pool"), "test_size": 0.9},
    {"chosen": row_mask(np.arange(0, 1500, 7))},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: "+".join(options))
@pytest.mark.parametrize("sample", [100_000, 60])
def test_the_scan_is_that_of_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], sample: int
) -> None:
    monkeypatch.setattr(table_scan, "SAMPLE", sample)
    table = all_kinds()
    labels = table["label"].to_pylist()
    labels[1337], labels[64] = "once", "Once too"
    table = table.set_column(table.schema.get_field_index("label"), "label", pa.array(labels))
    source = open_table(write_parts(table, tmp_path))
    scan, fragments = scan_fragments(source, "label", ThisProcess(), **options)
    assert len(fragments) > 6
    assert facts(scan) == facts(scan_table(source, "label", **options))


def test_worker_processes_scan_the_same(tmp_path: Path, workers: LocalProcesses) -> None:
    source = open_table(write_parts(all_kinds(), tmp_path))
    scan, _ = scan_fragments(source, "label", workers, seed=2, test_size=0.2, weights="mass")
    assert facts(scan) == facts(scan_table(source, "label", seed=2, test_size=0.2, weights="mass"))


def test_a_worker_that_is_killed_during_the_scan_changes_nothing(tmp_path: Path) -> None:
    source = open_table(write_parts(all_kinds(), tmp_path))
    with LocalProcesses(2) as processes:

        class KillsWorkers:
            """Kills a worker process while it evaluates the second group of fragments of each pass."""

            calls = killed = 0

            def map(self, fragments: Any, task: Any) -> list[Any]:
                self.calls += 1
                if self.calls in (2, 5):
                    pool = processes._pools[0]
                    os.kill(pool.submit(os.getpid).result(), signal.SIGKILL)
                    self.killed += 1
                return processes.map(fragments, task)

            def map_reduce(self, fragments: Any, task: Any) -> Any:
                raise NotImplementedError

            def release(self, fragments: Any) -> None:
                processes.release(fragments)

        killer = KillsWorkers()
        scan, _ = scan_fragments(source, "label", killer, seed=2, test_size=0.2)
    assert killer.killed == 2
    assert facts(scan) == facts(scan_table(source, "label", seed=2, test_size=0.2))


def test_the_bytes_of_candidates_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_sample, "MAX_BYTES", 20_000)
    monkeypatch.setattr("softreg.tables.fit.cluster.fragment_scan.MIN_CANDIDATE_BYTES", 1_000)
    source = open_table(write_parts(all_kinds(), tmp_path))
    scan, _ = scan_fragments(source, "label", ThisProcess())
    assert scan.sample is not None
    assert 20 < scan.sample.num_rows < 300
    assert scan.sample.nbytes < 25_000
    assert 500 < scan.numbers.mean() < 1_000  # spread over all rows


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda labels: [one if one else "a" for one in labels[:-1]] + [None], r"row 300 of '.*part-2.parquet'"),
        (lambda labels: [None] * len(labels), "label"),
        (lambda labels: ["one"] * len(labels), "one"),
    ],
)
def test_errors_are_those_of_one_process(tmp_path: Path, workers: LocalProcesses, change: Any, told: str) -> None:
    table = all_kinds()
    labels = pa.array(change(table["label"].to_pylist()), pa.string())
    source = open_table(write_parts(table.set_column(table.schema.get_field_index("label"), "label", labels), tmp_path))
    rules = LabelRules("error") if told.startswith("row") else LabelRules()
    with pytest.raises(TableError, match=told) as expected:
        scan_table(source, "label", rules=rules)
    with pytest.raises(TableError) as caught:
        scan_fragments(source, "label", workers, rules=rules)
    assert str(caught.value) == str(expected.value)
