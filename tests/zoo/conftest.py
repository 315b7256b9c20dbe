"""Small data that every row of the zoo may use."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from .helpers import numbers_and_labels


class Problem(NamedTuple):
    """Features (n, 5), codes (n,) of overlapping classes and their names (n,)."""

    X: np.ndarray
    codes: np.ndarray
    y: np.ndarray


@pytest.fixture(scope="session")
def problem() -> Problem:
    """Three overlapping classes, 600 rows: the optimum is finite even without a penalty."""
    random = np.random.default_rng(7)
    X = random.normal(size=(600, 5))
    logits = X @ random.normal(size=(5, 3)) + np.array([0.3, -0.2, 0.0])
    codes = (logits + random.gumbel(size=logits.shape)).argmax(axis=1)
    return Problem(X, codes, np.array(["ant", "bee", "cat"])[codes])


@pytest.fixture(scope="session")
def two(problem: Problem) -> Problem:
    """The same rows with two classes."""
    codes = (problem.codes == 2).astype(int)
    return Problem(problem.X, codes, np.array(["no", "yes"])[codes])


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Return a CSV file of numbers, labels and probabilities."""
    path = tmp_path / "i.csv"
    path.write_text(numbers_and_labels())
    return path
