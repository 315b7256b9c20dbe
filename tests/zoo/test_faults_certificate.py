"""Faults of certificates and of the engine's numbers: each test fails where the fault is back."""

from __future__ import annotations

import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.exceptions import ConvergenceWarning

from softreg import SoftmaxRegression
from softreg.cli.console.result_table import certificate_text
from softreg.optimize import Status, l2, minimise
from softreg.optimize.curvature.subsampled import SubsampledCurvature
from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.problem.limits import LIMITS
from softreg.optimize.problem.standardization import standardise
from softreg.optimize.solvers.orthant_lbfgs import OrthantLBFGS
from softreg.rows import as_rows

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

Array = Any


def near_twins(difference: float, dtype: Any = np.float64, n: int = 1500) -> tuple[Array, Array]:
    """Rows (n, 40) whose first two columns differ by this much, and labels of five classes."""
    random = np.random.default_rng(0)
    X = random.normal(size=(n, 40))
    X[:, 1] = X[:, 0] + difference * random.normal(size=n)
    o = X @ (0.5 * random.normal(size=(40, 5)))
    return X.astype(dtype), (o + random.gumbel(size=o.shape)).argmax(axis=1)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("difference", [1e-5, 1e-7, 0.0])
@pytest.mark.parametrize("home", ["dense", "CSR"])
def test_fault_a20_converged_stands_on_a_proof_without_a_penalty(home: str, difference: float, dtype: Any) -> None:
    from certificates import Problem, Reference

    X, y = near_twins(difference, dtype, n=600)
    given = sp.csr_array(X) if home == "CSR" else X
    model = SoftmaxRegression(penalty=None).fit(given, y)
    assert model.solution_.converged
    assert model.solution_.bound == "self-concordance"
    settings = {"penalty": None, "fit_intercept": True}
    reference = Reference(Problem(0, X, y, None, settings, ""))
    value, allowance = reference.user_value(model.coef_.T, model.intercept_)
    true = value - reference.lower(reference.theta(model.coef_.T, model.intercept_))
    assert true <= model.solution_.gap + allowance


def test_fault_a20_members_of_a_stack_are_proved_one_by_one() -> None:
    X, y = near_twins(1e-5, n=600)
    V = np.random.default_rng(1).multinomial(len(y), np.full(len(y), 1 / len(y)), size=3).astype(float)
    fits = minimise(as_rows(X, y, V), 5, l2(np.array([0.0, 0.1, 0.0])))
    assert all(fit.converged and fit.certified for fit in fits)
    for weights, fit, strength in zip(V, fits, (0.0, 0.1, 0.0), strict=True):
        (alone,) = minimise(as_rows(X, y, weights[None]), 5, l2(strength), tol=1e-10)
        assert abs(fit.value - alone.value) <= fit.gap + alone.gap


def test_fault_a20_a_hessian_that_is_too_large_is_said() -> None:
    random = np.random.default_rng(0)
    X, y = random.normal(size=(3000, 80)), random.integers(51, size=3000)
    message = r"(?s)estimated, not certified.*more than 4,000 parameters \(here 4,050\).*L2 penalty"
    with pytest.warns(ConvergenceWarning, match=message):
        model = SoftmaxRegression(penalty=None).fit(X, y)
    solution = model.solution_
    assert (solution.status, solution.converged, solution.certified) == (Status.UNCERTIFIED, False, False)
    assert "estimated, not certified" in certificate_text(solution)
    restored = SoftmaxRegression.from_state(*model.to_state())
    assert restored.solution_.status is Status.UNCERTIFIED


def test_fault_a20_a_hessian_of_some_rows_proves_too() -> None:
    X, y = near_twins(1e-1, n=6000)
    limits = replace(LIMITS, certify_multiplications=0.5 * 6000 * 41**2 * 10)
    (fit,) = minimise(as_rows(X, y), 5, l2(0.0), limits=limits)
    (exact,) = minimise(as_rows(X, y), 5, l2(0.0), solver="newton", tol=1e-12)
    assert (fit.converged, fit.certified) == (True, True)
    assert fit.value - exact.value <= fit.gap


@pytest.mark.parametrize("n", [300, 3000])
@pytest.mark.parametrize("home", ["dense", "CSR", "tensor"])
def test_fault_a21_predictions_keep_their_digits(n: int, home: str) -> None:
    X, y = near_twins(1e-7, np.float32, n)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = SoftmaxRegression(penalty=None).fit(X, y)
    assert np.abs(model.coef_).max() > 1e4
    if home == "tensor":
        torch = pytest.importorskip("torch", reason="PyTorch is not installed")
        found = model.predict_proba(torch.from_numpy(X)).numpy()
    else:
        found = model.predict_proba(sp.csr_array(X) if home == "CSR" else X)
    o = X.astype(np.longdouble) @ model.coef_.T.astype(np.longdouble) + model.intercept_
    P = np.exp(o - o.max(axis=1, keepdims=True))
    np.testing.assert_allclose(found, (P / P.sum(axis=1, keepdims=True)).astype(float), atol=1e-6)


def test_fault_b6_a_second_objective_on_the_same_rows_does_not_disturb_the_first() -> None:
    random = np.random.default_rng(0)
    rows, coordinates = standardise(as_rows(random.normal(size=(50, 3)), np.arange(50) % 3), centred=True)
    first = Objective(rows, 3, l2(1.0), coordinates)
    theta = random.normal(size=(1, 3, 4))
    first.place(theta)
    before = first.gradient()
    second = Objective(rows, 3, l2(1.0), coordinates)
    second.place(np.zeros_like(theta))
    for now, then in zip(first.gradient(), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_fault_b5_a_block_that_is_not_positive_definite_has_a_factor() -> None:
    B = np.array([[1.0, 2.0], [2.0, 1.0]])  # what rounding makes of a block on columns of very different scale
    strategy = OrthantLBFGS(SubsampledCurvature(as_rows(np.zeros((2, 2)), np.array([0, 1]))))
    L = strategy._factor(0, 0, B, np.arange(2))
    assert np.isfinite(L).all()
    assert (np.diag(L) > 0).all()


@pytest.mark.parametrize("strength", [1e-2, 1e-4])
def test_fault_f7_an_l1_part_without_a_bias_ends_at_the_optimum(strength: float) -> None:
    from certificates import Problem, check

    random = np.random.default_rng(0)
    X = random.normal([40.0, 17.0, 200.0, 4200.0], [5.0, 2.0, 14.0, 800.0], (120, 4)) * [1.0, 1e-3, 1.0, 1.0]
    X[random.random(X.shape) < 0.02] = 4000.0
    y = (X[:, 2] + 20 * random.normal(size=120) > 200).astype(int) + (X[:, 3] > 4500)
    settings = {"penalty": "l1", "strength": strength, "fit_intercept": False, "tol": 1e-6}
    found = check(Problem(0, X, y, None, settings, ""), thorough=False)
    assert (found.status, found.fault) == ("converged", "")
