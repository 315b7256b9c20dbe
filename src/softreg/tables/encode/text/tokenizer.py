"""Texts to terms: words, pairs of words that follow one another, and runs of characters, as 64-bit hashes.

All of it is arithmetic on arrays of code points, so that a text costs no Python loop over its words. A term is known by
its hash; two of a million terms share one with a chance of 3e-8.
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
_MIX = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_GRAM = 0xD6E8FEB86659FD93
_ALONE = ((0x2E80, 0x3100), (0x3100, 0x3130), (0x31A0, 0xA000), (0xF900, 0xFB00), (0x1F000, 0x40000))
SHORTEST, LONGEST = 2, 5
"""Characters of the runs that are counted."""


@dataclass(frozen=True)
class Terms:
    """Terms in the order of their texts: the text `row` of each, its hash, and where it stands in `points`."""

    points: NDArray[np.uint32]
    row: Int64Array
    hash: U64
    start: Int64Array
    stop: Int64Array


def code_points(texts: pa.Array | pa.ChunkedArray) -> NDArray[np.uint32]:
    """The texts in lower case, one after another, each behind a zero and the last before one; a null is empty."""
    words = pc.fill_null(texts, "").to_pylist()
    joined = "\0".join(words)
    if joined.count("\0") != len(words) - 1:
        joined = "\0".join(word.replace("\0", " ") for word in words)
    return np.frombuffer(f"\0{joined}\0".lower().encode("utf-32-le", "replace"), np.uint32)


def tokenize_words(points: NDArray[np.uint32]) -> Terms:
    """Words: runs of letters, digits, marks and underscores; a Chinese or Japanese character or a picture is its own.

    Example:
        >>> found = tokenize_words(code_points(pa.array(["Don't stop", "2nd é"])))
        >>> ["".join(map(chr, found.points[a:b])) for a, b in zip(found.start, found.stop)]
        ['don', 't', 'stop', '2nd', 'é']
        >>> found.row.tolist()
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


def bigrams(single: Terms) -> Terms:
    """Two words that follow one another in a text, as terms.

    Example:
        >>> found = bigrams(tokenize_words(code_points(pa.array(["not so good", "so"]))))
        >>> ["".join(map(chr, found.points[a:b])) for a, b in zip(found.start, found.stop)]
        ['not so', 'so good']
    """
    same = np.flatnonzero(single.row[1:] == single.row[:-1])
    hashed = mix_bits(single.hash[same] * np.uint64(_POWER) + single.hash[same + 1])
    return Terms(single.points, single.row[same], hashed, single.start[same], single.stop[same + 1])


def character_ngrams(points: NDArray[np.uint32]) -> Terms:
    """Runs of 2 to 5 characters, blanks and signs among them; several blanks count as one.

    Example:
        >>> found = character_ngrams(code_points(pa.array(["abc"])))
        >>> ["".join(map(chr, found.points[a:b])) for a, b in zip(found.start, found.stop)]
        [' a', 'ab', 'bc', 'c ', ' ab', 'abc', 'bc ', ' abc', 'abc ', ' abc ']
    """
    points = _collapse_blanks(points)
    row = np.cumsum(points == 0) - 1
    shown = np.where(points == 0, np.uint32(32), points)
    value = shown.astype(np.uint64) + np.uint64(1)
    found = []
    hashed, end_row = value.copy(), row
    for length in range(2, LONGEST + 1):
        if len(points) < length:
            break
        hashed = hashed[:-1] * np.uint64(_POWER) + value[length - 1 :]
        # a run may begin at the zero before its text and end at the one after it, but not reach beyond
        last = row[length - 1 :] - (points[length - 1 :] == 0)
        end_row = row[: len(hashed)]
        start = np.flatnonzero(last == end_row)
        found.append(
            (end_row[start], mix_bits(hashed[start] + np.uint64(_GRAM * length % 2**64)), start, start + length)
        )
    parts = [np.concatenate(part) for part in zip(*found, strict=True)] if found else [np.zeros(0, np.int64)] * 4
    return Terms(shown, parts[0], parts[1].astype(np.uint64), parts[2], parts[3])


