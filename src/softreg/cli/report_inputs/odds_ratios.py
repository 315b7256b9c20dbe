"""Odds ratios of a model for the report: numbers in units of the table, levels against a reference level."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.sparse as sp

from softreg.models.inference.marginal_effects import REFERENCE, Change
from softreg.report.evaluation.number_format import format_value
from softreg.report.page.report_data import OddsRatio
from softreg.tables import TableClassifier
from softreg.tables.encode.boolean_encoder import BooleanEncoder
from softreg.tables.encode.category_encoder import CategoryEncoder
from softreg.tables.encode.discrete_changes import discrete_changes, interacting_columns, level_names
from softreg.tables.encode.number_encoder import Form, NumberEncoder
from softreg.tables.encode.terms.curve_encoder import CurveEncoder
from softreg.typing import Float64Array

MAX_CHANGES = 400
"""Changes for which odds ratios are computed, at most."""


def odds_ratios(classifier: TableClassifier, X: Any) -> tuple[OddsRatio, ...]:
    """Compute the odds ratios of each class against the first; dates, texts, tags and vectors are left out.

    Columns with a curve or an interaction are left out, too: their odds ratios depend on the value of the column, or of
    another one (see `TableClassifier.term_functions`).

    Parameters
    ----------
    classifier : TableClassifier
        The model.
    X : array or sparse matrix of shape (n, d)
        Encoded training rows.

    Returns
    -------
    tuple of OddsRatio
        The odds ratios by column and change.
    """
    encoder, model = classifier.encoder_, classifier.model_
    coefficients = np.asarray(model.coef_, dtype=np.float64)
    contrast = coefficients[1:] - coefficients[:1]  # (q - 1, d)
    changes = discrete_changes(encoder, X)
    ratios: list[OddsRatio] = []
    start, interacting = 0, interacting_columns(encoder)
    for code in encoder.column_encoders:
        places = range(start, start + code.width)
        start += code.width
        if isinstance(code, CurveEncoder) or code.name in interacting:
            continue
        if isinstance(code, NumberEncoder):
            ratios += _of_number(code, contrast, changes.get(places[0]), places, has_whole_numbers(code, X, places[0]))
        elif isinstance(code, CategoryEncoder):
            named = zip(level_names(code), places, strict=True)
            levels = [_of_change(code.name, level, contrast, changes[j]) for level, j in named if j in changes]
            ratios += sorted(levels, key=lambda one: not one.is_reference)  # the reference level first
        elif isinstance(code, BooleanEncoder):
            ratios.append(_of_change(code.name, code.words[1], contrast, changes[places[0]]))
        if len(ratios) >= MAX_CHANGES:
            break
    return tuple(ratios[:MAX_CHANGES])


def _of_change(column: str, level: str, contrast: Float64Array, change: Change) -> OddsRatio:
    """Return the ratio for a change between levels; none for the reference level."""
    if change.words == REFERENCE:
        return OddsRatio(column, level)
    return OddsRatio(column, f"{level} {change.words}", _ratios(contrast, change.before, change.after))


def _ratios(contrast: Float64Array, before: Mapping[int, float], after: Mapping[int, float]) -> tuple[float, ...]:
    """Return the odds ratios for features that change from `before` to `after`, by index."""
    moved = sum(contrast[:, j] * (after[j] - before[j]) for j in after)
    return _exp(np.asarray(moved))


def _of_number(
    code: NumberEncoder, contrast: Float64Array, change: Change | None, places: range, whole: bool
) -> list[OddsRatio]:
    """Return the ratio for a round step of a number, one standard deviation at most, and for missing values."""
    own = contrast[:, places[0]]
    if change is not None:
        first = OddsRatio(code.name, change.words, _ratios(contrast, change.before, change.after))
    elif code.knots:
        first = OddsRatio(code.name, "+1 standard deviation of its normal score", _exp(own), _exp(own))
    else:
        step = 10.0 ** math.floor(math.log10(code.scale))
        step = max(step, 1.0) if whole else step
        first = OddsRatio(code.name, f"+{format_value(step)}", _exp(own * (step / code.scale)), _exp(own))
    if not code.missing:
        return [first]
    # a missing value has the mean or the score 0, and its indicator
    middle = {
        Form.LINEAR: "the mean",
        Form.SCORES: "a normal score of 0",
        Form.BOTH: "the mean and a normal score of 0",
    }
    words = f"missing rather than {middle[code.form]}"
    return [first, OddsRatio(code.name, words, _exp(contrast[:, places[-1]]))]


def has_whole_numbers(code: NumberEncoder, X: Any, place: int) -> bool:
    """Return whether a column has only integers in the encoded rows X (n, d), in which missing values have the mean."""
    z = X[:, [place]].toarray().ravel() if sp.issparse(X) else X[:, place]
    x = z[z != 0] * code.scale + code.mean
    return bool((np.abs(x - np.round(x)) <= 1e-6 * code.scale).all())


def _exp(values: Float64Array) -> tuple[float, ...]:
    """Return the exponential of each number; inf where it overflows."""
    with np.errstate(over="ignore"):
        return tuple(float(ratio) for ratio in np.exp(values))
