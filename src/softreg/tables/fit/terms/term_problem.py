"""The rows on which the terms of a table are chosen, and the encoder and penalty of the terms that are found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from softreg.models import SoftmaxRegression
from softreg.tables.columns.table_errors import TableError, quote
from softreg.tables.encode.encoder import Encoder
from softreg.tables.encode.list_column_encoders import VectorEncoder
from softreg.tables.encode.terms.pair_encoder import PairSide, with_distinct_names
from softreg.tables.encode.text.text_encoder import TextEncoder
from softreg.tables.fit.terms.candidate_terms import MAX_PAIR_LEVELS, pair_sides, with_curves, without_curves
from softreg.tables.fit.terms.fitted_parts import TermSample
from softreg.tables.fit.terms.term_layout import CURVE, DETAIL, INTERACTION, MAIN, MISSING, TermLayout, term_layout
from softreg.tables.fit.terms.term_options import Terms
from softreg.tables.fit.terms.term_record import StageLoss, TermRecord, TermStrength
from softreg.tables.fit.terms.term_search import NO_MULTIPLES, Model, Multiples, TermRows, TermSearch
from softreg.typing import Array, Float64Array, IntArray

MAX_LEVELS = 300
"""Most features of a column whose strength is estimated; of a category with more levels, the most frequent ones."""
FREE_PRECISION = 1e-6
"""Precision of the features of a column without penalty while strengths are chosen."""
ABSENT_PRECISION = 1e7
"""Precision of the features of a term without evidence, whose weights are then nearly 0."""
DETAILED_CLASSES = 3
"""Classes from which the smooth part of a curve and its detail have a strength each. With curves alone, held-out losses
fall by 5% (fgl, 5 classes) and 7% (vehicle, 4); with two classes they rise by 1 to 4% (attrition, spambase)."""


@dataclass(frozen=True, eq=False)
class ChosenTerms:
    """The terms of a model.

    Attributes
    ----------
    encoder : Encoder
        Encoder with curves and interactions.
    precision : array of float64 (d,)
        Precision of each feature.
    record : TermRecord
        Held-out losses and strengths.
    """

    encoder: Encoder
    precision: Float64Array
    record: TermRecord


@dataclass(frozen=True, eq=False)
class TermProblem:
    """The rows on which terms are chosen.

    Attributes
    ----------
    encoder : Encoder
        Encoder of the main effects, with the curves that are tried.
    layout : TermLayout
        Its terms.
    used : array of int (u,)
        Terms of the layout whose strengths are chosen, ascending.
    rows : TermRows
        Rows with the features of these terms.
    search : TermSearch
        Search on such rows.
    kept_precision : float
        Precision of the features of texts and long vectors, that of the linear model.
    requested : Terms
        Requested terms, which the model has with or without evidence for them.
    """

    encoder: Encoder
    layout: TermLayout
    used: IntArray
    rows: TermRows
    search: TermSearch
    kept_precision: float
    requested: Terms

    @classmethod
    def of(
        cls,
        linear: tuple[Encoder, SoftmaxRegression],
        sample: TermSample,
        codes: IntArray,
        options: Terms,
        *,
        free: Sequence[str],
        weight: Float64Array | None,
        offset: Float64Array | None,
    ) -> TermProblem:
        """Return the problem for rows of a table.

        Parameters
        ----------
        linear : tuple of Encoder and SoftmaxRegression
            The linear model.
        sample : TermSample
            The rows.
        codes : array of int (n,)
            Codes of their labels among the classes of the linear model.
        options : Terms
            Requested terms.
        free : sequence of str
            Columns without penalty, whose curves have one.
        weight, offset : array of float64 (n,), (n, q), optional
            Weights and offsets of the rows.

        Returns
        -------
        TermProblem
            The problem.
        """
        (plain, model), table, numbers = linear, sample.table, sample.rows
        encoder = with_curves(plain, table, numbers, options, len(model.classes_))
        layout = term_layout(encoder, detailed=len(model.classes_) >= DETAILED_CLASSES)
        whole = encoder.encode(table, numbers)
        kept = np.repeat(
            [_is_kept(code) for code in encoder.column_encoders], [c.width for c in encoder.column_encoders]
        )
        if kept.any():
            of_linear = np.repeat(
                [_is_kept(code) for code in plain.column_encoders], [c.width for c in plain.column_encoders]
            )
            logits = np.asarray(whole[:, np.flatnonzero(kept)] @ model.coef_[:, of_linear].T)
            offset = logits if offset is None else offset + logits
        narrow = _narrow_features(encoder, whole, kept)
        X = whole[:, narrow]
        X = np.ascontiguousarray(X.toarray() if sp.issparse(X) else X, dtype=np.float64)
        used, terms = np.unique(layout.of_feature[narrow], return_inverse=True)
        is_free = [layout.columns[term] in free and layout.parts[term] not in (CURVE, DETAIL) for term in used]
        fixed = np.where(is_free, FREE_PRECISION, np.nan)
        places = _paired_columns(encoder, narrow, options)
        sides = pair_sides(encoder, X, places)
        _check_requested(options, encoder, sides)
        separate, curved = np.zeros(len(used), dtype=bool), [layout.parts[term] in (CURVE, DETAIL) for term in used]
        search = TermSearch(terms, sides, places, options.interactions, fixed, separate, np.array(curved, dtype=bool))
        rows = TermRows(X, codes, len(model.classes_), weight, offset)
        total = float(len(codes) if weight is None else weight.sum())
        return cls(encoder, layout, used, rows, search, float(model.strength) * total, options)

    @property
    def has_choice(self) -> bool:
        """Whether a model with terms differs from the linear one: not for a single term that is no curve."""
        return len(self.used) > 1 or self.requested.required

    def with_shared_strengths(self) -> TermProblem:
        """Return the problem whose strengths of linear features, categories and indicators share a prior."""
        shared = np.array([self.layout.parts[term] in (MAIN, MISSING) for term in self.used], dtype=bool)
        return replace(self, search=self.search.of_strengths(shared))

    def chosen(
        self, model: Model, name: str, stages: tuple[StageLoss, ...], multiples: Multiples = NO_MULTIPLES
    ) -> ChosenTerms:
        """Return the terms of a model as encoder and precisions.

        Parameters
        ----------
        model : Model
            Strengths and interactions.
        name : str
            Name of the model.
        stages : tuple of StageLoss
            Models that were compared.
        multiples : Multiples
            Multiples of the strengths of the evidence that the model has.

        Returns
        -------
        ChosenTerms
            Curves and interactions without evidence are left out, unless they are requested: the weights of these are
            nearly 0.
        """
        pairs = with_distinct_names(
            [one.pair for one in model.pairs], [code.name for code in self.encoder.column_encoders]
        )
        keys = [*(self.layout.keys[term] for term in self.used), *((pair.name, INTERACTION) for pair in pairs)]
        precision = dict(zip(keys, model.fit.precision.tolist(), strict=True))
        degrees = dict(zip(keys, model.fit.degrees.tolist(), strict=True))
        requested = self.requested
        gone = {column for column, part in keys if part == CURVE and self._is_absent(column, precision)}
        gone -= {*requested.smooth, *requested.monotone}
        wanted = {frozenset(pair) for pair in requested.interactions}
        present = tuple(
            pair
            for pair in pairs
            if np.isfinite(precision[pair.name, INTERACTION])
            or frozenset((pair.left.column, pair.right.column)) in wanted
        )
        encoder = replace(without_curves(self.encoder, gone), pairs=present)
        layout = term_layout(encoder, detailed=self.rows.n_classes >= DETAILED_CLASSES)
        of_term = [min(precision.get(key, self.kept_precision), ABSENT_PRECISION) for key in layout.keys]
        strengths = tuple(
            TermStrength(layout.names[k], of_term[k], degrees[key], *key)
            for k, key in enumerate(layout.keys)
            if key in degrees
        )
        record = TermRecord(
            name,
            stages,
            strengths,
            len(self.rows.codes),
            multiple=multiples.common,
            curve_multiple=multiples.curves,
            interaction_multiple=multiples.interactions,
        )
        return ChosenTerms(encoder, np.array(of_term)[layout.of_feature], record)

    def _is_absent(self, column: str, precision: Mapping[tuple[str, str], float]) -> bool:
        """Return True if there is no evidence for the curve of a column, neither for its smooth part nor the detail."""
        return all(np.isinf(precision.get((column, part), np.inf)) for part in (CURVE, DETAIL))


def _check_requested(options: Terms, encoder: Encoder, sides: Mapping[str, PairSide]) -> None:
    """Raise `TableError` if a column of a requested interaction has no basis functions, or too many."""
    widths = {code.name: code.width for code in encoder.column_encoders}
    for name in (name for pair in options.interactions for name in pair):
        if name not in sides:
            width = widths.get(name, 0)
            reason = (
                f"it has {width:,} features, and columns of an interaction have at most {MAX_PAIR_LEVELS}; merge rare "
                "levels of it"
                if width > MAX_PAIR_LEVELS
                else "its values are constant in the training rows"
            )
            raise TableError(
                f"Column {quote(name)} cannot have an interaction: {reason}, or leave the interaction out."
            )


def _is_kept(code: Any) -> bool:
    """Return True for a column whose features keep the strength of the linear model: a text, or a long vector."""
    return isinstance(code, TextEncoder) or (isinstance(code, VectorEncoder) and code.width > MAX_LEVELS)


def _narrow_features(encoder: Encoder, X: Any, kept: Array) -> IntArray:
    """Return the features (u,) whose strengths are estimated: of many levels, the most frequent ones."""
    found, first = [], 0
    for code in encoder.column_encoders:
        places = np.arange(first, first + code.width)
        first += code.width
        if kept[places].any():
            continue
        if code.width > MAX_LEVELS:
            counts = np.asarray(abs(X[:, places]).sum(axis=0)).ravel()
            places = np.sort(places[np.argsort(-counts, kind="stable")[:MAX_LEVELS]])
        found.append(places)
    return np.concatenate(found) if found else np.zeros(0, dtype=np.intp)


def _paired_columns(encoder: Encoder, narrow: IntArray, options: Terms) -> Mapping[str, slice]:
    """Return the places among `narrow` of the features of each column that may have interactions."""
    first, found = 0, {}
    for code in encoder.column_encoders:
        place = int(np.searchsorted(narrow, first))
        whole = narrow[place : place + code.width]
        alone = code.name in options.linear or code.name in options.monotone
        if not alone and len(whole) == code.width and (whole == np.arange(first, first + code.width)).all():
            found[code.name] = slice(place, place + code.width)
        first += code.width
    return found
