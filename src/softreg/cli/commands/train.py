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

from softreg.cli.console.command_errors import Complaint
from softreg.cli.console.progress_bars import (
    MODEL_ENDINGS,
    REPORT_ENDINGS,
    aligned,
    check_writable,
    choosing,
    choosing_and_fitting,
    fitting,
    note,
    refuse_inputs,
    say,
)
from softreg.cli.console.result_table import chosen, gather, show, show_or_dump, tell_warnings, told_search
from softreg.cli.data.holdout import HeldOut, apart, from_file, labelled, of_survey, split
from softreg.cli.data.label_codes import class_weights, known_codes
from softreg.cli.data.read_table import opened, read_to_fit
from softreg.cli.options.costs import cost_matrix, told_costs
from softreg.cli.options.train_request import Order, check_order
from softreg.cli.reporting.build_report import write_page
from softreg.cli.reporting.column_importance import worth
from softreg.cli.reporting.leakage_check import information_in_columns
from softreg.cli.reporting.provenance import provenance
from softreg.cli.reporting.row_explanations import reasons
from softreg.probability import Classes, OperatingPoint, operating_point
from softreg.report import Audit, audit
from softreg.tables import OpenTable, Schema, TableClassifier, TableWarning
from softreg.tables.columns.unseen_values import UnseenValues
from softreg.tables.fit.memory_mode import Memory, is_large
from softreg.tables.fit.table_scan import scan_table

NEARLY_ALL = 0.8
"""Share of the label entropy explained from which columns are checked for a leak."""
MOST_CHECKED = 400_000
"""Cells that are read for it, about."""
LEAST_CHECKED = 1_000
"""Rows of them, at least."""
MOST_COLUMNS = 40  # of which the terminal says what they were taken for
WEIGHTED = (
    "Class weights change the probabilities: they are those of a population in which the classes have these weights, "
    "not those of the rows. For decisions with unequal costs, --cost needs none."
)


def train_table(order: Order) -> None:
    """Read, hold rows out, fit, judge, tell, and write what was asked for."""
    check_writable(order.model, MODEL_ENDINGS, "--model")
    check_writable(order.report, REPORT_ENDINGS, "--report")
    check_order(order)
    source = opened(order.data, order.reading)
    inputs = source.paths if order.test is None else [*source.paths, order.test]
    refuse_inputs(order.model, "--model", inputs)
    refuse_inputs(order.report, "--report", inputs)
    order = order.with_columns(source.names)
    source = source.ignoring(set(order.drop) - {order.groups, order.target, order.time, order.weights})
    (train_in_batches if is_large(source, order.memory) else train_in_memory)(order, source)


def train_in_memory(order: Order, source: OpenTable) -> None:
    """Hold rows out, fit, judge and write, with all rows in memory."""
    table, numbers = read_to_fit(source, order.target, order.drop, order.asked, order.reading, order.rules.missing)
    found = labelled(order, table, numbers)
    names = np.unique(found.y[found.used]).tolist()
    if order.test is None:
        training, held = split(order, table, found, numbers)
    else:
        training, held = np.flatnonzero(found.used), None
    classifier, seconds = fit(order, table, training, names)
    held = held or from_file(order, classifier, len(training))
    judged = judge(order, classifier, held, rows=table.num_rows, seconds=seconds)
    told = information_in_columns(judged.audit, classifier, table, training, found.y[training])
    if order.report is not None:
        trained = Trained(table, training, found.y, source.paths)
        _write_report(order, order.report, classifier, judged, held, trained)
    finish(order, judged, told)


def train_in_batches(order: Order, source: OpenTable) -> None:
    """The same for a table that memory does not hold."""
    wanted = {
        "--report": order.report is not None,
        "--bad-rows skip": order.reading.bad_rows == "skip",
        "--groups": order.groups is not None,
        "--time": order.time is not None,
    }
    for name, given in wanted.items():
        if given:
            raise Complaint(
                f"{name} needs all rows in memory, and {str(order.data)!r} is read in batches. Leave it out, or read "
                "the table as a whole, if memory holds it: --memory high."
            )
    options: dict[str, Any] = {"rules": order.rules, "weights": order.weights, "categorical": order.sure}
    found = scan_table(source, order.target, seed=order.seed, test_size=order.share, **options)
    for said in found.notes:
        note(said)
    held = of_survey(found) if order.test is None else None
    classifier, seconds = fit(order, found, None, found.classes)
    held = held or from_file(order, classifier, found.training)
    judged = judge(order, classifier, held, rows=found.rows, seconds=seconds)
    assert found.sample is not None
    classes, codes = found.labels(found.sample)
    places = np.arange(len(codes))
    told = information_in_columns(judged.audit, classifier, found.sample, places, np.array(classes)[codes])
    finish(order, judged, told)


