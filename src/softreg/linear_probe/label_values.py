"""Labels of embeddings as codes of classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from softreg.probability import Classes
from softreg.probability.label_arrays import kind_of, spell
from softreg.rows.gpu.interop import is_tensor, to_numpy
from softreg.typing import Array, Codes

MOST_UNKNOWN = 0.5
"""Share of test labels that are no class of training from which they are taken to be written in another way."""


def label_values(y: Any, name: str) -> Any:
    """Return labels as one value a row, in a form that `Classes` takes.

    Parameters
    ----------
    y : array, tensor, list or series of shape (n,) or (n, 1)
    name : str
        Name for messages.

    Returns
    -------
    array or list
        Labels; bytes as text, whole floating point numbers as integers.

    Raises
    ------
    ValueError
        If there are several numbers a row.

    Examples
    --------
    >>> label_values(np.array([[1.0], [0.0]]), "y")
    array([1, 0])
    """
    if is_tensor(y):
        y = to_numpy(y)
    if not isinstance(y, np.ndarray):
        return y
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        advice = " One-hot labels and probabilities become classes by y.argmax(axis=1)." if y.ndim == 2 else ""
        raise ValueError(f"{name} has the shape {y.shape}, but there is one label a row.{advice}")
    if y.dtype.kind == "S":
        return np.char.decode(y, "utf-8")
    if y.dtype.kind == "f" and np.isfinite(y).all() and (y == np.floor(y)).all():
        return y.astype(np.int64)
    return np.asarray(y)


def check_row_count(rows: int, labels: Any, name: str, labels_name: str) -> None:
    """Raise `ValueError` unless there are as many labels as rows."""
    if len(labels) == rows:
        return
    off = " One line too few or too many is often a line of names." if abs(len(labels) - rows) == 1 else ""
    raise ValueError(
        f"{name} has {rows:,} rows and {labels_name} {len(labels):,} labels; they belong together row by row, so "
        f"there must be as many.{off}"
    )


@dataclass(frozen=True, eq=False)
class KnownRows:
    """Rows whose label is a class: their numbers and codes (k,), and the count and first of the other labels."""

    rows: Array
    codes: Codes
    unknown: int
    first_unknown: str


def codes_of_test(labels: Any, classes: Classes, name: str) -> KnownRows:
    """Return the test rows whose labels are classes of the training rows.

    Parameters
    ----------
    labels : array of shape (n,)
    classes : Classes
    name : str
        Name for messages.

    Returns
    -------
    KnownRows

    Raises
    ------
    ValueError
        If most labels are no classes, which are then written in another way.

    Examples
    --------
    >>> codes_of_test(np.array([1, 2, 1]), Classes([0, 1]), "y").rows
    array([0, 2])
    """
    codes = classes.find(labels)
    unknown = codes < 0
    values = np.asarray(labels)
    if unknown.mean() >= MOST_UNKNOWN:
        sample = values[unknown][0]
        kinds = kind_of(sample), kind_of(classes.labels[0])
        kind = f" They are {kinds[0]} there and {kinds[1]} here." if kinds[0] != kinds[1] else ""
        raise ValueError(
            f"{int(unknown.sum()):,} of {len(codes):,} labels of {name} are no class of the training labels: "
            f"{spell(sample)} is not among {classes.listing()}.{kind} Write both in the same way."
        )
    first = spell(values[unknown][0]) if unknown.any() else ""
    rows = np.flatnonzero(~unknown)
    return KnownRows(rows, codes[rows].astype(np.int64), int(unknown.sum()), first)
