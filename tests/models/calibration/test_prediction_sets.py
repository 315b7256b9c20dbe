"""Prediction sets: the promise is kept over splits, and each way to make them does what it says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.datasets import load_digits

from softreg import PredictionSets, SoftmaxRegression
from softreg.models import coverage
from softreg.probability import softmax


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities of 1,200 digits by a strong and by a weak model of the others, and their labels."""
    X, y = load_digits(return_X_y=True)
    train, rest = np.arange(600), np.arange(600, len(y))
    strong = SoftmaxRegression(strength=1e-3).fit(X[train] / 16, y[train])
    weak = SoftmaxRegression(strength=1e-3).fit(X[train][:, 20:36] / 16, y[train])
    return strong.predict_proba(X[rest] / 16), weak.predict_proba(X[rest][:, 20:36] / 16), y[rest]


def covered(P: np.ndarray, y: np.ndarray, splits: int = 200, **options: object) -> tuple[float, float, float]:
    """Mean coverage, mean size and the share of empty sets over random halves."""
    found = []
    for seed in range(splits):
        order = np.random.default_rng(seed).permutation(len(y))
        held, new = order[: len(y) // 2], order[len(y) // 2 :]
        sets = PredictionSets(0.9, seed=seed, **options).fit(P[held], y[held]).predict(P[new])
        found.append((coverage(sets, y[new]), sets.sum(axis=1).mean(), (~sets.any(axis=1)).mean()))
    return tuple(float(x) for x in np.mean(found, axis=0))


@pytest.mark.parametrize("score", ["probability", "cumulative"])
def test_coverage_over_200_splits_of_digits(digits: tuple, score: str) -> None:
    strong, weak, y = digits
    held, size, bare = covered(strong, y, conformity_score=score, empty=True)
    assert 0.89 <= held <= 0.91
    assert bare > 0  # it is right more often than in 90%: that is how the promise is kept exactly
    held, size, bare = covered(weak, y, conformity_score=score)
    assert 0.89 <= held <= 0.915
    assert bare == 0
    assert size > 1


def test_sets_that_may_not_be_empty_cover_as_often_as_the_model_is_right(digits: tuple) -> None:
    strong, _, y = digits
    held, size, bare = covered(strong, y, splits=20)
    assert bare == 0
    assert held == pytest.approx(np.mean(strong.argmax(axis=1) == y), abs=0.01)
    assert size == pytest.approx(1.0, abs=0.01)


def test_the_smaller_score_gives_the_smaller_sets_and_the_other_the_evener_ones(digits: tuple) -> None:
    _, weak, y = digits
    assert covered(weak, y, splits=20)[1] < covered(weak, y, splits=20, conformity_score="cumulative")[1]


def test_every_class_keeps_its_own_promise(digits: tuple) -> None:
    _, weak, y = digits
    hits = np.zeros((2, 10))
    for seed in range(200):
        order = np.random.default_rng(seed).permutation(len(y))
        held, new = order[:600], order[600:]
        for j, own in enumerate((True, False)):
            sets = PredictionSets(0.9, per_class=own, empty=True).fit(weak[held], y[held]).predict(weak[new])
            hits[j] += [coverage(sets[y[new] == k], y[new][y[new] == k]) / 200 for k in range(10)]
    assert (np.abs(hits[0] - 0.905) < 0.015).all()  # some 60 rows a class: 0.9 to 0.9 + 1 / 61
    assert hits[1].min() < 0.86


def test_the_threshold_by_hand() -> None:
    P = np.column_stack([np.arange(1, 10) / 10, 1 - np.arange(1, 10) / 10])
    sets = PredictionSets(0.8).fit(P, [0] * 9, classes=[0, 1])  # the 8th smallest of -0.9 .. -0.1
    assert sets.thresholds_.tolist() == [-0.2, -0.2]
    assert PredictionSets(0.9).fit(P, [0] * 9, classes=[0, 1]).thresholds_[0] == -0.1  # 10 * 0.9 is the 9th, not more
    none = PredictionSets(0.95).fit(P, [0] * 9, classes=[0, 1])
    assert none.thresholds_.tolist() == [math.inf, math.inf]
    assert none.predict([[1.0, 0.0]]).all()


def test_a_class_without_rows_is_in_every_set() -> None:
    P = softmax(np.random.default_rng(0).normal(size=(60, 3)))
    sets = PredictionSets(0.9, per_class=True).fit(P, [0, 1] * 30, classes=range(3))
    assert sets.n_rows_.tolist() == [30, 30, 0]
    assert sets.predict(P)[:, 2].all()


def test_labels_come_in_the_order_of_their_probability() -> None:
    P = np.array([[0.5, 0.3, 0.2]] * 20)
    sets = PredictionSets(0.9).fit(P, ["c", "b", "c", "b"] * 5, classes=["c", "b", "a"])
    assert sets.predict_labels([[0.35, 0.6, 0.05]]) == [("b", "c")]


def test_cumulative_scores_do_not_depend_on_the_order_of_classes() -> None:
    P = softmax(np.random.default_rng(1).normal(size=(100, 4)))
    y = np.random.default_rng(2).integers(4, size=100)
    turned = [3, 1, 0, 2]
    one = PredictionSets(0.8, conformity_score="cumulative").fit(P, y).predict(P)
    other = (
        PredictionSets(0.8, conformity_score="cumulative")
        .fit(P[:, turned], np.argsort(turned)[y])
        .predict(P[:, turned])
    )
    assert np.array_equal(one[:, turned], other)


@pytest.mark.parametrize(
    ("options", "y", "message"),
    [({"level": 1.0}, [0, 1], "level=1.0"),
     ({"conformity_score": "aps"}, [0, 1], "conformity_score='aps' is not one of probability"),
     ({}, [0], "P has 2 rows and y has 1 labels")],
)  # fmt: skip
def test_what_does_not_fit_is_named(options: dict, y: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PredictionSets(**options).fit([[0.5, 0.5], [0.2, 0.8]], y, classes=[0, 1])
    with pytest.raises(ValueError, match="3 columns, but was fitted with 2"):
        PredictionSets().fit([[0.5, 0.5]] * 20, [0, 1] * 10).predict([[0.5, 0.25, 0.25]])
