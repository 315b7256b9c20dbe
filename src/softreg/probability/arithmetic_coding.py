"""An arithmetic coder: labels become as many bits as they are surprising, which shows what cross-entropy means."""

from __future__ import annotations

from bisect import bisect_right

import numpy as np
from numpy.typing import ArrayLike, NDArray

from softreg.probability.check_distributions import check_probabilities
from softreg.probability.labels import check_codes

TOTAL = 32
"""Probabilities become whole numbers of 2^-32, none of them 0: what was held impossible costs 32 bits."""
WORD = 64
MASK = (1 << WORD) - 1
LEAST = 1 << (WORD - 8)
"""The interval is kept above 2^56 by giving out bytes, so that a step loses less than 2^-24 of it to rounding."""


def encode_labels(codes: ArrayLike, P: ArrayLike) -> bytes:
    """Compress labels by the probabilities that a model gives them, without loss.

    The labels are a point in the interval from 0 to 1: each label keeps the part of the interval that its probability
    is, so the last interval is as long as the product of the probabilities, and a point in it takes `-log2(product) =
    sum_i -log2 P[i, y_i]` bits: the summed surprisal, whose mean is the cross-entropy.

    Parameters
    ----------
    codes : array_like
        (n,) in 0..q-1.
    P : array_like
        (n, q), the same that `decode_labels` will be given.

    Returns
    -------
    bytes
        At most 64 bits more than the summed surprisal, apart from 2^-24 of it. A label of probability 0 costs 32 bits,
        for nothing can be sent at infinite length.

    Raises
    ------
    ValueError
        For rows that are no distributions and codes that do not fit.

    References
    ----------
    Rissanen, "Generalized Kraft inequality and arithmetic coding" (1976).
    Witten, Neal and Cleary, "Arithmetic coding for data compression" (1987).

    Examples
    --------
    >>> P = np.tile([0.99, 0.01], (800, 1))
    >>> packed = encode_labels([0] * 792 + [1] * 8, P)
    >>> len(packed), bool((decode_labels(packed, P) == [0] * 792 + [1] * 8).all())
    (9, True)
    """
    edges = _edges(P)
    y = np.asarray(check_codes(codes, edges.shape[1] - 1, "codes"))
    if y.shape != (len(edges),):
        raise ValueError(f"codes must hold one code for each of {len(edges)} rows; seen: shape {y.shape}.")
    at = np.arange(len(y))
    low, length, out = 0, MASK, bytearray()
    for a, b in zip(edges[at, y].tolist(), edges[at, y + 1].tolist(), strict=True):
        unit = length >> TOTAL
        low, length = low + unit * a, unit * (b - a)
        if low > MASK:
            low &= MASK
            _carry(out)
        while length < LEAST:
            out.append(low >> (WORD - 8))
            low, length = (low << 8) & MASK, length << 8
    return bytes(_end(out, low, length))


def decode_labels(packed: bytes, P: ArrayLike) -> NDArray[np.int64]:
    """Return the labels (n,) that `encode_labels` packed, from the same probabilities P (n, q).

    Other bytes, or other probabilities, give other labels without notice.

    Returns
    -------
    ndarray of int64
        The labels (n,) that `encode_labels` packed, from the same probabilities P (n, q).

    Raises
    ------
    ValueError
        For rows that are no distributions.

    Examples
    --------
    >>> decode_labels(encode_labels([1, 0, 1], np.full((3, 2), 0.5)), np.full((3, 2), 0.5))
    array([1, 0, 1])
    """
    edges = _edges(P).tolist()
    place, length = WORD // 8, MASK
    point = int.from_bytes(packed[:place].ljust(place, b"\0"), "big")
    codes = np.empty(len(edges), dtype=np.int64)
    for i, edge in enumerate(edges):
        unit = length >> TOTAL
        k = min(bisect_right(edge, point // unit) - 1, len(edge) - 2)
        codes[i] = k
        point, length = point - unit * edge[k], unit * (edge[k + 1] - edge[k])
        while length < LEAST:
            point = (point << 8) | (packed[place] if place < len(packed) else 0)
            length, place = length << 8, place + 1
    return codes


def _edges(P: ArrayLike) -> NDArray[np.int64]:
    """Cumulative probabilities (n, q + 1) as whole numbers from 0 to 2^32, each at least 1 above the last.

    Returns
    -------
    ndarray of int64
        Cumulative probabilities (n, q + 1) as whole numbers from 0 to 2^32, each at least 1 above the last.

    Raises
    ------
    ValueError
        If there are more classes than 2^32 can hold.
    """
    P = np.asarray(check_probabilities(P), dtype=np.float64)
    if P.ndim != 2:
        raise ValueError(f"P must be a matrix (n, q); seen: shape {P.shape}.")
    n, q = P.shape
    sums = np.cumsum(P, axis=1)
    share = np.minimum(sums[:, :-1] / sums[:, -1:], 1.0)
    edges = np.zeros((n, q + 1), dtype=np.int64)
    edges[:, 1:-1] = np.floor(share * ((1 << TOTAL) - q)).astype(np.int64) + np.arange(1, q)
    edges[:, -1] = 1 << TOTAL
    return edges


def _carry(out: bytearray) -> None:
    """Add one to what was given out already."""
    at = len(out) - 1
    while out[at] == 255:
        out[at] = 0
        at -= 1
    out[at] += 1


def _end(out: bytearray, low: int, length: int) -> bytearray:
    """Return the fewest bytes that, followed by zeros, lie in the last interval."""
    for count in range(WORD // 8 + 1):
        drop = WORD - 8 * count
        point = -(-low >> drop) << drop
        if point < low + length:
            if point > MASK:
                point &= MASK
                _carry(out)
            out += (point >> drop).to_bytes(count, "big") if count else b""
            break
    while out and out[-1] == 0:  # the decoder supplies zeros
        out.pop()
    return out
