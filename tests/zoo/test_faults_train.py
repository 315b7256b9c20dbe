"""Rows without a label, classes of a single row and leaking columns: what `softreg train` does with them."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import softreg
from softreg import TableClassifier
from softreg.tables import TableError, TableNote, open_table
from softreg.tables.fit.table_scan import scan_table

from .helpers import run


def frame(n: int = 300, seed: int = 0) -> pd.DataFrame:
    """Two columns of numbers, a category, and labels that depend on the first."""
    draw = np.random.default_rng(seed)
    data = pd.DataFrame({"x": draw.normal(size=n).round(4), "z": draw.normal(size=n), "k": draw.choice(list("abc"), n)})
    data["y"] = np.where(data.x + draw.normal(size=n) > 0, "yes", "no")
    return data


def with_gaps() -> pd.DataFrame:
    data = frame()
    data.loc[[3, 9, 200], "y"] = None
    return data


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_fault_f13_missing_target_is_left_out_and_said(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"d.{ending}"
    data = with_gaps()
    write = {"csv": lambda: data.to_csv(path, index=False), "parquet": lambda: data.to_parquet(path)}
    write.get(ending, lambda: data.to_json(path, orient="records", lines=True))()
    done = run("train", path, "--target", "y", "--json", "--quiet", "--terms=linear")
    assert done.exit_code == 0, done.output
    assert "Note: 3 of 300 rows have no label in 'y' and are left out: rows 4, 10, 201." in done.stderr
    assert json.loads(done.stdout)["classes"] == 2
    refused = run("train", path, "--target", "y", "--missing-target", "error")
    assert refused.exit_code == 2
    assert "no label in 3 rows: 4, 10, 201" in " ".join(refused.stderr.split()).replace(" (no line", "")


@pytest.mark.parametrize("form", ["pandas", "polars", "arrow", "categorical", "float"])
def test_fault_f13_missing_target_of_frames(form: str) -> None:
    data = with_gaps()
    kept = data.y.notna().to_numpy()
    given: Any = data
    if form == "polars":
        given = pytest.importorskip("polars").from_pandas(data)
    elif form == "arrow":
        given = pa.Table.from_pandas(data)
    elif form == "categorical":
        given = data.assign(y=data.y.astype("category"))
    elif form == "float":
        given = data.assign(y=data.y.map({"no": 0.0, "yes": 1.0}))
    with pytest.warns(TableNote, match=r"3 of 300 rows have no label in 'y' and are left out: rows 4, 10, 201\."):
        model = TableClassifier("y", strength=0.01).fit(given)
    plain = TableClassifier("y", strength=0.01).fit(data[kept])
    np.testing.assert_allclose(model.predict_proba(data), plain.predict_proba(data), atol=1e-7)
    with pytest.raises(TableError, match="no label in 3 rows"):
        TableClassifier("y", missing_target="error").fit(given)


def test_fault_f13_rows_without_a_label_may_hold_anything(tmp_path: Path) -> None:
    """A line of totals below a table has no label, and its words are in columns of numbers."""
    path = tmp_path / "d.csv"
    frame().to_csv(path, index=False)
    with path.open("a") as file:
        file.write("Total,300 rows,,\n")
    done = run("train", path, "--target", "y", "--quiet", "--json", "--terms=linear")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["columns"] == 3
    assert "row 301" in done.stderr


def test_fault_f13_labels_given_beside_the_features_must_be_there() -> None:
    data = with_gaps()
    with pytest.raises(ValueError, match="no label in 3 rows"):
        TableClassifier().fit(data[["x", "z"]], data.y)


def test_fault_f13_missing_target_in_batches(tmp_path: Path) -> None:
    data, path = with_gaps(), tmp_path / "d.parquet"
    pq.write_table(pa.Table.from_pandas(data, preserve_index=False), path, row_group_size=37)
    with pytest.warns(TableNote, match="3 of 300 rows have no label in 'y' and are left out"):
        model = TableClassifier("y", strength=0.01).fit(path, memory="low")
    plain = TableClassifier("y", strength=0.01).fit(data[data.y.notna()])
    np.testing.assert_allclose(model.predict_proba(data), plain.predict_proba(data), atol=1e-6)
    with pytest.raises(TableError, match="no label in row 4"):
        TableClassifier("y", missing_target="error").fit(path, memory="low")
    found = scan_table(open_table(path), "y", test_size=0.3)
    assert found.training + found.tested == 297 == sum(found.counts.values())
    done = run("train", path, "--target", "y", "--memory", "low", "--quiet", "--strength", "0.01")
    assert done.exit_code == 0, done.output
    assert "3 of 300 rows have no label" in done.stderr


def test_fault_f13_no_label_at_all(tmp_path: Path) -> None:
    data = frame().assign(y="")
    data.to_csv(tmp_path / "d.csv", index=False)
    for more in ([], ["--memory", "low"]):
        done = run("train", tmp_path / "d.csv", "--target", "y", *more)
        assert done.exit_code == 2
        assert "has no label in any of the 300 rows" in done.stderr


def test_fault_f13_evaluate_leaves_rows_without_a_label_out(tmp_path: Path) -> None:
    frame().to_csv(tmp_path / "d.csv", index=False)
    with_gaps().to_csv(tmp_path / "gaps.csv", index=False)
    with_gaps().dropna().to_csv(tmp_path / "kept.csv", index=False)
    run("train", tmp_path / "d.csv", "--target", "y", "--model", tmp_path / "m.softreg", "--strength", "0.01")
    gaps = run("evaluate", tmp_path / "m.softreg", tmp_path / "gaps.csv", "--json")
    kept = run("evaluate", tmp_path / "m.softreg", tmp_path / "kept.csv", "--json")
    assert "3 of 300 rows have no label in 'y' and are left out: rows 4, 10, 201." in gaps.stderr
    a, b = ({k: v for k, v in json.loads(done.stdout).items() if k != "seconds"} for done in (gaps, kept))
    assert a == b
    refused = run("evaluate", tmp_path / "m.softreg", tmp_path / "gaps.csv", "--missing-target", "error")
    assert refused.exit_code == 2
    assert "no label in 3 rows" in refused.stderr


def rare() -> pd.DataFrame:
    data = frame()
    data.loc[7, "y"], data.loc[8, "y"] = "maybe", "other"
    return data


@pytest.mark.parametrize(
    ("how", "classes"),
    [
        ("keep", ["maybe", "no", "other", "yes"]),
        ("drop", ["no", "yes"]),
        ("pool", ["no", "other classes", "yes"]),
    ],
)
@pytest.mark.parametrize("memory", ["high", "low"])
def test_fault_f13_class_of_a_single_row(tmp_path: Path, how: str, classes: list[str], memory: str) -> None:
    rare().to_csv(tmp_path / "d.csv", index=False)
    out = tmp_path / "m.softreg"
    done = run(
        "train",
        tmp_path / "d.csv",
        "--target",
        "y",
        "--rare",
        how,
        "--memory",
        memory,
        "--model",
        out,
        "--quiet",
        "--terms=linear",
    )
    assert done.exit_code == 0, done.output
    assert "Note: 2 classes have a single row each ('maybe', 'other'); " in done.stderr
    assert "some folds hold back" not in done.stderr
    model = softreg.load(out)
    assert model.classes_.tolist() == classes
    evaluated = run("evaluate", out, tmp_path / "d.csv", "--json")
    assert evaluated.exit_code == 0, evaluated.output
    assert json.loads(evaluated.stdout)["rows"] == (298 if how == "drop" else 300)


def test_fault_f13_rare_in_python() -> None:
    data = rare()
    with pytest.raises(TableError, match="a single row each for 2 classes 'maybe', 'other'"):
        TableClassifier("y", rare="error").fit(data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", TableNote)
        pooled = TableClassifier("y", rare="pool", strength=0.01).fit(data)
        TableClassifier("y", terms="linear").fit(data)
    alike = TableClassifier("y", strength=0.01).fit(data.replace({"maybe": "other classes", "other": "other classes"}))
    np.testing.assert_allclose(pooled.predict_proba(data), alike.predict_proba(data), atol=1e-6)
    assert pooled.score(data) == pytest.approx((pooled.predict(data) == alike.model_.classes_[
        np.searchsorted(alike.model_.classes_, data.y.replace({"maybe": "other classes", "other": "other classes"}))
    ]).mean())  # fmt: skip
    with pytest.raises(TableError, match="rare is 'pol'"):
        TableClassifier("y", rare="pol").fit(data)


def test_fault_f13_pool_of_integer_labels_is_text() -> None:
    data = frame().assign(y=lambda d: np.where(d.y == "yes", 1, 0))
    data.loc[5, "y"] = 7
    data.loc[6, "y"] = 9
    with pytest.warns(TableNote, match="a single row each"):
        model = TableClassifier("y", rare="pool", strength=0.01).fit(data)
    assert model.classes_.tolist() == ["0", "1", "other"]
    assert model.score(data) > 0.6
    assert model.infer(data).classes is not None


def test_fault_f13_one_class_is_left_when_rare_ones_are_dropped() -> None:
    data = frame().assign(y="no")
    data.loc[5, "y"] = "maybe"
    with pytest.raises(TableError, match="has one class only, 'no', without the classes of a single row"):
        TableClassifier("y", rare="drop").fit(data)


def test_fault_f16_leakage_and_calibration_are_warned_of_on_the_console(tmp_path: Path) -> None:
    data = frame().assign(alive=lambda d: np.where(d.y == "yes", "A", "B"))
    data.to_csv(tmp_path / "d.csv", index=False)
    for memory in ("high", "low"):
        done = run("train", tmp_path / "d.csv", "--target", "y", "--strength", "0.001", "--memory", memory)
        assert "Warning: “alive” alone explains 100% of the label entropy" in done.stderr
        assert "Check that it is known when predictions are made" in done.stderr
    done = run("train", tmp_path / "d.csv", "--target", "y", "--drop", "alive", "--strength", "0.001")
    assert "Warning" not in done.stderr
    frame(2000).to_csv(tmp_path / "big.csv", index=False)
    done = run("train", tmp_path / "big.csv", "--target", "y", "--class-weight", "yes=9", "--strength", "0.001")
    assert "Warning: The probabilities are too high for “yes”: off by" in done.stderr
    assert "Note: Class weights change the probabilities" in done.stderr


def test_a_number_as_target_is_refused_with_a_way_out(tmp_path: Path) -> None:
    data = frame()
    data.to_csv(tmp_path / "d.csv", index=False)
    done = run("train", tmp_path / "d.csv", "--target", "z")
    assert done.exit_code == 2
    assert "looks like a number to regress on" in done.stderr
    assert "pandas.qcut" in done.stderr
    assert "--category 'z'" in done.stderr
    score = pd.DataFrame({"x": np.random.default_rng(0).normal(size=3000), "score": (np.arange(3000) % 25) / 2})
    with pytest.raises(TableError, match="25 different values in 3,000 rows"):
        TableClassifier("score").fit(score)
    assert len(TableClassifier("score", category="score", strength=0.1).fit(score).classes_) == 25
    with pytest.warns(TableNote, match="has 25 different numbers, which are taken as classes without an order"):
        whole = TableClassifier("score", strength=0.1).fit(score.assign(score=(2 * score.score).astype(int)))
    assert whole.classes_.tolist() == list(range(25))


def test_labels_that_differ_in_case_or_blanks_are_pointed_out() -> None:
    data = frame()
    data.loc[data.index[:40], "y"] = data.y[:40].str.title()
    with pytest.warns(
        TableNote, match="The labels 'No' and 'no'; 'Yes' and 'yes' of 'y' differ only in case or blanks"
    ):
        TableClassifier("y", strength=0.01).fit(data)


def test_a_target_of_another_case_is_suggested(tmp_path: Path) -> None:
    frame().rename(columns={"y": "survived"}).to_csv(tmp_path / "d.csv", index=False)
    done = run("train", tmp_path / "d.csv", "--target", "Survived")
    assert done.exit_code == 2
    assert "Did you mean 'survived'?" in done.stderr
