"""Products of a block of rows with a handful of columns: compiled where that is possible and pays, NumPy otherwise.

Each function has the same meaning either way. The compiled ones read each number of X once, at about the speed of
memory, where BLAS, made for large products, packs and waits; above some number of columns BLAS is the faster one.
`SOFTREG_KERNELS=0` in the environment turns the compiled ones off. Every sum is taken in an order that depends on the
shapes alone, in the one thread that asks for it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from softreg.typing import Array

INTERFACE = 5
"""What this file expects of the compiled module; one that was built from other sources is not used."""

MOST_BYTES = {"baseline": 128, "avx2": 256, "avx512": 256}
"""Dense products with more columns than fit into so many bytes (float32: 32, 64, 64) go to BLAS, a whole pass with more
than twice as many.

Measured with 784 features against an OpenBLAS for the same instruction set, in one thread: for AVX-512 in float32 the
compiled pass is 4.0 times as fast at 10 columns, 2.1 at 26, 1.4 at 64 and 1.2 at 128; the products are 4.1 (logits) and
2.6 times (gradient) as fast at 10 columns and 1.2 at 64. AVX2 and float64 come out a little nearer.
"""
NARROW = 128
"""Up to so many features a whole pass is compiled for any number of columns, except on the baseline: most of it is
then the softmax (120 to 480 columns of models of ten classes: 1.4 to 3.9 times as fast, in either precision)."""


@dataclass(frozen=True)
class Kernels:
    """Which kernels are in use: compiled for an instruction set (`level`), or NumPy's for a `reason`."""

    compiled: bool
    level: str | None
    reason: str


def _look() -> tuple[Any, str]:
    """The compiled module, or None and the reason."""
    if os.environ.get("SOFTREG_KERNELS", "").strip().lower() in ("0", "off", "no", "false"):
        return None, "SOFTREG_KERNELS turns the compiled ones off"
    try:
        found = import_module("softreg.rows.kernels._compiled")
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError):
            return None, "none were compiled when softreg was installed"
        return None, f"the compiled ones cannot be loaded: {error}"
    if found.INTERFACE != INTERFACE:
        return None, "the compiled ones belong to other sources; install softreg again"
    return found, ""


_module, _reason = _look()


def kernels_in_use() -> Kernels:
    """Which kernels are in use in this process.

    Example:
        >>> kernels_in_use().compiled == (kernels_in_use().level is not None)
        True
    """
    if _module is None:
        return Kernels(False, None, _reason)
    return Kernels(True, _module.level(), "")


def _few(columns: Array, readings: int = 1) -> bool:
    """Whether these are so few columns (one a row of the array) that BLAS, with `readings` of X, would be slower."""
    return _module is not None and 0 < len(columns) * columns.itemsize <= readings * MOST_BYTES[_module.level()]


def _fit(*arrays: Array) -> bool:
    """Whether compiled code takes these arrays as they are: one dtype, C order, aligned."""
    kind = arrays[0].dtype
    if kind != np.float32 and kind != np.float64:
        return False
    return all(a.dtype == kind and a.flags.c_contiguous and a.flags.aligned for a in arrays)


def times(W: Array, X: Array) -> Array:
    """`W @ X.T`, (k, b) = (k, d) @ (d, b).

    Example:
        >>> times(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [5.0, 6.0]]))
        array([[11., 17.]])
    """
    if not _few(W) or not _fit(W, X):
        return np.asarray(W @ X.T)
    out = np.empty((len(W), len(X)), W.dtype)
    _module.times(W, X, out)
    return out


def transposed_times(R: Array, X: Array) -> Array:
    """`R @ X`, (k, d) = (k, b) @ (b, d).

    Example:
        >>> transposed_times(np.array([[1.0, 2.0]]), np.array([[3.0, 4.0], [5.0, 6.0]]))
        array([[13., 16.]])
    """
    if not _few(R) or not _fit(R, X):
        return np.asarray(R @ X)
    out = np.empty((len(R), X.shape[1]), R.dtype)
    _module.transposed_times(R, X, out)
    return out


