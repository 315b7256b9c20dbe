"""Rows of the list of faults: recalibration, prediction sets, and which class a column stands for."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from softreg import Calibrator, PredictionSets, label_audit
from softreg.models import coverage
from softreg.probability import log_loss, softmax
from softreg.report import audit

from .helpers import labels_of

Draw = Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]]
FLOATS = (np.float16, np.float32, np.float64)


def tied(r: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Five rows, many times over: ties between rows and within them."""
    kinds = np.array([[0.3, 0.3, 0.4], [0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.6, 0.3, 0.1], [1 / 3, 1 / 3, 1 / 3]])
    P = kinds[r.integers(5, size=n)]
    return P, labels_of(P, r)


def steps(r: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Nineteen probabilities of two classes, and a third class of probability 0."""
    p = np.linspace(0.05, 0.95, 19)[r.integers(19, size=n)]
    P = np.column_stack([p, 1 - p, np.zeros(n)])
    return P, labels_of(P, r)


def smooth(r: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows that all differ."""
    P = softmax(2 * r.normal(size=(n, 3)))
    return P, labels_of(P, r)


def covered(draw: Draw, fitted: type, asked: type, score: str, splits: int = 40) -> float:
    """Mean coverage of sets of level 0.8, fitted in one precision and asked in another."""
    found = []
    for seed in range(splits):
        P, y = draw(np.random.default_rng(seed), 600)
        sets = PredictionSets(0.8, conformity_score=score, empty=True, seed=seed)
        sets.fit(P[:300].astype(fitted), y[:300], classes=range(3))
        found.append(coverage(sets.predict(P[300:].astype(asked)), y[300:]))
    return float(np.mean(found))


@pytest.mark.parametrize("score", ["probability", "cumulative"])
@pytest.mark.parametrize("draw", [tied, steps, smooth])
def test_fault_a3_coverage_holds_between_precisions(draw: Draw, score: str) -> None:
    found = {(a.__name__, b.__name__): covered(draw, a, b, score) for a, b in itertools.product(FLOATS, FLOATS)}
    assert min(found.values()) > 0.785, found  # 0.8, and three standard errors of 40 splits
    assert max(found.values()) - min(found.values()) < 0.01, found
    if draw is smooth:
        assert max(found.values()) < 0.82, found


def test_fault_a3_a_tie_is_inside_in_any_precision_and_as_lists() -> None:
    P = np.array([[0.3, 0.7], [0.7, 0.3]] * 10)
    for fitted, asked in itertools.product(FLOATS, FLOATS):
        sets = PredictionSets(0.9, empty=True).fit(P.astype(fitted), [0, 0] * 10, classes=[0, 1])
        assert sets.predict(P.astype(asked)).all(), (fitted, asked)
        assert sets.predict(P.astype(asked).astype(np.float64)).all(), (fitted, asked)
        assert sets.predict(P.astype(asked).tolist()).all(), (fitted, asked)


def test_fault_a3_logits_in_float32_and_float64_give_the_same_sets() -> None:
    r = np.random.default_rng(0)
    o = r.normal(size=(7, 4))[r.integers(7, size=900)]
    single, double = softmax(o.astype(np.float32)), softmax(o)
    y = labels_of(double, r)
    for score in ("probability", "cumulative"):
        sets = PredictionSets(0.8, conformity_score=score).fit(single[:500], y[:500], classes=range(4))
        assert np.array_equal(sets.predict(single[500:]), sets.predict(double[500:]))


def test_fault_a4_only_zeros_get_a_floor() -> None:
    fitted = Calibrator("temperature").fit([[0.5, 0.5]] * 10, [0, 1] * 5)
    assert fitted.predict_proba([[0.999, 0.001]]) == pytest.approx(np.array([[0.999, 0.001]]))
    assert fitted.predict_proba([[1 - 1e-9, 1e-9]])[0, 1] == pytest.approx(1e-9, rel=1e-6)


@pytest.mark.parametrize("method", ["none", "temperature", "vector", "matrix", "isotonic"])
def test_fault_a24_zeros_never_cost_an_infinite_loss(method: str) -> None:
    r = np.random.default_rng(0)
    P = softmax(r.normal(size=(600, 3))).round(1)
    P[:, 0] += 1 - P.sum(axis=1)
    P = np.abs(P)
    y = labels_of(P, r)
    fitted = Calibrator(method).fit(P, y)
    again = fitted.predict_proba([[1.0, 0.0, 0.0], [0.0, 0.5, 0.5], [0.25, 0.25, 0.5]])
    assert (again > 0).all()
    assert np.isfinite(log_loss(again, [1, 0, 2]))
    assert again.sum(axis=1) == pytest.approx(np.ones(3))
    if method == "none":
        assert again[2].tolist() == [0.25, 0.25, 0.5]  # nothing is 0 there, so nothing changes
        assert again[0, 0] > 0.9


def test_fault_a24_zeros_do_not_take_the_mass_of_a_row_of_many_classes() -> None:
    votes = np.random.default_rng(0).multinomial(20, np.full(400, 1 / 400), size=500) / 20
    fitted = Calibrator("none").fit(votes, votes.argmax(axis=1), classes=range(400))
    assert fitted.predict_proba(np.eye(400)[:2]).max(axis=1).min() > 0.95


def fits(P: np.ndarray, y: object) -> list[Callable[[], object]]:
    return [
        lambda: Calibrator("temperature").fit(P, y).classes_,
        lambda: PredictionSets().fit(P, y).classes_,
        lambda: label_audit(P, y).classes,
    ]


@pytest.mark.parametrize("y", [[1, 2, 3], [0, 1, 3], [0, 1, 2], ["b", "c", "d"], [-1, 0, 1], [False, True, False]])
def test_fault_a5_classes_are_asked_for_where_one_never_occurs(y: list) -> None:
    P = softmax(np.random.default_rng(0).normal(size=(30, 4)))
    for fit in fits(P, y * 10):
        with pytest.raises(ValueError, match=r"P has 4 columns and there are \d classes in y.*classes=\[\.\.\.\]"):
            fit()


def test_fault_a5_where_all_occur_it_is_certain() -> None:
    P = softmax(np.random.default_rng(0).normal(size=(40, 4)))
    for fit in fits(P, [1, 2, 3, 4] * 10):
        assert fit().tolist() == [1, 2, 3, 4]  # type: ignore[attr-defined]


def test_fault_a5_named_classes_give_the_right_columns() -> None:
    r = np.random.default_rng(0)
    P = softmax(np.column_stack([r.normal(size=(500, 3)) * 2, np.full(500, -40.0)]))
    y = labels_of(P, r) + 1
    found = Calibrator("temperature").fit(P, y, classes=[1, 2, 3, 4])
    assert found.trials_[0].log_loss == pytest.approx(log_loss(P, y - 1))
    assert log_loss(P, y - 1) < 0.8 < log_loss(P, y)


def test_fault_a5_audit_takes_labels_or_codes_and_asks_where_both_are_possible() -> None:
    r = np.random.default_rng(0)
    P = softmax(r.normal(size=(50, 4)))
    codes = r.integers(4, size=50)
    by_code = audit(P, codes, ["a", "b", "c", "d"]).log_loss
    assert audit(P, np.array(list("abcd"))[codes], ["a", "b", "c", "d"]).log_loss == by_code
    assert audit(P, codes + 1, [1, 2, 3, 4]).log_loss == by_code  # a 4 is no code
    assert audit(P, codes, [1, 2, 3, 4]).log_loss == by_code  # a 0 is no label
    assert audit(P, codes, range(4)).log_loss == by_code
    with pytest.raises(ValueError, match="both labels of the classes 1, 2, 3, 4 and codes 0 to 3"):
        audit(P[:3], [1, 2, 3], [1, 2, 3, 4])


def test_fault_a5_coverage_refuses_what_is_no_code() -> None:
    with pytest.raises(ValueError, match="the code -1"):
        coverage(np.ones((2, 2), dtype=bool), [-1, 0])


@pytest.mark.parametrize("dtype", FLOATS)
def test_fault_a17_sets_do_not_depend_on_the_other_rows(dtype: type) -> None:
    r = np.random.default_rng(0)
    P, y = smooth(r, 900)
    for seed in range(5):
        sets = PredictionSets(0.9, conformity_score="cumulative", empty=True, seed=seed).fit(P[:450], y[:450])
        new = P[450:].astype(dtype)
        whole = sets.predict(new)
        turned = r.permutation(450)
        assert np.array_equal(sets.predict(new[turned]), whole[turned])
        for size in (1, 7, 100):
            parts = [sets.predict(new[k : k + size]) for k in range(0, 450, size)]
            assert np.array_equal(np.vstack(parts), whole)


def test_fault_a17_coverage_row_by_row_does_not_hang_on_the_seed() -> None:
    P, y = smooth(np.random.default_rng(1), 8000)
    found = []
    for seed in range(20):
        sets = PredictionSets(0.9, conformity_score="cumulative", empty=True, seed=seed).fit(P[:4000], y[:4000])
        found.append(coverage(sets.predict(P[4000:]), y[4000:]))
    assert 0.875 < min(found) <= max(found) < 0.925  # three standard errors of 4,000 and 4,000 rows
    assert np.mean(found) == pytest.approx(0.9, abs=0.015)
