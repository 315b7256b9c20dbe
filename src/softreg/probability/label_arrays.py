"""Conversion of labels of any kind to a one-dimensional NumPy array that sorts and compares safely."""

from __future__ import annotations

from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from softreg.typing import Array

MISSING = {"NoneType", "NAType", "NaTType"}
"""Type names of missing values; pandas is no dependency, so the types are not imported."""

LONGEST_INTEGER = 256
"""Bits of the longest integer that a message shows in full."""
NEIGHBOURS = 4096
"""Largest range of integer labels that are looked up in a table."""


def label_array(y: ArrayLike, name: str) -> Array:
    """Convert labels of any kind to an array (n,) of one kind without missing values.

    Accepts lists, NumPy arrays, and objects that convert to an array (pandas, polars and pyarrow columns, categories,
    nullable types). Objects that are all text, all integers or all booleans become text, integers or booleans; a NumPy
    array of text objects stays an object array.

    Parameters
    ----------
    y : array_like of shape (n,)
        Labels.
    name : str
        Name of the argument in error messages.

    Returns
    -------
    ndarray of shape (n,)
        The labels.

    Raises
    ------
    ValueError
        For a missing label, a number such as 1.7, or a kind that differs from that of the first row; the message names
        the row.

    Examples
    --------
    >>> label_array([2, 1], "y")
    array([2, 1])
    """
    # NumPy converts the list [1, "a"] to text and [True, 2] to numbers without a warning, so lists become objects
    native = hasattr(y, "__array__")
    masked = isinstance(y, np.ma.MaskedArray) and np.ma.getmaskarray(y).any()
    values: Array = np.asarray(y) if native and not masked else _objects(y)
    values = exact_text(y, values)
    if values.ndim != 1:
        advice = "; ravel it" if values.ndim == 2 and values.shape[1] == 1 else ""
        raise ValueError(f"{name} must be one-dimensional, one label a row, but it has shape {values.shape}{advice}.")
    if values.dtype.kind == "T":
        values = values.astype(object)
    if values.dtype.kind == "O":
        values = _unboxed(values, name, text=not native)
    if values.dtype.kind == "f":
        _check_whole(values, name)
    elif values.dtype.kind in "Mm":
        _refuse_missing(np.isnat(values), values, name)
    elif values.dtype.kind not in "biuUSO":
        raise ValueError(f"{name} has dtype {values.dtype}, which cannot hold labels; use text, integers or booleans.")
    return values


def exact_text(y: Any, values: Array) -> Array:
    """Return labels with their exact text, as objects where text of a polars series ends in U+0000.

    NumPy's text arrays drop that character.

    Parameters
    ----------
    y : object
        The labels as passed by the user.
    values : ndarray of shape (n,)
        The labels as a NumPy array.

    Returns
    -------
    ndarray of shape (n,)
        `values`, or an object array with the exact text.

    Examples
    --------
    >>> exact_text(["a", "b"], np.array(["a", "b"]))
    array(['a', 'b'], dtype='<U1')
    """
    if values.dtype.kind == "U" and hasattr(y, "to_numpy"):
        exact = np.asarray(y.to_numpy(), dtype=object)
        return exact if _any_ends_in_zero(exact) else values
    return values


def spell(label: Any) -> str:
    """Return a label as messages show it: text in quotes, NumPy numbers as plain numbers.

    Parameters
    ----------
    label : object
        The label.

    Returns
    -------
    str
        Its representation.

    Examples
    --------
    >>> spell(np.str_("cat")), spell(np.int8(3))
    ("'cat'", '3')
    """
    if isinstance(label, (np.datetime64, np.timedelta64)):
        return str(label)
    if isinstance(label, int) and label.bit_length() > LONGEST_INTEGER:
        return f"an integer of {label.bit_length()} bits"
    return repr(label.item() if isinstance(label, np.generic) else label)


def kind_of(label: Any) -> str:
    """Return the kind of a label: text, boolean, integer, number, missing, or the name of its type."""
    return _kind(type(label))


def is_real(value: Any) -> bool:
    """Return whether a value is a single real number of Python or NumPy, and not a boolean.

    Parameters
    ----------
    value : object
        The value.

    Returns
    -------
    bool
        True for a real number.

    Examples
    --------
    >>> is_real(np.float32(1.5)), is_real(2), is_real(True), is_real("2")
    (True, True, False, False)
    """
    return isinstance(value, Real) and not isinstance(value, bool)


def as_float(value: Any) -> float:
    """Return a real number as a float; infinity for an integer or a fraction beyond the range.

    Parameters
    ----------
    value : object
        Real number.

    Returns
    -------
    float
        Its value in float64.

    Examples
    --------
    >>> as_float(2), as_float(-(10**400))
    (2.0, -inf)
    """
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def span(values: Array) -> tuple[int, int] | None:
    """Return the smallest and the largest of these integers if a table over their range is small.

    Parameters
    ----------
    values : ndarray
        Labels of any dtype.

    Returns
    -------
    tuple of int or None
        Smallest and largest value; None for other dtypes, no values, or a range of `NEIGHBOURS` or more.

    Examples
    --------
    >>> span(np.array([3, 7])), span(np.array([0, 10**6]))
    ((3, 7), None)
    """
    if values.dtype.kind not in "iu" or not values.size:
        return None
    low, high = int(values.min()), int(values.max())
    return (low, high) if high - low < NEIGHBOURS else None


