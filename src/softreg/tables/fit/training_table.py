"""Input of `TableClassifier.fit`: a table with a column of labels, or features X and labels y."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from softreg.models.inputs.sample_and_class_weights import sample_weights
from softreg.tables.columns.table_errors import TableError, emit_notes, emit_warnings, quote, quote_list
from softreg.tables.images.image_form import default_target, has_images
from softreg.tables.io.numpy_arrays import label_column
from softreg.tables.io.open_table import OpenTable, as_table, open_table
from softreg.tables.io.sources import is_source
from softreg.tables.row_selection.labelled_rows import LabelledRows, labelled_rows, unlabelled_note
from softreg.tables.row_selection.rare_classes import LabelRules
from softreg.tables.row_selection.row_numbers import row_numbers
from softreg.tables.row_selection.weight_column import check_any_weight, weight_column
from softreg.tables.schema.label_types import TEXT, label_type
from softreg.tables.schema.target_labels import check_class_counts, class_codes
from softreg.typing import BoolArray, Codes, Float64Array, RowNumbers
from softreg.value_text import TextIndex, encode_as_text, value_text

DEFAULT_NAME = "y"
"""Name of the column of labels that are given without a name."""
MISSING_TARGET = (
    "This TableClassifier requires y to be passed, but the target y is None: name the column of labels, "
    "fit(table, target='column') or TableClassifier('column'), or pass the labels, fit(X, y)."
)
"""Message of the error for a fit without labels."""


NO_IMAGE_LABELS = (
    "The images have no labels. Put the pictures of each class into a folder with its name, or name the file of the "
    "labels of an array: --labels FILE (labels= of open_table, or y of fit, in Python)."
)
"""Message of the error for images without labels."""


@dataclass(frozen=True)
class TrainingTable:
    """A table in memory with a column of labels, its training rows and their weights.

    Attributes
    ----------
    table : pyarrow.Table
        The table.
    target : str
        Column of labels.
    rows : array of int or None
        Numbers of the training rows; None for all.
    weight : array of float64 (n,) or None
        Weight of each row of the table; None for equal weights.
    label_dtype : dtype or None
        Type of the labels y; None for labels that are a column of the table.
    separate : bool
        Whether the labels were given beside the features.
    weights : str or None
        Column of weights, if the weights are those of a column.
    named : bool
        Whether the call named the training rows.
    counted : array of bool (n,) or None
        Rows of a weight above 0; None for all.
    """

    table: pa.Table
    target: str
    rows: RowNumbers | None
    weight: Float64Array | None
    label_dtype: np.dtype[Any] | None
    separate: bool = False
    weights: str | None = None
    named: bool = False
    counted: BoolArray | None = None

    @property
    def row_weight(self) -> Float64Array | None:
        """Weights of the training rows."""
        return self.weight if self.weight is None or self.rows is None else self.weight[self.rows]


def training_table(
    data: Any, y: Any, target: str | None, rows: Any, sample_weight: Any, unused: set[str]
) -> TrainingTable:
    """Return the training table of a table with a column `target`, or of features and labels y.

    Parameters
    ----------
    data : pyarrow.Table, data frame, path or array
        The table or features. If features have a column `target` as well, y replaces it.
    y : array-like (n,) or None
        Labels.
    target : str or None
        Column of labels.
    rows : array-like or None
        Training rows, as numbers from 0 or a mask; None for all.
    sample_weight : array-like (n,), str or None
        Weight of each row, or a column of weights. Rows of weight 0 are left out.
    unused : set of str
        Columns whose values are not read.

    Returns
    -------
    TrainingTable
        The table with its training rows and weights.

    Raises
    ------
    TableError
        If there are no labels, or their number is not that of the rows.
    ValueError
        If weights are negative or not finite, or all weights of the training rows are zero.
    """
    table = as_table(data, unused=unused)
    dtype = None
    if y is not None:
        table, target, dtype = with_labels(table, y, target)
    if target is None:
        raise TableError(MISSING_TARGET)
    chosen = row_numbers(rows, table.num_rows)
    if sample_weight is None:
        return TrainingTable(table, target, chosen, None, dtype, y is not None, named=rows is not None)
    name = sample_weight if isinstance(sample_weight, str) else None
    if name is not None:
        sample_weight = weight_column(table, name, target)
        check_any_weight(sample_weight, name)
    weight = sample_weights(sample_weight, table.num_rows)
    chosen = np.arange(table.num_rows) if chosen is None else chosen
    counted = chosen[weight[chosen] > 0]
    if len(counted) == 0:
        raise ValueError("all sample weights of the rows to train on are zero, so there is nothing to fit.")
    if len(np.unique(weight[counted])) == 1:  # equal weights change nothing
        rest = counted if len(counted) < table.num_rows else None
        return TrainingTable(table, target, rest, None, dtype, y is not None, name, rows is not None, weight > 0)
    return TrainingTable(table, target, counted, weight, dtype, y is not None, name, rows is not None, weight > 0)


def with_default_target(data: Any) -> tuple[Any, str]:
    """Return data without a named target, opened if they are files, and the column of labels of images.

    Parameters
    ----------
    data : path, pyarrow.Table, data frame or array
        The table.

    Returns
    -------
    data : OpenTable or unchanged
        The table.
    target : str
        Its column of labels.

    Raises
    ------
    TableError
        If the table holds no images, or images without labels.
    """
    if is_source(data):
        data = open_table(data)
        emit_notes(data.notes)
    schema = data.schema if isinstance(data, OpenTable | pa.Table) else None
    target = None if schema is None else default_target(schema)
    if target is None:
        raise TableError(NO_IMAGE_LABELS if schema is not None and has_images(schema) else MISSING_TARGET)
    return data, target


def select_labelled_rows(
    given: TrainingTable, rules: LabelRules, *, categorical: bool
) -> tuple[TrainingTable, LabelledRows]:
    """Select the training rows that have a class by the label rules.

    A `TableNote` names the rows that are left out and the classes that are merged.

    Parameters
    ----------
    given : TrainingTable
        The table.
    rules : LabelRules
        What is done with rows without a label and classes of a single row.
    categorical : bool
        Whether the labels are known to be classes, however many they are.

    Returns
    -------
    selected : TrainingTable
        The table with the selected training rows.
    labelled : LabelledRows
        Classes of the rows of the table.

    Raises
    ------
    TableError
        If no classifier can be trained on the labels, or the training rows have fewer than two classes.
    """
    if given.table.num_rows == 0:
        raise TableError("The table has no rows; there is nothing to learn from.")
    labelled = labelled_rows(given.table, given.target, rules, categorical=categorical, counted=given.counted)
    chosen = labelled.rows(given.rows)
    y = labelled.y if chosen is None else labelled.y[chosen]
    if len(y) == 0:
        raise TableError(f"None of the rows to train on has a label in {quote(given.target)}.")
    if (y == y[0]).all():  # of several classes, the training rows hold one
        check_class_counts(y[:1], np.ones(1, np.int64), len(y), given.target)
    if given.named:
        lost = np.intersect1d(labelled.unlabelled, given.rows if given.rows is not None else labelled.unlabelled)
        numbers = (lost + 1).tolist()
        emit_notes([unlabelled_note(len(lost), given.table.num_rows, numbers, given.target)] if len(lost) else [])
        classes, counts = np.unique(y, return_counts=True)
        single = np.setdiff1d(classes[counts == 1], labelled.rare.labels).tolist()
        if single:
            which = "the class" if len(single) == 1 else "each of the classes"
            emit_notes([f"Of {which} {quote_list(single)} there is a single row to train on, which no fold evaluates."])
    elif not given.separate:
        emit_notes(labelled.notes())
    return replace(given, rows=chosen), labelled


def with_labels(table: pa.Table, y: Any, target: str | None) -> tuple[pa.Table, str, np.dtype[Any] | None]:
    """Return the table with the labels y as a column, the name of this column, and the dtype of y.

    Parameters
    ----------
    table : pyarrow.Table
        Features.
    y : array-like (n,)
        Labels.
    target : str or None
        Name of the column; by default that of a series, else "y". A column of the table with the name and the values of
        the series is the target, with a `TableWarning`.

    Returns
    -------
    table : pyarrow.Table
        Features and labels.
    name : str
        Column of labels.
    dtype : dtype or None
        NumPy dtype of the labels.

    Examples
    --------
    >>> table, name, dtype = with_labels(pa.table({"x": [1.5, 2.5]}), [0, 1], None)
    >>> table.to_pydict(), name, dtype
    ({'x': [1.5, 2.5], 'y': [0, 1]}, 'y', dtype('int64'))
    """
    column, dtype = _label_column(table.num_rows, y)
    name = target
    if name is None:
        own = getattr(y, "name", None)
        name = own if isinstance(own, str) and own else DEFAULT_NAME
        if name in table.column_names and not (own == name and _same_values(table.column(name), column)):
            name = _unused_name(DEFAULT_NAME, table.column_names)
        elif name in table.column_names:
            message = f"X has the column {quote(name)}, whose values are the labels y: it is the target and no feature."
            emit_warnings([message])
    if name in table.column_names:
        index = table.column_names.index(name)
        return table.set_column(index, pa.field(name, column.type), column), name, dtype
    return table.append_column(pa.field(name, column.type), column), name, dtype


def is_rows_argument(data: Any, y: Any, target: str | None) -> bool:
    """Return True if the second argument of `fit` is the training rows, as in earlier versions, and not the labels."""
    # It is if it holds row numbers or a mask beside a table that has the column of labels, unless it holds these labels
    # or their codes 0 .. q - 1.
    if y is None or target is None or isinstance(y, (str, bytes)):
        return False
    try:
        given = np.asarray(y)
    except (ValueError, TypeError):
        return False
    if given.ndim != 1 or given.dtype.kind not in "biu" or getattr(y, "name", None) is not None:
        return False
    table = data if isinstance(data, (OpenTable, pa.Table)) else None
    if table is None and is_source(data):
        return True
    table = as_table(data) if table is None else table
    names = table.names if isinstance(table, OpenTable) else table.column_names
    if target not in names or not isinstance(table, pa.Table):
        return target in names
    if len(given) != table.num_rows:
        return True
    if given.dtype.kind != "b" and len(np.unique(given)) == len(encode_as_text(table.column(target)).dictionary):
        return False
    return not _same_values(table.column(target), label_column(given)[0])


def _same_values(column: pa.ChunkedArray, other: pa.ChunkedArray) -> bool:
    """Return True if two columns have the same values, compared as text."""
    if len(column) != len(other):
        return False
    try:
        a, b = encode_as_text(column), encode_as_text(other)
    except TypeError:
        return False
    return bool(a.dictionary.take(a.indices).equals(b.dictionary.take(b.indices)))


def _unused_name(name: str, names: Sequence[str]) -> str:
    while name in names:
        name += "_"
    return name


def label_codes(n: int, y: Any, target: str, classes: Sequence[str]) -> Codes:
    """Return the index of each label among the classes.

    Booleans and the numbers 0 and 1 are the same labels, as in NumPy.

    Parameters
    ----------
    n : int
        Number of rows.
    y : array-like (n,)
        Labels.
    target : str
        Column of labels.
    classes : sequence of str
        Classes of the model.

    Returns
    -------
    array of int (n,)
        Indices; -1 for a label that is no class.

    Raises
    ------
    TableError
        If the number of labels is not n, or no label is a class and only one of labels and classes is text.

    Examples
    --------
    >>> label_codes(2, [True, False], "buys", ["false", "true"])
    array([1, 0])
    >>> label_codes(2, [True, False], "buys", ["0", "1"])
    array([1, 0])
    """
    column, _ = _label_column(n, y)
    codes = class_codes(pa.table({target: column}), target, classes)
    if n == 0 or (codes >= 0).any():
        return codes
    kind = label_type(column.type)
    if kind == "boolean" and "1" in classes:
        return class_codes(pa.table({target: column.cast(pa.int8())}), target, classes)
    if kind in ("integer", "float32", "float64") and {name.lower() for name in classes} == {"false", "true"}:
        truth = pc.if_else(pc.equal(column, 1), pa.scalar("true"), pc.if_else(pc.equal(column, 0), "false", "no class"))
        return class_codes(pa.table({target: truth}), target, classes)
    written = TextIndex(list(classes)).numeric or {name.lower() for name in classes} <= {"false", "true"}
    if (kind == TEXT) == written:
        raise TableError(
            f"None of the {n:,} labels, such as {quote(value_text(column[0].as_py()))}, is a class of the model: "
            f"{quote_list(classes)}. Give labels of the kind that the model was fitted to."
        )
    return codes


def _label_column(n: int, y: Any) -> tuple[pa.ChunkedArray, np.dtype[Any] | None]:
    """Return the labels of n rows as a column, and their NumPy dtype."""
    if isinstance(y, str):
        raise TableError(f"y is the text {quote(y)}; to name the column of labels, use target={quote(y)}.")
    column, dtype = label_column(y)
    if len(column) != n:
        raise TableError(
            f"Found input variables with inconsistent numbers of samples: X has {n:,} rows and y {len(column):,} "
            "labels; expected one label for each row."
        )
    return column, dtype
