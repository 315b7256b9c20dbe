"""Faults found from outside: files that would be lost, dates, names of features, costs; each with the right result."""

from __future__ import annotations

import datetime as dt
import warnings
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from click.testing import CliRunner, Result

import softreg
from softreg.cli import main
from softreg.tables import TableClassifier, TableWarning, table_statistics
from softreg.tables.columns.column_names import unique_feature_names
from softreg.tables.columns.dates import utc_offsets


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def refused(*arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("softreg: ")
    assert "Traceback" not in result.output
    return result.stderr


def told(action: Any) -> tuple[Any, list[str]]:
    """What an action gives, and the warnings that it gives."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = action()
    return found, [str(one.message) for one in caught if issubclass(one.category, TableWarning)]


ZONES = (dt.timezone(dt.timedelta(hours=1)), dt.timezone(dt.timedelta(hours=9)), ZoneInfo("America/New_York"), None)


def moments(zones: Any, rows: int = 200) -> list[dt.datetime]:
    return [dt.datetime(2024, 3, 1 + i % 28, i * 7 % 24, tzinfo=zones[i % len(zones)]) for i in range(rows)]


def of_moments(times: list[dt.datetime]) -> pd.DataFrame:
    labels = ["am" if time.hour < 12 else "pm" for time in times]
    return pd.DataFrame({"d": pd.Series(times, dtype=object), "y": labels})


@pytest.mark.parametrize("zones", [ZONES[:2], ZONES[:3], (ZONES[0], None), (None, ZONES[0]), ZONES])
def test_fault_2_times_of_several_zones_do_not_depend_on_their_neighbours(zones: Any) -> None:
    frame = of_moments(moments(zones))
    model, said = told(lambda: TableClassifier("y", strength=1e-3).fit(frame))
    assert any("column 'd' has times" in one and "each is read by its own clock" in one for one in said)
    P = told(lambda: model.predict_proba(frame))[0]
    each = [told(lambda i=i: model.predict_proba(frame.iloc[[i]]))[0][0] for i in range(12)]
    np.testing.assert_allclose(P[:12], each, rtol=1e-12)
    for k in range(len(zones)):
        part = frame.iloc[k :: len(zones)]
        np.testing.assert_allclose(P[k :: len(zones)], told(lambda part=part: model.predict_proba(part))[0], rtol=1e-12)
    back = frame.iloc[::-1]
    np.testing.assert_allclose(P[::-1], told(lambda: model.predict_proba(back))[0], rtol=1e-12)
    assert (told(lambda: model.predict(frame))[0] == frame.y).mean() > 0.9


def test_fault_2_every_form_of_a_zoned_time_is_read_by_its_own_clock() -> None:
    times = moments(ZONES[1:2])
    frame = of_moments(times)
    model, said = told(lambda: TableClassifier("y", strength=1e-3).fit(frame))
    assert not said
    P = model.predict_proba(frame)
    forms = [
        pd.DataFrame({"d": [time.isoformat() for time in times]}),
        pd.DataFrame({"d": pd.DatetimeIndex(times)}),
        pd.DataFrame({"d": pd.Series(times, dtype=object).astype("category")}),
        pd.DataFrame({"d": pd.Series([pd.Timestamp(time) for time in times], dtype=object)}),
        pa.table({"d": pa.array(times)}),
    ]
    for form in forms:
        np.testing.assert_allclose(model.predict_proba(form), P, rtol=1e-12)


def test_fault_2_missing_times_and_dropped_columns() -> None:
    frame = of_moments([*moments(ZONES[:2], 100), *moments([None], 100)])
    frame["d"] = frame["d"].where(np.arange(200) % 10 > 0, None)
    model, said = told(lambda: TableClassifier("y", strength=1e-3).fit(frame))
    assert len(said) == 1
    assert "d=missing" in model.feature_names_out_
    frame["x"] = np.arange(200) % 7
    assert not told(lambda: TableClassifier("y", strength=1e-3, drop="d").fit(frame))[1]


def test_fault_3_ambiguous_dates_are_reported_at_prediction() -> None:
    days = [f"2023-{1 + i % 12:02d}-{1 + i % 28:02d}" for i in range(200)]
    labels = ["a" if i % 12 < 6 else "b" for i in range(200)]
    iso = pd.DataFrame({"d": days, "y": labels})
    for frame in (iso, iso.assign(d=pd.to_datetime(iso.d))):
        model = TableClassifier("y", strength=1e-3).fit(frame)
        asked = pd.DataFrame({"d": ["2023-02-11", "02/11/2023"]})
        said = told(lambda model=model, asked=asked: model.predict_proba(asked))[1]
        assert len(said) == 1
        assert "1 of 2 rows (50%) holds a date in a form not seen in training, such as '02/11/2023'" in said[0]
        assert "its first number may be day or month and is read as the day" in said[0]
        for sure in ("2023-02-11", "31/12/2023", "11 Feb 2023", "02/02/2023"):
            assert not told(lambda model=model, sure=sure: model.predict_proba(pd.DataFrame({"d": [sure]})))[1]
    slashes = iso.assign(d=[f"{day[5:7]}/{day[8:]}/{day[:4]}" for day in days])
    model = TableClassifier("y", strength=1e-3).fit(slashes)
    found, said = told(lambda: model.predict_proba(pd.DataFrame({"d": ["2023-02-11", "02/11/2023"]})))
    assert not said
    np.testing.assert_allclose(found[0], found[1], rtol=1e-12)


def test_fault_3_the_command_reports_them_and_old_files_are_silent(tmp_path: Path) -> None:
    days = "\n".join(f"2023-{1 + i % 12:02d}-{1 + i % 28:02d},{'ab'[i % 12 < 6]}" for i in range(200))
    (tmp_path / "d.csv").write_text(f"d,y\n{days}\n")
    (tmp_path / "e.csv").write_text("d\n02/11/2023\n")
    model = tmp_path / "m.softreg"
    train = ("train", tmp_path / "d.csv", "--target", "y", "--strength", "0.1", "--model", model, "--quiet")
    assert run(*train).exit_code == 0
    result = run("predict", model, tmp_path / "e.csv")
    assert "a date in a form not seen in training, such as '02/11/2023'" in result.stderr
    classifier = softreg.load(model)
    arrays, state = classifier.to_state()
    assert state["encoder"]["codes"][0].pop("year_last") is False
    old = TableClassifier.from_state(arrays, state)
    assert not told(lambda: old.predict_proba(tmp_path / "e.csv"))[1]


@pytest.mark.parametrize(
    ("other", "named"),
    [("2024-03-05T20:00:00Z", "(+09:00, +00:00)"), ("2024-03-05T20:00:00", "without a time zone beside others")],
)
def test_fault_5_text_with_several_offsets_is_reported(other: str, named: str) -> None:
    times = [time.isoformat() for time in moments(ZONES[1:2])]
    labels = of_moments(moments(ZONES[1:2])).y
    assert not told(lambda: TableClassifier("y", strength=1e-3).fit(pd.DataFrame({"d": times, "y": labels})))[1]
    times[-1] = other
    said = told(lambda: TableClassifier("y", strength=1e-3).fit(pd.DataFrame({"d": times, "y": labels})))[1]
    assert len(said) == 1
    assert named in said[0]
    assert "If instants are meant, convert all of them to UTC" in said[0]


def test_fault_5_offsets_in_their_forms() -> None:
    texts = ["2024-03-05 20:00:00.5 +09", "2024-03-05 20:00-0330", "1 Mar 2024 8:00 pm Z", "2024-03-05", "20:00"]
    assert utc_offsets(pa.array(texts)) == ["+09:00", "-03:30", "+00:00", ""]


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
    said = told(lambda: model.predict_proba(pd.DataFrame({"id": [1, first]})))[1]
    assert "1 of 2 rows (50%) holds a level not seen in training, such as '1'" in said[0]
    model.save(tmp_path / "m.softreg")
    asked.to_parquet(tmp_path / "asked.parquet")
    assert "last digits may be lost" in refused("predict", tmp_path / "m.softreg", tmp_path / "asked.parquet")


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
