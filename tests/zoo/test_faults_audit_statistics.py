"""Faults of statistics in the audit: p-values, intervals, power and their wording."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from scipy import stats

from softreg.cli import main
from softreg.probability import check_calibration, proportion_interval, score_interval, softmax, wilson_interval
from softreg.report import ReportData, audit, render_report
from softreg.report.page.calibration_assessment import AssessmentLimits, assess_calibration
from softreg.report.page.summary_text import calibration_sentences

PLACES = ("src/softreg/report", "src/softreg/cli", "src/softreg/monitor", "src/softreg/cards", "README.md", "docs")


def draws(seed: int, n: int, q: int, scale: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """Logits, and labels drawn from their softmax."""
    random = np.random.default_rng(seed)
    o = random.normal(scale=scale, size=(n, q))
    return o, labels(random, softmax(o))


def labels(random: np.random.Generator, P: np.ndarray) -> np.ndarray:
    return np.minimum((P.cumsum(axis=1) < random.random((len(P), 1))).sum(axis=1), P.shape[1] - 1)


def audited(path: Path, P: np.ndarray, y: np.ndarray, *options: str) -> Result:
    """What `softreg audit` says of a file of probabilities."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["y", *(f"c{k}" for k in range(P.shape[1]))])
        writer.writerows([[f"c{k}", *map(repr, p.tolist())] for k, p in zip(y, P, strict=True)])
    done = CliRunner().invoke(main, ["audit", str(path), "--target", "y", *options])
    assert done.exit_code == 0, done.output
    return done


def test_fault_d_p_value_is_said_by_its_definition(tmp_path: Path) -> None:
    o, y = draws(0, 500, 2)
    said = audited(tmp_path / "p.csv", softmax(o), y).stdout
    assert re.search(
        r"p = 0\.\d+: if the probabilities were right, labels at least this far off would occur in \d+% of draws", said
    )
    page = render_report(ReportData("t", audit(softmax(o), y, "ab")))
    assert "if the probabilities were right, labels at least this far off would occur" in page
    assert "A p-value is not" in page  # the probability that the probabilities are right


def test_fault_d_no_sentence_gives_a_p_value_to_chance() -> None:
    root = Path(__file__).parents[2]
    if not (root / "README.md").exists():
        pytest.skip("needs the source tree")
    wrong = re.compile(
        r"chance (does not )?explains?\b|by more than chance|in fewer than 5% of cases by chance|not by\s+chance"
        r"|taken at their word|as promised,|too sure|too cautious|nearly right|best possible|held impossible",
    )
    for place in PLACES:
        files = [root / place] if place.endswith(".md") else sorted((root / place).rglob("*.[pjm][yid]*"))
        assert files, place
        for file in files:
            found = wrong.search(" ".join(file.read_text("utf-8").split()))
            assert found is None, (file, found)


def test_fault_d_large_errors_are_not_nearly_right() -> None:
    """18 percentage points off, of a form that neither temperature nor vector scaling mends."""
    random = np.random.default_rng(0)
    p = random.uniform(0.05, 0.95, 1500)
    truth = np.clip(p + 0.18 * np.sign(np.sin(12 * p)), 0.01, 0.99)
    y = (random.random(1500) < truth).astype(int)
    found = audit(np.column_stack([1 - p, p]), y, ["no", "yes"])
    assert assess_calibration(found).acceptable is False
    assert assess_calibration(found).error.low > 0.1
    assert assess_calibration(found).error.low <= 0.18 <= assess_calibration(found).error.high + 0.02


def test_fault_d_a_class_that_is_too_high_everywhere_is_named() -> None:
    random = np.random.default_rng(1)
    p = random.beta(1, 6, size=1500)
    y = (random.random(1500) < p).astype(int)
    high = np.minimum(1.5 * p, 0.99)
    found = audit(np.column_stack([1 - high, high]), y, ["no", "yes"])
    assert assess_calibration(found).conclusion == "too high for “yes”"
    low = audit(np.column_stack([1 - p / 1.5, p / 1.5]), y, ["no", "yes"])
    assert assess_calibration(low).conclusion == "too low for “yes”"


def test_fault_d_page_and_terminal_have_one_verdict(tmp_path: Path) -> None:
    for seed, factor in ((0, 1.0), (1, 2.0), (2, 0.5)):
        o, y = draws(seed, 700, 2)
        found = audit(softmax(factor * o), y, ["c0", "c1"])
        word = assess_calibration(found).conclusion
        page = render_report(ReportData("t", found))
        assert page.count(word) >= 2  # the card and the section
        assert f"Test of calibration: {word}" in page
        assert word.lower() in calibration_sentences(found)[0].lower()
        assert word in audited(tmp_path / "p.csv", softmax(factor * o), y).stdout


