"""Statistics of a table: the same as those of features coded by hand."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from softreg import SoftmaxRegression, TableClassifier, infer, table_statistics
from softreg.tables import TableError, TableWarning


def people(n: int = 500, seed: int = 0) -> tuple[pa.Table, np.ndarray, np.ndarray]:
    """A table, the same coded by hand (age, town=Kiel, town=Ulm, member), and its labels."""
    random = np.random.default_rng(seed)
    age, member = random.integers(20, 70, n), random.random(n) < 0.4
    town = random.choice(["Bonn", "Kiel", "Ulm"], n, p=[0.5, 0.3, 0.2])
    X = np.column_stack([age, town == "Kiel", town == "Ulm", member]).astype(float)
    o = X @ np.array([[0.0, 0.04, -0.02], [0, 1, 0], [0, -0.5, 0.5], [0, 0.7, 0]])
    y = np.array(["bus", "car", "foot"])[(o + random.gumbel(size=o.shape)).argmax(axis=1)]
    house = random.integers(0, 60, n)
    table = {"age": age, "town": town, "member": np.where(member, "yes", "no"), "house": house, "takes": y}
    return pa.table(table), X, y


def test_they_are_those_of_features_coded_by_hand() -> None:
    table, X, y = people()
    result = table_statistics(table, "takes", drop="house", reference="car")
    by_hand = infer(SoftmaxRegression(penalty=None).fit(X, y), X, y, reference="car")
    assert result.inference.columns == ("(intercept)", "age", "town=Kiel", "town=Ulm", "member=yes")
    assert result.against == {"town": "Bonn"}
    assert result.inference.coefficients.estimate == pytest.approx(by_hand.coefficients.estimate, abs=1e-6)
    assert result.inference.coefficients.std_error == pytest.approx(by_hand.coefficients.std_error, rel=1e-6)
    tests = result.column_tests()
    assert tests["town"].statistic == pytest.approx(by_hand.likelihood_ratio([1, 2]).statistic, rel=1e-6)
    assert tests["town"].df == 4
    text = result.text()
    assert "town    Bonn" in text
    assert "'bus' against 'car'" in text


def test_clusters_are_no_feature_and_make_walds_tests() -> None:
    table, X, y = people()
    result = table_statistics(table, "takes", clusters="house")
    by_hand = infer(SoftmaxRegression(penalty=None).fit(X, y), X, y, clusters=table["house"].to_pylist())
    assert result.inference.coefficients.std_error == pytest.approx(by_hand.coefficients.std_error, rel=1e-6)
    assert "house" not in result.column_tests()
    assert result.column_tests()["age"].kind == "Wald"
    with pytest.raises(TableError, match="no column of clusters 'street'"):
        table_statistics(table, "takes", clusters="street")


def test_some_rows_only() -> None:
    table, X, y = people()
    rows = np.arange(0, 500, 2)
    result = table_statistics(table, "takes", drop=["house"], rows=rows).inference
    by_hand = infer(SoftmaxRegression(penalty=None).fit(X[rows], y[rows]), X[rows], y[rows])
    assert result.log_likelihood == pytest.approx(by_hand.log_likelihood, rel=1e-8)


def test_separated_classes_are_told_and_firth_takes_them() -> None:
    table, _, y = people()
    staff = np.where((y == "foot") & (np.arange(len(y)) % 3 == 0), "yes", "no")
    table = table.append_column("staff", pa.array(staff))
    with pytest.raises(TableError, match=r"separated mainly by 'staff=yes'.*--penalty firth"):
        table_statistics(table, "takes", drop="house", penalty=None)
    with pytest.warns(TableWarning, match="'bus' and 'foot' quasi-completely, by 'staff=yes'"):
        result = table_statistics(table, "takes", drop="house")
    assert result.inference.fitted.firth
    requested = table_statistics(table, "takes", drop="house", penalty="firth")
    assert requested.inference.coefficients.estimate == pytest.approx(result.inference.coefficients.estimate, abs=1e-6)
    assert np.isfinite(result.inference.coefficients.std_error).all()
    assert result.column_tests()["staff"].p_value < 1e-6


def test_too_many_levels_are_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("softreg.tables.statistics.design_matrix.MAX_FEATURES", 3)
    with pytest.raises(TableError, match="2 are levels of 'town'"):
        table_statistics(people()[0], "takes", drop="house")


def test_a_classifier_infers_from_its_own_rows() -> None:
    table, _, y = people()
    rows = np.arange(400)
    model = TableClassifier("takes", drop="house", strength=1e-2).fit(table, rows=rows)
    X = model.encode(table)
    towns = [model.feature_names_out_.index(f"town={town}") for town in ("Bonn", "Kiel", "Ulm")]
    result, by_hand = model.infer(table, rows), infer(model.model_, X[rows], y[rows], categories=[towns])
    assert result.effects().estimate == pytest.approx(by_hand.effects().estimate)
    assert result.columns[1:] == model.feature_names_out_
    with pytest.raises(ValueError, match="pass the rows"):
        model.infer(table)
    with pytest.raises(TableError, match="not fitted"):
        TableClassifier("takes").infer(table)
