"""Cross-validation of rows on worker processes: the folds of hashed row numbers, the path and the final model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from softreg import SoftmaxRegression, SoftmaxRegressionCV
from softreg.models.inputs.cluster.fragmented_batches import FragmentedBatches
from softreg.models.selection.folds_on_workers.fold_rows import RowFolds
from softreg.rows.cluster.local_processes import LocalProcesses
from softreg.rows.cluster.worker import PLACE_BITS

N, D, ROWS = 2_000, 4, 300
NAMES = np.array(["no", "maybe", "yes"])


@dataclass(frozen=True)
class NpyBatch:
    """Rows of arrays in a folder."""

    folder: str
    start: int
    sparse: bool = False
    weighted: bool = False
    shifted: bool = False

    @property
    def name(self) -> str:
        return f"rows from {self.start}"

    def read(self) -> tuple[Any, ...]:
        part = slice(self.start, self.start + ROWS)
        X, y, w, o = (np.load(f"{self.folder}/{name}.npy")[part] for name in "Xywo")
        return (sp.csr_array(X) if self.sparse else X), y, w if self.weighted else None, o if self.shifted else None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("rows")
    random = np.random.default_rng(1)
    X = random.normal(size=(N, D)) * (random.random((N, D)) < 0.6)
    y = NAMES[(X[:, :3] + random.gumbel(size=(N, 3))).argmax(axis=1)]
    arrays = {"X": X, "y": y, "w": random.integers(0, 3, N), "o": random.normal(size=(N, 3))}
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return str(folder)


@pytest.fixture(scope="module")
def engine() -> Iterator[LocalProcesses]:
    with LocalProcesses(2) as engine:
        yield engine


def batches(folder: str, **more: bool) -> list[NpyBatch]:
    return [NpyBatch(folder, a, **more) for a in range(0, N, ROWS)]


def arrays(folder: str) -> Iterator[Any]:
    return (np.load(Path(folder) / f"{name}.npy") for name in "Xywo")


def folds(count: int, seed: int = 0) -> list[Any]:
    """The folds of the rows on workers, as splits for a search in memory."""
    parts = [RowFolds(count, seed).of(k << PLACE_BITS, min(ROWS, N - a)) for k, a in enumerate(range(0, N, ROWS))]
    fold = np.concatenate(parts)
    return [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(count)]


PARAMETERS: list[dict[str, Any]] = [
    {},
    {"rule": "1se"},
    {"penalty": "elasticnet", "l1_ratio": 0.5, "strengths": [0.1, 0.01]},
    {"class_weight": "balanced", "strengths": [0.1, 0.01]},
    {"class_weight": {"no": 2.0, "yes": 0.5, "maybe": 1.0}, "scoring": "brier", "strengths": [0.1, 0.01]},
    {"scoring": "accuracy", "strengths": [0.1, 0.01, 0.001]},
    {"fit_intercept": False, "strengths": [0.1, 0.01]},
]


@pytest.mark.parametrize("parameters", PARAMETERS, ids=str)
def test_path_and_model_are_those_in_memory_for_the_same_folds(
    folder: str, engine: LocalProcesses, parameters: dict[str, Any]
) -> None:
    X, y, *_ = arrays(folder)
    model = SoftmaxRegressionCV(cv=4, **parameters).fit(FragmentedBatches(batches(folder), engine), None)
    one = SoftmaxRegressionCV(cv=folds(4), **parameters).fit(X, y)
    np.testing.assert_allclose(model.path_.strength, one.path_.strength, rtol=1e-3)
    np.testing.assert_allclose(model.path_.scores, one.path_.scores, atol=3e-4 if "scoring" not in parameters else 3e-3)
    np.testing.assert_allclose(model.path_.error, one.path_.error, atol=1e-3)
    assert model.strength_ == pytest.approx(one.strength_, rel=1e-3)
    np.testing.assert_allclose(model.predict_proba(X), one.predict_proba(X), atol=3e-3)
    assert model.oof_proba_ is None
    assert model.solution_.status.value == "converged"


@pytest.mark.parametrize("more", [{"sparse": True}, {"weighted": True}, {"weighted": True, "shifted": True}], ids=str)
def test_sparse_weighted_and_shifted_rows(folder: str, engine: LocalProcesses, more: dict[str, bool]) -> None:
    X, y, w, o = arrays(folder)
    model = SoftmaxRegressionCV([0.1, 0.01], cv=3).fit(FragmentedBatches(batches(folder, **more), engine), None)
    if "weighted" in more:  # rows of weight zero have no number, and so the folds are others
        named: dict[str, Any] = {"sample_weight": w, "offset": o if "shifted" in more else None}
        one = SoftmaxRegression(model.strength_).fit(X, y, **named)
        assert model.solution_.value == pytest.approx(one.solution_.value, abs=2e-6)
        assert abs(model.path_.mean - SoftmaxRegressionCV([0.1, 0.01], cv=3).fit(X, y, **named).path_.mean).max() < 0.02
    else:
        one_cv = SoftmaxRegressionCV([0.1, 0.01], cv=folds(3)).fit(sp.csr_array(X), y)
        np.testing.assert_allclose(model.path_.scores, one_cv.path_.scores, atol=3e-4)


def test_the_bits_do_not_depend_on_the_number_of_workers(folder: str, engine: LocalProcesses) -> None:
    def bits(engine: LocalProcesses) -> bytes:
        model = SoftmaxRegressionCV(cv=3).fit(FragmentedBatches(batches(folder), engine), None)
        return bytes(model.coef_.tobytes() + model.path_.scores.tobytes())

    with LocalProcesses(1) as other:
        assert bits(engine) == bits(other)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"cv": "loo"}, "give an integer of 2 or more"),
        ({"cv": [([0], [1])]}, "give an integer of 2 or more"),
        ({"scoring": "roc_auc"}, "on a cluster use one of log_loss"),
        ({"penalty": "l1", "relaxed": [0.5, 1.0]}, "leave relaxed out"),
        ({"device": "cpu"}, "leave device out"),
    ],
    ids=str,
)
def test_what_needs_the_rows_in_one_process_is_refused(
    folder: str, engine: LocalProcesses, parameters: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        SoftmaxRegressionCV(**parameters).fit(FragmentedBatches(batches(folder), engine), None)


def test_labels_beside_batches_and_groups_are_refused(folder: str, engine: LocalProcesses) -> None:
    source = FragmentedBatches(batches(folder), engine)
    with pytest.raises(ValueError, match="batches hold their labels"):
        SoftmaxRegressionCV().fit(source, np.zeros(N))
    with pytest.raises(ValueError, match="leave groups out"):
        SoftmaxRegressionCV().fit(source, None, groups=np.zeros(N))


def test_a_class_of_few_rows_that_one_fold_holds_out_is_named(
    tmp_path: Path, folder: str, engine: LocalProcesses
) -> None:
    X, y, w, o = arrays(folder)
    y = y.astype("U6")
    y[5] = "rare"
    for name, array in {"X": X, "y": y, "w": w, "o": o}.items():
        np.save(tmp_path / f"{name}.npy", array)
    with pytest.raises(ValueError, match="rows of class 'rare' are so few that fold"):
        SoftmaxRegressionCV(cv=2).fit(FragmentedBatches(batches(str(tmp_path)), engine), None)
