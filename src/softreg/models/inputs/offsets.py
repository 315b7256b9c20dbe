"""Offsets: fixed parts of the logits of each row, which a model adds to `X W + b` and does not fit."""

from __future__ import annotations

from typing import Any

import narwhals as nw
import numpy as np

from softreg.models.inputs.dataframe_arrays import frame_to_array
from softreg.probability import Classes
from softreg.probability.label_arrays import spell
from softreg.rows.gpu.interop import is_tensor, to_numpy
from softreg.typing import Array, Float64Array

MAX_LISTED = 10
"""Classes that a message lists."""


def offset_array(offset: Any, n: int, classes: Array) -> Float64Array:
    """Return validated offsets of the logits.

    Parameters
    ----------
    offset : array, tensor or frame of shape (n, q) or (n,)
        A number for each row and class, in the order of `classes`. The columns of a frame are named by class and may be
        in any order. For two classes (n,) numbers are the offset of the log-odds of the second class.
    n : int
        Number of rows.
    classes : ndarray of shape (q,)
        The classes.

    Returns
    -------
    ndarray of shape (n, q)
        The offsets, in the order of the classes.

    Raises
    ------
    ValueError
        If the shape or the names do not match, or a number is not finite; the message names its row and class.

    Examples
    --------
    >>> offset_array([0.5, -1.0], 2, np.array(["no", "yes"]))
    array([[ 0. ,  0.5],
           [ 0. , -1. ]])
    """
    values = _aligned_frame(offset, classes) if nw.dependencies.is_into_dataframe(offset) else _to_floats(offset)
    q = len(classes)
    if values.ndim == 1 and q == 2:
        values = np.stack([np.zeros(len(values)), values], axis=1)
    if values.shape != (n, q):
        pair = ", or (n,) for the log-odds of the second class" if q == 2 else ""
        raise ValueError(
            f"offset.shape == {values.shape}, expected {(n, q)}: a number for each of the {n} rows and {q} "
            f"classes{pair}."
        )
    check_offset(values, classes)
    return values


def fitted_offset(model: Any, offset: Any, n: int) -> Array | None:
    """Return the offset of the rows of a fit, (n, q) or None; raise `ValueError` if the model had one and this has not.

    Parameters
    ----------
    model : SoftmaxRegression
        The fitted model.
    offset : array or frame of shape (n, q) or None
        The offset of its fit.
    n : int
        Number of rows.

    Returns
    -------
    ndarray of shape (n, q) or None
        The offset.

    Raises
    ------
    ValueError
        If the model was fitted with an offset and none is given, or the shape does not match.
    """
    if offset is not None:
        return offset_array(offset, n, model.classes_)
    if model.has_offset_:
        raise ValueError("the model was fitted with an offset of the logits: pass that of its rows, offset=...")
    return None


def new_offset(model: Any, offset: Any, n: int) -> Array | None:
    """Return the offset of new rows, (n, q) or None.

    Parameters
    ----------
    model : SoftmaxRegression
        The fitted model.
    offset : array or frame of shape (n, q) or (n,), or None
        The offset.
    n : int
        Number of rows.

    Returns
    -------
    ndarray of shape (n, q) or None
        The offset.

    """
    check_offset_is_given(model, offset)
    return None if offset is None else offset_array(offset, n, model.classes_)


def check_offset_is_given(model: Any, offset: Any) -> None:
    """Raise `ValueError` for a prediction without offset of a model that was fitted with one."""
    if offset is None and model.has_offset_:
        raise ValueError(
            "this model was fitted with an offset of the logits, so a prediction needs one: pass offset=... of shape "
            f"(n, {len(model.classes_)}), with zeros for predictions without it."
        )


def check_offset(offset: Array, classes: Array, first: int = 0) -> None:
    """Raise `ValueError` for the first number that is not finite, with its row (counted from `first`) and class."""
    nonfinite = ~np.isfinite(offset)
    if nonfinite.any():
        row, k = (int(i) for i in np.argwhere(nonfinite)[0])
        raise ValueError(
            f"the offset of row {row + first} for class {spell(classes[k])} is {offset[row, k]}: offsets are finite "
            "numbers that are added to the logits; correct it, or leave the row out."
        )


def _to_floats(offset: Any) -> Float64Array:
    """Return offsets as float64; raise `ValueError` for values that are not numbers."""
    if nw.dependencies.is_into_series(offset):
        offset = nw.from_native(offset, series_only=True).to_numpy()
    values = np.asarray(to_numpy(offset) if is_tensor(offset) else offset)
    if isinstance(offset, np.ma.MaskedArray):
        values = np.where(np.ma.getmaskarray(offset), np.nan, offset.data)
    if values.dtype.kind not in "biuf":
        raise ValueError(f"offset has dtype {values.dtype}: offsets are numbers, one for each row and class.")
    return values.astype(np.float64)


def _aligned_frame(offset: Any, classes: Array) -> Float64Array:
    """Return the columns of a frame in the order of the classes that they are named by."""
    frame = nw.from_native(offset, eager_only=True)
    order = column_order(list(frame.columns), classes)
    return np.asarray(frame_to_array(frame, "offset")[:, order], dtype=np.float64)


def column_order(names: list[str], classes: Array) -> Array:
    """Return the position of the column of each class.

    Parameters
    ----------
    names : list of str
        Names of the columns.
    classes : ndarray of shape (q,)
        The classes; their text is compared with the names.

    Returns
    -------
    ndarray of int of shape (q,)

    Raises
    ------
    ValueError
        If names and classes differ.

    Examples
    --------
    >>> column_order(["yes", "no"], np.array(["no", "yes"]))
    array([1, 0])
    """
    wanted = [str(label) for label in classes.tolist()]
    given = [str(name) for name in names]
    if sorted(given) != sorted(wanted):
        strange = [name for name in given if name not in wanted] or [name for name in wanted if name not in given]
        raise ValueError(
            f"the columns of the offset are named {', '.join(map(repr, given[:MAX_LISTED]))}, and the classes are "
            f"{Classes.of(classes).listing()}: name one column by each class ({strange[0]!r} does not match)."
        )
    return np.array([given.index(name) for name in wanted], dtype=np.intp)
