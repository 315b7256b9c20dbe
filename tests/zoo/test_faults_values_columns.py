"""Odd values, constants, repeated identifiers and near-equal levels (faults F13 and F17)."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner

from softreg import TableClassifier
from softreg.cli import main
from softreg.tables import Encoder, Kind, TableError, infer_schema, without_bad_rows
from softreg.tables.columns.table_errors import TableWarning

from .test_faults_values import N, file_table, schema_of


def test_fault_f13_one_odd_zip_code_makes_a_category_and_is_named() -> None:
    codes = [str(10_000 + 37 * (i % 200)) for i in range(2000)]
    codes[700] = "12345-6789"
    column, _ = schema_of({"zip": codes}).columns
    assert column.kind is Kind.CATEGORY
    assert "row 701 has '12345-6789', so its values are taken for words" in column.hint
    assert "--number 'zip' --na '12345-6789'" in column.hint
    assert "--category 'zip'" in column.hint


def test_fault_f13_a_typo_among_numbers_is_missing_and_named(tmp_path: Path) -> None:
    values = [f"{v:.2f}" for v in np.random.default_rng(0).normal(size=5000)]
    values[4000] = "12o"
    table = file_table({"x": values, "y": ["a", "b"] * 2500})
    schema = infer_schema(table, "y")
    assert schema.features[0].missing == 1
    assert "row 4,001 has '12o', which is read as missing" in schema.warnings[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = TableClassifier("y", strength=1e-2).fit(table, rows=np.arange(3000))  # a row that is held out
        assert np.isfinite(model.predict_proba(table)).all()
    with pytest.raises(TableError, match="row 4,001 has '12o'"):
        infer_schema(table, "y", kinds={"x": Kind.NUMBER})
    assert without_bad_rows(table, "y")[1] == [4001]


def test_fault_f13_an_invalid_number_at_prediction_names_the_way_on() -> None:
    model = TableClassifier("y", strength=1e-2).fit(file_table({"x": ["1", "2"] * 30, "y": ["a", "b"] * 30}))
    with pytest.raises(TableError, match=r"row 2 has '12o'.* --na '12o'"):
        model.predict_proba(file_table({"x": ["1", "12o"]}))


def test_fault_f13_typos_beyond_the_sample_are_missing_and_named() -> None:
    values = [str(i / 7) for i in range(3000)]
    schema = infer_schema(file_table({"x": values, "y": ["a", "b"] * 1500}), "y")
    later = file_table({"x": [*values[:500], "12o", *values[501:]], "y": ["a", "b"] * 1500})
    with pytest.warns(TableWarning, match="the first of them row 501, have '12o', treated as missing"):
        encoder = Encoder.fit(schema, later.to_batches(max_chunksize=100))
    assert encoder.formats["x"].invalid == ("12o",)
    assert np.isfinite(encoder.encode(later)).all()
    many = file_table({"x": [*values[:2900], *["late"] * 100], "y": ["a", "b"] * 1500})
    with pytest.raises(TableError, match=r"row 2,901 has 'late'.* --na 'late'"):
        Encoder.fit(schema, many.to_batches(max_chunksize=100))


def test_fault_f13_a_model_of_typed_numbers_reads_text() -> None:
    model = TableClassifier("y", strength=1e-2).fit(file_table({"x": [1.0, 2.0] * 30, "y": ["a", "b"] * 30}))
    asked = file_table({"x": ["1.5", "?", "NULL", ""]})
    expected = model.predict_proba(file_table({"x": [1.5, None, None, None]}))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert (model.predict_proba(asked) == expected).all()


def test_fault_f13_constant_columns_are_left_out_on_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    rows = [f"{i % 17},same,,{'a' if i % 3 else 'b'}" for i in range(90)]
    path.write_text("x,c,v,y\n" + "\n".join(rows) + "\n")
    options = ["--target", "y", "--model", str(tmp_path / "m.softreg"), "--strength", "0.01"]
    for memory in ("auto", "low"):
        done = CliRunner().invoke(main, ["train", str(path), *options, "--memory", memory])
        assert done.exit_code == 0, done.output
        assert "2 columns hold one value each in every training row and are left out: 'c'" in " ".join(
            done.output.split()
        )


def test_fault_f13_a_column_without_another_says_what_it_was_taken_for() -> None:
    with pytest.raises(TableError, match="'x': constant"):
        schema_of({"x": ["same"] * N})


@pytest.mark.parametrize(
    ("levels", "said"),
    [
        (["Yes", "yes ", "no", "maybe"], "'Yes' (30 rows) and 'yes ' (30 rows)"),
        (["Caf\u00e9", "Cafe\u0301", "Bar", "Pub"], "'Café' (30 rows)"),
        (["New  York", "new york", "Bonn", "Ulm"], "'New  York' (30 rows) and 'new york' (30 rows)"),
    ],
)
def test_fault_f13_levels_and_labels_that_differ_in_blanks_or_case_are_pointed_out(
    levels: list[str], said: str
) -> None:
    column, _ = schema_of({"x": levels * 30}).columns
    assert len(column.levels) == 4
    assert said in column.notes[0]
    table = file_table({"x": [1.0, 2.0, 3.0, 4.5] * 30, "y": levels * 30})
    assert "column 'y' has labels that differ only in blanks, case or Unicode form" in infer_schema(table, "y").notes[0]
    assert not schema_of({"x": ["a", "b", "c", "d"] * 30}).warnings


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("subject", [str(i // 5) for i in range(N)]),
        ("patient_id", [(i * 7) % 30 for i in range(N)]),
        ("PatientID", [f"P{(i * 7) % 30:03d}" for i in range(N)]),
        ("nr", [1 + i // 4 for i in range(N)]),
        ("code", [f"S{i // 4}" for i in range(N)]),
    ],
)
def test_fault_f17_repeated_subjects_are_pointed_to_groups(name: str, values: list[Any]) -> None:
    (said,) = schema_of({name: values}).warnings
    assert f"--groups {name!r}" in said
    assert "it is used as a " in said


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("year", [1990 + i // 5 for i in range(N)]),
        ("trend", [1 + i // 5 for i in range(N)]),
        ("store_id", [1, 2] * (N // 2)),
        ("age", [20 + (i * 7) % 30 for i in range(N)]),
        ("town", [f"town {'abcdefghijklmnopqrstuvwxyz'[i // 5]}" for i in range(N)]),
        ("customer", ["new", "old"] * (N // 2)),
    ],
)
def test_fault_f17_other_columns_are_not(name: str, values: list[Any]) -> None:
    assert not schema_of({name: values}).warnings


def test_fault_f17_directors_of_whom_some_repeat_are_a_category() -> None:
    names = [f"Name{k}" for k in np.repeat(np.arange(418), [*[1] * 300, *[2] * 70, *[3] * 30, *[4] * 12, *[6] * 6])]
    assert schema_of({"director": names}).features[0].kind is Kind.CATEGORY
    rare = [f"Name{k}" for k in np.repeat(np.arange(320), [*[1] * 210, *[2] * 110])]
    assert judge_kind("director", rare) is Kind.IDENTIFIER


def judge_kind(name: str, values: list[str]) -> Kind:
    from softreg.tables.schema.infer_kind import infer_column

    return infer_column(name, pa.chunked_array([values])).kind
