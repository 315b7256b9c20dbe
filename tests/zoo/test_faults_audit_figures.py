"""Faults of figures and sentences of the audit: errors of sharp probabilities, information, power."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner

from softreg.cli import main
from softreg.cli.console.aligned_text import format_interval
from softreg.cli.report_inputs.column_information import column_informations
from softreg.models import Added
from softreg.probability import Interval, check_calibration, column_information
from softreg.report import ReportData, audit, render_report
from softreg.report.evaluation.number_format import format_gain, format_points, p_value_sentence
from softreg.report.page.calibration_assessment import assess_calibration
from softreg.report.page.calibration_tables import calibration_card, calibration_test
from softreg.report.page.summary_text import answers, calibration_sentences, lead


def sharp(seed: int, eps: float, wrong: float, n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of `eps` and 1 - `eps`, and labels of which the share `wrong` is of the other class."""
    random = np.random.default_rng(seed)
    h = random.integers(0, 2, n)
    return np.clip(np.eye(2)[h], eps, 1 - eps), np.where(random.random(n) < wrong, 1 - h, h)


def row_of(page: str, what: str) -> list[str]:
    """The cells of the line of a table that begins with `what`."""
    line = re.search(rf"<tr><th[^>]*>{what}</th>(.*?)</tr>", page, re.DOTALL)
    assert line is not None, what
    return re.findall(r"<td[^>]*>([^<]*)</td>", line[1])


@pytest.mark.parametrize("eps", [0.001, 0.01, 0.1])
@pytest.mark.parametrize("error", [0.03, 0.1, 0.2, 0.39])
def test_fault_1_sharp_probabilities_have_the_error_of_their_size(eps: float, error: float) -> None:
    """Rows near 0 and near 1 cancelled in a common bin: 20 points were 0.0."""
    found, held = [], 0
    for seed in range(12):
        check = check_calibration(*sharp(seed, eps, eps + error), draws=99)
        found.append(check.error / 2)
        ends = [check.error / 2 + 1.96 * side * check.error_sd / 2 for side in (-1, 1)]
        held += max(ends[0], 0) <= error**2 <= ends[1]
    assert np.sqrt(max(np.mean(found), 0)) == pytest.approx(error, abs=0.02)
    assert held >= 8  # of 12 intervals of 95%: those of small errors hold in some 85%


def test_fault_1_an_error_of_20_points_is_said_everywhere(tmp_path: Path) -> None:
    P, y = sharp(8, 0.01, 0.21)
    found = audit(P, y, ["no", "yes"])
    assert assess_calibration(found).error.value == pytest.approx(0.2, abs=0.04)
    assert re.search(r"off by (1[6-9]|2[0-4])\.\d percentage points", calibration_sentences(found)[0])
    rows = [",".join(["y", "no", "yes"]), *(f"{('no', 'yes')[k]},{p[0]},{p[1]}" for k, p in zip(y, P, strict=True))]
    (tmp_path / "p.csv").write_text("\n".join(rows))
    said = CliRunner().invoke(main, ["audit", str(tmp_path / "p.csv"), "--target", "y"]).stdout
    assert re.search(r"calibration error +(1[6-9]|2[0-4])\.\d percentage points", said)


def test_fault_1_no_error_of_zero_stands_beside_a_small_p_value() -> None:
    """Errors that cancel within every bin, which the confidence alone finds."""
    seen = 0
    for seed in range(400):
        random = np.random.default_rng(seed)
        p = random.uniform(0.3, 0.7, 60)
        y = (random.random(60) < p).astype(int)
        check = check_calibration(np.column_stack([1 - p, p]), y, draws=99)
        if check.p_value > 0.03 or check.error > 0:
            continue
        found = audit(np.column_stack([1 - p, p]), y, "ab")
        if found.calibration.check.p_value <= 0.05:
            seen += 1
            said = f"{calibration_card(found)} {calibration_sentences(found)[0]}"
            assert "no error" not in said
            assert "off by 0.0 " not in said
            assert "bins do not show how large the error is (95% interval 0.0 to" in said
    assert seen
    assert format_points(1e-7) == "<0.01 percentage points"


def test_fault_1_bins_do_not_cost_power_or_level() -> None:
    random = np.random.default_rng(0)
    rejected = np.zeros(2)
    for _ in range(60):
        o = random.normal(0, 1.5, 300)
        p = 1 / (1 + np.exp(-o))
        for j, shift in enumerate((0.0, 0.8)):  # of the log-odds: right, and 15 points off
            y = (random.random(300) < 1 / (1 + np.exp(-o - shift))).astype(int)
            rejected[j] += check_calibration(np.column_stack([1 - p, p]), y, draws=199).p_value <= 0.05
    assert rejected[0] <= 8
    assert rejected[1] >= 50


