"""What one column tells: by hand, against known densities, and nothing from noise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from softreg.probability import column_information, entropy, mutual_information


def test_by_hand() -> None:
    assert mutual_information([[2, 0], [0, 2]], unit="bit") == pytest.approx(1.0)
    assert mutual_information([[1, 2], [2, 4]]) == pytest.approx(0.0, abs=1e-15)
    # H(a) = 1 bit, H(a | b) = 0 for b = 0 and 1 for b = 1, each half of the time at weight 1/4, 3/4
    assert mutual_information([[1, 1], [0, 2]], unit="bit") == pytest.approx(1 - 0.75 * (np.log2(3) - 2 / 3))


@given(hnp.arrays(float, (3, 4), elements=st.floats(0.001, 1)))
def test_identities(joint: np.ndarray) -> None:
    p = joint / joint.sum()
    found = mutual_information(p)
    assert found == pytest.approx(entropy(p.sum(axis=0)) + entropy(p.sum(axis=1)) - entropy(p.ravel()), abs=1e-12)
    assert found == pytest.approx(mutual_information(p.T), abs=1e-14)


def test_noise_tells_nothing_on_average() -> None:
    found = [
        column_information(random.normal(size=500), random.integers(3, size=500))
        for random in map(np.random.default_rng, range(200))
    ]
    assert abs(np.mean(found)) < 0.002


def test_two_normal_classes_against_the_integral() -> None:
    random = np.random.default_rng(0)
    y = random.integers(2, size=50_000)
    x = random.normal(size=50_000) + 1.5 * y
    grid = np.linspace(-6, 8, 20_001)
    density = np.exp(-((grid[:, None] - [0, 1.5]) ** 2) / 2) / np.sqrt(2 * np.pi) / 2
    exact = mutual_information(density)
    assert column_information(x, y) == pytest.approx(exact, abs=0.006)
    assert column_information(np.exp(x), y) == pytest.approx(column_information(x, y))  # only the order counts


def test_words_few_values_and_missing_ones() -> None:
    y = np.array([0, 0, 1, 1] * 50)
    colour = np.array(["red", "red", "blue", "blue"] * 50)
    assert column_information(colour, y, unit="bit") == pytest.approx(1.0, abs=0.01)
    missing = np.where(y == 1, np.nan, np.random.default_rng(0).normal(size=200))
    assert column_information(missing, y, unit="bit") > 0.9  # that it is missing says it all
    assert column_information(np.zeros(200), y) == 0.0


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(ValueError, match="one length"):
        column_information([1.0, 2.0], [0])
    with pytest.raises(ValueError, match="joint must be a matrix"):
        mutual_information([[-1.0, 2.0]])
