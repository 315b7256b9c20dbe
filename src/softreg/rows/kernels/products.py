"""Products of a block of rows with a handful of columns: compiled where that is possible and faster, otherwise NumPy.

Both give the same results up to rounding. The compiled code reads each number of X once, at about the speed of memory;
BLAS is made for large products, and is faster above some number of columns. `SOFTREG_KERNELS=0` in the environment
turns the compiled code off. Each sum is taken in an order that depends on the shapes alone, in the calling thread.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from softreg.typing import Array

INTERFACE = 9
"""Version of the interface to the compiled module; a module of another version is not used."""

MAX_COMPILED_BYTES = {"baseline": 128, "avx2": 256, "avx512": 256}
"""Size in bytes of a row of logits above which dense products use BLAS (float32: 32, 64, 64 columns).

A whole pass uses it above twice that size. Measured with 784 features against an OpenBLAS for the same instruction set,
in one thread: for AVX-512 in float32 the compiled pass is 4.0 times as fast at 10 columns, 2.1 at 26, 1.4 at 64 and 1.2
at 128; the products are 4.1 (logits) and
2.6 times (gradient) as fast at 10 columns and 1.2 at 64. AVX2 and float64 have slightly smaller factors."""
MAX_NARROW_FEATURES = 128
"""Up to this many features a whole pass is compiled for any number of columns, except on the baseline: most of its time
is then the softmax (120 to 480 columns of models of ten classes: 1.4 to 3.9 times as fast, in either precision)."""


@dataclass(frozen=True)
class Kernels:
    """The kernels in use.

    Attributes
    ----------
    compiled : bool
        Whether they are compiled; otherwise they are those of NumPy.
    level : str or None
        Instruction set of the compiled kernels.
    reason : str
        Why NumPy is used; empty for compiled kernels.
    """

    compiled: bool
    level: str | None
    reason: str


def _load() -> tuple[Any, str]:
    """Return the compiled module, or None and the reason."""
    if os.environ.get("SOFTREG_KERNELS", "").strip().lower() in ("0", "off", "no", "false"):
        return None, "SOFTREG_KERNELS turns the compiled ones off"
    try:
        module = import_module("softreg.rows.kernels._compiled")
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError):
            return None, "none were compiled when softreg was installed"
        return None, f"the compiled ones cannot be loaded: {error}"
    if module.INTERFACE != INTERFACE:
        return None, "the compiled ones belong to other sources; install softreg again"
    return module, ""


_module, _reason = _load()


def kernels_in_use() -> Kernels:
    """Return which kernels this process uses.

    Returns
    -------
    Kernels

    Examples
    --------
    >>> kernels_in_use().compiled == (kernels_in_use().level is not None)
    True
    """
    if _module is None:
        return Kernels(False, None, _reason)
    return Kernels(True, _module.level(), "")


def _few_columns(columns: Array, readings: int = 1) -> bool:
    """Return True if BLAS, with `readings` of X, would be slower for these columns (rows of the array)."""
    return _module is not None and 0 < len(columns) * columns.itemsize <= readings * MAX_COMPILED_BYTES[_module.level()]


def _supported(*arrays: Array) -> bool:
    """Return True if compiled code accepts these arrays: one dtype, C order, aligned."""
    kind = arrays[0].dtype
    if kind != np.float32 and kind != np.float64:
        return False
    return all(a.dtype == kind and a.flags.c_contiguous and a.flags.aligned for a in arrays)


def times(W: Array, X: Array) -> Array:
    """Return `W @ X.T`.

    Parameters
    ----------
    W : ndarray of shape (k, d)
    X : ndarray of shape (b, d)

    Returns
    -------
    ndarray of shape (k, b)

    Examples
    --------
    >>> times(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [5.0, 6.0]]))
    array([[11., 17.]])
    """
    if not _few_columns(W) or not _supported(W, X):
        return np.asarray(W @ X.T)
    out = np.empty((len(W), len(X)), W.dtype)
    _module.times(W, X, out)
    return out


def transposed_times(R: Array, X: Array) -> Array:
    """Return `R @ X`.

    Parameters
    ----------
    R : ndarray of shape (k, b)
    X : ndarray of shape (b, d)

    Returns
    -------
    ndarray of shape (k, d)

    Examples
    --------
    >>> transposed_times(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [5.0, 6.0]]))
    array([[13., 16.]])
    """
    if not _few_columns(R) or not _supported(R, X):
        return np.asarray(R @ X)
    out = np.empty((len(R), X.shape[1]), R.dtype)
    _module.transposed_times(R, X, out)
    return out


BLOCK_COLUMNS = 64
"""Columns that the compiled products multiply at a time where there are many of them."""


@cache
def _blas_is_narrow(level: str) -> bool:
    """Return True if NumPy's BLAS does not use the vectors of 64 bytes that compiled code of this level uses."""
    # OpenBLAS takes the kernels of Haswell on processors that it does not know (measured on one of them in one thread:
    # float32 products of 500 columns at 120 GFLOP/s, the compiled ones at 190 to 215).
    if level != "avx512":
        return False
    from threadpoolctl import threadpool_info

    known = [str(one.get("architecture")) for one in threadpool_info() if one.get("internal_api") == "openblas"]
    return bool(known) and not any(name in ("SkylakeX", "Cooperlake", "Sapphirerapids") for name in known)


