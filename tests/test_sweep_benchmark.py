"""The sweep over shapes drawn at random: problems depend on seed and number alone, and a stopped sweep goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))

import sweep  # noqa: E402
import sweep_causes  # noqa: E402
import sweep_contest  # noqa: E402
import sweep_problems  # noqa: E402

COUNT = 54


def line(number: int, code: str, **more: object) -> dict[str, object]:
    return {"seed": 0, "number": number, "code": code, "peers": "p", **more}


def test_each_penalty_meets_each_kind_of_columns() -> None:
    drawn = [sweep_problems.draw(0, number) for number in range(COUNT)]
    pairs = {(problem.family, problem.penalty) for problem in drawn}
    assert pairs == {(family, p) for family in sweep_problems.FAMILIES for p in ("l2", "l1", "elasticnet")}
    assert {problem.dtype for problem in drawn} == {"float32", "float64"}
    assert any(problem.q == 2 for problem in drawn)
    for problem in drawn:
        assert 2 <= problem.q <= 100
        assert 1e-6 <= problem.strength <= 1e-2
        assert problem.n >= 5 * problem.q
        assert (0 < problem.l1_ratio < 1) == (problem.penalty == "elasticnet")


@pytest.mark.parametrize("number", range(9))
def test_a_problem_depends_on_seed_and_number_alone(number: int) -> None:
    problem = sweep_problems.draw(3, number)
    assert problem == sweep_problems.draw(3, number)
    assert problem.facts != sweep_problems.draw(4, number).facts
    (X, y), (again, y_again) = sweep_problems.make(problem), sweep_problems.make(problem)
    assert X.dtype == problem.dtype
    assert X.shape[0] == problem.n
    assert set(y.tolist()) == set(range(problem.q))
    np.testing.assert_array_equal(y, y_again)
    assert sp.issparse(X) == sp.issparse(again)
    difference = again != X
    assert (difference.nnz if sp.issparse(X) else np.count_nonzero(difference)) == 0


def test_numbers() -> None:
    assert sweep.numbers_of("3,17,20-22") == [3, 17, 20, 21, 22]


def test_a_problem_is_due_unless_it_was_measured_with_this_code() -> None:
    lines = [line(0, "old"), line(1, "new"), line(2, "old"), line(2, "new"), {**line(3, "new"), "seed": 1}]
    assert sweep.todo([0, 1, 2, 3], lines, 0, "new") == [0, 3]
    assert sweep.todo([1, 2], lines, 0, "new", again=True) == [1, 2]
    assert sweep.latest(lines, 0)[2]["code"] == "new"


def test_minimum_and_settings_hold_while_problems_and_peers_are_the_same() -> None:
    lines = [line(0, "a", settings=1), line(0, "b", settings=2), line(0, "c", error="no minimum"), line(1, "a")]
    assert sweep.reusable(lines, 0, 0, "p") == lines[1]
    assert sweep.reusable(lines, 0, 0, "other peers") is None
    assert sweep.reusable(lines, 0, 7, "p") is None


def test_a_line_that_was_cut_is_left_out_and_damages_no_other(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "results"
    sweep.append(path, line(0, "a"))
    with path.open("a") as file:
        file.write('{"seed": 0, "num')
    sweep.append(path, line(1, "a"))
    assert [found["number"] for found in sweep.read(path)] == [0, 1]


def entry(gaps: dict[float, float], whole: bool = False) -> sweep_contest.Entry:
    runs = {setting: {"gap": gap, "seconds": 1.0 / setting, "cpu": 1.0, "value": 0.0} for setting, gap in gaps.items()}
    return sweep_contest.Entry("name", "peer", tuple(gaps), whole, runs)


def test_the_fastest_setting_that_reaches_the_gap_counts() -> None:
    found = entry({1e-2: 1e-3, 1e-3: 9e-6, 1e-4: 1e-9})
    assert found.best() == (1000.0, 1e-3)
    assert 1e-3 < (sweep_contest.between(found) or 0.0) < 1e-2
    assert entry({1e-2: 1e-3}).best() is None
    assert sweep_contest.between(entry({1e-2: 1e-6})) is None
    assert sweep_contest.between(entry({10: 1e-3, 11: 1e-6}, whole=True)) is None


def test_a_stopped_sweep_goes_on(tmp_path: Path) -> None:
    results = tmp_path / "sweep.jsonl"
    code = (
        "import sys, sweep, sweep_contest, sweep_page;"
        "sweep_contest.EXCLUDED += ('bench_cyanure', 'bench_sklearnex', 'bench_skglm');"
        "sweep_page.DOCS = __import__('pathlib').Path(sys.argv.pop(1));"
        "sweep.KNOWN = sweep_page.DOCS / 'known.jsonl';"
        "sweep.main(sys.argv[1:])"
    )
    paths = os.pathsep.join([str(ROOT / "src"), str(ROOT / "benchmarks")])
    environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}

    def run(*options: str) -> str:
        command = [sys.executable, "-c", code, str(tmp_path), "--results", str(results), "--limit", "2", *options]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "dense" in run("--count", "1")
    assert run("--count", "1") == ""  # it is done
    first = json.loads(results.read_text("utf-8"))
    assert first["ratio"] > 0
    assert first["below"] <= first["optimum"]["gap"] + 1e-12  # nobody is below the proved minimum
    assert first["softreg"]["gap"] <= 1e-5
    assert "| 0 | dense |" in (tmp_path / "benchmarks-sweep.md").read_text("utf-8")
    assert (tmp_path / "benchmarks-sweep.svg").read_text("utf-8").startswith("<?xml")
    run("--only", "0")
    assert len(sweep.read(results)) == 2


def test_minima_and_settings_are_kept_for_later_sweeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "KNOWN", tmp_path / "known.jsonl")
    whole = {**line(0, "a", optimum={"value": 1.0}, settings={"p": 0.1}, ended={}), "records": {}}
    sweep.keep_known({0: whole, 1: line(1, "a", error="no minimum")})
    (kept,) = sweep.read(tmp_path / "known.jsonl")
    sweep.keep_known({2: {**whole, "number": 2}})  # what is kept of other problems stays
    assert [one["number"] for one in sweep.read(tmp_path / "known.jsonl")] == [0, 2]
    assert kept == {name: whole[name] for name in sweep.KEPT}
    assert sweep.reusable([kept], 0, 0, "p") == kept


def test_each_ratio_below_1_has_a_reason() -> None:
    shape = {"penalty": "l2", "q": 2, "n": 500, "d": 20, "sparse": False}
    fast, slow = {"seconds": 5e-4, "plan": "one-pass-newton"}, {"seconds": 0.1, "plan": "proximal-newton"}
    lines = [
        {**shape, "number": 3, "ratio": 0.5, "softreg": fast},
        {**shape, "number": 4, "ratio": 0.4, "softreg": slow, "penalty": "l1", "q": 9},
        {**shape, "number": 5, "ratio": 0.95, "softreg": slow},
        {**shape, "number": 6, "ratio": 3.0, "softreg": slow},
    ]
    section = sweep_causes.section(lines)
    assert section.startswith("3 of 4 ratios are below 1.")
    assert all(f"  {named}\n" in section for named in ("3 (0.5)", "4 (0.4)", "5 (0.95)"))
    assert "6 (" not in section
    assert len({sweep_causes.cause(one) for one in lines[:3]}) == 3
    assert sweep_causes.section(lines[3:]) == "No ratio is below 1.\n"
