"""Sample weights of a calibrator: weighted minima, leave-one-out losses, rates, and rows of weight 0."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.optimize

from softreg import Calibrator
from softreg.models.calibration.calibrator import mass_of_zeros, mean_loss_reduction
from softreg.models.calibration.maps.isotonic import fit_isotonic
from softreg.models.calibration.maps.structured import fit_structured, fit_temperature, penalty_matrix
from softreg.models.calibration.maps.structured_map import bounded_logs, curve
from softreg.models.calibration.maps.vector_fit import fit_vector
from softreg.probability import log_softmax, softmax

METHODS = ("none", "temperature", "vector", "matrix", "structured", "curved", "beta", "quadratic", "isotonic", "auto")


def sample(seed: int, n: int, q: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    o = random.normal(scale=1.5, size=(n, q))
    y = np.minimum((softmax(o).cumsum(axis=1) < random.random((n, 1))).sum(axis=1), q - 1)
    weights = random.exponential(size=n)
    return np.asarray(softmax(1.7 * o + np.linspace(-0.5, 0.5, q))), y, weights / weights.mean()


@pytest.mark.parametrize("q", [2, 3])
@pytest.mark.parametrize("curved", [False, True])
def test_the_minimum_is_that_of_the_weighted_objective(q: int, curved: bool) -> None:
    P, y, weights = sample(q, 400, q)
    fit = fit_structured(P, y, curved=curved, factor=0.3, weights=weights).fitted
    L, penalty = bounded_logs(P), penalty_matrix(q, 0.3, curved)
    center = np.append(np.eye(q, q + 1).ravel(), np.zeros(int(curved)))

    def value(theta: np.ndarray) -> float:
        W, b = theta[: q * (q + 1)].reshape(q, q + 1)[:, :q], theta[: q * (q + 1)].reshape(q, q + 1)[:, q]
        o = log_softmax(L @ W.T + b + (theta[-1] * curve(L) if curved else 0.0))
        return float(-(weights * o[np.arange(400), y]).sum() + (theta - center) @ penalty @ (theta - center) / 2) / 400

    theta = np.append(np.column_stack([fit.W, fit.b]).ravel(), np.full(int(curved), fit.c))
    best = scipy.optimize.minimize(value, center, method="BFGS", options={"gtol": 1e-8})
    assert value(theta) == pytest.approx(best.fun, abs=1e-7)
    assert value(theta) <= best.fun + fit.gap + 1e-10


@pytest.mark.parametrize("q", [2, 4])
def test_leave_one_out_losses_are_those_of_weighted_fits_without_the_row(q: int) -> None:
    P, y, weights = sample(10 + q, 150, q)
    L = bounded_logs(P)
    scale = float(fit_temperature(P, y, weights).fitted.W[0])
    curved = fit_structured(P, y, curved=True, factor=1.0, weights=weights).losses
    heat = fit_temperature(P, y, weights).losses
    many = fit_vector(L, y, 4.0, scale, weights).losses
    for i in range(0, 150, 25):
        rest = np.arange(150) != i
        part = (P[rest], y[rest])
        without = fit_structured(*part, curved=True, factor=1.0, weights=weights[rest]).fitted.apply(P[[i]])
        assert curved[i] == pytest.approx(-np.log(without[0, y[i]]), rel=0.05, abs=0.005)
        without = fit_temperature(*part, weights[rest]).fitted.apply(P[[i]])
        assert heat[i] == pytest.approx(-np.log(without[0, y[i]]), rel=5e-3)
        theta = fit_vector(L[rest], y[rest], 4.0, scale, weights[rest]).theta.reshape(2, q)
        assert many[i] == pytest.approx(-log_softmax(L[i] * theta[0] + theta[1])[y[i]], rel=0.05, abs=0.005)


@pytest.mark.parametrize("method", METHODS)
def test_equal_weights_change_nothing_and_rows_of_weight_0_are_left_out(method: str) -> None:
    q = 2 if method in ("beta", "quadratic") else 3
    P, y, _ = sample(20, 600, q)
    plain = Calibrator(method).fit(P, y).predict_proba(P)
    same = Calibrator(method).fit(P, y, sample_weight=np.full(600, 7e9)).predict_proba(P)
    assert same == pytest.approx(plain, abs=1e-6)
    some = np.arange(600) < 400
    part = Calibrator(method).fit(P[some], y[some], classes=range(q)).predict_proba(P)
    zero = Calibrator(method).fit(P, y, classes=range(q), sample_weight=some.astype(float)).predict_proba(P)
    assert zero == pytest.approx(part, abs=1e-6)


@pytest.mark.parametrize("method", METHODS[1:])
def test_weights_of_many_rows_are_repeated_rows(method: str) -> None:
    q = 2 if method in ("beta", "quadratic") else 3
    P, y, _ = sample(21, 6000, q)
    count = np.random.default_rng(0).integers(1, 4, size=6000)
    weighted = Calibrator(method, caution=0.0).fit(P, y, sample_weight=count)
    repeated = Calibrator(method, caution=0.0).fit(np.repeat(P, count, axis=0), np.repeat(y, count))
    assert weighted.class_rates_ == pytest.approx(repeated.class_rates_)
    tolerance = 0.01 if method == "isotonic" else 0.006  # the penalties are those of half as many rows
    assert weighted.predict_proba(P[:500]) == pytest.approx(repeated.predict_proba(P[:500]), abs=tolerance)


def test_weighted_isotonic_steps_are_those_of_scikit_learn() -> None:
    from sklearn.isotonic import IsotonicRegression

    P, y, weights = sample(22, 500, 2)
    P = np.round(P, 2)
    fit = fit_isotonic(P, y, weights)
    for k in range(2):
        peer = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(P[:, k], y == k, sample_weight=weights)
        grid = np.linspace(0, 1, 301)
        ours = np.interp(grid, fit.steps[k].knots, fit.steps[k].values)
        assert ours == pytest.approx(peer.predict(grid), abs=1e-9)


def test_the_weighted_mean_has_the_standard_error_of_its_terms() -> None:
    best, losses = np.random.default_rng(1).normal(size=(2, 50))
    assert mean_loss_reduction(best, losses, np.ones(50)) == pytest.approx(mean_loss_reduction(best, losses))
    weights = np.random.default_rng(2).exponential(size=50)
    weights /= weights.mean()
    mean, error = mean_loss_reduction(best, losses, weights)
    difference = best - losses
    assert mean == pytest.approx(np.average(difference, weights=weights))
    terms = weights * (difference - mean)
    assert error == pytest.approx(np.sqrt((terms**2).sum() / 50 / 49))


def test_the_rate_of_zeros_counts_weights() -> None:
    P, y = np.tile([[1.0, 0.0]], (200, 1)), np.array([0, 1] * 100)
    P[:100] = [0.5, 0.5]
    weights = np.where(y == 1, 0.001, 1.999)
    rate = (50 * 0.001 + 0.5) / (100 + 1)
    assert mass_of_zeros(P, y, weights) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0] * 9, "expected"),
        ([-1.0] + [1.0] * 9, "row 0"),
        ([np.nan] + [1.0] * 9, "row 0"),
        ([0.0] * 10, "zero"),
        ([0.0] * 6 + [1.0] * 4, "4 rows have a sample weight above 0; at least 5"),
        (["a"] * 10, "weight"),
    ],
)
def test_impossible_weights_are_named(weights: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Calibrator().fit([[0.5, 0.5]] * 10, [0, 1] * 5, sample_weight=weights)
