"""How `softreg train` chooses a strength: folds, rule, groups, and what it tells of the search."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import softreg
from softreg import SoftmaxRegressionCV, TableClassifier
from softreg.probability import operating_point
from softreg.tables import TableError, group_codes, read_table, split_groups
from softreg.tables.fit import choose_strength
from softreg.tables.fit.cross_validation import CrossValidation

HEADER = ["patient", "visit", "pulse", "pressure", "ill"]


def visits(n: int = 300, patients: int = 30, seed: int = 0) -> list[list[object]]:
    """Visits of patients who differ much from each other and little from visit to visit."""
    draw = np.random.default_rng(seed)
    who = draw.integers(0, patients, n)
    own = draw.normal(size=(patients, 2))
    X = own[who] + 0.3 * draw.normal(size=(n, 2))
    ill = draw.random(patients)[who] < 1 / (1 + np.exp(-2 * own[who, 0]))
    label = np.where(ill ^ (draw.random(n) < 0.15), "yes", "no")
    return [
        [f"P{p:03}", int(v), f"{a:.3f}", f"{b:.3f}", y]
        for p, v, (a, b), y in zip(who, draw.integers(1, 9, n), X, label, strict=True)
    ]


@pytest.fixture
def clinic(tmp_path: Path) -> Path:
    """visits.csv with the target `ill`."""
    with (tmp_path / "visits.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([HEADER, *visits()])
    return tmp_path / "visits.csv"


def test_the_search_is_told_with_its_passes(run: Any, clinic: Path, tmp_path: Path) -> None:
    model = tmp_path / "m.softreg"
    words = ("train", clinic, "--target", "ill", "--drop", "patient", "--folds", "4", "--terms=linear")
    done = run(*words, "--json", "--model", model)
    figures = json.loads(done.stdout)
    told = figures["search"]
    assert list(told) == ["strengths", "folds", "rule", "passes", "seconds"]
    assert (told["folds"], told["rule"]) == (4, "min")
    assert told["strengths"] == sum(line.startswith("cross-validation: strength ") for line in done.stderr.splitlines())
    kept = softreg.load(model)
    assert told["passes"] == kept.path_.passes > 0
    assert figures["passes"] == kept.model_.solution_.passes
    assert 0 < told["seconds"] < figures["seconds"]
    assert json.loads(run("inspect", model, "--json").stdout)["search"] == told
    strength = next(line for line in run("inspect", model).stdout.splitlines() if "strength" in line)
    chosen = f"chosen from {told['strengths']} by 4-fold cross-validation (rule min)"
    assert f"{chosen}, with {told['passes']:,} passes over the data" in strength
    shown = run(*words).stdout
    passes = f"{told['passes']:,} passes over the data for {told['strengths']} strengths"
    assert f"to choose the strength, with {passes}" in shown
    assert "4-fold cross-validation" in shown


def test_a_given_strength_has_no_search(run: Any, clinic: Path) -> None:
    figures = json.loads(run("train", clinic, "--target", "ill", "--strength", "0.01", "--json").stdout)
    assert figures["search"] is None


def test_one_standard_error_chooses_a_stronger_penalty(run: Any, clinic: Path, tmp_path: Path) -> None:
    words = ("train", clinic, "--target", "ill", "--drop", "patient", "--terms=linear")
    least = json.loads(run(*words, "--json").stdout)
    model = tmp_path / "m.softreg"
    simple = json.loads(run(*words, "--rule", "1se", "--json", "--model", model).stdout)
    assert simple["strength"] > least["strength"]
    assert simple["search"]["rule"] == "1se"
    path = softreg.load(model).path_
    best = int(path.mean.argmin())
    assert path.mean[path.chosen] <= path.mean[best] + path.error[best]
    assert softreg.load(model).rule == "1se"
    told = f"within 1 SE of {path.mean[best]:.4f} at {path.strength[best]:.3g}"
    assert told in run(*words, "--rule", "1se").stdout


def test_the_interval_of_the_cost_is_that_of_groups(run: Any, clinic: Path, tmp_path: Path) -> None:
    costs, model = ("--cost", "yes:no=3"), tmp_path / "m.softreg"
    done = run(
        "train", clinic, "--target", "ill", "--groups", "patient", "--strength", "0.01", *costs, "--model", model
    )
    assert done.exit_code == 0, done.output
    table = read_table(clinic)
    groups = group_codes(table, "patient", "ill")
    codes = np.unique(table["ill"].to_pylist(), return_inverse=True)[1]
    _, test = split_groups(codes, groups, 0.2, 0)
    P = softreg.load(model).predict_proba(table.take(test))
    paid = operating_point(P, codes[test], [[0, 1], [3, 0]], groups=groups[test]).paid
    assert f"95% interval {paid.low:.4g} to {paid.high:.4g}; decide 'yes'" in done.stdout
    assert operating_point(P, codes[test], [[0, 1], [3, 0]]).paid != paid


def test_groups_are_held_out_as_a_whole(run: Any, clinic: Path, tmp_path: Path) -> None:
    model, page = tmp_path / "m.softreg", tmp_path / "r.html"
    done = run(
        "train", clinic, "--target", "ill", "--groups", "patient", "--model", model, "--report", page, "--terms=linear"
    )
    assert done.exit_code == 0, done.output
    assert "no patient in both" in done.stdout
    assert "held-out rows, no patient in both; trained on" in page.read_text("utf-8")
    table = read_table(clinic)
    groups = group_codes(table, "patient", "ill")
    codes = np.unique(table["ill"].to_pylist(), return_inverse=True)[1]
    train, test = split_groups(codes, groups, 0.2, 0)
    assert f"{len(train)} to train on, {len(test)} held out" in done.stdout
    assert not set(groups[train]) & set(groups[test])
    kept = softreg.load(model)
    assert kept.groups == "patient"
    assert all(name != "patient" for name in kept.feature_names_out_)
    again = TableClassifier("ill", groups="patient", strength="auto", terms="linear").fit(table, rows=train)
    np.testing.assert_array_equal(again.path_.scores, kept.path_.scores)
    splits = CrossValidation(groups=groups[train]).splits(np.array(table["ill"].to_pylist())[train], None)
    assert len(splits) == 5
    for learn, judge in splits:
        assert not set(groups[train][learn]) & set(groups[train][judge])
    X, y = kept.encode(table)[train], np.array(table["ill"].to_pylist())[train]
    np.testing.assert_allclose(SoftmaxRegressionCV(cv=splits).fit(X, y).scores_, kept.path_.scores, atol=1e-9)


def test_a_model_with_groups_predicts_tables_with_and_without_the_column(
    run: Any, clinic: Path, tmp_path: Path
) -> None:
    model = tmp_path / "m.softreg"
    run("train", clinic, "--target", "ill", "--groups", "patient", "--model", model, "--terms=linear")
    with (tmp_path / "new.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([HEADER[1:4], *(row[1:4] for row in visits())])
    whole, part = run("predict", model, clinic), run("predict", model, tmp_path / "new.csv")
    assert whole.exit_code == part.exit_code == 0, part.output
    assert whole.stdout == part.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--folds", "1"), "--folds"),
        (("--folds", "five"), "--folds"),
        (("--folds", "900"), "900 folds are too many: no class has more than"),
        (
            ("--folds", "4", "--strength", "0.1"),
            "--folds concerns the selection of the strength, which --strength 0.1",
        ),
        (("--rule", "min", "--strength", "0.1"), "--rule concerns the selection of the strength"),
        (("--rule", "2se"), "--rule"),
        (("--groups", "patients"), "There is no column of groups 'patients'. Did you mean 'patient'?"),
        (("--groups", "ill"), "'ill' is the target"),
        (("--groups", "patient", "--memory", "low"), "--groups requires all rows in memory"),
        (("--groups", "patient", "--folds", "29"), "29 folds need as many groups at least"),
    ],
)
def test_what_cannot_be_is_told_in_a_paragraph(run: Any, clinic: Path, words: tuple[str, ...], told: str) -> None:
    done = run("train", clinic, "--target", "ill", *words)
    assert done.exit_code == 2
    assert told in done.stderr
    assert "Traceback" not in done.output


def test_groups_that_cannot_be_split(run: Any, tmp_path: Path) -> None:
    def train(groups: list[str], *words: str) -> Any:
        rows = [[g, f"{k % 7}", "yes" if k % 2 else "no"] for k, g in enumerate(groups)]
        with (tmp_path / "t.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([["g", "x", "y"], *rows])
        return run("train", tmp_path / "t.csv", "--target", "y", "--groups", "g", *words)

    done = train(["a"] * 60)
    assert done.exit_code == 2
    assert "The rows are in 1 group, each of which has all rows of some class" in done.stderr
    assert "each of which has all rows of some class" in train(["a", "b"] * 30).stderr  # a is no, b is yes
    two = train([*["a"] * 30, *["b"] * 30])
    assert two.exit_code == 2
    assert "2 folds need as many groups at least, and the rows to train on are in 1 group" in two.stderr
    assert train([*["a"] * 30, *["b"] * 30], "--strength", "0.1").exit_code == 0
    hole = train([*["a"] * 20, "", *["b"] * 20, *["c"] * 19])
    assert "The column of groups 'g' has no value in 1 row, row 21 the first" in hole.stderr


def test_groups_of_any_type_of_column() -> None:
    for values in ([3, 3, 1], [0.5, 0.5, 2.0], [True, True, False], pa.array(["a", "a", "b"]).dictionary_encode()):
        table = pa.table({"g": values, "y": ["u", "v", "u"]})
        assert group_codes(table, "g", "y").tolist() == [0, 0, 1]
    for values in ([3, None, 1], [0.5, float("nan"), 2.0], ["a", " ", "b"]):
        with pytest.raises(TableError, match="no value in 1 row, row 2 the first"):
            group_codes(pa.table({"g": values, "y": ["u", "v", "u"]}), "g", "y")
    with pytest.raises(TableError, match="the type list"):
        group_codes(pa.table({"g": [[1], [2]], "y": ["u", "v"]}), "g", "y")


def test_a_table_classifier_refuses_what_cannot_be(clinic: Path) -> None:
    for settings, told in (({"folds": 1}, "folds is 1"), ({"folds": True}, "folds is True"), ({"rule": "max"}, "rule")):
        with pytest.raises(TableError, match=told):
            TableClassifier("ill", strength="auto", **settings).fit(str(clinic))
    with pytest.raises(TableError, match="groups need all rows in memory"):
        TableClassifier("ill", groups="patient").fit(str(clinic), memory="low")


@pytest.mark.filterwarnings("ignore:stalled at rounding error")  # the weakest strengths, on words that tell all
def test_long_texts_have_a_part_held_out_and_folds_where_they_are_asked_for(monkeypatch: Any) -> None:
    draw = np.random.default_rng(1)
    words = np.array([f"word{k}" for k in range(40)])
    topic = draw.integers(0, 2, 240)
    texts = [" ".join(draw.choice(words[20 * t : 26 if t == 0 else None], 6)) for t in topic]
    table = pa.table(
        {"text": texts, "topic": np.array(["a", "b"])[topic], "author": topic * 20 + draw.integers(0, 20, 240)}
    )
    monkeypatch.setattr(choose_strength, "WIDE_COLUMNS", 50)
    one = TableClassifier("topic", strength="auto", text=("text",), groups="author").fit(table)
    assert one.path_.scores.shape[1] == 1
    assert one.path_.passes > 0
    simple = TableClassifier("topic", strength="auto", text=("text",), groups="author", rule="1se").fit(table)
    best = int(simple.path_.mean.argmin())
    bound = simple.path_.mean[best] + simple.path_.error[best]
    assert simple.model_.strength >= one.model_.strength
    assert simple.path_.mean[simple.path_.chosen] <= bound
    stronger = simple.path_.mean[: simple.path_.chosen]
    assert (stronger > bound).all()
    assert len(stronger) or simple.model_.strength == choose_strength.MAX_STRENGTH
    three = TableClassifier("topic", strength="auto", text=("text",), folds=3).fit(table)
    assert three.path_.scores.shape[1] == 3


def test_a_selection_saved_from_python_is_used_by_the_commands(run: Any, tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    draw = np.random.default_rng(0)
    frame = pd.DataFrame(draw.normal(size=(120, 2)), columns=["a", "b"])
    y = np.where(frame["a"] + draw.normal(size=120) > 0, "up", "down")
    model = SoftmaxRegressionCV(cv=3).fit(frame, y)
    model.save(tmp_path / "m.softreg")
    frame.assign(y=y).to_csv(tmp_path / "t.csv", index=False)
    told = json.loads(run("inspect", tmp_path / "m.softreg", "--json").stdout)
    assert told["search"]["strengths"] == len(model.path_)
    figures = json.loads(run("evaluate", tmp_path / "m.softreg", tmp_path / "t.csv", "--target", "y", "--json").stdout)
    assert figures["accuracy"] == pytest.approx(model.score(frame, y))
    done = run("predict", tmp_path / "m.softreg", tmp_path / "t.csv")
    assert done.exit_code == 0, done.output
    assert len(done.stdout.splitlines()) == 121
