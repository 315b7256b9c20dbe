"""`softreg probe`: a linear probe of embeddings, with the strength chosen on held-out rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from softreg.cli.console.aligned_text import align_columns, format_interval, format_labels, format_loss, format_nats
from softreg.cli.console.command_errors import CommandError
from softreg.cli.console.evaluation_result import dump_json, interval_fields
from softreg.cli.console.messages import print_message, print_model_warnings, print_note
from softreg.cli.console.output_files import MODEL_ENDINGS, REPORT_ENDINGS, check_writable, refuse_inputs
from softreg.cli.console.result_table import calibration_lines, certificate_text
from softreg.cli.report_inputs.build_report import write_page
from softreg.cli.report_inputs.provenance import provenance
from softreg.linear_probe import Probe, StrengthScores, probe
from softreg.linear_probe.files.array_files import array_source
from softreg.linear_probe.held_out_scores import TOP
from softreg.report.page.calibration_assessment import assess_calibration

if TYPE_CHECKING:
    from softreg.probability import Interval


@dataclass(frozen=True)
class ProbeRequest:
    """The arguments of the command."""

    embeddings: str
    labels: str
    test: tuple[str, str] | None
    strengths: str
    holdout: float
    folds: int | None
    score: Any
    unit_rows: bool
    standardize: bool
    tol: float
    seed: int
    save: Path | None
    report: Path | None
    as_json: bool
    quiet: bool


def run_probe(request: ProbeRequest) -> None:
    """Fit the probe, and print and write the results."""
    check_writable(request.save, MODEL_ENDINGS, "--save")
    check_writable(request.report, REPORT_ENDINGS, "--report")
    inputs = _input_files(request)
    refuse_inputs(request.save, "--save", inputs)
    refuse_inputs(request.report, "--report", inputs)
    try:
        result = probe(
            request.embeddings,
            request.labels,
            test=request.test,
            strengths=_strengths(request.strengths),
            holdout=request.holdout,
            folds=request.folds,
            score=request.score,
            unit_rows=request.unit_rows,
            standardize=request.standardize,
            tol=request.tol,
            seed=request.seed,
            on_strength=None if request.quiet else _print_strength,
        )
    except ImportError as error:
        raise CommandError(str(error)) from None
    if request.save is not None:
        result.model.save(request.save)
    if request.report is not None:
        _write_report(request, request.report, result, inputs)
    click.echo(_as_json(result) if request.as_json else _as_text(result))
    print_model_warnings(result.evaluation)
    if request.save is not None:
        print_message(f"Model of all {result.rows:,} training rows: {request.save}")
        if result.unit_rows:
            print_note(
                "The weights of the model file are those of rows of unit length: divide rows by their length before "
                "they are given to it."
            )
    if request.report is not None:
        print_message(f"Report on the {result.evaluated_on} rows: {request.report}")


def _input_files(request: ProbeRequest) -> list[Path]:
    """Return the files of the arguments; labels may be a name in the file of the embeddings."""
    files = []
    for text in (request.embeddings, request.labels, *(request.test or ())):
        try:
            files.append(array_source(text).path)
        except FileNotFoundError:
            continue  # reading it reports what is missing
    return files


def _strengths(text: str) -> str | list[float]:
    """Return the strengths of a list with commas, or "auto"."""
    if text == "auto":
        return text
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise CommandError(
            f"--strengths {text!r} is neither auto nor numbers with commas, such as 1e-3,1e-4."
        ) from None


def _print_strength(point: StrengthScores) -> None:
    """Print the scores of a strength, on stderr."""
    print_message(
        f"strength {point.strength:.3g}: held-out log loss {point.log_loss.value:.4f}, accuracy "
        f"{point.accuracy.value:.2%}, {point.passes:,} passes, {point.seconds:.1f} s"
    )


def _as_text(result: Probe) -> str:
    """Return the table of strengths, and the result at the chosen one."""
    with_top = len(result.model.classes_) > TOP
    rows = [("strength", "log loss", "95% interval", "top-1", "95% interval", *["top-5"] * with_top, "gap", "")]
    for k, point in enumerate(result.strengths):
        rows.append(
            (
                f"{point.strength:.3g}",
                f"{point.log_loss.value:.4f}",
                _range(point.log_loss, "{:.4f}"),
                f"{point.accuracy.value:.2%}",
                _range(point.accuracy, "{:.2%}"),
                *[f"{point.top5_accuracy.value:.2%}"] * with_top,
                format_nats(point.gap) if point.converged else f"{format_nats(point.gap)}, not converged",
                "chosen" if k == result.chosen else "",
            )
        )
    return f"{align_columns(rows)}\n\n{align_columns(_result_lines(result))}"


def _range(interval: Interval, form: str) -> str:
    """Return the ends of an interval."""
    return f"{form.format(interval.low)} to {form.format(interval.high)}"


def _result_lines(result: Probe) -> list[tuple[str, str, str]]:
    """Return the lines of the result at the chosen strength."""
    of, model, top = result.evaluated_on, result.model, result.top5_accuracy
    kinds = [result.kind, *["unit length"] * result.unit_rows, *["standardised"] * result.standardized]
    held = f"{result.held_out:,} held out to choose the strength" if result.held_out else "none is held out"
    chosen = f"by {result.score.replace('_', ' ')}" if len(result.strengths) > 1 else "as given"
    lines = [
        ("rows", f"{result.rows:,}", held),
        ("columns", f"{model.n_features_in_:,}", ", ".join(kinds)),
        ("classes", f"{len(model.classes_):,}", format_labels([str(label) for label in model.classes_])),
        ("strength", f"{model.strength:.3g}", f"{chosen}; the model is that of all rows"),
        (f"{of} log loss", format_loss(result.log_loss.value), format_interval(result.log_loss)),
        (f"{of} top-1", f"{result.accuracy.value:.2%}", f"95% interval {_range(result.accuracy, '{:.2%}')}"),
        *[(f"{of} top-5", f"{top.value:.2%}", f"95% interval {_range(top, '{:.2%}')}")] * (len(model.classes_) > TOP),
        *calibration_lines(result.evaluation),
        ("certificate", format_nats(model.solution_.gap), certificate_text(model.solution_)),
        ("seconds", f"{result.seconds:.2f}", f"with {result.passes:,} passes over the rows"),
    ]
    at = next(k for k, line in enumerate(lines) if line[0] == "calibration")
    if result.evaluation.rows < (result.tested or result.held_out):
        lines.insert(at + 1, ("", "", f"judged on a sample of {result.evaluation.rows:,} rows"))
    if result.evaluated_on == "held-out":
        lines.insert(at, ("", "", "of models without these rows, on which the strengths are compared as well"))
    return lines


def _as_json(result: Probe) -> str:
    """Return the result as a JSON object."""
    assessment = assess_calibration(result.evaluation)
    check = result.evaluation.calibration.check
    return dump_json(
        {
            "rows": result.rows,
            "held_out": result.held_out,
            "test_rows": result.tested,
            "unknown_labels": result.unknown_labels,
            "columns": int(result.model.n_features_in_),
            "classes": len(result.model.classes_),
            "numbers": result.kind,
            "unit_rows": result.unit_rows,
            "standardized": result.standardized,
            "strengths": [_strength_fields(point) for point in result.strengths],
            "strength": result.strength,
            "score": result.score,
            "evaluated_on": result.evaluated_on,
            **interval_fields("log_loss", result.log_loss),
            **interval_fields("accuracy", result.accuracy),
            **interval_fields("top5_accuracy", result.top5_accuracy),
            "calibration": assessment.conclusion,
            "calibration_rows": result.evaluation.rows,
            "calibration_p": check.p_value,
            **interval_fields("calibration_error", assessment.error),
            "gap": float(result.model.solution_.gap),
            "certified": bool(result.model.solution_.certified),
            "passes": result.passes,
            "seconds": result.seconds,
        }
    )


def _strength_fields(point: StrengthScores) -> dict[str, Any]:
    """Return the fields of a strength."""
    fields: dict[str, Any] = {
        "strength": point.strength,
        **interval_fields("log_loss", point.log_loss),
        **interval_fields("accuracy", point.accuracy),
        **interval_fields("top5_accuracy", point.top5_accuracy),
        "gap": point.gap,
        "converged": point.converged,
        "passes": point.passes,
        "seconds": point.seconds,
    }
    finite: Callable[[Any], Any] = lambda v: None if isinstance(v, float) and not math.isfinite(v) else v  # noqa: E731
    return {name: finite(value) for name, value in fields.items()}


def _write_report(request: ProbeRequest, page: Path, result: Probe, inputs: list[Path]) -> None:
    """Write the report on the evaluated rows."""
    evaluation = result.evaluation
    of = "test rows" if result.evaluated_on == "test" else "held-out rows, on which the strength was chosen as well"
    write_page(
        page,
        f"Linear probe of {Path(request.embeddings).name}",
        f"{evaluation.rows:,} {of}; {result.rows:,} training rows, {result.model.n_features_in_:,} columns "
        f"({result.kind}), {len(evaluation.classes):,} classes",
        evaluation,
        result.model,
        numbers=np.arange(evaluation.rows) + 1,
        path_of_strengths=result.path() if len(result.strengths) > 1 else None,
        with_coefficients=False,
        provenance=provenance(dict.fromkeys(inputs), request.seed),
    )
