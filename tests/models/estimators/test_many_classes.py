"""SoftmaxRegression with hundreds of classes: files, progress, starts and what is done after the fit."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

import softreg
from softreg import SoftmaxRegression
from softreg.rows.kernels import products as kernels

Array = NDArray[Any]
STRENGTH = 1e-2
PLANS = {"sparse": "wide-dual-ascent", "dense": "streamed-lbfgs"}


def data(kind: str, dtype: Any = np.float64) -> tuple[Any, Array]:
    """Return rows with text labels of 520 classes."""
    random, q, n = np.random.default_rng(0), 520, 900
    y = np.r_[np.arange(q), random.integers(0, q, n - q)]
    X = np.abs(random.normal(size=(n, 20)) + random.normal(size=(q, 20))[y]).astype(dtype)
    if kind == "sparse":
        X[random.random(X.shape) < 0.7] = 0
        X = sp.csr_array(X)
    return X, np.array([f"class {c:03d}" for c in range(q)])[y]


@pytest.fixture(params=list(PLANS))
def kind(request: pytest.FixtureRequest) -> str:
    """Sparse or dense rows."""
    if request.param == "sparse" and kernels._module is None:
        pytest.skip("no compiled kernels here")
    return str(request.param)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_model_of_many_classes_and_its_file(kind: str, dtype: Any, tmp_path: Path) -> None:
    X, y = data(kind, dtype)
    model = SoftmaxRegression(strength=STRENGTH).fit(X, y)
    assert model.solution_.plan is not None
    assert model.solution_.plan.name == PLANS[kind]
    assert model.solution_.converged
    assert model.coef_.shape == (520, 20)
    P = model.predict_proba(X)
    np.testing.assert_allclose(P.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(model.predict(X), model.classes_[P.argmax(axis=1)])
    rates = np.unique(y, return_counts=True)[1] / len(y)
    np.testing.assert_allclose(P.mean(axis=0), rates, atol=1e-3)  # an intercept without a penalty
    model.save(tmp_path / "model.softreg")
    again: Any = softreg.load(tmp_path / "model.softreg")
    np.testing.assert_array_equal(again.predict_proba(X), P)
    assert again.solution_.history == model.solution_.history
    assert again.solution_.gap == model.solution_.gap


def test_progress_has_no_nan(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    X, y = data(kind)
    model = SoftmaxRegression(strength=STRENGTH, verbose=1).fit(X, y)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) >= len(model.solution_.history) > 0
    for line in lines:
        assert re.fullmatch(r"pass +\d+   (objective \d+\.\d{8}   )?gap \S+   \d+\.\d s", line), line
    assert "nan" not in "".join(lines)
    assert f"objective {model.solution_.value:.8f}" in lines[-1]


def test_warm_starts_also_without_the_intercept_of_before(kind: str) -> None:
    X, y = data(kind)
    model = SoftmaxRegression(strength=STRENGTH, warm_start=True, tol=1e-5).fit(X, y)
    first = model.solution_
    again = model.fit(X, y).solution_
    assert again.converged
    assert again.n_iter <= first.n_iter // 2
    model.set_params(fit_intercept=False).fit(X, y)
    fresh = SoftmaxRegression(strength=STRENGTH, tol=1e-5, fit_intercept=False).fit(X, y)
    np.testing.assert_array_equal(model.intercept_, 0)
    assert model.solution_.converged
    assert model.solution_.value == pytest.approx(fresh.solution_.value, abs=2e-5)


@pytest.mark.parametrize("tol", [1e-2, 1e-9])
def test_tolerances(kind: str, tol: float) -> None:
    X, y = data(kind)
    solution = SoftmaxRegression(strength=STRENGTH, tol=tol).fit(X, y).solution_
    assert solution.converged
    assert solution.gap <= tol
    assert solution.plan is not None
    assert (solution.plan.name == PLANS[kind]) == (tol > 1e-6)


def test_few_iterations_are_told(kind: str) -> None:
    X, y = data(kind)
    with pytest.warns(ConvergenceWarning, match="stopped at max_iter after .* passes: .* within .* nats"):
        model = SoftmaxRegression(strength=STRENGTH, max_iter=1).fit(X, y)
    assert model.solution_.gap > 1e-6
    assert np.isfinite(model.solution_.gap)
    assert np.isfinite(model.coef_).all()


def test_weights_of_rows_and_classes(kind: str) -> None:
    """A weight of 2 is the row twice, and balanced classes have equal mean probabilities."""
    X, y = data(kind)
    weights = np.r_[np.ones(520), np.tile([0.0, 2.0], 190)]
    stacked = sp.vstack if kind == "sparse" else np.vstack
    twice = weights == 2
    weighted = SoftmaxRegression(strength=STRENGTH).fit(X, y, sample_weight=weights)
    repeated = SoftmaxRegression(strength=STRENGTH).fit(
        sp.csr_array(stacked([X[weights > 0], X[twice]])) if kind == "sparse" else stacked([X[weights > 0], X[twice]]),
        np.r_[y[weights > 0], y[twice]],
    )
    assert weighted.solution_.plan is not None
    assert weighted.solution_.plan.name == PLANS[kind]
    assert weighted.solution_.value == pytest.approx(repeated.solution_.value, abs=3e-6)
    balanced = SoftmaxRegression(strength=STRENGTH, class_weight="balanced").fit(X, y)
    count = dict(zip(*np.unique(y, return_counts=True), strict=True))
    share = np.array([1 / count[label] for label in y])
    np.testing.assert_allclose(np.average(balanced.predict_proba(X), axis=0, weights=share), 1 / 520, atol=2e-3)


def test_batches_after_a_fit(kind: str) -> None:
    X, y = data(kind)
    model = SoftmaxRegression(strength=STRENGTH).fit(X, y)
    model.partial_fit(X[:300], y[:300])
    assert np.isfinite(model.predict_proba(X)).all()


def test_plans_by_name(kind: str) -> None:
    X, y = data(kind)
    other = next(plan for plan in PLANS.values() if plan != PLANS[kind])
    plan = SoftmaxRegression(strength=STRENGTH, solver="lbfgs").fit(X, y).solution_.plan
    assert plan is not None
    assert plan.name == PLANS[kind]
    with pytest.raises(ValueError, match=f"solver='{other}' cannot minimise .* it needs .* rows in memory"):
        SoftmaxRegression(strength=STRENGTH, solver=other).fit(X, y)


def test_without_compiled_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = data("dense")
    compiled = SoftmaxRegression(strength=STRENGTH, tol=1e-5).fit(X, y)
    monkeypatch.setattr(kernels, "_module", None)
    for rows, plan in ((X, "streamed-lbfgs"), (sp.csr_array(X), "lbfgs-clusters")):
        model = SoftmaxRegression(strength=STRENGTH, tol=1e-5).fit(rows, y)
        assert model.solution_.plan is not None
        assert model.solution_.plan.name == plan
        assert model.solution_.value == pytest.approx(compiled.solution_.value, abs=2e-5)
