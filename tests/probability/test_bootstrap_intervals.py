"""The bootstrap and labels drawn from probabilities: against their known moments, and at the edges."""

from __future__ import annotations

import numpy as np
import pytest

from softreg.probability import bootstrap_means, interval
from softreg.probability.bootstrap_intervals import label_drawer


def test_the_spread_of_means_is_that_of_the_mean() -> None:
    values = np.random.default_rng(0).exponential(size=(400, 2)) * [1.0, 3.0]
    means = bootstrap_means(values, draws=2000)
    assert means.shape == (2000, 2)
    assert means.mean(axis=0) == pytest.approx(values.mean(axis=0), rel=0.01)
    assert means.std(axis=0) == pytest.approx(values.std(axis=0) / 20, rel=0.06)


def test_intervals_cover_the_truth_about_95_times_in_100() -> None:
    covered = 0
    for seed in range(200):
        values = np.random.default_rng(seed).random(100)
        found = interval(values.mean(), bootstrap_means(values, draws=399))
        covered += found.low <= 0.5 <= found.high
    assert 180 <= covered <= 198


def test_an_infinite_row_is_infinite_where_it_is_drawn() -> None:
    means = bootstrap_means([0.0, 0.0, 0.0, np.inf], draws=500)
    assert set(np.unique(means)) == {0.0, np.inf}
    assert np.mean(means == 0) == pytest.approx(0.75**4, abs=0.07)
    assert interval(np.inf, means).high == np.inf


def test_interval_by_order() -> None:
    found = interval(7.0, np.arange(1, 1000))
    assert (found.low, found.high, str(found)) == (25.0, 975.0, "7 (25 to 975)")
    assert interval(1.0, [1.0]).low == 1.0
    with pytest.raises(ValueError, match=r"level is 1\.5"):
        interval(1.0, [1.0], level=1.5)
    with pytest.raises(ValueError, match="no rows"):
        bootstrap_means([])


@pytest.mark.parametrize("q", [2, 5, 70])
def test_drawn_labels_have_their_probabilities(q: int) -> None:
    p = np.random.default_rng(q).dirichlet(np.ones(q))
    p[0], p[-1] = 0.0, p[-1] + p[0]  # an impossible class is never drawn
    codes = label_drawer(np.tile(p, (40_000, 1)))(np.random.default_rng(1), 1)[0]
    rates = np.bincount(codes, minlength=q) / 40_000
    assert rates[0] == 0
    assert np.abs(rates - p).max() < 5 * np.sqrt(0.25 / 40_000)


def test_both_ways_of_drawing_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    P = np.random.default_rng(0).dirichlet(np.ones(6), size=500)
    compared = label_drawer(P)(np.random.default_rng(3), 1)[0]
    monkeypatch.setattr("softreg.probability.bootstrap_intervals.MANY_CLASSES", 1)
    assert np.array_equal(label_drawer(P)(np.random.default_rng(3), 1)[0], compared)


@pytest.mark.parametrize("q", [6, 70])
def test_several_draws_at_once_are_those_of_single_draws(q: int) -> None:
    draw = label_drawer(np.random.default_rng(0).dirichlet(np.ones(q), size=50))
    one_by_one, at_once = np.random.default_rng(5), np.random.default_rng(5)
    single = np.concatenate([draw(one_by_one, 1) for _ in range(7)])
    assert np.array_equal(draw(at_once, 7), single)
