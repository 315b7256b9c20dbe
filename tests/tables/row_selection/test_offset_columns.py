"""Columns of a table as offsets: in fits in memory and in batches, in model files, and on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import softreg
from softreg import SoftmaxRegression, TableClassifier
from softreg.tables.columns.table_errors import TableError
from softreg.tables.fit.predictor import TablePredictor

OFFSET = {"yes": "score", "no": "other"}


@pytest.fixture
def frame() -> pd.DataFrame:
    random = np.random.default_rng(0)
    n = 400
    frame = pd.DataFrame(
        {
            "x": random.normal(size=n),
            "kind": random.choice(list("abc"), n),
            "score": 2 * random.normal(size=n),
            "other": random.normal(size=n),
        }
    )
    yes = random.gumbel(size=n) + frame.x + frame.score > random.gumbel(size=n) + frame.other
    frame["buys"] = np.where(yes, "yes", "no")
    return frame


@pytest.fixture
def path(frame: pd.DataFrame, tmp_path: Path) -> Path:
    frame.to_csv(tmp_path / "rows.csv", index=False)
    return tmp_path / "rows.csv"


def test_columns_are_offsets_and_no_features(frame: pd.DataFrame) -> None:
    model = TableClassifier("buys", offset=OFFSET, strength=0.01).fit(frame)
    assert model.feature_names_out_ == ("x", "kind=a", "kind=b", "kind=c")
    assert model.offset_ == OFFSET
    assert ("score", "dropped", "added to the logit of 'yes'") in model.describe()
    X, offset = model.encode(frame), frame[["other", "score"]].to_numpy()
    np.testing.assert_array_equal(model.offsets(frame), offset)
    plain = SoftmaxRegression(0.01).fit(X, frame.buys, offset=offset)
    np.testing.assert_allclose(model.predict_proba(frame), plain.predict_proba(X, offset), atol=1e-9)
    np.testing.assert_allclose(model.decision_function(frame), plain.decision_function(X, offset), atol=1e-7)
    np.testing.assert_allclose(np.exp(model.predict_log_proba(frame)), model.predict_proba(frame), atol=1e-12)
    assert model.score(frame) == plain.score(X, frame.buys, offset=offset)
    result = model.infer(frame, errors="posterior")
    expected = softreg.infer(plain, X, frame.buys, errors="posterior", offset=offset)
    np.testing.assert_allclose(result.coefficients.std_error, expected.coefficients.std_error, rtol=1e-6)
    low, high = softreg.bootstrap(model, frame, n_resamples=5, random_state=0).proba_interval(frame)
    assert low.shape == high.shape == (400, 2)
    assert TableClassifier("buys", strength=0.01).fit(frame).offset_ == {}


def test_a_class_without_a_column_has_the_offset_zero(frame: pd.DataFrame) -> None:
    model = TableClassifier("buys", offset={"yes": "score"}, drop="other", strength=0.01).fit(frame)
    np.testing.assert_array_equal(model.offsets(frame), np.column_stack([np.zeros(400), frame.score]))
    both = TableClassifier("buys", offset=OFFSET, strength=0.01).fit(frame.assign(other=0.0))
    np.testing.assert_allclose(model.predict_proba(frame), both.predict_proba(frame.assign(other=0.0)), atol=1e-9)


def test_the_strength_is_chosen_with_the_offset(frame: pd.DataFrame) -> None:
    model = TableClassifier("buys", offset=OFFSET, folds=3).fit(frame)
    plain = TableClassifier("buys", drop=["score", "other"], folds=3).fit(frame)
    assert model.path_ is not None
    assert plain.path_ is not None
    assert model.path_.mean.min() < plain.path_.mean.min() - 0.1
    assert model.model_.has_offset_


@pytest.mark.parametrize("strength", [0.01, "auto"])
def test_a_table_that_is_read_in_batches_has_the_same_model(frame: pd.DataFrame, path: Path, strength: Any) -> None:
    whole = TableClassifier("buys", offset=OFFSET, strength=strength).fit(path)
    parts = TableClassifier("buys", offset=OFFSET, strength=strength).fit(path, memory="low")
    np.testing.assert_allclose(parts.predict_proba(path), whole.predict_proba(frame), atol=1e-6)


def test_labels_of_other_types_and_numbered_columns(frame: pd.DataFrame) -> None:
    X = frame[["x", "score"]].to_numpy()
    model = TableClassifier(offset={True: 1}, strength=0.01).fit(X, frame.buys == "yes")
    assert model.offset_ == {"true": "1"}
    named = TableClassifier("buys", offset={"yes": "score"}, strength=0.01, features="x").fit(frame)
    np.testing.assert_allclose(model.predict_proba(X), named.predict_proba(frame), atol=1e-9)
    with pytest.raises(TableError, match="X has 1 features, but TableClassifier is expecting 2"):
        model.predict(X[:, :1])


def test_the_model_file_names_the_columns(frame: pd.DataFrame, tmp_path: Path) -> None:
    model = TableClassifier("buys", offset=OFFSET, strength=0.01).fit(frame)
    model.save(tmp_path / "m.softreg")
    stored = softreg.load(tmp_path / "m.softreg")
    assert stored.offset == stored.offset_ == OFFSET
    np.testing.assert_array_equal(stored.predict_proba(frame), model.predict_proba(frame))
    quick = TablePredictor.from_state(*model.to_state())
    np.testing.assert_allclose(quick.probabilities(stored._table(frame)), model.predict_proba(frame), atol=1e-12)
    assert "offset" not in TableClassifier("buys", strength=0.01).fit(frame).to_state()[1]


@pytest.mark.parametrize(
    ("offset", "change", "message"),
    [
        ({"maybe": "score"}, {}, "offset names the class 'maybe'; the classes are 'no', 'yes'"),
        ({"yes": "scores"}, {}, "There is no column of offsets 'scores'. Did you mean 'score'"),
        ({"yes": "kind"}, {}, "The column of offsets 'kind' has '[abc]' in row 1"),
        ({"yes": "buys"}, {}, "Column 'buys' is an offset of the logits, and has another role"),
        ({"yes": "score"}, {"features": ["x", "score"]}, "Column 'score' is an offset of the logits"),
        ({"yes": "score"}, {"number": ["score"]}, "Column 'score' is an offset of the logits"),
        ("score", {}, "offset is 'score'; expected the columns by class"),
    ],
)
def test_what_cannot_be_an_offset_is_named(frame: pd.DataFrame, offset: Any, change: Any, message: str) -> None:
    with pytest.raises(TableError, match=message):
        TableClassifier("buys", offset=offset, **change).fit(frame)


def test_a_table_without_the_columns_is_refused(frame: pd.DataFrame) -> None:
    model = TableClassifier("buys", offset=OFFSET, strength=0.01).fit(frame)
    with pytest.raises(TableError, match="There is no column of offsets 'score'"):
        model.predict(frame.drop(columns="score"))
    frame.loc[4, "score"] = np.nan
    with pytest.raises(TableError, match="The column of offsets 'score' has no value in row 5; an offset is added"):
        model.predict(frame)
    with pytest.raises(TableError, match="The column of offsets 'score' has no value in row 5"):
        TableClassifier("buys", offset=OFFSET, strength=0.01).fit(frame)


def test_the_command_line_stores_and_reads_the_columns(
    frame: pd.DataFrame, path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from click.testing import CliRunner

    from softreg.cli import main

    def run(*arguments: Any) -> Any:
        return CliRunner().invoke(main, [str(argument) for argument in arguments])

    model, fewer = tmp_path / "m.softreg", tmp_path / "fewer.csv"
    options = ("--target", "buys", "--strength", "0.01", "--offset", "yes=score", "--offset", "no=other")
    done = run("train", path, *options, "--model", model)
    assert done.exit_code == 0, done.output
    assert "added to the logit of 'yes'" in done.output
    predicted = run("predict", model, path, "--output", tmp_path / "P.csv")
    assert predicted.exit_code == 0, predicted.output
    P = pd.read_csv(tmp_path / "P.csv")[["no", "yes"]].to_numpy()
    np.testing.assert_allclose(P, softreg.load(model).predict_proba(frame), atol=1e-9)
    with_json = json.loads(run("evaluate", model, path, "--json").output)
    assert with_json["accuracy"] == pytest.approx(np.mean((P.argmax(axis=1) == 1) == (frame.buys == "yes")))
    assert json.loads(run("inspect", model, "--json").output)["offset"] == OFFSET
    frame.drop(columns="other").to_csv(fewer, index=False)
    for command in ("predict", "evaluate"):
        failed = run(command, model, fewer)
        assert failed.exit_code != 0
        assert "There is no column of offsets 'other'" in failed.output
    for arguments, message in (
        (("train", path, *options, "--report", tmp_path / "r.html"), "has no explanation of an offset"),
        (("evaluate", model, path, "--report", tmp_path / "r.html"), "has no explanation of an offset"),
        (("train", path, "--target", "buys", "--offset", "score"), "'score' is not CLASS=COLUMN"),
    ):
        failed = run(*arguments)
        assert failed.exit_code != 0
        assert message in failed.output


def test_booleans_count_as_0_and_1() -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"x": rng.normal(size=80), "flag": rng.random(80) < 0.5, "y": rng.choice(["a", "b"], 80)})
    as_booleans = TableClassifier("y", strength=0.01, offset={"b": "flag"}).fit(table)
    numbers = table.assign(flag=table.flag.astype(int))
    as_numbers = TableClassifier("y", strength=0.01, offset={"b": "flag"}).fit(numbers)
    np.testing.assert_array_equal(as_booleans.predict_proba(table), as_numbers.predict_proba(numbers))
