"""The rows that `softreg train` fits and those that it evaluates on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from softreg.cli.console.command_errors import CommandError
from softreg.cli.console.progress_bars import print_note
from softreg.cli.data.label_codes import known_codes
from softreg.cli.data.read_table import open_source
from softreg.cli.options.train_request import TrainRequest
from softreg.probability import Classes
from softreg.tables import TableClassifier, group_codes, split_groups, split_rows
from softreg.tables.columns.errors import listed, plural
from softreg.tables.fit.table_scan import Survey, is_large, survey
from softreg.tables.row_selection.labelled_rows import LabelledRows, labelled_rows
from softreg.tables.row_selection.time_splits import split_by_time, time_codes
from softreg.tables.row_selection.weight_column import check_some, weight_column

Places = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class HeldOutRows:
    """Rows to evaluate on: `rows` (k,) of `table`, their numbers in the input, their groups and weights, if any.

    `said` describes them in words. `own` says whether the table is that of the training rows.
    """

    table: pa.Table
    rows: Places
    numbers: Places
    groups: NDArray[np.generic] | None
    weights: NDArray[np.float64] | None
    said: str
    own: bool = True


def label_rows(order: TrainRequest, table: pa.Table, numbers: Places) -> LabelledRows:
    """The labels of a table; what is left out of it, or merged, is said on stderr."""
    counted = None
    if order.weights is not None:
        weights = weight_column(table, order.weights, order.target)
        check_some(weights, order.weights)
        counted = weights > 0
        if not counted.all():
            print_note(f"{plural(int((~counted).sum()), 'row')} of the weight 0 in {order.weights!r} are left out.")
    found = labelled_rows(table, order.target, order.rules, sure=order.sure, counted=counted)
    for said in found.notes(numbers):
        print_note(said)
    return found


def split(order: TrainRequest, table: pa.Table, found: LabelledRows, numbers: Places) -> tuple[Places, HeldOutRows]:
    """The numbers of the rows to train on, and the rows held out of the same table."""
    used = np.flatnonzero(found.used)
    codes = Classes(found.y[used]).encode(found.y[used])
    weights = None if order.weights is None else weight_column(table, order.weights, order.target)
    groups = None if order.groups is None else group_codes(table, order.groups, order.target, used)
    moments = None if order.time is None else time_codes(table, order.time, order.target, used)
    if moments is not None:
        train, test = split_by_time(moments, order.share)
        train, test = _rows_of_known_classes(found.y[used], train, test, order.time or "")
    elif groups is not None:
        train, test = split_groups(codes, groups, order.share, order.seed)
    else:
        train, test = split_rows(codes, order.share, order.seed)
    alone = np.setdiff1d(np.unique(found.y[used]), [*np.unique(found.y[used][test]), *found.rare.labels]).tolist()
    if alone:
        what = "the class" if len(alone) == 1 else f"{len(alone):,} classes,"
        print_note(f"None of the rows held out is of {what} {listed(alone)}, which no figure judges then.")
    said = f"{len(train):,} to train on, {len(test):,} held out{holdout_rule(order)}"
    of_test = used[test]
    held = HeldOutRows(
        table,
        of_test,
        numbers[of_test],
        None if groups is None else groups[test],
        None if weights is None else weights[of_test],
        said,
    )
    return used[train], held


def holdout_rule(order: TrainRequest) -> str:
    """How rows were held out, in words."""
    if order.time is not None:
        return f", the latest by {order.time}"
    return "" if order.groups is None else f", no {order.groups} in both"


def _rows_of_known_classes(y: NDArray[np.str_], train: Places, test: Places, time: str) -> tuple[Places, Places]:
    """The same rows, without later ones of classes that no earlier row has: nothing could be learned of these."""
    known = np.isin(y[test], np.unique(y[train]))
    if known.all():
        return train, test
    new = np.unique(y[test][~known]).tolist()
    print_note(
        f"{plural(int((~known).sum()), 'row')} held out by {time!r} have a class that no row to train on has "
        f"({listed(new)}) and are not evaluated."
    )
    if not known.any():
        raise CommandError(
            f"The classes of all rows held out by {time!r} ({listed(new)}) occur in none of the rows before, so there "
            "is nothing to evaluate; choose a larger --test-size, or another --time."
        )
    return train, test[known]


def test_file_rows(order: TrainRequest, classifier: TableClassifier, trained_on: int) -> HeldOutRows:
    """The rows of the file of `--test`, whose labels are classes of the model."""
    assert order.test is not None
    source = open_source(order.test, order.reading)
    if is_large(source, order.memory):
        found = survey(source, order.target, _none, rules=order.rules, sure=True, weights=order.weights)
        for said in found.notes:
            print_note(said)
        return _sampled(found, f"{trained_on:,} to train on, {found.tested:,} in {order.test.name}")
    table = source.read()
    numbers = source.input_rows(np.arange(table.num_rows))
    codes = known_codes(
        table,
        order.target,
        classifier.model_.classes_.tolist(),
        classifier.rare_,
        missing=order.missing_target,
        numbers=numbers,
        source=order.test.name,
    )
    used = codes >= 0
    if not used.all():
        print_note(
            f"{plural(int((~used).sum()), 'row')} of {order.test.name!r} have no label, or one that was left out, and "
            "are not evaluated."
        )
    weights = None if order.weights is None else weight_column(table, order.weights, order.target)
    used &= True if weights is None else weights > 0
    rows = np.flatnonzero(used)
    if len(rows) == 0:
        raise CommandError(f"No row of {str(order.test)!r} has a label and counts, so there is nothing to evaluate on.")
    groups = None if order.groups is None else group_codes(table, order.groups, order.target, rows)
    said = f"{trained_on:,} to train on, {len(rows):,} in {order.test.name}"
    return HeldOutRows(table, rows, numbers[rows], groups, None if weights is None else weights[rows], said, own=False)


def survey_rows(found: Survey) -> HeldOutRows:
    """The sample of the rows that were held out of a table that is read in batches."""
    return _sampled(found, f"{found.training:,} to train on, {found.tested:,} held out")


def _sampled(found: Survey, said: str) -> HeldOutRows:
    if found.held is None:
        raise CommandError(
            f"None of the {found.rows:,} rows was held out for the evaluation; choose a larger --test-size."
        )
    rows = np.arange(found.held.num_rows)
    if len(rows) < found.tested:
        said += f", {len(rows):,} of these evaluated"
    weights = found.row_weights(found.held, found.held_numbers)
    return HeldOutRows(found.held, rows, found.held_numbers + 1, None, weights, said)


def _none(first: int, count: int) -> NDArray[np.bool_]:
    """No row of a run: all are held out."""
    return np.zeros(count, dtype=bool)
