"""Terms of texts as 64-bit hashes: words, bigrams, and character n-grams.

All functions are arithmetic on arrays of code points, without a Python loop over words. Of a million terms, two have
the same hash with a probability of 3e-8.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from softreg.typing import Int64Array

U64 = NDArray[np.uint64]

_POWER = 0x9E3779B97F4A7C15
"""Base of the polynomial hash: 2**64 divided by the golden ratio, made odd."""
_MIX = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
"""Multipliers of `mix_bits`, as in SplitMix64."""
_GRAM = 0xD6E8FEB86659FD93
"""Added for each character of an n-gram, so that n-grams and words of equal text have different hashes."""
_STANDALONE = ((0x2E80, 0x3100), (0x3100, 0x3130), (0x31A0, 0xA000), (0xF900, 0xFB00), (0x1F000, 0x40000))
"""Ranges of code points that are words of their own: CJK, kana and pictographs."""
_PICTOGRAPHS = 0x1F000
"""First code point whose characters are words of their own even if they are no letters."""
SHORTEST, LONGEST = 2, 5
"""Lengths of character n-grams."""


@dataclass(frozen=True)
class Terms:
    """Terms in the order of their texts.

    Attributes
    ----------
    points : array of uint32
        Code points of the texts.
    row : array of int64 (k,)
        Text of each term.
    hash : array of uint64 (k,)
        Hash of each term.
    start, stop : array of int64 (k,)
        Slice of `points` with each term.
    """

    points: NDArray[np.uint32]
    row: Int64Array
    hash: U64
    start: Int64Array
    stop: Int64Array


def code_points(texts: pa.Array | pa.ChunkedArray) -> NDArray[np.uint32]:
    """Return the texts in lower case as code points, each between zeros; a null is empty."""
    values = pc.fill_null(texts, "").to_pylist()
    joined = "\0".join(values)
    if joined.count("\0") != len(values) - 1:
        joined = "\0".join(word.replace("\0", " ") for word in values)
    return np.frombuffer(f"\0{joined}\0".lower().encode("utf-32-le", "replace"), np.uint32)


def tokenize_words(points: NDArray[np.uint32]) -> Terms:
    """Return the words: runs of letters, digits, marks and underscores; a CJK character or pictograph is its own word.

    Returns
    -------
    Terms
        Words.

    Examples
    --------
    >>> terms = tokenize_words(code_points(pa.array(["Don't stop", "2nd é"])))
    >>> ["".join(map(chr, terms.points[a:b])) for a, b in zip(terms.start, terms.stop)]
    ['don', 't', 'stop', '2nd', 'é']
    >>> terms.row.tolist()
    [0, 0, 0, 1, 1]
    """
    kind = _character_classes()[np.minimum(points, 0x40000)]
    change = kind[1:] != kind[:-1]
    if (kind == 2).any():
        change |= kind[1:] == 2
    edge = np.flatnonzero(change) + 1
    inside = kind[edge] > 0
    start = edge[inside]
    stop = edge[np.flatnonzero(inside) + 1]  # the last point is a zero, so that every word ends at an edge
    total = np.zeros(len(points) + 1, np.uint64)
    np.cumsum((points.astype(np.uint64) + np.uint64(1)) * _powers(_POWER, len(points)), out=total[1:])
    inverse = _powers(pow(_POWER, -1, 2**64), len(points))
    hashed = mix_bits((total[stop] - total[start]) * inverse[start])
    row = np.searchsorted(np.flatnonzero(points == 0)[1:], start)
    return Terms(points, row.astype(np.int64), hashed, start, stop)


def bigrams(tokens: Terms) -> Terms:
    """Return the pairs of consecutive words of each text.

    Returns
    -------
    Terms
        Bigrams.

    Examples
    --------
    >>> terms = bigrams(tokenize_words(code_points(pa.array(["not so good", "so"]))))
    >>> ["".join(map(chr, terms.points[a:b])) for a, b in zip(terms.start, terms.stop)]
    ['not so', 'so good']
    """
    same = np.flatnonzero(tokens.row[1:] == tokens.row[:-1])
    hashed = mix_bits(tokens.hash[same] * np.uint64(_POWER) + tokens.hash[same + 1])
    return Terms(tokens.points, tokens.row[same], hashed, tokens.start[same], tokens.stop[same + 1])


def character_ngrams(points: NDArray[np.uint32]) -> Terms:
    """Return the character n-grams of 2 to 5 characters, including blanks and punctuation; several blanks count as one.

    Returns
    -------
    Terms
        Character n-grams, by length.

    Examples
    --------
    >>> terms = character_ngrams(code_points(pa.array(["abc"])))
    >>> ["".join(map(chr, terms.points[a:b])) for a, b in zip(terms.start, terms.stop)]
    [' a', 'ab', 'bc', 'c ', ' ab', 'abc', 'bc ', ' abc', 'abc ', ' abc ']
    """
    points = _collapse_blanks(points)
    row = np.cumsum(points == 0) - 1
    shown = np.where(points == 0, np.uint32(32), points)
    value = shown.astype(np.uint64) + np.uint64(1)
    by_length = []
    hashed, end_row = value.copy(), row
    for length in range(SHORTEST, LONGEST + 1):
        if len(points) < length:
            break
        hashed = hashed[:-1] * np.uint64(_POWER) + value[length - 1 :]
        # a run may begin at the zero before its text and end at the one after it, but not reach beyond
        last = row[length - 1 :] - (points[length - 1 :] == 0)
        end_row = row[: len(hashed)]
        start = np.flatnonzero(last == end_row)
        by_length.append(
            (end_row[start], mix_bits(hashed[start] + np.uint64(_GRAM * length % 2**64)), start, start + length)
        )
    parts = (
        [np.concatenate(part) for part in zip(*by_length, strict=True)] if by_length else [np.zeros(0, np.int64)] * 4
    )
    return Terms(shown, parts[0], parts[1].astype(np.uint64), parts[2], parts[3])


def character_ngram_hashes(ngrams: Sequence[str]) -> U64:
    """Return the hashes that `character_ngrams` gives to these n-grams.

    Returns
    -------
    array of uint64 (k,)
        Hashes.

    Examples
    --------
    >>> bool(character_ngram_hashes(["bc "])[0] in character_ngrams(code_points(pa.array(["abc"]))).hash)
    True
    """
    result = np.zeros(len(ngrams), np.uint64)
    lengths = np.array([len(run) for run in ngrams])
    for length in range(SHORTEST, LONGEST + 1):
        those = np.flatnonzero(lengths == length)
        joined = "".join([ngrams[i] for i in those.tolist()]).encode("utf-32-le", "replace")
        value = np.frombuffer(joined, np.uint32).reshape(-1, length).astype(np.uint64) + np.uint64(1)
        hashed = value[:, 0].copy()
        for i in range(1, length):
            hashed = hashed * np.uint64(_POWER) + value[:, i]
        result[those] = mix_bits(hashed + np.uint64(_GRAM * length % 2**64))
    return result


def mix_bits(hashed: U64) -> U64:
    """Return hashes whose bits are mixed, so that similar inputs differ in all bits."""
    hashed = (hashed ^ (hashed >> np.uint64(31))) * _MIX[0]
    result: U64 = (hashed ^ (hashed >> np.uint64(29))) * _MIX[1]
    return result


def terms_as_text(points: NDArray[np.uint32], length: Int64Array) -> list[str]:
    """Return terms as text, from their concatenated code points and the length of each."""
    text = points.astype("<u4").tobytes().decode("utf-32-le", "replace")
    ends = np.cumsum(length).tolist()
    return [text[a:b] for a, b in zip([0, *ends][:-1], ends, strict=True)]


def gather_code_points(points: NDArray[np.uint32], start: Int64Array, stop: Int64Array) -> NDArray[np.uint32]:
    """Return the code points of some terms, concatenated."""
    length = stop - start
    ends = np.cumsum(length)
    positions = np.arange(ends[-1] if len(ends) else 0) + np.repeat(start - ends + length, length)
    taken: NDArray[np.uint32] = points[positions]
    return taken


def _collapse_blanks(points: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return the code points with white space as single blanks, and none at the ends of a text."""
    blank = (points == 32) | ((points >= 9) & (points <= 13)) | (points == 0xA0)
    edge = (points == 0) | blank
    drop = np.zeros(len(points), bool)
    drop[1:] = blank[1:] & edge[:-1]  # follows a blank or begins the text
    drop[:-1] |= blank[:-1] & (points[1:] == 0)
    kept = np.where(blank, np.uint32(32), points)[~drop]
    last = np.flatnonzero((kept[:-1] == 32) & (kept[1:] == 0))
    return np.delete(kept, last) if last.size else kept


