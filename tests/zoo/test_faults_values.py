"""What the cells of a file mean: missing values, formats of numbers, odd values, constants (faults F13 and F17)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import softreg
from softreg import TableClassifier
from softreg.tables import Encoder, Kind, Schema, TableError, infer_schema, open_table, read_table
from softreg.tables.columns.missing_values import MISSING_SPELLINGS
from softreg.tables.columns.untyped_text import mark_untyped
from softreg.tables.formats.infer_number_format import infer_numbers
from softreg.tables.schema.infer_kind import infer_column

N = 120
VALUES = np.random.default_rng(0).normal(1500, 900, N).round(2)
LABELS = np.where(VALUES > 1500, "high", "low").tolist()


def file_table(columns: Mapping[str, Any]) -> pa.Table:
    """A table whose text has no type, as that of a file of text."""
    table = pa.table(columns)
    fields = [mark_untyped(field) if pa.types.is_string(field.type) else field for field in table.schema]
    return table.cast(pa.schema(fields))


def schema_of(columns: dict[str, Sequence[Any]], **options: Any) -> Schema:
    """The schema of columns and a target `y`."""
    n = len(next(iter(columns.values())))
    return infer_schema(file_table({**columns, "y": (["a", "b"] * n)[:n]}), "y", **options)


def encoded(columns: dict[str, Sequence[Any]]) -> np.ndarray[Any, Any]:
    """X of the columns, whose numbers are in their units."""
    schema = schema_of(columns)
    table = file_table({**columns})
    encoder = Encoder.fit(schema, table).with_standardized_numbers()
    code: Any = encoder.column_encoders[0]
    return np.asarray(encoder.encode(table))[:, 0] * code.scale + code.mean


def heard(call: Callable[..., Any], *given: Any, **options: Any) -> tuple[Any, list[str]]:
    """What a call gives, and its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = call(*given, **options)
    return found, [str(one.message) for one in caught]


