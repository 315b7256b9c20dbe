"""Exported programs on the columns that databases and programs really have: numbers, words and times of other types."""

from __future__ import annotations

import warnings
from datetime import date, datetime, time
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from softreg import TableClassifier, TableWarning
from softreg.export import Program, build_program
from softreg.export.sql.query import Dialect, sql_query

from ..export.c_runner import CRunner
from ..export.javascript_runner import JavaScriptRunner, call
from ..export.onnx_runner import OnnxRunner
from ..export.sql_runner import SQL_RUNNERS, SqlRunner, quoted

ROWS = 120
BY_DIALECT = {runner.dialect: runner for runner in SQL_RUNNERS}


def with_gaps(values: list[Any]) -> list[Any]:
    return [None if k % 9 == 0 else value for k, value in enumerate(values)]


@cache
def model() -> TableClassifier:
    """A model of columns of several kinds, most of which had missing values."""
    random = np.random.default_rng(0)
    base = random.normal(size=ROWS)
    third = np.digitize(base, [-0.7, 0.7])
    table = pa.table(
        {
            "number": with_gaps((10 * base).tolist()),
            "bit": [int(b > -0.5) for b in base],
            "code": with_gaps((7 * third).tolist()),
            "fraction": [(0.1, 0.41000000000000003, 2.5)[k] for k in third],
            "digits": [("1.50", "2.0", "0.41000000000000003")[k] for k in third],
            "day": with_gaps([date(2020, 1, 1 + int(k) * 9) for k in third]),
            "hour": [time(int(8 + k), 30) for k in third],
            "y": ["u" if b > 0 else "v" for b in base + random.normal(size=ROWS)],
        }
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TableWarning)
        return TableClassifier(strength=0.01, category=["code", "fraction", "digits"]).fit(table, target="y")


ROW = {
    "number": pa.array([1.5]),
    "bit": pa.array([1]),
    "code": pa.array([7]),
    "fraction": pa.array([0.1]),
    "digits": pa.array(["1.50"]),
    "day": pa.array([date(2020, 1, 10)]),
    "hour": pa.array([datetime(1970, 1, 1, 8, 30)], pa.timestamp("s")),
}


@cache
def program() -> Program:
    return build_program(model())


