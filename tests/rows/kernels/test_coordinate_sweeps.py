"""Sweeps of coordinate descent: compiled and NumPy alike, and each weight at its minimum after its move."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from softreg.rows.kernels import coordinate_sweeps as sweeps
from softreg.rows.kernels import products
from softreg.rows.kernels.coordinate_sweeps import RowHessian, Weights, sweep_matrix, sweep_rows

Array = Any
F, N, Q, K = 23, 101, 4, 9


def weights(random: np.random.Generator, bounded: bool = False) -> Weights:
    """Return weights of which some have no kink, with bounds or without."""
    free = np.full(F, np.inf)
    kink = random.uniform(0, 0.5, F) * (random.random(F) < 0.8)
    low, high = (-random.uniform(0, 0.1, F), random.uniform(0, 0.1, F)) if bounded else (-free, free)
    return Weights(np.zeros(F), kink, low, high)


def row_hessian(random: np.random.Generator, coupled: bool) -> tuple[RowHessian, Array]:
    """Return a Hessian as a sum over rows, and the same as a matrix."""
    Z = random.normal(size=(K, N)).astype(np.float32)
    P = np.ascontiguousarray(random.dirichlet(np.ones(Q), N).T, dtype=np.float32)
    v = random.uniform(0.5, 1.5, N).astype(np.float32) / N
    C = np.ascontiguousarray(P * v)
    group, column = (a.astype(np.int64) for a in np.divmod(random.permutation(Q * K)[:F], K))
    ridge = random.uniform(0, 0.1, F)
    H = np.diag(ridge)
    for i in range(F):
        for j in range(F):
            a, b = group[i], group[j]
            bend = (a == b) * C[a] - C[a] * P[b] * coupled
            H[i, j] += np.sum(bend.astype(float) * Z[column[i]] * Z[column[j]])
    s = np.zeros(N, np.float32) if coupled else None
    terms = 0.3 * random.normal(size=F), np.zeros(F), ridge, H.diagonal().copy()
    return RowHessian(Z, P if coupled else None, C, np.zeros_like(C), s, group, column, *terms), H


@pytest.fixture(params=["compiled", "numpy"])
def kernels(request: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "numpy":
        monkeypatch.setattr(products, "_module", None)
    elif products._module is None:
        pytest.skip("no compiled kernels")
    return str(request.param)


@pytest.mark.parametrize("bounded", [False, True])
def test_sweeps_over_a_matrix_reach_the_minimum(kernels: str, bounded: bool) -> None:
    random = np.random.default_rng(0)
    A = random.normal(size=(F, F))
    H, g, own = A @ A.T + np.eye(F), 3 * random.normal(size=F), weights(random, bounded)
    gradient = g.copy()
    for _ in range(3000):
        most = sweep_matrix(H, gradient, own)
    assert most < 1e-20
    np.testing.assert_allclose(gradient, g + H @ own.x, atol=1e-9)
    end = own.x - gradient  # a step of the proximal gradient method goes nowhere
    shrunk = np.sign(end) * np.maximum(np.abs(end) - own.kink, 0)
    np.testing.assert_allclose(np.clip(shrunk, own.low, own.high), own.x, atol=1e-9)
    assert (own.x == 0).any()


@pytest.mark.parametrize("coupled", [False, True])
@pytest.mark.parametrize("bounded", [False, True])
def test_sweeps_over_rows_are_those_over_the_matrix(kernels: str, coupled: bool, bounded: bool) -> None:
    random = np.random.default_rng(1)
    rows, H = row_hessian(random, coupled)
    of_rows = weights(random, bounded)
    of_matrix, gradient = replace(of_rows, x=np.zeros(F)), rows.gradient.copy()
    for _ in range(4):
        moved, expected = sweep_rows(rows, of_rows), sweep_matrix(H, gradient, of_matrix)
        np.testing.assert_allclose(moved, expected, rtol=1e-3, atol=1e-9)
        np.testing.assert_allclose(of_rows.x, of_matrix.x, atol=2e-5)
    O = np.zeros((Q, N))
    np.add.at(O, rows.group, of_rows.x[:, None] * rows.Z[rows.column])
    np.testing.assert_allclose(rows.O, O, atol=1e-4)
    if rows.s is not None and rows.P is not None:
        np.testing.assert_allclose(rows.s, (rows.P * O).sum(axis=0), atol=1e-4)


@pytest.mark.skipif(products._module is None, reason="no compiled kernels")
@pytest.mark.parametrize("level", products._module.levels() if products._module is not None else [])
def test_every_instruction_set_agrees_with_numpy(level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, before = products._module, products._module.level()
    module.choose(level)
    try:
        answers = []
        for compiled in (True, False):
            if not compiled:
                monkeypatch.setattr(products, "_module", None)
            random = np.random.default_rng(2)
            rows, _ = row_hessian(random, True)
            own = weights(random)
            sweeps.sweep_rows(rows, own)
            answers.append(own.x)
        np.testing.assert_allclose(*answers, atol=1e-5)
    finally:
        module.choose(before)


def test_arrays_that_do_not_fit_are_refused() -> None:
    if products._module is None:
        pytest.skip("no compiled kernels")
    random = np.random.default_rng(3)
    rows, _ = row_hessian(random, True)
    own = weights(random)
    with pytest.raises(ValueError, match="do not fit"):
        sweep_rows(replace(rows, column=rows.column + K), own)
    with pytest.raises(ValueError, match="do not fit"):
        sweep_matrix(np.eye(F + 1), np.zeros(F), own)