def loss_and_gradient(
    W: Array, bias: Array, X: Array, q: int, labels: Array, V: Array | None, logits: Array | None
) -> tuple[Array, Array, Array] | None:
    """Summed cross-entropy (m,), summed residual (k,), both float64, and `R @ X` (k, d), in one reading of X (b, d).

    Column `j q + c` of W (k, d) and bias (k,) is class c of model j. labels: codes (b,) or label probabilities (b, q);
    V: row weights (m, b), (1, b) or None. `logits` (k, b) receives `W @ X.T + bias` where it is given. None where
    nothing is compiled, or `times` and `transposed_times` are the faster way or the only one.

    Example:
        >>> X, W, b, labels = np.eye(2), np.zeros((2, 2)), np.zeros(2), np.array([0, 1])
        >>> done = loss_and_gradient(W, b, X, 2, labels, None, None)
        >>> done is None or (done[0] / np.log(2)).round(12).tolist() == [2.0]
        True
    """
    narrow = _module is not None and X.shape[1] <= NARROW and _module.level() != "baseline"
    if not (narrow or _few(W, readings=2)) or not _fit(W, bias, X) or (logits is not None and not _fit(W, logits)):
        return None
    k, m = len(W), len(W) // q
    codes = np.ascontiguousarray(labels, np.int64) if labels.ndim == 1 else None
    Y = np.ascontiguousarray(labels, W.dtype) if labels.ndim == 2 else None
    V = None if V is None else np.ascontiguousarray(V, np.float64)
    loss, residual, G = np.empty(m), np.empty(k), np.empty((k, X.shape[1]), W.dtype)
    _module.loss_and_gradient(W, bias, X, codes, Y, V, logits, loss, residual, G)
    return loss, residual, G


def scores(W: Array, bias: Array, X: Array, out: Array, probabilities: bool) -> bool:
    """Write `X @ W.T + bias`, or the softmax of that, to `out` (b, k) in float64, in one reading of X (b, d).

    The products are those of the dtype of W (k, d) and X; bias (k,) is float64. False where nothing is compiled, where
    compiled code does not take these arrays or is the slower way, and where a logit is not finite.

    Example:
        >>> out = np.empty((1, 2))
        >>> done = scores(np.eye(2), np.zeros(2), np.ones((1, 2)), out, True)
        >>> not done or out.tolist() == [[0.5, 0.5]]
        True
    """
    return _few(W, readings=2) and _fit(W, X) and _fit(bias, out) and _module.scores(W, bias, X, out, probabilities)


def extremes(X: Array) -> tuple[Array, Array]:
    """Smallest and largest number of each column, (d,) each.

    Example:
        >>> extremes(np.array([[1.0, 5.0], [3.0, 4.0]]))
        (array([1., 4.]), array([3., 5.]))
    """
    if _module is None or not _fit(X):
        return X.min(axis=0), X.max(axis=0)
    low, high = np.empty(X.shape[1], X.dtype), np.empty(X.shape[1], X.dtype)
    _module.extremes(X, low, high)
    return low, high


def moments(X: Array, shift: Array, scale: Array) -> tuple[Array, Array]:
    """Sums of `z` and `z**2` for `z = (X - shift) / scale`, (d,) each, in float64.

    Example:
        >>> moments(np.array([[1.0, 5.0], [3.0, 4.0]]), np.array([1.0, 0.0]), np.array([2.0, 1.0]))
        (array([1., 9.]), array([ 1., 41.]))
    """
    first, second = np.zeros(X.shape[1]), np.zeros(X.shape[1])
    if _module is not None and _fit(X):
        _module.moments(X, np.ascontiguousarray(shift, float), np.ascontiguousarray(scale, float), first, second)
        return first, second
    for a in range(0, len(X), 256):  # a short run at a time: float64 copies that stay in the cache
        z = (X[a : a + 256].astype(np.float64) - shift) / scale
        first += z.sum(axis=0)
        second += np.einsum("ij,ij->j", z, z)
    return first, second


