"""Faults found by trying it: labels of dates and other kinds, kept in a model file or refused when it is saved."""

from __future__ import annotations

import builtins
import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone

from softreg import SoftmaxRegression, SoftmaxRegressionCV, load
from softreg.models.serialization.label_state import labels_from_json
from softreg.rows.gpu.interop import pytorch

X = np.array([[0.0, 1], [1, 0], [2, 1], [3, 0], [1, 1], [2, 2]])
UTC = datetime.UTC
KEPT = {
    "ns": np.array(["2020-01-01", "2021-06-01"] * 3, dtype="M8[ns]"),
    "days": np.array(["2020-01-01", "2021-06-01"] * 3, dtype="M8[D]"),
    "years": np.array(["1920", "2021"] * 3, dtype="M8[Y]"),
    "microseconds": np.array(["2020-01-01", "2021-06-01"] * 3, dtype="M8[us]"),
    "25 s": np.array(["2020-01-01", "2021-06-01"] * 3, dtype="M8[25s]"),
    "big endian": np.array(["2020-01-01", "2021-06-01"] * 3, dtype=">M8[s]"),
    "duration ns": np.array([1, 2] * 3, dtype="m8[ns]"),
    "duration days": np.array([-1, 2] * 3, dtype="m8[D]"),
    "dates": [datetime.date(2020, 1, 1), datetime.date(2021, 6, 1)] * 3,
    "datetimes": [datetime.datetime(2020, 1, 1, 2, 3, 4, 5), datetime.datetime(2021, 6, 1)] * 3,
    "zone": [datetime.datetime(2020, 1, 1, tzinfo=UTC), datetime.datetime(2021, 1, 1, tzinfo=UTC)] * 3,
    "times": [datetime.time(1, 2), datetime.time(3)] * 3,
    "bytes": np.array([b"a", b"\xff"] * 3),
    "byte objects": [b"a", b"bc"] * 3,
    "pandas": pd.Series(pd.to_datetime(["2020", "2021"] * 3)),
    "pandas dates": pd.Series([datetime.date(2020, 1, 1), datetime.date(2021, 6, 1)] * 3),
    "polars": pl.Series([datetime.date(2020, 1, 1), datetime.date(2021, 6, 1)] * 3),
    "categorical": pd.Categorical(pd.to_datetime(["2020", "2021"] * 3)),
    "text": ["a", "b"] * 3,
    "text objects": np.array(["a", "b"] * 3, dtype=object),
    "huge": [2**70, 1] * 3,
    "booleans": [True, False] * 3,
    "small": np.array([1, 2] * 3, dtype=np.int8),
    "unsigned": np.array([2**63, 1] * 3, dtype=np.uint64),
}


@pytest.mark.parametrize(
    ("kind", "model"),
    [*((kind, SoftmaxRegression()) for kind in KEPT), ("ns", SoftmaxRegressionCV([1e-2], cv=3))],
)
def test_fault_a15_labels_come_back_from_a_file_as_they_were(kind: str, model: Any, tmp_path: Path) -> None:
    y = KEPT[kind]
    model = clone(model).fit(X, y)
    model.save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert again.classes_.dtype == model.classes_.dtype.newbyteorder("=")
    assert [type(label) for label in again.classes_] == [type(label) for label in model.classes_]
    assert (again.classes_ == model.classes_).all()
    assert (again.predict(X) == model.predict(X)).all()
    assert again.score(X, y) == model.score(X, y)


REFUSED = {
    "Timestamp": [pd.Timestamp("2020"), pd.Timestamp("2021")] * 3,
    "Period": pd.Series(pd.PeriodIndex(["2020", "2021"] * 3, freq="Y")),
    "Interval": pd.cut(pd.Series([1, 2] * 3), 2),
    "timedelta": [datetime.timedelta(1), datetime.timedelta(2)] * 3,
}


@pytest.mark.parametrize("kind", REFUSED)
def test_fault_a15_labels_that_no_file_keeps_are_refused_when_saved(kind: str, tmp_path: Path) -> None:
    model = SoftmaxRegression().fit(X, REFUSED[kind])
    assert model.score(X, REFUSED[kind]) >= 0.5
    with pytest.raises(
        ValueError, match=f"of the type {kind}, which a model file cannot store. Fit the model with text"
    ):
        model.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("y", [np.array([1j, 2j] * 3), [1, "a"] * 3, [datetime.date(2020, 1, 1), "a"] * 3])
def test_fault_a15_kinds_that_are_no_labels(y: Any) -> None:
    with pytest.raises(ValueError, match=r"cannot hold labels|mixes kinds"):
        SoftmaxRegression().fit(X, y)


HOSTILE = [
    {"dtype": "datetime64[ns]", "values": [1, "2020"]},
    {"dtype": "datetime64[ns]", "values": [1, 2**64]},
    {"dtype": "datetime64[ns]", "values": [1, -(2**63)]},
    {"dtype": "datetime64[parsec]", "values": [1, 2]},
    {"dtype": "float64", "values": [1, 2]},
    {"dtype": ["date"], "values": ["2020-01-01"]},
    {"dtype": "date", "values": ["yesterday", "today"]},
    {"dtype": "date", "values": ["2020-01-01", "2020-01-01"]},
    {"dtype": "bytes", "values": ["€", "a"]},
    {"dtype": "str", "values": "ab"},
    {"dtype": "str", "values": [["a"], "b"]},
]


@pytest.mark.parametrize("told", HOSTILE, ids=str)
def test_fault_a15_state_that_describes_no_labels_is_refused(told: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        labels_from_json(told)


def test_fault_e6_without_pytorch_the_extra_is_named_and_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *more: Any, **settings: Any) -> Any:
        if name == "torch":
            raise ImportError(name)
        return real(name, *more, **settings)

    monkeypatch.setattr(builtins, "__import__", without)
    for wish in (lambda: pytorch("device='cpu'"), lambda: SoftmaxRegression(device="cpu").fit(X, [0, 1] * 3)):
        with pytest.raises(ImportError, match=r"needs PyTorch.*pip install 'softreg\[torch\]'") as found:
            wish()
        assert "http" not in str(found.value)
