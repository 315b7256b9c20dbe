"""`softreg train`: from a table to a model, and its evaluation on held-out rows."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from softreg.cli.boundary import Complaint
from softreg.cli.console import (
    MODEL_ENDINGS,
    REPORT_ENDINGS,
    aligned,
    check_writable,
    choosing,
    choosing_and_fitting,
    fitting,
    refuse_inputs,
    say,
)
from softreg.cli.figures import chosen, gather, show, show_or_dump, tell_warnings, told_search
from softreg.cli.pages import information, write_page
from softreg.cli.provenance import provenance
from softreg.cli.reading import opened, read_to_fit
from softreg.cli.reasons import reasons
from softreg.cli.worth import worth
from softreg.probability import Classes
from softreg.report import Audit, audit
from softreg.rows.journal import NAME
from softreg.tables import (
    OpenTable,
    ReadOptions,
    Schema,
    TableClassifier,
    check_labels,
    group_codes,
    labels,
    split_groups,
    split_rows,
)
from softreg.tables.survey import Memory, is_large, survey
from softreg.tables.target import known_labels

NEARLY_ALL = 0.8
"""Share of the label entropy explained from which columns are checked for a leak."""
MOST_CHECKED = 400_000
"""Cells that are read for it, about."""
LEAST_CHECKED = 1_000
"""Rows of them, at least."""
MOST_COLUMNS = 40  # of which the terminal says what they were taken for


@dataclass(frozen=True)
class Order:
    """What was asked for on the command line; its fields are named as the options are."""

    data: Path
    target: str
    model: Path | None
    report: Path | None
    strength: float | None
    """None leaves the choice to cross-validation."""
    folds: int | None
    rule: str | None
    groups: str | None
    """The column whose equal values keep rows together."""
    test_size: float
    seed: int
    drop: tuple[str, ...]
    asked: Mapping[str, Any]
    """Columns that are to be taken for a text, category, number or date."""
    reading: ReadOptions
    as_json: bool
    quiet: bool
    memory: Any
    checkpoint: Path | None
    resume: bool


def train_table(order: Order) -> None:
    """Read, hold rows out, fit, judge, tell, and write what was asked for."""
    check_writable(order.model, MODEL_ENDINGS, "--model")
    check_writable(order.report, REPORT_ENDINGS, "--report")
    check_checkpoint(order)
    check_choice(order)
    source = opened(order.data, order.reading)
    refuse_inputs(order.model, "--model", source.paths)
    refuse_inputs(order.report, "--report", source.paths)
    source = source.ignoring(set(order.drop) - {order.groups, order.target})
    (train_in_batches if is_large(source, order.memory) else train_in_memory)(order, source)


def train_in_memory(order: Order, source: OpenTable) -> None:
    """Hold rows out, fit, judge and write, with all rows in memory."""
    table, numbers = read_to_fit(source, order.target, order.drop, order.asked, order.reading)
    given = labels(table, order.target)
    check_labels(given, order.target)
    codes = Classes(given).encode(given)
    groups = None if order.groups is None else group_codes(table, order.groups, order.target)
    if groups is None:
        training, test = split_rows(codes, order.test_size, order.seed)
    else:
        training, test = split_groups(codes, groups, order.test_size, order.seed)

    classifier, seconds = fit(order, table, training)
    schema, model = classifier.schema_, classifier.model_
    if not order.quiet:
        tell_columns(classifier.describe())

    classes = Classes.of(model.classes_)  # numbers stand in their order
    P = model.predict_proba(classifier.encoder_.encode(table, test))
    of_test = None if groups is None else groups[test]
    found = audit(P, classes.encode(given[test]), [str(label) for label in classes.labels], groups=of_test)
    size = {"rows": table.num_rows, "columns": len(schema.features)}
    search = told_search(classifier.path_, classifier.rule)
    figures = gather(found, model.solution_, **size, strength=model.strength, seconds=seconds, search=search)
    split = f"{len(training):,} to train on, {len(test):,} held out"
    split += _apart(order)
    how = chosen(classifier.path_, classifier.rule)
    text = show(figures, found, model.solution_, rows=split, columns=kinds(schema), what="held-out", strength=how)
    if order.model is not None:
        classifier.save(order.model)
    rows = _Rows(table, given, numbers, training, test, source.paths)
    if order.report is not None:
        _write_report(order, order.report, classifier, found, rows)
    show_or_dump(figures, text, as_json=order.as_json)
    tell_warnings(found, _leaking(classifier, found, rows))
    tell_files(order)


@dataclass(frozen=True)
class _Rows:
    """The table with its labels (n,) and the numbers (n,) of its rows in the input; places of training and test.

    `paths` are the files that the table was read from.
    """

    table: pa.Table
    labels: NDArray[Any]
    numbers: NDArray[np.int64]
    training: NDArray[np.intp]
    test: NDArray[np.intp]
    paths: Sequence[Path]


def _leaking(classifier: TableClassifier, found: Audit, rows: _Rows) -> list[tuple[str, float]]:
    """What each column tells of the label alone, where the model explains so much that one column may have it all."""
    if not found.skill > NEARLY_ALL:
        return []
    columns = classifier.describe()
    most = max(LEAST_CHECKED, MOST_CHECKED // max(len(columns), 1))
    some = rows.training[:: -(-len(rows.training) // most)]
    codes = Classes.of(classifier.model_.classes_).encode(rows.labels[some])
    return information(rows.table, some, codes, columns)


def _write_report(order: Order, page: Path, classifier: TableClassifier, found: Audit, rows: _Rows) -> None:
    """The page about the rows held out, and what each column adds."""
    if not order.quiet:
        say("For the report, the model is fitted again without each column.")
    trained_on = f"trained on {len(rows.training):,}, with {kinds(classifier.schema_)}"
    write_page(
        page,
        f"{order.target} from {order.data.name}",
        f"{len(rows.test):,} rows held out{_apart(order)}; {trained_on}",
        found,
        classifier.model_,
        numbers=rows.numbers[rows.test],
        places=rows.test,
        training=(rows.training, Classes.of(classifier.model_.classes_).encode(rows.labels[rows.training])),
        feature_names=classifier.feature_names_out_,
        table=rows.table,
        columns=classifier.describe(),
        warnings=classifier.schema_.warnings,
        tried=classifier.path_,
        why=reasons(classifier, rows.table, rows.training),
        learned=worth(classifier, rows.table, rows.labels, rows.training, rows.test, groups=found.groups),
        provenance=provenance(rows.paths, order.seed),
    )


def _apart(order: Order) -> str:
    """That groups are not on both sides, in words."""
    return "" if order.groups is None else f", no {order.groups} in both"


def check_checkpoint(order: Order) -> None:
    """Refuse a checkpoint that cannot be, or that is to be resumed and does not exist."""
    if order.checkpoint is None:
        if order.resume:
            raise Complaint("--resume continues the fit in the folder of --checkpoint; name it: --checkpoint DIR.")
        return
    if order.strength == 0:
        raise Complaint("--checkpoint needs a strength above 0: only with a penalty can a fit be resumed.")
    if order.checkpoint.exists() and not order.checkpoint.is_dir():
        raise Complaint(f"--checkpoint {str(order.checkpoint)!r} is a file; name a folder.")
    if order.resume and not (order.checkpoint / NAME).exists():
        raise Complaint(
            f"There is no fit to resume in {str(order.checkpoint)!r}: none was started there, or it has ended. Leave "
            "--resume out to start one."
        )


def check_choice(order: Order) -> None:
    """Refuse words about a choice of the strength where it is given."""
    for name, given in (("--folds", order.folds), ("--rule", order.rule)):
        if given is not None and order.strength is not None:
            raise Complaint(
                f"{name} says how the strength is chosen, and it is given as {order.strength:g}. Leave one of them out."
            )


def train_in_batches(order: Order, source: OpenTable) -> None:
    """The same for a table that memory does not hold."""
    wanted = {
        "--report": order.report is not None,
        "--bad-rows skip": order.reading.bad_rows == "skip",
        "--groups": order.groups is not None,
    }
    for name, given in wanted.items():
        if given:
            raise Complaint(
                f"{name} needs all rows in memory, and {str(order.data)!r} is read in batches. Leave it out, or read "
                "the table as a whole, if memory holds it: --memory high."
            )
    found = survey(source, order.target, seed=order.seed, test_size=order.test_size)
    if found.held is None and found.rows:
        raise Complaint(
            f"None of the {found.rows:,} rows was held out for the evaluation; choose a larger --test-size."
        )
    classifier, seconds = fit(order, found, None)
    schema, model = classifier.schema_, classifier.model_
    assert found.held is not None
    if not order.quiet:
        tell_columns(classifier.describe())
    codes = known_labels(found.held, order.target, model.classes_.tolist())
    P = model.predict_proba(classifier.encoder_.encode(found.held))
    judged = audit(P, codes, [str(label) for label in model.classes_])
    size = {"rows": found.rows, "columns": len(schema.features)}
    search = told_search(classifier.path_, classifier.rule)
    figures = gather(judged, model.solution_, **size, strength=model.strength, seconds=seconds, search=search)
    split = f"{found.training:,} to train on, {found.tested:,} held out"
    if len(codes) < found.tested:
        split += f", {len(codes):,} of these evaluated"
    how = chosen(classifier.path_, classifier.rule)
    text = show(figures, judged, model.solution_, rows=split, columns=kinds(schema), what="held-out", strength=how)
    if order.model is not None:
        classifier.save(order.model)
    show_or_dump(figures, text, as_json=order.as_json)
    tell_warnings(judged)
    tell_files(order)


def fit(order: Order, table: Any, training: NDArray[np.int64] | None) -> tuple[TableClassifier, float]:
    """Fit the training rows, with progress; gives the classifier and the seconds that it took."""
    strength = "auto" if order.strength is None else order.strength
    choice: dict[str, Any] = {"folds": order.folds, "rule": order.rule or "min", "groups": order.groups}
    classifier = TableClassifier(order.target, strength=strength, drop=order.drop, **choice, **order.asked)
    start = time.perf_counter()
    told: AbstractContextManager[Any] = choosing(quiet=order.quiet)
    if order.strength is not None:
        told = fitting(classifier.tol, quiet=order.quiet)
    elif training is None:
        told = choosing_and_fitting(classifier.tol, quiet=order.quiet)
    with told as listener:
        classifier.verbose = listener
        memory: Memory = "auto" if training is None else "high"
        classifier.fit(table, rows=training, checkpoint=order.checkpoint, memory=memory)
    classifier.verbose = 0
    return classifier, time.perf_counter() - start


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


def tell_files(order: Order) -> None:
    """Say on stderr what was written."""
    if order.model is not None:
        say(f"Model, fitted on the training rows: {order.model}")
    if order.report is not None:
        say(f"Report on the rows held out: {order.report}")
