"""Separation before the fit: the programme, what it names, and that a fit finds the same."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning

from softreg import SoftmaxRegression, infer, separation
from softreg.models.likelihood.separation_message import separation_message
from softreg.optimize import Status


def wall(n: int = 80) -> tuple[pd.DataFrame, np.ndarray]:
    """Two classes on either side of 'wall' = 0, with noise in the others."""
    X = np.random.default_rng(0).normal(size=(n, 3))
    X[:, 1] += np.where(X[:, 1] > 0, 0.3, -0.3)
    return pd.DataFrame(X, columns=["noise", "wall", "more noise"]), np.where(X[:, 1] > 0, "above", "below")


def test_complete_separation_names_class_and_column():
    X, y = wall()
    found = separation(X, y)
    assert found is not None
    assert (found.complete, found.labels, found.columns, found.rows) == (True, ("above", "below"), ("wall",), 80)
    assert found.pairs == (("above", "below"),)
    assert "completely. The classes 'above' and 'below' are separated mainly by 'wall'" in str(found)


def test_quasi_complete_separation_names_only_the_column_that_runs_away():
    random = np.random.default_rng(1)
    X = random.normal(size=(200, 3))
    y = (X[:, 0] + random.normal(size=200) > 0).astype(int)
    X[:, 2] = (y == 1) & (random.random(200) < 0.3)
    found = separation(X, y)
    assert found is not None
    assert (found.complete, found.features, found.rows) == (False, (2,), int(X[:, 2].sum()))
    assert "in part (quasi-complete separation)" in str(found)


def test_one_class_of_three_apart():
    X, y = load_iris(return_X_y=True)
    found = separation(X, np.array(["setosa", "versicolor", "virginica"])[y])
    assert found is not None
    assert not found.complete
    assert found.pairs == (("setosa", "versicolor"), ("setosa", "virginica"))
    assert found.rows == 150  # each row is decided against one class at least
    assert separation(X[y > 0], y[y > 0]) is None


def test_the_fit_says_it_in_the_same_words():
    X, y = wall()
    with pytest.warns(ConvergenceWarning) as caught:
        model = SoftmaxRegression(penalty=None).fit(X, y)
    before, after = str(separation(X, y)), str(caught[0].message)
    assert before.split("are separated")[0] == after.split("are separated")[0]
    told = model.solution_.separation
    assert told is not None
    assert separation_message(told, model.classes_, X.columns.to_numpy()) == after
    with pytest.raises(ValueError, match=r"softreg\.separation"):
        infer(model, X, y)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("q", [2, 3])
def test_the_fit_and_the_programme_agree(seed, q):
    """Few rows, so that about half of the draws are separated; the programme decides without any fit."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(8 * q, 3))
    y = (X @ random.normal(size=(3, q)) + 0.7 * random.gumbel(size=(8 * q, q))).argmax(axis=1)
    if len(np.unique(y)) < q:
        y[:q] = np.arange(q)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fit = SoftmaxRegression(penalty=None).fit(X, y).solution_
    found = separation(X, y)
    assert (fit.separation is not None) == (found is not None)
    if found is not None and fit.separation is not None and fit.separation.complete:
        assert found.complete


@pytest.mark.parametrize("seed", [*range(4, 60, 5)])
def test_the_fit_and_the_programme_agree_on_rare_columns(seed):
    """Few rows are decided for certain here, which the fit itself takes for convergence in one draw of four."""
    random = np.random.default_rng(seed)
    n, d, q = int(random.integers(15, 120)), int(random.integers(1, 8)), int(random.integers(2, 5))
    X = (random.random((n, d)) < 0.25).astype(float)
    y = (X @ random.normal(size=(d, q)) + random.gumbel(size=(n, q))).argmax(axis=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fit = SoftmaxRegression(penalty=None).fit(X, y).solution_
    found = separation(X, y)
    assert (fit.status is Status.SEPARATED) == (found is not None)
    if found is not None and fit.separation is not None:
        assert (fit.separation.classes, fit.separation.features) == (found.classes, found.features)


def test_large_logits_of_a_finite_optimum_stay():
    x = np.linspace(-1, 1, 200)
    y = (x > 0).astype(int)
    y[99], y[100] = 1, 0  # two rows on the wrong side, next to the border
    model = SoftmaxRegression(penalty=None).fit(x[:, None], y)
    assert model.solution_.status is Status.CONVERGED
    assert np.abs(model.decision_function(x[:, None])).max() > 30


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1e-6, 1.0, 1e6]), st.floats(-3, 3))
def test_it_has_no_unit_and_no_origin(seed, size, shift):
    random = np.random.default_rng(seed)
    X = random.integers(0, 3, size=(12, 2)).astype(float)
    y = random.integers(0, 2, 12)
    y[:2] = 0, 1
    plain, moved = separation(X, y), separation((X + shift) * size, y)
    assert (plain is None) == (moved is None)
    if plain is not None and moved is not None:
        assert (plain.complete, plain.rows) == (moved.complete, moved.rows)


def test_labels_in_doubt_and_weights_of_zero():
    X, y = wall()
    Y = np.column_stack([y == "above", y == "below"]).astype(float)
    assert separation(X, Y) is not None
    assert separation(X, 0.98 * Y + 0.01) is None
    half = Y.copy()
    half[::2] = 0.98 * Y[::2] + 0.01
    assert separation(X, half) is None
    wrong = y.copy()
    wrong[:6] = np.where(y[:6] == "above", "below", "above")
    assert separation(X, wrong) is None
    assert separation(X, wrong, np.r_[np.zeros(6), np.ones(74)]) is not None


def test_three_classes_of_which_two_are_in_doubt():
    """Rows that are either a or b do not hold c back."""
    X = np.array([[0.0], [1.0], [0.5], [5.0], [6.0]])
    Y = np.array([[0.5, 0.5, 0], [0.4, 0.6, 0], [0.5, 0.5, 0], [0, 0, 1], [0, 0, 1]])
    found = separation(X, Y)
    assert found is not None
    assert found.rows == 5
    assert {pair[1] for pair in found.pairs} == {2}


def test_without_a_bias_the_origin_counts():
    X, y = np.array([[1.0], [2.0], [3.0], [4.0]]), np.array([0, 0, 1, 1])
    assert separation(X, y) is not None
    assert separation(X, y, fit_intercept=False) is None


def test_what_it_does_not_take():
    with pytest.raises(ValueError, match="only one class"):
        separation([[1.0], [2.0]], ["a", "a"])
    with pytest.raises(ValueError, match="too many for the linear programme"):
        separation(np.zeros((20_000, 200)), np.arange(20_000) % 3)
