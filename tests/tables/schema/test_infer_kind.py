"""What a column is taken for: each rule, its edges, and its words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softreg import TableClassifier
from softreg.tables import Column, Kind, TableError, TableWarning, as_table, infer_schema, read_table
from softreg.tables.columns.column_values import parse_numbers
from softreg.tables.columns.untyped_text import mark_untyped
from softreg.tables.schema.infer_kind import infer_column
from softreg.tables.schema.number_columns import TextOptions


def column(values: Sequence[Any], name: str = "x", rows: Any = None, kind: Any = None) -> Column:
    return infer_column(name, pa.chunked_array([pa.array(values, type=kind)]), rows)


def refusal(values: Sequence[Any], **options: Any) -> str:
    with pytest.raises(TableError) as caught:
        column(values, **options)
    return str(caught.value)


# Numbers


@pytest.mark.parametrize(
    "values",
    [
        ["1", "2"],
        ["-1.5", "+.5", "3.", "1e-3"],
        [" 1", "2 "],
        ["1", "", "3"],
        ["1", "NA", "n/a", "#N/A", "NaN", "null", "None", " ", "2"],
        ["0", "1"],
        ["2019", "2020"],
        [1, 2],
        [1.5, None, 2.5],
        [float("nan"), 1.0, 2.0],
    ],
)
def test_numbers(values: list[Any]) -> None:
    assert column(values).kind is Kind.NUMBER


def test_the_reason_tells_range_and_missing() -> None:
    inferred = column(["3", "NA", "-1.5", ""])
    assert (inferred.reason, inferred.missing) == ("-1.5 to 3, 2 rows without a value", 2)


@pytest.mark.parametrize("values", [["1_0", "2"], ["0x1", "0x2"], ["1,2", "1,2,3"], ["1.2.3", "1.2.4"]])
def test_what_is_no_number_is_a_category(values: list[str]) -> None:
    assert column(values).kind is Kind.CATEGORY


def test_decimal_commas_are_told() -> None:
    inferred = column(["1,5", "2,5", "3"] * 5)
    assert inferred.kind is Kind.NUMBER
    assert inferred.notes[0].startswith("column 'x' is read as numbers with a decimal comma: '1,5' is 1.5")
    assert "'.' between thousands: '1.234.567' is 1234567" in column(["1.234.567", "2.000.000"]).notes[0]
    assert column(["a", "1,5"]).notes == ()


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_read_exactly(x: float) -> None:
    values, ok = parse_numbers(pa.array([repr(x), f" {x!r} ", "nope"]))
    assert values[:2].tolist() == [x, x]
    assert ok.tolist() == [True, True, False]


@pytest.mark.parametrize("word", ["inf", "-Infinity", "1e999"])
def test_infinity_is_refused_with_its_row(word: str) -> None:
    message = refusal(["1", "2", word, "1"], name="size")
    assert message.startswith(f"Column 'size' has {float(word)} in row 3; expected a finite number.")
    assert "empty" in message
    assert "row 2" in refusal([0.5, float("inf")])


# Codes


@pytest.mark.parametrize("values", [["007", "112"], ["01", "12", "01"], ["00", "99", ""]])
def test_zero_padded_digits_are_codes(values: list[str]) -> None:
    inferred = column(values)
    assert inferred.kind is Kind.CATEGORY
    assert inferred.levels[0].startswith("0")


@pytest.mark.parametrize("values", [["0", "7"], ["0.5", "0.7"], ["01", "7"], ["10", "20"]])
def test_other_digits_are_numbers(values: list[str]) -> None:
    assert column(values).kind is Kind.NUMBER


def test_many_zero_padded_codes_are_left_out() -> None:
    assert column([f"{i:05d}" for i in range(0, 9000, 3)]).kind is Kind.IDENTIFIER


# Booleans


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["yes", "no", "yes"], ("no", "yes")),
        (["True", "FALSE", "true"], ("false", "true")),
        (["T", "f"], ("f", "t")),
        (["Y", "n", ""], ("n", "y")),
        ([True, False, None], ("false", "true")),
    ],
)
def test_booleans(values: list[Any], words: tuple[str, str]) -> None:
    inferred = column(values)
    assert (inferred.kind, inferred.levels) == (Kind.BOOLEAN, words)


@pytest.mark.parametrize("values", [["yes", "no", "maybe"], ["yes", "false"], ["yes", ""], ["yes", "no", "NA"]])
def test_other_words_are_categories(values: list[str]) -> None:
    assert column(values).kind is Kind.CATEGORY


# Categories, identifiers, text


def test_levels_are_exact_and_sorted() -> None:
    inferred = column(["b", "a ", "NA", "unknown", "b", "", "B"])
    assert inferred.levels == ("B", "NA", "a ", "b", "unknown")
    assert inferred.missing == 1
    assert inferred.reason == "5 levels: 'B', 'NA', 'a ', 'b' and 1 more; 1 row without a value"


def test_levels_are_those_of_the_training_rows() -> None:
    assert column(["a", "b", "c"], rows=np.array([0, 2])).levels == ("a", "c")


def test_few_levels_make_a_category_however_few_rows() -> None:
    assert column([f"v{i}" for i in range(20)]).kind is Kind.CATEGORY
    assert column([f"v{i}" for i in range(21)]).kind is Kind.IDENTIFIER
    assert column([f"v{i}" for i in range(21)] * 2).kind is Kind.CATEGORY


def test_more_than_a_thousand_levels_are_left_out() -> None:
    assert column([f"v{i}" for i in range(1000)] * 3).kind is Kind.CATEGORY
    assert column([*[f"v{i}" for i in range(100)], *["w"] * 6, *["u"] * 6]).kind is Kind.CATEGORY  # a tenth repeats
    inferred = column([f"v{i}" for i in range(1001)] * 3)
    assert inferred.kind is Kind.IDENTIFIER
    assert inferred.reason.startswith("1,001 different values in 3,003 rows, such as 'v0'")


def test_free_text() -> None:
    inferred = column([f"message number {i} says hello" for i in range(50)])
    assert inferred.kind is Kind.TEXT
    assert "50 different values in 50 rows, 5 words each on average" in inferred.reason


def test_long_levels_that_repeat_are_a_category() -> None:
    assert column(["strongly agree with all of it", "do not agree with any of it"] * 20).kind is Kind.CATEGORY


@pytest.mark.parametrize("name", ["id", "ID", "customer_id", "customerId", "RowID", "user uuid", "index"])
def test_names_of_identifiers(name: str) -> None:
    assert column([17, 4, 99], name).kind is Kind.IDENTIFIER
    assert column(["17", "4", "99"], name).kind is Kind.IDENTIFIER
    assert column(["a17", "b4", "c99"], name).kind is Kind.IDENTIFIER


@pytest.mark.parametrize("name", ["paid", "valid", "humid", "body_mass_index", "idle", "age"])
def test_names_that_only_look_like_one(name: str) -> None:
    assert column([17, 4, 99], name).kind is Kind.NUMBER


def test_an_id_that_repeats_is_a_number_until_most_values_differ() -> None:
    assert column([17, 4, 17, 4], "store_id").kind is Kind.NUMBER
    mostly = column([17, 4, 17, 9], "doc_id")
    assert mostly.kind is Kind.IDENTIFIER
    assert mostly.reason == "its name says so, and 4 rows have 3 different numbers"
    assert column([17, 4, 17, 9], "score").kind is Kind.NUMBER
    assert column([1.5, 4.0], "id").kind is Kind.NUMBER


@pytest.mark.parametrize("start", [0, 1])
def test_counting_the_rows_is_no_feature(start: int) -> None:
    every = list(range(start, start + 21))
    rows = np.arange(0, 21, 2)
    assert column(every).kind is Kind.IDENTIFIER
    assert column(every, rows=rows).kind is Kind.IDENTIFIER  # judged by the whole column
    assert column([str(i) for i in every]).reason == f"it counts the rows, from {start} on"
    assert column(every[:-1]).kind is Kind.NUMBER  # so few rows can be a measurement
    assert column([*every[:-1], 40]).kind is Kind.NUMBER


# Constants


@pytest.mark.parametrize("values", [["a", "a"], ["1", "1.0"], [3, 3], [True, True], ["7"]])
def test_one_value_is_a_constant(values: list[Any]) -> None:
    assert column(values).kind is Kind.CONSTANT


@pytest.mark.parametrize("values", [["", " "], [None, None], [float("nan"), None]])
def test_no_value_is_a_constant(values: list[Any]) -> None:
    assert column(values).reason == "no value in any row"


def test_one_value_and_missing_tells_something() -> None:
    assert column(["a", ""]).kind is Kind.CATEGORY
    assert column(["1", ""]).kind is Kind.NUMBER
    assert column([True, None]).kind is Kind.BOOLEAN


# Dates


@pytest.mark.parametrize(
    "value",
    [
        "2020-01-31",
        "2020/1/31",
        "31.01.2020",
        "1/31/20",
        "2020-01-31T10:00:00Z",
        "2020-01-31 10:00:00.123+02:00",
        "31 Jan 2020",
        "January 31, 2020",
        "10:15",
        "10:15:59 pm",
    ],
)
def test_dates_are_seen(value: str) -> None:
    assert column([value, value.replace("31", "30").replace("10:15", "11:15")]).kind is Kind.DATE


@pytest.mark.parametrize("value", ["1.2.3.4", "2020-01", "555-12-3456", "3-4", "march", "may 5 be"])
def test_what_is_no_date(value: str) -> None:
    assert column([value, value.replace("3", "2")] if "3" in value else [value, "x"]).kind is not Kind.DATE


def test_dates_of_text_and_of_arrow_are_features() -> None:
    table = pa.table(
        {
            "seen": ["2020-01-31", "2020-02-01"],
            "typed": pa.array([0, 1], pa.timestamp("s")),
            "y": ["a", "b"],
        }
    )
    assert infer_schema(table, "y").describe()[:2] == [
        ("seen", "date", "'2020-01-31' and others"),
        ("typed", "date", "'1970-01-01 00:00:00', of type timestamp[s]"),
    ]


def test_a_day_that_the_calendar_lacks_is_named() -> None:
    values = ["2020-02-28", "2020-02-30", "2020-03-01"]
    inferred = infer_column("when", pa.chunked_array([values]))
    message = "olumn 'when' holds dates, but row 2 has '2020-02-30', which the calendar does not have"
    assert inferred.kind is Kind.DATE
    assert inferred.missing == 1
    assert message in inferred.notes[0]
    with pytest.raises(TableError, match=message):
        infer_column("when", pa.chunked_array([values]), options=TextOptions(strict=True))


def test_fault_f13_a_slip_among_dates_is_missing() -> None:
    days = [f"{1 + i % 28:02}.0{1 + i % 9}.2024" for i in range(300)]
    table = pa.table({"when": [*days, "03.13.2024"], "y": ["a", "b"] * 150 + ["a"]})
    table = table.cast(pa.schema([mark_untyped(field) for field in table.schema]))
    with pytest.warns(TableWarning, match="row 301 has '03.13.2024'"):
        model = TableClassifier("y", strength=1.0).fit(table)
    assert np.isfinite(model.predict_proba(table)).all()
    with pytest.raises(TableError, match=r"32\.01\.2024"):
        model.predict_proba(pa.table({"when": ["32.01.2024"]}))


def test_the_order_of_day_and_month_is_seen_or_said() -> None:
    assert column(["3/4/2020", "13/4/2020"]).levels == ()
    assert column(["3/4/2020", "4/13/2020"]).levels == ("month first",)
    assert "the first number may be day or month; it is read as the day" in column(["3/4/2020", "5/6/2020"]).hint
    assert column(["2020-04-03", "2020-06-05"]).hint == ""


# Types


def test_a_dictionary_type_is_a_category_whatever_it_holds() -> None:
    assert column(pa.array(["1", "2", "1"]).dictionary_encode().to_pylist()).kind is Kind.NUMBER
    frame = pd.DataFrame({"x": pd.Categorical(["1", "2", "1"]), "k": pd.Categorical([3, 4, 3])})
    schema = [infer_column(name, as_table(frame)[name]) for name in ("x", "k")]
    assert [c.levels for c in schema] == [("1", "2"), ("3", "4")]


def test_a_type_that_cannot_be_understood_is_named() -> None:
    assert "'x' has the type struct" in (message := refusal([{"a": 1}, {"a": 2}]))
    assert "--drop 'x'" in message


# A late value that breaks a column's type: bug zoo, row 32


def test_a_late_word_among_numbers_is_missing_and_said_with_its_row() -> None:
    values = [str(i % 1000) for i in range(200_000)]
    values[199_999] = "abc"
    inferred = column(values, name="size")
    assert (inferred.kind, inferred.missing) == (Kind.NUMBER, 1)
    assert inferred.notes[0].startswith(
        "column 'size' holds numbers, but row 200,000 has 'abc', which is read as missing"
    )
    assert "--category 'size'" in inferred.notes[0]


def test_a_sign_for_missing_is_missing_among_numbers() -> None:
    inferred = column([str(i / 7) for i in range(100)] + ["?"] * 30)
    assert (inferred.kind, inferred.missing) == (Kind.NUMBER, 30)
    assert inferred.format is not None
    assert inferred.format.missing == {"?": 30}


def test_late_decimals_stay_exact() -> None:
    values = ["1"] * 199_999 + ["1.5"]
    inferred = column(values)
    assert (inferred.kind, inferred.reason) == (Kind.NUMBER, "1 to 1.5")


def test_codes_of_digits_and_letters_are_a_category() -> None:
    values = [str(i) for i in range(100)] + [f"V{i}" for i in range(20)]
    assert column(values * 3).kind is Kind.CATEGORY
    assert column(["1", "2", "a"]).kind is Kind.CATEGORY
    assert column([str(i) for i in range(25)] + ["other"] * 40).kind is Kind.CATEGORY


# Reasons and warnings


def test_rows_without_a_value_are_counted_for_every_kind() -> None:
    assert column(["yes", "no", "", "yes"]).reason == "yes or no, 1 row without a value"
    assert column(["b", "", "a", ""]).reason == "2 levels: 'a', 'b'; 2 rows without a value"
    assert column(["b", "c", "a"]).reason == "3 levels: 'a', 'b', 'c'"


@pytest.mark.parametrize("values", [["1", "2", "3", "inf"], [1.0, 2.0, 3.0, np.inf]])
def test_infinity_outside_the_training_rows_is_refused_before_the_fit(values: list[Any]) -> None:
    assert "Column 'x' has inf in row 4" in refusal(values, rows=np.array([0, 1, 2]))


def test_decimal_commas_are_told_once(tmp_path: Path) -> None:
    rows = "".join(f"{i},5;{i % 2};{'uv'[i % 2]}\n" for i in range(50))
    (tmp_path / "a.csv").write_text("a;b;t\n" + rows)
    (warning,) = infer_schema(read_table(tmp_path / "a.csv"), "t").warnings
    assert warning == (
        "column 'a' is read as numbers with a decimal comma: '0,5' is 0.5; where the values are words, --category 'a'"
    )


def test_an_identifier_by_name_says_how_many_numbers_differ() -> None:
    inferred = column([str(i) for i in [*range(30), *range(10)]], name="id")
    assert inferred.kind is Kind.IDENTIFIER
    assert inferred.reason == "its name says so, and 40 rows have 30 different numbers"
