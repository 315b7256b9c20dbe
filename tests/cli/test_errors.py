"""Whatever is wrong with the input is told in one paragraph without traceback, with exit code 2."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

HEADER = "age,plan,buys\n"
ROWS = "".join(f"{20 + i},{'pro' if i % 3 else 'basic'},{'yes' if i % 2 else 'no'}\n" for i in range(20))
DATES = "when,buys\n" + "".join(f"2026-01-{1 + i:02d},{'yes' if i % 2 else 'no'}\n" for i in range(20))


def complaint(done: Any) -> str:
    """The paragraph on stderr, after checking that it is one and that nothing else was said."""
    assert done.exit_code == 2, (done.exit_code, done.output, done.exception)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    paragraphs = [line for line in done.stderr.splitlines() if line.startswith("softreg: ")]
    assert len(paragraphs) == 1, done.stderr
    return paragraphs[0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("", ["is empty"], id="empty file"),
        pytest.param(HEADER, ["no rows"], id="header only"),
        pytest.param(
            HEADER + ROWS + "1,pro,yes,4\n",
            ["Row 21", "line 22", "too many fields", "4 fields"],
            id="many fields",
        ),
        pytest.param(HEADER + ROWS + "1,pro\n", ["Row 21", "line 22", "too few fields"], id="few fields"),
        pytest.param(HEADER + ROWS.replace("yes", "no"), ["'buys'", "one class only", "'no'"], id="one class"),
        pytest.param(HEADER + ROWS + "inf,pro,yes\n", ["'age'", "inf", "row 21"], id="infinite number"),
        pytest.param(ROWS, ["reads like data", "--no-header", "column_1 to column_3"], id="no header"),
        pytest.param(
            "age,plan,buys\n" + "".join(f"{i % 7},pro,{i * 1.5}\n" for i in range(40)),
            ["'buys'", "40 different values", "a number to regress on"],
            id="a number as target",
        ),
    ],
)
def test_a_table_that_cannot_be_learned_from(run: Any, tmp_path: Path, text: str, told: list[str]) -> None:
    (tmp_path / "t.csv").write_text(text, "utf-8")
    said = complaint(run("train", tmp_path / "t.csv", "--target", "buys", "--quiet"))
    for words in told:
        assert words in said


@pytest.mark.parametrize(
    ("row", "options", "told"),
    [
        ("33,pro,maybe\n", ["--rare", "error"], ["'buys'", "single row", "'maybe'"]),
        ("1,pro,\n", ["--missing-target", "error"], ["'buys'", "no label", "21"]),
    ],
)
def test_rows_that_are_refused_where_they_are_not_to_be_left_out(
    run: Any, tmp_path: Path, row: str, options: list[str], told: list[str]
) -> None:
    (tmp_path / "t.csv").write_text(HEADER + ROWS + row, "utf-8")
    said = complaint(run("train", tmp_path / "t.csv", "--target", "buys", "--quiet", *options))
    for words in told:
        assert words in said


def test_a_missing_file_is_named_with_its_neighbours(run: Any, table: Path) -> None:
    said = complaint(run("train", table.with_name("customer.csv"), "--target", "buys"))
    assert "There is no file" in said
    assert "'customers.csv'" in said


def test_a_wrong_target_is_told_with_the_nearest_names(run: Any, table: Path) -> None:
    said = complaint(run("train", table, "--target", "Buy"))
    assert "'Buy'" in said
    assert "Did you mean 'buys'?" in said


def test_a_wrong_drop_is_told_with_the_nearest_names(run: Any, table: Path) -> None:
    assert "Did you mean 'plan'?" in complaint(run("train", table, "--target", "buys", "--drop", "plans", "--quiet"))


def test_bytes_that_are_no_csv(run: Any, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"PK\x03\x04 a spreadsheet")
    assert "damaged or truncated zip archive" in complaint(run("train", tmp_path / "t.csv", "--target", "y"))
    (tmp_path / "t.parquet").write_bytes(b"PAR1 cut short")
    assert "damaged or truncated" in complaint(run("train", tmp_path / "t.parquet", "--target", "y"))


def test_a_folder_is_no_table(run: Any, tmp_path: Path) -> None:
    assert "is a folder" in complaint(run("train", tmp_path, "--target", "y"))


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("--strength", "-1", "not a finite number of at least 0"),
        ("--strength", "inf", "not a finite number of at least 0"),
        ("--strength", "nan", "not a finite number of at least 0"),
        ("--test-size", "0", "does not lie between 0 and 1"),
        ("--test-size", "1", "does not lie between 0 and 1"),
        ("--test-size", "nan", "does not lie between 0 and 1"),
        ("--seed", "-1", "-1 is not in the range"),
    ],
)
def test_an_option_out_of_range(run: Any, table: Path, option: str, value: str, told: str) -> None:
    done = run("train", table, "--target", "buys", option, value)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert option in done.stderr
    assert told in done.stderr


def test_too_large_a_test_part(run: Any, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n1,x\n2,x\n3,y\n4,y\n", "utf-8")
    assert "must stay for training" in complaint(
        run("train", tmp_path / "t.csv", "--target", "b", "--test-size", "0.9")
    )


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--model", "no/such/m.softreg"], "the folder 'no/such' does not exist"),
        (["--report", "no/such/r.html"], "the folder 'no/such' does not exist"),
        (["--model", "m.html"], "should end in .softreg"),
        (["--report", "r.pdf"], "should end in .html"),
        (["--report", "folder.html"], "is a folder"),
        (["--model", "t.csv/m.softreg"], "is a file, not a folder"),
    ],
)
def test_a_place_that_cannot_be_written_is_told_before_the_work(
    run: Any, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.html").mkdir()
    (tmp_path / "t.csv").touch()
    monkeypatch.setattr("softreg.tables.TableClassifier.fit", lambda *_, **__: pytest.fail("the work was begun"))
    assert told in complaint(run("train", table, "--target", "buys", *options))


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(run: Any, table: Path, tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    said = complaint(run("train", table, "--target", "buys", "--model", tmp_path / "locked" / "m.softreg"))
    assert "is not writable" in said


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("plan,member\npro,yes\n", ["lacks the column 'age'"]),
        ("age,plan,member\nold,pro,yes\n", ["'age'", "row 1", "'old'"]),
        ("age,plan,member\n31,pro,perhaps\n", ["'member'", "row 1", "'perhaps'"]),
        ("age,plan,member\ninf,pro,yes\n", ["'age'", "row 1", "inf"]),
    ],
)
def test_predict_complains_by_name(run: Any, trained: Path, tmp_path: Path, text: str, told: list[str]) -> None:
    (tmp_path / "new.csv").write_text(text, "utf-8")
    said = complaint(run("predict", trained, tmp_path / "new.csv", "--output", tmp_path / "p.csv"))
    for words in told:
        assert words in said
    assert not (tmp_path / "p.csv").exists()


def test_predict_does_not_overwrite_its_data(run: Any, trained: Path, table: Path) -> None:
    before = table.read_bytes()
    assert "would be overwritten" in complaint(run("predict", trained, table, "--output", table))
    assert table.read_bytes() == before


def test_predict_writes_csv_or_parquet_only(run: Any, trained: Path, table: Path, tmp_path: Path) -> None:
    assert "should end in .csv" in complaint(run("predict", trained, table, "--output", tmp_path / "p.xlsx"))


def test_evaluate_names_a_label_that_training_did_not_have(run: Any, trained: Path, tmp_path: Path) -> None:
    (tmp_path / "new.csv").write_text("age,plan,member,buys\n31,pro,yes,007\n40,pro,no,7\n", "utf-8")
    assert "'7'" in complaint(run("evaluate", trained, tmp_path / "new.csv"))


@pytest.mark.parametrize("command", ["predict", "evaluate", "inspect"])
def test_a_model_file_that_is_missing_or_damaged(run: Any, trained: Path, table: Path, command: str) -> None:
    data = [] if command == "inspect" else [table]
    missing = trained.with_name("none.softreg")
    assert "There is no model file" in complaint(run(command, missing, *data))
    assert "is a folder" in complaint(run(command, trained.parent, *data))
    whole = trained.read_bytes()
    trained.write_bytes(whole[:-7])
    assert "m.softreg" in complaint(run(command, trained, *data))
    trained.write_bytes(whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:])
    assert "m.softreg" in complaint(run(command, trained, *data))
    assert "customers.csv" in complaint(run(command, table, *data))


def test_a_defect_of_softreg_keeps_its_traceback(run: Any, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        int("a bug")

    monkeypatch.setattr("softreg.tables.TableClassifier.fit", broken)
    done = run("train", table, "--target", "buys")
    assert done.exit_code == 1
    assert isinstance(done.exception, ValueError)
