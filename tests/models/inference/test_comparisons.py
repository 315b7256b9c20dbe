"""Comparisons of probabilities: against finite differences, effects, and the identities of ratios."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose
from scipy.special import softmax
from scipy.stats import norm

from softreg import SoftmaxRegression, infer
from softreg.rows import Array

FUNCTIONS = {
    "difference": lambda p0, p1: p1 - p0,
    "ratio": lambda p0, p1: np.log(p1 / p0),
    "odds_ratio": lambda p0, p1: np.log(p1 / (1 - p1)) - np.log(p0 / (1 - p0)),
}


def sample(q: int) -> tuple[Array, Array, Array]:
    random = np.random.default_rng(3)
    X = random.normal(size=(250, 3)) * [1, 5, 1] + [0, 40, 0]
    X[:, 2] = random.random(250) < 0.3
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    weight = random.integers(1, 4, 250).astype(float)
    return X, (Z @ random.normal(size=(3, q)) + random.gumbel(size=(250, q))).argmax(axis=1), weight


def fitted(q: int, **options: Any) -> Any:
    X, y, weight = sample(q)
    return infer(SoftmaxRegression(penalty=None).fit(X, y, weight), X, y, weight, **options)


def derivatives(inference: Any, function: Any) -> tuple[Array, Array]:
    """Value of a function of the coefficients against class 0, and its standard errors by central differences."""
    relative = inference.relative_to(0)
    w, C = relative.coefficients.estimate, relative.covariance
    J = []
    for j, step in enumerate(1e-3 * np.sqrt(np.diag(C))):
        change = (step * (np.arange(w.size) == j)).reshape(w.shape)
        ends = [function(w + s * change) for s in (-2, -1, 1, 2)]
        J.append((ends[0] - 8 * ends[1] + 8 * ends[2] - ends[3]) / (12 * step))
    G = np.stack(J, axis=-1)
    return function(w), np.sqrt(np.einsum("...i,ij,...j->...", G, C, G))


def probabilities(X: Array, w: Array) -> Array:
    return softmax(np.column_stack([np.zeros(len(X)), w[:, 0] + X @ w[:, 1:].T]), axis=1)


@pytest.mark.parametrize("what", FUNCTIONS)
@pytest.mark.parametrize("options", [{}, {"errors": "robust"}, {"clusters": np.arange(250) % 50}])
@pytest.mark.parametrize("q", [2, 3])
def test_comparisons_are_those_of_finite_differences(q: int, options: dict[str, Any], what: str) -> None:
    inference, (X, _, weight) = fitted(q, **options), sample(q)
    ends = [X * [1, 0, 1] + [0, value, 0] for value in (35.0, 45.0)]

    def rows(w: Array) -> Array:
        return FUNCTIONS[what](*(probabilities(end, w) for end in ends))

    def average(w: Array) -> Array:
        return FUNCTIONS[what](*(np.average(probabilities(end, w), axis=0, weights=weight) for end in ends))

    found = inference.comparisons("column 1", low=35, high=45)
    for ours, function in [(getattr(found, what), average), (found.rows(what), rows)]:
        value, error = derivatives(inference, function)
        estimate, std_error = ours.estimate.reshape(value.shape), ours.std_error.reshape(value.shape)
        low, high = (value + s * norm.ppf(0.975) * error for s in (-1, 1))
        if what != "difference":
            value, error, low, high = np.exp(value), np.exp(value) * error, np.exp(low), np.exp(high)
        assert_allclose(estimate, value, rtol=1e-8, atol=1e-10)
        assert_allclose(std_error, error, rtol=1e-6, atol=1e-8)
        limits = (ours.low, ours.high) if hasattr(ours, "low") else (ours.lower, ours.upper)
        assert_allclose(limits[0].reshape(value.shape), low, rtol=1e-6, atol=1e-8)
        assert_allclose(limits[1].reshape(value.shape), high, rtol=1e-6, atol=1e-8)


def test_the_difference_of_a_zero_one_column_is_its_effect() -> None:
    inference = fitted(3)
    effect, found = inference.effects(), inference.comparisons(2)
    assert found.difference.changes == ("1 rather than 0",)
    for name in ("estimate", "std_error", "lower", "upper", "z"):
        assert_allclose(getattr(found.difference, name)[:, 0], getattr(effect, name)[:, 2], atol=1e-10)
    weight = inference.fitted.weight
    assert_allclose(np.average(found.rows().estimate, axis=0, weights=weight), effect.estimate[:, 2], atol=1e-12)
    small = inference.comparisons(1, low=40 - 1e-3, high=40 + 1e-3, X=sample(3)[0])
    assert_allclose(small.difference.estimate.sum(), 0, atol=1e-12)


def test_two_classes_have_the_model_s_odds_ratio_in_each_row() -> None:
    inference = fitted(2)
    rows = inference.comparisons(2).rows("odds_ratio")
    ours = inference.odds_ratios
    assert_allclose(rows.estimate[:, 1], ours.estimate[0, 2], rtol=1e-9)
    assert_allclose(rows.low[:, 1], ours.lower[0, 2], rtol=1e-8)
    assert_allclose(rows.estimate[:, 0] * rows.estimate[:, 1], 1, rtol=1e-10)
    average = inference.comparisons(2).odds_ratio.estimate[1, 0]
    assert 1 < average < ours.estimate[0, 2] or ours.estimate[0, 2] < average < 1  # odds ratios are not collapsible


def test_levels_of_a_category_are_compared_with_the_reference() -> None:
    random = np.random.default_rng(2)
    level = random.integers(0, 3, 400)
    X = np.column_stack([random.normal(size=400), level == 1, level == 2]).astype(float)
    y = (X @ random.normal(size=(3, 3)) + random.gumbel(size=(400, 3))).argmax(axis=1)
    inference = infer(SoftmaxRegression(penalty=None).fit(X, y), X, y, categories=[[1, 2]])
    found = inference.comparisons([1, 2])
    assert found.difference.columns == ("column 1", "column 2")
    assert_allclose(found.difference.estimate, inference.effects().estimate[:, 1:], atol=1e-12)
    p = inference.predictions(grid={2: [0, 1]}, others="observed").probabilities
    assert_allclose(found.ratio.estimate[:, 1], p[1] / p[0], rtol=1e-12)
    sparse = infer(inference.fitted.model, sp.csr_array(X), y, categories=[[1, 2]])
    assert_allclose(sparse.comparisons(1).odds_ratio.upper, inference.comparisons(1).odds_ratio.upper, rtol=1e-9)


def test_what_cannot_be_compared_is_one_clear_error() -> None:
    inference = fitted(3)
    with pytest.raises(ValueError, match="'column 1' is a number; give the two values"):
        inference.comparisons(1)
    with pytest.raises(ValueError, match="give both low and high"):
        inference.comparisons(1, low=3)
    with pytest.raises(ValueError, match="'age' is not a column"):
        inference.comparisons("age")
    with pytest.raises(ValueError, match="what='odds' is not one of"):
        inference.comparisons(2).rows("odds")


def test_frames_have_the_three_kinds() -> None:
    found = fitted(3).comparisons(2, level=0.9)
    frame = pd.DataFrame(found.frame())
    assert frame["what"].tolist() == ["difference"] * 3 + ["ratio"] * 3 + ["odds_ratio"] * 3
    assert (frame["lower"] < frame["upper"]).all()
    assert "90% from" in str(found)
    assert len(pd.DataFrame(found.rows("ratio").frame())) == 750


def test_without_tests_under_a_penalty_and_without_nan_far_away() -> None:
    X, y, _ = sample(3)
    inference = infer(SoftmaxRegression(1e-2).fit(X, y), X, y)
    assert inference.comparisons(2).ratio.z is None
    with np.errstate(all="raise", under="ignore"):
        found = inference.comparisons(1, low=-1e6, high=1e6)
        assert np.isfinite(found.difference.std_error).all()
        assert np.isfinite(found.rows().std_error).all()
