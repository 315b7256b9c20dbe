"""Without options of terms, `softreg train` compares models: what it prints, which options end that, what uses it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv as pacsv
import pytest

import softreg
from softreg.cli.options.terms.requested_terms import terms_of_columns
from softreg.cli.options.terms.term_arguments import TermArguments
from softreg.export import build_program
from softreg.export.sql.syntax import Dialect
from softreg.tables import Terms

from ...export.c_runner import CRunner
from ...export.javascript_runner import JavaScriptRunner
from ...export.runner import Runner
from ...export.sql_runner import SqlRunner
from ..conftest import write_csv

REPORT = "For the report, the model is fitted again without each column."


def write_days(path: Path, n: int, seed: int) -> Path:
    """A table whose label depends on the square of `x`."""
    draw = np.random.default_rng(seed)
    x, z = draw.uniform(-3, 3, n).round(3), draw.normal(size=n).round(3)
    y = np.where(draw.random(n) < 1 / (1 + np.exp(3 - x**2)), "yes", "no")
    return write_csv(path, ["x", "z", "y"], [list(row) for row in zip(x, z, y, strict=True)])


@pytest.fixture
def bent(tmp_path: Path) -> Path:
    return write_days(tmp_path / "bent.csv", 250, 0)


def test_curves_are_chosen_shown_and_kept(run: Any, bent: Path, tmp_path: Path) -> None:
    model, report = tmp_path / "m.softreg", tmp_path / "r.html"
    done = run("train", bent, "--target", "y", "--model", model, "--report", report)
    assert done.exit_code == 0, done.output
    assert "\nTerms: curves, the choice among these models by the held-out log loss of 200 training rows" in done.stdout
    assert "\n  x  curve" in done.stdout
    assert REPORT in done.stderr
    page = report.read_text("utf-8")
    assert 'id="terms"' in page
    assert (
        "fitted again without the\ncolumn, its curve and its interactions at the same strengths of the other terms"
        in page
    )
    assert "Removing “x” costs most" in page
    assert "\nTerms: curves" in run("inspect", model).stdout
    kept = softreg.load(model)
    assert (kept.terms, kept.terms_.chosen) == ("auto", "curves")
    told = json.loads(run("inspect", model, "--json").stdout)["terms"]
    assert [one["name"] for one in told["models"]] == ["linear", "curves", "interactions"]
    assert told["models"][0]["log_loss"] > told["models"][1]["log_loss"] + 0.1

    printed = run("predict", model, bent).stdout.splitlines()
    P = kept.predict_proba(bent)
    np.testing.assert_array_equal([[float(cell) for cell in line.split(",")[1:]] for line in printed[1:]], P)
    rows = pacsv.read_csv(bent).drop_columns(["y"])
    runners: tuple[Runner, ...] = (JavaScriptRunner(), SqlRunner(Dialect.SQLITE), CRunner())
    for runner, name in zip(runners, ("m.js", "m.sql", "m.h"), strict=True):
        written = run("export", model, "--output", tmp_path / name)
        assert written.exit_code == 0, written.output
        if runner.missing_engine() is None:
            found = runner.probabilities(build_program(kept), rows, tmp_path)
            np.testing.assert_allclose(found, P, atol=1e-9)


@pytest.mark.parametrize(
    "options",
    [
        ("--terms=linear",),
        ("--strength", "0.1"),
        ("--strength", "0"),
        ("--penalty", "l1"),
        ("--penalty", "none"),
        ("--penalty", "elasticnet", "--memory", "low"),
    ],
)
def test_a_given_penalty_has_the_linear_model(run: Any, bent: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    model = tmp_path / "m.softreg"
    done = run("train", bent, "--target", "y", *options, "--model", model)
    assert done.exit_code == 0, done.output
    assert "Terms" not in done.stdout
    assert "terms" not in done.stderr
    assert "Terms" not in run("inspect", model).stdout
    kept = softreg.load(model)
    assert (kept.terms, kept.terms_) == ("linear" if options == ("--terms=linear",) else "auto", None)
    assert kept.feature_names_out_ == ("x", "z")


def test_another_penalty_tells_the_search_of_its_strength_alone(run: Any, bent: Path) -> None:
    said = run("train", bent, "--target", "y", "--penalty", "l1").stderr.splitlines()
    lines = said[: said.index("Kinds of columns:")]
    assert len(lines) > 2
    assert all(line.startswith("cross-validation: strength ") for line in lines)


def test_the_json_and_the_quiet_choice(run: Any, bent: Path) -> None:
    done = run("train", bent, "--target", "y", "--json", "--quiet", "--memory", "low")
    assert (done.exit_code, done.stderr) == (0, "")
    told = json.loads(done.stdout)["terms"]
    assert told["chosen"] in ("curves", "interactions")
    assert told["curve_multiple"] > 0


def test_a_prior_updates_the_chosen_curves(run: Any, bent: Path, tmp_path: Path) -> None:
    model, words = tmp_path / "m.softreg", ("--target", "y", "--keep-posterior", "--quiet", "--model")
    done = run("train", bent, *words, model)
    assert done.exit_code == 0, done.output
    first = softreg.load(model)
    assert first.terms_.chosen == "curves"
    second = write_days(tmp_path / "second.csv", 200, 1)
    done = run("train", second, *words, tmp_path / "n.softreg", "--prior", model)
    assert done.exit_code == 0, done.output
    assert "Terms" not in done.stdout
    updated = softreg.load(tmp_path / "n.softreg")
    assert updated.feature_names_out_ == first.feature_names_out_
    assert not np.array_equal(updated.model_.coef_, first.model_.coef_)
    again = run("train", second, *words, model, "--prior", tmp_path / "n.softreg")
    assert again.exit_code == 0, again.output


def test_the_help_names_what_ends_the_choice(run: Any) -> None:
    text = " ".join(run("train", "--help").stdout.split())
    for words in (
        "are chosen with l2 alone",
        "With a number, no curves",
        "choice of curves and interactions starts again",
    ):
        assert words in text


def test_options_that_name_terms_end_the_search() -> None:
    assert terms_of_columns(TermArguments(), ["x"]) == Terms("auto")
    assert terms_of_columns(TermArguments(smooth=("x",)), ["x"]) == Terms("linear", smooth="x")
    assert terms_of_columns(TermArguments(linear=("x",)), ["x"]) == Terms("auto", linear="x")
    assert terms_of_columns(TermArguments(terms="auto", smooth=("x",)), ["x"]) == Terms("auto", smooth="x")
