"""Surprisal, entropy, cross-entropy, divergence, perplexity."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from softreg.probability import cross_entropy, entropy, kl_divergence, perplexity, softmax, surprisal


@pytest.fixture(autouse=True)
def _no_warnings() -> Any:
    with warnings.catch_warnings(), np.errstate(all="warn", under="ignore"):
        warnings.simplefilter("error")
        yield


@st.composite
def distributions(draw: Any, count: int = 1) -> list[np.ndarray]:
    """Distributions of one shape, zeros among them."""
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=5))
    found = []
    for _ in range(count):
        w = draw(hnp.arrays(np.float64, shape, elements=st.one_of(st.just(0.0), st.floats(1e-12, 1e6))))
        w[..., 0] = np.where(w.sum(axis=-1) == 0, 1.0, w[..., 0])
        found.append(w / w.sum(axis=-1, keepdims=True))
    return found


# Identities


@given(distributions(count=2))
def test_cross_entropy_is_entropy_plus_divergence(pq: list[np.ndarray]) -> None:
    p, q = pq
    np.testing.assert_allclose(cross_entropy(p, q), entropy(p) + kl_divergence(p, q), rtol=1e-12, atol=1e-12)


@given(distributions(count=2))
def test_divergence_is_never_negative_and_zero_of_itself(pq: list[np.ndarray]) -> None:
    p, q = pq
    assert (kl_divergence(p, q) >= 0).all()
    np.testing.assert_array_equal(kl_divergence(p, p), np.zeros(p.shape[:-1]))


@given(distributions(count=2))
def test_divergence_is_never_negative_in_float32(pq: list[np.ndarray]) -> None:
    p, q = (x.astype(np.float32) for x in pq)
    assert (kl_divergence(p, q) >= 0).all()


@given(distributions())
def test_entropy_lies_between_zero_and_log_q(ps: list[np.ndarray]) -> None:
    (p,) = ps
    found = entropy(p)
    assert (found >= 0).all()
    assert (found <= np.log(p.shape[-1]) + 1e-12).all()
    np.testing.assert_allclose(found, cross_entropy(p, p), rtol=1e-12)
    np.testing.assert_allclose(perplexity(p), np.exp(found), rtol=1e-12)


@given(distributions(count=2))
def test_a_bit_is_log_2_nats(pq: list[np.ndarray]) -> None:
    p, q = pq
    for f in (cross_entropy, kl_divergence):
        np.testing.assert_allclose(f(p, q, unit="bit") * np.log(2), f(p, q), rtol=1e-14)
        np.testing.assert_array_equal(f(p, q, unit="nat"), f(p, q))
    np.testing.assert_allclose(entropy(p, unit="bit") * np.log(2), entropy(p), rtol=1e-14)
    np.testing.assert_array_equal(perplexity(p, unit="bit"), perplexity(p))


@given(distributions(count=2))
def test_any_axis_may_hold_the_classes(pq: list[np.ndarray]) -> None:
    p, q = pq
    p0, q0 = np.moveaxis(p, -1, 0), np.moveaxis(q, -1, 0)
    for f in (cross_entropy, kl_divergence, perplexity):
        np.testing.assert_allclose(f(p0, q0, axis=0), f(p, q), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(entropy(p0, axis=0), entropy(p), rtol=1e-12, atol=1e-12)


@given(st.floats(1e-300, 1), st.floats(1e-300, 1))
def test_surprisals_of_independent_events_add(a: float, b: float) -> None:
    if a * b > 1e-300:
        assert surprisal(a * b) == pytest.approx(surprisal(a) + surprisal(b), rel=1e-12, abs=1e-12)


# Values worked by hand


def test_a_fair_coin_has_one_bit() -> None:
    assert entropy([0.5, 0.5], unit="bit") == 1
    assert entropy([0.5, 0.5]) == pytest.approx(0.6931471805599453)
    assert perplexity([0.5, 0.5]) == pytest.approx(2)
    assert perplexity([0.5, 0.5], unit="bit") == pytest.approx(2)


def test_a_horse_race_of_cover_and_thomas() -> None:
    # eight horses, 1/2 1/4 1/8 1/16 and four of 1/64: two bits, against three if they were alike
    p = [1 / 2, 1 / 4, 1 / 8, 1 / 16] + [1 / 64] * 4
    uniform = [1 / 8] * 8
    assert entropy(p, unit="bit") == pytest.approx(2, rel=1e-15)
    assert cross_entropy(p, uniform, unit="bit") == pytest.approx(3, rel=1e-15)
    assert kl_divergence(p, uniform, unit="bit") == pytest.approx(1, rel=1e-14)
    assert perplexity(p) == pytest.approx(4, rel=1e-14)
    assert perplexity(p, uniform) == pytest.approx(8, rel=1e-14)


def test_divergence_is_not_symmetric() -> None:
    # by hand: 1/2 log(2/3) + 1/2 log 2 = 1/2 log(4/3), and 3/4 log(3/2) + 1/4 log(1/2)
    assert kl_divergence([0.5, 0.5], [0.75, 0.25]) == pytest.approx(0.5 * np.log(4 / 3), rel=1e-14)
    back = 0.75 * np.log(1.5) + 0.25 * np.log(0.5)
    assert kl_divergence([0.75, 0.25], [0.5, 0.5]) == pytest.approx(back, rel=1e-14)


def test_surprisal_by_hand() -> None:
    assert surprisal([1, 0.5, 0.25, 0], unit="bit").tolist() == [0, 1, 2, np.inf]
    assert surprisal(np.exp(-3)) == pytest.approx(3)
    assert 1 / np.log(2) == pytest.approx(1.4427, abs=5e-5)
    assert surprisal(1 / np.e, unit="bit") == pytest.approx(1.4427, abs=5e-5)


def test_cross_entropy_of_a_hard_label_is_the_surprisal_of_its_class() -> None:
    q = np.array([0.1, 0.2, 0.7])
    assert cross_entropy([0, 0, 1], q) == surprisal(0.7)
    np.testing.assert_array_equal(cross_entropy(np.eye(3), q), surprisal(q))  # q broadcasts over the labels


def test_nearly_equal_distributions_keep_their_divergence() -> None:
    # to second order KL = sum (q - p)^2 / (2 p) = 2 e^2 for p = 1/2, e = 1e-10: lost in the plain formula
    e = 1e-10
    p, q = np.array([0.5, 0.5]), np.array([0.5 + e, 0.5 - e])
    assert kl_divergence(p, q) == pytest.approx(2 * e * e, rel=1e-5, abs=0)


# Edges


def test_zero_times_log_zero_is_zero() -> None:
    assert entropy([1.0, 0.0]) == 0
    assert not np.signbit(entropy([1.0, 0.0]))  # prints as 0, not as -0
    assert not np.signbit(surprisal(1.0))
    assert cross_entropy([1.0, 0.0], [1.0, 0.0]) == 0
    assert kl_divergence([1.0, 0.0], [1.0, 0.0]) == 0
    assert kl_divergence([1.0, 0.0], [0.5, 0.5], unit="bit") == pytest.approx(1)


def test_infinity_where_q_has_no_mass() -> None:
    assert kl_divergence([0.5, 0.5], [1, 0]) == np.inf
    assert cross_entropy([0.5, 0.5], [1, 0]) == np.inf
    assert perplexity([0.5, 0.5], [1, 0]) == np.inf
    both = kl_divergence([[0.5, 0.5], [1, 0]], [[1, 0], [1, 0]])
    assert both.tolist() == [np.inf, 0]


def test_the_smallest_probabilities_there_are() -> None:
    tiny = 5e-324
    assert surprisal(tiny) == pytest.approx(744.44, abs=0.01)
    assert kl_divergence([tiny, 1.0], [0.5, 0.5]) == pytest.approx(np.log(2))
    assert kl_divergence([0.5, 0.5], [tiny, 1.0]) == pytest.approx(0.5 * 744.44 - np.log(2), abs=0.01)
    assert perplexity([1.0, 0.0], [tiny, 1.0]) == np.inf  # e^744 is no float


def test_one_class_and_empty_batches() -> None:
    assert entropy([[1.0], [1.0]]).tolist() == [0, 0]
    assert perplexity([1.0]) == 1
    assert entropy(np.zeros((0, 3))).shape == (0,)
    assert kl_divergence(np.zeros((0, 3)), np.zeros((0, 3))).shape == (0,)
    assert surprisal(np.zeros(0)).shape == (0,)


@pytest.mark.parametrize("unit", ["nat", "bit"])
def test_float32_stays_float32(unit: Any) -> None:
    p, q = softmax(np.float32([[0, 1, 2]])), softmax(np.float32([[1, 0, 3]]))
    for result in (
        surprisal(p, unit=unit), entropy(p, unit=unit), cross_entropy(p, q, unit=unit),
        kl_divergence(p, q, unit=unit), perplexity(p, q, unit=unit), entropy(p[0], unit=unit),
    ):  # fmt: skip
        assert result.dtype == np.float32
    assert entropy([1, 0]).dtype == np.float64


@pytest.mark.parametrize("f", [entropy, perplexity, lambda p: cross_entropy(p, p), lambda p: kl_divergence(p, p)])
def test_what_is_no_distribution_is_refused(f: Any) -> None:
    with pytest.raises(ValueError, match=r"row 1 of p sums to 0\.9"):
        f([[0.5, 0.5], [0.5, 0.4]])
    with pytest.raises(ValueError, match=r"row 0 of p holds -0\.1"):
        f([[1.1, -0.1]])
    with pytest.raises(ValueError, match="row 0 of p holds nan"):
        f([[np.nan, 1]])


def test_the_second_argument_is_named() -> None:
    with pytest.raises(ValueError, match=r"row 0 of q sums to 1\.1"):
        cross_entropy([[0.5, 0.5]], [[0.5, 0.6]])


@pytest.mark.parametrize("f", [cross_entropy, kl_divergence, perplexity])
def test_a_lone_class_does_not_broadcast(f: Any) -> None:
    with pytest.raises(ValueError, match=r"p has 2 classes and q has 1 .*over the same classes"):
        f([[0.5, 0.5]], [[1.0]])


@pytest.mark.parametrize(
    ("p", "told"),
    [
        ([0.5, -0.1], r"p holds -0\.1 \(at 1\)"),
        ([[0.5, 1.1]], r"p holds 1\.1 \(at \(0, 1\)\)"),
        (np.nan, "p holds nan, but a probability"),
        ([np.inf], "p holds inf"),
    ],
)
def test_surprisal_refuses_what_is_no_probability(p: Any, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        surprisal(p)


def test_another_unit_is_refused_and_both_are_named() -> None:
    p = [0.5, 0.5]
    for call in (
        lambda: surprisal(p, unit="bits"), lambda: entropy(p, unit="bits"),
        lambda: perplexity(p, unit="bits"),
        lambda: cross_entropy(p, p, unit="bits"), lambda: kl_divergence(p, p, unit="bits"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"unit is 'bits', but it must be 'nat' .* or 'bit'"):
            call()
