"""`softreg train`: from a table to a model, and its evaluation on held-out rows."""

from __future__ import annotations

import time
import warnings
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from softreg.cli.console.command_errors import CommandError
from softreg.cli.console.evaluation_result import collect_result, print_result, search_record
from softreg.cli.console.messages import print_message, print_model_warnings, print_note
from softreg.cli.console.output_files import MODEL_ENDINGS, REPORT_ENDINGS, check_writable, refuse_inputs
from softreg.cli.console.progress_bars import show_fit_progress, show_search_and_fit, show_search_progress
from softreg.cli.console.result_table import format_result, strength_selection
from softreg.cli.console.text_layout import align_columns
from softreg.cli.data.holdout import HeldOutRows, holdout_rule, label_rows, split, survey_rows, test_file_rows
from softreg.cli.data.label_codes import class_weights, known_codes
from softreg.cli.data.read_table import open_source, read_training_table
from softreg.cli.options.costs import cost_matrix, format_costs
from softreg.cli.options.train_request import TrainRequest, check_request
from softreg.cli.reporting.build_report import write_page
from softreg.cli.reporting.column_importance import analyse_columns
from softreg.cli.reporting.leakage_check import leakage_information
from softreg.cli.reporting.provenance import provenance
from softreg.cli.reporting.row_explanations import row_explainer
from softreg.probability import Classes, OperatingPoint, operating_point
from softreg.report import Audit, audit
from softreg.tables import OpenTable, Schema, TableClassifier, TableWarning
from softreg.tables.columns.unseen_values import UnseenValues
from softreg.tables.fit.memory_mode import Memory, is_large
from softreg.tables.fit.table_scan import scan_table

NEARLY_ALL = 0.8
"""Share of the label entropy explained from which columns are checked for a leak."""
MAX_CHECKED_CELLS = 400_000
"""Cells that are read for it, about."""
MIN_CHECKED_ROWS = 1_000
"""Rows of them, at least."""
MOST_COLUMNS = 40  # of which the terminal says what they were taken for
WEIGHTED = (
    "Class weights change the probabilities: they are those of a population in which the classes have these weights, "
    "not those of the rows. For decisions with unequal costs, --cost needs none."
)


def train_table(order: TrainRequest) -> None:
    """Read, hold rows out, fit, judge, tell, and write what was asked for."""
    check_writable(order.model, MODEL_ENDINGS, "--model")
    check_writable(order.report, REPORT_ENDINGS, "--report")
    check_request(order)
    source = open_source(order.data, order.reading)
    inputs = source.paths if order.test is None else [*source.paths, order.test]
    refuse_inputs(order.model, "--model", inputs)
    refuse_inputs(order.report, "--report", inputs)
    order = order.with_columns(source.names)
    source = source.ignoring(set(order.drop) - {order.groups, order.target, order.time, order.weights})
    (train_in_batches if is_large(source, order.memory) else train_in_memory)(order, source)


def train_in_memory(order: TrainRequest, source: OpenTable) -> None:
    """Hold rows out, fit, judge and write, with all rows in memory."""
    table, numbers = read_training_table(
        source, order.target, order.drop, order.asked, order.reading, order.rules.missing
    )
    found = label_rows(order, table, numbers)
    names = np.unique(found.y[found.used]).tolist()
    if order.test is None:
        training, held = split(order, table, found, numbers)
    else:
        training, held = np.flatnonzero(found.used), None
    classifier, seconds = fit(order, table, training, names)
    held = held or test_file_rows(order, classifier, len(training))
    judged = evaluate_held_out(order, classifier, held, rows=table.num_rows, seconds=seconds)
    told = leakage_information(judged.audit, classifier, table, training, found.y[training])
    if order.report is not None:
        trained = TrainingData(table, training, found.y, source.paths)
        _write_report(order, order.report, classifier, judged, held, trained)
    finish(order, judged, told)