def character_ngram_hashes(found: Sequence[str]) -> U64:
    """The hashes that `character_ngrams` gives to these runs of characters.

    Example:
        >>> bool(character_ngram_hashes(["bc "])[0] in character_ngrams(code_points(pa.array(["abc"]))).hash)
        True
    """
    result = np.zeros(len(found), np.uint64)
    lengths = np.array([len(run) for run in found])
    for length in range(SHORTEST, LONGEST + 1):
        those = np.flatnonzero(lengths == length)
        joined = "".join([found[i] for i in those.tolist()]).encode("utf-32-le", "replace")
        value = np.frombuffer(joined, np.uint32).reshape(-1, length).astype(np.uint64) + np.uint64(1)
        hashed = value[:, 0].copy()
        for i in range(1, length):
            hashed = hashed * np.uint64(_POWER) + value[:, i]
        result[those] = mix_bits(hashed + np.uint64(_GRAM * length % 2**64))
    return result


def mix_bits(hashed: U64) -> U64:
    """The hash with its bits stirred, so that what differs little differs everywhere."""
    hashed = (hashed ^ (hashed >> np.uint64(31))) * _MIX[0]
    result: U64 = (hashed ^ (hashed >> np.uint64(29))) * _MIX[1]
    return result


def terms_as_text(points: NDArray[np.uint32], length: Int64Array) -> list[str]:
    """Terms as text, from their code points one after another and the length of each."""
    text = points.astype("<u4").tobytes().decode("utf-32-le", "replace")
    ends = np.cumsum(length).tolist()
    return [text[a:b] for a, b in zip([0, *ends][:-1], ends, strict=True)]


def gather_code_points(points: NDArray[np.uint32], start: Int64Array, stop: Int64Array) -> NDArray[np.uint32]:
    """The code points of some terms, one after another."""
    length = stop - start
    ends = np.cumsum(length)
    place = np.arange(ends[-1] if len(ends) else 0) + np.repeat(start - ends + length, length)
    taken: NDArray[np.uint32] = points[place]
    return taken


def _collapse_blanks(points: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """White space as single blanks, none at the ends of a text."""
    blank = (points == 32) | ((points >= 9) & (points <= 13)) | (points == 0xA0)
    edge = (points == 0) | blank
    drop = np.zeros(len(points), bool)
    drop[1:] = blank[1:] & edge[:-1]  # follows a blank or begins the text
    drop[:-1] |= blank[:-1] & (points[1:] == 0)
    kept = np.where(blank, np.uint32(32), points)[~drop]
    last = np.flatnonzero((kept[:-1] == 32) & (kept[1:] == 0))
    return np.delete(kept, last) if last.size else kept


@cache
def _character_classes() -> NDArray[np.uint8]:
    """For each code point: 1 where it belongs to words, 2 where it is one by itself, 0 otherwise."""
    letters = "".join(unicodedata.category(chr(point))[0] for point in range(0x20000))
    table = np.zeros(0x40001, np.uint8)
    table[:0x20000] = np.isin(np.frombuffer(letters.encode(), np.uint8), list(b"LMN"))
    table[ord("_")] = 1
    for low, high in _ALONE:
        known = table[low:high]
        known[(known > 0) | (low >= 0x1F000)] = 2
    return table


@cache
def _all_powers(base: int, size: int) -> U64:
    powers = np.full(size, base, np.uint64)
    powers[0] = 1
    return np.cumprod(powers)


def _powers(base: int, size: int) -> U64:
    """1, base, base^2, ... modulo 2^64."""
    known: Any = _all_powers(base, 1 << max(16, int(size - 1).bit_length()))
    result: U64 = known[:size]
    return result
