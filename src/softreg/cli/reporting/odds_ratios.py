"""Odds ratios of a fitted model for the report: numbers in units of the table, levels against a reference level."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from softreg.models.inference.marginal_effects import REFERENCE, Change
from softreg.report.evaluation.number_format import format_value
from softreg.report.page.report_data import OddsRatio
from softreg.tables import TableClassifier
from softreg.tables.encode.boolean_encoder import BooleanEncoder
from softreg.tables.encode.category_encoder import CategoryEncoder
from softreg.tables.encode.discrete_changes import discrete_changes, level_names
from softreg.tables.encode.number_encoder import Form, NumberEncoder

MAX_CHANGES = 400
"""Changes for which odds ratios are computed, at most."""


def odds_ratios(classifier: TableClassifier, X: Any) -> tuple[OddsRatio, ...]:
    """The odds ratios of each class against the first, by column; X (n, d) are the encoded training rows.

    Dates, texts, tags and vectors are left out.
    """
    encoder, model = classifier.encoder_, classifier.model_
    coefficients = np.asarray(model.coef_, dtype=np.float64)
    contrast = coefficients[1:] - coefficients[:1]  # (q - 1, d)
    changes = discrete_changes(encoder, X)
    found: list[OddsRatio] = []
    start = 0
    for code in encoder.column_encoders:
        places = range(start, start + code.width)
        start += code.width
        if isinstance(code, NumberEncoder):
            found += _of_number(code, contrast, changes.get(places[0]), places, has_whole_numbers(code, X, places[0]))
        elif isinstance(code, CategoryEncoder):
            named = zip(level_names(code), places, strict=True)
            levels = [_of_change(code.name, level, contrast, changes[j]) for level, j in named if j in changes]
            found += sorted(levels, key=lambda one: not one.is_reference)  # the reference level first
        elif isinstance(code, BooleanEncoder):
            found.append(_of_change(code.name, code.words[1], contrast, changes[places[0]]))
        if len(found) >= MAX_CHANGES:
            break
    return tuple(found[:MAX_CHANGES])


def _of_change(column: str, level: str, contrast: NDArray[np.float64], change: Change) -> OddsRatio:
    if change.words == REFERENCE:
        return OddsRatio(column, level)
    return OddsRatio(column, f"{level} {change.words}", _ratios(contrast, change.before, change.after))


def _ratios(
    contrast: NDArray[np.float64], before: Mapping[int, float], after: Mapping[int, float]
) -> tuple[float, ...]:
    moved = sum(contrast[:, j] * (after[j] - before[j]) for j in after)
    return _exp(np.asarray(moved))


def _of_number(
    code: NumberEncoder, contrast: NDArray[np.float64], change: Change | None, places: range, whole: bool
) -> list[OddsRatio]:
    """A round step in units of the column, at most one standard deviation, of `whole` numbers at least 1.

    Then the indicator of missing values. A number in two forms changes in both.
    """
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
    # the indicator stands beside the place of the mean or of the score 0
    middle = {
        Form.LINEAR: "the mean",
        Form.SCORES: "a normal score of 0",
        Form.BOTH: "the mean and a normal score of 0",
    }
    words = f"missing rather than {middle[code.form]}"
    return [first, OddsRatio(code.name, words, _exp(contrast[:, places[-1]]))]


def has_whole_numbers(code: NumberEncoder, X: Any, place: int) -> bool:
    """Whether the numbers of a column are whole in all encoded rows X (n, d), where missing ones have the mean."""
    z = X[:, [place]].toarray().ravel() if sp.issparse(X) else X[:, place]
    x = z[z != 0] * code.scale + code.mean
    return bool((np.abs(x - np.round(x)) <= 1e-6 * code.scale).all())


def _exp(values: NDArray[np.float64]) -> tuple[float, ...]:
    with np.errstate(over="ignore"):
        return tuple(float(ratio) for ratio in np.exp(values))
