"""Arrays whose values NumPy would convert without notice: masks, text, dates and objects."""

from __future__ import annotations

from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np

from softreg.probability.label_arrays import MISSING, spell
from softreg.typing import Array, Float64Array, IntArray

USE_TABLE = "or use softreg.TableClassifier, which takes columns of mixed kinds"
"""End of messages about values that are not numbers."""


def reject_lossy_array(X: Any) -> Any:
    """Return X, lists as an array; raise an error for values that are not numbers.

    Parameters
    ----------
    X : array or list of lists
        Features of n rows.

    Returns
    -------
    array
        X; an array of objects as float64, nan where a value is missing.

    Raises
    ------
    ValueError
        If X holds masked entries, text, dates or rows of different lengths, or a number beyond float64.
    TypeError
        If X holds objects that are not numbers.
    """
    if isinstance(X, (list, tuple, str, bytes)):
        X = _array_of_lists(X)
    if isinstance(X, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(X)
        if mask.any():
            row, *column = (int(i) for i in np.argwhere(mask)[0])
            raise ValueError(
                f"Input X contains NaN: row {row}{f', column {column[0]}' if column else ''} is masked, that is "
                "missing. Fill it, or leave the row out."
            )
    kind = getattr(getattr(X, "dtype", None), "kind", "")
    if kind in ("M", "m"):
        raise ValueError(
            f"X holds {X.dtype}, not numbers; convert it to numbers first, for example of days since a date."
        )
    if kind in ("U", "S", "T", "O") and isinstance(X, np.ndarray):
        _check_no_text(X)
    return _object_array_to_floats(X) if kind == "O" and isinstance(X, np.ndarray) else X


def objects_to_floats(values: Array) -> tuple[Float64Array, IntArray]:
    """Return objects (n,) as float64 and the positions of those that are not numbers.

    Numbers are floats, integers and fractions that float64 can represent, booleans and decimals.

    Parameters
    ----------
    values : ndarray of object, shape (n,)
        The objects.

    Returns
    -------
    numbers : ndarray of shape (n,)
        The numbers; nan where a value is missing or not a number.
    invalid : ndarray of int
        Positions of objects that are neither numbers nor missing.

    Examples
    --------
    >>> numbers, invalid = objects_to_floats(np.array([1, Decimal("0.5"), None, 10**400, 1j], dtype=object))
    >>> numbers[:3], invalid
    (array([1. , 0.5, nan]), array([3, 4]))
    """
    is_number = {kind: _is_number_type(kind) for kind in set(map(type, values))}
    if all(is_number.values()):
        try:
            return values.astype(np.float64), np.zeros(0, dtype=np.intp)
        except (OverflowError, TypeError, ValueError):
            pass  # one of them is too large: find out which
    numbers, invalid = np.full(len(values), np.nan), []
    for row, value in enumerate(values):
        if type(value).__name__ in MISSING:
            continue
        if not is_number[type(value)]:
            invalid.append(row)
            continue
        try:
            numbers[row] = float(value)
        except (OverflowError, TypeError, ValueError):
            invalid.append(row)
    return numbers, np.array(invalid, dtype=np.intp)


def raise_beyond_float64(value: Any, where: str) -> None:
    """Raise `ValueError` if a value is an integer or fraction beyond the largest float64."""
    if isinstance(value, Real | Decimal) and not isinstance(value, np.timedelta64 | float):
        size = f"an integer of {int(abs(value)).bit_length()} bits" if isinstance(value, int) else "a number"
        raise ValueError(
            f"{where}, holds {size} beyond 1.8e308, the largest number of float64. Divide the column by a power of "
            "ten, or take logarithms; an identifier is no number to learn from."
        )


def is_number_text(text: Any) -> bool:
    """Return True if `float` can read the text."""
    try:
        float(text)
    except (TypeError, ValueError):
        return False
    return True


def _object_array_to_floats(X: Array) -> Float64Array:
    """Return an array of objects as float64, nan where a value is missing; raise an error that names the cell."""
    numbers, invalid = objects_to_floats(X.ravel())
    if len(invalid):
        value, where = X.ravel()[invalid[0]], _cell(np.unravel_index(invalid[0], X.shape))
        raise_beyond_float64(value, f"X, {where}")
        raise TypeError(  # scikit-learn's checks of estimators look for this phrase of float()
            f"X holds {type(value).__name__} objects, not numbers ({where}: {spell(value):.60}); the "
            f"argument must be a real number, not a string or another object. Encode it as numbers first, {USE_TABLE}."
        )
    return numbers.reshape(X.shape)


def _is_number_type(kind: type) -> bool:
    """Return True if values of this type are real numbers; NumPy's durations are registered as such and are not."""
    return issubclass(kind, Real | Decimal | np.bool_) and not issubclass(kind, np.timedelta64)


def _array_of_lists(X: Any) -> Array:
    """Return lists as an array; raise `ValueError` that names the first row of another length."""
    try:
        return np.asarray(X)
    except ValueError:
        sizes = [len(row) if hasattr(row, "__len__") else 0 for row in X]
        row = next((i for i, size in enumerate(sizes) if size != sizes[0]), None)
        if row is None:
            raise
        raise ValueError(
            f"the rows of X differ in length: row 0 has {sizes[0]} numbers and row {row} has {sizes[row]}; give every "
            "row a number for every column."
        ) from None


def _check_no_text(X: Array) -> None:
    """Raise `ValueError` for the first text in X, preferably one that is not a number written as text."""
    texts = [(cell, v) for cell, v in np.ndenumerate(X) if isinstance(v, (str, bytes))]
    if not texts:
        return
    cell, value = next(((c, v) for c, v in texts if not is_number_text(v)), texts[0])
    where = _cell(cell)
    raise ValueError(
        f"X holds text, not numbers ({where + ': ' if where else ''}{spell(value)}). Encode it as numbers "
        f"first, {USE_TABLE}."
    )


def _cell(indices: tuple[Any, ...]) -> str:
    """Return "row i, column j", as far as there are axes."""
    return ", ".join(f"{axis} {i}" for axis, i in zip(("row", "column"), indices, strict=False))
