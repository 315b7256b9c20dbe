"""Two classes: the stack has the minima and leave-one-out losses of the general fits, and zeros count as evidence."""

from __future__ import annotations

import numpy as np
import pytest

from softreg import Calibrator
from softreg.models.calibration.maps import odds_stack
from softreg.models.calibration.maps.isotonic import IsotonicRows
from softreg.models.calibration.maps.map_designs import MatrixDesign
from softreg.models.calibration.maps.newton_fit import fit_map
from softreg.models.calibration.maps.odds_stack import fit_odds_stack
from softreg.models.calibration.maps.structured import fit_temperature, penalty_matrix
from softreg.models.calibration.maps.structured_map import bounded_logs
from softreg.models.calibration.maps.two_classes import fit_two_classes
from softreg.models.calibration.methods import log_losses, out_of_fold_losses
from softreg.probability import log_loss, softmax


def sample(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    z = random.normal(scale=2, size=n)
    y = (random.random(n) < 1 / (1 + np.exp(0.2 - 0.5 * z))).astype(np.int64)
    return np.asarray(softmax(np.column_stack([0 * z, z]))), y


@pytest.mark.parametrize("n", [200, 3000])
@pytest.mark.parametrize("factor", [0.3, 3.0])
def test_the_stack_has_the_fits_of_the_matrix_design(n: int, factor: float, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("newton_fit", "odds_stack", "structured"):
        monkeypatch.setattr(f"softreg.models.calibration.maps.{module}.TOLERANCE", 1e-13)
    P, y = sample(n, n)
    weights = np.random.default_rng(n).exponential(size=n)
    weights /= weights.mean()
    fits = fit_two_classes(P, y, ["temperature", "structured", "curved"], [factor], weights)
    for name in ("structured", "curved"):
        curved = name == "curved"
        design = MatrixDesign(bounded_logs(P), curved)
        wanted = fit_map(design, y, design.center, penalty_matrix(2, factor, curved), weights=weights)
        W, b, c = design.split(wanted.theta)
        found = fits[name].fitted
        assert pytest.approx(W, abs=1e-5) == found.W
        assert [*found.b, found.c] == pytest.approx([*b, c], abs=1e-5)
        assert fits[name].losses == pytest.approx(wanted.losses, abs=1e-5)
        assert found.gap < 3e-8
    heat = fit_temperature(P, y, weights)
    assert pytest.approx(heat.fitted.W, abs=1e-5) == fits["temperature"].fitted.W
    assert fits["temperature"].losses == pytest.approx(heat.losses, abs=1e-5)


def test_the_gap_of_a_stack_bounds_the_distance_to_the_minimum(monkeypatch: pytest.MonkeyPatch) -> None:
    P, y = sample(1, 3000)
    F = np.column_stack([np.log(P[:, 1] / P[:, 0]), np.ones(3000)])
    problem = (F, y, np.array([1.0, 0.0]), np.array([[1.0, 3.0], [1.0, 3.0]]))
    free = np.array([[True, True], [True, False]])
    best = [fit.value for fit in fit_odds_stack(*problem, free=free)]
    seen = []
    for tolerance in (1e-1, 1e-2, 1e-3):
        monkeypatch.setattr(odds_stack, "TOLERANCE", tolerance)
        early = fit_odds_stack(*problem, free=free)
        for k, (fit, least) in enumerate(zip(early, best, strict=True)):
            change = fit.theta - problem[2]
            penalty = problem[3][:, k] @ (change * change) / 2
            value = (np.logaddexp(0, -np.where(y == 1, 1, -1) * (F @ fit.theta)).sum() + penalty) / len(y)
            assert value <= fit.value + 1e-12  # the last step is taken, too
            assert fit.value - least <= fit.gap + 1e-12
        seen += [fit.gap for fit in early]
    assert max(seen) > 1e-5
    assert early[1].theta[1] == 0.0  # not free


@pytest.mark.parametrize("n", [200, 3000])
def test_parameters_are_those_of_the_minimum_beyond_the_tolerance(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    P, y = sample(4, n)
    fits = fit_two_classes(P, y, ["temperature", "curved"], [0.3])
    monkeypatch.setattr(odds_stack, "TOLERANCE", 1e-15)
    exact = fit_two_classes(P, y, ["temperature", "curved"], [0.3])
    for name, fit in fits.items():
        assert fit.fitted.apply(P) == pytest.approx(exact[name].fitted.apply(P), abs=1e-6)


@pytest.mark.parametrize("q", [2, 3])
@pytest.mark.parametrize("digits", [2, 16])
@pytest.mark.parametrize("weighted", [False, True])
def test_sorted_rows_have_the_losses_of_isotonic_fits_without_each_fold(q: int, digits: int, weighted: bool) -> None:
    random = np.random.default_rng(q)
    P = np.asarray(softmax(random.normal(size=(300, q)))).round(digits).astype(np.float32).astype(np.float64)
    P /= P.sum(axis=1, keepdims=True)
    y, fold = random.integers(0, q, 300), random.integers(0, 4, 300)
    weights = random.exponential(size=300) if weighted else None
    rows = IsotonicRows.of(P, y, weights)
    assert rows.losses(rows.fit()) == pytest.approx(log_losses(rows.fit().apply(P), y), rel=1e-12)
    assert rows.fold_losses(fold) == pytest.approx(out_of_fold_losses("isotonic", P, y, fold, weights), rel=1e-12)


def test_extreme_probabilities_of_a_misleading_model_do_not_overflow() -> None:
    random = np.random.default_rng(0)
    z = np.where(random.random(2000) < 0.5, -1.0, 1.0) * random.uniform(20, 60, size=2000)
    P = np.asarray(softmax(np.column_stack([0 * z, z])))
    y = ((z > 0) ^ (random.random(2000) < 0.3)).astype(np.int64)
    y[::200] = 1 - y[::200]
    fitted = Calibrator("curved").fit(P, y)
    assert fitted.recalibration_.gap < 1e-6
    assert log_loss(fitted.predict_proba(P), y) < 0.7


def test_zeros_are_replaced_in_any_case_so_a_small_gain_suffices() -> None:
    P, y = sample(2, 150)
    with_zeros = P.copy()
    with_zeros[0] = np.eye(2)[y[0]]
    reference = Calibrator(caution=100.0).fit(P, y)
    assert reference.method_ == "none"
    half = Calibrator(caution=100.0).fit(with_zeros, y)
    assert half.method_ in ("temperature", "curved")
    full = Calibrator(caution=0.0).fit(with_zeros, y)
    assert half.method_ == full.method_
    assert pytest.approx(full.recalibration_.shrunk(0.5).W) == half.recalibration_.W
