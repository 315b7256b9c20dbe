"""What every dialect of SQL writes in its own way: names, literals, conversions and exact arithmetic."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from softreg.export.export_errors import ExportError
from softreg.export.program import Input

BLANKS = (
    "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""White space of Unicode, as `str.isspace` has it."""
LARGEST = 1.7976931348623157e308
"""Largest finite float64."""
_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
ROW = "softreg:row"
"""Alias of the table, unless a column has the name."""


class Dialect(StrEnum):
    """A dialect of SQL.

    Examples
    --------
    >>> Dialect("duckdb") is Dialect.DUCKDB
    True
    """

    DUCKDB = "duckdb"
    POSTGRES = "postgres"
    SQLITE = "sqlite"


@dataclass(frozen=True)
class Vector:
    """Values of a stage.

    Attributes
    ----------
    columns : dict of str to str
        Expression of each column of the stage that holds them.
    references : tuple of str
        How later stages refer to each value.
    """

    columns: dict[str, str]
    references: tuple[str, ...]


class Syntax(Protocol):
    """A dialect. An expression is text that may stand as an operand or an argument.

    Numbers of inputs are NULL where they are missing, and infinite where they are invalid.

    Attributes
    ----------
    title : str
        Name of the system.
    infinity : str
        The infinite number.
    folds_case : bool
        Whether names that differ only in the case of ASCII letters are the same.
    """

    title: str
    infinity: str
    folds_case: bool
    notes: tuple[str, ...]
    """Sentences for the head of the statement."""

    def number(self, value: float) -> str:
        """Return a finite number as a literal of double precision."""

    def exact(self, value: float) -> str:
        """Return a number for comparisons: `number` may be off by one unit in the last place."""

    def text(self, value: str) -> str:
        """Return text as a literal."""

    def clipped(self, name: str) -> str:
        """Return a name as the system keeps it."""

    def as_text(self, raw: str) -> str:
        """Return a column as text."""

    def as_word(self, raw: str) -> str:
        """Return a column as text for `place`."""

    def place(self, word: str, places: Mapping[str, int]) -> str:
        """Return the place of a word, compared byte by byte; NULL for other words."""

    def is_one_of(self, text: str, words: Sequence[str]) -> str:
        """Return the condition that a text is one of some words, compared byte by byte."""

    def trimmed(self, text: str) -> str:
        """Return text without blanks at its ends."""

    def lower(self, text: str) -> str:
        """Return text with the letters A to Z in lower case; others may be so, too."""

    def as_number(self, raw: str, read: Input) -> str:
        """Return a column as a number; NULL where it is missing or nan, infinite where it is none."""

    def as_code(self, raw: str) -> str:
        """Return a column as a number that is a level; NULL where it is missing or nan, infinite where it is none."""

    def is_number_type(self, raw: str) -> str:
        """Return the condition that the value of a column is of a type of numbers."""

    def whole_text(self, number: str) -> str:
        """Return a whole number below 2**53 as text."""

    def as_seconds(self, raw: str, read: Input) -> str:
        """Return a column of times in seconds since 1970, infinite where it is no time."""

    def as_vector(self, read: Input, raw: str) -> str:
        """Return a column as an array of numbers; raise `ExportError` where there are none."""

    def is_vector(self, value: str, length: int) -> str:
        """Return the condition that an array, if there is one, has `length` finite numbers."""

    def as_tags(self, read: Input, raw: str) -> str:
        """Return a column of tags, NULL where it is missing or invalid."""

    def is_tags(self, value: str, raw: str) -> str:
        """Return the condition that a column of tags is valid; `raw` is NULL where the column is."""

    def tag_features(self, value: str, tags: Mapping[str, int], other: int) -> list[str] | None:
        """Return the features of tags, ordered by place; None where the dialect uses `tag_codes`."""

    def tag_codes(self, value: str, tags: Mapping[str, int], other: int) -> str:
        """Return the places of the tags of a row, for `tag_sum`."""

    def tag_sum(self, codes: str, weights: Sequence[float]) -> str:
        """Return the sum of the weights of the places."""

    def scaled(self, x: str, center: float, scale: float, *, bounded: bool, limit: float) -> str:
        """Return `(x - center) / scale`, which may be NULL beyond `limit` unless x is bounded."""

    def bounded(self, x: str, limit: float) -> str:
        """Return x, which may be NULL beyond the limit."""

    def exponential(self, x: str) -> str:
        """Return exp x for x <= 0, 0 where it is smaller than any float64."""

    def quotient(self, a: str, b: str) -> str:
        """Return a / b for 0 <= a <= b."""

    def product(self, p: str, factor: float) -> str:
        """Return a probability times a positive constant."""

    def half(self, p: str) -> str:
        """Return half of a positive number."""

    def extreme(self, values: Sequence[str], *, greatest: bool) -> str:
        """Return the greatest or the least of numbers."""

    def lookup(self, code: str, weights: Sequence[float]) -> str:
        """Return the weight of a place, 0 for -1."""

    def is_zero_weight(self, weight: float) -> bool:
        """Return whether a weight is written as 0."""

    def pack(self, name: str, values: Sequence[str]) -> Vector:
        """Return numbers as columns of a stage."""

    def label(self, value: str | int | float | bool) -> str:
        """Return a class label as a literal."""


