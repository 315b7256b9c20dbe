"""Arithmetic coding of labels with predicted probabilities; the code length is the summed surprisal."""

from __future__ import annotations

from bisect import bisect_right

import numpy as np
from numpy.typing import ArrayLike, NDArray

from softreg.probability.check_distributions import check_probabilities
from softreg.probability.labels import check_codes

TOTAL = 32
"""Bits of a quantised probability. The least quantised probability is 2^-32, so no label costs more than 32 bits."""
WORD = 64
"""Bits of the state of the coder."""
MASK = (1 << WORD) - 1
"""Largest value of the state."""
LEAST = 1 << (WORD - 8)
"""Least length of the interval after bytes are output; a step then loses less than 2^-24 of it to rounding."""


def encode_labels(codes: ArrayLike, P: ArrayLike) -> bytes:
    """Compress labels without loss by arithmetic coding with their predicted probabilities.

    The labels are encoded as a number in [0, 1). Each label reduces the current interval to the part that corresponds
    to its probability, so the length of the last interval is the product of the probabilities. A number in it takes
    `-log2(product) = sum_i -log2 P[i, y_i]` bits: the summed surprisal, whose mean is the cross-entropy.

    Parameters
    ----------
    codes : array_like of shape (n,)
        Labels in 0..q-1.
    P : array_like of shape (n, q)
        Probabilities; `decode_labels` needs the same ones.

    Returns
    -------
    bytes
        The code: longer than the summed surprisal by at most 64 bits and a relative 2^-24 of it. A label of probability
        0 costs 32 bits.

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
    row = np.arange(len(y))
    low, length, out = 0, MASK, bytearray()
    for a, b in zip(edges[row, y].tolist(), edges[row, y + 1].tolist(), strict=True):
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
    """Return the labels that `encode_labels` encoded with the same probabilities.

    Other bytes or other probabilities decode to other labels without an error.

    Parameters
    ----------
    packed : bytes
        Output of `encode_labels`.
    P : array_like of shape (n, q)
        Probabilities of the encoder.

    Returns
    -------
    ndarray of int64 of shape (n,)
        Labels in 0..q-1.

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
    position, length = WORD // 8, MASK
    point = int.from_bytes(packed[:position].ljust(position, b"\0"), "big")
    codes = np.empty(len(edges), dtype=np.int64)
    for i, edge in enumerate(edges):
        unit = length >> TOTAL
        k = min(bisect_right(edge, point // unit) - 1, len(edge) - 2)
        codes[i] = k
        point, length = point - unit * edge[k], unit * (edge[k + 1] - edge[k])
        while length < LEAST:
            point = (point << 8) | (packed[position] if position < len(packed) else 0)
            length, position = length << 8, position + 1
    return codes


def _edges(P: ArrayLike) -> NDArray[np.int64]:
    """Return cumulative probabilities as integers from 0 to 2^32, each at least 1 above the previous one.

    Parameters
    ----------
    P : array_like of shape (n, q)
        Probabilities.

    Returns
    -------
    ndarray of int64 of shape (n, q + 1)
        Quantised cumulative probabilities.

    Raises
    ------
    ValueError
        If `P` is not a matrix of distributions.
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
    """Add one to the number that the output bytes represent."""
    index = len(out) - 1
    while out[index] == 255:
        out[index] = 0
        index -= 1
    out[index] += 1


def _end(out: bytearray, low: int, length: int) -> bytearray:
    """Append the fewest bytes that, followed by zeros, lie in the last interval, and return the output."""
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