def written(folder: Path, values: Sequence[str], labels: Sequence[str] = LABELS, mark: str = ";") -> str:
    """A file of text with a column x and the labels."""
    path = folder / "table.csv"
    lines = (f'"{value}"{mark}{label}' for value, label in zip(values, labels, strict=True))
    path.write_text(f"x{mark}y\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


# Missing values


@pytest.mark.parametrize("spelling", [one for one in MISSING_SPELLINGS if one])
@pytest.mark.parametrize("write", [str.upper, str.title, lambda text: f" {text} "])
def test_fault_f13_spellings_of_missing_numbers(spelling: str, write: Callable[[str], str]) -> None:
    values = [*map(str, VALUES[:-2]), write(spelling), write(spelling)]
    (column, _) = (schema := schema_of({"x": values})).columns
    assert (column.kind, column.missing) == (Kind.NUMBER, 2)
    assert f"'x' ({write(spelling).strip()!r} in 2 rows)" in schema.warnings[-1]


def test_fault_f13_missing_in_dates_and_never_in_words() -> None:
    days = [f"2020-01-{1 + i % 28:02d}" for i in range(N - 1)]
    schema = schema_of({"when": [*days, "?"], "word": [*["north", "south"] * (N // 2 - 1), "?", "NA"]})
    assert [column.kind for column in schema.features] == [Kind.DATE, Kind.CATEGORY]
    assert schema.features[1].levels == ("?", "NA", "north", "south")
    assert "'when' ('?' in 1 row)" in schema.warnings[-1]
    table = file_table({"x": ["1", "2"] * 60, "y": ["?", "NA"] * 60})
    assert TableClassifier("y", strength=1e-2).fit(table).classes_.tolist() == ["?", "NA"]


def test_fault_f13_prediction_reads_the_same_spellings_and_counts_new_ones(tmp_path: Path) -> None:
    path = written(tmp_path, ["?", *map(str, VALUES[1:])])
    for memory in ("auto", "low"):
        model, said = heard(TableClassifier("y", strength=1e-3).fit, path, memory=memory)
        assert any("'x' ('?' in 1 row)" in one for one in said)
        model.save(tmp_path / "m.softreg")
        loaded = softreg.load(tmp_path / "m.softreg")
        assert (loaded.predict_proba(path) == model.predict_proba(path)).all()
        P, said = heard(loaded.predict_proba, file_table({"x": ["?", "#DIV/0!", "", None]}))
        assert (P[0] == P).all()
        assert said == [
            "column 'x': 1 of 4 rows (25%) holds a spelling of a missing value not seen in training, such as "
            "'#DIV/0!'; such rows are read as missing"
        ]


def test_fault_f13_na_is_missing_in_every_column(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    rows = [f"{i}.5,{'north' if i % 2 else 'south'},{'a' if i % 3 else 'b'}" for i in range(60)]
    path.write_text("x,word,y\n-9,none of it,a\n-9,north,b\n" + "\n".join(rows) + "\n")
    table = read_table(path, na=("-9", "none of it"))
    assert table.slice(0, 1).to_pylist() == [{"x": None, "word": None, "y": "a"}]
    model = TableClassifier("y", strength=1e-3).fit(table)
    assert model.schema_.columns[1].levels == ("north", "south")
    P = model.predict_proba(path)  # the model knows the spellings
    assert np.abs(P[0] - model.predict_proba(file_table({"x": [None], "word": [None]}))[0]).max() < 1e-15
    low = TableClassifier("y", strength=1e-3).fit(open_table(path, na=("-9", "none of it")), memory="low")
    assert low.encoder_ == model.encoder_
    typed = read_table_of({"x": [1, -9], "z": [1.5, -9.0], "d": pa.array(["-9", "b"]).dictionary_encode()})
    assert typed == [{"x": 1, "z": 1.5, "d": None}, {"x": None, "z": None, "d": "b"}]


def read_table_of(columns: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of a table in memory, in which -9 is missing."""
    from softreg.tables import as_table

    return as_table(file_table(columns), na=("-9",)).to_pylist()


# Formats of numbers


def grouped(value: float, group: str, decimal: str, digits: int = 2) -> str:
    return f"{value:,.{digits}f}".replace(",", "_").replace(".", decimal).replace("_", group)


FORMATS: dict[str, Callable[[float], str]] = {
    "plain": lambda v: f"{v:.2f}",
    "exponent": lambda v: f"{v:.9e}",
    "leading plus": lambda v: f"{v:+.2f}",
    "decimal comma": lambda v: f"{v:.2f}".replace(".", ","),
    "comma between thousands": lambda v: grouped(v, ",", "."),
    "point between thousands": lambda v: grouped(v, ".", ","),
    "blanks": lambda v: grouped(v, " ", ","),
    "blanks and point": lambda v: grouped(v, " ", "."),
    "narrow no-break spaces": lambda v: grouped(v, "\u202f", ","),
    "no-break spaces": lambda v: grouped(v, "\u00a0", ","),
    "apostrophes": lambda v: grouped(v, "'", "."),
    "typographic apostrophes": lambda v: grouped(v, "\u2019", "."),
    "dollar": lambda v: f"${v:,.2f}" if v >= 0 else f"-${-v:,.2f}",
    "dollar ahead of the minus": lambda v: f"${v:,.2f}",
    "euro behind": lambda v: f"{grouped(v, '.', ',')} €",
    "pound": lambda v: f"£ {v:,.2f}",
    "rupees": lambda v: f"₹{v:.2f}",
    "reais": lambda v: f"R$ {grouped(v, '.', ',')}",
    "code": lambda v: f"USD {v:,.2f}",
    "code behind": lambda v: f"{grouped(v, ' ', ',')} kr",
    "złoty": lambda v: f"{grouped(v, ' ', ',')} zł",
    "percent": lambda v: f"{v:.2f}%",
    "percent with a comma": lambda v: f"{v:.2f} %".replace(".", ","),
    "accounts": lambda v: f"({-v:,.2f})" if v < 0 else f"{v:,.2f}",
    "accounts with a dollar": lambda v: f"$({-v:,.2f})" if v < 0 else f"${v:,.2f}",
    "minus behind": lambda v: f"{-v:.2f}-" if v < 0 else f"{v:.2f}",
    "unicode minus": lambda v: f"{v:.2f}".replace("-", "\u2212"),
}


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(-(10**9), 10**9), min_size=3, max_size=12, unique=True))
def test_fault_f13_numbers_of_every_format(name: str, hundredths: list[int]) -> None:
    values = np.array([*(v / 100 for v in hundredths), 1234.5, -0.25, 7.0])
    texts = [FORMATS[name](v) for v in values]
    found = encoded({"x": texts})
    assert np.abs(found - values).max() <= 1e-9 * np.abs(values).max()


@pytest.mark.parametrize("name", FORMATS)
def test_fault_f13_formats_train_the_same_model(name: str, tmp_path: Path) -> None:
    path = written(tmp_path, [FORMATS[name](v) for v in VALUES])
    plain = TableClassifier("y", strength=1e-3, tol=1e-12).fit(file_table({"x": VALUES, "y": LABELS}))
    for memory in ("auto", "low"):
        model = heard(TableClassifier("y", strength=1e-3, tol=1e-12).fit, path, memory=memory)[0]
        assert np.abs(model.predict_proba(path) - plain.predict_proba(file_table({"x": VALUES}))).max() < 1e-9
        assert np.abs(model.predict_proba(file_table({"x": VALUES})) - model.predict_proba(path)).max() < 1e-9
        other = next(iter(open_table(path).batches()))
        assert np.abs(model.encoder_.encode(other) - model.encode(path)).max() == 0


@pytest.mark.parametrize(
    ("values", "note"),
    [
        (["3,14", "2,5"], "with a decimal comma: '3,14' is 3.14"),
        (["12,5 %", "3 %"], "with a decimal comma and percent signs: '12,5 %' is 12.5 (percent, not a share)"),
        (["$1,234.5", "$2"], "with ',' between thousands and '$': '$1,234.5' is 1234.5"),
        (["1'234", "2"], 'with apostrophes between thousands: "1\'234" is 1234'),
        (["(5)", "7"], "with negative numbers in parentheses: '(5)' is -5"),
        (["12,-", "7,50"], "'12,-' is 12"),
        (["1,234", "5,678"], "'1,234' is 1234; where the comma is the decimal mark, say --decimal ,"),
    ],
)
def test_fault_f13_the_format_is_said(values: list[str], note: str) -> None:
    column, _ = schema_of({"x": values}).columns
    assert column.kind is Kind.NUMBER
    assert note in column.notes[0]


@pytest.mark.parametrize(
    "values",
    [
        ["1.2.3", "1.2.10"],
        ["192.168.1.1", "10.0.0.1"],
        ["192.168.100.200", "192.168.100.201"],
        ["555 123 456", "600 123 457"],
        ["+48 600 123", "+48 601 124"],
        ["(1)", "(2)"],
        ["1-", "2", "3-"],
        ["$5", "€6"],
        ["12%", "0.5"],
        ["1,2", "1,2,3"],
        ["1,234", "1.234"],
        ["1:30", "2.5"],
        ["5 kg", "6 kg"],
        ["1_000", "2_000"],
    ],
)
def test_fault_f13_what_only_looks_like_numbers(values: list[str]) -> None:
    assert infer_column("x", pa.chunked_array([values * 3])).kind is Kind.CATEGORY


def test_fault_f13_dates_with_points_are_dates() -> None:
    assert infer_column("x", pa.chunked_array([["31.12.2020", "01.02.2021"]])).kind is Kind.DATE


def test_fault_f13_an_unclear_comma_is_decided_by_the_file(tmp_path: Path) -> None:
    unclear = [f"{1 + i % 9},{100 + i}" for i in range(N)]
    alone = schema_of({"x": unclear})
    assert alone.features[0].reason.startswith("1100 to")
    beside = schema_of({"x": unclear, "z": [f"{i},5" for i in range(N)]})
    assert beside.features[0].reason.startswith("1.1 to")
    assert "because other columns have a decimal comma; where the point is the decimal mark, say" in beside.warnings[0]
    points = schema_of({"x": [one.replace(",", ".") for one in unclear], "z": [f"{i},5" for i in range(N)]})
    assert points.features[0].reason.startswith("1100 to")
    table = read_table(written(tmp_path, unclear))
    assert infer_schema(table, "y").features[0].reason.startswith("1.1 to")
    assert "the fields are separated by semicolons" in infer_schema(table, "y").warnings[0]
    assert infer_schema(read_table(written(tmp_path, unclear), decimal="."), "y").features[0].reason[:4] == "1100"
    commas = read_table(written(tmp_path, unclear, mark="\t").replace(".csv", ".csv"), decimal=",")
    assert infer_schema(commas, "y").features[0].reason.startswith("1.1 to")
    plain = read_table(written(tmp_path, [one.replace(",", ".") for one in unclear]), decimal=",")
    assert infer_schema(plain, "y").features[0].reason.startswith("1100 to")


def test_fault_f13_another_format_at_prediction_is_never_a_factor_of_1000(tmp_path: Path) -> None:
    def trained(values: Sequence[str]) -> TableClassifier:
        return heard(TableClassifier("y", strength=1e-3).fit, file_table({"x": values, "y": LABELS}))[0]

    plain, comma = trained([f"{v:.2f}" for v in VALUES]), trained([f"{v:.2f}".replace(".", ",") for v in VALUES])
    thousands = trained([f"{int(v):,}" for v in VALUES])
    expected = plain.predict_proba(file_table({"x": [1234.5]}))
    for model in (plain, comma):
        for text in ("1234.5", "1234,5", "1,234.5", "1.234,5", "1 234,50", "€ 1234.5"):
            assert np.abs(heard(model.predict_proba, file_table({"x": [text]}))[0] - expected).max() < 1e-9, text
    for model, text in ((plain, "1,234"), (comma, "1.234"), (thousands, "1.234")):
        with pytest.raises(TableError, match=rf"row 2 has '{text}', which may be (1234|1.234) or .* --decimal \."):
            model.predict_proba(file_table({"x": ["5", text]}))
    german = written(tmp_path, ["1.234", *map(str, range(N - 1))])
    assert (thousands.predict_proba(read_table(german, decimal=","))[0] == plain_thousands(thousands)).all()
    with pytest.raises(TableError, match="row 1 has '5%', with a percent sign that training did not have"):
        plain.predict_proba(file_table({"x": ["5%"]}))
    mixed = file_table({"x": ["1.234", "5,25"]})  # the comma of the second makes the point of the first doubtful
    with pytest.raises(TableError, match=r"row 1 has '1.234', which may be"):
        plain.predict_proba(mixed)


def plain_thousands(model: TableClassifier) -> Any:
    return model.predict_proba(file_table({"x": [1234]}))[0]


def test_fault_f13_a_percent_sign_that_is_missing_is_said() -> None:
    model = heard(TableClassifier("y", strength=1e-3).fit, file_table({"x": [f"{v}%" for v in VALUES], "y": LABELS}))[0]
    said = heard(model.predict_proba, file_table({"x": ["12.5", "0", "12.5%"]}))[1]
    assert said == [
        "column 'x': 1 of 3 rows (33.3%) holds a number in a format not seen in training, such as '12.5'; "
        "the first of them is read as 12.5"
    ]


def test_infer_numbers_reads_amounts_of_south_asia() -> None:
    assert infer_numbers(pa.array(["12,34,567.5", "1,00,000"])).values.tolist() == [1234567.5, 100000.0]
