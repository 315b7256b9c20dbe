"""Training rows and held-out rows of `softreg train`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from softreg.cli.console.command_errors import CommandError
from softreg.cli.console.messages import print_note
from softreg.cli.console.skipped_rows import print_skipped_rows
from softreg.cli.data.label_codes import known_codes
from softreg.cli.options.train_request import TrainRequest
from softreg.probability import Classes
from softreg.tables import OpenTable, TableClassifier, group_codes, open_table, split_groups, split_rows
from softreg.tables.columns.table_errors import pluralize, quote_list
from softreg.tables.fit.memory_mode import is_large
from softreg.tables.fit.table_scan import TableScan, scan_table
from softreg.tables.images.image_form import form_of_field, has_images, is_label_field, is_path_field
from softreg.tables.row_selection.labelled_rows import LabelledRows, labelled_rows
from softreg.tables.row_selection.table_splits import split_by_time
from softreg.tables.row_selection.time_codes import time_codes
from softreg.tables.row_selection.weight_column import check_any_weight, weight_column
from softreg.tables.schema.input_kind import check_input_kind
from softreg.tables.schema.kinds import Column, Kind
from softreg.typing import Array, BoolArray, Codes, Float64Array, TextArray


@dataclass(frozen=True, eq=False)
class HeldOutRows:
    """Rows to evaluate on.

    Attributes
    ----------
    table : pyarrow.Table
        A table with these rows.
    rows : array of shape (k,)
        Their indices in the table.
    numbers : array of shape (k,)
        Their numbers in the input, from 1.
    groups : array of shape (k,) or None
        Groups of dependent rows.
    weights : array of shape (k,) or None
        Weights of the rows.
    description : str
        Numbers of training and held-out rows, for the table of results.
    from_training_table : bool
        Whether the table also contains the training rows.
    method : str
        How these rows were held out, as a phrase.
    total : int or None
        Number of held-out rows of which these are a sample; None where these are all.
    """

    table: pa.Table
    rows: Codes
    numbers: Codes
    groups: Array | None
    weights: Float64Array | None
    description: str
    from_training_table: bool = True
    method: str = ""
    total: int | None = None


def label_rows(request: TrainRequest, table: pa.Table, numbers: Codes) -> LabelledRows:
    """Return the labels of a table, and print notes on rows that are left out and classes that are merged."""
    counted = None
    if request.weights is not None:
        weights = weight_column(table, request.weights, request.target)
        check_any_weight(weights, request.weights)
        counted = weights > 0
        if not counted.all():
            print_note(
                f"{pluralize(int((~counted).sum()), 'row')} of the weight 0 in {request.weights!r} are left out."
            )
    labelled = labelled_rows(
        table, request.target, request.rules, categorical=request.target_is_category, counted=counted
    )
    for note in labelled.notes(numbers):
        print_note(note)
    return labelled


def split_table(
    request: TrainRequest, table: pa.Table, labelled: LabelledRows, numbers: Codes
) -> tuple[Codes, HeldOutRows]:
    """Return the indices of the training rows, and the held-out rows of the same table."""
    used = np.flatnonzero(labelled.used)
    codes = Classes(labelled.y[used]).encode(labelled.y[used])
    weights = None if request.weights is None else weight_column(table, request.weights, request.target)
    groups = None if request.groups is None else group_codes(table, request.groups, request.target, used)
    moments = None if request.time is None else time_codes(table, request.time, request.target, used)
    if moments is not None:
        train, test = split_by_time(moments, request.share)
        train, test = _rows_of_known_classes(labelled.y[used], train, test, request.time or "")
    elif groups is not None:
        train, test = split_groups(codes, groups, request.share, request.seed)
    else:
        train, test = split_rows(codes, request.share, request.seed)
    only_in_training = np.setdiff1d(
        np.unique(labelled.y[used]), [*np.unique(labelled.y[used][test]), *labelled.rare.labels]
    ).tolist()
    if only_in_training:
        count = len(only_in_training)
        what = "the class" if count == 1 else f"{count:,} classes,"
        print_note(f"No held-out row is of {what} {quote_list(only_in_training)}, which is not evaluated.")
    description = f"{len(train):,} to train on, {len(test):,} held out{holdout_rule(request)}"
    held_out = used[test]
    held = HeldOutRows(
        table,
        held_out,
        numbers[held_out],
        None if groups is None else groups[test],
        None if weights is None else weights[held_out],
        description,
        method=_method(request),
    )
    return used[train], held


def _method(request: TrainRequest) -> str:
    """Return how rows of a table in memory are held out, as a phrase."""
    if request.time is not None:
        return f"the latest rows by the column {request.time!r}, those of a class that earlier rows have"
    if request.groups is not None:
        return f"whole groups of the column {request.groups!r}, with nearly the same share of each class"
    return "a random sample, stratified by class"


def holdout_rule(request: TrainRequest) -> str:
    """Return how rows are held out, as a remark."""
    if request.time is not None:
        return f", the latest by {request.time}"
    return "" if request.groups is None else f", no {request.groups} in both"


def _rows_of_known_classes(y: TextArray, train: Codes, test: Codes, time: str) -> tuple[Codes, Codes]:
    """Return training and test rows without test rows of classes that no training row has."""
    known = np.isin(y[test], np.unique(y[train]))
    if known.all():
        return train, test
    new = np.unique(y[test][~known]).tolist()
    print_note(
        f"{pluralize(int((~known).sum()), 'row')} held out by {time!r} have a class that no training row has "
        f"({quote_list(new)}) "
        "and are not evaluated."
    )
    if not known.any():
        raise CommandError(
            f"The classes of all rows held out by {time!r} ({quote_list(new)}) occur in no earlier row, so "
            f"there is nothing to "
            "evaluate; choose a larger --test-size, or another --time."
        )
    return train, test[known]


def open_evaluation_file(request: TrainRequest, training: OpenTable) -> OpenTable | None:
    """Open the file of --test before the fit, and check that it and the data of training are both tables or images.

    Parameters
    ----------
    request : TrainRequest
        Options of `softreg train`.
    training : OpenTable
        Data of training.

    Returns
    -------
    OpenTable or None
        None without --test.

    Raises
    ------
    TableError
        If only one of both has images.
    """
    if request.test is None:
        return None
    source = open_table(request.test, options=request.reading)
    columns = [
        Column(field.name, Kind.VECTOR, "", image=form_of_field(field))
        for field in training.schema
        if field.name not in (request.target, *request.drop) and not (is_path_field(field) or is_label_field(field))
    ]
    check_input_kind(columns, source.schema, source=repr(str(request.test)), training="the model is trained on")
    return source


def evaluation_file_rows(
    request: TrainRequest, source: OpenTable | None, classifier: TableClassifier, *, trained_on: int
) -> HeldOutRows:
    """Return the rows of the file of --test whose labels are classes of the model."""
    assert request.test is not None
    assert source is not None
    for note in source.notes:
        print_note(note)
    if is_large(source, request.memory):
        scan = scan_table(
            source, request.target, _no_rows, rules=request.rules, categorical=True, weights=request.weights
        )
        for note in scan.notes:
            print_note(note)
        return _sampled(scan, f"{trained_on:,} to train on, {scan.tested:,} in {request.test.name}", _in_file(request))
    table = source.read()
    print_skipped_rows(source.skipped, [], files=len(source.readers), reasons=has_images(source.schema))
    numbers = source.input_rows(np.arange(table.num_rows))
    codes = known_codes(
        table,
        request.target,
        classifier.model_.classes_.tolist(),
        classifier.rare_,
        missing=request.missing_target,
        numbers=numbers,
        source=request.test.name,
    )
    used = codes >= 0
    if not used.all():
        print_note(
            f"{pluralize(int((~used).sum()), 'row')} of {request.test.name!r} have no label, or one that "
            f"training left out, "
            "and are not evaluated."
        )
    weights = None if request.weights is None else weight_column(table, request.weights, request.target)
    used &= True if weights is None else weights > 0
    rows = np.flatnonzero(used)
    if len(rows) == 0:
        raise CommandError(
            f"No row of {str(request.test)!r} has a label and a positive weight, so there is nothing to evaluate."
        )
    groups = None if request.groups is None else group_codes(table, request.groups, request.target, rows)
    description = f"{trained_on:,} to train on, {len(rows):,} in {request.test.name}"
    counted = None if weights is None else weights[rows]
    return HeldOutRows(table, rows, numbers[rows], groups, counted, description, False, _in_file(request))


def _in_file(request: TrainRequest) -> str:
    """Return a phrase for the rows of the file of --test."""
    return f"the rows of the file {request.test.name if request.test else ''!r}"


def scanned_rows(scan: TableScan) -> HeldOutRows:
    """Return the sample of the held-out rows of a table that is read in batches."""
    return _sampled(scan, f"{scan.training:,} to train on, {scan.tested:,} held out", "a random sample")


def _sampled(scan: TableScan, description: str, method: str) -> HeldOutRows:
    """Return the sample of held-out rows of a scan."""
    if scan.held is None:
        raise CommandError(f"None of the {scan.rows:,} rows is held out for evaluation; choose a larger --test-size.")
    rows = np.arange(scan.held.num_rows)
    if len(rows) < scan.tested:
        description += f", {len(rows):,} of these evaluated"
    weights = scan.row_weights(scan.held, scan.held_numbers)
    return HeldOutRows(
        scan.held, rows, scan.held_numbers + 1, None, weights, description, method=method, total=scan.tested
    )


def _no_rows(first: int, count: int) -> BoolArray:
    """Return a mask of training rows that is False everywhere: all rows are held out."""
    return np.zeros(count, dtype=bool)
