"""Columns of data frames as columns of Arrow."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from softreg.tables.io.dataframe_tables import frame_to_arrow


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([2**63, 1, 2**64 - 1], pa.array([2**63, 1, 2**64 - 1], pa.uint64())),
        ([2**63, None, 2**63 + 1], pa.array([2**63, None, 2**63 + 1], pa.uint64())),
        ([2**63, -1], pa.array([str(2**63), "-1"])),
        ([2**64, 1, None], pa.array([str(2**64), "1", None])),
    ],
)
def test_whole_numbers_of_python_that_no_int64_holds(values: list[Any], expected: pa.Array) -> None:
    """They have the type of a column of NumPy, as long as 64 bits suffice."""
    column = frame_to_arrow(pd.DataFrame({"x": pd.Series(values, dtype=object)}))["x"]
    assert column.type == expected.type
    assert column.to_pylist() == expected.to_pylist()
