"""The result of an evaluation as a table of lines."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from softreg.cli.console.aligned_text import (
    align_columns,
    format_interval,
    format_labels,
    format_loss,
    format_nats,
    truncate_label,
)
from softreg.cli.console.evaluation_result import EvaluationResult

if TYPE_CHECKING:
    from softreg.models import Path
    from softreg.optimize import Solution
    from softreg.probability import Interval
    from softreg.report import Audit

Line = tuple[str, str, str]
"""Name, value and remark of a line."""
SMALLEST_SKILL = 0.0005
"""Absolute share of entropy explained below which it is written as none."""


def format_result(
    result: EvaluationResult,
    audit: Audit,
    solution: Solution | None,
    *,
    rows: str,
    columns: str,
    prefix: str,
    strength: str = "",
) -> str:
    """Return the table of a result.

    Parameters
    ----------
    result : EvaluationResult
        The result.
    audit : Audit
        Evaluation of the rows.
    solution : Solution or None
        Solution of the fit.
    rows, columns, strength : str
        Remarks on these lines.
    prefix : str
        Which rows the scores are of, such as "held-out"; empty for all rows of the input.

    Returns
    -------
    str
        Aligned lines.
    """
    lines = [
        ("rows", f"{result.rows:,}", rows),
        ("columns", f"{result.columns:,}", columns),
        ("classes", f"{result.classes:,}", format_labels(audit.classes)),
        ("strength", f"{result.strength:.3g}", strength),
        *score_lines(audit, prefix),
        *weight_lines(audit),
        *calibration_lines(audit),
        _certificate_line(result, solution),
        ("seconds", f"{result.seconds:.2f}", _search_text(result) if prefix else "to predict the rows"),
    ]
    return align_columns(lines)


def score_lines(audit: Audit, prefix: str = "") -> list[Line]:
    """Return log loss, entropy, accuracy, AUC and Brier score as lines; AUC only where a class has one."""
    of = f"{prefix} " if prefix else ""
    accuracy = audit.calibration.accuracy
    majority = f"always predicting {truncate_label(audit.majority)!r}: {audit.majority_accuracy:.2%}"
    binary = len(audit.classes) == 2
    ranked = f"of {truncate_label(audit.classes[1])!r}" if binary else "mean of each class against the rest"
    lines = [
        (f"{of}log loss", format_loss(audit.log_loss), _log_loss_remark(audit)),
        (
            "entropy of labels",
            f"{audit.label_entropy:.4f} nats",
            f"= {audit.label_entropy_bits:.4f} bits; {explained_entropy(audit)}",
        ),
        (f"{of}accuracy", f"{audit.accuracy:.2%}", f"{_percent_interval(accuracy, 2)}; {majority}"),
    ]
    if audit.streamed is not None:
        k = len(audit.top_k)
        among = f"share of rows whose label is among the {k} most likely classes"
        lines.append((f"{of}top-{k} accuracy", f"{audit.top_k[-1]:.2%}", among))
    if math.isfinite(audit.auc.value):
        lines.append((f"{of}AUC", f"{audit.auc.value:.4f}", f"{ranked}; {format_interval(audit.auc)}"))
    brier = f"summed over the classes, 0 to 2; {format_interval(audit.calibration.brier)}"
    return [*lines, (f"{of}Brier score", f"{audit.brier:.4f}", brier)]


def _percent_interval(interval: Interval, decimals: int) -> str:
    """Return a 95% interval in per cent."""
    return f"95% interval {interval.low:.{decimals}%} to {interval.high:.{decimals}%}"


def _log_loss_remark(audit: Audit) -> str:
    """Return the interval of the expected log loss, or why it is infinite."""
    if math.isinf(audit.log_loss):
        impossible = int((audit.probability == 0).sum())
        return f"the observed label has probability 0 in {impossible:,} of {audit.rows:,} rows"
    return f"= {audit.log_loss_bits:.4f} bits; {format_interval(audit.calibration.log_loss)}"


def explained_entropy(audit: Audit) -> str:
    """Return the share of the label entropy that is explained, with its interval."""
    if audit.label_entropy == 0:
        return "only one class occurs here"
    if math.isinf(audit.skill):
        return "a label of probability 0 makes the log loss infinite"
    if audit.skill < -SMALLEST_SKILL:
        return f"the log loss is {-audit.skill:.1%} larger: worse than class rates"
    if audit.skill < SMALLEST_SKILL:
        return "the log loss is equal: no better than class rates"
    return f"entropy explained {audit.skill:.1%}, {_percent_interval(audit.calibration.skill, 1)}"


def weight_lines(audit: Audit) -> list[Line]:
    """Return a line on the weights of the rows, where there are some."""
    if audit.weights is None:
        return []
    size = f"effective sample size {audit.effective_rows:,.1f} of {audit.rows:,} rows, used for intervals"
    return [("weights", "used", f"{size}; the test of calibration counts each row once")]


def calibration_lines(audit: Audit) -> list[Line]:
    """Return conclusion, error and gap of the calibration as lines."""
    from softreg.report.evaluation.number_format import format_points, format_points_range, p_value_sentence
    from softreg.report.page.calibration_assessment import INFINITE, AssessmentLimits, assess_calibration

    calibration, assessment = audit.calibration, assess_calibration(audit)
    check, error = calibration.check, assessment.error
    lines = [("calibration", assessment.conclusion, p_value_sentence(check.p_value, check.draws))]
    if assessment.conclusion == INFINITE:
        return lines
    power = (
        f"an overall error of about {format_points(assessment.detectable_error)} would be found in about 80% of samples"
    )
    zero = "size not shown by bins" if check.p_value <= AssessmentLimits().significance else "none found"
    size = format_points(error.value) if error.value > 0 else zero
    what = "root mean square" if len(audit.classes) == 2 else "root mean square, of the most likely class"
    unit = "" if error.value > 0 else " percentage points"
    interval = f"95% interval {format_points_range(error.low, error.high)}{unit}"
    gain = "estimated gain of the better of two simple recalibrations"
    lines += [
        ("calibration error", size, f"{what}, {interval}; {power}"),
        ("calibration gap", f"{calibration.gap.value:.4f} nats", f"{format_interval(calibration.gap)}; {gain}"),
    ]
    if calibration.groups is not None:
        lines.append(("", "", f"{calibration.groups:,} independent groups: the test uses one row of each"))
    if calibration.fitted:
        remark = "mean probabilities equal class rates, as on the rows of the fit: not valid for new rows"
        lines.append(("", "", remark))
    return lines


def _certificate_line(result: EvaluationResult, solution: Solution | None) -> Line:
    """Return the certificate of the fit as a line."""
    if solution is None or not math.isfinite(solution.gap):
        return ("certificate", "none", certificate_text(solution).removeprefix("none: "))
    bound = f"upper bound, by {solution.bound}, on" if solution.certified else "estimate, no proof, of"
    name = "certified gap" if solution.certified else "estimated gap"
    ended = f"{solution.status.value}{',' * (not solution.certified)} after {result.passes:,} passes over the data"
    return (name, format_nats(result.gap), f"{bound} the distance to the minimum of the training objective; {ended}")


def _search_text(result: EvaluationResult) -> str:
    """Return the part of the seconds that the search for the strength took."""
    search = result.search
    if search is None or search["seconds"] is None:
        return ""
    passes = f"{search['passes']:,} passes over the data for {search['strengths']:,} strengths"
    return f"of which {search['seconds']:.2f} to choose the strength, with {passes}"


def certificate_text(solution: Solution | None) -> str:
    """Describe the convergence of a fit; a model trained by `partial_fit` has no certificate."""
    if solution is None:
        return "none: the model was trained on mini-batches, which do not reach the exact optimum"
    status, gap = str(solution.status.value), format_nats(solution.gap)
    if not math.isfinite(solution.gap):
        return f"{status}; the distance to the minimum of the training objective is not known"
    if solution.status.name == "STATIONARY":
        return f"{status}; Firth's penalised likelihood is within about {gap} of a stationary value (an estimate)"
    within = "of the minimum of the training objective"
    if solution.certified:
        return f"{status}; within {gap} {within} (proved by {solution.bound})"
    advice = "; an L2 penalty would give a proof" if solution.status.name == "UNCERTIFIED" else ""
    return f"{status}; within about {gap} {within} (an estimate, no proof){advice}"


def strength_selection(path: Path | None, rule: str = "min") -> str:
    """Describe how the strength was selected; empty where it was given."""
    if path is None:
        return ""
    at, folds = path.chosen, path.scores.shape[1]
    error = f" ± {path.error[at]:.4f} (1 SE)" if math.isfinite(path.error[at]) else ""
    method = f"by {folds}-fold cross-validation" if folds > 1 else "on held-out training rows"
    score = path.scoring.replace("_", " ")
    text = f"chosen {method}: {score} {path.mean[at]:.4f}{error}"
    best = int(path.mean.argmax() if path.more_is_better else path.mean.argmin())
    if rule == "1se" and best != at:
        text += f", within 1 SE of {path.mean[best]:.4f} at {path.strength[best]:.3g}"
    return text
