"""The solver asks the same of a stack's logits wherever they live, and gets the same answer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.typing import NDArray

from softreg.optimize import Status, elastic_net, l2, minimise
from softreg.optimize.certificate.separation_during_fit import find
from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.objective.recomputed_logits import RecomputedObjective
from softreg.optimize.problem.standardization import standardise
from softreg.optimize.solvers import descent_loop as descent
from softreg.rows import OnDevice, Rows, as_rows
from softreg.rows.column_statistics import BlockFunction

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
tr = pytest.importorskip("softreg.rows.gpu.device_rows")
Array = NDArray[Any]
N, D, Q, M = 500, 6, 4, 3
DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")),
]


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tr, "BLOCK_BYTES", 1)  # blocks of 256 rows
    for name in ("MIN_CHUNK_ROWS", "MAX_CHUNK_ROWS"):
        monkeypatch.setattr(tr, name, 100)


def numbers(seed: int = 0) -> tuple[Array, Array, Array, Array]:
    """Features of many spreads, hard and soft labels, row weights of three models."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(N, D)) * 2.0 ** np.arange(-2, D - 2) + 0.5
    o = X @ random.normal(size=(D, Q)) / 4
    y = (o + random.gumbel(size=o.shape)).argmax(axis=1)
    return X, y, random.dirichlet(np.ones(Q), size=N), random.integers(0, 3, size=(M, N)).astype(float)


def homes(soft: bool, weighted: str, device: str, streamed: bool, dtype: Any = np.float64) -> tuple[Rows, Rows]:
    """The same rows in memory and on a device."""
    X, y, Y, V = numbers()
    X = X.astype(dtype)
    labels = Y if soft else y
    weights = {"none": None, "one": V[:1], "each": V}[weighted]
    source = torch.from_numpy(X) if streamed else torch.from_numpy(X).to(device)
    place = torch.device(device, 0) if device == "cuda" else torch.device(device)
    return as_rows(X, labels, weights), as_rows(OnDevice(source, place, streamed=streamed), labels, weights)


def every_other(objective: Objective, block: Any) -> np.ndarray:
    """The logits of every other row, each of a model of its own; they are those of the whole block."""
    rows = np.flatnonzero(np.arange(block.start, block.stop) % 2)
    models = (block.start + rows) % objective.m
    picked = objective.state.on(block).select(objective.here, models, rows)
    np.testing.assert_array_equal(picked, objective.state.logits(block)[models, :, rows])
    return picked


def somewhere(seed: int) -> Array:
    return np.random.default_rng(seed).normal(size=(M, Q, D + 1)) / 2


def objectives(kind: type[Objective], rows: tuple[Rows, Rows]) -> list[Objective]:
    penalty = l2(np.array([1e-1, 1e-2, 1e-3]))
    made = []
    for home in rows:
        moved, coordinates = standardise(home, centred=True)
        made.append(kind(moved, Q, penalty, coordinates))
    return made


def same(answers: list[Any]) -> None:
    one, other = answers
    if not isinstance(one, tuple):
        one, other = (one,), (other,)
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("weighted", ["none", "one", "each"])
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("kind", [Objective, RecomputedObjective])
def test_all_that_a_solver_asks_is_answered_alike(
    kind: type[Objective], soft: bool, weighted: str, streamed: bool, device: str
) -> None:
    both = objectives(kind, homes(soft, weighted, device, streamed))
    t = np.array([0.3, 1.7, 1.0])
    same([o.evaluate(somewhere(1)) for o in both])
    same([o.try_step(somewhere(2)) for o in both])
    for o in both:
        o.reject()
    same([o.eval_along(t) for o in both])
    for o in both:
        o.take_step(t)
    same([o.gradient() for o in both])
    same([o.gradient(np.full((M, Q), 0.1) * np.arange(Q)) for o in both])
    same([o.set_direction(somewhere(3)) for o in both])
    same([o.try_step(somewhere(4)) for o in both])
    for o in both:
        o.accept()
    same([o.gradient() for o in both])
    same([o.rows.map(BlockFunction(lambda block, o=o: np.moveaxis(o.state.logits(block), 2, 0))) for o in both])
    for name in ("class_mass", "class_variance"):
        by_name = [BlockFunction(lambda b, o=o, name=name: (getattr(o.state.confidence(b), name),)) for o in both]
        same([o.rows.sum(function) for o, function in zip(both, by_name, strict=True)])
    same([o.rows.map(BlockFunction(lambda block, o=o: o.state.confidence(block).p_label.T)) for o in both])
    same([o.balance() for o in both])
    for o in both:
        o.shift_bias(np.arange(M * Q).reshape(M, Q) / 10)
    same([o.gradient() for o in both])
    if kind is Objective:
        same([o.entropy(np.full((M, Q), 0.1), np.array([0.0, 0.4, 1.0])) for o in both])
        same([o.rows.map(BlockFunction(lambda block, o=o: every_other(o, block))) for o in both])
    same([(o.moments.rates, o.moments.sums, o.scatter.total, o.scatter.within) for o in both])
    for o in both:
        o.drop_members(np.array([True, False, True]))
    same([o.gradient() for o in both])
    same([o.evaluate(somewhere(5)[:2]) for o in both])


