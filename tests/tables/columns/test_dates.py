"""Dates and times: every form against the standard library, calendar parts by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softreg.tables import Encoder, TableError, infer_schema
from softreg.tables.columns.date_parsing import arrow_to_seconds, day_first, parse_dates

MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2199, 12, 31)).map(lambda t: t.replace(microsecond=0))


def seconds(moment: datetime) -> float:
    return moment.replace(tzinfo=UTC).timestamp()


@given(MOMENTS)
def test_every_form_is_read_as_the_standard_library_writes_it(moment: datetime) -> None:
    forms = [
        "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y/%m/%d %H:%M:%S", "%d.%m.%Y %H:%M:%S", "%d %b %Y %H:%M:%S",
        "%B %d, %Y %H:%M:%S", "%d-%b-%Y %I:%M:%S %p", "%Y-%m-%d %H:%M:%S+02:00", "  %Y-%m-%d %H:%M:%S.000 ",
    ]  # fmt: skip
    texts = [moment.strftime(form) for form in forms]
    assert parse_dates(pa.array(texts), True).tolist() == [seconds(moment)] * len(forms)
    assert parse_dates(pa.array([moment.strftime("%m/%d/%Y %H:%M:%S")]), False)[0] == seconds(moment)


@given(MOMENTS)
def test_arrow_types_agree_with_text(moment: datetime) -> None:
    for kind in (pa.timestamp("s"), pa.timestamp("ns") if 1700 < moment.year < 2200 else pa.timestamp("ms")):
        assert arrow_to_seconds(pa.chunked_array([pa.array([moment], kind)]))[0] == seconds(moment)
    assert arrow_to_seconds(pa.chunked_array([pa.array([moment.date()])]))[0] == seconds(
        datetime(*moment.date().timetuple()[:3])
    )


def test_a_zone_keeps_its_clock() -> None:
    column = pa.chunked_array([pa.array([datetime(2020, 1, 1, 12)], pa.timestamp("us", "Asia/Tokyo"))])
    assert arrow_to_seconds(column)[0] == seconds(datetime(2020, 1, 1, 21))


@pytest.mark.parametrize(
    "text", ["2021-02-29", "2020-13-01", "2020-00-10", "25:00", "12:61", "13:00 pm", "0:30 am", "x", ""]
)
def test_what_no_calendar_or_clock_has(text: str) -> None:
    assert np.isnan(parse_dates(pa.array([text]), True)[0])


def test_day_and_month() -> None:
    assert day_first(pa.array(["1/2/2020", "2/13/2020"])) is False
    assert day_first(pa.array(["13/2/2020", "2/13/2020"])) is None
    assert day_first(pa.array(["2020-01-02"])) is None


def encoded(values: list, name: str = "when") -> tuple[Encoder, np.ndarray]:
    table = pa.table({name: values, "y": ["a", "b"] * (len(values) // 2) + ["a"] * (len(values) % 2)})
    encoder = Encoder.fit(infer_schema(table, "y"), table)
    return encoder, encoder.encode(table)


def test_calendar_parts_by_hand() -> None:
    days = [date(2023, 1, 1) + timedelta(days=i) for i in range(365)]
    encoder, X = encoded(days)
    assert encoder.feature_names_out == (
        "when: since", "when: sin of year", "when: cos of year", "when: sin of month", "when: cos of month",
        "when: sin of week", "when: cos of week",
    )  # fmt: skip
    np.testing.assert_allclose(X[:, 0], (np.arange(365) - 182) / np.arange(365).std(), atol=1e-12)
    np.testing.assert_allclose(X[:, 1], np.sin(2 * np.pi * np.arange(365) / 365), atol=1e-12)
    np.testing.assert_allclose(X[31:59, 4], np.cos(2 * np.pi * np.arange(28) / 28), atol=1e-12)  # February
    np.testing.assert_allclose(X[1, 5:], [0, 1], atol=1e-12)  # the second was a Monday


def test_times_have_the_day_alone_and_missing_is_marked() -> None:
    encoder, X = encoded([time(6), time(12), None, time(0)])
    assert encoder.feature_names_out == ("when: since", "when: sin of day", "when: cos of day", "when=missing")
    np.testing.assert_allclose(X[:, 1:], [[1, 0, 0], [0, -1, 0], [0, 0, 1], [0, 1, 0]], atol=1e-12)


def test_text_and_arrow_give_the_same_features() -> None:
    texts = ["2020-01-31", "1 Feb 2021", "", "2022/03/04"]
    encoder, X = encoded(texts)
    typed = pa.array([date(2020, 1, 31), date(2021, 2, 1), None, date(2022, 3, 4)])
    np.testing.assert_array_equal(encoder.encode(pa.table({"when": typed})), X)
    with pytest.raises(TableError, match="held dates in training, but row 2 has 'soon', which is none"):
        encoder.encode(pa.table({"when": ["2020-01-01", "soon"]}))
    with pytest.raises(TableError, match="held dates in training, but holds values of the type int64"):
        encoder.encode(pa.table({"when": [1]}))
    assert encoder.column_encoders[0].invalid_cells(pa.chunked_array([["2020-01-01", "soon", ""]])).tolist() == [
        False,
        True,
        False,
    ]


def test_only_years_of_two_digits_have_a_century_added() -> None:
    texts = ["0099-01-01", "0100-01-01", "1/2/68", "1/2/69", "0000-01-01"]
    years = parse_dates(pa.array(texts), False).astype("M8[s]").astype("M8[Y]").astype(str)
    assert years.tolist() == ["0099", "0100", "2068", "1969", "NaT"]
