"""Rows of the list of faults: columns of `softreg audit`, column information, tolerance of sums, label audit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from softreg import Calibrator, PredictionSets, label_audit
from softreg.cli import main
from softreg.models.inputs.labels import parse_labels
from softreg.probability import (
    check_calibration,
    column_information,
    encode_labels,
    label_probabilities,
    least_expected_cost,
    log_loss,
    operating_point,
    softmax,
)
from softreg.report import audit

from .helpers import labels_of

FLOATS = (np.float16, np.float32, np.float64)


def audited(path: Path, table: pa.Table) -> dict:
    pq.write_table(table, path)
    done = CliRunner().invoke(main, ["audit", str(path), "--target", "y", "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.mark.parametrize("own", ["prediction", "prediction_", "row", "has_car"])
def test_fault_a14_columns_of_zeros_and_of_predict_are_no_classes(tmp_path: Path, own: str) -> None:
    r = np.random.default_rng(0)
    P = softmax(r.normal(size=(60, 2)))
    for zeros in ([0] * 60, [0.0] * 60):
        table = pa.table({own: zeros, "0": P[:, 0], "1": P[:, 1], "y": labels_of(P, r).astype(str)})
        assert audited(tmp_path / "p.parquet", table)["classes"] == 2


def test_fault_a14_the_row_number_of_a_single_row_is_no_class(tmp_path: Path) -> None:
    table = pa.table({"row": [1, 1], "prediction": ["a", "a"], "a": [0.75, 0.5], "b": [0.25, 0.5], "y": ["a", "b"]})
    assert audited(tmp_path / "p.parquet", table)["classes"] == 2


def test_fault_a14_classes_that_never_occur_are_found_beside_other_columns(tmp_path: Path) -> None:
    r = np.random.default_rng(0)
    P = softmax(r.normal(size=(60, 3)))
    y = np.where(labels_of(P, r) == 0, "a", "b")
    parts = {"prediction": ["a"] * 60, "a": P[:, 0], "b": P[:, 1], "c": P[:, 2], "y": y}
    assert audited(tmp_path / "p.parquet", pa.table(parts))["classes"] == 3
    flags = {"flag": (P[:, 0] > 0.3).astype(float), **parts}
    assert audited(tmp_path / "p.parquet", pa.table(flags))["classes"] == 3
    named = pa.table({"prediction": P[:, 0], "row": P[:, 1:].sum(axis=1), "y": ["prediction", "row"] * 30})
    assert audited(tmp_path / "p.parquet", named)["classes"] == 2  # classes of these names stay classes


def test_fault_a25_noise_of_many_levels_tells_nothing() -> None:
    for levels in (2, 30, 300, 700, 10**9):
        for seed in range(10):
            r = np.random.default_rng(seed)
            words = r.integers(levels, size=1000).astype(str) if levels < 1e6 else np.arange(1000).astype(str)
            assert abs(column_information(words, r.integers(2, size=1000), unit="bit")) < 0.012, (levels, seed)


def test_fault_a25_what_many_levels_do_tell_is_counted() -> None:
    r = np.random.default_rng(0)
    words, effect = r.integers(100, size=20_000), 2 * r.normal(size=100)
    p = 1 / (1 + np.exp(-effect[words]))
    y = (r.random(20_000) < p).astype(int)
    rate = p.mean()
    exact = np.mean(p * np.log(p / rate) + (1 - p) * np.log((1 - p) / (1 - rate)))
    assert column_information(words.astype(str), y) == pytest.approx(exact, rel=0.05)


def uses(P: object, y: np.ndarray, q: int) -> list[Callable[[], object]]:
    """Every function that takes distributions."""
    return [
        lambda: audit(P, y, range(q)),
        lambda: operating_point(P, y, np.ones((q, 2))),
        lambda: least_expected_cost(P, np.ones((q, 2))),
        lambda: Calibrator("temperature").fit(P, y, classes=range(q)).predict_proba(P),
        lambda: PredictionSets().fit(P, y, classes=range(q)).predict(P),
        lambda: label_audit(P, y, classes=range(q)),
        lambda: log_loss(P, y),
        lambda: check_calibration(P, y),
        lambda: encode_labels(y, P),
        lambda: label_probabilities(P, smoothing=0.1),
        lambda: parse_labels(np.asarray(P)),  # soft labels, as `SoftmaxRegression.fit` reads them
    ]


@pytest.mark.filterwarnings("ignore")
def test_fault_c3_one_tolerance_by_precision_and_number_of_classes() -> None:
    r, q = np.random.default_rng(0), 5000
    P = softmax(3 * r.normal(size=(8, q)))
    off = P * (1 + r.choice([-4e-6, 4e-6], size=(8, 1)))
    y = r.integers(q, size=8)
    accepted = [P.astype(np.float16), P.astype(np.float16).astype(np.float64), off.astype(np.float32)]
    for given in (*accepted, off.astype(np.float32).astype(np.float64).tolist()):
        for use in uses(given, y, q):
            use()
    for wrong in ((P * 1.02).astype(np.float16), (P * 1.001).astype(np.float32), off, P * 0.98):
        for use in uses(wrong, y, q):
            with pytest.raises(ValueError, match=r"sums to .*, not to 1"):
                use()


def draws(kind: str, r: np.random.Generator) -> np.ndarray:
    """Probabilities of 2,000 rows, from certain ones to coin tosses."""
    if kind == "uniform":
        return r.dirichlet([1.0, 1.0], size=2000)
    if kind == "constant":
        return np.tile([0.9, 0.1], (2000, 1))
    q, scale = {"two": (2, 1.0), "sharp": (2, 4.0), "four": (4, 2.0)}[kind]
    return softmax(scale * r.normal(size=(2000, q)))


@pytest.mark.parametrize("kind", ["uniform", "constant", "two", "sharp", "four"])
def test_fault_f2_labels_drawn_from_the_probabilities_are_not_called_wrong(kind: str) -> None:
    for seed in range(8):
        r = np.random.default_rng(seed)
        P = draws(kind, r)
        y = (r.random((2000, 1)) > P.cumsum(axis=1)).sum(axis=1).clip(0, P.shape[1] - 1)
        found = label_audit(P, y, classes=range(P.shape[1]))
        assert found.expected_wrong < 5, (kind, seed)
        assert found.suspicion.max() < 0.5, (kind, seed)
    if kind == "uniform":
        assert found.by_chance > 100  # so many would look wrong, were the uncertainty of the classes not known


def test_fault_f2_flipped_labels_of_separable_classes_are_still_found() -> None:
    r = np.random.default_rng(0)
    truth = r.integers(2, size=3000)
    x = r.normal(size=3000) + np.where(truth, 4.0, -4.0)
    P = softmax(np.column_stack([-4 * x, 4 * x]))
    y = truth.copy()
    flipped = r.choice(3000, 30, replace=False)
    y[flipped] = 1 - y[flipped]
    found = label_audit(P, y)
    assert found.expected_wrong == pytest.approx(30, abs=3)
    assert (found.suspicion[flipped] > 0.9).mean() > 0.9
    assert np.isin(found.order[:30], flipped).mean() > 0.9
