"""Faults of commands: costs of decisions, and numbers with a sign as arguments."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import Result

import softreg
from softreg.tables import TableClassifier

from .helpers import run


def audited(tmp_path: Path, *costs: str) -> Result:
    path = tmp_path / "p.csv"
    path.write_text(
        "y,no,yes\n" + "".join(f"{'yes' if i % 3 else 'no'},{0.2 + i % 5 / 10},{0.8 - i % 5 / 10}\n" for i in range(60))
    )
    return run("audit", path, "--target", "y", *(word for cost in costs for word in ("--cost", cost)))


def test_fault_8_gains_of_right_decisions_are_costs_below_0_and_those_of_wrong_ones_are_refused(tmp_path: Path) -> None:
    assert "cost per row" in audited(tmp_path, "yes:yes=-40", "yes:no=0").stdout
    assert "cost per row" in audited(tmp_path, "yes:yes=2", "yes:no=60").stdout
    for costs in (("yes:no=-1",), ("yes:yes=-2", "yes:no=-3")):
        done = audited(tmp_path, *costs)
        assert done.exit_code == 2
        assert (
            "deciding 'no' where 'yes' is observed is a gain, and larger than that of the correct decision"
            in done.stderr
        )
    assert audited(tmp_path, "yes:yes=-3", "yes:no=-2").exit_code == 0


@pytest.mark.parametrize(("form", "told"), [("${}", "'$'"), ("{}%", "percent signs"), ("€ {}", "'€'")])
@pytest.mark.parametrize("comma", [False, True])
@pytest.mark.parametrize("asked", [(), ("--number", "c")])
def test_fault_9_numbers_with_a_sign_are_numbers(
    form: str, told: str, comma: bool, asked: tuple[str, ...], tmp_path: Path
) -> None:
    values = [form.format(f"{9417 + 7 * i}.15") for i in range(60)]
    if comma:
        values = [value.replace(",", "").replace(".", ",") for value in values]
    path = tmp_path / "f.tsv"
    path.write_text("c\ty\n" + "".join(f"{value}\t{'ab'[i * 7 % 5 > 2]}\n" for i, value in enumerate(values)))
    done = run("train", path, "--target", "y", "--strength", "0.1", *asked)
    assert done.exit_code == 0, done.stderr
    assert "column 'c' is read as numbers with" in done.stderr
    assert told in done.stderr
    assert ("decimal comma" in done.stderr) == comma


def test_fault_9_words_are_still_left_to_softreg() -> None:
    table = pa.table({"c": ["x1", "x2"] * 30, "y": ["a", "b"] * 30})
    with pytest.raises(softreg.tables.TableError, match=r"row 1 has 'x1'. Correct the value, treat it"):
        TableClassifier("y", number="c", strength=0.1).fit(table)
