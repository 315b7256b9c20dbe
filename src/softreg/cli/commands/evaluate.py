"""`softreg evaluate`: evaluate a model on a table with known labels."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from softreg.cli.console.command_errors import CommandError
from softreg.cli.console.evaluation_result import collect_result, print_result
from softreg.cli.console.messages import print_message, print_model_warnings, print_note
from softreg.cli.console.output_files import REPORT_ENDINGS, check_writable, refuse_inputs
from softreg.cli.console.result_table import format_result
from softreg.cli.data.label_codes import known_codes
from softreg.cli.data.load_model import LoadedModel, load_model
from softreg.cli.data.read_table import open_source, read_evaluation_table
from softreg.cli.options.column_arguments import resolve_column
from softreg.cli.options.costs import check_no_costs, cost_matrix, format_costs
from softreg.cli.options.train_request import OFFSET_REPORT
from softreg.cli.report_inputs.build_report import write_page
from softreg.cli.report_inputs.column_importance import analyse_rows
from softreg.cli.report_inputs.provenance import provenance
from softreg.cli.report_inputs.row_explanations import row_explainer
from softreg.cli.report_inputs.row_images import report_title, row_images, without_images
from softreg.cli.report_inputs.term_pictures import term_functions
from softreg.probability import OperatingPoint, operating_point
from softreg.report import Audit, audit
from softreg.report.evaluation.model_audit import audit_blocks, is_streamed_audit
from softreg.tables import OpenTable, ReadOptions
from softreg.tables.columns.table_errors import pluralize
from softreg.tables.images.image_form import with_form
from softreg.tables.row_selection.rare_classes import NO_RARE
from softreg.tables.schema.input_kind import check_input_kind
from softreg.typing import Codes, FloatArray

ASSUMPTION = "; intervals and test assume rows that the model was not fitted to"


@dataclass(frozen=True, eq=False)
class _LabelledTable:
    """Rows with labels, their numbers (n,) in the input, and the codes (n,) of their classes."""

    table: pa.Table
    numbers: Codes
    codes: Codes


def evaluate_table(
    model_path: Path,
    data: Path,
    target: str | None,
    report: Path | None,
    costs: Sequence[str] = (),
    *,
    reading: ReadOptions,
    as_json: bool,
    missing_target: str = "drop",
) -> None:
    """Predict the rows of `data` and compare the predictions with their labels."""
    check_writable(report, REPORT_ENDINGS, "--report")
    model = load_model(model_path)
    source = open_source(data, with_form(reading, model.schema.image_form if model.schema else None))
    _check_kind(model, source, data)
    target = resolve_column(_target(model, target), source.names)
    _check_report(report, model)
    refuse_inputs(report, "--report", [model_path, *source.paths])
    labelled = _labelled_table(model, source, target, reading, missing_target)
    table = labelled.table
    evaluation, point, P, seconds = _evaluate(model, labelled, costs)
    size = {"rows": table.num_rows, "columns": model.columns}
    result = collect_result(evaluation, model.solution, **size, strength=model.regression.strength, seconds=seconds)
    if report is not None:
        write_page(
            report,
            report_title(model.schema, target, data.name),
            f"{table.num_rows:,} rows, predicted by the model in {model_path.name}",
            evaluation,
            model.regression,
            numbers=labelled.numbers,
            feature_names=model.features,
            point=point,
            **_column_content(model, labelled, P),
            provenance=provenance([model_path, *source.paths]),
        )
    text = format_result(result, evaluation, model.solution, **_remarks(model, data), prefix="")
    text = text if point is None else f"{text}\n{format_costs(point, evaluation.classes)}"
    print_result(result, text, as_json=as_json)
    print_model_warnings(evaluation)
    if report is not None:
        print_message(f"Report: {report}")


def _check_kind(model: LoadedModel, source: OpenTable, data: Path) -> None:
    """Raise `TableError` for images given to a model of a table, and for a table given to a model of images."""
    if model.schema is not None:
        training = f"{model.path.name} was trained on"
        check_input_kind(model.schema.features, source.schema, source=repr(str(data)), training=training)


def _remarks(model: LoadedModel, data: Path) -> dict[str, str]:
    """Return the remarks beside rows, columns and strength of the printed result."""
    remarks = {"rows": f"of {data.name}{ASSUMPTION}", "columns": "used by the model"}
    if model.regression.prior is not None:
        remarks["strength"] = "no penalty: the weights have a prior"
    return remarks


def _check_report(report: Path | None, model: LoadedModel) -> None:
    """Raise `CommandError` for the report of a model with an offset."""
    if report is not None and model.regression.has_offset_:
        raise CommandError(OFFSET_REPORT)


def _evaluate(
    model: LoadedModel, rows: _LabelledTable, costs: Sequence[str]
) -> tuple[Audit, OperatingPoint | None, FloatArray | None, float]:
    """Return the evaluation, that of decisions, the probabilities and the seconds; no probabilities of many classes."""
    start, codes = time.perf_counter(), rows.codes
    if is_streamed_audit(len(codes), len(model.classes)):
        check_no_costs(costs, len(codes), len(model.classes))
        evaluation = audit_blocks(model.logit_blocks(rows.table), codes, model.classes)
        return evaluation, None, None, time.perf_counter() - start
    P = model.probabilities(rows.table)
    seconds = time.perf_counter() - start
    evaluation = audit(P, codes, model.classes)
    cost = cost_matrix(costs, evaluation.classes)
    return evaluation, None if cost is None else operating_point(P, codes, cost), P, seconds


def _column_content(model: LoadedModel, rows: _LabelledTable, P: FloatArray | None) -> dict[str, Any]:
    """Return the table of the report, and the content on the columns of a table model."""
    if model.table_model is None:
        return {"table": rows.table}
    schema = model.table_model.schema_
    if schema.image is not None:
        images = row_images(schema, rows.table, np.arange(rows.table.num_rows))
        return {"table": without_images(schema, rows.table), "images": images, "columns": schema.describe()}
    return {
        "table": rows.table,
        "columns": model.table_model.describe(),
        "terms": term_functions(model.table_model, rows.table),
        "explain_rows": row_explainer(model.table_model, rows.table, np.arange(rows.table.num_rows)),
        "analysis": None if P is None else analyse_rows(model.table_model, rows.table, rows.codes, P),
    }


def _labelled_table(
    model: LoadedModel, source: OpenTable, target: str, reading: ReadOptions, missing: str
) -> _LabelledTable:
    """Read the rows with labels that are classes of the model, and only the columns that the model uses."""
    encoder, rare = None, NO_RARE
    if model.table_model is not None:
        encoder, rare = model.table_model.encoder_, model.table_model.rare_
        used = {column.name for column in model.table_model.schema_.features}
        used |= set(model.table_model.offset_.values())
        source = source.ignoring(set(source.names) - used - {target})
    table, numbers = read_evaluation_table(source, target, encoder, reading, missing)
    codes = known_codes(table, target, model.classes, rare, missing=missing, numbers=numbers)
    known = codes >= 0
    if known.all():
        return _LabelledTable(table, numbers, codes)
    print_note(f"{pluralize(int((~known).sum()), 'row')} of classes that training left out are not evaluated.")
    if not known.any():
        raise CommandError("No row has a label that is a class of the model, so there is nothing to evaluate.")
    return _LabelledTable(table.filter(pa.array(known)), numbers[known], codes[known])


def _target(model: LoadedModel, option: str | None) -> str:
    """Return the column of labels: of the option --target, or of the model."""
    if model.schema is not None:
        return option or model.schema.target
    if option is None:
        raise CommandError(
            f"The model in {str(model.path)!r} was saved from Python and has no name of the column of labels; name it: "
            "--target COLUMN."
        )
    return option
