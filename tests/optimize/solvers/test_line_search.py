"""The line search on convex functions made by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from softreg.optimize.solvers.line_search import CURVATURE, DECREASE, wolfe_search

Array = NDArray[Any]
Line = Callable[[Array], Array]


def run(at: Line, m: int = 1, longest: float = np.inf, noise: float = 0.0) -> tuple[Array, int]:
    start, slope, _ = at(np.zeros(m))
    calls = []

    def counted(t: Array) -> Array:
        calls.append(t)
        return at(t)

    with np.errstate(all="ignore"):
        t = wolfe_search(counted, start, slope, np.full(m, noise), longest)
    return t, len(calls)


def parabola(best: float, bend: float = 1.0) -> Line:
    return lambda t: np.stack([bend / 2 * (t - best) ** 2, bend * (t - best), np.full_like(t, bend)])


@pytest.mark.parametrize("best", [1e-6, 1e-3, 0.1, 0.9, 1.0, 1.2, 7.0, 1e4, 1e8])
def test_a_parabolas_minimum_is_found(best: float) -> None:
    t, calls = run(parabola(best))
    assert abs(t[0] - best) <= CURVATURE * best * (1 + 1e-9)
    assert calls <= 30


def test_a_good_first_step_is_taken_at_once() -> None:
    t, calls = run(parabola(1.1))
    assert (t[0], calls) == (1.0, 1)


@settings(deadline=None, max_examples=60)
@given(st.floats(-3, 4), st.floats(-3, 3), st.floats(0.2, 3))
def test_every_step_gains_and_is_long_enough(where: float, width: float, power: float) -> None:
    """`log cosh` along the line: curvature fades away from the minimum, where Newton's step overshoots."""
    best, w = 10.0**where, 10.0**width

    def at(t: Array) -> Array:
        u = (t - best) / w
        return np.stack([w * (np.logaddexp(u, -u)), np.tanh(u), 1 / np.cosh(np.clip(u, -300, 300)) ** 2 / w]) * power

    start, slope, _ = at(np.zeros(1))
    t, _ = run(at, noise=1e-12 * float(start[0]))
    assert t[0] > 0
    value, rise, _ = at(t)
    assert value <= start + DECREASE * t * slope + 1e-11 * start
    assert abs(rise) <= CURVATURE * abs(slope)


def test_models_of_a_stack_are_searched_each_for_itself() -> None:
    best = np.array([0.01, 1.0, 30.0])
    t, _ = run(lambda t: np.stack([(t - best) ** 2, 2 * (t - best), np.full(3, 2.0)]), m=3)
    np.testing.assert_allclose(t, best, rtol=CURVATURE)
    assert t[1] == 1.0


@pytest.mark.parametrize("wall", [np.inf, np.nan])
def test_infinite_and_missing_values_are_too_far(wall: float) -> None:
    def at(t: Array) -> Array:
        return np.where(t > 0.2, wall, parabola(0.1)(t))

    t, _ = run(at)
    assert abs(t[0] - 0.1) <= CURVATURE * 0.1 + 1e-12


def test_an_infinite_slope_is_too_far() -> None:
    def at(t: Array) -> Array:
        return np.where(t > 0.2, np.array([0.0, np.inf, np.nan])[:, None], parabola(0.1)(t))

    t, _ = run(at)
    assert abs(t[0] - 0.1) <= CURVATURE * 0.1 + 1e-12


def test_the_longest_step_is_kept() -> None:
    t, _ = run(parabola(50.0), longest=1.0)
    assert t[0] == 1.0
    t, _ = run(parabola(50.0), longest=8.0)
    assert t[0] == 8.0
    t, _ = run(parabola(0.3), longest=1.0)
    assert abs(t[0] - 0.3) <= CURVATURE * 0.3 + 1e-12


def test_no_step_is_zero() -> None:
    def uphill(t: Array) -> Array:  # the slope at 0 promised too much: rounding
        return np.stack([t, np.where(t == 0, -1e-3, 1.0), np.ones_like(t)])

    t, _ = run(uphill)
    assert t[0] == 0.0


def test_one_model_without_a_step_does_not_hold_back_the_others() -> None:
    def at(t: Array) -> Array:
        uphill = np.stack([t, np.where(t == 0, -1e-3, 1.0), np.ones_like(t)])
        return np.where(np.array([True, False]), uphill, parabola(40.0)(t))

    t, _ = run(at, m=2)
    assert t[0] == 0.0
    assert abs(t[1] - 40) <= CURVATURE * 40


def test_a_line_that_falls_for_ever_gives_a_long_step() -> None:
    t, _ = run(lambda t: np.stack([np.exp(-t), -np.exp(-t), np.exp(-t)]))
    assert t[0] > 1.0  # slope down to 0.3: at least log(1 / 0.3) = 1.2
    assert np.isfinite(t).all()