def train_in_batches(order: TrainRequest, source: OpenTable) -> None:
    """The same for a table that memory does not hold."""
    wanted = {
        "--report": order.report is not None,
        "--bad-rows skip": order.reading.bad_rows == "skip",
        "--groups": order.groups is not None,
        "--time": order.time is not None,
    }
    for name, given in wanted.items():
        if given:
            raise CommandError(
                f"{name} needs all rows in memory, and {str(order.data)!r} is read in batches. Leave it out, or read "
                "the table as a whole, if memory holds it: --memory high."
            )
    options: dict[str, Any] = {"rules": order.rules, "weights": order.weights, "sure": order.sure}
    found = scan_table(source, order.target, seed=order.seed, test_size=order.share, **options)
    for said in found.notes:
        print_note(said)
    held = survey_rows(found) if order.test is None else None
    classifier, seconds = fit(order, found, None, found.classes)
    held = held or test_file_rows(order, classifier, found.training)
    judged = evaluate_held_out(order, classifier, held, rows=found.rows, seconds=seconds)
    assert found.sample is not None
    classes, codes = found.labels(found.sample)
    places = np.arange(len(codes))
    told = leakage_information(judged.audit, classifier, found.sample, places, np.array(classes)[codes])
    finish(order, judged, told)


def fit(
    order: TrainRequest, table: Any, training: NDArray[np.int64] | None, classes: Sequence[str]
) -> tuple[TableClassifier, float]:
    """Fit the training rows, with progress; gives the classifier and the seconds that it took."""
    weights = class_weights(order.class_weight, classes)
    cost_matrix(order.costs, classes)  # before the work, what is wrong with them
    if weights is not None:
        print_note(WEIGHTED)
    classifier = TableClassifier(
        order.target,
        strength="auto" if order.strength is None else order.strength,
        penalty=None if order.penalty == "none" else order.penalty,
        l1_ratio=(0.5 if order.l1_ratio is None else order.l1_ratio) if order.penalty == "elasticnet" else 0.0,
        class_weight=weights,
        folds=order.folds,
        rule=order.rule or "min",
        scoring=order.scoring or "log_loss",
        groups=order.groups,
        time=order.time,
        missing_target=order.missing_target,
        rare=order.rare,
        features=order.features or None,
        numeric_form=order.forms or None,
        drop=order.drop,
        **order.asked,
    )
    start = time.perf_counter()
    told: AbstractContextManager[Any] = show_search_progress(quiet=order.quiet)
    if order.strength is not None or order.penalty == "none":
        told = show_fit_progress(classifier.tol, quiet=order.quiet)
    elif training is None:
        told = show_search_and_fit(classifier.tol, quiet=order.quiet)
    with told as listener:
        classifier.verbose = listener
        memory: Memory = "auto" if training is None else "high"
        weighted = {"sample_weight": order.weights}
        classifier.fit(table, rows=training, checkpoint=order.checkpoint, memory=memory, **weighted)
    classifier.verbose = 0
    return classifier, time.perf_counter() - start


@dataclass(frozen=True, eq=False)
class EvaluatedModel:
    """A fitted classifier with its evaluation: `text` and `figures` are what is printed."""

    classifier: TableClassifier
    audit: Audit
    point: OperatingPoint | None
    figures: Any
    text: str


def evaluate_held_out(
    order: TrainRequest, classifier: TableClassifier, held: HeldOutRows, *, rows: int, seconds: float
) -> EvaluatedModel:
    """Evaluate on the rows held out; `rows` counts the table."""
    schema, model = classifier.schema_, classifier.model_
    if not order.quiet:
        print_columns(classifier.describe())
    names = [str(label) for label in model.classes_]
    codes = known_codes(held.table.take(pa.array(held.rows)), order.target, names, classifier.rare_)
    unseen = UnseenValues()
    P = model.predict_proba(classifier.encoder_.encode(held.table, held.rows, unseen=unseen))
    for message in unseen.outside_messages():
        warnings.warn(f"held-out rows: {message}", TableWarning, stacklevel=2)
    found = audit(P, codes, names, groups=held.groups, sample_weight=held.weights)
    cost = cost_matrix(order.costs, names)
    point = None if cost is None else operating_point(P, codes, cost, sample_weight=held.weights)
    size = {"rows": rows, "columns": len(schema.features)}
    search = search_record(classifier.path_, classifier.rule)
    figures = collect_result(found, model.solution_, **size, strength=model.strength, seconds=seconds, search=search)
    how = strength_selection(classifier.path_, classifier.rule)
    how = f"no penalty{f'; {how}' if how else ''}" if model.penalty is None else how
    text = format_result(
        figures, found, model.solution_, rows=held.said, columns=count_kinds(schema), prefix="held-out", strength=how
    )
    text = text if point is None else f"{text}\n{format_costs(point, found.classes)}"
    return EvaluatedModel(classifier, found, point, figures, text)


