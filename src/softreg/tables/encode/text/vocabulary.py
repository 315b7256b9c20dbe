"""Which terms a text column has: counted in one pass, in bounded memory, the same for any cut into batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from softreg.rows import in_order
from softreg.tables.encode.text.tokenizer import (
    U64,
    Terms,
    bigrams,
    character_ngrams,
    code_points,
    gather_code_points,
    terms_as_text,
    tokenize_words,
)
from softreg.typing import Int64Array

CAP = 100_000
"""Words, pairs and runs that are kept, each, at most: the most frequent ones."""
LEAST = {"word": 2, "pair": 3, "run": 2}
"""A term is kept if it stands in so many texts at least."""
RUN_BUDGET = 4_000_000
"""Runs of characters help where there is little text; they are given up when a column has more bytes than this."""
PIECE = 1_000_000
"""Bytes of text that are taken at a time: their arrays fit the caches."""
WAITING = 1_000_000
"""Terms that wait to be merged, at least."""
ROOM = 4_000_000
"""Different terms that are counted at a time; beyond, the rarest are forgotten."""


@dataclass
class DocumentFrequencies:
    """In how many texts each term stands; what is added is merged now and then, and the rarest forgotten."""

    room: int = ROOM
    hash: U64 = field(default_factory=lambda: np.zeros(0, np.uint64))
    count: Int64Array = field(default_factory=lambda: np.zeros(0, np.int64))
    length: Int64Array = field(default_factory=lambda: np.zeros(0, np.int64))
    points: NDArray[np.uint32] = field(default_factory=lambda: np.zeros(0, np.uint32))
    waiting: list[tuple[U64, Int64Array, Int64Array, NDArray[np.uint32]]] = field(default_factory=list)
    size: int = 0

    def add(self, found: tuple[U64, Int64Array, Int64Array, NDArray[np.uint32]]) -> None:
        """Take the counts of one piece of text: hash, texts, length and code points of each of its terms."""
        self.waiting.append(found)
        self.size += len(found[0])
        if self.size > max(WAITING, len(self.hash)):
            self.merge()

    def merge(self) -> None:
        """Bring what waits together with what is known."""
        parts = [(self.hash, self.count, self.length, self.points), *self.waiting]
        hashed, count, length, points = (np.concatenate(part) for part in zip(*parts, strict=True))
        self.waiting, self.size = [], 0
        different, place, first = _distinct(hashed)
        total = np.bincount(place, weights=count, minlength=len(different)).astype(np.int64)
        ends = np.cumsum(length)
        begin = (ends - length)[first]
        keep = np.arange(len(different))
        if len(keep) > self.room:  # half of the room is left to newcomers
            keep = np.sort(np.lexsort((different, -total))[: self.room // 2])
        self.hash, self.count, self.length = different[keep], total[keep], length[first][keep]
        self.points = gather_code_points(points, begin[keep], begin[keep] + self.length)

    def best(self, kind: str, cap: int = CAP) -> tuple[list[str], Int64Array]:
        """The most frequent terms as text, in alphabetical order, and the texts that have them."""
        self.merge()
        keep = np.flatnonzero(self.count >= LEAST[kind])
        if len(keep) > cap:
            keep = keep[np.lexsort((self.hash[keep], -self.count[keep]))[:cap]]
        begin = (np.cumsum(self.length) - self.length)[keep]
        length = self.length[keep]
        texts = terms_as_text(gather_code_points(self.points, begin, begin + length), length)
        texts = texts if kind != "pair" else join_bigrams(texts)
        order = np.array(sorted(range(len(texts)), key=texts.__getitem__), dtype=np.int64)
        return [texts[i] for i in order], self.count[keep][order]


class VocabularyCounter:
    """Counts the words, pairs of words and runs of characters of a column of texts, batch after batch.

    Example:
        >>> counter = VocabularyCounter()
        >>> counter.add(pa.chunked_array([["so good", "not so good", "bad"]]))
        >>> counter.documents, counter.best()["word"]
        (3, (['good', 'so'], array([2, 2])))
    """

    def __init__(self) -> None:
        self.documents = 0
        self.size = 0
        self.counters = {kind: DocumentFrequencies() for kind in LEAST}

    def add(self, texts: pa.Array | pa.ChunkedArray) -> None:
        """Count the terms of some texts; a null is an empty text."""
        self.size += int(pc.sum(pc.binary_length(texts)).as_py() or 0)
        if self.size > RUN_BUDGET:
            self.counters.pop("run", None)
        for counted in in_order(self._count, text_blocks(texts)):
            for kind, counter in self.counters.items():
                counter.add(counted[kind])
        self.documents += len(texts)

    def best(self) -> dict[str, tuple[list[str], Int64Array]]:
        """The terms that are worth a column of X, by kind."""
        return {kind: counter.best(kind) for kind, counter in self.counters.items()}

    def _count(self, texts: pa.Array) -> dict[str, tuple[U64, Int64Array, Int64Array, NDArray[np.uint32]]]:
        points = code_points(texts)
        kinds = extract_terms(points, with_runs="run" in self.counters)
        return {kind: _document_counts(found, len(texts)) for kind, found in kinds.items()}


def extract_terms(points: NDArray[np.uint32], *, with_runs: bool) -> dict[str, Terms]:
    """The terms of some texts by kind: "word", "pair" and, where asked for, "run"."""
    single = tokenize_words(points)
    found = {"word": single, "pair": bigrams(single)}
    return {**found, "run": character_ngrams(points)} if with_runs else found


def text_blocks(texts: pa.Array | pa.ChunkedArray) -> Iterator[pa.Array]:
    """Texts cut into arrays of about a million bytes."""
    chunks = texts.chunks if isinstance(texts, pa.ChunkedArray) else [texts]
    for chunk in chunks:
        if len(chunk) == 0:
            continue
        size = np.cumsum(np.asarray(pc.fill_null(pc.binary_length(chunk), 0), dtype=np.int64))
        cuts = np.flatnonzero(np.diff(size // PIECE)) + 1
        for a, b in zip([0, *cuts.tolist()], [*cuts.tolist(), len(chunk)], strict=True):
            yield chunk[a:b]


def join_bigrams(found: list[str]) -> list[str]:
    """Pairs of words with one blank for whatever stood between the two.

    Example:
        >>> join_bigrams(["so -- good", "don't"])
        ['so good', 'don t']
    """
    single = tokenize_words(code_points(pa.array(found, pa.large_string())))
    begin = np.searchsorted(single.row, np.arange(len(found)))
    offset = np.flatnonzero(single.points == 0)[:-1] + 1
    spans = (
        np.stack([single.start[begin], single.stop[begin], single.start[begin + 1], single.stop[begin + 1]]) - offset
    )
    return [t[a:b] + (" " if b < c else "") + t[c:d] for t, a, b, c, d in zip(found, *spans.tolist(), strict=True)]


def _document_counts(found: Terms, texts: int) -> tuple[U64, Int64Array, Int64Array, NDArray[np.uint32]]:
    """Hash, number of texts, length and code points of each different term."""
    different, place, first = _distinct(found.hash)
    key = np.sort(found.row * len(different) + place)
    once = key[np.concatenate([[True], key[1:] != key[:-1]])] if len(key) else key
    count = np.bincount(once % max(1, len(different)), minlength=len(different))
    start, stop = found.start[first], found.stop[first]
    return different, count, stop - start, gather_code_points(found.points, start, stop)


def _distinct(hashed: U64) -> tuple[U64, Int64Array, Int64Array]:
    """Different hashes in the order in which they come, the place of each in that list, and where each comes first."""
    encoded = pa.array(hashed).dictionary_encode()
    different, place = np.asarray(encoded.dictionary), np.asarray(encoded.indices).astype(np.int64)
    first = np.zeros(len(different), np.int64)
    first[place[::-1]] = np.arange(len(place) - 1, -1, -1)
    return different, place, first
