"""Checked embeddings (n, d): floating point numbers, used where they are or converted once, all finite."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from softreg.rows.gpu.interop import is_tensor, is_torch, name_of, to_numpy
from softreg.typing import Array, Float64Array

CONVERTED_BYTES = 256 << 20
"""float16 is converted to float32 once where that takes no more bytes than this; otherwise blocks are converted in each
pass, which takes little time where there are hundreds of classes."""
BLOCK_NUMBERS = 1 << 22
"""Numbers that are converted or checked at a time."""
LARGEST_FLOAT16 = 65504


@dataclass(frozen=True, eq=False)
class Embeddings:
    """Checked embeddings.

    Attributes
    ----------
    X : ndarray of shape (n, d)
        float16, float32 or float64, in any byte order; it may be a memory map.
    kind : str
        Type of the numbers as given, such as "bfloat16".
    """

    X: Array
    kind: str

    @property
    def dtype(self) -> np.dtype[Any]:
        """Precision of the products: float64 for float64, otherwise float32."""
        wide = self.X.dtype.itemsize > np.dtype(np.float32).itemsize
        return np.dtype(np.float64 if wide else np.float32)


def check_embeddings(X: Any, name: str = "X", *, copied: bool = False) -> Embeddings:
    """Return checked embeddings.

    Parameters
    ----------
    X : array or tensor of shape (n, d)
    name : str
        Name for messages.
    copied : bool
        Whether the caller makes a float32 copy anyway.

    Returns
    -------
    Embeddings
        float32 and float64 are used where they are. Large float16 arrays are too; bfloat16, integers and small float16
        arrays become float32.

    Raises
    ------
    ValueError
        If X is sparse, has not two axes, no rows or no columns, holds no numbers, or one that is not finite.

    Examples
    --------
    >>> check_embeddings(np.ones((3, 2), np.float16)).X.dtype
    dtype('float32')
    """
    if sp.issparse(X):
        raise ValueError(
            f"{name} is sparse; a probe takes dense embeddings. softreg.SoftmaxRegressionCV fits sparse rows."
        )
    array, kind = _as_numpy(X)
    if array.dtype.hasobject or array.dtype.kind not in "fiubV":
        advice = "stack the rows to an array of numbers: np.stack(list(X)).astype('float32')"
        raise ValueError(f"{name} holds {array.dtype}, not floating point numbers; {advice}.")
    if array.ndim != 2:
        raise ValueError(
            f"{name} has the shape {array.shape}, but embeddings have the shape (n, d).{_advice(array.ndim)}"
        )
    if 0 in array.shape:
        raise ValueError(f"{name} has the shape {array.shape}, so there is nothing to fit.")
    if not copied and array.dtype.kind == "f" and not _convert(array):
        _check_finite(array, name, kind)
        return Embeddings(array, kind)
    converted = np.empty(array.shape, np.float32)
    for rows in row_blocks(*array.shape):
        converted[rows] = _float32(array[rows], kind, name)
    _check_finite(converted, name, kind, array)
    return Embeddings(converted, kind)


def row_blocks(n: int, width: int) -> list[slice]:
    """Return the blocks of rows in which n rows of a width are processed.

    Parameters
    ----------
    n, width : int

    Returns
    -------
    list of slice

    Examples
    --------
    >>> row_blocks(3, 1 << 21)
    [slice(0, 2, None), slice(2, 3, None)]
    """
    size = max(1, BLOCK_NUMBERS // max(1, width))
    return [slice(a, min(a + size, n)) for a in range(0, n, size)]


def unit_length(X: Array, name: str = "X") -> Array:
    """Return the rows divided by their length, as float32 or float64.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    name : str
        Name for messages.

    Returns
    -------
    ndarray of shape (n, d)

    Raises
    ------
    ValueError
        If a row is zero.

    Examples
    --------
    >>> unit_length(np.array([[3.0, 4.0]]))
    array([[0.6, 0.8]])
    """
    out = np.empty(X.shape, np.float64 if X.dtype.itemsize > np.dtype(np.float32).itemsize else np.float32)
    for rows in row_blocks(*X.shape):
        block = X[rows].astype(np.float64)
        length = np.sqrt(np.einsum("ij,ij->i", block, block))
        if not length.all():
            row = rows.start + int(np.argmin(length))
            raise ValueError(
                f"row {row} of {name} is zero and has no direction; leave it out, or do without unit rows."
            )
        out[rows] = block / length[:, None]
    return out


@dataclass(frozen=True, eq=False)
class ColumnScale:
    """Mean and standard deviation (d,) of the columns; 1 for a constant column."""

    shift: Float64Array
    scale: Float64Array

    def apply(self, X: Array) -> Array:
        """Return the standardised columns, as float32 or float64."""
        out = np.empty(X.shape, np.float64 if X.dtype.itemsize > np.dtype(np.float32).itemsize else np.float32)
        for rows in row_blocks(*X.shape):
            out[rows] = (X[rows] - self.shift) / self.scale
        return out

    def to_columns(self, W: Float64Array, b: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Return W (d, q) and b (q,) of standardised columns as those of the columns as given."""
        W = W / self.scale[:, None]
        return W, b - self.shift @ W


