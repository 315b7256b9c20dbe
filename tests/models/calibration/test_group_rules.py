"""How values of columns become groups."""

from __future__ import annotations

import datetime
import json

import numpy as np
import pyarrow as pa
import pytest

from softreg.models.calibration.group_columns import arrow_column, group_columns
from softreg.models.calibration.group_rules import GroupRule, fit_group_rule


def rule_of(values: object, **options: int) -> tuple[GroupRule, list[int]]:
    column = arrow_column(values)
    rule = fit_group_rule(column, "x", **options)
    return rule, rule.codes(column).tolist()


def test_levels_and_missing_values() -> None:
    rule, codes = rule_of(["b", "a", None, " ", "b"])
    assert rule.names == ("a", "b", "(missing)")
    assert codes == [1, 0, 2, 2, 1]
    assert rule.codes(arrow_column(["c", "a"])).tolist() == [-1, 0]


def test_a_level_with_the_name_of_the_missing_group_is_another_group() -> None:
    rule, codes = rule_of(["(missing)", None])
    assert rule.names == ("(missing)", "(missing)")
    assert codes == [0, 1]


def test_rare_levels_are_one_group_and_a_single_one_keeps_its_name() -> None:
    rule, codes = rule_of(["a"] * 5 + ["b"] * 5 + ["c", "d"], least_rows=3)
    assert rule.names == ("a", "b", "(2 rare values)")
    assert codes[-2:] == [2, 2]
    assert rule_of(["a"] * 5 + ["c"], least_rows=3)[0].names == ("a", "c")
    assert rule_of(["a"] * 5 + ["b"] * 4 + ["c"] * 3, most_levels=1)[0].names == ("a", "(2 rare values)")


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int8, np.int64, np.uint16])
def test_numbers_are_cut_to_intervals_of_about_equal_rows(kind: type) -> None:
    rule, codes = rule_of(np.arange(100).astype(kind))
    assert rule.names == ("below 20", "20 to below 40", "40 to below 60", "60 to below 80", "80 and above")
    assert np.bincount(codes).tolist() == [20] * 5
    assert rule.codes(arrow_column([-1e9, 20.0, np.inf, None])).tolist() == [0, 1, 4, -1]


def test_a_number_of_many_rows_has_its_own_interval() -> None:
    rule, codes = rule_of([0.0] * 80 + list(np.arange(1.0, 41.0)) + [np.nan])
    assert rule.names[0] == "below 1"
    assert np.bincount(codes)[0] == 80
    assert rule.names[-1] == "(missing)"
    assert codes[-1] == len(rule.names) - 1


def test_few_distinct_numbers_are_levels_in_their_order_and_equal_numbers_are_equal() -> None:
    rule, _ = rule_of([10, 9, 2, 9])
    assert rule.names == ("2", "9", "10")
    assert rule.codes(arrow_column([9.0, 10.0])).tolist() == [1, 2]
    assert rule.codes(arrow_column(["9"])).tolist() == [1]


def test_infinite_numbers_and_constants() -> None:
    rule, codes = rule_of(np.append(np.arange(30.0), [np.inf, -np.inf]))
    assert np.isfinite(rule.edges).all()
    assert codes[-2] == len(rule.names) - 1
    assert codes[-1] == 0
    assert rule_of([1.0] * 30)[0].names == ("1",)
    assert rule_of([None, None])[0].names == ("(missing)",)
    assert rule_of([np.nan] * 3)[0].names == ("(missing)",)


def test_dates_are_intervals() -> None:
    days = np.datetime64("2024-01-01") + np.arange(100)
    rule, codes = rule_of(days)
    assert rule.names[0] == "below 2024-01-21"
    assert np.bincount(codes).tolist() == [20] * 5
    stamps = arrow_column([datetime.datetime(2024, 1, 20), datetime.datetime(2024, 1, 21)])
    assert rule.codes(stamps).tolist() == [0, 1]
    zoned = pa.chunked_array([pa.array([0], pa.timestamp("ns", "Europe/Berlin"))])
    assert rule.codes(zoned).tolist() == [0]


