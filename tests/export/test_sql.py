"""Statements in SQL: hostile names, invalid values, refusals, sizes, and what surrounds the probabilities."""

from __future__ import annotations

import datetime
import math
import sqlite3
import sys
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from softreg import SoftmaxRegression
from softreg.export import ExportError, Program, build_program
from softreg.export.probability_maps import IsotonicShares, ReplaceZeros, ShiftRates, Step, StepCurve
from softreg.export.program import (
    BooleanTerm,
    CodeTerm,
    CurveTerm,
    Cycle,
    CycleTerm,
    Input,
    InputKind,
    LevelTerm,
    LinearTerm,
    MissingTerm,
    TagsTerm,
    Term,
    TrendTerm,
    VectorTerm,
)
from softreg.export.sql.calendar_phases import MONTH_LENGTHS
from softreg.export.sql.query import Dialect, sql_query
from softreg.export.sql.syntax import BLANKS
from softreg.tables.encode.date_encoder import cycle_phase

from .sql_runner import SQL_RUNNERS, Answer, SqlRunner

HOSTILE = (
    "'; DROP TABLE input; --", '"; DROP TABLE input; --', "\\'; DROP TABLE input; --", "a\n; DROP TABLE input; --",
    "b\r\nDROP TABLE input;", "c\u2028DROP", "*/ DROP", "$$", "\\", "''", '""', "%s %(x)s", ":name ?1 @x $1", "\x85d",
    "-- e", "/*", "NULL", "prediction", "softreg:row", "r", "x0", "w", " ", "\t",
)  # fmt: skip
"""Names and labels that try to leave a comment, an identifier or a literal."""
INFINITE = float("inf")


def engines(*dialects: Dialect) -> list[SqlRunner]:
    """The runners of some dialects, of all by default."""
    return [runner for runner in SQL_RUNNERS if not dialects or runner.dialect in dialects]


def answer(runner: SqlRunner, program: Program, rows: pa.Table, create: str | None = None) -> Answer:
    """The answer of an engine that can run here."""
    if (reason := runner.missing_engine()) is not None:
        pytest.skip(reason)
    return runner.answer(sql_query(program, runner.dialect), rows, create)


def program_of(
    inputs: list[Input],
    terms: list[Term],
    width: int,
    q: int = 2,
    *,
    classes: tuple[str, ...] = (),
    steps: tuple[Step, ...] = (),
) -> Program:
    """A program with random weights."""
    random = np.random.default_rng(len(terms))
    labels = classes or tuple(f"class {k}" for k in range(q))
    shape = (width, len(labels))
    return Program(tuple(inputs), tuple(terms), random.normal(size=shape), random.normal(size=shape[1]), labels, steps)


def softmax(Z: np.ndarray) -> np.ndarray:
    """Probabilities of logits."""
    E = np.exp(Z - Z.max(axis=1, keepdims=True))
    return E / E.sum(axis=1, keepdims=True)


def number_program(classes: tuple[str, ...] = ("a", "b"), steps: tuple[Step, ...] = (), name: str = "n") -> Program:
    """A program of one number, x / 2 with missing values."""
    terms = [LinearTerm(0, 0, -INFINITE, INFINITE, 0.0, 2.0), MissingTerm(0, 1)]
    return program_of([Input(name, InputKind.NUMBER)], terms, 2, classes=classes, steps=steps)


def probabilities(program: Program, features: np.ndarray) -> np.ndarray:
    """What a program computes from features."""
    return softmax(features @ program.weights + program.bias)


@pytest.mark.parametrize("runner", SQL_RUNNERS, ids=lambda runner: runner.name)
def test_hostile_names_labels_and_levels_stay_what_they_are(runner: SqlRunner) -> None:
    inputs = [Input(name, InputKind.NUMBER) for name in HOSTILE] + [Input("level", InputKind.CATEGORY)]
    terms: list[Term] = [LinearTerm(k, k, -9.0, 9.0, 0.5, 2.0) for k in range(len(HOSTILE))]
    d = len(HOSTILE)
    terms.append(LevelTerm(d, d, {word: k for k, word in enumerate(HOSTILE)}, -1, d))
    program = replace(program_of(inputs, terms, 2 * d + 1, classes=HOSTILE), target="'\n; DROP TABLE input; --")
    X = np.random.default_rng(0).normal(size=(d, d))
    columns = {name: X[:, j] for j, name in enumerate(HOSTILE)} | {"level": list(HOSTILE)}
    found = answer(runner, program, pa.table(columns))
    one_hot = np.zeros((d, d + 1))
    for i, word in enumerate(HOSTILE):
        one_hot[i, i if word.strip() else d] = 1
    expected = probabilities(program, np.column_stack([(X - 0.5) / 2, one_hot]))
    np.testing.assert_allclose(np.array(found.last(d), dtype=float), expected, atol=1e-14)
    assert [row[d + 1] for row in found.rows] == [HOSTILE[k] for k in expected.argmax(axis=1)]
    assert found.names[: d + 1] == list(columns)
    assert found.names[d + 1] == "prediction__"  # a column and a class have the name before
    assert found.names[d + 2 :] == [f"{name}_" for name in HOSTILE]