def test_fault_d_nothing_found_says_what_would_have_been() -> None:
    o, y = draws(3, 3000, 2)
    found = audit(softmax(o), y, "ab")
    assert assess_calibration(found).conclusion == "no miscalibration found"
    said = " ".join(calibration_sentences(found))
    x = float(re.search(r"an error above about ([\d.]+) percentage points", said, re.IGNORECASE)[1])  # type: ignore[index]
    assert x == pytest.approx(100 * assess_calibration(found).detectable_error, abs=0.05)
    assert 2 < x < 6


def test_fault_d_detectable_errors_are_detected() -> None:
    rejected = 0
    for seed in range(40):
        random = np.random.default_rng(seed)
        p = random.uniform(0.1, 0.9, 600)
        size = check_calibration(np.column_stack([1 - p, p]), (random.random(600) < p).astype(int), draws=99).detectable
        truth = np.clip(p + np.where(random.random(10) < 0.5, -size, size)[(10 * p).astype(int)], 0.001, 0.999)
        y = (random.random(600) < truth).astype(int)
        rejected += check_calibration(np.column_stack([1 - p, p]), y, draws=199).p_value <= 0.05
    assert 24 <= rejected <= 39  # about 80%


def test_fault_d_p_values_go_below_the_ties_of_the_parts() -> None:
    o, y = draws(0, 500, 3)
    check = check_calibration(softmax(3 * o), y)
    assert check.p_value <= 0.0001 + 1e-12  # 0.002 to 0.003 before
    assert check.draws == 9_999
    assert "≤ 0.0001" in " ".join(calibration_sentences(audit(softmax(3 * o), y, "abc")))
    few = check_calibration(softmax(3 * o), y, draws=199)
    assert few.p_value == 1 / 200  # 0.015 before, where parts tie


def test_fault_d_more_draws_keep_the_level() -> None:
    p = np.array([check_calibration(softmax(o), y).p_value for o, y in (draws(s, 40, 2) for s in range(120))])
    assert np.mean(p <= 0.05) <= 0.1
    assert np.mean(p <= 0.01) <= 0.04
    assert np.mean(p <= 0.5) == pytest.approx(0.5, abs=0.14)


def test_fault_d_rows_of_the_fit_are_noticed() -> None:
    from softreg import SoftmaxRegression

    random = np.random.default_rng(0)
    X = random.normal(size=(400, 5))
    y = (random.random(400) < 1 / (1 + np.exp(-X[:, 0]))).astype(int)
    model = SoftmaxRegression(strength=1e-3).fit(X[:300], y[:300])
    own, new = (audit(model.predict_proba(X[rows]), y[rows], "ab") for rows in (slice(300), slice(300, 400)))
    assert own.calibration.fitted
    assert "as on the rows that a model was fitted to" in " ".join(calibration_sentences(own))
    assert not new.calibration.fitted


def test_fault_d_and_f4_groups_are_used_where_they_are_known() -> None:
    """Groups of 20 rows with one label each: taken as independent, they are nearly always rejected."""
    alone, known, wide = 0, 0, []
    for seed in range(20):
        random = np.random.default_rng(seed)
        p = random.uniform(0.2, 0.8, 60)
        y = np.repeat((random.random(60) < p).astype(int), 20)
        groups, p = np.repeat(np.arange(60), 20), np.repeat(p, 20)
        P = np.column_stack([1 - p, p])
        alone += check_calibration(P, y, draws=99).p_value <= 0.05
        found = audit(P, y, "ab", groups=groups).calibration
        assert (found.groups, found.tested) == (60, 60)
        known += found.check.p_value <= 0.05
        wide.append((found.accuracy.high - found.accuracy.low, found.log_loss.high - found.log_loss.low))
    assert alone >= 16
    assert known <= 4
    one_of_each = audit(P[::20], y[::20], "ab").calibration  # 20 equal rows say no more than one
    assert wide[-1][0] == pytest.approx(one_of_each.accuracy.high - one_of_each.accuracy.low, rel=0.1)
    assert wide[-1][1] == pytest.approx(one_of_each.log_loss.high - one_of_each.log_loss.low, rel=0.1)


def test_fault_d_and_f10_accuracy_has_an_exact_interval_where_mistakes_are_few(tmp_path: Path) -> None:
    found = audit(np.tile([0.99, 0.01], (178, 1)), np.zeros(178, dtype=int), "ab").calibration.accuracy
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(0.025 ** (1 / 178), abs=1e-9)  # 0.979
    figures = json.loads(audited(tmp_path / "p.csv", np.tile([0.9, 0.1], (50, 1)), np.zeros(50, int), "--json").stdout)
    assert figures["accuracy_low"] == pytest.approx(0.025 ** (1 / 50), abs=1e-9)


@pytest.mark.parametrize("n", [20, 50, 178, 1000])
def test_the_interval_of_a_proportion_covers_93_percent_everywhere(n: int) -> None:
    """Summed over all counts, without simulation; Wilson's interval falls to 84%."""
    k = np.arange(n + 1)
    ends = [(one.low, one.high) for one in (proportion_interval(count, n) for count in k.tolist())]
    plain = [(one.low, one.high) for one in (wilson_interval(count, n) for count in k.tolist())]
    least = {}
    for name, pairs in (("proportion", np.array(ends)), ("wilson", np.array(plain))):
        p = 1 - np.exp(np.linspace(np.log(0.5), np.log(1e-4), 800))
        inside = (pairs[:, 0] <= p[:, None]) & (p[:, None] <= pairs[:, 1])
        least[name] = (stats.binom.pmf(k, n, p[:, None]) * inside).sum(axis=1).min()
    assert least["proportion"] > 0.93
    assert least["wilson"] < 0.85


