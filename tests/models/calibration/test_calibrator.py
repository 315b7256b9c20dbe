"""Repairs: what is broken is mended, what is whole is left alone, and class rates may change."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier

from softreg import Calibrator
from softreg.probability import estimate_rates, log_loss, shift_rates, softmax


def draws(seed: int, n: int, q: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    o = random.normal(scale=1.5, size=(n, q))
    codes = (softmax(o).cumsum(axis=1) < random.random((n, 1))).sum(axis=1)
    return o, np.minimum(codes, q - 1)


@pytest.mark.parametrize("q", [2, 10])
def test_doubled_logits_are_repaired_and_calibrated_ones_left_alone(q: int) -> None:
    o, y = draws(0, 6000, q)
    new, labels = draws(1, 20_000, q)
    calibrated = log_loss(softmax(new), labels)
    for method in ("auto", "temperature", "vector"):
        mended = Calibrator(method).fit(softmax(2 * o), y).predict_proba(softmax(2 * new))
        assert abs(log_loss(mended, labels) - calibrated) < 0.002
    whole = Calibrator().fit(softmax(o), y)
    assert log_loss(whole.predict_proba(softmax(new)), labels) <= calibrated + 0.001


def test_calibrated_predictions_never_get_worse_by_more_than_a_thousandth() -> None:
    for seed in range(40):
        o, y = draws(seed, 1000, 5)
        new, labels = draws(1000 + seed, 5000, 5)
        P = Calibrator().fit(softmax(o), y, classes=range(5)).predict_proba(softmax(new))
        assert log_loss(P, labels) <= log_loss(softmax(new), labels) + 0.001


def test_a_bias_and_a_mixture_are_found_by_structured_scaling() -> None:
    o, y = draws(2, 8000, 3)
    biased = softmax(o + np.array([1.0, 0, -1]))
    for method in ("structured", "vector"):
        fitted = Calibrator(method).fit(biased, y).recalibration_
        bias, scale = (
            (fitted.b, np.diag(fitted.W)) if method == "structured" else (fitted.scaling.bias, fitted.scaling.scale)
        )
        assert bias @ [1, 0, -1] == pytest.approx(-2, abs=0.15)
        assert scale == pytest.approx(np.ones(3), abs=0.1)
    assert Calibrator().fit(biased, y).method_ == "curved"
    mixed = Calibrator().fit(softmax(o @ np.array([[1, 0.5, 0], [0, 1, 0], [0.5, 0, 1]])), y)
    assert mixed.method_ == "curved"
    assert np.abs(mixed.recalibration_.W - np.diag(np.diag(mixed.recalibration_.W))).max() > 0.2
    assert [trial.name for trial in mixed.trials_][:3] == ["none", "temperature", "curved"]


def test_a_bend_needs_steps() -> None:
    random = np.random.default_rng(3)
    p = random.random(20_000)
    y = (random.random(20_000) < np.where(p < 0.5, 0.1, 0.9)).astype(int)  # a step, which no scaling can make
    fitted = Calibrator().fit(np.column_stack([1 - p, p]), y)
    assert fitted.method_ == "isotonic"
    mended = fitted.predict_proba([[0.8, 0.2], [0.2, 0.8]])
    assert mended[:, 1] == pytest.approx([0.1, 0.9], abs=0.02)


@pytest.mark.parametrize("method", ["none", "temperature", "vector", "matrix", "isotonic"])
def test_every_repair_gives_distributions_in_the_same_order_of_classes(method: str) -> None:
    o, y = draws(4, 600, 3)
    fitted = Calibrator(method).fit(softmax(o), y)
    P = fitted.predict_proba(softmax(o))
    assert P.shape == (600, 3)
    assert P.sum(axis=1) == pytest.approx(np.ones(600))
    assert (P >= 0).all()
    assert log_loss(P, y) < 1.05
    assert fitted.method_ == method


def test_zeros_of_a_forest_no_longer_cost_everything() -> None:
    o, y = draws(5, 1500, 3)
    forest = RandomForestClassifier(20, random_state=0).fit(o[:500], y[:500])
    P = forest.predict_proba(o)
    fitted = Calibrator().fit(P[500:1000], y[500:1000])
    assert log_loss(P[1000:], y[1000:]) == np.inf
    assert log_loss(fitted.predict_proba(P[1000:]), y[1000:]) < 1.1
    assert np.isfinite(fitted.trials_[0].log_loss)
    assert fitted.floor_ == 0.025  # half a vote of 20


def test_new_class_rates_given_or_estimated() -> None:
    o, y = draws(6, 30_000, 3)
    random = np.random.default_rng(0)
    before, after = np.array([0.6, 0.3, 0.1]), np.array([0.2, 0.3, 0.5])
    keep = {name: random.random(len(y)) < (rates / rates.max())[y] for name, rates in (("b", before), ("a", after))}
    P = softmax(o + np.log(before))  # what calibrated probabilities are among the rows kept at the rates `before`
    fitted = Calibrator().fit(P[keep["b"]], y[keep["b"]])
    new, labels = P[keep["a"]], y[keep["a"]]
    best = log_loss(softmax(o + np.log(after))[keep["a"]], labels)
    assert fitted.class_rates_ == pytest.approx(before, abs=0.02)
    assert log_loss(fitted.predict_proba(new), labels) > best + 0.1
    assert log_loss(fitted.predict_proba(new, class_rates=after), labels) == pytest.approx(best, abs=0.002)
    assert log_loss(fitted.predict_proba(new, class_rates="estimate"), labels) == pytest.approx(best, abs=0.002)


def test_estimated_rates_maximise_their_likelihood() -> None:
    before = np.array([0.5, 0.3, 0.2])
    P = softmax(3 * np.random.default_rng(1).normal(size=(300, 3)))
    rates = estimate_rates(P, before)

    def value(r: np.ndarray) -> float:
        return float(np.log((P * (r / before)).sum(axis=1)).mean())

    for i, j in ((0, 1), (1, 2), (2, 0)):
        moved = rates.copy()
        moved[i], moved[j] = moved[i] - 1e-3, moved[j] + 1e-3
        assert value(moved) < value(rates)


def test_shifting_there_and_back_changes_nothing() -> None:
    P = np.random.default_rng(2).dirichlet(np.ones(4), size=50)
    a, b = np.array([0.1, 0.2, 0.3, 0.4]), np.full(4, 0.25)
    assert shift_rates(shift_rates(P, a, b), b, a) == pytest.approx(P)
    assert shift_rates([[0.2, 0.8]], [0.2, 0.8], [0.5, 0.5]).tolist() == [[0.5, 0.5]]
    with pytest.raises(ValueError, match="row 0 of P gives all its mass"):
        shift_rates([[1.0, 0.0]], [0.5, 0.5], [0.0, 1.0])
    with pytest.raises(ValueError, match="class 1 had the rate 0"):
        shift_rates([[0.5, 0.5]], [1.0, 0.0], [0.5, 0.5])


def test_labels_of_any_kind_and_parameters_are_kept() -> None:
    o, y = draws(7, 300, 2)
    names = np.array(["yes", "no"])
    fitted = Calibrator("vector").fit(softmax(2 * o), names[y], classes=names)
    assert fitted.classes_.tolist() == ["yes", "no"]
    same = Calibrator("vector").fit(softmax(2 * o), y)
    assert fitted.predict_proba(softmax(o)) == pytest.approx(same.predict_proba(softmax(o)))
    assert clone(fitted).get_params() == fitted.get_params()


@pytest.mark.parametrize(
    ("options", "P", "y", "message"),
    [
        ({"method": "platt"}, [[0.5, 0.5]] * 9, [0, 1, 0] * 3, "method='platt' is not one of auto, none"),
        ({"folds": 1}, [[0.5, 0.5]] * 9, [0, 1, 0] * 3, "folds=1 must be an integer >= 2"),
        ({"caution": -1.0}, [[0.5, 0.5]] * 9, [0, 1, 0] * 3, "caution=-1.0"),
        ({}, [[0.5, 0.6]] * 9, [0, 1, 0] * 3, "row 0"),
        ({}, [[0.5, 0.5]] * 9, [0, 1, 2] * 3, "P has 2 columns and there are 3 classes"),
        ({}, [[0.5, 0.5]] * 3, [0, 1, 0], "at least 5"),
        ({}, [[0.5, 0.5]] * 9, [0, 1], "P has 9 rows and y has 2 labels"),
    ],
)
def test_what_does_not_fit_is_named(options: dict, P: list, y: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Calibrator(**options).fit(P, y)


def test_other_columns_or_rates_are_named() -> None:
    fitted = Calibrator("none").fit([[0.5, 0.5]] * 10, [0, 1] * 5)
    with pytest.raises(ValueError, match="P has 3 columns, but was fitted with 2 classes"):
        fitted.predict_proba([[0.5, 0.25, 0.25]])
    with pytest.raises(ValueError, match="class_rates='guess'"):
        fitted.predict_proba([[0.5, 0.5]], class_rates="guess")