@pytest.mark.parametrize("dialect", Dialect)
def test_each_line_of_the_head_is_a_comment(dialect: Dialect) -> None:
    inputs = [Input(name, InputKind.NUMBER, note="a note") for name in HOSTILE]
    inputs.append(Input("flag", InputKind.BOOLEAN, true_words=("yes\n; DROP",), false_words=("no",)))
    program = replace(program_of(inputs, [], 0, classes=HOSTILE), target="x\r\ny\u2029", version="1.2")
    statement = sql_query(program, dialect)
    head = statement[: statement.index("\nWITH" if dialect is not Dialect.SQLITE else "\nSELECT")]
    assert all(line.startswith("-- ") for line in head.splitlines())
    assert all(part in head for part in (r"'x\r\ny\u2029'", "1.2", "'flag'", "NULL"))


@pytest.mark.parametrize("runner", SQL_RUNNERS, ids=lambda runner: runner.name)
def test_numbers_that_are_missing_invalid_or_extreme(runner: SqlRunner) -> None:
    program = number_program()
    values = [None, math.nan, INFINITE, -INFINITE, 0.0, -0.0, 5e-324, -5e-324, 1e-310, 1.0, 1490.0, 3000.0, -1e9, 1e150]
    if runner.dialect is Dialect.SQLITE:
        values[1] = None  # as which SQLite stores nan
    given = pa.table({"n": pa.array(values, pa.float64(), from_pandas=False)})
    found = np.array(answer(runner, program, given).last(2), dtype=float)
    x = np.array([np.nan if v is None else v for v in values])
    missing = np.isnan(x)
    expected = probabilities(program, np.column_stack([np.where(missing | np.isinf(x), 0, x / 2), missing]))
    expected[np.isinf(x)] = np.nan
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=5e-323)


@pytest.mark.parametrize("runner", SQL_RUNNERS, ids=lambda runner: runner.name)
def test_every_magnitude_has_a_result_and_no_error(runner: SqlRunner) -> None:
    steps = (ReplaceZeros(0.01, 5e-324), ShiftRates((1e-3, 2.0, 1e-30)), IsotonicShares(
        tuple(StepCurve((0.0, 1e-300, 1e-3, 1.0), (0.0, 1e-9, 0.4, 0.9)) for _ in range(3)), 1e-3))  # fmt: skip
    program = replace(number_program(("a", "b", "c"), steps), weights=np.array([[1.0, -1.0, 1e-200], [0.1, 0, 0]]))
    sizes = [float(sign * 2.0**k) for k in range(-1074, 1024, 7) for sign in (1, -1)] + [sys.float_info.max]
    sizes += list(np.arange(1350, 1520, 0.7))  # exp of subnormal results
    found = np.array(answer(runner, program, pa.table({"n": sizes})).last(3), dtype=float)
    ordinary = np.abs(sizes) < 1e290  # larger ones may have no prediction
    assert np.isfinite(found[ordinary]).all()
    np.testing.assert_allclose(found[ordinary].sum(axis=1), 1, atol=1e-12)
    assert (np.isnan(found).all(axis=1) | np.isfinite(found).all(axis=1)).all()


@pytest.mark.parametrize("runner", SQL_RUNNERS, ids=lambda runner: runner.name)
def test_probabilities_underflow_as_float64(runner: SqlRunner) -> None:
    program = replace(number_program(("a", "b", "c")), weights=np.array([[2.0, 0, 0], [0, 0, 0]]), bias=np.zeros(3))
    x = np.arange(-746.0, -700.0, 0.25)
    found = np.array(answer(runner, program, pa.table({"n": x})).last(3), dtype=float)
    expected = np.exp(x) / (np.exp(x) + 2)
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-12, atol=1e-323)
    assert (found[x > -743.5, 0] > 0).all()


