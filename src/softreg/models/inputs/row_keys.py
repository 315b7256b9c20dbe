"""Keys of rows that belong together: groups of cross-validation and clusters of standard errors.

A missing key is an error that names the row; as a value, it would put all such rows into one group.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from softreg.models.inputs.labels import label_values
from softreg.probability.label_arrays import MISSING, spell
from softreg.typing import Array, BoolArray, IntArray


@dataclass(frozen=True)
class RowKeys:
    """The keys of n rows, as values and as codes.

    Parameters
    ----------
    values : ndarray of shape (n,)
        The keys.
    codes : ndarray of int, shape (n,)
        Codes from 0 to `count` - 1 in the sorted order of the keys, or in the order of first appearance where keys
        cannot be sorted, such as text and numbers.
    count : int
        Number of distinct keys.
    sortable : bool
        Whether the keys could be sorted.
    """

    values: Array
    codes: IntArray
    count: int
    sortable: bool


def read_row_keys(keys: Any, n: int, name: str, advice: str, needed: BoolArray | None = None) -> RowKeys:
    """Return the validated keys of n rows; rows of equal keys belong together.

    Parameters
    ----------
    keys : array, list or series of shape (n,)
        Keys of any type.
    n : int
        Number of rows.
    name : str
        Name of the argument, for messages.
    advice : str
        Sentence of the message about what to do with a row without a key.
    needed : ndarray of bool, shape (n,), optional
        Rows that need a key; by default all.

    Returns
    -------
    RowKeys
        The keys and their codes.

    Raises
    ------
    ValueError
        If the length differs, or if the key of a row that needs one is missing: None, nan, NaT, NA, a masked entry, or
        blank text.

    Examples
    --------
    >>> read_row_keys(["b", "a", "b"], 3, "groups", "").codes
    array([1, 0, 1])
    >>> read_row_keys(["b", None, "b"], 3, "groups", "Name its group.")
    Traceback (most recent call last):
    ...
    ValueError: groups has no value in row 1 (it holds None; 1 of 3 rows is without one). Name its group.
    """
    values = _keys_to_array(keys)
    if values.shape != (n,):
        raise ValueError(f"{name} has the shape {values.shape}; expected one value for each of the {n} rows, ({n},).")
    distinct: Sequence[Any]
    if values.dtype.kind == "O":
        objects = _distinct_objects(values, name)
        distinct, codes, sortable = objects.values, objects.codes, objects.sortable
    else:
        unique, codes = np.unique(values, return_inverse=True)
        distinct, sortable = list(unique), True
    missing = np.array([is_missing(key) for key in distinct], dtype=bool)[codes] if n else np.zeros(0, dtype=bool)
    if needed is not None:
        missing &= needed
    if missing.any():
        row, count = int(missing.argmax()), int(missing.sum())
        raise ValueError(
            f"{name} has no value in row {row} (it holds {_key_text(values[row])}; {count} of {n} rows "
            f"{'is' if count == 1 else 'are'} without one). {advice}"
        )
    return RowKeys(values, codes, len(distinct), sortable)


def is_missing(key: Any) -> bool:
    """Return True if a key is missing: None, nan, NaT, NA, or text that is empty or blank.

    Parameters
    ----------
    key : object
        One key.

    Returns
    -------
    bool
        Whether it is missing.

    Examples
    --------
    >>> [is_missing(key) for key in (None, float("nan"), np.datetime64("NaT"), " ", 0, "0", False)]
    [True, True, True, True, False, False, False]
    """
    if type(key).__name__ in MISSING:
        return True
    if isinstance(key, str | bytes):
        return not key.strip()
    try:
        return bool(key != key)
    except (TypeError, ValueError):  # a value that cannot be compared with itself
        return False


def _keys_to_array(keys: Any) -> Array:
    """Return keys as an array without conversions: a list of text and numbers becomes an array of objects."""
    if isinstance(keys, np.ma.MaskedArray):
        masked = np.ma.getmaskarray(keys)
        if not masked.any():
            return np.asarray(keys.data)
        objects = keys.data.astype(object)
        objects[masked] = None
        return objects
    values = label_values(keys)
    if isinstance(values, list | tuple):
        values = np.fromiter(values, dtype=object, count=len(values))
    values = np.asarray(values)
    return values.astype(object) if values.dtype.kind == "T" else values


@dataclass(frozen=True)
class _DistinctObjects:
    """Distinct objects, the code of each row among them, and whether they could be sorted."""

    values: Sequence[Any]
    codes: IntArray
    sortable: bool


def _distinct_objects(values: Array, name: str) -> _DistinctObjects:
    """Return the distinct objects of an array (n,), sorted if possible; raise `ValueError` for an unhashable one."""
    first: dict[Any, int] = {}
    try:
        codes = np.array([first.setdefault(key, len(first)) for key in values.tolist()], dtype=np.intp)
    except TypeError as error:
        raise ValueError(f"{name} holds a value that cannot be a key ({error}); use text, numbers or dates.") from None
    distinct = list(first)
    try:
        order = sorted(range(len(distinct)), key=distinct.__getitem__)
    except (TypeError, ArithmeticError):  # the latter for the decimal NaN
        return _DistinctObjects(distinct, codes, False)
    rank = np.empty(len(distinct), dtype=np.intp)
    rank[order] = np.arange(len(distinct))
    return _DistinctObjects([distinct[k] for k in order], rank[codes], True)


def _key_text(key: Any) -> str:
    """Return a key as messages show it."""
    return str(key) if type(key).__name__ in MISSING else spell(key)
