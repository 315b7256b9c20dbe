"""The commands as a person uses them: what they print and leave, and that they agree."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import softreg
from softreg import SoftmaxRegression, TableClassifier, explain
from softreg.cli.report_inputs.row_explanations import row_explainer
from softreg.tables import labels, read_table, split_rows

KEYS = [
    "rows", "columns", "classes", "strength", "log_loss", "log_loss_bits", "log_loss_low", "log_loss_high",
    "label_entropy", "accuracy", "accuracy_low", "accuracy_high", "majority_accuracy", "auc", "auc_low", "auc_high",
    "brier", "brier_low", "brier_high", "effective_rows", "calibration",
    "calibration_error", "calibration_error_low", "calibration_error_high", "calibration_gap", "calibration_p",
    "calibration_draws", "gap", "passes", "seconds",
    "search",
]  # fmt: skip


def test_help_names_every_command(run: Any) -> None:
    shown = run("--help")
    assert shown.exit_code == 0
    for command in ("train", "predict", "evaluate", "audit", "statistics", "inspect", "card", "doctor", "demo"):
        assert f"\n  {command} " in shown.stdout
    assert run().stdout == run("--help").stdout
    assert run("--version").stdout == f"softreg {softreg.__version__}\n"


def test_train_prints_the_result_and_says_what_columns_are(run: Any, table: Path) -> None:
    done = run("train", table, "--target", "buys", "--strength", "1e-4")
    assert done.exit_code == 0, done.output
    for words in (
        "320 to train on, 80 held out",
        "held-out log loss",
        "bits",
        "entropy of labels",
        "held-out accuracy",
    ):
        assert words in done.stdout
    assert "1 number, 1 category and 1 boolean" in done.stdout
    assert "on the distance to the minimum of the training objective" in done.stdout
    for column, kind in (("age", "number"), ("plan", "category"), ("member", "boolean"), ("buys", "target")):
        assert any(line.split()[:2] == [column, kind] for line in done.stderr.splitlines())
    assert "pass " in done.stderr


def test_the_strength_is_chosen_unless_it_is_given(run: Any, table: Path, tmp_path: Path) -> None:
    page = tmp_path / "r.html"
    done = run(
        "train", table, "--target", "buys", "--report", page, "--model", tmp_path / "m.softreg", "--terms=linear"
    )
    assert done.exit_code == 0, done.output
    told = [line for line in done.stderr.splitlines() if line.startswith("cross-validation: strength ")]
    losses = {line.split()[2].rstrip(","): float(line.split("log loss ")[1].split()[0]) for line in told}
    chosen = next(line for line in done.stdout.splitlines() if "strength" in line)
    assert "chosen by 5-fold cross-validation" in chosen
    assert losses[chosen.split()[1]] == min(losses.values())
    assert "Cross-validation of the strength of the penalty" in page.read_text("utf-8")
    figures = json.loads(
        run("train", table, "--target", "buys", "--json", "--quiet", "--strength", "auto", "--terms=linear").stdout
    )
    assert f"{figures['strength']:.3g}" == chosen.split()[1]
    kept = softreg.load(tmp_path / "m.softreg")
    assert kept.strength == "auto"
    assert kept.model_.strength == pytest.approx(figures["strength"])
    assert len(kept.path_) == len(told)
    given = run("train", table, "--target", "buys", "--strength", "0.01", "--report", page)
    assert "chosen" not in given.stdout
    assert "was chosen" not in page.read_text("utf-8")


def test_train_json_is_one_object_with_the_promised_keys(run: Any, table: Path) -> None:
    done = run("train", table, "--target", "buys", "--json", "--strength", "1e-3")
    figures = json.loads(done.stdout)
    assert list(figures) == KEYS
    assert (figures["rows"], figures["columns"], figures["classes"]) == (400, 3, 2)
    assert figures["strength"] == 1e-3
    assert figures["log_loss_bits"] == pytest.approx(figures["log_loss"] / math.log(2))
    assert 0 <= figures["gap"] <= 1e-6
    assert figures["passes"] >= 1
    assert figures["seconds"] > 0


def test_the_figures_are_those_of_the_rows_held_out(run: Any, table: Path) -> None:
    """The same numbers from the Python side, with the definitions written out."""
    figures = json.loads(run("train", table, "--target", "buys", "--json", "--seed", "3", "--strength", "1e-4").stdout)
    rows = read_table(table)
    y = labels(rows, "buys")
    train, test = split_rows(np.unique(y, return_inverse=True)[1], 0.2, 3)
    model = TableClassifier("buys", strength=1e-4).fit(rows, rows=train)
    P, given = model.predict_proba(rows.take(test)), y[test]
    p = P[np.arange(len(test)), np.searchsorted(model.classes_, given)]
    rates = np.unique(given, return_counts=True)[1] / len(given)
    assert figures["log_loss"] == pytest.approx(-np.log(p).mean(), rel=1e-6)
    assert figures["label_entropy"] == pytest.approx(-(rates * np.log(rates)).sum())
    assert figures["majority_accuracy"] == pytest.approx(rates.max())
    assert figures["accuracy"] == pytest.approx((model.classes_[P.argmax(axis=1)] == given).mean())
    assert figures["log_loss"] < figures["label_entropy"]  # the columns were made to help


def test_quiet_says_nothing_but_the_result(run: Any, table: Path) -> None:
    done = run("train", table, "--target", "buys", "--quiet", "--terms=linear")
    assert done.stderr == ""
    assert "held-out log loss" in done.stdout


def test_a_seed_gives_the_same_figures_and_another_seed_others(run: Any, table: Path) -> None:
    def losses(seed: int) -> float:
        done = run("train", table, "--target", "buys", "--json", "--seed", seed, "--terms=linear")
        return float(json.loads(done.stdout)["log_loss"])

    assert losses(1) == losses(1)
    assert losses(1) != losses(2)


def test_drop_leaves_a_column_out(run: Any, table: Path) -> None:
    done = run("train", table, "--target", "buys", "--drop", "age", "--drop", "plan", "--json", "--terms=linear")
    assert json.loads(done.stdout)["columns"] == 1
    assert any(line.split()[:2] == ["age", "dropped"] for line in done.stderr.splitlines())


def test_a_column_left_out_is_told_on_stderr(run: Any, table: Path, tmp_path: Path) -> None:
    lines = table.read_text("utf-8").splitlines()
    with_id = [f"customer_id,{lines[0]}", *(f"{1000 + i * 7},{line}" for i, line in enumerate(lines[1:]))]
    (tmp_path / "with_id.csv").write_text("\n".join(with_id), "utf-8")
    done = run("train", tmp_path / "with_id.csv", "--target", "buys", "--json", "--quiet", "--terms=linear")
    assert json.loads(done.stdout)["columns"] == 3
    assert "Warning: column 'customer_id' looks like an identifier and is left out" in done.stderr


def test_train_predict_evaluate_inspect_agree(run: Any, table: Path, trained: Path, tmp_path: Path) -> None:
    predicted = run("predict", trained, table, "--output", tmp_path / "p.csv")
    assert predicted.exit_code == 0, predicted.output
    assert predicted.stdout == ""
    with (tmp_path / "p.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["prediction", "007", "none"]
    assert all(abs(float(r["007"]) + float(r["none"]) - 1) < 1e-12 for r in rows)
    assert all(r["prediction"] == ("007" if float(r["007"]) > float(r["none"]) else "none") for r in rows)

    given = labels(read_table(table), "buys")
    loss = -np.mean([math.log(float(r[y])) for r, y in zip(rows, given, strict=True)])
    evaluated = json.loads(run("evaluate", trained, table, "--json").stdout)
    assert list(evaluated) == KEYS
    assert evaluated["log_loss"] == pytest.approx(loss)
    assert evaluated["accuracy"] == pytest.approx(
        np.mean([r["prediction"] == y for r, y in zip(rows, given, strict=True)])
    )

    shown = run("inspect", trained)
    assert shown.exit_code == 0, shown.output
    for words in ("table model", "buys", "007, none", "age", "plan", "basic", "member", "l2 penalty", "proved"):
        assert words in shown.stdout
    told = json.loads(run("inspect", trained, "--json").stdout)
    assert told["classes"] == ["007", "none"]
    assert [c["name"] for c in told["columns"]] == ["age", "plan", "member", "buys"]
    assert told["gap"] == evaluated["gap"]


def test_the_saved_model_is_the_one_that_was_judged(run: Any, table: Path, tmp_path: Path) -> None:
    """Evaluated on the very rows that were held out, the file gives the figures that training printed."""
    path = tmp_path / "m.softreg"
    done = run("train", table, "--target", "buys", "--json", "--model", path, "--terms=linear")
    assert f"Model, fitted on the training rows: {path}" in done.stderr
    rows = read_table(table)
    codes = np.unique(labels(rows, "buys"), return_inverse=True)[1]
    held_out = table.read_text("utf-8").splitlines()
    kept = [held_out[0], *(held_out[1 + i] for i in split_rows(codes, 0.2, 0)[1])]
    (tmp_path / "held_out.csv").write_text("\n".join(kept) + "\n", "utf-8")
    again = json.loads(run("evaluate", path, tmp_path / "held_out.csv", "--json").stdout)
    first = json.loads(done.stdout)
    for key in ("log_loss", "log_loss_bits", "label_entropy", "accuracy", "majority_accuracy"):
        assert again[key] == pytest.approx(first[key], rel=1e-12)


def test_predict_without_output_prints_csv(run: Any, table: Path, trained: Path, tmp_path: Path) -> None:
    printed = run("predict", trained, table)
    run("predict", trained, table, "--output", tmp_path / "p.csv")
    assert printed.stdout == (tmp_path / "p.csv").read_text("utf-8")
    assert printed.stderr == ""


def test_predict_to_parquet_is_exact(run: Any, table: Path, trained: Path, tmp_path: Path) -> None:
    run("predict", trained, table, "--output", tmp_path / "p.parquet")
    written = pq.read_table(tmp_path / "p.parquet")
    expected = softreg.load(trained).predict_proba(table)
    assert written.column_names == ["prediction", "007", "none"]
    assert np.array_equal(np.column_stack([written["007"], written["none"]]), expected)


def test_predict_needs_no_labels_and_no_order_of_columns(run: Any, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("age,plan,member\n31,pro,yes\n,basic,no\n", "utf-8")
    (tmp_path / "b.csv").write_text("member,age,plan\nyes,31,pro\nno,,basic\n", "utf-8")
    assert run("predict", trained, tmp_path / "a.csv").stdout == run("predict", trained, tmp_path / "b.csv").stdout


def test_predict_warns_of_a_column_it_does_not_know(run: Any, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "more.csv").write_text("age,plan,member,colour\n31,pro,yes,red\n", "utf-8")
    done = run("predict", trained, tmp_path / "more.csv")
    assert done.exit_code == 0
    assert "Warning: " in done.stderr
    assert "'colour'" in done.stderr


def test_reports_are_written_by_train_and_evaluate(run: Any, table: Path, trained: Path, tmp_path: Path) -> None:
    for command in (["train", table, "--target", "buys", "--terms=linear"], ["evaluate", trained, table]):
        page = tmp_path / f"{command[0]}.html"
        done = run(*command, "--report", page)
        assert done.exit_code == 0, done.output
        text = page.read_text("utf-8")
        assert text.startswith("<!doctype html>")
        assert "plan=pro" in text
        assert "customers.csv" in text
        assert "http://" not in text.replace("http://www.w3.org/", "")


@pytest.fixture
def from_python(tmp_path: Path) -> Path:
    """A regression saved from Python, fitted on a frame with two named columns and integer classes."""
    import pandas as pd

    draw = np.random.default_rng(0)
    y = np.repeat([3, 5, 8], 40)
    X = pd.DataFrame({"wide": draw.normal(y, 1.0), "high": draw.normal(-y, 2.0)})
    SoftmaxRegression().fit(X, y).save(tmp_path / "iris.softreg")
    X.assign(kind=y).to_csv(tmp_path / "iris.csv", index=False)
    return tmp_path / "iris.softreg"


def test_a_model_saved_from_python_predicts_a_file_by_column_names(run: Any, from_python: Path, tmp_path: Path) -> None:
    done = run("predict", from_python, tmp_path / "iris.csv")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[0] == '"prediction","3","5","8"'
    evaluated = run("evaluate", from_python, tmp_path / "iris.csv", "--target", "kind", "--json")
    assert json.loads(evaluated.stdout)["accuracy"] > 0.7
    assert "--target COLUMN" in run("evaluate", from_python, tmp_path / "iris.csv").stderr


def test_inspect_tells_a_model_saved_from_python(run: Any, from_python: Path) -> None:
    shown = run("inspect", from_python)
    assert shown.exit_code == 0, shown.output
    for words in ("regression, fitted in Python", "3, 5, 8", "wide, high", "l2"):
        assert words in shown.stdout
    assert json.loads(run("inspect", from_python, "--json").stdout)["features"] == ["wide", "high"]


def test_a_model_without_certificate_is_told_as_such(run: Any, from_python: Path, tmp_path: Path) -> None:
    """As mini-batches make it: nothing is known of the distance to the optimum, and nothing breaks on that."""
    model = softreg.load(from_python)
    del model.solution_
    model.save(from_python)
    assert "none: the model was trained on mini-batches" in run("inspect", from_python).stdout
    assert json.loads(run("inspect", from_python, "--json").stdout)["gap"] is None
    page = tmp_path / "r.html"
    done = run("evaluate", from_python, tmp_path / "iris.csv", "--target", "kind", "--json", "--report", page)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["gap"] is None
    assert page.exists()


def test_a_model_of_an_array_says_how_to_predict(run: Any, table: Path, tmp_path: Path) -> None:
    SoftmaxRegression().fit(np.array([[0.0], [1.0], [2.0], [3.0]]), ["a", "a", "b", "b"]).save(tmp_path / "x.softreg")
    done = run("predict", tmp_path / "x.softreg", table)
    assert done.exit_code == 2
    assert "have no names" in done.stderr
    assert "softreg.load(" in done.stderr


def test_the_demo_reaches_what_it_promises(run: Any, tmp_path: Path) -> None:
    done = run("demo", "--folder", tmp_path / "demo")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "demo" / "report.html").read_text("utf-8").startswith("<!doctype html>")
    model = softreg.load(tmp_path / "demo" / "digits.softreg")
    from sklearn.datasets import load_digits

    digits = load_digits()
    test = split_rows(digits.target, 0.2, 0)[1]
    P = model.predict_proba(digits.data[test] / 16)
    loss = -np.log(P[np.arange(len(test)), digits.target[test]]).mean()
    assert loss <= 0.15
    assert (P.argmax(axis=1) == digits.target[test]).mean() >= 0.95
    assert f"{loss:.4f} nats" in done.stdout
    assert "softreg inspect" in done.stderr


@pytest.mark.slow
def test_bank_marketing_is_learned_from_the_raw_file(run: Any, data_folder: Path) -> None:
    done = run("train", data_folder / "bank-full.csv", "--target", "y", "--json", "--quiet", "--terms=linear")
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout)
    assert (figures["rows"], figures["columns"], figures["classes"]) == (45210, 16, 2)
    assert figures["log_loss"] <= 0.250
    assert figures["gap"] <= 1e-6


def test_statistics_of_a_table(run: Any, table: Path, tmp_path: Path) -> None:
    done = run("statistics", table, "--target", "buys", "--output", tmp_path / "coefficients.csv")
    assert done.exit_code == 0, done.output
    for words in ("'none' against '007'", "Reference levels:", "Tests that all coefficients", "likelihood ratio"):
        assert words in done.stdout
    with (tmp_path / "coefficients.csv").open() as file:
        lines = list(csv.DictReader(file))
    told = json.loads(run("statistics", table, "--target", "buys", "--json").stdout)
    assert [float(line["estimate"]) for line in lines] == pytest.approx(told["coefficients"]["estimate"])
    assert set(told["columns"]) == {"age", "plan", "member"}
    profile = run("statistics", table, "--target", "buys", "--intervals", "profile").stdout
    assert "by the profile likelihood" in profile
    robust = run("statistics", table, "--target", "buys", "--errors", "robust", "--reference", "none")
    assert "'007' against 'none'" in robust.stdout
    assert "Wald" in robust.stdout


def test_statistics_need_a_cluster_of_each_row_and_profile_firth(run: Any, table: Path, tmp_path: Path) -> None:
    lines = table.read_text("utf-8").splitlines()
    shared = tmp_path / "shared.csv"
    keys = ["house", *("" if k in (3, 9) else f"h{k % 60}" for k in range(len(lines) - 1))]
    shared.write_text("\n".join(f"{line},{key}" for line, key in zip(lines, keys, strict=True)), "utf-8")
    done = run("statistics", shared, "--target", "buys", "--clusters", "house")
    assert done.exit_code == 2
    assert "The column of clusters 'house' has no value in 2 rows, row 4 the first" in done.stderr
    firth = run("statistics", table, "--target", "buys", "--penalty", "firth")
    assert "by the profile likelihood" in firth.stdout
    told = json.loads(run("statistics", table, "--target", "buys", "--penalty", "firth", "--json").stdout)
    assert told["intervals"] == "profile"
    wald = run("statistics", table, "--target", "buys", "--penalty", "firth", "--intervals", "wald").stdout
    assert "by the profile likelihood" not in wald


def test_statistics_refuse_what_they_cannot_tell(run: Any, table: Path, tmp_path: Path) -> None:
    assert "is not a class" in run("statistics", table, "--target", "buys", "--reference", "perhaps").stderr
    both = run("statistics", table, "--target", "buys", "--intervals", "profile", "--errors", "robust")
    assert "assumes a correct model" in both.stderr
    done = run("statistics", table, "--target", "buys", "--output", tmp_path / "coefficients.xlsx")
    assert done.exit_code == 2
    assert ".csv" in done.stderr


def test_the_report_of_training_tells_what_columns_add(run: Any, table: Path, tmp_path: Path) -> None:
    assert run("train", table, "--target", "buys", "--report", tmp_path / "r.html", "--terms=linear").exit_code == 0
    page = (tmp_path / "r.html").read_text()
    for words in (
        "Which columns matter most?",
        "largest contributions",
        "plan +",
        "<b>Cost of removal</b>",
        "Marginal effects",
        "code length of the",
    ):
        assert words in page


def test_reasons_add_up_columns_and_name_the_heaviest(table: Path) -> None:
    data = read_table(table)
    model = TableClassifier("buys", strength=1e-3).fit(data)
    rows = np.arange(data.num_rows)
    why = explain(model.model_, model.encode(data), baseline=model.encode(data))
    told = row_explainer(model, data, rows)(rows[:3])
    features = {
        name: [j for j, f in enumerate(model.feature_names_out_) if f.split("=")[0] == name]
        for name in ("age", "plan", "member")
    }
    for row in range(3):
        added = {name: float(why.log_odds[row, places].sum()) for name, places in features.items()}
        first = max(added, key=lambda name: abs(added[name]))
        assert told[row].startswith(f"{first} {added[first]:+.1f}".replace("-", "−"))
    assert row_explainer(model, data, rows)(rows[:0]) == []