def finish(order: TrainRequest, judged: EvaluatedModel, told: Sequence[tuple[str, float]]) -> None:
    """Write the model, print the figures, and say on stderr what to look at and what was written.

    `told` is what single columns tell of the label, in nats.
    """
    if order.model is not None:
        judged.classifier.save(order.model)
    print_result(judged.figures, judged.text, as_json=order.as_json)
    print_model_warnings(judged.audit, told)
    if order.model is not None:
        print_message(f"Model, fitted on the training rows: {order.model}")
    if order.report is not None:
        print_message(f"Report on the rows held out: {order.report}")


@dataclass(frozen=True, eq=False)
class TrainingData:
    """The table with the training rows, their places in it, the label (n,) of each of its rows, and the files."""

    table: pa.Table
    rows: NDArray[np.int64]
    labels: NDArray[np.str_]
    paths: Sequence[Path]


def _write_report(
    order: TrainRequest,
    page: Path,
    classifier: TableClassifier,
    judged: EvaluatedModel,
    held: HeldOutRows,
    trained: TrainingData,
) -> None:
    """The page about the rows held out, and what each column adds."""
    if not order.quiet and not order.weights:
        print_message("For the report, the model is fitted again without each column.")
    model = classifier.model_
    table, places, labels = trained.table, held.rows, trained.labels
    if not held.own:  # both files as one table
        table = pa.concat_tables(
            [table, held.table.select([n for n in table.column_names if n in held.table.column_names])],
            promote_options="permissive",
        )
        places = held.rows + trained.table.num_rows
        labels = np.append(labels, np.full(held.table.num_rows, "", dtype=labels.dtype))
        labels[places] = model.classes_[judged.audit.codes]
    trained_on = f"trained on {len(trained.rows):,}, with {count_kinds(classifier.schema_)}"
    source = f"rows held out{holdout_rule(order)}" if held.own else f"rows of {order.test.name if order.test else ''}"
    write_page(
        page,
        f"{order.target} from {order.data.name}",
        f"{len(held.rows):,} {source}; {trained_on}",
        judged.audit,
        model,
        numbers=held.numbers,
        places=places,
        training=(trained.rows, Classes.of(model.classes_).encode(labels[trained.rows])),
        feature_names=classifier.feature_names_out_,
        table=table,
        columns=classifier.describe(),
        warnings=classifier.schema_.warnings,
        point=judged.point,
        tried=classifier.path_,
        why=row_explainer(classifier, table, trained.rows),
        learned=None
        if order.weights
        else analyse_columns(classifier, table, labels, trained.rows, places, groups=judged.audit.groups),
        provenance=provenance(trained.paths, order.seed),
    )


def print_columns(described: list[tuple[str, str, str]]) -> None:
    """Say on stderr what each column was taken for, and why."""
    print_message("Columns were taken for:")
    print_message(align_columns(described[:MOST_COLUMNS]))
    if len(described) > MOST_COLUMNS:
        print_message(f"  and {len(described) - MOST_COLUMNS:,} more, which `softreg inspect` lists for a saved model")


def count_kinds(schema: Schema) -> str:
    """How many features are of which kind, as in "7 numbers, 6 categories and 3 booleans"."""
    plural = {"category": "categories", "tags": "columns of tags"}
    counts = Counter(column.kind.value for column in schema.features)
    parts = [f"{count:,} {plural.get(kind, f'{kind}s') if count > 1 else kind}" for kind, count in counts.most_common()]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
