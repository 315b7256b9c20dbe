"""Contributions of the terms of a text, divided among the words of the text."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from softreg.tables.encode.text.text_encoder import TextEncoder
from softreg.tables.encode.text.tokenizer import code_points, standalone_characters
from softreg.tables.encode.text.vocabulary import extract_terms
from softreg.typing import BoolArray, Float64Array, Int64Array

BLANKS = re.compile("[\0\t-\r \xa0]+")
"""White space between words, as the character n-grams see it."""


def divide_among_words(
    encoder: TextEncoder, text: str, contributions: Float64Array
) -> tuple[tuple[str, ...], Float64Array]:
    """Divide the contributions of the terms of a text among its words.

    The contribution of a term is divided equally among the places where the text has the term, and at a place equally
    among its characters other than blanks.

    Parameters
    ----------
    encoder : TextEncoder
        Encoder of the text.
    text : str
        The text.
    contributions : array of float64 (width, q)
        Contributions of the terms, in the order of the encoder's features.

    Returns
    -------
    words : tuple of str (k,)
        Words of the text in their order: the parts between blanks; a character that is a word of its own (as in
        Chinese) is a part.
    divided : array of float64 (k, q)
        Contributions of the words. Without rounding, they sum to the contributions of the terms of the text.

    Examples
    --------
    >>> encoder = TextEncoder("note", 2, {"word": ("call", "now")}, {"word": (1, 1)})
    >>> words, divided = divide_among_words(encoder, "Call now, call!", np.array([[3.0], [1.0]]))
    >>> words, divided.ravel().tolist()
    (('Call', 'now,', 'call!'), [1.5, 1.0, 1.5])
    """
    points = code_points(pa.array([text], pa.large_string()))
    words = _words(text, points)
    divided = np.zeros((len(words), contributions.shape[1]))
    first = 0
    for kind, terms in extract_terms(points, with_runs="run" in encoder.terms).items():
        if kind not in encoder.terms or not words:
            continue
        column = encoder.term_index(kind, terms)
        known = np.flatnonzero(column >= 0)
        place, term = _characters(terms.start[known], terms.stop[known])
        inside = ~_blank(terms.points)[place]
        place, term = place[inside], term[inside]
        times = np.bincount(column[known], minlength=len(encoder.terms[kind]))
        share = 1 / (times[column[known]] * np.maximum(1, np.bincount(term, minlength=len(known))))
        per_character = contributions[first + column[known]] * share[:, None]  # (places, q)
        np.add.at(divided, _word_of_character(terms.points)[place], per_character[term])
        first += len(encoder.terms[kind])
    return words, divided


def _words(text: str, points: NDArray[np.uint32]) -> tuple[str, ...]:
    """Return the words of a text as they are written; in lower case where that has another number of characters."""
    lower = points[1:-1]
    letters = text if len(text) == len(lower) else "".join(map(chr, lower.tolist()))
    if _blank(lower).all():
        return ()
    word = _word_of_character(lower)
    edges = np.searchsorted(word, np.arange(int(word[-1]) + 1)).tolist()
    return tuple(BLANKS.sub("", letters[a:b]) for a, b in zip(edges, [*edges[1:], len(letters)], strict=True))


def _word_of_character(points: NDArray[np.uint32]) -> Int64Array:
    """Return the number of the word of each character; blanks belong to the word before them."""
    inside, alone = ~_blank(points), standalone_characters(points)
    begins = inside.copy()
    begins[1:] &= ~inside[:-1] | alone[1:] | alone[:-1]
    return np.asarray(np.maximum(np.cumsum(begins) - 1, 0))


def _blank(points: NDArray[np.uint32]) -> BoolArray:
    """Return which characters are white space or mark the ends of a text."""
    return np.asarray((points == 0) | (points == 32) | ((points >= 9) & (points <= 13)) | (points == 0xA0))


def _characters(start: Int64Array, stop: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Return the places of all characters of some slices, and the slice of each."""
    length = stop - start
    term = np.repeat(np.arange(len(start)), length)
    return np.arange(len(term)) - np.repeat(np.cumsum(length) - length, length) + start[term], term
