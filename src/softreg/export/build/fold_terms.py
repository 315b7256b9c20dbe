"""Folding: many features of one curve or interaction, whose weights are known, as one feature for each class.

The features of a curve are r functions of the same knots, so that what they add to the logits is a piecewise linear
function for each class: `values @ weights` at the knots. The same holds for the grid of an interaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from softreg.export.program import CurveTerm, FeatureTerm, GridTerm, OffsetTerm, Term
from softreg.typing import Float64Array

BALANCE = 1e-13
"""Relative size of a sum of the weights of two classes that is 0 but for rounding."""
PAIR_OF_CLASSES = 2


@dataclass(frozen=True, eq=False)
class FoldedTerms:
    """Terms, and the weights and names of their features.

    Attributes
    ----------
    terms : tuple of Term
        Terms, whose features are numbered from 0 on.
    weights : array of float64 (d, q)
        Weight of each feature for each class.
    names : tuple of str (d,)
        Name of each feature.
    """

    terms: tuple[Term, ...]
    weights: Float64Array
    names: tuple[str, ...]


def fold_terms(terms: Sequence[Term], weights: Float64Array, names: Sequence[str]) -> FoldedTerms:
    """Return equivalent terms with at most one feature a class for each curve and each interaction.

    The logits are the same but for rounding. With two classes whose weights are opposite numbers, one feature suffices,
    with the weights -1/2 and 1/2: the part of the log-odds of the second class.

    Parameters
    ----------
    terms : sequence of Term
        Terms, in the order of their features.
    weights : array of float64 (d, q)
        Weight of each feature for each class.
    names : sequence of str (d,)
        Name of each feature.

    Returns
    -------
    FoldedTerms
        Terms, weights and names. Curves and interactions with fewer features stay as they are, numbered anew.

    Examples
    --------
    >>> curves = [CurveTerm(0, j, (0.0, 1.0), (0.0, 1.0 + j)) for j in range(3)]
    >>> folded = fold_terms(curves, np.array([[-1.0, 1.0], [-1.0, 1.0], [0.0, 0.0]]), ["a", "b", "c"])
    >>> folded.terms, folded.weights.tolist()
    ((CurveTerm(input=0, first=0, knots=(0.0, 1.0), values=(0.0, 6.0)),), [[-0.5, 0.5]])
    """
    features = [term for term in terms if not isinstance(term, OffsetTerm)]
    ends = [*(term.first for term in features[1:]), len(weights)]
    kept: list[Term] = []
    parts: list[Float64Array] = []
    found: list[str] = []
    at = 0
    for group in _groups(features):
        end = ends[at + len(group) - 1]
        place = slice(group[0].first, end)
        folded, part = _folded(group, weights[place])
        first = len(found)
        for k, term in enumerate(folded):
            kept.append(replace(term, first=first + (k if len(folded) > 1 else 0)))
        parts.append(part)
        found += names[place][: len(part)]
        at += len(group)
    offsets = [term for term in terms if isinstance(term, OffsetTerm)]
    matrix = np.concatenate(parts) if parts else weights[:0]
    return FoldedTerms((*kept, *offsets), np.ascontiguousarray(matrix), tuple(found))


def _groups(terms: Sequence[FeatureTerm]) -> list[list[FeatureTerm]]:
    """Return terms in groups: the curves of an input with the same knots together, others alone."""
    groups: list[list[FeatureTerm]] = []
    for term in terms:
        if groups and _is_same_curve(groups[-1][-1], term):
            groups[-1].append(term)
        else:
            groups.append([term])
    return groups


def _is_same_curve(one: FeatureTerm, other: FeatureTerm) -> bool:
    """Return whether two terms are functions of the same input between the same knots."""
    if not (isinstance(one, CurveTerm) and isinstance(other, CurveTerm)):
        return False
    return (one.input, one.knots) == (other.input, other.knots)


def _folded(group: Sequence[FeatureTerm], weights: Float64Array) -> tuple[list[FeatureTerm], Float64Array]:
    """Return the folded terms of a group, which are numbered later, and the weights of their features."""
    term = group[0]
    if isinstance(term, GridTerm):
        folded = _folding(term.width, weights)
        values, reference = folded.of(np.array(term.values)), folded.of(np.array(term.reference)[:, None])[:, 0]
        grid = replace(term, values=tuple(map(tuple, values.tolist())), reference=tuple(reference.tolist()))
        return [grid], folded.weights
    if isinstance(term, CurveTerm) and len(group) > 1:
        table = np.array([curve.values for curve in group if isinstance(curve, CurveTerm)])
        folded = _folding(len(table), weights)
        return [replace(term, values=tuple(row)) for row in folded.of(table).tolist()], folded.weights
    return list(group), weights


@dataclass(frozen=True, eq=False)
class _Folding:
    """The folded features are `mixing @ features` (m, r), with weights (m, q)."""

    mixing: Float64Array | None
    weights: Float64Array

    def of(self, values: Float64Array) -> Float64Array:
        """Return the folded features (m, k) of features (r, k)."""
        return values if self.mixing is None else self.mixing @ values


def _folding(r: int, weights: Float64Array) -> _Folding:
    """Return how r features with these weights (r, q) are folded."""
    q = weights.shape[1]
    if q == PAIR_OF_CLASSES and r > 1:
        total = np.abs(weights.sum(axis=1)).max()
        if total <= BALANCE * np.abs(weights).max():
            return _Folding((weights[:, 1] - weights[:, 0])[None], np.array([[-0.5, 0.5]]))
    return _Folding(weights.T, np.eye(q)) if q < r else _Folding(None, weights)