def knows_csr(X: Any) -> bool:
    """Whether there is compiled code for this CSR matrix as it is."""
    index = X.indices.dtype
    if _module is None or index not in (np.int32, np.int64) or X.indptr.dtype != index:
        return False
    return _fit(X.data) and all(a.flags.c_contiguous and a.flags.aligned for a in (X.indices, X.indptr))


def _fits_csr(X: Any, *dense: Array) -> bool:
    """Whether compiled code takes this CSR matrix and these dense arrays as they are; double data meet float ones."""
    wide_enough = X.data.dtype in (dense[0].dtype, np.float64)
    return knows_csr(X) and _fit(*dense) and wide_enough


def csr_times(X: Any, W: Array) -> Array:
    """`(X @ W).T`, (k, b), for CSR rows X (b, d) and W (d, k); in the precision of W, where X has at least that.

    Example:
        >>> import scipy.sparse as sp
        >>> csr_times(sp.csr_array([[0.0, 2.0], [1.0, 0.0]]), np.array([[1.0], [5.0]]))
        array([[10.,  1.]])
    """
    if not _fits_csr(X, W):
        return np.ascontiguousarray((X @ W).T, dtype=W.dtype)
    out = np.empty((W.shape[1], X.shape[0]), W.dtype)
    _module.csr_times(X.data, X.indices, X.indptr, W, out)
    return out


def csr_transposed_times(R: Array, X: Any, onto: Array | None = None) -> Array:
    """`R @ X`, (k, d), for CSR rows X (b, d) and R (k, b); in Fortran order, since a stored number meets k of them.

    With `onto` (d, k) in the dtype of R, in C order, the product is added there, and its transpose is returned.

    Example:
        >>> import scipy.sparse as sp
        >>> csr_transposed_times(np.array([[1.0, 3.0]]), sp.csr_array([[0.0, 2.0], [1.0, 0.0]]))
        array([[3., 2.]])
    """
    if not _fits_csr(X, R):
        product = np.asarray(X.T @ np.ascontiguousarray(R.T), dtype=R.dtype)
        return np.asarray(product if onto is None else np.add(onto, product, out=onto)).T
    out = np.zeros((X.shape[1], len(R)), R.dtype) if onto is None else onto
    _module.csr_transposed_times(X.data, X.indices, X.indptr, R, out)
    return out.T


def csr_loss_and_gradient(
    X: Any, W: Array, bias: Array, labels: Array, q: int, V: Array | None, logits: Array | None
) -> tuple[Array, Array, Array] | None:
    """Loss, residual and gradient of softmax models from one reading of CSR rows, or None where NumPy must compose it.

    X (b, d), W (d, k) and bias (k,) with k = models x q; labels are codes (b,) or shares (b, q); V (m, b), (1, b) or
    None. `logits` (k, b) receives `(X @ W).T + bias`, unless it is None. Returns the summed V-weighted cross-entropy
    (m,) and residual (k,) in float64, and `R @ X` (k, d) in Fortran order. Raises `ValueError` for codes outside
    0 .. q - 1 and shapes that do not fit.

    Example:
        >>> import scipy.sparse as sp
        >>> X = sp.csr_array([[0.0, 2.0], [1.0, 0.0]])
        >>> found = csr_loss_and_gradient(X, np.zeros((2, 2)), np.zeros(2), np.array([0, 1]), 2, None, None)
        >>> found is None or (found[0].round(4).tolist(), found[2].tolist()) == ([1.3863], [[0.5, -1.0], [-0.5, 1.0]])
        True
    """
    if not _fits_csr(X, W, bias) or not (logits is None or _fit(W, logits)):
        return None
    codes = shares = None
    if labels.ndim == 1:
        codes = np.ascontiguousarray(labels, dtype=np.int64)
    else:
        shares = np.ascontiguousarray(labels, dtype=W.dtype)
    weights = None if V is None else np.ascontiguousarray(V, dtype=np.float64)
    loss, sums, G = np.zeros(W.shape[1] // q), np.zeros(W.shape[1]), np.zeros(W.shape, W.dtype)
    rows = (X.data, X.indices, X.indptr)
    _module.csr_loss_and_gradient(*rows, W, bias, codes, shares, weights, logits, loss, sums, G)
    return loss, sums, G.T
