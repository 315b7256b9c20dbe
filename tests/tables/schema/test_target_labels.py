"""Labels as text, what no classifier can learn, and the split."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from softreg.tables import TableError, as_table, check_labels, labels


def refusal(table: pa.Table, target: str = "y") -> str:
    with pytest.raises(TableError) as caught:
        check_labels(labels(table, target), target)
    return str(caught.value)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["007", "NA", "None", "nan", "null", " x "], ["007", "NA", "None", "nan", "null", " x "]),
        ([1, 0, 2**62 + 1], ["1", "0", str(2**62 + 1)]),
        ([True, False], ["true", "false"]),
        ([1.0, 2.0, -3.0], ["1", "2", "-3"]),
        ([1.0, 1.7], ["1", "1.7"]),
        ([1e22, 3.0], ["10000000000000000000000", "3"]),
        (pa.array([0, 1], pa.date32()), ["1970-01-01", "1970-01-02"]),
        (pa.array(["b", "a", "b"]).dictionary_encode(), ["b", "a", "b"]),
    ],
)
def test_labels_are_text_exactly(values: Any, expected: list[str]) -> None:
    assert labels(pa.table({"y": values}), "y").tolist() == expected


def test_categorical_labels_of_a_frame() -> None:
    frame = pd.DataFrame({"y": pd.Categorical([7, 8, 7])})
    assert labels(as_table(frame), "y").tolist() == ["7", "8", "7"]


@pytest.mark.parametrize("hole", ["", "  ", None])
def test_a_missing_label_is_named_by_row(hole: str | None) -> None:
    message = refusal(pa.table({"y": ["a", "b", hole, "a", hole]}))
    assert "The target 'y' has no label in 2 rows: 3, 5 (counted from 1" in message
    assert "remove" in message


def test_nan_is_a_missing_label() -> None:
    assert "1 row: 2 " in refusal(pa.table({"y": [1.0, float("nan"), 2.0]}))


def test_no_such_target() -> None:
    message = refusal(pa.table({"Target": [1], "other": [2]}), "target")
    assert message.startswith("There is no target column 'target'. Did you mean 'Target'?")
    assert "'Target', 'other'" in message


def test_labels_that_are_lists() -> None:
    assert "labels are text, numbers or booleans" in refusal(pa.table({"y": [[1], [2]]}))


def test_one_class() -> None:
    assert "one class only: every row is 'no'" in refusal(pa.table({"y": ["no"] * 9}))


def test_a_class_with_a_single_row() -> None:
    message = refusal(pa.table({"y": ["a", "a", "b", "c", "c", "c"]}))
    assert "a single row for the class 'b'" in message
    assert "a single row each for 2 classes 'b', 'c'" in refusal(pa.table({"y": ["a", "a", "b", "c"]}))


def test_a_number_to_regress_on() -> None:
    message = refusal(pa.table({"y": np.random.default_rng(0).normal(size=100)}))
    assert "100 different values in 100 rows" in message
    assert "a number to regress on" in message
    prices = [str(100 * (i % 45)) for i in range(100)]  # numbers repeat, and are numbers nonetheless
    assert "a number to regress on" in refusal(pa.table({"y": prices}))


def test_an_identifier_as_target() -> None:
    assert "an identifier or free text" in refusal(pa.table({"y": [f"row {i}" for i in range(30)]}))


def test_many_classes_with_many_rows_are_fine() -> None:
    check_labels(labels(pa.table({"y": [str(i % 40) for i in range(400)]}), "y"), "y")
    check_labels(labels(pa.table({"y": [f"c{i % 40}" for i in range(80)]}), "y"), "y")


# The split