@pytest.mark.parametrize("wrong", [1, 6, 40, 200])
def test_fault_2_labels_of_probability_0_have_the_least_p_value_in_every_part(wrong: int) -> None:
    h = np.random.default_rng(8).integers(0, 2, 400)
    y = np.where(np.arange(400) < wrong, 1 - h, h)
    check = check_calibration(np.eye(2)[h], y)
    least = 1 / (check.draws + 1) * 1.000001
    assert max(check.p_value, check.p_classes, check.p_top, check.p_confidence) <= least
    right = check_calibration(np.eye(2)[h], h)
    assert (right.p_value, right.p_classes, right.p_top) == (1.0, 1.0, 1.0)
    table = {row[0]: row[1] for row in calibration_test(audit(np.eye(2)[h], y, "ab")).rows}
    assert set(table.values()) == {"≤ 0.0001"}


def test_fault_2_a_row_that_is_impossible_among_others_rejects_the_classes() -> None:
    P, y = np.array([[0.6, 0.4, 0.0]] * 50), np.repeat([0, 1, 2], [30, 19, 1])
    check = check_calibration(P, y)
    assert check.p_classes <= 1 / (check.draws + 1) * 1.000001
    assert check.p_top > 0.05  # the most likely class is as frequent as it should be


def test_fault_3_strong_columns_of_few_rows_have_information() -> None:
    """Up to 64 different numbers each were a group of one row: no information."""
    none = 0
    for seed in range(40):
        random = np.random.default_rng(seed)
        for n in (30, 36, 60, 68):
            x = random.normal(size=n)
            y = (x + 0.4 * random.normal(size=n) > 0).astype(int)
            none += column_information(x, y, unit="bit") <= 0.1
    assert none <= 8  # of 160
    x = np.round(np.random.default_rng(0).normal(size=68), 1)
    assert column_information(x, (x > 0).astype(int), unit="bit") > 0.7


def test_fault_3_noise_of_few_rows_has_none() -> None:
    random, found = np.random.default_rng(1), 0
    for _ in range(150):
        for n in (30, 68, 300):
            y = np.concatenate([[0, 1, 2], random.integers(3, size=n - 3)])
            found += column_information(random.normal(size=n), y) != 0
            found += column_information(random.integers(40, size=n), y) != 0
    assert found <= 14  # of 900


