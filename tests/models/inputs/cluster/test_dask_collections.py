"""Fits and predictions on Dask collections: the numbers of a fit in memory, and one error for each fault."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from softreg import SoftmaxRegression

distributed = pytest.importorskip("distributed")
da = pytest.importorskip("dask.array")
N, D = 6_000, 5
NAMES = np.array(["no", "maybe", "yes"])


def data() -> tuple[Any, Any]:
    random = np.random.default_rng(1)
    X = random.normal(size=(N, D))
    return X, NAMES[(X[:, :3] + random.gumbel(size=(N, 3))).argmax(axis=1)]


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def collections(rows: int = 700) -> tuple[Any, Any]:
    X, y = data()
    return da.from_array(X, chunks=(rows, D)), da.from_array(y, chunks=rows)


def close(model: Any, one: Any) -> None:
    assert model.classes_.tolist() == one.classes_.tolist()
    assert model.solution_.status.value == "converged"
    assert abs(model.solution_.value - one.solution_.value) < 2e-6
    np.testing.assert_allclose(model.predict_proba(data()[0]), one.predict_proba(data()[0]), atol=2e-3)


PARAMETERS: list[dict[str, Any]] = [
    {},
    {"class_weight": "balanced"},
    {"penalty": "l1", "strength": 1e-2},
    {"penalty": "elasticnet", "strength": 1e-2},
    {"penalty": None},
    {"fit_intercept": False},
    {"solver": "lbfgs"},
]


@pytest.mark.parametrize("parameters", PARAMETERS, ids=str)
def test_a_fit_of_arrays_is_the_fit_in_memory(client: Any, parameters: dict[str, Any]) -> None:
    model = SoftmaxRegression(**parameters).fit(*collections())
    close(model, SoftmaxRegression(**parameters).fit(*data()))
    assert not hasattr(model, "feature_names_in_")


def test_weights_and_offsets_come_in_the_same_partitions(client: Any) -> None:
    (X, y), (Xd, yd) = data(), collections()
    random = np.random.default_rng(2)
    weight, offset = random.integers(0, 3, N), random.normal(size=(N, 3))
    model = SoftmaxRegression(1e-3).fit(
        Xd, yd, sample_weight=da.from_array(weight, chunks=1000), offset=da.from_array(offset, chunks=(900, 2))
    )
    one = SoftmaxRegression(1e-3).fit(X, y, sample_weight=weight, offset=offset)
    assert abs(model.solution_.value - one.solution_.value) < 2e-6
    P = model.predict_proba(Xd, offset=da.from_array(offset, chunks=(700, 3))).compute()
    np.testing.assert_allclose(P, model.predict_proba(X, offset=offset), rtol=1e-12)


def test_a_fit_in_a_task_of_the_only_thread_does_not_wait_for_itself() -> None:
    def task() -> float:
        return float(SoftmaxRegression(1e-2).fit(*collections()).solution_.value)

    with distributed.Client(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as client:
        value = client.submit(task).result(timeout=60)
    assert value == pytest.approx(SoftmaxRegression(1e-2).fit(*data()).solution_.value, abs=2e-6)


def test_two_classes_take_one_offset_a_row(client: Any) -> None:
    X, y = data()
    two, offset = np.where(y == "no", "no", "yes"), np.linspace(-1, 1, N)
    model = SoftmaxRegression(1e-2).fit(
        da.from_array(X, chunks=700), da.from_array(two, chunks=700), offset=da.from_array(offset, chunks=700)
    )
    one = SoftmaxRegression(1e-2).fit(X, two, offset=offset)
    assert abs(model.solution_.value - one.solution_.value) < 2e-6


def test_partitions_whose_labels_are_of_two_kinds_are_named(client: Any) -> None:
    X, y = data()
    mixed = y.astype(object)
    mixed[3_000:] = 1
    with pytest.raises(ValueError, match="the labels of partition 3 are integer, and those of partition 0 are text"):
        SoftmaxRegression().fit(da.from_array(X, chunks=1000), da.from_array(mixed, chunks=1000))


def test_a_client_that_is_closed_during_a_fit_is_one_error() -> None:
    from softreg.rows.cluster.versions import ClusterError

    options = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": None}
    with (
        distributed.Client(**options) as client,
        pytest.raises(ClusterError, match="was lost, or its tasks were cancelled"),
    ):
        SoftmaxRegression(1e-4, solver="lbfgs", verbose=lambda now: client.close()).fit(*collections())


def test_label_probabilities_and_float32(client: Any) -> None:
    X, y = data()
    P = (y[:, None] == np.sort(NAMES)) * 0.8 + 0.2 / 3
    X = X.astype(np.float32)
    model = SoftmaxRegression(1e-3).fit(da.from_array(X, chunks=(700, 2)), da.from_array(P, chunks=(800, 1)))
    assert abs(model.solution_.value - SoftmaxRegression(1e-3).fit(X, P).solution_.value) < 2e-6


def test_sparse_chunks(client: Any) -> None:
    X, y = data()
    X[abs(X) < 1] = 0
    Xd = da.from_array(X, chunks=(700, D)).map_blocks(sp.csr_array, dtype=float)
    model = SoftmaxRegression(1e-3).fit(Xd, da.from_array(y, chunks=700))
    one = SoftmaxRegression(1e-3).fit(sp.csr_array(X), y)
    assert abs(model.solution_.value - one.solution_.value) < 2e-6
    np.testing.assert_allclose(model.predict_proba(Xd).compute(), model.predict_proba(X), rtol=1e-12)


def test_frames_are_matched_by_column_and_predicted_by_partition(client: Any) -> None:
    dd = pytest.importorskip("dask.dataframe")
    X, y = data()
    names = [f"x{k}" for k in range(D)]
    frame = dd.from_pandas(pd.DataFrame(X, columns=names).assign(y=pd.Categorical(y)), npartitions=7)
    model = SoftmaxRegression(1e-3).fit(frame[names], frame["y"])
    assert model.feature_names_in_.tolist() == names
    close(model, SoftmaxRegression(1e-3).fit(X, y))
    P = model.predict_proba(frame[names[::-1]])  # columns in another order
    assert P.shape[1] == 3
    np.testing.assert_array_equal(P.compute(), model.predict_proba(pd.DataFrame(X, columns=names)))
    assert model.score(frame[names], frame["y"]) == pytest.approx(
        (model.predict(pd.DataFrame(X, columns=names)) == y).mean()
    )


def test_partitions_without_rows_or_without_a_class_are_part_of_the_fit(client: Any) -> None:
    X, y = data()
    order = np.argsort(y)  # partitions of one class
    Xd, yd = da.from_array(X[order], chunks=(600, D)), da.from_array(y[order], chunks=600)
    some = da.from_array(y[order] != "maybe", chunks=600)  # the partitions of that class are empty
    model = SoftmaxRegression(1e-3).fit(Xd[some], yd[some])
    kept = y != "maybe"
    one = SoftmaxRegression(1e-3).fit(X[kept], y[kept])
    assert model.classes_.tolist() == ["no", "yes"]
    assert abs(model.solution_.value - one.solution_.value) < 2e-6
    lazy = model.predict(Xd[some])
    np.testing.assert_array_equal(lazy.compute(), model.predict(X[order][y[order] != "maybe"]))


def test_predictions_are_lazy_and_have_the_shapes_of_those_in_memory(client: Any) -> None:
    (X, y), (Xd, _) = data(), collections()
    for labels in (y, np.where(y == "no", "no", "yes")):
        model = SoftmaxRegression(1e-3).fit(X, labels)
        for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
            lazy, there = getattr(model, method)(Xd), getattr(model, method)(X)
            assert isinstance(lazy, da.Array)
            assert (lazy.shape, lazy.dtype) == (there.shape, there.dtype)
            np.testing.assert_array_equal(lazy.compute(), there) if method == "predict" else np.testing.assert_allclose(
                lazy.compute(), there, rtol=1e-12, atol=1e-14
            )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y: (X, y[:-5]), "X has 6,000 rows and y has 5,995"),
        (lambda X, y: (X, np.zeros(N)), "X is a Dask collection and y is ndarray"),
        (lambda X, y: (da.where(X > 3.3, np.nan, X), y), r"in partition \d+: Input X contains NaN: column"),
        (lambda X, y: (X[X[:, 0] > 0], y.rechunk(900)), "not known"),
        (lambda X, y: (X[X[:, 0] > 0], y), r"in partition \d: "),
        (lambda X, y: (X[X[:, 0] > 0], y[y != "no"]), r"in partition \d: "),
        (lambda X, y: (X[:, 0], y), r"X is a Dask Array with 1 dimensions; .* X\[:, None\]"),
        (lambda X, y: (X, da.full(N, "a", chunks=700)), "only one class|one class"),
        (lambda X, y: (X[:0], y[:0]), "nothing to fit"),
        (lambda X, y: (X.astype(str), y), "in partition 0: "),
    ],
)
def test_what_cannot_be_fitted_is_one_error(client: Any, change: Any, message: str) -> None:
    with pytest.raises((ValueError, TypeError), match=message):
        SoftmaxRegression().fit(*change(*collections()))


def test_predictions_for_other_columns_are_refused_before_they_are_computed(client: Any) -> None:
    model = SoftmaxRegression(1e-3).fit(*data())
    with pytest.raises(ValueError, match="X has 4 features, but SoftmaxRegression is expecting 5"):
        model.predict_proba(da.ones((10, 4), chunks=5))
    with pytest.raises(ValueError, match="X is a Dask Array with 1 dimensions"):
        model.predict(da.ones(10, chunks=5))
    dd = pytest.importorskip("dask.dataframe")
    named = SoftmaxRegression(1e-3).fit(pd.DataFrame(data()[0], columns=list("abcde")), data()[1])
    frame = dd.from_pandas(pd.DataFrame(data()[0], columns=list("abcdf")), npartitions=2)
    with pytest.raises(ValueError, match="the frame lacks 'e' and has 'f'; the model was fitted to"):
        named.predict_proba(frame)


def test_columns_that_differ_between_partitions_name_the_column(client: Any) -> None:
    from dask.delayed import delayed

    dd = pytest.importorskip("dask.dataframe")
    X, y = data()
    parts = [pd.DataFrame(X[:100], columns=list("abcde")), pd.DataFrame(X[100:200], columns=list("abcdf"))]
    frame = dd.from_delayed([delayed(part) for part in parts], meta=parts[0], verify_meta=False)
    labels = dd.from_delayed([delayed(pd.Series(y[a : a + 100])) for a in (0, 100)], meta=pd.Series(y[:1]))
    with pytest.raises(ValueError, match="partition 1 and partition 0 differ: one has the column 'f' where"):
        SoftmaxRegression().fit(frame, labels)


def test_the_bits_are_the_same_after_a_worker_was_killed(client: Any) -> None:
    undisturbed = SoftmaxRegression(1e-3, solver="lbfgs", tol=1e-10).fit(*collections(200))
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as other,
    ):
        pids = list(other.run(os.getpid).values())
        killer = threading.Timer(0.5, os.kill, (pids[0], signal.SIGKILL))
        passes: list[float] = []

        def listen(now: Any) -> None:
            if not passes:
                killer.start()
            passes.append(now.passes)
            time.sleep(0.1)

        X, y = (part.persist() for part in collections(200))
        model = SoftmaxRegression(1e-3, solver="lbfgs", tol=1e-10, verbose=listen).fit(X, y)
        assert pids[0] not in other.run(os.getpid).values()
    assert model.coef_.tobytes() == undisturbed.coef_.tobytes()


def test_without_a_client_the_message_says_how_to_start_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_client() -> None:
        raise ValueError("No clients found")

    monkeypatch.setattr(distributed, "get_client", no_client)
    with pytest.raises(ValueError, match=r"client = Client\(\)"):
        SoftmaxRegression().fit(*collections())


@pytest.mark.parametrize("parameters", [{"penalty": "firth"}, {"device": "cpu"}], ids=str)
def test_what_needs_rows_in_one_process_is_refused(client: Any, parameters: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"all rows in memory|leave device out"):
        SoftmaxRegression(**parameters).fit(*collections())
