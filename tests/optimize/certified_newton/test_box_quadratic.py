"""The active-set method for a quadratic plus `kink |x|` within bounds."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from softreg.optimize.certified_newton.box_quadratic import Box, minimise_box_quadratic


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 100_000), st.integers(1, 9))
def test_the_minimiser_meets_the_optimality_conditions(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    B = rng.normal(size=(k + 1, k))
    Q, c = B.T @ B + 0.01 * np.eye(k), rng.normal(size=k) * 3
    kink = np.where(rng.random(k) < 0.5, 0.0, rng.uniform(0, 2, k))
    low = np.where(rng.random(k) < 0.5, -np.inf, rng.uniform(-1, 0.5, k))
    high = np.where(rng.random(k) < 0.5, np.inf, np.maximum(low, 0) + rng.uniform(0, 1, k))
    x = minimise_box_quadratic(Q, c, Box(kink, low, high), rng.normal(size=k))
    assert (x >= low).all()
    assert (x <= high).all()
    g = Q @ x + c
    tolerance = 1e-7 * (1 + np.abs(Q).max() * (1 + np.abs(x).max()))
    least = g + kink * np.where(x > 0, 1.0, -1.0)  # ends of the subdifferential
    most = g + kink * np.where(x < 0, -1.0, 1.0)
    assert ((most >= -tolerance) | (x >= high)).all()
    assert ((least <= tolerance) | (x <= low)).all()


def test_a_start_outside_the_bounds_and_bounds_that_leave_one_point() -> None:
    box = Box(np.zeros(2), np.array([1.0, -1.0]), np.array([1.0, 3.0]))
    x = minimise_box_quadratic(np.eye(2), np.array([-5.0, -2.0]), box, np.array([9.0, -9.0]))
    np.testing.assert_allclose(x, [1.0, 2.0])
