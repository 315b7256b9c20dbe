"""A fit that is killed, in any phase, and taken up again ends as it would have: to the last bit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from softreg import SoftmaxRegression
from softreg.rows.checkpoint import FILE_NAME, CheckpointLog, CheckpointMismatchError
from softreg.rows.ondisk import disk_rows as stream

N = 4000
RANDOM = np.random.default_rng(5)
X = RANDOM.normal(size=(N, 30)).astype(np.float32)
FEW = (X[:, :4] + RANDOM.gumbel(size=(N, 4))).argmax(1)
MANY = (3 * X[:, :40].repeat(2, axis=1)[:, :34] + RANDOM.gumbel(size=(N, 34))).argmax(1)


@pytest.fixture(autouse=True)
def from_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """However few the rows, every pass over batches reads scratch files."""
    monkeypatch.setattr(stream, "MAX_IN_MEMORY_BYTES", 0)


class Killed(BaseException):
    pass


def interrupted(model: SoftmaxRegression, source: Any, folder: Path, turn: int) -> bool:
    """Fit and give up at the progress report of this number, leaving the folder as a kill would."""
    turns = 0

    def listener(progress: Any) -> None:
        nonlocal turns
        turns += progress.passes > 0
        if turns == turn:
            raise Killed

    model.set_params(verbose=listener)
    try:
        model.fit(*source, checkpoint=folder)
    except Killed:
        return True
    finally:
        model.set_params(verbose=0)
    return False


@pytest.mark.parametrize(
    ("solver", "y"), [("newton", FEW), ("lbfgs", FEW), ("lbfgs", MANY)], ids=["newton", "few", "many"]
)
@pytest.mark.parametrize("batches", [True, False])
def test_a_fit_is_taken_up_again(solver: str, y: Any, batches: bool, tmp_path: Path) -> None:
    source = (lambda: ((X[a : a + 900], y[a : a + 900]) for a in range(0, N, 900)),) if batches else (X, y)
    whole = SoftmaxRegression(1e-5, solver=solver)
    assert not interrupted(whole, source, tmp_path, 10**6)
    assert not (tmp_path / FILE_NAME).exists()
    for turn in range(1, 60):
        model = SoftmaxRegression(1e-5, solver=solver)
        if not interrupted(model, source, tmp_path, turn):
            break
        assert (tmp_path / FILE_NAME).exists()
        model.fit(*source, checkpoint=tmp_path)
        np.testing.assert_array_equal(model.coef_, whole.coef_)
        assert model.solution_.gap == whole.solution_.gap
        assert [p.gap for p in model.solution_.history] == [p.gap for p in whole.solution_.history]
        assert not (tmp_path / FILE_NAME).exists()
    assert turn > 3


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    model = SoftmaxRegression(1e-5, solver="lbfgs")
    interrupted(model, (X, FEW), tmp_path, 5)
    size = (tmp_path / FILE_NAME).stat().st_size
    interrupted(model, (X, FEW), tmp_path, 5)
    assert (tmp_path / FILE_NAME).stat().st_size == size


def test_a_record_that_was_cut_short_is_left_out(tmp_path: Path) -> None:
    whole = SoftmaxRegression(1e-5).fit(X, FEW, checkpoint=tmp_path)
    interrupted(SoftmaxRegression(1e-5), (X, FEW), tmp_path, 2)
    data = (tmp_path / FILE_NAME).read_bytes()
    for size in range(len(data) - 1, len(data) - 400, -57):
        (tmp_path / FILE_NAME).write_bytes(data[:size])
        np.testing.assert_array_equal(SoftmaxRegression(1e-5).fit(X, FEW, checkpoint=tmp_path).coef_, whole.coef_)


def test_another_fit_is_refused(tmp_path: Path) -> None:
    assert interrupted(SoftmaxRegression(1e-5), (X, FEW), tmp_path, 2)
    with pytest.raises(ValueError, match=r"another fit \(strength was 1e-05, now 0.001\)"):
        SoftmaxRegression(1e-3).fit(X, FEW, checkpoint=tmp_path)
    with pytest.raises(ValueError, match=r"another fit \(rows was 4000, now 3999\)"):
        SoftmaxRegression(1e-5).fit(X[1:], FEW[1:], checkpoint=tmp_path)
    data = bytearray((tmp_path / FILE_NAME).read_bytes())
    data[20] ^= 1
    (tmp_path / FILE_NAME).write_bytes(data)
    with pytest.raises(ValueError, match="damaged"):
        SoftmaxRegression(1e-5).fit(X, FEW, checkpoint=tmp_path)


def test_a_source_that_gives_other_rows_is_found_out(tmp_path: Path) -> None:
    assert interrupted(SoftmaxRegression(1e-5), (X, FEW), tmp_path, 2)
    other = X.copy()
    other[N // 2, 7] += 1e-3
    with pytest.raises(CheckpointMismatchError, match="a sum over them is not what it was"):
        SoftmaxRegression(1e-5).fit(other, FEW, checkpoint=tmp_path)
    assert (tmp_path / FILE_NAME).exists()
    SoftmaxRegression(1e-5).fit(X, FEW, checkpoint=tmp_path)


def test_only_what_a_journal_can_hold(tmp_path: Path) -> None:
    for model in (SoftmaxRegression(penalty="l1"), SoftmaxRegression(penalty=None), SoftmaxRegression(0.0)):
        with pytest.raises(ValueError, match="checkpoint needs penalty='l2'"):
            model.fit(X, FEW, checkpoint=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_two_fits_do_not_share_a_folder(tmp_path: Path) -> None:
    log = CheckpointLog(tmp_path, {"a": 1})
    with pytest.raises(CheckpointMismatchError, match="another fit is at work"):
        CheckpointLog(tmp_path, {"a": 1})
    log.close(finished=True)


@pytest.mark.parametrize(("phase", "turn"), [("reading", 1), ("fitting", 1), ("fitting", 3)])
def test_kill_9_and_resume(phase: str, turn: int, tmp_path: Path) -> None:
    cache, folder = tmp_path / "cache", tmp_path / "checkpoint"
    cache.mkdir()
    code = """
        import os, signal, sys
        import numpy as np
        from softreg import SoftmaxRegression

        phase, turn, out = sys.argv[1], int(sys.argv[2]), sys.argv[4]
        random, turns = np.random.default_rng(0), 0
        X = random.normal(size=(2000, 20))
        y = (X[:, :3] + random.gumbel(size=(2000, 3))).argmax(1)

        def die(progress):
            global turns
            turns += (progress.passes > 0) == (phase == "fitting")
            if turns == turn:
                os.kill(os.getpid(), signal.SIGKILL)

        batches = lambda: ((X[a : a + 500], y[a : a + 500]) for a in range(0, 2000, 500))
        model = SoftmaxRegression(1e-5, verbose=die).fit(batches, checkpoint=sys.argv[3])
        np.save(out, model.coef_)
    """

    def run(turn: int, where: Path) -> int:
        command = [sys.executable, "-c", textwrap.dedent(code), phase, str(turn), str(where), str(tmp_path / "out.npy")]
        return subprocess.run(command, env={**os.environ, "SOFTREG_CACHE": str(cache)}, check=False).returncode

    assert run(-1, tmp_path / "other") == 0
    expected = np.load(tmp_path / "out.npy")
    assert run(turn, folder) == -signal.SIGKILL
    assert list(cache.iterdir()) == []
    assert run(-1, folder) == 0
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), expected)
    assert list(folder.iterdir()) == []
