"""Encoder of free text as TF-IDF of words, bigrams and, where there is little text, character n-grams; its fitter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import scipy.sparse as sp

from softreg.models.serialization import fields
from softreg.rows import in_order
from softreg.tables.columns.arrow_numpy import number_array
from softreg.tables.columns.column_values import as_text
from softreg.tables.columns.row_location import RowLocation
from softreg.tables.encode.text.tokenizer import (
    U64,
    Terms,
    bigrams,
    character_ngram_hashes,
    code_points,
    tokenize_words,
)
from softreg.tables.encode.text.vocabulary import VocabularyCounter, extract_terms, text_blocks
from softreg.typing import Float64Array, Int64Array

KINDS = ("word", "pair", "run")


@dataclass(frozen=True)
class TextEncoder:
    """TF-IDF encoder of free text: one feature a term.

    A term that a text has c times, and n_t of n training texts have, has the value `(1 + log c) * (log((1 + n) / (1 +
    n_t)) + 1)`. Words and bigrams of a row together are scaled to Euclidean length 1, and so are its character n-grams.
    A text without a known term, and a missing one, is zero.

    Attributes
    ----------
    name : str
        Column.
    documents : int
        Number of training texts, n.
    terms : dict of str to tuple of str
        Terms by kind: "word", "pair" (bigrams) and "run" (character n-grams).
    counts : dict of str to tuple of int
        Number of training texts that have each term, n_t.

    References
    ----------
    Salton and Buckley (1988), Term-weighting approaches in automatic text retrieval.
    """

    name: str
    documents: int
    terms: dict[str, tuple[str, ...]]
    counts: dict[str, tuple[int, ...]]
    _hashes: dict[str, U64] = field(init=False, repr=False, compare=False)
    _weights: dict[str, Float64Array] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        hashes = {kind: _term_hashes(kind, self.terms[kind]) for kind in self.terms}
        idf = {
            kind: np.log((1 + self.documents) / (1 + np.array(counts, dtype=np.float64))) + 1
            for kind, counts in self.counts.items()
        }
        object.__setattr__(self, "_hashes", hashes)
        object.__setattr__(self, "_weights", idf)

    @classmethod
    def from_counts(cls, name: str, counter: VocabularyCounter) -> TextEncoder:
        """Return the encoder of the frequent terms of a `VocabularyCounter`."""
        vocabulary = counter.frequent_terms()
        terms = {kind: tuple(terms_found) for kind, (terms_found, _) in vocabulary.items()}
        return cls(name, counter.documents, terms, {kind: tuple(c.tolist()) for kind, (_, c) in vocabulary.items()})

    @property
    def width(self) -> int:
        """The number of terms."""
        return sum(len(terms) for terms in self.terms.values())

    @property
    def features(self) -> tuple[str, ...]:
        """`body: word`, `body: two words`, and `body: 'run'` for a character n-gram."""
        shown = {"run": "{}: {!r}"}
        return tuple(
            shown.get(kind, "{}: {}").format(self.name, term) for kind in self.terms for term in self.terms[kind]
        )

    @property
    def remark(self) -> str:
        """The numbers of terms in words."""
        names = {"word": "words", "pair": "pairs of words", "run": "runs of 2 to 5 characters"}
        return ", ".join(f"{len(terms):,} {names[kind]}" for kind, terms in self.terms.items())

    def block(self, column: pa.ChunkedArray, where: Any = None) -> sp.csr_array:
        """Return the TF-IDF of each text, (n, width) CSR."""
        texts = as_text(column, self.name)
        parts = list(in_order(self._encode_block, text_blocks(texts)))
        if not parts:
            return sp.csr_array((len(texts), self.width))
        return sp.vstack(parts, format="csr") if len(parts) > 1 else parts[0]

    def term_index(self, kind: str, terms: Terms) -> Int64Array:
        """Return the index of each term among the known ones of its kind, -1 for an unknown one."""
        index = pc.index_in(number_array(terms.hash), value_set=number_array(self._hashes[kind]))
        return np.asarray(pc.fill_null(index, -1)).astype(np.int64)

    def _encode_block(self, texts: pa.Array) -> sp.csr_array:
        """Return the TF-IDF of some texts."""
        terms = extract_terms(code_points(texts), with_runs="run" in self.terms)
        groups = [[kind for kind in group if kind in self.terms] for group in (KINDS[:2], KINDS[2:])]
        blocks = [self._encode_kinds({kind: terms[kind] for kind in group}, len(texts)) for group in groups if group]
        return sp.hstack(blocks, format="csr") if len(blocks) > 1 else blocks[0]

    def _encode_kinds(self, terms: dict[str, Terms], n: int) -> sp.csr_array:
        """Return the features of term kinds that are scaled to length 1 together."""
        keys, width = [], sum(len(self.terms[kind]) for kind in terms)
        first = 0
        for kind, kind_terms in terms.items():
            index = self.term_index(kind, kind_terms)
            known = np.flatnonzero(index >= 0)
            keys.append(kind_terms.row[known] * width + index[known] + first)
            first += len(self.terms[kind])
        key = np.sort(np.concatenate(keys))
        starts = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]])) if len(key) else np.zeros(0, np.int64)
        count = np.diff(np.append(starts, len(key)))
        row, column = np.divmod(key[starts], max(1, width))
        idf = np.concatenate([self._weights[kind] for kind in terms])
        value = (1 + np.log(count)) * idf[column]
        length = np.sqrt(np.bincount(row, weights=value**2, minlength=n))
        start = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=n))])
        index = column.astype(np.int32)
        return sp.csr_array((value / length[row], index, start.astype(np.int32)), shape=(n, width))

    def to_state(self) -> dict[str, Any]:
        """Return the encoder as a JSON-serializable dict; `from_state` reads it."""
        return {
            "code": "text",
            "name": self.name,
            "missing": False,
            "documents": self.documents,
            "terms": {kind: list(terms) for kind, terms in self.terms.items()},
            "counts": {kind: list(counts) for kind, counts in self.counts.items()},
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> TextEncoder:
        """Return the encoder that `to_state` wrote; raise `ValueError` for any other state."""
        name, documents = fields.text(state, "name"), fields.count(state, "documents")
        kinds = [kind for kind in KINDS if kind in fields.mapping(state, "terms")]
        terms = {kind: fields.texts(state["terms"], kind) for kind in kinds}
        counts = {kind: fields.counts(fields.mapping(state, "counts"), kind) for kind in kinds}
        if any(len(terms[kind]) != len(counts[kind]) for kind in kinds) or not kinds:
            raise ValueError(f"terms and counts of the text {name!r} do not fit together")
        if any(count > documents for kind in kinds for count in counts[kind]):
            raise ValueError(f"a term of the text {name!r} has more documents than the {documents:,} of training")
        return cls(name, documents, terms, counts)


def _term_hashes(kind: str, terms: tuple[str, ...]) -> U64:
    """Return the hash of each term, computed as for a text; raise `ValueError` if a term is not of its kind."""
    if not terms:
        return np.zeros(0, np.uint64)
    if kind == "run":
        return character_ngram_hashes(terms)
    tokens = tokenize_words(code_points(pa.array(terms, pa.large_string())))
    hashes = tokens.hash if kind == "word" else bigrams(tokens).hash
    if len(hashes) != len(terms):
        raise ValueError(f"the terms of a text are no {kind}s")
    return hashes


class TextFitter:
    """Fitter of a `TextEncoder`: counts the texts that have each term."""

    def __init__(self, name: str) -> None:
        self.name, self.counter = name, VocabularyCounter()

    def partial_fit(self, column: pa.ChunkedArray, where: RowLocation) -> None:
        """Count the terms of one batch."""
        self.counter.add(as_text(column, self.name))

    def merge(self, later: TextFitter) -> None:
        """Add the counts of the rows that follow."""
        self.counter.update(later.counter)

    def encoder(self) -> TextEncoder:
        """Return the encoder of the frequent terms."""
        return TextEncoder.from_counts(self.name, self.counter)
