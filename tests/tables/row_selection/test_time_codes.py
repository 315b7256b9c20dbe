"""The order of rows in time, errors of splits of a table, and sets of row numbers."""

from __future__ import annotations

from datetime import date, datetime

import numpy as np
import pyarrow as pa
import pytest

from softreg.tables.columns.table_errors import TableError
from softreg.tables.fit.row_set import RowSet
from softreg.tables.row_selection.table_splits import split_by_time, split_groups, time_folds
from softreg.tables.row_selection.time_codes import time_codes


@pytest.mark.parametrize(
    "values",
    [
        ["2024-03-01", "2023-12-31", "2024-03-01", "2024-01-15"],
        ["1 Mar 2024", "31 Dec 2023", "1 Mar 2024", "15 Jan 2024"],
        ["01/03/2024", "31/12/2023", "01/03/2024", "15/01/2024"],
        [date(2024, 3, 1), date(2023, 12, 31), date(2024, 3, 1), date(2024, 1, 15)],
        [datetime(2024, 3, 1, 5), datetime(2023, 12, 31), datetime(2024, 3, 1, 5), datetime(2024, 1, 15)],
        [9, -1, 9, 3],
        ["9", "-1.5", "9.0", "3"],
        [2.5, 1.0, 2.5, 1.5],
    ],
)
def test_times_of_any_kind_have_their_order(values: list[object]) -> None:
    table = pa.table({"t": values, "y": ["a"] * 4})
    assert time_codes(table, "t", "y").tolist() == [2, 0, 2, 1]
    encoded = pa.table({"t": pa.array(values).dictionary_encode(), "y": ["a"] * 4})
    assert time_codes(encoded, "t", "y").tolist() == [2, 0, 2, 1]
    assert time_codes(table, "t", "y", np.array([3, 1])).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["2024-01-01", None, "2024-01-02"], "has no value in row 2"),
        (["2024-01-01", " ", "2024-01-02"], "has no value in row 2"),
        (["2024-01-01", "2024-01-02", "soon"], "'soon', which is no date or number, in row 3"),
        ([1.0, float("nan"), 2.0], "in row 2"),
        (["red", "green", "blue"], "neither dates nor numbers"),
        ([True, False, True], "neither dates nor numbers"),
        ([[1], [2], [3]], "neither dates nor numbers"),
    ],
)
def test_what_has_no_place_in_time_is_refused(values: list[object], expected: str) -> None:
    with pytest.raises(TableError, match=expected):
        time_codes(pa.table({"t": values, "y": ["a", "b", "a"]}), "t", "y")


def test_errors_of_splits_are_errors_about_the_table() -> None:
    with pytest.raises(TableError, match="same time"):
        split_by_time(np.zeros(5, np.int64), 0.2)
    with pytest.raises(TableError, match="3 folds by time must have at least 4 different times"):
        time_folds(np.array([0, 1, 2]), 3)
    with pytest.raises(TableError, match="each of which has all rows of some class"):
        split_groups(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1]))


def test_a_set_of_row_numbers() -> None:
    draw, rows = np.random.default_rng(2), RowSet()
    whole = draw.random(300_000) < 0.01
    whole[70_000:140_000] = False
    for first in range(0, 300_000, 33_333):
        rows.add(np.flatnonzero(whole[first : first + 33_333]) + first)
    assert len(rows) == whole.sum()
    for first, count in ((0, 300_000), (65_535, 3), (69_000, 80_000), (5, 0), (299_999, 1)):
        np.testing.assert_array_equal(rows.mask(first, count), whole[first : first + count])
