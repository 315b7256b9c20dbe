"""Small data for the tests of estimators."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from softreg import SoftmaxRegression


class Problem(NamedTuple):
    """Features (n, 4), codes (n,) of overlapping classes and their names (n,)."""

    X: np.ndarray
    codes: np.ndarray
    y: np.ndarray


@pytest.fixture(scope="session")
def problem() -> Problem:
    """Three overlapping classes, 300 rows."""
    random = np.random.default_rng(11)
    X = random.normal(size=(300, 4))
    codes = (X @ random.normal(size=(4, 3)) + random.gumbel(size=(300, 3))).argmax(axis=1)
    return Problem(X, codes, np.array(["ant", "bee", "cat"])[codes])


@pytest.fixture
def model(problem: Problem) -> SoftmaxRegression:
    """A fitted model of the problem."""
    return SoftmaxRegression(1e-3).fit(problem.X, problem.y)
