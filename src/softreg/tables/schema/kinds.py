"""Kinds of columns, the record of a column with its inferred kind, and the kinds that a user may request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from softreg.models.serialization import fields
from softreg.tables.columns.table_errors import Names, TableError, column_names
from softreg.tables.formats.column_formats import ColumnFormat
from softreg.tables.images.image_form import ImageForm

FEW_LEVELS = 20
"""Levels up to which a column of text is a category, however few rows it has."""
MAX_LEVELS = 1000
"""Levels above which a category needs `MIN_ROWS_PER_LEVEL` rows a level."""
MIN_ROWS_PER_LEVEL = 5
"""Mean number of rows a level that a category of more than `MAX_LEVELS` levels needs."""
BOOLEAN_WORDS = (("false", "true"), ("no", "yes"), ("f", "t"), ("n", "y"))
"""Words for false and true of boolean columns, in lower case."""


class Kind(StrEnum):
    """Kind of a column.

    Examples
    --------
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
"""Kinds that are features of the model."""
USER_KINDS = (Kind.NUMBER, Kind.CATEGORY, Kind.DATE, Kind.TEXT)
"""Kinds that a user may request for a column."""


def requested_kinds(names: Mapping[str, Names]) -> dict[str, Kind]:
    """Return the requested kind of each column, from the names of the columns by kind.

    Parameters
    ----------
    names : mapping of str to names
        Names of the columns of each kind in `USER_KINDS`.

    Returns
    -------
    dict of str to Kind
        Kind by column.

    Raises
    ------
    TableError
        If a column is requested as two kinds.

    Examples
    --------
    >>> requested_kinds({"text": ["message"], "category": "zip"})
    {'zip': <Kind.CATEGORY: 'category'>, 'message': <Kind.TEXT: 'text'>}
    """
    kinds: dict[str, Kind] = {}
    for kind in USER_KINDS:
        for name in column_names(names.get(kind.value)):
            if kinds.setdefault(name, kind) is not kind:
                raise TableError(f"Column {name!r} is asked for as a {kinds[name].value} and as a {kind.value}.")
    return kinds


MONTH_FIRST = ("month first",)
"""`Column.levels` of dates such as 3/4/2020 whose month is written first."""


@dataclass(frozen=True)
class Column:
    """A column with its inferred kind and the reason in a few words.

    Attributes
    ----------
    name : str
        Name of the column.
    kind : Kind
        Inferred or requested kind.
    reason : str
        Why it has this kind.
    levels : tuple of str
        Levels of a category in training, sorted, if they are at most 1,000; the words for false and true of a boolean;
        `MONTH_FIRST` for dates whose month is written first.
    missing : int
        Number of training rows without a value.
    hint : str
        Advice for the owner of the table; empty for none.
    notes : tuple of str
        Sentences, each on one choice of the inference and the option that changes it.
    format : ColumnFormat or None
        How text of numbers or dates is read.
    image : ImageForm or None
        Size and colour, if the column holds images.

    Examples
    --------
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
    image: ImageForm | None = None

    def to_state(self) -> dict[str, Any]:
        """Return the column as a JSON-serializable dict; `from_state` reads it."""
        return {
            "name": self.name,
            "kind": self.kind.value,
            "reason": self.reason,
            "levels": list(self.levels),
            "missing": self.missing,
            "hint": self.hint,
            "notes": list(self.notes),
            "format": None if self.format is None else self.format.to_state(),
            **({} if self.image is None else {"image": self.image.to_state()}),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Column:
        """Return the column that `to_state` wrote."""
        name, kind, reason, hint = (fields.text(state, key) for key in ("name", "kind", "reason", "hint"))
        levels, notes = fields.texts(state, "levels"), fields.texts(state, "notes", ())
        column_format = (
            ColumnFormat.from_state(fields.mapping(state, "format")) if state.get("format") is not None else None
        )
        image = ImageForm.from_state(fields.mapping(state, "image")) if state.get("image") is not None else None
        return cls(name, Kind(kind), reason, levels, fields.count(state, "missing"), hint, notes, column_format, image)
