"""What one column is taken for, and why: the rules, learned on the training rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from softreg.models.serialization import fields
from softreg.tables.columns.errors import Names, TableError, column_names
from softreg.tables.formats.column_formats import ColumnFormat

FEW_LEVELS = 20  # a text column with at most this many levels is a category, however few rows there are
MAX_LEVELS = 1000  # with more levels than this, a level must have REPEATED rows on average to make a category
MIN_ROWS_PER_LEVEL = 5
BOOLEAN_WORDS = (("false", "true"), ("no", "yes"), ("f", "t"), ("n", "y"))


class Kind(StrEnum):
    """What a column is taken for.

    Example:
        >>> Kind("number") is Kind.NUMBER
        True
    """

    NUMBER = "number"
    BOOLEAN = "boolean"
    CATEGORY = "category"
    CONSTANT = "constant"
    IDENTIFIER = "identifier"
    INDEX = "index"
    TEXT = "text"
    DATE = "date"
    TAGS = "tags"
    VECTOR = "vector"
    DROPPED = "dropped"
    TARGET = "target"


FEATURE_KINDS = (Kind.NUMBER, Kind.BOOLEAN, Kind.CATEGORY, Kind.DATE, Kind.TEXT, Kind.TAGS, Kind.VECTOR)
USER_KINDS = (Kind.NUMBER, Kind.CATEGORY, Kind.DATE, Kind.TEXT)  # what the user may say that a column is


def requested_kinds(names: Mapping[str, Names]) -> dict[str, Kind]:
    """The kind that each column is to be taken for, by name, from the names of columns by kind.

    Raises `TableError` for a column that is named for two kinds.

    Example:
        >>> requested_kinds({"text": ["message"], "category": "zip"})
        {'zip': <Kind.CATEGORY: 'category'>, 'message': <Kind.TEXT: 'text'>}
    """
    asked: dict[str, Kind] = {}
    for kind in USER_KINDS:
        for name in column_names(names.get(kind.value)):
            if asked.setdefault(name, kind) is not kind:
                raise TableError(f"Column {name!r} is asked for as a {asked[name].value} and as a {kind.value}.")
    return asked


MONTH_FIRST = ("month first",)


@dataclass(frozen=True)
class Column:
    """A column, the kind that it is taken for, and the reason in a few words.

    `levels` are the values of a category seen in training, sorted, if they are at most 1,000; the words for false and
    true of a boolean; whether 3/4/2020 is in March, for dates; `missing` counts the training rows without a value;
    `hint` is advice for the owner, "" for none; `notes` are sentences, each on one choice made in judging the column
    and the option that changes it; `format` says how text of numbers or dates is read.

    Example:
        >>> Column("age", Kind.NUMBER, "18 to 95").kind.value
        'number'
    """

    name: str
    kind: Kind
    reason: str
    levels: tuple[str, ...] = ()
    missing: int = 0
    hint: str = ""
    notes: tuple[str, ...] = ()
    format: ColumnFormat | None = None

    def to_state(self) -> dict[str, Any]:
        """The column as strict JSON; `from_state` gives it back."""
        return {
            "name": self.name,
            "kind": self.kind.value,
            "reason": self.reason,
            "levels": list(self.levels),
            "missing": self.missing,
            "hint": self.hint,
            "notes": list(self.notes),
            "format": None if self.format is None else self.format.to_state(),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Column:
        """The column that `to_state` wrote."""
        name, kind, reason, hint = (fields.text(state, key) for key in ("name", "kind", "reason", "hint"))
        levels, notes = fields.texts(state, "levels"), fields.texts(state, "notes", ())
        form = ColumnFormat.from_state(fields.mapping(state, "format")) if state.get("format") is not None else None
        return cls(name, Kind(kind), reason, levels, fields.count(state, "missing"), hint, notes, form)
