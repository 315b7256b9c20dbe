"""Recalibration by offsets of groups: optimum, partial pooling, caution, unseen groups, files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize

import softreg
from softreg.models import Calibrator, GroupCalibrator, ModelFileError, read_model, write_model
from softreg.models.calibration.group_offsets import POOLED_DEVIATION, fit_offsets
from softreg.probability import log_loss, log_softmax, softmax

LEVELS = np.array(["a", "b", "c", "d"])


def sample(
    n: int, bias: list[float], seed: int = 0, q: int = 2
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities, labels, groups and true probabilities; the last class is off by a bias in each group."""
    random = np.random.default_rng(seed)
    P = softmax(1.5 * random.normal(size=(n, q)))
    g = random.integers(len(bias), size=n)
    truth = softmax(np.log(P) + np.eye(q)[-1] * np.array(bias)[g][:, None])
    y = np.minimum((truth.cumsum(axis=1) < random.random((n, 1))).sum(axis=1), q - 1)
    return P, y, g, truth


def test_the_offsets_are_the_minimum_of_the_objective() -> None:
    P, y, g, _ = sample(300, [0.0, 1.0, -1.0], q=3)
    h, L, n, s = np.arange(300) % 2, np.log(P), 300, 0.4
    offsets, solution = fit_offsets(L, y, (g, h), (3, 2), s)
    assert solution.gap < 1e-6

    def objective(theta: np.ndarray) -> float:
        b, u, v = np.split(theta.reshape(6, 3), [1, 4])
        loss = -log_softmax(L + b + u[g] + v[h])[np.arange(n), y].sum()
        return float(loss + ((u**2).sum() + (v**2).sum()) / (2 * s**2) + (b**2).sum() / (2 * POOLED_DEVIATION**2))

    best = minimize(objective, np.zeros(18), method="BFGS", options={"gtol": 1e-7}).fun
    ours = np.vstack([offsets.shared, *offsets.groups])
    assert objective(ours.ravel()) == pytest.approx(best, abs=1e-4)


def test_groups_of_few_rows_are_pooled_and_unseen_ones_have_the_shared_offset() -> None:
    P, y, g, _ = sample(4000, [0.8, 0.8, 0.8, -0.8])
    rows = np.flatnonzero((g < 3) | (np.arange(4000) < 60))  # few rows of the last group
    P, y, g = P[rows], y[rows], g[rows]
    calibrator = GroupCalibrator().fit(P, y, LEVELS[g])
    assert calibrator.method_ in ("pooled", "groups")
    calibrator = GroupCalibrator("groups").fit(P, y, LEVELS[g])
    after = calibrator.predict_proba([[0.5, 0.5]] * 3, ["a", "d", "never seen"])[:, 1]
    shared = softmax(calibrator.offsets_.shared)[1]
    assert after[2] == pytest.approx(shared)
    assert after[1] < after[2]
    missing = calibrator.predict_proba([[0.5, 0.5]], [None])[:, 1]  # no missing value in the fit
    assert missing[0] == pytest.approx(shared)


@pytest.mark.parametrize("seed", range(8))
def test_right_probabilities_are_left_as_they_are(seed: int) -> None:
    P, y, g, _ = sample(1500, [0.0] * 4, seed)
    calibrator = GroupCalibrator().fit(P, y, LEVELS[g])
    assert calibrator.method_ == "none"
    assert calibrator.predict_proba(P, LEVELS[g]) == pytest.approx(P, abs=1e-12)
    assert calibrator.deviation_ == 0.0


@pytest.mark.parametrize(("q", "dtype"), [(2, np.float64), (3, np.float32)])
def test_the_log_loss_of_new_rows_falls_where_groups_are_off(q: int, dtype: Any) -> None:
    bias = [0.9, -0.9, 0.0, 0.0]
    P, y, g, _ = sample(4000, bias, 1, q)
    new_P, new_y, new_g, truth = sample(20_000, bias, 2, q)
    calibrator = GroupCalibrator().fit(P.astype(dtype), y, {"letter": LEVELS[g]})
    after = calibrator.predict_proba(new_P.astype(dtype), {"letter": LEVELS[new_g]})
    assert calibrator.method_ == "groups"
    assert calibrator.gap_ < 1e-6
    assert after.sum(axis=1) == pytest.approx(1.0)
    excess = [float(log_loss(p, new_y)) - float(log_loss(truth, new_y)) for p in (new_P, after)]
    assert excess[1] < 0.15 * excess[0]


def test_a_class_that_never_occurs_and_probabilities_of_0() -> None:
    P, y, g, _ = sample(600, [0.0, 0.5], q=3)
    calibrator = GroupCalibrator("groups").fit(P, np.minimum(y, 1), LEVELS[g], classes=range(3))
    assert np.isfinite(calibrator.offsets_.shared).all()
    P[:50] = [1.0, 0.0, 0.0]
    y[:50] = 0
    y[0] = 2
    after = GroupCalibrator("groups").fit(P, y, LEVELS[g]).predict_proba(P, LEVELS[g])
    assert (after > 0).all()
    assert np.isfinite(log_loss(after, y))