def fit(
    order: Order, table: Any, training: NDArray[np.int64] | None, classes: Sequence[str]
) -> tuple[TableClassifier, float]:
    """Fit the training rows, with progress; gives the classifier and the seconds that it took."""
    weights = class_weights(order.class_weight, classes)
    cost_matrix(order.costs, classes)  # before the work, what is wrong with them
    if weights is not None:
        note(WEIGHTED)
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
    told: AbstractContextManager[Any] = choosing(quiet=order.quiet)
    if order.strength is not None or order.penalty == "none":
        told = fitting(classifier.tol, quiet=order.quiet)
    elif training is None:
        told = choosing_and_fitting(classifier.tol, quiet=order.quiet)
    with told as listener:
        classifier.verbose = listener
        memory: Memory = "auto" if training is None else "high"
        weighted = {"sample_weight": order.weights}
        classifier.fit(table, rows=training, checkpoint=order.checkpoint, memory=memory, **weighted)
    classifier.verbose = 0
    return classifier, time.perf_counter() - start


@dataclass(frozen=True, eq=False)
class Judged:
    """A fitted classifier with its evaluation: `text` and `figures` are what is printed."""

    classifier: TableClassifier
    audit: Audit
    point: OperatingPoint | None
    figures: Any
    text: str


def judge(order: Order, classifier: TableClassifier, held: HeldOut, *, rows: int, seconds: float) -> Judged:
    """Evaluate on the rows held out; `rows` counts the table."""
    schema, model = classifier.schema_, classifier.model_
    if not order.quiet:
        tell_columns(classifier.describe())
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
    search = told_search(classifier.path_, classifier.rule)
    figures = gather(found, model.solution_, **size, strength=model.strength, seconds=seconds, search=search)
    how = chosen(classifier.path_, classifier.rule)
    how = f"no penalty{f'; {how}' if how else ''}" if model.penalty is None else how
    text = show(figures, found, model.solution_, rows=held.said, columns=kinds(schema), what="held-out", strength=how)
    text = text if point is None else f"{text}\n{told_costs(point, found.classes)}"
    return Judged(classifier, found, point, figures, text)


def finish(order: Order, judged: Judged, told: Sequence[tuple[str, float]]) -> None:
    """Write the model, print the figures, and say on stderr what to look at and what was written.

    `told` is what single columns tell of the label, in nats.
    """
    if order.model is not None:
        judged.classifier.save(order.model)
    show_or_dump(judged.figures, judged.text, as_json=order.as_json)
    tell_warnings(judged.audit, told)
    if order.model is not None:
        say(f"Model, fitted on the training rows: {order.model}")
    if order.report is not None:
        say(f"Report on the rows held out: {order.report}")


@dataclass(frozen=True, eq=False)
class Trained:
    """The table with the training rows, their places in it, the label (n,) of each of its rows, and the files."""

    table: pa.Table
    rows: NDArray[np.int64]
    labels: NDArray[np.str_]
    paths: Sequence[Path]


def _write_report(
    order: Order, page: Path, classifier: TableClassifier, judged: Judged, held: HeldOut, trained: Trained
) -> None:
    """The page about the rows held out, and what each column adds."""
    if not order.quiet and not order.weights:
        say("For the report, the model is fitted again without each column.")
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
    trained_on = f"trained on {len(trained.rows):,}, with {kinds(classifier.schema_)}"
    source = f"rows held out{apart(order)}" if held.own else f"rows of {order.test.name if order.test else ''}"
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
        why=reasons(classifier, table, trained.rows),
        learned=None
        if order.weights
        else worth(classifier, table, labels, trained.rows, places, groups=judged.audit.groups),
        provenance=provenance(trained.paths, order.seed),
    )


def tell_columns(described: list[tuple[str, str, str]]) -> None:
    """Say on stderr what each column was taken for, and why."""
    say("Columns were taken for:")
    say(aligned(described[:MOST_COLUMNS]))
    if len(described) > MOST_COLUMNS:
        say(f"  and {len(described) - MOST_COLUMNS:,} more, which `softreg inspect` lists for a saved model")


def kinds(schema: Schema) -> str:
    """How many features are of which kind, as in "7 numbers, 6 categories and 3 booleans"."""
    plural = {"category": "categories", "tags": "columns of tags"}
    counts = Counter(column.kind.value for column in schema.features)
    parts = [f"{count:,} {plural.get(kind, f'{kind}s') if count > 1 else kind}" for kind, count in counts.most_common()]
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
