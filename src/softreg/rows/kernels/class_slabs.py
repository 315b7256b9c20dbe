"""Products, softmax and dual steps for many classes: compiled, and the same in NumPy.

Numbers of classes lie in slabs of `SLAB` neighbouring classes: an array (slabs, rows, SLAB), which may be a view of an
array (rows, slabs x SLAB). A slab of the weights stays in the cache while many rows are multiplied by it.

Dual probabilities alpha are kept as codes, whole numbers of two bytes: code c stands for `exp(-c / 2048)`, and
`NO_CLASS` for 0, which the classes behind the last one have.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from softreg.rows.kernels import products as kernels
from softreg.rows.kernels.dual_step import best_row
from softreg.typing import Array

SLAB = 128
"""Classes in a slab."""
CODES_PER_NAT = 2048
"""Codes for each nat of the logarithm of a dual probability."""
NO_CLASS = 65535
"""The code of a probability of 0."""
SMALLEST = 65534
"""The code of the smallest probability that is not 0."""
LOG_OF_ZERO = -1000.0
"""The logarithm that stands for a probability of 0."""


@dataclass(frozen=True)
class CsrRun:
    """A run of CSR rows as arrays, whose `indptr` may start anywhere."""

    data: Array
    indices: Array
    indptr: Array
    d: int

    @classmethod
    def of(cls, X: Any) -> CsrRun:
        """Return the rows of a matrix or array."""
        return cls(X.data, X.indices, X.indptr, X.shape[1])

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.indptr) - 1

    def some(self, start: int, stop: int) -> CsrRun:
        """Return rows `start` to `stop`; nothing is copied."""
        return CsrRun(self.data, self.indices, self.indptr[start : stop + 1], self.d)

    def compiled(self, dtype: Any) -> bool:
        """Return True if compiled code multiplies these rows in this precision."""
        kinds = (np.dtype(np.float32), np.dtype(np.float64))
        return (
            kernels._module is not None
            and self.data.dtype in kinds
            and dtype in kinds
            and self.data.dtype.itemsize >= dtype.itemsize
            and self.indices.dtype == self.indptr.dtype
            and self.indices.dtype in (np.int32, np.int64)
            and all(a.flags.c_contiguous for a in (self.data, self.indices, self.indptr))
        )

    def matrix(self) -> Any:
        """Return the rows as a csr_array."""
        import scipy.sparse as sp

        span = slice(self.indptr[0], self.indptr[-1])
        parts = (self.data[span], self.indices[span], self.indptr - self.indptr[0])
        return sp.csr_array(parts, shape=(len(self), self.d))


def slabs_of(A: Array) -> Array:
    """Return an array (rows, slabs x SLAB) as a view (slabs, rows, SLAB).

    Parameters
    ----------
    A : ndarray
        Its number of columns is a multiple of `SLAB`.

    Returns
    -------
    ndarray

    Examples
    --------
    >>> slabs_of(np.zeros((3, 256))).shape
    (2, 3, 128)
    """
    return A.reshape(len(A), -1, SLAB).transpose(1, 0, 2)


def slab_times(
    X: CsrRun,
    W: Array,
    out: Array,
    *,
    bias: Array | None = None,
    target: Array | None = None,
    first: int = 0,
    add: bool = False,
) -> None:
    """Write `X @ W + bias` of each slab to `out`.

    Parameters
    ----------
    X : CsrRun
        b rows.
    W : ndarray of shape (slabs, d, SLAB)
    out : ndarray of shape (slabs, rows, SLAB)
        Row i of the product goes to row `first + i`, or to row `target[i]`.
    bias : ndarray of shape (slabs, SLAB), optional
    target : ndarray of int64 of shape (b,), optional
    first : int
    add : bool
        Add the product to what `out` has, instead of the bias.

    Examples
    --------
    >>> import scipy.sparse as sp
    >>> out = np.empty((1, 1, SLAB))
    >>> slab_times(CsrRun.of(sp.csr_array([[0.0, 2.0]])), np.ones((1, 2, SLAB)), out)
    >>> out[0, 0, :3].tolist()
    [2.0, 2.0, 2.0]
    """
    if X.compiled(out.dtype):
        module = kernels._module
        module.slab_times(X.data, X.indices, X.indptr, target, W, bias, out, first, add)
        return
    matrix = X.matrix()
    rows = slice(first, first + len(X)) if target is None else target
    for s in range(len(W)):
        product = np.asarray(matrix @ W[s], dtype=out.dtype)
        out[s, rows] = product + (out[s, rows] if add else 0 if bias is None else bias[s])


def slab_softmax(
    Z: Array, first: int, q: int, codes: Array | None, weights: Array | None, loss: Array, p_label: Array
) -> None:
    """Turn rows of logits into `weight (P - Y)`, in place.

    Parameters
    ----------
    Z : ndarray of shape (slabs, rows, SLAB)
        Logits of rows `first` to `first + len(loss)`; classes behind the q-th become 0.
    first, q : int
    codes : ndarray of int64 of shape (b,) or None
        Labels; without them Z becomes `weight P`.
    weights : ndarray of float64 of shape (b,) or None
    loss : ndarray of float64 of shape (b,)
        Receives the cross-entropy of each row, or without labels the logarithm of the sum of exponentials.
    p_label : ndarray of float64 of shape (b,)
        Receives the probability of each label.

    Examples
    --------
    >>> Z, loss, p = np.zeros((1, 1, SLAB)), np.zeros(1), np.zeros(1)
    >>> slab_softmax(Z, 0, 4, np.array([1]), None, loss, p)
    >>> Z[0, 0, :5].tolist(), p.tolist(), (loss / np.log(4)).round(6).tolist()
    ([0.25, -0.75, 0.25, 0.25, 0.0], [0.25], [1.0])
    """
    if kernels._module is not None and Z.dtype in (np.float32, np.float64):
        kernels._module.slab_softmax(Z, first, q, codes, weights, loss, p_label)
        return
    b = len(loss)
    o = np.moveaxis(Z[:, first : first + b], 1, 0).reshape(b, -1)[:, :q].astype(np.float64)
    top = o.max(axis=1)
    e = np.exp(o - top[:, None])
    total = e.sum(axis=1)
    P, v, index = e / total[:, None], np.ones(b) if weights is None else weights, np.arange(b)
    loss[:] = np.log(total) + top
    p_label[:] = P[:, 0] if codes is None else P[index, codes]
    if codes is not None:
        loss -= o[index, codes]
        P[index, codes] -= 1
    whole = np.zeros((b, len(Z) * SLAB))
    whole[:, :q] = P * v[:, None]
    Z[:, first : first + b] = slabs_of(whole)


@dataclass(frozen=True)
class WideDual:
    """Dual variables and weights of one model of many classes, which `wide_dual_steps` changes in place.

    All arrays of classes have a multiple of `SLAB` columns; see `rows.dual_variables.Dual` for the rest.

    Attributes
    ----------
    W : ndarray of float32 of shape (d, width)
        Weights.
    bias, bias_weights : ndarray of float32 of shape (width,)
        The bias is ``bias + bias_scale * bias_weights``.
    codes : ndarray of uint16 of shape (n, width)
        Dual probabilities.
    curvature, divergence : ndarray of float32 of shape (n,)
    weights : ndarray of float32 of shape (n,) or None
    bias_scale, rate : float
    """

    W: Array
    bias: Array
    bias_weights: Array
    codes: Array
    curvature: Array
    weights: Array | None
    divergence: Array
    bias_scale: float
    rate: float


def encoded(log_alpha: Array) -> Array:
    """Return the codes of logarithms of dual probabilities.

    Parameters
    ----------
    log_alpha : ndarray

    Returns
    -------
    ndarray of uint16

    Examples
    --------
    >>> encoded(np.log([1.0, 0.5, 1e-30]))
    array([    0,  1420, 65534], dtype=uint16)
    """
    return np.clip(np.floor(log_alpha * -CODES_PER_NAT + 0.5), 0, SMALLEST).astype(np.uint16)


def decoded(codes: Array) -> Array:
    """Return the logarithms of dual probabilities, `LOG_OF_ZERO` for a probability of 0.

    Parameters
    ----------
    codes : ndarray of uint16

    Returns
    -------
    ndarray of float32

    Examples
    --------
    >>> decoded(np.array([0, 2048, 65535], dtype=np.uint16)).tolist()
    [-0.0, -1.0, -1000.0]
    """
    log_a = codes.astype(np.float32) * np.float32(-1 / CODES_PER_NAT)
    return np.where(codes == NO_CLASS, np.float32(LOG_OF_ZERO), log_a)


def wide_dual_steps(X: CsrRun, order: Array, dual: WideDual) -> None:
    """Take a dual coordinate step for each of the rows `order` in turn, as `dual_step.dual_steps` does.

    The dual probabilities of a row are rounded to codes, and the weights change by the rounded ones.

    Parameters
    ----------
    X : CsrRun
        n rows.
    order : ndarray of int64
        Row numbers.
    dual : WideDual
        Updated in place.
    """
    if X.compiled(dual.W.dtype):
        state = (dual.W, dual.bias, dual.bias_weights, dual.codes, dual.curvature, dual.weights, dual.divergence)
        arrays = (X.data, X.indices, X.indptr)
        kernels._module.wide_dual_steps(*arrays, order, *state, dual.bias_scale, dual.rate)
        return
    for i in order:
        _wide_step(X, int(i), dual)


def _wide_step(X: CsrRun, i: int, dual: WideDual) -> None:
    span = slice(X.indptr[i], X.indptr[i + 1])
    x, columns, real = X.data[span].astype(np.float32), X.indices[span], dual.codes[i] != NO_CLASS
    o = (x @ dual.W[columns] + dual.bias + dual.bias_scale * dual.bias_weights)[real]
    top = o.max()
    o = o - (np.log(np.exp(o - top).sum()) + top)
    log_a = decoded(dual.codes[i, real])
    before, v = np.exp(log_a), 1.0 if dual.weights is None else dual.weights[i]
    dual.divergence[i] = before @ (log_a - o) - before.sum() + 1
    if v == 0:
        return
    dual.codes[i, real] = encoded(best_row(log_a, o, v * dual.curvature[i]))
    change = np.zeros(len(real), np.float32)
    change[real] = (before - np.exp(decoded(dual.codes[i, real]))) * v * dual.rate
    np.add.at(dual.W, columns, x[:, None] * change)
    dual.bias_weights[:] += dual.bias_scale * change


def wide_alpha(
    codes: Array,
    shift: Array | None,
    Z: Array,
    total: Array,
    *,
    known: bool = False,
    divergence: Array | None = None,
    mass: Array | None = None,
) -> None:
    """Write dual probabilities, `alpha exp(shift) / total`, to the first rows of Z.

    Parameters
    ----------
    codes : ndarray of uint16 of shape (b, slabs x SLAB)
    shift : ndarray of float32 of shape (slabs x SLAB,) or None
    Z : ndarray of shape (slabs, rows, SLAB)
        With `divergence`, it holds the logits at first.
    total : ndarray of float64 of shape (b,)
        The sums of `alpha exp(shift)` of each row: they are written, or used where they are `known`.
    known : bool
        Z may then have some of the classes only.
    divergence, mass : ndarray of float64 of shape (b,), optional
        Receive `KL(alpha || softmax(o))` and the logarithm of the sum of `exp(o)` of each row.

    Examples
    --------
    >>> Z, total = np.zeros((1, 1, SLAB), np.float32), np.zeros(1)
    >>> wide_alpha(encoded(np.full((1, SLAB), np.log(1 / SLAB))), None, Z, total)
    >>> bool(np.allclose(Z, 1 / SLAB)), total.round(3).tolist()
    (True, [1.0])
    """
    if kernels._module is not None and Z.dtype in (np.float32, np.float64):
        kernels._module.wide_alpha(codes, shift, Z, 0, divergence, mass, total, known)
        return
    b = len(codes)
    log_a = np.minimum(decoded(codes) + (0 if shift is None else shift), 0).astype(np.float64)
    a = np.exp(log_a)
    if not known:
        total[:] = a.sum(axis=1)
    if divergence is not None and mass is not None:
        o = np.moveaxis(Z[:, :b], 1, 0).reshape(b, -1).astype(np.float64)
        top = o.max(axis=1)
        mass[:] = np.log(np.exp(o - top[:, None]).sum(axis=1)) + top
        with np.errstate(invalid="ignore"):
            divergence[:] = np.where(a > 0, a * (log_a - o), 0.0).sum(axis=1) / total - np.log(total) + mass
    Z[:, :b] = slabs_of(a / total[:, None])


def chunk_exp(Z: Array, bias: Array, codes: Array, top: Array, total: Array, label: Array) -> None:
    """Turn logits of a few neighbouring classes, without their bias, into `exp(logits - top)`, in place.

    Parameters
    ----------
    Z : ndarray of shape (k, b)
        Class by class.
    bias : ndarray of shape (k,)
    codes : ndarray of int64 of shape (b,)
        Labels, counted from the first of these classes; they may lie outside 0 .. k - 1.
    top, total : ndarray of shape (b,)
        Receive the largest of these k logits of each row, and the sum of the exponentials.
    label : ndarray of shape (b,)
        Receives the logit of each label that is among these classes.

    Examples
    --------
    >>> Z, top, total, label = np.zeros((2, 1)), np.zeros(1), np.zeros(1), np.zeros(1)
    >>> chunk_exp(Z, np.array([1.0, 2.0]), np.array([0]), top, total, label)
    >>> Z.round(3).tolist(), top.tolist(), total.round(3).tolist(), label.tolist()
    ([[0.368], [1.0]], [2.0], [1.368], [1.0])
    """
    if kernels._module is not None and Z.dtype in (np.float32, np.float64):
        kernels._module.chunk_exp(Z, bias, codes, top, total, label)
        return
    Z += bias[:, None]
    here = np.flatnonzero((codes >= 0) & (codes < len(Z)))
    label[here] = Z[codes[here], here]
    Z.max(axis=0, out=top)
    Z -= top
    np.exp(Z, out=Z)
    Z.sum(axis=0, out=total)


def chunk_residual(Z: Array, factor: Array, weight: Array | None, codes: Array, mass: Array, square: Array) -> None:
    """Turn the exponentials of `chunk_exp` into `weight (P - Y)`, in place.

    Parameters
    ----------
    Z : ndarray of shape (k, b)
    factor : ndarray of shape (b,)
        The weight of each row times `exp(top - log sum exp)`.
    weight : ndarray of shape (b,) or None
    codes : ndarray of int64 of shape (b,)
    mass, square : ndarray of float64 of shape (k,)
        Receive the sums over the rows of `weight p` and `weight p^2`.

    Examples
    --------
    >>> Z, mass, square = np.ones((2, 1)), np.zeros(2), np.zeros(2)
    >>> chunk_residual(Z, np.array([0.5]), None, np.array([1]), mass, square)
    >>> Z.tolist(), mass.tolist(), square.tolist()
    ([[0.5], [-0.5]], [0.5, 0.5], [0.25, 0.25])
    """
    if kernels._module is not None and Z.dtype in (np.float32, np.float64):
        kernels._module.chunk_residual(Z, factor, weight, codes, mass, square)
        return
    Z *= factor
    mass[:] = Z.sum(axis=1)
    square[:] = np.einsum("kb,kb->k", Z, Z if weight is None else Z / np.where(weight > 0, weight, 1))
    here = np.flatnonzero((codes >= 0) & (codes < len(Z)))
    Z[codes[here], here] -= 1 if weight is None else weight[here]