@pytest.mark.parametrize("q", [2, 10])
@pytest.mark.parametrize("score", ["log loss", "Brier"])
def test_fault_d_intervals_keep_their_level_where_mistakes_are_rare(q: int, score: str) -> None:
    """An accuracy of 99.7% and 50 rows: the percentile bootstrap covered in 16% to 45% of samples."""
    scale = {2: 150.0, 10: 150.0}[q]
    random = np.random.default_rng(q)

    def scores(P: np.ndarray) -> np.ndarray:
        if score == "Brier":
            return (P * P).sum(axis=1, keepdims=True) + 1 - 2 * P
        return -np.log(np.maximum(P, 1e-300))

    P = softmax(scale * random.normal(size=(100_000, q)))
    expected = float((P * scores(P)).sum(axis=1).mean())
    assert 0.99 < P.max(axis=1).mean() < 0.999
    held = 0
    for _ in range(150):
        P = softmax(scale * random.normal(size=(50, q)))
        found = score_interval(scores(P), P, labels(random, P))
        held += found.low <= expected <= found.high
    assert held >= 138


def test_fault_d_intervals_are_not_wider_than_usual_where_mistakes_are_many() -> None:
    o, y = draws(0, 4000, 3)
    P = softmax(o)
    loss = -np.log(P[np.arange(4000), y])
    found = audit(P, y, "abc").calibration.log_loss
    assert (found.high - found.low) / (2 * 1.96 * loss.std() / np.sqrt(4000)) == pytest.approx(1, abs=0.03)


def test_fault_d_errors_are_root_mean_squares_of_one_probability() -> None:
    """Both probabilities are off by 0.4: so is their root mean square, not 0.57."""
    found = audit([[0.9, 0.1]] * 2000, [0] * 1000 + [1] * 1000, ["a", "b"])
    assert assess_calibration(found).error.value == pytest.approx(0.4, abs=0.01)
    assert "off by 40.0 percentage points (root mean square" in calibration_sentences(found)[0]


def test_fault_f3_few_rows_cannot_tell(tmp_path: Path) -> None:
    five = audited(
        tmp_path / "p.csv",
        np.array([[0.7, 0.3], [0.4, 0.6], [0.8, 0.2], [0.5, 0.5], [0.1, 0.9]]),
        np.array([0, 1, 0, 1, 1]),
    )
    assert "too few rows to tell" in five.stdout
    # 67 rows, all right, at 97%: the calibration gap is most of the loss, and the test cannot say
    P = np.tile([0.97, 0.015, 0.015], (67, 1))
    for k in range(3):
        P[k::3] = np.roll([0.97, 0.015, 0.015], k)
    found = audit(P, np.arange(67) % 3, "abc")
    assert found.calibration.gap.value > 0.5 * found.log_loss
    assert assess_calibration(found).conclusion == "too few rows to tell"
    assert assess_calibration(found).acceptable is None
    assert (
        assess_calibration(found, AssessmentLimits(detectable_error=0.5, open_nats=10.0)).conclusion
        == "no miscalibration found"
    )


def test_fault_f8_probabilities_of_0_and_1_that_are_wrong(tmp_path: Path) -> None:
    P = np.eye(2)[np.tile([0, 1], 20)]
    for y in (np.tile([1, 0], 20), np.repeat([0, 1], 20)):
        done = audited(tmp_path / "p.csv", P, y)
        assert "p ≤ 0.0001" in done.stdout
        assert re.search(r"log loss +infinite +the observed label has probability 0 in (40|20) of 40 rows", done.stdout)
        assert "inf%" not in done.stdout
        assert "infinite log loss" in done.stdout
    figures = json.loads(audited(tmp_path / "p.csv", P, np.tile([1, 0], 20), "--json").stdout)
    assert figures["log_loss"] is None
    assert figures["calibration_p"] <= 0.001
    right = audited(tmp_path / "p.csv", P, np.tile([0, 1], 20)).stdout
    assert "95% interval 0.0000 to infinity" in right  # one mistake would cost an infinite loss
    assert "too few rows to tell" in right


def test_fault_words_of_the_list() -> None:
    o, y = draws(0, 400, 2)
    page = render_report(ReportData("t", audit(softmax(o), y, ["no", "yes"]), coef=[[0.0], [1.0]]))
    for word in ("Gains and lift", "Coefficients", "observed ↓", "recall", "an estimate", "new and"):
        assert word in page, word
    for word in ("Acting on it", "What each class looks at", ">given", "repair", "by chance."):
        assert word not in page, word