TEXT_NUMBERS = ["1", " 2.5 ", "-3e2", "", "  \u00a0", None, "abc", "0x1F", "1,5", "12abc", "--1", "1e999", "Infinity"]


@pytest.mark.parametrize("runner", SQL_RUNNERS, ids=lambda runner: runner.name)
def test_numbers_that_are_text(runner: SqlRunner) -> None:
    program = number_program()
    found = np.array(answer(runner, program, pa.table({"n": TEXT_NUMBERS})).last(2), dtype=float)
    features = np.array([[0.5, 0], [1.25, 0], [-150, 0], [0, 1], [0, 1], [0, 1]])
    np.testing.assert_allclose(found[:6], probabilities(program, features), rtol=1e-12)
    assert np.isnan(found[6:]).all()


@pytest.mark.parametrize("runner", engines(Dialect.POSTGRES, Dialect.DUCKDB), ids=lambda runner: runner.name)
def test_decimal_numbers(runner: SqlRunner) -> None:
    program = number_program()
    given = pa.table({"n": pa.array(["1.50", None, "-0.25"])})
    created = "CREATE TABLE input (n numeric(30, 10))"
    found = np.array(answer(runner, program, given, created).last(2), dtype=float)
    expected = probabilities(program, np.array([[0.75, 0], [0, 1], [-0.125, 0]]))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_postgres_decimals_beyond_float64_are_invalid() -> None:
    (runner,) = engines(Dialect.POSTGRES)
    given = pa.table({"n": ["NaN", "Infinity", "1e400", "-1e-500", "1e200"]})
    found = np.array(answer(runner, number_program(), given, "CREATE TABLE input (n numeric)").last(2), dtype=float)
    assert np.isnan(found).any(axis=1).tolist() == [False, True, True, True, True]


@pytest.mark.parametrize("runner", SQL_RUNNERS, ids=lambda runner: runner.name)
@pytest.mark.parametrize("kind", ["text", "boolean", "integer"])
def test_booleans_of_several_types(runner: SqlRunner, kind: str) -> None:
    words = Input("b", InputKind.BOOLEAN, true_words=("true", "1", "1.0", "é"), false_words=("false", "0", "0.0"))
    program = program_of([words], [BooleanTerm(0, 0, 0.25), MissingTerm(0, 1)], 2)
    given = {
        "text": ([" TRUE", "É", "False", "0", "\u2003", None, "maybe", "yes"], [1, 1, 0, 0, None, None, -1, -1]),
        "boolean": ([True, False, None], [1, 0, None]),
        "integer": (pa.array([1, 0, None, 2]), [1, 0, None, -1]),
    }[kind]
    found = np.array(answer(runner, program, pa.table({"b": given[0]})).last(2), dtype=float)
    features = np.array([[0.25 if v is None else v, v is None] for v in given[1]], dtype=float)
    expected = probabilities(program, features)
    expected[[v == -1 for v in given[1]]] = np.nan
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("runner", SQL_RUNNERS, ids=lambda runner: runner.name)
def test_levels_are_compared_byte_by_byte_whatever_the_collation(runner: SqlRunner) -> None:
    read = Input("c", InputKind.CATEGORY, missing_words=("none",))
    program = program_of([read], [LevelTerm(0, 0, {"a": 0, "b": 1, "é": 2}, 3, 4)], 5, 3)
    words = ["a", "A", "b", " a", "e\u0301", "é", None, "\u3000\x1c", " none ", "NONE", "z"]
    places = [0, 3, 1, 3, 3, 2, 4, 4, 4, 3, 3]
    created = {
        Dialect.SQLITE: "CREATE TABLE input (c TEXT COLLATE NOCASE)",
        Dialect.DUCKDB: "CREATE TABLE input (c VARCHAR COLLATE NOCASE)",
        Dialect.POSTGRES: "CREATE COLLATION loose (provider=icu, locale='und-u-ks-level1', deterministic=false);"
        "CREATE TABLE input (c text COLLATE loose)",
    }[runner.dialect]
    found = np.array(answer(runner, program, pa.table({"c": words}), created).last(3), dtype=float)
    np.testing.assert_allclose(found, probabilities(program, np.eye(5)[places]), rtol=1e-12)


