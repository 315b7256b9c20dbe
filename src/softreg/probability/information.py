"""Information measures of distributions: surprisal, entropy, cross-entropy, KL divergence, perplexity.

All are measured in nats (natural logarithm) or, with `unit="bit"`, in bits: 1 nat = 1 / log(2) = 1.4427 bit.
"""

from __future__ import annotations

from math import log
from typing import Literal, TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from softreg.probability.check_distributions import as_float, check_probabilities
from softreg.typing import FloatArray

Unit: TypeAlias = Literal["nat", "bit"]
Number = TypeVar("Number", FloatArray, float)


def surprisal(p: ArrayLike, *, unit: Unit = "nat") -> FloatArray:
    """Return the surprisal of events of probability p.

    `surprisal(p) = -log(p)`

    Parameters
    ----------
    p : array_like
        Probabilities of single events, any shape; they need not sum to 1.
    unit : {"nat", "bit"}, default "nat"
        Unit of the result.

    Returns
    -------
    ndarray
        Surprisal in the shape of `p`, from 0 for a certain event to inf for probability 0.

    Raises
    ------
    ValueError
        For a number outside 0..1 (1e-6 above 1 passes as rounding) and for another unit.

    References
    ----------
    Shannon, "A mathematical theory of communication" (1948).
    Tribus (1961) gave the name.

    Examples
    --------
    >>> print(surprisal([1.0, 0.5, 0.25, 0.0], unit="bit"))
    [ 0.  1.  2. inf]
    """
    p = as_float(p, "p")
    bad = ~((p >= 0) & (p <= 1 + 1e-6))
    if bad.any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        where = f" (at {index[0] if len(index) == 1 else index})" if index else ""
        raise ValueError(f"p holds {p[index]:.10g}{where}, but a probability lies between 0 and 1.")
    return in_unit(_minus_log(p), unit)


def entropy(p: ArrayLike, *, axis: int = -1, unit: Unit = "nat") -> FloatArray:
    """Return the entropy of a distribution: the expected surprisal of a draw from it.

    `H(p) = -sum_k p_k log(p_k)`, with 0 log 0 = 0

    Parameters
    ----------
    p : array_like of shape (..., q)
        Distributions with the classes on `axis`.
    axis : int, default -1
        Axis of the classes.
    unit : {"nat", "bit"}, default "nat"
        Unit of the result.

    Returns
    -------
    ndarray of shape (...)
        Entropy, from 0 (one class has probability 1) to log(q) (all are equally likely).

    Raises
    ------
    ValueError
        For a row that is no distribution and for another unit.

    References
    ----------
    Shannon (1948).
    Cover and Thomas, "Elements of Information Theory" (2006), section 2.1.

    Examples
    --------
    >>> print(entropy([[0.5, 0.5], [1.0, 0.0]], unit="bit"))
    [1. 0.]
    """
    p = check_probabilities(p, name="p", axis=axis)
    return in_unit(_expected(p, _minus_log(p), axis), unit)


def cross_entropy(p: ArrayLike, q: ArrayLike, *, axis: int = -1, unit: Unit = "nat") -> FloatArray:
    """Return the cross-entropy: the expected surprisal under q of draws from p.

    `H(p, q) = -sum_k p_k log(q_k) = H(p) + KL(p, q)`, with 0 log 0 = 0

    Parameters
    ----------
    p : array_like of shape (..., c)
        Distributions with the classes on `axis`.
    q : array_like of shape (..., c)
        Distributions over the same classes; the other axes broadcast.
    axis : int, default -1
        Axis of the classes.
    unit : {"nat", "bit"}, default "nat"
        Unit of the result.

    Returns
    -------
    ndarray of shape (...)
        Cross-entropy; inf where p has mass and q has none. For a one-hot p it is the surprisal of the true class.

    Raises
    ------
    ValueError
        For a row that is no distribution, for different numbers of classes and for another unit.

    Notes
    -----
    From logits, `cross_entropy_with_logits` is more accurate, since no probability underflows.

    References
    ----------
    Cover and Thomas (2006), section 2.3.
    Good, "Rational decisions" (1952).

    Examples
    --------
    >>> print(cross_entropy([0.0, 1.0], [0.75, 0.25], unit="bit"))
    2.0
    """
    p, q = _pair(p, q, axis)
    return in_unit(_expected(p, _minus_log(q), axis), unit)


