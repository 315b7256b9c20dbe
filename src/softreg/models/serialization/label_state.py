"""Labels as strict JSON and back, with their values and types."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from softreg.probability import Classes
from softreg.probability.label_arrays import spell
from softreg.typing import Array

DATES = re.compile(r"(datetime64|timedelta64)\[\d*(Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as)\]")
"""Names of NumPy's dtypes of dates and durations, whose labels are stored as 64-bit integers."""
MAX_INTEGER = 2**63
"""Bound of the integers that int64 represents."""

_OBJECTS: dict[str, tuple[type, Callable[[Any], Any], Callable[[Any], Any]]] = {
    "date": (datetime.date, lambda v: v.isoformat(), datetime.date.fromisoformat),
    "datetime": (datetime.datetime, lambda v: v.isoformat(), datetime.datetime.fromisoformat),
    "time": (datetime.time, lambda v: v.isoformat(), datetime.time.fromisoformat),
    "bytes": (bytes, lambda v: v.decode("latin-1"), lambda v: v.encode("latin-1")),
}
"""Types of labels that are objects, and the functions that write a value as text and read it."""


def labels_to_json(labels: Array) -> dict[str, Any]:
    """Return labels that are not numbers as strict JSON.

    Parameters
    ----------
    labels : ndarray of shape (q,)
        The classes.

    Returns
    -------
    dict
        Name of the dtype, and the values.

    Raises
    ------
    ValueError
        If a label has a type that could not be read, such as an object of another package.

    Examples
    --------
    >>> print(labels_to_json(np.array(["2020-01-01", "2021-01-01"], dtype="M8[D]")))
    {'dtype': 'datetime64[D]', 'values': [18262, 18628]}
    """
    kind = labels.dtype.kind
    if kind in "Mm":
        native = labels.astype(labels.dtype.newbyteorder("="))
        return {"dtype": native.dtype.name, "values": native.view(np.int64).tolist()}
    if kind == "S":
        return {"dtype": "S", "values": [label.decode("latin-1") for label in labels.tolist()]}
    if kind == "U":
        return {"dtype": "str", "values": labels.tolist()}
    name = _object_kind(labels)
    if name is None:
        known = (str, int, bool, *(kind for kind, _, _ in _OBJECTS.values()))
        invalid = next((label for label in labels.tolist() if type(label) not in known), labels[0])
        raise ValueError(
            f"the label {spell(invalid)} is of the type {type(invalid).__name__}, which a model file cannot store. Fit "
            "the model with text, integers, booleans, or dates of NumPy (datetime64) or Python; str(label) makes "
            "text of any label."
        )
    write = _OBJECTS[name][1] if name in _OBJECTS else lambda v: v
    return {"dtype": name, "values": [write(v) for v in labels.tolist()]}


def labels_to_state(name: str, labels: Array, arrays: dict[str, Array]) -> dict[str, Any] | None:
    """Add numeric labels to the arrays of a state, or return others as strict JSON.

    Parameters
    ----------
    name : str
        Name of the array.
    labels : ndarray of shape (q,)
        The labels.
    arrays : dict of str to ndarray
        Arrays of the state.

    Returns
    -------
    dict or None
        JSON; None for numeric labels.
    """
    if labels.dtype.kind in "biuf":
        arrays[name] = labels
        return None
    return labels_to_json(labels)


def labels_from_json(stored: Mapping[str, Any]) -> Array:
    """Return the labels that `labels_to_json` described.

    Parameters
    ----------
    stored : mapping
        Strict JSON.

    Returns
    -------
    ndarray of shape (q,)
        The classes.

    Raises
    ------
    ValueError
        If the JSON does not describe distinct labels.
    """
    name, values = str(stored["dtype"]), stored["values"]
    if not isinstance(values, list) or not all(isinstance(v, (str, int)) for v in values):
        raise ValueError("the classes are not text or integers")
    integers = all(isinstance(v, int) and not isinstance(v, bool) and abs(v) < MAX_INTEGER for v in values)
    if DATES.fullmatch(name) and integers:
        labels = np.array(values, dtype=np.int64).view(name)
    elif name == "str":
        labels = np.array(values, dtype=np.str_)
    elif name == "S" and all(isinstance(v, str) for v in values):
        labels = np.array([v.encode("latin-1") for v in values], dtype=np.bytes_)
    elif name == "object":
        labels = np.array(values, dtype=object)
    elif name in _OBJECTS and all(isinstance(v, str) for v in values):
        read = _OBJECTS[name][2]
        labels = np.array(list(map(read, values)), dtype=object)
    else:
        raise ValueError(f"{name!r} is not a known kind of classes; a newer version of softreg may have written it")
    Classes.of(labels)
    return labels


def _object_kind(labels: Array) -> str | None:
    """Return the kind of labels that are objects, or None if they cannot be stored."""
    values = labels.tolist()
    if all(isinstance(v, (str, int, bool)) for v in values):
        return "object"
    for name, (kind, _, _) in _OBJECTS.items():
        if all(type(v) is kind and _has_fixed_offset(v) for v in values):
            return name
    return None


def _has_fixed_offset(value: Any) -> bool:
    """Return True unless a time has a time zone with rules, which ISO 8601 cannot express."""
    return getattr(value, "tzinfo", None) is None or type(value.tzinfo) is datetime.timezone