def exponent_form(value: float) -> str:
    """Return the shortest text of a finite number, with an exponent.

    Parameters
    ----------
    value : float
        A finite number.

    Returns
    -------
    str
        Text.

    Examples
    --------
    >>> exponent_form(0.5), exponent_form(-1e-300), exponent_form(3)
    ('0.5e0', '-1e-300', '3.0e0')
    """
    text = repr(float(value))
    return text if "e" in text else f"{text}e0"


def signed(literal: str) -> str:
    """Return a literal, in parentheses if it is negative.

    Parameters
    ----------
    literal : str
        Number.

    Returns
    -------
    str
        Operand.

    Examples
    --------
    >>> signed("-1e0")
    '(-1e0)'
    """
    return f"({literal})" if literal.startswith("-") else literal


def checked_text(value: str, what: str) -> str:
    """Return text that can be a name or a label of a statement.

    Parameters
    ----------
    value : str
        Text.
    what : str
        What it is, for the message.

    Returns
    -------
    str
        The same text.

    Raises
    ------
    ExportError
        If it has a zero character or is no valid Unicode.

    Examples
    --------
    >>> checked_text("a", "column")
    'a'
    """
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ExportError(f"The {what} {value!r} is no valid Unicode, so SQL cannot name it; rename it.") from None
    if "\0" in value:
        raise ExportError(f"The {what} {value!r} has a zero character, which SQL cannot hold; rename it.")
    return value


def folded(name: str) -> str:
    """Return a name with the letters A to Z in lower case.

    Parameters
    ----------
    name : str
        Name.

    Returns
    -------
    str
        Name by which systems compare.

    Examples
    --------
    >>> folded("Größe Ä")
    'größe Ä'
    """
    return name.translate(_LOWER)


def identifier(name: str, what: str = "column") -> str:
    """Return a name in double quotes.

    Parameters
    ----------
    name : str
        Name.
    what : str, default="column"
        What it is, for messages.

    Returns
    -------
    str
        Identifier.

    Raises
    ------
    ExportError
        If it is empty, has a zero character or is no valid Unicode.

    Examples
    --------
    >>> identifier('a"b')
    '"a""b"'
    """
    if not name:
        raise ExportError(f"A {what} has an empty name, which SQL cannot hold; rename it.")
    doubled = checked_text(name, what).replace('"', '""')
    return f'"{doubled}"'


def single_kind(labels: Sequence[object]) -> type | None:
    """Return the type of all labels, None where they have several or an integer exceeds 64 bits.

    Parameters
    ----------
    labels : sequence of label
        Class labels.

    Returns
    -------
    type or None
        Type.

    Examples
    --------
    >>> single_kind([1, 2]), single_kind([1, True])
    (<class 'int'>, None)
    """
    kinds = {type(label) for label in labels}
    kind = kinds.pop() if len(kinds) == 1 else None
    if kind is int and any(abs(label) >= LARGEST_INTEGER for label in labels if isinstance(label, int)):
        return None
    if kind is float and not all(math.isfinite(label) for label in labels if isinstance(label, float)):
        return None
    return kind


LARGEST_INTEGER = 2**63
"""Integers of SQL are smaller."""
