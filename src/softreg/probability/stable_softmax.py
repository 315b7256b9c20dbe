"""Numerically stable softmax, log-softmax and log-sum-exp of logits.

The functions take any batch: `axis` (by default the last) counts the classes, every other axis counts rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from softreg.probability.check_distributions import as_float, check_class_axis, row_name
from softreg.typing import FloatArray, IntArray


def largest(o: FloatArray, axis: int, name: str) -> tuple[IntArray, FloatArray]:
    """Return place and value of the largest logit of each row, `axis` kept with length 1; no nan, +inf or only -inf.

    nan and +inf win every argmax, and a row of -inf has no other maximum, so one look at the maxima finds all three.

    Returns
    -------
    tuple[ndarray, ndarray]
        Place and value of the largest logit of each row, `axis` kept with length 1; no nan, +inf or only -inf.

    Raises
    ------
    ValueError
        Naming the first row that holds nan or +inf, or only -inf.
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
    """Return log of the sum of exponentials: the logarithm of the total mass that the logits stand for.

    `logsumexp(o) = log(sum_k exp(o_k)) = m + log(sum_k exp(o_k - m))` with m the largest logit, so that nothing
    overflows, and the largest term is added by log1p, so that a tiny rest is not lost.

    Parameters
    ----------
    o : array_like
        Logits (..., q), any batch, classes on `axis`; -inf is a class without mass.

    Returns
    -------
    ndarray
        Shape (...) in nats (with `keepdims`, the class axis stays with length 1). It is smooth, at least the largest
        logit, and at most log(q) above.

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
    """Return log-probability of each class: the logits, shifted so that their exponentials sum to 1.

    `log_softmax(o)_k = o_k - logsumexp(o)`

    Parameters
    ----------
    o : array_like
        Logits (..., q), any batch, classes on `axis`.

    Returns
    -------
    ndarray
        The same shape, in nats, at most 0, never nan. It is finite for finite logits even where the probability
        underflows to 0 (the one exception: logits further apart than the largest float, such as 1e308 and -1e308, whose
        true answer no float can hold, give -inf). A logit of -inf gives -inf.

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
    """Probabilities of the classes, from their logits: positive, summing to 1, in the order of the logits.

    `softmax(o)_k = exp(o_k) / sum_j exp(o_j)`

    Parameters
    ----------
    o : array_like
        Logits (..., q), any batch, classes on `axis`.

    Returns
    -------
    ndarray
        The same shape; float32 stays float32. Adding a constant to a row changes nothing, and one class alone has
        probability 1. -inf gives probability 0. Logits far below the largest (about 745 in float64, 104 in float32)
        underflow to 0; `log_softmax` still tells them apart.

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
    """log(sum exp(z)) for z with its largest entry, 0, at `at`: log1p of the rest keeps 1e-20 beside 1."""
    rest = np.exp(z)
    np.put_along_axis(rest, at, 0, axis=axis)
    mass: FloatArray = np.log1p(rest.sum(axis=axis, keepdims=True))
    return mass