@pytest.mark.parametrize("runner", SQL_RUNNERS, ids=lambda runner: runner.name)
def test_codes_are_compared_exactly(runner: SqlRunner) -> None:
    numbers = sorted({*np.random.default_rng(0).normal(size=40).tolist(), 0.1, 1e300, 2.0**53, -7.0, 5e-324, 1 / 3})
    read = Input("c", InputKind.CODE, missing_numbers=(-9.0, 0.7))
    terms = [CodeTerm(0, 0, {number: k for k, number in enumerate(numbers)}, len(numbers), len(numbers) + 1)]
    program = program_of([read], terms, len(numbers) + 2)
    rows = [*numbers, *np.nextafter(numbers, np.inf), -9.0, 0.7, None]
    exact = [k for k, number in enumerate(numbers) if runner.dialect is not Dialect.SQLITE or 1e-5 < abs(number) < 1e17]
    places = [*range(len(numbers)), *[len(numbers)] * len(numbers), *[len(numbers) + 1] * 3]
    found = np.array(answer(runner, program, pa.table({"c": pa.array(rows, pa.float64())})).last(2), dtype=float)
    expected = probabilities(program, np.eye(len(numbers) + 2)[places])
    checked = [*exact, *(len(numbers) + k for k in exact), *range(2 * len(numbers), len(rows))]
    np.testing.assert_allclose(found[checked], expected[checked], rtol=1e-12)


@pytest.mark.parametrize("runner", SQL_RUNNERS, ids=lambda runner: runner.name)
def test_the_calendar_of_two_thousand_years(runner: SqlRunner) -> None:
    terms = [CycleTerm(0, 2 * k, cycle) for k, cycle in enumerate(Cycle)]
    program = program_of([Input("t", InputKind.DATE)], terms, 8)
    random = np.random.default_rng(0)
    days = np.arange("1896-01-01", "1905-01-01", dtype="M8[D]").astype("M8[ms]")
    others = random.integers(-62_135_596_800, 253_402_300_799, 4000).astype("M8[s]").astype("M8[ms]")
    times = np.concatenate([days, others + random.integers(0, 1000, 4000).astype("m8[ms]")])
    seconds = times.astype(np.int64) / 1e3
    angles = [2 * np.pi * cycle_phase(cycle, seconds) for cycle in Cycle]
    expected = probabilities(program, np.column_stack([f(angle) for angle in angles for f in (np.sin, np.cos)]))
    found = np.array(answer(runner, program, pa.table({"t": times.astype("M8[us]")})).last(2), dtype=float)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_the_year_has_its_days() -> None:
    assert sum(MONTH_LENGTHS) == 365 - 28


@pytest.mark.parametrize("runner", engines(Dialect.SQLITE, Dialect.DUCKDB), ids=lambda runner: runner.name)
def test_times_that_are_text(runner: SqlRunner) -> None:
    terms = [TrendTerm(0, 0, 1.6e9, 1e8), MissingTerm(0, 1)]
    program = program_of([Input("t", InputKind.DATE, missing_words=("?",))], terms, 2)
    texts = ["2020-02-29", "2020-02-29T12:30", "1969-12-31 23:59:59.25", "", " ? ", None, "2021-02-29", "now", "abc",
             "2020-13-01", "2020-02-29 25:00", "2020-1-1x"]  # fmt: skip
    found = np.array(answer(runner, program, pa.table({"t": texts})).last(2), dtype=float)
    known = [
        datetime.datetime.fromisoformat(text).replace(tzinfo=datetime.UTC).timestamp() for text in texts[:3] if text
    ]
    features = np.array([[(t - 1.6e9) / 1e8, 0] for t in known] + [[0, 1]] * 3)
    np.testing.assert_allclose(found[:6], probabilities(program, features), rtol=1e-12)
    assert np.isnan(found[6:]).all()


@pytest.mark.parametrize("runner", engines(Dialect.POSTGRES, Dialect.DUCKDB), ids=lambda runner: runner.name)
def test_times_beyond_the_range_are_invalid(runner: SqlRunner) -> None:
    program = program_of([Input("t", InputKind.DATE)], [TrendTerm(0, 0, 1.6e9, 1e8), CycleTerm(0, 1, Cycle.DAY)], 3)
    if (reason := runner.missing_engine()) is not None:
        pytest.skip(reason)
    given, created = pa.table({"t": ["infinity", "-infinity", "2020-01-01"]}), "CREATE TABLE input (t date)"
    statement = f'SELECT "class 0", "class 1" FROM (\n{sql_query(program, runner.dialect)}) AS q'
    found = np.array(runner.answer(statement, given, created).last(2), dtype=float)
    assert np.isnan(found).any(axis=1).tolist() == [True, True, False]


