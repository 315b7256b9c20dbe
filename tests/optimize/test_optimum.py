"""One exact optimum: an honest certificate, the identities that hold there, and stacks equal to single fits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray

from softreg.optimize import Progress, Solution, Status, elastic_net, l2, minimise
from softreg.optimize.problem.limits import LIMITS
from softreg.probability import entropy, softmax
from softreg.rows import as_rows
from softreg.rows.memory import csr as sparse
from softreg.rows.memory import dense

Array = NDArray[Any]
Problem = Callable[..., tuple[Array, Array]]
Exact = Callable[..., tuple[Array, Array, float]]
Value = Callable[..., float]
SMOOTH = ("newton", "lbfgs")


def fit(X: Any, y: Array, q: int, penalty: Any, V: Array | None = None, **settings: Any) -> tuple[Solution, ...]:
    return minimise(as_rows(X, y, V), q, penalty, **settings)


# --- the certificate ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("home", [np.float64, np.float32, sp.csr_array, "csr float32"])
@pytest.mark.parametrize("solver", SMOOTH)
@pytest.mark.parametrize("strength", [1e-6, 1e-3, 1.0])
def test_the_gap_is_honest(
    home: Any, solver: str, strength: float, problem: Problem, exact: Exact, objective_value: Value
) -> None:
    X, y = problem(n=300)
    X = X.astype(np.float32).astype(np.float64)
    kept = sp.csr_array(X.astype(np.float32)) if home == "csr float32" else home(X)
    _, _, least = exact(X, y, 3, strength)
    for tol in (1.0, 1e-1, 1e-2, 1e-4, 1e-6, 1e-9):
        (found,) = fit(kept, y, 3, l2(strength), solver=solver, tol=tol)
        assert found.status is Status.CONVERGED
        assert found.converged
        assert found.certified
        above = objective_value(X, y, found.W, found.b, strength) - least
        assert above <= found.gap + 1e-12
        assert 0 <= found.gap <= tol
        digits = 1e-6 if kept.dtype == np.float32 else 1e-12  # the value is a sum of float32 losses there
        assert found.value == pytest.approx(least + above, abs=digits)


@pytest.mark.parametrize("home", [np.float64, np.float32, sp.csr_array])
@pytest.mark.parametrize("ratio", [1.0, 0.5, 0.01])
@pytest.mark.parametrize("strength", [1e-3, 3e-2])
def test_the_gap_is_honest_with_an_l1_part(
    home: Any, ratio: float, strength: float, problem: Problem, lasso: Callable[..., float], objective_value: Value
) -> None:
    X, y = problem(n=300, d=6)
    X = X.astype(np.float32).astype(np.float64)
    least = lasso(X, y, 3, strength * ratio, strength * (1 - ratio))
    for tol in (1e-1, 1e-3, 1e-5, 1e-8):
        (found,) = fit(home(X), y, 3, elastic_net(strength, ratio), tol=tol)
        assert found.converged
        assert found.certified
        above = objective_value(X, y, found.W, found.b, strength * (1 - ratio), strength * ratio) - least
        assert above <= found.gap + 1e-12
        assert found.gap <= tol
    assert above > -1e-7  # and the reference was near as well


@pytest.mark.parametrize("solver", SMOOTH)
@pytest.mark.parametrize("max_iter", [0, 1, 2])
def test_a_fit_that_is_stopped_says_how_far_it_may_be(
    solver: str, max_iter: int, problem: Problem, exact: Exact, objective_value: Value
) -> None:
    X, y = problem(n=300)
    _, _, least = exact(X, y, 3, 1e-2)
    (found,) = fit(X, y, 3, l2(1e-2), solver=solver, max_iter=max_iter, tol=1e-10)
    assert found.status is Status.STOPPED
    assert not found.converged
    assert found.n_iter == max_iter
    above = objective_value(X, y, found.W, found.b, 1e-2) - least
    assert 0 < above <= found.gap < np.inf
    assert found.certified
    assert found.value == pytest.approx(least + above, abs=1e-12)


def test_nothing_learned_yet_is_the_class_rates(problem: Problem) -> None:
    X, y = problem()
    (found,) = fit(X, y, 3, l2(1.0), max_iter=0)
    np.testing.assert_array_equal(found.W, 0.0)
    np.testing.assert_allclose(softmax(found.b), np.bincount(y) / len(y), rtol=1e-12)


@pytest.mark.parametrize("ratio", [0.0, 0.3])
@pytest.mark.parametrize("strength", [1e9, 1e3, 1e-9])
def test_huge_and_tiny_strengths(strength: float, ratio: float, problem: Problem) -> None:
    X, y = problem(size=0.5)
    (found,) = fit(X, y, 3, elastic_net(strength, ratio), tol=1e-8)
    assert found.converged
    if strength >= 1e3:
        rates = np.bincount(y) / len(y)
        assert found.value == pytest.approx(entropy(rates), rel=1e-3)
        assert np.abs(found.W).max() < 2 / strength
    else:
        (free,) = fit(X, y, 3, l2(0.0), tol=1e-8)
        np.testing.assert_allclose(softmax(X @ found.W + found.b), softmax(X @ free.W + free.b), atol=1e-4)


def test_history_tells_of_passes_values_and_gaps(problem: Problem) -> None:
    X, y = problem()
    seen: list[Progress] = []
    (found,) = fit(X, y, 3, l2(1e-3), solver="lbfgs", on_progress=seen.append)
    assert tuple(seen) == found.history
    assert len(seen) >= 3
    passes, values = [p.passes for p in seen], [p.value for p in seen]
    assert passes == sorted(passes)
    assert passes[-1] <= found.passes
    assert values == sorted(values, reverse=True)
    assert seen[0].value == pytest.approx(np.log(3))
    assert [p.seconds for p in seen] == sorted(p.seconds for p in seen)


# --- what holds at the optimum ------------------------------------------------------------------------------------


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("solver", SMOOTH)
def test_identities_of_the_l2_optimum(soft: bool, weighted: bool, solver: str, problem: Problem) -> None:
    X, y = problem()
    random = np.random.default_rng(1)
    labels = random.dirichlet(np.ones(3), len(y)) if soft else y
    Y = labels if soft else np.eye(3)[y]
    v = random.uniform(0, 2, len(y)) if weighted else np.ones(len(y))
    (found,) = fit(X, labels, 3, l2(1e-2), V=v[None] if weighted else None, solver=solver, tol=1e-13)
    P = softmax(X @ found.W + found.b)
    share = v / v.sum()
    np.testing.assert_allclose(share @ P, share @ Y, atol=1e-9)  # mean prediction = class rates
    np.testing.assert_allclose(found.W.sum(axis=1), 0.0, atol=1e-10)
    np.testing.assert_allclose((share[:, None] * X).T @ (P - Y), -1e-2 * found.W, atol=1e-7)
    loss = share @ -(Y * np.log(P)).sum(axis=1)
    assert loss == pytest.approx(share @ entropy(P) - 1e-2 * (found.W**2).sum(), abs=1e-6)  # maximum entropy
    assert found.value == pytest.approx(loss + 0.5e-2 * (found.W**2).sum(), abs=1e-12)


def test_identities_of_the_lasso_optimum(problem: Problem) -> None:
    X, y = problem(d=6)
    (found,) = fit(X, y, 3, elastic_net(0.03, 1.0), tol=1e-13)
    A = X.T @ (softmax(X @ found.W + found.b) - np.eye(3)[y]) / len(y)
    assert (np.abs(A) <= 0.03 + 1e-6).all()
    np.testing.assert_allclose(A[found.W != 0], -0.03 * np.sign(found.W[found.W != 0]), atol=1e-6)
    assert 0 < (found.W == 0).sum() < found.W.size


@pytest.mark.parametrize("solver", SMOOTH)
def test_without_bias(solver: str, problem: Problem, exact: Exact) -> None:
    X, y = problem()
    X = X + 1.0
    W, _, least = exact(X, y, 3, 1e-2, fit_intercept=False)
    (found,) = fit(X, y, 3, l2(1e-2), fit_intercept=False, solver=solver, tol=1e-11)
    assert found.converged
    np.testing.assert_array_equal(found.b, 0.0)
    np.testing.assert_allclose(found.W, W, atol=1e-5)
    assert found.value == pytest.approx(least, abs=1e-10)


@pytest.mark.parametrize("ratio", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("home", [np.asarray, np.float32, sp.csr_array])
def test_without_bias_nothing_is_added_to_the_logits(home: Any, ratio: float, problem: Problem) -> None:
    X, y = problem(d=5)
    X = X + np.array([0, 1, 2, 0, 0])
    penalty = elastic_net(1e-2, ratio)
    found = [
        fit(home(X), y, 3, penalty, fit_intercept=False, solver=solver, tol=1e-8)[0]
        for solver in (SMOOTH if ratio == 0 else ("lbfgs",))
    ]
    padded = np.hstack([X, -X])  # another road to the same model space
    (again,) = fit(padded, y, 3, penalty, fit_intercept=False, solver="lbfgs", tol=1e-8)
    for each in found:
        np.testing.assert_array_equal(each.b, 0.0)
        assert each.converged
        assert each.value == pytest.approx(found[0].value, abs=1e-7)
        assert again.value <= each.value + 1e-7  # with more columns the penalty weighs less
    np.testing.assert_array_equal(again.b, 0.0)


@pytest.mark.parametrize("solver", SMOOTH)
def test_without_penalty(solver: str, problem: Problem, exact: Exact) -> None:
    X, y = problem()
    _, _, least = exact(X, y, 3, 0.0)
    (found,) = fit(X, y, 3, l2(0.0), solver=solver, tol=1e-9)
    assert found.converged
    assert found.value == pytest.approx(least, abs=1e-9)
    assert found.bound == "self-concordance"
    assert found.certified


# --- stacks and starts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("home", [np.asarray, sp.csr_array])
@pytest.mark.parametrize(("solver", "ratio"), [("newton", 0.0), ("lbfgs", 0.0), ("lbfgs", 1.0), ("lbfgs", 0.5)])
def test_a_stack_is_its_single_fits(home: Any, solver: str, ratio: float, problem: Problem) -> None:
    X, y = problem(n=300)
    strengths = np.array([1e-3, 1e-3, 0.1, 0.01])
    V = np.random.default_rng(0).integers(0, 3, size=(4, 300)).astype(float)
    V[0, :100] = 0.0  # a fold
    together = fit(home(X), y, 3, elastic_net(strengths, ratio), V=V, solver=solver, tol=1e-10)
    assert len(together) == 4
    for j, found in enumerate(together):
        (alone,) = fit(home(X), y, 3, elastic_net(strengths[j], ratio), V=V[j : j + 1], solver=solver, tol=1e-10)
        assert found.converged
        assert found.value == pytest.approx(alone.value, abs=2e-10)
        np.testing.assert_allclose(found.W, alone.W, atol=1e-3 if ratio else 3e-4)


def test_a_stack_of_strengths_shares_its_weights(problem: Problem) -> None:
    X, y = problem()
    v = np.random.default_rng(0).uniform(0, 2, (1, len(y)))
    together = fit(X, y, 3, l2(np.array([0.1, 0.01])), V=v, tol=1e-10)
    for strength, found in zip((0.1, 0.01), together, strict=True):
        (alone,) = fit(X, y, 3, l2(strength), V=v, tol=1e-10)
        assert found.value == pytest.approx(alone.value, abs=1e-10)


def test_a_stack_may_mix_smooth_and_l1(problem: Problem) -> None:
    X, y = problem()
    together = fit(X, y, 3, elastic_net(np.full(3, 0.02), np.array([0.0, 0.5, 1.0])), tol=1e-9)
    for ratio, found in zip((0.0, 0.5, 1.0), together, strict=True):
        (alone,) = fit(X, y, 3, elastic_net(0.02, ratio), tol=1e-9)
        assert found.converged
        assert found.value == pytest.approx(alone.value, abs=2e-9)


def test_a_fold_without_a_class_gives_it_no_mass(problem: Problem) -> None:
    X, y = problem()
    V = np.stack([np.ones(len(y)), (y != 1).astype(float)])
    for solver in SMOOTH:
        whole, fold = fit(X, y, 3, l2(np.full(2, 1e-2)), V=V, solver=solver)
        P = softmax(X @ fold.W + fold.b)
        assert P[:, 1].max() < 1e-4
        (two,) = fit(X[y != 1], np.where(y[y != 1] == 2, 1, 0), 2, l2(1e-2))
        np.testing.assert_allclose(P[:, [0, 2]], softmax(X @ two.W + two.b), atol=5e-3)
        assert fold.value <= two.value + 2e-6
        (alone,) = fit(X, y, 3, l2(1e-2), solver=solver)
        assert whole.value == pytest.approx(alone.value, abs=2e-6)


@pytest.mark.parametrize(("solver", "ratio"), [("newton", 0.0), ("lbfgs", 0.0), ("lbfgs", 0.5)])
def test_a_warm_start_ends_where_a_cold_one_does(solver: str, ratio: float, problem: Problem) -> None:
    X, y = problem()
    (cold,) = fit(X, y, 3, elastic_net(0.01, ratio), solver=solver, tol=1e-11)
    random = np.random.default_rng(0)
    for start in (
        (cold.W[None], cold.b[None]),
        (random.normal(size=(1, 4, 3)), random.normal(size=(1, 3))),
        (100 * random.normal(size=(1, 4, 3)), np.full((1, 3), -50.0)),
    ):
        (warm,) = fit(X, y, 3, elastic_net(0.01, ratio), solver=solver, tol=1e-11, start=start)
        assert warm.converged
        assert warm.value == pytest.approx(cold.value, abs=2e-11)
        np.testing.assert_allclose(softmax(X @ warm.W + warm.b), softmax(X @ cold.W + cold.b), atol=1e-4)
    (again,) = fit(X, y, 3, elastic_net(0.01, ratio), solver=solver, tol=1e-9, start=(cold.W[None], cold.b[None]))
    assert again.n_iter <= 2


def test_many_rows_start_from_a_sample(problem: Problem) -> None:
    X, y = problem(n=3000, d=6)
    (plain,) = fit(X, y, 3, l2(1e-3), solver="lbfgs-sampled", tol=1e-9)
    limits = replace(LIMITS, warm_start_rows=1000, sample_rows=250)
    for seed in (0, 1):
        (warm,) = fit(X, y, 3, l2(1e-3), solver="lbfgs-sampled", tol=1e-9, seed=seed, limits=limits)
        assert warm.converged
        assert warm.value == pytest.approx(plain.value, abs=2e-9)
        assert warm.passes < plain.passes


# --- weights, soft labels, homes ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("solver", "ratio"), [("newton", 0.0), ("lbfgs", 0.0), ("lbfgs", 0.5)])
def test_weights_are_repeated_rows(solver: str, ratio: float, problem: Problem) -> None:
    X, y = problem(n=150)
    v = np.random.default_rng(0).integers(0, 4, 150)
    again = np.repeat(np.arange(150), v)
    penalty = elastic_net(0.01, ratio)
    (weighed,) = fit(X, y, 3, penalty, V=v[None].astype(float), solver=solver, tol=1e-12)
    (repeated,) = fit(X[again], y[again], 3, penalty, solver=solver, tol=1e-12)
    assert weighed.value == pytest.approx(repeated.value, abs=1e-12)
    P, Q = softmax(X @ weighed.W + weighed.b), softmax(X @ repeated.W + repeated.b)
    np.testing.assert_allclose(P, Q, atol=1e-9 if solver == "newton" else 2e-5)


def test_zero_weight_rows_change_nothing_however_wild(problem: Problem) -> None:
    X, y = problem(n=150)
    wild = np.vstack([X, np.full((3, 4), 1e6)])
    v = np.r_[np.ones(150), np.zeros(3)]
    for solver in SMOOTH:
        (plain,) = fit(X, y, 3, l2(0.01), solver=solver, tol=1e-10)
        (found,) = fit(wild, np.r_[y, 0, 1, 2], 3, l2(0.01), V=v[None], solver=solver, tol=1e-8)
        assert found.converged
        assert found.value == pytest.approx(plain.value, abs=1e-8)


def test_soft_labels_are_weighted_rows(problem: Problem) -> None:
    X, _ = problem(n=100)
    Y = np.random.default_rng(0).dirichlet(np.ones(3), 100)
    for solver in SMOOTH:
        (soft,) = fit(X, Y, 3, l2(0.01), solver=solver, tol=1e-12)
        thrice, codes = np.repeat(X, 3, axis=0), np.tile(np.arange(3), 100)
        (hard,) = fit(thrice, codes, 3, l2(0.01), V=Y.reshape(1, -1), solver=solver, tol=1e-12)
        # the mean over 300 rows of weight sum 100 is the mean over 100 rows
        assert soft.value == pytest.approx(hard.value, abs=1e-12)
        np.testing.assert_allclose(soft.W, hard.W, atol=1e-8 if solver == "newton" else 1e-4)


@pytest.mark.parametrize(("solver", "ratio"), [("newton", 0.0), ("lbfgs", 0.0), ("lbfgs", 0.5)])
@pytest.mark.parametrize("home", [np.asarray, np.float32, sp.csr_array])
def test_the_number_of_threads_changes_no_bit(
    solver: str, ratio: float, home: Any, problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dense, "BLOCK_BYTES", 1)
    monkeypatch.setattr(sparse, "BLOCK_NONZEROS", 1)
    X, y = problem(n=1500)
    answers = []
    for threads in ("1", "2", "3"):
        monkeypatch.setenv("SOFTREG_NUM_THREADS", threads)
        (found,) = fit(home(X), y, 3, elastic_net(1e-3, ratio), solver=solver)
        answers.append((found.W.tobytes(), found.b.tobytes(), found.value, found.gap))
    assert answers[0] == answers[1] == answers[2]


def test_blocks_change_nothing_but_rounding(problem: Problem, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = problem(n=1500)
    (one,) = fit(X, y, 3, l2(1e-3), tol=1e-12)
    monkeypatch.setattr(dense, "BLOCK_BYTES", 1)
    (many,) = fit(X, y, 3, l2(1e-3), tol=1e-12)
    np.testing.assert_allclose(many.W, one.W, atol=1e-9)


def test_read_only_and_mapped_rows_are_left_as_they_are(problem: Problem, tmp_path: Any) -> None:
    X, y = problem()
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    (plain,), (found,) = fit(X, y, 3, l2(1e-3)), fit(mapped, y, 3, l2(1e-3))
    np.testing.assert_array_equal(found.W, plain.W)
    kept = X.copy()
    kept.flags.writeable = y.flags.writeable = False
    for ratio in (0.0, 0.5):
        fit(kept, y, 3, elastic_net(1e-3, ratio))
    np.testing.assert_array_equal(kept, X)


def test_no_rows_are_an_error() -> None:
    with pytest.raises(ValueError, match="no rows"):
        fit(np.zeros((0, 2)), np.zeros(0, int), 2, l2(0.1))


def test_no_columns_give_the_class_rates() -> None:
    y = np.array([0, 0, 1])
    for solver in SMOOTH:
        (found,) = fit(np.zeros((3, 0)), y, 2, l2(0.1), solver=solver)
        np.testing.assert_allclose(softmax(found.b), [2 / 3, 1 / 3], rtol=1e-9)
        assert found.converged
        assert found.value == pytest.approx(entropy([2 / 3, 1 / 3]))


def test_a_single_row_per_class() -> None:
    X = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    for solver in SMOOTH:
        (found,) = fit(X, np.arange(3), 3, l2(0.1), solver=solver)
        assert found.converged
        assert (softmax(X @ found.W + found.b).argmax(axis=1) == np.arange(3)).all()


def test_unknown_solvers_and_solvers_that_do_not_fit(problem: Problem) -> None:
    X, y = problem(n=20)
    with pytest.raises(ValueError, match="'sgd' is not one of auto, newton, lbfgs"):
        fit(X, y, 3, l2(0.1), solver="sgd")
    with pytest.raises(ValueError, match="needs a differentiable penalty"):
        fit(X, y, 3, elastic_net(0.1, 0.5), solver="newton")


@pytest.mark.parametrize("strength", [1e-3, 1e-5, 1e-7])
def test_a_weak_l1_penalty_takes_few_steps(strength: float, problem: Problem) -> None:
    X, y = problem()
    (found,) = minimise(as_rows(X, y), 3, elastic_net(strength, 1.0), tol=1e-9)
    assert found.converged
    assert found.n_iter < 60  # along what softmax does not see, only the penalty leads: 298 steps without that
    assert (found.W == 0).any(axis=1).all()  # of three weights the median is 0