def standalone_characters(points: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Return which characters are words of their own: CJK, kana and pictographs.

    Returns
    -------
    array of bool (k,)
        True for a word of its own.

    Examples
    --------
    >>> standalone_characters(np.array([ord("a"), ord("猫")], np.uint32)).tolist()
    [False, True]
    """
    return np.asarray(_character_classes()[np.minimum(points, 0x40000)] == 2)


@cache
def _character_classes() -> NDArray[np.uint8]:
    """Return the class of each code point: 1 for a character of a word, 2 for a word of its own, 0 otherwise."""
    letters = "".join(unicodedata.category(chr(point))[0] for point in range(0x20000))
    table = np.zeros(0x40001, np.uint8)
    table[:0x20000] = np.isin(np.frombuffer(letters.encode(), np.uint8), list(b"LMN"))
    table[ord("_")] = 1
    for low, high in _STANDALONE:
        known = table[low:high]
        known[(known > 0) | (low >= _PICTOGRAPHS)] = 2
    return table


@cache
def _all_powers(base: int, size: int) -> U64:
    powers = np.full(size, base, np.uint64)
    powers[0] = 1
    return np.cumprod(powers)


def _powers(base: int, size: int) -> U64:
    """Return 1, base, base^2, ... modulo 2^64."""
    known: Any = _all_powers(base, 1 << max(16, int(size - 1).bit_length()))
    result: U64 = known[:size]
    return result
