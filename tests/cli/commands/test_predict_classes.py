"""`softreg predict --top K`, `--long` and `--classes`: the classes that are written."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from numpy.testing import assert_allclose

import softreg
from softreg.cli.data import predicting_models


@pytest.fixture
def cities(tmp_path: Path) -> Path:
    """A table of 300 rows and four labels, one of which contains a comma."""
    random = np.random.default_rng(0)
    x = random.normal(size=(300, 2))
    label = np.array(["Bern", "Paris, Texas", "Oslo", "Rome"])[np.clip(np.round(x[:, 0] + 1.5), 0, 3).astype(int)]
    path = tmp_path / "cities.csv"
    pa_csv.write_csv(pa.table({"id": np.arange(300), "x": x[:, 0], "z": x[:, 1], "city": label}), path)
    return path


@pytest.fixture
def model(run: Any, cities: Path, tmp_path: Path) -> Path:
    path = tmp_path / "m.softreg"
    done = run("train", cities, "--target", "city", "--drop", "id", "--strength", "1e-2", "--model", path)
    assert done.exit_code == 0, done.output
    return path


def test_the_most_likely_classes_as_columns(run: Any, model: Path, cities: Path, tmp_path: Path) -> None:
    expected = softreg.load(model).top_k(cities, 3)
    done = run("predict", model, cities, "--top", "3", "--keep", "id")
    assert done.exit_code == 0, done.output
    head, *lines = csv.reader(done.stdout.splitlines())
    assert head == [
        "id", "prediction", "probability", "prediction_2", "probability_2", "prediction_3", "probability_3",
    ]  # fmt: skip
    assert [line[1::2] for line in lines] == expected.labels.tolist()
    assert [line[0] for line in lines] == [str(i) for i in range(300)]
    assert_allclose(np.array([line[2::2] for line in lines], dtype=float), expected.probabilities, rtol=1e-12)
    out = tmp_path / "top.parquet"
    assert run("predict", model, cities, "--top", "9", "-o", out).exit_code == 0
    table = pq.read_table(out)
    assert table.num_columns == 8  # four classes alone
    assert table["prediction"].to_pylist() == expected.labels[:, 0].tolist()


def test_the_most_likely_classes_as_lines(run: Any, model: Path, cities: Path) -> None:
    expected = softreg.load(model).top_k(cities, 2)
    done = run("predict", model, cities, "--top", "2", "--long", "--keep", "id")
    assert done.exit_code == 0, done.output
    head, *lines = csv.reader(done.stdout.splitlines())
    assert head == ["id", "row", "rank", "class", "probability"]
    assert len(lines) == 600
    assert lines[3][:4] == ["1", "2", "2", expected.labels[1, 1]]
    assert_allclose([float(line[4]) for line in lines], expected.probabilities.ravel(), rtol=1e-12)


def test_chosen_classes(run: Any, model: Path, cities: Path, tmp_path: Path) -> None:
    P, found = softreg.load(model).predict_proba(cities), tmp_path / "p.parquet"
    done = run("predict", model, cities, "--classes", "Rome,Bern", "--classes", "Paris, Texas", "-o", found)
    assert done.exit_code == 0, done.output
    table = pq.read_table(found)
    assert table.column_names == ["prediction", "Rome", "Bern", "Paris, Texas"]
    assert_allclose(np.column_stack([table[name] for name in table.column_names[1:]]), P[:, [3, 0, 2]], rtol=1e-12)
    assert table["prediction"].to_pylist() == softreg.load(model).predict(cities).tolist()


def test_rows_that_are_left_out_keep_their_numbers(run: Any, model: Path, cities: Path) -> None:
    lines = cities.read_text().splitlines()
    lines[2] = '1,"not a number",0.5,"Oslo"'
    cities.write_text("\n".join([*lines[:4], ""]))
    for options, first in [(("--top", "1"), "row"), (("--classes", "Oslo"), "row"), (("--top", "1", "--long"), "row")]:
        done = run("predict", model, cities, "--bad-rows", "skip", *options)
        assert done.exit_code == 0, done.output
        head, *rows = csv.reader(done.stdout.splitlines())
        assert head[0] == first
        assert [row[0] for row in rows] == ["1", "3"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--top", "2", "--classes", "Oslo"), "give one of the two"),
        (("--long",), "--long writes a line for each of the most likely classes"),
        (("--classes", "Oslo,Lima"), "there is no class 'Lima'"),
        (("--top", "2", "--threshold", "Oslo=0.5"), "--threshold needs the probabilities of all classes"),
        (("--top", "0"), "0 is not in the range"),
    ],
)
def test_options_that_contradict_each_other(
    run: Any, model: Path, cities: Path, options: tuple[str, ...], message: str
) -> None:
    done = run("predict", model, cities, *options)
    assert done.exit_code != 0
    assert message in " ".join(done.output.split())


def test_a_model_of_arrays(run: Any, tmp_path: Path) -> None:
    X = pd.DataFrame({"a": [0.0, 1.0, 2.0, 3.0], "b": [1.0, 0.0, 1.0, 0.0]})
    model = softreg.SoftmaxRegression(0.1).fit(X, [1, 1, 2, 3])
    model.save(tmp_path / "m.softreg")
    X.to_csv(tmp_path / "x.csv", index=False)
    done = run("predict", tmp_path / "m.softreg", tmp_path / "x.csv", "--top", "2")
    assert done.exit_code == 0, done.output
    _, *lines = csv.reader(done.stdout.splitlines())
    assert [line[::2] for line in lines] == model.top_k(X, 2).labels.astype(str).tolist()
    done = run("predict", tmp_path / "m.softreg", tmp_path / "x.csv", "--classes", "3")
    assert done.stdout.splitlines()[0] == '"prediction","3"'


def test_all_classes_are_written_in_parts_of_a_batch(
    run: Any, model: Path, cities: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run("predict", model, cities, "--keep", "id").stdout
    monkeypatch.setattr(predicting_models, "STREAMED_NUMBERS", 28)  # seven rows of four classes
    parts = run("predict", model, cities, "--keep", "id").stdout
    assert [line.split(",")[:2] for line in parts.splitlines()] == [line.split(",")[:2] for line in whole.splitlines()]
    numbers = [[float(cell) for cell in next(iter(csv.reader([line])))[2:]] for line in parts.splitlines()[1:]]
    assert_allclose(numbers, softreg.load(model).predict_proba(cities), rtol=1e-12)
