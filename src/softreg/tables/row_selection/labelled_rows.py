"""The class of each row of a table, by rules for rows without a label and for classes of a single row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from softreg.tables.columns.table_errors import TableError, pluralize, quote
from softreg.tables.row_selection.rare_classes import (
    DEFAULT_LABEL_RULES,
    NO_RARE,
    LabelRules,
    RareClasses,
    rare_classes,
)
from softreg.tables.schema.kinds import FEW_LEVELS
from softreg.tables.schema.label_types import label_type
from softreg.tables.schema.target_labels import all_numbers, check_class_counts, class_indices, coded_labels
from softreg.typing import BoolArray, Codes, RowNumbers, TextArray
from softreg.value_text import unify_spellings

UNLABELLED = -2
"""The code of a row without a label, beside -1 for an unknown label."""
SHOWN = 6
"""Most row numbers that a note lists."""


@dataclass(frozen=True, eq=False)
class LabelledRows:
    """The label of each row of a table, and which rows have one to learn from.

    Attributes
    ----------
    y : array of text (n,)
        The class of each row; "" where it is not used.
    used : array of bool (n,)
        Rows that have a class.
    unlabelled : array of int (k,)
        Numbers from 0 of the rows without a label.
    rare : RareClasses
        The classes of a single row.
    target : str
        The column of labels.
    categorical : bool
        Whether the values are known to be classes.
    """

    y: TextArray
    used: BoolArray
    unlabelled: RowNumbers
    rare: RareClasses
    target: str
    categorical: bool = False

    def rows(self, chosen: RowNumbers | None = None) -> Codes | None:
        """Return the numbers of the used rows among those chosen; None if these are all rows of the table."""
        if chosen is None:
            return None if self.used.all() else np.flatnonzero(self.used)
        return chosen[self.used[chosen]]

    def notes(self, numbers: RowNumbers | None = None) -> list[str]:
        """Return what was left out or merged, in sentences; `numbers` (n,) are the rows' numbers in the input."""
        labels = np.unique(self.y[self.used]).tolist()
        many = "" if self.categorical else many_numbers_note(labels, self.target)
        notes = [self.rare.note, similar_labels_note(labels, self.target), many]
        if len(self.unlabelled):
            at = self.unlabelled + 1 if numbers is None else numbers[self.unlabelled]
            notes.insert(0, unlabelled_note(len(at), len(self.y), at.tolist(), self.target))
        return [note for note in notes if note]


def labelled_rows(
    table: pa.Table,
    target: str,
    rules: LabelRules = DEFAULT_LABEL_RULES,
    *,
    categorical: bool = False,
    counted: BoolArray | None = None,
) -> LabelledRows:
    """Return the class of each row of a table, by rules for rows without a label and classes of a single row.

    Parameters
    ----------
    table : pyarrow.Table
        The table.
    target : str
        Its column of labels.
    rules : LabelRules
        What is done with such rows and classes.
    categorical : bool
        Whether the values are known to be classes, however many they are.
    counted : array of bool (n,), optional
        Rows that count, all without it; the others are not used.

    Returns
    -------
    LabelledRows
        The labels, as `softreg.tables.labels` spells them, and the rows that have one.

    Raises
    ------
    TableError
        No such column; rows or classes that the rules refuse; one class only; values that do not look like classes.

    Examples
    --------
    >>> labelled = labelled_rows(pa.table({"y": ["a", "b", "", "a", "b"]}), "y")
    >>> labelled.y.tolist(), labelled.unlabelled.tolist()
    (['a', 'b', '', 'a', 'b'], [2])
    """
    rules.check()
    values, codes = coded_labels(table, target, missing=rules.missing)
    unlabelled = codes < 0
    if counted is not None:
        unlabelled &= counted
        codes = np.where(counted, codes, -1)
    same = unify_spellings(values)
    names = [same.get(value, value) for value in values]
    counts: dict[str, int] = {}
    for name, count in zip(names, np.bincount(codes[codes >= 0], minlength=len(names)).tolist(), strict=True):
        if count:
            counts[name] = counts.get(name, 0) + count
    check_labelled(counts, len(codes), target, categorical=categorical)
    rare = rare_classes(counts, target, rules)
    merged = rare.merged(names)
    y = np.array([*(merged.get(name, "") for name in names), ""], dtype=np.str_)[codes]
    used = np.array([*(name in merged for name in names), False])[codes]
    return LabelledRows(y, used, np.flatnonzero(unlabelled), rare, target, categorical)