def column_moments(X: Array) -> tuple[Float64Array, Float64Array]:
    """Return mean and variance (d,) of the columns.

    Parameters
    ----------
    X : ndarray of shape (n, d)

    Returns
    -------
    mean, variance : ndarray of shape (d,)

    Examples
    --------
    >>> column_moments(np.array([[1.0], [3.0]]))
    (array([2.]), array([1.]))
    """
    blocks = row_blocks(*X.shape)
    mean = np.sum([X[rows].sum(axis=0, dtype=np.float64) for rows in blocks], axis=0) / len(X)
    squares = [np.square(X[rows].astype(np.float64) - mean).sum(axis=0) for rows in blocks]
    return mean, np.sum(squares, axis=0) / len(X)


def column_scale(X: Array) -> ColumnScale:
    """Return mean and standard deviation of the columns.

    Parameters
    ----------
    X : ndarray of shape (n, d)

    Returns
    -------
    ColumnScale

    Examples
    --------
    >>> column_scale(np.array([[1.0, 5.0], [3.0, 5.0]])).scale
    array([1., 1.])
    """
    mean, variance = column_moments(X)
    rounding = np.finfo(np.float32).eps * np.abs(mean)
    spread = np.sqrt(variance)
    return ColumnScale(mean, np.where(spread > rounding, spread, 1.0))


def _as_numpy(X: Any) -> tuple[Array, str]:
    """Return an array or a tensor as a NumPy array without a copy, and the name of its type; bfloat16 as two bytes."""
    if is_torch(X):
        tensor, kind = X.detach(), name_of(X)
        tensor = tensor.to_dense() if tensor.is_sparse else tensor
        if kind == "bfloat16":
            import torch

            return tensor.cpu().contiguous().view(torch.int16).numpy().view("V2"), kind
        return np.asarray(tensor.cpu().numpy()), kind
    if is_tensor(X):
        return to_numpy(X), name_of(X)
    array = X if isinstance(X, np.ndarray) else np.asarray(X)
    kind = array.dtype.name
    return array, "bfloat16" if kind == "void16" else kind


def _advice(axes: int) -> str:
    """Return what to do about an array with another number of axes."""
    if axes > 2:
        return " Keep one vector a row: pool the tokens, as by X.mean(axis=1) or X[:, 0], or X.reshape(len(X), -1)."
    return " Stack one vector a row: np.stack(vectors)." if axes == 1 else ""


def _convert(array: Array) -> bool:
    """Return True if floating point numbers are converted once."""
    if array.dtype.itemsize > np.dtype(np.float64).itemsize:
        return True
    narrow = array.dtype.itemsize < np.dtype(np.float32).itemsize
    return narrow and array.size * np.dtype(np.float32).itemsize <= CONVERTED_BYTES


def _float32(block: Array, kind: str, name: str) -> Array:
    """Return a block of rows as float32."""
    if kind == "bfloat16":
        bits = np.ascontiguousarray(block).view(np.uint16).astype(np.uint32)
        return (bits << np.uint32(np.dtype(np.uint16).itemsize * BITS)).view(np.float32)
    if block.dtype.kind == "V":
        raise ValueError(f"{name} holds {kind}, which softreg does not read; save float16, bfloat16 or float32.")
    with np.errstate(over="ignore"):
        return block.astype(np.float32)


BITS = 8
"""Bits of a byte."""


def _check_finite(X: Array, name: str, kind: str, given: Array | None = None) -> None:
    """Raise `ValueError` for the first number that is not finite, with the number of such rows."""
    first, count = None, 0
    for rows in row_blocks(*X.shape):
        block = X[rows]
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(block.sum(dtype=np.float64)):
                continue
        bad = ~np.isfinite(block)
        count += int(bad.any(axis=1).sum())
        if first is None and bad.any():
            row, column = (int(i) for i in np.argwhere(bad)[0])
            first = rows.start + row, column, block[row, column]
    if first is None:
        return
    row, column, value = first
    reason = "Leave such rows out of embeddings and labels"
    if np.isinf(value) and kind == "float16":
        reason = f"float16 has no numbers beyond {LARGEST_FLOAT16}: compute the embeddings in bfloat16 or float32"
    elif np.isinf(value) and given is not None and np.isfinite(given[row, column]):
        reason = "The number is beyond float32: divide the embeddings by a constant"
    raise ValueError(f"{name} holds {value} in row {row}, column {column}; {count:,} rows are affected. {reason}.")
