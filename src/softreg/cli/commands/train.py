"""`softreg train`: fit a model to a table, and evaluate it on held-out rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from softreg.cli.console.column_kinds import count_kinds, print_columns
from softreg.cli.console.command_errors import CommandError
from softreg.cli.console.evaluation_result import EvaluationResult, collect_result, print_result, search_record
from softreg.cli.console.fit_profile import profile_fit
from softreg.cli.console.messages import print_message, print_model_warnings, print_note
from softreg.cli.console.output_files import MODEL_ENDINGS, REPORT_ENDINGS, check_writable, refuse_inputs
from softreg.cli.console.progress_bars import show_fit_progress, show_search_and_fit, show_search_progress
from softreg.cli.console.result_table import format_result
from softreg.cli.console.term_lines import choice_of_strength, term_fields, term_text
from softreg.cli.data.holdout import (
    HeldOutRows,
    evaluation_file_rows,
    holdout_rule,
    label_rows,
    open_evaluation_file,
    scanned_rows,
    split_table,
)
from softreg.cli.data.image_tables import with_image_defaults
from softreg.cli.data.new_classifier import new_classifier, read_prior
from softreg.cli.data.read_table import open_source, read_training_table
from softreg.cli.options.costs import cost_matrix, format_costs
from softreg.cli.options.train_request import TrainRequest, check_batches, check_request
from softreg.cli.report_inputs.build_report import write_page
from softreg.cli.report_inputs.column_importance import analyse_columns
from softreg.cli.report_inputs.column_information import leakage_information
from softreg.cli.report_inputs.model_evaluation import (
    audit_held_out,
    keep_evaluation,
    keep_intervals,
    scanned_class_rows,
    weights_of_classes,
)
from softreg.cli.report_inputs.provenance import provenance
from softreg.cli.report_inputs.row_explanations import row_explainer
from softreg.cli.report_inputs.row_images import report_title, row_images, without_images
from softreg.cli.report_inputs.term_pictures import term_functions
from softreg.probability import Classes, OperatingPoint
from softreg.report import Audit
from softreg.rows.cluster.fragments import FragmentError
from softreg.rows.cluster.open_engine import open_engine
from softreg.rows.cluster.versions import ClusterError
from softreg.tables import OpenTable, TableClassifier
from softreg.tables.fit.cluster.fragment_passes import FragmentPasses
from softreg.tables.fit.cluster.fragment_scan import scan_fragments
from softreg.tables.fit.memory_mode import Memory, is_large
from softreg.tables.fit.table_scan import TableScan, scan_table
from softreg.tables.io.parquet_fragments import parquet_fragments
from softreg.typing import Codes, TextArray


@dataclass(frozen=True, eq=False)
class EvaluatedModel:
    """A fitted classifier with its evaluation; `result` and `text` are what is printed."""

    classifier: TableClassifier
    audit: Audit
    point: OperatingPoint | None
    result: EvaluationResult
    text: str
    profile: str = ""
    """What the fit costs, with --profile."""


@dataclass(frozen=True, eq=False)
class TrainingData:
    """The table, the indices of its training rows, the label (n,) of each of its rows, and its files."""

    table: pa.Table
    rows: Codes
    labels: TextArray
    paths: Sequence[Path]


def train_table(request: TrainRequest) -> None:
    """Check the request, and train on a table in memory or in batches."""
    check_writable(request.model, MODEL_ENDINGS, "--model")
    check_writable(request.report, REPORT_ENDINGS, "--report")
    check_request(request)
    source = open_source(request.data, request.reading)
    inputs = source.paths if request.test is None else [*source.paths, request.test]
    refuse_inputs(request.model, "--model", inputs)
    refuse_inputs(request.report, "--report", inputs)
    request = with_image_defaults(request, source)
    request, prior = request.with_columns(source.names), read_prior(request)
    used = {request.groups, request.target, request.time, request.weights, *request.offset.values()}
    source, test = source.ignoring(set(request.drop) - used), open_evaluation_file(request, source)
    if request.cluster is not None:
        _train_on_cluster(request, source, request.cluster, test=test)
    else:
        train = _train_in_batches if is_large(source, request.memory) else _train_in_memory
        train(request, source, prior, test=test)


def _train_in_memory(
    request: TrainRequest, source: OpenTable, prior: TableClassifier | None, *, test: OpenTable | None
) -> None:
    """Hold rows out, fit, evaluate and write the results, with all rows in memory."""
    table, numbers = read_training_table(
        source, request.target, request.drop, request.column_kinds, request.reading, request.rules.missing
    )
    labelled = label_rows(request, table, numbers)
    classes = np.unique(labelled.y[labelled.used]).tolist()
    if request.test is None:
        training, held = split_table(request, table, labelled, numbers)
    else:
        training, held = np.flatnonzero(labelled.used), None
    classifier, seconds = _fit(request, table, training, classes, prior=prior)
    if request.intervals:
        keep_intervals(classifier, table, training)
    held = held or evaluation_file_rows(request, test, classifier, trained_on=len(training))
    model = _evaluate(request, classifier, held, rows=table.num_rows, seconds=seconds)
    weights = weights_of_classes(request, classifier, table, training, labelled.y[training])
    keep_evaluation(request, classifier, model.audit, held, training_rows=len(training), class_weights=weights)
    information = leakage_information(model.audit, classifier, table, training, labelled.y[training])
    if request.report is not None:
        data = TrainingData(table, training, labelled.y, source.paths)
        _write_report(request, request.report, model, held, data)
    _write_results(request, model, information)


def _train_in_batches(
    request: TrainRequest, source: OpenTable, prior: TableClassifier | None, *, test: OpenTable | None
) -> None:
    """Hold rows out, fit, evaluate and write the results, for a table larger than memory."""
    check_batches(request)
    scan = scan_table(source, request.target, **_scan_options(request))
    _train_on_scan(request, scan, scan, prior=prior, test=test)


def _train_on_cluster(request: TrainRequest, source: OpenTable, cluster: str, *, test: OpenTable | None) -> None:
    """Hold rows out, fit, evaluate and write the results, with the rows on worker processes."""
    check_batches(request)
    parquet_fragments(source)  # raises errors of the files before processes are started
    try:
        with open_engine(cluster) as engine:
            with show_fit_progress(0, quiet=request.quiet) as callback:
                options = {**_scan_options(request), "on_progress": callback}
                scan, fragments = scan_fragments(source, request.target, engine, **options)
            _train_on_scan(request, scan, FragmentPasses(scan, fragments, engine), prior=None, test=test)
    except (FragmentError, ClusterError) as error:
        raise CommandError(str(error)) from None


def _scan_options(request: TrainRequest) -> dict[str, Any]:
    """Return the options of the scan of a table that is read in batches."""
    return {
        "seed": request.seed,
        "test_size": request.share,
        "rules": request.rules,
        "weights": request.weights,
        "categorical": request.target_is_category,
    }


def _train_on_scan(
    request: TrainRequest,
    scan: TableScan,
    data: TableScan | FragmentPasses,
    *,
    prior: TableClassifier | None,
    test: OpenTable | None,
) -> None:
    """Fit a scanned table, evaluate the model on the sample of held-out rows, and write the results."""
    for note in scan.notes:
        print_note(note)
    held = scanned_rows(scan) if request.test is None else None
    classifier, seconds = _fit(request, data, None, scan.classes, prior=prior)
    held = held or evaluation_file_rows(request, test, classifier, trained_on=scan.training)
    model = _evaluate(request, classifier, held, rows=scan.rows, seconds=seconds)
    rows = scanned_class_rows(classifier, scan)
    keep_evaluation(request, classifier, model.audit, held, training_rows=scan.training, class_weights=rows)
    assert scan.sample is not None
    classes, codes = scan.labels(scan.sample)
    labels = np.array(classes)[codes]
    information = leakage_information(model.audit, classifier, scan.sample, np.arange(len(codes)), labels)
    _write_results(request, model, information)


def _fit(
    request: TrainRequest,
    table: pa.Table | TableScan | FragmentPasses,
    training: Codes | None,
    classes: Sequence[str],
    *,
    prior: TableClassifier | None,
) -> tuple[TableClassifier, float]:
    """Fit the training rows, showing progress; return the classifier and the seconds."""
    cost_matrix(request.costs, classes)  # raises errors of --cost before the fit
    classifier = new_classifier(request, classes, prior)
    start = time.perf_counter()
    with _progress(request, classifier, in_memory=training is not None) as callback:
        classifier.verbose = callback
        if isinstance(table, FragmentPasses):
            table = replace(table, on_progress=callback)
        memory: Memory = "auto" if training is None else "high"
        classifier.fit(
            table, rows=training, checkpoint=request.checkpoint, memory=memory, sample_weight=request.weights
        )
    classifier.verbose = 0
    return classifier, time.perf_counter() - start


def _progress(
    request: TrainRequest, classifier: TableClassifier, *, in_memory: bool
) -> AbstractContextManager[Callable[[Any], None]]:
    """Return the context that shows the progress of the search, of the fit, or of both."""
    if request.strength is not None or request.penalty == "none" or request.prior is not None:
        return show_fit_progress(classifier.tol, quiet=request.quiet)
    if in_memory and not (request.requested_terms and request.penalty == "l2"):
        return show_search_progress(quiet=request.quiet)
    return show_search_and_fit(classifier.tol, quiet=request.quiet)


def _evaluate(
    request: TrainRequest, classifier: TableClassifier, held: HeldOutRows, *, rows: int, seconds: float
) -> EvaluatedModel:
    """Evaluate the classifier on the held-out rows; `rows` is the size of the table."""
    schema, model = classifier.schema_, classifier.model_
    if not request.quiet:
        print_columns(classifier.describe())
    evaluation, point = audit_held_out(request, classifier, held)
    result = collect_result(
        evaluation,
        model.solution_,
        rows=rows,
        columns=len(schema.features),
        strength=model.strength,
        seconds=seconds,
        search=search_record(classifier.path_, classifier.rule),
    )
    text = format_result(
        result,
        evaluation,
        model.solution_,
        rows=held.description,
        columns=count_kinds(schema),
        prefix="held-out",
        strength=choice_of_strength(classifier, request.prior),
    )
    text = text if point is None else f"{text}\n{format_costs(point, evaluation.classes)}"
    text = "\n".join(part for part in (text, term_text(classifier)) if part)
    profile, costs = profile_fit(classifier.path_, model.solution_) if request.profile else ("", None)
    return EvaluatedModel(
        classifier,
        evaluation,
        point,
        replace(result, profile=costs, terms=term_fields(classifier.terms_)),
        text,
        profile,
    )


def _write_results(request: TrainRequest, model: EvaluatedModel, information: Sequence[tuple[str, float]]) -> None:
    """Write the model, and print the result, warnings and the files; `information` is that of columns, in nats."""
    if request.model is not None:
        model.classifier.save(request.model)
    print_result(model.result, model.text, as_json=request.as_json)
    if model.profile:
        print_message(model.profile)
    print_model_warnings(model.audit, information)
    if request.model is not None:
        print_message(f"Model, fitted on the training rows: {request.model}")
    if request.report is not None:
        print_message(f"Report on the held-out rows: {request.report}")


def _with_analysis(request: TrainRequest, evaluated: EvaluatedModel) -> bool:
    """Return whether the report has the importance of columns, and say what that means."""
    many = evaluated.audit.streamed is not None
    image = evaluated.classifier.schema_.image
    record = evaluated.classifier.terms_
    monotone = record is not None and request.requested_terms.monotone  # its weights have bounds
    analysis = not (many or request.weights or request.has_weight_terms or image or monotone)
    if request.quiet:
        return analysis
    if many:
        classes = f"{len(evaluated.audit.classes):,} classes"
        print_message(f"For {classes}, the report is without the importance of columns and labels to check.")
    elif analysis:
        print_message("For the report, the model is fitted again without each column.")
    elif monotone:
        print_message("With a monotone curve, the report shows the terms, and not the cost of removing a column.")
    return analysis


def _write_report(
    request: TrainRequest, page: Path, evaluated: EvaluatedModel, held: HeldOutRows, training: TrainingData
) -> None:
    """Write the report on the held-out rows, with the importance of columns."""
    classifier, model = evaluated.classifier, evaluated.classifier.model_
    with_analysis = _with_analysis(request, evaluated)
    images = row_images(classifier.schema_, held.table, held.rows)
    table, held_table = (without_images(classifier.schema_, rows) for rows in (training.table, held.table))
    places, labels = held.rows, training.labels
    if not held.from_training_table:  # append the rows of the other file
        table = pa.concat_tables(
            [table, held_table.select([n for n in table.column_names if n in held_table.column_names])],
            promote_options="permissive",
        )
        places = held.rows + training.table.num_rows
        labels = np.append(labels, np.full(held.table.num_rows, "", dtype=labels.dtype))
        labels[places] = model.classes_[evaluated.audit.codes]
    trained_on = f"trained on {len(training.rows):,}, with {count_kinds(classifier.schema_)}"
    test_file = request.test.name if request.test else ""
    source = f"held-out rows{holdout_rule(request)}" if held.from_training_table else f"rows of {test_file}"
    groups = evaluated.audit.groups
    write_page(
        page,
        report_title(classifier.schema_, request.target, request.data.name),
        f"{len(held.rows):,} {source}; {trained_on}",
        evaluated.audit,
        model,
        numbers=held.numbers,
        places=places,
        training=(training.rows, Classes.of(model.classes_).encode(labels[training.rows])),
        feature_names=classifier.feature_names_out_,
        table=table,
        columns=classifier.describe(),
        warnings=classifier.schema_.warnings,
        point=evaluated.point,
        path_of_strengths=classifier.path_,
        images=images,
        explain_rows=None if images is not None else row_explainer(classifier, table, training.rows),
        analysis=analyse_columns(classifier, table, labels, training.rows, places, groups=groups)
        if with_analysis
        else None,
        terms=term_functions(classifier, table, training.rows, trained=True),
        provenance=provenance(training.paths, request.seed),
    )
