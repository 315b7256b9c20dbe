"""Numerically stable softmax, log-softmax and log-sum-exp of logits.

The functions take any batch: `axis` (by default the last) counts the classes, every other axis counts rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from softreg.probability.check_distributions import as_float, check_class_axis, row_name
from softreg.typing import FloatArray, IntArray


def largest(o: FloatArray, axis: int, name: str) -> tuple[IntArray, FloatArray]:
    """Return index and value of the largest logit of each row, and check the row.

    nan and +inf win every argmax, and a row of -inf has no other maximum, so the maxima reveal all three.

    Parameters
    ----------
    o : ndarray of shape (..., q)
        Logits with the classes on `axis`.
    axis : int
        Axis of the classes; kept with length 1 in the results.
    name : str
        Name of the argument in error messages.

    Returns
    -------
    index : ndarray of int
        Position of the largest logit on `axis`.
    value : ndarray
        The largest logit.

    Raises
    ------
    ValueError
        For a row with nan or +inf, or with -inf only; the message names the first.
    """
    check_class_axis(o, axis, name)
    at = np.argmax(o, axis=axis, keepdims=True)
    top = np.take_along_axis(o, at, axis=axis)
    if not np.isfinite(top).all():
        row, index = row_name(~np.isfinite(top.squeeze(axis)), name)
        value = float(top.squeeze(axis)[index])
        if value == -np.inf:
            raise ValueError(f"{row}: no class has a finite logit (all are -inf), so no class has any probability.")
        raise ValueError(
            f"{row} holds {value}. Logits must be finite numbers (or -inf, for a class without probability): "
            "look for a division by zero or an overflow where they were computed."
        )
    return at, top


def logsumexp(o: ArrayLike, axis: int = -1, keepdims: bool = False) -> FloatArray:
    """Return the logarithm of the sum of exponentials of the logits.

    `logsumexp(o) = log(sum_k exp(o_k)) = m + log(sum_k exp(o_k - m))`, where m is the largest logit: nothing overflows.
    The terms other than the largest are added by log1p, so that a tiny sum of them is not lost.

    Parameters
    ----------
    o : array_like of shape (..., q)
        Logits with the classes on `axis`; -inf is a class without mass.
    axis : int, default -1
        Axis of the classes.
    keepdims : bool, default False
        Whether the class axis stays with length 1.

    Returns
    -------
    ndarray of shape (...)
        Log-sum-exp in nats, between the largest logit and log(q) above it.

    Raises
    ------
    ValueError
        For a row with nan or +inf, for a row of -inf only, and where there is no class.

    References
    ----------
    Blanchard, Higham and Higham, "Accurately computing the log-sum-exp and softmax functions" (2021).

    Examples
    --------
    >>> print(logsumexp([1000.0, 1000.0]))  # 1000 + log 2, where exp(1000) overflows
    1000.6931471805599
    """
    o = as_float(o, "o")
    at, top = largest(o, axis, "o")
    with np.errstate(over="ignore", under="ignore"):
        total = top + _log_mass(o - top, at, axis)
    return total if keepdims else total.squeeze(axis)[()]


def log_softmax(o: ArrayLike, axis: int = -1) -> FloatArray:
    """Return the log-probability of each class: the logits, shifted so that their exponentials sum to 1.

    `log_softmax(o)_k = o_k - logsumexp(o)`

    Parameters
    ----------
    o : array_like of shape (..., q)
        Logits with the classes on `axis`.
    axis : int, default -1
        Axis of the classes.

    Returns
    -------
    ndarray of shape (..., q)
        Log-probabilities in nats, at most 0, never nan. They are finite for finite logits even where the probability
        underflows to 0, except where the difference of two logits exceeds the float range (1e308 and -1e308), which
        gives -inf. A logit of -inf gives -inf.

    Raises
    ------
    ValueError
        As `logsumexp` does.

    References
    ----------
    Goodfellow, Bengio and Courville, "Deep Learning" (2016), section 6.2.2.3.

    Examples
    --------
    >>> log_softmax([0.0, -1000.0])
    array([    0., -1000.])
    """
    o = as_float(o, "o")
    at, top = largest(o, axis, "o")
    with np.errstate(over="ignore", under="ignore"):
        z = o - top  # a difference beyond the float range is -inf, which is its limit
        return z - _log_mass(z, at, axis)


def softmax(o: ArrayLike, axis: int = -1) -> FloatArray:
    """Return the probabilities of the classes from their logits: positive, summing to 1, in the order of the logits.

    `softmax(o)_k = exp(o_k) / sum_j exp(o_j)`

    Parameters
    ----------
    o : array_like of shape (..., q)
        Logits with the classes on `axis`.
    axis : int, default -1
        Axis of the classes.

    Returns
    -------
    ndarray of shape (..., q)
        Probabilities; float32 stays float32. Adding a constant to a row changes nothing, and a single class has
        probability 1. -inf gives probability 0. Logits far below the largest (about 745 in float64, 104 in float32)
        underflow to 0; `log_softmax` still distinguishes them.

    Raises
    ------
    ValueError
        As `logsumexp` does.

    References
    ----------
    Bishop, "Pattern Recognition and Machine Learning" (2006), section 4.3.4.

    Examples
    --------
    >>> softmax(np.log([1.0, 2.0, 1.0]))
    array([0.25, 0.5 , 0.25])
    """
    o = as_float(o, "o")
    _, top = largest(o, axis, "o")
    with np.errstate(over="ignore", under="ignore"):
        e = np.exp(o - top)  # softmax ignores shifts, and exp of at most 0 cannot overflow
        p: FloatArray = e / e.sum(axis=axis, keepdims=True)
    return p


def _log_mass(z: FloatArray, at: IntArray, axis: int) -> FloatArray:
    """Return log(sum exp(z)) for z whose largest entry, 0, is at `at`; log1p of the rest keeps 1e-20 beside 1."""
    rest = np.exp(z)
    np.put_along_axis(rest, at, 0, axis=axis)
    mass: FloatArray = np.log1p(rest.sum(axis=axis, keepdims=True))
    return mass
