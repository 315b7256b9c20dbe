"""Contributions of the words of a text to the logits of a `TableClassifier`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from softreg.tables.columns.column_values import as_text
from softreg.tables.columns.table_errors import TableError, quote_list
from softreg.tables.encode.text.text_encoder import TextEncoder
from softreg.tables.encode.text.word_contributions import divide_among_words
from softreg.typing import Float64Array

if TYPE_CHECKING:
    from softreg.tables.classifier import TableClassifier


@dataclass(frozen=True, eq=False)
class WordExplanation:
    """The logits of a row as a sum over the words of a text, as `explain_words` computes it.

    Attributes
    ----------
    classes : tuple
        The q classes.
    column : str
        Column of the text.
    words : tuple of str
        The k words of the text, as they are written.
    contributions : ndarray of shape (k, q)
        Contributions of the words to the logits.
    rest : ndarray of shape (q,)
        The other part of the logits: intercepts and, if there are any, other columns.

    Examples
    --------
    >>> parts = np.array([[0.0, 1.5], [0.0, 0.5]])
    >>> why = WordExplanation(("ham", "spam"), "text", ("call", "now"), parts, np.array([2.0, 1.0]))
    >>> why.log_odds("spam").tolist(), why.rest_log_odds("spam")
    ([1.5, 0.5], -1.0)
    """

    classes: tuple[Any, ...]
    column: str
    words: tuple[str, ...]
    contributions: Float64Array
    rest: Float64Array

    @property
    def logits(self) -> Float64Array:
        """The logits (q,) of the row: `rest` and the sum of the contributions."""
        return np.asarray(self.rest + self.contributions.sum(axis=0))

    def log_odds(self, label: Any = None, against: Any = None) -> Float64Array:
        """Return the contributions of the words to the log-odds of a class.

        Parameters
        ----------
        label : label, optional
            The class; the most probable one by default.
        against : label, optional
            The class it is compared with; the most probable other one by default.

        Returns
        -------
        ndarray of shape (k,)
            Contributions, which sum with `rest_log_odds` to the log-odds.

        Raises
        ------
        ValueError
            For a label that is no class, and for two equal labels.
        """
        a, b = self._pair(label, against)
        return np.asarray(self.contributions[:, a] - self.contributions[:, b])

    def rest_log_odds(self, label: Any = None, against: Any = None) -> float:
        """Return the part of the same log-odds that does not come from the words of the text."""
        a, b = self._pair(label, against)
        return float(self.rest[a] - self.rest[b])

    def _pair(self, label: Any, against: Any) -> tuple[int, int]:
        """Return the indices of two classes."""
        for name in (label, against):
            if name is not None and name not in self.classes:
                raise ValueError(f"{name!r} is no class of the model; its classes are {quote_list(self.classes)}.")
        order = np.argsort(-self.logits, kind="stable").tolist()
        b = None if against is None else self.classes.index(against)
        a = next(k for k in order if k != b) if label is None else self.classes.index(label)
        b = next(k for k in order if k != a) if b is None else b
        if a == b:
            raise ValueError(f"{label!r} is compared with itself; against names another class.")
        return a, b

    def text(self) -> str:
        """Return the text with the contribution of each word to the log-odds of the most probable class behind it."""
        a, b = self._pair(None, None)
        title = f"{self.classes[a]!r} rather than {self.classes[b]!r}: log-odds {self.logits[a] - self.logits[b]:+.2f}"
        words = " ".join(f"{word}[{x:+.2f}]" for word, x in zip(self.words, self.log_odds(), strict=True))
        return f"{title} = {self.rest_log_odds():+.2f} without the words, and\n{words}"

    def __str__(self) -> str:
        return self.text()


def explain_words(model: TableClassifier, X: Any, column: str | None = None) -> list[WordExplanation]:
    """Compute the contribution of each word of a text to the logits of its row.

    `o_k = rest_k + sum_w contribution_wk`. A text is encoded as the TF-IDF values of terms: words, pairs of words and,
    of little text, character n-grams. The contribution of a term is its weight times its value; it is divided equally
    among the places of the text that have the term, and at a place among its characters. A word receives the shares of
    its characters. Values depend on the length of the whole text, so a text without the word differs by more than its
    contribution.

    Parameters
    ----------
    model : TableClassifier
        A fitted model with a column of text.
    X : table, data frame or path of n rows
        The rows to explain.
    column : str, optional
        The column of text; needed if there are several.

    Returns
    -------
    list of WordExplanation
        Words and contributions of each row.

    Raises
    ------
    TableError
        If the column is not a text of the model, or there are several and none is named.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from softreg import TableClassifier
    >>> notes = pa.table({"note": ["so good", "so bad", "very good", "bad"] * 3, "label": ["+", "-", "+", "-"] * 3})
    >>> model = TableClassifier("label", text="note", strength=0.01).fit(notes)
    >>> why = explain_words(model, pa.table({"note": ["so very good"]}))[0]
    >>> print(why)
    '+' rather than '-': log-odds +3.41 = +0.37 without the words, and
    so[-0.03] very[+1.36] good[+1.71]
    """
    first, encoder = _text_encoder(model, column)
    table = model._table(X)  # a path is read once
    encoded = model.encode(table)
    logits = np.asarray(encoded @ model.model_.coef_.T + model.model_.intercept_)
    offsets = model.offsets(table)
    if offsets is not None:
        logits = logits + offsets
    weights = model.model_.coef_[:, first : first + encoder.width].T  # (width, q)
    values = sp.csr_array(encoded)[:, first : first + encoder.width]
    texts = as_text(table[encoder.name], encoder.name).to_pylist()
    classes = tuple(model.classes_.tolist())
    explanations = []
    for text, logit, start, stop in zip(texts, logits, values.indptr[:-1], values.indptr[1:], strict=True):
        terms = values.indices[start:stop]
        contributions = np.zeros(weights.shape)
        contributions[terms] = values.data[start:stop, None] * weights[terms]
        words, parts = divide_among_words(encoder, text or "", contributions)
        explanations.append(WordExplanation(classes, encoder.name, words, parts, logit - parts.sum(axis=0)))
    return explanations


def _text_encoder(model: TableClassifier, column: str | None) -> tuple[int, TextEncoder]:
    """Return the encoder of the column of text, and the index of its first feature."""
    model._check_fitted()
    encoders = model.encoder_.column_encoders
    texts = [encoder.name for encoder in encoders if isinstance(encoder, TextEncoder)]
    if column is None and len(texts) != 1:
        have = f"the texts {quote_list(texts)}; column= names one of them" if texts else "no column of text"
        raise TableError(f"The model has {have}.")
    first = 0
    for encoder in encoders:
        if isinstance(encoder, TextEncoder) and column in (None, encoder.name):
            return first, encoder
        first += encoder.width
    raise TableError(f"{column!r} is no text of the model; it has {quote_list(texts) if texts else 'none'}.")
