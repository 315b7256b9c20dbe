"""Numbers drawn from integer keys by the mixing of SplitMix64: the same key gives the same number everywhere.

References
----------
Steele, Lea and Flood (2014), Fast splittable pseudorandom number generators.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from softreg.typing import Array, Float64Array

UInt64Array = NDArray[np.uint64]

GOLDEN_GAMMA = 0x9E3779B97F4A7C15
"""Increment of the state: 2**64 divided by the golden ratio, made odd."""
MULTIPLIERS = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
"""The two factors of the finalizer."""


def hashed(numbers: Array, start: Array | int = 0) -> UInt64Array:
    """Return the output (n,) of SplitMix64 that started from `start`, at these positions of its sequence.

    Returns
    -------
    UInt64Array
        One word for each number.

    Examples
    --------
    >>> hex(int(hashed(np.arange(1))[0]))
    '0xe220a8397b1dcdaf'
    """
    steps = (numbers.astype(np.uint64) + np.uint64(1)) * np.uint64(GOLDEN_GAMMA)  # modulo 2**64
    state = np.asarray(start, dtype=np.uint64) + steps
    return _mixed(state ^ (state >> np.uint64(30)))


def absorbed(state: UInt64Array, word: UInt64Array) -> UInt64Array:
    """Return the state (n,) after one more word of each key has been mixed into it."""
    return _mixed(state ^ word)


def as_uniform(bits: UInt64Array) -> Float64Array:
    """Return numbers in [0, 1) from the upper 53 bits of each word.

    Returns
    -------
    Float64Array
        Numbers (n,).

    Examples
    --------
    >>> as_uniform(np.array([0, 1 << 63], dtype=np.uint64))
    array([0. , 0.5])
    """
    return np.asarray((bits >> np.uint64(11)) * 2.0**-53)


def keyed_uniform(numbers: Array, seed: int, stream: int) -> Float64Array:
    """Return a number in [0, 1) for each row number, a function of that number, the seed and the stream alone.

    Parameters
    ----------
    numbers : array of int64 (n,)
        Row numbers.
    seed, stream : int
        Keys of the sequence.

    Returns
    -------
    array of float64 (n,)
        Uniform numbers.

    Examples
    --------
    >>> whole = keyed_uniform(np.arange(1000), seed=0, stream=1)
    >>> bool((whole[600:] == keyed_uniform(np.arange(600, 1000), 0, 1)).all()), bool(abs(whole.mean() - 0.5) < 0.05)
    (True, True)
    """
    start = np.random.SeedSequence([seed, stream]).generate_state(1, np.uint64)
    return as_uniform(hashed(numbers, start))


def _mixed(bits: UInt64Array) -> UInt64Array:
    bits = bits * MULTIPLIERS[0]
    bits = (bits ^ (bits >> np.uint64(27))) * MULTIPLIERS[1]
    return np.asarray(bits ^ (bits >> np.uint64(31)))