def test_equal_fits_are_equal_and_the_order_of_columns_does_not_matter() -> None:
    P, y, g, _ = sample(900, [0.8, -0.8, 0.0])
    by = {"letter": LEVELS[g], "half": np.arange(900) % 2}
    one = GroupCalibrator("groups").fit(P, y, by)
    again = GroupCalibrator("groups").fit(P, y, by)
    assert (one.predict_proba(P, by) == again.predict_proba(P, by)).all()
    turned = dict(reversed(by.items()))
    assert one.predict_proba(P, turned) == pytest.approx(one.predict_proba(P, by))


@pytest.mark.parametrize("labels", [["no", "yes"], [0, 1], [False, True]])
def test_a_file_gives_the_same_probabilities(tmp_path: Path, labels: list[Any]) -> None:
    P, y, g, _ = sample(1200, [1.0, -1.0, 0.0])
    age = np.random.default_rng(5).normal(size=1200)
    by = {"letter": LEVELS[g], "age": np.where(age > 1.5, np.nan, age)}
    calibrator = GroupCalibrator(caution=1.0).fit(P, np.array(labels)[y], by)
    assert calibrator.method_ == "groups"
    calibrator.save(tmp_path / "c.softreg")
    again = softreg.load(tmp_path / "c.softreg")
    assert isinstance(again, GroupCalibrator)
    assert again.classes_.tolist() == labels
    assert again.trials_ == calibrator.trials_
    assert again.get_params() == calibrator.get_params()
    assert (again.predict_proba(P, by) == calibrator.predict_proba(P, by)).all()


def test_infinite_caution_is_stored_in_a_file(tmp_path: Path) -> None:
    P, y, g, _ = sample(300, [1.0, -1.0])
    GroupCalibrator(caution=float("inf")).fit(P, y, LEVELS[g]).save(tmp_path / "c.softreg")
    again = softreg.load(tmp_path / "c.softreg")
    assert again.caution == float("inf")
    assert again.method_ == "none"


def test_an_altered_file_is_an_error(tmp_path: Path) -> None:
    P, y, g, _ = sample(300, [1.0, -1.0])
    GroupCalibrator().fit(P, y, LEVELS[g]).save(tmp_path / "c.softreg")
    stored = read_model(tmp_path / "c.softreg")
    for change in ({"rules": []}, {"method": "magic"}, {"floor": 0.0}, {"parameters": {"fold": 2}}):
        write_model(tmp_path / "bad.softreg", stored.kind, stored.arrays, {**stored.metadata, **change})
        with pytest.raises(ModelFileError, match=r"bad\.softreg"):
            softreg.load(tmp_path / "bad.softreg")
    arrays = {**stored.arrays, "shared": np.zeros(3)}
    write_model(tmp_path / "bad.softreg", stored.kind, arrays, stored.metadata)
    with pytest.raises(ModelFileError, match="do not fit together"):
        softreg.load(tmp_path / "bad.softreg")


def test_bad_arguments_are_errors() -> None:
    P, y, g, _ = sample(60, [0.0, 0.0])
    fitted = GroupCalibrator().fit(P, y, {"letter": LEVELS[g]})
    for call, message in (
        (lambda: fitted.predict_proba(P, {"word": LEVELS[g], "half": g}), "groups lacks the column 'letter'"),
        (lambda: fitted.predict_proba(np.full((60, 3), 1 / 3), LEVELS[g]), "P has 3 columns, but was fitted with 2"),
        (lambda: fitted.predict_proba(P, LEVELS[g][:5]), "has 5 values, but there are 60 rows"),
        (lambda: GroupCalibrator("magic").fit(P, y, g), "method='magic'"),
        (lambda: GroupCalibrator(folds=1).fit(P, y, g), "folds=1"),
        (lambda: GroupCalibrator(caution=-1).fit(P, y, g), "caution=-1"),
        (lambda: GroupCalibrator().fit(P, y[:3], g), "one label for each row"),
        (lambda: GroupCalibrator().fit(P, y, None), "give the values of the rows"),
        (lambda: GroupCalibrator().fit(P[:2], y[:2], g[:2], range(2)), "at least 5 rows"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize("occurs", [False, True])
def test_zeros_share_the_probability_that_they_share_in_calibrator(occurs: bool) -> None:
    """Where no class of probability 0 occurs in many rows, it does not get half of the smallest probability."""
    P, y, g, _ = sample(600, [0.0, 0.5])
    P[:400], y[:400] = [1.0, 0.0], 0
    y[:3] = int(occurs)
    calibrator = GroupCalibrator("none").fit(P, y, LEVELS[g])
    assert calibrator.floor_ == Calibrator("none").fit(P, y).floor_
    assert calibrator.floor_ == pytest.approx(min((3.5 if occurs else 0.5) / 401, P[P > 0].min() / 2))
    expected = Calibrator("none").fit(P, y).predict_proba(P[:5])
    np.testing.assert_allclose(calibrator.predict_proba(P[:5], LEVELS[g[:5]]), expected, rtol=1e-12)
