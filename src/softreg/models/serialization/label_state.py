"""Labels of every kind that a model file keeps, as strict JSON, and back: the same values of the same type."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from softreg.probability import Classes
from softreg.probability.label_arrays import spell

DATES = re.compile(r"(datetime64|timedelta64)\[\d*(Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as)\]")
"""Names of NumPy's dtypes of dates and durations, whose labels are kept as 64-bit integers."""

_OBJECTS: dict[str, tuple[type, Callable[[Any], Any], Callable[[Any], Any]]] = {
    "date": (datetime.date, lambda v: v.isoformat(), datetime.date.fromisoformat),
    "datetime": (datetime.datetime, lambda v: v.isoformat(), datetime.datetime.fromisoformat),
    "time": (datetime.time, lambda v: v.isoformat(), datetime.time.fromisoformat),
    "bytes": (bytes, lambda v: v.decode("latin-1"), lambda v: v.encode("latin-1")),
}
"""Of labels that are objects: the type, and how a value is written as text and read again."""


def labels_to_json(labels: NDArray[Any]) -> dict[str, Any]:
    """Labels (q,) that are no numbers as strict JSON.

    Raises `ValueError` that names a label of a type that could not be read again, as objects of other packages.

    Example:
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
        odd = next((label for label in labels.tolist() if type(label) not in known), labels[0])
        raise ValueError(
            f"the label {spell(odd)} is of the type {type(odd).__name__}, which a model file cannot keep. Fit the "
            "model with text, integers, booleans, or dates of NumPy (datetime64) or Python; str(label) makes "
            "text of any label."
        )
    write = _OBJECTS[name][1] if name in _OBJECTS else lambda v: v
    return {"dtype": name, "values": [write(v) for v in labels.tolist()]}


def labels_from_json(told: Mapping[str, Any]) -> NDArray[Any]:
    """The labels that `labels_to_json` described; raises `ValueError` for what describes none."""
    name, values = str(told["dtype"]), told["values"]
    if not isinstance(values, list) or not all(isinstance(v, (str, int)) for v in values):
        raise ValueError("the classes are not text or integers")
    whole = all(isinstance(v, int) and not isinstance(v, bool) and abs(v) < 2**63 for v in values)
    if DATES.fullmatch(name) and whole:
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
        raise ValueError(
            f"{name!r} is no kind of classes that is known; a newer version of softreg may have written it"
        )
    Classes.of(labels)
    return labels


def _object_kind(labels: NDArray[Any]) -> str | None:
    """The name of the kind of labels that are objects; None where they cannot be written."""
    values = labels.tolist()
    if all(isinstance(v, (str, int, bool)) for v in values):
        return "object"
    for name, (kind, _, _) in _OBJECTS.items():
        if all(type(v) is kind and _is_plain(v) for v in values):
            return name
    return None


def _is_plain(value: Any) -> bool:
    """Whether a time has no time zone, or one of a fixed offset: the rules of others are not written."""
    return getattr(value, "tzinfo", None) is None or type(value.tzinfo) is datetime.timezone
