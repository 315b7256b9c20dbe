"""Rows that come in batches are fitted as if they were there at once: to the last bit, whatever is asked for."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp

from softreg import SoftmaxRegression, SoftmaxRegressionCV, infer
from softreg.models.inputs.batches import EncodedLabels
from softreg.rows.memory import dense
from softreg.rows.ondisk import disk_rows as stream
from softreg.rows.ondisk import scratch_file as scratch

N, D = 3000, 6
RANDOM = np.random.default_rng(0)
Z = RANDOM.normal(size=(N, D))
X = Z * 10.0 ** np.arange(-2, 4) + np.arange(D)
Y = np.array(["ant", "bee", "cat"])[(Z @ RANDOM.normal(size=(D, 3)) + RANDOM.gumbel(size=(N, 3))).argmax(1)]
CODES = np.array([3, 2, 0])[np.unique(Y, return_inverse=True)[1]]
CUTS = [(0, 7), (7, 7), (7, 1000), (1000, N)]


@pytest.fixture(autouse=True)
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where scratch files lie; whatever a test does, nothing is left there."""
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setenv("SOFTREG_CACHE", str(folder))
    monkeypatch.setattr(stream, "MAX_IN_MEMORY_BYTES", 0)
    yield folder
    assert list(folder.iterdir()) == []


def cut(*arrays: Any) -> Any:
    return lambda: (tuple(a[i:j] for a in arrays) for i, j in CUTS)


def same(one: SoftmaxRegression, other: SoftmaxRegression) -> None:
    np.testing.assert_array_equal(one.coef_, other.coef_)
    np.testing.assert_array_equal(one.intercept_, other.intercept_)
    np.testing.assert_array_equal(one.classes_, other.classes_)
    assert one.classes_.dtype == other.classes_.dtype
    assert (one.solution_.gap, one.solution_.passes) == (other.solution_.gap, other.solution_.passes)


SPARSE = sp.csr_array(np.where(np.abs(X - X.mean(0)) > X.std(0), X, 0.0))
KINDS: dict[str, Any] = {
    "float64": X,
    "float32": X.astype(np.float32),
    "Fortran order": np.asfortranarray(X),
    "integers": (X * 10).astype(np.int64),
    "csr": SPARSE,
    "csr_matrix float32": sp.csr_matrix(SPARSE.astype(np.float32)),
    "pandas": pd.DataFrame(X, columns=list("abcdef")),
}


@pytest.mark.parametrize("solver", ["one-pass-newton", "lbfgs"])
@pytest.mark.parametrize("kind", KINDS)
def test_batches_are_the_rows(kind: str, solver: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dense, "ONE_BLOCK_BYTES", 0)
    monkeypatch.setattr(dense, "BLOCK_BYTES", 30_000)
    whole = KINDS[kind]
    model = SoftmaxRegression(1e-3, solver=solver)
    plain = model.fit(whole, Y)
    expected = plain.predict_proba(whole)
    streamed = SoftmaxRegression(1e-3, solver=solver).fit(cut(whole, Y))
    assert streamed.solution_.status.value == "converged"
    assert streamed.solution_.gap <= 1e-6
    if (
        solver == "one-pass-newton" and kind != "Fortran order"
    ):  # both take the same steps; L-BFGS keeps logits of rows in memory, and none of batches
        same(streamed, plain)
    np.testing.assert_allclose(streamed.predict_proba(whole), expected, atol=2e-5)
    np.testing.assert_array_equal(streamed.predict_proba(cut(whole)), streamed.predict_proba(whole))
    assert (streamed.predict(cut(whole, Y)) == streamed.predict(whole)).all()
    if kind == "pandas":
        assert list(streamed.feature_names_in_) == list("abcdef")


