"""The text that stands for a value: equal for equal values of every type, and exact."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softreg.value_text import TextIndex, encode_as_text, text_array, to_text, unify_spellings, value_text

DAY, TEN = datetime.datetime(2020, 1, 31), datetime.datetime(2020, 1, 31, 10)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([1, -2, None], pa.int8()), ["1", "-2", None]),
        (pa.array([2**64 - 1], pa.uint64()), ["18446744073709551615"]),
        (pa.array([1.0, 1e10, 1e22, -0.0, float("nan")]), ["1", "10000000000", "1" + "0" * 22, "0", None]),
        (pa.array([0.1, 2.5e-7, float("-inf")]), ["0.1", "2.5e-07", "-inf"]),
        (pa.array([0.1, 16777216.0], pa.float32()), ["0.1", "16777216"]),
        (pa.array([0.1, 65504.0], pa.float16()), ["0.1", "65504"]),
        (pa.array([Decimal("1.00"), Decimal("0.50"), Decimal("-0.00")], pa.decimal128(9, 2)), ["1", "0.5", "0"]),
        (pa.array([Decimal("9007199254740993")], pa.decimal256(60, 0)), ["9007199254740993"]),
        (pa.array([Decimal("1200")], pa.decimal128(9, -2)), ["1200"]),
        (pa.array([Decimal("0.00000025")], pa.decimal128(20, 10)), ["2.5e-07"]),
        (pa.array([Decimal("7.50")], pa.decimal32(5, 2)), ["7.5"]),
        (pa.array([True, False]), ["true", "false"]),
        (pa.array([DAY.date()]), ["2020-01-31"]),
        (pa.array([DAY, TEN], pa.timestamp("ns")), ["2020-01-31", "2020-01-31 10:00:00"]),
        (pa.array([TEN], pa.timestamp("ms", "Europe/Berlin")), ["2020-01-31 10:00:00Z"]),
        (pa.array([datetime.time(10, 0, 0, 500_000)]), ["10:00:00.5"]),
        (pa.array([datetime.timedelta(milliseconds=1500)]), ["1.5"]),
        (pa.array(["1.0", " x ", "", None]), ["1.0", " x ", "", None]),
        (pa.array(["a"], pa.string_view()), ["a"]),
        (pa.array([b"a"]), ["a"]),
        (pa.nulls(2), [None, None]),
        (pa.array([], pa.float64()), []),
        (pa.chunked_array([], pa.string()), []),
    ],
)
def test_values_of_every_type_have_one_text(column: Any, expected: list[str | None]) -> None:
    assert to_text(column).to_pylist() == expected
    assert encode_as_text(column).to_pylist() == expected
    assert to_text(column.slice(1)).to_pylist() == expected[1:]
    try:
        encoded = column.dictionary_encode()
    except pa.ArrowNotImplementedError:
        return
    if isinstance(column, pa.Array) and not pa.types.is_float16(column.type):  # PyArrow encodes their bits
        assert to_text(encoded).to_pylist() == expected


def test_a_dictionary_has_each_text_once() -> None:
    twice = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, 3], pa.int8()), pa.array([0.0, -0.0, None, 1.0]))
    found = encode_as_text(twice)
    assert found.to_pylist() == ["0", "0", None, "1"]
    assert len(set(found.dictionary.to_pylist())) == len(found.dictionary)
    parts = pa.chunked_array([pa.array(["a", "b"]).dictionary_encode(), pa.array(["b", "c"]).dictionary_encode()])
    assert encode_as_text(parts).to_pylist() == ["a", "b", "b", "c"]


@pytest.mark.parametrize("column", [pa.array([[1]]), pa.array([{"a": 1}]), pa.array([pa.MonthDayNano([1, 2, 3])])])
def test_other_types_have_none(column: Any) -> None:
    with pytest.raises(TypeError, match="have no text"):
        encode_as_text(column)


@given(st.integers(-(2**53), 2**53))
def test_equal_numbers_have_equal_text(number: int) -> None:
    expected = str(number)
    decimal = pa.array([Decimal(number)], pa.decimal128(20, 0)).cast(pa.decimal128(30, 5))
    for column in (pa.array([number], pa.int64()), pa.array([float(number)]), decimal):
        assert to_text(column).to_pylist() == [expected]
    values = (number, np.int64(number), float(number), np.float64(number), Decimal(number), Decimal(f"{number}.00"))
    assert {value_text(value) for value in values} == {expected}
    written = text_array([f"{number}.0", f"{number:+}", repr(float(number))])
    assert TextIndex([expected, "0.5"] if number else [expected]).find(written).tolist() == [0, 0, 0]


@given(st.floats(allow_nan=False), st.sampled_from([np.float64, np.float32]))
def test_the_text_of_a_float_gives_it_back(value: float, dtype: Any) -> None:
    with np.errstate(over="ignore"):
        number = dtype(value)
    text = to_text(pa.array(np.array([number])))[0].as_py()
    assert dtype(text) == number
    assert value_text(number) == text


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**9), max_value=10**9))
def test_the_text_of_a_decimal_gives_it_back(value: Decimal) -> None:
    assert Decimal(value_text(value)) == value
    assert to_text(pa.array([value], pa.decimal128(20, 4)))[0].as_py() == value_text(value)


def test_known_texts_are_found_by_value() -> None:
    codes = TextIndex(["1", "2", "10000000000"])
    asked = pa.array(["1", "2.0", "1e10", "+2", "01", "1.5", "x", None, "1e999999999"])
    assert codes.find(asked).tolist() == [0, 1, 2, 1, -1, -1, -1, -1, -1]
    assert TextIndex(["007", "7"]).find(pa.array(["7.0", "07"])).tolist() == [-1, -1]  # codes, which are no numbers
    assert TextIndex(["1.1", "1.2"]).find(pa.array(["1.10"])).tolist() == [-1]  # versions
    assert TextIndex(["0.50", "1.0"]).find(pa.array(["0.5", "1"]), typed=True).tolist() == [0, 1]
    assert TextIndex(["1", "1.0"]).find(pa.array(["1e0"])).tolist() == [-1]  # it could be either
    assert TextIndex(["True", "False"]).find(pa.array(["true", "FALSE", "yes"])).tolist() == [0, 1, -1]
    assert TextIndex(["2020-01-31 00:00:00.000"]).find(pa.array(["2020-01-31"])).tolist() == [0]
    assert TextIndex([]).find(pa.array(["a"])).tolist() == [-1]


def test_several_writers_of_the_same_values() -> None:
    assert unify_spellings(["True", "False"]) == {}
    assert unify_spellings(["TRUE", "true"]) == {"TRUE": "true", "true": "true"}
    assert unify_spellings(["True", "true", "maybe"]) == {}
    assert unify_spellings(["1", "1.0"]) == {}
    assert unify_spellings(["1", "1.0"], numbers=True) == {"1": "1", "1.0": "1"}
    assert unify_spellings(["1.1", "1.10", "1.2"], numbers=True) == {}
    assert unify_spellings(["1", "01"], numbers=True) == {}
    assert unify_spellings([]) == {}