@pytest.mark.parametrize("runner", engines(Dialect.POSTGRES, Dialect.DUCKDB), ids=lambda runner: runner.name)
def test_vectors_of_another_length_or_with_gaps_are_invalid(runner: SqlRunner) -> None:
    terms = [VectorTerm(0, 0, (0.5, 0.0), 2.0), MissingTerm(0, 2)]
    program = replace(
        program_of([Input("v", InputKind.VECTOR, length=2)], terms, 3), weights=np.array([[1.0, 2], [0, 0], [3, 1]])
    )
    rows = [
        [1.0, 2.0],
        None,
        [1.0],
        [1.0, 2.0, 3.0],
        [1.0, None],
        [1.0, math.nan],
        [-INFINITE, 0.0],
        [1.0, INFINITE],
        [],
    ]
    found = np.array(
        answer(runner, program, pa.table({"v": pa.array(rows, pa.list_(pa.float64()))})).last(2), dtype=float
    )
    expected = probabilities(program, np.array([[0.25, 1, 0], [0, 0, 1]]))
    np.testing.assert_allclose(found[:2], expected, rtol=1e-12)
    assert np.isnan(found[2:]).all()


def tags_program(tags: tuple[str, ...] = ("a", "b'", "ü"), other: int = 3) -> Program:
    """A program of tags."""
    read = Input("t", InputKind.TAGS, levels=tags)
    return program_of([read], [TagsTerm(0, 0, {tag: k for k, tag in enumerate(tags)}, other)], len(tags) + 1)


@pytest.mark.parametrize("runner", SQL_RUNNERS, ids=lambda runner: runner.name)
@pytest.mark.parametrize("other", [3, -1])
def test_tags(runner: SqlRunner, other: int) -> None:
    rows = [["a"], ["a", "a"], ["ü", "b'"], ["A"], [], None, [None], ["new", "a", "newer"]]
    features = np.array(
        [[1, 0, 0, 0], [1, 0, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1], [0] * 4, [0] * 4, [0] * 4, [1, 0, 0, 1]]
    )
    program = tags_program(other=other)
    if other < 0:
        features[:, 3] = 0
    found = np.array(
        answer(runner, program, pa.table({"t": pa.array(rows, pa.list_(pa.string()))})).last(2), dtype=float
    )
    np.testing.assert_allclose(found, probabilities(program, features), rtol=1e-12)


def test_sqlite_tags_that_are_no_array_of_text_are_invalid() -> None:
    (runner,) = engines(Dialect.SQLITE)
    rows = ["", " ", "[]", "a", '{"a": 1}', "[1]", '["a"', '["a\\u0000"]', '"a"']
    found = np.array(answer(runner, tags_program(), pa.table({"t": rows})).last(2), dtype=float)
    assert np.isnan(found).any(axis=1).tolist() == [False] * 3 + [True] * 6


@pytest.mark.parametrize("runner", SQL_RUNNERS, ids=lambda runner: runner.name)
def test_rows_of_nulls_and_empty_tables(runner: SqlRunner) -> None:
    inputs = [Input("n", InputKind.NUMBER), Input("c", InputKind.CATEGORY), Input("d", InputKind.DATE),
              Input("o", InputKind.NUMBER, required=True)]  # fmt: skip
    terms: list[Term] = [
        LinearTerm(0, 0, -1.0, 1.0, 0.1, 2.0),
        CurveTerm(0, 1, (-1.0, 1.0), (-2.0, 2.0)),
        LevelTerm(1, 2, {"a": 0}, -1, -1),
        CycleTerm(2, 3, Cycle.YEAR),
        LinearTerm(3, 5, -1.0, 1.0, 0.0, 1.0),
    ]
    program = program_of(inputs, terms, 6)
    rows = pa.table({"n": pa.nulls(2, pa.float64()), "c": pa.nulls(2, pa.string()),
                     "d": pa.nulls(2, pa.timestamp("us")), "o": pa.array([0.5, None])})  # fmt: skip
    found = answer(runner, program, rows)
    expected = probabilities(program, np.array([[0, 0, 0, 0, 0, 0.5]]))
    np.testing.assert_allclose(np.array(found.last(2)[0], dtype=float), expected[0], rtol=1e-12)
    assert found.last(3)[1] == [None] * 3
    empty = answer(runner, program, rows.slice(0, 0))
    assert empty.rows == []
    assert empty.names == ["n", "c", "d", "o", "prediction", "class 0", "class 1"]


