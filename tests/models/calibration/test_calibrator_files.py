"""Files of calibrators: the same probabilities after `softreg.load`, and errors for altered files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import softreg
from softreg import Calibrator
from softreg.models.serialization.model_file import ModelFileError, read_model, write_model
from softreg.probability import softmax

METHODS = ("none", "temperature", "vector", "matrix", "structured", "curved", "beta", "quadratic", "isotonic", "auto")


def sample(n: int, q: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(q)
    o = random.normal(scale=1.5, size=(n, q))
    y = np.minimum((softmax(o).cumsum(axis=1) < random.random((n, 1))).sum(axis=1), q - 1)
    P = np.round(np.asarray(softmax(2 * o)), 2)
    return P / P.sum(axis=1, keepdims=True), y


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("labels", [["no", "yes"], [3, 7]])
def test_a_file_gives_the_same_calibrator(tmp_path: Path, method: str, labels: list[Any]) -> None:
    P, y = sample(700, 2)
    fitted = Calibrator(method, caution=0.5, folds=4, seed=3).fit(P, np.array(labels)[y], sample_weight=1.0 + y)
    fitted.save(tmp_path / "c.softreg")
    again = softreg.load(tmp_path / "c.softreg")
    assert isinstance(again, Calibrator)
    assert again.get_params() == fitted.get_params()
    assert again.classes_.tolist() == labels
    assert again.trials_ == fitted.trials_
    assert (again.method_, again.floor_) == (fitted.method_, fitted.floor_)
    assert (again.predict_proba(P) == fitted.predict_proba(P)).all()
    assert (again.predict_proba(P, class_rates=[0.3, 0.7]) == fitted.predict_proba(P, class_rates=[0.3, 0.7])).all()
    again.save(tmp_path / "d.softreg")
    assert (tmp_path / "c.softreg").read_bytes() == (tmp_path / "d.softreg").read_bytes()


@pytest.mark.parametrize("q", [4, 40])
def test_a_file_of_several_classes(tmp_path: Path, q: int) -> None:
    P, y = sample(2000, q)
    fitted = Calibrator().fit(P, y, classes=range(q))
    fitted.save(tmp_path / "c.softreg")
    assert (softreg.load(tmp_path / "c.softreg").predict_proba(P) == fitted.predict_proba(P)).all()


def test_no_gain_is_enough_for_infinite_caution_before_and_after_a_file(tmp_path: Path) -> None:
    P, y = sample(300, 2)
    P = 0.98 * P + 0.01
    fitted = Calibrator(caution=float("inf")).fit(P, y)
    assert fitted.method_ == "none"
    fitted.save(tmp_path / "c.softreg")
    assert softreg.load(tmp_path / "c.softreg").caution == float("inf")


def test_a_calibrator_that_is_not_fitted_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not fitted"):
        Calibrator().save(tmp_path / "c.softreg")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "change",
    [
        {"method": "magic"},
        {"floor": 0.0},
        {"parameters": {"fold": 2}},
        {"map": {"kind": "magic"}},
        {"map": {"kind": "scaled"}},
        {"map": {"kind": "structured", "c": "one", "gap": 0.0, "factor": 1.0}},
        {"trials": [{"name": "none"}]},
    ],
)
def test_an_altered_file_is_an_error(tmp_path: Path, change: dict[str, Any]) -> None:
    P, y = sample(300, 2)
    Calibrator("curved").fit(P, y).save(tmp_path / "c.softreg")
    stored = read_model(tmp_path / "c.softreg")
    write_model(tmp_path / "bad.softreg", stored.kind, stored.arrays, {**stored.metadata, **change})
    with pytest.raises(ModelFileError, match=r"bad\.softreg"):
        softreg.load(tmp_path / "bad.softreg")


@pytest.mark.parametrize(
    ("name", "array"),
    [("knots1", np.array([0.5, 0.1])), ("values1", np.array([2.0, 3.0])), ("class_rates", np.array([-1.0, 2.0]))],
)
def test_altered_arrays_are_errors(tmp_path: Path, name: str, array: np.ndarray) -> None:
    P, y = sample(300, 2)
    Calibrator("isotonic").fit(P, y).save(tmp_path / "c.softreg")
    stored = read_model(tmp_path / "c.softreg")
    write_model(tmp_path / "bad.softreg", stored.kind, {**stored.arrays, name: array}, stored.metadata)
    with pytest.raises(ModelFileError, match=r"bad\.softreg"):
        softreg.load(tmp_path / "bad.softreg")
