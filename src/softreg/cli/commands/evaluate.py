"""`softreg evaluate`: evaluate a model on a table with known labels."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from softreg.cli.console.command_errors import CommandError
from softreg.cli.console.evaluation_result import collect_result, print_result
from softreg.cli.console.messages import print_message, print_model_warnings, print_note
from softreg.cli.console.output_files import REPORT_ENDINGS, check_writable, refuse_inputs
from softreg.cli.console.result_table import format_result
from softreg.cli.data.label_codes import known_codes
from softreg.cli.data.load_model import LoadedModel, load_model
from softreg.cli.data.read_table import open_source, read_evaluation_table
from softreg.cli.options.column_arguments import resolve_column
from softreg.cli.options.costs import cost_matrix, format_costs
from softreg.cli.reporting.build_report import write_page
from softreg.cli.reporting.column_importance import analyse_rows
from softreg.cli.reporting.provenance import provenance
from softreg.cli.reporting.row_explanations import row_explainer
from softreg.probability import operating_point
from softreg.report import audit
from softreg.tables import OpenTable, ReadOptions
from softreg.tables.columns.errors import pluralize
from softreg.tables.row_selection.rare_classes import NO_RARE

NEW = "; intervals and test assume rows that the model was not fitted to"


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
    """Predict the rows of `data` and compare with their labels."""
    check_writable(report, REPORT_ENDINGS, "--report")
    model, source = load_model(model_path), open_source(data, reading)
    target = resolve_column(_target(model, target), source.names)
    refuse_inputs(report, "--report", [model_path, *source.paths])
    table, rows, codes = _labelled(model, source, target, reading, missing_target)
    start = time.perf_counter()
    P = model.probabilities(table)
    seconds = time.perf_counter() - start
    found, regression = audit(P, codes, model.classes), model.regression
    cost = cost_matrix(costs, found.classes)
    point = None if cost is None else operating_point(P, codes, cost)
    size = {"rows": table.num_rows, "columns": model.columns}
    figures = collect_result(found, model.solution, **size, strength=regression.strength, seconds=seconds)
    if report is not None:
        write_page(
            report,
            f"{target} from {data.name}",
            f"{table.num_rows:,} rows, predicted by the model in {model_path.name}",
            found,
            regression,
            numbers=rows,
            feature_names=model.features,
            table=table,
            point=point,
            **_of_table_model(model, table, codes, P),
            provenance=provenance([model_path, *source.paths]),
        )
    text = format_result(
        figures, found, model.solution, rows=f"of {data.name}{NEW}", columns="used by the model", prefix=""
    )
    text = text if point is None else f"{text}\n{format_costs(point, found.classes)}"
    print_result(figures, text, as_json=as_json)
    print_model_warnings(found)
    if report is not None:
        print_message(f"Report: {report}")


def _of_table_model(
    model: LoadedModel, table: pa.Table, codes: NDArray[np.int64], P: NDArray[np.floating[Any]]
) -> dict[str, Any]:
    """What the page says of the columns of a table model; nothing for a regression that was saved from Python."""
    if model.table_model is None:
        return {}
    return {
        "columns": model.table_model.describe(),
        "why": row_explainer(model.table_model, table, np.arange(table.num_rows)),
        "learned": analyse_rows(model.table_model, table, codes, P),
    }


def _labelled(
    model: LoadedModel, source: OpenTable, target: str, reading: ReadOptions, missing: str
) -> tuple[pa.Table, NDArray[np.int64], NDArray[np.int64]]:
    """The rows with their labels, their numbers in the input, and their classes; columns not used are not looked at."""
    encoder, rare = None, NO_RARE
    if model.table_model is not None:
        encoder, rare = model.table_model.encoder_, model.table_model.rare_
        used = {column.name for column in model.table_model.schema_.features}
        source = source.ignoring(set(source.names) - used - {target})
    table, rows = read_evaluation_table(source, target, encoder, reading, missing)
    codes = known_codes(table, target, model.classes, rare, missing=missing, numbers=rows)
    known = codes >= 0
    if known.all():
        return table, rows, codes
    print_note(f"{plural(int((~known).sum()), 'row')} of classes that training left out are not evaluated.")
    if not known.any():
        raise CommandError("No row has a label that the model knows, so there is nothing to evaluate.")
    return table.filter(pa.array(known)), rows[known], codes[known]


def _target(model: LoadedModel, asked: str | None) -> str:
    """The column of labels: the model knows it, or the command line says it."""
    if model.schema is not None:
        return asked or model.schema.target
    if asked is None:
        raise CommandError(
            f"The model in {str(model.path)!r} was saved from Python and does not know the name of the "
            "column of labels; say it: --target COLUMN."
        )
    return asked
