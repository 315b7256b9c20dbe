"""Columns left out of fits with an l1 part: the same optimum as with all of them, whatever was guessed."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sp

from softreg import SoftmaxRegressionCV
from softreg.optimize import elastic_net, l2, minimisation, minimise
from softreg.optimize.problem.limits import LIMITS
from softreg.optimize.problem_reduction import working_set_rounds as few_columns
from softreg.optimize.problem_reduction import working_sets as screening
from softreg.optimize.problem_reduction.working_sets import largest
from softreg.optimize.stack_path import StackPath
from softreg.probability import log_softmax
from softreg.rows import as_rows


class Problem:
    """Few rows of many columns in correlated groups, a handful of which matter, constant ones among them."""

    def __init__(self, n=80, d=96, q=3, folds=3):
        random = np.random.default_rng(7)
        common = random.normal(size=(n, d // 8))
        self.X = np.repeat(common, 8, axis=1) * random.choice([-1, 1], d) + 0.4 * random.normal(size=(n, d))
        self.X[:, [5, 40]] = 0.0
        self.X[:, 41] = 2.0
        W = np.zeros((d, q))
        W[random.permutation(d)[:12]] = 1.5 * random.normal(size=(12, q))
        self.y = (self.X @ W + random.gumbel(size=(n, q))).argmax(axis=1)
        fold = np.arange(n) % folds
        self.V = np.concatenate([np.ones((1, n)), fold != np.arange(folds)[:, None]])
        self.V *= random.choice([1.0, 0.5, 2.0], n)
        self.soft = 0.9 * np.eye(q)[self.y] + 0.1 / q
        self.judge, self.n, self.d, self.q, self.m = fold[None] + 1, n, d, q, folds + 1

    def path(self, X=None, labels=None, **more):
        rows = as_rows(self.X if X is None else X, self.y if labels is None else labels, self.V)
        return StackPath(rows, self.q, self.judge, np.ones(self.n), **more)


@pytest.fixture(scope="module")
def problem():
    return Problem()


@pytest.fixture
def eager(monkeypatch):
    """Columns are left out of small problems too; few come in at once, so that rounds are many."""
    monkeypatch.setattr(screening, "MAX_SHARE", 0.9)
    monkeypatch.setattr(screening, "MIN_ADDED", 2)
    monkeypatch.setattr(screening, "MAX_VIOLATING_SHARE", 1.0)


@pytest.fixture
def rounds(monkeypatch):
    """How many columns each fit on a part of them has had."""
    seen, take = [], screening.take_columns

    def taken(rows, columns):
        seen.append(len(columns))
        return take(rows, columns)

    monkeypatch.setattr(screening, "take_columns", taken)
    return seen


EAGER = replace(LIMITS, working_set_columns=8)
"""Limits with which small problems are fitted on working sets."""
ALL_COLUMNS = replace(LIMITS, working_set_columns=1 << 30)
"""Limits with which no problem is."""


CASES = {
    "dense": {},
    "float32": {"X": lambda X: X.astype(np.float32)},
    "far from zero": {"X": lambda X: (X + 100).astype(np.float32)},
    "sparse": {"X": lambda X: sp.csr_array(np.where(np.abs(X) > 0.8, X, 0.0))},
    "sparse float32": {"X": lambda X: sp.csr_array(np.where(np.abs(X) > 0.8, X, 0.0).astype(np.float32))},
    "fortran order": {"X": np.asfortranarray},
    "soft labels": {"soft": True},
    "no intercept": {"intercept": False},
}


@pytest.mark.parametrize(("case", "ratio"), [*((case, 1.0) for case in CASES), ("dense", 0.6), ("sparse", 0.6)])
def test_a_path_on_some_columns_is_the_path_on_all(problem, eager, rounds, monkeypatch, case, ratio):
    given = CASES[case]
    X, labels = given.get("X", lambda X: X)(problem.X), problem.soft if given.get("soft") else problem.y
    found = []
    for limits in (EAGER, ALL_COLUMNS):
        stack = problem.path(X, labels, fit_intercept=given.get("intercept", True), limits=limits)
        start, fits = None, []
        for strength in (0.1, 0.07, 0.03):
            fits.append(stack.fit(elastic_net(np.full(problem.m, strength), ratio), start, tolerance=0.0))
            start = fits[-1].W, fits[-1].b
        found.append(fits)
        if len(found) == 1:
            assert len(rounds) >= 4
            assert max(rounds) < problem.d
    tol = 1e-10 if X.dtype == np.float64 else 1e-6  # logits rounded to float32 leave that much to a look in float64
    for some, every in zip(*found, strict=True):
        assert some.gap.max() <= tol
        np.testing.assert_allclose(some.value, every.value, atol=2 * tol)
        np.testing.assert_allclose(
            log_softmax(some.held_out_logits), log_softmax(every.held_out_logits), atol=1e-3 if tol == 1e-10 else 1e-2
        )
        if tol == 1e-10:
            np.testing.assert_allclose(some.W, every.W, atol=1e-3)
    supports = (found[0][1].W != 0).any(axis=2)
    assert (supports != supports[0]).any()  # members with different columns share a stack


def test_the_proof_is_about_all_columns(problem, eager):
    """The certificate, computed here with NumPy from the weights alone, in the dual of the whole problem."""
    strength, m = 0.03, problem.m
    fit = problem.path(limits=EAGER).fit(elastic_net(np.full(m, strength), 0.7), None, tolerance=1e-5)
    for j in range(m):
        o = problem.X @ fit.W[j] + fit.b[j]
        P = np.exp(o - o.max(axis=1, keepdims=True))
        P /= P.sum(axis=1, keepdims=True)
        V, Y = problem.V[j] / problem.V[j].sum(), np.eye(problem.q)[problem.y]
        np.testing.assert_allclose(V @ P, V @ Y, atol=1e-8)
        A = problem.X.T @ (V[:, None] * (P - Y))
        conjugate = np.square(np.maximum(np.abs(A) - 0.7 * strength, 0)).sum() / (2 * 0.3 * strength)
        dual = V @ -(P * np.log(P)).sum(axis=1) - conjugate
        primal = V @ -np.log(P[np.arange(problem.n), problem.y])
        primal += strength * (0.7 * np.abs(fit.W[j]).sum() + 0.15 * np.square(fit.W[j]).sum())
        assert fit.value[j] == pytest.approx(primal, abs=1e-10)
        assert fit.gap[j] == pytest.approx(primal - dual, abs=1e-9)


def test_columns_that_the_rule_left_out_come_in(problem, eager, rounds, monkeypatch):
    """A guess that leaves out all but two columns is put right by the looks at all."""
    monkeypatch.setattr(
        screening.Screening, "first_working_set", lambda self, rows, penalty, W, b, active: np.arange(rows.d) < 2
    )
    penalty = elastic_net(np.full(problem.m, 0.02), 1.0)
    found = problem.path(limits=EAGER).fit(penalty, None, tolerance=0.0)
    assert rounds[0] == 2
    assert len(rounds) > 3
    assert all(after > before for before, after in pairwise(rounds))
    every = problem.path(limits=ALL_COLUMNS).fit(penalty, None, tolerance=0.0)
    np.testing.assert_allclose(found.W, every.W, atol=1e-3)


def test_several_ratios_beside_each_other(problem, eager, rounds, monkeypatch):
    penalty = elastic_net(np.full(2 * problem.m, 0.03), np.repeat([0.3, 0.9], problem.m))
    found = problem.path(limits=EAGER).fit(penalty, None, tolerance=0.0, copies=2)
    assert rounds
    every = problem.path(limits=ALL_COLUMNS).fit(penalty, None, tolerance=0.0, copies=2)
    np.testing.assert_allclose(found.W, every.W, atol=1e-3)
    np.testing.assert_allclose(log_softmax(found.held_out_logits), log_softmax(every.held_out_logits), atol=1e-3)


def test_a_penalty_without_l1_among_them_takes_all_columns(problem, eager, rounds):
    problem.path(limits=EAGER).fit(
        elastic_net(np.full(8, 0.1), np.repeat([0.0, 0.9], 4)), None, tolerance=1e-5, copies=2
    )
    problem.path(limits=EAGER).fit(l2(np.full(4, 0.1)), None, tolerance=1e-5)
    assert not rounds


def test_too_many_columns_end_the_screening_with_a_start_for_all(problem, eager, rounds, monkeypatch):
    monkeypatch.setattr(screening, "MAX_SHARE", 0.1)
    penalty = elastic_net(np.full(problem.m, 0.003), 1.0)
    found = problem.path(limits=EAGER).fit(penalty, None, tolerance=0.0)
    assert rounds
    assert max(rounds) <= 16
    assert (found.W[0] != 0).any(axis=1).sum() > 16
    every = problem.path(limits=ALL_COLUMNS).fit(penalty, None, tolerance=0.0)
    np.testing.assert_allclose(found.W, every.W, atol=1e-3)


@pytest.mark.parametrize("ratio", [1.0, 0.5])
@pytest.mark.parametrize("kind", ["dense", "sparse"])
@pytest.mark.parametrize("tol", [1e-6, 1e-10])
def test_a_single_fit(problem, eager, rounds, monkeypatch, ratio, kind, tol):
    X = problem.X if kind == "dense" else sp.csr_array(np.where(np.abs(problem.X) > 0.8, problem.X, 0.0))
    order = as_rows(X, problem.y, problem.V[:1]), problem.q, elastic_net(0.02, ratio)
    told = []
    monkeypatch.setattr(minimisation, "MAX_KINKED_NUMBERS", 0)  # few numbers have compiled steps on all columns
    (some,) = minimise(*order, tol=tol, on_progress=told.append, limits=EAGER)
    assert some.converged
    assert some.certified
    assert some.gap <= tol
    assert len(rounds) > 2
    assert max(rounds) < problem.d
    assert [p.passes for p in told] == sorted(p.passes for p in told)
    monkeypatch.setattr(few_columns, "FIRST_GAP", 0.0)
    (again,) = minimise(*order, tol=tol, start=(some.W[None], some.b[None]), limits=EAGER)
    assert again.gap <= tol
    assert again.n_iter < some.n_iter
    (every,) = minimise(*order, tol=tol, limits=ALL_COLUMNS)
    assert abs(some.value - every.value) <= tol
    np.testing.assert_allclose(some.W, every.W, atol=0.05 if tol == 1e-6 else 1e-3)


def test_too_few_steps_are_told(problem, eager):
    (few,) = minimise(as_rows(problem.X, problem.y), problem.q, elastic_net(0.01, 1.0), max_iter=1, limits=EAGER)
    assert few.status.value == "stopped at max_iter"
    assert few.n_iter == 1
    assert few.gap > 1e-6


def test_a_penalty_that_lets_nothing_live(problem, eager):
    fit = problem.path(limits=EAGER).fit(elastic_net(np.full(problem.m, 10.0), 1.0), None, tolerance=1e-5)
    assert not fit.W.any()
    assert fit.gap.max() <= 1e-9
    (none,) = minimise(as_rows(np.ones((6, 20)), np.arange(6) % 2), 2, elastic_net(1.0, 1.0))
    assert none.converged
    assert not none.W.any()


def test_cross_validation_chooses_the_same(problem, eager, monkeypatch):
    asked = {"penalty": "elasticnet", "l1_ratio": [0.5, 1.0], "cv": 3}
    some = SoftmaxRegressionCV([0.2, 0.1, 0.05], solver="working-set", **asked).fit(problem.X, problem.y)
    every = SoftmaxRegressionCV([0.2, 0.1, 0.05], solver="orthant-sampled", **asked).fit(problem.X, problem.y)
    np.testing.assert_allclose(some.scores_, every.scores_, atol=1e-4)
    assert (some.strength_, some.l1_ratio_) == (every.strength_, every.l1_ratio_)


def test_the_answer_does_not_know_the_number_of_threads(problem, eager, monkeypatch):
    found = []
    for threads in ("1", "3"):
        monkeypatch.setenv("SOFTREG_NUM_THREADS", threads)
        X, y, V = np.tile(problem.X, (40, 1)), np.tile(problem.y, 40), np.tile(problem.V, 40)
        stack = StackPath(as_rows(X, y, V), problem.q, np.tile(problem.judge, 40), np.ones(len(y)), limits=EAGER)
        found.append(stack.fit(elastic_net(np.full(problem.m, 0.05), 1.0), None, tolerance=1e-5))
    np.testing.assert_array_equal(found[0].W, found[1].W)


def test_the_hardest_pulled_come_first():
    pull = np.array([5.0, 1.0, 4.0, 4.0])
    np.testing.assert_array_equal(largest(pull, np.array([False, True, True, True]), 2), [False, False, True, True])
    np.testing.assert_array_equal(largest(pull, np.ones(4, bool), 2), [True, False, True, True])  # equal ones together
