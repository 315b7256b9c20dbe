"""Faults of dates and times: time zones, UTC offsets, ambiguous dates."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import softreg
from softreg.tables import TableClassifier
from softreg.tables.columns.date_parsing import utc_offsets

from .helpers import run, with_warnings

ZONES = (dt.timezone(dt.timedelta(hours=1)), dt.timezone(dt.timedelta(hours=9)), ZoneInfo("America/New_York"), None)


def moments(zones: Any, rows: int = 200) -> list[dt.datetime]:
    return [dt.datetime(2024, 3, 1 + i % 28, i * 7 % 24, tzinfo=zones[i % len(zones)]) for i in range(rows)]


def of_moments(times: list[dt.datetime]) -> pd.DataFrame:
    labels = ["am" if time.hour < 12 else "pm" for time in times]
    return pd.DataFrame({"d": pd.Series(times, dtype=object), "y": labels})


@pytest.mark.parametrize("zones", [ZONES[:2], ZONES[:3], (ZONES[0], None), (None, ZONES[0]), ZONES])
def test_fault_2_times_of_several_zones_do_not_depend_on_their_neighbours(zones: Any) -> None:
    frame = of_moments(moments(zones))
    model, said = with_warnings(lambda: TableClassifier("y", strength=1e-3).fit(frame))
    assert any("column 'd' has times" in one and "each is parsed as local time" in one for one in said)
    P = with_warnings(lambda: model.predict_proba(frame))[0]
    each = [with_warnings(lambda i=i: model.predict_proba(frame.iloc[[i]]))[0][0] for i in range(12)]
    np.testing.assert_allclose(P[:12], each, rtol=1e-12)
    for k in range(len(zones)):
        part = frame.iloc[k :: len(zones)]
        np.testing.assert_allclose(
            P[k :: len(zones)], with_warnings(lambda part=part: model.predict_proba(part))[0], rtol=1e-12
        )
    back = frame.iloc[::-1]
    np.testing.assert_allclose(P[::-1], with_warnings(lambda: model.predict_proba(back))[0], rtol=1e-12)
    assert (with_warnings(lambda: model.predict(frame))[0] == frame.y).mean() > 0.9


def test_fault_2_every_form_of_a_zoned_time_is_read_by_its_own_clock() -> None:
    times = moments(ZONES[1:2])
    frame = of_moments(times)
    model, said = with_warnings(lambda: TableClassifier("y", strength=1e-3).fit(frame))
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
    model, said = with_warnings(lambda: TableClassifier("y", strength=1e-3).fit(frame))
    assert len(said) == 1
    assert "d=missing" in model.feature_names_out_
    frame["x"] = np.arange(200) % 7
    assert not with_warnings(lambda: TableClassifier("y", strength=1e-3, drop="d").fit(frame))[1]


def test_fault_3_ambiguous_dates_are_reported_at_prediction() -> None:
    days = [f"2023-{1 + i % 12:02d}-{1 + i % 28:02d}" for i in range(200)]
    labels = ["a" if i % 12 < 6 else "b" for i in range(200)]
    iso = pd.DataFrame({"d": days, "y": labels})
    for frame in (iso, iso.assign(d=pd.to_datetime(iso.d))):
        model = TableClassifier("y", strength=1e-3).fit(frame)
        asked = pd.DataFrame({"d": ["2023-02-11", "02/11/2023"]})
        said = with_warnings(lambda model=model, asked=asked: model.predict_proba(asked))[1]
        assert len(said) == 1
        assert "1 of 2 rows (50%) holds a date in a form not seen in training, such as '02/11/2023'" in said[0]
        assert "its first number may be day or month and is read as the day" in said[0]
        for sure in ("2023-02-11", "31/12/2023", "11 Feb 2023", "02/02/2023"):
            assert not with_warnings(lambda model=model, sure=sure: model.predict_proba(pd.DataFrame({"d": [sure]})))[1]
    slashes = iso.assign(d=[f"{day[5:7]}/{day[8:]}/{day[:4]}" for day in days])
    model = TableClassifier("y", strength=1e-3).fit(slashes)
    found, said = with_warnings(lambda: model.predict_proba(pd.DataFrame({"d": ["2023-02-11", "02/11/2023"]})))
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
    assert not with_warnings(lambda: old.predict_proba(tmp_path / "e.csv"))[1]


@pytest.mark.parametrize(
    ("other", "named"),
    [("2024-03-05T20:00:00Z", "(+09:00, +00:00)"), ("2024-03-05T20:00:00", "without a time zone beside others")],
)
def test_fault_5_text_with_several_offsets_is_reported(other: str, named: str) -> None:
    times = [time.isoformat() for time in moments(ZONES[1:2])]
    labels = of_moments(moments(ZONES[1:2])).y
    assert not with_warnings(lambda: TableClassifier("y", strength=1e-3).fit(pd.DataFrame({"d": times, "y": labels})))[
        1
    ]
    times[-1] = other
    said = with_warnings(lambda: TableClassifier("y", strength=1e-3).fit(pd.DataFrame({"d": times, "y": labels})))[1]
    assert len(said) == 1
    assert named in said[0]
    assert "To compare instants, convert all of them to UTC" in said[0]


def test_fault_5_offsets_in_their_forms() -> None:
    texts = ["2024-03-05 20:00:00.5 +09", "2024-03-05 20:00-0330", "1 Mar 2024 8:00 pm Z", "2024-03-05", "20:00"]
    assert utc_offsets(pa.array(texts)) == ["+09:00", "-03:30", "+00:00", ""]
