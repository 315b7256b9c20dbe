"""Any array of labels as a one-dimensional NumPy array that is safe to sort and compare."""

from __future__ import annotations

from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

MISSING = {"NoneType", "NAType", "NaTType"}
"""Names of the types of missing values: by name, because pandas is no dependency."""

LONGEST_INTEGER = 256
"""Integers of more bits than this are not written out in a message."""
NEIGHBOURS = 4096
"""Integer labels that all lie within so many of one another are looked up in a table."""


def label_array(y: ArrayLike, name: str) -> NDArray[Any]:
    """Give labels of any kind as an array (n,) of one kind, with nothing missing.

    Lists, NumPy arrays, and whatever converts to one (pandas, polars and pyarrow columns, categories, nullable types).
    Objects that are all text, all integers or all booleans become text, integers or booleans; a NumPy array of text
    objects stays one.

    Returns
    -------
    ndarray
        Labels of any kind as an array (n,) of one kind, with nothing missing.

    Raises
    ------
    ValueError
        That names the first row with a missing label, a number such as 1.7, or a kind that differs from the first
        row's.

    Examples
    --------
    >>> label_array([2, 1], "y")
    array([2, 1])
    """
    # NumPy turns the list [1, "a"] into text and [True, 2] into numbers, in silence: so lists come as objects
    native = hasattr(y, "__array__")
    masked = isinstance(y, np.ma.MaskedArray) and np.ma.getmaskarray(y).any()
    values: NDArray[Any] = np.asarray(y) if native and not masked else _objects(y)
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


def exact_text(y: Any, values: NDArray[Any]) -> NDArray[Any]:
    """Return `values` with their exact text, as objects where text of a polars series ends in U+0000.

    NumPy's own arrays of text drop that character.

    Returns
    -------
    ndarray
        The labels `values` as an array made them of `y`.

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
    """Return a label as a message shows it: text in quotes, NumPy's numbers as plain ones.

    Returns
    -------
    str
        A label as a message shows it: text in quotes, NumPy's numbers as plain ones.

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
    """Return the kind of a label in a word: text, boolean, integer, number, missing, or the name of its type."""
    return _kind(type(label))


def is_real(value: Any) -> bool:
    """Return whether this is one real number: Python's or NumPy's, and no boolean.

    Returns
    -------
    bool
        Whether this is one real number: Python's or NumPy's, and no boolean.

    Examples
    --------
    >>> is_real(np.float32(1.5)), is_real(2), is_real(True), is_real("2")
    (True, True, False, False)
    """
    return isinstance(value, Real) and not isinstance(value, bool)


def as_float(value: Any) -> float:
    """Return a real number as float64; infinity for an integer or a fraction beyond its range.

    Returns
    -------
    float
        A real number as float64; infinity for an integer or a fraction beyond its range.

    Examples
    --------
    >>> as_float(2), as_float(-(10**400))
    (2.0, -inf)
    """
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def span(values: NDArray[Any]) -> tuple[int, int] | None:
    """Smallest and largest of these integers, where a table of all between is no large one.

    Returns
    -------
    tuple[int, int] or None
        Smallest and largest of these integers, where a table of all between is no large one.

    Examples
    --------
    >>> span(np.array([3, 7])), span(np.array([0, 10**6]))
    ((3, 7), None)
    """
    if values.dtype.kind not in "iu" or not values.size:
        return None
    low, high = int(values.min()), int(values.max())
    return (low, high) if high - low < NEIGHBOURS else None


def distinct(values: NDArray[Any]) -> NDArray[Any]:
    """`numpy.unique(values)`; integers that lie close together are counted.

    Returns
    -------
    ndarray
        `numpy.unique(values)`; integers that lie close together are counted.

    Examples
    --------
    >>> distinct(np.array([5, 3, 5]))
    array([3, 5])
    """
    near = span(values)
    if near is None:
        return np.unique(values)
    seen = np.flatnonzero(np.bincount(above(values, near[0])))
    return np.asarray(seen.astype(values.dtype) + values.dtype.type(near[0]))


