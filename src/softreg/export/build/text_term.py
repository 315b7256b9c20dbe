"""The term of a column of free text, from its fitted encoder."""

from __future__ import annotations

import math

import pyarrow as pa

from softreg.export.program import TermGroup, TextTerm
from softreg.tables.encode.text.text_encoder import TextEncoder
from softreg.tables.encode.text.tokenizer import LONGEST, SHORTEST, code_points, tokenize_words

PAIR_MARK = "\0"
"""Character between the words of a pair."""


def text_term(code: TextEncoder, place: int, first: int) -> TextTerm:
    r"""Return the term of a column of free text.

    Parameters
    ----------
    code : TextEncoder
        Fitted encoder.
    place, first : int
        Number of the input and of its first feature.

    Returns
    -------
    TextTerm
        Words and pairs of words, and n-grams of characters.

    Examples
    --------
    >>> code = TextEncoder("body", 9, {"word": ("not", "good"), "pair": ("not good",)}, {"word": (9, 4), "pair": (4,)})
    >>> text_term(code, 0, 0).words.places
    {'not': 0, 'good': 1, 'not\x00good': 2}
    """
    words = [*code.terms.get("word", ())]
    pairs = [PAIR_MARK.join(_words(pair)) for pair in code.terms.get("pair", ())]
    runs = code.terms.get("run", ())
    idf = {
        kind: [math.log((1 + code.documents) / (1 + count)) + 1 for count in counts]
        for kind, counts in code.counts.items()
    }
    known = [*words, *pairs]
    word_group = TermGroup({term: k for k, term in enumerate(known)}, (*idf.get("word", ()), *idf.get("pair", ())), 0)
    run_group = TermGroup({run: len(known) + k for k, run in enumerate(runs)}, tuple(idf.get("run", ())), len(known))
    return TextTerm(
        place,
        first,
        word_group if "word" in code.terms or "pair" in code.terms else None,
        run_group if "run" in code.terms else None,
        SHORTEST,
        LONGEST,
    )


def _words(text: str) -> list[str]:
    """Return the words of a text."""
    tokens = tokenize_words(code_points(pa.array([text], pa.large_string())))
    return ["".join(map(chr, tokens.points[a:b])) for a, b in zip(tokens.start, tokens.stop, strict=True)]