@pytest.mark.parametrize("kind", KINDS)
def test_few_rows_are_read_back_into_memory(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MAX_IN_MEMORY_BYTES", 10**9)
    whole, w = KINDS[kind], RANDOM.integers(1, 4, N).astype(float)
    plain = SoftmaxRegression(1e-3, solver="lbfgs", class_weight="balanced").fit(whole, Y, w)
    streamed = SoftmaxRegression(1e-3, solver="lbfgs", class_weight="balanced").fit(cut(whole, Y, w))
    np.testing.assert_allclose(streamed.predict_proba(whole), plain.predict_proba(whole), atol=1e-9)


def frames() -> Iterator[Any]:
    for i, j in CUTS:
        yield pl.DataFrame(X[i:j], schema=list("abcdef")), pl.Series(Y[i:j])


@pytest.mark.parametrize(
    "source",
    [
        frames,
        frames(),
        lambda: ([X[i:j].tolist(), list(Y[i:j])] for i, j in CUTS if j > i),
        lambda: ((X[i:j], pa.array(Y[i:j])) for i, j in CUTS),
        lambda: ((X[i:j], EncodedLabels(["cat", "cow", "bee", "ant"], CODES[i:j])) for i, j in CUTS),
    ],
    ids=["polars", "generator", "lists", "arrow", "dictionary"],
)  # fmt: skip
def test_batches_of_any_form(source: Any) -> None:
    made = SoftmaxRegression(1e-3, solver="one-pass-newton").fit(source)
    made.classes_ = made.classes_.astype(str)  # of arrow they are objects
    same(made, SoftmaxRegression(1e-3, solver="one-pass-newton").fit(X, Y))


@pytest.mark.parametrize("class_weight", [None, "balanced", {"bee": 3.0}])
@pytest.mark.parametrize("weights", [None, "some zero", "equal", "huge"])
@pytest.mark.parametrize("labels", ["hard", "soft"])
def test_weights_and_soft_labels(labels: str, weights: str | None, class_weight: Any) -> None:
    y: Any = Y
    if labels == "soft":
        y = 0.8 * np.eye(3)[np.unique(Y, return_inverse=True)[1]] + 0.2 / 3
        class_weight = {1: 3.0} if isinstance(class_weight, dict) else class_weight
    w = {
        None: None,
        "some zero": RANDOM.integers(0, 3, N).astype(float),
        "equal": np.full(N, 2.0),
        "huge": RANDOM.uniform(1e150, 1e151, N),
    }[weights]
    plain = SoftmaxRegression(1e-3, class_weight=class_weight).fit(X, y, sample_weight=w)
    streamed = SoftmaxRegression(1e-3, class_weight=class_weight).fit(cut(X, y) if w is None else cut(X, y, w))
    np.testing.assert_allclose(streamed.predict_proba(X), plain.predict_proba(X), atol=1e-7)


def test_classes_that_come_late_and_integer_labels() -> None:
    order = np.argsort(Y == "ant", kind="stable")  # the first class in order comes last
    same(
        SoftmaxRegression(1e-3, solver="one-pass-newton").fit(cut(X[order], Y[order])),
        SoftmaxRegression(1e-3, solver="one-pass-newton").fit(X[order], Y[order]),
    )
    whole = (Y == "bee") * 7
    same(
        SoftmaxRegression(1e-3, solver="one-pass-newton").fit(cut(X, whole)),
        SoftmaxRegression(1e-3, solver="one-pass-newton").fit(X, whole),
    )


BAD: dict[str, tuple[Any, str]] = {
    "nan": ([(X, Y), (np.where(Z[5] == Z, np.nan, X), Y)], "batch 1, whose first row is row 3000.*row 5"),
    "columns": ([(X, Y), (X[:, :2], Y)], "batch 1.*2 features"),
    "dtype": ([(X.astype(np.float32), Y), (X, Y)], "dense float64, the first one was dense float32"),
    "sparse": ([(X, Y), (SPARSE, Y)], "sparse float64, the first one was dense"),
    "no labels": ([(X,)], "has no labels"),
    "lengths": ([(X, Y[:5])], "inconsistent numbers"),
    "weights": ([(X, Y), (X, Y, np.ones(N))], "some batches have weights"),
    "negative": ([(X, Y, -np.ones(N))], "weight of row 0 is -1"),
    "zero": ([(X, Y, np.zeros(N))], "all sample weights are zero"),
    "lost class": ([(X, Y, (Y != "bee") * 1.0)], "'bee' has no row with a weight above zero"),
    "one class": ([(X, np.full(N, "ant"))], "only one class"),
    "kinds": ([(X, Y), (X, np.arange(N) % 2)], "text"),
    "soft then hard": ([(X, np.full((N, 2), 0.5)), (X, Y)], "label probabilities"),
    "five": ([(X, Y, None, None, None)], "5 parts"),
    "none": ([], "no batch"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_batches_are_named(name: str) -> None:
    made, expected = BAD[name]
    with pytest.raises(ValueError, match=f"(?s){expected}"):
        SoftmaxRegression(1e-3).fit(lambda: iter(made))


def test_an_iterator_is_gone_through_only_once() -> None:
    once = frames()
    SoftmaxRegression(1e-2).fit(once)
    with pytest.raises(ValueError, match="only once"):
        SoftmaxRegression(1e-2).fit(once)


def test_what_takes_no_batches_says_so() -> None:
    with pytest.raises(ValueError, match="yields batches of rows"):
        SoftmaxRegressionCV().fit(frames(), Y)
    with pytest.raises(ValueError, match="needs all rows in memory"):
        SoftmaxRegression(penalty="firth").fit(frames)
    with pytest.raises(ValueError, match="batches hold their labels"):
        SoftmaxRegression().fit(frames, Y)
    with pytest.raises(ValueError, match="yields batches of rows"):
        infer(SoftmaxRegression().fit(X, Y), frames, Y)


@pytest.mark.parametrize("penalty", ["l1", None])
def test_other_penalties_take_batches_too(penalty: Any) -> None:
    plain = SoftmaxRegression(1e-2, penalty=penalty).fit(X, Y)
    np.testing.assert_allclose(
        SoftmaxRegression(1e-2, penalty=penalty).fit(cut(X, Y)).predict_proba(X), plain.predict_proba(X), atol=1e-6
    )


def test_progress_counts_the_rows_that_are_read() -> None:
    seen: list[Any] = []
    SoftmaxRegression(1e-3, verbose=seen.append).fit(frames)
    reading, fitting = [p for p in seen if p.passes == 0], [p for p in seen if p.passes]
    assert reading[0].rows == 7
    assert fitting[0].rows >= N
    assert fitting[-1].rows == pytest.approx(N * fitting[-1].passes, abs=N)


def test_verbose_tells_of_the_reading(capsys: pytest.CaptureFixture[str]) -> None:
    SoftmaxRegression(1e-3, verbose=1).fit(frames)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("read 7 rows")
    assert "pass" in lines[-1]


# --- faults ---------------------------------------------------------------------------------------------------------


def test_a_disk_without_room_is_said_before_it_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "MIN_FREE_BYTES", 1 << 60)
    with pytest.raises(OSError, match=r"does not fit on the disk.*SOFTREG_CACHE") as caught:
        SoftmaxRegression().fit(frames)
    assert caught.value.errno == errno.ENOSPC


def test_a_disk_that_fills_up_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    class Small:
        def __init__(self, file: Any) -> None:
            self.file, self.left = file, 30_000

        def write(self, data: Any) -> int:
            if self.left == 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            done: int = self.file.write(data[: self.left])
            self.left -= done
            return done

        def close(self) -> None:
            self.file.close()

    made = scratch.tempfile.TemporaryFile
    monkeypatch.setattr(scratch.tempfile, "TemporaryFile", lambda **more: Small(made(**more)))
    model = SoftmaxRegression()
    with pytest.raises(OSError, match="0 MB are written to"):
        model.fit(frames)
    assert not hasattr(model, "coef_")


def test_a_cache_folder_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SOFTREG_CACHE", str(tmp_path / "nowhere"))
    with pytest.raises(OSError, match="set SOFTREG_CACHE to a folder"):
        SoftmaxRegression().fit(frames)


@pytest.mark.parametrize("phase", ["reading", "fitting"])
def test_ctrl_c_leaves_nothing(phase: str) -> None:
    def stop(progress: Any) -> None:
        if (progress.passes > 0) == (phase == "fitting"):
            os.kill(os.getpid(), signal.SIGINT)

    model = SoftmaxRegression(verbose=stop)
    with pytest.raises(KeyboardInterrupt):
        model.fit(frames)
    assert not hasattr(model, "coef_")


def test_an_error_of_the_source_comes_through() -> None:
    def broken() -> Iterator[Any]:
        yield X, Y
        raise ConnectionError("the line is dead")

    with pytest.raises(ConnectionError, match="the line is dead"):
        SoftmaxRegression().fit(broken)


# --- memory maps ----------------------------------------------------------------------------------------------------


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dense, "LARGE_MEMMAP_BYTES", 1)


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_memory_map_is_not_copied(order: Any, tmp_path: Path, large: None) -> None:
    np.save(tmp_path / "X.npy", np.asarray(X, order=order))
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    model = SoftmaxRegression(1e-3).fit(mapped, Y)
    np.testing.assert_allclose(
        model.predict_proba(mapped), SoftmaxRegression(1e-3).fit(X, Y).predict_proba(X), atol=1e-6
    )


def test_a_memory_map_of_integers_or_with_rows_that_do_not_count(tmp_path: Path, large: None) -> None:
    whole = np.clip(X * 3, -100, 100).astype(np.int8)
    np.save(tmp_path / "X.npy", whole)
    mapped, w = np.load(tmp_path / "X.npy", mmap_mode="r"), (np.arange(N) % 3).astype(float)
    for weight in (None, w):
        model = SoftmaxRegression(1e-3).fit(mapped, Y, sample_weight=weight)
        plain = SoftmaxRegression(1e-3).fit(whole, Y, sample_weight=weight)
        np.testing.assert_allclose(model.predict_proba(mapped), plain.predict_proba(whole), atol=1e-6)
        assert list(model.classes_) == ["ant", "bee", "cat"]


def test_the_score_of_batches() -> None:
    model, w = SoftmaxRegression(1e-3).fit(X, Y), np.arange(N) % 3.0
    assert model.score(cut(X, Y)) == pytest.approx(model.score(X, Y))
    assert model.score(cut(X, Y, w)) == pytest.approx(model.score(X, Y, w))
    assert model.score(lambda: [(X, EncodedLabels(["cat", "cow", "bee", "ant"], CODES))]) == model.score(X, Y)
    with pytest.raises(ValueError, match="has no labels"):
        model.score(lambda: [X])


def open_scratch() -> list[str]:
    """Files without a name that this process holds open in the cache folder."""
    folder, fds = os.environ["SOFTREG_CACHE"], Path("/proc/self/fd")
    result = []
    for fd in fds.iterdir():
        with contextlib.suppress(FileNotFoundError):  # the listing itself is one of them
            result.append(os.readlink(fd))
    return [link for link in result if link.startswith(folder)]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="only Linux shows its open files there")