@pytest.mark.parametrize("runner", SQL_RUNNERS, ids=lambda runner: runner.name)
def test_all_rows_and_columns_are_there_in_order(runner: SqlRunner) -> None:
    rows = pa.table(
        {"s0": np.arange(5000) % 7, "n": np.arange(5000) % 3 + 0.5, "f": ["same"] * 5000, "p0": [1.5] * 5000}
    )
    found = answer(runner, number_program(), rows)
    assert [list(row[:4]) for row in found.rows] == [list(row.values()) for row in rows.to_pylist()]


@pytest.mark.parametrize("runner", SQL_RUNNERS, ids=lambda runner: runner.name)
@pytest.mark.parametrize("classes", [(0, 1, 5), (True, False), (0.5, 2.0), ("1", "x"), (1, "x"), (2**70, 1)])
def test_labels_have_their_type(runner: SqlRunner, classes: tuple[object, ...]) -> None:
    program = number_program(classes)  # type: ignore[arg-type]
    x = np.array([-900.0, 0.0, 900.0])
    found = answer(runner, program, pa.table({"n": x}))
    winners = probabilities(program, np.column_stack([x / 2, 0 * x])).argmax(axis=1)
    alike = len({type(label) for label in classes}) == 1 and classes[0] != 2**70
    expected = [classes[k] if alike else program.label_texts[k] for k in winners]
    given = [row[1] for row in found.rows]
    assert given == expected
    if runner.dialect is not Dialect.SQLITE:
        assert [type(value) for value in given] == [type(value) for value in expected]


@pytest.mark.parametrize("runner", SQL_RUNNERS, ids=lambda runner: runner.name)
def test_labels_that_no_column_can_have_get_other_names(runner: SqlRunner) -> None:
    labels = ("", "N", "n", "n_", "ü" * 40, "ü" * 41, "PREDICTION")
    found = answer(runner, number_program(labels), pa.table({"n": [1.0]}))
    names = found.names
    assert len({name.lower() for name in names}) == len(names) == len(labels) + 2
    assert names[:2] == ["n", "prediction_"]
    assert names[2:6] == ["_", "N_", "n__", "n___"]
    assert found.rows[0][1] in labels


@pytest.mark.parametrize("runner", SQL_RUNNERS, ids=lambda runner: runner.name)
def test_a_thousand_levels_ten_classes_and_a_hundred_columns(runner: SqlRunner) -> None:
    random = np.random.default_rng(0)
    inputs = [Input("word", InputKind.CATEGORY), *(Input(f"n{k}", InputKind.NUMBER) for k in range(100))]
    knots, scores = np.sort(random.normal(size=(2, 60)))
    terms: list[Term] = [LevelTerm(0, 0, {f"level {k}": k for k in range(1000)}, 1000, 1001)]
    terms += [CurveTerm(k + 1, 1002 + k, tuple(knots.tolist()), tuple(scores.tolist())) for k in range(100)]
    program = program_of(inputs, terms, 1102, 10)
    X, place = random.normal(0, 1.5, size=(300, 100)), random.integers(0, 1001, 300)
    rows = pa.table({"word": [f"level {k}" for k in place]} | {f"n{k}": X[:, k] for k in range(100)})
    found = np.array(answer(runner, program, rows).last(10), dtype=float)
    features = np.column_stack([np.eye(1002)[place], np.interp(X, knots, scores)])
    np.testing.assert_allclose(found, probabilities(program, features), atol=1e-12)


@pytest.mark.parametrize("runner", SQL_RUNNERS, ids=lambda runner: runner.name)
def test_several_hundred_classes(runner: SqlRunner) -> None:
    steps = (ReplaceZeros(0.01, 5e-324), ShiftRates(tuple([1.0] * 300)))
    program = number_program(tuple(f"c{k}" for k in range(300)), steps)
    x = np.array([-3.0, 0.5, 2.0])
    found = np.array(answer(runner, program, pa.table({"n": x})).last(300), dtype=float)
    np.testing.assert_allclose(found, probabilities(program, np.column_stack([x / 2, 0 * x])), rtol=1e-11)


