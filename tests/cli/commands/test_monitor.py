"""`softreg monitor`: verdicts, exit codes, the state between calls, and errors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ..conftest import Run, write_csv

HEAD = ["age", "plan", "member", "buys"]


def rows(seed: int, n: int = 600, push: float = 0.0, age: float = 45.0) -> list[list[object]]:
    """Customers, with other odds or ages than those of training."""
    draw = np.random.default_rng(seed)
    ages, plan = draw.normal(age, 12, n).round(1), draw.choice(["basic", "family", "pro"], n)
    member = draw.choice(["no", "yes"], n)
    logit = (ages - 45) / 12 + 1.5 * (plan == "pro") - (plan == "basic") + (member == "yes") + push
    label = np.where(draw.random(n) < 1 / (1 + np.exp(-logit)), "007", "none")
    return [list(row) for row in zip(ages, plan, member, label, strict=True)]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Training rows, so many that the model is right."""
    return write_csv(tmp_path / "training.csv", HEAD, rows(0, 6000))


@pytest.fixture
def trained(run: Run, table: Path, tmp_path: Path) -> Path:
    """A model of them."""
    done = run("train", table, "--target", "buys", "--strength", "0.001", "--model", tmp_path / "m.softreg", "--quiet")
    assert done.exit_code == 0, done.output
    return tmp_path / "m.softreg"


@pytest.fixture
def months(tmp_path: Path) -> list[Path]:
    """Two months like training, one with other odds, one with older people and without labels."""
    paths = [write_csv(tmp_path / f"{k}.csv", HEAD, rows(k, push=push)) for k, push in ((10, 0), (11, 0), (12, -2.5))]
    unlabelled = [row[:3] for row in rows(13, age=60)]
    return [*paths, write_csv(tmp_path / "13.csv", HEAD[:3], unlabelled)]


def test_verdicts_and_exit_codes(run: Run, trained: Path, months: list[Path], table: Path) -> None:
    good = run("monitor", trained, *months[:2], "--reference", table)
    assert good.exit_code == 0, good.output
    assert good.stdout.startswith("Verdict: still right\n")
    bad = run("monitor", trained, *months[:3], "--json")
    assert bad.exit_code == 1
    result = json.loads(bad.stdout)
    assert result["advice"] == "shift the class rates"
    assert result["alarm_row"] > 1200
    assert result["labelled"] == 1800
    assert [one["name"] for one in result["batches"]] == ["10.csv", "11.csv", "12.csv"]
    older = run("monitor", trained, months[0], months[3], "--json")
    assert older.exit_code == 1
    assert json.loads(older.stdout)["verdict"] == "still right; a column has changed: age"
    alone = run("monitor", trained, months[3])
    assert alone.exit_code == 0
    assert "Verdict: no label yet" in alone.stdout


def test_the_state_continues(run: Run, trained: Path, months: list[Path], tmp_path: Path) -> None:
    state, page = tmp_path / "s.json", tmp_path / "page.html"
    once = run("monitor", trained, *months, "--json")
    for month in months:
        each = run("monitor", trained, month, "--state", state, "--report", page, "--json")
    assert json.loads(each.stdout) == json.loads(once.stdout)
    again = run("monitor", trained, months[1], "--state", state, "--json")
    assert "'11.csv' is in the state already" in again.stderr
    assert json.loads(again.stdout) == json.loads(once.stdout)
    text = page.read_text(encoding="utf-8")
    assert "Monitor of m.softreg" in text
    assert "alarm in row" in text


def test_no_traceback_reaches_the_user(
    run: Run, trained: Path, months: list[Path], table: Path, tmp_path: Path
) -> None:
    state = tmp_path / "s.json"
    assert run("monitor", trained, months[0], "--state", state).exit_code == 0
    other = tmp_path / "o.softreg"
    options = ("--drop", "age", "--model", other, "--quiet", "--terms=linear")
    assert run("train", table, "--target", "buys", *options).exit_code == 0
    strange = write_csv(tmp_path / "strange.csv", HEAD, [[30, "pro", "yes", "what"]])
    empty = write_csv(tmp_path / "empty.csv", HEAD, [])
    cases = [
        ((other, months[0], "--state", state), "belongs to another model"),
        ((trained, months[1], "--state", state, "--alpha", "0.01"), "differs from that of the state"),
        ((trained, months[1], "--state", tmp_path / "s.txt"), "should end in .json"),
        ((trained, months[1], "--alpha", "0"), "--alpha"),
        ((trained, strange), "'what'"),
        ((trained, empty), "no rows"),
        ((trained, months[1], "--target", "nothing"), "nothing"),
        ((trained, tmp_path / "none.csv"), "none.csv"),
        ((tmp_path / "none.softreg", months[1]), "no model file"),
    ]
    for arguments, message in cases:
        done = run("monitor", *arguments)
        assert done.exit_code == 2, (arguments, done.output)
        assert message in done.stderr
        assert "Traceback" not in done.output
    state.write_text(state.read_text()[:500])
    done = run("monitor", trained, months[1], "--state", state)
    assert done.exit_code == 2
    assert "is damaged" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_rows_without_labels_are_counted_apart(run: Run, trained: Path, tmp_path: Path) -> None:
    some = [[*row[:3], "" if k % 3 else row[3]] for k, row in enumerate(rows(1, 90))]
    done = run("monitor", trained, write_csv(tmp_path / "some.csv", HEAD, some), "--json")
    assert json.loads(done.stdout)["labelled"] == 30
    assert "60 rows of 90" in done.stderr


def test_bad_rows_are_skipped_on_request(run: Run, trained: Path, tmp_path: Path) -> None:
    some = rows(1, 50)
    some[4][0] = "old"
    path = write_csv(tmp_path / "bad.csv", HEAD, some)
    assert run("monitor", trained, path).exit_code == 2
    done = run("monitor", trained, path, "--bad-rows", "skip", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["rows"] == 49
    assert "row" in done.stderr
