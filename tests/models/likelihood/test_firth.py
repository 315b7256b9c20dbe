"""Firth's bias reduction: published values, closed forms, and the penalised likelihood maximised by another route."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize
from sklearn.base import clone

from softreg import SoftmaxRegression, infer, load
from softreg.optimize import Status

# 79 cases of endometrial cancer: pulsatility index, endometrium height, and which rows have neovasculation and a high
# histology grade. Heinze and Schemper (2002), A solution to the problem of separation in logistic regression.
PULSATILITY = [
    13, 16, 8, 34, 20, 5, 17, 10, 26, 17, 8, 7, 20, 10, 18, 16, 18, 8, 29, 12, 20, 38, 22, 7, 25, 15, 7, 28, 11, 19,
    10, 10, 18, 14, 21, 11, 17, 25, 16, 19, 15, 33, 24, 48, 12, 19, 2, 22, 40, 5, 0, 21, 15, 29, 15, 12, 3, 20, 23,
    12, 22, 42, 15, 13, 14, 19, 12, 13, 10, 12, 49, 6, 5, 17, 11, 21, 5, 19, 33,
]  # fmt: skip
HEIGHT = [
    1.64, 2.26, 3.14, 2.68, 1.28, 2.31, 1.8, 1.68, 1.56, 2.31, 2.01, 1.89, 3.15, 1.23, 1.27, 1.76, 2, 2.64, 0.88,
    1.27, 1.37, 0.97, 1.14, 0.88, 0.91, 0.58, 0.97, 1.5, 1.33, 2.37, 1.82, 3.13, 1.31, 1.92, 1.64, 2.01, 1.88, 1.93,
    2.11, 1.29, 1.72, 0.75, 1.92, 1.84, 1.11, 1.61, 1.18, 1.44, 1.18, 0.93, 1.17, 1.19, 1.06, 2.02, 2.29, 2.33, 2.9,
    1.7, 1.41, 2.25, 1.54, 1.97, 1.75, 2.16, 2.57, 1.37, 3.61, 2.04, 2.17, 1.69, 0.27, 1.84, 1.3, 0.96, 1.01, 0.98,
    0.35, 1.02, 0.85,
]  # fmt: skip
NEOVASCULATION = [21, 22, 23, 24, 25, 47, 48, 49, 50, 70, 74, 75, 77]
HIGH_GRADE = [
    17,
    18,
    19,
    20,
    21,
    22,
    23,
    24,
    25,
    26,
    43,
    44,
    45,
    46,
    47,
    48,
    49,
    50,
    51,
    52,
    69,
    70,
    71,
    72,
    73,
    74,
    75,
    76,
    77,
    78,
]


@pytest.fixture(scope="module")
def cancer() -> tuple[pd.DataFrame, np.ndarray]:
    X = pd.DataFrame({"NV": np.zeros(79), "PI": np.array(PULSATILITY, float), "EH": HEIGHT})
    X.loc[NEOVASCULATION, "NV"] = 1.0
    y = np.zeros(79, dtype=int)
    y[HIGH_GRADE] = 1
    return X, y


def test_the_published_fit_of_endometrial_cancer(cancer):
    """The figures that the R packages logistf and brglm2 print; without a penalty the weight of NV is infinite."""
    X, y = cancer
    found = infer(SoftmaxRegression(penalty="firth").fit(X, y), X, y)
    assert found.columns == ("(intercept)", "NV", "PI", "EH")
    assert_allclose(found.coefficients.estimate, [[3.77456, 2.92927, -0.03475, -2.60416]], atol=6e-6)
    assert_allclose(found.coefficients.std_error, [[1.48869, 1.55076, 0.03958, 0.77602]], atol=6e-6)
    assert -2 * found.log_likelihood == pytest.approx(56.575, abs=6e-4)
    assert -2 * found.null_log_likelihood == pytest.approx(104.903, abs=6e-4)


def test_the_published_intervals_of_endometrial_cancer(cancer):
    """By the profile of the penalised likelihood, as logistf prints them, with twice its fall for a weight of zero."""
    X, y = cancer
    found = infer(SoftmaxRegression(penalty="firth").fit(X, y), X, y).profile()
    assert_allclose(found.lower, [[1.08254, 0.60973, -0.12446, -4.36518]], atol=6e-6)
    assert_allclose(found.upper, [[7.20928, 7.85463, 0.04046, -1.23272]], atol=6e-6)
    assert_allclose(found.z**2, [[8.19801, 6.79846, 0.74683, 17.75932]], rtol=1e-5)
    assert np.sign(found.z).tolist() == [[1, 1, -1, -1]]


def reference(X: np.ndarray, y: np.ndarray, q: int, held: tuple[int, ...] = ()) -> tuple[np.ndarray, float]:
    """The maximum of log likelihood + log det(information) / 2 by a general optimiser, classes against the first."""
    Z = np.column_stack([np.ones(len(X)), X])
    free = np.setdiff1d(np.arange(Z.shape[1]), np.array(held, dtype=int) + 1)

    def negative(b: np.ndarray) -> float:
        theta = np.zeros((q - 1, Z.shape[1]))
        theta[:, free] = b.reshape(q - 1, -1)
        o = np.column_stack([np.zeros(len(X)), Z @ theta.T])
        log_p = o - np.logaddexp.reduce(o, axis=1)[:, None]
        P = np.exp(log_p)[:, 1:]
        bend = P[:, :, None] * np.eye(q - 1) - P[:, :, None] * P[:, None, :]
        I = np.einsum("iab,ij,ik->ajbk", bend, Z, Z).reshape((q - 1) * Z.shape[1], -1)
        return float(-log_p[np.arange(len(y)), y].sum() - np.linalg.slogdet(I)[1] / 2)

    best = minimize(negative, np.zeros((q - 1) * len(free)), method="BFGS", options={"gtol": 1e-7})
    return best.x.reshape(q - 1, -1), -float(best.fun)


def rows(q: int, apart: bool = False, n: int = 40, seed: int = 2) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    X = random.normal(size=(n, 2))
    o = 2 * X @ random.normal(size=(2, q))
    y = (o if apart else o + random.gumbel(size=(n, q))).argmax(axis=1)
    return X, y


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("q", [2, 3, 4])
def test_the_maximum_is_that_of_another_route(q, apart):
    X, y = rows(q, apart)
    model = SoftmaxRegression(penalty="firth").fit(X, y)
    b, top = reference(X, y, q)
    found = infer(model, X, y)
    assert_allclose(found.coefficients.estimate, b, atol=2e-4)  # what the other's differences of the objective allow
    assert_allclose(model.coef_.sum(axis=0), 0, atol=1e-10)
    held = reference(X, y, q, held=(1,))[1]
    test = found.likelihood_ratio([1])
    assert (test.kind, test.df) == ("penalised likelihood ratio", q - 1)
    assert test.statistic == pytest.approx(2 * (top - held), abs=1e-5)


@pytest.mark.parametrize("counts", [(10, 5, 7, 0), (4, 4, 4, 4), (1, 0, 0, 1)])
def test_a_table_gets_half_a_case_in_each_cell(counts):
    """In a saturated model Jeffreys' prior adds 1/2 to each count (Haldane 1956; Firth 1993)."""
    X, y = np.repeat([[0.0], [0.0], [1.0], [1.0]], counts, axis=0), np.repeat([0, 1, 0, 1], counts)
    model = SoftmaxRegression(penalty="firth").fit(X, y)
    a, b, c, d = np.array(counts) + 0.5
    assert_allclose(model.predict_proba([[0.0], [1.0]]), [[a / (a + b), b / (a + b)], [c / (c + d), d / (c + d)]])


