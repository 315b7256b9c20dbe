"""Places between knots for numbers of any size, and names of interactions."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from softreg.tables.encode.terms.curve_basis import interpolation, random_walk_basis
from softreg.tables.encode.terms.curve_encoder import CurveEncoder
from softreg.tables.encode.terms.pair_encoder import PairEncoder, PairSide, with_distinct_names


@pytest.mark.parametrize("unit", [1.0, 1e300, 1e-300, 1e-320])
def test_places_do_not_depend_on_the_unit(unit: float) -> None:
    low, share = interpolation(np.array([0.0, 100.0, 150.0, 250.0, 400.0]) * unit, np.array([0.0, 100.0, 300.0]) * unit)
    assert low.tolist() == [0, 1, 1, 1, 1]
    assert_allclose(share, [0.0, 0.0, 0.25, 0.75, 1.0], atol=1e-2)  # 1e-320 has four digits


def test_places_between_the_largest_numbers() -> None:
    largest = np.finfo(np.float64).max
    low, share = interpolation(np.array([-largest, 0.0, largest, np.nan]), np.array([-largest, largest]))
    assert low.tolist() == [0, 0, 0, 0]
    assert_allclose(share, [0.0, 0.5, 1.0, np.nan])


def test_curves_are_linear_between_knots_and_constant_beyond_them() -> None:
    knots = np.array([0.0, 1.0, 4.0])
    basis = random_walk_basis(knots, np.full(3, 1 / 3))
    code = CurveEncoder(
        "x", 0.0, 1.0, False, span=(0.0, 4.0), curve_knots=tuple(knots), curve_values=tuple(map(tuple, basis.values))
    )
    x = np.array([-9.0, 0.0, 0.5, 2.5, 4.0, 9.0])
    for curve, values in zip(code.curves(x), basis.values.T, strict=True):
        assert_allclose(curve, np.interp(x, knots, values), atol=1e-14)
    assert all(np.isnan(curve).all() for curve in code.curves(np.array([np.nan])))


def test_names_of_interactions_are_distinct() -> None:
    def pair(left: str, right: str) -> PairEncoder:
        return PairEncoder(PairSide.of_levels(left, 2), PairSide.of_levels(right, 2), ((0, 0),), 1.0)

    found = with_distinct_names([pair("a:b", "c"), pair("a", "b:c"), pair("a", "b")], ["a", "b", "c", "a:b", "b:c"])
    assert [one.name for one in found] == ["a:b:c", "a:b:c_2", "a:b_2"]
    assert [PairEncoder.from_state(one.to_state()) for one in found] == list(found)
