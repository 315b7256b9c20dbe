"""Steps and changes of the gradient that one fit hands on to the next."""

from __future__ import annotations

import numpy as np
import pytest

from softreg.optimize.curvature.subsampled import SubsampledCurvature
from softreg.optimize.solvers import lbfgs_memory
from softreg.optimize.solvers.lbfgs import PathLBFGS
from softreg.optimize.solvers.lbfgs_memory import CorrectionPair, LossPair, PairMemory, two_loop_recursion
from softreg.rows import as_rows


def strategy(ridge, pairs=()):
    rows = as_rows(np.zeros((4, 2)), np.array([0, 1, 2, 0]))
    return PathLBFGS(SubsampledCurvature(rows), ridge[:, None], pairs)


def test_pairs_are_those_of_the_loss_whatever_the_ridge():
    random = np.random.default_rng(0)
    s, y = random.normal(size=(2, 2, 3, 3))
    first = strategy(np.full((2, 3), 0.5))
    first.update(s, y)
    (pair,) = first.loss_pairs()
    np.testing.assert_allclose(pair.change, np.where((s * y).sum(axis=(1, 2), keepdims=True) > 0, y - 0.5 * s, 0.0))
    second = strategy(np.full((2, 3), 0.1), [LossPair(s, y - 0.5 * s)])
    np.testing.assert_allclose(second.memory.pairs[0].change, y - 0.4 * s)
    np.testing.assert_allclose(second.memory.pairs[0].product, (s * (y - 0.4 * s)).sum(axis=(1, 2)))


def test_members_that_have_left_are_remembered_in_their_place():
    random = np.random.default_rng(1)
    steps = [random.normal(size=(3, 2, 3)) for _ in range(3)]
    fit = strategy(np.zeros((3, 3)))
    fit.update(steps[0], steps[0])
    fit.drop_members(np.array([True, False, True]))
    fit.update(steps[1][[0, 2]], steps[1][[0, 2]])
    fit.drop_members(np.array([False, True]))
    fit.update(steps[2][[2]], steps[2][[2]])
    pairs = fit.loss_pairs()
    assert len(pairs) == 3
    last, before, first = (pair.step for pair in reversed(pairs))
    np.testing.assert_array_equal(last, [steps[1][0], steps[0][1], steps[2][2]])
    np.testing.assert_array_equal(before, [steps[0][0], np.zeros((2, 3)), steps[1][2]])
    np.testing.assert_array_equal(first, [np.zeros((2, 3)), np.zeros((2, 3)), steps[0][2]])


def test_a_pair_without_a_member_changes_no_direction():
    """Where nothing is known of a model, its direction is that of the sketch alone."""
    random = np.random.default_rng(2)
    G, s = random.normal(size=(2, 2, 2, 3))

    class Plain:
        def solve(self, G):
            return 2.0 * G

    s[1] = 0.0
    fit = strategy(np.zeros((2, 3)), [LossPair(s, 3.0 * s)])
    fit.preconditioner = Plain()
    np.testing.assert_allclose(two_loop_recursion(G, fit.memory.pairs, fit._scaled_inverse)[1], 2.0 * G[1])
    assert not np.allclose(two_loop_recursion(G, fit.memory.pairs, fit._scaled_inverse)[0], 2.0 * G[0])


def test_pairs_serve_the_same_models_several_times_over_and_no_others():
    s = np.ones((2, 1, 3))
    assert strategy(np.zeros((4, 3)), [LossPair(s, s)]).memory.pairs[0].step.shape == (4, 1, 3)
    assert strategy(np.zeros((3, 3)), [LossPair(s, s)]).memory.pairs == []


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("count", [0, 1, 4, 10])
def test_the_recursion_of_one_model_by_matrices_is_that_of_single_vectors(monkeypatch, order, count):
    random = np.random.default_rng(count)
    G = np.asarray(random.normal(size=(3, 5)), order=order)[None]
    root = random.normal(size=(15, 15))
    memory = PairMemory()
    for _ in range(count):
        s = np.asarray(random.normal(size=(3, 5)), order=order)[None]
        y = np.asarray((root @ root.T @ s[0].ravel() + s[0].ravel()).reshape(3, 5), order=order)[None]
        memory.add(s, y, 1e-14)
    if count:
        memory.pairs.insert(1, CorrectionPair.of(np.zeros_like(G), np.ones_like(G)))  # is not used
    fast = two_loop_recursion(G, memory.pairs, lambda r: 0.3 * r)
    monkeypatch.setattr(lbfgs_memory, "MAX_STACKED_NUMBERS", 0)
    np.testing.assert_allclose(fast, two_loop_recursion(G, memory.pairs, lambda r: 0.3 * r), rtol=1e-9, atol=1e-12)
