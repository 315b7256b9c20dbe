"""Strengths of terms, and interactions with evidence for them, on rows in memory."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from softreg.models.evidence.interaction_screen import ResidualScreen
from softreg.models.evidence.term_strengths import (
    TermRefits,
    TermStrengths,
    TermWeights,
    choose_term_strengths,
    degrees_at,
)
from softreg.probability import softmax
from softreg.splits import sample_rows
from softreg.tables.encode.terms.pair_encoder import PairEncoder, PairSide
from softreg.typing import BoolArray, Float64Array, FloatArray, IntArray

MAX_CANDIDATES = 1_000
"""Most pairs of columns that are looked at: with more, those of the columns of the largest effect."""
MAX_PAIRS = 30
"""Most interactions of a model."""
MAX_WORK = 1e11
"""Most rows times classes times squared features, the work of a Hessian: with many classes, there are fewer pairs."""
MULTIPLICITY = 0.25
"""Share of the logarithm of the number of pairs looked at that the evidence for an interaction exceeds."""
MAX_SCREEN_ROWS = 20_000
"""Most rows on which pairs are looked at."""
LARGEST_START = 1e5
"""Largest precision from which a term of the smaller model starts in the larger one."""


class Deadline:
    """The time after which no further terms are tried.

    Examples
    --------
    >>> Deadline(None).passed, Deadline(60.0).passed
    (False, False)
    """

    def __init__(self, seconds: float | None) -> None:
        self.end = np.inf if seconds is None else time.monotonic() + seconds

    @property
    def passed(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() > self.end


@dataclass(frozen=True, eq=False)
class TermRows:
    """Rows with features of the main effects.

    Attributes
    ----------
    X : array of float64 (n, d)
        Features.
    codes : array of int (n,)
        Codes of the labels.
    n_classes : int
        Number of classes q.
    weight : array of float64 (n,) or None
        Weights of the rows.
    offset : array of float64 (n, q) or None
        Fixed part of the logits.
    """

    X: Float64Array
    codes: IntArray
    n_classes: int
    weight: Float64Array | None
    offset: Float64Array | None

    @property
    def weights(self) -> Float64Array:
        """The weights of the rows, 1 where none are given."""
        return np.ones(len(self.codes)) if self.weight is None else self.weight

    def take(self, rows: IntArray) -> TermRows:
        """Return some of the rows."""
        weight, offset = (None if part is None else part[rows] for part in (self.weight, self.offset))
        return TermRows(self.X[rows], self.codes[rows], self.n_classes, weight, offset)

    def of_classes(self, known: IntArray) -> TermRows:
        """Return the rows with the classes `known` (c,), which those of all rows are among, as classes 0 .. c - 1."""
        if len(known) == self.n_classes:
            return self
        offset = None if self.offset is None else self.offset[:, known]
        return TermRows(self.X, np.searchsorted(known, self.codes), len(known), self.weight, offset)

    def logits(self, X: FloatArray, fit: TermStrengths | TermWeights) -> Float64Array:
        """Return the logits (n, q) of the rows with features X at the weights of a fit."""
        logits = X @ fit.coef.T + fit.intercept
        return np.asarray(logits if self.offset is None else logits + self.offset)


@dataclass(frozen=True, eq=False)
class Candidate:
    """An interaction with the evidence for it.

    Attributes
    ----------
    pair : PairEncoder
        Its encoder.
    log_ratio : float
        Logarithm of the ratio of the evidence with and without it, in nats.
    precision : float
        Precision of its weights at which the evidence is largest.
    """

    pair: PairEncoder
    log_ratio: float
    precision: float


@dataclass(frozen=True, eq=False)
class Model:
    """Strengths of a model with some interactions."""

    pairs: tuple[Candidate, ...]
    fit: TermStrengths


@dataclass(frozen=True)
class Multiples:
    """Multiples of the precisions that maximise the evidence.

    Attributes
    ----------
    common : float
        Multiple of all precisions.
    curves, interactions : float
        Further multiple of those of curves, and of interactions.
    """

    common: float = 1.0
    curves: float = 1.0
    interactions: float = 1.0


NO_MULTIPLES = Multiples()
"""The precisions of the evidence."""


@dataclass(frozen=True, eq=False)
class Refits:
    """Fits of a model at multiples of its precisions."""

    search: TermSearch
    fits: TermRefits
    precision: Float64Array

    def at(self, multiples: Multiples) -> TermWeights:
        """Return the weights at multiples."""
        return self.fits.at(self.search.multiplied(self.precision, multiples))


class TermSearch:
    """Search of terms for rows with fixed main effects.

    Parameters
    ----------
    terms : array of int (d,)
        Term of each feature of the main effects.
    sides : mapping of str to PairSide
        Columns that may have interactions.
    places : mapping of str to slice
        Places in X of the features of each of these columns.
    requested : sequence of (str, str)
        Pairs that every model has.
    fixed : array of float64 (m,)
        Precision of each term that is not chosen; nan for the others.
    shared : array of bool (m,)
        Terms whose precisions are shrunk towards a common one.
    curved : array of bool (m,)
        Terms that are curves.
    """

    def __init__(
        self,
        terms: IntArray,
        sides: Mapping[str, PairSide],
        places: Mapping[str, slice],
        requested: Sequence[tuple[str, str]],
        fixed: Float64Array,
        shared: BoolArray,
        curved: BoolArray,
    ) -> None:
        self.terms, self.sides, self.places, self.requested, self.fixed = terms, sides, places, requested, fixed
        self.shared, self.curved = shared, curved
        self.n_terms = int(terms.max()) + 1 if len(terms) else 0

    def of_strengths(self, shared: BoolArray) -> TermSearch:
        """Return the search with other terms whose precisions are shrunk towards a common one."""
        return TermSearch(self.terms, self.sides, self.places, self.requested, self.fixed, shared, self.curved)

    def bases(self, X: Float64Array) -> dict[str, Float64Array]:
        """Return the basis functions (n, r) of the columns that may have interactions."""
        return {name: side.basis(X[:, self.places[name]]) for name, side in self.sides.items()}

    def features(
        self, X: Float64Array, pairs: Sequence[Candidate], dtype: type[np.floating] = np.float64
    ) -> FloatArray:
        """Return the features of main effects and interactions, in a precision where there are interactions."""
        if not pairs:
            return X
        bases, place = self.bases(X), X.shape[1]
        out = np.empty((len(X), place + sum(one.pair.width for one in pairs)), dtype)
        out[:, :place] = X
        for one in pairs:
            left, right = bases[one.pair.left.column], bases[one.pair.right.column]
            out[:, place : place + one.pair.width] = one.pair.block(left, right)
            place += one.pair.width
        return out

    def main(self, rows: TermRows) -> Model:
        """Return the model of the main effects and the requested interactions."""
        if not self.requested:
            return Model((), self._strengths(rows, rows.X, (), None))
        bases = self.bases(rows.X)
        pairs = tuple(
            Candidate(PairEncoder.of(self.sides[a], self.sides[b], bases[a], bases[b]), np.nan, np.nan)
            for a, b in self.requested
        )
        pairs = tuple(one for one in pairs if one.pair.products)  # none where a column is constant in these rows
        return Model(pairs, self._strengths(rows, self._fit_features(rows, pairs), pairs, None))

    def screen(self, rows: TermRows, model: Model) -> list[Candidate]:
        """Return the interactions with evidence for them, the largest first, from the residuals of a model."""
        n = len(rows.codes)
        chosen = rows.take(sample_rows(n, MAX_SCREEN_ROWS, seed=0)) if n > MAX_SCREEN_ROWS else rows
        P = np.asarray(softmax(chosen.logits(self.features(chosen.X, model.pairs), model.fit)), dtype=np.float64)
        screen = ResidualScreen(P, chosen.codes, chosen.weights * (n / len(chosen.codes)))
        bases, found = self.bases(chosen.X), []
        known = {frozenset((one.pair.left.column, one.pair.right.column)) for one in model.pairs}
        for a, b in self._candidates(model):
            if frozenset((a, b)) in known:
                continue
            pair = PairEncoder.of(self.sides[a], self.sides[b], bases[a], bases[b])
            if pair.products:
                new = screen.evidence(pair.block(bases[a], bases[b]))
                found.append(Candidate(pair, new.log_ratio, new.precision))
        found.sort(key=lambda one: -one.log_ratio)
        least = MULTIPLICITY * np.log(max(1, len(found)))
        room = int(np.sqrt(MAX_WORK / (n * rows.n_classes))) - rows.X.shape[1]
        kept = list[Candidate]()
        for one in found[:MAX_PAIRS]:
            room -= one.pair.width
            if one.log_ratio > least and room >= 0:
                kept.append(one)
        return kept

    def with_pairs(self, rows: TermRows, model: Model, more: Sequence[Candidate]) -> Model:
        """Return the model with further interactions, whose strengths are chosen from those of the smaller model."""
        pairs = (*model.pairs, *more)
        start = np.concatenate([np.minimum(model.fit.precision, LARGEST_START), [one.precision for one in more]])
        return Model(pairs, self._strengths(rows, self._fit_features(rows, pairs), pairs, start))

    def refits(self, rows: TermRows, model: Model) -> Refits:
        """Return fits of a model, which was fitted to these rows, at multiples of its precisions."""
        X, terms = self._fit_features(rows, model.pairs), self._layout(model.pairs)[0]
        fits = TermRefits(X, rows.codes, terms, model.fit, weight=rows.weight, offset=rows.offset)
        return Refits(self, fits, model.fit.precision)

    def multiplied(self, precision: Float64Array, multiples: Multiples) -> Float64Array:
        """Return multiples of precisions, those of the interactions last; fixed ones stay."""
        found = precision.copy()
        found[: self.n_terms] *= np.where(self.curved, multiples.common * multiples.curves, multiples.common)
        found[self.n_terms :] *= multiples.common * multiples.interactions
        found[: self.n_terms] = np.where(np.isnan(self.fixed), found[: self.n_terms], self.fixed)
        return found

    def at_multiples(self, rows: TermRows, model: Model, multiples: Multiples) -> Model:
        """Return the model at multiples of its precisions, fitted to these rows."""
        X, terms = self._fit_features(rows, model.pairs), self._layout(model.pairs)[0]
        precision = self.multiplied(model.fit.precision, multiples)
        fit = degrees_at(X, rows.codes, terms, model.fit, precision, weight=rows.weight, offset=rows.offset)
        return Model(model.pairs, fit)

    def _fit_features(self, rows: TermRows, pairs: Sequence[Candidate]) -> FloatArray:
        """Return the features of rows in the precision of the fits, in which the interactions take half the memory."""
        return self.features(rows.X, pairs, np.float32)

    def _layout(self, pairs: Sequence[Candidate]) -> tuple[IntArray, Float64Array]:
        """Return the term of each feature, interactions last, and the precisions of terms that are not chosen."""
        sizes = [one.pair.width for one in pairs]
        terms = np.concatenate([self.terms, np.repeat(np.arange(len(sizes)) + self.n_terms, sizes)])
        return terms, np.concatenate([self.fixed, np.full(len(pairs), np.nan)])

    def _candidates(self, model: Model) -> list[tuple[str, str]]:
        """Return the pairs of columns to look at."""
        names = list(self.sides)
        most = int((1 + np.sqrt(1 + 8 * MAX_CANDIDATES)) / 2)
        if len(names) > most:
            degrees = {name: model.fit.degrees[np.unique(self.terms[self.places[name]])].sum() for name in names}
            large = set(sorted(names, key=lambda name: -degrees[name])[:most])
            names = [name for name in names if name in large]
        return list(combinations(names, 2))

    def _strengths(
        self, rows: TermRows, X: FloatArray, pairs: Sequence[Candidate], start: Float64Array | None
    ) -> TermStrengths:
        """Return the strengths of the terms of X, which has the features of these interactions last."""
        terms, fixed = self._layout(pairs)
        return choose_term_strengths(
            X, rows.codes, rows.n_classes, terms, weight=rows.weight, offset=rows.offset, start=start, fixed=fixed,
            shared=np.append(self.shared, np.zeros(len(pairs), dtype=bool)),
        )  # fmt: skip
