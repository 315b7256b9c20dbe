"""Every home of rows gives the same sums, whatever its dtype, order, sparsity, block size or number of threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from threadpoolctl import threadpool_info

import softreg.rows.gpu.device_rows
import softreg.rows.gpu.transfer
from softreg.rows import (
    Block,
    DenseRows,
    OnDevice,
    Rows,
    RowWriter,
    SparseRows,
    as_rows,
    one_blas_thread,
    runs,
    thread_count,
)
from softreg.rows.backend_protocol import sum_parts
from softreg.rows.column_statistics import BlockFunction
from softreg.rows.memory import csr as sparse
from softreg.rows.memory import dense
from softreg.rows.ondisk import disk_rows as stream
from softreg.rows.ondisk.arrays import FileArray, FileCSR
from softreg.rows.sampling import stratified

Array = NDArray[Any]
N, D = 700, 5


def numbers(seed: int = 0) -> Array:
    """Small multiples of 1/8: exact in float32, and so are their sums, so every home must agree to the bit."""
    random = np.random.default_rng(seed)
    X = random.integers(-16, 17, size=(N, D)) / 8
    X[random.random((N, D)) < 0.5] = 0.0
    X[:, 3] = 0.0
    return X


LABELS = np.random.default_rng(1).integers(0, 3, N)
WEIGHTS = np.random.default_rng(2).integers(0, 4, size=(2, N)).astype(float)


def read_only(X: Array, folder: Path) -> Array:
    X = X.copy()
    X.flags.writeable = False
    return X


def mapped(X: Array, folder: Path) -> Array:
    np.save(folder / "X.npy", X)
    return np.load(folder / "X.npy", mmap_mode="r")  # type: ignore[no-any-return]


def long_indices(X: Array, folder: Path) -> Any:
    S = sp.csr_array(X)
    return sp.csr_array((S.data, S.indices.astype(np.int64), S.indptr.astype(np.int64)), shape=S.shape)


def on_device(kind: str, streamed: bool = False) -> Callable[[Array, Path], Any]:
    """Rows of a tensor of the CPU; streamed ones pass through as rows on their way to a GPU do."""

    def made(X: Array, folder: Path) -> Any:
        torch = pytest.importorskip("torch", reason="PyTorch is not installed")
        tensor = torch.from_numpy(X).to(getattr(torch, kind))
        return OnDevice(tensor, torch.device("cpu"), streamed=streamed)

    return made


def cached(X: Any, folder: Path) -> Rows:
    """The rows in scratch files, written in unequal batches; labels and weights as for all homes."""
    writer = RowWriter(folder)
    for a, b in ((0, 1), (1, 300), (300, 300), (300, N)):
        writer.append(X[a:b], LABELS[a:b], None)
    assert list(folder.iterdir()) == []  # the files have no names
    return writer.finish().labelled(LABELS, WEIGHTS)  # type: ignore[no-any-return]


HOMES: dict[str, Callable[[Array, Path], Any]] = {
    "C order": lambda X, _: X,
    "F order": lambda X, _: np.asfortranarray(X),
    "float32": lambda X, _: X.astype(np.float32),
    "strided": lambda X, _: np.repeat(X, 2, axis=1)[:, ::2],
    "read-only": read_only,
    "memory-mapped": mapped,
    "csr_matrix": lambda X, _: sp.csr_matrix(X),
    "csr_array": lambda X, _: sp.csr_array(X),
    "csr float32": lambda X, _: sp.csr_array(X.astype(np.float32)),
    "csr int64": long_indices,
    "csc": lambda X, _: sp.csc_array(X),
    "coo": lambda X, _: sp.coo_array(X),
    **{f"torch {kind}": on_device(kind) for kind in ("float64", "float32", "float16", "bfloat16")},
    "torch streamed": on_device("float32", streamed=True),
    "cached": cached,
    "cached float32": lambda X, folder: cached(X.astype(np.float32), folder),
    "cached csr": lambda X, folder: cached(sp.csr_array(X), folder),
    "cached csr float32": lambda X, folder: cached(long_indices(X.astype(np.float32), folder), folder),
}


@pytest.fixture(params=list(HOMES))
def home(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rows:
    monkeypatch.setattr(dense, "BLOCK_BYTES", 1)  # blocks of 256 rows: three of them, the last one short
    monkeypatch.setattr(sparse, "BLOCK_NONZEROS", 1)
    monkeypatch.setattr(softreg.rows.gpu.device_rows, "BLOCK_BYTES", 1)
    for name in ("MIN_CHUNK_ROWS", "MAX_CHUNK_ROWS"):
        monkeypatch.setattr(softreg.rows.gpu.device_rows, name, 64)
    monkeypatch.setattr(softreg.rows.gpu.transfer, "PIECE_BYTES", 100 * D * 4)
    monkeypatch.setattr(stream, "MAX_IN_MEMORY_BYTES", 0)
    made = HOMES[request.param](numbers(), tmp_path)
    return made if hasattr(made, "sample") else as_rows(made, LABELS, WEIGHTS)


def test_a_home_knows_its_shape_and_cuts_it_into_blocks(home: Rows) -> None:
    assert (home.n, home.d) == (N, D)
    spans = home.map(BlockFunction(lambda block: np.array([[block.start, block.stop]])))
    np.testing.assert_array_equal(spans[1:, 0], spans[:-1, 1])
    assert len(spans) > 1
    assert (spans[0, 0], spans[-1, 1]) == (0, N)
    assert ((spans[:, 1] - spans[:, 0])[:-1] >= 200).all()


def test_sparse_blocks_hold_equally_many_stored_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse, "BLOCK_NONZEROS", 2400)
    X = np.zeros((2000, 8))
    X[:400] = 1.0  # the first rows are full, the others hold one number
    X[400:, 0] = 1.0
    rows = as_rows(sp.csr_array(X), np.zeros(2000, int))
    held = rows.map(BlockFunction(lambda block: np.array([X[block.start : block.stop].sum()])))
    np.testing.assert_allclose(held, 4800 / 2, atol=8)


def test_products_with_the_rows(home: Rows) -> None:
    X, W = numbers(), np.random.default_rng(3).integers(-8, 9, size=(4, D)) / 8
    prepared = home.prepare(W)
    np.testing.assert_array_equal(home.map(BlockFunction(lambda block: block.times(prepared).T)), X @ W.T)


def test_products_with_the_transpose_are_summed(home: Rows) -> None:
    R = np.random.default_rng(4).integers(-8, 9, size=(4, N)) / 8

    def part(block: Block) -> tuple[Array, Array]:
        r = R[:, block.start : block.stop].astype(home.dtype)
        return block.transposed_times(r), r.sum(axis=1)

    G, r = home.sum(BlockFunction(part))
    np.testing.assert_array_equal(G, R @ numbers())
    np.testing.assert_array_equal(r, R.sum(axis=1))
    assert G.dtype == r.dtype == np.float64


def test_sums_by_class(home: Rows) -> None:
    w = np.random.default_rng(5).integers(-8, 9, size=(2, N)) / 8
    q = int(LABELS.max()) + 1
    expected = np.einsum("kn,nq,nd->kqd", w, np.eye(q)[LABELS], numbers())
    (sums,) = home.sum(BlockFunction(lambda block: (block.class_sums(w[:, block.start : block.stop], q),)))
    np.testing.assert_array_equal(sums, expected)
    soft = home.labelled(0.7 * np.eye(q)[LABELS] + 0.3 / q, None)
    (sums,) = soft.sum(BlockFunction(lambda block: (block.class_sums(w[:, block.start : block.stop], q),)))
    np.testing.assert_array_equal(sums, expected)


def test_runs_are_pieces_of_a_block_in_order(home: Rows) -> None:
    found = home.map(BlockFunction(lambda block: np.concatenate([[[r.start, r.stop]] for r in runs(block, 100)])))
    ends = home.map(BlockFunction(lambda block: np.array([block.stop]))).tolist()
    expected = []
    for start, end in zip([0, *ends], ends, strict=False):
        expected += [[a, min(a + 100, end)] for a in range(start, end, 100)]
    np.testing.assert_array_equal(found, expected)
    assert ends[0] > 100
    assert ends[-1] == N


def test_labels_and_weights_travel_with_the_rows(home: Rows) -> None:
    def part(block: Block) -> Array:
        assert block.weights is not None
        return np.column_stack([block.labels, block.weights.T])

    np.testing.assert_array_equal(home.map(BlockFunction(part)), np.column_stack([LABELS, WEIGHTS.T]))


def test_extremes_and_moments(home: Rows) -> None:
    X = numbers()
    bounds = home.map(BlockFunction(lambda block: np.stack([np.stack(block.extremes())])))
    np.testing.assert_array_equal(bounds[:, 0].min(axis=0), X.min(axis=0))
    np.testing.assert_array_equal(bounds[:, 1].max(axis=0), X.max(axis=0))
    shift, scale = np.array([1.0, -2.0, 0.0, 3.0, 0.5]), np.array([2.0, 0.5, 1.0, 4.0, 1.0])
    first, second = home.sum(BlockFunction(lambda block: block.moments(shift, scale)))
    Z = (X - shift) / scale
    np.testing.assert_allclose(first, Z.sum(axis=0), rtol=1e-12)
    np.testing.assert_allclose(second, (Z**2).sum(axis=0), rtol=1e-12)


def test_standardised_blocks(home: Rows) -> None:
    shift, scale = np.array([1.0, -2.0, 0.0, 3.0, 0.5]), np.array([2.0, 0.5, 1.0, 4.0, 1.0])
    Z = home.map(BlockFunction(lambda block: block.standardised(shift, scale)))
    np.testing.assert_array_equal(Z, (numbers() - shift) / scale)
    assert Z.dtype == home.dtype


def test_rows_are_standardised_into_memory_that_is_there(home: Rows) -> None:
    shift, scale = np.arange(D) / 2.0, np.full(D, 2.0)
    index, room = np.array([0, 3, 5, 699]), np.full((4, D + 1), 7.0, dtype=home.dtype)
    home.standardise(index, shift, scale, room[:, :-1])
    np.testing.assert_allclose(room[:, :-1], (numbers()[index] - shift) / scale, rtol=1e-6)
    assert (room[:, -1] == 7).all()


def test_a_small_array_that_is_part_of_a_wider_one_lies_row_by_row() -> None:
    wide = np.arange(40.0).reshape(8, 5)
    rows = DenseRows(wide[:, :4], np.zeros(8, int))
    assert rows.X.flags.c_contiguous
    np.testing.assert_array_equal(rows.X, wide[:, :4])


def test_precise_multiplies_in_float64_and_keeps_labels(home: Rows) -> None:
    W = np.full((1, D), 1 / 3)
    wide = home.precise(dtype=np.float64)
    assert wide.dtype == np.float64
    prepared = wide.prepare(W)
    np.testing.assert_allclose(
        wide.map(BlockFunction(lambda b: b.times(prepared)[0])), numbers() @ W[0], rtol=1e-14, atol=1e-15
    )
    np.testing.assert_array_equal(wide.map(BlockFunction(lambda b: b.labels)), LABELS)


def test_precise_shifts_what_it_multiplies_where_it_can(home: Rows) -> None:
    shift, scale = np.array([1.0, -2.0, 0.0, 3.0, 0.5]), np.array([2.0, 0.5, 1.0, 4.0, 1.0])
    moved = home.precise(shift, scale)
    prepared = moved.prepare(np.eye(D))
    Z = (numbers() - shift) / scale if home.can_shift else numbers()
    np.testing.assert_array_equal(moved.map(BlockFunction(lambda b: b.times(prepared).T)), Z)
    ones = np.ones((1, N))
    G = moved.sum(BlockFunction(lambda b: (b.transposed_times(ones[:, b.start : b.stop].astype(moved.dtype)),)))[0]
    np.testing.assert_allclose(G, ones @ Z, rtol=1e-13)
    again = moved.precise(dtype=np.float64)  # more digits, the same shift
    np.testing.assert_array_equal(again.map(BlockFunction(lambda b: b.times(again.prepare(np.eye(D))).T)), Z)


def test_other_labels_for_the_same_rows(home: Rows) -> None:
    other = home.labelled(1 - LABELS, None)
    np.testing.assert_array_equal(other.map(BlockFunction(lambda b: b.labels)), 1 - LABELS)
    assert other.dtype == home.dtype
    other.map(BlockFunction(lambda b: np.zeros(1) if b.weights is None else pytest.fail("weights of before")))
    np.testing.assert_array_equal(home.map(BlockFunction(lambda b: b.labels)), LABELS)


def test_a_sample_loses_no_class_and_weighs_as_much_as_the_whole(home: Rows) -> None:
    few = home.sample(60, seed=0)
    assert 60 <= few.n <= 63
    V = few.map(BlockFunction(lambda b: b.weights.T if b.weights is not None else pytest.fail("no weights")))
    y = few.map(BlockFunction(lambda b: b.labels))
    assert few.dtype == home.dtype
    # each model's weight of a class is right on average; of all models alike it is right exactly
    plain = home.labelled(LABELS, None).sample(60, seed=0)
    share = plain.map(BlockFunction(lambda b: b.weights.T if b.weights is not None else pytest.fail("no weights")))[
        :, 0
    ]
    np.testing.assert_allclose([share[y == k].sum() for k in range(3)], np.bincount(LABELS), rtol=1e-12)
    index, again = stratified(LABELS, 60, 0)
    np.testing.assert_array_equal(share, again)
    np.testing.assert_array_equal(V, (WEIGHTS[:, index] * share).T)
    prepared = few.prepare(np.eye(D))
    np.testing.assert_array_equal(few.map(BlockFunction(lambda b: b.times(prepared).T)), numbers()[index])


def test_a_shifted_home_gives_a_shifted_sample(home: Rows) -> None:
    shift, scale = np.full(D, 2.0), np.full(D, 4.0)
    few = home.precise(shift, scale).sample(60, seed=0)
    index, _ = stratified(LABELS, 60, 0)
    Z = (numbers()[index] - 2) / 4 if home.can_shift else numbers()[index]
    np.testing.assert_array_equal(few.map(BlockFunction(lambda b: b.times(few.prepare(np.eye(D))).T)), Z)


@pytest.mark.parametrize("sparse_home", [False, True])
def test_the_number_of_threads_changes_no_bit(sparse_home: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dense, "BLOCK_BYTES", 1)
    monkeypatch.setattr(sparse, "BLOCK_NONZEROS", 1)
    X = np.random.default_rng(5).normal(size=(4000, 7)) * 10.0 ** np.arange(-3, 4)
    rows = as_rows(sp.csr_array(X) if sparse_home else X, np.zeros(4000, int))
    R = np.random.default_rng(6).normal(size=(3, 4000))
    answers = []
    for threads in ("1", "2", "3"):
        monkeypatch.setenv("SOFTREG_NUM_THREADS", threads)
        assert thread_count() == int(threads)
        answers.append(rows.sum(BlockFunction(lambda b: (b.transposed_times(R[:, b.start : b.stop]),)))[0])
    np.testing.assert_array_equal(answers[0], answers[1])
    np.testing.assert_array_equal(answers[0], answers[2])


def test_thread_count_asks_the_environment_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "5,2")
    monkeypatch.delenv("SOFTREG_NUM_THREADS", raising=False)
    assert thread_count() == 5
    monkeypatch.setenv("SOFTREG_NUM_THREADS", "7")
    assert thread_count() == 7
    monkeypatch.setenv("SOFTREG_NUM_THREADS", "many")
    assert thread_count() == 5


def test_an_error_in_a_block_reaches_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dense, "BLOCK_BYTES", 1)
    monkeypatch.setenv("SOFTREG_NUM_THREADS", "2")
    rows = as_rows(numbers(), LABELS)

    def part(block: Block) -> tuple[float]:
        raise ZeroDivisionError(f"block at {block.start}")

    with pytest.raises(ZeroDivisionError, match="block at 0"):
        rows.sum(BlockFunction(part))
    assert rows.sum(BlockFunction(lambda b: (float(b.stop - b.start),)))[0] == N  # and the threads live on


@pytest.mark.parametrize("X", [np.zeros((0, 3)), sp.csr_array((0, 3))])
def test_no_rows_no_sum(X: Any) -> None:
    with pytest.raises(ValueError, match="no rows to sum over"):
        as_rows(X, np.zeros(0, int)).sum(BlockFunction(lambda b: (1.0,)))


def test_sparse_rows_with_repeated_entries_mean_their_sum() -> None:
    X = sp.csr_matrix((np.ones(5), np.array([0, 0, 1, 0, 1]), np.array([0, 2, 3, 5])), shape=(3, 2))
    first, second = as_rows(X, np.zeros(3, int)).sum(BlockFunction(lambda b: b.moments(np.zeros(2), np.ones(2))))
    np.testing.assert_array_equal(first, X.toarray().sum(axis=0))
    np.testing.assert_array_equal(second, (X.toarray() ** 2).sum(axis=0))


def test_explicit_zeros_and_columns_without_entries() -> None:
    X = sp.csr_array((np.array([0.0, 2.0]), np.array([0, 2]), np.array([0, 1, 2])), shape=(2, 4))
    low, high = as_rows(X, np.zeros(2, int)).blocks[0].extremes()  # type: ignore[attr-defined]
    np.testing.assert_array_equal(low, [0, 0, 0, 0])
    np.testing.assert_array_equal(high, [0, 0, 2, 0])


def test_big_blocks_by_default() -> None:
    assert len(DenseRows(np.zeros((5000, 10)), np.zeros(5000, int)).blocks) == 1
    assert len(SparseRows(sp.csr_array((5000, 10)), np.zeros(5000, int)).blocks) == 1


def test_sums_of_float32_parts_are_taken_in_float64() -> None:
    total = sum_parts((np.float32(x), np.array([x], dtype=np.float32)) for x in (1.0, 2.0**-30, 2.0**-30))
    assert total[0] == 1 + 2.0**-29  # float32 knows nothing between 1 and 1 + 2^-23
    np.testing.assert_array_equal(total[1], [1 + 2.0**-29])


def test_adding_up_leaves_the_parts_alone() -> None:
    first = np.ones(2)
    sum_parts([(first,), (np.ones(2),)])
    np.testing.assert_array_equal(first, [1, 1])


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(1, 70), st.integers(0, 5))
def test_stratified_samples_stand_for_their_classes(labels: list[int], size: int, seed: int) -> None:
    codes = np.array(labels)
    index, weight = stratified(codes, size, seed)
    assert len(set(index)) == len(index)
    assert (np.diff(index) > 0).all()
    counts = np.bincount(codes, minlength=5)
    np.testing.assert_allclose(np.bincount(codes[index], weights=weight, minlength=5), counts)
    taken = np.bincount(codes[index], minlength=5)
    assert (taken >= np.minimum(counts, 5)).all()
    if size >= len(codes):
        assert len(index) == len(codes)


def test_soft_labels_are_sampled_by_their_likeliest_class() -> None:
    Y = np.array([[0.9, 0.1]] * 98 + [[0.2, 0.8]] * 2)
    index, weight = stratified(Y, 10, seed=0)
    assert {98, 99} <= set(index)
    assert weight.sum() == pytest.approx(100)


def test_the_limit_of_blas_threads_holds_in_any_thread_and_is_lifted() -> None:
    def within() -> set[int]:
        with one_blas_thread():
            return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}

    before = threadpool_info()
    assert within() == {1}
    with ThreadPoolExecutor(1) as other:  # the thread that sets a limit keeps the right to, until it gives it back
        assert other.submit(within).result() == {1}
    assert within() == {1}
    assert threadpool_info() == before


def test_samples_of_many_rows_are_as_exact_as_those_of_few() -> None:
    random = np.random.default_rng(0)
    labels = random.choice(4, size=150_000, p=[0.7, 0.29, 0.0099, 0.0001])
    index, weight = stratified(labels, 5000, seed=3)
    assert (np.diff(index) > 0).all()
    for k, count in enumerate(np.bincount(labels)):
        mine = labels[index] == k
        assert mine.sum() == min(count, max(np.ceil(count * 5000 / 150_000), 5))
        assert weight[mine].sum() == pytest.approx(count)
    spread = np.histogram(index, bins=10, range=(0, 150_000))[0]
    assert (np.abs(spread - 500) < 6 * np.sqrt(500)).all()  # drawn from everywhere
    again, _ = stratified(labels, 5000, seed=4)
    assert len(np.intersect1d(index, again)) < 400


def test_labels_and_weights_of_scratch_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    X, w = numbers(), np.arange(1.0, N + 1)
    for small in (0, 10**9):
        monkeypatch.setattr(stream, "MAX_IN_MEMORY_BYTES", small)
        writer = RowWriter(tmp_path)
        writer.append(X[:300], LABELS[:300], w[:300])
        writer.append(X[300:], LABELS[300:], w[300:])
        rows = writer.finish(np.array([2, 0, 1]), np.array([1.0, 2.0, 4.0]), scale=0.5)
        assert rows.fits_in_memory == bool(small)
        y = np.array([2, 0, 1])[LABELS]
        np.testing.assert_array_equal(rows.map(BlockFunction(lambda b: b.labels)), y)
        np.testing.assert_array_equal(
            rows.map(BlockFunction(lambda b: b.weights.T))[:, 0], w / 2 * np.array([1.0, 2.0, 4.0])[y]
        )
        plain = writer.finish(weighted=False)
        assert plain.map(BlockFunction(lambda b: np.zeros(0 if b.weights is None else 1))).size == 0
        few, index = rows.sample(60, seed=0), stratified(y, 60, 0)[0]
        np.testing.assert_array_equal(few.X, X[index])
        np.testing.assert_array_equal(few.labels, y[index])


def test_runs_of_a_file_are_read_as_they_are_asked_for(tmp_path: Path) -> None:
    file, X = FileArray(np.float64, D, tmp_path), numbers()
    file.append(X)
    for a, b in ((0, 10), (5, 10), (5, 700), (3, 3), (690, 700), (0, 700), (699, 700)):
        np.testing.assert_array_equal(file[a:b], X[a:b])
    index = np.array([0, 5, 5, 6, 699])
    np.testing.assert_array_equal(file[index], X[index])
    csr = FileCSR(np.float64, D, tmp_path)
    S = sp.csr_array(X)
    for a, b in ((0, 0), (0, 100), (100, 700)):
        csr.append(S[a:b])
    for a, b in ((0, 10), (5, 700), (3, 3), (0, 700)):
        np.testing.assert_array_equal(csr.rows(a, b).toarray(), X[a:b])
    np.testing.assert_array_equal(csr[index].toarray(), X[index])
    np.testing.assert_array_equal(csr.read_all().toarray(), X)
    targets = np.array([0.0, 0.5, 1.0, 700.0, float(S.nnz)])
    np.testing.assert_array_equal(csr.searchsorted(targets), np.searchsorted(S.indptr, targets))


def test_a_collected_scratch_file_is_closed() -> None:
    import gc
    import warnings

    from softreg.rows.ondisk.scratch_file import Scratch

    scratch = Scratch()
    file = scratch.file
    cycle = [scratch]
    cycle.append(cycle)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del scratch, cycle
        gc.collect()
    assert file.closed
