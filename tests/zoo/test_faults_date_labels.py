"""Faults of labels that are dates, and of deprecated names."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import softreg
from softreg import TableClassifier
from softreg.cli import main
from softreg.models import label_audit
from softreg.probability import operating_point
from softreg.report import audit
from softreg.tables import labels
from softreg.value_text import value_text

# --- labels of dates ---

X = [float(i % 2) + i / 100 for i in range(20)]
DAYS = [dt.date(2020, 1, 1 + i % 2) for i in range(20)]
TIMES = [dt.datetime(2020, 1, 1 + i % 2, 10 * (i % 2)) for i in range(20)]
EARLY = [i % 2 * 10**11 - 10**11 for i in range(20)]
DATED: dict[str, tuple[Any, str]] = {
    "date32": (pa.table({"x": X, "y": pa.array(DAYS)}), "datetime64[D]"),
    "date64": (pa.table({"x": X, "y": pa.array(DAYS, pa.date64())}), "datetime64[D]"),
    "a dictionary": (pa.table({"x": X, "y": pa.array(DAYS).dictionary_encode()}), "datetime64[D]"),
    "objects": (pd.DataFrame({"x": X, "y": DAYS}), "datetime64[D]"),
    "polars": (pl.DataFrame({"x": X, "y": DAYS}), "datetime64[D]"),
    "seconds": (pa.table({"x": X, "y": pa.array(TIMES, pa.timestamp("s"))}), "datetime64[s]"),
    "microseconds": (pa.table({"x": X, "y": pa.array(TIMES, pa.timestamp("us"))}), "datetime64[us]"),
    "nanoseconds": (pd.DataFrame({"x": X, "y": pd.Series(TIMES).astype("datetime64[ns]")}), "datetime64[ns]"),
    "a zone": (pa.table({"x": X, "y": pa.array(TIMES, pa.timestamp("us", "Europe/Paris"))}), "datetime64[us]"),
    "before the year 0": (pa.table({"x": X, "y": pa.array(EARLY, pa.timestamp("s"))}), "datetime64[s]"),
}


@pytest.mark.parametrize("name", DATED)
def test_labels_of_dates_come_back_as_dates(tmp_path: Path, name: str) -> None:
    table, dtype = DATED[name]
    model = TableClassifier("y", strength=0.01).fit(table)
    column = EARLY if name.startswith("before") else (DAYS if dtype.endswith("[D]") else TIMES)
    wanted = np.array(column, dtype="datetime64[s]") if column is EARLY else np.array(column).astype(dtype)
    predicted = model.predict(table)
    assert predicted.dtype == model.classes_.dtype == np.dtype(dtype)
    assert (predicted == wanted).all()
    model.save(tmp_path / "m.softreg")
    loaded = softreg.load(tmp_path / "m.softreg")
    assert loaded.classes_.dtype == model.classes_.dtype
    assert (loaded.predict(table) == predicted).all()
    weighted = TableClassifier("y", strength=0.01, class_weight=dict.fromkeys(model.classes_, 2.0)).fit(table)
    assert np.abs(weighted.predict_proba(table) - model.predict_proba(table)).max() < 1e-5


def test_the_command_line_writes_labels_of_dates_as_text(tmp_path: Path) -> None:
    table = DATED["microseconds"][0]
    pq.write_table(table, tmp_path / "t.parquet")
    TableClassifier("y", strength=0.01).fit(table).save(tmp_path / "m.softreg")
    told = CliRunner().invoke(main, ["predict", str(tmp_path / "m.softreg"), str(tmp_path / "t.parquet")])
    assert told.stdout.splitlines()[0] == '"prediction","2020-01-01","2020-01-02 10:00:00"'
    assert told.stdout.splitlines()[1].startswith('"2020-01-01",')


def test_dates_of_numpy_of_any_unit_have_a_text() -> None:
    texts = [value_text(np.datetime64(text)) for text in ("2020", "2020-02", "2020-02-03", "2020-02-03T04:05")]
    assert texts == ["2020-01-01", "2020-02-01", "2020-02-03", "2020-02-03 04:05:00"]
    assert value_text(np.timedelta64(2, "h")) == "7200"


# --- quotes left open ---


def test_old_names_work_with_a_warning() -> None:
    draw = np.random.default_rng(0)
    P = draw.dirichlet([1, 1], 200)
    codes = (draw.random(200) > P[:, 0]).astype(int)
    audited, calibration = label_audit(P, codes), audit(P, codes, ["no", "yes"]).calibration
    with pytest.warns(DeprecationWarning, match="LabelAudit.p_wrong is now LabelAudit.suspicion"):
        assert (audited.p_wrong == audited.suspicion).all()
    with pytest.warns(DeprecationWarning, match="CalibrationAudit.repair is now CalibrationAudit.recalibration"):
        assert calibration.repair == calibration.recalibration
    with pytest.raises(AttributeError, match="'CalibrationAudit' object has no attribute 'repairs'"):
        _ = calibration.repairs
    cost = [[0, 1], [4, 0]]
    with pytest.warns(DeprecationWarning, match=r"operating_point\(draws=...\) has no effect"):
        assert operating_point(P, codes, cost, draws=99).paid == operating_point(P, codes, cost).paid
    with pytest.warns(DeprecationWarning, match=r"labels\(whole=...\) has no effect"):
        assert labels(pa.table({"y": [1.0, 2.0]}), "y", whole=True).tolist() == ["1", "2"]
