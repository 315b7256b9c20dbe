"""Structured recalibration: certified fits, leave-one-out losses, and the rule that leaves alone what is calibrated."""

from __future__ import annotations

import time

import numpy as np
import pytest
import scipy.optimize
from sklearn.base import clone

from softreg import Calibrator
from softreg.models.calibration.maps.map_designs import MatrixDesign, OddsDesign
from softreg.models.calibration.maps.newton_fit import fit_map
from softreg.models.calibration.maps.odds_maps import QuadraticOdds, fit_beta, fit_quadratic
from softreg.models.calibration.maps.structured import (
    FACTORS,
    TEMPERATURE_STRENGTH,
    StructuredMap,
    bounded_logs,
    fit_structured,
    fit_temperature,
    penalty_matrix,
)
from softreg.models.calibration.maps.vector_fit import VectorObjective, fit_vector
from softreg.probability import log_loss, log_softmax, softmax

METHODS = ("temperature", "vector", "matrix", "structured", "curved", "beta", "quadratic", "isotonic")


def draws(seed: int, n: int, q: int, scale: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    o = random.normal(scale=scale, size=(n, q))
    return o, np.minimum((softmax(o).cumsum(axis=1) < random.random((n, 1))).sum(axis=1), q - 1)


def distorted(seed: int, n: int, q: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities that a matrix recalibrates, and labels."""
    o, y = draws(seed, n, q)
    mixing = np.eye(q) * 1.4 + np.random.default_rng(seed).normal(scale=0.15, size=(q, q))
    return np.asarray(softmax(o @ mixing + np.linspace(-0.5, 0.5, q))), y


def objective(theta: np.ndarray, design: MatrixDesign, y: np.ndarray, penalty: np.ndarray) -> tuple[float, np.ndarray]:
    """The mean loss and its gradient, computed apart from the solver."""
    o = np.asarray(log_softmax(design.logits(theta)))
    residual = np.exp(o)
    residual[np.arange(len(y)), y] -= 1
    change = theta - design.center
    value = -o[np.arange(len(y)), y].sum() + change @ penalty @ change / 2
    return value / len(y), (design.gradient(residual) + penalty @ change) / len(y)


@pytest.mark.parametrize("q", [2, 3, 6])
@pytest.mark.parametrize("curved", [False, True])
def test_the_fit_is_the_minimum_that_scipy_finds_and_its_gap_is_a_bound(q: int, curved: bool) -> None:
    P, y = distorted(q, 400, q)
    design, penalty = MatrixDesign(bounded_logs(P), curved), penalty_matrix(q, 0.3, curved)
    fit = fit_map(design, y, design.center, penalty)
    assert scipy.optimize.check_grad(
        lambda t: objective(t, design, y, penalty)[0], lambda t: objective(t, design, y, penalty)[1], fit.theta + 0.1
    ) == pytest.approx(0, abs=1e-5)
    found = scipy.optimize.minimize(
        objective, design.center, (design, y, penalty), jac=True, method="BFGS", options={"gtol": 1e-9, "maxiter": 5000}
    )
    assert fit.value <= found.fun + fit.gap + 1e-12
    assert 0 <= fit.gap < 2e-8
    assert fit.theta == pytest.approx(found.x, abs=2e-3)
    away = fit_map(design, y, design.center, penalty, fit.theta + 0.5)
    assert away.value == pytest.approx(fit.value, abs=4e-8)


def test_the_certificate_holds_before_the_minimum(monkeypatch: pytest.MonkeyPatch) -> None:
    P, y = distorted(1, 400, 3)
    design, penalty = MatrixDesign(bounded_logs(P)), penalty_matrix(3, 1.0, False)
    best = fit_map(design, y, design.center, penalty).value
    seen = []
    for tolerance in (1e-2, 1e-3, 1e-4):
        monkeypatch.setattr("softreg.models.calibration.maps.newton_fit.TOLERANCE", tolerance)
        early = fit_map(design, y, design.center, penalty)
        assert early.value - best <= early.gap
        seen.append(early.gap)
    assert max(seen) > 1e-6  # at least one fit that ended before the minimum


@pytest.mark.parametrize("curved", [False, True])
def test_leave_one_out_losses_are_those_of_fits_without_the_row(curved: bool) -> None:
    P, y = distorted(3, 150, 3)
    penalty = penalty_matrix(3, 1.0, curved)
    design = MatrixDesign(bounded_logs(P), curved)
    losses = fit_map(design, y, design.center, penalty).losses
    inside = objective(fit_map(design, y, design.center, penalty).theta, design, y, 0 * penalty)[0]
    for i in range(0, 150, 15):
        rest = np.arange(150) != i
        part = MatrixDesign(design.L[rest], curved)
        theta = fit_map(part, y[rest], part.center, penalty).theta
        exact = -log_softmax(MatrixDesign(design.L[[i]], curved).logits(theta))[0, y[i]]
        assert losses[i] == pytest.approx(exact, abs=0.02 * (1 + exact))
    assert losses.mean() > inside


def test_temperature_has_the_same_minimum_and_leave_one_out_losses_as_separate_fits() -> None:
    P, y = distorted(4, 200, 4)
    fit = fit_temperature(P, y)
    assert fit.fitted.gap < 2e-8
    for i in (0, 50, 150):
        rest = np.arange(200) != i
        without = fit_temperature(P[rest], y[rest]).fitted.apply(P[[i]])
        assert fit.losses[i] == pytest.approx(-np.log(without[0, y[i]]), rel=2e-3)


def test_many_classes_have_the_minimum_of_a_dense_fit() -> None:
    P, y = distorted(5, 600, 5)
    L = bounded_logs(P)
    scale = float(fit_temperature(P, y).fitted.W[0])
    fit = fit_vector(L, y, 2.0, scale)
    target = VectorObjective(L, y, 2.0, np.stack([np.full(5, scale), np.zeros(5)]))

    def value(theta: np.ndarray) -> float:
        return target.value(theta.reshape(2, 5))[0] / 600

    found = scipy.optimize.minimize(value, target.center.ravel(), method="BFGS", options={"gtol": 1e-7})
    assert abs(fit.value - found.fun) < 1e-7
    assert fit.gap < 1e-6
    for i in (0, 200, 400):
        rest = np.arange(600) != i
        theta = fit_vector(L[rest], y[rest], 2.0, scale).theta.reshape(2, 5)
        exact = -log_softmax(L[i] * theta[0] + theta[1])[y[i]]
        assert fit.losses[i] == pytest.approx(exact, abs=0.02 * (1 + exact))


def test_the_strengths_are_chosen_by_leave_one_out_losses() -> None:
    P, y = distorted(6, 3000, 3)
    fits = {factor: fit_structured(P, y, factor=factor).losses.mean() for factor in FACTORS}
    assert fit_structured(P, y).fitted.factor == min(fits, key=fits.get)
    o, labels = draws(7, 300, 3)
    assert fit_structured(np.asarray(softmax(o)), labels).fitted.factor == max(FACTORS)  # nothing to repair


@pytest.mark.parametrize("seed", range(4))
def test_a_distortion_is_repaired_by_each_flexible_method(seed: int) -> None:
    P, y = distorted(seed, 4000, 4)
    new, labels = distorted(seed, 8000, 4)
    before = log_loss(new[4000:], labels[4000:])
    for method in ("structured", "curved", "auto"):
        assert log_loss(Calibrator(method).fit(P, y).predict_proba(new[4000:]), labels[4000:]) < before - 0.01


@pytest.mark.parametrize("q", [2, 5, 10])
def test_calibrated_probabilities_are_left_alone_or_hardly_changed(q: int) -> None:
    kept, rise = 0, []
    for seed in range(40):
        o, y = draws(seed, 500, q)
        new, labels = draws(1000 + seed, 4000, q)
        fitted = Calibrator().fit(softmax(o), y, classes=range(q))
        kept += fitted.method_ == "none"
        rise.append(log_loss(fitted.predict_proba(softmax(new)), labels) - log_loss(softmax(new), labels))
    assert kept >= 35
    assert max(rise) < 0.005
    assert np.mean(rise) < 3e-4


def test_maps_are_shrunk_by_the_strength_of_the_evidence() -> None:
    P, y = distorted(0, 2000, 3)
    full = fit_structured(P, y, curved=True, start=fit_temperature(P, y).fitted)
    difference = -np.log(P[np.arange(2000), y]) - full.losses
    evidence = difference.mean() / (difference.std(ddof=1) / np.sqrt(2000))
    assert evidence > 3
    fitted = Calibrator(caution=0.5 * evidence).fit(P, y)
    assert fitted.method_ == "curved"
    np.testing.assert_allclose(fitted.recalibration_.W, full.fitted.shrunk(1 - 0.5**5).W)
    assert fitted.recalibration_.b == pytest.approx(full.fitted.b * (1 - 0.5**5))
    assert fitted.recalibration_.c == pytest.approx(full.fitted.c * (1 - 0.5**5))
    assert full.fitted.shrunk(0.0).apply(P) == pytest.approx(P, abs=1e-12)
    assert full.fitted.shrunk(1.0).apply(P) == pytest.approx(full.fitted.apply(P))
    assert Calibrator(caution=1.01 * evidence).fit(P, y).method_ == "none"


def test_beta_and_quadratic_maps_increase() -> None:
    random = np.random.default_rng(0)
    z = random.normal(scale=3, size=3000)
    P = np.asarray(softmax(np.column_stack([0 * z, z])))
    bump = (random.random(3000) < 0.1 + 0.8 * np.exp(-z * z)).astype(int)  # not increasing
    grid = np.asarray(softmax(np.column_stack([np.zeros(99), np.linspace(-12, 12, 99)])))
    for fit in (fit_beta, fit_quadratic):
        assert (np.diff(fit(P, bump).apply(grid)[:, 1]) >= -1e-9).all()
        falling = fit(P, (random.random(3000) < softmax(np.column_stack([z, 0 * z]))[:, 1]).astype(int))
        assert np.ptp(falling.apply(grid)[:, 1]) < 1e-6  # the best map that does not decrease is constant


def test_a_square_is_found_by_the_quadratic_map() -> None:
    random = np.random.default_rng(1)
    z = random.uniform(-2, 2, size=20_000)
    odds = 0.5 + z + 0.2 * z * z
    y = (random.random(20_000) < 1 / (1 + np.exp(-odds))).astype(int)
    fit = fit_quadratic(np.asarray(softmax(np.column_stack([0 * z, z]))), y)
    assert isinstance(fit, QuadraticOdds)
    assert [fit.a, fit.b, fit.c] == pytest.approx([1, 0.2, 0.5], abs=0.06)
    assert fit.gap < 2e-8


def test_beta_is_a_logistic_regression_on_logarithms() -> None:
    P, y = distorted(2, 4000, 2)
    L = bounded_logs(P)
    fit = fit_beta(P, y)
    F = np.column_stack([L[:, 1], -L[:, 0], np.ones(len(L))])
    theta = fit_map(OddsDesign(F), y, np.array([1.0, 1.0, 0.0]), 0.4 * np.eye(3)).theta
    assert [fit.W[1], fit.W[0], fit.b[1]] == pytest.approx(theta, abs=1e-5)
    with pytest.raises(ValueError, match="method='beta' maps the log-odds of two classes, and P has 3 columns"):
        Calibrator("beta").fit(np.full((9, 3), 1 / 3), [0, 1, 2] * 3)


@pytest.mark.parametrize("method", METHODS)
def test_float32_zeros_and_absent_classes(method: str) -> None:
    q = 2 if method in ("beta", "quadratic") else 3
    o, y = draws(8, 400, q)
    P = np.round(np.asarray(softmax(3 * o)), 1)
    P = (P / P.sum(axis=1, keepdims=True)).astype(np.float32)
    assert (P == 0).any()
    fitted = Calibrator(method).fit(P, y)
    after = fitted.predict_proba(P)
    assert after.dtype == np.float64
    assert after.sum(axis=1) == pytest.approx(np.ones(400))
    assert np.isfinite(log_loss(after, y))
    assert clone(fitted).get_params() == fitted.get_params()
    absent = np.column_stack([P * 0.9, np.full(400, 0.1, dtype=np.float32)])
    if q == 3:
        assert np.isfinite(Calibrator(method).fit(absent, y, classes=range(4)).predict_proba(absent)).all()


def test_extreme_log_probabilities_do_not_decide_the_fit() -> None:
    o, y = draws(9, 800, 3)
    P = np.asarray(softmax(o))
    P[:20] = np.array([1 - 1e-300, 1e-300, 1e-320])
    y[:20] = 0
    fitted = Calibrator("structured").fit(P, y)
    assert fitted.recalibration_.gap < 2e-8
    assert log_loss(fitted.predict_proba(P[20:]), y[20:]) < log_loss(P[20:], y[20:]) + 0.05


def test_the_zeros_share_no_more_than_their_classes_occur() -> None:
    P = np.tile([[1.0, 0.0]], (200, 1))
    P[:100] = [0.5, 0.5]
    y = np.array([0, 1] * 50 + [0] * 100)
    assert Calibrator("none").fit(P, y).floor_ == pytest.approx(0.5 / 101)
    y[100:150] = 1
    assert Calibrator("none").fit(P, y).floor_ == 0.25


@pytest.mark.slow
@pytest.mark.timing
def test_a_thousand_classes_take_seconds() -> None:
    o, y = draws(10, 5000, 1000, scale=3.0)
    P = np.asarray(softmax(1.5 * o + np.random.default_rng(0).normal(scale=0.3, size=1000)))
    start = time.process_time()
    fitted = Calibrator().fit(P, y, classes=range(1000))
    assert time.process_time() - start < 60
    assert fitted.method_ == "structured"
    assert isinstance(fitted.recalibration_, StructuredMap)
    assert fitted.recalibration_.gap < 1e-6
    new, labels = draws(11, 2000, 1000, scale=3.0)
    Q = np.asarray(softmax(1.5 * new + np.random.default_rng(0).normal(scale=0.3, size=1000)))
    assert log_loss(fitted.predict_proba(Q), labels) < log_loss(Q, labels) - 0.2


def test_the_strength_of_the_temperature_is_that_of_one_row() -> None:
    matrix = penalty_matrix(3, 1.0, False)
    change = MatrixDesign(np.zeros((1, 3))).center * 0.5  # all scales by 0.5
    assert change @ matrix @ change == pytest.approx(TEMPERATURE_STRENGTH * 0.25)