def check_labelled(counts: Mapping[str, int], n: int, target: str, *, categorical: bool = False) -> None:
    """Raise `TableError` if no row has a label, or the labels do not look like classes."""
    if n and not counts:
        raise TableError(
            f"The target {quote(target)} has no label in any of the {pluralize(n, 'row')}; is it the right column?"
        )
    known = sorted(counts)
    check_class_counts(
        np.array(known), np.array([counts[label] for label in known]), n, target, categorical=categorical
    )


def unlabelled_note(count: int, n: int, numbers: Sequence[int], target: str, *, option: bool = True) -> str:
    """Return the note on rows that are left out because they have no label; `option` names the one that refuses them.

    Returns
    -------
    str
        The note.

    Examples
    --------
    >>> print(unlabelled_note(1, 9, [4], "y"))
    1 of 9 rows has no label in 'y' and is left out: row 4. --missing-target error refuses such rows \
(missing_target="error" in Python).
    """
    some = ", ".join(f"{number:,}" for number in numbers[:SHOWN])
    more = " and others" if count > SHOWN else ""
    which = f": row{'s' if count > 1 else ''} {some}{more}" if numbers else ""
    have = "has no label" if count == 1 else "have no label"
    refuse = 'refuses such rows (missing_target="error" in Python)'
    return (
        f"{count:,} of {pluralize(n, 'row')} {have} in {quote(target)} and {'is' if count == 1 else 'are'} left out"
        f"{which}.{f' --missing-target error {refuse}.' if option else ''}"
    )


def similar_labels_note(labels: Sequence[str], target: str) -> str:
    """Return a note on labels that differ only in case or blanks, which are different classes; empty without any.

    Returns
    -------
    str
        The note.

    Examples
    --------
    >>> print(similar_labels_note(["no", "yes", "Yes "], "buys"))  # doctest: +ELLIPSIS
    The labels 'Yes ' and 'yes' of 'buys' differ only in case or blanks and are different classes; ...
    """
    folded: dict[str, list[str]] = {}
    for label in sorted(labels):
        folded.setdefault(" ".join(label.casefold().split()), []).append(label)
    several = [names for names in folded.values() if len(names) > 1]
    if not several:
        return ""
    pairs = "; ".join(" and ".join(map(quote, names[:3])) for names in several[:3])
    return (
        f"The labels {pairs} of {quote(target)} differ only in case or blanks and are different classes; if they are "
        "meant to be one, correct them."
    )


def many_numbers_note(labels: Sequence[str], target: str) -> str:
    """Return a note on more than 20 numeric labels, which may be meant as a quantity; empty for others.

    Returns
    -------
    str
        The note.

    Examples
    --------
    >>> print(many_numbers_note([str(k) for k in range(30)], "age"))
    The target 'age' has 30 different numbers, which are taken as classes without an order.
    """
    if len(labels) <= FEW_LEVELS or not all_numbers(labels):
        return ""
    many = f"{len(labels):,} different numbers"
    return f"The target {quote(target)} has {many}, which are taken as classes without an order."


def class_codes_with_rare(
    table: pa.Table, target: str, classes: Sequence[str], rare: RareClasses = NO_RARE, missing: str = "error"
) -> Codes:
    """Return the index (n,) of each row's class, -1 for an unknown label and -2 for none.

    Labels that training merged into one class are of that class; labels that training left out have the code -2.

    Parameters
    ----------
    table : pyarrow.Table
        The table.
    target : str
        Its column of labels.
    classes : sequence of str (q,)
        Classes of the model.
    rare : RareClasses
        Classes of a single row in training.
    missing : {"error", "drop"}
        Whether a row without a label is an error.

    Returns
    -------
    array of int64 (n,)
        Codes.

    Examples
    --------
    >>> table = pa.table({"y": ["a", "c", "z", None]})
    >>> rare = RareClasses(("c",), "pool", "other")
    >>> class_codes_with_rare(table, "y", ["a", "other"], rare, missing="drop").tolist()
    [0, 1, -1, -2]
    """
    others = () if rare.how == "keep" else rare.labels
    values, codes = coded_labels(table, target, missing=missing)
    typed = label_type(table.schema.field(target).type) != "text"
    indices: Any = class_indices(values, [*classes, *others], typed=typed)
    if others:
        pool_index = list(classes).index(rare.pool) if rare.how == "pool" else UNLABELLED
        indices = np.where(indices >= len(classes), pool_index, indices)
    return np.asarray(np.append(indices, UNLABELLED)[codes], dtype=np.int64)
