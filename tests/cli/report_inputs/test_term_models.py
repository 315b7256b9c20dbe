"""Reports on models with curves and interactions: explanations of rows, odds ratios, tests of linearity, functions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
from numpy.testing import assert_allclose

from softreg import SoftmaxRegression, TableClassifier, infer
from softreg.cli.report_inputs.column_importance import analyse_columns
from softreg.cli.report_inputs.column_summaries import linearity_results
from softreg.cli.report_inputs.odds_ratios import odds_ratios
from softreg.cli.report_inputs.row_explanations import row_explainer
from softreg.cli.report_inputs.term_pictures import term_functions
from softreg.models import explain
from softreg.tables import TableError, Terms
from softreg.tables.encode.discrete_changes import discrete_changes, feature_setting, no_effects


def rows(q: int, n: int = 400) -> pa.Table:
    random = np.random.default_rng(0)
    x, z, job = random.normal(size=n), random.normal(size=n).round(2), random.choice(["cook", "smith"], n)
    columns = [np.sin(2 * x + k) * 2 + (job == "smith") * z for k in range(q - 1)]
    logits = np.stack([np.zeros(n), *columns], axis=1)
    y = (logits + random.gumbel(size=logits.shape)).argmax(axis=1)
    missing = random.random(n) < 0.1
    x = np.where(missing, np.nan, x)
    return pa.table(
        {"x": pa.array(x, from_pandas=True), "z": z, "job": job, "w": random.normal(size=n), "y": [f"c{k}" for k in y]}
    )


@pytest.fixture(scope="module", params=[2, 3])
def model(request: pytest.FixtureRequest) -> tuple[TableClassifier, pa.Table]:
    table = rows(request.param)
    return TableClassifier("y", terms=Terms("linear", smooth=("x",), interactions=(("z", "job"),))).fit(table), table


def test_contributions_of_a_row_name_columns_and_interactions(model: tuple[TableClassifier, pa.Table]) -> None:
    classifier, table = model
    every = np.arange(table.num_rows)
    texts = row_explainer(classifier, table, every)(every)
    assert any("z:job" in text for text in texts)
    assert any(text.startswith("x ") for text in texts)
    functions = classifier.term_functions(table)
    parts = functions.contributions(table)
    logits = functions.bias + parts.sum(axis=1)
    if logits.shape[1] == 1:
        odds = parts[:, :, 0] * np.sign(logits)
    else:
        first, second = np.argsort(-logits, axis=1)[:, :2].T
        odds = parts[every, :, first] - parts[every, :, second]
    best = np.abs(odds).argmax(axis=1)
    expected = [f"{functions.names[j]} {odds[i, j]:+.1f}".replace("-", "−") for i, j in enumerate(best)]
    assert [text.split(", ")[0] for text in texts] == expected
    assert row_explainer(classifier, table, every)(every[:0]) == []


def test_grouped_contributions_add_up_to_the_logits(model: tuple[TableClassifier, pa.Table]) -> None:
    classifier, table = model
    why = explain(classifier, table)
    grouped = why.grouped()
    assert list(grouped) == ["x", "z", "job", "w", "z:job"]
    logits = classifier.encode(table) @ classifier.model_.coef_.T + classifier.model_.intercept_
    assert_allclose(why.baseline_logits + sum(grouped.values()), logits, atol=1e-9)


def test_odds_ratios_and_linearity_leave_out_curves_and_interactions(model: tuple[TableClassifier, pa.Table]) -> None:
    classifier, table = model
    X = classifier.encode(table)
    assert {one.column for one in odds_ratios(classifier, X)} == {"w"}
    codes = np.searchsorted(classifier.model_.classes_, table["y"].to_pylist())
    tests = linearity_results(classifier.encoder_, X, codes, classifier.predict_proba(table))
    assert [one.name for one in tests] == ["w"]


def test_the_effect_of_a_curve_is_that_of_all_its_features(model: tuple[TableClassifier, pa.Table]) -> None:
    classifier, table = model
    encoder, X = classifier.encoder_, classifier.encode(table)
    change = discrete_changes(encoder, X)[0]
    x = table["x"].drop_null().to_numpy()
    numbers = np.quantile(x, [0.5, 0.84], method="nearest")
    assert change.words == f"{numbers[1]:.4g} rather than {numbers[0]:.4g}"
    for number, features in zip(numbers, (change.before, change.after), strict=True):
        row = encoder.encode(table.slice(0, 1).set_column(0, "x", pa.array([number])))[0]
        assert_allclose([features[j] for j in sorted(features)], row[: len(features)], atol=1e-9)
        assert_allclose(
            [feature_setting(encoder, 0, number)[j] for j in sorted(features)], row[: len(features)], atol=1e-9
        )


def test_effects_of_interactions_are_refused(model: tuple[TableClassifier, pa.Table]) -> None:
    classifier, table = model
    assert "z:job" in no_effects(classifier.encoder_)
    place = classifier.encoder_.feature_places()["z"].start
    with pytest.raises(TableError, match=r"'z' has an interaction.*pass rows"):
        feature_setting(classifier.encoder_, place, 1.0)
    plain = TableClassifier("y", strength=0.01).fit(table)
    inference = plain.infer(table, errors="posterior")
    inference.effects()
    with pytest.raises(ValueError, match="interactions 'z:job'"):
        replace(inference, no_effects=no_effects(classifier.encoder_)).effects()
    assert infer(plain.model_, plain.encode(table), table["y"].to_pylist(), errors="posterior").no_effects == ""


def test_functions_of_a_report_are_those_of_models_with_terms(model: tuple[TableClassifier, pa.Table]) -> None:
    classifier, table = model
    functions = term_functions(classifier, table, np.arange(table.num_rows), trained=True)
    assert functions is not None
    assert [one.name for one in functions] == ["x", "z", "job", "w", "z:job"]
    assert classifier.intervals_ is None, "the model of the report is another one"
    assert term_functions(TableClassifier("y", strength=0.01).fit(table), table) is None


def test_the_report_of_evaluate_shows_the_terms(
    model: tuple[TableClassifier, pa.Table], run: Any, tmp_path: Path
) -> None:
    classifier, table = model
    classifier.save(tmp_path / "m.softreg")
    pa.csv.write_csv(table, tmp_path / "rows.csv")
    done = run("evaluate", tmp_path / "m.softreg", tmp_path / "rows.csv", "--report", tmp_path / "r.html")
    assert done.exit_code == 0, done.output
    page = (tmp_path / "r.html").read_text("utf-8")
    assert 'id="terms"' in page
    assert "z:job" in page


def test_the_cost_of_removal_takes_curve_and_interactions_with_the_column(
    model: tuple[TableClassifier, pa.Table],
) -> None:
    classifier, table = model
    labels = np.array(table["y"].to_pylist())
    train, test = np.arange(300), np.arange(300, 400)
    costs = {one.name: one.nats for one in analyse_columns(classifier, table, labels, train, test).added}
    assert list(costs) == ["x", "z", "job", "w"]
    names = np.array(classifier.feature_names_out_)
    X = classifier.encoder_.encode(table, None)

    def loss(features: list[str]) -> float:
        factors = [classifier.model_.penalty_factors[name] for name in features]
        part = X[:, [names.tolist().index(name) for name in features]]
        strength = classifier.model_.strength
        fitted = SoftmaxRegression(strength=strength, penalty_factors=factors, tol=1e-8).fit(part[train], labels[train])
        P = fitted.predict_proba(part[test])
        return float(-np.log(P[np.arange(100), np.searchsorted(fitted.classes_, labels[test])]).mean())

    whole = loss(names.tolist())
    for column in ("x", "z", "w"):
        gone = [name for name in names if column in (name, name.split("=")[0]) or (column == "z" and ":" in name)]
        rest = [name for name in names.tolist() if name not in gone]
        assert len(rest) < len(names)
        assert costs[column] == pytest.approx(loss(rest) - whole, abs=2e-3)
    assert max(abs(cost) for cost in costs.values()) > 0.03
