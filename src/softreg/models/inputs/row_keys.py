"""Keys that say which rows belong together (groups of folds, clusters of errors): one check, and codes.

A key that is missing says nothing about where a row belongs. Taken for a value, it would put all such rows into one
group, so it is refused, and the error names the row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from softreg.models.inputs.labels import label_values
from softreg.probability.label_arrays import MISSING, spell


@dataclass(frozen=True)
class RowKeys:
    """The keys of n rows: as they were given (n,), and as codes (n,) from 0 to `count` - 1 in sorted order.

    Keys of kinds that cannot be sorted together, as text and numbers, have codes in the order of their first row.
    """

    values: NDArray[Any]
    codes: NDArray[np.intp]
    count: int
    sortable: bool


def read_row_keys(keys: Any, n: int, name: str, advice: str, needed: NDArray[np.bool_] | None = None) -> RowKeys:
    """One key for each of n rows, from an array, a list or a series; rows of equal keys belong together.

    keys: (n,) of any kind. name: what the argument is called in messages. advice: what a row without a key needs, a
    sentence. needed: (n,) whether a row counts; others may have no key. Raises `ValueError` for another length, and for
    a missing key of a row that counts: None, nan, NaT, NA, a masked entry, and text that is empty or blank.

    Example:
        >>> read_row_keys(["b", "a", "b"], 3, "groups", "").codes
        array([1, 0, 1])
        >>> read_row_keys(["b", None, "b"], 3, "groups", "Name its group.")
        Traceback (most recent call last):
        ...
        ValueError: groups has no value in row 1 (it holds None; 1 of 3 rows is without one). Name its group.
    """
    values = _array(keys)
    if values.shape != (n,):
        raise ValueError(f"{name} has the shape {values.shape}; expected one value for each of the {n} rows, ({n},).")
    found: Sequence[Any]
    if values.dtype.kind == "O":
        found, codes, sortable = _distinct_objects(values, name)
    else:
        distinct, codes = np.unique(values, return_inverse=True)
        found, sortable = list(distinct), True
    missing = np.array([is_missing(key) for key in found], dtype=bool)[codes] if n else np.zeros(0, dtype=bool)
    if needed is not None:
        missing &= needed
    if missing.any():
        row, count = int(missing.argmax()), int(missing.sum())
        raise ValueError(
            f"{name} has no value in row {row} (it holds {_shown(values[row])}; {count} of {n} rows "
            f"{'is' if count == 1 else 'are'} without one). {advice}"
        )
    return RowKeys(values, codes, len(found), sortable)


def is_missing(key: Any) -> bool:
    """Whether a key is no value: None, nan, NaT, NA, or text that is empty or blank.

    Example:
        >>> [is_missing(key) for key in (None, float("nan"), np.datetime64("NaT"), " ", 0, "0", False)]
        [True, True, True, True, False, False, False]
    """
    if type(key).__name__ in MISSING:
        return True
    if isinstance(key, str | bytes):
        return not key.strip()
    try:
        return bool(key != key)
    except (TypeError, ValueError):  # what cannot be compared is a value
        return False


def _array(keys: Any) -> NDArray[Any]:
    """Keys as an array in which nothing was converted: a list of text and numbers stays one of objects."""
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


def _distinct_objects(values: NDArray[Any], name: str) -> tuple[Sequence[Any], NDArray[np.intp], bool]:
    """The distinct objects, the code of each row among them, and whether they could be sorted."""
    first: dict[Any, int] = {}
    try:
        codes = np.array([first.setdefault(key, len(first)) for key in values.tolist()], dtype=np.intp)
    except TypeError as error:
        raise ValueError(f"{name} holds what is no single value ({error}); use text, numbers or dates.") from None
    found = list(first)
    try:
        order = sorted(range(len(found)), key=found.__getitem__)
    except (TypeError, ArithmeticError):  # the latter of a decimal that is no number
        return found, codes, False
    place = np.empty(len(found), dtype=np.intp)
    place[order] = np.arange(len(found))
    return [found[k] for k in order], place[codes], True


def _shown(key: Any) -> str:
    return str(key) if type(key).__name__ in MISSING else spell(key)
