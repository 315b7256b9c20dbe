"""What a fit costs: counts worked by hand, seconds that sum to the whole, and a record from every plan."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

import softreg
from softreg import SoftmaxRegression
from softreg.optimize import FitCost, l2, minimise
from softreg.optimize.cost.meter import CostMeter, current_meter, metered
from softreg.optimize.objective.cached_logits import Objective
from softreg.optimize.objective.evaluation import PassEvaluator
from softreg.optimize.objective.recomputed_logits import RecomputedObjective
from softreg.optimize.plan import RULES
from softreg.optimize.problem.group_penalty import group_penalty
from softreg.optimize.problem.penalty_table import elastic_net
from softreg.optimize.problem.standardization import standardise
from softreg.rows import RowWriter, as_rows, thread_count
from softreg.rows.kernels.products import kernels_in_use
from softreg.rows.ondisk import disk_rows
from softreg.typing import Array

from ..plan.test_plans import CASES, DUAL, Case, data

N, D, Q = 300, 4, 3


def problem(store: Callable[[Array], Any] = np.asarray) -> tuple[Any, Array]:
    random = np.random.default_rng(0)
    X = random.normal(size=(N, D))
    y = (X @ random.normal(size=(D, Q)) + random.gumbel(size=(N, Q))).argmax(axis=1)
    return store(X), y


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_pass_reads_each_stored_number_once_and_multiplies_it_twice_for_each_class(dtype: Any) -> None:
    X, y = problem()
    rows = as_rows(X.astype(dtype), y)
    _, coordinates = standardise(rows, centred=True)
    with metered() as meter:
        objective = Objective(rows, Q, l2(np.full(2, 0.1)), coordinates)
        objective.evaluate(np.zeros((2, Q, D + 1)))
    size = np.dtype(dtype).itemsize
    assert meter.bytes_read == N * D * size
    assert meter.operations == 2 * 2 * N * D * 2 * Q  # two products, two operations, two models
    assert meter.double_operations == (meter.operations if size == 8 else 0)
    with metered() as meter:
        objective.meter = meter
        objective.set_direction(np.ones((2, Q, D + 1)))  # half a pass, then sums of kept logits
    assert (meter.bytes_read, meter.operations) == (N * D * size, 2 * N * D * 2 * Q)
    assert meter.readings == 2


def test_sparse_rows_are_read_with_their_column_numbers() -> None:
    X, y = problem(lambda X: sp.csr_array(np.where(X > 0, X, 0)))
    rows = as_rows(X, y)
    assert rows.stored_bytes == X.nnz * (8 + X.indices.itemsize) + (N + 1) * X.indptr.itemsize
    with metered() as meter:
        RecomputedObjective(rows, Q, l2(0.1), standardise(rows, centred=True)[1]).evaluate(np.zeros((1, Q, D + 1)))
    assert meter.bytes_read == 3 * rows.stored_bytes  # extremes, moments and the pass
    assert meter.operations == 2 * X.nnz + 4 * X.nnz + 4 * X.nnz * Q


def test_a_pass_with_a_hessian_counts_the_pairs_of_classes_and_is_curvature() -> None:
    rows = as_rows(*problem())
    coordinates = standardise(rows, centred=True)[1]
    with metered() as meter:
        PassEvaluator(Objective(rows, Q, l2(0.1), coordinates)).read(np.zeros((1, Q, D + 1)), curved=True)
    pairs = 3
    assert meter.operations == 4 * N * D * Q + pairs * N * (D + 1) ** 2
    cost = meter.finish(rows)
    assert cost.curvature_seconds > 0
    assert cost.row_bytes == rows.stored_bytes


def test_the_parts_of_a_fit_sum_to_its_seconds() -> None:
    rows = as_rows(*problem())
    start = time.perf_counter()
    (solution,) = minimise(rows, Q, l2(1e-3), solver="lbfgs-sampled")
    elapsed = time.perf_counter() - start
    cost = solution.cost
    assert cost is not None
    parts = (cost.passes_seconds, cost.curvature_seconds, cost.certificate_seconds, cost.other_seconds)
    assert all(part > 0 for part in parts)
    assert sum(parts) == pytest.approx(cost.seconds)
    assert cost.seconds <= elapsed
    assert 0 < cost.processor_seconds <= 1.05 * thread_count() * elapsed


def test_parts_within_parts_count_once_and_belong_to_the_outermost() -> None:
    meter = CostMeter()
    with meter.certificate(), meter.passes(10, 20):
        time.sleep(0.02)
    with pytest.raises(KeyError), meter.curvature():
        raise KeyError
    cost = meter.finish()
    assert cost.certificate_seconds >= 0.02
    assert cost.passes_seconds == 0 < cost.curvature_seconds
    assert (cost.bytes_read, cost.operations, cost.readings) == (10, 20, 1)


def test_a_meter_ends_with_its_fit_and_one_around_it_has_the_sum() -> None:
    with metered() as outer:
        costs = [minimise(as_rows(*problem()), Q, l2(0.1))[0].cost for _ in range(2)]
        assert current_meter() is outer
    assert current_meter() is not outer
    total = outer.finish()
    for name in ("bytes_read", "operations", "readings", "passes_seconds", "certificate_seconds"):
        assert getattr(total, name) == pytest.approx(sum(getattr(cost, name) for cost in costs))
    assert total.row_bytes == N * D * 8


@pytest.mark.parametrize("plan", [rule.name for rule in RULES])
def test_every_plan_gives_a_cost(plan: str) -> None:
    if plan in DUAL and not kernels_in_use().compiled:
        pytest.skip("dual steps need compiled kernels")
    name = next(name for name, case in CASES.items() if plan in case.plans)
    case: Case = CASES[name]
    X, labels, weights = data(name)
    rows = as_rows(case.store(X), labels, None if weights is None else weights[None])
    strength, make = case.l1 + case.group + case.l2, group_penalty if case.group else elastic_net
    penalty = make(strength, (case.l1 + case.group) / strength)
    (solution,) = minimise(rows, case.q, penalty, fit_intercept=case.fit_intercept, solver=plan)
    cost = solution.cost
    assert isinstance(cost, FitCost)
    assert cost.row_bytes == rows.stored_bytes
    assert cost.bytes_read >= 2 * rows.stored_bytes
    assert cost.operations > 2 * rows.stored * case.q
    parts = cost.passes_seconds + cost.curvature_seconds + cost.certificate_seconds
    assert 0 < parts <= cost.seconds
    assert cost.certificate_seconds > 0


@pytest.mark.skipif(not kernels_in_use().compiled, reason="dual steps need compiled kernels")
def test_a_sweep_of_dual_ascent_counts_as_reading_the_rows_it_visits() -> None:
    X, labels, _ = data("sparse")
    rows = as_rows(sp.csr_array(X), labels)
    (solution,) = minimise(rows, 3, l2(1e-2), solver="dual-ascent")
    cost = solution.cost
    assert cost is not None
    assert cost.passes_seconds > 0
    assert cost.bytes_read <= (solution.passes + 4) * rows.stored_bytes  # with the sums of the standardization


def test_models_of_a_stack_share_their_cost() -> None:
    X, y = problem()
    V = np.random.default_rng(1).uniform(0.5, 2, (3, N))
    costs = [s.cost for s in minimise(as_rows(X, y, V), Q, l2(np.array([0.1, 0.01, 0.001])))]
    assert costs[0] is costs[1] is costs[2]
    assert costs[0] is not None
    assert costs[0].models == 3


def test_rows_on_disk_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_rows, "MAX_IN_MEMORY_BYTES", 0)
    for make in (np.asarray, sp.csr_array):
        X, y = problem(make)
        writer = RowWriter()
        writer.append(X, y, None)
        rows = writer.finish()
        (solution,) = minimise(rows, Q, l2(0.1))
        assert solution.cost is not None
        assert solution.cost.storage == rows.storage == "disk"
        assert solution.cost.bytes_read >= 3 * rows.stored_bytes > 0
        writer.close()


@pytest.mark.parametrize("penalty", ["l2", "l1", "group", "firth", None])
def test_estimators_have_the_cost_and_model_files_do_not(penalty: Any, tmp_path: Path) -> None:
    X, y = problem()
    model = SoftmaxRegression(0.01, penalty=penalty).fit(X, y)
    assert model.solution_.cost.bytes_read > 0
    model.save(tmp_path / "m.softreg")
    assert softreg.load(tmp_path / "m.softreg").solution_.cost is None


def test_cross_validation_has_the_cost_of_its_search_and_of_its_last_fit() -> None:
    model = softreg.SoftmaxRegressionCV(cv=3).fit(*problem())
    assert model.solution_.cost.bytes_read > 0
    search = model.path_.cost
    assert search.seconds == model.path_.seconds
    assert search.row_bytes == N * D * 8
    assert search.bytes_read >= model.path_.passes * search.row_bytes / 2
    assert min(search.passes_seconds, search.curvature_seconds, search.other_seconds) > 0


@pytest.mark.skipif(not kernels_in_use().compiled, reason="dual steps need compiled kernels")
def test_the_search_counts_the_sweeps_of_folds_by_dual_ascent() -> None:
    X, labels, _ = data("sparse")
    model = softreg.SoftmaxRegressionCV([0.1, 0.01], cv=3, solver="dual-ascent").fit(sp.csr_array(X), labels)
    assert model.path_.cost.operations > 2 * np.count_nonzero(X) * 3
    assert model.path_.cost.passes_seconds > 0


@pytest.mark.timing
def test_the_meter_takes_little_of_a_tiny_fit() -> None:
    meter, times = CostMeter(), 10_000
    start = time.process_time()
    for _ in range(times):
        with meter.passes(1.0, 1.0):
            pass
    assert (time.process_time() - start) / times < 5e-6
