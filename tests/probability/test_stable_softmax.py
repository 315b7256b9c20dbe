"""softmax, log_softmax and logsumexp: identities, values by hand, every edge."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from softreg.probability import check_probabilities, log_softmax, logsumexp, softmax

ALL = (logsumexp, log_softmax, softmax)
MODEST = st.floats(-50, 50)
SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, max_side=6)


@pytest.fixture(autouse=True)
def _no_warnings() -> Any:
    with warnings.catch_warnings(), np.errstate(all="warn", under="ignore"):
        warnings.simplefilter("error")
        yield


# Identities


@given(hnp.arrays(np.float64, SHAPES, elements=st.floats(allow_nan=False, allow_infinity=False)))
def test_softmax_lies_on_the_simplex_for_all_finite_logits(o: np.ndarray) -> None:
    P = softmax(o)
    assert (P >= 0).all()
    np.testing.assert_allclose(P.sum(axis=-1), 1, rtol=0, atol=1e-14)
    check_probabilities(P)


@given(hnp.arrays(np.float32, SHAPES, elements=st.floats(width=32, allow_nan=False, allow_infinity=False)))
def test_the_same_in_float32(o: np.ndarray) -> None:
    P = softmax(o)
    assert P.dtype == np.float32
    np.testing.assert_allclose(P.sum(axis=-1, dtype=float), 1, rtol=0, atol=5e-7)
    check_probabilities(P)


@given(hnp.arrays(np.float64, SHAPES, elements=MODEST), st.floats(-1e3, 1e3))
def test_a_shift_changes_softmax_not_at_all_and_logsumexp_by_itself(o: np.ndarray, c: float) -> None:
    np.testing.assert_allclose(softmax(o + c), softmax(o), rtol=1e-10)
    np.testing.assert_allclose(log_softmax(o + c), log_softmax(o), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(logsumexp(o + c), logsumexp(o) + c, rtol=1e-10, atol=1e-10)


@given(hnp.arrays(np.float64, SHAPES, elements=MODEST))
def test_the_three_functions_agree(o: np.ndarray) -> None:
    np.testing.assert_allclose(np.exp(log_softmax(o)), softmax(o), rtol=1e-12)
    np.testing.assert_allclose(o - logsumexp(o, keepdims=True), log_softmax(o), rtol=0, atol=1e-12)
    np.testing.assert_allclose(logsumexp(log_softmax(o)), 0, atol=1e-12)


@given(hnp.arrays(np.float64, SHAPES, elements=MODEST))
def test_logsumexp_lies_between_the_maximum_and_log_q_above(o: np.ndarray) -> None:
    above = logsumexp(o) - o.max(axis=-1)
    assert (above >= -1e-12).all()
    assert (above <= np.log(o.shape[-1]) + 1e-12).all()


@given(hnp.arrays(np.float64, SHAPES, elements=st.floats(-700, 700)))
def test_the_largest_logit_has_the_largest_probability(o: np.ndarray) -> None:
    P = softmax(o)
    at = o.argmax(axis=-1)[..., None]
    np.testing.assert_array_equal(np.take_along_axis(P, at, axis=-1)[..., 0], P.max(axis=-1))


@given(hnp.arrays(np.float64, hnp.array_shapes(min_dims=2, max_dims=3, max_side=5), elements=MODEST))
def test_any_axis_may_hold_the_classes(o: np.ndarray) -> None:
    for axis in range(-o.ndim, o.ndim):
        moved = np.moveaxis(o, axis, -1)
        for f in (softmax, log_softmax):
            np.testing.assert_allclose(np.moveaxis(f(o, axis=axis), axis, -1), f(moved), rtol=1e-13, atol=1e-13)
        np.testing.assert_allclose(logsumexp(o, axis=axis), logsumexp(moved), rtol=1e-13, atol=1e-13)
        assert logsumexp(o, axis=axis, keepdims=True).shape == o.sum(axis=axis, keepdims=True).shape


# Values worked by hand


def test_softmax_of_logarithms_is_their_share() -> None:
    # e^log(1), e^log(2), e^log(5) are 1, 2, 5 of 8
    np.testing.assert_allclose(softmax(np.log([1, 2, 5])), [1 / 8, 2 / 8, 5 / 8], rtol=1e-15)
    assert logsumexp(np.log([1, 2, 5])) == pytest.approx(np.log(8), rel=1e-15)
    np.testing.assert_allclose(log_softmax(np.log([1, 2, 5])), np.log([1 / 8, 1 / 4, 5 / 8]), rtol=1e-14)


def test_the_values_of_a_textbook_example() -> None:
    # logits 1, 2, 3: e / (e + e^2 + e^3) = 0.0900, 0.2447, 0.6652
    np.testing.assert_allclose(softmax([1, 2, 3]), [0.09003057, 0.24472847, 0.66524096], atol=5e-9)


def test_two_classes_are_the_logistic_function_of_the_difference() -> None:
    o = np.array([[0.3, -1.2], [40.0, 0.0]])
    np.testing.assert_allclose(softmax(o)[:, 0], 1 / (1 + np.exp(-(o[:, 0] - o[:, 1]))), rtol=1e-15)


# Edges


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_logits_at_the_end_of_the_float_range(dtype: type) -> None:
    big = dtype(0.99) * np.finfo(dtype).max
    o = np.array([[big, -big], [-big, -big], [big, big]], dtype)
    np.testing.assert_array_equal(softmax(o), np.array([[1, 0], [0.5, 0.5], [0.5, 0.5]]))
    np.testing.assert_array_equal(logsumexp(o), np.array([big, -big, big]))
    # the true log-probability, -2 big, is no float: its limit is -inf
    np.testing.assert_allclose(log_softmax(o), [[0, -np.inf], [-np.log(2)] * 2, [-np.log(2)] * 2], rtol=1e-6)


def test_minus_infinity_is_a_class_without_mass() -> None:
    np.testing.assert_array_equal(softmax([-np.inf, 0.0, 0.0]), [0, 0.5, 0.5])
    np.testing.assert_array_equal(log_softmax([-np.inf, 3.0]), [-np.inf, 0])
    assert logsumexp([-np.inf, 3.0]) == 3


def test_log_softmax_stays_finite_where_softmax_underflows() -> None:
    o = np.array([[0.0, -1e4, 1e4], [1e300, 0.0, -1e300]])
    assert softmax(o)[0, 0] == 0
    assert np.isfinite(log_softmax(o)).all()
    np.testing.assert_array_equal(log_softmax(o)[0], [-1e4, -2e4, 0])


def test_a_rest_far_below_one_is_not_lost() -> None:
    # 1 + 1e-20 is 1 in floats, but its logarithm, 1e-20, is one
    assert log_softmax([0.0, np.log(1e-20)])[0] == pytest.approx(-1e-20, rel=1e-12, abs=0)
    assert logsumexp([0.0, np.log(1e-20)]) == pytest.approx(1e-20, rel=1e-12, abs=0)


def test_one_class_alone_is_sure() -> None:
    o = np.array([[3.0], [-1e308]])
    np.testing.assert_array_equal(softmax(o), [[1], [1]])
    np.testing.assert_array_equal(log_softmax(o), [[0], [0]])
    np.testing.assert_array_equal(logsumexp(o), [3, -1e308])


def test_an_empty_batch_is_empty() -> None:
    assert softmax(np.zeros((0, 3))).shape == (0, 3)
    assert log_softmax(np.zeros((2, 0, 3), np.float32)).shape == (2, 0, 3)
    assert logsumexp(np.zeros((0, 3))).shape == (0,)
    assert check_probabilities(np.zeros((0, 3))).shape == (0, 3)


@pytest.mark.parametrize("f", ALL)
@pytest.mark.parametrize(
    ("given", "becomes"),
    [
        (np.float32, np.float32), (np.float64, np.float64), (np.float16, np.float32), (np.int8, np.float64),
        (np.uint64, np.float64), (bool, np.float64), (object, np.float64), (">f4", np.float32),
        (">f8", np.float64),
    ],
)  # fmt: skip
def test_the_precision_that_comes_out(f: Any, given: Any, becomes: Any) -> None:
    o = np.array([[0, 1, 1]]).astype(given)
    assert f(o).dtype == becomes
    assert f(o.astype(becomes)).tolist() == f(o).tolist()


@pytest.mark.parametrize("f", ALL)
def test_the_input_is_left_alone(f: Any) -> None:
    o = np.array([[1.0, 2.0], [3.0, 4.0]])
    o.flags.writeable = False
    f(o)
    assert o.tolist() == [[1, 2], [3, 4]]
    assert f(np.asfortranarray(o)).tolist() == f(o).tolist()


@pytest.mark.parametrize("f", ALL)
@pytest.mark.parametrize(
    ("o", "told"),
    [
        ([[0.0, 1.0], [np.nan, 1.0]], r"row 1 of o holds nan.*finite numbers"),
        ([[0.0, 1.0], [0.0, np.inf]], r"row 1 of o holds inf"),
        ([[np.inf, np.nan], [0.0, 1.0]], r"row 0 of o holds (nan|inf)"),
        ([[0.0, 1.0], [-np.inf, -np.inf]], r"row 1 of o: no class has a finite logit"),
        ([[[0.0, 1.0], [0.0, 1.0]], [[0.0, 1.0], [np.nan, 1.0]]], r"row \(1, 1\) of o holds nan"),
        ([np.nan, 1.0], r"^o holds nan"),
        ([[], []], r"o has shape \(2, 0\): there is no class on axis -1"),
        (3.0, "must have an axis of classes, but is the single number 3.0"),
        (["a", "b"], "o must be real numbers .* dtype is <U1"),
        ([1j, 2.0], "o must be real numbers .* complex128"),
        ([{}, 2.0], "o must be real numbers"),
    ],
)
def test_what_has_no_softmax_is_refused(f: Any, o: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        f(o)


def test_the_row_is_named_along_another_axis_too() -> None:
    with pytest.raises(ValueError, match="row 2 of o holds nan"):
        softmax([[0.0, 0.0, 0.0], [0.0, 0.0, np.nan]], axis=0)