def test_values_of_another_kind_than_in_the_fit_are_an_error() -> None:
    rule, _ = rule_of(np.arange(100.0))
    with pytest.raises(ValueError, match="'x' has the type string, but its groups are intervals of numbers"):
        rule.codes(arrow_column(["a"]))
    with pytest.raises(ValueError, match="text, numbers, booleans or dates"):
        fit_group_rule(pa.chunked_array([[[1], [2]]]), "x")


@pytest.mark.parametrize(
    "values",
    [
        ["a", "b", None] * 5,
        np.arange(99),
        np.datetime64("2024-01-01") + np.arange(99),
        [True, False, None],
        ["é", "\n"],
    ],
)
def test_a_rule_survives_json(values: object) -> None:
    rule, codes = rule_of(values)
    again = GroupRule.from_json(json.loads(json.dumps(rule.to_json())))
    assert again.names == rule.names
    assert again.codes(arrow_column(values)).tolist() == codes


def test_invalid_json_of_a_rule_is_an_error() -> None:
    good = rule_of(np.arange(99))[0].to_json()
    for bad in ({"edges": [2.0, 1.0]}, {"missing": 9}, {"kind": "words"}, {"edges": list(range(50))}):
        with pytest.raises(ValueError, match="invalid"):
            GroupRule.from_json({**good, **bad})


def test_columns_of_every_form() -> None:
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    values = ["a", None, "b"]
    forms = [
        {"g": values},
        pd.DataFrame({"g": values}),
        pl.DataFrame({"g": values}),
        pa.table({"g": values}),
        pd.Series(values, name="g"),
        pl.Series("g", values),
    ]
    for form in forms:
        assert {name: column.to_pylist() for name, column in group_columns(form, 3).items()} == {"g": values}
    assert list(group_columns(values, 3)) == ["group"]
    assert list(group_columns(np.array([["a", "b"]] * 3), 3)) == ["group 1", "group 2"]
    assert list(group_columns([["a", 1], ["b", 2]], 2)) == ["group 1", "group 2"]
    assert list(group_columns(pd.Series(pd.Categorical(["x", "y", None])), 3)) == ["group"]
    masked = np.ma.array([1, 2, 3], mask=[False, True, False])
    assert group_columns(masked, 3)["group"].to_pylist() == [1, None, 3]


@pytest.mark.parametrize("kind", ["list", "object", "tuple", "pandas", "string", "category", "polars"])
def test_a_missing_value_is_a_group_in_every_form(kind: str) -> None:
    """fairlearn (issue 1155) dropped such rows from its groups, or made a level "nan" of them in lists."""
    pd, pl = pytest.importorskip("pandas"), pytest.importorskip("polars")
    values = ["a", "a", "b", float("nan")]
    form = {
        "list": values,
        "object": np.array(values, dtype=object),
        "tuple": tuple(values),
        "pandas": pd.Series(values),
        "string": pd.Series(["a", "a", "b", pd.NA], dtype="string"),
        "category": pd.Series(pd.Categorical(["a", "a", "b", None])),
        "polars": pl.Series(["a", "a", "b", None]),
    }[kind]
    (column,) = group_columns(form, 4).values()
    rule = fit_group_rule(column, "g")
    assert rule.names == ("a", "b", "(missing)")
    assert rule.codes(column).tolist() == [0, 0, 1, 2]


def test_bad_columns_are_errors() -> None:
    with pytest.raises(ValueError, match="column 'g' of by is 5: give one value for each of 3 rows"):
        group_columns({"g": 5}, 3)
    with pytest.raises(ValueError, match="column 'g' of by is 'abc'"):
        group_columns({"g": "abc"}, 3)
    with pytest.raises(ValueError, match=r"column 'g' of by has 2 values, but there are 3 rows"):
        group_columns({"g": [1, 2]}, 3)
    with pytest.raises(ValueError, match="not the name of a column"):
        group_columns("region", 3)
    with pytest.raises(ValueError, match="no column"):
        group_columns({}, 3)
    with pytest.raises(ValueError, match="expected"):
        group_columns(np.zeros((2, 2, 2)), 2)