def expected(name: str, cell: pa.Array) -> np.ndarray | None:
    """The probabilities of a row with this cell; None where the library refuses it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TableWarning)
        try:
            return np.asarray(model().predict_proba(pa.table(ROW | {name: cell}))[0])
        except ValueError:
            return None


TYPES = {"number": "DOUBLE PRECISION", "bit": "INTEGER", "code": "INTEGER", "fraction": "DOUBLE PRECISION",
         "digits": "VARCHAR", "day": "DATE", "hour": "TIMESTAMP"}  # fmt: skip


def from_database(dialect: Dialect, name: str, kind: str, cell: pa.Array) -> list[float | None]:
    """The probabilities of the statement for a row whose column has a type of the database."""
    runner = BY_DIALECT[dialect]
    if reason := runner.missing_engine():
        pytest.skip(reason)
    columns = ", ".join(f"{quoted(one)} {kind if one == name else TYPES[one]}" for one in ROW)
    rows = pa.table(ROW | {name: cell})
    answer = runner.answer(sql_query(program(), dialect), rows, f"CREATE TEMP TABLE input ({columns})")
    return list(answer.last(2)[0])


def check(found: list[float | None], wanted: np.ndarray | None) -> None:
    if wanted is None:
        assert found == [None, None]
    else:
        np.testing.assert_allclose(np.array(found, dtype=float), wanted, rtol=0, atol=1e-12)


SPELLINGS = ("NA", "n/a", "?", "-", "nan", "None", " NULL ", "", "unknown", "abc")


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize("text", [*SPELLINGS, "2.5", " 2.5\u00a0", "1_000", "0x10"])
def test_numbers_of_text_have_the_missing_values_of_the_library(dialect: Dialect, text: str) -> None:
    cell = pa.array([text])
    check(from_database(dialect, "number", "VARCHAR", cell), expected("number", cell))


@pytest.mark.parametrize("dialect", [Dialect.DUCKDB, Dialect.SQLITE])
@pytest.mark.parametrize(
    "text",
    [*SPELLINGS, "2020-01-10", "2020-01-10 18:30", "08:30", "2020-01-10 24:00:00", "2020-02-30", "infinity", "epoch"],
)
def test_dates_of_text_have_the_missing_values_of_the_library(dialect: Dialect, text: str) -> None:
    cell = pa.array([text])
    check(from_database(dialect, "day", "VARCHAR", cell), expected("day", cell))


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize("text", ["7", "7.0", "7.00", "07", "abc", "NA", "inf", "", "7e0"])
def test_codes_of_text_are_levels_or_unseen(dialect: Dialect, text: str) -> None:
    cell = pa.array([text])
    check(from_database(dialect, "code", "VARCHAR", cell), expected("code", cell))


@cache
def whole() -> TableClassifier:
    """A model of a category whose levels are texts of whole numbers, and of a boolean."""
    random = np.random.default_rng(1)
    base = random.normal(size=ROWS)
    digits = [("10", "2.0", "3e1")[k] for k in np.digitize(base, [-0.7, 0.7])]
    y = ["u" if b > 0 else "v" for b in base + random.normal(size=ROWS)]
    table = pa.table({"digits": digits, "flag": [bool(b > 0.5) for b in base], "y": y})
    return TableClassifier(strength=0.01, category=["digits"]).fit(table, target="y")


def whole_row(name: str, cell: Any, kind: pa.DataType | None = None) -> pa.Table:
    row = {"digits": pa.array(["10"]), "flag": pa.array([True])}
    return pa.table(row | {name: pa.array([cell], kind)})


TEXTS_OF_NUMBERS = ("10", "10.0", "10.00", "1e1", " 10", "+10", "2", "30", "010", "10.5", "x", "")


@pytest.mark.parametrize("runner", [*SQL_RUNNERS, JavaScriptRunner()], ids=lambda runner: runner.name)
@pytest.mark.parametrize("text", TEXTS_OF_NUMBERS)
def test_texts_of_whole_numbers_are_their_levels(runner: Any, text: str, tmp_path: Path) -> None:
    if reason := runner.missing_engine():
        pytest.skip(reason)
    if runner.name == "sqlite" and text == "+10":
        pytest.skip("SQLite reads numbers as JSON writes them")
    rows = whole_row("digits", text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", TableWarning)
        wanted = whole().predict_proba(rows)
    np.testing.assert_allclose(runner.probabilities(build_program(whole()), rows, tmp_path), wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize(("kind", "cell"), [("DECIMAL(3, 2)", 1.0), ("REAL", 0.0), ("INTEGER", 1), ("INTEGER", 2)])
def test_numbers_are_booleans_where_training_had_true_and_false(dialect: Dialect, kind: str, cell: Any) -> None:
    runner = BY_DIALECT[dialect]
    if reason := runner.missing_engine():
        pytest.skip(reason)
    rows = whole_row("flag", cell)
    create = f"CREATE TEMP TABLE input (digits VARCHAR, flag {kind})"
    found = runner.answer(sql_query(build_program(whole()), dialect), rows, create).last(2)[0]
    check(list(found), None if cell == 2 else whole().predict_proba(rows)[0])


DECIMAL = pa.array([Decimal("1.50")], pa.decimal128(5, 2))


@pytest.mark.parametrize("dialect", Dialect)
@pytest.mark.parametrize(
    ("name", "kind", "cell"),
    [
        ("digits", "DOUBLE PRECISION", pa.array([1.5])),
        ("digits", "DOUBLE PRECISION", pa.array([0.41000000000000003])),
        ("digits", "DOUBLE PRECISION", pa.array([1e20])),
        ("digits", "INTEGER", pa.array([2])),
        ("digits", "DECIMAL(5, 2)", DECIMAL),
        ("digits", "DECIMAL(5, 2)", pa.array([Decimal("2.00")], pa.decimal128(5, 2))),
        ("digits", "VARCHAR", pa.array(["1.5"])),
        ("digits", "DOUBLE PRECISION", pa.array([None], pa.float64())),
        ("fraction", "DECIMAL(5, 2)", pa.array([Decimal("0.10")], pa.decimal128(5, 2))),
        ("fraction", "DOUBLE PRECISION", pa.array([0.41000000000000003])),
        ("fraction", "DOUBLE PRECISION", pa.array([float("inf")])),
        ("code", "DOUBLE PRECISION", pa.array([14.0])),
        ("number", "DECIMAL(5, 2)", DECIMAL),
    ],
)
def test_numbers_of_every_type_are_compared_by_value(dialect: Dialect, name: str, kind: str, cell: pa.Array) -> None:
    if dialect is Dialect.SQLITE and pa.types.is_decimal(cell.type):
        cell = cell.cast(pa.float64())  # SQLite has no decimals
    check(from_database(dialect, name, kind, cell), expected(name, cell))


@pytest.mark.parametrize("dialect", [Dialect.DUCKDB, Dialect.POSTGRES])
@pytest.mark.parametrize("name", ["fraction", "digits"])
def test_single_precision_is_the_level_of_its_digits(dialect: Dialect, name: str) -> None:
    value = 0.1 if name == "fraction" else 1.5
    found = from_database(dialect, name, "REAL", pa.array([value]))
    check(found, expected(name, pa.array([value], pa.float32())))


@pytest.mark.parametrize(
    ("dialect", "name"), [(Dialect.DUCKDB, "bit"), (Dialect.POSTGRES, "bit"), (Dialect.DUCKDB, "number")]
)
def test_booleans_are_numbers_where_training_had_zero_and_one(dialect: Dialect, name: str) -> None:
    for value in (True, False):
        cell = pa.array([value])
        check(from_database(dialect, name, "BOOLEAN", cell), expected(name, cell))


def test_postgres_refuses_booleans_for_other_numbers() -> None:
    with pytest.raises(Exception, match="cannot cast type boolean to double precision"):
        from_database(Dialect.POSTGRES, "number", "BOOLEAN", pa.array([True]))


def test_duckdb_reads_times_of_day() -> None:
    cell = pa.array([time(9, 30)])
    check(from_database(Dialect.DUCKDB, "hour", "TIME", cell), expected("hour", cell))


def test_infinite_codes_are_unseen_in_every_target(tmp_path: Path) -> None:
    rows = pa.table({name: cell for name, cell in ROW.items() if name != "fraction"} | {"fraction": [float("inf")]})
    wanted = expected("fraction", pa.array([float("inf")]))
    for runner in (OnnxRunner(), CRunner()):
        if runner.missing_engine() is None:
            found = runner.probabilities(program(), rows, tmp_path)
            np.testing.assert_allclose(found[0], wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "value", "cell"),
    [
        ("digits", 1.5, pa.array([1.5])),
        ("digits", 2, pa.array([2])),
        ("digits", "1.5", pa.array(["1.5"])),
        ("code", "07", pa.array(["07"])),
        ("code", "7.0", pa.array(["7.0"])),
        ("code", "NA", pa.array(["NA"])),
        ("day", "NA", pa.array(["NA"])),
        ("day", "?", pa.array(["?"])),
        ("hour", "09:30", pa.array(["09:30"])),
        ("hour", "09:30:00", pa.array([time(9, 30)])),
    ],
)
def test_javascript_reads_values_as_the_library(name: str, value: Any, cell: pa.Array, tmp_path: Path) -> None:
    if reason := JavaScriptRunner().missing_engine():
        pytest.skip(reason)
    row = {"number": 1.5, "bit": 1, "code": 7, "fraction": 0.1, "digits": "1.50", "day": "2020-01-10", "hour": 30600}
    answer = call(program(), [row | {name: value}], tmp_path)[0]
    wanted = expected(name, cell)
    assert ("error" in answer) == (wanted is None)
    if wanted is not None:
        np.testing.assert_allclose(answer["probabilities"], wanted, rtol=0, atol=1e-12)


def test_runners_cover_every_dialect() -> None:
    assert set(BY_DIALECT) == set(Dialect)
    assert all(isinstance(runner, SqlRunner) for runner in SQL_RUNNERS)