@pytest.mark.parametrize("soft", [False, True])
def test_separated_classes_are_seen(soft: bool) -> None:
    both = homes(soft, "none", "cpu", False)
    found = []
    for home in both:
        moved, coordinates = standardise(home, centred=True)
        objective = Objective(moved, Q, l2(np.zeros(1)), coordinates)
        objective.evaluate(somewhere(1)[:1])
        objective.set_direction(somewhere(2)[:1])
        found.append(find(objective, somewhere(1)[:1], somewhere(2)[:1]))
    assert found[0] == found[1]


PENALTIES = {
    "l2": l2(1e-3),
    "l1": elastic_net(1e-2, 1.0),
    "elastic net": elastic_net(1e-2, 0.5),
    "none": l2(0.0),
    "stack": l2(np.array([1e-1, 1e-2, 1e-3])),
}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("solver", ["newton", "lbfgs"])
@pytest.mark.parametrize("penalty", list(PENALTIES))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_solver_finds_the_same_optimum(penalty: str, solver: str, dtype: Any, device: str) -> None:
    if solver == "newton" and PENALTIES[penalty].l1.any():
        pytest.skip("Newton's method needs a smooth penalty")
    host, there = (
        minimise(rows, Q, PENALTIES[penalty], solver=solver, tol=1e-9)
        for rows in homes(False, "none", device, streamed=False, dtype=dtype)
    )
    for one, other in zip(host, there, strict=True):
        assert other.status is Status.CONVERGED
        assert other.bound == one.bound
        assert abs(one.value - other.value) < (3e-9 if dtype == np.float64 else 2e-8)  # float32 rounds the loss
        # of an even number of classes, an l1 part leaves a common shift of a column free
        W, V = (w - w.mean(axis=1, keepdims=True) for w in (other.W, one.W))
        np.testing.assert_allclose(W, V, atol=2e-3)


def test_coarse_products_are_given_up_before_a_gap_is_proved(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounding to eleven binary digits stands in for TF32, which the CPU does not have."""

    def rounded(values: Any) -> Any:
        return (values.view(torch.int32) & -(1 << 13)).view(torch.float32)

    plain = tr.TorchRows.product, tr.TorchRows.transposed_product
    used = {True: 0, False: 0}

    def product(rows: Any, X: Any, prepared: Any, *rest: Any) -> Any:
        used[rows.reduced_precision] += 1
        return plain[0](rows, X, rounded(prepared) if rows.reduced_precision else prepared, *rest)

    def transposed_product(rows: Any, R: Any, X: Any) -> Any:
        return plain[1](rows, rounded(R.contiguous()) if rows.reduced_precision else R, X)

    monkeypatch.setattr(tr.TorchRows, "product", product)
    monkeypatch.setattr(tr.TorchRows, "transposed_product", transposed_product)
    X, y, _, _ = numbers()
    X = X.astype(np.float32)
    (exact,) = minimise(as_rows(X, y), Q, l2(1e-3), solver="lbfgs")
    rows = tr.TorchRows(OnDevice(torch.from_numpy(X), torch.device("cpu")), y, reduced_precision=True)
    (found,) = minimise(rows, Q, l2(1e-3), solver="lbfgs")
    assert found.status is Status.CONVERGED
    assert abs(found.value - exact.value) < 2e-6
    assert found.gap <= 1e-6
    assert used[True] > 3
    assert used[False] > 3
    assert found.passes <= exact.passes + 6
    # then the proof itself, or a lack of progress, asks for more digits
    monkeypatch.setattr(descent, "REDUCED_PRECISION_GAP", 0.0)
    (late,) = minimise(rows, Q, l2(1e-3), solver="lbfgs")
    assert late.status is Status.CONVERGED
    assert abs(late.value - exact.value) < 2e-6


def test_sharper_is_float32_then_float64() -> None:
    rows = tr.TorchRows(
        OnDevice(torch.zeros(4, 2), torch.device("cpu")), np.array([0, 1, 0, 1]), reduced_precision=True
    )
    assert (rows.reduced_precision, rows.dtype) == (True, np.float32)
    rows = rows.with_higher_precision()
    assert (rows.reduced_precision, rows.dtype) == (False, np.float32)
    assert rows.with_higher_precision().dtype == np.float64
    dense = as_rows(np.zeros((4, 2), np.float32), np.array([0, 1, 0, 1]))
    assert not dense.reduced_precision
    assert dense.with_higher_precision().dtype == np.float64
    assert not as_rows(sp.csr_array((4, 2)), np.array([0, 1, 0, 1])).reduced_precision
