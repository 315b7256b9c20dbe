"""The discrete change that each encoded feature stands for, in marginal effects on probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

from softreg.models.inference.marginal_effects import REFERENCE, Change
from softreg.tables.columns.table_errors import TableError, quote, quote_list
from softreg.tables.encode.boolean_encoder import BooleanEncoder
from softreg.tables.encode.category_encoder import CategoryEncoder
from softreg.tables.encode.encoder import Encoder
from softreg.tables.encode.number_encoder import NumberEncoder
from softreg.tables.encode.terms.curve_encoder import CurveEncoder
from softreg.typing import Float64Array

UPPER = 0.84
"""Probability of a standard normal variable below one standard deviation above its mean."""


def discrete_changes(encoder: Encoder, X: Any) -> dict[int, Change]:
    """Return the discrete changes among the features of encoded rows, by index of the feature.

    A level of a category is compared with the most frequent level, whose own effect is 0; a boolean, and a number that
    is 0 or 1 in all rows that have it, change from 0 to 1. A number with a linear feature and a normal score changes
    both from about its median to about its 84th percentile, as does a number with a curve in all of its features.
    Other features have no discrete change.

    Parameters
    ----------
    encoder : Encoder
        Fitted encoder.
    X : array or sparse array (n, d)
        Rows that it encoded.

    Returns
    -------
    dict of int to Change
        Discrete changes by column of X.

    Examples
    --------
    >>> import pyarrow as pa
    >>> from softreg.tables.schema.schema import infer_schema
    >>> table = pa.table({"job": ["cook", "smith", "cook"], "buys": ["y", "n", "y"]})
    >>> encoder = Encoder.fit(infer_schema(table, "buys"), table)
    >>> {j: change.words for j, change in discrete_changes(encoder, encoder.encode(table)).items()}
    {0: 'the reference', 1: 'rather than cook'}
    """
    changes: dict[int, Change] = {}
    start, count = 0, np.asarray(X.sum(axis=0)).ravel()
    for column_encoder in encoder.column_encoders:
        columns = range(start, start + column_encoder.width)
        start += column_encoder.width
        if isinstance(column_encoder, CategoryEncoder) and column_encoder.width > 1:
            base = columns[int(np.argmax(count[columns.start : columns.stop]))]
            changes |= level_changes(columns, base, level_names(column_encoder)[base - columns.start])
        elif isinstance(column_encoder, BooleanEncoder):
            not_missing = {columns[1]: 0.0} if column_encoder.missing else {}
            words = f"rather than {column_encoder.words[0]}"
            changes[columns[0]] = Change({columns[0]: 0.0, **not_missing}, {columns[0]: 1.0, **not_missing}, words)
        elif isinstance(column_encoder, CurveEncoder):
            changes |= _change_of_curve(column_encoder, columns, X)
        elif isinstance(column_encoder, NumberEncoder) and not column_encoder.knots:
            low, high = (
                (0.0 - column_encoder.mean) / column_encoder.scale,
                (1.0 - column_encoder.mean) / column_encoder.scale,
            )
            missing = columns[1] if column_encoder.missing else None
            if is_two_valued(X, columns[0], (low, high), missing):
                rest = {} if missing is None else {missing: 0.0}
                changes[columns[0]] = Change({columns[0]: low, **rest}, {columns[0]: high, **rest})
        elif isinstance(column_encoder, NumberEncoder) and column_encoder.both:
            changes |= _change_of_both(column_encoder, columns)
    return changes


def interacting_columns(encoder: Encoder) -> set[str]:
    """Return the columns that are part of an interaction, whose effects depend on the value of another column."""
    return {side.column for pair in encoder.pairs for side in (pair.left, pair.right)}


def no_effects(encoder: Encoder) -> str:
    """Return why an encoder has no average marginal effects of single features; "" where it has."""
    if not encoder.pairs:
        return ""
    return (
        f"The model has the interactions {quote_list([pair.name for pair in encoder.pairs])}, so that no feature of "
        "these columns changes alone, and single features have no average marginal effects. Use term_functions() for "
        "the contribution of each column and interaction, or predict_proba for rows with other values."
    )


def feature_setting(encoder: Encoder, index: int, value: float) -> dict[int, float]:
    """Return the values of features, by index, that set the number or boolean of a feature to a value of the table.

    Parameters
    ----------
    encoder : Encoder
        Fitted encoder.
    index : int
        Index of the first feature of the column.
    value : float
        Number in the units of the table, or 0 or 1 for a boolean.

    Returns
    -------
    dict of int to float
        Values of all features of the column.

    Raises
    ------
    TableError
        For a feature of another kind of column, for a level of a category with another value than 0 or 1, and for a
        column with an interaction, whose features depend on another column.
    """
    start, interacting = 0, interacting_columns(encoder)
    for column in encoder.column_encoders:
        first, start = start, start + column.width
        if first <= index < start and column.name in interacting:
            raise TableError(
                f"Column {quote(column.name)} has an interaction, so that its features cannot be set alone: pass rows "
                "of the table with the value in this column."
            )
        if first == index and isinstance(column, NumberEncoder):
            x = min(max(value, column.span[0]), column.span[1]) if column.span else value  # as in predictions
            forms = [] if column.knots and not column.both else [(x - column.mean) / column.scale]
            forms += [float(np.interp(x, column.knots, column.scores))] if column.knots else []
            forms += _curve_values(column, x) if isinstance(column, CurveEncoder) else []
            return dict(enumerate([*forms, *[0.0] * column.missing], start=first))
        if first == index and isinstance(column, BooleanEncoder) and value in (0.0, 1.0):
            return dict(enumerate([value, *[0.0] * column.missing], start=first))
    raise TableError(
        f"The feature {quote(encoder.feature_names_out[index])} cannot be set to {value:g}: numbers are set by their "
        "column, and booleans and levels to 0 or 1."
    )


def _curve_values(curve: CurveEncoder, x: float) -> list[float]:
    """Return the basis functions (r,) of a curve at a number."""
    return [float(values[0]) for values in curve.curves(np.array([x]))]


def _change_of_curve(curve: CurveEncoder, columns: Sequence[int], X: Any) -> dict[int, Change]:
    """Return the change of all features of a number with a curve, from its median to its 84th percentile in X."""
    z = _dense_column(X, columns[0])
    if curve.missing:
        z = z[_dense_column(X, columns[-1]) == 0]
    if not len(z):
        return {}
    numbers = [float(value) for value in np.quantile(z, [0.5, UPPER], method="nearest")]
    before, after = (
        dict(enumerate([value, *_curve_values(curve, value * curve.scale + curve.mean)], start=columns[0]))
        for value in numbers
    )
    missing = {columns[-1]: 0.0} if curve.missing else {}
    first, second = (f"{value * curve.scale + curve.mean:.4g}" for value in numbers)
    same = Change({**before, **missing}, {**before, **missing}, f"included in {curve.name}")
    included = dict.fromkeys(columns[1 : 1 + curve.n_curves], same)
    return {
        columns[0]: Change({**before, **missing}, {**after, **missing}, f"{second} rather than {first}"),
        **included,
    }


def _change_of_both(number: NumberEncoder, columns: Sequence[int]) -> dict[int, Change]:
    """Return the change of a number with two features, between the knots of score 0 and 1."""
    scores = np.asarray(number.scores)
    a = max(int(np.searchsorted(scores, 0.0, side="right")) - 1, 0)
    b = min(int(np.searchsorted(scores, 1.0)), len(scores) - 1)
    before, after = (
        {columns[0]: (number.knots[k] - number.mean) / number.scale, columns[1]: number.scores[k]} for k in (a, b)
    )
    words = f"{number.knots[b]:.4g} rather than {number.knots[a]:.4g}"
    return {columns[0]: Change(before, after, words), columns[1]: Change(before, before, f"included in {number.name}")}


def level_changes(columns: Sequence[int], base: int | None, name: str) -> dict[int, Change]:
    """Return the changes of levels at these indices from the level `name` at `base`, or from the omitted level."""
    before = {k: float(k == base) for k in columns}
    return {
        j: Change(before, {k: float(k == j) for k in columns}, REFERENCE if j == base else f"rather than {name}")
        for j in columns
    }


def level_names(category: CategoryEncoder) -> list[str]:
    """Return the levels of a category in the order of its features; rare and missing values come last."""
    return [feature[len(category.name) + 1 :] for feature in category.features]


def is_two_valued(X: Any, index: int, values: tuple[float, float], missing: int | None = None) -> bool:
    """Return True if a column of X takes exactly these two values, where the column `missing` is 0 if there is one."""
    column = _dense_column(X, index)
    if missing is not None:
        column = column[_dense_column(X, missing) == 0]
    is_low, is_high = column == values[0], column == values[1]
    return bool((is_low | is_high).all() and is_low.any() and is_high.any())


def _dense_column(X: Any, index: int) -> Float64Array:
    return np.asarray(X[:, [index]].toarray().ravel() if sp.issparse(X) else X[:, index])
