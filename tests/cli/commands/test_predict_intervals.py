"""`softreg train --intervals` and `softreg predict --interval`: the same intervals as in Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.testing import assert_allclose

import softreg
from softreg.tables import read_table


def test_the_file_has_the_intervals_of_the_posterior(run: Any, table: Path, tmp_path: Path) -> None:
    model, out = tmp_path / "m.softreg", tmp_path / "p.parquet"
    done = run("train", table, "--target", "buys", "--strength", "1e-3", "--model", model, "--intervals")
    assert done.exit_code == 0, done.output
    assert "for intervals (posterior, the penalty read as a normal prior)" in done.stderr
    done = run("predict", model, table, "--interval", "0.9", "-o", out)
    assert done.exit_code == 0, done.output
    found = pq.read_table(out)
    assert found.column_names == ["prediction", "007", "none", "007_low", "007_high", "none_low", "none_high"]
    classifier, rows = softreg.load(model), read_table(table)
    low, high = classifier.predict_intervals(rows, level=0.9)
    P = classifier.predict_proba(rows)
    for name, values in [("007_low", low[:, 0]), ("none_high", high[:, 1]), ("none", P[:, 1])]:
        assert_allclose(found[name].to_numpy(), values, rtol=1e-12)
    assert (low < P).all()
    assert (high > P).all()
    plain = run("predict", model, table).stdout.splitlines()
    both = run("predict", model, table, "--interval", "0.9").stdout.splitlines()
    assert both[0] == plain[0] + ',"007_low","007_high","none_low","none_high"'
    assert all(line.startswith(start) for line, start in zip(both[1:], plain[1:], strict=True))
    assert "covariance" in run("inspect", model).stdout


def test_intervals_of_python_survive_a_file_and_not_a_new_fit(table: Path, tmp_path: Path) -> None:
    rows = read_table(table)
    classifier = softreg.TableClassifier("buys", strength=1e-3).fit(rows)
    with pytest.raises(ValueError, match="call keep_intervals"):
        classifier.predict_intervals(rows)
    classifier.keep_intervals(rows)
    found = classifier.infer(rows, errors="posterior").predictions(rows)
    low, high = classifier.predict_intervals(rows)
    assert_allclose(low, found.low, atol=1e-4)
    assert_allclose(high, found.high, atol=1e-4)
    classifier.save(tmp_path / "m.softreg")
    again = softreg.load(tmp_path / "m.softreg")
    assert_allclose(again.predict_intervals(rows)[0], low, rtol=1e-10)
    assert again.intervals_.errors == "posterior"
    robust = softreg.load(tmp_path / "m.softreg").keep_intervals(rows, errors="robust")
    assert not np.allclose(robust.predict_intervals(rows)[0], low)
    with pytest.raises(ValueError, match="level=95"):
        classifier.predict_intervals(rows, level=95)
    assert classifier.fit(rows).intervals_ is None


def test_a_damaged_covariance_is_refused(table: Path) -> None:
    rows = read_table(table)
    classifier = softreg.TableClassifier("buys", strength=1e-3).fit(rows).keep_intervals(rows)
    arrays, state = classifier.to_state()
    for name, value in [("intervals.factor", np.zeros(3)), ("intervals.scale", -arrays["intervals.scale"])]:
        with pytest.raises(ValueError, match="covariance"):
            softreg.TableClassifier.from_state({**arrays, name: value}, state)
    del arrays["intervals.shift"]
    with pytest.raises(ValueError, match=r"no array 'intervals\.shift'"):
        softreg.TableClassifier.from_state(arrays, state)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--penalty", "l1", "--model", "m.softreg"], "selects columns"),
        ([], "name one: --model"),
        (["--class-weight", "balanced", "--model", "m.softreg"], "cannot be combined with --class-weight"),
        (["--memory", "low", "--model", "m.softreg"], "--intervals requires all rows in memory"),
    ],
)
def test_what_has_no_intervals_is_one_error(run: Any, table: Path, options: list[str], message: str) -> None:
    done = run("train", table, "--target", "buys", "--strength", "1e-3", "--intervals", *options)
    assert done.exit_code != 0
    assert message in " ".join(done.stderr.split())


def test_a_model_without_a_covariance_says_so(run: Any, table: Path, trained: Path) -> None:
    done = run("predict", trained, table, "--interval", "0.9")
    assert done.exit_code != 0
    assert "train it with --intervals" in done.stderr
    assert run("predict", trained, table, "--interval", "1.5").exit_code != 0
