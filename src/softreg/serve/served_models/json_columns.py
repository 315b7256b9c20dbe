"""Which values of JSON each column of a model accepts, as a check and as a JSON schema.

Both are made from one record, so that the document of the service describes what it does.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from softreg.serve.requests.request_errors import InvalidContent, RequestError, shown
from softreg.tables.columns.table_errors import quote
from softreg.tables.encode.boolean_encoder import BooleanEncoder
from softreg.tables.encode.category_encoder import CategoryEncoder
from softreg.tables.encode.column_encoder import ColumnEncoder
from softreg.tables.encode.date_encoder import DateEncoder
from softreg.tables.encode.list_column_encoders import TagsEncoder, VectorEncoder
from softreg.tables.encode.number_encoder import NumberEncoder
from softreg.value_text import TextIndex

MAX_EXAMPLES = 10
"""Levels of a category that the schema lists as examples."""
LARGEST_NUMBER = 1e100
"""Largest absolute value of numbers that are not limited to the range of training, so that no logit overflows."""
BOUNDED_NUMBER = {"type": "number", "minimum": -LARGEST_NUMBER, "maximum": LARGEST_NUMBER}
_NOT_BLANK = re.compile(r".*\S.*", re.DOTALL)
TRUE_AND_FALSE = {"true", "false"}


@dataclass(frozen=True)
class JsonColumn:
    """The values of JSON that a column accepts, null aside.

    Attributes
    ----------
    name : str
        Column.
    types : frozenset of type
        Types of Python to which accepted values are parsed.
    expected : str
        What is accepted, in words.
    schema : dict
        JSON schema of a cell, null included.
    pattern : re.Pattern or None
        Form of accepted text.
    length : int or None
        Length of accepted lists.
    items : frozenset of type
        Types of the items of accepted lists.
    """

    name: str
    types: frozenset[type]
    expected: str
    schema: dict[str, Any]
    pattern: re.Pattern[str] | None = None
    length: int | None = None
    items: frozenset[type] = frozenset()
    accepted: frozenset[type] = field(init=False)
    """The types and that of null."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "accepted", self.types | {type(None)})

    def check(self, values: Sequence[Any]) -> None:
        """Check the cells of rows; raise `RequestError` for the first one of another type."""
        if not set(map(type, values)) <= self.accepted:
            row = next(i for i, value in enumerate(values) if type(value) not in self.accepted)
            raise self._error(row, values[row])
        if self.pattern is not None or list in self.types:
            for row, value in enumerate(values):
                if type(value) is str and self.pattern is not None and not self.pattern.fullmatch(value):
                    raise self._error(row, value)
                if type(value) is list:
                    self._check_list(row, value)

    def _check_list(self, row: int, value: list[Any]) -> None:
        wrong = [item for item in value if type(item) not in self.items or is_too_large(item)]
        if wrong:
            what = f"a list with {shown(wrong[0])}"
            raise InvalidContent(f"Column {quote(self.name)} has {what} in row {row + 1:,}; expected {self.expected}.")
        if self.length is not None and len(value) != self.length:
            what = f"a list of {len(value):,} numbers"
            raise InvalidContent(f"Column {quote(self.name)} has {what} in row {row + 1:,}; expected {self.expected}.")

    def _error(self, row: int, value: Any) -> RequestError:
        advice = ""
        if isinstance(value, str) and float in self.types:
            advice = " without quotes"
        elif type(value) in (int, float) and str in self.types:
            advice = ", in quotes"
        return InvalidContent(
            f"Column {quote(self.name)} has {shown(value)} in row {row + 1:,}; expected {self.expected}{advice}, or "
            "null for a missing value."
        )


def is_too_large(value: Any) -> bool:
    """Return True for a number whose absolute value is above `LARGEST_NUMBER`."""
    return not isinstance(value, str) and not -LARGEST_NUMBER <= value <= LARGEST_NUMBER


