"""Vocabulary of a text column: document frequencies in one pass and bounded memory, the same for any batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

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

MAX_TERMS = 100_000
"""Most terms of a kind in the vocabulary: the most frequent ones."""
MIN_DOCUMENTS = {"word": 2, "pair": 3, "run": 2}
"""Texts that must have a term of each kind."""
RUN_BUDGET = 4_000_000
"""Bytes of a column above which character n-grams are not counted: they help where there is little text."""
PIECE = 1_000_000
"""Bytes of a block of text: its arrays fit the caches."""
WAITING = 1_000_000
"""Fewest terms that are merged at once."""
MAX_COUNTED = 4_000_000
"""Most distinct terms in memory; beyond, the rarest are dropped."""


@dataclass
class DocumentFrequencies:
    """Number of texts that have each term; added counts are merged at intervals, and the rarest terms are dropped.

    Attributes
    ----------
    max_terms : int
        Most distinct terms in memory.
    hash, count, length : array (k,)
        Hash, number of texts and length of each known term.
    points : array of uint32
        Code points of the known terms, concatenated.
    waiting : list
        Counts that are not merged yet.
    size : int
        Number of terms that are not merged yet.
    """

    max_terms: int = MAX_COUNTED
    hash: U64 = field(default_factory=lambda: np.zeros(0, np.uint64))
    count: Int64Array = field(default_factory=lambda: np.zeros(0, np.int64))
    length: Int64Array = field(default_factory=lambda: np.zeros(0, np.int64))
    points: NDArray[np.uint32] = field(default_factory=lambda: np.zeros(0, np.uint32))
    waiting: list[tuple[U64, Int64Array, Int64Array, NDArray[np.uint32]]] = field(default_factory=list)
    size: int = 0

    def add(self, counts: tuple[U64, Int64Array, Int64Array, NDArray[np.uint32]]) -> None:
        """Add the counts of a block of text: hash, texts, length and code points of each term."""
        self.waiting.append(counts)
        self.size += len(counts[0])
        if self.size > max(WAITING, len(self.hash)):
            self.merge()

    def update(self, later: DocumentFrequencies) -> None:
        """Add the counts of the texts that follow."""
        later.merge()
        self.add((later.hash, later.count, later.length, later.points))

    def __getstate__(self) -> dict[str, Any]:
        """Return the state with all counts merged, which is smaller."""
        self.merge()
        return dict(self.__dict__)

    def merge(self) -> None:
        """Merge the waiting counts with the known ones."""
        parts = [(self.hash, self.count, self.length, self.points), *self.waiting]
        hashed, count, length, points = (np.concatenate(part) for part in zip(*parts, strict=True))
        self.waiting, self.size = [], 0
        distinct, inverse, first = _distinct(hashed)
        total = np.bincount(inverse, weights=count, minlength=len(distinct)).astype(np.int64)
        ends = np.cumsum(length)
        starts = (ends - length)[first]
        keep = np.arange(len(distinct))
        if len(keep) > self.max_terms:  # half of the memory is left for new terms
            keep = np.sort(np.lexsort((distinct, -total))[: self.max_terms // 2])
        self.hash, self.count, self.length = distinct[keep], total[keep], length[first][keep]
        self.points = gather_code_points(points, starts[keep], starts[keep] + self.length)

    def frequent_terms(self, kind: str, max_terms: int = MAX_TERMS) -> tuple[list[str], Int64Array]:
        """Return the most frequent terms in alphabetical order and the number of texts that have each."""
        self.merge()
        keep = np.flatnonzero(self.count >= MIN_DOCUMENTS[kind])
        if len(keep) > max_terms:
            keep = keep[np.lexsort((self.hash[keep], -self.count[keep]))[:max_terms]]
        starts = (np.cumsum(self.length) - self.length)[keep]
        length = self.length[keep]
        texts = terms_as_text(gather_code_points(self.points, starts, starts + length), length)
        texts = texts if kind != "pair" else join_bigrams(texts)
        order = np.array(sorted(range(len(texts)), key=texts.__getitem__), dtype=np.int64)
        return [texts[i] for i in order], self.count[keep][order]


class VocabularyCounter:
    """Count the words, bigrams and character n-grams of a column of texts, batch after batch.

    Examples
    --------
    >>> counter = VocabularyCounter()
    >>> counter.add(pa.chunked_array([["so good", "not so good", "bad"]]))
    >>> counter.documents, counter.frequent_terms()["word"]
    (3, (['good', 'so'], array([2, 2])))
    """

    def __init__(self) -> None:
        self.documents = 0
        self.size = 0
        self.counters = {kind: DocumentFrequencies() for kind in MIN_DOCUMENTS}

    def add(self, texts: pa.Array | pa.ChunkedArray) -> None:
        """Count the terms of some texts; a null is an empty text."""
        self.size += int(pc.sum(pc.binary_length(texts)).as_py() or 0)
        if self.size > RUN_BUDGET:
            self.counters.pop("run", None)
        for counted in in_order(self._count, text_blocks(texts)):
            for kind, counter in self.counters.items():
                counter.add(counted[kind])
        self.documents += len(texts)

    def update(self, later: VocabularyCounter) -> None:
        """Add the counts of the texts that follow."""
        self.documents += later.documents
        self.size += later.size
        if self.size > RUN_BUDGET:
            self.counters.pop("run", None)
        for kind, counter in self.counters.items():
            counter.update(later.counters[kind])

    def frequent_terms(self) -> dict[str, tuple[list[str], Int64Array]]:
        """Return the frequent terms and their numbers of texts, by kind."""
        return {kind: counter.frequent_terms(kind) for kind, counter in self.counters.items()}

    def _count(self, texts: pa.Array) -> dict[str, tuple[U64, Int64Array, Int64Array, NDArray[np.uint32]]]:
        points = code_points(texts)
        kinds = extract_terms(points, with_runs="run" in self.counters)
        return {kind: _document_counts(terms, len(texts)) for kind, terms in kinds.items()}


def extract_terms(points: NDArray[np.uint32], *, with_runs: bool) -> dict[str, Terms]:
    """Return the terms of some texts by kind: "word", "pair" and, where requested, "run"."""
    tokens = tokenize_words(points)
    terms = {"word": tokens, "pair": bigrams(tokens)}
    return {**terms, "run": character_ngrams(points)} if with_runs else terms


def text_blocks(texts: pa.Array | pa.ChunkedArray) -> Iterator[pa.Array]:
    """Yield arrays of about `PIECE` bytes of text."""
    chunks = texts.chunks if isinstance(texts, pa.ChunkedArray) else [texts]
    for chunk in chunks:
        if len(chunk) == 0:
            continue
        size = np.cumsum(np.asarray(pc.fill_null(pc.binary_length(chunk), 0), dtype=np.int64))
        cuts = np.flatnonzero(np.diff(size // PIECE)) + 1
        for a, b in zip([0, *cuts.tolist()], [*cuts.tolist(), len(chunk)], strict=True):
            yield chunk[a:b]


def join_bigrams(pairs: list[str]) -> list[str]:
    """Return bigrams with one blank in place of the characters between the two words.

    Returns
    -------
    list of str
        Bigrams.

    Examples
    --------
    >>> join_bigrams(["so -- good", "don't"])
    ['so good', 'don t']
    """
    tokens = tokenize_words(code_points(pa.array(pairs, pa.large_string())))
    first = np.searchsorted(tokens.row, np.arange(len(pairs)))
    offset = np.flatnonzero(tokens.points == 0)[:-1] + 1
    spans = (
        np.stack([tokens.start[first], tokens.stop[first], tokens.start[first + 1], tokens.stop[first + 1]]) - offset
    )
    return [t[a:b] + (" " if b < c else "") + t[c:d] for t, a, b, c, d in zip(pairs, *spans.tolist(), strict=True)]


def _document_counts(terms: Terms, texts: int) -> tuple[U64, Int64Array, Int64Array, NDArray[np.uint32]]:
    """Return hash, number of texts, length and code points of each distinct term."""
    distinct, inverse, first = _distinct(terms.hash)
    key = np.sort(terms.row * len(distinct) + inverse)
    once = key[np.concatenate([[True], key[1:] != key[:-1]])] if len(key) else key
    count = np.bincount(once % max(1, len(distinct)), minlength=len(distinct))
    start, stop = terms.start[first], terms.stop[first]
    return distinct, count, stop - start, gather_code_points(terms.points, start, stop)


def _distinct(hashed: U64) -> tuple[U64, Int64Array, Int64Array]:
    """Return distinct hashes in order of appearance, the index of each hash among them, and their first positions."""
    encoded = pa.array(hashed).dictionary_encode()
    distinct, index = np.asarray(encoded.dictionary), np.asarray(encoded.indices).astype(np.int64)
    first = np.zeros(len(distinct), np.int64)
    first[index[::-1]] = np.arange(len(index) - 1, -1, -1)
    return distinct, index, first
