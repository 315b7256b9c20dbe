"""Check that arrays hold real numbers, classes and probability distributions."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from softreg.typing import FloatArray

ATOL = 1e-6
"""Largest difference between 1 and the sum of a distribution in float64."""
MOST_ROUNDING = 5e-3
"""Largest difference that rounding explains in any format; float16 softmax of 10 to 50,000 classes reached 3e-4."""


def as_float(x: ArrayLike, name: str) -> FloatArray:
    """Convert `x` to float32 or float64: half precision becomes float32, other types float64.

    Parameters
    ----------
    x : array_like
        Real numbers.
    name : str
        Name of the argument in error messages.

    Returns
    -------
    ndarray of float32 or float64
        The converted array.

    Raises
    ------
    ValueError
        If `x` does not hold real numbers in a dense array.

    Examples
    --------
    >>> as_float([1, 2], "x").dtype, as_float(np.float16([1, 2]), "x").dtype
    (dtype('float64'), dtype('float32'))
    """
    a = np.asarray(x)
    single = a.dtype.kind == "f" and a.dtype.itemsize <= 4
    if a.dtype.kind in "cSUTMm":  # NumPy would parse text and drop imaginary parts
        raise ValueError(f"{name} must be real numbers in a dense array, but their dtype is {a.dtype}.")
    try:
        return a.astype(np.float32 if single else np.float64, copy=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be real numbers in a dense array, but {error}.") from error


def row_name(mask: NDArray[np.bool_], name: str) -> tuple[str, tuple[int, ...]]:
    """Return name and index of the first marked row: ("row 3 of P", (3,)), or ("P", ()) for one distribution."""
    index = tuple(int(i) for i in np.argwhere(mask)[0])
    if not index:
        return name, index
    return f"row {index[0] if len(index) == 1 else index} of {name}", index


def check_class_axis(a: FloatArray, axis: int, name: str) -> None:
    """Raise `ValueError` for an array without a class on `axis`."""
    if a.ndim == 0:
        raise ValueError(f"{name} must have an axis of classes, but is the single number {a.item()!r}.")
    if a.shape[axis] == 0:
        raise ValueError(f"{name} has shape {a.shape}: there is no class on axis {axis}, so there is nothing to weigh.")


def precision_of(P: ArrayLike) -> float:
    """Return the spacing at 1 of the least precise float format that represents every number of `P` exactly.

    Probabilities computed in float32 keep the rounding of float32 when they are converted to float64 or written to a
    file with all their digits. The values decide, therefore, not the dtype alone.

    Parameters
    ----------
    P : array_like
        Probabilities.

    Returns
    -------
    float
        Machine epsilon of float16, float32 or float64.

    Examples
    --------
    >>> precision_of(np.float32([0.1, 0.9])) == precision_of([float(np.float32(0.1)), float(np.float32(0.9))])
    True
    """
    a = np.asarray(P)
    if a.dtype.kind == "f":
        for dtype in (np.float16, np.float32):
            if a.dtype.itemsize <= np.dtype(dtype).itemsize:
                return float(np.finfo(dtype).eps)
            with np.errstate(over="ignore", invalid="ignore"):
                if (a.astype(dtype) == a).all():
                    return float(np.finfo(dtype).eps)
    return float(np.finfo(np.float64).eps)


def sum_tolerance(q: int, eps: float, atol: float = ATOL) -> float:
    """Return the largest difference between 1 and the sum of q probabilities in floats with machine epsilon `eps`.

    `max(atol, min(eps * (1 + q / 8), 0.005))`, which allows for a softmax with a running sum in these floats. Rounding
    explains no larger difference than 0.005 in any format.

    Parameters
    ----------
    q : int
        Number of classes.
    eps : float
        Machine epsilon of the format of the probabilities.
    atol : float, default 1e-6
        Least tolerance.

    Returns
    -------
    float
        The tolerance.

    Examples
    --------
    >>> sum_tolerance(3, 2**-52), sum_tolerance(5000, 2**-23) < 1e-4, sum_tolerance(5000, 2**-10)
    (1e-06, True, 0.005)
    """
    return max(atol, min(eps * (1 + q / 8), MOST_ROUNDING))


def check_probabilities(P: ArrayLike, *, name: str = "P", atol: float = ATOL, axis: int = -1) -> FloatArray:
    """Check that every row of `P` is a probability distribution, and return `P` as a float array.

    A distribution has no negative and no missing entry and sums to 1. The sum is taken in float64 and may differ from 1 by
    `sum_tolerance(q, eps, atol)`, with eps from `precision_of(P)`: 1e-6 in float64, 7e-5 for 5,000 classes in float32, at
    most 0.005 in float16. Every function of softreg that takes probabilities or soft labels uses this check. Rows are never
    renormalised.

    Parameters
    ----------
    P : array_like of shape (..., q)
        Probabilities with the classes on `axis`. The batch may be empty, the class axis may not.
    name : str, default "P"
        Name of the argument in error messages.
    atol : float, default 1e-6
        Least tolerance of the sum.
    axis : int, default -1
        Axis of the classes.

    Returns
    -------
    ndarray of float32 or float64, of shape (..., q)
        The probabilities, not copied where the dtype fits.

    Raises
    ------
    ValueError
        For a row that is no distribution; the message names the first such row and the remedy.

    References
    ----------
    Kolmogorov's axioms, as in Cover and Thomas, "Elements of Information Theory" (2006), chapter 2.

    Examples
    --------
    >>> check_probabilities([[0.5, 0.5], [0.9, 0.2]])
    Traceback (most recent call last):
    ...
    ValueError: row 1 of P sums to 1.1, not to 1 (allowed difference: 1e-06). If these are weights or counts, divide each row by its sum; if they are scores (logits), use softmax.
    """  # noqa: E501
    given = np.asarray(P)
    P = as_float(P, name)
    check_class_axis(P, axis, name)
    q, tolerance = P.shape[axis], atol
    sums = P.sum(axis=axis, dtype=np.float64)
    lowest = P.min(axis=axis)
    off = abs(sums - 1)
    valid = (lowest >= 0) & (off <= tolerance)  # nan and inf fail both comparisons
    if not valid.all():  # the precision is determined only where it may matter
        tolerance = sum_tolerance(q, precision_of(given), atol)
        valid = (lowest >= 0) & (off <= tolerance)
    if valid.all():
        return P
    row, index = row_name(~np.asarray(valid), name)
    low, total = float(lowest[index]), float(sums[index])
    if np.isnan(low) or not np.isfinite(total):
        value = "nan (a missing value)" if np.isnan(low) else f"an infinite value (its sum is {total})"
        raise ValueError(
            f"{row} holds {value}, and a probability lies between 0 and 1. Leave the row out or correct it."
        )
    if low < 0:
        raise ValueError(
            f"{row} holds {low:.10g} (and sums to {total:.10g}), but a probability is never negative. "
            "If these are scores (logits), use softmax."
        )
    raise ValueError(
        f"{row} sums to {total:.10g}, not to 1 (allowed difference: {tolerance:.2g}). If these are weights "
        "or counts, divide each row by its sum; if they are scores (logits), use softmax."
    )