def test_the_disk_is_given_back_at_once_whatever_happens() -> None:
    seen: list[int] = []
    model = SoftmaxRegression(1e-3, verbose=lambda progress: seen.append(len(open_scratch()))).fit(frames)
    assert max(seen) == 2  # rows and labels
    assert open_scratch() == []
    with pytest.raises(ValueError, match="2 features") as caught:
        model.fit(lambda: [(X, Y), (X[:, :2], Y)])
    assert caught.traceback  # which holds all frames, and what they name
    assert open_scratch() == []


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells its memory there")
def test_memory_holds_few_of_the_rows() -> None:
    code = """
        import numpy as np
        from softreg import SoftmaxRegression

        def batches():
            for seed in range(50):
                random = np.random.default_rng(seed)
                X = random.standard_normal((60_000, 20), dtype=np.float32)
                yield X, (X[:, :3] + random.gumbel(size=(60_000, 3))).argmax(1)

        def resident(name):
            return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(name)) / 1024

        few = [next(batches())]
        SoftmaxRegression().fit(lambda: few)
        before = resident("VmRSS")
        model = SoftmaxRegression().fit(batches)
        print(model.solution_.gap, resident("VmHWM") - before)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    gap, extra = map(float, done.stdout.split())
    assert gap <= 1e-6
    assert extra < 140  # MB; the rows are 240