def _takes_many(columns: Array, out: Array, X: Array) -> bool:
    """Return True if compiled products of many columns, a block at a time, are supported and faster than BLAS."""
    if _module is None or not _supported(columns, X, out):
        return False
    return _few_columns(columns) or _blas_is_narrow(_module.level())


def blocked_times(W: Array, X: Array, out: Array) -> None:
    """Write `W @ X.T` to `out`, in one thread.

    Parameters
    ----------
    W : ndarray of shape (k, d)
        For any number k.
    X : ndarray of shape (b, d)
    out : ndarray of shape (k, b)

    Examples
    --------
    >>> out = np.empty((1, 2))
    >>> blocked_times(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [5.0, 6.0]]), out)
    >>> out
    array([[11., 17.]])
    """
    if not _takes_many(W, out, X):
        np.matmul(W, X.T, out=out)
        return
    for a in range(0, len(W), BLOCK_COLUMNS):
        _module.times(W[a : a + BLOCK_COLUMNS], X, out[a : a + BLOCK_COLUMNS])


def blocked_transposed_times(R: Array, X: Array, onto: Array) -> None:
    """Add `R @ X` to `onto`, in one thread.

    Parameters
    ----------
    R : ndarray of shape (k, b)
        For any number k.
    X : ndarray of shape (b, d)
    onto : ndarray of shape (k, d)

    Examples
    --------
    >>> onto = np.ones((1, 2))
    >>> blocked_transposed_times(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [5.0, 6.0]]), onto)
    >>> onto
    array([[14., 17.]])
    """
    if not _takes_many(R, onto, X):
        onto += R @ X
        return
    out = np.empty((min(BLOCK_COLUMNS, len(R)), X.shape[1]), R.dtype)
    for a in range(0, len(R), BLOCK_COLUMNS):
        part = out[: len(R) - a]
        _module.transposed_times(R[a : a + BLOCK_COLUMNS], X, part)
        onto[a : a + BLOCK_COLUMNS] += part


