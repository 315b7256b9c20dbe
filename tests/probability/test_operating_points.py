"""Operating points: by hand, and against deciding without probabilities."""

from __future__ import annotations

import numpy as np
import pytest

from softreg.probability import operating_point, score_interval, softmax, wilson_interval

P = np.array([[0.9, 0.1], [0.7, 0.3], [0.4, 0.6], [0.95, 0.05]])


def test_by_hand() -> None:
    point = operating_point(P, [0, 1, 1, 0], [[0, 1], [4, 0]])  # above 1 / (1 + 4) = 0.2
    assert point.threshold == pytest.approx(0.2)
    assert point.decided.tolist() == [2, 2]
    assert point.table.tolist() == [[2, 0], [0, 2]]
    assert point.expected == pytest.approx((0.4 + 0.7 + 0.4 + 0.2) / 4)
    assert point.paid.value == 0
    assert (point.constant, point.constant_cost, point.most_likely_cost) == (1, 0.5, 1.0)
    assert point.saved == 0.5


def test_the_threshold_is_where_both_decisions_cost_the_same() -> None:
    costs = np.array([[1.0, 3.0], [9.0, -2.0]])
    t = operating_point(P, [0, 1, 1, 0], costs).threshold
    assert t is not None
    assert (1 - t) * costs[0, 0] + t * costs[1, 0] == pytest.approx((1 - t) * costs[0, 1] + t * costs[1, 1])
    assert operating_point(P, [0, 1, 1, 0], [[0, 0], [1, 0]]).threshold is None


def test_a_third_decision_has_no_threshold_and_no_most_likely() -> None:
    point = operating_point(P, [0, 1, 1, 0], [[0, 10, 0.8], [10, 0, 0.8]])
    assert point.decided.tolist() == [1, 0, 3]
    assert (point.threshold, point.most_likely_cost) == (None, None)


def test_calibrated_probabilities_keep_their_promise_and_overconfident_ones_do_not() -> None:
    random = np.random.default_rng(0)
    o = random.normal(scale=1.5, size=(20_000, 3))
    y = np.minimum((softmax(o).cumsum(axis=1) < random.random((20_000, 1))).sum(axis=1), 2)
    cost = [[0, 1, 5], [2, 0, 1], [9, 3, 0]]
    good, sure = operating_point(softmax(o), y, cost), operating_point(softmax(3 * o), y, cost)
    assert good.paid.low <= good.expected <= good.paid.high
    assert sure.paid.low > 1.2 * sure.expected
    assert good.paid.high < sure.paid.low
    assert good.most_likely_cost is not None
    assert good.paid.value < good.most_likely_cost
    assert good.saved > 0


def test_dependent_rows_have_a_wider_interval() -> None:
    random = np.random.default_rng(1)
    p = softmax(random.normal(size=(200, 2)))
    y = (random.random(200) < p[:, 1]).astype(int)
    cost = np.array([[0, 1], [4, 0]])
    single = operating_point(p, y, cost)
    five, groups = [np.repeat(a, 5, axis=0) for a in (p, y)], np.repeat(np.arange(200), 5)
    copies, alone = operating_point(*five, cost, groups=groups), operating_point(*five, cost).paid
    assert copies.paid.value == pytest.approx(single.paid.value)
    assert (copies.paid.low, copies.paid.high) == pytest.approx((single.paid.low, single.paid.high), abs=0.02)
    assert copies.paid.high - copies.paid.low > 2 * (alone.high - alone.low)


@pytest.mark.parametrize(
    ("codes", "cost", "message"),
    [([0, 1, 1], [[0, 1], [1, 0]], "one code for each of 4 rows"), ([0, 1, 1, 0], [[0, 1]], "a row for each of the 2"),
     ([0, 1, 1, 2], [[0, 1], [1, 0]], "2")],
)  # fmt: skip
def test_what_does_not_fit_is_named(codes: list, cost: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        operating_point(P, codes, cost)


def test_the_interval_of_a_cost_is_made_of_those_of_its_rates() -> None:
    p = softmax(np.random.default_rng(1).normal(size=(200, 2)))
    y = (np.random.default_rng(2).random(200) < p[:, 1]).astype(int)
    for cost, reference in (([[0, 1], [4, 0]], 0.0), ([[-2, 3], [5, -2]], -2.0)):
        paid = operating_point(p, y, cost).paid
        seen = np.array(cost)[y, np.asarray(p @ cost).argmin(axis=1)]
        low = high = 0.0
        for value in np.unique(cost):
            rate = wilson_interval(float((seen == value).sum()), 200)
            assert value >= reference  # the most frequent cost is the least one
            low += ((value - reference) * (rate.value - rate.low)) ** 2
            high += ((value - reference) * (rate.high - rate.value)) ** 2
        assert paid.value == pytest.approx(seen.mean())
        assert (paid.low, paid.high) == pytest.approx((seen.mean() - low**0.5, seen.mean() + high**0.5))
    turned = operating_point(p, y, [[0, -1], [-4, 0]]).paid
    assert turned.low < turned.value < turned.high <= 0
    many = np.arange(24.0).reshape(2, 12)
    expected = score_interval(many[:, np.asarray(p @ many).argmin(axis=1)].T, p, y, bounds=(0, 23))
    assert operating_point(p, y, many).paid == expected


def test_the_interval_of_a_cost_stays_within_the_costs() -> None:
    """Eight cheap mistakes among expensive ones that did not occur: a symmetric interval would reach below 0."""
    P = np.repeat([[0.98, 0.02], [0.03, 0.97]], [900, 117], axis=0)
    y = np.repeat([1, 0, 1], [8, 892, 117])
    decided = P.argmax(axis=1)
    cost = np.array([[0.0, 20.0], [1.0, 0.0]])
    assert score_interval(cost[:, decided].T, P, y).low < 0
    paid = score_interval(cost[:, decided].T, P, y, bounds=(0, 20))
    assert paid.low == 0 < paid.value < paid.high < 20
    rates = operating_point(P, y, cost).paid
    assert 0 < rates.low < rates.value < rates.high < 20
    gains = score_interval(-cost[:, decided].T, P, y, bounds=(-20, 0))
    assert gains.high == 0 > gains.value > gains.low > -20


def test_the_interval_of_equal_scores_contains_their_mean() -> None:
    same = score_interval(
        np.full((50, 2), 0.1), np.tile([0.5, 0.5], (50, 1)), np.zeros(50, dtype=int), bounds=(0.1, 0.1)
    )
    assert same.low <= same.value <= same.high
