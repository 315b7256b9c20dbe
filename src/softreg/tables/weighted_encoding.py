"""Means and deviations of an encoder where rows have weights."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from softreg.tables.codes import BooleanCode, Code, NumberCode
from softreg.tables.encoder import Encoder
from softreg.tables.numbercode import Form
from softreg.tables.scaling import power_above
from softreg.tables.values import booleans_of, numbers_of
from softreg.tables.where import Where

Floats = NDArray[np.float64]


def weighted_encoder(encoder: Encoder, table: pa.Table, rows: NDArray[np.int64] | None, weight: Floats) -> Encoder:
    """The encoder whose standardised numbers and booleans have the weighted mean and standard deviation of the rows.

    `rows` are the numbers of the training rows, all where None, and `weight` (n,) says how often each of them counts: a
    row of the weight 2 is the row given twice. Levels, terms and normal scores stay as they are.

    Example:
        >>> from softreg.tables import learn_schema
        >>> table = pa.table({"age": [20.0, 40.0, 30.5], "buys": ["y", "n", "y"]})
        >>> encoder = Encoder.learn(learn_schema(table, "buys"), table)
        >>> weighted_encoder(encoder, table, None, np.array([1.0, 1.0, 0.0])).codes[0].mean
        30.0
    """

    def column(name: str) -> pa.ChunkedArray:
        own = table.column(name)
        return own if rows is None else own.take(pa.array(rows))

    def weighted(code: Code) -> Code:
        if isinstance(code, NumberCode) and code.form is not Form.SCORES:
            mean, deviation = weighted_moments(numbers_of(code.name, column(code.name), Where()), weight)
            return replace(code, mean=mean, scale=deviation)
        if isinstance(code, BooleanCode):
            mean, _ = weighted_moments(booleans_of(code.name, code.words, column(code.name), Where()), weight)
            return replace(code, mean=mean)
        return code

    return replace(encoder, codes=tuple(weighted(code) for code in encoder.codes))


def weighted_moments(values: Floats, weight: Floats) -> tuple[float, float]:
    """The weighted mean and standard deviation of values (n,), of which nan is missing; a deviation of 0 is 1.

    Example:
        >>> weighted_moments(np.array([1.0, 4.0, np.nan]), np.array([2.0, 1.0, 5.0]))
        (2.0, 1.4142135623730951)
    """
    known = ~np.isnan(values)
    x, w = values[known], weight[known] / weight.max()
    if not w.any():
        return 0.0, 1.0
    unit = power_above(float(np.abs(x).max())) or 1.0  # so that no square overflows
    x = x / unit
    origin = float(x[0])
    mean = origin + float(np.average(x - origin, weights=w))
    deviation = float(np.sqrt(np.average((x - mean) ** 2, weights=w)))
    return mean * unit, deviation * unit or 1.0
