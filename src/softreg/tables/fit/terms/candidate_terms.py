"""Candidates for terms: curves of all columns of numbers, and interactions of all pairs of columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from softreg.tables.columns.row_location import WHOLE_TABLE
from softreg.tables.encode.boolean_encoder import BooleanEncoder
from softreg.tables.encode.category_encoder import CategoryEncoder
from softreg.tables.encode.encoder import Encoder
from softreg.tables.encode.number_encoder import NumberEncoder
from softreg.tables.encode.terms.curve_basis import (
    FEATURES,
    CurveBasis,
    curve_knots,
    increments_basis,
    random_walk_basis,
)
from softreg.tables.encode.terms.curve_encoder import CurveEncoder
from softreg.tables.encode.terms.pair_encoder import PAIR_CURVES, PAIR_KNOTS, PairSide
from softreg.tables.fit.terms.term_options import Terms
from softreg.tables.schema.typed_values import require_numbers
from softreg.typing import Float64Array, RowNumbers

FEWEST_KNOTS = 3
"""Distinct numbers from which a column can have a curve: two are a line."""
MAX_TOTAL = 1_500
"""Most features of all curves together, beyond which each has fewer: the Hessian is of their size."""
MAX_CURVE_WORK = 1e10
"""Most rows times classes times squared features of all curves, the work of a Hessian."""
LEAST_FEATURES = 3
"""Fewest features of a curve; with so many columns that these are too many, mode "auto" tries no curves."""
MAX_PAIR_LEVELS = 300
"""Most features of a category in an interaction."""


def with_curves(encoder: Encoder, table: pa.Table, rows: RowNumbers | None, options: Terms, n_classes: int) -> Encoder:
    """Return the encoder with a curve for each column of numbers that may have one.

    Parameters
    ----------
    encoder : Encoder
        Encoder of the linear model.
    table : pyarrow.Table
        The table, or a sample of its training rows.
    rows : array of int, optional
        Training rows.
    options : Terms
        Requested terms.
    n_classes : int
        Number of classes.

    Returns
    -------
    Encoder
        In mode "auto" all columns of numbers with at least three distinct values have a curve, unless they are
        requested as linear; otherwise those that are requested. Columns without a curve keep their form.
    """
    chosen = table if rows is None else table.take(pa.array(rows))
    columns: list[Any] = []
    wanted = _wanted_curves(encoder, options)
    total = min(MAX_TOTAL, int(np.sqrt(MAX_CURVE_WORK / max(1, len(chosen) * n_classes))))
    most = min(FEATURES, max(LEAST_FEATURES, total // max(1, len(wanted))))
    for code, cells in encoder.columns(chosen):
        if isinstance(code, NumberEncoder) and code.name in wanted:
            knots, share = curve_knots(require_numbers(code.name, cells, WHOLE_TABLE))
            if len(knots) >= FEWEST_KNOTS:
                sign = options.signs.get(code.name, 0)
                basis = increments_basis(knots, share) if sign else random_walk_basis(knots, share, most)
                code = CurveEncoder.of(code, basis, sign)
        columns.append(code)
    return replace(encoder, column_encoders=tuple(columns))


def _wanted_curves(encoder: Encoder, options: Terms) -> set[str]:
    """Return the columns of numbers that may have a curve: the requested ones, and in mode "auto" all others."""
    named = {*options.smooth, *options.monotone}
    numbers = {code.name for code in encoder.column_encoders if isinstance(code, NumberEncoder)} - {*options.linear}
    every = options.mode == "auto" and len(numbers) * LEAST_FEATURES <= MAX_TOTAL
    return numbers if every else numbers & named


def without_curves(encoder: Encoder, columns: set[str]) -> Encoder:
    """Return the encoder without the curves of some columns."""
    plain = [
        NumberEncoder(code.name, code.mean, code.scale, code.missing, span=code.span)
        if isinstance(code, CurveEncoder) and code.name in columns
        else code
        for code in encoder.column_encoders
    ]
    return replace(encoder, column_encoders=tuple(plain))


def pair_sides(encoder: Encoder, X: Float64Array, places: Mapping[str, slice]) -> dict[str, PairSide]:
    """Return the sides of interactions, by column.

    Parameters
    ----------
    encoder : Encoder
        Encoder of the columns.
    X : array of float64 (n, d)
        Features of training rows.
    places : mapping of str to slice
        Places in X of the features of each column; columns that are not in it have no interactions.

    Returns
    -------
    dict of str to PairSide
        A number has at most `PAIR_CURVES` basis functions, a category its levels, a boolean its value.
    """
    sides = {}
    for code in encoder.column_encoders:
        if code.name not in places or not code.width:
            continue
        block = X[:, places[code.name]]
        if isinstance(code, NumberEncoder):
            known = block[:, 0] if not code.missing else block[block[:, -1] == 0, 0]
            basis = _side_basis(known)
            if basis is not None:
                sides[code.name] = PairSide.of_curve(code.name, basis, code.missing)
        elif isinstance(code, CategoryEncoder | BooleanEncoder) and code.width <= MAX_PAIR_LEVELS:
            sides[code.name] = PairSide.of_levels(code.name, code.width)
    return sides


def _side_basis(z: Float64Array) -> CurveBasis | None:
    """Return the basis of a number in interactions, or None for a constant."""
    knots, share = curve_knots(z, PAIR_KNOTS)
    if len(knots) < 2:
        return None
    return random_walk_basis(knots, share, PAIR_CURVES)
