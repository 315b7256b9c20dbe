"""What `TableClassifier.fit` receives: a table with its labels inside, or features X and labels y."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from softreg.models.inputs.sample_and_class_weights import sample_weights
from softreg.tables.columns.errors import TableError, emit_notes, emit_warnings, quote, quote_list
from softreg.tables.io.numpy_arrays import label_column
from softreg.tables.io.open_table import OpenTable, as_table
from softreg.tables.io.sources import is_source
from softreg.tables.row_selection.labelled_rows import LabelledRows, labelled_rows, unlabelled_note
from softreg.tables.row_selection.rare_classes import LabelRules
from softreg.tables.row_selection.row_numbers import row_numbers
from softreg.tables.row_selection.weight_column import check_any_weight, weight_column
from softreg.tables.schema.label_types import TEXT, label_type
from softreg.tables.schema.target_labels import check_class_counts, class_codes
from softreg.typing import BoolArray, Codes, Float64Array, RowNumbers
from softreg.value_text import TextIndex, encode_as_text, value_text

NAME = "y"
"""The name of the column of labels that were given without one."""
REQUIRED = (
    "This TableClassifier requires y to be passed, but the target y is None: name the column of labels, "
    "fit(table, target='column') or TableClassifier('column'), or pass the labels, fit(X, y)."
)


@dataclass(frozen=True)
class TrainingTable:
    """A table that contains its labels.

    `table`; `target`, the name of the column of labels; `rows`, the numbers of the rows to train on, all where None;
    `weight` (n,) of all rows of the table, None where each counts once; `label_dtype` of the labels y, None where they
    are a column of the table.
    """

    table: pa.Table
    target: str
    rows: RowNumbers | None
    weight: Float64Array | None
    label_dtype: np.dtype[Any] | None
    separate: bool = False
    """Whether the labels were given beside the features."""
    weights: str | None = None
    """The column of weights, where the weights are those of a column."""
    named: bool = False
    """Whether the rows to train on were named."""
    counted: BoolArray | None = None
    """Rows of a weight above 0, (n,); None where all are."""

    @property
    def row_weight(self) -> Float64Array | None:
        """The weights of the rows to train on."""
        return self.weight if self.weight is None or self.rows is None else self.weight[self.rows]


def training_table(
    data: Any, y: Any, target: str | None, rows: Any, sample_weight: Any, unused: set[str]
) -> TrainingTable:
    """The table of a fit in memory, from a table with a column `target`, or from features and labels y (n,).

    Where the features have a column of the name of the target as well, y takes its place. Rows of the weight 0 are left
    out. Raises `TableError` for lengths that differ, and `ValueError` for weights that are negative or not finite.
    """
    table = as_table(data, unused=unused)
    dtype = None
    if y is not None:
        table, target, dtype = with_labels(table, y, target)
    if target is None:
        raise TableError(REQUIRED)
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


def select_labelled_rows(
    given: TrainingTable, rules: LabelRules, *, categorical: bool
) -> tuple[TrainingTable, LabelledRows]:
    """The same table, of whose rows those are trained on that have a class by the rules, and the classes of its rows.

    What was left out or merged is given as a `TableNote`. Raises `TableError` for labels that no classifier can learn
    from, and where the rows to train on hold one class.
    """
    if given.table.num_rows == 0:
        raise TableError("The table has no rows; there is nothing to learn from.")
    found = labelled_rows(given.table, given.target, rules, categorical=categorical, counted=given.counted)
    chosen = found.rows(given.rows)
    y = found.y if chosen is None else found.y[chosen]
    if len(y) == 0:
        raise TableError(f"None of the rows to train on has a label in {quote(given.target)}.")
    if (y == y[0]).all():  # of several classes, the training rows hold one
        check_class_counts(y[:1], np.ones(1, np.int64), len(y), given.target)
    if given.named:
        lost = np.intersect1d(found.unlabelled, given.rows if given.rows is not None else found.unlabelled)
        numbers = (lost + 1).tolist()
        emit_notes([unlabelled_note(len(lost), given.table.num_rows, numbers, given.target)] if len(lost) else [])
        classes, counts = np.unique(y, return_counts=True)
        single = np.setdiff1d(classes[counts == 1], found.rare.labels).tolist()
        if single:
            which = "the class" if len(single) == 1 else "each of the classes"
            emit_notes(
                [f"Of {which} {quote_list(single)} there is a single row to train on, which no fold is judged by."]
            )
    elif not given.separate:
        emit_notes(found.notes())
    return replace(given, rows=chosen), found


def with_labels(table: pa.Table, y: Any, target: str | None) -> tuple[pa.Table, str, np.dtype[Any] | None]:
    """The table with the labels y (n,) as a column, its name, and their NumPy dtype.

    The name is `target`, else that of a series, else "y". A column of the table that has the name of the series and the
    same values is the target as well, not a feature, which a `TableWarning` says.

    Example:
        >>> table, name, dtype = with_labels(pa.table({"x": [1.5, 2.5]}), [0, 1], None)
        >>> table.to_pydict(), name, dtype
        ({'x': [1.5, 2.5], 'y': [0, 1]}, 'y', dtype('int64'))
    """
    column, dtype = _label_column(table.num_rows, y)
    name = target
    if name is None:
        own = getattr(y, "name", None)
        name = own if isinstance(own, str) and own else NAME
        if name in table.column_names and not (own == name and _same_values(table.column(name), column)):
            name = _unused_name(NAME, table.column_names)
        elif name in table.column_names:
            said = f"X has the column {quote(name)}, whose values are the labels y: it is the target and no feature."
            emit_warnings([said])
    if name in table.column_names:
        place = table.column_names.index(name)
        return table.set_column(place, pa.field(name, column.type), column), name, dtype
    return table.append_column(pa.field(name, column.type), column), name, dtype


def is_rows_argument(data: Any, y: Any, target: str | None) -> bool:
    """Whether the second argument of `fit` has the meaning of earlier versions: the rows to train on.

    That is so for row numbers or a mask beside a table that has the column of labels, unless they are its labels, or
    their codes 0 .. q - 1.
    """
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
    """Whether two columns have the same values, by their text."""
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
    """The place among the classes (n,) of each of the labels y of n rows, -1 for one that is none.

    Booleans and the numbers 0 and 1 are the same labels, as NumPy compares them.

    Raises `TableError` for another number of labels, and where the labels are text, the classes are none, and no label
    is a class, or the other way round.

    Example:
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
    if kind in ("integer", "float32", "float64") and {one.lower() for one in classes} == {"false", "true"}:
        truth = pc.if_else(pc.equal(column, 1), pa.scalar("true"), pc.if_else(pc.equal(column, 0), "false", "no class"))
        return class_codes(pa.table({target: truth}), target, classes)
    written = TextIndex(list(classes)).numeric or {one.lower() for one in classes} <= {"false", "true"}
    if (kind == TEXT) == written:
        raise TableError(
            f"None of the {n:,} labels, such as {quote(value_text(column[0].as_py()))}, is a class of the model: "
            f"{quote_list(classes)}. Give labels of the kind that the model was fitted to."
        )
    return codes


def _label_column(n: int, y: Any) -> tuple[pa.ChunkedArray, np.dtype[Any] | None]:
    """The labels of n rows as a column, and their NumPy dtype."""
    if isinstance(y, str):
        raise TableError(f"y is the text {quote(y)}; to name the column of labels, use target={quote(y)}.")
    column, dtype = label_column(y)
    if len(column) != n:
        raise TableError(
            f"Found input variables with inconsistent numbers of samples: X has {n:,} rows and y {len(column):,} "
            "labels; expected one label for each row."
        )
    return column, dtype
