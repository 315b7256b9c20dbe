"""The fields of a model file's metadata, each checked for its kind and range as it is read.

A checksum says that a file is as it was written, and not that it was written by softreg: whoever edits the metadata can
compute it anew. So no field is believed to be what its name says. Errors are `ValueError`; `softreg.load` says which
file they are about.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

MOST = 1 << 53
"""Counts above this are none."""


def text(state: Mapping[str, Any], key: str) -> str:
    """The text under `key`.

    >>> text({"name": "age"}, "name")
    'age'
    """
    value = _field(state, key)
    if not isinstance(value, str):
        raise _wrong(key, value, "text")
    return value


def flag(state: Mapping[str, Any], key: str, default: bool | None = None) -> bool:
    """True or False under `key`; `default`, where there is one, if the key is absent."""
    value = _field(state, key) if default is None else state.get(key, default)
    if not isinstance(value, bool):
        raise _wrong(key, value, "true or false")
    return value


def count(state: Mapping[str, Any], key: str, default: int | None = None) -> int:
    """The integer >= 0 under `key`; `default`, where there is one, if the key is absent."""
    value = _field(state, key) if default is None else state.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < MOST:
        raise _wrong(key, value, "a count")
    return value


def number(state: Mapping[str, Any], key: str, *, positive: bool = False) -> float:
    """The finite number under `key`, above 0 where `positive`.

    >>> number({"scale": 0}, "scale", positive=True)
    Traceback (most recent call last):
    ...
    ValueError: 'scale' is 0, and must be a finite number above 0
    """
    value = _field(state, key)
    if not _is_number(value) or (positive and not value > 0):
        raise _wrong(key, value, "a finite number above 0" if positive else "a finite number")
    return float(value)


def texts(state: Mapping[str, Any], key: str, default: tuple[()] | None = None) -> tuple[str, ...]:
    """The texts under `key`, each of them once; `default`, where there is one, if the key is absent."""
    if default is not None and key not in state:
        return default
    value = _field(state, key)
    if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
        raise _wrong(key, value, "a list of texts")
    if len(set(value)) < len(value):
        raise ValueError(f"{key!r} holds {_twice(value)!r} twice")
    return tuple(value)


def numbers(state: Mapping[str, Any], key: str, *, rising: bool = False) -> tuple[float, ...]:
    """The finite numbers under `key`, none below the one before it where `rising`; none if the key is absent."""
    value = state.get(key, [])
    if not isinstance(value, list) or not all(map(_is_number, value)):
        raise _wrong(key, value, "a list of finite numbers")
    if rising and any(a > b for a, b in pairwise(value)):
        raise ValueError(f"the numbers of {key!r} are out of order")
    return tuple(float(v) for v in value)


def counts(state: Mapping[str, Any], key: str) -> tuple[int, ...]:
    """The integers >= 0 under `key`."""
    value = _field(state, key)
    if not isinstance(value, list):
        raise _wrong(key, value, "a list of counts")
    return tuple(count({key: v}, key) for v in value)


def mapping(state: Any, key: str) -> Mapping[str, Any]:
    """The object under `key`."""
    value = _field(state, key)
    if not isinstance(value, Mapping):
        raise _wrong(key, value, "an object with named fields")
    return value


def mappings(state: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """The objects under `key`."""
    value = _field(state, key)
    if not isinstance(value, list) or not all(isinstance(v, Mapping) for v in value):
        raise _wrong(key, value, "a list of objects")
    return value


def distinct(names: Sequence[str], what: str) -> None:
    """Raise `ValueError` for a name that occurs twice.

    >>> distinct(["a", "b", "a"], "column")
    Traceback (most recent call last):
    ...
    ValueError: there are two of the column 'a'
    """
    if len(set(names)) < len(names):
        raise ValueError(f"there are two of the {what} {_twice(names)!r}")


def _field(state: Any, key: str) -> Any:
    if not isinstance(state, Mapping):
        raise _wrong(key, state, "a field of an object")
    if key not in state:
        raise ValueError(f"the field {key!r} is missing")
    return state[key]


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond the floats
        return False


def _twice(names: Sequence[str]) -> str:
    seen: set[str] = set()
    return next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]


def _wrong(key: str, value: Any, wanted: str) -> ValueError:
    shown = repr(value)
    return ValueError(f"{key!r} is {shown if len(shown) <= 60 else shown[:59] + '…'}, and must be {wanted}")
