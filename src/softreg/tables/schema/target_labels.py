"""The labels of a table: read exactly, checked, and split into training and test rows."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from softreg.deprecated import accept_deprecated_arguments
from softreg.spelling import TextIndex, encode_as_text, text_array, unify_spellings
from softreg.tables.columns.arrow_numpy import to_int64
from softreg.tables.columns.column_values import parse_numbers
from softreg.tables.columns.errors import TableError, pluralize, quote, quote_list, unknown_column_error
from softreg.tables.columns.row_location import RowLocation, files_without_column
from softreg.tables.schema.kinds import FEW_LEVELS
from softreg.tables.schema.label_types import label_type
from softreg.typing import BoolArray, Codes, Int64Array, TextArray
from softreg.value_keys import BOOLEAN_TEXTS, boolean_key, number_key

WHOLE = r"\s*[+-]?\d+(\.0*)?\s*"
"""Text of a whole number."""


@accept_deprecated_arguments("labels()")
def labels(table: pa.Table, target: str) -> TextArray:
    """The labels as text, exactly as written: "007" stays "007", "NA" and "None" are labels like others.

    Labels of an Arrow type other than text are spelled by `softreg.spelling`: true and false, 7 (and 7.0 as 7), 0.5,
    2020-01-31. Text of several writers that holds nothing but booleans (True and true) is true and false.

    Raises `TableError`: no such column, a label missing (an empty or blank field, a null, or nan) or ending in the
    character zero, or a type that has no text.

    Example:
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
    """The different labels as text, each once, and which of them each row (n,) has; errors are those of `labels`.

    Of a batch of a file, errors name the first row by `where` it is. With `missing="drop"`, the code of a row without a
    label is -1, and no error.

    Example:
        >>> coded_labels(pa.table({"grade": [1.0, 3.0, 1.0]}), "grade")
        (['1', '3'], array([0, 1, 0]))
    """
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
        place = np.full(len(values) + 1, -1, np.int64)
        place[used] = np.arange(len(used))
        values, codes = [values[k] for k in used], place[codes]
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
        places = where.row(int(rows[0]) - 1)
    else:
        some = f"{', '.join(f'{row:,}' for row in rows[:6])}{' and more' if len(rows) > 6 else ''}"
        absent = files_without_column(table.schema.field(target)) if blank.any() else []
        lines = f", and no line of {' or '.join(map(repr, absent[:3]))} has one" if absent else ""
        places = f"{pluralize(len(rows), 'row')}{lines}: {some}"
    raise TableError(
        f"The target {quote(target)} has {what} in {places} (counted from 1, without the header). {way}",
        np.flatnonzero(blank | cut),
    )


def class_codes(table: pa.Table, target: str, classes: Sequence[str]) -> Codes:
    """The class of each row (n,) of a table: its place among `classes`, -1 where the label is no class.

    Labels are looked up by `softreg.spelling.Known`: as text, and then by the number or boolean that they stand for.
    Errors are those of `labels`.

    Example:
        >>> class_codes(pa.table({"y": ["1.0", "2", "7"]}), "y", ["1", "2"])
        array([ 0,  1, -1])
    """
    values, codes = coded_labels(table, target)
    typed = label_type(table.schema.field(target).type) != "text"
    return np.asarray(class_indices(values, classes, typed=typed)[codes])


def class_indices(values: Sequence[str], classes: Sequence[str], *, typed: bool) -> Codes:
    """The place of each label (k,) among the classes, -1 where it is none; 0 and 1 are false and true, where all are.

    Example:
        >>> class_indices(["1", "0"], ["False", "True"], typed=True)
        array([1, 0])
    """
    found = TextIndex(classes).find(text_array(values), typed=typed)
    return _boolean_indices(values, classes) if len(found) and (found < 0).all() else np.asarray(found, dtype=np.int64)


def _boolean_indices(values: Sequence[str], classes: Sequence[str]) -> Codes:
    """The places of 0 and 1 among the classes false and true, or the other way round; -1 for other labels."""
    digits = ("0", "1")
    for key_of, own, other_of, others in (
        (boolean_key, BOOLEAN_TEXTS, number_key, digits),
        (number_key, digits, boolean_key, BOOLEAN_TEXTS),
    ):
        keys = [key_of(name, True) for name in classes]
        if sorted(map(str, keys)) == sorted(own):
            places = {other: keys.index(one) for one, other in zip(own, others, strict=True)}
            return np.array([places.get(other_of(value, True) or "", -1) for value in values], dtype=np.int64)
    return np.full(len(values), -1, dtype=np.int64)


def check_labels(y: TextArray, target: str, *, single: bool = False) -> None:
    """Refuse labels that no classifier can learn from.

    Raises `TableError`: one class only; more classes than 20 and than half of the rows (a tenth of the rows
    where every label is a number); a class with a single row, unless `single` allows it.

    Example:
        >>> check_labels(np.array(["no", "no"]), "buys")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        softreg.tables.columns.errors.TableError: The target 'buys' has one class only: every row is 'no'. A ...
    """
    classes, counts = np.unique(y, return_counts=True)
    check_class_counts(classes, counts, len(y), target)
    if not single:
        refuse_single_row_classes(classes[counts == 1].tolist(), target)


def check_class_counts(classes: TextArray, counts: Int64Array, n: int, target: str, *, sure: bool = False) -> None:
    """Refuse one class only, and values that do not look like classes, by how often each occurs among n rows.

    Where it is `sure` that the values are classes, their number does not matter. Raises `TableError`.
    """
    if len(classes) == 1:
        raise TableError(
            f"The target {quote(target)} has one class only: every row is {quote(classes[0])}. A classifier "
            "needs rows of at least two classes; is it the right column?"
        )
    if sure or len(classes) <= FEW_LEVELS:
        return
    numeric = all_numbers(classes)
    fractions = numeric and not all(re.fullmatch(WHOLE, label) for label in classes.tolist())
    if not fractions and len(classes) <= n / (10 if numeric else 2):
        return
    kind, way = "an identifier or free text", "Choose another column, or group its values into classes first."
    if numeric:
        kind = "a number to regress on, a continuous target"
        way = (
            "softreg predicts classes: cut the number into classes first, at a threshold or at its quantiles (as by "
            "pandas.cut and pandas.qcut), or choose another column."
        )
    raise TableError(
        f"The target {quote(target)} has {len(classes):,} different values in {pluralize(n, 'row')}, "
        f"such as {quote_list(classes[:3])}; it looks like {kind}, not like classes. {way} If the values are classes, "
        f"say so: --category {quote(target)} (category={quote(target)} in Python)."
    )


def all_numbers(classes: TextArray | Sequence[str]) -> bool:
    """Whether every label is a number.

    Example:
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
