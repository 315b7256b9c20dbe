"""Faults of messages: many columns in one warning, commas in lists of columns, options that do not exist."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import softreg
from softreg.tables import TableClassifier, table_statistics

from .helpers import label, run_successfully, scores

STRENGTH = ["--target", "y", "--strength", "0.01", "--quiet"]


def test_fault_audit_names_no_option_that_it_does_not_have(tmp_path: Path) -> None:
    data = scores(tmp_path / "scores.csv", "p", ["no", "yes"])
    frame = pd.read_csv(data)
    frame.loc[3, "y"] = None
    frame.to_csv(data, index=False)
    result = run_successfully("audit", data, "--target", "y")
    assert "row 4" in result.stderr
    assert "--missing-target" not in result.stderr


def test_fault_a_flood_of_columns_out_of_range() -> None:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(60, 40)), columns=[f"v{j}" for j in range(40)])
    model = TableClassifier("y", strength=0.1).fit(frame.assign(y=list("ab") * 30))
    with pytest.warns(softreg.tables.TableWarning) as caught:
        model.predict_proba(frame * 100)
    assert len(caught) == 6
    assert "35 further columns" in str(caught[-1].message)


def test_fault_a_flood_of_columns_with_unseen_levels() -> None:
    frame = pd.DataFrame({f"v{j}": ["u", "w", "z"] * 20 for j in range(30)})
    model = TableClassifier("y", strength=0.1).fit(frame.assign(y=list("ab") * 30))
    with pytest.warns(softreg.tables.TableWarning) as caught:
        model.predict_proba(frame.replace("u", "new"))
    assert len(caught) == 21
    assert "10 further columns" in str(caught[-1].message)


def test_fault_lists_with_commas_in_statistics(tmp_path: Path) -> None:
    lines = [f"{i % 7},{i % 5},{i % 3},{label(i)}" for i in range(90)]
    (tmp_path / "d.csv").write_text("\n".join(['a,b,"c,d",y', *lines]) + "\n")
    shown = run_successfully("statistics", tmp_path / "d.csv", "--target", "y", "--drop", "a,c,d").stdout
    table = pa.table({"b": [i % 5 for i in range(90)], "y": [label(i) for i in range(90)]})
    assert shown.strip() == table_statistics(table, "y").text().strip()


def test_fault_kept_columns_with_commas_in_a_list(tmp_path: Path) -> None:
    lines = [f"{i % 7},{i % 5},{label(i)}" for i in range(60)]
    (tmp_path / "d.csv").write_text("\n".join(['k,"c,d",y', *lines]) + "\n")
    model = tmp_path / "m.softreg"
    run_successfully("train", tmp_path / "d.csv", *STRENGTH, "--model", model)
    shown = run_successfully("predict", model, tmp_path / "d.csv", "--keep", "k,c,d").stdout
    assert shown.startswith('"k","c,d","prediction"')


def test_fault_an_error_of_unknown_size_is_a_whole_sentence(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("x,y\n1,a\n2,b\n3,a\n")
    assert "off (root" not in run_successfully("train", tmp_path / "d.csv", *STRENGTH).stderr
