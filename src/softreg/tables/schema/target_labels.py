"""Labels of the target column: read as exact text, checked, and looked up among the classes of a model."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from softreg.canonical_values import BOOLEAN_TEXTS, boolean_key, number_key
from softreg.deprecated import accept_deprecated_arguments
from softreg.tables.columns.arrow_numpy import to_int64
from softreg.tables.columns.column_values import parse_numbers
from softreg.tables.columns.row_location import RowLocation, files_without_column
from softreg.tables.columns.table_errors import TableError, pluralize, quote, quote_list, unknown_column_error
from softreg.tables.schema.kinds import FEW_LEVELS
from softreg.tables.schema.label_types import label_type
from softreg.typing import BoolArray, Codes, Int64Array, TextArray
from softreg.value_text import TextIndex, encode_as_text, text_array, unify_spellings

WHOLE = r"\s*[+-]?\d+(\.0*)?\s*"
"""Regular expression of a whole number."""


@accept_deprecated_arguments("labels()")
def labels(table: pa.Table, target: str) -> TextArray:
    """Return the labels of a table as text, exactly as written: "007" stays "007", and "NA" and "None" are labels.

    Labels of another Arrow type are spelled by `softreg.value_text`: true and false, 7 (also for 7.0), 0.5, 2020-01-31.
    Different spellings of booleans in one column (True and true) become true and false.

    Parameters
    ----------
    table : pyarrow.Table
        The table.
    target : str
        Its column of labels.

    Returns
    -------
    array of str (n,)
        Label of each row.

    Raises
    ------
    TableError
        If there is no such column, a label is missing (an empty or blank field, a null, or nan) or ends in the
        character zero, or the type has no text.

    Examples
    --------
    >>> labels(pa.table({"grade": ["007", "NA"]}), "grade").tolist()
    ['007', 'NA']
    """
    values, codes = coded_labels(table, target)
    same = unify_spellings(values)
    return (
        np.array([same.get(value, value) for value in values], dtype=np.str_)[codes]
        if len(codes)
        else np.zeros(0, "<U1")
    )


def coded_labels(
    table: pa.Table, target: str, where: RowLocation | None = None, *, missing: str = "error"
) -> tuple[list[str], Int64Array]:
    """Return the distinct labels as text and the code (n,) of each row among them.

    Parameters
    ----------
    table : pyarrow.Table
        The table, or a batch of a file.
    target : str
        Its column of labels.
    where : RowLocation, optional
        Location of the rows in their file, for messages.
    missing : {"error", "drop"}
        Whether a row without a label is an error or has the code -1.

    Returns
    -------
    values : list of str
        Distinct labels.
    codes : array of int64 (n,)
        Index of each row's label.

    Raises
    ------
    TableError
        As `labels`.

    Examples
    --------
    >>> coded_labels(pa.table({"grade": [1.0, 3.0, 1.0]}), "grade")
    (['1', '3'], array([0, 1, 0]))
    """  # noqa: DOC501
    if target not in table.column_names:
        raise unknown_column_error(target, table.column_names, "target column")
    column = table.column(target)
    try:
        encoded = encode_as_text(column)
    except TypeError:
        raise TableError(
            f"The target {quote(target)} has the type {column.type}; labels are text, numbers or booleans."
        ) from None
    values, codes = encoded.dictionary.to_pylist(), to_int64(encoded.indices)
    blank = np.array([not value.strip("\0 ").strip() for value in values] + [True])
    if missing == "drop":
        codes = np.where(blank[codes], -1, codes)
    _check_labels_usable(table, target, where, values, codes, blank & (missing != "drop"))
    used = np.unique(codes[codes >= 0])
    if len(used) < len(values):  # a dictionary may hold values that no row has
        new_code = np.full(len(values) + 1, -1, np.int64)
        new_code[used] = np.arange(len(used))
        values, codes = [values[k] for k in used], new_code[codes]
    return values, codes


def _check_labels_usable(
    table: pa.Table,
    target: str,
    where: RowLocation | None,
    values: list[str],
    codes: Codes,
    refused: BoolArray,
) -> None:
    """Raise `TableError` for rows whose value, or null (code -1, the last), is refused, and for text ending in NUL."""
    blank = refused[codes]
    cut = np.array([value.endswith("\0") for value in values] + [False])[codes] & ~blank
    if not (blank | cut).any():
        return
    rows = np.flatnonzero(blank if blank.any() else cut) + 1
    what = "no label"
    way = (
        "Give each row its label, or remove these rows; where the labels are a column of the table to train on, "
        'missing_target="drop" (--missing-target drop) leaves them out.'
    )
    if not blank.any():
        what = f"the label {quote(values[codes[rows[0] - 1]])}, which ends in the character zero (U+0000),"
        way = "Arrays of text drop that character, and labels would be merged: remove it, or these rows."
    if where is not None:
        rows_text = where.row(int(rows[0]) - 1)
    else:
        some = f"{', '.join(f'{row:,}' for row in rows[:6])}{' and more' if len(rows) > 6 else ''}"
        absent = files_without_column(table.schema.field(target)) if blank.any() else []
        lines = f", and no line of {' or '.join(map(repr, absent[:3]))} has one" if absent else ""
        rows_text = f"{pluralize(len(rows), 'row')}{lines}: {some}"
    raise TableError(
        f"The target {quote(target)} has {what} in {rows_text} (counted from 1, without the header). {way}",
        np.flatnonzero(blank | cut),
    )


def class_codes(table: pa.Table, target: str, classes: Sequence[str]) -> Codes:
    """Return the index (n,) of each row's label among `classes`, -1 where the label is no class.

    Labels are looked up as text, and then by the number or boolean that they stand for.

    Parameters
    ----------
    table : pyarrow.Table
        The table.
    target : str
        Its column of labels.
    classes : sequence of str (q,)
        Classes of a model.

    Returns
    -------
    array of int64 (n,)
        Codes.

    Raises
    ------
    TableError
        As `labels`.

    Examples
    --------
    >>> class_codes(pa.table({"y": ["1.0", "2", "7"]}), "y", ["1", "2"])
    array([ 0,  1, -1])
    """
    values, codes = coded_labels(table, target)
    typed = label_type(table.schema.field(target).type) != "text"
    return np.asarray(class_indices(values, classes, typed=typed)[codes])


def class_indices(values: Sequence[str], classes: Sequence[str], *, typed: bool) -> Codes:
    """Return the index of each label (k,) among the classes, -1 for other labels.

    Where no label is a class, 0 and 1 stand for false and true, or the reverse.

    Parameters
    ----------
    values : sequence of str (k,)
        Labels.
    classes : sequence of str (q,)
        Classes.
    typed : bool
        Whether the labels had another type than text.

    Returns
    -------
    array of int64 (k,)
        Indices.

    Examples
    --------
    >>> class_indices(["1", "0"], ["False", "True"], typed=True)
    array([1, 0])
    """
    indices = TextIndex(classes).find(text_array(values), typed=typed)
    return (
        _boolean_indices(values, classes)
        if len(indices) and (indices < 0).all()
        else np.asarray(indices, dtype=np.int64)
    )


def _boolean_indices(values: Sequence[str], classes: Sequence[str]) -> Codes:
    """Return the indices of 0 and 1 among the classes false and true, or the reverse; -1 for other labels."""
    digits = ("0", "1")
    for key_of, spellings, other_of, other_spellings in (
        (boolean_key, BOOLEAN_TEXTS, number_key, digits),
        (number_key, digits, boolean_key, BOOLEAN_TEXTS),
    ):
        keys = [key_of(name, True) for name in classes]
        if sorted(map(str, keys)) == sorted(spellings):
            indices = {other: keys.index(spelling) for spelling, other in zip(spellings, other_spellings, strict=True)}
            return np.array([indices.get(other_of(value, True) or "", -1) for value in values], dtype=np.int64)
    return np.full(len(values), -1, dtype=np.int64)


def check_labels(y: TextArray, target: str, *, single: bool = False) -> None:
    """Raise an error for labels that no classifier can be trained on.

    Parameters
    ----------
    y : array of str (n,)
        Labels.
    target : str
        Column of the labels, for messages.
    single : bool
        Whether classes of a single row are allowed.

    Raises
    ------
    TableError
        If there is one class only; if there are more than 20 classes and more than half as many classes as rows (a
        tenth, where every label is a whole number); or if a class has a single row.

    Examples
    --------
    >>> check_labels(np.array(["no", "no"]), "buys")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    softreg.tables.columns.table_errors.TableError: The target 'buys' has one class only: every row is 'no'. A ...
    """
    classes, counts = np.unique(y, return_counts=True)
    check_class_counts(classes, counts, len(y), target)
    if not single:
        refuse_single_row_classes(classes[counts == 1].tolist(), target)


def check_class_counts(
    classes: TextArray, counts: Int64Array, n: int, target: str, *, categorical: bool = False
) -> None:
    """Raise an error for one class only, and for values that do not look like classes.

    Parameters
    ----------
    classes : array of str (q,)
        Distinct labels.
    counts : array of int64 (q,)
        Rows of each.
    n : int
        Number of rows.
    target : str
        Column of the labels, for messages.
    categorical : bool
        Whether the values are known to be classes, however many they are.

    Raises
    ------
    TableError
        If no classifier can be trained on the labels.
    """
    if len(classes) == 1:
        raise TableError(
            f"The target {quote(target)} has one class only: every row is {quote(classes[0])}. A classifier "
            "needs rows of at least two classes; is it the right column?"
        )
    if categorical or len(classes) <= FEW_LEVELS:
        return
    numeric = all_numbers(classes)
    fractions = numeric and not all(re.fullmatch(WHOLE, label) for label in classes.tolist())
    if not fractions and len(classes) <= n / (10 if numeric else 2):
        return
    likely_kind, advice = "an identifier or free text", "Choose another column, or group its values into classes first."
    if numeric:
        likely_kind = "a number to regress on, a continuous target"
        advice = (
            "softreg predicts classes: cut the number into classes first, at a threshold or at its quantiles (as by "
            "pandas.cut and pandas.qcut), or choose another column."
        )
    raise TableError(
        f"The target {quote(target)} has {len(classes):,} different values in {pluralize(n, 'row')}, "
        f"such as {quote_list(classes[:3])}; it looks like {likely_kind}, not like classes. {advice} If the values are "
        f"classes, say so: --category {quote(target)} (category={quote(target)} in Python)."
    )


def all_numbers(classes: TextArray | Sequence[str]) -> bool:
    """Return True if every label is a number.

    Parameters
    ----------
    classes : sequence of str
        Labels.

    Returns
    -------
    bool
        Whether all are numbers.

    Examples
    --------
    >>> all_numbers(["1", "2.5"]), all_numbers(["1", "two"])
    (True, False)
    """
    return bool(parse_numbers(pa.array([str(label) for label in classes], pa.large_string()))[1].all())


def refuse_single_row_classes(single: Sequence[str], target: str) -> None:
    """Raise `TableError` where there are classes of a single row, which are named."""
    if len(single):
        what = "the class" if len(single) == 1 else f"{len(single):,} classes"
        only = "a single row" if len(single) == 1 else "a single row each"
        raise TableError(
            f"The target {quote(target)} has {only} for {what} {quote_list(single)}; a class needs at least two "
            "rows, one to learn from and one to test on. Add rows, or say what is done with such classes when a model "
            "is trained: --rare keep|pool|drop (rare= in Python)."
        )
