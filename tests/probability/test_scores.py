"""Log loss, Brier score, accuracy, top-k accuracy: by hand, weighted, soft, and against scikit-learn."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from softreg.probability import (
    accuracy,
    brier,
    entropy,
    kl_divergence,
    log_loss,
    most_likely,
    negative_log_likelihood,
    one_hot,
    softmax,
    top_k_accuracy,
)


def top_2(P: Any, y: Any, sample_weight: Any = None) -> float:
    return top_k_accuracy(P, y, min(2, np.shape(P)[-1]), sample_weight)


SCORES = (log_loss, brier, accuracy, top_2)


@pytest.fixture(autouse=True)
def _no_warnings() -> Any:
    with warnings.catch_warnings(), np.errstate(all="warn", under="ignore"):
        warnings.simplefilter("error")
        yield


@st.composite
def predictions(draw: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities (n, q), codes (n,) and whole-number weights (n,), not all 0."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, q = draw(st.integers(1, 12)), draw(st.integers(1, 5))
    w = rng.integers(0, 4, size=n)
    w[0] += 1
    return softmax(rng.normal(size=(n, q)) * 2), rng.integers(q, size=n), w


# Identities


@given(predictions())
@pytest.mark.parametrize("score", SCORES)
def test_a_weight_is_a_row_repeated(score: Any, case: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    P, y, w = case
    Y = one_hot(y, n_classes=P.shape[1]) * 0.8 + 0.2 / P.shape[1]
    for labels in (y, Y):
        repeated = score(np.repeat(P, w, axis=0), np.repeat(labels, w, axis=0))
        assert score(P, labels, sample_weight=w) == pytest.approx(repeated, rel=1e-12)
        assert score(P, labels, sample_weight=w / 7) == pytest.approx(repeated, rel=1e-12)
        assert score(P, labels, sample_weight=np.ones(len(y))) == pytest.approx(score(P, labels), rel=1e-12)


@given(predictions())
@pytest.mark.parametrize("score", SCORES)
def test_codes_are_one_hot_rows(score: Any, case: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    P, y, w = case
    assert score(P, y, w) == pytest.approx(score(P, one_hot(y, n_classes=P.shape[1]), w), rel=1e-12)


@given(predictions())
def test_the_scores_against_each_other(case: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    P, y, _ = case
    assert log_loss(P, y) == pytest.approx(negative_log_likelihood(P, y) / len(y), rel=1e-12)
    assert log_loss(P, y, unit="bit") == pytest.approx(log_loss(P, y) / np.log(2), rel=1e-12)
    assert 0 <= brier(P, y) <= 2
    assert top_k_accuracy(P, y, 1) == accuracy(P, y) == pytest.approx(np.mean(most_likely(P) == y))
    shares = [top_k_accuracy(P, y, k) for k in range(1, P.shape[1] + 1)]
    assert shares == sorted(shares)
    assert shares[-1] == 1


@given(predictions())
def test_log_loss_and_brier_are_least_for_the_truth(case: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    P, y, _ = case
    truth = softmax(one_hot(y, n_classes=P.shape[1]))
    assert log_loss(truth, truth) == pytest.approx(entropy(truth).mean())
    extra = kl_divergence(truth, P).mean()
    assert log_loss(P, truth) - log_loss(truth, truth) == pytest.approx(extra, rel=1e-9, abs=1e-12)
    assert brier(truth, truth) == 0 <= brier(P, truth)


def test_as_scikit_learn_has_them() -> None:
    rng = np.random.default_rng(5)
    P, y, w = softmax(rng.normal(size=(200, 4))), rng.integers(4, size=200), rng.uniform(0, 3, size=200)
    their = sklearn.metrics
    assert log_loss(P, y, w) == pytest.approx(their.log_loss(y, P, sample_weight=w), rel=1e-12)
    assert accuracy(P, y, w) == pytest.approx(their.accuracy_score(y, P.argmax(axis=1), sample_weight=w))
    assert top_k_accuracy(P, y, 2, w) == pytest.approx(their.top_k_accuracy_score(y, P, k=2, sample_weight=w))
    binary, z = softmax(rng.normal(size=(200, 2))), rng.integers(2, size=200)
    half = their.brier_score_loss(z, binary[:, 1])  # scikit-learn scales two classes to 0..1
    assert brier(binary, z) == pytest.approx(2 * half, rel=1e-12)


# Values worked by hand

P3 = np.array([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.125, 0.125, 0.75]])


def test_scores_by_hand() -> None:
    y = [0, 2, 1]
    assert log_loss(P3, y, unit="bit") == pytest.approx((1 + 2 + 3) / 3)
    # squares: (1/4 + 1/16 + 1/16), (1/16 + 1/4 + 9/16), (1/64 + 49/64 + 36/64)
    assert brier(P3, y) == pytest.approx((24 / 64 + 56 / 64 + 86 / 64) / 3)
    assert accuracy(P3, y) == pytest.approx(1 / 3)
    assert brier([[1, 0]], [1]) == 2
    assert brier([[1, 0]], [0]) == 0


def test_the_denominator_is_the_sum_of_weights() -> None:
    w = [1, 0, 3]
    assert log_loss(P3, [0, 2, 1], w, unit="bit") == pytest.approx((1 * 1 + 3 * 3) / 4)
    assert accuracy(P3, [0, 2, 1], w) == pytest.approx(1 / 4)
    soft = [[0.5, 0.5, 0], [1, 0, 0], [0, 0.5, 0.5]]
    by_row = 0.5 * 1 + 0.5 * 2, 0.5 * 3 + 0.5 * np.log2(4 / 3)
    # for soft labels as well: not the rows, and not the weight of each row's own class
    assert log_loss(P3, soft, w, unit="bit") == pytest.approx((by_row[0] + 3 * by_row[1]) / 4)


def test_soft_labels_by_hand() -> None:
    Y = [[0.1, 0.2, 0.7]]
    assert accuracy([[0.3, 0.1, 0.6]], Y) == pytest.approx(0.7)
    assert accuracy([[0.3, 0.6, 0.1]], Y) == pytest.approx(0.2)
    assert top_k_accuracy([[0.3, 0.6, 0.1]], Y, 2) == pytest.approx(0.3)
    assert brier([[0.3, 0.6, 0.1]], Y) == pytest.approx(0.04 + 0.16 + 0.36)


def test_ties_go_to_the_first_class_as_in_most_likely() -> None:
    P = [[0.4, 0.4, 0.2], [0.25, 0.375, 0.375]]
    assert [accuracy([P[0]], [k]) for k in range(3)] == [1, 0, 0]
    assert [top_k_accuracy([P[1]], [k], 1) for k in range(3)] == [0, 1, 0]
    uniform = [[1 / 3] * 3]
    assert [top_k_accuracy(uniform, [k], 2) for k in range(3)] == [1, 1, 0]


# Edges


def test_a_true_class_of_probability_zero_costs_infinity() -> None:
    assert log_loss([[1, 0], [1, 0]], [0, 1]) == np.inf
    assert log_loss([[1, 0], [1, 0]], [0, 1], [1, 0]) == 0  # a row of weight 0 is not there
    assert log_loss([[1, 0]], [[0.9, 0.1]]) == np.inf
    assert log_loss([[1, 0]], [0]) == 0


def test_one_class_and_any_leading_axes() -> None:
    assert [score([[1.0]], [0]) for score in SCORES] == [0, 0, 1, 1]
    P = P3[None].repeat(2, axis=0)
    assert log_loss(P, np.array([[0, 2, 1]] * 2)) == pytest.approx(log_loss(P3, [0, 2, 1]))


def test_float32_predictions_are_averaged_in_float64() -> None:
    P = np.tile(np.float32([[0.1, 0.9]]), (100_000, 1))
    assert log_loss(P, np.zeros(len(P), int)) == pytest.approx(-np.log(0.1), rel=1e-6)
    for score in SCORES:
        assert type(score(P, np.zeros(len(P), int))) is float


def test_huge_weights_do_not_overflow() -> None:
    assert log_loss([[0.5, 0.5], [0.25, 0.75]], [0, 0], [1e308, 1e308], unit="bit") == pytest.approx(1.5)


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize(
    ("P", "y", "w", "told"),
    [
        ([[0.5, 0.6]], [0], None, r"row 0 of P sums to 1\.1"),
        ([[0.5, 0.5]], [[0.5, 0.4]], None, r"row 0 of y sums to 0\.9"),
        ([[0.5, 0.5]], [2], None, r"y holds the code 2 \(row 0\)"),
        ([[0.5, 0.5]], ["a"], None, r"Classes\(\.\.\.\)\.encode"),
        ([[0.5, 0.5]], [0, 1], None, r"y has shape \(2,\), which does not fit \(1, 2\)"),
        ([[0.5, 0.5]] * 2, [0, 1], [1, -1], r"sample_weight holds -1\.0 \(row 1\).*cannot be negative"),
        ([[0.5, 0.5]] * 2, [0, 1], [1, np.nan], r"sample_weight holds nan \(row 1\).*finite"),
        ([[0.5, 0.5]] * 2, [0, 1], [np.inf, 1], r"sample_weight holds inf \(row 0\).*finite"),
        ([[0.5, 0.5]] * 2, [0, 1], [0, 0], "sample_weight is 0 in every row"),
        ([[0.5, 0.5]] * 2, [0, 1], [1], r"sample_weight has shape \(1,\).*shape \(2,\)"),
        (np.zeros((0, 2)), np.zeros(0, int), None, "there are no rows to take the mean of"),
    ],
)
def test_what_cannot_be_scored_is_refused(score: Any, P: Any, y: Any, w: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        score(P, y, sample_weight=w)


@pytest.mark.parametrize("k", [0, 3, -1, 1.5])
def test_k_is_one_to_the_number_of_classes(k: Any) -> None:
    with pytest.raises(ValueError, match=f"k is {k}, but with 2 classes it must be a whole number from 1 to 2"):
        top_k_accuracy([[0.5, 0.5]], [0], k)


def test_another_unit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"unit is 'dB', but it must be 'nat' .* or 'bit'"):
        log_loss([[0.5, 0.5]], [0], unit="dB")  # type: ignore[arg-type]