def kl_divergence(p: ArrayLike, q: ArrayLike, *, axis: int = -1, unit: Unit = "nat") -> FloatArray:
    """Return the Kullback-Leibler divergence, the expected extra surprisal of draws from p under q; 0 where q = p.

    `KL(p, q) = sum_k p_k log(p_k / q_k) = sum_k (p_k log(p_k / q_k) - p_k + q_k)`; the second form has no negative
    term, so that rounding cannot make the result negative and nearly equal distributions keep their digits.

    Parameters
    ----------
    p : array_like of shape (..., c)
        Distributions with the classes on `axis`.
    q : array_like of shape (..., c)
        Distributions over the same classes; the other axes broadcast.
    axis : int, default -1
        Axis of the classes.
    unit : {"nat", "bit"}, default "nat"
        Unit of the result.

    Returns
    -------
    ndarray of shape (...)
        Divergence, never negative; inf where p has mass and q has none. It is not symmetric.

    Raises
    ------
    ValueError
        As `cross_entropy` does.

    References
    ----------
    Kullback and Leibler, "On information and sufficiency" (1951).

    Examples
    --------
    >>> print(kl_divergence([0.5, 0.5], [1.0, 0.0]), kl_divergence([1.0, 0.0], [0.5, 0.5], unit="bit"))
    inf 1.0
    """
    p, q = _pair(p, q, axis)
    p, q = np.broadcast_arrays(p, q)
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        t = (q - p) / p
        near = p * (t - np.log1p(t))  # no cancellation where q is close to p
        far = (q - p) + p * (_minus_log(q) - _minus_log(p))  # nor here, where it is not
    terms = np.where(p == 0, q, np.where(abs(t) < 0.5, near, far))
    return in_unit(terms.sum(axis=axis), unit)


def perplexity(p: ArrayLike, q: ArrayLike | None = None, *, axis: int = -1, unit: Unit = "nat") -> FloatArray:
    """Return the perplexity: the number of equally likely classes of the same entropy.

    `perplexity(p) = exp(H(p))`, and with q, `perplexity(p, q) = exp(H(p, q))`.

    Parameters
    ----------
    p : array_like of shape (..., c)
        Distributions with the classes on `axis`.
    q : array_like of shape (..., c), optional
        Distributions over the same classes; the other axes broadcast.
    axis : int, default -1
        Axis of the classes.
    unit : {"nat", "bit"}, default "nat"
        Checked, but without effect: exp of nats and 2 to the power of bits are the same number.

    Returns
    -------
    ndarray of shape (...)
        Perplexity, from 1 to the number of classes (with q: to inf), without a unit.

    Raises
    ------
    ValueError
        As `cross_entropy`.

    References
    ----------
    Jelinek, Mercer, Bahl and Baker, "Perplexity: a measure of the difficulty of speech recognition tasks" (1977).

    Examples
    --------
    >>> print(perplexity([0.25, 0.25, 0.25, 0.25]), perplexity([1.0, 0.0]))
    4.0 1.0
    """
    in_unit(0.0, unit)
    nats = entropy(p, axis=axis) if q is None else cross_entropy(p, q, axis=axis)
    with np.errstate(over="ignore"):
        result: FloatArray = np.exp(nats)
    return result


def in_unit(nats: Number, unit: str) -> Number:
    """Convert a value in nats to `unit`.

    Parameters
    ----------
    nats : ndarray or float
        Value in nats.
    unit : {"nat", "bit"}
        Unit of the result.

    Returns
    -------
    ndarray or float
        The converted value.

    Raises
    ------
    ValueError
        If `unit` is neither "nat" nor "bit".

    Examples
    --------
    >>> print(in_unit(1.0, "bit"))
    1.4426950408889634
    """
    if unit == "nat":
        return nats
    if unit == "bit":
        return nats / log(2)
    raise ValueError(f"unit is {unit!r}, but it must be 'nat' (natural logarithm) or 'bit' (logarithm to base 2).")


def _minus_log(p: FloatArray) -> FloatArray:
    """Return -log(p), inf at 0; a difference, because -log(1) would print as -0."""
    with np.errstate(divide="ignore"):
        s: FloatArray = 0 - np.log(p)
    return s


def _expected(p: FloatArray, values: FloatArray, axis: int) -> FloatArray:
    """Return sum_k p_k values_k; a class without mass adds nothing even if its value is infinite."""
    p, values = np.broadcast_arrays(p, values)
    products = np.multiply(p, values, where=p > 0, out=np.zeros(p.shape, np.result_type(p, values)))
    total: FloatArray = products.sum(axis=axis)
    return total


def _pair(p: ArrayLike, q: ArrayLike, axis: int) -> tuple[FloatArray, FloatArray]:
    """Return p and q checked as distributions over the same classes; a single class does not broadcast."""
    p, q = check_probabilities(p, name="p", axis=axis), check_probabilities(q, name="q", axis=axis)
    if p.shape[axis] != q.shape[axis]:
        raise ValueError(
            f"p has {p.shape[axis]} classes and q has {q.shape[axis]} (shapes {p.shape} and {q.shape}, axis "
            f"{axis}); both must be distributions over the same classes."
        )
    return p, q
