"""Terms of categories: the number of a level, and the row of weights of each number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from softreg.export.onnx.graph_builder import ML_DOMAIN, GraphBuilder, checked_text
from softreg.export.program import CodeTerm, LevelTerm
from softreg.typing import Float64Array

GATHERED = 64
"""Numbers that one lookup gathers for a row at most, which limits the memory of many columns and classes."""


def level_logits(
    graph: GraphBuilder,
    terms: Sequence[LevelTerm | CodeTerm],
    columns: Sequence[str],
    *,
    missing: str,
    weights: Float64Array,
) -> tuple[str, ...]:
    """Return the terms of the logits (n, q) of categories.

    Parameters
    ----------
    graph : GraphBuilder
        Graph.
    terms : sequence of LevelTerm or CodeTerm
        Terms.
    columns : sequence of str
        The tensor (n, 1) of each term's input.
    missing : str
        Where each of them is missing (n, number of terms).
    weights : array of float64 (d, q)
        Weights of all features.

    Returns
    -------
    tuple of str
        Terms of the logits; each sums over some categories.
    """
    q = weights.shape[1]
    most = max(1, GATHERED // q)
    parts = []
    for start in range(0, len(terms), most):
        members = range(start, min(start + most, len(terms)))
        mask = graph.take(missing, members, len(terms))
        some = [terms[k] for k in members]
        parts.append(_lookup(graph, some, [columns[k] for k in members], missing=mask, weights=weights))
    return tuple(parts)


def _lookup(
    graph: GraphBuilder,
    terms: Sequence[LevelTerm | CodeTerm],
    columns: Sequence[str],
    *,
    missing: str,
    weights: Float64Array,
) -> str:
    """Return the sum of the weights (n, q) of the levels of some categories; other levels may have none."""
    rows: list[Float64Array] = [np.zeros((1, weights.shape[1]))]
    codes, absent, start = [], [], 1
    for term, column in zip(terms, columns, strict=True):
        other = start + term.other if term.other >= 0 else 0
        if isinstance(term, LevelTerm):
            words = {word: start + place for word, place in term.words.items()}
            codes.append(encode_texts(graph, column, words, other))
        else:
            numbers = {number: start + place for number, place in term.numbers.items()}
            codes.append(encode_numbers(graph, column, numbers, other))
        rows.append(weights[term.first : term.first + term.width])
        absent.append(start + term.missing if term.missing >= 0 else 0)
        start += term.width
    code = graph.node("Where", missing, graph.constant(np.array(absent, np.int64)), graph.concat(codes))
    found = graph.node("Gather", graph.constant(np.concatenate(rows)), code)
    return graph.node("ReduceSum", found, graph.constant(np.array([1])), keepdims=0)


def encode_texts(graph: GraphBuilder, column: str, places: Mapping[str, int], other: int) -> str:
    """Return the integer of each text, and `other` for texts that are not listed.

    Parameters
    ----------
    graph : GraphBuilder
        Graph.
    column : str
        Texts.
    places : mapping of str to int
        Integer by text.
    other : int
        Integer of other texts.

    Returns
    -------
    str
        Integers, of the shape of the column.
    """
    places = places or {"": other}
    return graph.node(
        "LabelEncoder",
        column,
        domain=ML_DOMAIN,
        keys_strings=[checked_text(key) for key in places],
        values_int64s=list(places.values()),
        default_int64=other,
    )


def encode_numbers(graph: GraphBuilder, column: str, places: Mapping[float, int], other: int) -> str:
    """Return the integer of each number, and `other` for numbers that are not listed, as `encode_texts` does."""
    from onnx import numpy_helper

    places = places or {0.0: other}
    return graph.node(
        "LabelEncoder",
        column,
        domain=ML_DOMAIN,
        keys_tensor=numpy_helper.from_array(np.array(list(places), dtype=np.float64)),
        values_tensor=numpy_helper.from_array(np.array(list(places.values()), dtype=np.int64)),
        default_tensor=numpy_helper.from_array(np.array([other], dtype=np.int64)),
    )
