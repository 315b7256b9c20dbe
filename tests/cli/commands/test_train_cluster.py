"""`softreg train --cluster`: the model for any number of processes, progress, and errors in one line."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import softreg
from softreg.tables.fit.cluster import fragment_scan
from softreg.tables.io import parquet_fragments

from ...tables.fit.cluster.cluster_tables import FRAGMENT_ROWS, all_kinds, write_parts
from ..conftest import Run, Shell

COMMON = ("--target", "label", "--drop", "said", "--weights", "mass", "--offset", "NA=score", "--seed", "1")


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(parquet_fragments, "MIN_FRAGMENT_ROWS", FRAGMENT_ROWS)
    return write_parts(all_kinds(), tmp_path)


def test_the_model_does_not_depend_on_the_processes(files: Path, run: Run, tmp_path: Path) -> None:
    results, models = {}, {}
    for workers in ("local:1", "local:2", None):
        path = tmp_path / f"{workers}.softreg".replace(":", "-")
        place = ("--memory", "low") if workers is None else ("--cluster", workers)
        done = run("train", files, *COMMON, *place, "--json", "--model", path, "--terms=linear")
        assert done.exit_code == 0, done.stderr
        if workers is not None:
            assert "reading: 1,500 of 1,500 rows" in done.stderr
        results[workers], models[workers] = json.loads(done.stdout), softreg.load(path)
    one, two, low = models.values()
    for name in ("coef_", "intercept_"):
        assert getattr(one.model_, name).tobytes() == getattr(two.model_, name).tobytes()
    assert one.encoder_ == two.encoder_
    P = one.predict_proba(all_kinds())
    np.testing.assert_allclose(P, low.predict_proba(all_kinds()), atol=2e-6)
    for name in ("rows", "columns", "classes", "strength", "log_loss", "accuracy"):
        assert results["local:1"][name] == results["local:2"][name] == pytest.approx(results[None][name], rel=1e-6)


def test_a_terminal_starts_processes(files: Path, shell: Shell) -> None:
    done = shell("train", files, *COMMON, "--strength", "0.01", "--cluster", "local:2", "--quiet")
    assert done.returncode == 0, done.stderr
    assert "held-out log loss" in done.stdout
    assert "reading" not in done.stderr


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--cluster", "local:0"), "expected local, local:4 (four processes) or the address"),
        (("--cluster", "somewhere"), "the cluster 'somewhere' is not known"),
        (("--cluster", "local:1", "--memory", "high"), "--memory high needs the rows in this process"),
        (("--cluster", "local:1", "--prior", "a.softreg"), "--prior needs the rows in this process"),
        (("--cluster", "local:1", "--report", "a.html"), "--memory high in place of --cluster"),
        (("--cluster", "local:1", "--groups", "job"), "--groups requires all rows in memory"),
    ],
)
def test_options_that_exclude_each_other(files: Path, run: Run, options: tuple[str, ...], told: str) -> None:
    done = run("train", files, "--target", "label", *options)
    assert (done.exit_code, done.stdout) == (2, "")
    assert told in done.stderr


def test_files_that_workers_cannot_read(files: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rows.csv").write_text("x,label\n1,a\n2,b\n")
    done = run("train", tmp_path / "rows.csv", "--target", "label", "--cluster", "local:1")
    assert done.exit_code == 2
    assert "rows.csv' is not a Parquet file" in done.stderr
    read = fragment_scan.parquet_fragments

    def removed(source: Any) -> Any:
        fragments = read(source)
        os.remove(tmp_path / "part-1.parquet")
        return fragments

    monkeypatch.setattr(fragment_scan, "parquet_fragments", removed)
    done = run("train", files, "--target", "label", "--cluster", "local:1")
    assert done.exit_code == 2
    assert "part-1.parquet' cannot be read: No such file or directory" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_dask_cluster_that_is_not_there(files: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="Dask's distributed is not installed")
    monkeypatch.setattr("softreg.rows.cluster.open_engine.CONNECT_SECONDS", 1)
    done = run("train", files, "--target", "label", "--cluster", "tcp://127.0.0.1:1")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "softreg: no Dask scheduler answers at 'tcp://127.0.0.1:1'" in done.stderr


def test_dask_that_is_not_installed(files: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    done = run("train", files, "--target", "label", "--cluster", "tcp://127.0.0.1:1")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "pip install 'softreg[dask]'" in done.stderr
