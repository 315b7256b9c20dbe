"""Faults of index columns, names of features, and categories whose numbers lose digits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import softreg
from softreg.tables import TableClassifier, table_statistics
from softreg.tables.columns.column_names import unique_feature_names

from .helpers import run_refused, with_warnings


@pytest.mark.parametrize("copies", [2, 3, 5])
@pytest.mark.parametrize("form", ["csv", "csv again", "frame", "csv with a gap"])
@pytest.mark.filterwarnings("ignore::softreg.tables.TableWarning")
def test_fault_4_the_index_of_concatenated_frames_is_no_feature(copies: int, form: str, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    half = pd.DataFrame({"x": random.normal(size=300), "y": ["p"] * 150 + ["q"] * 150})
    path = tmp_path / "k.csv"
    both = pd.concat([half.sample(frac=1, random_state=k) for k in range(copies)])
    if "gap" in form:
        both.index = both.index.astype(float).where(both.index != 7)
    both.to_csv(path)
    if "again" in form:
        pd.read_csv(path).to_csv(path, index=False)
    data = pd.read_csv(path) if form == "frame" else path
    options = {"strength": 1e-3}
    found = {name: kind for name, kind, _ in TableClassifier("y", **options).fit(data).describe()}
    assert found == {"Unnamed: 0": "index", "x": "number", "y": "target"}
    asked = TableClassifier("y", number="Unnamed: 0", **options).fit(data)
    assert {name: kind for name, kind, _ in asked.describe()}["Unnamed: 0"] == "number"
    named = both.rename_axis("visit").reset_index()
    assert {name: kind for name, kind, _ in TableClassifier("y", **options).fit(named).describe()}["visit"] == "number"


def alike() -> pd.DataFrame:
    random = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "a": random.choice(["b=c", "u"], 300, p=[0.4, 0.6]),
            "a=b": random.choice(["c", "v"], 300, p=[0.4, 0.6]),
            "a=b=c": random.normal(size=300),
            "y": random.choice(["p", "q"], 300),
        }
    )


def test_fault_6_features_have_names_of_their_own(tmp_path: Path) -> None:
    frame = alike()
    found = table_statistics(frame, "y")
    assert found.inference.columns == ("(intercept)", "a='b=c'", "'a=b'=c", "'a=b=c'")
    assert found.groups == {"a": ("a='b=c'",), "a=b": ("'a=b'=c",), "a=b=c": ("'a=b=c'",)}
    plain = table_statistics(frame.rename(columns={"a": "f", "a=b": "g", "a=b=c": "h"}), "y")
    for mine, other in (("a='b=c'", "f=b=c"), ("'a=b'=c", "g=c"), ("'a=b=c'", "h")):
        one, same = found.inference.likelihood_ratio(mine), plain.inference.likelihood_ratio(other)
        assert one.statistic == pytest.approx(same.statistic, rel=1e-6)
    model = TableClassifier("y", strength=0.1).fit(frame)
    names = model.feature_names_out_
    assert len(set(names)) == len(names) == 5
    assert set(names) == {"a='b=c'", "a=u", "'a=b'=c", "a=b=v", "'a=b=c'"}
    assert set(model.infer(frame).columns) >= set(names)
    model.save(tmp_path / "m.softreg")
    assert softreg.load(tmp_path / "m.softreg").feature_names_out_ == names
    missing = frame.assign(**{"a=b": frame["a=b=c"].where(frame["a=b=c"] > 0), "a=b=missing": frame["a=b=c"] ** 2})
    names = TableClassifier("y", strength=0.1).fit(missing).feature_names_out_
    assert {"a=b=missing", "'a=b=missing'"} & set(names)
    assert len(set(names)) == len(names)


def test_fault_6_names_that_are_quoted_already() -> None:
    given = [("a", "a=b=c"), ("a=b", "a=b=c"), ("a='b=c'", "a='b=c'"), ("x", "x=1"), ("t", "t: u"), ("t: u", "t: u")]
    names = unique_feature_names(given)
    assert len(set(names)) == len(given)
    assert names[3:] == ("x=1", "t: u", "'t: u'")
    assert unique_feature_names([("x", "x=1"), ("y=z", "y=z=1")]) == ("x=1", "y=z=1")


@pytest.mark.parametrize("first", [2**53, 2**62, 10**18])
def test_fault_7_floats_that_have_lost_the_digits_of_a_category_are_refused(first: int, tmp_path: Path) -> None:
    ids = first + np.random.default_rng(0).integers(0, 4, 300)
    frame = pd.DataFrame({"id": ids, "y": np.where(ids % 2 == 0, "p", "q")})
    model = TableClassifier("y", category="id", strength=1e-3).fit(frame)
    assert (model.predict(frame) == frame.y).all()
    asked = frame.assign(id=frame.id.astype(float))
    with pytest.raises(
        softreg.tables.TableError, match=r"Column 'id' held integers.*the type double rounds, and row 1"
    ):
        model.predict_proba(asked)
    for exact in (frame.id.astype(str), frame.id.astype("uint64"), frame.id.astype("Int64"), frame.id.astype(object)):
        assert (model.predict(frame.assign(id=exact)) == frame.y).all()
    said = with_warnings(lambda: model.predict_proba(pd.DataFrame({"id": [1, first]})))[1]
    assert "1 of 2 rows (50%) holds a level not seen in training, such as '1'" in said[0]
    model.save(tmp_path / "m.softreg")
    asked.to_parquet(tmp_path / "asked.parquet")
    assert "last digits may be lost" in run_refused("predict", tmp_path / "m.softreg", tmp_path / "asked.parquet")


def test_fault_7_floats_of_training_and_smaller_types() -> None:
    frame = pd.DataFrame({"id": [float(2**53), float(2**53 + 2), 2.0**60] * 20, "y": ["p", "q", "r"] * 20})
    model = TableClassifier("y", category="id", strength=1e-3).fit(frame)
    assert (model.predict(frame) == frame.y).all()
    frame = pd.DataFrame({"id": [2**24, 2**24 + 1, 5] * 20, "y": ["p", "q", "r"] * 20})
    model = TableClassifier("y", category="id", strength=1e-3).fit(frame)
    assert (model.predict(frame.assign(id=frame.id.astype(float))) == frame.y).all()
    for kind in ("float32", "category"):
        with pytest.raises(softreg.tables.TableError, match="the type float rounds, and row 1 has 16777216"):
            model.predict(frame.assign(id=frame.id.astype("float32").astype(kind)))
