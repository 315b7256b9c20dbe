"""Which rows of a table have a label to learn from: rows without one, and classes of a single row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from softreg.spelling import unify_spellings
from softreg.tables.columns.errors import TableError, listed, plural, shown
from softreg.tables.schema.kinds import SMALL
from softreg.tables.schema.label_types import label_type
from softreg.tables.schema.target_labels import are_numbers, check_counts, coded_labels, label_places, refuse_single

MISSING = ("drop", "error")
"""What may be done with rows without a label."""
RARE = ("keep", "pool", "drop", "error")
"""What may be done with classes of a single row."""
FEWEST = 2
"""Rows that a class needs for one of them to be held out while another is trained on."""
POOL = "other"
"""The label of the class that `rare="pool"` makes, unless another class has it."""
UNLABELLED = -2
"""The code of a row without a label, beside -1 for an unknown label."""
SHOWN = 6
"""Row numbers that a note lists, at most."""


@dataclass(frozen=True)
class LabelRules:
    """What is done with rows without a label, `missing`, and with classes of a single row, `rare`.

    Attributes
    ----------
    missing : {"drop", "error"}
        Rows without a label are left out, or refused.
    rare : {"keep", "pool", "drop", "error"}
        Classes of a single row are kept (their row is trained on and never held out), merged into one class, left out,
        or refused.
    """

    missing: str = "drop"
    rare: str = "keep"

    def check(self) -> None:
        """Raise `TableError` for another word."""
        for name, value, known in (("missing_target", self.missing, MISSING), ("rare", self.rare, RARE)):
            if value not in known:
                raise TableError(f"{name} is {value!r}; expected one of {', '.join(map(repr, known))}.")


STANDARD = LabelRules()
"""Rows without a label are left out, classes of a single row kept."""


@dataclass(frozen=True)
class RareClasses:
    """The classes of a single row, and what is done with them; `pool` is the label of the class that they make."""

    labels: tuple[str, ...] = ()
    how: str = "keep"
    pool: str = ""

    def merged(self, classes: Sequence[str]) -> dict[str, str]:
        """The class of each label, by label; labels that are left out have none.

        Example:
            >>> RareClasses(("b", "c"), "pool", "other").merged(["a", "b", "c"])
            {'a': 'a', 'b': 'other', 'c': 'other'}
        """
        into = {"drop": None, "pool": self.pool}
        every = {label: into.get(self.how, label) if label in self.labels else label for label in classes}
        return {label: own for label, own in every.items() if own is not None}

    @property
    def note(self) -> str:
        """What was done, and the options for something else; empty where there is no such class."""
        if not self.labels:
            return ""
        one = len(self.labels) == 1
        those = f"The class {shown(self.labels[0])} has" if one else f"{len(self.labels):,} classes have"
        row = "a single row" if one else f"a single row each ({listed(self.labels)})"
        done = {
            "keep": "it is trained on and cannot be held out, so that no figure judges the class",
            "drop": "it is left out",
            "pool": f"it is of the class {shown(self.pool)}, which stands for rare classes",
        }[self.how]
        if not one:
            done = done.replace("it is", "these are").replace("the class;", "the classes;")
        others = ", ".join(word for word in RARE if word != self.how)
        return f"{those} {row}; {done}. Other choices: --rare {others.replace(', ', '|')} (rare= in Python)."


NO_RARE = RareClasses()
"""No class of a single row."""


def rare_classes(counts: Mapping[str, int], target: str, rules: LabelRules) -> RareClasses:
    """The classes with fewer than two of the rows, by the number of rows of each label.

    Raises `TableError` for such a class where the rules refuse it, and where fewer than two classes would be left.

    Example:
        >>> rare_classes({"a": 5, "b": 4, "c": 1}, "y", LabelRules(rare="pool"))
        RareClasses(labels=('c',), how='pool', pool='other')
    """
    single = tuple(sorted(label for label, count in counts.items() if count < FEWEST))
    if not single:
        return NO_RARE
    if rules.rare == "error":
        refuse_single(single, target)
    found = RareClasses(single, rules.rare, _pool_name(counts))
    left = dict.fromkeys(found.merged(list(counts)).values())
    if len(left) < 2:
        raise TableError(
            f"The target {shown(target)} has one class only, {listed(left)}, without the classes of a single row "
            f"({listed(single)}). A classifier needs rows of at least two classes; is it the right column?"
        )
    return found


def _pool_name(labels: Mapping[str, int]) -> str:
    """A label for rare classes that no class has, in any case and with any blanks."""
    taken = {label.casefold().strip() for label in labels}
    names = [POOL, f"{POOL} classes", *(f"{POOL} classes ({k})" for k in range(2, len(taken) + 3))]
    return next(name for name in names if name not in taken)


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
    sure : bool
        Whether the values are known to be classes.
    """

    y: NDArray[np.str_]
    used: NDArray[np.bool_]
    unlabelled: NDArray[np.int64]
    rare: RareClasses
    target: str
    sure: bool = False

    def rows(self, chosen: NDArray[np.int64] | None = None) -> NDArray[np.int64] | None:
        """The numbers of the rows that are used, among those chosen; None where these are all rows of the table."""
        if chosen is None:
            return None if self.used.all() else np.flatnonzero(self.used)
        return chosen[self.used[chosen]]

    def notes(self, numbers: NDArray[np.int64] | None = None) -> list[str]:
        """What was left out or merged, in sentences; `numbers` (n,) are those of the rows in the input, from 1."""
        labels = np.unique(self.y[self.used]).tolist()
        many = "" if self.sure else many_numbers(labels, self.target)
        found = [self.rare.note, similar_labels(labels, self.target), many]
        if len(self.unlabelled):
            at = self.unlabelled + 1 if numbers is None else numbers[self.unlabelled]
            found.insert(0, unlabelled_note(len(at), len(self.y), at.tolist(), self.target))
        return [note for note in found if note]


