"""Faults of repeated warnings, and of results whose display is too long."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from softreg import PredictionSets, TableClassifier, TableError, TableWarning, audit, label_audit, open_table
from softreg.cli import main
from softreg.tables import as_table, infer_schema


@pytest.fixture
def people() -> tuple[pd.DataFrame, pd.Series]:
    """Rows with two identifiers, which are left out, and labels."""
    random = np.random.default_rng(0)
    n = 120
    X = pd.DataFrame({"ticket": [f"A{i * 37 % 991}" for i in range(n)], "x1": random.normal(size=n)})
    X["cabin"] = [f"C{i * 53 % 997}" for i in range(n)]
    return X, pd.Series((X.x1 + random.normal(size=n) > 0).astype(int), name="y")


def given(call: Any) -> list[warnings.WarningMessage]:
    """The `TableWarning` of a call, where each is shown."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call()
    return [warning for warning in caught if issubclass(warning.category, TableWarning)]


def test_a_search_gives_each_kind_of_warning_once_at_the_line_of_the_caller(people: tuple) -> None:
    X, y = people
    model = TableClassifier(strength=1e-2)
    pipe = make_pipeline(FunctionTransformer(), model)
    for call in (
        lambda: cross_val_score(model, X, y, cv=4),
        lambda: cross_val_score(pipe, X, y, cv=4),
        lambda: GridSearchCV(model, {"strength": [1e-2, 1e-1]}, cv=3).fit(X, y),
    ):
        caught = given(call)
        kinds = [str(warning.message).partition(":")[0] for warning in caught]
        assert len(caught) <= 2, kinds  # identifiers, and perhaps a number outside those of training
        assert sum("identifiers" in kind for kind in kinds) == 1
        assert all(warning.filename == __file__ for warning in caught)


def test_fits_and_predictions_one_by_one_give_every_warning(people: tuple) -> None:
    X, y = people
    for model in (TableClassifier(strength=1e-2), make_pipeline(FunctionTransformer(), TableClassifier(strength=1e-2))):
        for _ in range(2):
            caught = given(lambda model=model: model.fit(X, y))
            assert len(caught) == 1
            assert caught[0].filename == __file__


def test_warnings_as_errors_stop_each_search(people: tuple) -> None:
    X, y = people
    for _ in range(2):
        with warnings.catch_warnings():
            warnings.simplefilter("error", TableWarning)
            with pytest.raises(TableWarning, match="identifiers"):
                cross_val_score(TableClassifier(strength=1e-2), X, y, cv=3, error_score="raise")


def test_columns_whose_names_differ_in_digits_are_different_kinds() -> None:
    X = pd.DataFrame(np.random.default_rng(0).uniform(-1, 1, (80, 2)), columns=["x1", "x2"])
    y = (X.x1 > 0).astype(int)
    X.loc[5, "x1"], X.loc[25, "x1"], X.loc[45, "x2"] = 50.0, -50.0, 70.0  # in three folds of four
    model = TableClassifier(strength=1.0, numeric_form={"x1": "linear", "x2": "linear"})
    caught = given(lambda: cross_val_score(model, X, y, cv=KFold(4)))
    assert [str(warning.message).split("'")[1] for warning in caught] == ["x1", "x2"]


def test_results_with_many_rows_have_a_short_display() -> None:
    P = np.random.default_rng(0).dirichlet([1, 1], size=3000)
    y = (np.random.default_rng(1).random(3000) < P[:, 1]).astype(int)
    for found in (label_audit(P, y), audit(P, y)):
        assert f"rows={len(y)}" in repr(found)
        assert len(repr(found)) < 200


def test_an_opened_table_is_displayed_by_its_file_and_columns(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,no\n2,yes\n")
    assert repr(open_table(tmp_path / "a.csv")) == f"OpenTable({str(tmp_path / 'a.csv')!r}, 2 columns: 'x', 'y')"


def test_audit_takes_the_labels_that_occur_for_the_classes() -> None:
    P = np.array([[0.75, 0.25], [0.5, 0.5], [0.25, 0.75]])
    for y in ([0, 1, 1], ["ham", "spam", "spam"], [1, 2, 2], pd.Series([False, True, True])):
        assert audit(P, y).accuracy == 2 / 3
    assert audit(P, [1, 2, 2]).classes == ("1", "2")
    with pytest.raises(ValueError, match=r"P has 2 columns and there are 1 classes in y .* classes=\[...\]"):
        audit(P, [1, 1, 1])


def test_the_command_audit_has_the_lines_of_evaluate(tmp_path: Path) -> None:
    P = np.random.default_rng(0).uniform(size=300).round(3)
    y = np.where(np.random.default_rng(1).random(300) < P, "yes", "no")
    pd.DataFrame({"no": 1 - P, "yes": P, "given": y}).to_csv(tmp_path / "p.csv", index=False)
    said = CliRunner().invoke(main, ["audit", str(tmp_path / "p.csv"), "--target", "given"]).stdout
    assert re.search(r"AUC +0\.\d{4} +of 'yes'; 95% interval", said)
    assert re.search(r"Brier score +0\.\d{4} +summed over the classes, 0 to 2; 95% interval", said)


def test_missing_labels_beside_the_table_are_refused_with_a_way_out(people: tuple) -> None:
    X, y = people
    with pytest.raises(TableError, match="where the labels are a column of the table"):
        TableClassifier(strength=1e-2).fit(X, y.astype(object).where(y.index != 3))


def test_the_remark_on_a_column_of_times_has_no_fraction_of_zeros() -> None:
    table = pd.DataFrame({"when": pd.date_range("2024-01-01", periods=60), "y": ["a", "b"] * 30})
    assert infer_schema(as_table(table), "y").describe()[0][2].startswith("'2024-01-01 00:00:00', of type timestamp")


def test_the_help_of_train_lists_the_options_of_reading_under_a_heading() -> None:
    said = CliRunner().invoke(main, ["train", "--help"]).stdout
    assert said.index("Input files:") < said.index("--encoding") < said.index("Other options:")


def test_labels_of_prediction_sets_are_values_of_python() -> None:
    P = np.array([[0.9, 0.1], [0.2, 0.8]] * 20)
    for y, shown in (
        ([3, 5], "[(3,), (5,)]"),
        (["a", "b"], "[('a',), ('b',)]"),
        ([False, True], "[(False,), (True,)]"),
    ):
        assert repr(PredictionSets(0.5).fit(P, y * 20).predict_labels(P[:2])) == shown
