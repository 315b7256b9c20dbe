"""Fits of both plans for many classes: near the minimum of other methods, with certificates that hold."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression

from softreg.optimize import Progress, Solution, Status, l2, minimise
from softreg.optimize.many_classes.streamed_fit import SINGLE_TOLERANCE
from softreg.rows import as_rows
from softreg.rows.kernels import products as kernels

Array = NDArray[Any]
PLANS = ["wide-dual-ascent", "streamed-newton", "streamed-lbfgs"]
ROUNDING = 1e-6
"""Nats by which float32 sums and rounded dual probabilities may be wrong, relative to the objective."""


@dataclass(frozen=True)
class Case:
    """A problem of many classes."""

    n: int = 400
    d: int = 12
    q: int = 40
    strength: float = 1e-2
    tol: float = 1e-6
    density: float = 0.4
    dtype: Any = np.float64
    weights: str = ""
    fit_intercept: bool = True
    labels: str = ""
    columns: str = ""
    size: float = 1.0


CASES = {
    "plain": Case(),
    "float32": Case(dtype=np.float32),
    "two classes": Case(q=2),
    "more classes than a slab": Case(n=600, q=150),
    "a class for each row": Case(n=130, q=130),
    "one column": Case(d=1),
    "sample weights with zeros": Case(weights="zeros"),
    "small sample weights": Case(weights="small"),
    "rare classes": Case(labels="rare"),
    "imbalanced classes": Case(labels="geometric", q=20, n=800),
    "no intercept": Case(fit_intercept=False),
    "no intercept, weights": Case(fit_intercept=False, weights="zeros", dtype=np.float32),
    "no intercept, constant column": Case(fit_intercept=False, columns="constant"),
    "duplicated rows": Case(columns="duplicated"),
    "constant column": Case(columns="constant", tol=1e-5),
    "rows and columns of zeros": Case(columns="zeros"),
    "columns of different scales": Case(columns="scales", strength=0.1),
    "strong penalty": Case(strength=100.0),
    "weak penalty": Case(strength=1e-4, n=800, q=10),
    "confident": Case(strength=1e-3, size=10.0, tol=1e-5),
    "loose": Case(tol=1e-2),
    "nothing but the bias": Case(columns="all zero"),
}


@cache
def draw(case: Case) -> tuple[Array, Array, Array | None]:
    """Return rows, codes and row weights of a case."""
    random = np.random.default_rng(7)
    X = random.normal(size=(case.n, case.d)) * (random.random((case.n, case.d)) < case.density)
    if case.columns == "constant":
        X[:, 0] = 3
    if case.columns == "zeros":
        X[: case.n // 3] = X[:, :4] = 0
    if case.columns == "all zero":
        X[:] = 0
    if case.columns == "scales":
        X *= 10.0 ** np.linspace(-2, 1, case.d)
    o = case.size * X @ random.normal(size=(case.d, case.q)) + random.gumbel(size=(case.n, case.q))
    y = o.argmax(axis=1)
    if case.labels == "rare":
        y %= 5
    if case.labels == "geometric":
        y = np.minimum(random.geometric(0.4, case.n) - 1, case.q - 1)
    if case.columns == "duplicated":
        X[case.n // 2 :] = X[: case.n // 2]
    every = random.permutation(case.n)[: case.q]
    y[every] = np.arange(case.q)
    v = None
    if case.weights:
        v = random.integers(0, 3, case.n).astype(float)
        v[every] = 1
        v *= 1e-3 if case.weights == "small" else 1
    return X.astype(case.dtype), y, v


def rows_of(X: Array, y: Array, v: Array | None, plan: str) -> Any:
    """Return rows as the plan needs them."""
    return as_rows(sp.csr_array(X) if plan == "wide-dual-ascent" else X, y, v)


def objective(X: Array, y: Array, v: Array | None, W: Array, b: Array, strength: float) -> float:
    """Return the objective in float64."""
    W = W.astype(float)
    o = X.astype(float) @ W + b
    lost = logsumexp(o, axis=1) - o[np.arange(len(y)), y]
    return float(np.average(lost, weights=v) + strength / 2 * (W**2).sum())


def least(X: Array, y: Array, v: Array | None, q: int, strength: float, fit_intercept: bool) -> float:
    """Return a value within 1e-9 nats of the minimum, by another plan."""
    rows = as_rows(X.astype(float), y, None if v is None else v[None])
    (fit,) = minimise(rows, q, l2(strength), solver="lbfgs-sampled", tol=1e-9, max_iter=5000,
                      fit_intercept=fit_intercept)  # fmt: skip
    assert fit.converged
    assert fit.gap <= 1e-9
    return objective(X, y, v, fit.W, fit.b, strength)


def skip_without_kernels(plan: str) -> None:
    if plan == "wide-dual-ascent" and kernels._module is None:
        pytest.skip("no compiled kernels here")


def check(fit: Solution, value: float, minimum: float) -> None:
    """Check that the value is that of the weights and that the certificate holds."""
    rounding = ROUNDING * max(1.0, abs(value))
    assert fit.value == pytest.approx(value, abs=rounding)
    assert value - minimum <= fit.gap + rounding
    assert value >= minimum - 1e-9 - rounding


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("plan", PLANS)
def test_the_minimum_and_its_certificate(plan: str, name: str) -> None:
    skip_without_kernels(plan)
    case = CASES[name]
    X, y, v = draw(case)
    rows = rows_of(X, y, None if v is None else v[None], plan)
    (fit,) = minimise(
        rows, case.q, l2(case.strength), solver=plan, tol=case.tol, fit_intercept=case.fit_intercept, max_iter=2000
    )
    assert fit.plan is not None
    assert fit.plan.name == plan
    assert fit.status is Status.CONVERGED
    assert fit.gap <= case.tol
    fine = plan in ("streamed-newton", "streamed-lbfgs") and case.tol < SINGLE_TOLERANCE
    assert fit.W.dtype == (np.float64 if fine else case.dtype)
    minimum = least(X, y, v, case.q, case.strength, case.fit_intercept)
    value = objective(X, y, v, fit.W, fit.b, case.strength)
    check(fit, value, minimum)
    assert value <= minimum + case.tol + ROUNDING * max(1.0, value)
    if not case.fit_intercept:
        np.testing.assert_array_equal(fit.b, 0)


@pytest.mark.parametrize("plan", PLANS)
def test_probabilities_of_scikit_learn(plan: str) -> None:
    skip_without_kernels(plan)
    case = Case(n=500, q=30)
    X, y, _ = draw(case)
    (fit,) = minimise(rows_of(X, y, None, plan), case.q, l2(case.strength), solver=plan, tol=1e-6)
    peer = LogisticRegression(C=1 / (case.n * case.strength), tol=1e-8, max_iter=2000).fit(X, y)
    o = X @ fit.W + fit.b
    P = np.exp(o - logsumexp(o, axis=1, keepdims=True))
    np.testing.assert_allclose(P, peer.predict_proba(X), atol=2e-3)
    value = objective(X, y, None, peer.coef_.T, peer.intercept_, case.strength)
    assert fit.value <= value + 1e-6


@pytest.mark.parametrize("plan", PLANS)
def test_a_stack_of_two_strengths_with_their_own_weights(plan: str) -> None:
    skip_without_kernels(plan)
    case, strengths = Case(weights="zeros"), (0.1, 0.003)
    X, y, v = draw(case)
    assert v is not None
    V = np.stack([v, np.where(v > 0, 3 - v, 0.0)])
    for weights in (V, V[:1], None):
        fits = minimise(rows_of(X, y, weights, plan), case.q, l2(np.array(strengths)), solver=plan, tol=1e-6)
        for j, (fit, strength) in enumerate(zip(fits, strengths, strict=True)):
            own = None if weights is None else weights[j % len(weights)]
            assert fit.converged
            minimum = least(X, y, own, case.q, strength, True)
            check(fit, objective(X, y, own, fit.W, fit.b, strength), minimum)


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_warm_starts(plan: str, fit_intercept: bool) -> None:
    """At the optimum few steps are left; far from it, and with a bias that has no place, the minimum is the same."""
    skip_without_kernels(plan)
    case, random = Case(), np.random.default_rng(3)
    X, y, v = draw(case)
    minimum = least(X, y, v, case.q, case.strength, fit_intercept)
    rows, penalty = rows_of(X, y, None, plan), l2(case.strength)
    (cold,) = minimise(rows, case.q, penalty, solver=plan, fit_intercept=fit_intercept)
    W, b = cold.W[None], cold.b[None]
    noise = random.normal(size=W.shape)
    starts = {"optimum": (W, b), "near": (W + 0.01 * noise, b + 0.1), "other bias": (W, b + random.normal(size=40)),
              "elsewhere": (noise, b), "absurd": (1e4 * noise, b)}  # fmt: skip
    for name, start in starts.items():
        given = tuple(part.copy() for part in start)
        (fit,) = minimise(rows, case.q, penalty, solver=plan, fit_intercept=fit_intercept, start=start)
        assert fit.converged, name
        check(fit, objective(X, y, v, fit.W, fit.b, case.strength), minimum)
        np.testing.assert_array_equal(start[0], given[0])  # the start is the caller's
        np.testing.assert_array_equal(start[1], given[1])
        if name == "optimum":
            assert fit.n_iter <= max(2, cold.n_iter // 3)


def test_soft_labels_of_the_dual() -> None:
    skip_without_kernels("wide-dual-ascent")
    case = Case(n=200)
    X, y, _ = draw(case)
    Y = 0.7 * np.eye(case.q)[y] + 0.3 * np.random.default_rng(0).dirichlet(np.ones(case.q), case.n)
    found = []
    for store, plan, tol in ((sp.csr_array, "wide-dual-ascent", 1e-6), (np.asarray, "lbfgs-sampled", 1e-9)):
        (fit,) = minimise(as_rows(store(X), Y), case.q, l2(case.strength), solver=plan, tol=tol)
        assert fit.converged
        found.append(fit.value)
    assert found[0] == pytest.approx(found[1], abs=2e-6)


# --- certificates -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("max_iter", [1, 2, 3])
@pytest.mark.parametrize("fit_intercept", [False, True])
def test_certificates_of_fits_that_were_stopped(plan: str, max_iter: int, fit_intercept: bool) -> None:
    skip_without_kernels(plan)
    case = Case(strength=1e-3)
    X, y, v = draw(case)
    (fit,) = minimise(rows_of(X, y, None, plan), case.q, l2(case.strength), solver=plan, max_iter=max_iter, tol=1e-6,
                      fit_intercept=fit_intercept)  # fmt: skip
    assert fit.status is Status.STOPPED
    assert fit.n_iter == max_iter
    assert fit.gap > 1e-6
    assert fit.history[-1].gap == fit.gap
    assert all(np.isfinite(record.value) for record in fit.history)
    check(fit, objective(X, y, v, fit.W, fit.b, case.strength), least(X, y, v, case.q, case.strength, fit_intercept))


@pytest.mark.parametrize("plan", PLANS)
@settings(max_examples=25)
@given(
    n=st.integers(2, 60),
    d=st.integers(1, 8),
    q=st.integers(2, 12),
    log_strength=st.floats(-3, 1),
    log_tol=st.floats(-6, -1),
    fit_intercept=st.booleans(),
    weighted=st.booleans(),
    single=st.booleans(),
    steps=st.integers(1, 60),
    seed=st.integers(0, 1000),
)
def test_no_certificate_is_below_the_true_gap(
    plan: str,
    n: int,
    d: int,
    q: int,
    log_strength: float,
    log_tol: float,
    fit_intercept: bool,
    weighted: bool,
    single: bool,
    steps: int,
    seed: int,
) -> None:
    skip_without_kernels(plan)
    random, q = np.random.default_rng(seed), min(n, q)
    X = random.normal(size=(n, d)) * (random.random((n, d)) < 0.6)
    y = random.integers(0, q, n)
    y[:q] = np.arange(q)
    v = np.where(np.arange(n) < q, 1.0, random.integers(0, 3, n)) if weighted else None
    X = X.astype(np.float32 if single else np.float64)
    rows, strength = rows_of(X, y, None if v is None else v[None], plan), 10.0**log_strength
    (fit,) = minimise(rows, q, l2(strength), solver=plan, tol=10.0**log_tol, fit_intercept=fit_intercept,
                      max_iter=steps)  # fmt: skip
    minimum = least(X, y, v, q, strength, fit_intercept)
    check(fit, objective(X, y, v, fit.W, fit.b, strength), minimum)


# --- what the plans leave to others -----------------------------------------------------------------------------------


@pytest.mark.parametrize("plan", PLANS)
def test_a_class_without_rows_is_left_to_another_plan(plan: str) -> None:
    skip_without_kernels(plan)
    X, y, _ = draw(Case())
    y = np.where(y == 7, 8, y)
    (fit,) = minimise(rows_of(X, y, None, plan), 40, l2(0.01), solver=plan)
    assert fit.plan is not None
    assert fit.plan.name not in PLANS
    assert fit.converged


@pytest.mark.filterwarnings("ignore:.*encountered in:RuntimeWarning")
def test_rows_without_scatter_within_classes() -> None:
    """Where the start overflows float32, another plan gives the solution, not nan."""
    for n, d in ((2, 1), (5, 2), (130, 3)):
        X = np.random.default_rng(n).normal(size=(n, d)).astype(np.float32)
        (fit,) = minimise(as_rows(X, np.arange(n)), n, l2(0.01), solver="streamed-newton", tol=1e-5)
        assert np.isfinite(fit.W).all()
        assert fit.converged
        check(fit, objective(X, np.arange(n), None, fit.W, fit.b, 0.01), least(X, np.arange(n), None, n, 0.01, True))


def test_columns_far_from_zero_need_no_more_passes() -> None:
    X, y, _ = draw(Case(n=1500, q=300, d=10, density=1.0))
    passes = []
    for mean in (0, 25):
        far = (np.round(64 * X) / 64 + mean).astype(np.float32)
        (fit,) = minimise(as_rows(far, y), 300, l2(1e-3), solver="streamed-newton", tol=1e-5, max_iter=300)
        assert fit.converged
        passes.append(fit.passes)
    assert passes[1] <= 2 * passes[0]


@pytest.mark.parametrize("shift", [1e3, 1e7])
def test_rows_far_from_zero(shift: float) -> None:
    """Columns whose mean is far from zero, relative to their spread, in both precisions."""
    X, y, _ = draw(Case())
    for dtype in (np.float32, np.float64):
        far = (np.round(16 * X) + shift).astype(dtype)  # exact in float32
        (fit,) = minimise(as_rows(far, y), 40, l2(1.0), solver="streamed-newton", tol=1e-5)
        minimum = least((far.astype(float) - shift), y, None, 40, 1.0, True)
        assert fit.converged
        assert fit.value == pytest.approx(minimum, abs=2e-5)


@pytest.mark.parametrize("plan", PLANS)
def test_results_do_not_depend_on_threads(plan: str, monkeypatch: pytest.MonkeyPatch) -> None:
    skip_without_kernels(plan)
    X, y, _ = draw(Case(n=900, q=700))
    for dtype in (np.float32, np.float64):
        found = []
        for threads in ("1", "2", "2"):
            monkeypatch.setenv("SOFTREG_NUM_THREADS", threads)
            (fit,) = minimise(rows_of(X.astype(dtype), y, None, plan), 700, l2(0.01), solver=plan, tol=1e-4)
            found.append(fit)
        for other in found[1:]:
            np.testing.assert_array_equal(other.W, found[0].W)
            np.testing.assert_array_equal(other.b, found[0].b)
            assert (other.value, other.gap, other.n_iter) == (found[0].value, found[0].gap, found[0].n_iter)


@pytest.mark.parametrize("plan", PLANS)
def test_progress_is_reported_and_may_stop_a_fit(plan: str) -> None:
    skip_without_kernels(plan)
    X, y, _ = draw(Case())
    seen: list[Progress] = []
    (fit,) = minimise(rows_of(X, y, None, plan), 40, l2(0.01), solver=plan, on_progress=seen.append)
    passes = [record.passes for record in seen]
    assert passes == sorted(passes)
    assert seen[-1] == fit.history[-1]
    assert (seen[-1].value, seen[-1].gap, seen[-1].passes) == (fit.value, fit.gap, fit.passes)

    def stop(_: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        minimise(rows_of(X, y, None, plan), 40, l2(0.01), solver=plan, on_progress=stop)
