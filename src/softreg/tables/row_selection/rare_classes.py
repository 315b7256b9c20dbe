"""Rules for rows without a label and for classes of a single row: kept, left out, or merged into one class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from softreg.tables.columns.table_errors import TableError, quote, quote_list
from softreg.tables.schema.target_labels import refuse_single_row_classes

MISSING = ("drop", "error")
"""What may be done with rows without a label."""

RARE = ("keep", "pool", "drop", "error")
"""What may be done with classes of a single row."""

MIN_CLASS_ROWS = 2
"""Rows that a class needs for one of them to be held out while another is trained on."""

POOL_LABEL = "other"
"""The label of the class that `rare="pool"` makes, unless another class has it."""


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
        """Raise `TableError` for any other value."""
        for name, value, known in (("missing_target", self.missing, MISSING), ("rare", self.rare, RARE)):
            if value not in known:
                raise TableError(f"{name} is {value!r}; expected one of {', '.join(map(repr, known))}.")


DEFAULT_LABEL_RULES = LabelRules()
"""Rows without a label are left out, classes of a single row kept."""


@dataclass(frozen=True)
class RareClasses:
    """Classes of a single row, and what is done with them.

    Attributes
    ----------
    labels : tuple of str
        The classes.
    how : {"keep", "drop", "pool", "error"}
        What is done with their rows.
    pool : str
        Label of the class into which they are merged.
    """

    labels: tuple[str, ...] = ()
    how: str = "keep"
    pool: str = ""

    def merged(self, classes: Sequence[str]) -> dict[str, str]:
        """Return the class of each label; labels that are left out have none.

        Returns
        -------
        dict of str to str
            Class by label.

        Examples
        --------
        >>> RareClasses(("b", "c"), "pool", "other").merged(["a", "b", "c"])
        {'a': 'a', 'b': 'other', 'c': 'other'}
        """
        into = {"drop": None, "pool": self.pool}
        class_of = {label: into.get(self.how, label) if label in self.labels else label for label in classes}
        return {label: merged_label for label, merged_label in class_of.items() if merged_label is not None}

    @property
    def note(self) -> str:
        """What was done with such classes, and the options for something else; empty without any."""
        if not self.labels:
            return ""
        one = len(self.labels) == 1
        those = f"The class {quote(self.labels[0])} has" if one else f"{len(self.labels):,} classes have"
        row = "a single row" if one else f"a single row each ({quote_list(self.labels)})"
        done = {
            "keep": "it is trained on and cannot be held out, so that the class is not evaluated",
            "drop": "it is left out",
            "pool": f"it is of the class {quote(self.pool)}, which stands for rare classes",
        }[self.how]
        if not one:
            done = done.replace("it is", "these are").replace("the class;", "the classes;")
        others = ", ".join(word for word in RARE if word != self.how)
        return f"{those} {row}; {done}. Other choices: --rare {others.replace(', ', '|')} (rare= in Python)."


NO_RARE = RareClasses()
"""No class of a single row."""


def rare_classes(counts: Mapping[str, int], target: str, rules: LabelRules) -> RareClasses:
    """Return the classes with fewer than two rows, by the number of rows of each label.

    Parameters
    ----------
    counts : mapping of str to int
        Rows by label.
    target : str
        Column of labels, for messages.
    rules : LabelRules
        What is done with such classes.

    Returns
    -------
    RareClasses
        The classes.

    Raises
    ------
    TableError
        If the rules refuse such a class, or fewer than two classes would be left.

    Examples
    --------
    >>> rare_classes({"a": 5, "b": 4, "c": 1}, "y", LabelRules(rare="pool"))
    RareClasses(labels=('c',), how='pool', pool='other')
    """
    single = tuple(sorted(label for label, count in counts.items() if count < MIN_CLASS_ROWS))
    if not single:
        return NO_RARE
    if rules.rare == "error":
        refuse_single_row_classes(single, target)
    rare = RareClasses(single, rules.rare, _pool_name(counts))
    remaining = dict.fromkeys(rare.merged(list(counts)).values())
    if len(remaining) < 2:
        raise TableError(
            f"The target {quote(target)} has one class only, {quote_list(remaining)}, without the classes of a single "
            f"row ({quote_list(single)}). A classifier needs rows of at least two classes; is it the right column?"
        )
    return rare


def _pool_name(labels: Mapping[str, int]) -> str:
    """Return a label for rare classes that no class has, in any case and with any blanks."""
    taken = {label.casefold().strip() for label in labels}
    names = [POOL_LABEL, f"{POOL_LABEL} classes", *(f"{POOL_LABEL} classes ({k})" for k in range(2, len(taken) + 3))]
    return next(name for name in names if name not in taken)
