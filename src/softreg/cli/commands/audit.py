"""`softreg audit`: evaluate predicted probabilities in a file, from any model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from softreg.cli.console.aligned_text import align_columns, format_labels
from softreg.cli.console.evaluation_result import dump_json, interval_fields
from softreg.cli.console.messages import print_message, print_model_warnings, print_note
from softreg.cli.console.output_files import REPORT_ENDINGS, check_writable, refuse_inputs
from softreg.cli.console.result_table import calibration_lines, score_lines
from softreg.cli.data.class_probabilities import class_probabilities, labels_by_column
from softreg.cli.data.probability_columns import class_columns
from softreg.cli.data.read_table import open_source, read_evaluation_table
from softreg.cli.options.column_arguments import resolve_column
from softreg.cli.options.costs import cost_matrix, format_costs
from softreg.cli.report_inputs.build_report import write_page
from softreg.cli.report_inputs.provenance import provenance
from softreg.probability import Classes, operating_point
from softreg.report import Audit, audit
from softreg.report.page.calibration_assessment import assess_calibration
from softreg.tables import ReadOptions, labels


def audit_table(
    data: Path,
    target: str,
    report: Path | None,
    costs: Sequence[str],
    *,
    reading: ReadOptions,
    as_json: bool,
    score: str | None = None,
    positive: str | None = None,
) -> None:
    """Read labels and probabilities, and evaluate the probabilities."""
    check_writable(report, REPORT_ENDINGS, "--report")
    source = open_source(data, reading)
    refuse_inputs(report, "--report", source.paths)
    target = resolve_column(target, source.names)
    table, rows = read_evaluation_table(source, target, None, reading)
    table, note = class_columns(table, target, sorted(set(labels(table, target).tolist())), score, positive)
    if note:
        print_note(note)
    observed = labels_by_column(table, target)
    names, P = class_probabilities(table, target, observed)
    evaluation = audit(P, Classes.of(names).encode(observed), names)
    cost = cost_matrix(costs, evaluation.classes)
    point = None if cost is None else operating_point(P, evaluation.codes, cost)
    if report is not None:
        write_page(
            report,
            f"Probabilities of {target} in {data.name}",
            f"{evaluation.rows:,} rows, {len(names):,} classes",
            evaluation,
            None,
            numbers=rows,
            table=table.drop_columns([name for name in names if name in table.column_names]),
            point=point,
            provenance=provenance(source.paths),
        )
    if as_json:
        click.echo(_as_json(evaluation))
    else:
        text = _as_text(evaluation)
        click.echo(text if point is None else f"{text}\n{format_costs(point, evaluation.classes)}")
    print_model_warnings(evaluation)
    if report is not None:
        print_message(f"Report: {report}")


def _as_text(evaluation: Audit) -> str:
    """Return the result as aligned lines."""
    return align_columns(
        [
            ("rows", f"{evaluation.rows:,}", ""),
            ("classes", f"{len(evaluation.classes):,}", format_labels(evaluation.classes)),
            *score_lines(evaluation),
            *calibration_lines(evaluation),
        ]
    )


def _as_json(evaluation: Audit) -> str:
    """Return the result as a JSON object."""
    calibration, assessment = evaluation.calibration, assess_calibration(evaluation)
    return dump_json(
        {
            "rows": evaluation.rows,
            "classes": len(evaluation.classes),
            "log_loss": evaluation.log_loss,
            "log_loss_low": calibration.log_loss.low,
            "log_loss_high": calibration.log_loss.high,
            "label_entropy": evaluation.label_entropy,
            "accuracy": evaluation.accuracy,
            "accuracy_low": calibration.accuracy.low,
            "accuracy_high": calibration.accuracy.high,
            "majority_accuracy": evaluation.majority_accuracy,
            "brier": evaluation.brier,
            "roc_auc": evaluation.ranking.mean_auc,
            "average_precision": evaluation.ranking.mean_average_precision,
            "calibration": assessment.conclusion,
            **interval_fields("calibration_gap", calibration.gap),
            "calibration_p": calibration.check.p_value,
            "calibration_draws": calibration.check.draws,
            **interval_fields("calibration_error", assessment.error),
        }
    )
