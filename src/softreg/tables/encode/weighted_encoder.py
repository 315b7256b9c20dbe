"""Means and deviations of an encoder where rows have weights."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from softreg.tables.columns.missing_values import replace_missing
from softreg.tables.columns.row_location import RowLocation, read_location
from softreg.tables.encode.encoder import Encoder
from softreg.tables.encode.normal_scores import power_above
from softreg.tables.encode.number_encoder import Form
from softreg.tables.encode.scalar_encoders import BooleanCode, Code, NumberCode
from softreg.tables.io.text_metadata import TextMetadata
from softreg.tables.schema.typed_values import booleans_of, numbers_of

Floats = NDArray[np.float64]
Weighted = tuple[pa.Table | pa.RecordBatch, NDArray[np.int64] | None, Floats]
"""A batch, the numbers of its training rows (all where None), and how often each of these counts."""


def weighted_encoder(
    encoder: Encoder, table: pa.Table, rows: NDArray[np.int64] | None, weight: Floats | None
) -> Encoder:
    """The encoder whose standardised numbers and booleans have the weighted mean and standard deviation of the rows.

    `rows` are the numbers of the training rows, all where None, and `weight` (n,) says how often each of them counts: a
    row of the weight 2 is the row given twice. Levels, terms and normal scores stay as they are, and so does everything
    where `weight` is None.

    Example:
        >>> from softreg.tables import learn_schema
        >>> table = pa.table({"age": [20.0, 40.0, 30.5], "buys": ["y", "n", "y"]})
        >>> encoder = Encoder.learn(learn_schema(table, "buys"), table)
        >>> weighted_encoder(encoder, table, None, np.array([1.0, 1.0, 0.0])).codes[0].mean
        30.0
    """
    return encoder if weight is None else encoder_of_weighted(encoder, [(table, rows, weight)])


def encoder_of_weighted(encoder: Encoder, batches: Iterable[Weighted]) -> Encoder:
    """The same, from the batches of a table.

    Example:
        >>> from softreg.tables import learn_schema
        >>> table = pa.table({"pay": [1000.0, 3000.5] * 9, "buys": ["y", "n"] * 9})
        >>> encoder = Encoder.learn(learn_schema(table, "buys"), table)
        >>> halves = [(table.slice(0, 9), None, np.ones(9)), (table.slice(9), None, np.ones(9))]
        >>> encoder_of_weighted(encoder, halves).codes[0].mean
        2000.25
    """
    codes = [code for code in encoder.codes if _is_weighted(code)]
    moments = {code.name: WeightedMoments(_unit(code)) for code in codes}
    for table, rows, weight in batches if codes else ():
        for code in codes:
            moments[code.name].add(_values(encoder, code, table, rows), weight)

    def weighted(code: Code) -> Code:
        found = moments.get(code.name)
        if isinstance(code, NumberCode) and found is not None:
            return replace(code, mean=found.mean, scale=found.deviation)
        return replace(code, mean=found.mean) if isinstance(code, BooleanCode) and found is not None else code

    return replace(encoder, codes=tuple(weighted(code) for code in encoder.codes))


def _is_weighted(code: Code) -> bool:
    """Whether a code has a mean of the rows."""
    return isinstance(code, BooleanCode) or (isinstance(code, NumberCode) and code.form is not Form.SCORES)


def _unit(code: Code) -> float:
    """The power of two in which no square of the training rows overflows."""
    span = code.span if isinstance(code, NumberCode) else ()
    return power_above(max(map(abs, span), default=0.0)) or 1.0


def _values(encoder: Encoder, code: Code, table: pa.Table | pa.RecordBatch, rows: NDArray[np.int64] | None) -> Floats:
    """The numbers of a column as the encoder reads them, nan where missing; 0 and 1 of booleans."""
    where = read_location(table)
    whole = pa.Table.from_batches([table]) if isinstance(table, pa.RecordBatch) else table
    own = whole.select([whole.schema.get_field_index(code.name)])
    if rows is not None:
        own, where = own.take(pa.array(rows)), RowLocation(np.asarray(rows), where.first, where.file)
    column, form = replace_missing(own, encoder.na).column(0), encoder.formats.get(code.name)
    if form is not None:
        column = form.with_decimal(TextMetadata.of(table.schema).decimal).read(code.name, column, where)
    if isinstance(code, BooleanCode):
        return booleans_of(code.name, code.words, column, where)
    return numbers_of(code.name, column, where)


@dataclass
class WeightedMoments:
    """The weighted mean and standard deviation of values that are added in parts; a deviation of 0 is 1.

    `unit` is a power of two that the values are divided by, so that no square overflows.

    Example:
        >>> found = WeightedMoments()
        >>> found.add(np.array([1.0, np.nan]), np.array([2.0, 5.0]))
        >>> found.add(np.array([4.0]), np.array([1.0]))
        >>> found.mean, round(found.deviation, 6)
        (2.0, 1.414214)

    Source: Chan, Golub and LeVeque, "Algorithms for computing the sample variance" (1983), of two parts.
    """

    unit: float = 1.0
    centre: float = 0.0
    variance: float = 0.0
    mass: float = 0.0
    """The sum of the weights, in units of the largest of them."""
    largest: float = 0.0

    def add(self, values: Floats, weight: Floats) -> None:
        """Take values (n,), of which nan is missing and not counted, and their weights (n,)."""
        known = ~np.isnan(values) & (weight > 0)
        if not known.any():
            return
        largest = max(self.largest, float(weight[known].max()))
        x, w = values[known] / self.unit, weight[known] / largest
        origin = float(x[0])
        centre = origin + float(np.average(x - origin, weights=w))
        variance = float(np.average((x - centre) ** 2, weights=w))
        before, here = self.mass * (self.largest / largest), float(w.sum())
        share, apart = here / (before + here), centre - self.centre
        self.centre = centre if before == 0 else self.centre + apart * share
        self.variance = self.variance * (1 - share) + variance * share + apart**2 * share * (1 - share)
        self.mass, self.largest = before + here, largest

    @property
    def mean(self) -> float:
        """The weighted mean, 0 without values."""
        return self.centre * self.unit

    @property
    def deviation(self) -> float:
        """The weighted standard deviation, 1 where all values are equal."""
        return float(np.sqrt(self.variance)) * self.unit or 1.0
