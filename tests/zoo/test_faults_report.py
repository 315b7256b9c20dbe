"""The report as an analyst meets it: what it says of columns, ranking, leaks, units and origin (FAULTS, section F)."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from sklearn.metrics import average_precision_score, roc_auc_score

from softreg.cli import main
from softreg.models import Added, added_on_rows, linearity_tests
from softreg.probability import operating_point, softmax
from softreg.report import ReportData, audit, render_report
from softreg.report.evaluation.calibration_audit import has_fitted_rates
from softreg.report.evaluation.column_rates import level_rates, number_rates
from softreg.report.evaluation.gains import gains
from softreg.report.evaluation.roc_and_precision_recall import GRID, discrimination, discriminations
from softreg.report.evaluation.threshold_metrics import threshold_metrics
from softreg.report.figures.training_plots import loss_curve
from softreg.report.page.model_warnings import model_warnings
from softreg.report.page.summary_text import answers


def two_classes(n: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    P = softmax(random.normal(scale=1.5, size=(n, 2)))
    return P, (random.random(n) < P[:, 1]).astype(int)


def trained(folder: Path, header: str, rows: list[str], *more: str) -> tuple[str, str]:
    """The page and all that the console says of `softreg train`."""
    (folder / "data.csv").write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    asked = ["train", folder / "data.csv", "--target=y", "--report", folder / "r.html", "--terms=linear", *more]
    done = CliRunner().invoke(main, [*(str(a) for a in asked), "--quiet"])
    assert done.exit_code == 0, done.output
    return (folder / "r.html").read_text(encoding="utf-8"), done.output


def leaking_rows(n: int = 300) -> list[str]:
    random = np.random.default_rng(0)
    y = random.integers(2, size=n)
    return [f"{random.normal():.3f},{['no', 'yes'][k]},{['dead', 'alive'][k]}" for k in y]


def test_fault_f9_what_it_rests_on_is_what_removal_costs() -> None:
    P, y = two_classes()
    found = audit(P, y, ["no", "yes"])
    explained = found.label_entropy - found.log_loss
    told = [("depth", 0.9 * explained), ("table", 0.1 * explained)]
    data = ReportData("t", found, information=told, added=[Added("depth", 0.033, 0.005), Added("table", 0.3, 0.02)])
    said = dict(answers(data))["Which columns matter most?"]
    assert said.startswith(
        "Removing “table” costs most: the log loss increases by 0.300 nats per row (95% interval 0.26 to 0.34)"
    )
    assert "“depth” has most information alone" in said
    assert "its removal costs only 0.0330 nats" in said
    nothing = ReportData("t", found, information=told, added=[Added("depth", 0.001, 0.005), Added("table", -0.1, 0.02)])
    assert dict(answers(nothing))["Which columns matter most?"].startswith("No single column")


def test_fault_f9_a_column_that_tells_more_than_the_model_is_a_sign_of_a_bend() -> None:
    P, y = two_classes()
    found = audit(P, y, ["no", "yes"])
    data = ReportData("t", found, information=[("depth", 0.6)], added=[Added("depth", 0.01, 0.001)])
    said = dict(answers(data))["Which columns matter most?"]
    assert "a sign of a relation that is not linear" in said
    terms: Any = SimpleNamespace(functions=(), other=(), level=0.95, intervals="")
    curved = dict(answers(replace(data, terms=terms)))
    assert "a sign of a relation that no term has." in curved["Which columns matter most?"]


def test_fault_f16_a_leak_is_warned_of_on_the_console_and_on_the_page(tmp_path: Path) -> None:
    page, console = trained(tmp_path, "x,y,alive", leaking_rows())
    warning = "Warning: “alive” alone explains "
    assert warning in console
    assert "leaks the label" in console
    assert "“alive” alone explains" in page
    assert "not valid for new rows" not in console  # sure probabilities do not look like those of training rows
    done = CliRunner().invoke(main, ["train", str(tmp_path / "data.csv"), "--target", "y", "--quiet", "--terms=linear"])
    assert warning in done.output  # without a report as well
    _, clean = trained(tmp_path, "x,y,alive", leaking_rows(), "--drop", "alive")
    assert "Warning" not in clean


def test_fault_f16_no_mistakes_and_miscalibration_are_warned_of() -> None:
    sure = audit([[0.99, 0.01], [0.01, 0.99]] * 40, [0, 1] * 40, ["a", "b"])
    assert model_warnings(sure)[0].startswith("All 80 rows are predicted correctly")
    P, y = two_classes(4000)
    assert model_warnings(audit(P, y, ["a", "b"])) == ()
    off = audit(softmax(3 * np.log(P)), y, ["a", "b"])
    assert model_warnings(off)[0].startswith("The probabilities are overconfident: off by ")
    assert not has_fitted_rates(np.tile([[1 - 1e-9, 1e-9], [1e-9, 1 - 1e-9]], (40, 1)), np.tile([0, 1], 40))


def test_fault_f18_the_objective_is_not_drawn_where_its_axis_could_not_be_read() -> None:
    flat = [SimpleNamespace(passes=k, value=0.4492 + 1e-6 / (k + 1), gap=10.0**-k, seconds=0.1) for k in range(5)]
    assert "objective (nats)" not in loss_curve(flat, "loss")
    steep = [SimpleNamespace(passes=k, value=0.4492 + 0.1 / (k + 1), gap=10.0**-k, seconds=0.1) for k in range(5)]
    assert "objective (nats)" in loss_curve(steep, "loss")
    P, y = two_classes()
    page = " ".join(render_report(ReportData("t", audit(P, y, "ab"), history=flat)).split())
    assert "The objective is 0.44920 nats at the first evaluation" in page
    assert "1e-6" not in page.partition("</style>")[2]


def test_fault_f18_a_negative_calibration_gap_is_explained() -> None:
    P, y = two_classes(3000, seed=3)
    found = audit(P, y, ["no", "yes"])
    page = " ".join(render_report(ReportData("t", found)).split())
    assert found.calibration.gap.value < 0
    assert "negative: recalibration is worse on these rows" in page
    assert "A negative gap means" in page


@pytest.mark.parametrize("seed", range(5))
def test_lift_does_not_depend_on_the_order_of_ties(seed: int) -> None:
    random = np.random.default_rng(seed)
    p = random.choice([0.1, 0.4, 0.8], 300)
    y = (random.random(300) < p).astype(int)
    order = random.permutation(300)
    first, second = (gains(audit(np.column_stack([1 - p, p])[o], y[o], "ab")) for o in (np.arange(300), order))
    assert first is not None
    assert second is not None
    assert first.steps == second.steps
    np.testing.assert_allclose(first.recall, second.recall)
    flat = gains(audit(np.full((100, 2), 0.5), np.repeat([1, 0], [20, 80]), "ab"))
    assert flat is not None
    assert all(step.lift == pytest.approx(1) for step in flat.steps)


@pytest.mark.parametrize("decimals", [1, 8])
def test_areas_equal_those_of_scikit_learn_with_ties_and_without(decimals: int) -> None:
    P, y = two_classes()
    p = P[:, 1].round(decimals)
    found = discrimination(p, y == 1)
    assert found.auc.value == pytest.approx(roc_auc_score(y, p), abs=1e-12)
    assert found.average_precision.value == pytest.approx(average_precision_score(y, p), abs=1e-12)
    assert np.trapezoid(found.tpr, found.fpr) == pytest.approx(found.auc.value, abs=1e-12)
    assert found.auc.low < found.auc.value < found.auc.high
    assert (found.tpr_band[0] <= np.interp(GRID[1:-1], found.fpr, found.tpr).min()).any()
    shuffled = np.random.default_rng(1).permutation(len(y))
    again = discrimination(p[shuffled], (y == 1)[shuffled])
    assert (again.tpr.tolist(), again.average_precision) == (found.tpr.tolist(), found.average_precision)


def test_intervals_of_groups_are_wider() -> None:
    random = np.random.default_rng(0)
    group = np.repeat(np.arange(40), 10)
    y = np.repeat(random.random(40) < 0.5, 10)
    p = np.repeat(random.normal(size=40), 10) + 2 * y + 0.1 * random.normal(size=400)
    alone, together = discrimination(p, y), discrimination(p, y, groups=group)
    for area in ("auc", "average_precision"):
        single, clustered = getattr(alone, area), getattr(together, area)
        assert clustered.high - clustered.low > 1.5 * (single.high - single.low)


def test_classes_without_rows_and_single_classes_have_no_curves() -> None:
    P = softmax(np.random.default_rng(0).normal(size=(60, 3)))
    assert [one.name for one in discriminations(audit(P, np.arange(60) % 2, ["a", "b", "never"]))] == ["a", "b"]
    page = render_report(ReportData("t", audit(P, np.zeros(60, int), ["a", "b", "c"])))
    assert 'id="ranking"' not in page
    assert not re.search(r"\b(nan|inf)\b", page)


def test_thresholds_by_hand_and_at_the_threshold_of_the_costs() -> None:
    p = np.array([0.05, 0.15, 0.25, 0.35, 0.85, 0.95])
    y = np.array([0, 0, 1, 0, 1, 1])
    P = np.column_stack([1 - p, p])
    point = operating_point(P, y, [[0, 1], [4, 0]])
    found = {t.threshold: t for t in threshold_metrics(audit(P, y, "ab"), point.cost, point.threshold)}
    assert found[0.2].is_optimal
    assert (found[0.2].recall, found[0.2].precision, found[0.2].specificity) == (1.0, 0.75, pytest.approx(2 / 3))
    assert found[0.2].cost == pytest.approx(1 / 6) == point.paid.value
    assert found[0.5].flagged == pytest.approx(1 / 3)
    page = render_report(ReportData("t", audit(P, y, "ab"), operating=point))
    assert "20.00% (least expected cost)" in page
    assert threshold_metrics(audit(softmax(np.zeros((4, 3))), [0, 1, 2, 0], "abc")) == ()


def test_a_bend_is_found_and_a_straight_line_is_kept() -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(3000, 3))
    o = X[:, 0] + X[:, 1] ** 2 - 1
    y = (random.random(3000) < 1 / (1 + np.exp(-o))).astype(int)
    P = np.full((3000, 2), 0.5)
    tests = {one.name: one for one in linearity_tests(X, y, P, {"line": 0, "bend": 1, "none": 2})}
    assert tests["bend"].corrected < 1e-6
    assert min(tests["line"].corrected, tests["none"].corrected) > 0.05
    assert all(one.corrected >= one.p_value for one in tests.values())


def test_curves_of_columns_by_hand() -> None:
    P = np.tile([0.25, 0.75], (80, 1))
    found = audit(P, np.repeat([0, 1], 40), ["no", "yes"])
    values = np.arange(80.0)
    values[:8] = np.nan
    curve = number_rates("age", values, found)
    assert curve is not None
    assert curve.bins[-1] == "missing"
    assert (curve.count.sum(), curve.count[-1], curve.observed[-1]) == (80, 8, 0.0)
    np.testing.assert_allclose(curve.predicted, 0.75)
    assert (curve.low <= curve.observed).all()
    assert (curve.observed <= curve.high).all()
    levels = level_rates("city", np.array([f"c{k % 20}" for k in range(80)]), found)
    assert levels is not None
    assert len(levels.bins) == 12
    assert levels.bins[-1] == "other levels"
    assert number_rates("one", np.zeros(80), found) is None


def test_the_page_of_a_table(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rows = []
    for _ in range(600):
        x, colour = random.normal(), random.choice(["red", "green", "blue"])
        y = random.random() < 1 / (1 + np.exp(2 - 2 * x * x - (colour == "red")))
        rows.append(f"{'' if random.random() < 0.1 else f'{100 * x:.1f}'},{colour},{['no', 'yes'][int(y)]}")
    page, _ = trained(tmp_path, "size,colour,y", rows, "--seed", "7")
    text = " ".join(re.sub(r"<[^>]*>", " ", page.partition("</style>")[2]).split())
    assert "Linearity is rejected for “size”" in text
    assert "Linearity is rejected (p &lt; 0.001)" in text
    assert re.search(r"size \d+ \d+\.\d%", text)  # missing values
    assert re.search(r"size \+100? \d", text)  # the odds ratio of a round number of units
    assert "1 (reference)" in text
    assert "rather than" in text
    assert " bits" not in text.partition("Glossary Nat")[0]
    digest = hashlib.sha256((tmp_path / "data.csv").read_bytes()).hexdigest()
    for line in ("Version softreg", "Command softreg train", "--seed 7", "Seed 7", f"SHA-256 {digest} data.csv"):
        assert line in text, line


def test_hostile_and_long_names_of_classes_and_columns() -> None:
    P, y = two_classes(60)
    for hostile in ("<b>\x00&\"'$x$", "x" * 500, "生存" * 40, "نجا", ""):
        found = audit(P, y, ["no", hostile])
        curve = level_rates(hostile, np.array([hostile, "b"])[np.arange(60) % 2], found)
        assert curve is None or curve.label == hostile
        page = render_report(ReportData("t", found, curves=[curve] if curve else [], information=[(hostile, 0.1)]))
        assert "<b>\x00" not in page


def test_the_cost_of_removal_has_the_error_of_independent_groups() -> None:
    random = np.random.default_rng(0)
    group = np.repeat(np.arange(60), 10)
    X = np.column_stack([random.normal(size=60)[group], random.normal(size=600)])
    y = (np.repeat(random.normal(size=60), 10) + X[:, 0] > 0).astype(int)
    some, rest = np.arange(300), np.arange(300, 600)
    alone, together = (
        added_on_rows(X[some], y[some], X[rest], y[rest], {"a": [0]}, dependent=of)[0] for of in (None, group[rest])
    )
    assert alone.nats == together.nats
    assert together.error > 2 * alone.error
