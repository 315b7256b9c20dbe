"""Strict JSON of request bodies: no NaN, no infinite or rounded-to-infinite number, no key twice, valid UTF-8."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec

from softreg.serve.requests.request_errors import InvalidContent, RequestError, shown

_DECODER = msgspec.json.Decoder()
_DEEP = "The body is nested too deeply; rows are objects of plain values."


class _Repeated:
    """Marker of a key that an object has twice."""

    def __init__(self, key: str) -> None:
        self.key = key


def parse_json(body: bytes) -> Any:
    """Parse a request body as strict JSON.

    Keys that an object has twice are found by counting: every pair has one colon, and colons inside of strings only add
    to the count, so that an equal number proves that no pair was lost. Only for other bodies each pair is looked at.

    Parameters
    ----------
    body : bytes
        The body.

    Returns
    -------
    object
        Value of JSON.

    Raises
    ------
    RequestError
        With status 422, for anything that is not strict JSON; the row is named where there is one.

    Examples
    --------
    >>> parse_json(b'{"rows": [{"age": 31}]}')
    {'rows': [{'age': 31}]}
    """  # noqa: DOC501
    try:
        value = _DECODER.decode(body)
        repeated = _find(_with_markers(body), _is_repeated) if body.count(b":") != _count_pairs(value) else None
    except RecursionError:
        raise InvalidContent(_DEEP) from None
    except (msgspec.MsgspecError, ValueError) as error:
        raise _described(body, error) from None
    if repeated is not None:
        place, marker = repeated
        raise InvalidContent(f"{place} has the key {shown(marker.key)} twice; write it once.")
    return value


def _count_pairs(value: Any) -> int:
    """Return the number of pairs of all objects in a value."""
    if isinstance(value, dict):
        return len(value) + sum(_count_pairs(item) for item in value.values() if isinstance(item, dict | list))
    if isinstance(value, list):
        return sum(_count_pairs(item) for item in value if isinstance(item, dict | list))
    return 0


def _described(body: bytes, error: Exception) -> RequestError:
    """Return the error of a body that msgspec cannot parse, with the row of a number that is not finite."""
    if not body.strip():
        return InvalidContent('The body is empty; send JSON such as {"rows": [{...}]}.')
    if body.startswith(b"\xef\xbb\xbf"):
        return InvalidContent(
            "The body begins with a byte order mark, which JSON does not allow; send UTF-8 without it."
        )
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as bad:
        return InvalidContent(f"The body is not UTF-8: byte {bad.start} is invalid; encode the text as UTF-8.")
    try:
        found = _find(_with_markers(body), _is_not_finite)
        halves = _find(_with_markers(body), _has_half_character)
    except RecursionError:
        return InvalidContent(_DEEP)
    except json.JSONDecodeError as bad:
        return InvalidContent(f"The body is not JSON: {bad.msg} (line {bad.lineno}, column {bad.colno}).")
    except ValueError:  # an integer of more digits than Python converts
        return InvalidContent("The body has a number of too many digits; write it as a float, or as text.")
    if found is not None:
        return InvalidContent(
            f"{found[0]} is {found[1]}, which is not a finite number; write null for a missing value."
        )
    if halves is not None:
        return InvalidContent(f"{halves[0]} has half of a character (a lone surrogate); send whole characters.")
    return InvalidContent(f"The body is not strict JSON: {str(error).split(' - ')[0]}.")


def _with_markers(body: bytes) -> Any:
    """Parse JSON leniently: NaN and infinite numbers as floats, and a marker in place of a value whose key repeats."""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key, value in items:
            out[key] = _Repeated(key) if key in out else value
        return out

    return json.loads(body, object_pairs_hook=pairs)


def _is_repeated(value: Any) -> bool:
    return isinstance(value, _Repeated)


def _is_not_finite(value: Any) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def _has_half_character(value: Any) -> bool:
    return isinstance(value, str) and any("\ud800" <= letter <= "\udfff" for letter in value)


def _find(value: Any, wanted: Any, place: tuple[str, ...] = ()) -> tuple[str, Any] | None:
    """Return the place in words and the value of the first item for which `wanted` is true, None without any."""
    if wanted(value):
        return _place(value, place), value
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
        for key in value:
            if wanted(key):
                return _place(value, place), key
    elif isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        found = _find(item, wanted, (*place, str(key)))
        if found is not None:
            return found
    return None


def _place(value: Any, place: tuple[str, ...]) -> str:
    """Return the place of an item in words: a row and a column where it is in one."""
    if isinstance(value, _Repeated):
        place = place[:-1]
    if len(place) >= 2 and place[0] == "rows" and place[1].isdecimal():
        row = f"row {int(place[1]) + 1:,}"
        return f"Column {shown(place[2])} in {row}" if len(place) > 2 else row.capitalize()
    return f"The value of {shown('.'.join(place))}" if place else "The body"
