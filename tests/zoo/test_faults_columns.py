"""Faults found by trying it: which column is a feature, by its place in the file and by its type."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pytest

from softreg import TableClassifier
from softreg.tables import Kind, Schema
from softreg.tables.schema.infer_kind import infer_column

from .helpers import run

N = 240


def noise(seed: int = 0) -> pd.DataFrame:
    """Columns that tell nothing of the label, in an order that tells all; a third of the rows is filtered out."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame({"x": random.normal(size=N), "kind": random.choice(["u", "v", "w"], N)})
    frame["y"] = np.where(np.arange(N) < N / 2, "no", "yes")
    return frame[random.random(N) < 0.67]


def kinds(source: Any, target: str = "y", **options: Any) -> dict[str, str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = TableClassifier(target, strength=1.0, **options).fit(source)
    return {name: kind for name, kind, _ in model.describe()}


def judged(values: Any, name: str = "c", asked: Kind | None = None) -> Any:
    return infer_column(
        name, pa.chunked_array([values if isinstance(values, pa.Array) else pa.array(values)]), None, asked
    )


# A1: row indexes


def indexed(form: str, folder: Path) -> tuple[Path, list[str]]:
    """A file that a filtered frame was written to, and the columns that its index makes."""
    frame, path = noise(), folder / f"t.{form.split()[0]}"
    if "multi" in form:
        places = np.arange(len(frame))
        frame = frame.set_index(pd.MultiIndex.from_arrays([places // 10, places % 10]))
    if "named" in form:
        frame = frame.rename_axis("visit")
    if form.startswith("parquet"):
        frame.to_parquet(path)
    elif form.startswith("feather"):
        pa.feather.write_feather(pa.Table.from_pandas(frame), path)
    else:
        frame.to_csv(path)
        if "again" in form:
            pd.read_csv(path).to_csv(path, index=False)
    names = ["visit"] if "named" in form else [f"__index_level_{i}__" for i in range(1 + ("multi" in form))]
    return path, [f"Unnamed: {i}" for i in range(1 + ("multi" in form))] if path.suffix == ".csv" else names


@pytest.mark.parametrize("memory", ["high", "low"])
@pytest.mark.parametrize(
    "form", ["parquet", "parquet multi", "parquet named", "feather", "feather named", "csv", "csv again", "csv multi"]
)
def test_fault_a1_a_row_index_is_no_feature_and_is_said_in_one_line(tmp_path: Path, form: str, memory: Any) -> None:
    path, names = indexed(form, tmp_path)
    with pytest.warns(UserWarning, match=f"'{names[0]}'.* the row index of a data frame and left out") as said:
        model = TableClassifier("y", strength=1.0).fit(path, memory=memory)
    assert len([one for one in said if names[0] in str(one.message)]) == 1
    found = {name: kind for name, kind, _ in model.describe()}
    assert {name: found[name] for name in names} == dict.fromkeys(names, "index")
    assert {column.name for column in model.schema_.features} == {"x", "kind"}
    assert Schema.from_state(model.schema_.to_state()) == model.schema_
    assert model.predict_proba(noise(1)).shape[1] == 2  # the index is not asked for again


def test_fault_a1_training_on_noise_does_not_find_the_order_of_the_rows(tmp_path: Path) -> None:
    noise().to_parquet(tmp_path / "t.parquet")
    done = run("train", tmp_path / "t.parquet", "--target", "y", "--json", "--strength", "0.01")
    assert done.exit_code == 0
    assert '"accuracy": 0.9' not in done.stdout
    assert done.stderr.count("column '__index_level_0__' is the row index") == 1


def test_fault_a1_an_index_that_is_asked_for_is_used(tmp_path: Path) -> None:
    frame = noise().set_index(pd.Index(pd.date_range("2024", periods=len(noise())), name="day"))
    frame.to_parquet(tmp_path / "t.parquet")
    assert kinds(tmp_path / "t.parquet")["day"] == "index"
    assert kinds(tmp_path / "t.parquet", date="day")["day"] == "date"
    assert kinds(pa.Table.from_pandas(frame))["day"] == "index"
    assert kinds(frame.reset_index())["day"] == "date"
    assert kinds(frame.set_index("kind"), groups=None) == {"x": "number", "y": "target"}
    frame.set_index("y").to_parquet(tmp_path / "t.parquet")
    assert kinds(tmp_path / "t.parquet")["y"] == "target"


def test_fault_a1_an_unnamed_column_that_repeats_is_a_column(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        ",x,y\n" + "".join(f"{'ab'[i % 2]},{i % 9},{'no' if i % 3 else 'yes'}\n" for i in range(60))
    )
    assert kinds(tmp_path / "t.csv") == {"Unnamed: 0": "category", "x": "number", "y": "target"}


# A2: shares count the rows that have a value


@pytest.mark.parametrize("blank", ["", "NA", None])
def test_fault_a2_comments_that_most_rows_lack_are_text(blank: str | None) -> None:
    comments = [f"remark number {i} on this order" if i % 5 < 2 else blank for i in range(500)]
    assert judged(comments).kind is Kind.TEXT
    assert "200 different values in 200 rows, 300 rows without a value" in judged(comments).reason


def test_fault_a2_identifiers_that_many_rows_lack_are_identifiers() -> None:
    assert judged([7 * i if i % 3 else None for i in range(60)], "customer_id").kind is Kind.IDENTIFIER
    assert judged([f"k{i}" if i % 3 == 0 else "" for i in range(60)], "customer_id").kind is Kind.IDENTIFIER
    assert judged([f"k{i}" if i % 3 == 0 else "" for i in range(90)]).kind is Kind.IDENTIFIER
    assert judged([f"k{i % 12}" if i % 3 == 0 else "" for i in range(90)]).kind is Kind.CATEGORY


def test_fault_a2_a_word_among_numbers_is_one_whatever_share_is_missing() -> None:
    values = [str(i / 7) if i % 4 == 0 else "NA" for i in range(200)]
    values[13] = "twelve"
    found = judged(values)
    assert found.kind is Kind.NUMBER
    assert "row 14 has 'twelve', which is read as missing" in found.notes[0]


def test_fault_a2_comments_find_what_they_say(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    y = random.choice(["calm", "cross"], 500)
    words = {"calm": "thanks for the quick help", "cross": "why is nobody here to answer"}
    comment = [f"{words[label]} case {i}" if i % 5 < 2 else "" for i, label in enumerate(y)]
    table = pa.table({"x": random.normal(size=500), "comment": comment, "y": y})
    model = TableClassifier("y", strength=1e-3).fit(table)
    told = np.array([bool(text) for text in comment])
    P = model.predict_proba(table)
    assert -np.log(P[np.arange(500), (y == "cross").astype(int)][told]).mean() < 0.1


# C1: columns that only look like dates


@pytest.mark.parametrize(
    "values",
    [
        [f"{a}.{b}.{c}" for a in (1, 2) for b in (0, 2, 13) for c in (10, 11)] * 4,
        ["45:30", "24:00", "12:10"] * 10,
        ["24:00"] + ["10:00", "12:00"] * 300,
        [f"{a:02}-{a + 20:02}-{5000 + a}" for a in range(12, 60)],
        ["0000-00-00", "2020-01-01", "2020-02-03"] * 9,
        ["1310-73-2", "7732-18-5", "7647-14-5"] * 9,
    ],
)
def test_fault_c1_what_only_looks_like_dates_falls_back_and_says_so(values: list[str]) -> None:
    found = judged(values)
    assert found.kind in (Kind.CATEGORY, Kind.IDENTIFIER)
    assert "looks like dates or times, but row" in found.hint
    assert "--date 'c'" in found.hint
    table = pa.table(
        {
            "c": values,
            "x": np.arange(len(values)) % 7,
            "y": ["no", "yes"] * (len(values) // 2) + ["no"] * (len(values) % 2),
        }
    )
    with pytest.warns(UserWarning, match="looks like dates"):
        TableClassifier("y", strength=1.0).fit(table)


def test_fault_c1_slips_among_dates_are_still_named() -> None:
    (note,) = judged(["2020-02-28", "2020-02-30"]).notes
    assert "row 2 has '2020-02-30'" in note
    assert "--category 'c'" in note
    (note,) = judged(["13/02/2020", "14/03/2020"] * 149 + ["1/1/2020", "31/02/2020"]).notes
    assert "row 300 has '31/02/2020'" in note


def test_fault_c1_zones_of_hours_and_dates_without_marks_are_dates() -> None:
    assert judged(["2020-01-01 10:00:00+00", "2020-01-02 11:00:00+00"]).kind is Kind.DATE
    assert judged(["20230721", "20230722"]).kind is Kind.NUMBER
    days = ["20230721", "20230801", "20240229"]
    for values in (days, [int(day) for day in days], [*map(float, days), None]):
        assert judged(values, asked=Kind.DATE).kind is Kind.DATE
    table = pa.table({"c": [*days, days[0]], "y": ["a", "b", "a", "b"]})
    model = TableClassifier("y", date="c", strength=1.0).fit(table)
    for kind in (pa.int64(), pa.float64(), pa.int32()):
        again = table.set_column(0, "c", table["c"].cast(kind))
        np.testing.assert_array_equal(model.predict_proba(again), model.predict_proba(table))


def test_words_for_missing_among_dates_are_missing_as_among_numbers() -> None:
    found = judged(["2020-01-31", "NA", "2020-02-01", "null"])
    assert (found.kind, found.missing) == (Kind.DATE, 2)
    assert judged(["20230721", "NA", "20230722"], asked=Kind.DATE).kind is Kind.DATE
    table = pa.table({"c": ["2020-01-31", "NA", "2020-02-01", ""], "y": ["a", "b", "a", "b"]})
    model = TableClassifier("y", strength=1.0).fit(table)
    P = model.predict_proba(table)
    np.testing.assert_array_equal(P[1], P[3])


# C8: durations


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_fault_c8_durations_are_numbers_in_seconds(unit: str) -> None:
    hours = pd.Series(pd.to_timedelta(np.arange(40) % 9, unit="h").astype(f"timedelta64[{unit}]"))
    frame = pd.DataFrame({"wait": hours, "y": ["no", "yes"] * 20})
    model = TableClassifier("y", strength=1.0).fit(frame)
    assert model.feature_names_out_ == ("wait",)
    assert model.describe()[0][1:] == ("number", "durations in seconds, 0 to 28800")
    plain = frame.assign(wait=frame.wait.dt.total_seconds())
    np.testing.assert_array_equal(model.predict_proba(plain), model.predict_proba(frame))
