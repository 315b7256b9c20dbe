"""`softreg train --unpenalised`, `--bound`, `--prior` and `--keep-posterior`: the models of Python, clear errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

import softreg
from softreg import TableClassifier
from softreg.cli.options.bounds import bounds_by_column
from softreg.tables import read_table


def days(tmp_path: Path) -> list[Path]:
    paths = []
    for seed in range(3):
        random = np.random.default_rng(seed)
        x, y = random.normal(size=400), random.random(400)
        frame = pd.DataFrame({"age": x, "a:b": random.normal(size=400), "kind": random.choice(["k", "l"], 400)})
        frame["buys"] = np.where(y < 1 / (1 + np.exp(-x)), "yes", "no")
        paths.append(tmp_path / f"day{seed}.csv")
        frame.to_csv(paths[-1], index=False)
    return paths


def test_constraints_of_the_command_are_those_of_python(run: Any, tmp_path: Path) -> None:
    path, model = days(tmp_path)[0], tmp_path / "m.softreg"
    options = ("--unpenalised", "kind", "--bound", "age=-", "--bound", "a:b:yes=0.1..", "--strength", "0.01")
    report = tmp_path / "r.html"
    done = run("train", path, "--target", "buys", *options, "--model", model, "--test", path, "--report", report)
    assert done.exit_code == 0, done.output
    assert "bound yes: 0.1.." in done.stderr
    assert "no penalty" in report.read_text()
    bounds = {"age": "-", "a:b": {"yes": (0.1, None)}}
    plain = TableClassifier("buys", unpenalised="kind", bounds=bounds, strength=0.01).fit(path)
    assert_allclose(softreg.load(model).model_.coef_, plain.model_.coef_, atol=1e-8)
    shown = run("inspect", model).stdout
    assert "no penalty            kind" in shown
    assert "age -; a:b yes: 0.1.." in shown
    record = json.loads(run("inspect", model, "--json").stdout)
    assert (record["unpenalised"], record["bounds"]) == (["kind"], {"age": "-", "a:b": "yes: 0.1.."})
    assert run("predict", model, path).exit_code == run("evaluate", model, path).exit_code == 0


def test_each_day_updates_the_model_of_the_day_before(run: Any, tmp_path: Path) -> None:
    paths, model = days(tmp_path), tmp_path / "m.softreg"
    rest = ("--target", "buys", "--keep-posterior", "--model", model, "--quiet")
    done = run("train", paths[0], *rest, "--strength", "0.01", "--test", paths[0])
    assert done.exit_code == 0, done.output
    expected = TableClassifier("buys", strength=0.01, keep_posterior=True).fit(paths[0])
    for path in paths[1:]:
        done = run(
            "train", path, *rest, "--prior", model, "--test", path, "--intervals", "--report", tmp_path / "r.html"
        )
        assert done.exit_code == 0, done.output
        assert "no penalty: the prior is the posterior of m.softreg" in done.stdout
        expected = TableClassifier(prior=expected, keep_posterior=True).fit(path)
    rows = read_table(paths[2])
    assert_allclose(softreg.load(model).predict_proba(rows), expected.predict_proba(rows), atol=1e-8)
    shown = run("inspect", model).stdout
    assert "prior                 Posterior of 2 classes and 4 columns, full precision" in shown
    assert "posterior             kept" in shown
    assert "no penalty: the weights have a prior" in shown
    assert json.loads(run("inspect", model, "--json").stdout)["posterior"].startswith("Posterior of 2 classes")
    done = run("predict", model, paths[2], "--interval", "0.9")
    assert done.stdout.splitlines()[0].endswith('"yes_low","yes_high"')
    assert "no penalty: the weights have a prior" in run("evaluate", model, paths[1]).stdout
    done = run("train", paths[1], *rest, "--prior", model, "--memory", "low")
    assert done.exit_code == 0, done.output


def test_intervals_of_a_model_with_an_offset(run: Any, tmp_path: Path) -> None:
    path, model = days(tmp_path)[0], tmp_path / "m.softreg"
    options = ("--offset", "yes=a:b", "--strength", "0.01", "--intervals", "--keep-posterior")
    done = run("train", path, "--target", "buys", *options, "--model", model)
    assert done.exit_code == 0, done.output
    done = run("predict", model, path, "--interval", "0.9", "--output", tmp_path / "P.csv")
    assert done.exit_code == 0, done.output
    found, classifier = pd.read_csv(tmp_path / "P.csv"), softreg.load(model)
    low, high = classifier.predict_intervals(read_table(path), level=0.9)
    P = classifier.predict_proba(read_table(path))
    assert_allclose(found[["no", "yes"]], P, rtol=1e-10)
    assert_allclose(found[["no_low", "yes_low"]], low, rtol=1e-10)
    assert_allclose(found[["no_high", "yes_high"]], high, rtol=1e-10)
    assert ((low < P) & (high > P)).all()
    pd.read_csv(path).drop(columns="a:b").to_csv(tmp_path / "fewer.csv", index=False)
    failed = run("predict", model, tmp_path / "fewer.csv", "--interval", "0.9")
    assert failed.exit_code == 2
    assert "There is no column of offsets 'a:b'" in failed.stderr
    done = run("train", path, "--target", "buys", "--prior", model, "--model", tmp_path / "n.softreg")
    assert done.exit_code == 0, done.output
    assert softreg.load(tmp_path / "n.softreg").offset_ == {"yes": "a:b"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--bound", "age"), "'age' is not COLUMN=+, COLUMN=- or COLUMN=LOW..HIGH"),
        (("--bound", "age=up"), "'age=up' is not COLUMN=+"),
        (("--bound", "age=3..2"), "LOW is at most HIGH"),
        (("--bound", "agee=+"), "There is no column with a bound 'agee'. Did you mean 'age'"),
        (("--bound", "age:maybe=+"), "names the class 'maybe'"),
        (("--bound", "kind=+"), "only columns of numbers and booleans have bounds"),
        (("--bound", "age=+", "--bound", "age:yes=+"), "--bound names column 'age' twice"),
        (("--bounds-reference", "no"), "bounds_reference has no effect without bounds"),
        (("--unpenalised", "nothing"), "There is no column without penalty 'nothing'"),
        (("--unpenalised", "age", "--penalty", "group"), "need the penalty l2, l1, elasticnet or none"),
        (("--keep-posterior",), "--keep-posterior keeps the posterior in the model file; name one"),
        (("--keep-posterior", "--penalty", "l1", "--model", "m.softreg"), "--keep-posterior requires --penalty l2 or"),
        (("--prior", "none.softreg"), "There is no model file 'none.softreg'"),
    ],
)
def test_errors_are_one_line(run: Any, tmp_path: Path, options: Any, message: str) -> None:
    done = run("train", days(tmp_path)[0], "--target", "buys", "--quiet", *options)
    assert done.exit_code == 2, done.output
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--strength", "auto"), "--strength and --prior exclude each other: the prior takes the place of the penalty"),
        (("--penalty", "l1"), "--penalty and --prior exclude each other"),
        (("--rule", "1se"), "--rule and --prior exclude each other: with a prior there is no strength to choose"),
        (("--drop", "age"), "--drop and --prior exclude each other: the columns and their encoding are those of the"),
        (("--checkpoint", "c"), "--checkpoint and --prior exclude each other"),
        (("--bad-rows", "skip"), "--bad-rows skip and --prior exclude each other"),
        (("--intervals", "--model", "n.softreg"), "--intervals: a model with a prior"),
    ],
)
def test_options_that_a_prior_excludes(run: Any, tmp_path: Path, options: Any, message: str) -> None:
    path, model = days(tmp_path)[0], tmp_path / "m.softreg"
    TableClassifier("buys", strength=0.1, keep_posterior=True).fit(path).save(model)
    done = run("train", path, "--target", "buys", "--quiet", "--prior", model, *options)
    assert done.exit_code == 2, done.output
    assert message in " ".join(done.stderr.split())


def test_a_prior_of_an_array_or_without_posterior_is_refused(run: Any, tmp_path: Path) -> None:
    path = days(tmp_path)[0]
    frame = pd.read_csv(path)
    softreg.SoftmaxRegression(0.1, keep_posterior=True).fit(frame[["age"]], frame.buys).save(tmp_path / "a.softreg")
    TableClassifier("buys", strength=0.1).fit(path).save(tmp_path / "b.softreg")
    for model, message in (("a", "was fitted to an array"), ("b", "train it with --keep-posterior")):
        done = run("train", path, "--target", "buys", "--quiet", "--prior", tmp_path / f"{model}.softreg")
        assert done.exit_code == 2
        assert message in done.stderr


def test_names_with_colons_and_quotes() -> None:
    names = ["age", "a", "a:b", " blank", 'with"quote']
    given = [("a:b:c:d", "+"), ('"a":b', "-"), ("blank", (0, None)), ('with"quote:yes', "+"), ('"age"', "-")]
    assert bounds_by_column(given, names) == {
        "a:b": {"c:d": "+"},
        "a": {"b": "-"},
        " blank": (0, None),
        'with"quote': {"yes": "+"},
        "age": "-",
    }
    with pytest.raises(ValueError, match="There is no column with a bound 'b:a'"):
        bounds_by_column([("b:a", "+")], names)
