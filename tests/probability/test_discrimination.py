"""The area under the ROC curve and its interval."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from softreg.probability import mean_auc, mean_auc_interval

Floats = NDArray[np.float64]
Codes = NDArray[np.int64]


def rows(n: int, q: int, draw: np.random.Generator, spread: float = 2.0) -> tuple[Floats, Codes]:
    """Probabilities of different rows, and labels drawn from them."""
    P = np.exp(spread * draw.normal(size=(n, q)))
    P /= P.sum(axis=1, keepdims=True)
    return P, (P.cumsum(axis=1) < draw.random((n, 1))).sum(axis=1)


@pytest.mark.parametrize("q", [2, 3, 6])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_area_is_that_of_scikit_learn(q: int, weighted: bool) -> None:
    draw = np.random.default_rng(q)
    P, y = rows(300, q, draw)
    P = np.maximum(P.round(2), 0.01)  # with ties
    P /= P.sum(axis=1, keepdims=True)
    w = draw.exponential(size=300) if weighted else None
    peer = roc_auc_score(y, P[:, 1] if q == 2 else P, multi_class="ovr", sample_weight=w)
    assert mean_auc(P, y, w) == pytest.approx(peer)
    assert mean_auc_interval(P, y, w).value == pytest.approx(peer)


def test_worked_by_hand() -> None:
    P = np.array([[0.9, 0.1], [0.5, 0.5], [0.5, 0.5], [0.1, 0.9]])
    assert mean_auc(P, [0, 0, 1, 1]) == 0.875  # three pairs in order and a tie, of four
    assert mean_auc(P, [0, 0, 1, 1], [1, 3, 3, 1]) == pytest.approx((1 * 3 + 1 + 3 * 3 / 2 + 3) / 16)
    assert mean_auc(1 - P, [0, 0, 1, 1]) == 0.125
    assert np.isnan(mean_auc(P, [1, 1, 1, 1]))
    assert np.isnan(mean_auc_interval(P, [1, 1, 1, 1]).low)


def test_a_class_that_does_not_occur_is_left_out_of_the_mean() -> None:
    P, y = rows(200, 3, np.random.default_rng(0))
    y[y == 2] = 0
    each = [roc_auc_score(y == k, P[:, k]) for k in (0, 1)]
    assert mean_auc(P, y) == pytest.approx(np.mean(each))


def test_equal_weights_change_nothing_and_doubled_rows_narrow_nothing() -> None:
    P, y = rows(150, 3, np.random.default_rng(1))
    plain = mean_auc_interval(P, y)
    for weights in (np.full(150, 1e300), np.full(150, 0.1)):
        same = mean_auc_interval(P, y, weights)
        np.testing.assert_allclose([same.low, same.high], [plain.low, plain.high], rtol=1e-9)
    twice = mean_auc_interval(np.tile(P, (2, 1)), np.tile(y, 2), groups=np.tile(np.arange(150), 2))
    np.testing.assert_allclose([twice.low, twice.high], [plain.low, plain.high], atol=0.01)
    naive = mean_auc_interval(np.tile(P, (2, 1)), np.tile(y, 2))
    assert naive.high - naive.low < 0.8 * (twice.high - twice.low)


def test_perfect_order_and_single_rows_have_intervals() -> None:
    P = np.array([[0.9, 0.1]] * 30 + [[0.1, 0.9]] * 30)
    found = mean_auc_interval(P, [0] * 30 + [1] * 30)
    assert found.value == found.high == 1
    assert 0.9 < found.low < 0.97
    single = mean_auc_interval(P[:31], [0] * 30 + [1])
    assert single.low < 0.5


@pytest.mark.parametrize(("n", "q", "spread"), [(100, 2, 1.0), (80, 2, 4.0), (150, 4, 2.0)])
def test_the_interval_keeps_its_level(n: int, q: int, spread: float) -> None:
    draw = np.random.default_rng(5)
    truth = mean_auc(*rows(200_000, q, draw, spread))
    found = [mean_auc_interval(*rows(n, q, draw, spread)) for _ in range(200)]
    assert np.mean([one.low <= truth <= one.high for one in found]) > 0.92
