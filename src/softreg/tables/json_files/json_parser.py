"""Parser of one JSON object in a line, with reasons for lines that a table cannot hold."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NoReturn

from softreg.tables.columns.table_errors import quote
from softreg.tables.json_files.json_column_types import MAX_DEPTH

_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"?')
"""A JSON string. The pattern matches from every quote, so one pass over a line is enough."""
_BRACKET = re.compile(r"[\[{]|[\]}]")


class UndecodableLine(ValueError):
    """Error of a line that is not in the encoding of the file."""


def parse_flat_object(line: str | bytes) -> dict[str, Any] | None:
    r"""Return the object in a line with as many colons as keys and no escape "\\u"; None for any other line.

    Each member has one colon, so such an object contains no other object and repeats no key.

    Returns
    -------
    dict or None
    """
    if isinstance(line, bytes):
        return None
    try:
        value, end = _SCAN(line, 0)
    except (StopIteration, ValueError, RecursionError):
        return None
    if end == len(line) and type(value) is dict and line.count(":") == len(value) and line.count("[") < MAX_DEPTH:
        return value
    return None


def parse_object(line: str | bytes) -> dict[str, Any]:
    """Return the object in a line.

    Returns
    -------
    dict

    Raises
    ------
    ValueError
        If the line is not an object that a table can hold; the message is the reason.
    UndecodableLine
        If the line is not UTF-8.
    json.JSONDecodeError
        If another object follows.
    """
    if isinstance(line, bytes):
        try:
            line = line.decode()
        except UnicodeDecodeError as error:
            raise UndecodableLine(f"it is not UTF-8: byte 0x{line[error.start]:02x}") from None
    if line.count("[") + line.count("{") > MAX_DEPTH:
        _check_depth(line)
    if line[0] == "{":
        value, end = _DECODER.raw_decode(line)
        if end < len(line) and not line[end:].isspace():
            raise json.JSONDecodeError("more than one object", line, end)
    else:
        value = _DECODER.decode(line)
    if type(value) is not dict:
        raise ValueError("it is not an object")
    if "\\u" in line:
        _check_text(value)
    return value


def _check_depth(line: str) -> None:
    """Raise `ValueError` for lists and objects nested too deep for a recursive parser."""
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub("", line)):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_DEPTH:
            raise ValueError(f"lists and objects more than {MAX_DEPTH} deep")


def _check_text(value: object) -> None:
    """Raise `ValueError` for text that UTF-8 cannot encode, or that contains the character zero."""
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError("the character U+0000, which is not allowed in text")
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"the lone surrogate U+{ord(value[error.start]):04X}") from None
    elif isinstance(value, dict):
        for key, inner in value.items():
            _check_text(key)
            _check_text(inner)
    elif isinstance(value, list):
        for inner in value:
            _check_text(inner)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; raise `ValueError` if a key occurs twice."""
    members = dict(pairs)
    if len(members) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {quote(next(key for key in keys if keys.count(key) > 1))} occurs twice")
    return members


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique_keys, parse_constant=_refuse_constant)
_SCAN: Callable[[str, int], tuple[Any, int]] = vars(json.JSONDecoder(parse_constant=_refuse_constant))["scan_once"]
