"""Random hard problems against an independent optimum; `benchmarks/certificates.py` runs as many as one likes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))

import certificates

from softreg import SoftmaxRegression

HARD = (13, 33, 44, 55, 58, 60, 84, 90, 134, 144, 184, 324, 378, 1016, 1112, 1125)
"""Seeds of problems that failed once, or on which the descent stalls."""


@pytest.mark.parametrize("seed", [*range(14), *HARD])
def test_no_fit_converges_beyond_its_gap(seed: int) -> None:
    found = certificates.check(certificates.draw(seed), thorough=False)
    assert found.fault == "", (found.fault, certificates.draw(seed).kind)


@pytest.mark.parametrize("seed", [60])
def test_a_fit_with_an_l1_part_that_used_to_stall_is_proved(seed: int) -> None:
    found = certificates.check(certificates.draw(seed), thorough=False)
    assert (found.status, found.fault) == ("converged", "")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_gap_computed_as_a_difference_is_never_below_rounding(dtype: Any) -> None:
    random = np.random.default_rng(3)
    X = random.normal(size=(300, 6)).astype(dtype) * [1e-3, 1, 1, 10, 1e3, 1]
    y = (X[:, 1] + random.logistic(size=300) > 0).astype(int)
    for strength in (1e-1, 1e-2, 1e-3):
        solution = SoftmaxRegression(strength, penalty="l1").fit(X.astype(dtype), y).solution_
        assert solution.converged
        assert 0 < solution.gap <= 1e-6
