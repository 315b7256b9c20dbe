"""`softreg train --terms` and its like: the models of Python, what is printed, clear errors."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import softreg
from softreg import TableClassifier
from softreg.cli.console.command_errors import CommandError
from softreg.cli.options.terms.requested_terms import columns_of_pair, terms_of_columns
from softreg.cli.options.terms.term_arguments import TermArguments
from softreg.tables import Terms
from softreg.tables.columns.table_errors import TableError


def people(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    age, income, job = rng.uniform(18, 80, 500), rng.lognormal(1, 1, 500), rng.choice(list("abcd"), 500)
    height = 2 * np.sin(age / 8) + np.where(job == "a", 1.5, -0.5) * (age - 50) / 20 + np.log(income) / 3
    frame = pd.DataFrame({"age": age.round(1), "a:b": income.round(2), "job": job})
    frame["buys"] = np.where(rng.random(500) < 1 / (1 + np.exp(-height)), "yes", "no")
    path = tmp_path / "people.csv"
    frame.to_csv(path, index=False)
    return path


def test_terms_of_the_command_are_those_of_python(run: Any, tmp_path: Path) -> None:
    path, model = people(tmp_path), tmp_path / "m.softreg"
    options = ("--smooth", "age", "--interact", "age:job", "--pool", "job", "--monotone", "a:b=+")
    done = run("train", path, "--target", "buys", *options, "--model", model, "--test", path)
    assert done.exit_code == 0, done.output
    terms = Terms("linear", smooth="age", interactions=["age:job"], pool="job", monotone={"a:b": "+"})
    plain = TableClassifier("buys", terms=terms).fit(path)
    assert_allclose(softreg.load(model).model_.coef_, plain.model_.coef_, atol=1e-8)
    assert softreg.load(model).terms == terms
    assert "Terms: as requested" in done.stdout
    assert "each term has a strength of its own" in done.stdout
    assert "increasing curve" in done.stderr


def test_the_choice_of_terms_is_shown(run: Any, tmp_path: Path) -> None:
    path, model, report = people(tmp_path), tmp_path / "m.softreg", tmp_path / "r.html"
    done = run("train", path, "--target", "buys", "--terms", "auto", "--model", model, "--report", report)
    assert done.exit_code == 0, done.output
    kept = softreg.load(model)
    record = kept.terms_
    for stage in record.stages:
        assert f"{stage.name}, held-out part 1 of 5" in done.stderr
        assert f"{stage.log_loss:.4f} nats" in done.stdout
    assert f"Terms: {record.chosen}, the choice" in done.stdout
    lines = done.stdout.splitlines()
    chosen = next(line.split() for line in lines if line.endswith("chosen"))
    assert " ".join(chosen[:-3]) == record.chosen
    sizes = record.sizes()
    shown = lines[1 + lines.index("Size of the terms, in effective degrees of freedom:") :]
    assert [line.split()[0] for line in shown[: len(sizes)]] == [size.column for size in sizes]
    assert sizes[0].degrees == max(size.degrees for size in sizes) > 3
    assert_allclose(sum(size.degrees for size in sizes), sum(one.degrees for one in record.strengths))
    assert f"Terms: {record.chosen}" in run("inspect", model).stdout
    told = json.loads(run("inspect", model, "--json").stdout)["terms"]
    assert told["chosen"] == record.chosen
    assert [one["log_loss"] for one in told["models"]] == [stage.log_loss for stage in record.stages]
    assert {"age", "age:job"} <= {one["column"] for one in told["sizes"]}
    done = run("train", path, "--target", "buys", "--terms", "auto", "--json", "--quiet")
    assert json.loads(done.stdout)["terms"] == told
    assert "held-out part" not in done.stderr


def test_without_terms_nothing_is_said_of_them(run: Any, tmp_path: Path) -> None:
    path, model = people(tmp_path), tmp_path / "m.softreg"
    done = run("train", path, "--target", "buys", "--strength", "0.01", "--json", "--model", model, "--terms", "linear")
    assert "terms" not in json.loads(done.stdout)
    assert json.loads(run("inspect", model, "--json").stdout)["terms"] is None
    assert "Terms" not in run("inspect", model).stdout


def test_the_linear_model_of_a_straight_line_is_kept(run: Any, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    x, u = rng.normal(size=400), rng.random(400)
    frame = pd.DataFrame({"x": x, "z": rng.random(400), "y": np.where(u < 1 / (1 + np.exp(-x)), "yes", "no")})
    frame.to_csv(tmp_path / "line.csv", index=False)
    done = run("train", tmp_path / "line.csv", "--target", "y", "--terms", "auto", "--linear", "x,z")
    assert done.exit_code == 0, done.output
    *_, said, losses = done.stdout.splitlines()
    of = "the held-out log loss of 320 training rows"
    assert said == f"Terms: linear; curves and interactions do not clearly reduce {of}"
    number = r"0\.\d{4}"
    assert re.fullmatch(
        rf"  linear {number} nats; curves [+-]{number} ± {number} \(1 SE\), interactions none found", losses
    )
    assert "chosen by 5-fold cross-validation" in done.stdout


@pytest.mark.parametrize("option", [("--monotone", "age=+"), ("--bound", "age=+")])
def test_intervals_of_weights_with_bounds_are_refused_before_the_fit(
    run: Any, tmp_path: Path, option: tuple[str, str]
) -> None:
    model = tmp_path / "m.softreg"
    done = run("train", tmp_path / "not read.csv", "--target", "buys", *option, "--intervals", "--model", model)
    assert done.exit_code == 2
    assert f"--intervals cannot be combined with {option[0]}" in " ".join(done.stderr.split())
    assert "Leave one of them out, or" in " ".join(done.stderr.split())
    assert not model.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--terms", "linear", "--linear", "age"), "--linear limits the search of --terms auto"),
        (("--smooth", "a:b", "--linear", "age"), "--linear limits the search of --terms auto; add --terms auto"),
        (("--pool", "job", "--terms-seconds", "5"), "--terms-seconds limits the search of --terms auto"),
        (("--terms", "auto", "--terms-seconds", "nan"), "nan is not a number of seconds above 0"),
        (("--terms", "auto", "--terms-seconds", "0"), "0 is not a number of seconds above 0"),
        (("--terms", "auto", "--strength", "0.1"), "for each term, and --strength is given; leave one of them out"),
        (("--terms", "auto", "--penalty", "l1"), "for each term, and --penalty l1 is given; leave one of them out"),
        (("--linear", "age", "--strength", "1"), "and --strength is given; leave one of them out"),
        (("--terms-seconds", "9", "--penalty", "none"), "and --penalty none is given; leave one of them out"),
        (("--smooth", "age", "--strength", "0.1"), "leave strength at 'auto'"),
        (("--smooth", "age", "--penalty", "l1"), "the penalty is 'l1'"),
        (("--smooth", "job"), "was taken for a category"),
        (("--smooth", "ages"), "Did you mean 'age'"),
        (("--interact", "age"), "does not name two columns"),
        (("--interact", "age:jobs"), "There is no column of an interaction 'jobs'. Did you mean 'job'"),
        (("--interact", "age:job:x"), "names that contain colons in double quotes"),
        (("--monotone", "age"), "'age' is not COLUMN=+ or COLUMN=-"),
        (("--monotone", "age=+", "--monotone", "age=-"), "has two directions"),
        (("--smooth", "age", "--bound", "age=+"), "has a bound"),
        (("--smooth", "age", "--as", "age=scores"), "has a requested form"),
        (("--pool", "age", "--number", "age"), "age"),
        (("--terms", "auto", "--linear", "age", "--smooth", "age"), "drop one"),
    ],
)
def test_errors_say_what_to_do(run: Any, tmp_path: Path, options: tuple[str, ...], message: str) -> None:
    done = run("train", people(tmp_path), "--target", "buys", *options)
    assert done.exit_code == 2
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.output


def test_a_prior_has_its_own_terms(run: Any, tmp_path: Path) -> None:
    path, model = people(tmp_path), tmp_path / "m.softreg"
    rest = ("--target", "buys", "--keep-posterior", "--model", model, "--quiet")
    assert run("train", path, *rest, "--smooth", "age").exit_code == 0
    done = run("train", path, *rest, "--prior", model, "--smooth", "age")
    assert "--smooth and --prior exclude each other: the terms are those of the prior" in done.stderr
    done = run("train", path, *rest, "--prior", model)
    assert done.exit_code == 0, done.output
    assert "age=curve 1" in softreg.load(model).feature_names_out_


def test_columns_of_interactions_may_contain_colons() -> None:
    names = ["a", "b", "a:b", "b:c", "c", '"q"', "x y"]
    assert columns_of_pair("a:b", names) == ("a", "b")
    assert columns_of_pair('"a:b":c', names) == ("a:b", "c")
    assert columns_of_pair('a:"b:c"', names) == ("a", "b:c")
    assert columns_of_pair('"q":"x y"', names) == ('"q"', "x y")
    assert columns_of_pair("a:b: x y", ["a:b", "x y"]) == ("a:b", "x y")
    with pytest.raises(CommandError, match=r"can be read in 2 ways; write one of .*\"a:b\":\"c\""):
        columns_of_pair("a:b:c", names)
    with pytest.raises(TableError, match="no column of an interaction 'd'"):
        columns_of_pair("a:d", names)


def test_lists_of_columns() -> None:
    given = TermArguments(smooth=("age,x", "y,z"), pool=("job",), monotone=("u=v=-",), interact=("age:job",))
    terms = terms_of_columns(given, ["age", "x", "y,z", "job", "u=v"])
    assert terms == Terms(
        "linear", smooth=["age", "x", "y,z"], pool="job", monotone={"u=v": "-"}, interactions=[("age", "job")]
    )
