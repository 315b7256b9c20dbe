"""The figures of a result: one record, shown to a person as lines and to a program as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import click

from softreg.cli.console.progress_bars import MIN_SHOWN_GAP, align_columns, format_nats, print_message, truncate_label
from softreg.cli.console.score_lines import format_interval, format_loss, ranking_lines, weight_lines

if TYPE_CHECKING:
    from softreg.models import Path
    from softreg.optimize import Solution
    from softreg.probability import Interval
    from softreg.report import Audit


@dataclass(frozen=True)
class EvaluationResult:
    """What `train` and `evaluate` print; losses, entropy and gap in nats unless the name says bits.

    `auc` is the area under the ROC curve, of several classes the mean of each against the rest, and `brier` the mean
    squared difference of probabilities and labels, summed over classes. `effective_rows` (Kish) is how many rows of
    equal weight the evaluated ones are worth. `calibration` is the verdict in words, `calibration_p` the p-value of the
    exact test by `calibration_draws` draws, `calibration_error` the root-mean-square error of a probability. `gap` and
    `passes` are those of the fit; `search` describes the choice of the strength: how many `strengths`, `folds`, the
    `rule`, `passes` over the rows and `seconds`; None where the strength was given. `seconds` are those of the search
    and the fit.
    """

    rows: int
    columns: int
    classes: int
    strength: float
    log_loss: float
    log_loss_bits: float
    log_loss_low: float
    log_loss_high: float
    label_entropy: float
    accuracy: float
    accuracy_low: float
    accuracy_high: float
    majority_accuracy: float
    auc: float
    auc_low: float
    auc_high: float
    brier: float
    brier_low: float
    brier_high: float
    effective_rows: float
    calibration: str
    calibration_error: float
    calibration_error_low: float
    calibration_error_high: float
    calibration_gap: float
    calibration_p: float
    calibration_draws: int
    gap: float
    passes: int
    seconds: float
    search: Mapping[str, Any] | None

    def as_json(self) -> str:
        """One JSON object; null stands for a figure that is infinite, which JSON cannot write."""
        plain = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in asdict(self).items()}
        return json.dumps(plain, allow_nan=False)


def collect_result(
    found: Audit,
    solution: Solution | None,
    *,
    rows: int,
    columns: int,
    strength: float,
    seconds: float,
    search: Mapping[str, Any] | None = None,
) -> EvaluationResult:
    """The figures of an audit on labelled rows, of the fit behind it, and of the search for its strength."""
    from softreg.report.page.calibration_assessment import (
        assess_calibration,  # here, since `softreg inspect` needs no report
    )

    judged = assess_calibration(found)
    return EvaluationResult(
        rows=rows,
        columns=columns,
        classes=len(found.classes),
        strength=strength,
        log_loss=found.log_loss,
        log_loss_bits=found.log_loss_bits,
        log_loss_low=found.calibration.log_loss.low,
        log_loss_high=found.calibration.log_loss.high,
        label_entropy=found.label_entropy,
        accuracy=found.accuracy,
        accuracy_low=found.calibration.accuracy.low,
        accuracy_high=found.calibration.accuracy.high,
        majority_accuracy=found.majority_accuracy,
        **_ends("auc", found.auc),
        **_ends("brier", found.calibration.brier),
        effective_rows=found.effective_rows,
        calibration=judged.conclusion,
        calibration_error=judged.error.value,
        calibration_error_low=judged.error.low,
        calibration_error_high=judged.error.high,
        calibration_gap=found.calibration.gap.value,
        calibration_p=found.calibration.check.p_value,
        calibration_draws=found.calibration.check.draws,
        gap=max(float(solution.gap), MIN_SHOWN_GAP) if solution else math.inf,
        passes=int(solution.passes) if solution else 0,
        seconds=seconds,
        search=search,
    )


def _ends(name: str, figure: Interval) -> dict[str, float]:
    """A figure and the ends of its interval, by the names of their fields."""
    return {name: figure.value, f"{name}_low": figure.low, f"{name}_high": figure.high}


def search_record(path: Path | None, rule: str) -> dict[str, Any] | None:
    """What choosing the strength took, as a record; None where it was given."""
    if path is None:
        return None
    seconds = path.seconds if math.isfinite(path.seconds) else None
    folds = path.scores.shape[1]
    return {"strengths": len(path), "folds": folds, "rule": rule, "passes": path.passes, "seconds": seconds}


def certificate_text(solution: Solution | None) -> str:
    """The certificate of a fit in words; a model made by `partial_fit` has none."""
    if solution is None:
        return "none: the model was trained on mini-batches, which do not reach the exact optimum"
    status, gap = str(solution.status.value), format_nats(solution.gap)
    if not math.isfinite(solution.gap):
        return f"{status}; the distance to the minimum of the training objective is not known"
    if solution.status.name == "UNCERTIFIED":
        return (
            f"{status}; within about {gap} of the minimum of the training objective (an estimate, no proof); an L2 "
            "penalty would give a proof"
        )
    if solution.status.name == "STATIONARY":
        return f"{status}; Firth's penalised likelihood is within about {gap} of a stationary value (an estimate)"
    if not solution.certified:
        return f"{status}; within about {gap} of the minimum of the training objective (an estimate, no proof)"
    return f"{status}; within {gap} of the minimum of the training objective (proved by {solution.bound})"


def strength_selection(path: Path | None, rule: str = "min") -> str:
    """How the strength was chosen, in words; empty where it was given."""
    if path is None:
        return ""
    at, folds = path.chosen, path.scores.shape[1]
    error = f" ± {path.error[at]:.4f} (1 SE of the folds)" if math.isfinite(path.error[at]) else ""
    how = f"by {folds}-fold cross-validation" if folds > 1 else "on held-out training rows"
    score = path.scoring.replace("_", " ")
    told = f"chosen {how}: {score} {path.mean[at]:.4f}{error}"
    best = int(path.mean.argmax() if path.more_is_better else path.mean.argmin())
    if rule == "1se" and best != at:
        told += f", within 1 SE of {path.mean[best]:.4f} at {path.strength[best]:.3g}"
    return told


def result_table(
    figures: EvaluationResult,
    found: Audit,
    solution: Solution | None,
    *,
    rows: str,
    columns: str,
    what: str,
    strength: str = "",
) -> str:
    """The result table; `rows`, `columns` and `strength` are remarks, `what` says which rows the losses are of."""
    of = f"{what} " if what else ""
    bits = f"= {found.label_entropy_bits:.4f} bits; {explained_entropy(found)}"
    between = f"95% interval {figures.accuracy_low:.2%} to {figures.accuracy_high:.2%}"
    majority = f"{between}; always {truncate_label(found.majority)!r}: {figures.majority_accuracy:.2%}"
    lines = [
        ("rows", f"{figures.rows:,}", rows),
        ("columns", f"{figures.columns:,}", columns),
        ("classes", f"{figures.classes:,}", format_labels(found.classes)),
        ("strength", f"{figures.strength:.3g}", strength),
        (f"{of}log loss", format_loss(figures.log_loss), log_loss_note(found)),
        ("entropy of labels", f"{figures.label_entropy:.4f} nats", bits),
        (f"{of}accuracy", f"{figures.accuracy:.2%}", majority),
        *ranking_lines(found, of),
        *weight_lines(found),
        *calibration(found),
        _gap(figures, solution),
        ("seconds", f"{figures.seconds:.2f}", _searched(figures) if what else "to predict the rows"),
    ]
    return align_columns(lines)


def _searched(figures: EvaluationResult) -> str:
    """What of the seconds went into choosing the strength."""
    search = figures.search
    if search is None or search["seconds"] is None:
        return ""
    passes = f"{search['passes']:,} passes over the data for {search['strengths']:,} strengths"
    return f"of which {search['seconds']:.2f} to choose the strength, with {passes}"


def log_loss_note(found: Audit) -> str:
    """The interval for the expected log loss, or why it is infinite."""
    if math.isinf(found.log_loss):
        return f"the label has probability 0 in {int((found.probability == 0).sum()):,} of {found.rows:,} rows"
    return f"= {found.log_loss_bits:.4f} bits; {format_interval(found.calibration.log_loss)}"


def calibration(found: Audit) -> list[tuple[str, str, str]]:
    """Whether the probabilities are calibrated, as lines of the result table: verdict, error, gap."""
    from softreg.report.evaluation.number_format import format_points, format_points_range, p_value_sentence
    from softreg.report.page.calibration_assessment import INFINITE, Limits, assess_calibration

    judged, gap, check = assess_calibration(found), found.calibration.gap, found.calibration.check
    lines = [("calibration", judged.conclusion, p_value_sentence(check.p_value, check.draws))]
    if judged.conclusion == INFINITE:
        return lines
    least = f"an overall error of about {format_points(judged.detectable_error)} would be found in about 80% of samples"
    none = "size not shown by bins" if check.p_value <= Limits().level else "none found"
    size = format_points(judged.error.value) if judged.error.value > 0 else none
    what = "root mean square" if len(found.classes) == 2 else "root mean square, of the most likely class"
    unit = "" if judged.error.value > 0 else " percentage points"
    between = f"95% interval {format_points_range(judged.error.low, judged.error.high)}{unit}"
    gain = "an estimate of what the better of two simple recalibrations gains"
    lines += [
        ("calibration error", size, f"{what}, {between}; {least}"),
        ("calibration gap", f"{gap.value:.4f} nats", f"{format_interval(gap)}; {gain}"),
    ]
    if found.calibration.groups is not None:
        lines.append(("", "", f"of independent groups, {found.calibration.groups:,}: the test takes one row of each"))
    if found.calibration.fitted:
        lines.append(
            ("", "", "mean probabilities equal class rates, as on the rows of the fit: not valid for new rows")
        )
    return lines


def _gap(figures: EvaluationResult, solution: Solution | None) -> tuple[str, str, str]:
    """The certificate as a line of the result table."""
    if solution is None or not math.isfinite(solution.gap):
        return ("certificate", "none", certificate_text(solution).removeprefix("none: "))
    bound = f"upper bound, by {solution.bound}, on" if solution.certified else "estimate, no proof, of"
    name = "certified gap" if solution.certified else "estimated gap"
    ended = f"{solution.status.value}{',' * (not solution.certified)} after {figures.passes:,} passes over the data"
    return (name, format_nats(figures.gap), f"{bound} the distance to the minimum of the training objective; {ended}")


def explained_entropy(found: Audit) -> str:
    """How much of the entropy of the labels is explained, in words."""
    if found.label_entropy == 0:
        return "only one class occurs here"
    if math.isinf(found.skill):
        return "a label of probability 0 makes the log loss infinite"
    if found.skill < -0.0005:
        return f"log loss is {-found.skill:.1%} above it: worse than class rates"
    if found.skill < 0.0005:
        return "log loss is equal to it: no better than class rates"
    between = f"{found.calibration.skill.low:.1%} to {found.calibration.skill.high:.1%}"
    return f"entropy explained {found.skill:.1%}, 95% interval {between}"


def format_labels(labels: Sequence[str], room: int = 60) -> str:
    """Labels in a line, as many as there is room for, at least one; a long one is cut.

    >>> format_labels(("cat", "dog")), format_labels(("cat", "chicken", "dog"), room=10)
    ('cat, dog', 'cat and 2 more')
    """
    labels = [truncate_label(label) for label in labels]
    lengths = accumulate(len(label) + 2 for label in labels)
    fit = max(1, sum(length <= room + 2 for length in lengths))
    more = f" and {len(labels) - fit:,} more" if len(labels) > fit else ""
    return ", ".join(labels[:fit]) + more


def print_model_warnings(found: Audit, information: Sequence[tuple[str, float]] = ()) -> None:
    """Say on stderr what should be known before the model is used: leakage, no mistakes, miscalibration."""
    from softreg.report.page.model_warnings import model_warnings

    for warning in model_warnings(found, information):
        print_message(f"Warning: {warning}")


def print_result(figures: EvaluationResult, text: str, *, as_json: bool) -> None:
    """Print the result on stdout: the object alone, or the table."""
    click.echo(figures.as_json() if as_json else text)
