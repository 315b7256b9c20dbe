"""A stack at one strength after another: held-out logits, settling, copies and starts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from softreg.optimize import elastic_net, l2, minimise
from softreg.optimize import stack_path as path
from softreg.optimize.heldout_stopping import remaining_movement
from softreg.optimize.problem.limits import LIMITS
from softreg.optimize.stack_path import StackPath
from softreg.probability import log_softmax
from softreg.rows import as_rows


class Problem:
    def __init__(self, n=240, d=6, q=3, folds=4):
        random = np.random.default_rng(1)
        self.X = random.normal(size=(n, d))
        self.y = (self.X @ random.normal(size=(d, q)) + random.gumbel(size=(n, q))).argmax(axis=1)
        fold = np.arange(n) % folds
        self.V = np.concatenate([np.ones((1, n)), fold != np.arange(folds)[:, None]])
        self.judge = fold[None] + 1
        self.n, self.q, self.m = n, q, folds + 1

    def path(self, X=None, **more):
        rows = as_rows(self.X if X is None else X, self.y, self.V)
        return StackPath(rows, self.q, self.judge, np.ones(self.n), **more)


@pytest.fixture(scope="module")
def stack():
    return Problem()


def losses(stack, held):
    return -log_softmax(held[0].astype(np.float64))[np.arange(stack.n), stack.y]


@pytest.mark.parametrize("solver", ["newton", "lbfgs"])
def test_held_out_losses_are_those_of_exact_fits(stack, solver):
    path, start = stack.path(solver=solver), None
    for strength in (1.0, 1e-2, 1e-4):
        fit = path.fit(l2(np.full(stack.m, strength)), start, tolerance=1e-5)
        exact = minimise(as_rows(stack.X, stack.y, stack.V), stack.q, l2(np.full(stack.m, strength)), tol=1e-11)
        for j in range(1, stack.m):
            mine = stack.judge[0] == j
            o = stack.X[mine] @ exact[j].W + exact[j].b
            loss = -log_softmax(o)[np.arange(mine.sum()), stack.y[mine]].mean()
            assert losses(stack, fit.held_out_logits)[mine].mean() == pytest.approx(loss, abs=1e-4)
            np.testing.assert_allclose(fit.held_out_logits[0, mine], stack.X[mine] @ fit.W[j] + fit.b[j], atol=1e-4)
        assert fit.converged
        for j in range(stack.m):
            assert fit.value[j] - exact[j].value <= fit.gap[j] + 1e-10
        start = fit.W, fit.b


def test_a_limit_of_0_asks_for_proofs(stack):
    fit = stack.path(solver="lbfgs").fit(l2(np.full(stack.m, 1e-3)), None, tolerance=0.0)
    assert fit.gap.max() <= 1e-10
    assert fit.converged


def test_too_few_steps_are_not_settled(stack):
    fit = stack.path(solver="lbfgs").fit(l2(np.full(stack.m, 1e-4)), None, tolerance=1e-5, max_iter=2)
    assert not fit.converged
    assert fit.gap.max() > 1e-5


def test_copies_are_stacks_beside_each_other(stack):
    path = stack.path()
    penalty = elastic_net(1e-2, np.repeat([0.0, 0.5], stack.m))
    both = path.fit(penalty, None, tolerance=1e-6, copies=2)
    for r, ratio in enumerate((0.0, 0.5)):
        alone = path.fit(elastic_net(1e-2, np.full(stack.m, ratio)), None, tolerance=1e-6)
        one, other = (log_softmax(logits) for logits in (both.held_out_logits[r], alone.held_out_logits[0]))
        np.testing.assert_allclose(one, other, atol=5e-3)  # with an l1 part a common shift may be free


def test_sparse_rows_and_rows_far_from_zero(stack):
    dense = stack.path().fit(l2(np.full(stack.m, 1e-2)), None, tolerance=1e-6)
    sparse = stack.path(sp.csr_array(stack.X)).fit(l2(np.full(stack.m, 1e-2)), None, tolerance=1e-6)
    np.testing.assert_allclose(sparse.held_out_logits, dense.held_out_logits, atol=1e-5)
    far = stack.path((stack.X + 100).astype(np.float32)).fit(l2(np.full(stack.m, 1e-2)), None, tolerance=1e-6)
    np.testing.assert_allclose(far.held_out_logits, dense.held_out_logits, atol=1e-3)


def test_a_row_may_be_judged_in_several_layers_or_none(stack):
    judge = np.stack([stack.judge[0], np.where(np.arange(stack.n) < 10, 1, -1)])
    path = StackPath(as_rows(stack.X, stack.y, stack.V), stack.q, judge, np.ones(stack.n))
    fit = path.fit(l2(np.full(stack.m, 1e-2)), None, tolerance=1e-6)
    assert fit.held_out_logits.shape == (2, stack.n, stack.q)
    assert np.isnan(fit.held_out_logits[1, 10:]).all()
    np.testing.assert_allclose(fit.held_out_logits[1, :10], stack.X[:10] @ fit.W[1] + fit.b[1], atol=1e-6)


def test_the_answer_does_not_know_the_number_of_threads(stack, monkeypatch):
    X = np.repeat(stack.X, 60, axis=0)  # several blocks
    y, V, judge = np.repeat(stack.y, 60), np.repeat(stack.V, 60, axis=1), np.repeat(stack.judge, 60, axis=1)
    found = []
    for threads in ("1", "3"):
        monkeypatch.setenv("SOFTREG_NUM_THREADS", threads)
        path = StackPath(as_rows(X, y, V), stack.q, judge, np.ones(len(y)), solver="lbfgs")
        found.append(path.fit(l2(np.full(stack.m, 1e-3)), None, tolerance=1e-5))
    np.testing.assert_array_equal(found[0].W, found[1].W)
    np.testing.assert_array_equal(found[0].held_out_logits, found[1].held_out_logits)


@pytest.mark.parametrize("intercept", [False, True])
def test_fewer_rows_than_columns_are_factored_once_for_the_whole_path(monkeypatch, intercept):
    random = np.random.default_rng(0)
    X, y = random.normal(size=(40, 200)) + 3.0, random.integers(0, 3, 40)
    X[:, :3] += 2 * np.eye(3)[y]
    V = np.ones((3, 40))
    V[1, :20] = V[2, 20:] = 0
    judge, factored = np.where(np.arange(40) < 20, 1, 2)[None], []
    reduce = path.reduce
    monkeypatch.setattr(path, "reduce", lambda *args: factored.append(1) or reduce(*args))
    found = []
    for limits in (LIMITS, replace(LIMITS, row_space_most_rows=0, row_space_multiplications=0.0)):
        rows, start = as_rows(X, y, V), None
        stack = path.StackPath(rows, 3, judge, np.ones(40), fit_intercept=intercept, limits=limits)
        for strength in (10.0, 1.0):
            fit = stack.fit(l2(np.full(6, strength)), start, tolerance=0.0, copies=2)
            start = fit.W, fit.b
        found.append(fit)
    assert len(factored) == 1
    assert (found[0].gap <= 1e-8).all()
    np.testing.assert_allclose(found[0].W, found[1].W, atol=1e-5)
    np.testing.assert_allclose(found[0].held_out_logits, found[1].held_out_logits, atol=1e-4)
    np.testing.assert_allclose(found[0].value, found[1].value, rtol=1e-8)


@pytest.mark.parametrize("ratio", [0.0, 0.5])
def test_many_rows_with_a_drawn_sketch_settle_at_the_losses_of_exact_fits(ratio, monkeypatch):
    """More rows than a sketch takes whole: a weak penalty, where a fold that stops early would show."""
    limits = replace(LIMITS, warm_start_rows=400, sample_rows=100)
    monkeypatch.setattr("softreg.optimize.curvature.importance_sampled.MAX_INEXPENSIVE_ROWS", 0)
    monkeypatch.setattr("softreg.optimize.curvature.importance_sampled.DRAWN_PER_COLUMN", 20)
    stack = Problem(n=1200, d=30, q=5)
    path, start = stack.path(solver="orthant-sampled" if ratio else "lbfgs", limits=limits), None
    for strength in (1e-2, 1e-4, 1e-6):
        fit = path.fit(elastic_net(np.full(stack.m, strength), ratio), start, tolerance=1e-5)
        assert path.sketch is not None
        exact = minimise(
            as_rows(stack.X, stack.y, stack.V), stack.q, elastic_net(np.full(stack.m, strength), ratio), tol=1e-9
        )
        for j in range(1, stack.m):
            mine = stack.judge[0] == j
            loss = -log_softmax(stack.X[mine] @ exact[j].W + exact[j].b)[np.arange(mine.sum()), stack.y[mine]].mean()
            assert losses(stack, fit.held_out_logits)[mine].mean() == pytest.approx(loss, abs=1e-4)
        start = fit.W, fit.b


def test_what_is_remaining_movement_is_the_rest_of_the_series():
    rate = 0.8
    moves = rate ** np.arange(60.0)
    early = np.array([4])
    np.testing.assert_allclose(remaining_movement(moves[3:4], moves[4:5], early), moves[5:].sum(), rtol=1e-4)
    assert (
        remaining_movement(np.array([1.0]), np.array([0.0]), early)[0] == 0.5
    )  # a turn: one still step proves nothing
    assert remaining_movement(np.array([1.0]), np.array([2.0]), early)[0] > 30
    assert remaining_movement(np.zeros(1), np.zeros(1), early)[0] == 0


def test_what_has_taken_long_goes_on_for_long():
    """After t steps a series like 1/t^6 shrinks by 1 - 6/t a step, and a fifth as much as all its movement is left."""
    t = np.arange(1, 100_000.0)
    for now in (20, 50, 200):
        moves = t**-6
        left = moves[now:].sum()
        told = remaining_movement(moves[now - 2 : now - 1], moves[now - 1 : now], np.array([now]))[0]
        assert 0.8 * left < told < 1.3 * left