REFUSED: Mapping[str, tuple[Program, Dialect, str]] = {
    "text": (program_of([Input("body", InputKind.TEXT)], [], 0), Dialect.DUCKDB, "'body' is free text"),
    "vector": (program_of([Input("v", InputKind.VECTOR, length=3)], [], 0), Dialect.SQLITE, "'v' holds vectors of 3"),
    "case": (program_of([Input(n, InputKind.NUMBER) for n in ("a", "A")], [], 0), Dialect.DUCKDB, "'a' and 'A'"),
    "cut": (program_of([Input("x" * 63 + n, InputKind.NUMBER) for n in "ab"], [], 0), Dialect.POSTGRES, "cuts names"),
    "blank": (program_of([Input("", InputKind.NUMBER)], [], 0), Dialect.SQLITE, "empty name"),
    "zero": (number_program(("a", "b\0")), Dialect.DUCKDB, "zero character"),
    "surrogate": (number_program(("a", "b\ud800")), Dialect.DUCKDB, "no valid Unicode"),
    "zero tag": (tags_program(("a\0",)), Dialect.SQLITE, "'t' has the tag"),
    "wide": (program_of([Input(f"n{k}", InputKind.NUMBER) for k in range(2100)], [], 0), Dialect.SQLITE, "2,102"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_name_the_column_and_the_reason(name: str) -> None:
    program, dialect, message = REFUSED[name]
    with pytest.raises(ExportError, match=message):
        sql_query(program, dialect)


@pytest.mark.parametrize("runner", engines(Dialect.DUCKDB, Dialect.SQLITE), ids=lambda runner: runner.name)
def test_levels_with_zero_characters(runner: SqlRunner) -> None:
    terms = [LevelTerm(0, 0, {"a\0b": 0, "a": 1}, -1, -1)]
    program = program_of([Input("c", InputKind.CATEGORY)], terms, 2)
    found = np.array(answer(runner, program, pa.table({"c": ["a\0b", "a", "a\0"]})).last(2), dtype=float)
    np.testing.assert_allclose(found, probabilities(program, np.array([[1, 0], [0, 1], [0, 0]])), rtol=1e-12)


@pytest.mark.parametrize(
    ("table", "source"),
    [
        ("input", '"input"'),
        ("main.Input", '"main"."Input"'),
        ('"a.b".c', '"a.b"."c"'),
        ('"say ""so"""', '"say ""so"""'),
        ("x; DROP TABLE input; --", '"x; DROP TABLE input; --"'),
        ("it's\n", '"it\'s\n"'),
    ],
)
def test_names_of_tables(table: str, source: str) -> None:
    assert f"FROM {source} AS" in sql_query(number_program(), Dialect.DUCKDB, table)


@pytest.mark.parametrize("table", ["", ".", "a.", ".a", 'a"b', '"a', '"a"b', '""', "a..b"])
def test_no_names_of_tables(table: str) -> None:
    with pytest.raises(ExportError, match=r"no name of a table"):
        sql_query(number_program(), Dialect.SQLITE, table)


def test_a_view_and_a_missing_column_in_sqlite() -> None:
    (runner,) = engines(Dialect.SQLITE)
    if (reason := runner.missing_engine()) is not None:
        pytest.skip(reason)
    model = SoftmaxRegression(0.1).fit([[0.0], [1.0], [2.0]], ["a", "b", "b"])
    connection = sqlite3.connect(":memory:")
    connection.execute('CREATE VIEW "odd view" AS SELECT 1.5 AS x0')
    program = build_program(model)
    found = connection.execute(sql_query(program, Dialect.SQLITE, "odd view")).fetchall()
    np.testing.assert_allclose([found[0][2:]], model.predict_proba([[1.5]]), rtol=1e-14)
    connection.execute("CREATE TABLE input (y)")
    with pytest.raises(sqlite3.OperationalError, match="no such column"):
        connection.execute(sql_query(program, Dialect.SQLITE))
    connection.close()


def test_the_blanks_are_those_of_unicode() -> None:
    assert set(BLANKS) == {chr(code) for code in range(sys.maxunicode + 1) if chr(code).isspace()}