def test_fault_3_the_report_of_train_uses_the_training_rows(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    kind = random.integers(0, 3, 170)
    rows = [f"{x:.2f},{z:.2f},{'abc'[k]}" for k, x, z in zip(kind, kind + 0.5 * random.normal(size=170),
                                                           random.normal(size=170), strict=True)]  # fmt: skip
    (tmp_path / "t.csv").write_text("size,noise,y\n" + "\n".join(rows))
    page = tmp_path / "r.html"
    done = CliRunner().invoke(
        main, ["train", str(tmp_path / "t.csv"), "--target", "y", "--report", str(page), "--terms=linear"]
    )
    assert done.exit_code == 0, done.output
    text = page.read_text("utf-8")
    assert "from 136 training rows" in text
    assert float(row_of(text[text.index('id="information"') :], "size")[-1]) > 0.5
    assert "No single column" not in text
    table = pa.table({"size": kind + 0.0})
    told = column_informations(table, np.arange(170), kind, [("size", "number", "")])
    assert told[0][1] > 0.9  # nats, of 1.1


def test_fault_3_columns_without_information_get_no_sentence() -> None:
    found = audit([[0.9, 0.1], [0.1, 0.9]] * 20, [0, 1] * 20, ["no", "yes"])
    data = ReportData("t", found, information=[("a", 0.0), ("b", 0.0)])
    assert "Which columns matter most?" not in dict(answers(data))


@pytest.mark.parametrize("eps", [0.001, 0.01, 0.3])
def test_fault_4_detectable_errors_of_sharp_probabilities_are_detected(eps: float) -> None:
    rejected = 0
    size = check_calibration(*sharp(0, eps, eps), draws=499).detectable
    for seed in range(40):
        rejected += check_calibration(*sharp(seed, eps, eps + size), draws=199).p_value <= 0.05
    assert 24 <= rejected <= 39  # about 80%; 40% before for 0.001


def test_fault_4_power_is_said_of_slowly_varying_errors() -> None:
    random = np.random.default_rng(3)
    p = random.uniform(0.05, 0.95, 3000)
    found = audit(np.column_stack([1 - p, p]), (random.random(3000) < p).astype(int), "ab")
    said = " ".join(calibration_sentences(found))
    assert "whatever" not in said
    assert "in about 80% of samples if it has one sign, or changes slowly with the probability" in said
    assert "errors that change sign between neighbouring probabilities, and smaller ones, can be missed" in said


def test_fault_5_the_share_of_draws_is_the_printed_p_value() -> None:
    for p in np.linspace(0.0011, 1, 997):
        said = p_value_sentence(float(p), 9999)
        shown, share = re.search(r"p = ([\d.]+):.* in ([\d.]+)% of draws", said).groups()  # type: ignore[union-attr]
        assert float(share) == pytest.approx(100 * float(shown), rel=1e-12), said
    assert "labels at least this far off would occur in 71% of draws" in p_value_sentence(0.715, 999)
    assert p_value_sentence(0.33, 999).endswith("in 33% of draws")


def test_fault_7_bins_are_named_by_how_they_are_chosen() -> None:
    P = np.column_stack([1 - (p := np.repeat([0.05, 0.35], 1000)), p])
    y = np.zeros(2000, dtype=int)
    y[:10], y[1000:1500] = 1, 1
    said = " ".join(calibration_sentences(audit(P, y, ["no", "yes"])))
    assert "where most rows are off" not in said
    assert "of the bins outside their bands, those of largest deviation times rows" in said


def test_fault_8_units_and_mostly() -> None:
    found = audit([[0.9, 0.1], [0.1, 0.9]] * 20, [0, 1] * 20, ["no", "yes"])  # explains 0.588 nats

    def rests_on(alone: float, added: float) -> str:
        data = ReportData("t", found, information=[("a", alone)], added=[Added("a", added, 0.01)])
        return dict(answers(data))["Which columns matter most?"]

    said = rests_on(0.25, 0.3)
    assert said.startswith("Removing “a” costs most: the log loss increases by 0.300 nats per row (95% interval 0.28")
    assert "to 0.32), from 0.105 to 0.405; the model explains 0.588 nats." in said
    assert "“a” alone has 0.650 nats of information, more than the 0.588 nats" in rests_on(0.65, 0.3)


def test_fault_10_ends_of_intervals_show_their_sign() -> None:
    assert format_interval(Interval(0.001, 0.00002, 0.003)) == "95% interval 0.00002 to 0.0030"
    assert format_interval(Interval(0.001, -2e-7, 0.003)) == "95% interval -2e-07 to 0.0030"
    assert format_interval(Interval(0.0, -1e-18, 0.0)) == "95% interval 0.0000 to 0.0000"
    assert (format_gain(-1e-7), format_gain(2e-5)) == ("−1×10⁻⁷", "0.00002")


def test_fault_11_probabilities_worse_than_class_rates(tmp_path: Path) -> None:
    P, y = sharp(8, 0.01, 0.21)
    found = audit(P, y, ["no", "yes"])
    assert found.skill < 0
    said = lead(found)
    assert said.startswith("These probabilities are worse than the class rates alone: log loss ")
    assert re.search(r"against 0\.69\d\. After a simple recalibration it is 0\.\d+\.$", said)
    rows = ["y,no,yes", *(f"{('no', 'yes')[k]},{p[0]},{p[1]}" for k, p in zip(y, P, strict=True))]
    (tmp_path / "p.csv").write_text("\n".join(rows))
    page = tmp_path / "r.html"
    done = CliRunner().invoke(main, ["audit", str(tmp_path / "p.csv"), "--target", "y", "--report", str(page)])
    assert re.search(r"the log loss is \d+\.\d% larger: worse than class rates", done.stdout)
    assert "features" not in " ".join(re.findall(r'class="lead">([^<]*)', page.read_text("utf-8")))
    good = audit([[0.9, 0.1], [0.1, 0.9]] * 20, [0, 1] * 20, ["no", "yes"])
    assert lead(good, "probabilities").startswith("The probabilities explain 84.8% of the label entropy")
    page_of_audit = render_report(ReportData("t", good, trained=False))
    assert "The probabilities explain 84.8%" in page_of_audit
    assert "The features explain 84.8%" in render_report(ReportData("t", good))


def test_fault_12_three_classes_say_which_is_measured(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    P = random.dirichlet([1, 1, 1], 300)
    y = (P.cumsum(axis=1) < random.random((300, 1))).sum(axis=1)
    rows = ["y,a,b,c", *(f"{'abc'[k]},{p[0]!r},{p[1]!r},{p[2]!r}" for k, p in zip(y, P.tolist(), strict=True))]
    (tmp_path / "p.csv").write_text("\n".join(rows))
    said = CliRunner().invoke(main, ["audit", str(tmp_path / "p.csv"), "--target", "y"]).stdout
    assert "root mean square, of the most likely class, 95% interval" in said


def test_faults_of_words_on_the_page() -> None:
    random = np.random.default_rng(0)
    p = random.uniform(0.05, 0.95, 400)
    page = render_report(
        ReportData("t", audit(np.column_stack([1 - p, p]), (random.random(400) < p).astype(int), "ab"))
    )
    page = " ".join(page.split())
    for wrong in ("about 1 bin in 20", "so about one bin in twenty", "One bit can halve", "lower bound", "hard case"):
        assert wrong not in page, wrong
    for right in (
        "on average at most 1 bin in 20 lies outside",
        "at most one bin in twenty lies outside, fewer where bins have few rows",
        "a random row of the class (a positive) has a larger probability than a random row of another class",
        "other recalibrations may gain more",
    ):
        assert right in page, right
