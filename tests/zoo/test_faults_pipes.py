"""Faults of data that come through a pipe."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from softreg import TableClassifier

from .helpers import run


@pytest.fixture
def fitted(tmp_path: Path) -> tuple[Path, Path]:
    """A table and a model of it."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=80)
    table = pd.DataFrame({"x": x, "y": np.where(x + draw.normal(size=80) > 0, "yes", "no")})
    table.to_csv(tmp_path / "t.csv", index=False)
    TableClassifier("y", strength=0.01).fit(tmp_path / "t.csv").save(tmp_path / "m.softreg")
    return tmp_path / "t.csv", tmp_path / "m.softreg"


def piped(pipe: Path, content: bytes) -> threading.Thread:
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(content,), daemon=True)
    writer.start()
    return writer


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes")
@pytest.mark.parametrize("name", ["pipe", "pipe.csv"])
def test_a_pipe_is_read_as_the_file_is(tmp_path, fitted, name, monkeypatch):
    table, model = fitted
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    wanted = run("predict", model, table)
    writer = piped(tmp_path / name, table.read_bytes())
    found = run("predict", model, tmp_path / name)
    writer.join()
    assert found.exit_code == wanted.exit_code == 0
    assert found.stdout == wanted.stdout
    assert not [
        one for one in (tmp_path / "temporary").iterdir() if "softreg-" in one.name and "kernels" not in one.name
    ]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes")
def test_parquet_comes_through_a_pipe_and_messages_name_the_pipe(tmp_path, fitted):
    table, model = fitted
    pq.write_table(pa.Table.from_pandas(pd.read_csv(table)), tmp_path / "t.parquet")
    piped(tmp_path / "pipe", (tmp_path / "t.parquet").read_bytes())
    assert run("predict", model, tmp_path / "pipe").stdout == run("predict", model, table).stdout
    piped(tmp_path / "other", b"x,y\n1,2,3\n")
    told = run("predict", model, tmp_path / "other")
    assert told.exit_code == 2
    assert f"Row 1 of '{tmp_path / 'other'}'" in told.output


# --- the command line ---
