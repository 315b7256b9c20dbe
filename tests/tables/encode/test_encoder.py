"""The matrix X: values by hand, missing and unseen cells, retyped columns, exact state."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import scipy.sparse as sp
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from softreg.tables import Encoder, Schema, TableError, as_table, infer_schema
from softreg.tables.columns.untyped_text import mark_untyped


def learned(data: dict[str, Any], rows: Any = None) -> tuple[Schema, Encoder]:
    size = len(next(iter(data.values())))
    table = pa.table({**data, "y": ["a", "b"] * (size // 2) + ["a"] * (size % 2)})
    table = table.cast(pa.schema(map(mark_untyped, table.schema)))  # text as that of a CSV file
    schema = infer_schema(table, "y", rows=rows)
    return schema, Encoder.fit(schema, table, rows)


def refusal(encoder: Encoder, data: dict[str, Any], rows: Any = None) -> str:
    with pytest.raises(TableError) as caught:
        encoder.transform(pa.table(data), rows)
    return str(caught.value)


def test_numbers_are_standardised_by_training_rows() -> None:
    _, encoder = learned({"x": ["1", "5", "1000"]}, rows=np.array([0, 1]))
    assert encoder.feature_names_out == ("x",)
    assert encoder.transform(pa.table({"x": [1, 5, 3, 7]})).tolist() == [[-1.0], [1.0], [0.0], [1.0]]


def test_missing_numbers_are_the_mean_and_an_indicator() -> None:
    _, encoder = learned({"x": ["1", "NA", "5", ""]})
    assert encoder.feature_names_out == ("x", "x=missing")
    X = encoder.transform(pa.table({"x": ["5", "null", "3", ""]}))
    assert X.tolist() == [[1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [0.0, 1.0]]


def test_missing_numbers_unseen_in_training_are_the_mean() -> None:
    _, encoder = learned({"x": [1, 5]})
    assert encoder.transform(pa.table({"x": [None, 5.0, float("nan")]})).tolist() == [[0.0], [1.0], [0.0]]


def test_booleans_are_zero_and_one() -> None:
    _, encoder = learned({"loan": ["yes", "no", "Yes", "yes"]})
    assert encoder.feature_names_out == ("loan=yes",)
    for form in (["YES", "no", ""], [True, False, None], ["true", "False", None]):
        assert encoder.transform(pa.table({"loan": form})).tolist() == [[1.0], [0.0], [0.75]]


def test_missing_booleans_have_an_indicator() -> None:
    _, encoder = learned({"loan": [True, None, False]})
    assert encoder.feature_names_out == ("loan=true", "loan=missing")
    assert encoder.transform(pa.table({"loan": [None, True]})).tolist() == [[0.5, 1.0], [1.0, 0.0]]


def test_categories_are_one_hot_with_every_level() -> None:
    _, encoder = learned({"job": ["b", "a", "b"]})
    assert encoder.feature_names_out == ("job=a", "job=b")
    X = encoder.transform(pa.table({"job": ["a", "b", "unseen", "", "B", None]}))
    assert X.tolist() == [[1, 0], [0, 1], [0, 0], [0, 0], [0, 0], [0, 0]]


def test_missing_is_a_level_of_its_own() -> None:
    _, encoder = learned({"job": ["b", "", None]})
    assert encoder.feature_names_out == ("job=b", "job=missing")
    X = encoder.transform(pa.table({"job": [" ", "b", "missing"]}))
    assert X.tolist() == [[0, 1], [1, 0], [0, 0]]
    _, encoder = learned({"job": ["missing", ""]})
    assert encoder.feature_names_out == ("job=missing", "job=(missing)")


def test_one_value_and_missing() -> None:
    _, encoder = learned({"x": ["4", "NA"]})
    assert encoder.transform(pa.table({"x": ["4", "NA"]})).tolist() == [[0.0, 0.0], [0.0, 1.0]]


def test_columns_are_found_by_name() -> None:
    _, encoder = learned({"x": [1, 3], "job": ["a", "b"]})
    table = pa.table({"job": ["b"], "more": ["?"], "x": [3]})
    assert encoder.transform(table).tolist() == [[1.0, 0.0, 1.0]]


def test_rows_are_chosen_and_ordered() -> None:
    _, encoder = learned({"x": [1, 3], "job": ["a", "b"]})
    table = pa.table({"x": [1, 3, 2], "job": ["a", "b", "a"]})
    np.testing.assert_array_equal(encoder.transform(table, np.array([2, 0])), encoder.transform(table)[[2, 0]])


def test_the_matrix_is_dense_in_c_order() -> None:
    _, encoder = learned({"x": [1, 3], "job": ["a", "b"]})
    X = encoder.transform(pa.table({"x": [1], "job": ["a"]}))
    assert (X.dtype, X.flags.c_contiguous, encoder.sparse) == (np.float64, True, False)
    assert encoder.transform(pa.table({"x": pa.array([], pa.int64()), "job": pa.array([], pa.string())})).shape == (
        0,
        3,
    )


def test_a_wide_matrix_is_csr_with_the_same_numbers() -> None:
    rng = np.random.default_rng(0)
    data = {
        "x": np.where(rng.random(1200) < 0.1, np.nan, rng.normal(size=1200)),
        "job": [f"job {i}" for i in rng.integers(0, 300, 1200)],
        "on": rng.random(1200) < 0.5,
    }
    _, encoder = learned(data)
    assert encoder.sparse
    table = pa.table({**data, "job": [*data["job"][:-2], "unseen", None]})
    X = encoder.transform(table)
    assert isinstance(X, sp.csr_array)
    assert X.has_canonical_format
    assert (X.data != 0).all()
    dense = Encoder(encoder.column_encoders, sparse=False).transform(table)
    np.testing.assert_array_equal(X.toarray(), dense)
    rare = encoder.feature_names_out.index("job=rare")
    assert (
        X[[-1]].toarray()[0, 2:-1].nonzero()[0].tolist()
        == [rare - 2]
        == X[[-2]].toarray()[0, 2:-1].nonzero()[0].tolist()
    )


@pytest.mark.parametrize("size", [1e-300, 1e-9, 1.0, 1e12, 1e300])
@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_any_scale_and_shift_standardises_alike(size: float, shift: float) -> None:
    x = np.array([-1.0, 0.5, 2.0, 0.0]) + shift
    _, encoder = learned({"x": x * size})
    X = encoder.transform(pa.table({"x": x * size}))
    np.testing.assert_allclose(X[:, 0], (x - x.mean()) / x.std(), atol=1e-9)


def test_numbers_too_far_away_are_limited() -> None:
    _, encoder = learned({"x": [1.0, 1.0 + 1e-9]})
    X = encoder.transform(pa.table({"x": [1.0, 1.0 + 1e-9, 1e300, -1e308]}))[:, 0]
    np.testing.assert_allclose(X, [-1, 1, 1, -1], rtol=1e-5)


# Retyped columns


def test_a_word_among_numbers() -> None:
    _, encoder = learned({"age": [1, 2]})
    message = refusal(encoder, {"age": ["1"] * 16 + ["abc"]})
    assert message.startswith("Column 'age' held numbers in training, but row 17 has 'abc'.")
    assert "empty" in message
    assert "row 17 has 'abc'" in refusal(encoder, {"age": ["x"] + ["1"] * 15 + ["abc"]}, np.array([3, 16]))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([True, False], "holds booleans here"),
        (pa.array([0, 1], pa.date32()), "holds dates (1970-01-01) here"),
        ([1.0, float("inf")], "inf in row 2"),
        (["1", "-1e999"], "-inf in row 2"),
        ([[1], [2]], "holds lists (type list<item: int64>) here"),
        ([{"a": 1}, {"a": 2}], "has the type struct"),
    ],
)
def test_a_column_of_numbers_that_holds_something_else(values: Any, expected: str) -> None:
    _, encoder = learned({"age": [1, 2]})
    message = refusal(encoder, {"age": values})
    assert "Column 'age'" in message
    assert expected in message


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["yes", "maybe"], "held yes or no in training, but row 2 has 'maybe'"),
        ([1, 0], "holds numbers (type int64) here"),
        (pa.array([0, 1], pa.date32()), "holds dates"),
    ],
)
def test_a_column_of_booleans_that_holds_something_else(values: Any, expected: str) -> None:
    _, encoder = learned({"loan": ["yes", "no"]})
    assert expected in refusal(encoder, {"loan": values})


def test_a_category_that_holds_something_else() -> None:
    _, encoder = learned({"code": ["007", "112"]})
    assert "has the type int64 here, and none of its values ('7') was seen" in refusal(encoder, {"code": [7, 7]})
    assert encoder.transform(pa.table({"code": [7, 112]})).tolist() == [[0, 0], [0, 1]]
    assert "holds dates" in refusal(encoder, {"code": pa.array([0], pa.date32())})
    assert "lacks the column 'code'" in refusal(encoder, {"cod": ["007"]})


def test_categories_of_numbers_are_the_same_from_every_source() -> None:
    frame = pd.DataFrame({"k": pd.Categorical([3, 4, 3]), "y": ["a", "b", "a"]})
    table = as_table(frame)
    encoder = Encoder.fit(infer_schema(table, "y"), table)
    for form in (["4", "3", ""], [4, 3, None], [4.0, 3.0, None], pd.Categorical([4, 3, None])):
        X = encoder.transform(as_table(pd.DataFrame({"k": form})))
        assert X.tolist() == [[0, 1], [1, 0], [0, 0]]


# State


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.floats(-1e100, 1e100) | st.none(), min_size=4, max_size=9),
    st.lists(st.sampled_from(["a", "é😀", "", "x=y", '"', "missing"]), min_size=4, max_size=9),
)
def test_encoding_is_identical_after_json(numbers: list[float | None], words: list[str]) -> None:
    n = min(len(numbers), len(words))
    data = {
        "x": pa.array(numbers[:n], pa.float64()),
        "w": words[:n],
        "b": [True, False] * (n // 2) + [None] * (n % 2),
    }
    assume(len(set(numbers[:n])) > 1 and len(set(words[:n])) > 1)  # a column of one value is refused
    _, encoder = learned(data)
    state = json.loads(json.dumps(encoder.to_state(), allow_nan=False))
    again = Encoder.from_state(state)
    assert again == encoder
    assert again.feature_names_out == encoder.feature_names_out
    assert again.transform(pa.table(data)).tobytes() == encoder.transform(pa.table(data)).tobytes()


def test_a_state_from_the_future_is_refused() -> None:
    with pytest.raises(ValueError, match="coded as 'spline'"):
        Encoder.from_state({"sparse": False, "codes": [{"code": "spline", "name": "x", "missing": False}]})


def test_lists_of_which_all_are_missing_have_no_type() -> None:
    """A data frame has no type for a column without values: they are the missing lists of a typed column."""
    lists = {"tags": [["x"], ["y", "x"], None, ["y"]], "vector": [[1.0, 2.0], None, [3.0, 1.0], [0.0, 0.0]]}
    table = pa.table({**lists, "buys": ["y", "n", "y", "n"]})
    encoder = Encoder.fit(infer_schema(table, "buys"), table)
    typed = pa.table({name: pa.nulls(2, table.schema.field(name).type) for name in lists})
    assert encoder.width > 0
    untyped = pa.table({name: pa.nulls(2) for name in lists})
    as_array = [x.toarray() if hasattr(x, "toarray") else x for x in map(encoder.encode, (untyped, typed))]
    assert np.array_equal(*as_array)
