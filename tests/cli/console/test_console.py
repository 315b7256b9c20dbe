"""Lines, bars and figures by themselves."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from softreg import one_hot
from softreg.cli.console.aligned_text import align_columns, format_labels
from softreg.cli.console.command_errors import ErrorReportingGroup
from softreg.cli.console.evaluation_result import collect_result
from softreg.cli.console.progress_bars import ProgressFraction, show_fit_progress
from softreg.cli.console.result_table import certificate_text, format_result
from softreg.optimize import Progress, Solution, Status
from softreg.report import audit
from softreg.report.page.calibration_assessment import assess_calibration

SOLUTION = Solution(
    W=np.zeros((1, 2)),
    b=np.zeros(2),
    value=0.5,
    gap=3.2e-7,
    bound="duality",
    status=Status.CONVERGED,
    passes=12,
    n_iter=5,
)


def test_lines_are_printed_at_most_once_a_second(capsys: pytest.CaptureFixture[str]) -> None:
    with show_fit_progress(1e-6) as listener:
        for seconds in (0.0, 0.4, 0.9, 1.1, 1.5, 2.2, 2.3):
            listener(Progress(passes=round(10 * seconds), value=0.3, gap=1e-3, seconds=seconds))
    told = capsys.readouterr()
    assert told.out == ""
    assert [line.split(":")[0] for line in told.err.splitlines()] == ["pass 0", "pass 11", "pass 22", "pass 23"]
    assert "pass 11: objective 0.300000 nats, gap 1.0e-03 nats, 1.1 s" in told.err


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    with show_fit_progress(1e-6, quiet=True) as listener:
        listener(Progress(passes=1, value=0.3, gap=1e-3, seconds=0.1))
    assert capsys.readouterr().err == ""


def test_the_bar_counts_digits_and_never_goes_back() -> None:
    share = ProgressFraction(tol=1e-6)
    seen = [share.update(gap) for gap in (math.inf, 1.0, 1e-3, 1e-1, 1e-6, 0.0)]
    assert seen == pytest.approx([0, 0, 0.5, 0.5, 1, 1])
    assert ProgressFraction(tol=1e-6).update(1e-9) == 1.0  # converged at once
    assert ProgressFraction(tol=0.0).update(1e-3) == 0.0  # no tolerance, no way to measure


def test_columns_are_aligned() -> None:
    assert align_columns([("a", "1"), ("long", "")]) == "  a     1\n  long"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "converged; within 3.2e-07 nats of the minimum of the training objective (proved by duality)"),
        (
            {"bound": "estimate"},
            "converged; within about 3.2e-07 nats of the minimum of the training objective (an estimate, no proof)",
        ),
        (
            {"status": Status.STOPPED, "gap": 0.01},
            "stopped at max_iter; within 1.0e-02 nats of the minimum of the training objective",
        ),
        ({"gap": math.inf}, "the distance to the minimum of the training objective is not known"),
    ],
)
def test_the_certificate_in_words(changes: dict[str, Any], told: str) -> None:
    assert told in certificate_text(replace(SOLUTION, **changes))


def test_figures_worked_by_hand() -> None:
    """Two rows of cat at 3/4 and 1/2, one of dog at 1/4: the loss is log(4/3 * 2 * 4) / 3."""
    found = audit([[0.75, 0.25], [0.5, 0.5], [0.75, 0.25]], [0, 0, 1], ["cat", "dog"])
    figures = collect_result(found, SOLUTION, rows=15, columns=2, strength=1e-4, seconds=0.5)
    loss = math.log(32 / 3) / 3
    entropy = -(2 / 3 * math.log(2 / 3) + 1 / 3 * math.log(1 / 3))
    plain, size = json.loads(figures.as_json()), assess_calibration(found).error
    expected = {
        "rows": 15, "columns": 2, "classes": 2, "strength": 1e-4,
        "log_loss": loss, "log_loss_bits": loss / math.log(2),
        "log_loss_low": found.calibration.log_loss.low, "log_loss_high": found.calibration.log_loss.high,
        "label_entropy": entropy, "accuracy": 2 / 3,
        "accuracy_low": found.calibration.accuracy.low, "accuracy_high": found.calibration.accuracy.high,
        "majority_accuracy": 2 / 3,
        "auc": 0.25, "auc_low": found.auc.low, "auc_high": found.auc.high,
        "brier": (0.125 + 0.5 + 1.125) / 3,
        "brier_low": found.calibration.brier.low, "brier_high": found.calibration.brier.high,
        "effective_rows": 3.0, "calibration": "too few rows to tell", "calibration_error": size.value,
        "calibration_error_low": size.low, "calibration_error_high": size.high,
        "calibration_gap": found.calibration.gap.value, "calibration_p": found.calibration.check.p_value,
        "calibration_draws": found.calibration.check.draws,
        "gap": 3.2e-7, "passes": 12, "seconds": 0.5, "search": None,
    }  # fmt: skip
    assert list(plain) == list(expected)
    assert plain == pytest.approx(expected)
    text = format_result(figures, found, SOLUTION, rows="", columns="", prefix="held-out")
    assert f"{loss:.4f} nats" in text
    assert "66.67%" in text
    assert "always predicting 'cat'" in text


@pytest.mark.parametrize(
    ("solution", "told"),
    [
        (
            SOLUTION,
            "upper bound, by duality, on the distance to the minimum of the training objective; "
            "converged after 12 passes over the data",
        ),
        (
            replace(SOLUTION, bound="estimate"),
            "estimate, no proof, of the distance to the minimum of the training objective",
        ),
        (replace(SOLUTION, gap=math.inf), "is not known"),
        (None, "the model was trained on mini-batches"),
    ],
)
def test_the_result_table_says_what_is_proved(solution: Solution | None, told: str) -> None:
    found = audit([[0.75, 0.25], [0.5, 0.5]], [0, 1], ["cat", "dog"])
    figures = collect_result(found, solution, rows=2, columns=1, strength=1e-4, seconds=0.5)
    text = format_result(figures, found, solution, rows="", columns="", prefix="held-out")
    assert told in text
    assert re.search(r"entropy of labels +0\.6931 nats += 1\.0000 bits", text)


@pytest.mark.parametrize(
    ("P", "codes", "told"),
    [
        ([[1.0, 0.0], [1.0, 0.0]], [0, 0], "only one class occurs here"),
        ([[0.5, 0.5], [0.5, 0.5]], [0, 1], "no better than class rates"),
        ([[1.0, 0.0], [1.0, 0.0]], [0, 1], "a label of probability 0 makes the log loss infinite"),
        ([[0.75, 0.25], [0.25, 0.75]], [0, 1], "entropy explained 58.5%"),  # 1 - log2(4/3)
        ([[1.0, 0.0], [0.0, 1.0]], [0, 1], "entropy explained 100.0%"),
    ],
)
def test_the_result_table_says_what_the_columns_explain(P: list[list[float]], codes: list[int], told: str) -> None:
    found = audit(P, codes, ["cat", "dog"])
    figures = collect_result(found, SOLUTION, rows=2, columns=1, strength=1e-4, seconds=0.5)
    assert told in format_result(figures, found, SOLUTION, rows="", columns="", prefix="")


def test_json_writes_null_for_what_is_infinite() -> None:
    found = audit([[1.0, 0.0], [1.0, 0.0]], [0, 1], ["cat", "dog"])
    figures = collect_result(found, replace(SOLUTION, gap=math.inf), rows=2, columns=1, strength=0.0, seconds=0.1)
    plain = json.loads(figures.as_json())
    assert plain["log_loss"] is None
    assert plain["gap"] is None
    assert plain["accuracy"] == 0.5


def test_many_labels_are_cut() -> None:
    assert format_labels(tuple("abcdefghij"), width=22) == "a, b, c, d, e, f, g, h and 2 more"
    assert format_labels(["word " * 20, "y"], width=30) == "word word word word word word word word… and 1 more"


def test_the_boundary_lets_the_end_of_a_pipe_through() -> None:
    group = ErrorReportingGroup("softreg")

    @group.command()
    def talk() -> None:
        raise BrokenPipeError(32, "Broken pipe")

    with pytest.raises(BrokenPipeError):
        group.invoke(group.make_context("softreg", ["talk"]))


def test_the_boundary_tells_complaints_from_defects() -> None:
    group = ErrorReportingGroup("softreg")

    @group.command()
    def talk() -> None:
        one_hot([5], n_classes=2)  # softreg itself raises

    @group.command()
    def stumble() -> None:
        float("a defect")

    complained = CliRunner().invoke(group, ["talk"])
    assert complained.exit_code == 2
    assert complained.stderr.startswith("softreg: ")
    stumbled = CliRunner().invoke(group, ["stumble"])
    assert stumbled.exit_code == 1
    assert isinstance(stumbled.exception, ValueError)