def loss_and_gradient(
    W: Array, bias: Array, X: Array, q: int, labels: Array, V: Array | None, logits: Array | None
) -> tuple[Array, Array, Array] | None:
    """Return loss, residual and gradient of softmax models from one reading of X, or None.

    Parameters
    ----------
    W : ndarray of shape (k, d)
        Row `j q + c` is class c of model j.
    bias : ndarray of shape (k,)
    X : ndarray of shape (b, d)
    q : int
        Number of classes.
    labels : ndarray of shape (b,) or (b, q)
        Codes or label probabilities.
    V : ndarray of shape (m, b) or (1, b), or None
        Row weights.
    logits : ndarray of shape (k, b), or None
        Receives `W @ X.T + bias`, unless it is None.

    Returns
    -------
    tuple of ndarray, or None
        Summed cross-entropy (m,) and residual (k,) in float64, and `R @ X` (k, d). None if nothing is compiled, or if
        `times` and `transposed_times` are faster or the only way.

    Examples
    --------
    >>> X, W, b, labels = np.eye(2), np.zeros((2, 2)), np.zeros(2), np.array([0, 1])
    >>> done = loss_and_gradient(W, b, X, 2, labels, None, None)
    >>> done is None or (done[0] / np.log(2)).round(12).tolist() == [2.0]
    True
    """
    narrow = _module is not None and X.shape[1] <= MAX_NARROW_FEATURES and _module.level() != "baseline"
    if (
        not (narrow or _few_columns(W, readings=2))
        or not _supported(W, bias, X)
        or (logits is not None and not _supported(W, logits))
    ):
        return None
    k, m = len(W), len(W) // q
    codes = np.ascontiguousarray(labels, np.int64) if labels.ndim == 1 else None
    Y = np.ascontiguousarray(labels, W.dtype) if labels.ndim == 2 else None
    V = None if V is None else np.ascontiguousarray(V, np.float64)
    loss, residual, G = np.empty(m), np.empty(k), np.empty((k, X.shape[1]), W.dtype)
    _module.loss_and_gradient(W, bias, X, codes, Y, V, logits, loss, residual, G)
    return loss, residual, G


def scores(W: Array, bias: Array, X: Array, out: Array, probabilities: bool) -> bool:
    """Write logits `X @ W.T + bias`, or their softmax, to `out` in one reading of X.

    Parameters
    ----------
    W : ndarray of shape (k, d)
    bias : ndarray of float64 of shape (k,)
    X : ndarray of shape (b, d)
        Products are in the dtype of W and X.
    out : ndarray of float64 of shape (b, k)
    probabilities : bool

    Returns
    -------
    bool
        False if nothing is compiled, if compiled code does not accept these arrays or is slower, or if a logit is not
        finite.

    Examples
    --------
    >>> out = np.empty((1, 2))
    >>> done = scores(np.eye(2), np.zeros(2), np.ones((1, 2)), out, True)
    >>> not done or out.tolist() == [[0.5, 0.5]]
    True
    """
    return (
        _few_columns(W, readings=2)
        and _supported(W, X)
        and _supported(bias, out)
        and _module.scores(W, bias, X, out, probabilities)
    )


def extremes(X: Array) -> tuple[Array, Array]:
    """Return the smallest and largest value of each column.

    Parameters
    ----------
    X : ndarray of shape (n, d)

    Returns
    -------
    low, high : ndarray of shape (d,)

    Examples
    --------
    >>> extremes(np.array([[1.0, 5.0], [3.0, 4.0]]))
    (array([1., 4.]), array([3., 5.]))
    """
    if _module is None or not _supported(X):
        return X.min(axis=0), X.max(axis=0)
    low, high = np.empty(X.shape[1], X.dtype), np.empty(X.shape[1], X.dtype)
    _module.extremes(X, low, high)
    return low, high


def moments(X: Array, shift: Array, scale: Array) -> tuple[Array, Array]:
    """Return the sums of `z` and `z**2` for `z = (X - shift) / scale`, in float64.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    shift, scale : ndarray of shape (d,)

    Returns
    -------
    first, second : ndarray of shape (d,)

    Examples
    --------
    >>> moments(np.array([[1.0, 5.0], [3.0, 4.0]]), np.array([1.0, 0.0]), np.array([2.0, 1.0]))
    (array([1., 9.]), array([ 1., 41.]))
    """
    first, second = np.zeros(X.shape[1]), np.zeros(X.shape[1])
    if _module is not None and _supported(X):
        _module.moments(X, np.ascontiguousarray(shift, float), np.ascontiguousarray(scale, float), first, second)
        return first, second
    for a in range(0, len(X), 256):  # in short runs, whose float64 copies fit in the cache
        z = (X[a : a + 256].astype(np.float64) - shift) / scale
        first += z.sum(axis=0)
        second += np.einsum("ij,ij->j", z, z)
    return first, second


def supports_csr(X: Any) -> bool:
    """Return True if compiled code accepts this CSR matrix."""
    index = X.indices.dtype
    if _module is None or index not in (np.int32, np.int64) or X.indptr.dtype != index:
        return False
    return _supported(X.data) and all(a.flags.c_contiguous and a.flags.aligned for a in (X.indices, X.indptr))
