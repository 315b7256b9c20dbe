"""`softreg audit`: evaluate predicted probabilities in a file, from any model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import pyarrow as pa

from softreg.cli.console.aligned_text import align_columns, format_labels
from softreg.cli.console.evaluation_result import dump_json, interval_fields
from softreg.cli.console.group_lines import format_groups, format_search, groups_record, search_record
from softreg.cli.console.messages import print_message, print_model_warnings, print_note
from softreg.cli.console.output_files import REPORT_ENDINGS, check_writable, refuse_inputs
from softreg.cli.console.result_table import calibration_lines, score_lines
from softreg.cli.data.class_probabilities import class_probabilities, labels_by_column
from softreg.cli.data.group_columns import named_group_columns, other_columns, renamed_class_columns
from softreg.cli.data.probability_columns import class_columns
from softreg.cli.data.read_table import open_source, read_evaluation_table
from softreg.cli.options.column_arguments import resolve_column
from softreg.cli.options.costs import cost_matrix, format_costs
from softreg.cli.report_inputs.build_report import write_page
from softreg.cli.report_inputs.provenance import provenance
from softreg.probability import Classes, operating_point
from softreg.report import Audit, GroupSearch, audit, search_groups
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
    by: Sequence[str] = (),
    search: bool = False,
) -> None:
    """Read labels and probabilities, and evaluate the probabilities."""
    check_writable(report, REPORT_ENDINGS, "--report")
    source = open_source(data, reading)
    refuse_inputs(report, "--report", source.paths)
    target = resolve_column(target, source.names)
    original, rows = read_evaluation_table(source, target, None, reading)
    table, note = class_columns(original, target, sorted(set(labels(original, target).tolist())), score, positive)
    if note:
        print_note(note)
    names, evaluation, found = _evaluate(original, table, target, by, search=search)
    cost = cost_matrix(costs, evaluation.classes)
    point = None if cost is None else operating_point(evaluation.P, evaluation.codes, cost)
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
            group_search=found,
        )
    if as_json:
        click.echo(_as_json(evaluation, found))
    else:
        costs_text = [] if point is None else [format_costs(point, evaluation.classes)]
        click.echo("\n".join([_as_text(evaluation), *costs_text, *_group_texts(evaluation, found)]))
    print_model_warnings(evaluation)
    if report is not None:
        print_message(f"Report: {report}")


def _evaluate(
    original: pa.Table, table: pa.Table, target: str, by: Sequence[str], *, search: bool
) -> tuple[tuple[str, ...], Audit, GroupSearch | None]:
    """Return the classes, the audit of a table with a column for each class, and the groups that a search found."""
    observed = labels_by_column(table, target)
    names, P = class_probabilities(table, target, observed)
    probabilities = [*names, *renamed_class_columns(original, table)]
    columns = named_group_columns(original, by, target, probabilities) if by else None
    codes = Classes.of(names).encode(observed)
    evaluation = audit(P, codes, names, by=columns)
    others = other_columns(original, target, probabilities) if search else None
    return names, evaluation, None if others is None else search_groups(P, codes, others, names)


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


def _group_texts(evaluation: Audit, found: GroupSearch | None) -> list[str]:
    """Return the groups of named columns, and those of a search, as lines."""
    groups = evaluation.group_audit
    texts = [] if groups is None else [format_groups(groups, evaluation.rows)]
    return texts if found is None else [*texts, format_search(found)]


def _as_json(evaluation: Audit, found: GroupSearch | None = None) -> str:
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
            **({} if evaluation.group_audit is None else groups_record(evaluation.group_audit)),
            **({} if found is None else search_record(found)),
        }
    )
