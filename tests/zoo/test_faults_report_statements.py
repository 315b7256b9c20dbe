"""Faults of statements in the report: odds ratios of two forms, leaks, axes, missing values."""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from softreg.cli.report_inputs.column_summaries import missing_values
from softreg.cli.report_inputs.odds_ratios import odds_ratios
from softreg.models import Added
from softreg.models.inference.marginal_effects import Change
from softreg.report import ReportData, audit, render_report
from softreg.report.figures.column_plots import decimals_of
from softreg.report.page.summary_text import answers, lead
from softreg.tables import TableClassifier
from softreg.tables.encode.discrete_changes import discrete_changes


def rests_on(data: ReportData) -> str:
    return dict(answers(data))["Which columns matter most?"]


def heavy_and_whole() -> pa.Table:
    random = np.random.default_rng(0)
    heavy, rooms = np.exp(1.5 * random.normal(size=600)), random.integers(0, 4, size=600)
    logit = np.log(heavy) + 0.05 * heavy - 0.5 * rooms
    y = np.where(random.random(600) < 1 / (1 + np.exp(-logit)), "yes", "no")
    return pa.table({"heavy": heavy, "rooms": rooms, "size": random.normal(size=600), "y": y})


def fitted() -> tuple[TableClassifier, pa.Table]:
    table = heavy_and_whole()
    return TableClassifier("y", numeric_form={"heavy": "both"}, strength=0.01).fit(table), table


def test_fault_odds_ratio_of_a_number_in_two_forms_is_that_of_their_joint_change() -> None:
    model, table = fitted()
    code = next(one for one in model.encoder_.column_encoders if one.name == "heavy")
    assert code.both
    X = model.encoder_.encode(table)
    first = next(one for one in odds_ratios(model, X) if one.column == "heavy")
    high, low = (float(text) for text in first.change.split(" rather than "))
    rows = table.slice(0, 2).to_pylist()
    two = pa.Table.from_pylist([{**rows[0], "heavy": low}, {**rows[0], "heavy": high}])
    before, after = (p[1] / p[0] for p in model.predict_proba(two))
    assert first.ratios[0] == pytest.approx(after / before, rel=0.01)  # the ends are shown with four digits
    assert 0.8 < low < 1.2  # the median of exp(1.5 z) is 1, its 84th percentile exp(1.5) = 4.5
    assert 3.5 < high < 5.5


def test_fault_effect_of_a_number_in_two_forms_changes_both_features() -> None:
    model, table = fitted()
    changes = discrete_changes(model.encoder_, model.encoder_.encode(table))
    assert isinstance(changes[0], Change)
    assert set(changes[0].before) == {0, 1}
    assert changes[1].before == changes[1].after


def test_fault_odds_ratio_of_whole_numbers_is_for_one_more() -> None:
    model, table = fitted()
    change = {one.column: one.change for one in odds_ratios(model, model.encoder_.encode(table))}
    assert change["rooms"] == "+1"
    assert change["size"] in ("+0.1", "+1")


def test_fault_a_leak_is_no_sign_of_a_bend() -> None:
    y = np.repeat([0, 1], 100)
    p = np.where(y == 1, 1 - 1e-5, 1e-5)
    found = audit(np.column_stack([1 - p, p]), y, ["no", "yes"])
    leak = Added("boat", 1.68, 0.2)
    data = ReportData("t", found, information=[("boat", 0.7)], added=[leak, Added("sex", 1e-6, 1e-8)])
    said = rests_on(data)
    assert "not linear" not in said
    assert "Next" not in said  # what "sex" costs is 0 to four places
    assert "the model is worse than class rates alone" in said
    one_more = dataclasses.replace(data, added=[leak, Added("age", 0.01, 0.001)])
    assert "Next is “age” (0.0100 nats)." in rests_on(one_more)


@pytest.mark.parametrize(
    ("ticks", "decimals"), [([0.05, 0.075, 0.1], 1), ([0.1, 0.2], 0), ([0.0, 0.0025], 2), ([1 / 3, 2 / 3], 4)]
)
def test_fault_labels_of_shares_are_those_of_their_ticks(ticks: list[float], decimals: int) -> None:
    assert decimals_of(ticks) == decimals


def test_fault_missing_values_are_said_of_the_columns_of_the_model() -> None:
    table = pa.table({"age": [1.0, None, 3.0], "cabin": ["a1", None, None]})
    counts = missing_values(table, [("age", "number", ""), ("cabin", "identifier", "")])
    found = audit([[0.9, 0.1], [0.2, 0.8]], [0, 1], ["ham", "spam"])
    page = render_report(ReportData("t", found, missing=counts))
    assert "Columns that the model uses, in 3 rows" in page
    assert "the other columns have a value" not in page


def test_fault_the_first_sentence_says_where_the_share_may_be_zero() -> None:
    P = np.array([[0.7, 0.3], [0.6, 0.4], [0.4, 0.6], [0.8, 0.2], [0.3, 0.7], [0.7, 0.3], [0.6, 0.4], [0.7, 0.3]])
    few = audit(P, [0, 1, 1, 0, 1, 0, 0, 0], ["no", "yes"])
    assert few.skill > 0 > few.calibration.skill.low
    assert "contains 0: the rows are too few to show a gain." in lead(few)
    many = audit(np.tile(P, (100, 1)), np.tile([0, 1, 1, 0, 1, 0, 0, 0], 100), ["no", "yes"])
    assert "contains 0" not in lead(many)