def test_several_classes_in_a_table_too():
    counts = np.array([[5, 0, 3, 2], [0, 0, 4, 4], [1, 7, 0, 0]])
    X = np.repeat(np.repeat(np.eye(3)[:, 1:], 4, axis=0), counts.ravel(), axis=0)
    y = np.repeat(np.tile(np.arange(4), 3), counts.ravel())
    P = SoftmaxRegression(penalty="firth").fit(X, y).predict_proba(np.eye(3)[:, 1:])
    assert_allclose(P, (counts + 0.5) / (counts + 0.5).sum(axis=1, keepdims=True), atol=1e-9)


def test_weights_are_rows_given_several_times():
    X, y = rows(3)
    v = np.arange(40) % 3
    v[:10] = 2
    again = np.repeat(np.arange(40), v)
    once, twice = SoftmaxRegression(penalty="firth"), SoftmaxRegression(penalty="firth")
    assert_allclose(once.fit(X, y, v).coef_, twice.fit(X[again], y[again]).coef_, rtol=1e-8)
    doubled = clone(once).fit(X, y, 2.0)
    assert_allclose(doubled.coef_, twice.fit(np.vstack([X, X]), np.r_[y, y]).coef_, rtol=1e-8)
    infer(doubled, X, y, 2.0)
    with pytest.raises(ValueError, match="from the optimum"):
        infer(doubled, X, y)


def test_it_is_an_estimator_like_any_other(tmp_path):
    X, y = rows(3, apart=True)
    model = SoftmaxRegression(penalty="firth").fit(X, np.array(["a", "b", "c"])[y])
    assert model.solution_.status is Status.STATIONARY
    assert model.solution_.within_tolerance
    assert not model.solution_.converged  # which stands on a proof alone
    assert model.solution_.bound == "estimate"
    model.save(tmp_path / "m.softreg")
    assert_allclose(load(tmp_path / "m.softreg").predict_proba(X), model.predict_proba(X))
    assert "Firth" in str(infer(model, X, np.array(["a", "b", "c"])[y]).summary())
    far = SoftmaxRegression(penalty="firth").fit(X * [1e-4, 1e5] + [1e3, 1e9], y)
    assert_allclose(far.predict_proba(X * [1e-4, 1e5] + [1e3, 1e9]), model.predict_proba(X), atol=1e-5)
    warm = SoftmaxRegression(penalty="firth", warm_start=True).fit(X, y)
    assert warm.fit(X, y).n_iter_ < 4


@pytest.mark.parametrize(
    ("act", "told"),
    [
        (lambda m, X, y: m.partial_fit(X, y), "needs all rows at once"),
        (lambda m, X, y: m.fit(np.column_stack([X, X[:, 0]]), y), "'column 2': constant, or a linear combination"),
        (lambda m, X, y: infer(m.fit(X, y), X, y).likelihood_ratio(nested=infer(m, X, y)), "name the columns to drop"),
    ],
)
def test_misuse_is_named(act: Callable[..., object], told: str) -> None:
    X, y = rows(2)
    with pytest.raises(ValueError, match=told):
        act(SoftmaxRegression(penalty="firth"), X, y)
