"""Options of `softreg train` that people look for: weights, penalties, test files, order in time, costs, scores."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import Result
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

import softreg
from softreg import TableClassifier
from softreg.report import audit
from softreg.tables import TableError

from .helpers import run


def frame(n: int = 400, seed: int = 0, q: int = 2) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    data = pd.DataFrame({"x": draw.normal(size=n).round(4), "k": draw.choice(list("abc"), n)})
    code = np.digitize(data.x + draw.normal(size=n), [0, 1][: q - 1])
    data["y"] = np.array(["no", "some", "yes"])[code] if q > 2 else np.where(code, "yes", "no")
    data["w"] = draw.integers(0, 4, n)
    data["day"] = pd.date_range("2023-01-01", periods=-(-n // 4)).repeat(4)[:n].astype(str)
    return data


@pytest.fixture
def path(tmp_path: Path) -> Path:
    frame().to_csv(tmp_path / "d.csv", index=False)
    return tmp_path / "d.csv"


def figures(done: Result) -> dict[str, Any]:
    assert done.exit_code == 0, done.output
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("memory", ["high", "low"])
def test_weights_are_used_in_the_fit_and_are_no_feature(path: Path, tmp_path: Path, memory: str) -> None:
    out = tmp_path / "m.softreg"
    given = ("--weights", "w", "--strength", "0.01", "--test", path, "--memory", memory, "--model", out, "--json")
    told = figures(run("train", path, "--target", "y", "--drop", "day", "--quiet", *given))
    model, data = softreg.load(out), frame()
    assert [column.name for column in model.schema_.features] == ["x", "k"]
    plain = TableClassifier("y", strength=0.01, drop=["day", "w"])
    repeated = plain.fit(data.loc[data.index.repeat(data.w)].reset_index(drop=True))
    np.testing.assert_allclose(model.predict_proba(data), repeated.predict_proba(data), atol=0.002)
    P = model.predict_proba(data)
    w = data.w.to_numpy()
    assert told["log_loss"] == pytest.approx(log_loss(data.y, P, sample_weight=w))
    assert told["auc"] == pytest.approx(roc_auc_score(data.y == "yes", P[:, 1], sample_weight=w))
    assert told["brier"] == pytest.approx(2 * brier_score_loss(data.y == "yes", P[:, 1], sample_weight=w))
    assert told["accuracy"] == pytest.approx(np.average(model.predict(data) == data.y, weights=w))
    assert told["effective_rows"] == pytest.approx(w.sum() ** 2 / (w**2).sum())


def test_weights_enter_the_choice_of_the_strength(path: Path) -> None:
    data = frame()
    weighted = TableClassifier("y", drop="day", terms="linear").fit(data, sample_weight="w")
    counted = data[data.w > 0]
    beside = TableClassifier("y", drop=["day", "w"], terms="linear").fit(counted, sample_weight=counted.w.to_numpy())
    assert weighted.path_ is not None
    assert beside.path_ is not None
    np.testing.assert_allclose(weighted.path_.mean, beside.path_.mean)
    plain = TableClassifier("y", drop=["day", "w"], terms="linear").fit(counted)
    assert plain.path_ is not None
    assert abs(plain.path_.mean[0] - weighted.path_.mean[0]) > 1e-6


@pytest.mark.parametrize("memory", ["high", "low"])
@pytest.mark.parametrize(("bad", "seen"), [(-1, "'-1.0'"), ("", "no value"), ("many", "'many'"), ("inf", "'inf'")])
def test_a_bad_weight_is_refused_by_its_row(tmp_path: Path, bad: Any, seen: str, memory: str) -> None:
    data = frame().astype({"w": object})
    data.loc[41, "w"] = bad
    data.to_csv(tmp_path / "d.csv", index=False)
    done = run("train", tmp_path / "d.csv", "--target", "y", "--weights", "w", "--memory", memory)
    assert done.exit_code == 2
    assert f"The column of weights 'w' has {seen.replace('-1.0', '-1')} in row 42" in done.stderr


def test_all_weights_are_zero(tmp_path: Path) -> None:
    frame().assign(w=0).to_csv(tmp_path / "d.csv", index=False)
    for memory in ("high", "low"):
        done = run("train", tmp_path / "d.csv", "--target", "y", "--weights", "w", "--memory", memory)
        assert done.exit_code == 2, done.output
    assert "so that no row counts" in done.stderr or "no label" in done.stderr


def test_weights_with_groups(path: Path) -> None:
    done = run("train", path, "--target", "y", "--weights", "w", "--groups", "day", "--quiet", "--strength", "0.01")
    assert done.exit_code == 0, done.output
    assert "no day in both" in done.stdout
    assert "independent groups: the test uses one row of each" in done.stdout
    assert "rows, used for intervals" in done.stdout


def test_weighted_figures_and_their_intervals() -> None:
    draw = np.random.default_rng(0)
    P = draw.dirichlet([1, 1, 1], 500)
    y = (P.cumsum(axis=1) < draw.random((500, 1))).sum(axis=1)
    names = ["a", "b", "c"]
    plain, same = audit(P, y, names), audit(P, y, names, sample_weight=np.full(500, 3.0))
    for name in ("log_loss", "brier", "accuracy", "skill", "gap"):
        one, other = getattr(plain.calibration, name), getattr(same.calibration, name)
        np.testing.assert_allclose([one.value, one.low, one.high], [other.value, other.low, other.high], rtol=1e-9)
    np.testing.assert_allclose(vars(plain.auc)["low"], same.auc.low)
    w = draw.exponential(size=500)
    found = audit(P, y, names, sample_weight=w)
    assert found.effective_rows == pytest.approx(w.sum() ** 2 / (w @ w))
    assert found.auc.value == pytest.approx(roc_auc_score(y, P, multi_class="ovr", sample_weight=w))
    assert found.ranking.mean_auc == pytest.approx(found.auc.value)
    for name in ("log_loss", "brier", "accuracy"):  # about 250 rows are worth less than 500
        one, other = getattr(plain.calibration, name), getattr(found.calibration, name)
        assert 1.15 < (other.high - other.low) / (one.high - one.low) < 1.8


def test_coverage_of_weighted_intervals() -> None:
    draw, hits = np.random.default_rng(1), np.zeros(3)
    p = 0.2
    truth = -(p * np.log(p) + (1 - p) * np.log(1 - p)), 2 * p * (1 - p), 1 - p
    for _ in range(400):
        y, w = (draw.random(150) < p).astype(int), draw.exponential(size=150)
        found = audit(np.tile([1 - p, p], (150, 1)), y, ["no", "yes"], sample_weight=w).calibration
        hits += [
            f.low <= t <= f.high for f, t in zip((found.log_loss, found.brier, found.accuracy), truth, strict=True)
        ]
    assert (hits / 400 > 0.92).all(), hits / 400


def test_class_weights(path: Path, tmp_path: Path) -> None:
    out = tmp_path / "m.softreg"
    more = ("--drop", "day,w", "--strength", "0.01", "--quiet", "--model", out, "--test", path)
    for told, given in (("balanced", "balanced"), ("yes=5", {"yes": 5}), ("yes=5,no=0.5", {"yes": 5, "no": 0.5})):
        assert run("train", path, "--target", "y", "--class-weight", told, *more).exit_code == 0
        alike = TableClassifier("y", strength=0.01, drop=["day", "w"], class_weight=given).fit(frame())
        np.testing.assert_allclose(softreg.load(out).predict_proba(frame()), alike.predict_proba(frame()), atol=1e-6)
    for told in ("maybe=5", "yes", "yes=-1", "yes=nan", "yes=1,yes=2", "balanced,yes=2"):
        done = run("train", path, "--target", "y", "--class-weight", told)
        assert done.exit_code == 2, told
        assert "--class-weight" in done.stderr
        assert "'no', 'yes'" in done.stderr
    low = run("train", path, "--target", "y", "--class-weight", "yes=5", *more, "--memory", "low")
    assert low.exit_code == 0, low.output


@pytest.mark.parametrize("memory", ["high", "low"])
def test_penalties(path: Path, tmp_path: Path, memory: str) -> None:
    out = tmp_path / "m.softreg"
    more = ("--features", "x,k", "--quiet", "--model", out, "--memory", memory)
    for penalty, ratio in (("l1", 0.0), ("elasticnet", 0.5), ("none", 0.0)):
        assert run("train", path, "--target", "y", "--penalty", penalty, *more).exit_code == 0
        model = softreg.load(out).model_
        assert model.penalty == (None if penalty == "none" else penalty)
        assert penalty == "l1" or model.l1_ratio == ratio
    assert run("train", path, "--target", "y", "--penalty", "elasticnet", "--l1-ratio", "0.9", *more).exit_code == 0
    assert softreg.load(out).model_.l1_ratio == 0.9
    for wrong in (
        ["--l1-ratio", "0.5"],
        ["--penalty", "none", "--strength", "0.1"],
        ["--penalty", "none", "--folds", "3"],
        ["--penalty", "none", "--checkpoint", tmp_path / "c"],
    ):
        assert run("train", path, "--target", "y", *wrong).exit_code == 2


def test_a_test_file_gives_the_figures(path: Path, tmp_path: Path) -> None:
    test = frame(200, seed=1)
    test.loc[5, "y"] = ""
    test.to_csv(tmp_path / "t.csv", index=False)
    out, page = tmp_path / "m.softreg", tmp_path / "r.html"
    more = ("--target", "y", "--strength", "0.01", "--quiet", "--drop", "w")
    told = figures(run("train", path, *more, "--test", tmp_path / "t.csv", "--json", "--model", out, "--report", page))
    alone = figures(run("evaluate", out, tmp_path / "t.csv", "--json"))
    assert told["log_loss"] == alone["log_loss"]
    assert told["auc_low"] == alone["auc_low"]
    assert softreg.load(out).model_.solution_ is not None
    assert page.stat().st_size > 10_000
    done = run("train", path, *more, "--test", tmp_path / "t.csv")
    assert "400 to train on, 199 in t.csv" in " ".join(done.stdout.split()).replace(" to train on", " to train on")
    assert "1 row of 't.csv' have no label" in done.stderr
    test.loc[7, "y"] = "strange"
    test.to_csv(tmp_path / "t.csv", index=False)
    refused = run("train", path, *more, "--test", tmp_path / "t.csv")
    assert refused.exit_code == 2
    assert "of 't.csv' has the label 'strange' in row 8" in refused.stderr
    assert run("train", path, *more, "--test", tmp_path / "t.csv", "--test-size", "0.2").exit_code == 2


def test_features_and_lists_with_commas(tmp_path: Path) -> None:
    data = frame().rename(columns={"x": "x, raw", "k": "k,l"}).assign(l=1.5)
    data["l"] = np.arange(400) % 7
    data.to_csv(tmp_path / "d.csv", index=False)
    out = tmp_path / "m.softreg"

    def used(*options: str) -> list[str]:
        done = run(
            "train", tmp_path / "d.csv", "--target", "y", "--strength", "0.1", "--quiet", "--model", out, *options
        )
        assert done.exit_code == 0, done.output
        return [column.name for column in softreg.load(out).schema_.features]

    assert used("--features", "x, raw,l") == ["x, raw", "l"]
    assert used("--features", "k,l") == ["k,l"]
    assert used("--features", "k,l", "--features", "l") == ["k,l", "l"]
    assert used("--drop", "day,w,k,l") == ["x, raw", "l"]
    assert used("--drop", "day", "--drop", "w", "--category", "l,k,l") == ["x, raw", "k,l", "l"]
    for wrong in ("z", "y", "l,z"):
        done = run("train", tmp_path / "d.csv", "--target", "y", "--features", wrong)
        assert done.exit_code == 2
        assert "feature" in done.stderr
    done = run("train", tmp_path / "d.csv", "--target", "y", "--features", "l", "--drop", "l")
    assert done.exit_code == 2
    assert "among the features and among the columns to leave out" in done.stderr


def test_costs_and_scores(path: Path) -> None:
    shown = run("train", path, "--target", "y", "--strength", "0.01", "--cost", "yes:no=5", "--quiet")
    assert re.search(r"cost per row +[\d.]+ +95% interval [\d.]+ to [\d.]+; decide", shown.stdout)
    assert "decide 'yes' above 16.7%" in shown.stdout
    wrong = run("train", path, "--target", "y", "--cost", "maybe:no=5")
    assert wrong.exit_code == 2
    assert "--cost" in wrong.stderr
    for score in ("brier", "accuracy", "roc_auc", "neg_log_loss", "balanced_accuracy"):
        done = run("train", path, "--target", "y", "--scoring", score, "--quiet", "--features", "x", "--terms=linear")
        assert done.exit_code == 0, done.output
        assert f"chosen by 5-fold cross-validation: {score.replace('_', ' ')} " in done.stdout
    assert run("train", path, "--target", "y", "--scoring", "r3").exit_code == 2
    assert run("train", path, "--target", "y", "--scoring", "brier", "--strength", "1").exit_code == 2


def test_roc_auc_as_score_of_three_classes() -> None:
    model = TableClassifier("y", scoring="roc_auc", drop=["w", "day"], terms="linear").fit(frame(q=3))
    assert model.path_ is not None
    assert model.path_.more_is_better
    assert 0.5 < model.path_.mean.max() < 1


def test_figures_of_three_classes(tmp_path: Path) -> None:
    data = frame(q=3)
    data.to_csv(tmp_path / "d.csv", index=False)
    out = tmp_path / "m.softreg"
    more = ("--target", "y", "--strength", "0.01", "--test", tmp_path / "d.csv", "--model", out)
    told = figures(run("train", tmp_path / "d.csv", *more, "--json", "--quiet"))
    P = softreg.load(out).predict_proba(data)
    assert told["auc"] == pytest.approx(roc_auc_score(data.y, P, multi_class="ovr"))
    assert told["auc_low"] < told["auc"] < told["auc_high"]
    assert told["brier_low"] < told["brier"] < told["brier_high"]
    shown = run("train", tmp_path / "d.csv", *more, "--quiet").stdout
    assert "held-out AUC" in shown
    assert "mean of each class against the rest" in shown
    assert "held-out Brier score" in shown


def test_the_latest_rows_are_held_out(path: Path, tmp_path: Path) -> None:
    out, page = tmp_path / "m.softreg", tmp_path / "r.html"
    done = run(
        "train", path, "--target", "y", "--time", "day", "--quiet", "--model", out, "--report", page, "--terms=linear"
    )
    assert done.exit_code == 0, done.output
    assert "320 to train on, 80 held out, the latest by day" in done.stdout
    model = softreg.load(out)
    assert "day" not in [column.name for column in model.schema_.features]
    alike = TableClassifier("y", time="day", terms="linear").fit(frame()[:320])
    assert alike.model_.strength == model.model_.strength
    np.testing.assert_allclose(model.predict_proba(frame()), alike.predict_proba(frame()), atol=1e-6)
    asked = run(
        "train", path, "--target", "y", "--time", "day", "--date", "day", "--quiet", "--model", out, "--terms=linear"
    )
    assert asked.exit_code == 0
    assert "day" in [column.name for column in softreg.load(out).schema_.features]
    for wrong in (["--time", "k"], ["--time", "z"], ["--time", "y"], ["--time", "day", "--groups", "k"]):
        assert run("train", path, "--target", "y", *wrong).exit_code == 2, wrong
    low = run("train", path, "--target", "y", "--time", "day", "--memory", "low")
    assert low.exit_code == 2
    assert "--memory high" in low.stderr


def test_a_class_that_comes_later_is_not_evaluated(tmp_path: Path) -> None:
    data = frame()
    data.loc[390:, "y"] = "new"
    data.to_csv(tmp_path / "d.csv", index=False)
    done = run("train", tmp_path / "d.csv", "--target", "y", "--time", "day", "--quiet", "--terms=linear")
    assert done.exit_code == 0, done.output
    assert (
        "10 rows held out by 'day' have a class that no training row has ('new') and are not evaluated" in done.stderr
    )
    assert "320 to train on, 70 held out" in done.stdout


def test_options_are_kept_in_the_model_file(tmp_path: Path) -> None:
    model = TableClassifier(
        "y", features=["x", "k"], time="day", rare="drop", missing_target="error", scoring="brier", terms="linear"
    ).fit(frame())
    model.save(tmp_path / "m.softreg")
    kept = softreg.load(tmp_path / "m.softreg")
    for name in ("features", "time", "rare", "missing_target", "scoring"):
        assert np.array_equal(getattr(kept, name), getattr(model, name)), name
    frame().to_csv(tmp_path / "d.csv", index=False)
    with pytest.raises(TableError, match="read in batches"):
        kept.fit(tmp_path / "d.csv", memory="low")


def test_the_help_of_train_has_headings() -> None:
    text = run("train", "--help").stdout
    for heading in ("Columns:", "Rows:", "Model:", "Results:", "Memory and processes:", "Other options:"):
        assert f"\n{heading}\n" in text
    assert text.count("--missing-target") == 1
    assert "  DATA\n" not in text