def labelled_rows(
    table: pa.Table,
    target: str,
    rules: LabelRules = STANDARD,
    *,
    sure: bool = False,
    counted: NDArray[np.bool_] | None = None,
) -> LabelledRows:
    """The class of each row of a table, by rules for rows without a label and classes of a single row.

    Parameters
    ----------
    table : pyarrow.Table
        The table.
    target : str
        Its column of labels.
    rules : LabelRules
        What is done with such rows and classes.
    sure : bool
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
    >>> found = labelled_rows(pa.table({"y": ["a", "b", "", "a", "b"]}), "y")
    >>> found.y.tolist(), found.unlabelled.tolist()
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
    check_labelled(counts, len(codes), target, sure=sure)
    rare = rare_classes(counts, target, rules)
    merged = rare.merged(names)
    y = np.array([*(merged.get(name, "") for name in names), ""], dtype=np.str_)[codes]
    used = np.array([*(name in merged for name in names), False])[codes]
    return LabelledRows(y, used, np.flatnonzero(unlabelled), rare, target, sure)


def check_labelled(counts: Mapping[str, int], n: int, target: str, *, sure: bool = False) -> None:
    """Raise `TableError` where no row of n has a label, or the labels, by their counts, are not those of classes."""
    if n and not counts:
        raise TableError(
            f"The target {shown(target)} has no label in any of the {plural(n, 'row')}; is it the right column?"
        )
    known = sorted(counts)
    check_counts(np.array(known), np.array([counts[label] for label in known]), n, target, sure=sure)


def unlabelled_note(count: int, n: int, numbers: Sequence[int], target: str, *, option: bool = True) -> str:
    """The sentence on rows that are left out since they have no label; `option`: whether there is one that refuses.

    Example:
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
        f"{count:,} of {plural(n, 'row')} {have} in {shown(target)} and {'is' if count == 1 else 'are'} left out"
        f"{which}.{f' --missing-target error {refuse}.' if option else ''}"
    )


def similar_labels(labels: Sequence[str], target: str) -> str:
    """A note on labels that differ in nothing but case or blanks, which are different classes; empty without any.

    Example:
        >>> print(similar_labels(["no", "yes", "Yes "], "buys"))
        The labels 'Yes ' and 'yes' of 'buys' differ only in case or blanks and are different classes; if they are \
meant to be one, correct them.
    """
    folded: dict[str, list[str]] = {}
    for label in sorted(labels):
        folded.setdefault(" ".join(label.casefold().split()), []).append(label)
    several = [names for names in folded.values() if len(names) > 1]
    if not several:
        return ""
    pairs = "; ".join(" and ".join(map(shown, names[:3])) for names in several[:3])
    return (
        f"The labels {pairs} of {shown(target)} differ only in case or blanks and are different classes; if they are "
        "meant to be one, correct them."
    )


def many_numbers(labels: Sequence[str], target: str) -> str:
    """A note on labels that are more than 20 numbers, which may be meant as a quantity; empty for others.

    Example:
        >>> print(many_numbers([str(k) for k in range(30)], "age"))
        The target 'age' has 30 different numbers, which are taken as classes without an order.
    """
    if len(labels) <= SMALL or not are_numbers(labels):
        return ""
    many = f"{len(labels):,} different numbers"
    return f"The target {shown(target)} has {many}, which are taken as classes without an order."


def pooled_labels(
    table: pa.Table, target: str, classes: Sequence[str], rare: RareClasses = NO_RARE, missing: str = "error"
) -> NDArray[np.int64]:
    """The class of each row (n,) of a table: its place among `classes`, -1 for an unknown label, -2 for none.

    Labels that were merged into one class when a model was trained, `rare`, are of that class, and those that were left
    out then are like none. Otherwise as `softreg.tables.schema.target_labels.known_labels`.

    Example:
        >>> table = pa.table({"y": ["a", "c", "z", None]})
        >>> pooled_labels(table, "y", ["a", "other"], RareClasses(("c",), "pool", "other"), missing="drop").tolist()
        [0, 1, -1, -2]
    """
    others = () if rare.how == "keep" else rare.labels
    values, codes = coded_labels(table, target, missing=missing)
    typed = label_type(table.schema.field(target).type) != "text"
    found: Any = label_places(values, [*classes, *others], typed=typed)
    if others:
        own = list(classes).index(rare.pool) if rare.how == "pool" else UNLABELLED
        found = np.where(found >= len(classes), own, found)
    return np.asarray(np.append(found, UNLABELLED)[codes], dtype=np.int64)
