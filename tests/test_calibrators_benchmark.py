"""The benchmark of calibrators: its pairs and tables, and the adapter for harnesses of probmetrics."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from softreg import Calibrator
from softreg.probability import log_loss, softmax

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def adapter(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The adapter, without the folder of the benchmarks on the path: dependencies would import its coverage.py."""
    pytest.importorskip("probmetrics")
    others = [folder for folder in sys.path if Path(folder).resolve() != FOLDER]
    monkeypatch.setattr(sys, "path", [*others, str(FOLDER / "adapters")])
    return importlib.import_module("softreg_calibrator")


@pytest.fixture
def calibrators(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The benchmark."""
    monkeypatch.setattr(sys, "path", [*sys.path, str(FOLDER)])
    return importlib.import_module("calibrators")


def drawn(q: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(q)
    o = random.normal(size=(800, q))
    y = np.minimum((softmax(o).cumsum(axis=1) < random.random((800, 1))).sum(axis=1), q - 1)
    return np.asarray(softmax(2 * o)), y


@pytest.mark.parametrize("q", [2, 4])
def test_the_adapter_is_the_calibrator_in_the_interface_of_probmetrics(adapter: ModuleType, q: int) -> None:
    import torch
    from probmetrics.distributions import CategoricalLogits

    P, y = drawn(q)
    wanted = Calibrator().fit(P[:400], y[:400], classes=range(q)).predict_proba(P[400:])
    fitted = adapter.SoftregCalibrator().fit(P[:400], y[:400])
    assert fitted.predict_proba(P[400:]) == pytest.approx(wanted, abs=1e-12)
    assert log_loss(wanted, y[400:]) < log_loss(P[400:], y[400:])
    logits = CategoricalLogits(torch.as_tensor(np.log(P)))
    by_torch = adapter.SoftregCalibrator().fit_torch(logits, torch.as_tensor(y)).predict_proba_torch(logits)
    whole = Calibrator().fit(P, y, classes=range(q)).predict_proba(P)
    assert by_torch.get_probs().numpy() == pytest.approx(whole, abs=1e-9)
    single = adapter.SoftregCalibrator().fit(P[:400].astype(np.float32), y[:400]).predict_proba(P[400:])
    assert single == pytest.approx(wanted, abs=1e-3)


def test_a_row_of_the_table_counts_what_is_worse_and_what_is_better(calibrators: ModuleType) -> None:
    losses = [(0.5, 0.4, 0.45), (0.5, 0.5, 0.4), (0.5, 0.5005, 0.6), (0.5, 0.7, 0.8)]
    chosen = [
        {
            "q": 2,
            "before": b,
            "unchanged": b + 0.001,
            "softreg": {"loss": s, "seconds": 0.002, "error": 0.09},
            calibrators.PEER: {"loss": p, "seconds": 0.01, "error": 0.09},
        }
        for b, s, p in losses
    ]
    assert calibrators.row("softreg", chosen) == (
        "| softreg | +0.0251 | +0.0002 | 50.0% | 75.0% | 75.0% | 25.0% | 75% | 2.00 |"
    )
    told = calibrators.lines({"a": chosen[0], "b": {**chosen[1], "q": 3}})
    assert [line for line in told if "pairs" in line] == [
        "1 pairs, two classes:", "1 pairs, three classes and more:", "2 pairs, all:"
    ]  # fmt: skip