def above(values: NDArray[Any], low: int) -> NDArray[Any]:
    """Return how far integers lie above the smallest of them; the difference may be more than their dtype holds.

    Returns
    -------
    ndarray
        How far integers lie above the smallest of them; the difference may be more than their dtype holds.

    Examples
    --------
    >>> above(np.array([-128, 127], np.int8), -128)
    array([  0, 255])
    """
    wide = np.dtype(np.uint64 if values.dtype.kind == "u" else np.int64)
    return (values.astype(wide, copy=False) - wide.type(low)).astype(np.intp, copy=False)


def _objects(y: Any) -> NDArray[Any]:
    """Return a list as an array of objects, each as it was; lists of lists keep two axes, to be refused by shape."""
    try:
        return np.array(y.tolist() if isinstance(y, np.ma.MaskedArray) else y, dtype=object)
    except ValueError:  # ragged
        return np.empty((len(y), 0), dtype=object)


def _unboxed(values: NDArray[Any], name: str, *, text: bool) -> NDArray[Any]:
    """Objects of one kind in that kind's dtype (text only where asked); what no dtype holds stays as is."""
    kinds = {t: _kind(t) for t in set(map(type, values))}
    if not set(kinds.values()) <= {"text", "integer", "boolean"}:
        missing = np.fromiter((kinds[type(v)] == "missing" or _is_nan(v) for v in values), bool, len(values))
        _refuse_missing(missing, values, name)
    found = set(kinds.values())
    if found == {"integer", "number"}:
        found = {"number"}
    if len(found) > 1:
        first = kinds[type(values[0])]
        row = next(i for i, v in enumerate(values) if kinds[type(v)] != first)
        raise ValueError(
            f"{name} mixes kinds of labels: row 0 holds {spell(values[0])} ({first}) and row {row} holds "
            f"{spell(values[row])} ({kinds[type(values[row])]}). Use one kind, for example text for all."
        )
    if found == {"number"}:
        exact = all(isinstance(v, (int, np.integer, Decimal)) and v == int(v) for v in values)
        return _integers([int(v) for v in values]) if exact else values.astype(np.float64)
    if found == {"boolean"}:
        return values.astype(np.bool_)
    if found == {"integer"}:
        return _integers([int(v) for v in values])
    if found == {"text"}:
        return values.astype(np.str_) if text and not _any_ends_in_zero(values) else values
    for row, v in enumerate(values):
        if type(v).__hash__ is None:
            raise ValueError(f"{name} holds {v!r} in row {row}, a {type(v).__name__}; a label is a single value.")
    return values


def _any_ends_in_zero(values: NDArray[Any]) -> bool:
    r"""Return whether a text ends in the character zero, which NumPy's arrays of text drop: "a\0" would be "a"."""
    return any(value.endswith("\0") for value in values)


def _integers(values: list[int]) -> NDArray[Any]:
    """Exact integers in the smallest of int64, uint64 and Python's own that holds them all."""
    for dtype in (np.int64, np.uint64):
        try:
            return np.array(values, dtype=dtype)
        except OverflowError:
            continue
    return np.array(values, dtype=object)


def _kind(t: type) -> str:
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
    """Return whether v is missing in the way of nan and NaT: not equal to itself."""
    try:
        return bool(v != v)
    except (TypeError, ValueError):
        return False


def _refuse_missing(missing: NDArray[np.bool_], values: NDArray[Any], name: str) -> None:
    if missing.any():
        row = int(np.argmax(missing))
        raise ValueError(
            f"{name} has no label in row {row} (it holds {values[row]!s}; {int(missing.sum())} of "
            f"{len(values)} rows are without one). A missing label is no class: leave these rows out, or "
            "give them a label of their own."
        )


def _check_whole(values: NDArray[Any], name: str) -> None:
    """Floats may be labels only if they are whole numbers: 1.7 is a quantity to regress on."""
    _refuse_missing(np.isnan(values), values, name)
    odd = np.isinf(values) | (values != np.floor(values))
    if odd.any():
        row = int(np.argmax(odd))
        raise ValueError(
            f"Unknown label type: {name} holds {values[row]} in row {row}, a number and not a class. For a "
            "quantity use a regression, or cut it into ranges first; whole numbers such as 1.0 are labels."
        )