def distinct(values: Array) -> Array:
    """Return `numpy.unique(values)`; integers of a small range are counted, which is faster than sorting.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Labels.

    Returns
    -------
    ndarray
        Distinct labels, sorted.

    Examples
    --------
    >>> distinct(np.array([5, 3, 5]))
    array([3, 5])
    """
    bounds = span(values)
    if bounds is None:
        return np.unique(values)
    (offsets,) = np.bincount(above(values, bounds[0])).nonzero()
    return np.asarray(offsets.astype(values.dtype) + values.dtype.type(bounds[0]))


def above(values: Array, low: int) -> Array:
    """Return integers minus the smallest of them, without overflow of their dtype.

    Parameters
    ----------
    values : ndarray of int
        Integers, at least `low`.
    low : int
        Smallest value.

    Returns
    -------
    ndarray of intp
        The differences.

    Examples
    --------
    >>> above(np.array([-128, 127], np.int8), -128)
    array([  0, 255])
    """
    wide = np.dtype(np.uint64 if values.dtype.kind == "u" else np.int64)
    return (values.astype(wide, copy=False) - wide.type(low)).astype(np.intp, copy=False)


def _objects(y: Any) -> Array:
    """Return a list as an array of its objects; lists of lists keep two axes and are refused by shape later."""
    try:
        return np.array(y.tolist() if isinstance(y, np.ma.MaskedArray) else y, dtype=object)
    except ValueError:  # ragged
        return np.empty((len(y), 0), dtype=object)


def _unboxed(values: Array, name: str, *, text: bool) -> Array:
    """Convert objects of one kind to the dtype of the kind (text only with `text`); others stay objects."""
    kinds = {t: _kind(t) for t in set(map(type, values))}
    if not set(kinds.values()) <= {"text", "integer", "boolean"}:
        missing = np.fromiter((kinds[type(v)] == "missing" or _is_nan(v) for v in values), bool, len(values))
        _refuse_missing(missing, values, name)
    distinct_kinds = set(kinds.values())
    if distinct_kinds == {"integer", "number"}:
        distinct_kinds = {"number"}
    if len(distinct_kinds) > 1:
        first = kinds[type(values[0])]
        row = next(i for i, v in enumerate(values) if kinds[type(v)] != first)
        raise ValueError(
            f"{name} mixes kinds of labels: row 0 holds {spell(values[0])} ({first}) and row {row} holds "
            f"{spell(values[row])} ({kinds[type(values[row])]}). Use one kind, for example text for all."
        )
    if distinct_kinds == {"number"}:
        exact = all(isinstance(v, (int, np.integer, Decimal)) and v == int(v) for v in values)
        return _integers([int(v) for v in values]) if exact else values.astype(np.float64)
    if distinct_kinds == {"boolean"}:
        return values.astype(np.bool_)
    if distinct_kinds == {"integer"}:
        return _integers([int(v) for v in values])
    if distinct_kinds == {"text"}:
        return values.astype(np.str_) if text and not _any_ends_in_zero(values) else values
    for row, v in enumerate(values):
        if type(v).__hash__ is None:
            raise ValueError(f"{name} holds {v!r} in row {row}, a {type(v).__name__}; a label is a single value.")
    return values


def _any_ends_in_zero(values: Array) -> bool:
    r"""Return whether a text ends in the character zero, which NumPy's arrays of text drop: "a\0" would be "a"."""
    return any(value.endswith("\0") for value in values)


def _integers(values: list[int]) -> Array:
    """Return exact integers in the first of int64, uint64 and Python objects that represents them all."""
    for dtype in (np.int64, np.uint64):
        try:
            return np.array(values, dtype=dtype)
        except OverflowError:
            continue
    return np.array(values, dtype=object)


def _kind(t: type) -> str:
    """Return the kind of labels of a type, for `kind_of`."""
    if t.__name__ in MISSING:
        return "missing"
    if issubclass(t, str):
        return "text"
    if issubclass(t, (bool, np.bool_)):
        return "boolean"
    if issubclass(t, (int, np.integer)):
        return "integer"
    if issubclass(t, (Real, Decimal)):
        return "number"
    return t.__name__


def _is_nan(v: Any) -> bool:
    """Return whether v is not equal to itself, as nan and NaT."""
    try:
        return bool(v != v)
    except (TypeError, ValueError):
        return False


def _refuse_missing(missing: NDArray[np.bool_], values: Array, name: str) -> None:
    """Raise `ValueError` if a label is missing, naming the first row."""
    if missing.any():
        row = int(np.argmax(missing))
        raise ValueError(
            f"{name} has no label in row {row} (it holds {values[row]!s}; {int(missing.sum())} of "
            f"{len(values)} rows are without one). A missing label is no class: leave these rows out, or "
            "give them a label of their own."
        )


def _check_whole(values: Array, name: str) -> None:
    """Raise `ValueError` if a float is not a whole number: 1.7 is a quantity, not a label."""
    _refuse_missing(np.isnan(values), values, name)
    odd = np.isinf(values) | (values != np.floor(values))
    if odd.any():
        row = int(np.argmax(odd))
        raise ValueError(
            f"Unknown label type: {name} holds {values[row]} in row {row}, a number and not a class. For a "
            "quantity use a regression, or cut it into ranges first; whole numbers such as 1.0 are labels."
        )