def json_column(encoder: ColumnEncoder, has_format: bool, description: str) -> JsonColumn:
    """Return what a column accepts.

    Parameters
    ----------
    encoder : ColumnEncoder
        Fitted encoder of the column.
    has_format : bool
        Whether training had text of numbers in a format, such as "$1,200".
    description : str
        Kind and range of the column in words, for the schema.

    Returns
    -------
    JsonColumn
        Types and schema.

    Examples
    --------
    >>> json_column(NumberEncoder("age", 40.0, 9.0, False), False, "18 to 95").schema["type"]
    ['number', 'null']
    """
    name = encoder.name
    text: dict[str, Any] = {"description": description}
    if isinstance(encoder, NumberEncoder):
        return _number(encoder, has_format, text)
    if isinstance(encoder, BooleanEncoder):
        return _boolean(encoder, text)
    if isinstance(encoder, CategoryEncoder):
        return _category(encoder, text)
    if isinstance(encoder, DateEncoder):
        forms = [{"type": "string", "format": form} for form in ("date", "date-time")]
        schema = {**text, "anyOf": [*forms, {"type": "null"}]}
        expected = 'a date such as "2020-01-31" or "2020-01-31 18:30"'
        return JsonColumn(name, frozenset({str}), expected, schema, pattern=_NOT_BLANK)
    if isinstance(encoder, TagsEncoder):
        schema = {**text, "type": ["array", "null"], "items": {"type": "string"}}
        examples = [list(encoder.levels[:2])] if encoder.levels else []
        schema = {**schema, "examples": examples}
        return JsonColumn(name, frozenset({list}), "a list of words", schema, items=frozenset({str}))
    if isinstance(encoder, VectorEncoder):
        d = len(encoder.means)
        schema = {**text, "type": ["array", "null"], "items": BOUNDED_NUMBER, "minItems": d, "maxItems": d}
        numbers = frozenset({int, float})
        expected = f"a list of {d:,} numbers"
        return JsonColumn(name, frozenset({list}), expected, schema, length=d, items=numbers)
    return JsonColumn(name, frozenset({str}), "text", {**text, "type": ["string", "null"]})


def _number(encoder: NumberEncoder, has_format: bool, text: dict[str, Any]) -> JsonColumn:
    """Return the types of a column of numbers; booleans too if training had 0 and 1 at its ends."""
    types: set[type] = {int, float}
    names = ["number"]
    if encoder.span == (0.0, 1.0):
        types.add(bool)
        names.append("boolean")
    expected = "a number"
    if has_format:
        types.add(str)
        names.append("string")
        expected = "a number, or text in the format of training"
    schema: dict[str, Any] = {**text, "type": [*names, "null"]}
    if encoder.span:
        schema["examples"] = [float(f"{(encoder.span[0] + encoder.span[1]) / 2:.3g}")]
    return JsonColumn(encoder.name, frozenset(types), expected, schema)


def _boolean(encoder: BooleanEncoder, text: dict[str, Any]) -> JsonColumn:
    """Return the types of a column of booleans: true and false, and the words of training in any case."""
    words = sorted({*encoder.words, *TRUE_AND_FALSE})
    pattern = "^(" + "|".join("".join(_either_case(letter) for letter in word) for word in words) + ")$"
    choices: list[dict[str, Any]] = [{"type": "boolean"}, {"type": "string", "pattern": pattern}, {"type": "null"}]
    types: set[type] = {bool, str}
    expected = "true or false"
    if encoder.words[1] != "true":
        expected += f" (or {encoder.words[1]!r} or {encoder.words[0]!r})"
    schema = {**text, "anyOf": choices}
    compiled = re.compile(pattern.removeprefix("^").removesuffix("$"))
    return JsonColumn(encoder.name, frozenset(types), expected, schema, pattern=compiled)


def _either_case(letter: str) -> str:
    """Return the pattern of a letter in lower or upper case."""
    cases = sorted({letter.lower(), letter.upper()})
    return f"[{''.join(cases)}]" if all(len(case) == 1 and case.isalpha() for case in cases) else re.escape(letter)


def _category(encoder: CategoryEncoder, text: dict[str, Any]) -> JsonColumn:
    """Return the types of a category: text, and numbers or booleans where all levels are such."""
    types: set[type] = {str}
    names, expected = ["string"], "text"
    if encoder.levels and TextIndex(encoder.levels).numeric:
        types |= {int, float}
        names.append("number")
        expected = "text or a number"
    elif encoder.levels and {level.lower() for level in encoder.levels} <= TRUE_AND_FALSE:
        types.add(bool)
        names.append("boolean")
        expected = "text, true or false"
    schema = {**text, "type": [*names, "null"], "examples": list(encoder.levels[:MAX_EXAMPLES])}
    return JsonColumn(encoder.name, frozenset(types), expected, schema)
