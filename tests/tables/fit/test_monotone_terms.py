"""Monotone terms: the probability of the second of two classes never moves against the requested direction."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import softreg
from softreg import TableClassifier
from softreg.tables import TableError, Terms

SHAPES = {
    "against it": lambda x: -1.5 * x,
    "with a dip": lambda x: np.sin(3 * x) + x / 2,
    "flat": lambda x: 0 * x,
    "a step": lambda x: 3.0 * (x > 0.3),
}


def drawn(shape: str, seed: int, labels: tuple[Any, Any] = ("no", "yes"), n: int = 300) -> pd.DataFrame:
    """A table whose column x has this effect on the second label; "other" and "town" have missing values."""
    random = np.random.default_rng(seed)
    x, other = random.uniform(-2, 2, n).round(2), random.normal(size=n)
    logit = SHAPES[shape](x) + other
    second = random.random(n) < 1 / (1 + np.exp(-logit))
    other[::9] = np.nan
    town = random.choice(["a", "b", None], n)  # type: ignore[list-item]
    return pd.DataFrame({"x": x, "other": other, "town": town, "label": np.where(second, labels[1], labels[0])})


def steps(model: Any, frame: pd.DataFrame, column: str = "x") -> np.ndarray:
    """Differences of the probability of the second class on a fine grid beyond the range, for rows of the table."""
    grid = np.linspace(frame[column].min() - 3, frame[column].max() + 3, 400)
    grid = np.sort(np.concatenate([grid, frame[column].unique()]))
    found = []
    for place in (0, 1, 9, 20):
        row = frame.drop(columns="label").iloc[[place] * len(grid)].reset_index(drop=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # values beyond the range of training
            found.append(np.diff(model.predict_proba(row.assign(**{column: grid}))[:, 1]))
    return np.concatenate(found)


@pytest.mark.parametrize("shape", list(SHAPES))
@pytest.mark.parametrize("sign", ["+", "-"])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_probability_is_monotone(shape: str, sign: str, weighted: bool, tmp_path: Path) -> None:
    frame = drawn(shape, seed=len(shape))
    weight = np.random.default_rng(3).integers(0, 4, len(frame)) if weighted else None
    terms = Terms("linear", monotone={"x": sign}, smooth=["other"], pool=["town"])
    model = TableClassifier("label", terms=terms).fit(frame, sample_weight=weight)
    model.save(tmp_path / "m.softreg")
    for fitted in (model, softreg.load(tmp_path / "m.softreg")):
        change = steps(fitted, frame) * (1 if sign == "+" else -1)
        assert change.min() >= -1e-12
    if (shape, sign) in (("a step", "+"), ("against it", "-")):
        assert change.sum() / 4 > 0.3


@pytest.mark.parametrize("labels", [(9, 10), (-1.5, 10.0), (False, True), ("10", "9")])
def test_the_second_class_is_that_of_classes_(labels: tuple[Any, Any]) -> None:
    """Numbers are ordered by value: 10 comes after 9, although its text comes before."""
    frame = drawn("a step", seed=1, labels=labels)
    model = TableClassifier("label", terms=Terms("linear", monotone={"x": "+"}), category=["label"]).fit(frame)
    sign = 1 if model.classes_[1] == labels[1] else -1
    change = steps(model, frame)
    assert change.min() >= -1e-12
    assert (change.sum() / 4 > 0.1) == (sign == 1)


@pytest.mark.parametrize("shape", ["against it", "with a dip", "a step"])
def test_the_promise_holds_where_terms_are_chosen(shape: str) -> None:
    """Also where the linear model, which does not keep it, has the least held-out loss."""
    frame = drawn(shape, seed=7)
    model = TableClassifier("label", terms=Terms("auto", monotone={"x": "+"})).fit(frame)
    assert model.terms_ is not None
    assert model.terms_.chosen != "linear"
    assert steps(model, frame).min() >= -1e-12


@pytest.mark.parametrize("sign", ["+", "-"])
def test_a_column_of_two_values_keeps_it_without_a_curve(sign: str) -> None:
    frame = drawn("against it", seed=2)
    frame["x"] = np.where(frame["x"] > 0, 5.0, 1.0)
    model = TableClassifier("label", terms=Terms("linear", monotone={"x": sign}), number=["x"]).fit(frame)
    change = steps(model, frame) * (1 if sign == "+" else -1)
    assert change.min() >= -1e-12
    assert (change.sum() / 4 > 0.1) == (sign == "-")


def test_a_monotone_column_may_itself_be_missing() -> None:
    frame = drawn("with a dip", seed=4)
    frame.loc[::5, "x"] = np.nan
    model = TableClassifier("label", terms=Terms("linear", monotone={"x": "+"})).fit(frame)
    assert steps(model, frame.dropna(subset="x").reset_index(drop=True)).min() >= -1e-12


def test_three_classes_and_intervals_are_refused() -> None:
    frame = drawn("a step", seed=5)
    terms = Terms("linear", monotone={"x": "+"})
    model = TableClassifier("label", terms=terms).fit(frame)
    for refused in (model.keep_intervals, model.term_tests, model.infer):
        with pytest.raises(ValueError, match=r"with bounds \(monotone terms have them\) are not defined.*bootstrap"):
            refused(frame)
    frame.loc[:50, "label"] = "maybe"
    with pytest.raises(TableError, match="Column 'x' is requested as monotone, which needs two classes"):
        TableClassifier("label", terms=terms).fit(frame)


def test_a_table_too_small_to_compare_models_keeps_the_promise() -> None:
    frame = drawn("against it", seed=6, n=30)
    frame["label"] = ["yes"] + ["no"] * 29
    model = TableClassifier("label", terms=Terms("auto", monotone={"x": "+"})).fit(frame)
    assert model.terms_ is not None
    assert model.terms_.chosen == "requested"
    assert steps(model, frame).min() >= -1e-12
