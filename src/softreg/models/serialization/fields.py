"""Readers of the fields of a model file's metadata, which check the type and range of each value.

A checksum shows that a file is unchanged, not that softreg wrote it: an edited file can have a valid checksum.
Therefore every field is checked. Errors are `ValueError`; `softreg.load` adds the name of the file.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

MAX_COUNT = 1 << 53
"""Bound of counts: up to it, float64 represents every integer."""
MAX_SHOWN = 60
"""Characters of a value that a message shows."""


def text(state: Mapping[str, Any], key: str) -> str:
    """Return the text under `key`; raise `ValueError` for anything else."""
    value = _field(state, key)
    if not isinstance(value, str):
        raise _invalid(key, value, "text")
    return value


def flag(state: Mapping[str, Any], key: str, default: bool | None = None) -> bool:
    """Return the boolean under `key`, or `default`, if given, where the key is absent."""
    value = _field(state, key) if default is None else state.get(key, default)
    if not isinstance(value, bool):
        raise _invalid(key, value, "true or false")
    return value


def count(state: Mapping[str, Any], key: str, default: int | None = None) -> int:
    """Return the integer >= 0 under `key`, or `default`, if given, where the key is absent."""
    value = _field(state, key) if default is None else state.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < MAX_COUNT:
        raise _invalid(key, value, "a count")
    return value


def number(state: Mapping[str, Any], key: str, *, positive: bool = False) -> float:
    """Return the finite number under `key`; raise `ValueError` for anything else, and for 0 or less if `positive`."""
    value = _field(state, key)
    if not _is_number(value) or (positive and not value > 0):
        raise _invalid(key, value, "a finite number above 0" if positive else "a finite number")
    return float(value)


def texts(state: Mapping[str, Any], key: str, default: tuple[()] | None = None) -> tuple[str, ...]:
    """Return the distinct texts under `key`, or `default`, if given, where the key is absent."""
    if default is not None and key not in state:
        return default
    value = _field(state, key)
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise _invalid(key, value, "a list of texts")
    if len(set(value)) < len(value):
        raise ValueError(f"{key!r} holds {_first_duplicate(value)!r} twice")
    return tuple(value)


def numbers(state: Mapping[str, Any], key: str, *, rising: bool = False) -> tuple[float, ...]:
    """Return the finite numbers under `key`, sorted if `rising`; an empty tuple where the key is absent."""
    value = state.get(key, [])
    if not isinstance(value, list) or not all(map(_is_number, value)):
        raise _invalid(key, value, "a list of finite numbers")
    if rising and any(a > b for a, b in pairwise(value)):
        raise ValueError(f"the numbers of {key!r} are out of order")
    return tuple(float(v) for v in value)


def counts(state: Mapping[str, Any], key: str) -> tuple[int, ...]:
    """Return the integers >= 0 under `key`."""
    value = _field(state, key)
    if not isinstance(value, list):
        raise _invalid(key, value, "a list of counts")
    return tuple(count({key: v}, key) for v in value)


def mapping(state: Any, key: str) -> Mapping[str, Any]:
    """Return the JSON object under `key`."""
    value = _field(state, key)
    if not isinstance(value, Mapping):
        raise _invalid(key, value, "an object with named fields")
    return value


def mappings(state: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """Return the list of JSON objects under `key`."""
    value = _field(state, key)
    if not isinstance(value, list) or not all(isinstance(v, Mapping) for v in value):
        raise _invalid(key, value, "a list of objects")
    return value


def distinct(names: Sequence[str], what: str) -> None:
    """Raise `ValueError` for a name that occurs twice; the message calls the names `what`."""
    if len(set(names)) < len(names):
        raise ValueError(f"there are two of the {what} {_first_duplicate(names)!r}")


def _field(state: Any, key: str) -> Any:
    """Return the value under `key`; raise `ValueError` where it is missing."""
    if not isinstance(state, Mapping):
        raise _invalid(key, state, "a field of an object")
    if key not in state:
        raise ValueError(f"the field {key!r} is missing")
    return state[key]


def _is_number(value: Any) -> bool:
    """Return True if a value is a finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer that float cannot represent
        return False


def _first_duplicate(names: Sequence[str]) -> str:
    """Return the first name that occurs twice."""
    counts = Counter(names)
    return next(name for name in names if counts[name] > 1)


def _invalid(key: str, value: Any, expected: str) -> ValueError:
    """Return the error for a value of another type or range."""
    shown = repr(value)
    shown = shown if len(shown) <= MAX_SHOWN else shown[: MAX_SHOWN - 1] + "…"
    return ValueError(f"{key!r} is {shown}, and must be {expected}")
